"""The verbs of the Poisson family; loops over rows are in `_kernels/linear.c` and `sparse_linear.c`.

Parameters: rates[K][d]. Statistics: events[K][d], the weighted sums of the counts, and, in a column of the rows after
them where there is one, the weighted sum of the exposures; without it a row is exposed for 1. Columns with missing
entries have one more each, of the exposures of rows with an entry: `new_columnwise` in `_linear.pyx`. With a Gamma
prior of shape 1 + alpha and rate beta on each rate the M-step is rate = (events + alpha) / (exposure + beta), and EM
increases the log-likelihood plus the sum of alpha log(rate) - beta rate.
"""

from libc.float cimport DBL_MIN
from libc.math cimport exp, isfinite, isinf, log
from libc.stdint cimport int32_t

from mixfast.engine._capsule cimport capsule_of, give_free_numbers
from mixfast.engine._family cimport MIXFAST_NOT_FINITE, MIXFAST_OK, family_t, totals_t
from mixfast.families._edge cimport is_left_by_prior
from mixfast.families._linear cimport (
    check_shape,
    coefficients_in,
    constant_in,
    constant_of,
    linear_t,
    new_columnwise,
    sums_of,
    sums_t,
    weight_there,
)

ctypedef struct context_t:
    linear_t linear
    Py_ssize_t n_rates         # d, the rates of a component
    double alpha
    double beta
    bint is_exposed


cdef inline const context_t *context_of(const family_t *f) noexcept nogil:
    return <const context_t *> f.context


cdef inline Py_ssize_t n_rates(const family_t *f) noexcept nogil:
    return context_of(f).n_rates


cdef void prepare_component(const family_t *f, Py_ssize_t k, const double *log_weights, const double *params,
                            double *own_work, double *work) noexcept nogil:
    """log p(x) = x . log rates - exposure * sum of rates"""
    cdef Py_ssize_t d = n_rates(f), j
    cdef const double *rates = params + k * d
    cdef double *log_rates = coefficients_in(f, work, k)
    cdef double total = 0
    for j in range(d, f.n_features):
        log_rates[j] = 0
    for j in range(d):
        log_rates[j] = log(rates[j])
        constant_of(f, j, log_rates, &total)[0] += rates[j]
    for j in range(d + context_of(f).is_exposed, f.n_features):
        log_rates[j] = -log_rates[j]
    constant_in(f, work, k)[0] = log_weights[k]
    if context_of(f).is_exposed:
        log_rates[d] = -total
    else:
        constant_in(f, work, k)[0] -= total


cdef inline double exposure_of(const family_t *f, const double *sums, Py_ssize_t j, double count) noexcept nogil:
    """Of a component's rows that have an entry in column j."""
    return weight_there(f, sums, j, sums[n_rates(f)] if context_of(f).is_exposed else count)


cdef int maximise_component(const family_t *f, Py_ssize_t k, const totals_t *totals, const double *work,
                            double *own_work, double *params) noexcept nogil:
    """An empty component has the rates of all rows, and so has a column of which it has no entry, without a prior."""
    cdef const context_t *context = context_of(f)
    cdef Py_ssize_t d = n_rates(f), j
    cdef sums_t sums = sums_of(f, totals, work)
    cdef const double *events
    cdef double exposure, rate
    # with a prior nothing is impossible, even where alpha is lost beside the exposure
    cdef double least = 0.0 if context.alpha == 0 else DBL_MIN
    for j in range(d):
        events = sums.of_components + k * f.n_features
        exposure = exposure_of(f, events, j, totals.counts[k])
        if totals.counts[k] == 0 or exposure + context.beta == 0:
            events, exposure = sums.of_all, exposure_of(f, sums.of_all, j, sums.total)
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


def bind_poisson(Py_ssize_t n_components, Py_ssize_t n_encoded, int real_bytes, object isa, bint is_sparse,
                 double alpha, double beta, bint is_exposed, const int32_t[::1] missing):
    """The capsule. `n_encoded` columns: counts, with `is_exposed` exposures, and those of the columns that are
    `missing` in some rows."""
    cdef Py_ssize_t n_given = n_encoded - missing.shape[0], n_columns = n_given - is_exposed
    check_shape(n_components, n_columns, real_bytes)
    cdef family_t *f = new_columnwise(sizeof(context_t), n_components, n_given, real_bytes, isa, is_sparse, n_columns,
                                      missing)
    cdef context_t *context = <context_t *> f.context
    context.alpha, context.beta, context.is_exposed, context.n_rates = alpha, beta, is_exposed, n_columns
    f.n_params = n_components * n_columns
    f.prepare_component, f.maximise_component, f.log_prior = prepare_component, maximise_component, log_prior
    give_free_numbers(f, f.n_params, unconstrain, constrain)
    f.starts_inside = not is_left_by_prior(alpha)
    return capsule_of(f)
