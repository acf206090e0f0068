"""Centres alone, the family of k-means and k-means++: `_seeding.pyx` has the strategies that its passes are made with.

Parameters: centres[K][d]. Statistics: sums[K][d] of weight * (row - its centre). Loops are in `_kernels/centres.c`.
"""

from libc.stdlib cimport calloc, free

from mixfast._capsule cimport capsule_of
from mixfast._family cimport (
    MIXFAST_FAILED,
    MIXFAST_OK,
    chunk_t,
    family_t,
    mixfast_select_rows,
    rows_kernels_t,
    selection_t,
    totals_t,
)
from mixfast._isa cimport resolve_isa

ctypedef struct context_t:
    const rows_kernels_t *rows


cdef void prepare(const family_t *f, const double *weights, const double *params, double *work, double *pivot,
                  void *tables) noexcept nogil:
    """half_square | centres from the pivot, the mean of the centres. |c|^2 is that of the rounded centre."""
    cdef const rows_kernels_t *rows = (<const context_t *> f.context).rows
    cdef Py_ssize_t n_centres = f.n_components, d = f.n_features, k, j
    cdef double *half_square = work
    cdef double *centre = work + n_centres
    for j in range(d):
        for k in range(n_centres):
            pivot[j] += params[k * d + j] / <double> n_centres
    for k in range(n_centres):
        half_square[k] = 0
        for j in range(d):
            centre[j] = params[k * d + j] - pivot[j]
            if f.real_bytes == 4:
                centre[j] = <double> <float> centre[j]
            half_square[k] += centre[j] * centre[j] / 2
        centre += d
    rows.round_to_real(n_centres * (1 + d), work, tables)


cdef int maximise(const family_t *f, const totals_t *totals, double *work, double *params) noexcept nogil:
    """Means of the rows at each centre; a centre without rows stays where it is."""
    cdef Py_ssize_t d = f.n_features, k, j
    for k in range(f.n_components):
        if totals.counts[k] > 0:
            for j in range(d):
                params[k * d + j] += totals.stats[k * d + j] / totals.counts[k]
    return MIXFAST_OK


# Rows have no density here: a pass that is run without the strategies of `_seeding.pyx` fails and says so.
cdef int no_density(const family_t *f, const void *tables, const chunk_t *chunk, const selection_t *selection,
                    void *scratch, void *out) noexcept nogil:
    return MIXFAST_FAILED


cdef int no_accumulate(const family_t *f, const void *tables, const chunk_t *chunk, const selection_t *selection,
                       const void *resp, void *scratch, double *stats) noexcept nogil:
    return MIXFAST_FAILED


def bind_centres(Py_ssize_t n_centres, Py_ssize_t n_features, int real_bytes, object isa):
    """The capsule for rows of `real_bytes`, 4 or 8, on the instruction set `isa`; None is the one chosen at import."""
    cdef int level = resolve_isa(isa)
    cdef family_t *f = <family_t *> calloc(1, sizeof(family_t))
    cdef context_t *context = <context_t *> calloc(1, sizeof(context_t))
    if f == NULL or context == NULL:
        free(f)
        free(context)
        raise MemoryError
    context.rows = mixfast_select_rows(level, real_bytes)
    f.n_components, f.n_features = n_centres, n_features
    f.real_bytes, f.isa, f.context = real_bytes, level, context
    f.n_params = f.n_stats = n_centres * n_features
    f.n_tables = f.n_work = n_centres * (1 + n_features)
    f.flops_per_row = n_centres * (2 * n_features + 6) + 10 * n_features
    f.prepare, f.maximise = prepare, maximise
    f.log_density, f.accumulate = no_density, no_accumulate
    return capsule_of(f)
