"""One fit: where EM starts, EM from each start, the best of the starts, criteria. Without the GIL, on any number of
threads, in one block of memory.

A worker is what that takes: `open_worker` makes it as large as the largest problem wants (`room_for`), `fit_models`
uses it for one problem after the other, `close_worker` frees it. None of them needs Python. An estimator's fit
(`fit_rows`) and a batch (`batches/_batch.pyx`) differ in who deals problems to workers, and in nothing else.

Models with as many components have their starts in common: k-means runs once for all covariance types.
"""

from libc.math cimport INFINITY, NAN, log
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

from mixfast._em cimport (
    begin_course,
    begin_em,
    Held,
    course_t,
    evidence_of,
    find_log_prior,
    iterate_plain,
    may_overshoot,
    place_guard,
    start_from_draws,
    start_from_labels,
    start_from_responsibilities,
)
from mixfast.engine._acceleration cimport forget, iterate_accelerated, place_acceleration
from mixfast.engine._capsule cimport BoundFamily
from mixfast.engine._family cimport MIXFAST_SPURIOUS_COMPONENT, chunk_t, family_t
from mixfast.engine._groups cimport run_e_step
from mixfast.engine._kernels cimport rows_t
from mixfast.engine._known cimport begin_at_known, keep_groups_together, label_seeds
from mixfast.engine._line cimport line_t, place_line, suits_line
from mixfast.engine._many cimport find_far, find_many, place_many, set_centres
from mixfast.engine._pass cimport (
    CACHE_LINE,
    LANE_COUNTS,
    LANE_EVIDENCE,
    STOPPED,
    deliver_nothing,
    look_fn,
    look_for_signals,
    measure_arena,
    n_state_of,
    open_arena,
    pass_t,
    place_pass,
    raise_error_of,
    run_pass,
    shape_pass,
    strategy_t,
    take,
    usual,
    visit_only,
    workspace_t,
)
from mixfast.engine._pruning cimport place_pruning, pruning_t, release
from mixfast.engine._reals cimport get
from mixfast.engine._rows cimport Rows, are_finite, copy_row, is_constant, weighed_t
from mixfast.engine._seeding cimport (
    choose_rows,
    kmeans_t,
    place_seeding,
    seed_greedily,
    seeding_t,
    settle,
)
from mixfast.engine._truncated cimport begin_truncated, place_truncated
from mixfast.engine._views cimport N_VIEWS, draw_judges, label_rows, look_about, place_views
from mixfast.engine._spurious cimport bytes_to_find, note_lack_of_rows
from mixfast.proportions._free cimport free_proportions
from mixfast.proportions._proportions cimport Proportions, arrange_clusters, proportions_t

from typing import NamedTuple

import numpy as np

from mixfast.status import Status

cdef int IMPOSSIBLE_ROWS = Status.IMPOSSIBLE_ROWS
cdef int CONVERGED = Status.CONVERGED
cdef int MAX_ITER = Status.MAX_ITER
cdef int TOO_FEW_ROWS = Status.TOO_FEW_ROWS
cdef int CONSTANT_DATA = Status.CONSTANT_DATA

cdef enum:
    # With n_init_policy="halving" starts are compared after so many passes each. docs/seeding.md has the measurements.
    COMPARE_EVERY = 5
    FIRST_TRACE = 64               # objectives that there is room for at first


# ---- a worker -------------------------------------------------------------------------------------------------------

cdef int open_worker(worker_t *w, int n_threads, look_fn look, void *look_data, size_t room) noexcept nogil:
    """A worker whose passes call `look(look_data)` between rounds, and stop where that is not 0. Returns 0, or
    NO_MEMORY where `room` bytes cannot be allocated."""
    memset(w, 0, sizeof(worker_t))
    w.n_threads, w.look, w.look_data = n_threads, look, look_data
    w.block = calloc(room, 1)
    if w.block == NULL:
        return NO_MEMORY
    open_arena(&w.arena, w.block)
    return 0


cdef void close_worker(worker_t *w) noexcept nogil:
    drop_traces(w)
    release(&w.em.pruning)
    free(w.block)
    w.block = NULL


cdef void place_starts(worker_t *w, const plan_t *plan, const model_t *models, Py_ssize_t n_models) noexcept nogil:
    """Cut room for the starts and the best fits of all models from the worker's arena."""
    cdef const family_t *family = models.family
    cdef trial_t *trial
    cdef Py_ssize_t i
    w.arena.used = 0
    w.labels = <int64_t *> take(&w.arena, w.rows.n_rows * sizeof(int64_t))
    w.indices = <int64_t *> take(&w.arena, family.n_components * sizeof(int64_t))
    w.arrivals = <double *> take(&w.arena, family.n_components * sizeof(double))
    w.centres = <double *> take(&w.arena, models.centres.n_params * sizeof(double))
    w.order = NULL
    # rows are sorted by label only for compiled families: one in Python cannot compute a subset of the components
    if w.rows.n_rows <= <Py_ssize_t> 0xFFFFFFFF and not family.needs_gil:
        w.order = <uint32_t *> take(&w.arena, w.rows.n_rows * sizeof(uint32_t))
    w.places = <Py_ssize_t *> take(&w.arena, (family.n_components + 2) * sizeof(Py_ssize_t))
    w.trials = <trial_t *> take(&w.arena, n_models * sizeof(trial_t))
    for i in range(n_models):
        trial = &w.trials[i] if w.arena.base != NULL else NULL
        place_trial(w, trial, &models[i], n_compared_of(plan))
    if plan.looks_about:
        place_views(&w.views, w.seeding_rows.n_rows, w.seeding_rows.n_features, models.centres.n_components,
                    models.centres.isa, &w.arena)
    if w.arena.base != NULL and w.mixing != NULL:
        w.trials.fit.mixing, w.trials.fit.params = w.mixing, w.params
    w.after_starts = w.arena.used


cdef Py_ssize_t n_compared_of(const plan_t *plan) noexcept nogil:
    """How many starts are compared before they are done, at most."""
    return plan.n_init + (N_VIEWS if plan.looks_about else 0) if plan.search.compares else 0


cdef void place_trial(worker_t *w, trial_t *trial, const model_t *m, Py_ssize_t n_starts) noexcept nogil:
    """Cut room for one model's fits. OUT trial: its pointers; NULL where the arena is only measured."""
    cdef fit_t *starts = <fit_t *> take(&w.arena, n_starts * sizeof(fit_t))
    cdef Py_ssize_t i
    if trial != NULL:
        memset(trial, 0, sizeof(trial_t))
        memset(starts, 0, n_starts * sizeof(fit_t))
        trial.starts = starts
    if w.mixing == NULL or trial != w.trials:
        place_fit_state(w, &trial.fit if trial != NULL else NULL, m)
    for i in range(n_starts):
        place_fit_state(w, &starts[i] if trial != NULL else NULL, m)
        if may_overshoot(m.family, m.proportions):
            place_base(w, &starts[i] if trial != NULL else NULL, m)


