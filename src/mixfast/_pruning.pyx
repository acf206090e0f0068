"""Leaving out what is zero: most responsibilities are, to the last bit, and need neither densities nor statistics.

Rows are visited in the order of their most likely component, so that a chunk knows few components. Then, per chunk:

- components that some row of the chunk was nearest to come first; the row that they explain worst sets a floor: what
  is below it by log(NEGLIGIBLE * weight) has a responsibility that is nothing to any row, any count and any mean;
- of every other component a ceiling is kept, which no row's log density is above. It is carried from the parameters of
  the last pass to those of this one (`carry` of the family: two operations instead of rows x d^2 / 2); below the floor,
  the component is not looked at. Otherwise its densities are computed, strip by strip, until the floor is passed
  (`bounded_log_density`), which gives a new ceiling;
- statistics are added up for the components that some row gives more than nothing, and where these are few, over these
  rows alone.

A family without bounds computes all densities and saves the exponentials and the statistics.

What is left out is less than NEGLIGIBLE of a component's weight in every row, so less than NEGLIGIBLE of its count and
of the likelihood: results equal those of the dense pass but for the order of the sums. All decisions depend on numbers
alone, never on clocks or threads.
"""

from cython.parallel cimport prange, threadid
from libc.float cimport FLT_MAX
from libc.math cimport INFINITY, log
from libc.stdint cimport uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from mixfast._family cimport chunk_t, selection_t
from mixfast._pass cimport (
    CHOOSING_ROWS,
    LANE_COUNTS,
    LANE_DENSITIES,
    LANE_EVIDENCE,
    LANE_IMPOSSIBLE,
    LANE_STATISTICS,
    cut,
    get,
    threads_for_components,
)

# A responsibility that is less than this of a component's weight in every row is less than this of its count: a
# hundredth of the rounding of doubles.
cdef double NEGLIGIBLE = 1e-18
# Unless the component shrinks to less than this of its weight in one pass, where that would be more than 1e-12 of it:
# the pass is then made again, dense.
cdef double SHRUNK = 1e-6

cdef enum:
    PROBE_EVERY = 10           # passes, after the early probes: components move most at first
    MIN_ROWS = 2000            # of the few chunks of fewer, most hold rows of several components
    # A component's rows are sorted into so many levels of log density: where rows are alike, the one that is explained
    # worst sets a floor that suits all.
    N_LEVELS = 16

# It is tried where less than this share of all pairs hold something, row by row (in chunks it is two to four times as
# much), and goes on while it does less than SWITCH_OFF of the dense pass's work: 64 components at 11 standard
# deviations hold something in 0.28 of the pairs, do 0.55 of the work, and gain 1.1 to 1.2.
cdef double SWITCH_ON = 0.5
cdef double SWITCH_OFF = 0.9
# Share of a chunk's rows up to which a component's are gathered: 256 components at 17 standard deviations, a fit of 20
# iterations is 5.4 times as fast as dense with this, 4.6 times without gathering.
cdef double GATHERED = 0.5
# What reading rows out of order costs, in the unit of flops_per_row. 200,000 x 16, groups far apart: 4 components with
# covariances of their own (2,600 a row) took as long with pruning as without, 16 that share one (1,700) 1.4 times as
# long, 8 with their own (5,200) half as long.
cdef double ORDER_FLOPS = 2000


cdef bint is_probe(Py_ssize_t n_passes) noexcept nogil:
    """After passes 1, 3, 6, 11, 21, 31, ..."""
    return n_passes in (1, 3, 6) or n_passes % PROBE_EVERY == 1


cdef inline bint can_order(Py_ssize_t n_rows) noexcept nogil:
    return n_rows >= MIN_ROWS and <double> n_rows <= 4294967295.0  # what a uint32 holds


cdef Py_ssize_t aligned(Py_ssize_t n_bytes) noexcept nogil:
    return (n_bytes + 63) // 64 * 64


