"""Labels to start from, by several views of the rows: a cluster that one view hides another may show."""

from __future__ import annotations

import numpy as np

from mixfast.engine._rows import Rows
from mixfast.engine._ward import groups, ward
from mixfast.hierarchy import BLOCK, MOST_ROWS
from mixfast.seeding import kmeans, nearest, random_rows
from mixfast.units import column_scales

#: All views but the first are of so many rows, or of so many for each component where that is more, drawn at random. Of
#: 285 fits to 19 kinds of data the best of k-means and Ward's groups was better than k-means alone in 123, 128, 135 and
#: 149, and worse in 22, 16, 16 and 25, with 300, 500, 1,000 and 2,000 rows. They cost as their square.
N_ROWS, N_ROWS_EACH = 500, 20

#: An axis counts as flat where the fourth moment of its rows is so many standard errors below that of normal ones.
FLAT = 2.0

#: Passes of each start before they are compared for the first time.
FIRST_LOOK = 1

#: Up to so many columns are made uncorrelated, which takes the square of their number for each row: 0.25 s for 100,000
#: rows of 100 columns on one thread.
MOST_COLUMNS = 100


def labels_by_views(rows, sample_weight, n_clusters, seed, n_init, n_threads, n_rows_needed):
    """The partitions of the rows that views of them show.

    They are k-means on the rows as they are, from each of n_init numbers of starts, and of some of the rows, to whose
    means the others are given: Ward's groups with standardised columns; the same with columns that are made
    uncorrelated too, so that directions in which rows vary little count as others do; and k-means along those
    principal axes alone in which rows are spread more evenly than normal ones, as clusters side by side are. The last
    two are left out where there are more than MOST_COLUMNS columns, or as many as rows that are looked at. Their axes
    are LAPACK's, so that their last bits are those of its build and not the same everywhere.

    Parameters
    ----------
    rows : mixfast.engine._rows.Rows
        What k-means sees, dense, with their weights.
    sample_weight : ndarray of shape (n_samples,) or None
        The same weights. Where rows are drawn, with probabilities proportional to it.
    n_clusters, seed, n_init, n_threads : int
    n_rows_needed : int
        A view in which a cluster has fewer rows is no start.

    Returns
    -------
    labels : ndarray of shape (n_starts, n_samples), int64
        The first are k-means'; those that say what an earlier one says are left out.
    """
    found = [kmeans(rows, n_clusters, seed, start, n_threads).labels for start in range(n_init)]
    if 1 < n_clusters < len(found[0]):
        others = _by_some_rows(rows, sample_weight, n_clusters, seed, n_threads)
        found += [own for own in others if np.bincount(own, minlength=n_clusters).min() >= n_rows_needed]
    distinct = []
    for labels in found:
        if not any(_are_alike(labels, other, n_clusters) for other in distinct):
            distinct.append(labels)
    return np.array(distinct)


def _by_some_rows(rows, sample_weight, n_clusters, seed, n_threads):
    """Labels of each view but the first; none where rows have no finite mean and standard deviation."""
    X = rows.X
    scales = column_scales(X, sample_weight)
    if scales is None:
        return []
    mean, unit = scales
    n_drawn, drawn = min(max(N_ROWS, N_ROWS_EACH * n_clusters), MOST_ROWS), slice(None)
    if n_drawn < len(X) and n_drawn <= n_clusters:
        return []
    if n_drawn < len(X):
        drawn = np.sort(random_rows(rows, n_drawn, seed))
    seen = np.ascontiguousarray((X[drawn] - mean) / unit, dtype=np.float64)
    weight = sample_weight if len(seen) == len(X) else None  # of rows that were drawn by weight all count alike
    views = [(None, seen, groups(ward(seen, weight), n_clusters))]
    if X.shape[1] <= MOST_COLUMNS and X.shape[1] < len(seen):
        views += _uncorrelated(seen, weight, n_clusters, seed)
    if len(seen) == len(X):
        return [labels for *_, labels in views]
    means = [np.array([own[labels == k].mean(axis=0) for k in range(n_clusters)]) for _, own, labels in views]
    found = np.empty((len(views), len(X)), dtype=np.int64)
    step = max(1, BLOCK // X.shape[1])
    for first in range(0, len(X), step):
        block = np.ascontiguousarray((X[first : first + step] - mean) / unit, dtype=np.float64)
        for labels, (map_of_view, *_), centres in zip(found, views, means, strict=True):
            own = block if map_of_view is None else _times(block, map_of_view)
            labels[first : first + step] = nearest(own, centres, n_threads)
    return list(found)


def _uncorrelated(rows, weight, n_clusters, seed):
    """(map of the columns, mapped rows, labels) of the views along principal axes; the rows have mean 0."""
    shares = np.full(len(rows), 1 / len(rows)) if weight is None else weight / weight.sum()
    turned = _whitening(rows, shares)
    white = _times(rows, turned)
    views = [(turned, white, groups(ward(white, weight), n_clusters))]
    flat = shares @ white**4 < 3 - FLAT * np.sqrt(24 / len(white))
    flat &= np.any(turned != 0, axis=0)
    if np.any(flat) and not np.all(flat):
        along = np.ascontiguousarray(white[:, flat])
        views.append((turned[:, flat], along, kmeans(Rows(along, weight), n_clusters, seed).labels))
    return views


def _whitening(rows, shares):
    """(n_features, n_features), principal axes of rows of mean 0, scaled so that rows have the variance 1 along each; 0
    for those in which they do not vary. `shares` (n_samples,), of the rows in all weights."""
    values, vectors = np.linalg.eigh(_times(rows.T * shares, rows))
    varies = values > len(values) * np.finfo(np.float64).eps * max(values[-1], 0)
    return vectors * np.where(varies, 1 / np.sqrt(np.where(varies, values, 1)), 0)


def _times(a, b):
    """The product of two matrices, by NumPy's own loops, whose bits do not depend on the threads of a BLAS."""
    return np.einsum("ni,ij->nj", a, b)


def _are_alike(labels, others, n_clusters):
    """Whether two partitions are the same, whatever their numbers: no cluster of one has rows of two of the other."""
    shared = np.bincount(labels * n_clusters + others, minlength=n_clusters**2).reshape(n_clusters, n_clusters) > 0
    return bool(np.all(shared.sum(axis=0) <= 1) and np.all(shared.sum(axis=1) <= 1))
