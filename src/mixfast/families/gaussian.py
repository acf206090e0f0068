"""Gaussian components: one class for each structure of the covariances.

The log density of a row x under component k is, with U U' the inverse of the covariance (U upper triangular),

    -d/2 log(2 pi) + sum_j log U_jj - |U' (x - mean_k)|^2 / 2.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from mixfast.families import _gaussian
from mixfast.families.covariances import (
    LINE_SHAPES,
    SHAPES,
    DiagonalCovariances,
    Elliptical,
    FullCovariances,
    ShapedCovariances,
    SphericalCovariances,
    TiedCovariances,
)
from mixfast.families.family import Described
from mixfast.families.holding import ALL
from mixfast.families.log_ratios import LogRatios


class GaussianParams(NamedTuple):
    """`covariances` and `precisions_cholesky` have a shape of their own in each structure (`covariance_shape`)."""

    means: np.ndarray
    covariances: np.ndarray
    precisions_cholesky: np.ndarray


class CentredMoments(NamedTuple):
    """Sums over rows of resp (x - m) and of resp (x - m)(x - m)', m the component's mean in the pass."""

    first: np.ndarray
    second: np.ndarray


class Gaussian(Elliptical):
    """What Gaussian families of all structures share."""

    Params: type = GaussianParams
    Stats: type = CentredMoments

    def param_shapes(self, n_components, n_features):
        covariance = self.covariance_shape(n_components, n_features)
        return (n_components, n_features), covariance, covariance

    def stat_shapes(self, n_components, n_features):
        return (n_components, n_features), self.moment_shape(n_components, n_features)

    def n_parameters(self, n_components, n_features):
        return n_components * n_features + self.n_covariance_parameters(n_components, n_features)

    def blank(self, n_components, n_features):
        return self.located(np.zeros((n_components, n_features)))

    def located(self, centres):
        layout = self.params_layout(*np.shape(centres))
        packed = np.ones(layout.size)  # posteriors have more parameters: counts, all 1 here
        params = layout.view(packed)
        params.means[...] = centres
        params.covariances[...] = params.precisions_cholesky[...] = self._unit(np.shape(centres)[1])
        return packed

    def log_ratios(self, p, q):
        return LogRatios.of_axes(*self.common_axes(p, q))

    def log_affinity(self, p, q):
        return self.log_ratios(p, q).log_affinity()

    def divergence(self, p, q):
        return self.log_ratios(p, q).divergence()

    def cdf(self, params, x):
        return ndtr((x - params.means[:, 0]) / np.sqrt(self.variances(params)[:, 0]))

    def described(self, params):
        numbers = {"mean": params.means, "sd": np.sqrt(self.variances(params))}
        return [Described(np.arange(params.means.shape[1]), numbers)]

    def squared_radii(self, params, share):
        return np.full(len(params.means), -2 * np.log1p(-share))  # chi-squared, of two degrees of freedom

    def merged(self, p, q, share):
        own, other, difference = share[:, np.newaxis], 1 - share[:, np.newaxis], q.means - p.means
        between = self.spread(difference * np.sqrt(own * other))
        shape = (-1, *[1] * (between.ndim - 1))
        within = share.reshape(shape) * p.covariances + (1 - share).reshape(shape) * q.covariances
        covariances = within + between
        return self.Params(p.means + other * difference, covariances, self.factor_covariances(covariances))

    def sample(self, params, labels, rng):
        return self.stretched(rng.standard_normal((len(labels), params.means.shape[1])), params, labels)


class FullGaussian(Gaussian, FullCovariances):
    """Covariances (K, d, d)."""

    def bind(self, n_components, n_features, dtype, isa=None):
        return _gaussian.bind_full(n_components, n_features, np.dtype(dtype).itemsize, isa, self.reg_covar)


class TiedGaussian(Gaussian, TiedCovariances):
    """Covariances (d, d).

    Second moments are those of all components together. x' P x is common to all components and cancels from the
    responsibilities: where means are not far apart, log densities are linear forms and the sum of x x' is taken once.
    """

    def stat_shapes(self, n_components, n_features):
        return (n_components, n_features), self.moment_shape(n_components, n_features)[1:]

    merged = None  # type: ignore[assignment]  # a covariance that all share is not that of two of them

    def apart(self, params):
        matrices = self.covariance_matrices(params)
        factors = np.broadcast_to(params.precisions_cholesky, matrices.shape)
        return FullGaussian(self.reg_covar), self.Params(params.means, matrices, factors)

    def bind(self, n_components, n_features, dtype, isa=None):
        return _gaussian.bind_tied(n_components, n_features, np.dtype(dtype).itemsize, isa, self.reg_covar)


class DiagonalGaussian(Gaussian, DiagonalCovariances):
    """Covariances (K, d)."""

    leaves_out_entries = True

    def bind(self, n_components, n_features, dtype, isa=None):
        return _gaussian.bind_diagonal(n_components, n_features, np.dtype(dtype).itemsize, isa, self.reg_covar)


class SphericalGaussian(Gaussian, SphericalCovariances):
    """Covariances (K,)."""

    leaves_out_entries = True

    def bind(self, n_components, n_features, dtype, isa=None):
        return _gaussian.bind_spherical(n_components, n_features, np.dtype(dtype).itemsize, isa, self.reg_covar)


#: Shapes whose M-step with a conjugate prior is the mode of the posterior.
WITH_PRIOR = ("EII", "VII", "EEI", "VVI", "EEE", "VVV", *LINE_SHAPES)

#: Shapes whose components share nothing, so that covariances with clipped eigenvalues still have the shape.
WITH_LIMIT = ("VII", "VVI", "VVV", "V")


class CovariancePrior(NamedTuple):
    """Means are normal about `mean` (d,), with the component's covariance over `shrinkage`; covariances are
    inverse-Wishart of `dof` and `scale` (d, d), variances of diagonal shapes inverse-gamma of dof / 2 and half the
    diagonal of `scale`."""

    shrinkage: float
    mean: np.ndarray
    dof: float
    scale: np.ndarray


def default_prior(name, n_components, mean, covariance):
    """Fraley and Raftery's, of rows with this mean (d,) and covariance (d, d)."""
    d = len(mean)
    scale = covariance * n_components ** (-2 / d)
    if LINE_SHAPES.get(name, name).endswith("I"):
        scale = np.trace(scale) / d * np.eye(d)
    return CovariancePrior(0.01, mean, float(d + 2), scale)


