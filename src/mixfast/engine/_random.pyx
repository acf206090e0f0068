"""Python doors to the counter-based random numbers of `_random.pxd`."""

from libc.stdint cimport uint32_t, uint64_t


def philox_words(uint64_t key, const uint32_t[::1] counter not None, uint32_t[::1] out not None):
    """Four words from a key and a counter of four words."""
    if counter.shape[0] != 4 or out.shape[0] != 4:
        raise ValueError("counter and out must hold 4 words")
    philox(key, &counter[0], &out[0])


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
