"""What conjugate posteriors share: log marginal likelihoods, free numbers, and draws of parameters of the plain
family."""

from cpython.ref cimport Py_INCREF
from libc.float cimport DBL_EPSILON, DBL_MAX, DBL_MIN
from libc.math cimport INFINITY, exp, isfinite, log, log1p

from mixfast.engine._capsule cimport BoundFamily, give_draws
from mixfast.engine._special cimport lgamma_rise


cdef int unconstrain_added(const prior_t *prior, Py_ssize_t n_components, const double *params,
                           double *numbers) noexcept nogil:
    cdef const double *start
    cdef Py_ssize_t i, _k, j
    for i in range(prior.n_arrays):
        start = prior_array(prior, i)
        for _k in range(n_components):
            for j in range(prior.n_own):
                numbers[j] = log(params[j] - start[j])
            numbers += prior.n_own
            params += prior.n_own
    return 0


cdef int constrain_added(const prior_t *prior, Py_ssize_t n_components, const double *numbers,
                         double *params) noexcept nogil:
    cdef const double *start
    cdef Py_ssize_t i, _k, j
    for i in range(prior.n_arrays):
        start = prior_array(prior, i)
        for _k in range(n_components):
            for j in range(prior.n_own):
                params[j] = start[j] + exp(numbers[j])
                if not isfinite(params[j]):
                    return 1
            numbers += prior.n_own
            params += prior.n_own
    return 0


cdef double dirichlet_log_evidence(Py_ssize_t n, const double *prior, const double *own) noexcept nogil:
    """log B(own) - log B(prior), B the normaliser of the Dirichlet distribution."""
    cdef double start = 0, added = 0, evidence = 0
    cdef Py_ssize_t j
    for j in range(n):
        evidence += lgamma_rise(prior[j], own[j] - prior[j])
        start += prior[j]
        added += own[j] - prior[j]
    return evidence - lgamma_rise(start, added)


cdef double gamma_log_evidence(double prior_shape, double prior_rate, double shape, double rate) noexcept nogil:
    """log Z(shape, rate) - log Z(prior), Z = Gamma(shape) / rate^shape the normaliser of the Gamma distribution."""
    return (lgamma_rise(prior_shape, shape - prior_shape) - (shape - prior_shape) * log(rate)
            - prior_shape * log1p((rate - prior_rate) / prior_rate))


# ---- draws: nothing becomes impossible by rounding, however small the shapes -----------------------------------------

cdef double draw_beta(stream_t *stream, double a, double b) noexcept nogil:
    """A Beta(a, b) variate, from the difference of the logarithms of two Gamma variates."""
    cdef double log_odds = stream.log_gamma(stream, a)
    log_odds -= stream.log_gamma(stream, b)
    return min(max(1 / (1 + exp(-log_odds)), DBL_MIN), 1 - DBL_EPSILON)


cdef void draw_dirichlet(stream_t *stream, Py_ssize_t n, const double *concentrations,
                         double *probabilities) noexcept nogil:
    cdef double top = -INFINITY, total = 0
    cdef Py_ssize_t j
    for j in range(n):
        probabilities[j] = stream.log_gamma(stream, concentrations[j])
        top = max(top, probabilities[j])
    for j in range(n):
        probabilities[j] = exp(probabilities[j] - top)
        total += probabilities[j]
    for j in range(n):
        probabilities[j] = max(probabilities[j] / total, DBL_MIN)


cdef double draw_gamma(stream_t *stream, double shape, double rate) noexcept nogil:
    return min(max(exp(stream.log_gamma(stream, shape) - log(rate)), DBL_MIN), DBL_MAX)


cdef class Plain(BoundFamily):
    """A bound plain family, which owns the posterior's `plain`. Compiled verbs raise nothing, so `error` stays None."""
    cdef public object error


cdef int give_plain(family_t *f, object capsule, draw_fn draw) except -1:
    cdef Plain plain = Plain(capsule)
    Py_INCREF(plain)
    f.owner = <void *> plain
    give_draws(f, &plain.c, draw)
    return 0
