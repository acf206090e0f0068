"""How much partitions of the same rows say of each other."""

from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport prange
from libc.math cimport log
from libc.stdint cimport int32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

import numpy as np

cdef enum:
    WORK_OF_ROUND = 100000000      # rows and places of tables between two looks for Ctrl-C: 0.3 s of one core


cdef double joint_entropy(Py_ssize_t n_rows, const int32_t *first, const int32_t *second, Py_ssize_t n_first,
                          Py_ssize_t n_second, const double *share, double *table) noexcept nogil:
    """In nats; table[n_first * n_second] is room."""
    cdef Py_ssize_t i
    cdef double entropy = 0
    memset(table, 0, n_first * n_second * sizeof(double))
    for i in range(n_rows):
        table[first[i] * n_second + second[i]] += share[i]
    for i in range(n_first * n_second):
        if table[i] > 0:
            entropy -= table[i] * log(table[i])
    return entropy


cdef int fill_row(Py_ssize_t draw, const int32_t[:, ::1] draws, const Py_ssize_t[::1] n_clusters,
                  const double[::1] share, double[:, ::1] out) noexcept nogil:
    """Nonzero where there is no memory."""
    cdef Py_ssize_t other, most = 0
    cdef double *table
    for other in range(draw + 1):
        most = max(most, n_clusters[other])
    table = <double *> calloc(n_clusters[draw] * most, sizeof(double))
    if table == NULL:
        return 1
    for other in range(draw + 1):
        out[draw, other] = out[other, draw] = joint_entropy(
            draws.shape[1], &draws[draw, 0], &draws[other, 0], n_clusters[draw], n_clusters[other], &share[0], table)
    free(table)
    return 0


def joint_entropies(const int32_t[:, ::1] draws not None, const double[::1] share not None, int n_threads):
    """Entropies (n_draws, n_draws) of the clusters of two draws together, in nats, on the diagonal those of one.

    draws (n_draws, n_rows) hold labels from 0 on, share (n_rows,) what part of the whole each row is.
    """
    cdef Py_ssize_t n_draws = draws.shape[0], first = 0, last, work, draw
    cdef int failed = 0
    if draws.shape[1] != share.shape[0] or share.shape[0] == 0:
        raise ValueError(f"{draws.shape[1]} labels of rows that have {share.shape[0]} shares")
    if np.min(draws, initial=0) < 0:
        raise ValueError(f"a label is {np.min(draws)}: they begin with 0")
    cdef const Py_ssize_t[::1] n_clusters = np.max(draws, axis=1, initial=0).astype(np.intp) + 1
    result = np.empty((n_draws, n_draws))
    cdef double[:, ::1] out = result
    cdef Py_ssize_t most = np.max(n_clusters, initial=0)
    while first < n_draws:
        last, work = first, 0
        while last < n_draws and work < WORK_OF_ROUND:
            work += (last + 1) * (draws.shape[1] + n_clusters[last] * most)
            last += 1
        for draw in prange(first, last, nogil=True, schedule="dynamic", num_threads=n_threads):
            failed += fill_row(draw, draws, n_clusters, share, out)
        if failed:
            raise MemoryError("no room for the clusters of two draws together")
        PyErr_CheckSignals()
        first = last
    return result
