"""Categorical components: each column of a component has a probability for each of its categories."""

from __future__ import annotations

from numbers import Integral
from typing import NamedTuple

import numpy as np
import scipy.sparse
from scipy.special import rel_entr

from mixfast.families._categorical import bind_categorical
from mixfast.families.domains import NOT_NEGATIVE, sums_are_one
from mixfast.families.family import ColumnKind, Described, Encoded, Family
from mixfast.families.pairs import between, sums_of_logs
from mixfast.families.rounding import rounded_above_zero


class CategoricalParams(NamedTuple):
    """probabilities (K, sum of n_categories): those of all columns side by side."""

    probabilities: np.ndarray


class CategoricalStats(NamedTuple):
    """answers (sum of n_categories + 1, K): the weighted number of each answer of each column; missing ones are the
    last of a column."""

    answers: np.ndarray


class Categorical(Family):
    """log p(x | k) = sum over the columns j whose answer is known of log p_kj[x_j], for rows of codes 0, 1, ...

    NaN is a missing answer; in encoded rows it is the code n_categories[j].

    Parameters
    ----------
    n_categories : int or sequence of int
        For all columns, or for each.
    alpha : float, default 0
        Pseudo-count that is added to each category of each column of each component: the mode under a
        Dirichlet(1 + alpha) prior.
    """

    Params: type = CategoricalParams
    Stats = CategoricalStats
    column_kind = ColumnKind.CATEGORY

    def __init__(self, n_categories, alpha=0.0):
        self.n_categories = n_categories
        self.alpha = alpha
        if not isinstance(n_categories, Integral):
            self.domains = {"probabilities": (NOT_NEGATIVE, sums_are_one(n_categories))}

    def _numbers(self, n_features):
        """The number of categories of each column."""
        return (self.n_categories,) * n_features if isinstance(self.n_categories, Integral) else self.n_categories

    def range_of_columns(self, n_features):
        numbers = np.array(self._numbers(n_features), dtype=float)
        if len(numbers) != n_features:
            raise ValueError(f"there are categories of {len(numbers)} columns, and n_features={n_features}")
        return np.zeros(n_features), numbers - 1, True

    def param_shapes(self, n_components, n_features):
        return ((n_components, sum(self._numbers(n_features))),)

    def stat_shapes(self, n_components, n_features):
        return ((sum(self._numbers(n_features)) + n_features, n_components),)

    def n_parameters(self, n_components, n_features):
        return n_components * sum(number - 1 for number in self._numbers(n_features))

    def encode(self, X):
        numbers = np.array(self._numbers(X.shape[1]), dtype=X.dtype)
        is_missing = np.isnan(X)
        rows = np.where(is_missing, numbers, X) if np.any(is_missing) else X
        return Encoded(self, rows, seeds=lambda offsets: one_hot(rows, numbers))

    def located(self, centres):
        return np.zeros(np.size(centres))  # statistics are measured from nothing; seeds have a column for each category

    def bind(self, n_components, n_features, dtype, isa=None):
        return bind_categorical(
            n_components, self._numbers(n_features), np.dtype(dtype).itemsize, isa, float(self.alpha)
        )

    def rounded(self, params, dtype):
        return self.Params(rounded_above_zero(params.probabilities, dtype))

    def log_affinity(self, p, q):
        starts = np.cumsum([0, *self.n_categories[:-1]])
        return sums_of_logs(np.add.reduceat(np.sqrt(p.probabilities * q.probabilities), starts, axis=1))

    def divergence(self, p, q):
        return np.sum(rel_entr(p.probabilities, q.probabilities), axis=1)

    def merged(self, p, q, share):
        return self.Params(between(p.probabilities, q.probabilities, share))

    def described(self, params):
        columns = np.repeat(np.arange(len(self.n_categories)), self.n_categories)
        codes = np.concatenate([np.arange(number) for number in self.n_categories])
        return [Described(columns, {"probability": params.probabilities}, codes)]

    def margin(self, params, columns):
        starts = np.cumsum([0, *self.n_categories])
        own = [params.probabilities[:, starts[j] : starts[j + 1]] for j in columns]
        family = Categorical(tuple(self.n_categories[j] for j in columns), self.alpha)
        return family, self.Params(np.concatenate(own, axis=1))

    def sample(self, params, labels, rng):
        numbers = self.n_categories
        codes = np.empty((len(labels), len(numbers)))
        for j, own in enumerate(np.split(params.probabilities, np.cumsum(numbers)[:-1], axis=1)):
            ladder = np.cumsum(own, axis=1)
            ladder /= ladder[:, -1:]
            # side="right": a draw on the edge of a step belongs to the next, so that what is impossible is never drawn
            codes[:, j] = np.sum(rng.uniform(size=len(labels))[:, np.newaxis] >= ladder[labels], axis=1)
        return codes


def one_hot(codes, n_categories):
    """A column of zeros and ones for each category, as a sparse matrix; missing answers, whose code is the number of
    categories, have no one."""
    first = np.cumsum(n_categories) - n_categories
    known = codes < n_categories
    columns = (codes + first)[known].astype(np.int32)
    indptr = np.concatenate([[0], np.cumsum(np.sum(known, axis=1))])
    return scipy.sparse.csr_matrix(
        (np.ones(len(columns), codes.dtype), columns, indptr), shape=(codes.shape[0], int(np.sum(n_categories)))
    )
