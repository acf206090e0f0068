"""Greedy k-means++ over weighted rows, in passes of the engine.

Each row keeps the squared distance to the nearest centre chosen so far. A round draws some candidates with probability
proportional to weight times that distance, measures what each would leave (one pass for all of them) and keeps the
best: Arthur & Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007, with the greedy choice that
they mention and scikit-learn made common, 2 + log(K) candidates.

Rows are visited in lanes and lanes added in order, so the draws are the same for any number of threads.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from mixfast._em cimport Pass
from mixfast._pass cimport LANE_COUNTS, pass_t, workspace_t
from mixfast._family cimport chunk_t
from mixfast._random cimport FIRST_CENTRE, NEXT_CENTRE, uniform

import numpy as np


cdef enum:
    BLOCK_ROWS = 1024


cdef inline double half_distance(const pass_t *p, const workspace_t *space, Py_ssize_t i) noexcept nogil:
    """|x - centre|^2 / 2, the log density of the centres family with its sign changed."""
    return -(<const double *> space.resp)[i] if p.family.real_bytes == 8 else -(<const float *> space.resp)[i]


cdef inline double weight_of(const pass_t *p, Py_ssize_t row) noexcept nogil:
    return p.rows.weight[row] if p.rows.weight != NULL else 1


cdef int measure(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                 double *lane) noexcept nogil:
    """Distances instead of responsibilities."""
    return p.family.log_density(p.family, p.tables, chunk, &space.selection, space.family_scratch, space.resp)


cdef int add_potentials(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                        double *lane) noexcept nogil:
    """counts[l] += sum over rows of weight * min(closest, distance to candidate l); deliver_data is `closest`."""
    cdef const double *closest = <const double *> p.deliver_data
    cdef Py_ssize_t r, candidate
    cdef double total
    for candidate in range(p.family.n_components):
        total = 0
        for r in range(chunk.n_rows):
            total += weight_of(p, start + r) * min(closest[start + r],
                                                   half_distance(p, space, candidate * chunk.stride + r))
        lane[LANE_COUNTS + candidate] += total
    return 0


cdef int take_centre(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                     double *lane) noexcept nogil:
    """closest = min(closest, distance to the only candidate)."""
    cdef double *closest = <double *> p.deliver_data
    cdef Py_ssize_t r
    for r in range(chunk.n_rows):
        closest[start + r] = min(closest[start + r], half_distance(p, space, r))
    return 0


cdef Py_ssize_t draw_row(const pass_t *p, const double *closest, const double *block_totals, Py_ssize_t n_blocks,
                         double target) noexcept nogil:
    """The row at which the running sum of weight * closest passes target; the last that counts if rounding hides it."""
    cdef Py_ssize_t block = 0, row, chosen = -1, i
    for i in range(n_blocks):
        if block_totals[i] > 0:
            block = i
            if target < block_totals[i]:
                break
            target -= block_totals[i]
    for row in range(block * BLOCK_ROWS, min((block + 1) * BLOCK_ROWS, p.rows.n_rows)):
        if weight_of(p, row) * closest[row] > 0:
            chosen = row
            target -= weight_of(p, row) * closest[row]
            if target < 0:
                break
    return chosen


cdef double add_blocks(const pass_t *p, const double *closest, double *block_totals,
                       Py_ssize_t n_blocks) noexcept nogil:
    cdef Py_ssize_t block, row
    cdef double total = 0
    for block in range(n_blocks):
        block_totals[block] = 0
        for row in range(block * BLOCK_ROWS, min((block + 1) * BLOCK_ROWS, p.rows.n_rows)):
            block_totals[block] += weight_of(p, row) * closest[row]
        total += block_totals[block]
    return total


def kmeans_plusplus(Pass trial not None, Pass single not None, Py_ssize_t n_clusters, uint64_t seed, uint32_t start):
    """Indices of n_clusters rows of the passes' rows.

    `trial` and `single` are passes of the centres family over the same rows, with as many components as there are
    candidates and with one.
    """
    cdef Py_ssize_t n_rows = single.c.rows.n_rows, n_candidates = trial.c.family.n_components, i, chosen, best, row
    cdef Py_ssize_t n_blocks = (n_rows + BLOCK_ROWS - 1) // BLOCK_ROWS
    cdef double[::1] closest = np.ones(n_rows)
    cdef double[::1] block_totals = np.empty(n_blocks)
    cdef int64_t[::1] indices = np.empty(n_clusters, dtype=np.int64)
    cdef double[::1] unit = np.ones(1), units = np.ones(n_candidates)
    cdef double total
    X = single.rows.X
    trial.c.assign = single.c.assign = measure
    trial.c.deliver, trial.c.deliver_data = add_potentials, &closest[0]
    single.c.deliver, single.c.deliver_data = take_centre, &closest[0]

    for chosen in range(n_clusters):
        total = add_blocks(&single.c, &closest[0], &block_totals[0], n_blocks)
        if not total > 0:
            # fewer distinct rows than clusters: all distances are zero, any row is as good as any other
            closest[:] = 1
            total = add_blocks(&single.c, &closest[0], &block_totals[0], n_blocks)
        if chosen == 0:
            row = draw_row(&single.c, &closest[0], &block_totals[0], n_blocks,
                           total * uniform(seed, start, FIRST_CENTRE, 0))
            closest[:] = np.inf
        else:
            candidates = [
                draw_row(&single.c, &closest[0], &block_totals[0], n_blocks,
                         total * uniform(seed, start, NEXT_CENTRE, <uint64_t> (chosen * n_candidates + i)))
                for i in range(n_candidates)
            ]
            trial.set_state(units, np.ascontiguousarray(X[candidates], dtype=np.float64).ravel())
            trial.run()
            best = 0
            for i in range(1, n_candidates):
                if trial.c.lanes[LANE_COUNTS + i] < trial.c.lanes[LANE_COUNTS + best]:
                    best = i
            row = candidates[best]
        indices[chosen] = row
        single.set_state(unit, np.ascontiguousarray(X[row], dtype=np.float64).ravel())
        single.run()
    return np.asarray(indices)
