"""Doors to LAPACK for small symmetric matrices, row-major, without the GIL.

LAPACK is column-major: what it calls the upper triangle of a symmetric matrix is our lower one.
"""

from libc.math cimport INFINITY, log

from scipy.linalg.cython_lapack cimport dpotrf, dtrtri

from _blas_int cimport blas_int  # chosen when configuring, see meson.build


cdef int cholesky(Py_ssize_t n, double *a) noexcept nogil:
    """Overwrite the lower triangle of a with L, a = L L'. 0, or nonzero when a is not positive definite or not finite.

    The strict upper triangle is left as it was.
    """
    cdef blas_int order = <blas_int> n, info = 0
    cdef Py_ssize_t i
    dpotrf(b"U", &order, a, &order, &info)
    # LAPACK lets a NaN through; and a pivot of inf makes the rest zero
    if info == 0:
        for i in range(n):
            if not (0 < a[i * n + i] < INFINITY):
                return 1
    return <int> (info != 0)


cdef int precision_factor(Py_ssize_t n, const double *covariance, double *out) noexcept nogil:
    """out = U, upper triangular with U U' the inverse of the covariance; zeros below. Nonzero as `cholesky` gives it.

    With covariance = L L', U is the transposed inverse of L: what scikit-learn calls precisions_cholesky.
    """
    cdef blas_int order = <blas_int> n, info = 0
    cdef Py_ssize_t i, j
    for i in range(n * n):
        out[i] = covariance[i]
    if cholesky(n, out) != 0:
        return 1
    dtrtri(b"U", b"N", &order, out, &order, &info)
    for i in range(n):
        for j in range(i):
            out[j * n + i] = out[i * n + j]
            out[i * n + j] = 0
    return <int> (info != 0)


cdef void upper_transposed_times(Py_ssize_t n, const double *upper, const double *x, double *y) noexcept nogil:
    """y = upper' x."""
    cdef Py_ssize_t i, j
    for j in range(n):
        y[j] = 0
    for i in range(n):
        for j in range(i, n):
            y[j] += upper[i * n + j] * x[i]


cdef double log_diagonal(Py_ssize_t n, const double *a) noexcept nogil:
    """Sum of the logarithms of the diagonal: half the log-determinant, from a Cholesky factor."""
    cdef double total = 0
    cdef Py_ssize_t i
    for i in range(n):
        total += log(a[i * n + i])
    return total