cdef void place_base(worker_t *w, fit_t *fit, const model_t *m) noexcept nogil:
    cdef double *base = <double *> take(&w.arena, (n_mixing_of(m) + m.family.n_params) * sizeof(double))
    if fit != NULL:
        fit.base = base


cdef void place_fit_state(worker_t *w, fit_t *fit, const model_t *m) noexcept nogil:
    cdef double *mixing = <double *> take(&w.arena, n_mixing_of(m) * sizeof(double))
    cdef double *params = <double *> take(&w.arena, m.family.n_params * sizeof(double))
    if fit != NULL:
        fit.mixing, fit.params = mixing, params


cdef void place_beyond_starts(worker_t *w, const family_t *family, const proportions_t *proportions,
                              const rows_t *rows) noexcept nogil:
    """Shape the worker's pass and cut its room from the arena, behind the starts."""
    w.arena.used = w.after_starts
    shape_pass(&w.fit, family, proportions, rows, w.weighed, w.n_threads, 0)
    w.fit.look, w.fit.look_data = w.look, w.look_data
    place_pass(&w.fit, &w.arena)


cdef void place_em(worker_t *w, const plan_t *plan, const model_t *m) noexcept nogil:
    """Shape EM of the model and cut its room from the arena, behind the starts."""
    release(&w.em.pruning)  # its memory was sized for other rows
    memset(&w.em.pruning, 0, sizeof(pruning_t))
    place_beyond_starts(w, m.family, m.proportions, &w.rows)
    w.em.p, w.em.held = &w.fit, m.held
    w.em.prunes = plan.prunes
    if plan.n_active > 0:
        place_truncated(&w.em.truncated, plan.n_active, m.family.n_components, w.rows.n_rows, w.n_threads, &w.arena)
        shape_pass(&w.search, m.alike, free_proportions(), &w.seeding_rows, w.weighed, w.n_threads, 0)
        w.search.look, w.search.look_data = w.look, w.look_data
        place_pass(&w.search, &w.arena)
    elif plan.prunes and plan.keeps_to_room:
        place_pruning(&w.em.pruning, &w.fit, &w.arena)
    place_guard(&w.em, &w.arena)
    if plan.loop == <loop_fn> iterate_accelerated:
        place_acceleration(&w.acceleration, &w.em, &w.arena)
    w.found = <Py_ssize_t *> take(&w.arena, bytes_to_find(m.family.n_components, m.n_rows_needed))


cdef size_t room_for(const plan_t *plan, const model_t *models, Py_ssize_t n_models, const rows_t *rows,
                     const rows_t *seeding_rows, int n_threads) noexcept nogil:
    """Bytes of workspace that `fit_models` needs."""
    cdef worker_t w
    cdef seeding_t seeding
    cdef line_t line
    cdef size_t largest
    cdef Py_ssize_t i
    memset(&w, 0, sizeof(worker_t))
    w.n_threads, w.rows, w.seeding_rows = n_threads, rows[0], seeding_rows[0]
    measure_arena(&w.arena)
    place_starts(&w, plan, models, n_models)
    place_beyond_starts(&w, models.candidates, free_proportions(), &w.seeding_rows)
    place_seeding(&seeding, &w.fit, &w.arena)
    largest = w.arena.used
    place_beyond_starts(&w, models.centres, free_proportions(), &w.seeding_rows)
    if suits_line(&w.fit):
        place_line(&line, &w.fit, &w.arena)
    largest = max(largest, w.arena.used)
    if plan.n_active > 0:
        place_far_seeds(&w, models)
        largest = max(largest, w.arena.used)
    for i in range(n_models):
        place_em(&w, plan, &models[i])
        largest = max(largest, w.arena.used)
    return largest + CACHE_LINE  # the block may begin anywhere


# ---- starts ---------------------------------------------------------------------------------------------------------

cdef int find_seeds(worker_t *w, const model_t *m, uint64_t seed, uint32_t start) noexcept nogil:
    cdef seeding_t seeding
    place_beyond_starts(w, m.candidates, free_proportions(), &w.seeding_rows)
    place_seeding(&seeding, &w.fit, &w.arena)
    # weights must be initialised before a pass takes their logarithms
    w.fit.proportions.begin(w.fit.proportions, w.fit.family.n_components, w.fit.mixing)
    return seed_greedily(&w.fit, &seeding, m.centres.n_components, seed, start, w.indices)


cdef void place_far_seeds(worker_t *w, const model_t *m) noexcept nogil:
    place_beyond_starts(w, m.alike, free_proportions(), &w.seeding_rows)
    place_many(&w.many, &w.fit, m.family.n_components, &w.arena)


cdef int find_many_far_rows(worker_t *w, const plan_t *plan, const model_t *m, uint64_t seed,
                            uint32_t start) noexcept nogil:
    """OUT w.indices [n_components]: rows for `begin_at_rows`, by a search that suits very many components."""
    place_far_seeds(w, m)
    return find_far(&w.fit, &w.many, m.alike_blank, m.family.n_components, seed, start, w.indices)


cdef int find_many_clusters(worker_t *w, const plan_t *plan, const model_t *m, uint64_t seed,
                            uint32_t start) noexcept nogil:
    """OUT w.labels [n_rows], w.centres [n_components][n_features]: k-means for very many components."""
    cdef int code
    place_far_seeds(w, m)
    code = find_many(&w.fit, &w.many, m.alike_blank, seed, start, plan.lloyd_tol, w.labels)
    memcpy(w.centres, w.fit.params, m.family.n_components * w.fit.family.n_features * sizeof(double))
    return code


cdef int begin_keeping(worker_t *w, const plan_t *plan, const model_t *m, uint64_t seed) noexcept nogil:
    """Truncated posteriors: find the components that each row keeps at first, from the parameters of a start."""
    cdef Py_ssize_t n_means = m.family.n_components * m.family.n_features
    memset(w.search.params, 0, m.alike.n_params * sizeof(double))
    memcpy(w.search.params, w.fit.params, n_means * sizeof(double))
    set_centres(&w.search, m.alike_blank, m.family.n_components)
    w.em.truncated.seed = seed
    return begin_truncated(&w.em.truncated, &w.search,
                           w.labels if plan.start.find == find_many_clusters and not m.has_start else NULL)


