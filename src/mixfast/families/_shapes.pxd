# The shapes of covariances by mclust's names.

# Arguments of a shape's M-step: scatters of the components, as mean squares about their means.
ctypedef struct scatters_t:
    Py_ssize_t n_components, n_features
    const double *shares    # [K], the components' shares of the rows; they sum to 1
    const double *factors   # [K][d][d], factors of the last precisions, where iterations begin; NULL: none
    double *matrices        # [K][d][d], symmetric: IN scatters, OUT covariances; diagonal shapes use diagonals only
    double *work            # [shape_work], workspace

# IN and OUT matrices: scatters become the maximum-likelihood covariances of the shape. Nonzero if there are none.
ctypedef int (*shape_fn)(const scatters_t *) noexcept nogil

ctypedef struct shape_t:
    shape_fn fit
    bint is_diagonal
    bint is_round           # one variance for all columns
    bint has_own_volumes    # each component's covariance may be of any size

cdef int limit_ratio(const scatters_t *, double ratio, bint is_diagonal) noexcept nogil
cdef Py_ssize_t shape_work(Py_ssize_t n_components, Py_ssize_t n_features) noexcept nogil
cdef shape_t shape_named(str name) except *
