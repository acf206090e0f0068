"""Truncated posteriors: what a row costs does not depend on how many components there are.

Each row keeps its n_active best components, K_n; all others have no responsibility. What EM then increases is the free
energy

    F = sum_n log sum_{k in K_n} weight_k p(x_n | k),

a lower bound of the log-likelihood (Luecke & Eggert, Journal of Machine Learning Research 11 (2010); Forster & Luecke,
"Can clustering scale sublinearly with its clusters?", AISTATS 2018; Exarchakis, Oubari & Lenz, CVPR 2022; Salwig,
Kahlke, Hirschberger, Forster & Luecke, "Sublinear variational optimization of Gaussian mixture models with millions to
billions of parameters", arXiv 2501.12299). In a pass a row looks at candidates, K_n among them, and keeps the best: so
F falls neither in an E-step nor in an M-step.

Rows are visited in the order of their best component, so that a chunk's rows keep much the same, and its candidates are
common to all: what any of its rows keeps, the neighbours of their best components, those of one of these, and one at
random. Log densities and statistics are then those of any pass, with a selection of components.

Neighbours of a component are what its mean would keep if it were a row: the graph is found by the same search over
n_components rows, and comes nearer to the true one from pass to pass. Where nothing is known yet, sqrt(n_components)
leaders stand for groups of components: a row looks at the leaders, then at the groups of the nearest. For the rows of
all this, only components that are asked about by a selection are computed.

All of it follows from numbers alone, chunk by chunk, each of which writes what its own rows keep: so the same bits come
out for any number of threads.
"""

from libc.math cimport INFINITY, sqrt
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from mixfast.engine._family cimport chunk_t
from mixfast.engine._pass cimport (
    CHOOSING_ROWS,
    LANE_COUNTS,
    LANE_DENSITIES,
    LANE_EVIDENCE,
    LANE_IMPOSSIBLE,
    arena_t,
    clip,
    cut,
    deliver_fn,
    deliver_nothing,
    densities,
    mend_overflow,
    pass_t,
    prepare,
    round_flops,
    strategy_t,
    take,
    usual,
    visit,
    workspace_t,
)
from mixfast.engine._random cimport CANDIDATES, uniform
from mixfast.engine._reals cimport get, put

cdef enum:
    # Candidates of a chunk, about: what rounds are cut by. Nothing but the time between two looks for Ctrl-C depends
    # on it.
    EXPECTED = 128
    # The graph is searched again in so many passes from the start on, then in each so many-th.
    EARLY_PASSES = 5
    REFRESH_EVERY = 4
    MOST_STRIDE = 2 * CHOOSING_ROWS  # of a chunk, with padding
    # Candidates, by groups, where nothing is known yet: of a row, and of all components together.
    LOOKS = 1024
    LOOKS_TOGETHER = 400000000
    FIRST_SEARCHES = 2         # of the graph at a start, once it is found by groups
cdef double DRAWS = 1 << 40

# What the strategy of a pass knows.
cdef struct step_t:
    const truncated_t *t
    kept_t *kept
    propose_fn propose


# ---- memory ---------------------------------------------------------------------------------------------------------

cdef Py_ssize_t n_leaders_of(Py_ssize_t n_components) noexcept nogil:
    return clip(<Py_ssize_t> sqrt(<double> n_components), 1, n_components)


cdef inline Py_ssize_t most_active(Py_ssize_t n_active) noexcept nogil:
    """By a row or by a mean."""
    return max(n_active, <Py_ssize_t> NEIGHBOURS)


cdef void place_kept(kept_t *kept, Py_ssize_t n_rows, Py_ssize_t n_active, arena_t *arena) noexcept nogil:
    kept.n_rows, kept.n_active = n_rows, n_active
    kept.active = <int32_t *> take(arena, n_rows * n_active * sizeof(int32_t))
    kept.order = <uint32_t *> take(arena, n_rows * sizeof(uint32_t))
    kept.spare = <uint32_t *> take(arena, n_rows * sizeof(uint32_t))


