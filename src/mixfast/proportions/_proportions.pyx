"""What every kind of proportions is: see `_proportions.pxd` for the verbs."""

from libc.math cimport INFINITY, log
from libc.stdint cimport int64_t


cdef class Proportions:
    """Base of the kinds of proportions; each fills the struct in its `__cinit__`."""

    def n_parameters(self, n_components):
        """How many numbers of the weights are free, for criteria."""
        raise NotImplementedError


cdef void take_logarithms(const proportions_t *proportions, Py_ssize_t n, const double *weights,
                          double *log_weights) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(n):
        log_weights[k] = -INFINITY if weights[k] == 0 else log(weights[k])


cdef void arrange_clusters(const proportions_t *proportions, Py_ssize_t n, Py_ssize_t n_rows,
                           const double *sample_weight, double *counts, Py_ssize_t *places, int64_t *labels,
                           Py_ssize_t d, double *centres) noexcept nogil:
    cdef Py_ssize_t k, j, i, other, rank
    cdef double kept
    if proportions.ranked == NULL:
        return
    for k in range(n):
        counts[k] = 0
    for i in range(n_rows):
        if labels[i] >= 0:
            counts[labels[i]] += 1 if sample_weight == NULL else sample_weight[i]
    # the largest cluster becomes the largest component, and so on; of equals the first
    for k in range(n):
        rank = 0
        for other in range(n):
            rank += counts[other] > counts[k] or (counts[other] == counts[k] and other < k)
        places[k] = proportions.ranked[rank]
    for i in range(n_rows):
        if labels[i] >= 0:
            labels[i] = places[labels[i]]
    # the centres, one cycle of the permutation after the other
    for k in range(n):
        while places[k] != k:
            other = places[k]
            for j in range(d):
                kept = centres[k * d + j]
                centres[k * d + j] = centres[other * d + j]
                centres[other * d + j] = kept
            places[k] = places[other]
            places[other] = other
