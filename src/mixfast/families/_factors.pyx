"""The verbs of mixtures of factor analysers; the loops over rows are in `_kernels/factors.c`.

Component k is normal with the covariance W W' + diag(psi), W (d, q). Parameters, C order, one after the other:

    means[K][d]   loadings[K][d][q]   noise_variances[K][d]

A row's factors z have, given the row, the mean B'(x - mean), B = diag(1/psi) W M^-1, and the covariance M^-1, M = I +
W' diag(1/psi) W.

The M-step raises sum_i r_ik log N(x_i | component k), r as it is: first by the means, then by a step of parameter-
expanded EM (Liu, Rubin & Wu, Biometrika 85 (1998)) for W and psi. Of the scatter S of a component's rows about their
mean it needs diag S, S B and B' S B alone. With C = M^-1 + B' S B and C = L L', W becomes S B L^-T, and psi the
diagonal of S - W W'; no less than `reg_covar` and REPAIR of the column's variance, which is where the maximum with this
bound is.
"""

from libc.math cimport M_PI, NAN, exp, isfinite, log, sqrt
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from mixfast.engine._capsule cimport capsule_of, give_free_numbers
from mixfast.engine._family cimport (
    MIXFAST_EMPTIED_COMPONENT,
    MIXFAST_NOT_FINITE,
    MIXFAST_OK,
    MIXFAST_REPAIRED_COVARIANCE,
    MIXFAST_SPURIOUS_COMPONENT,
    family_t,
    totals_t,
)
from mixfast.engine._kernels cimport factors_kernels_t, mixfast_select_factors
from mixfast.engine._linalg cimport precision_factor, precision_of_factor, scaled_cholesky, solve_lower
from mixfast.engine._triangle cimport in_triangle, triangle
from mixfast.families._covariances cimport (
    SPURIOUS_TIMES,
    about_the_mean,
    context_of,
    covariances_t,
    move_mean,
    move_t,
    new_family,
    pooled_moments,
    recentre_squares,
    repair_floors,
    root_mean_square,
    rounding_of,
    shift_of,
)
from mixfast.families._gaussian cimport centre_means

# The sum of squares of the loadings of a component whose rows are all equal, in units of its least noise. Loadings of 0
# would stay 0 in all further M-steps.
cdef double ALIVE = 1e-8

# The context: what factor analysers have in addition to other families with covariances.
ctypedef struct factors_t:
    covariances_t covariances  # the first member: `_covariances.pyx` sees no other
    Py_ssize_t n_factors
    bint is_tied               # all components have the same noise
    bint is_spherical          # all columns have the same noise


cdef inline const factors_t *own_context(const family_t *f) noexcept nogil:
    return <const factors_t *> f.context


cdef int invert_inner(Py_ssize_t d, Py_ssize_t q, const double *loadings, const double *noise, double *work,
                      double *inverse, double *log_det) noexcept nogil:
    """inverse[q][q] = M^-1, log_det[0] = log |M|; nonzero where M is not finite. `work` holds 2 q q + q doubles."""
    cdef double *inner = work
    cdef double *factor = inner + q * q
    cdef Py_ssize_t a, b, j
    cdef double own
    for a in range(q * q):
        inner[a] = 0
    for j in range(d):
        for a in range(q):
            own = loadings[j * q + a] / noise[j]
            for b in range(q):
                inner[a * q + b] += own * loadings[j * q + b]
    for a in range(q):
        inner[a * q + a] += 1
    if precision_factor(q, inner, factor + q * q, factor) != 0:
        return 1
    precision_of_factor(q, factor, inverse)
    log_det[0] = 0
    for a in range(q):
        log_det[0] -= 2 * log(factor[a * q + a])
    return 0


# ---- prepare --------------------------------------------------------------------------------------------------------

