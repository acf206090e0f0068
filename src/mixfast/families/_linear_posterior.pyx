"""The posteriors of components with linear log densities, under conjugate priors, fitted by variational Bayes.

    Bernoulli     probability of a one ~ Beta(a, b), by column
    multinomial   probabilities ~ Dirichlet(alpha)
    Poisson       rate ~ Gamma(shape, rate), by column
    exponential   the same

Parameters are the hyper-parameters of the posteriors: a[K][d] and b[K][d]; concentrations[K][d]; shapes[K][d] and
rates[K][d]. Each is that of the prior and a sum over the rows. Expected log densities are linear in the rows too, so
loops and statistics are those of the plain families. Bishop, "Pattern recognition and machine learning" (2006), 2.1,
2.2 and B; Murphy, "Machine learning" (2012), chapter 3.

Coefficients are differences of digamma functions, and never go through their exponentials: that of digamma(0.001) is 0.
"""

from libc.math cimport log
from libc.stdint cimport int32_t
from libc.string cimport memcpy

from mixfast.engine._capsule cimport capsule_of, give_free_numbers, give_posterior
from mixfast.engine._family cimport MIXFAST_OK, family_t, log_evidence_fn, stream_t, totals_t
from mixfast.engine._special cimport digamma, digamma_rise, lgamma_rise
from mixfast.families._conjugate cimport (
    constrain_added,
    dirichlet_log_evidence,
    draw_beta,
    draw_dirichlet,
    draw_gamma,
    gamma_log_evidence,
    give_plain,
    own_array,
    own_array_in,
    prior_array,
    prior_t,
    unconstrain_added,
)
from mixfast.families._linear cimport check_shape, coefficients_in, constant_in, linear_t, new_linear, sums_of, sums_t

import numpy as np

from mixfast.families._bernoulli import bind_bernoulli
from mixfast.families._gamma import bind_exponential
from mixfast.families._multinomial import bind_multinomial
from mixfast.families._poisson import bind_poisson

ctypedef struct context_t:
    linear_t linear
    prior_t prior
    Py_ssize_t n_missing           # columns with missing entries, of Bernoulli rows
    const int32_t *missing


cdef inline const context_t *context_of(const family_t *f) noexcept nogil:
    return <const context_t *> f.context


cdef inline const double *prior_of(const family_t *f, Py_ssize_t i) noexcept nogil:
    return prior_array(&context_of(f).prior, i)


cdef inline const double *own_of(const family_t *f, Py_ssize_t k, Py_ssize_t i, const double *params) noexcept nogil:
    return own_array(&context_of(f).prior, f.n_components, k, i, params)


cdef inline double *own_in(const family_t *f, Py_ssize_t k, Py_ssize_t i, double *params) noexcept nogil:
    return own_array_in(&context_of(f).prior, f.n_components, k, i, params)


cdef int maximise(const family_t *f, const totals_t *totals, double *work, double *params) noexcept nogil:
    """OUT work: sums for `maximise_component`. An empty component has the prior, which needs no status flag."""
    context_of(f).linear.kernels.collect(f.n_components, f.n_features, totals.stats, work)
    return MIXFAST_OK


cdef inline const double *sums_of_component(const family_t *f, Py_ssize_t k, const totals_t *totals,
                                            const double *work) noexcept nogil:
    cdef sums_t sums = sums_of(f, totals, work)
    return sums.of_components + k * f.n_features


cdef void add_sums(Py_ssize_t n, const double *prior, bint is_empty, const double *sums, double *own) noexcept nogil:
    """OUT own[n] = prior + sums; for an empty component the prior alone, without the rounding errors of its sums."""
    cdef Py_ssize_t j
    for j in range(n):
        own[j] = prior[j] if is_empty else prior[j] + sums[j]


# ---- Bernoulli ------------------------------------------------------------------------------------------------------

