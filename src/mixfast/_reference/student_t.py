"""Twins of the Student-t families (`families/_student_t.pyx`, `_kernels/student_t.c`)."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.special import digamma, gammaln

from mixfast._reference.gaussian import FullGaussian, TiedGaussian, precision_factor

LIMITS = (1e-2, 1e8)

#: Degrees of freedom after the first M-step of a start: the next measures scales about the means.
LOCATED = np.finfo(float).max


def log_gap(degrees):
    return np.log(degrees / 2) - digamma(degrees / 2)


def solve(n_features, shares, gaps, ratios):
    """The degrees of freedom of components that share them: `shares` of the rows, log mean(w) - mean(log w) in `gaps`,
    and in `ratios` the mean over n_features of the squared distance with the weights w."""

    def excess(log_degrees):
        degrees = np.exp(log_degrees)
        e = n_features * (1 - ratios) / (degrees + n_features * ratios)
        return log_gap(degrees) - log_gap(degrees + n_features) - shares @ (gaps + e - np.log1p(e))

    low, high = np.log(LIMITS)
    if excess(low) <= 0:
        return LIMITS[0]
    return LIMITS[1] if excess(high) >= 0 else np.exp(brentq(excess, low, high, xtol=1e-15, rtol=1e-15))


class StudentT:
    """`structure` is the twin of the Gaussian family; `n_groups(n_components)` says how many groups of components have
    degrees of freedom of their own, which begin as `first`: none, and these are given."""

    further_start_passes = 1

    def __init__(self, structure, n_groups, first):
        self.structure, self.moments, self.n_groups, self.first = structure, structure, n_groups, first

    def log_prior(self, params):
        return 0.0

    def log_density(self, X, params):
        degrees, d = params[3], X.shape[1]
        constant = gammaln((degrees + d) / 2) - gammaln(degrees / 2) - d / 2 * np.log(degrees * np.pi)
        constant = constant + self.structure.log_determinants(params[:3])
        return constant - (degrees + d) / 2 * np.log1p(self.structure.distances(X, params[:3]) / degrees)

    def accumulate(self, X, resp, weights, params):
        relative = self.structure.distances(X, params[:3]) / params[3]
        mass = resp / (1 + relative)
        sums = (array.sum(axis=0) for array in (mass, mass * relative, resp * np.log1p(relative)))
        return *self.moments.accumulate(X, mass, weights, params[:3]), *sums

    def locate(self, counts, stats, weights, params):
        """Means, scale matrices and their factors, and the mean of squared distances over n_features."""
        located = self.structure.maximise(counts, stats[:2], weights, params[:3], masses=stats[2])
        return located, np.ones(len(counts))

    def maximise(self, counts, stats, weights, params):
        located, ratios = self.locate(counts, stats, weights, params)
        n_groups, degrees = self.n_groups(len(counts)), params[3].copy()
        if np.isinf(degrees[0]):
            return *located, np.full_like(degrees, LOCATED)
        if n_groups == 0 or degrees[0] == LOCATED:
            return *located, np.full_like(degrees, self.first)
        for group in np.split(np.arange(len(counts)), n_groups):
            own = group[counts[group] > 0]
            if len(own):
                gaps = np.log(stats[2][own] / counts[own]) + stats[4][own] / counts[own]
                shares = counts[own] / counts[own].sum()
                degrees[group] = solve(params[0].shape[1], shares, gaps, ratios[own])
        return *located, degrees

    def unconstrain(self, params):
        n_groups = self.n_groups(len(params[3]))
        firsts = params[3].reshape(n_groups, -1)[:, 0] if n_groups else []
        return np.concatenate([self.structure.unconstrain(params[:3]), np.log(firsts)])

    def constrain(self, free, params):
        n_components = len(params[3])
        located, logs = np.split(free, [len(free) - self.n_groups(n_components)])
        degrees = np.repeat(np.exp(logs), n_components // len(logs)) if len(logs) else np.full(n_components, self.first)
        return *self.structure.constrain(located, params[:3]), degrees


class TiedStudentT(StudentT):
    """One scale matrix from the moments of all components."""

    def __init__(self, reg_covar, n_groups, first):
        super().__init__(TiedGaussian(reg_covar), n_groups, first)
        self.moments = FullGaussian()

    def locate(self, counts, stats, weights, params):
        n_features, mass, degrees = params[0].shape[1], stats[2], params[3]
        used = np.flatnonzero(counts > 0)
        means, scatters = np.zeros_like(params[0]), np.zeros((len(counts), n_features, n_features))
        lower = np.tril_indices(n_features)
        for k in used:
            delta = stats[0][k] / mass[k]
            means[k] = params[0][k] + delta
            scatters[k][lower] = stats[1][k]
            scatters[k] += np.tril(scatters[k], -1).T - mass[k] * np.outer(delta, delta)
        means[counts == 0] = counts[used] / counts.sum() @ means[used]
        weight = 1 + n_features / degrees[used]
        share = counts[used] * (1 if degrees[0] >= LOCATED else degrees[used])
        scale = share @ (weight * mass[used] / counts[used]) / share.sum()
        covariance = np.tensordot(weight, scatters[used], 1) / scale / counts.sum()
        covariance += self.structure.reg_covar * np.eye(n_features)
        with np.errstate(invalid="ignore"):
            ratios = np.trace(np.linalg.solve(covariance, scatters), axis1=1, axis2=2) / (n_features * mass)
        return (means, covariance, precision_factor(covariance)), ratios
