"""The functions of `mixfast.h`: a fit of one problem, and passes, in the caller's memory. Without the GIL, and without
Python but for plans.

All that is done is in `engine/`; here arguments are checked and memory is cut.
"""

from cpython.pycapsule cimport PyCapsule_GetContext, PyCapsule_New, PyCapsule_SetContext
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.float cimport DBL_MAX, DBL_MIN, FLT_MAX, FLT_MIN
from libc.math cimport INFINITY, copysign, fabs, floor, isfinite
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy, memset

from mixfast._em cimport em_t, evidence_of, maximise_all
from mixfast.engine._capsule cimport record_size
from mixfast.engine._family cimport MIXFAST_NOT_FINITE, family_t, stream_t
from mixfast.engine._fit cimport (
    Model,
    Plan,
    fit_models,
    model_t,
    n_mixing_of,
    plan_t,
    room_for,
    trial_t,
    worker_t,
)
from mixfast.engine._kernels cimport rows_t
from mixfast.engine._pass cimport (
    LANE_COUNTS,
    LANE_IMPOSSIBLE,
    arena_t,
    expected,
    measure_arena,
    nearest,
    open_arena,
    pass_t,
    place_pass,
    prepare,
    run_pass,
    shape_pass,
    strategy_t,
    take,
    usual,
    visit,
)
from mixfast.engine._predictions cimport results_t, writing
from mixfast.engine._random cimport DRAWN_ROWS, one_of, open_stream
from mixfast.engine._reals cimport get, put
from mixfast.engine._rows cimport are_finite, value_of, weigh, weighed_t

from mixfast.status import Status

cdef int TOO_FEW_ROWS = Status.TOO_FEW_ROWS
cdef int OUT_OF_DOMAIN = Status.OUT_OF_DOMAIN

cdef extern from "mixfast.h" nogil:
    const char *MIXFAST_API
    const char *MIXFAST_PLAN
    int MIXFAST_API_VERSION
    int DONE "MIXFAST_DONE"
    int BAD_ARGUMENT "MIXFAST_BAD_ARGUMENT"
    int NO_ROOM "MIXFAST_NO_ROOM"
    int NO_NUMBERS "MIXFAST_NO_NUMBERS"

    ctypedef struct opaque_t "mixfast_plan":
        pass

    ctypedef struct view_t "mixfast_view":
        const void *data
        int64_t n_rows
        int64_t row_stride
        int64_t column_stride
        const double *weight

    ctypedef struct report_t "mixfast_report":
        double lower_bound
        int32_t n_iter
        int32_t status

    ctypedef struct api_t "mixfast_api":
        uint32_t version
        uint32_t bytes
        int (*sizes)(const opaque_t *, int64_t *, int64_t *, int64_t *, int64_t *, size_t *) noexcept nogil
        int (*room)(const opaque_t *, int64_t, int, size_t *) noexcept nogil
        int (*pass_room)(const opaque_t *, int64_t, int, size_t *) noexcept nogil
        int (*fit)(const opaque_t *, const view_t *, uint64_t, int, void *, size_t, double *, double *,
                   report_t *) noexcept nogil
        int (*evaluate)(const opaque_t *, const double *, const double *, const void *, const view_t *, int, void *,
                        size_t, int64_t *, void *, void *) noexcept nogil
        int (*gather)(const opaque_t *, const double *, const double *, const view_t *, int, void *, size_t,
                      double *) noexcept nogil
        int (*maximise)(const opaque_t *, const double *, void *, size_t, double *, double *, int32_t *) noexcept nogil
        const char *(*message)(int) noexcept nogil
        int (*prepare)(const opaque_t *, const double *, const double *, void *, size_t, void *, size_t) noexcept nogil
        int (*recentre)(const opaque_t *, const double *, const double *, const double *, const double *, void *,
                        size_t, double *) noexcept nogil
        int (*sample)(const opaque_t *, const double *, const double *, uint64_t, int64_t, int64_t, void *, size_t,
                      int64_t *, void *) noexcept nogil
        int (*follow)(const opaque_t *, const view_t *, double, double, void *, size_t, double *, double *, double *,
                      int64_t *, double *) noexcept nogil

# The first of the sums that `gather` adds up; counts come next.
cdef enum:
    SUM_EVIDENCE = 0
    SUM_WEIGHT = 1
    SUM_IMPOSSIBLE = 2
    SUM_LEAST_WEIGHT = 3
    SUM_COUNTS = 4

