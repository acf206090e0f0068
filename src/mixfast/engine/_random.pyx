"""Streams of random numbers, and a Python function, for tests, of the counter-based ones in `_random.pxd`."""

from libc.math cimport M_PI, cos, log, log1p, sin, sqrt
from libc.stdint cimport uint32_t, uint64_t

from mixfast.engine._family cimport stream_t


cdef stream_t open_stream(uint64_t seed, uint32_t sweep, uint32_t purpose, uint32_t index) noexcept nogil:
    cdef stream_t stream
    stream.normal, stream.log_gamma, stream.uniform, stream.seed = next_normal, next_log_gamma, next_uniform, seed
    stream.counter[0] = 0
    stream.counter[1] = index
    stream.counter[2] = purpose
    stream.counter[3] = sweep
    stream.spare, stream.has_spare = 0, False
    return stream


cdef inline void next_words(stream_t *stream, uint32_t *words) noexcept nogil:
    philox(stream.seed, stream.counter, words)
    stream.counter[0] += 1


cdef double next_uniform(stream_t *stream) noexcept nogil:
    """In [0, 1)"""
    cdef uint32_t[4] words
    next_words(stream, words)
    return as_uniform(words)


cdef double next_normal(stream_t *stream) noexcept nogil:
    """Two at a time: Box & Muller, "A note on the generation of random normal deviates", Annals of Mathematical
    Statistics 29 (1958)."""
    cdef uint32_t[4] words
    cdef double length, angle
    if stream.has_spare:
        stream.has_spare = False
        return stream.spare
    next_words(stream, words)
    length = sqrt(-2 * log1p(-as_uniform(words)))
    angle = 2 * M_PI * as_uniform(words + 2)
    stream.spare, stream.has_spare = length * sin(angle), True
    return length * cos(angle)


cdef double next_log_gamma(stream_t *stream, double shape) noexcept nogil:
    """Marsaglia & Tsang, "A simple method for generating gamma variables", ACM Transactions on Mathematical Software 26
    (2000). Below 1 a variate is one of shape + 1 times U^(1 / shape), which is why it is a logarithm."""
    cdef double scale, root, x, v, u
    if shape < 1:
        x = log1p(-next_uniform(stream)) / shape
        return x + next_log_gamma(stream, shape + 1)
    scale = shape - 1.0 / 3
    root = 1 / sqrt(9 * scale)
    while True:
        x = next_normal(stream)
        v = 1 + root * x
        if v <= 0:
            continue
        v = v * v * v
        u = 1 - next_uniform(stream)
        if u < 1 - 0.0331 * (x * x) * (x * x) or log(u) < 0.5 * x * x + scale * (1 - v + log(v)):
            return log(scale * v)


def fill_uniform(uint64_t seed, uint32_t start, uint32_t purpose, double[::1] out not None):
    """out[i] = uniform(seed, start, purpose, i)."""
    cdef Py_ssize_t i
    with nogil:
        for i in range(out.shape[0]):
            out[i] = uniform(seed, start, purpose, <uint64_t> i)


PURPOSE_RANDOM_ROWS = <int> RANDOM_ROWS
PURPOSE_RANDOM_RESPONSIBILITIES = <int> RANDOM_RESPONSIBILITIES
PURPOSE_FIRST_CENTRE = <int> FIRST_CENTRE
PURPOSE_NEXT_CENTRE = <int> NEXT_CENTRE
PURPOSE_FOLDS = <int> FOLDS
