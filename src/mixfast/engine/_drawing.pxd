# Draws of what EM would estimate: parameters of components from their posterior, weights, labels of rows.

from libc.stdint cimport int64_t, uint32_t, uint64_t

from mixfast.engine._pass cimport pass_t, strategy_t
from mixfast.proportions._proportions cimport proportions_t

# Random numbers of a sweep: those of `index` lie apart from those of others.
ctypedef struct source_t:
    uint64_t seed
    uint32_t sweep
    uint32_t purpose
    uint32_t index

# What a pass that draws labels is told.
ctypedef struct labelling_t:
    source_t source
    Py_ssize_t n_components        # the first so many are there
    int64_t *labels                # of each row that is visited, at its number
    bint are_given                 # labels are there: nothing is drawn

# Proportions whose numbers are logarithms of the weights, which need not sum to 1.
cdef const proportions_t *logarithms() noexcept nogil

cdef void draw_parameters(const pass_t *p, Py_ssize_t n, const source_t *source, double *drawn) noexcept nogil
cdef void draw_log_weights(Py_ssize_t n, const double *counts, double more, const source_t *source,
                           double *out) noexcept nogil
# Where a pass writes log densities: those of component a at table[a * size ..], in the order of its rows.
ctypedef struct tabulation_t:
    Py_ssize_t n_components        # the first so many
    Py_ssize_t size
    double *table

cdef strategy_t tabulating_by(const tabulation_t *tabulation) noexcept nogil
cdef strategy_t labelling_by(const labelling_t *labelling) noexcept nogil
