# The shapes of covariances by mclust's names.

# Of n_components scatters of so many features, as mean squares about the components' means.
ctypedef struct scatters_t:
    Py_ssize_t n_components, n_features
    const double *shares    # [K], of the rows; they sum to 1
    const double *factors   # [K][d][d], of the last precisions, where a search begins; NULL: none
    double *matrices        # [K][d][d], symmetric; of diagonal shapes nothing but the diagonals is looked at
    double *work            # of `shape_work` doubles

# Replaces the scatters by the covariances of the shape for which rows are likeliest. Nonzero where there are none.
ctypedef int (*shape_fn)(const scatters_t *) noexcept nogil

ctypedef struct shape_t:
    shape_fn fit
    bint is_diagonal
    bint is_round           # one variance for all columns
    bint has_own_volumes    # each component's covariance may be of any size

cdef int limit_ratio(const scatters_t *, double ratio, bint is_diagonal) noexcept nogil
cdef Py_ssize_t shape_work(Py_ssize_t n_components, Py_ssize_t n_features) noexcept nogil
cdef shape_t shape_named(str name) except *