cdef int allocate(pruning_t *pruning, pass_t *p) noexcept nogil:
    cdef Py_ssize_t n = p.rows.n_rows, n_components = p.family.n_components
    cdef Py_ssize_t n_ceilings = (n + pruned_rows(p) - 1) // pruned_rows(p) * n_components
    cdef Py_ssize_t[14] sizes
    cdef (char *)[14] pieces
    cdef Py_ssize_t total = 64
    cdef int i
    sizes[0] = sizes[1] = sizes[2] = n * sizeof(uint32_t)
    sizes[3] = sizes[4] = n_ceilings * sizeof(float)
    sizes[5] = (n_components * N_LEVELS + 1) * sizeof(Py_ssize_t)
    sizes[6] = n_components * N_LEVELS * sizeof(Py_ssize_t)
    sizes[7] = sizes[8] = sizes[10] = n_components * sizeof(double)
    sizes[9] = p.family.n_carry * sizeof(double)
    sizes[11] = p.family.n_params * sizeof(double)
    sizes[12] = sizes[13] = n_components * sizeof(float)
    for i in range(14):
        total += aligned(sizes[i])
    pruning.memory = malloc(total)
    if pruning.memory == NULL:
        return 1
    pieces[0] = <char *> aligned(<Py_ssize_t> <uintptr_t> pruning.memory)
    for i in range(1, 14):
        pieces[i] = pieces[i - 1] + aligned(sizes[i - 1])
    pruning.order, pruning.next_order = <uint32_t *> pieces[0], <uint32_t *> pieces[1]
    pruning.log_norms, pruning.keys = <float *> pieces[1], <uint32_t *> pieces[2]
    pruning.ceilings, pruning.next_ceilings = <float *> pieces[3], <float *> pieces[4]
    pruning.next_place, pruning.last_pair = <Py_ssize_t *> pieces[5], <Py_ssize_t *> pieces[6]
    pruning.limits, pruning.log_limits = <double *> pieces[7], <double *> pieces[8]
    pruning.carry, pruning.last_weights = <double *> pieces[9], <double *> pieces[10]
    pruning.last_params = <double *> pieces[11]
    pruning.best, pruning.worst = <float *> pieces[12], <float *> pieces[13]
    return 0


cdef inline Py_ssize_t pruned_rows(const pass_t *p) noexcept nogil:
    return min(p.chunk_rows, CHOOSING_ROWS)


cdef void release(pruning_t *pruning) noexcept nogil:
    free(pruning.memory)
    pruning.memory = NULL


cdef void reset(pruning_t *pruning, pass_t *p) noexcept nogil:
    """A new start: rows as they lie, everything dense."""
    pruning.n_passes = 0
    switch_off(pruning, p)


cdef void switch_off(pruning_t *pruning, pass_t *p) noexcept nogil:
    if pruning.is_on:
        pruning.is_on = False
        p.rows.order = NULL
        cut(p, pruning.dense_rows)


cdef void switch_on(pruning_t *pruning, pass_t *p) noexcept nogil:
    pruning.dense_rows = p.chunk_rows
    cut(p, pruned_rows(p))
    put_in_order(pruning, p)
    pruning.is_on = True


# ---- one chunk ------------------------------------------------------------------------------------------------------

cdef inline char *column_of(const pass_t *p, const workspace_t *space, Py_ssize_t a) noexcept nogil:
    return <char *> space.resp + a * p.stride * p.family.real_bytes


cdef inline float *ceilings_of(const pruning_t *pruning, const pass_t *p, Py_ssize_t start) noexcept nogil:
    return pruning.ceilings + start // p.chunk_rows * p.family.n_components


cdef inline void keep(const pass_t *p, workspace_t *space, Py_ssize_t *n_kept, Py_ssize_t a) noexcept nogil:
    """The chosen component at a, with its column, goes to the end of those that are kept."""
    if n_kept[0] != a:
        space.chosen[n_kept[0]] = space.chosen[a]
        memcpy(column_of(p, space, n_kept[0]), column_of(p, space, a), p.stride * p.family.real_bytes)
    n_kept[0] += 1