# What a mixfast_plan is.
ctypedef struct own_plan_t:
    const model_t *model
    const plan_t *plan             # for fits whose starts the engine finds
    const plan_t *from_given       # for fits from parameters that the caller gives
    const double *least            # [n_features], the range of each column
    const double *largest
    bint is_whole                  # values are whole numbers

# Header of the caller's table memory; the pivot and the family's tables follow, each on a cache line.
ctypedef struct prepared_t:
    const own_plan_t *plan
    const prepared_t *place


cdef inline const own_plan_t *own(const opaque_t *plan) noexcept nogil:
    return <const own_plan_t *> plan


cdef int look_at_nothing(void *nothing) noexcept nogil:
    """Nobody stops a pass."""
    return 0


# ---- what is given --------------------------------------------------------------------------------------------------

cdef int read_view(const own_plan_t *plan, const view_t *view, rows_t *rows) noexcept nogil:
    """IN view: the caller's rows. OUT rows: the engine's view of them. Every value is checked: a value that is not
    finite or outside the family's domain is an error, so kernels never see one."""
    cdef const family_t *family = plan.model.family
    cdef double value, total = 0
    cdef Py_ssize_t i, j
    memset(rows, 0, sizeof(rows_t))
    rows.n_features, rows.real_bytes = family.n_features, family.real_bytes
    if view == NULL or view.n_rows < 0 or (view.n_rows > 0 and view.data == NULL):
        return BAD_ARGUMENT
    rows.data, rows.n_rows = <const char *> view.data, view.n_rows
    rows.row_stride, rows.column_stride = view.row_stride, view.column_stride
    rows.weight = view.weight
    for i in range(rows.n_rows):
        for j in range(rows.n_features):
            value = value_of(rows, i, j)
            total += 0 * value
            if not plan.least[j] <= value <= plan.largest[j] or (plan.is_whole and value != floor(value)):
                return BAD_ARGUMENT if isfinite(value) else NO_NUMBERS
    if total != 0:  # infinity times 0 is not a number either
        return NO_NUMBERS
    for i in range(rows.n_rows if rows.weight != NULL else 0):
        if not isfinite(rows.weight[i]):
            return NO_NUMBERS
        if rows.weight[i] < 0:
            return BAD_ARGUMENT
    return DONE


cdef bint are_numbers(const own_plan_t *plan, const double *weights, const double *params) noexcept nogil:
    return (are_finite(weights, n_mixing_of(plan.model), sizeof(double))
            and are_finite(params, plan.model.family.n_params, sizeof(double)))


cdef int check_state(const own_plan_t *plan, const double *weights, const double *params) noexcept nogil:
    """Scales that are outside their domain make densities that are no numbers, and are found then."""
    cdef Py_ssize_t k
    if not are_numbers(plan, weights, params):
        return NO_NUMBERS
    for k in range(plan.model.family.n_components):
        if weights[k] < 0:
            return BAD_ARGUMENT
    return DONE


cdef bint has_nan(const void *values, Py_ssize_t n_rows, Py_ssize_t n_columns, int real_bytes) noexcept nogil:
    """Whether a first column has what a negative scale leads to, whose logarithm is no number. NULL has none."""
    cdef Py_ssize_t i
    cdef double value
    for i in range(n_rows if values != NULL else 0):
        value = get(values, real_bytes, i * n_columns)
        if value != value:
            return True
    return False


cdef Py_ssize_t count_rows(const rows_t *rows) noexcept nogil:
    """Those of positive weight."""
    cdef Py_ssize_t n = 0, i
    if rows.weight == NULL:
        return rows.n_rows
    for i in range(rows.n_rows):
        n += rows.weight[i] > 0
    return n


# ---- room -----------------------------------------------------------------------------------------------------------

cdef bint fit_into_any_memory(const own_plan_t *plan, int64_t n_rows) noexcept nogil:
    """Whether 2^62 can say how many bytes so many rows need: no more than 64 doubles for each value and each component
    of a row."""
    cdef int64_t most = <int64_t> 1 << 62, each = plan.model.family.n_features + plan.model.family.n_components
    return n_rows <= most // (512 * each)


cdef rows_t any_rows(const own_plan_t *plan, int64_t n_rows) noexcept nogil:
    """A view of n_rows rows without values, for asking how much memory they need."""
    cdef rows_t rows
    memset(&rows, 0, sizeof(rows_t))
    rows.n_rows, rows.n_features = n_rows, plan.model.family.n_features
    rows.real_bytes = plan.model.family.real_bytes
    return rows


