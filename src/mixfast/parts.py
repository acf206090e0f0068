"""The families as parts of a `ProductMixture`, with their hyper-parameters: `from mixfast.parts import Gaussian`."""

from __future__ import annotations

from sklearn.base import BaseEstimator

from mixfast.estimators.bernoulli_mixture import BernoulliMixture
from mixfast.estimators.categorical_mixture import CategoricalMixture
from mixfast.estimators.gaussian_mixture import GaussianMixture


class Part(BaseEstimator):
    """A family of components, for some columns of a table. A subclass names the mixture of that family, from which it
    has its hyper-parameters and what they mean."""

    _mixture: type

    def mixture(self, n_components):
        """A mixture of these columns alone."""
        return self._mixture(n_components, **self.get_params())


class Bernoulli(Part):
    """Columns of zeros and ones, or booleans; `alpha` as in `BernoulliMixture`, and `binarize`, which is None here."""

    _mixture = BernoulliMixture

    def __init__(self, alpha=1.0, binarize=None):
        self.alpha = alpha
        self.binarize = binarize


class Categorical(Part):
    """Columns of strings or numbers that name categories; parameters as in `CategoricalMixture`."""

    _mixture = CategoricalMixture

    def __init__(self, alpha=1.0, categories="auto"):
        self.alpha = alpha
        self.categories = categories


class Gaussian(Part):
    """Columns of real numbers, which depend on each other as `covariance_type` says; parameters as in
    `GaussianMixture`."""

    _mixture = GaussianMixture

    def __init__(self, covariance_type="full", reg_covar=1e-6):
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar


#: The parts by name.
PARTS = {cls.__name__: cls for cls in (Bernoulli, Categorical, Gaussian)}
