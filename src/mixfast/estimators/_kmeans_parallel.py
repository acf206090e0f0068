"""k-means|| over rows in partitions: where a fit begins that looks at all rows, not at a sample of them.

Bahmani, Moseley, Vattani, Kumar & Vassilvitskii, "Scalable k-means++", VLDB 5 (2012): a few rounds draw rows, many at
a time, with probability in proportion to weight times square distance to the nearest row that was drawn before. Each
drawn row then weighs what all rows weigh that are nearest to it, and k-means of these few finds the centres. Here a
round draws exactly so many rows, without replacement: those with the smallest exponential numbers over that mass, which
belong to places among all rows. So what is drawn depends on the rows and their order, not on how they are cut, and
rounds need no total.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from sklearn.base import clone

from mixfast import seeding
from mixfast._threads import resolve_threads
from mixfast.design import Design
from mixfast.engine._rows import Rows
from mixfast.estimators._drawn_rows import (
    Sample,
    drawn,
    exponentials,
    gathered,
    merged_samples,
    sample_at,
    taken,
    weights_of,
)
from mixfast.estimators._passes import Task
from mixfast.row_data import of_family, rows_with, separated

#: Rounds, and rows that each draws for a cluster: what Bahmani et al. found as good as more of either.
N_ROUNDS = 5
ROWS_PER_CLUSTER = 2
#: Purposes of the exponential numbers of a row: 0 is samples' own, 1 the first centre, then the rounds, then strata.
FIRST, ROUNDS, STRATA = 1, 2, 2 + N_ROUNDS
#: Stands for the square distance of rows that are centres already: they are drawn where there are no others.
NO_DISTANCE = 1e-250
#: So many numbers of rows are compared with centres at a time, which 32 MB have room for.
BLOCK = 1 << 22


@dataclass(frozen=True)
class Seeds:
    """What k-means sees of the rows of a partition.

    estimator : mixture, with the design
    design : Design
    """

    estimator: Any
    design: Design

    def of(self, X, row_data):
        """(n_rows, any number of columns), an array or a sparse matrix. Raises ValueError where rows are not seen by
        themselves."""
        learner = clone(self.estimator)
        if "known_labels" in row_data or "groups" in row_data:
            raise ValueError(
                "init_params='k-means||' does not know of known_labels and groups: set init_params='kmeans'"
            )
        X = learner._read_rows(rows_with(X, learner._gathered_data(row_data)), ensure_min_samples=0)
        family = learner._family().with_design(self.design._sets)
        values, data = separated(X)
        units = learner._known_units(family, self.design._moments)
        encoded = family.encode(of_family(rows_with(units.rows(values), data)))
        if not encoded.family.seeds_by_row():
            raise ValueError(
                "init_params='k-means||' measures each row by itself, and k-means for a "
                f"{type(learner).__name__} scales columns of these rows, or fills in their means: set "
                "init_params='kmeans', which does so with a sample"
            )
        seeds = encoded.make_seeds()
        return encoded.rows if seeds is None else seeds

    def nearest(self, partition, places, centres):
        """(rows at some places of a partition as k-means sees them, the labels of their nearest centres)."""
        rows = self.of(*taken(partition, places))
        if not rows.shape[0]:
            return rows, np.empty(0, dtype=np.int64)
        return rows, seeding.nearest(rows, centres, resolve_threads(self.estimator.n_threads))


def square_distances(rows, centres, labels):
    """float64 (n_rows,), of each row to its centre. Each by itself, so that no other row changes its bits, and by
    differences, of sparse rows too: a row that is a centre has distance 0."""
    found = np.empty(len(labels))
    size = max(1, BLOCK // rows.shape[1])
    for first in range(0, len(labels), size):
        own = slice(first, first + size)
        block = rows[own].toarray() if scipy.sparse.issparse(rows) else rows[own]
        found[own] = np.sum((block.astype(np.float64) - centres[labels[own]]) ** 2, axis=1)
    return found


@dataclass(frozen=True)
class DrawFar(Task):
    """A task: of a partition the rows with the smallest keys, exponential numbers over weight times square distance to
    the nearest centre. State: first rows, and centres (n_centres, n_columns) or None."""

    seeds: Seeds
    seed: int
    purpose: int
    size: int

    def look(self, partition, state):
        first_rows, centres = state
        partition = gathered(self.seeds.estimator, partition)
        keys, weight = exponentials(partition, first_rows, self.seed, self.purpose)
        if centres is not None:
            counted = np.flatnonzero(weight > 0)
            rows, labels = self.seeds.nearest(partition, counted, centres)
            keys[counted] /= np.maximum(square_distances(rows, centres, labels), NO_DISTANCE)
        return drawn(partition, keys, weight, self.size)

    def join(self, samples):
        return merged_samples(samples, self.size)


@dataclass(frozen=True)
class WeighCentres(Task):
    """A task: the weight of the rows that are nearest to each of the centres."""

    seeds: Seeds

    def look(self, partition, centres):
        partition = gathered(self.seeds.estimator, partition)
        weight = weights_of(partition)
        counted = np.flatnonzero(weight > 0)
        _, labels = self.seeds.nearest(partition, counted, centres)
        return np.bincount(labels, weight[counted], minlength=len(centres))

    @staticmethod
    def join(weights):
        return np.sum(weights, axis=0)


class Strata(NamedTuple):
    """Some rows of each cluster.

    sample : Sample
    labels : int64, of its rows
    weight : float64 (n_clusters,), of all rows of a cluster
    n_rows : int64 (n_clusters,), how many these are
    """

    sample: Sample
    labels: np.ndarray
    weight: np.ndarray
    n_rows: np.ndarray

    def weights(self):
        """Of the rows of the sample: what is drawn by its weight counts alike, a cluster that is all here as it
        weighs."""
        n_drawn = np.bincount(self.labels, minlength=len(self.weight))
        is_whole = n_drawn == self.n_rows
        alike = self.weight / np.maximum(n_drawn, 1)
        return np.where(is_whole[self.labels], self.sample.sample_weight, alike[self.labels])


@dataclass(frozen=True)
class DrawStrata(Task):
    """A task: of each cluster, the rows nearest to a centre, those with the smallest keys. State: first rows,
    centres."""

    seeds: Seeds
    seed: int
    size: int  # of each cluster

    def look(self, partition, state):
        first_rows, centres = state
        partition = gathered(self.seeds.estimator, partition)
        keys, weight = exponentials(partition, first_rows, self.seed, STRATA)
        counted = np.flatnonzero(weight > 0)
        _, labels = self.seeds.nearest(partition, counted, centres)
        n_clusters = len(centres)
        order = np.sort(counted[smallest_of_each(keys[counted], labels, self.size)])
        of_row = np.zeros(len(keys), dtype=np.int64)
        of_row[counted] = labels
        return Strata(
            sample_at(partition, order, keys, weight),
            of_row[order],
            np.bincount(labels, weight[counted], minlength=n_clusters),
            np.bincount(labels, minlength=n_clusters),
        )

    def join(self, strata):
        labels = np.concatenate([own.labels for own in strata])
        order = np.sort(smallest_of_each(np.concatenate([own.sample.keys for own in strata]), labels, self.size))
        sample = merged_samples([own.sample for own in strata], None)
        return Strata(
            sample.some(order),
            labels[order],
            np.sum([own.weight for own in strata], axis=0),
            np.sum([own.n_rows for own in strata], axis=0),
        )


def smallest_of_each(keys, labels, size):
    """Where the smallest keys of each label are, at most so many."""
    order = np.lexsort((keys, labels))
    first = np.searchsorted(labels[order], labels[order])
    return order[np.arange(len(order)) - first < size]


def candidates(passes, seeds, first_rows, n_clusters, seed):
    """`Sample` of the rows that rounds draw; some may be the same row, or equal ones."""
    sample = passes(DrawFar(seeds, seed, FIRST, 1), (first_rows, None))
    for number in range(N_ROUNDS):
        task = DrawFar(seeds, seed, ROUNDS + number, ROWS_PER_CLUSTER * n_clusters)
        state = first_rows, dense(seeds.of(sample.X, sample.row_data))
        sample = merged_samples([sample, passes(task, state)], None)
    return sample


def dense(rows):
    return np.ascontiguousarray(rows.toarray() if scipy.sparse.issparse(rows) else rows, dtype=np.float64)


def strata(passes, seeds, n_clusters, seed, n_init, size):
    """`Strata` of the clusters that k-means|| finds, at most `size` rows in all. None where there are fewer rows that
    differ than clusters: then no rounds are needed to find them."""
    first_rows = passes.first_rows()
    sample = candidates(passes, seeds, first_rows, n_clusters, seed)
    rows = seeds.of(sample.X, sample.row_data)
    weight = passes(WeighCentres(seeds), dense(rows))
    if np.count_nonzero(weight) < n_clusters:
        return None
    n_threads = resolve_threads(seeds.estimator.n_threads)
    chosen = np.flatnonzero(weight)
    rows = Rows(np.ascontiguousarray(rows[chosen]) if not scipy.sparse.issparse(rows) else rows[chosen], weight[chosen])
    found = [seeding.kmeans(rows, n_clusters, seed, start, n_threads) for start in range(n_init)]
    best = min(found, key=lambda result: result.distortion)
    return passes(DrawStrata(seeds, seed, max(size // n_clusters, 1)), (first_rows, best.centres))
