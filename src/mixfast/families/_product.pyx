"""The verbs of a product of families: each part's verbs, called on its columns of the same chunk.

Columns, parameters, statistics, tables and all other arrays are those of the parts, one after the other. Log densities
are added up; log weights are passed to the first part only, all other parts are given weights of 1.
"""

from cpython.ref cimport Py_INCREF
from libc.string cimport memcpy

from mixfast.engine._capsule cimport (
    BoundFamily,
    capsule_of,
    give_draws,
    give_free_numbers,
    give_posterior,
    give_record,
    learn_rows,
    new_struct,
    record_size,
)
from mixfast.engine._family cimport (
    MIXFAST_FAILED,
    accumulate_common_fn,
    chunk_t,
    family_t,
    selection_t,
    shared_term_t,
    stream_t,
    totals_t,
)

# A part, and the offsets of its columns, parameters, statistics, ... in the product's arrays.
ctypedef struct part_t:
    const family_t *family
    Py_ssize_t column
    Py_ssize_t params
    Py_ssize_t stats
    Py_ssize_t record
    Py_ssize_t common
    Py_ssize_t numbers
    Py_ssize_t work
    Py_ssize_t tables

ctypedef struct context_t:
    Py_ssize_t n_parts
    Py_ssize_t n_shared_columns    # scratch columns that the parts use one after the other
    double *log_ones               # [n_components], zeros: log weights of all parts but the first
    part_t *parts
    part_t *plain_parts            # of posteriors whose parameters can be drawn

# The context of a product is the first member of a block that is freed with it.
ctypedef struct contexts_t:
    context_t own
    context_t of_quick
    family_t quick
    shared_term_t shared_term
    context_t of_plain
    family_t plain

# Chooses which family of a part is joined: itself, its quick one or its plain one.
ctypedef const family_t *(*choose_fn)(const family_t *) noexcept nogil


cdef class Parts:
    """The owner of a product: keeps the parts alive and passes on the exception that one of them left."""
    cdef readonly list bound

    def __init__(self, capsules):
        self.bound = [BoundFamily(capsule) for capsule in capsules]

    cdef const family_t *family(self, Py_ssize_t i):
        return &(<BoundFamily> self.bound[i]).c

    def _owners(self):
        cdef BoundFamily part
        for part in self.bound:
            if part.c.owner != NULL:
                yield <object> part.c.owner

    @property
    def error(self):
        return next((owner.error for owner in self._owners() if owner.error is not None), None)

    @error.setter
    def error(self, value):
        for owner in self._owners():
            owner.error = value


cdef inline const context_t *context_of(const family_t *f) noexcept nogil:
    return <const context_t *> f.context


cdef inline const void *real_at(const family_t *f, const void *values, Py_ssize_t i) noexcept nogil:
    return <const char *> values + i * f.real_bytes


cdef inline const double *log_weights_for(const family_t *f, Py_ssize_t i, const double *log_weights) noexcept nogil:
    return log_weights if i == 0 else context_of(f).log_ones


cdef chunk_t columns_of(const family_t *f, const part_t *part, const chunk_t *chunk) noexcept nogil:
    cdef chunk_t own = chunk[0]
    own.columns = real_at(f, chunk.columns, part.column * chunk.stride)
    return own


cdef totals_t totals_of(const part_t *part, const totals_t *totals) noexcept nogil:
    cdef totals_t own
    own.counts, own.pivot, own.stats = totals.counts, totals.pivot + part.column, totals.stats + part.stats
    own.origin, own.common = totals.origin + part.column, totals.common + part.common
    own.least_weight = totals.least_weight
    return own


cdef void add_reals(const family_t *f, Py_ssize_t n, const void *terms, void *out) noexcept nogil:
    """out += terms"""
    cdef Py_ssize_t i
    if f.real_bytes == 8:
        for i in range(n):
            (<double *> out)[i] += (<const double *> terms)[i]
    else:
        for i in range(n):
            (<float *> out)[i] += (<const float *> terms)[i]


