"""The verbs that families with linear log densities share.

Such a family says what a component's form is (`prepare_component`, with `constant_in` and `coefficients_in`) and what
parameters its sums give (`maximise_component`, with `sums_of`). Rows may be dense or sparse.
"""

from libc.stdint cimport int32_t

from mixfast.engine._capsule cimport give_record, new_struct
from mixfast.engine._family cimport MIXFAST_EMPTIED_COMPONENT, MIXFAST_OK, family_t, totals_t
from mixfast.engine._isa cimport resolve_isa
from mixfast.engine._kernels cimport mixfast_select_linear, mixfast_select_sparse_linear


cdef inline const linear_t *linear_of(const family_t *f) noexcept nogil:
    return <const linear_t *> f.context


cdef void prepare(const family_t *f, const double *log_weights, const double *params, double *work, double *pivot,
                  void *tables) noexcept nogil:
    """OUT tables: the linear form of each component, by the family's `prepare_component`."""
    linear_of(f).kernels.lay_out(f.n_components, f.n_features, work, tables)


cdef int maximise_linear(const family_t *f, const totals_t *totals, double *work, double *params) noexcept nogil:
    """OUT work: a sums_t for `maximise_component`. Returns EMPTIED_COMPONENT if a component has no rows."""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k, j
    cdef const double *sums = linear_of(f).kernels.collect(n_components, d, totals.stats, work)
    cdef double *of_all = work + n_components * d
    cdef bint is_any_empty = False
    for j in range(d + 1):
        of_all[j] = 0
    for k in range(n_components):
        of_all[d] += totals.counts[k]
        is_any_empty |= totals.counts[k] == 0
        for j in range(d):
            of_all[j] += sums[k * d + j]
    return MIXFAST_EMPTIED_COMPONENT if is_any_empty else MIXFAST_OK


cdef sums_t sums_of(const family_t *f, const totals_t *totals, const double *work) noexcept nogil:
    cdef sums_t sums
    sums.of_components = work if f.takes_sparse_rows else totals.stats
    sums.of_all = work + f.n_components * f.n_features
    sums.total = sums.of_all[f.n_features]
    return sums


cdef void collect(const family_t *f, const double *stats, double *record) noexcept nogil:
    """record: sums[K][d], as the statistics of dense rows are anyway."""
    linear_of(f).kernels.collect(f.n_components, f.n_features, stats, record)


cdef void restore(const family_t *f, const double *record, double *stats) noexcept nogil:
    linear_of(f).kernels.restore(f.n_components, f.n_features, record, stats)


cdef void stay(const family_t *f, const double *counts, const double *last_pivot, const double *last_params,
               const double *pivot, const double *params, double *stats) noexcept nogil:
    """`recentre`: nothing to do, since sums of rows do not depend on the parameters."""


cdef int check_shape(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes) except -1:
    if n_components < 1 or n_features < 1 or real_bytes not in (4, 8):
        raise ValueError(f"cannot bind {n_components} components and {n_features} features of {real_bytes} bytes: "
                         "there must be some of each, float32 or float64")
    return 0


cdef family_t *new_linear(size_t context_bytes, Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes,
                          object isa, bint is_sparse) except NULL:
    """A linear family with the common members filled in. Its context begins with a `linear_t`; the rest of it is
    zeros."""
    cdef int level = resolve_isa(isa)
    check_shape(n_components, n_features, real_bytes)
    cdef family_t *f = new_struct(context_bytes)
    cdef linear_t *linear = <linear_t *> f.context
    linear.kernels = (mixfast_select_sparse_linear(level, real_bytes) if is_sparse
                      else mixfast_select_linear(level, real_bytes))
    f.n_components, f.n_features = n_components, n_features
    f.real_bytes, f.isa, f.takes_sparse_rows = real_bytes, level, is_sparse
    f.n_params = n_components * n_features
    f.n_stats = linear.kernels.n_stats(n_components, n_features)
    f.n_tables = linear.kernels.n_tables(n_components, n_features)
    f.n_scratch_columns = linear.kernels.n_scratch_columns(n_components)
    f.n_work = n_components * (1 + n_features) + n_features + 1
    f.flops_per_row = n_components * 40 + (0 if is_sparse else n_components * 4 * n_features)
    f.flops_per_value = n_components * 4
    f.flops_per_component = 40 * n_features  # some logarithms
    f.prepare, f.maximise, f.recentre = prepare, maximise_linear, stay
    if is_sparse:
        give_record(f, n_components * n_features, collect, restore)
    f.log_density, f.accumulate = linear.kernels.log_density, linear.kernels.accumulate
    return f


cdef family_t *new_columnwise(size_t context_bytes, Py_ssize_t n_components, Py_ssize_t n_encoded, int real_bytes,
                              object isa, bint is_sparse, Py_ssize_t n_columns,
                              const int32_t[::1] missing) except NULL:
    """As `new_linear`, of a family whose columns are independent and may have missing entries. Rows have n_encoded
    columns that stand for the user's n_columns, 0 where an entry is missing, and then one for each of the user's
    columns that `missing` lists: 1, or the exposure of the row, where the entry is there, else 0."""
    cdef Py_ssize_t n_missing = missing.shape[0], room = (context_bytes + 7) // 8 * 8, j
    for j in range(n_missing):
        if not 0 <= missing[j] < n_columns:
            raise ValueError(f"column {missing[j]} has missing entries, and there are {n_columns} columns")
    cdef family_t *f = new_linear(room + n_columns * sizeof(int32_t), n_components, n_encoded + n_missing, real_bytes,
                                  isa, is_sparse)
    cdef int32_t *presence = <int32_t *> (<char *> f.context + room)
    if n_missing == 0:
        return f
    for j in range(n_columns):
        presence[j] = -1
    for j in range(n_missing):
        presence[missing[j]] = <int32_t> (n_encoded + j)
    (<linear_t *> f.context).presence = presence
    return f
