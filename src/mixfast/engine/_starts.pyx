"""`assign` functions of starts: responsibilities from labels, from a given array, or random ones."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from mixfast.engine._family cimport chunk_t, family_t
from mixfast.engine._known cimport is_allowed, visited
from mixfast.engine._pass cimport LANE_COUNTS, pass_t, workspace_t
from mixfast.engine._random cimport RANDOM_RESPONSIBILITIES, uniform
from mixfast.engine._reals cimport add, get, put

# Of each row in a start from labels of a family that `starts_inside`: so much goes to all components, in proportion to
# what else they have, so that each begins halfway between its own rows and all rows. Without it k-means puts
# probabilities to 0 and 1 in the columns that it splits by, and EM stays there. Of 50 fits with tol=1e-10 to the 3,000
# binary rows of test_starts_inside.py 50 reached the best bound; with 0.4 and 0.6 as well, with 0.3 48, with 0.2 44,
# with none 22. A few pseudo-counts, a share that falls with the number of rows, did less, and nothing for 100,000 rows.
cdef double SHARED_AT_START = 0.5


cdef enum:
    # Components that all rows with labels are asked for, in vectors: a row that adds itself to the sum of its label
    # waits for the row before, and to put rows in the order of their labels takes longer than so few take with all.
    # Fits of 500 x 1 in a batch, beside each row by itself: 2 components 10.8 us and 16.4; 3 22.5 and 27.4; 5 37.0 and
    # 33.9. Wide rows cost each component more: the start of 100,000 x 32 from labels of 3, 17 ms and 13.
    FEW_COMPONENTS = 3
    NARROW = 8


cdef bint asks_every_row(const family_t *family) noexcept nogil:
    """Whether sums of rows with labels are made of all responsibilities, zeros too."""
    return (family.n_components == 1
            or (family.n_components <= FEW_COMPONENTS and family.n_features <= NARROW))


cdef void clear_resp(const pass_t *p, const chunk_t *chunk, const workspace_t *space) noexcept nogil:
    memset(space.resp, 0, p.family.n_components * chunk.stride * p.family.real_bytes)


cdef double share_alike(const pass_t *p, const labels_t *known, const chunk_t *chunk,
                        const workspace_t *space) noexcept nogil:
    """OUT space.resp: the responsibilities that each component gets of a row whatever its label is. Returns their sum
    for a row of weight 1."""
    cdef int real_bytes = p.family.real_bytes
    cdef Py_ssize_t k, r
    cdef double total = 0
    clear_resp(p, chunk, space)
    for k in range(p.family.n_components):
        total += known.alike[k]
        for r in range(chunk.n_rows):
            put(space.resp, real_bytes, k * chunk.stride + r, known.alike[k] * get(space.weight, real_bytes, r))
    return total


cdef int labelled(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                  double *lane) noexcept nogil:
    """Responsibilities from labels; a row of label -1 has none. assign_data is a labels_t. OUT space.weight: each row's
    sum of responsibilities."""
    cdef const labels_t *known = <const labels_t *> p.strategy.assign_data
    cdef int real_bytes = p.family.real_bytes
    cdef double alike, weight
    cdef Py_ssize_t r
    if known.own == 1:
        p.kernels.give_to_labels(p.family.n_components, chunk.n_rows, chunk.stride, known.labels + start, space.weight,
                                 space.resp)
    else:
        alike = share_alike(p, known, chunk, space)
        for r in range(chunk.n_rows):
            weight = get(space.weight, real_bytes, r)
            put(space.weight, real_bytes, r, alike * weight)
            if known.labels[start + r] >= 0:
                add(space.resp, real_bytes, known.labels[start + r] * chunk.stride + r, known.own * weight)
                add(space.weight, real_bytes, r, known.own * weight)
    p.kernels.count(p.family.n_components, chunk.stride, space.resp, lane + LANE_COUNTS)
    return 0


cdef int labelled_in_order(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                           double *lane) noexcept nogil:
    """`labelled` for rows visited in the order of their labels, with own = 1: the selection of a chunk is one or two
    components."""
    cdef const int64_t *labels = (<const labels_t *> p.strategy.assign_data).labels
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
    """Responsibilities from an array: assign_data, float64 (n_samples, n_components), times the weight of the row. OUT
    space.weight: each row's sum of responsibilities."""
    cdef Py_ssize_t n_components = p.family.n_components, r, k
    cdef const double *resp = (<const double *> p.strategy.assign_data) + start * n_components
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
    """Random responsibilities: uniform variates for the allowed components, scaled to sum to 1 in each row. assign_data
    has the seed and the number of the start."""
    cdef Py_ssize_t n_components = p.family.n_components, r, k, row
    cdef const draw_t *draw = <const draw_t *> p.strategy.assign_data
    cdef int real_bytes = p.family.real_bytes
    cdef double total, weight
    cdef uint64_t index
    clear_resp(p, chunk, space)
    for r in range(chunk.n_rows):
        row = start + r if p.rows.groups == NULL else <Py_ssize_t> p.rows.groups.number[start + r]
        index = <uint64_t> row * <uint64_t> n_components
        total = 0
        for k in range(n_components):
            if is_allowed(&p.rows, visited(&p.rows, start + r), k):
                total += uniform(draw.seed, draw.start, RANDOM_RESPONSIBILITIES, index + <uint64_t> k)
        weight = get(space.weight, real_bytes, r) / total if total > 0 else 0
        for k in range(n_components):
            if is_allowed(&p.rows, visited(&p.rows, start + r), k):
                put(space.resp, real_bytes, k * chunk.stride + r,
                    weight * uniform(draw.seed, draw.start, RANDOM_RESPONSIBILITIES, index + <uint64_t> k))
    p.kernels.count(n_components, chunk.stride, space.resp, lane + LANE_COUNTS)
    return 0


