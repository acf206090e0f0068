"""Rows of a table, split into groups by the values of key columns (`fit_many_groups`)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from mixfast.batches.problems import Problems
from mixfast.in_messages import among, in_short, listed
from mixfast.row_data import OF_COMPONENTS, take_data
from mixfast.tables import columns_of_reals, declared_categories


class GroupedRows(NamedTuple):
    """The complete rows of a table: those without missing values in the columns that are needed.

    places : int64 (n_kept,), indices of the complete rows in the table
    n_rows : int, number of rows of the table
    X : (n_rows, n_features), the columns that are fitted, of all rows of the table
    keys : list with an entry for each key column, its values in the complete rows, a list (n_kept,)
    declared : list with an entry for each key column, the categories of its type, or None where that has none
    row_data : dict, name -> float64 (n_kept,) or (n_kept, n_columns), row data of the complete rows; of labels that are
        strings object
    """

    places: np.ndarray
    n_rows: int
    X: np.ndarray
    keys: list
    declared: list
    row_data: dict

    def problems(self, groups, n_groups, columns):
        """(`Problems`, one for each group; int64, the index in the table of each of their rows).

        groups : int64 (n_kept,), the group of each complete row, from 0 to n_groups - 1; -1 leaves the row out
        columns : names of the fitted columns
        """
        order = np.argsort(groups, kind="stable")[np.count_nonzero(groups < 0) :]
        offsets = np.concatenate([[0], np.cumsum(np.bincount(groups[order], minlength=n_groups))])
        row_data, places = take_data(self.row_data, order, len(groups)), self.places[order]
        weights = row_data.pop("sample_weight", None)
        return Problems(self.X[places], offsets, weights, row_data, columns), places


class Grouping(NamedTuple):
    """The roles of a table's columns, by their names.

    by : list, the key columns, whose values are the group of a row
    columns : list, the fitted columns
    row_data : dict, name of row data, such as 'exposure' -> list of columns
    """

    by: list
    columns: list
    row_data: dict

    @classmethod
    def of(cls, table, by, columns, named):
        """From the arguments of `fit_many_groups`; `named` has those that name columns of weights and of row data, or
        None. Raises ValueError for columns that are not there."""
        keys = places_given("by", by, table)
        data = _places_of_data(named, table)
        if len(data.get("sample_weight", [0])) != 1:
            raise ValueError(f"sample_weight={in_short(named['sample_weight'])} should name one column of the table")
        taken = {*keys, *itertools.chain(*data.values())}
        if columns is None:
            places = [place for place in range(len(table.names)) if place not in taken]
        else:
            places = places_given("columns", columns, table)
        if not keys or not places:
            raise ValueError(
                f"by={in_short(by)} and columns={in_short(columns)} should name a column or more each of the "
                f"table, which has {listed(table.names)}"
            )
        names = table.names
        row_data = {name: [names[place] for place in own] for name, own in data.items()}
        return cls([names[place] for place in keys], [names[place] for place in places], row_data)

    def names(self):
        """The names of all columns with a role."""
        return [*self.by, *self.columns, *itertools.chain(*self.row_data.values())]

    def for_predictions(self):
        """Without the columns that predictions do not need: weights and known labels."""
        left_out = ("sample_weight", *OF_COMPONENTS)
        return self._replace(row_data={name: own for name, own in self.row_data.items() if name not in left_out})

    def with_data(self, table, named):
        """With other columns of row data, by arguments that name them, in the place of those that it has. Raises
        ValueError for columns that are not there."""
        data = _places_of_data(named, table)
        own = {name: [table.names[place] for place in places] for name, places in data.items()}
        return self._replace(row_data=self.row_data | own)

    def read(self, table, estimator):
        """`GroupedRows` of a table; raises ValueError where it lacks a column."""
        keys = [table.place_of(name) for name in self.by]
        places = [table.place_of(name) for name in self.columns]
        data_places = {name: [table.place_of(one) for one in own] for name, own in self.row_data.items()}
        X = columns_of_reals(table, places, estimator._reads(self.columns))
        kept = ~np.any(np.isnan(X) & ~estimator._by_place(self.columns)._allows_nan(len(places)), axis=1)
        needed = (place for name, own in data_places.items() if name != "known_labels" for place in own)
        for place in (*keys, *needed):
            kept &= ~table.is_missing(place)
        rows, row_data, labels = np.flatnonzero(kept), {}, estimator._labels_of_any_type()
        for name, own in data_places.items():
            read = table.labels if name in labels else table.reals
            values = np.column_stack([read(place)[rows] for place in own])
            values = values if values.dtype == object else values.astype(np.float64)
            is_single = len(own) == 1 and name not in estimator._row_data_of_columns
            row_data[name] = values[:, 0] if is_single else values
        if "known_labels" in row_data:  # a missing label is an unknown one
            row_data["known_labels"] = np.where(np.isnan(row_data["known_labels"]), -1, row_data["known_labels"])
        series = [table.series[place] for place in keys]
        values = [list(itertools.compress(own.to_list(), kept)) for own in series]
        return GroupedRows(rows, len(X), X, values, [declared_categories(own) for own in series], row_data)


def _places_of_data(named, table):
    """Name of row data -> positions of its columns, of those that are named, not None."""
    return {name: places_given(name, own, table) for name, own in named.items() if own is not None}


def places_given(argument, given, table):
    """Positions of the columns that an argument names, a list; `given` is one name or an iterable of names. Raises
    ValueError, with the argument's name, for what is no column."""
    is_name = isinstance(given, str) or table.is_name(given)
    if not is_name and not isinstance(given, Iterable):
        raise ValueError(f"{argument}={in_short(given)} should name columns of the table: {among(given, table.names)}")
    try:
        return [table.place_of(name) for name in ([given] if is_name else given)]
    except ValueError as error:
        raise ValueError(f"{argument}={in_short(given)} should name columns of the table: {error}") from None


def in_order(values, declared):
    """The distinct values, sorted: in the order of the categories that the column declares, if any, else ascending;
    values that cannot be compared by the name of their type, then by their string."""
    distinct = set(values)
    if declared is not None:
        return [value for value in declared.tolist() if value in distinct]
    try:
        return sorted(distinct)
    except TypeError:
        return sorted(distinct, key=lambda value: (type(value).__name__, str(value)))


def group_rows(keys, declared):
    """(sorted distinct keys, the index of each row's key in them, int64). keys and declared are those of `GroupedRows`;
    keys of several columns are tuples, sorted by the first column first."""
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
