"""The verbs of Gaussian and Student-t families for rows with missing entries, at random: those of a family of complete
rows, which sees the rows filled.

Encoded rows have one more column: the number of the row's pattern, that is which entries are observed. Once per pass,
pattern and component the covariance of the observed columns is factored, or the precision of the missing ones where
there are no more of these (`_kernels/missing.c`), or neither where columns are independent. For each component missing
entries are imputed by their conditional means, E[x_m] = mu_m + S_mo S_oo^-1 (x_o - mu_o). The Mahalanobis distance of
the imputed row is then that of the observed entries, so the log density of complete rows is right up to a constant of
the pattern, and of Student-t components a factor. Statistics are those of the imputed rows plus, for each row, the
conditional covariance of its missing entries, C = S_mm - S_mo S_oo^-1 S_om: Ghahramani & Jordan, "Supervised learning
from incomplete data via an EM approach", NIPS 1994. So the loops over rows and the M-step are those of complete rows,
whatever is shared. What a row weighs that is observed in part, a family says itself (`missing_verbs_t`).
"""

from cpython.ref cimport Py_INCREF
from libc.math cimport log
from libc.stdint cimport int64_t, uintptr_t
from libc.string cimport memcpy, memset

from mixfast.engine._capsule cimport BoundFamily, capsule_of, give_free_numbers, new_struct
from mixfast.engine._family cimport (
    MIXFAST_LOST_DIGITS,
    MIXFAST_NOT_FINITE,
    MIXFAST_REPAIRED_COVARIANCE,
    chunk_t,
    family_t,
    selection_t,
    shared_term_t,
    totals_t,
)
from mixfast.engine._kernels cimport MIXFAST_LANES, missing_kernels_t, mixfast_select_missing, pattern_t
from mixfast.engine._linalg cimport log_diagonal, precision_factor, precision_of_factor, upper_transposed_times
from mixfast.engine._triangle cimport in_symmetric, in_triangle, triangle
from mixfast.families._covariances cimport covariances_t, missing_verbs_t, observed_t

import numpy as np

# How covariances and second moments are laid out.
cdef enum:
    OF_COLUMNS = 0    # a number for each column
    MATRICES = 1      # a matrix for each component, or its lower triangle
    SHARED_MATRIX = 2
    NUMBERS = 3       # a number for each component
    FACTORS = 4       # of factor analysers: loadings and noise variances; see `_factors.pyx`

# The tables of a pattern, for each component or for all of them: observed_t | S_mo S_oo^-1 | C. In the quick family
# apart[n_missing][K] follows, by how much what is missing differs from what is imputed about the pivot, and rise[K].
cdef enum:
    OBSERVED_SIZE = sizeof(observed_t) // sizeof(double)

ctypedef struct context_t:
    const family_t *complete       # as the first member of an `around_t`
    const missing_verbs_t *verbs   # of the complete family
    const missing_kernels_t *kernels
    int covariances
    int moments
    Py_ssize_t n_factors
    Py_ssize_t n_patterns
    Py_ssize_t n_own_tables        # size of the patterns' tables; the means and the complete family's tables follow
    pattern_t *patterns
    Py_ssize_t n_holed
    const pattern_t **holed        # those with missing entries, by how many columns are observed
    Py_ssize_t *places             # 0 .. n_components - 1
    Py_ssize_t n_matrices          # tables of a pattern: n_components, or 1 for components that share them
    family_t quick                 # of components that share a covariance
    shared_term_t shared_term


cdef inline const context_t *context_of(const family_t *f) noexcept nogil:
    return <const context_t *> f.context


cdef inline bint columns_are_independent(const context_t *c) noexcept nogil:
    """Within a component."""
    return c.covariances == OF_COLUMNS or c.covariances == NUMBERS


cdef inline bint is_shared(const context_t *c) noexcept nogil:
    """Whether all components of a pattern have the same tables, those of tied Gaussians."""
    return c.complete.quick != NULL


cdef inline Py_ssize_t n_slopes(const context_t *c, Py_ssize_t n_there) noexcept nogil:
    """Of a pattern."""
    return 0 if columns_are_independent(c) else (c.complete.n_features - n_there) * n_there


# A start of factor analysers has no noise beside random loadings, by which nothing is to be imputed: columns are taken
# for independent then. The noise of a fit is at least a millionth of the variance of its column.
cdef double NO_NOISE = 1e-30


cdef double product_of_loadings(const context_t *c, const double *params, Py_ssize_t k, Py_ssize_t i,
                                Py_ssize_t j) noexcept nogil:
    cdef Py_ssize_t d = c.complete.n_features, q = c.n_factors, a
    cdef const double *loadings = params + c.complete.n_components * d + k * d * q
    cdef double total = 0
    for a in range(q):
        total += loadings[i * q + a] * loadings[j * q + a]
    return total


