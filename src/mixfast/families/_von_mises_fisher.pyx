"""The verbs of the von Mises-Fisher families; loops over rows are in `_kernels/linear.c` and `sparse_linear.c`.

Parameters: mean_directions[K][d], concentrations[K]. Statistics: sums[K][d], of the rows. The density is
C_d(kappa) exp(kappa mu'x); the M-step is mu = sum / |sum| and A_d(kappa) = |sum| / N, where N is the component's count,
or where the concentration is shared, A_d(kappa) = the total of all |sum| / the total weight.
"""

from libc.math cimport isfinite, sqrt

from mixfast.engine._capsule cimport capsule_of, give_free_numbers
from mixfast.engine._family cimport (
    MIXFAST_CAPPED_PARAMETER,
    MIXFAST_NOT_FINITE,
    MIXFAST_OK,
    MIXFAST_SPURIOUS_COMPONENT,
    family_t,
    totals_t,
)
from mixfast.engine._special cimport concentration, log_sphere_normaliser
from mixfast.families._linear cimport (
    coefficients_in,
    constant_in,
    linear_t,
    maximise_linear,
    new_linear,
    sums_of,
    sums_t,
)

ctypedef struct context_t:
    linear_t linear
    double most    # the largest concentration


cdef inline double *concentrations_in(const family_t *f, double *params) noexcept nogil:
    return params + f.n_components * f.n_features


cdef inline double most_of(const family_t *f) noexcept nogil:
    return (<const context_t *> f.context).most


cdef double largest_concentration(Py_ssize_t n_features) noexcept nogil:
    """Where concentrations are capped. log C_d(kappa) and kappa mu'x nearly cancel: their sum, some
    (d - 1) / 2 log kappa, keeps eight digits here. In float32 it would keep three at 1e3 (d - 1), where directions
    still differ by 2 degrees, so whatever the rows are, all is computed in float64."""
    return 1e6 * <double> max(n_features - 1, 1)


cdef void prepare_component(const family_t *f, Py_ssize_t k, const double *log_weights, const double *params,
                            double *own_work, double *work) noexcept nogil:
    cdef Py_ssize_t d = f.n_features, j
    cdef double *coefficients = coefficients_in(f, work, k)
    cdef double kappa = concentrations_in(f, <double *> params)[k]
    # kappa times the rounding of a float32 direction's length is 0.06 at 1e6
    cdef double length = length_of(params + k * d, 1, d)
    for j in range(d):
        coefficients[j] = kappa * (params[k * d + j] / length)
    constant_in(f, work, k)[0] = log_weights[k] + log_sphere_normaliser(d, kappa)


cdef double length_of(const double *sums, double count, Py_ssize_t d) noexcept nogil:
    """Length of the mean of a component's rows, computed so that no square overflows."""
    cdef double total = 0, mean
    cdef Py_ssize_t j
    for j in range(d):
        mean = sums[j] / count
        total += mean * mean
    return sqrt(total)


cdef void turn(const double *sums, double count, double length, Py_ssize_t d, double *direction) noexcept nogil:
    """OUT direction[d]: unit vector along the sum; an arbitrary one if the sum is 0, where the concentration is 0
    too."""
    cdef Py_ssize_t j
    for j in range(d):
        direction[j] = sums[j] / count / length if length > 0 else <double> (j == 0)


cdef int concentrate(const family_t *f, double length, double *kappa) noexcept nogil:
    """OUT kappa: the concentration with this mean resultant length, at most the cap. Returns status flags."""
    if not isfinite(length):
        return MIXFAST_NOT_FINITE
    kappa[0] = concentration(f.n_features, length)
    if kappa[0] <= most_of(f):
        return MIXFAST_OK
    kappa[0] = most_of(f)
    return MIXFAST_CAPPED_PARAMETER | MIXFAST_SPURIOUS_COMPONENT


cdef int maximise_component(const family_t *f, Py_ssize_t k, const totals_t *totals, const double *work,
                            double *own_work, double *params) noexcept nogil:
    """An empty component has the direction and the concentration of all rows."""
    cdef Py_ssize_t d = f.n_features
    cdef sums_t sums = sums_of(f, totals, work)
    cdef const double *own = sums.of_components + k * d
    cdef double count = totals.counts[k], length
    if count == 0:
        own, count = sums.of_all, sums.total
    length = length_of(own, count, d)
    turn(own, count, length, d, params + k * d)
    return concentrate(f, length, concentrations_in(f, params) + k)


cdef int maximise_shared(const family_t *f, const totals_t *totals, double *work, double *params) noexcept nogil:
    """The M-step with a shared concentration. An empty component gets the direction of all rows."""
    cdef Py_ssize_t d = f.n_features, k
    cdef int status = maximise_linear(f, totals, work, params)
    cdef sums_t sums = sums_of(f, totals, work)
    cdef const double *own
    cdef double *kappa = concentrations_in(f, params)
    cdef double count, length, mean_length = 0
    for k in range(f.n_components):
        own, count = sums.of_components + k * d, totals.counts[k]
        if count == 0:
            own, count = sums.of_all, sums.total
        length = length_of(own, count, d)
        turn(own, count, length, d, params + k * d)
        mean_length += totals.counts[k] / sums.total * length
    status |= concentrate(f, mean_length, kappa)
    for k in range(1, f.n_components):
        kappa[k] = kappa[0]
    return status


cdef int unconstrain(const family_t *f, const double *params, double *numbers) noexcept nogil:
    """The natural parameters, kappa mu."""
    cdef Py_ssize_t d = f.n_features, k, j
    for k in range(f.n_components):
        for j in range(d):
            numbers[k * d + j] = concentrations_in(f, <double *> params)[k] * params[k * d + j]
    return 0


cdef int constrain(const family_t *f, const double *numbers, double *work, double *params) noexcept nogil:
    cdef Py_ssize_t d = f.n_features, k
    cdef double length
    for k in range(f.n_components):
        length = length_of(numbers + k * d, 1, d)
        if not isfinite(length):
            return 1
        turn(numbers + k * d, 1, length, d, params + k * d)
        concentrations_in(f, params)[k] = min(length, most_of(f))
    return 0


cdef int constrain_shared(const family_t *f, const double *numbers, double *work, double *params) noexcept nogil:
    """OUT params from K d numbers, more than are free: the shared concentration is the mean of the K lengths."""
    cdef double *kappa = concentrations_in(f, params)
    cdef double total = 0
    cdef Py_ssize_t k
    if constrain(f, numbers, work, params):
        return 1
    for k in range(f.n_components):
        total += kappa[k]
    for k in range(f.n_components):
        kappa[k] = total / <double> f.n_components
    return 0


def bind_von_mises_fisher(Py_ssize_t n_components, Py_ssize_t n_features, object isa, bint is_sparse, bint is_shared):
    cdef family_t *f = new_linear(sizeof(context_t), n_components, n_features, sizeof(double), isa, is_sparse)
    cdef context_t *context = <context_t *> f.context
    context.most = largest_concentration(n_features)
    f.n_params = n_components * (n_features + 1)
    f.flops_per_component = 4 * n_features + 10_000  # five or so Bessel functions
    f.prepare_component = prepare_component
    if is_shared:
        f.maximise = maximise_shared
    else:
        f.maximise_component = maximise_component
    give_free_numbers(f, n_components * n_features, unconstrain, constrain_shared if is_shared else constrain)
    return capsule_of(f)
