/* Inner loops of diagonal Gaussian components for rows with missing entries, which are NaN in a chunk: an entry that is not
 * there is a term that is left out. Double precision only, as all rows with missing entries. */
#ifndef MIXFAST_GAPS_H
#define MIXFAST_GAPS_H

#include "family.h"

enum {
    /* Columns whose moments are made at a time: three columns of a chunk for each, and a column of ones, stay in the
     * first-level cache. */
    MIXFAST_GAP_COLUMNS = 8,
    MIXFAST_GAP_SCRATCH = 3 * MIXFAST_GAP_COLUMNS + 1
};

typedef struct {
    /* tables: those of diagonal components in `gaussian.h`, whose constants are those of complete rows; left_out[K][d]: 2
     * log(scale) - log(2 pi), what a column adds to twice the constant. OUT out[A][stride]. */
    void (*log_density)(ptrdiff_t n_components, ptrdiff_t n_features, const double *tables, const double *left_out,
                        const mixfast_chunk *, const mixfast_selection *, double *out);

    /* INOUT stats: first[K][d] | second[K][d], sums of resp (x - mean_k) and of resp (x - mean_k)^2 of the entries that are
     * there, and of resp / precision_k of those that are not. scratch: MIXFAST_GAP_SCRATCH columns. */
    void (*accumulate)(ptrdiff_t n_components, ptrdiff_t n_features, const double *tables, const mixfast_chunk *,
                       const mixfast_selection *, const double *resp, double *scratch, double *stats);
} mixfast_gaps_kernels;

#endif
