"""How messages show names and values: in few words, however many names there are and however large a value is."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

#: How many names a message shows of a long list, and how many characters of one name and of one value.
N_SHOWN = 5
NAME_LENGTH = 40
VALUE_LENGTH = 120


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."


def one_name(name: Any) -> str:
    """A name, of any type, as a message shows it."""
    if isinstance(name, np.str_ | np.number | np.bool_):  # whose repr is that of a call
        name = name.item()
    return _shortened(repr(name), NAME_LENGTH)


def listed(names: Iterable[Any]) -> str:
    """All names where these are few, else the first ones and how many there are: ``'a', 'b', 'c' and 997 more``."""
    names = list(names)
    # one more than are shown is no longer than to say that there is one more
    shown = names if len(names) <= N_SHOWN + 1 else names[:N_SHOWN]
    text = ", ".join(map(one_name, shown))
    return text if len(shown) == len(names) else f"{text} and {len(names) - len(shown)} more"


def nearest(name: Any, known: Iterable[Any], n_most: int = 3, likeness: float = 0.6) -> list[Any]:
    """The names that are spelled most like this one, case apart, the nearest first; `likeness` is difflib's."""
    by_spelling: dict[str, Any] = {}
    for own in known:
        by_spelling.setdefault(str(own).casefold(), own)
    wanted = str(name).casefold()
    if wanted in by_spelling:
        return [by_spelling[wanted]]
    return [by_spelling[own] for own in difflib.get_close_matches(wanted, by_spelling, n_most, likeness)]


def among(name: Any, known: Sequence[Any]) -> str:
    """What there is in the place of a name that is not known: the nearest, if any, and the others in short, such as
    ``there are 'a', 'b' and 998 more; did you mean 'a'?``."""
    known = list(known)
    if not known:
        return "there are none"
    close = nearest(name, known)
    text = f"there are {listed(known)}" if len(known) > 1 else f"there is {one_name(known[0])}"
    return f"{text}; did you mean {' or '.join(map(one_name, close))}?" if close else text


def difference(names: Sequence[Any], wanted: Sequence[Any]) -> str:
    """How a list of names differs from the one that is wanted: which are missing, with the nearest of those that are
    there, which are unknown, or where the order differs first."""
    # names may be of types that have no hash, and NaN is a name: they are compared as they are shown
    own, others = [repr(name) for name in names], [repr(name) for name in wanted]
    have, want = set(own), set(others)
    missing = [name for name, shown in zip(wanted, others, strict=True) if shown not in have]
    unknown = [name for name, shown in zip(names, own, strict=True) if shown not in want]
    parts = []
    if missing:
        close = nearest(missing[0], unknown, 1, 0.8)
        hint = f" (is {one_name(close[0])} what {one_name(missing[0])} was?)" if close else ""
        parts.append(f"{listed(missing)} {'is' if len(missing) == 1 else 'are'} missing{hint}")
    if unknown:
        parts.append(f"{listed(unknown)} {'is' if len(unknown) == 1 else 'are'} unknown")
    if not parts and len(own) != len(others):
        parts.append(f"there are {len(own)} names and {len(others)} are wanted: some repeat")
    if not parts:
        place = next((j for j, pair in enumerate(zip(own, others, strict=True)) if pair[0] != pair[1]), None)
        if place is not None:
            parts.append(f"the order differs: column {place} is {own[place]}, and {others[place]} is wanted")
    return "; ".join(parts)


def in_short(value: Any) -> str:
    """A value: of arrays and tables the type and the shape, since their entries would fill the screen, of a list its
    type and length where it is long, of all else the repr, shortened."""
    shape = getattr(value, "shape", None)
    kind = type(value).__name__
    if isinstance(shape, tuple) and shape and not isinstance(value, type):
        dtype = getattr(value, "dtype", None)  # of one column; tables have one for each
        return f"{kind} of shape {shape}" + ("" if dtype is None else f" and type {dtype}")
    if isinstance(value, list | tuple | set | frozenset | dict | range):
        text = _plain(value)
        return text if len(text) <= VALUE_LENGTH else f"{kind} of length {len(value)}"
    return _shortened(" ".join(repr(value).split()), VALUE_LENGTH)


def _plain(value: Any) -> str:
    """The repr of a list, or one that is too long: that of a million numbers takes a second."""
    if len(value) > VALUE_LENGTH:
        return " " * (VALUE_LENGTH + 1)
    return " ".join(repr(value).split())


def no_mixture(name: str, value: Any, wanted: str, other: Any, call: str) -> str:
    """What a message says of the argument `name` where a mixture is wanted; `other` and `call` are as in `swapped`."""
    return f"{name}={in_short(value)} should be a {wanted}{swapped(other, call)}"


def swapped(other: Any, call: str) -> str:
    """What a message of an argument that is no estimator says beside, where the `other` argument is one: the `call`
    with both in their places."""
    return f". The arguments may be swapped: {call}" if hasattr(type(other), "fit") else ""
