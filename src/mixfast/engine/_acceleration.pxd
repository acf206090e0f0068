from mixfast._em cimport EM, course_t, em_t
from mixfast.engine._pass cimport arena_t, pass_t

cdef struct acceleration_t:
    em_t *em
    double *image              # the state to go back to: mixing and parameters
    (double *)[3] points       # images of consecutive plain steps, oldest first; n_points of them, the newest
    Py_ssize_t n_point, n_points, n_slow
    int said                   # status flags of the M-step at the last accepted point
    double bound               # the objective at the last accepted point
    double increment           # change of the objective in the last plain step
    double moved               # absolute value of that; infinite after an extrapolation
    double gain                # change of the objective by the last extrapolation; 0 without one
    double longest             # how far the next one may go

# Points, which are extrapolated.
cdef double extrapolate_points(Py_ssize_t n, double *oldest, const double *middle, const double *newest,
                               double longest) noexcept nogil
cdef Py_ssize_t point_size(const pass_t *p) noexcept nogil
cdef int point_of(const pass_t *p, double *point) noexcept nogil
cdef int go_to(pass_t *p, const double *point) noexcept nogil

cdef void place_acceleration(acceleration_t *a, em_t *em, arena_t *arena) noexcept nogil
cdef void forget(acceleration_t *a) noexcept nogil
cdef int iterate_accelerated(em_t *em, void *acceleration, double tol, int stop_on, course_t *course) noexcept nogil

cdef class AcceleratedEM(EM):
    cdef acceleration_t acceleration
    cdef void *block
