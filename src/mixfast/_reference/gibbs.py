"""Twin of collapsed Gibbs sampling of documents (`_gibbs.pyx`): all clusters, by logarithms of Gamma functions."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from mixfast._reference.random import uniform

# the purposes of `_random.pxd`
RANDOM_LABELS, GIBBS = 6, 7

#: Slots come in blocks of so many.
BLOCK = 8


def log_probabilities(document, counts, beta):
    """log p(document | cluster) of each cluster; counts (n_clusters, n_words) of the other documents."""
    total, n = counts.sum(axis=1), document.sum()
    all_beta = beta * len(document)
    above = gammaln(counts + document + beta) - gammaln(counts + beta) - gammaln(document + 1)
    below = gammaln(total + n + all_beta) - gammaln(total + all_beta) - gammaln(n + 1)
    return above.sum(axis=1) - below


def log_joint(X, labels, n_clusters, alpha, beta):
    """log p(X, labels)"""
    result = gammaln(n_clusters * alpha) - gammaln(len(X) + n_clusters * alpha)
    result += (gammaln(X.sum(axis=1) + 1) - gammaln(X + 1).sum(axis=1)).sum()
    for z in range(n_clusters):
        own = X[labels == z]
        counts = own.sum(axis=0)
        result += gammaln(len(own) + alpha) - gammaln(alpha)
        result += (gammaln(counts + beta) - gammaln(beta)).sum()
        result += gammaln(beta * len(counts)) - gammaln(counts.sum() + beta * len(counts))
    return result


def _blocks(n):
    return -(-n // BLOCK) * BLOCK


def _close_ranks(labels, n_slots, n_clusters):
    """(labels, slots), where two blocks of slots or more can be spared with new numbers in the old order."""
    used = np.unique(labels)
    n_wanted = _blocks(min(len(used) + 1, n_clusters))
    if n_wanted + BLOCK >= n_slots:
        return labels, n_slots
    return np.searchsorted(used, labels), n_wanted


def sweeps(X, n_clusters, alpha, beta, seed, start, n_sweeps):
    """Labels after each of `n_sweeps`; a document that goes to an empty cluster takes the first empty slot."""
    labels = np.array([int(uniform(seed, start, RANDOM_LABELS, d) * n_clusters) for d in range(len(X))])
    labels, n_slots = _close_ranks(labels, _blocks(n_clusters), n_clusters)
    history = []
    for sweep in range(n_sweeps):
        for d, document in enumerate(X):
            others = np.arange(len(X)) != d
            members = labels == np.arange(n_clusters)[:, np.newaxis]
            sizes = (members & others).sum(axis=1)
            logs = np.log(sizes + alpha) + log_probabilities(document, (members & others) @ X, beta)
            weight = np.exp(logs - logs.max())
            passed = np.cumsum(weight)
            chosen = np.searchsorted(passed, uniform(seed, start, GIBBS, sweep * len(X) + d) * passed[-1], side="right")
            labels[d] = chosen if sizes[chosen] > 0 else np.argmin(sizes > 0)
            if len(np.unique(labels)) == n_slots < n_clusters:
                n_slots += BLOCK
        labels, n_slots = _close_ranks(labels, n_slots, n_clusters)
        history.append(labels.copy())
    return history
