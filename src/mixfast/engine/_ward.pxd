from libc.stdint cimport int64_t

from mixfast.engine._kernels cimport ward_kernels_t
from mixfast.engine._pass cimport arena_t

# Groups of rows, and the joins that make one of them.
cdef struct ward_t:
    const ward_kernels_t *kernels
    Py_ssize_t n_rows, stride
    double *means              # [n_features][stride]: of rows as they go in; what they are after the joins says nothing
    double *sizes              # [stride]: the weights of the rows as they go in
    int64_t *pairs             # [n_rows - 1][2]: a row of each of the two groups that were joined
    double *heights            # [n_rows - 1]: what that added to the sum of squares
    Py_ssize_t *order          # [n_rows - 1]: the joins, those first that add least
    # workspace
    double *added              # [stride]
    int64_t *first             # [n_rows]: a row of each group that is left
    Py_ssize_t *chain          # [n_rows + 1]
    Py_ssize_t *above          # [n_rows]

cdef void place_ward(ward_t *w, Py_ssize_t n_rows, Py_ssize_t n_features, int isa, arena_t *arena) noexcept nogil
cdef void join_all(ward_t *w, Py_ssize_t n_features) noexcept nogil
cdef void cut_into(ward_t *w, Py_ssize_t n_groups, int64_t *labels) noexcept nogil
