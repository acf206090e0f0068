"""Priors of a mixture's weights: the symmetric Dirichlet distribution, and the sticks of a Dirichlet process.

Both have the same methods. `posterior(counts)` is q of the weights, given the sums of responsibilities (K,); `W(n)`,
`log_evidence(counts)`, is what the weights add to the evidence lower bound once q is that posterior. `order(counts)` is
the order of components in which W is highest; `updated(counts)` are the proportions with what is learned about their
own parameters, if anything.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import betaln, digamma, gammaln

from mixfast._reference.bayesian.distributions import (
    dirichlet_expected_log,
    dirichlet_kl,
    gamma_expected_log,
    gamma_kl,
)


class SymmetricDirichlet:
    """weights ~ Dirichlet(alpha, ..., alpha), alpha for each component. The posterior is alpha + n, (K,)."""

    def __init__(self, alpha):
        self.alpha = float(alpha)

    def posterior(self, counts):
        return self.alpha + counts

    def expected_log_weights(self, posterior):
        return dirichlet_expected_log(posterior)

    def expected_weights(self, posterior):
        return posterior / posterior.sum()

    def remaining(self, posterior):
        """Expected weight of components beyond the K present."""
        return 0.0

    def kl(self, posterior):
        return dirichlet_kl(posterior, self.alpha)

    def log_evidence(self, counts):
        """W(n) = log[Gamma(K alpha)/Gamma(K alpha + n)] + sum_k log[Gamma(alpha + n_k)/Gamma(alpha)]"""
        total = len(counts) * self.alpha
        each = gammaln(self.alpha + counts) - gammaln(self.alpha)
        return gammaln(total) - gammaln(total + counts.sum()) + each.sum()

    def order(self, counts):
        """Any order is as good."""
        return np.arange(len(counts))

    def updated(self, counts):
        return self


class SticksPosterior(NamedTuple):
    """v_k ~ Beta(a_k, b_k), (K,) both."""

    a: np.ndarray
    b: np.ndarray


class Sticks:
    """Dirichlet process: weight k is v_k prod_{j<k} (1 - v_j), v_k ~ Beta(1, alpha), all K of them free (Blei & Jordan
    2006, truncated as Kurihara, Welling & Vlassis 2007: the sticks beyond keep their prior)."""

    def __init__(self, alpha):
        self.alpha = float(alpha)

    def posterior(self, counts):
        """a_k = 1 + n_k, b_k = alpha + n_{>k}"""
        behind = np.append(np.cumsum(counts[:0:-1])[::-1], 0.0)
        return SticksPosterior(1 + counts, self.alpha + behind)

    @staticmethod
    def _expected_logs(posterior):
        """E log v_k, E log(1 - v_k)"""
        both = digamma(posterior.a + posterior.b)
        return digamma(posterior.a) - both, digamma(posterior.b) - both

    def expected_log_weights(self, posterior):
        stick, rest = self._expected_logs(posterior)
        return stick + np.append(0.0, np.cumsum(rest)[:-1])

    def expected_weights(self, posterior):
        a, b = posterior
        rest = np.cumprod(b / (a + b))
        return a / (a + b) * np.append(1.0, rest[:-1])

    def remaining(self, posterior):
        """Expected weight of the sticks beyond the K present."""
        return np.prod(posterior.b / (posterior.a + posterior.b))

    def kl(self, posterior):
        return dirichlet_kl(np.stack(posterior, axis=-1), np.array([1.0, self.alpha])).sum()

    def log_evidence(self, counts):
        """W(n) = sum_k log B(1 + n_k, alpha + n_{>k}) + log alpha"""
        return (betaln(*self.posterior(counts)) + np.log(self.alpha)).sum()

    def order(self, counts):
        """Descending, equal counts as they were: W is highest there."""
        return np.argsort(-counts, kind="stable")

    def updated(self, counts):
        return self


class SticksOfUnknownConcentration(Sticks):
    """Sticks with alpha ~ Gamma(shape, rate). q(alpha) is Gamma(*q), the prior unless given, and sticks see E alpha.

    W(n) = sum_k [log B(1 + n_k, E alpha + n_{>k}) + E log alpha] - KL(q(alpha) || p(alpha)): the expected log density
    of the sticks has E alpha and E log alpha only (Blei & Jordan 2006, appendix).
    """

    def __init__(self, shape, rate, q=None):
        self.shape, self.rate = float(shape), float(rate)
        self.q = (self.shape, self.rate) if q is None else q
        super().__init__(self.q[0] / self.q[1])  # E alpha

    def _of_alpha(self, n_sticks):
        """What W has beside that of sticks with alpha = E alpha."""
        gap = gamma_expected_log(*self.q) - np.log(self.alpha)
        return n_sticks * gap - gamma_kl(*self.q, self.shape, self.rate)

    def log_evidence(self, counts):
        return super().log_evidence(counts) + self._of_alpha(len(counts))

    def kl(self, posterior):
        """E over q(alpha) of KL(q(v) || p(v | alpha)), and KL(q(alpha) || p(alpha))"""
        return super().kl(posterior) - self._of_alpha(len(posterior.a))

    def updated(self, counts):
        """q(alpha) = Gamma(shape + K, rate - sum_k E log(1 - v_k)), v from the present E alpha."""
        rest = self._expected_logs(self.posterior(counts))[1]
        q = (self.shape + len(counts), self.rate - rest.sum())
        return SticksOfUnknownConcentration(self.shape, self.rate, q)
