"""The verbs of the Gaussian families; what they share with others is in `_covariances.pyx`, the loops over rows are in
`_kernels/gaussian.c`.

Parameters, C order, one after the other (K components, d features):

    full        means[K][d]   covariances[K][d][d]   precisions_cholesky[K][d][d]
    tied        means[K][d]   covariance[d][d]       precision_cholesky[d][d]
    diagonal    means[K][d]   covariances[K][d]      precisions_cholesky[K][d]
    spherical   means[K][d]   covariances[K]         precisions_cholesky[K]

Statistics are laid out in `_kernels/gaussian.h`. Second moments are taken about the means of the pass and corrected by
the shift of the mean, S / N - delta delta'; never E[x^2] - m^2, but where that loses nothing (`linear_loses_digits`).
"""

from libc.float cimport FLT_MAX
from libc.math cimport INFINITY, M_PI, NAN, exp, fabs, isfinite, log, sqrt
from libc.string cimport memset

from mixfast.engine._capsule cimport capsule_of, give_bounds, give_free_numbers
from mixfast.engine._family cimport (
    MIXFAST_LOST_DIGITS,
    MIXFAST_NOT_FINITE,
    MIXFAST_REPAIRED_COVARIANCE,
    bounded_log_density_fn,
    bounds_t,
    family_t,
    prepare_carry_fn,
    shared_term_t,
    stream_t,
    totals_t,
)
from mixfast.engine._kernels cimport gaussian_kernels_t
from mixfast.engine._linalg cimport invert_upper, log_diagonal, upper_transposed_times
from mixfast.engine._triangle cimport in_triangle, triangle
from mixfast.families._covariances cimport (
    context_of,
    covariances_t,
    finish_tied,
    make_diagonal,
    make_full,
    make_shaped,
    make_spherical,
    move_mean,
    move_t,
    new_family,
    real_at,
    recentre_pooled,
    shape_log_prior,
    structure_of,
    structure_t,
    tied_constrain,
    tied_unconstrain,
    tied_unwhiten,
)
from mixfast.families._shapes cimport shape_named

cdef double CARRY_ROUNDING = 1e-6   # a ceiling is kept as a float: 2^-23 of it is lost, and it must not sink


# ---- prepare --------------------------------------------------------------------------------------------------------

cdef inline double relative_weight(double log_weight, double largest) noexcept nogil:
    """exp(log_weight - largest): 1 for the largest weight, and 1 for all components if all weights are 0."""
    return exp(log_weight - largest) if isfinite(largest) else 1


cdef void centre_means(const family_t *f, const double *log_weights, const double *means, double *pivot,
                       double *centred) noexcept nogil:
    """OUT pivot[d]: the mean of the mixture (of the means if all weights are 0); centred[K][d] = means - pivot."""
    cdef Py_ssize_t k, j, n_components = f.n_components, d = f.n_features
    cdef double largest = -INFINITY, total = 0, share
    for k in range(n_components):
        largest = max(largest, log_weights[k])
    for k in range(n_components):
        centred[k] = relative_weight(log_weights[k], largest)  # has room for them until it is filled
        total += centred[k]
    for k in range(n_components):
        share = centred[k] / total
        for j in range(d):
            pivot[j] += share * means[k * d + j]
    for k in range(n_components):
        for j in range(d):
            centred[k * d + j] = means[k * d + j] - pivot[j]


cdef inline double log_normaliser(Py_ssize_t d) noexcept nogil:
    return -0.5 * <double> d * log(2 * M_PI)


cdef void prepare(const family_t *f, const double *log_weights, const double *params, double *work, double *pivot,
                  void *tables) noexcept nogil:
    cdef Py_ssize_t k
    cdef double *constant = work
    context_of(f).structure.log_determinants(f, params, constant)
    for k in range(f.n_components):
        constant[k] += log_weights[k] + log_normaliser(f.n_features)
    centre_means(f, log_weights, params, pivot, work + f.n_components)
    context_of(f).structure.fill_tables(f, params, work, tables)


