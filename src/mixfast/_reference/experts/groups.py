"""Rows that share a component: what is added up over them, and where each group is seen first."""

from __future__ import annotations

import numpy as np


def number(groups):
    """Groups as numbers in the order of their first rows, and these rows."""
    _, firsts, inverse = np.unique(groups, return_index=True, return_inverse=True)
    order = np.argsort(firsts)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[inverse], firsts[order]


def sums(values, numbers):
    """The sums of rows of `values` (n, K) over groups."""
    total = np.zeros((numbers.max() + 1, values.shape[1]), dtype=values.dtype)
    np.add.at(total, numbers, values)
    return total