cdef labels_t share_rows(pass_t *p, const int64_t *labels) noexcept nogil:
    """Returns labels_t. For families that must start inside their domain it mixes labels with equal sharing: `own` goes
    to the component of the label, the rest to all components in proportion to their weight, so that counts do not
    change."""
    cdef Py_ssize_t n_components = p.family.n_components, row, k
    cdef labels_t known
    known.labels, known.own, known.alike = labels, 1, p.alike
    if not p.family.starts_inside:
        return known
    memset(p.alike, 0, n_components * sizeof(double))
    for row in range(p.rows.n_rows):
        if labels[row] >= 0:
            p.alike[labels[row]] += 1 if p.rows.weight == NULL else p.rows.weight[row]
    for k in range(n_components):
        p.alike[k] *= SHARED_AT_START / p.total_weight
    known.own = 1 - SHARED_AT_START
    return known


cdef Py_ssize_t sort_by_label(const uint32_t *rows, Py_ssize_t n_rows, const int64_t *labels, Py_ssize_t n_components,
                              uint32_t *order, Py_ssize_t *places) noexcept nogil:
    """OUT order [n_rows]: the rows (NULL: the first n_rows), sorted stably by label, -1 first, in 4 bytes a row.
    Returns the position of the first row with a label."""
    cdef Py_ssize_t i, row, k, n_unlabelled
    memset(places, 0, (n_components + 2) * sizeof(Py_ssize_t))
    for i in range(n_rows):
        places[labels[i if rows == NULL else <Py_ssize_t> rows[i]] + 2] += 1
    for k in range(n_components + 1):
        places[k + 1] += places[k]
    n_unlabelled = places[1]
    for i in range(n_rows):
        row = i if rows == NULL else <Py_ssize_t> rows[i]
        k = labels[row] + 1
        order[places[k]] = <uint32_t> row
        places[k] += 1
    return n_unlabelled
