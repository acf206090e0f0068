"""Passes over rows in partitions: tasks that say which rows they looked at, and that all passes look at the same."""

from __future__ import annotations

import math
from collections import Counter
from functools import partial
from typing import Any, NamedTuple

from sklearn.utils.validation import _num_samples

from mixfast.estimators._drawn_rows import weights_of

#: Weights of the same rows differ by less, relatively, where these come in another order, as some engines have them.
SAME_WEIGHT = 1e-9


class RowsOf(NamedTuple):
    """How many rows a partition has, those of weight 0 too, and what they weigh together."""

    number: int
    n_rows: int
    weight: float

    def are(self, other):
        return self.n_rows == other.n_rows and math.isclose(self.weight, other.weight, rel_tol=SAME_WEIGHT)

    def __str__(self):
        return f"{self.n_rows} rows of weight {self.weight:g}"


class Looked(NamedTuple):
    """What a task made of some partitions.

    rows : tuple of RowsOf
        Of these partitions, in the order in which they were merged.
    found : object
    """

    rows: tuple[RowsOf, ...]
    found: Any


def _merged(join, parts):
    """`Looked` of neighbours as one."""
    return Looked(tuple(rows for part in parts for rows in part.rows), join([part.found for part in parts]))


class Task:
    """What is done with each partition, and with the results of several: a subclass has `look(partition, state)` and
    `join(results)`, which travels with all that it is bound to. Errors say which partition they are of."""

    def __call__(self, partition, state):
        try:
            found = self.look(partition, state)
            n_rows = int(_num_samples(partition.X))
            weight = float(n_rows if partition.sample_weight is None else weights_of(partition).sum())
        except ValueError as error:
            raise ValueError(f"Partition {partition.number}: {error}") from None
        return Looked((RowsOf(partition.number, n_rows, weight),), found)

    @property
    def merge(self):
        """What a source is to merge results by."""
        return partial(_merged, self.join)


class CheckedPasses:
    """Passes over the partitions of a source: each returns what a task makes of all. The first finds which rows there
    are, and the others raise RuntimeError where they are not the same: a fit would go on, to something else."""

    def __init__(self, source):
        self._source, self._rows = source, None

    def __call__(self, task, state=None):
        looked = self._source.map_reduce(task, state, task.merge)
        if not isinstance(looked, Looked):
            raise TypeError(
                f"{self._who} should return what merge makes of the results of its partitions, got "
                f"{type(looked).__name__}"
            )
        self._check(looked.rows)
        self._rows = self._rows or looked.rows
        return looked.found

    @property
    def n_partitions(self):
        return len(self._rows)

    @property
    def n_rows(self):
        """Of all partitions, rows of weight 0 too."""
        return sum(own.n_rows for own in self._rows)

    def first_rows(self):
        """The number, among all rows, of the first of each partition."""
        found, total = {}, 0
        for own in self._rows:
            found[own.number] = total
            total += own.n_rows
        return found

    @property
    def _who(self):
        return f"map_reduce of {type(self._source).__name__}"

    def _check(self, rows):
        numbers = [own.number for own in rows]
        times, n = Counter(numbers), len(rows) if self._rows is None else self.n_partitions
        if times != dict.fromkeys(range(n), 1):
            number = min(number for number in {*times, *range(n)} if times[number] != (0 <= number < n))
            raise RuntimeError(
                f"{self._who} merged results of partition {number} {times[number]} times in a pass over {n} "
                "partitions: a source numbers its partitions 0, 1, 2 and so on, the same in all passes, and merges "
                "what the task makes of each once"
            )
        if numbers != sorted(numbers):
            after = next(i for i in range(1, n) if numbers[i] < numbers[i - 1])
            raise RuntimeError(
                f"{self._who} merged results of partition {numbers[after]} after those of {numbers[after - 1]}: give "
                "mixfast.partitions.merged the results in the order of the partitions' numbers"
            )
        for own, its in zip(rows, self._rows or rows, strict=True):
            if not own.are(its):
                raise RuntimeError(
                    f"{self._who} has {own} in partition {own.number}, and had {its} in the first pass: each pass "
                    "should look at the same rows. Give it rows that nothing adds to, takes from or weighs anew while "
                    "a fit reads them"
                )
