# cython: language_level=3, boundscheck=False, wraparound=False
"""Emissions of a hidden Markov model, a mixture for each of its S states, all of one plan: densities by `evaluate`,
sums by `gather` with the posteriors of a state as weights of the rows, new parameters by `maximise`.

Compile with include_dirs=[mixfast.get_include()].
"""

from libc.stdlib cimport free, malloc

from mixfast.capi cimport MIXFAST_DONE, import_mixfast, mixfast_api, mixfast_plan, mixfast_view, plan_of

import numpy as np


cdef mixfast_view view_of(const double[:, :] X) noexcept:
    cdef mixfast_view rows
    rows.data, rows.n_rows, rows.weight = &X[0, 0], X.shape[0], NULL
    rows.row_stride, rows.column_stride = X.strides[0], X.strides[1]
    return rows


cdef void *room_for(const mixfast_api *api, const mixfast_plan *plan, Py_ssize_t n_rows, size_t *bytes) except NULL:
    cdef void *room
    api.pass_room(plan, n_rows, 1, bytes)
    room = malloc(bytes[0])
    if room == NULL:
        raise MemoryError
    return room


cdef raise_for(const mixfast_api *api, int code, Py_ssize_t state):
    if code != MIXFAST_DONE:
        raise ValueError(f"state {state}: {api.message(code).decode()}")


def log_densities(plan, const double[:, ::1] weights, const double[:, ::1] params, const double[:, :] X):
    """Log densities (n, S) of the rows (n, d) under each state; weights are (S, K), params (S, n_params)."""
    cdef const mixfast_api *api = import_mixfast()
    cdef const mixfast_plan *own = plan_of(plan)
    cdef mixfast_view rows = view_of(X)
    cdef double[:, ::1] out = np.empty((weights.shape[0], X.shape[0]))
    cdef size_t bytes
    cdef void *room = room_for(api, own, X.shape[0], &bytes)
    cdef Py_ssize_t s
    cdef int code = MIXFAST_DONE
    with nogil:
        for s in range(weights.shape[0]):
            code = api.evaluate(own, &weights[s, 0], &params[s, 0], NULL, &rows, 1, room, bytes, NULL, &out[s, 0], NULL)
            if code != MIXFAST_DONE:
                break
    free(room)
    raise_for(api, code, s)
    return np.ascontiguousarray(np.asarray(out).T)


def gather(plan, const double[:, ::1] weights, const double[:, ::1] params, const double[:, :] X,
           const double[:, ::1] posteriors, double[:, ::1] sums):
    """Adds the rows, which weigh posteriors (S, n) in the states, to sums (S, n_sums)."""
    cdef const mixfast_api *api = import_mixfast()
    cdef const mixfast_plan *own = plan_of(plan)
    cdef mixfast_view rows = view_of(X)
    cdef size_t bytes
    cdef void *room = room_for(api, own, X.shape[0], &bytes)
    cdef Py_ssize_t s
    cdef int code = MIXFAST_DONE
    with nogil:
        for s in range(weights.shape[0]):
            rows.weight = &posteriors[s, 0]
            code = api.gather(own, &weights[s, 0], &params[s, 0], &rows, 1, room, bytes, &sums[s, 0])
            if code != MIXFAST_DONE:
                break
    free(room)
    raise_for(api, code, s)


def maximise(plan, const double[:, ::1] sums, double[:, ::1] weights, double[:, ::1] params):
    """The M-step of each state, in place."""
    cdef const mixfast_api *api = import_mixfast()
    cdef const mixfast_plan *own = plan_of(plan)
    cdef size_t bytes
    cdef void *room = room_for(api, own, 0, &bytes)
    cdef Py_ssize_t s
    cdef int code = MIXFAST_DONE
    with nogil:
        for s in range(weights.shape[0]):
            code = api.maximise(own, &sums[s, 0], room, bytes, &weights[s, 0], &params[s, 0], NULL)
            if code != MIXFAST_DONE:
                break
    free(room)
    raise_for(api, code, s)
