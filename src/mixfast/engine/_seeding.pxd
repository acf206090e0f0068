from libc.stdint cimport int64_t, uint32_t, uint64_t

from mixfast.engine._family cimport chunk_t
from mixfast.engine._kernels cimport rows_t
from mixfast.engine._line cimport line_t
from mixfast.engine._pass cimport deliver_fn, arena_t, pass_t, workspace_t

# What the passes of one k-means++ hand on.
cdef struct seeding_t:
    char *closest              # square distance of each row to the nearest centre: a stride of reals for each chunk
    double *potentials         # [n_chunks][n_candidates], the sum of weight * closest that each candidate would leave
    Py_ssize_t *candidates     # [n_candidates], rows

# What Lloyd's iterations came to.
cdef struct kmeans_t:
    double distortion          # the mean square distance of the rows to the centres that they were labelled by
    Py_ssize_t n_iter

cdef Py_ssize_t draw_by_weight(const pass_t *p, double draw) noexcept nogil
cdef void place_seeding(seeding_t *seeding, const pass_t *p, arena_t *arena) noexcept nogil
cdef int seed_greedily(pass_t *p, seeding_t *seeding, Py_ssize_t n_clusters, uint64_t seed, uint32_t start,
                       int64_t *indices) noexcept nogil
cdef deliver_fn adding(const pass_t *p) noexcept nogil
cdef void move_to_means(pass_t *p) noexcept nogil
cdef int settle(pass_t *p, int64_t *labels, double tol, Py_ssize_t max_iter, line_t *line,
                kmeans_t *found) noexcept nogil
cdef void choose_rows(const rows_t *rows, Py_ssize_t n_clusters, uint64_t seed, uint32_t start, double *arrivals,
                      int64_t *indices) noexcept nogil