cdef void label_outliers(worker_t *w, const model_t *m) noexcept nogil:
    """Label rows that have weight 0 in k-means: with the component without parameters (noise), which begins with them;
    or with -1, out of the start, if there is no such component. IN and OUT w.labels [n_rows]."""
    cdef int64_t label = m.centres.n_components if m.centres.n_components < m.family.n_components else -1
    cdef Py_ssize_t i
    if w.seeding_rows.weight != NULL:
        for i in range(w.rows.n_rows):
            if w.seeding_rows.weight[i] == 0:
                w.labels[i] = label


cdef int find_clusters(worker_t *w, const plan_t *plan, const model_t *m, uint64_t seed,
                       uint32_t start) noexcept nogil:
    """k-means. OUT w.labels [n_rows], w.centres [n_clusters][n_features]."""
    cdef pass_t *p = &w.fit
    cdef kmeans_t found
    cdef line_t line
    cdef bint has_line
    cdef Py_ssize_t k
    cdef int code = find_seeds(w, m, seed, start)
    if code != 0:
        return code
    place_beyond_starts(w, m.centres, free_proportions(), &w.seeding_rows)
    p.proportions.begin(p.proportions, m.centres.n_components, p.mixing)
    for k in range(m.centres.n_components):
        copy_row(&p.rows, w.indices[k], p.params + k * p.family.n_features)
    if p.rows.known != NULL:
        begin_at_known(&p.rows, m.centres.n_components, w.indices, w.arrivals, p.params, w.centres)
    has_line = suits_line(p) and p.rows.known == NULL
    if has_line:
        place_line(&line, p, &w.arena)
    code = settle(p, w.labels, plan.lloyd_tol, plan.lloyd_max_iter, &line if has_line else NULL, &found)
    if code != 0:
        return code  # some rows may have no labels yet
    memcpy(w.centres, p.params, p.family.n_params * sizeof(double))
    label_outliers(w, m)
    if w.rows.groups != NULL:
        keep_groups_together(&w.rows, m.family.n_components, w.arrivals, w.labels)
    # clusters are not renumbered where known labels or sets fix the numbers of components
    if (w.rows.known == NULL and w.seeding_rows.known == NULL
            and m.centres.n_components == m.family.n_components):
        arrange_clusters(m.proportions, m.family.n_components, w.rows.n_rows, w.rows.weight, w.arrivals, w.places,
                         w.labels, p.family.n_features, w.centres)
    return code


cdef int begin_at_clusters(worker_t *w, const plan_t *plan, const model_t *m, uint64_t seed,
                           uint32_t start) noexcept nogil:
    """Parameters from the labels of k-means. If the family names the parameters that take cluster means
    (`Family.located`), the centres are written there first and second moments are taken about them: that saves an
    M-step."""
    cdef Py_ssize_t j
    for j in range(m.n_located):
        w.fit.params[m.located[j]] = w.centres[j]
    return start_from_labels(&w.em, w.labels, 2 if m.located == NULL else 1, w.order, w.places)


cdef const rows_t *rows_to_view(const worker_t *w) noexcept nogil:
    """The rows as they are, where they have the columns that k-means sees: what is drawn in for k-means has no straight
    lines. Rows with missing entries have one column more."""
    return &w.rows if w.rows.n_features == w.seeding_rows.n_features else &w.seeding_rows


cdef int find_clusters_or_view(worker_t *w, const plan_t *plan, const model_t *m, uint64_t seed,
                               uint32_t start) noexcept nogil:
    """k-means for the first n_init starts, then the views of the rows that see other groups than the first of these.
    OUT as `find_clusters`."""
    cdef Py_ssize_t i
    cdef int code
    if start < plan.n_init:
        code = find_clusters(w, plan, m, seed, start)
        if code == 0 and start == 0 and plan.looks_about:
            look_about(&w.views, rows_to_view(w), w.labels, seed)
            if plan.n_init > 1 or w.views.n_found > 0:  # a start that is alone is compared with none: see `weigh_up`
                draw_judges(&w.views, rows_to_view(w), seed)
        return code
    place_beyond_starts(w, m.centres, free_proportions(), rows_to_view(w))
    # weights must be initialised before a pass takes their logarithms
    w.fit.proportions.begin(w.fit.proportions, m.centres.n_components, w.fit.mixing)
    code = label_rows(&w.views, start - plan.n_init, &w.fit, w.labels)
    memcpy(w.centres, w.fit.params, w.fit.family.n_params * sizeof(double))
    memset(w.places, 0, m.centres.n_components * sizeof(Py_ssize_t))
    for i in range(w.rows.n_rows):
        w.places[w.labels[i]] += 1
    for i in range(m.centres.n_components):
        if code == 0 and w.places[i] < max(m.n_rows_needed, 1):
            code = NO_START
    return code


cdef int find_far_rows(worker_t *w, const plan_t *plan, const model_t *m, uint64_t seed,
                       uint32_t start) noexcept nogil:
    """OUT w.indices [n_components]: rows for `begin_at_rows`, by greedy k-means++."""
    return find_seeds(w, m, seed, start)


cdef int find_random_rows(worker_t *w, const plan_t *plan, const model_t *m, uint64_t seed,
                          uint32_t start) noexcept nogil:
    """OUT w.indices [n_components]: rows for `begin_at_rows`, drawn with probabilities proportional to their
    weights."""
    choose_rows(&w.rows, m.family.n_components, seed, start, w.arrivals, w.indices)
    return 0


cdef int begin_at_rows(worker_t *w, const plan_t *plan, const model_t *m, uint64_t seed,
                       uint32_t start) noexcept nogil:
    """Parameters from one row for each component, w.indices; components with labelled rows begin with these instead."""
    cdef Py_ssize_t i
    if w.rows.known != NULL or w.rows.groups != NULL:
        label_seeds(&w.rows, m.family.n_components, w.indices, w.labels)
        return start_from_labels(&w.em, w.labels, 2, w.order, w.places)
    for i in range(w.rows.n_rows):
        w.labels[i] = -1
    for i in range(m.family.n_components):
        w.labels[w.indices[i]] = i
    return start_from_labels(&w.em, w.labels, 2, w.order, w.places)


cdef int find_nothing(worker_t *w, const plan_t *plan, const model_t *m, uint64_t seed, uint32_t start) noexcept nogil:
    """`find` of starts that need no search: given ones, and random ones, which the first pass draws."""
    return 0


