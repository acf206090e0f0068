"""Constraints of parameters that scikit-learn has no word for."""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Iterable
from numbers import Integral

from sklearn.utils._param_validation import Interval, StrOptions


class WholeNumber(Interval, metaclass=ABCMeta):  # as its base, which type checkers cannot see into
    """An integer from `least` to below `end`; True, which Python counts among the integers, is none."""

    def __init__(self, least, end=None):
        super().__init__(Integral, least, end, closed="left")

    def is_satisfied_by(self, val):
        return not isinstance(val, bool) and super().is_satisfied_by(val)


class Names(StrOptions, metaclass=ABCMeta):
    """One of some strings, which errors list in the order that is given here; a set has another in each run."""

    def __init__(self, names: Iterable[str]):
        self.names = tuple(names)
        super().__init__(set(self.names))

    def __str__(self):
        return f"a str among {{{', '.join(map(repr, self.names))}}}"
