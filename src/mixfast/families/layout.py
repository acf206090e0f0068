"""Where the arrays of a record lie in one flat buffer of float64."""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from math import prod

import numpy as np


class Layout:
    """The arrays of a record, one after the other in C order.

    The same buffer is what the compiled verbs read and write, a lane of the reduction, a message between machines and
    the saved model.

    Parameters
    ----------
    record : type of NamedTuple
        Names the arrays.
    shapes : tuple of tuple of int
        A shape for each field of the record.
    """

    def __init__(self, record, shapes):
        if len(shapes) != len(record._fields):
            raise ValueError(f"{record.__name__} has fields {record._fields}, got {len(shapes)} shapes")
        self.record = record
        self.shapes = tuple(tuple(shape) for shape in shapes)
        self.offsets = tuple(accumulate((prod(shape) for shape in self.shapes), initial=0))
        self.size = self.offsets[-1]

    def view(self, buffer):
        """The record of views into `buffer`; nothing is copied."""
        return self.record(
            *(
                buffer[start:stop].reshape(shape)
                for start, stop, shape in zip(self.offsets, self.offsets[1:], self.shapes, strict=False)
            )
        )

    def pack(self, record):
        """A new buffer holding the arrays of `record`; raises ValueError where a shape does not fit."""
        arrays = self.check(record)
        buffer = np.empty(self.size)
        for target, source in zip(self.view(buffer), arrays, strict=True):
            target[...] = source
        return buffer

    def check(self, record):
        """The arrays of `record` as float64; raises ValueError where a shape does not fit."""
        arrays = [np.asarray(source, dtype=float) for source in record]
        for name, shape, array in zip(self.record._fields, self.shapes, arrays, strict=True):
            if array.shape != shape:
                raise ValueError(f"{self.record.__name__}.{name} should have the shape of {shape}, got {array.shape}")
        return arrays


_shared = lru_cache(maxsize=1024)(Layout)  # a fit asks four times for the same two


def layout_of(record, shapes):
    """The layout of a record whose arrays have these shapes, a tuple of tuples; it is never changed, and so shared."""
    return _shared(record, shapes)
