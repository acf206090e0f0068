from mixfast.engine._family cimport chunk_t
from mixfast.engine._pass cimport pass_t, strategy_t, workspace_t

cdef int shared_by_groups(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                          double *lane) noexcept nogil
cdef int run_e_step(pass_t *p, const strategy_t *strategy) noexcept nogil
