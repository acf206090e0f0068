"""The pass over the rows and the steps of EM, for any family.

One pass walks the rows in chunks. A chunk is packed once, its rows are shared among the components (`assign`), and what
follows from that is taken up (`deliver`): added to the statistics in a fit, written to arrays in a prediction. What is
put off there until more rows have come is done when the lane has no more (`finish`). No array of n_samples x
n_components exists during a fit.

Lanes, not locks. The chunks are dealt to lanes by the shape of the problem alone; a thread takes whole lanes; lanes are
added up in lane order. So the same bits come out for any number of threads. Inside a parallel region there is no
allocation, no lock and no GIL. A long pass is cut into rounds: each lane does its share of a round, then control
returns to Python for a moment, so that Ctrl-C is heard.

Nothing here knows what a component is: see `_kernels/family.h` for the contract.
"""

from cython.parallel cimport prange, threadid
from libc.math cimport INFINITY, fabs
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from mixfast.engine._capsule cimport BoundFamily, record_size
from mixfast.engine._family cimport (
    MIXFAST_FAILED,
    MIXFAST_LOST_DIGITS,
    MIXFAST_NOT_FINITE,
    MIXFAST_SPURIOUS_COMPONENT,
    chunk_t,
    family_t,
    totals_t,
)
from mixfast.engine._isa cimport resolve_isa
from mixfast.engine._kernels cimport mixfast_select_rows, rows_t
from mixfast.engine._pass cimport (
    CACHE_LINE,
    CHOOSING_ROWS,
    LANE_COUNTS,
    LANE_DENSITIES,
    LANE_EVIDENCE,
    LANE_IMPOSSIBLE,
    LANE_STATISTICS,
    STOPPED,
    THREAD_FLOPS,
    arena_t,
    assign_fn,
    cut,
    deliver_fn,
    finish_fn,
    get,
    measure_arena,
    open_arena,
    pack_chunk,
    packed_columns,
    pass_t,
    put,
    take,
    threads_for_components,
    workspace_t,
)
from mixfast.engine._pruning cimport (
    begin_pass as begin_pruning,
    end_pass as end_pruning,
    lost_count,
    release,
    reset,
)
from mixfast.engine._random cimport RANDOM_RESPONSIBILITIES, uniform
from mixfast.proportions._free cimport free_proportions
from mixfast.proportions._proportions cimport Proportions

from typing import NamedTuple

import numpy as np

from mixfast.status import Status

cdef int LOWER_BOUND_FELL = Status.LOWER_BOUND_FELL

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

# Half a second on one thread at 6 GF/s, the slowest kernels measured (base, d=2), so that Ctrl-C is heard within one.
# With a sixth of it, rounds of large problems held too few chunks to share among threads.
cdef double ROUND_FLOPS = 3e9

# A component with less than this share of the weight holds no rows: its sums are no longer numbers of full precision.
# Until then they are: a responsibility of 1e-200 is as exact as one of 0.5, and such a component can come back.
cdef double EMPTY_SHARE = 1e-250
cdef double EMPTY_SHARE_FLOAT = 1e-25
# Values whose squares, or products with the root of the largest precision, are infinite. Rows of less have NaN for a
# density only where a family is wrong.
cdef double BEYOND = 1e100
cdef double BEYOND_FLOAT = 1e12

# Of each row in a start from labels of a family that `starts_inside`: so much goes to all components, in proportion to
# what else they have, so that each begins halfway between its own rows and all rows. Without it k-means puts
# probabilities to 0 and 1 in the columns that it splits by, and EM stays there. Of 50 fits with tol=1e-10 to the 3,000
# binary rows of test_starts_inside.py 50 reached the best bound; with 0.4 and 0.6 as well, with 0.3 48, with 0.2 44,
# with none 22. A few pseudo-counts, a share that falls with the number of rows, did less, and nothing for 100,000 rows.
cdef double SHARED_AT_START = 0.5

ctypedef struct draw_t:
    uint64_t seed
    uint32_t start


# ---- assign: how a chunk's rows are shared --------------------------------------------------------------------------

ctypedef Py_ssize_t (*share_fn)(
    Py_ssize_t n_components, Py_ssize_t n_rows, Py_ssize_t stride, const void *weight, void *log_prob, void *log_norm,
    void *scratch, double *counts, double *evidence) noexcept nogil


cdef int densities(const pass_t *p, const chunk_t *chunk, workspace_t *space) noexcept nogil:
    return p.family.log_density(p.family, p.tables, chunk, &space.selection, space.family_scratch, space.resp)


cdef bint is_beyond(const pass_t *p, const chunk_t *chunk, Py_ssize_t r) noexcept nogil:
    """Whether row r has values, and no NaN, whose products with others may be infinite."""
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
    """A row so far out that its log density is infinity minus infinity, or infinity, has density 0."""
    cdef Py_ssize_t a, i, r
    cdef double value
    for r in range(chunk.n_rows):
        if is_beyond(p, chunk, r):
            for a in range(space.selection.n):
                i = a * chunk.stride + r
                value = get(space.resp, p.family.real_bytes, i)
                if not value < INFINITY:
                    put(space.resp, p.family.real_bytes, i, -INFINITY)


cdef int share_by(share_fn share, const pass_t *p, const chunk_t *chunk, workspace_t *space,
                  double *lane) noexcept nogil:
    """Rows are shared by their log densities; where numbers overflowed on the way, a second time."""
    cdef Py_ssize_t n_components = p.family.n_components, n_impossible = 0, k
    cdef double evidence = 0, total
    cdef int attempt
    for attempt in range(2):
        if densities(p, chunk, space) != 0:
            return 1
        if attempt == 1:
            mend_overflow(p, chunk, space)
        evidence = 0
        memset(space.counts, 0, n_components * sizeof(double))
        n_impossible = share(n_components, chunk.n_rows, chunk.stride, space.weight, space.resp, space.log_norm,
                             space.softmax_scratch, space.counts, &evidence)
        total = evidence
        for k in range(n_components):
            total += space.counts[k]
        if total == total:
            break
    lane[LANE_IMPOSSIBLE] += <double> n_impossible
    lane[LANE_EVIDENCE] += evidence
    for k in range(n_components):
        lane[LANE_COUNTS + k] += space.counts[k]
    return 0


cdef int expected(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                  double *lane) noexcept nogil:
    """The E-step: responsibilities from log densities."""
    lane[LANE_DENSITIES] += <double> (p.family.n_components * chunk.n_rows)
    return share_by(p.kernels.softmax, p, chunk, space, lane)


cdef int nearest(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                 double *lane) noexcept nogil:
    """The C-step: all of a row to its most likely component. With spherical components of one size, this is k-means."""
    return share_by(p.kernels.hardmax, p, chunk, space, lane)


cdef void clear_resp(const pass_t *p, const chunk_t *chunk, const workspace_t *space) noexcept nogil:
    memset(space.resp, 0, p.family.n_components * chunk.stride * p.family.real_bytes)