cdef double covariance_of_factors(const context_t *c, const double *params, Py_ssize_t k, Py_ssize_t i,
                                  Py_ssize_t j) noexcept nogil:
    cdef Py_ssize_t d = c.complete.n_features
    cdef const double *noise = params + c.complete.n_components * d * (1 + c.n_factors) + k * d
    if i == j:
        return product_of_loadings(c, params, k, i, i) + noise[i]
    if noise[i] < NO_NOISE * product_of_loadings(c, params, k, i, i):
        return 0
    return product_of_loadings(c, params, k, i, j)


cdef double covariance_at(const context_t *c, const double *params, Py_ssize_t k, Py_ssize_t i,
                          Py_ssize_t j) noexcept nogil:
    cdef Py_ssize_t d = c.complete.n_features
    cdef const double *covariances = params + c.complete.n_components * d
    if c.covariances == FACTORS:
        return covariance_of_factors(c, params, k, i, j)
    if c.covariances == MATRICES:
        return covariances[(k * d + i) * d + j]
    if c.covariances == SHARED_MATRIX:
        return covariances[i * d + j]
    if i != j:
        return 0
    return covariances[k * d + i] if c.covariances == OF_COLUMNS else covariances[k]


cdef void condition_independent(const context_t *c, const pattern_t *pattern, const double *variances, Py_ssize_t k,
                                double *tables) noexcept nogil:
    """As the kernel `condition`, of a pattern and component whose columns are independent: there are no slopes."""
    cdef Py_ssize_t o = pattern.n_there, m = c.complete.n_features - o, a, i
    cdef double *table = tables + pattern.tables + k * pattern.size
    cdef double *left = table + OBSERVED_SIZE
    cdef double variance
    table[0] = table[1] = 0
    for i in range(o):
        table[0] -= 0.5 * log(variances[pattern.columns[i]])
    memset(left, 0, triangle(m) * sizeof(double))
    for a in range(m):
        variance = variances[pattern.columns[o + a]]
        left[in_triangle(a, a)] = variance
        table[1] -= 0.5 * log(variance)


