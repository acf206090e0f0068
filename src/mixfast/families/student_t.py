"""Student-t components: Gaussians with heavy tails, one class for each structure of the scale matrices.

The log density of a row x under component k is, with U U' the inverse of the scale matrix (U upper triangular), n its
degrees of freedom and q = |U' (x - mean_k)|^2 / n,

    log gamma((n + d) / 2) - log gamma(n / 2) - d/2 log(n pi) + sum_j log U_jj - (n + d) / 2 log(1 + q).
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr

from mixfast.families import _student_t
from mixfast.families._student_t import DEGREES_LIMITS
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
from mixfast.families.domains import between
from mixfast.families.family import Described
from mixfast.families.holding import ALL, COMPONENT, Holding
from mixfast.families.seeds import drawn_in, middle_and_range


class StudentTParams(NamedTuple):
    """`covariances` are scale matrices: a covariance is n / (n - 2) times as large, where n > 2 (K,)."""

    means: np.ndarray
    covariances: np.ndarray
    precisions_cholesky: np.ndarray
    degrees_of_freedom: np.ndarray


class WeighedMoments(NamedTuple):
    """With w = 1 / (1 + q) the weight of a row in the component, and m the component's mean in the pass: sums over rows
    of resp w (x - m), resp w (x - m)(x - m)', resp w, resp (1 - w) and -resp log w."""

    first: np.ndarray
    second: np.ndarray
    mass: np.ndarray
    far: np.ndarray
    log_far: np.ndarray


class OwnDegrees:
    """Each component has degrees of freedom of its own."""

    # Passes to tol=1e-3 and the mean log density then missing, from 4, 8, 15, 30: data with 2.5 to 20 degrees of
    # freedom (2,000 x 2, K=3) 7.3, 8.0, 8.8, 10.0 and 0.0013, 0.0010, 0.0010, 0.0011; Gaussians (1,500 x 3, K=3) 10.5,
    # 7.8, 5.0, 2.5 and 0.0055, 0.0057, 0.0054, 0.0040.
    start = 8.0

    def n_groups(self, n_components):
        return n_components


class SharedDegrees:
    """All components have the same degrees of freedom."""

    start = OwnDegrees.start

    def n_groups(self, n_components):
        return 1


class GivenDegrees:
    """All components have given degrees of freedom, which are not fitted."""

    def __init__(self, degrees):
        self.start = float(degrees)

    def n_groups(self, n_components):
        return 0


#: How degrees of freedom are fitted, by the names of the estimator's option.
DEGREES = {"component": OwnDegrees(), "shared": SharedDegrees()}


