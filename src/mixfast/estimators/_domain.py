"""Where rows are outside the domain of a family."""

from __future__ import annotations

import numpy as np
import scipy.sparse


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
