"""Mixtures of numbers whose entries may be missing, NaN: what is asked of rows, and what criteria count."""

from __future__ import annotations

import numpy as np

from mixfast.estimators._by_em import MixtureByEM
from mixfast.families.presence import have_gaps


class MixtureWithMissingEntries(MixtureByEM):
    """Base of the estimators of numbers whose entries may be missing: these say nothing in the likelihood."""

    _accepts_missing = True

    #: False of what reads rows for estimators that have no place for missing entries.
    _fits_missing: bool = True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan &= self._fits_missing
        return tags

    def _measured(self, n_features):
        return np.ones(n_features, dtype=bool)

    def _has_gaps(self, X):
        return have_gaps(X)

    def _check_missing(self, rows):
        super()._check_missing(rows)
        if self._has_gaps(rows):
            self._check_columns_have_entries(rows)
