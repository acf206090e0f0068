"""The units that rows are fitted in: the data's own, or each column's spread.

Units turn the rows into what is fitted, and parameters into these units (`enter`) and back (`leave`). `log_unit` is the
logarithm of the unit of volume, and `log_volume` what log densities in the data's units are smaller by: the same, and
where entries are missing the mean over the rows, of which each has the unit of what is there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

#: Why parts of rows with missing entries have no units: moments would need the weights of each column's entries.
NOT_IN_PARTS = (
    "regularization='relative' with missing entries, NaN, wants all rows at once, in one array: fit them so, set "
    "regularization='absolute', or fill in what is missing"
)

#: Rows that are converted to float64 at a time: 4 MiB of 128 columns.
BLOCK = 4096

#: What a design has of columns; precisions are the relative spacing of numbers of the type that rows came in.
OF_COLUMNS = "column_means", "column_deviations", "column_precisions"


class DataUnits:
    """The units of the data: rows are fitted unchanged."""

    log_volume = log_unit = 0.0

    def __init__(self, family, X, sample_weight):
        pass

    @classmethod
    def from_design(cls, family, design):
        """Units that do not depend on the rows."""
        return cls(family, None, None)

    def design(self):
        """What was learned of the rows, arrays by name."""
        return {}

    def rows(self, X):
        return X

    def lengths(self, X):
        return X

    def scatter(self, scatter):
        """A `Scatter` of rows in the data's units, in those that rows are fitted in."""
        return scatter

    def enter(self, params):
        return params

    def leave(self, params):
        return params


class AboutMeans(DataUnits):
    """The units of the data, for families whose intercepts may be about a pivot: rows are fitted unchanged, parameters
    are about the means of the columns.

    Parameters
    ----------
    family : Experts
        Says how parameters are moved to a pivot and back (`about_pivot`, `about_origin`).
    X : ndarray of shape (n_samples, n_features)
    sample_weight : ndarray of shape (n_samples,), float64, or None
    """

    def __init__(self, family, X, sample_weight):
        self._family = family
        with np.errstate(over="ignore", invalid="ignore"):
            self._moments = dict(zip(OF_COLUMNS, _moments_of(X, sample_weight), strict=True))
        self._mean = self._moments["column_means"]

    @classmethod
    def from_design(cls, family, design):
        """Those of rows with the column means of a design."""
        units = cls.__new__(cls)
        units._family = family
        units._moments = dict(zip(OF_COLUMNS, arrays_named(design, *OF_COLUMNS), strict=True))
        units._mean = units._moments["column_means"]
        return units

    def design(self):
        return self._moments

    def enter(self, params):
        return self._family.about_pivot(params, self._mean)

    def leave(self, params):
        return self._family.about_origin(params)


class StandardUnits:
    """Rows are fitted as (x - mean) / unit, with the mean and the standard deviation of each column.

    A column that is constant has no spread: its unit is its absolute value, or 1 where that is zero, so that scaling it
    does what scaling does to any column, and rounding is small in its unit whatever its size.

    Parameters
    ----------
    family : Gaussian
        Says whether columns may have units of their own (`column_units`), and transforms its parameters.
    X : ndarray of shape (n_samples, n_features), float32 or float64
    sample_weight : ndarray of shape (n_samples,), float64, or None
    """

    _has_gaps = _is_of_parts = False

    def __init__(self, family, X, sample_weight):
        there = ~np.isnan(X, order="C")  # sums have the same bits however rows lie in memory
        if not there.any(axis=0).all():  # of rows that are all here a fit has refused that
            raise ValueError(NOT_IN_PARTS)
        with np.errstate(over="ignore", invalid="ignore"):
            self._set(family, *_moments_of(X, sample_weight))
            if not there.all():  # a row has the units of its entries
                self._has_gaps = True
                self.log_volume = float(np.average(there, axis=0, weights=sample_weight) @ np.log(self._unit))

    def _set(self, family, mean, deviation, precision):
        self._family, self._mean, self._deviation, self._precision = family, mean, deviation, precision
        with np.errstate(over="ignore", invalid="ignore"):  # the caller sees it in log_volume
            unit = family.column_units(deviation)
            unit = np.where(unit == 0, family.column_units(np.abs(mean)), unit)
            self._unit = np.where(unit == 0, 1.0, unit)
            self._varies = deviation > 0
            self.log_unit = self.log_volume = float(np.sum(np.log(self._unit)))

    @classmethod
    def from_design(cls, family, design):
        """Those of rows with the column means and deviations of a design, and the precision of their values."""
        units = cls.__new__(cls)
        units._is_of_parts = True
        units._set(family, *arrays_named(design, *OF_COLUMNS))
        return units

    def design(self):
        if self._has_gaps:
            raise ValueError(NOT_IN_PARTS)
        return dict(zip(OF_COLUMNS, (self._mean, self._deviation, self._precision), strict=True))

    def rows(self, X):
        """A copy in these units, of the same dtype."""
        if self._is_of_parts and np.isnan(X).any():
            raise ValueError(NOT_IN_PARTS)
        rows = np.empty(X.shape, X.dtype)
        for block in _blocks(len(X)):
            standard = (X[block].astype(np.float64) - self._mean) / self._unit
            rows[block] = np.where(self._varies | np.isnan(standard), standard, 0)  # rounding is no spread
        return rows

    def scatter(self, scatter):
        return scatter.scaled(self._mean, np.where(self._varies, 1 / self._unit, 0))

    def lengths(self, X):
        """Differences of rows in these units."""
        return X / self._unit

    def enter(self, params):
        """`params`, given in the data's units."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self._family.transformed(params, self._mean, 1 / self._unit, 0.0)

    def leave(self, params):
        """`params` in the data's units."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self._family.transformed(params, 0.0, self._unit, self._mean)


