"""Weights by maximum likelihood: a component's share of the rows."""

from mixfast.proportions._proportions cimport Proportions, proportions_t, take_logarithms


cdef void maximise(const proportions_t *proportions, Py_ssize_t n, const double *counts, double total,
                   double *weights) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(n):
        weights[k] = counts[k] / total


cdef proportions_t FREE
FREE.maximise, FREE.log_weights = maximise, take_logarithms
FREE.log_prior, FREE.ranked, FREE.context = NULL, NULL, NULL


cdef const proportions_t *free_proportions() noexcept nogil:
    return &FREE


cdef class FreeWeights(Proportions):
    """weights[k] = counts[k] / sum(counts)"""

    def __cinit__(self):
        self.c = FREE

    def __reduce__(self):
        return FreeWeights, ()

    def n_parameters(self, n_components):
        return n_components - 1
