from libc.stdint cimport int64_t, uint32_t, uint64_t

from mixfast.engine._family cimport family_t
from mixfast.engine._pass cimport Pass, arena_t, pass_t
from mixfast.engine._pruning cimport pruning_t
from mixfast.engine._truncated cimport truncated_t
from mixfast.proportions._proportions cimport proportions_t

# Parameters that stay as they are while the others are fitted.
cdef struct held_t:
    const double *params       # [n_params], NaN where a parameter is fitted
    const int64_t *centred     # [n_centred], places in the statistics of first moments about what is held: they are
    Py_ssize_t n_centred       # nothing then, so that second ones stay about it
    const char *settled        # [n_components], whether what is said of a component's M-step is of no meaning

# EM over the rows of a pass.
cdef struct em_t:
    pass_t *p
    const held_t *held         # NULL: nothing is held
    pruning_t pruning
    truncated_t truncated      # where rows keep some components alone
    bint prunes                # whether a pass may leave out what is zero
    int status                 # what the M-steps said since the start
    bint is_careful            # the quick family has lost digits since the start: it makes no more passes
    Py_ssize_t n_passes        # since the start
    # where an M-step may overshoot: the state that the last pass was made at, and the one before, which is not below it
    bint guards
    bint is_trial              # the state is extrapolated: it is taken or left as it is
    bint has_base
    double base_objective
    double *base
    double *entering
    double n_impossible        # rows, in the last pass

cdef struct course_t

# Told of every step: by how much it changed the objective, and whether it is accepted, so that the course has its
# objective. Nonzero stops the loop.
ctypedef int (*note_fn)(void *note_data, const course_t *, double change, bint is_accepted) noexcept nogil

# How often the objective rose after falls, each by more than tol.
cdef struct swings_t:
    int n_rebounds
    bint has_fallen            # since it last rose

# How a fit goes. A step is a pass; it is accepted unless it was made at an extrapolated point that turned out worse.
cdef struct course_t:
    Py_ssize_t n_steps, max_steps, n_accepted
    double bound               # the last accepted objective; at first, the one before
    bint converged
    swings_t swings
    bint cycles                # there were too many: the loop has ended
    note_fn note               # NULL where nobody asks
    void *note_data

cdef inline void begin_course(course_t *course, double bound, Py_ssize_t max_steps) noexcept nogil:
    course.n_steps = course.n_accepted = 0
    course.max_steps, course.bound, course.converged = max_steps, bound, False
    course.swings.n_rebounds, course.swings.has_fallen, course.cycles = 0, False, False
    course.note = NULL

cdef inline int tell_of_step(const course_t *course, double change, bint is_accepted) noexcept nogil:
    return 0 if course.note == NULL else course.note(course.note_data, course, change, is_accepted)

# A loop of EM: goes on until it converges, the status gains a bit of `stop_on`, or the steps are used up.
ctypedef int (*loop_fn)(em_t *, void *loop_data, double tol, int stop_on, course_t *) noexcept nogil

cdef double evidence_of(const pass_t *p) noexcept nogil
cdef int find_log_prior(const pass_t *p, double *log_prior) noexcept nogil
cdef void begin_em(em_t *em) noexcept nogil
cdef bint may_overshoot(const family_t *family, const proportions_t *proportions) noexcept nogil
cdef void place_guard(em_t *em, arena_t *arena) noexcept nogil
cdef void rest_on_entering(em_t *em, double objective) noexcept nogil
cdef int start_from_labels(em_t *em, const int64_t *labels, int n_passes, uint32_t *order,
                           Py_ssize_t *places) noexcept nogil
cdef int start_from_order(em_t *em, const int64_t *labels, int n_passes) noexcept nogil
cdef int gather_common_of_prior(pass_t *p) noexcept nogil
cdef int start_from_responsibilities(em_t *em, const double *resp) noexcept nogil
cdef int start_from_draws(em_t *em, uint64_t seed, uint32_t start) noexcept nogil
cdef int maximise_all(em_t *em, bint is_first) noexcept nogil
cdef int advance(em_t *em, double *objective) noexcept nogil
cdef void note_change(em_t *em, course_t *course, double objective, double before, double tol) noexcept nogil
cdef int iterate_plain(em_t *em, void *nothing, double tol, int stop_on, course_t *course) noexcept nogil

cdef void put_held(em_t *em) noexcept nogil

cdef class Held:
    cdef held_t c
    cdef object kept

cdef class EM(Pass):
    cdef Held held
    cdef em_t em
    cdef void *room                # of its guard
    cdef void *kept_room           # of what rows keep
    cdef object gather_elsewhere   # what has rows that are elsewhere
    cdef readonly Py_ssize_t n_steps   # of the last `iterate`
    cdef int take_up(self) noexcept
    cdef int follow(self, double tol, int stop_on, course_t *course) except -1
    cdef double *stats(self) noexcept
    cdef object record(self)
    cdef object gathered(self)
    cdef int restore(self, const double[::1] counts, const double[::1] record) except -1
