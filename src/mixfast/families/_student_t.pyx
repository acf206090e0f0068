"""The verbs of the Student-t families; means and covariances are in `_covariances.pyx`, the loops over rows in
`_kernels/student_t.c`.

Parameters: those of the Gaussian family of the same structure, with scale matrices for covariances, and degrees[K].
Statistics are laid out in `_kernels/student_t.h`.

The M-step. Statistics are gathered at some means, scales and degrees of freedom n. With D the squared distance of a row
there, and D' and n' those at any others,

    log(n' + D') <= log s + log(n + D) + (n' + D') / (s (n + D)) - 1      for every s > 0,

with equality for s = 1 where nothing changes. In the place of the logarithm in the log density, weighted by the
responsibilities as they are, the right-hand side makes a lower bound of the log-likelihood's gain, which touches it at
the present parameters and depends on the rows through sums. Its maximum over everything at once, s too, has moments
with the weights w = 1 / (n + D), divided by the sum of these weights, and degrees of freedom with

    h(n') - h(n' + d) = log mean(w) - mean(log w),    h(x) = log(x / 2) - psi(x / 2).

EM (Peel & McLachlan, Statistics and Computing 10 (2000), doi:10.1023/A:1008981510081) divides by the number of rows and
has h(n + d) there: a shorter step to the same limits. The division alone is parameter-expanded EM (Liu, Rubin & Wu,
Biometrika 85 (1998), doi:10.1093/biomet/85.4.755). Where the scale is shared, s is common to the components while the
scale is found, and each has its own while its degrees of freedom are; r, the mean of D' / d with the weights w, then
differs from 1, and the equation gets more terms (`excess`).

Missing entries (`_missing.pyx`). A row of which p columns are observed has (n + p) / 2 before its logarithm. It is
bounded with s (n' + p) / (n + p) for s, so that its weight becomes (n + p) w whatever n' is, and, with E and C the
conditional mean and covariance of what is missing, its term in the second moment (n + p) w (E - m')(E - m')' + C. The
rest of the bound depends on n' by phi_p(n') = log Gamma((n' + p) / 2) - (n' + p) / 2 log((n' + p) / 2), whose slope is
-(1 + h(n' + p)) / 2. As phi_p - phi_d is convex it lies above its tangent at n: so the equation for n' is that above
with (n + p) w for w, but that h(n + p) - h(n + d) is added to each row's -log w. EM (Liu & Rubin, Statistica Sinica 5
(1995); Wang, Zhang, Luo & Wei, Computational Statistics and Data Analysis 45 (2004)) has the tangent of phi_p itself.
Iterations until the mean log density rises by less than 1e-9, 2,000 x 5 of five degrees of freedom of which 10, 30 and
50 % are missing: EM 31, 39, 54; this 25, 31, 44; phi_p itself, with sums for each p, 24, 28, 37. Sums are stored with
(n + p) / (n + d) times what a complete row of the distance weighs.
"""

from libc.float cimport DBL_MAX, DBL_MIN
from libc.math cimport INFINITY, M_LN2, M_PI, exp, fabs, isfinite, isinf, log, log1p
from libc.string cimport memset

from mixfast.engine._capsule cimport capsule_of, give_free_numbers
from mixfast.engine._family cimport (
    MIXFAST_NOT_FINITE,
    MIXFAST_OK,
    MIXFAST_SPURIOUS_COMPONENT,
    family_t,
    stream_t,
    totals_t,
)
from mixfast.engine._kernels cimport mixfast_select_student_t, student_t_kernels_t
from mixfast.engine._linalg cimport log_diagonal, precision_of_factor
from mixfast.engine._special cimport digamma_rise, lgamma_rise, log_minus_digamma, trigamma_minus_reciprocal
from mixfast.engine._triangle cimport in_triangle, triangle
from mixfast.families._covariances cimport (
    covariances_t,
    factor_tables,
    finish_tied,
    make_diagonal,
    make_full,
    make_shaped,
    make_spherical,
    maximise_shape,
    move_mean,
    move_t,
    new_family,
    observed_t,
    pooled_moments,
    real_at,
    recentre_matrices,
    size_moments,
    structure_of,
    structure_t,
    tied_constrain,
    tied_unconstrain,
    tied_unwhiten,
)
from mixfast.families._shapes cimport shape_named, shape_t

