"""The posteriors of Gaussian components under conjugate priors, whose parameters are fitted by variational Bayes.

Prior, for rows x of d columns:

    full, tied   mean | P ~ N(m0, (kappa0 P)^-1), precision matrix P ~ Wishart(nu0, Psi0^-1)
    diagonal     the same for each column by itself: precision ~ Gamma(nu0 / 2, rate Psi0_j / 2)
    spherical    one precision for all columns: ~ Gamma(d nu0 / 2, rate d Psi0 / 2)

A component of n rows has kappa = kappa0 + n and nu = nu0 + n (tied: nu0 + the number of all rows), whatever the form,
and the expected precision is the inverse of Psi / nu.
Parameters are those of the Gaussian family, with m for the means and Psi / nu for the covariances, then kappa[K],
nu[K] (tied: one), and the prior: m0[d], Psi0 ([d][d], diagonal [d], spherical one number) and log |Psi0|. Bishop,
"Pattern recognition and machine learning" (2006), 10.60 to 10.63.

If m0 or Psi0 is not given, it is computed from all rows: their mean, and a share of their covariance. So each problem
of a batch has its own prior. The sums for this are accumulated once for a fit (`accumulate_common`).

The expected log density of a row is that of the Gaussian with these parameters plus a constant of the component, so
the loops, the bounds and the tables are the Gaussian family's, at other log weights (Bishop, 10.64 and 10.65):

    E log N(x) = log N(x; m, Psi / nu) + (sum over j of psi((nu + 1 - j) / 2) - log(nu / 2)) / 2 - d / (2 kappa)

`reg_covar` is added to each row's outer product, as scikit-learn does.
"""

from libc.float cimport DBL_EPSILON, FLT_EPSILON
from libc.math cimport M_PI, NAN, exp, isfinite, log, sqrt
from libc.string cimport memcpy

from mixfast.engine._capsule cimport (
    capsule_of,
    give_bounds,
    give_draws,
    give_free_numbers,
    give_posterior,
    learn_rows,
)
from mixfast.engine._family cimport (
    MIXFAST_NOT_FINITE,
    MIXFAST_OK,
    MIXFAST_REPAIRED_COVARIANCE,
    bounds_t,
    draw_fn,
    family_t,
    free_numbers_t,
    stream_t,
    totals_t,
)
from mixfast.engine._linalg cimport covariance_of_factor, log_diagonal, precision_factor
from mixfast.engine._special cimport lgamma_rise, log_minus_digamma
from mixfast.engine._triangle cimport in_triangle, triangle
from mixfast.families._covariances cimport covariances_t, move_mean
from mixfast.families._gaussian cimport new_diagonal, new_full, new_spherical, new_tied

cdef enum:
    MAX_REPAIRS = 12           # from 1e-15 of the diagonal to a thousandth


# What differs between the structures of precisions.
ctypedef struct structure_t:
    # E log |P| - log |E P|, of component k
    double (*expected_log_determinant)(const family_t *, Py_ssize_t k, const double *params) noexcept nogil
    # OUT own[K] += log evidence of each component without the term -d/2 log(kappa / kappa0); returns the log evidence
    # that belongs to all components together (tied)
    double (*log_evidence)(const family_t *, const double *counts, const double *params, double *own) noexcept nogil
    # OUT Psi0, in the structure's layout, from what covariance_of_rows leaves
    void (*scale_from)(const family_t *, const double *covariance, double *scale0) noexcept nogil
    # log |Psi0|, with a workspace of d (d + 1) doubles; not finite if Psi0 is not positive definite
    double (*log_determinant)(const family_t *, const double *scale0, double *room) noexcept nogil
    draw_fn draw               # NULL: there is none
    Py_ssize_t n_nu            # how many nu: K, or 1 if tied
    Py_ssize_t n_scale         # how many numbers Psi0 has
    Py_ssize_t n_diagonal      # how many of these are on its diagonal
    Py_ssize_t scale_step      # distance between numbers of the diagonal
    bint has_pairs             # whether a prior of the rows has covariances of pairs of columns, beside variances

ctypedef struct context_t:
    covariances_t covariances  # the first member: the Gaussian verbs see no other
    family_t plain             # the Gaussian family; parameters of the posterior begin with its parameters
    bounds_t plain_bounds
    free_numbers_t plain_numbers
    structure_t structure
    double kappa0
    double nu0
    double share               # Psi0 is this share of the covariance of all rows, unless it is given
    const double *m0           # [d], or NULL
    const double *scale0       # [n_scale], or NULL


