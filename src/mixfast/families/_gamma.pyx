"""The verbs of the Gamma and the exponential family; loops over rows are in `_kernels/linear.c`.

Gamma: rows are encoded as x and log x, 2d columns. Parameters: shapes[K][d], scales[K][d]. Statistics: sums[K][2d].
With m the mean of x and s = log m - mean of log x, the M-step is log a - psi(a) = s and scale m / a.

Exponential: parameters: rates[K][d]; statistics: sums[K][d], of x. The M-step is rate 1 / m.

Both have further columns for those with missing entries, and sums of these: `new_columnwise` in `_linear.pyx`.
"""

from libc.float cimport DBL_MAX, DBL_MIN, FLT_MAX, FLT_MIN
from libc.math cimport exp, fabs, isfinite, lgamma, log, log1p, sqrt
from libc.stdint cimport int32_t

from mixfast.engine._capsule cimport capsule_of, give_free_numbers
from mixfast.engine._family cimport (
    MIXFAST_CAPPED_PARAMETER,
    MIXFAST_NOT_FINITE,
    MIXFAST_OK,
    MIXFAST_SPURIOUS_COMPONENT,
    family_t,
    stream_t,
    totals_t,
)
from mixfast.engine._special cimport log_minus_digamma, trigamma_minus_reciprocal
from mixfast.families._linear cimport (
    coefficients_in,
    constant_in,
    constant_of,
    linear_t,
    new_columnwise,
    sums_of,
    sums_t,
    weight_there,
)

ctypedef struct context_t:
    linear_t linear
    Py_ssize_t n_columns    # d, those of the user
    double most    # the largest shape or rate
    double least_scale, most_scale    # the range of normal numbers in the precision of the user's rows


cdef inline double most_of(const family_t *f) noexcept nogil:
    return (<const context_t *> f.context).most


cdef inline Py_ssize_t n_columns_of(const family_t *f) noexcept nogil:
    return (<const context_t *> f.context).n_columns


cdef inline bint is_scale(const family_t *f, double scale) noexcept nogil:
    cdef const context_t *context = <const context_t *> f.context
    return context.least_scale <= scale <= context.most_scale


# Where shapes are capped, at a standard deviation of a thousandth of the mean. The terms of the log density, some shape
# times log x, nearly cancel: it has an error of 1e-9 here. In float32 it would have one of 0.7 nats where the standard
# deviation is a hundredth of the mean, so whatever the rows are, all is computed in float64.
cdef double LARGEST_SHAPE = 1e6


cdef double largest_rate(int bytes_of_rows):
    """Where rates are capped: only zeros have larger ones. It is finite in the precision of the rows."""
    return 1e300 if bytes_of_rows == 8 else 1e30


# ---- Gamma ----

cdef void prepare_gamma(const family_t *f, Py_ssize_t k, const double *log_weights, const double *params,
                        double *own_work, double *work) noexcept nogil:
    """log p(x) = sum_j (a_j - 1) log x_j - x_j / scale_j - a_j log scale_j - log Gamma(a_j)"""
    cdef Py_ssize_t d = n_columns_of(f), j
    cdef const double *shapes = params + k * d
    cdef const double *scales = params + (f.n_components + k) * d
    cdef double *coefficients = coefficients_in(f, work, k)
    cdef double constant = log_weights[k]
    for j in range(2 * d, f.n_features):
        coefficients[j] = 0
    for j in range(d):
        coefficients[j] = -1 / scales[j]
        coefficients[d + j] = shapes[j] - 1
        constant_of(f, j, coefficients, &constant)[0] -= shapes[j] * log(scales[j]) + lgamma(shapes[j])
    constant_in(f, work, k)[0] = constant


cdef double shape_of(double s) noexcept nogil:
    """The root of log a - psi(a) = s > 0: Newton's method in 1 / a, from a start that is right to a hundredth: Minka,
    "Estimating a Gamma distribution", 2002."""
    cdef double a = (3 - s + sqrt((s - 3) * (s - 3) + 24 * s)) / (12 * s), previous
    cdef int _step
    for _step in range(20):  # 4 at most were seen
        previous = a
        a = 1 / (1 / a - (log_minus_digamma(a) - s) / (a * a * trigamma_minus_reciprocal(a)))
        if fabs(a - previous) <= 1e-15 * a:
            break
    return a


cdef int maximise_gamma(const family_t *f, Py_ssize_t k, const totals_t *totals, const double *work, double *own_work,
                        double *params) noexcept nogil:
    """An empty component has the parameters of all rows, and so has a column of which it has no entry. A column of
    which all rows that count, those that a start begins with, have none stays as it is."""
    cdef Py_ssize_t d = n_columns_of(f), j
    cdef sums_t sums = sums_of(f, totals, work)
    cdef const double *own
    cdef double *shapes = params + k * d
    cdef double *scales = params + (f.n_components + k) * d
    cdef double count, most = most_of(f), least = log_minus_digamma(most_of(f)), mean, s
    cdef int status = MIXFAST_OK
    for j in range(d):
        own = sums.of_components + k * f.n_features
        count = weight_there(f, own, j, totals.counts[k])
        if count == 0:
            own, count = sums.of_all, weight_there(f, sums.of_all, j, sums.total)
            if count == 0:
                continue
        mean = own[j] / count
        s = log(mean) - own[d + j] / count
        if not (mean > 0 and isfinite(s)):
            return MIXFAST_NOT_FINITE
        if s > least:
            shapes[j] = shape_of(s)
        else:
            shapes[j] = most
            status = MIXFAST_CAPPED_PARAMETER | MIXFAST_SPURIOUS_COMPONENT
        scales[j] = mean / shapes[j]
        if not is_scale(f, scales[j]):
            return MIXFAST_NOT_FINITE
    return status


