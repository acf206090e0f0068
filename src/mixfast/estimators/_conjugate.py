"""Components with conjugate priors, by name: how their rows are read, the priors they have by default, their posterior.

Defaults do not depend on units: shifts and scales of the columns change nothing but the bound, by the volume.
"""

from __future__ import annotations

import copy
from functools import cache
from numbers import Real

import numpy as np
import scipy.sparse

from mixfast._em import EM
from mixfast.engine._rows import Rows
from mixfast.estimators.bernoulli_mixture import BernoulliMixture
from mixfast.estimators.categorical_mixture import CategoricalMixture
from mixfast.estimators.gamma_mixture import ExponentialMixture
from mixfast.estimators.gaussian_mixture import GaussianMixture
from mixfast.estimators.multinomial_mixture import MultinomialMixture
from mixfast.estimators.poisson_mixture import PoissonMixture
from mixfast.estimators.product_mixture import ProductMixture, is_part
from mixfast.families.linear_posteriors import (
    BernoulliPosterior,
    CategoricalPosterior,
    ExponentialPosterior,
    MultinomialPosterior,
    PoissonPosterior,
)
from mixfast.families.posteriors import POSTERIORS
from mixfast.families.product import Product
from mixfast.parts import Bernoulli, Categorical, Exponential, Gaussian, Part, Poisson
from mixfast.proportions._sticks import Sticks

#: Clusters are expected to be as wide as so many of them together fill the space of the rows.
EXPECTED_CLUSTERS = 10
#: So many rows the prior's mean counts for.
MEAN_COUNT = 0.01


def _reading_as(mixture, name):
    """A mixture that reads rows for the estimator of that name, which messages say."""
    return type(name, (mixture,), {"__module__": mixture.__module__, "_fits_missing": False})


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

    #: Whether components are independent given their rows, so that partitions can be drawn.
    has_draws = True

    def __init__(self, mixture, **options):
        self.mixture, self.options = mixture, options

    def reader(self, name):
        return _reader_of(self.mixture, name)(1, **self.options)

    #: What of the rows its priors by default follow from: "means" of columns, these and "variances", or the
    #: "covariance", or nothing.
    follows_from: str | None = None

    def prior(self, given, moments, reader):
        """All hyper-parameters by name; those that are not given follow from the `Moments` of the rows."""
        unknown = sorted(given.keys() - set(self.prior_names))
        if unknown:
            raise ValueError(f"prior has {unknown[0]!r}: these components have {', '.join(self.prior_names)}")
        defaults = {} if given.keys() == set(self.prior_names) else self._defaults(moments)
        return defaults | {name: self._number(name, own) for name, own in given.items()}

    def check_names(self, prior, reader):
        """Raises ValueError where a fitted prior has not the hyper-parameters that it should have."""
        if not isinstance(prior, dict) or sorted(prior) != sorted(self.prior_names):
            raise ValueError(f"prior_ should have {', '.join(self.prior_names)}, got {prior!r}")

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

    def _defaults(self, moments):
        return dict.fromkeys(self.prior_names, 1.0)

    def posterior(self, prior, reader):
        """The family, whose prior does not depend on rows any more."""
        raise NotImplementedError


def column_means(X, sample_weight):
    """float64, of dense or sparse rows, whose order in memory changes no bit."""
    weight = np.ones(X.shape[0]) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    if scipy.sparse.issparse(X):
        return np.asarray(X.T.astype(np.float64) @ weight).reshape(-1) / weight.sum()
    return np.sum(np.multiply(X, weight[:, np.newaxis], order="C", dtype=np.float64), axis=0) / weight.sum()


def common_of(X, sample_weight, n_threads, structure="full"):
    """(origin, sums) of rows, which priors of Gaussians of that structure follow from: of each column, then products of
    all pairs, where columns vary together, or of each column with itself, then the weight."""
    family = POSTERIORS[structure](1.0, None)
    em = EM(family.encode(X).bind(1, X.dtype), Rows(X, sample_weight), n_threads, None, Sticks(1.0))
    return em.common()


class Moments:
    """What priors follow from, of prepared rows that are here; each is computed when it is asked for.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
    sample_weight : ndarray of shape (n_samples,) or None
    n_threads : int
    """

    def __init__(self, X, sample_weight, n_threads):
        self._X, self._sample_weight, self._n_threads = X, sample_weight, n_threads

    def of_columns(self, columns):
        """Those of a slice of the columns."""
        return Moments(np.ascontiguousarray(self._X[:, columns]), self._sample_weight, self._n_threads)

    @property
    def dtype(self):
        return self._X.dtype

    def means(self):
        return column_means(self._X, self._sample_weight)

    def common(self, structure):
        return common_of(self._X, self._sample_weight, self._n_threads, structure)


