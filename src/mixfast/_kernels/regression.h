/* The gradient and the information of linear predictors over one chunk, for a step of Newton's method. The columns are
 * 1, x[0], ..., x[n_columns - 1]. In double precision. */
#ifndef MIXFAST_REGRESSION_H
#define MIXFAST_REGRESSION_H

#include "tiles.h"

/* gradient[0] += sum of score; gradient[1 + j] += sum of score x[j] */
ALWAYS_INLINE void add_gradient(ptrdiff_t n_columns, ptrdiff_t stride, const real *x, const real *score,
                                double *gradient) {
    real tile[SUM_TILE + 1][SUM_TILE];
    gradient[0] += sum_along(stride, score);
    for (ptrdiff_t j = 0, n; j < n_columns; j += n) {
        n = right_size(n_columns - j);
        product_tile_of(1, n, stride, score, x + j * stride, tile);
        for (ptrdiff_t b = 0; b < n; b++) gradient[1 + j + b] += tile[0][b];
    }
}

/* information, a lower triangle packed by rows, += the products of root (1, x) with itself, root = sqrt(spread);
 * `rooted` is room for 1 + n_columns columns. */
ALWAYS_INLINE void add_information(ptrdiff_t n_columns, ptrdiff_t stride, const real *x, const real *spread,
                                   real *MIXFAST_RESTRICT rooted, double *information) {
    for (ptrdiff_t r = 0; r < stride; r++) rooted[r] = SQRT(spread[r]);
    for (ptrdiff_t j = 0; j < n_columns; j++) {
        real *column = rooted + (1 + j) * stride;
        for (ptrdiff_t r = 0; r < stride; r++) column[r] = rooted[r] * x[j * stride + r];
    }
    triangle_of_products(1 + n_columns, stride, rooted, information);
}

#endif
