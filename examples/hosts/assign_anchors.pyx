# cython: language_level=3, boundscheck=False, wraparound=False
"""The loop of a detector that decides by a mixture which anchors of a box are positive, as probabilistic anchor
assignment does (Kim & Lee, ECCV 2020): for each box a mixture of two Gaussians of the losses of its 10 to 100
candidates, started from the least and the largest loss; candidates of the component of small losses are positive.

Compile with include_dirs=[mixfast.get_include()].
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

from mixfast.capi cimport (
    MIXFAST_DONE,
    import_mixfast,
    mixfast_api,
    mixfast_plan,
    mixfast_view,
    plan_of,
)

import numpy as np


def assign(plan, const double[::1] losses, const int64_t[::1] offsets):
    """Labels (n_candidates,): 0 for positive candidates, 1 for negative ones, of boxes whose candidates are
    losses[offsets[i]:offsets[i + 1]]. `plan` is of `GaussianMixture(2, covariance_type="diag")` and one column."""
    cdef const mixfast_api *api = import_mixfast()
    cdef const mixfast_plan *own = plan_of(plan)
    cdef int64_t means = plan.layout["means"].offset, variances = plan.layout["covariances"].offset
    cdef int64_t roots = plan.layout["precisions_cholesky"].offset
    cdef double[::1] weights = np.empty(2), params = np.empty(plan.n_params)
    cdef int64_t[::1] labels = np.empty(losses.shape[0], dtype=np.int64)
    cdef mixfast_view rows
    cdef size_t bytes, largest = 0
    cdef Py_ssize_t n_boxes = offsets.shape[0] - 1, i, r
    cdef double low, high
    cdef int code = MIXFAST_DONE
    cdef void *room
    for i in range(n_boxes):  # fewer rows may take a little more room than more
        if api.room(own, offsets[i + 1] - offsets[i], 1, &bytes) == MIXFAST_DONE:
            largest = max(largest, bytes)
    room = malloc(largest)
    if room == NULL:
        raise MemoryError
    rows.row_stride = rows.column_stride = sizeof(double)
    rows.weight = NULL
    with nogil:
        for i in range(n_boxes):
            rows.data, rows.n_rows = &losses[offsets[i]], offsets[i + 1] - offsets[i]
            low = high = losses[offsets[i]]
            for r in range(offsets[i], offsets[i + 1]):
                low, high = min(low, losses[r]), max(high, losses[r])
            weights[0] = weights[1] = 0.5
            params[means], params[means + 1] = low, high
            params[variances] = params[variances + 1] = params[roots] = params[roots + 1] = 1
            code = api.fit(own, &rows, 0, 1, room, largest, &weights[0], &params[0], NULL)
            if code == MIXFAST_DONE:
                code = api.evaluate(own, &weights[0], &params[0], NULL, &rows, 1, room, largest, &labels[offsets[i]],
                                    NULL, NULL)
            if code != MIXFAST_DONE:
                break
    free(room)
    if code != MIXFAST_DONE:
        raise ValueError(f"box {i}: {api.message(code).decode()}")
    return np.asarray(labels)
