"""The E-step that leaves out rows of the lowest density, a share of the weight: trimmed likelihoods (Neykov, Filzmoser,
Dimova & Neytchev, Computational Statistics and Data Analysis 52 (2007); tclust).

Two passes. The first computes the log density of each row. The rows of the lowest density are then left out, of equal
ones the later row first, so that the choice does not depend on threads. The second pass is an ordinary E-step in which
rows have the weight that is kept of them. The objective is the sum of weight * log density over the kept rows, divided
by the weight of all rows. The kept rows are those that maximise it, so it falls neither in an M-step nor in the next
choice.
"""

from libc.math cimport INFINITY

from mixfast.engine._family cimport chunk_t
from mixfast.engine._known cimport visited
from mixfast.engine._pass cimport (
    LANE_EVIDENCE,
    LANE_IMPOSSIBLE,
    expected,
    finish_nothing,
    pass_t,
    run_pass,
    strategy_t,
    usual,
    visit,
    workspace_t,
)
from mixfast.engine._reals cimport get, put


cdef int keep_heights(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                      double *lane) noexcept nogil:
    """`deliver` of the first pass. OUT p.heights: log densities of the chunk's rows."""
    cdef Py_ssize_t r
    for r in range(chunk.n_rows):
        p.heights[visited(&p.rows, start + r)] = get(space.log_norm, p.family.real_bytes, r)
    return 0


cdef int shared_as_kept(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                        double *lane) noexcept nogil:
    """`assign` of the second pass: the strategy's own, with the kept weights in the place of the rows' weights."""
    cdef int real_bytes = p.family.real_bytes
    cdef Py_ssize_t r
    for r in range(chunk.n_rows):
        put(space.weight, real_bytes, r,
            p.heights[visited(&p.rows, start + r)] * get(space.weight, real_bytes, r))
    return expected(p, start, chunk, space, lane)


cdef inline double weight_of(const pass_t *p, Py_ssize_t row) noexcept nogil:
    return 1 if p.rows.weight == NULL else p.rows.weight[row]


cdef inline bint is_below(const pass_t *p, Py_ssize_t row, Py_ssize_t other) noexcept nogil:
    """Whether `row` is left out before `other`: its density is lower, or equal and it comes later."""
    if p.heights[row] != p.heights[other]:
        return p.heights[row] < p.heights[other]
    return row > other


cdef void swap(Py_ssize_t *values, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    values[i], values[j] = values[j], values[i]


cdef Py_ssize_t divide(const pass_t *p, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """Partition step of quickselect on by_height[first .. last - 1]. Returns the position of the pivot row; rows below
    it come before it."""
    cdef Py_ssize_t *rows = p.by_height
    cdef Py_ssize_t middle = first + (last - first) // 2, place = first, i
    # the median of three
    if is_below(p, rows[middle], rows[first]):
        swap(rows, middle, first)
    if is_below(p, rows[last - 1], rows[first]):
        swap(rows, last - 1, first)
    if is_below(p, rows[middle], rows[last - 1]):
        swap(rows, middle, last - 1)
    for i in range(first, last - 1):
        if is_below(p, rows[i], rows[last - 1]):
            swap(rows, i, place)
            place += 1
    swap(rows, place, last - 1)
    return place


cdef double choose_kept(const pass_t *p, double *n_impossible) noexcept nogil:
    """IN p.heights: log densities; OUT p.heights: the kept weight of each row. Rows below the threshold keep nothing,
    rows above it everything, and one row a part, so that the weight left out is exactly the share `trim`. Returns the
    sum of weight * log density over the kept weights."""
    cdef Py_ssize_t *rows = p.by_height
    cdef Py_ssize_t first = 0, last = p.rows.n_rows, place, i
    cdef double left = p.rows.trim * p.total_weight, below, part, term, raised, lost = 0, total = 0
    for i in range(last):
        rows[i] = i
    while first < last:  # rows before `first` are left out wholly; `left` is the weight that is still to be left out
        place = divide(p, first, last)
        below = 0
        for i in range(first, place):
            below += weight_of(p, rows[i])
        if below > left:
            last = place
        elif below + weight_of(p, rows[place]) > left:
            left -= below
            first = place
            break
        else:
            left -= below + weight_of(p, rows[place])
            first = place + 1
    n_impossible[0] = 0
    for i in range(p.rows.n_rows):
        part = 0 if i < first else 1
        if i == first:
            part = min(max(1 - left / weight_of(p, rows[i]), 0.0), 1.0)
        if part > 0:  # with Kahan's compensation: a sum over millions of rows keeps its digits
            n_impossible[0] += p.heights[rows[i]] == -INFINITY
            term = part * weight_of(p, rows[i]) * p.heights[rows[i]] - lost
            raised = total + term
            lost = (raised - total) - term
            total = raised
        p.heights[rows[i]] = part
    return -INFINITY if n_impossible[0] > 0 else total


cdef int run_trimmed(pass_t *p, const strategy_t *strategy) noexcept nogil:
    """`run_pass` with a trimmed E-step: the strategy sees the rows with the weights that are kept."""
    cdef strategy_t own = usual()
    cdef double evidence, n_impossible = 0
    cdef int code
    own.deliver, own.finish = keep_heights, finish_nothing
    code = run_pass(p, &own)
    if code != 0:
        return code
    evidence = choose_kept(p, &n_impossible)
    own = strategy[0]
    own.assign = shared_as_kept
    code = visit(p, &own)
    p.lanes[LANE_EVIDENCE], p.lanes[LANE_IMPOSSIBLE] = evidence, n_impossible
    return code
