"""Posteriors of Gaussian components under conjugate priors: one class for each structure of the precisions.

Parameters of such a family are the hyper-parameters of the posterior of each component's mean and precision;
`_gaussian_posterior.pyx` has the formulas.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mixfast.families import _gaussian_posterior
from mixfast.families.domains import POSITIVE
from mixfast.families.gaussian import (
    CentredMoments,
    DiagonalGaussian,
    FullGaussian,
    GaussianParams,
    SphericalGaussian,
    TiedGaussian,
)
from mixfast.families.product import Product
from mixfast.families.student_t import DiagonalStudentT, FullStudentT, SphericalStudentT
from mixfast.in_messages import in_short


class GaussianPosteriorParams(NamedTuple):
    """means (K, d), covariances Psi / nu and precisions_cholesky as those of Gaussians, mean_precision kappa (K,),
    degrees_of_freedom nu (K,), tied (); then the prior: mean_prior (d,), covariance_prior Psi0, of the shape of
    one component's covariance, and its log-determinant (), which each M-step finds anew."""

    means: np.ndarray
    covariances: np.ndarray
    precisions_cholesky: np.ndarray
    mean_precision: np.ndarray
    degrees_of_freedom: np.ndarray
    mean_prior: np.ndarray
    covariance_prior: np.ndarray
    prior_log_determinant: np.ndarray


def domains_of_posterior(of_gaussian):
    """Domains of a posterior's parameters, from those of the Gaussian family of the same structure."""
    return of_gaussian | {
        "mean_precision": (POSITIVE,),
        "degrees_of_freedom": (POSITIVE,),
        "covariance_prior": of_gaussian["covariances"],
    }


class GaussianPosterior:
    """What posteriors of all structures share: the prior. Subclasses derive from the Gaussian family of a structure
    too.

    Parameters
    ----------
    kappa0 : float
        The prior of the mean weighs as much as this many rows.
    nu0 : float or None
        Degrees of freedom of the prior: more than n_features - 1, for variances more than 0. None is n_features.
    m0 : ndarray of shape (n_features,) or None
        The prior's mean; None is the mean of the rows of the fit.
    scale0 : ndarray or None
        Psi0, of the shape of one component's covariance; None is `share` times the covariance of the rows (divisor n -
        1). A constant column is given the geometric mean of the other columns' variances, and the diagonal is raised if
        columns are linearly dependent.
    share : float, default 1
    reg_covar : float, default 0
        Added to the outer product of each row, in the squared unit of the data.
    """

    Params: type = GaussianPosteriorParams
    takes_missing = False
    Stats: type = CentredMoments

    def __init__(self, kappa0, nu0, m0=None, scale0=None, share=1.0, reg_covar=0.0):
        super().__init__(reg_covar)
        self.kappa0, self.nu0, self.m0, self.scale0, self.share = kappa0, nu0, m0, scale0, share

    def param_shapes(self, n_components, n_features):
        shape = self.covariance_shape(1, n_features)
        return (
            *super().param_shapes(n_components, n_features),
            (n_components,),
            () if self.one_precision else (n_components,),
            (n_features,),
            shape if self.one_precision else shape[1:],
            (),
        )

    #: Whether all components share one precision.
    one_precision = False
    #: Whether columns vary together, so that the prior follows from products of all pairs of them.
    has_pairs = False
    #: The Gaussians of the structure.
    gaussian: type

    def plain(self, params):
        return self.gaussian(self.reg_covar), GaussianParams(*params[:3])

    @staticmethod
    def least_degrees(n_features):
        """What degrees of freedom of a prior should be above."""
        return 0

    def n_rows_needed(self, n_features):
        return 0  # a prior is there whatever the rows are

    def transformed(self, params, origin, scale, shift):
        """As in `Elliptical`; the prior is transformed as well."""
        moved = super().transformed(params, origin, scale, shift)
        covariance, _ = self._scaled(params.covariance_prior, np.ones(np.shape(params.covariance_prior)), scale)
        return moved._replace(
            mean_prior=shift + scale * (params.mean_prior - origin),
            covariance_prior=covariance,
        )

    def predictive(self, params):
        """(family, parameters) of the posterior predictive densities of the components and, as the last, of a component
        without rows.

        Murphy, "Machine learning: a probabilistic perspective" (2012), 4.6.3.5; Bishop (2006), 10.81. For tied
        covariances the precision is that of the posterior, which a new component shares.
        """
        alone = params.covariance_prior
        more = {
            "means": params.mean_prior,
            "mean_precision": np.asarray(self.kappa0, dtype=np.float64),
        }
        if not self.one_precision:
            nu0 = float(params.means.shape[1] if self.nu0 is None else self.nu0)
            more |= {
                "covariances": alone / nu0,
                "precisions_cholesky": self.factor_covariances(alone[np.newaxis] / nu0)[0],
                "degrees_of_freedom": np.asarray(nu0),
            }
        joined = {name: np.concatenate([getattr(params, name), own[np.newaxis]]) for name, own in more.items()}
        return self._predictive(params._replace(**joined))

    def in_units(self, units, n_features):
        """A copy of the family with its prior expressed in the units that rows are fitted in."""
        layout = self.params_layout(1, n_features)
        record = layout.view(np.ones(layout.size))
        given = {"mean_prior": self.m0, "covariance_prior": self.scale0}
        record = units.enter(record._replace(**{name: own for name, own in given.items() if own is not None}))
        m0 = None if self.m0 is None else record.mean_prior
        scale0 = None if self.scale0 is None else record.covariance_prior
        return type(self)(self.kappa0, self.nu0, m0, scale0, self.share, self.reg_covar)

    def bind(self, n_components, n_features, dtype, isa=None):
        shapes = self.param_shapes(n_components, n_features)
        for name, given, field in (("m0", self.m0, "mean_prior"), ("scale0", self.scale0, "covariance_prior")):
            shape = shapes[self.Params._fields.index(field)]
            if given is not None and not (np.shape(given) == shape and np.all(np.isfinite(given))):
                raise ValueError(
                    f"{name} of the prior should be finite numbers of shape {shape}, got {in_short(given)}"
                )
        flat = None if self.scale0 is None else np.ascontiguousarray(self.scale0, dtype=np.float64).reshape(-1)
        return self._bind(
            n_components,
            n_features,
            np.dtype(dtype).itemsize,
            isa,
            self.reg_covar,
            self.kappa0,
            n_features if self.nu0 is None else self.nu0,
            None if self.m0 is None else np.ascontiguousarray(self.m0, dtype=np.float64),
            flat,
            self.share,
        )


