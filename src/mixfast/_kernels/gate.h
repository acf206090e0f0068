/* Kernels of a gate: how likely K components are given n_columns columns z of a row, softmax(intercept_k + slope_k . z).
 *
 * In double precision only. */
#ifndef MIXFAST_GATE_H
#define MIXFAST_GATE_H

#include "family.h"

typedef struct {
    /* How many scratch columns both functions need. */
    ptrdiff_t (*n_scratch_columns)(ptrdiff_t n_components, ptrdiff_t n_columns);
    /* out[a * stride + r] += log p(component[a] | z of row r). numbers: intercepts[K], of z less the pivot, and
     * slopes[K][n_columns]; z: the columns, which are less the pivot. */
    void (*add_log_shares)(ptrdiff_t n_components, ptrdiff_t n_columns, const double *numbers, ptrdiff_t stride,
                           const double *z, const mixfast_selection *, double *scratch, double *out);
    /* gradients[K][1 + n_columns] += sums of (resp - weight share) (1, z), the weight of a row being the sum of its resp;
     * information: where `has_blocks` the blocks (1, 1), (2, 1), (2, 2), ... of components, lower triangles of order
     * 1 + n_columns packed by rows, those off the diagonal without their sign, which is minus; else sums of
     * weight (1, z)(1, z)'. */
    void (*accumulate)(ptrdiff_t n_components, ptrdiff_t n_columns, const double *numbers, int has_blocks,
                       ptrdiff_t stride, const double *z, const mixfast_selection *, const double *resp,
                       double *scratch, double *gradients, double *information);
} mixfast_gate_kernels;

#endif