cdef int unconstrain_gamma(const family_t *f, const double *params, double *numbers) noexcept nogil:
    """Logarithms of the shapes and of the means."""
    cdef Py_ssize_t n = f.n_params // 2, i
    for i in range(n):
        numbers[i] = log(params[i])
        numbers[n + i] = log(params[i]) + log(params[n + i])
    return 0


cdef int constrain_gamma(const family_t *f, const double *numbers, double *work, double *params) noexcept nogil:
    cdef Py_ssize_t n = f.n_params // 2, i
    for i in range(n):
        params[i] = min(exp(numbers[i]), most_of(f))
        params[n + i] = exp(numbers[n + i]) / params[i]
        if not (params[i] >= DBL_MIN and is_scale(f, params[n + i])):
            return 1
    return 0


def bind_gamma(Py_ssize_t n_components, Py_ssize_t n_encoded, object isa, int bytes_of_rows,
               const int32_t[::1] missing):
    """`n_encoded` columns of x, of log x, and of those that are `missing` in some rows; `bytes_of_rows`: 4 or 8, of a
    number of the user's rows, whose precision parameters are rounded to."""
    cdef Py_ssize_t n_pairs = n_encoded - missing.shape[0], n_columns = n_pairs // 2
    if n_pairs % 2:
        raise ValueError(f"rows of {n_pairs} columns are not x and log x")
    cdef family_t *f = new_columnwise(sizeof(context_t), n_components, n_pairs, sizeof(double), isa, False, n_columns,
                                      missing)
    cdef context_t *context = <context_t *> f.context
    context.most, context.n_columns = LARGEST_SHAPE, n_columns
    f.n_params = 2 * n_components * n_columns
    if bytes_of_rows == 8:
        context.least_scale, context.most_scale = DBL_MIN, DBL_MAX
    else:
        context.least_scale, context.most_scale = FLT_MIN, FLT_MAX
    f.flops_per_component = 1000 * n_columns  # some steps of Newton's method for every other
    f.prepare_component, f.maximise_component = prepare_gamma, maximise_gamma
    give_free_numbers(f, f.n_params, unconstrain_gamma, constrain_gamma)
    return capsule_of(f)


# ---- exponential ----

cdef void prepare_exponential(const family_t *f, Py_ssize_t k, const double *log_weights, const double *params,
                              double *own_work, double *work) noexcept nogil:
    """log p(x) = sum_j log rate_j - rate_j x_j"""
    cdef Py_ssize_t d = n_columns_of(f), j
    cdef double *coefficients = coefficients_in(f, work, k)
    cdef double constant = log_weights[k]
    for j in range(d, f.n_features):
        coefficients[j] = 0
    for j in range(d):
        coefficients[j] = -params[k * d + j]
        constant_of(f, j, coefficients, &constant)[0] += log(params[k * d + j])
    constant_in(f, work, k)[0] = constant


cdef int maximise_exponential(const family_t *f, Py_ssize_t k, const totals_t *totals, const double *work,
                              double *own_work, double *params) noexcept nogil:
    """An empty component has the rates of all rows, and so has a column of which it has no entry. A column of
    which all rows that count, those that a start begins with, have none stays as it is."""
    cdef Py_ssize_t d = n_columns_of(f), j
    cdef sums_t sums = sums_of(f, totals, work)
    cdef const double *own
    cdef double count, mean
    cdef int status = MIXFAST_OK
    for j in range(d):
        own = sums.of_components + k * f.n_features
        count = weight_there(f, own, j, totals.counts[k])
        if count == 0:
            own, count = sums.of_all, weight_there(f, sums.of_all, j, sums.total)
            if count == 0:
                continue
        mean = own[j] / count
        if not isfinite(mean):
            return MIXFAST_NOT_FINITE
        if mean * most_of(f) > 1:
            params[k * d + j] = 1 / mean
        else:
            params[k * d + j] = most_of(f)
            status = MIXFAST_CAPPED_PARAMETER | MIXFAST_SPURIOUS_COMPONENT
    return status


cdef int unconstrain_exponential(const family_t *f, const double *params, double *numbers) noexcept nogil:
    """Logarithms."""
    cdef Py_ssize_t i
    for i in range(f.n_params):
        numbers[i] = log(params[i])
    return 0


cdef int constrain_exponential(const family_t *f, const double *numbers, double *work, double *params) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(f.n_params):
        params[i] = min(exp(numbers[i]), most_of(f))
        if not params[i] >= DBL_MIN:
            return 1
    return 0


cdef void draw_exponential(const family_t *f, Py_ssize_t k, const double *params, stream_t *stream,
                           double *row) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(f.n_features):
        row[j] = -log1p(-stream.uniform(stream)) / params[k * f.n_features + j]


def bind_exponential(Py_ssize_t n_components, Py_ssize_t n_encoded, int real_bytes, object isa, int bytes_of_rows,
                     const int32_t[::1] missing):
    """`n_encoded` and `bytes_of_rows` as in `bind_gamma`; beside a Gamma part float32 rows are computed in float64."""
    cdef Py_ssize_t n_columns = n_encoded - missing.shape[0]
    cdef family_t *f = new_columnwise(sizeof(context_t), n_components, n_columns, real_bytes, isa, False, n_columns,
                                      missing)
    cdef context_t *context = <context_t *> f.context
    context.most, context.n_columns = largest_rate(bytes_of_rows), n_columns
    f.n_params = n_components * n_columns
    f.prepare_component, f.maximise_component = prepare_exponential, maximise_exponential
    if missing.shape[0] == 0:
        f.draw_row = draw_exponential
    give_free_numbers(f, f.n_params, unconstrain_exponential, constrain_exponential)
    return capsule_of(f)
