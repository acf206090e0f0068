"""Means and covariances: what families that have them share, by the structure of the covariances.

Parameters and statistics of such a family begin with the layouts of `_gaussian.pyx` and `_kernels/gaussian.h`. Moments
are weighted sums over rows: a Gaussian's weights are responsibilities; a Student-t's depend on the row's distance too.

A covariance that is not positive definite to working precision is repaired: REPAIR times the variance that the column
has over all components together is added to its diagonal, tenfold until it is (`repair_floors`).
"""

from libc.float cimport DBL_MAX, DBL_MIN, FLT_MAX, FLT_MIN
from libc.math cimport M_PI, exp, isfinite, log, sqrt
from libc.string cimport memcpy, memset

from mixfast.engine._capsule cimport new_struct
from mixfast.engine._family cimport (
    MIXFAST_EMPTIED_COMPONENT,
    MIXFAST_NOT_FINITE,
    MIXFAST_OK,
    MIXFAST_REPAIRED_COVARIANCE,
    MIXFAST_SPURIOUS_COMPONENT,
)
from mixfast.engine._isa cimport resolve_isa
from mixfast.engine._kernels cimport mixfast_select_gaussian, mixfast_select_rows
from mixfast.engine._linalg cimport (
    covariance_of_factor,
    log_diagonal,
    precision_factor,
    solve_lower,
    upper_transposed_times,
)
from mixfast.engine._triangle cimport in_triangle, triangle
from mixfast.families._shapes cimport limit_ratio, scatters_t, shape_t, shape_work

cdef double EPSILON = 2.220446049250313e-16
cdef double REPAIR = 1e-6      # the size that scikit-learn's reg_covar has for standardised columns
cdef int MAX_REPAIRS = 30      # tenfold each: more than the range of double needs
# A component is spurious if an eigenvalue is below so many times what was added to its covariance (reg_covar, repairs);
# constant columns are ignored. docs/selection.md has the effect of other values.
cdef double SPURIOUS_TIMES = 10
# It is also where the variance of a column given those before it is so small a share of the column's own that the next
# M-step may well repair it: a component that falls into a plane is there within a few iterations, but rounding decides
# which of them finds it singular. On iris, 8 full components by BIC are one of 8 rows whose share is 1e-14; in randu,
# which lies in planes to six digits, one of 13 rows has an eigenvalue 1e-12 of that of all rows.
cdef double SPURIOUS_SHARE = 1e-8
# Components of a shape may be flat along a column, and be kept from being singular by axes that they share: they are
# spurious where the ratio of their eigenvalues, in units of the columns' variances, is about that. In faithful, 14 rows
# of one waiting time make a VVE component of 1e21; no other fit of all shapes to it, to iris, diabetes, thyroid and
# banknote, by `select`, has more than 7e5.
cdef double FLATTEST = 1e14
cdef enum:
    SMALL = 4                  # of _kernels/gaussian.c: moments of so many columns cost less than gathering rows


cdef inline double epsilon(const family_t *f) noexcept nogil:
    """The rounding of the precision that statistics were computed in, or that parameters will have."""
    return EPSILON if context_of(f).kept_bytes == 8 else 1.1920928955078125e-07


cdef inline double as_packed(const family_t *f, double value) noexcept nogil:
    """The value rounded as in the kernels' tables, to the rows' precision."""
    return value if f.real_bytes == 8 else <double> <float> value


# ---- tables ---------------------------------------------------------------------------------------------------------

cdef void full_determinants(const family_t *f, const double *params, double *out) noexcept nogil:
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k
    cdef const double *factors = params + n_components * d + n_components * d * d
    for k in range(n_components):
        out[k] = log_diagonal(d, factors + k * d * d)


cdef void full_tables(const family_t *f, const double *params, double *work, void *tables) noexcept nogil:
    factor_tables(f, params + f.n_components * f.n_features * (1 + f.n_features), f.n_features * f.n_features, work,
                  tables)


cdef void factor_tables(const family_t *f, const double *factors, Py_ssize_t step, double *work,
                        void *tables) noexcept nogil:
    """OUT tables from factors of the precisions, component k's at factors[k * step]."""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k
    cdef const double *mean = work + n_components
    cdef double *shift = work + n_components * (1 + d)
    cdef Py_ssize_t n_head = n_components * (1 + 2 * d)
    cdef Py_ssize_t packed_size = context_of(f).gaussian.packed_triangle_size(d)
    for k in range(n_components):
        upper_transposed_times(d, factors + k * step, mean + k * d, shift + k * d)
        context_of(f).gaussian.pack_triangle(d, factors + k * step, real_at(f, tables, n_head + k * packed_size))
    context_of(f).rows.round_to_real(n_head, work, tables)


cdef void scale_determinants(const family_t *f, const double *precisions, Py_ssize_t row_step, Py_ssize_t column_step,
                             double *out) noexcept nogil:
    cdef Py_ssize_t k, j
    for k in range(f.n_components):
        out[k] = 0
        for j in range(f.n_features):
            out[k] += log(precisions[k * row_step + j * column_step])


cdef void scale_tables(const family_t *f, const double *precisions, Py_ssize_t row_step, Py_ssize_t column_step,
                       double *work, void *tables) noexcept nogil:
    """OUT tables from square roots of precisions, at precisions[k * row_step + j * column_step]."""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k, j, i
    cdef const double *mean = work + n_components
    cdef double *scale = work + n_components * (1 + d)
    cdef double *shift = scale + n_components * d
    for k in range(n_components):
        for j in range(d):
            i = k * d + j
            scale[i] = precisions[k * row_step + j * column_step]
            shift[i] = scale[i] * mean[i]
    context_of(f).rows.round_to_real(n_components * (1 + 3 * d), work, tables)


cdef void diagonal_determinants(const family_t *f, const double *params, double *out) noexcept nogil:
    scale_determinants(f, params + 2 * f.n_components * f.n_features, f.n_features, 1, out)


cdef void diagonal_tables(const family_t *f, const double *params, double *work, void *tables) noexcept nogil:
    scale_tables(f, params + 2 * f.n_components * f.n_features, f.n_features, 1, work, tables)


cdef void spherical_determinants(const family_t *f, const double *params, double *out) noexcept nogil:
    scale_determinants(f, params + f.n_components * (f.n_features + 1), 1, 0, out)


