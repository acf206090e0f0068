from mixfast._family cimport chunk_t, rows_t
from mixfast._pass cimport assign_fn, pass_t, workspace_t
from mixfast._pruning cimport pruning_t

cdef class Rows:
    cdef rows_t c
    cdef readonly object X, sample_weight
    cdef readonly double total_weight

cdef class Pass:
    cdef pass_t c
    cdef object capsule
    cdef readonly Rows rows
    cdef void *memory
    cdef int run(self) except -1
    cdef int visit(self) except -1
    cdef int gather_common(self, assign_fn assign, const void *data) except -1
    cdef double evidence(self)
    cdef object raise_error_of_family(self)

cdef class EM(Pass):
    cdef readonly int status
    cdef readonly double n_impossible
    cdef readonly Py_ssize_t n_passes
    cdef pruning_t pruning
    cdef public bint prunes
    cdef int _maximise(self) except -1
    cdef double _log_prior(self) except? -1
    cdef double advance(self) except? -1
    cdef int _run_pruned(self) except -1
    cdef object _start(self, assign_fn assign, const void *data, int n_passes=*)

cdef int expected(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                  double *lane) noexcept nogil
cdef int nearest(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                 double *lane) noexcept nogil
