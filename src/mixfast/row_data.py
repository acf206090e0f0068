"""Rows and what each has beside its values: how long its counts were waited for, say.

From the call to the family such data travels with its rows, as one record, so that leaving out rows, folds and joining
problems need not know what it is. An estimator's class declares the names that its methods take, `_row_data`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import _num_samples

from mixfast.tables import adopted, check_one_number_a_row
from mixfast.weights import take


@dataclass(frozen=True)
class RowData:
    """Rows with the named data that each has.

    rows : (n_samples, n_features), in any container
    data : name -> (n_samples,) or (n_samples, n_columns), or before it is checked whatever was given: a number for all
        rows, perhaps
    """

    rows: object
    data: Mapping

    @property
    def shape(self):
        return self.rows.shape

    @property
    def dtype(self):
        return self.rows.dtype

    def __len__(self):
        return _num_samples(self.rows)

    def take_rows(self, rows):
        """Some rows, by their numbers."""
        return RowData(take(self.rows, rows), take_data(self.data, rows, len(self)))


class Responses:
    """Several responses of each row, of any type and number of columns each.

    parts : tuple of (n_samples,) or (n_samples, n_columns) arrays
    """

    ndim = 1

    def __init__(self, parts):
        self.parts = tuple(map(np.asarray, parts))

    @property
    def shape(self):
        return (len(self),)

    def __len__(self):
        return len(self.parts[0])

    def take_rows(self, rows):
        """Those of some rows, by their numbers or a mask."""
        return Responses(part[rows] for part in self.parts)


def rows_with(rows, data):
    """The rows with what is given of them; the rows alone where that is nothing, None included."""
    data = {name: values for name, values in data.items() if values is not None}
    return RowData(adopted(rows), data) if data else rows


def separated(X):
    """(rows, what each has beside its values)"""
    return (X.rows, X.data) if isinstance(X, RowData) else (X, {})


def known_data(estimator, data):
    """What the methods of the estimator take, of what its rows have once they have been read."""
    return {name: values for name, values in data.items() if name in estimator._row_data}


def check_names(function, estimator, data):
    """Raises TypeError where a function was given what it does not know of the rows of this estimator, or not what it
    needs."""
    for name in estimator._needed_row_data:
        if data.get(name) is None:
            raise TypeError(f"{function}() of a {type(estimator).__name__} needs {name}, in the form of the problems")
    for name in data:
        if name not in estimator._row_data:
            known = ", ".join(estimator._row_data) or "nothing"
            raise TypeError(
                f"{function}() got an unexpected keyword argument {name!r}: what rows of a {type(estimator).__name__} "
                f"may have beside their values is {known}"
            )


def take_data(data, rows, n_samples):
    """What some of n_samples rows have, by their numbers or a mask; what is not one value a row stays as it is."""

    def some(values):
        if np.shape(values)[:1] != (n_samples,):
            return values
        return values.take_rows(rows) if isinstance(values, Responses) else np.asanyarray(values)[rows]

    return {name: some(values) for name, values in data.items()}


def check_finite(name, values, n_samples, dtype):
    """A finite number for each row, float64; `dtype`, which rows are computed in, can hold it.

    Raises ValueError that names the argument and the row.
    """
    return _check_numbers(name, values, n_samples, dtype, np.isfinite, "finite")


def check_positive(name, values, n_samples, dtype):
    """A number above zero for each row, float64; `dtype`, which rows are computed in, can hold it.

    Raises ValueError that names the argument and the row.
    """
    return _check_numbers(
        name, values, n_samples, dtype, lambda values: (values > 0) & np.isfinite(values), "finite and above zero"
    )


def _check_numbers(name, values, n_samples, dtype, is_right, wanted):
    check_one_number_a_row(values, name)
    values = check_array(np.atleast_1d(values), ensure_2d=False, dtype=np.float64, input_name=name)
    if values.shape not in ((n_samples,), (1,)):
        raise ValueError(f"{name} should have the shape of {(n_samples,)}, got {values.shape}")
    values = np.broadcast_to(values, n_samples)
    with np.errstate(over="ignore", invalid="ignore"):
        computed = values.astype(dtype)
        wrong = ~is_right(computed)
    if np.any(wrong):
        row = int(np.argmax(wrong))
        raise ValueError(f"{name} should be {wanted}, in row {row} it is {values[row]}")
    return values
