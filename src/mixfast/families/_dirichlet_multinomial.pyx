"""The verbs of the Dirichlet-multinomial family.

    log p(x | k) = sum_j w(a_kj, x_j) - w(A_k, N),    w(a, n) = log Gamma(a + n) / (Gamma(a) n!),

with concentrations a_kj of sum A_k and the total N of the row. Rows are lists of cells (`_cells.pyx`), so log densities
are sums of a table over the cells of a row: loops over rows are those of linear families, in
`_kernels/sparse_linear.c`. w is the logarithm of the number of ways to choose n of a kinds, with repetition; dividing
by n! makes small what is large beside a log density, so that little is lost when the terms of a row are added up.

Parameters: a[K][d]. Statistics: weights[K][cells], the total weight of the rows that have each cell: histograms of the
counts of each column and of the row totals. Three kinds of concentrations are fitted: every a_kj free, one value for
each component, or a given sum in each component.

The M-step. For a column with the histogram h, the derivative of sum_n h_n w(a, n) is sum_n h_n sum_i 1 / (a + i), with
i from 0 to n - 1. With

    u = sum_n h_n sum_i a^2 / (a + i)^2,    v = sum_n h_n sum_i i / (a + i)^2,

u log a + v a has its first two derivatives. The same goes for the totals with the opposite sign, U log A + V A. Were
these the functions, the maximum would have a_j = u_j / (s - v_j) with one s for all columns, s = U / A + V. That is
Newton's step, whose Hessian is a diagonal and a matrix of rank one, but it cannot leave the domain, and for a column
without counts above one it is exact. A Gamma(shape, rate) prior of log a adds shape to u and rate to V. The step is
halved until the objective does not fall; Minka's fixed point, (u_j + v_j a_j) / s, raises it in any case.

Minka, "Estimating a Dirichlet distribution" (2000); Holmes, Harris & Quince, PLoS ONE 7 (2012),
doi:10.1371/journal.pone.0030126.
"""

from cpython.ref cimport Py_INCREF
from libc.math cimport INFINITY, exp, fabs, lgamma, log, sqrt
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from mixfast.engine._capsule cimport capsule_of, give_free_numbers
from mixfast.engine._family cimport MIXFAST_CAPPED_PARAMETER, MIXFAST_OK, family_t, totals_t
from mixfast.engine._special cimport (
    digamma,
    digamma_rise,
    lgamma_rise,
    log_minus_digamma,
    trigamma,
    trigamma_minus_reciprocal,
    trigamma_rise,
)
from mixfast.families._cells cimport Cells
from mixfast.families._linear cimport check_shape, coefficients_in, constant_in, linear_t, new_linear, sums_of, sums_t

import numpy as np

cdef enum:
    FEW = 16                   # Gamma(a + n) / Gamma(a) is computed as a product up to so many factors
    MAX_STEPS = 20             # Newton steps of one M-step, at most
    MAX_NEWTON = 100
    MAX_HALVINGS = 16

# The least concentration, and the largest sum of a component's concentrations. Beyond these limits densities do not
# change for totals below a million, and sums of logarithms would lose digits.
cdef double FLOOR = 1e-12
cdef double CAP = 1e12
# The sum of a component's concentrations at a start.
cdef double FIRST_SUM = 10
# A step that gains less, in nats per row, is the last of an M-step. On data of 278 samples in 130 taxa EM takes as many
# passes with M-steps to 1e-9 as with these, which are mostly one step.
cdef double ENOUGH = 1e-3
# A decrease of the objective by less than this share of the terms of the difference is rounding.
cdef double ROUNDING = 1e-12
# If derivatives do not determine a step, the sum of concentrations is changed by this factor, or a larger one.
cdef double LEAP = 4
# If the last step changed the sum by this factor or more, concentrations diverge: with counts that vary no more than
# multinomial ones each step doubles the sum and gains half as much as the step before.
cdef double GROWTH = 1.5

