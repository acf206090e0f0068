"""The E-step of rows whose groups share a component: log densities are added up over the rows of a group before these
are shared among the components.

Two passes. The first stores the log densities of all rows, [n_rows][n_components]. They are then summed over each group
in the order of its rows, which gives the same bits for any number of threads, and turned into responsibilities of the
group. The second pass accumulates statistics with these responsibilities, as any E-step does. The log weights enter
once
for a group: with its first row.
"""

from cython.parallel cimport prange
from libc.math cimport INFINITY, exp, log

from mixfast.engine._family cimport chunk_t
from mixfast.engine._kernels cimport groups_t
from mixfast.engine._known cimport is_allowed, leave_out_forbidden
from mixfast.engine._pass cimport (
    LANE_COUNTS,
    LANE_ENTROPY,
    LANE_EVIDENCE,
    LANE_IMPOSSIBLE,
    deliver_nothing,
    is_first,
    mend_overflow,
    pass_t,
    prepare,
    run_pass,
    strategy_t,
    usual,
    visit,
    workspace_t,
)
from mixfast.engine._reals cimport get, put
from mixfast.engine._trimming cimport run_trimmed


cdef void keep_rows(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                    bint firsts) noexcept nogil:
    """Copy the chunk's log densities to p.joint [n_rows][n_components]: those of the first rows of groups as they are
    (`firsts`), those of all other rows without the log weights."""
    cdef Py_ssize_t n_components = p.family.n_components, r, k
    cdef double *own
    for r in range(chunk.n_rows):
        if is_first(p.rows.groups, start + r) != firsts:
            continue
        own = p.joint + (start + r) * n_components
        for k in range(n_components):
            own[k] = get(space.resp, p.family.real_bytes, k * chunk.stride + r)
            if not firsts and p.log_weights[k] > -INFINITY:
                own[k] -= p.log_weights[k]
            elif not firsts and is_allowed(&p.rows, start + r, k):
                own[k] = 0  # weight 0: the group's first row makes the component impossible


cdef int evaluate_rows(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                       double *lane) noexcept nogil:
    """`assign` of the first pass: log densities of the chunk's rows. OUT p.joint."""
    cdef int code = p.family.log_density(p.family, p.tables, chunk, &space.selection, space.family_scratch, space.resp)
    if code != 0:
        return code
    mend_overflow(p, chunk, space)
    if p.rows.known != NULL:
        leave_out_forbidden(&p.rows, start, chunk, &space.selection, p.family.real_bytes, space.resp)
    keep_rows(p, start, chunk, space, False)
    if p.proportions.of_rows != NULL:
        p.proportions.of_rows.add_terms(p.proportions, p.family.n_components, p.mixing, p.pivot, chunk,
                                        &space.selection, p.family.real_bytes, space.family_scratch, space.resp)
    keep_rows(p, start, chunk, space, True)
    return 0


cdef bint is_allowed_in(const pass_t *p, Py_ssize_t g, Py_ssize_t k) noexcept nogil:
    """Whether all rows of a group may be of component k."""
    cdef const groups_t *groups = p.rows.groups
    cdef Py_ssize_t t
    for t in range(groups.begin[g], groups.begin[g + 1]):
        if not is_allowed(&p.rows, groups.rows[t], k):
            return False
    return True


cdef void share_group(const pass_t *p, Py_ssize_t g) noexcept nogil:
    """IN and OUT p.joint: log densities of the rows of group g become the group's responsibilities, one copy for each
    row. OUT p.group_norms[g]: the log density of the group."""
    cdef const groups_t *groups = p.rows.groups
    cdef Py_ssize_t n_components = p.family.n_components, t, k
    cdef double *first = p.joint + groups.rows[groups.begin[g]] * n_components
    cdef double *own
    cdef double top = -INFINITY, total = 0
    for t in range(groups.begin[g] + 1, groups.begin[g + 1]):
        own = p.joint + groups.rows[t] * n_components
        for k in range(n_components):
            first[k] += own[k]
    for k in range(n_components):
        top = max(top, first[k])
    for k in range(n_components):
        first[k] = exp(first[k] - top) if top > -INFINITY else is_allowed_in(p, g, k)
        total += first[k]
    for k in range(n_components):
        first[k] /= total
    p.group_norms[g] = top + log(total) if top > -INFINITY else top
    for t in range(groups.begin[g] + 1, groups.begin[g + 1]):
        own = p.joint + groups.rows[t] * n_components
        for k in range(n_components):
            own[k] = first[k]


cdef double entropy_of(const double *resp, Py_ssize_t n_components) noexcept nogil:
    cdef double total = 0
    cdef Py_ssize_t k
    for k in range(n_components):
        if resp[k] > 0:
            total -= resp[k] * log(resp[k])
    return total


cdef int shared_by_groups(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                          double *lane) noexcept nogil:
    """`assign` of the second pass: the group's responsibilities times the weight of the row. The group's log density is
    reported for its first row; all other rows report 0."""
    cdef const groups_t *groups = p.rows.groups
    cdef Py_ssize_t n_components = p.family.n_components, r, k
    cdef int real_bytes = p.family.real_bytes
    cdef double weight, norm
    for k in range(n_components):
        for r in range(chunk.n_rows, chunk.stride):
            put(space.resp, real_bytes, k * chunk.stride + r, 0)
    for r in range(chunk.n_rows):
        weight = get(space.weight, real_bytes, r)
        norm = 0
        if is_first(groups, start + r):
            norm = p.group_norms[groups.number[start + r]]
            lane[LANE_EVIDENCE] += weight * norm
            lane[LANE_IMPOSSIBLE] += norm == -INFINITY
            if p.family.posterior != NULL:
                lane[LANE_ENTROPY] += weight * entropy_of(p.joint + (start + r) * n_components, n_components)
        put(space.log_norm, real_bytes, r, norm)
        for k in range(n_components):
            put(space.resp, real_bytes, k * chunk.stride + r, weight * p.joint[(start + r) * n_components + k])
    p.kernels.count(n_components, chunk.stride, space.resp, lane + LANE_COUNTS)
    return 0


cdef int run_e_step(pass_t *p, const strategy_t *strategy) noexcept nogil:
    """`run_pass` with an E-step, for rows of any kind: trimmed, in groups, or on other machines (`p.elsewhere`).

    With groups the strategy's `assign` is replaced and its `deliver` and `finish` are used; with rows elsewhere the
    strategy is ignored. OUT lane 0: the totals.
    """
    if p.elsewhere != NULL:
        return p.elsewhere(p.elsewhere_data)
    if p.rows.trim > 0:
        return run_trimmed(p, strategy)
    if p.rows.groups == NULL:
        return run_pass(p, strategy)
    cdef strategy_t own = usual()
    cdef Py_ssize_t g
    cdef int code
    prepare(p)
    own.assign, own.deliver = evaluate_rows, deliver_nothing
    code = visit(p, &own)
    if code != 0:
        return code
    for g in prange(p.rows.groups.n_groups, num_threads=p.n_threads):
        share_group(p, g)
    own = strategy[0]
    own.assign = shared_by_groups
    return visit(p, &own)