cdef size_t room_of_fit(const own_plan_t *plan, int64_t n_rows, int n_threads) noexcept nogil:
    cdef rows_t rows = any_rows(plan, n_rows)
    cdef size_t room = room_for(plan.plan, plan.model, 1, &rows, &rows, n_threads)
    if plan.plan.n_init == 1 and not plan.plan.search.compares:
        return room  # a given start needs as much, and asking again costs 1 % of a fit of 500 rows
    return max(room, room_for(plan.from_given, plan.model, 1, &rows, &rows, n_threads))


cdef inline Py_ssize_t n_sums_of(const family_t *family) noexcept nogil:
    return SUM_COUNTS + family.n_components + record_size(family)


# Workspace of the functions that make a single pass.
ctypedef struct visit_t:
    pass_t p
    double *record                 # [n_record]
    double *point                  # [n_features], the last pivot or a row
    double *sums                   # [n_sums]


cdef void place_visit(visit_t *v, const own_plan_t *plan, arena_t *arena) noexcept nogil:
    place_pass(&v.p, arena)
    v.record = <double *> take(arena, record_size(plan.model.family) * sizeof(double))
    v.point = <double *> take(arena, plan.model.family.n_features * sizeof(double))
    v.sums = <double *> take(arena, n_sums_of(plan.model.family) * sizeof(double))


cdef size_t shape_visit(visit_t *v, const own_plan_t *plan, const rows_t *rows, int n_threads) noexcept nogil:
    """Lay out the workspace of a single pass. Returns its bytes."""
    cdef arena_t arena
    shape_pass(&v.p, plan.model.family, plan.model.proportions, rows, weigh(rows), n_threads, 0)
    v.p.look = look_at_nothing
    measure_arena(&arena)
    place_visit(v, plan, &arena)
    return arena.used


cdef int open_visit(visit_t *v, const own_plan_t *plan, const rows_t *rows, int n_threads, void *room,
                    size_t n_bytes) noexcept nogil:
    cdef arena_t arena
    if shape_visit(v, plan, rows, n_threads) > n_bytes:
        return NO_ROOM
    open_arena(&arena, room)
    place_visit(v, plan, &arena)
    return DONE


cdef void set_state(pass_t *p, const double *weights, const double *params) noexcept nogil:
    memcpy(p.mixing, weights, p.n_mixing * sizeof(double))
    memcpy(p.params, params, p.family.n_params * sizeof(double))


cdef int prepare_state(pass_t *p, const own_plan_t *plan, const double *weights, const double *params) noexcept nogil:
    cdef int code = check_state(plan, weights, params)
    if code != DONE:
        return code
    set_state(p, weights, params)
    prepare(p)
    return DONE


# ---- tables ---------------------------------------------------------------------------------------------------------

cdef size_t bytes_of_tables(const family_t *family) noexcept nogil:
    cdef arena_t arena
    measure_arena(&arena)
    take(&arena, sizeof(prepared_t))
    take(&arena, family.n_features * sizeof(double))
    take(&arena, family.n_tables * family.real_bytes)
    return arena.used


cdef prepared_t *use_tables(pass_t *p, void *tables) noexcept nogil:
    """Point the pass at the pivot and tables in the caller's memory. Returns their header."""
    cdef arena_t arena
    cdef prepared_t *first
    open_arena(&arena, tables)
    first = <prepared_t *> take(&arena, sizeof(prepared_t))
    p.pivot = <double *> take(&arena, p.family.n_features * sizeof(double))
    p.tables = take(&arena, p.family.n_tables * p.family.real_bytes)
    return first


# ---- the functions of the header ------------------------------------------------------------------------------------

cdef int c_sizes(const opaque_t *opaque, int64_t *n_components, int64_t *n_features, int64_t *n_params,
                 int64_t *n_sums, size_t *table_bytes) noexcept nogil:
    cdef const family_t *family
    if opaque == NULL:
        return BAD_ARGUMENT
    family = own(opaque).model.family
    if n_components != NULL:
        n_components[0] = family.n_components
    if n_features != NULL:
        n_features[0] = family.n_features
    if n_params != NULL:
        n_params[0] = family.n_params
    if n_sums != NULL:
        n_sums[0] = n_sums_of(family)
    if table_bytes != NULL:
        table_bytes[0] = bytes_of_tables(family)
    return DONE


cdef int c_room(const opaque_t *opaque, int64_t n_rows, int n_threads, size_t *n_bytes) noexcept nogil:
    if (opaque == NULL or n_bytes == NULL or n_rows < 0 or n_threads < 1
            or not fit_into_any_memory(own(opaque), n_rows)):
        return BAD_ARGUMENT
    n_bytes[0] = room_of_fit(own(opaque), n_rows, n_threads)
    return DONE


