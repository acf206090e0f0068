"""Many fits at once: a thread takes a whole problem, from its start to its last M-step, without the GIL.

Each thread has a worker (`engine/_fit.pyx`), as large as the largest problem needs; nothing is allocated for a fit but
what pruning wants where there are thousands of rows. An estimator's fit is the same functions with one worker for all
threads, so the bits are those of the estimator.

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


cdef struct batch_t

# Models, one after the other, whose starts are the same.
ctypedef struct group_t:
    const model_t *models
    Py_ssize_t n_models


# What a thread of the batch has beside its worker.
ctypedef struct taker_t:
    worker_t own
    batch_t *batch
    Py_ssize_t n_done, n_bad       # fits
    double flops                   # since it listened last


ctypedef void (*task_fn)(taker_t *, const batch_t *, Py_ssize_t task) noexcept nogil


cdef struct batch_t:
    # the problems
    rows_t rows                    # of all problems
    rows_t seeding_rows            # those that k-means runs on
    const int64_t *offsets         # [n_problems + 1]
    const uint64_t *seeds
    # what is fitted, and how
    Py_ssize_t n_models, n_groups
    model_t *models
    group_t *groups
    const plan_t *plan
    int passed_over                # statuses of fits that are chosen only where there is no other
    const double *n_effective      # [n_problems], NULL where it is the sum of the weights
    # results: [n_problems][n_slots] of each; a slot for the best model or for every one
    Py_ssize_t n_slots, largest_mixing, largest_params
    double *mixing
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
    taker_t *workers
    void *progress                 # called with (problems done, problems with a bad status), or NULL
    void *error                    # what it raised


# ---- which model is the best ----------------------------------------------------------------------------------------

# The best model of a problem so far.
ctypedef struct choice_t:
    Py_ssize_t model
    int rank
    double least


cdef bint choose_if_better(choice_t *choice, Py_ssize_t model, bint fails, int status, int passed_over,
                           double criterion, double n_free) noexcept nogil:
    """Whether the model, the next of a problem, becomes its choice, which is the first with the least criterion. Fits
    that are passed over come behind all others; their likelihood has no bound, so of these the one with the fewest
    parameters is best. Without parameters a model is chosen where there is no other."""
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
    """The best model of each problem, int32 (n_problems,), of fits to all: those of `fit_problems` with a slot for each
    model. n_free (n_models,) are numbers of parameters."""
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
    """Bytes that fits to these problems want. A smaller problem may want more: its one chunk may be longer than each of
    two. Dense ones of the same size want the same."""
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


cdef void fit_group(taker_t *t, const batch_t *b, const group_t *group, Py_ssize_t problem) noexcept nogil:
    """The best of all starts of each model, in the worker's trials. These say too where a verb of the family failed;
    the code here says no more than that the batch is to stop."""
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
    return rows


cdef void fit_problem(taker_t *t, const batch_t *b, Py_ssize_t problem) noexcept nogil:
    """All models, the best of which is kept. What an interrupt leaves undone stays marked so."""
    cdef const trial_t *trial
    cdef Py_ssize_t model = 0, i, j
    cdef choice_t choice
    if b.status[problem] != INTERRUPTED:
        t.n_done += 1
        t.n_bad += 1
        return  # it is known that it cannot be fitted
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


cdef void fit_pair(taker_t *t, const batch_t *b, Py_ssize_t pair) noexcept nogil:
    """One group of models to one problem; each is kept in a slot of its own."""
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
    """A model's fit becomes the result; NaN where it failed and beyond its components."""
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

cdef int look_at_stop(void *taker) noexcept nogil:
    return (<const taker_t *> taker).batch.stop


cdef int look_for_interrupt(void *taker) noexcept nogil:
    """Called after each round of a pass: a fit may go on for minutes."""
    cdef taker_t *t = <taker_t *> taker
    t.flops += flops_of(&t.own.fit) / <double> t.own.fit.n_rounds
    if t.flops > LOOK_FLOPS:
        t.flops = 0
        listen(t.batch)
    return t.batch.stop


