"""EM for any family: starts, the M-step, the loop.

A step is a pass (`engine/_pass.pyx`) and the M-step on what it added up. All of it are functions without the GIL over
structs; `EM` wraps them for Python. A whole fit, from its starts to the best of them, is in `engine/_fit.pyx`.
"""

from cython.parallel cimport prange, threadid
from libc.math cimport INFINITY, fabs
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from mixfast.engine._capsule cimport record_size
from mixfast.engine._family cimport (
    MIXFAST_CAPPED_PARAMETER,
    MIXFAST_FAILED,
    MIXFAST_LOST_DIGITS,
    MIXFAST_NOT_FINITE,
    MIXFAST_REPAIRED_COVARIANCE,
    MIXFAST_SPURIOUS_COMPONENT,
    accumulate_common_fn,
    chunk_t,
    family_t,
    totals_t,
)
from mixfast.engine._groups cimport run_e_step
from mixfast.engine._pass cimport (
    LANE_COUNTS,
    LANE_ENTROPY,
    LANE_EVIDENCE,
    LANE_IMPOSSIBLE,
    STOPPED,
    Pass,
    arena_t,
    assign_fn,
    clip,
    copy_of,
    copy_state_from,
    copy_state_to,
    find_log_weights,
    measure_arena,
    n_common_of,
    n_state_of,
    open_arena,
    pass_t,
    prepare,
    raise_error_of,
    round_flops,
    run_pass,
    strategy_t,
    take,
    threads_for_components,
    totals_of,
    usual,
    visit,
    visit_only,
    workspace_t,
)
from mixfast.engine._pruning cimport (
    begin_pass as begin_pruning,
    end_pass as end_pruning,
    lost_count,
    note_work,
    release,
    reset,
)
from mixfast.engine._reals cimport get
from mixfast.engine._rows cimport value_of
from mixfast.engine._starts cimport (
    asks_every_row,
    draw_t,
    drawn,
    given,
    labelled,
    labelled_in_order,
    labels_t,
    share_rows,
    sort_by_label,
)
from mixfast.engine._truncated cimport begin_truncated, place_truncated, run_truncated, truncated_t
from mixfast.proportions._proportions cimport proportions_t

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from mixfast.engine._rows import is_mapped
from mixfast.status import Status

cdef extern from "Python.h":
    void PyErr_SetObject(object kind, object value)

cdef int LOWER_BOUND_FELL = Status.LOWER_BOUND_FELL
# Rises after falls that end a loop. Fits of common axes to 30 rows of 7 columns rose and fell 250 times in 1,000.
cdef enum:
    MOST_REBOUNDS = 20
cdef int SHORTENED_STEP = Status.SHORTENED_STEP

cdef enum:
    MOST_HALVINGS = 30
# Of an objective, relative to 1 + its size: sums of 10^6 rows differ by less between two chunkings.
cdef double GUARD_ROUNDING = 1e-11

# A component with less than this share of the weight holds no rows: its sums are no longer numbers of full precision.
# Until then they are: a responsibility of 1e-200 is as exact as one of 0.5, and such a component can come back.
cdef double EMPTY_SHARE = 1e-250
cdef double EMPTY_SHARE_FLOAT = 1e-25


# ---- what all components have in common -----------------------------------------------------------------------------

cdef int unshared(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                  double *lane) noexcept nogil:
    """No component is asked; rows weigh what they weigh."""
    return 0


cdef int add_common(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                    double *lane) noexcept nogil:
    cdef accumulate_common_fn accumulate = (p.family.posterior.accumulate_common if p.family.shared_term == NULL
                                            else p.family.shared_term.accumulate_common)
    accumulate(p.family, chunk, space.weight, space.family_scratch, lane + LANE_COUNTS + p.family.n_components)
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


cdef int gather_common(pass_t *p) noexcept nogil:
    """Once for a set of rows: what no parameter enters, about the mean of the rows, which is found about the first of
    them."""
    cdef pass_t own = p[0]
    cdef const double *total = p.lanes + LANE_COUNTS + p.family.n_components
    cdef Py_ssize_t d = p.family.n_features, j
    cdef strategy_t strategy = usual()
    cdef int code
    if p.has_common or n_common_of(p.family) == 0:
        return 0
    strategy.assign, strategy.deliver = unshared, add_rows
    for j in range(d):
        own.origin[j] = value_of(&p.rows, 0, j)
    memcpy(own.pivot, own.origin, d * sizeof(double))
    code = visit(&own, &strategy)
    if code != 0:
        return code
    for j in range(d):
        own.origin[j] += total[j] / total[d]
    strategy.deliver = add_common
    memcpy(own.pivot, own.origin, d * sizeof(double))
    code = visit(&own, &strategy)
    if code == 0:
        memcpy(own.common, total, n_common_of(p.family) * sizeof(double))
        p.has_common = True
    return code


