"""Twin of the shapes of covariances (`families/_shapes.pyx`)."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from mixfast._reference.gaussian import DiagonalGaussian, FullGaussian, pooled_moments, precision_factor
from mixfast._reference.student_t import LOCATED, StudentT

#: Rounds of what alternates: it then moves by rounding alone.
N_ROUNDS = 500


def geometric_mean(variances):
    return np.exp(np.mean(np.log(variances), axis=-1, keepdims=True))


def same(shares, variances):
    return np.broadcast_to(shares @ variances, variances.shape)


def same_volume(shares, variances):
    volumes = geometric_mean(variances)
    return variances / volumes * (shares @ volumes)


def same_proportions(shares, variances):
    volumes = variances.mean(axis=1, keepdims=True)
    for _ in range(N_ROUNDS):
        common = shares @ (variances / volumes)
        common = common / geometric_mean(common)
        volumes = (variances / common).mean(axis=1, keepdims=True)
    return volumes * common


def one_each(shares, variances):
    return np.broadcast_to(variances.mean(axis=1, keepdims=True), variances.shape)


def own(shares, variances):
    return variances


#: By the first two letters of a name.
SPREADS = {
    "EI": lambda shares, variances: one_each(shares, same(shares, variances)),
    "VI": one_each,
    "EE": same,
    "VE": same_proportions,
    "EV": same_volume,
    "VV": own,
}


def own_axes(shares, scatters, height):
    return np.linalg.eigh(scatters)[1]


def common_axes(shares, scatters, height):
    """One plane after another is turned by the best of all angles."""
    d = scatters.shape[1]
    axes = np.eye(d)
    for _ in range(N_ROUNDS):
        last = axes.copy()
        for p in range(d - 1):
            for q in range(p + 1, d):

                def turned(angle, p=p, q=q, axes=axes):
                    turn = np.eye(d, dtype=np.result_type(angle))
                    turn[[p, p, q, q], [p, q, p, q]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
                    return axes @ turn

                def lost(angle, turned=turned):
                    return height(shares, on_axes(scatters, turned(angle)))

                def slope(angle, lost=lost):
                    return lost(angle + 1e-30j).imag / 1e-30

                tried = np.linspace(-np.pi / 4, np.pi / 4, 17)
                best = tried[np.argmin([lost(angle) for angle in tried])]
                if slope(best - 0.1) < 0 < slope(best + 0.1):
                    best = brentq(slope, best - 0.1, best + 0.1, xtol=1e-15)
                    axes = turned(best)
        if np.max(np.abs(axes - last)) < 1e-13:
            break
    return axes


def on_axes(matrices, axes):
    """The diagonals (K, d) of matrices on axes."""
    return np.einsum("...ji,...jl,...li->...i", axes, matrices, axes)


#: By the first two letters: what common axes make small.
HEIGHTS = {
    "EV": lambda shares, variances: shares @ geometric_mean(variances)[:, 0],
    "VV": lambda shares, variances: shares @ np.log(variances).sum(axis=1),
}


def covariances(name, shares, scatters):
    """Those of the shape, of scatters (K, d, d) as mean squares."""
    identity = np.eye(scatters.shape[1])
    if name in ("EEE", "VEE"):
        volumes = np.ones(len(shares))
        for _ in range(N_ROUNDS if name == "VEE" else 1):
            common = np.tensordot(shares / volumes, scatters, 1)
            common = common / np.exp(np.linalg.slogdet(common)[1] / len(identity))
            volumes = np.trace(np.linalg.solve(common, scatters), axis1=1, axis2=2) / len(identity)
        volumes = volumes if name == "VEE" else np.full(len(shares), shares @ volumes)
        return volumes[:, np.newaxis, np.newaxis] * common
    find = {"I": lambda *_: identity, "E": common_axes, "V": own_axes}[name[2]]
    axes = find(shares, scatters, HEIGHTS.get(name[:2]))
    variances = SPREADS[name[:2]](shares, on_axes(scatters, axes))
    return np.einsum("...ij,...j,...lj->...il", axes, variances, axes)


class Shaped(FullGaussian):
    """`name` is one of the fourteen."""

    def __init__(self, name, reg_covar=0.0):
        super().__init__(reg_covar)
        self.name = name

    def _is_diagonal(self):
        return self.name[2] == "I"

    def accumulate(self, X, resp, weights, params):
        return (DiagonalGaussian if self._is_diagonal() else FullGaussian)().accumulate(X, resp, weights, params)

    def maximise(self, counts, stats, weights, params, masses=None, divisors=None):
        """`divisors` are what scatters are divided by, where that is not `masses`."""
        masses = counts if masses is None else masses
        divisors = masses if divisors is None else divisors
        means, used = params[0].copy(), counts > 0
        scatters = np.zeros((*means.shape, means.shape[1]))
        lower = np.tril_indices(means.shape[1])
        for k in np.flatnonzero(used):
            delta = stats[0][k] / masses[k]
            if self._is_diagonal():
                matrix = np.diag(stats[1][k] - masses[k] * delta**2)
            else:
                matrix = np.zeros_like(scatters[k])
                matrix[lower] = stats[1][k]
                matrix = matrix + np.tril(matrix, -1).T - masses[k] * np.outer(delta, delta)
            scatters[k] = matrix / divisors[k] + self.reg_covar * np.eye(len(matrix))
            means[k] += delta
        mean, variance = pooled_moments(counts, means, np.diagonal(scatters, axis1=1, axis2=2))
        means[~used], scatters[~used] = mean, np.diag(variance)
        fitted = covariances(self.name, counts / counts.sum(), scatters)
        return means, fitted, np.array([precision_factor(matrix) for matrix in fitted])

    def unconstrain(self, params):
        if not self._is_diagonal():
            return super().unconstrain(params)
        return np.concatenate([params[0].ravel(), np.log(np.diagonal(params[2], axis1=1, axis2=2)).ravel()])

    def constrain(self, free, params):
        """The nearest of the shape, all components being of equal weight."""
        if self._is_diagonal():
            factors = np.exp(free[params[0].size :]).reshape(params[0].shape)[:, :, np.newaxis] * np.eye(
                len(params[0].T)
            )
            means, matrices = free[: params[0].size].reshape(params[0].shape), np.linalg.inv(factors) ** 2
        else:
            means, matrices, _ = super().constrain(free, params)
        matrices = covariances(self.name, np.full(len(means), 1 / len(means)), matrices)
        return means, matrices, np.array([precision_factor(matrix) for matrix in matrices])


class EqualVolumesStudentT(StudentT):
    """Scale matrices of equal volumes: what is added up over components is over the numbers of their rows."""

    def locate(self, counts, stats, weights, params):
        n_features, mass, degrees = params[0].shape[1], stats[2], params[3]
        used = counts > 0
        weight = 1 + n_features / degrees
        share = counts * (1 if degrees[0] >= LOCATED else degrees)
        scale = share @ np.where(used, weight * mass / np.where(used, counts, 1), 0) / share.sum()
        located = self.structure.maximise(
            counts, stats[:2], weights, params[:3], masses=mass, divisors=counts * scale / weight
        )
        unscaled = type(self.structure)("VVV" if self.structure.name[2] != "I" else "VVI").maximise(
            counts, stats[:2], weights, params[:3], masses=mass
        )
        with np.errstate(invalid="ignore"):
            ratios = np.trace(np.linalg.solve(located[1], unscaled[1]), axis1=1, axis2=2) / n_features
        return located, ratios
