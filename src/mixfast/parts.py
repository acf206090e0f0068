"""The families as parts of a `ProductMixture`, with their hyper-parameters: `from mixfast.parts import Gaussian`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from numpy.typing import ArrayLike

from mixfast._names import PARTS
from mixfast._typing import CovarianceType
from mixfast.estimators._parameters import NamedParameters
from mixfast.estimators.bernoulli_mixture import BernoulliMixture
from mixfast.estimators.categorical_mixture import CategoricalMixture
from mixfast.estimators.gamma_mixture import ExponentialMixture, GammaMixture
from mixfast.estimators.gaussian_mixture import GaussianMixture
from mixfast.estimators.poisson_mixture import PoissonMixture
from mixfast.estimators.student_t_mixture import StudentTMixture
from mixfast.persistence import Storable

__all__ = [*PARTS, "Part"]


class Part(Storable, NamedParameters):
    """A family of components, for some columns of a table. A subclass names the mixture of that family, from which it
    has its hyper-parameters and what they mean."""

    _mixture: type

    def mixture(self, n_components: int) -> Any:
        """A mixture of these columns alone."""
        return self._mixture(n_components, **self.get_params())

    def _validate_params(self):
        """Raise ValueError for parameters that the mixture does not allow."""
        self.mixture(1)._validate_params()


class Bernoulli(Part):
    """Columns of zeros and ones, or booleans; `alpha` as in `BernoulliMixture`, and `binarize`, which is None here."""

    _mixture = BernoulliMixture

    def __init__(self, alpha: float = 1.0, binarize: float | None = None) -> None:
        self.alpha = alpha
        self.binarize = binarize


class Categorical(Part):
    """Columns of strings or numbers that name categories; parameters as in `CategoricalMixture`."""

    _mixture = CategoricalMixture

    def __init__(
        self,
        alpha: float = 1.0,
        categories: Literal["auto"] | Sequence[ArrayLike] = "auto",
        unseen: Literal["error", "missing"] = "error",
    ) -> None:
        self.alpha = alpha
        self.categories = categories
        self.unseen = unseen


class Exponential(Part):
    """Columns of waiting times, not negative, as in `ExponentialMixture`."""

    _mixture = ExponentialMixture


class Gamma(Part):
    """Columns of positive numbers, as in `GammaMixture`."""

    _mixture = GammaMixture


class Gaussian(Part):
    """Columns of real numbers, which depend on each other as `covariance_type` says; parameters as in
    `GaussianMixture`."""

    _mixture = GaussianMixture

    def __init__(self, covariance_type: CovarianceType = "full", reg_covar: float = 1e-6) -> None:
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar


class Poisson(Part):
    """Columns of counts; parameters as in `PoissonMixture`."""

    _mixture = PoissonMixture

    def __init__(self, alpha: float = 0.0, beta: float = 0.0) -> None:
        self.alpha = alpha
        self.beta = beta


class StudentT(Part):
    """Columns of real numbers with outliers, which depend on each other as `covariance_type` says; parameters as in
    `StudentTMixture`."""

    _mixture = StudentTMixture

    def __init__(
        self,
        covariance_type: CovarianceType = "full",
        degrees_of_freedom: float | Literal["component", "shared"] = "component",
        reg_covar: float = 1e-6,
    ) -> None:
        self.covariance_type = covariance_type
        self.degrees_of_freedom = degrees_of_freedom
        self.reg_covar = reg_covar
