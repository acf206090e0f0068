"""The verbs of experts, distributions of responses given linear predictors. Loops over rows are in
`_kernels/experts.c`.

Parameters, of K components, R responses with E predictors in all, and p columns: coefficients[K][E][p],
intercepts[K][E], dispersions[K][R], degrees[K][R], and the frame: a pivot[p] of x, the stage[1], floors[R] (lower
bounds of variances), the pivot[q] of the columns that the gate alone sees. Intercepts are about the pivot, eta =
intercept + coefficients . (x - pivot) + offset, so that columns far from 0 lose no digits. The intercepts of the gate
are about the origin, but the sums for its M-step are about the pivot.

The M-step is one step of Newton's method, b += H^-1 (g - alpha b), of each component by itself, or of all together
where they share coefficients. Where log densities are quadratic in the predictor (Gaussian, and Student-t with its
weights) that is the maximum, weighted least squares; elsewhere it may overshoot (`may_overshoot`).

A start goes through stages, which say what the M-step makes of the statistics of a pass:
NEW: the pass was made with all predictors 0; the M-step sets intercepts and the pivot.
BEGUN: the pass was made with intercepts alone; the M-step makes the first step of Newton's method, which for quadratic
log densities is least squares, and sets the floors.
KNOWN: later steps of a start and all iterations of a fit.
GIVEN: parameters without a frame, of a fitted model; the M-step makes a step, sets the floors, and moves the pivot to
the mean.
"""

from libc.float cimport DBL_MIN
from libc.math cimport M_PI, exp, fabs, isfinite, lgamma, log, sqrt
from libc.string cimport memcpy, memset

from mixfast.engine._capsule cimport capsule_of, give_free_numbers, new_struct
from mixfast.engine._family cimport (
    MIXFAST_CAPPED_PARAMETER,
    MIXFAST_EMPTIED_COMPONENT,
    MIXFAST_NOT_FINITE,
    MIXFAST_OK,
    MIXFAST_SPURIOUS_COMPONENT,
    family_t,
    totals_t,
)
from mixfast.engine._isa cimport resolve_isa
from mixfast.engine._kernels cimport (
    MIXFAST_BINOMIAL_EXPERT,
    MIXFAST_EXPERT_KINDS,
    MIXFAST_EXPERT_NUMBERS,
    MIXFAST_EXPERT_SUMS,
    MIXFAST_GAMMA_EXPERT,
    MIXFAST_GAUSSIAN_EXPERT,
    MIXFAST_MULTINOMIAL_EXPERT,
    MIXFAST_NEGATIVE_BINOMIAL_EXPERT,
    MIXFAST_POISSON_EXPERT,
    MIXFAST_STUDENT_T_EXPERT,
    experts_kernels_t,
    experts_t,
    mixfast_select_experts,
    response_t,
)
from mixfast.engine._linalg cimport scaled_cholesky, solve_lower, solve_upper
from mixfast.engine._special cimport lgamma_rise, log_minus_digamma
from mixfast.engine._triangle cimport in_symmetric, triangle
from mixfast.families._gamma cimport LARGEST_SHAPE, shape_of

#: The numbers that `_kernels/experts.h` gives to experts.
KINDS = {
    "gaussian": MIXFAST_GAUSSIAN_EXPERT,
    "student_t": MIXFAST_STUDENT_T_EXPERT,
    "poisson": MIXFAST_POISSON_EXPERT,
    "binomial": MIXFAST_BINOMIAL_EXPERT,
    "gamma": MIXFAST_GAMMA_EXPERT,
    "negative_binomial": MIXFAST_NEGATIVE_BINOMIAL_EXPERT,
    "multinomial": MIXFAST_MULTINOMIAL_EXPERT,
}

cdef enum:
    NEW = 0
    BEGUN = 1
    GIVEN = 2
    KNOWN = 3
    # whether a coefficient is 0, one for each component, or the same for all components
    LEFT_OUT = 0
    OWN = 1
    SHARED = 2
    FURTHER_STEPS = 7  # of Newton's method at a start, after the two passes that every start makes

# A step is shortened where the root mean square change of a predictor would be more: a factor of 7 in a mean with a
# logarithmic link.
cdef double LONGEST_STEP = 2
# Variances are at least this share of the residual variance of a single regression. With 1e-6 two curves with a noise
# of 1/1000 of their distance were taken for components that fit a few rows exactly: ten starts kept them in 3 to 6 of
# 10 draws of 60 rows, now in all.
cdef double LEAST_SHARE = 1e-12
# Means of counts, and shares of categories, are at least this where intercepts begin.
cdef double LEAST_MEAN = 1e-10
# Bounds of theta of the negative binomial distribution, whose variance is mean + mean^2 / theta.
cdef double LEAST_THETA = 1e-4
cdef double LARGEST_THETA = 1e8
# The information of a coefficient, per unit of weight in its component, is taken to be at least this share of the
# largest of the same column over the components: below, gradients are rounding errors, and steps of 10^10 were seen. It
# is smaller than the bound by which `scaled_cholesky` finds linearly dependent columns.
cdef double LEAST_INFORMATION = 1e-14
# The information of an intercept is the sum over rows of responsibility times variance, p (1 - p) or the mean of a
# count. Below this, in units of the least weight of a row, responses are all but certain (separated rows), and
# coefficients would grow without end.
cdef double LEAST_CHANCE = 0.01
cdef double LEAST_DEGREES = 0.1
cdef double MOST_DEGREES = 1e6

ctypedef struct context_t:
    experts_t experts            # the first member: kernels see no other
    double alpha                 # ridge penalty
    bint has_intercept
    bint centres                 # whether intercepts are about a pivot; one that is held is about the origin
    bint is_common               # components share dispersions
    bint estimates_degrees
    double degrees               # the given ones, or those of a start
    bint corrects_variance       # variances are multiplied by n / (n - number of fitted coefficients of a component)
    Py_ssize_t n_blocks          # of information matrices, of all responses
    response_t *responses        # [R]
    unsigned char *use           # [R][1 + p]
    unsigned char *held          # [K][E][1 + p], whether coefficients stay as they are; or NULL


cdef inline const context_t *context_of(const family_t *f) noexcept nogil:
    return <const context_t *> f.context


cdef inline unsigned char role_of(const context_t *context, const response_t *response, Py_ssize_t k, Py_ssize_t e,
                                  Py_ssize_t i) noexcept nogil:
    """What a step makes of the intercept, i = 0, or coefficient i - 1 of predictor e of component k: nothing where it
    is held, as where it is left out. What components share is held in all of them or in none."""
    cdef Py_ssize_t width = 1 + context.experts.n_columns
    if context.held != NULL and context.held[(k * context.experts.n_etas + response.first_eta + e) * width + i]:
        return LEFT_OUT
    return context.use[(response - context.experts.responses) * width + i]


# ---- where parameters and statistics are ----------------------------------------------------------------------------

# Views into the flat arrays.
ctypedef struct params_t:
    double *coefficients
    double *intercepts
    double *dispersions
    double *degrees
    double *pivot
    double *stage
    double *floors
    double *pivot_beside