# Factors and ratios of factors between this and its reciprocal: products of FEW of them neither overflow nor underflow.
cdef double MODERATE = 1e18

cdef double[FEW + 1] RECIPROCAL_FACTORIAL
RECIPROCAL_FACTORIAL[0] = 1
for _n in range(1, FEW + 1):
    RECIPROCAL_FACTORIAL[_n] = RECIPROCAL_FACTORIAL[_n - 1] / _n


# u log a + v a
ctypedef struct surrogate_t:
    double u, v

# A component in its M-step: weights of its cells, and workspace [n_columns] for the surrogates u, v and for the point
# that a step goes to.
ctypedef struct component_t:
    const context_t *context
    const double *weights
    double count               # of its rows
    double *u
    double *v
    double *goal
    surrogate_t of_totals      # with the prior's rate

# A kind of constraint on concentrations (free, equal, given sum): functions that find where a step from a goes.
ctypedef void (*aim_fn)(component_t *, const double *a) noexcept nogil
ctypedef void (*keep_fn)(const context_t *, double *a) noexcept nogil

ctypedef struct tie_t:
    aim_fn aim                 # OUT goal: by Newton's step
    aim_fn aim_surely          # OUT goal: by a slower step that never lowers the objective; NULL: there is none
    aim_fn aim_at_limit        # OUT goal: at the largest sum; NULL: the sum is given
    keep_fn keep
    bint is_symmetric

ctypedef struct context_t:
    linear_t linear
    tie_t tie
    const double *count
    const int64_t *first
    Py_ssize_t n_columns
    double shape, rate
    double sum                 # of concentrations, where it is given


cdef inline const context_t *context_of(const family_t *f) noexcept nogil:
    return <const context_t *> f.context


cdef inline Py_ssize_t n_cells_of(const context_t *context, Py_ssize_t j) noexcept nogil:
    """Number of cells of column j; column n_columns stands for the row totals."""
    return context.first[j + 1] - context.first[j]


cdef double sum_of(const double *values, Py_ssize_t n) noexcept nogil:
    """The sum of n values, as four partial sums, which the processor can add at the same time."""
    cdef double[4] part
    cdef Py_ssize_t j = 0
    cdef int i
    for i in range(4):
        part[i] = 0
    while j + 4 <= n:
        for i in range(4):
            part[i] += values[j + i]
        j += 4
    while j < n:
        part[0] += values[j]
        j += 1
    return (part[0] + part[1]) + (part[2] + part[3])


# ---- the function w of a column -------------------------------------------------------------------------------------

cdef void log_ways(double a, Py_ssize_t n, const double *counts, double sign, double *out) noexcept nogil:
    """out = sign * w(a, counts)"""
    cdef double product = 1, log_gamma
    cdef Py_ssize_t j = 0
    cdef int i = 0
    while j < n and counts[j] <= FEW and a < MODERATE:
        while i < counts[j]:
            product *= a + i
            i += 1
        out[j] = sign * log(product * RECIPROCAL_FACTORIAL[i])
        j += 1
    if j == n:
        return
    log_gamma = lgamma(a)
    while j < n:
        out[j] = sign * log_ways_of_many(a, counts[j], log_gamma)
        j += 1


cdef inline double log_ways_of_many(double a, double n, double log_gamma) noexcept nogil:
    if n < a:
        return lgamma_rise(a, n) - lgamma(n + 1)
    if a < 1:
        return -lgamma_rise(n + a, 1 - a) - log_gamma
    return lgamma_rise(n + 1, a - 1) - log_gamma


cdef inline double gain(const context_t *context, const double *weights, Py_ssize_t j, double a, double b,
                        double extra) noexcept nogil:
    """Sum over the cells of column j of weights * (w(b, count) - w(a, count)), plus extra * log(b / a)."""
    cdef Py_ssize_t n = n_cells_of(context, j)
    cdef const double *counts = context.count + context.first[j]
    if a == b:
        return 0
    if n == 1 and counts[0] == 1:
        return (weights[context.first[j]] + extra) * log_ratio(b, a)
    return (gain_of_many(n, counts, weights + context.first[j], a, b, b - a)
            + (extra * log_ratio(b, a) if extra > 0 else 0))