cdef int within_reach(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                      double *lane) noexcept nogil:
    """The E-step over the components that some row of the chunk can belong to; assign_data is a pruning_t."""
    cdef const pruning_t *pruning = <const pruning_t *> p.assign_data
    cdef Py_ssize_t n_components = p.family.n_components, n_first = 0, n_more = 0, n_kept = 0, a, k
    cdef float *ceiling = ceilings_of(pruning, p, start)
    cdef double worst
    cdef selection_t more
    if p.family.carry != NULL:
        p.family.carry(p.family, pruning.carry, ceiling)
    for k in range(n_components):
        if ceiling[k] == INFINITY:
            space.chosen[n_first] = k
            n_first += 1
    if n_first == 0:  # rows of hardly any weight: whoever they belong to gets nothing from them
        for k in range(n_components):
            ceiling[k] = INFINITY
            space.chosen[k] = k
        n_first = n_components
    space.selection.n, space.selection.component = n_first, space.chosen
    if p.family.log_density(p.family, p.tables, chunk, &space.selection, space.family_scratch, space.resp) != 0:
        return 1
    worst = p.kernels.least_best(n_first, chunk.n_rows, chunk.stride, space.resp, space.softmax_scratch)

    if p.family.bounded_log_density == NULL:
        p.kernels.maxima(n_first, chunk.n_rows, chunk.stride, space.resp, space.ceilings)
        for a in range(n_first):
            if not space.ceilings[a] < worst + pruning.log_limits[space.chosen[a]]:
                keep(p, space, &n_kept, a)
    else:
        for k in range(n_components):
            if ceiling[k] != INFINITY and not ceiling[k] < worst + pruning.log_limits[k]:
                space.chosen[n_first + n_more] = k
                space.floors[n_more] = worst + pruning.log_limits[k]
                n_more += 1
        more.n, more.component = n_more, space.chosen + n_first
        p.family.bounded_log_density(p.family, p.tables, chunk, &more, space.floors, space.family_scratch,
                                     column_of(p, space, n_first), space.ceilings)
        n_kept = n_first
        for a in range(n_more):
            ceiling[more.component[a]] = space.ceilings[a]
        for a in range(n_more):
            if not space.ceilings[a] < space.floors[a]:
                keep(p, space, &n_kept, n_first + a)

    lane[LANE_DENSITIES] += <double> ((n_first + n_more) * chunk.n_rows)
    memset(space.counts, 0, n_kept * sizeof(double))
    lane[LANE_IMPOSSIBLE] += p.kernels.softmax(n_kept, chunk.n_rows, chunk.stride, space.weight, space.resp,
                                               space.log_norm, space.softmax_scratch, space.counts,
                                               lane + LANE_EVIDENCE)
    for a in range(n_kept):
        lane[LANE_COUNTS + space.chosen[a]] += space.counts[a]
    leave_out_nothings(pruning, p, chunk, space, n_kept)
    return 0


cdef void leave_out_nothings(const pruning_t *pruning, const pass_t *p, const chunk_t *chunk, workspace_t *space,
                             Py_ssize_t n) noexcept nogil:
    """Only components that get more than nothing from some row stay selected."""
    cdef Py_ssize_t n_kept = 0, a
    p.kernels.maxima(n, chunk.n_rows, chunk.stride, space.resp, space.ceilings)
    for a in range(n):
        if not space.ceilings[a] < pruning.limits[space.chosen[a]]:
            keep(p, space, &n_kept, a)
    space.selection.n = n_kept


cdef int add_statistics(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                        double *lane) noexcept nogil:
    return p.family.accumulate(p.family, p.tables, chunk, &space.selection, space.resp, space.family_scratch,
                               lane + LANE_COUNTS + p.family.n_components)


cdef int add_chosen_statistics(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                               double *lane) noexcept nogil:
    """add_statistics that leaves out rows too, where few rows of a component hold anything and that is worth it."""
    cdef const pruning_t *pruning = <const pruning_t *> p.deliver_data
    cdef Py_ssize_t most = <Py_ssize_t> (GATHERED * <double> chunk.n_rows), a
    cdef double *stats = lane + LANE_COUNTS + p.family.n_components
    cdef void *gathered_resp = space.gathered + p.family.n_features * CHOOSING_ROWS * p.family.real_bytes
    cdef const void *resp
    cdef selection_t one
    cdef chunk_t few
    if not p.family.gathers_rows:
        lane[LANE_STATISTICS] += <double> (space.selection.n * chunk.n_rows)
        return add_statistics(p, start, chunk, space, lane)
    one.n = 1
    for a in range(space.selection.n):
        one.component = space.selection.component + a
        resp = column_of(p, space, a)
        few.n_rows = p.kernels.gather(
            p.family.n_features, chunk.n_rows, chunk.stride, chunk.columns, resp, pruning.limits[one.component[0]],
            most, space.index, space.gathered, gathered_resp, &few.stride)
        if few.n_rows > most:
            few = chunk[0]
        else:
            few.columns, resp = space.gathered, gathered_resp
        lane[LANE_STATISTICS] += <double> few.n_rows
        if p.family.accumulate(p.family, p.tables, &few, &one, resp, space.family_scratch, stats) != 0:
            return 1
    return 0


