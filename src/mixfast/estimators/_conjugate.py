"""Components with conjugate priors, by name: how their rows are read, the priors they have by default, their posterior.

Defaults do not depend on units: shifts and scales of the columns change nothing but the bound, by the volume.
"""

from __future__ import annotations

from functools import cache
from numbers import Real

import numpy as np

from mixfast.estimators.bernoulli_mixture import BernoulliMixture
from mixfast.estimators.categorical_mixture import CategoricalMixture
from mixfast.estimators.gamma_mixture import ExponentialMixture
from mixfast.estimators.gaussian_mixture import GaussianMixture
from mixfast.estimators.multinomial_mixture import MultinomialMixture
from mixfast.estimators.poisson_mixture import PoissonMixture
from mixfast.families.linear_posteriors import (
    BernoulliPosterior,
    CategoricalPosterior,
    ExponentialPosterior,
    MultinomialPosterior,
    PoissonPosterior,
)
from mixfast.families.posteriors import POSTERIORS

#: Clusters are expected to be as wide as so many of them together fill the space of the rows.
EXPECTED_CLUSTERS = 10
#: So many rows the prior's mean counts for.
MEAN_COUNT = 0.01


def _reading_as(mixture, name):
    """A mixture that reads rows for the estimator of that name, which messages say."""
    return type(name, (mixture,), {"__module__": mixture.__module__})


_reader_of = cache(_reading_as)  # a class each time would never be freed


class Component:
    """A kind of component.

    Parameters
    ----------
    mixture : type
        The mixture by maximum likelihood that reads such rows.
    **options
        Its parameters.
    """

    prior_names: tuple

    def __init__(self, mixture, **options):
        self.mixture, self.options = mixture, options

    def reader(self, name):
        return _reader_of(self.mixture, name)(1, **self.options)

    def prior(self, given, X, sample_weight):
        """All hyper-parameters by name, those that are not given by default, from prepared rows."""
        unknown = sorted(given.keys() - set(self.prior_names))
        if unknown:
            raise ValueError(f"prior has {unknown[0]!r}: these components have {', '.join(self.prior_names)}")
        return self._defaults(X, sample_weight) | {name: self._number(name, own) for name, own in given.items()}

    @staticmethod
    def _number(name, values):
        """A hyper-parameter as numbers that are finite."""
        try:
            array = np.array(values, dtype=np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"prior[{name!r}]={values!r} should be a number or an array of them") from None
        if not np.all(np.isfinite(array)):
            raise ValueError(f"prior[{name!r}]={values!r} should be finite")
        return array[()]

    def _defaults(self, X, sample_weight):
        return dict.fromkeys(self.prior_names, 1.0)

    def posterior(self, prior, reader):
        """The family, whose prior does not depend on rows any more."""
        raise NotImplementedError


def column_means(X, sample_weight):
    """float64, of dense or sparse rows."""
    total = float(X.shape[0]) if sample_weight is None else float(sample_weight.sum())
    weight = np.ones(X.shape[0]) if sample_weight is None else sample_weight
    return np.asarray(X.T.astype(np.float64) @ weight).reshape(-1) / total


def moments(X, sample_weight):
    """Weighted means and covariance of the columns, with the number of rows less one; a column that does not vary
    counts for one of variance 1."""
    first = X[0].astype(np.float64)
    centred = X.astype(np.float64) - first
    shift = column_means(centred, sample_weight)
    centred -= shift
    weighted = centred if sample_weight is None else centred * sample_weight[:, np.newaxis]
    total = float(len(X)) if sample_weight is None else float(sample_weight.sum())
    covariance = weighted.T @ centred / (total - 1 if total > 1 else total)
    constant = X.max(axis=0) == X.min(axis=0)
    covariance[constant] = 0
    covariance[:, constant] = 0
    covariance[constant, constant] = 1
    return first + shift, covariance, total


def positive_definite(covariance, n_rows):
    """A covariance that has an inverse: drawn to its diagonal by half where there are no more rows than columns, and
    else by as little as is needed."""
    scale = np.sqrt(np.diagonal(covariance))
    correlation = covariance / np.outer(scale, scale)
    share = 0.5 if n_rows <= len(scale) else 0.0
    while True:
        shrunk = (1 - share) * correlation
        np.fill_diagonal(shrunk, 1.0)
        if np.linalg.eigvalsh(shrunk)[0] > 1e-9:
            return shrunk * np.outer(scale, scale)
        share = max(10 * share, 1e-8) if share < 0.1 else 1.0


