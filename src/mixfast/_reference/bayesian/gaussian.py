"""Conjugate priors of normal components, with full, tied, diagonal and spherical covariances.

All four have the parameters m0, kappa0, nu0, Psi0 and follow one convention, scikit-learn's: of the precision matrix L,
whatever its form, the prior density is proportional to

    |L|^(nu/2) exp(-tr(Psi L)/2)   times a power of |L| that depends on the form and on d alone,

and the mean is N(m, (kappa L)^-1) given L. So E L = (Psi/nu)^-1 and `covariances_` = Psi/nu for all of them. In terms
of Gamma distributions (shape, rate):

    full, tied  L ~ Wishart(nu, Psi^-1); Psi (d, d) is what scikit-learn calls `covariance_prior`, nu > d - 1
    diagonal    l_j ~ Gamma(nu/2, rate Psi_j/2) independently; Psi (d,)
    spherical   l ~ Gamma(d nu/2, rate d Psi/2); Psi a scalar

Rows add one each to nu. A spherical component's single precision has d nu = d nu0 + n d degrees of freedom: nu counts
rows, and Psi is the mean over columns. With one column all four are the same.

Updates (Murphy 2012, 4.6.3; Bishop 2006, 10.60-10.63), with x the weighted mean, S the scatter about it:

    kappa = kappa0 + n,  m = m0 + n/kappa (x - m0),  nu = nu0 + n,  Psi = Psi0 + S + kappa0 n/kappa (x - m0)(x - m0)'

where diagonal takes the diagonal of Psi, spherical its mean, and tied the sum over components.

scikit-learn 1.9 differs in `tied` (nu0 + n/K, S/K), and in the digammas of `diag` and `spherical`, which are those of a
Wishart distribution; its updates of m, kappa, nu and Psi for `full`, `diag` and `spherical` are these.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import digamma, gammaln
from scipy.stats import invwishart

from mixfast._reference.bayesian.distributions import (
    gamma_log_normaliser,
    log_determinant,
    wishart_expected_log_determinant,
    wishart_log_normaliser,
)


class Moments(NamedTuple):
    """counts (K,), weighted means (K, d) and scatters about them (K, ...)."""

    counts: np.ndarray
    means: np.ndarray
    scatters: np.ndarray


class NormalPosterior(NamedTuple):
    """kappa (K,), m (K, d), nu (K,) and Psi (K, ...); tied has nu (1,) and Psi (1, d, d)."""

    kappa: np.ndarray
    m: np.ndarray
    nu: np.ndarray
    Psi: np.ndarray


class NormalParameters(NamedTuple):
    """Means (K, d) and covariances (K, ...) of a draw; tied has covariances (1, d, d)."""

    means: np.ndarray
    covariances: np.ndarray


def _log_t(df, n_features, log_scale_determinant, ratio):
    """Student t of n_features dimensions; ratio is the squared distance in the scale, over df."""
    result = gammaln((df + n_features) / 2) - gammaln(df / 2) - n_features / 2 * np.log(df * np.pi)
    return result - log_scale_determinant / 2 - (df + n_features) / 2 * np.log1p(ratio)


class _Normal:
    """What the four have in common. Each adds what depends on the form of Psi:

    _squares(delta)        (..., d) -> the part of delta delta' that Psi keeps, (..., *form)
    _log_normaliser(nu, Psi), _expected_log_determinant(nu, Psi)      of the precision's distribution, (K,)
    _log_determinant(Psi)  of Psi as a d x d matrix, (K,)
    _distances(delta, Psi) (n, K, d), (K, *form) -> delta' Psi^-1 delta, (n, K)
    _trace(Psi0, Psi)      tr(Psi0 Psi^-1), (K,)
    """

    def __init__(self, m0, kappa0, nu0, Psi0):
        self.m0 = np.atleast_1d(np.asarray(m0, dtype=np.float64))
        self.kappa0, self.nu0 = float(kappa0), float(nu0)
        self.Psi0 = np.asarray(Psi0, dtype=np.float64)
        self.n_features = len(self.m0)

    def rows(self, X):
        """What a row adds to the sums: itself."""
        return X

    # ---- statistics ----

    def statistics(self, X, resp):
        """Moments of rows X (n, d) with responsibilities (n, K), times sample weights where rows have some."""
        counts = resp.sum(axis=0)
        # a component without rows has the prior's mean, which changes nothing
        means = np.tile(self.m0, (len(counts), 1))
        used = counts > 0
        means[used] += resp.T[used] @ (X - self.m0) / counts[used, np.newaxis]
        # the sums above round by the distance from m0: once more from where they are
        for k in np.flatnonzero(used):
            means[k] += resp[:, k] @ (X - means[k]) / counts[k]
        form = np.shape(self.Psi0)
        scatters = [np.tensordot(r, self._squares(X - mean), axes=1) for r, mean in zip(resp.T, means, strict=True)]
        return Moments(counts, means, np.reshape(scatters, (len(counts), *form)))

    def add(self, first, second):
        """Statistics of two disjoint sets of rows together (Chan, Golub & LeVeque 1979)."""
        counts = first.counts + second.counts
        share = np.divide(second.counts, counts, out=np.zeros_like(counts), where=counts > 0)
        delta = second.means - first.means
        means = first.means + share[:, np.newaxis] * delta
        between = self._per_component(first.counts * share) * self._squares(delta)
        return Moments(counts, means, first.scatters + second.scatters + between)

    def _per_component(self, values):
        return np.reshape(values, (-1, *(1,) * self.Psi0.ndim))

    # ---- the posterior ----

    def posterior(self, statistics):
        counts, means, scatters = statistics
        kappa = self.kappa0 + counts
        share = counts / kappa
        delta = means - self.m0
        between = self._per_component(self.kappa0 * share) * self._squares(delta)
        nu, Psi = self._pool(counts, scatters + between)
        return NormalPosterior(kappa, self.m0 + share[:, np.newaxis] * delta, self.nu0 + nu, self.Psi0 + Psi)

    def _pool(self, counts, scatters):
        return counts, scatters

    def _total(self, of_components, of_precisions):
        """What components and precisions give, together: (K,), for tied a number."""
        return of_components + of_precisions

    def covariances(self, posterior):
        """Psi / nu, in scikit-learn's `covariances_`; tied without its first axis there."""
        return posterior.Psi / self._per_component(posterior.nu)

    # ---- expectations ----

    def log_evidence(self, statistics):
        """log f = log Z(posterior) - log Z(prior) - n d/2 log 2 pi, with Z the integral of the unnormalised density of
        mean and precision: Z = (2 pi/kappa)^(d/2) Z_precision(nu, Psi)."""
        posterior = self.posterior(statistics)
        prior = self._log_normaliser(np.array([self.nu0]), self.Psi0[np.newaxis])
        means = self.n_features / 2 * (np.log(self.kappa0 / posterior.kappa) - statistics.counts * np.log(2 * np.pi))
        return self._total(means, self._log_normaliser(posterior.nu, posterior.Psi) - prior)

    def expected_log_density(self, X, posterior):
        """E log N(x; mu_k, L_k^-1) = 1/2 [E log|L| - d log 2 pi - d/kappa - nu (x-m)' Psi^-1 (x-m)], (n, K)
        (Bishop 2006, 10.64-10.65)."""
        kappa, m, nu, Psi = posterior
        constant = self._expected_log_determinant(nu, Psi) - self.n_features * (np.log(2 * np.pi) + 1 / kappa)
        return 0.5 * (constant - nu * self._distances(X[:, np.newaxis] - m, Psi))

    def kl(self, posterior):
        """KL(q(mu, L) || p(mu, L)) = d/2 [kappa0/kappa - 1 + log(kappa/kappa0)] + kappa0 nu/2 (m-m0)' Psi^-1 (m-m0)
        + log Z(nu0, Psi0) - log Z(nu, Psi) + (nu-nu0)/2 E log|L| + nu/2 [tr(Psi0 Psi^-1) - d]."""
        kappa, m, nu, Psi = posterior
        d = self.n_features
        ratio = self.kappa0 / kappa
        means = d / 2 * (ratio - 1 - np.log(ratio))
        means = means + self.kappa0 * nu / 2 * self._distances((m - self.m0)[np.newaxis], Psi)[0]
        prior = self._log_normaliser(np.array([self.nu0]), self.Psi0[np.newaxis])
        precisions = prior - self._log_normaliser(nu, Psi)
        precisions = precisions + (nu - self.nu0) / 2 * self._expected_log_determinant(nu, Psi)
        precisions = precisions + nu / 2 * (self._trace(self.Psi0[np.newaxis], Psi) - d)
        return self._total(means, precisions)

    def log_predictive_of_new(self, X, posterior):
        """Predictive density (n,) of a component that has no rows yet: the prior's."""
        none = self.posterior(self.statistics(X[:0], np.zeros((0, 1))))
        return self.log_predictive(X, none)[:, 0]

    # ---- draws ----

    def draw(self, posterior, rng):
        covariances = self._draw_covariances(posterior.nu, posterior.Psi, rng)
        noise = rng.standard_normal(posterior.m.shape) / np.sqrt(posterior.kappa)[:, np.newaxis]
        return NormalParameters(posterior.m + self._coloured(noise, covariances), covariances)

    def log_density(self, X, parameters):
        """log N(x; mu_k, Sigma_k), (n, K)."""
        means, covariances = parameters
        constant = self.n_features * np.log(2 * np.pi) + self._log_determinant(covariances)
        return -0.5 * (constant + self._distances(X[:, np.newaxis] - means, covariances))


