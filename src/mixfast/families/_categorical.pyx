"""The verbs of the categorical family; loops over rows are in `_kernels/categorical.c`.

Parameters: probabilities[K][C], the categories of all columns side by side, C of them. Statistics: the weighted number
of each answer, missing ones included, as `_kernels/categorical.h` lays them out. With a Dirichlet(1 + alpha) prior on
the probabilities of each column the M-step is p_c = (n_c + alpha) / sum_c (n_c + alpha), where missing answers are not
counted, and EM increases the log-likelihood plus alpha * sum of log p.
"""

from libc.float cimport DBL_MIN
from libc.math cimport INFINITY, exp, isinf, log
from libc.string cimport memset

from mixfast.engine._capsule cimport capsule_of, give_free_numbers, give_record, new_struct
from mixfast.engine._family cimport MIXFAST_EMPTIED_COMPONENT, MIXFAST_OK, family_t, stream_t, totals_t
from mixfast.engine._isa cimport resolve_isa
from mixfast.engine._kernels cimport categorical_t, mixfast_select_categorical
from mixfast.engine._random cimport one_of
from mixfast.families._edge cimport is_left_by_prior

ctypedef struct context_t:
    categorical_t categorical
    double alpha


cdef inline double alpha_of(const family_t *f) noexcept nogil:
    return (<const context_t *> f.context).alpha


# ---- prepare --------------------------------------------------------------------------------------------------------

cdef void prepare_component(const family_t *f, Py_ssize_t k, const double *log_weights, const double *params,
                            double *own_work, double *work) noexcept nogil:
    """work: log_weights[K], log_probabilities[K][C]"""
    cdef Py_ssize_t n_own = n_own_of(f), i
    cdef double *log_probabilities = work + f.n_components + k * n_own
    work[k] = log_weights[k]
    for i in range(n_own):
        log_probabilities[i] = log(params[k * n_own + i])


cdef void prepare(const family_t *f, const double *log_weights, const double *params, double *work, double *pivot,
                  void *tables) noexcept nogil:
    categorical_of(f).kernels.lay_out(f, work, work + f.n_components, tables)


# ---- maximise -------------------------------------------------------------------------------------------------------

cdef int maximise(const family_t *f, const totals_t *totals, double *work, double *params) noexcept nogil:
    """work: sums of all components, [rows]"""
    cdef Py_ssize_t n_rows = n_rows_of(f), width = categorical_of(f).kernels.n_sums(f.n_components), k, row
    cdef bint is_any_empty = False
    memset(work, 0, n_rows * sizeof(double))
    for row in range(n_rows):
        for k in range(f.n_components):
            work[row] += totals.stats[row * width + k]
    for k in range(f.n_components):
        is_any_empty |= totals.counts[k] == 0
    return MIXFAST_EMPTIED_COMPONENT if is_any_empty else MIXFAST_OK


cdef int maximise_component(const family_t *f, Py_ssize_t k, const totals_t *totals, const double *work,
                            double *own_work, double *params) noexcept nogil:
    """New probabilities of component k. A column in which the component has no answers gets the probabilities of all
    rows, or equal ones if there are no answers at all."""
    cdef const Py_ssize_t *first = categorical_of(f).first
    cdef Py_ssize_t width = categorical_of(f).kernels.n_sums(f.n_components), j
    cdef double *own = params + k * n_own_of(f)
    cdef Py_ssize_t n_categories
    cdef double alpha = alpha_of(f)
    cdef bint is_empty = totals.counts[k] == 0
    for j in range(f.n_features):
        n_categories = first[j + 1] - first[j] - 1
        if is_empty or not share_out(n_categories, totals.stats + first[j] * width + k, width, alpha, own):
            if not share_out(n_categories, work + first[j], 1, alpha, own):
                share_equally(n_categories, own)
        own += n_categories
    return MIXFAST_OK


cdef bint share_out(Py_ssize_t n_categories, const double *sums, Py_ssize_t step, double alpha,
                    double *probabilities) noexcept nogil:
    """OUT probabilities[n_categories] from sums[c * step]. Returns false if the sums and alpha are all 0."""
    cdef double total = <double> n_categories * alpha
    # with a prior no probability is 0, even if alpha is lost to rounding beside the total
    cdef double least = 0.0 if alpha == 0 else DBL_MIN
    cdef Py_ssize_t c
    for c in range(n_categories):
        total += sums[c * step]
    if total < DBL_MIN:
        return False
    for c in range(n_categories):
        probabilities[c] = max((sums[c * step] + alpha) / total, least)
    return True


cdef void share_equally(Py_ssize_t n_categories, double *probabilities) noexcept nogil:
    cdef Py_ssize_t c
    for c in range(n_categories):
        probabilities[c] = 1 / <double> n_categories


cdef double log_prior(const family_t *f, const double *params) noexcept nogil:
    cdef double alpha = alpha_of(f), total = 0
    cdef Py_ssize_t i
    if alpha == 0:
        return 0
    for i in range(f.n_params):
        total += log(params[i])
    return alpha * total


# ---- statistics that travel -----------------------------------------------------------------------------------------

cdef void collect(const family_t *f, const double *stats, double *record) noexcept nogil:
    """record: sums[rows][K]"""
    cdef Py_ssize_t width = categorical_of(f).kernels.n_sums(f.n_components), row, k
    for row in range(n_rows_of(f)):
        for k in range(f.n_components):
            record[row * f.n_components + k] = stats[row * width + k]


