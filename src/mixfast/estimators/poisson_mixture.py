"""Poisson mixtures: soft clusters of counts."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval

from mixfast._docstrings import described
from mixfast._typing import Accelerate, InitParams, InitPolicy, Integers, Seed
from mixfast.estimators._domain import check_counts
from mixfast.estimators._given import model_of, of_known_names
from mixfast.estimators._likelihood import LikelihoodMixture
from mixfast.estimators._missing import MixtureWithMissingEntries
from mixfast.estimators._using import IndependentColumns
from mixfast.families.poisson import Poisson, PoissonParams
from mixfast.row_data import check_no_exposure, check_positive, warn_of_taken


@described
class PoissonMixture(IndependentColumns, MixtureWithMissingEntries, LikelihoodMixture):
    """Mixture of Poisson distributions, fitted by EM: soft clusters of counts.

    The probability of a row of counts x with exposure e is sum_k weights_k prod_j Poisson(x_j; e rates_kj). The
    exposure is what counts are proportional to, the time or the area of the observation; 1 where none is given.
    Entries that are NaN are missing: the product is over the others, and so are the sums that rates are estimated from.
    That is maximum likelihood where entries are missing at random. In sparse X they are stored.

    Every method that looks at rows, `fit_many`, `select`, `bootstrap_lrt` and the predictions of a `BatchResult` take
    it as an argument, `exposure`: float or array-like of shape (n_samples,), finite and above zero. It may also follow
    X, y and sample_weight, as many of them as the method has, by position. In a pipeline, with scikit-learn's
    `enable_metadata_routing`, `set_fit_request(exposure=True)` asks for it, and likewise for other methods.

    Parameters
    ----------
    <n_components>
    alpha, beta : float, default=0.0
        `alpha` events in an exposure of `beta` are added to each column of each component; 0 is maximum likelihood,
        which gives a column in which a component counts nothing the rate zero: a row that no component can have made
        has log density -inf, is shared equally, and warned of. This is the mode under a Gamma prior of shape 1 + alpha
        and rate beta, and what the iterations increase (the lower bound) includes that prior: mean log probability +
        1 / n sum_kj (alpha log rate_kj - beta rate_kj).
    <tol, max_iter, n_init, init_params>

        k-means and k-means++ look at counts divided by the exposure. With alpha below 1 a start from labels, k-means'
        or given, or from single rows gives half of each row to all components, so that no rate begins at 0; given
        responsibilities are taken as they are.

    <random_state, warm_start, verbose, verbose_interval, n_threads, accelerate, n_init_policy, canonical_order>
        The parameter is `rates_`.
    <weights, weight_concentration, hold>

    Attributes
    ----------
    <weights_>
    rates_ : ndarray of shape (n_components, n_features)
        Expected counts at an exposure of 1.
    is_exposed_ : bool
        Whether `fit` was given exposures: then the other methods warn where they are not.
    <converged_, n_iter_, lower_bound_, lower_bounds_, status_, n_features_in_, feature_names_in_>

    Raises
    ------
    ValueError
        By `fit` and the predictions, for values that are no counts: negative, fractions, or above 2**53; for exposures
        that are not finite and above zero, or not one for each row. By `fit`, for a y of numbers that are no labels,
        since exposures that are not passed by name would be taken for y: fractions, or, of 20 rows and more, whole
        numbers of which more than half differ.
        <errors of every fit>

    Notes
    -----
    X may be sparse (CSR); it is never made dense, and time grows with its nonzeros.

    Examples
    --------
    Deaths of women over 80 a day, in London: Hasselblad, "Estimation of finite mixtures of distributions from the
    exponential family", JASA 64 (1969), doi:10.1080/01621459.1969.10501071.

    >>> import numpy as np
    >>> from mixfast import PoissonMixture
    >>> deaths, days = np.arange(10)[:, np.newaxis], [162, 267, 271, 185, 111, 61, 27, 8, 3, 1]
    >>> model = PoissonMixture(2, tol=1e-13, max_iter=9999, canonical_order=True).fit(deaths, sample_weight=days)
    >>> print(model.weights_.round(3), model.rates_.ravel().round(3))
    [0.36 0.64] [1.256 2.663]
    """

    _parameter_constraints: dict = {
        **LikelihoodMixture._parameter_constraints,
        "alpha": [Interval(Real, 0.0, None, closed="left")],
        "beta": [Interval(Real, 0.0, None, closed="left")],
    }

    _accepts_sparse = "csr"

    _row_data: dict = {"exposure": check_positive, **LikelihoodMixture._row_data}

    _attribute_constraints: dict = {**LikelihoodMixture._attribute_constraints, "is_exposed_": ["boolean"]}

    def __init__(
        self,
        n_components: int = 1,
        *,
        alpha: float = 0.0,
        beta: float = 0.0,
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
        self.alpha = alpha
        self.beta = beta
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

    @classmethod
    @of_known_names
    def from_parameters(
        cls,
        *,
        weights: ArrayLike,
        rates: ArrayLike,
        is_exposed: bool = False,
        feature_names: Sequence[str] | None = None,
        **options: Any,
    ) -> Self:
        """Make a fitted model of given parameters, as another program or a publication has them.

        Parameters
        ----------
        <given weights>
        rates : array-like of shape (n_components, n_features)
            At least 0.
        is_exposed : bool, default=False
            Whether counts are those of exposures, which methods then warn of where they are not given.
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
        return model_of(cls, options, weights, parameters, feature_names, is_exposed=bool(is_exposed))

    def _centres(self):
        return np.asarray(self.rates_, dtype=np.float64)

    def _expected_others(self, X, columns, exposure=None):
        own = super()._expected_others(X, columns)
        return own if exposure is None else lambda k: exposure[:, np.newaxis] * own(k)

    def _options_of_columns(self, columns):
        return super()._options_of_columns(columns) | {"is_exposed": getattr(self, "is_exposed_", False)}

    def _family(self):
        return Poisson(alpha=self.alpha, beta=self.beta)

    def _publish(self, params, dtype):
        self.rates_ = self._family().rounded(params, dtype).rates

    def _collect(self):
        return PoissonParams(self.rates_)

    def _prepare_rows(self, X):
        check_counts(X, may_miss=True)
        return X

    def _check_finite(self, X):
        """Counts and exposures are finite."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags

    def _labels_in(self, y):
        check_no_exposure(y)
        return super()._labels_in(y)

    def _with_targets(self, y, row_data):
        check_no_exposure(y)
        return super()._with_targets(y, row_data)

    def _check_row_data(self, data, rows, reset):
        if not reset:
            warn_of_taken(self, data)
        return super()._check_row_data(data, rows, reset)

    def sample(
        self,
        n_samples: int = 1,
        random_state: Seed = None,
        exposure: float | ArrayLike = 1.0,
        as_frame: bool = False,
    ) -> tuple[Any, Integers]:
        """Draw rows from the fitted model.

        Parameters
        ----------
        <n_samples, drawing random_state>
        exposure : float or array-like of shape (n_samples,), default=1.0
            What the counts of each row are proportional to.
        <as_frame>

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64
            Grouped by component. Expected counts above 1e12 have normal draws, rounded; beyond 2**53 these are not all
            whole numbers but those that float64 has.
        y : ndarray of shape (n_samples,), int64
            The component of each row.

        Raises
        ------
        ValueError
            For rates times exposures that are no finite numbers of at least 0, with the component and the column.
        """
        rng = self._rng_of_sample(n_samples, random_state)
        X, labels = self._draw(n_samples, rng, exposure=check_positive("exposure", exposure, n_samples, np.float64))
        return self._framed(X, as_frame), labels
