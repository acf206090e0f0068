"""Axes on which symmetric matrices are diagonal, or as nearly so as they get, by rotations in planes of two axes.

Rotations take no more room than the matrices, keep the digits of small eigenvalues and need no library, whose bits
might depend on threads (`engine/_linalg.pyx`); a few sweeps over all planes do.
"""

from libc.math cimport M_PI, atan2, cos, exp, fabs, log, sin, sqrt
from libc.string cimport memset

cdef enum:
    MOST_ROTATIONS = 30     # sweeps: six to eight are usual, for the number of right digits doubles with each
    MOST_SWEEPS = 100       # sweeps of Newton steps at a start
    MOST_WARM_SWEEPS = 20   # sweeps from the last axes: near-singular matrices take hundreds, over iterations of EM
    MOST_STEPS = 40         # steps of Newton's method in a plane: four to six are usual
    N_TRIED = 8             # angles that are tried in a plane; Newton's method begins at the best
cdef double NEGLIGIBLE = 1e-30     # the square of a correlation that is rounding
cdef double NEAR = 0.05            # steps shorter than this need no safeguard
cdef double SETTLED = 1e-13        # converged when a sweep changes variances by a smaller share than this


cdef inline void rotate(Py_ssize_t d, Py_ssize_t p, Py_ssize_t q, double c, double s, double *matrix) noexcept nogil:
    """IN and OUT matrix[d][d]: Jacobi rotation; axis p becomes c e_p + s e_q and axis q becomes c e_q - s e_p."""
    cdef Py_ssize_t j
    cdef double *row = matrix + p * d
    cdef double *other = matrix + q * d
    cdef double value
    rotate_columns(d, p, q, c, s, matrix)
    for j in range(d):
        value = row[j]
        row[j] = c * value + s * other[j]
        other[j] = c * other[j] - s * value


cdef inline void rotate_columns(Py_ssize_t d, Py_ssize_t p, Py_ssize_t q, double c, double s,
                                double *matrix) noexcept nogil:
    cdef Py_ssize_t i
    cdef double *row
    cdef double value
    for i in range(d):
        row = matrix + i * d
        value = row[p]
        row[p] = c * value + s * row[q]
        row[q] = c * row[q] - s * value


cdef void set_to_columns(Py_ssize_t d, double *axes) noexcept nogil:
    cdef Py_ssize_t i
    memset(axes, 0, d * d * sizeof(double))
    for i in range(d):
        axes[i * (d + 1)] = 1


cdef void diagonalise(Py_ssize_t n, Py_ssize_t d, double *matrices, double *axes) noexcept nogil:
    """Joint diagonalisation of matrices that commute (Cardoso & Souloumiac, SIAM Journal on Matrix Analysis 17 (1996),
    doi:10.1137/S0895479893259546); for n = 1 this is Jacobi's method.

    IN and OUT matrices[n][d][d]: positive semidefinite, with common axes; they become axes' matrix axes, diagonal.
    OUT axes[d][d]: orthogonal, the common axes in its columns."""
    cdef Py_ssize_t p, q, k
    cdef double difference, twice, trace, even, odd, crossed, angle, correlated, product, c, s
    cdef const double *matrix
    cdef bint is_done
    cdef int _sweep
    set_to_columns(d, axes)
    for _sweep in range(MOST_ROTATIONS):
        is_done = True
        for p in range(d - 1):
            for q in range(p + 1, d):
                even = odd = crossed = 0
                correlated = 0
                for k in range(n):
                    matrix = matrices + k * d * d
                    trace = fabs(matrix[p * d + p]) + fabs(matrix[q * d + q])
                    if not trace > 0:
                        continue
                    twice = matrix[p * d + q] / trace * 2
                    difference = (matrix[p * d + p] - matrix[q * d + q]) / trace
                    product = (1 - difference * difference) * NEGLIGIBLE  # 4 a_pp a_qq
                    if twice * twice > product and fabs(twice) > 1e-18:
                        correlated = max(correlated, fabs(twice))
                    even += difference * difference
                    odd += twice * twice
                    crossed += difference * twice
                if correlated == 0:
                    continue
                angle = 0.25 * atan2(2 * crossed, even - odd)
                if fabs(angle) < 1e-17:
                    continue
                is_done = False
                c, s = cos(angle), sin(angle)
                for k in range(n):
                    rotate(d, p, q, c, s, matrices + k * d * d)
                rotate_columns(d, p, q, c, s, axes)
        if is_done:
            return


