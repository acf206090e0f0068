"""The verbs of the multinomial family; loops over rows are in `_kernels/linear.c` and `sparse_linear.c`.

Parameters: probabilities[K][d]. Statistics: words[K][d], the weighted sums of the counts. With a Dirichlet(1 + alpha)
prior on the probabilities of each component the M-step is p = (words + alpha) / (sum of words + d alpha), and EM
increases the log-likelihood plus alpha * sum of log p.
"""

from libc.float cimport DBL_MIN
from libc.math cimport INFINITY, exp, isfinite, isinf, log

from mixfast.engine._capsule cimport capsule_of, give_free_numbers
from mixfast.engine._family cimport MIXFAST_NOT_FINITE, MIXFAST_OK, family_t, totals_t
from mixfast.families._edge cimport is_left_by_prior
from mixfast.families._linear cimport coefficients_in, constant_in, linear_t, new_linear, sums_of, sums_t

ctypedef struct context_t:
    linear_t linear
    double alpha


cdef inline double alpha_of(const family_t *f) noexcept nogil:
    return (<const context_t *> f.context).alpha


cdef void prepare_component(const family_t *f, Py_ssize_t k, const double *log_weights, const double *params,
                            double *own_work, double *work) noexcept nogil:
    """log p(x) = x . log p"""
    cdef Py_ssize_t d = f.n_features, j
    cdef double *log_p = coefficients_in(f, work, k)
    constant_in(f, work, k)[0] = log_weights[k]
    for j in range(d):
        log_p[j] = log(params[k * d + j])


cdef inline double sum_of(Py_ssize_t n, const double *values) noexcept nogil:
    cdef double total = 0
    cdef Py_ssize_t i
    for i in range(n):
        total += values[i]
    return total


cdef int maximise_component(const family_t *f, Py_ssize_t k, const totals_t *totals, const double *work,
                            double *own_work, double *params) noexcept nogil:
    """New probabilities of component k. An empty component gets those of all rows; so does one whose rows have no
    counts,
    if there is no prior."""
    cdef Py_ssize_t d = f.n_features, j
    cdef sums_t sums = sums_of(f, totals, work)
    cdef const double *words = sums.of_components + k * d
    cdef double alpha = alpha_of(f), total = sum_of(d, words), p
    # with a prior no probability is 0, even if alpha is lost to rounding beside the words
    cdef double least = 0.0 if alpha == 0 else DBL_MIN
    if totals.counts[k] == 0 or (total == 0 and alpha == 0):
        words, total = sums.of_all, sum_of(d, sums.of_all)
    if not isfinite(total):
        return MIXFAST_NOT_FINITE
    total += d * alpha
    for j in range(d):
        p = (words[j] + alpha) / total if total > 0 else 1.0 / d
        params[k * d + j] = min(max(p, least), 1)
    return MIXFAST_OK


cdef double log_prior(const family_t *f, const double *params) noexcept nogil:
    cdef double alpha = alpha_of(f), total = 0
    cdef Py_ssize_t i
    if alpha == 0:
        return 0
    for i in range(f.n_params):
        total += log(params[i])
    return alpha * total


cdef int unconstrain(const family_t *f, const double *params, double *numbers) noexcept nogil:
    """OUT numbers: logarithms; -inf for probabilities of 0."""
    cdef Py_ssize_t i
    for i in range(f.n_params):
        numbers[i] = log(params[i])
    return 0


cdef int constrain(const family_t *f, const double *numbers, double *work, double *params) noexcept nogil:
    """OUT params: probabilities. Finite numbers never underflow to 0, which would make rows impossible."""
    cdef Py_ssize_t d = f.n_features, k, j
    cdef const double *log_p
    cdef double *p
    cdef double top, total
    for k in range(f.n_components):
        log_p, p = numbers + k * d, params + k * d
        top, total = -INFINITY, 0
        for j in range(d):
            top = max(top, log_p[j])
        for j in range(d):
            p[j] = exp(log_p[j] - top)
            total += p[j]
        if not isfinite(total):
            return MIXFAST_NOT_FINITE
        for j in range(d):
            p[j] /= total
            if not isinf(log_p[j]):
                p[j] = max(p[j], DBL_MIN)
    return 0


def bind_multinomial(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa, bint is_sparse,
                     double alpha):
    cdef family_t *f = new_linear(sizeof(context_t), n_components, n_features, real_bytes, isa, is_sparse)
    cdef context_t *context = <context_t *> f.context
    context.alpha = alpha
    f.prepare_component, f.maximise_component, f.log_prior = prepare_component, maximise_component, log_prior
    give_free_numbers(f, f.n_params, unconstrain, constrain)
    f.starts_inside = not is_left_by_prior(alpha)
    return capsule_of(f)