cdef void prepare(const family_t *f, const double *log_weights, const double *params, double *work, double *pivot,
                  void *tables) noexcept nogil:
    """work: what becomes the tables | inverse[q][q] | room"""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, q = own_context(f).n_factors, k, j, a, b
    cdef const double *loadings = params + n_components * d
    cdef const double *noise = loadings + n_components * d * q
    cdef double *constant = work
    cdef double *mean = constant + n_components
    cdef double *bias = mean + n_components * d
    cdef double *coef = bias + n_components * q
    cdef double *scale = coef + n_components * q * d
    cdef double *shift = scale + n_components * d
    cdef double *loading = shift + n_components * d
    cdef double *inverse = loading + n_components * d * q
    cdef double log_det
    centre_means(f, log_weights, params, pivot, mean)
    for k in range(n_components):
        if invert_inner(d, q, loadings, noise, inverse + q * q, inverse, &log_det) != 0:
            log_det = 0  # not finite; neither is what follows
        constant[k] = log_weights[k] - 0.5 * (<double> d * log(2 * M_PI) + log_det)
        for a in range(q):
            bias[a] = 0
            for j in range(d):
                coef[a * d + j] = 0
                for b in range(q):
                    coef[a * d + j] += inverse[a * q + b] * loadings[j * q + b]
                coef[a * d + j] /= noise[j]
                bias[a] -= coef[a * d + j] * mean[j]
        for j in range(d):
            constant[k] -= 0.5 * log(noise[j])
            scale[j] = 1 / sqrt(noise[j])
            shift[j] = scale[j] * mean[j]
            for a in range(q):
                loading[j * q + a] = scale[j] * loadings[j * q + a]
        mean, bias, coef, scale, shift = mean + d, bias + q, coef + q * d, scale + d, shift + d
        loading, loadings, noise = loading + d * q, loadings + d * q, noise + d
    context_of(f).rows.round_to_real(f.n_tables, work, tables)


# ---- maximise -------------------------------------------------------------------------------------------------------

cdef inline bint is_constant(const family_t *f, double mean, double offset, double pooled) noexcept nogil:
    """Whether a column is constant over all rows."""
    return pooled <= rounding_of(f, mean, offset)


cdef int least_noise(const family_t *f, const totals_t *totals, const double *mean, const double *offset,
                     const double *pooled, double *floors) noexcept nogil:
    """OUT floors[d]: the least noise variance of each column."""
    cdef Py_ssize_t d = f.n_features, j
    cdef double average = 0, square, away, reg_covar = context_of(f).reg_covar
    cdef int status
    if own_context(f).is_spherical:
        for j in range(d):
            average += pooled[j] / <double> d
        square, away = root_mean_square(d, mean, NULL), root_mean_square(d, mean, totals.pivot)
        status = repair_floors(f, 1, &square, &away, &average, floors)
        for j in range(d):
            floors[j] = max(floors[0], reg_covar)
        return status
    status = repair_floors(f, d, mean, offset, pooled, floors)
    for j in range(d):
        if is_constant(f, mean[j], offset[j], pooled[j]) and reg_covar > rounding_of(f, mean[j], offset[j]):
            floors[j] = reg_covar
        floors[j] = max(floors[j], reg_covar)
    return status


cdef int new_loadings(const family_t *f, double count, const double *first, const double *of_factors,
                      const double *crossed, const double *products, const double *noise, double *work,
                      double *loadings) noexcept nogil:
    """W = S B L^-T. `work` holds q d + 4 q q + 2 q doubles."""
    cdef Py_ssize_t d = f.n_features, q = own_context(f).n_factors, a, b, j
    cdef double *cross = work
    cdef double *second = cross + q * d
    cdef double *scale = second + q * q
    cdef double *inverse = scale + q
    cdef double log_det
    cdef bint is_deficient = False
    if invert_inner(d, q, loadings, noise, inverse + q * q, inverse, &log_det) != 0:
        return MIXFAST_NOT_FINITE
    for a in range(q):
        for b in range(a + 1):
            second[a * q + b] = second[b * q + a] = (
                inverse[a * q + b] + products[in_triangle(a, b)] / count
                - of_factors[a] / count * (of_factors[b] / count))
    if scaled_cholesky(q, second, scale, &is_deficient) != 0:
        return MIXFAST_NOT_FINITE
    for a in range(q):
        for j in range(d):
            cross[a * d + j] = scale[a] * (crossed[a * d + j] - of_factors[a] / count * first[j]) / count
    solve_lower(q, second, d, cross)
    for j in range(d):
        for a in range(q):
            loadings[j * q + a] = cross[a * d + j]
    return MIXFAST_OK


