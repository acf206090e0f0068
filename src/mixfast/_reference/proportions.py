"""Twins of the kinds of proportions: what the M-step makes of counts (K,), and of weights (K,) the log prior and
what families are given."""

from __future__ import annotations

import numpy as np


class Free:
    def maximise(self, counts):
        return counts / counts.sum()

    def log_weights(self, weights):
        with np.errstate(divide="ignore"):  # a weight of 0
            return np.log(weights)

    def log_prior(self, weights):
        return 0.0


class Fixed(Free):
    def __init__(self, weights):
        self.weights = np.asarray(weights, dtype=np.float64)

    def maximise(self, counts):
        return self.weights


class Held(Free):
    """NaN are the weights that are fitted."""

    def __init__(self, weights):
        self.weights = np.asarray(weights, dtype=np.float64)

    def maximise(self, counts):
        free = np.isnan(self.weights)
        left = 1 - self.weights[~free].sum()
        return np.where(free, left * counts / counts[free].sum(), self.weights)


class Dirichlet(Free):
    def __init__(self, concentration):
        self.concentration = concentration

    def maximise(self, counts):
        raised = counts + self.concentration - 1
        return raised / raised.sum()

    def log_prior(self, weights):
        return (self.concentration - 1) * np.sum(np.log(weights))
