from mixfast.engine._pass cimport pass_t, strategy_t

cdef int run_trimmed(pass_t *p, const strategy_t *strategy) noexcept nogil
