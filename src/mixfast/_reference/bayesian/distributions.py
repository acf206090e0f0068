"""Normalisers, expectations and Kullback-Leibler divergences of the distributions that parameters have."""

from __future__ import annotations

import numpy as np
from scipy.special import digamma, gammaln, multigammaln


def log_beta(concentrations):
    """log of prod_j Gamma(c_j) / Gamma(sum_j c_j), over the last axis."""
    return gammaln(concentrations).sum(axis=-1) - gammaln(concentrations.sum(axis=-1))


def dirichlet_expected_log(concentrations):
    """E log p_j = psi(c_j) - psi(sum_j c_j), over the last axis."""
    return digamma(concentrations) - digamma(concentrations.sum(axis=-1, keepdims=True))


def dirichlet_kl(concentrations, others):
    """KL(Dirichlet(c) || Dirichlet(c')) = log B(c') - log B(c) + sum_j (c_j - c'_j) E log p_j, over the last axis."""
    others = np.broadcast_to(others, np.shape(concentrations))
    terms = (concentrations - others) * dirichlet_expected_log(concentrations)
    return log_beta(others) - log_beta(concentrations) + terms.sum(axis=-1)


def gamma_log_normaliser(shape, rate):
    """log of the integral of x^(shape-1) exp(-rate x)."""
    return gammaln(shape) - shape * np.log(rate)


def gamma_expected_log(shape, rate):
    return digamma(shape) - np.log(rate)


def gamma_kl(shape, rate, other_shape, other_rate):
    """KL(Gamma(shape, rate) || Gamma(other_shape, other_rate)), elementwise."""
    normalisers = gamma_log_normaliser(other_shape, other_rate) - gamma_log_normaliser(shape, rate)
    tilt = (shape - other_shape) * gamma_expected_log(shape, rate)
    return normalisers + tilt + shape * (other_rate - rate) / rate


def log_determinant(matrices):
    """Of positive definite matrices (..., d, d), by Cholesky."""
    return 2 * np.log(np.diagonal(np.linalg.cholesky(matrices), axis1=-2, axis2=-1)).sum(axis=-1)


def wishart_log_normaliser(nu, Psi):
    """log of the integral of |L|^((nu-d-1)/2) exp(-tr(Psi L)/2) over precision matrices L:
    nu d/2 log 2 + log Gamma_d(nu/2) - nu/2 log|Psi|. nu (K,), Psi (K, d, d)."""
    d = Psi.shape[-1]
    return nu * d / 2 * np.log(2) + multigammaln(nu / 2, d) - nu / 2 * log_determinant(Psi)


def wishart_expected_log_determinant(nu, Psi):
    """E log|L| = sum_{j=1..d} psi((nu + 1 - j)/2) + d log 2 - log|Psi| (Bishop 2006, B.81)."""
    d = Psi.shape[-1]
    halves = (nu[..., np.newaxis] - np.arange(d)) / 2
    return digamma(halves).sum(axis=-1) + d * np.log(2) - log_determinant(Psi)
