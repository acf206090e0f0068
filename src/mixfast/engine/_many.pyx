"""Where EM starts when there are very many components: no step looks at all rows and all centres.

Seeds are drawn by AFK-MC2 (Bachem, Lucic, Hassani & Krause, "Fast and provably good seedings for k-means", NIPS 2016):
each is the last link of a Markov chain of rows, whose stationary distribution is that of k-means++, weight * square
distance to the nearest seed so far. Rows are proposed by half of that to the first seed and half of their weight.

k-means++ without a greedy choice leaves out some groups of rows and puts two seeds into others. So there are twice as
many seeds as clusters, and pairs are joined that cost least, as Ward's method does (Journal of the American Statistical
Association 58 (1963)), among neighbours; then come Lloyd's iterations. Rows find their centres as in every truncated
pass: k-means is the E-step of components of one size and shape, of which each row keeps the best alone.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from mixfast.engine._pass cimport LANE_COUNTS, LANE_EVIDENCE, arena_t, clip, pass_t, prepare, take
from mixfast.engine._random cimport CHAINS, FIRST_CENTRE, uniform
from mixfast.engine._rows cimport copy_row
from mixfast.engine._seeding cimport draw_by_weight
from mixfast.engine._truncated cimport (
    NEIGHBOURS,
    begin_truncated,
    find_groups,
    forget_kept,
    over_rows,
    place_truncated,
    propose_all,
    refresh_neighbours,
    search,
    search_by_groups,
    share_rows,
    truncated_t,
)

cdef enum:
    SEEDS_PER_CLUSTER = 2
    CHAIN_LENGTH = 10
    BLOCK = 64                 # chains that run at once; their seeds are compared with each other one by one
    LARGE_BLOCK = 512          # the same when rows find their nearest seed through groups
    LINKS = LARGE_BLOCK * CHAIN_LENGTH
    # Up to so many seeds rows are compared with all of them; with more, through leaders of groups.
    ALL_SEEDS = 4096
    LLOYD_STEPS = 10
    STEPS_BEFORE_JOINING = 3
    KEPT_SEEDS = 4             # of each row: neighbours of the others are candidates too


cpdef Py_ssize_t n_seeds_of(Py_ssize_t n_clusters, Py_ssize_t n_rows) noexcept nogil:
    """How many seeds are drawn for n_clusters clusters."""
    return clip(SEEDS_PER_CLUSTER * n_clusters, n_clusters, max(n_clusters, n_rows))


cdef void place_many(many_t *many, const pass_t *p, Py_ssize_t n_clusters, arena_t *arena) noexcept nogil:
    """Cut the workspace of such a start from the arena. `p` is a pass with n_seeds components."""
    cdef Py_ssize_t n = p.family.n_components
    many.n_seeds, many.n_clusters = n, n_clusters
    place_truncated(&many.t, KEPT_SEEDS, n, p.rows.n_rows, p.n_threads, arena)
    place_truncated(&many.of_chains, 1, n, LINKS, p.n_threads, arena)
    many.links = <double *> take(arena, LINKS * p.family.n_features * sizeof(double))
    many.squares = <double *> take(arena, LINKS * sizeof(double))
    many.shares = <double *> take(arena, LINKS * sizeof(double))
    many.drawn_by = <double *> take(arena, p.rows.n_rows * sizeof(double))
    many.sizes = <double *> take(arena, n * sizeof(double))
    many.joined = <int32_t *> take(arena, n * sizeof(int32_t))
    many.version = <int32_t *> take(arena, n * sizeof(int32_t))
    many.pairs = <pair_t *> take(arena, n * NEIGHBOURS * sizeof(pair_t))
    many.seeds = <int64_t *> take(arena, n * sizeof(int64_t))


cdef void set_centres(pass_t *p, const double *blank, Py_ssize_t n) noexcept nogil:
    """OUT p.params: the first n components become equal but for their means, which are kept; the other components get
    weight 0. Means come first among the parameters."""
    cdef Py_ssize_t n_means = p.family.n_components * p.family.n_features, k
    memcpy(p.params + n_means, blank + n_means, (p.family.n_params - n_means) * sizeof(double))
    for k in range(p.family.n_components):
        p.mixing[k] = 1.0 / <double> n if k < n else 0


# ---- seeds ----------------------------------------------------------------------------------------------------------

cdef inline double weight_of(const pass_t *p, Py_ssize_t row) noexcept nogil:
    return 1 if p.rows.weight == NULL else p.rows.weight[row]


cdef inline double square_to(const pass_t *p, Py_ssize_t k, const double *row) noexcept nogil:
    """Square distance of a row [n_features] to centre k."""
    cdef const double *centre = p.params + k * p.family.n_features
    cdef double total = 0
    cdef Py_ssize_t j
    for j in range(p.family.n_features):
        total += (row[j] - centre[j]) * (row[j] - centre[j])
    return total


cdef void sum_up_proposals(const pass_t *p, many_t *many) noexcept nogil:
    """OUT drawn_by [n_rows]: cumulative sums of the proposal probabilities, half by weight * square distance to the
    first seed and half by weight. Uses `links` as workspace for a row."""
    cdef Py_ssize_t i
    cdef double total = 0, passed = 0
    for i in range(p.rows.n_rows):
        copy_row(&p.rows, i, many.links)
        many.drawn_by[i] = square_to(p, 0, many.links)
        total += weight_of(p, i) * many.drawn_by[i]
    for i in range(p.rows.n_rows):
        if total > 0:
            passed += 0.5 * weight_of(p, i) * (many.drawn_by[i] / total + 1 / p.total_weight)
        else:
            passed += weight_of(p, i) / p.total_weight
        many.drawn_by[i] = passed


cdef Py_ssize_t row_at(const many_t *many, Py_ssize_t n_rows, double target) noexcept nogil:
    """The first row whose cumulative sum is above the target (binary search)."""
    cdef Py_ssize_t low = 0, high = n_rows - 1, middle
    while low < high:
        middle = low + (high - low) // 2
        if many.drawn_by[middle] > target:
            high = middle
        else:
            low = middle + 1
    return low


cdef int measure_links(const pass_t *p, many_t *many, Py_ssize_t n_links, Py_ssize_t n_seeds) noexcept nogil:
    """OUT squares [n_links]: square distance of each link to the nearest of the first n_seeds seeds. With many seeds
    the search goes through groups and misses the nearest one now and then."""
    cdef pass_t own = over_rows(p, many.links, n_links)
    cdef truncated_t *t = &many.of_chains
    cdef Py_ssize_t i
    cdef int code
    prepare(&own)
    t.n_components, t.means.n_rows, t.rows.n_rows = n_seeds, n_seeds, n_links
    if n_seeds <= ALL_SEEDS:
        forget_kept(&t.rows)
        code = search(t, &own, &t.rows, propose_all, <double> n_seeds)
    else:
        code = find_groups(t, &own)
        for i in range(n_seeds):
            t.rank[i] = <int32_t> i
        if code == 0:
            code = search_by_groups(t, &own, &t.rows)
    for i in range(n_links):
        many.squares[i] = square_to(p, max(t.rows.active[i], 0), many.links + i * p.family.n_features)
    return code


cdef int find_far(pass_t *p, many_t *many, const double *blank, Py_ssize_t n_seeds, uint64_t seed, uint32_t start,
                  int64_t *indices) noexcept nogil:
    """AFK-MC2. OUT seeds [n_seeds]: row numbers; the means of the first n_seeds components of the pass become these
    rows."""
    cdef Py_ssize_t d = p.family.n_features, n_rows = p.rows.n_rows, done = 1, n_block, i, j, at, link, row
    cdef int64_t[LINKS] rows
    cdef double total = 0, square, ratio
    cdef uint64_t draw
    cdef int code
    many.of_chains.seed = seed
    memset(p.params, 0, p.family.n_params * sizeof(double))
    indices[0] = draw_by_weight(p, uniform(seed, start, FIRST_CENTRE, 0))
    copy_row(&p.rows, indices[0], p.params)
    sum_up_proposals(p, many)
    total = many.drawn_by[n_rows - 1]
    while done < n_seeds:
        n_block = min(n_seeds - done, BLOCK if done <= ALL_SEEDS else LARGE_BLOCK)
        for i in range(n_block * CHAIN_LENGTH):
            draw = <uint64_t> (done * CHAIN_LENGTH + i)
            row = row_at(many, n_rows, total * uniform(seed, start, CHAINS, 2 * draw))
            rows[i] = row
            copy_row(&p.rows, row, many.links + i * d)
            many.shares[i] = (many.drawn_by[row] - (many.drawn_by[row - 1] if row > 0 else 0)) / weight_of(p, row)
        set_centres(p, blank, done)
        code = measure_links(p, many, n_block * CHAIN_LENGTH, done)
        if code != 0:
            return code
        for i in range(n_block):
            at = i * CHAIN_LENGTH
            for link in range(i * CHAIN_LENGTH + 1, (i + 1) * CHAIN_LENGTH):
                ratio = many.squares[at] * many.shares[link]
                if ratio * uniform(seed, start, CHAINS, 2 * <uint64_t> (done * CHAIN_LENGTH + link) + 1) \
                        < many.squares[link] * many.shares[at] or ratio == 0:
                    at = link
            indices[done + i] = rows[at]
            memcpy(p.params + (done + i) * d, many.links + at * d, d * sizeof(double))
            for j in range((i + 1) * CHAIN_LENGTH, n_block * CHAIN_LENGTH):
                square = square_to(p, done + i, many.links + j * d)
                many.squares[j] = min(many.squares[j], square)
        done += n_block
    return 0


# ---- Lloyd's iterations ---------------------------------------------------------------------------------------------

cdef int step_means(pass_t *p, many_t *many, double *objective) noexcept nogil:
    """One of Lloyd's iterations. IN p: prepared tables, which are prepared again for the new centres. OUT objective:
    that of the centres before the step; it rises as the mean square distance falls."""
    cdef const double *counts = p.lanes + LANE_COUNTS
    cdef const double *first = counts + p.family.n_components
    cdef Py_ssize_t d = p.family.n_features, k, j
    cdef int code
    p.soften = p.kernels.hardmax  # k-means: responsibility 1 for the nearest centre
    code = share_rows(&many.t, p)
    if code != 0:
        return code
    objective[0] = p.lanes[LANE_EVIDENCE] / p.total_weight
    for k in range(many.t.n_components):
        many.sizes[k] = counts[k]
        if counts[k] > 0:
            for j in range(d):
                p.params[k * d + j] += first[k * d + j] / counts[k]
    prepare(p)
    return 0


# ---- joining --------------------------------------------------------------------------------------------------------

cdef inline int32_t became(many_t *many, int32_t k) noexcept nogil:
    cdef int32_t top = k, other
    while many.joined[top] != top:
        top = many.joined[top]
    while many.joined[k] != top:
        other = many.joined[k]
        many.joined[k] = top
        k = other
    return top


cdef inline bint comes_before(const pair_t *pair, const pair_t *other) noexcept nogil:
    if pair.cost != other.cost:
        return pair.cost < other.cost
    if pair.first != other.first:
        return pair.first < other.first
    return pair.second < other.second


cdef void sink(many_t *many, Py_ssize_t i) noexcept nogil:
    cdef pair_t *pairs = many.pairs
    cdef pair_t own = pairs[i]
    cdef Py_ssize_t child
    while True:
        child = 2 * i + 1
        if child >= many.n_pairs:
            break
        if child + 1 < many.n_pairs and comes_before(&pairs[child + 1], &pairs[child]):
            child += 1
        if not comes_before(&pairs[child], &own):
            break
        pairs[i] = pairs[child]
        i = child
    pairs[i] = own


cdef pair_t pair_of(const pass_t *p, const many_t *many, int32_t first, int32_t second) noexcept nogil:
    """A pair of clusters with its cost: the increase of the within-cluster sum of squares if they are joined (Ward)."""
    cdef pair_t pair
    cdef double both = many.sizes[first] + many.sizes[second]
    pair.first, pair.second = min(first, second), max(first, second)
    pair.first_version, pair.second_version = many.version[pair.first], many.version[pair.second]
    pair.cost = 0
    if many.sizes[first] > 0 and many.sizes[second] > 0:
        pair.cost = (many.sizes[first] / both * many.sizes[second]
                     * square_to(p, first, p.params + second * p.family.n_features))
    return pair


cdef void list_pairs(const pass_t *p, many_t *many) noexcept nogil:
    """OUT pairs: a heap, by cost, of all pairs of neighbours that have not been joined to others."""
    cdef Py_ssize_t n = many.n_seeds, i, k
    cdef int32_t own, other
    many.n_pairs = 0
    for k in range(n):
        own = became(many, <int32_t> k)
        for i in range(NEIGHBOURS):
            if many.t.neighbours[k * NEIGHBOURS + i] < 0:
                break
            other = became(many, many.t.neighbours[k * NEIGHBOURS + i])
            if other != own:
                many.pairs[many.n_pairs] = pair_of(p, many, own, other)
                many.n_pairs += 1
    for i in range(many.n_pairs // 2 - 1, -1, -1):
        sink(many, i)


cdef void join(pass_t *p, many_t *many, int32_t first, int32_t second) noexcept nogil:
    """Join the second cluster to the first: weight and mean of both, and the neighbours of both."""
    cdef Py_ssize_t d = p.family.n_features, j
    cdef double both = many.sizes[first] + many.sizes[second]
    if both > 0:
        for j in range(d):
            p.params[first * d + j] += many.sizes[second] / both * (p.params[second * d + j] - p.params[first * d + j])
    many.sizes[first] = both
    many.joined[second] = first
    many.version[first] += 1


cdef void join_cheapest(pass_t *p, many_t *many) noexcept nogil:
    """Join the cheapest pairs until n_clusters are left. A pair whose cost is out of date goes back into the heap with
    its present cost. If the heap runs empty, clusters are joined in order of their numbers."""
    cdef Py_ssize_t n_left = many.n_seeds, k
    cdef int32_t first, second, last
    cdef pair_t pair
    for k in range(many.n_seeds):
        many.joined[k] = <int32_t> k
        many.version[k] = 0
    list_pairs(p, many)
    while n_left > many.n_clusters and many.n_pairs > 0:
        pair = many.pairs[0]
        first, second = became(many, pair.first), became(many, pair.second)
        if first == second:
            many.n_pairs -= 1
            many.pairs[0] = many.pairs[many.n_pairs]
            sink(many, 0)
        elif (first != pair.first or second != pair.second or pair.first_version != many.version[first]
                or pair.second_version != many.version[second]):
            many.pairs[0] = pair_of(p, many, first, second)
            sink(many, 0)
        else:
            join(p, many, first, second)
            n_left -= 1
    last = -1
    for k in range(many.n_seeds):
        if n_left <= many.n_clusters:
            break
        if many.joined[k] == k:
            if last >= 0:
                join(p, many, last, <int32_t> k)
                n_left -= 1
            else:
                last = <int32_t> k


cdef void number_anew(pass_t *p, many_t *many, int64_t *labels) noexcept nogil:
    """Renumber the clusters that are left as 0 .. n_clusters - 1. IN and OUT labels [n_rows], p.params."""
    cdef Py_ssize_t d = p.family.n_features, n = 0, k, i
    for k in range(many.n_seeds):
        if many.joined[k] == k:
            if n != k:
                memcpy(p.params + n * d, p.params + k * d, d * sizeof(double))
            many.version[k] = <int32_t> n
            n += 1
    for i in range(p.rows.n_rows):
        labels[i] = many.version[became(many, max(many.t.rows.active[i * KEPT_SEEDS], 0))]


cdef int find_many(pass_t *p, many_t *many, const double *blank, uint64_t seed, uint32_t start, double tol,
                   int64_t *labels) noexcept nogil:
    """The whole start. OUT labels [n_rows]; p.params: the means of the first n_clusters components are the centres."""
    cdef truncated_t *t = &many.t
    cdef double first = 0, last = 0, objective = 0
    cdef Py_ssize_t step, _step, i
    cdef int code
    many.t.seed = seed
    code = find_far(p, many, blank, many.n_seeds, seed, start, many.seeds)
    if code == 0:
        set_centres(p, blank, many.n_seeds)
        code = begin_truncated(t, p, NULL)
    for _step in range(STEPS_BEFORE_JOINING):
        if code == 0:
            code = step_means(p, many, &objective)
        if code == 0:
            code = refresh_neighbours(t, p)
    if code != 0:
        return code
    if many.n_seeds > many.n_clusters:
        join_cheapest(p, many)
        number_anew(p, many, labels)
        t.n_components = many.n_clusters
        set_centres(p, blank, many.n_clusters)
        code = begin_truncated(t, p, labels)
        if code != 0:
            return code
    for step in range(LLOYD_STEPS):
        last = objective
        code = step_means(p, many, &objective)
        if code != 0:
            return code
        if step == 1:
            first = objective - last
        if step > 1 and objective - last < tol * first:
            break
        code = refresh_neighbours(t, p)
        if code != 0:
            return code
    for i in range(p.rows.n_rows):
        labels[i] = max(t.rows.active[i * KEPT_SEEDS], 0)
    return 0
