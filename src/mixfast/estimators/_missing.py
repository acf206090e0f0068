"""Mixtures of numbers whose entries may be missing, NaN: what is asked of rows, and what criteria count."""

from __future__ import annotations

import numpy as np
import scipy.sparse
from sklearn.utils.validation import _num_samples

from mixfast.estimators._by_em import MixtureByEM
from mixfast.families.presence import have_gaps
from mixfast.tables import as_columns


class MixtureWithMissingEntries(MixtureByEM):
    """Base of the estimators of numbers whose entries may be missing: these say nothing in the likelihood."""

    _accepts_missing = True

    #: False of what reads rows for estimators that have no place for missing entries.
    _fits_missing: bool = True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan &= self._fits_missing
        return tags

    def _says_nothing(self, X):
        if scipy.sparse.issparse(X):
            X = X.tocsr()
            n_missing = np.bincount(np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))[np.isnan(X.data)])
            return np.pad(n_missing, (0, X.shape[0] - len(n_missing))) == X.shape[1]
        try:
            missing = np.isnan(as_columns(X, "X").astype(np.float64))
            return missing.all(axis=1) if missing.shape[1] else np.zeros(len(missing), dtype=bool)
        except (AttributeError, TypeError, ValueError):  # what is wrong with such rows is said where they are read
            return np.zeros(_num_samples(X), dtype=bool)

    def _measured(self, n_features):
        return np.ones(n_features, dtype=bool)

    def _has_gaps(self, X):
        return have_gaps(X)

    def _check_missing(self, rows):
        super()._check_missing(rows)
        if self._has_gaps(rows):
            self._check_columns_have_entries(rows)