cdef void tied_prepare(const family_t *f, const double *log_weights, const double *params, double *work, double *pivot,
                       void *tables) noexcept nogil:
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k
    cdef const double *factor = params + n_components * d + d * d
    cdef double *constant = work
    cdef double *mean = constant + n_components
    cdef double *shift = mean + n_components * d
    cdef double log_det = log_diagonal(d, factor)
    centre_means(f, log_weights, params, pivot, mean)
    for k in range(n_components):
        constant[k] = log_weights[k] + log_normaliser(d) + log_det
        upper_transposed_times(d, factor, mean + k * d, shift + k * d)
    context_of(f).rows.round_to_real(n_components * (1 + 2 * d), work, tables)
    context_of(f).gaussian.pack_triangle(d, factor, real_at(f, tables, n_components * (1 + 2 * d)))


cdef void linear_prepare(const family_t *f, const double *log_weights, const double *params, double *work,
                         double *pivot, void *tables) noexcept nogil:
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k, i, j
    cdef const double *factor = params + n_components * d + d * d
    cdef double *constant = work
    cdef double *coef = constant + n_components
    cdef double *whole = coef + n_components * d
    cdef double *shift = whole + n_components
    cdef double *mean = shift + n_components * d
    cdef double log_det = log_diagonal(d, factor)
    centre_means(f, log_weights, params, pivot, mean)
    for k in range(n_components):
        constant[k] = whole[k] = log_weights[k] + log_normaliser(d) + log_det
        upper_transposed_times(d, factor, mean + k * d, shift + k * d)
        for i in range(d):
            constant[k] -= 0.5 * shift[k * d + i] * shift[k * d + i]
            coef[k * d + i] = 0
            for j in range(i, d):
                coef[k * d + i] += factor[i * d + j] * shift[k * d + j]
    context_of(f).rows.round_to_real(2 * n_components * (1 + d), work, tables)
    context_of(f).gaussian.pack_triangle(d, factor, real_at(f, tables, 2 * n_components * (1 + d)))


# ---- maximise -------------------------------------------------------------------------------------------------------

cdef int maximise(const family_t *f, const totals_t *totals, double *work, double *params) noexcept nogil:
    return context_of(f).structure.maximise(f, totals, totals.counts, work, params)


cdef int tied_maximise(const family_t *f, const totals_t *totals, double *work, double *params) noexcept nogil:
    """covariance = (second moments about the means of the pass, of all components - sum of N_k delta_k delta_k') / N"""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k, i, j
    cdef const double *counts = totals.counts
    cdef const double *second = totals.stats + n_components * d
    cdef double *covariance = params + n_components * d
    cdef double *delta = work
    cdef double n = 0
    for k in range(n_components):
        n += counts[k]
    if n == 0:  # all rows are noise: a covariance of nothing is repaired
        n = 1
    for i in range(d):
        for j in range(i + 1):
            covariance[i * d + j] = second[in_triangle(i, j)] / n
    for k in range(n_components):
        if counts[k] > 0:
            move_mean(f, counts[k], totals.pivot, totals.stats + k * d, params + k * d, delta)
            for i in range(d):
                for j in range(i + 1):
                    covariance[i * d + j] -= counts[k] / n * delta[i] * delta[j]
    for i in range(d):
        covariance[i * d + i] += context_of(f).reg_covar
        for j in range(i):
            covariance[j * d + i] = covariance[i * d + j]
    return finish_tied(f, totals, work, params)


# ---- linear forms ---------------------------------------------------------------------------------------------------

# The quick family of tied covariances needs no d^2 work in a pass, and loses about D^2 of the relative precision, where
# D is the largest distance of a mean from the pivot in standard deviations: log densities and covariances are
# differences of numbers as large as D^2. 20,000 x 4, 5 components, one step, errors of a covariance that is about 1:
# D = 10, 30, 100, 900 in float64 8e-15, 6e-14, 7e-13, 4e-11; D = 3, 10, 30 in float32 6e-8, 2e-7, 2e-6. Beyond these
# limits the family itself makes the pass: 1e-7 in float32 at D = 100 and 900. It whitens a row before it takes off
# whitened means, which loses D eps of a standard deviation: docs/performance.md has what becomes of float32 bounds.
cdef double MOST_SQUARED = 1e6
cdef double MOST_SQUARED_FLOAT = 1e3

