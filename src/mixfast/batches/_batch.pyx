"""Many fits at once: a thread takes a whole problem, from its start to its last M-step, without the GIL.

Each thread works in one arena, as large as the largest problem needs; nothing is allocated for a fit but what pruning
wants where there are thousands of rows. What is done is what an estimator does, by the same functions: the start, the
loop, the best of several starts. So the bits are those of the estimator, for any number of threads. Models with as many
components have their starts in common: k-means is made once for all covariance types.

Problems that would keep one thread for long are fitted one after the other, each on all threads.
"""

from cpython.pythread cimport (
    WAIT_LOCK,
    PyThread_acquire_lock,
    PyThread_allocate_lock,
    PyThread_free_lock,
    PyThread_release_lock,
    PyThread_type_lock,
)
from cython.parallel cimport prange, threadid
from libc.math cimport INFINITY, NAN, isfinite, log
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from mixfast.engine._acceleration cimport acceleration_t, forget, iterate_accelerated, place_acceleration
from mixfast.engine._capsule cimport family_in
from mixfast._em cimport (
    Rows,
    begin_course,
    begin_em,
    copy_row,
    course_t,
    em_t,
    evidence_of,
    expected,
    flops_of,
    is_constant,
    iterate_plain,
    loop_fn,
    nearest,
    place_pass,
    results_t,
    run_pass,
    shape_pass,
    start_from_draws,
    start_from_labels,
    sum_of_weights,
    write_results,
)
from mixfast.engine._family cimport MIXFAST_NOT_FINITE, MIXFAST_SPURIOUS_COMPONENT, chunk_t, family_t, rows_t
from mixfast.engine._line cimport line_t, place_line, suits_line
from mixfast.engine._pass cimport (
    CACHE_LINE,
    LANE_COUNTS,
    arena_t,
    get,
    look_fn,
    measure_arena,
    open_arena,
    pass_t,
    take,
    workspace_t,
)
from mixfast.engine._pruning cimport pruning_t, release
from mixfast.engine._seeding cimport (
    begin_lloyd,
    choose_rows,
    deliver_nothing,
    kmeans_t,
    place_seeding,
    seed_greedily,
    seeding_t,
    settle,
)
from mixfast.engine._spurious cimport bytes_to_find, note_lack_of_rows
from mixfast.proportions._proportions cimport Proportions, arrange_clusters, proportions_t

from time import sleep

import numpy as np

from mixfast.convergence import Status

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1

cdef int IMPOSSIBLE_ROWS = Status.IMPOSSIBLE_ROWS
cdef int CONVERGED = Status.CONVERGED
cdef int MAX_ITER = Status.MAX_ITER
cdef int TOO_FEW_ROWS = Status.TOO_FEW_ROWS
cdef int CONSTANT_DATA = Status.CONSTANT_DATA
cdef int INTERRUPTED = Status.INTERRUPTED

# The first thread listens for Ctrl-C and reports progress after so many operations, ten milliseconds or so.
cdef double LOOK_FLOPS = 2e7
# A problem is fitted on all threads where a pass is longer than this, some ten milliseconds, and it is either so large
# a share of all the work that a thread would be left with it in the end, or so long that Ctrl-C would have to wait.
cdef double WIDE_FLOPS = 5e7
cdef double WIDE_SHARE = 0.25
cdef double LONG_FLOPS = 2e8
cdef double WAIT = 0.005  # seconds between two looks of a thread that has nothing else to do
# Tasks are dealt out one by one, but a thousandth of them at a time where there are very many.
cdef enum:
    N_DEALS = 1000
    FAILS = 2                      # the last rank of a fit


# One model that problems are fitted with.
ctypedef struct model_t:
    const family_t *family
    const proportions_t *proportions
    const family_t *centres        # of k-means, n_components of them
    const family_t *candidates     # of k-means++: the last centre and the candidates for the next
    const double *blank            # [n_params], to measure the first responsibilities from
    const int64_t *located         # places in params that take the centres of k-means; NULL: none do
    Py_ssize_t n_located
    const double *given_weights    # [n_components], NaN where a start has to find them
    const double *given_params     # [n_params]
    bint has_start                 # all are given
    double n_free                  # parameters that a criterion counts
    Py_ssize_t n_rows_needed       # see _spurious.pyx


cdef struct batch_t

# Models, one after the other, whose starts are the same.
ctypedef struct group_t:
    const model_t *models
    Py_ssize_t n_models


# What came of a start.
ctypedef struct fit_t:
    double lower_bound
    Py_ssize_t n_iter
    int status


# The best fit of a model so far.
ctypedef struct trial_t:
    fit_t fit
    bint fails                     # no parameters; the status says why
    double *weights
    double *params
    double criterion


# What a thread works in, on one problem and one group of models at a time.
ctypedef struct worker_t:
    batch_t *batch
    look_fn look                   # the first thread and the one of wide problems listen, others see what they heard
    void *block
    arena_t arena
    int n_threads
    rows_t rows
    rows_t seeding_rows
    double total_weight
    double n_effective             # rows that a criterion takes the weights for
    # a start
    int64_t *labels
    int64_t *indices
    double *arrivals
    double *centres
    uint32_t *order
    Py_ssize_t *places
    trial_t *trials                # [n_models of the group]
    size_t after_starts            # how much of the arena that takes; passes use what is beyond, one after the other
    pass_t fit
    em_t em
    acceleration_t acceleration
    Py_ssize_t *found              # rows of the components
    Py_ssize_t n_done, n_bad       # fits
    double flops                   # since it listened last


