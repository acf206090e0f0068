"""Exponentials and logarithms as kernels compute them: doors for tests."""

from libc.stdint cimport uintptr_t

from mixfast.engine._isa cimport resolve_isa
from mixfast.engine._kernels cimport mixfast_select_rows

import numpy as np


cdef void *address(array) except? NULL:
    return <void *> <uintptr_t> array.ctypes.data


def _checked_reals(x):
    if x.dtype not in (np.float32, np.float64) or not x.flags.c_contiguous:
        raise ValueError(f"expected contiguous float32 or float64, got {x.dtype}")
    return x


def exp_nonpositive(x, isa=None):
    """exp(x) of a contiguous float32 or float64 array of values <= 0, as the pass computes it: a door for tests."""
    y = np.empty_like(_checked_reals(x))
    mixfast_select_rows(resolve_isa(isa), x.itemsize).exp_nonpositive(x.size, address(x), address(y))
    return y


def log_above_one(x, isa=None):
    """log(x) of a contiguous float32 or float64 array of values >= 1, as the pass computes it: a door for tests."""
    y = np.empty_like(_checked_reals(x))
    mixfast_select_rows(resolve_isa(isa), x.itemsize).log_above_one(x.size, address(x), address(y))
    return y


def log_one_plus(x, isa=None):
    """log(1 + x) of a contiguous float32 or float64 array of values >= 0, as kernels compute it: a door for tests."""
    y = np.empty_like(_checked_reals(x))
    mixfast_select_rows(resolve_isa(isa), x.itemsize).log_one_plus(x.size, address(x), address(y))
    return y
