"""Constraints of parameters that scikit-learn has no word for."""

from __future__ import annotations

from abc import ABCMeta
from numbers import Integral

from sklearn.utils._param_validation import Interval


class WholeNumber(Interval, metaclass=ABCMeta):  # as its base, which type checkers cannot see into
    """An integer from `least` to below `end`; True, which Python counts among the integers, is none."""

    def __init__(self, least, end=None):
        super().__init__(Integral, least, end, closed="left")

    def is_satisfied_by(self, val):
        return not isinstance(val, bool) and super().is_satisfied_by(val)
