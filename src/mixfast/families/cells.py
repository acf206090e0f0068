"""Looking up cells, (column, count) pairs, in a sorted table of them."""

from __future__ import annotations

import numpy as np


def places_in(known, cells):
    """Row numbers (n,) of `cells` (n, 2) in `known` (n_known, 2), which is sorted; -1 for cells that it lacks."""
    both, place = np.unique(np.concatenate([known, cells]), axis=0, return_inverse=True)
    at, place = np.full(len(both), -1), place.ravel()
    at[place[: len(known)]] = np.arange(len(known))
    return at[place[len(known) :]]