cdef void prepare_component(const family_t *f, Py_ssize_t k, const double *log_weights, const double *params,
                            double *own_work, double *work) noexcept nogil:
    cdef const part_t *part
    cdef Py_ssize_t i
    for i in range(context_of(f).n_parts):
        part = context_of(f).parts + i
        if part.family.prepare_component != NULL:
            part.family.prepare_component(part.family, k, log_weights_for(f, i, log_weights), params + part.params,
                                          own_work, work + part.work)


cdef void prepare(const family_t *f, const double *log_weights, const double *params, double *work, double *pivot,
                  void *tables) noexcept nogil:
    cdef const part_t *part
    cdef Py_ssize_t i
    for i in range(context_of(f).n_parts):
        part = context_of(f).parts + i
        part.family.prepare(part.family, log_weights_for(f, i, log_weights), params + part.params, work + part.work,
                            pivot + part.column, <void *> real_at(f, tables, part.tables))


cdef int log_density(const family_t *f, const void *tables, const chunk_t *chunk, const selection_t *selection,
                     void *scratch, void *out) noexcept nogil:
    cdef const part_t *part
    cdef void *terms = <void *> real_at(f, scratch, context_of(f).n_shared_columns * chunk.stride)
    cdef chunk_t own
    cdef Py_ssize_t i
    for i in range(context_of(f).n_parts):
        part = context_of(f).parts + i
        own = columns_of(f, part, chunk)
        if part.family.log_density(part.family, real_at(f, tables, part.tables), &own, selection, scratch,
                                   out if i == 0 else terms) != 0:
            return MIXFAST_FAILED
        if i > 0:
            add_reals(f, selection.n * chunk.stride, terms, out)
    return 0


cdef int accumulate(const family_t *f, const void *tables, const chunk_t *chunk, const selection_t *selection,
                    const void *resp, void *scratch, double *stats) noexcept nogil:
    cdef const part_t *part
    cdef chunk_t own
    cdef Py_ssize_t i
    for i in range(context_of(f).n_parts):
        part = context_of(f).parts + i
        own = columns_of(f, part, chunk)
        if part.family.accumulate(part.family, real_at(f, tables, part.tables), &own, selection, resp, scratch,
                                  stats + part.stats) != 0:
            return MIXFAST_FAILED
    return 0


cdef int maximise(const family_t *f, const totals_t *totals, double *work, double *params) noexcept nogil:
    cdef const part_t *part
    cdef totals_t own
    cdef Py_ssize_t i
    cdef int status = 0, own_status
    for i in range(context_of(f).n_parts):
        part = context_of(f).parts + i
        own = totals_of(part, totals)
        own_status = part.family.maximise(part.family, &own, work + part.work, params + part.params)
        if own_status < 0:
            return MIXFAST_FAILED
        status |= own_status
    return status


cdef int maximise_component(const family_t *f, Py_ssize_t k, const totals_t *totals, const double *work,
                            double *own_work, double *params) noexcept nogil:
    cdef const part_t *part
    cdef totals_t own
    cdef Py_ssize_t i
    cdef int status = 0
    for i in range(context_of(f).n_parts):
        part = context_of(f).parts + i
        if part.family.maximise_component != NULL:
            own = totals_of(part, totals)
            status |= part.family.maximise_component(part.family, k, &own, work + part.work, own_work,
                                                     params + part.params)
    return status


cdef double log_prior(const family_t *f, const double *params) noexcept nogil:
    cdef const part_t *part
    cdef Py_ssize_t i
    cdef double total = 0
    for i in range(context_of(f).n_parts):
        part = context_of(f).parts + i
        if part.family.log_prior != NULL:
            total += part.family.log_prior(part.family, params + part.params)
    return total


# ---- sums over all rows that no parameter enters --------------------------------------------------------------------

