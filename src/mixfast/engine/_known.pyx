"""Partial labels: rows with a known component, or with a set of allowed components.

In an E-step the log densities of forbidden components become -infinity before responsibilities are computed. So a row
with a known component has responsibility 1 there, and its log norm is log weight + log density of that component; a row
with a set has responsibilities within the set.
"""

from libc.math cimport INFINITY
from libc.string cimport memcpy, memset

from mixfast.engine._reals cimport get, put
from mixfast.engine._rows cimport value_of


cdef Py_ssize_t own_component(const rows_t *rows, Py_ssize_t row, Py_ssize_t n_components) noexcept nogil:
    """The known component of a row; -1 if nothing is known or several are allowed."""
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
    """Correct the chunk's impossible rows: softmax gave them equal responsibilities for all components; they get equal
    ones for the allowed components. IN and OUT resp [n][stride], counts [n]."""
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
    """sums[n_features] += weight * row"""
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
    """First centres of k-means with labelled rows: components with labelled rows begin at the mean of these, each of
    which replaces the nearest seed; the other components begin at the seeds that are left. Basu, Banerjee & Mooney,
    "Semi-supervised clustering by seeding", ICML 2002.

    IN and OUT centres[n_components][n_features]: values of the seeds, then the first centres. `seeds` [n_components],
    row numbers, is overwritten; counts[n_components] and places[n_components][n_features] are workspace."""
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
    """Give a label to a row and to all rows of its group."""
    cdef Py_ssize_t g, t
    labels[row] = label
    if rows.groups != NULL:
        g = rows.groups.number[row]
        for t in range(rows.groups.begin[g], rows.groups.begin[g + 1]):
            labels[rows.groups.rows[t]] = label


cdef bint may_begin(const rows_t *rows, Py_ssize_t row, Py_ssize_t k, const int64_t *labels) noexcept nogil:
    """Whether component k can begin with this row: it has no label yet and k is allowed."""
    return labels[row] < 0 and is_allowed(rows, row, k)


cdef void label_seeds(const rows_t *rows, Py_ssize_t n_components, const int64_t *seeds,
                      int64_t *labels) noexcept nogil:
    """OUT labels [n_rows] of a start from single rows. Labelled rows keep their labels. A component without labelled
    rows gets its seed, or another seed, or else the first row without a label that is allowed. All other rows get
    -1."""
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
    if rows.groups != NULL:  # a known label holds for the whole group
        for row in range(rows.n_rows):
            if labels[row] >= 0:
                label_group(rows, row, labels[row], labels)


cdef double vote(const rows_t *rows, Py_ssize_t g, int64_t label, const int64_t *labels) noexcept nogil:
    """The share of group g's rows that have this label; above 1 if the group is known to be of the component."""
    cdef Py_ssize_t t
    cdef double votes = 0
    for t in range(rows.groups.begin[g], rows.groups.begin[g + 1]):
        if labels[rows.groups.rows[t]] == label:
            votes += 1 if rows.known == NULL or rows.known[rows.groups.rows[t]] < 0 else <double> rows.n_rows
    return votes / <double> (rows.groups.begin[g + 1] - rows.groups.begin[g])


cdef void keep_groups_together(const rows_t *rows, Py_ssize_t n_components, double *counts,
                               int64_t *labels) noexcept nogil:
    """IN and OUT labels [n_rows]: all rows of a group get the label that most of them have. A component that is left
    without groups then takes the largest group of a component that has more than one. counts[n_components] is
    workspace."""
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