cdef inline double log_ratio(double b, double a) noexcept nogil:
    cdef double ratio = b / a
    return log(ratio) if 1 / MODERATE < ratio < MODERATE else log(b) - log(a)


cdef double gain_of_many(Py_ssize_t n, const double *counts, const double *weights, double a, double b,
                         double step) noexcept nogil:
    """Sum of weights * (w(b, counts) - w(a, counts)). `step` is b - a, given because the difference may have lost
    digits."""
    cdef double product = 1, logs = 0, total = 0
    cdef Py_ssize_t j = 0
    cdef int i = 0
    cdef bint is_moderate = 1 / MODERATE < b / a < MODERATE
    while j < n and counts[j] <= FEW:
        while i < counts[j]:
            if is_moderate:
                product *= (b + i) / (a + i)
            else:
                logs += log_ratio(b + i, a + i)
            i += 1
        total += weights[j] * (log(product) if is_moderate else logs)
        j += 1
    if j == n:
        return total
    if step < 0:
        return total - rise_of_many(n - j, counts + j, weights + j, b, -step)
    return total + rise_of_many(n - j, counts + j, weights + j, a, step)


cdef inline double rise_of_many(Py_ssize_t n, const double *counts, const double *weights, double a,
                                double step) noexcept nogil:
    """The same by `lgamma_rise`. `step` is passed on, since (a + step + count) - (a + count) would round. The rise is
    taken over the smaller of step and count, so that no digits are lost for large a."""
    cdef double total = 0, of_gamma = lgamma_rise(a, step)
    cdef Py_ssize_t j
    for j in range(n):
        if step > counts[j]:
            total += weights[j] * (lgamma_rise(a + step, counts[j]) - lgamma_rise(a, counts[j]))
        else:
            total += weights[j] * (lgamma_rise(a + counts[j], step) - of_gamma)
    return total


cdef inline surrogate_t surrogate(const context_t *context, const double *weights, Py_ssize_t j,
                                  double a) noexcept nogil:
    """u and v of column j at concentration a."""
    cdef surrogate_t s
    cdef Py_ssize_t n = n_cells_of(context, j)
    cdef const double *counts = context.count + context.first[j]
    s.u = s.v = 0
    if n == 1 and counts[0] == 1:
        s.u = weights[context.first[j]]
    elif n > 0:
        add_surrogates(n, counts, weights + context.first[j], a, &s)
    return s


cdef void add_surrogates(Py_ssize_t n, const double *counts, const double *weights, double a,
                         surrogate_t *s) noexcept nogil:
    """Add the cells' contributions to u and v. The factor i = 0 contributes to u alone; the rest are rises from a +
    1."""
    cdef double u = 1, v = 0, r, first, second, of_b, slope_of_b
    cdef Py_ssize_t j = 0
    cdef int i = 1
    while j < n and counts[j] <= FEW:
        while i < counts[j]:
            r = 1 / (a + i)
            u += a * r * (a * r)
            v += i * r * r
            i += 1
        if counts[j] > 0:
            s.u += weights[j] * u
            s.v += weights[j] * v
        j += 1
    if j == n:
        return
    of_b, slope_of_b = digamma(a + 1), trigamma(a + 1)
    while j < n:
        r = a + counts[j]
        if a < counts[j]:
            first = log(r) - log_minus_digamma(r) - of_b
            second = 1 / r + trigamma_minus_reciprocal(r) - slope_of_b
        else:
            first, second = digamma_rise(a + 1, counts[j] - 1), trigamma_rise(a + 1, counts[j] - 1)
        s.u += weights[j] * (1 - a * a * second)
        s.v += weights[j] * (first + a * second)
        j += 1