cdef double share_alike(const pass_t *p, const chunk_t *chunk, const workspace_t *space) noexcept nogil:
    """What components have of a row whatever its label is; the total of a unit of weight."""
    cdef int real_bytes = p.family.real_bytes
    cdef Py_ssize_t k, r
    cdef double total = 0
    clear_resp(p, chunk, space)
    if p.own == 1:
        return 0
    for k in range(p.family.n_components):
        total += p.alike[k]
        for r in range(chunk.n_rows):
            put(space.resp, real_bytes, k * chunk.stride + r, p.alike[k] * get(space.weight, real_bytes, r))
    return total


cdef inline void add(void *values, int real_bytes, Py_ssize_t i, double value) noexcept nogil:
    put(values, real_bytes, i, get(values, real_bytes, i) + value)


cdef int labelled(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                  double *lane) noexcept nogil:
    """A row to the component that assign_data, an int64 array, names, none for -1. It weighs what it gives away."""
    cdef const int64_t *labels = <const int64_t *> p.assign_data
    cdef int real_bytes = p.family.real_bytes
    cdef double alike = share_alike(p, chunk, space), weight
    cdef Py_ssize_t r
    for r in range(chunk.n_rows):
        weight = get(space.weight, real_bytes, r)
        put(space.weight, real_bytes, r, alike * weight)
        if labels[start + r] >= 0:
            add(space.resp, real_bytes, labels[start + r] * chunk.stride + r, p.own * weight)
            add(space.weight, real_bytes, r, p.own * weight)
    p.kernels.count(p.family.n_components, chunk.stride, space.resp, lane + LANE_COUNTS)
    return 0


cdef int labelled_in_order(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                           double *lane) noexcept nogil:
    """As `labelled` where nothing is shared, with rows visited in the order of their labels: a chunk knows one or two
    components."""
    cdef const int64_t *labels = <const int64_t *> p.assign_data
    cdef int real_bytes = p.family.real_bytes
    cdef Py_ssize_t n = 0, r
    cdef int64_t label
    for r in range(chunk.n_rows):
        label = labels[p.rows.order[start + r]]
        if label >= 0:
            if n == 0 or label != space.chosen[n - 1]:
                memset(<char *> space.resp + n * chunk.stride * real_bytes, 0, chunk.stride * real_bytes)
                space.chosen[n] = label
                n += 1
            put(space.resp, real_bytes, (n - 1) * chunk.stride + r, get(space.weight, real_bytes, r))
            lane[LANE_COUNTS + label] += get(space.weight, real_bytes, r)
        else:
            put(space.weight, real_bytes, r, 0)
    space.selection.n, space.selection.component = n, space.chosen
    return 0


cdef int given(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
               double *lane) noexcept nogil:
    """Responsibilities from assign_data, a float64 array (n_samples, n_components), times the weight of the row, which
    then weighs as much as it gives away."""
    cdef Py_ssize_t n_components = p.family.n_components, r, k
    cdef const double *resp = (<const double *> p.assign_data) + start * n_components
    cdef int real_bytes = p.family.real_bytes
    cdef double weight, total
    clear_resp(p, chunk, space)
    for r in range(chunk.n_rows):
        weight = get(space.weight, real_bytes, r)
        total = 0
        for k in range(n_components):
            total += resp[r * n_components + k]
            put(space.resp, real_bytes, k * chunk.stride + r, weight * resp[r * n_components + k])
        put(space.weight, real_bytes, r, weight * total)
    p.kernels.count(n_components, chunk.stride, space.resp, lane + LANE_COUNTS)
    return 0


cdef int drawn(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
               double *lane) noexcept nogil:
    """Uniform random responsibilities, scaled to sum to one in each row; assign_data says the seed and the start."""
    cdef Py_ssize_t n_components = p.family.n_components, r, k
    cdef const draw_t *draw = <const draw_t *> p.assign_data
    cdef int real_bytes = p.family.real_bytes
    cdef double total, weight
    cdef uint64_t index
    clear_resp(p, chunk, space)
    for r in range(chunk.n_rows):
        index = <uint64_t> (start + r) * <uint64_t> n_components
        total = 0
        for k in range(n_components):
            total += uniform(draw.seed, draw.start, RANDOM_RESPONSIBILITIES, index + <uint64_t> k)
        weight = get(space.weight, real_bytes, r) / total if total > 0 else 0
        for k in range(n_components):
            put(space.resp, real_bytes, k * chunk.stride + r,
                weight * uniform(draw.seed, draw.start, RANDOM_RESPONSIBILITIES, index + <uint64_t> k))
    p.kernels.count(n_components, chunk.stride, space.resp, lane + LANE_COUNTS)
    return 0


cdef int unnormalised(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                      double *lane) noexcept nogil:
    """Log densities, weights of the components included, in the place of responsibilities: nothing is shared."""
    cdef Py_ssize_t k, r
    cdef int code = densities(p, chunk, space)
    if code != 0:
        return code
    mend_overflow(p, chunk, space)
    if p.rows.base != NULL:
        for r in range(chunk.n_rows):
            for k in range(p.family.n_components):
                add(space.resp, p.family.real_bytes, k * chunk.stride + r, p.rows.base[start + r])
    return 0


# ---- deliver: what becomes of a chunk -------------------------------------------------------------------------------

cdef int add_statistics(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                        double *lane) noexcept nogil:
    """What a fit needs of the components that are selected."""
    lane[LANE_STATISTICS] += <double> (space.selection.n * chunk.n_rows)
    return p.family.accumulate(p.family, p.tables, chunk, &space.selection, space.resp, space.family_scratch,
                               lane + LANE_COUNTS + p.family.n_components)


cdef int write_results(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                       double *lane) noexcept nogil:
    """Rows start .. of the arrays in deliver_data, where they are wanted; they hold reals of the family's precision."""
    cdef const results_t *results = <const results_t *> p.deliver_data
    cdef Py_ssize_t n_components = p.family.n_components, real_bytes = p.family.real_bytes, r
    if results.log_norm != NULL:
        if p.rows.base != NULL:
            for r in range(chunk.n_rows):
                add(space.log_norm, real_bytes, r, p.rows.base[start + r])
        memcpy(results.log_norm + start * real_bytes, space.log_norm, chunk.n_rows * real_bytes)
    if results.resp != NULL:
        p.kernels.transpose(n_components, chunk.n_rows, chunk.stride, space.resp,
                            results.resp + start * n_components * real_bytes)
    if results.labels != NULL:
        p.kernels.argmax(n_components, chunk.n_rows, chunk.stride, space.resp, space.places, space.softmax_scratch)
        for r in range(chunk.n_rows):
            results.labels[start + r] = <int64_t> get(space.places, real_bytes, r)
        if results.largest != NULL:
            memcpy(results.largest + start * real_bytes, space.softmax_scratch, chunk.n_rows * real_bytes)
    return 0


cdef int unshared(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                  double *lane) noexcept nogil:
    """No component is asked; rows weigh what they weigh."""
    return 0


cdef int add_common(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                    double *lane) noexcept nogil:
    p.family.shared_term.accumulate_common(p.family, chunk, space.weight, space.family_scratch,
                                           lane + LANE_COUNTS + p.family.n_components)
    return 0


