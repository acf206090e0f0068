from libc.stdint cimport int64_t

from mixfast.engine._pass cimport assign_fn, strategy_t

# Arrays that a prediction fills, or NULL.
cdef struct results_t:
    int64_t *labels
    char *log_norm
    char *resp
    char *largest

cdef strategy_t writing(assign_fn assign, const results_t *results) noexcept nogil
