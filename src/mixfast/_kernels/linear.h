/* Kernels of families whose log densities are linear in what is known of a row:
 *
 *     log p(x | k) = constants[k] + coefficients[k] . x + base(x)
 *
 * so that the statistics are the weighted sums of the rows. Two tables of them: `linear` for packed chunks and
 * `sparse_linear` for sparse ones, which walk the values of a row with all components in a vector.
 *
 * A coefficient of -inf says that only rows with 0 in that column are possible, +inf that only rows with 1 are; both add
 * nothing to the log density of those. */
#ifndef MIXFAST_LINEAR_H
#define MIXFAST_LINEAR_H

#include "family.h"

typedef struct {
    /* Sizes: reals of tables, doubles of statistics, and scratch in columns. */
    ptrdiff_t (*n_tables)(ptrdiff_t n_components, ptrdiff_t n_features);
    ptrdiff_t (*n_stats)(ptrdiff_t n_components, ptrdiff_t n_features);
    ptrdiff_t (*n_scratch_columns)(ptrdiff_t n_components);
    /* Tables from constants[K] and then coefficients[K][d]. */
    void (*lay_out)(ptrdiff_t n_components, ptrdiff_t n_features, const double *forms, void *tables);
    mixfast_log_density log_density;
    mixfast_accumulate accumulate;
    /* The statistics as sums[K][d]: returns stats itself if that is its layout, else room[K * d], filled with them. */
    const double *(*collect)(ptrdiff_t n_components, ptrdiff_t n_features, const double *stats, double *room);
    /* The inverse: statistics, zeros on entry, from sums[K][d]. */
    void (*restore)(ptrdiff_t n_components, ptrdiff_t n_features, const double *sums, double *stats);
} mixfast_linear_kernels;

typedef mixfast_linear_kernels mixfast_sparse_linear_kernels; /* `select.c` wants a type by the name of the room */

#endif