cdef void prepare_bernoulli(const family_t *f, Py_ssize_t k, const double *log_weights, const double *params,
                            double *own_work, double *work) noexcept nogil:
    """E log p(x) = sum_j E log(1 - p_j) + x_j (E log p_j - E log(1 - p_j)), where missing entries have columns as
    `_bernoulli.pyx` says."""
    cdef const context_t *context = context_of(f)
    cdef Py_ssize_t d = context.prior.n_own, j, m
    cdef const double *a = own_of(f, k, 0, params)
    cdef const double *b = own_of(f, k, 1, params)
    cdef double *log_odds = coefficients_in(f, work, k)
    cdef double *not_zero = log_odds + d
    cdef double constant = log_weights[k]
    for j in range(d):
        constant -= digamma_rise(b[j], a[j])
        log_odds[j] = digamma(a[j]) - digamma(b[j])
    constant_in(f, work, k)[0] = constant
    if context.n_missing == 0:
        return
    for m in range(context.n_missing):
        j = context.missing[m]
        log_odds[j] = -digamma_rise(a[j], b[j])
        not_zero[m] = digamma_rise(b[j], a[j])
    not_zero[context.n_missing] = 0


cdef int maximise_bernoulli(const family_t *f, Py_ssize_t k, const totals_t *totals, const double *work,
                            double *own_work, double *params) noexcept nogil:
    """a + ones, b + zeros"""
    cdef const context_t *context = context_of(f)
    cdef Py_ssize_t d = context.prior.n_own, j, m
    cdef const double *sums = sums_of_component(f, k, totals, work)
    cdef const double *not_zero = sums + d
    cdef const double *prior_b = prior_of(f, 1)
    cdef double *b = own_in(f, k, 1, params)
    cdef double count = totals.counts[k]
    add_sums(d, prior_of(f, 0), count == 0, sums, own_in(f, k, 0, params))
    for j in range(d):  # rounding may leave less than nothing
        b[j] = prior_b[j] if count == 0 else prior_b[j] + max(count - sums[j], 0.0)
    for m in range(context.n_missing):
        j = context.missing[m]
        if count > 0:
            b[j] = prior_b[j] + max(not_zero[context.n_missing] - not_zero[m], 0.0)
    return MIXFAST_OK


cdef double bernoulli_log_evidence(const family_t *f, const double *counts, const double *params,
                                   double *own) noexcept nogil:
    cdef const double *prior_a = prior_of(f, 0)
    cdef const double *prior_b = prior_of(f, 1)
    cdef const double *a
    cdef const double *b
    cdef double ones, zeros
    cdef Py_ssize_t k, j
    for k in range(f.n_components):
        a, b = own_of(f, k, 0, params), own_of(f, k, 1, params)
        for j in range(context_of(f).prior.n_own):
            ones, zeros = a[j] - prior_a[j], b[j] - prior_b[j]
            own[k] += (lgamma_rise(prior_a[j], ones) + lgamma_rise(prior_b[j], zeros)
                       - lgamma_rise(prior_a[j] + prior_b[j], ones + zeros))
    return 0


cdef void bernoulli_draw(const family_t *f, Py_ssize_t k, const double *params, stream_t *stream, double *own_work,
                         double *drawn) noexcept nogil:
    cdef Py_ssize_t d = context_of(f).prior.n_own, j
    cdef const double *a = own_of(f, k, 0, params)
    cdef const double *b = own_of(f, k, 1, params)
    for j in range(d):
        drawn[k * d + j] = draw_beta(stream, a[j], b[j])


# ---- multinomial ----------------------------------------------------------------------------------------------------

cdef void prepare_multinomial(const family_t *f, Py_ssize_t k, const double *log_weights, const double *params,
                              double *own_work, double *work) noexcept nogil:
    """E log p(x) = x . E log p"""
    cdef const double *concentrations = own_of(f, k, 0, params)
    cdef double *log_p = coefficients_in(f, work, k)
    cdef double total = 0
    cdef Py_ssize_t j
    constant_in(f, work, k)[0] = log_weights[k]
    for j in range(f.n_features):
        total += concentrations[j]
    total = digamma(total)
    for j in range(f.n_features):
        log_p[j] = digamma(concentrations[j]) - total


cdef int maximise_multinomial(const family_t *f, Py_ssize_t k, const totals_t *totals, const double *work,
                              double *own_work, double *params) noexcept nogil:
    """alpha + words"""
    add_sums(f.n_features, prior_of(f, 0), totals.counts[k] == 0, sums_of_component(f, k, totals, work),
             own_in(f, k, 0, params))
    return MIXFAST_OK


cdef double multinomial_log_evidence(const family_t *f, const double *counts, const double *params,
                                     double *own) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(f.n_components):
        own[k] += dirichlet_log_evidence(f.n_features, prior_of(f, 0), own_of(f, k, 0, params))
    return 0