class NormalInverseWishart(_Normal):
    """Full covariances: Sigma ~ IW(nu0, Psi0), mu ~ N(m0, Sigma/kappa0); Psi0 (d, d), nu0 > d - 1."""

    def _squares(self, delta):
        return delta[..., :, np.newaxis] * delta[..., np.newaxis, :]

    def _log_normaliser(self, nu, Psi):
        return wishart_log_normaliser(nu, Psi)

    def _expected_log_determinant(self, nu, Psi):
        return wishart_expected_log_determinant(nu, Psi)

    def _log_determinant(self, Psi):
        return log_determinant(Psi)

    def _distances(self, delta, Psi):
        Psi = np.broadcast_to(Psi, (delta.shape[1], *Psi.shape[1:]))
        solved = np.linalg.solve(np.linalg.cholesky(Psi), delta.transpose(1, 2, 0))  # (K, d, n)
        return (solved**2).sum(axis=1).T

    def _trace(self, Psi0, Psi):
        return np.trace(np.linalg.solve(Psi, np.broadcast_to(Psi0, Psi.shape)), axis1=-2, axis2=-1)

    def log_predictive(self, X, posterior):
        """t(x; nu-d+1, m, Psi (kappa+1)/(kappa (nu-d+1))), (n, K) (Murphy 2012, 4.222)."""
        kappa, m, nu, Psi = posterior
        d = self.n_features
        df, widening = nu - d + 1, (kappa + 1) / kappa
        determinant = self._log_determinant(Psi) + d * np.log(widening / df)
        return _log_t(df, d, determinant, self._distances(X[:, np.newaxis] - m, Psi) / widening)

    def _draw_covariances(self, nu, Psi, rng):
        draws = [invwishart(df, scale).rvs(random_state=rng) for df, scale in zip(nu, Psi, strict=True)]
        return np.reshape(draws, Psi.shape)

    def _coloured(self, noise, covariances):
        return (np.linalg.cholesky(covariances) @ noise[..., np.newaxis])[..., 0]