cdef int add_statistics_and_label(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                                  double *lane) noexcept nogil:
    """Also the most likely component of each row and its log norm; in a dense pass, how many pairs hold something."""
    cdef const pruning_t *pruning = <const pruning_t *> p.deliver_data
    cdef Py_ssize_t n = space.selection.n, r
    p.kernels.argmax(n, chunk.n_rows, chunk.stride, space.resp, space.places, space.softmax_scratch)
    for r in range(chunk.n_rows):
        pruning.keys[start + r] = <uint32_t> space.selection.component[
            <Py_ssize_t> get(space.places, p.family.real_bytes, r)]
        pruning.log_norms[start + r] = <float> get(space.log_norm, p.family.real_bytes, r)
    if pruning.is_on:
        return add_chosen_statistics(p, start, chunk, space, lane)
    lane[LANE_STATISTICS] += <double> (n * chunk.n_rows - p.kernels.count_below(
        n, chunk.n_rows, chunk.stride, space.resp, pruning.limits))
    return add_statistics(p, start, chunk, space, lane)


# ---- between passes -------------------------------------------------------------------------------------------------

cdef void prepare_carry(pruning_t *pruning, const pass_t *p) noexcept nogil:
    cdef Py_ssize_t k
    cdef int n_threads = threads_for_components(p)
    for k in prange(p.family.n_components, schedule="dynamic", num_threads=n_threads):
        p.family.prepare_carry(p.family, k, pruning.last_weights, pruning.last_params, p.weights, p.params,
                               p.own_work + threadid() * p.family.n_own_work, pruning.carry)


cdef bint begin_pass(pruning_t *pruning, pass_t *p, double mean_weight) noexcept nogil:
    """Choose the strategy of the pass; False when there is no memory to choose."""
    cdef Py_ssize_t n_components = p.family.n_components, k
    pruning.n_passes += 1
    pruning.probes = is_probe(pruning.n_passes) and can_order(p.rows.n_rows)
    if not (pruning.is_on or pruning.probes):
        return True
    if pruning.memory == NULL and allocate(pruning, p) != 0:
        return False
    for k in range(n_components):
        # a component without weight is nothing whatever it does
        pruning.limits[k] = NEGLIGIBLE * p.weights[k] * mean_weight if p.weights[k] > 0 else INFINITY
        pruning.log_limits[k] = log(NEGLIGIBLE * p.weights[k]) if p.weights[k] > 0 else INFINITY
    if pruning.is_on:
        if p.family.carry != NULL:
            prepare_carry(pruning, p)
        p.assign, p.assign_data = within_reach, pruning
        p.deliver, p.deliver_data = add_chosen_statistics, pruning
    memcpy(pruning.last_weights, p.weights, n_components * sizeof(double))
    memcpy(pruning.last_params, p.params, p.family.n_params * sizeof(double))
    if pruning.probes:
        p.deliver, p.deliver_data = add_statistics_and_label, pruning
    return True


cdef bint lost_count(const pruning_t *pruning, const pass_t *p) noexcept nogil:
    """Whether a component shrank so much that what was left out, less than NEGLIGIBLE of its last weight, counts."""
    cdef const double *counts = p.lanes + LANE_COUNTS
    cdef double total = 0
    cdef Py_ssize_t k
    if not pruning.is_on:
        return False
    for k in range(p.family.n_components):
        total += counts[k]
    for k in range(p.family.n_components):
        if p.weights[k] > 0 and not counts[k] >= SHRUNK * p.weights[k] * total:
            return True
    return False


cdef void end_pass(pruning_t *pruning, pass_t *p) noexcept nogil:
    """See what the pass's totals say of the next ones."""
    cdef double n_pairs = <double> p.rows.n_rows * <double> p.family.n_components
    cdef double densities = p.lanes[LANE_DENSITIES] / n_pairs
    cdef double statistics = p.lanes[LANE_STATISTICS] / n_pairs
    cdef double saved
    pruning.densities_done = densities if pruning.is_on else 1
    pruning.statistics_done = statistics if pruning.is_on else 1
    if pruning.is_on:
        saved = 1 - 0.5 * (densities + statistics)
        if saved < 1 - SWITCH_OFF or saved * <double> p.family.flops_per_row < 0.5 * ORDER_FLOPS:
            switch_off(pruning, p)
        elif pruning.probes:
            put_in_order(pruning, p)
    elif pruning.probes and statistics < SWITCH_ON:
        saved = 1 - statistics if p.family.bounded_log_density != NULL else 0.5 * (1 - statistics)
        if saved * <double> p.family.flops_per_row > ORDER_FLOPS:
            switch_on(pruning, p)


