"""Arrays that nobody changes in place."""

from __future__ import annotations

import numpy as np


def frozen(value, copy=True):
    """Arrays, and those in a list or a dict, that are read-only; `copy` leaves the one that is given to its owner."""
    if isinstance(value, np.ndarray):
        if copy and (value.flags.writeable or value.base is not None):  # a view changes with what it is a view of
            value = np.array(value)
        if value.flags.writeable:
            value.flags.writeable = False
        return value
    if type(value) is list and value and all(item is None or isinstance(item, np.ndarray) for item in value):
        return [frozen(item, copy) for item in value]
    if type(value) is dict and any(isinstance(item, (np.ndarray, dict, list)) for item in value.values()):
        return {name: frozen(item, copy) for name, item in value.items()}
    return value


class ReadOnlyFields:
    """A frozen dataclass whose arrays are read-only, and its own."""

    def __post_init__(self) -> None:
        for name, value in list(vars(self).items()):
            object.__setattr__(self, name, frozen(value))
