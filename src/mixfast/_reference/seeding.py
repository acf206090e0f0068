"""Twins of the seeding (`_seeding.pyx`, `seeding.py`)."""

from __future__ import annotations

import math

import numpy as np

from mixfast._reference.random import uniform, uniforms

# the purposes of `_random.pxd`
RANDOM_ROWS, RANDOM_RESPONSIBILITIES, FIRST_CENTRE, NEXT_CENTRE, VIEWED_ROWS = 1, 2, 3, 4, 21


def _draw(mass, u):
    """The first row at which the running sum of mass passes u times the total."""
    return int(np.searchsorted(np.cumsum(mass), u * mass.sum(), side="right"))


def kmeans_plusplus(X, sample_weight, n_clusters, seed, start):
    sample_weight = np.ones(len(X)) if sample_weight is None else sample_weight
    n_candidates = 2 + int(math.log(n_clusters))
    rows = [_draw(sample_weight, uniform(seed, start, FIRST_CENTRE, 0))]
    closest = ((X - X[rows[0]]) ** 2).sum(axis=1)
    for chosen in range(1, n_clusters):
        draws = [uniform(seed, start, NEXT_CENTRE, chosen * n_candidates + i) for i in range(n_candidates)]
        candidates = [_draw(sample_weight * closest, u) for u in draws]
        left = [np.minimum(closest, ((X - X[row]) ** 2).sum(axis=1)) for row in candidates]
        best = int(np.argmin([sample_weight @ distance for distance in left]))
        rows.append(candidates[best])
        closest = left[best]
    return np.array(rows)


def kmeans_parallel(X, sample_weight, n_clusters, numbers, n_drawn):
    """(rows that rounds of k-means|| draw, what all rows weigh that are nearest to each).

    numbers : (1 + n_rounds, n_samples), standard exponential numbers; the first are of the first row
    n_drawn : rows of a round, drawn without replacement by weight times square distance: Efraimidis & Spirakis,
        "Weighted random sampling with a reservoir", Information Processing Letters 97 (2006)
    """
    rows = [int(np.argmin(numbers[0] / sample_weight))]
    for own in numbers[1:]:
        distance = ((X[:, np.newaxis] - X[rows]) ** 2).sum(axis=2).min(axis=1)
        keys = own / (sample_weight * np.maximum(distance, 1e-250))
        rows += sorted(np.argsort(keys, kind="stable")[:n_drawn].tolist())
    nearest = ((X[:, np.newaxis] - X[rows]) ** 2).sum(axis=2).argmin(axis=1)
    return np.array(rows), np.bincount(nearest, sample_weight, minlength=len(rows))


def lloyd_step(X, sample_weight, centres):
    """Labels of the nearest centres, the mean square distance, and the means of the rows so labelled."""
    sample_weight = np.ones(len(X)) if sample_weight is None else sample_weight
    distance = ((X[:, np.newaxis] - centres) ** 2).sum(axis=2)
    labels = distance.argmin(axis=1)
    means = centres.copy()
    for k in range(len(centres)):
        own = sample_weight * (labels == k)
        if own.sum() > 0:
            means[k] = own @ X / own.sum()
    return labels, sample_weight @ distance.min(axis=1) / sample_weight.sum(), means


def kmeans(X, sample_weight, n_clusters, seed, start, tol):
    """(labels, centres, distortion, iterations); `tol` is `seeding.LLOYD_TOL`."""
    centres = X[kmeans_plusplus(X, sample_weight, n_clusters, seed, start)]
    distortions = []
    while len(distortions) < 2 or distortions[-2] - distortions[-1] >= tol * distortions[0]:
        labels, distortion, centres = lloyd_step(X, sample_weight, centres)
        distortions.append(distortion)
    return labels, centres, distortions[-1], len(distortions)


def ward(X, n_clusters):
    """Labels: all rows are clusters, and those two are joined that add least to the sum of squares about the means."""
    clusters = [[row] for row in range(len(X))]
    while len(clusters) > n_clusters:
        sizes = np.array([len(own) for own in clusters])
        means = np.array([X[own].mean(axis=0) for own in clusters])
        added = ((means[:, np.newaxis] - means) ** 2).sum(axis=2) * sizes * sizes[:, np.newaxis]
        added /= sizes + sizes[:, np.newaxis]
        np.fill_diagonal(added, np.inf)
        i, j = sorted(np.unravel_index(np.argmin(added), added.shape))
        clusters[i] += clusters.pop(j)
    labels = np.empty(len(X), dtype=np.int64)
    for k, own in enumerate(clusters):
        labels[own] = k
    return labels


def drawn_rows(n_rows, sample_weight, n_drawn, seed, which=0):
    """One row of each of so many strata of the same weight; which: 0 of those that are looked at, 1 of the judges."""
    targets = (np.arange(n_drawn) + uniforms(seed, which, VIEWED_ROWS, n_drawn)) / n_drawn
    weight = np.ones(n_rows) if sample_weight is None else sample_weight
    return np.searchsorted(np.cumsum(weight), targets * weight.sum(), side="right")


def flat_axes(X):
    """(n_features, n_flat), scaled principal axes along which rows of mean 0 have variance 1 and a fourth moment two
    standard errors below 3."""
    values, vectors = np.linalg.eigh(X.T @ X / len(X))
    axes = vectors[:, values > 1e-12 * values[-1]] / np.sqrt(values[values > 1e-12 * values[-1]])
    return axes[:, ((X @ axes) ** 4).mean(axis=0) < 3 - 2 * np.sqrt(24 / len(X))]


def see_the_same(labels, others):
    """Whether each group shares more than half of the rows of both with one of the others."""
    groups, other_groups = ([own == k for k in np.unique(own)] for own in (labels, others))
    return all(max((own & other).sum() / (own | other).sum() for other in other_groups) > 0.5 for own in groups)


def views(X, sample_weight, labels, n_clusters, seed):
    """Labels of all rows in each view that sees other groups than `labels` has."""
    n_drawn = max(min(int(1.2 * math.sqrt(len(X) * n_clusters)), 500), 100, 8 * n_clusters)
    drawn = np.arange(len(X)) if n_drawn >= len(X) else drawn_rows(len(X), sample_weight, n_drawn, seed)
    mean, unit = X[drawn].mean(axis=0), X[drawn].std(axis=0)
    rows = (X - mean) / unit
    flat = flat_axes(rows[drawn])
    found = []
    for axes in [np.eye(X.shape[1]), *([flat] if 0 < flat.shape[1] < X.shape[1] else [])]:
        along = rows @ axes
        own = ward(along[drawn], n_clusters)
        means = np.array([along[drawn][own == k].mean(axis=0) for k in range(n_clusters)])
        own = ((along[:, np.newaxis] - means) ** 2).sum(axis=2).argmin(axis=1)
        if not any(see_the_same(other[drawn], own[drawn]) for other in [labels, *found]):
            found.append(own)
    return found


def random_rows(n_rows, sample_weight, n_clusters, seed, start):
    rates = np.ones(n_rows) if sample_weight is None else sample_weight
    arrival = -np.log1p(-uniforms(seed, start, RANDOM_ROWS, n_rows)) / rates
    return np.argsort(arrival)[:n_clusters]


def random_responsibilities(n_rows, n_components, seed, start):
    draws = uniforms(seed, start, RANDOM_RESPONSIBILITIES, n_rows * n_components).reshape(n_rows, n_components)
    return draws / draws.sum(axis=1, keepdims=True)
