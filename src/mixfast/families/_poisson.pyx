"""The verbs of the Poisson family; loops over rows are in `_kernels/linear.c` and `sparse_linear.c`.

Parameters: rates[K][d]. Statistics: events[K][d], the weighted sums of the counts, and, in a last column of the rows
where there is one, the weighted sum of the exposures; without it a row is exposed for 1. With a Gamma prior of shape
1 + alpha and rate beta on each rate the M-step is rate = (events + alpha) / (exposure + beta), and EM increases the
log-likelihood plus the sum of alpha log(rate) - beta rate.
"""

from libc.float cimport DBL_MIN
from libc.math cimport exp, isfinite, isinf, log

from mixfast.engine._capsule cimport capsule_of, give_free_numbers
from mixfast.engine._family cimport MIXFAST_NOT_FINITE, MIXFAST_OK, family_t, totals_t
from mixfast.families._edge cimport is_left_by_prior
from mixfast.families._linear cimport check_shape, coefficients_in, constant_in, linear_t, new_linear, sums_of, sums_t

ctypedef struct context_t:
    linear_t linear
    double alpha
    double beta
    bint is_exposed


cdef inline const context_t *context_of(const family_t *f) noexcept nogil:
    return <const context_t *> f.context


cdef inline Py_ssize_t n_rates(const family_t *f) noexcept nogil:
    """Number of rates of a component: the columns without that of exposures."""
    return f.n_features - context_of(f).is_exposed


cdef void prepare_component(const family_t *f, Py_ssize_t k, const double *log_weights, const double *params,
                            double *own_work, double *work) noexcept nogil:
    """log p(x) = x . log rates - exposure * sum of rates"""
    cdef Py_ssize_t d = n_rates(f), j
    cdef const double *rates = params + k * d
    cdef double *log_rates = coefficients_in(f, work, k)
    cdef double total = 0
    for j in range(d):
        log_rates[j] = log(rates[j])
        total += rates[j]
    constant_in(f, work, k)[0] = log_weights[k]
    if context_of(f).is_exposed:
        log_rates[d] = -total
    else:
        constant_in(f, work, k)[0] -= total


cdef int maximise_component(const family_t *f, Py_ssize_t k, const totals_t *totals, const double *work,
                            double *own_work, double *params) noexcept nogil:
    """An empty component has the rates of all rows."""
    cdef const context_t *context = context_of(f)
    cdef Py_ssize_t d = n_rates(f), j
    cdef sums_t sums = sums_of(f, totals, work)
    cdef const double *events = sums.of_components + k * f.n_features
    cdef double exposure = totals.counts[k], rate
    # with a prior nothing is impossible, even where alpha is lost beside the exposure
    cdef double least = 0.0 if context.alpha == 0 else DBL_MIN
    if totals.counts[k] == 0:
        events, exposure = sums.of_all, sums.total
    if context.is_exposed:
        exposure = events[d]
    for j in range(d):
        rate = (events[j] + context.alpha) / (exposure + context.beta)
        if not isfinite(rate):
            return MIXFAST_NOT_FINITE
        params[k * d + j] = max(rate, least)
    return MIXFAST_OK


cdef double log_prior(const family_t *f, const double *params) noexcept nogil:
    cdef double alpha = context_of(f).alpha, beta = context_of(f).beta, total = 0
    cdef Py_ssize_t i
    if alpha > 0:
        for i in range(f.n_params):
            total += alpha * log(params[i])
    if beta > 0:
        for i in range(f.n_params):
            total -= beta * params[i]
    return total


cdef int unconstrain(const family_t *f, const double *params, double *numbers) noexcept nogil:
    """OUT numbers: logarithms; -inf for rates of 0."""
    cdef Py_ssize_t i
    for i in range(f.n_params):
        numbers[i] = log(params[i])
    return 0


cdef int constrain(const family_t *f, const double *numbers, double *work, double *params) noexcept nogil:
    """OUT params: rates. Finite numbers never underflow to 0, which would make rows impossible."""
    cdef Py_ssize_t i
    for i in range(f.n_params):
        params[i] = exp(numbers[i])
        if not isfinite(params[i]):
            return MIXFAST_NOT_FINITE
        if not isinf(numbers[i]):
            params[i] = max(params[i], DBL_MIN)
    return 0


def bind_poisson(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa, bint is_sparse,
                 double alpha, double beta, bint is_exposed):
    """The capsule. With `is_exposed` the last of the n_features columns are exposures."""
    check_shape(n_components, n_features - is_exposed, real_bytes)
    cdef family_t *f = new_linear(sizeof(context_t), n_components, n_features, real_bytes, isa, is_sparse)
    cdef context_t *context = <context_t *> f.context
    context.alpha, context.beta, context.is_exposed = alpha, beta, is_exposed
    f.n_params = n_components * (n_features - is_exposed)
    f.prepare_component, f.maximise_component, f.log_prior = prepare_component, maximise_component, log_prior
    give_free_numbers(f, f.n_params, unconstrain, constrain)
    f.starts_inside = not is_left_by_prior(alpha)
    return capsule_of(f)
