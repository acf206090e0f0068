"""Whether every component of a fit has rows of its own: so many distinct ones that it takes more than half of.

A component on fewer rows than its parameters need is made of them alone: its likelihood has no bound, and a criterion
takes it for a find. `docs/selection.md` has what the numbers do.

Rows are looked at in blocks until each component has enough, a few dozen in most fits; where one never has, all of them
once. What is found does not depend on the order, which leaps about so that rows sorted by cluster take no longer.
"""

from libc.string cimport memset

from mixfast._em cimport em_t
from mixfast.engine._family cimport MIXFAST_FAILED, MIXFAST_SPURIOUS_COMPONENT, chunk_t
from mixfast.engine._groups cimport run_e_step, shared_by_groups
from mixfast.engine._kernels cimport rows_t
from mixfast.engine._pass cimport (
    STOPPED,
    assign_fn,
    cut,
    deliver_nothing,
    expected,
    open_workspace,
    pack_chunk,
    pass_t,
    prepare,
    strategy_t,
    usual,
    workspace_t,
)
from mixfast.engine._reals cimport get
from mixfast.engine._rows cimport are_equal
from mixfast.engine._truncated cimport find_sure, truncated_t

cdef enum:
    # Rows of a block, for each row that is still wanted: more than 1, since components differ in size. 500 x 1, K=3:
    # with 4 the check takes 3 % of the instructions of a fit from k-means++.
    ROWS_PER_WANTED = 2
cdef double LOOK_FLOPS = 3e9   # between two looks for Ctrl-C, half a second


cdef size_t bytes_to_find(Py_ssize_t n_components, Py_ssize_t n_wanted) noexcept nogil:
    """Bytes of the workspace `found` of `note_lack_of_rows`."""
    return n_components * (1 + n_wanted) * sizeof(Py_ssize_t) if n_wanted > 0 else 0


cdef int note_lack_of_rows(em_t *em, Py_ssize_t n_asked, Py_ssize_t n_wanted, Py_ssize_t *found) noexcept nogil:
    """Set MIXFAST_SPURIOUS_COMPONENT in em.status if one of the first n_asked components (those with parameters) has a
    responsibility above 1/2 for fewer than n_wanted distinct rows. `found` is workspace. Returns 0, MIXFAST_FAILED or
    STOPPED."""
    cdef pass_t p = em.p[0]
    cdef Py_ssize_t n_components = p.family.n_components, n_open, leap, index = 0, _visit
    cdef Py_ssize_t wanted = ROWS_PER_WANTED * n_components * n_wanted
    cdef workspace_t space
    cdef chunk_t chunk
    cdef strategy_t strategy
    cdef assign_fn assign = expected
    cdef double flops = 0
    cdef int code
    if n_wanted == 0 or em.status & MIXFAST_SPURIOUS_COMPONENT:
        return 0
    if em.truncated.n_active > 0:
        return note_lack_of_kept_rows(em, n_asked, n_wanted, found)
    memset(found, 0, n_components * sizeof(Py_ssize_t))
    p.rows.order = NULL
    if p.rows.groups == NULL:
        prepare(&p)
    else:  # a row has what its group has
        strategy = usual()
        strategy.deliver, assign = deliver_nothing, shared_by_groups
        code = run_e_step(&p, &strategy)
        if code != 0:
            return code
    cut(&p, min(p.chunk_rows, (wanted + p.kernels.strip - 1) // p.kernels.strip * p.kernels.strip))
    open_workspace(&p, 0, &space)
    leap = leap_over(p.n_chunks)
    for _visit in range(p.n_chunks):
        pack_chunk(&p, index * p.chunk_rows, space.columns, space.weight, &chunk)
        space.selection.n, space.selection.component = n_components, p.everything
        if assign(&p, index * p.chunk_rows, &chunk, &space, p.lanes) != 0:
            return MIXFAST_FAILED
        n_open = find_rows(em, &p, index * p.chunk_rows, &chunk, &space, n_asked, n_wanted, found)
        if n_open == 0:
            return 0
        index = (index + leap) % p.n_chunks
        flops += <double> chunk.n_rows * <double> p.family.flops_per_row
        if flops > LOOK_FLOPS:
            flops = 0
            if p.look(p.look_data) != 0:
                return STOPPED
    em.status |= MIXFAST_SPURIOUS_COMPONENT
    return 0


cdef int note_lack_of_kept_rows(em_t *em, Py_ssize_t n_asked, Py_ssize_t n_wanted, Py_ssize_t *found) noexcept nogil:
    """The same for truncated posteriors, where each row's largest responsibility is known already."""
    cdef const truncated_t *t = &em.truncated
    cdef Py_ssize_t n_components = em.p.family.n_components, row, k
    cdef int code = find_sure(&em.truncated, em.p)
    if code != 0:
        return code
    memset(found, 0, n_components * sizeof(Py_ssize_t))
    for row in range(t.rows.n_rows):
        k = t.rows.active[row * t.rows.n_active]
        if k < 0 or not t.is_sure[row] or found[k] == n_wanted:
            continue
        add_if_distinct(&em.p.rows, row, found + n_components + k * n_wanted, &found[k])
    for k in range(n_asked):
        if found[k] < n_wanted:
            em.status |= MIXFAST_SPURIOUS_COMPONENT
            break
    return 0


cdef Py_ssize_t leap_over(Py_ssize_t n) noexcept nogil:
    """A step of about 0.618 n that is coprime to n: multiples of it modulo n visit all numbers below n, each far from
    the previous ones."""
    cdef Py_ssize_t leap = max(1, <Py_ssize_t> (0.6180339887498949 * <double> n)), a, b
    while True:
        a, b = n, leap
        while b > 0:
            a, b = b, a % b
        if a == 1:
            return leap
        leap += 1


cdef void add_if_distinct(const rows_t *rows, Py_ssize_t row, Py_ssize_t *own, Py_ssize_t *n_own) noexcept nogil:
    """INOUT own [n_own]: row numbers; a row that equals one of them is not added."""
    cdef Py_ssize_t i
    for i in range(n_own[0]):
        if are_equal(rows, own[i], row):
            return
    own[n_own[0]] = row
    n_own[0] += 1


cdef Py_ssize_t find_rows(const em_t *em, const pass_t *p, Py_ssize_t start, const chunk_t *chunk,
                          const workspace_t *space, Py_ssize_t n_asked, Py_ssize_t n_wanted,
                          Py_ssize_t *found) noexcept nogil:
    """Add the chunk's rows to `found`. found[k] is the number of distinct rows of component k; after these n_components
    counts follow n_wanted row numbers for each component. Returns how many components still need more rows."""
    cdef Py_ssize_t n_components = p.family.n_components, n_open = 0, k, r
    cdef int real_bytes = p.family.real_bytes
    cdef Py_ssize_t *own
    for k in range(n_asked):
        if em.held != NULL and em.held.settled[k]:
            continue  # held components need no rows
        own = found + n_components + k * n_wanted
        for r in range(chunk.n_rows):
            if found[k] == n_wanted:
                break
            if get(space.resp, real_bytes, k * chunk.stride + r) > 0.5 * get(space.weight, real_bytes, r):
                add_if_distinct(&p.rows, start + r, own, &found[k])
        n_open += found[k] < n_wanted
    return n_open
