"""The verbs of the Bernoulli family; loops over rows are in `_kernels/linear.c` and `sparse_linear.c`.

Parameters: probabilities[K][d]. Statistics: ones[K][d], the weighted number of ones. With a Beta(1 + alpha, 1 + alpha)
prior on each probability the M-step is p = (ones + alpha) / (N + 2 alpha), and EM increases the log-likelihood plus
alpha * sum of log p + log(1 - p).

With missing entries, encoded rows have d + n_missing + 1 columns: d indicators of a one; n_missing indicators, for the
columns with missing entries, of "not zero", that is one or missing; and a last column of ones. The last sum is the
weight of all rows, rounded like the other sums, so that differences are exactly 0 for a column that was never observed.
"""

from libc.float cimport DBL_EPSILON, DBL_MIN, FLT_EPSILON
from libc.math cimport INFINITY, exp, isinf, log, log1p
from libc.stdint cimport int32_t

from mixfast.engine._capsule cimport capsule_of, give_free_numbers
from mixfast.engine._family cimport MIXFAST_OK, family_t, stream_t, totals_t
from mixfast.families._edge cimport is_left_by_prior
from mixfast.families._linear cimport check_shape, coefficients_in, constant_in, linear_t, new_linear, sums_of, sums_t

ctypedef struct context_t:
    linear_t linear
    double alpha
    Py_ssize_t n_probabilities    # d, probabilities of a component
    Py_ssize_t n_missing
    int32_t missing[1]            # the first of n_missing columns


cdef inline const context_t *context_of(const family_t *f) noexcept nogil:
    return <const context_t *> f.context


cdef void prepare_component(const family_t *f, Py_ssize_t k, const double *log_weights, const double *params,
                            double *own_work, double *work) noexcept nogil:
    """log p(x) = sum_j log(1 - p_j) + x . log odds"""
    cdef const context_t *context = context_of(f)
    cdef Py_ssize_t d = context.n_probabilities, j, m
    cdef const double *probabilities = params + k * d
    cdef double *log_odds = coefficients_in(f, work, k)
    cdef double *not_zero = log_odds + d
    cdef double constant = log_weights[k], p
    for j in range(d):
        p = probabilities[j]
        if p <= 0:
            log_odds[j] = -INFINITY
        elif p >= 1:
            log_odds[j] = INFINITY
        else:
            constant += log1p(-p)
            log_odds[j] = log(p) - log1p(-p)
    constant_in(f, work, k)[0] = constant
    if context.n_missing == 0:
        return
    for m in range(context.n_missing):
        j = context.missing[m]
        p = probabilities[j]
        log_odds[j] = log(p)
        if p <= 0:
            not_zero[m] = 0
        elif p >= 1:
            not_zero[m] = INFINITY
        else:
            not_zero[m] = -log1p(-p)
    not_zero[context.n_missing] = 0


cdef int maximise_component(const family_t *f, Py_ssize_t k, const totals_t *totals, const double *work,
                            double *own_work, double *params) noexcept nogil:
    """New probabilities of component k. An empty component gets those of all rows, and so does a column in which none
    of the component's rows has an entry."""
    cdef const context_t *context = context_of(f)
    cdef Py_ssize_t d = context.n_probabilities, j, m
    cdef sums_t sums = sums_of(f, totals, work)
    cdef const double *own = sums.of_components + k * f.n_features
    cdef double count = totals.counts[k], alpha = context.alpha, most = most_of(f, totals, sums.total)
    cdef double *probabilities = params + k * d
    if count == 0:
        own, count = sums.of_all, sums.total
    for j in range(d):
        probabilities[j] = share_of(own[j], count, alpha, most)
    for m in range(context.n_missing):
        j = context.missing[m]
        count = n_observed(context, own, m)
        if count > 0 or alpha > 0:
            probabilities[j] = share_of(own[j], count, alpha, most)
        else:
            probabilities[j] = share_of(sums.of_all[j], n_observed(context, sums.of_all, m), alpha, most)
    return MIXFAST_OK


