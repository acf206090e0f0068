# Counter-based random numbers: each is a function of (seed, start, purpose, index) alone, so a result depends on no
# order, no thread and no neighbour. Philox 4x32 with ten rounds: Salmon, Moraes, Dror & Shaw, "Parallel random numbers:
# as easy as 1, 2, 3", SC 2011, doi:10.1145/2063384.2063405.

from libc.stdint cimport uint32_t, uint64_t

from mixfast.engine._family cimport stream_t

# What a stream is for. A new use takes a new number; the old ones never change.
cdef enum purpose_t:
    RANDOM_ROWS = 1
    RANDOM_RESPONSIBILITIES = 2
    FIRST_CENTRE = 3
    NEXT_CENTRE = 4
    FOLDS = 5
    RANDOM_LABELS = 6
    GIBBS = 7
    DRAWN_PARAMETERS = 8
    DRAWN_WEIGHTS = 9
    DRAWN_LABELS = 10
    PROPOSALS = 11
    SCANNED_PARAMETERS = 12
    SCANNED_WEIGHTS = 13
    SCANNED_LABELS = 14
    CONCENTRATIONS = 15
    SINGLE_ROWS = 16
    SINGLE_PARAMETERS = 17
    CANDIDATES = 18
    CHAINS = 19
    DRAWN_ROWS = 20
    VIEWED_ROWS = 21


cdef inline void philox(uint64_t key, const uint32_t *counter, uint32_t *out) noexcept nogil:
    """out[4] from counter[4]; constants from the paper."""
    cdef uint32_t key0 = <uint32_t> key, key1 = <uint32_t> (key >> 32)
    cdef uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3]
    cdef uint64_t left, right
    cdef int _round
    for _round in range(10):
        left = <uint64_t> 0xD2511F53 * c0
        right = <uint64_t> 0xCD9E8D57 * c2
        c0 = <uint32_t> (right >> 32) ^ c1 ^ key0
        c1 = <uint32_t> right
        c2 = <uint32_t> (left >> 32) ^ c3 ^ key1
        c3 = <uint32_t> left
        key0 += <uint32_t> 0x9E3779B9
        key1 += <uint32_t> 0xBB67AE85
    out[0] = c0
    out[1] = c1
    out[2] = c2
    out[3] = c3


cdef inline double uniform(uint64_t seed, uint32_t start, uint32_t purpose, uint64_t index) noexcept nogil:
    """A double in [0, 1) of 53 random bits."""
    cdef uint32_t[4] counter
    cdef uint32_t[4] words
    counter[0] = <uint32_t> index
    counter[1] = <uint32_t> (index >> 32)
    counter[2] = purpose
    counter[3] = start
    philox(seed, counter, words)
    return as_uniform(words)


cdef inline double as_uniform(const uint32_t *words) noexcept nogil:
    """A double in [0, 1) from two words."""
    return ((<uint64_t> (words[0] >> 5) << 26) + (words[1] >> 6)) * (1.0 / 9007199254740992.0)


# A stream of numbers, a function of (seed, sweep, purpose, index) as a whole: a family gets one for what it draws.
cdef stream_t open_stream(uint64_t seed, uint32_t sweep, uint32_t purpose, uint32_t index) noexcept nogil
cdef double next_uniform(stream_t *stream) noexcept nogil


cdef inline Py_ssize_t one_of(Py_ssize_t n, const double *weights, double draw) noexcept nogil:
    """An index by weights[n], which need not sum to 1; `draw` is uniform in [0, 1). One of weight 0 is never taken,
    unless all are."""
    cdef double left = 0
    cdef Py_ssize_t i, last = 0
    for i in range(n):
        left += weights[i]
    left *= draw
    for i in range(n):
        if weights[i] > 0:
            last = i
            if left < weights[i]:
                break
            left -= weights[i]
    return last
