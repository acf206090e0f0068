"""Posteriors of components whose log densities are linear in the rows, under conjugate priors.

Parameters of such a family are the hyper-parameters of each component's posterior; `_linear_posterior.pyx` and
`_categorical_posterior.pyx` have the formulas.
"""

from __future__ import annotations

from numbers import Real
from typing import NamedTuple

import numpy as np

from mixfast.families._categorical_posterior import bind_categorical_posterior
from mixfast.families._linear_posterior import (
    bind_bernoulli_posterior,
    bind_exponential_posterior,
    bind_multinomial_posterior,
    bind_poisson_posterior,
)
from mixfast.families.bernoulli import Bernoulli, BernoulliParams
from mixfast.families.categorical import Categorical, CategoricalParams
from mixfast.families.compound import Lomax, NegativeBinomial
from mixfast.families.dirichlet_multinomial import DirichletMultinomial, DirichletMultinomialParams
from mixfast.families.domains import POSITIVE
from mixfast.families.gamma import Exponential, ExponentialParams
from mixfast.families.multinomial import Multinomial, MultinomialParams
from mixfast.families.poisson import Poisson, PoissonParams
from mixfast.families.rounding import rounded_above_zero
from mixfast.row_data import separated


class BetaParams(NamedTuple):
    """a, b (K, d): of the Beta distribution of each probability of a one."""

    a: np.ndarray
    b: np.ndarray


class DirichletParams(NamedTuple):
    """concentrations (K, d): of the Dirichlet distribution of each component's probabilities. Categorical columns have
    one each: (K, sum of n_categories), side by side."""

    concentrations: np.ndarray


class RateParams(NamedTuple):
    """shapes (K, d), rates (K, d): of the Gamma distribution of each rate."""

    shapes: np.ndarray
    rates: np.ndarray


class ConjugatePosterior:
    """What these families share: positive hyper-parameters, each that of the prior plus a sum over rows."""

    Params: type

    def __init_subclass__(cls):
        super().__init_subclass__()
        if hasattr(cls, "Params"):
            cls.domains = dict.fromkeys(cls.Params._fields, (POSITIVE,))

    def param_shapes(self, n_components, n_features):
        return (super().param_shapes(n_components, n_features)[0],) * len(self.Params._fields)

    def expected(self, params):
        """The expected parameters of the components, as the plain family has them."""
        raise NotImplementedError

    def plain(self, params):
        return self._plain(), self.expected(params)

    def prior(self, n_columns):
        """The record of a component that has no rows."""
        raise NotImplementedError

    def predictive(self, params):
        """(family, parameters) of the posterior predictive densities of the components and, as the last, of a component
        without rows. By default the plain family at the expected parameters, which is exact for binary and categorical
        columns."""
        return self._predictive(self._with_prior(params))

    def _with_prior(self, params):
        width = np.shape(params[0])[1]
        pairs = zip(params, self.prior(width), strict=True)
        return self.Params(*(np.concatenate([own, np.reshape(new, (1, -1))]) for own, new in pairs))

    def _predictive(self, params):
        return self._plain(), self.expected(params)

    def _plain(self):
        """The family of given parameters."""
        raise NotImplementedError

    def blank(self, n_components, n_features):
        """Any parameters will do, since statistics do not depend on them."""
        return np.ones(self.params_layout(n_components, n_features).size)

    def canonical_order(self, params):
        return super().canonical_order(self.expected(params))

    def rounded(self, params, dtype):
        return self.Params(*(rounded_above_zero(array, dtype) for array in params))

    def sample(self, params, labels, rng, *of_rows):
        """Rows from the plain family at the expected parameters."""
        return super().sample(self.expected(params), labels, rng, *of_rows)


def prior_arrays(n_columns, **given):
    """Hyper-parameters as an array (len(given), n_columns); ValueError unless each is a number above 0, or one for each
    column."""
    arrays = np.empty((len(given), n_columns))
    for array, (name, values) in zip(arrays, given.items(), strict=True):
        numbers = np.asarray(values, dtype=np.float64)
        if numbers.shape not in ((), (n_columns,)) or not np.all((numbers > 0) & np.isfinite(numbers)):
            raise ValueError(
                f"{name} of the prior should be a finite number above 0, or one for each of the {n_columns} columns, "
                f"got {values!r}"
            )
        array[:] = numbers
    return arrays


class BernoulliPosterior(ConjugatePosterior, Bernoulli):
    """The probability of a one, in each column of each component, ~ Beta(a, b).

    Parameters
    ----------
    a, b : float or ndarray of shape (n_features,), default 1
        The prior's mean is a / (a + b), and counts for a + b rows.
    """

    Params: type = BetaParams

    def __init__(self, a=1.0, b=1.0):
        super().__init__()
        self.a, self.b = a, b

    def bind(self, n_components, n_features, dtype, isa=None, is_sparse=False):
        n_added = len(self.missing) + 1 if len(self.missing) else 0
        prior = prior_arrays(n_features - n_added, a=self.a, b=self.b)
        real_bytes = np.dtype(dtype).itemsize
        return bind_bernoulli_posterior(n_components, n_features, real_bytes, isa, is_sparse, prior, self.missing)

    def expected(self, params):
        return BernoulliParams(params.a / (params.a + params.b))

    def prior(self, n_columns):
        return BetaParams(*prior_arrays(n_columns, a=self.a, b=self.b))

    def _plain(self):
        return Bernoulli()