class TiedNormalInverseWishart(NormalInverseWishart):
    """One Sigma ~ IW(nu0, Psi0) for all components, mu_k ~ N(m0, Sigma/kappa0): nu = nu0 + sum_k n_k, Psi = Psi0 + the
    sum over components. `log_evidence` and `kl` are totals."""

    def _pool(self, counts, scatters):
        return counts.sum(keepdims=True), scatters.sum(axis=0, keepdims=True)

    def _total(self, of_components, of_precisions):
        return np.sum(of_components) + np.sum(of_precisions)

    def log_predictive_of_new(self, X, posterior):
        """A new component has the prior's mean, but the covariance that all share."""
        none = posterior._replace(kappa=np.array([self.kappa0]), m=self.m0[np.newaxis])
        return self.log_predictive(X, none)[:, 0]


class NormalGamma(_Normal):
    """Diagonal covariances: l_j ~ Gamma(nu0/2, rate Psi0_j/2), mu_j ~ N(m0_j, 1/(kappa0 l_j)); Psi0 (d,), nu0 > 0."""

    def _squares(self, delta):
        return delta**2

    def _log_normaliser(self, nu, Psi):
        return gamma_log_normaliser(nu[:, np.newaxis] / 2, Psi / 2).sum(axis=1)

    def _expected_log_determinant(self, nu, Psi):
        return self.n_features * digamma(nu / 2) - np.log(Psi / 2).sum(axis=1)

    def _log_determinant(self, Psi):
        return np.log(Psi).sum(axis=1)

    def _distances(self, delta, Psi):
        return (delta**2 / Psi).sum(axis=2)

    def _trace(self, Psi0, Psi):
        return (Psi0 / Psi).sum(axis=1)

    def log_predictive(self, X, posterior):
        """prod_j t(x_j; nu, m_j, Psi_j (kappa+1)/(kappa nu)), (n, K)."""
        kappa, m, nu, Psi = (np.reshape(part, (len(part), -1)) for part in posterior)
        widening = (kappa + 1) / kappa
        ratio = (X[:, np.newaxis] - m) ** 2 / (Psi * widening)
        return _log_t(nu, 1, np.log(Psi * widening / nu), ratio).sum(axis=2)

    def _draw_covariances(self, nu, Psi, rng):
        return Psi / 2 / rng.gamma(np.broadcast_to(nu[:, np.newaxis] / 2, Psi.shape))

    def _coloured(self, noise, covariances):
        return np.sqrt(covariances) * noise


