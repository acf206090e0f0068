"""Leaving out what is zero: most responsibilities are, to the last bit, and need neither densities nor statistics.

Rows are visited in the order of their most likely component, so that a chunk knows few components. Then, per chunk:

- components that some row of the chunk was nearest to come first; the row that they explain worst sets a floor: what
  is below it by log(NEGLIGIBLE * weight) has a responsibility that is nothing to any row, any count and any mean;
- of every other component a ceiling is kept, which no row's log density is above. It is carried from the parameters of
  the last pass to those of this one (`carry` of the family: two operations instead of rows x d^2 / 2); below the floor,
  the component is not looked at. Otherwise its densities are computed, strip by strip, until the floor is passed
  (`bounded_log_density`), which gives a new ceiling;
- statistics are added up for the components that some row gives more than nothing; rows that are few in a chunk are
  collected in baskets until there are enough.

A family without bounds computes all densities and saves the exponentials and the statistics. Where statistics cost
much, baskets are filled in passes without order too.

What is left out is less than NEGLIGIBLE of a component's weight in every row, so less than NEGLIGIBLE of its count and
of the likelihood: results equal those of the dense pass but for the order of the sums. All decisions depend on numbers
alone, never on clocks or threads.
"""

from cython.parallel cimport prange, threadid
from libc.float cimport FLT_MAX
from libc.math cimport INFINITY, exp, log
from libc.stdint cimport int32_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from mixfast.engine._family cimport chunk_t, family_t, selection_t
from mixfast.engine._kernels cimport rows_t
from mixfast.engine._pass cimport (
    CHOOSING_ROWS,
    LANE_COUNTS,
    LANE_DENSITIES,
    LANE_EVIDENCE,
    LANE_IMPOSSIBLE,
    LANE_NEEDED,
    LANE_STATISTICS,
    arena_t,
    cut,
    find_log_weights,
    measure_arena,
    open_arena,
    strategy_t,
    stride_of,
    take,
    threads_for_components,
)
from mixfast.engine._reals cimport get

# A responsibility that is less than this of a component's weight in every row is less than this of its count: a
# hundredth of the rounding of doubles.
cdef double NEGLIGIBLE = 1e-18
# Unless the component shrinks to less than this of its weight in one pass, where that would be more than 1e-12 of it:
# the pass is then made again, dense.
cdef double SHRUNK = 1e-6

cdef enum:
    PROBE_EVERY = 10           # passes, after the early probes: components move most at first
    MIN_ROWS = 2000            # of the few chunks of fewer, most hold rows of several components
    BASKETS_BYTES = 33554432   # all baskets together, but a strip in each
    # A component's rows are sorted into so many levels of log density: where rows are alike, the one that is explained
    # worst sets a floor that suits all.
    N_LEVELS = 16

# Order is tried where less than this share of all pairs hold something, row by row (in chunks it is two to four times
# as much), and goes on while it does less than SWITCH_OFF of the work that a pass without order would do: 64 components
# at 11 standard deviations hold something in 0.28 of the pairs, do 0.55 of the work, and gain 1.1 to 1.2. What did not
# pay after n passes is tried again after 2 n, so that all trials together are few.
cdef double SWITCH_ON = 0.5
cdef double SWITCH_OFF = 0.9
# Share of a chunk's rows up to which a component's go to its basket. Time of a late pass relative to one without
# baskets: 100,000 x 16, 64 components at 12 standard deviations, in order: 0.86 with an eighth, 0.82 with a quarter,
# 0.81 with this; 20,000 x 32, 64 at 10, without order: 0.98, 0.91, 0.78, and within the noise the same with 0.7 and
# 0.85.
cdef double FEW = 0.5
# What looking at a responsibility does not show beside, in the unit of flops_per_row. Full, 32 components, rows in
# which nothing can be left out: a pass with baskets takes 1.02 times as long with 16 columns (648 a pair), 1.004 with
# 24 (1,336), and as long within the noise with 32 (2,280).
cdef double LOOK_FLOPS = 2000
cdef double LARGEST_ROW = 4294967295.0  # what a uint32 holds
# What reading rows out of order costs, in the unit of flops_per_row. 200,000 x 16, groups far apart: 4 components with
# covariances of their own (2,600 a row) took as long with pruning as without, 16 that share one (1,700) 1.4 times as
# long, 8 with their own (5,200) half as long.
cdef double ORDER_FLOPS = 2000