cdef inline const context_t *context_of(const family_t *f) noexcept nogil:
    return <const context_t *> f.context


cdef inline double *kappas_in(const family_t *f, double *params) noexcept nogil:
    return params + context_of(f).plain.n_params


cdef inline double *nus_in(const family_t *f, double *params) noexcept nogil:
    return kappas_in(f, params) + f.n_components


cdef inline Py_ssize_t first_of_prior(const family_t *f) noexcept nogil:
    return context_of(f).plain.n_params + f.n_components + context_of(f).structure.n_nu


cdef inline const double *scale0_of(const family_t *f, const double *params) noexcept nogil:
    """Psi0 among the parameters, after m0 and before log |Psi0|."""
    return params + first_of_prior(f) + f.n_features


cdef inline double kappa_of(const family_t *f, Py_ssize_t k, const double *params) noexcept nogil:
    return params[context_of(f).plain.n_params + k]


cdef inline double nu_of(const family_t *f, Py_ssize_t k, const double *params) noexcept nogil:
    """nu of component k; the common one if tied."""
    cdef Py_ssize_t place = k if context_of(f).structure.n_nu > 1 else 0
    return params[context_of(f).plain.n_params + f.n_components + place]


# ---- the prior ------------------------------------------------------------------------------------------------------

cdef void matrix_from(const family_t *f, const double *covariance, double *scale0) noexcept nogil:
    cdef Py_ssize_t d = f.n_features, i, j
    for i in range(d):
        for j in range(i + 1):
            scale0[i * d + j] = scale0[j * d + i] = context_of(f).share * covariance[i * d + j]


cdef void columns_from(const family_t *f, const double *covariance, double *scale0) noexcept nogil:
    cdef Py_ssize_t d = f.n_features, j
    for j in range(d):
        scale0[j] = context_of(f).share * covariance[j]


cdef void sphere_from(const family_t *f, const double *covariance, double *scale0) noexcept nogil:
    cdef Py_ssize_t d = f.n_features, j
    scale0[0] = 0
    for j in range(d):
        scale0[0] += context_of(f).share * covariance[j] / <double> d


cdef inline double narrowest(const family_t *f) noexcept nogil:
    """The least share of a column's variance that must remain conditional on other columns, so that Psi0 is positive
    definite in the precision of the rows too."""
    return 64 * <double> f.n_features * (DBL_EPSILON if f.real_bytes == 8 else FLT_EPSILON)


cdef double matrix_log_determinant(const family_t *f, const double *scale0, double *room) noexcept nogil:
    cdef Py_ssize_t d = f.n_features, i, j
    cdef double inverse
    if precision_factor(d, scale0, room + d * d, room) != 0:
        return NAN
    for j in range(d):
        inverse = 0
        for i in range(j, d):
            inverse += room[j * d + i] * room[j * d + i]
        if context_of(f).scale0 == NULL and not inverse * scale0[j * (d + 1)] * narrowest(f) < 1:
            return NAN
    return -2 * log_diagonal(d, room)


cdef double scales_log_determinant(const family_t *f, const double *scale0, double *room) noexcept nogil:
    cdef double total = 0
    cdef Py_ssize_t j
    for j in range(context_of(f).structure.n_scale):
        total += log(scale0[j])
    return total


cdef inline Py_ssize_t n_products(const family_t *f) noexcept nogil:
    """How many products of columns with each other, or with themselves alone, a prior of the rows follows from."""
    return triangle(f.n_features) if context_of(f).structure.has_pairs else f.n_features


cdef inline double count_of_rows(const family_t *f, const totals_t *totals) noexcept nogil:
    return totals.common[f.n_features + n_products(f)]


