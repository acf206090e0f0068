cdef int cholesky(Py_ssize_t n, double *a) noexcept nogil
cdef int precision_factor(Py_ssize_t n, const double *covariance, double *work, double *out) noexcept nogil
cdef void precision_of_factor(Py_ssize_t n, const double *factor, double *out) noexcept nogil
cdef void covariance_of_factor(Py_ssize_t n, const double *factor, double *work, double *out) noexcept nogil
cdef void upper_transposed_times(Py_ssize_t n, const double *upper, const double *x, double *y) noexcept nogil
cdef double log_diagonal(Py_ssize_t n, const double *a) noexcept nogil
cdef void invert_upper(Py_ssize_t n, double *upper, double *work) noexcept nogil
cdef int scaled_cholesky(Py_ssize_t n, double *a, double *scale, bint *is_deficient) noexcept nogil
cdef void solve_lower(Py_ssize_t n, const double *r, Py_ssize_t n_right, double *x) noexcept nogil
cdef void solve_upper(Py_ssize_t n, const double *r, double *x) noexcept nogil
