"""k-means++ and Lloyd's iterations over weighted rows: passes of the engine with strategies of their own.

What is added up is added by chunk or by lane, in order, so results are the same bits for any number of threads.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t, uintptr_t

from mixfast._em cimport Pass, Rows
from mixfast._family cimport centres_kernels_t, chunk_t, mixfast_select_centres, totals_t
from mixfast._pass cimport LANE_COUNTS, LANE_EVIDENCE, get, pass_t, workspace_t
from mixfast._random cimport FIRST_CENTRE, NEXT_CENTRE, uniform

import numpy as np


cdef inline const centres_kernels_t *kernels_of(const pass_t *p) noexcept nogil:
    return mixfast_select_centres(p.family.isa, p.family.real_bytes)


cdef int deliver_nothing(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                         double *lane) noexcept nogil:
    return 0


# ---- greedy k-means++ -----------------------------------------------------------------------------------------------

# What the passes of one seeding hand on.
ctypedef struct seeding_t:
    char *closest              # square distance of each row to the nearest centre: a stride of reals for each chunk
    double *potentials         # [n_chunks][n_candidates], the sum of weight * closest that each candidate would leave


cdef inline char *closest_of(const pass_t *p, const seeding_t *seeding, Py_ssize_t chunk) noexcept nogil:
    return seeding.closest + chunk * p.stride * p.family.real_bytes


cdef int try_candidates(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                        double *lane) noexcept nogil:
    """Takes the centre chosen last, and measures what each candidate for the next one would leave."""
    cdef const seeding_t *seeding = <const seeding_t *> p.assign_data
    cdef Py_ssize_t index = start // p.chunk_rows
    kernels_of(p).try_candidates(
        p.family.n_components, p.family.n_features, chunk, p.tables, space.weight, closest_of(p, seeding, index),
        space.resp, seeding.potentials + index * (p.family.n_components - 1))
    return 0


cdef void take_winner(const pass_t *p, const seeding_t *seeding, Py_ssize_t chunk_index,
                      Py_ssize_t winner) noexcept nogil:
    """One chunk's closest with a candidate of the last pass, which the next pass would take."""
    cdef Py_ssize_t start = chunk_index * p.chunk_rows, d = p.family.n_features
    cdef Py_ssize_t centre = p.family.n_components + (1 + winner) * d
    cdef chunk_t chunk
    chunk.columns, chunk.stride, chunk.n_rows = p.scratch, p.stride, min(p.chunk_rows, p.rows.n_rows - start)
    p.kernels.pack(&p.rows, start, chunk.n_rows, chunk.stride, p.pivot, p.scratch,
                   p.scratch + d * p.stride * p.family.real_bytes)
    kernels_of(p).take_centre(d, &chunk, <char *> p.tables + centre * p.family.real_bytes,
                              closest_of(p, seeding, chunk_index))


cdef double mass_of(const pass_t *p, const char *closest, Py_ssize_t row, Py_ssize_t r) noexcept nogil:
    """weight * closest of a row, the r-th of its chunk."""
    cdef double distance = get(closest, p.family.real_bytes, r)
    return distance if p.rows.weight == NULL else p.rows.weight[row] * distance


cdef Py_ssize_t draw_row(const pass_t *p, const seeding_t *seeding, Py_ssize_t winner, double target) noexcept nogil:
    """The row at which the running sum of weight * closest passes target; the last that counts if rounding hides it."""
    cdef Py_ssize_t n_candidates = p.family.n_components - 1, chunk = 0, row, start, chosen, i
    cdef double mass
    for i in range(p.n_chunks):
        mass = seeding.potentials[i * n_candidates + winner]
        if mass > 0:
            chunk = i
            if target < mass:
                break
            target -= mass
    take_winner(p, seeding, chunk, winner)
    start = chosen = chunk * p.chunk_rows
    for row in range(start, min(start + p.chunk_rows, p.rows.n_rows)):
        mass = mass_of(p, closest_of(p, seeding, chunk), row, row - start)
        if mass > 0:
            chosen = row
            target -= mass
            if target < 0:
                break
    return chosen


cdef object draw_by_weight(Rows rows, draws):
    """Rows at which the running sum of the weights passes the draws, numbers in [0, 1), times the total."""
    if rows.sample_weight is None:
        return np.floor(draws * rows.c.n_rows).astype(np.int64)
    passed = np.cumsum(rows.sample_weight)
    total = passed[rows.c.n_rows - 1]
    last = np.searchsorted(passed, total)  # where rounding hides the one that counts
    return np.minimum(np.searchsorted(passed, draws * total, side="right"), last)