# A start is found once for a group (its labels, centres or rows), and each model of it begins there.
ctypedef int (*start_fn)(worker_t *, const batch_t *, const model_t *, uint64_t seed, uint32_t start) noexcept nogil
ctypedef struct start_t:
    start_fn find
    start_fn begin


ctypedef double (*criterion_fn)(worker_t *, double n_free) noexcept nogil
ctypedef void (*task_fn)(worker_t *, const batch_t *, Py_ssize_t task) noexcept nogil


cdef struct batch_t:
    # the problems
    rows_t rows                    # of all problems
    rows_t seeding_rows            # those that k-means is made of
    const int64_t *offsets         # [n_problems + 1]
    const uint64_t *seeds
    # what is fitted, and how
    Py_ssize_t n_models, n_groups
    model_t *models
    group_t *groups
    Py_ssize_t n_init, max_iter
    double tol
    int stop_on
    bint prunes
    loop_fn loop
    start_t start
    double lloyd_tol
    Py_ssize_t lloyd_max_iter
    criterion_fn criterion         # the lower the better; NULL where there is nothing to choose
    int passed_over                # statuses of fits that are chosen only where there is no other
    const double *n_effective      # [n_problems], NULL where it is the sum of the weights
    # results: [n_problems][n_slots] of each; a slot for the best model or for every one
    Py_ssize_t n_slots, largest_weights, largest_params
    double *weights
    double *params
    double *lower_bounds
    int32_t *n_iter
    int32_t *status                # INTERRUPTED until it is known
    double *criteria               # [n_problems][n_models]
    int32_t *chosen                # [n_problems], the best model
    # how it goes
    task_fn do_task
    const int64_t *tasks           # problems, or pairs of a problem and a group where each model has a slot
    Py_ssize_t n_tasks, next_task, deal
    Py_ssize_t n_working           # threads
    PyThread_type_lock lock        # of next_task and n_working
    int stop
    Py_ssize_t n_workers
    worker_t *workers
    void *progress                 # called with (problems done, problems with a bad status), or NULL
    void *error                    # what it raised


# ---- starts ---------------------------------------------------------------------------------------------------------

cdef void place_starts(worker_t *w, const batch_t *b, const group_t *group, Py_ssize_t problem) noexcept nogil:
    """Where the starts of a group and its best fits lie in the worker's arena."""
    cdef const family_t *family = group.models.family
    cdef trial_t *trial
    cdef Py_ssize_t i
    w.rows = rows_of(&b.rows, b.offsets, problem)
    w.seeding_rows = rows_of(&b.seeding_rows, b.offsets, problem)
    w.arena.used = 0
    w.labels = <int64_t *> take(&w.arena, w.rows.n_rows * sizeof(int64_t))
    w.indices = <int64_t *> take(&w.arena, family.n_components * sizeof(int64_t))
    w.arrivals = <double *> take(&w.arena, family.n_components * sizeof(double))
    w.centres = <double *> take(&w.arena, group.models.centres.n_params * sizeof(double))
    w.order = NULL
    if w.rows.n_rows <= <Py_ssize_t> 0xFFFFFFFF:
        w.order = <uint32_t *> take(&w.arena, w.rows.n_rows * sizeof(uint32_t))
    w.places = <Py_ssize_t *> take(&w.arena, (family.n_components + 2) * sizeof(Py_ssize_t))
    w.trials = <trial_t *> take(&w.arena, group.n_models * sizeof(trial_t))
    for i in range(group.n_models):
        trial = &w.trials[i] if w.arena.base != NULL else NULL
        place_trial(trial, group.models[i].family, &w.arena)
    w.after_starts = w.arena.used


cdef void place_trial(trial_t *trial, const family_t *family, arena_t *arena) noexcept nogil:
    cdef double *weights = <double *> take(arena, family.n_components * sizeof(double))
    cdef double *params = <double *> take(arena, family.n_params * sizeof(double))
    if trial != NULL:
        trial.weights, trial.params = weights, params


cdef void place_beyond_starts(worker_t *w, const family_t *family, const rows_t *rows) noexcept nogil:
    """The worker's pass, in what starts leave of the arena."""
    w.arena.used = w.after_starts
    shape_pass(&w.fit, family, rows, w.total_weight, w.n_threads, 0)
    w.fit.look, w.fit.look_data = w.look, w
    place_pass(&w.fit, &w.arena)


cdef int find_seeds(worker_t *w, const model_t *m, uint64_t seed, uint32_t start) noexcept nogil:
    cdef seeding_t seeding
    place_beyond_starts(w, m.candidates, &w.seeding_rows)
    place_seeding(&seeding, &w.fit, &w.arena)
    return seed_greedily(&w.fit, &seeding, m.family.n_components, seed, start, w.indices)


cdef int find_clusters(worker_t *w, const batch_t *b, const model_t *m, uint64_t seed, uint32_t start) noexcept nogil:
    """k-means: labels and centres."""
    cdef pass_t *p = &w.fit
    cdef kmeans_t found
    cdef line_t line
    cdef bint has_line
    cdef Py_ssize_t k
    cdef int code = find_seeds(w, m, seed, start)
    if code != 0:
        return code
    place_beyond_starts(w, m.centres, &w.seeding_rows)
    begin_lloyd(p, w.labels)
    for k in range(m.family.n_components):
        copy_row(&p.rows, w.indices[k], p.params + k * p.family.n_features)
    has_line = suits_line(p)
    if has_line:
        place_line(&line, p, &w.arena)
    code = settle(p, b.lloyd_tol, b.lloyd_max_iter, &line if has_line else NULL, &found)
    memcpy(w.centres, p.params, p.family.n_params * sizeof(double))
    arrange_clusters(m.proportions, m.family.n_components, w.rows.n_rows, w.rows.weight, w.arrivals, w.places, w.labels,
                     p.family.n_features, w.centres)
    return code


