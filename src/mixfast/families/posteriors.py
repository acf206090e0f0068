"""Posteriors of Gaussian components under conjugate priors: one class for each structure of the precisions.

The parameters of a component are those of the posterior of its mean and precision; `_gaussian_posterior.pyx` has the
formulas.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mixfast.families import _gaussian_posterior
from mixfast.families.domains import POSITIVE
from mixfast.families.gaussian import CentredMoments, DiagonalGaussian, FullGaussian, SphericalGaussian, TiedGaussian


class GaussianPosteriorParams(NamedTuple):
    """means (K, d), covariances Psi / nu and precisions_cholesky as those of Gaussians, mean_precision kappa (K,),
    degrees_of_freedom nu (K,), tied (1,); then the prior: mean_prior (d,), covariance_prior Psi0, of the shape of one
    component's covariance, and its log-determinant (1,)."""

    means: np.ndarray
    covariances: np.ndarray
    precisions_cholesky: np.ndarray
    mean_precision: np.ndarray
    degrees_of_freedom: np.ndarray
    mean_prior: np.ndarray
    covariance_prior: np.ndarray
    prior_log_determinant: np.ndarray


class GaussianPosterior:
    """What the structures share: the prior, beside what the Gaussian family of the structure is.

    Parameters
    ----------
    kappa0 : float
        How many rows the prior's mean counts for.
    nu0 : float
        Degrees of freedom of the prior: more than n_features - 1, for variances more than 0.
    m0 : ndarray of shape (n_features,) or None
        The prior's mean; None is the mean of the rows of the fit.
    scale0 : ndarray or None
        Psi0, of the shape of one component's covariance; None is `share` times the covariance of the rows, with the
        number of rows less one. A column that does not vary counts for one of variance 1, and the diagonal is raised
        where columns depend on each other.
    share : float, default 1
    reg_covar : float, default 0
        Added to the outer product of each row, in the squared unit of the data.
    """

    Params = GaussianPosteriorParams
    Stats: type = CentredMoments

    def __init__(self, kappa0, nu0, m0=None, scale0=None, share=1.0, reg_covar=0.0):
        super().__init__(reg_covar)
        self.kappa0, self.nu0, self.m0, self.scale0, self.share = kappa0, nu0, m0, scale0, share

    domains: dict = {"mean_precision": (POSITIVE,), "degrees_of_freedom": (POSITIVE,)}

    def param_shapes(self, n_components, n_features):
        n_nu = 1 if self.one_precision else n_components
        shape = self.covariance_shape(1, n_features)
        return (
            *super().param_shapes(n_components, n_features),
            (n_components,),
            (n_nu,),
            (n_features,),
            shape if self.one_precision else shape[1:],
            (1,),
        )

    #: Whether all components share one precision.
    one_precision = False

    def n_rows_needed(self, n_features):
        return 0  # a prior is there whatever the rows are

    def located(self, centres):
        layout = self.params_layout(*np.shape(centres))
        packed = np.ones(layout.size)
        params = layout.view(packed)
        params.means[...] = centres
        params.covariances[...] = params.precisions_cholesky[...] = self._unit(np.shape(centres)[1])
        return packed

    def bind(self, n_components, n_features, dtype, isa=None):
        flat = None if self.scale0 is None else np.ascontiguousarray(self.scale0, dtype=np.float64).reshape(-1)
        return self._bind(
            n_components,
            n_features,
            np.dtype(dtype).itemsize,
            isa,
            self.reg_covar,
            self.kappa0,
            self.nu0,
            None if self.m0 is None else np.ascontiguousarray(self.m0, dtype=np.float64),
            flat,
            self.share,
        )


class FullPosterior(GaussianPosterior, FullGaussian):
    """A precision matrix for each component."""

    _bind = staticmethod(_gaussian_posterior.bind_full_posterior)


class TiedPosterior(GaussianPosterior, TiedGaussian):
    """One precision matrix for all components."""

    one_precision = True
    _bind = staticmethod(_gaussian_posterior.bind_tied_posterior)


class DiagonalPosterior(GaussianPosterior, DiagonalGaussian):
    """A precision for each column of each component."""

    _bind = staticmethod(_gaussian_posterior.bind_diagonal_posterior)


class SphericalPosterior(GaussianPosterior, SphericalGaussian):
    """One precision for all columns of a component."""

    _bind = staticmethod(_gaussian_posterior.bind_spherical_posterior)


#: The structures by the names that scikit-learn's `covariance_type` gives them.
POSTERIORS = {
    "full": FullPosterior,
    "tied": TiedPosterior,
    "diag": DiagonalPosterior,
    "spherical": SphericalPosterior,
}
