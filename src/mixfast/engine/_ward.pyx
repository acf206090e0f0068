"""Ward's hierarchy: all rows are groups, and those two are joined that add least to the sum of squares about the means
of groups, until there is one. Ward, Journal of the American Statistical Association 58 (1963), 236-244.

By chains of nearest neighbours (Murtagh, "A survey of recent advances in hierarchical clustering algorithms", Computer
Journal 26 (1983), section 4). What a pair would add follows from means and sizes, so there is no matrix of all pairs,
and groups that are left lie side by side: 500 rows of 2, 8 and 32 columns take 0.2, 0.3 and 1.0 ms (x86-64-v4), and
took 0.6, 0.8 and 1.3 with a matrix; 2,000 of 8 columns 5 and 23.
"""

from libc.math cimport INFINITY
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from mixfast.engine._isa cimport resolve_isa
from mixfast.engine._kernels cimport MIXFAST_GROUPS, mixfast_select_ward
from mixfast.engine._pass cimport arena_t, measure_arena, open_arena, take

import numpy as np


cdef void place_ward(ward_t *w, Py_ssize_t n_rows, Py_ssize_t n_features, int isa, arena_t *arena) noexcept nogil:
    """Room for a hierarchy of so many rows, of so many columns at most."""
    w.kernels, w.n_rows = mixfast_select_ward(isa), n_rows
    w.stride = (n_rows + MIXFAST_GROUPS - 1) // MIXFAST_GROUPS * MIXFAST_GROUPS
    w.means = <double *> take(arena, n_features * w.stride * sizeof(double))
    w.sizes = <double *> take(arena, w.stride * sizeof(double))
    w.added = <double *> take(arena, w.stride * sizeof(double))
    w.pairs = <int64_t *> take(arena, 2 * n_rows * sizeof(int64_t))
    w.heights = <double *> take(arena, n_rows * sizeof(double))
    w.first = <int64_t *> take(arena, n_rows * sizeof(int64_t))
    w.order = <Py_ssize_t *> take(arena, n_rows * sizeof(Py_ssize_t))
    w.chain = <Py_ssize_t *> take(arena, (n_rows + 1) * sizeof(Py_ssize_t))
    w.above = <Py_ssize_t *> take(arena, n_rows * sizeof(Py_ssize_t))


cdef void join(ward_t *w, Py_ssize_t n_features, Py_ssize_t n_left, Py_ssize_t into, Py_ssize_t gone) noexcept nogil:
    """Group `into` becomes both, and the last of the n_left groups takes the place of `gone`."""
    cdef double size = w.sizes[into] + w.sizes[gone]
    cdef double share = w.sizes[gone] / size if size > 0 else 0.5
    cdef double *column = w.means
    cdef Py_ssize_t last = n_left - 1, _j
    for _j in range(n_features):
        column[into] += share * (column[gone] - column[into])
        column[gone] = column[last]
        column += w.stride
    w.sizes[into], w.sizes[gone], w.first[gone] = size, w.sizes[last], w.first[last]
    w.sizes[last] = INFINITY


cdef void join_all(ward_t *w, Py_ssize_t n_features) noexcept nogil:
    """IN w.means [n_features][stride], w.sizes [n_rows]: rows and their weights. OUT w.pairs, w.heights, w.order."""
    cdef Py_ssize_t n_left = w.n_rows, n_chain = 0, n_found = 0, top, best, i
    for i in range(w.n_rows):
        w.first[i] = i
    for i in range(w.n_rows, w.stride):
        w.sizes[i] = INFINITY
    while n_left > 1:
        if n_chain == 0 or n_chain > n_left:  # longer only where rounding leads in a circle
            w.chain[0], n_chain = 0, 1
        top = w.chain[n_chain - 1]
        best = w.kernels.nearest_group(n_left, n_features, w.stride, w.means, w.sizes, top, w.added)
        if n_chain > 1 and not w.added[best] < w.added[w.chain[n_chain - 2]]:
            best = w.chain[n_chain - 2]  # the one before stays where others are as near
        if n_chain < 2 or best != w.chain[n_chain - 2]:
            w.chain[n_chain] = best
            n_chain += 1
            continue
        w.pairs[2 * n_found], w.pairs[2 * n_found + 1] = w.first[best], w.first[top]
        w.heights[n_found] = w.added[best]
        n_found += 1
        join(w, n_features, n_left, min(best, top), max(best, top))
        n_left -= 1
        n_chain -= 2
        for i in range(n_chain):
            if w.chain[i] == best or w.chain[i] == top:  # only where rounding led in a circle
                n_chain = i
                break
            if w.chain[i] == n_left:
                w.chain[i] = max(best, top)
    sort_joins(w, n_found)


