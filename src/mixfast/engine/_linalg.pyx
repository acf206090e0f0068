"""Factors of small symmetric matrices, row-major, without the GIL.

Our own, not LAPACK's, because of one guarantee: the same bits for any number of threads. OpenBLAS factors matrices of
order 128 and more on several threads with other bits for each number, and its limit on threads belongs to the process,
where two fits at once cannot both hold it. These loops run along rows and vectorise; they are a few per cent of a pass,
which does as much work for every few rows.
"""

from libc.float cimport DBL_MIN
from libc.math cimport INFINITY, isfinite, log, sqrt

# A squared pivot of a scaled matrix below the first threshold means linearly dependent rows. The second is then added
# to the diagonal, and more if that is not enough.
cdef double DEPENDENT = 1e-13
cdef double RIDGE = 1e-10


cdef int cholesky(Py_ssize_t n, double *a) noexcept nogil:
    """Overwrite the upper triangle of a with R, a = R' R. Nonzero when a is not positive definite or not finite."""
    cdef Py_ssize_t i, j, k
    cdef double pivot, factor
    for k in range(n):
        pivot = a[k * n + k]
        if not 0 < pivot < INFINITY:
            return 1
        pivot = sqrt(pivot)
        a[k * n + k] = pivot
        for j in range(k + 1, n):
            a[k * n + j] /= pivot
        for i in range(k + 1, n):
            factor = a[k * n + i]
            for j in range(i, n):
                a[i * n + j] -= factor * a[k * n + j]
    return 0


cdef void invert_upper(Py_ssize_t n, double *upper, double *work) noexcept nogil:
    """Overwrite an upper triangular matrix with its inverse; `work` holds n doubles.

    Row i of the inverse is (e_i - sum over k > i of upper_ik row_k) / upper_ii, from the last row up.
    """
    cdef Py_ssize_t i, j, k
    cdef double *row
    cdef double *below
    for i in range(n - 1, -1, -1):
        row = upper + i * n
        for k in range(i, n):
            work[k] = row[k]
            row[k] = 0
        row[i] = 1
        for k in range(i + 1, n):
            below = upper + k * n
            for j in range(k, n):
                row[j] -= work[k] * below[j]
        for j in range(i, n):
            row[j] /= work[i]


cdef int precision_factor(Py_ssize_t n, const double *covariance, double *work, double *out) noexcept nogil:
    """out = U, upper triangular with U U' the inverse of the covariance; zeros below. Nonzero where there is none.

    With covariance = R' R, U is the inverse of R: what scikit-learn calls precisions_cholesky. `work` holds n doubles.
    """
    cdef Py_ssize_t i, j
    if n == 1:  # the same bits in a tenth of the time, for the columns of tables
        out[0] = 1 / sqrt(covariance[0])
        return 0 if 0 < covariance[0] < INFINITY else 1
    for i in range(n):
        for j in range(n):
            out[i * n + j] = covariance[i * n + j] if j >= i else 0
    if cholesky(n, out) != 0:
        return 1
    invert_upper(n, out, work)
    return 0


cdef void precision_of_factor(Py_ssize_t n, const double *factor, double *out) noexcept nogil:
    """out = U U', with U upper triangular. If U is a `precision_factor`, out is the precision matrix."""
    cdef Py_ssize_t i, j, k
    for i in range(n):
        for j in range(i + 1):
            out[i * n + j] = 0
            for k in range(i, n):
                out[i * n + j] += factor[i * n + k] * factor[j * n + k]
            out[j * n + i] = out[i * n + j]


cdef void covariance_of_factor(Py_ssize_t n, const double *factor, double *work, double *out) noexcept nogil:
    """out = the inverse of U U', with U upper triangular: `precision_factor` undone. `work` holds n doubles.

    With R the inverse of U it is R' R, made in place from the last row up: row i needs those above it only.
    """
    cdef Py_ssize_t i, j, k
    cdef double total
    for i in range(n):
        for j in range(n):
            out[i * n + j] = factor[i * n + j] if j >= i else 0
    invert_upper(n, out, work)
    for i in range(n - 1, -1, -1):
        for j in range(n - 1, i - 1, -1):
            total = 0
            for k in range(i + 1):
                total += out[k * n + i] * out[k * n + j]
            out[i * n + j] = total
    for i in range(n):
        for j in range(i):
            out[i * n + j] = out[j * n + i]


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


cdef int scaled_cholesky(Py_ssize_t n, double *a, double *scale, bint *is_deficient) noexcept nogil:
    """Cholesky factor of a symmetric matrix scaled to a unit diagonal: S a S = R' R, S diagonal.

    IN and OUT a: its upper triangle becomes R. OUT scale[n]: the diagonal of S, 0 for a row of zeros; `is_deficient`:
    whether the diagonal was raised because rows are linearly dependent. Nonzero if a is not finite."""
    cdef Py_ssize_t i, j
    cdef double ridge = 0
    cdef int _attempt
    cdef bint fails
    for i in range(n):
        if not isfinite(a[i * n + i]):
            return 1
        scale[i] = 1 / sqrt(a[i * n + i]) if a[i * n + i] > DBL_MIN else 0
    for i in range(n):  # the lower triangle keeps what the upper loses
        for j in range(i):
            a[i * n + j] = a[j * n + i] * scale[i] * scale[j]
    for _attempt in range(8):
        for i in range(n):
            for j in range(i + 1, n):
                a[i * n + j] = a[j * n + i]
            a[i * n + i] = 1 + ridge
        fails = cholesky(n, a) != 0
        for i in range(n):
            fails |= not a[i * n + i] * a[i * n + i] > DEPENDENT
        if not fails:
            return 0
        is_deficient[0] = True
        ridge = RIDGE if ridge == 0 else 100 * ridge
    return 1


cdef void solve_lower(Py_ssize_t n, const double *r, Py_ssize_t n_right, double *x) noexcept nogil:
    """x[n][n_right] = R'^-1 x"""
    cdef Py_ssize_t i, k, c
    for i in range(n):
        for c in range(n_right):
            for k in range(i):
                x[i * n_right + c] -= r[k * n + i] * x[k * n_right + c]
            x[i * n_right + c] /= r[i * n + i]


cdef void solve_upper(Py_ssize_t n, const double *r, double *x) noexcept nogil:
    """x[n] = R^-1 x"""
    cdef Py_ssize_t i, k
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            x[i] -= r[i * n + k] * x[k]
        x[i] /= r[i * n + i]