cdef double LEAST_DEGREES = 1e-2
cdef double MOST_DEGREES = 1e8  # the log density of a row at distance D is D^2 / 4e8 above a Gaussian's

cdef double LOCATED = DBL_MAX
# A component is a spike, and spurious, where it has fewer degrees of freedom and in a column a smaller share of the
# variance of all components: it sits on a row or two, while its tails take others, whatever its scale, so that neither
# their number nor the shape of the scale says anything. Its likelihood has no bound as long as the
# degrees of freedom are below some d K / (n - K). 60 x 5 noise, ten draws: spikes have shares of 1e-23 to 2e-8 with
# 0.04 to 0.17 degrees (spherical, K=2, on its way when max_iter ended it), full and tied components that are none 4e-4
# and 2.5 at least.
cdef double SPIKE_DEGREES = 0.5
cdef double SPIKE_SHARE = 1e-6

DEGREES_LIMITS = (LEAST_DEGREES, MOST_DEGREES)

ctypedef struct context_t:
    covariances_t covariances  # the first member: `_covariances.pyx` sees no other
    Py_ssize_t n_groups        # n_components: own degrees of freedom; 1: shared by all; 0: given
    double start               # degrees of freedom after a start, or the given ones
    Py_ssize_t row_step        # squared scale of component k in column j: covariances[k * row_step + j * column_step]
    Py_ssize_t column_step


cdef inline const context_t *context_of(const family_t *f) noexcept nogil:
    return <const context_t *> f.context


cdef inline Py_ssize_t degrees_at(const family_t *f) noexcept nogil:
    """Index of the degrees of freedom among the parameters. At a start they are markers, with which rows have weights
    that do not depend on scales: infinity if nothing is known; LOCATED if means are known but scales were measured
    about zero. Such scales have no digits left for means 2e7 standard deviations from zero (700 in float32;
    `about_the_mean`), and row weights from them would drive degrees of freedom to the upper limit, which EM leaves only
    in thousands of steps."""
    return f.n_params - f.n_components


# ---- prepare --------------------------------------------------------------------------------------------------------

cdef void nearest_means(const family_t *f, const double *means, double *pivot) noexcept nogil:
    """OUT pivot[d]: in each column the mean nearest to zero. Subtracting it costs no coordinate its digits. The mean of
    the mixture would: a component at a far outlier moves it away from all other rows."""
    cdef Py_ssize_t k, j, d = f.n_features
    for j in range(d):
        pivot[j] = means[j]
        for k in range(1, f.n_components):
            if fabs(means[k * d + j]) < fabs(pivot[j]):
                pivot[j] = means[k * d + j]


cdef void prepare(const family_t *f, const double *log_weights, const double *params, double *work, double *pivot,
                  void *tables) noexcept nogil:
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k, j
    cdef const double *degrees = params + degrees_at(f)
    cdef const structure_t *structure = &context_of(f).covariances.structure
    cdef double *constant = work
    cdef double *exponent = constant + n_components
    cdef double *factor = exponent + n_components
    cdef double *gaussian = factor + n_components
    cdef double *mean = gaussian + n_components
    structure.log_determinants(f, params, constant)
    for k in range(n_components):
        constant[k] += (log_weights[k] + lgamma_rise(0.5 * degrees[k], 0.5 * <double> d)
                        - 0.5 * <double> d * log(M_PI * degrees[k]))
        exponent[k] = 0.5 * (degrees[k] + <double> d)
        factor[k] = -2 / degrees[k]
    context_of(f).covariances.rows.round_to_real(3 * n_components, work, tables)
    nearest_means(f, params, pivot)
    memset(gaussian, 0, n_components * sizeof(double))
    for k in range(n_components):
        for j in range(d):
            mean[k * d + j] = params[k * d + j] - pivot[j]
    structure.fill_tables(f, params, gaussian, real_at(f, tables, 3 * n_components))