cdef inline double share_of(double ones, double count, double alpha, double most) noexcept nogil:
    """(ones + alpha) / (count + 2 alpha), or 1/2 if the denominator is 0. At most `most`, since a sum of
    responsibilities may round past the count. With a prior it is above 0 too, even if alpha is lost to rounding beside
    the count."""
    if count + 2 * alpha == 0:
        return 0.5
    return min(max((ones + alpha) / (count + 2 * alpha), 0.0 if alpha == 0 else DBL_MIN), most)


cdef inline double most_of(const family_t *f, const totals_t *totals, double total) noexcept nogil:
    """The largest probability. It is below 1 where a zero entry may have been lost to rounding in the sums: the row
    with that entry would become impossible. Some component has at least 1/K of that row, and a sum over a chunk has an
    error of about sqrt(480) roundings."""
    cdef double rounding = 32 * (DBL_EPSILON if f.real_bytes == 8 else FLT_EPSILON)
    if context_of(f).alpha > 0 or totals.least_weight <= <double> f.n_components * rounding * total:
        return 1 - DBL_EPSILON
    return 1


cdef inline double n_observed(const context_t *context, const double *sums, Py_ssize_t m) noexcept nogil:
    """Total weight of the entries that are observed in a column. `m` is its place among columns with missing
    entries."""
    cdef const double *not_zero = sums + context.n_probabilities
    return sums[context.missing[m]] + (not_zero[context.n_missing] - not_zero[m])


cdef double log_prior(const family_t *f, const double *params) noexcept nogil:
    cdef double alpha = context_of(f).alpha, total = 0
    cdef Py_ssize_t i
    if alpha == 0:
        return 0
    for i in range(f.n_params):
        total += log(params[i]) + log1p(-params[i])
    return alpha * total


cdef int unconstrain(const family_t *f, const double *params, double *numbers) noexcept nogil:
    """OUT numbers: log odds; infinite for probabilities of 0 and 1."""
    cdef Py_ssize_t i
    for i in range(f.n_params):
        numbers[i] = log(params[i]) - log1p(-params[i])
    return 0


cdef int constrain(const family_t *f, const double *numbers, double *work, double *params) noexcept nogil:
    """OUT params: probabilities. Finite log odds never round to 0 or 1, which would make rows impossible."""
    cdef Py_ssize_t i
    for i in range(f.n_params):
        params[i] = 1 / (1 + exp(-numbers[i]))
        if not isinf(numbers[i]):
            params[i] = min(max(params[i], DBL_MIN), 1 - DBL_EPSILON)
    return 0


cdef void draw_row(const family_t *f, Py_ssize_t k, const double *params, stream_t *stream,
                   double *row) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(f.n_features):
        row[j] = stream.uniform(stream) < params[k * f.n_features + j]


def bind_bernoulli(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa, bint is_sparse,
                   double alpha, const int32_t[::1] missing):
    """The capsule. `missing`: numbers of the columns with missing entries; if there are any, n_features is the number
    of encoded columns, those added for them included."""
    cdef Py_ssize_t n_missing = missing.shape[0], m
    cdef Py_ssize_t n_probabilities = n_features - (n_missing + 1 if n_missing else 0)
    check_shape(n_components, n_probabilities, real_bytes)
    cdef size_t context_bytes = sizeof(context_t) + n_missing * sizeof(int32_t)
    cdef family_t *f = new_linear(context_bytes, n_components, n_features, real_bytes, isa, is_sparse)
    cdef context_t *context = <context_t *> f.context
    context.alpha, context.n_probabilities, context.n_missing = alpha, n_probabilities, n_missing
    for m in range(n_missing):
        context.missing[m] = missing[m]
    f.n_params = n_components * n_probabilities
    f.prepare_component, f.maximise_component, f.log_prior = prepare_component, maximise_component, log_prior
    give_free_numbers(f, f.n_params, unconstrain, constrain)
    if n_missing == 0:
        f.draw_row = draw_row
    f.starts_inside = not is_left_by_prior(alpha)
    return capsule_of(f)