cdef void covariance_of_rows(const family_t *f, const totals_t *totals, double *covariance) noexcept nogil:
    """OUT covariance[d][d], lower triangle, or only its diagonal [d] where there are no pairs: of all rows, divided by
    total weight - 1 (by half the total weight if that is below 2, since weights may be relative). A constant column
    gets the geometric mean of the other columns' variances as its variance, or 1 if all are constant."""
    cdef bint has_pairs = context_of(f).structure.has_pairs
    cdef Py_ssize_t d = f.n_features, step = d + 1 if has_pairs else 1, n_varying = 0, i, j
    cdef const double *first = totals.common
    cdef const double *second = first + d
    cdef double count = count_of_rows(f, totals), logs = 0, square, rounding
    cdef double divisor = max(count - 1, 0.5 * count)
    for i in range(d):
        if has_pairs:
            for j in range(i):
                covariance[i * d + j] = (second[in_triangle(i, j)] - first[i] * first[j] / count) / divisor
        square = second[in_triangle(i, i) if has_pairs else i]
        covariance[i * step] = (square - first[i] * first[i] / count) / divisor
        # moments are about the mean but for rounding, which is all that a column of equal numbers has
        rounding = 4 * DBL_EPSILON * totals.origin[i]
        if covariance[i * step] > rounding * rounding:
            n_varying += 1
            logs += log(covariance[i * step])
        else:
            covariance[i * step] = 0
    for i in range(d):
        if covariance[i * step] == 0:
            if has_pairs:
                for j in range(d):
                    covariance[max(i, j) * d + min(i, j)] = 0
            covariance[i * step] = exp(logs / <double> n_varying) if n_varying > 0 else 1


cdef int set_prior(const family_t *f, const totals_t *totals, double *room, double *params) noexcept nogil:
    """OUT params: m0, Psi0 and log |Psi0|. The diagonal of a Psi0 from the rows is raised if columns are linearly
    dependent. Returns status flags. `room`: workspace of 2 d (d + 1) doubles."""
    cdef const context_t *context = context_of(f)
    cdef Py_ssize_t d = f.n_features, n_scale = context.structure.n_scale, j
    cdef double *m0 = params + first_of_prior(f)
    cdef double *scale0 = m0 + d
    cdef double step = narrowest(f), count
    cdef int status = MIXFAST_OK, _attempt
    if context.m0 != NULL:
        memcpy(m0, context.m0, d * sizeof(double))
    else:
        count = count_of_rows(f, totals)
        for j in range(d):
            m0[j] = totals.origin[j] + totals.common[j] / count
    if context.scale0 != NULL:
        memcpy(scale0, context.scale0, n_scale * sizeof(double))
    else:
        covariance_of_rows(f, totals, room)
        context.structure.scale_from(f, room, scale0)
    for _attempt in range(MAX_REPAIRS):
        scale0[n_scale] = context.structure.log_determinant(f, scale0, room + d * d)
        if isfinite(scale0[n_scale]):
            return status
        status = MIXFAST_REPAIRED_COVARIANCE
        for j in range(context.structure.n_diagonal):
            scale0[j * context.structure.scale_step] *= 1 + step
        step *= 10
    return MIXFAST_NOT_FINITE


# ---- expected log densities -----------------------------------------------------------------------------------------

cdef double shift_of(const family_t *f, Py_ssize_t k, const double *params) noexcept nogil:
    """Expected log density minus log density of the Gaussian at the expected precision: a constant for component k."""
    return 0.5 * (context_of(f).structure.expected_log_determinant(f, k, params)
                  - <double> f.n_features / kappa_of(f, k, params))


cdef double matrix_determinant(const family_t *f, Py_ssize_t k, const double *params) noexcept nogil:
    cdef double nu = nu_of(f, k, params), total = -log_minus_digamma(0.5 * nu)
    cdef Py_ssize_t j
    for j in range(1, f.n_features):  # digamma((nu - j) / 2) - log(nu / 2)
        total += log((nu - <double> j) / nu) - log_minus_digamma(0.5 * (nu - <double> j))
    return total


cdef double column_determinant(const family_t *f, Py_ssize_t k, const double *params) noexcept nogil:
    return -<double> f.n_features * log_minus_digamma(0.5 * nu_of(f, k, params))


cdef double sphere_determinant(const family_t *f, Py_ssize_t k, const double *params) noexcept nogil:
    cdef double d = <double> f.n_features
    return -d * log_minus_digamma(0.5 * d * nu_of(f, k, params))


cdef void prepare(const family_t *f, const double *log_weights, const double *params, double *work, double *pivot,
                  void *tables) noexcept nogil:
    cdef const family_t *plain = &context_of(f).plain
    cdef double *shifted = work + plain.n_work
    cdef Py_ssize_t k
    for k in range(f.n_components):
        shifted[k] = log_weights[k] + shift_of(f, k, params)
    plain.prepare(plain, shifted, params, work, pivot, tables)


cdef void prepare_carry(const family_t *f, Py_ssize_t k, const double *last_log_weights, const double *last_params,
                        const double *log_weights, const double *params, double *own_work,
                        double *carry) noexcept nogil:
    """The Gaussian's `prepare_carry`, with the constants of its ceilings shifted as the log densities are."""
    cdef const family_t *plain = &context_of(f).plain
    plain.bounds.prepare_carry(plain, k, last_log_weights, last_params, log_weights, params, own_work, carry)
    carry[k] += shift_of(f, k, last_params)
    carry[f.n_components + k] += shift_of(f, k, params)


