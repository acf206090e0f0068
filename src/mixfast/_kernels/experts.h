/* Kernels of experts: distributions of responses y given linear predictors of a row's other columns,
 *
 *     log p(y | x, k) = sum over responses of log f(y; eta, numbers[k]),    eta = intercept[k] + coefficients[k] . x + offset.
 *
 * The statistics of a pass are the gradient and the information of intercepts and coefficients, for one step of Newton's
 * method, and sums for the M-step of the dispersions; all at the parameters of the pass.
 *
 * In double precision only: counts times predictors nearly cancel, and residuals of responses far from 0 would lose their
 * digits. */
#ifndef MIXFAST_EXPERTS_H
#define MIXFAST_EXPERTS_H

#include "family.h"

/* How many constants, `numbers`, each component and response has; `experts.c` says which, for each kind. */
#define MIXFAST_EXPERT_NUMBERS 4
/* How many sums for the M-step of a dispersion. */
#define MIXFAST_EXPERT_SUMS 3

enum {
    MIXFAST_GAUSSIAN_EXPERT,
    MIXFAST_STUDENT_T_EXPERT,
    MIXFAST_POISSON_EXPERT,
    MIXFAST_BINOMIAL_EXPERT,
    MIXFAST_GAMMA_EXPERT,
    MIXFAST_NEGATIVE_BINOMIAL_EXPERT,
    MIXFAST_MULTINOMIAL_EXPERT,
    MIXFAST_EXPERT_KINDS
};

/* Of a strip of rows: eta[m][stride], y[n_y][stride], of which `stride` rows are computed.
 * Density: out[r] += log f. IN eta, y, numbers; INOUT out[stride]. */
typedef void (*mixfast_expert_density)(ptrdiff_t m, ptrdiff_t stride, const double *eta, const double *y,
                                       const double *numbers, double *out);
/* Slopes: score[a][r] = resp d log f / d eta_a, and spread[b][r] = resp times minus its second derivatives, or what
 * stands for them and is positive definite, in the order (0, 0), (1, 0), (1, 1), (2, 0) ..., those off the diagonal
 * without their sign, which is minus. Both without the factor that a dispersion makes.
 * IN eta, y, numbers, resp[stride]; OUT score[m][stride], spread[m (m + 1) / 2][stride]; INOUT sums. */
typedef void (*mixfast_expert_slopes)(ptrdiff_t m, ptrdiff_t stride, const double *eta, const double *y,
                                      const double *numbers, const double *resp, double *score, double *spread,
                                      double *sums);

/* The columns of a response in the encoded rows, and its range among all linear predictors. */
typedef struct {
    int kind;
    ptrdiff_t first_y;
    ptrdiff_t offset;    /* column of the offset, or -1 for none */
    ptrdiff_t first_eta, n_etas;
} mixfast_response;

typedef struct {
    ptrdiff_t n_columns;   /* of x, the first of the rows */
    ptrdiff_t n_beside;    /* columns after these that only the gate depends on */
    ptrdiff_t n_responses, n_etas;
    const mixfast_response *responses;
} mixfast_experts;

/* Tables: log_weights[K], numbers[K][n_responses][MIXFAST_EXPERT_NUMBERS], intercepts[K][n_etas],
 * coefficients[K][n_etas][n_columns], wants_columns[1]: whether sums of the columns are wanted.
 * Statistics: gradients[K][n_etas][1 + n_columns]; information[K], of each response the blocks (0, 0), (1, 0), (1, 1), ...,
 * lower triangles of order 1 + n_columns packed by rows; sums[K][n_responses][MIXFAST_EXPERT_SUMS];
 * columns[n_columns + n_beside], of all components together. The family's context begins with its `mixfast_experts`. */
typedef struct {
    mixfast_log_density log_density;
    mixfast_accumulate accumulate;
} mixfast_experts_kernels;

#endif
