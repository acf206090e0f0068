"""Twin of the pass and of the steps of EM (`_em.pyx`).

A twin family has `log_density(X, params)` (n, K), `accumulate(X, resp, weights, params)` and `maximise(counts, stats,
weights, params)`; parameters and statistics are tuples of arrays in the order of the compiled family's buffers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mixfast._reference.proportions import Free

#: A component with a smaller share of the weight is empty (EMPTY_SHARE in `_em.pyx`).
EMPTY_SHARE = 1e-250


class Gathered(NamedTuple):
    """What one pass adds up."""

    evidence: float
    n_impossible: int
    counts: np.ndarray
    stats: tuple


def weighted_log_density(X, log_weights, family, params):
    """log weight of k + log density of row i under k: (n, K)."""
    with np.errstate(divide="ignore"):
        return log_weights + family.log_density(X, params)


def share_softly(log_prob, allowed=None):
    """Responsibilities (n, K) and log densities (n,); impossible rows are shared equally. `allowed` (n, K), bool, says
    which components each row may be of."""
    if allowed is not None:
        log_prob = np.where(allowed, log_prob, -np.inf)
    top = log_prob.max(axis=1, initial=-np.inf)
    anchor = np.where(np.isneginf(top), 0, top)
    share = np.exp(log_prob - anchor[:, np.newaxis])
    total = share.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_norm = anchor + np.log(total)
        equally = np.ones(log_prob.shape) if allowed is None else allowed.astype(np.float64)
        equally /= equally.sum(axis=1, keepdims=True)
        resp = np.where(total[:, np.newaxis] > 0, share / total[:, np.newaxis], equally)
    return resp, log_norm


def share_hard(log_prob):
    """All of each row to its most likely component, the first of equals."""
    n_rows, n_components = log_prob.shape
    resp = np.zeros((n_rows, n_components))
    resp[np.arange(n_rows), log_prob.argmax(axis=1)] = 1
    top = log_prob.max(axis=1, initial=-np.inf)
    resp[np.isneginf(top)] = 1 / n_components
    return resp, top


def gather(X, sample_weight, weights, family, params, share=share_softly, proportions=Free()):  # noqa: B008
    """One pass: evidence, impossible rows, counts and statistics at the given parameters."""
    sample_weight = np.ones(len(X)) if sample_weight is None else sample_weight
    resp, log_norm = share(weighted_log_density(X, proportions.log_weights(weights), family, params))
    weighted = sample_weight[:, np.newaxis] * resp
    return Gathered(
        float(np.sum(sample_weight * log_norm)),
        int(np.isneginf(log_norm).sum()),
        weighted.sum(axis=0),
        family.accumulate(X, weighted, weights, params),
    )


def maximise(gathered, weights, family, params, proportions=Free()):  # noqa: B008 - it has no state
    """The M-step: new (weights, params)."""
    counts = np.where(gathered.counts <= EMPTY_SHARE * gathered.counts.sum(), 0, gathered.counts)
    return proportions.maximise(counts), family.maximise(counts, gathered.stats, weights, params)


def fit(X, sample_weight, weights, family, params, n_iter, share=share_softly, proportions=Free()):  # noqa: B008
    """n_iter iterations from a start: (weights, params, mean log densities before each M-step)."""
    total = len(X) if sample_weight is None else sample_weight.sum()
    bounds = []
    for _ in range(n_iter):
        gathered = gather(X, sample_weight, weights, family, params, share, proportions)
        log_prior = family.log_prior(params) + proportions.log_prior(weights)
        bounds.append((gathered.evidence + log_prior) / total)
        weights, params = maximise(gathered, weights, family, params, proportions)
    return weights, params, bounds


def shared(resp, sample_weight):
    """Responsibilities to start inside the domain: half of each row to all components, by their weight."""
    return (resp + np.sum(sample_weight[:, np.newaxis] * resp, axis=0) / np.sum(sample_weight)) / 2


def start(X, resp, weights, family, params):
    """Parameters from weighted responsibilities (n, K): the M-step twice, the second about the first's means, and as
    often again as the family wants."""
    for _ in range(2 + getattr(family, "further_start_passes", 0)):
        gathered = Gathered(0.0, 0, resp.sum(axis=0), family.accumulate(X, resp, weights, params))
        weights, params = maximise(gathered, weights, family, params)
    return weights, params
