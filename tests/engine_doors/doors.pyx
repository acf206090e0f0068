"""Functions of the engine that have no face in Python, for tests."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from mixfast.engine._acceleration cimport extrapolate_points, go_to, point_of, point_size
from mixfast.engine._capsule cimport BoundFamily
from mixfast.engine._drawing cimport draw_component, source_t
from mixfast.engine._family cimport family_t
from mixfast.engine._pass cimport Pass, arena_t, copy_of, measure_arena, open_arena
from mixfast.engine._random cimport DRAWN_PARAMETERS, open_stream, philox, stream_t
from mixfast.engine._special cimport bessel_ratio, bessel_ratio_t
from mixfast.engine._views cimport label_rows, look_about, place_views, views_t

import numpy as np


# ---- points of accelerated EM ---------------------------------------------------------------------------------------

def free_point(Pass p not None):
    """The present state as a point; None where the family has no free numbers."""
    cdef double[::1] point
    if p.c.family.free_numbers == NULL:
        return None
    out = np.empty(point_size(&p.c))
    point = out
    if point_of(&p.c, &point[0]) < 0:
        raise RuntimeError("unconstrain failed")
    return out


def set_free_point(Pass p not None, const double[::1] point not None):
    """Put the engine at a point; False where its parameters would not be finite."""
    cdef int status
    if p.c.family.free_numbers == NULL or point.shape[0] != point_size(&p.c):
        raise ValueError("this is no point of the family")
    status = go_to(&p.c, &point[0])
    if status < 0:
        raise RuntimeError("constrain failed")
    return status == 0


def extrapolate(double[:, ::1] points not None, double longest):
    """(the point extrapolated from three, oldest first, the length gone); `points` is overwritten."""
    length = extrapolate_points(points.shape[1], &points[0, 0], &points[1, 0], &points[2, 0], longest)
    return np.asarray(points[0 if length > 1 else 2]), length


# ---- views of the rows ----------------------------------------------------------------------------------------------

def views(Pass centres not None, const int64_t[::1] labels not None, uint64_t seed):
    """Labels (n_views, n_samples), int64, of the views that see other groups than `labels` (n_samples,) has. `centres`: a
    pass of as many centres as there are groups."""
    cdef views_t v
    cdef arena_t arena
    cdef Py_ssize_t n = centres.c.rows.n_rows, i
    cdef int64_t[:, ::1] found
    assert labels.shape[0] == n
    measure_arena(&arena)
    place_views(&v, n, centres.c.family.n_features, centres.c.family.n_components, centres.c.family.isa, &arena)
    cdef void *block = calloc(arena.used, 1)
    open_arena(&arena, block)
    place_views(&v, n, centres.c.family.n_features, centres.c.family.n_components, centres.c.family.isa, &arena)
    look_about(&v, &centres.c.rows, &labels[0], seed)
    out = np.empty((v.n_found, n), dtype=np.int64)
    found = out
    centres.c.proportions.begin(centres.c.proportions, centres.c.family.n_components, centres.c.mixing)
    for i in range(v.n_found):
        assert label_rows(&v, i, &centres.c, &found[i, 0]) == 0
    free(block)
    return out


# ---- random numbers -------------------------------------------------------------------------------------------------

def philox_words(uint64_t key, const uint32_t[::1] counter not None, uint32_t[::1] out not None):
    """Four words from a key and a counter of four words."""
    assert counter.shape[0] == out.shape[0] == 4
    philox(key, &counter[0], &out[0])


def fill_normal(uint64_t seed, uint32_t sweep, uint32_t purpose, uint32_t index, double[::1] out not None):
    """The normal variates of a stream, in their order."""
    cdef stream_t stream = open_stream(seed, sweep, purpose, index)
    cdef Py_ssize_t i
    for i in range(out.shape[0]):
        out[i] = stream.normal(&stream)


def fill_log_gamma(uint64_t seed, uint32_t sweep, uint32_t purpose, uint32_t index, double shape,
                   double[::1] out not None):
    """The logarithms of Gamma(shape) variates of a stream, in their order."""
    cdef stream_t stream = open_stream(seed, sweep, purpose, index)
    cdef Py_ssize_t i
    for i in range(out.shape[0]):
        out[i] = stream.log_gamma(&stream, shape)


# ---- draws ----------------------------------------------------------------------------------------------------------

def draw_from_posterior(capsule, const double[::1] params not None, uint64_t seed, uint32_t sweep):
    """Draw parameters of all components from their posterior.

    IN capsule: a posterior family, bound; params (n_params,): its parameters. Returns parameters of the plain family,
    float64, in that family's layout; the same for the same seed and sweep. ValueError if the family is no posterior
    with draws, or params have another length."""
    cdef BoundFamily bound = BoundFamily(capsule)
    cdef const family_t *f = &bound.c
    cdef source_t source
    cdef double *room
    cdef Py_ssize_t k
    if f.posterior == NULL or f.posterior.draw == NULL:
        raise ValueError("parameters cannot be drawn: the family is no posterior of independent components")
    if params.shape[0] != f.n_params:
        raise ValueError(f"expected {f.n_params} parameters, got {params.shape[0]}")
    source.seed, source.sweep, source.purpose, source.index = seed, sweep, DRAWN_PARAMETERS, 0
    room = <double *> calloc(f.posterior.plain.n_params + f.n_own_work + 1, sizeof(double))
    if room == NULL:
        raise MemoryError
    try:
        for k in range(f.n_components):
            draw_component(f, k, &params[0], &source, room + f.posterior.plain.n_params, room)
        return copy_of(room, f.posterior.plain.n_params)
    finally:
        free(room)


# ---- special functions ----------------------------------------------------------------------------------------------

def mean_resultant(double d, double kappa):
    """(A_d(kappa), 1 - A_d(kappa), dA_d(kappa) / dkappa), A_d(kappa) = I_{d/2}(kappa) / I_{d/2-1}(kappa), each relative
    to itself, for d >= 2 and kappa >= 0: the length of the mean of von Mises-Fisher rows."""
    cdef bessel_ratio_t ratio = bessel_ratio(0.5 * d - 1, kappa)
    return ratio.ratio, ratio.complement, ratio.slope