# The same for log densities of spherical components, one by one: 4,000 x 12, 8 components whose means are D from the
# pivot, largest error of the log density of a row's own component, about 20: D = 1, 3, 10, 30 in float64 9e-15, 1e-14,
# 4e-14, 3e-13; by distances, as beyond this limit, 2e-14.
cdef double NEAR_SQUARED = 100
cdef double NEAR_SQUARED_FLOAT = 10
# And only for components whose precision, and the square of a row's distance in their standard deviations, are well
# within the range of normal numbers.
cdef double LARGEST_PRECISION = 1e280
cdef double LARGEST_PRECISION_FLOAT = 1e30


cdef int linear_loses_digits(const family_t *f, const double *log_weights, const double *params,
                             double *work) noexcept nogil:
    """work: centred[K][d] | pivot[d] | whitened[d]"""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k, i
    cdef const double *factor = params + n_components * d + d * d
    cdef double *centred = work
    cdef double *pivot = centred + n_components * d
    cdef double *whitened = pivot + d
    cdef double limit = MOST_SQUARED if f.real_bytes == 8 else MOST_SQUARED_FLOAT
    cdef double square
    memset(pivot, 0, d * sizeof(double))
    centre_means(f, log_weights, params, pivot, centred)
    for k in range(n_components):
        square = 0
        upper_transposed_times(d, factor, centred + k * d, whitened)
        for i in range(d):
            square += whitened[i] * whitened[i]
        if not square < limit:
            return 1
    return 0


cdef void spherical_prepare(const family_t *f, const double *log_weights, const double *params, double *work,
                            double *pivot, void *tables) noexcept nogil:
    """The tables of diagonal components, and linear forms of those whose means are near the pivot, in units of their
    standard deviation: two multiply-adds a number become one."""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, n_diagonal = n_components * (1 + 3 * d), k, i
    cdef const double *constant = work
    cdef const double *scale = constant + n_components * (1 + d)
    cdef const double *shift = scale + n_components * d
    cdef double *linear = work + n_diagonal
    cdef double *coef = linear + n_components
    cdef double limit = NEAR_SQUARED if f.real_bytes == 8 else NEAR_SQUARED_FLOAT
    cdef double most = LARGEST_PRECISION if f.real_bytes == 8 else LARGEST_PRECISION_FLOAT
    cdef double square
    cdef bint is_near
    prepare(f, log_weights, params, work, pivot, tables)
    for k in range(n_components):
        square = 0
        for i in range(k * d, (k + 1) * d):
            square += shift[i] * shift[i]
            coef[i] = scale[i] * shift[i]
        # a component so narrow that its precision overflows has distances all the same
        is_near = square < limit and scale[k * d] * scale[k * d] < most
        linear[k] = constant[k] - 0.5 * square if is_near else NAN
    context_of(f).rows.round_to_real(n_components * (1 + d), linear, real_at(f, tables, n_diagonal))


cdef int linear_maximise(const family_t *f, const totals_t *totals, double *work, double *params) noexcept nogil:
    """covariance = (sum of w x x' - sum over k of N_k m_k m_k') / N, all about the origin."""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k, i, j
    cdef const double *counts = totals.counts
    cdef const double *second = totals.common + d
    cdef double *means = params
    cdef double *covariance = means + n_components * d
    cdef double *centred = work + 4 * d
    cdef double *shares = centred + n_components * d
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
            covariance[i * d + j] = second[in_triangle(i, j)]
            for k in range(n_components):
                covariance[i * d + j] -= counts[k] * centred[k * d + i] * centred[k * d + j]
            covariance[i * d + j] /= n
            covariance[j * d + i] = covariance[i * d + j]
        covariance[i * d + i] += context_of(f).reg_covar
    status = finish_tied(f, totals, work, params)
    if status & (MIXFAST_REPAIRED_COVARIANCE | MIXFAST_NOT_FINITE):
        return MIXFAST_LOST_DIGITS  # perhaps it is singular, perhaps only what is left of it here
    for k in range(n_components):
        shares[k] = counts[k] / n
    return MIXFAST_LOST_DIGITS if linear_loses_digits(f, shares, params, work) else status


