"""Variational Bayes of mixtures: the evidence lower bound as a function of responsibilities, and coordinate ascent.

With q of parameters and weights at their best for responsibilities r, the bound is

    L(r) = sum_k log f(statistics of k) + W(counts) + H(r),   H(r) = -sum_ik r_ik log r_ik

(Hughes & Sudderth 2013, for memoised inference). Sample weights multiply statistics and entropy: a weight of 2 is a row
given twice.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import entr, logsumexp


def _weighted(resp, weights):
    return resp if weights is None else resp * weights[:, np.newaxis]


def entropy(resp, weights=None):
    """H(r), of responsibilities 0 it is 0."""
    return _weighted(entr(resp), weights).sum()


def elbo(resp, X, prior, proportions, weights=None):
    """L(r), in nats, summed over rows."""
    shares = _weighted(resp, weights)
    evidence = np.sum(prior.log_evidence(prior.statistics(X, shares)))
    return evidence + proportions.log_evidence(shares.sum(axis=0)) + entropy(resp, weights)


def elbo_by_terms(resp, X, prior, proportions, weights=None):
    """The same by its definition, E_q log p(X, z, parameters, weights) - E_q log q."""
    shares = _weighted(resp, weights)
    posterior = prior.posterior(prior.statistics(X, shares))
    sticks = proportions.posterior(shares.sum(axis=0))
    rows = prior.expected_log_density(X, posterior) + proportions.expected_log_weights(sticks)
    divergence = np.sum(prior.kl(posterior)) + proportions.kl(sticks)
    return (shares * rows).sum() - divergence + entropy(resp, weights)


class Pass(NamedTuple):
    """New responsibilities, and the bound at these and the old q of parameters and weights."""

    resp: np.ndarray
    elbo: float


def variational_pass(resp, X, prior, proportions, weights=None):
    """M-step from responsibilities, E-step to new ones. The bound in between costs nothing: the sum over rows of the
    log of sum_k exp(E log pi_k + E log p_k), less KL(q || p) of parameters and weights."""
    shares = _weighted(resp, weights)
    posterior = prior.posterior(prior.statistics(X, shares))
    sticks = proportions.posterior(shares.sum(axis=0))
    rows = prior.expected_log_density(X, posterior) + proportions.expected_log_weights(sticks)
    log_norm = logsumexp(rows, axis=1)
    divergence = np.sum(prior.kl(posterior)) + proportions.kl(sticks)
    total = log_norm.sum() if weights is None else weights @ log_norm
    return Pass(np.exp(rows - log_norm[:, np.newaxis]), total - divergence)


class Fit(NamedTuple):
    """The bound after each iteration, from the start on; responsibilities and proportions after the last."""

    elbo: list
    resp: np.ndarray
    proportions: object


def variational(X, resp, prior, proportions, n_iter, weights=None):
    """Coordinate ascent from given responsibilities. Each iteration updates, from the responsibilities: q of parameters
    and weights, the responsibilities, then what proportions learn about themselves."""
    bounds = [elbo(resp, X, prior, proportions, weights)]
    for _ in range(n_iter):
        resp = variational_pass(resp, X, prior, proportions, weights).resp
        proportions = proportions.updated(_weighted(resp, weights).sum(axis=0))
        bounds.append(elbo(resp, X, prior, proportions, weights))
    return Fit(bounds, resp, proportions)


def log_predictive(X_new, resp, X, prior, proportions, weights=None):
    """log density of new rows given X, (n,): sum_k E pi_k p_k(x) + E[rest] p_new(x), p_k the predictive densities."""
    shares = _weighted(resp, weights)
    posterior = prior.posterior(prior.statistics(X, shares))
    sticks = proportions.posterior(shares.sum(axis=0))
    with np.errstate(divide="ignore"):  # nothing may remain
        log_weights = np.log(np.append(proportions.expected_weights(sticks), proportions.remaining(sticks)))
    new = prior.log_predictive_of_new(X_new, posterior)
    return logsumexp(np.column_stack([prior.log_predictive(X_new, posterior), new]) + log_weights, axis=1)
