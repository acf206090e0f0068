"""A gate: proportions that depend on columns z of the row, p(k | z) = softmax(intercept_k + slope_k . z).

`mixing` is intercepts[K], slopes[K][n_columns], both zero for component 0, and shares[K]: the means of p(k | z) over
the rows, at the parameters before the last M-step, which estimators publish as weights. The M-step is one step of
Newton's method for the multinomial regression of the responsibilities on z. Where the information matrix would be
large, it is replaced by the lower bound of Boehning, "Multinomial logistic regression algorithm", Annals of the
Institute of Statistical Mathematics 44 (1992): half the sum of z z' for each component, with which no step can
overshoot.

The penalty, subtracted from the log-likelihood, is ridge / 2 times the sum of squares of the slopes less their mean
over components, so that it does not depend on which component is the reference.
"""

from libc.math cimport fabs, isnan, log, sqrt
from libc.string cimport memcpy, memset

from mixfast.engine._family cimport MIXFAST_CAPPED_PARAMETER, MIXFAST_NOT_FINITE, MIXFAST_OK, chunk_t, selection_t
from mixfast.engine._isa cimport resolve_isa
from mixfast.engine._kernels cimport gate_kernels_t, mixfast_select_gate
from mixfast.engine._linalg cimport scaled_cholesky, solve_lower, solve_upper
from mixfast.engine._triangle cimport in_symmetric, triangle
from mixfast.proportions._proportions cimport Proportions, free_mixing_t, of_rows_t, one_for_each, proportions_t

import numpy as np

cdef enum:
    # The information matrix has the order (K - 1) (1 + n_columns), and a row costs half its square in operations. Above
    # this order Boehning's bound takes its place.
    LARGEST_ORDER = 60
    FURTHER_STEPS = 7              # Newton steps that a start makes in addition to its first M-steps

# A step is shortened where the root mean square change of log p(k | z) would be more.
cdef double LONGEST_STEP = 2
# Slopes are kept within +-LARGEST: if z separates the components the likelihood rises without end. An intercept moves
# by what slopes about the pivot have moved, so that it is where they are. It has no cap of its own: that of a component
# that loses all rows ends at -708, where shares are 0 in float64.
cdef double LARGEST = 1e6
# Shares below are taken for this where intercepts are made of counts alone, log 0 being infinite.
cdef double LEAST_SHARE = 1e-10
# Where intercepts are held, first slopes make the mean log odds those of the shares if columns are so far from 0 that
# this spreads log odds less than it moves them: the sum over columns of squared means by mean squares is at least this.
cdef double FAR_FROM_ZERO = 0.5

ctypedef struct context_t:
    of_rows_t of_rows
    free_mixing_t free_numbers
    Py_ssize_t first, n_columns    # z are the columns first .. first + n_columns of the encoded rows
    double ridge
    const double *held             # [n][1 + n_columns], intercepts and slopes that stay, NaN where fitted; or NULL
    const gate_kernels_t *kernels


cdef inline const context_t *context_of(const proportions_t *proportions) noexcept nogil:
    return <const context_t *> proportions.context


cdef inline bint has_blocks(const proportions_t *proportions, Py_ssize_t n) noexcept nogil:
    return (n - 1) * (1 + context_of(proportions).n_columns) <= LARGEST_ORDER


cdef Py_ssize_t n_coefficients(const proportions_t *proportions, Py_ssize_t n) noexcept nogil:
    return n * (1 + context_of(proportions).n_columns)


cdef Py_ssize_t n_numbers(const proportions_t *proportions, Py_ssize_t n) noexcept nogil:
    return n_coefficients(proportions, n) + n


cdef inline bint is_held(const proportions_t *proportions, Py_ssize_t k, Py_ssize_t i) noexcept nogil:
    cdef const context_t *context = context_of(proportions)
    return context.held != NULL and not isnan(context.held[k * (1 + context.n_columns) + i])