cdef int begin_at_draws(worker_t *w, const plan_t *plan, const model_t *m, uint64_t seed,
                        uint32_t start) noexcept nogil:
    return start_from_draws(&w.em, seed, start)


cdef int begin_at_labels(worker_t *w, const plan_t *plan, const model_t *m, uint64_t seed,
                         uint32_t start) noexcept nogil:
    return start_from_labels(&w.em, <const int64_t *> plan.given, 2, w.order, w.places)


cdef int begin_at_responsibilities(worker_t *w, const plan_t *plan, const model_t *m, uint64_t seed,
                                   uint32_t start) noexcept nogil:
    return start_from_responsibilities(&w.em, <const double *> plan.given)


cdef start_t start_of(start_fn find, start_fn begin):
    cdef start_t start
    start.find, start.begin = find, begin
    return start


cdef start_t start_named(name, bint has_many):
    """The start that `init_params` names. `has_many`: n_components is so large that n_active limits what rows keep."""
    if name == "auto":
        return start_of(find_clusters_or_view, begin_at_clusters)
    if has_many and name == "kmeans":
        return start_of(find_many_clusters, begin_at_clusters)
    if has_many and name == "k-means++":
        return start_of(find_many_far_rows, begin_at_rows)
    if name == "kmeans":
        return start_of(find_clusters, begin_at_clusters)
    if name == "k-means++":
        return start_of(find_far_rows, begin_at_rows)
    if name == "random_from_data":
        return start_of(find_random_rows, begin_at_rows)
    if name == "random":
        return start_of(find_nothing, begin_at_draws)
    raise ValueError(f"there is no start {name!r}")


# ---- EM from a start ------------------------------------------------------------------------------------------------

# Data of `note_pass`, which is called after each pass of a fit.
ctypedef struct witness_t:
    fit_t *fit
    const observer_t *observer
    bint traces                    # whether fit.trace gets the objectives
    Py_ssize_t n_before            # passes that the fit made before this course


cdef int note_pass(void *data, const course_t *course, double change, bint is_accepted) noexcept nogil:
    cdef witness_t *witness = <witness_t *> data
    cdef int code = 0
    if witness.traces and is_accepted:
        code = append(&witness.fit.trace, course.bound)
    if code == 0 and witness.observer != NULL:
        code = witness.observer.end_pass(witness.observer.data, witness.n_before + course.n_steps, change,
                                         course.bound if is_accepted else NAN)
    return code


cdef int append(trace_t *trace, double value) noexcept nogil:
    cdef double *longer
    if trace.n == trace.room:
        longer = <double *> realloc(trace.values, max(FIRST_TRACE, 2 * trace.room) * sizeof(double))
        if longer == NULL:
            return NO_MEMORY
        trace.values, trace.room = longer, max(FIRST_TRACE, 2 * trace.room)
    trace.values[trace.n] = value
    trace.n += 1
    return 0


cdef int begin(worker_t *w, const plan_t *plan, const model_t *m, trial_t *trial, uint64_t seed, uint32_t start,
               int *status) noexcept nogil:
    """Set the engine's state to a start that was found, then overwrite the numbers that the user gave. OUT status:
    flags of the start's M-step. A single start works in the result's memory, without a copy: parameters are 46 MB for 8
    full covariances of 600 columns."""
    cdef const family_t *family = m.family
    cdef Py_ssize_t i
    cdef int code = 0
    status[0] = 0
    place_em(w, plan, m)
    if plan.n_init == 1 and not plan.search.compares:
        w.fit.params = trial.fit.params
    begin_em(&w.em)
    m.proportions.begin(m.proportions, family.n_components, w.fit.mixing)
    if w.fit.params != m.blank:
        memcpy(w.fit.params, m.blank, family.n_params * sizeof(double))
    if not m.has_start:
        code = plan.start.begin(w, plan, m, seed, start)
        status[0] = w.em.status
        if code != 0 or status[0] & plan.stop_on:
            return code
    if m.given_params != NULL:
        for i in range(w.fit.n_mixing):
            if m.given_mixing[i] == m.given_mixing[i]:
                w.fit.mixing[i] = m.given_mixing[i]
        for i in range(family.n_params):
            if m.given_params[i] == m.given_params[i]:
                w.fit.params[i] = m.given_params[i]
    return begin_keeping(w, plan, m, seed) if plan.n_active > 0 else 0


cdef int go_on(worker_t *w, const plan_t *plan, const model_t *m, fit_t *fit, Py_ssize_t n_steps) noexcept nogil:
    """Run EM from the engine's present state: at most n_steps more passes, and at most max_iter in all."""
    cdef course_t course
    cdef witness_t witness
    cdef int code
    n_steps = min(n_steps, plan.max_iter - fit.n_iter)
    if n_steps == 0 or fit.converged or fit.cycles:
        return 0
    if fit.n_iter > 0 or plan.looks_about:
        code = tell_of_start(plan, fit.start)
        if code != 0:
            return code
    begin_em(&w.em)
    if fit.base != NULL and fit.has_base:
        memcpy(w.em.base, fit.base, n_state_of(&w.fit) * sizeof(double))
        w.em.base_objective, w.em.has_base = fit.base_objective, True
    forget(&w.acceleration)
    begin_course(&course, fit.before if fit.lower_bound == -INFINITY else fit.lower_bound, n_steps)
    course.swings = fit.swings
    if plan.traces or plan.observer != NULL:
        witness.fit, witness.observer, witness.traces, witness.n_before = fit, plan.observer, plan.traces, fit.n_iter
        course.note, course.note_data = note_pass, &witness
    code = plan.loop(&w.em, &w.acceleration, plan.tol, plan.stop_on, &course)
    if code == 0 and course.n_steps > 0 and not w.em.status & plan.stop_on:
        code = note_lack_of_rows(&w.em, m.centres.n_components, m.n_rows_needed, w.found)
    fit.status = fit.status & ~(IMPOSSIBLE_ROWS | MIXFAST_SPURIOUS_COMPONENT) | w.em.status
    if w.em.n_impossible > 0:
        fit.status |= IMPOSSIBLE_ROWS
    if course.n_accepted > 0:
        fit.lower_bound = course.bound
    fit.n_iter += course.n_steps
    fit.converged, fit.cycles, fit.swings = course.converged, course.cycles, course.swings
    if code == 0 and plan.observer != NULL and (fit.converged or fit.cycles or fit.n_iter == plan.max_iter):
        code = plan.observer.end_start(plan.observer.data, fit.lower_bound, fit.converged)
    return code


