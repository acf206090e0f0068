"""Parameters in the precision of the data."""

from __future__ import annotations

import numpy as np


def rounded_above_zero(values, dtype):
    """Values in `dtype`; positive ones stay positive, since a probability rounded to 0 would make rows impossible."""
    if values.dtype == dtype:
        return values.copy()
    with np.errstate(under="ignore"):
        rounded = values.astype(dtype)
    return np.where(values > 0, np.maximum(rounded, np.finfo(dtype).smallest_subnormal), rounded)


def rounded_finite(values, dtype):
    """Values in `dtype`; finite ones stay finite, since an overflow in a log density would make rows impossible."""
    values = np.asarray(values)
    if values.dtype == dtype:
        return values
    most = np.finfo(dtype).max
    return np.where(np.isfinite(values), np.clip(values, -most, most), values).astype(dtype)


def rounded_rows(X, dtype):
    """Rows that were drawn in float64: they stay finite, and what is not zero does not become zero."""
    rounded = rounded_finite(X, dtype)
    if rounded.dtype == X.dtype:
        return rounded
    least = np.finfo(dtype).tiny
    return np.where((X != 0) & (np.abs(X) < least), np.copysign(least, X), rounded).astype(dtype)


def rounded_below_one(values, dtype):
    """Values in `dtype`; those below 1 stay below 1, since the other outcome would become impossible."""
    rounded = values.astype(dtype)
    return np.where(values < 1, np.minimum(rounded, np.nextafter(dtype.type(1), dtype.type(0))), rounded)