cdef void put_held(const proportions_t *proportions, Py_ssize_t n, double *mixing) noexcept nogil:
    """Rows of what is held are about z itself, as `mixing` is."""
    cdef const context_t *context = context_of(proportions)
    cdef Py_ssize_t q = context.n_columns, k, i
    for k in range(n if context.held != NULL else 0):
        for i in range(1 + q):
            if is_held(proportions, k, i):
                mixing[k if i == 0 else n + k * q + i - 1] = context.held[k * (1 + q) + i]


cdef void begin(const proportions_t *proportions, Py_ssize_t n, double *mixing) noexcept nogil:
    """What is held comes with the first M-step (`begin_at_held`): far from 0 all rows would be of one component."""
    cdef Py_ssize_t k
    memset(mixing, 0, n_coefficients(proportions, n) * sizeof(double))
    for k in range(n):
        mixing[n_coefficients(proportions, n) + k] = 1 / <double> n


cdef inline double log_odds(Py_ssize_t n, const double *counts, double total, Py_ssize_t k) noexcept nogil:
    """Of the shares of component k and component 0."""
    return log(max(counts[k] / total, LEAST_SHARE) / max(counts[0] / total, LEAST_SHARE))


cdef void maximise(const proportions_t *proportions, Py_ssize_t n, const double *counts, double total,
                   double *mixing) noexcept nogil:
    """From counts alone, before statistics of rows are known: intercepts from shares, slopes 0."""
    cdef Py_ssize_t k
    begin(proportions, n, mixing)
    for k in range(n):
        mixing[k] = log_odds(n, counts, total, k)
        mixing[n_coefficients(proportions, n) + k] = counts[k] / total
    put_held(proportions, n, mixing)


cdef void log_weights(const proportions_t *proportions, Py_ssize_t n, const double *mixing,
                      double *out) noexcept nogil:
    """Zeros: `add_terms` adds log p(k | z) to the log density of each row."""
    memset(out, 0, n * sizeof(double))


# ---- rows -----------------------------------------------------------------------------------------------------------

cdef Py_ssize_t columns_of_numbers(const proportions_t *proportions, Py_ssize_t n) noexcept nogil:
    """How many scratch columns, of at least 6 reals each, hold the coefficients that `to_pivot` writes."""
    return (n_coefficients(proportions, n) + 5) // 6


cdef Py_ssize_t n_scratch_columns(const proportions_t *proportions, Py_ssize_t n) noexcept nogil:
    cdef const context_t *context = context_of(proportions)
    return columns_of_numbers(proportions, n) + context.kernels.n_scratch_columns(n, context.n_columns)


cdef Py_ssize_t n_stats(const proportions_t *proportions, Py_ssize_t n) noexcept nogil:
    """gradients[K][1 + n_columns], then the information: packed symmetric blocks [1 + n_columns][1 + n_columns] for
    each pair of components but 0, packed too, or, for Boehning's bound, the sum of z z' alone."""
    cdef Py_ssize_t width = 1 + context_of(proportions).n_columns
    return n * width + (triangle(n - 1) if has_blocks(proportions, n) else 1) * triangle(width)