cdef inline params_t view_params(const family_t *f, const double *params) noexcept nogil:
    cdef const experts_t *all = &context_of(f).experts
    cdef Py_ssize_t K = f.n_components
    cdef params_t view
    view.coefficients = <double *> params
    view.intercepts = view.coefficients + K * all.n_etas * all.n_columns
    view.dispersions = view.intercepts + K * all.n_etas
    view.degrees = view.dispersions + K * all.n_responses
    view.pivot = view.degrees + K * all.n_responses
    view.stage = view.pivot + all.n_columns
    view.floors = view.stage + 1
    view.pivot_beside = view.floors + all.n_responses
    return view


cdef inline const double *sums_of_columns(const family_t *f, const totals_t *totals) noexcept nogil:
    """[n_columns + n_beside], about the pivot"""
    return totals.stats + f.n_stats - context_of(f).experts.n_columns - context_of(f).experts.n_beside


# The statistics of one component and response.
ctypedef struct sums_t:
    const double *gradient       # [m][1 + p]
    const double *information    # the blocks
    const double *sums


cdef inline sums_t sums_at(const family_t *f, const double *stats, Py_ssize_t k, Py_ssize_t j) noexcept nogil:
    cdef const context_t *context = context_of(f)
    cdef const experts_t *all = &context.experts
    cdef Py_ssize_t K = f.n_components, width = 1 + all.n_columns, size = triangle(width), before = 0, i
    cdef sums_t found
    for i in range(j):
        before += triangle(all.responses[i].n_etas)
    found.gradient = stats + (k * all.n_etas + all.responses[j].first_eta) * width
    stats += K * all.n_etas * width
    found.information = stats + (k * context.n_blocks + before) * size
    stats += K * context.n_blocks * size
    found.sums = stats + (k * all.n_responses + j) * MIXFAST_EXPERT_SUMS
    return found


cdef inline double information_at(const double *information, Py_ssize_t width, Py_ssize_t e, Py_ssize_t i,
                                  Py_ssize_t g, Py_ssize_t j) noexcept nogil:
    """The information of coefficient i of predictor e and coefficient j of predictor g."""
    cdef double value = information[in_symmetric(e, g) * triangle(width) + in_symmetric(i, j)]
    return value if e == g else -value


# Work space of a component for a step of Newton's method: the arrays in `work`, in their order.
ctypedef struct system_t:
    double *matrix       # [n_own][n_own]
    double *beside       # [n_own][n_shared]
    double *right        # [n_own]
    double *scale        # [n_own]
    double *step         # [m (1 + p)], of all coefficients; 0 for those that do not move
    double *product      # [m (1 + p)], the information times the step


cdef Py_ssize_t room_of_system(Py_ssize_t n) noexcept nogil:
    return 2 * n * n + 4 * n


cdef system_t system_at(double *work, Py_ssize_t n, Py_ssize_t k) noexcept nogil:
    cdef system_t s
    s.matrix = work + k * room_of_system(n)
    s.beside = s.matrix + n * n
    s.right = s.beside + n * n
    s.scale = s.right + n
    s.step = s.scale + n
    s.product = s.step + n
    return s


# ---- kinds ----------------------------------------------------------------------------------------------------------

# Parameters of a component beside its coefficients.
ctypedef struct place_t:
    double dispersion
    double degrees


# The functions of one kind of expert that are not loops over rows.
ctypedef struct kind_t:
    bint is_quadratic            # log densities are quadratic in the predictor: a step is the maximum
    bint has_degrees             # of freedom, which may be estimated
    double blank_dispersion      # at stage NEW
    # Gradients and information from the kernels are those of the log density times this.
    double (*unit)(double dispersion) noexcept nogil
    # OUT numbers[MIXFAST_EXPERT_NUMBERS], zero on entry: the constants of a component that `_kernels/experts.c` reads.
    void (*fill_numbers)(double dispersion, double degrees, bint is_begun, double *numbers) noexcept nogil
    # The first M-step of a component. IN sums of a pass with predictors of 0; returns the intercept; INOUT dispersion,
    # 1 on entry.
    double (*begin)(double score, double spread, double count, const double *sums, double *dispersion) noexcept nogil
    # The first intercepts of all predictors of response j at once; NULL where `begin` finds each by itself.
    void (*begin_together)(const family_t *f, const totals_t *totals, Py_ssize_t j, double *intercepts) noexcept nogil
    # The M-step of the dispersions of response j, `share` being how much of the Newton step was taken. Returns a
    # status.
    int (*update)(const family_t *f, const totals_t *totals, Py_ssize_t j, double share, double *work,
                  params_t *own) noexcept nogil
    # For dispersions that follow from a mean loss: the sum of the loss over rows after that share of the step.
    double (*loss)(const sums_t *found, double share, const system_t *s, Py_ssize_t n) noexcept nogil
    # The dispersion that a mean loss gives, at least `floor`; flags are added to the status.
    double (*settle)(double loss, double floor, int *status) noexcept nogil
    # What `recentre` makes of sums[MIXFAST_EXPERT_SUMS] of a component. `crossed` is the step of all its coefficients
    # times the gradients before and after it, `to` and `at` are the place where it is going and where it was.
    void (*move)(double count, double crossed, const place_t *at, const place_t *to, double *sums) noexcept nogil
    # Bring an extrapolated dispersion into its domain; returns nonzero where it is not finite.
    int (*constrain)(double floor, double *dispersion) noexcept nogil


cdef kind_t[MIXFAST_EXPERT_KINDS] KINDS_OF_EXPERTS


cdef inline const kind_t *kind_of(const response_t *response) noexcept nogil:
    return &KINDS_OF_EXPERTS[response.kind]


cdef double no_unit(double dispersion) noexcept nogil:
    return 1


cdef double unit_of_scale(double dispersion) noexcept nogil:
    return dispersion * dispersion


cdef double unit_of_shape(double dispersion) noexcept nogil:
    return 1 / dispersion


cdef void fill_nothing(double dispersion, double degrees, bint is_begun, double *numbers) noexcept nogil:
    return


cdef void fill_gaussian(double dispersion, double degrees, bint is_begun, double *numbers) noexcept nogil:
    numbers[0], numbers[1] = 1 / (dispersion * dispersion), -0.5 * log(2 * M_PI) - log(dispersion)


cdef void fill_student_t(double dispersion, double degrees, bint is_begun, double *numbers) noexcept nogil:
    numbers[0] = 1 / (dispersion * dispersion) if is_begun else 0
    numbers[1] = lgamma_rise(0.5 * degrees, 0.5) - 0.5 * log(M_PI * degrees) - log(dispersion)
    numbers[2] = degrees
    numbers[3] = degrees + 1 if is_begun else degrees


cdef void fill_gamma(double dispersion, double degrees, bint is_begun, double *numbers) noexcept nogil:
    numbers[0], numbers[1] = dispersion, dispersion * log(dispersion) - lgamma(dispersion)


cdef void fill_negative_binomial(double dispersion, double degrees, bint is_begun, double *numbers) noexcept nogil:
    numbers[0], numbers[1], numbers[2] = dispersion, log(dispersion), is_begun


