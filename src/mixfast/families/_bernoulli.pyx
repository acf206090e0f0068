"""The verbs of the Bernoulli family; loops over rows are in `_kernels/linear.c` and `sparse_linear.c`.

Parameters: probabilities[K][d]. Statistics: ones[K][d], the weighted number of ones. With a Beta(1 + alpha, 1 + alpha)
prior on each probability the M-step is p = (ones + alpha) / (N + 2 alpha), and EM increases the log-likelihood plus
alpha * sum of log p + log(1 - p).
"""

from libc.float cimport DBL_EPSILON, DBL_MIN
from libc.math cimport INFINITY, exp, isinf, log, log1p
from libc.stdlib cimport calloc, free

from mixfast._capsule cimport capsule_of
from mixfast._family cimport MIXFAST_OK, family_t, totals_t
from mixfast._isa cimport resolve_isa
from mixfast.families._linear cimport check_shape, coefficients_in, constant_in, join_linear, linear_t, sums_of, sums_t

ctypedef struct context_t:
    linear_t linear
    double alpha


cdef inline double alpha_of(const family_t *f) noexcept nogil:
    return (<const context_t *> f.context).alpha


cdef void prepare_component(const family_t *f, Py_ssize_t k, const double *weights, const double *params,
                            double *own_work, double *work) noexcept nogil:
    """log p(x) = sum_j log(1 - p_j) + x . log odds"""
    cdef Py_ssize_t d = f.n_features, j
    cdef double *log_odds = coefficients_in(f, work, k)
    cdef double constant = log(weights[k]), p
    for j in range(d):
        p = params[k * d + j]
        if p <= 0:
            log_odds[j] = -INFINITY
        elif p >= 1:
            log_odds[j] = INFINITY
        else:
            constant += log1p(-p)
            log_odds[j] = log(p) - log1p(-p)
    constant_in(f, work, k)[0] = constant


cdef int maximise_component(const family_t *f, Py_ssize_t k, const totals_t *totals, const double *work,
                            double *own_work, double *params) noexcept nogil:
    """An empty component has the probabilities of all rows."""
    cdef Py_ssize_t d = f.n_features, j
    cdef sums_t sums = sums_of(f, totals, work)
    cdef const double *ones = sums.of_components + k * d
    cdef double count = totals.counts[k], alpha = alpha_of(f)
    # Sums of responsibilities may round past the count; and with a prior nothing is certain, even where alpha is lost
    # beside the count.
    cdef double least = 0.0 if alpha == 0 else DBL_MIN, most = 1.0 if alpha == 0 else 1 - DBL_EPSILON
    if count == 0:
        ones, count = sums.of_all, sums.total
    for j in range(d):
        params[k * d + j] = min(max((ones[j] + alpha) / (count + 2 * alpha), least), most)
    return MIXFAST_OK


cdef double log_prior(const family_t *f, const double *params) noexcept nogil:
    cdef double alpha = alpha_of(f), total = 0
    cdef Py_ssize_t i
    if alpha == 0:
        return 0
    for i in range(f.n_params):
        total += log(params[i]) + log1p(-params[i])
    return alpha * total


cdef int unconstrain(const family_t *f, const double *params, double *numbers) noexcept nogil:
    """Log odds; infinite for what is certain."""
    cdef Py_ssize_t i
    for i in range(f.n_params):
        numbers[i] = log(params[i]) - log1p(-params[i])
    return 0


cdef int constrain(const family_t *f, const double *numbers, double *work, double *params) noexcept nogil:
    """Finite log odds make nothing certain, however large they are: a row that contradicts it would be impossible."""
    cdef Py_ssize_t i
    for i in range(f.n_params):
        params[i] = 1 / (1 + exp(-numbers[i]))
        if not isinf(numbers[i]):
            params[i] = min(max(params[i], DBL_MIN), 1 - DBL_EPSILON)
    return 0


def bind_bernoulli(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa, bint is_sparse,
                   double alpha):
    cdef int level = resolve_isa(isa)
    check_shape(n_components, n_features, real_bytes)
    cdef family_t *f = <family_t *> calloc(1, sizeof(family_t))
    cdef context_t *context = <context_t *> calloc(1, sizeof(context_t))
    if f == NULL or context == NULL:
        free(f)
        free(context)
        raise MemoryError
    context.alpha = alpha
    join_linear(f, &context.linear, n_components, n_features, real_bytes, level, is_sparse)
    f.n_free = f.n_params
    f.prepare_component, f.maximise_component, f.log_prior = prepare_component, maximise_component, log_prior
    f.unconstrain, f.constrain = unconstrain, constrain
    return capsule_of(f)
