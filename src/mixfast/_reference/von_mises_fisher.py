"""Twin of the von Mises-Fisher families (`families/_von_mises_fisher.pyx`), for moderate dimensions and concentrations:
those for which SciPy's Bessel functions neither vanish nor overflow."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln, ive, xlogy


def log_normaliser(d, kappa):
    """log of kappa^nu / ((2 pi)^(nu + 1) I_nu(kappa)), nu = d / 2 - 1"""
    kappa = np.asarray(kappa, dtype=float)
    order = 0.5 * d - 1
    at_zero = gammaln(0.5 * d) - np.log(2) - 0.5 * d * np.log(np.pi)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = xlogy(order, kappa) - 0.5 * d * np.log(2 * np.pi) - np.log(ive(order, kappa)) - kappa
    return np.where(kappa > 0, value, at_zero)


def mean_length(d, kappa):
    return ive(0.5 * d, kappa) / ive(0.5 * d - 1, kappa)


def concentration(d, length):
    """Newton's method from Sra's start."""
    kappa = length * (d - length**2) / (1 - length**2)
    for _ in range(30):
        at = mean_length(d, kappa)
        kappa = kappa - (at - length) / (1 - at**2 - (d - 1) / kappa * at)
    return kappa


class VonMisesFisher:
    is_shared = False

    def log_density(self, X, params):
        directions, concentrations = params
        return X @ (concentrations[:, np.newaxis] * directions).T + log_normaliser(X.shape[1], concentrations)

    def accumulate(self, X, resp, weights, params):
        return (resp.T @ X,)

    def maximise(self, counts, stats, weights, params):
        (sums,) = stats
        own = np.where(counts[:, np.newaxis] > 0, sums, sums.sum(axis=0))
        count = np.where(counts > 0, counts, counts.sum())
        norms = np.linalg.norm(own, axis=1)
        lengths = norms / count
        if self.is_shared:
            lengths = np.full(len(counts), (counts * lengths).sum() / counts.sum())
        concentrations = np.array([concentration(own.shape[1], length) for length in lengths])
        return own / norms[:, np.newaxis], np.minimum(concentrations, 1e6 * max(own.shape[1] - 1, 1))

    def unconstrain(self, params):
        directions, concentrations = params
        return (concentrations[:, np.newaxis] * directions).ravel()

    def constrain(self, free, params):
        numbers = free.reshape(np.shape(params[0]))
        norms = np.linalg.norm(numbers, axis=1)
        concentrations = np.minimum(norms, 1e6 * max(numbers.shape[1] - 1, 1))
        if self.is_shared:
            concentrations = np.full(len(norms), concentrations.mean())
        return numbers / norms[:, np.newaxis], concentrations

    def log_prior(self, params):
        return 0.0


class SharedVonMisesFisher(VonMisesFisher):
    is_shared = True