cdef void keep_alive(Py_ssize_t d, Py_ssize_t q, double least, double *loadings) noexcept nogil:
    """OUT loadings[d][q]: small ones, whose squares sum to ALIVE * least."""
    cdef Py_ssize_t i
    cdef double total = 0, factor
    for i in range(d * q):
        total += loadings[i] * loadings[i]
    factor = sqrt(ALIVE * least / total) if total > 0 else 0
    for i in range(d * q):
        loadings[i] *= factor


cdef int is_held_up(const family_t *f, const double *loadings, const double *noise, const double *mean,
                    const double *offset, const double *pooled, const double *floors, double *work) noexcept nogil:
    """Status flags of a component. It is spurious if the variance of a column, conditional on all others, is about the
    least noise variance: its covariance would be singular without that bound. A small noise variance alone does not
    make it spurious, as one of the factors may equal the column. `work` holds 3 q q + q doubles."""
    cdef Py_ssize_t d = f.n_features, q = own_context(f).n_factors, j, a, b
    cdef double explained, log_det, reg_covar = context_of(f).reg_covar
    cdef double *inverse = work
    cdef bint is_inverted = False
    cdef int status = MIXFAST_OK
    for j in range(d):
        if not noise[j] < SPURIOUS_TIMES * floors[j]:
            continue
        if is_constant(f, mean[j], offset[j], pooled[j]):
            if noise[j] > reg_covar:
                status |= MIXFAST_REPAIRED_COVARIANCE
            continue
        if not is_inverted:
            if invert_inner(d, q, loadings, noise, inverse + q * q, inverse, &log_det) != 0:
                return MIXFAST_NOT_FINITE
            is_inverted = True
        explained = 0
        for a in range(q):
            for b in range(q):
                explained += loadings[j * q + a] * inverse[a * q + b] * loadings[j * q + b]
        # the inverse of that variance is (1 - explained / noise) / noise
        if (1 - explained / noise[j]) * SPURIOUS_TIMES * floors[j] > noise[j]:
            status |= MIXFAST_SPURIOUS_COMPONENT
            if reg_covar <= rounding_of(f, mean[j], offset[j]):
                status |= MIXFAST_REPAIRED_COVARIANCE
    return status


cdef void average_columns(Py_ssize_t d, double *noise) noexcept nogil:
    cdef Py_ssize_t j
    cdef double total = 0
    for j in range(d):
        total += noise[j] / <double> d
    for j in range(d):
        noise[j] = total


cdef void average_components(const family_t *f, const double *counts, double *work, double *noise) noexcept nogil:
    cdef Py_ssize_t d = f.n_features, k, j
    cdef double n = 0
    for k in range(f.n_components):
        n += counts[k]
    for j in range(d):
        work[j] = 0
    for k in range(f.n_components):
        for j in range(d):
            work[j] += counts[k] / n * noise[k * d + j]
    for k in range(f.n_components):
        memcpy(noise + k * d, work, d * sizeof(double))