class StudentT(Elliptical):
    """What Student-t families of all structures share.

    Parameters
    ----------
    reg_covar : float, default 0
        Added to the diagonal of every scale matrix; in the squared unit of the data.
    degrees : OwnDegrees, SharedDegrees or GivenDegrees, default OwnDegrees()
        What the components share of their degrees of freedom, which lie between DEGREES_LIMITS.
    """

    Params = StudentTParams
    Stats = WeighedMoments

    def __init__(self, reg_covar=0.0, degrees=DEGREES["component"]):
        super().__init__(reg_covar)
        self.degrees = degrees
        self.domains = self.domains | {"degrees_of_freedom": (between(*DEGREES_LIMITS),)}

    def param_shapes(self, n_components, n_features):
        covariance = self.covariance_shape(n_components, n_features)
        return (n_components, n_features), covariance, covariance, (n_components,)

    def stat_shapes(self, n_components, n_features):
        total = (n_components,)
        return (n_components, n_features), self.moment_shape(n_components, n_features), total, total, total

    @property
    def holdings(self):
        # the weights of rows are scaled to fit the whole scale of a component: numbers of it are not held alone
        depth = min(self.covariances_held, COMPONENT)
        own = super().holdings | {"covariances": Holding(depth)}
        if isinstance(self.degrees, GivenDegrees):
            return own
        if isinstance(self.degrees, SharedDegrees):  # they are found together with the scales of all
            return {"means": own["means"]}
        scales_alone = () if depth != ALL else ("covariances",)  # a scale that is shared is found from all degrees
        return own | {
            "covariances": Holding(depth, ("degrees_of_freedom",)),
            "degrees_of_freedom": Holding(COMPONENT, scales_alone),
        }

    def n_held(self, name, held, n_features):
        return int(held.sum()) if name == "degrees_of_freedom" else super().n_held(name, held, n_features)

    def n_parameters(self, n_components, n_features):
        n_located = n_components * n_features + self.n_covariance_parameters(n_components, n_features)
        return n_located + self.degrees.n_groups(n_components)

    def blank(self, n_components, n_features):
        """As `Family.blank`, with infinite degrees of freedom: all rows have the same weight, as for a Gaussian."""
        layout = self.params_layout(n_components, n_features)
        packed = np.zeros(layout.size)
        params = layout.view(packed)
        params.covariances[...] = params.precisions_cholesky[...] = self._unit(n_features)
        params.degrees_of_freedom[...] = np.inf
        return packed

    def rows_of_clusters(self, X):
        """k-means runs on columns with outliers drawn in; docs/families.md has the effect."""
        return lambda offsets: drawn_in(X, offsets)

    def middle_and_width(self, values):
        middle, width = middle_and_range(values[:, np.newaxis], np.array([0, len(values)]))
        return middle.item(), width.item() if np.isfinite(width) else 1.0

    def seeds_by_row(self):
        return False

    def cdf(self, params, x):
        return stdtr(params.degrees_of_freedom, (x - params.means[:, 0]) / np.sqrt(self.variances(params)[:, 0]))

    def described(self, params):
        numbers = {
            "location": params.means,
            "scale": np.sqrt(self.variances(params)),
            "degrees_of_freedom": np.broadcast_to(params.degrees_of_freedom[:, np.newaxis], params.means.shape),
        }
        return [Described(np.arange(params.means.shape[1]), numbers)]

    def squared_radii(self, params, share):
        degrees = params.degrees_of_freedom
        return degrees * np.expm1(-2 / degrees * np.log1p(-share))  # twice Fisher's F, of 2 and n degrees of freedom

    def sample(self, params, labels, rng):
        rows = rng.standard_normal((len(labels), params.means.shape[1]))
        degrees = params.degrees_of_freedom[labels]
        # few degrees of freedom round chi-squared variates to zero
        chi2 = np.maximum(rng.chisquare(degrees), np.finfo(float).tiny)
        return self.stretched(rows * np.sqrt(degrees / chi2)[:, np.newaxis], params, labels)

    def _bind_by(self, function, n_components, n_features, dtype, isa, *more):
        n_groups, itemsize = self.degrees.n_groups(n_components), np.dtype(dtype).itemsize
        return function(n_components, n_features, itemsize, isa, self.reg_covar, n_groups, self.degrees.start, *more)


class FullStudentT(StudentT, FullCovariances):
    """Scale matrices (K, d, d)."""

    def bind(self, n_components, n_features, dtype, isa=None):
        return self._bind_by(_student_t.bind_full, n_components, n_features, dtype, isa)


class TiedStudentT(StudentT, TiedCovariances):
    """Scale matrix (d, d)."""

    def apart(self, params):
        matrices = self.covariance_matrices(params)
        factors = np.broadcast_to(params.precisions_cholesky, matrices.shape)
        own = params._replace(covariances=matrices, precisions_cholesky=factors)
        return FullStudentT(self.reg_covar, self.degrees), own

    def bind(self, n_components, n_features, dtype, isa=None):
        return self._bind_by(_student_t.bind_tied, n_components, n_features, dtype, isa)


class DiagonalStudentT(StudentT, DiagonalCovariances):
    """Squared scales (K, d)."""

    def bind(self, n_components, n_features, dtype, isa=None):
        return self._bind_by(_student_t.bind_diagonal, n_components, n_features, dtype, isa)


class SphericalStudentT(StudentT, SphericalCovariances):
    """Squared scales (K,)."""

    def bind(self, n_components, n_features, dtype, isa=None):
        return self._bind_by(_student_t.bind_spherical, n_components, n_features, dtype, isa)


class ShapedStudentT(ShapedCovariances, StudentT):
    """Scale matrices (K, d, d) of one of mclust's shapes."""

    def __init__(self, name, reg_covar=0.0, degrees=DEGREES["component"]):
        super().__init__(name, reg_covar)
        self.degrees = degrees

    def bind(self, n_components, n_features, dtype, isa=None):
        return self._bind_by(_student_t.bind_shape, n_components, n_features, dtype, isa, self.letters)


#: The structures by the names that scikit-learn's `covariance_type` gives them, and by mclust's.
STRUCTURES = {
    "full": FullStudentT,
    "tied": TiedStudentT,
    "diag": DiagonalStudentT,
    "spherical": SphericalStudentT,
    **{name: partial(ShapedStudentT, name) for name in (*SHAPES, *LINE_SHAPES)},
    "VVV": FullStudentT,
}

__all__ = ["DEGREES", "DEGREES_LIMITS", "STRUCTURES", "StudentT", "StudentTParams", "WeighedMoments"]