cdef void spherical_tables(const family_t *f, const double *params, double *work, void *tables) noexcept nogil:
    scale_tables(f, params + f.n_components * (f.n_features + 1), 1, 0, work, tables)


# ---- draws ----------------------------------------------------------------------------------------------------------

# A row x of component k has z = U'(x - mean) of mean 0 and unit covariance, so x = mean + U'^-1 z.

cdef inline void add_mean(const family_t *f, Py_ssize_t k, const double *params, double *row) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(f.n_features):
        row[j] += params[k * f.n_features + j]


cdef void full_unwhiten(const family_t *f, Py_ssize_t k, const double *params, double *row) noexcept nogil:
    cdef Py_ssize_t d = f.n_features
    solve_lower(d, params + f.n_components * d * (1 + d) + k * d * d, 1, row)
    add_mean(f, k, params, row)


cdef void tied_unwhiten(const family_t *f, Py_ssize_t k, const double *params, double *row) noexcept nogil:
    cdef Py_ssize_t d = f.n_features
    solve_lower(d, params + d * (f.n_components + d), 1, row)
    add_mean(f, k, params, row)


cdef void diagonal_unwhiten(const family_t *f, Py_ssize_t k, const double *params, double *row) noexcept nogil:
    cdef Py_ssize_t d = f.n_features, j
    for j in range(d):
        row[j] /= params[(2 * f.n_components + k) * d + j]
    add_mean(f, k, params, row)


cdef void spherical_unwhiten(const family_t *f, Py_ssize_t k, const double *params, double *row) noexcept nogil:
    cdef Py_ssize_t d = f.n_features, j
    for j in range(d):
        row[j] /= params[f.n_components * (d + 1) + k]
    add_mean(f, k, params, row)


# ---- maximise -------------------------------------------------------------------------------------------------------

cdef void pooled_moments(const family_t *f, const double *counts, const double *means, const double *variances,
                         Py_ssize_t row_step, Py_ssize_t column_step, double *mean, double *variance) noexcept nogil:
    """OUT: mean[d] and pooled[d], mean and variance of each column over all components together. IN variances of the
    components, at variances[k * row_step + j * column_step]."""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k, j
    cdef double total = 0, share, delta
    for k in range(n_components):
        total += counts[k]
    for j in range(d):
        mean[j] = variance[j] = 0
    for k in range(n_components):
        if counts[k] > 0:
            share = counts[k] / total
            for j in range(d):
                mean[j] += share * means[k * d + j]
    for k in range(n_components):
        if counts[k] > 0:
            share = counts[k] / total
            for j in range(d):
                delta = means[k * d + j] - mean[j]
                variance[j] += share * (variances[k * row_step + j * column_step] + delta * delta)


cdef double rounding_of(const family_t *f, double mean, double offset) noexcept nogil:
    """The largest variance that may be rounding error alone: of coordinates that are `offset` from the pivot, in the
    rows' precision; of the mean, in float64; and at least the variance whose inverse the precision can still hold, for
    components that shrink (rows that vary so little are refused before: `_narrow_columns`). The distance of the rows
    from the origin does not matter, since the pivot is subtracted before rows are rounded."""
    cdef double rounding = 4 * epsilon(f), rounding_of_mean = 4 * EPSILON
    return (rounding * rounding * offset * offset + rounding_of_mean * rounding_of_mean * mean * mean
            + (DBL_MIN if context_of(f).kept_bytes == 8 else FLT_MIN))


cdef double about_the_mean(const family_t *f, double square, double delta) noexcept nogil:
    """The variance, from the mean square about a point that is `delta` from the mean; 0 if cancellation leaves no
    digits. Sums of equal numbers lose up to about 8 eps in a chunk."""
    cdef double variance = square - delta * delta
    return 0 if variance < 16 * epsilon(f) * square else variance


cdef inline double largest_real(const family_t *f) noexcept nogil:
    return DBL_MAX if context_of(f).kept_bytes == 8 else FLT_MAX


cdef inline bint is_degenerate(const family_t *f, double variance, double mean, double offset) noexcept nogil:
    return not (variance > rounding_of(f, mean, offset) and isfinite(variance))


cdef int repair_floors(const family_t *f, Py_ssize_t d, const double *mean, const double *offset, const double *pooled,
                       double *floors) noexcept nogil:
    """OUT floors[d]: what a repair adds to each column's variance. REPAIR times the column's pooled variance; for a
    constant column REPAIR times the largest pooled variance, or times 1; and at least what rounding can make."""
    cdef Py_ssize_t j
    cdef double largest = 0, rounding, scale
    for j in range(d):
        if not pooled[j] < largest_real(f):
            return MIXFAST_NOT_FINITE
        if pooled[j] > rounding_of(f, mean[j], offset[j]):
            largest = max(largest, pooled[j])
    for j in range(d):
        rounding = rounding_of(f, mean[j], offset[j])
        scale = pooled[j] if pooled[j] > rounding else largest if largest > 0 else 1
        floors[j] = max(REPAIR * scale, 4 * rounding)
        if not floors[j] < largest_real(f):
            return MIXFAST_NOT_FINITE
    return MIXFAST_OK


cdef inline double rounding_share(const family_t *f) noexcept nogil:
    """The largest share of a column's variance, conditional on other columns, that may be rounding error alone. Without
    the factor 8, three of 36,000 fits of nearly dependent columns kept an eigenvalue below zero."""
    return epsilon(f) * 8 * <double> f.n_features


cdef bint factor_fails(const family_t *f, const double *mean, const double *offset, const double *covariance,
                       double *work, double *factor) noexcept nogil:
    """OUT factor: that of the precision. Returns true if the covariance is not positive definite to working precision.

    `work` holds n_features doubles.
    """
    cdef Py_ssize_t d = f.n_features, i, j
    cdef double inflation, deviation, own
    for j in range(d):
        if is_degenerate(f, covariance[j * d + j], mean[j], offset[j]):
            return True
    if precision_factor(d, covariance, work, factor) != 0:
        return True
    for j in range(d):
        # The variance of column j given the others is so many times smaller than the whole: rounding when it is some
        # eps of that. Given those before it alone, shares of 4e-6 and 1e-2 were seen beside an eigenvalue of 4e-8.
        inflation, deviation = 0, sqrt(covariance[j * d + j])
        for i in range(j, d):
            own = factor[j * d + i] * deviation
            inflation += own * own
        if not inflation * rounding_share(f) < 1:
            return True
    return False


