/* Inner loops of the Student-t families: those of the Gaussian families, whose distances they turn into other densities
 * and other weights of the rows. */
#ifndef MIXFAST_STUDENT_T_H
#define MIXFAST_STUDENT_T_H

#include "family.h"

/* tables: constant[K] | exponent[K] | factor[K] | the Gaussian family's, with constants of zero. With D the squared
 * distance, factor = -2 / degrees turns -D / 2 into q = D / degrees; the log density is constant - exponent log(1 + q),
 * exponent = (degrees + d) / 2.
 * stats: the Gaussian family's with resp / (1 + q) for resp | mass[K] | far[K] | log_far[K], the sums of resp / (1 + q),
 * of resp q / (1 + q) and of resp log(1 + q). scratch: a column before the Gaussian's, and two at least after it.
 * Where q is beyond LARGEST_BESIDE_ONE of exp_log.h, or overflows, it is that. */

/* As `accumulate`, of imputed rows of which some columns are observed: (1 - lost) / (1 + q) stands for 1 / (1 + q), and
 * log(1 + q) + log_lost for log(1 + q); lost and log_lost have [stride] of real, zeros of rows that are complete. */
typedef int (*mixfast_accumulate_observed)(const mixfast_family *, const void *tables, const mixfast_chunk *,
                                           const mixfast_selection *, const void *resp, const void *lost,
                                           const void *log_lost, void *scratch, double *stats);

typedef struct {
    mixfast_log_density full_log_density;
    mixfast_accumulate full_accumulate;
    mixfast_log_density diagonal_log_density;
    mixfast_accumulate diagonal_accumulate;
    mixfast_accumulate_observed full_accumulate_observed;
    mixfast_accumulate_observed diagonal_accumulate_observed;
} mixfast_student_t_kernels;

#endif
