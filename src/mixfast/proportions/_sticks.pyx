"""Weights of a Dirichlet process by stick-breaking, truncated, whose posterior is fitted by variational Bayes."""

from mixfast.engine._special cimport digamma, lgamma_rise
from mixfast.proportions._counted cimport take_counts
from mixfast.proportions._proportions cimport Proportions, one_for_each, proportions_t


cdef inline double concentration_of(const proportions_t *proportions) noexcept nogil:
    return (<const double *> proportions.context)[0]


cdef void log_weights(const proportions_t *proportions, Py_ssize_t n, const double *counts,
                      double *out) noexcept nogil:
    """E log w_k = psi(a_k) - psi(a_k + b_k) + sum over j < k of psi(b_j) - psi(a_j + b_j), a_k = 1 + n_k, b_k =
    alpha + the counts of all after k"""
    cdef double alpha = concentration_of(proportions), after = 0, before = 0, whole
    cdef Py_ssize_t k
    for k in range(n - 1, -1, -1):  # from the last on: sums of counts, not differences
        out[k] = after
        after += counts[k]
    for k in range(n):
        after = alpha + out[k]
        whole = digamma(1 + counts[k] + after)
        out[k] = before + digamma(1 + counts[k]) - whole
        before += digamma(after) - whole


cdef double log_evidence(const proportions_t *proportions, Py_ssize_t n, const double *counts) noexcept nogil:
    """Sum of log B(1 + n_k, alpha + n_after) / B(1, alpha)"""
    cdef double alpha = concentration_of(proportions), after = 0, evidence = 0
    cdef Py_ssize_t k
    for k in range(n - 1, -1, -1):
        evidence += (lgamma_rise(1, counts[k]) + lgamma_rise(alpha, after)
                     - lgamma_rise(1 + alpha, counts[k] + after))
        after += counts[k]
    return evidence


cdef class Sticks(Proportions):
    """w_k = v_k prod over j < k of (1 - v_j), v_k ~ Beta(1, alpha), all K of them free: Blei & Jordan, "Variational
    inference for Dirichlet process mixtures", Bayesian Analysis 1 (2006), doi:10.1214/06-BA104."""

    cdef double concentration

    def __cinit__(self, double concentration):
        self.concentration = concentration
        self.c = one_for_each(take_counts)
        self.c.log_weights, self.c.log_evidence = log_weights, log_evidence
        self.c.context = &self.concentration

    def __reduce__(self):
        return Sticks, (self.concentration,)

    def n_parameters(self, n_components):
        return n_components
