"""Gamma and exponential components: positive numbers, each column of a component independent of the others."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
from scipy.special import digamma, gammainc, gammaln, polygamma

from mixfast.families._gamma import bind_exponential, bind_gamma
from mixfast.families.domains import POSITIVE
from mixfast.families.family import ColumnKind, Described, Encoded, columnwise_margin
from mixfast.families.holding import NUMBER, Holding
from mixfast.families.pairs import between
from mixfast.families.presence import PartlyObserved, presence, with_column_means, without_gaps


def _log_normaliser(params):
    return gammaln(params.shapes) + params.shapes * np.log(params.scales)


def _shapes_of(excess):
    """Shapes a with log a - digamma(a) = excess, by Newton's method for 1 / a from Minka's start."""
    excess = np.maximum(excess, 1e-12)
    a = (3 - excess + np.sqrt((excess - 3) ** 2 + 24 * excess)) / (12 * excess)
    for _ in range(10):
        a = 1 / (1 / a + (np.log(a) - digamma(a) - excess) / (a * a * (1 / a - polygamma(1, a))))
    return a


class GammaParams(NamedTuple):
    """shapes (K, d); scales (K, d): mean / shape."""

    shapes: np.ndarray
    scales: np.ndarray


class GammaStats(NamedTuple):
    """sums (K, 2 d + number of columns with missing entries): weighted sums of x, then of log x, then the weight of the
    rows that have an entry in each of those columns."""

    sums: np.ndarray


class _OfRows(PartlyObserved):
    """A family that computes in float64 and rounds parameters to the precision of the user's rows, which it knows."""

    margin = columnwise_margin
    column_kind = ColumnKind.POSITIVE

    def __init__(self, dtype=np.float64):
        self.dtype = np.dtype(dtype)

    def _of(self, X):
        """A copy of the family for rows of the dtype and with the missing entries of X."""
        family = copy.copy(self.learned_from(X))
        family.dtype = X.dtype
        return family


class Gamma(_OfRows):
    """log p(x | k) = sum_j (a_kj - 1) log x_j - x_j / scale_kj - a_kj log scale_kj - log Gamma(a_kj), for x > 0."""

    # float32 has no digits for the log density of shapes beyond 1e3, ordinary ones. 100,000 x 8 rows of it, K=8: a fit
    # takes 1.2 times as long as in float32.
    dtypes = (np.float64,)

    Params = GammaParams
    Stats = GammaStats
    domains = {"shapes": (POSITIVE,), "scales": (POSITIVE,)}

    support = (0.0, np.inf)

    #: A shape is found from means and logarithms about the scale that goes with it, and the other way round.
    holdings: dict = {"shapes": Holding(NUMBER, ("scales",)), "scales": Holding(NUMBER, ("shapes",))}

    def param_shapes(self, n_components, n_features):
        return (n_components, n_features), (n_components, n_features)

    def stat_shapes(self, n_components, n_features):
        return ((n_components, 2 * n_features + len(self.missing)),)

    def n_parameters(self, n_components, n_features):
        return 2 * n_components * n_features

    def n_rows_needed(self, n_features):
        return 2  # one row makes a shape infinite

    def encode(self, X):
        """Rows of x and log x; k-means runs on log x, where another unit of x is a shift."""
        family, n_features = self._of(X), X.shape[1]
        rows = np.empty((X.shape[0], 2 * n_features + len(family.missing)))
        rows[:, :n_features] = X
        logs = rows[:, n_features : 2 * n_features]
        with np.errstate(divide="ignore"):  # a batch has zeros in the place of problems that are outside the domain
            np.log(rows[:, :n_features], out=logs)
        if not len(family.missing):
            return Encoded(family, rows, seeds=logs)
        seeds = with_column_means(logs)
        rows[:, : 2 * n_features] = without_gaps(rows[:, : 2 * n_features])
        rows[:, 2 * n_features :] = presence(X, family.missing)
        return Encoded(family, rows, seeds=seeds)

    def blank(self, n_components, n_features):
        return np.ones(self.params_layout(n_components, n_features).size)

    def located(self, centres):
        return self.blank(*np.shape(centres))  # its statistics are measured from nothing

    def bind(self, n_components, n_features, dtype, isa=None):
        return bind_gamma(n_components, n_features, isa, self.dtype.itemsize, self.missing)

    def log_affinity(self, p, q):
        shapes, rates = (p.shapes + q.shapes) / 2, (1 / p.scales + 1 / q.scales) / 2
        normalisers = (_log_normaliser(p) + _log_normaliser(q)) / 2
        return np.sum(gammaln(shapes) - shapes * np.log(rates) - normalisers, axis=1)

    def divergence(self, p, q):
        ratios = p.scales / q.scales
        of_scales = q.shapes * (ratios - 1 - np.log(ratios)) + (p.shapes - q.shapes) * (ratios - 1)
        of_shapes = (p.shapes - q.shapes) * digamma(p.shapes) - gammaln(p.shapes) + gammaln(q.shapes)
        return np.sum(of_scales + of_shapes, axis=1)

    def merged(self, p, q, share):
        """Components with the mean and the mean logarithm of each pair's mixture."""
        means = between(p.shapes * p.scales, q.shapes * q.scales, share)
        logs = between(*(digamma(own.shapes) + np.log(own.scales) for own in (p, q)), share)
        shapes = _shapes_of(np.log(means) - logs)
        return self.Params(shapes, means / shapes)

    def cdf(self, params, x):
        return gammainc(params.shapes[:, 0], np.maximum(x, 0) / params.scales[:, 0])

    def described(self, params):
        numbers = {"shape": params.shapes, "scale": params.scales, "mean": params.shapes * params.scales}
        return [Described(np.arange(params.shapes.shape[1]), numbers, location="mean")]

    def sample(self, params, labels, rng):
        with np.errstate(over="ignore"):
            X = rng.gamma(params.shapes[labels], params.scales[labels])
        return np.clip(X, np.finfo(float).tiny, np.finfo(float).max)  # a small shape draws what float64 rounds to zero


