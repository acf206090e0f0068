"""The C interface by ctypes, for tests: the functions of the table, and rooms that notice what is written beside."""

import ctypes
from ctypes import POINTER, byref, c_char_p, c_double, c_int, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p

import numpy as np

from mixfast import capi

GUARD = 64
#: What room is filled with: NaNs of either precision, and wild numbers.
RUBBISH = 0xFF


class View(ctypes.Structure):
    _fields_ = [
        ("data", c_void_p),
        ("n_rows", c_int64),
        ("row_stride", c_int64),
        ("column_stride", c_int64),
        ("weight", c_void_p),
    ]


class Report(ctypes.Structure):
    _fields_ = [("lower_bound", c_double), ("n_iter", c_int32), ("status", c_int32)]


SIGNATURES = {
    "sizes": (c_int, c_void_p, *[POINTER(c_int64)] * 4, POINTER(c_size_t)),
    "room": (c_int, c_void_p, c_int64, c_int, POINTER(c_size_t)),
    "pass_room": (c_int, c_void_p, c_int64, c_int, POINTER(c_size_t)),
    "fit": (c_int, c_void_p, POINTER(View), c_uint64, c_int, c_void_p, c_size_t, c_void_p, c_void_p, POINTER(Report)),
    "evaluate": (
        c_int, c_void_p, c_void_p, c_void_p, c_void_p, POINTER(View), c_int, c_void_p, c_size_t, c_void_p, c_void_p,
        c_void_p,
    ),
    "gather": (c_int, c_void_p, c_void_p, c_void_p, POINTER(View), c_int, c_void_p, c_size_t, c_void_p),
    "maximise": (c_int, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_void_p, POINTER(c_int32)),
    "message": (c_char_p, c_int),
    "prepare": (c_int, c_void_p, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t),
    "recentre": (c_int, *[c_void_p] * 6, c_size_t, c_void_p),
    "sample": (c_int, *[c_void_p] * 3, c_uint64, c_int64, c_int64, c_void_p, c_size_t, c_void_p, c_void_p),
    "follow": (c_int, c_void_p, POINTER(View), c_double, c_double, c_void_p, c_size_t, *[c_void_p] * 5),
}  # fmt: skip


class Table(ctypes.Structure):
    _fields_ = [
        ("version", c_uint32),
        ("bytes", c_uint32),
        *((name, ctypes.CFUNCTYPE(*types)) for name, types in SIGNATURES.items()),
    ]


API = Table.from_address(capi.address)


def pointer(array):
    return None if array is None else array.ctypes.data


def view_of(X, weight=None):
    return View(pointer(X), X.shape[0], X.strides[0], X.strides[1], pointer(weight))


class Room:
    """So many bytes of rubbish between guards, `offset` bytes behind a cache line."""

    def __init__(self, n_bytes, offset=0):
        self.n_bytes = n_bytes
        self.memory = np.full(n_bytes + 2 * GUARD + 64, RUBBISH, dtype=np.uint8)
        self.first = GUARD + (offset - (self.memory.ctypes.data + GUARD)) % 64
        self.memory[: self.first] = self.memory[self.first + n_bytes :] = 0xA5

    @property
    def address(self):
        return self.memory.ctypes.data + self.first

    def is_unhurt(self):
        around = self.memory[: self.first], self.memory[self.first + self.n_bytes :]
        return all(np.all(part == 0xA5) for part in around)

    def is_untouched(self):
        return self.is_unhurt() and bool(np.all(self.memory[self.first : self.first + self.n_bytes] == RUBBISH))


def room_for(plan, n_rows, n_threads=1, verb="pass_room"):
    n_bytes = c_size_t()
    assert getattr(API, verb)(plan.address, n_rows, n_threads, byref(n_bytes)) == 0
    return n_bytes.value


def table_bytes(plan):
    n_bytes = c_size_t()
    assert API.sizes(plan.address, None, None, None, None, byref(n_bytes)) == 0
    return n_bytes.value


def fit(plan, X, weight=None, *, seed=0, n_threads=1, start=None, offset=0):
    """(code, weights, params, report)"""
    weights, params = (np.full(plan.n_components, np.nan), np.full(plan.n_params, np.nan))
    if start is not None:
        weights, params = start[0].copy(), start[1].copy()
    room, report = Room(room_for(plan, X.shape[0], n_threads, "room"), offset), Report()
    code = API.fit(
        plan.address, view_of(X, weight), seed, n_threads, room.address, room.n_bytes, pointer(weights),
        pointer(params), report,
    )  # fmt: skip
    assert room.is_unhurt()
    return code, weights, params, report


