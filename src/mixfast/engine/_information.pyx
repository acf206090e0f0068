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


# ---- the partition that is nearest to draws ----------------------------

cdef enum:
    MOST_LAPS = 20                 # over all rows; four are enough for clear clusters
    LARGEST_COUNT = 1000000        # whose x log x is in a table

# By so much at least, in nats times the weight of all rows, a move must bring the partition nearer: rounding is less.
cdef double NEARER = 1e-8


# What depends on a partition c in its mean variation of information from draws, times the weight of all rows, is the
# sum of n log n over its clusters, less twice the mean over draws of that sum over what its clusters share with the
# draw's.
cdef struct meeting_t:
    Py_ssize_t n_slots, n_draws, n_table
    const double *table            # [n_table], x log x
    const Py_ssize_t *begin        # [n_draws], where the clusters of each draw begin
    double *sizes                  # [n_slots], weights of the clusters of c
    double *joint                  # [clusters of all draws][n_slots], and of what they share with those of the draws
    double *rise                   # of the same, what one more would add to x log x
    double *cost                   # [n_slots]


cdef inline double log_power(const meeting_t *m, double x) noexcept nogil:
    """x log x"""
    cdef Py_ssize_t place = <Py_ssize_t> x if x < <double> m.n_table else 0
    return m.table[place] if x == <double> place else x * log(x)


cdef inline double difference(const meeting_t *m, double x, double weight) noexcept nogil:
    return log_power(m, x + weight) - log_power(m, x)


cdef void add_row(meeting_t *m, Py_ssize_t row, const int32_t[:, ::1] draws, Py_ssize_t k,
                  double weight) noexcept nogil:
    """To cluster k; with a weight below zero, takes it away."""
    cdef Py_ssize_t draw, place
    m.sizes[k] += weight
    for draw in range(m.n_draws):
        place = (m.begin[draw] + draws[draw, row]) * m.n_slots + k
        m.joint[place] += weight
        m.rise[place] = difference(m, m.joint[place], 1)


cdef Py_ssize_t best_cluster(meeting_t *m, Py_ssize_t row, const int32_t[:, ::1] draws, Py_ssize_t old,
                             double weight) noexcept nogil:
    """The one in which the row is nearest to the draws."""
    cdef Py_ssize_t draw, k, place, best = old
    cdef double own = 0, least
    cdef double *cost = m.cost
    cdef const double *rise
    for k in range(m.n_slots):
        cost[k] = 0
    for draw in range(m.n_draws):
        place = (m.begin[draw] + draws[draw, row]) * m.n_slots
        own += difference(m, m.joint[place + old] - weight, weight)
        rise = m.rise + place
        if weight == 1:
            for k in range(m.n_slots):
                cost[k] -= rise[k]
        else:
            for k in range(m.n_slots):
                cost[k] -= difference(m, m.joint[place + k], weight)
    least = difference(m, m.sizes[old] - weight, weight) - 2 / <double> m.n_draws * own - NEARER
    for k in range(m.n_slots):
        if k != old and m.sizes[k] > 0:
            cost[k] = difference(m, m.sizes[k], weight) + 2 / <double> m.n_draws * cost[k]
            if cost[k] < least:
                best, least = k, cost[k]
    return best


def approach_draws(labels, const int32_t[:, ::1] draws not None, const double[::1] weight not None):
    """Labels (n_rows,) after rows have moved, one by one, to where the mean variation of information of the partition
    from draws (n_draws, n_rows) is least, until no move to another cluster lowers it: int32, some numbers may be of no
    row. Labels are from 0 on, weights (n_rows,) are positive."""
    cdef Py_ssize_t n_rows = draws.shape[1], row, best, work = 0
    cdef meeting_t m
    cdef int _lap
    cdef bint has_moved = True
    result = np.array(labels, dtype=np.int32)
    cdef int32_t[::1] own = result
    if own.shape[0] != n_rows or weight.shape[0] != n_rows:
        raise ValueError(f"{own.shape[0]} labels and {weight.shape[0]} weights of {n_rows} rows")
    if min(np.min(draws), np.min(labels)) < 0:
        raise ValueError(f"a label is {min(np.min(draws), np.min(labels))}: they begin with 0")
    m.n_slots, m.n_draws = np.max(labels) + 1, draws.shape[0]
    m.n_table = min(int(np.sum(weight)) + 2, LARGEST_COUNT)
    cdef const Py_ssize_t[::1] begin = np.append(0, np.cumsum(np.max(draws, axis=1) + 1, dtype=np.intp))
    cdef double[::1] sizes = np.zeros(m.n_slots), cost = np.zeros(m.n_slots)
    cdef double[::1] joint = np.zeros(begin[m.n_draws] * m.n_slots), rise = np.zeros(begin[m.n_draws] * m.n_slots)
    numbers = np.arange(m.n_table, dtype=np.float64)
    cdef const double[::1] table = numbers * np.log(np.maximum(numbers, 1))
    m.table, m.begin, m.sizes, m.cost, m.joint, m.rise = (
        &table[0], &begin[0], &sizes[0], &cost[0], &joint[0], &rise[0])
    for row in range(n_rows):
        add_row(&m, row, draws, own[row], weight[row])
    for _lap in range(MOST_LAPS):
        if not has_moved:
            break
        has_moved = False
        for row in range(n_rows):
            best = best_cluster(&m, row, draws, own[row], weight[row])
            if best != own[row]:
                add_row(&m, row, draws, own[row], -weight[row])
                add_row(&m, row, draws, best, weight[row])
                own[row] = <int32_t> best
                has_moved = True
            work += m.n_draws * m.n_slots
            if work > WORK_OF_ROUND:
                PyErr_CheckSignals()
                work = 0
    return result
