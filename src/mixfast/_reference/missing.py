"""Twins of `families/_missing.pyx`: Gaussian and Student-t components of rows with missing entries, NaN."""

from __future__ import annotations

import numpy as np
from scipy import stats
from scipy.special import digamma

from mixfast._reference.factors import regression


def patterns(X):
    """(which columns are observed, which rows have these) of each pattern."""
    observed, number = np.unique(~np.isnan(X), axis=0, return_inverse=True)
    return [(there, np.flatnonzero(number.ravel() == i)) for i, there in enumerate(observed)]


# Matrices (K, d, d) of covariances, in each of their layouts.


def of_matrices(params):
    return params[1]


def of_shared_matrix(params):
    return np.broadcast_to(params[1], (len(params[0]), *params[1].shape))


def of_columns(params):
    return np.array([np.diag(own) for own in params[1]])


def of_numbers(params):
    return params[1][:, np.newaxis, np.newaxis] * np.eye(params[0].shape[1])


class WithMissing:
    """complete : twin family of complete rows
    matrices : one of the functions above
    """

    def __init__(self, complete, matrices):
        self.complete, self.matrices = complete, matrices
        self.further_start_passes = getattr(complete, "further_start_passes", 0)

    def log_prior(self, params):
        return self.complete.log_prior(params)

    def maximise(self, counts, gathered, weights, params):
        return self.complete.maximise(counts, gathered, weights, params)

    def log_density(self, X, params):
        out = np.zeros((len(X), len(params[0])))
        for k, (mean, covariance) in enumerate(zip(params[0], self.matrices(params), strict=True)):
            for there, own in patterns(X):
                if there.any():
                    marginal = self._marginal(k, mean[there], covariance[np.ix_(there, there)], params)
                    out[own, k] = marginal.logpdf(X[np.ix_(own, there)])
        return out

    def _marginal(self, k, mean, covariance, params):
        return stats.multivariate_normal(mean, covariance)

    def _imputed(self, k, X, params):
        """(rows imputed by conditional means in component k, conditional covariances (n, d, d) of what is missing)"""
        mean, covariance = params[0][k], self.matrices(params)[k]
        rows, left = X.copy(), np.zeros((len(X), *covariance.shape))
        for there, own in patterns(X):
            gone = ~there
            slopes = np.linalg.solve(covariance[np.ix_(there, there)], covariance[np.ix_(there, gone)])
            rows[np.ix_(own, gone)] = mean[gone] + (X[np.ix_(own, there)] - mean[there]) @ slopes
            rest = covariance[np.ix_(gone, gone)] - slopes.T @ covariance[np.ix_(there, gone)]
            left[np.ix_(own, gone, gone)] = rest
        return rows, left

    def accumulate(self, X, resp, weights, params):
        n_components = len(params[0])
        total = None
        for k in range(n_components):
            own = np.where(np.arange(n_components) == k, resp, 0.0)
            rows, left = self._imputed(k, X, params)
            first, second, *others = self._gathered(k, X, rows, own, weights, params)
            spread = np.tensordot(own[:, k] * self._spread(k, params), left, 1)
            lower = np.tril_indices(X.shape[1])
            more = spread[lower] if second.shape[-1:] == lower[0].shape else np.diagonal(spread)
            second[k if second.ndim == 2 else ...] += more
            arrays = first, second, *others
            total = arrays if total is None else tuple(a + b for a, b in zip(total, arrays, strict=True))
        return total

    def _gathered(self, k, X, rows, resp, weights, params):
        """The statistics of imputed rows, without what is left of covariances."""
        return self.complete.accumulate(rows, resp, weights, params)

    def _spread(self, k, params):
        return 1.0


def of_factors(params):
    return np.array([own @ own.T + np.diag(noise) for own, noise in zip(*params[1:], strict=True)])


class FactorsWithMissing(WithMissing):
    """`complete` is the twin of factor analysers, whose factors are linear in rows."""

    def accumulate(self, X, resp, weights, params):
        total = None
        for k in range(len(params[0])):
            own = np.where(np.arange(len(params[0])) == k, resp, 0.0)
            rows, left = self._imputed(k, X, params)
            first, squares, of_factors, crossed, products = self._gathered(k, X, rows, own, weights, params)
            spread, slopes = np.tensordot(own[:, k], left, 1), regression(params[1][k], params[2][k]).T
            squares[k] += np.diagonal(spread)
            crossed[k] += slopes @ spread
            products[k] += (slopes @ spread @ slopes.T)[np.tril_indices(len(slopes))]
            arrays = first, squares, of_factors, crossed, products
            total = arrays if total is None else tuple(a + b for a, b in zip(total, arrays, strict=True))
        return total


class StudentTWithMissing(WithMissing):
    """`complete` is the twin of a Student-t family."""

    def _marginal(self, k, mean, covariance, params):
        return stats.multivariate_t(mean, covariance, df=params[3][k])

    def _spread(self, k, params):
        return params[3][k] / (params[3][k] + params[0].shape[1])

    def _gathered(self, k, X, rows, resp, weights, params):
        n, d, p = params[3][k], X.shape[1], np.sum(~np.isnan(X), axis=1)
        share = np.zeros_like(resp)
        relative = self.complete.structure.distances(rows, params[:3])[:, k] / n
        share[:, k] = (n + p) / (n + d) / (1 + relative)
        late = np.log1p(relative) + digamma((n + d) / 2) - digamma((n + p) / 2)
        mass = resp * share
        far, log_far = np.zeros_like(resp), np.zeros_like(resp)
        far[:, k], log_far[:, k] = resp[:, k] * (1 - share[:, k]), resp[:, k] * late
        moments = self.complete.moments.accumulate(rows, mass, weights, params[:3])
        return *moments, mass.sum(axis=0), far.sum(axis=0), log_far.sum(axis=0)
