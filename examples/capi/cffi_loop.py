"""Fits to many small problems by CFFI, which reads the header; each call is without the GIL."""

import re
from pathlib import Path

import cffi
import numpy as np

import mixfast
from mixfast import capi

header = (Path(mixfast.get_include()) / "mixfast.h").read_text()
ffi = cffi.FFI()
ffi.cdef(re.sub(r'#if.*|#endif|#include.*|#define.*|extern "C" \{|^\}$', "", header, flags=re.MULTILINE))
api = ffi.cast("const mixfast_api *", capi.address)


def fit_means(plan, X):
    """Means (n_problems, n_components) of a plan's mixture in each row of X."""
    own = ffi.cast("const mixfast_plan *", plan.address)
    n_bytes = ffi.new("size_t *")
    assert api.room(own, X.shape[1], 1, n_bytes) == 0
    room = ffi.new("char[]", n_bytes[0])
    weights, params = np.empty(plan.n_components), np.empty((len(X), plan.n_params))
    for i, x in enumerate(X):
        view = ffi.new("mixfast_view *", (ffi.from_buffer(x), len(x), x.itemsize, x.itemsize, ffi.NULL))
        weights[0] = np.nan  # a start is found
        code = api.fit(
            own, view, i, 1, room, n_bytes[0], ffi.from_buffer("double[]", weights),
            ffi.from_buffer("double[]", params[i]), ffi.NULL,
        )  # fmt: skip
        assert code == 0, ffi.string(api.message(code))
    first = plan.layout["means"].offset
    return params[:, first : first + plan.n_components]