cdef int resume(worker_t *w, const plan_t *plan, const model_t *m, fit_t *fit, Py_ssize_t n_steps) noexcept nogil:
    """Restore a start that was put aside and run at most n_steps more passes of it."""
    cdef int code
    place_em(w, plan, m)
    memcpy(w.fit.mixing, fit.mixing, w.fit.n_mixing * sizeof(double))
    memcpy(w.fit.params, fit.params, m.family.n_params * sizeof(double))
    code = go_on(w, plan, m, fit, n_steps)
    put_aside(w, fit)
    return code


cdef void put_aside(const worker_t *w, fit_t *fit) noexcept nogil:
    """Copies the engine's state into the fit, so that the engine is free for another start."""
    memcpy(fit.mixing, w.fit.mixing, w.fit.n_mixing * sizeof(double))
    if fit.params != w.fit.params:
        memcpy(fit.params, w.fit.params, w.fit.family.n_params * sizeof(double))
    if fit.base != NULL and w.em.has_base:
        memcpy(fit.base, w.em.base, n_state_of(&w.fit) * sizeof(double))
        fit.base_objective, fit.has_base = w.em.base_objective, True


cdef void begin_fit(fit_t *fit, const plan_t *plan, uint32_t start) noexcept nogil:
    """OUT fit: a fit of this start before its first pass."""
    fit.start, fit.before, fit.lower_bound = start, plan.before, -INFINITY
    fit.n_iter = fit.status = 0
    fit.converged = fit.cycles = fit.has_base = fit.swings.has_fallen = False
    fit.swings.n_rebounds = 0
    memset(&fit.trace, 0, sizeof(trace_t))


cdef void take_over(fit_t *fit, fit_t *other) noexcept nogil:
    """Copy all of another fit but the arrays of its state. Its trace moves: `other` has none afterwards."""
    cdef double *mixing = fit.mixing
    cdef double *params = fit.params
    cdef double *base = fit.base
    free(fit.trace.values)
    fit[0] = other[0]
    fit.mixing, fit.params, fit.base = mixing, params, base
    memset(&other.trace, 0, sizeof(trace_t))


# ---- the best of several starts -------------------------------------------------------------------------------------

cdef bint is_better(const fit_t *fit, const fit_t *other) noexcept nogil:
    """A fit without spurious components beats one that has some; otherwise the larger lower bound wins."""
    cdef bint is_spurious = fit.status & MIXFAST_SPURIOUS_COMPONENT != 0
    cdef bint other_is = other.status & MIXFAST_SPURIOUS_COMPONENT != 0
    return other_is if is_spurious != other_is else fit.lower_bound > other.lower_bound


cdef bint beats(const fit_t *fit, const fit_t *other) noexcept nogil:
    return other.lower_bound == -INFINITY or is_better(fit, other)


cdef void note_failure(const plan_t *plan, trial_t *trial, const fit_t *fit, int code) noexcept nogil:
    """Record how a start ended: its code, and whether the model fails with it. One failed start fails the model."""
    trial.code = code
    trial.fails = code != 0 or fit.status & plan.stop_on != 0


cdef int converge(worker_t *w, const plan_t *plan, const model_t *m, trial_t *trial, uint32_t start) noexcept nogil:
    """Policy "all": run each start until it converges, and keep the best."""
    cdef fit_t fit
    fit.base = NULL  # this fit is never put aside
    begin_fit(&fit, plan, start)
    note_failure(plan, trial, &fit, go_on(w, plan, m, &fit, plan.max_iter))
    if trial.fails or start == 0 or beats(&fit, &trial.fit):
        put_aside(w, &trial.fit)
        take_over(&trial.fit, &fit)
    free(fit.trace.values)
    return trial.code


cdef int nothing_left(worker_t *w, const plan_t *plan, const model_t *m, trial_t *trial) noexcept nogil:
    return 0


cdef int go_a_little(worker_t *w, const plan_t *plan, const model_t *m, trial_t *trial,
                     uint32_t start) noexcept nogil:
    """Run each start for some passes. `choose` then says which ones continue. A start that is alone runs to its end."""
    cdef fit_t *fit = &trial.starts[trial.n_started]
    cdef int code
    if plan.n_init == 1:
        return converge(w, plan, m, trial, start)
    trial.n_started += 1
    begin_fit(fit, plan, start)
    code = go_on(w, plan, m, fit, COMPARE_EVERY)
    put_aside(w, fit)
    return end_of_a_little(plan, m, trial, fit, code)


cdef int weigh_up(worker_t *w, const plan_t *plan, const model_t *m, trial_t *trial, uint32_t start) noexcept nogil:
    """Put each start aside before its first pass, with what it promises. `choose_by_promise` then says which ones
    continue. A start that is alone runs to its end."""
    cdef fit_t *fit = &trial.starts[trial.n_started]
    cdef int code
    if plan.n_init == 1 and w.views.n_found == 0:
        return converge(w, plan, m, trial, start)
    trial.n_started += 1
    begin_fit(fit, plan, start)
    code = find_promise(w, &fit.promise)
    put_aside(w, fit)
    return end_of_a_little(plan, m, trial, fit, code)


cdef int find_promise(worker_t *w, double *promise) noexcept nogil:
    """OUT promise: the objective of the engine's state, by the judges among the rows; -INFINITY where it has a spurious
    component."""
    cdef pass_t *p = &w.fit
    cdef Py_ssize_t n_rows = p.rows.n_rows, n_judges = w.views.n_judges, i
    cdef int n_threads = p.n_threads
    cdef const double *weight = p.rows.weight
    cdef double log_prior = 0, total = p.total_weight
    cdef strategy_t strategy = usual()
    cdef int code = find_log_prior(p, &log_prior)
    if code != 0:
        return code
    if w.order != NULL and n_judges < n_rows:
        for i in range(n_judges):
            w.order[i] = <uint32_t> w.views.judges[i]
        visit_only(p, w.order, n_judges, n_threads)
        p.rows.weight, total = NULL, <double> n_judges
    strategy.deliver = deliver_nothing
    code = run_pass(p, &strategy)
    p.rows.weight = weight
    visit_only(p, NULL, n_rows, n_threads)
    promise[0] = p.lanes[LANE_EVIDENCE] / total + log_prior / p.total_weight
    if w.em.status & MIXFAST_SPURIOUS_COMPONENT or promise[0] != promise[0]:
        promise[0] = -INFINITY
    return code


cdef int end_of_a_little(const plan_t *plan, const model_t *m, trial_t *trial, fit_t *fit, int code) noexcept nogil:
    note_failure(plan, trial, fit, code)
    if trial.fails:
        keep(m, trial, fit)
    return code


