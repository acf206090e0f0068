"""Twins of the Gamma and the exponential family (`families/_gamma.pyx`)."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln, polygamma, psi, xlogy

LARGEST_SHAPE = 1e6
LARGEST_RATE = 1e300


def shape(s):
    """The root of log a - psi(a) = s, s > 0, by Newton's method in log a."""
    a = np.where(s > 1, 1 / s, 0.5 / s)
    for _ in range(100):
        slope = 1 - a * polygamma(1, a)
        a = a * np.exp(np.clip((s - np.log(a) + psi(a)) / slope, -1, 1))
    return a


class Gamma:
    def log_density(self, X, params):
        shapes, scales = params
        rows = X[:, np.newaxis]
        return (xlogy(shapes - 1, rows) - rows / scales - shapes * np.log(scales) - gammaln(shapes)).sum(axis=2)

    def accumulate(self, X, resp, weights, params):
        return (resp.T @ np.hstack([X, np.log(X)]),)

    def maximise(self, counts, stats, weights, params):
        (sums,) = stats
        own = np.where(counts[:, np.newaxis] > 0, sums, sums.sum(axis=0))
        count = np.where(counts > 0, counts, counts.sum())[:, np.newaxis]
        mean, mean_log = np.split(own / count, 2, axis=1)
        s = np.log(mean) - mean_log
        is_capped = s <= 0.5 / LARGEST_SHAPE
        shapes = np.where(is_capped, LARGEST_SHAPE, shape(np.where(is_capped, 1, s)))
        return shapes, mean / shapes

    def unconstrain(self, params):
        shapes, scales = params
        return np.log(np.concatenate([shapes.ravel(), (shapes * scales).ravel()]))

    def constrain(self, free, params):
        shapes, means = np.exp(free).reshape(2, *np.shape(params[0]))
        shapes = np.minimum(shapes, LARGEST_SHAPE)
        return shapes, means / shapes

    def log_prior(self, params):
        return 0.0


class Exponential:
    def log_density(self, X, params):
        (rates,) = params
        return np.log(rates).sum(axis=1) - X @ rates.T

    def accumulate(self, X, resp, weights, params):
        return (resp.T @ X,)

    def maximise(self, counts, stats, weights, params):
        (sums,) = stats
        own = np.where(counts[:, np.newaxis] > 0, sums, sums.sum(axis=0))
        count = np.where(counts > 0, counts, counts.sum())[:, np.newaxis]
        return (1 / np.maximum(own / count, 1 / LARGEST_RATE),)

    def unconstrain(self, params):
        return np.log(params[0]).ravel()

    def constrain(self, free, params):
        return (np.minimum(np.exp(free), LARGEST_RATE).reshape(params[0].shape),)

    def log_prior(self, params):
        return 0.0
