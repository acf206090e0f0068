"""Rows of which it is known what component they are of, or which ones they may be of.

In an E-step the log densities of all other components become -infinity before a row is shared. So a row of one
component counts for it as a whole, and its log density is log weight + log density there; a row of several is shared
among them.
"""

from libc.math cimport INFINITY
from libc.string cimport memcpy, memset

from mixfast.engine._reals cimport get, put
from mixfast.engine._rows cimport value_of


cdef Py_ssize_t own_component(const rows_t *rows, Py_ssize_t row, Py_ssize_t n_components) noexcept nogil:
    """The component that a row is known to be of; -1 where it is not known, or there are several."""
    cdef Py_ssize_t own = -1, k
    if rows.known == NULL or rows.known[row] < 0:
        return -1
    for k in range(min(n_components, rows.n_members)):
        if is_allowed(rows, row, k):
            if own >= 0:
                return -1
            own = k
    return own


cdef void leave_out_forbidden(const rows_t *rows, Py_ssize_t start, const chunk_t *chunk, const selection_t *selection,
                              int real_bytes, void *log_prob) noexcept nogil:
    cdef Py_ssize_t r, a, row
    for r in range(chunk.n_rows):
        row = visited(rows, start + r)
        if rows.known[row] >= 0:
            for a in range(selection.n):
                if not is_allowed(rows, row, selection.component[a]):
                    put(log_prob, real_bytes, a * chunk.stride + r, -INFINITY)


cdef void share_among_allowed(const rows_t *rows, Py_ssize_t start, const chunk_t *chunk, const selection_t *selection,
                              int real_bytes, const void *weight, const void *log_norm, void *resp,
                              double *counts) noexcept nogil:
    """Impossible rows were shared equally among all components."""
    cdef Py_ssize_t r, a, row, n
    cdef double share
    for r in range(chunk.n_rows):
        row = visited(rows, start + r)
        if rows.known[row] < 0 or get(log_norm, real_bytes, r) > -INFINITY:
            continue
        n = 0
        for a in range(selection.n):
            n += is_allowed(rows, row, selection.component[a])
        for a in range(selection.n):
            share = get(weight, real_bytes, r) / n if is_allowed(rows, row, selection.component[a]) else 0
            counts[a] += share - get(resp, real_bytes, a * chunk.stride + r)
            put(resp, real_bytes, a * chunk.stride + r, share)


# ---- starts ---------------------------------------------------------------------------------------------------------

cdef void add_row(const rows_t *rows, Py_ssize_t row, double weight, double *sums) noexcept nogil:
    """sums[n_features]"""
    cdef Py_ssize_t j
    cdef int64_t t
    if rows.indptr == NULL:
        for j in range(rows.n_features):
            sums[j] += weight * value_of(rows, row, j)
        return
    for t in range(rows.indptr[row], rows.indptr[row + 1]):
        sums[rows.indices[t]] += weight * get(rows.data + t * rows.column_stride, rows.real_bytes, 0)


cdef double square_distance(const double *x, const double *y, Py_ssize_t n) noexcept nogil:
    cdef double total = 0
    cdef Py_ssize_t j
    for j in range(n):
        total += (x[j] - y[j]) * (x[j] - y[j])
    return total


cdef void begin_at_known(const rows_t *rows, Py_ssize_t n_components, int64_t *seeds, double *counts, double *centres,
                         double *places) noexcept nogil:
    """Where k-means begins: components that are known of some rows at the mean of these, others at seeds that no such
    mean is near to. Basu, Banerjee & Mooney, "Semi-supervised clustering by seeding", ICML 2002.

    centres[n_components][n_features] hold the seeds on entry, and where k-means begins on return. `seeds`, their rows,
    are lost; counts[n_components] and places[n_components][n_features] are room."""
    cdef Py_ssize_t d = rows.n_features, row, k, i, nearest
    cdef double least, distance
    memset(counts, 0, n_components * sizeof(double))
    memset(places, 0, n_components * d * sizeof(double))
    for row in range(rows.n_rows):
        k = own_component(rows, row, n_components)
        if k >= 0:
            counts[k] += 1 if rows.weight == NULL else rows.weight[row]
            add_row(rows, row, 1 if rows.weight == NULL else rows.weight[row], places + k * d)
    for k in range(n_components):
        if counts[k] > 0:
            nearest, least = -1, INFINITY
            for i in range(d):
                places[k * d + i] /= counts[k]
            for i in range(n_components):
                distance = square_distance(places + k * d, centres + i * d, d)
                if seeds[i] >= 0 and (nearest < 0 or distance < least):
                    nearest, least = i, distance
            seeds[nearest] = -1
    i = 0
    for k in range(n_components):
        if counts[k] == 0:
            while seeds[i] < 0:
                i += 1
            memcpy(places + k * d, centres + i * d, d * sizeof(double))
            i += 1
    memcpy(centres, places, n_components * d * sizeof(double))


