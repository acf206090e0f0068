"""The groups of the rows of a table: which columns say them, which are fitted, and what rows have beside."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from mixfast.batches.problems import Problems
from mixfast.row_data import OF_COMPONENTS, take_data
from mixfast.tables import columns_of_reals, declared_categories


class GroupedRows(NamedTuple):
    """Rows of a table that have values in all columns that are needed.

    places : int64 (n_kept,), their numbers in the table
    n_rows : int, of the table
    X : (n_rows, n_features), of all rows
    keys : list of lists (n_kept,), values of the columns that say the group
    declared : list of categories or None, for each of these columns
    row_data : what the rows that are kept have beside their values
    """

    places: np.ndarray
    n_rows: int
    X: np.ndarray
    keys: list
    declared: list
    row_data: dict

    def problems(self, groups, n_groups, columns):
        """(the `Problems` of so many groups, places in the table of their rows in order); `groups` has the number of
        the group of each row that was kept, -1 for none; `columns` are the names of those that are fitted."""
        order = np.argsort(groups, kind="stable")[np.count_nonzero(groups < 0) :]
        offsets = np.concatenate([[0], np.cumsum(np.bincount(groups[order], minlength=n_groups))])
        row_data, places = take_data(self.row_data, order, len(groups)), self.places[order]
        weights = row_data.pop("sample_weight", None)
        return Problems(self.X[places], offsets, weights, row_data, columns), places


class Grouping(NamedTuple):
    """Columns of a table by their names.

    by : list, those whose values say the group
    columns : list, those that are fitted
    row_data : dict, name of what rows have beside their values -> list of columns
    """

    by: list
    columns: list
    row_data: dict

    @classmethod
    def of(cls, table, by, columns, named):
        """As `fit_many_groups` is told; `named` are columns of weights and of row data, or None."""
        keys = places_given("by", by, table)
        data = {name: places_given(name, own, table) for name, own in named.items() if own is not None}
        if len(data.get("sample_weight", [0])) != 1:
            raise ValueError(f"sample_weight={named['sample_weight']!r} should name one column of the table")
        taken = {*keys, *itertools.chain(*data.values())}
        if columns is None:
            places = [place for place in range(len(table.names)) if place not in taken]
        else:
            places = places_given("columns", columns, table)
        if not keys or not places:
            raise ValueError(
                f"by={by!r} and columns={columns!r} should name columns of the table, which has {table.names}"
            )
        names = table.names
        row_data = {name: [names[place] for place in own] for name, own in data.items()}
        return cls([names[place] for place in keys], [names[place] for place in places], row_data)

    def names(self):
        """All of them."""
        return [*self.by, *self.columns, *itertools.chain(*self.row_data.values())]

    def for_predictions(self):
        """Without what predictions do not look at."""
        left_out = ("sample_weight", *OF_COMPONENTS)
        return self._replace(row_data={name: own for name, own in self.row_data.items() if name not in left_out})

    def read(self, table, estimator):
        """`GroupedRows` of a table; ValueError for columns that it does not have."""
        keys = [table.place_of(name) for name in self.by]
        places = [table.place_of(name) for name in self.columns]
        data_places = {name: [table.place_of(one) for one in own] for name, own in self.row_data.items()}
        X = columns_of_reals(table, places, estimator._reads(self.columns))
        kept = ~np.any(np.isnan(X) & ~estimator._by_place(self.columns)._allows_nan(len(places)), axis=1)
        needed = (place for name, own in data_places.items() if name != "known_labels" for place in own)
        for place in (*keys, *needed):
            kept &= ~table.is_missing(place)
        rows, row_data = np.flatnonzero(kept), {}
        for name, own in data_places.items():
            values = np.column_stack([table.reals(place)[rows].astype(np.float64) for place in own])
            row_data[name] = values[:, 0] if len(own) == 1 else values
        if "known_labels" in row_data:  # what is missing there is not known
            row_data["known_labels"] = np.nan_to_num(row_data["known_labels"], nan=-1)
        series = [table.series[place] for place in keys]
        values = [list(itertools.compress(own.to_list(), kept)) for own in series]
        return GroupedRows(rows, len(X), X, values, [declared_categories(own) for own in series], row_data)


def places_given(argument, given, table):
    """The places of the columns that an argument names, one or several in a list."""
    is_name = isinstance(given, str) or table.is_name(given)
    is_array = hasattr(type(given), "__array__") and np.ndim(given)  # whose values nobody wants to read
    shown = f"{argument}, a {type(given).__name__} of {len(given)}," if is_array else f"{argument}={given!r}"
    if not is_name and not isinstance(given, Iterable):
        raise ValueError(f"{shown} should name columns of the table, which has {table.names}")
    try:
        return [table.place_of(name) for name in ([given] if is_name else given)]
    except ValueError as error:
        raise ValueError(f"{shown} should name columns of the table: {error}") from None


def in_order(values, declared):
    """The distinct values: as the type of the column orders them where it does, else from the least to the largest;
    values of several types, which have no order, by the names of their types first."""
    distinct = set(values)
    if declared is not None:
        return [value for value in declared.tolist() if value in distinct]
    try:
        return sorted(distinct)
    except TypeError:
        return sorted(distinct, key=lambda value: (type(value).__name__, str(value)))


def group_rows(keys, declared):
    """(the distinct keys in order, the number of each row's); keys are the values of one column or of several."""
    distinct = [in_order(*own) for own in zip(keys, declared, strict=True)]
    codes = []
    for own, values in zip(distinct, keys, strict=True):
        places = {value: place for place, value in enumerate(own)}
        codes.append(np.fromiter(map(places.__getitem__, values), dtype=np.int64, count=len(values)))
    if len(keys) == 1:
        return distinct[0], codes[0]
    found, groups = np.unique(np.column_stack(codes), axis=0, return_inverse=True)
    names = [tuple(own[place] for own, place in zip(distinct, row, strict=True)) for row in found.tolist()]
    return names, groups.ravel()
