"""Gamma and exponential mixtures: waiting times, lifetimes, amounts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from mixfast._docstrings import described
from mixfast._typing import Accelerate, InitParams, InitPolicy, Seed
from mixfast.estimators._domain import first_outside
from mixfast.estimators._given import model_of, of_known_names
from mixfast.estimators._likelihood import LikelihoodMixture
from mixfast.estimators._missing import MixtureWithMissingEntries
from mixfast.estimators._using import IndependentColumns
from mixfast.families.gamma import Exponential, ExponentialParams, Gamma, GammaParams


class _PositiveMixture(MixtureWithMissingEntries, LikelihoodMixture):
    """What both have in common: the parameters of the constructor."""

    def __init__(
        self,
        n_components: int = 1,
        *,
        tol: float = 1e-3,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: InitParams = "kmeans",
        random_state: Seed = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
        accelerate: Accelerate = None,
        n_init_policy: InitPolicy = "all",
        canonical_order: bool = False,
        weights: ArrayLike | None = None,
        weight_concentration: float | None = None,
        hold: dict[str, ArrayLike] | None = None,
    ) -> None:
        self.n_components = n_components
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_threads = n_threads
        self.accelerate = accelerate
        self.n_init_policy = n_init_policy
        self.canonical_order = canonical_order
        self.weights = weights
        self.weight_concentration = weight_concentration
        self.hold = hold

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags


@described
class GammaMixture(IndependentColumns, _PositiveMixture):
    """Mixture of Gamma distributions, fitted by EM, for positive numbers; columns are independent within a component.

    The density of a row is sum_k weights_k prod_j x_j^(a_kj - 1) exp(-x_j / s_kj) / (Gamma(a_kj) s_kj^a_kj), with
    shapes a and scales s. The M-step is maximum likelihood's: Newton's method as in Minka, "Estimating a Gamma
    distribution", 2002. Entries that are NaN are missing: the product is over the others, and so are the means that
    parameters are estimated from. That is maximum likelihood where entries are missing at random.

    Parameters
    ----------
    <n_components>
    <tol, max_iter, n_init, init_params>

        k-means runs on the logarithms of X.

    <random_state, warm_start, verbose, verbose_interval, n_threads, accelerate, n_init_policy, canonical_order>
        The parameter is `shapes_`.
    <weights, weight_concentration, hold>

    Attributes
    ----------
    <weights_>
    shapes_ : ndarray of shape (n_components, n_features)
        At most 1e6, which a column that is constant within a component reaches; `status_` then has
        `Status.CAPPED_PARAMETER`. The standard deviation is the mean divided by the root of the shape.
    scales_ : ndarray of shape (n_components, n_features)
        Means divided by shapes; those that the precision of the rows cannot hold, below 2.2e-308, and below 1.2e-38 or
        above 3.4e38 for float32 rows, are an error. `sample` gives the largest float64 for draws beyond it.
    <converged_, n_iter_, lower_bound_, lower_bounds_, status_, n_features_in_, feature_names_in_>

    Raises
    ------
    ValueError
        By `fit` and the predictions, for zeros and negative numbers.
        <errors of every fit>

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import GammaMixture
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.gamma(2, 1, 500), rng.gamma(30, 2, 500)])[:, np.newaxis]
    >>> model = GammaMixture(n_components=2, random_state=0).fit(X)
    >>> (model.shapes_ * model.scales_).round(-1).ravel().tolist()
    [60.0, 0.0]
    """

    @classmethod
    @of_known_names
    def from_parameters(
        cls,
        *,
        weights: ArrayLike,
        shapes: ArrayLike,
        scales: ArrayLike,
        feature_names: Sequence[str] | None = None,
        **options: Any,
    ) -> Self:
        """Make a fitted model of given parameters, as another program or a publication has them.

        Parameters
        ----------
        <given weights>
        shapes : array-like of shape (n_components, n_features)
            Above 0.
        scales : array-like of shape (n_components, n_features)
            Above 0.
        <feature_names, options>

        Returns
        -------
        model : object
            <given model>

        Raises
        ------
        ValueError
            <errors of given parameters>
        TypeError
            <errors of options>
        """
        parameters = {"shapes": shapes, "scales": scales}
        return model_of(cls, options, weights, parameters, feature_names)

    def _centres(self):
        return np.asarray(self.shapes_, dtype=np.float64) * self.scales_

    def _family(self):
        return Gamma()

    def _publish(self, params, dtype):
        self.shapes_ = params.shapes.astype(dtype)
        self.scales_ = params.scales.astype(dtype)

    def _collect(self):
        return GammaParams(self.shapes_, self.scales_)

    def _prepare_rows(self, X):
        outside = first_outside(X, lambda values: values <= 0)
        if outside is not None:
            raise _outside(self, outside, "a Gamma distribution has positive numbers only")
        return X


@described
class ExponentialMixture(IndependentColumns, _PositiveMixture):
    """Mixture of exponential distributions, fitted by EM, for numbers that are not negative.

    Columns are independent within a component.

    The density of a row is sum_k weights_k prod_j rate_kj exp(-rate_kj x_j). Entries that are NaN are missing: the
    product is over the others, and so are the means that rates are estimated from. That is maximum likelihood where
    entries are missing at random.

    Parameters
    ----------
    <n_components>
    <tol, max_iter, n_init, init_params>

        k-means runs on the cube roots of X.

    <random_state, warm_start, verbose, verbose_interval, n_threads, accelerate, n_init_policy, canonical_order>
        The parameter is `rates_`.
    <weights, weight_concentration, hold>

    Attributes
    ----------
    <weights_>
    rates_ : ndarray of shape (n_components, n_features)
        One over the means. At most 1e300, and 1e30 for float32 rows, which a column of zeros within a component
        reaches; `status_` then has `Status.CAPPED_PARAMETER`. `sample` gives the largest float64 for draws beyond it,
        which rates below 1e-305 make.
    <converged_, n_iter_, lower_bound_, lower_bounds_, status_, n_features_in_, feature_names_in_>

    Raises
    ------
    ValueError
        By `fit` and the predictions, for negative numbers.
        <errors of every fit>

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import ExponentialMixture
    >>> rng = np.random.default_rng(0)
    >>> X = rng.exponential(rng.choice([1, 100], size=(2000, 1)))
    >>> model = ExponentialMixture(n_components=2, canonical_order=True, random_state=0).fit(X)
    >>> (1 / model.rates_).round(-1).ravel().tolist()
    [100.0, 0.0]
    """

    @classmethod
    @of_known_names
    def from_parameters(
        cls, *, weights: ArrayLike, rates: ArrayLike, feature_names: Sequence[str] | None = None, **options: Any
    ) -> Self:
        """Make a fitted model of given parameters, as another program or a publication has them.

        Parameters
        ----------
        <given weights>
        rates : array-like of shape (n_components, n_features)
            Above 0.
        <feature_names, options>

        Returns
        -------
        model : object
            <given model>

        Raises
        ------
        ValueError
            <errors of given parameters>
        TypeError
            <errors of options>
        """
        parameters = {"rates": rates}
        return model_of(cls, options, weights, parameters, feature_names)

    def _centres(self):
        return 1 / np.asarray(self.rates_, dtype=np.float64)

    def _family(self):
        return Exponential()

    def _publish(self, params, dtype):
        self.rates_ = params.rates.astype(dtype)

    def _collect(self):
        return ExponentialParams(self.rates_)

    def _prepare_rows(self, X):
        outside = first_outside(X, lambda values: values < 0)
        if outside is not None:
            raise _outside(self, outside, "an exponential distribution has none")
        return X


def _outside(estimator, outside, why):
    row, column, value = outside
    kind = "Negative values" if value < 0 else "Zeros"  # the words that scikit-learn's checks want
    return ValueError(
        f"{kind} in data passed to {type(estimator).__name__}: column {column} of X is {value} in row {row}, and {why}."
    )