cdef int gather_common_of_prior(pass_t *p) noexcept nogil:
    return 0 if p.family.posterior == NULL else gather_common(p)


cdef double evidence_of(const pass_t *p) noexcept nogil:
    """The total log-likelihood, with what `log_density` leaves out."""
    cdef totals_t totals
    cdef double evidence = p.lanes[LANE_EVIDENCE] + p.total_base
    if p.family.shared_term != NULL:
        totals = totals_of(p)
        evidence += p.family.shared_term.common_evidence(p.family, &totals, p.params, p.work)
    return evidence


# ---- the M-step -----------------------------------------------------------------------------------------------------

cdef int maximise(pass_t *p, bint is_first) noexcept nogil:
    """The M-step on the total, `is_first` of a start or not: new mixing and parameters in place; the family's status.
    """
    cdef Py_ssize_t n_components = p.family.n_components, k
    cdef double *counts = p.lanes + LANE_COUNTS
    cdef double *of_groups = counts + n_components + p.family.n_stats + p.n_row_stats
    cdef double total = 0, kept = 0
    cdef int status = 0
    cdef totals_t totals = totals_of(p)
    for k in range(n_components):
        total += counts[k]
    for k in range(n_components):
        if counts[k] <= (EMPTY_SHARE if p.family.real_bytes == 8 else EMPTY_SHARE_FLOAT) * total:
            counts[k] = 0
            if p.rows.groups != NULL:
                of_groups[k] = 0
    if p.rows.groups != NULL:
        counts = of_groups
    for k in range(n_components):
        kept += counts[k]
    if p.proportions.of_rows == NULL:
        p.proportions.maximise(p.proportions, n_components, counts, kept, p.mixing)
    else:
        status = p.proportions.of_rows.maximise(p.proportions, n_components, counts, kept,
                                                totals.stats + p.family.n_stats, p.pivot, is_first, p.work,
                                                p.mixing)
    return merged(status, p.family.maximise(p.family, &totals, p.work, p.params))


cdef inline int merged(int status, int other) noexcept nogil:
    """Of two M-steps; MIXFAST_FAILED where one failed."""
    return MIXFAST_FAILED if status < 0 or other < 0 else status | other