class MomentsElsewhere:
    """The same of rows that are elsewhere, whose `Scatter` is known."""

    dtype = np.dtype(np.float64)

    def __init__(self, scatter):
        self._scatter = scatter

    def of_columns(self, columns):
        return MomentsElsewhere(self._scatter.of_columns(columns))

    def means(self):
        return self._scatter.means

    def common(self, structure):
        return self._scatter.moments(POSTERIORS[structure].has_pairs)


class GaussianComponent(Component):
    """Gaussians under conjugate priors; what these have by default follows from the moments of the rows, as the engine
    finds them for every posterior."""

    follows_from = "covariance"

    def __init__(self, structure):
        super().__init__(GaussianMixture, covariance_type=structure)
        self.structure, self.has_draws = structure, not POSTERIORS[structure].one_precision

    def _degrees_of_freedom(self, n_features):
        """By default."""
        return n_features + 2.0

    def _of_rows(self, moments):
        """(m0, Psi0): the mean of the rows, and their covariance as narrow as a cluster's is expected to be.

        Where there are no more rows than columns, these are dependent whatever their distribution is: half of what they
        have in common is left then, for no cluster is as flat as that.
        """
        origin, sums = moments.common(self.structure)
        n_features = len(origin)
        share = EXPECTED_CLUSTERS ** (-2 / n_features)
        family = POSTERIORS[self.structure](MEAN_COUNT, self._degrees_of_freedom(n_features), share=share)
        encoded = family.encode(np.empty((0, n_features), moments.dtype))
        em = EM(encoded.bind(1, moments.dtype), Rows(encoded.rows), 1, None, Sticks(1.0))
        em.set_state(np.ones(1), family.blank(1, n_features))
        em.give_common(origin, sums)
        em.maximise(np.zeros(1), np.zeros(family.stats_layout(1, n_features).size), 1.0)  # a posterior of no rows
        fitted = family.params_layout(1, n_features).view(em.state()[1])
        scale0 = fitted.covariance_prior
        if sums[-1] <= n_features and scale0.ndim == 2:
            scale0 = 0.5 * (scale0 + np.diag(np.diagonal(scale0)))
        return fitted.mean_prior, scale0


class MatrixGaussian(GaussianComponent):
    """Full and tied covariances, under a normal-inverse-Wishart prior."""

    prior_names = ("m0", "kappa0", "nu0", "Psi0")

    def _defaults(self, moments):
        m0, Psi0 = self._of_rows(moments)
        return {"m0": m0, "kappa0": MEAN_COUNT, "nu0": self._degrees_of_freedom(len(m0)), "Psi0": Psi0}

    def posterior(self, prior, reader):
        n_features = reader.n_features_in_
        m0, Psi0 = prior["m0"], prior["Psi0"]
        check_shape("m0", m0, (n_features,))
        check_shape("Psi0", Psi0, (n_features, n_features))
        check_above("kappa0", prior["kappa0"], 0)
        family_class = POSTERIORS[self.structure]
        least = family_class.least_degrees(n_features)
        check_above("nu0", prior["nu0"], least, f", the degrees of freedom of X with n_features = {n_features}")
        family = family_class(float(prior["kappa0"]), float(prior["nu0"]), m0, Psi0)
        try:
            family.factor_covariances(Psi0)
        except ValueError:
            raise ValueError(f"prior['Psi0'] should be a symmetric, positive definite matrix, got {Psi0}") from None
        return family


class VarianceGaussian(GaussianComponent):
    """Diagonal and spherical covariances: precisions ~ Gamma(shape, rate), one for each column or one for all."""

    prior_names = ("m0", "kappa0", "shape", "rate")
    follows_from = "variances"

    def _n_alike(self, n_features):
        """Columns that a precision is of."""
        return 1 if self.structure == "diag" else n_features

    def _degrees_of_freedom(self, n_features):
        return 1 + 2 / self._n_alike(n_features)

    def _defaults(self, moments):
        m0, scale0 = self._of_rows(moments)
        half = 0.5 * self._n_alike(len(m0))
        shape = half * self._degrees_of_freedom(len(m0))
        return {"m0": m0, "kappa0": MEAN_COUNT, "shape": shape, "rate": half * scale0}

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
    follows_from = "means"

    def _defaults(self, moments):
        mean = moments.means()
        return {"shape": 1.0, "rate": 1 / np.where(mean > 0, mean, 1.0)}

    def posterior(self, prior, reader):
        return PoissonPosterior(**prior)