cdef inline Py_ssize_t n_common_of(const family_t *part) noexcept nogil:
    """Number of parameter-free sums of a part: of its shared term, or of a prior that depends on all rows."""
    if part.shared_term != NULL:
        return part.shared_term.n_common
    return 0 if part.posterior == NULL else part.posterior.n_common


cdef inline accumulate_common_fn common_verb_of(const family_t *part) noexcept nogil:
    return part.posterior.accumulate_common if part.shared_term == NULL else part.shared_term.accumulate_common


cdef void accumulate_common(const family_t *f, const chunk_t *chunk, const void *weight, void *scratch,
                            double *common) noexcept nogil:
    cdef const part_t *part
    cdef chunk_t own
    cdef Py_ssize_t i
    for i in range(context_of(f).n_parts):
        part = context_of(f).parts + i
        if n_common_of(part.family) > 0:
            own = columns_of(f, part, chunk)
            common_verb_of(part.family)(part.family, &own, weight, scratch, common + part.common)


# ---- the quick product: of the quick families of those parts that have one -----------------------------------------

cdef double common_evidence(const family_t *f, const totals_t *totals, const double *params,
                            double *work) noexcept nogil:
    cdef const part_t *part
    cdef totals_t own
    cdef Py_ssize_t i
    cdef double evidence = 0
    for i in range(context_of(f).n_parts):
        part = context_of(f).parts + i
        if part.family.shared_term != NULL:
            own = totals_of(part, totals)
            evidence += part.family.shared_term.common_evidence(part.family, &own, params + part.params,
                                                                work + part.work)
    return evidence


cdef int loses_digits(const family_t *f, const double *log_weights, const double *params, double *work) noexcept nogil:
    cdef const part_t *part
    cdef Py_ssize_t i
    for i in range(context_of(f).n_parts):
        part = context_of(f).parts + i
        if part.family.shared_term != NULL and part.family.shared_term.loses_digits(
                part.family, log_weights_for(f, i, log_weights), params + part.params, work + part.work):
            return 1
    return 0


# ---- posteriors -----------------------------------------------------------------------------------------------------

cdef double log_evidence(const family_t *f, const double *counts, const double *params, double *own) noexcept nogil:
    cdef const part_t *part
    cdef Py_ssize_t i
    cdef double shared = 0
    for i in range(context_of(f).n_parts):
        part = context_of(f).parts + i
        shared += part.family.posterior.log_evidence(part.family, counts, params + part.params, own)
    return shared


cdef void draw(const family_t *f, Py_ssize_t k, const double *params, stream_t *stream, double *own_work,
               double *drawn) noexcept nogil:
    cdef const part_t *part
    cdef Py_ssize_t i
    for i in range(context_of(f).n_parts):
        part = context_of(f).parts + i
        part.family.posterior.draw(part.family, k, params + part.params, stream, own_work,
                                   drawn + context_of(f).plain_parts[i].params)


# ---- statistics that travel -----------------------------------------------------------------------------------------

cdef void collect(const family_t *f, const double *stats, double *record) noexcept nogil:
    cdef const part_t *part
    cdef Py_ssize_t i
    for i in range(context_of(f).n_parts):
        part = context_of(f).parts + i
        if part.family.record == NULL:
            memcpy(record + part.record, stats + part.stats, part.family.n_stats * sizeof(double))
        else:
            part.family.record.collect(part.family, stats + part.stats, record + part.record)


cdef void restore(const family_t *f, const double *record, double *stats) noexcept nogil:
    cdef const part_t *part
    cdef Py_ssize_t i
    for i in range(context_of(f).n_parts):
        part = context_of(f).parts + i
        if part.family.record == NULL:
            memcpy(stats + part.stats, record + part.record, part.family.n_stats * sizeof(double))
        else:
            part.family.record.restore(part.family, record + part.record, stats + part.stats)


