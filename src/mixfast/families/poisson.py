"""Poisson components: each column of a component counts events that happen at a rate of their own."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import scipy.sparse
from scipy.special import kl_div, pdtr

from mixfast.families._poisson import bind_poisson
from mixfast.families.counts import log_factorials, row_totals
from mixfast.families.domains import NOT_NEGATIVE
from mixfast.families.family import ColumnKind, Described, Encoded, arrays_of, columnwise_margin
from mixfast.families.holding import NUMBER, Holding
from mixfast.families.pairs import between
from mixfast.families.presence import PartlyObserved, presence, with_column_means, without_gaps
from mixfast.families.rounding import rounded_above_zero
from mixfast.row_data import separated

#: From here on counts are drawn from the normal distribution, whose distribution function is within 7e-8 of the Poisson
#: distribution's: 1 / (6 sqrt(2 pi rate)). NumPy's draws lose digits: 10^6 of them have a variance 0.1% too large at
#: 1e13, 4% at 1e15, 42% at 1e16, and beyond 9.2e18 there are none.
LARGE_RATE = 1e12


class PoissonParams(NamedTuple):
    """rates (K, d): expected counts at an exposure of 1."""

    rates: np.ndarray


class PoissonStats(NamedTuple):
    """events (K, d + 0 or 1 + number of columns with missing entries): weighted sums of the counts, of the exposures
    where there are any, and of the exposures (1 without any) of the rows with an entry in each of those columns."""

    events: np.ndarray


def with_exposures(counts, exposure):
    """Counts and, in a last column, exposures."""
    exposure = exposure.astype(counts.dtype)
    if not scipy.sparse.issparse(counts):
        return np.column_stack([counts, exposure])
    ends = counts.indptr[1:]
    values, columns = np.insert(counts.data, ends, exposure), np.insert(counts.indices, ends, counts.shape[1])
    indptr = counts.indptr + np.arange(len(counts.indptr), dtype=counts.indptr.dtype)
    return scipy.sparse.csr_matrix((values, columns, indptr), (counts.shape[0], counts.shape[1] + 1))


def beside(rows, columns):
    """Rows, dense or sparse, with further dense columns after their own."""
    if not scipy.sparse.issparse(rows):
        return np.column_stack([rows, columns])
    joined = scipy.sparse.hstack([rows, scipy.sparse.csr_matrix(columns)], format="csr", dtype=rows.dtype)
    joined.sort_indices()
    return joined


def seeds_of(counts, exposure):
    """Counts at an exposure of 1; in the place of missing ones the mean of their column, 0 in sparse rows."""
    if not scipy.sparse.issparse(counts):
        return with_column_means(counts / exposure[:, np.newaxis].astype(counts.dtype))
    counts = without_gaps(counts)
    values = counts.data / np.repeat(exposure, np.diff(counts.indptr)).astype(counts.dtype)
    return scipy.sparse.csr_matrix((values, counts.indices, counts.indptr), counts.shape)


class Poisson(PartlyObserved):
    """log p(x | k) = sum_j x_j log(e rate_kj) - e rate_kj - log x_j!, for rows of counts, e the exposure of the row.

    Parameters
    ----------
    alpha, beta : float, default 0
        Pseudo-counts: `alpha` events at the exposure `beta` are added to each column of each component, which gives the
        mode under a Gamma prior of shape 1 + alpha and rate beta.
    is_exposed : bool, default False
        Whether rows, once encoded, have a last column of exposures; they are 1 otherwise.
    """

    # Counts times logarithms nearly cancel: float32 log densities of -40 nats had errors of 4 nats at counts of 1e6
    # in 5 columns, responsibilities of 0.9. 100,000 x 32 rows of it, K=8: a fit takes 1 to 2 times as long.
    dtypes = (np.float64,)

    Params: type = PoissonParams
    support = (0.0, np.inf)
    is_discrete = True
    Stats = PoissonStats
    domains = {"rates": (NOT_NEGATIVE,)}
    margin = columnwise_margin
    column_kind = ColumnKind.COUNT

    def __init__(self, alpha=0.0, beta=0.0, is_exposed=False):
        self.alpha = alpha
        self.beta = beta
        self.is_exposed = is_exposed

    holdings: dict = {"rates": Holding(NUMBER)}

    def param_shapes(self, n_components, n_features):
        return ((n_components, n_features),)

    def stat_shapes(self, n_components, n_features):
        return ((n_components, n_features + self.is_exposed + len(self.missing)),)

    def n_parameters(self, n_components, n_features):
        return n_components * n_features

    def encode(self, X):
        """Rows of counts, with an `exposure` for each row or without, as `Encoded`; k-means runs on rates."""
        given, data = separated(X)
        family, counts = copy.copy(self.learned_from(given)), without_gaps(given)
        base, rows, seeds, exposure = -log_factorials(counts), counts, None, np.ones(counts.shape[0])
        if "exposure" in data or self.is_exposed:
            family.is_exposed = True
            exposure = data.get("exposure", exposure)
            base += row_totals(counts) * np.log(exposure)
            rows = with_exposures(counts, exposure)
        if family.is_exposed or len(family.missing):

            def seeds(offsets):
                return seeds_of(given, exposure)

        if len(family.missing):
            rows = beside(rows, presence(given, family.missing, exposure))
        return Encoded(family, rows, base, seeds)

    def design(self):
        """Two sets, exposures: {1} if rows have exposures, else empty; missing: columns with missing entries."""
        return {"exposures": np.ones(int(self.is_exposed), dtype=np.int32), "missing": self.missing}

    def with_design(self, design):
        exposures, missing = arrays_of(design, exposures=(np.int32, 1), missing=(np.int32, 1))
        family = super().with_design({"missing": missing})
        family.is_exposed = len(exposures) > 0
        return family

    def located(self, centres):
        return self.blank(*np.shape(centres))  # its statistics are measured from nothing

    def bind(self, n_components, n_features, dtype, isa=None, is_sparse=False):
        real_bytes = np.dtype(dtype).itemsize
        return bind_poisson(
            n_components, n_features, real_bytes, isa, is_sparse, self.alpha, self.beta, self.is_exposed, self.missing
        )

    def rounded(self, params, dtype):
        return self.Params(rounded_above_zero(params.rates, dtype))

    def log_affinity(self, p, q):
        """At an exposure of 1."""
        return -0.5 * np.sum((np.sqrt(p.rates) - np.sqrt(q.rates)) ** 2, axis=1)

    def divergence(self, p, q):
        """At an exposure of 1."""
        return np.sum(kl_div(p.rates, q.rates), axis=1)

    def merged(self, p, q, share):
        return self.Params(between(p.rates, q.rates, share))

    def cdf(self, params, x, exposure=1.0):
        """`exposure`, a number or one for each row."""
        expected = params.rates[:, 0] * np.reshape(exposure, (-1, 1))
        return np.where(x < 0, 0, pdtr(np.floor(np.maximum(x, 0)), expected))

    def described(self, params):
        return [Described(np.arange(params.rates.shape[1]), {"rate": params.rates})]

    def sample(self, params, labels, rng, exposure=1.0):
        """`exposure`, a number or one for each row."""
        with np.errstate(over="ignore"):
            expected = params.rates[labels] * np.reshape(exposure, (-1, 1))
        wrong = np.argwhere(~((expected >= 0) & np.isfinite(expected)))
        if len(wrong):
            row, column = wrong[0]
            rate = params.rates[labels[row], column]
            raise ValueError(
                f"Counts cannot be drawn at the rate {rate} of component {labels[row]} in column {column}, with the "
                f"exposure {np.broadcast_to(exposure, len(labels))[row]}: their product is {expected[row, column]}, "
                "and should be a finite number of at least 0. Set rates_ to such, or pass a smaller exposure."
            )
        return drawn_counts(expected, rng)


def drawn_counts(expected, rng):
    """A draw for each of the expected counts, float64; of large ones normal, rounded."""
    is_large = expected > LARGE_RATE
    counts = rng.poisson(np.where(is_large, 0, expected)).astype(np.float64)
    large = expected[is_large]
    counts[is_large] = np.rint(large + np.sqrt(large) * rng.standard_normal(len(large)))
    return counts
