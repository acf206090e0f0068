"""Weights of a Dirichlet process by stick-breaking, truncated, whose posterior is fitted by variational Bayes."""

from libc.math cimport fabs, log, log1p
from libc.string cimport memcpy

from mixfast.engine._special cimport digamma, lgamma_rise, log_minus_digamma
from mixfast.proportions._counted cimport made_of_counts
from mixfast.proportions._proportions cimport Proportions, one_for_each, proportions_t


cdef inline double concentration_of(const proportions_t *proportions) noexcept nogil:
    return (<const double *> proportions.context)[0]


cdef void find_expected_log_weights(double alpha, Py_ssize_t n, const double *counts, double *out) noexcept nogil:
    """OUT out[k] = E log w_k = psi(a_k) - psi(a_k + b_k) + sum over j < k of psi(b_j) - psi(a_j + b_j), where v_k ~
    Beta(a_k, b_k), a_k = 1 + n_k, b_k = alpha + sum over j > k of n_j. Since a_k + b_k = 1 + b_(k-1), with b_(-1) =
    alpha + N, and psi(1 + b) = psi(b) + 1 / b, the sum is psi(1 + n_k) - psi(alpha + N) - sum over j <= k of 1 /
    b_(j-1)."""
    cdef double after = alpha, passed = 0, whole
    cdef Py_ssize_t k
    for k in range(n - 1, -1, -1):  # from the last on, so that b is a sum of counts, without cancellation
        after += counts[k]
        out[k] = 1 / after
    whole = digamma(after)
    for k in range(n):
        passed += out[k]
        out[k] = digamma(1 + counts[k]) - whole - passed


cdef double evidence_of(double alpha, Py_ssize_t n, const double *counts) noexcept nogil:
    """The sum of log B(1 + n_k, b_k) / B(1, alpha) over k, B the beta function, b_k as above. Since Gamma(1 + b) = b
    Gamma(b), it is the sum of log Gamma(1 + n_k) - log(b_(k-1) / alpha), less log Gamma(alpha + N) / Gamma(alpha)."""
    cdef double after = 0, evidence = 0
    cdef Py_ssize_t k
    for k in range(n - 1, -1, -1):
        after += counts[k]
        evidence += lgamma_rise(1, counts[k]) - log1p(after / alpha)
    return evidence - lgamma_rise(alpha, after)


cdef void log_weights(const proportions_t *proportions, Py_ssize_t n, const double *counts,
                      double *out) noexcept nogil:
    find_expected_log_weights(concentration_of(proportions), n, counts, out)


cdef double log_evidence(const proportions_t *proportions, Py_ssize_t n, const double *counts) noexcept nogil:
    return evidence_of(concentration_of(proportions), n, counts)


cdef class Sticks(Proportions):
    """w_k = v_k prod over j < k of (1 - v_j), v_k ~ Beta(1, alpha), all K of them free: Blei & Jordan, "Variational
    inference for Dirichlet process mixtures", Bayesian Analysis 1 (2006), doi:10.1214/06-BA104."""

    cdef double concentration

    def __cinit__(self, double concentration):
        self.concentration = concentration
        self.c = made_of_counts()
        self.c.log_weights, self.c.log_evidence = log_weights, log_evidence
        self.c.context = &self.concentration

    def __reduce__(self):
        return Sticks, (self.concentration,)

    def n_parameters(self, n_components):
        return n_components


# ---- alpha with a gamma prior ---------------------------------------------------------------------------------------

# alpha ~ Gamma(shape, rate). Its variational posterior is Gamma(shape + K, rate - sum of E log(1 - v_k)), and that of
# the v_k has E alpha in the place of alpha. `mixing` are the counts and the rate of the posterior. Blei & Jordan
# (2006), appendix.

cdef enum:
    MAX_ROUNDS = 50            # updates of alpha and of the v_k in turn, until the rate changes by less than 1e-10

ctypedef struct gamma_t:
    double shape
    double rate


cdef inline const gamma_t *prior_of(const proportions_t *proportions) noexcept nogil:
    return <const gamma_t *> proportions.context


cdef inline double shape_of(const proportions_t *proportions, Py_ssize_t n) noexcept nogil:
    return prior_of(proportions).shape + <double> n


cdef Py_ssize_t counts_and_rate(const proportions_t *proportions, Py_ssize_t n) noexcept nogil:
    return n + 1


cdef void begin_learning(const proportions_t *proportions, Py_ssize_t n, double *numbers) noexcept nogil:
    """Equal counts, and the rate for which E alpha is that of the prior."""
    cdef const gamma_t *prior = prior_of(proportions)
    cdef Py_ssize_t k
    for k in range(n):
        numbers[k] = 1.0 / <double> n
    numbers[n] = shape_of(proportions, n) * prior.rate / prior.shape


cdef void learn(const proportions_t *proportions, Py_ssize_t n, const double *counts, double total,
                double *numbers) noexcept nogil:
    cdef double alpha, after, rate
    cdef bint is_settled
    cdef Py_ssize_t k
    cdef int _round
    memcpy(numbers, counts, n * sizeof(double))
    for _round in range(MAX_ROUNDS):
        alpha, after, rate = shape_of(proportions, n) / numbers[n], 0, prior_of(proportions).rate
        for k in range(n - 1, -1, -1):
            rate += digamma(1 + counts[k] + alpha + after) - digamma(alpha + after)
            after += counts[k]
        is_settled = fabs(rate - numbers[n]) <= 1e-10 * rate
        numbers[n] = rate
        if is_settled:
            break


cdef void learned_log_weights(const proportions_t *proportions, Py_ssize_t n, const double *numbers,
                              double *out) noexcept nogil:
    find_expected_log_weights(shape_of(proportions, n) / numbers[n], n, numbers, out)


cdef double learned_log_evidence(const proportions_t *proportions, Py_ssize_t n, const double *numbers) noexcept nogil:
    """The expectation of log_evidence over the posterior of alpha, less the Kullback-Leibler divergence of that from
    the prior."""
    cdef const gamma_t *prior = prior_of(proportions)
    cdef double shape = shape_of(proportions, n), rate = numbers[n], divergence
    divergence = (<double> n * digamma(shape) - lgamma_rise(prior.shape, <double> n)
                  + prior.shape * log(rate / prior.rate) + shape * (prior.rate - rate) / rate)
    return evidence_of(shape / rate, n, numbers) - <double> n * log_minus_digamma(shape) - divergence


cdef class LearnedSticks(Proportions):
    """`Sticks` whose concentration alpha has a prior Gamma(shape, rate) and is fitted too."""

    cdef gamma_t prior

    def __cinit__(self, double shape, double rate):
        self.prior.shape, self.prior.rate = shape, rate
        self.c = one_for_each(learn)
        self.c.n_numbers, self.c.begin = counts_and_rate, begin_learning
        self.c.log_weights, self.c.log_evidence = learned_log_weights, learned_log_evidence
        self.c.context = &self.prior

    def __reduce__(self):
        return LearnedSticks, (self.prior.shape, self.prior.rate)

    def n_parameters(self, n_components):
        return n_components + 1