# ---- the update -----------------------------------------------------------------------------------------------------

cdef int maximise(const family_t *f, const totals_t *totals, double *work, double *params) noexcept nogil:
    return set_prior(f, totals, work, params)


cdef double place_mean(const family_t *f, Py_ssize_t k, const totals_t *totals, double *params, double *delta,
                       double *away) noexcept nogil:
    """OUT params: the posterior's mean and kappa of component k; delta[d]: mean of its rows minus the point that
    moments are about; away[d]: mean of its rows minus the prior's mean. Returns kappa0 n / kappa, the factor of away
    away' in the posterior's scale matrix."""
    cdef const double *m0 = params + first_of_prior(f)
    cdef Py_ssize_t d = f.n_features, j
    cdef double count = totals.counts[k], kappa0 = context_of(f).kappa0
    cdef double *mean = params + k * d
    kappas_in(f, params)[k] = kappa0 + count
    if count == 0:
        for j in range(d):
            mean[j] = m0[j]
            delta[j] = away[j] = 0
        return 0
    move_mean(f, count, totals.pivot, totals.stats + k * d, mean, delta)
    for j in range(d):
        away[j] = mean[j] - m0[j]
        mean[j] = m0[j] + count / (kappa0 + count) * away[j]
    return kappa0 * (count / (kappa0 + count))


cdef inline double scatter_of(double square, double count, double delta) noexcept nogil:
    """Sum of squares of a column about the rows' mean; at least 0, which rounding could miss."""
    return max(square - count * delta * delta, 0.0)


cdef int factor_or_raise(Py_ssize_t d, double *covariance, double *room, double *factor) noexcept nogil:
    """OUT factor of the inverse. The diagonal is raised if needed: a narrow prior may be lost to rounding beside the
    scatter of linearly dependent columns."""
    cdef double step = 1e-15
    cdef Py_ssize_t j
    cdef int status = MIXFAST_OK, _attempt
    for _attempt in range(MAX_REPAIRS + 1):
        if precision_factor(d, covariance, room, factor) == 0:
            return status
        status = MIXFAST_REPAIRED_COVARIANCE
        for j in range(d):
            covariance[j * d + j] += step * covariance[j * d + j]
        step *= 10
    return MIXFAST_NOT_FINITE


cdef int full_component(const family_t *f, Py_ssize_t k, const totals_t *totals, const double *work, double *own_work,
                        double *params) noexcept nogil:
    cdef const context_t *context = context_of(f)
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, i, j
    cdef const double *second = totals.stats + n_components * d + k * triangle(d)
    cdef double *covariance = params + n_components * d + k * d * d
    cdef double *delta = own_work
    cdef double *away = own_work + d
    cdef double count = totals.counts[k], nu = context.nu0 + count, total
    cdef double pull = place_mean(f, k, totals, params, delta, away)
    nus_in(f, params)[k] = nu
    for i in range(d):
        for j in range(i + 1):
            if i == j:
                total = scatter_of(second[in_triangle(i, i)], count, delta[i])
                total += count * context.covariances.reg_covar
            else:
                total = second[in_triangle(i, j)] - count * delta[i] * delta[j]
            total = (scale0_of(f, params)[i * d + j] + total + pull * away[i] * away[j]) / nu
            covariance[i * d + j] = covariance[j * d + i] = total
    return factor_or_raise(d, covariance, own_work + 2 * d, covariance + n_components * d * d)


cdef int tied_maximise(const family_t *f, const totals_t *totals, double *work, double *params) noexcept nogil:
    """work: delta[d] | away[d] | room[d]; before, as that of `set_prior`"""
    cdef const context_t *context = context_of(f)
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k, i, j
    cdef const double *second = totals.stats + n_components * d
    cdef double *covariance = params + n_components * d
    cdef double *delta = work
    cdef double *away = work + d
    cdef double count = 0, pull, nu
    cdef int status = set_prior(f, totals, work, params)
    if status & MIXFAST_NOT_FINITE:
        return status
    for i in range(d):
        for j in range(i + 1):
            covariance[i * d + j] = second[in_triangle(i, j)]
    for k in range(n_components):
        count += totals.counts[k]
        pull = place_mean(f, k, totals, params, delta, away)
        for i in range(d):
            for j in range(i + 1):
                covariance[i * d + j] += pull * away[i] * away[j] - totals.counts[k] * delta[i] * delta[j]
    nu = context.nu0 + count
    nus_in(f, params)[0] = nu
    for i in range(d):
        covariance[i * d + i] = max(covariance[i * d + i], 0.0) + count * context.covariances.reg_covar
        for j in range(i + 1):
            covariance[i * d + j] = (covariance[i * d + j] + scale0_of(f, params)[i * d + j]) / nu
            covariance[j * d + i] = covariance[i * d + j]
    return status | factor_or_raise(d, covariance, work + 2 * d, covariance + d * d)


