"""The base class of all kinds of proportions, and verbs that several kinds share; `_proportions.pxd` has the
contract."""

from libc.math cimport INFINITY, exp, isfinite, log
from libc.stdint cimport int64_t

import numpy as np


cdef class Proportions:
    """Base class of all kinds of proportions; each fills the struct `c` in its `__cinit__`."""

    def n_parameters(self, n_components):
        """The number of free parameters, which BIC and AIC count."""
        raise NotImplementedError

    def n_numbers(self, Py_ssize_t n_components):
        """The length of `mixing`, the parameters of the proportions: `n_components` for most kinds."""
        return self.c.n_numbers(&self.c, n_components)

    def stats_of_rows(self, n_components):
        """Shapes of the sums over rows that the M-step wants beside counts, by name."""
        return {}

    def begun(self, const double[::1] counts not None):
        """`mixing` after the first M-step: from counts (n_components,), the sums of responsibilities."""
        cdef Py_ssize_t n = counts.shape[0], k
        cdef double total = 0
        numbers = np.empty(self.c.n_numbers(&self.c, n))
        cdef double[::1] view = numbers
        for k in range(n):
            total += counts[k]
        self.c.begin(&self.c, n, &view[0])
        self.c.maximise(&self.c, n, &counts[0], total, &view[0])
        return numbers

    def log_evidence(self, const double[::1] counts not None):
        """The log marginal likelihood of labels with these counts (n_components,). Raises ValueError unless the kind is
        a posterior."""
        if self.c.log_evidence == NULL:
            raise ValueError(f"{type(self).__name__} is no posterior, and has no evidence")
        cdef const double[::1] numbers = self.begun(counts)
        return self.c.log_evidence(&self.c, counts.shape[0], &numbers[0])


cdef Py_ssize_t one_each(const proportions_t *proportions, Py_ssize_t n) noexcept nogil:
    return n


cdef void share_equally(const proportions_t *proportions, Py_ssize_t n, double *weights) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(n):
        weights[k] = 1.0 / <double> n


cdef void take_logarithms(const proportions_t *proportions, Py_ssize_t n, const double *weights,
                          double *log_weights) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(n):
        log_weights[k] = -INFINITY if weights[k] == 0 else log(weights[k])


cdef int normalise_exponentials(const proportions_t *proportions, Py_ssize_t n, const double *log_weights,
                                double *weights) noexcept nogil:
    cdef Py_ssize_t k
    cdef double top = -INFINITY, total = 0
    for k in range(n):
        top = max(top, log_weights[k])
    for k in range(n):
        weights[k] = exp(log_weights[k] - top)
        total += weights[k]
    if not isfinite(total):
        return 1
    for k in range(n):
        weights[k] /= total
    return 0


cdef free_mixing_t LOGARITHMS
LOGARITHMS.n_free, LOGARITHMS.unconstrain = one_each, take_logarithms
LOGARITHMS.constrain = normalise_exponentials


cdef const free_mixing_t *logarithms_of_weights() noexcept nogil:
    return &LOGARITHMS


cdef proportions_t one_for_each(maximise_mixing_fn maximise) noexcept nogil:
    cdef proportions_t kind
    kind.n_numbers, kind.begin, kind.maximise, kind.log_weights = one_each, share_equally, maximise, take_logarithms
    kind.of_rows, kind.log_prior, kind.log_evidence, kind.free_numbers = NULL, NULL, NULL, NULL
    kind.ranked, kind.context = NULL, NULL
    return kind


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
    # the cluster of the largest count becomes the component of the largest weight, and so on; ties keep their order
    for k in range(n):
        rank = 0
        for other in range(n):
            rank += counts[other] > counts[k] or (counts[other] == counts[k] and other < k)
        places[k] = proportions.ranked[rank]
    for i in range(n_rows):
        if labels[i] >= 0:
            labels[i] = places[labels[i]]
    # permute the rows of centres in place, cycle by cycle
    for k in range(n):
        while places[k] != k:
            other = places[k]
            for j in range(d):
                kept = centres[k * d + j]
                centres[k * d + j] = centres[other * d + j]
                centres[other * d + j] = kept
            places[k] = places[other]
            places[other] = other