cdef void sort_axes(Py_ssize_t d, double *matrix, double *axes) noexcept nogil:
    """IN and OUT: sort a diagonal matrix in descending order, and the columns of axes with it."""
    cdef Py_ssize_t i, j, largest
    cdef double value
    for i in range(d - 1):
        largest = i
        for j in range(i + 1, d):
            if matrix[j * (d + 1)] > matrix[largest * (d + 1)]:
                largest = j
        if largest != i:
            value = matrix[i * (d + 1)]
            matrix[i * (d + 1)] = matrix[largest * (d + 1)]
            matrix[largest * (d + 1)] = value
            for j in range(d):
                value = axes[j * d + i]
                axes[j * d + i] = axes[j * d + largest]
                axes[j * d + largest] = value


cdef void turn(Py_ssize_t d, const double *matrix, const double *axes, double *work, double *out) noexcept nogil:
    """out = axes' matrix axes; `work` holds d * d doubles."""
    cdef Py_ssize_t i, j, m
    memset(work, 0, d * d * sizeof(double))
    memset(out, 0, d * d * sizeof(double))
    for i in range(d):
        for m in range(d):
            for j in range(d):
                work[i * d + j] += matrix[i * d + m] * axes[m * d + j]
    for m in range(d):
        for i in range(d):
            for j in range(i, d):
                out[i * d + j] += axes[m * d + i] * work[m * d + j]
    for i in range(d):
        for j in range(i):
            out[i * d + j] = out[j * d + i]


# ---- matrices that have no common axes ------------------------------------------------------------------------------

# In a plane, with a and b the variances on its axes and t four times the angle that these are turned by, a b is, up to
# a factor, q(t) = mean - even cos t - odd sin t. What is made small is the sum of weight log q, or of weight q^power.
ctypedef struct plane_t:
    Py_ssize_t n
    double power   # 0: logarithms
    double *weight
    double *mean
    double *even
    double *odd


cdef inline double product_of(const plane_t *plane, Py_ssize_t k, double t) noexcept nogil:
    return max(plane.mean[k] - plane.even[k] * cos(t) - plane.odd[k] * sin(t), 1e-300)


cdef double height(const plane_t *plane, double t) noexcept nogil:
    cdef Py_ssize_t k
    cdef double total = 0, q
    for k in range(plane.n):
        q = log(product_of(plane, k, t))
        total += plane.weight[k] * (q if plane.power == 0 else exp(plane.power * q))
    return total


cdef double slope_of(const plane_t *plane, double t, double *second) noexcept nogil:
    cdef Py_ssize_t k
    cdef double first = 0, c = cos(t), s = sin(t), q, along, bent, weight
    second[0] = 0
    for k in range(plane.n):
        q = max(plane.mean[k] - plane.even[k] * c - plane.odd[k] * s, 1e-300)
        along = (plane.even[k] * s - plane.odd[k] * c) / q
        bent = (plane.even[k] * c + plane.odd[k] * s) / q
        weight = plane.weight[k]
        if plane.power != 0:
            weight *= plane.power * exp(plane.power * log(q))
        first += weight * along
        second[0] += weight * (bent + (plane.power - 1) * along * along)
    return first


