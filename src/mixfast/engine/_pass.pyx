"""The pass over the rows, for any family.

One pass walks over the rows in chunks. A chunk is packed once. `assign` computes responsibilities
[n_components][stride] and log norms [stride] of its rows; `deliver` uses them: it adds to the lane's statistics in a
fit, or writes to arrays in a prediction. `deliver` may leave rows pending until there are more of them; `finish` does
these when the lane has no more chunks. No array of n_samples x n_components exists during a fit.

Lanes, not locks. The chunks are dealt to lanes by the shape of the problem alone; a thread takes whole lanes; lanes are
added up in lane order. So the same bits come out for any number of threads. Inside a parallel region there is no
allocation, no lock and no GIL. A long pass is cut into rounds: each lane does its share of a round, then control
returns to Python for a moment, so that Ctrl-C is heard.

Nothing here knows what a component is: see `_kernels/family.h` for the contract.
"""

from cython.parallel cimport prange, threadid
from libc.math cimport INFINITY, fabs
from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from mixfast.engine._capsule cimport BoundFamily
from mixfast.engine._family cimport MIXFAST_FAILED, chunk_t, family_t, totals_t
from mixfast.engine._kernels cimport groups_t, mixfast_select_rows, rows_t
from mixfast.engine._known cimport leave_out_forbidden, share_among_allowed
from mixfast.engine._reals cimport get, put
from mixfast.engine._rows cimport Rows, total_of_base, weighed_t
from mixfast.proportions._free cimport free_proportions
from mixfast.proportions._proportions cimport Proportions

import numpy as np

cdef extern from "Python.h":
    int PyErr_CheckSignals()

cdef extern from *:
    """
    #ifdef _OPENMP
    #define MIXFAST_HAS_OPENMP 1
    #else
    #define MIXFAST_HAS_OPENMP 0
    #endif
    """
    const int MIXFAST_HAS_OPENMP

HAS_OPENMP = MIXFAST_HAS_OPENMP == 1

cdef enum:
    ROOM_TO_CHOOSE = sizeof(Py_ssize_t) + 2 * sizeof(double) + sizeof(float)  # of a workspace_t, bytes a component
    # A chunk's responsibilities, packed columns and family scratch share the second-level cache, half a megabyte or
    # more on most machines. Longer columns make sums cheaper: full, K=64, d=128, 10,000 rows, one thread took 0.62 s
    # with 48 rows a chunk, 0.48 with 144, 0.45 with 480; K=32, d=16 the same from 96 to 480. Small problems want small
    # chunks, so columns end at 240 doubles or 480 floats.
    CHUNK_BYTES = 524288
    CHUNK_COLUMN_BYTES = 1920
    CHUNK_UNIT = 48            # every strip (6, 12, 24 or 48 rows) divides it: full chunks carry no padding
    CHUNKS_PER_LANE = 4        # with fewer, zeroing and adding lanes shows in small fits
    MAX_LANES = 64
    LANES_BYTES = 67108864     # all lanes together, unless that leaves fewer than MIN_LANES
    # A lane of 8 full covariances of 600 columns is 12 MB: eight were a third of such a fit. One for 50 components of
    # 50,000 words, sparse, is 20 MB, and memory is what such a pass waits for.
    MIN_LANES = 4
    SLICE = 1024               # doubles of each lane that are added up at once

# Values whose squares, or products with the root of the largest precision, are infinite. Rows of less have NaN for a
# density only where a family is wrong.
cdef double BEYOND = 1e100
cdef double BEYOND_FLOAT = 1e12


# ---- assign ---------------------------------------------------------------------------------------------------------

cdef int densities(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space) noexcept nogil:
    """log weight + log density of each row under the selected components, in the place of responsibilities."""
    cdef int code = p.family.log_density(p.family, p.tables, chunk, &space.selection, space.family_scratch, space.resp)
    if code == 0 and p.proportions.of_rows != NULL:
        p.proportions.of_rows.add_terms(p.proportions, p.family.n_components, p.mixing, p.pivot, chunk,
                                        &space.selection, p.family.real_bytes, space.family_scratch, space.resp)
    return code


