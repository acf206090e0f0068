"""Weights by maximum likelihood: each component's share of the responsibilities."""

from mixfast.proportions._proportions cimport Proportions, logarithms_of_weights, one_for_each, proportions_t


cdef void maximise(const proportions_t *proportions, Py_ssize_t n, const double *counts, double total,
                   double *weights) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(n):
        weights[k] = counts[k] / total


cdef proportions_t FREE = one_for_each(maximise)
FREE.free_numbers = logarithms_of_weights()


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
