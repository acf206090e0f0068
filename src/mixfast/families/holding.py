"""What can be held while the rest is fitted, family by family: where the M-step of the rest is exact then."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

#: How much of a parameter is held at least.
ALL, COMPONENT, NUMBER = 0, 1, 2
SAID = {ALL: "all components together", COMPONENT: "whole components", NUMBER: "single numbers"}


class Holding(NamedTuple):
    """How a parameter can be held.

    depth : ALL, COMPONENT or NUMBER, what at least
    needs : names of others that are held wherever it is, without which the M-step of these would not be exact
    """

    depth: int
    needs: tuple[str, ...] = ()


def check_depth(name, values, depth):
    """What of `values` is held, a mask: all that is not NaN. ValueError where that is less than can be held."""
    held = ~np.isnan(values)
    parts = {ALL: held.reshape(1, -1), COMPONENT: held.reshape(len(held) if held.ndim else 1, -1)}.get(depth)
    if parts is not None:
        torn = np.flatnonzero(parts.any(axis=1) & ~parts.all(axis=1))
        if len(torn):
            where = "" if depth == ALL else f" of component {torn[0]}"
            raise ValueError(
                f"hold[{name!r}] has NaN beside numbers{where}: of this parameter {SAID[depth]} are held, or none"
            )
    return held


def filled(values, held, depth):
    """`values` with what is held elsewhere in the place of NaN, so that they can be looked at as a whole."""
    if depth == NUMBER:
        return np.where(held, values, values[held][0])
    if depth == ALL:
        return values
    first = np.flatnonzero(held.reshape(len(held), -1).any(axis=1))[0]
    return np.where(held, values, values[first])
