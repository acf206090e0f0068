"""The verbs of the Gaussian families: prepare and maximise here, the loops over rows in `_kernels/gaussian.c`.

Parameters, C order, one after the other (K components, d features):

    full        means[K][d]   covariances[K][d][d]   precisions_cholesky[K][d][d]
    tied        means[K][d]   covariance[d][d]       precision_cholesky[d][d]
    diagonal    means[K][d]   covariances[K][d]      precisions_cholesky[K][d]
    spherical   means[K][d]   covariances[K]         precisions_cholesky[K]

Statistics are laid out in `_kernels/gaussian.h`. Second moments are taken about the means of the pass (tied: about its
pivot) and corrected by the shift of the mean, S / N - delta delta'; never E[x^2] - m^2.

A covariance that is not positive definite to working precision is repaired: REPAIR times the variance that the column
has over all components together is added to its diagonal, tenfold until it is (`repair_floors`).
"""

from libc.float cimport DBL_MAX, DBL_MIN, FLT_MAX, FLT_MIN
from libc.math cimport INFINITY, M_PI, exp, fabs, isfinite, log, sqrt
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from mixfast._capsule cimport capsule_of
from mixfast._family cimport (
    MIXFAST_EMPTIED_COMPONENT,
    MIXFAST_NOT_FINITE,
    MIXFAST_OK,
    MIXFAST_REPAIRED_COVARIANCE,
    family_t,
    gaussian_kernels_t,
    mixfast_select_gaussian,
    mixfast_select_rows,
    prepare_carry_fn,
    rows_kernels_t,
    totals_t,
)
from mixfast._isa cimport resolve_isa
from mixfast._linalg cimport (
    covariance_of_factor,
    invert_upper,
    log_diagonal,
    precision_factor,
    upper_transposed_times,
)

cdef double REPAIR = 1e-6      # the size that scikit-learn's reg_covar has for standardised columns
cdef double CARRY_ROUNDING = 1e-6   # a ceiling is kept as a float: 2^-23 of it is lost, and it must not sink
cdef enum:
    SMALL = 4                  # of _kernels/gaussian.c: moments of so many columns cost less than gathering rows
cdef int MAX_REPAIRS = 30      # tenfold each: more than the range of double needs

ctypedef struct context_t:
    double reg_covar
    const rows_kernels_t *rows
    const gaussian_kernels_t *gaussian


cdef inline const context_t *context_of(const family_t *f) noexcept nogil:
    return <const context_t *> f.context


cdef inline double epsilon(const family_t *f) noexcept nogil:
    """The rounding of the precision that statistics were computed in."""
    return 2.220446049250313e-16 if f.real_bytes == 8 else 1.1920928955078125e-07


cdef inline double as_packed(const family_t *f, double value) noexcept nogil:
    """A number as the kernels saw it: tables are rounded to the rows' precision."""
    return value if f.real_bytes == 8 else <double> <float> value


# ---- prepare --------------------------------------------------------------------------------------------------------

cdef void centre_means(const family_t *f, const double *weights, const double *means, double *pivot,
                       double *centred) noexcept nogil:
    """pivot = the mean of the mixture; centred = means - pivot."""
    cdef Py_ssize_t k, j, n_components = f.n_components, d = f.n_features
    for k in range(n_components):
        for j in range(d):
            pivot[j] += weights[k] * means[k * d + j]
    for k in range(n_components):
        for j in range(d):
            centred[k * d + j] = means[k * d + j] - pivot[j]


cdef inline double log_normaliser(Py_ssize_t d) noexcept nogil:
    return -0.5 * <double> d * log(2 * M_PI)


cdef void *real_at(const family_t *f, void *tables, Py_ssize_t i) noexcept nogil:
    return <char *> tables + i * f.real_bytes


cdef void full_prepare(const family_t *f, const double *weights, const double *params, double *work, double *pivot,
                       void *tables) noexcept nogil:
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k
    cdef const double *precisions = params + n_components * d + n_components * d * d
    cdef double *constant = work
    cdef double *mean = constant + n_components
    cdef double *shift = mean + n_components * d
    cdef Py_ssize_t n_head = n_components * (1 + 2 * d)
    cdef Py_ssize_t packed_size = context_of(f).gaussian.packed_triangle_size(d)
    centre_means(f, weights, params, pivot, mean)
    for k in range(n_components):
        constant[k] = log(weights[k]) + log_normaliser(d) + log_diagonal(d, precisions + k * d * d)
        upper_transposed_times(d, precisions + k * d * d, mean + k * d, shift + k * d)
        context_of(f).gaussian.pack_triangle(d, precisions + k * d * d, real_at(f, tables, n_head + k * packed_size))
    context_of(f).rows.round_to_real(n_head, work, tables)