# ---- where a step goes ----------------------------------------------------------------------------------------------

cdef void approximate(component_t *c, const double *a) noexcept nogil:
    """OUT c.u, c.v [n_columns], c.of_totals: surrogates at a, with those of the prior added."""
    cdef const context_t *context = c.context
    cdef Py_ssize_t d = context.n_columns, j
    cdef double shape = 0 if context.tie.is_symmetric else context.shape
    cdef surrogate_t s
    for j in range(d):
        s = surrogate(context, c.weights, j, a[j])
        c.u[j], c.v[j] = s.u + shape, s.v
    c.of_totals = surrogate(context, c.weights, d, sum_of(a, d))
    if not context.tie.is_symmetric:
        c.of_totals.v += context.rate


cdef inline void share_out(const component_t *c, double s) noexcept nogil:
    """goal = u / (s - v)"""
    cdef Py_ssize_t j
    for j in range(c.context.n_columns):
        c.goal[j] = max(c.u[j] / (s - c.v[j]), FLOOR) if c.u[j] > 0 else FLOOR


cdef void sum_shares(const component_t *c, double s, double *total, double *slope) noexcept nogil:
    """The sum of u / (s - v), and minus its derivative."""
    cdef Py_ssize_t d = c.context.n_columns, j = 0
    cdef const double *u = c.u
    cdef const double *v = c.v
    cdef double[4] part, part_of_slope
    cdef double r
    cdef int i
    for i in range(4):
        part[i] = part_of_slope[i] = 0
    while j + 4 <= d:
        for i in range(4):
            r = 1 / (s - v[j + i])
            part[i] += u[j + i] * r
            part_of_slope[i] += u[j + i] * r * r
        j += 4
    while j < d:
        r = 1 / (s - v[j])
        part[0] += u[j] * r
        part_of_slope[0] += u[j] * r * r
        j += 1
    total[0] = (part[0] + part[1]) + (part[2] + part[3])
    slope[0] = (part_of_slope[0] + part_of_slope[1]) + (part_of_slope[2] + part_of_slope[3])


cdef inline void bracket(const component_t *c, double total, double *low, double *start) noexcept nogil:
    """OUT low: a lower bound of s; start: a value of s from which on no column's share is above `total`."""
    cdef Py_ssize_t j
    low[0] = start[0] = -INFINITY
    for j in range(c.context.n_columns):
        if c.u[j] > 0:
            low[0] = max(low[0], c.v[j])
            start[0] = max(start[0], c.v[j] + c.u[j] / total)


cdef bint share_out_at_maximum(const component_t *c, double total) noexcept nogil:
    """OUT goal: the maximum of the surrogates. Returns whether there is one.

    The equation is U / (sum of shares at s) = s - V. Its left side is concave in s, so it has up to two solutions; the
    larger one is the maximum, and Newton's method converges to it from the right.
    """
    cdef double low, s, last, shares, slope, above
    cdef surrogate_t of_totals = c.of_totals
    cdef bint is_falling = False
    cdef int _round
    if not sum_of(c.u, c.context.n_columns) > of_totals.u:
        return False
    bracket(c, total, &low, &s)
    s = max(s, of_totals.u / total + of_totals.v)
    for _round in range(MAX_NEWTON):
        sum_shares(c, s, &shares, &slope)
        above = of_totals.u / shares - (s - of_totals.v)
        slope = of_totals.u * slope / (shares * shares) - 1
        if slope < 0:
            is_falling = True
            last = s
            s -= above / slope
            if not s > low:
                return False
            if fabs(s - last) <= 1e-6 * (s - low):
                share_out(c, s)
                return True
        elif is_falling:
            return False
        else:
            s += s - low
    return False


