"""Bernoulli components: each column of a component is an independent coin."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse
from scipy.special import rel_entr

from mixfast.families._bernoulli import bind_bernoulli
from mixfast.families.domains import PROBABILITY
from mixfast.families.family import ColumnKind, Described, Encoded, columnwise_margin
from mixfast.families.holding import NUMBER, Holding
from mixfast.families.pairs import between, sums_of_logs
from mixfast.families.presence import PartlyObserved
from mixfast.families.rounding import rounded_above_zero, rounded_below_one


class BernoulliParams(NamedTuple):
    """probabilities (K, d): of a one in each column."""

    probabilities: np.ndarray


class BernoulliStats(NamedTuple):
    """ones (K, d), or (K, d + missing columns + 1): weighted sums of the encoded rows, of ones and, where entries are
    missing, of what is not zero in each column that has some, and of all rows."""

    ones: np.ndarray


class Bernoulli(PartlyObserved):
    """log p(x | k) = sum_j x_j log p_kj + (1 - x_j) log(1 - p_kj), for rows of zeros and ones.

    The sum is over the entries that are there: those that are NaN are left out.

    Parameters
    ----------
    alpha : float, default 0
        Pseudo-counts of ones and of zeros that are added to each column of each component: the mode under a
        Beta(1 + alpha, 1 + alpha) prior.

    For each column with missing entries encoded rows have one more, which is 0 where the entry is 0 and else 1, and at
    the end a column of ones.
    """

    Params: type = BernoulliParams
    support = (0.0, 1.0)
    is_discrete = True
    Stats = BernoulliStats
    domains = {"probabilities": (PROBABILITY,)}
    margin = columnwise_margin
    column_kind = ColumnKind.CATEGORY

    def __init__(self, alpha=0.0):
        self.alpha = alpha

    holdings: dict = {"probabilities": Holding(NUMBER)}

    def param_shapes(self, n_components, n_features):
        return ((n_components, n_features),)

    def stat_shapes(self, n_components, n_features):
        return ((n_components, n_features + (len(self.missing) + 1 if len(self.missing) else 0)),)

    def n_parameters(self, n_components, n_features):
        return n_components * n_features

    def encode(self, X):
        """Rows as `Encoded`; for k-means missing entries are replaced by the mean of their column."""
        family = self.learned_from(X)
        if not len(family.missing):
            return Encoded(family, X)
        split = _split_sparse if scipy.sparse.issparse(X) else _split_dense
        rows, seeds = split(X, family.missing)
        return Encoded(family, rows, None, seeds)

    def located(self, centres):
        return self.blank(*np.shape(centres))  # its statistics are measured from nothing

    def bind(self, n_components, n_features, dtype, isa=None, is_sparse=False):
        real_bytes = np.dtype(dtype).itemsize
        return bind_bernoulli(n_components, n_features, real_bytes, isa, is_sparse, self.alpha, self.missing)

    def rounded(self, params, dtype):
        above_zero = rounded_above_zero(params.probabilities, dtype)
        return self.Params(np.where(above_zero > 0.5, rounded_below_one(params.probabilities, dtype), above_zero))

    def log_affinity(self, p, q):
        one, other = p.probabilities, q.probabilities
        return sums_of_logs(np.sqrt(one * other) + np.sqrt((1 - one) * (1 - other)))

    def divergence(self, p, q):
        one, other = p.probabilities, q.probabilities
        return np.sum(rel_entr(one, other) + rel_entr(1 - one, 1 - other), axis=1)

    def merged(self, p, q, share):
        return self.Params(between(p.probabilities, q.probabilities, share))

    def cdf(self, params, x):
        return np.where(x < 0, 0, np.where(x < 1, 1 - params.probabilities[:, 0], 1))

    def described(self, params):
        return [Described(np.arange(params.probabilities.shape[1]), {"probability": params.probabilities})]

    def sample(self, params, labels, rng):
        probabilities = params.probabilities[labels]
        return (rng.uniform(size=probabilities.shape) < probabilities).astype(np.float64)


def _split_dense(X, missing):
    """(encoded rows, rows for k-means with column means in the place of missing entries). IN missing: the columns with
    missing entries."""
    is_missing = np.isnan(X)
    ones = np.where(is_missing, 0, X)
    means = ones.sum(axis=0) / np.maximum(len(X) - is_missing.sum(axis=0), 1)
    not_zero = (X[:, missing] != 0).astype(X.dtype)
    rows = np.concatenate([ones, not_zero, np.ones((len(X), 1), X.dtype)], axis=1)
    return rows, np.where(is_missing, means, X).astype(X.dtype, copy=False)


def _split_sparse(X, missing):
    """The same for sparse rows, whose stored values are ones and NaN."""
    n_rows, n_features = X.shape
    is_missing = np.isnan(X.data)
    place = np.full(n_features, -1)
    place[missing] = n_features + np.arange(len(missing))
    row, column = X.tocoo().coords
    is_not_zero = place[column] >= 0
    rows = np.concatenate([row[~is_missing], row[is_not_zero], np.arange(n_rows)])
    last = np.full(n_rows, n_features + len(missing))
    columns = np.concatenate([column[~is_missing], place[column[is_not_zero]], last])
    ones = scipy.sparse.csr_matrix(
        (np.ones(len(rows), X.dtype), (rows, columns)), (n_rows, n_features + len(missing) + 1)
    )
    ones.sort_indices()
    n_missing = np.bincount(column[is_missing], minlength=n_features)
    means = np.bincount(column[~is_missing], minlength=n_features) / np.maximum(n_rows - n_missing, 1)
    seeds = X.copy()
    seeds.data[is_missing] = means[column[is_missing]]
    return ones, seeds