cdef void keep(const model_t *m, trial_t *trial, fit_t *fit) noexcept nogil:
    """Copy one of the compared starts, with its state, to the model's result."""
    take_over(&trial.fit, fit)
    memcpy(trial.fit.mixing, fit.mixing, n_mixing_of(m) * sizeof(double))
    memcpy(trial.fit.params, fit.params, m.family.n_params * sizeof(double))


cdef bint promises_more(const fit_t *fit, const fit_t *other) noexcept nogil:
    return fit.promise > other.promise


ctypedef bint (*comes_first_fn)(const fit_t *, const fit_t *) noexcept nogil


cdef void sort_fits(fit_t *fits, Py_ssize_t n, comes_first_fn comes_first) noexcept nogil:
    """Stable. By insertion: starts are few."""
    cdef Py_ssize_t i, j
    cdef fit_t fit
    for i in range(1, n):
        fit = fits[i]
        j = i
        while j > 0 and comes_first(&fit, &fits[j - 1]):
            fits[j] = fits[j - 1]
            j -= 1
        fits[j] = fit


cdef int choose(worker_t *w, const plan_t *plan, const model_t *m, trial_t *trial) noexcept nogil:
    """After all starts made some passes: the better half makes COMPARE_EVERY passes more, and so on until one is
    left."""
    return choose_of(w, plan, m, trial, trial.n_started)


cdef int choose_by_promise(worker_t *w, const plan_t *plan, const model_t *m, trial_t *trial) noexcept nogil:
    """Of starts that made no pass and of views as many go on as were asked for, those that promise most."""
    cdef Py_ssize_t n_left = min(trial.n_started, plan.n_init), i
    sort_fits(trial.starts, trial.n_started, promises_more)
    for i in range(n_left if plan.halves and n_left > 1 else 0):
        end_of_a_little(plan, m, trial, &trial.starts[i], resume(w, plan, m, &trial.starts[i], COMPARE_EVERY))
        if trial.fails:
            return trial.code
    return choose_of(w, plan, m, trial, n_left)


cdef int choose_of(worker_t *w, const plan_t *plan, const model_t *m, trial_t *trial, Py_ssize_t n_left) noexcept nogil:
    """Run n_left starts until they converge, with the policy "halving" the one that is left when the worse half was
    dropped again and again. If the best of these ends with a spurious component, the start that was dropped last is run
    to its end as well, and so on until one ends without."""
    cdef fit_t *fits = trial.starts
    cdef Py_ssize_t i
    while plan.halves and n_left > 1:
        sort_fits(fits, n_left, is_better)
        n_left = (n_left + 1) // 2
        for i in range(n_left):
            end_of_a_little(plan, m, trial, &fits[i], resume(w, plan, m, &fits[i], COMPARE_EVERY))
            if trial.fails:
                return trial.code
    for i in range(trial.n_started):
        if i >= n_left and not trial.fit.status & MIXFAST_SPURIOUS_COMPONENT:
            break
        end_of_a_little(plan, m, trial, &fits[i], resume(w, plan, m, &fits[i], plan.max_iter))
        if trial.fails:
            return trial.code
        if i == 0 or beats(&fits[i], &trial.fit):
            keep(m, trial, &fits[i])
    return 0


cdef int set_search(plan_t *plan, name) except -1:
    """What the policy that `n_init_policy` names takes."""
    if name not in ("all", "halving"):
        raise ValueError(f"there is no policy {name!r}")
    plan.halves = name == "halving"
    plan.search.compares = plan.halves or plan.looks_about
    if plan.looks_about:
        plan.search.take, plan.search.conclude = weigh_up, choose_by_promise
    elif plan.halves:
        plan.search.take, plan.search.conclude = go_a_little, choose
    else:
        plan.search.take, plan.search.conclude = converge, nothing_left
    return 0


# ---- criteria -------------------------------------------------------------------------------------------------------

cdef int add_completed(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                       double *lane) noexcept nogil:
    """`deliver` for ICL: add weight * log(largest responsibility) of each row to the lane, in place of statistics."""
    cdef double *total = lane + LANE_COUNTS + p.family.n_components
    cdef Py_ssize_t r
    cdef double weight
    p.kernels.argmax(p.family.n_components, chunk.n_rows, chunk.stride, space.resp, space.places,
                     space.softmax_scratch)
    for r in range(chunk.n_rows):
        weight = get(space.weight, p.family.real_bytes, r)
        total[0] += weight * log(get(space.softmax_scratch, p.family.real_bytes, r) / weight)
    return 0


cdef double log_likelihood(worker_t *w) noexcept nogil:
    cdef pass_t p = w.fit
    cdef strategy_t strategy = usual()
    p.rows.order = NULL
    strategy.deliver = deliver_nothing
    return evidence_of(&p) if run_e_step(&p, &strategy) == 0 else NAN


cdef double bic(worker_t *w, double n_free) noexcept nogil:
    return -2 * log_likelihood(w) * (w.n_effective / w.weighed.total) + n_free * log(w.n_effective)


cdef double aic(worker_t *w, double n_free) noexcept nogil:
    return -2 * log_likelihood(w) * (w.n_effective / w.weighed.total) + 2 * n_free


cdef double icl(worker_t *w, double n_free) noexcept nogil:
    cdef pass_t p = w.fit
    cdef strategy_t strategy = usual()
    cdef double completed
    p.rows.order = NULL
    strategy.deliver = add_completed
    if run_e_step(&p, &strategy) != 0:
        return NAN
    completed = evidence_of(&p) + p.lanes[LANE_COUNTS + p.family.n_components]
    return -2 * completed * (w.n_effective / w.weighed.total) + n_free * log(w.n_effective)


cdef criterion_fn criterion_named(name) except NULL:
    if name == "bic":
        return bic
    if name == "aic":
        return aic
    if name == "icl":
        return icl
    raise ValueError(f"there is no criterion {name!r} that a pass computes")


# ---- one problem ----------------------------------------------------------------------------------------------------

