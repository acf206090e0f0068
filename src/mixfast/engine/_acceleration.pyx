"""EM in fewer passes: SQUAREM's extrapolation of its course, with safeguards, for any family that has free numbers.

Where EM is slow, its steps shrink geometrically along a line, and where the line ends can be told from three points on
it: with r the first difference and v the second, p0 + 2 a r + a^2 v, a = |r| / |v|. That is scheme S3 of Varadhan &
Roland, "Simple and globally convergent methods for accelerating the convergence of any EM algorithm", Scandinavian
Journal of Statistics 35 (2008), doi:10.1111/j.1467-9469.2007.00585.x; a = 1 gives p2, what EM itself says.

A cycle is three passes: one at the extrapolated point and two of plain EM, for the image of an extrapolated point is
off the line. The pass that is made at a point tells its objective and its image at once, so the safeguard costs a pass
only where it strikes: a point that is worse than the last accepted one is dropped, and EM goes on from there.

Points are the free numbers of the proportions and of the family (`unconstrain` in `proportions/_proportions.pxd` and in
`_kernels/family.h`). Only points are extrapolated: the parameters of a fit always come from an M-step. All of this is
serial and follows from the objectives and the images alone, so the same bits come out for any number of threads.
"""

from libc.math cimport INFINITY, fabs, isfinite, sqrt
from libc.stdlib cimport calloc, free

from mixfast._em cimport EM, advance, course_t, em_t, note_change, put_held, rest_on_entering, tell_of_step
from mixfast.engine._family cimport (
    MIXFAST_FAILED,
    MIXFAST_NOT_FINITE,
    MIXFAST_REPAIRED_COVARIANCE,
    MIXFAST_SPURIOUS_COMPONENT,
)
from mixfast.engine._pass cimport (
    arena_t,
    copy_state_from,
    copy_state_to,
    measure_arena,
    n_state_of,
    open_arena,
    pass_t,
    take,
)


# When to extrapolate, by the increments of the objective per unit of weight. Figures were taken when the loop was
# chosen, by changing one threshold at a time, to tol=1e-10 on five data sets with four structures, K = 2 to 5 and 40 or
# 100 starts: how many of 2,560 or 6,400 fits ended worse / better than plain EM, and the passes of all.
# `benchmarks/acceleration.py --ends` shows what the present ones come to.
cdef enum:
    SLOW_STEPS = 2         # so many slow steps in a row begin it. Of 6,400: 3 / 16; with 4, 4 / 19; with 6, 5 / 16
# Slow is an increment of more than this share of the one before, but less than all of it. Of 6,400: 511,000 passes;
# with 0.8, 530,000. With 0.9 few fits of the reference data are slow, and 2,560 take a tenth more.
cdef double SLOW = 0.7
# No increment may be larger: extrapolations from far off are what ends in other optima. Of 2,560 nine ended worse
# without a bound, two with 1e-3, none with 1e-4; 3e-5 takes a twentieth more passes.
cdef double SMALL = 1e-4
# The same for posteriors. Of 1,800 fits of 400 rows with 3 to 10 components to tol=1e-6 none ended worse and one
# better, in 0.56 of the passes of plain steps, where 1e-4 takes 0.62; with 1e-2 three ended worse and seven better.
cdef double SMALL_OF_POSTERIORS = 1e-3
# EM that leaves a plateau grows: its points lie on no line that ends. Random responsibilities begin on one; of 6,400
# fits from there 4 / 70 with 1.003, 7 / 76 with 1.01, 14 / 80 with 1.02; poorly separated synthetic problems take 0.36,
# 0.32 and 0.31 of EM's passes.
cdef double GROWTH = 1.01
# The longest extrapolation at first; doubles when one of full length is accepted. With 4, one of 2,560 ended worse.
cdef double FIRST_LENGTH = 2