cdef int add_rows(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                  double *lane) noexcept nogil:
    """The weighted sums of the columns, and the sum of the weights."""
    cdef double *sums = lane + LANE_COUNTS + p.family.n_components
    cdef int real_bytes = p.family.real_bytes
    cdef Py_ssize_t j, r
    for r in range(chunk.n_rows):
        sums[p.family.n_features] += get(space.weight, real_bytes, r)
    for j in range(p.family.n_features):
        for r in range(chunk.n_rows):
            sums[j] += (get(space.weight, real_bytes, r)
                        * get(chunk.columns, real_bytes, j * chunk.stride + r))
    return 0


cdef int finish_nothing(const pass_t *p, const workspace_t *space, double *lane) noexcept nogil:
    return 0


# ---- the pass -------------------------------------------------------------------------------------------------------

cdef inline Py_ssize_t gathered_bytes(const pass_t *p) noexcept nogil:
    return round_up((p.family.n_features + 1) * CHOOSING_ROWS * p.family.real_bytes, CACHE_LINE)


cdef void open_workspace(const pass_t *p, int thread, workspace_t *space) noexcept nogil:
    """What a thread works in, for chunks of the pass's stride."""
    cdef Py_ssize_t column = p.stride * p.family.real_bytes
    space.columns = p.scratch + thread * p.scratch_size
    space.weight = <char *> space.columns + packed_columns(p.family) * column
    space.log_norm = <char *> space.weight + column
    space.softmax_scratch = <char *> space.log_norm + column
    space.resp = <char *> space.softmax_scratch + 2 * column
    space.places = <char *> space.resp + p.family.n_components * column
    space.family_scratch = <char *> space.places + column
    space.chosen = <Py_ssize_t *> (<char *> space.family_scratch + p.family.n_scratch_columns * column)
    space.floors = <double *> (space.chosen + p.family.n_components)
    space.counts = space.floors + p.family.n_components
    space.ceilings = <float *> (space.counts + p.family.n_components)
    space.index = <int32_t *> (space.ceilings + p.family.n_components)
    space.gathered = p.scratch + (thread + 1) * p.scratch_size - gathered_bytes(p)


cdef int visit_lane(const pass_t *p, Py_ssize_t lane, Py_ssize_t round_, int thread) noexcept nogil:
    """One lane's chunks of one round, in order."""
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
        if p.assign(p, start, &chunk, &space, slot) != 0 or p.deliver(p, start, &chunk, &space, slot) != 0:
            return 1
    return p.finish(p, &space, slot) if round_ == p.n_rounds - 1 else 0


cdef int visit_all_lanes(const pass_t *p, Py_ssize_t round_) noexcept nogil:
    """The number of lanes that failed (a family written in Python may raise)."""
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


cdef void prepare(pass_t *p) noexcept nogil:
    memset(p.pivot, 0, p.family.n_features * sizeof(double))
    if p.family.prepare_component != NULL:
        prepare_components(p)
    p.family.prepare(p.family, p.weights, p.params, p.work, p.pivot, p.tables)


cdef void prepare_components(pass_t *p) noexcept nogil:
    cdef Py_ssize_t k
    cdef int n_threads = threads_for_components(p)
    if n_threads == 1:
        for k in range(p.family.n_components):
            p.family.prepare_component(p.family, k, p.weights, p.params, p.own_work, p.work)
        return
    for k in prange(p.family.n_components, schedule="dynamic", num_threads=n_threads):
        p.family.prepare_component(p.family, k, p.weights, p.params,
                                   p.own_work + threadid() * p.family.n_own_work, p.work)


cdef void add_up_lanes(pass_t *p) noexcept nogil:
    """The total ends in lane 0; lanes are added in their order, by slices that threads share."""
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


cdef int maximise(pass_t *p) noexcept nogil:
    """The M-step on the total: new weights and parameters in place; the family's status."""
    cdef Py_ssize_t n_components = p.family.n_components, k
    cdef double *counts = p.lanes + LANE_COUNTS
    cdef double total = 0, kept = 0
    cdef totals_t totals = totals_of(p)
    for k in range(n_components):
        total += counts[k]
    for k in range(n_components):
        if counts[k] <= (EMPTY_SHARE if p.family.real_bytes == 8 else EMPTY_SHARE_FLOAT) * total:
            counts[k] = 0
        kept += counts[k]
    p.proportions.maximise(p.proportions, n_components, counts, kept, p.weights)
    return p.family.maximise(p.family, &totals, p.work, p.params)