cdef int fit_models(worker_t *w, const plan_t *plan, const model_t *models, Py_ssize_t n_models, const rows_t *rows,
                    const rows_t *seeding_rows, weighed_t weighed, const double *n_effective,
                    uint64_t seed) noexcept nogil:
    """Fit every model to one problem: the best of all starts of each.

    IN models [n_models]: all with the same n_components; all of them or none with a wholly given start. `weighed`: what
    `weigh(rows)` returned. `n_effective`: the number of rows that criteria count, or NULL for the sum of the weights.
    OUT w.trials [n_models], valid until the worker's next problem.
    Returns STOPPED if `look` or an observer says so, else 0; failures of a model are in its trial.
    """
    cdef Py_ssize_t n_rows = rows.n_rows, start = 0, i
    cdef bint too_few = n_rows < max(models.family.n_components, 2)
    cdef Py_ssize_t n_left
    cdef int found, code
    w.rows, w.seeding_rows = rows[0], seeding_rows[0]
    w.weighed = weighed
    w.n_effective = w.weighed.total if n_effective == NULL else n_effective[0]
    drop_traces(w)
    place_starts(w, plan, models, n_models)
    w.n_trials, w.n_compared, w.views.n_found = n_models, n_compared_of(plan), 0
    for i in range(n_models):
        begin_fit(&w.trials[i].fit, plan, 0)
        w.trials[i].criterion = NAN
        w.trials[i].fit.status, w.trials[i].fails = TOO_FEW_ROWS if too_few else 0, too_few
    if too_few:
        return 0
    while start < plan.n_init + w.views.n_found:
        code = 0 if plan.looks_about else tell_of_start(plan, <uint32_t> start)  # else when it goes on
        found = 0 if models.has_start or code != 0 else plan.start.find(w, plan, models, seed, <uint32_t> start)
        if code != 0 or found == STOPPED:
            return code if code != 0 else found
        start += 1
        if found == NO_START:
            continue
        n_left = 0
        for i in range(n_models):
            if not w.trials[i].fails:
                code = try_start(w, plan, &models[i], &w.trials[i], found, seed, <uint32_t> (start - 1))
            if code == STOPPED:
                return code
            n_left += not w.trials[i].fails
        if n_left == 0:
            break
    for i in range(n_models):
        code = 0 if w.trials[i].fails else plan.search.conclude(w, plan, &models[i], &w.trials[i])
        if code == STOPPED:
            return code
        judge(w, plan, &models[i], &w.trials[i])
    return 0


cdef int tell_of_start(const plan_t *plan, uint32_t start) noexcept nogil:
    return 0 if plan.observer == NULL else plan.observer.begin_start(plan.observer.data, start)


cdef int try_start(worker_t *w, const plan_t *plan, const model_t *m, trial_t *trial, int found, uint64_t seed,
                   uint32_t start) noexcept nogil:
    """Run EM of a model from one more start. IN found: the return code of the start's `find`."""
    cdef int status = 0
    cdef int code = found if found != 0 else begin(w, plan, m, trial, seed, start, &status)
    if code == 0 and not status & plan.stop_on:
        return plan.search.take(w, plan, m, trial, start)
    trial.code, trial.fails, trial.fit.status = code, True, status
    if found == 0:
        put_aside(w, &trial.fit)
    return code


cdef void drop_traces(worker_t *w) noexcept nogil:
    """Free the traces of the last problem, which are allocated outside the arena."""
    cdef Py_ssize_t i, j
    for i in range(w.n_trials):
        free(w.trials[i].fit.trace.values)
        for j in range(w.n_compared):
            free(w.trials[i].starts[j].trace.values)
    w.n_trials = 0


cdef void judge(worker_t *w, const plan_t *plan, const model_t *m, trial_t *trial) noexcept nogil:
    """OUT trial: the final status of a model's best fit, and its criterion if the plan has one."""
    trial.fails = trial.fails or not (
        are_finite(trial.fit.mixing, n_mixing_of(m), sizeof(double))
        and are_finite(trial.fit.params, m.family.n_params, sizeof(double)))
    if is_constant(&w.rows):
        trial.fit.status |= CONSTANT_DATA
    if trial.fails:
        return
    if trial.fit.converged:
        trial.fit.status |= CONVERGED
    elif plan.max_iter > 0:
        trial.fit.status |= MAX_ITER
    if plan.criterion != NULL:
        place_em(w, plan, m)
        memcpy(w.fit.mixing, trial.fit.mixing, w.fit.n_mixing * sizeof(double))
        memcpy(w.fit.params, trial.fit.params, m.family.n_params * sizeof(double))
        trial.criterion = plan.criterion(w, m.n_free)


# ---- for Python -----------------------------------------------------------------------------------------------------

cdef bint has_unknown(const double[::1] given) noexcept:
    cdef Py_ssize_t i
    for i in range(given.shape[0]):
        if given[i] != given[i]:
            return True
    return False


cdef class Model:
    """A model of the rows, for the engine: see `model_t`.

    Parameters
    ----------
    family : capsule of the family that is fitted
    centres, candidates : capsules of the centres family, for k-means and for k-means++
    proportions : Proportions
    blank : (n_params,), parameters at which the first statistics, those of a start, are gathered
    located : int64 (n_located,), indices into `params` of the numbers that take the centres of k-means, or None
    given : (numbers of the proportions, parameters (n_params,)), NaN where a start has to find them; None for nothing
    n_free, n_rows_needed : int
    held : Held or None, parameters that M-steps do not change
    alike : (capsule, params (n_params,)) of the family that finds clusters for truncated posteriors: as many components
        as seeds, equal but for their means; or None. Means come first among the parameters of both families.
    """

    def __cinit__(self, family, Proportions proportions not None, centres, candidates, double[::1] blank not None,
                  located, given, double n_free, Py_ssize_t n_rows_needed, Held held=None, alike=None):
        cdef const int64_t[::1] places
        cdef const double[::1] weights, params
        cdef BoundFamily fitted = BoundFamily(family), moved = BoundFamily(centres), drawn = BoundFamily(candidates)
        self.c.family, self.c.centres, self.c.candidates = &fitted.c, &moved.c, &drawn.c
        self.c.proportions = &proportions.c
        self.kept, self.blank = (fitted, proportions, moved, drawn, located, given, held), blank
        self.c.held = NULL if held is None else &held.c
        cdef BoundFamily searched
        cdef const double[::1] alike_blank
        if alike is not None:
            searched, alike_blank = BoundFamily(alike[0]), alike[1]
            self.c.alike, self.c.alike_blank = &searched.c, &alike_blank[0]
            self.alike_blank = searched, alike_blank
        if blank.shape[0] != self.c.family.n_params:
            raise ValueError(f"blank has {blank.shape[0]} numbers, the family {self.c.family.n_params} parameters")
        self.c.blank = &blank[0]
        if given is not None:
            weights, params = given
            if weights.shape[0] != n_mixing_of(&self.c) or params.shape[0] != self.c.family.n_params:
                raise ValueError(f"given are {weights.shape[0]} weights and {params.shape[0]} parameters, the family "
                                 f"has {n_mixing_of(&self.c)} and {self.c.family.n_params}")
            self.c.given_mixing, self.c.given_params = &weights[0], &params[0]
            self.c.has_start = not has_unknown(weights) and not has_unknown(params)
        if located is not None:
            places = located
            self.c.n_located = places.shape[0]
            self.c.located = &places[0] if places.shape[0] else <const int64_t *> self.c.blank  # never read then
        self.c.n_free, self.c.n_rows_needed = n_free, n_rows_needed