cdef double linear_common_evidence(const family_t *f, const totals_t *totals, const double *params,
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
                along += second[in_triangle(i, j)] * factor[j * d + c]
            total += factor[i * d + c] * (2 * along + second[in_triangle(i, i)] * factor[i * d + c])
            moved += shift[i] * factor[i * d + c]
            crossed += first[i] * factor[i * d + c]
        # S about the pivot is S about the origin - first shift' - shift first' + N shift shift'
        total += moved * (totals.common[d + triangle(d)] * moved - 2 * crossed)
    return -0.5 * total


# ---- moments about other points -------------------------------------------------------------------------------------

cdef void recentre(const family_t *f, const double *counts, const double *last_pivot, const double *last_params,
                   const double *pivot, const double *params, double *stats) noexcept nogil:
    cdef move_t move
    move.last_pivot, move.last_params, move.pivot, move.params = last_pivot, last_params, pivot, params
    context_of(f).structure.recentre(f, counts, &move, stats)


# ---- draws ----------------------------------------------------------------------------------------------------------

cdef void draw_row(const family_t *f, Py_ssize_t k, const double *params, stream_t *stream,
                   double *row) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(f.n_features):
        row[j] = stream.normal(stream)
    context_of(f).structure.unwhiten(f, k, params, row)


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


cdef void shape_diagonal_prepare_carry(const family_t *f, Py_ssize_t k, const double *last_log_weights,
                                       const double *last_params, const double *log_weights, const double *params,
                                       double *own_work, double *carry) noexcept nogil:
    variances_prepare_carry(f, k, last_log_weights, last_params, log_weights, params, f.n_features * f.n_features,
                            f.n_features + 1, carry)


cdef void full_prepare_carry(const family_t *f, Py_ssize_t k, const double *last_log_weights,
                             const double *last_params, const double *log_weights, const double *params,
                             double *own_work, double *carry) noexcept nogil:
    cdef Py_ssize_t skipped = f.n_components * f.n_features * (1 + f.n_features) + k * f.n_features * f.n_features
    factors_prepare_carry(f, k, last_log_weights, last_params, log_weights, params, last_params + skipped,
                          params + skipped, own_work, carry)


cdef void tied_prepare_carry(const family_t *f, Py_ssize_t k, const double *last_log_weights,
                             const double *last_params, const double *log_weights, const double *params,
                             double *own_work, double *carry) noexcept nogil:
    cdef Py_ssize_t skipped = f.n_features * (f.n_components + f.n_features)
    factors_prepare_carry(f, k, last_log_weights, last_params, log_weights, params, last_params + skipped,
                          params + skipped, own_work, carry)


cdef void factors_prepare_carry(const family_t *f, Py_ssize_t k, const double *last_log_weights,
                                const double *last_params, const double *log_weights, const double *params,
                                const double *last_factor, const double *factor, double *own_work,
                                double *carry) noexcept nogil:
    """1 / sigma_min(A) = |A^-1| = |R U|, R the inverse of V, and that is at most 1 + |R U - I|, which is small when
    little has changed."""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, i, j, m
    cdef double *inverse = own_work
    cdef double *product = inverse + d * d
    cdef double *step = product + d * d
    cdef double *moved = step + d
    cdef double total = 0
    carry[k] = last_log_weights[k] + log_normaliser(d) + log_diagonal(d, last_factor)
    carry[n_components + k] = log_weights[k] + log_normaliser(d) + log_diagonal(d, factor)
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


cdef void variances_prepare_carry(const family_t *f, Py_ssize_t k, const double *last_log_weights,
                                  const double *last_params, const double *log_weights, const double *params,
                                  Py_ssize_t row_step, Py_ssize_t column_step, double *carry) noexcept nogil:
    """Diagonal matrices: sigma_min is the least ratio of scales, which stand at [k * row_step + j * column_step]."""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, j, i
    cdef Py_ssize_t skipped = n_components * (d + row_step)
    cdef double last_scale, scale, shrink = INFINITY, total = 0, step
    carry[k] = last_log_weights[k] + log_normaliser(d)
    carry[n_components + k] = log_weights[k] + log_normaliser(d)
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


cdef void diagonal_prepare_carry(const family_t *f, Py_ssize_t k, const double *last_log_weights,
                                 const double *last_params, const double *log_weights, const double *params,
                                 double *own_work, double *carry) noexcept nogil:
    variances_prepare_carry(f, k, last_log_weights, last_params, log_weights, params, f.n_features, 1, carry)


cdef void spherical_prepare_carry(const family_t *f, Py_ssize_t k, const double *last_log_weights,
                                  const double *last_params, const double *log_weights, const double *params,
                                  double *own_work, double *carry) noexcept nogil:
    variances_prepare_carry(f, k, last_log_weights, last_params, log_weights, params, 1, 0, carry)


# ---- bind -----------------------------------------------------------------------------------------------------------

cdef void give_verbs(family_t *f, bounded_log_density_fn bounded_log_density, prepare_carry_fn prepare_carry) noexcept:
    """Fill in the verbs of structures in which each component has its own covariance."""
    cdef structure_t *structure = structure_of(f)
    f.prepare, f.maximise, f.recentre, f.draw_row = prepare, maximise, recentre, draw_row
    give_free_numbers(f, structure.n_free, structure.unconstrain, structure.constrain)
    give_bounds(f, 4 * f.n_components, bounded_log_density, prepare_carry, carry_ceilings)


cdef void give_matrices(family_t *f) noexcept:
    cdef const gaussian_kernels_t *kernels = context_of(f).gaussian
    f.n_own_work = 2 * f.n_features * (f.n_features + 1)
    f.flops_per_component = f.n_features * f.n_features * f.n_features
    f.log_density, f.accumulate = kernels.full_log_density, kernels.full_accumulate
    give_verbs(f, kernels.full_bounded_log_density, full_prepare_carry)


cdef family_t *new_full(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa, double reg_covar,
                        size_t context_bytes) except NULL:
    cdef family_t *f = new_family(n_components, n_features, real_bytes, isa, reg_covar, context_bytes)
    make_full(f, structure_of(f))
    give_matrices(f)
    return f


cdef family_t *new_tied(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa, double reg_covar,
                        size_t context_bytes) except NULL:
    cdef family_t *f = new_family(n_components, n_features, real_bytes, isa, reg_covar, context_bytes)
    cdef const gaussian_kernels_t *kernels = context_of(f).gaussian
    cdef Py_ssize_t n_pairs = triangle(n_features)
    f.n_params = n_components * n_features + 2 * n_features * n_features
    f.n_stats = n_components * n_features + n_pairs
    f.n_tables = n_components * (1 + 2 * n_features) + kernels.packed_triangle_size(n_features)
    f.n_scratch_columns = n_features + 1
    f.n_work = n_components * (1 + 2 * n_features) + 4 * n_features
    f.flops_per_row = n_components * (4 * n_features + 40)
    f.prepare, f.maximise, f.recentre, f.draw_row = tied_prepare, tied_maximise, recentre, draw_row
    structure_of(f).recentre, structure_of(f).unwhiten = recentre_pooled, tied_unwhiten
    give_free_numbers(f, n_components * n_features + n_pairs, tied_unconstrain, tied_constrain)
    f.log_density, f.accumulate = kernels.tied_log_density, kernels.tied_accumulate
    return f


cdef void give_columns(family_t *f, prepare_carry_fn prepare_carry) noexcept:
    cdef const gaussian_kernels_t *kernels = context_of(f).gaussian
    f.flops_per_component = 20 * f.n_features
    f.log_density, f.accumulate = kernels.diagonal_log_density, kernels.diagonal_accumulate
    give_verbs(f, kernels.diagonal_bounded_log_density, prepare_carry)


cdef family_t *new_diagonal(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa,
                            double reg_covar, size_t context_bytes) except NULL:
    cdef family_t *f = new_family(n_components, n_features, real_bytes, isa, reg_covar, context_bytes)
    make_diagonal(f, structure_of(f))
    give_columns(f, diagonal_prepare_carry)
    return f


cdef family_t *new_spherical(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa,
                             double reg_covar, size_t context_bytes) except NULL:
    cdef family_t *f = new_family(n_components, n_features, real_bytes, isa, reg_covar, context_bytes)
    make_spherical(f, structure_of(f))
    give_columns(f, spherical_prepare_carry)
    f.prepare, f.log_density = spherical_prepare, context_of(f).gaussian.spherical_log_density
    f.n_tables += n_components * (1 + n_features)
    f.n_work += n_components * (1 + n_features)
    return f


def bind_full(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa, double reg_covar):
    return capsule_of(new_full(n_components, n_features, real_bytes, isa, reg_covar, sizeof(covariances_t)))


# The context of tied covariances, and their quick family, which has the same.
ctypedef struct tied_t:
    covariances_t covariances  # the first member: `_covariances.pyx` sees no other
    family_t quick
    shared_term_t shared_term
    bounds_t bounds


def bind_tied(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa, double reg_covar):
    cdef family_t *f = new_tied(n_components, n_features, real_bytes, isa, reg_covar, sizeof(tied_t))
    cdef family_t *quick = &(<tied_t *> f.context).quick
    cdef shared_term_t *shared_term = &(<tied_t *> f.context).shared_term
    cdef bounds_t *bounds = &(<tied_t *> f.context).bounds
    cdef const gaussian_kernels_t *kernels = context_of(f).gaussian
    f.n_tables = 2 * n_components * (1 + n_features) + kernels.packed_triangle_size(n_features)
    f.n_work = max(f.n_work, n_components * (2 + 3 * n_features))
    f.n_own_work = 2 * n_features * (n_features + 1)
    f.flops_per_component = n_features * n_features * n_features
    give_bounds(f, 4 * n_components, kernels.tied_bounded_log_density, tied_prepare_carry, carry_ceilings)
    bounds[0] = f.bounds[0]
    bounds.bounded_log_density = kernels.linear_bounded_log_density
    quick[0] = f[0]
    quick.bounds, quick.row_term = bounds, kernels.linear_row_term
    quick.prepare, quick.maximise = linear_prepare, linear_maximise
    quick.log_density, quick.accumulate = kernels.linear_log_density, kernels.linear_accumulate
    shared_term.n_common = n_features + triangle(n_features) + 1
    shared_term.accumulate_common = kernels.linear_accumulate_common
    shared_term.common_evidence, shared_term.loses_digits = linear_common_evidence, linear_loses_digits
    quick.shared_term = shared_term
    f.quick = quick
    return capsule_of(f)


def bind_diagonal(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa, double reg_covar):
    return capsule_of(new_diagonal(n_components, n_features, real_bytes, isa, reg_covar, sizeof(covariances_t)))


def bind_spherical(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa, double reg_covar):
    return capsule_of(new_spherical(n_components, n_features, real_bytes, isa, reg_covar, sizeof(covariances_t)))


def bind_shape(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa, double reg_covar, str name,
               double eigenvalue_ratio, const double[::1] prior):
    """`prior` has shrinkage | degrees of freedom | mean | scale, or nothing."""
    cdef Py_ssize_t n_prior = prior.shape[0], i
    if n_prior not in (0, 2 + n_features + n_features * n_features):
        raise ValueError(f"a prior of {n_features} columns has not {n_prior} numbers")
    cdef family_t *f = new_family(n_components, n_features, real_bytes, isa, reg_covar,
                                  sizeof(covariances_t) + n_prior * sizeof(double))
    cdef covariances_t *context = <covariances_t *> f.context
    cdef double *kept = <double *> (context + 1)
    context.eigenvalue_ratio = eigenvalue_ratio
    if n_prior > 0:
        for i in range(n_prior):
            kept[i] = prior[i]
        context.prior, f.log_prior = kept, shape_log_prior
    make_shaped(f, structure_of(f), shape_named(name))
    if context_of(f).shape.is_diagonal:
        give_columns(f, shape_diagonal_prepare_carry)
    else:
        give_matrices(f)
    return capsule_of(f)
