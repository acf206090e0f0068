# The contract between a kind of proportions and EM: what the M-step makes of the counts, its log prior, and which
# cluster of a start becomes which component. All verbs run without the GIL.

from libc.stdint cimport int64_t

from mixfast.engine._family cimport chunk_t, selection_t

cdef struct proportions_t

# How many numbers say how likely each of n components is: the length of `mixing` below. Their weights, n of them, for
# most kinds.
ctypedef Py_ssize_t (*n_numbers_fn)(const proportions_t *, Py_ssize_t n) noexcept nogil
# mixing, where nothing is known yet: all components are equally likely.
ctypedef void (*begin_fn)(const proportions_t *, Py_ssize_t n, double *mixing) noexcept nogil
# mixing, from counts[n], the sums of the responsibilities, and `total`, their sum. A count is 0 where a component lost
# its rows.
ctypedef void (*maximise_mixing_fn)(const proportions_t *, Py_ssize_t n, const double *counts, double total,
                                    double *mixing) noexcept nogil
# log_weights[n], what families take for the logarithms of how likely each component is, from mixing; -infinity where
# a component is impossible.
ctypedef void (*log_weights_fn)(const proportions_t *, Py_ssize_t n, const double *mixing,
                                double *log_weights) noexcept nogil
# Rows: what a kind has where it depends on the row how likely components are. A group: NULL, or complete. Rows are seen
# as the family sees them, packed and less the pivot[n_features]; `scratch` is room, [n_scratch_columns][stride] of
# real, and `work` [n_work] doubles. All but `maximise` run in several threads, each with its own.

# Adds to log_prob[A][stride], reals that hold log weight + log density of the rows of a chunk under the A selected
# components, what row and component have beside that. Sums over all components are over all n, selected or not.
ctypedef void (*add_row_terms_fn)(const proportions_t *, Py_ssize_t n, const double *mixing, const double *pivot,
                                  const chunk_t *, const selection_t *, int real_bytes, void *scratch,
                                  void *log_prob) noexcept nogil
# Adds to stats[n_stats] what `maximise` wants to know of a chunk; resp[A][stride] is multiplied by the rows' weights.
ctypedef void (*accumulate_rows_fn)(const proportions_t *, Py_ssize_t n, const double *mixing, const double *pivot,
                                    const chunk_t *, const selection_t *, int real_bytes, const void *resp,
                                    void *scratch, double *stats) noexcept nogil
# As `maximise`, from these too. IN counts[n], total, stats, pivot; INOUT mixing, on entry that of the pass. A status,
# as that of a family's `maximise`.
ctypedef int (*maximise_by_rows_fn)(const proportions_t *, Py_ssize_t n, const double *counts, double total,
                                    const double *stats, const double *pivot, double *work,
                                    double *mixing) noexcept nogil

cdef struct of_rows_t:
    n_numbers_fn n_scratch_columns
    n_numbers_fn n_stats           # doubles
    n_numbers_fn n_work            # doubles
    add_row_terms_fn add_terms
    accumulate_rows_fn accumulate
    maximise_by_rows_fn maximise
    int further_start_passes       # M-steps that a start makes beside those of every start
    bint may_overshoot             # the M-step may lower the objective, which EM then notices

# The log density of the prior at mixing, up to a constant.
ctypedef double (*log_prior_fn)(const proportions_t *, Py_ssize_t n, const double *mixing) noexcept nogil

# Free numbers: any of which make a `mixing`, so that the course of EM can be extrapolated in a straight line. As those
# of a family (`mixfast_free_numbers` in _kernels/family.h) they are infinite at the edge of the domain. `constrain`
# returns 0; nonzero where mixing would not be finite.
ctypedef Py_ssize_t (*n_free_fn)(const proportions_t *, Py_ssize_t n) noexcept nogil
ctypedef void (*unconstrain_mixing_fn)(const proportions_t *, Py_ssize_t n, const double *mixing,
                                       double *numbers) noexcept nogil
ctypedef int (*constrain_mixing_fn)(const proportions_t *, Py_ssize_t n, const double *numbers,
                                    double *mixing) noexcept nogil

cdef struct free_mixing_t:
    n_free_fn n_free
    unconstrain_mixing_fn unconstrain
    constrain_mixing_fn constrain

# The log marginal likelihood of the components of the rows, under the prior of weights whose posterior mixing is.
ctypedef double (*log_evidence_fn)(const proportions_t *, Py_ssize_t n, const double *mixing) noexcept nogil

cdef struct proportions_t:
    n_numbers_fn n_numbers
    begin_fn begin
    maximise_mixing_fn maximise
    log_weights_fn log_weights
    const of_rows_t *of_rows       # NULL: components are as likely for every row
    log_prior_fn log_prior         # NULL: a flat prior
    log_evidence_fn log_evidence   # of posteriors, and of no others
    const free_mixing_t *free_numbers  # NULL: mixing stays as it is where the parameters of the family are extrapolated
    const Py_ssize_t *ranked       # [n], components from the largest to the smallest where a start should know; or NULL
    const void *context            # the kind's own constants

cdef class Proportions:
    cdef proportions_t c

# What kinds with one number for each component have in common: its weight, unless the kind has other `log_weights`.
cdef proportions_t one_for_each(maximise_mixing_fn maximise) noexcept nogil
# What free numbers are made of where there is one for each component: how many, and the logarithms of what is positive.
cdef Py_ssize_t one_each(const proportions_t *, Py_ssize_t n) noexcept nogil
cdef void take_logarithms(const proportions_t *, Py_ssize_t n, const double *mixing, double *numbers) noexcept nogil
# The free numbers of weights that an M-step changes: their logarithms.
cdef const free_mixing_t *logarithms_of_weights() noexcept nogil

# Which cluster becomes which component: where some components are to be larger than others, they take the larger
# clusters. Changes labels[n_rows] and the rows of centres[n, d]; `counts` and `places` are room for n numbers.
cdef void arrange_clusters(const proportions_t *, Py_ssize_t n, Py_ssize_t n_rows, const double *sample_weight,
                           double *counts, Py_ssize_t *places, int64_t *labels, Py_ssize_t d,
                           double *centres) noexcept nogil
