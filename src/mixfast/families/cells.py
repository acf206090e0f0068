"""Rows of numbers that name things: cells, by column and then by count."""

from __future__ import annotations

import numpy as np


def places_in(known, cells):
    """Where each of some cells (n, 2) is among the known ones, which are in order; -1 where it is none of them."""
    both, place = np.unique(np.concatenate([known, cells]), axis=0, return_inverse=True)
    at, place = np.full(len(both), -1), place.ravel()
    at[place[: len(known)]] = np.arange(len(known))
    return at[place[len(known) :]]
