"""Rows for k-means where columns have to be brought to a scale first, in each problem by its own rows.

Rows are those of problems one after the other; problem i has the rows offsets[i] to offsets[i + 1].
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from mixfast.units import column_moments

#: Beyond it z / sqrt(1 + z^2) is 1, and the square might overflow in float32.
FAR = 1e8


def standardised(rows, offsets):
    """Each column less its mean, by its standard deviation; zeros where it is constant."""
    out = np.empty_like(rows)
    for first, last in pairwise(offsets.tolist()):
        if first < last:
            mean, deviation = column_moments(rows[first:last], None)
            out[first:last] = (rows[first:last] - mean) / np.where(deviation == 0, np.inf, deviation)
    return out


def drawn_in(rows, offsets):
    """Each column as z / sqrt(1 + z^2), where z is its distance from the median in interquartile ranges.

    So a row far out is no farther from the others than clusters are from each other, and k-means does not spend
    centres on outliers; and whatever the units of columns are, the result is the same.
    """
    middle, unit = _centre_and_range(rows, offsets)
    owner = np.repeat(np.arange(len(middle)), np.diff(offsets))
    with np.errstate(over="ignore", invalid="ignore"):
        z = rows - middle[owner]
        z /= unit[owner]
        np.clip(z, -FAR, FAR, out=z)
        length = z * z
        length += 1
        z /= np.sqrt(length, out=length)
    return z


def _centre_and_range(rows, offsets):
    """Medians of the columns of each problem, and their interquartile ranges; where half of a column is equal, the
    range of all of it, and 1 where it is constant."""
    sizes = np.diff(offsets)
    middle, unit = np.zeros((2, len(sizes), rows.shape[1]), dtype=rows.dtype)
    for size in np.unique(sizes[sizes > 0]):  # nothing is done for each problem
        own = np.flatnonzero(sizes == size)
        values = rows[offsets[own, np.newaxis] + np.arange(size)]
        ordered = np.sort(np.moveaxis(values, 1, 2), axis=2)  # a third of the time of np.partition
        middle[own] = ordered[:, :, size // 2]
        with np.errstate(over="ignore", invalid="ignore"):
            narrow = ordered[:, :, 3 * size // 4] - ordered[:, :, size // 4]
            narrow = np.where(narrow > 0, narrow, ordered[:, :, -1] - ordered[:, :, 0])
        unit[own] = np.where(narrow > 0, narrow, 1)
    return middle, unit
