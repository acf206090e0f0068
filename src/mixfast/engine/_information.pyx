"""Entropies of partitions of the same rows, their variation of information, and the partition nearest to draws."""

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
    """Joint entropy, in nats, of two partitions given by labels [n_rows]; table[n_first * n_second] is workspace."""
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
    """OUT: joint entropies of one draw with the draws up to it. Nonzero if memory runs out."""
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
    """Joint entropies (n_draws, n_draws) of each pair of partitions, in nats; the diagonal has each one's own entropy.

    IN draws (n_draws, n_rows): labels, counted from 0; share (n_rows,): weights of the rows, which sum to 1.
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
    MOST_LAPS = 20                 # laps over all rows at most; four are enough for clear clusters
    LARGEST_COUNT = 1000000        # x log x of whole numbers below this comes from a table

# The least improvement, in nats times the total weight, for which a row moves: more than rounding errors.
cdef double NEARER = 1e-8


# The objective of a partition c: total weight times its mean variation of information from the draws, without terms
# that do not depend on c. It is sum_k n_k log n_k - 2 mean over draws of sum_{j,k} m_jk log m_jk, where n_k is the
# weight of cluster k of c and m_jk the weight of its intersection with cluster j of the draw.
cdef struct meeting_t:
    Py_ssize_t n_slots, n_draws, n_table
    const double *table            # [n_table], x log x
    const Py_ssize_t *begin        # [n_draws], where the clusters of each draw begin
    double *sizes                  # [n_slots], weights of the clusters of c
    double *joint                  # [clusters of all draws][n_slots], weights of the intersections
    double *rise                   # [clusters of all draws][n_slots], increase of x log x when x = joint grows by 1
    double *cost                   # [n_slots], workspace


cdef inline double log_power(const meeting_t *m, double x) noexcept nogil:
    """x log x"""
    cdef Py_ssize_t place = <Py_ssize_t> x if x < <double> m.n_table else 0
    return m.table[place] if x == <double> place else x * log(x)


cdef inline double difference(const meeting_t *m, double x, double weight) noexcept nogil:
    return log_power(m, x + weight) - log_power(m, x)


cdef void add_row(meeting_t *m, Py_ssize_t row, const int32_t[:, ::1] draws, Py_ssize_t k,
                  double weight) noexcept nogil:
    """Add a row of this weight to cluster k; a negative weight removes it."""
    cdef Py_ssize_t draw, place
    m.sizes[k] += weight
    for draw in range(m.n_draws):
        place = (m.begin[draw] + draws[draw, row]) * m.n_slots + k
        m.joint[place] += weight
        m.rise[place] = difference(m, m.joint[place], 1)


cdef Py_ssize_t best_cluster(meeting_t *m, Py_ssize_t row, const int32_t[:, ::1] draws, Py_ssize_t old,
                             double weight) noexcept nogil:
    """The cluster for the row with the least objective; `old` unless another is better by more than NEARER."""
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
    """Coordinate descent: move rows one by one to the cluster that lowers the mean variation of information from the
    draws most, until no move lowers it.

    IN labels (n_rows,): where to begin; draws (n_draws, n_rows): labels; weight (n_rows,): positive. Labels are counted
    from 0. Returns labels (n_rows,), int32; some numbers may be left without rows.
    """
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
