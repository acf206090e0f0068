"""Predictions: passes at given parameters that write a number, or a row of numbers, for each row of X."""

from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memcpy, memset

from mixfast.engine._family cimport chunk_t, family_t
from mixfast.engine._groups cimport run_e_step
from mixfast.engine._kernels cimport rows_t
from mixfast.engine._pass cimport (
    LANE_IMPOSSIBLE,
    Pass,
    assign_fn,
    densities,
    expected,
    finish_nothing,
    is_first,
    mend_overflow,
    nearest,
    pass_t,
    run_pass,
    strategy_t,
    workspace_t,
)
from mixfast.engine._reals cimport add, get

import numpy as np


cdef int unnormalised(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                      double *lane) noexcept nogil:
    """`assign` that leaves log weight + log density in space.resp, without softmax."""
    cdef Py_ssize_t k, r
    cdef int code = densities(p, start, chunk, space)
    if code != 0:
        return code
    mend_overflow(p, chunk, space)
    if p.rows.base != NULL:
        for r in range(chunk.n_rows):
            for k in range(p.family.n_components):
                add(space.resp, p.family.real_bytes, k * chunk.stride + r, p.rows.base[start + r])
    return 0


cdef double base_of(const rows_t *rows, Py_ssize_t row) noexcept nogil:
    """The parameter-free term of a row's log density; with groups, the group's sum for its first row and 0 for
    others."""
    cdef double total = 0
    cdef Py_ssize_t g, t
    if rows.groups == NULL:
        return rows.base[row]
    g = rows.groups.number[row]
    for t in range(rows.groups.begin[g], rows.groups.begin[g + 1] if is_first(rows.groups, row) else 0):
        total += rows.base[rows.groups.rows[t]]
    return total


cdef int write_results(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                       double *lane) noexcept nogil:
    """`deliver` of predictions. OUT: the chunk's rows of those arrays of results_t that are not NULL; reals of the
    family's precision."""
    cdef const results_t *results = <const results_t *> p.strategy.deliver_data
    cdef Py_ssize_t n_components = p.family.n_components, real_bytes = p.family.real_bytes, r
    if results.log_norm != NULL:
        if p.rows.base != NULL:
            for r in range(chunk.n_rows):
                add(space.log_norm, real_bytes, r, base_of(&p.rows, start + r))
        memcpy(results.log_norm + start * real_bytes, space.log_norm, chunk.n_rows * real_bytes)
    if results.resp != NULL:
        p.kernels.transpose(n_components, chunk.n_rows, chunk.stride, space.resp,
                            results.resp + start * n_components * real_bytes)
    if results.labels != NULL:
        p.kernels.argmax(n_components, chunk.n_rows, chunk.stride, space.resp, space.places, space.softmax_scratch)
        for r in range(chunk.n_rows):
            results.labels[start + r] = <int64_t> get(space.places, real_bytes, r)
        if results.largest != NULL:
            memcpy(results.largest + start * real_bytes, space.softmax_scratch, chunk.n_rows * real_bytes)
    return 0


cdef char *address(array) except? NULL:
    """Of a contiguous array that the caller keeps, or of None."""
    cdef Py_buffer view
    cdef char *found
    if array is None:
        return NULL
    PyObject_GetBuffer(array, &view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)  # array.ctypes takes ten times as long
    found = <char *> view.buf
    PyBuffer_Release(&view)
    return found


def evaluate(Pass p not None, bint classify=False, log_norm=None, labels=None, resp=None, largest=None):
    """Fill whichever arrays are given, in one pass at p's parameters; returns the number of impossible rows.

    log_norm (n_samples,) log densities, resp (n_samples, n_components) responsibilities, labels (n_samples,) int64 the
    most likely components, largest (n_samples,) their responsibilities. All contiguous and, but for labels, of the
    family's precision. `classify` spares the exponentials: labels only.
    """
    cdef results_t results
    cdef const family_t *family = p.c.family
    n_rows, real = p.c.rows.n_rows, np.float64 if family.real_bytes == 8 else np.float32
    for name, array, shape, dtype in (
        ("log_norm", log_norm, (n_rows,), real),
        ("labels", labels, (n_rows,), np.int64),
        ("resp", resp, (n_rows, family.n_components), real),
        ("largest", largest, (n_rows,), real),
    ):
        if array is not None and not (array.shape == shape and array.dtype == dtype and array.flags.c_contiguous):
            raise ValueError(f"{name} should be contiguous, {np.dtype(dtype)}, of shape {shape}; "
                             f"got {array.dtype}, {array.shape}")
    results.log_norm = address(log_norm)
    results.labels = <int64_t *> address(labels)
    results.resp = address(resp)
    results.largest = address(largest)
    run_to_write(p, nearest if classify else expected, &results)
    return int(p.c.lanes[LANE_IMPOSSIBLE])


def evaluate_components(Pass p not None, out not None):
    """Fill out (n_samples, n_components), contiguous and of the family's precision, with the log density of each row
    under each component at p's parameters, in one pass. p's weights are part of it."""
    cdef results_t results
    if (out.shape != (p.c.rows.n_rows, p.c.family.n_components) or out.dtype != p.dtype
            or not out.flags.c_contiguous):
        raise ValueError(f"out has shape {out.shape} and {out.dtype}")
    memset(&results, 0, sizeof(results_t))
    results.resp = address(out)
    run_to_write(p, unnormalised, &results)


cdef int run_to_write(Pass p, assign_fn assign, const results_t *results) except -1:
    """Run a pass with this `assign` that writes results."""
    cdef strategy_t strategy = writing(assign, results)
    cdef const uint32_t *order = p.c.rows.order
    cdef bint is_of_rows = assign == <assign_fn> unnormalised  # results are for each row, not for its group
    cdef int code
    p.c.rows.order = NULL
    try:
        with nogil:
            code = run_pass(&p.c, &strategy) if is_of_rows else run_e_step(&p.c, &strategy)
        p.check(code)
    finally:
        p.c.rows.order = order
    return 0


cdef strategy_t writing(assign_fn assign, const results_t *results) noexcept nogil:
    cdef strategy_t strategy
    strategy.assign, strategy.assign_data = assign, NULL
    strategy.deliver, strategy.finish, strategy.deliver_data = write_results, finish_nothing, results
    return strategy
