/* Inner loops of mixtures of factor analysers, which cost d q a row and component. */
#ifndef MIXFAST_FACTORS_H
#define MIXFAST_FACTORS_H

#include "family.h"

/* With W (d, q) the loadings and psi the noise variances of component k, M = I + W' diag(1/psi) W, and means measured from
 * the pass's pivot; q is told by the size of the tables.
 * tables: constant[K] | mean[K][d] | bias[K][q] | coef[K][q][d] | scale[K][d] | shift[K][d] | loading[K][d][q], where
 * coef = M^-1 W' diag(1/psi) and bias = -coef mean make of a row the means of its factors, z = bias + coef x, scale =
 * 1/sqrt(psi), shift = scale mean and loading = scale W; constant is the log weight and log normaliser.
 * stats: first[K][d] | squares[K][d] | factors[K][q] | crossed[K][q][d] | products[K][q (q + 1) / 2], sums of resp c,
 * resp c^2, resp z, resp z c' and resp z z', lower triangle by rows, where c = x - mean. */
typedef struct {
    ptrdiff_t (*n_tables)(ptrdiff_t n_components, ptrdiff_t n_features, ptrdiff_t n_factors);
    ptrdiff_t (*n_scratch_columns)(ptrdiff_t n_factors);
    mixfast_log_density log_density;
    mixfast_accumulate accumulate;
} mixfast_factors_kernels;

#endif
