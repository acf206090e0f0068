"""EM in fewer passes: SQUAREM's extrapolation of its course, with safeguards, for any family that has free numbers.

Where EM is slow, its steps shrink geometrically along a line, and where the line ends can be told from three points on
it: with r the first difference and v the second, p0 + 2 a r + a^2 v, a = |r| / |v|. That is scheme S3 of Varadhan &
Roland, "Simple and globally convergent methods for accelerating the convergence of any EM algorithm", Scandinavian
Journal of Statistics 35 (2008), doi:10.1111/j.1467-9469.2007.00585.x; a = 1 gives p2, what EM itself says.

A cycle is three passes: one at the extrapolated point and two of plain EM, for the image of an extrapolated point is
off the line. The pass that is made at a point tells its objective and its image at once, so the safeguard costs a pass
only where it strikes: a point that is worse than the last accepted one is dropped, and EM goes on from there.

Points are the logarithms of the weights and the free numbers of the family (`unconstrain` in `_kernels/family.h`). Only
points are extrapolated: the parameters of a fit always come from an M-step. All of this is serial and follows from the
objectives and the images alone, so the same bits come out for any number of threads.
"""

from libc.math cimport INFINITY, exp, fabs, isfinite, log, sqrt
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from mixfast._em cimport EM, Pass
from mixfast._family cimport MIXFAST_NOT_FINITE, MIXFAST_REPAIRED_COVARIANCE, family_t

import numpy as np

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
# EM that leaves a plateau grows: its points lie on no line that ends. Random responsibilities begin on one; of 6,400
# fits from there 4 / 70 with 1.003, 7 / 76 with 1.01, 14 / 80 with 1.02; poorly separated synthetic problems take 0.36,
# 0.32 and 0.31 of EM's passes.
cdef double GROWTH = 1.01
# The longest extrapolation at first; doubles when one of full length is accepted. With 4, one of 2,560 ended worse.
cdef double FIRST_LENGTH = 2


