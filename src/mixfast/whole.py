"""Whole numbers from a to b, as arguments."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from mixfast.in_messages import in_short


def check_whole(name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """The value as an int; ValueError where it is no whole number from `least` to `most`, which True is not."""
    if isinstance(value, Integral) and not isinstance(value, bool):
        number = int(value)
        if number >= least and (most is None or number <= most):
            return number
    wanted = f"of at least {least}" if most is None else f"from {least} to {most}"
    raise ValueError(f"{name}={in_short(value)} should be a whole number {wanted}")
