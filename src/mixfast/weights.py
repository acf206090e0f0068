"""Weights of rows, and the rows that count, in whatever container they come."""

from __future__ import annotations

from numbers import Real

import numpy as np
import scipy.sparse
from sklearn import config_context
from sklearn.utils import _safe_indexing, assert_all_finite
from sklearn.utils.validation import _check_sample_weight, _num_samples

from mixfast._warnings import warn
from mixfast.in_messages import in_short
from mixfast.tables import adopted, check_no_words, check_one_number_a_row

#: Sums of weights are far from the number of rows beyond this factor. Two blobs, means -4 and 4 in two columns, 300
#: rows, 40 draws, K from 1 to 9 by BIC, three starts, all weights w: two components are chosen in 40 draws for w from
#: 0.03 to 1, in 39 for 2, 36 for 3, 20 for 5, none for 10; in 12 for 0.01, none for 0.003. Below 1 it takes less clear
#: data to go wrong, so the same factor holds there.
FAR = 3.0


def check_weights(sample_weight, X):
    """One for each row of X, float64, contiguous; some are above zero, none is below."""
    check_one_number_a_row(sample_weight, "sample_weight")
    check_no_words(sample_weight, "sample_weight")
    with config_context(assume_finite=False):  # that is said of rows: NaN would count as 0, and hide what is below it
        sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        assert_all_finite(sample_weight, input_name="sample_weight")
    if not np.any(sample_weight > 0):
        raise ValueError("All values of sample_weight are zero: at least one row needs a positive weight.")
    return np.ascontiguousarray(sample_weight)


def counted_rows(X, sample_weight, needs_some=True):
    """(rows of positive weight, their weights or None, a mask of the rows that count or None where all do).

    A weight of 0 equals leaving the row out: this comes before anything is learned or asked of the values of X, so that
    such rows may hold what they want. `needs_some=False` says that no row need be left.
    """
    if sample_weight is None:
        return X, None, None
    X = adopted(X)
    if not needs_some and np.shape(sample_weight) == (_num_samples(X),) and not np.any(sample_weight):
        return take(X, np.empty(0, dtype=np.intp)), None, None
    sample_weight = check_weights(sample_weight, X)
    kept = sample_weight > 0
    if np.all(kept):
        return X, sample_weight, None
    return take(X, np.flatnonzero(kept)), sample_weight[kept], kept


def take(X, rows):
    """Some rows, by their numbers, of an array, a table, a sparse matrix, a list, or what has a method `take_rows`."""
    if hasattr(type(X), "take_rows"):
        return X.take_rows(rows)
    if hasattr(type(X), "rename_columns"):  # pyarrow's, of which scikit-learn takes no rows where names are the same
        return X.take(rows)
    return _safe_indexing(X.tocsr() if scipy.sparse.issparse(X) else X, rows)


def weighted_sum(values, sample_weight):
    """(sum of weight * value, sum of the weights), in float64; weights are None for ones."""
    values = values.astype(np.float64, copy=False)
    if sample_weight is None:
        return float(np.sum(values)), len(values)
    return float(np.dot(sample_weight, values)), float(np.sum(sample_weight))


# ---- what criteria take for the number of rows ----


def check_n_effective(n_effective):
    """Raise ValueError unless it is one of the allowed forms."""
    is_number = isinstance(n_effective, Real) and not isinstance(n_effective, bool)
    if n_effective is None or (isinstance(n_effective, str) and n_effective in ("sum", "kish")):
        return
    if not (is_number and 1 <= n_effective < np.inf):
        raise ValueError(f"n_effective={in_short(n_effective)} should be 'sum', 'kish' or a number of at least 1")


def effective_number(n_effective, total, squares):
    """The number of rows that weights stand for, from their sum and the sum of their squares; arrays are of several
    data sets. Kish, "Survey Sampling" (1965), section 11.7: a mean of n equally weighted rows has the variance of this
    one's where n is (sum w)^2 / sum w^2."""
    if n_effective == "kish":
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return total * (total / squares)
    return total if n_effective is None or n_effective == "sum" else total * 0.0 + float(n_effective)


def is_far(total, n_rows):
    """Whether sums of weights are far from numbers of rows."""
    return (total > FAR * n_rows) | (total * FAR < n_rows)


def warn_of_sum(whose, total, n_rows):
    """That a criterion takes a sum of weights, far from the number of rows, for that number."""
    warn(
        f"{whose} sum to {total:.4g} over {n_rows} rows, and the criterion takes that sum for the number of rows: "
        "what is chosen by it has too many components, or too few. Where the weights are relative, pass "
        "n_effective='kish' or the number of independent rows, or scale them to sum to it; where they count rows, "
        "n_effective='sum'.",
        UserWarning,
    )


def observed(X, sample_weight, n_effective):
    """(rows that count, weights that sum to the number of rows that they stand for, or None)

    Criteria are those of weights scaled so: the log-likelihood is multiplied by n_effective / sum(w) wherever it
    stands, and n is n_effective. Warns where `n_effective` is None and the sum is far from the number of rows.
    """
    check_n_effective(n_effective)
    X, sample_weight, _ = counted_rows(X, sample_weight)
    n_rows = _num_samples(X)
    if sample_weight is None:
        if n_effective is None or isinstance(n_effective, str):
            return X, None
        sample_weight = np.ones(n_rows)
    total = float(np.sum(sample_weight))
    if n_effective is None and is_far(total, n_rows):
        warn_of_sum("The values of sample_weight", total, n_rows)
    if n_effective is None or n_effective == "sum":
        return X, sample_weight
    return X, sample_weight * (effective_number(n_effective, total, float(np.sum(np.square(sample_weight)))) / total)