cdef void place_truncated(truncated_t *t, Py_ssize_t n_active, Py_ssize_t n_components, Py_ssize_t n_rows,
                          int n_threads, arena_t *arena) noexcept nogil:
    cdef Py_ssize_t n_leaders = n_leaders_of(n_components)
    memset(t, 0, sizeof(truncated_t))
    t.n_active, t.n_components = n_active, n_components
    place_kept(&t.rows, n_rows, n_active, arena)
    place_kept(&t.means, n_components, NEIGHBOURS, arena)
    t.neighbours = <int32_t *> take(arena, n_components * NEIGHBOURS * sizeof(int32_t))
    t.walk = <int32_t *> take(arena, n_components * sizeof(int32_t))
    t.rank = <int32_t *> take(arena, n_components * sizeof(int32_t))
    t.leaders = <int32_t *> take(arena, n_leaders * sizeof(int32_t))
    t.number = <int32_t *> take(arena, n_components * sizeof(int32_t))
    t.near = <int32_t *> take(arena, n_leaders * n_leaders * sizeof(int32_t))
    t.squares = <double *> take(arena, n_leaders * sizeof(double))
    t.begin = <Py_ssize_t *> take(arena, (n_leaders + 1) * sizeof(Py_ssize_t))
    t.members = <int32_t *> take(arena, n_components * sizeof(int32_t))
    t.marks = <char *> take(arena, n_threads * n_components)
    t.values = <double *> take(arena, n_threads * most_active(n_active) * MOST_STRIDE * sizeof(double))
    t.is_sure = <char *> take(arena, n_rows)
    t.places = <Py_ssize_t *> take(arena, (n_components + 2) * sizeof(Py_ssize_t))
    if arena.base != NULL:
        memset(t.marks, 0, n_threads * n_components)


cdef void forget_kept(kept_t *kept) noexcept nogil:
    """Nothing is known of the rows, which are visited as they lie."""
    cdef Py_ssize_t i
    memset(kept.active, 0xFF, kept.n_rows * kept.n_active * sizeof(int32_t))  # -1
    for i in range(kept.n_rows):
        kept.order[i] = <uint32_t> i


# ---- candidates -----------------------------------------------------------------------------------------------------

cdef inline void look_at(candidates_t *to, Py_ssize_t k) noexcept nogil:
    if not to.marks[k]:
        to.marks[k] = 1
        to.chosen[to.n] = k
        to.n += 1


cdef void look_at_list(candidates_t *to, const int32_t *listed, Py_ssize_t most) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(most):
        if listed[i] < 0:
            return
        look_at(to, listed[i])


cdef void propose_all(const truncated_t *t, Py_ssize_t best, uint64_t draw, candidates_t *to) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(t.n_components):
        look_at(to, k)


cdef void propose_leaders(const truncated_t *t, Py_ssize_t best, uint64_t draw, candidates_t *to) noexcept nogil:
    look_at_list(to, t.leaders, t.n_leaders)


cdef void propose_groups(const truncated_t *t, Py_ssize_t best, uint64_t draw, candidates_t *to) noexcept nogil:
    """The groups near the best leader, until there are `n_looks` candidates."""
    cdef const int32_t *near
    cdef Py_ssize_t i
    if best < 0:
        return
    near = t.near + t.number[best] * t.n_leaders
    for i in range(t.n_leaders):
        if to.n >= t.n_looks:
            return
        look_at_list(to, t.members + t.begin[near[i]], t.begin[near[i] + 1] - t.begin[near[i]])


cdef void propose_neighbours(const truncated_t *t, Py_ssize_t best, uint64_t draw, candidates_t *to) noexcept nogil:
    """Those of the best, those of one of these, and any one."""
    cdef int32_t other
    look_at(to, <Py_ssize_t> (draw % <uint64_t> t.n_components))
    if best < 0:
        return
    look_at_list(to, t.neighbours + best * NEIGHBOURS, NEIGHBOURS)
    other = t.neighbours[best * NEIGHBOURS + <Py_ssize_t> (draw % NEIGHBOURS)]
    if other >= 0:
        look_at_list(to, t.neighbours + other * NEIGHBOURS, NEIGHBOURS)


cdef inline Py_ssize_t thread_of(const pass_t *p, const workspace_t *space) noexcept nogil:
    return (<char *> space.columns - p.scratch) // <Py_ssize_t> p.scratch_size