# ---- degrees of freedom ---------------------------------------------------------------------------------------------

# Coefficients of the equation for the degrees of freedom of a group of components that share them.
ctypedef struct group_t:
    Py_ssize_t first, last
    double d
    const double *counts
    const double *gaps         # log mean(w) - mean(log w)
    const double *ratios       # r
    double total               # of the counts


cdef double gap_of(double count, double mass, double far, double log_far) noexcept nogil:
    """log mean(w) - mean(log w) >= 0, from the sums of n w (mass), 1 - n w (far) and -log(n w) (log_far). These sums
    keep their relative precision for large n, so that the difference is precise enough."""
    far /= count
    return max((log1p(-far) if far < 0.5 else log(mass / count)) + log_far / count, 0.0)


cdef double excess(const group_t *g, double log_degrees, double *slope) noexcept nogil:
    """log(h(n) - h(n + d)) less the logarithm of what it should be, and its slope, by log n. Nearly a straight line,
    for the difference goes from 1 / n to d / n^2."""
    cdef double n = exp(log_degrees), wanted = 0, wanted_slope = 0, share, e, m, given
    cdef Py_ssize_t k
    for k in range(g.first, g.last):
        if g.counts[k] > 0:
            share = g.counts[k] / g.total
            m = n + g.d * g.ratios[k]
            e = g.d * (1 - g.ratios[k]) / m
            wanted += share * (g.gaps[k] + e - log1p(e))
            wanted_slope -= share * e * e / ((1 + e) * m)
    given = log_minus_digamma(0.5 * n) - log_minus_digamma(0.5 * (n + g.d))
    if not wanted > 0:
        slope[0] = 0
        return INFINITY
    slope[0] = n * (0.5 * (trigamma_minus_reciprocal(0.5 * (n + g.d)) - trigamma_minus_reciprocal(0.5 * n)) / given
                    - wanted_slope / wanted)
    return log(given / wanted)


cdef double solve(const group_t *g, double degrees) noexcept nogil:
    """Newton's method in log n, from the present degrees of freedom, safeguarded by a bracket of the root. The first
    bracket is wider than the limits, so the root may be at a limit or beyond."""
    cdef double lowest = log(LEAST_DEGREES), highest = log(MOST_DEGREES), low = lowest - 1, high = highest + 1
    cdef double t = min(max(log(degrees), lowest), highest), step, value, slope = 0
    cdef int _trial
    for _trial in range(100):  # three or four are usual, forty halvings are the most
        value = excess(g, t, &slope)
        if value > 0:
            low = t
        else:
            high = t
        if low == highest or high == lowest:
            break
        step = value / slope
        t -= step
        if fabs(step) < 1e-9:  # the next would be of 1e-18
            break
        if not low < t < high:
            t = 0.5 * (low + high)
        t = min(max(t, lowest), highest)
    return min(max(exp(t), LEAST_DEGREES), MOST_DEGREES)


