# The contract between a kind of proportions and EM: what the M-step makes of the counts, its log prior, and which
# cluster of a start becomes which component. All verbs run without the GIL.

from libc.stdint cimport int64_t

cdef struct proportions_t

# weights[n], from counts[n], the sums of the responsibilities, and `total`, their sum. A count is 0 where a component
# lost its rows.
ctypedef void (*maximise_weights_fn)(const proportions_t *, Py_ssize_t n, const double *counts, double total,
                                     double *weights) noexcept nogil
# log_weights[n], what families take for the logarithms of how likely each component is, from weights[n]; -infinity
# where a component has none.
ctypedef void (*log_weights_fn)(const proportions_t *, Py_ssize_t n, const double *weights,
                                double *log_weights) noexcept nogil
# The log density of the prior at weights[n], up to a constant.
ctypedef double (*log_prior_fn)(const proportions_t *, Py_ssize_t n, const double *weights) noexcept nogil

# The log marginal likelihood of the components of the rows, under the prior of weights whose posterior the numbers are.
ctypedef double (*log_evidence_fn)(const proportions_t *, Py_ssize_t n, const double *numbers) noexcept nogil

cdef struct proportions_t:
    maximise_weights_fn maximise
    log_weights_fn log_weights
    log_prior_fn log_prior         # NULL: a flat prior
    log_evidence_fn log_evidence   # of posteriors, and of no others
    const Py_ssize_t *ranked       # [n], components from the largest to the smallest where a start should know; or NULL
    const void *context            # the kind's own constants

cdef class Proportions:
    cdef proportions_t c

# `log_weights` of kinds whose numbers are the weights themselves.
cdef void take_logarithms(const proportions_t *, Py_ssize_t n, const double *weights,
                          double *log_weights) noexcept nogil

# Which cluster becomes which component: where some components are to be larger than others, they take the larger
# clusters. Changes labels[n_rows] and the rows of centres[n, d]; `counts` and `places` are room for n numbers.
cdef void arrange_clusters(const proportions_t *, Py_ssize_t n, Py_ssize_t n_rows, const double *sample_weight,
                           double *counts, Py_ssize_t *places, int64_t *labels, Py_ssize_t d,
                           double *centres) noexcept nogil
