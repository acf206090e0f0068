"""Log-likelihoods and what criteria are made of, of rows in partitions: one pass over these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from sklearn.utils.validation import _num_samples

from mixfast.estimators._passes import CheckedPasses, Task
from mixfast.partitions import for_passes
from mixfast.row_data import check_no_others, rows_with
from mixfast.weights import check_n_effective, counted_rows, effective_number, is_far, warn_of_sum


class Scores(NamedTuple):
    """Sums over rows of positive weight: weight * log density, weights, weight * log of the largest responsibility (0
    where it is not asked for), 1, and squares of weights."""

    log_likelihood: float = 0.0
    weight: float = 0.0
    in_doubt: float = 0.0
    n_rows: int = 0
    squares: float = 0.0

    def plus(self, other):
        return Scores(*(own + its for own, its in zip(self, other, strict=True)))

    def standing_for(self, n_effective):
        """Those of weights that sum to the number of rows that they stand for, as `weights.observed` has it."""
        if n_effective is None and is_far(self.weight, self.n_rows):
            warn_of_sum("The weights of the rows", self.weight, self.n_rows)
        if n_effective is None or n_effective == "sum":
            return self
        number = float(effective_number(n_effective, self.weight, self.squares))
        by = number / self.weight
        return self._replace(log_likelihood=self.log_likelihood * by, weight=number, in_doubt=self.in_doubt * by)


@dataclass(frozen=True)
class ScoreRows(Task):
    """A task: the `Scores` of a partition. `method` is what the user has called."""

    model: Any
    method: str

    def look(self, partition, state):
        _, X, sample_weight, row_data = partition
        check_no_others(self.method, self.model, row_data)
        for name in self.model._needed_row_data:
            if row_data.get(name) is None:
                raise ValueError(
                    f"{self.method}() of a {type(self.model).__name__} needs {name}, and the rows have none: name its "
                    f"column, blocks(rows, {name}=...), or put it into the row_data of the partitions"
                )
        if row_data.get("groups") is not None:
            raise ValueError("rows of a group may be in other partitions, and count together: leave groups out")
        X, sample_weight, _ = counted_rows(
            rows_with(X, self.model._gathered_data(dict(row_data))), sample_weight, needs_some=False
        )
        if not _num_samples(X):
            return Scores()
        if self.method == "score":  # rows without an entry count too
            return Scores(*self.model._log_likelihood(X, sample_weight))
        return self.model._scores_of(X, sample_weight, self.method == "icl")

    @staticmethod
    def join(parts):
        total = parts[0]
        for own in parts[1:]:
            total = total.plus(own)
        return total


def scores_of(model, source, method, sample_weight, row_data, n_effective="sum"):
    """`Scores` of the rows of a source. Raises ValueError where there are none, or something is said of them beside."""
    check_n_effective(n_effective)
    if sample_weight is not None or any(value is not None for value in row_data.values()):
        raise ValueError("rows in partitions have their weights, and what else they have, in the partitions")
    found = CheckedPasses(for_passes(source, model.n_threads))(ScoreRows(model, method))
    if not found.weight > 0:
        raise ValueError("no row of the partitions has a positive weight: there is nothing to score")
    return found.standing_for(n_effective)
