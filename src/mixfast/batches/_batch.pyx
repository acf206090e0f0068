"""Many fits at once: a thread takes a whole problem, from its start to its last M-step, without the GIL.

Each thread has a worker (`engine/_fit.pyx`), whose work space is allocated once, for the largest problem. A fit
allocates nothing more, except for pruning where there are thousands of rows. An estimator's fit calls the same
functions with one worker for all threads, so the results are equal bit by bit.

Wide problems, those that would keep one thread busy for long, are fitted first, one after the other, each on all
threads.
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
from libc.math cimport INFINITY, NAN, isfinite
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from mixfast.engine._family cimport MIXFAST_NOT_FINITE, family_t
from mixfast.engine._fit cimport (
    Model,
    Plan,
    close_worker,
    fit_models,
    model_t,
    n_mixing_of,
    open_worker,
    place_beyond_starts,
    plan_t,
    room_for,
    trial_t,
    worker_t,
)
from mixfast.engine._kernels cimport rows_t
from mixfast.engine._pass cimport (
    CACHE_LINE,
    LANE_IMPOSSIBLE,
    expected,
    flops_of,
    measure_arena,
    nearest,
    run_pass,
    strategy_t,
)
from mixfast.engine._predictions cimport results_t, writing
from mixfast.engine._reals cimport put
from mixfast.engine._rows cimport Rows, weigh

from time import sleep

import numpy as np

from mixfast.status import Status

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1

cdef int INTERRUPTED = Status.INTERRUPTED
cdef int TOO_FEW_ROWS = Status.TOO_FEW_ROWS

# The first thread checks for Ctrl-C and reports progress after so many floating-point operations, some ten
# milliseconds.
cdef double LOOK_FLOPS = 2e7
# A task is done on all threads if a pass takes more than WIDE_FLOPS operations, some ten milliseconds, and either the
# task is more than WIDE_SHARE / n_threads of all the work, so that one thread would still be busy with it when the
# others are done, or a pass takes more than LONG_FLOPS, so that Ctrl-C would have to wait.
cdef double WIDE_FLOPS = 5e7
cdef double WIDE_SHARE = 0.25
cdef double LONG_FLOPS = 2e8
cdef double WAIT = 0.005  # seconds between two checks for Ctrl-C of a thread that has nothing else to do
cdef enum:
    N_DEALS = 1000                 # a thread takes n_tasks / (N_DEALS * n_threads) tasks at a time, at least one
    FAILS = 2                      # the rank of a fit without parameters; see choose_if_better


cdef struct batch_t

# Consecutive models that share their starts, so that k-means runs once for them: those of equal n_components, all with
# a given start or all without.
ctypedef struct group_t:
    const model_t *models
    Py_ssize_t n_models


# One thread of the batch: its worker, and what it has done so far.
ctypedef struct batch_thread_t:
    worker_t own
    batch_t *batch
    Py_ssize_t n_done, n_bad       # fits that are done; those of them without usable parameters
    double flops                   # operations since it last checked for Ctrl-C


ctypedef void (*task_fn)(batch_thread_t *, const batch_t *, Py_ssize_t task) noexcept nogil


cdef struct batch_t:
    # the problems
    rows_t rows                    # of all problems
    rows_t seeding_rows            # the columns that k-means runs on, of the same rows
    const int64_t *offsets         # [n_problems + 1]; problem i has the rows offsets[i] .. offsets[i + 1]
    const uint64_t *seeds
    # what is fitted, and how
    Py_ssize_t n_models, n_groups
    model_t *models
    group_t *groups
    const plan_t *plan
    int passed_over                # flags of Status; fits with one of them are chosen only where there are no others
    const double *n_effective      # [n_problems], effective sample sizes for criteria; NULL: sums of the weights
    # results: [n_problems][n_slots] of each; one slot for the best model, or n_models slots, one for each
    Py_ssize_t n_slots, largest_mixing, largest_params
    double *mixing
    double *params
    double *lower_bounds
    int32_t *n_iter
    int32_t *status                # INTERRUPTED where not yet fitted
    double *criteria               # [n_problems][n_models]
    int32_t *chosen                # [n_problems], the best model
    # tasks and threads
    task_fn do_task
    const int64_t *tasks           # numbers of problems; where each model has a slot, problem * n_groups + group
    Py_ssize_t n_tasks, next_task
    Py_ssize_t deal                # how many tasks a thread takes at a time
    Py_ssize_t n_working           # threads that have not run out of tasks
    PyThread_type_lock lock        # guards next_task and n_working
    int stop                       # 1 after Ctrl-C or an exception of `progress`
    Py_ssize_t n_batch_threads     # n_threads, and one more for tasks that are done on all threads
    batch_thread_t *threads
    void *progress                 # a Python function of (n_done, n_bad), summed over threads, or NULL
    void *error                    # a Python list; what `progress` raised is appended


# ---- which model is the best ----------------------------------------------------------------------------------------

# The best model of a problem so far.
ctypedef struct choice_t:
    Py_ssize_t model
    int rank
    double least


cdef bint choose_if_better(choice_t *choice, Py_ssize_t model, bint fails, int status, int passed_over,
                           double criterion, double n_free) noexcept nogil:
    """Compare the next model of a problem with the best so far; INOUT choice. Returns whether it is better.

    Fits are ranked: 0, chosen by the least criterion; 1, those with a flag of `passed_over` (their likelihood has no
    bound, so that criteria mean nothing), by the smallest number of parameters; 2, those that failed. Ties go to the
    earlier model. Model 0 is always taken."""
    cdef int rank = FAILS if fails else status & passed_over != 0
    cdef double value = criterion if rank == 0 else n_free
    if value != value:
        value = INFINITY
    if model > 0 and not (rank < choice.rank or (rank == choice.rank < FAILS and value < choice.least)):
        return False
    choice.model, choice.rank, choice.least = model, rank, value
    return True


def choose(const double[:, :, ::1] weights not None, const int32_t[:, ::1] status not None,
           const double[:, ::1] criteria not None, const double[::1] n_free not None, int passed_over):
    """The best model of each problem, int32 (n_problems,).

    IN weights (n_problems, n_models, largest_mixing), NaN where a fit failed; status and criteria (n_problems,
    n_models), as `fit_problems` fills them with a slot for each model; n_free (n_models,), numbers of free parameters;
    passed_over, flags of Status."""
    cdef int32_t[::1] chosen = np.zeros(weights.shape[0], dtype=np.int32)
    cdef choice_t choice
    cdef Py_ssize_t i, j
    for i in range(weights.shape[0]):
        for j in range(weights.shape[1]):
            choose_if_better(&choice, j, not isfinite(weights[i, j, 0]), status[i, j], passed_over, criteria[i, j],
                             n_free[j])
        chosen[i] = <int32_t> choice.model
    return np.asarray(chosen)


# ---- one problem ----------------------------------------------------------------------------------------------------

cdef size_t most_room(const batch_t *b, problems, sizes, int n_threads):
    """Bytes of work space for the fit of any of these problems. All are measured, since a smaller problem may need
    more: its single chunk can be longer than each of the two chunks of a larger one. Of dense problems of equal size,
    which need the same, one is."""
    cdef size_t largest = 0
    cdef rows_t rows, seeding_rows
    cdef Py_ssize_t i
    if b.rows.indptr == NULL and b.seeding_rows.indptr == NULL:
        problems = problems[np.unique(sizes[problems], return_index=True)[1]]
    for problem in problems:
        rows, seeding_rows = rows_of(&b.rows, b.offsets, problem), rows_of(&b.seeding_rows, b.offsets, problem)
        for i in range(b.n_groups):
            largest = max(largest, room_for(b.plan, b.groups[i].models, b.groups[i].n_models, &rows, &seeding_rows,
                                            n_threads))
    return largest


cdef void fit_group(batch_thread_t *t, const batch_t *b, const group_t *group, Py_ssize_t problem) noexcept nogil:
    """Fit the models of a group to a problem. OUT t.own.trials[j]: the best of all starts of model j, with `fails`
    where the family failed. The return code of `fit_models` is not needed: it is nonzero where the batch stops, as
    b.stop."""
    cdef rows_t rows = rows_of(&b.rows, b.offsets, problem)
    cdef rows_t seeding_rows = rows_of(&b.seeding_rows, b.offsets, problem)
    fit_models(&t.own, b.plan, group.models, group.n_models, &rows, &seeding_rows, weigh(&rows),
               NULL if b.n_effective == NULL else b.n_effective + problem, b.seeds[problem])


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
    if rows.known != NULL:
        rows.known += first
    rows.runs = NULL  # of all problems together
    return rows


cdef void fit_problem(batch_thread_t *t, const batch_t *b, Py_ssize_t problem) noexcept nogil:
    """Fit all models to a problem and store the best. After an interrupt its status is INTERRUPTED."""
    cdef const trial_t *trial
    cdef Py_ssize_t model = 0, i, j
    cdef choice_t choice
    if b.status[problem] != INTERRUPTED:
        t.n_done += 1
        t.n_bad += 1
        return  # it has a status already: its rows cannot be fitted
    for i in range(b.n_groups):
        fit_group(t, b, &b.groups[i], problem)
        if b.stop:
            b.status[problem] = INTERRUPTED
            return
        for j in range(b.groups[i].n_models):
            trial = &t.own.trials[j]
            b.criteria[problem * b.n_models + model] = trial.criterion
            if choose_if_better(&choice, model, trial.fails, trial.fit.status, b.passed_over, trial.criterion,
                                b.models[model].n_free):
                keep(b, &b.models[model], trial, problem)
            model += 1
    b.chosen[problem] = <int32_t> choice.model
    t.n_done += 1
    t.n_bad += choice.rank == FAILS


cdef void fit_pair(batch_thread_t *t, const batch_t *b, Py_ssize_t pair) noexcept nogil:
    """Fit one group of models to one problem and store each fit in its own slot. IN pair: problem * n_groups +
    group."""
    cdef Py_ssize_t problem = pair // b.n_groups, i
    cdef const group_t *group = &b.groups[pair - problem * b.n_groups]
    cdef Py_ssize_t slot = problem * b.n_models + (group.models - b.models)
    cdef bint is_open = b.status[slot] == INTERRUPTED
    if is_open:
        fit_group(t, b, group, problem)
        if b.stop:
            return
    for i in range(group.n_models):
        if is_open:
            b.criteria[slot + i] = t.own.trials[i].criterion
            keep(b, &group.models[i], &t.own.trials[i], slot + i)
        t.n_done += 1
        t.n_bad += not is_open or t.own.trials[i].fails


cdef void keep(const batch_t *b, const model_t *m, const trial_t *trial, Py_ssize_t slot) noexcept nogil:
    """Store a fit in a slot of the results: parameters are padded with NaN, and all NaN where it failed."""
    cdef double *mixing = b.mixing + slot * b.largest_mixing
    cdef double *params = b.params + slot * b.largest_params
    cdef Py_ssize_t n_mixing = 0 if trial.fails else n_mixing_of(m)
    cdef Py_ssize_t n_params = 0 if trial.fails else m.family.n_params, i
    memcpy(mixing, trial.fit.mixing, n_mixing * sizeof(double))
    memcpy(params, trial.fit.params, n_params * sizeof(double))
    for i in range(n_mixing, b.largest_mixing):
        mixing[i] = NAN
    for i in range(n_params, b.largest_params):
        params[i] = NAN
    b.lower_bounds[slot] = NAN if trial.fails else trial.fit.lower_bound
    b.n_iter[slot] = <int32_t> trial.fit.n_iter
    b.status[slot] = trial.fit.status
    if trial.fails and not trial.fit.status & TOO_FEW_ROWS:
        b.status[slot] |= MIXFAST_NOT_FINITE


# ---- all problems ---------------------------------------------------------------------------------------------------

cdef int look_at_stop(void *thread) noexcept nogil:
    return (<const batch_thread_t *> thread).batch.stop


cdef int look_for_interrupt(void *thread) noexcept nogil:
    """The observer of the thread that checks for Ctrl-C, called after each round of a pass (a fit may take minutes).
    Returns nonzero to stop the fit."""
    cdef batch_thread_t *t = <batch_thread_t *> thread
    t.flops += flops_of(&t.own.fit) / <double> t.own.fit.n_rounds
    if t.flops > LOOK_FLOPS:
        t.flops = 0
        listen(t.batch)
    return t.batch.stop


cdef void do_tasks(batch_t *b, batch_thread_t *t) noexcept nogil:
    """Do tasks until there are none left. The first thread, the only one that checks for Ctrl-C, then goes on checking
    until the others are done."""
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
                b.do_task(t, b, b.tasks[i])
    PyThread_acquire_lock(b.lock, WAIT_LOCK)
    b.n_working -= 1
    PyThread_release_lock(b.lock)
    while t == b.threads and b.n_working > 0:
        listen(b, WAIT)


cdef void listen(batch_t *b, double seconds=0) noexcept nogil:
    """Sleep for `seconds`, check for Ctrl-C and report progress. OUT b.stop, b.error."""
    cdef Py_ssize_t n_done = 0, n_bad = 0, i
    for i in range(b.n_batch_threads):
        n_done += b.threads[i].n_done
        n_bad += b.threads[i].n_bad
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


def fit_problems(Rows rows not None, Rows seeding_rows not None, const int64_t[::1] offsets not None,
                 const uint64_t[::1] seeds not None, models, Plan plan not None, found, *, int passed_over,
                 const double[::1] n_effective, int n_threads, progress):
    """Fit every model to every problem and fill the results, `found`.

    IN rows and seeding_rows (the columns that k-means runs on), of all problems, finite; offsets (n_problems + 1,):
    problem i has the rows offsets[i] .. offsets[i + 1]; seeds (n_problems,); models: list of `Model`; passed_over:
    flags of Status, see `choose_if_better`; n_effective (n_problems,) or None; progress: a function of (n_done, n_bad),
    or None.
    INOUT found: arrays [problem, slot], n_slots = 1 for the best model by the plan's criterion, or n_models. Only
    problems whose status is INTERRUPTED are fitted; those that Ctrl-C left out keep it.

    Returns whether Ctrl-C was pressed. Raises MemoryError, ValueError where `found` has too little room, and what
    `progress` raised.
    """
    cdef batch_t b
    cdef Py_ssize_t i
    cdef int64_t[::1] order, wide
    cdef int n_narrow_threads
    cdef Model model
    cdef size_t room
    cdef double[:, :, ::1] weights = found.weights, params = found.params
    cdef double[:, ::1] lower_bounds = found.lower_bounds, criteria = found.criteria
    cdef int32_t[:, ::1] n_iter = found.n_iter, status = found.status
    cdef int32_t[::1] chosen = found.chosen
    errors = []
    memset(&b, 0, sizeof(batch_t))
    b.rows, b.seeding_rows = rows.c, seeding_rows.c
    b.offsets, b.seeds = &offsets[0], &seeds[0]
    b.n_models, b.plan = len(models), &plan.c
    b.passed_over = passed_over
    b.n_effective = &n_effective[0] if n_effective is not None else NULL
    b.n_slots, b.largest_mixing, b.largest_params = weights.shape[1], weights.shape[2], params.shape[2]
    b.mixing, b.params, b.lower_bounds = &weights[0, 0, 0], &params[0, 0, 0], &lower_bounds[0, 0]
    b.n_iter, b.status, b.chosen = &n_iter[0, 0], &status[0, 0], &chosen[0]
    b.criteria = &criteria[0, 0]
    b.progress = <void *> progress if progress is not None else NULL
    b.error = <void *> errors

    sizes, n_values = np.diff(offsets), rows.n_values_of(offsets)
    b.models = <model_t *> calloc(b.n_models, sizeof(model_t))
    b.groups = <group_t *> calloc(b.n_models, sizeof(group_t))
    b.threads = <batch_thread_t *> calloc(n_threads + 1, sizeof(batch_thread_t))
    try:
        b.lock = PyThread_allocate_lock()
        if b.models == NULL or b.groups == NULL or b.threads == NULL or b.lock == NULL:
            raise MemoryError
        for i in range(b.n_models):
            model = models[i]
            b.models[i] = model.c
            if n_mixing_of(&model.c) > b.largest_mixing or model.c.family.n_params > b.largest_params:
                raise ValueError(f"results have room for {b.largest_mixing} weights and {b.largest_params} parameters")
        group_models(&b, True)
        b.do_task = fit_problem if b.n_slots == 1 else fit_pair
        flops = flops_of_groups(&b, sizes, n_values)
        # a thread would be busy with the largest group when the others are done: models do not share starts then
        if b.n_slots > 1 and np.sum(flops) < n_threads * np.max(flops):
            group_models(&b, False)
            flops = flops_of_groups(&b, sizes, n_values)
        n_models = np.array([b.groups[i].n_models for i in range(b.n_groups)])
        if b.n_slots == 1:
            flops, n_models = np.sum(flops, axis=1, keepdims=True), np.sum(n_models)
        # the problems with the most rows first, and of each problem the groups with the most operations
        ranked = np.argsort(-sizes, kind="stable")
        n_own = flops.shape[1]
        ranked = (ranked[:, np.newaxis] * n_own + np.argsort(-flops, axis=1, kind="stable")[ranked]).ravel()
        pass_flops, flops = (flops / n_models).ravel()[ranked], flops.ravel()[ranked]
        on_all_threads = is_wide(pass_flops, flops, n_threads)
        wide, order = ranked[on_all_threads], ranked[~on_all_threads]
        b.n_tasks, b.tasks = order.shape[0], &order[0] if order.shape[0] else NULL
        b.deal = max(1, b.n_tasks // (N_DEALS * n_threads))
        b.n_batch_threads = n_threads + 1
        n_narrow_threads = <int> min(<Py_ssize_t> n_threads, b.n_tasks)
        if n_narrow_threads:
            room = most_room(&b, np.asarray(order) // n_own, sizes, 1)
            for i in range(n_narrow_threads):
                open_thread(&b.threads[i], &b, 1, i == 0, room)
        if wide.shape[0]:
            room = most_room(&b, np.asarray(wide) // n_own, sizes, n_threads)
            open_thread(&b.threads[n_threads], &b, n_threads, True, room)
        with nogil:
            for i in range(wide.shape[0]):
                if not b.stop:
                    b.do_task(&b.threads[n_threads], &b, wide[i])
            if n_narrow_threads == 1:
                do_tasks(&b, b.threads)
            elif n_narrow_threads > 1:
                for i in prange(n_narrow_threads, schedule="static", chunksize=1, num_threads=n_narrow_threads):
                    do_tasks(&b, &b.threads[i])
        if not b.stop:
            listen(&b)  # else a Ctrl-C at the very end would raise in the caller, and the results be lost
    finally:
        for i in range(n_threads + 1 if b.threads != NULL else 0):
            close_worker(&b.threads[i].own)
        free(b.threads)
        free(b.models)
        free(b.groups)
        if b.lock != NULL:
            PyThread_free_lock(b.lock)
    if errors:
        raise errors[0]
    return bool(b.stop)


cdef void group_models(batch_t *b, bint shares) noexcept nogil:
    """OUT b.groups, b.n_groups: consecutive models with the same starts in one group, or, unless `shares`, each model
    in a group of its own."""
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
    """Which tasks are done on all threads, a mask. IN operations of one pass and of all of a task, (n_tasks,)."""
    return (n_threads > 1) & (pass_flops > WIDE_FLOPS) & (
        (pass_flops > LONG_FLOPS) | (flops > WIDE_SHARE / n_threads * np.sum(flops)))


cdef object flops_of_groups(const batch_t *b, sizes, n_values):
    """Operations of one pass under each model of a group, summed: (n_problems, n_groups)."""
    cdef Py_ssize_t i, j
    cdef double per_row, per_value
    flops = np.empty((len(sizes), b.n_groups))
    for i in range(b.n_groups):
        per_row = per_value = 0
        for j in range(b.groups[i].n_models):
            per_row += <double> b.groups[i].models[j].family.flops_per_row
            per_value += <double> b.groups[i].models[j].family.flops_per_value
        flops[:, i] = sizes * per_row + n_values * per_value
    return flops


cdef int open_thread(batch_thread_t *t, batch_t *b, int n_threads, bint listens, size_t room) except -1:
    t.batch = b
    if open_worker(&t.own, n_threads, look_for_interrupt if listens else look_at_stop, t, room) != 0:
        raise MemoryError(f"the largest of the problems needs {room} bytes of work space in each thread")
    return 0


# ---- predictions ----------------------------------------------------------------------------------------------------

cdef void place_evaluation(worker_t *w, const batch_t *b, const model_t *m, Py_ssize_t problem) noexcept nogil:
    w.rows, w.after_starts = rows_of(&b.rows, b.offsets, problem), 0
    w.weighed = weigh(&w.rows)
    place_beyond_starts(w, m.family, m.proportions, &w.rows)


cdef size_t room_for_evaluation(const batch_t *b, const int64_t[::1] problems, sizes, int n_threads):
    """Bytes of work space for a pass over any of these problems under any model; see `most_room`."""
    cdef worker_t w
    cdef size_t largest = 0
    cdef Py_ssize_t i, j
    cdef const int64_t[::1] measured = problems
    memset(&w, 0, sizeof(worker_t))
    w.n_threads = n_threads
    measure_arena(&w.arena)
    if b.rows.indptr == NULL:
        measured = np.asarray(problems)[np.unique(sizes[problems], return_index=True)[1]]
    for i in range(measured.shape[0]):
        for j in range(b.n_models):
            place_evaluation(&w, b, &b.models[j], measured[i])
            largest = max(largest, w.arena.used)
    return largest + CACHE_LINE


cdef void evaluate_problem(worker_t *w, const batch_t *b, Py_ssize_t problem, const results_t *out,
                           const int64_t *resp_offsets, double *n_impossible) noexcept nogil:
    """Predict for one problem under its chosen model. OUT the problem's part of each array in `out` that is not NULL
    (arrays of all problems; the responsibilities of problem i begin at resp_offsets[i]), NaN and labels of -1 where the
    family fails; n_impossible[problem], the number of impossible rows."""
    cdef const model_t *m = &b.models[b.chosen[problem]]
    cdef results_t results
    cdef strategy_t strategy
    memset(&results, 0, sizeof(results_t))
    results.labels = NULL if out.labels == NULL else out.labels + b.offsets[problem]
    results.log_norm = NULL if out.log_norm == NULL else out.log_norm + b.offsets[problem] * m.family.real_bytes
    results.resp = NULL if out.resp == NULL else out.resp + resp_offsets[problem] * m.family.real_bytes
    place_evaluation(w, b, m, problem)
    strategy = writing(nearest if out.log_norm == NULL and out.resp == NULL else expected, &results)
    memcpy(w.fit.mixing, b.mixing + problem * b.largest_mixing, w.fit.n_mixing * sizeof(double))
    memcpy(w.fit.params, b.params + problem * b.largest_params, m.family.n_params * sizeof(double))
    if run_pass(&w.fit, &strategy) == 0:
        n_impossible[problem] = w.fit.lanes[LANE_IMPOSSIBLE]
    else:
        fill_with_nothing(&results, w.fit.rows.n_rows, m.family)


cdef void fill_with_nothing(const results_t *results, Py_ssize_t n_rows, const family_t *family) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n_rows if results.labels != NULL else 0):
        results.labels[i] = -1
    for i in range(n_rows if results.log_norm != NULL else 0):
        put(results.log_norm, family.real_bytes, i, NAN)
    for i in range(n_rows * family.n_components if results.resp != NULL else 0):
        put(results.resp, family.real_bytes, i, NAN)


def evaluate_problems(Rows rows not None, const int64_t[::1] offsets not None, models, int32_t[::1] chosen not None,
                      double[:, ::1] weights not None, double[:, ::1] params not None, *, int n_threads,
                      int64_t[::1] labels=None, log_norm=None, resp=None):
    """Predictions for the rows of all problems, problem i under models[chosen[i]] with weights[i] and params[i].

    IN rows, offsets as in `fit_problems`; chosen (n_problems,), -1 for problems without rows; weights (n_problems,
    largest_mixing), params (n_problems, largest_params). OUT whichever are given: labels (n_rows,), log_norm (n_rows,)
    and resp, flat, the (n_samples_i, n_components_i) of each problem one after the other; the last two in the precision
    that the models compute in. Returns the number of impossible rows. Raises KeyboardInterrupt, MemoryError, and
    ValueError for arrays of another precision."""
    cdef batch_t b
    cdef double[::1] n_impossible = np.zeros(len(offsets) - 1)
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
    b.largest_mixing, b.largest_params = weights.shape[1], params.shape[1]
    b.mixing, b.params, b.error = &weights[0, 0], &params[0, 0], <void *> errors
    b.models = <model_t *> calloc(b.n_models, sizeof(model_t))
    b.threads = <batch_thread_t *> calloc(n_threads + 1, sizeof(batch_thread_t))
    try:
        if b.models == NULL or b.threads == NULL:
            raise MemoryError
        for i in range(b.n_models):
            model = models[i]
            b.models[i] = model.c
        for filled in (log_norm, resp):
            if filled is not None and filled.itemsize != b.models[0].family.real_bytes:
                raise ValueError(f"results of {filled.dtype} for models computed in reals of "
                                 f"{b.models[0].family.real_bytes} bytes")
        sizes, n_values, of = np.diff(offsets), rows.n_values_of(offsets), np.asarray(chosen)
        per_row, per_value = np.array([(b.models[i].family.flops_per_row, b.models[i].family.flops_per_value)
                                       for i in range(b.n_models)], dtype=float).T
        widths = np.array([b.models[i].family.n_components for i in range(b.n_models)], dtype=np.int64)
        resp_offsets = np.cumsum(sizes * widths[of]) - sizes * widths[of]
        flops = sizes * per_row[of] + n_values * per_value[of]
        wanted = np.flatnonzero((of >= 0) & (sizes > 0))
        on_all_threads = is_wide(flops[wanted], flops[wanted], n_threads)
        narrow, wide = wanted[~on_all_threads], wanted[on_all_threads]
        b.n_batch_threads = n_threads + 1
        if narrow.shape[0]:
            room = room_for_evaluation(&b, narrow, sizes, 1)
            for i in range(n_threads):
                open_thread(&b.threads[i], &b, 1, i == 0, room)
        if wide.shape[0]:
            room = room_for_evaluation(&b, wide, sizes, n_threads)
            open_thread(&b.threads[n_threads], &b, n_threads, True, room)
        with nogil:
            for i in range(wide.shape[0]):
                if b.stop == 0:
                    evaluate_problem(&b.threads[n_threads].own, &b, wide[i], &out, &resp_offsets[0], &n_impossible[0])
            for i in prange(narrow.shape[0], schedule="dynamic", num_threads=n_threads):
                if b.stop == 0:
                    evaluate_problem(&b.threads[threadid()].own, &b, narrow[i], &out, &resp_offsets[0],
                                     &n_impossible[0])
    finally:
        for i in range(n_threads + 1 if b.threads != NULL else 0):
            close_worker(&b.threads[i].own)
        free(b.threads)
        free(b.models)
    if b.stop:
        raise errors[0] if errors else KeyboardInterrupt
    return int(np.sum(n_impossible))