cdef void add_levels(pruning_t *pruning, Py_ssize_t n_rows, Py_ssize_t n_components) noexcept nogil:
    """Keys of components become keys of components and levels, by equal steps from a component's best row to its
    worst."""
    cdef Py_ssize_t place, k
    cdef uint32_t label
    cdef float log_norm, spread
    for k in range(n_components):
        pruning.best[k] = -FLT_MAX
        pruning.worst[k] = FLT_MAX
    for place in range(n_rows):
        label, log_norm = pruning.keys[place], pruning.log_norms[place]
        if log_norm > pruning.best[label]:
            pruning.best[label] = log_norm
        if log_norm < pruning.worst[label] and log_norm > -FLT_MAX:
            pruning.worst[label] = log_norm
    for place in range(n_rows):
        label, log_norm = pruning.keys[place], pruning.log_norms[place]
        spread = pruning.best[label] - pruning.worst[label]
        if not log_norm >= pruning.worst[label]:
            pruning.keys[place] = label * N_LEVELS + N_LEVELS - 1
        elif 0 < spread <= FLT_MAX:
            pruning.keys[place] = label * N_LEVELS + <uint32_t> (
                (pruning.best[label] - log_norm) / spread * <float> (N_LEVELS - 0.001))
        else:
            pruning.keys[place] = label * N_LEVELS


cdef void put_in_order(pruning_t *pruning, pass_t *p) noexcept nogil:
    """Sort places by key, keeping the order within each, and give the new chunks the old ones' ceilings."""
    cdef Py_ssize_t n = p.rows.n_rows, n_components = p.family.n_components, place, k, pair, chunk
    cdef Py_ssize_t n_keys = n_components * N_LEVELS
    cdef Py_ssize_t *next_place = pruning.next_place
    cdef uint32_t key, row
    add_levels(pruning, n, n_components)
    memset(next_place, 0, (n_keys + 1) * sizeof(Py_ssize_t))
    for place in range(n):
        next_place[pruning.keys[place] + 1] += 1
    for k in range(n_keys):
        next_place[k + 1] += next_place[k]
        pruning.last_pair[k] = -1
    for k in range(p.n_chunks * n_components):
        pruning.next_ceilings[k] = -FLT_MAX if pruning.is_on else FLT_MAX  # nothing is known when it is switched on
    for place in range(n):
        key = pruning.keys[place]
        row = pruning.order[place] if p.rows.order != NULL else <uint32_t> place
        pruning.next_order[next_place[key]] = row
        chunk = next_place[key] // p.chunk_rows
        pair = chunk * p.n_chunks + place // p.chunk_rows
        if pruning.is_on and pair != pruning.last_pair[key]:
            raise_ceilings(n_components, pruning.ceilings + place // p.chunk_rows * n_components,
                           pruning.next_ceilings + chunk * n_components)
            pruning.last_pair[key] = pair
        next_place[key] += 1
    # next_place[key] is now where that key ends: mark the components at work in each chunk
    place = 0
    for k in range(n_keys):
        while place < next_place[k]:
            pruning.next_ceilings[place // p.chunk_rows * n_components + k // N_LEVELS] = INFINITY
            place = min((place // p.chunk_rows + 1) * p.chunk_rows, next_place[k])
    if p.family.bounded_log_density == NULL:
        for k in range(p.n_chunks * n_components):
            pruning.next_ceilings[k] = INFINITY
    pruning.order, pruning.next_order = pruning.next_order, pruning.order
    pruning.log_norms = <float *> pruning.next_order
    pruning.ceilings, pruning.next_ceilings = pruning.next_ceilings, pruning.ceilings
    p.rows.order = pruning.order


cdef void raise_ceilings(Py_ssize_t n, const float *source, float *target) noexcept nogil:
    cdef Py_ssize_t k
    cdef float ceiling
    for k in range(n):
        ceiling = source[k] if source[k] < FLT_MAX else FLT_MAX
        target[k] = ceiling if ceiling > target[k] else target[k]