cdef inline int scale_of(double variance, double *scale) noexcept nogil:
    scale[0] = 1 / sqrt(variance)
    return MIXFAST_OK if isfinite(variance) and isfinite(scale[0]) else MIXFAST_NOT_FINITE


cdef int diagonal_component(const family_t *f, Py_ssize_t k, const totals_t *totals, const double *work,
                            double *own_work, double *params) noexcept nogil:
    cdef const context_t *context = context_of(f)
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, j
    cdef const double *second = totals.stats + n_components * d + k * d
    cdef double *variance = params + n_components * d + k * d
    cdef double *delta = own_work
    cdef double *away = own_work + d
    cdef double count = totals.counts[k], nu = context.nu0 + count, total
    cdef double pull = place_mean(f, k, totals, params, delta, away)
    cdef int status = MIXFAST_OK
    nus_in(f, params)[k] = nu
    for j in range(d):
        total = scatter_of(second[j], count, delta[j]) + count * context.covariances.reg_covar
        variance[j] = (scale0_of(f, params)[j] + total + pull * away[j] * away[j]) / nu
        status |= scale_of(variance[j], variance + n_components * d + j)
    return status


cdef int spherical_component(const family_t *f, Py_ssize_t k, const totals_t *totals, const double *work,
                             double *own_work, double *params) noexcept nogil:
    cdef const context_t *context = context_of(f)
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, j
    cdef const double *second = totals.stats + n_components * d + k * d
    cdef double *variance = params + n_components * d + k
    cdef double *delta = own_work
    cdef double *away = own_work + d
    cdef double count = totals.counts[k], nu = context.nu0 + count, total = 0
    cdef double pull = place_mean(f, k, totals, params, delta, away)
    nus_in(f, params)[k] = nu
    for j in range(d):
        total += scatter_of(second[j], count, delta[j]) + count * context.covariances.reg_covar
        total += pull * away[j] * away[j]
    variance[0] = (scale0_of(f, params)[0] + total / <double> d) / nu
    return scale_of(variance[0], variance + n_components)


# ---- log evidence ---------------------------------------------------------------------------------------------------

# log f = log Z(posterior) - log Z(prior) - n d / 2 log(2 pi), with the normaliser Z of the Normal-Wishart (Murphy,
# "Conjugate Bayesian analysis of the Gaussian distribution", 2007, section 8). The update is no longer the posterior
# where it adds reg_covar to each row's outer product: then E of what the exponents differ by is to be added,
# n reg_covar tr(nu Psi^-1) / 2.

cdef double evidence_of_scale(Py_ssize_t dimension, double n_reals, double nu, double log_scale, double nu0,
                              double log_scale0) noexcept nogil:
    """Log evidence from a Wishart prior of that dimension; n_reals: how many numbers the rows have; log_scale:
    log |Psi|."""
    cdef double total = -0.5 * (n_reals * log(M_PI) + nu * log_scale - nu0 * log_scale0)
    cdef Py_ssize_t j
    for j in range(dimension):
        total += lgamma_rise(0.5 * (nu0 - <double> j), 0.5 * (nu - nu0))
    return total


cdef double sum_of_squares(Py_ssize_t n, const double *values) noexcept nogil:
    cdef double total = 0
    cdef Py_ssize_t i
    for i in range(n):
        total += values[i] * values[i]
    return total


cdef double evidence_of_matrix(const family_t *f, const double *params, double count, double nu,
                               const double *factor) noexcept nogil:
    """From the factor of nu Psi^-1."""
    cdef Py_ssize_t d = f.n_features
    cdef double reg_covar = context_of(f).covariances.reg_covar
    return (evidence_of_scale(d, count * <double> d, nu, <double> d * log(nu) - 2 * log_diagonal(d, factor),
                              context_of(f).nu0, scale0_of(f, params)[d * d])
            + 0.5 * count * reg_covar * sum_of_squares(d * d, factor))