cdef bint is_beyond(const pass_t *p, const chunk_t *chunk, Py_ssize_t r) noexcept nogil:
    """Whether row r of the chunk has a value so large that products may overflow, and no NaN."""
    cdef double largest = BEYOND if p.family.real_bytes == 8 else BEYOND_FLOAT, value
    cdef bint is_large = False
    cdef Py_ssize_t j
    cdef int64_t t
    if p.family.takes_sparse_rows:
        for t in range(chunk.begin[r], chunk.end[r]):
            value = fabs(get(chunk.values + t * chunk.value_stride, chunk.value_bytes, 0))
            if value != value:
                return False
            is_large |= value > largest
        return is_large
    for j in range(p.family.n_features):
        value = fabs(get(chunk.columns, p.family.real_bytes, j * chunk.stride + r))
        if value != value:
            return False
        is_large |= value > largest
    return is_large


cdef void mend_overflow(const pass_t *p, const chunk_t *chunk, workspace_t *space) noexcept nogil:
    """IN and OUT space.resp: log densities that overflowed (NaN, infinity) become -infinity for rows with huge
    values."""
    cdef Py_ssize_t a, i, r
    cdef double value
    for r in range(chunk.n_rows):
        if is_beyond(p, chunk, r):
            for a in range(space.selection.n):
                i = a * chunk.stride + r
                value = get(space.resp, p.family.real_bytes, i)
                if not value < INFINITY:
                    put(space.resp, p.family.real_bytes, i, -INFINITY)


cdef void multiply_by_weights(const pass_t *p, Py_ssize_t start, const chunk_t *chunk,
                              workspace_t *space) noexcept nogil:
    """IN and OUT space.resp: log densities are multiplied by the row's weight, and space.weight becomes 1. For rows of
    weight w that stand for w copies which share a component."""
    cdef int real_bytes = p.family.real_bytes
    cdef Py_ssize_t a, r, i
    cdef double weight
    for r in range(chunk.n_rows):
        weight = p.rows.weight[start + r if p.rows.order == NULL else p.rows.order[start + r]]
        put(space.weight, real_bytes, r, 1)
        for a in range(space.selection.n):
            i = a * chunk.stride + r
            put(space.resp, real_bytes, i, weight * get(space.resp, real_bytes, i))


cdef int share_by(share_fn share, const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                  double *lane) noexcept nogil:
    """`assign` by `share` (softmax, hardmax): responsibilities of the selected components from log densities.

    OUT space.resp [selection.n][stride], space.log_norm [stride]; added to the lane: counts, evidence, entropy,
    impossible rows. If numbers overflowed, log densities are computed again and mended.
    """
    cdef Py_ssize_t n_components = space.selection.n, n_impossible = 0, k
    cdef double[2] evidence
    cdef double total
    cdef int attempt
    for attempt in range(2):
        if densities(p, start, chunk, space) != 0:
            return 1
        if attempt == 1:
            mend_overflow(p, chunk, space)
        if p.rows.known != NULL:
            leave_out_forbidden(&p.rows, start, chunk, &space.selection, p.family.real_bytes, space.resp)
        if p.moves_together:
            multiply_by_weights(p, start, chunk, space)
        evidence[0] = evidence[1] = 0
        memset(space.counts, 0, n_components * sizeof(double))
        n_impossible = share(n_components, chunk.n_rows, chunk.stride, space.weight, space.resp, space.log_norm,
                             space.softmax_scratch, space.counts, evidence)
        total = evidence[0]
        for k in range(n_components):
            total += space.counts[k]
        if total == total:
            break
    if p.rows.known != NULL and n_impossible > 0:
        share_among_allowed(&p.rows, start, chunk, &space.selection, p.family.real_bytes, space.weight, space.log_norm,
                            space.resp, space.counts)
    lane[LANE_IMPOSSIBLE] += <double> n_impossible
    lane[LANE_EVIDENCE] += evidence[0]
    lane[LANE_ENTROPY] += evidence[1]
    for k in range(n_components):
        lane[LANE_COUNTS + space.selection.component[k]] += space.counts[k]
    return 0


cdef int expected(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                  double *lane) noexcept nogil:
    """`assign` of the E-step: responsibilities by softmax of the log densities."""
    lane[LANE_DENSITIES] += <double> (p.family.n_components * chunk.n_rows)
    return share_by(p.soften, p, start, chunk, space, lane)


