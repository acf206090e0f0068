"""The posteriors of categorical columns under Dirichlet priors, fitted by variational Bayes.

Parameters: concentrations[K][C], all columns side by side: that of the prior plus the weighted number of each answer;
missing answers are not counted. Loops and statistics are those of `_categorical.pyx`; see also `_linear_posterior.pyx`.
"""

from libc.string cimport memcpy

from mixfast.engine._capsule cimport capsule_of, give_free_numbers, give_posterior
from mixfast.engine._family cimport MIXFAST_OK, family_t, stream_t, totals_t
from mixfast.engine._kernels cimport categorical_t
from mixfast.engine._special cimport digamma
from mixfast.families._categorical cimport categorical_of, n_categories_of, n_own_of, new_categorical
from mixfast.families._conjugate cimport (
    constrain_added,
    dirichlet_log_evidence,
    draw_dirichlet,
    give_plain,
    own_array,
    own_array_in,
    prior_array,
    prior_t,
    unconstrain_added,
)

from mixfast.families._categorical import bind_categorical

ctypedef struct context_t:
    categorical_t categorical
    prior_t prior


cdef inline const prior_t *prior_of(const family_t *f) noexcept nogil:
    return &(<const context_t *> f.context).prior


cdef void prepare_component(const family_t *f, Py_ssize_t k, const double *log_weights, const double *params,
                            double *own_work, double *work) noexcept nogil:
    """E log p = psi(concentration) - psi(their sum in the column)"""
    cdef const double *own = own_array(prior_of(f), f.n_components, k, 0, params)
    cdef double *expected = work + f.n_components + k * n_own_of(f)
    cdef Py_ssize_t n_categories, j, c
    cdef double total
    work[k] = log_weights[k]
    for j in range(f.n_features):
        n_categories = n_categories_of(f, j)
        total = 0
        for c in range(n_categories):
            total += own[c]
        total = digamma(total)
        for c in range(n_categories):
            expected[c] = digamma(own[c]) - total
        own += n_categories
        expected += n_categories


cdef int maximise(const family_t *f, const totals_t *totals, double *work, double *params) noexcept nogil:
    """Nothing to do for all components together: `maximise_component` updates each."""
    return MIXFAST_OK


cdef int maximise_component(const family_t *f, Py_ssize_t k, const totals_t *totals, const double *work,
                            double *own_work, double *params) noexcept nogil:
    """Concentrations of component k; an empty component has those of the prior."""
    cdef Py_ssize_t width = categorical_of(f).kernels.n_sums(f.n_components), j, _c
    cdef const double *start = prior_array(prior_of(f), 0)
    cdef double *own = own_array_in(prior_of(f), f.n_components, k, 0, params)
    cdef const double *answers = totals.stats + k
    cdef bint is_empty = totals.counts[k] == 0
    for j in range(f.n_features):
        for _c in range(n_categories_of(f, j)):
            own[0] = start[0] if is_empty else start[0] + answers[0]
            own, start, answers = own + 1, start + 1, answers + width
        answers += width  # the missing ones
    return MIXFAST_OK


cdef double log_evidence(const family_t *f, const double *counts, const double *params, double *own) noexcept nogil:
    cdef const double *start
    cdef const double *concentrations
    cdef Py_ssize_t k, j
    for k in range(f.n_components):
        start = prior_array(prior_of(f), 0)
        concentrations = own_array(prior_of(f), f.n_components, k, 0, params)
        for j in range(f.n_features):
            own[k] += dirichlet_log_evidence(n_categories_of(f, j), start, concentrations)
            start += n_categories_of(f, j)
            concentrations += n_categories_of(f, j)
    return 0


cdef void draw(const family_t *f, Py_ssize_t k, const double *params, stream_t *stream, double *own_work,
               double *drawn) noexcept nogil:
    cdef const double *own = own_array(prior_of(f), f.n_components, k, 0, params)
    cdef Py_ssize_t j
    drawn += k * n_own_of(f)
    for j in range(f.n_features):
        draw_dirichlet(stream, n_categories_of(f, j), own, drawn)
        own += n_categories_of(f, j)
        drawn += n_categories_of(f, j)


cdef int unconstrain(const family_t *f, const double *params, double *numbers) noexcept nogil:
    return unconstrain_added(prior_of(f), f.n_components, params, numbers)


cdef int constrain(const family_t *f, const double *numbers, double *work, double *params) noexcept nogil:
    return constrain_added(prior_of(f), f.n_components, numbers, params)


def bind_categorical_posterior(n_components, n_categories, int real_bytes, object isa, const double[::1] prior):
    """`n_categories` has a number for each column; prior: the concentrations of all columns side by side."""
    cdef Py_ssize_t n_own = sum(n_categories)
    if prior.shape[0] != n_own:
        raise ValueError(f"a prior of {prior.shape[0]} concentrations for {n_own} categories")
    cdef family_t *f = new_categorical(sizeof(context_t) + n_own * sizeof(double), n_components, n_categories,
                                       real_bytes, isa)
    cdef context_t *context = <context_t *> f.context
    cdef double *values = <double *> (context + 1)
    memcpy(values, &prior[0], n_own * sizeof(double))
    context.prior.n_arrays, context.prior.n_own, context.prior.values = 1, n_own, values
    f.flops_per_component = 200 * n_own  # digamma functions
    f.prepare_component, f.maximise, f.maximise_component = prepare_component, maximise, maximise_component
    give_free_numbers(f, f.n_params, unconstrain, constrain)
    give_posterior(f, log_evidence)
    give_plain(f, bind_categorical(n_components, n_categories, real_bytes, isa, 0.0), draw)
    return capsule_of(f)