cdef void tied_prepare(const family_t *f, const double *weights, const double *params, double *work, double *pivot,
                       void *tables) noexcept nogil:
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k, i, j
    cdef const double *factor = params + n_components * d + d * d
    cdef double *constant = work
    cdef double *coef = constant + n_components
    cdef double *zeros = coef + n_components * d
    cdef double *mean = zeros + d
    cdef double *whitened = mean + n_components * d
    cdef double log_det = log_diagonal(d, factor)
    centre_means(f, weights, params, pivot, mean)
    memset(zeros, 0, d * sizeof(double))
    for k in range(n_components):
        constant[k] = log(weights[k]) + log_normaliser(d) + log_det
        upper_transposed_times(d, factor, mean + k * d, whitened)
        for i in range(d):
            constant[k] -= 0.5 * whitened[i] * whitened[i]
            coef[k * d + i] = 0
            for j in range(i, d):
                coef[k * d + i] += factor[i * d + j] * whitened[j]
    context_of(f).rows.round_to_real(n_components * (1 + d) + d, work, tables)
    context_of(f).gaussian.pack_triangle(d, factor, real_at(f, tables, n_components * (1 + d) + d))


cdef void diagonal_tables(const family_t *f, const double *weights, const double *means, const double *precisions,
                          Py_ssize_t row_step, Py_ssize_t column_step, double *work, double *pivot,
                          void *tables) noexcept nogil:
    """Tables from square roots of precisions at precisions[k * row_step + j * column_step]."""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k, j, i
    cdef double *constant = work
    cdef double *mean = constant + n_components
    cdef double *scale = mean + n_components * d
    cdef double *shift = scale + n_components * d
    centre_means(f, weights, means, pivot, mean)
    for k in range(n_components):
        constant[k] = log(weights[k]) + log_normaliser(d)
        for j in range(d):
            i = k * d + j
            scale[i] = precisions[k * row_step + j * column_step]
            constant[k] += log(scale[i])
            shift[i] = scale[i] * mean[i]
    context_of(f).rows.round_to_real(n_components * (1 + 3 * d), work, tables)


cdef void diagonal_prepare(const family_t *f, const double *weights, const double *params, double *work, double *pivot,
                           void *tables) noexcept nogil:
    cdef Py_ssize_t size = f.n_components * f.n_features
    diagonal_tables(f, weights, params, params + 2 * size, f.n_features, 1, work, pivot, tables)


cdef void spherical_prepare(const family_t *f, const double *weights, const double *params, double *work,
                            double *pivot, void *tables) noexcept nogil:
    cdef Py_ssize_t n_components = f.n_components
    diagonal_tables(f, weights, params, params + n_components * f.n_features + n_components, 1, 0, work, pivot, tables)


# ---- maximise -------------------------------------------------------------------------------------------------------

cdef void pooled_moments(const family_t *f, const double *counts, const double *means, const double *variances,
                         Py_ssize_t row_step, Py_ssize_t column_step, double *mean, double *variance) noexcept nogil:
    """Mean and variance of each column over all components together, from variances[k * row_step + j * column_step]."""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k, j
    cdef double total = 0, delta
    for k in range(n_components):
        total += counts[k]
    for j in range(d):
        mean[j] = variance[j] = 0
    for k in range(n_components):
        if counts[k] > 0:
            for j in range(d):
                mean[j] += counts[k] / total * means[k * d + j]
    for k in range(n_components):
        if counts[k] > 0:
            for j in range(d):
                delta = means[k * d + j] - mean[j]
                variance[j] += counts[k] / total * (variances[k * row_step + j * column_step] + delta * delta)


cdef inline double rounding_of(const family_t *f, double mean, double pooled) noexcept nogil:
    """A variance that the rounding of the coordinates alone can make, or whose inverse the precision cannot hold."""
    cdef double rounding = 4 * epsilon(f)
    return rounding * rounding * (mean * mean + pooled) + (DBL_MIN if f.real_bytes == 8 else FLT_MIN)


cdef inline double largest_real(const family_t *f) noexcept nogil:
    return DBL_MAX if f.real_bytes == 8 else FLT_MAX


cdef inline bint is_degenerate(const family_t *f, double variance, double mean, double pooled) noexcept nogil:
    return not (variance > rounding_of(f, mean, pooled) and isfinite(variance))