cdef void share_out_sum(const component_t *c, double total) noexcept nogil:
    """OUT goal with a given sum. 1 / (sum of shares at s) is concave in s, so Newton's method converges from the
    left."""
    cdef double low, s, last, shares, slope
    cdef int _round
    bracket(c, total, &low, &s)
    for _round in range(MAX_NEWTON):
        sum_shares(c, s, &shares, &slope)
        last = s
        s += (1 / total - 1 / shares) * shares * shares / slope
        if fabs(s - last) <= 1e-6 * (s - low):
            break
    share_out(c, s)


cdef double sum_counts(const component_t *c, double extra, double *out) noexcept nogil:
    """OUT out[n_columns]: weighted sum of each column's counts, plus `extra`. Returns the sum of these."""
    cdef double total = 0
    cdef Py_ssize_t j, i
    for j in range(c.context.n_columns):
        out[j] = extra
        for i in range(c.context.first[j], c.context.first[j + 1]):
            out[j] += c.weights[i] * c.context.count[i]
        total += out[j]
    return total


cdef void aim_at_multinomial(component_t *c, const double *a) noexcept nogil:
    """OUT goal at the largest sum, in proportion to the counts: the multinomial limit, for counts without
    overdispersion."""
    cdef double total = sum_counts(c, c.context.shape, c.goal)
    cdef Py_ssize_t j
    for j in range(c.context.n_columns):
        c.goal[j] = max(CAP * (c.goal[j] / total), FLOOR)


cdef inline double slope_in_sum(const component_t *c, const double *a, double total) noexcept nogil:
    """Derivative of the objective by log c at c = 1, if all concentrations are multiplied by c."""
    cdef double gained = 0
    cdef Py_ssize_t j
    for j in range(c.context.n_columns):
        gained += c.u[j] + c.v[j] * a[j]
    return gained - (c.of_totals.u + c.of_totals.v * total)


cdef void aim_freely(component_t *c, const double *a) noexcept nogil:
    cdef Py_ssize_t d = c.context.n_columns, j
    cdef double total = sum_of(a, d)
    if sum_of(c.u, d) == 0:  # no counts, and at most a rate
        for j in range(d):
            c.goal[j] = FLOOR if c.of_totals.v > 0 else a[j]
    elif share_out_at_maximum(c, total):
        if sum_of(c.goal, d) > CAP:
            aim_at_multinomial(c, a)
    elif slope_in_sum(c, a, total) > 0:
        aim_at_multinomial(c, a)
        if LEAP * total < CAP and not gain_of(c, a) > 0:
            share_out_sum(c, LEAP * total)
    else:
        share_out_sum(c, min(total / LEAP, sqrt(total)))


cdef void keep_below_cap(const context_t *context, double *a) noexcept nogil:
    cdef Py_ssize_t j
    cdef double total = sum_of(a, context.n_columns)
    for j in range(context.n_columns):
        a[j] = max(a[j] * min(1.0, CAP / total), FLOOR)


cdef void aim_at_fixed_point(component_t *c, const double *a) noexcept nogil:
    cdef double s = c.of_totals.u / sum_of(a, c.context.n_columns) + c.of_totals.v
    cdef Py_ssize_t j
    for j in range(c.context.n_columns):
        c.goal[j] = (c.u[j] + c.v[j] * a[j]) / s if s > 0 else a[j]
    keep_below_cap(c.context, c.goal)


# One concentration for all columns of a component.

cdef inline void fill(const context_t *context, double *a, double value) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(context.n_columns):
        a[j] = value


cdef void aim_symmetrically(component_t *c, const double *a) noexcept nogil:
    cdef Py_ssize_t d = c.context.n_columns
    cdef double u = sum_of(c.u, d) + c.context.shape, v = sum_of(c.v, d), one = a[0]
    cdef double slope = d * c.of_totals.v + c.context.rate - v
    if u > c.of_totals.u and slope > 0:
        one = (u - c.of_totals.u) / slope
    elif u + v * one > c.of_totals.u + (d * c.of_totals.v + c.context.rate) * one:
        one *= LEAP
    elif u > 0 or c.context.rate > 0:
        one = min(one / LEAP, sqrt(one))
    fill(c.context, c.goal, one)
    keep_symmetric(c.context, c.goal)


