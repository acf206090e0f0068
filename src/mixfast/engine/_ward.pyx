"""Ward's hierarchy: all rows are groups, and those two are joined that add least to the sum of squares about the means
of groups, until there is one. Ward, Journal of the American Statistical Association 58 (1963), 236-244.

By chains of nearest neighbours (Murtagh, "A survey of recent advances in hierarchical clustering algorithms", Computer
Journal 26 (1983), section 4), over a whole matrix of what each pair would add: rows of it are read in one go.
"""

from libc.math cimport INFINITY
from libc.stdint cimport int64_t

import numpy as np


cdef void fill_added(const double[:, ::1] columns, const double[::1] sizes, double[:, ::1] added) noexcept nogil:
    """OUT added [n][n]: what joining two rows adds to the sum of squares; infinite on the diagonal."""
    cdef Py_ssize_t n = sizes.shape[0], i, j, c
    cdef double value
    for i in range(n):
        for j in range(i):
            added[i, j] = 0
        for c in range(columns.shape[0]):
            value = columns[c, i]
            for j in range(i):
                added[i, j] += (value - columns[c, j]) * (value - columns[c, j])
        for j in range(i):
            added[i, j] *= sizes[i] * sizes[j] / (sizes[i] + sizes[j])
            added[j, i] = added[i, j]
        added[i, i] = INFINITY


cdef Py_ssize_t join(double[:, ::1] added, double[::1] sizes, Py_ssize_t[::1] left, Py_ssize_t n_left, Py_ssize_t i,
                     Py_ssize_t j) noexcept nogil:
    """Group i becomes both, and group j is no longer among those left, whose number is returned. Lance & Williams, "A
    general theory of classificatory sorting strategies", Computer Journal 9 (1967)."""
    cdef Py_ssize_t place, gone = 0, k
    cdef double height = added[i, j], one = sizes[i], other = sizes[j]
    for place in range(n_left):
        k = left[place]
        if k == j:
            gone = place
        elif k != i:
            added[i, k] = ((one + sizes[k]) * added[i, k] + (other + sizes[k]) * added[j, k] - sizes[k] * height) \
                / (one + other + sizes[k])
            added[k, i] = added[i, k]
    sizes[i] = one + other
    left[gone] = left[n_left - 1]
    return n_left - 1


cdef void follow_chains(double[:, ::1] added, double[::1] sizes, Py_ssize_t[::1] left, Py_ssize_t[::1] chain,
                        Py_ssize_t[:, ::1] pairs, double[::1] heights) noexcept nogil:
    """IN left [n]: all groups. OUT pairs [n - 1][2], heights [n - 1]: the joins, in the order in which chains find
    them."""
    cdef Py_ssize_t n_left = sizes.shape[0], n_chain = 0, found = 0, top, best, place, k
    cdef double least
    while n_left > 1:
        if n_chain == 0:
            chain[0], n_chain = left[0], 1
        top = chain[n_chain - 1]
        best, least = left[left[0] == top], INFINITY
        if n_chain > 1:  # the one before stays where others are as near
            best, least = chain[n_chain - 2], added[top, chain[n_chain - 2]]
        for place in range(n_left):
            k = left[place]
            if added[top, k] < least:
                best, least = k, added[top, k]
        if n_chain > 1 and best == chain[n_chain - 2]:
            pairs[found, 0], pairs[found, 1], heights[found] = best, top, least
            n_left = join(added, sizes, left, n_left, best, top)
            found += 1
            n_chain -= 2
        else:
            chain[n_chain] = best
            n_chain += 1


def ward(const double[:, ::1] rows, sample_weight=None):
    """The joins of Ward's hierarchy.

    Parameters
    ----------
    rows : (n_rows, n_features), finite, and so that sums of their squares do not overflow
    sample_weight : (n_rows,) or None, above 0

    Returns
    -------
    pairs : ndarray of shape (n_rows - 1, 2), int64
        A row of each of the two groups that are joined, those first that add least.
    """
    cdef Py_ssize_t n = rows.shape[0]
    columns, heights = np.ascontiguousarray(np.asarray(rows).T), np.empty(n - 1)
    sizes = np.ones(n) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64) / np.max(sample_weight)
    added, chain, pairs = np.empty((n, n)), np.empty(n, dtype=np.intp), np.empty((n - 1, 2), dtype=np.intp)
    cdef const double[:, ::1] own_columns = columns
    cdef double[::1] own_sizes = sizes, own_heights = heights
    cdef double[:, ::1] own_added = added
    cdef Py_ssize_t[::1] own_chain = chain, own_left = np.arange(n, dtype=np.intp)
    cdef Py_ssize_t[:, ::1] own_pairs = pairs
    with nogil:
        fill_added(own_columns, own_sizes, own_added)
        follow_chains(own_added, own_sizes, own_left, own_chain, own_pairs, own_heights)
    return pairs[np.argsort(heights, kind="stable")].astype(np.int64, copy=False)


def groups(const int64_t[:, ::1] pairs, Py_ssize_t n_groups):
    """Labels (n_rows,), int64, after as many joins as leave so many groups, which are numbered as they appear."""
    cdef Py_ssize_t n = pairs.shape[0] + 1, i, place, one, other, n_found = 0
    labels = np.empty(n, dtype=np.int64)
    cdef int64_t[::1] found = labels
    cdef Py_ssize_t[::1] above = np.arange(n, dtype=np.intp)
    with nogil:
        for i in range(n - n_groups):
            one, other = root(above, pairs[i, 0]), root(above, pairs[i, 1])
            above[max(one, other)] = min(one, other)  # so that the root of a group is its first row
        for i in range(n):
            place = root(above, i)
            if place == i:
                found[i] = n_found
                n_found += 1
            else:
                found[i] = found[place]
    return labels


cdef Py_ssize_t root(Py_ssize_t[::1] above, Py_ssize_t place) noexcept nogil:
    while above[place] != place:
        above[place] = above[above[place]]
        place = above[place]
    return place
