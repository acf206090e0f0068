"""Rows for k-means whose columns are scaled first, separately within each problem of a batch.

IN rows (n_rows, n_columns) of all problems, and offsets (n_problems + 1,): problem i has rows offsets[i] to
offsets[i + 1]. OUT an array of the same shape. The scales are no part of a `Design`: only k-means uses them, never the
statistics of EM, and k-means is not run over rows in parts.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from mixfast.units import column_moments

#: Beyond it z / sqrt(1 + z^2) is 1, and the square might overflow in float32.
FAR = 1e8


def standardised(rows, offsets):
    """Each column standardised to mean 0 and standard deviation 1; zeros if it is constant."""
    out = np.empty_like(rows)
    for first, last in pairwise(offsets.tolist()):
        if first < last:
            mean, deviation = column_moments(rows[first:last], None)
            out[first:last] = (rows[first:last] - mean) / np.where(deviation == 0, np.inf, deviation)
    return out


def drawn_in(rows, offsets):
    """Each column as z / sqrt(1 + z^2), where z is the difference from the median in units of the interquartile range.

    This bounds the distance of outliers from other rows by about that between clusters, so that k-means does not spend
    centres on them. The result does not depend on the units of the columns.
    """
    middle, unit = middle_and_range(rows, offsets)
    owner = np.repeat(np.arange(len(middle)), np.diff(offsets))
    with np.errstate(over="ignore", invalid="ignore"):
        z = rows - middle[owner]
        z /= unit[owner]
        np.clip(z, -FAR, FAR, out=z)
        length = z * z
        length += 1
        z /= np.sqrt(length, out=length)
    return z


def middle_and_range(rows, offsets):
    """(medians, interquartile ranges) of each problem's columns, (n_problems, n_columns). If the interquartile range is
    0 the range of the column is taken, and 1 if it is constant."""
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