cdef bint is_probe(Py_ssize_t n_passes) noexcept nogil:
    """After passes 1, 3, 6, 11, 21, 31, ..."""
    return n_passes in (1, 3, 6) or n_passes % PROBE_EVERY == 1


cdef Py_ssize_t basket_room(const pass_t *p) noexcept nogil:
    """Rows that a basket has room for: no more than a chunk of any pass, which the family's scratch is for."""
    cdef Py_ssize_t row_bytes = sizeof(uint32_t) + p.family.real_bytes, strip = p.kernels.strip
    cdef Py_ssize_t affordable = BASKETS_BYTES // (p.n_lanes * p.family.n_components * row_bytes) // strip * strip
    return min(max(affordable, strip), stride_of(p, min(pruned_rows(p), p.rows.n_rows)))


cdef void place(pruning_t *pruning, const pass_t *p, arena_t *arena) noexcept nogil:
    cdef Py_ssize_t n = p.rows.n_rows, n_components = p.family.n_components
    cdef Py_ssize_t n_ceilings = (n + pruned_rows(p) - 1) // pruned_rows(p) * n_components
    cdef Py_ssize_t n_baskets = p.n_lanes * n_components if p.family.gathers_rows else 0
    pruning.basket_stride = basket_room(p)
    pruning.order = <uint32_t *> take(arena, n * sizeof(uint32_t))
    pruning.next_order = <uint32_t *> take(arena, n * sizeof(uint32_t))
    pruning.log_norms = <float *> pruning.next_order
    pruning.keys = <uint32_t *> take(arena, n * sizeof(uint32_t))
    pruning.ceilings = <float *> take(arena, n_ceilings * sizeof(float))
    pruning.next_ceilings = <float *> take(arena, n_ceilings * sizeof(float))
    pruning.next_place = <Py_ssize_t *> take(arena, (n_components * N_LEVELS + 1) * sizeof(Py_ssize_t))
    pruning.last_pair = <Py_ssize_t *> take(arena, n_components * N_LEVELS * sizeof(Py_ssize_t))
    pruning.limits = <double *> take(arena, n_components * sizeof(double))
    pruning.log_limits = <double *> take(arena, n_components * sizeof(double))
    pruning.carry = <double *> take(
        arena, (0 if p.family.bounds == NULL else p.family.bounds.n_carry) * sizeof(double))
    pruning.last_log_weights = <double *> take(arena, n_components * sizeof(double))
    pruning.last_params = <double *> take(arena, p.family.n_params * sizeof(double))
    pruning.best = <float *> take(arena, n_components * sizeof(float))
    pruning.worst = <float *> take(arena, n_components * sizeof(float))
    pruning.n_in_basket = <int32_t *> take(arena, n_baskets * sizeof(int32_t))
    pruning.basket_rows = <uint32_t *> take(arena, n_baskets * pruning.basket_stride * sizeof(uint32_t))
    pruning.basket_resp = <char *> take(arena, n_baskets * pruning.basket_stride * p.family.real_bytes)


cdef bint may_leave_out(const pass_t *p) noexcept nogil:
    """Whether a pass of this shape may need memory to leave something out, with its family or a quick one."""
    return (may_with(p, p.family) or (p.family.quick != NULL and may_with(p, p.family.quick)))


cdef bint may_with(const pass_t *p, const family_t *family) noexcept nogil:
    return ((family.gathers_rows and fills_unordered(family))
            or (p.rows.n_rows >= MIN_ROWS and family.flops_per_row > ORDER_FLOPS))


cdef void place_pruning(pruning_t *pruning, const pass_t *p, arena_t *arena) noexcept nogil:
    """In memory that is there already: nothing is allocated later."""
    if may_leave_out(p):
        place(pruning, p, arena)
        pruning.is_placed = True


cdef int allocate(pruning_t *pruning, const pass_t *p) noexcept nogil:
    cdef arena_t arena
    measure_arena(&arena)
    place(pruning, p, &arena)
    pruning.memory = malloc(arena.used)
    if pruning.memory == NULL:
        return 1
    open_arena(&arena, pruning.memory)
    place(pruning, p, &arena)
    return 0


cdef inline Py_ssize_t pruned_rows(const pass_t *p) noexcept nogil:
    return min(p.chunk_rows, CHOOSING_ROWS)


