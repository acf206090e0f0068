"""Families of rows with missing entries: a family of complete rows, with the densities of the observed entries."""

from __future__ import annotations

import numpy as np

from mixfast.families import _gaps, _missing
from mixfast.families.family import Encoded

#: How arrays of a covariance, or of a second moment, are laid out: by their shapes for two components of three columns;
#: numbers as in `_missing.pyx`.
COVARIANCES = {(2, 3): 0, (2, 3, 3): 1, (3, 3): 2, (2,): 3}
MOMENTS = {(2, 3): 0, (2, 6): 1, (6,): 2}

#: That of factor analysers, of both.
FACTORS = 4


def layouts_of(family):
    """(layout of covariances, of second moments, number of factors)"""
    if family.n_factors:
        return FACTORS, FACTORS, family.n_factors
    return COVARIANCES[tuple(family.param_shapes(2, 3)[1])], MOMENTS[tuple(family.stat_shapes(2, 3)[1])], 0


def patterns_of(there):
    """(patterns, bool (n_patterns, n_features), those of few columns first; the pattern number of each row,
    (n_samples,)). IN there, bool (n_samples, n_features): which entries are observed."""
    packed = np.ascontiguousarray(np.packbits(there, axis=1))  # `there` may be by columns
    _, first, number = np.unique(
        packed.view([("", packed.dtype)] * packed.shape[1]), return_index=True, return_inverse=True
    )
    patterns = there[first]
    order = np.argsort(patterns.sum(axis=1), kind="stable")  # tables are made, and rows visited, in this order
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return patterns[order], rank[number.ravel()]


def runs_of(number):
    """An order of rows that brings those of a pattern together, for `Encoded`; None where row numbers do not fit it."""
    if len(number) > np.iinfo(np.uint32).max:
        return None
    return np.argsort(number, kind="stable").astype(np.uint32)


class WithMissing:
    """A family for rows with missing entries. Encoded rows have one more column, the number of the row's pattern.

    A start begins with all components alike, where columns are and as wide as they are: what is missing is then imputed
    in the units of the data, whatever these are.

    complete : Family of complete rows, elliptical
    there : bool (n_patterns, n_features), the observed columns of each pattern
    middles, widths : float64 (n_features,), of the observed entries of each column
    kept : dtype of the user's rows, which parameters will be rounded to
    """

    dtypes = (np.float64,)
    batches = False

    def __init__(self, complete, there, middles, widths, kept):
        self.complete, self.there, self.middles, self.widths, self.kept = complete, there, middles, widths, kept

    def __getattr__(self, name):
        if name in ("complete", "there", "middles", "widths", "kept"):  # of a copy that is being made
            raise AttributeError(name)
        return getattr(self.complete, name)

    def blank(self, n_components, n_features):
        return self._begun(self.complete.blank(n_components, n_features), n_components, self.middles)

    def seeds_by_row(self):
        return False

    def located(self, centres):
        """As `Family.located`; centres may or may not have the column of pattern numbers."""
        centres = centres[:, : self.there.shape[1]]
        packed = self.complete.located(centres)
        return None if packed is None else self._begun(packed, len(centres), centres)

    def _begun(self, packed, n_components, means):
        """Parameters with these means, and covariances of 1 scaled to the columns."""
        layout = self.complete.params_layout(n_components, len(self.widths))
        params = layout.view(packed)
        scaled = self.complete.transformed(params, 0.0, self.complete.column_units(self.widths), 0.0)
        return layout.pack(scaled._replace(means=np.broadcast_to(means, params.means.shape)))

    def bind(self, n_components, n_features, dtype, isa=None):
        complete = self.complete.bind(n_components, n_features - 1, np.float64, isa)
        if self.complete.leaves_out_entries:
            return _gaps.bind_gaps(complete, self.kept.itemsize)
        columns = np.argsort(~self.there, axis=1, kind="stable").astype(np.int64)
        return _missing.bind_missing(
            complete,
            np.ascontiguousarray(columns),
            self.there.sum(axis=1, dtype=np.int64),
            *layouts_of(self.complete),
            self.kept.itemsize,
        )


def encoded_with_missing(family, X):
    """Rows (n_samples, n_features) of which some have missing entries, as `Encoded`; k-means sees the middle of the
    column in their place."""
    missing = np.isnan(X)
    there, number = patterns_of(~missing)
    rows = np.column_stack([X, number.astype(np.float64)])
    filled = X.astype(np.float64)
    middles, widths = np.zeros(X.shape[1]), np.ones(X.shape[1])
    for j in np.flatnonzero(~missing.all(axis=0)):
        middles[j], widths[j] = family.middle_and_width(filled[~missing[:, j], j])
    filled[missing] = np.broadcast_to(middles, X.shape)[missing]
    seeds = family.rows_of_clusters(filled)
    known = WithMissing(family, there, middles, widths, X.dtype)
    runs = None
    if not family.leaves_out_entries:
        rows[:, :-1], runs = filled, runs_of(number)
    return Encoded(known, rows, seeds=filled if seeds is None else seeds, runs=runs)
