# Draws of what EM would estimate: parameters of components from their posterior, logarithms of weights.

from libc.stdint cimport uint32_t, uint64_t

from mixfast.engine._pass cimport pass_t
from mixfast.proportions._proportions cimport proportions_t

# Streams of a sweep: one for each index from `first` on.
ctypedef struct streams_t:
    uint64_t seed
    uint32_t sweep
    uint32_t purpose
    uint32_t first

cdef void draw_parameters(const pass_t *p, Py_ssize_t n, const streams_t *streams, double *drawn) noexcept nogil