cdef int maximise(const family_t *f, const totals_t *totals, double *work, double *params) noexcept nogil:
    """work: mean[d] | pooled[d] | floors[d] | offset[d] | delta[d] | variances[K][d] | room"""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, q = own_context(f).n_factors, k, j
    cdef const double *counts = totals.counts
    cdef const double *first = totals.stats
    cdef const double *squares = first + n_components * d
    cdef const double *of_factors = squares + n_components * d
    cdef const double *crossed = of_factors + n_components * q
    cdef const double *products = crossed + n_components * q * d
    cdef double *means = params
    cdef double *loadings = means + n_components * d
    cdef double *noise = loadings + n_components * d * q
    cdef double *mean = work
    cdef double *pooled = mean + d
    cdef double *floors = pooled + d
    cdef double *offset = floors + d
    cdef double *delta = offset + d
    cdef double *variances = delta + d
    cdef double *room = variances + n_components * d
    cdef double own, least
    cdef int status
    for k in range(n_components):
        if counts[k] > 0:
            move_mean(f, counts[k], totals.pivot, first + k * d, means + k * d, delta)
            for j in range(d):
                variances[k * d + j] = about_the_mean(f, squares[k * d + j] / counts[k], delta[j])
    pooled_moments(f, counts, means, variances, d, 1, mean, pooled)
    for j in range(d):
        offset[j] = mean[j] - totals.pivot[j]
    status = least_noise(f, totals, mean, offset, pooled, floors)
    if status != MIXFAST_OK:
        return status
    for k in range(n_components):
        if counts[k] == 0:
            status |= MIXFAST_EMPTIED_COMPONENT
            memcpy(means + k * d, mean, d * sizeof(double))
            memcpy(noise + k * d, pooled, d * sizeof(double))
            continue
        own = least = 0
        for j in range(d):
            own += variances[k * d + j]
            least += floors[j]
        if own > least:
            status |= new_loadings(f, counts[k], first + k * d, of_factors + k * q, crossed + k * q * d,
                                   products + k * triangle(q), noise + k * d, room, loadings + k * d * q)
            for j in range(d):
                noise[k * d + j] = variances[k * d + j] - squares_of(q, loadings + (k * d + j) * q)
        else:
            keep_alive(d, q, least, loadings + k * d * q)
            memcpy(noise + k * d, variances + k * d, d * sizeof(double))
        if status & MIXFAST_NOT_FINITE:
            return status
    for k in range(n_components):
        if own_context(f).is_spherical:
            average_columns(d, noise + k * d)
    if own_context(f).is_tied:
        average_components(f, counts, room, noise)
    for k in range(n_components):
        for j in range(d):
            if not isfinite(noise[k * d + j]):
                return MIXFAST_NOT_FINITE
            noise[k * d + j] = max(noise[k * d + j], floors[j])
        if counts[k] > 0:
            status |= is_held_up(f, loadings + k * d * q, noise + k * d, mean, offset, pooled, floors, room)
    return status


cdef inline double squares_of(Py_ssize_t n, const double *x) noexcept nogil:
    cdef Py_ssize_t i
    cdef double total = 0
    for i in range(n):
        total += x[i] * x[i]
    return total


# ---- moments at other parameters ------------------------------------------------------------------------------------

cdef void recentre(const family_t *f, const double *counts, const double *last_pivot, const double *last_params,
                   const double *pivot, const double *params, double *stats) noexcept nogil:
    """`recentre`: factors keep the means and the covariance that they had given the rows, and what is known of rows is
    about the new means. The covariance, M^-1, is in no sum, since the M-step adds that of the present parameters: sums
    of products take up the difference. Sums are NaN where there is no memory for 4 q q + q doubles."""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, q = own_context(f).n_factors, k, a, b, j
    cdef double *of_factors = stats + 2 * n_components * d
    cdef double *crossed = of_factors + n_components * q
    cdef double *products = crossed + n_components * q * d
    cdef double *inverse = <double *> malloc((4 * q * q + q) * sizeof(double))
    cdef double *last_inverse = inverse + q * q
    cdef const double *loadings = params + n_components * d
    cdef const double *last_loadings = last_params + n_components * d
    cdef const double *noise = loadings + n_components * d * q
    cdef const double *last_noise = last_loadings + n_components * d * q
    cdef double log_det, shift
    cdef bint is_known
    cdef move_t move
    move.last_pivot, move.last_params, move.pivot, move.params = last_pivot, last_params, pivot, params
    for k in range(n_components):
        for j in range(d):
            shift = shift_of(f, &move, k, j)
            for a in range(q):
                crossed[(k * q + a) * d + j] += of_factors[k * q + a] * shift
        is_known = (
            inverse != NULL
            and invert_inner(d, q, last_loadings + k * d * q, last_noise + k * d, last_inverse + q * q, last_inverse,
                             &log_det) == 0
            and invert_inner(d, q, loadings + k * d * q, noise + k * d, last_inverse + q * q, inverse, &log_det) == 0)
        for a in range(q):
            for b in range(a + 1):
                products[k * triangle(q) + in_triangle(a, b)] += (
                    counts[k] * (last_inverse[a * q + b] - inverse[a * q + b]) if is_known else NAN)
    recentre_squares(f, counts, &move, stats)
    free(inverse)


