# Posteriors whose hyper-parameters are those of the prior plus sums over rows: some arrays [n_components][n_own], one
# after the other.

from mixfast.engine._family cimport draw_fn, family_t, stream_t

# The prior, as it lies in the context of a family.
cdef struct prior_t:
    Py_ssize_t n_arrays
    Py_ssize_t n_own           # hyper-parameters of a component in each array
    const double *values       # [n_arrays][n_own]


cdef inline const double *prior_array(const prior_t *prior, Py_ssize_t i) noexcept nogil:
    return prior.values + i * prior.n_own


cdef inline const double *own_array(const prior_t *prior, Py_ssize_t n_components, Py_ssize_t k, Py_ssize_t i,
                                    const double *params) noexcept nogil:
    """Component k's part of array i; `own_array_in` is for writing."""
    return params + (i * n_components + k) * prior.n_own


cdef inline double *own_array_in(const prior_t *prior, Py_ssize_t n_components, Py_ssize_t k, Py_ssize_t i,
                                 double *params) noexcept nogil:
    return params + (i * n_components + k) * prior.n_own


# Free numbers: the logarithm of what the rows added to each hyper-parameter, -inf for nothing.
cdef int unconstrain_added(const prior_t *prior, Py_ssize_t n_components, const double *params,
                           double *numbers) noexcept nogil
cdef int constrain_added(const prior_t *prior, Py_ssize_t n_components, const double *numbers,
                         double *params) noexcept nogil

# Log marginal likelihoods of rows, and draws of parameters.
cdef double dirichlet_log_evidence(Py_ssize_t n, const double *prior, const double *own) noexcept nogil
cdef double gamma_log_evidence(double prior_shape, double prior_rate, double shape, double rate) noexcept nogil
cdef double draw_beta(stream_t *stream, double a, double b) noexcept nogil
cdef void draw_dirichlet(stream_t *stream, Py_ssize_t n, const double *concentrations,
                         double *probabilities) noexcept nogil
cdef double draw_gamma(stream_t *stream, double shape, double rate) noexcept nogil

# Make f a posterior with draws: `draw` returns parameters of the plain family in the capsule, which is bound to the
# same K, d and precision. f takes over the reference to the capsule.
cdef int give_plain(family_t *f, object capsule, draw_fn draw) except -1
