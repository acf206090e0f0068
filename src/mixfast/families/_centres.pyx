"""Centres alone, the family of k-means and k-means++: `_seeding.pyx` has the strategies that its passes are made with.

Parameters: centres[K][d]. Statistics: sums[K][d] of weight * (row - its centre). Loops are in `_kernels/centres.c`.
"""


from mixfast.engine._capsule cimport capsule_of, new_struct
from mixfast.engine._family cimport MIXFAST_FAILED, MIXFAST_OK, chunk_t, family_t, selection_t, totals_t
from mixfast.engine._isa cimport resolve_isa
from mixfast.engine._kernels cimport centres_kernels_t, mixfast_select_centres, mixfast_select_sparse_centres

ctypedef struct context_t:
    const centres_kernels_t *kernels


cdef inline const centres_kernels_t *kernels_of(const family_t *f) noexcept nogil:
    return (<const context_t *> f.context).kernels


cdef void prepare(const family_t *f, const double *log_weights, const double *params, double *work, double *pivot,
                  void *tables) noexcept nogil:
    """OUT tables: half_square[K] | centres[K][d] less the pivot, rounded to the rows' precision; half_square is
    computed from the rounded centre. OUT pivot: the mean of the centres for dense rows, 0 for sparse ones."""
    cdef Py_ssize_t n_centres = f.n_components, d = f.n_features, k, j
    cdef double *half_square = work
    cdef double *centre = work + n_centres
    for j in range(0 if f.takes_sparse_rows else d):
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
    kernels_of(f).lay_out(n_centres, d, work, tables)


cdef int maximise(const family_t *f, const totals_t *totals, double *work, double *params) noexcept nogil:
    """Each centre becomes the mean of its rows; a centre without rows does not move."""
    cdef Py_ssize_t d = f.n_features, k, j
    for k in range(f.n_components):
        if totals.counts[k] > 0:
            for j in range(d):
                params[k * d + j] += totals.stats[k * d + j] / totals.counts[k]
    return MIXFAST_OK


cdef int maximise_sparse(const family_t *f, const totals_t *totals, double *work, double *params) noexcept nogil:
    """The same for sparse rows, whose statistics are sums of the rows themselves, not of differences."""
    cdef Py_ssize_t d = f.n_features, k, j
    for k in range(f.n_components):
        if totals.counts[k] > 0:
            for j in range(d):
                params[k * d + j] = totals.stats[k * d + j] / totals.counts[k]
    return MIXFAST_OK


# Rows have no density here: a pass that is run without the strategies of `_seeding.pyx` fails and says so.
cdef int no_density(const family_t *f, const void *tables, const chunk_t *chunk, const selection_t *selection,
                    void *scratch, void *out) noexcept nogil:
    return MIXFAST_FAILED


cdef int no_accumulate(const family_t *f, const void *tables, const chunk_t *chunk, const selection_t *selection,
                       const void *resp, void *scratch, double *stats) noexcept nogil:
    return MIXFAST_FAILED


def bind_centres(Py_ssize_t n_centres, Py_ssize_t n_features, int real_bytes, object isa, bint is_sparse=False):
    """The capsule for rows of `real_bytes`, 4 or 8, on the instruction set `isa`; None is the one chosen at import."""
    cdef int level = resolve_isa(isa)
    cdef family_t *f = new_struct(sizeof(context_t))
    cdef context_t *context = <context_t *> f.context
    context.kernels = (mixfast_select_sparse_centres(level, real_bytes) if is_sparse
                       else mixfast_select_centres(level, real_bytes))
    f.n_components, f.n_features = n_centres, n_features
    f.real_bytes, f.isa = real_bytes, level
    f.n_params = f.n_stats = n_centres * n_features
    f.n_work = n_centres * (1 + n_features)
    f.n_tables = context.kernels.n_tables(n_centres, n_features)
    f.takes_sparse_rows = is_sparse
    f.prepare = prepare
    if is_sparse:
        f.flops_per_row, f.flops_per_value = 6 * n_centres, 2 * n_centres + 10
        f.maximise = maximise_sparse
    else:
        f.flops_per_row = n_centres * (2 * n_features + 6) + 10 * n_features
        f.maximise = maximise
    f.log_density, f.accumulate = no_density, no_accumulate
    return capsule_of(f)
