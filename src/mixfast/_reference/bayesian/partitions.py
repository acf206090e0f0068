"""Partitions of rows: priors of Gibbs type, exact posteriors by enumeration, the partition that stands for draws.

A prior of Gibbs type gives a partition of n rows into K clusters of sizes n_k the probability

    V(n, K) prod_k Gamma(n_k + c)

(Gnedin & Pitman 2006); Dirichlet process, Pitman-Yor process and mixtures of finite mixtures differ in c and V only.
Here V contains all constants, so that probabilities of partitions sum to 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import entr, gammaln, logsumexp

# ---- priors of partitions -------------------------------------------------------------------------------------------


class _GibbsType:
    def log_v_ratio(self, n, n_clusters):
        """log V(n, K+1) - log V(n, K)"""
        return self.log_v(n, n_clusters + 1) - self.log_v(n, n_clusters)

    def log_probability(self, sizes):
        """log p of a partition into clusters of these sizes."""
        sizes = np.asarray(sizes)
        return self.log_v(sizes.sum(), len(sizes)) + gammaln(sizes + self.c).sum()


class DirichletProcess(_GibbsType):
    """c = 0, V = alpha^K Gamma(alpha)/Gamma(alpha + n)"""

    c = 0.0

    def __init__(self, alpha):
        self.alpha = float(alpha)

    def log_v(self, n, n_clusters):
        return n_clusters * np.log(self.alpha) + gammaln(self.alpha) - gammaln(self.alpha + n)


class PitmanYor(_GibbsType):
    """c = -sigma, V = prod_{i=1..K-1} (alpha + i sigma) Gamma(alpha + 1)/Gamma(alpha + n) Gamma(1 - sigma)^-K; discount
    sigma in [0, 1), alpha > -sigma (Pitman 2006, 3.2)"""

    def __init__(self, alpha, sigma):
        self.alpha, self.sigma = float(alpha), float(sigma)
        self.c = -self.sigma

    def log_v(self, n, n_clusters):
        grown = np.log(self.alpha + self.sigma * np.arange(1, n_clusters)).sum()
        constant = gammaln(self.alpha + 1) - gammaln(self.alpha + n)
        return grown + constant - n_clusters * gammaln(1 - self.sigma)


class MixtureOfFiniteMixtures(_GibbsType):
    """c = gamma, V = V_n(K) Gamma(gamma)^-K with V_n(t) = sum_{k>=t} p(k) k!/(k-t)! Gamma(gamma k)/Gamma(gamma k + n)
    (Miller & Harrison 2018, 3.2): the number of components is k with probability p(k), their weights Dirichlet(gamma).

    log_prior holds log p(1), log p(2), ... as far as the sum shall go.
    """

    def __init__(self, gamma, log_prior):
        self.gamma, self.log_prior = float(gamma), np.asarray(log_prior, dtype=np.float64)
        self.c = self.gamma

    def log_v(self, n, n_clusters):
        if n_clusters > len(self.log_prior):
            return -np.inf
        k = np.arange(n_clusters, len(self.log_prior) + 1)
        placed = gammaln(k + 1) - gammaln(k - n_clusters + 1)
        weights = gammaln(self.gamma * k) - gammaln(self.gamma * k + n)
        terms = self.log_prior[n_clusters - 1 :] + placed + weights
        return logsumexp(terms) - n_clusters * gammaln(self.gamma)


def geometric_log_prior(n_terms=1000):
    """log 2^-k, k = 1, 2, ..."""
    return -np.log(2) * np.arange(1, n_terms + 1)


def uniform_log_prior(most):
    """Of 1 to `most` components, all as likely."""
    return np.full(most, -np.log(most))


def draw_concentration(alpha, n, n_clusters, shape, rate, rng):
    """Next alpha of a Dirichlet process, given n rows in K clusters and alpha ~ Gamma(shape, rate) (Escobar & West
    1995, section 6): eta ~ Beta(alpha + 1, n), then alpha ~ Gamma(shape + K, rate - log eta) with the odds
    (shape + K - 1) / (n (rate - log eta)), else Gamma(shape + K - 1, rate - log eta)."""
    rate = rate - np.log(rng.beta(alpha + 1, n))
    odds = (shape + n_clusters - 1) / (n * rate)
    more = rng.random() * (1 + odds) < odds
    return rng.gamma(shape + n_clusters - (not more)) / rate


# ---- all partitions -------------------------------------------------------------------------------------------------


def all_partitions(n):
    """Labels (Bell(n), n), clusters numbered in order of their first row."""
    labels = np.zeros((1, 1), dtype=int)
    for _ in range(n - 1):
        choices = labels.max(axis=1) + 2
        grown = np.repeat(labels, choices, axis=0)
        starts = np.cumsum(choices) - choices
        labels = np.column_stack([grown, np.arange(len(grown)) - np.repeat(starts, choices)])
    return labels


class PartitionPosterior(NamedTuple):
    """log p(X), all partitions as labels (B, n), and their probabilities (B,)."""

    log_evidence: float
    labels: np.ndarray
    probabilities: np.ndarray

    def n_clusters(self):
        """P(K = 1), P(K = 2), ..., P(K = n)"""
        return np.bincount(self.labels.max(axis=1), self.probabilities, minlength=self.labels.shape[1])

    def coclustering(self):
        """Probability that two rows are in one cluster, (n, n)."""
        together = self.labels[:, :, np.newaxis] == self.labels[:, np.newaxis, :]
        return np.tensordot(self.probabilities, together, axes=1)


def enumerate_partitions(X, prior, process):
    """Exact posterior of the partition: p(partition) prod_k f(rows of k) over all of them. For small n, and for priors
    whose `log_evidence` is of each component by itself."""
    n = len(X)
    labels = all_partitions(n)
    # log f of each set of rows, which is the number of its bits
    bits = (np.arange(2**n) >> np.arange(n)[:, np.newaxis]) & 1
    evidence = prior.log_evidence(prior.statistics(X, bits.astype(np.float64)))
    evidence += gammaln(bits.sum(axis=0) + process.c, where=bits.any(axis=0), out=np.zeros(2**n))
    evidence[0] = 0  # no cluster
    sets = (np.equal.outer(labels, np.arange(n)) << np.arange(n)[:, np.newaxis]).sum(axis=1)  # (B, n clusters)
    log_v = np.array([process.log_v(n, k) for k in range(1, n + 1)])
    joint = log_v[labels.max(axis=1)] + evidence[sets].sum(axis=1)
    total = logsumexp(joint)
    return PartitionPosterior(total, labels, np.exp(joint - total))


# ---- the partition that stands for draws ----------------------------------------------------------------------------


def variation_of_information(first, second):
    """2 H(first, second) - H(first) - H(second), in nats (Meila 2007); of labels (n,), or each of first (B, n)."""
    first = np.atleast_2d(first)
    n, width = len(second), second.max() + 1
    joint = _entropies(first * width + second, n)
    return 2 * joint - _entropies(first, n) - _entropies(np.atleast_2d(second), n)


def _entropies(codes, n):
    """Entropy of each row of codes >= 0, (B,)."""
    width = codes.max() + 1
    counts = np.bincount((codes + width * np.arange(len(codes))[:, np.newaxis]).ravel(), minlength=width * len(codes))
    return entr(counts.reshape(-1, width) / n).sum(axis=1)


def expected_vi(labels_draws):
    """Mean variation of information of each draw (B, n) from all draws, (B,), in nats."""
    return np.array([variation_of_information(labels_draws, labels).mean() for labels in labels_draws])


def point_partition(labels_draws):
    """Number of the draw of least expected variation of information, the first of several (Wade & Ghahramani 2018)."""
    return int(np.argmin(expected_vi(labels_draws)))


def approach_draws(labels, labels_draws):
    """Labels (n,) after rows have moved, one by one, to the cluster in which the mean variation of information from
    draws (B, n) is least, until none does (Rastelli & Friel 2018)."""
    labels, n = np.array(labels), len(labels)
    least, has_moved = variation_of_information(labels_draws, labels).mean(), True
    while has_moved:
        has_moved = False
        for row in range(n):
            for k in np.unique(labels):
                moved = np.where(np.arange(n) == row, k, labels)
                distance = variation_of_information(labels_draws, moved).mean()
                if distance < least - 1e-10:
                    labels, least, has_moved = moved, distance, True
    return labels