cdef int c_pass_room(const opaque_t *opaque, int64_t n_rows, int n_threads, size_t *n_bytes) noexcept nogil:
    cdef visit_t v
    cdef rows_t rows
    if (opaque == NULL or n_bytes == NULL or n_rows < 0 or n_threads < 1
            or not fit_into_any_memory(own(opaque), n_rows)):
        return BAD_ARGUMENT
    rows = any_rows(own(opaque), n_rows)
    n_bytes[0] = shape_visit(&v, own(opaque), &rows, n_threads)
    return DONE


cdef int c_fit(const opaque_t *opaque, const view_t *view, uint64_t seed, int n_threads, void *room, size_t n_bytes,
               double *weights, double *params, report_t *report) noexcept nogil:
    cdef const own_plan_t *plan = own(opaque)
    cdef report_t unheard
    cdef rows_t rows
    cdef int code
    if report == NULL:
        report = &unheard
    report.lower_bound, report.n_iter, report.status = -INFINITY, 0, 0
    if plan == NULL or n_threads < 1 or room == NULL or weights == NULL or params == NULL:
        return BAD_ARGUMENT
    code = read_view(plan, view, &rows)
    if code != DONE:
        report.status = OUT_OF_DOMAIN if code == BAD_ARGUMENT else MIXFAST_NOT_FINITE
        return code
    if count_rows(&rows) < max(plan.model.family.n_components, 2):
        report.status = TOO_FEW_ROWS
        return BAD_ARGUMENT
    if weights[0] == weights[0]:
        code = check_state(plan, weights, params)
        if code != DONE:
            return code
    if room_of_fit(plan, rows.n_rows, n_threads) > n_bytes:
        return NO_ROOM
    return fit_rows(plan, &rows, seed, n_threads, room, weights, params, report)


cdef int fit_rows(const own_plan_t *plan, const rows_t *rows, uint64_t seed, int n_threads, void *room,
                  double *weights, double *params, report_t *report) noexcept nogil:
    """Fit one problem with a worker in the caller's memory `room`. A fit of one start works on params in place."""
    cdef worker_t w
    cdef model_t model = plan.model[0]
    cdef const plan_t *how = plan.plan
    cdef weighed_t weighed = weigh(rows)
    cdef const trial_t *trial
    if weights[0] == weights[0]:
        model.given_mixing, model.given_params, model.blank = weights, params, params
        model.has_start, how = True, plan.from_given
    memset(&w, 0, sizeof(worker_t))
    w.n_threads, w.look, w.block = n_threads, look_at_nothing, room
    open_arena(&w.arena, room)
    w.mixing, w.params = weights, params
    fit_models(&w, how, &model, 1, rows, rows, weighed, NULL, seed)
    trial = w.trials
    report.lower_bound, report.n_iter = trial.fit.lower_bound, <int32_t> trial.fit.n_iter
    report.status = trial.fit.status
    if trial.fails or trial.code != 0:
        return NO_NUMBERS
    return DONE


cdef int c_evaluate(const opaque_t *opaque, const double *weights, const double *params, const void *tables,
                    const view_t *view, int n_threads, void *room, size_t n_bytes, int64_t *labels, void *log_density,
                    void *resp) noexcept nogil:
    cdef const own_plan_t *plan = own(opaque)
    cdef const prepared_t *prepared
    cdef results_t results
    cdef strategy_t strategy
    cdef rows_t rows
    cdef visit_t v
    cdef int code
    if plan == NULL or n_threads < 1 or room == NULL or (tables == NULL and (weights == NULL or params == NULL)):
        return BAD_ARGUMENT
    code = read_view(plan, view, &rows)
    if code != DONE:
        return code
    rows.weight = NULL  # weights change no density, and responsibilities are those of a row of weight 1
    code = open_visit(&v, plan, &rows, n_threads, room, n_bytes)
    if code != DONE or rows.n_rows == 0 or (labels == NULL and log_density == NULL and resp == NULL):
        return code
    if tables == NULL:
        code = prepare_state(&v.p, plan, weights, params)
        if code != DONE:
            return code
    else:
        prepared = use_tables(&v.p, <void *> tables)
        if prepared.plan != plan or prepared.place != prepared:
            return BAD_ARGUMENT
    results.labels, results.log_norm, results.resp = labels, <char *> log_density, <char *> resp
    results.largest = NULL
    strategy = writing(nearest if log_density == NULL and resp == NULL else expected, &results)
    if visit(&v.p, &strategy) != 0:
        return NO_NUMBERS
    if (has_nan(log_density, rows.n_rows, 1, rows.real_bytes)
            or has_nan(resp, rows.n_rows, plan.model.family.n_components, rows.real_bytes)):
        return BAD_ARGUMENT
    return DONE