cdef int repair_floors(const family_t *f, Py_ssize_t d, const double *mean, const double *pooled,
                       double *floors) noexcept nogil:
    """What a repair adds to each of d columns: REPAIR times its pooled variance, or where it is constant, times the
    largest of the others', or times 1; and no less than what rounding makes."""
    cdef Py_ssize_t j
    cdef double largest = 0, rounding, scale
    for j in range(d):
        if not pooled[j] < largest_real(f):
            return MIXFAST_NOT_FINITE
        if pooled[j] > rounding_of(f, mean[j], pooled[j]):
            largest = max(largest, pooled[j])
    for j in range(d):
        rounding = rounding_of(f, mean[j], max(pooled[j], 0.0))
        scale = pooled[j] if pooled[j] > rounding else largest if largest > 0 else 1
        floors[j] = max(REPAIR * scale, 4 * rounding)
        if not floors[j] < largest_real(f):
            return MIXFAST_NOT_FINITE
    return MIXFAST_OK


cdef bint factor_fails(const family_t *f, const double *mean, const double *pooled, const double *covariance,
                       double *work, double *factor) noexcept nogil:
    """factor = the precision's; true if the covariance is not positive definite to working precision.

    `work` holds n_features doubles.
    """
    cdef Py_ssize_t d = f.n_features, j
    for j in range(d):
        if is_degenerate(f, covariance[j * d + j], mean[j], pooled[j]):
            return True
    if precision_factor(d, covariance, work, factor) != 0:
        return True
    for j in range(d):
        # 1 / factor_jj^2 is the variance of column j given those before it: rounding when it is some eps of the whole.
        # Without the 8, three of 36,000 fits of nearly dependent columns kept an eigenvalue below zero.
        if not (factor[j * d + j] * factor[j * d + j] * covariance[j * d + j] * epsilon(f) * 8 * <double> d < 1):
            return True
    return False


cdef int factor_or_repair(const family_t *f, const double *mean, const double *pooled, const double *floors,
                          double *covariance, double *work, double *factor) noexcept nogil:
    cdef Py_ssize_t d = f.n_features, j
    cdef double raised = 1
    cdef int _attempt
    if not factor_fails(f, mean, pooled, covariance, work, factor):
        return MIXFAST_OK
    for _attempt in range(MAX_REPAIRS):
        for j in range(d):
            covariance[j * d + j] += raised * floors[j]
        raised *= 10
        if not factor_fails(f, mean, pooled, covariance, work, factor):
            return MIXFAST_REPAIRED_COVARIANCE
    return MIXFAST_NOT_FINITE


cdef int variance_or_repair(const family_t *f, double mean, double pooled, double floor, double *variance,
                            double *factor) noexcept nogil:
    cdef int status = MIXFAST_OK
    if is_degenerate(f, variance[0], mean, pooled):
        variance[0] = floor if not variance[0] > 0 else variance[0] + floor
        status = MIXFAST_REPAIRED_COVARIANCE if isfinite(variance[0]) else MIXFAST_NOT_FINITE
    factor[0] = 1 / sqrt(variance[0])
    return status


cdef void move_mean(const family_t *f, double count, const double *pivot, const double *first, double *mean,
                    double *delta) noexcept nogil:
    """delta = first / count, and the mean moves there from the centre that the kernels used."""
    cdef Py_ssize_t j
    for j in range(f.n_features):
        delta[j] = first[j] / count
        mean[j] = pivot[j] + as_packed(f, mean[j] - pivot[j]) + delta[j]


