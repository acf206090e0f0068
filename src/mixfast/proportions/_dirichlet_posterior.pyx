"""Weights whose posterior under a symmetric Dirichlet prior is fitted by variational Bayes."""

from mixfast.engine._special cimport digamma, lgamma_rise
from mixfast.proportions._counted cimport made_of_counts
from mixfast.proportions._proportions cimport Proportions, proportions_t


ctypedef struct prior_t:
    double a
    Py_ssize_t n_components    # components of the prior; a fit may leave out some of them, which then have no rows


cdef inline const prior_t *prior_of(const proportions_t *proportions) noexcept nogil:
    return <const prior_t *> proportions.context


cdef inline double number_of(const proportions_t *proportions, Py_ssize_t n) noexcept nogil:
    """K, the number of components of the prior, in a fit of n components."""
    return <double> max(n, prior_of(proportions).n_components)


cdef void log_weights(const proportions_t *proportions, Py_ssize_t n, const double *counts,
                      double *out) noexcept nogil:
    """E log w_k = psi(a + n_k) - psi(K a + N)"""
    cdef double a = prior_of(proportions).a, total = 0
    cdef Py_ssize_t k
    for k in range(n):
        total += counts[k]
    total = digamma(number_of(proportions, n) * a + total)
    for k in range(n):
        out[k] = digamma(a + counts[k]) - total


cdef double log_evidence(const proportions_t *proportions, Py_ssize_t n, const double *counts) noexcept nogil:
    """log Gamma(K a) / Gamma(K a + N) + sum of log Gamma(a + n_k) / Gamma(a)"""
    cdef double a = prior_of(proportions).a, total = 0, evidence = 0
    cdef Py_ssize_t k
    for k in range(n):
        total += counts[k]
        evidence += lgamma_rise(a, counts[k])
    return evidence - lgamma_rise(number_of(proportions, n) * a, total)


cdef class DirichletPosterior(Proportions):
    """w ~ Dirichlet(a, ..., a); the posterior is Dirichlet(a + n_1, ..., a + n_K): Bishop (2006), 10.57 to 10.66.

    Parameters
    ----------
    concentration : float
        a, above zero.
    n_components : int, default=0
        K of the prior, if that is more than the fit has: a fit that leaves out components without rows has the same
        bound as one with all of them.
    """

    cdef prior_t prior

    def __cinit__(self, double concentration, Py_ssize_t n_components=0):
        self.prior.a, self.prior.n_components = concentration, n_components
        self.c = made_of_counts()
        self.c.log_weights, self.c.log_evidence = log_weights, log_evidence
        self.c.context = &self.prior

    def __reduce__(self):
        return DirichletPosterior, (self.prior.a, self.prior.n_components)

    def n_parameters(self, n_components):
        return n_components - 1