cdef void take_tasks(batch_t *b, taker_t *t) noexcept nogil:
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
                b.do_task(t, b, b.tasks[i])
    PyThread_acquire_lock(b.lock, WAIT_LOCK)
    b.n_working -= 1
    PyThread_release_lock(b.lock)
    while t == b.workers and b.n_working > 0:
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


def fit_problems(Rows rows not None, Rows seeding_rows not None, const int64_t[::1] offsets not None,
                 const uint64_t[::1] seeds not None, models, Plan plan not None, found, *, int passed_over,
                 const double[::1] n_effective, int n_threads, progress):
    """Fit every model to every problem and fill the results, `found`.

    Problem i has the rows offsets[i] .. offsets[i + 1], which are finite; k-means runs on those of `seeding_rows`.
    Results are (n_problems, n_slots, ...), n_slots 1 for the best model by the plan's criterion or one for each; only
    those are fitted whose status is INTERRUPTED, and that stays where Ctrl-C came first. Returns whether it did.
    """
    cdef batch_t b
    cdef Py_ssize_t i
    cdef int64_t[::1] order, wide
    cdef int n_takers
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
    b.workers = <taker_t *> calloc(n_threads + 1, sizeof(taker_t))
    try:
        b.lock = PyThread_allocate_lock()
        if b.models == NULL or b.groups == NULL or b.workers == NULL or b.lock == NULL:
            raise MemoryError
        for i in range(b.n_models):
            model = models[i]
            b.models[i] = model.c
            if n_mixing_of(&model.c) > b.largest_mixing or model.c.family.n_params > b.largest_params:
                raise ValueError(f"results have room for {b.largest_mixing} weights and {b.largest_params} parameters")
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
                open_taker(&b.workers[i], &b, 1, i == 0, room)
        if wide.shape[0]:
            room = most_room(&b, np.asarray(wide) // n_own, sizes, n_threads)
            open_taker(&b.workers[n_threads], &b, n_threads, True, room)
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
            close_worker(&b.workers[i].own)
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


cdef int open_taker(taker_t *t, batch_t *b, int n_threads, bint listens, size_t room) except -1:
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


cdef void evaluate_problem(worker_t *w, const batch_t *b, Py_ssize_t problem, const results_t *out,
                           const int64_t *resp_offsets, double *n_impossible) noexcept nogil:
    """What is wanted of the problem's rows under its chosen model, of those of all problems; NaN, and labels of -1,
    where a verb of the family fails."""
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
    """Fill `labels` (n_rows,), `log_norm` (n_rows,) and `resp`, the (rows, n_components) of each problem one after the
    other, reals of X's precision, whichever is given: problem i under the model chosen[i] with weights[i] and
    params[i]; none where chosen[i] is -1, which has no rows. Returns the number of impossible rows. Raises
    KeyboardInterrupt."""
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
    b.workers = <taker_t *> calloc(n_threads + 1, sizeof(taker_t))
    try:
        if b.models == NULL or b.workers == NULL:
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
        b.n_workers = n_threads + 1
        if narrow.shape[0]:
            room = room_for_evaluation(&b, narrow, sizes, 1)
            for i in range(n_threads):
                open_taker(&b.workers[i], &b, 1, i == 0, room)
        if wide.shape[0]:
            room = room_for_evaluation(&b, wide, sizes, n_threads)
            open_taker(&b.workers[n_threads], &b, n_threads, True, room)
        with nogil:
            for i in range(wide.shape[0]):
                if b.stop == 0:
                    evaluate_problem(&b.workers[n_threads].own, &b, wide[i], &out, &resp_offsets[0], &n_impossible[0])
            for i in prange(narrow.shape[0], schedule="dynamic", num_threads=n_threads):
                if b.stop == 0:
                    evaluate_problem(&b.workers[threadid()].own, &b, narrow[i], &out, &resp_offsets[0],
                                     &n_impossible[0])
    finally:
        for i in range(n_threads + 1 if b.workers != NULL else 0):
            close_worker(&b.workers[i].own)
        free(b.workers)
        free(b.models)
    if b.stop:
        raise errors[0] if errors else KeyboardInterrupt
    return int(np.sum(n_impossible))
