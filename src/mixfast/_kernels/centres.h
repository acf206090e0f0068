/* Inner loops of k-means and k-means++: how far rows are from centres.
 *
 * `tables` is half_square[n_centres] | centres[n_centres][n_features], reals measured from the pass's pivot, where
 * half_square is |centre|^2 / 2. Distances are squared. */
#ifndef MIXFAST_CENTRES_H
#define MIXFAST_CENTRES_H

#include "family.h"
#include "rows.h"

typedef struct {
    /* closest[r] = min(closest[r], distance to `centre`) for r < stride. */
    void (*take_centre)(ptrdiff_t n_features, const mixfast_chunk *, const void *centre, void *closest);

    /* k-means++: takes the first centre of the tables; the others are candidates for the next one, and potentials[c] is
     * the sum over rows of weight * min(closest, distance to candidate c). scratch: n_centres * strip reals. */
    void (*try_candidates)(ptrdiff_t n_centres, ptrdiff_t n_features, const mixfast_chunk *, const void *tables,
                           const void *weight, void *closest, void *scratch, double *potentials);

    /* Lloyd: labels[r] = the nearest centre, the first of equals, for r < n_rows; distance[r] to it, for r < stride.
     * Returns the sum over rows of weight * distance. */
    double (*nearest)(ptrdiff_t n_centres, ptrdiff_t n_features, const mixfast_chunk *, const void *tables,
                      const void *weight, int64_t *labels, void *distance);

    /* Lloyd: counts[k] += the weight of each row with label k, sums[k][j] += weight * (X[row, j] - centres[k][j]). The
     * rows are the user's own from `start` on, as they lie in memory; centres are as the parameters have them. */
    void (*add_rows)(const mixfast_rows *, ptrdiff_t start, ptrdiff_t n_rows, const int64_t *labels,
                     const double *centres, double *counts, double *sums);
} mixfast_centres_kernels;

#endif
