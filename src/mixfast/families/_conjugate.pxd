# Posteriors whose hyper-parameters are those of the prior and what the rows add to them: arrays [n_components][n_own],
# one after the other. And the log marginal likelihoods of rows under a Dirichlet and under a Gamma prior.

from libc.math cimport exp, isfinite, log, log1p

from mixfast.engine._special cimport lgamma_rise

# The prior, as it lies in the context of a family.
cdef struct prior_t:
    Py_ssize_t n_arrays
    Py_ssize_t n_own           # hyper-parameters of a component in each array
    const double *values       # [n_arrays][n_own]


cdef inline const double *prior_array(const prior_t *prior, Py_ssize_t i) noexcept nogil:
    return prior.values + i * prior.n_own


cdef inline const double *own_array(const prior_t *prior, Py_ssize_t n_components, Py_ssize_t k, Py_ssize_t i,
                                    const double *params) noexcept nogil:
    """Component k's part of array i; `own_array_in` is for writing."""
    return params + (i * n_components + k) * prior.n_own


cdef inline double *own_array_in(const prior_t *prior, Py_ssize_t n_components, Py_ssize_t k, Py_ssize_t i,
                                 double *params) noexcept nogil:
    return params + (i * n_components + k) * prior.n_own


# ---- free numbers: the logarithm of what the rows added to each hyper-parameter, -inf for nothing --------------------

cdef inline int unconstrain_added(const prior_t *prior, Py_ssize_t n_components, const double *params,
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


cdef inline int constrain_added(const prior_t *prior, Py_ssize_t n_components, const double *numbers,
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


# ---- log marginal likelihoods ---------------------------------------------------------------------------------------

cdef inline double dirichlet_log_evidence(Py_ssize_t n, const double *prior, const double *own) noexcept nogil:
    """log B(own) - log B(prior), B the normaliser of the Dirichlet distribution."""
    cdef double start = 0, added = 0, evidence = 0
    cdef Py_ssize_t j
    for j in range(n):
        evidence += lgamma_rise(prior[j], own[j] - prior[j])
        start += prior[j]
        added += own[j] - prior[j]
    return evidence - lgamma_rise(start, added)


cdef inline double gamma_log_evidence(double prior_shape, double prior_rate, double shape, double rate) noexcept nogil:
    """log Z(shape, rate) - log Z(prior), Z = Gamma(shape) / rate^shape the normaliser of the Gamma distribution."""
    return (lgamma_rise(prior_shape, shape - prior_shape) - (shape - prior_shape) * log(rate)
            - prior_shape * log1p((rate - prior_rate) / prior_rate))
