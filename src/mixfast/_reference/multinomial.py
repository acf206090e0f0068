"""Twin of the multinomial family (`families/_multinomial.pyx`, `families/counts.py`)."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln, xlogy


class Multinomial:
    def __init__(self, alpha=0.0):
        self.alpha = alpha

    def log_density(self, X, params):
        (probabilities,) = params
        base = gammaln(X.sum(axis=1) + 1) - gammaln(X + 1).sum(axis=1)
        return base[:, np.newaxis] + xlogy(X[:, np.newaxis], probabilities).sum(axis=2)

    def accumulate(self, X, resp, weights, params):
        return (resp.T @ X,)

    def maximise(self, counts, stats, weights, params):
        (words,) = stats
        n_features = words.shape[1]
        has_none = (counts == 0) | ((words.sum(axis=1) == 0) & (self.alpha == 0))
        words = np.where(has_none[:, np.newaxis], words.sum(axis=0), words) + self.alpha
        total = words.sum(axis=1, keepdims=True)
        with np.errstate(invalid="ignore"):
            probabilities = np.where(total > 0, words / total, 1 / n_features)
        return (np.clip(probabilities, 0 if self.alpha == 0 else np.finfo(float).tiny, 1),)

    def unconstrain(self, params):
        with np.errstate(divide="ignore"):
            return np.log(params[0]).ravel()

    def constrain(self, free, params):
        log_p = free.reshape(params[0].shape)
        probabilities = np.exp(log_p - log_p.max(axis=1, keepdims=True))
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        return (np.where(np.isinf(log_p), probabilities, np.maximum(probabilities, np.finfo(float).tiny)),)

    def log_prior(self, params):
        return float(self.alpha * np.log(params[0]).sum()) if self.alpha > 0 else 0.0
