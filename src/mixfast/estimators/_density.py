"""What all estimators share that tell how likely rows are, whichever way they are fitted."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from importlib.metadata import PackageNotFoundError, metadata
from inspect import signature
from numbers import Integral
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.base import DensityMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import validate_parameter_constraints
from sklearn.utils.validation import check_is_fitted

from mixfast._typing import PathLike, RowsLike
from mixfast.as_html import beside
from mixfast.estimators._constraints import WholeNumber
from mixfast.estimators._parameters import CheckedParameters
from mixfast.estimators._published import PublishedArrays
from mixfast.estimators._rows import check_is_here
from mixfast.estimators._scores_elsewhere import scores_of
from mixfast.in_messages import in_short
from mixfast.partitions import Source, is_source
from mixfast.persistence import Contents, Storable, check_name, write
from mixfast.reading import Readings, Summary, frame_of, html_of
from mixfast.row_data import OF_COMPONENTS, rows_with, separated
from mixfast.weights import counted_rows, weighted_sum

#: The mixtures that have a place for missing values.
TAKES_MISSING = (
    "GaussianMixture, StudentTMixture, GammaMixture, ExponentialMixture, PoissonMixture, BernoulliMixture, "
    "CategoricalMixture or a ProductMixture of such parts"
)

#: A method, whose type its decorators keep.
Method = TypeVar("Method", bound=Callable[..., Any])


def fitting(fit: Method) -> Method:
    """Decorates methods that fit: parameters are checked first, and a fit that ends in an exception, whichever it is,
    leaves the estimator as it was, with the last model or none. Fitted attributes are replaced, never changed, so what
    they were is all there is to keep."""

    @wraps(fit)
    def all_or_nothing(estimator, *args, **kwargs):
        if not get_config()["skip_parameter_validation"]:
            estimator._validate_params()
        before = vars(estimator).copy()
        try:
            return fit(estimator, *args, **kwargs)
        except BaseException:
            estimator.__dict__ = before
            raise

    return cast(Method, all_or_nothing)


def of_rows(method: Method) -> Method:
    """Decorates a method that looks at rows and takes `**row_data`, which are checked by their names here.

    By position they follow the method's own arguments up to `sample_weight`. Other libraries keep rows from the fit, so
    a call without them is told of that. The signature stays scikit-learn's.
    """
    own = [name for name, own in signature(method).parameters.items() if own.kind is not own.VAR_KEYWORD][1:]
    first = own[: own.index("sample_weight") + 1] if "sample_weight" in own else own

    @wraps(method)
    def with_rows(estimator, *args, **kwargs):
        if not args and "X" not in kwargs:
            name = method.__name__
            raise TypeError(f"{name}() needs the rows, as {name}(X): a {type(estimator).__name__} does not keep them")
        if not kwargs and len(args) <= len(first):
            return method(estimator, *args)
        declared = estimator._row_data
        by_place = [name for name in declared if name not in OF_COMPONENTS]
        places = [*first, *by_place, *own[len(first) :]]
        known = [*places, *(name for name in OF_COMPONENTS if name in declared)]
        wrong = [name for name in kwargs if name not in known]
        if wrong:
            raise TypeError(
                f"{type(estimator).__name__}.{method.__name__}() got an unexpected keyword argument {wrong[0]!r}: it "
                f"takes {', '.join(known)}"
            )
        if by_place and len(first) < len(args) <= len(places):
            placed = dict(zip(places[len(first) :], args[len(first) :], strict=False))
            args = args[: len(first)]
            twice = [name for name in placed if name in kwargs]
            if twice:
                raise TypeError(f"{method.__name__}() got multiple values for argument {twice[0]!r}")
            kwargs = kwargs | placed
        return method(estimator, *args, **kwargs)

    return cast(Method, with_rows)


@cache
def site_of_package():
    """The address of the documentation that the installed package names, without a slash at its end; else empty."""
    try:
        urls = metadata("mixfast").get_all("Project-URL") or []
    except PackageNotFoundError:
        return ""
    named = dict(own.split(", ", 1) for own in urls)
    return named.get("Documentation", "").rstrip("/")


def is_fitted(estimator):
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True


class DensityEstimator(PublishedArrays, Storable, DensityMixin, CheckedParameters):
    """Base of the estimators: their seed, scores from `score_samples`, files."""

    #: What messages advise for missing values in the place of an estimator that has none for them; None for nothing.
    _takes_missing_instead: str | None = TAKES_MISSING

    #: Whether rows without columns say nothing, so that a table of such is an error. Of an array it is one in any case,
    #: as scikit-learn asks of every estimator.
    _needs_columns: bool = True

    #: What methods take of each row beside its values: name -> (name, values, n_samples, dtype of the rows) -> checked
    #: values, one for each row, or a ValueError. See `row_data.py`.
    _row_data: dict[str, Callable] = {}

    #: Which of these no rows can do without.
    _needed_row_data: tuple[str, ...] = ()

    #: Row data that have columns, of which there may be one.
    _row_data_of_columns: tuple[str, ...] = ()

    #: What fitted attributes are, as `_parameter_constraints` says it of parameters.
    _attribute_constraints: dict = {
        "n_features_in_": [WholeNumber(1)],
        "feature_names_in_": [np.ndarray],
        "n_iter_": [WholeNumber(0)],
    }

    def __init_subclass__(cls, **kwargs):
        if "_row_data" in vars(cls):  # what scikit-learn routes to the methods
            for method in ("fit", "predict", "predict_proba", "score"):
                routed = [name for name in cls._row_data if name != "y"]  # scikit-learn passes that anyway
                setattr(cls, f"__metadata_request__{method}", dict.fromkeys(routed))
        super().__init_subclass__(**kwargs)

    def _labels_of_any_type(self):
        """Names of row data that are labels, strings too, of which it matters only which are equal."""
        return tuple(name for name in self._row_data if name == "groups")

    def _gathered_data(self, data):
        """Row data as users give it, converted to arrays or tables that can be indexed by row."""
        return data

    def _rows_and_data(self, X, **row_data):
        """Rows and their row data as a fitted model reads them, both of one table where it was fitted by a formula."""
        return X, self._gathered_data(row_data)

    def _dtype_of_results(self, dtype):
        """Of predictions for rows of this dtype."""
        return np.result_type(dtype, np.asarray(self.weights_).dtype)

    def _form_of(self, method, dtype):
        """(dtype, number of columns or None where there is one value for each row) of what `predict`, `predict_proba`
        or `score_samples` of the fitted model gives for rows of `dtype`."""
        if method == "predict":
            return np.dtype(np.int64), None
        return self._dtype_of_results(np.dtype(dtype)), len(self.weights_) if method == "predict_proba" else None

    def _seed(self):
        """64 bits that all random numbers of a fit come from."""
        if isinstance(self.random_state, Integral):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(0, 2**63, dtype=np.int64))

    @of_rows
    def score(
        self,
        X: RowsLike | Source,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        **row_data: ArrayLike | None,
    ) -> float:
        """The mean log density of the rows, in nats.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or source of partitions
            The rows, with the columns that `fit` had. What `blocks` makes brings its weights with it.
        y : Ignored
            Not used; scikit-learn's tools pass it.
        sample_weight : array-like of shape (n_samples,), default=None
            Rows of weight 0 are not looked at.
        **row_data
            As in `fit`.

        Returns
        -------
        log_likelihood : float
            Of a row, in nats; the higher the better.
        """
        if is_source(X):
            found = scores_of(self, X, "score", sample_weight, row_data)
            return found.log_likelihood / found.weight
        total, weight = self._log_likelihood(rows_with(X, row_data), sample_weight)
        return total / weight

    def _log_likelihood(self, X, sample_weight):
        """(sum of weight * log density, sum of weights)"""
        X, sample_weight, _ = counted_rows(X, sample_weight)
        rows, data = separated(X)
        return weighted_sum(self.score_samples(rows, **data), sample_weight)

    def _rng_of_sample(self, n_samples, random_state):
        check_is_fitted(self)
        if not isinstance(n_samples, Integral):
            raise TypeError(f"n_samples must be an integer, got {in_short(n_samples)}")
        if n_samples < 1:
            raise ValueError(f"Invalid value for 'n_samples': {n_samples} . The sampling requires at least one sample.")
        return check_random_state(self.random_state if random_state is None else random_state)

    def _draw_components(self, n_samples, rng):
        """The component of each row, in order."""
        self._check_assigned()
        weights = np.asarray(self.weights_, dtype=np.float64)
        counts = rng.multinomial(n_samples, weights / weights.sum())
        return np.repeat(np.arange(len(weights), dtype=np.int64), counts)

    def _names_of_rows(self):
        """Names of the columns of `sample`, or their numbers."""
        names = getattr(self, "feature_names_in_", None)
        return range(self._n_columns()) if names is None else names

    def _framed(self, X, as_frame):
        """Drawn rows, in a frame where that is asked for: columns have the types of what they hold."""
        if not as_frame:
            return X
        import pandas as pd

        return pd.DataFrame(X, columns=list(self._names_of_rows())).infer_objects()

    #: What `_components` wants to be told of rows where these play no role.
    _any_rows: dict = {}

    def _labels_of_columns(self):
        """Names of the columns in the order of the family's."""
        names = getattr(self, "feature_names_in_", None)
        return [f"column {j}" for j in range(self._n_columns())] if names is None else list(names)

    def _n_columns(self):
        return self.n_features_in_

    def _labels_of_categories(self):
        """Those of each column, in the order of the family's, or None."""
        return getattr(self, "categories_", None)

    def to_frame(self) -> Any:
        """The components as a pandas DataFrame, a row for each component and column.

        Returns
        -------
        frame : pandas.DataFrame
            Columns are `component`, its `weight` as in `weights_` (their sum is 1, less the weight of uniform noise, or
            of the components that a Dirichlet process has for new rows), `column`, the name; for categorical columns
            `category`, one row for each; then what the component is like in the column, by family: `mean` and `sd`,
            `location`, `scale` and `degrees_of_freedom`, `probability`, `rate`, `shape`, ... Of posteriors these are
            expected parameters.

        Raises
        ------
        NotFittedError
            Before `fit`.
        """
        check_is_fitted(self)
        return frame_of(self)

    @of_rows
    def summary(self, X: RowsLike, sample_weight: ArrayLike | None = None, **row_data: ArrayLike | None) -> Summary:
        """What R's `summary` says of a mixture: rows, log-likelihood, criteria, sizes, and how the fit ended.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows, with the columns that `fit` had.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts.
        **row_data
            What the rows have beside their values, as in `fit`.

        Returns
        -------
        summary : Summary
            Printed, it is a text; its attributes are the numbers.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For rows that the model refuses.
        """
        check_is_fitted(self)
        check_is_here(X)
        return Summary.of(self, X, sample_weight, row_data)

    def _labels_of_rows(self, X, **row_data):
        """(n_samples,), the most likely component of each row, all that the rows have counted."""
        return self.predict(X, **row_data)

    def _left_out(self, X, **row_data):
        """Which rows the model leaves out, (n_samples,) bool, or None where it leaves out none of any."""
        return None

    def _is_present(self):
        """(n_components,), which components there is something to show of."""
        return np.asarray(self.weights_) > 0

    def _names_of_weights(self):
        """What each of the weights is of."""
        return [str(k) for k in range(len(self.weights_))]

    def _readings(self, rows, weights, row_data):
        """What a summary wants to know of rows that count."""
        log_density = np.asarray(self.score_samples(rows, **row_data), dtype=np.float64)
        labels = np.asarray(self._labels_of_rows(rows, **row_data))
        return Readings(log_density, labels, weighted_sum(log_density, weights)[0])

    def _html_repr(self):
        """scikit-learn's diagram, and what was fitted beside it."""
        diagram = super()._html_repr()
        return diagram if not is_fitted(self) else beside(diagram, self._html_of_components())

    def _html_of_components(self):
        return html_of(self)

    def _get_doc_link(self):
        """Of the class on mixfast's own site, where the installed package names one."""
        site, home = site_of_package(), type(self).__module__.partition(".")[0]
        return f"{site}/reference/mixfast.{type(self).__name__}.html" if site and home == "mixfast" else ""

    def _shares_of_rows(self, X, **row_data):
        """(n_samples, n_components), float64: how likely each component is, all that the rows have counted."""
        return np.array(self.predict_proba(X, **row_data), dtype=np.float64)

    def _check_state(self):
        """Raise ValueError where parameters and fitted attributes, from a file perhaps, are none that `fit` leaves."""
        self._validate_params()
        validate_parameter_constraints(self._attribute_constraints, vars(self), caller_name=type(self).__name__)
        names = getattr(self, "feature_names_in_", None)
        if names is not None and names.shape != (getattr(self, "n_features_in_", len(names)),):
            raise ValueError(f"feature_names_in_ has shape {names.shape} for {self.n_features_in_} columns")

    def save(self, path: PathLike) -> None:
        """Write the fitted model to a file that `mixfast.load` reads, without pickle.

        The format is in the project's docs/files.md. A model of a class of your own is loaded by
        `mixfast.load(path, classes=[YourClass])`.

        Parameters
        ----------
        path : str or path-like
            Taken as it is, without a suffix added; a file that is there is replaced.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError
            For a parameter that is no number, string, None or array, as a RandomState instance in `random_state`.
            Nothing has been written then.
        ValueError
            For a class of your own that has the name of one of mixfast's, and for parameters and attributes that were
            set to what no fit leaves.
        OSError
            Where the file cannot be written whole, for want of space perhaps. The file that was there stays as it was:
            the new one is written beside it, in the same folder, and takes its place when it is complete.
        """
        check_is_fitted(self)
        check_name(self)
        self._check_state()
        write(path, self._contents())

    def _contents(self):
        """Contents of the model's file, for `persistence`."""
        return Contents("estimator", type(self).__name__, self._sections())

    @classmethod
    def _from_contents(cls, contents):
        """The estimator of `Contents` that `save` wrote; ValueError where it is none."""
        sections = contents.sections
        if sections.keys() != {"params", "attributes"}:
            raise ValueError(f"an estimator's file has sections params and attributes, this one {list(sections)}")
        if not sections["attributes"]:
            raise ValueError("it has no fitted attributes")
        return cls._from_sections(sections["params"], sections["attributes"])
