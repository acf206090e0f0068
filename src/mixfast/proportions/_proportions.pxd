# The contract between a kind of proportions and EM: what the M-step makes of the counts, its log prior, and which
# cluster of a start becomes which component. All verbs run without the GIL.

from libc.stdint cimport int64_t

from mixfast.engine._family cimport chunk_t, selection_t

cdef struct proportions_t

# In what follows n is n_components, and `mixing` are the parameters of the proportions, double [n_numbers]: for most
# kinds the n weights. IN is read, OUT is filled whatever it held, INOUT is changed or added to.

# The length of `mixing`, or of another array, for n components.
ctypedef Py_ssize_t (*n_numbers_fn)(const proportions_t *, Py_ssize_t n) noexcept nogil
# OUT mixing: all components equally likely, where a fit begins.
ctypedef void (*begin_fn)(const proportions_t *, Py_ssize_t n, double *mixing) noexcept nogil
# The M-step. IN counts[n], the sums of the responsibilities, 0 where a component lost its rows, and total, their sum;
# INOUT mixing, on entry that of the last M-step.
ctypedef void (*maximise_mixing_fn)(const proportions_t *, Py_ssize_t n, const double *counts, double total,
                                    double *mixing) noexcept nogil
# What `prepare` of a family is given. IN mixing; OUT log_weights[n], -infinity where a component is impossible. Their
# exponentials need not sum to 1.
ctypedef void (*log_weights_fn)(const proportions_t *, Py_ssize_t n, const double *mixing,
                                double *log_weights) noexcept nogil

# Gates, where the proportions depend on the row: an optional group of verbs, NULL or complete. Rows are those that the
# family sees: encoded, packed, less the pivot[n_features]. `scratch` is work space, [n_scratch_columns][stride] of
# real, and `work` double [n_work]. All but `maximise` run in several threads, each with its own work space. A is the
# number of selected components.

# Once per chunk. INOUT log_prob[A][stride] of real, on entry log_weights + log density: adds the log proportions of row
# and component. Where these are normalised, it is over all n components, not only those that are selected.
ctypedef void (*add_row_terms_fn)(const proportions_t *, Py_ssize_t n, const double *mixing, const double *pivot,
                                  const chunk_t *, const selection_t *, int real_bytes, void *scratch,
                                  void *log_prob) noexcept nogil
# Once per chunk. IN resp[A][stride] of real, responsibilities times the rows' weights; INOUT stats[n_stats], additive.
ctypedef void (*accumulate_rows_fn)(const proportions_t *, Py_ssize_t n, const double *mixing, const double *pivot,
                                    const chunk_t *, const selection_t *, int real_bytes, const void *resp,
                                    void *scratch, double *stats) noexcept nogil
# The M-step in the place of `maximise`. IN counts[n], total, stats[n_stats], pivot[n_features]; is_first, whether it is
# the first of a start: rows were shared by labels, say, and mixing is what `begin` made; INOUT mixing, on entry that
# which the statistics were gathered at. Returns a status, as a family's `maximise` does.
ctypedef int (*maximise_by_rows_fn)(const proportions_t *, Py_ssize_t n, const double *counts, double total,
                                    const double *stats, const double *pivot, bint is_first, double *work,
                                    double *mixing) noexcept nogil

# Statistics that were gathered at last_mixing, as far as they say it, at mixing: what `maximise` makes of them there.
# IN last_mixing, mixing, pivot[n_features]; INOUT stats[n_stats].
ctypedef void (*recentre_rows_fn)(const proportions_t *, Py_ssize_t n, const double *last_mixing,
                                  const double *mixing, const double *pivot, double *stats) noexcept nogil

cdef struct of_rows_t:
    n_numbers_fn n_scratch_columns
    n_numbers_fn n_stats           # doubles
    n_numbers_fn n_work            # doubles
    add_row_terms_fn add_terms
    accumulate_rows_fn accumulate
    maximise_by_rows_fn maximise
    int further_start_passes       # M-steps that a start makes in addition to those of every start
    bint may_overshoot             # the M-step may lower the objective, as a step of Newton's method; EM then halves it
    recentre_rows_fn recentre      # NULL: statistics stay where they were gathered

# The log density of the prior at mixing, up to a constant.
ctypedef double (*log_prior_fn)(const proportions_t *, Py_ssize_t n, const double *mixing) noexcept nogil

# Free numbers: an unconstrained parametrisation of `mixing`, in which accelerated EM extrapolates. As those of a family
# (`mixfast_free_numbers` in _kernels/family.h) they are infinite at the edge of the domain. OUT numbers[n_free];
# `constrain` is the inverse, OUT mixing, and returns 0, or nonzero where mixing would not be finite.
ctypedef Py_ssize_t (*n_free_fn)(const proportions_t *, Py_ssize_t n) noexcept nogil
ctypedef void (*unconstrain_mixing_fn)(const proportions_t *, Py_ssize_t n, const double *mixing,
                                       double *numbers) noexcept nogil
ctypedef int (*constrain_mixing_fn)(const proportions_t *, Py_ssize_t n, const double *numbers,
                                    double *mixing) noexcept nogil

cdef struct free_mixing_t:
    n_free_fn n_free
    unconstrain_mixing_fn unconstrain
    constrain_mixing_fn constrain

# Of kinds that are posteriors: the log marginal likelihood of the labels of the rows under the prior of the weights.
ctypedef double (*log_evidence_fn)(const proportions_t *, Py_ssize_t n, const double *mixing) noexcept nogil

cdef struct proportions_t:
    n_numbers_fn n_numbers
    begin_fn begin
    maximise_mixing_fn maximise
    log_weights_fn log_weights
    const of_rows_t *of_rows       # NULL: the proportions do not depend on the row
    log_prior_fn log_prior         # NULL: a flat prior
    log_evidence_fn log_evidence   # NULL unless the kind is a posterior
    const free_mixing_t *free_numbers  # NULL: mixing is not extrapolated
    const Py_ssize_t *ranked       # [n], components by descending weight, for `arrange_clusters`; or NULL
    const void *context            # the kind's own constants

cdef class Proportions:
    cdef proportions_t c

# A struct for kinds whose `mixing` are n numbers: weights, unless the kind replaces `log_weights`.
cdef proportions_t one_for_each(maximise_mixing_fn maximise) noexcept nogil
# Verbs of free numbers: n_free = n, and numbers[k] = log(mixing[k]).
cdef Py_ssize_t one_each(const proportions_t *, Py_ssize_t n) noexcept nogil
cdef void take_logarithms(const proportions_t *, Py_ssize_t n, const double *mixing, double *numbers) noexcept nogil
# The free numbers of weights: their logarithms, normalised on the way back.
cdef const free_mixing_t *logarithms_of_weights() noexcept nogil

# Renumber the clusters of k-means so that the largest becomes the component of the largest weight, and so on; nothing
# where `ranked` is NULL. INOUT labels[n_rows], -1 for rows without a cluster, and centres[n, d]; counts[n] and
# places[n] are work space.
cdef void arrange_clusters(const proportions_t *, Py_ssize_t n, Py_ssize_t n_rows, const double *sample_weight,
                           double *counts, Py_ssize_t *places, int64_t *labels, Py_ssize_t d,
                           double *centres) noexcept nogil
