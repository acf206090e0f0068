from libc.stdint cimport int64_t, uint32_t, uint64_t

from mixfast.engine._capsule cimport BoundFamily
from mixfast.engine._family cimport chunk_t, family_t
from mixfast.engine._kernels cimport rows_t
from mixfast.engine._pass cimport arena_t, assign_fn, pass_t, workspace_t
from mixfast.engine._pruning cimport pruning_t

# Arrays that a prediction fills, or NULL.
cdef struct results_t:
    int64_t *labels
    char *log_norm
    char *resp
    char *largest

# EM over the rows of a pass.
cdef struct em_t:
    pass_t *p
    pruning_t pruning
    bint prunes                # whether a pass may leave out what is zero
    int status                 # what the M-steps said since the start
    bint is_careful            # the quick family has lost digits since the start: it makes no more passes
    Py_ssize_t n_passes        # since the start
    double n_impossible        # rows, in the last pass

cdef struct course_t

# Told of every step: by how much it changed the objective, and whether it is accepted, so that the course has its
# objective. Nonzero stops the loop.
ctypedef int (*note_fn)(void *note_data, const course_t *, double change, bint is_accepted) noexcept nogil

# How a fit goes. A step is a pass; it is accepted unless it was made at an extrapolated point that turned out worse.
cdef struct course_t:
    Py_ssize_t n_steps, max_steps, n_accepted
    double bound               # the last accepted objective; at first, the one before
    bint converged
    note_fn note               # NULL where nobody asks
    void *note_data

cdef inline void begin_course(course_t *course, double bound, Py_ssize_t max_steps) noexcept nogil:
    course.n_steps = course.n_accepted = 0
    course.max_steps, course.bound, course.converged = max_steps, bound, False
    course.note = NULL

cdef inline int tell_of_step(const course_t *course, double change, bint is_accepted) noexcept nogil:
    return 0 if course.note == NULL else course.note(course.note_data, course, change, is_accepted)

# A loop of EM: goes on until it converges, the status gains a bit of `stop_on`, or the steps are used up.
ctypedef int (*loop_fn)(em_t *, void *loop_data, double tol, int stop_on, course_t *) noexcept nogil

cdef void shape_pass(pass_t *p, const family_t *family, const rows_t *rows, double total_weight,
                     Py_ssize_t n_threads, Py_ssize_t chunk_rows) noexcept nogil
cdef void place_pass(pass_t *p, arena_t *arena) noexcept nogil
cdef void open_workspace(const pass_t *p, int thread, workspace_t *space) noexcept nogil
cdef void prepare(pass_t *p) noexcept nogil
cdef int run_pass(pass_t *p) noexcept nogil
cdef double evidence_of(const pass_t *p) noexcept nogil
cdef void copy_row(const rows_t *rows, Py_ssize_t row, double *out) noexcept nogil
cdef double flops_of(const pass_t *p) noexcept nogil
cdef double value_of(const rows_t *rows, Py_ssize_t row, Py_ssize_t column) noexcept nogil
cdef bint are_equal(const rows_t *rows, Py_ssize_t row, Py_ssize_t other) noexcept nogil
cdef bint is_constant(const rows_t *rows) noexcept nogil
cdef double sum_of_weights(const double *weight, Py_ssize_t n) noexcept nogil
cdef void begin_em(em_t *em) noexcept nogil
cdef int start_from_labels(em_t *em, const int64_t *labels, int n_passes, uint32_t *order,
                           Py_ssize_t *places) noexcept nogil
cdef int start_from_responsibilities(em_t *em, const double *resp) noexcept nogil
cdef int start_from_draws(em_t *em, uint64_t seed, uint32_t start) noexcept nogil
cdef int advance(em_t *em, double *objective) noexcept nogil
cdef void note_fall(em_t *em, double objective, double before) noexcept nogil
cdef int iterate_plain(em_t *em, void *nothing, double tol, int stop_on, course_t *course) noexcept nogil

cdef int look_for_signals(void *nothing) noexcept nogil
cdef int raise_error_of(const family_t *family) except -1

cdef class Rows:
    cdef rows_t c
    cdef readonly object X, sample_weight, base
    cdef object indptr, indices    # of sparse rows
    cdef readonly double total_weight
    cdef int view_sparse(self, X) except -1

cdef class Pass:
    cdef pass_t c
    cdef BoundFamily bound
    cdef object proportions
    cdef readonly Rows rows
    cdef void *memory
    cdef readonly size_t n_bytes   # of it
    cdef int check(self, int code) except -1
    cdef int run(self) except -1

cdef class EM(Pass):
    cdef em_t em
    cdef int follow(self, double tol, int stop_on, course_t *course) except -1
    cdef double *stats(self) noexcept
    cdef object record(self)
    cdef int take_up(self, const double[::1] counts, const double[::1] record) except -1

cdef int expected(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                  double *lane) noexcept nogil
cdef int nearest(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                 double *lane) noexcept nogil
cdef int write_results(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                       double *lane) noexcept nogil