cdef int begin_at_clusters(worker_t *w, const batch_t *b, const model_t *m, uint64_t seed,
                           uint32_t start) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(m.n_located):
        w.fit.params[m.located[j]] = w.centres[j]
    return start_from_labels(&w.em, w.labels, 2 if m.located == NULL else 1, w.order, w.places)


cdef int find_far_rows(worker_t *w, const batch_t *b, const model_t *m, uint64_t seed, uint32_t start) noexcept nogil:
    """k-means++."""
    return find_seeds(w, m, seed, start)


cdef int find_random_rows(worker_t *w, const batch_t *b, const model_t *m, uint64_t seed,
                          uint32_t start) noexcept nogil:
    choose_rows(&w.rows, m.family.n_components, seed, start, w.arrivals, w.indices)
    return 0


cdef int begin_at_rows(worker_t *w, const batch_t *b, const model_t *m, uint64_t seed, uint32_t start) noexcept nogil:
    """Components begin with the rows at `indices`, one each."""
    cdef Py_ssize_t i
    for i in range(w.rows.n_rows):
        w.labels[i] = -1
    for i in range(m.family.n_components):
        w.labels[w.indices[i]] = i
    return start_from_labels(&w.em, w.labels, 2, w.order, w.places)


cdef int find_nothing(worker_t *w, const batch_t *b, const model_t *m, uint64_t seed, uint32_t start) noexcept nogil:
    return 0


cdef int begin_at_draws(worker_t *w, const batch_t *b, const model_t *m, uint64_t seed, uint32_t start) noexcept nogil:
    return start_from_draws(&w.em, seed, start)


cdef start_t start_named(name):
    """By the names that `init_params` gives them."""
    cdef start_t found
    if name == "kmeans":
        found.find, found.begin = find_clusters, begin_at_clusters
    elif name == "k-means++":
        found.find, found.begin = find_far_rows, begin_at_rows
    elif name == "random_from_data":
        found.find, found.begin = find_random_rows, begin_at_rows
    elif name == "random":
        found.find, found.begin = find_nothing, begin_at_draws
    else:
        raise ValueError(f"there is no start {name!r} for a batch")
    return found


# ---- criteria -------------------------------------------------------------------------------------------------------

cdef int add_completed(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                       double *lane) noexcept nogil:
    """The sum of weight * log of the largest responsibility, in place of the statistics."""
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
    p.rows.order = NULL
    p.deliver = deliver_nothing
    return evidence_of(&p) if run_pass(&p) == 0 else NAN


cdef double bic(worker_t *w, double n_free) noexcept nogil:
    return -2 * log_likelihood(w) * (w.n_effective / w.total_weight) + n_free * log(w.n_effective)


cdef double aic(worker_t *w, double n_free) noexcept nogil:
    return -2 * log_likelihood(w) * (w.n_effective / w.total_weight) + 2 * n_free


cdef double icl(worker_t *w, double n_free) noexcept nogil:
    cdef pass_t p = w.fit
    cdef double completed
    p.rows.order = NULL
    p.deliver = add_completed
    if run_pass(&p) != 0:
        return NAN
    completed = evidence_of(&p) + p.lanes[LANE_COUNTS + p.family.n_components]
    return -2 * completed * (w.n_effective / w.total_weight) + n_free * log(w.n_effective)


cdef criterion_fn criterion_named(name) except NULL:
    if name == "bic":
        return bic
    if name == "aic":
        return aic
    if name == "icl":
        return icl
    raise ValueError(f"there is no criterion {name!r} for a batch")


# ---- one problem ----------------------------------------------------------------------------------------------------

cdef void place_fit(worker_t *w, const batch_t *b, const model_t *m) noexcept nogil:
    """Where a fit of the model lies in the worker's arena."""
    release(&w.em.pruning)  # it was cut for other rows
    memset(&w.em.pruning, 0, sizeof(pruning_t))
    place_beyond_starts(w, m.family, &w.rows)
    w.fit.proportions = m.proportions
    w.em.p = &w.fit
    w.em.prunes = b.prunes
    place_acceleration(&w.acceleration, &w.em, &w.arena)
    w.found = <Py_ssize_t *> take(&w.arena, bytes_to_find(m.family.n_components, m.n_rows_needed))


cdef size_t most_room(const batch_t *b, problems, sizes, int n_threads):
    """Bytes that fits to these problems want. A smaller problem may want more: its one chunk may be longer than each of
    two. Dense ones of the same size want the same."""
    cdef size_t largest = 0
    cdef Py_ssize_t i
    if b.rows.indptr == NULL and b.seeding_rows.indptr == NULL:
        problems = problems[np.unique(sizes[problems], return_index=True)[1]]
    for problem in problems:
        for i in range(b.n_groups):
            largest = max(largest, room_for(b, &b.groups[i], problem, n_threads))
    return largest


