"""What OpenMP's runtime would use: the limit that `OMP_NUM_THREADS` set when the process began, or threadpoolctl since.

It belongs to the calling thread, as OpenMP has it.
"""

cdef extern from *:
    """
    #ifdef _OPENMP
    #include <omp.h>
    static int mixfast_max_threads(void) { return omp_get_max_threads(); }
    #else
    static int mixfast_max_threads(void) { return 1; }
    #endif
    """
    int mixfast_max_threads() noexcept nogil


def max_threads():
    """How many threads a parallel region would have; 1 in a build without OpenMP."""
    return mixfast_max_threads()