cdef double extrapolate_points(Py_ssize_t n, double *oldest, const double *middle, const double *newest,
                               double longest) noexcept nogil:
    """Overwrite the oldest of three points with the extrapolated point; return the step length a.

    IN: three points of n free numbers each. OUT: `oldest`. a = 1 means that the result is the newest point: EM is fast
    here, or the three points do not determine a line. A number that is not finite in all three points is copied from
    the newest.
    """
    cdef double r, v, first = 0, second = 0, length
    cdef Py_ssize_t i
    for i in range(n):
        r = middle[i] - oldest[i]
        v = newest[i] - middle[i] - r
        if isfinite(r) and isfinite(v):
            first += r * r
            second += v * v
    length = min(sqrt(first / second), longest) if second > 0 else 1
    if not (length > 1 and isfinite(first)):
        return 1
    for i in range(n):
        r = middle[i] - oldest[i]
        v = newest[i] - middle[i] - r
        oldest[i] = oldest[i] + 2 * length * r + length * length * v if isfinite(r) and isfinite(v) else newest[i]
    return length


cdef inline Py_ssize_t n_free_mixing(const pass_t *p) noexcept nogil:
    if p.proportions.free_numbers == NULL:
        return 0
    return p.proportions.free_numbers.n_free(p.proportions, p.family.n_components)


cdef Py_ssize_t point_size(const pass_t *p) noexcept nogil:
    return 0 if p.family.free_numbers == NULL else n_free_mixing(p) + p.family.free_numbers.n_free


cdef int point_of(const pass_t *p, double *point) noexcept nogil:
    """OUT point[n_free]: the present state in free numbers. Returns status flags. A component without weight is at -inf
    and stays there."""
    if p.proportions.free_numbers != NULL:
        p.proportions.free_numbers.unconstrain(p.proportions, p.family.n_components, p.mixing, point)
    return p.family.free_numbers.unconstrain(p.family, p.params, point + n_free_mixing(p))


cdef int go_to(pass_t *p, const double *point) noexcept nogil:
    """Put the pass at a point. Nonzero, with the state spoilt, where it would not be finite."""
    if p.proportions.free_numbers != NULL and p.proportions.free_numbers.constrain(
            p.proportions, p.family.n_components, point, p.mixing) != 0:
        return 1
    return p.family.free_numbers.constrain(p.family, point + n_free_mixing(p), p.work, p.params)


cdef void place_acceleration(acceleration_t *a, em_t *em, arena_t *arena) noexcept nogil:
    cdef int i
    a.em = em
    a.n_point = point_size(em.p)
    a.image = <double *> take(arena, n_state_of(em.p) * sizeof(double))
    for i in range(3):
        a.points[i] = <double *> take(arena, a.n_point * sizeof(double))


cdef void forget(acceleration_t *a) noexcept nogil:
    """A new start."""
    a.bound = -INFINITY
    a.increment = a.gain = 0
    a.n_points = a.n_slow = a.said = 0
    a.longest = FIRST_LENGTH
    a.moved = INFINITY


cdef int iterate_accelerated(em_t *em, void *acceleration, double tol, int stop_on, course_t *course) noexcept nogil:
    """EM that makes some passes at extrapolated points. Objectives of accepted passes never fall, except where plain
    EM's do. Converged when the last plain step changed the objective by less than tol and the last extrapolation gained
    less than tol. A family without free numbers gets plain EM.

    Invariant between two passes: the state is the M-step (image) of the last accepted point.
    """
    cdef acceleration_t *a = <acceleration_t *> acceleration
    cdef bint is_accepted = False
    cdef double before
    cdef int code
    if em.n_passes == 0:
        a.bound = course.bound
    while course.n_steps < course.max_steps:
        course.n_steps += 1
        code = make_pass(a, &is_accepted)
        if code != 0:
            return code
        before = course.bound
        if is_accepted:
            course.n_accepted += 1
            note_change(em, course, a.bound, course.bound, tol)
            course.bound = a.bound
        code = tell_of_step(course, course.bound - before if is_accepted else 0, is_accepted)
        if code != 0:
            return code
        if not is_accepted:
            continue
        if em.status & (stop_on | MIXFAST_NOT_FINITE):
            return 0
        course.converged = a.moved < tol and a.gain < tol
        if course.converged or course.cycles:
            return 0
    return 0