cdef int full_maximise(const family_t *f, const totals_t *totals, double *work, double *params) noexcept nogil:
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, n_pairs = d * (d + 1) // 2, k, i, j
    cdef const double *second = totals.stats + n_components * d
    cdef double *means = params
    cdef double *covariances = means + n_components * d
    cdef double *delta = work
    cdef double *mean = delta + d
    cdef double *pooled = mean + d
    cdef double *floors = pooled + d
    cdef double *covariance
    cdef double reg_covar = context_of(f).reg_covar
    for k in range(n_components):
        if totals.counts[k] > 0:
            move_mean(f, totals.counts[k], totals.pivot, totals.stats + k * d, means + k * d, delta)
            covariance = covariances + k * d * d
            for i in range(d):
                for j in range(i + 1):
                    covariance[i * d + j] = second[k * n_pairs + i * (i + 1) // 2 + j] / totals.counts[k]
                    covariance[i * d + j] -= delta[i] * delta[j]
                    covariance[j * d + i] = covariance[i * d + j]
                covariance[i * d + i] += reg_covar
    pooled_moments(f, totals.counts, means, covariances, d * d, d + 1, mean, pooled)
    return repair_floors(f, d, mean, pooled, floors)


cdef int full_maximise_component(const family_t *f, Py_ssize_t k, const totals_t *totals, const double *work,
                                 double *own_work, double *params) noexcept nogil:
    """The factor of a component's precision; one without rows gets the moments of all."""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, j
    cdef const double *mean = work + d
    cdef const double *pooled = mean + d
    cdef const double *floors = pooled + d
    cdef double *own_mean = params + k * d
    cdef double *covariance = params + n_components * d + k * d * d
    cdef double *factor = covariance + n_components * d * d
    cdef int status = MIXFAST_OK
    if totals.counts[k] == 0:
        status = MIXFAST_EMPTIED_COMPONENT
        memset(covariance, 0, d * d * sizeof(double))
        for j in range(d):
            own_mean[j] = mean[j]
            covariance[j * d + j] = pooled[j]
    return status | factor_or_repair(f, own_mean, pooled, floors, covariance, own_work, factor)


cdef int tied_maximise(const family_t *f, const totals_t *totals, double *work, double *params) noexcept nogil:
    """covariance = (sum of w x x' - sum over k of N_k m_k m_k') / N, all about the origin. Needs no d^2 work in a pass;
    loses (spread of the means / standard deviation)^2 of the relative precision."""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k, i, j
    cdef const double *counts = totals.counts
    cdef const double *second = totals.common + d
    cdef double *means = params
    cdef double *covariance = means + n_components * d
    cdef double *precision = covariance + d * d
    cdef double *mean = work
    cdef double *pooled = mean + d
    cdef double *floors = pooled + d
    cdef double *centred = floors + 2 * d
    cdef double n = 0
    cdef int status
    for k in range(n_components):
        n += counts[k]
        for j in range(d):
            centred[k * d + j] = 0
            if counts[k] > 0:
                centred[k * d + j] = totals.pivot[j] - totals.origin[j] + totals.stats[k * d + j] / counts[k]
                means[k * d + j] = totals.pivot[j] + totals.stats[k * d + j] / counts[k]
    for i in range(d):
        for j in range(i + 1):
            covariance[i * d + j] = second[i * (i + 1) // 2 + j]
            for k in range(n_components):
                covariance[i * d + j] -= counts[k] * centred[k * d + i] * centred[k * d + j]
            covariance[i * d + j] /= n
            covariance[j * d + i] = covariance[i * d + j]
        covariance[i * d + i] += context_of(f).reg_covar
    pooled_moments(f, counts, means, covariance, 0, d + 1, mean, pooled)
    status = repair_floors(f, d, mean, pooled, floors)
    if status != MIXFAST_OK:
        return status
    for k in range(n_components):
        if counts[k] == 0:
            status |= MIXFAST_EMPTIED_COMPONENT
            for j in range(d):
                means[k * d + j] = mean[j]
    return status | factor_or_repair(f, mean, pooled, floors, covariance, floors + d, precision)


cdef double tied_common_evidence(const family_t *f, const totals_t *totals, const double *params,
                                 double *work) noexcept nogil:
    """-1/2 sum of w (x - pivot)' U U' (x - pivot): over the columns u of U, u' S u, S the second moments about the
    pivot."""
    cdef Py_ssize_t d = f.n_features, i, j, c
    cdef const double *factor = params + f.n_components * d + d * d
    cdef const double *first = totals.common
    cdef const double *second = first + d
    cdef double *shift = work
    cdef double total = 0, along, moved, crossed
    for j in range(d):
        shift[j] = totals.pivot[j] - totals.origin[j]
    for c in range(d):
        moved = crossed = 0
        for i in range(c + 1):
            along = 0
            for j in range(i):
                along += second[i * (i + 1) // 2 + j] * factor[j * d + c]
            total += factor[i * d + c] * (2 * along + second[i * (i + 1) // 2 + i] * factor[i * d + c])
            moved += shift[i] * factor[i * d + c]
            crossed += first[i] * factor[i * d + c]
        # S about the pivot is S about the origin - first shift' - shift first' + N shift shift'
        total += moved * (totals.common[d + d * (d + 1) // 2] * moved - 2 * crossed)
    return -0.5 * total


cdef int diagonal_maximise(const family_t *f, const totals_t *totals, double *work, double *params) noexcept nogil:
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k, j, i
    cdef const double *second = totals.stats + n_components * d
    cdef double *means = params
    cdef double *variances = means + n_components * d
    cdef double *precisions = variances + n_components * d
    cdef double *delta = work
    cdef double *mean = delta + d
    cdef double *pooled = mean + d
    cdef double *floors = pooled + d
    cdef int status
    for k in range(n_components):
        if totals.counts[k] > 0:
            move_mean(f, totals.counts[k], totals.pivot, totals.stats + k * d, means + k * d, delta)
            for j in range(d):
                i = k * d + j
                variances[i] = second[i] / totals.counts[k] - delta[j] * delta[j] + context_of(f).reg_covar
    pooled_moments(f, totals.counts, means, variances, d, 1, mean, pooled)
    status = repair_floors(f, d, mean, pooled, floors)
    if status != MIXFAST_OK:
        return status
    for k in range(n_components):
        if totals.counts[k] == 0:
            status |= MIXFAST_EMPTIED_COMPONENT
        for j in range(d):
            i = k * d + j
            if totals.counts[k] == 0:
                means[i], variances[i] = mean[j], pooled[j]
            status |= variance_or_repair(f, means[i], pooled[j], floors[j], variances + i, precisions + i)
    return status


cdef int spherical_maximise(const family_t *f, const totals_t *totals, double *work, double *params) noexcept nogil:
    """The variance of a component is the average of what the diagonal family would give its columns."""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k, j
    cdef const double *second = totals.stats + n_components * d
    cdef double *means = params
    cdef double *variances = means + n_components * d
    cdef double *precisions = variances + n_components
    cdef double *delta = work
    cdef double *mean = delta + d
    cdef double *pooled = mean + d
    cdef double *floors = pooled + d
    cdef double average = 0, square = 0, total
    cdef int status
    for k in range(n_components):
        if totals.counts[k] > 0:
            move_mean(f, totals.counts[k], totals.pivot, totals.stats + k * d, means + k * d, delta)
            total = 0
            for j in range(d):
                total += second[k * d + j] / totals.counts[k] - delta[j] * delta[j]
            variances[k] = total / <double> d + context_of(f).reg_covar
    pooled_moments(f, totals.counts, means, variances, 1, 0, mean, pooled)
    for j in range(d):
        average += pooled[j] / <double> d
    for j in range(d):
        square += mean[j] * mean[j] / <double> d
    square = sqrt(square)
    status = repair_floors(f, 1, &square, &average, floors)
    if status != MIXFAST_OK:
        return status
    for k in range(n_components):
        if totals.counts[k] == 0:
            status |= MIXFAST_EMPTIED_COMPONENT
            variances[k] = average
            for j in range(d):
                means[k * d + j] = mean[j]
        square = 0
        for j in range(d):
            square += means[k * d + j] * means[k * d + j] / <double> d
        status |= variance_or_repair(f, sqrt(square), average, floors[0], variances + k, precisions + k)
    return status


# ---- carry ----------------------------------------------------------------------------------------------------------

# A chunk's rows are all at a Mahalanobis distance of m or more from a component: |U' (x - mean)| >= m. When (mean, U)
# becomes (new_mean, V), V'(x - new_mean) = A (U'(x - mean) - U'(new_mean - mean)) with A = V' U^-T, so that the new
# distance is at least sigma_min(A) (m - |U'(new_mean - mean)|). Carry: last constant[K] | constant[K] | sigma_min[K] |
# step[K], where a ceiling is constant - m^2 / 2. Elkan's bounds of k-means (ICML 2003), for soft assignment and
# covariances.

cdef void carry_ceilings(const family_t *f, const double *carry, float *ceiling) noexcept nogil:
    cdef Py_ssize_t n_components = f.n_components, k
    cdef const double *last_constant = carry
    cdef const double *constant = carry + n_components
    cdef const double *shrink = carry + 2 * n_components
    cdef const double *step = carry + 3 * n_components
    cdef double distance
    for k in range(n_components):
        if fabs(ceiling[k]) < INFINITY and isfinite(constant[k]):
            distance = 2 * (last_constant[k] - ceiling[k])
            distance = shrink[k] * max(sqrt(distance if distance > 0 else 0) - step[k], 0.0)
            distance = 0.5 * distance * distance
            distance = constant[k] - distance + (fabs(constant[k]) + distance) * CARRY_ROUNDING
            ceiling[k] = <float> max(distance, -FLT_MAX)


cdef double norm_bound(Py_ssize_t n, const double *upper, double *square) noexcept nogil:
    """No less than the largest singular value of an upper triangular matrix E: |E|^2 = |E'E|, which is no more than its
    Frobenius norm, and that at most n^(1/2) too much. `square` holds n * n doubles."""
    cdef Py_ssize_t i, j, k
    cdef double factor, total = 0
    memset(square, 0, n * n * sizeof(double))
    for k in range(n):
        for i in range(k, n):
            factor = upper[k * n + i]
            for j in range(i, n):
                square[i * n + j] += factor * upper[k * n + j]
    for i in range(n):
        total += square[i * n + i] * square[i * n + i]
        for j in range(i + 1, n):
            total += 2 * square[i * n + j] * square[i * n + j]
    return sqrt(sqrt(total))


cdef void full_prepare_carry(const family_t *f, Py_ssize_t k, const double *last_weights, const double *last_params,
                             const double *weights, const double *params, double *own_work,
                             double *carry) noexcept nogil:
    """1 / sigma_min(A) = |A^-1| = |R U|, R the inverse of V, and that is at most 1 + |R U - I|, which is small when
    little has changed."""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, i, j, m
    cdef Py_ssize_t skipped = n_components * d * (1 + d)
    cdef const double *last_factor = last_params + skipped + k * d * d
    cdef const double *factor = params + skipped + k * d * d
    cdef double *inverse = own_work
    cdef double *product = inverse + d * d
    cdef double *step = product + d * d
    cdef double *moved = step + d
    cdef double total = 0
    carry[k] = log(last_weights[k]) + log_normaliser(d) + log_diagonal(d, last_factor)
    carry[n_components + k] = log(weights[k]) + log_normaliser(d) + log_diagonal(d, factor)
    for j in range(d):
        step[j] = params[k * d + j] - last_params[k * d + j]
    upper_transposed_times(d, last_factor, step, moved)
    for j in range(d):
        total += moved[j] * moved[j]
    carry[3 * n_components + k] = sqrt(total)
    for i in range(d * d):
        inverse[i] = factor[i]
    invert_upper(d, inverse, moved)
    memset(product, 0, d * d * sizeof(double))
    for i in range(d):
        for m in range(i, d):
            for j in range(m, d):
                product[i * d + j] += inverse[i * d + m] * last_factor[m * d + j]
        product[i * d + i] -= 1
    carry[2 * n_components + k] = 1 / (1 + norm_bound(d, product, inverse))


cdef void variances_prepare_carry(const family_t *f, Py_ssize_t k, const double *last_weights,
                                  const double *last_params, const double *weights, const double *params,
                                  Py_ssize_t row_step, Py_ssize_t column_step, double *carry) noexcept nogil:
    """Diagonal matrices: sigma_min is the least ratio of scales, which stand at [k * row_step + j * column_step]."""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, j, i
    cdef Py_ssize_t skipped = n_components * (d + row_step)
    cdef double last_scale, scale, shrink = INFINITY, total = 0, step
    carry[k] = log(last_weights[k]) + log_normaliser(d)
    carry[n_components + k] = log(weights[k]) + log_normaliser(d)
    for j in range(d):
        i = k * row_step + j * column_step
        last_scale, scale = last_params[skipped + i], params[skipped + i]
        carry[k] += log(last_scale)
        carry[n_components + k] += log(scale)
        shrink = min(shrink, scale / last_scale)
        step = last_scale * (params[k * d + j] - last_params[k * d + j])
        total += step * step
    carry[2 * n_components + k] = shrink
    carry[3 * n_components + k] = sqrt(total)


cdef void diagonal_prepare_carry(const family_t *f, Py_ssize_t k, const double *last_weights,
                                 const double *last_params, const double *weights, const double *params,
                                 double *own_work, double *carry) noexcept nogil:
    variances_prepare_carry(f, k, last_weights, last_params, weights, params, f.n_features, 1, carry)


cdef void spherical_prepare_carry(const family_t *f, Py_ssize_t k, const double *last_weights,
                                  const double *last_params, const double *weights, const double *params,
                                  double *own_work, double *carry) noexcept nogil:
    variances_prepare_carry(f, k, last_weights, last_params, weights, params, 1, 0, carry)


# ---- unconstrain and constrain --------------------------------------------------------------------------------------

# Free numbers: the means, then the logarithms of the square roots of precisions; for matrices the factors U by rows:
# the logarithm of the diagonal, and the others as shares of the diagonal, which no unit of a column changes.

cdef int unconstrain_factors(Py_ssize_t n_factors, Py_ssize_t d, const double *factors, double *out) noexcept nogil:
    cdef Py_ssize_t k, i, j
    cdef const double *row
    for k in range(n_factors):
        for i in range(d):
            row = factors + (k * d + i) * d
            out[0] = log(row[i])
            out += 1
            for j in range(i + 1, d):
                out[0] = row[j] / row[i]
                out += 1
    return 0


cdef int constrain_factors(Py_ssize_t n_factors, Py_ssize_t d, const double *numbers, double *work,
                           double *covariances, double *factors) noexcept nogil:
    """Nonzero where a covariance is not finite."""
    cdef Py_ssize_t k, i, j
    cdef double *factor
    cdef double *covariance
    for k in range(n_factors):
        factor = factors + k * d * d
        covariance = covariances + k * d * d
        for i in range(d):
            for j in range(i):
                factor[i * d + j] = 0
            factor[i * d + i] = exp(numbers[0])
            numbers += 1
            for j in range(i + 1, d):
                factor[i * d + j] = numbers[0] * factor[i * d + i]
                numbers += 1
        covariance_of_factor(d, factor, work, covariance)
        for i in range(d):
            if not (0 < covariance[i * d + i] and isfinite(covariance[i * d + i]) and isfinite(factor[i * d + i])):
                return 1
    return 0


cdef int unconstrain_scales(Py_ssize_t n, const double *scales, double *out) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        out[i] = log(scales[i])
    return 0


cdef int constrain_scales(Py_ssize_t n, const double *numbers, double *variances, double *scales) noexcept nogil:
    """Nonzero where a variance is not finite."""
    cdef Py_ssize_t i
    for i in range(n):
        scales[i] = exp(numbers[i])
        variances[i] = 1 / (scales[i] * scales[i])
        if not (0 < variances[i] and isfinite(variances[i]) and isfinite(scales[i])):
            return 1
    return 0


cdef int full_unconstrain(const family_t *f, const double *params, double *numbers) noexcept nogil:
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features
    memcpy(numbers, params, n_components * d * sizeof(double))
    return unconstrain_factors(n_components, d, params + n_components * (d + d * d), numbers + n_components * d)


cdef int full_constrain(const family_t *f, const double *numbers, double *work, double *params) noexcept nogil:
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features
    memcpy(params, numbers, n_components * d * sizeof(double))
    return constrain_factors(n_components, d, numbers + n_components * d, work, params + n_components * d,
                             params + n_components * (d + d * d))


cdef int tied_unconstrain(const family_t *f, const double *params, double *numbers) noexcept nogil:
    cdef Py_ssize_t d = f.n_features, n_means = f.n_components * f.n_features
    memcpy(numbers, params, n_means * sizeof(double))
    return unconstrain_factors(1, d, params + n_means + d * d, numbers + n_means)


cdef int tied_constrain(const family_t *f, const double *numbers, double *work, double *params) noexcept nogil:
    cdef Py_ssize_t d = f.n_features, n_means = f.n_components * f.n_features
    memcpy(params, numbers, n_means * sizeof(double))
    return constrain_factors(1, d, numbers + n_means, work, params + n_means, params + n_means + d * d)


cdef int variances_unconstrain(const family_t *f, const double *params, double *numbers) noexcept nogil:
    """Diagonal and spherical: n_params less the means is variances and scales, half of each."""
    cdef Py_ssize_t n_means = f.n_components * f.n_features, n_scales = (f.n_params - n_means) // 2
    memcpy(numbers, params, n_means * sizeof(double))
    return unconstrain_scales(n_scales, params + n_means + n_scales, numbers + n_means)


cdef int variances_constrain(const family_t *f, const double *numbers, double *work, double *params) noexcept nogil:
    cdef Py_ssize_t n_means = f.n_components * f.n_features, n_scales = (f.n_params - n_means) // 2
    memcpy(params, numbers, n_means * sizeof(double))
    return constrain_scales(n_scales, numbers + n_means, params + n_means, params + n_means + n_scales)


# ---- bind -----------------------------------------------------------------------------------------------------------

cdef family_t *new_family(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa,
                          double reg_covar) except NULL:
    """A family with sizes and context set, to be filled by the functions below."""
    cdef int level = resolve_isa(isa)
    if n_components < 1 or n_features < 1 or real_bytes not in (4, 8):
        raise ValueError(f"cannot bind {n_components} components and {n_features} features of {real_bytes} bytes: "
                         "there must be some of each, float32 or float64")
    cdef family_t *f = <family_t *> calloc(1, sizeof(family_t))
    cdef context_t *context = <context_t *> calloc(1, sizeof(context_t))
    if f == NULL or context == NULL:
        free(f)
        free(context)
        raise MemoryError
    context.reg_covar = reg_covar
    context.rows = mixfast_select_rows(level, real_bytes)
    context.gaussian = mixfast_select_gaussian(level, real_bytes)
    f.n_components, f.n_features = n_components, n_features
    f.real_bytes, f.isa, f.context = real_bytes, level, context
    return f


def bind_full(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa, double reg_covar):
    cdef family_t *f = new_family(n_components, n_features, real_bytes, isa, reg_covar)
    cdef const gaussian_kernels_t *kernels = context_of(f).gaussian
    f.n_params = n_components * (n_features + 2 * n_features * n_features)
    f.n_stats = n_components * (n_features + n_features * (n_features + 1) // 2)
    f.n_tables = n_components * (1 + 2 * n_features + kernels.packed_triangle_size(n_features))
    f.n_scratch_columns = n_features + 1
    f.n_work = max(n_components * (1 + 2 * n_features), 4 * n_features)
    f.n_own_work = 2 * n_features * (n_features + 1)
    f.n_carry = 4 * n_components
    f.flops_per_component = n_features * n_features * n_features
    f.gathers_rows = n_features > SMALL
    f.flops_per_row = n_components * (2 * n_features * (n_features + 3) + 40)
    f.prepare, f.maximise, f.maximise_component = full_prepare, full_maximise, full_maximise_component
    f.n_free = n_components * (n_features + n_features * (n_features + 1) // 2)
    f.unconstrain, f.constrain = full_unconstrain, full_constrain
    f.log_density, f.accumulate = kernels.full_log_density, kernels.full_accumulate
    f.bounded_log_density = kernels.full_bounded_log_density
    f.prepare_carry, f.carry = full_prepare_carry, carry_ceilings
    return capsule_of(f)


def bind_tied(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa, double reg_covar):
    cdef family_t *f = new_family(n_components, n_features, real_bytes, isa, reg_covar)
    cdef const gaussian_kernels_t *kernels = context_of(f).gaussian
    f.n_params = n_components * n_features + 2 * n_features * n_features
    f.n_stats = n_components * n_features
    f.n_common = n_features + n_features * (n_features + 1) // 2 + 1
    f.n_tables = n_components * (1 + n_features) + n_features + kernels.packed_triangle_size(n_features)
    f.n_scratch_columns = n_features + 1
    f.n_work = n_components * (1 + 2 * n_features) + 4 * n_features
    f.flops_per_row = n_components * (4 * n_features + 40)
    f.prepare, f.maximise = tied_prepare, tied_maximise
    f.n_free = n_components * n_features + n_features * (n_features + 1) // 2
    f.unconstrain, f.constrain = tied_unconstrain, tied_constrain
    f.log_density, f.accumulate = kernels.tied_log_density, kernels.tied_accumulate
    f.accumulate_common, f.common_evidence = kernels.tied_accumulate_common, tied_common_evidence
    f.common_log_density = kernels.tied_common_log_density
    return capsule_of(f)


cdef void fill_diagonal(family_t *f) noexcept:
    """What the diagonal and the spherical family have in common."""
    f.n_stats = 2 * f.n_components * f.n_features
    f.n_tables = f.n_components * (1 + 3 * f.n_features)
    f.n_work = f.n_components * (1 + 3 * f.n_features) + 4 * f.n_features
    f.flops_per_row = f.n_components * (10 * f.n_features + 40)
    f.log_density = context_of(f).gaussian.diagonal_log_density
    f.accumulate = context_of(f).gaussian.diagonal_accumulate


cdef void fill_bounds(family_t *f, prepare_carry_fn prepare_carry) noexcept:
    f.n_carry = 4 * f.n_components
    f.flops_per_component = 20 * f.n_features
    f.bounded_log_density = context_of(f).gaussian.diagonal_bounded_log_density
    f.prepare_carry, f.carry = prepare_carry, carry_ceilings


def bind_diagonal(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa, double reg_covar):
    cdef family_t *f = new_family(n_components, n_features, real_bytes, isa, reg_covar)
    fill_diagonal(f)
    f.n_params = 3 * n_components * n_features
    f.prepare, f.maximise = diagonal_prepare, diagonal_maximise
    fill_bounds(f, diagonal_prepare_carry)
    f.n_free = 2 * n_components * n_features
    f.unconstrain, f.constrain = variances_unconstrain, variances_constrain
    return capsule_of(f)


def bind_spherical(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa, double reg_covar):
    cdef family_t *f = new_family(n_components, n_features, real_bytes, isa, reg_covar)
    fill_diagonal(f)
    f.n_params = n_components * (n_features + 2)
    f.prepare, f.maximise = spherical_prepare, spherical_maximise
    fill_bounds(f, spherical_prepare_carry)
    f.n_free = n_components * (n_features + 1)
    f.unconstrain, f.constrain = variances_unconstrain, variances_constrain
    return capsule_of(f)
