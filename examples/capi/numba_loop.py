"""Fits to many small problems in a Numba loop, without the GIL: functions are called by their addresses."""

import ctypes

import numba
import numpy as np

from mixfast import capi

INTEGER, BYTES, ADDRESS = ctypes.c_int64, ctypes.c_size_t, ctypes.c_void_p
N_MEMBERS_BEFORE = 1  # version and bytes, 4 bytes each, are as long as a pointer


def member(place, *types):
    """The function that is the place-th of the table, as `mixfast.h` lists them."""
    address = ADDRESS.from_address(capi.address + (N_MEMBERS_BEFORE + place) * ctypes.sizeof(ADDRESS)).value
    return ctypes.CFUNCTYPE(ctypes.c_int, *types)(address)


room = member(1, ADDRESS, INTEGER, ctypes.c_int, ADDRESS)
fit = member(3, ADDRESS, ADDRESS, ctypes.c_uint64, ctypes.c_int, ADDRESS, BYTES, ADDRESS, ADDRESS, ADDRESS)


@numba.njit(nogil=True)
def fit_each(plan, X, n_bytes, weights, params):
    """The number of fits that failed; plan is an address."""
    memory = np.empty(n_bytes, dtype=np.uint8)
    view = np.empty(5, dtype=np.int64)  # a mixfast_view: data, n_rows, strides, no weights
    n_failed = 0
    for i in range(X.shape[0]):
        x = X[i]
        view[0], view[1], view[2], view[3], view[4] = x.ctypes.data, x.size, 8, 8, 0
        weights[i, 0] = np.nan  # a start is found
        code = fit(
            plan, view.ctypes.data, i, 1, memory.ctypes.data, n_bytes, weights[i].ctypes.data, params[i].ctypes.data, 0
        )
        n_failed += code != 0
    return n_failed


def fit_means(plan, X):
    """Means (n_problems, n_components) of a plan's mixture in each row of X."""
    n_bytes = BYTES()
    assert room(plan.address, X.shape[1], 1, ctypes.addressof(n_bytes)) == 0
    weights, params = np.empty((len(X), plan.n_components)), np.empty((len(X), plan.n_params))
    assert fit_each(plan.address, X, n_bytes.value, weights, params) == 0
    first = plan.layout["means"].offset
    return params[:, first : first + plan.n_components]