# ---- unconstrain and constrain --------------------------------------------------------------------------------------

# Free numbers: the means, loadings in units of the noise's standard deviations, and the logarithms of the noise
# variances, as many as there are.

cdef int unconstrain(const family_t *f, const double *params, double *numbers) noexcept nogil:
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, q = own_context(f).n_factors, i, k, j
    cdef const double *loadings = params + n_components * d
    cdef const double *noise = loadings + n_components * d * q
    memcpy(numbers, params, n_components * d * sizeof(double))
    numbers += n_components * d
    for i in range(n_components * d * q):
        numbers[i] = loadings[i] / sqrt(noise[i // q])
    numbers += n_components * d * q
    for k in range(1 if own_context(f).is_tied else n_components):
        for j in range(1 if own_context(f).is_spherical else d):
            numbers[0] = log(noise[k * d + j])
            numbers += 1
    return 0


cdef int constrain(const family_t *f, const double *numbers, double *work, double *params) noexcept nogil:
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, q = own_context(f).n_factors, i, k, j
    cdef Py_ssize_t row_step = 0, column_step = 0
    cdef double *loadings = params + n_components * d
    cdef double *noise = loadings + n_components * d * q
    cdef const double *logs = numbers + n_components * d * (1 + q)
    if not own_context(f).is_spherical:
        column_step = 1
    if not own_context(f).is_tied:
        row_step = 1 if own_context(f).is_spherical else d
    memcpy(params, numbers, n_components * d * sizeof(double))
    numbers += n_components * d
    for k in range(n_components):
        for j in range(d):
            i = k * d + j
            noise[i] = exp(logs[k * row_step + j * column_step])
            if not (0 < noise[i] and isfinite(noise[i]) and isfinite(1 / noise[i])):
                return 1
    for i in range(n_components * d * q):
        loadings[i] = numbers[i] * sqrt(noise[i // q])
        if not isfinite(loadings[i]):
            return 1
    return 0


# ---- bind -----------------------------------------------------------------------------------------------------------

def bind(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa, double reg_covar,
         Py_ssize_t n_factors, bint is_tied, bint is_spherical):
    cdef Py_ssize_t d = n_features, q = n_factors, n_noises = 1 if is_spherical else d
    if not 1 <= n_factors < n_features:
        raise ValueError(f"cannot bind {n_factors} factors of {n_features} columns: there must be fewer, at least 1")
    cdef family_t *f = new_family(n_components, n_features, real_bytes, isa, reg_covar, sizeof(factors_t))
    cdef factors_t *context = <factors_t *> f.context
    cdef const factors_kernels_t *kernels = mixfast_select_factors(f.isa, real_bytes)
    context.n_factors, context.is_tied, context.is_spherical = n_factors, is_tied, is_spherical
    f.n_params = n_components * d * (2 + q)
    f.n_stats = n_components * (2 * d + q + q * d + triangle(q))
    f.n_tables = kernels.n_tables(n_components, d, q)
    f.n_scratch_columns = kernels.n_scratch_columns(q)
    f.n_work = max(f.n_tables + 3 * q * q + q, (5 + n_components + q) * d + 4 * q * q + 2 * q)
    f.flops_per_row = n_components * (8 * d * q + 14 * d + 40)
    f.gathers_rows = 1
    f.further_start_passes = 2  # loadings begin anywhere: each pass turns them to where rows vary
    f.prepare, f.maximise, f.recentre = prepare, maximise, recentre
    f.log_density, f.accumulate = kernels.log_density, kernels.accumulate
    give_free_numbers(f, n_components * d * (1 + q) + n_noises * (1 if is_tied else n_components), unconstrain,
                      constrain)
    return capsule_of(f)