cdef void recentre(const family_t *f, const double *counts, const double *last_pivot, const double *last_params,
                   const double *pivot, const double *params, double *stats) noexcept nogil:
    cdef const part_t *part
    cdef Py_ssize_t i
    for i in range(context_of(f).n_parts):
        part = context_of(f).parts + i
        part.family.recentre(part.family, counts, last_pivot + part.column, last_params + part.params,
                             pivot + part.column, params + part.params, stats + part.stats)


# ---- free numbers ---------------------------------------------------------------------------------------------------

cdef int unconstrain(const family_t *f, const double *params, double *numbers) noexcept nogil:
    cdef const part_t *part
    cdef Py_ssize_t i
    cdef int code = 0
    for i in range(context_of(f).n_parts):
        part = context_of(f).parts + i
        if code == 0:
            code = part.family.free_numbers.unconstrain(part.family, params + part.params, numbers + part.numbers)
    return code


cdef int constrain(const family_t *f, const double *numbers, double *work, double *params) noexcept nogil:
    cdef const part_t *part
    cdef Py_ssize_t i
    cdef int code = 0
    for i in range(context_of(f).n_parts):
        part = context_of(f).parts + i
        if code == 0:
            code = part.family.free_numbers.constrain(part.family, numbers + part.numbers, work + part.work,
                                                      params + part.params)
    return code


# ---- joining --------------------------------------------------------------------------------------------------------

cdef inline Py_ssize_t in_cache_lines(Py_ssize_t n_reals, int real_bytes) noexcept nogil:
    """n_reals rounded up to whole cache lines, so that the next table is aligned."""
    cdef Py_ssize_t line = 64 // real_bytes
    return (n_reals + line - 1) // line * line


cdef const family_t *itself(const family_t *own) noexcept nogil:
    return own


cdef const family_t *quickest(const family_t *own) noexcept nogil:
    return own if own.quick == NULL else own.quick


cdef const family_t *plain_of(const family_t *own) noexcept nogil:
    return own.posterior.plain


cdef Py_ssize_t join(family_t *f, Parts parts_of, choose_fn choose, context_t *context, part_t *parts) except -1:
    """OUT f and its context (IN: log_ones), from the chosen family of each part. Returns the number of parameter-free
    sums of shared terms."""
    cdef Py_ssize_t n_parts = len(parts_of.bound), n_common = 0, n_free = 0, n_record = 0, i
    cdef const family_t *first = parts_of.family(0)
    cdef const family_t *own
    cdef part_t *part
    context.n_parts, context.parts, context.n_shared_columns = n_parts, parts, 0
    f.struct_size = sizeof(family_t)
    f.n_components, f.real_bytes, f.isa, f.context = first.n_components, first.real_bytes, first.isa, context
    for i in range(n_parts):
        part = parts + i
        own = choose(parts_of.family(i))
        part.family, part.column, part.params = own, f.n_features, f.n_params
        part.stats, part.record = f.n_stats, n_record
        part.common, part.numbers, part.work, part.tables = n_common, n_free, f.n_work, f.n_tables
        f.n_features += own.n_features
        f.n_params += own.n_params
        f.n_stats += own.n_stats
        n_record += record_size(own)
        n_common += n_common_of(own)
        n_free += 0 if own.free_numbers == NULL else own.free_numbers.n_free
        f.n_work += own.n_work
        f.n_tables += in_cache_lines(own.n_tables, own.real_bytes)
        f.n_own_work = max(f.n_own_work, own.n_own_work)
        f.flops_per_component += own.flops_per_component
        f.flops_per_row += own.flops_per_row
        f.gathers_rows |= own.gathers_rows
        f.needs_gil |= own.needs_gil
        f.starts_inside |= own.starts_inside
        context.n_shared_columns = max(context.n_shared_columns, own.n_scratch_columns)
    f.n_scratch_columns = context.n_shared_columns + f.n_components
    f.prepare_component, f.prepare, f.log_density, f.accumulate = prepare_component, prepare, log_density, accumulate
    f.maximise, f.maximise_component, f.log_prior = maximise, maximise_component, log_prior
    return n_common