cdef void multinomial_draw(const family_t *f, Py_ssize_t k, const double *params, stream_t *stream, double *own_work,
                           double *drawn) noexcept nogil:
    draw_dirichlet(stream, f.n_features, own_of(f, k, 0, params), drawn + k * f.n_features)


# ---- rates ----------------------------------------------------------------------------------------------------------

cdef double rates_log_evidence(const family_t *f, const double *counts, const double *params,
                               double *own) noexcept nogil:
    cdef const double *prior_shapes = prior_of(f, 0)
    cdef const double *prior_rates = prior_of(f, 1)
    cdef const double *shapes
    cdef const double *rates
    cdef Py_ssize_t k, j
    for k in range(f.n_components):
        shapes, rates = own_of(f, k, 0, params), own_of(f, k, 1, params)
        for j in range(f.n_features):
            own[k] += gamma_log_evidence(prior_shapes[j], prior_rates[j], shapes[j], rates[j])
    return 0


cdef void rates_draw(const family_t *f, Py_ssize_t k, const double *params, stream_t *stream, double *own_work,
                     double *drawn) noexcept nogil:
    cdef const double *shapes = own_of(f, k, 0, params)
    cdef const double *rates = own_of(f, k, 1, params)
    cdef Py_ssize_t j
    for j in range(f.n_features):
        drawn[k * f.n_features + j] = draw_gamma(stream, shapes[j], rates[j])


cdef void add_count(Py_ssize_t n, const double *prior, double count, double *own) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        own[j] = prior[j] + count


cdef void prepare_poisson(const family_t *f, Py_ssize_t k, const double *log_weights, const double *params,
                          double *own_work, double *work) noexcept nogil:
    """E log p(x) = x . E log rates - sum of E rates"""
    cdef const double *shapes = own_of(f, k, 0, params)
    cdef const double *rates = own_of(f, k, 1, params)
    cdef double *log_rates = coefficients_in(f, work, k)
    cdef double constant = log_weights[k]
    cdef Py_ssize_t j
    for j in range(f.n_features):
        log_rates[j] = digamma(shapes[j]) - log(rates[j])
        constant -= shapes[j] / rates[j]
    constant_in(f, work, k)[0] = constant


cdef int maximise_poisson(const family_t *f, Py_ssize_t k, const totals_t *totals, const double *work,
                          double *own_work, double *params) noexcept nogil:
    """shape + events, rate + rows"""
    cdef double count = totals.counts[k]
    add_sums(f.n_features, prior_of(f, 0), count == 0, sums_of_component(f, k, totals, work), own_in(f, k, 0, params))
    add_count(f.n_features, prior_of(f, 1), count, own_in(f, k, 1, params))
    return MIXFAST_OK


cdef void prepare_exponential(const family_t *f, Py_ssize_t k, const double *log_weights, const double *params,
                              double *own_work, double *work) noexcept nogil:
    """E log p(x) = sum of E log rates - x . E rates"""
    cdef const double *shapes = own_of(f, k, 0, params)
    cdef const double *rates = own_of(f, k, 1, params)
    cdef double *coefficients = coefficients_in(f, work, k)
    cdef double constant = log_weights[k]
    cdef Py_ssize_t j
    for j in range(f.n_features):
        constant += digamma(shapes[j]) - log(rates[j])
        coefficients[j] = -shapes[j] / rates[j]
    constant_in(f, work, k)[0] = constant


cdef int maximise_exponential(const family_t *f, Py_ssize_t k, const totals_t *totals, const double *work,
                              double *own_work, double *params) noexcept nogil:
    """shape + rows, rate + times"""
    cdef double count = totals.counts[k]
    add_count(f.n_features, prior_of(f, 0), count, own_in(f, k, 0, params))
    add_sums(f.n_features, prior_of(f, 1), count == 0, sums_of_component(f, k, totals, work), own_in(f, k, 1, params))
    return MIXFAST_OK


# ---- bind -----------------------------------------------------------------------------------------------------------

cdef int unconstrain(const family_t *f, const double *params, double *numbers) noexcept nogil:
    return unconstrain_added(&context_of(f).prior, f.n_components, params, numbers)


