"""Conjugate priors of the components whose log density is linear in sums: Bernoulli, categorical, multinomial, Poisson
and exponential. Formulas: Murphy 2012, chapters 3 and 9; Gelman et al. 2013, appendix A."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import gammaln

from mixfast._reference.bayesian.distributions import (
    dirichlet_expected_log,
    dirichlet_kl,
    gamma_expected_log,
    gamma_kl,
    gamma_log_normaliser,
    log_beta,
)


class Sums(NamedTuple):
    """counts (K,), sums of what rows add (K, p), and of the part of the log density without parameters (K,)."""

    counts: np.ndarray
    sums: np.ndarray
    log_bases: np.ndarray


class GammaPosterior(NamedTuple):
    """shape and rate of the Gamma distribution of each column, (K, d) both."""

    shape: np.ndarray
    rate: np.ndarray


class BetaPosterior(NamedTuple):
    """The two parameters of the Beta distribution of each column, (K, d) both."""

    a: np.ndarray
    b: np.ndarray


class _Summed:
    """What all have in common."""

    def rows(self, X):
        """What a row adds to the sums, (n, p)."""
        return X

    def log_bases(self, X):
        """The part of a row's log density that has no parameters, (n,)."""
        return np.zeros(len(X))

    def statistics(self, X, resp):
        """Of rows X (n, d) with responsibilities (n, K), times sample weights where rows have some."""
        return Sums(resp.sum(axis=0), resp.T @ self.rows(X), resp.T @ self.log_bases(X))

    def add(self, first, second):
        return Sums(*(one + other for one, other in zip(first, second, strict=True)))

    def log_predictive_of_new(self, X, posterior):
        """Predictive density (n,) of a component that has no rows yet: the prior's."""
        none = self.posterior(self.statistics(X[:0], np.zeros((0, 1))))
        return self.log_predictive(X, none)[:, 0]


class BetaBernoulli(_Summed):
    """p_j ~ Beta(a, b) independently; a and b numbers or (d,). Rows are 0 and 1."""

    def __init__(self, a, b):
        self.a, self.b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)

    @staticmethod
    def _pairs(a, b):
        return np.stack(np.broadcast_arrays(a, b), axis=-1)

    def posterior(self, statistics):
        return BetaPosterior(self.a + statistics.sums, self.b + statistics.counts[:, np.newaxis] - statistics.sums)

    def log_evidence(self, statistics):
        """sum_j log B(a + s_j, b + n - s_j) - log B(a, b)"""
        posterior = log_beta(self._pairs(*self.posterior(statistics)))
        return (posterior - log_beta(self._pairs(self.a, self.b))).sum(axis=1)

    def expected_log_density(self, X, posterior):
        """sum_j x_j [psi(a_j) - psi(b_j)] + psi(b_j) - psi(a_j + b_j)"""
        expected = dirichlet_expected_log(self._pairs(*posterior))
        return X @ expected[..., 0].T + (1 - X) @ expected[..., 1].T

    def kl(self, posterior):
        return dirichlet_kl(self._pairs(*posterior), self._pairs(self.a, self.b)).sum(axis=1)

    def log_predictive(self, X, posterior):
        """Bernoulli of the mean a_j / (a_j + b_j)."""
        return self.log_density(X, posterior.a / (posterior.a + posterior.b))

    def draw(self, posterior, rng):
        """Probabilities of 1, (K, d)."""
        return rng.beta(posterior.a, posterior.b)

    def log_density(self, X, parameters):
        return X @ np.log(parameters).T + (1 - X) @ np.log1p(-parameters).T


class DirichletCategorical(_Summed):
    """Column j's probabilities ~ Dirichlet(alpha[j]); alpha is a list of arrays, one for each column. Rows hold
    category numbers from 0. A posterior is a list too, of (K, categories)."""

    def __init__(self, alpha):
        self.alpha = [np.asarray(column, dtype=np.float64) for column in alpha]

    def rows(self, X):
        """Ones at the categories, columns side by side."""
        ones = [np.equal.outer(X[:, j], np.arange(len(alpha))) for j, alpha in enumerate(self.alpha)]
        return np.hstack(ones).astype(np.float64)

    def posterior(self, statistics):
        ends = np.cumsum([len(alpha) for alpha in self.alpha])[:-1]
        columns = np.split(statistics.sums, ends, axis=1)
        return [alpha + sums for alpha, sums in zip(self.alpha, columns, strict=True)]

    def log_evidence(self, statistics):
        """sum_j log B(alpha_j + s_j) - log B(alpha_j)"""
        pairs = zip(self.posterior(statistics), self.alpha, strict=True)
        return sum(log_beta(posterior) - log_beta(alpha) for posterior, alpha in pairs)

    def expected_log_density(self, X, posterior):
        """sum_j psi(alpha_j at x_j) - psi(sum alpha_j)"""
        return self.rows(X) @ np.hstack([dirichlet_expected_log(column) for column in posterior]).T

    def kl(self, posterior):
        return sum(dirichlet_kl(column, alpha) for column, alpha in zip(posterior, self.alpha, strict=True))

    def log_predictive(self, X, posterior):
        """Categorical of the means."""
        return self.log_density(X, [column / column.sum(axis=1, keepdims=True) for column in posterior])

    def draw(self, posterior, rng):
        """A list of probabilities, (K, categories)."""
        return [np.array([rng.dirichlet(row) for row in column]) for column in posterior]

    def log_density(self, X, parameters):
        return self.rows(X) @ np.hstack([np.log(column) for column in parameters]).T