cdef Py_ssize_t n_work(const proportions_t *proportions, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t width = 1 + context_of(proportions).n_columns
    cdef Py_ssize_t order = (n - 1) * width if has_blocks(proportions, n) else width
    return order * order + 2 * order + 2 * n * width


cdef void to_pivot(const proportions_t *proportions, Py_ssize_t n, const double *mixing, const double *pivot,
                   double *numbers) noexcept nogil:
    """OUT numbers: intercepts[K] and slopes[K][n_columns] of the same gate as a function of z less the pivot."""
    cdef const context_t *context = context_of(proportions)
    cdef Py_ssize_t q = context.n_columns, k, j
    memcpy(numbers, mixing, n * (1 + q) * sizeof(double))
    for k in range(n):
        for j in range(q):
            numbers[k] += mixing[n + k * q + j] * pivot[context.first + j]


cdef void add_terms(const proportions_t *proportions, Py_ssize_t n, const double *mixing, const double *pivot,
                    const chunk_t *chunk, const selection_t *selection, int real_bytes, void *scratch,
                    void *log_prob) noexcept nogil:
    cdef const context_t *context = context_of(proportions)
    cdef double *numbers = <double *> scratch
    to_pivot(proportions, n, mixing, pivot, numbers)
    context.kernels.add_log_shares(
        n, context.n_columns, numbers, chunk.stride, <const double *> chunk.columns + context.first * chunk.stride,
        selection, numbers + columns_of_numbers(proportions, n) * chunk.stride, <double *> log_prob)


cdef void accumulate(const proportions_t *proportions, Py_ssize_t n, const double *mixing, const double *pivot,
                     const chunk_t *chunk, const selection_t *selection, int real_bytes, const void *resp,
                     void *scratch, double *stats) noexcept nogil:
    cdef const context_t *context = context_of(proportions)
    cdef double *numbers = <double *> scratch
    to_pivot(proportions, n, mixing, pivot, numbers)
    context.kernels.accumulate(
        n, context.n_columns, numbers, has_blocks(proportions, n), chunk.stride,
        <const double *> chunk.columns + context.first * chunk.stride, selection, <const double *> resp,
        numbers + columns_of_numbers(proportions, n) * chunk.stride, stats, stats + n * (1 + context.n_columns))


# ---- the step -------------------------------------------------------------------------------------------------------

cdef double mean_slope(Py_ssize_t n, Py_ssize_t q, const double *mixing, Py_ssize_t j) noexcept nogil:
    cdef Py_ssize_t k
    cdef double total = 0
    for k in range(n):
        total += mixing[n + k * q + j]
    return total / <double> n


cdef int find_newton_step(const proportions_t *proportions, Py_ssize_t n, double total, const double *gradients,
                          const double *information, double *matrix, double *scale, double *right,
                          double *step) noexcept nogil:
    """A step of Newton's method. OUT step[K][1 + n_columns], zero for component 0; matrix, scale and right are work
    space. Returns a status: MIXFAST_CAPPED_PARAMETER where the information is singular, MIXFAST_NOT_FINITE where it is
    not finite."""
    cdef const context_t *context = context_of(proportions)
    cdef Py_ssize_t width = 1 + context.n_columns, order = (n - 1) * width, size = triangle(width)
    cdef Py_ssize_t k, other, i, j, a
    cdef double value, change = 0
    cdef bint is_deficient = False
    for k in range(1, n):
        for i in range(width):
            for other in range(1, n):
                for j in range(width):
                    value = information[in_symmetric(k - 1, other - 1) * size + in_symmetric(i, j)]
                    if k != other:
                        value = -value
                    if i == j and i > 0:
                        value += context.ridge * ((k == other) - 1.0 / <double> n)
                    if is_held(proportions, k, i) or is_held(proportions, other, j):  # a step of its own, which is 0
                        value = k == other and i == j
                    matrix[((k - 1) * width + i) * order + (other - 1) * width + j] = value
    if scaled_cholesky(order, matrix, scale, &is_deficient) != 0:
        return MIXFAST_NOT_FINITE
    for a in range(order):
        right[a] = 0 if is_held(proportions, 1 + a // width, a % width) else gradients[width + a] * scale[a]
    solve_lower(order, matrix, 1, right)
    for a in range(order):
        change += right[a] * right[a]
    solve_upper(order, matrix, right)
    value = 1 if change <= LONGEST_STEP * LONGEST_STEP * total else LONGEST_STEP * sqrt(total / change)
    for a in range(order):
        step[width + a] = value * right[a] * scale[a]
    return MIXFAST_CAPPED_PARAMETER if is_deficient else MIXFAST_OK


cdef int find_bounded_step(const proportions_t *proportions, Py_ssize_t n, const double *gradients,
                           const double *information, double *matrix, double *scale, double *right,
                           double *step) noexcept nogil:
    """As find_newton_step, with Boehning's bound for the information: a step of each component, less that of component
    0."""
    cdef const context_t *context = context_of(proportions)
    cdef Py_ssize_t width = 1 + context.n_columns, k, i, j
    cdef bint is_deficient = False
    for i in range(width):
        for j in range(width):
            matrix[i * width + j] = 0.5 * information[in_symmetric(i, j)]
            if i == j and i > 0:
                matrix[i * width + j] += context.ridge
    if scaled_cholesky(width, matrix, scale, &is_deficient) != 0:
        return MIXFAST_NOT_FINITE
    for k in range(n):
        for i in range(width):
            right[i] = gradients[k * width + i] * scale[i]
        solve_lower(width, matrix, 1, right)
        solve_upper(width, matrix, right)
        for i in range(width):
            step[k * width + i] = right[i] * scale[i]
    for k in range(n - 1, -1, -1):
        for i in range(width):
            step[k * width + i] -= step[i]
    return MIXFAST_CAPPED_PARAMETER if is_deficient else MIXFAST_OK


cdef bint is_zero(const proportions_t *proportions, Py_ssize_t n, const double *mixing) noexcept nogil:
    """Whether all intercepts and slopes are 0."""
    cdef Py_ssize_t i
    for i in range(n_coefficients(proportions, n)):
        if mixing[i] != 0:
            return False
    return True


cdef void begin_at_held(const proportions_t *proportions, Py_ssize_t n, const double *counts, double total,
                        const double *information, double *mixing) noexcept nogil:
    """The first M-step of a gate that holds something: what is fitted makes the mean log odds those of the shares,
    intercepts where they are free, else slopes in proportion to the means of their columns. IN information of equal
    shares about the origin, which has the moments of the columns: nothing is about a pivot before this M-step."""
    cdef const context_t *context = context_of(proportions)
    cdef Py_ssize_t q = context.n_columns, k, j
    cdef double gap, reach, mean
    for k in range(1, n):
        gap, reach = log_odds(n, counts, total, k), 0
        if is_held(proportions, k, 0):
            gap -= context.held[k * (1 + q)]
        for j in range(q):
            mean = information[in_symmetric(1 + j, 0)] / information[0]
            if is_held(proportions, k, 1 + j):
                gap -= context.held[k * (1 + q) + 1 + j] * mean
            elif mean != 0:
                reach += mean * mean / (information[in_symmetric(1 + j, 1 + j)] / information[0])
        if not is_held(proportions, k, 0):
            mixing[k] = gap
        elif reach >= FAR_FROM_ZERO:
            for j in range(q):
                mean = information[in_symmetric(1 + j, 0)] / information[0]
                if mean != 0:
                    mixing[n + k * q + j] = gap / reach * mean / (information[in_symmetric(1 + j, 1 + j)]
                                                                  / information[0])
    put_held(proportions, n, mixing)


cdef int maximise_by_rows(const proportions_t *proportions, Py_ssize_t n, const double *counts, double total,
                          const double *stats, const double *pivot, bint is_first, double *work,
                          double *mixing) noexcept nogil:
    cdef const context_t *context = context_of(proportions)
    cdef Py_ssize_t q = context.n_columns, width = 1 + q, k, j
    cdef bint blocks = has_blocks(proportions, n)
    cdef Py_ssize_t order = (n - 1) * width if blocks else width
    cdef double *matrix = work
    cdef double *scale = matrix + order * order
    cdef double *right = scale + order
    cdef double *gradients = right + order
    cdef double *step = gradients + n * width
    cdef double mean, last
    cdef int status
    for k in range(n):  # the gradient by an intercept is the count less the sum of p(k | z): that gives the share
        mixing[n_coefficients(proportions, n) + k] = min(max((counts[k] - stats[k * width]) / total, 0.0), 1.0)
    if n == 1:
        return MIXFAST_OK
    if is_first and context.held != NULL:
        begin_at_held(proportions, n, counts, total, stats + n * width, mixing)
        if not is_zero(proportions, n, mixing):  # else statistics are those at `mixing`, and a step may be made
            return MIXFAST_OK
    memcpy(gradients, stats, n * width * sizeof(double))
    memset(step, 0, n * width * sizeof(double))
    for j in range(q):
        mean = mean_slope(n, q, mixing, j)
        for k in range(n):
            gradients[k * width + 1 + j] -= context.ridge * (mixing[n + k * q + j] - mean)
    if blocks:
        status = find_newton_step(proportions, n, total, gradients, stats + n * width, matrix, scale, right, step)
    else:
        status = find_bounded_step(proportions, n, gradients, stats + n * width, matrix, scale, right, step)
    if status == MIXFAST_NOT_FINITE:
        return status
    for k in range(1, n):
        mixing[k] += step[k * width]
        for j in range(q):
            last = mixing[n + k * q + j]
            mixing[n + k * q + j] += step[k * width + 1 + j]
            if fabs(mixing[n + k * q + j]) > LARGEST:
                mixing[n + k * q + j] = LARGEST if mixing[n + k * q + j] > 0 else -LARGEST
                step[k * width + 1 + j] = mixing[n + k * q + j] - last
                status |= MIXFAST_CAPPED_PARAMETER
            mixing[k] -= step[k * width + 1 + j] * pivot[context.first + j]
    put_held(proportions, n, mixing)
    return status


# ---- elsewhere ------------------------------------------------------------------------------------------------------

cdef inline double moved_by(const proportions_t *proportions, Py_ssize_t n, const double *last_mixing,
                            const double *mixing, const double *pivot, Py_ssize_t k, Py_ssize_t i) noexcept nogil:
    """By how much the intercept about the pivot, i = 0, or slope i - 1 of component k differs."""
    cdef const context_t *context = context_of(proportions)
    cdef Py_ssize_t q = context.n_columns, j
    cdef double total
    if i > 0:
        return mixing[n + k * q + i - 1] - last_mixing[n + k * q + i - 1]
    total = mixing[k] - last_mixing[k]
    for j in range(q):
        total += (mixing[n + k * q + j] - last_mixing[n + k * q + j]) * pivot[context.first + j]
    return total


cdef void recentre(const proportions_t *proportions, Py_ssize_t n, const double *last_mixing, const double *mixing,
                   const double *pivot, double *stats) noexcept nogil:
    """Gradients less the information times the step: those of the quadratic that Newton's step maximises, whose
    information is the same everywhere. Gradients of all components sum to 0, which gives that of component 0."""
    cdef Py_ssize_t width = 1 + context_of(proportions).n_columns, size = triangle(width), k, other, i, j
    cdef const double *information = stats + n * width
    cdef bint blocks = has_blocks(proportions, n)
    cdef double step, mean
    for i in range(width):
        for j in range(width):
            mean = 0
            for k in range(n):
                mean += moved_by(proportions, n, last_mixing, mixing, pivot, k, j) / <double> n
            for other in range(n):
                step = moved_by(proportions, n, last_mixing, mixing, pivot, other, j)
                if not blocks:
                    stats[other * width + i] -= 0.5 * information[in_symmetric(i, j)] * (step - mean)
                    continue
                for k in range(1, n if other > 0 else 0):
                    stats[k * width + i] -= ((1 if k == other else -1) * step
                                             * information[in_symmetric(k - 1, other - 1) * size + in_symmetric(i, j)])
    for i in range(width if blocks else 0):
        stats[i] = 0
        for k in range(1, n):
            stats[i] -= stats[k * width + i]


cdef double log_prior(const proportions_t *proportions, Py_ssize_t n, const double *mixing) noexcept nogil:
    cdef const context_t *context = context_of(proportions)
    cdef Py_ssize_t q = context.n_columns, k, j
    cdef double total = 0, mean
    for j in range(q):
        mean = mean_slope(n, q, mixing, j)
        for k in range(n):
            total += (mixing[n + k * q + j] - mean) ** 2
    return -0.5 * context.ridge * total


# ---- free numbers: those of all components but the first ------------------------------------------------------------

cdef Py_ssize_t n_free(const proportions_t *proportions, Py_ssize_t n) noexcept nogil:
    return (n - 1) * (1 + context_of(proportions).n_columns)


cdef void unconstrain(const proportions_t *proportions, Py_ssize_t n, const double *mixing,
                      double *numbers) noexcept nogil:
    cdef Py_ssize_t q = context_of(proportions).n_columns
    memcpy(numbers, mixing + 1, (n - 1) * sizeof(double))
    memcpy(numbers + n - 1, mixing + n + q, (n - 1) * q * sizeof(double))


cdef int constrain(const proportions_t *proportions, Py_ssize_t n, const double *numbers,
                   double *mixing) noexcept nogil:
    cdef Py_ssize_t q = context_of(proportions).n_columns, i
    memset(mixing, 0, n_coefficients(proportions, n) * sizeof(double))  # the shares stay
    memcpy(mixing + 1, numbers, (n - 1) * sizeof(double))
    memcpy(mixing + n + q, numbers + n - 1, (n - 1) * q * sizeof(double))
    put_held(proportions, n, mixing)
    for i in range(n * (1 + q)):
        if not fabs(mixing[i]) < 100 * LARGEST:
            return 1
    return 0


cdef class Gate(Proportions):
    """A gate whose z are `n_columns` of the encoded rows' columns from `first` on; `ridge` >= 0 penalises slopes.
    `held` (n_components, 1 + n_columns): intercepts and slopes that stay, NaN where they are fitted, or None; where an
    intercept is held the family has no pivot. Raises ValueError where so many coefficients have no exact step."""

    cdef context_t context
    cdef readonly Py_ssize_t first, n_columns
    cdef readonly double ridge
    cdef readonly object held
    cdef const double[:, ::1] kept

    def __cinit__(self, Py_ssize_t first, Py_ssize_t n_columns, double ridge, isa=None, held=None):
        self.first, self.n_columns, self.ridge, self.held = first, n_columns, ridge, held
        self.context.first, self.context.n_columns, self.context.ridge = first, n_columns, ridge
        if held is not None:
            self.kept = np.ascontiguousarray(held, dtype=np.float64)
            if self.kept.shape[1] != 1 + n_columns or self.kept.shape[0] < 1:
                raise ValueError(f"held is {held!r}, of a gate of {n_columns} columns")
            if (self.kept.shape[0] - 1) * (1 + n_columns) > LARGEST_ORDER:
                raise ValueError(
                    f"a gate of {self.kept.shape[0]} components and {n_columns} columns has more than {LARGEST_ORDER} "
                    "coefficients, of which none can be held: leave columns out of it, or hold nothing of the gate")
            self.context.held = &self.kept[0, 0]
        self.context.kernels = mixfast_select_gate(resolve_isa(isa))
        self.context.of_rows.n_scratch_columns, self.context.of_rows.n_stats = n_scratch_columns, n_stats
        self.context.of_rows.n_work, self.context.of_rows.add_terms = n_work, add_terms
        self.context.of_rows.accumulate, self.context.of_rows.maximise = accumulate, maximise_by_rows
        self.context.of_rows.recentre = recentre
        self.context.of_rows.further_start_passes, self.context.of_rows.may_overshoot = FURTHER_STEPS, True
        self.context.free_numbers.n_free = n_free
        self.context.free_numbers.unconstrain, self.context.free_numbers.constrain = unconstrain, constrain
        self.c = one_for_each(maximise)
        self.c.n_numbers, self.c.begin, self.c.log_weights = n_numbers, begin, log_weights
        self.c.log_prior, self.c.of_rows = log_prior, &self.context.of_rows
        self.c.free_numbers, self.c.context = &self.context.free_numbers, &self.context

    def __reduce__(self):
        return Gate, (self.first, self.n_columns, self.ridge, None, self.held)

    def n_parameters(self, n_components):
        n_held = 0 if self.held is None else np.count_nonzero(~np.isnan(self.held[1:]))
        return (n_components - 1) * (1 + self.n_columns) - n_held

    def stats_of_rows(self, n_components):
        cdef Py_ssize_t width = 1 + self.n_columns
        n_blocks = triangle(n_components - 1) if has_blocks(&self.c, n_components) else 1
        return {"gate_gradients": (n_components, width), "gate_information": (n_blocks, triangle(width))}