cdef void release(pruning_t *pruning) noexcept nogil:
    free(pruning.memory)
    pruning.memory = NULL


cdef void reset(pruning_t *pruning, pass_t *p) noexcept nogil:
    """A new start: rows as they lie, everything dense."""
    pruning.n_passes = pruning.next_trial = 0
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


cdef double least_sum(Py_ssize_t n_rows, int real_bytes, const void *best, const void *term) noexcept nogil:
    cdef double least = INFINITY, own
    cdef Py_ssize_t r
    for r in range(n_rows):
        own = get(best, real_bytes, r) + get(term, real_bytes, r)
        if own < least:
            least = own
    return least


cdef int within_reach(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                      double *lane) noexcept nogil:
    """The E-step over the components that some row of the chunk can belong to; assign_data is a pruning_t."""
    cdef const pruning_t *pruning = <const pruning_t *> p.strategy.assign_data
    cdef Py_ssize_t n_components = p.family.n_components, n_first = 0, n_more = 0, n_kept, a, k
    cdef float *ceiling = ceilings_of(pruning, p, start)
    cdef const void *term = NULL
    cdef double worst
    cdef selection_t more
    p.family.bounds.carry(p.family, pruning.carry, ceiling)
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
    if p.family.row_term != NULL:
        term = p.family.row_term(p.family, p.tables, chunk, space.family_scratch)
    if p.family.log_density(p.family, p.tables, chunk, &space.selection, space.family_scratch, space.resp) != 0:
        return 1
    worst = p.kernels.least_best(n_first, chunk.n_rows, chunk.stride, space.resp, space.softmax_scratch)
    if term != NULL:
        worst = least_sum(chunk.n_rows, p.family.real_bytes, space.softmax_scratch, term)

    for k in range(n_components):
        if ceiling[k] != INFINITY and not ceiling[k] < worst + pruning.log_limits[k]:
            space.chosen[n_first + n_more] = k
            space.floors[n_more] = worst + pruning.log_limits[k]
            n_more += 1
    more.n, more.component = n_more, space.chosen + n_first
    p.family.bounds.bounded_log_density(p.family, p.tables, chunk, &more, space.floors, space.family_scratch,
                                        column_of(p, space, n_first), space.ceilings)
    n_kept = n_first
    for a in range(n_more):
        ceiling[more.component[a]] = space.ceilings[a]
    for a in range(n_more):
        if not space.ceilings[a] < space.floors[a]:
            keep(p, space, &n_kept, n_first + a)
    lane[LANE_DENSITIES] += <double> ((n_first + n_more) * chunk.n_rows)
    lane[LANE_NEEDED] += <double> (n_kept * chunk.n_rows)
    share_among(pruning, p, chunk, space, n_kept, lane)
    return 0


cdef int all_densities(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                       double *lane) noexcept nogil:
    """`within_reach` for families without bounds: what is out of reach is seen only once it is computed."""
    cdef const pruning_t *pruning = <const pruning_t *> p.strategy.assign_data
    cdef Py_ssize_t n_components = p.family.n_components, n_kept = 0, a
    cdef double worst
    if p.family.log_density(p.family, p.tables, chunk, &space.selection, space.family_scratch, space.resp) != 0:
        return 1
    worst = p.kernels.least_best(n_components, chunk.n_rows, chunk.stride, space.resp, space.softmax_scratch)
    p.kernels.maxima(n_components, chunk.n_rows, chunk.stride, space.resp, space.ceilings)
    for a in range(n_components):
        space.chosen[a] = a
        if not space.ceilings[a] < worst + pruning.log_limits[a]:
            keep(p, space, &n_kept, a)
    space.selection.component = space.chosen
    lane[LANE_DENSITIES] += <double> (n_components * chunk.n_rows)
    lane[LANE_NEEDED] += <double> (n_components * chunk.n_rows)
    share_among(pruning, p, chunk, space, n_kept, lane)
    return 0


