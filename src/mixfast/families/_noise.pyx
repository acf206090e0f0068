"""The verbs of a family with one component more, whose density is the same number everywhere: noise. Where rows have
missing entries it is that of the observed columns, a number for each pattern.

All other components are those of a family of their own, which knows nothing of it. So noise has its place in each pass,
prediction and start as any component, and costs a number a row; no parameter enters it, and it has no statistics.
"""

from cpython.ref cimport Py_INCREF

from mixfast.engine._capsule cimport (
    BoundFamily,
    capsule_of,
    give_free_numbers,
    give_record,
    new_struct,
    record_size,
)
from mixfast.engine._family cimport chunk_t, family_t, selection_t, totals_t
from mixfast.engine._reals cimport get, put

ctypedef struct context_t:
    const family_t *own            # the family of all other components, which come first
    Py_ssize_t n_heights           # 1, or the number of patterns: the last column of rows then has the row's
    Py_ssize_t n_own               # reals of the tables before those of the other components
    double *log_heights            # log densities of noise


cdef inline const family_t *own_of(const family_t *f) noexcept nogil:
    return (<const context_t *> f.context).own


cdef enum:
    LINE = 64                      # bytes: kernels want their tables aligned


cdef inline void *own_tables(const family_t *f, const void *tables) noexcept nogil:
    """The tables begin with log weight + log density of noise."""
    return <char *> tables + (<const context_t *> f.context).n_own * f.real_bytes


cdef void prepare_component(const family_t *f, Py_ssize_t k, const double *log_weights, const double *params,
                            double *own_work, double *work) noexcept nogil:
    cdef const family_t *own = own_of(f)
    if k < own.n_components:
        own.prepare_component(own, k, log_weights, params, own_work, work)


cdef void prepare(const family_t *f, const double *log_weights, const double *params, double *work, double *pivot,
                  void *tables) noexcept nogil:
    cdef const family_t *own = own_of(f)
    cdef const context_t *c = <const context_t *> f.context
    cdef Py_ssize_t i
    for i in range(c.n_heights):
        put(tables, f.real_bytes, i, log_weights[own.n_components] + c.log_heights[i])
    own.prepare(own, log_weights, params, work, pivot, own_tables(f, tables))


# ---- rows -----------------------------------------------------------------------------------------------------------

cdef Py_ssize_t noise_in(const family_t *f, const selection_t *selection) noexcept nogil:
    """Position of noise in the selection; selection.n if it is not selected."""
    cdef Py_ssize_t a
    for a in range(selection.n):
        if selection.component[a] == own_of(f).n_components:
            return a
    return selection.n


cdef int log_density(const family_t *f, const void *tables, const chunk_t *chunk, const selection_t *selection,
                     void *scratch, void *out) noexcept nogil:
    cdef const family_t *own = own_of(f)
    cdef Py_ssize_t place = noise_in(f, selection), r
    cdef Py_ssize_t row_bytes = chunk.stride * f.real_bytes
    cdef const context_t *c = <const context_t *> f.context
    cdef const char *pattern = <const char *> chunk.columns + (f.n_features - 1) * row_bytes
    cdef double noise = get(tables, f.real_bytes, 0)
    cdef selection_t part
    cdef int code = 0
    part.n, part.component = place, selection.component
    if part.n > 0:
        code = own.log_density(own, own_tables(f, tables), chunk, &part, scratch, out)
    if place == selection.n or code != 0:
        return code
    for r in range(chunk.stride):
        if c.n_heights > 1:
            noise = get(tables, f.real_bytes, <Py_ssize_t> get(pattern, f.real_bytes, r))
        put(<char *> out + place * row_bytes, f.real_bytes, r, noise)
    part.n, part.component = selection.n - place - 1, selection.component + place + 1
    if part.n > 0:
        code = own.log_density(own, own_tables(f, tables), chunk, &part, scratch,
                               <char *> out + (place + 1) * row_bytes)
    return code


cdef int accumulate(const family_t *f, const void *tables, const chunk_t *chunk, const selection_t *selection,
                    const void *resp, void *scratch, double *stats) noexcept nogil:
    cdef const family_t *own = own_of(f)
    cdef Py_ssize_t place = noise_in(f, selection)
    cdef selection_t part
    cdef int code = 0
    part.n, part.component = place, selection.component
    if part.n > 0:
        code = own.accumulate(own, own_tables(f, tables), chunk, &part, resp, scratch, stats)
    part.n, part.component = selection.n - place - 1, selection.component + place + 1
    if part.n > 0 and code == 0:
        code = own.accumulate(own, own_tables(f, tables), chunk, &part,
                              <const char *> resp + (place + 1) * chunk.stride * f.real_bytes, scratch, stats)
    return code