cdef double full_log_evidence(const family_t *f, const double *counts, const double *params,
                              double *own) noexcept nogil:
    cdef Py_ssize_t d = f.n_features, k
    cdef const double *factors = params + f.n_components * d * (1 + d)
    for k in range(f.n_components):
        own[k] += evidence_of_matrix(f, params, counts[k], nu_of(f, k, params), factors + k * d * d)
    return 0


cdef double tied_log_evidence(const family_t *f, const double *counts, const double *params,
                              double *own) noexcept nogil:
    cdef Py_ssize_t d = f.n_features, k
    cdef double count = 0
    for k in range(f.n_components):
        count += counts[k]
    return evidence_of_matrix(f, params, count, nu_of(f, 0, params), params + (f.n_components + d) * d)


cdef double diagonal_log_evidence(const family_t *f, const double *counts, const double *params,
                                  double *own) noexcept nogil:
    cdef const context_t *context = context_of(f)
    cdef Py_ssize_t d = f.n_features, k, j
    cdef const double *scales = params + 2 * f.n_components * d
    cdef double nu
    for k in range(f.n_components):
        nu = nu_of(f, k, params)
        own[k] += 0.5 * counts[k] * context.covariances.reg_covar * sum_of_squares(d, scales + k * d)
        for j in range(d):
            own[k] += evidence_of_scale(1, counts[k], nu, log(nu) - 2 * log(scales[k * d + j]), context.nu0,
                                        log(scale0_of(f, params)[j]))
    return 0


cdef double spherical_log_evidence(const family_t *f, const double *counts, const double *params,
                                   double *own) noexcept nogil:
    cdef Py_ssize_t d = f.n_features, k
    cdef const double *scales = params + f.n_components * (d + 1)
    cdef double nu, n_reals, columns = <double> d
    for k in range(f.n_components):
        nu, n_reals = nu_of(f, k, params), counts[k] * columns
        own[k] += (evidence_of_scale(1, n_reals, columns * nu, log(columns * nu) - 2 * log(scales[k]),
                                     columns * context_of(f).nu0, log(columns) + scale0_of(f, params)[1])
                   + 0.5 * n_reals * context_of(f).covariances.reg_covar * scales[k] * scales[k])
    return 0


cdef double log_evidence(const family_t *f, const double *counts, const double *params, double *own) noexcept nogil:
    cdef double shared = context_of(f).structure.log_evidence(f, counts, params, own)
    cdef Py_ssize_t k
    for k in range(f.n_components):
        own[k] -= 0.5 * <double> f.n_features * log(kappa_of(f, k, params) / context_of(f).kappa0)
    return shared


# ---- draws ----------------------------------------------------------------------------------------------------------

cdef void draw_factor(Py_ssize_t d, double nu, const double *factor, stream_t *stream, double *row,
                      double *drawn) noexcept nogil:
    """drawn = U = factor B / sqrt(nu), where U U' is Wishart of nu degrees of freedom and mean factor factor'. B is
    upper triangular, B_ii^2 ~ chi^2(nu - d + i), i from 1, with normal variates above: Bartlett, "On the theory of
    statistical regression", Proceedings of the Royal Society of Edinburgh 53 (1933). row[d] is room for a row of it."""
    cdef Py_ssize_t i, j, k
    for i in range(d * d):
        drawn[i] = 0
    for k in range(d):
        # chi^2 / nu is Gamma((nu - d + k + 1) / 2) / (nu / 2)
        row[k] = exp(0.5 * (stream.log_gamma(stream, 0.5 * (nu - <double> (d - 1 - k))) - log(0.5 * nu)))
        for j in range(k + 1, d):
            row[j] = stream.normal(stream) / sqrt(nu)
        for i in range(k + 1):
            for j in range(k, d):
                drawn[i * d + j] += factor[i * d + k] * row[j]


cdef void full_draw(const family_t *f, Py_ssize_t k, const double *params, stream_t *stream, double *own_work,
                    double *drawn) noexcept nogil:
    """mean = m + U'^-1 z / sqrt(kappa), z normal, U the drawn factor of the precision"""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, i, j
    cdef Py_ssize_t covariances = n_components * d + k * d * d
    cdef Py_ssize_t factors = covariances + n_components * d * d
    cdef double *factor = drawn + factors
    cdef double *mean = drawn + k * d
    cdef double kappa = kappa_of(f, k, params), total
    draw_factor(d, nu_of(f, k, params), params + factors, stream, own_work, factor)
    covariance_of_factor(d, factor, own_work, drawn + covariances)
    for i in range(d):
        total = stream.normal(stream) / sqrt(kappa)
        for j in range(i):
            total -= factor[j * d + i] * own_work[j]
        own_work[i] = total / factor[i * d + i]
        mean[i] = params[k * d + i] + own_work[i]


