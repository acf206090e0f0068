"""Twin of mixtures of factor analysers (`families/_factors.pyx`, `_kernels/factors.c`).

Component k is N(means_k, W W' + Psi) with loadings W (d, q) and noise variances Psi, diagonal. The factors z of a row
are normal with the mean B'(x - mean_k), B = Psi^-1 W M^-1, and the covariance M^-1, M = I + W' Psi^-1 W.

The M-step raises sum_i r_ik log N(x_i; ...) with r as it is, so that the likelihood never falls: first the means, which
are exact, then one step of parameter-expanded EM (Liu, Rubin & Wu, Biometrika 85 (1998)) for W and Psi. It needs of the
scatter S of a component's rows only diag S, S B and B' S B.
"""

from __future__ import annotations

import numpy as np

from mixfast._reference.gaussian import _log_normaliser, pooled_moments

#: Noise variances are at least so much of the variance of their column.
REPAIR = 1e-6

#: The squares of loadings of a component whose rows are all equal, in units of the least noise.
ALIVE = 1e-8


def inner(loadings, noise):
    """M = I + W' Psi^-1 W of one component."""
    return np.eye(loadings.shape[1]) + (loadings.T / noise) @ loadings


def regression(loadings, noise):
    """B (d, q), the regression of the factors on the rows."""
    return np.linalg.solve(inner(loadings, noise), (loadings.T / noise)).T


class Factors:
    """`noise` is 'diag', 'spherical', 'tied_diag' or 'tied_spherical'."""

    further_start_passes = 2

    def __init__(self, noise="diag", reg_covar=0.0):
        self.is_tied, self.is_spherical = noise.startswith("tied_"), noise.endswith("spherical")
        self.reg_covar = reg_covar

    def log_prior(self, params):
        return 0.0

    def log_density(self, X, params):
        """|x - m|^2 in the metric of the inverse is the least |Psi^-1/2 (x - m - W z)|^2 + |z|^2: nothing cancels."""
        columns = []
        for mean, loadings, noise in zip(*params, strict=True):
            centred = X - mean
            z = centred @ regression(loadings, noise)
            distance = np.sum((centred - z @ loadings.T) ** 2 / noise, axis=1) + np.sum(z**2, axis=1)
            log_det = np.sum(np.log(noise)) + np.linalg.slogdet(inner(loadings, noise))[1]
            columns.append(_log_normaliser(X.shape[1]) - 0.5 * (log_det + distance))
        return np.column_stack(columns)

    def accumulate(self, X, resp, weights, params):
        """Sums of r c, r c^2, r z, r z c' and r z z' (lower triangle), c = x - mean_k."""
        sums = []
        for mean, loadings, noise, share in zip(*params, resp.T, strict=True):
            centred = X - mean
            z = centred @ regression(loadings, noise)
            products = (share[:, np.newaxis] * z).T @ z
            lower = np.tril_indices(len(products))
            sums.append(
                (
                    share @ centred,
                    share @ centred**2,
                    share @ z,
                    (share[:, np.newaxis] * z).T @ centred,
                    products[lower],
                )
            )
        return tuple(np.array(own) for own in zip(*sums, strict=True))

    def maximise(self, counts, stats, weights, params):
        first, squares, of_factors, crossed, products = stats
        means, loadings, noise = (array.copy() for array in params)
        d, q = loadings.shape[1:]
        variances = np.zeros_like(means)
        for k in np.flatnonzero(counts > 0):
            delta = first[k] / counts[k]
            means[k] += delta
            variances[k] = squares[k] / counts[k] - delta**2
        mean, pooled = pooled_moments(counts, means, variances)
        floors = np.maximum(REPAIR * pooled, self.reg_covar)
        if self.is_spherical:
            floors = np.full(d, max(REPAIR * pooled.mean(), self.reg_covar))
        for k in range(len(means)):
            if counts[k] == 0:
                means[k], noise[k] = mean, pooled
                continue
            if not variances[k].sum() > floors.sum():  # equal rows: loadings of zero would stay so for ever
                loadings[k] *= np.sqrt(ALIVE * floors.sum() / np.sum(loadings[k] ** 2))
                noise[k] = variances[k]
                continue
            z = of_factors[k] / counts[k]
            second = np.zeros((q, q))
            second[np.tril_indices(q)] = products[k] / counts[k]
            second = second + np.tril(second, -1).T - np.outer(z, z) + np.linalg.inv(inner(loadings[k], noise[k]))
            cross = crossed[k] / counts[k] - np.outer(z, first[k] / counts[k])
            # of W* = cross' second^-1 and factors of covariance `second`: W = W* L, second = L L'
            loadings[k] = np.linalg.solve(np.linalg.cholesky(second), cross).T
            noise[k] = variances[k] - np.sum(loadings[k] ** 2, axis=1)
        if self.is_spherical:
            noise[:] = noise.mean(axis=1, keepdims=True)
        if self.is_tied:
            noise[:] = counts / counts.sum() @ noise
        return means, loadings, np.maximum(noise, floors)

    def unconstrain(self, params):
        """The means, W in units of the noise, and the logarithms of its variances, as many as there are."""
        means, loadings, noise = params
        own = noise[: 1 if self.is_tied else None, : 1 if self.is_spherical else None]
        return np.concatenate(
            [means.ravel(), (loadings / np.sqrt(noise)[:, :, np.newaxis]).ravel(), np.log(own).ravel()]
        )

    def constrain(self, free, params):
        means, loadings, noise = params
        own = noise[: 1 if self.is_tied else None, : 1 if self.is_spherical else None]
        parts = np.split(free, np.cumsum([means.size, loadings.size]))
        noise = np.broadcast_to(np.exp(parts[2]).reshape(own.shape), noise.shape)
        return (
            parts[0].reshape(means.shape),
            parts[1].reshape(loadings.shape) * np.sqrt(noise)[:, :, np.newaxis],
            noise.copy(),
        )