class ShapedGaussian(Gaussian, ShapedCovariances):
    """Covariances (K, d, d) of one of mclust's shapes.

    Parameters
    ----------
    name, reg_covar
        As in `ShapedCovariances` and `Gaussian`.
    eigenvalue_ratio : float, default None
        Upper limit of the ratio of any two eigenvalues of the covariances, of the same or different components.
    prior : CovariancePrior, default None
    """

    def __init__(self, name, reg_covar=0.0, eigenvalue_ratio=None, prior=None):
        super().__init__(name, reg_covar)
        self.eigenvalue_ratio, self.prior = eigenvalue_ratio, prior

    @property
    def leaves_out_entries(self):
        return self.axes_kind == "I"

    @property
    def covariances_held(self):
        return ALL if self.eigenvalue_ratio is not None else super().covariances_held

    @property
    def holdings(self):
        own = super().holdings
        return own if self.prior is None else {"covariances": own["covariances"]}  # a scatter has the prior's mean too

    def n_rows_needed(self, n_features):
        # with a prior or a limit the likelihood, times the prior, has a bound
        has_bound = self.prior is not None or self.eigenvalue_ratio is not None
        return 0 if has_bound else super().n_rows_needed(n_features)

    merged = None  # type: ignore[assignment]  # two components of a shape make one of any shape

    def apart(self, params):
        return FullGaussian(self.reg_covar), params

    def bind(self, n_components, n_features, dtype, isa=None):
        itemsize = np.dtype(dtype).itemsize
        prior = () if self.prior is None else np.concatenate([np.ravel(own) for own in self._prior_in_order()])
        return _gaussian.bind_shape(
            n_components,
            n_features,
            itemsize,
            isa,
            self.reg_covar,
            self.letters,
            self.eigenvalue_ratio or 0.0,
            np.asarray(prior, dtype=np.float64),
        )

    def _prior_in_order(self):
        return self.prior.shrinkage, self.prior.dof, self.prior.mean, self.prior.scale


#: The structures by the names that scikit-learn's `covariance_type` gives them, and by mclust's.
STRUCTURES = {
    "full": FullGaussian,
    "tied": TiedGaussian,
    "diag": DiagonalGaussian,
    "spherical": SphericalGaussian,
    **{name: partial(ShapedGaussian, name) for name in (*SHAPES, *LINE_SHAPES)},
    "VVV": FullGaussian,
}
