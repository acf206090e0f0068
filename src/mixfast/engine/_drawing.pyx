"""Draws of what EM would estimate, by the pass of a posterior: parameters of its plain family.

Random numbers are counted (`_random.pxd`): what is drawn depends on seed, sweep and component, and on no thread.
"""

from cython.parallel cimport prange, threadid
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from mixfast.engine._capsule cimport BoundFamily
from mixfast.engine._family cimport family_t, stream_t
from mixfast.engine._pass cimport copy_of, pass_t, threads_for_components
from mixfast.engine._random cimport DRAWN_PARAMETERS, open_stream


cdef void draw_component(const family_t *f, Py_ssize_t k, const double *params, const streams_t *streams,
                         double *own_work, double *drawn) noexcept nogil:
    cdef stream_t stream = open_stream(streams.seed, streams.sweep, streams.purpose, streams.first + <uint32_t> k)
    f.posterior.draw(f, k, params, &stream, own_work, drawn)


cdef void draw_parameters(const pass_t *p, Py_ssize_t n, const streams_t *streams, double *drawn) noexcept nogil:
    """Of the first n components, from the posterior whose pass it is, on all threads where that is long."""
    cdef Py_ssize_t k
    cdef int n_threads = threads_for_components(p)
    if n_threads == 1:
        for k in range(n):
            draw_component(p.family, k, p.params, streams, p.own_work, drawn)
        return
    for k in prange(n, schedule="dynamic", num_threads=n_threads):
        draw_component(p.family, k, p.params, streams, p.own_work + threadid() * p.family.n_own_work, drawn)


def draw_from_posterior(capsule, const double[::1] params not None, uint64_t seed, uint32_t sweep):
    """Parameters of the plain family, drawn from the posterior that `params` are of: an array as that family lays them
    out. The same for the same seed and sweep."""
    cdef BoundFamily bound = BoundFamily(capsule)
    cdef const family_t *f = &bound.c
    cdef streams_t streams
    cdef double *room
    cdef Py_ssize_t k
    if f.posterior == NULL or f.posterior.draw == NULL:
        raise ValueError("parameters cannot be drawn: the family is no posterior of independent components")
    if params.shape[0] != f.n_params:
        raise ValueError(f"expected {f.n_params} parameters, got {params.shape[0]}")
    streams.seed, streams.sweep, streams.purpose, streams.first = seed, sweep, DRAWN_PARAMETERS, 0
    room = <double *> calloc(f.posterior.plain.n_params + f.n_own_work + 1, sizeof(double))
    if room == NULL:
        raise MemoryError
    try:
        for k in range(f.n_components):
            draw_component(f, k, &params[0], &streams, room + f.posterior.plain.n_params, room)
        return copy_of(room, f.posterior.plain.n_params)
    finally:
        free(room)