cdef void keep_symmetric(const context_t *context, double *a) noexcept nogil:
    fill(context, a, min(max(a[0], FLOOR), CAP / context.n_columns))


cdef void aim_at_equal_shares(component_t *c, const double *a) noexcept nogil:
    fill(c.context, c.goal, CAP / <double> c.context.n_columns)


cdef void aim_at_symmetric_fixed_point(component_t *c, const double *a) noexcept nogil:
    cdef Py_ssize_t d = c.context.n_columns
    cdef double s = d * (c.of_totals.u / sum_of(a, d) + c.of_totals.v) + c.context.rate
    fill(c.context, c.goal, (sum_of(c.u, d) + c.context.shape + sum_of(c.v, d) * a[0]) / s if s > 0 else a[0])
    keep_symmetric(c.context, c.goal)


# Concentrations of a given sum.

cdef void aim_at_sum(component_t *c, const double *a) noexcept nogil:
    cdef Py_ssize_t j
    if sum_of(c.u, c.context.n_columns) > 0:
        share_out_sum(c, c.context.sum)
    else:
        for j in range(c.context.n_columns):
            c.goal[j] = a[j]


cdef void keep_sum(const context_t *context, double *a) noexcept nogil:
    cdef Py_ssize_t j
    cdef double factor = context.sum / sum_of(a, context.n_columns)
    for j in range(context.n_columns):
        a[j] = max(a[j] * factor, FLOOR)


cdef tie_t FREE, SYMMETRIC, FIXED
FREE.aim, FREE.aim_surely, FREE.aim_at_limit = aim_freely, aim_at_fixed_point, aim_at_multinomial
FREE.keep, FREE.is_symmetric = keep_below_cap, False
SYMMETRIC.aim, SYMMETRIC.aim_surely = aim_symmetrically, aim_at_symmetric_fixed_point
SYMMETRIC.aim_at_limit, SYMMETRIC.keep, SYMMETRIC.is_symmetric = aim_at_equal_shares, keep_symmetric, True
FIXED.aim, FIXED.aim_surely, FIXED.aim_at_limit = aim_at_sum, NULL, NULL
FIXED.keep, FIXED.is_symmetric = keep_sum, False


# ---- the M-step -----------------------------------------------------------------------------------------------------

cdef double gain_of(component_t *c, const double *a) noexcept nogil:
    """Objective at the goal minus objective at a; a decrease within rounding counts as 0."""
    cdef const context_t *context = c.context
    cdef Py_ssize_t d = context.n_columns, j
    cdef double shape = 0 if context.tie.is_symmetric else context.shape
    cdef double own, total = 0, size = 0, before = sum_of(a, d)
    cdef double change = 0     # of the sum; the difference of two sums would be rounding, once steps are small
    for j in range(d):
        own = gain(context, c.weights, j, a[j], c.goal[j], shape)
        total += own
        size += fabs(own)
        change += c.goal[j] - a[j]
    own = gain_of_many(n_cells_of(context, d), context.count + context.first[d], c.weights + context.first[d], before,
                       before + change, change)
    total -= own
    size += fabs(own)
    if context.tie.is_symmetric:
        own = context.shape * log(c.goal[0] / a[0]) - context.rate * (c.goal[0] - a[0])
    else:
        own = -context.rate * change
    total += own
    size += fabs(own)
    return 0 if -ROUNDING * (size + c.count) <= total < 0 else total


cdef inline void go(const component_t *c, double *a) noexcept nogil:
    memcpy(a, c.goal, c.context.n_columns * sizeof(double))


