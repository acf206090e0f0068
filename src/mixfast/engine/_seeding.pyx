"""k-means++ and Lloyd's iterations over weighted rows: passes of the engine with strategies of their own.

What is added up is added by chunk or by lane, in order, so results are the same bits for any number of threads.
"""

from libc.math cimport INFINITY, log1p
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from mixfast.engine._family cimport chunk_t, totals_t
from mixfast.engine._kernels cimport centres_kernels_t, mixfast_select_centres, mixfast_select_sparse_centres, rows_t
from mixfast.engine._known cimport is_allowed
from mixfast.engine._line cimport draw_line, leave_line, line_t, place_line, step_on_line, suits_line
from mixfast.engine._pass cimport (
    LANE_COUNTS,
    LANE_EVIDENCE,
    Pass,
    arena_t,
    deliver_fn,
    measure_arena,
    open_arena,
    deliver_nothing,
    pack_chunk,
    packed_columns,
    pass_t,
    run_pass,
    strategy_t,
    take,
    usual,
    workspace_t,
)
from mixfast.engine._random cimport FIRST_CENTRE, NEXT_CENTRE, RANDOM_ROWS, uniform
from mixfast.engine._reals cimport get, put
from mixfast.engine._rows cimport Rows, copy_row, value_of
from mixfast.engine._starts cimport asks_every_row

import numpy as np

cdef enum:
    # Sorting costs as much as one of them: 100,000 rows, 10 centres, 14 million instructions each.
    STEPS_BEFORE_LINE = 2
# Share of the change that ends the iterations which rounding may hide on the line.
cdef double ON_LINE = 0.01


cdef inline const centres_kernels_t *kernels_of(const pass_t *p) noexcept nogil:
    if p.family.takes_sparse_rows:
        return mixfast_select_sparse_centres(p.family.isa, p.family.real_bytes)
    return mixfast_select_centres(p.family.isa, p.family.real_bytes)


# ---- greedy k-means++ -----------------------------------------------------------------------------------------------


cdef inline char *closest_of(const pass_t *p, const seeding_t *seeding, Py_ssize_t chunk) noexcept nogil:
    return seeding.closest + chunk * p.stride * p.family.real_bytes


cdef int try_candidates(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                        double *lane) noexcept nogil:
    """Takes the centre chosen last, and measures what each candidate for the next one would leave."""
    cdef const seeding_t *seeding = <const seeding_t *> p.strategy.assign_data
    cdef Py_ssize_t index = start // p.chunk_rows
    kernels_of(p).try_candidates(
        p.family.n_components, p.family.n_features, chunk, p.tables, space.weight, closest_of(p, seeding, index),
        space.resp, seeding.potentials + index * (p.family.n_components - 1))
    return 0