cdef double begin_location(double score, double spread, double count, const double *sums,
                           double *dispersion) noexcept nogil:
    cdef double intercept = score / spread
    dispersion[0] = sqrt(max(sums[0] - score * intercept, 0.0) / count)
    return intercept


cdef double begin_counts(double score, double spread, double count, const double *sums,
                         double *dispersion) noexcept nogil:
    return log(max((score + spread) / spread, LEAST_MEAN))


cdef double begin_share(double score, double spread, double count, const double *sums,
                        double *dispersion) noexcept nogil:
    cdef double share = min(max(0.5 + score / (4 * spread), LEAST_MEAN), 1 - LEAST_MEAN)
    return log(share / (1 - share))


cdef double begin_gamma(double score, double spread, double count, const double *sums,
                        double *dispersion) noexcept nogil:
    cdef double left = spread - count - sums[0]  # the sum of log y - offset
    cdef double intercept = log(spread / (spread - score))
    cdef int nothing = 0
    dispersion[0] = settle_shape(spread * exp(-intercept) / count - 1 - left / count + intercept, 0, &nothing)
    return intercept


cdef double begin_nothing(double score, double spread, double count, const double *sums,
                          double *dispersion) noexcept nogil:
    """The `begin` of multinomial experts, whose intercepts `begin_together` then replaces."""
    return 0


cdef double squares_after(const sums_t *found, double share, const system_t *s, Py_ssize_t n) noexcept nogil:
    """The sum of squared residuals after the step, exactly: its gradient is -2 times that of the log density."""
    cdef double loss = found.sums[0]
    cdef Py_ssize_t i
    for i in range(n):
        loss += share * s.step[i] * (share * s.product[i] - 2 * found.gradient[i])
    return max(loss, 0.0)


cdef double gap_after(const sums_t *found, double share, const system_t *s, Py_ssize_t n) noexcept nogil:
    """The sum of y / mean - 1 - log(y / mean) after the step, to second order; at a fixed point of EM it is exact."""
    cdef double loss = found.sums[0]
    cdef Py_ssize_t i
    for i in range(n):
        loss += share * s.step[i] * (0.5 * share * s.product[i] - found.gradient[i])
    return max(loss, 0.0)


cdef double settle_scale(double loss, double floor, int *status) noexcept nogil:
    if loss < floor:
        status[0] |= MIXFAST_CAPPED_PARAMETER | MIXFAST_SPURIOUS_COMPONENT
    return sqrt(max(loss, floor))


cdef double settle_shape(double loss, double floor, int *status) noexcept nogil:
    """The shape of a Gamma distribution with log a - psi(a) = loss."""
    if loss > 0.5 / LARGEST_SHAPE:
        return shape_of(loss)
    status[0] |= MIXFAST_CAPPED_PARAMETER | MIXFAST_SPURIOUS_COMPONENT
    return LARGEST_SHAPE


cdef void move_nothing(double count, double crossed, const place_t *at, const place_t *to, double *sums) noexcept nogil:
    return


cdef void move_squares(double count, double crossed, const place_t *at, const place_t *to, double *sums) noexcept nogil:
    """As `squares_after`, whose step times product is the step times the difference of the gradients. What is known of
    the weights of rows of Student-t experts, the mean of log u - u, is that of `degrees_after`, of the degrees that
    they were found at."""
    sums[0] = max(sums[0] - crossed, 0.0)
    sums[1] += count * (log_minus_digamma(0.5 * (to.degrees + 1)) - log_minus_digamma(0.5 * (at.degrees + 1)))


cdef void move_gap(double count, double crossed, const place_t *at, const place_t *to, double *sums) noexcept nogil:
    """As `gap_after`."""
    sums[0] = max(sums[0] - 0.5 * crossed, 0.0)


cdef void move_thetas(double count, double crossed, const place_t *at, const place_t *to, double *sums) noexcept nogil:
    """The derivatives of a quadratic in log theta."""
    cdef double slope = at.dispersion * sums[0], bend = slope + at.dispersion * at.dispersion * sums[1]
    slope += bend * (log(to.dispersion) - log(at.dispersion))
    sums[0], sums[1] = slope / to.dispersion, (bend - slope) / (to.dispersion * to.dispersion)


cdef int constrain_nothing(double floor, double *dispersion) noexcept nogil:
    return 0


cdef int constrain_scale(double floor, double *dispersion) noexcept nogil:
    return floor > 0 and dispersion[0] < sqrt(floor)


cdef int constrain_shape(double floor, double *dispersion) noexcept nogil:
    dispersion[0] = min(dispersion[0], LARGEST_SHAPE)
    return 0


cdef int constrain_theta(double floor, double *dispersion) noexcept nogil:
    dispersion[0] = min(max(dispersion[0], LEAST_THETA), LARGEST_THETA)
    return 0


cdef void fill_kinds() noexcept:
    """Fill the table of kinds, once at import. Negative binomial counts begin as nearly Poisson, with a large theta."""
    cdef kind_t *kind
    cdef Py_ssize_t i
    for i in range(MIXFAST_EXPERT_KINDS):
        kind = &KINDS_OF_EXPERTS[i]
        memset(kind, 0, sizeof(kind_t))
        kind.blank_dispersion, kind.unit, kind.fill_numbers = 1, no_unit, fill_nothing
        kind.constrain, kind.update, kind.move = constrain_nothing, update_nothing, move_nothing
    for i in (MIXFAST_GAUSSIAN_EXPERT, MIXFAST_STUDENT_T_EXPERT):
        kind = &KINDS_OF_EXPERTS[i]
        kind.is_quadratic, kind.unit, kind.begin, kind.loss = True, unit_of_scale, begin_location, squares_after
        kind.settle, kind.constrain, kind.update = settle_scale, constrain_scale, update_by_losses
        kind.move = move_squares
    KINDS_OF_EXPERTS[<int> MIXFAST_GAUSSIAN_EXPERT].fill_numbers = fill_gaussian
    kind = &KINDS_OF_EXPERTS[<int> MIXFAST_STUDENT_T_EXPERT]
    kind.fill_numbers, kind.has_degrees = fill_student_t, True
    KINDS_OF_EXPERTS[<int> MIXFAST_POISSON_EXPERT].begin = begin_counts
    KINDS_OF_EXPERTS[<int> MIXFAST_BINOMIAL_EXPERT].begin = begin_share
    kind = &KINDS_OF_EXPERTS[<int> MIXFAST_MULTINOMIAL_EXPERT]
    kind.begin, kind.begin_together = begin_nothing, begin_categories
    kind = &KINDS_OF_EXPERTS[<int> MIXFAST_GAMMA_EXPERT]
    kind.unit, kind.fill_numbers, kind.begin, kind.loss = unit_of_shape, fill_gamma, begin_gamma, gap_after
    kind.settle, kind.constrain, kind.update = settle_shape, constrain_shape, update_by_losses
    kind.move = move_gap
    kind = &KINDS_OF_EXPERTS[<int> MIXFAST_NEGATIVE_BINOMIAL_EXPERT]
    kind.blank_dispersion, kind.fill_numbers, kind.begin = LARGEST_THETA, fill_negative_binomial, begin_counts
    kind.constrain, kind.update, kind.move = constrain_theta, update_thetas, move_thetas