cdef class Plan:
    """How fits are made, whatever the problem: see `plan_t`.

    Parameters
    ----------
    init_params : str, int64 labels (n_rows,), or float64 responsibilities (n_rows, n_components)
    n_init, max_iter, stop_on, lloyd_max_iter : int
    tol, lloyd_tol : float
    policy : str, `n_init_policy`
    accelerates, prunes, traces : bool
    keeps_to_room : bool, whether all memory, that of pruning included, comes from the worker's block
    n_active : int, components that each row keeps; 0 for all. The model then has components alike
    before : float, the objective that the first pass's is compared with for convergence
    criterion : str or None
    """

    def __cinit__(self, init_params, *, Py_ssize_t n_init, policy, Py_ssize_t max_iter, double tol, int stop_on,
                  bint accelerates, bint prunes, double lloyd_tol, Py_ssize_t lloyd_max_iter, bint traces=False,
                  double before=-INFINITY, criterion=None, bint keeps_to_room=False, Py_ssize_t n_active=0):
        cdef const int64_t[::1] labels
        cdef const double[:, ::1] resp
        self.kept = init_params
        self.c.n_init, self.c.max_iter, self.c.tol, self.c.stop_on = n_init, max_iter, tol, stop_on
        self.c.prunes, self.c.traces, self.c.before = prunes, traces, before
        self.c.keeps_to_room, self.c.n_active = keeps_to_room, n_active
        self.c.loop = iterate_accelerated if accelerates else iterate_plain
        # without iterations starts are not compared: see `beats`
        self.c.looks_about = isinstance(init_params, str) and init_params == "auto" and max_iter > 0
        set_search(&self.c, policy)
        self.c.lloyd_tol, self.c.lloyd_max_iter = lloyd_tol, lloyd_max_iter
        self.c.criterion = criterion_named(criterion) if criterion is not None else NULL
        if isinstance(init_params, str):
            self.c.start = start_named(init_params, n_active > 0)
        elif init_params.ndim == 1:
            labels = init_params
            self.c.given, self.c.start = &labels[0], start_of(find_nothing, begin_at_labels)
        else:
            resp = init_params
            self.c.given, self.c.start = &resp[0, 0], start_of(find_nothing, begin_at_responsibilities)


class Fit(NamedTuple):
    """The best start of a model.

    weights (n_mixing,) : numbers of the proportions; for most kinds the weights (n_components,)
    params (n_params,) : parameters of the family. After a failure both are the state at which it failed
    lower_bounds : list of float, one for each accepted pass
    lower_bound : float, the last of them; -inf where there is none
    n_iter : int, passes
    converged : bool
    status : int
    fails : bool, whether the fit ended without usable parameters; the status says why
    """

    weights: np.ndarray
    params: np.ndarray
    lower_bounds: list
    lower_bound: float
    n_iter: int
    converged: bool
    status: int
    fails: bool


cdef int tell_start(void *errors, uint32_t start) noexcept nogil:
    with gil:
        return tell(errors, "begin_start", (start,))


cdef int tell_pass(void *errors, Py_ssize_t n_iter, double change, double bound) noexcept nogil:
    with gil:
        return tell(errors, "end_iteration", (n_iter, change, bound))


cdef int tell_end(void *errors, double lower_bound, bint converged) noexcept nogil:
    with gil:
        return tell(errors, "end_start", (lower_bound, bool(converged)))


cdef int tell(void *errors, method, args) noexcept:
    """Call a method of the monitor, errors[0]. If it raises, append the exception to the list and return nonzero, which
    stops the fit."""
    cdef list heard = <list> errors
    try:
        getattr(heard[0], method)(*args)
        return 0
    except BaseException as error:
        heard.append(error)
        return STOPPED


def fit_rows(Rows rows not None, Rows seeding_rows not None, Model model not None, Plan plan not None, uint64_t seed,
             int n_threads, monitor=None):
    """Fit one model on all threads. Returns a `Fit`, that of the best start; `monitor` is told of starts and passes.

    A single start works in the model's own memory, which becomes the result's: such a model can be fitted once.
    """
    cdef worker_t w
    cdef plan_t own = plan.c
    cdef observer_t observer
    cdef const family_t *family = model.c.family
    cdef trial_t *trial
    cdef double[::1] weights = np.empty(n_mixing_of(&model.c)), params
    cdef int code
    if model.blank is None:
        raise ValueError("this model has been fitted: bind another one")
    if own.n_init == 1 and not own.search.compares:
        params, model.blank = model.blank, None
    else:
        params = np.empty(family.n_params)
    heard = [monitor]
    if monitor is not None:
        observer.begin_start, observer.end_pass, observer.end_start = tell_start, tell_pass, tell_end
        observer.data = <void *> heard
        own.observer = &observer
    room = room_for(&own, &model.c, 1, &rows.c, &seeding_rows.c, n_threads)
    if open_worker(&w, n_threads, look_for_signals, NULL, room) != 0:
        raise MemoryError(f"a fit to {rows.c.n_rows} rows needs {room} bytes of work space")
    w.mixing, w.params = &weights[0], &params[0]
    try:
        with nogil:
            code = fit_models(&w, &own, &model.c, 1, &rows.c, &seeding_rows.c, rows.weighed, NULL, seed)
        trial = w.trials
        if len(heard) > 1:
            raise heard[1]
        check(family, code if code != 0 else trial.code)
        return Fit(
            np.asarray(weights), np.asarray(params),
            [trial.fit.trace.values[i] for i in range(trial.fit.trace.n)],
            trial.fit.lower_bound, trial.fit.n_iter, bool(trial.fit.converged), trial.fit.status, bool(trial.fails),
        )
    finally:
        close_worker(&w)


cdef int check(const family_t *family, int code) except -1:
    """Raise what stopped a fit."""
    if code == STOPPED:
        return -1  # Python has the exception already
    if code == NO_MEMORY:
        raise MemoryError("there is no memory for the lower bounds of a fit")
    if code != 0:
        raise_error_of(family)
    return 0
