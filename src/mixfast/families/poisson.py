"""Poisson components: each column of a component counts events that happen at a rate of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.sparse
from sklearn.utils.validation import _num_samples

from mixfast.families._poisson import bind_poisson
from mixfast.families.counts import log_factorials, row_totals
from mixfast.families.domains import NOT_NEGATIVE
from mixfast.families.family import Encoded, Family
from mixfast.families.rounding import rounded_above_zero
from mixfast.weights import take


class PoissonParams(NamedTuple):
    """rates (K, d): expected counts at an exposure of 1."""

    rates: np.ndarray


class PoissonStats(NamedTuple):
    """events (K, d), or (K, d + 1): weighted sums of the counts, and of the exposures where there are any."""

    events: np.ndarray


@dataclass(frozen=True)
class Exposed:
    """Rows of counts that were not all observed for the same time, or in the same area.

    counts : (n_samples, n_features), dense or sparse
    exposure : (n_samples,)
    """

    counts: np.ndarray | scipy.sparse.csr_matrix
    exposure: np.ndarray

    @property
    def shape(self):
        return self.counts.shape

    @property
    def dtype(self):
        return self.counts.dtype

    def __len__(self):
        return _num_samples(self.counts)

    def take_rows(self, rows):
        """Some rows, by their numbers; exposures that are not one for each row stay as they are."""
        exposure = np.asarray(self.exposure)
        return Exposed(take(self.counts, rows), exposure[rows] if exposure.shape == (len(self),) else exposure)

    def design(self):
        """Counts and, in a last column, exposures."""
        counts, exposure = self.counts, self.exposure.astype(self.dtype)
        if not scipy.sparse.issparse(counts):
            return np.column_stack([counts, exposure])
        ends = counts.indptr[1:]
        values, columns = np.insert(counts.data, ends, exposure), np.insert(counts.indices, ends, counts.shape[1])
        indptr = counts.indptr + np.arange(len(counts.indptr), dtype=counts.indptr.dtype)
        return scipy.sparse.csr_matrix((values, columns, indptr), (counts.shape[0], counts.shape[1] + 1))

    def rates(self):
        """Counts at an exposure of 1."""
        if not scipy.sparse.issparse(self.counts):
            return self.counts / self.exposure[:, np.newaxis].astype(self.dtype)
        counts = self.counts
        rates = counts.data / np.repeat(self.exposure, np.diff(counts.indptr)).astype(self.dtype)
        return scipy.sparse.csr_matrix((rates, counts.indices, counts.indptr), counts.shape)


class Poisson(Family):
    """log p(x | k) = sum_j x_j log(e rate_kj) - e rate_kj - log x_j!, for rows of counts, e the exposure of the row.

    Parameters
    ----------
    alpha, beta : float, default 0
        So many events in so much exposure are added to each column of each component: the mode under a Gamma prior of
        shape 1 + alpha and rate beta.
    is_exposed : bool, default False
        Whether rows, once encoded, have a last column of exposures; they are 1 otherwise.
    """

    Params = PoissonParams
    Stats = PoissonStats
    domains = {"rates": (NOT_NEGATIVE,)}

    def __init__(self, alpha=0.0, beta=0.0, is_exposed=False):
        self.alpha = alpha
        self.beta = beta
        self.is_exposed = is_exposed

    def param_shapes(self, n_components, n_features):
        return ((n_components, n_features),)

    def stat_shapes(self, n_components, n_features):
        return ((n_components, n_features + self.is_exposed),)

    def n_parameters(self, n_components, n_features):
        return n_components * n_features

    def encode(self, X):
        """Of counts, or of `Exposed` ones; k-means compares rates."""
        if not isinstance(X, Exposed):
            return Encoded(self, X, -log_factorials(X))
        base = row_totals(X.counts) * np.log(X.exposure) - log_factorials(X.counts)
        return Encoded(Poisson(self.alpha, self.beta, is_exposed=True), X.design(), base, lambda offsets: X.rates())

    def located(self, centres):
        return self.blank(*np.shape(centres))  # its statistics are measured from nothing

    def bind(self, n_components, n_features, dtype, isa=None, is_sparse=False):
        real_bytes = np.dtype(dtype).itemsize
        return bind_poisson(
            n_components, n_features, real_bytes, isa, is_sparse, self.alpha, self.beta, self.is_exposed
        )

    def rounded(self, params, dtype):
        return self.Params(rounded_above_zero(params.rates, dtype))

    def sample(self, params, labels, rng, exposure=1.0):
        """`exposure`, a number or one for each row."""
        return rng.poisson(params.rates[labels] * np.reshape(exposure, (-1, 1))).astype(np.float64)