class ExponentialParams(NamedTuple):
    """rates (K, d): 1 / mean."""

    rates: np.ndarray


class ExponentialStats(NamedTuple):
    """sums (K, d + number of columns with missing entries): weighted sums of the rows, and the weight of the rows that
    have an entry in each of those columns."""

    sums: np.ndarray


class Exponential(_OfRows):
    """log p(x | k) = sum_j log rate_kj - rate_kj x_j, for x >= 0."""

    Params: type = ExponentialParams
    Stats = ExponentialStats
    domains = {"rates": (POSITIVE,)}

    support = (0.0, np.inf)

    holdings: dict = {"rates": Holding(NUMBER)}

    def param_shapes(self, n_components, n_features):
        return ((n_components, n_features),)

    def stat_shapes(self, n_components, n_features):
        return ((n_components, n_features + len(self.missing)),)

    def n_parameters(self, n_components, n_features):
        return n_components * n_features

    def encode(self, X):
        """k-means runs on cube roots, which are nearly normal: Wilson & Hilferty, PNAS 17 (1931), 684-688."""
        family, rows = self._of(X), X
        if len(family.missing):
            rows = np.column_stack([without_gaps(X), presence(X, family.missing)])
        return Encoded(family, rows, seeds=lambda offsets: with_column_means(np.cbrt(X)))

    def blank(self, n_components, n_features):
        return np.ones(self.params_layout(n_components, n_features).size)

    def located(self, centres):
        return self.blank(*np.shape(centres))  # its statistics are measured from nothing

    def bind(self, n_components, n_features, dtype, isa=None):
        real_bytes = np.dtype(dtype).itemsize
        return bind_exponential(
            n_components, n_features, real_bytes, isa, min(real_bytes, self.dtype.itemsize), self.missing
        )

    def log_affinity(self, p, q):
        return np.sum(np.log(2) + (np.log(p.rates) + np.log(q.rates)) / 2 - np.log(p.rates + q.rates), axis=1)

    def divergence(self, p, q):
        ratios = q.rates / p.rates
        return np.sum(ratios - 1 - np.log(ratios), axis=1)

    def merged(self, p, q, share):
        return self.Params(1 / between(1 / p.rates, 1 / q.rates, share))

    def cdf(self, params, x):
        return -np.expm1(-np.maximum(x, 0) * params.rates[:, 0])

    def described(self, params):
        numbers = {"rate": params.rates, "mean": 1 / params.rates}
        return [Described(np.arange(params.rates.shape[1]), numbers, location="mean")]

    def sample(self, params, labels, rng):
        rates = params.rates[labels]
        if not np.all(rates > 0):
            raise ValueError(f"rates should be above zero, got {rates.min()}")
        with np.errstate(over="ignore"):
            return np.minimum(rng.standard_exponential(rates.shape) / rates, np.finfo(float).max)
