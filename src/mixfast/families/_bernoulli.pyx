"""The verbs of the Bernoulli family: prepare, maximise and the prior; loops over rows are in `_kernels/bernoulli.c`.

Parameters: probabilities[K][d]. Statistics: ones[K][d], the weighted number of ones. With a Beta(1 + alpha, 1 + alpha)
prior on each probability the M-step is p = (ones + alpha) / (N + 2 alpha), and EM increases the log-likelihood plus
alpha * sum of log p + log(1 - p).
"""

from libc.float cimport DBL_EPSILON, DBL_MIN
from libc.math cimport INFINITY, exp, isinf, log, log1p
from libc.stdlib cimport calloc, free

from mixfast._capsule cimport capsule_of
from mixfast._family cimport (
    MIXFAST_EMPTIED_COMPONENT,
    MIXFAST_OK,
    bernoulli_kernels_t,
    family_t,
    mixfast_select_bernoulli,
    mixfast_select_rows,
    rows_kernels_t,
    totals_t,
)
from mixfast._isa cimport resolve_isa

ctypedef struct context_t:
    double alpha
    const rows_kernels_t *rows


cdef inline const context_t *context_of(const family_t *f) noexcept nogil:
    return <const context_t *> f.context


cdef void prepare(const family_t *f, const double *weights, const double *params, double *work, double *pivot,
                  void *tables) noexcept nogil:
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k, j
    cdef double *constant = work
    cdef double *log_odds = constant + n_components
    cdef double p
    for k in range(n_components):
        constant[k] = log(weights[k])
        for j in range(d):
            p = params[k * d + j]
            if p <= 0:
                log_odds[k * d + j] = -INFINITY
            elif p >= 1:
                log_odds[k * d + j] = INFINITY
            else:
                constant[k] += log1p(-p)
                log_odds[k * d + j] = log(p) - log1p(-p)
    context_of(f).rows.round_to_real(n_components * (1 + d), work, tables)


cdef int maximise(const family_t *f, const totals_t *totals, double *work, double *params) noexcept nogil:
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k, j
    cdef const double *counts = totals.counts
    cdef const double *stats = totals.stats
    cdef double alpha = context_of(f).alpha, total = 0, ones
    cdef int status = MIXFAST_OK
    for k in range(n_components):
        total += counts[k]
    for k in range(n_components):
        if counts[k] == 0:
            status |= MIXFAST_EMPTIED_COMPONENT
        for j in range(d):
            if counts[k] > 0:
                params[k * d + j] = (stats[k * d + j] + alpha) / (counts[k] + 2 * alpha)
    for j in range(d):
        ones = 0
        for k in range(n_components):
            ones += stats[k * d + j]
        for k in range(n_components):
            if counts[k] == 0:
                params[k * d + j] = (ones + alpha) / (total + 2 * alpha)
    # Sums of responsibilities may round past the count; and with a prior nothing is certain, even where alpha is lost
    # beside the count.
    for k in range(n_components * d):
        params[k] = min(max(params[k], 0.0 if alpha == 0 else DBL_MIN), 1.0 if alpha == 0 else 1 - DBL_EPSILON)
    return status


cdef double log_prior(const family_t *f, const double *params) noexcept nogil:
    cdef double alpha = context_of(f).alpha, total = 0
    cdef Py_ssize_t i
    if alpha == 0:
        return 0
    for i in range(f.n_params):
        total += log(params[i]) + log1p(-params[i])
    return alpha * total


cdef int unconstrain(const family_t *f, const double *params, double *numbers) noexcept nogil:
    """Log odds; infinite for what is certain."""
    cdef Py_ssize_t i
    for i in range(f.n_params):
        numbers[i] = log(params[i]) - log1p(-params[i])
    return 0


cdef int constrain(const family_t *f, const double *numbers, double *work, double *params) noexcept nogil:
    """Finite log odds make nothing certain, however large they are: a row that contradicts it would be impossible."""
    cdef Py_ssize_t i
    for i in range(f.n_params):
        params[i] = 1 / (1 + exp(-numbers[i]))
        if not isinf(numbers[i]):
            params[i] = min(max(params[i], DBL_MIN), 1 - DBL_EPSILON)
    return 0


def bind_bernoulli(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa, double alpha):
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
    cdef const bernoulli_kernels_t *kernels = mixfast_select_bernoulli(level, real_bytes)
    context.alpha = alpha
    context.rows = mixfast_select_rows(level, real_bytes)
    f.n_components, f.n_features = n_components, n_features
    f.real_bytes, f.isa, f.context = real_bytes, level, context
    f.n_params = f.n_stats = f.n_free = n_components * n_features
    f.n_tables = f.n_work = n_components * (1 + n_features)
    f.flops_per_row = n_components * (4 * n_features + 40)
    f.prepare, f.maximise, f.log_prior = prepare, maximise, log_prior
    f.unconstrain, f.constrain = unconstrain, constrain
    f.log_density, f.accumulate = kernels.log_density, kernels.accumulate
    return capsule_of(f)