cdef void choose_candidates(const step_t *step, const pass_t *p, Py_ssize_t start, const chunk_t *chunk,
                            workspace_t *space) noexcept nogil:
    """The selection of a chunk: what its rows keep comes first."""
    cdef const truncated_t *t = step.t
    cdef const int32_t *own
    cdef Py_ssize_t n_active = step.kept.n_active, r, a, last = -2
    cdef double draw = uniform(t.seed, <uint32_t> t.n_passes, CANDIDATES, <uint64_t> start)
    cdef candidates_t to
    to.n, to.chosen = 0, space.chosen
    to.marks = t.marks + thread_of(p, space) * t.means.n_rows
    for r in range(chunk.n_rows):
        look_at_list(&to, step.kept.active + <Py_ssize_t> p.rows.order[start + r] * n_active, n_active)
    for r in range(chunk.n_rows):
        own = step.kept.active + <Py_ssize_t> p.rows.order[start + r] * n_active
        if own[0] != last:
            last = own[0]
            step.propose(t, last, <uint64_t> (draw * DRAWS) + <uint64_t> (last + 1), &to)
    if to.n == 0:  # rows so far out that they keep nothing
        look_at(&to, <Py_ssize_t> (draw * <double> t.n_components))
    for a in range(to.n):
        to.marks[to.chosen[a]] = 0
    space.selection.n, space.selection.component = to.n, space.chosen


# ---- one chunk ------------------------------------------------------------------------------------------------------

cdef void make_impossible(const chunk_t *chunk, Py_ssize_t n, int real_bytes, void *log_prob) noexcept nogil:
    """All of the chunk's rows under n components; what kernels compute of the padding stays a number."""
    cdef Py_ssize_t a, r
    for a in range(n):
        if real_bytes == sizeof(double):
            for r in range(a * chunk.stride, a * chunk.stride + chunk.n_rows):
                (<double *> log_prob)[r] = -INFINITY
        else:
            for r in range(a * chunk.stride, a * chunk.stride + chunk.n_rows):
                (<float *> log_prob)[r] = -INFINITY


cdef void keep_best(const step_t *step, const pass_t *p, Py_ssize_t start, const chunk_t *chunk,
                    workspace_t *space) noexcept nogil:
    """Each row keeps the best of the candidates, the first of equals; the log densities of others become -infinity. A
    row that no candidate can have made keeps what it had."""
    cdef Py_ssize_t n = space.selection.n, n_active = step.kept.n_active, n_rounds = min(n_active, n), r, i
    cdef int real_bytes = p.family.real_bytes
    cdef double *values = step.t.values + thread_of(p, space) * most_active(step.t.n_active) * MOST_STRIDE
    cdef int32_t *own
    cdef double value
    for i in range(n_rounds):
        p.kernels.argmax(n, chunk.n_rows, chunk.stride, space.resp, space.places, space.softmax_scratch)
        for r in range(chunk.n_rows):
            value = get(space.softmax_scratch, real_bytes, r)
            values[i * chunk.stride + r] = value
            if value > -INFINITY:
                own = step.kept.active + <Py_ssize_t> p.rows.order[start + r] * n_active
                own[i] = <int32_t> get(space.places, real_bytes, r)
                put(space.resp, real_bytes, own[i] * chunk.stride + r, -INFINITY)
    make_impossible(chunk, n, real_bytes, space.resp)
    for r in range(chunk.n_rows):
        own = step.kept.active + <Py_ssize_t> p.rows.order[start + r] * n_active
        if not values[r] > -INFINITY:
            continue
        for i in range(n_active):
            if i < n_rounds and values[i * chunk.stride + r] > -INFINITY:
                put(space.resp, real_bytes, own[i] * chunk.stride + r, values[i * chunk.stride + r])
                own[i] = <int32_t> space.chosen[own[i]]
            else:
                own[i] = -1


cdef int find_best(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                   double *lane) noexcept nogil:
    """What rows keep, and no more than that; assign_data is a step_t."""
    cdef const step_t *step = <const step_t *> p.strategy.assign_data
    choose_candidates(step, p, start, chunk, space)
    lane[LANE_DENSITIES] += <double> (space.selection.n * chunk.n_rows)
    if densities(p, start, chunk, space) != 0:
        return 1
    mend_overflow(p, chunk, space)
    keep_best(step, p, start, chunk, space)
    return 0