cdef void share_among(const pruning_t *pruning, const pass_t *p, const chunk_t *chunk, workspace_t *space,
                      Py_ssize_t n, double *lane) noexcept nogil:
    """Responsibilities of the n chosen components; only those that get more than nothing from some row stay
    selected."""
    cdef Py_ssize_t n_kept = 0, a
    memset(space.counts, 0, n * sizeof(double))
    lane[LANE_IMPOSSIBLE] += p.soften(n, chunk.n_rows, chunk.stride, space.weight, space.resp, space.log_norm,
                                      space.softmax_scratch, space.counts, lane + LANE_EVIDENCE)
    for a in range(n):
        lane[LANE_COUNTS + space.chosen[a]] += space.counts[a]
    p.kernels.maxima(n, chunk.n_rows, chunk.stride, space.resp, space.ceilings)
    for a in range(n):
        if not space.ceilings[a] < pruning.limits[space.chosen[a]]:
            keep(p, space, &n_kept, a)
    space.selection.n = n_kept


cdef int label_and_add(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                       double *lane) noexcept nogil:
    """The most likely component of each row and its log norm, before the statistics."""
    cdef const pruning_t *pruning = <const pruning_t *> p.strategy.deliver_data
    cdef Py_ssize_t r
    cdef const void *term = NULL
    if p.family.row_term != NULL:
        term = p.family.row_term(p.family, p.tables, chunk, space.family_scratch)
    p.kernels.argmax(space.selection.n, chunk.n_rows, chunk.stride, space.resp, space.places, space.softmax_scratch)
    for r in range(chunk.n_rows):
        pruning.keys[start + r] = <uint32_t> space.selection.component[
            <Py_ssize_t> get(space.places, p.family.real_bytes, r)]
        pruning.log_norms[start + r] = <float> get(space.log_norm, p.family.real_bytes, r)
        if term != NULL:
            pruning.log_norms[start + r] += <float> get(term, p.family.real_bytes, r)
    return pruning.add(p, start, chunk, space, lane)


cdef int count_label_and_add(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                             double *lane) noexcept nogil:
    """Also how many pairs of a dense pass hold something."""
    cdef const pruning_t *pruning = <const pruning_t *> p.strategy.deliver_data
    cdef Py_ssize_t n = space.selection.n
    lane[LANE_NEEDED] += <double> (n * chunk.n_rows - p.kernels.count_below(
        n, chunk.n_rows, chunk.stride, space.resp, pruning.limits))
    return label_and_add(p, start, chunk, space, lane)


# ---- baskets --------------------------------------------------------------------------------------------------------
# A component's rows that hold something are few in each chunk, and `accumulate` is slow for few rows. So their numbers
# and responsibilities are put into a basket, and the rows are read again when it is full. Copies of rows would take so
# much memory that only threads could have baskets, emptied at the end of each lane's share of a round: 5 rows would be
# in one by then in case C of benchmarks/data.py, which has 15 rounds and 15 lanes. Numbers are so small that each lane
# has its own baskets, which last until it has no more chunks.

cdef inline Py_ssize_t basket_of(const pass_t *p, const double *lane, Py_ssize_t k) noexcept nogil:
    return (lane - p.lanes) // p.lane_size * p.family.n_components + k


cdef int empty_basket(const pass_t *p, Py_ssize_t k, const workspace_t *space, double *lane) noexcept nogil:
    """Add the statistics of a basket's rows, in a chunk no longer than they need."""
    cdef const pruning_t *pruning = <const pruning_t *> p.strategy.deliver_data
    cdef Py_ssize_t basket = basket_of(p, lane, k), real_bytes = p.family.real_bytes
    cdef char *resp = pruning.basket_resp + basket * pruning.basket_stride * real_bytes
    cdef rows_t rows = p.rows
    cdef selection_t one
    cdef chunk_t chunk
    chunk.n_rows = pruning.n_in_basket[basket]
    chunk.stride, chunk.columns = stride_of(p, chunk.n_rows), space.gathered
    one.n, one.component = 1, p.everything + k
    rows.order, rows.weight = pruning.basket_rows + basket * pruning.basket_stride, NULL
    p.kernels.pack(&rows, 0, chunk.n_rows, chunk.stride, p.pivot, space.gathered,
                   space.gathered + p.family.n_features * chunk.stride * real_bytes)
    memset(resp + chunk.n_rows * real_bytes, 0, (chunk.stride - chunk.n_rows) * real_bytes)
    pruning.n_in_basket[basket] = 0
    lane[LANE_STATISTICS] += <double> chunk.n_rows
    return p.family.accumulate(p.family, p.tables, &chunk, &one, resp, space.family_scratch,
                               lane + LANE_COUNTS + p.family.n_components)