cdef object measure(Pass p, potentials, last, candidates):
    """One pass: what each candidate would leave, after the centre chosen last."""
    centres = p.rows.X[np.concatenate([[last], candidates])]
    p.set_state(np.ones(len(centres)), np.ascontiguousarray(centres, dtype=np.float64).ravel())
    p.run()
    return np.sum(potentials, axis=0)


def kmeans_plusplus(Pass p not None, Py_ssize_t n_clusters, uint64_t seed, uint32_t start):
    """Indices (n_clusters,) of rows: the first is drawn by weight, each further one is the best of some candidates that
    are drawn by weight * square distance to the nearest centre so far.

    Arthur & Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007, with the greedy choice that they
    mention and scikit-learn made common.

    `p` is a pass of the centres family with one component more than there are candidates: the first is the centre that
    was chosen last. So there is one pass for each centre, which takes the winner of the pass before and tries the
    candidates for the next one. These are drawn in between, when `closest` does not know the winner yet; but the
    potentials of the chunks do, and only in the chunk that a draw falls into is `closest` brought up to date.

    Distances are sums of squares, not |x|^2 - 2 x.c + |c|^2: a row that equals a centre has distance zero, exactly, and
    is never drawn again, wherever the origin is. Linear forms would not be faster: of a pass over 100,000 rows of 16
    columns packing and reading the rows takes more than half.
    """
    cdef Py_ssize_t n_candidates = p.c.family.n_components - 1, real_bytes = p.c.family.real_bytes, winner, i
    cdef double[:, ::1] potentials = np.empty((p.c.n_chunks, n_candidates))
    cdef seeding_t seeding
    closest = np.full(p.c.n_chunks * p.c.stride + 64 // real_bytes, np.inf, dtype=f"f{real_bytes}")
    seeding.closest = <char *> ((<uintptr_t> closest.ctypes.data + 63) // 64 * 64)
    seeding.potentials = &potentials[0, 0]
    p.c.assign, p.c.assign_data, p.c.deliver = try_candidates, &seeding, deliver_nothing

    indices = np.empty(n_clusters, dtype=np.int64)
    indices[0] = draw_by_weight(p.rows, np.array([uniform(seed, start, FIRST_CENTRE, 0)]))[0]
    candidates = np.repeat(indices[:1], n_candidates)
    winner, left = 0, measure(p, potentials, indices[0], candidates)
    for chosen in range(1, n_clusters):
        draws = np.array([uniform(seed, start, NEXT_CENTRE, <uint64_t> (chosen * n_candidates + i))
                          for i in range(n_candidates)])
        if left[winner] > 0:
            for i in range(n_candidates):
                candidates[i] = draw_row(&p.c, &seeding, winner, draws[i] * left[winner])
        else:  # fewer distinct rows than clusters: all distances are zero, any row is as good as any other
            candidates = draw_by_weight(p.rows, draws)
        left = measure(p, potentials, indices[chosen - 1], candidates)
        winner = np.argmin(left)
        indices[chosen] = candidates[winner]
    return indices


# ---- Lloyd ----------------------------------------------------------------------------------------------------------

cdef int find_nearest(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                      double *lane) noexcept nogil:
    """Labels of the chunk's rows, to assign_data; the evidence is the sum of weight * square distance."""
    lane[LANE_EVIDENCE] += kernels_of(p).nearest(
        p.family.n_components, p.family.n_features, chunk, p.tables, space.weight,
        (<int64_t *> p.assign_data) + start, space.log_norm)
    return 0


cdef int add_rows(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                  double *lane) noexcept nogil:
    kernels_of(p).add_rows(&p.rows, start, chunk.n_rows, (<const int64_t *> p.assign_data) + start, p.params,
                           lane + LANE_COUNTS, lane + LANE_COUNTS + p.family.n_components)
    return 0


cdef class Lloyd(Pass):
    """Passes of Lloyd's k-means: a pass of the centres family labels each row and moves the centres to their rows.

    After a step `labels` (n_samples,), int64, are of the centres that went in, and the new centres are the means of the
    rows so labelled.
    """

    cdef readonly object labels

    def __cinit__(self, *args, **kwargs):
        self.labels = np.zeros(self.c.rows.n_rows, dtype=np.int64)
        self.c.assign, self.c.assign_data = find_nearest, <const void *> <uintptr_t> self.labels.ctypes.data
        self.c.deliver = add_rows

    def step(self):
        """One iteration; the mean square distance of the rows to the centres that went in."""
        cdef totals_t totals
        self.run()
        totals.counts, totals.pivot = self.c.lanes + LANE_COUNTS, self.c.pivot
        totals.stats = totals.counts + self.c.family.n_components
        self.c.family.maximise(self.c.family, &totals, self.c.work, self.c.params)
        return self.c.lanes[LANE_EVIDENCE] / self.rows.total_weight