cdef inline bint is_constant_column(const family_t *f, double mean, double offset, double pooled) noexcept nogil:
    """Whether the column is constant over all rows (its pooled variance is reg_covar or rounding): then a small
    variance does not make a component spurious."""
    return pooled - context_of(f).reg_covar <= 1e-9 * context_of(f).reg_covar + rounding_of(f, mean, offset)


cdef bint is_held_up(const family_t *f, const double *mean, const double *offset, const double *pooled,
                     const double *floors, double raised, double *covariance, double *work,
                     double *factor) noexcept nogil:
    """Whether only regularization keeps the covariance from being singular: an eigenvalue, relative to what was added
    to it (reg_covar + raised * floors), is below SPURIOUS_TIMES, or about rounding error. `work` holds 2 n_features
    doubles; covariance and factor are not changed."""
    cdef Py_ssize_t d = f.n_features, n_varying = 0, i, j
    cdef double share = max(SPURIOUS_SHARE, SPURIOUS_TIMES * rounding_share(f)), trace = 0, own
    cdef double *kept = work + d
    cdef bint fails
    for i in range(d):
        if factor[i * d + i] * factor[i * d + i] * covariance[i * d + i] * share > 1:
            return True
        if not is_constant_column(f, mean[i], offset[i], pooled[i]):
            own = 0
            for j in range(i, d):
                own += factor[i * d + j] * factor[i * d + j]
            trace += own * SPURIOUS_TIMES * (context_of(f).reg_covar + raised * floors[i])
            n_varying += 1
    # trace of the inverse, in units of what was added: its largest eigenvalue lies between trace / n_varying and trace
    if trace <= 1:
        return False
    if trace > <double> n_varying:
        return True
    for j in range(d):
        kept[j] = covariance[j * d + j]
        if not is_constant_column(f, mean[j], offset[j], pooled[j]):
            covariance[j * d + j] -= SPURIOUS_TIMES * (context_of(f).reg_covar + raised * floors[j])
    fails = precision_factor(d, covariance, work, factor) != 0
    for j in range(d):
        covariance[j * d + j] = kept[j]
    precision_factor(d, covariance, work, factor)
    return fails


cdef int factor_or_repair(const family_t *f, const double *mean, const double *offset, const double *pooled,
                          const double *floors, double *covariance, double *work, double *factor) noexcept nogil:
    """OUT factor of the precision. A covariance that is not positive definite is repaired first: `floors`, times powers
    of 10, are added to its diagonal. Returns status flags. `work` holds 2 n_features doubles."""
    cdef Py_ssize_t d = f.n_features, j
    cdef double step = 1, raised = 0
    cdef int status = MIXFAST_OK, _attempt
    for _attempt in range(MAX_REPAIRS + 1):
        if not factor_fails(f, mean, offset, covariance, work, factor):
            if is_held_up(f, mean, offset, pooled, floors, raised, covariance, work, factor):
                status |= MIXFAST_SPURIOUS_COMPONENT
            return status
        status = MIXFAST_REPAIRED_COVARIANCE
        for j in range(d):
            covariance[j * d + j] += step * floors[j]
        raised += step
        step *= 10
    return MIXFAST_NOT_FINITE


cdef int variance_or_repair(const family_t *f, double mean, double offset, double pooled, double floor,
                            double *variance, double *factor) noexcept nogil:
    cdef int status = MIXFAST_OK
    if is_degenerate(f, variance[0], mean, offset):
        variance[0] = floor if not variance[0] > 0 else variance[0] + floor
        status = MIXFAST_REPAIRED_COVARIANCE if isfinite(variance[0]) else MIXFAST_NOT_FINITE
    if status != MIXFAST_OK or variance[0] < SPURIOUS_TIMES * context_of(f).reg_covar:
        status |= MIXFAST_OK if is_constant_column(f, mean, offset, pooled) else MIXFAST_SPURIOUS_COMPONENT
    factor[0] = 1 / sqrt(variance[0])
    return status


cdef inline void offsets_of(Py_ssize_t d, const double *mean, const double *pivot, double *offset) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(d):
        offset[j] = mean[j] - pivot[j]


cdef void mean_offsets(const family_t *f, const totals_t *totals, const double *means, double *offset) noexcept nogil:
    """OUT offset[d]: root mean square, over components weighted by counts, of mean - pivot in each column."""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k, j
    cdef double total = 0, own
    for k in range(n_components):
        total += totals.counts[k]
    for j in range(d):
        offset[j] = 0
    for k in range(n_components):
        if totals.counts[k] > 0:
            for j in range(d):
                own = means[k * d + j] - totals.pivot[j]
                offset[j] += totals.counts[k] / total * own * own
    for j in range(d):
        offset[j] = sqrt(offset[j])


cdef void move_mean(const family_t *f, double mass, const double *pivot, const double *first, double *mean,
                    double *delta) noexcept nogil:
    """OUT delta = first / mass; mean: the centre that the kernels used, plus delta."""
    cdef Py_ssize_t j
    for j in range(f.n_features):
        delta[j] = first[j] / mass
        mean[j] = pivot[j] + as_packed(f, mean[j] - pivot[j]) + delta[j]


cdef void find_scatter(const family_t *f, double mass, double scale, const double *second, const double *delta,
                       double *scatter) noexcept nogil:
    """OUT scatter[d][d] = scale * (second / mass - delta delta') + reg_covar I: the mean squares about the mean. IN
    second: second moments about a point that is `delta` from the mean."""
    cdef Py_ssize_t d = f.n_features, i, j
    cdef double own
    for i in range(d):
        for j in range(i):
            own = second[in_triangle(i, j)] / mass
            scatter[i * d + j] = scatter[j * d + i] = scale * (own - delta[i] * delta[j])
        own = second[in_triangle(i, i)] / mass
        scatter[i * d + i] = scale * about_the_mean(f, own, delta[i]) + context_of(f).reg_covar


cdef int full_maximise(const family_t *f, const totals_t *totals, const double *masses, double *work,
                       double *params) noexcept nogil:
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, n_pairs = triangle(d), k
    cdef const double *second = totals.stats + n_components * d
    cdef double *means = params
    cdef double *covariances = means + n_components * d
    cdef double *delta = work
    cdef double *mean = delta + d
    cdef double *pooled = mean + d
    cdef double *floors = pooled + d
    for k in range(n_components):
        if totals.counts[k] > 0:
            move_mean(f, masses[k], totals.pivot, totals.stats + k * d, means + k * d, delta)
            find_scatter(f, masses[k], 1, second + k * n_pairs, delta, covariances + k * d * d)
    pooled_moments(f, totals.counts, means, covariances, d * d, d + 1, mean, pooled)
    offsets_of(d, mean, totals.pivot, delta)
    return repair_floors(f, d, mean, delta, pooled, floors)