fill_kinds()


# ---- prepare --------------------------------------------------------------------------------------------------------

cdef void prepare(const family_t *f, const double *log_weights, const double *params, double *work, double *pivot,
                  void *tables) noexcept nogil:
    cdef const context_t *context = context_of(f)
    cdef const experts_t *all = &context.experts
    cdef Py_ssize_t K = f.n_components, R = all.n_responses, E = all.n_etas, p = all.n_columns, k, j
    cdef params_t own = view_params(f, params)
    cdef double *table = <double *> tables
    cdef double *numbers = table + K
    cdef double *intercepts = numbers + K * R * MIXFAST_EXPERT_NUMBERS
    cdef double *coefficients = intercepts + K * E
    cdef const kind_t *kind
    cdef bint wants_columns = own.stage[0] == NEW or own.stage[0] == GIVEN, is_new = own.stage[0] == NEW
    memcpy(table, log_weights, K * sizeof(double))
    coefficients[K * E * p] = wants_columns
    memset(numbers, 0, (K * R * MIXFAST_EXPERT_NUMBERS + K * E * (1 + p)) * sizeof(double))
    if not is_new:
        memcpy(pivot, own.pivot, p * sizeof(double))
        memcpy(pivot + p, own.pivot_beside, all.n_beside * sizeof(double))
        memcpy(intercepts, own.intercepts, K * E * sizeof(double))
        memcpy(coefficients, own.coefficients, K * E * p * sizeof(double))
    for k in range(K):
        for j in range(R):
            kind = kind_of(&all.responses[j])
            kind.fill_numbers(kind.blank_dispersion if is_new else own.dispersions[k * R + j],
                              context.degrees if is_new else own.degrees[k * R + j], own.stage[0] > BEGUN,
                              numbers + (k * R + j) * MIXFAST_EXPERT_NUMBERS)


# ---- the first pass: intercepts -------------------------------------------------------------------------------------

cdef int begin(const family_t *f, const totals_t *totals, double *params) noexcept nogil:
    """The M-step from stage NEW to BEGUN: intercepts, dispersions and the pivot. A component without rows takes the
    intercepts of all rows together."""
    cdef const context_t *context = context_of(f)
    cdef const experts_t *all = &context.experts
    cdef Py_ssize_t K = f.n_components, R = all.n_responses, E = all.n_etas, p = all.n_columns, k, j, e, i, m, c
    cdef params_t own = view_params(f, params)
    cdef const response_t *response
    cdef const double *columns
    cdef double total = 0, count, score, spread
    cdef double[3] sums
    cdef sums_t found
    memset(params, 0, f.n_params * sizeof(double))
    own.stage[0] = BEGUN
    for k in range(K):
        total += totals.counts[k]
    columns = sums_of_columns(f, totals)
    if context.centres:
        for i in range(p if context.has_intercept else 0):
            own.pivot[i] = columns[i] / total
        for i in range(all.n_beside):
            own.pivot_beside[i] = columns[p + i] / total
    for j in range(R):
        response = &all.responses[j]
        m = response.n_etas
        for k in range(K):
            for e in range(m):
                count = score = spread = 0
                memset(sums, 0, sizeof(sums))
                for c in range(K):
                    if c == k or totals.counts[k] == 0:
                        found = sums_at(f, totals.stats, c, j)
                        count += totals.counts[c]
                        score += found.gradient[e * (1 + p)]
                        spread += information_at(found.information, 1 + p, e, 0, e, 0)
                        for i in range(MIXFAST_EXPERT_SUMS):
                            sums[i] += found.sums[i]
                own.dispersions[k * R + j] = 1
                own.intercepts[k * E + response.first_eta + e] = kind_of(response).begin(
                    score, spread, count, sums, &own.dispersions[k * R + j])
                if not context.has_intercept:
                    own.intercepts[k * E + response.first_eta + e] = 0
            own.degrees[k * R + j] = context.degrees
        if kind_of(response).begin_together != NULL:
            kind_of(response).begin_together(f, totals, j, own.intercepts)
        if context.is_common:
            share_dispersions(totals.counts, total, K, R, j, own.dispersions)
        if kind_of(response).is_quadratic:
            raise_dispersions(f, totals, j, total, own.dispersions)
    return MIXFAST_OK


cdef void raise_dispersions(const family_t *f, const totals_t *totals, Py_ssize_t j, double total,
                            double *dispersions) noexcept nogil:
    """Raise variances to a small share of the variance of all rows: a start from single rows has variance 0."""
    cdef Py_ssize_t K = f.n_components, R = context_of(f).experts.n_responses, k
    cdef double score = 0, spread = 0, squares = 0, least
    cdef sums_t found
    for k in range(K):
        found = sums_at(f, totals.stats, k, j)
        score += found.gradient[0]
        spread += found.information[0]
        squares += found.sums[0]
    least = LEAST_SHARE * (squares - score * score / spread) / total
    for k in range(K):
        dispersions[k * R + j] = max(dispersions[k * R + j], sqrt(least) if least > DBL_MIN else 1)


cdef void begin_categories(const family_t *f, const totals_t *totals, Py_ssize_t j, double *intercepts) noexcept nogil:
    """OUT intercepts: log odds of each category against the first, from statistics of a pass where all categories were
    equally likely. Until the end intercepts hold shares less 1 / (m + 1)."""
    cdef const context_t *context = context_of(f)
    cdef const experts_t *all = &context.experts
    cdef const response_t *response = &all.responses[j]
    cdef Py_ssize_t K = f.n_components, m = response.n_etas, width = 1 + all.n_columns, k, c, e
    cdef double share = 1 / <double> (m + 1), score, spread, first
    cdef double *own
    cdef sums_t found
    for k in range(K):
        own = intercepts + k * all.n_etas + response.first_eta
        first = share
        for e in range(m):
            score = spread = 0
            for c in range(K):
                if c == k or totals.counts[k] == 0:
                    found = sums_at(f, totals.stats, c, j)
                    score += found.gradient[e * width]
                    spread += information_at(found.information, width, e, 0, e, 0)
            own[e] = share + score / spread * share * (1 - share)
            first -= own[e] - share
        for e in range(m):
            own[e] = log(max(own[e], LEAST_MEAN) / max(first, LEAST_MEAN)) if context.has_intercept else 0


cdef void share_dispersions(const double *counts, double total, Py_ssize_t K, Py_ssize_t R, Py_ssize_t j,
                            double *dispersions) noexcept nogil:
    """Replace the dispersions of response j by their root mean square over components."""
    cdef Py_ssize_t k
    cdef double mean = 0
    for k in range(K):
        mean += counts[k] / total * dispersions[k * R + j] * dispersions[k * R + j]
    for k in range(K):
        dispersions[k * R + j] = sqrt(mean)


# ---- a step of a response -------------------------------------------------------------------------------------------