cdef void sort_joins(ward_t *w, Py_ssize_t n) noexcept nogil:
    """OUT w.order: by what they add, stable: runs are merged, of one join at first."""
    cdef Py_ssize_t *merged = w.above
    cdef Py_ssize_t length = 1, first, middle, last, one, other, i
    for i in range(n):
        w.order[i] = i
    while length < n:
        last = 0
        while last < n:
            first, middle, last = last, min(last + length, n), min(last + 2 * length, n)
            one, other = first, middle
            for i in range(first, last):
                if one < middle and (other == last or not w.heights[w.order[other]] < w.heights[w.order[one]]):
                    merged[i] = w.order[one]
                    one += 1
                else:
                    merged[i] = w.order[other]
                    other += 1
        memcpy(w.order, merged, n * sizeof(Py_ssize_t))
        length *= 2


cdef Py_ssize_t root(Py_ssize_t *above, Py_ssize_t place) noexcept nogil:
    while above[place] != place:
        above[place] = above[above[place]]
        place = above[place]
    return place


cdef void unite(Py_ssize_t *above, const int64_t *pair) noexcept nogil:
    """The root of a group is its first row."""
    cdef Py_ssize_t one = root(above, pair[0]), other = root(above, pair[1])
    above[max(one, other)] = min(one, other)


cdef void be_alone(Py_ssize_t *above, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        above[i] = i


cdef void number_groups(Py_ssize_t *above, Py_ssize_t n, int64_t *labels) noexcept nogil:
    """OUT labels [n]: groups are numbered as they appear."""
    cdef Py_ssize_t i, place, n_found = 0
    for i in range(n):
        place = root(above, i)
        if place == i:
            labels[i] = n_found
            n_found += 1
        else:
            labels[i] = labels[place]


cdef void cut_into(ward_t *w, Py_ssize_t n_groups, int64_t *labels) noexcept nogil:
    """OUT labels [n_rows]: after as many joins as leave so many groups, which are numbered as they appear."""
    cdef Py_ssize_t i
    be_alone(w.above, w.n_rows)
    for i in range(w.n_rows - n_groups):
        unite(w.above, w.pairs + 2 * w.order[i])
    number_groups(w.above, w.n_rows, labels)


def ward(const double[:, ::1] rows, sample_weight=None, isa=None):
    """The joins of Ward's hierarchy.

    Parameters
    ----------
    rows : (n_rows, n_features), finite, and so that sums of their squares do not overflow
    sample_weight : (n_rows,) or None, above 0
    isa : str or None
        The instruction set of the kernels; None is the one chosen at import.

    Returns
    -------
    pairs : ndarray of shape (n_rows - 1, 2), int64
        A row of each of the two groups that are joined, those first that add least.
    """
    cdef Py_ssize_t n = rows.shape[0], d = rows.shape[1], i, j
    cdef int level = resolve_isa(isa)
    cdef ward_t w
    cdef arena_t arena
    cdef const double[::1] sizes = (
        np.ones(n) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64) / np.max(sample_weight))
    found = np.empty((n - 1, 2), dtype=np.int64)
    cdef int64_t[:, ::1] pairs = found
    measure_arena(&arena)
    place_ward(&w, n, d, level, &arena)
    cdef void *block = malloc(arena.used)
    if block == NULL:
        raise MemoryError(f"a hierarchy of {n} rows needs {arena.used} bytes of work space")
    open_arena(&arena, block)
    with nogil:
        place_ward(&w, n, d, level, &arena)
        for i in range(n):
            w.sizes[i] = sizes[i]
            for j in range(d):
                w.means[j * w.stride + i] = rows[i, j]
        join_all(&w, d)
        for i in range(n - 1):
            for j in range(2):
                pairs[i, j] = w.pairs[2 * w.order[i] + j]
    free(block)
    return found


def groups(const int64_t[:, ::1] pairs, Py_ssize_t n_groups):
    """Labels (n_rows,), int64, after as many joins as leave so many groups, which are numbered as they appear."""
    cdef Py_ssize_t n = pairs.shape[0] + 1, i
    labels = np.empty(n, dtype=np.int64)
    cdef int64_t[::1] found = labels
    cdef Py_ssize_t[::1] above = np.empty(n, dtype=np.intp)
    with nogil:
        be_alone(&above[0], n)
        for i in range(n - n_groups):
            unite(&above[0], &pairs[i, 0])
        number_groups(&above[0], n, &found[0])
    return labels