class CategoricalPosterior(ConjugatePosterior, Categorical):
    """The probabilities of each column of each component ~ Dirichlet(alpha_j).

    Parameters
    ----------
    n_categories : int or sequence of int
        For all columns, or for each.
    alpha : float or sequence of ndarray of shape (n_categories_j,), default 1
        Concentrations, one array for each column: the prior's mean is alpha_j divided by its sum, and counts for so
        many answers as that sum.
    """

    Params: type = DirichletParams

    def __init__(self, n_categories, alpha=1.0):
        super().__init__(n_categories, alpha)
        self.domains = type(self).domains  # not those of probabilities

    def located(self, centres):
        return np.ones(np.size(centres))  # statistics are measured from nothing; seeds have a column for each category

    def _concentrations(self, n_features):
        """Of the prior, of all columns one after the other."""
        numbers = self._numbers(n_features)
        columns = [self.alpha] * n_features if isinstance(self.alpha, Real) else self.alpha
        if len(columns) != n_features:
            raise ValueError(
                f"alpha of the prior should be a number above 0, or an array for each of the {n_features} columns, got "
                f"{len(columns)} arrays"
            )
        prior = [prior_arrays(number, alpha=own)[0] for number, own in zip(numbers, columns, strict=True)]
        return np.concatenate(prior)

    def bind(self, n_components, n_features, dtype, isa=None):
        numbers, prior = self._numbers(n_features), self._concentrations(n_features)
        return bind_categorical_posterior(n_components, numbers, np.dtype(dtype).itemsize, isa, prior)

    def prior(self, n_columns):
        return DirichletParams(self._concentrations(len(self.n_categories)))

    def _plain(self):
        return Categorical(self.n_categories)

    def expected(self, params):
        columns = np.split(params.concentrations, np.cumsum(self.n_categories)[:-1], axis=-1)
        return CategoricalParams(np.concatenate([own / own.sum(axis=-1, keepdims=True) for own in columns], axis=-1))


class MultinomialPosterior(ConjugatePosterior, Multinomial):
    """The probabilities of each component ~ Dirichlet(alpha).

    Parameters
    ----------
    alpha : float or ndarray of shape (n_features,), default 1
        Concentrations: the prior's mean is alpha divided by its sum, and counts for so many words as that sum.
    """

    Params: type = DirichletParams

    def __init__(self, alpha=1.0):
        super().__init__(alpha)

    def bind(self, n_components, n_features, dtype, isa=None, is_sparse=False):
        prior = prior_arrays(n_features, alpha=self.alpha)
        return bind_multinomial_posterior(n_components, n_features, np.dtype(dtype).itemsize, isa, is_sparse, prior)

    def prior(self, n_columns):
        return DirichletParams(*prior_arrays(n_columns, alpha=self.alpha))

    def _plain(self):
        return Multinomial()

    def _predictive(self, params):
        return DirichletMultinomial(), DirichletMultinomialParams(params.concentrations)

    def expected(self, params):
        concentrations = params.concentrations
        return MultinomialParams(concentrations / np.sum(concentrations, axis=-1, keepdims=True))


class PoissonPosterior(ConjugatePosterior, Poisson):
    """The rate of each column of each component ~ Gamma(shape, rate); all rows have the exposure 1.

    Parameters
    ----------
    shape, rate : float or ndarray of shape (n_features,), default 1
        The prior's mean is shape / rate, and it counts for `rate` rows.
    """

    Params: type = RateParams

    def __init__(self, shape=1.0, rate=1.0):
        super().__init__()
        self.shape, self.rate = shape, rate

    def encode(self, X):
        _, data = separated(X)
        if "exposure" in data:
            raise ValueError("rows with an exposure have no posterior here: leave it out, or fit PoissonMixture")
        return super().encode(X)

    def with_design(self, design):
        if super().with_design(design).is_exposed:
            raise ValueError("rows with an exposure have no posterior here, and the design has exposures")
        return self

    def bind(self, n_components, n_features, dtype, isa=None, is_sparse=False):
        prior = prior_arrays(n_features, shape=self.shape, rate=self.rate)
        return bind_poisson_posterior(n_components, n_features, np.dtype(dtype).itemsize, isa, is_sparse, prior)

    def expected(self, params):
        return PoissonParams(params.shapes / params.rates)

    def prior(self, n_columns):
        return RateParams(*prior_arrays(n_columns, shape=self.shape, rate=self.rate))

    def _plain(self):
        return Poisson()

    def _predictive(self, params):
        return NegativeBinomial(RateParams), params


class ExponentialPosterior(ConjugatePosterior, Exponential):
    """The rate of each column of each component ~ Gamma(shape, rate).

    Parameters
    ----------
    shape, rate : float or ndarray of shape (n_features,), default 1
        The prior counts for `shape` rows, whose values sum to `rate`.
    """

    Params: type = RateParams

    def __init__(self, shape=1.0, rate=1.0):
        super().__init__()
        self.shape, self.rate = shape, rate

    def _of(self, X):
        return self

    def bind(self, n_components, n_features, dtype, isa=None):
        prior = prior_arrays(n_features, shape=self.shape, rate=self.rate)
        return bind_exponential_posterior(n_components, n_features, np.dtype(dtype).itemsize, isa, prior)

    def expected(self, params):
        return ExponentialParams(params.shapes / params.rates)

    def prior(self, n_columns):
        return RateParams(*prior_arrays(n_columns, shape=self.shape, rate=self.rate))

    def _plain(self):
        return Exponential()

    def _predictive(self, params):
        return Lomax(RateParams), params


#: By the name of the component.
LINEAR_POSTERIORS = {
    "bernoulli": BernoulliPosterior,
    "categorical": CategoricalPosterior,
    "multinomial": MultinomialPosterior,
    "poisson": PoissonPosterior,
    "exponential": ExponentialPosterior,
}