cdef int make_pass(acceleration_t *a, bint *is_accepted) noexcept nogil:
    """One pass, at the extrapolated point if there is one. An extrapolated point with a lower objective is rejected."""
    cdef em_t *em = a.em
    cdef int before = em.status, code
    cdef double n_impossible = em.n_impossible, objective = 0, length = 1
    code = extrapolate_state(a, &length)
    if code != 0:
        return code
    em.status, em.is_trial = 0, length > 1
    code = advance(em, &objective)
    em.is_trial = False
    if code != 0:
        return code
    is_accepted[0] = length == 1 or (
        objective >= a.bound and (em.status & ~(a.said | MIXFAST_SPURIOUS_COMPONENT)) == 0)
    if not is_accepted[0]:
        em.status, em.n_impossible = before, n_impossible
        go_back(a)
        a.longest = length
        a.gain = 0
        a.n_points = 1
        return 0
    a.said = em.status
    em.status |= before & ~MIXFAST_SPURIOUS_COMPONENT
    if length > 1:
        accept_extrapolated(a, objective, length)
    else:
        accept_plain(a, objective)
    return record(a)


cdef void accept_extrapolated(acceleration_t *a, double objective, double length) noexcept nogil:
    if a.em.guards:
        rest_on_entering(a.em, objective)
    a.gain = objective - a.bound
    a.moved = a.increment = INFINITY
    a.bound = objective
    if length == a.longest:
        a.longest *= 2
    a.n_points = 0


cdef void accept_plain(acceleration_t *a, double objective) noexcept nogil:
    """Record an accepted plain step: whether EM is slow, and whether the last points lie on a line yet."""
    cdef double increment = objective - a.bound
    cdef const pass_t *p = a.em.p
    # the objectives of posteriors are those of all rows
    cdef double small = SMALL if p.family.posterior == NULL else SMALL_OF_POSTERIORS * p.total_weight
    a.moved = fabs(increment)
    a.bound = objective
    # where EM itself falls by a hair, as reg_covar lets it, extrapolating back up would go on for ever
    cdef bint is_small = 0 < increment < small and not a.said & MIXFAST_REPAIRED_COVARIANCE
    if not is_small:
        a.n_points = 0
    if a.n_slow < SLOW_STEPS:
        a.n_slow = a.n_slow + 1 if is_small and SLOW * a.increment < increment < a.increment else 0
    elif increment > GROWTH * a.increment:
        a.n_slow = 0
    if a.n_slow < SLOW_STEPS or a.n_points == 0:
        a.gain = 0    # no extrapolation is pending
    a.increment = increment


cdef int record(acceleration_t *a) noexcept nogil:
    """Append the present state to the points, as the newest."""
    cdef double *oldest = a.points[0]
    if a.n_point == 0:
        return 0
    a.points[0], a.points[1], a.points[2] = a.points[1], a.points[2], oldest
    a.n_points = min(a.n_points + 1, 3)
    return MIXFAST_FAILED if point_of(a.em.p, oldest) < 0 else 0


cdef int extrapolate_state(acceleration_t *a, double *length) noexcept nogil:
    """Move the state to an extrapolated point if enough points are there. OUT length: the step length, 1 for none."""
    cdef pass_t *p = a.em.p
    cdef int status
    length[0] = 1
    if a.n_slow < SLOW_STEPS or a.n_points < 3:
        return 0
    length[0] = extrapolate_points(a.n_point, a.points[0], a.points[1], a.points[2], a.longest)
    if length[0] > 1:
        copy_state_to(p, a.image)
        status = go_to(p, a.points[0])
        put_held(a.em)
        if status <= 0:
            return MIXFAST_FAILED if status < 0 else 0
        go_back(a)
        length[0] = 1
    a.gain = 0
    return 0


cdef void go_back(acceleration_t *a) noexcept nogil:
    """Restore the image (M-step) of the last accepted point."""
    copy_state_from(a.em.p, a.image)


cdef class AcceleratedEM(EM):
    """EM by `iterate_accelerated`."""

    def __cinit__(self, *args, **kwargs):
        cdef arena_t arena
        measure_arena(&arena)
        place_acceleration(&self.acceleration, &self.em, &arena)
        self.block = calloc(arena.used, 1)
        if self.block == NULL:
            raise MemoryError
        open_arena(&arena, self.block)
        place_acceleration(&self.acceleration, &self.em, &arena)
        forget(&self.acceleration)

    def __dealloc__(self):
        free(self.block)

    def set_state(self, weights, params):
        """As `EM.set_state`."""
        EM.set_state(self, weights, params)
        forget(&self.acceleration)

    cdef int follow(self, double tol, int stop_on, course_t *course) except -1:
        cdef int code
        with nogil:
            code = iterate_accelerated(&self.em, &self.acceleration, tol, stop_on, course)
        return self.check(code)
