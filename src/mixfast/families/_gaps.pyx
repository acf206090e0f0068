"""The verbs of Gaussian families whose columns are independent within a component, for rows with missing entries, at
random: those of a family of complete rows, with a term of the log density left out for each entry that is not there.

Encoded rows have NaN for missing entries, and one more column, the number of the row's pattern, which nothing here
looks at. A missing entry has its mean in the component for conditional mean and its variance for conditional variance:
it adds nothing to first moments about the means of the pass, and the variance to second ones. See `_kernels/gaps.h`.
"""

from libc.math cimport M_PI, log

from mixfast.engine._capsule cimport BoundFamily, capsule_of
from mixfast.engine._family cimport chunk_t, family_t, selection_t
from mixfast.engine._kernels cimport MIXFAST_GAP_SCRATCH, gaps_kernels_t, mixfast_select_gaps
from mixfast.families._missing cimport complete_of, in_cache_lines, new_around

ctypedef struct context_t:
    const family_t *complete       # as the first member of an `around_t`
    const gaps_kernels_t *kernels


cdef inline const gaps_kernels_t *kernels_of(const family_t *f) noexcept nogil:
    return (<const context_t *> f.context).kernels


cdef inline Py_ssize_t n_left_out(const family_t *f) noexcept nogil:
    """Numbers of the tables before those of the complete family."""
    return in_cache_lines(f.n_components * complete_of(f).n_features)


cdef void prepare(const family_t *f, const double *log_weights, const double *params, double *work, double *pivot,
                  void *tables) noexcept nogil:
    """OUT tables: left_out[K][d] | those of the complete family."""
    cdef const family_t *complete = complete_of(f)
    cdef Py_ssize_t n = f.n_components * complete.n_features, i
    cdef double *left_out = <double *> tables
    cdef const double *scale = left_out + n_left_out(f) + f.n_components + n
    complete.prepare(complete, log_weights, params, work, pivot, left_out + n_left_out(f))
    pivot[complete.n_features] = 0  # the column of pattern numbers
    for i in range(n):
        left_out[i] = 2 * log(scale[i]) - log(2 * M_PI)


cdef int log_density(const family_t *f, const void *tables, const chunk_t *chunk, const selection_t *selection,
                     void *scratch, void *out) noexcept nogil:
    kernels_of(f).log_density(f.n_components, complete_of(f).n_features, <const double *> tables + n_left_out(f),
                              <const double *> tables, chunk, selection, <double *> out)
    return 0


cdef int accumulate(const family_t *f, const void *tables, const chunk_t *chunk, const selection_t *selection,
                    const void *resp, void *scratch, double *stats) noexcept nogil:
    kernels_of(f).accumulate(f.n_components, complete_of(f).n_features, <const double *> tables + n_left_out(f),
                             chunk, selection, <const double *> resp, <double *> scratch, stats)
    return 0


def bind_gaps(capsule, int kept_bytes):
    """A capsule for rows with missing entries, around the capsule of a Gaussian family of complete rows whose tables
    are those of diagonal components.

    kept_bytes : of the reals that parameters will be rounded to, those of the user's rows
    """
    cdef BoundFamily bound = BoundFamily(capsule)
    cdef const family_t *complete = &bound.c
    cdef family_t *f = new_around(bound, kept_bytes, sizeof(context_t))
    (<context_t *> f.context).kernels = mixfast_select_gaps(complete.isa)
    f.n_tables = n_left_out(f) + complete.n_tables
    f.n_scratch_columns = MIXFAST_GAP_SCRATCH
    f.flops_per_row = 2 * complete.flops_per_row
    f.prepare, f.log_density, f.accumulate = prepare, log_density, accumulate
    return capsule_of(f)