cdef int update_degrees(const family_t *f, const totals_t *totals, double *work, double *degrees) noexcept nogil:
    """IN and OUT degrees[K]: new degrees of freedom. IN work: gaps[K] (workspace) | ratios[K]. Returns status flags."""
    cdef const context_t *context = context_of(f)
    cdef Py_ssize_t n_components = f.n_components, k, i
    cdef const double *mass = totals.stats + f.n_stats - 3 * n_components
    cdef const double *far = mass + n_components
    cdef const double *log_far = far + n_components
    cdef double *gaps = work
    cdef double start
    cdef group_t group
    if isinf(degrees[0]) or degrees[0] == LOCATED or context.n_groups == 0:
        start = LOCATED if isinf(degrees[0]) else context.start
        for k in range(n_components):
            degrees[k] = start
        return MIXFAST_OK
    for k in range(n_components):
        if totals.counts[k] > 0:
            gaps[k] = gap_of(totals.counts[k], mass[k], far[k], log_far[k])
            if not isfinite(gaps[k]):
                return MIXFAST_NOT_FINITE
    group.d = <double> f.n_features
    group.counts, group.gaps, group.ratios = totals.counts, gaps, work + n_components
    for i in range(context.n_groups):
        group.first = i * n_components // context.n_groups
        group.last = (i + 1) * n_components // context.n_groups
        group.total = 0
        for k in range(group.first, group.last):
            group.total += totals.counts[k]
        if group.total > 0:
            degrees[group.first] = solve(&group, degrees[group.first])
        for k in range(group.first + 1, group.last):
            degrees[k] = degrees[group.first]
    return MIXFAST_OK


# ---- maximise -------------------------------------------------------------------------------------------------------

cdef int maximise(const family_t *f, const totals_t *totals, double *work, double *params) noexcept nogil:
    cdef Py_ssize_t n_components = f.n_components, k
    cdef const double *mass = totals.stats + f.n_stats - 3 * n_components
    cdef double *gaps = work + f.n_work - 2 * n_components
    cdef double *ratios = gaps + n_components
    cdef int status
    for k in range(n_components):
        ratios[k] = 1
        if totals.counts[k] > 0 and not mass[k] > 0:
            return MIXFAST_NOT_FINITE  # the distances of all its rows overflow
    status = context_of(f).covariances.structure.maximise(f, totals, mass, work, params)
    if status & MIXFAST_NOT_FINITE:
        return status
    status |= update_degrees(f, totals, gaps, params + degrees_at(f))
    return status | (MIXFAST_SPURIOUS_COMPONENT if has_spike(f, totals.counts, work, params) else MIXFAST_OK)


cdef bint has_spike(const family_t *f, const double *counts, double *work, const double *params) noexcept nogil:
    """Whether a component is a spike (see the top of this file). work: 3 n_features doubles; the last 2 n_features get
    the means and variances of the columns again, which `maximise_component` reads."""
    cdef const context_t *context = context_of(f)
    cdef Py_ssize_t d = f.n_features, k, j
    cdef const double *squares = params + f.n_components * d
    cdef const double *degrees = params + degrees_at(f)
    cdef double *mean = work + d
    cdef double *pooled = mean + d
    cdef bint has_few = False
    for k in range(f.n_components):
        has_few |= counts[k] > 0 and degrees[k] < SPIKE_DEGREES
    if not has_few:
        return False
    pooled_moments(f, counts, params, squares, context.row_step, context.column_step, mean, pooled)
    for k in range(f.n_components):
        if counts[k] > 0 and degrees[k] < SPIKE_DEGREES:
            for j in range(d):
                if squares[k * context.row_step + j * context.column_step] < SPIKE_SHARE * pooled[j]:
                    return True
    return False


cdef double scatter(const family_t *f, const totals_t *totals, double mass, Py_ssize_t k, Py_ssize_t i,
                    Py_ssize_t j) noexcept nogil:
    """The sum of w (x - m)(x - m)' of component k about the new mean m, at (i, j), j <= i."""
    cdef Py_ssize_t d = f.n_features
    cdef const double *first = totals.stats + k * d
    cdef const double *second = totals.stats + f.n_components * d + k * triangle(d)
    return second[in_triangle(i, j)] - first[i] / mass * first[j]


