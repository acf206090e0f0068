# What families have in common whose log densities are linear forms of the rows: see _kernels/linear.h. Their parameters
# and sums are [n_components][n_features].

from libc.stdint cimport int32_t

from mixfast.engine._family cimport family_t, totals_t
from mixfast.engine._kernels cimport linear_kernels_t

# The context of such a family begins with this.
cdef struct linear_t:
    const linear_kernels_t *kernels
    # [user's columns]: which column of the encoded rows says where the entries of each are there, as 1 or the exposure
    # of the row; -1 for a column without missing entries. NULL where no column has any.
    int32_t *presence

# What `maximise_linear` leaves in `work`, for `maximise_component`.
cdef struct sums_t:
    const double *of_components    # [n_components][n_features]
    const double *of_all           # [n_features]
    double total                   # weight of all rows

cdef int check_shape(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes) except -1
cdef family_t *new_linear(size_t context_bytes, Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes,
                          object isa, bint is_sparse) except NULL
cdef family_t *new_columnwise(size_t context_bytes, Py_ssize_t n_components, Py_ssize_t n_encoded, int real_bytes,
                              object isa, bint is_sparse, Py_ssize_t n_columns,
                              const int32_t[::1] missing) except NULL
cdef int maximise_linear(const family_t *f, const totals_t *totals, double *work, double *params) noexcept nogil
cdef sums_t sums_of(const family_t *f, const totals_t *totals, const double *work) noexcept nogil

# The weight of a component's rows that have an entry in column j: `total`, that of all its rows, where none is missing.
cdef inline double weight_there(const family_t *f, const double *sums, Py_ssize_t j, double total) noexcept nogil:
    cdef const int32_t *presence = (<const linear_t *> f.context).presence
    return sums[presence[j]] if presence != NULL and presence[j] >= 0 else total

# Where `prepare_component` leaves what column j adds to a form; `constant` where none of its entries is missing.
cdef inline double *constant_of(const family_t *f, Py_ssize_t j, double *coefficients,
                                double *constant) noexcept nogil:
    cdef const int32_t *presence = (<const linear_t *> f.context).presence
    return coefficients + presence[j] if presence != NULL and presence[j] >= 0 else constant

# Where `prepare_component` leaves a form.
cdef inline double *constant_in(const family_t *f, double *work, Py_ssize_t k) noexcept nogil:
    return work + k

cdef inline double *coefficients_in(const family_t *f, double *work, Py_ssize_t k) noexcept nogil:
    return work + f.n_components + k * f.n_features
