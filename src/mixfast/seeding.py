"""Where EM starts: k-means, k-means++, random rows, random responsibilities.

Every method is a function of (rows, weights, n_components, seed, start) alone: not of the number of threads.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from mixfast import _random
from mixfast._em import ClassificationEM, Pass, evaluate
from mixfast._seeding import kmeans_plusplus as _kmeans_plusplus
from mixfast.families._gaussian import bind_centres

#: Lloyd's iterations stop when one lowers the mean squared distance by less than this share of what the seeds left, or
#: after LLOYD_MAX_ITER of them.
LLOYD_TOL = 1e-4
LLOYD_MAX_ITER = 300


class KMeansResult(NamedTuple):
    """labels (n_samples,) int64, centres (n_clusters, n_features), the mean squared distance, Lloyd's iterations."""

    labels: np.ndarray
    centres: np.ndarray
    distortion: float
    n_iter: int


def _centres_pass(kind, rows, n_clusters, n_threads):
    X = rows.X
    return kind(bind_centres(n_clusters, X.shape[1], X.dtype.itemsize, None), rows, n_threads)


def kmeans_plusplus(rows, n_clusters, seed, start=0, n_threads=1):
    """Indices (n_clusters,) of rows chosen by greedy k-means++, far apart and where the weight is.

    Parameters
    ----------
    rows : mixfast._em.Rows
    n_clusters : int
    seed, start : int
        The draws depend on these two alone.
    n_threads : int
    """
    n_candidates = 2 + int(math.log(n_clusters))
    trial = _centres_pass(Pass, rows, n_candidates, n_threads)
    single = _centres_pass(Pass, rows, 1, n_threads)
    return _kmeans_plusplus(trial, single, n_clusters, seed, start)


def kmeans(rows, n_clusters, seed, start=0, n_threads=1):
    """Lloyd's k-means from greedy k-means++: classification EM with spherical components of one size.

    A centre that loses its rows stays where it is. Parameters as in `kmeans_plusplus`.
    """
    seeds = kmeans_plusplus(rows, n_clusters, seed, start, n_threads)
    lloyd = _centres_pass(ClassificationEM, rows, n_clusters, n_threads)
    unit = np.ones(n_clusters)
    lloyd.set_state(unit, np.ascontiguousarray(rows.X[seeds], dtype=np.float64).ravel())
    # the objective is minus half the mean squared distance
    first = lloyd.step()
    objectives, _ = lloyd.iterate(LLOYD_MAX_ITER, LLOYD_TOL * abs(first), first, 0)
    _, centres = lloyd.state()
    labels = np.empty(len(rows.X), dtype=np.int64)
    nearest = _centres_pass(Pass, rows, n_clusters, n_threads)
    nearest.set_state(unit, centres)
    evaluate(nearest, classify=True, labels=labels)
    return KMeansResult(labels, centres.reshape(n_clusters, -1), -2 * objectives[-1], 1 + len(objectives))


def random_rows(rows, n_clusters, seed, start=0):
    """Indices (n_clusters,) of distinct rows, each drawn with probability proportional to its weight.

    The rows with the smallest exponential variates of rate weight: Efraimidis & Spirakis, "Weighted random sampling
    with a reservoir", Information Processing Letters 97 (2006).
    """
    arrival = np.empty(len(rows.X))
    _random.fill_uniform(seed, start, _random.PURPOSE_RANDOM_ROWS, arrival)
    arrival = -np.log1p(-arrival)
    if rows.sample_weight is not None:
        with np.errstate(over="ignore"):
            arrival /= rows.sample_weight  # a weight of 1e-320 comes last, at infinity
    first = np.argpartition(arrival, n_clusters - 1)[:n_clusters]
    return first[np.argsort(arrival[first])].astype(np.int64)


def _known_rows(n_rows, indices):
    """Labels that say the component of the rows at `indices` only."""
    labels = np.full(n_rows, -1, dtype=np.int64)
    labels[indices] = np.arange(len(indices))
    return labels


def start_from_kmeans(em, seed, start):
    labels = kmeans(em.rows, em.n_components, seed, start, em.n_threads).labels
    em.start_from_labels(labels)


def start_from_kmeans_plusplus(em, seed, start):
    indices = kmeans_plusplus(em.rows, em.n_components, seed, start, em.n_threads)
    em.start_from_labels(_known_rows(len(em.rows.X), indices))


def start_from_random_rows(em, seed, start):
    em.start_from_labels(_known_rows(len(em.rows.X), random_rows(em.rows, em.n_components, seed, start)))


def start_from_random_responsibilities(em, seed, start):
    em.start_from_draws(seed, start)


#: The methods by the names that scikit-learn's `init_params` gives them.
METHODS = {
    "kmeans": start_from_kmeans,
    "k-means++": start_from_kmeans_plusplus,
    "random": start_from_random_responsibilities,
    "random_from_data": start_from_random_rows,
}