cdef int nearest(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                 double *lane) noexcept nogil:
    """`assign` of classification: responsibility 1 for the most likely component. With equal spherical components this
    is k-means."""
    return share_by(p.kernels.hardmax, p, start, chunk, space, lane)


# ---- deliver --------------------------------------------------------------------------------------------------------

cdef int add_statistics(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                        double *lane) noexcept nogil:
    """`deliver` of a fit: add sufficient statistics of the selected components to the lane."""
    cdef double *stats = lane + LANE_COUNTS + p.family.n_components
    cdef int code
    lane[LANE_STATISTICS] += <double> (space.selection.n * chunk.n_rows)
    code = p.family.accumulate(p.family, p.tables, chunk, &space.selection, space.resp, space.family_scratch, stats)
    if code == 0 and p.rows.groups != NULL:
        count_groups(p, start, chunk, space, stats + p.family.n_stats + p.n_row_stats)
    if code == 0 and p.proportions.of_rows != NULL:
        p.proportions.of_rows.accumulate(p.proportions, p.family.n_components, p.mixing, p.pivot, chunk,
                                         &space.selection, p.family.real_bytes, space.resp, space.family_scratch,
                                         stats + p.family.n_stats)
    return code


cdef void count_groups(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                       double *counts) noexcept nogil:
    """Count each group once, by its first row, after the family's statistics were accumulated. OUT counts[n_components]
    += responsibilities of first rows; responsibilities of all other rows become 0, so that proportions ignore them."""
    cdef const groups_t *groups = p.rows.groups
    cdef int real_bytes = p.family.real_bytes
    cdef Py_ssize_t a, r, row
    for r in range(chunk.n_rows):
        row = start + r
        if not is_first(groups, row):
            for a in range(space.selection.n):
                put(space.resp, real_bytes, a * chunk.stride + r, 0)
        else:
            for a in range(space.selection.n):
                counts[space.selection.component[a]] += get(space.resp, real_bytes, a * chunk.stride + r)


cdef int finish_nothing(const pass_t *p, const workspace_t *space, double *lane) noexcept nogil:
    return 0


cdef strategy_t usual() noexcept nogil:
    """The E-step, and statistics for the M-step."""
    cdef strategy_t strategy
    strategy.assign, strategy.assign_data = expected, NULL
    strategy.deliver, strategy.finish, strategy.deliver_data = add_statistics, finish_nothing, NULL
    return strategy


# ---- lanes and rounds -----------------------------------------------------------------------------------------------

cdef inline Py_ssize_t gathered_bytes(const pass_t *p) noexcept nogil:
    return round_up((p.family.n_features + 1) * CHOOSING_ROWS * p.family.real_bytes, CACHE_LINE)


cdef void open_workspace(const pass_t *p, int thread, workspace_t *space) noexcept nogil:
    """OUT space: pointers to a thread's part of the pass's memory, for chunks of p.stride rows."""
    cdef Py_ssize_t column = p.stride * p.family.real_bytes
    space.columns = p.scratch + thread * p.scratch_size
    space.weight = <char *> space.columns + packed_columns(p.family) * column
    space.log_norm = <char *> space.weight + column
    space.softmax_scratch = <char *> space.log_norm + column
    space.resp = <char *> space.softmax_scratch + 2 * column
    space.places = <char *> space.resp + p.family.n_components * column
    space.family_scratch = <char *> space.places + column
    space.chosen = <Py_ssize_t *> (<char *> space.family_scratch + p.n_scratch_columns * column)
    space.floors = <double *> (space.chosen + p.family.n_components)
    space.counts = space.floors + p.family.n_components
    space.ceilings = <float *> (space.counts + p.family.n_components)
    space.index = <int32_t *> (space.ceilings + p.family.n_components)
    space.gathered = p.scratch + (thread + 1) * p.scratch_size - gathered_bytes(p)


