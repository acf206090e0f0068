# What families have in common whose log densities are linear forms of the rows: see _kernels/linear.h. Their parameters
# and sums are [n_components][n_features].

from mixfast.engine._family cimport family_t, totals_t
from mixfast.engine._kernels cimport linear_kernels_t

# The context of such a family begins with this.
cdef struct linear_t:
    const linear_kernels_t *kernels

# What `maximise_linear` leaves in `work`, for `maximise_component`.
cdef struct sums_t:
    const double *of_components    # [n_components][n_features]
    const double *of_all           # [n_features]
    double total                   # weight of all rows

cdef int check_shape(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes) except -1
cdef family_t *new_linear(size_t context_bytes, Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes,
                          object isa, bint is_sparse) except NULL
cdef int maximise_linear(const family_t *f, const totals_t *totals, double *work, double *params) noexcept nogil
cdef sums_t sums_of(const family_t *f, const totals_t *totals, const double *work) noexcept nogil

# Where `prepare_component` leaves a form.
cdef inline double *constant_in(const family_t *f, double *work, Py_ssize_t k) noexcept nogil:
    return work + k

cdef inline double *coefficients_in(const family_t *f, double *work, Py_ssize_t k) noexcept nogil:
    return work + f.n_components + k * f.n_features
