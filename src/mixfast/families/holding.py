"""Which parameters of a family can be held fixed while the rest is fitted with an exact M-step."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

#: The smallest unit of a parameter that can be held.
ALL, COMPONENT, NUMBER = 0, 1, 2
SAID = {ALL: "all components together", COMPONENT: "whole components", NUMBER: "single numbers"}


class Holding(NamedTuple):
    """How a parameter can be held.

    depth : ALL, COMPONENT or NUMBER: the smallest unit that can be held
    needs : names of parameters that must be held along with it, since their M-step would not be exact
    """

    depth: int
    needs: tuple[str, ...] = ()


def check_depth(name, values, depth):
    """Mask of the held numbers, those that are not NaN. ValueError if only part of a unit of this depth is held."""
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
    """`values` with NaN replaced by values of a unit that is held, so that all of it can be checked against a
    domain."""
    if depth == NUMBER:
        return np.where(held, values, values[held][0])
    if depth == ALL:
        return values
    first = np.flatnonzero(held.reshape(len(held), -1).any(axis=1))[0]
    return np.where(held, values, values[first])