cdef int full_maximise_component(const family_t *f, Py_ssize_t k, const totals_t *totals, const double *work,
                                 double *own_work, double *params) noexcept nogil:
    """Covariance and factor of component k; an empty component gets the pooled moments of all."""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, j
    cdef const double *mean = work + d
    cdef const double *pooled = mean + d
    cdef const double *floors = pooled + d
    cdef double *own_mean = params + k * d
    cdef double *covariance = params + n_components * d + k * d * d
    cdef double *factor = covariance + n_components * d * d
    cdef int status = MIXFAST_OK
    if totals.counts[k] == 0:
        status = MIXFAST_EMPTIED_COMPONENT
        memset(covariance, 0, d * d * sizeof(double))
        for j in range(d):
            own_mean[j] = mean[j]
            covariance[j * d + j] = pooled[j]
    offsets_of(d, own_mean, totals.pivot, own_work)
    return status | factor_or_repair(f, own_mean, own_work, pooled, floors, covariance, own_work + d, factor)


cdef int finish_tied(const family_t *f, const totals_t *totals, double *work, double *params) noexcept nogil:
    """Repair the common covariance if needed, factor its inverse, and set means of empty components. IN and OUT params;
    `work` holds 6 d doubles. Returns status flags."""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k, j
    cdef const double *counts = totals.counts
    cdef double *covariance = params + n_components * d
    cdef double *mean = work
    cdef double *pooled = mean + d
    cdef double *floors = pooled + d
    cdef double *offset = floors + d
    cdef int status
    pooled_moments(f, counts, params, covariance, 0, d + 1, mean, pooled)
    mean_offsets(f, totals, params, offset)
    status = repair_floors(f, d, mean, offset, pooled, floors)
    if status != MIXFAST_OK:
        return status
    for k in range(n_components):
        if counts[k] == 0:
            status |= MIXFAST_EMPTIED_COMPONENT
            for j in range(d):
                params[k * d + j] = mean[j]
    return status | factor_or_repair(f, mean, offset, pooled, floors, covariance, offset + d, covariance + d * d)


cdef int diagonal_maximise(const family_t *f, const totals_t *totals, const double *masses, double *work,
                           double *params) noexcept nogil:
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k, j, i
    cdef const double *second = totals.stats + n_components * d
    cdef double *means = params
    cdef double *variances = means + n_components * d
    cdef double *precisions = variances + n_components * d
    cdef double *delta = work
    cdef double *mean = delta + d
    cdef double *pooled = mean + d
    cdef double *floors = pooled + d
    cdef int status
    for k in range(n_components):
        if totals.counts[k] > 0:
            move_mean(f, masses[k], totals.pivot, totals.stats + k * d, means + k * d, delta)
            for j in range(d):
                i = k * d + j
                variances[i] = about_the_mean(f, second[i] / masses[k], delta[j]) + context_of(f).reg_covar
    pooled_moments(f, totals.counts, means, variances, d, 1, mean, pooled)
    offsets_of(d, mean, totals.pivot, delta)
    status = repair_floors(f, d, mean, delta, pooled, floors)
    if status != MIXFAST_OK:
        return status
    for k in range(n_components):
        if totals.counts[k] == 0:
            status |= MIXFAST_EMPTIED_COMPONENT
        for j in range(d):
            i = k * d + j
            if totals.counts[k] == 0:
                means[i], variances[i] = mean[j], pooled[j]
            status |= variance_or_repair(f, means[i], means[i] - totals.pivot[j], pooled[j], floors[j],
                                         variances + i, precisions + i)
    return status


cdef int spherical_maximise(const family_t *f, const totals_t *totals, const double *masses, double *work,
                            double *params) noexcept nogil:
    """The variance of a component is the average of what the diagonal family would give its columns."""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k, j
    cdef const double *second = totals.stats + n_components * d
    cdef double *means = params
    cdef double *variances = means + n_components * d
    cdef double *precisions = variances + n_components
    cdef double *delta = work
    cdef double *mean = delta + d
    cdef double *pooled = mean + d
    cdef double *floors = pooled + d
    cdef double average = 0, square, offset, total
    cdef int status
    for k in range(n_components):
        if totals.counts[k] > 0:
            move_mean(f, masses[k], totals.pivot, totals.stats + k * d, means + k * d, delta)
            total = 0
            for j in range(d):
                total += about_the_mean(f, second[k * d + j] / masses[k], delta[j])
            variances[k] = total / <double> d + context_of(f).reg_covar
    pooled_moments(f, totals.counts, means, variances, 1, 0, mean, pooled)
    for j in range(d):
        average += pooled[j] / <double> d
    square = root_mean_square(d, mean, NULL)
    offset = root_mean_square(d, mean, totals.pivot)
    status = repair_floors(f, 1, &square, &offset, &average, floors)
    if status != MIXFAST_OK:
        return status
    for k in range(n_components):
        if totals.counts[k] == 0:
            status |= MIXFAST_EMPTIED_COMPONENT
            variances[k] = average
            for j in range(d):
                means[k * d + j] = mean[j]
        status |= variance_or_repair(f, root_mean_square(d, means + k * d, NULL),
                                     root_mean_square(d, means + k * d, totals.pivot), average, floors[0],
                                     variances + k, precisions + k)
    return status


cdef double root_mean_square(Py_ssize_t d, const double *mean, const double *pivot) noexcept nogil:
    """Root mean square over columns of mean - pivot; a NULL pivot is the origin."""
    cdef Py_ssize_t j
    cdef double total = 0, own
    for j in range(d):
        own = mean[j] if pivot == NULL else mean[j] - pivot[j]
        total += own * own / <double> d
    return sqrt(total)


# ---- shapes ---------------------------------------------------------------------------------------------------------

# Covariances of a shape (`_shapes.pyx`) are stored as a matrix for each component, even if components share them.
# Statistics and tables of diagonal shapes are those of the diagonal structure.