cdef int constrain(const family_t *f, const double *numbers, double *work, double *params) noexcept nogil:
    return constrain_added(&context_of(f).prior, f.n_components, numbers, params)


cdef family_t *new_posterior(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa, bint is_sparse,
                             const double[:, ::1] prior, Py_ssize_t n_missing,
                             log_evidence_fn log_evidence) except NULL:
    """prior: an array of hyper-parameters in each row."""
    cdef Py_ssize_t n_arrays = prior.shape[0], n_own = prior.shape[1]
    cdef family_t *f = new_linear(sizeof(context_t) + n_arrays * n_own * sizeof(double) + n_missing * sizeof(int32_t),
                                  n_components, n_features, real_bytes, isa, is_sparse)
    cdef context_t *context = <context_t *> f.context
    cdef double *values = <double *> (context + 1)
    memcpy(values, &prior[0, 0], n_arrays * n_own * sizeof(double))
    context.prior.n_arrays, context.prior.n_own, context.prior.values = n_arrays, n_own, values
    f.n_params = n_arrays * n_components * n_own
    f.flops_per_component = 200 * n_arrays * n_own  # digamma functions
    f.maximise = maximise
    give_free_numbers(f, f.n_params, unconstrain, constrain)
    give_posterior(f, log_evidence)
    return f


def bind_bernoulli_posterior(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa,
                             bint is_sparse, const double[:, ::1] prior, const int32_t[::1] missing):
    """prior: a and b, (2, d); `missing` and `n_features` as `bind_bernoulli` has them."""
    cdef Py_ssize_t n_missing = missing.shape[0], m
    check_shape(n_components, prior.shape[1], real_bytes)
    if n_features != prior.shape[1] + (n_missing + 1 if n_missing else 0):
        raise ValueError(f"cannot bind {n_features} columns with a prior of {prior.shape[1]}, {n_missing} of them with "
                         "missing entries")
    cdef family_t *f = new_posterior(n_components, n_features, real_bytes, isa, is_sparse, prior, n_missing,
                                     bernoulli_log_evidence)
    cdef context_t *context = <context_t *> f.context
    cdef int32_t *own_missing = <int32_t *> (context.prior.values + 2 * context.prior.n_own)
    for m in range(n_missing):
        own_missing[m] = missing[m]
    context.n_missing, context.missing = n_missing, own_missing
    f.prepare_component, f.maximise_component = prepare_bernoulli, maximise_bernoulli
    plain = bind_bernoulli(n_components, n_features, real_bytes, isa, is_sparse, 0.0, missing)
    give_plain(f, plain, bernoulli_draw)
    return capsule_of(f)


def bind_multinomial_posterior(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa,
                               bint is_sparse, const double[:, ::1] prior):
    """prior: concentrations, (1, n_features)"""
    cdef family_t *f = new_posterior(n_components, n_features, real_bytes, isa, is_sparse, prior, 0,
                                     multinomial_log_evidence)
    f.prepare_component, f.maximise_component = prepare_multinomial, maximise_multinomial
    give_plain(f, bind_multinomial(n_components, n_features, real_bytes, isa, is_sparse, 0.0), multinomial_draw)
    return capsule_of(f)


def bind_poisson_posterior(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa, bint is_sparse,
                           const double[:, ::1] prior):
    """prior: shapes and rates, (2, n_features)"""
    cdef family_t *f = new_posterior(n_components, n_features, real_bytes, isa, is_sparse, prior, 0, rates_log_evidence)
    f.prepare_component, f.maximise_component = prepare_poisson, maximise_poisson
    give_plain(f, bind_poisson(n_components, n_features, real_bytes, isa, is_sparse, 0.0, 0.0, False,
                               np.zeros(0, dtype=np.int32)), rates_draw)
    return capsule_of(f)


def bind_exponential_posterior(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa,
                               const double[:, ::1] prior):
    """prior: shapes and rates, (2, n_features)"""
    cdef family_t *f = new_posterior(n_components, n_features, real_bytes, isa, False, prior, 0, rates_log_evidence)
    f.prepare_component, f.maximise_component = prepare_exponential, maximise_exponential
    give_plain(f, bind_exponential(n_components, n_features, real_bytes, isa, real_bytes, np.zeros(0, dtype=np.int32)),
               rates_draw)
    return capsule_of(f)