cdef int c_gather(const opaque_t *opaque, const double *weights, const double *params, const view_t *view,
                  int n_threads, void *room, size_t n_bytes, double *sums) noexcept nogil:
    cdef const own_plan_t *plan = own(opaque)
    cdef strategy_t strategy = usual()
    cdef rows_t rows
    cdef visit_t v
    cdef int code
    cdef double evidence
    if plan == NULL or n_threads < 1 or room == NULL or weights == NULL or params == NULL or sums == NULL:
        return BAD_ARGUMENT
    code = read_view(plan, view, &rows)
    if code == DONE:
        code = check_state(plan, weights, params)
    if code == DONE:
        code = open_visit(&v, plan, &rows, n_threads, room, n_bytes)
    if code != DONE or rows.n_rows == 0:
        return code
    set_state(&v.p, weights, params)
    if run_pass(&v.p, &strategy) != 0:
        return NO_NUMBERS
    evidence = evidence_of(&v.p)
    if evidence != evidence:  # of a negative scale
        return BAD_ARGUMENT
    add_sums(&v, sums)
    return DONE


cdef void add_sums(const visit_t *v, double *sums) noexcept nogil:
    """Add what the last pass has found to sums [n_sums]."""
    cdef const family_t *family = v.p.family
    cdef const double *counts = v.p.lanes + LANE_COUNTS
    cdef const double *record = counts + family.n_components
    cdef Py_ssize_t i
    sums[SUM_EVIDENCE] += evidence_of(&v.p)
    sums[SUM_WEIGHT] += v.p.total_weight
    sums[SUM_IMPOSSIBLE] += v.p.lanes[LANE_IMPOSSIBLE]
    if v.p.least_weight < INFINITY and (sums[SUM_LEAST_WEIGHT] == 0 or v.p.least_weight < sums[SUM_LEAST_WEIGHT]):
        sums[SUM_LEAST_WEIGHT] = v.p.least_weight
    if family.record != NULL:
        family.record.collect(family, record, v.record)
        record = v.record
    for i in range(family.n_components):
        sums[SUM_COUNTS + i] += counts[i]
    for i in range(record_size(family)):
        sums[SUM_COUNTS + family.n_components + i] += record[i]


cdef void restore_sums(pass_t *p, const double *sums) noexcept nogil:
    """Copy sums [n_sums] into lane 0, where a pass at the present parameters, which are prepared, would have left
    them."""
    cdef const family_t *family = p.family
    cdef double *stats = p.lanes + LANE_COUNTS + family.n_components
    cdef const double *record = sums + SUM_COUNTS + family.n_components
    memset(p.lanes, 0, p.lane_size * sizeof(double))
    memcpy(p.lanes + LANE_COUNTS, sums + SUM_COUNTS, family.n_components * sizeof(double))
    p.total_weight, p.least_weight = sums[SUM_WEIGHT], sums[SUM_LEAST_WEIGHT]
    if family.record == NULL:
        memcpy(stats, record, family.n_stats * sizeof(double))
    else:
        family.record.restore(family, record, stats)


cdef int check_sums(const own_plan_t *plan, const double *sums) noexcept nogil:
    """Whether an M-step can be made of them. A host may have taken sums of old rows away again, which leaves counts of
    rounding where none should be."""
    cdef Py_ssize_t k
    if not are_finite(sums + SUM_WEIGHT, n_sums_of(plan.model.family) - SUM_WEIGHT, sizeof(double)):
        return NO_NUMBERS
    for k in range(plan.model.family.n_components):
        if sums[SUM_COUNTS + k] < -1e-9 * sums[SUM_WEIGHT]:
            return BAD_ARGUMENT
    return DONE if sums[SUM_WEIGHT] > 0 else BAD_ARGUMENT


cdef int maximise_sums(const own_plan_t *plan, pass_t *p, const double *sums, int32_t *status) noexcept nogil:
    """The M-step on sums [n_sums] at the present parameters, which are prepared: new ones in place."""
    cdef em_t em
    cdef int code
    restore_sums(p, sums)
    memset(&em, 0, sizeof(em_t))
    em.p = p
    code = maximise_all(&em, False)
    status[0] = em.status
    if code != 0 or em.status & plan.plan.stop_on or not are_numbers(plan, p.mixing, p.params):
        return NO_NUMBERS
    return DONE