cdef void shape_diagonal_determinants(const family_t *f, const double *params, double *out) noexcept nogil:
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features
    scale_determinants(f, params + n_components * d * (1 + d), d * d, d + 1, out)


cdef void shape_diagonal_tables(const family_t *f, const double *params, double *work, void *tables) noexcept nogil:
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features
    scale_tables(f, params + n_components * d * (1 + d), d * d, d + 1, work, tables)


cdef void find_scatters(const family_t *f, const totals_t *totals, const double *masses, const double *divisors,
                        double *delta, double *means, double *scatters) noexcept nogil:
    """scatters[K][d][d] about the new means, over `divisors`; zero where a component has no rows."""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k, i
    cdef bint is_diagonal = context_of(f).shape.is_diagonal
    cdef Py_ssize_t n_second = d if is_diagonal else triangle(d)
    cdef const double *second
    cdef double *scatter
    cdef double scale, own
    memset(scatters, 0, n_components * d * d * sizeof(double))
    for k in range(n_components):
        if totals.counts[k] > 0:
            move_mean(f, masses[k], totals.pivot, totals.stats + k * d, means + k * d, delta)
            second, scatter = totals.stats + n_components * d + k * n_second, scatters + k * d * d
            scale = masses[k] / divisors[k]
            if not is_diagonal:
                find_scatter(f, masses[k], scale, second, delta, scatter)
                continue
            for i in range(d):
                own = second[i] / masses[k]
                scatter[i * d + i] = scale * about_the_mean(f, own, delta[i]) + context_of(f).reg_covar


cdef void shrink_means(const family_t *f, const double *counts, double *means, double *scatters) noexcept nogil:
    """Means and scatters at the posterior mode. A normal prior of the means acts as a row of weight `shrinkage` at the
    prior's mean, in each component. IN and OUT means[K][d], scatters[K][d][d]."""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k, i, j
    cdef const double *prior = context_of(f).prior
    cdef const double *mean = prior + 2
    cdef double kappa = prior[0], share
    cdef double *own
    for k in range(n_components):
        if not kappa + counts[k] > 0:
            continue
        own, share = means + k * d, kappa / (kappa + counts[k])
        for i in range(d):
            for j in range(d):
                if i == j or not context_of(f).shape.is_diagonal:
                    scatters[(k * d + i) * d + j] += share * (own[i] - mean[i]) * (own[j] - mean[j])
        for i in range(d):
            own[i] += share * (mean[i] - own[i])


cdef void add_prior(const family_t *f, const double *counts, double *covariances) noexcept nogil:
    """IN and OUT covariances: maximum-likelihood estimates S become the posterior mode (Fraley & Raftery, Journal of
    Classification 24 (2007), doi:10.1007/s00357-007-0004-5): (scale + c S) / (c + the prior's exponent), c the
    count."""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, size = d * d, k, i, j
    cdef shape_t shape = context_of(f).shape
    cdef const double *prior = context_of(f).prior
    cdef const double *scale = prior + 2 + d
    cdef double times = <double> d if shape.is_round else 1
    cdef double total = 0, own, divisor
    for k in range(n_components):
        total += counts[k]
    for k in range(n_components):
        own = times * (counts[k] if shape.has_own_volumes else total)
        divisor = own + prior[1] + times * <double> (1 if shape.has_own_volumes else n_components)
        divisor += 2 if shape.is_diagonal else <double> d + 1
        for i in range(d):
            for j in range(d):
                if i == j or not shape.is_diagonal:
                    covariances[k * size + i * d + j] = (scale[i * d + j] + own * covariances[k * size + i * d + j]
                                                         ) / divisor


cdef double shape_log_prior(const family_t *f, const double *params) noexcept nogil:
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, size = d * d, k, i, j, m
    cdef shape_t shape = context_of(f).shape
    cdef const double *prior = context_of(f).prior
    cdef const double *scale = prior + 2 + d
    cdef const double *factors = params + n_components * d * (1 + d)
    cdef const double *factor
    cdef double total = 0, along, log_scales
    for k in range(n_components):
        factor = factors + k * size
        log_scales = log_diagonal(d, factor)
        total += log_scales
        for j in range(d):
            along = 0
            for i in range(j + 1):
                along += factor[i * d + j] * (params[k * d + i] - prior[2 + i])
            total -= 0.5 * prior[0] * along * along
        if k > 0 and not shape.has_own_volumes:
            continue
        if shape.is_round:
            total += (prior[1] + 2) * log(factor[0]) - 0.5 * scale[0] * factor[0] * factor[0]
            continue
        total += (prior[1] + (2 if shape.is_diagonal else <double> d + 1)) * log_scales
        for m in range(d):  # tr(scale U U')
            for i in range(m + 1):
                for j in range(m + 1):
                    if i == j or not shape.is_diagonal:
                        total -= 0.5 * scale[i * d + j] * factor[i * d + m] * factor[j * d + m]
    return total


cdef bint shape_factor_fails(const family_t *f, const totals_t *totals, const double *mean, const double *covariance,
                             double *work, double *factor) noexcept nogil:
    """`factor_fails` for a component of a shape. `work` holds 2 n_features doubles; the first n_features become
    offsets."""
    cdef Py_ssize_t d = f.n_features, j
    offsets_of(d, mean, totals.pivot, work)
    if not context_of(f).shape.is_diagonal:
        return factor_fails(f, mean, work, covariance, work + d, factor)
    memset(factor, 0, d * d * sizeof(double))
    for j in range(d):
        if is_degenerate(f, covariance[j * (d + 1)], mean[j], work[j]):
            return True
        factor[j * (d + 1)] = 1 / sqrt(covariance[j * (d + 1)])
    return False


cdef bint shape_is_held_up(const family_t *f, const double *mean, const double *offset, const double *pooled,
                           const double *floors, double raised, double *covariance, double *work,
                           double *factor) noexcept nogil:
    cdef Py_ssize_t d = f.n_features, j, m
    cdef double wide = 0, thin = 0
    if not context_of(f).shape.is_diagonal:
        for j in range(d):
            if not is_constant_column(f, mean[j], offset[j], pooled[j]):
                wide += covariance[j * (d + 1)] / pooled[j]
                for m in range(j, d):
                    thin += pooled[j] * factor[j * d + m] * factor[j * d + m]
        return wide * thin > FLATTEST or is_held_up(f, mean, offset, pooled, floors, raised, covariance, work, factor)
    for j in range(d):
        if (covariance[j * (d + 1)] < SPURIOUS_TIMES * (context_of(f).reg_covar + raised * floors[j])
                and not is_constant_column(f, mean[j], offset[j], pooled[j])):
            return True
    return False