cdef double quadratic(const double *information, Py_ssize_t width, Py_ssize_t m, const double *step,
                      double *product) noexcept nogil:
    """OUT product = H step; returns step . product."""
    cdef Py_ssize_t e, i, g, j
    cdef double total = 0, value
    for e in range(m):
        for i in range(width):
            value = 0
            for g in range(m):
                for j in range(width):
                    value += information_at(information, width, e, i, g, j) * step[g * width + j]
            product[e * width + i] = value
            total += value * step[e * width + i]
    return total


cdef inline double coefficient(const params_t *own, const experts_t *all, const response_t *response, Py_ssize_t k,
                               Py_ssize_t e, Py_ssize_t i) noexcept nogil:
    """The intercept, i = 0, or coefficient i - 1 of predictor e of component k."""
    cdef Py_ssize_t place = k * all.n_etas + response.first_eta + e
    return own.intercepts[place] if i == 0 else own.coefficients[place * all.n_columns + i - 1]


cdef int find_least_information(const family_t *f, const totals_t *totals, Py_ssize_t j, double *least) noexcept nogil:
    """OUT least[1 + p]: the least information of the intercept and of each coefficient, per unit of weight. Returns
    MIXFAST_CAPPED_PARAMETER where the responses of a component are all but certain, see LEAST_CHANCE."""
    cdef const context_t *context = context_of(f)
    cdef const experts_t *all = &context.experts
    cdef const response_t *response = &all.responses[j]
    cdef Py_ssize_t width = 1 + all.n_columns, k, e, i
    cdef int status = MIXFAST_OK
    cdef bint is_held
    cdef double value
    cdef sums_t found
    memset(least, 0, width * sizeof(double))
    if kind_of(response).is_quadratic:
        return status
    for k in range(f.n_components):
        if totals.counts[k] == 0:
            continue
        found = sums_at(f, totals.stats, k, j)
        for e in range(response.n_etas):
            is_held = context.has_intercept and role_of(context, response, k, e, 0) == LEFT_OUT
            # where an intercept is held nothing runs away: a component that is always 0 is meant so
            value = information_at(found.information, width, e, 0, e, 0)
            if not is_held and value < LEAST_CHANCE * totals.least_weight:
                status = MIXFAST_CAPPED_PARAMETER
            for i in range(width):
                value = LEAST_INFORMATION * information_at(found.information, width, e, i, e, i) / totals.counts[k]
                least[i] = max(least[i], value)
    return status


cdef int find_steps(const family_t *f, const totals_t *totals, Py_ssize_t j, const params_t *own,
                    double *work) noexcept nogil:
    """Newton's steps for response j. OUT work: `step` of each component's system_t. Returns a status, or -1 where
    numbers are not finite."""
    cdef const context_t *context = context_of(f)
    cdef const experts_t *all = &context.experts
    cdef const response_t *response = &all.responses[j]
    cdef Py_ssize_t K = f.n_components, width = 1 + all.n_columns, m = response.n_etas, n = m * width
    cdef Py_ssize_t n_own, n_shared = 0, k, e, i, g, c, a, b
    cdef double *shared = work + K * room_of_system(n)
    cdef double *shared_right = shared + n * n
    cdef double *shared_scale = shared_right + n
    cdef double *least = shared_scale + n
    cdef double unit, value, ridge
    cdef int status = find_least_information(f, totals, j, least)
    cdef bint is_deficient = False
    cdef sums_t found
    cdef system_t s
    for e in range(m):
        for i in range(width):
            n_shared += role_of(context, response, 0, e, i) == SHARED
    memset(shared, 0, n_shared * n_shared * sizeof(double))
    memset(shared_right, 0, n_shared * sizeof(double))
    for k in range(K):
        s = system_at(work, n, k)
        memset(s.step, 0, n * sizeof(double))
        if totals.counts[k] == 0:
            continue
        found = sums_at(f, totals.stats, k, j)
        unit = kind_of(response).unit(own.dispersions[k * all.n_responses + j])
        ridge = context.alpha * unit
        n_own = 0
        for e in range(m):
            for i in range(width):
                if role_of(context, response, k, e, i) == OWN:
                    s.right[n_own] = found.gradient[e * width + i]
                    if i > 0:
                        s.right[n_own] -= ridge * coefficient(own, all, response, k, e, i)
                    n_own += 1
        a = 0
        for e in range(m):
            for i in range(width):
                if role_of(context, response, k, e, i) != OWN:
                    continue
                b = 0
                for g in range(m):
                    for c in range(width):
                        if role_of(context, response, k, g, c) == OWN:
                            s.matrix[a * n_own + b] = information_at(found.information, width, e, i, g, c)
                            if b == a:
                                s.matrix[a * n_own + b] += least[i] * totals.counts[k] + (ridge if i > 0 else 0)
                            b += 1
                b = 0
                for g in range(m):
                    for c in range(width):
                        if role_of(context, response, k, g, c) == SHARED:
                            s.beside[a * n_shared + b] = information_at(found.information, width, e, i, g, c)
                            b += 1
                a += 1
        if scaled_cholesky(n_own, s.matrix, s.scale, &is_deficient) != 0:
            return -1
        for a in range(n_own):
            s.right[a] *= s.scale[a]
            for b in range(n_shared):
                s.beside[a * n_shared + b] *= s.scale[a]
        solve_lower(n_own, s.matrix, 1, s.right)
        solve_lower(n_own, s.matrix, n_shared, s.beside)
        a = 0
        for e in range(m):
            for i in range(width):
                if role_of(context, response, k, e, i) != SHARED:
                    continue
                value = found.gradient[e * width + i]
                for c in range(n_own):
                    value -= s.beside[c * n_shared + a] * s.right[c]
                shared_right[a] += value / unit
                b = 0
                for g in range(m):
                    for c in range(width):
                        if role_of(context, response, k, g, c) == SHARED:
                            shared[a * n_shared + b] += information_at(found.information, width, e, i, g, c) / unit
                            b += 1
                a += 1
        for a in range(n_shared):
            for b in range(n_shared):
                value = 0
                for c in range(n_own):
                    value += s.beside[c * n_shared + a] * s.beside[c * n_shared + b]
                shared[a * n_shared + b] -= value / unit
    if n_shared > 0:
        if scaled_cholesky(n_shared, shared, shared_scale, &is_deficient) != 0:
            return -1
        for a in range(n_shared):
            shared_right[a] *= shared_scale[a]
        solve_lower(n_shared, shared, 1, shared_right)
        solve_upper(n_shared, shared, shared_right)
        for a in range(n_shared):
            shared_right[a] *= shared_scale[a]
    for k in range(K):
        s = system_at(work, n, k)
        n_own = 0
        for e in range(m):
            for i in range(width):
                n_own += role_of(context, response, k, e, i) == OWN
        if totals.counts[k] > 0:
            for a in range(n_own):
                for b in range(n_shared):
                    s.right[a] -= s.beside[a * n_shared + b] * shared_right[b]
            solve_upper(n_own, s.matrix, s.right)
        a = b = 0
        for e in range(m):
            for i in range(width):
                if role_of(context, response, k, e, i) == SHARED:
                    s.step[e * width + i] = shared_right[b]
                    b += 1
                elif role_of(context, response, k, e, i) == OWN and totals.counts[k] > 0:
                    s.step[e * width + i] = s.right[a] * s.scale[a]
                    a += 1
    return MIXFAST_CAPPED_PARAMETER if is_deficient else status


