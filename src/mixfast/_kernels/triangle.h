/* An upper triangular matrix, laid out for products with a packed chunk. */
#ifndef MIXFAST_TRIANGLE_H
#define MIXFAST_TRIANGLE_H

#include <stddef.h>
#include "real.h"

/* An upper triangular matrix U of order n is stored as panels of up to PANEL columns, each top to bottom: panel
 * [c, c + w) holds the rows 0 .. c - 1, w values a row, then the rows of its triangle, w, w - 1 .. 1 values. */
#define PANEL 4
ALWAYS_INLINE ptrdiff_t packed_triangle_size(ptrdiff_t n) { return n * (n + 1) / 2; }

/* Columns of the next panel when `remaining` are left: five are 3 + 2 and six 3 + 3, because one or two columns by
 * themselves have too few sums to keep the multipliers busy. */
ALWAYS_INLINE ptrdiff_t panel_width(ptrdiff_t remaining) {
    return remaining == 5 || remaining == 6 ? 3 : remaining < PANEL ? remaining : PANEL;
}

static void pack_triangle(ptrdiff_t n, const double *upper /* [n][n] */, real *packed) {
    for (ptrdiff_t c = 0, width; c < n; c += width) {
        width = panel_width(n - c);
        for (ptrdiff_t i = 0; i < c + width; i++)
            for (ptrdiff_t j = i > c ? i : c; j < c + width; j++) *packed++ = (real)upper[i * n + j];
    }
}

/* Where (i, b), i <= b, of an order up to PANEL lies: there is one panel, a triangle by rows. */
ALWAYS_INLINE int small_place(int n, int i, int b) { return i * n - i * (i - 1) / 2 + b - i; }

/* y[b] = sum_i packed[i][b] x[i] - shift[b] for the `n` columns (a constant at every call) of the panel that begins
 * below `n_above` rows, and one strip. */
ALWAYS_INLINE void panel_product(int n, ptrdiff_t n_above, ptrdiff_t stride, const real *packed, const real *shift,
                                 const real *x, vec y[PANEL][TILE_VECTORS]) {
    vec column[TILE_VECTORS];
    UNROLL(4)
    for (int b = 0; b < n; b++) {
        UNROLL(3)
        for (int v = 0; v < TILE_VECTORS; v++) y[b][v] = splat(-shift[b]);
    }
    for (ptrdiff_t i = 0; i < n_above; i++, x += stride, packed += n) {
        UNROLL(3)
        for (int v = 0; v < TILE_VECTORS; v++) column[v] = load(x + v * WIDTH);
        UNROLL(4)
        for (int b = 0; b < n; b++) {
            UNROLL(3)
            for (int v = 0; v < TILE_VECTORS; v++) y[b][v] += packed[b] * column[v];
        }
    }
    UNROLL(4)
    for (int i = 0; i < n; i++) {
        UNROLL(3)
        for (int v = 0; v < TILE_VECTORS; v++) column[v] = load(x + i * stride + v * WIDTH);
        UNROLL(4)
        for (int b = i; b < n; b++) {
            UNROLL(3)
            for (int v = 0; v < TILE_VECTORS; v++) y[b][v] += *packed * column[v];
            packed++;
        }
    }
}

#endif