cdef int maximise_shape(const family_t *f, const totals_t *totals, const double *masses, const double *divisors,
                        double *work, double *params) noexcept nogil:
    """The M-step of a shape. `divisors`[K]: the scatters are divided by these. If a covariance of the shape is
    singular, the repair is added to the scatters of the components that cause it and the shape is fitted again, so that
    repaired covariances have the shape too."""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, size = d * d, k, j
    cdef double *means = params
    cdef double *covariances = means + n_components * d
    cdef double *factors = covariances + n_components * size
    cdef double *delta = work
    cdef double *mean = delta + d
    cdef double *pooled = mean + d
    cdef double *floors = pooled + d
    cdef double *own_work = floors + d
    cdef double *shares = own_work + 3 * d
    cdef double *raised = shares + n_components
    cdef double *scatters = raised + n_components
    cdef scatters_t found
    cdef double step = 1, total = 0
    cdef int status, _attempt
    cdef bint fails
    find_scatters(f, totals, masses, divisors, delta, means, scatters)
    pooled_moments(f, totals.counts, means, scatters, size, d + 1, mean, pooled)
    offsets_of(d, mean, totals.pivot, delta)
    status = repair_floors(f, d, mean, delta, pooled, floors)
    if status != MIXFAST_OK:
        return status
    for k in range(n_components):
        total += totals.counts[k]
    for k in range(n_components):
        # where all rows are noise, no component has one
        shares[k], raised[k] = totals.counts[k] / total if total > 0 else 1.0 / <double> n_components, 0
        if totals.counts[k] == 0:
            status |= MIXFAST_EMPTIED_COMPONENT
            for j in range(d):
                means[k * d + j], scatters[k * size + j * (d + 1)] = mean[j], pooled[j]
    if context_of(f).prior != NULL:
        shrink_means(f, totals.counts, means, scatters)
    found.n_components, found.n_features, found.shares, found.factors = n_components, d, shares, factors
    found.matrices, found.work = covariances, scatters + n_components * size
    for _attempt in range(MAX_REPAIRS + 1):
        for k in range(n_components):
            memcpy(covariances + k * size, scatters + k * size, size * sizeof(double))
            for j in range(d):
                covariances[k * size + j * (d + 1)] += raised[k] * floors[j]
        fails = context_of(f).shape.fit(&found) != 0 or is_not_limited(f, &found)
        if context_of(f).prior != NULL and not fails:
            add_prior(f, totals.counts, covariances)
        for k in range(n_components):
            fails = fails or is_not_positive(d, covariances + k * size)
        if not fails:
            # the last factors start the search for axes, so they must not be overwritten before it ends
            for k in range(n_components):
                fails |= shape_factor_fails(f, totals, means + k * d, covariances + k * size, own_work,
                                            found.work + k * size)
        if not fails:
            break
        status |= MIXFAST_REPAIRED_COVARIANCE
        fails = False
        for k in range(n_components):
            memcpy(covariances, scatters + k * size, size * sizeof(double))
            for j in range(d):
                covariances[j * (d + 1)] += raised[k] * floors[j]
            if shape_factor_fails(f, totals, means + k * d, covariances, own_work, found.work):
                raised[k] += step
                fails = True
        if not fails:
            for k in range(n_components):
                raised[k] += step
        step *= 10
    else:
        return status | MIXFAST_NOT_FINITE
    memcpy(factors, found.work, n_components * size * sizeof(double))
    for k in range(n_components):
        offsets_of(d, means + k * d, totals.pivot, own_work)
        if shape_is_held_up(f, means + k * d, own_work, pooled, floors, raised[k], covariances + k * size,
                            own_work + d, factors + k * size):
            status |= MIXFAST_SPURIOUS_COMPONENT
    return status


cdef bint is_not_limited(const family_t *f, const scatters_t *found) noexcept nogil:
    """Clip eigenvalues of the found covariances to the limit of their ratio, if there is one. Returns whether that
    fails (all eigenvalues are 0)."""
    cdef double ratio = context_of(f).eigenvalue_ratio
    return ratio > 0 and limit_ratio(found, ratio, context_of(f).shape.is_diagonal) != 0


cdef bint is_not_positive(Py_ssize_t d, const double *covariance) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(d):
        if not 0 < covariance[j * (d + 1)] or not isfinite(covariance[j * (d + 1)]):
            return True
    return False


cdef int shape_maximise(const family_t *f, const totals_t *totals, const double *masses, double *work,
                        double *params) noexcept nogil:
    return maximise_shape(f, totals, masses, masses, work, params)


# ---- moments about other points -------------------------------------------------------------------------------------

# With shift = last centre - centre: first' = first + mass shift, and
# second' = second + first shift' + shift first' + mass shift shift'.

cdef double shift_of(const family_t *f, const move_t *move, Py_ssize_t k, Py_ssize_t j) noexcept nogil:
    """last centre - centre of component k in column j, with both means rounded as in the kernels' tables."""
    cdef Py_ssize_t i = k * f.n_features + j
    return (move.last_pivot[j] - move.pivot[j]) + (as_packed(f, move.last_params[i] - move.last_pivot[j])
                                                   - as_packed(f, move.params[i] - move.pivot[j]))


cdef void shift_first(const family_t *f, const double *masses, const move_t *move, double *first) noexcept nogil:
    cdef Py_ssize_t k, j
    for k in range(f.n_components):
        for j in range(f.n_features):
            first[k * f.n_features + j] += masses[k] * shift_of(f, move, k, j)


cdef void shift_matrices(const family_t *f, const double *masses, const move_t *move, Py_ssize_t step,
                         double *stats) noexcept nogil:
    """Move second moments of all components; those of component k begin at second[k * step]."""
    cdef Py_ssize_t d = f.n_features, k, i, j
    cdef const double *first
    cdef double *second
    cdef double shift, other
    for k in range(f.n_components):
        first, second = stats + k * d, stats + f.n_components * d + k * step
        for i in range(d):
            shift = shift_of(f, move, k, i)
            for j in range(i + 1):
                other = shift_of(f, move, k, j)
                second[in_triangle(i, j)] += shift * first[j] + (first[i] + masses[k] * shift) * other
    shift_first(f, masses, move, stats)