cdef inline double draw_ratio(stream_t *stream, double shape) noexcept nogil:
    """A draw of sqrt(precision / its posterior mean), the precision ~ Gamma(shape, ..)."""
    return exp(0.5 * (stream.log_gamma(stream, shape) - log(shape)))


cdef void diagonal_draw(const family_t *f, Py_ssize_t k, const double *params, stream_t *stream, double *own_work,
                        double *drawn) noexcept nogil:
    cdef Py_ssize_t n = f.n_components * f.n_features, i
    cdef double kappa = kappa_of(f, k, params), nu = nu_of(f, k, params)
    for i in range(k * f.n_features, (k + 1) * f.n_features):
        drawn[2 * n + i] = params[2 * n + i] * draw_ratio(stream, 0.5 * nu)
        drawn[n + i] = 1 / (drawn[2 * n + i] * drawn[2 * n + i])
        drawn[i] = params[i] + stream.normal(stream) / (sqrt(kappa) * drawn[2 * n + i])


cdef void spherical_draw(const family_t *f, Py_ssize_t k, const double *params, stream_t *stream, double *own_work,
                         double *drawn) noexcept nogil:
    cdef Py_ssize_t d = f.n_features, n = f.n_components, i
    cdef double kappa = kappa_of(f, k, params), nu = nu_of(f, k, params)
    cdef double root = params[n * d + n + k] * draw_ratio(stream, 0.5 * nu * <double> d)
    drawn[n * d + n + k] = root
    drawn[n * d + k] = 1 / (root * root)
    for i in range(k * d, (k + 1) * d):
        drawn[i] = params[i] + stream.normal(stream) / (sqrt(kappa) * root)


# ---- free numbers: the Gaussian's, and the logarithm of each component's number of rows ------------------------------

cdef int unconstrain(const family_t *f, const double *params, double *numbers) noexcept nogil:
    cdef const context_t *context = context_of(f)
    cdef Py_ssize_t k
    for k in range(f.n_components):
        numbers[k] = log(kappa_of(f, k, params) - context.kappa0)
    return context.plain_numbers.unconstrain(&context.plain, params, numbers + f.n_components)


cdef int constrain(const family_t *f, const double *numbers, double *work, double *params) noexcept nogil:
    cdef const context_t *context = context_of(f)
    cdef double *nus = nus_in(f, params)
    cdef double count
    cdef Py_ssize_t k
    for k in range(context.structure.n_nu):
        nus[k] = context.nu0
    for k in range(f.n_components):
        count = exp(numbers[k])
        if not isfinite(count):
            return 1
        kappas_in(f, params)[k] = context.kappa0 + count
        nus[k if context.structure.n_nu > 1 else 0] += count
    return context.plain_numbers.constrain(&context.plain, numbers + f.n_components, work, params)


# ---- bind -----------------------------------------------------------------------------------------------------------

cdef object posterior_of(family_t *f, double kappa0, double nu0, m0, scale0, double share):
    """Turn a Gaussian family into its posterior. The context is a context_t, with memory for m0 and scale0 behind it
    and the structure filled in. Returns the capsule."""
    cdef context_t *context = <context_t *> f.context
    cdef double *numbers = <double *> (context + 1)
    cdef Py_ssize_t d = f.n_features, n_scale = context.structure.n_scale
    cdef const double[::1] given
    if m0 is not None:
        given = m0
        memcpy(numbers, &given[0], d * sizeof(double))
        context.m0 = numbers
    if scale0 is not None:
        given = scale0
        memcpy(numbers + d, &given[0], n_scale * sizeof(double))
        context.scale0 = numbers + d
    context.kappa0, context.nu0, context.share = kappa0, nu0, share
    context.plain = f[0]
    context.plain_numbers = f.free_numbers[0]
    context.plain.free_numbers = &context.plain_numbers
    if f.bounds != NULL:
        context.plain_bounds = f.bounds[0]
        context.plain.bounds = &context.plain_bounds
        give_bounds(f, context.plain_bounds.n_carry, context.plain_bounds.bounded_log_density, prepare_carry,
                    context.plain_bounds.carry)
    give_free_numbers(f, context.plain_numbers.n_free + f.n_components, unconstrain, constrain)
    give_posterior(f, log_evidence)
    if context.structure.draw != NULL:
        give_draws(f, &context.plain, context.structure.draw)
    if m0 is None or scale0 is None:
        f.n_scratch_columns = max(f.n_scratch_columns, d + 1)
        learn_rows(f, d + n_products(f) + 1,
                   context.covariances.gaussian.linear_accumulate_common if context.structure.has_pairs
                   else context.covariances.gaussian.diagonal_accumulate_common)
    f.prepare, f.draw_row = prepare, NULL  # a Gaussian's, of parameters that these are not
    f.n_params += f.n_components + context.structure.n_nu + d + n_scale + 1
    f.n_work = max(f.n_work + f.n_components, 2 * d * (d + 1))
    f.n_own_work = max(f.n_own_work, 3 * d)
    return capsule_of(f)