def _moments_of(X, sample_weight):
    """What a design has of the columns of some rows."""
    return *column_moments(X, sample_weight), np.full(X.shape[1], float(np.finfo(X.dtype).eps))


def joined(one, other, share):
    """The design of the rows of two, of which the second has this share of the weight. No square overflows; a constant
    column has exactly its value."""
    if not one:
        return {}
    step = other["column_means"] - one["column_means"]
    mean = one["column_means"] + share * step
    within = np.hypot(math.sqrt(1 - share) * one["column_deviations"], math.sqrt(share) * other["column_deviations"])
    deviation = np.hypot(within, math.sqrt(share * (1 - share)) * step)
    precision = np.maximum(one["column_precisions"], other["column_precisions"])
    _drop_rounding(deviation, mean, precision)
    return dict(zip(OF_COLUMNS, (mean, deviation, precision), strict=True))


def arrays_named(design, *names):
    """Arrays (n_features,) of a design; ValueError where they are not there, or no means and deviations."""
    arrays = [design.get(name) for name in names]
    if any(array is None or array.dtype != np.float64 or array.ndim != 1 for array in arrays):
        raise ValueError(
            f"units need {', '.join(names)} of all rows, float64 (n_features,), and the design has {sorted(design)}: "
            "pass the design of these"
        )
    if len({len(array) for array in arrays}) > 1 or not np.all(np.isfinite(arrays)) or np.any(arrays[1] < 0):
        raise ValueError(f"{', '.join(names)} of a design should be finite, and deviations not negative")
    return arrays


@dataclass(frozen=True)
class ColumnRanges:
    """The range of each column in each problem, computed when it is first asked for.

    X : (n_rows, n_features), rows of all problems
    offsets : (n_problems + 1,); problem i has the rows offsets[i] to offsets[i + 1]
    """

    X: np.ndarray
    offsets: Sequence[int] | np.ndarray

    def of_columns(self, X):
        """Of the same problems with other columns."""
        return ColumnRanges(X, self.offsets)

    def none(self):
        """The mask (n_problems, n_features) of no column."""
        return np.zeros((len(self.offsets) - 1, self.X.shape[1]), dtype=bool)

    @cached_property
    def values(self):
        """(n_problems, n_features); 0 where a problem has no rows."""
        X, offsets = self.X, np.asarray(self.offsets)
        ranges = np.zeros((len(offsets) - 1, X.shape[1]), X.dtype)
        filled = np.diff(offsets) > 0
        first = offsets[:-1][filled]
        with np.errstate(over="ignore", invalid="ignore"):
            if len(first) == 1:  # 0.03 s for 10^6 rows of 16 columns, by reduceat 0.6 s
                ranges[filled] = X.max(axis=0) - X.min(axis=0)
            elif len(first):
                ranges[filled] = np.maximum.reduceat(X, first, axis=0) - np.minimum.reduceat(X, first, axis=0)
        return ranges


def column_moments(X, sample_weight):
    """Weighted mean and standard deviation of each column; no square overflows or vanishes on the way.

    Columns that differ by no more than the rounding of their values count as constant: their deviation is 0. The bits
    depend neither on threads nor on the memory that X lies in.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), float32 or float64
    sample_weight : ndarray of shape (n_samples,) or None

    Returns
    -------
    mean, deviation : ndarray of shape (n_features,), float64
        Of the entries that are not NaN; every column has some.
    """
    there = ~np.isnan(X)
    if not there.all():
        weights = [None if sample_weight is None else sample_weight[own] for own in there.T]
        columns = [X[own, j : j + 1] for j, own in enumerate(there.T)]
        return tuple(np.concatenate(own) for own in zip(*map(column_moments, columns, weights), strict=True))
    share = np.broadcast_to(1 / len(X), len(X)) if sample_weight is None else sample_weight / sample_weight.sum()
    lowest, highest = X.min(axis=0).astype(np.float64), X.max(axis=0).astype(np.float64)
    mean = _weighted_sum(X, share, lambda rows: rows)
    mean = np.clip(mean, lowest, highest)  # a constant column has exactly its value
    reach = np.maximum(highest - mean, mean - lowest)
    reach[reach == 0] = 1
    deviation = reach * np.sqrt(_weighted_sum(X, share, lambda rows: ((rows - mean) / reach) ** 2))
    _drop_rounding(deviation, mean, np.finfo(X.dtype).eps)
    return mean, deviation


def column_scales(X, sample_weight):
    """(mean, unit) (n_features,) that standardise columns, (X - mean) / unit; None where they are not finite.

    The unit is the standard deviation, and infinite for a constant column, which keeps no rounding.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = column_moments(X, sample_weight)
    if not (np.all(np.isfinite(mean)) and np.all(np.isfinite(deviation))):
        return None
    return mean, np.where(deviation > 0, deviation, np.inf)


def _drop_rounding(deviation, mean, precision):
    """Deviations that the rounding of values of that precision makes are 0: the bound of families/_covariances.pyx,
    rounding_of."""
    deviation[deviation <= 4 * precision * np.abs(mean)] = 0


def _weighted_sum(X, share, function):
    """The sum over the rows of share * function(row)."""
    total = np.zeros(X.shape[1])
    for block in _blocks(len(X)):
        # columns first: the sum along a column then takes the same order whatever the order of X is
        terms = function(np.array(X[block], dtype=np.float64, order="F"))
        total += np.sum(share[block, np.newaxis] * terms, axis=0)
    return total


def _blocks(n_rows):
    return (slice(first, first + BLOCK) for first in range(0, n_rows, BLOCK))