# ---- verbs that go straight to the other components' family ---------------------------------------------------------

cdef int maximise(const family_t *f, const totals_t *totals, double *work, double *params) noexcept nogil:
    return own_of(f).maximise(own_of(f), totals, work, params)


cdef int maximise_component(const family_t *f, Py_ssize_t k, const totals_t *totals, const double *work,
                            double *own_work, double *params) noexcept nogil:
    cdef const family_t *own = own_of(f)
    return own.maximise_component(own, k, totals, work, own_work, params) if k < own.n_components else 0


cdef double log_prior(const family_t *f, const double *params) noexcept nogil:
    return own_of(f).log_prior(own_of(f), params)


cdef void recentre(const family_t *f, const double *counts, const double *last_pivot, const double *last_params,
                   const double *pivot, const double *params, double *stats) noexcept nogil:
    own_of(f).recentre(own_of(f), counts, last_pivot, last_params, pivot, params, stats)


cdef void go_half_way(const family_t *f, const double *last_params, double *params) noexcept nogil:
    own_of(f).go_half_way(own_of(f), last_params, params)


cdef int unconstrain(const family_t *f, const double *params, double *numbers) noexcept nogil:
    return own_of(f).free_numbers.unconstrain(own_of(f), params, numbers)


cdef int constrain(const family_t *f, const double *numbers, double *work, double *params) noexcept nogil:
    return own_of(f).free_numbers.constrain(own_of(f), numbers, work, params)


cdef void collect(const family_t *f, const double *stats, double *record) noexcept nogil:
    own_of(f).record.collect(own_of(f), stats, record)


cdef void restore(const family_t *f, const double *record, double *stats) noexcept nogil:
    own_of(f).record.restore(own_of(f), record, stats)


def bind_noise(capsule, const double[::1] log_heights not None):
    """The capsule of the family in `capsule` with one component more, the last, of the same log density everywhere: one
    number, or one for each pattern of missing entries, whose number the last column of rows has."""
    cdef BoundFamily bound = BoundFamily(capsule)
    cdef const family_t *own = &bound.c
    cdef Py_ssize_t n_heights = log_heights.shape[0], i
    if n_heights < 1:
        raise ValueError("noise has no log density")
    cdef family_t *f = new_struct(sizeof(context_t) + n_heights * sizeof(double))
    cdef context_t *c = <context_t *> f.context
    cdef Py_ssize_t line = LINE // own.real_bytes
    c.own, c.n_heights, c.n_own = own, n_heights, (n_heights + line - 1) // line * line
    c.log_heights = <double *> (c + 1)
    for i in range(n_heights):
        c.log_heights[i] = log_heights[i]
    f.n_components, f.n_features, f.real_bytes, f.isa = own.n_components + 1, own.n_features, own.real_bytes, own.isa
    f.n_params, f.n_stats = own.n_params, own.n_stats
    f.n_tables = c.n_own + own.n_tables
    f.n_scratch_columns, f.n_work, f.n_own_work = own.n_scratch_columns, own.n_work, own.n_own_work
    f.flops_per_component, f.flops_per_value = own.flops_per_component, own.flops_per_value
    f.flops_per_row = own.flops_per_row + 40  # those of a responsibility
    f.gathers_rows, f.takes_sparse_rows, f.needs_gil = own.gathers_rows, own.takes_sparse_rows, own.needs_gil
    f.starts_inside, f.further_start_passes = own.starts_inside, own.further_start_passes
    f.may_overshoot = own.may_overshoot
    f.prepare, f.log_density, f.accumulate, f.maximise = prepare, log_density, accumulate, maximise
    if own.prepare_component != NULL:
        f.prepare_component = prepare_component
    if own.maximise_component != NULL:
        f.maximise_component = maximise_component
    if own.log_prior != NULL:
        f.log_prior = log_prior
    if own.recentre != NULL:
        f.recentre = recentre
    if own.go_half_way != NULL:
        f.go_half_way = go_half_way
    if own.free_numbers != NULL:
        give_free_numbers(f, own.free_numbers.n_free, unconstrain, constrain)
    if own.record != NULL:
        give_record(f, record_size(own), collect, restore)
    Py_INCREF(bound)
    f.owner = <void *> bound
    return capsule_of(f)