cdef int c_maximise(const opaque_t *opaque, const double *sums, void *room, size_t n_bytes, double *weights,
                    double *params, int32_t *status) noexcept nogil:
    cdef const own_plan_t *plan = own(opaque)
    cdef int32_t unheard
    cdef rows_t rows
    cdef visit_t v
    cdef int code
    if status == NULL:
        status = &unheard
    status[0] = 0
    if plan == NULL or sums == NULL or room == NULL or weights == NULL or params == NULL:
        return BAD_ARGUMENT
    rows = any_rows(plan, 0)
    code = check_sums(plan, sums)
    if code == DONE:
        code = open_visit(&v, plan, &rows, 1, room, n_bytes)
    if code == DONE:
        code = prepare_state(&v.p, plan, weights, params)
    if code != DONE:
        return code
    code = maximise_sums(plan, &v.p, sums, status)
    if code != DONE:
        return code
    memcpy(weights, v.p.mixing, v.p.n_mixing * sizeof(double))
    memcpy(params, v.p.params, v.p.family.n_params * sizeof(double))
    return DONE


cdef int c_prepare(const opaque_t *opaque, const double *weights, const double *params, void *room, size_t n_bytes,
                   void *tables, size_t table_bytes) noexcept nogil:
    cdef const own_plan_t *plan = own(opaque)
    cdef prepared_t *prepared
    cdef rows_t rows
    cdef visit_t v
    cdef int code
    if plan == NULL or room == NULL or tables == NULL or weights == NULL or params == NULL:
        return BAD_ARGUMENT
    rows = any_rows(plan, 0)
    code = open_visit(&v, plan, &rows, 1, room, n_bytes)
    if code != DONE:
        return code
    if table_bytes < bytes_of_tables(plan.model.family):
        return NO_ROOM
    prepared = use_tables(&v.p, tables)
    prepared.plan = NULL  # until they are right
    code = prepare_state(&v.p, plan, weights, params)
    if code == DONE:
        prepared.plan, prepared.place = plan, prepared
    return code


cdef int c_recentre(const opaque_t *opaque, const double *weights, const double *params, const double *to_weights,
                    const double *to_params, void *room, size_t n_bytes, double *sums) noexcept nogil:
    cdef const own_plan_t *plan = own(opaque)
    cdef rows_t rows
    cdef visit_t v
    cdef int code
    if (plan == NULL or room == NULL or sums == NULL or weights == NULL or params == NULL or to_weights == NULL
            or to_params == NULL or plan.model.family.recentre == NULL):
        return BAD_ARGUMENT
    rows = any_rows(plan, 0)
    code = open_visit(&v, plan, &rows, 1, room, n_bytes)
    if code == DONE:
        code = check_state(plan, to_weights, to_params)
    if code == DONE:
        code = prepare_state(&v.p, plan, weights, params)
    if code != DONE:
        return code
    memcpy(v.point, v.p.pivot, v.p.family.n_features * sizeof(double))
    set_state(&v.p, to_weights, to_params)
    recentre_sums(&v, params, sums)
    return DONE


cdef void recentre_sums(visit_t *v, const double *params, double *sums) noexcept nogil:
    """Move sums [n_sums] from params and the pivot v.point to the present parameters."""
    cdef const family_t *family = v.p.family
    cdef double *stats = v.p.lanes + LANE_COUNTS + family.n_components
    cdef double *record = sums + SUM_COUNTS + family.n_components
    restore_sums(&v.p, sums)
    prepare(&v.p)
    family.recentre(family, sums + SUM_COUNTS, v.point, params, v.p.pivot, v.p.params, stats)
    if family.record == NULL:
        memcpy(record, stats, family.n_stats * sizeof(double))
    else:
        family.record.collect(family, stats, record)