cdef void restore(const family_t *f, const double *record, double *stats) noexcept nogil:
    cdef Py_ssize_t width = categorical_of(f).kernels.n_sums(f.n_components), row, k
    for row in range(n_rows_of(f)):
        for k in range(f.n_components):
            stats[row * width + k] = record[row * f.n_components + k]


cdef void stay(const family_t *f, const double *counts, const double *last_pivot, const double *last_params,
               const double *pivot, const double *params, double *stats) noexcept nogil:
    """`recentre`: nothing to do, since counts of answers do not depend on the parameters."""


# ---- draws ----------------------------------------------------------------------------------------------------------

cdef void draw_row(const family_t *f, Py_ssize_t k, const double *params, stream_t *stream,
                   double *row) noexcept nogil:
    """Codes of categories, none of which is missing."""
    cdef const double *own = params + k * n_own_of(f)
    cdef Py_ssize_t j
    for j in range(f.n_features):
        row[j] = <double> one_of(n_categories_of(f, j), own, stream.uniform(stream))
        own += n_categories_of(f, j)


# ---- free numbers ---------------------------------------------------------------------------------------------------

cdef int unconstrain(const family_t *f, const double *params, double *numbers) noexcept nogil:
    """OUT numbers: for each category but a column's last, the log odds against the categories after it: -inf if its
    probability is 0, +inf if theirs are."""
    cdef const Py_ssize_t *first = categorical_of(f).first
    cdef Py_ssize_t _k, j, c, n_categories
    cdef double after
    for _k in range(f.n_components):
        for j in range(f.n_features):
            n_categories = first[j + 1] - first[j] - 1
            after = params[n_categories - 1]
            for c in range(n_categories - 2, -1, -1):
                numbers[c] = -INFINITY if params[c] == 0 else log(params[c]) - log(after)
                after += params[c]
            numbers += n_categories - 1
            params += n_categories
    return 0


cdef int constrain(const family_t *f, const double *numbers, double *work, double *params) noexcept nogil:
    """OUT params: probabilities; finite numbers never give a probability of 0."""
    cdef const Py_ssize_t *first = categorical_of(f).first
    cdef Py_ssize_t _k, j, c, n_categories
    cdef double rest
    for _k in range(f.n_components):
        for j in range(f.n_features):
            n_categories = first[j + 1] - first[j] - 1
            rest = 1
            for c in range(n_categories - 1):
                params[c] = rest / (1 + exp(-numbers[c]))
                rest /= 1 + exp(numbers[c])
                if not isinf(numbers[c]):
                    params[c], rest = max(params[c], DBL_MIN), max(rest, DBL_MIN)
            params[n_categories - 1] = rest
            numbers += n_categories - 1
            params += n_categories
    return 0


cdef family_t *new_categorical(size_t context_bytes, Py_ssize_t n_components, object n_categories, int real_bytes,
                               object isa) except NULL:
    cdef int level = resolve_isa(isa)
    cdef Py_ssize_t n_features = len(n_categories), j
    if n_components < 1 or n_features < 1 or min(n_categories) < 1 or real_bytes not in (4, 8):
        raise ValueError(f"cannot bind {n_components} components and columns of {n_categories} categories, "
                         f"{real_bytes} bytes: there must be some of each, float32 or float64")
    cdef family_t *f = new_struct(context_bytes + (n_features + 1) * sizeof(Py_ssize_t))
    cdef categorical_t *categorical = <categorical_t *> f.context
    cdef Py_ssize_t *first = <Py_ssize_t *> (<char *> f.context + context_bytes)
    for j in range(n_features):
        first[j + 1] = first[j] + <Py_ssize_t> n_categories[j] + 1
    categorical.first, categorical.kernels = first, mixfast_select_categorical(level, real_bytes)
    f.n_components, f.n_features = n_components, n_features
    f.real_bytes, f.isa = real_bytes, level
    cdef Py_ssize_t n_rows = n_rows_of(f), width = categorical.kernels.n_sums(n_components)
    f.n_params = n_components * n_own_of(f)
    f.n_stats = n_rows * width
    give_record(f, n_rows * n_components, collect, restore)
    f.recentre = stay
    f.n_tables = categorical.kernels.n_tables(n_components, n_rows)
    f.n_scratch_columns = categorical.kernels.n_scratch_columns(n_components, n_features)
    f.n_work = max(n_rows, n_components + f.n_params)
    f.flops_per_row = n_components * 40 + n_features * (10 + 2 * width)
    f.flops_per_component = 20 * n_rows
    f.prepare, f.log_density, f.accumulate = prepare, categorical.kernels.log_density, categorical.kernels.accumulate
    return f


def bind_categorical(n_components, n_categories, int real_bytes, object isa, double alpha):
    """The capsule; `n_categories` has a number for each column."""
    cdef family_t *f = new_categorical(sizeof(context_t), n_components, n_categories, real_bytes, isa)
    (<context_t *> f.context).alpha = alpha
    f.prepare_component, f.maximise, f.maximise_component = prepare_component, maximise, maximise_component
    f.log_prior = log_prior
    give_free_numbers(f, n_components * (n_own_of(f) - f.n_features), unconstrain, constrain)
    f.starts_inside, f.draw_row = not is_left_by_prior(alpha), draw_row
    return capsule_of(f)