cdef double boost_of(const family_t *f, const double *counts, const double *masses,
                     const double *degrees) noexcept nogil:
    """1 / s, for a scale that all components share, with the same s."""
    cdef Py_ssize_t k
    cdef double largest = 0, weighted = 0, total = 0, share
    for k in range(f.n_components):
        largest = max(largest, degrees[k])
    for k in range(f.n_components):
        if counts[k] > 0:
            share = 1 if degrees[k] == largest else degrees[k] / largest  # they may be infinite
            weighted += share * (1 + <double> f.n_features / degrees[k]) * masses[k]
            total += share * counts[k]
    return total / weighted


cdef int tied_maximise(const family_t *f, const totals_t *totals, const double *masses, double *work,
                       double *params) noexcept nogil:
    """The M-step of a shared scale matrix: means, scale, and the ratios r of all components (see above)."""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k, i, j
    cdef const double *counts = totals.counts
    cdef const double *degrees = params + degrees_at(f)
    cdef double *means = params
    cdef double *covariance = means + n_components * d
    cdef double *factor = covariance + d * d
    cdef double *delta = work
    cdef double *precision = work + 4 * d
    cdef double *ratios = work + f.n_work - n_components
    cdef double total, share, boost
    cdef int status
    boost = boost_of(f, counts, masses, degrees)
    total = 0
    for k in range(n_components):
        total += counts[k]
    memset(covariance, 0, d * d * sizeof(double))
    for k in range(n_components):
        if counts[k] > 0:
            share = boost * (1 + <double> d / degrees[k]) / total
            for i in range(d):
                for j in range(i + 1):
                    covariance[i * d + j] += share * scatter(f, totals, masses[k], k, i, j)
            move_mean(f, masses[k], totals.pivot, totals.stats + k * d, means + k * d, delta)
    for i in range(d):
        covariance[i * d + i] += context_of(f).covariances.reg_covar
        for j in range(i):
            covariance[j * d + i] = covariance[i * d + j]
    status = finish_tied(f, totals, work, params)
    precision_of_factor(d, factor, precision)
    for k in range(n_components):
        if counts[k] > 0:
            ratios[k] = trace_of_scatter(f, totals, masses[k], k, precision) / (<double> d * masses[k])
            if not isfinite(ratios[k]):  # nor is a precision, and degrees of freedom would be those of NaN
                return MIXFAST_NOT_FINITE
    return status


cdef double trace_of_scatter(const family_t *f, const totals_t *totals, double mass, Py_ssize_t k,
                             const double *precision) noexcept nogil:
    cdef Py_ssize_t d = f.n_features, i, j
    cdef double trace = 0
    for i in range(d):
        for j in range(i):
            trace += 2 * precision[i * d + j] * scatter(f, totals, mass, k, i, j)
        trace += precision[i * d + i] * scatter(f, totals, mass, k, i, i)
    return trace


cdef int shape_maximise(const family_t *f, const totals_t *totals, const double *masses, double *work,
                        double *params) noexcept nogil:
    """The M-step of a shape with equal volumes: pooled scatters are divided by the numbers of rows, as in
    `tied_maximise`."""
    cdef Py_ssize_t n_components = f.n_components, d = f.n_features, k, j
    cdef const double *degrees = params + degrees_at(f)
    cdef const double *factors = params + n_components * d * (1 + d)
    cdef bint is_diagonal = context_of(f).covariances.shape.is_diagonal
    cdef double *ratios = work + f.n_work - n_components
    cdef double *divisors = ratios - 2 * n_components - d * d
    cdef double *precision = divisors + n_components
    cdef double boost = boost_of(f, totals.counts, masses, degrees), trace, own
    cdef int status
    for k in range(n_components):
        divisors[k] = totals.counts[k] / (boost * (1 + <double> d / degrees[k]))
    status = maximise_shape(f, totals, masses, divisors, work, params)
    if status & MIXFAST_NOT_FINITE:
        return status
    for k in range(n_components):
        if totals.counts[k] > 0:
            trace = 0
            if is_diagonal:
                for j in range(d):
                    own = factors[k * d * d + j * (d + 1)]
                    trace += own * own * column_scatter(f, totals, masses[k], k, j)
            else:
                precision_of_factor(d, factors + k * d * d, precision)
                trace = trace_of_scatter(f, totals, masses[k], k, precision)
            ratios[k] = trace / (<double> d * masses[k])
            if not isfinite(ratios[k]):
                return MIXFAST_NOT_FINITE
    return status