cdef double extrapolate_points(Py_ssize_t n, double *oldest, const double *middle, const double *newest,
                               double longest) noexcept nogil:
    """Overwrite the oldest of three points with the extrapolated one, and return the length a that was gone.

    1 means no further than the newest point: EM is fast here, or the points do not say. Numbers that are not finite in
    all three are those of the newest.
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


cdef int point_of(Pass em, double *point) except -1:
    """The present weights and parameters as a point; a component without weight is at -inf for good."""
    cdef const family_t *family = em.c.family
    cdef Py_ssize_t k
    for k in range(family.n_components):
        point[k] = log(em.c.weights[k])
    if family.unconstrain(family, em.c.params, point + family.n_components) < 0:
        em.raise_error_of_family()
    return 0


cdef bint go_to(Pass em, const double *point) except -1:
    """Put the engine at a point; False, with the state spoilt, where its parameters would not be finite."""
    cdef const family_t *family = em.c.family
    cdef double *weights = em.c.weights
    cdef Py_ssize_t k
    cdef double top = -INFINITY, total = 0
    cdef int status
    for k in range(family.n_components):
        top = max(top, point[k])
    for k in range(family.n_components):
        weights[k] = exp(point[k] - top)
        total += weights[k]
    if not isfinite(total):
        return False
    for k in range(family.n_components):
        weights[k] /= total
    status = family.constrain(family, point + family.n_components, em.c.work, em.c.params)
    if status < 0:
        em.raise_error_of_family()
    return status == 0


cdef class AcceleratedEM(EM):
    """EM whose passes are made at extrapolated points where that is worth it; a family without free numbers gets EM.

    Between two passes the state is the image, under EM, of the last accepted point, whatever came of the pass before.
    """

    def __cinit__(self, *args, **kwargs):
        cdef const family_t *family = self.c.family
        cdef Py_ssize_t n_state = family.n_components + family.n_params
        cdef int i
        self.n_point = family.n_components + family.n_free if family.unconstrain != NULL else 0
        self.block = <double *> calloc(n_state + 3 * self.n_point, sizeof(double))
        if self.block == NULL:
            raise MemoryError
        self.image = self.block
        for i in range(3):
            self.points[i] = self.block + n_state + i * self.n_point
        self.forget()

    def __dealloc__(self):
        free(self.block)

    cdef void forget(self) noexcept:
        self.bound = -INFINITY
        self.increment = self.gain = 0
        self.n_points = self.n_slow = self.said = 0
        self.longest = FIRST_LENGTH
        self.moved = INFINITY

    def set_state(self, weights, params):
        """As `EM.set_state`."""
        EM.set_state(self, weights, params)
        self.forget()

    def iterate(self, Py_ssize_t n_steps, double tol, double previous, int stop_on):
        """Up to n_steps passes; the objectives of those that were accepted, which never fall but as EM's do.

        Converged when a plain step moved the objective by less than tol, and the last extrapolation brought less.
        """
        cdef Py_ssize_t _step
        objectives = []
        if self.n_passes == 0:
            self.bound = previous
        for _step in range(n_steps):
            if self.make_pass():
                objectives.append(self.bound)
                if self.status & (stop_on | MIXFAST_NOT_FINITE):
                    return objectives, False
                if self.moved < tol and self.gain < tol:
                    return objectives, True
        return objectives, False

    cdef bint make_pass(self) except -1:
        """One pass, at an extrapolated point where there is one; False when it was worse and is forgotten."""
        cdef int before = self.status
        cdef double n_impossible = self.n_impossible, objective
        cdef double length = self.extrapolate()
        self.status = 0
        objective = self.advance()
        if length > 1 and not (objective >= self.bound and (self.status & ~self.said) == 0):
            self.status, self.n_impossible = before, n_impossible
            self.go_back()
            self.longest = length
            self.gain = 0
            self.n_points = 1
            return False
        self.said = self.status
        self.status |= before
        if length > 1:
            self.accept_extrapolated(objective, length)
        else:
            self.accept_plain(objective)
        self.record()
        return True

    cdef void accept_extrapolated(self, double objective, double length) noexcept:
        self.gain = objective - self.bound
        self.moved = self.increment = INFINITY
        self.bound = objective
        if length == self.longest:
            self.longest *= 2
        self.n_points = 0

    cdef void accept_plain(self, double objective) noexcept:
        """What a step of EM tells: whether it is slow, and whether its points lie on a line yet."""
        cdef double increment = objective - self.bound
        self.moved = fabs(increment)
        self.bound = objective
        # where EM itself falls by a hair, as reg_covar lets it, extrapolating back up would go on for ever
        cdef bint is_small = 0 < increment < SMALL and not self.said & MIXFAST_REPAIRED_COVARIANCE
        if not is_small:
            self.n_points = 0
        if self.n_slow < SLOW_STEPS:
            self.n_slow = self.n_slow + 1 if is_small and SLOW * self.increment < increment < self.increment else 0
        elif increment > GROWTH * self.increment:
            self.n_slow = 0
        if self.n_slow < SLOW_STEPS or self.n_points == 0:
            self.gain = 0    # there is nothing that could bring more
        self.increment = increment

    cdef int record(self) except -1:
        """The present state is the newest point."""
        cdef double *oldest = self.points[0]
        if self.n_point == 0:
            return 0
        self.points[0], self.points[1], self.points[2] = self.points[1], self.points[2], oldest
        point_of(self, oldest)
        self.n_points = min(self.n_points + 1, 3)
        return 0

    cdef double extrapolate(self) except -1:
        """Go to an extrapolated point if it is time; the length that was gone, or 1."""
        cdef const family_t *family = self.c.family
        cdef double length
        if self.n_slow < SLOW_STEPS or self.n_points < 3:
            return 1
        length = extrapolate_points(self.n_point, self.points[0], self.points[1], self.points[2], self.longest)
        if length > 1:
            memcpy(self.image, self.c.weights, family.n_components * sizeof(double))
            memcpy(self.image + family.n_components, self.c.params, family.n_params * sizeof(double))
            if go_to(self, self.points[0]):
                return length
            self.go_back()
        self.gain = 0
        return 1

    cdef void go_back(self) noexcept:
        """To the image of the last accepted point."""
        cdef const family_t *family = self.c.family
        memcpy(self.c.weights, self.image, family.n_components * sizeof(double))
        memcpy(self.c.params, self.image + family.n_components, family.n_params * sizeof(double))


# ---- doors for tests ------------------------------------------------------------------------------------------------

def free_point(Pass p not None):
    """The present weights and parameters as a point, or None where the family has no free numbers."""
    cdef double[::1] point
    if p.c.family.unconstrain == NULL:
        return None
    out = np.empty(p.c.family.n_components + p.c.family.n_free)
    point = out
    point_of(p, &point[0])
    return out


def set_free_point(Pass p not None, const double[::1] point not None):
    """Put the engine at a point; False where its parameters would not be finite."""
    if p.c.family.unconstrain == NULL or point.shape[0] != p.c.family.n_components + p.c.family.n_free:
        raise ValueError("this is no point of the family")
    return go_to(p, &point[0])


def extrapolate(double[:, ::1] points not None, double longest):
    """(the point extrapolated from three, oldest first, the length gone); `points` is overwritten."""
    length = extrapolate_points(points.shape[1], &points[0, 0], &points[1, 0], &points[2, 0], longest)
    return np.asarray(points[0 if length > 1 else 2]), length
