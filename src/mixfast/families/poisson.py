"""Poisson components: each column of a component counts events that happen at a rate of their own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse
from scipy.special import kl_div, pdtr

from mixfast.families._poisson import bind_poisson
from mixfast.families.counts import log_factorials, row_totals
from mixfast.families.domains import NOT_NEGATIVE
from mixfast.families.family import ColumnKind, Described, Encoded, Family, arrays_of, columnwise_margin
from mixfast.families.holding import NUMBER, Holding
from mixfast.families.pairs import between
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
    """events (K, d), or (K, d + 1): weighted sums of the counts, and of the exposures where there are any."""

    events: np.ndarray


def design(counts, exposure):
    """Counts and, in a last column, exposures."""
    exposure = exposure.astype(counts.dtype)
    if not scipy.sparse.issparse(counts):
        return np.column_stack([counts, exposure])
    ends = counts.indptr[1:]
    values, columns = np.insert(counts.data, ends, exposure), np.insert(counts.indices, ends, counts.shape[1])
    indptr = counts.indptr + np.arange(len(counts.indptr), dtype=counts.indptr.dtype)
    return scipy.sparse.csr_matrix((values, columns, indptr), (counts.shape[0], counts.shape[1] + 1))


def rates(counts, exposure):
    """Counts at an exposure of 1."""
    if not scipy.sparse.issparse(counts):
        return counts / exposure[:, np.newaxis].astype(counts.dtype)
    values = counts.data / np.repeat(exposure, np.diff(counts.indptr)).astype(counts.dtype)
    return scipy.sparse.csr_matrix((values, counts.indices, counts.indptr), counts.shape)


class Poisson(Family):
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
        return ((n_components, n_features + self.is_exposed),)

    def n_parameters(self, n_components, n_features):
        return n_components * n_features

    def encode(self, X):
        """Rows of counts, with an `exposure` for each row or without, as `Encoded`; k-means runs on rates."""
        counts, data = separated(X)
        if "exposure" not in data and not self.is_exposed:
            return Encoded(self, counts, -log_factorials(counts))
        exposure = data["exposure"] if "exposure" in data else np.ones(counts.shape[0])
        base = row_totals(counts) * np.log(exposure) - log_factorials(counts)
        exposed = Poisson(self.alpha, self.beta, is_exposed=True)
        return Encoded(exposed, design(counts, exposure), base, lambda offsets: rates(counts, exposure))

    def design(self):
        """One set, exposures: {1} if rows have exposures, else empty."""
        return {"exposures": np.ones(int(self.is_exposed), dtype=np.int32)}

    def with_design(self, design):
        (exposures,) = arrays_of(design, exposures=(np.int32, 1))
        return Poisson(self.alpha, self.beta, len(exposures) > 0)

    def located(self, centres):
        return self.blank(*np.shape(centres))  # its statistics are measured from nothing

    def bind(self, n_components, n_features, dtype, isa=None, is_sparse=False):
        real_bytes = np.dtype(dtype).itemsize
        return bind_poisson(
            n_components, n_features, real_bytes, isa, is_sparse, self.alpha, self.beta, self.is_exposed
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

    def cdf(self, params, x):
        return np.where(x < 0, 0, pdtr(np.floor(np.maximum(x, 0)), params.rates[:, 0]))

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
