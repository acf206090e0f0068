"""Mixtures of factor analysers: Gaussian components with covariances W W' + diag(psi), W (d, q) with q far below d.

Fits and predictions never form a d x d matrix. Other questions about components, such as margins or comparisons of
pairs, are answered by a family of full covariances (`apart`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mixfast.families import _factors
from mixfast.families.covariances import AGREEMENT, FullCovariances, common_unit
from mixfast.families.domains import POSITIVE, Domain
from mixfast.families.gaussian import FullGaussian, Gaussian, GaussianParams

#: `factor_noise` -> (all components have the same noise, all columns have the same noise).
NOISES = {
    "diag": (False, False),
    "spherical": (False, True),
    "tied_diag": (True, False),
    "tied_spherical": (True, True),
}

#: The noise of a start, so small that the first factors are the rows' least squares, whatever their units.
NO_NOISE = 1e-60


class FactorParams(NamedTuple):
    """means (K, d), loadings (K, d, q) and noise_variances (K, d), whatever columns or components share."""

    means: np.ndarray
    loadings: np.ndarray
    noise_variances: np.ndarray


class FactorMoments(NamedTuple):
    """Sums over rows of resp c, resp c^2, resp z, resp z c' and resp z z' (lower triangles by rows), where c = x - mean
    and z is the conditional mean of the factors given the row, at the parameters of the pass."""

    first: np.ndarray
    squares: np.ndarray
    factors: np.ndarray
    crossed: np.ndarray
    products: np.ndarray


class FactorGaussian(Gaussian, FullCovariances):
    """Covariances W W' + diag(psi).

    Parameters
    ----------
    n_factors : int
        q, fewer than there are columns.
    factor_noise : str
        One of `NOISES`.
    reg_covar : float, default 0
        The least noise variance, in the squared unit of the data.
    """

    Params = FactorParams
    Stats = FactorMoments
    scales = ("loadings", "noise_variances")
    made_of_scales = ()
    merged = None  # type: ignore[assignment]  # two components make one of more factors
    holdings: dict = {}  # type: ignore[assignment]  # no parameter is held: the M-step of each is that of all

    def __init__(self, n_factors, factor_noise="diag", reg_covar=0.0):
        super().__init__(reg_covar)
        self.n_factors, self.factor_noise = n_factors, factor_noise
        self.is_tied, self.is_spherical = NOISES[factor_noise]
        of_noise = Domain(f"as factor_noise={factor_noise!r} has it", self._differs)
        self.domains = self.domains | {"noise_variances": (POSITIVE, of_noise)}

    def _differs(self, noise):
        """Whether the noise variances (K, d) violate `factor_noise`."""
        noise = np.asarray(noise, dtype=np.float64)
        expected = self._shared(noise)
        return np.abs(noise - expected) > AGREEMENT * np.abs(expected)

    def _shared(self, noise):
        if self.is_spherical:
            noise = noise.mean(axis=-1, keepdims=True)
        if self.is_tied:
            noise = noise.mean(axis=-2, keepdims=True)
        return noise

    def param_shapes(self, n_components, n_features):
        shape = (n_components, n_features)
        return shape, (*shape, self.n_factors), shape

    def stat_shapes(self, n_components, n_features):
        q = self.n_factors
        shape = (n_components, n_features)
        return shape, shape, (n_components, q), (n_components, q, n_features), (n_components, q * (q + 1) // 2)

    def n_covariance_parameters(self, n_components, n_features):
        """Free parameters of the covariances. Loadings are determined up to a rotation, which takes off q (q - 1) /
        2."""
        q = self.n_factors
        n_noises = (1 if self.is_tied else n_components) * (1 if self.is_spherical else n_features)
        return n_components * (n_features * q - q * (q - 1) // 2) + n_noises

    def n_rows_needed(self, n_features):
        return self.n_factors + 3  # factors alone can pass through n_factors + 1 rows

    def encode(self, X):
        if not self.n_factors < X.shape[1]:
            raise ValueError(
                f"n_factors={self.n_factors} should be below the number of columns, {X.shape[1]}: take fewer, or "
                "covariance_type='full'"
            )
        return super().encode(X)

    def bind(self, n_components, n_features, dtype, isa=None):
        return _factors.bind(
            n_components,
            n_features,
            np.dtype(dtype).itemsize,
            isa,
            self.reg_covar,
            self.n_factors,
            self.is_tied,
            self.is_spherical,
        )

    def located(self, centres):
        layout = self.params_layout(*np.shape(centres))
        packed = np.full(layout.size, NO_NOISE)
        params = layout.view(packed)
        params.means[...] = centres
        # any directions that are not those of the data; the same for all components
        params.loadings[...] = np.random.RandomState(0).standard_normal(params.loadings.shape[1:])
        return packed

    def column_units(self, spreads):
        return common_unit(spreads) if self.is_spherical else spreads

    def transformed(self, params, origin, scale, shift):
        scale = np.broadcast_to(scale, params.means.shape[-1:])
        return self.Params(
            shift + scale * (params.means - origin),
            params.loadings * scale[:, np.newaxis],
            params.noise_variances * scale**2,
        )

    # ---- full covariances ----

    def apart(self, params):
        matrices = self.covariance_matrices(params)
        return FullGaussian(self.reg_covar), GaussianParams(params.means, matrices, self.factor_covariances(matrices))

    def covariance_matrices(self, params):
        loadings, noise = params.loadings, params.noise_variances
        matrices = loadings @ np.swapaxes(loadings, -1, -2)
        diagonal = np.arange(noise.shape[-1])
        matrices[..., diagonal, diagonal] += noise
        return matrices

    def variances(self, params):
        return np.sum(params.loadings**2, axis=-1) + params.noise_variances

    def common_axes(self, p, q):
        return FullGaussian().common_axes(self.apart(p)[1], self.apart(q)[1])

    def margin(self, params, columns):
        own = self.Params(params.means[:, columns], params.loadings[:, columns], params.noise_variances[:, columns])
        return self.apart(own)

    def sample(self, params, labels, rng):
        q = self.n_factors
        drawn = rng.standard_normal((len(labels), q + params.means.shape[1]))
        rows = params.means[labels] + np.sqrt(params.noise_variances)[labels] * drawn[:, q:]
        for k in np.unique(labels):
            own = labels == k
            rows[own] += drawn[own, :q] @ params.loadings[k].T
        return rows