cdef double step(component_t *c, double *a) noexcept nogil:
    """One step of the M-step, halved until the objective does not fall. IN and OUT a. Returns the gain."""
    cdef const context_t *context = c.context
    cdef Py_ssize_t j
    cdef double gained
    cdef int i
    approximate(c, a)
    context.tie.aim(c, a)
    for i in range(MAX_HALVINGS + 1):
        if i == MAX_HALVINGS:
            if context.tie.aim_surely == NULL:
                return 0
            context.tie.aim_surely(c, a)
        gained = gain_of(c, a)
        if gained >= 0:
            go(c, a)
            return gained
        for j in range(context.n_columns):
            c.goal[j] = sqrt(a[j] * c.goal[j])
        context.tie.keep(context, c.goal)
    return 0


cdef void begin_component(component_t *c, double *a) noexcept nogil:
    """OUT a: first concentrations, in proportion to the counts of the columns."""
    cdef const context_t *context = c.context
    cdef double total = sum_counts(c, 0, a)
    cdef Py_ssize_t j
    for j in range(context.n_columns):
        a[j] = max(a[j] / total * FIRST_SUM, FLOOR) if total > 0 else 1
    if context.tie.is_symmetric:
        a[0] = FIRST_SUM / <double> context.n_columns
    context.tie.keep(context, a)


cdef int maximise_component(const family_t *f, Py_ssize_t k, const totals_t *totals, const double *work,
                            double *own_work, double *params) noexcept nogil:
    """M-step of component k. Concentrations that are all 0 mark a start. An empty component keeps its concentrations,
    since other ones might lower the log prior in the objective; at a start it gets those of all rows."""
    cdef component_t c
    cdef sums_t sums = sums_of(f, totals, work)
    cdef double *a
    cdef double before = 0
    cdef int _round
    cdef bint is_known
    c.context = context_of(f)
    c.weights, c.count = sums.of_components + k * f.n_features, totals.counts[k]
    c.u, c.v, c.goal = own_work, own_work + c.context.n_columns, own_work + 2 * c.context.n_columns
    a = params + k * c.context.n_columns
    is_known = sum_of(a, c.context.n_columns) > 0
    if c.count == 0:
        if is_known:
            return MIXFAST_OK
        c.weights, c.count = sums.of_all, sums.total
    if not is_known:
        begin_component(&c, a)
    for _round in range(MAX_STEPS):
        before = sum_of(a, c.context.n_columns)
        if step(&c, a) < ENOUGH * c.count:
            break
    if c.context.tie.aim_at_limit == NULL:
        return MIXFAST_OK
    if sum_of(a, c.context.n_columns) > GROWTH * before:
        c.context.tie.aim_at_limit(&c, a)
        if gain_of(&c, a) >= 0:
            go(&c, a)
    return MIXFAST_CAPPED_PARAMETER if sum_of(a, c.context.n_columns) > 0.99 * CAP else MIXFAST_OK


# ---- the other verbs ------------------------------------------------------------------------------------------------

cdef void prepare_component(const family_t *f, Py_ssize_t k, const double *log_weights, const double *params,
                            double *own_work, double *work) noexcept nogil:
    cdef const context_t *context = context_of(f)
    cdef Py_ssize_t d = context.n_columns, j
    cdef const double *a = params + k * d
    cdef double *coefficients = coefficients_in(f, work, k)
    for j in range(d):
        log_ways(a[j], n_cells_of(context, j), context.count + context.first[j], 1, coefficients + context.first[j])
    log_ways(sum_of(a, d), n_cells_of(context, d), context.count + context.first[d], -1,
             coefficients + context.first[d])
    constant_in(f, work, k)[0] = log_weights[k]