cdef size_t room_for(const batch_t *b, const group_t *group, Py_ssize_t problem, int n_threads) noexcept nogil:
    """Bytes that fits of a group to the problem want."""
    cdef worker_t w
    cdef seeding_t seeding
    cdef line_t line
    cdef size_t largest
    cdef Py_ssize_t i
    memset(&w, 0, sizeof(worker_t))
    w.n_threads = n_threads
    measure_arena(&w.arena)
    place_starts(&w, b, group, problem)
    place_beyond_starts(&w, group.models.candidates, &w.seeding_rows)
    place_seeding(&seeding, &w.fit, &w.arena)
    largest = w.arena.used
    place_beyond_starts(&w, group.models.centres, &w.seeding_rows)
    if suits_line(&w.fit):
        place_line(&line, &w.fit, &w.arena)
    largest = max(largest, w.arena.used)
    for i in range(group.n_models):
        place_fit(&w, b, &group.models[i])
        largest = max(largest, w.arena.used)
    return largest + CACHE_LINE  # the block may begin anywhere


cdef int fit_from(worker_t *w, const batch_t *b, const model_t *m, uint64_t seed, uint32_t start,
                  fit_t *fit) noexcept nogil:
    """From a start that was found to its end; as `BaseMixture._start` and `_iterate` do."""
    cdef const family_t *family = m.family
    cdef course_t course
    cdef Py_ssize_t i
    cdef int code
    fit.lower_bound, fit.n_iter, fit.status = NAN, 0, 0
    place_fit(w, b, m)
    begin_em(&w.em)
    for i in range(family.n_components):
        w.fit.weights[i] = 1.0 / <double> family.n_components
    memcpy(w.fit.params, m.blank, family.n_params * sizeof(double))
    if not m.has_start:
        code = b.start.begin(w, b, m, seed, start)
        fit.status = w.em.status
        if code != 0 or w.em.status & b.stop_on:
            return code
    for i in range(family.n_components):
        if m.given_weights[i] == m.given_weights[i]:
            w.fit.weights[i] = m.given_weights[i]
    for i in range(family.n_params):
        if m.given_params[i] == m.given_params[i]:
            w.fit.params[i] = m.given_params[i]
    begin_em(&w.em)
    forget(&w.acceleration)
    begin_course(&course, -INFINITY, b.max_iter)
    code = b.loop(&w.em, &w.acceleration, b.tol, b.stop_on, &course)
    if code == 0 and course.n_steps > 0 and not w.em.status & b.stop_on:
        code = note_lack_of_rows(&w.em, m.n_rows_needed, w.found)
    fit.lower_bound, fit.n_iter, fit.status = course.bound, course.n_steps, w.em.status
    if w.em.n_impossible > 0:
        fit.status |= IMPOSSIBLE_ROWS
    if course.converged:
        fit.status |= CONVERGED
    elif course.n_steps == b.max_iter > 0 and not fit.status & b.stop_on:
        fit.status |= MAX_ITER
    return code


cdef bint beats(const fit_t *fit, const fit_t *other) noexcept nogil:
    """As `Fit.beats`."""
    cdef bint is_spurious = fit.status & MIXFAST_SPURIOUS_COMPONENT != 0
    cdef bint other_is = other.status & MIXFAST_SPURIOUS_COMPONENT != 0
    if other.lower_bound == -INFINITY:
        return True
    return other_is if is_spurious != other_is else fit.lower_bound > other.lower_bound


cdef void try_start(worker_t *w, const batch_t *b, const model_t *m, uint64_t seed, uint32_t start,
                    trial_t *trial) noexcept nogil:
    """One start more; the best is kept, as by `BaseMixture._best_of_all`. A start that cannot be fitted ends all."""
    cdef fit_t fit
    cdef int code = fit_from(w, b, m, seed, start, &fit)
    trial.fails = code != 0 or fit.status & b.stop_on != 0
    if trial.fails or start == 0 or beats(&fit, &trial.fit):
        trial.fit = fit
        memcpy(trial.weights, w.fit.weights, m.family.n_components * sizeof(double))
        memcpy(trial.params, w.fit.params, m.family.n_params * sizeof(double))


cdef void judge(worker_t *w, const batch_t *b, const model_t *m, trial_t *trial) noexcept nogil:
    """The status of a model's best fit, and the criterion where there is a choice."""
    cdef Py_ssize_t n_components = m.family.n_components, n_params = m.family.n_params
    trial.fails = trial.fails or not (is_finite(trial.weights, n_components) and is_finite(trial.params, n_params))
    if is_constant(&w.rows):
        trial.fit.status |= CONSTANT_DATA
    if trial.fails:
        trial.fit.status |= MIXFAST_NOT_FINITE  # there are no parameters
    elif b.criterion != NULL:
        place_fit(w, b, m)
        memcpy(w.fit.weights, trial.weights, n_components * sizeof(double))
        memcpy(w.fit.params, trial.params, n_params * sizeof(double))
        trial.criterion = b.criterion(w, m.n_free)


cdef void fit_group(worker_t *w, const batch_t *b, const group_t *group, Py_ssize_t problem) noexcept nogil:
    """The best of all starts of each model, in `trials`."""
    cdef uint64_t seed = b.seeds[problem]
    cdef const model_t *m = group.models
    cdef Py_ssize_t n_rows = b.offsets[problem + 1] - b.offsets[problem], start, i
    cdef bint too_few = n_rows < max(m.family.n_components, 2)
    cdef int code = 0
    place_starts(w, b, group, problem)
    w.total_weight = n_rows if w.rows.weight == NULL else sum_of_weights(w.rows.weight, n_rows)
    w.n_effective = w.total_weight if b.n_effective == NULL else b.n_effective[problem]
    for i in range(group.n_models):
        w.trials[i].fit.lower_bound, w.trials[i].fit.n_iter, w.trials[i].criterion = NAN, 0, NAN
        w.trials[i].fit.status, w.trials[i].fails = TOO_FEW_ROWS if too_few else 0, too_few
    if too_few:
        return
    for start in range(b.n_init):
        if not m.has_start:
            code = b.start.find(w, b, m, seed, <uint32_t> start)
        for i in range(group.n_models):
            w.trials[i].fails = w.trials[i].fails or code != 0
            if not w.trials[i].fails:
                try_start(w, b, &m[i], seed, <uint32_t> start, &w.trials[i])
            if b.stop:
                return
    for i in range(group.n_models):
        judge(w, b, &m[i], &w.trials[i])


