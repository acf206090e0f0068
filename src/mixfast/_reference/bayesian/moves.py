"""Moves of variational Bayes between numbers of components: sort, merge, delete and birth.

Each takes responsibilities and gives others, or None where it has nothing to propose; `accepts` says whether the bound
rises enough to keep them. Sample weights are left out.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, softmax

from mixfast._reference.bayesian.variational import Fit, elbo, variational, variational_pass

#: A row belongs to what is deleted with more than this, and to what is divided with more than that.
DELETED, DIVIDED = 1e-8, 0.1
#: Expected rows of a component that is there, and those that a birth must give to both of its parts.
PRESENT, BORN = 0.5, 1.0
#: Where births cut the principal axis, one after the other. The median alone divides three clusters in a row through
#: the middle one, and finds nothing.
CUTS = (0.5, 0.25, 0.75)


def accepts(new, old, n):
    """Whether a bound is so much above another that rounding is no reason."""
    return new - old > 1e-6 * abs(old) / n + 1e-3


def sort(resp, proportions):
    """Components in the order in which the bound is highest: for sticks that of their counts, descending."""
    return resp[:, proportions.order(resp.sum(axis=0))]


def merge_candidates(resp):
    """At most K pairs (k, l), k < l, of the largest sum_i r_ik r_il > 0, largest first."""
    overlap = resp.T @ resp
    pairs = [(k, l) for k in range(len(overlap)) for l in range(k + 1, len(overlap)) if overlap[k, l] > 0]  # noqa: E741
    return sorted(pairs, key=lambda pair: -overlap[pair])[: len(overlap)]


def merge(resp, k, other):
    """Component `other` becomes part of k; statistics add, and so do responsibilities."""
    result = resp.copy()
    result[:, k] += result[:, other]
    return np.delete(result, other, axis=1)


def delete(resp, X, prior, proportions, k, n_passes=3):
    """Component k is gone: its rows share themselves among the others, in passes over these rows only."""
    if resp.shape[1] == 1:
        return None
    rows = resp[:, k] > DELETED
    result = np.delete(resp, k, axis=1)
    result[~rows] /= result[~rows].sum(axis=1, keepdims=True)  # the first pass sees what its own rows have left
    for _ in range(n_passes):
        statistics = prior.statistics(X, result)
        log_weights = proportions.expected_log_weights(proportions.posterior(result.sum(axis=0)))
        logs = prior.expected_log_density(X[rows], prior.posterior(statistics)) + log_weights
        result[rows] = softmax(logs, axis=1)
    return result


def halves(features, at=0.5):
    """Rows (n, p) cut at a quantile of their principal axis: True behind it. None where one side is empty."""
    centred = features - features.mean(axis=0)
    axis = np.linalg.svd(centred, full_matrices=False)[2][0]
    axis = axis * np.sign(axis[np.argmax(np.abs(axis))])  # an axis has no sign of its own
    along = centred @ axis
    behind = along > np.quantile(along, at)
    return behind if 0 < behind.sum() < len(behind) else None


def birth(resp, X, prior, proportions, k, rng, at=0.5, n_inner=10, n_full=2, most_rows=10_000):
    """Component k becomes two, of which the second comes last.

    Two components are fitted to its rows, from a cut at a quantile of their principal axis; each row then gives to the
    two what it had of k, in the shares that they claim. Full passes follow. None where no cut is possible or a part has
    too few rows.
    """
    own = np.flatnonzero(resp[:, k] > DIVIDED)
    if len(own) > most_rows:
        own = np.sort(rng.choice(own, most_rows, replace=False))
    if len(own) < 2:
        return None
    behind = halves(prior.rows(X[own]), at)
    if behind is None:
        return None
    parts = variational(X[own], np.column_stack([~behind, behind]).astype(float), prior, proportions, n_inner).resp
    posterior = prior.posterior(prior.statistics(X[own], parts))
    log_weights = proportions.expected_log_weights(proportions.posterior(parts.sum(axis=0)))
    logs = prior.expected_log_density(X, posterior) + log_weights
    second = resp[:, k] * expit(logs[:, 1] - logs[:, 0])
    result = np.column_stack([resp, second])
    result[:, k] -= second
    for _ in range(n_full):
        result = variational_pass(result, X, prior, proportions).resp
    return None if min(result[:, k].sum(), result[:, -1].sum()) < BORN else result


def without_empty(resp, X, prior, proportions):
    """Components that hold less than half a row are deleted, smallest first, whatever the bound says."""
    while resp.shape[1] > 1 and resp.sum(axis=0).min() < PRESENT:
        resp = delete(resp, X, prior, proportions, int(np.argmin(resp.sum(axis=0))))
    return resp


def proposals(resp, X, prior, proportions, rng, failed):
    """Lazily: merges, deletes (smallest first) and births (largest first). Births in `failed`, by component, its counts
    to 1 % and the cut, are left out, and those asked about are put there."""
    yield from (merge(resp, k, other) for k, other in merge_candidates(resp))
    counts = resp.sum(axis=0)
    ascending = [int(k) for k in np.argsort(counts, kind="stable")]
    yield from (delete(resp, X, prior, proportions, k) for k in ascending)
    for at in CUTS:
        for k in reversed(ascending):
            key = (k, round(100 * np.log(max(counts[k], 1.0))), at)
            if key not in failed:
                failed.add(key)
                yield birth(resp, X, prior, proportions, k, rng, at)


def variational_with_moves(X, resp, prior, proportions, rng, n_iter=20, most_laps=100):
    """Laps of some iterations and the first move that the bound accepts, until it accepts none.

    `resp` and `proportions` of the result are the last, `elbo` are the bounds before each lap's move. Nothing lowers
    the bound but the last step, where empty components go.
    """
    failed, bounds = set(), []
    for _ in range(most_laps):
        fit = variational(X, resp, prior, proportions, n_iter)
        proportions, resp = fit.proportions, sort(fit.resp, proportions)
        bounds.append(elbo(resp, X, prior, proportions))
        for candidate in proposals(resp, X, prior, proportions, rng, failed):
            if candidate is None:
                continue
            candidate = sort(candidate, proportions)
            if accepts(elbo(candidate, X, prior, proportions), bounds[-1], len(X)):
                resp = candidate
                break
        else:
            break
    return Fit(bounds, without_empty(resp, X, prior, proportions), proportions)
