"""Categorical mixtures: latent class analysis."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils._param_validation import Interval

from mixfast._docstrings import described
from mixfast._typing import Accelerate, InitParams, InitPolicy, Seed
from mixfast.estimators._categories import (
    Columns,
    categories_of,
    check_categories,
    codes_of,
    decode,
    known_categories,
)
from mixfast.estimators._constraints import Names
from mixfast.estimators._given import check_weights, finish_given, numbers, of_known_names, precision_of
from mixfast.estimators._likelihood import LikelihoodMixture
from mixfast.estimators._published import CHECKED
from mixfast.estimators._rows import check_names
from mixfast.estimators._using import filler_of_independent_columns
from mixfast.families.categorical import Categorical, CategoricalParams
from mixfast.families.domains import DISTRIBUTION, check_domain
from mixfast.row_data import separated


@described
class CategoricalMixture(LikelihoodMixture):
    """Mixture of categorical distributions, fitted by EM; also known as latent class analysis.

    The probability of a row is sum_k weights_k prod_j p_kj(x_j), over the columns j whose answer is known: within a
    component columns are independent, and missing answers (NaN, None, null) are taken to be missing at random.

    Parameters
    ----------
    n_components : int, default=1
        Number of components, the latent classes.
    alpha : float, default=1.0
        Pseudo-count that is added to each category of each column of each component, 1 as in `BernoulliMixture` and
        scikit-learn's `CategoricalNB`; 0 is maximum likelihood. This is the mode under a Dirichlet(1 + alpha) prior,
        and what the iterations increase (the lower bound) includes that prior: mean log probability
        + alpha / n sum_kjc log p_kj(c). With alpha=0 a category that a component never saw has probability zero; a
        row that is impossible under all components has log density -inf, is shared equally among them, and
        predictions warn.
    categories : 'auto' or list of array-like, default='auto'
        The categories of each column. 'auto' takes those that the column's type names (a pandas categorical, a polars
        Enum), whether they occur or not; of other columns the values that occur in `fit` in rows of positive weight,
        sorted.
    <tol, max_iter, n_init, init_params>

        k-means sees a column of zeros and ones for each category. With alpha below 1 a start from labels, k-means' or
        given, or from single rows gives half of each row to all components, so that no probability begins at 0; given
        responsibilities are taken as they are.

    <random_state, warm_start, verbose, verbose_interval, n_threads, accelerate, n_init_policy, canonical_order>
        The parameter is `probabilities_`.
    <weights, weight_concentration, hold>
    unseen : {'error', 'missing'}, default='error'
        What values are that are none of the categories, in predictions and, where `categories` are given, in `fit`: an
        error, or missing, as if the answer were not there. Cross-validation meets them wherever a category is rare.

    Attributes
    ----------
    <weights_>
    probabilities_ : list of ndarray of shape (n_components, n_categories_j)
        One for each column: of each category in each component.
    categories_ : list of ndarray of shape (n_categories_j,)
        One for each column: numbers, or an object array of strings.
    <converged_, n_iter_, lower_bound_, lower_bounds_, status_, n_features_in_, feature_names_in_>

    Raises
    ------
    ValueError
        By the predictions for a value that is none of the categories, with its column; by `fit` for columns that are
        neither strings nor numbers, or without any answer.
        <errors of every fit>

    Notes
    -----
    X may be an array of numbers or objects, or a pandas, polars or pyarrow table, read through narwhals. `fit_many`
    takes numbers, and with 'auto' the values that occur in all its problems together.

    Examples
    --------
    >>> from mixfast import CategoricalMixture
    >>> X = [["red", "car"], ["red", "car"], ["blue", "bus"], ["blue", None]]
    >>> model = CategoricalMixture(n_components=2, alpha=0.1, random_state=0).fit(X)
    >>> [own.tolist() for own in model.categories_]
    [['blue', 'red'], ['bus', 'car']]
    >>> labels = model.predict(X)
    >>> bool(labels[0] == labels[1] != labels[2] == labels[3])
    True
    """

    _parameter_constraints: dict = {
        **LikelihoodMixture._parameter_constraints,
        "alpha": [Interval(Real, 0.0, None, closed="left")],
        "categories": [Names(["auto"]), list, tuple, np.ndarray],
        "unseen": [Names(["error", "missing"])],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        alpha: float = 1.0,
        categories: Literal["auto"] | Sequence[ArrayLike] = "auto",
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
        unseen: Literal["error", "missing"] = "error",
    ) -> None:
        self.n_components = n_components
        self.alpha = alpha
        self.categories = categories
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
        self.unseen = unseen

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = tags.input_tags.allow_nan = tags.input_tags.string = True
        return tags

    @classmethod
    @of_known_names
    def from_parameters(
        cls,
        *,
        weights: ArrayLike,
        probabilities: Sequence[ArrayLike],
        categories: Sequence[ArrayLike],
        feature_names: Sequence[str] | None = None,
        **options: Any,
    ) -> Self:
        """Make a fitted model of given parameters, as another program or a publication has them.

        Parameters
        ----------
        <given weights>
        probabilities : list of array-like of shape (n_components, n_categories)
            One for each column; rows sum to 1 within 0.001.
        categories : list of array-like of shape (n_categories,)
            Strings or numbers, in the order of `probabilities`. The constructor's parameter of that name, those of a
            later fit, is set by `set_params`.
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
        weights = check_weights(weights)
        model = cls(len(weights), **options)
        model._validate_params()
        for name, own in (("probabilities", probabilities), ("categories", categories)):
            if not isinstance(own, (list, tuple, np.ndarray)) or not len(own):
                raise ValueError(f"{name} should be a list with an array for each column, got {own!r}")
        model.categories_ = check_categories(categories, len(probabilities))
        arrays = []
        for j, (values, own) in enumerate(zip(probabilities, model.categories_, strict=True)):
            array = numbers(f"probabilities[{j}]", values, 2)
            if array.shape != (len(weights), len(own)):
                raise ValueError(
                    f"probabilities[{j}] should have the shape of {(len(weights), len(own))}, got {array.shape}: there "
                    f"are {len(weights)} weights of components and {len(own)} categories[{j}]"
                )
            check_domain(f"probabilities[{j}]", array, DISTRIBUTION)
            arrays.append(array)
        params = CategoricalParams(np.concatenate(arrays, axis=1).astype(np.float64))
        dtype = precision_of([weights, *arrays])
        given = ["probabilities", "categories"]
        return finish_given(model, weights, params, dtype, len(arrays), feature_names, given)

    def _margin(self, columns):
        return type(self).from_parameters(
            weights=self.weights_,
            probabilities=[self.probabilities_[j] for j in columns],
            categories=[self.categories_[j] for j in columns],
            feature_names=self._names_of_columns(columns),
            **self._options_of_columns(columns),
        )

    def _known_categories(self):
        """Those of the fit, else those given."""
        if hasattr(self, "categories_"):
            return self.categories_
        return check_categories(self.categories, len(self.categories))

    def _family(self):
        return Categorical([len(own) for own in self._known_categories()], alpha=self.alpha)

    def _publish(self, params, dtype):
        self.categories_ = self._known_categories()
        rounded = self._family().rounded(params, dtype).probabilities
        ends = np.cumsum([len(own) for own in self.categories_])
        self.probabilities_ = [np.ascontiguousarray(own) for own in np.split(rounded, ends[:-1], axis=1)]

    def _collect(self):
        return CategoricalParams(np.concatenate(self.probabilities_, axis=1))

    def _n_fitted_features(self):
        return len(self.probabilities_)

    def _check_state(self):
        for own, probabilities in zip(self.categories_, self.probabilities_, strict=True):
            if np.ndim(own) != 1 or np.shape(probabilities) != (len(self.weights_), len(own)):
                raise ValueError(f"categories_ holds {own!r} for probabilities of shape {np.shape(probabilities)}")
        super()._check_state()
        if getattr(self, "n_features_in_", len(self.categories_)) != len(self.categories_):
            raise ValueError(f"there are {len(self.categories_)} categories_ for {self.n_features_in_} columns")

    def _check_assigned(self):
        # arrays may have been put in the list, which are not read-only then, and may change again
        if not all(isinstance(array, np.ndarray) and not array.flags.writeable for array in self.probabilities_):
            vars(self).pop(CHECKED, None)
        super()._check_assigned()

    def _check_domains_of_components(self):
        for j, array in enumerate(self.probabilities_):
            check_domain(f"probabilities_[{j}]", np.asarray(array), DISTRIBUTION)

    def _check_structure(self):
        super()._check_structure()
        if isinstance(self.categories, str):
            return
        for j, (given, fitted) in enumerate(
            zip(check_categories(self.categories, len(self.categories_)), self.categories_, strict=True)
        ):
            if given.tolist() != fitted.tolist():
                raise ValueError(f"categories[{j}] is {given.tolist()}, and was {fitted.tolist()} in that fit")

    def _for_parts_of(self, X):
        if isinstance(self.categories, str):
            of_all = self._names_of_all.categories
            if of_all is None:
                of_all = [categories_of(own) for own in Columns(separated(X)[0]).all_answers()]
            return clone(self).set_params(categories=of_all)
        return self

    def _params_of_codes(self):
        return {"categories": [np.arange(len(own)) for own in self.categories_], "unseen": "error"}

    def _names_of_codes(self):
        return self._known_categories()

    def _columns_of_names(self):
        names = vars(self).get("feature_names_in_")
        return None if names is None else names.tolist()

    def _may_meet_unseen(self):
        return self.unseen == "missing"

    def _prepare_rows(self, X):
        return self._coded(Columns(X).all_answers(), X.dtype)

    def _validate_rows(self, X, reset=True, ensure_min_samples=1):
        answers = Columns(X, ensure_min_samples).all_answers()
        check_names(self, X, reset)
        if reset:
            self._names_of_all.check_columns(self._columns_of_names())
            self._learn_categories(answers, self._names_of_all.categories, ensure_min_samples > 0)
        is_float32 = all(own.dtype == np.float32 for own in answers)
        return self._coded(answers, np.float32 if is_float32 else np.float64)

    def _learn_categories(self, answers, of_all=None, needs_some=True):
        """Those given, or those that all rows have, or those of these rows; of some rows a column may have none."""
        if not isinstance(self.categories, str):
            self.categories_ = check_categories(self.categories, len(answers))
        elif of_all is not None:
            self.categories_ = known_categories(answers, of_all, needs_some)
        else:
            self.categories_ = [categories_of(own, needs_some) for own in answers]

    def _coded(self, answers, dtype):
        codes = np.empty((len(answers[0]), len(answers)), dtype=dtype, order="F")
        for j, (own, categories) in enumerate(zip(answers, self._known_categories(), strict=True)):
            codes[:, j] = codes_of(own, categories, self.unseen)
        return codes

    def _as_given(self, rows):
        return decode(rows, self.categories_)

    def _filler(self, rows):
        return filler_of_independent_columns(self, rows)
