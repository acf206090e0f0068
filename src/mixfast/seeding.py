"""Where EM starts: k-means, k-means++, random rows, random responsibilities.

Every method is a function of (rows, weights, n_components, seed, start) alone: not of the number of threads.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mixfast.engine._pass import Pass
from mixfast.engine._rows import Rows
from mixfast.engine._seeding import Lloyd
from mixfast.engine._seeding import kmeans_plusplus as _kmeans_plusplus
from mixfast.engine._seeding import random_rows as _random_rows
from mixfast.engine._views import MOST_VIEWS
from mixfast.families._centres import bind_centres
from mixfast.families.family import is_sparse

#: Lloyd's iterations stop when one lowers the mean square distance by less than this share of what the seeds left, or
#: after LLOYD_MAX_ITER of them. An iteration costs a twentieth of EM's, and stopping early costs EM more than it saves:
#: see the table in docs/seeding.md.
LLOYD_TOL = 1e-4
LLOYD_MAX_ITER = 300


class KMeansResult(NamedTuple):
    """What k-means found.

    labels : (n_samples,) int64
    centres : (n_clusters, n_features), the means of the rows so labelled
    distortion : the mean square distance of the rows to the centres that they were labelled by
    n_iter : Lloyd's iterations
    """

    labels: np.ndarray
    centres: np.ndarray
    distortion: float
    n_iter: int


_shared_centres = lru_cache(maxsize=1024)(bind_centres)  # a fit asks for two, and the next one for the same


def bind_centres_to(X, n_centres, isa=None):
    """The capsule of the centres family for these rows."""
    return _shared_centres(n_centres, X.shape[1], X.data.itemsize, isa, is_sparse(X))


def _centres_pass(kind, rows, n_centres, n_threads, isa):
    return kind(bind_centres_to(rows.X, n_centres, isa), rows, n_threads)


def n_kmeans_plusplus_candidates(n_clusters):
    """So many rows are tried for each centre; scikit-learn's number."""
    return 2 + int(math.log(n_clusters))


def kmeans_plusplus(rows, n_clusters, seed, start=0, n_threads=1, isa=None):
    """Rows chosen by greedy k-means++, far apart and where the weight is.

    Parameters
    ----------
    rows : mixfast.engine._rows.Rows
    n_clusters : int
    seed, start : int
        The draws depend on these two alone.
    n_threads : int
    isa : str or None
        The instruction set of the kernels; None is the one chosen at import.

    Returns
    -------
    indices : ndarray of shape (n_clusters,), int64
    """
    n_candidates = n_kmeans_plusplus_candidates(n_clusters)
    p = _centres_pass(Pass, rows, 1 + n_candidates, n_threads, isa)
    return _kmeans_plusplus(p, n_clusters, seed, start)


def kmeans(rows, n_clusters, seed, start=0, n_threads=1, isa=None):
    """Lloyd's k-means from greedy k-means++.

    A centre that loses its rows stays where it is.

    Parameters
    ----------
    rows, n_clusters, seed, start, n_threads, isa
        As in `kmeans_plusplus`.

    Returns
    -------
    result : KMeansResult
    """
    seeds = kmeans_plusplus(rows, n_clusters, seed, start, n_threads, isa)
    lloyd = _centres_pass(Lloyd, rows, n_clusters, n_threads, isa)
    centres = rows.X[seeds].toarray() if is_sparse(rows.X) else rows.X[seeds]
    lloyd.set_state(np.ones(n_clusters), np.ascontiguousarray(centres, dtype=np.float64).ravel())
    distortion, n_iter = lloyd.settle(LLOYD_TOL, LLOYD_MAX_ITER)
    _, centres = lloyd.state()
    return KMeansResult(lloyd.labels, centres.reshape(n_clusters, -1), distortion, n_iter)


def nearest(X, centres, n_threads=1):
    """Labels (n_samples,), int64, of the nearest centres (n_clusters, n_features), X being float32 or float64."""
    lloyd = _centres_pass(Lloyd, Rows(X), len(centres), n_threads, None)
    lloyd.set_state(np.ones(len(centres)), np.ascontiguousarray(centres, dtype=np.float64).ravel())
    lloyd.step()
    return lloyd.labels


def random_rows(rows, n_clusters, seed, start=0):
    """Distinct rows, each drawn with probability proportional to its weight.

    The rows with the smallest exponential variates of rate weight: Efraimidis & Spirakis, "Weighted random sampling
    with a reservoir", Information Processing Letters 97 (2006).

    Parameters
    ----------
    rows, n_clusters, seed, start
        As in `kmeans_plusplus`.

    Returns
    -------
    indices : ndarray of shape (n_clusters,), int64
    """
    return _random_rows(rows, n_clusters, seed, start)


#: The methods by the names that scikit-learn's `init_params` gives them, and whether they measure distances between
#: rows. `engine/_fit.pyx` has the starts.
METHODS = {"kmeans": True, "k-means++": True, "random": False, "random_from_data": False}

#: The name by which Gaussian mixtures begin at the best of several views of the rows: see `engine/_views.pyx`.
AUTO = "auto"

#: The name of k-means||, which looks at rows in partitions, wherever these are: `estimators/_kmeans_parallel.py`.
ELSEWHERE = "k-means||"


def measures_distances(init_params):
    """Whether a start is found by distances between rows, so that `Encoded.seeds` has to be made for it."""
    return isinstance(init_params, str) and (init_params == AUTO or METHODS[init_params])


def settled(init_params):
    """What "auto" is where views of the rows do not apply, or cost too much: k-means. Others are as they are."""
    return "kmeans" if isinstance(init_params, str) and init_params == AUTO else init_params


def kinds_of_starts(init_params, n_init):
    """What each start begins with, as a person reads it; empty where all begin with the same."""
    if not isinstance(init_params, str) or init_params != AUTO:
        return []
    return ["k-means"] * n_init + [f"view {i + 1}" for i in range(MOST_VIEWS)]


def takes_single_rows(init_params):
    """Whether components of a start begin with a row each."""
    return isinstance(init_params, str) and init_params in ("k-means++", "random_from_data")