cdef int c_follow(const opaque_t *opaque, const view_t *view, double rate, double least, void *room, size_t n_bytes,
                  double *weights, double *params, double *sums, int64_t *labels, double *log_density) noexcept nogil:
    cdef const own_plan_t *plan = own(opaque)
    cdef const family_t *family
    cdef rows_t rows
    cdef visit_t v
    cdef int64_t n_rows, i
    cdef int code, failed = DONE
    if (plan == NULL or room == NULL or weights == NULL or params == NULL or sums == NULL or not 0 < rate <= 1
            or least != least or plan.model.family.recentre == NULL):
        return BAD_ARGUMENT
    family = plan.model.family
    code = read_view(plan, view, &rows)
    if code != DONE or rows.n_rows == 0:
        return code
    n_rows, rows.n_rows = rows.n_rows, 1
    code = open_visit(&v, plan, &rows, 1, room, n_bytes)
    if code != DONE:
        return code
    for i in range(n_rows):
        v.p.rows.data = rows.data + i * rows.row_stride
        v.p.total_weight = v.p.least_weight = 1  # an M-step leaves those of its sums
        if rows.weight != NULL:
            v.p.rows.weight, v.p.total_weight = rows.weight + i, rows.weight[i]
            v.p.least_weight = rows.weight[i] if rows.weight[i] > 0 else INFINITY
        code = follow_one(plan, &v, rate, least, weights + i * v.p.n_mixing, params + i * family.n_params,
                          sums + i * n_sums_of(family), NULL if labels == NULL else labels + i,
                          NULL if log_density == NULL else log_density + i)
        if code != DONE:
            failed = code
    return failed


cdef int follow_one(const own_plan_t *plan, visit_t *v, double rate, double least, double *weights, double *params,
                    double *sums, int64_t *label, double *log_density) noexcept nogil:
    """One model and the row that v.p sees."""
    cdef const family_t *family = v.p.family
    cdef strategy_t strategy = usual()
    cdef const double *counts = v.p.lanes + LANE_COUNTS
    cdef Py_ssize_t n_sums = n_sums_of(family), i, best = 0
    cdef int32_t unheard
    cdef int code
    cdef double evidence
    code = check_state(plan, weights, params)
    if code != DONE:
        return code
    set_state(&v.p, weights, params)
    if run_pass(&v.p, &strategy) != 0:
        return NO_NUMBERS
    evidence = evidence_of(&v.p)
    if evidence != evidence:
        return BAD_ARGUMENT
    if log_density != NULL:
        log_density[0] = evidence
    if label != NULL:
        for i in range(family.n_components):
            best = i if counts[i] > counts[best] else best
        label[0] = best
    if evidence < least:
        return DONE
    memset(v.sums, 0, n_sums * sizeof(double))
    add_sums(v, v.sums)
    for i in range(n_sums):
        v.sums[i] = sums[i] + rate * (v.sums[i] - sums[i])
    memcpy(v.point, v.p.pivot, family.n_features * sizeof(double))
    code = check_sums(plan, v.sums)
    if code == DONE:
        code = maximise_sums(plan, &v.p, v.sums, &unheard)
    if code != DONE:
        return code
    recentre_sums(v, params, v.sums)
    memcpy(weights, v.p.mixing, v.p.n_mixing * sizeof(double))
    memcpy(params, v.p.params, family.n_params * sizeof(double))
    memcpy(sums, v.sums, n_sums * sizeof(double))
    return DONE


cdef int c_sample(const opaque_t *opaque, const double *weights, const double *params, uint64_t seed, int64_t first,
                  int64_t n_rows, void *room, size_t n_bytes, int64_t *labels, void *out) noexcept nogil:
    cdef const own_plan_t *plan = own(opaque)
    cdef rows_t rows
    cdef visit_t v
    cdef double total = 0
    cdef Py_ssize_t k
    cdef int64_t i
    cdef int code
    if (plan == NULL or first < 0 or n_rows < 0 or room == NULL or weights == NULL or params == NULL or out == NULL
            or plan.model.family.draw_row == NULL):
        return BAD_ARGUMENT
    code = check_state(plan, weights, params)
    if code != DONE:
        return code
    for k in range(plan.model.family.n_components):
        total += weights[k]
    if not 0 < total < INFINITY:
        return BAD_ARGUMENT
    rows = any_rows(plan, 0)
    code = open_visit(&v, plan, &rows, 1, room, n_bytes)
    for i in range(n_rows):
        if code != DONE:
            break
        code = draw_one(plan, weights, params, seed, <uint64_t> first + <uint64_t> i, v.point,
                        NULL if labels == NULL else labels + i, out, i)
    return code


cdef int draw_one(const own_plan_t *plan, const double *weights, const double *params, uint64_t seed, uint64_t number,
                  double *row, int64_t *label, void *out, int64_t i) noexcept nogil:
    """OUT row i of out, the row `number` of all that there are for this seed. IN room row[n_features]."""
    cdef const family_t *family = plan.model.family
    cdef stream_t stream = open_stream(seed, <uint32_t> (number >> 32), DRAWN_ROWS, <uint32_t> number)
    cdef Py_ssize_t k = one_of(family.n_components, weights, stream.uniform(&stream)), j
    family.draw_row(family, k, params, &stream, row)
    for j in range(family.n_features):
        if row[j] != row[j]:
            return NO_NUMBERS
        row[j] = as_real(row[j], family.real_bytes)
        if not plan.least[j] <= row[j] <= plan.largest[j]:
            return BAD_ARGUMENT
        put(out, family.real_bytes, i * family.n_features + j, row[j])
    if label != NULL:
        label[0] = k
    return DONE