class DirichletMultinomial(_Summed):
    """Probabilities ~ Dirichlet(alpha), alpha (d,); rows are counts, whose totals are given."""

    def __init__(self, alpha):
        self.alpha = np.asarray(alpha, dtype=np.float64)

    def log_bases(self, X):
        """log of the multinomial coefficient"""
        return gammaln(X.sum(axis=1) + 1) - gammaln(X + 1).sum(axis=1)

    def posterior(self, statistics):
        """Concentrations (K, d)."""
        return self.alpha + statistics.sums

    def log_evidence(self, statistics):
        """log B(alpha + s) - log B(alpha) + the coefficients"""
        return log_beta(self.posterior(statistics)) - log_beta(self.alpha) + statistics.log_bases

    def expected_log_density(self, X, posterior):
        return X @ dirichlet_expected_log(posterior).T + self.log_bases(X)[:, np.newaxis]

    def kl(self, posterior):
        return dirichlet_kl(posterior, self.alpha)

    def log_predictive(self, X, posterior):
        """Dirichlet-multinomial: log B(alpha_k + x) - log B(alpha_k) + the coefficient"""
        return log_beta(posterior + X[:, np.newaxis]) - log_beta(posterior) + self.log_bases(X)[:, np.newaxis]

    def draw(self, posterior, rng):
        """Probabilities (K, d)."""
        return np.array([rng.dirichlet(row) for row in posterior])

    def log_density(self, X, parameters):
        return X @ np.log(parameters).T + self.log_bases(X)[:, np.newaxis]


class _GammaRates(_Summed):
    """Rates l_j ~ Gamma(shape, rate) independently; shape and rate are numbers or (d,)."""

    def __init__(self, shape, rate):
        self.shape, self.rate = np.asarray(shape, dtype=np.float64), np.asarray(rate, dtype=np.float64)

    def log_evidence(self, statistics):
        """sum_j log Z(shape_j, rate_j) - log Z(shape, rate) + bases, Z = Gamma(shape) rate^-shape"""
        posterior = gamma_log_normaliser(*self.posterior(statistics))
        return (posterior - gamma_log_normaliser(self.shape, self.rate)).sum(axis=1) + statistics.log_bases

    def kl(self, posterior):
        return gamma_kl(*posterior, self.shape, self.rate).sum(axis=1)

    def draw(self, posterior, rng):
        """Rates (K, d)."""
        return rng.gamma(posterior.shape) / posterior.rate


class GammaPoisson(_GammaRates):
    """Independent Poisson counts of rates l_j."""

    def log_bases(self, X):
        """-sum_j log x_j!"""
        return -gammaln(X + 1).sum(axis=1)

    def posterior(self, statistics):
        shape = self.shape + statistics.sums
        return GammaPosterior(shape, np.broadcast_to(self.rate + statistics.counts[:, np.newaxis], shape.shape))

    def expected_log_density(self, X, posterior):
        """sum_j x_j [psi(shape_j) - log rate_j] - shape_j/rate_j - log x_j!"""
        shape, rate = posterior
        linear = X @ gamma_expected_log(shape, rate).T
        return linear - (shape / rate).sum(axis=1) + self.log_bases(X)[:, np.newaxis]

    def log_predictive(self, X, posterior):
        """Negative binomial: Gamma(shape + x) / (Gamma(shape) x!) (rate/(rate+1))^shape (1/(rate+1))^x"""
        shape, rate = posterior
        X = X[:, np.newaxis]
        terms = gammaln(shape + X) - gammaln(shape) - gammaln(X + 1)
        return (terms + shape * np.log(rate) - (shape + X) * np.log1p(rate)).sum(axis=2)

    def log_density(self, X, parameters):
        return X @ np.log(parameters).T - parameters.sum(axis=1) + self.log_bases(X)[:, np.newaxis]


class GammaExponential(_GammaRates):
    """Independent exponential columns of density l_j exp(-l_j x_j), x_j >= 0."""

    def posterior(self, statistics):
        rate = self.rate + statistics.sums
        return GammaPosterior(np.broadcast_to(self.shape + statistics.counts[:, np.newaxis], rate.shape), rate)

    def expected_log_density(self, X, posterior):
        """sum_j psi(shape_j) - log rate_j - x_j shape_j/rate_j"""
        shape, rate = posterior
        return gamma_expected_log(shape, rate).sum(axis=1) - X @ (shape / rate).T

    def log_predictive(self, X, posterior):
        """Lomax: shape rate^shape / (rate + x)^(shape + 1)"""
        shape, rate = posterior
        terms = np.log(shape / rate) - (shape + 1) * np.log1p(X[:, np.newaxis] / rate)
        return terms.sum(axis=2)

    def log_density(self, X, parameters):
        return np.log(parameters).sum(axis=1) - X @ parameters.T