class SphericalNormalGamma(_Normal):
    """Spherical covariances: l ~ Gamma(d nu0/2, rate d Psi0/2), mu ~ N(m0, I/(kappa0 l)); Psi0 a number, nu0 > 0."""

    def _squares(self, delta):
        return (delta**2).mean(axis=-1)

    def _log_normaliser(self, nu, Psi):
        return gamma_log_normaliser(self.n_features * nu / 2, self.n_features * Psi / 2)

    def _expected_log_determinant(self, nu, Psi):
        d = self.n_features
        return d * (digamma(d * nu / 2) - np.log(d * Psi / 2))

    def _log_determinant(self, Psi):
        return self.n_features * np.log(Psi)

    def _distances(self, delta, Psi):
        return (delta**2).sum(axis=2) / Psi

    def _trace(self, Psi0, Psi):
        return self.n_features * Psi0 / Psi

    def log_predictive(self, X, posterior):
        """t(x; d nu, m, I Psi (kappa+1)/(kappa nu)), (n, K)."""
        kappa, m, nu, Psi = posterior
        d = self.n_features
        widening = (kappa + 1) / kappa
        determinant = d * np.log(Psi * widening / nu)
        return _log_t(d * nu, d, determinant, self._distances(X[:, np.newaxis] - m, Psi * widening) / d)

    def _draw_covariances(self, nu, Psi, rng):
        return self.n_features * Psi / 2 / rng.gamma(self.n_features * nu / 2)

    def _coloured(self, noise, covariances):
        return np.sqrt(covariances)[:, np.newaxis] * noise
