/* An upper triangular matrix, laid out for products with a packed chunk. */
#ifndef MIXFAST_TRIANGLE_H
#define MIXFAST_TRIANGLE_H

#include <stddef.h>
#include "real.h"

/* An upper triangular matrix U of order n is stored for the loops below as panels of PANEL columns, top to bottom: panel
 * [c, c + PANEL) holds the rows 0 .. c + PANEL - 1, PANEL values a row, the lower part zero; the n % PANEL columns that
 * are left over are stored one by one, column c with rows 0 .. c. */
#define PANEL 4
ALWAYS_INLINE ptrdiff_t packed_triangle_size(ptrdiff_t n) {
    ptrdiff_t size = 0, c = 0;
    for (; c + PANEL <= n; c += PANEL) size += PANEL * (c + PANEL);
    for (; c < n; c++) size += c + 1;
    return size;
}

static void pack_triangle(ptrdiff_t n, const double *upper /* [n][n] */, real *packed) {
    ptrdiff_t c = 0;
    for (; c + PANEL <= n; c += PANEL)
        for (ptrdiff_t i = 0; i < c + PANEL; i++)
            for (ptrdiff_t b = 0; b < PANEL; b++) *packed++ = i <= c + b ? (real)upper[i * n + c + b] : (real)0;
    for (; c < n; c++)
        for (ptrdiff_t i = 0; i <= c; i++) *packed++ = (real)upper[i * n + c];
}

/* y[b] = sum_{i < n_rows} packed[i][b] x[i] - shift[b] for `n` columns (PANEL or 1) and one strip. */
ALWAYS_INLINE void panel_product(int n, ptrdiff_t n_rows, ptrdiff_t stride, const real *packed, const real *shift,
                                 const real *x, vec y[PANEL][TILE_VECTORS]) {
    UNROLL(4)
    for (int b = 0; b < n; b++) {
        UNROLL(3)
        for (int v = 0; v < TILE_VECTORS; v++) y[b][v] = splat(-shift[b]);
    }
    for (ptrdiff_t i = 0; i < n_rows; i++) {
        vec column[TILE_VECTORS];
        UNROLL(3)
        for (int v = 0; v < TILE_VECTORS; v++) column[v] = load(x + i * stride + v * WIDTH);
        UNROLL(4)
        for (int b = 0; b < n; b++) {
            UNROLL(3)
            for (int v = 0; v < TILE_VECTORS; v++) y[b][v] += packed[i * n + b] * column[v];
        }
    }
}

#endif
