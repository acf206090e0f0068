from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from mixfast.engine._pass cimport arena_t, pass_t
from mixfast.engine._truncated cimport truncated_t

# A pair of clusters in the heap; out of date if one of them was joined to another since.
ctypedef struct pair_t:
    double cost
    int32_t first, second
    int32_t first_version, second_version

# A start with very many clusters.
cdef struct many_t:
    Py_ssize_t n_seeds         # found at first, of which pairs are joined until there are as many as clusters
    Py_ssize_t n_clusters
    truncated_t t
    # the chains of a block of seeds
    truncated_t of_chains
    double *links              # [LINKS][n_features], rows
    double *squares            # [LINKS], square distances to the nearest seed so far
    double *shares             # [LINKS], proposal probabilities per unit of weight
    double *drawn_by           # [n_rows], cumulative proposal probabilities
    # joining
    double *sizes              # [n_seeds]
    int32_t *joined            # [n_seeds], the cluster that each was joined to; itself if it is still there
    int32_t *version           # [n_seeds], how often each has changed, to tell pairs that are out of date
    pair_t *pairs              # a heap
    int64_t *seeds             # [n_seeds], rows
    Py_ssize_t n_pairs

cpdef Py_ssize_t n_seeds_of(Py_ssize_t n_clusters, Py_ssize_t n_rows) noexcept nogil
cdef void set_centres(pass_t *p, const double *blank, Py_ssize_t n) noexcept nogil
cdef void place_many(many_t *many, const pass_t *p, Py_ssize_t n_clusters, arena_t *arena) noexcept nogil
cdef int find_far(pass_t *p, many_t *many, const double *blank, Py_ssize_t n_seeds, uint64_t seed, uint32_t start,
                  int64_t *indices) noexcept nogil
cdef int find_many(pass_t *p, many_t *many, const double *blank, uint64_t seed, uint32_t start, double tol,
                   int64_t *labels) noexcept nogil