cdef double lowest(const plane_t *plane, bint looks_about) noexcept nogil:
    """Returns t at a minimum of the objective in a plane: with `looks_about` the lowest of all, else the local one
    downhill from t = 0. Close to it a single Newton step is made, since rotations in other planes move it again."""
    cdef double t = 0, least, step, second = 0, first = slope_of(plane, 0, &second), value, tried
    cdef int i, _step, _halving
    if not looks_about and second > 0 and fabs(first) < NEAR * second:
        return -first / second
    least = height(plane, 0)
    if looks_about:
        for i in range(1, N_TRIED):
            tried = 2 * M_PI * i / N_TRIED
            value = height(plane, tried)
            if value < least:
                t, least = tried, value
    for _step in range(MOST_STEPS):
        first = slope_of(plane, t, &second)
        if first == 0:
            break
        step = -first / second if second > 0 else (-0.5 if first > 0 else 0.5)
        step = min(max(step, -0.5), 0.5)
        if fabs(step) < 1e-6 and second > 0:  # what is left is its square
            t += step
            break
        for _halving in range(30):
            value = height(plane, t + step)
            if value <= least:
                break
            step *= 0.5
        else:
            break
        t, least = t + step, value
    return t if t <= M_PI else t - 2 * M_PI


cdef void make_most_diagonal(Py_ssize_t n, Py_ssize_t d, const double *weights, bint takes_logarithms,
                             bint looks_about, double *matrices, double *axes, double *work) noexcept nogil:
    """Axes on which matrices without common axes are as diagonal as possible. Minimises sum_i weight_i log det
    diag(M_i) (`takes_logarithms`), or sum_i weight_i det(diag(M_i))^(1/d).

    IN and OUT axes[d][d]: where the search begins, then the axes found, in columns; matrices[n][d][d]: positive
    definite, expressed on these axes. `looks_about`: begin with the lowest minimum in each plane instead of the
    nearest. `work` holds 5 n doubles."""
    cdef plane_t plane
    cdef Py_ssize_t p, q, k
    cdef double *logs = work
    cdef double *matrix
    cdef double largest, a, b, middle, half, crossed, spread, angle, moved, c, s
    cdef int sweep
    plane.n, plane.power = n, 0 if takes_logarithms else 1 / <double> d
    plane.weight, plane.mean, plane.even, plane.odd = work + n, work + 2 * n, work + 3 * n, work + 4 * n
    for sweep in range(MOST_SWEEPS if looks_about else MOST_WARM_SWEEPS):
        moved = 0
        for p in range(d - 1):
            for q in range(p + 1, d):
                spread, largest = 0, 0
                for k in range(n):
                    matrix = matrices + k * d * d
                    a, b = matrix[p * d + p], matrix[q * d + q]
                    middle = 0.5 * (a + b)
                    half, crossed = 0.5 * (a - b) / middle, matrix[p * d + q] / middle
                    spread = max(spread, half * half + crossed * crossed)
                    plane.mean[k] = 1 - 0.5 * (half * half + crossed * crossed)
                    plane.even[k] = 0.5 * (half * half - crossed * crossed)
                    plane.odd[k] = half * crossed
                    plane.weight[k] = weights[k]
                    if plane.power != 0:
                        logs[k] = plane.power * (log_of_the_others(d, matrix, p, q) + 2 * log(middle))
                        largest = logs[k] if k == 0 else max(largest, logs[k])
                if plane.power != 0:
                    for k in range(n):
                        plane.weight[k] *= exp(logs[k] - largest)
                angle = 0.25 * lowest(&plane, looks_about and sweep == 0)
                if fabs(angle) * sqrt(spread) < 0.01 * SETTLED:
                    continue
                moved = max(moved, fabs(angle) * sqrt(spread))
                c, s = cos(angle), sin(angle)
                for k in range(n):
                    rotate(d, p, q, c, s, matrices + k * d * d)
                rotate_columns(d, p, q, c, s, axes)
        if moved < SETTLED:
            return


cdef double log_of_the_others(Py_ssize_t d, const double *matrix, Py_ssize_t p, Py_ssize_t q) noexcept nogil:
    cdef Py_ssize_t j
    cdef double total = 0
    for j in range(d):
        if j != p and j != q:
            total += log(matrix[j * (d + 1)])
    return total