cdef double share_of_steps(const family_t *f, const totals_t *totals, Py_ssize_t j, double *work) noexcept nogil:
    """The share of the steps that is taken, at most 1, such that no predictor changes by more than LONGEST_STEP in root
    mean square. OUT work: `product` of each system_t."""
    cdef const experts_t *all = &context_of(f).experts
    cdef const response_t *response = &all.responses[j]
    cdef Py_ssize_t width = 1 + all.n_columns, m = response.n_etas, n = m * width, k, e
    cdef double share = 1, change, spread
    cdef sums_t found
    cdef system_t s
    for k in range(f.n_components):
        s = system_at(work, n, k)
        found = sums_at(f, totals.stats, k, j)
        change = quadratic(found.information, width, m, s.step, s.product)
        if kind_of(response).is_quadratic:
            continue
        spread = 0
        for e in range(m):
            spread += information_at(found.information, width, e, 0, e, 0)
        if change > LONGEST_STEP * LONGEST_STEP * spread:
            share = min(share, LONGEST_STEP * sqrt(spread / change))
    return share


# ---- dispersions ----------------------------------------------------------------------------------------------------

cdef double one_for_all(const family_t *f, const totals_t *totals, Py_ssize_t j, const params_t *own,
                        double *work) noexcept nogil:
    """At stages BEGUN and GIVEN: the residual variance of one regression for all components together, from sums about
    those of each. Of Student-t components rows have their weights."""
    cdef const experts_t *all = &context_of(f).experts
    cdef const response_t *response = &all.responses[j]
    cdef Py_ssize_t K = f.n_components, width = 1 + all.n_columns, k, a, b
    cdef double *matrix = work
    cdef double *right = matrix + width * width
    cdef double *scale = right + width
    cdef double *mean = scale + width
    cdef double total = 0, loss = 0, shift, moved, largest = 0, gain = 0
    cdef bint is_deficient = False
    cdef sums_t found
    memset(matrix, 0, (width * width + width) * sizeof(double))
    memset(mean, 0, width * sizeof(double))
    for k in range(K):
        total += totals.counts[k]
        for a in range(width):
            mean[a] += totals.counts[k] * coefficient(own, all, response, k, 0, a)
    for a in range(width):
        mean[a] /= total
    for k in range(K):
        found = sums_at(f, totals.stats, k, j)
        largest = max(largest, fabs(own.intercepts[k * all.n_etas + response.first_eta]))
        loss += found.sums[0]
        for a in range(width):
            moved = 0
            for b in range(width):
                shift = coefficient(own, all, response, k, 0, b) - mean[b]
                moved += shift * information_at(found.information, width, 0, a, 0, b)
                matrix[a * width + b] += information_at(found.information, width, 0, a, 0, b)
            right[a] += found.gradient[a] + moved
            loss += (coefficient(own, all, response, k, 0, a) - mean[a]) * (2 * found.gradient[a] + moved)
    if scaled_cholesky(width, matrix, scale, &is_deficient) == 0:
        for a in range(width):
            right[a] *= scale[a]
        solve_lower(width, matrix, 1, right)
        for a in range(width):
            gain += right[a] * right[a]
    # at least what rounding leaves where all rows lie on a plane
    return max(max(loss - gain, 1e-12 * loss) / total, 1e-24 * max(largest * largest, DBL_MIN))


cdef double degrees_after(double degrees, double count, double logs) noexcept nogil:
    """The root n of log(n / 2) - psi(n / 2) + 1 + mean(log u - u) + psi((n0 + 1) / 2) - log((n0 + 1) / 2) = 0, from
    sums with the weights u at n0: n / 2 is the shape of a Gamma distribution."""
    cdef double wanted = log_minus_digamma(0.5 * (degrees + 1)) - 1 - logs / count
    if not wanted > 1 / MOST_DEGREES:  # log(n / 2) - psi(n / 2) is about 1 / n at the largest n
        return MOST_DEGREES
    return min(max(2 * shape_of(wanted), LEAST_DEGREES), MOST_DEGREES)


cdef int update_nothing(const family_t *f, const totals_t *totals, Py_ssize_t j, double share, double *work,
                        params_t *own) noexcept nogil:
    return MIXFAST_OK


cdef int update_thetas(const family_t *f, const totals_t *totals, Py_ssize_t j, double share, double *work,
                       params_t *own) noexcept nogil:
    """One step of Newton's method for log theta, from derivatives at the coefficients before their step. A status."""
    cdef const context_t *context = context_of(f)
    cdef const experts_t *all = &context.experts
    cdef Py_ssize_t K = f.n_components, R = all.n_responses, k, c
    cdef double theta, slope, bend, step
    cdef int status = MIXFAST_OK
    cdef sums_t found
    if own.stage[0] <= BEGUN:
        return status
    for k in range(K):
        theta, slope, bend = own.dispersions[k * R + j], 0, 0
        for c in range(K):
            if c == k or context.is_common:
                found = sums_at(f, totals.stats, c, j)
                slope += found.sums[0]
                bend += found.sums[1]
        slope, bend = theta * slope, theta * slope + theta * theta * bend
        step = -slope / bend if bend < 0 else (1 if slope > 0 else -1 if slope < 0 else 0)
        theta *= exp(min(max(step, -1.0), 1.0))
        if not isfinite(theta):
            return MIXFAST_NOT_FINITE
        if theta > LARGEST_THETA or theta < LEAST_THETA:
            status |= MIXFAST_CAPPED_PARAMETER
        theta = min(max(theta, LEAST_THETA), LARGEST_THETA)
        if not context.is_common:
            own.dispersions[k * R + j] = theta
    if context.is_common:
        for k in range(K):
            own.dispersions[k * R + j] = theta
    return status


cdef int update_by_losses(const family_t *f, const totals_t *totals, Py_ssize_t j, double share, double *work,
                          params_t *own) noexcept nogil:
    """The M-step of dispersions that follow from a mean loss: standard deviations, scales and shapes. A status."""
    cdef const context_t *context = context_of(f)
    cdef const experts_t *all = &context.experts
    cdef const response_t *response = &all.responses[j]
    cdef Py_ssize_t K = f.n_components, R = all.n_responses, n = response.n_etas * (1 + all.n_columns), k, i
    cdef double total = 0, pooled = 0, loss, n_lost
    cdef const kind_t *kind = kind_of(response)
    cdef int status = MIXFAST_OK
    cdef sums_t found
    cdef system_t s
    for k in range(K):
        total += totals.counts[k]
    # until the end, dispersions hold the losses
    for k in range(K):
        if totals.counts[k] > 0:
            s = system_at(work, n, k)
            found = sums_at(f, totals.stats, k, j)
            n_lost = 0
            if context.corrects_variance and kind.is_quadratic:
                for i in range(1 + all.n_columns):
                    n_lost += role_of(context, response, k, 0, i) != LEFT_OUT
            loss = (total / (total - n_lost) if total > n_lost else 1) * kind.loss(&found, share, &s, n)
            own.dispersions[k * R + j] = loss / totals.counts[k]
            pooled += loss / total
    if kind.is_quadratic and own.floors[j] == 0:
        own.floors[j] = LEAST_SHARE * max(pooled, DBL_MIN / LEAST_SHARE)
    for k in range(K):
        if totals.counts[k] == 0 and not context.is_common:
            continue
        loss = pooled if context.is_common else own.dispersions[k * R + j]
        if not isfinite(loss):
            return MIXFAST_NOT_FINITE
        own.dispersions[k * R + j] = kind.settle(loss, own.floors[j], &status)
        if kind.has_degrees and context.estimates_degrees and own.stage[0] > BEGUN:
            found = sums_at(f, totals.stats, k, j)
            own.degrees[k * R + j] = degrees_after(own.degrees[k * R + j], totals.counts[k], found.sums[1])
    return status


