/* Inner loops of rows with missing entries. Double precision only: such rows are encoded, and have a column of pattern
 * numbers that a float could not hold. */
#ifndef MIXFAST_MISSING_H
#define MIXFAST_MISSING_H

#include <stddef.h>

typedef struct {
    /* Rows of one pattern, from `first` to `last` - 1 of a chunk: entry c of `missing[n_missing]` becomes
     * mean[c] + sum_i slopes[a][i] (x_j - mean[j]), j = there[i], where c = missing[a].
     * IN x[..][stride], slopes[n_missing][n_there] (n_there = 0: none), mean[..]; INOUT out[..][stride]: no other row and
     * no other column of it changes. Columns are aligned to cache lines, and stride is a multiple of them. */
    void (*impute)(ptrdiff_t n_there, const ptrdiff_t *there, ptrdiff_t n_missing, const ptrdiff_t *missing,
                   const double *slopes, const double *mean, ptrdiff_t stride, ptrdiff_t first, ptrdiff_t last,
                   const double *x, double *out);
} mixfast_missing_kernels;

#endif