cdef inline double as_real(double value, int real_bytes) noexcept nogil:
    """In the range of rows: what is not zero does not become zero, and nothing becomes infinite."""
    cdef double most = DBL_MAX if real_bytes == 8 else FLT_MAX, least = DBL_MIN if real_bytes == 8 else FLT_MIN
    if value != 0 and fabs(value) < least:
        return copysign(least, value)
    return min(max(value, -most), most)


cdef const char *c_message(int code) noexcept nogil:
    if code == DONE:
        return b"done"
    if code == BAD_ARGUMENT:
        return b"bad argument: NULL, too few rows or threads, a negative weight, or what is outside the family's domain"
    if code == NO_ROOM:
        return b"room or tables are smaller than mixfast asks for"
    if code == NO_NUMBERS:
        return b"rows, weights or parameters are not finite, or a fit ended without parameters: its status says why"
    return b"no code of mixfast"


cdef api_t the_table() noexcept:
    cdef api_t api
    api.version, api.bytes = MIXFAST_API_VERSION, sizeof(api_t)
    api.sizes, api.room, api.pass_room, api.fit = c_sizes, c_room, c_pass_room, c_fit
    api.evaluate, api.gather, api.maximise, api.message = c_evaluate, c_gather, c_maximise, c_message
    api.prepare, api.recentre, api.sample, api.follow = c_prepare, c_recentre, c_sample, c_follow
    return api


cdef api_t API = the_table()  # never changed

api_v1 = PyCapsule_New(&API, MIXFAST_API, NULL)
address = <uintptr_t> &API


# ---- plans ----------------------------------------------------------------------------------------------------------

cdef void forget_plan(object capsule) noexcept:
    cdef void *plan = PyCapsule_GetContext(capsule)
    if plan != NULL:
        Py_DECREF(<object> plan)


cdef class PlanMemory:
    """What a `mixfast_plan` points to.

    Parameters
    ----------
    model : engine Model
    plan : engine Plan, for fits whose starts the engine finds; allocates nothing beside the worker's block
    from_given : engine Plan, for fits from given parameters; allocates nothing beside the worker's block
    least, largest : (n_features,), smallest and largest allowed value of each column
    is_whole : bool, whether values are whole numbers
    """

    cdef own_plan_t c
    cdef object kept

    def __cinit__(self, Model model not None, Plan plan not None, Plan from_given not None,
                  const double[::1] least not None, const double[::1] largest not None, bint is_whole):
        cdef const family_t *family = model.c.family
        if not (plan.c.keeps_to_room and from_given.c.keeps_to_room) or family.needs_gil:
            raise ValueError("a plan of this interface runs without Python, in memory that is there already")
        if least.shape[0] != family.n_features or largest.shape[0] != family.n_features:
            raise ValueError(f"ranges of {least.shape[0]} and {largest.shape[0]} columns, there are "
                             f"{family.n_features}")
        self.kept = (model, plan, from_given, least, largest)
        self.c.model, self.c.plan, self.c.from_given = &model.c, &plan.c, &from_given.c
        self.c.least, self.c.largest, self.c.is_whole = &least[0], &largest[0], is_whole

    @property
    def address(self):
        """Address of the `mixfast_plan`; valid as long as this object lives."""
        return <uintptr_t> &self.c

    def capsule(self):
        """A capsule of the `mixfast_plan`, which keeps this alive."""
        made = PyCapsule_New(&self.c, MIXFAST_PLAN, forget_plan)
        PyCapsule_SetContext(made, <void *> self)
        Py_INCREF(self)
        return made

    def sizes(self):
        """(n_params, n_sums)"""
        cdef int64_t n_params = 0, n_sums = 0
        c_sizes(<const opaque_t *> &self.c, NULL, NULL, &n_params, &n_sums, NULL)
        return n_params, n_sums


def check_proportions(Model model not None):
    """Why a model's proportions cannot be used through the C interface, in words; None if they can."""
    if model.c.family.posterior != NULL:
        return "its parameters are those of a posterior, whose prior may be made of the rows"
    if model.c.proportions.of_rows != NULL or n_mixing_of(&model.c) != model.c.family.n_components:
        return "it has other numbers for its proportions than a weight for each component"
    return None