cdef int share_among_best(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                          double *lane) noexcept nogil:
    """The E-step among what rows keep; only components that get something stay selected."""
    cdef Py_ssize_t n, n_kept = 0, column = p.stride * p.family.real_bytes, a
    if find_best(p, start, chunk, space, lane) != 0:
        return 1
    n = space.selection.n
    memset(space.counts, 0, n * sizeof(double))
    lane[LANE_IMPOSSIBLE] += <double> p.soften(n, chunk.n_rows, chunk.stride, space.weight, space.resp, space.log_norm,
                                               space.softmax_scratch, space.counts, lane + LANE_EVIDENCE)
    for a in range(n):
        if not space.counts[a] > 0:
            continue
        lane[LANE_COUNTS + space.chosen[a]] += space.counts[a]
        if n_kept != a:
            space.chosen[n_kept] = space.chosen[a]
            memcpy(<char *> space.resp + n_kept * column, <char *> space.resp + a * column, column)
        n_kept += 1
    space.selection.n = n_kept
    return 0


# ---- passes ---------------------------------------------------------------------------------------------------------

cdef void count_rounds(pass_t *p, double n_candidates) noexcept nogil:
    cdef double flops = (<double> p.rows.n_rows * n_candidates
                         * (<double> p.family.flops_per_row / <double> p.family.n_components))
    p.n_rounds = 1 + <Py_ssize_t> (flops / round_flops())


cdef int search(truncated_t *t, const pass_t *p, kept_t *kept, propose_fn propose,
                double n_expected) noexcept nogil:
    """What the rows of a prepared pass keep, of what they did and of the candidates."""
    cdef pass_t own = p[0]
    cdef strategy_t strategy = usual()
    cdef step_t step
    step.t, step.kept, step.propose = t, kept, propose
    strategy.assign, strategy.assign_data, strategy.deliver = find_best, &step, deliver_nothing
    own.rows.order, own.rows.n_rows = kept.order, kept.n_rows
    cut(&own, min(p.chunk_rows, CHOOSING_ROWS))
    own.lane_size = LANE_COUNTS  # nothing is added up
    count_rounds(&own, n_expected)
    t.n_passes += 1
    return visit(&own, &strategy)


cdef pass_t over_rows(const pass_t *p, const double *values, Py_ssize_t n_rows) noexcept nogil:
    """The same pass over other rows, values [n_rows][n_features]."""
    cdef pass_t own = p[0]
    memset(&own.rows, 0, sizeof(own.rows))
    own.rows.data, own.rows.real_bytes = <const char *> values, sizeof(double)
    own.rows.n_rows, own.rows.n_features = n_rows, p.family.n_features
    own.rows.row_stride, own.rows.column_stride = p.family.n_features * sizeof(double), sizeof(double)
    return own


cdef pass_t over_means(const pass_t *p, Py_ssize_t n_components) noexcept nogil:
    """The same pass over the means of the components, which come first among the parameters."""
    return over_rows(p, p.params, n_components)


cdef void put_in_order(truncated_t *t, kept_t *kept, const int32_t *rank) noexcept nogil:
    """Rows by the rank of their best component, then of the next; those of which nothing is known come last."""
    cdef Py_ssize_t digit, i, k
    cdef int32_t own
    cdef uint32_t row
    for digit in range(1 if kept.n_active > 1 else 0, -1, -1):
        memset(t.places, 0, (t.n_components + 2) * sizeof(Py_ssize_t))
        for i in range(kept.n_rows):
            own = kept.active[i * kept.n_active + digit]
            t.places[(rank[own] if own >= 0 else t.n_components) + 1] += 1
        for k in range(t.n_components):
            t.places[k + 1] += t.places[k]
        for i in range(kept.n_rows):
            row = kept.order[i]
            own = kept.active[<Py_ssize_t> row * kept.n_active + digit]
            k = rank[own] if own >= 0 else t.n_components
            kept.spare[t.places[k]] = row
            t.places[k] += 1
        kept.order, kept.spare = kept.spare, kept.order