cdef int put_in_basket(const pass_t *p, Py_ssize_t k, Py_ssize_t start, Py_ssize_t n, const workspace_t *space,
                       double *lane) noexcept nogil:
    """n rows of the chunk at `start`, as `choose_rows` left them in `index` and `softmax_scratch`."""
    cdef const pruning_t *pruning = <const pruning_t *> p.strategy.deliver_data
    cdef Py_ssize_t basket = basket_of(p, lane, k), first = basket * pruning.basket_stride, done = 0, fit, i
    cdef Py_ssize_t real_bytes = p.family.real_bytes
    cdef uint32_t *row
    while done < n:
        fit = min(n - done, pruning.basket_stride - pruning.n_in_basket[basket])
        row = pruning.basket_rows + first + pruning.n_in_basket[basket]
        for i in range(fit):
            row[i] = <uint32_t> (start + space.index[done + i])
        if p.rows.order != NULL:
            for i in range(fit):
                row[i] = p.rows.order[row[i]]
        memcpy(pruning.basket_resp + (first + pruning.n_in_basket[basket]) * real_bytes,
               <char *> space.softmax_scratch + done * real_bytes, fit * real_bytes)
        pruning.n_in_basket[basket] += <int32_t> fit
        done += fit
        if pruning.n_in_basket[basket] == pruning.basket_stride and empty_basket(p, k, space, lane) != 0:
            return 1
    return 0


cdef int fill_baskets(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                      double *lane) noexcept nogil:
    """Statistics of the rows alone that hold something, where these are few."""
    cdef const pruning_t *pruning = <const pruning_t *> p.strategy.deliver_data
    cdef double *stats = lane + LANE_COUNTS + p.family.n_components
    cdef Py_ssize_t most = <Py_ssize_t> (FEW * <double> chunk.n_rows), n, a
    cdef selection_t one
    cdef int failed
    one.n = 1
    for a in range(space.selection.n):
        one.component = space.selection.component + a
        n = p.kernels.choose_rows(chunk.n_rows, column_of(p, space, a), pruning.limits[one.component[0]], most,
                                  space.index, space.softmax_scratch)
        if n <= most:
            failed = put_in_basket(p, one.component[0], start, n, space, lane)
        else:
            lane[LANE_STATISTICS] += <double> chunk.n_rows
            failed = p.family.accumulate(p.family, p.tables, chunk, &one, column_of(p, space, a),
                                         space.family_scratch, stats)
        if failed:
            return 1
    return 0


cdef int empty_baskets(const pass_t *p, const workspace_t *space, double *lane) noexcept nogil:
    cdef const pruning_t *pruning = <const pruning_t *> p.strategy.deliver_data
    cdef Py_ssize_t k
    for k in range(p.family.n_components):
        if pruning.n_in_basket[basket_of(p, lane, k)] > 0 and empty_basket(p, k, space, lane) != 0:
            return 1
    return 0


# ---- between passes -------------------------------------------------------------------------------------------------

cdef void prepare_carry(pruning_t *pruning, const pass_t *p) noexcept nogil:
    cdef Py_ssize_t k
    cdef int n_threads = threads_for_components(p)
    for k in prange(p.family.n_components, schedule="dynamic", num_threads=n_threads):
        p.family.bounds.prepare_carry(p.family, k, pruning.last_log_weights, pruning.last_params, p.log_weights,
                                      p.params, p.own_work + threadid() * p.family.n_own_work, pruning.carry)


cdef inline bint fills_unordered(const family_t *family) noexcept nogil:
    """Whether statistics cost so much that baskets are filled without order too."""
    return family.gathers_rows and family.flops_per_row >= LOOK_FLOPS * <double> family.n_components


cdef void set_limits(pruning_t *pruning, const pass_t *p, double mean_weight) noexcept nogil:
    cdef Py_ssize_t k
    cdef double weight
    for k in range(p.family.n_components):
        weight = exp(p.log_weights[k])
        # a component without weight is nothing whatever it does
        pruning.limits[k] = NEGLIGIBLE * weight * mean_weight if weight > 0 else INFINITY
        pruning.log_limits[k] = log(NEGLIGIBLE) + p.log_weights[k] if weight > 0 else INFINITY


