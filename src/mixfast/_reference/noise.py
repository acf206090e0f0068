"""Twin of `families/_noise.pyx`, and the volume that mclust gives noise (`hypvol`)."""

from __future__ import annotations

import numpy as np


class WithNoise:
    """A twin family with one component more, the last, whose density is the same number everywhere; in rows with
    missing entries, NaN, that of the columns that are observed.

    own : twin family of the other components
    volume : float, or the sides of a box (n_features,)
    """

    def __init__(self, own, volume):
        self.own, self.volume = own, volume

    def log_density(self, X, params):
        own = self.own.log_density(X, params)
        if np.ndim(self.volume):
            return np.column_stack([own, -np.sum(~np.isnan(X) * np.log(self.volume), axis=1)])
        return np.column_stack([own, np.full(len(X), -np.log(self.volume))])

    def accumulate(self, X, resp, weights, params):
        return self.own.accumulate(X, resp[:, :-1], weights[:-1], params)

    def maximise(self, counts, stats, weights, params):
        return self.own.maximise(counts[:-1], stats, weights[:-1], params)

    def log_prior(self, params):
        return self.own.log_prior(params)


def volume_of(X):
    """The smaller of the box along the columns and of that along the principal axes."""
    _, axes = np.linalg.eigh(np.cov(X.T, ddof=0).reshape(X.shape[1], X.shape[1]))
    return min(np.prod(np.ptp(X, axis=0)), np.prod(np.ptp(X @ axes, axis=0)))