# ---- maximise -------------------------------------------------------------------------------------------------------

cdef int maximise(const family_t *f, const totals_t *totals, double *work, double *params) noexcept nogil:
    cdef const context_t *context = context_of(f)
    cdef const experts_t *all = &context.experts
    cdef Py_ssize_t K = f.n_components, p = all.n_columns, E = all.n_etas, k, j, e, i, m, place
    cdef params_t own = view_params(f, params)
    cdef const response_t *response
    cdef const double *columns
    cdef double total = 0, share, moved
    cdef int status = MIXFAST_OK, found
    cdef system_t s
    for k in range(K):
        total += totals.counts[k]
        if totals.counts[k] == 0:
            status |= MIXFAST_EMPTIED_COMPONENT
    if own.stage[0] == NEW:
        return status | begin(f, totals, params)
    for j in range(all.n_responses):
        response = &all.responses[j]
        m = response.n_etas
        if own.stage[0] != KNOWN and kind_of(response).is_quadratic:
            own.floors[j] = LEAST_SHARE * one_for_all(f, totals, j, &own, work)
        found = find_steps(f, totals, j, &own, work)
        if found < 0:
            return MIXFAST_NOT_FINITE
        share = share_of_steps(f, totals, j, work)
        status |= found | kind_of(response).update(f, totals, j, share, work, &own)
        for k in range(K):
            s = system_at(work, m * (1 + p), k)
            for e in range(m):
                place = k * E + response.first_eta + e
                own.intercepts[place] += share * s.step[e * (1 + p)]
                for i in range(p):
                    own.coefficients[place * p + i] += share * s.step[e * (1 + p) + 1 + i]
    if own.stage[0] == GIVEN and context.centres:
        columns = sums_of_columns(f, totals)
        for i in range(p if context.has_intercept else 0):
            moved = columns[i] / total
            own.pivot[i] += moved
            for k in range(K * E):
                own.intercepts[k] += own.coefficients[k * p + i] * moved
        for i in range(all.n_beside):
            own.pivot_beside[i] += columns[p + i] / total
    own.stage[0] = KNOWN
    return status


cdef double log_prior(const family_t *f, const double *params) noexcept nogil:
    """The ridge penalty, -alpha / 2 times the sum of squares of slopes that components do not share."""
    cdef const context_t *context = context_of(f)
    cdef const experts_t *all = &context.experts
    cdef params_t own = view_params(f, params)
    cdef Py_ssize_t p = all.n_columns, k, j, e, i, place
    cdef double total = 0
    for k in range(f.n_components):
        for j in range(all.n_responses):
            for e in range(all.responses[j].n_etas):
                place = (k * all.n_etas + all.responses[j].first_eta + e) * p
                for i in range(p):
                    if context.use[j * (1 + p) + 1 + i] == OWN:
                        total += own.coefficients[place + i] * own.coefficients[place + i]
    return -0.5 * context.alpha * total


# ---- free numbers ---------------------------------------------------------------------------------------------------

cdef int unconstrain(const family_t *f, const double *params, double *numbers) noexcept nogil:
    """OUT numbers: coefficients, intercepts about the pivot, logarithms of dispersions and of degrees of freedom."""
    cdef params_t own = view_params(f, params)
    cdef Py_ssize_t n_linear = own.dispersions - own.coefficients, n = own.pivot - own.coefficients, i
    for i in range(n):
        numbers[i] = params[i] if i < n_linear else log(params[i])
    return 0


cdef int constrain(const family_t *f, const double *numbers, double *work, double *params) noexcept nogil:
    """The inverse; the frame in `params` stays as it is."""
    cdef params_t own = view_params(f, params)
    cdef Py_ssize_t n_linear = own.dispersions - own.coefficients, n = own.pivot - own.coefficients, k, i
    cdef Py_ssize_t R = context_of(f).experts.n_responses
    for i in range(n):
        params[i] = numbers[i] if i < n_linear else exp(numbers[i])
        if not isfinite(params[i]) or (i >= n_linear and not params[i] > 0):
            return MIXFAST_NOT_FINITE
    for k in range(f.n_components):
        for i in range(R):
            if kind_of(&context_of(f).experts.responses[i]).constrain(
                    own.floors[i], &own.dispersions[k * R + i]) != 0:
                return MIXFAST_NOT_FINITE
    return 0


# ---- elsewhere ------------------------------------------------------------------------------------------------------

cdef inline double moved_by(const params_t *last, const params_t *own, Py_ssize_t p,
                            Py_ssize_t place, Py_ssize_t i) noexcept nogil:
    """By how much intercept `place`, i = 0, or its coefficient i - 1 differs, both about the pivot of the last."""
    cdef double total
    cdef Py_ssize_t j
    if i > 0:
        return own.coefficients[place * p + i - 1] - last.coefficients[place * p + i - 1]
    total = own.intercepts[place] - last.intercepts[place]
    for j in range(p):
        total += own.coefficients[place * p + j] * (last.pivot[j] - own.pivot[j])
    return total


cdef void recentre(const family_t *f, const double *counts, const double *last_pivot, const double *last_params,
                   const double *pivot, const double *params, double *stats) noexcept nogil:
    """Gradients less the information times the step, g - H s: those of the quadratic that Newton's step maximises,
    whose information is the same everywhere. Of Gaussian and, with the weights that rows had, Student-t experts that is
    exact: g and H are sums of products of y and x. Elsewhere it errs by the square of the step."""
    cdef const context_t *context = context_of(f)
    cdef const experts_t *all = &context.experts
    cdef Py_ssize_t K = f.n_components, R = all.n_responses, p = all.n_columns, width = 1 + p
    cdef Py_ssize_t k, j, e, g, i, c, place
    cdef params_t last = view_params(f, last_params), own = view_params(f, params)
    cdef const response_t *response
    cdef double total = 0, crossed, step
    cdef double *gradient
    cdef double *columns = stats + f.n_stats - p - all.n_beside
    cdef place_t at, to
    cdef sums_t found
    for k in range(K):
        total += counts[k]
        for j in range(R):
            response = &all.responses[j]
            found = sums_at(f, stats, k, j)
            gradient, crossed = <double *> found.gradient, 0
            place = k * all.n_etas + response.first_eta
            for e in range(response.n_etas):
                for i in range(width):
                    crossed += gradient[e * width + i] * moved_by(&last, &own, p, place + e, i)
            for g in range(response.n_etas):
                for c in range(width):
                    step = moved_by(&last, &own, p, place + g, c)
                    for e in range(response.n_etas):
                        for i in range(width):
                            gradient[e * width + i] -= step * information_at(found.information, width, e, i, g, c)
            for e in range(response.n_etas):
                for i in range(width):
                    crossed += gradient[e * width + i] * moved_by(&last, &own, p, place + e, i)
            at.dispersion, at.degrees = last.dispersions[k * R + j], last.degrees[k * R + j]
            to.dispersion, to.degrees = own.dispersions[k * R + j], own.degrees[k * R + j]
            kind_of(response).move(counts[k], crossed, &at, &to, <double *> found.sums)
            move_pivot(response.n_etas, width, last_pivot, pivot, gradient, <double *> found.information)
    for i in range(p + all.n_beside):
        columns[i] += total * (last_pivot[i] - pivot[i])