cdef void begin_pass(pruning_t *pruning, pass_t *p, double mean_weight, strategy_t *strategy) noexcept nogil:
    """Change the strategy of the pass; it stays the dense one where there is no memory for another."""
    cdef bint fills = p.family.gathers_rows and (pruning.is_on or fills_unordered(p.family))
    pruning.n_passes += 1
    # where all the work of a row is less than what reading it out of order costs, order is never tried: see end_pass
    pruning.probes = (is_probe(pruning.n_passes) and p.rows.n_rows >= MIN_ROWS
                      and p.family.flops_per_row > ORDER_FLOPS
                      and (pruning.is_on or pruning.n_passes >= pruning.next_trial))
    pruning.leaves_out = pruning.is_on or fills
    if not (pruning.leaves_out or pruning.probes):
        return
    if <double> p.rows.n_rows > LARGEST_ROW or (
            not pruning.is_placed and pruning.memory == NULL and allocate(pruning, p) != 0):
        pruning.probes = pruning.leaves_out = False
        return
    find_log_weights(p)
    set_limits(pruning, p, mean_weight)
    strategy.deliver_data = strategy.assign_data = pruning
    pruning.add = strategy.deliver  # what the dense pass does
    if fills:
        pruning.add, strategy.finish = fill_baskets, empty_baskets
        memset(pruning.n_in_basket, 0, p.n_lanes * p.family.n_components * sizeof(int32_t))
    strategy.deliver = pruning.add
    if pruning.probes:
        strategy.deliver = label_and_add if pruning.is_on else count_label_and_add
    if pruning.is_on:
        strategy.assign = all_densities
        if p.family.bounds != NULL:
            prepare_carry(pruning, p)
            strategy.assign = within_reach
    if pruning.is_on or pruning.probes:
        memcpy(pruning.last_log_weights, p.log_weights, p.family.n_components * sizeof(double))
        memcpy(pruning.last_params, p.params, p.family.n_params * sizeof(double))


cdef bint lost_count(const pruning_t *pruning, const pass_t *p) noexcept nogil:
    """Whether a component shrank so much that what was left out, less than NEGLIGIBLE of its last weight, counts."""
    cdef const double *counts = p.lanes + LANE_COUNTS
    cdef double total = 0, weight
    cdef Py_ssize_t k
    if not pruning.leaves_out:
        return False
    for k in range(p.family.n_components):
        total += counts[k]
    for k in range(p.family.n_components):
        weight = exp(p.log_weights[k])
        if weight > 0 and not counts[k] >= SHRUNK * weight * total:
            return True
    return False


cdef inline double unordered_work(const pass_t *p, double statistics) noexcept nogil:
    """The share of all work that a pass does without order, where such a share of all pairs hold something."""
    return 0.5 + 0.5 * (statistics if fills_unordered(p.family) else 1)


cdef void note_work(pruning_t *pruning, const pass_t *p) noexcept nogil:
    """The shares of all pairs that a pass computed."""
    cdef double n_pairs = <double> p.rows.n_rows * <double> p.family.n_components
    pruning.densities_done = p.lanes[LANE_DENSITIES] / n_pairs
    pruning.statistics_done = p.lanes[LANE_STATISTICS] / n_pairs


cdef void end_pass(pruning_t *pruning, pass_t *p) noexcept nogil:
    """See what the pass's totals say of the next ones."""
    cdef double n_pairs = <double> p.rows.n_rows * <double> p.family.n_components
    cdef double needed = p.lanes[LANE_NEEDED] / n_pairs, statistics
    cdef double ordered, unordered
    note_work(pruning, p)
    statistics = pruning.statistics_done
    if pruning.is_on:
        ordered, unordered = 0.5 * (needed + statistics), unordered_work(p, statistics)
        if (ordered > SWITCH_OFF * unordered
                or (unordered - ordered) * <double> p.family.flops_per_row < 0.5 * ORDER_FLOPS):
            pruning.next_trial = 2 * pruning.n_passes
            switch_off(pruning, p)
        elif pruning.probes:
            put_in_order(pruning, p)
    elif pruning.probes and needed < SWITCH_ON:
        ordered = 0.5 * (needed + (needed if p.family.bounds != NULL else 1))
        if (unordered_work(p, needed) - ordered) * <double> p.family.flops_per_row > ORDER_FLOPS:
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