def evaluate(plan, weights, params, X, *, tables=None, n_threads=1, wanted=("labels", "log_density", "resp")):
    """(code, labels, log_density, resp), None for what is not wanted"""
    shapes = {"labels": X.shape[:1], "log_density": X.shape[:1], "resp": (X.shape[0], plan.n_components)}
    found = {
        name: np.full(shape, -7, dtype=np.int64 if name == "labels" else plan.dtype)
        for name, shape in shapes.items()
        if name in wanted
    }
    room = Room(room_for(plan, X.shape[0], n_threads))
    code = API.evaluate(
        plan.address, pointer(weights), pointer(params), None if tables is None else tables.address, view_of(X),
        n_threads, room.address, room.n_bytes, *(pointer(found.get(name)) for name in shapes),
    )  # fmt: skip
    assert room.is_unhurt()
    return code, *(found.get(name) for name in shapes)


def gather(plan, weights, params, X, weight=None, *, sums=None, n_threads=1):
    """(code, sums)"""
    sums = np.zeros(plan.n_sums) if sums is None else sums
    room = Room(room_for(plan, X.shape[0], n_threads))
    code = API.gather(
        plan.address, pointer(weights), pointer(params), view_of(X, weight), n_threads, room.address, room.n_bytes,
        pointer(sums),
    )  # fmt: skip
    assert room.is_unhurt()
    return code, sums


def maximise(plan, sums, weights, params):
    """(code, weights, params, status)"""
    weights, params, status = weights.copy(), params.copy(), c_int32()
    room = Room(room_for(plan, 0))
    code = API.maximise(
        plan.address, pointer(sums), room.address, room.n_bytes, pointer(weights), pointer(params), byref(status)
    )
    assert room.is_unhurt()
    return code, weights, params, status.value


def prepare(plan, weights, params):
    """(code, tables)"""
    room, tables = Room(room_for(plan, 0)), Room(table_bytes(plan))
    code = API.prepare(
        plan.address, pointer(weights), pointer(params), room.address, room.n_bytes, tables.address, tables.n_bytes
    )
    assert room.is_unhurt()
    assert tables.is_unhurt()
    return code, tables


def recentre(plan, old, new, sums):
    """(code, sums)"""
    sums, room = sums.copy(), Room(room_for(plan, 0))
    code = API.recentre(
        plan.address, *(pointer(array) for state in (old, new) for array in state), room.address, room.n_bytes,
        pointer(sums),
    )  # fmt: skip
    assert room.is_unhurt()
    return code, sums


def follow(plan, X, weight, weights, params, sums, *, rate, least=-np.inf, n_bytes=None):
    """(code, labels, log_density, weights, params, sums); arrays have a first axis of models, which are copied"""
    weights, params, sums = (np.array(array, order="C") for array in (weights, params, sums))
    labels, log_density = np.full(len(X), -7), np.full(len(X), np.nan)
    room = Room(room_for(plan, 1) if n_bytes is None else n_bytes)
    code = API.follow(
        plan.address, view_of(X, weight), rate, least, room.address, room.n_bytes, pointer(weights), pointer(params),
        pointer(sums), pointer(labels), pointer(log_density),
    )  # fmt: skip
    assert room.is_unhurt()
    return code, labels, log_density, weights, params, sums


def sample(plan, weights, params, n_rows, *, seed=0, first=0, with_labels=True):
    """(code, labels, rows)"""
    room, values = Room(room_for(plan, 0)), Room(n_rows * plan.n_features * plan.dtype.itemsize)
    labels = np.full(n_rows, -7) if with_labels else None
    code = API.sample(
        plan.address, pointer(weights), pointer(params), seed, first, n_rows, room.address, room.n_bytes,
        pointer(labels), values.address,
    )  # fmt: skip
    assert room.is_unhurt()
    assert values.is_unhurt()
    drawn = values.memory[values.first :][: values.n_bytes].view(plan.dtype).reshape(n_rows, plan.n_features)
    return code, labels, drawn
