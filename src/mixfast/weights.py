"""Weights of rows, and the rows that count, in whatever container they come."""

from __future__ import annotations

import numpy as np
import scipy.sparse
from sklearn.utils import _safe_indexing, assert_all_finite
from sklearn.utils.validation import _check_sample_weight

from mixfast.problems import check_eager


def check_weights(sample_weight, X):
    """One for each row of X, float64, contiguous; some are above zero, none is below."""
    sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    assert_all_finite(sample_weight, input_name="sample_weight")
    if not np.any(sample_weight > 0):
        raise ValueError("All values of sample_weight are zero: at least one row needs a positive weight.")
    return np.ascontiguousarray(sample_weight)


def counted_rows(X, sample_weight):
    """(rows of positive weight, their weights or None, a mask of the rows that count or None where all do).

    A weight of 0 equals leaving the row out: this comes before anything is learned or asked of the values of X, so that
    such rows may hold what they want.
    """
    if sample_weight is None:
        return X, None, None
    check_eager(X)
    sample_weight = check_weights(sample_weight, X)
    kept = sample_weight > 0
    if np.all(kept):
        return X, sample_weight, None
    return take(X, np.flatnonzero(kept)), sample_weight[kept], kept


def take(X, rows):
    """Some rows, by their numbers, of an array, a table, a sparse matrix, a list, or what has a method `take_rows`."""
    if hasattr(type(X), "take_rows"):
        return X.take_rows(rows)
    return _safe_indexing(X.tocsr() if scipy.sparse.issparse(X) else X, rows)