class _MatrixPosterior(GaussianPosterior):
    """Structures whose precisions are matrices."""

    has_pairs = True

    @staticmethod
    def least_degrees(n_features):
        return n_features - 1

    def _predictive(self, params):
        """A multivariate t with nu - d + 1 degrees of freedom."""
        n_features = params.means.shape[1]
        degrees = np.broadcast_to(params.degrees_of_freedom, len(params.means)) - self.least_degrees(n_features)
        shrunk = degrees / params.degrees_of_freedom * params.mean_precision / (1 + params.mean_precision)
        factors = np.broadcast_to(params.precisions_cholesky, (len(params.means), n_features, n_features))
        factors = factors * np.sqrt(shrunk)[:, np.newaxis, np.newaxis]
        scales = params.covariances / shrunk[:, np.newaxis, np.newaxis]  # of one matrix or of each component's
        return FullStudentT(), FullStudentT.Params(params.means, scales, factors, degrees)


class FullPosterior(_MatrixPosterior, FullGaussian):
    """A precision matrix for each component."""

    domains: dict = domains_of_posterior(FullGaussian.domains)
    gaussian = FullGaussian
    _bind = staticmethod(_gaussian_posterior.bind_full_posterior)


class TiedPosterior(_MatrixPosterior, TiedGaussian):
    """One precision matrix for all components."""

    domains: dict = domains_of_posterior(TiedGaussian.domains)
    gaussian = TiedGaussian
    one_precision = True
    _bind = staticmethod(_gaussian_posterior.bind_tied_posterior)


class DiagonalPosterior(GaussianPosterior, DiagonalGaussian):
    """A precision for each column of each component."""

    domains: dict = domains_of_posterior(DiagonalGaussian.domains)
    gaussian = DiagonalGaussian
    _bind = staticmethod(_gaussian_posterior.bind_diagonal_posterior)

    def _predictive(self, params):
        """A product of t distributions with nu degrees of freedom, one for each column."""
        n_features = params.means.shape[1]
        columns = DiagonalStudentT()
        factors = params.precisions_cholesky * _narrower(params)[:, np.newaxis]
        family = Product([columns] * n_features, [1] * n_features)
        records = [
            columns.Params(params.means[:, [j]], factors[:, [j]] ** -2.0, factors[:, [j]], params.degrees_of_freedom)
            for j in range(n_features)
        ]
        return family, family.join(records)


class SphericalPosterior(GaussianPosterior, SphericalGaussian):
    """One precision for all columns of a component."""

    domains: dict = domains_of_posterior(SphericalGaussian.domains)
    gaussian = SphericalGaussian
    _bind = staticmethod(_gaussian_posterior.bind_spherical_posterior)

    def _predictive(self, params):
        """A multivariate t with d nu degrees of freedom."""
        family = SphericalStudentT()
        factors = params.precisions_cholesky * _narrower(params)
        degrees = params.means.shape[1] * params.degrees_of_freedom
        return family, family.Params(params.means, factors**-2.0, factors, degrees)


def _narrower(params):
    """Factor (n_components,) by which predictive precisions' square roots are smaller than those of Psi / nu, since the
    mean is uncertain."""
    return np.sqrt(params.mean_precision / (1 + params.mean_precision))


#: The structures by the names that scikit-learn's `covariance_type` gives them.
POSTERIORS = {
    "full": FullPosterior,
    "tied": TiedPosterior,
    "diag": DiagonalPosterior,
    "spherical": SphericalPosterior,
}
