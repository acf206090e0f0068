"""Weights that the user gave and the M-step does not change: all of them (`FixedWeights`) or some (`HeldWeights`)."""

from libc.string cimport memcpy

from mixfast.proportions._proportions cimport Proportions, one_for_each, proportions_t

import numpy as np

#: The sum of given weights may differ from 1 by this, as that of weights rounded to float32 does; it is scaled to 1.
SUM_TOLERANCE = 1e-6


cdef void maximise(const proportions_t *proportions, Py_ssize_t n, const double *counts, double total,
                   double *weights) noexcept nogil:
    memcpy(weights, proportions.context, n * sizeof(double))


cdef class FixedWeights(Proportions):
    """Weights that stay as given, (n_components,), positive, with sum 1. Raises ValueError for others, with the `name`
    of the argument that gave them."""

    cdef double[::1] weights
    cdef Py_ssize_t[::1] ranked

    def __cinit__(self, weights, Py_ssize_t n_components, name="weights"):
        weights = np.array(weights, dtype=np.float64)
        if weights.shape != (n_components,):
            raise ValueError(
                f"{name} has shape {weights.shape}, but n_components={n_components}: give a number for each component")
        if not np.all(np.isfinite(weights)) or np.any(weights <= 0):
            raise ValueError(f"{name}={weights} should be positive numbers: leave components out that have no weight")
        if abs(weights.sum() - 1) > SUM_TOLERANCE:
            raise ValueError(
                f"{name}={weights} should sum to 1, but sum to {weights.sum():.6g}: divide them by their sum")
        self.weights = weights / weights.sum()
        self.ranked = np.argsort(-weights, kind="stable").astype(np.intp)
        self.c = one_for_each(maximise)
        self.c.context, self.c.ranked = &self.weights[0], &self.ranked[0]

    def __reduce__(self):
        return FixedWeights, (np.asarray(self.weights), len(self.weights))

    def n_parameters(self, n_components):
        return 0


cdef void maximise_others(const proportions_t *proportions, Py_ssize_t n, const double *counts, double total,
                          double *weights) noexcept nogil:
    """The maximum of the likelihood given the held weights: the others share what those leave of 1 in proportion to
    their counts."""
    cdef const double *held = <const double *> proportions.context
    cdef double left = 1, others = 0
    cdef Py_ssize_t n_others = 0, k
    for k in range(n):
        if held[k] == held[k]:
            left -= held[k]
        else:
            others += counts[k]
            n_others += 1
    for k in range(n):
        if held[k] == held[k]:
            weights[k] = held[k]
        else:
            weights[k] = left * counts[k] / others if others > 0 else left / n_others


cdef class HeldWeights(Proportions):
    """Weights of which some stay as given: an array (n_components,) with NaN for those that are fitted. Given ones are
    positive and sum to less than 1, else ValueError is raised."""

    cdef double[::1] weights

    def __cinit__(self, weights):
        weights = np.array(weights, dtype=np.float64)
        held = weights[~np.isnan(weights)]
        if not np.all(held > 0) or not held.sum() < 1:
            raise ValueError(
                f"hold['weights'] should be positive numbers whose sum is below 1, or NaN for those that are fitted, "
                f"got {weights}")
        self.weights = weights
        self.c = one_for_each(maximise_others)
        self.c.context = &self.weights[0]

    def __reduce__(self):
        return HeldWeights, (np.asarray(self.weights),)

    def n_parameters(self, n_components):
        return max(int(np.isnan(self.weights).sum()) - 1, 0)
