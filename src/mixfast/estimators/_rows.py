"""Rows as scikit-learn validates them, from whatever container; what is refused names its column."""

from __future__ import annotations

import numpy as np
from sklearn.utils.validation import validate_data

from mixfast.tables import (
    adopted,
    check_no_dates,
    check_no_missing,
    check_numbers,
    feature_names,
    names_of,
    objects_as_reals,
    share_names,
    table_of_reals,
)

#: The mixtures that have a place for missing values.
TAKES_MISSING = "BernoulliMixture, CategoricalMixture or ProductMixture"


def read_rows(estimator, X, accepts_missing, **options):
    """An array or a sparse matrix of numbers; `options` are scikit-learn's."""
    X = objects_as_reals(adopted(X))
    check_no_dates(X)
    names = names_of(X)
    if names == []:
        raise ValueError("X has no columns: 0 feature(s) while a minimum of 1 is required")
    if names is not None and share_names(names):  # they are read by place, as an array's
        X = table_of_reals(X)
    try:
        return validate_data(estimator, X, ensure_all_finite="allow-nan" if accepts_missing else True, **options)
    except (TypeError, ValueError):
        check_numbers(X, type(estimator).__name__)
        if not accepts_missing:
            check_no_missing(X, type(estimator).__name__, TAKES_MISSING)
        raise


def check_names(estimator, X, reset):
    """The names and the number of columns against those of the fit, as scikit-learn does, or remembers them; the values
    may be anything."""
    X = adopted(X)
    names = names_of(X)
    if names is not None and feature_names(names) is None:  # scikit-learn has no place for such names
        X = np.empty((1, len(names)))
    validate_data(estimator, X, reset=reset, skip_check_array=True)
