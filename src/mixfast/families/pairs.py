"""Helpers of closed forms for pairs of components."""

from __future__ import annotations

import numpy as np


def between(one, other, share):
    """share[i] one[i] + (1 - share[i]) other[i]"""
    share = share[:, np.newaxis]
    return share * one + (1 - share) * other


def sums_of_logs(coefficients):
    """Sums over the columns of logarithms, -inf where one of them is 0; rounding makes no coefficient exceed 1."""
    with np.errstate(divide="ignore"):
        return np.minimum(np.log(coefficients), 0.0).sum(axis=1)