cdef void recentre_matrices(const family_t *f, const double *masses, const move_t *move, double *stats) noexcept nogil:
    shift_matrices(f, masses, move, triangle(f.n_features), stats)


cdef void recentre_pooled(const family_t *f, const double *masses, const move_t *move, double *stats) noexcept nogil:
    """`recentre` for a single matrix of second moments, the sum over all components, each about its own mean."""
    shift_matrices(f, masses, move, 0, stats)


cdef void recentre_squares(const family_t *f, const double *masses, const move_t *move, double *stats) noexcept nogil:
    cdef Py_ssize_t d = f.n_features, k, i
    cdef double *second = stats + f.n_components * d
    cdef double shift
    for k in range(f.n_components):
        for i in range(k * d, (k + 1) * d):
            shift = shift_of(f, move, k, i - k * d)
            second[i] += (2 * stats[i] + masses[k] * shift) * shift
    shift_first(f, masses, move, stats)


# ---- unconstrain and constrain --------------------------------------------------------------------------------------

# Free numbers: the means, then the logarithms of the square roots of precisions; for matrices the factors U by rows:
# the logarithm of the diagonal, and the others as shares of the diagonal, which no unit of a column changes.

cdef int unconstrain_factors(Py_ssize_t n_factors, Py_ssize_t d, const double *factors, double *out) noexcept nogil:
    cdef Py_ssize_t k, i, j
    cdef const double *row
    for k in range(n_factors):
        for i in range(d):
            row = factors + (k * d + i) * d
            out[0] = log(row[i])
            out += 1
            for j in range(i + 1, d):
                out[0] = row[j] / row[i]
                out += 1
    return 0


cdef int constrain_factors(Py_ssize_t n_factors, Py_ssize_t d, const double *numbers, double *work,
                           double *covariances, double *factors) noexcept nogil:
    """Nonzero where a covariance is not finite."""
    cdef Py_ssize_t k, i, j
    cdef double *factor
    cdef double *covariance
    for k in range(n_factors):
        factor = factors + k * d * d
        covariance = covariances + k * d * d
        for i in range(d):
            for j in range(i):
                factor[i * d + j] = 0
            factor[i * d + i] = exp(numbers[0])
            numbers += 1
            for j in range(i + 1, d):
                factor[i * d + j] = numbers[0] * factor[i * d + i]
                numbers += 1
        covariance_of_factor(d, factor, work, covariance)
        for i in range(d):
            if not (0 < covariance[i * d + i] and isfinite(covariance[i * d + i]) and isfinite(factor[i * d + i])):
                return 1
    return 0


cdef int unconstrain_scales(Py_ssize_t n, const double *scales, double *out) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        out[i] = log(scales[i])
    return 0


cdef int constrain_scales(Py_ssize_t n, const double *numbers, double *variances, double *scales) noexcept nogil:
    """Nonzero where a variance is not finite."""
    cdef Py_ssize_t i
    for i in range(n):
        scales[i] = exp(numbers[i])
        variances[i] = 1 / (scales[i] * scales[i])
        if not (0 < variances[i] and isfinite(variances[i]) and isfinite(scales[i])):
            return 1
    return 0


cdef int full_unconstrain(const family_t *f, const double *params, double *numbers) noexcept nogil:
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features
    memcpy(numbers, params, n_components * d * sizeof(double))
    return unconstrain_factors(n_components, d, params + n_components * (d + d * d), numbers + n_components * d)


cdef int full_constrain(const family_t *f, const double *numbers, double *work, double *params) noexcept nogil:
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features
    memcpy(params, numbers, n_components * d * sizeof(double))
    return constrain_factors(n_components, d, numbers + n_components * d, work, params + n_components * d,
                             params + n_components * (d + d * d))


cdef int tied_unconstrain(const family_t *f, const double *params, double *numbers) noexcept nogil:
    cdef Py_ssize_t d = f.n_features, n_means = f.n_components * f.n_features
    memcpy(numbers, params, n_means * sizeof(double))
    return unconstrain_factors(1, d, params + n_means + d * d, numbers + n_means)


cdef int tied_constrain(const family_t *f, const double *numbers, double *work, double *params) noexcept nogil:
    cdef Py_ssize_t d = f.n_features, n_means = f.n_components * f.n_features
    memcpy(params, numbers, n_means * sizeof(double))
    return constrain_factors(1, d, numbers + n_means, work, params + n_means, params + n_means + d * d)


cdef int scales_unconstrain(const family_t *f, Py_ssize_t n_scales, const double *params,
                            double *numbers) noexcept nogil:
    cdef Py_ssize_t n_means = f.n_components * f.n_features
    memcpy(numbers, params, n_means * sizeof(double))
    return unconstrain_scales(n_scales, params + n_means + n_scales, numbers + n_means)


cdef int scales_constrain(const family_t *f, Py_ssize_t n_scales, const double *numbers, double *params) noexcept nogil:
    cdef Py_ssize_t n_means = f.n_components * f.n_features
    memcpy(params, numbers, n_means * sizeof(double))
    return constrain_scales(n_scales, numbers + n_means, params + n_means, params + n_means + n_scales)


cdef int diagonal_unconstrain(const family_t *f, const double *params, double *numbers) noexcept nogil:
    return scales_unconstrain(f, f.n_components * f.n_features, params, numbers)


cdef int diagonal_constrain(const family_t *f, const double *numbers, double *work, double *params) noexcept nogil:
    return scales_constrain(f, f.n_components * f.n_features, numbers, params)


cdef int spherical_unconstrain(const family_t *f, const double *params, double *numbers) noexcept nogil:
    return scales_unconstrain(f, f.n_components, params, numbers)


cdef int spherical_constrain(const family_t *f, const double *numbers, double *work, double *params) noexcept nogil:
    return scales_constrain(f, f.n_components, numbers, params)


cdef int shape_diagonal_unconstrain(const family_t *f, const double *params, double *numbers) noexcept nogil:
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k, j
    cdef const double *factors = params + n_components * d * (1 + d)
    memcpy(numbers, params, n_components * d * sizeof(double))
    for k in range(n_components):
        for j in range(d):
            numbers[(n_components + k) * d + j] = log(factors[k * d * d + j * (d + 1)])
    return 0