cdef void take_walk(truncated_t *t) noexcept nogil:
    """From each component to the nearest that was not passed, or else to the next one."""
    cdef Py_ssize_t n = t.n_components, next_one = 0, place, i
    cdef int32_t at = 0, other
    for i in range(n):
        t.rank[i] = -1
    for place in range(n):
        t.walk[place] = at
        t.rank[at] = <int32_t> place
        if place == n - 1:
            break
        for i in range(NEIGHBOURS):
            other = t.neighbours[at * NEIGHBOURS + i]
            if other >= 0 and t.rank[other] < 0:
                at = other
                break
        else:
            while t.rank[next_one] >= 0:
                next_one += 1
            at = <int32_t> next_one


cdef void take_up_neighbours(truncated_t *t) noexcept nogil:
    memcpy(t.neighbours, t.means.active, t.n_components * NEIGHBOURS * sizeof(int32_t))
    take_walk(t)
    put_in_order(t, &t.means, t.rank)


cdef int refresh_neighbours(truncated_t *t, const pass_t *p) noexcept nogil:
    """One search more for the neighbours of all components, at the tables of a prepared pass."""
    cdef pass_t own = over_means(p, t.n_components)
    cdef int code = search(t, &own, &t.means, propose_neighbours, 4 * EXPECTED)
    if code == 0:
        take_up_neighbours(t)
    return code


# ---- where nothing is known yet -------------------------------------------------------------------------------------

cdef double square_between(const pass_t *p, Py_ssize_t k, Py_ssize_t other) noexcept nogil:
    """Of the means of two components."""
    cdef Py_ssize_t d = p.family.n_features, j
    cdef double total = 0, difference
    for j in range(d):
        difference = p.params[k * d + j] - p.params[other * d + j]
        total += difference * difference
    return total


cdef void find_near_leaders(truncated_t *t, const pass_t *p) noexcept nogil:
    """For each leader all of them, from the nearest, itself, to the farthest."""
    cdef double *squares = t.squares
    cdef int32_t *near
    cdef double square
    cdef Py_ssize_t i, other, place
    for i in range(t.n_leaders):
        near = t.near + i * t.n_leaders
        for other in range(t.n_leaders):
            square = square_between(p, t.leaders[i], t.leaders[other]) if other != i else -1
            place = other
            while place > 0 and square < squares[place - 1]:
                squares[place], near[place] = squares[place - 1], near[place - 1]
                place -= 1
            squares[place], near[place] = square, <int32_t> other


