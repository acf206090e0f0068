/* Inner loops of the Bernoulli family. */
#ifndef MIXFAST_BERNOULLI_H
#define MIXFAST_BERNOULLI_H

#include "family.h"

typedef struct {
    /* tables: constant[K] | log_odds[K][d], with constant_k = log weight + sum_j log(1 - p_kj), so that a row of zeros
     * and ones has log density constant_k + sum_j x_j log_odds_kj. A probability of exactly 0 or 1 has log odds -inf or
     * +inf and stays out of the constant: a row that contradicts it gets -inf, any other is unaffected. */
    mixfast_log_density log_density;
    /* stats: ones[K][d], the sums of resp x. No scratch. */
    mixfast_accumulate accumulate;
} mixfast_bernoulli_kernels;

#endif