cdef inline size_t context_bytes(Py_ssize_t n_features, Py_ssize_t n_scale):
    return sizeof(context_t) + (n_features + n_scale) * sizeof(double)


cdef void give_matrices(family_t *f, structure_t *structure) noexcept:
    structure.expected_log_determinant, structure.log_determinant = matrix_determinant, matrix_log_determinant
    structure.scale_from = matrix_from
    structure.n_scale, structure.n_diagonal = f.n_features * f.n_features, f.n_features
    structure.scale_step, structure.has_pairs = f.n_features + 1, True


def bind_full_posterior(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa, double reg_covar,
                        double kappa0, double nu0, m0, scale0, double share):
    """The capsule. m0 (d,), scale0 = Psi0 (d * d,); None takes the mean of the rows, and `share` times their
    covariance."""
    cdef family_t *f = new_full(n_components, n_features, real_bytes, isa, reg_covar,
                                context_bytes(n_features, n_features * n_features))
    cdef structure_t *structure = &(<context_t *> f.context).structure
    give_matrices(f, structure)
    structure.log_evidence, structure.n_nu = full_log_evidence, n_components
    structure.draw = full_draw
    f.maximise, f.maximise_component = maximise, full_component
    return posterior_of(f, kappa0, nu0, m0, scale0, share)


def bind_tied_posterior(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa, double reg_covar,
                        double kappa0, double nu0, m0, scale0, double share):
    """As `bind_full_posterior`."""
    cdef family_t *f = new_tied(n_components, n_features, real_bytes, isa, reg_covar,
                                context_bytes(n_features, n_features * n_features))
    cdef structure_t *structure = &(<context_t *> f.context).structure
    give_matrices(f, structure)
    structure.log_evidence, structure.n_nu = tied_log_evidence, 1
    f.maximise = tied_maximise
    return posterior_of(f, kappa0, nu0, m0, scale0, share)


def bind_diagonal_posterior(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa,
                            double reg_covar, double kappa0, double nu0, m0, scale0, double share):
    """scale0 = Psi0 (d,); else as `bind_full_posterior`"""
    cdef family_t *f = new_diagonal(n_components, n_features, real_bytes, isa, reg_covar,
                                    context_bytes(n_features, n_features))
    cdef structure_t *structure = &(<context_t *> f.context).structure
    structure.expected_log_determinant, structure.log_determinant = column_determinant, scales_log_determinant
    structure.scale_from = columns_from
    structure.n_scale = structure.n_diagonal = n_features
    structure.scale_step, structure.has_pairs = 1, False
    structure.log_evidence, structure.n_nu = diagonal_log_evidence, n_components
    structure.draw = diagonal_draw
    f.maximise, f.maximise_component = maximise, diagonal_component
    return posterior_of(f, kappa0, nu0, m0, scale0, share)


def bind_spherical_posterior(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa,
                             double reg_covar, double kappa0, double nu0, m0, scale0, double share):
    """scale0 = Psi0 (1,); else as `bind_full_posterior`, with the mean variance of the columns"""
    cdef family_t *f = new_spherical(n_components, n_features, real_bytes, isa, reg_covar,
                                     context_bytes(n_features, 1))
    cdef structure_t *structure = &(<context_t *> f.context).structure
    structure.expected_log_determinant, structure.log_determinant = sphere_determinant, scales_log_determinant
    structure.scale_from = sphere_from
    structure.n_scale = structure.n_diagonal = structure.scale_step = 1
    structure.has_pairs = False
    structure.log_evidence, structure.n_nu = spherical_log_evidence, n_components
    structure.draw = spherical_draw
    f.maximise, f.maximise_component = maximise, spherical_component
    return posterior_of(f, kappa0, nu0, m0, scale0, share)