cdef int maximise_components(pass_t *p, const held_t *held, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """What the M-step does for each of some components by itself."""
    cdef totals_t totals = totals_of(p)
    cdef Py_ssize_t k
    cdef int status = 0, n_threads = threads_for_components(p)
    if n_threads == 1:
        for k in range(first, last):
            status |= heard(held, k, p.family.maximise_component(p.family, k, &totals, p.work, p.own_work, p.params))
        return status
    for k in prange(first, last, schedule="dynamic", num_threads=n_threads):
        status |= heard(held, k, p.family.maximise_component(
            p.family, k, &totals, p.work, p.own_work + threadid() * p.family.n_own_work, p.params))
    return status


cdef inline int heard(const held_t *held, Py_ssize_t k, int status) noexcept nogil:
    """What is said of the M-step of a component, but where its result is not taken."""
    if held == NULL or not held.settled[k]:
        return status
    return status & ~(MIXFAST_REPAIRED_COVARIANCE | MIXFAST_CAPPED_PARAMETER | MIXFAST_SPURIOUS_COMPONENT)


cdef int heard_of_all(const em_t *em, int status) noexcept nogil:
    cdef Py_ssize_t k
    if em.held == NULL:
        return status
    for k in range(em.p.family.n_components):
        if not em.held.settled[k]:
            return status
    return heard(em.held, 0, status)


cdef void drop_centred(em_t *em) noexcept nogil:
    """First moments about what is held."""
    cdef double *stats = em.p.lanes + LANE_COUNTS + em.p.family.n_components
    cdef Py_ssize_t i
    if em.held != NULL:
        for i in range(em.held.n_centred):
            stats[em.held.centred[i]] = 0


cdef void put_held(em_t *em) noexcept nogil:
    """What is held takes its place among the parameters."""
    cdef Py_ssize_t i
    if em.held != NULL:
        for i in range(em.p.family.n_params):
            if em.held.params[i] == em.held.params[i]:
                em.p.params[i] = em.held.params[i]


cdef int maximise_all(em_t *em, bint is_first) noexcept nogil:
    """The M-step, `is_first` of a start or not, on all threads where it is long; what it says is added to the status,
    but for what only the last one knows."""
    cdef pass_t *p = em.p
    cdef Py_ssize_t first = 0, n_at_once
    cdef int status
    drop_centred(em)
    status = maximise(p, is_first)
    if status < 0:
        return MIXFAST_FAILED
    status = heard_of_all(em, status)
    em.status = em.status & ~MIXFAST_SPURIOUS_COMPONENT | status
    if status & (MIXFAST_NOT_FINITE | MIXFAST_LOST_DIGITS):
        return 0
    if p.family.maximise_component == NULL:
        put_held(em)
        look_at_params(em)
        return 0
    n_at_once = clip(<Py_ssize_t> (round_flops() / <double> (1 + p.family.flops_per_component)), p.n_threads,
                     p.family.n_components)
    while first < p.family.n_components:
        em.status |= maximise_components(p, em.held, first, min(first + n_at_once, p.family.n_components))
        first += n_at_once
        if first < p.family.n_components and p.look(p.look_data) != 0:
            return STOPPED
    put_held(em)
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


# ---- starts ---------------------------------------------------------------------------------------------------------

cdef void begin_em(em_t *em) noexcept nogil:
    """A new start: what was said of the last one is forgotten."""
    em.status = 0
    em.n_impossible = 0
    em.is_careful = em.has_base = em.is_trial = False
    em.n_passes = 0
    reset(&em.pruning, em.p)


cdef int further_passes(const pass_t *p) noexcept nogil:
    """What a start makes beside the passes of every start."""
    if p.proportions.of_rows == NULL:
        return p.family.further_start_passes
    return max(p.family.further_start_passes, p.proportions.of_rows.further_start_passes)


cdef int start_em(em_t *em, assign_fn assign, const void *data, int n_passes) noexcept nogil:
    """Parameters from rows that are shared as `assign` says. The M-step is made twice: families centre second moments
    about the means that they have, so the first pass is there to find the means and the second to measure about them.
    Where the means are known, n_passes=1 is enough; a family may want some after these."""
    cdef pass_t *p = em.p
    cdef strategy_t strategy = usual()
    cdef int _round, code
    reset(&em.pruning, p)
    code = gather_common_of_prior(p)
    strategy.assign, strategy.assign_data = assign, data
    for _round in range(n_passes + further_passes(p)):
        if code == 0:
            em.status = 0
            code = run_pass(p, &strategy)
        if code == 0:
            code = maximise_all(em, _round == 0)
    return code


cdef bint all_labelled(Py_ssize_t n_rows, const int64_t *labels) noexcept nogil:
    cdef Py_ssize_t i
    cdef int64_t least = 0
    for i in range(n_rows):
        least = min(least, labels[i])
    return least == 0


cdef int start_from_labels(em_t *em, const int64_t *labels, int n_passes, uint32_t *order,
                           Py_ssize_t *places) noexcept nogil:
    """`start_em` from labels, -1 for rows that nothing is known of. Rows are visited in the order of their labels where
    there is memory for it and a row has one of many components, and those of none are not: order[n_rows],
    places[n_components + 2]."""
    cdef pass_t *p = em.p
    cdef Py_ssize_t n_rows, n_unlabelled
    cdef labels_t known = share_rows(p, labels)
    cdef int n_threads = p.n_threads
    cdef int code = gather_common_of_prior(p)  # of all rows, with labels or without
    if code != 0:
        return code
    n_rows = p.rows.n_rows
    if (order == NULL or known.own < 1 or p.rows.groups != NULL
            or (asks_every_row(p.family) and all_labelled(n_rows, labels))):
        return start_em(em, labelled, &known, n_passes)
    n_unlabelled = sort_by_label(NULL, n_rows, labels, p.family.n_components, order, places)
    reset(&em.pruning, p)
    visit_only(p, order + n_unlabelled, n_rows - n_unlabelled, n_threads)
    code = start_em(em, labelled_in_order, &known, n_passes)
    visit_only(p, NULL, n_rows, n_threads)
    return code


cdef int start_from_order(em_t *em, const int64_t *labels, int n_passes) noexcept nogil:
    """`start_em` from labels of the rows that the pass visits, in the order of these labels; nothing is shared,
    whatever the family would like at a start."""
    cdef labels_t known
    known.labels, known.own, known.alike = labels, 1, NULL
    return start_em(em, labelled_in_order, &known, n_passes)


cdef int start_from_responsibilities(em_t *em, const double *resp) noexcept nogil:
    """`start_em` from responsibilities (n_rows, n_components)."""
    return start_em(em, given, resp, 2)


cdef int start_from_draws(em_t *em, uint64_t seed, uint32_t start) noexcept nogil:
    """`start_em` from uniform random responsibilities, which are not stored."""
    cdef draw_t draw
    draw.seed, draw.start = seed, start
    return start_em(em, drawn, &draw, 2)


# ---- the loop -------------------------------------------------------------------------------------------------------

cdef int run_in_runs(pass_t *p, const strategy_t *strategy) noexcept nogil:
    """`run_e_step`, of which rows are visited in the order of `rows.runs` if there is one. Groups want them as they
    lie."""
    cdef int code
    if p.rows.groups == NULL:
        p.rows.order = p.rows.runs
    code = run_e_step(p, strategy)
    p.rows.order = NULL
    return code


cdef int run_pruned(em_t *em) noexcept nogil:
    """A pass that leaves out what is zero, if there is enough of it."""
    cdef pass_t *p = em.p
    cdef strategy_t strategy = usual()
    cdef int code
    if em.truncated.n_active > 0:
        code = run_truncated(&em.truncated, p)
        note_work(&em.pruning, p)
        return code
    # ceilings and limits are of log weight + log density: they do not know what a row adds to that, nor that the only
    # component that a row may be of can be far below others; and rows in runs are not to be put in another order
    if (not em.prunes or p.elsewhere != NULL or p.rows.groups != NULL or p.rows.known != NULL or p.rows.trim > 0
            or p.family.needs_gil
            or p.proportions.of_rows != NULL
            or p.rows.runs != NULL):
        return run_in_runs(p, &strategy)
    begin_pruning(&em.pruning, p, p.total_weight / <double> p.rows.n_rows, &strategy)
    code = run_pass(p, &strategy)
    if code != 0:
        reset(&em.pruning, p)  # some ceilings are of these parameters and some of the last
        return code
    if lost_count(&em.pruning, p):
        reset(&em.pruning, p)
        strategy = usual()
        return run_pass(p, &strategy)
    end_pruning(&em.pruning, p)
    return 0


cdef bint quick_loses_digits(pass_t *p) noexcept nogil:
    """Whether a pass of the quick family would lose digits at the present parameters."""
    find_log_weights(p)
    return p.family.quick.shared_term.loses_digits(p.family.quick, p.log_weights, p.params, p.work) != 0


cdef int advance(em_t *em, double *objective) noexcept nogil:
    """One iteration. The objective is that of the parameters that went in, per unit of weight, (log-likelihood + log
    prior) / total weight: it comes out of the same pass that makes the next ones. A quick family makes it where that
    loses no digits, neither at these parameters nor at the next."""
    cdef pass_t *p = em.p
    cdef const family_t *family = p.family
    cdef int status = em.status, code = 0
    em.n_passes += 1
    if family.posterior != NULL:
        return update_posterior(em, objective)
    # sums of a quick family may be about other points than those that are held, its densities lack a term of the row
    if (family.quick == NULL or em.held != NULL or p.rows.trim > 0 or em.is_careful or p.elsewhere != NULL
            or not p.total_weight > 0 or quick_loses_digits(p)):
        return advance_by_one(em, objective)
    copy_state_to(p, p.last_state)
    p.family = family.quick
    code = gather_common(p)
    if code == 0:
        code = advance_by_one(em, objective)
    p.family = family
    if code != 0 or not em.status & (MIXFAST_LOST_DIGITS | MIXFAST_NOT_FINITE):
        return code
    em.status, em.is_careful = status, True
    copy_state_from(p, p.last_state)
    return advance_by_one(em, objective)


cdef int find_log_prior(const pass_t *p, double *log_prior) noexcept nogil:
    """Of the present mixing and parameters; MIXFAST_FAILED where a family in Python failed."""
    log_prior[0] = 0 if p.family.log_prior == NULL else p.family.log_prior(p.family, p.params)
    if p.proportions.log_prior != NULL:
        log_prior[0] += p.proportions.log_prior(p.proportions, p.family.n_components, p.mixing)
    return MIXFAST_FAILED if log_prior[0] != log_prior[0] and p.family.needs_gil else 0


cdef double log_evidence_of_components(const pass_t *p) noexcept nogil:
    """Of the statistics of the last M-step: leaves each component's own in `work`, and returns what they have in
    common."""
    memset(p.work, 0, p.family.n_components * sizeof(double))
    return p.family.posterior.log_evidence(p.family, p.lanes + LANE_COUNTS, p.params, p.work)


cdef double log_evidence_of_counts(const pass_t *p) noexcept nogil:
    return p.proportions.log_evidence(p.proportions, p.family.n_components, p.mixing)


cdef double evidence_lower_bound(const pass_t *p) noexcept nogil:
    """After the M-step of a posterior, in nats: the log evidence of the components' statistics, that of the counts, and
    the entropy of the responsibilities. At these no other posterior has a higher bound."""
    cdef double total = p.lanes[LANE_ENTROPY] + p.total_base
    cdef Py_ssize_t k
    total += log_evidence_of_components(p)
    for k in range(p.family.n_components):
        total += p.work[k]
    return total + log_evidence_of_counts(p)


cdef int update_posterior(em_t *em, double *objective) noexcept nogil:
    """`advance` by variational Bayes: the objective is the evidence lower bound at the responsibilities of the pass."""
    cdef pass_t *p = em.p
    cdef int code = gather_common_of_prior(p)
    if code == 0:
        code = run_pruned(em)
    if code != 0:
        return code
    em.n_impossible = p.lanes[LANE_IMPOSSIBLE]
    objective[0] = p.lanes[LANE_EVIDENCE]
    if objective[0] == objective[0] and objective[0] < INFINITY:
        code = maximise_all(em, False)
        if code != 0 or em.status & MIXFAST_NOT_FINITE:
            return code
        objective[0] = evidence_lower_bound(p)
    if objective[0] != objective[0] or objective[0] == INFINITY:
        em.status |= MIXFAST_NOT_FINITE
    return 0


cdef int advance_by_one(em_t *em, double *objective) noexcept nogil:
    """`advance` with the family as it is set. Where an M-step may overshoot, and did, it is shortened until the
    objective is not below the one before."""
    cdef pass_t *p = em.p
    cdef int code, n_halved
    if em.guards:
        copy_state_to(p, em.entering)
    for n_halved in range(MOST_HALVINGS + 1):
        code = find_objective(em, objective)
        if code != 0:
            return code
        if not (em.guards and em.has_base and not em.is_trial) or is_no_fall(em, objective[0]):
            break
        if n_halved == MOST_HALVINGS:  # the M-step takes the sums of the state that they were gathered at
            break
        go_half_way(em)
        em.status |= SHORTENED_STEP
        em.n_passes += 1
    em.n_impossible = p.lanes[LANE_IMPOSSIBLE]
    if objective[0] != objective[0] or objective[0] == INFINITY:
        em.status |= MIXFAST_NOT_FINITE
        return 0
    if objective[0] == -INFINITY:  # of rows that are possible: their log densities, times weights, sum to it
        em.n_impossible = max(em.n_impossible, 1.0)
    if em.guards and not em.is_trial:
        rest_on_entering(em, objective[0])
    return maximise_all(em, False)


cdef int find_objective(em_t *em, double *objective) noexcept nogil:
    """A pass, and the objective of the state that it was made at."""
    cdef pass_t *p = em.p
    cdef double log_prior = 0
    cdef int code = find_log_prior(p, &log_prior)
    if code == 0:
        code = run_pruned(em)
    if code == 0:
        objective[0] = (evidence_of(p) + log_prior) / p.total_weight
    return code


# ---- M-steps that may overshoot -------------------------------------------------------------------------------------

cdef bint may_overshoot(const family_t *family, const proportions_t *proportions) noexcept nogil:
    """Not where the M-step does not maximise the objective anyway: a fall says nothing then."""
    if family.may_overshoot < 0:
        return False
    return family.may_overshoot > 0 or (proportions.of_rows != NULL and proportions.of_rows.may_overshoot)


cdef void place_guard(em_t *em, arena_t *arena) noexcept nogil:
    em.guards = may_overshoot(em.p.family, em.p.proportions)
    if em.guards:
        em.entering = <double *> take(arena, n_state_of(em.p) * sizeof(double))
        em.base = <double *> take(arena, n_state_of(em.p) * sizeof(double))


cdef bint is_no_fall(const em_t *em, double objective) noexcept nogil:
    """But for rounding; False for what is no number."""
    return objective >= em.base_objective - GUARD_ROUNDING * (1 + fabs(em.base_objective))


cdef void go_half_way(em_t *em) noexcept nogil:
    """Back to the last state."""
    cdef pass_t *p = em.p
    cdef Py_ssize_t n = n_state_of(p) if p.family.go_half_way == NULL else p.n_mixing, i
    for i in range(n):
        em.entering[i] = 0.5 * (em.entering[i] + em.base[i])
    if p.family.go_half_way != NULL:
        p.family.go_half_way(p.family, em.base + p.n_mixing, em.entering + p.n_mixing)
    copy_state_from(p, em.entering)


cdef void rest_on_entering(em_t *em, double objective) noexcept nogil:
    """The state that the last pass was made at is the one that steps are shortened to."""
    em.entering, em.base = em.base, em.entering
    em.base_objective, em.has_base = objective, True


cdef void note_change(em_t *em, course_t *course, double objective, double before, double tol) noexcept nogil:
    """EM does not lower the objective, but what an M-step adds to its estimates may. Where that is a repair of
    covariances that rounding decides on, the objective rises and falls by more than tol for ever: OUT course.cycles.
    Not where tol is 0: then so many iterations are asked for."""
    cdef double rounding = 1e-6 if em.p.family.real_bytes == sizeof(double) else 1e-4
    cdef swings_t *swings = &course.swings
    if objective < before - rounding * (1 + fabs(before)):
        em.status |= LOWER_BOUND_FELL
    if not tol > 0:
        return
    if objective <= before - tol:
        swings.has_fallen = True
    elif swings.has_fallen and objective >= before + tol:
        swings.has_fallen = False
        swings.n_rebounds += 1
        course.cycles = swings.n_rebounds >= MOST_REBOUNDS


cdef int iterate_plain(em_t *em, void *nothing, double tol, int stop_on, course_t *course) noexcept nogil:
    """Plain EM: converged when the objective moves by less than tol; given up when it cycles."""
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
        note_change(em, course, objective, before, tol)
        course.converged = fabs(objective - before) < tol
        if course.converged or course.cycles:
            return 0
    return 0


cdef int write_objective(void *objectives, const course_t *course, double change, bint is_accepted) noexcept nogil:
    if is_accepted:
        (<double *> objectives)[course.n_accepted - 1] = course.bound
    return 0


# ---- for Python -----------------------------------------------------------------------------------------------------

class Gathered(NamedTuple):
    """What a pass adds up over its rows; what passes at the same parameters have gathered may be added.

    evidence : the log-likelihood of the rows
    n_impossible : how many of them no component can have made
    counts : (n_components,) sums of the responsibilities
    stats : (n_record,), the arrays of the family's `Stats`, one after the other, then those of the proportions
    entropy : of the responsibilities, in nats; 0 where the family is no posterior
    """

    evidence: float
    n_impossible: float
    counts: np.ndarray
    stats: np.ndarray
    entropy: float


class LogEvidence(NamedTuple):
    """The terms of the evidence lower bound after the M-step of a posterior, but for the entropy and `base` of rows.

    components : (n_components,), of the statistics of each
    common : what they have in common, where they share parameters
    proportions : of the counts
    """

    components: np.ndarray
    common: float
    proportions: float


cdef int ask_elsewhere(void *em) noexcept nogil:
    with gil:
        return (<EM> em).take_up()


cdef class Held:
    """Parameters that stay as they are.

    Parameters
    ----------
    params : float64 (n_params,), NaN where a parameter is fitted
    centred : int64, places in the statistics of first moments about parameters that are held
    settled : bool (n_components,), whether what an M-step says of a component is of no meaning
    """

    def __cinit__(self, const double[::1] params not None, const int64_t[::1] centred not None, settled):
        cdef const char[::1] flags = np.ascontiguousarray(settled, dtype=np.int8)
        self.kept = params, centred, flags
        self.c.params, self.c.settled, self.c.n_centred = &params[0], &flags[0], centred.shape[0]
        self.c.centred = &centred[0] if centred.shape[0] else NULL


cdef class EM(Pass):
    """The loop: expectation and maximisation in turn, from a start.

    `status` gathers what the M-steps said since the start, as bits of `mixfast.status.Status`; `n_passes` counts
    the passes, those at states that overshot too, `n_steps` the steps of the last `iterate`.
    """

    def __cinit__(self, *args, **kwargs):
        self.em.p = &self.c
        # rows on disk are read as they lie: one by one in another order would be a seek each
        self.em.prunes = not is_mapped(self.rows.X)
        cdef arena_t arena
        measure_arena(&arena)
        place_guard(&self.em, &arena)
        if self.em.guards:
            self.room = calloc(arena.used, 1)
            if self.room == NULL:
                raise MemoryError
            open_arena(&arena, self.room)
            place_guard(&self.em, &arena)

    def __dealloc__(self):
        free(self.room)
        free(self.kept_room)
        release(&self.em.pruning)

    def hold(self, Held held):
        """Parameters that M-steps leave as they are from now on; None for none."""
        self.held = held
        self.em.held = NULL if held is None else &held.c

    def truncate(self, Py_ssize_t n_active, Pass alike not None, uint64_t seed=0):
        """From now on rows keep n_active components, of those that are found at the present parameters: `alike` is a
        pass of components alike at their means over the same rows, which come first among the parameters of both."""
        cdef arena_t arena
        cdef int code
        if not 0 < n_active <= self.c.family.n_components or alike.c.family.n_components != self.c.family.n_components:
            raise ValueError(f"{n_active} of {self.c.family.n_components} components, and "
                             f"{alike.c.family.n_components} alike")
        measure_arena(&arena)
        place_truncated(&self.em.truncated, n_active, self.c.family.n_components, self.c.rows.n_rows,
                        max(self.c.n_threads, alike.c.n_threads), &arena)
        free(self.kept_room)
        self.kept_room = malloc(arena.used)
        if self.kept_room == NULL:
            self.em.truncated.n_active = 0
            raise MemoryError
        open_arena(&arena, self.kept_room)
        place_truncated(&self.em.truncated, n_active, self.c.family.n_components, self.c.rows.n_rows,
                        max(self.c.n_threads, alike.c.n_threads), &arena)
        self.em.truncated.seed = seed
        with nogil:
            code = begin_truncated(&self.em.truncated, &alike.c, NULL)
        self.check(code)

    @property
    def active(self):
        """(n_samples, n_active) int32: what each row keeps, the best first, -1 where it is less."""
        cdef const truncated_t *t = &self.em.truncated
        cdef int32_t[:, ::1] view
        out = np.empty((self.c.rows.n_rows, t.n_active), dtype=np.int32)
        if out.size:
            view = out
            memcpy(&view[0, 0], t.rows.active, out.nbytes)
        return out

    def start_from_labels(self, const int64_t[::1] labels not None, bint located=False):
        """Parameters from labels (n_samples,); -1 is a row that nothing is known of. Otherwise the first M-step finds
        means, and a second one moments about them; `located=True` says that the means of the present parameters will
        do, as after k-means: there is one M-step then."""
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

    @property
    def guard(self):
        """(n_numbers + n_params,), the state that the last pass was made at, to which M-steps that overshoot go half
        way back; empty where there are none such."""
        return copy_of(self.em.base, n_state_of(&self.c) if self.em.guards and self.em.has_base else 0)

    def rest_on(self, const double[::1] guard not None, double objective):
        """Go on from an earlier `guard`, which had this objective; nothing where it is empty."""
        if not self.em.guards or guard.shape[0] == 0:
            return
        if guard.shape[0] != n_state_of(&self.c):
            raise ValueError(f"a state has {n_state_of(&self.c)} numbers, the guard has {guard.shape[0]}")
        memcpy(self.em.base, &guard[0], guard.shape[0] * sizeof(double))
        self.em.base_objective, self.em.has_base = objective, True

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

    def iterate(self, Py_ssize_t n_steps, double tol, earlier=(), int stop_on=0):
        """Up to n_steps iterations; converged when the objective moves by less than tol.

        Stops early when the status gains a bit of `stop_on`, or is not finite, or when the objective rises and falls in
        turn (`note_change`). `earlier` are the objectives of earlier calls: the first step moves the objective from the
        last of them, and they count where it rises and falls. Returns (objectives, converged).
        """
        cdef course_t course
        cdef double[::1] objectives = np.empty(max(n_steps, 1))
        cdef double before, after
        self.n_steps = 0
        begin_course(&course, earlier[len(earlier) - 1] if len(earlier) else -INFINITY, n_steps)
        for before, after in pairwise(earlier):
            note_change(&self.em, &course, after, before, tol)
        if course.cycles:
            return [], False
        course.note, course.note_data = write_objective, &objectives[0]
        self.follow(tol, stop_on, &course)
        self.n_steps = course.n_steps
        return [objectives[i] for i in range(course.n_accepted)], bool(course.converged)

    def gather(self):
        """One pass at the present parameters, nothing updated: `Gathered`."""
        cdef strategy_t strategy = usual()
        cdef int code
        with nogil:
            code = run_e_step(&self.c, &strategy)
        self.check(code)
        return self.gathered()

    def visit_elsewhere(self, gather, double total_weight, double least_weight):
        """From now on iterations are of rows that are elsewhere: gather(weights, params) returns the `Gathered` of all
        of them at that state, `total_weight` is the sum of their weights and `least_weight` the least above zero. The
        loop is the same; nothing is left out, and the sums of a quick family, which are about rows here, are not made.
        A prior that follows from the rows follows from what `give_common` was given.
        """
        if self.c.family.posterior != NULL and n_common_of(self.c.family) > 0 and not self.c.has_common:
            raise ValueError("the prior follows from rows that are elsewhere: give_common should say what they have in "
                             "common")
        self.gather_elsewhere = gather
        self.c.total_weight, self.c.least_weight, self.c.total_base = total_weight, least_weight, 0
        self.c.elsewhere, self.c.elsewhere_data = ask_elsewhere, <void *> self

    cdef int take_up(self) noexcept:
        """What `gather_elsewhere` returns, as if a pass had added it up; what it raises stops the loop."""
        try:
            gathered = self.gather_elsewhere(*self.state())
            self.restore(gathered.counts, gathered.stats)
            self.c.lanes[LANE_EVIDENCE], self.c.lanes[LANE_IMPOSSIBLE] = gathered.evidence, gathered.n_impossible
            self.c.lanes[LANE_ENTROPY] = gathered.entropy
            return 0
        except BaseException as error:
            raised = error
        PyErr_SetObject(type(raised), raised)
        return STOPPED

    def common(self):
        """What no parameter enters and a prior may follow from, of all rows: (origin, sums about it), as the family
        adds it up."""
        cdef int code
        with nogil:
            code = gather_common(&self.c)
        self.check(code)
        return (copy_of(self.c.origin, self.c.family.n_features),
                copy_of(self.c.common, n_common_of(self.c.family)))

    def give_common(self, const double[::1] origin not None, const double[::1] sums not None):
        """`common` of rows that are elsewhere, from now on that of this pass."""
        cdef Py_ssize_t n_common = n_common_of(self.c.family)
        if origin.shape[0] != self.c.family.n_features or sums.shape[0] != n_common:
            raise ValueError(f"expected an origin of {self.c.family.n_features} numbers and {n_common} sums, got "
                             f"{origin.shape[0]} and {sums.shape[0]}")
        if n_common > 0:
            memcpy(self.c.origin, &origin[0], origin.shape[0] * sizeof(double))
            memcpy(self.c.common, &sums[0], n_common * sizeof(double))
        self.c.has_common = True

    def revisit(self, weights, params):
        """`gather` at other parameters; leaves out what is zero, as iterations do where they are near the last."""
        cdef int code
        Pass.set_state(self, weights, params)
        with nogil:
            code = run_pruned(&self.em)
        self.check(code)
        return self.gathered()

    cdef object gathered(self):
        """What the last pass added up."""
        return Gathered(evidence_of(&self.c), self.c.lanes[LANE_IMPOSSIBLE],
                        copy_of(self.c.lanes + LANE_COUNTS, self.c.family.n_components), self.record(),
                        self.c.lanes[LANE_ENTROPY])

    cdef double *stats(self) noexcept:
        """Those of lane 0."""
        return self.c.lanes + LANE_COUNTS + self.c.family.n_components

    cdef object record(self):
        """The statistics of lane 0 as they travel: those of the family, then those of the proportions."""
        cdef const family_t *family = self.c.family
        cdef double[::1] view
        cdef Py_ssize_t n = record_size(family)
        if family.record == NULL:
            return copy_of(self.stats(), n + self.c.n_row_stats)
        out = np.empty(n + self.c.n_row_stats)
        if len(out):
            view = out
            family.record.collect(family, self.stats(), &view[0])
            memcpy(&view[0] + n, self.stats() + family.n_stats, self.c.n_row_stats * sizeof(double))
        return out

    cdef int restore(self, const double[::1] counts, const double[::1] record) except -1:
        """Into lane 0, as if a pass at the present parameters had added them up."""
        cdef const family_t *family = self.c.family
        cdef Py_ssize_t n = record_size(family)
        if counts.shape[0] != family.n_components or record.shape[0] != n + self.c.n_row_stats:
            raise ValueError(f"expected {family.n_components} counts and a record of {n + self.c.n_row_stats} numbers, "
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
        memcpy(self.stats() + family.n_stats, &record[0] + n, self.c.n_row_stats * sizeof(double))
        return 0

    def maximise(self, const double[::1] counts not None, const double[::1] record not None, double least_weight):
        """The M-step on what passes at the present parameters have gathered; `least_weight` is that of a row, of those
        above zero. Returns the log prior of the parameters that went in; `status` has what the M-step says."""
        cdef double log_prior = 0
        cdef int code = find_log_prior(&self.c, &log_prior)
        self.restore(counts, record)
        self.c.least_weight = least_weight
        if code == 0:
            with nogil:
                code = maximise_all(&self.em, False)
        self.check(code)
        return log_prior

    def log_evidence(self):
        """Of what the last M-step was made of: `LogEvidence`. Posteriors only."""
        cdef const family_t *family = self.c.family
        cdef double common
        if family.posterior == NULL or self.c.proportions.log_evidence == NULL:
            raise ValueError("the log evidence is that of posteriors, of the components and of their proportions")
        common = log_evidence_of_components(&self.c)
        return LogEvidence(copy_of(self.c.work, family.n_components), common, log_evidence_of_counts(&self.c))

    def recentre(self, const double[::1] counts not None, const double[::1] record not None, weights, params):
        """A record gathered at the present parameters, as it would be at others with the same responsibilities;
        None where the family cannot tell. The parameters are then the others."""
        cdef const family_t *family = self.c.family
        cdef double[::1] last_pivot, last_params, last_mixing
        if family.recentre == NULL or (self.c.proportions.of_rows != NULL
                                       and self.c.proportions.of_rows.recentre == NULL):
            return None
        self.restore(counts, record)
        last_pivot, last_params = copy_of(self.c.pivot, family.n_features), copy_of(self.c.params, family.n_params)
        last_mixing = copy_of(self.c.mixing, self.c.n_mixing)
        self.set_state(weights, params)
        prepare(&self.c)
        family.recentre(family, &counts[0], &last_pivot[0], &last_params[0] if family.n_params else NULL,
                        self.c.pivot, self.c.params, self.stats())
        if self.c.proportions.of_rows != NULL:
            self.c.proportions.of_rows.recentre(self.c.proportions, family.n_components, &last_mixing[0],
                                                self.c.mixing, self.c.pivot, self.stats() + family.n_stats)
        if family.needs_gil and getattr(<object> family.owner, "error", None) is not None:
            raise_error_of(family)
        return self.record()

    @property
    def status(self):
        return self.em.status

    @property
    def n_impossible(self):
        return self.em.n_impossible

    @property
    def n_common(self):
        """How many sums `common` has that a prior follows from."""
        return 0 if self.c.family.posterior == NULL else n_common_of(self.c.family)

    @property
    def base(self):
        """The terms of the rows that no parameter enters, as the bound of a posterior has them; 0 for other families,
        whose evidence has them."""
        return 0.0 if self.c.family.posterior == NULL else self.c.total_base

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
        if self.em.pruning.n_passes == 0 and self.em.truncated.n_active == 0:
            return 1.0, 1.0
        return self.em.pruning.densities_done, self.em.pruning.statistics_done