cdef double log_prior(const family_t *f, const double *params) noexcept nogil:
    """sum of log density of log a, for a ~ Gamma(shape, rate); up to a constant where one of them is zero."""
    cdef const context_t *context = context_of(f)
    cdef Py_ssize_t stride = context.n_columns if context.tie.is_symmetric else 1, i = 0
    cdef double logs = 0, sums = 0, product
    cdef int _factor
    if context.shape == 0 and context.rate == 0:
        return 0
    while i < f.n_params:
        product = 1
        for _factor in range(8):  # of numbers between 1e-38 and 1e38: a logarithm for all
            if i < f.n_params:
                product *= params[i]
                sums += params[i]
                i += stride
        logs += log(product)
    logs = context.shape * logs if context.shape > 0 else 0
    if context.shape > 0 and context.rate > 0:
        logs += <double> (f.n_params // stride) * (context.shape * log(context.rate) - lgamma(context.shape))
    return logs - context.rate * sums


cdef int unconstrain(const family_t *f, const double *params, double *numbers) noexcept nogil:
    """Logarithms."""
    cdef const context_t *context = context_of(f)
    cdef Py_ssize_t stride = context.n_columns if context.tie.is_symmetric else 1, i
    for i in range(f.free_numbers.n_free):
        numbers[i] = log(params[i * stride])
    return 0


cdef int constrain(const family_t *f, const double *numbers, double *work, double *params) noexcept nogil:
    cdef const context_t *context = context_of(f)
    cdef Py_ssize_t stride = context.n_columns if context.tie.is_symmetric else 1, i, k
    cdef double total
    for i in range(f.free_numbers.n_free):
        params[i * stride] = exp(numbers[i])
    for k in range(f.n_components):
        total = params[k * context.n_columns] if stride > 1 else sum_of(
            params + k * context.n_columns, context.n_columns)
        if not total < INFINITY:
            return 1
        context.tie.keep(context, params + k * context.n_columns)
    return 0


cdef object bind(tie_t tie, Cells cells, Py_ssize_t n_components, int real_bytes, object isa, double shape,
                 double rate, double total):
    check_shape(n_components, cells.n_columns, real_bytes)
    cdef family_t *f = new_linear(sizeof(context_t), n_components, len(cells), real_bytes, isa, True)
    cdef context_t *context = <context_t *> f.context
    context.tie, context.shape, context.rate, context.sum = tie, shape, rate, total
    context.count, context.first, context.n_columns = cells.count, cells.first, cells.n_columns
    f.n_params = n_components * cells.n_columns
    f.n_own_work = 3 * cells.n_columns
    f.flops_per_component = 100 * len(cells) + 50 * cells.n_columns
    f.prepare_component, f.maximise_component, f.log_prior = prepare_component, maximise_component, log_prior
    give_free_numbers(f, n_components if tie.is_symmetric else f.n_params, unconstrain, constrain)
    f.owner = <void *> cells   # whose arrays the context looks at
    Py_INCREF(cells)
    return capsule_of(f)


def bind_free(cells, n_components, real_bytes, isa, shape, rate):
    return bind(FREE, cells, n_components, real_bytes, isa, shape, rate, 0)


def bind_symmetric(cells, n_components, real_bytes, isa, shape, rate):
    return bind(SYMMETRIC, cells, n_components, real_bytes, isa, shape, rate, 0)


def bind_fixed(cells, n_components, real_bytes, isa, shape, total):
    return bind(FIXED, cells, n_components, real_bytes, isa, shape, 0, total)


def surrogates(Cells cells, const double[::1] weights, const double[::1] concentrations):
    """(u, v) of each column and of the totals, whose concentration is the last: u log a + v a has the first two
    derivatives of the sum over the cells of weights * w."""
    cdef Py_ssize_t n = concentrations.shape[0], j
    cdef context_t context
    cdef surrogate_t s
    if n != cells.n_columns + 1 or weights.shape[0] != len(cells):
        raise ValueError(f"{n} concentrations and {weights.shape[0]} weights for {cells.n_columns} columns and "
                         f"{len(cells)} cells")
    context.count, context.first = cells.count, cells.first
    out = np.empty((2, n))
    cdef double[:, ::1] view = out
    for j in range(n):
        s = surrogate(&context, &weights[0], j, concentrations[j])
        view[0, j], view[1, j] = s.u, s.v
    return out