cdef void take_winner(const pass_t *p, const seeding_t *seeding, Py_ssize_t chunk_index,
                      Py_ssize_t winner) noexcept nogil:
    """One chunk's closest with a candidate of the last pass, which the next pass would take."""
    cdef Py_ssize_t start = chunk_index * p.chunk_rows
    cdef chunk_t chunk
    pack_chunk(p, start, p.scratch, p.scratch + packed_columns(p.family) * p.stride * p.family.real_bytes, &chunk)
    kernels_of(p).take_centre(p.family.n_components, p.family.n_features, &chunk, p.tables, 1 + winner,
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


cdef Py_ssize_t draw_by_weight(const pass_t *p, double draw) noexcept nogil:
    """The row at which the running sum of the weights passes the draw, a number in [0, 1), times the total; the last
    that counts where rounding hides it."""
    cdef Py_ssize_t row, chosen = 0
    cdef double total = 0, passed = 0
    if p.rows.weight == NULL:
        return <Py_ssize_t> (draw * <double> p.rows.n_rows)
    for row in range(p.rows.n_rows):
        total += p.rows.weight[row]
    for row in range(p.rows.n_rows):
        if p.rows.weight[row] > 0:
            chosen = row
            passed += p.rows.weight[row]
            if passed > draw * total:
                break
    return chosen


cdef void put_centre(pass_t *p, Py_ssize_t k, Py_ssize_t row) noexcept nogil:
    """Centre k at a row."""
    copy_row(&p.rows, row, p.params + k * p.family.n_features)


cdef int measure(pass_t *p, const strategy_t *strategy, const seeding_t *seeding, Py_ssize_t *winner,
                 double *left) noexcept nogil:
    """One pass: the candidate that would leave least, the first of equals, and what it would leave."""
    cdef Py_ssize_t n_candidates = p.family.n_components - 1, chunk, i
    cdef double total
    cdef int code = run_pass(p, strategy)
    winner[0] = 0
    for i in range(n_candidates):
        total = 0
        for chunk in range(p.n_chunks):
            total += seeding.potentials[chunk * n_candidates + i]
        if i == 0 or total < left[0]:
            winner[0], left[0] = i, total
    return code


cdef void place_seeding(seeding_t *seeding, const pass_t *p, arena_t *arena) noexcept nogil:
    """Room for the seeding that pass `p` makes."""
    cdef Py_ssize_t n_candidates = p.family.n_components - 1
    seeding.closest = <char *> take(arena, p.n_chunks * p.stride * p.family.real_bytes)
    seeding.potentials = <double *> take(arena, p.n_chunks * n_candidates * sizeof(double))
    seeding.candidates = <Py_ssize_t *> take(arena, n_candidates * sizeof(Py_ssize_t))


cdef int seed_greedily(pass_t *p, seeding_t *seeding, Py_ssize_t n_clusters, uint64_t seed, uint32_t start,
                       int64_t *indices) noexcept nogil:
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
    cdef Py_ssize_t n_candidates = p.family.n_components - 1, chosen, winner = 0, i
    cdef double draw, left = 0
    cdef strategy_t strategy = usual()
    cdef int code
    strategy.assign, strategy.assign_data, strategy.deliver = try_candidates, seeding, deliver_nothing
    for i in range(p.n_chunks * p.stride):
        put(seeding.closest, p.family.real_bytes, i, INFINITY)
    indices[0] = draw_by_weight(p, uniform(seed, start, FIRST_CENTRE, 0))
    if n_clusters == 1:
        return 0
    for i in range(1 + n_candidates):
        put_centre(p, i, indices[0])
    code = measure(p, &strategy, seeding, &winner, &left)
    for chosen in range(1, n_clusters):
        if code != 0:
            return code
        for i in range(n_candidates):
            draw = uniform(seed, start, NEXT_CENTRE, <uint64_t> (chosen * n_candidates + i))
            # fewer distinct rows than clusters: all distances are zero, any row is as good as any other
            seeding.candidates[i] = draw_row(p, seeding, winner, draw * left) if left > 0 else draw_by_weight(p, draw)
        put_centre(p, 0, indices[chosen - 1])
        for i in range(n_candidates):
            put_centre(p, 1 + i, seeding.candidates[i])
        code = measure(p, &strategy, seeding, &winner, &left)
        indices[chosen] = seeding.candidates[winner]
    return code


def kmeans_plusplus(Pass p not None, Py_ssize_t n_clusters, uint64_t seed, uint32_t start):
    """`seed_greedily`: indices (n_clusters,) of rows."""
    cdef arena_t arena
    cdef seeding_t seeding
    cdef int code
    indices = np.empty(n_clusters, dtype=np.int64)
    cdef int64_t[::1] chosen = indices
    measure_arena(&arena)
    place_seeding(&seeding, &p.c, &arena)
    cdef void *block = malloc(arena.used)
    if block == NULL:
        raise MemoryError(f"k-means++ of {p.c.rows.n_rows} rows needs {arena.used} bytes of work space")
    try:
        open_arena(&arena, block)
        place_seeding(&seeding, &p.c, &arena)
        with nogil:
            code = seed_greedily(&p.c, &seeding, n_clusters, seed, start, &chosen[0])
        p.check(code)
    finally:
        free(block)
    return indices


# ---- Lloyd ----------------------------------------------------------------------------------------------------------

cdef int find_nearest(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                      double *lane) noexcept nogil:
    """Labels of the chunk's rows, to assign_data; the evidence is the sum of weight * square distance."""
    lane[LANE_EVIDENCE] += kernels_of(p).nearest(
        p.family.n_components, p.family.n_features, chunk, p.tables, space.weight,
        (<int64_t *> p.strategy.assign_data) + start, space.log_norm, space.resp)
    if p.rows.known != NULL:
        lane[LANE_EVIDENCE] += move_to_allowed(p, start, chunk, space)
    return 0


cdef double square_distance(const pass_t *p, Py_ssize_t row, Py_ssize_t k) noexcept nogil:
    """Of a row to a centre."""
    cdef const double *centre = p.params + k * p.family.n_features
    cdef double total = 0, value
    cdef Py_ssize_t j
    cdef int64_t t
    if p.rows.indptr == NULL:
        for j in range(p.family.n_features):
            value = value_of(&p.rows, row, j)
            total += (value - centre[j]) * (value - centre[j])
        return total
    for j in range(p.family.n_features):
        total += centre[j] * centre[j]
    for t in range(p.rows.indptr[row], p.rows.indptr[row + 1]):
        value = get(p.rows.data + t * p.rows.column_stride, p.rows.real_bytes, 0)
        total += value * (value - 2 * centre[p.rows.indices[t]])
    return total


cdef double move_to_allowed(const pass_t *p, Py_ssize_t start, const chunk_t *chunk,
                            const workspace_t *space) noexcept nogil:
    """Rows whose components are known get the label of the nearest centre of these; what that adds to the sum of weight
    * square distance."""
    cdef int64_t *labels = (<int64_t *> p.strategy.assign_data) + start
    cdef double added = 0, least, distance
    cdef Py_ssize_t r, k, best
    for r in range(chunk.n_rows):
        if p.rows.known[start + r] < 0 or is_allowed(&p.rows, start + r, labels[r]):
            continue
        best, least = labels[r], INFINITY
        for k in range(p.family.n_components):
            if is_allowed(&p.rows, start + r, k):
                distance = square_distance(p, start + r, k)
                if distance < least:
                    best, least = k, distance
        if best != labels[r]:
            added += get(space.weight, p.family.real_bytes, r) * (least - square_distance(p, start + r, labels[r]))
            labels[r] = best
    return added


cdef int add_rows(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                  double *lane) noexcept nogil:
    """`deliver`: rows of the chunk are added to the sums of their labels, which are in assign_data."""
    kernels_of(p).add_rows(&p.rows, start, chunk.n_rows, (<const int64_t *> p.strategy.assign_data) + start, p.params,
                           lane + LANE_COUNTS, lane + LANE_COUNTS + p.family.n_components)
    return 0


cdef int add_shares(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                    double *lane) noexcept nogil:
    """`add_rows` for few centres: each of them asks every row, in vectors."""
    cdef Py_ssize_t n_centres = p.family.n_components
    p.kernels.give_to_labels(n_centres, chunk.n_rows, chunk.stride, (<const int64_t *> p.strategy.assign_data) + start,
                             space.weight, space.resp)
    p.kernels.count(n_centres, chunk.stride, space.resp, lane + LANE_COUNTS)
    kernels_of(p).add_shares(n_centres, p.family.n_features, chunk, p.pivot, p.params, space.resp,
                             lane + LANE_COUNTS + n_centres)
    return 0


cdef deliver_fn adding(const pass_t *p) noexcept nogil:
    """`deliver` of passes that add rows to the sums of their labels. Vectors of float32 would lose digits that sums
    in double precision keep."""
    if asks_every_row(p.family) and p.family.real_bytes == 8 and kernels_of(p).add_shares != NULL:
        return add_shares
    return add_rows


cdef int step_lloyd(pass_t *p, int64_t *labels, double *distortion) noexcept nogil:
    """One iteration: labels (n_rows,) of the centres that go in, which move to the means of their rows; the mean square
    distance of the rows to the centres that went in."""
    cdef strategy_t strategy = usual()
    cdef int code
    strategy.assign, strategy.assign_data, strategy.deliver = find_nearest, labels, adding(p)
    code = run_pass(p, &strategy)
    if code != 0:
        return code
    move_to_means(p)
    distortion[0] = p.lanes[LANE_EVIDENCE] / p.total_weight
    return 0


cdef void move_to_means(pass_t *p) noexcept nogil:
    """After a pass that delivered to `adding`: centres are the means of the rows that it labelled."""
    cdef totals_t totals
    totals.counts, totals.pivot = p.lanes + LANE_COUNTS, p.pivot
    totals.stats = totals.counts + p.family.n_components
    p.family.maximise(p.family, &totals, p.work, p.params)


cdef int settle(pass_t *p, int64_t *labels, double tol, Py_ssize_t max_iter, line_t *line,
                kmeans_t *found) noexcept nogil:
    """Lloyd's iterations, two unless max_iter is 1, until one lowers the mean square distance by less than tol times
    what the seeds left, or there were max_iter. Where there is a `line`, many are made on it."""
    cdef double first, last
    cdef bint is_on_line = False
    cdef int code = step_lloyd(p, labels, &first)
    found.distortion, found.n_iter = first, 1
    while code == 0 and found.n_iter < max_iter:
        last = found.distortion
        if line != NULL and found.n_iter == STEPS_BEFORE_LINE:
            is_on_line = draw_line(line, p, ON_LINE * tol * first * p.total_weight)
        if is_on_line:
            found.distortion = step_on_line(line, p)
        else:
            code = step_lloyd(p, labels, &found.distortion)
        found.n_iter += 1
        # not so where sums overflow
        if not last - found.distortion >= tol * first:
            break
    if code == 0 and is_on_line:  # the last step again, for the labels
        leave_line(line, p)
        code = step_lloyd(p, labels, &found.distortion)
    return code


cdef class Lloyd(Pass):
    """Passes of Lloyd's k-means.

    After a step `labels` (n_samples,), int64, are of the centres that went in, and the new centres are the means of the
    rows so labelled.
    """

    cdef readonly object labels
    cdef int64_t[::1] own

    def __cinit__(self, *args, **kwargs):
        self.labels = self.own = np.zeros(self.c.rows.n_rows, dtype=np.int64)
        self.c.proportions.begin(self.c.proportions, self.c.family.n_components, self.c.mixing)

    def step(self):
        """One iteration; the mean square distance of the rows to the centres that went in."""
        cdef double distortion = 0
        cdef int code
        with nogil:
            code = step_lloyd(&self.c, &self.own[0], &distortion)
        self.check(code)
        return distortion

    def settle(self, double tol, Py_ssize_t max_iter):
        """Iterations until they bring little: (mean square distance to the centres of the last one, their number)."""
        cdef kmeans_t found
        cdef arena_t arena
        cdef line_t line
        cdef void *block = NULL
        cdef int code
        if suits_line(&self.c):
            measure_arena(&arena)
            place_line(&line, &self.c, &arena)
            block = malloc(arena.used)
            if block == NULL:
                raise MemoryError(f"k-means of {self.c.rows.n_rows} rows needs {arena.used} bytes of work space")
            open_arena(&arena, block)
            place_line(&line, &self.c, &arena)
        with nogil:
            code = settle(&self.c, &self.own[0], tol, max_iter, NULL if block == NULL else &line, &found)
        free(block)
        self.check(code)
        return found.distortion, found.n_iter


# ---- random rows ----------------------------------------------------------------------------------------------------

cdef void choose_rows(const rows_t *rows, Py_ssize_t n_clusters, uint64_t seed, uint32_t start, double *arrivals,
                      int64_t *indices) noexcept nogil:
    """Indices (n_clusters,) of distinct rows, each drawn with probability proportional to its weight.

    The rows with the smallest exponential variates of rate weight: Efraimidis & Spirakis, "Weighted random sampling
    with a reservoir", Information Processing Letters 97 (2006). `arrivals` (n_clusters,) holds the smallest so far.
    """
    cdef Py_ssize_t row, place, n = 0
    cdef double arrival
    for row in range(rows.n_rows):
        arrival = -log1p(-uniform(seed, start, RANDOM_ROWS, <uint64_t> row))
        if rows.weight != NULL:
            arrival /= rows.weight[row]  # a weight of 1e-320 comes last, at infinity
        if n == n_clusters and not arrival < arrivals[n - 1]:
            continue
        n = min(n + 1, n_clusters)
        place = n - 1
        while place > 0 and arrival < arrivals[place - 1]:
            arrivals[place], indices[place] = arrivals[place - 1], indices[place - 1]
            place -= 1
        arrivals[place], indices[place] = arrival, row


def random_rows(Rows rows not None, Py_ssize_t n_clusters, uint64_t seed, uint32_t start):
    """`choose_rows`: indices (n_clusters,) of rows."""
    indices = np.empty(n_clusters, dtype=np.int64)
    cdef int64_t[::1] chosen = indices
    cdef double[::1] arrivals = np.empty(n_clusters)
    with nogil:
        choose_rows(&rows.c, n_clusters, seed, start, &arrivals[0], &chosen[0])
    return indices
