"""Twin of the Bernoulli family (`families/_bernoulli.pyx`, `_kernels/bernoulli.c`)."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit, xlog1py, xlogy


class Bernoulli:
    def __init__(self, alpha=0.0):
        self.alpha = alpha

    def log_density(self, X, params):
        (probabilities,) = params
        rows = X[:, np.newaxis]
        return (xlogy(rows, probabilities) + xlog1py(1 - rows, -probabilities)).sum(axis=2)

    def accumulate(self, X, resp, weights, params):
        return (resp.T @ X,)

    def maximise(self, counts, stats, weights, params):
        (ones,) = stats
        with np.errstate(invalid="ignore", divide="ignore"):
            probabilities = (ones + self.alpha) / (counts[:, np.newaxis] + 2 * self.alpha)
        probabilities[counts == 0] = (ones.sum(axis=0) + self.alpha) / (counts.sum() + 2 * self.alpha)
        if self.alpha == 0:
            return (np.clip(probabilities, 0, 1),)
        return (np.clip(probabilities, np.finfo(float).tiny, 1 - np.finfo(float).eps),)

    def unconstrain(self, params):
        return logit(params[0]).ravel()

    def constrain(self, free, params):
        probabilities = expit(free)
        inside = np.clip(probabilities, np.finfo(float).tiny, 1 - np.finfo(float).eps)
        return (np.where(np.isinf(free), probabilities, inside).reshape(params[0].shape),)

    def log_prior(self, params):
        (probabilities,) = params
        if self.alpha == 0:
            return 0.0
        return float(self.alpha * (np.log(probabilities) + np.log1p(-probabilities)).sum())