cdef void condition_patterns(const context_t *c, const double *params, Py_ssize_t k, double *room,
                             double *tables) noexcept nogil:
    """OUT tables: those of all patterns with missing entries for the covariance of component k, but for what `observe`
    says. room: covariance[d][d] | precision[d][d] | room of the kernel, from a cache line on: `conditioning_work`."""
    cdef Py_ssize_t d = c.complete.n_features, i, j
    cdef double *covariance = room
    cdef double *precision = covariance + d * d
    cdef double *rest = <double *> ((<uintptr_t> (precision + d * d) + LINE - 1) // LINE * LINE)
    cdef double log_root = 0
    for i in range(d):
        for j in range(d):
            covariance[i * d + j] = covariance_at(c, params, k, i, j)
    if columns_are_independent(c):
        for i in range(d):
            rest[i] = covariance[i * (d + 1)]
        for i in range(c.n_holed):
            condition_independent(c, c.holed[i], rest, k, tables)
        return
    if precision_factor(d, covariance, precision, rest) == 0:
        log_root = log_diagonal(d, rest)
        precision_of_factor(d, rest, precision)
    else:
        precision = NULL
    c.kernels.condition(c.n_holed, c.holed, d, covariance, precision, log_root, k, OBSERVED_SIZE, rest, tables)


cdef inline Py_ssize_t conditioning_work(Py_ssize_t d) noexcept nogil:
    return 2 * d * d + LINE // 8 + MIXFAST_LANES * (d * (d + 3) // 2) + 2 * d


cdef void observe_patterns(const context_t *c, Py_ssize_t k, double log_weight, const double *params,
                           double *tables) noexcept nogil:
    cdef const pattern_t *pattern
    cdef double *table
    cdef Py_ssize_t i
    for i in range(c.n_holed):
        pattern = c.holed[i]
        table = tables + pattern.tables + k * pattern.size
        c.verbs.observe(c.complete, k, pattern.n_there, log_weight, params, table[0], table[1], <observed_t *> table)


cdef void prepare_component(const family_t *f, Py_ssize_t k, const double *log_weights, const double *params,
                            double *own_work, double *work) noexcept nogil:
    cdef const context_t *c = context_of(f)
    cdef double *tables = work + c.complete.n_work
    if c.complete.prepare_component != NULL:
        c.complete.prepare_component(c.complete, k, log_weights, params, own_work, work)
    condition_patterns(c, params, k, own_work, tables)
    observe_patterns(c, k, log_weights[k], params, tables)


cdef void prepare(const family_t *f, const double *log_weights, const double *params, double *work, double *pivot,
                  void *tables) noexcept nogil:
    """OUT tables: those of the patterns | the means less the pivot | those of the complete family."""
    cdef const context_t *c = context_of(f)
    cdef double *own = <double *> tables
    cdef double *means = own + c.n_own_tables
    cdef Py_ssize_t d = c.complete.n_features, k, j
    if is_shared(c):
        # once for all components: to copy the tables would take as long as to make them
        condition_patterns(c, params, 0, work, own)
        observe_patterns(c, 0, log_weights[0], params, own)
    else:
        memcpy(own, work + c.complete.n_work, c.n_own_tables * sizeof(double))
    c.complete.prepare(c.complete, log_weights, params, work, pivot, complete_tables(f, tables))
    pivot[d] = 0  # the column of pattern numbers
    for k in range(f.n_components):
        for j in range(d):
            means[k * d + j] = params[k * d + j] - pivot[j]


cdef inline void *complete_tables(const family_t *f, const void *tables) noexcept nogil:
    cdef const context_t *c = context_of(f)
    return <double *> tables + in_cache_lines(c.n_own_tables + f.n_components * c.complete.n_features)


cdef inline const double *tables_at(const context_t *c, const pattern_t *pattern, Py_ssize_t k,
                                    const void *tables) noexcept nogil:
    """Those of a pattern with missing entries, for a component."""
    return <const double *> tables + pattern.tables + (0 if is_shared(c) else k) * pattern.size


# ---- rows -----------------------------------------------------------------------------------------------------------

# Rows of a chunk that have the same pattern and follow each other: from `first` to `last` - 1. `next_run` goes from one
# to the next, and begins with first = last = 0.
ctypedef struct run_t:
    Py_ssize_t first
    Py_ssize_t last
    const pattern_t *pattern


cdef inline bint next_run(const context_t *c, const chunk_t *chunk, run_t *run) noexcept nogil:
    """Whether there is one more."""
    cdef const double *number = (<const double *> chunk.columns) + c.complete.n_features * chunk.stride
    cdef double own
    if run.last == chunk.n_rows:
        return False
    run.first, own = run.last, number[run.last]
    run.last += 1
    while run.last < chunk.n_rows and number[run.last] == own:
        run.last += 1
    run.pattern = &c.patterns[<Py_ssize_t> own]
    return True


cdef inline bint next_holed_run(const context_t *c, const chunk_t *chunk, run_t *run) noexcept nogil:
    """Whether there is one more with missing entries."""
    while next_run(c, chunk, run):
        if run.pattern.n_there < c.complete.n_features:
            return True
    return False


cdef bint is_complete(const context_t *c, const chunk_t *chunk) noexcept nogil:
    cdef run_t run
    run.last = 0
    return not next_holed_run(c, chunk, &run)


cdef inline const observed_t *observed_at(const context_t *c, const pattern_t *pattern, Py_ssize_t k,
                                          const void *tables) noexcept nogil:
    """Of a pattern with missing entries, and a component."""
    return <const observed_t *> tables_at(c, pattern, k, tables)


cdef chunk_t copy_of(const context_t *c, const chunk_t *chunk, void *columns) noexcept nogil:
    """A view of the chunk without the column of pattern numbers, with `columns` for values."""
    cdef chunk_t filled = chunk[0]
    memcpy(columns, chunk.columns, c.complete.n_features * chunk.stride * sizeof(double))
    filled.columns = columns
    return filled


cdef void fill(const family_t *f, const void *tables, const chunk_t *chunk, Py_ssize_t k,
               double *columns) noexcept nogil:
    """OUT columns: the chunk's rows with missing entries imputed by their conditional means in component k."""
    cdef const context_t *c = context_of(f)
    cdef Py_ssize_t d = c.complete.n_features, o
    cdef const double *mean = (<const double *> tables) + c.n_own_tables + k * d
    cdef bint independent = columns_are_independent(c)
    cdef run_t run
    run.last = 0
    while next_holed_run(c, chunk, &run):
        o = run.pattern.n_there
        c.kernels.impute(0 if independent else o, run.pattern.columns, d - o, run.pattern.columns + o,
                         tables_at(c, run.pattern, k, tables) + OBSERVED_SIZE, mean,
                         chunk.stride, run.first, run.last, <const double *> chunk.columns, columns)


cdef int log_density(const family_t *f, const void *tables, const chunk_t *chunk, const selection_t *selection,
                     void *scratch, void *out) noexcept nogil:
    cdef const context_t *c = context_of(f)
    cdef double *columns = <double *> scratch
    cdef double *rest = columns + c.complete.n_features * chunk.stride
    cdef double *own
    cdef chunk_t filled
    cdef const observed_t *observed
    cdef selection_t one
    cdef run_t run
    cdef Py_ssize_t a, r
    cdef int code
    if is_complete(c, chunk):
        return c.complete.log_density(c.complete, complete_tables(f, tables), chunk, selection, scratch, out)
    filled = copy_of(c, chunk, columns)
    one.n = 1
    for a in range(selection.n):
        one.component, own = selection.component + a, (<double *> out) + a * chunk.stride
        fill(f, tables, chunk, one.component[0], columns)
        code = c.complete.log_density(c.complete, complete_tables(f, tables), &filled, &one, rest, own)
        if code != 0:
            return code
        run.last = 0
        while next_holed_run(c, chunk, &run):
            observed = observed_at(c, run.pattern, one.component[0], tables)
            for r in range(run.first, run.last):
                own[r] = observed.rise + observed.share * own[r]
    return 0


cdef int accumulate(const family_t *f, const void *tables, const chunk_t *chunk, const selection_t *selection,
                    const void *resp, void *scratch, double *stats) noexcept nogil:
    cdef const context_t *c = context_of(f)
    cdef Py_ssize_t d = c.complete.n_features
    cdef double *columns = <double *> scratch
    cdef double *lost = columns + d * chunk.stride
    cdef double *rest = lost + (2 * chunk.stride if c.verbs.accumulate != NULL else 0)
    cdef chunk_t filled
    cdef selection_t one
    cdef const double *own
    cdef Py_ssize_t a, k
    cdef int code
    if is_complete(c, chunk):
        return c.complete.accumulate(c.complete, complete_tables(f, tables), chunk, selection, resp, scratch, stats)
    filled = copy_of(c, chunk, columns)
    one.n = 1
    for a in range(selection.n):
        one.component, own = selection.component + a, (<const double *> resp) + a * chunk.stride
        k = one.component[0]
        fill(f, tables, chunk, k, columns)
        if c.verbs.accumulate == NULL:
            code = c.complete.accumulate(c.complete, complete_tables(f, tables), &filled, &one, own, rest, stats)
        else:
            fill_lost(c, tables, chunk, k, lost)
            code = c.verbs.accumulate(c.complete, complete_tables(f, tables), &filled, &one, own, lost,
                                      lost + chunk.stride, rest, stats)
        if code != 0:
            return code
        add_left(c, chunk, <const double *> tables, k, own, stats + f.n_components * d)
        if c.moments == FACTORS:
            add_left_to_factors(f, chunk, <const double *> tables, k, own, stats)
    return 0


cdef void fill_lost(const context_t *c, const void *tables, const chunk_t *chunk, Py_ssize_t k,
                    double *lost) noexcept nogil:
    """OUT lost[stride] | log_lost[stride] of the chunk's rows in component k."""
    cdef double *log_lost = lost + chunk.stride
    cdef const observed_t *observed
    cdef run_t run
    cdef Py_ssize_t r
    memset(lost, 0, 2 * chunk.stride * sizeof(double))
    run.last = 0
    while next_holed_run(c, chunk, &run):
        observed = observed_at(c, run.pattern, k, tables)
        for r in range(run.first, run.last):
            lost[r], log_lost[r] = observed.lost, observed.log_lost


cdef inline const double *left_at(const context_t *c, const pattern_t *pattern, Py_ssize_t k,
                                  const double *tables) noexcept nogil:
    """The lower triangle of C."""
    return tables_at(c, pattern, k, tables) + OBSERVED_SIZE + n_slopes(c, pattern.n_there)


cdef inline double mass_of(const run_t *run, const double *resp) noexcept nogil:
    cdef Py_ssize_t r
    cdef double total = 0
    for r in range(run.first, run.last):
        total += resp[r]
    return total


cdef void add_left_to_factors(const family_t *f, const chunk_t *chunk, const double *tables, Py_ssize_t k,
                              const double *resp, double *stats) noexcept nogil:
    """What C adds to the sums of factors, z = B'(x - mean): resp B'C to those of z x', resp B'C B to those of z z'."""
    cdef const context_t *c = context_of(f)
    cdef Py_ssize_t K = f.n_components, d = c.complete.n_features, q = c.n_factors, m, a, b, i, j
    cdef double *crossed = stats + K * (2 * d + q) + k * q * d
    cdef double *products = stats + K * (2 * d + q + q * d) + k * triangle(q)
    cdef const double *regression = <const double *> complete_tables(f, tables) + K * (1 + d + q) + k * q * d
    cdef const double *left
    cdef const Py_ssize_t *missing
    cdef double mass, value
    cdef run_t run
    run.last = 0
    while next_holed_run(c, chunk, &run):
        m, missing = d - run.pattern.n_there, run.pattern.columns + run.pattern.n_there
        left = left_at(c, run.pattern, k, tables)
        mass = mass_of(&run, resp)
        for i in range(q):
            for a in range(m):
                value = 0
                for b in range(m):
                    value += regression[i * d + missing[b]] * left[in_symmetric(a, b)]
                crossed[i * d + missing[a]] += mass * value
                for j in range(i + 1):
                    products[in_triangle(i, j)] += mass * value * regression[j * d + missing[a]]


cdef inline void add_left(const context_t *c, const chunk_t *chunk, const double *tables, Py_ssize_t k,
                          const double *resp, double *second) noexcept nogil:
    """OUT second moments += resp * C of the chunk's rows, C the conditional covariances of their missing entries in
    component k."""
    cdef Py_ssize_t d = c.complete.n_features, o, a, b, i
    cdef const double *left
    cdef const Py_ssize_t *missing
    cdef double mass
    cdef run_t run
    cdef bint are_of_columns = c.moments == OF_COLUMNS or c.moments == FACTORS
    if c.moments != SHARED_MATRIX:
        second += k * (d if are_of_columns else triangle(d))
    run.last = 0
    while next_holed_run(c, chunk, &run):
        o, missing = run.pattern.n_there, run.pattern.columns + run.pattern.n_there
        left = left_at(c, run.pattern, k, tables)
        mass = mass_of(&run, resp) * observed_at(c, run.pattern, k, tables).spread
        for a in range(d - o):
            i = missing[a]
            if are_of_columns:
                second[i] += mass * left[a]
            else:
                for b in range(a + 1):
                    second[in_triangle(i, missing[b])] += mass * left[b]
            left += a + 1


# ---- components that share a covariance -----------------------------------------------------------------------------

# With P the precision, x a row measured from the pivot and m_k a mean, let x~ and m~_k be these with what is missing
# imputed about the pivot, from what is there. Then (P x~)_m = 0, so that the row imputed in component k is
# x~ + apart_k, apart_k = m_k - m~_k, zero where columns are observed, and
#
#     |U'(x~ + apart_k - m_k)|^2 = |U'(x~ - m_k)|^2 - |U' apart_k|^2,    |U' apart_k|^2 = (P m_k)_m . (apart_k)_m.
#
# So rows are imputed once instead of once for each component, and the rest is a constant of the pattern and component.
# Both terms on the right are as large as the square of a mean's distance from the pivot: this is for the quick family,
# whose limits are those of complete rows (`linear_loses_digits`). Of its log densities no term is left out; its
# statistics are those of the family about the pivot, which the M-step moves to the means.

cdef inline Py_ssize_t n_padded(const family_t *f) noexcept nogil:
    """Components, as columns of so many rows."""
    return in_cache_lines(f.n_components)


cdef inline double *quick_room(const family_t *f, const void *tables) noexcept nogil:
    """Behind the tables of the complete family: zeros | means[d][..] | imputed[d][..], with a place for each component.
    """
    return <double *> complete_tables(f, tables) + in_cache_lines(context_of(f).complete.n_tables)


cdef inline Py_ssize_t n_zeros(const family_t *f) noexcept nogil:
    return in_cache_lines(max(f.n_components, context_of(f).complete.n_features))


cdef inline double *apart_at(const context_t *c, const pattern_t *pattern, const void *tables) noexcept nogil:
    return <double *> tables_at(c, pattern, 0, tables) + pattern.size


cdef inline double *rise_at(const context_t *c, const pattern_t *pattern, const void *tables) noexcept nogil:
    return apart_at(c, pattern, tables) + (c.complete.n_features - pattern.n_there) * c.complete.n_components


cdef void prepare_quick(const family_t *f, const double *log_weights, const double *params, double *work, double *pivot,
                        void *tables) noexcept nogil:
    cdef const context_t *c = context_of(f)
    cdef Py_ssize_t d = c.complete.n_features, K = f.n_components, stride = n_padded(f), o, i, j, k, a
    cdef double *zeros = quick_room(f, tables)
    cdef double *means = zeros + n_zeros(f)
    cdef double *imputed = means + d * stride
    cdef double *pulls = work      # [d][K]: P m_k
    cdef double *whitened = pulls + d * K
    cdef const double *centred = <double *> tables + c.n_own_tables
    cdef const double *factor = params + K * d + d * d
    cdef const double *of_shared
    cdef const pattern_t *pattern
    cdef double *apart
    cdef double *rise
    prepare(f, log_weights, params, work, pivot, tables)
    memset(zeros, 0, (n_zeros(f) + d * stride) * sizeof(double))
    for k in range(K):
        upper_transposed_times(d, factor, centred + k * d, whitened)
        for i in range(d):
            means[i * stride + k] = centred[k * d + i]
            pulls[i * K + k] = 0
            for j in range(i, d):
                pulls[i * K + k] += factor[i * d + j] * whitened[j]
    for i in range(c.n_holed):
        pattern = c.holed[i]
        o, of_shared = pattern.n_there, tables_at(c, pattern, 0, tables)
        apart, rise = apart_at(c, pattern, tables), rise_at(c, pattern, tables)
        c.kernels.impute(o, pattern.columns, d - o, pattern.columns + o, of_shared + OBSERVED_SIZE, zeros, stride, 0, K,
                         means, imputed)
        for k in range(K):
            rise[k] = (<const observed_t *> of_shared).rise
        for a in range(d - o):
            j = pattern.columns[o + a]
            for k in range(K):
                apart[a * K + k] = means[j * stride + k] - imputed[j * stride + k]
                rise[k] += 0.5 * pulls[j * K + k] * apart[a * K + k]


cdef inline void impute_about_pivot(const family_t *f, const void *tables, const chunk_t *chunk, const run_t *run,
                                    double *columns) noexcept nogil:
    """INOUT columns: a copy of the chunk's."""
    cdef const context_t *c = context_of(f)
    cdef Py_ssize_t o = run.pattern.n_there
    c.kernels.impute(o, run.pattern.columns, c.complete.n_features - o, run.pattern.columns + o,
                     tables_at(c, run.pattern, 0, tables) + OBSERVED_SIZE, quick_room(f, tables), chunk.stride,
                     run.first, run.last, <const double *> chunk.columns, columns)


cdef int log_density_quick(const family_t *f, const void *tables, const chunk_t *chunk, const selection_t *selection,
                           void *scratch, void *out) noexcept nogil:
    cdef const context_t *c = context_of(f)
    cdef double *columns = <double *> scratch
    cdef double *own
    cdef const double *rise
    cdef double value
    cdef chunk_t filled = copy_of(c, chunk, columns)
    cdef run_t run
    cdef Py_ssize_t a, r
    run.last = 0
    while next_holed_run(c, chunk, &run):
        impute_about_pivot(f, tables, chunk, &run, columns)
    c.complete.log_density(c.complete, complete_tables(f, tables), &filled, selection,
                           columns + c.complete.n_features * chunk.stride, out)
    run.last = 0
    while next_holed_run(c, chunk, &run):
        rise = rise_at(c, run.pattern, tables)
        for a in range(selection.n):
            own, value = <double *> out + a * chunk.stride, rise[selection.component[a]]
            for r in range(run.first, run.last):
                own[r] += value
    return 0


cdef bint are_all(const family_t *f, const selection_t *selection) noexcept nogil:
    """Whether all components are selected, in order."""
    cdef Py_ssize_t a
    for a in range(selection.n):
        if selection.component[a] != a:
            return False
    return selection.n == f.n_components


cdef const double *responsibilities_of_all(const family_t *f, const chunk_t *chunk, const selection_t *selection,
                                           const void *resp, double *room) noexcept nogil:
    """[n_components][stride], those of components that are not selected 0."""
    cdef Py_ssize_t stride = chunk.stride, a
    if are_all(f, selection):
        return <const double *> resp
    memset(room, 0, f.n_components * stride * sizeof(double))
    for a in range(selection.n):
        memcpy(room + selection.component[a] * stride, <const double *> resp + a * stride, stride * sizeof(double))
    return room


cdef int accumulate_quick(const family_t *f, const void *tables, const chunk_t *chunk, const selection_t *selection,
                          const void *resp, void *scratch, double *stats) noexcept nogil:
    """scratch: imputed rows | apart, weighted with resp | mass | resp of all components | weights, and room of the
    complete family."""
    cdef const context_t *c = context_of(f)
    cdef Py_ssize_t d = c.complete.n_features, K = f.n_components, stride = chunk.stride, m
    cdef double *columns = <double *> scratch
    cdef double *apart = columns + d * stride
    cdef double *mass = apart + d * stride
    cdef double *shares = mass + 2 * K * stride
    cdef double *rest = shares + K * stride
    cdef const double *all_resp = responsibilities_of_all(f, chunk, selection, resp, shares)
    cdef const double *own
    cdef const Py_ssize_t *missing
    cdef chunk_t filled = copy_of(c, chunk, columns)
    cdef run_t run
    memset(apart, 0, d * stride * sizeof(double))
    run.last = 0
    while next_holed_run(c, chunk, &run):
        impute_about_pivot(f, tables, chunk, &run, columns)
        m, missing = d - run.pattern.n_there, run.pattern.columns + run.pattern.n_there
        own = apart_at(c, run.pattern, tables)
        c.kernels.impute(K, c.places, m, missing, own, quick_room(f, tables), stride, run.first, run.last, all_resp,
                         apart)
        c.kernels.add_apart(K, d, m, missing, own, left_at(c, run.pattern, 0, <const double *> tables), stride,
                            run.first, run.last, all_resp, mass, stats, stats + K * d)
    c.complete.quick.accumulate(c.complete.quick, complete_tables(f, tables), &filled, selection, resp, rest, stats)
    c.kernels.add_pooled(d, stride, columns, K, all_resp, rest, apart, stats + K * d)
    return 0


cdef int maximise_quick(const family_t *f, const totals_t *totals, double *work, double *params) noexcept nogil:
    """The M-step of the family, from statistics about the pivot; MIXFAST_LOST_DIGITS where it should make the step."""
    cdef const family_t *complete = complete_of(f)
    cdef Py_ssize_t d = complete.n_features, K = f.n_components, k, j
    cdef double *stats = work + complete.n_work
    cdef double *means = stats + f.n_stats
    cdef double *log_shares = stats
    cdef totals_t moved = totals[0]
    cdef double n = 0
    cdef int status
    memcpy(stats, totals.stats, f.n_stats * sizeof(double))
    for k in range(K):
        n += totals.counts[k]
        for j in range(d):
            means[k * d + j] = totals.pivot[j]
    complete.recentre(complete, totals.counts, totals.pivot, means, totals.pivot, params, stats)
    moved.stats = stats
    status = complete.maximise(complete, &moved, work, params)
    if status & (MIXFAST_REPAIRED_COVARIANCE | MIXFAST_NOT_FINITE):
        return MIXFAST_LOST_DIGITS  # perhaps it is singular, perhaps only what is left of it here
    for k in range(K):
        log_shares[k] = log(totals.counts[k] / n)
    return MIXFAST_LOST_DIGITS if loses_digits(f, log_shares, params, work) else status


cdef int loses_digits(const family_t *f, const double *log_weights, const double *params, double *work) noexcept nogil:
    cdef const family_t *quick = complete_of(f).quick
    return quick.shared_term.loses_digits(quick, log_weights, params, work)


cdef void accumulate_nothing(const family_t *f, const chunk_t *chunk, const void *weight, void *scratch,
                             double *common) noexcept nogil:
    pass


cdef double no_evidence(const family_t *f, const totals_t *totals, const double *params, double *work) noexcept nogil:
    return 0


cdef void give_quick(family_t *f) noexcept:
    """Fill in the quick family of a family whose components share a covariance."""
    cdef context_t *c = <context_t *> f.context
    cdef Py_ssize_t d = c.complete.n_features, K = f.n_components
    f.n_tables = (in_cache_lines(c.n_own_tables + K * d) + in_cache_lines(c.complete.n_tables) + n_zeros(f)
                  + 2 * d * n_padded(f))
    f.n_scratch_columns = 2 * d + 3 * K + 1 + c.complete.n_scratch_columns
    f.n_work = c.complete.n_work + max(conditioning_work(d), f.n_stats + K * d, d * (K + 1))
    c.quick = f[0]
    c.quick.prepare, c.quick.maximise = prepare_quick, maximise_quick
    c.quick.log_density, c.quick.accumulate = log_density_quick, accumulate_quick
    c.shared_term.n_common = 0  # no term is left out
    c.shared_term.accumulate_common, c.shared_term.common_evidence = accumulate_nothing, no_evidence
    c.shared_term.loses_digits = loses_digits
    c.quick.shared_term = &c.shared_term
    f.quick = &c.quick


# ---- what is that of complete rows ----------------------------------------------------------------------------------

cdef int maximise(const family_t *f, const totals_t *totals, double *work, double *params) noexcept nogil:
    return complete_of(f).maximise(complete_of(f), totals, work, params)


cdef int maximise_component(const family_t *f, Py_ssize_t k, const totals_t *totals, const double *work,
                            double *own_work, double *params) noexcept nogil:
    return complete_of(f).maximise_component(complete_of(f), k, totals, work, own_work, params)


cdef double log_prior(const family_t *f, const double *params) noexcept nogil:
    return complete_of(f).log_prior(complete_of(f), params)


cdef int unconstrain(const family_t *f, const double *params, double *numbers) noexcept nogil:
    return complete_of(f).free_numbers.unconstrain(complete_of(f), params, numbers)


cdef int constrain(const family_t *f, const double *numbers, double *work, double *params) noexcept nogil:
    return complete_of(f).free_numbers.constrain(complete_of(f), numbers, work, params)


cdef family_t *new_around(BoundFamily bound, int kept_bytes, size_t context_bytes) except NULL:
    cdef const family_t *complete = &bound.c
    if complete.real_bytes != 8:
        raise ValueError("rows with missing entries are computed in float64")
    cdef family_t *f = new_struct(context_bytes)
    (<around_t *> f.context).complete = complete
    (<covariances_t *> complete.context).kept_bytes = kept_bytes  # of a struct that nobody else has
    f.n_components, f.n_features, f.real_bytes, f.isa = complete.n_components, complete.n_features + 1, 8, complete.isa
    f.n_params, f.n_stats = complete.n_params, complete.n_stats
    f.n_work, f.n_own_work = complete.n_work, complete.n_own_work
    f.flops_per_component = complete.flops_per_component
    f.maximise = maximise
    f.further_start_passes, f.may_overshoot = complete.further_start_passes, complete.may_overshoot
    if complete.log_prior != NULL:
        f.log_prior = log_prior
    if complete.maximise_component != NULL:
        f.maximise_component = maximise_component
    if complete.free_numbers != NULL:
        give_free_numbers(f, complete.free_numbers.n_free, unconstrain, constrain)
    Py_INCREF(bound)
    f.owner = <void *> bound
    return f


def bind_missing(capsule, int64_t[:, ::1] columns not None, const int64_t[::1] n_there not None, int covariances,
                 int moments, Py_ssize_t n_factors, int kept_bytes):
    """A capsule for rows with missing entries, around the capsule of a family of complete rows.

    columns (n_patterns, n_features) : numbers of each pattern's observed columns, then of its missing ones, both
        ascending
    n_there (n_patterns,) : how many columns are observed
    covariances, moments : layouts of the family's covariances and second moments, by the enum above
    n_factors : of factor analysers
    kept_bytes : of the reals that parameters will be rounded to, those of the user's rows
    """
    cdef BoundFamily bound = BoundFamily(capsule)
    cdef const family_t *complete = &bound.c
    cdef Py_ssize_t d = complete.n_features, n_patterns = columns.shape[0], n_places = complete.n_components
    cdef Py_ssize_t i, j, o, m
    cdef family_t *f = new_around(bound, kept_bytes, sizeof(context_t) + n_places * sizeof(Py_ssize_t) + n_patterns * (
        sizeof(pattern_t) + sizeof(pattern_t *) + d * sizeof(Py_ssize_t)))
    cdef context_t *c = <context_t *> f.context
    cdef Py_ssize_t *places
    if columns.shape[1] != d:
        raise ValueError("patterns are of all columns")
    c.covariances, c.moments, c.n_patterns = covariances, moments, n_patterns
    c.n_factors, c.n_matrices = n_factors, 1 if is_shared(c) else complete.n_components
    c.kernels = mixfast_select_missing(complete.isa)
    c.verbs = &(<const covariances_t *> complete.context).missing
    c.patterns = <pattern_t *> (c + 1)
    c.holed = <const pattern_t **> (c.patterns + n_patterns)
    c.places = <Py_ssize_t *> (c.holed + n_patterns)
    for i in range(n_places):
        c.places[i] = i
    places = c.places + n_places
    for i in range(n_patterns):
        o, m = n_there[i], d - n_there[i]
        c.patterns[i].n_there, c.patterns[i].columns = o, places + i * d
        c.patterns[i].size = OBSERVED_SIZE + n_slopes(c, o) + triangle(m)
        c.patterns[i].tables = c.n_own_tables
        c.n_own_tables += c.n_matrices * c.patterns[i].size
        if is_shared(c):
            c.n_own_tables += (m + 1) * complete.n_components
        for j in range(d):
            places[i * d + j] = columns[i, j]
    for i in np.argsort(n_there, kind="stable"):
        if n_there[i] < d:
            c.holed[c.n_holed] = &c.patterns[i]
            c.n_holed += 1
    f.n_tables = in_cache_lines(c.n_own_tables + complete.n_components * d) + complete.n_tables
    f.n_scratch_columns = d + (2 if c.verbs.accumulate != NULL else 0) + complete.n_scratch_columns
    f.flops_per_row = 3 * complete.flops_per_row
    f.prepare, f.log_density, f.accumulate = prepare, log_density, accumulate
    if is_shared(c):
        give_quick(f)
        return capsule_of(f)
    f.n_work += c.n_own_tables
    f.n_own_work = max(f.n_own_work, conditioning_work(d))
    f.flops_per_component += n_patterns * d * d * d
    f.prepare_component = prepare_component
    return capsule_of(f)
