"""Twins of the Gaussian families (`families/_gaussian.pyx`, `_kernels/gaussian.c`)."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular


def _log_normaliser(n_features):
    return -0.5 * n_features * np.log(2 * np.pi)


def precision_factor(covariance):
    """U, upper triangular with U U' the inverse of the covariance."""
    cholesky = np.linalg.cholesky(covariance)
    return solve_triangular(cholesky, np.eye(len(cholesky)), lower=True).T


def pooled_moments(counts, means, variances):
    """Mean and variance of each column over all components, from the components' own; variances (K, d)."""
    share = np.where(counts > 0, counts, 0) / counts.sum()
    mean = share @ means
    return mean, share @ (variances + (means - mean) ** 2)


class _Gaussian:
    def __init__(self, reg_covar=0.0):
        self.reg_covar = reg_covar

    def log_prior(self, params):
        return 0.0

    def log_density(self, X, params):
        constant = _log_normaliser(X.shape[1]) + self.log_determinants(params)
        return constant - 0.5 * self.distances(X, params)

    def unconstrain(self, params):
        """The means, and of each factor the logarithms of its diagonal and the rest of its rows over the diagonal."""
        means, _, factors = params
        upper = np.triu_indices(means.shape[1])
        free = [means.ravel()]
        for factor in np.reshape(factors, (-1, means.shape[1], means.shape[1])):
            scales = np.diagonal(factor)
            free.append((np.diag(np.log(scales)) + np.triu(factor / scales[:, np.newaxis], 1))[upper])
        return np.concatenate(free)

    def constrain(self, free, params):
        means, covariances, _ = params
        n_features = means.shape[1]
        upper = np.triu_indices(n_features)
        factors = []
        for row in free[means.size :].reshape(-1, len(upper[0])):
            factor = np.zeros((n_features, n_features))
            factor[upper] = row
            scales = np.exp(np.diagonal(factor))
            factors.append(scales[:, np.newaxis] * (np.triu(factor, 1) + np.eye(n_features)))
        factors = np.reshape(factors, covariances.shape)
        inverse = np.linalg.inv(factors)
        return free[: means.size].reshape(means.shape), np.swapaxes(inverse, -1, -2) @ inverse, factors


class FullGaussian(_Gaussian):
    def log_determinants(self, params):
        return np.array([np.log(np.diagonal(factor)).sum() for factor in params[2]])

    def distances(self, X, params):
        pairs = zip(params[0], params[2], strict=True)
        return np.array([(((X - mean) @ factor) ** 2).sum(axis=1) for mean, factor in pairs]).T

    def accumulate(self, X, resp, weights, params):
        lower = np.tril_indices(X.shape[1])
        first, second = [], []
        for mean, share in zip(params[0], resp.T, strict=True):
            centred = X - mean
            first.append(share @ centred)
            second.append(((share[:, np.newaxis] * centred).T @ centred)[lower])
        return np.array(first), np.array(second)

    def maximise(self, counts, stats, weights, params, masses=None):
        """`masses` are what moments are divided by where rows weigh more or less than they count."""
        masses = counts if masses is None else masses
        means, covariances, factors = (array.copy() for array in params)
        n_features = means.shape[1]
        lower = np.tril_indices(n_features)
        for k in np.flatnonzero(counts > 0):
            delta = stats[0][k] / masses[k]
            matrix = np.zeros((n_features, n_features))
            matrix[lower] = stats[1][k] / masses[k]
            matrix = matrix + np.tril(matrix, -1).T
            covariances[k] = matrix - np.outer(delta, delta) + self.reg_covar * np.eye(n_features)
            means[k] += delta
        mean, variance = pooled_moments(counts, means, np.diagonal(covariances, axis1=1, axis2=2))
        for k in range(len(means)):
            if counts[k] == 0:
                means[k], covariances[k] = mean, np.diag(variance)
            factors[k] = precision_factor(covariances[k])
        return means, covariances, factors


class TiedGaussian(_Gaussian):
    @staticmethod
    def _as_full(params):
        means, _, factor = params
        return means, None, np.broadcast_to(factor, (len(means), *factor.shape))

    def log_determinants(self, params):
        return FullGaussian().log_determinants(self._as_full(params))

    def distances(self, X, params):
        return FullGaussian().distances(X, self._as_full(params))

    def accumulate(self, X, resp, weights, params):
        first, second = FullGaussian().accumulate(X, resp, weights, self._as_full(params))
        return first, second.sum(axis=0)

    def maximise(self, counts, stats, weights, params):
        used, n_features = counts > 0, params[0].shape[1]
        deltas = stats[0][used] / counts[used, np.newaxis]
        means = params[0].copy()
        means[used] += deltas
        means[~used] = counts[used] / counts.sum() @ means[used]
        covariance = np.zeros((n_features, n_features))
        covariance[np.tril_indices(n_features)] = stats[1]
        covariance += np.tril(covariance, -1).T - (counts[used] * deltas.T) @ deltas
        covariance = covariance / counts.sum() + self.reg_covar * np.eye(n_features)
        return means, covariance, precision_factor(covariance)


class DiagonalGaussian(_Gaussian):
    def unconstrain(self, params):
        return np.concatenate([params[0].ravel(), np.log(params[2]).ravel()])

    def constrain(self, free, params):
        means, variances, _ = params
        scales = np.exp(free[means.size :]).reshape(variances.shape)
        return free[: means.size].reshape(means.shape), scales**-2.0, scales

    def log_determinants(self, params):
        return np.log(params[2]).sum(axis=1)

    def distances(self, X, params):
        means, _, scales = params
        return (((X[:, np.newaxis] - means) * scales) ** 2).sum(axis=2)

    def accumulate(self, X, resp, weights, params):
        centred = X[:, np.newaxis] - params[0]
        return np.einsum("nk,nkj->kj", resp, centred), np.einsum("nk,nkj->kj", resp, centred**2)

    def _columns(self, masses, stats, params):
        """Means and variances of each column of each component, without regularisation; NaN where there are no rows."""
        with np.errstate(invalid="ignore", divide="ignore"):
            delta = stats[0] / masses[:, np.newaxis]
            return params[0] + delta, stats[1] / masses[:, np.newaxis] - delta**2

    def maximise(self, counts, stats, weights, params, masses=None):
        means, variances = self._columns(counts if masses is None else masses, stats, params)
        variances = variances + self.reg_covar
        empty = counts == 0
        means[empty], variances[empty] = 0, 0
        means[empty], variances[empty] = pooled_moments(counts, means, variances)
        return means, variances, 1 / np.sqrt(variances)


class SphericalGaussian(DiagonalGaussian):
    @staticmethod
    def _as_diagonal(params):
        means, _, scales = params
        return means, None, np.repeat(scales[:, np.newaxis], means.shape[1], axis=1)

    def log_determinants(self, params):
        return super().log_determinants(self._as_diagonal(params))

    def distances(self, X, params):
        return super().distances(X, self._as_diagonal(params))

    def maximise(self, counts, stats, weights, params, masses=None):
        means, columns = self._columns(counts if masses is None else masses, stats, params)
        variances = columns.mean(axis=1) + self.reg_covar
        empty = counts == 0
        means[empty], variances[empty] = 0, 0
        mean, pooled = pooled_moments(counts, means, np.repeat(variances[:, np.newaxis], means.shape[1], axis=1))
        means[empty], variances[empty] = mean, pooled.mean()
        return means, variances, 1 / np.sqrt(variances)
