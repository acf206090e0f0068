"""What tasks of engines do, whichever engine runs them: fits on one thread, fits to the groups of a partition."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mixfast import partitions
from mixfast.batches.fit_many import NoRowsError, fit_many_groups
from mixfast.row_data import check_names

#: Rows by which engines find out what frames of groups look like.
EXAMPLE = 1000


def fit(estimator: Any, source: partitions.Source, **options: Any) -> Any:
    """`mixfast.partitions.fit` where each task takes one thread, unless the estimator's `n_threads` says otherwise:
    engines have a task for each of their threads."""
    fitted = partitions.fit(one_thread(partitions.to_be_fitted(estimator)), source, **options)
    return fitted.set_params(n_threads=estimator.n_threads)


def told_apart(estimator: Any, options: Mapping[str, Any], y: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what is said of rows beside their values, y too; options of `mixfast.partitions.fit`). Raises TypeError for a y
    that rows of the estimator do not have, and for estimators that are not fitted to sums over rows."""
    partitions.check_fits_elsewhere(estimator)
    row_data = {name: own for name, own in options.items() if name in estimator._row_data}
    if y is not None:
        row_data["y"] = y
    check_names("fit", estimator, row_data)
    return row_data, {name: own for name, own in options.items() if name not in row_data}


def one_thread(model: Any) -> Any:
    """The model, which takes one thread now, unless it says how many."""
    return model.set_params(n_threads=1) if model.n_threads is None else model


def in_order_of_values(table: Any, names: Sequence[str]) -> Any:
    """A pandas table, sorted by the values of its columns, missing ones last; the first column first."""
    columns = [table[name] for name in names]
    if not all(isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf" for column in columns):
        return table.sort_values(list(names), kind="stable")
    # the same order; pandas ranks the values of each column first: 34 ms of 100,000 rows of three columns, this 25
    return table.iloc[np.lexsort([column.to_numpy() for column in reversed(columns)])]


@dataclass(frozen=True)
class FitGroups:
    """A task: a fit to each group of a pandas table.

    estimator : mixture
    by : str or list of str
        The columns that say the group.
    columns : list of str
    kind : {'components', 'problems'}
        What `BatchResult.to_frame` is asked for.
    options : dict
        Of `mixfast.fit_many_groups`. A task takes one thread where they do not say.
    """

    estimator: Any
    by: str | Sequence[str]
    columns: Sequence[str]
    kind: Literal["components", "problems"]
    options: Mapping[str, Any]

    @property
    def keys(self) -> list[str]:
        """The columns that say the group."""
        return [self.by] if isinstance(self.by, str) else list(self.by)

    @property
    def read(self) -> list[str]:
        """All columns that are looked at, first those that say the group."""
        names = [*self.keys, *self.columns]
        for option in ("sample_weight", *self.estimator._row_data):
            told = self.options.get(option)
            names += [] if told is None else [told] if isinstance(told, str) else told
        return list(dict.fromkeys(names))

    def __call__(self, table: Any) -> Any:
        """A pandas DataFrame, or None where there is nothing to fit."""
        # by values within groups: engines move rows in the order of their arrival, and starts depend on the order
        table = in_order_of_values(table, self.read)
        options = {"n_threads": 1, **self.options}
        try:
            result = fit_many_groups(table, self.estimator, by=self.by, columns=list(self.columns), **options)
        except NoRowsError:
            return None
        frame = result.to_frame(self.kind)
        return frame if len(frame) else None

    def example(self, first_rows: Any) -> Any:
        """What the frame of a group looks like: all frames have its columns and their types.

        Raises
        ------
        ValueError
            Where neither these rows, taken for one group, nor any hundred of them can be fitted.
        """
        known = first_rows.dropna(subset=self.keys)
        if len(known):
            of_one = known.iloc[[0] * len(first_rows)]
            first_rows = first_rows.assign(**{name: of_one[name].array for name in self.keys})
        hundreds = (first_rows.iloc[first : first + 100] for first in range(0, len(first_rows), 100))
        for group in (first_rows, *hundreds):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of rows that are no group
                frame = self(group)
            if frame is not None:
                return frame
        raise ValueError(
            f"the first {len(first_rows)} rows cannot be fitted, not even by the hundred, so it is not known what "
            "columns results have: give a table that begins with rows of numbers, or leave bad ones out"
        )
