"""Rows as scikit-learn validates them, from whatever container; what is refused names its column."""

from __future__ import annotations

import numpy as np
from sklearn import get_config
from sklearn.utils.validation import validate_data

from mixfast.engine._rows import all_finite
from mixfast.partitions import is_source
from mixfast.tables import (
    adopted,
    check_no_dates,
    check_no_infinity,
    check_no_missing,
    check_numbers,
    feature_names,
    is_single,
    names_of,
    objects_as_reals,
    scikit_learn_refuses,
    table_of_reals,
)


def read_rows(estimator, X, accepts_missing, **options):
    """An array or a sparse matrix of numbers; `options` are scikit-learn's."""
    if is_plain(estimator, X, **options):
        if options.get("reset", True):
            estimator.n_features_in_ = X.shape[1]
        return X
    check_is_here(X)
    X = objects_as_reals(adopted(X))
    check_no_dates(X)
    if is_single(X) and np.float32 in options["dtype"]:  # of tables but those of pandas scikit-learn does not see it
        options = options | {"dtype": np.float32}
    names = names_of(X)
    if names == [] and estimator._needs_columns:
        raise ValueError("X has no columns: 0 feature(s) while a minimum of 1 is required")
    if not estimator._needs_columns and (names == [] or not options.get("reset", True)):
        options = options | {"ensure_min_features": 0}
        X = np.empty((len(X), 0)) if names == [] else X  # scikit-learn asks columns for their types
    try:
        by_place = table_of_reals(X) if names is not None and scikit_learn_refuses(names) else X
        return validate_data(estimator, by_place, ensure_all_finite="allow-nan" if accepts_missing else True, **options)
    except (TypeError, ValueError) as error:
        check_numbers(X, type(estimator).__name__)
        if "infinity" in str(error):  # what else scikit-learn says, of sparse rows for instance, comes first
            check_no_infinity(X, said=error)
        if not accepts_missing:
            check_no_missing(X, type(estimator).__name__, estimator._takes_missing_instead)
        raise


def check_is_here(X):
    """Raises TypeError where rows are in parts, for methods that want them in one array."""
    if is_source(X):
        raise TypeError(
            f"X is {type(X).__name__}, rows in parts: `fit`, criteria and `score`, but regressions', take them, "
            "predictions are made part by part, `blocks(...).map(model.predict)` or mixfast.dask.predict"
        )


def is_plain(estimator, X, *, dtype, reset=True, ensure_min_samples=1, **others):
    """Whether X is an array that scikit-learn would give back as it is, whatever the other options: it asks for 90 us,
    a fifth of what a fit to 200 rows of 2 columns took."""
    if type(X) is not np.ndarray or X.ndim != 2 or X.dtype not in dtype:
        return False
    n_rows, n_columns = X.shape
    if n_columns == 0 or n_rows < max(ensure_min_samples, 1) or "feature_names_in_" in vars(estimator):
        return False
    if not reset and vars(estimator).get("n_features_in_") != n_columns:
        return False
    if get_config()["assume_finite"]:
        return True
    return all_finite(X)


def check_names(estimator, X, reset):
    """The names and the number of columns against those of the fit, as scikit-learn does, or remembers them; the values
    may be anything."""
    X = adopted(X)
    names = names_of(X)
    if names is not None and feature_names(names) is None:  # scikit-learn has no place for such names
        X = np.empty((1, len(names)))
    validate_data(estimator, X, reset=reset, skip_check_array=True)