class ExponentialComponent(Component):
    """The prior counts for a row whose value is the mean of the column."""

    prior_names = ("shape", "rate")
    follows_from = "means"

    def _defaults(self, moments):
        mean = moments.means()
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


#: The components that parts of products are, by their type, with the parameters that say how their rows are read.
PARTS = {
    Bernoulli: ("binarize", lambda part: "bernoulli"),
    Categorical: ("categories unseen", lambda part: "categorical"),
    Exponential: ("", lambda part: "exponential"),
    Gaussian: ("covariance_type", lambda part: part.covariance_type),
    Poisson: ("", lambda part: "poisson"),
}


def component_of(component):
    """The `Component` of a name, of a part of a product, or of the parts of one; ValueError where a part has none."""
    if isinstance(component, str):
        return COMPONENTS[component]
    if not isinstance(component, Part):
        return ProductComponent(component)
    if type(component) not in PARTS:
        raise ValueError(
            f"component has {component!r}, which has no conjugate prior: parts may be "
            f"{', '.join(kind.__name__ for kind in PARTS)}"
        )
    reading, kind = PARTS[type(component)]
    own, params, usual = copy.copy(COMPONENTS[kind(component)]), component.get_params(), type(component)().get_params()
    for name, value in params.items():
        if name not in reading.split() and value != usual[name]:
            raise ValueError(
                f"component has {component!r}, whose {name} is a matter of the prior here: leave it out, and give "
                f"prior={{'columns of the part': {{...}}}} with {', '.join(own.prior_names)}"
            )
    own.options = params
    return own


class ProductComponent(Component):
    """Groups of columns with components of their own kinds; priors are dicts by the names of the parts.

    Parameters
    ----------
    parts : list of tuple
        As those of `ProductMixture`.
    """

    def __init__(self, parts):
        super().__init__(ProductMixture)
        self.parts = [*parts]
        components = [component_of(part[-1]) for part in self.parts if is_part(part)]
        self.has_draws = all(component.has_draws for component in components)
        asked = {component.follows_from for component in components}
        self.follows_from = next((name for name in ("covariance", "variances", "means") if name in asked), None)

    def reader(self, name):
        return _reader_of(self.mixture, name)(self.parts)

    def components(self, reader):
        """name -> (`Component`, what reads its columns)"""
        groups = reader._groups(reader._column_names())
        return {group.name: (component_of(group.part), reader.components_[group.name]) for group in groups}

    def prior(self, given, moments, reader):
        components = self.components(reader)
        unknown = [name for name in given if name not in components]
        if unknown:
            raise ValueError(
                f"prior has {unknown[0]!r}: the parts are {', '.join(map(repr, components))}, each with a dict of its "
                "own"
            )
        prior, start = {}, 0
        for name, (component, own) in components.items():
            columns = moments.of_columns(slice(start, start + own.n_features_in_))
            start += own.n_features_in_
            its = given.get(name) or {}
            if not isinstance(its, dict):
                raise ValueError(f"prior[{name!r}]={its!r} should be a dict with {', '.join(component.prior_names)}")
            prior[name] = self._of_part(name, component.prior, its, columns, own)
        return prior

    def posterior(self, prior, reader):
        components = self.components(reader)
        families = [
            self._of_part(name, component.posterior, prior[name], own) for name, (component, own) in components.items()
        ]
        return Product(families, [own.n_features_in_ for _, own in components.values()])

    def check_names(self, prior, reader):
        components = self.components(reader)
        if not isinstance(prior, dict) or list(prior) != list(components):
            raise ValueError(f"prior_ should have the parts {list(components)}, got {prior!r}")
        for name, (component, own) in components.items():
            self._of_part(name, component.check_names, prior[name], own)

    @staticmethod
    def _of_part(name, do, *args):
        try:
            return do(*args)
        except ValueError as error:
            raise ValueError(f"Part {name!r}: {error}") from None


def is_finite(prior):
    """Whether all numbers of a prior are, however it is nested."""
    if isinstance(prior, dict | list):
        return all(map(is_finite, prior.values() if isinstance(prior, dict) else prior))
    return bool(np.all(np.isfinite(prior)))