cdef void label_group(const rows_t *rows, Py_ssize_t row, int64_t label, int64_t *labels) noexcept nogil:
    """A row, and those of its group."""
    cdef Py_ssize_t g, t
    labels[row] = label
    if rows.groups != NULL:
        g = rows.groups.number[row]
        for t in range(rows.groups.begin[g], rows.groups.begin[g + 1]):
            labels[rows.groups.rows[t]] = label


cdef bint may_begin(const rows_t *rows, Py_ssize_t row, Py_ssize_t k, const int64_t *labels) noexcept nogil:
    """Whether a row may be the first of component k."""
    return labels[row] < 0 and is_allowed(rows, row, k)


cdef void label_seeds(const rows_t *rows, Py_ssize_t n_components, const int64_t *seeds,
                      int64_t *labels) noexcept nogil:
    """Components that are known of some rows begin with these, each other with a seed, or where that is another's with
    the first row that is not; all other rows have -1."""
    cdef Py_ssize_t row, k, i, own
    for row in range(rows.n_rows):
        labels[row] = own_component(rows, row, n_components)
    for k in range(n_components):
        for row in range(rows.n_rows):
            if labels[row] == k:
                break
        else:
            own = -1
            for i in range(n_components):  # its own seed first
                if own < 0 and may_begin(rows, seeds[(k + i) % n_components], k, labels):
                    own = seeds[(k + i) % n_components]
            for row in range(rows.n_rows):
                if own < 0 and may_begin(rows, row, k, labels):
                    own = row
            if own >= 0:
                label_group(rows, own, k, labels)
    if rows.groups != NULL:  # what is known of a row is known of its group
        for row in range(rows.n_rows):
            if labels[row] >= 0:
                label_group(rows, row, labels[row], labels)


cdef double vote(const rows_t *rows, Py_ssize_t g, int64_t label, const int64_t *labels) noexcept nogil:
    """The share of a group's rows that have a label; those that are known to be of it outvote all others."""
    cdef Py_ssize_t t
    cdef double votes = 0
    for t in range(rows.groups.begin[g], rows.groups.begin[g + 1]):
        if labels[rows.groups.rows[t]] == label:
            votes += 1 if rows.known == NULL or rows.known[rows.groups.rows[t]] < 0 else <double> rows.n_rows
    return votes / <double> (rows.groups.begin[g + 1] - rows.groups.begin[g])


cdef void keep_groups_together(const rows_t *rows, Py_ssize_t n_components, double *counts,
                               int64_t *labels) noexcept nogil:
    """The rows of a group get the label that most of them have; a component that has no group then the largest of those
    whose component has others. counts[n_components] is room."""
    cdef Py_ssize_t g, k, best, row
    cdef double most, votes
    memset(counts, 0, n_components * sizeof(double))
    for g in range(rows.groups.n_groups):
        best, most = 0, -1
        for k in range(n_components):
            votes = vote(rows, g, k, labels)
            if votes > most:
                best, most = k, votes
        counts[best] += 1
        label_group(rows, rows.groups.rows[rows.groups.begin[g]], best, labels)
    for k in range(n_components):
        if counts[k] > 0:
            continue
        best, most = -1, 0
        for g in range(rows.groups.n_groups):
            row = rows.groups.rows[rows.groups.begin[g]]
            if counts[labels[row]] > 1 and is_allowed(rows, row, k):
                if best < 0 or rows.groups.begin[g + 1] - rows.groups.begin[g] > most:
                    best, most = g, <double> (rows.groups.begin[g + 1] - rows.groups.begin[g])
        if best >= 0:
            row = rows.groups.rows[rows.groups.begin[best]]
            counts[labels[row]] -= 1
            counts[k] = 1
            label_group(rows, row, k, labels)
