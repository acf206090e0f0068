"""Families of independent columns whose entries may be missing: further columns of the rows say which are there.

Bernoulli columns have an encoding of their own (`bernoulli.py`), others that of `presence`.
"""

from __future__ import annotations

import copy

import numpy as np
import scipy.sparse

from mixfast.engine._rows import all_finite
from mixfast.families.family import Family, arrays_of


class PartlyObserved(Family):
    """A family that learns which columns have missing entries, NaN."""

    #: Numbers of the columns with missing entries, in order.
    missing: np.ndarray = np.zeros(0, dtype=np.int32)
    _is_of_design = False

    def learned_from(self, X):
        """The family for rows with the missing entries of X; ValueError for those that its design does not know."""
        found = columns_with_gaps(X)
        if self._is_of_design:
            unknown = np.setdiff1d(found, self.missing)
            if len(unknown):
                raise ValueError(
                    f"Column {unknown[0]} of X has missing entries, and none in the rows of the design: make the "
                    "design of all rows"
                )
            return self
        return self._with_missing(found) if len(found) else self

    def _with_missing(self, columns, is_of_design=False):
        family = copy.copy(self)
        family.missing, family._is_of_design = columns, is_of_design
        return family

    def seeds_by_row(self):
        return not len(self.missing)

    def design(self):
        """One set, missing: the columns with missing entries."""
        return {"missing": self.missing}

    def with_design(self, design):
        (missing,) = arrays_of(design, missing=(np.int32, 1))
        if np.any(missing < 0) or np.any(np.diff(missing) <= 0):
            raise ValueError(f"missing should be columns in order, got {missing}")
        return self._with_missing(missing, is_of_design=True)


def have_gaps(X):
    """Whether rows, dense or sparse, hold NaN."""
    values = X.data if scipy.sparse.issparse(X) else X
    return not all_finite(values) and bool(np.isnan(values).any())


def columns_with_gaps(X):
    """Numbers of the columns of X, dense or sparse, that hold NaN; int32, in order."""
    if not have_gaps(X):
        return np.zeros(0, dtype=np.int32)
    if scipy.sparse.issparse(X):
        return np.unique(X.indices[np.isnan(X.data)]).astype(np.int32)
    return np.flatnonzero(np.isnan(X).any(axis=0)).astype(np.int32)


def without_gaps(X):
    """X with 0 in the place of NaN; X itself where there is none."""
    if not have_gaps(X):
        return X
    values = X.data if scipy.sparse.issparse(X) else X
    filled = np.where(np.isnan(values), 0, values)
    return scipy.sparse.csr_matrix((filled, X.indices, X.indptr), X.shape) if scipy.sparse.issparse(X) else filled


def presence(X, columns, values=1.0):
    """(n_samples, len(columns)): `values`, a number or one for each row, where X has an entry in the column, else 0.

    The columns are all those with missing entries, and perhaps others. They follow all other columns of encoded rows,
    which have 0 in the place of a missing entry; their weighted sums say how much of a column a component has seen
    (`new_columnwise` in `_linear.pyx`).
    """
    if scipy.sparse.issparse(X):
        places = np.flatnonzero(np.isnan(X.data))
        row = np.searchsorted(X.indptr, places, side="right") - 1
        there = np.ones((X.shape[0], len(columns)), dtype=bool)
        there[row, np.searchsorted(columns, X.indices[places])] = False
    else:
        there = ~np.isnan(X[:, columns])
    return (there * np.reshape(values, (-1, 1))).astype(X.dtype, copy=False)


def with_column_means(X):
    """X, dense, with the mean of what is there of its column in the place of NaN; 0 where nothing is."""
    if not have_gaps(X):
        return X
    gaps = np.isnan(X)
    n_there = np.maximum(len(X) - gaps.sum(axis=0), 1)
    return np.where(gaps, np.where(gaps, 0, X).sum(axis=0, dtype=np.float64) / n_there, X).astype(X.dtype, copy=False)