cdef double column_scatter(const family_t *f, const totals_t *totals, double mass, Py_ssize_t k,
                           Py_ssize_t j) noexcept nogil:
    """`scatter` for structures with second moments of columns: that of column i."""
    cdef Py_ssize_t i = k * f.n_features + j
    return totals.stats[f.n_components * f.n_features + i] - totals.stats[i] / mass * totals.stats[i]


# ---- moments about other points -------------------------------------------------------------------------------------

cdef void recentre(const family_t *f, const double *counts, const double *last_pivot, const double *last_params,
                   const double *pivot, const double *params, double *stats) noexcept nogil:
    """`recentre`: moves moments to the new means. Row weights (n + d) / (n + D) stay those of the old parameters; as
    sums are stored with n / (n + D) and the M-step multiplies by a factor of the present n, they are rescaled to the
    new n."""
    cdef Py_ssize_t n_components = f.n_components, n_own = (f.n_stats - 3 * n_components) // n_components, d, k, i
    cdef double *mass = stats + f.n_stats - 3 * n_components
    cdef double *far = mass + n_components
    cdef double *log_far = far + n_components
    cdef double *first = stats
    cdef double *second = stats + n_components * f.n_features
    cdef double inverse, last_inverse, excess_of_factor
    cdef move_t move
    d = f.n_features
    n_own -= d  # second moments
    for k in range(n_components):
        inverse = 1 / params[degrees_at(f) + k]
        last_inverse = 1 / last_params[degrees_at(f) + k]
        excess_of_factor = <double> d * (last_inverse - inverse) / (1 + <double> d * inverse)
        far[k] -= excess_of_factor * mass[k]
        log_far[k] -= counts[k] * log1p(excess_of_factor)
        mass[k] += excess_of_factor * mass[k]
        for i in range(d):
            first[k * d + i] += excess_of_factor * first[k * d + i]
        for i in range(n_own):
            second[k * n_own + i] += excess_of_factor * second[k * n_own + i]
    move.last_pivot, move.last_params, move.pivot, move.params = last_pivot, last_params, pivot, params
    context_of(f).covariances.structure.recentre(f, mass, &move, stats)


# ---- missing entries ------------------------------------------------------------------------------------------------

cdef void observe(const family_t *f, Py_ssize_t k, Py_ssize_t n_there, double log_weight, const double *params,
                  double log_root, double log_root_left, observed_t *out) noexcept nogil:
    """See the top of this file. With n = infinity, at a start, all rows weigh the same."""
    cdef double d = f.n_features, p = n_there, n = params[degrees_at(f) + k]
    out.lost = (d - p) / (n + d)
    out.share = 1 - out.lost
    out.spread = 1 / (1 + d / n)
    out.log_lost = digamma_rise(0.5 * (n + p), 0.5 * (d - p)) if isfinite(n) else 0
    out.rise = -log_root_left + out.lost * (log_root + log_root_left)
    if out.lost > 0:
        out.rise += (out.lost * log_weight + lgamma_rise(0.5 * n, 0.5 * p) - out.share * lgamma_rise(0.5 * n, 0.5 * d)
                     - 0.5 * (p - out.share * d) * log(M_PI * n))


# ---- draws ----------------------------------------------------------------------------------------------------------

