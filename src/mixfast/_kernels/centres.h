/* Inner loops of k-means and k-means++: how far rows are from centres.
 *
 * Two tables of them, `centres` for packed chunks and `sparse_centres` for sparse ones. Distances are squared. */
#ifndef MIXFAST_CENTRES_H
#define MIXFAST_CENTRES_H

#include "family.h"
#include "rows.h"

typedef struct {
    /* The size of the tables in reals, and tables from |centre|^2 / 2 [n_centres] and then centres[n_centres][n_features],
     * measured from the pass's pivot and rounded to reals already. */
    ptrdiff_t (*n_tables)(ptrdiff_t n_centres, ptrdiff_t n_features);
    void (*lay_out)(ptrdiff_t n_centres, ptrdiff_t n_features, const double *centres, void *tables);

    /* closest[r] = min(closest[r], distance to centre `which`) for r < stride. */
    void (*take_centre)(ptrdiff_t n_centres, ptrdiff_t n_features, const mixfast_chunk *, const void *tables,
                        ptrdiff_t which, void *closest);

    /* k-means++: takes the first centre of the tables; the others are candidates for the next one, and potentials[c] is
     * the sum over rows of weight * min(closest, distance to candidate c). scratch: n_centres * stride
     * reals. */
    void (*try_candidates)(ptrdiff_t n_centres, ptrdiff_t n_features, const mixfast_chunk *, const void *tables,
                           const void *weight, void *closest, void *scratch, double *potentials);

    /* Lloyd: labels[r] = the nearest centre, the first of equals, for r < n_rows; distance[r] to it, for r < stride.
     * Returns the sum over rows of weight * distance. scratch: n_centres * stride reals. */
    double (*nearest)(ptrdiff_t n_centres, ptrdiff_t n_features, const mixfast_chunk *, const void *tables,
                      const void *weight, int64_t *labels, void *distance, void *scratch);

    /* labels[r] = the k with the least tables[k] - x.centres[k], the first of equals, for r < n_rows, whatever the first
     * n_centres numbers of the tables are. NULL for sparse rows. */
    void (*least_form)(ptrdiff_t n_centres, ptrdiff_t n_features, const mixfast_chunk *, const void *tables,
                       int64_t *labels);

    /* Lloyd: counts[k] += the weight of each row with label k, sums[k][j] += weight * (X[row, j] - centres[k][j]), but of
     * sparse rows sums[k][j] += weight * X[row, j]. The rows are the user's own from `start` on, as they lie in memory;
     * centres are as the parameters have them. */
    void (*add_rows)(const mixfast_rows *, ptrdiff_t start, ptrdiff_t n_rows, const int64_t *labels,
                     const double *centres, double *counts, double *sums);

    /* The same sums from responsibilities, resp[k][r] for r < stride, and the packed rows, in vectors: sums[k][j] += resp *
     * (X[row, j] - centres[k][j]), with rows and centres rounded about the pivot. NULL for sparse rows. */
    void (*add_shares)(ptrdiff_t n_centres, ptrdiff_t n_features, const mixfast_chunk *, const double *pivot,
                       const double *centres, const void *resp, double *sums);
} mixfast_centres_kernels;

typedef mixfast_centres_kernels mixfast_sparse_centres_kernels; /* `select.c` wants a type by the name of the room */

#endif