cdef int visit_lane(const pass_t *p, Py_ssize_t lane, Py_ssize_t round_, int thread) noexcept nogil:
    """Walk over the chunks of one lane in one round, in order."""
    cdef Py_ssize_t first = lane * p.n_chunks // p.n_lanes
    cdef Py_ssize_t n_own = (lane + 1) * p.n_chunks // p.n_lanes - first
    cdef Py_ssize_t index, start
    cdef double *slot = p.lanes + lane * p.lane_size
    cdef workspace_t space
    cdef chunk_t chunk
    open_workspace(p, thread, &space)
    for index in range(first + n_own * round_ // p.n_rounds, first + n_own * (round_ + 1) // p.n_rounds):
        start = index * p.chunk_rows
        pack_chunk(p, start, space.columns, space.weight, &chunk)
        space.selection.n, space.selection.component = p.family.n_components, p.everything
        if (p.strategy.assign(p, start, &chunk, &space, slot) != 0
                or p.strategy.deliver(p, start, &chunk, &space, slot) != 0):
            return 1
    return p.strategy.finish(p, &space, slot) if round_ == p.n_rounds - 1 else 0


cdef int visit_all_lanes(const pass_t *p, Py_ssize_t round_) noexcept nogil:
    """Walk over the chunks of all lanes in one round, in parallel. Returns how many lanes failed (a family written in
    Python may raise)."""
    cdef Py_ssize_t lane
    cdef int n_failed = 0
    if p.n_threads == 1:
        for lane in range(p.n_lanes):
            if n_failed == 0:
                n_failed += visit_lane(p, lane, round_, 0)
    else:
        for lane in prange(p.n_lanes, schedule="dynamic", num_threads=p.n_threads):
            n_failed += visit_lane(p, lane, round_, threadid())
    return n_failed


cdef void find_log_weights(pass_t *p) noexcept nogil:
    """OUT p.log_weights [n_components], from the present numbers of the proportions."""
    p.proportions.log_weights(p.proportions, p.family.n_components, p.mixing, p.log_weights)


cdef void prepare(pass_t *p) noexcept nogil:
    find_log_weights(p)
    memset(p.pivot, 0, p.family.n_features * sizeof(double))
    if p.family.prepare_component != NULL:
        prepare_components(p)
    p.family.prepare(p.family, p.log_weights, p.params, p.work, p.pivot, p.tables)


cdef void prepare_components(pass_t *p) noexcept nogil:
    cdef Py_ssize_t k
    cdef int n_threads = threads_for_components(p)
    if n_threads == 1:
        for k in range(p.family.n_components):
            p.family.prepare_component(p.family, k, p.log_weights, p.params, p.own_work, p.work)
        return
    for k in prange(p.family.n_components, schedule="dynamic", num_threads=n_threads):
        p.family.prepare_component(p.family, k, p.log_weights, p.params,
                                   p.own_work + threadid() * p.family.n_own_work, p.work)


cdef void add_up_lanes(pass_t *p) noexcept nogil:
    """Reduce the lanes: their sum, in lane order, ends in lane 0. Threads share the work by slices of the lane."""
    cdef Py_ssize_t n_slices = (p.lane_size + SLICE - 1) // SLICE, piece
    cdef int n_threads = <int> clip(p.n_lanes * p.lane_size // THREAD_FLOPS + 1, 1, p.n_threads)
    if n_threads == 1:
        add_slice(p, 0, p.lane_size)
        return
    for piece in prange(n_slices, num_threads=n_threads):
        add_slice(p, piece * SLICE, min((piece + 1) * SLICE, p.lane_size))


cdef void add_slice(pass_t *p, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    cdef Py_ssize_t lane, i
    cdef double *total = p.lanes
    cdef const double *own
    for lane in range(1, p.n_lanes):
        own = p.lanes + lane * p.lane_size
        for i in range(first, last):
            total[i] += own[i]


cdef totals_t totals_of(const pass_t *p) noexcept nogil:
    cdef totals_t totals
    totals.counts = p.lanes + LANE_COUNTS
    totals.pivot, totals.stats = p.pivot, totals.counts + p.family.n_components
    totals.origin, totals.common, totals.least_weight = p.origin, p.common, p.least_weight
    return totals


cdef inline Py_ssize_t round_up(Py_ssize_t value, Py_ssize_t unit) noexcept nogil:
    return (value + unit - 1) // unit * unit


cdef Py_ssize_t n_common_of(const family_t *family) noexcept nogil:
    """How many sums over all rows that do not depend on parameters: those of a quick family, or of a posterior's
    prior."""
    if family.quick != NULL:
        return n_common_of(family.quick)
    if family.shared_term != NULL:
        return family.shared_term.n_common
    return 0 if family.posterior == NULL else family.posterior.n_common


cdef int threads_for_rows(const pass_t *p, Py_ssize_t n_threads) noexcept nogil:
    return <int> clip(<Py_ssize_t> min(flops_of(p) / THREAD_FLOPS, <double> n_threads), 1, p.n_lanes)


cdef void visit_only(pass_t *p, const uint32_t *order, Py_ssize_t n_rows, Py_ssize_t n_threads) noexcept nogil:
    """Restrict further passes to a subset of the rows: order[n_rows] are their numbers; NULL: the first n_rows in
    memory order. At most n_threads threads. Neither may exceed what the pass was shaped for."""
    p.rows.order, p.rows.n_rows = order, n_rows
    cut(p, p.chunk_rows)
    if not p.family.needs_gil:
        p.n_threads = threads_for_rows(p, n_threads)


cdef void shape_pass(pass_t *p, const family_t *family, const proportions_t *proportions, const rows_t *rows,
                     weighed_t weighed, Py_ssize_t n_threads, Py_ssize_t chunk_rows) noexcept nogil:
    """OUT p: chunks, lanes, rounds, threads and sizes of all arrays, from the shape of the problem. chunk_rows=0 lets
    the pass choose. Memory comes from `place_pass`."""
    cdef Py_ssize_t column_reals, lane_room, unit, n_chunks, n_stats
    memset(p, 0, sizeof(pass_t))
    p.family, p.rows, p.total_base = family, rows[0], total_of_base(rows)
    p.rows.spread = not family.takes_sparse_rows
    p.total_weight, p.least_weight = weighed.total, weighed.least
    p.proportions, p.n_mixing = proportions, proportions.n_numbers(proportions, family.n_components)
    p.kernels = mixfast_select_rows(family.isa, family.real_bytes)
    p.soften = p.kernels.softmax if family.posterior == NULL else p.kernels.softmax_with_entropy
    p.look = look_for_signals
    p.n_scratch_columns, p.n_work = family.n_scratch_columns, family.n_work
    if proportions.of_rows != NULL:
        p.n_scratch_columns = max(p.n_scratch_columns,
                                  proportions.of_rows.n_scratch_columns(proportions, family.n_components))
        p.n_work = max(p.n_work, proportions.of_rows.n_work(proportions, family.n_components))
        p.n_row_stats = proportions.of_rows.n_stats(proportions, family.n_components)
    column_reals = packed_columns(family) + 5 + family.n_components + p.n_scratch_columns
    if chunk_rows == 0:
        unit = CHUNK_UNIT * family.real_bytes
        chunk_rows = clip(CHUNK_BYTES // (column_reals * unit), 1, CHUNK_COLUMN_BYTES // unit) * CHUNK_UNIT
        # of one size: kernels run over the whole stride, and a short last chunk of 500 rows would be half padding
        n_chunks = max(1, (rows.n_rows + chunk_rows - 1) // chunk_rows)
        chunk_rows = max(1, round_up((rows.n_rows + n_chunks - 1) // n_chunks, p.kernels.strip))
    cut(p, chunk_rows)
    n_stats = family.n_stats + p.n_row_stats + (0 if rows.groups == NULL else family.n_components)
    lane_room = LANE_COUNTS + family.n_components + max(n_stats, n_common_of(family), family.n_features + 1)
    p.lane_size = round_up(lane_room, CACHE_LINE // sizeof(double))
    p.n_lanes = clip(p.n_chunks // CHUNKS_PER_LANE, 1,
                     clip(LANES_BYTES // <Py_ssize_t> (p.lane_size * sizeof(double)), MIN_LANES, MAX_LANES))
    p.n_rounds = 1 + <Py_ssize_t> (flops_of(p) / round_flops())
    p.n_threads = 1 if family.needs_gil else threads_for_rows(p, n_threads)
    p.scratch_size = round_up(
        column_reals * p.stride * family.real_bytes + family.n_components * ROOM_TO_CHOOSE
        + p.stride * sizeof(int32_t), CACHE_LINE) + gathered_bytes(p)


cdef void place_pass(pass_t *p, arena_t *arena) noexcept nogil:
    """Cut all arrays of a shaped pass from the arena, or measure them where the arena has no memory."""
    cdef const family_t *family = p.family
    cdef Py_ssize_t k
    p.mixing = <double *> take(arena, p.n_mixing * sizeof(double))
    p.log_weights = <double *> take(arena, family.n_components * sizeof(double))
    p.params = <double *> take(arena, family.n_params * sizeof(double))
    p.pivot = <double *> take(arena, family.n_features * sizeof(double))
    p.work = <double *> take(arena, p.n_work * sizeof(double))
    p.lanes = <double *> take(arena, p.n_lanes * p.lane_size * sizeof(double))
    p.tables = take(arena, family.n_tables * family.real_bytes)
    p.scratch = <char *> take(arena, p.n_threads * p.scratch_size)
    p.everything = <Py_ssize_t *> take(arena, family.n_components * sizeof(Py_ssize_t))
    p.alike = <double *> take(arena, family.n_components * sizeof(double))
    p.origin = <double *> take(arena, family.n_features * sizeof(double))
    p.common = <double *> take(arena, n_common_of(family) * sizeof(double))
    if p.rows.groups != NULL:
        p.joint = <double *> take(arena, p.rows.n_rows * family.n_components * sizeof(double))
        p.group_norms = <double *> take(arena, p.rows.groups.n_groups * sizeof(double))
    if p.rows.trim > 0:
        p.heights = <double *> take(arena, p.rows.n_rows * sizeof(double))
        p.by_height = <Py_ssize_t *> take(arena, p.rows.n_rows * sizeof(Py_ssize_t))
    if family.quick != NULL:
        p.last_state = <double *> take(arena, n_state_of(p) * sizeof(double))
    p.own_work = <double *> take(arena, p.n_threads * family.n_own_work * sizeof(double))
    if arena.base != NULL:
        for k in range(family.n_components):
            p.everything[k] = k


cdef Py_ssize_t n_state_of(const pass_t *p) noexcept nogil:
    """Number of doubles in the state: numbers of the proportions, then parameters of the family."""
    return p.n_mixing + p.family.n_params


cdef void copy_state_to(const pass_t *p, double *state) noexcept nogil:
    """OUT state[n_state_of(p)]: a copy of the numbers of the proportions and the parameters."""
    memcpy(state, p.mixing, p.n_mixing * sizeof(double))
    memcpy(state + p.n_mixing, p.params, p.family.n_params * sizeof(double))


cdef void copy_state_from(pass_t *p, const double *state) noexcept nogil:
    memcpy(p.mixing, state, p.n_mixing * sizeof(double))
    memcpy(p.params, state + p.n_mixing, p.family.n_params * sizeof(double))


cdef int look_for_signals(void *nothing) noexcept nogil:
    """Nonzero, with the Python exception set, if a signal such as Ctrl-C came."""
    with gil:
        return PyErr_CheckSignals()


cdef int visit(pass_t *p, const strategy_t *strategy) noexcept nogil:
    """Walk over all rows with tables that are prepared. OUT lane 0: the totals. Returns 0, MIXFAST_FAILED or
    STOPPED."""
    cdef Py_ssize_t round_
    cdef int code = 0
    p.strategy = strategy
    memset(p.lanes, 0, p.n_lanes * p.lane_size * sizeof(double))
    for round_ in range(p.n_rounds):
        if visit_all_lanes(p, round_) != 0:
            code = MIXFAST_FAILED
        elif p.look(p.look_data) != 0:
            code = STOPPED
        if code != 0:
            break
    p.strategy = NULL
    if code == 0:
        add_up_lanes(p)
    return code


cdef int deliver_nothing(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                         double *lane) noexcept nogil:
    return 0


cdef int run_pass(pass_t *p, const strategy_t *strategy) noexcept nogil:
    """Prepare tables from the present parameters, then `visit`."""
    prepare(p)
    return visit(p, strategy)


cdef double flops_of(const pass_t *p) noexcept nogil:
    """Rough number of floating-point operations of a pass."""
    cdef double flops = <double> p.rows.n_rows * <double> p.family.flops_per_row
    if p.rows.indptr != NULL:
        flops += (<double> (p.rows.indptr[p.rows.n_rows] - p.rows.indptr[0])) * <double> p.family.flops_per_value
    return flops


# ---- for Python -----------------------------------------------------------------------------------------------------

cdef int raise_error_of(const family_t *family) except -1:
    """Raise the exception that a failed verb of the family left with its owner, or an error that says that it
    failed."""
    if family.owner == NULL:
        raise RuntimeError("a family's verb failed without saying why")
    owner = <object> family.owner
    error, owner.error = owner.error, None  # or the traceback would hold the pass, and the pass its owner
    raise error if error is not None else ValueError("a family's verb failed, or gave a prior that is not a number")


cdef object copy_of(const double *values, Py_ssize_t n):
    out = np.empty(n)
    cdef double[::1] view = out
    if n:
        memcpy(&view[0], values, n * sizeof(double))
    return out


cdef class Pass:
    """One family over one set of rows: the memory and the state of a pass.

    Parameters
    ----------
    capsule : the bound family, as `Family.bind` returns it
    rows : Rows
    n_threads : int, at most so many; small problems take fewer
    chunk_rows : int or None, rows per chunk; None chooses by the shape. Results differ in the last bits.
    proportions : Proportions or None, what the M-step makes of the counts; None is maximum likelihood
    """

    def __cinit__(self, capsule, Rows rows not None, Py_ssize_t n_threads=1, chunk_rows=None,
                  Proportions proportions=None):
        cdef BoundFamily bound = BoundFamily(capsule)
        cdef const family_t *family = &bound.c
        cdef arena_t arena
        if rows.c.n_features != family.n_features:
            raise ValueError(f"rows have {rows.c.n_features} features, the family was bound to {family.n_features}")
        if family.takes_sparse_rows and rows.c.indptr == NULL:
            raise ValueError("the family was bound to rows that are sparse, these are not")
        if chunk_rows is not None and chunk_rows < 1:
            raise ValueError(f"chunk_rows={chunk_rows} should be at least 1")
        self.bound, self.rows, self.proportions = bound, rows, proportions
        shape_pass(&self.c, family, free_proportions() if proportions is None else &proportions.c, &rows.c,
                   rows.weighed, n_threads, 0 if chunk_rows is None else chunk_rows)
        measure_arena(&arena)
        place_pass(&self.c, &arena)
        self.n_bytes = arena.used
        self.memory = calloc(arena.used, 1)
        if self.memory == NULL:
            raise MemoryError(f"a pass over {rows.c.n_rows} rows needs {arena.used} bytes of work space")
        open_arena(&arena, self.memory)
        place_pass(&self.c, &arena)

    def __dealloc__(self):
        free(self.memory)

    cdef int check(self, int code) except -1:
        """Raise what stopped a pass."""
        if code == STOPPED:
            return -1  # Python has the exception already
        if code != 0:
            raise_error_of(self.c.family)
        return 0

    def set_state(self, const double[::1] weights not None, const double[::1] params not None):
        """The parameters that the next pass is made at: the numbers of the proportions, which are the weights
        (n_components,) for all kinds but a few, and params as the family lays them out."""
        cdef const family_t *family = self.c.family
        if weights.shape[0] != self.c.n_mixing or params.shape[0] != family.n_params:
            raise ValueError(f"expected {self.c.n_mixing} weights and {family.n_params} parameters, "
                             f"got {weights.shape[0]} and {params.shape[0]}")
        if self.c.n_mixing:
            memcpy(self.c.mixing, &weights[0], self.c.n_mixing * sizeof(double))
        if family.n_params:
            memcpy(self.c.params, &params[0], family.n_params * sizeof(double))

    def state(self):
        """Copies of the numbers of the proportions and of the family's parameters."""
        return (copy_of(self.c.mixing, self.c.n_mixing), copy_of(self.c.params, self.c.family.n_params))

    @property
    def n_components(self):
        return self.c.family.n_components

    @property
    def dtype(self):
        """The precision that rows are computed in."""
        return np.dtype(np.float64 if self.c.family.real_bytes == 8 else np.float32)

    @property
    def chunk_rows(self):
        return self.c.chunk_rows

    @property
    def n_rounds(self):
        return self.c.n_rounds

    @property
    def n_lanes(self):
        return self.c.n_lanes

    @property
    def n_threads(self):
        return self.c.n_threads