class MatrixGaussian(Component):
    """Full and tied covariances, under a normal-inverse-Wishart prior."""

    prior_names = ("m0", "kappa0", "nu0", "Psi0")

    def __init__(self, structure):
        super().__init__(GaussianMixture, covariance_type=structure)
        self.structure = structure

    def _defaults(self, X, sample_weight):
        mean, covariance, total = moments(X, sample_weight)
        n_features = len(mean)
        share = EXPECTED_CLUSTERS ** (-2 / n_features)
        return {
            "m0": mean,
            "kappa0": MEAN_COUNT,
            "nu0": n_features + 2.0,
            "Psi0": share * positive_definite(covariance, total),
        }

    def posterior(self, prior, reader):
        n_features = reader.n_features_in_
        m0, Psi0 = prior["m0"], prior["Psi0"]
        check_shape("m0", m0, (n_features,))
        check_shape("Psi0", Psi0, (n_features, n_features))
        check_above("kappa0", prior["kappa0"], 0)
        check_above(
            "nu0", prior["nu0"], n_features - 1, f", the degrees of freedom of X with n_features = {n_features}"
        )
        if not np.allclose(Psi0, Psi0.T, rtol=1e-8, atol=0) or not np.linalg.eigvalsh(Psi0)[0] > 0:
            raise ValueError(f"prior['Psi0'] should be a symmetric, positive definite matrix, got {Psi0}")
        return POSTERIORS[self.structure](float(prior["kappa0"]), float(prior["nu0"]), m0, Psi0)


class VarianceGaussian(Component):
    """Diagonal and spherical covariances: precisions ~ Gamma(shape, rate), one for each column or one for all."""

    prior_names = ("m0", "kappa0", "shape", "rate")

    def __init__(self, structure):
        super().__init__(GaussianMixture, covariance_type=structure)
        self.structure = structure

    def _defaults(self, X, sample_weight):
        mean, covariance, _ = moments(X, sample_weight)
        n_features = len(mean)
        variances = EXPECTED_CLUSTERS ** (-2 / n_features) * np.diagonal(covariance)
        shape = {"m0": mean, "kappa0": MEAN_COUNT}
        if self.structure == "diag":
            return shape | {"shape": 1.5, "rate": 0.5 * variances}
        return shape | {"shape": 0.5 * n_features + 1, "rate": 0.5 * n_features * variances.mean()}

    def posterior(self, prior, reader):
        n_features = reader.n_features_in_
        is_diagonal = self.structure == "diag"
        check_shape("m0", prior["m0"], (n_features,))
        for name in ("kappa0", "shape"):
            check_above(name, prior[name], 0)
        if np.any(np.asarray(prior["rate"]) <= 0):
            raise ValueError(f"prior['rate']={prior['rate']!r} should be above 0")
        if is_diagonal:
            rate = np.asarray(prior["rate"])
            if rate.shape not in ((), (n_features,)):
                check_shape("rate", rate, (n_features,))
            nu0, scale = 2 * prior["shape"], 2 * np.broadcast_to(rate, n_features)
        else:
            check_above("rate", prior["rate"], 0)
            nu0, scale = 2 * prior["shape"] / n_features, np.array(2 * prior["rate"] / n_features)
        return POSTERIORS[self.structure](float(prior["kappa0"]), float(nu0), prior["m0"], scale)


class BernoulliComponent(Component):
    prior_names = ("a", "b")

    def posterior(self, prior, reader):
        return BernoulliPosterior(**prior)


class MultinomialComponent(Component):
    prior_names = ("alpha",)

    def posterior(self, prior, reader):
        return MultinomialPosterior(**prior)


class CategoricalComponent(Component):
    prior_names = ("alpha",)

    @staticmethod
    def _number(name, values):
        if isinstance(values, (list, tuple)):  # one for each column
            return [Component._number(name, own) for own in values]
        return float(Component._number(name, values))

    def posterior(self, prior, reader):
        alpha = prior["alpha"]
        return CategoricalPosterior(
            [len(own) for own in reader.categories_],
            float(alpha) if isinstance(alpha, Real) else [np.asarray(own) for own in alpha],
        )


class PoissonComponent(Component):
    """Rates are expected to be the means of the columns."""

    prior_names = ("shape", "rate")

    def _defaults(self, X, sample_weight):
        mean = column_means(X, sample_weight)
        return {"shape": 1.0, "rate": 1 / np.where(mean > 0, mean, 1.0)}

    def posterior(self, prior, reader):
        return PoissonPosterior(**prior)


class ExponentialComponent(Component):
    """The prior counts for a row whose value is the mean of the column."""

    prior_names = ("shape", "rate")

    def _defaults(self, X, sample_weight):
        mean = column_means(X, sample_weight)
        return {"shape": 1.0, "rate": np.where(mean > 0, mean, 1.0)}

    def posterior(self, prior, reader):
        return ExponentialPosterior(**prior)


def check_shape(name, array, shape):
    if np.shape(array) != shape:
        raise ValueError(f"prior[{name!r}] should have the shape of {shape}, got {np.shape(array)}")


def check_above(name, value, least, why=""):
    if np.ndim(value) or not value > least:
        raise ValueError(f"prior[{name!r}]={np.asarray(value).tolist()} should be a number above {least}{why}")


COMPONENTS = {
    "full": MatrixGaussian("full"),
    "tied": MatrixGaussian("tied"),
    "diag": VarianceGaussian("diag"),
    "spherical": VarianceGaussian("spherical"),
    "bernoulli": BernoulliComponent(BernoulliMixture, binarize=None),
    "categorical": CategoricalComponent(CategoricalMixture),
    "multinomial": MultinomialComponent(MultinomialMixture),
    "poisson": PoissonComponent(PoissonMixture),
    "exponential": ExponentialComponent(ExponentialMixture),
}
