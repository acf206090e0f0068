# cython: language_level=3, boundscheck=False
"""Fits to many small problems in Cython, in threads and without the GIL.

Compile with include_dirs=[mixfast.get_include()].
"""

from cython.parallel cimport prange, threadid
from libc.math cimport NAN
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

from mixfast.capi cimport MIXFAST_DONE, import_mixfast, mixfast_api, mixfast_plan, mixfast_view, plan_of

import numpy as np


cdef int fit_one(const mixfast_api *api, const mixfast_plan *plan, const double *x, int64_t n_rows, int64_t i,
                 void *room, size_t bytes, double *weights, double *params) noexcept nogil:
    cdef mixfast_view rows
    rows.data, rows.n_rows, rows.weight = x, n_rows, NULL
    rows.row_stride = rows.column_stride = sizeof(double)
    weights[0] = NAN  # a start is found
    return api.fit(plan, &rows, i, 1, room, bytes, weights, params, NULL)


def fit_means(plan, const double[:, ::1] X, int n_threads=1):
    """Means (n_problems, n_components) of a plan's mixture in each row of X."""
    cdef const mixfast_api *api = import_mixfast()
    cdef const mixfast_plan *own = plan_of(plan)
    cdef int64_t n_params = plan.n_params, n_components = plan.n_components
    cdef double[:, ::1] params = np.empty((X.shape[0], n_params))
    cdef double[:, ::1] weights = np.empty((X.shape[0], n_components))
    cdef size_t bytes
    cdef Py_ssize_t i
    cdef int n_failed = 0
    if api.room(own, X.shape[1], 1, &bytes) != MIXFAST_DONE:
        raise ValueError("there is no room for rows of this number")
    cdef char *rooms = <char *> malloc(n_threads * bytes)
    if rooms == NULL:
        raise MemoryError
    for i in prange(X.shape[0], nogil=True, num_threads=n_threads, schedule="dynamic"):
        n_failed += fit_one(api, own, &X[i, 0], X.shape[1], i, rooms + threadid() * bytes, bytes, &weights[i, 0],
                            &params[i, 0]) != MIXFAST_DONE
    free(rooms)
    if n_failed:
        raise ValueError(f"{n_failed} fits failed")
    first = plan.layout["means"].offset
    return np.asarray(params)[:, first:first + n_components]
