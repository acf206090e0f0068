# Draws of what EM would estimate: parameters of components from their posterior, weights, labels of rows.

from libc.stdint cimport int64_t, uint32_t, uint64_t

from mixfast.engine._family cimport family_t
from mixfast.engine._pass cimport pass_t, strategy_t
from mixfast.proportions._proportions cimport proportions_t

# Where random numbers of a sweep come from: sources with different `index` have different streams.
ctypedef struct source_t:
    uint64_t seed
    uint32_t sweep
    uint32_t purpose
    uint32_t index

# Arguments of `share_and_draw`, the assign function that draws labels.
ctypedef struct labelling_t:
    source_t source
    Py_ssize_t n_components        # only the first n_components of the family's are used
    int64_t *labels                # [n_rows], indexed by the row's number
    bint are_given                 # labels are IN, and only their log probability is wanted; else they are OUT

# Proportions whose numbers are logarithms of the weights, which need not sum to 1.
cdef const proportions_t *logarithms() noexcept nogil

cdef void draw_component(const family_t *f, Py_ssize_t k, const double *params, const source_t *source,
                         double *own_work, double *drawn) noexcept nogil
cdef void draw_parameters(const pass_t *p, Py_ssize_t n, const source_t *source, double *drawn) noexcept nogil
cdef void draw_log_weights(Py_ssize_t n, const double *counts, double more, const source_t *source,
                           double *out) noexcept nogil
# Where a pass writes log densities: those of component a at table[a * size ..], in the order of its rows.
ctypedef struct tabulation_t:
    Py_ssize_t n_components        # only the first n_components of the family's are written
    Py_ssize_t size
    double *table

cdef strategy_t tabulating_by(const tabulation_t *tabulation) noexcept nogil
cdef strategy_t labelling_by(const labelling_t *labelling) noexcept nogil