cdef void join_optional(family_t *f, Parts parts_of, Py_ssize_t n_common):
    """Fill in optional groups of verbs: posterior, free numbers and `recentre` if all parts have them; records, and the
    further passes of a start, in any case. `n_common`: parameter-free sums of the posteriors' priors."""
    cdef const family_t *own
    cdef Py_ssize_t n_free = 0, n_record = 0, i
    cdef bint are_posteriors = True, are_free = True, move = True
    for i in range(len(parts_of.bound)):
        own = parts_of.family(i)
        are_posteriors &= own.posterior != NULL
        are_free &= own.free_numbers != NULL
        move &= own.recentre != NULL
        n_free += 0 if own.free_numbers == NULL else own.free_numbers.n_free
        n_record += record_size(own)
        f.further_start_passes = max(f.further_start_passes, own.further_start_passes)
    if are_posteriors:
        give_posterior(f, log_evidence)
        if n_common > 0:
            learn_rows(f, n_common, accumulate_common)
    if are_free:
        give_free_numbers(f, n_free, unconstrain, constrain)
    if move:
        f.recentre = recentre
    give_record(f, n_record, collect, restore)


def bind_product(capsules):
    """The capsule of a product of families, which are bound to the same number of components and the same precision.

    It has those optional groups of verbs that all its parts have, except bounds: a ceiling of the product is a sum over
    parts, and `carry` of a part would need its own share of that sum, which is not kept.
    """
    cdef Parts parts_of = Parts(list(capsules))
    cdef Py_ssize_t n_parts = len(parts_of.bound), n_components, n_common, k, i
    cdef const family_t *first = parts_of.family(0)
    cdef const family_t *own
    cdef bint has_quick = False, has_draws = True
    for i in range(n_parts):
        own = parts_of.family(i)
        if (own.n_components, own.real_bytes, own.isa) != (first.n_components, first.real_bytes, first.isa):
            raise ValueError("parts of a product should be bound to one number of components and one precision")
        if own.takes_sparse_rows:
            raise ValueError("a part of a product was bound to sparse rows: its columns should be dense")
        if (own.posterior == NULL) != (first.posterior == NULL):
            raise ValueError("parts of a product should all be posteriors, or none of them")
        has_quick |= own.quick != NULL
        has_draws &= own.posterior != NULL and own.posterior.draw != NULL
    n_components = first.n_components
    # the contexts of the product and of its quick and its plain one, these, the parts of all and the logarithms of ones
    cdef family_t *f = new_struct(sizeof(contexts_t) + 3 * n_parts * sizeof(part_t) + n_components * sizeof(double))
    cdef contexts_t *contexts = <contexts_t *> f.context
    cdef part_t *parts = <part_t *> (contexts + 1)
    cdef double *log_ones = <double *> (parts + 3 * n_parts)
    contexts.own.log_ones = contexts.of_quick.log_ones = contexts.of_plain.log_ones = log_ones
    for k in range(n_components):
        log_ones[k] = 0
    n_common = join(f, parts_of, itself, &contexts.own, parts)
    join_optional(f, parts_of, n_common)
    if has_quick:
        contexts.shared_term.n_common = join(&contexts.quick, parts_of, quickest, &contexts.of_quick, parts + n_parts)
        contexts.shared_term.accumulate_common = accumulate_common
        contexts.shared_term.common_evidence = common_evidence
        contexts.shared_term.loses_digits = loses_digits
        contexts.quick.shared_term = &contexts.shared_term
        f.quick = &contexts.quick
    if has_draws:
        contexts.own.plain_parts = parts + 2 * n_parts
        join(&contexts.plain, parts_of, plain_of, &contexts.of_plain, contexts.own.plain_parts)
        give_draws(f, &contexts.plain, draw)
    Py_INCREF(parts_of)
    f.owner = <void *> parts_of
    return capsule_of(f)
