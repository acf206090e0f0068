"""Weights with a symmetric Dirichlet prior: the mode of the posterior."""

from libc.math cimport INFINITY, log

from mixfast.proportions._proportions cimport Proportions, logarithms_of_weights, one_for_each, proportions_t


cdef void maximise(const proportions_t *proportions, Py_ssize_t n, const double *counts, double total,
                   double *weights) noexcept nogil:
    cdef double extra = (<const double *> proportions.context)[0] - 1
    cdef Py_ssize_t k
    for k in range(n):
        weights[k] = (counts[k] + extra) / (total + n * extra)


cdef double log_prior(const proportions_t *proportions, Py_ssize_t n, const double *weights) noexcept nogil:
    cdef double extra = (<const double *> proportions.context)[0] - 1, total = 0
    cdef Py_ssize_t k
    if extra == 0:
        return 0
    for k in range(n):
        total += log(weights[k]) if weights[k] > 0 else -INFINITY
    return extra * total


cdef class DirichletWeights(Proportions):
    """weights[k] = (counts[k] + c - 1) / (sum(counts) + K (c - 1)), the mode under Dirichlet(c, ..., c), c >= 1:
    Gelman et al., "Bayesian Data Analysis" (3rd edition, 2013), section 3.4."""

    cdef double concentration

    def __cinit__(self, double concentration):
        self.concentration = concentration
        self.c = one_for_each(maximise)
        self.c.log_prior, self.c.free_numbers = log_prior, logarithms_of_weights()
        self.c.context = &self.concentration

    def __reduce__(self):
        return DirichletWeights, (self.concentration,)

    def n_parameters(self, n_components):
        return n_components - 1
