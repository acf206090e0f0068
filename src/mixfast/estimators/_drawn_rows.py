"""Rows that are drawn by random numbers of their places among all rows, whichever partition they are in."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import _num_samples

from mixfast.partitions import stacked
from mixfast.row_data import Responses, take_data
from mixfast.tables import is_table
from mixfast.weights import take


class Sample(NamedTuple):
    """Rows with their keys, the smallest of all."""

    keys: np.ndarray
    X: Any
    sample_weight: np.ndarray
    row_data: dict[str, Any]

    def some(self, order):
        """The rows at these places."""
        data = take_data(self.row_data, order, len(self.keys))
        return Sample(self.keys[order], take(self.X, order), self.sample_weight[order], data)


def gathered(estimator, partition):
    """The partition with row data in arrays and tables, which can be indexed by row."""
    return partition._replace(row_data=estimator._gathered_data(dict(partition.row_data)))


def exponentials(partition, first_rows, seed, purpose=0):
    """(keys, weights) of the rows of a partition. A key is an exponential number of rate weight, infinite for rows of
    weight 0. It follows from the seed, the purpose and the row's number among all rows; first_rows has the number of
    the first row of each partition."""
    if partition.number not in first_rows:
        raise ValueError(
            "it was not there in the first pass over the rows: map_reduce should look at the same partitions in each"
        )
    first, n = first_rows[partition.number], int(_num_samples(partition.X))
    generator = np.random.Philox(key=seed | purpose << 64)
    generator.advance(first // 4)  # a step of the counter is four numbers
    raw = generator.random_raw(n + first % 4)[first % 4 :]
    keys = -np.log((raw >> np.uint64(11)).astype(np.float64) * 2.0**-53 + 2.0**-54)
    weight = weights_of(partition)
    return np.divide(keys, weight, out=np.full(n, np.inf), where=weight > 0), weight


def weights_of(partition):
    """float64 (n_rows,), ones where the partition has no weights."""
    if partition.sample_weight is None:
        return np.ones(int(_num_samples(partition.X)))
    return np.asarray(partition.sample_weight, dtype=np.float64)


def drawn(partition, keys, weight, size):
    """`Sample` of the rows with the smallest finite keys. Efraimidis & Spirakis, "Weighted random sampling with a
    reservoir", Information Processing Letters 97 (2006): those are a sample without replacement by weight."""
    return sample_at(partition, smallest(keys, size), keys, weight)


def sample_at(partition, order, keys, weight):
    """`Sample` of the rows of a partition at some places."""
    X, row_data = taken(partition, order)
    return Sample(keys[order], X, weight[order], row_data)


def taken(partition, order):
    """(rows, row data) of a partition at some places."""
    n_rows = int(_num_samples(partition.X))
    return take(partition.X, order), take_data(partition.row_data, order, n_rows)


def merged_samples(samples, size):
    """One sample of several: the rows with the smallest keys, or all where size is None."""
    samples = [sample for sample in samples if len(sample.keys)] or samples[:1]
    keys = np.concatenate([sample.keys for sample in samples])
    weight = np.concatenate([sample.sample_weight for sample in samples])
    data = {
        name: _stacked_data([own.row_data[name] for own in samples], [len(own.keys) for own in samples])
        for name in samples[0].row_data
    }
    joined = Sample(keys, stacked([sample.X for sample in samples]), weight, data)
    return joined if size is None else joined.some(smallest(keys, size))


def _stacked_data(parts, lengths):
    """What rows of several partitions have, below each other; some of it may be one number for all rows of a
    partition."""
    if isinstance(parts[0], Responses):
        return Responses(np.concatenate(own) for own in zip(*(part.parts for part in parts), strict=True))
    if is_table(parts[0]):
        return stacked(parts)
    is_one = [np.shape(part) in ((), (1,)) for part in parts]
    return np.concatenate(
        [np.broadcast_to(part, n) if one else part for part, n, one in zip(parts, lengths, is_one, strict=True)]
    )


def smallest(keys, size):
    """Where the smallest finite keys are, in the order of their places."""
    order = np.flatnonzero(np.isfinite(keys))
    if len(order) > size:
        order = order[np.argpartition(keys[order], size - 1)[:size]]
    return np.sort(order)
