"""Families of rows with missing entries: a family of complete rows, with the densities of the observed entries."""

from __future__ import annotations

import numpy as np

from mixfast.families import _missing
from mixfast.families.family import Encoded

#: How arrays of a covariance, or of a second moment, are laid out: by their shapes for two components of three columns;
#: numbers as in `_missing.pyx`.
COVARIANCES = {(2, 3): 0, (2, 3, 3): 1, (3, 3): 2, (2,): 3}
MOMENTS = {(2, 3): 0, (2, 6): 1, (6,): 2}


def patterns_of(there):
    """(patterns, bool (n_patterns, n_features); the pattern number of each row, (n_samples,)). IN there, bool
    (n_samples, n_features): which entries are observed."""
    packed = np.packbits(there, axis=1)
    _, first, number = np.unique(
        packed.view([("", packed.dtype)] * packed.shape[1]), return_index=True, return_inverse=True
    )
    return there[first], number.ravel()


class WithMissing:
    """A family for rows with missing entries. Encoded rows have one more column, the number of the row's pattern.

    complete : Family of complete rows, elliptical
    there : bool (n_patterns, n_features), the observed columns of each pattern
    """

    dtypes = (np.float64,)
    batches = False

    def __init__(self, complete, there):
        self.complete, self.there = complete, there

    def __getattr__(self, name):
        if name in ("complete", "there"):  # of a copy that is being made
            raise AttributeError(name)
        return getattr(self.complete, name)

    def located(self, centres):
        """As `Family.located`; centres may or may not have the column of pattern numbers."""
        return self.complete.located(centres[:, : self.there.shape[1]])

    def bind(self, n_components, n_features, dtype, isa=None):
        columns = np.argsort(~self.there, axis=1, kind="stable").astype(np.int64)
        return _missing.bind_missing(
            self.complete.bind(n_components, n_features - 1, np.float64, isa),
            np.ascontiguousarray(columns),
            self.there.sum(axis=1, dtype=np.int64),
            COVARIANCES[tuple(self.complete.param_shapes(2, 3)[1])],
            MOMENTS[tuple(self.complete.stat_shapes(2, 3)[1])],
        )


def encoded_with_missing(family, X):
    """Rows (n_samples, n_features) of which some have missing entries, as `Encoded`; k-means sees the mean of the
    column in their place."""
    missing = np.isnan(X)
    there, number = patterns_of(~missing)
    n_there = np.maximum(np.sum(~missing, axis=0), 1)
    with np.errstate(over="ignore", invalid="ignore"):
        means = np.sum(np.where(missing, 0, X), axis=0, dtype=np.float64) / n_there
    means[~np.isfinite(means)] = 0
    filled = np.where(missing, means, X.astype(np.float64, copy=False))
    return Encoded(WithMissing(family, there), np.column_stack([filled, number.astype(np.float64)]), seeds=filled)