cdef bint is_finite(const double *values, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        if not isfinite(values[i]):
            return False
    return True


cdef rows_t rows_of(const rows_t *all_rows, const int64_t *offsets, Py_ssize_t problem) noexcept nogil:
    cdef rows_t rows = all_rows[0]
    cdef int64_t first = offsets[problem]
    rows.n_rows = offsets[problem + 1] - first
    if rows.indptr == NULL:
        rows.data += first * rows.row_stride
    else:
        rows.indptr += first
    if rows.weight != NULL:
        rows.weight += first
    if rows.base != NULL:
        rows.base += first
    return rows


cdef void fit_problem(worker_t *w, const batch_t *b, Py_ssize_t problem) noexcept nogil:
    """All models, the best of which is kept. What an interrupt leaves undone stays marked so."""
    cdef const trial_t *trial
    cdef Py_ssize_t model = 0, i, j
    cdef double least = INFINITY
    cdef int rank, best_rank = FAILS
    if b.status[problem] != INTERRUPTED:
        w.n_done += 1
        w.n_bad += 1
        return  # it is known that it cannot be fitted
    for i in range(b.n_groups):
        fit_group(w, b, &b.groups[i], problem)
        if b.stop:
            b.status[problem] = INTERRUPTED
            return
        for j in range(b.groups[i].n_models):
            trial = &w.trials[j]
            b.criteria[problem * b.n_models + model] = trial.criterion
            rank = rank_of(b, trial)
            if model == 0 or rank < best_rank or (rank == best_rank < FAILS and trial.criterion < least):
                keep(b, &b.models[model], trial, problem)
                b.chosen[problem] = <int32_t> model
                least = trial.criterion if trial.criterion == trial.criterion else INFINITY
                best_rank = rank
            model += 1
    w.n_done += 1
    w.n_bad += best_rank == FAILS


cdef int rank_of(const batch_t *b, const trial_t *trial) noexcept nogil:
    """The smaller the better; of equals the criterion decides."""
    return FAILS if trial.fails else trial.fit.status & b.passed_over != 0


cdef void fit_pair(worker_t *w, const batch_t *b, Py_ssize_t pair) noexcept nogil:
    """One group of models to one problem; each is kept in a slot of its own."""
    cdef Py_ssize_t problem = pair // b.n_groups, i
    cdef const group_t *group = &b.groups[pair - problem * b.n_groups]
    cdef Py_ssize_t slot = problem * b.n_models + (group.models - b.models)
    cdef bint is_open = b.status[slot] == INTERRUPTED
    if is_open:
        fit_group(w, b, group, problem)
        if b.stop:
            return
    for i in range(group.n_models):
        if is_open:
            b.criteria[slot + i] = w.trials[i].criterion
            keep(b, &group.models[i], &w.trials[i], slot + i)
        w.n_done += 1
        w.n_bad += not is_open or w.trials[i].fails


cdef void keep(const batch_t *b, const model_t *m, const trial_t *trial, Py_ssize_t slot) noexcept nogil:
    """A model's fit becomes the result; NaN where it failed and beyond its components."""
    cdef double *weights = b.weights + slot * b.largest_weights
    cdef double *params = b.params + slot * b.largest_params
    cdef Py_ssize_t n_weights = 0 if trial.fails else m.family.n_components
    cdef Py_ssize_t n_params = 0 if trial.fails else m.family.n_params, i
    memcpy(weights, trial.weights, n_weights * sizeof(double))
    memcpy(params, trial.params, n_params * sizeof(double))
    for i in range(n_weights, b.largest_weights):
        weights[i] = NAN
    for i in range(n_params, b.largest_params):
        params[i] = NAN
    b.lower_bounds[slot] = NAN if trial.fails else trial.fit.lower_bound
    b.n_iter[slot] = <int32_t> trial.fit.n_iter
    b.status[slot] = trial.fit.status


# ---- all problems ---------------------------------------------------------------------------------------------------

cdef int look_at_stop(void *worker) noexcept nogil:
    return (<const worker_t *> worker).batch.stop


cdef int look_for_interrupt(void *worker) noexcept nogil:
    """Called after each round of a pass: a fit may go on for minutes."""
    cdef worker_t *w = <worker_t *> worker
    w.flops += flops_of(&w.fit) / <double> w.fit.n_rounds
    if w.flops > LOOK_FLOPS:
        w.flops = 0
        listen(w.batch)
    return w.batch.stop


cdef void take_tasks(batch_t *b, worker_t *w) noexcept nogil:
    """Tasks until there are none. The first worker then listens until the others are done: it alone hears Ctrl-C."""
    cdef Py_ssize_t first, i
    PyThread_acquire_lock(b.lock, WAIT_LOCK)
    b.n_working += 1
    PyThread_release_lock(b.lock)
    while True:
        PyThread_acquire_lock(b.lock, WAIT_LOCK)
        first = b.next_task
        b.next_task += b.deal
        PyThread_release_lock(b.lock)
        if first >= b.n_tasks:
            break
        for i in range(first, min(first + b.deal, b.n_tasks)):
            if not b.stop:
                b.do_task(w, b, b.tasks[i])
    PyThread_acquire_lock(b.lock, WAIT_LOCK)
    b.n_working -= 1
    PyThread_release_lock(b.lock)
    while w == b.workers and b.n_working > 0:
        listen(b, WAIT)


cdef void listen(batch_t *b, double seconds=0) noexcept nogil:
    """Stop at Ctrl-C, for which it may wait some seconds; say how far the batch is."""
    cdef Py_ssize_t n_done = 0, n_bad = 0, i
    for i in range(b.n_workers):
        n_done += b.workers[i].n_done
        n_bad += b.workers[i].n_bad
    with gil:
        try:
            if seconds > 0:
                sleep(seconds)
            PyErr_CheckSignals()
            if b.progress != NULL:
                (<object> b.progress)(n_done, n_bad)
        except KeyboardInterrupt:
            b.stop = 1
        except BaseException as error:
            b.stop = 1
            (<list> b.error).append(error)


cdef bint has_unknown(const double[::1] given) noexcept:
    cdef Py_ssize_t i
    for i in range(given.shape[0]):
        if given[i] != given[i]:
            return True
    return False


cdef class Model:
    """A model that problems are fitted with: see `model_t`.

    Parameters
    ----------
    family, centres, candidates : capsules
    proportions : Proportions
    blank : (n_params,), located : int64 (n_located,) or None
    given_weights (n_components,), given_params (n_params,) : NaN where a start has to find them
    n_free, n_rows_needed : int
    """

    cdef model_t c
    cdef object kept

    def __cinit__(self, family, Proportions proportions not None, centres, candidates,
                  const double[::1] blank not None, located,
                  const double[::1] given_weights not None, const double[::1] given_params not None, double n_free,
                  Py_ssize_t n_rows_needed):
        cdef const int64_t[::1] places
        self.c.family, self.c.centres, self.c.candidates = family_in(family), family_in(centres), family_in(candidates)
        self.c.proportions = &proportions.c
        self.kept = family, proportions, centres, candidates, blank, located, given_weights, given_params
        if (blank.shape[0] != self.c.family.n_params or given_params.shape[0] != self.c.family.n_params
                or given_weights.shape[0] != self.c.family.n_components):
            raise ValueError("a model's arrays have the wrong size")
        self.c.blank, self.c.given_weights, self.c.given_params = &blank[0], &given_weights[0], &given_params[0]
        if located is not None:
            places = located
            self.c.n_located = places.shape[0]
            self.c.located = &places[0] if places.shape[0] else <const int64_t *> self.c.blank  # never read then
        self.c.n_free, self.c.n_rows_needed = n_free, n_rows_needed
        self.c.has_start = not has_unknown(given_weights) and not has_unknown(given_params)


def fit_problems(Rows rows not None, Rows seeding_rows not None, const int64_t[::1] offsets not None,
                 const uint64_t[::1] seeds not None, models, *, Py_ssize_t n_init, Py_ssize_t max_iter, double tol,
                 int stop_on, int passed_over, bint accelerates, init_params, double lloyd_tol,
                 Py_ssize_t lloyd_max_iter, criterion, const double[::1] n_effective, bint prunes, int n_threads,
                 progress,
                 double[:, :, ::1] weights not None, double[:, :, ::1] params not None,
                 double[:, ::1] lower_bounds not None, int32_t[:, ::1] n_iter not None,
                 int32_t[:, ::1] status not None, double[:, ::1] criteria not None, int32_t[::1] chosen not None):
    """Fit every model to every problem and fill the results.

    Problem i has the rows offsets[i] .. offsets[i + 1], which are finite; k-means is made of those of `seeding_rows`.
    Results are (n_problems, n_slots, ...), n_slots 1 for the best model by `criterion` (a name or None) or one for
    each; only those are fitted whose status is INTERRUPTED, and that stays where Ctrl-C came first. Returns whether it
    did.
    """
    cdef batch_t b
    cdef Py_ssize_t i
    cdef int64_t[::1] order, wide
    cdef int n_takers
    cdef Model model
    cdef size_t room
    errors = []
    memset(&b, 0, sizeof(batch_t))
    b.rows, b.seeding_rows = rows.c, seeding_rows.c
    b.offsets, b.seeds = &offsets[0], &seeds[0]
    b.n_models = len(models)
    b.n_init, b.max_iter, b.tol, b.stop_on, b.prunes = n_init, max_iter, tol, stop_on, prunes
    b.loop = iterate_accelerated if accelerates else iterate_plain
    b.start = start_named(init_params)
    b.lloyd_tol, b.lloyd_max_iter = lloyd_tol, lloyd_max_iter
    b.criterion = criterion_named(criterion) if criterion is not None else NULL
    b.passed_over = passed_over
    b.n_effective = &n_effective[0] if n_effective is not None else NULL
    b.n_slots, b.largest_weights, b.largest_params = weights.shape[1], weights.shape[2], params.shape[2]
    b.weights, b.params, b.lower_bounds = &weights[0, 0, 0], &params[0, 0, 0], &lower_bounds[0, 0]
    b.n_iter, b.status, b.chosen = &n_iter[0, 0], &status[0, 0], &chosen[0]
    b.criteria = &criteria[0, 0]
    b.progress = <void *> progress if progress is not None else NULL
    b.error = <void *> errors

    sizes, n_values = np.diff(offsets), rows.n_values_of(offsets)
    b.models = <model_t *> calloc(b.n_models, sizeof(model_t))
    b.groups = <group_t *> calloc(b.n_models, sizeof(group_t))
    b.workers = <worker_t *> calloc(n_threads + 1, sizeof(worker_t))
    try:
        b.lock = PyThread_allocate_lock()
        if b.models == NULL or b.groups == NULL or b.workers == NULL or b.lock == NULL:
            raise MemoryError
        for i in range(b.n_models):
            model = models[i]
            b.models[i] = model.c
        group_models(&b, True)
        b.do_task = fit_problem if b.n_slots == 1 else fit_pair
        flops = flops_of_groups(&b, sizes, n_values)
        if b.n_slots > 1 and np.sum(flops) < n_threads * np.max(flops):  # a thread would be left with the largest
            group_models(&b, False)
            flops = flops_of_groups(&b, sizes, n_values)
        n_models = np.array([b.groups[i].n_models for i in range(b.n_groups)])
        if b.n_slots == 1:
            flops, n_models = np.sum(flops, axis=1, keepdims=True), np.sum(n_models)
        # the largest problems first, all models of each one after the other, the largest first as well
        ranked = np.argsort(-sizes, kind="stable")
        n_own = flops.shape[1]
        ranked = (ranked[:, np.newaxis] * n_own + np.argsort(-flops, axis=1, kind="stable")[ranked]).ravel()
        pass_flops, flops = (flops / n_models).ravel()[ranked], flops.ravel()[ranked]
        on_all_threads = is_wide(pass_flops, flops, n_threads)
        wide, order = ranked[on_all_threads], ranked[~on_all_threads]
        b.n_tasks, b.tasks = order.shape[0], &order[0] if order.shape[0] else NULL
        b.deal = max(1, b.n_tasks // (N_DEALS * n_threads))
        b.n_workers = n_threads + 1
        n_takers = <int> min(<Py_ssize_t> n_threads, b.n_tasks)
        if n_takers:
            room = most_room(&b, np.asarray(order) // n_own, sizes, 1)
            for i in range(n_takers):
                open_worker(&b.workers[i], &b, 1, i == 0, room)
        if wide.shape[0]:
            room = most_room(&b, np.asarray(wide) // n_own, sizes, n_threads)
            open_worker(&b.workers[n_threads], &b, n_threads, True, room)
        with nogil:
            for i in range(wide.shape[0]):
                if not b.stop:
                    b.do_task(&b.workers[n_threads], &b, wide[i])
            if n_takers == 1:
                take_tasks(&b, b.workers)
            elif n_takers > 1:
                for i in prange(n_takers, schedule="static", chunksize=1, num_threads=n_takers):
                    take_tasks(&b, &b.workers[i])
        if not b.stop:
            listen(&b)  # a Ctrl-C that came at the end would raise in Python, and the results would be lost
    finally:
        for i in range(n_threads + 1 if b.workers != NULL else 0):
            release(&b.workers[i].em.pruning)
            free(b.workers[i].block)
        free(b.workers)
        free(b.models)
        free(b.groups)
        if b.lock != NULL:
            PyThread_free_lock(b.lock)
    if errors:
        raise errors[0]
    return bool(b.stop)


cdef void group_models(batch_t *b, bint shares) noexcept nogil:
    """Put models whose starts are the same into one group; or, if starts are not to be shared, each into its own."""
    cdef group_t *last = NULL
    cdef const model_t *m
    cdef Py_ssize_t i
    b.n_groups = 0
    for i in range(b.n_models):
        m = &b.models[i]
        if (last != NULL and shares and m.family.n_components == last.models.family.n_components
                and m.has_start == last.models.has_start):
            last.n_models += 1
        else:
            last = &b.groups[b.n_groups]
            last.models, last.n_models = m, 1
            b.n_groups += 1


cdef object is_wide(pass_flops, flops, int n_threads):
    """Which tasks are done on all threads, one after the other."""
    return (n_threads > 1) & (pass_flops > WIDE_FLOPS) & (
        (pass_flops > LONG_FLOPS) | (flops > WIDE_SHARE / n_threads * np.sum(flops)))


cdef object flops_of_groups(const batch_t *b, sizes, n_values):
    """Operations of a pass of every model, added up over the models of each group: (n_problems, n_groups)."""
    cdef Py_ssize_t i, j
    cdef const family_t *family
    flops = np.zeros((len(sizes), b.n_groups))
    for i in range(b.n_groups):
        for j in range(b.groups[i].n_models):
            family = b.groups[i].models[j].family
            flops[:, i] += sizes * <double> family.flops_per_row + n_values * <double> family.flops_per_value
    return flops


cdef int open_worker(worker_t *w, batch_t *b, int n_threads, bint listens, size_t room) except -1:
    w.batch, w.n_threads, w.look = b, n_threads, look_for_interrupt if listens else look_at_stop
    w.block = calloc(room, 1)
    if w.block == NULL:
        raise MemoryError(f"the largest of the problems needs {room} bytes of work space in each thread")
    open_arena(&w.arena, w.block)
    return 0


# ---- predictions ----------------------------------------------------------------------------------------------------

cdef void place_evaluation(worker_t *w, const batch_t *b, const model_t *m, Py_ssize_t problem) noexcept nogil:
    w.rows, w.after_starts = rows_of(&b.rows, b.offsets, problem), 0
    w.total_weight = w.rows.n_rows
    place_beyond_starts(w, m.family, &w.rows)


cdef size_t room_for_evaluation(const batch_t *b, const int64_t[::1] problems, sizes, int n_threads):
    """Bytes that passes over these problems want under their models; dense ones of the same size want the same."""
    cdef worker_t w
    cdef size_t largest = 0
    cdef Py_ssize_t i, j
    cdef const int64_t[::1] alike = problems
    memset(&w, 0, sizeof(worker_t))
    w.n_threads = n_threads
    measure_arena(&w.arena)
    if b.rows.indptr == NULL:
        alike = np.asarray(problems)[np.unique(sizes[problems], return_index=True)[1]]
    for i in range(alike.shape[0]):
        for j in range(b.n_models):
            place_evaluation(&w, b, &b.models[j], alike[i])
            largest = max(largest, w.arena.used)
    return largest + CACHE_LINE


cdef int evaluate_problem(worker_t *w, const batch_t *b, Py_ssize_t problem, const results_t *out,
                          const int64_t *resp_offsets) noexcept nogil:
    """What is wanted of the problem's rows under its chosen model, of those of all problems."""
    cdef const model_t *m = &b.models[b.chosen[problem]]
    cdef results_t results
    memset(&results, 0, sizeof(results_t))
    results.labels = NULL if out.labels == NULL else out.labels + b.offsets[problem]
    results.log_norm = NULL if out.log_norm == NULL else out.log_norm + b.offsets[problem] * m.family.real_bytes
    results.resp = NULL if out.resp == NULL else out.resp + resp_offsets[problem] * m.family.real_bytes
    place_evaluation(w, b, m, problem)
    w.fit.assign = nearest if out.log_norm == NULL and out.resp == NULL else expected
    w.fit.deliver, w.fit.deliver_data = write_results, &results
    memcpy(w.fit.weights, b.weights + problem * b.largest_weights, m.family.n_components * sizeof(double))
    memcpy(w.fit.params, b.params + problem * b.largest_params, m.family.n_params * sizeof(double))
    return run_pass(&w.fit)


def evaluate_problems(Rows rows not None, const int64_t[::1] offsets not None, models, int32_t[::1] chosen not None,
                      double[:, ::1] weights not None, double[:, ::1] params not None, *, int n_threads,
                      int64_t[::1] labels=None, log_norm=None, resp=None):
    """Fill `labels` (n_rows,), `log_norm` (n_rows,) and `resp`, the (rows, n_components) of each problem one after the
    other, reals of X's precision, whichever is given: problem i under the model chosen[i] with weights[i] and
    params[i]; none where chosen[i] is -1, which has no rows. Raises KeyboardInterrupt."""
    cdef batch_t b
    cdef Py_ssize_t i
    cdef int64_t[::1] narrow, wide
    cdef int64_t[::1] resp_offsets
    cdef results_t out
    cdef Model model
    errors = []
    memset(&b, 0, sizeof(batch_t))
    memset(&out, 0, sizeof(results_t))
    out.labels = NULL if labels is None else &labels[0]
    out.log_norm = NULL if log_norm is None else <char *> <size_t> log_norm.ctypes.data
    out.resp = NULL if resp is None else <char *> <size_t> resp.ctypes.data
    b.rows = rows.c
    b.offsets, b.chosen, b.n_models = &offsets[0], &chosen[0], len(models)
    b.largest_weights, b.largest_params = weights.shape[1], params.shape[1]
    b.weights, b.params, b.error = &weights[0, 0], &params[0, 0], <void *> errors
    b.models = <model_t *> calloc(b.n_models, sizeof(model_t))
    b.workers = <worker_t *> calloc(n_threads + 1, sizeof(worker_t))
    try:
        if b.models == NULL or b.workers == NULL:
            raise MemoryError
        for i in range(b.n_models):
            model = models[i]
            b.models[i] = model.c
        sizes, n_values, of = np.diff(offsets), rows.n_values_of(offsets), np.asarray(chosen)
        per_row, per_value = np.array([(b.models[i].family.flops_per_row, b.models[i].family.flops_per_value)
                                       for i in range(b.n_models)], dtype=float).T
        widths = np.array([b.models[i].family.n_components for i in range(b.n_models)], dtype=np.int64)
        resp_offsets = np.cumsum(sizes * widths[of]) - sizes * widths[of]
        flops = sizes * per_row[of] + n_values * per_value[of]
        wanted = np.flatnonzero((of >= 0) & (sizes > 0))
        on_all_threads = is_wide(flops[wanted], flops[wanted], n_threads)
        narrow, wide = wanted[~on_all_threads], wanted[on_all_threads]
        b.n_workers = n_threads + 1
        if narrow.shape[0]:
            room = room_for_evaluation(&b, narrow, sizes, 1)
            for i in range(n_threads):
                open_worker(&b.workers[i], &b, 1, i == 0, room)
        if wide.shape[0]:
            room = room_for_evaluation(&b, wide, sizes, n_threads)
            open_worker(&b.workers[n_threads], &b, n_threads, True, room)
        with nogil:
            for i in range(wide.shape[0]):
                if b.stop == 0:
                    evaluate_problem(&b.workers[n_threads], &b, wide[i], &out, &resp_offsets[0])
            for i in prange(narrow.shape[0], schedule="dynamic", num_threads=n_threads):
                if b.stop == 0:
                    evaluate_problem(&b.workers[threadid()], &b, narrow[i], &out, &resp_offsets[0])
    finally:
        for i in range(n_threads + 1 if b.workers != NULL else 0):
            free(b.workers[i].block)
        free(b.workers)
        free(b.models)
    if b.stop:
        raise errors[0] if errors else KeyboardInterrupt