cdef void draw_row(const family_t *f, Py_ssize_t k, const double *params, stream_t *stream,
                   double *row) noexcept nogil:
    """Normal variates over the root of a chi-squared one, which has twice the Gamma variate of half the degrees, over
    these. Few degrees of freedom round it to zero: it is then the smallest number."""
    cdef Py_ssize_t j
    cdef double degrees = params[degrees_at(f) + k], log_chi2, stretch
    for j in range(f.n_features):
        row[j] = stream.normal(stream)
    log_chi2 = max(M_LN2 + stream.log_gamma(stream, 0.5 * degrees), log(DBL_MIN))
    stretch = exp(0.5 * (log(degrees) - log_chi2))
    for j in range(f.n_features):
        row[j] *= stretch
    context_of(f).covariances.structure.unwhiten(f, k, params, row)


# ---- unconstrain and constrain --------------------------------------------------------------------------------------

cdef int unconstrain(const family_t *f, const double *params, double *numbers) noexcept nogil:
    """OUT numbers: those of the structure, then the logarithm of the degrees of freedom of each group."""
    cdef Py_ssize_t n_groups = context_of(f).n_groups, i
    cdef const double *degrees = params + degrees_at(f)
    for i in range(n_groups):
        numbers[f.free_numbers.n_free - n_groups + i] = log(degrees[i * f.n_components // n_groups])
    return context_of(f).covariances.structure.unconstrain(f, params, numbers)


cdef int constrain(const family_t *f, const double *numbers, double *work, double *params) noexcept nogil:
    cdef Py_ssize_t n_groups = context_of(f).n_groups, k
    cdef const double *own = numbers + f.free_numbers.n_free - n_groups
    cdef double *degrees = params + degrees_at(f)
    for k in range(f.n_components):
        if n_groups == 0:
            degrees[k] = context_of(f).start
        else:
            degrees[k] = min(max(exp(own[k * n_groups // f.n_components]), LEAST_DEGREES), MOST_DEGREES)
    return context_of(f).covariances.structure.constrain(f, numbers, work, params)


# ---- tied -----------------------------------------------------------------------------------------------------------

cdef void tied_determinants(const family_t *f, const double *params, double *out) noexcept nogil:
    cdef Py_ssize_t d = f.n_features, k
    for k in range(f.n_components):
        out[k] = log_diagonal(d, params + f.n_components * d + d * d)


cdef void tied_tables(const family_t *f, const double *params, double *work, void *tables) noexcept nogil:
    """OUT tables: those of full covariances, K copies. The linear forms of tied Gaussians (`_kernels/gaussian.h`)
    cannot be used, since the weight of a row differs between components."""
    factor_tables(f, params + f.n_components * f.n_features + f.n_features * f.n_features, 0, work, tables)


cdef void make_tied(family_t *f, structure_t *structure) noexcept:
    cdef Py_ssize_t n_means = f.n_components * f.n_features, d = f.n_features
    size_moments(f)
    f.n_params = n_means + 2 * d * d
    structure.n_free = n_means + triangle(d)
    f.n_work = max(f.n_work, 6 * d, 4 * d + d * d)
    structure.log_determinants, structure.fill_tables = tied_determinants, tied_tables
    structure.maximise, structure.recentre = tied_maximise, recentre_matrices
    structure.unconstrain, structure.constrain = tied_unconstrain, tied_constrain
    structure.unwhiten = tied_unwhiten


# ---- bind -----------------------------------------------------------------------------------------------------------

cdef family_t *new_student_t(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa,
                             double reg_covar, Py_ssize_t n_groups, double start) except NULL:
    if n_groups not in (0, 1, n_components) or not LEAST_DEGREES <= start <= MOST_DEGREES:
        raise ValueError(f"cannot bind {n_groups} groups of {n_components} components with {start} degrees of freedom")
    cdef family_t *f = new_family(n_components, n_features, real_bytes, isa, reg_covar, sizeof(context_t))
    cdef context_t *context = <context_t *> f.context
    context.n_groups, context.start = n_groups, start
    return f


cdef object finish(family_t *f, Py_ssize_t row_step, Py_ssize_t column_step):
    """Add the verbs and sizes of degrees of freedom to a structure. Returns the capsule."""
    cdef Py_ssize_t n_components = f.n_components
    cdef context_t *context = <context_t *> f.context
    context.row_step, context.column_step = row_step, column_step
    context.covariances.missing.observe = observe
    f.n_params += n_components
    f.n_stats += 3 * n_components
    f.n_tables += 3 * n_components
    f.n_work = max(f.n_work, 2 * f.n_features) + 3 * n_components
    f.n_scratch_columns = 1 + max(f.n_scratch_columns, 2)
    f.flops_per_row += f.flops_per_row // 2 + 80 * n_components
    f.prepare, f.maximise, f.recentre, f.draw_row = prepare, maximise, recentre, draw_row
    f.further_start_passes = 1  # the first whose weights draw means and scales away from outliers
    give_free_numbers(f, structure_of(f).n_free + context_of(f).n_groups, unconstrain, constrain)
    return capsule_of(f)


cdef object finish_matrices(family_t *f, Py_ssize_t row_step):
    cdef const student_t_kernels_t *kernels = mixfast_select_student_t(f.isa, f.real_bytes)
    f.log_density, f.accumulate = kernels.full_log_density, kernels.full_accumulate
    (<context_t *> f.context).covariances.missing.accumulate = kernels.full_accumulate_observed
    return finish(f, row_step, f.n_features + 1)


cdef object finish_columns(family_t *f, Py_ssize_t row_step, Py_ssize_t column_step):
    cdef const student_t_kernels_t *kernels = mixfast_select_student_t(f.isa, f.real_bytes)
    f.log_density, f.accumulate = kernels.diagonal_log_density, kernels.diagonal_accumulate
    (<context_t *> f.context).covariances.missing.accumulate = kernels.diagonal_accumulate_observed
    return finish(f, row_step, column_step)


def bind_full(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa, double reg_covar,
              Py_ssize_t n_groups, double start):
    """The capsule. n_groups: K for own degrees of freedom, 1 for shared ones, 0 for given ones."""
    cdef family_t *f = new_student_t(n_components, n_features, real_bytes, isa, reg_covar, n_groups, start)
    make_full(f, structure_of(f))
    return finish_matrices(f, n_features * n_features)


def bind_tied(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa, double reg_covar,
              Py_ssize_t n_groups, double start):
    cdef family_t *f = new_student_t(n_components, n_features, real_bytes, isa, reg_covar, n_groups, start)
    make_tied(f, structure_of(f))
    return finish_matrices(f, 0)


def bind_diagonal(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa, double reg_covar,
                  Py_ssize_t n_groups, double start):
    cdef family_t *f = new_student_t(n_components, n_features, real_bytes, isa, reg_covar, n_groups, start)
    make_diagonal(f, structure_of(f))
    return finish_columns(f, n_features, 1)


def bind_spherical(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa, double reg_covar,
                   Py_ssize_t n_groups, double start):
    cdef family_t *f = new_student_t(n_components, n_features, real_bytes, isa, reg_covar, n_groups, start)
    make_spherical(f, structure_of(f))
    return finish_columns(f, 1, 0)


def bind_shape(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa, double reg_covar,
               Py_ssize_t n_groups, double start, str name):
    cdef family_t *f = new_student_t(n_components, n_features, real_bytes, isa, reg_covar, n_groups, start)
    cdef shape_t shape = shape_named(name)
    make_shaped(f, structure_of(f), shape)
    if not shape.has_own_volumes:
        structure_of(f).maximise = shape_maximise
        f.n_work += n_components + n_features * n_features
    if shape.is_diagonal:
        return finish_columns(f, n_features * n_features, n_features + 1)
    return finish_matrices(f, n_features * n_features)