cdef int maximise_components(pass_t *p, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """What the M-step does for each of some components by itself."""
    cdef totals_t totals = totals_of(p)
    cdef Py_ssize_t k
    cdef int status = 0, n_threads = threads_for_components(p)
    if n_threads == 1:
        for k in range(first, last):
            status |= p.family.maximise_component(p.family, k, &totals, p.work, p.own_work, p.params)
        return status
    for k in prange(first, last, schedule="dynamic", num_threads=n_threads):
        status |= p.family.maximise_component(p.family, k, &totals, p.work,
                                              p.own_work + threadid() * p.family.n_own_work, p.params)
    return status


cdef inline Py_ssize_t clip(Py_ssize_t value, Py_ssize_t low, Py_ssize_t high) noexcept nogil:
    return low if value < low else high if value > high else value


cdef inline Py_ssize_t round_up(Py_ssize_t value, Py_ssize_t unit) noexcept nogil:
    return (value + unit - 1) // unit * unit


cdef inline Py_ssize_t n_common_of(const family_t *family) noexcept nogil:
    return 0 if family.quick == NULL else family.quick.shared_term.n_common


cdef void shape_pass(pass_t *p, const family_t *family, const rows_t *rows, double total_weight,
                     Py_ssize_t n_threads, Py_ssize_t chunk_rows) noexcept nogil:
    """All that follows from the shape of the problem, and the usual strategy. chunk_rows=0 chooses."""
    cdef Py_ssize_t column_reals, lane_room, unit, n_chunks
    cdef double flops
    memset(p, 0, sizeof(pass_t))
    p.family, p.rows, p.total_weight, p.total_base = family, rows[0], total_weight, total_of_base(rows)
    p.least_weight = least_weight_of(rows)
    p.proportions = free_proportions()
    p.kernels = mixfast_select_rows(family.isa, family.real_bytes)
    p.assign, p.deliver, p.finish = expected, add_statistics, finish_nothing
    p.own = 1
    p.look = look_for_signals
    column_reals = packed_columns(family) + 5 + family.n_components + family.n_scratch_columns
    if chunk_rows == 0:
        unit = CHUNK_UNIT * family.real_bytes
        chunk_rows = clip(CHUNK_BYTES // (column_reals * unit), 1, CHUNK_COLUMN_BYTES // unit) * CHUNK_UNIT
        # of one size: kernels run over the whole stride, and a short last chunk of 500 rows would be half padding
        n_chunks = max(1, (rows.n_rows + chunk_rows - 1) // chunk_rows)
        chunk_rows = max(1, round_up((rows.n_rows + n_chunks - 1) // n_chunks, p.kernels.strip))
    cut(p, chunk_rows)
    lane_room = LANE_COUNTS + family.n_components + max(family.n_stats, n_common_of(family), family.n_features + 1)
    p.lane_size = round_up(lane_room, CACHE_LINE // sizeof(double))
    p.n_lanes = clip(p.n_chunks // CHUNKS_PER_LANE, 1,
                     clip(LANES_BYTES // <Py_ssize_t> (p.lane_size * sizeof(double)), MIN_LANES, MAX_LANES))
    flops = flops_of(p)
    p.n_rounds = 1 + <Py_ssize_t> (flops / ROUND_FLOPS)
    p.n_threads = 1 if family.needs_gil else <int> clip(
        <Py_ssize_t> min(flops / THREAD_FLOPS, <double> n_threads), 1, p.n_lanes)
    p.scratch_size = round_up(
        column_reals * p.stride * family.real_bytes + family.n_components * ROOM_TO_CHOOSE
        + p.stride * sizeof(int32_t), CACHE_LINE) + gathered_bytes(p)


cdef void place_pass(pass_t *p, arena_t *arena) noexcept nogil:
    """Where everything lies that a pass of this shape works in."""
    cdef const family_t *family = p.family
    cdef Py_ssize_t k
    p.weights = <double *> take(arena, family.n_components * sizeof(double))
    p.params = <double *> take(arena, family.n_params * sizeof(double))
    p.pivot = <double *> take(arena, family.n_features * sizeof(double))
    p.work = <double *> take(arena, family.n_work * sizeof(double))
    p.lanes = <double *> take(arena, p.n_lanes * p.lane_size * sizeof(double))
    p.tables = take(arena, family.n_tables * family.real_bytes)
    p.scratch = <char *> take(arena, p.n_threads * p.scratch_size)
    p.everything = <Py_ssize_t *> take(arena, family.n_components * sizeof(Py_ssize_t))
    p.alike = <double *> take(arena, family.n_components * sizeof(double))
    p.origin = <double *> take(arena, family.n_features * sizeof(double))
    p.common = <double *> take(arena, n_common_of(family) * sizeof(double))
    if family.quick != NULL:
        p.last_state = <double *> take(arena, (family.n_components + family.n_params) * sizeof(double))
    p.own_work = <double *> take(arena, p.n_threads * family.n_own_work * sizeof(double))
    if arena.base != NULL:
        for k in range(family.n_components):
            p.everything[k] = k


cdef int look_for_signals(void *nothing) noexcept nogil:
    """Nonzero, with the exception set, when Python wants to stop."""
    with gil:
        return PyErr_CheckSignals()


cdef int visit(pass_t *p) noexcept nogil:
    """All rows with the strategy as it is set; the total ends in lane 0."""
    cdef Py_ssize_t round_
    memset(p.lanes, 0, p.n_lanes * p.lane_size * sizeof(double))
    for round_ in range(p.n_rounds):
        if visit_all_lanes(p, round_) != 0:
            return MIXFAST_FAILED
        if p.look(p.look_data) != 0:
            return STOPPED
    add_up_lanes(p)
    return 0


cdef int run_pass(pass_t *p) noexcept nogil:
    """One pass at the present parameters; the total ends in lane 0. 0, MIXFAST_FAILED or STOPPED."""
    prepare(p)
    return visit(p)


cdef double value_of(const rows_t *rows, Py_ssize_t row, Py_ssize_t column) noexcept nogil:
    """Of dense rows."""
    return get(rows.data + row * rows.row_stride + column * rows.column_stride, rows.real_bytes, 0)


cdef void copy_row(const rows_t *rows, Py_ssize_t row, double *out) noexcept nogil:
    """out[n_features]"""
    cdef Py_ssize_t j
    cdef int64_t t
    if rows.indptr == NULL:
        for j in range(rows.n_features):
            out[j] = value_of(rows, row, j)
        return
    memset(out, 0, rows.n_features * sizeof(double))
    for t in range(rows.indptr[row], rows.indptr[row + 1]):
        out[rows.indices[t]] = get(rows.data + t * rows.column_stride, rows.real_bytes, 0)


cdef bint are_equal(const rows_t *rows, Py_ssize_t row, Py_ssize_t other) noexcept nogil:
    cdef Py_ssize_t j
    cdef int64_t t, u
    if rows.indptr == NULL:
        for j in range(rows.n_features):
            if value_of(rows, row, j) != value_of(rows, other, j):
                return False
        return True
    t, u = rows.indptr[row], rows.indptr[other]
    if rows.indptr[row + 1] - t != rows.indptr[other + 1] - u:
        return False
    for j in range(rows.indptr[row + 1] - t):
        if rows.indices[t + j] != rows.indices[u + j] or (
                get(rows.data + (t + j) * rows.column_stride, rows.real_bytes, 0)
                != get(rows.data + (u + j) * rows.column_stride, rows.real_bytes, 0)):
            return False
    return True


cdef bint is_constant(const rows_t *rows) noexcept nogil:
    """Whether there are several rows, all equal."""
    cdef Py_ssize_t row
    for row in range(1, rows.n_rows):
        if not are_equal(rows, row, 0):
            return False
    return rows.n_rows > 1


cdef double total_of_base(const rows_t *rows) noexcept nogil:
    """The sum of weight * base, with Kahan's compensation as `sum_of_weights`."""
    cdef double total = 0, lost = 0, raised, term
    cdef Py_ssize_t i
    if rows.base == NULL:
        return 0
    for i in range(rows.n_rows):
        term = rows.base[i] if rows.weight == NULL else rows.weight[i] * rows.base[i]
        term -= lost
        raised = total + term
        lost = (raised - total) - term
        total = raised
    return total


cdef double least_weight_of(const rows_t *rows) noexcept nogil:
    cdef double least = INFINITY
    cdef Py_ssize_t i
    if rows.weight == NULL:
        return 1
    for i in range(rows.n_rows):
        if 0 < rows.weight[i] < least:
            least = rows.weight[i]
    return least


cdef double flops_of(const pass_t *p) noexcept nogil:
    """Rough, of a pass."""
    cdef double flops = <double> p.rows.n_rows * <double> p.family.flops_per_row
    if p.rows.indptr != NULL:
        flops += (<double> (p.rows.indptr[p.rows.n_rows] - p.rows.indptr[0])) * <double> p.family.flops_per_value
    return flops


cdef double sum_of_weights(const double *weight, Py_ssize_t n) noexcept nogil:
    """With Kahan's compensation: millions of weights keep their digits."""
    cdef double total = 0, lost = 0, raised, term
    cdef Py_ssize_t i
    for i in range(n):
        term = weight[i] - lost
        raised = total + term
        lost = (raised - total) - term
        total = raised
    return total


cdef int gather_common(const pass_t *p) noexcept nogil:
    """What no parameter enters, about the mean of the rows, which is found about the first of them."""
    cdef pass_t own = p[0]
    cdef const double *total = p.lanes + LANE_COUNTS + p.family.n_components
    cdef Py_ssize_t d = p.family.n_features, j
    cdef int code
    own.assign, own.deliver, own.finish = unshared, add_rows, finish_nothing
    for j in range(d):
        own.origin[j] = value_of(&p.rows, 0, j)
    memcpy(own.pivot, own.origin, d * sizeof(double))
    code = visit(&own)
    if code != 0:
        return code
    for j in range(d):
        own.origin[j] += total[j] / total[d]
    own.deliver = add_common
    memcpy(own.pivot, own.origin, d * sizeof(double))
    code = visit(&own)
    if code == 0:
        memcpy(own.common, total, p.family.shared_term.n_common * sizeof(double))
    return code


cdef double evidence_of(const pass_t *p) noexcept nogil:
    """The total log-likelihood, with what `log_density` leaves out."""
    cdef totals_t totals
    cdef double evidence = p.lanes[LANE_EVIDENCE] + p.total_base
    if p.family.shared_term != NULL:
        totals = totals_of(p)
        evidence += p.family.shared_term.common_evidence(p.family, &totals, p.params, p.work)
    return evidence


# ---- the loop -------------------------------------------------------------------------------------------------------

cdef int maximise_all(em_t *em) noexcept nogil:
    """The M-step, on all threads where it is long; what it says is added to the status, but for what only the last one
    knows."""
    cdef pass_t *p = em.p
    cdef Py_ssize_t first = 0, n_at_once
    cdef int status = maximise(p)
    if status < 0:
        return MIXFAST_FAILED
    em.status = em.status & ~MIXFAST_SPURIOUS_COMPONENT | status
    if status & (MIXFAST_NOT_FINITE | MIXFAST_LOST_DIGITS):
        return 0
    if p.family.maximise_component == NULL:
        look_at_params(em)
        return 0
    n_at_once = clip(<Py_ssize_t> (ROUND_FLOPS / <double> (1 + p.family.flops_per_component)), p.n_threads,
                     p.family.n_components)
    while first < p.family.n_components:
        em.status |= maximise_components(p, first, min(first + n_at_once, p.family.n_components))
        first += n_at_once
        if first < p.family.n_components and p.look(p.look_data) != 0:
            return STOPPED
    look_at_params(em)
    return 0


cdef void look_at_params(em_t *em) noexcept nogil:
    """A family's M-step may give what is not a number without saying so, 0 / 0 of a component that lost its rows; and
    log densities may hide it."""
    cdef double total = 0
    cdef Py_ssize_t i
    for i in range(em.p.family.n_params):
        total += 0 * em.p.params[i]
    if total != 0:  # infinity times 0 is not a number either
        em.status |= MIXFAST_NOT_FINITE


cdef void begin_em(em_t *em) noexcept nogil:
    """A new start: what was said of the last one is forgotten."""
    em.status = 0
    em.n_impossible = 0
    em.is_careful = False
    em.n_passes = 0
    reset(&em.pruning, em.p)


cdef int start_em(em_t *em, assign_fn assign, const void *data, int n_passes) noexcept nogil:
    """Parameters from rows that are shared as `assign` says. The M-step is made twice: families centre second moments
    about the means that they have, so the first pass is there to find the means and the second to measure about them.
    Where the means are known, n_passes=1 is enough."""
    cdef pass_t *p = em.p
    cdef assign_fn regular = p.assign
    cdef int _round, code = 0
    reset(&em.pruning, p)
    p.assign, p.assign_data = assign, data
    for _round in range(n_passes):
        if code == 0:
            em.status = 0
            code = run_pass(p)
        if code == 0:
            code = maximise_all(em)
    p.assign, p.assign_data = regular, NULL
    p.own = 1
    return code


cdef void share_rows(pass_t *p, const int64_t *labels) noexcept nogil:
    """Where the family has to start inside its domain: what of a row goes to the component of its label, and what to
    all. Components have as much weight as without."""
    cdef Py_ssize_t n_components = p.family.n_components, row, k
    if not p.family.starts_inside:
        return
    memset(p.alike, 0, n_components * sizeof(double))
    for row in range(p.rows.n_rows):
        if labels[row] >= 0:
            p.alike[labels[row]] += 1 if p.rows.weight == NULL else p.rows.weight[row]
    for k in range(n_components):
        p.alike[k] *= SHARED_AT_START / p.total_weight
    p.own = 1 - SHARED_AT_START


cdef int start_from_labels(em_t *em, const int64_t *labels, int n_passes, uint32_t *order,
                           Py_ssize_t *places) noexcept nogil:
    """`start_em` from labels, -1 for rows that nothing is known of. Rows are visited in the order of their labels where
    there is memory for it and a row has one component, and those of none are not: order[n_rows],
    places[n_components + 2]."""
    cdef pass_t *p = em.p
    cdef Py_ssize_t n_rows, n_unlabelled
    cdef int code
    share_rows(p, labels)
    if order == NULL or p.own < 1:
        return start_em(em, labelled, labels, n_passes)
    n_rows = p.rows.n_rows
    n_unlabelled = sort_by_label(n_rows, labels, p.family.n_components, order, places)
    reset(&em.pruning, p)
    p.rows.order, p.rows.n_rows = order + n_unlabelled, n_rows - n_unlabelled
    cut(p, p.chunk_rows)
    code = start_em(em, labelled_in_order, labels, n_passes)
    p.rows.order, p.rows.n_rows = NULL, n_rows
    cut(p, p.chunk_rows)
    return code


cdef Py_ssize_t sort_by_label(Py_ssize_t n_rows, const int64_t *labels, Py_ssize_t n_components, uint32_t *order,
                              Py_ssize_t *places) noexcept nogil:
    """The rows in the order of their labels, -1 first, as they lie within each: 4 bytes a row, where argsort takes 8
    and room to sort in. Returns the number of the first."""
    cdef Py_ssize_t row, k, n_unlabelled
    memset(places, 0, (n_components + 2) * sizeof(Py_ssize_t))
    for row in range(n_rows):
        places[labels[row] + 2] += 1
    for k in range(n_components + 1):
        places[k + 1] += places[k]
    n_unlabelled = places[1]
    for row in range(n_rows):
        k = labels[row] + 1
        order[places[k]] = <uint32_t> row
        places[k] += 1
    return n_unlabelled


cdef int start_from_responsibilities(em_t *em, const double *resp) noexcept nogil:
    """`start_em` from responsibilities (n_rows, n_components)."""
    return start_em(em, given, resp, 2)


cdef int start_from_draws(em_t *em, uint64_t seed, uint32_t start) noexcept nogil:
    """`start_em` from uniform random responsibilities, which are not stored."""
    cdef draw_t draw
    draw.seed, draw.start = seed, start
    return start_em(em, drawn, &draw, 2)


cdef int run_pruned(em_t *em) noexcept nogil:
    """A pass that leaves out what is zero, if there is enough of it."""
    cdef pass_t *p = em.p
    cdef assign_fn assign = p.assign
    cdef deliver_fn deliver = p.deliver
    cdef finish_fn finish = p.finish
    cdef int code
    if not em.prunes or p.family.needs_gil:
        return run_pass(p)
    begin_pruning(&em.pruning, p, p.total_weight / <double> p.rows.n_rows)
    code = run_pass(p)
    p.assign, p.deliver, p.finish = assign, deliver, finish
    if code != 0:
        reset(&em.pruning, p)  # some ceilings are of these parameters and some of the last
        return code
    if lost_count(&em.pruning, p):
        reset(&em.pruning, p)
        return run_pass(p)
    end_pruning(&em.pruning, p)
    return 0


cdef int advance(em_t *em, double *objective) noexcept nogil:
    """One iteration. The objective is that of the parameters that went in, per unit of weight, (log-likelihood + log
    prior) / total weight: it comes out of the same pass that makes the next ones. A quick family makes it where that
    loses no digits, neither at these parameters nor at the next."""
    cdef pass_t *p = em.p
    cdef const family_t *family = p.family
    cdef int status = em.status, code = 0
    em.n_passes += 1
    if (family.quick == NULL or em.is_careful or not p.total_weight > 0
            or family.quick.shared_term.loses_digits(family.quick, p.weights, p.params, p.work)):
        return advance_by_one(em, objective)
    memcpy(p.last_state, p.weights, family.n_components * sizeof(double))
    memcpy(p.last_state + family.n_components, p.params, family.n_params * sizeof(double))
    p.family = family.quick
    if not p.has_common:
        code = gather_common(p)
        p.has_common = code == 0
    if code == 0:
        code = advance_by_one(em, objective)
    p.family = family
    if code != 0 or not em.status & (MIXFAST_LOST_DIGITS | MIXFAST_NOT_FINITE):
        return code
    em.status, em.is_careful = status, True
    memcpy(p.weights, p.last_state, family.n_components * sizeof(double))
    memcpy(p.params, p.last_state + family.n_components, family.n_params * sizeof(double))
    return advance_by_one(em, objective)


cdef double log_prior_of(const pass_t *p) noexcept nogil:
    """Of the present weights and parameters; not a number where a family in Python failed."""
    cdef double log_prior = 0 if p.family.log_prior == NULL else p.family.log_prior(p.family, p.params)
    if p.proportions.log_prior != NULL:
        log_prior += p.proportions.log_prior(p.proportions, p.family.n_components, p.weights)
    return log_prior


cdef int advance_by_one(em_t *em, double *objective) noexcept nogil:
    """`advance` with the family as it is set."""
    cdef pass_t *p = em.p
    cdef double log_prior = log_prior_of(p)
    cdef int code
    if log_prior != log_prior and p.family.needs_gil:
        return MIXFAST_FAILED
    code = run_pruned(em)
    if code != 0:
        return code
    em.n_impossible = p.lanes[LANE_IMPOSSIBLE]
    objective[0] = (evidence_of(p) + log_prior) / p.total_weight
    if objective[0] != objective[0] or objective[0] == INFINITY:
        em.status |= MIXFAST_NOT_FINITE
        return 0
    return maximise_all(em)


cdef void note_fall(em_t *em, double objective, double before) noexcept nogil:
    """EM does not lower the objective, but what an M-step adds to its estimates may."""
    cdef double rounding = 1e-6 if em.p.family.real_bytes == sizeof(double) else 1e-4
    if objective < before - rounding * (1 + fabs(before)):
        em.status |= LOWER_BOUND_FELL


cdef int iterate_plain(em_t *em, void *nothing, double tol, int stop_on, course_t *course) noexcept nogil:
    """Plain EM: converged when the objective moves by less than tol."""
    cdef double objective = 0, before
    cdef int code
    while course.n_steps < course.max_steps:
        course.n_steps += 1
        code = advance(em, &objective)
        if code != 0:
            return code
        course.n_accepted += 1
        before, course.bound = course.bound, objective
        code = tell_of_step(course, objective - before, True)
        if code != 0 or em.status & (stop_on | MIXFAST_NOT_FINITE):
            return code
        note_fall(em, objective, before)
        course.converged = fabs(objective - before) < tol
        if course.converged:
            return 0
    return 0


cdef int write_objective(void *objectives, const course_t *course, double change, bint is_accepted) noexcept nogil:
    if is_accepted:
        (<double *> objectives)[course.n_accepted - 1] = course.bound
    return 0


# ---- for Python -----------------------------------------------------------------------------------------------------

cdef class Rows:
    """A view of X (n_samples, n_features), float32 or float64 with any strides, and of the weights of its rows.

    X may be sparse instead, in CSR form with rising indices and no zeros: a scipy.sparse matrix, or what has its
    attributes `shape`, `indptr`, `indices` and `data`. `sample_weight` and `base`, a term of the log density that no
    parameter enters, are None or float64 (n_samples,), contiguous. Nothing is copied but int64 indices; the arrays must
    not change or move.
    """

    def __cinit__(self, X, sample_weight=None, base=None):
        cdef const double[:, :] doubles
        cdef const float[:, :] floats
        cdef const double[::1] per_row
        if not isinstance(X, np.ndarray):
            self.view_sparse(X)
        elif X.dtype == np.float32:
            floats = X
            self.c.data = <const char *> &floats[0, 0]
            self.c.row_stride, self.c.column_stride = floats.strides[0], floats.strides[1]
            self.c.real_bytes = 4
        else:
            doubles = X
            self.c.data = <const char *> &doubles[0, 0]
            self.c.row_stride, self.c.column_stride = doubles.strides[0], doubles.strides[1]
            self.c.real_bytes = 8
        self.c.n_rows, self.c.n_features = X.shape
        self.X, self.sample_weight, self.base = X, sample_weight, base
        self.total_weight = self.c.n_rows
        if sample_weight is not None:
            per_row = sample_weight
            if per_row.shape[0] != self.c.n_rows:
                raise ValueError(f"sample_weight has {per_row.shape[0]} values for {self.c.n_rows} rows")
            self.c.weight = &per_row[0]
            self.total_weight = sum_of_weights(&per_row[0], per_row.shape[0])
        if base is not None:
            per_row = base
            if per_row.shape[0] != self.c.n_rows:
                raise ValueError(f"base has {per_row.shape[0]} values for {self.c.n_rows} rows")
            self.c.base = &per_row[0]

    cdef int view_sparse(self, X) except -1:
        """Its values may be one number that stands for all."""
        cdef const int64_t[::1] indptr = X.indptr.astype(np.int64, copy=False)
        cdef const int32_t[::1] indices = X.indices.astype(np.int32, copy=False)
        if len(indptr) != X.shape[0] + 1 or indptr[0] != 0 or indptr[len(indptr) - 1] != len(indices):
            raise ValueError("sparse rows should be a scipy.sparse matrix in CSR form")
        if X.data.dtype not in (np.float32, np.float64):
            raise ValueError(f"sparse rows should hold float32 or float64, got {X.data.dtype}")
        if len(X.data) not in (1, len(indices)) or not X.data.flags.c_contiguous:
            raise ValueError(f"{len(X.data)} values for {len(indices)} indices of sparse rows")
        self.indptr, self.indices = indptr, indices
        self.c.indptr = &indptr[0]
        self.c.indices = &indices[0] if len(indices) else NULL
        self.c.data = <const char *> <uintptr_t> X.data.ctypes.data
        self.c.real_bytes = X.data.itemsize
        self.c.column_stride = 0 if len(X.data) == 1 else X.data.itemsize
        return 0

    def n_values_of(self, const int64_t[::1] offsets not None):
        """How many values each slice of rows, from offsets[i] to offsets[i + 1], has where it is sparse; else 0."""
        if self.indptr is None:
            return np.zeros(offsets.shape[0] - 1, dtype=np.int64)
        return np.diff(np.asarray(self.indptr)[np.asarray(offsets)])

    def is_constant(self):
        """Whether there are several rows, all equal."""
        return bool(is_constant(&self.c))


cdef int raise_error_of(const family_t *family) except -1:
    """What a verb of the family that failed has to say."""
    if family.owner == NULL:
        raise RuntimeError("a family's verb failed without saying why")
    owner = <object> family.owner
    error, owner.error = owner.error, None  # or the traceback would hold the pass, and the pass its owner
    raise error if error is not None else ValueError("a family's verb failed, or gave a prior that is not a number")


cdef class Pass:
    """One family over one set of rows: the memory, the state and the strategy of a pass.

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
        if bool(family.takes_sparse_rows) != (rows.c.indptr != NULL):
            raise ValueError("the family was bound to rows that are "
                             f"{'sparse' if family.takes_sparse_rows else 'dense'}, these are not")
        if chunk_rows is not None and chunk_rows < 1:
            raise ValueError(f"chunk_rows={chunk_rows} should be at least 1")
        self.bound, self.rows, self.proportions = bound, rows, proportions
        shape_pass(&self.c, family, &rows.c, rows.total_weight, n_threads, 0 if chunk_rows is None else chunk_rows)
        if proportions is not None:
            self.c.proportions = &proportions.c
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

    cdef int run(self) except -1:
        """One pass with the strategy as it is set; the total ends in lane 0."""
        cdef int code
        with nogil:
            code = run_pass(&self.c)
        return self.check(code)

    def set_state(self, const double[::1] weights not None, const double[::1] params not None):
        """The parameters that the next pass is made at: weights (n_components,), params as the family lays them out."""
        cdef const family_t *family = self.c.family
        if weights.shape[0] != family.n_components or params.shape[0] != family.n_params:
            raise ValueError(f"expected {family.n_components} weights and {family.n_params} parameters, "
                             f"got {weights.shape[0]} and {params.shape[0]}")
        memcpy(self.c.weights, &weights[0], family.n_components * sizeof(double))
        if family.n_params:
            memcpy(self.c.params, &params[0], family.n_params * sizeof(double))

    def state(self):
        """Copies of the weights and of the family's parameters."""
        return (_copy(self.c.weights, self.c.family.n_components), _copy(self.c.params, self.c.family.n_params))

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


cdef object _copy(const double *values, Py_ssize_t n):
    out = np.empty(n)
    cdef double[::1] view = out
    if n:
        memcpy(&view[0], values, n * sizeof(double))
    return out


def is_mapped(X):
    """Whether the rows lie on disk."""
    while X is not None:
        if isinstance(X, np.memmap):
            return True
        X = getattr(X, "base", None)
    return False


class Gathered(NamedTuple):
    """What a pass adds up over its rows; what passes at the same parameters have gathered may be added.

    evidence : the log-likelihood of the rows
    n_impossible : how many of them no component can have made
    counts : (n_components,) sums of the responsibilities
    stats : (n_record,), the arrays of the family's `Stats`, one after the other
    """

    evidence: float
    n_impossible: float
    counts: np.ndarray
    stats: np.ndarray


cdef class EM(Pass):
    """The loop: expectation and maximisation in turn, from a start.

    `status` gathers what the M-steps said since the start, as bits of `mixfast.status.Status`; `n_passes` counts
    the steps.
    """

    def __cinit__(self, *args, **kwargs):
        self.em.p = &self.c
        # rows on disk are read as they lie: one by one in another order would be a seek each
        self.em.prunes = not is_mapped(self.rows.X)

    def __dealloc__(self):
        release(&self.em.pruning)

    def start_from_labels(self, const int64_t[::1] labels not None, bint located=False):
        """Parameters from labels (n_samples,); -1 is a row that nothing is known of. `located` says that the present
        parameters are where the second moments may be taken about: one M-step is enough then."""
        cdef Py_ssize_t n_rows = self.c.rows.n_rows, n_components = self.c.family.n_components
        cdef uint32_t[::1] order
        cdef Py_ssize_t[::1] places = np.empty(n_components + 2, dtype=np.intp)
        cdef uint32_t *sorted_rows = NULL
        cdef int code, n_passes = 1 if located else 2
        if labels.shape[0] != n_rows:
            raise ValueError(f"{labels.shape[0]} labels for {n_rows} rows")
        if np.max(labels, initial=-1) >= n_components:
            raise ValueError(f"a label is {np.max(labels)}, there are {n_components} components")
        if np.min(labels, initial=-1) < -1:
            raise ValueError(f"a label is {np.min(labels)}: -1 leaves a row out, no other is negative")
        if not self.c.family.needs_gil and n_rows <= 0xFFFFFFFF:
            order = np.empty(n_rows, dtype=np.uint32)
            sorted_rows = &order[0]
        with nogil:
            code = start_from_labels(&self.em, &labels[0], n_passes, sorted_rows, &places[0])
        self.check(code)

    def start_from_responsibilities(self, const double[:, ::1] resp not None):
        """Parameters from responsibilities (n_samples, n_components)."""
        cdef int code
        if resp.shape[0] != self.c.rows.n_rows or resp.shape[1] != self.c.family.n_components:
            raise ValueError(f"responsibilities have shape {tuple(resp.shape)[:2]}, expected "
                             f"({self.c.rows.n_rows}, {self.c.family.n_components})")
        with nogil:
            code = start_from_responsibilities(&self.em, &resp[0, 0])
        self.check(code)

    def start_from_draws(self, uint64_t seed, uint32_t start):
        """Parameters from uniform random responsibilities, which are not stored."""
        cdef int code
        with nogil:
            code = start_from_draws(&self.em, seed, start)
        self.check(code)

    def set_state(self, weights, params):
        """As `Pass.set_state`; a new start, so what was said of the last one is forgotten."""
        begin_em(&self.em)
        Pass.set_state(self, weights, params)

    def step(self):
        """One iteration; returns the objective of the parameters that went in (see `advance`)."""
        cdef double objective = 0
        cdef int code
        with nogil:
            code = advance(&self.em, &objective)
        self.check(code)
        return objective

    cdef int follow(self, double tol, int stop_on, course_t *course) except -1:
        """The loop of this class."""
        cdef int code
        with nogil:
            code = iterate_plain(&self.em, NULL, tol, stop_on, course)
        return self.check(code)

    def iterate(self, Py_ssize_t n_steps, double tol, double previous, int stop_on):
        """Up to n_steps iterations; converged when the objective moves by less than tol.

        Stops early when the status gains a bit of `stop_on`, or is not finite. Returns (objectives, converged).
        """
        cdef course_t course
        cdef double[::1] objectives = np.empty(max(n_steps, 1))
        begin_course(&course, previous, n_steps)
        course.note, course.note_data = write_objective, &objectives[0]
        self.follow(tol, stop_on, &course)
        return [objectives[i] for i in range(course.n_accepted)], bool(course.converged)

    def gather(self):
        """One pass at the present parameters, nothing updated: `Gathered`."""
        self.run()
        return Gathered(evidence_of(&self.c), self.c.lanes[LANE_IMPOSSIBLE],
                        _copy(self.c.lanes + LANE_COUNTS, self.c.family.n_components), self.record())

    cdef double *stats(self) noexcept:
        """Those of lane 0."""
        return self.c.lanes + LANE_COUNTS + self.c.family.n_components

    cdef object record(self):
        """The statistics of lane 0 as they travel."""
        cdef const family_t *family = self.c.family
        cdef double[::1] view
        if family.record == NULL:
            return _copy(self.stats(), family.n_stats)
        out = np.empty(family.record.n_record)
        view = out
        if family.record.n_record:
            family.record.collect(family, self.stats(), &view[0])
        return out

    cdef int take_up(self, const double[::1] counts, const double[::1] record) except -1:
        """Into lane 0, as if a pass at the present parameters had added them up."""
        cdef const family_t *family = self.c.family
        if counts.shape[0] != family.n_components or record.shape[0] != record_size(family):
            raise ValueError(f"expected {family.n_components} counts and a record of {record_size(family)} numbers, "
                             f"got {counts.shape[0]} and {record.shape[0]}")
        prepare(&self.c)
        memset(self.c.lanes, 0, self.c.lane_size * sizeof(double))
        memcpy(self.c.lanes + LANE_COUNTS, &counts[0], family.n_components * sizeof(double))
        if record.shape[0] == 0:
            return 0
        if family.record == NULL:
            memcpy(self.stats(), &record[0], family.n_stats * sizeof(double))
        else:
            family.record.restore(family, &record[0], self.stats())
        return 0

    def maximise(self, const double[::1] counts not None, const double[::1] record not None, double least_weight):
        """The M-step on what passes at the present parameters have gathered; `least_weight` is that of a row, of those
        above zero. Returns the log prior of the parameters that went in; `status` has what the M-step says."""
        cdef double log_prior = log_prior_of(&self.c)
        cdef int code = MIXFAST_FAILED if log_prior != log_prior and self.c.family.needs_gil else 0
        self.take_up(counts, record)
        self.c.least_weight = least_weight
        if code == 0:
            with nogil:
                code = maximise_all(&self.em)
        self.check(code)
        return log_prior

    def recentre(self, const double[::1] counts not None, const double[::1] record not None, weights, params):
        """A record gathered at the present parameters, as it would be at others with the same responsibilities;
        None where the family cannot tell. The parameters are then the others."""
        cdef const family_t *family = self.c.family
        cdef double[::1] last_pivot, last_params
        if family.recentre == NULL:
            return None
        self.take_up(counts, record)
        last_pivot, last_params = _copy(self.c.pivot, family.n_features), _copy(self.c.params, family.n_params)
        self.set_state(weights, params)
        prepare(&self.c)
        family.recentre(family, &counts[0], &last_pivot[0], &last_params[0] if family.n_params else NULL,
                        self.c.pivot, self.c.params, self.stats())
        return self.record()

    @property
    def status(self):
        return self.em.status

    @property
    def n_impossible(self):
        return self.em.n_impossible

    @property
    def n_passes(self):
        return self.em.n_passes

    @property
    def prunes(self):
        """Whether a pass may leave out what is zero; settable."""
        return bool(self.em.prunes)

    @prunes.setter
    def prunes(self, bint prunes):
        self.em.prunes = prunes

    @property
    def work(self):
        """Shares of all pairs of a row and a component whose (densities, statistics) the last step computed."""
        if self.em.pruning.n_passes == 0:
            return 1.0, 1.0
        return self.em.pruning.densities_done, self.em.pruning.statistics_done


cdef void *address(array) except? NULL:
    return <void *> <uintptr_t> array.ctypes.data if array is not None else NULL


def evaluate(Pass p not None, bint classify=False, log_norm=None, labels=None, resp=None, largest=None):
    """Fill whichever arrays are given, in one pass at p's parameters; returns the number of impossible rows.

    log_norm (n_samples,) log densities, resp (n_samples, n_components) responsibilities, labels (n_samples,) int64 the
    most likely components, largest (n_samples,) their responsibilities. All contiguous and, but for labels, of the
    family's precision. `classify` spares the exponentials: labels only.
    """
    cdef results_t results
    cdef const family_t *family = p.c.family
    n_rows, real = p.c.rows.n_rows, np.float64 if family.real_bytes == 8 else np.float32
    for name, array, shape, dtype in (
        ("log_norm", log_norm, (n_rows,), real),
        ("labels", labels, (n_rows,), np.int64),
        ("resp", resp, (n_rows, family.n_components), real),
        ("largest", largest, (n_rows,), real),
    ):
        if array is not None and not (array.shape == shape and array.dtype == dtype and array.flags.c_contiguous):
            raise ValueError(f"{name} should be contiguous, {np.dtype(dtype)}, of shape {shape}; "
                             f"got {array.dtype}, {array.shape}")
    results.log_norm = <char *> address(log_norm)
    results.labels = <int64_t *> address(labels)
    results.resp = <char *> address(resp)
    results.largest = <char *> address(largest)
    run_to_write(p, nearest if classify else expected, &results)
    return int(p.c.lanes[LANE_IMPOSSIBLE])


def evaluate_components(Pass p not None, out not None):
    """Fill out (n_samples, n_components), contiguous and of the family's precision, with the log density of each row
    under each component at p's parameters, in one pass. p's weights are part of it."""
    cdef results_t results
    if out.shape != (p.c.rows.n_rows, p.c.family.n_components) or out.itemsize != p.c.family.real_bytes:
        raise ValueError(f"out has shape {out.shape} and {out.dtype}")
    memset(&results, 0, sizeof(results_t))
    results.resp = <char *> address(_checked_reals(out))
    run_to_write(p, unnormalised, &results)


cdef int run_to_write(Pass p, assign_fn assign, const results_t *results) except -1:
    """A pass that shares rows as `assign` says and writes the results; the strategy is then what it was."""
    cdef pass_t regular = p.c
    p.c.assign, p.c.deliver, p.c.deliver_data = assign, write_results, results
    p.c.rows.order = NULL
    try:
        p.run()
    finally:
        p.c = regular
    return 0


def _checked_reals(x):
    if x.dtype not in (np.float32, np.float64) or not x.flags.c_contiguous:
        raise ValueError(f"expected contiguous float32 or float64, got {x.dtype}")
    return x


def exp_nonpositive(x, isa=None):
    """exp(x) of a contiguous float32 or float64 array of values <= 0, as the pass computes it: a door for tests."""
    y = np.empty_like(_checked_reals(x))
    mixfast_select_rows(resolve_isa(isa), x.itemsize).exp_nonpositive(x.size, address(x), address(y))
    return y


def log_above_one(x, isa=None):
    """log(x) of a contiguous float32 or float64 array of values >= 1, as the pass computes it: a door for tests."""
    y = np.empty_like(_checked_reals(x))
    mixfast_select_rows(resolve_isa(isa), x.itemsize).log_above_one(x.size, address(x), address(y))
    return y


def log_one_plus(x, isa=None):
    """log(1 + x) of a contiguous float32 or float64 array of values >= 0, as kernels compute it: a door for tests."""
    y = np.empty_like(_checked_reals(x))
    mixfast_select_rows(resolve_isa(isa), x.itemsize).log_one_plus(x.size, address(x), address(y))
    return y
