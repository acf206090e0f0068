"""Twin of the Poisson family (`families/_poisson.pyx`, `families/counts.py`), for rows of an exposure of 1."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln, xlogy


class Poisson:
    def __init__(self, alpha=0.0, beta=0.0):
        self.alpha = alpha
        self.beta = beta

    def log_density(self, X, params):
        (rates,) = params
        counts = X[:, np.newaxis]
        return (xlogy(counts, rates) - rates - gammaln(counts + 1)).sum(axis=2)

    def accumulate(self, X, resp, weights, params):
        return (resp.T @ X,)

    def maximise(self, counts, stats, weights, params):
        (events,) = stats
        is_empty = counts == 0
        events = np.where(is_empty[:, np.newaxis], events.sum(axis=0), events)
        exposure = np.where(is_empty, counts.sum(), counts)
        rates = (events + self.alpha) / (exposure[:, np.newaxis] + self.beta)
        return (np.maximum(rates, 0 if self.alpha == 0 else np.finfo(float).tiny),)

    def unconstrain(self, params):
        with np.errstate(divide="ignore"):
            return np.log(params[0]).ravel()

    def constrain(self, free, params):
        rates = np.exp(free)
        return (np.where(np.isinf(free), rates, np.maximum(rates, np.finfo(float).tiny)).reshape(params[0].shape),)

    def log_prior(self, params):
        (rates,) = params
        of_logs = self.alpha * np.log(rates).sum() if self.alpha > 0 else 0.0
        return float(of_logs - self.beta * rates.sum())
