"""Which rows are in the domain of a family, and where they are not."""

from __future__ import annotations

import numpy as np
import scipy.sparse

from mixfast.families.counts import blocks

#: Beyond it the whole numbers of float64 have gaps.
LARGEST_COUNT = 2.0**53


def check_counts(X, may_miss=False):
    """Raises ValueError where X, dense or in CSR form, holds a number that is no count; NaN may be a missing one."""

    def is_outside(values):
        is_whole = (values == np.floor(values)) | (may_miss & np.isnan(values))
        return (values < 0) | (values > LARGEST_COUNT) | ~is_whole

    values = X.data if scipy.sparse.issparse(X) else X
    if not any(np.any(is_outside(values[block])) for block in blocks(len(values), values.size)):
        return
    row, column, value = first_outside(X, is_outside)
    raise ValueError(
        ("Negative values in data: column" if value < 0 else "Column")
        + f" {column} of X is not all counts, row {row} is {value}. Pass whole numbers from 0 to 2**53."
    )


def first_outside(X, is_outside):
    """(row, column, value) of the first value, column by column, of which `is_outside(values)` is true; None if
    there is none. Of a sparse X the values that are stored are looked at."""
    if scipy.sparse.issparse(X):
        wrong = np.flatnonzero(is_outside(X.data))
        if not len(wrong):
            return None
        place = wrong[np.argmin(X.indices[wrong])]
        row = int(np.searchsorted(X.indptr, place, side="right")) - 1
        return row, int(X.indices[place]), X.data[place]
    for j in range(X.shape[1]):
        wrong = is_outside(X[:, j])
        if np.any(wrong):
            row = int(np.argmax(wrong))
            return row, j, X[row, j]
    return None