cdef int shape_constrain(const family_t *f, const double *numbers, double *work, double *params) noexcept nogil:
    """OUT params: covariances of the shape that are nearest to those that the numbers give, with equal weights of the
    components. Covariances that have the shape already come back unchanged."""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k, j, i
    cdef double *covariances = params + n_components * d
    cdef double *factors = covariances + n_components * d * d
    cdef double *shares = work
    cdef scatters_t found
    if not context_of(f).shape.is_diagonal:
        if full_constrain(f, numbers, work, params) != 0:
            return 1
    else:
        memcpy(params, numbers, n_components * d * sizeof(double))
        memset(covariances, 0, 2 * n_components * d * d * sizeof(double))
        for k in range(n_components):
            for j in range(d):
                i = k * d * d + j * (d + 1)
                if constrain_scales(1, numbers + (n_components + k) * d + j, covariances + i, factors + i) != 0:
                    return 1
    for k in range(n_components):
        shares[k] = 1 / <double> n_components
    found.n_components, found.n_features, found.shares, found.factors = n_components, d, shares, factors
    found.matrices, found.work = covariances, shares + n_components
    if context_of(f).shape.fit(&found) != 0 or is_not_limited(f, &found):
        return 1
    for k in range(n_components):
        if is_not_positive(d, covariances + k * d * d):
            return 1
        if precision_factor(d, covariances + k * d * d, work, factors + k * d * d) != 0:
            return 1
    return 0


# ---- families -------------------------------------------------------------------------------------------------------

cdef void observe_equally(const family_t *f, Py_ssize_t k, Py_ssize_t n_there, double log_weight, const double *params,
                          double log_root, double log_root_left, observed_t *out) noexcept nogil:
    """Of Gaussians: the density of the imputed row has that of what is missing at its conditional mean, too much."""
    out.rise = 0.5 * <double> (f.n_features - n_there) * log(2 * M_PI) - log_root_left
    out.share = out.spread = 1
    out.lost = out.log_lost = 0


cdef family_t *new_family(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa, double reg_covar,
                          size_t context_bytes) except NULL:
    """A family with a context of so many bytes, the first of which are a covariances_t."""
    cdef int level = resolve_isa(isa)
    if n_components < 1 or n_features < 1 or real_bytes not in (4, 8):
        raise ValueError(f"cannot bind {n_components} components and {n_features} features of {real_bytes} bytes: "
                         "there must be some of each, float32 or float64")
    cdef family_t *f = new_struct(context_bytes)
    cdef covariances_t *context = <covariances_t *> f.context
    context.reg_covar, context.kept_bytes = reg_covar, real_bytes
    context.missing.observe = observe_equally
    context.rows = mixfast_select_rows(level, real_bytes)
    context.gaussian = mixfast_select_gaussian(level, real_bytes)
    f.n_components, f.n_features = n_components, n_features
    f.real_bytes, f.isa = real_bytes, level
    return f


# Sizes and verbs of a structure; a family adds what it has beside means and covariances.

cdef void size_moments(family_t *f) noexcept:
    """Matrices of second moments, one for each component."""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features
    f.n_stats = n_components * (d + triangle(d))
    f.n_tables = n_components * (1 + 2 * d + context_of(f).gaussian.packed_triangle_size(d))
    f.n_scratch_columns = d + 1
    f.n_work = max(n_components * (1 + 2 * d), 4 * d)
    f.gathers_rows = d > SMALL
    f.flops_per_row = n_components * (2 * d * (d + 3) + 40)


cdef void make_full(family_t *f, structure_t *structure) noexcept:
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features
    size_moments(f)
    f.n_params = n_components * (d + 2 * d * d)
    structure.n_free = n_components * (d + triangle(d))
    f.n_own_work = 3 * d
    f.flops_per_component = d * d * d
    f.maximise_component = full_maximise_component
    structure.log_determinants, structure.fill_tables = full_determinants, full_tables
    structure.maximise, structure.recentre = full_maximise, recentre_matrices
    structure.unconstrain, structure.constrain = full_unconstrain, full_constrain
    structure.unwhiten = full_unwhiten


cdef void size_squares(family_t *f) noexcept:
    """Second moments of columns."""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features
    f.n_stats = 2 * n_components * d
    f.n_tables = n_components * (1 + 3 * d)
    f.n_scratch_columns = d + 1
    f.n_work = n_components * (1 + 3 * d) + 4 * d
    f.flops_per_row = n_components * (10 * d + 40)


cdef void make_diagonal(family_t *f, structure_t *structure) noexcept:
    size_squares(f)
    f.n_params = 3 * f.n_components * f.n_features
    structure.n_free = 2 * f.n_components * f.n_features
    structure.log_determinants, structure.fill_tables = diagonal_determinants, diagonal_tables
    structure.maximise, structure.recentre = diagonal_maximise, recentre_squares
    structure.unconstrain, structure.constrain = diagonal_unconstrain, diagonal_constrain
    structure.unwhiten = diagonal_unwhiten


cdef void make_spherical(family_t *f, structure_t *structure) noexcept:
    size_squares(f)
    f.n_params = f.n_components * (f.n_features + 2)
    structure.n_free = f.n_components * (f.n_features + 1)
    structure.log_determinants, structure.fill_tables = spherical_determinants, spherical_tables
    structure.maximise, structure.recentre = spherical_maximise, recentre_squares
    structure.unconstrain, structure.constrain = spherical_unconstrain, spherical_constrain
    structure.unwhiten = spherical_unwhiten


cdef void make_shaped(family_t *f, structure_t *structure, shape_t shape) noexcept:
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features
    (<covariances_t *> f.context).shape = shape
    if shape.is_diagonal:
        size_squares(f)
        structure.n_free = 2 * n_components * d
        structure.log_determinants, structure.fill_tables = shape_diagonal_determinants, shape_diagonal_tables
        structure.recentre = recentre_squares
        structure.unconstrain = shape_diagonal_unconstrain
    else:
        size_moments(f)
        structure.n_free = n_components * (d + triangle(d))
        structure.log_determinants, structure.fill_tables = full_determinants, full_tables
        structure.recentre = recentre_matrices
        structure.unconstrain = full_unconstrain
    f.n_params = n_components * (d + 2 * d * d)
    f.n_work = max(f.n_work, 7 * d + n_components * (2 + d * d) + shape_work(n_components, d))
    structure.maximise, structure.constrain = shape_maximise, shape_constrain
    structure.unwhiten = full_unwhiten