cdef int find_groups(truncated_t *t, const pass_t *p) noexcept nogil:
    """Leaders, spread over the numbers of the components, and who belongs to each: `p` is prepared, and densities fall
    with the distance from a mean alone."""
    cdef pass_t own = over_means(p, t.n_components)
    cdef Py_ssize_t k, i, leader
    cdef int code
    t.n_leaders = n_leaders_of(t.n_components)
    for i in range(t.n_leaders):
        t.leaders[i] = <int32_t> (i * t.n_components // t.n_leaders)
        t.number[t.leaders[i]] = <int32_t> i
    t.means.n_rows = t.n_components
    forget_kept(&t.means)
    code = search(t, &own, &t.means, propose_leaders, <double> t.n_leaders)
    if code != 0:
        return code
    find_near_leaders(t, p)
    memset(t.begin, 0, (t.n_leaders + 1) * sizeof(Py_ssize_t))
    for k in range(t.n_components):
        t.begin[leader_of(t, k) + 1] += 1
    for i in range(t.n_leaders):
        t.begin[i + 1] += t.begin[i]
    memcpy(t.places, t.begin, t.n_leaders * sizeof(Py_ssize_t))
    for k in range(t.n_components):
        leader = leader_of(t, k)
        t.members[t.places[leader]] = <int32_t> k
        t.places[leader] += 1
    return 0


cdef inline Py_ssize_t leader_of(const truncated_t *t, Py_ssize_t k) noexcept nogil:
    """The number of the best leader of a component's mean; of one so far out that no density is left, the first."""
    cdef int32_t leader = t.means.active[k * NEIGHBOURS]
    return t.number[leader] if leader >= 0 else 0


cdef int find_neighbours(truncated_t *t, const pass_t *p) noexcept nogil:
    """From nothing, after `find_groups`."""
    cdef pass_t own = over_means(p, t.n_components)
    cdef Py_ssize_t k
    cdef int code, _round
    for k in range(t.n_components):
        t.rank[k] = <int32_t> k
    put_in_order(t, &t.means, t.rank)
    t.n_looks = max(<Py_ssize_t> LOOKS, LOOKS_TOGETHER // max(t.n_components, 1))
    code = search(t, &own, &t.means, propose_groups, <double> t.n_looks)
    if code != 0:
        return code
    take_up_neighbours(t)
    for _round in range(FIRST_SEARCHES):
        if code == 0:
            code = refresh_neighbours(t, p)
    return code


cdef int search_by_groups(truncated_t *t, const pass_t *p, kept_t *kept) noexcept nogil:
    """What rows keep, from nothing, after `find_neighbours`."""
    cdef int code
    forget_kept(kept)
    code = search(t, p, kept, propose_leaders, <double> t.n_leaders)
    if code == 0:
        put_in_order(t, kept, t.rank)
        t.n_looks = LOOKS
        code = search(t, p, kept, propose_groups, <double> LOOKS)
    if code == 0:
        put_in_order(t, kept, t.rank)
    return code


cdef void keep_labels(truncated_t *t, const int64_t *labels) noexcept nogil:
    """Rows keep the component of their label alone."""
    cdef Py_ssize_t i
    forget_kept(&t.rows)
    for i in range(t.rows.n_rows):
        t.rows.active[i * t.rows.n_active] = <int32_t> labels[i]
    put_in_order(t, &t.rows, t.rank)


# ---- the E-step -----------------------------------------------------------------------------------------------------

cdef int share_rows(truncated_t *t, pass_t *p) noexcept nogil:
    """The pass over the rows, prepared, of what they keep and of neighbours of that; the totals are in lane 0."""
    return share_and_deliver(t, p, usual().deliver)


cdef int note_sure(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                   double *lane) noexcept nogil:
    """Whether a component has more than half of a row."""
    cdef const truncated_t *t = (<const step_t *> p.strategy.assign_data).t
    cdef int real_bytes = p.family.real_bytes
    cdef Py_ssize_t r
    p.kernels.argmax(space.selection.n, chunk.n_rows, chunk.stride, space.resp, space.places, space.softmax_scratch)
    for r in range(chunk.n_rows):
        t.is_sure[p.rows.order[start + r]] = (get(space.softmax_scratch, real_bytes, r)
                                              > 0.5 * get(space.weight, real_bytes, r))
    return 0


cdef int find_sure(truncated_t *t, pass_t *p) noexcept nogil:
    """`is_sure` at the present parameters."""
    prepare(p)
    return share_and_deliver(t, p, note_sure)


cdef int share_and_deliver(truncated_t *t, pass_t *p, deliver_fn deliver) noexcept nogil:
    cdef pass_t own = p[0]
    cdef strategy_t strategy = usual()
    cdef step_t step
    cdef int code
    step.t, step.kept, step.propose = t, &t.rows, propose_neighbours
    strategy.assign, strategy.assign_data, strategy.deliver = share_among_best, &step, deliver
    own.rows.order = t.rows.order
    cut(&own, min(p.chunk_rows, CHOOSING_ROWS))
    count_rounds(&own, EXPECTED)
    t.n_passes += 1
    code = visit(&own, &strategy)
    put_in_order(t, &t.rows, t.rank)
    return code


cdef int run_truncated(truncated_t *t, pass_t *p) noexcept nogil:
    """`run_pass` with a truncated E-step."""
    cdef int code = 0
    prepare(p)
    t.n_steps += 1
    if t.n_steps <= EARLY_PASSES or t.n_steps % REFRESH_EVERY == 0:
        code = refresh_neighbours(t, p)
    return code if code != 0 else share_rows(t, p)


cdef int begin_truncated(truncated_t *t, pass_t *p, const int64_t *labels) noexcept nogil:
    """What rows keep at first: `p` is a pass of components alike at the present means. Where labels are given they say
    whose mean is near."""
    cdef int code
    prepare(p)
    code = find_groups(t, p)
    if code == 0:
        code = find_neighbours(t, p)
    if code != 0:
        return code
    if labels == NULL:
        return search_by_groups(t, p, &t.rows)
    keep_labels(t, labels)
    return 0