cdef void move_pivot(Py_ssize_t n_etas, Py_ssize_t width, const double *last_pivot, const double *pivot,
                     double *gradient, double *information) noexcept nogil:
    """Gradients and information by coefficients of columns less another pivot."""
    cdef Py_ssize_t _block, e, i, j
    cdef double own, other
    for e in range(n_etas):
        for i in range(1, width):
            gradient[e * width + i] += (last_pivot[i - 1] - pivot[i - 1]) * gradient[e * width]
    for _block in range(triangle(n_etas)):
        for i in range(width - 1, 0, -1):
            own = last_pivot[i - 1] - pivot[i - 1]
            for j in range(i, 0, -1):
                other = last_pivot[j - 1] - pivot[j - 1]
                information[in_symmetric(i, j)] += (own * (information[in_symmetric(j, 0)] + other * information[0])
                                                    + other * information[in_symmetric(i, 0)])
            information[in_symmetric(i, 0)] += own * information[0]
        information += triangle(width)


# ---- half a step ----------------------------------------------------------------------------------------------------

cdef void go_half_way(const family_t *f, const double *last_params, double *params) noexcept nogil:
    """The mean of both parameters in the frame of `params`: intercepts of `last_params` may be about another pivot."""
    cdef const experts_t *all = &context_of(f).experts
    cdef params_t own = view_params(f, params), last = view_params(f, last_params)
    cdef Py_ssize_t n = own.pivot - own.coefficients, p = all.n_columns, k, i
    for i in range(n):
        params[i] = 0.5 * (params[i] + last_params[i])
    for k in range(f.n_components * all.n_etas):
        for i in range(p):
            own.intercepts[k] += 0.5 * last.coefficients[k * p + i] * (own.pivot[i] - last.pivot[i])


# ---- binding --------------------------------------------------------------------------------------------------------

def bind_experts(Py_ssize_t n_components, Py_ssize_t n_features, object isa, Py_ssize_t n_columns,
                 Py_ssize_t n_beside, responses, use, double alpha, bint is_common, degrees, bint corrects_variance,
                 const unsigned char[:, :, ::1] held=None, bint centres=True):
    """A capsule of the family.

    n_features : columns of the encoded rows, of which the first n_columns are x and the next n_beside a gate's own
    responses : list of (kind, first column of y, column of the offset or -1, number of predictors)
    use : (n_responses, 1 + n_columns) of 0, 1 and 2: coefficients that are left out, own and shared
    degrees : of freedom, or None where they are to be estimated
    corrects_variance : whether variances are multiplied by n / (n - number of coefficients of a component), those apart
        that are held
    held : (n_components, number of predictors, 1 + n_columns), which intercepts and coefficients stay, or None
    centres : whether intercepts are about a pivot; not where some of them, or of a gate, are held about the origin
    """
    cdef Py_ssize_t R = len(responses), j, width = 1 + n_columns
    cdef Py_ssize_t n_held = 0 if held is None else held.size
    cdef int level = resolve_isa(isa)
    cdef const experts_kernels_t *kernels = mixfast_select_experts(level)
    if n_components < 1 or n_columns < 0 or n_features < n_columns + n_beside:
        raise ValueError(f"cannot bind {n_components} components and {n_columns} of {n_features} columns")
    if n_held not in (0, n_components * sum(own[3] for own in responses) * width):
        raise ValueError(f"{n_held} coefficients are held or not, of {n_components} components of {n_columns} columns")
    cdef family_t *f = new_struct(sizeof(context_t) + R * sizeof(response_t) + R * width + n_held)
    cdef context_t *context = <context_t *> f.context
    cdef experts_t *all = &context.experts
    context.responses = <response_t *> (context + 1)
    context.use = <unsigned char *> (context.responses + R)
    all.n_columns, all.n_beside, all.n_responses, all.responses = n_columns, n_beside, R, context.responses
    f.n_components, f.n_features, f.real_bytes, f.isa = n_components, n_features, sizeof(double), level
    cdef Py_ssize_t n, most_etas = 0
    cdef bint all_quadratic = True
    for j in range(R):
        kind, first_y, offset, n_etas = responses[j]
        context.responses[j].kind, context.responses[j].first_y = kind, first_y
        context.responses[j].offset, context.responses[j].n_etas = offset, n_etas
        context.responses[j].first_eta = all.n_etas
        all.n_etas += n_etas
        context.n_blocks += triangle(n_etas)
        most_etas = max(most_etas, <Py_ssize_t> n_etas)
        all_quadratic &= kind_of(&context.responses[j]).is_quadratic
        for i in range(width):
            context.use[j * width + i] = use[j][i]
    context.alpha, context.is_common, context.corrects_variance = alpha, is_common, corrects_variance
    context.has_intercept, context.centres = context.use[0] != LEFT_OUT, centres
    if n_held > 0:
        context.held = context.use + R * width
        memcpy(context.held, &held[0, 0, 0], n_held)
    context.estimates_degrees = degrees is None
    context.degrees = 8.0 if degrees is None else degrees
    n = most_etas * width
    f.n_params = n_components * (all.n_etas * width + 2 * R) + n_columns + 1 + R + n_beside
    f.n_stats = (n_components * (all.n_etas * width + context.n_blocks * triangle(width) + R * MIXFAST_EXPERT_SUMS)
                 + n_columns + n_beside)
    f.n_tables = n_components * (1 + R * MIXFAST_EXPERT_NUMBERS + all.n_etas * width) + 1
    f.n_scratch_columns = n_components * all.n_etas + most_etas + triangle(most_etas) + width
    f.n_work = n_components * room_of_system(n) + n * n + 2 * n + width
    f.flops_per_row = n_components * (40 + 4 * all.n_etas * width + 2 * context.n_blocks * triangle(width))
    f.prepare, f.maximise = prepare, maximise
    f.log_density, f.accumulate = kernels.log_density, kernels.accumulate
    if alpha > 0:
        f.log_prior = log_prior
    give_free_numbers(f, n_components * (all.n_etas * width + 2 * R), unconstrain, constrain)
    f.further_start_passes = 0 if all_quadratic else FURTHER_STEPS
    f.go_half_way, f.recentre = go_half_way, recentre
    f.may_overshoot = -1 if corrects_variance else not all_quadratic
    return capsule_of(f)
