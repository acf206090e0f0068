/* Register-blocked inner loops over one packed chunk, shared by the families.
 *
 * All run along rows: a strip is TILE_VECTORS vectors of rows, a tile a few components (or columns) by one strip, and
 * the tile's sums stay in registers while the loop walks the features. `x` is a chunk's columns, `stride` apart.
 */
#ifndef MIXFAST_TILES_H
#define MIXFAST_TILES_H

#include "family.h"
#include "real.h"

/* Products at a time: 4 x 3 need 12 sums and 4 operands, which 16 registers hold; 5 x 4 want the 32 that AVX-512 and
 * aarch64 have. */
#if defined(__AVX512F__) || defined(__aarch64__)
#define SUM_TILE 4
#else
#define SUM_TILE 3
#endif
/* Where sums_of leaves those of a tile. */
#define SUMS_ROOM ((SUM_TILE + 1) * SUM_TILE + WIDTH)

/* out[a][r] = bias[component[a]] + sum_j coef[component[a] * n_features + j] * x[j][r], for one strip. */
ALWAYS_INLINE void linear_tile(int n, const ptrdiff_t *component, ptrdiff_t n_features, ptrdiff_t stride,
                               const real *bias, const real *coef, const real *x, real *out) {
    vec sum[4][TILE_VECTORS];
    const real *own[4];
    UNROLL(4)
    for (int a = 0; a < n; a++) {
        own[a] = coef + component[a] * n_features;
        UNROLL(3)
        for (int v = 0; v < TILE_VECTORS; v++) sum[a][v] = splat(bias[component[a]]);
    }
    for (ptrdiff_t j = 0; j < n_features; j++) {
        vec column[TILE_VECTORS];
        UNROLL(3)
        for (int v = 0; v < TILE_VECTORS; v++) column[v] = load(x + j * stride + v * WIDTH);
        UNROLL(4)
        for (int a = 0; a < n; a++) {
            UNROLL(3)
            for (int v = 0; v < TILE_VECTORS; v++) sum[a][v] += own[a][j] * column[v];
        }
    }
    UNROLL(4)
    for (int a = 0; a < n; a++) {
        UNROLL(3)
        for (int v = 0; v < TILE_VECTORS; v++) store(out + a * stride + v * WIDTH, sum[a][v]);
    }
}

/* linear_tile of a number, up to 4, that is only known when it runs. */
ALWAYS_INLINE void linear_tile_of(ptrdiff_t n, const ptrdiff_t *component, ptrdiff_t n_features, ptrdiff_t stride,
                                  const real *bias, const real *coef, const real *x, real *out) {
    switch (n) {
        case 1: linear_tile(1, component, n_features, stride, bias, coef, x, out); break;
        case 2: linear_tile(2, component, n_features, stride, bias, coef, x, out); break;
        case 3: linear_tile(3, component, n_features, stride, bias, coef, x, out); break;
        default: linear_tile(4, component, n_features, stride, bias, coef, x, out);
    }
}

/* out[a][r] = bias[k] + coef[k] . x[r], k = component[a] */
ALWAYS_INLINE void linear_forms(const mixfast_selection *selection, ptrdiff_t n_features, ptrdiff_t stride,
                                const real *bias, const real *coef, const real *x, real *out) {
    const ptrdiff_t *component = selection->component;
    for (ptrdiff_t r = 0; r < stride; r += STRIP) {
        ptrdiff_t a = 0;
        for (; a + 4 <= selection->n; a += 4)
            linear_tile(4, component + a, n_features, stride, bias, coef, x + r, out + a * stride + r);
        for (; a < selection->n; a++)
            linear_tile(1, component + a, n_features, stride, bias, coef, x + r, out + a * stride + r);
    }
}

/* distance += the sum over the columns from `first` to `last` of (scale x - shift)^2, for one strip of one component.
 * With the scale inside, one fused multiply-add makes the difference and another its square. Where `scale` is NULL, a
 * constant at every call, x is scaled already. */
ALWAYS_INLINE void add_distance(ptrdiff_t first, ptrdiff_t last, ptrdiff_t stride, const real *scale, const real *shift,
                                const real *x, vec distance[TILE_VECTORS]) {
    for (ptrdiff_t j = first; j < last; j++) {
        UNROLL(3)
        for (int v = 0; v < TILE_VECTORS; v++) {
            vec column = load(x + j * stride + v * WIDTH), y = column - shift[j];
            if (scale) y = scale[j] * column - shift[j];
            distance[v] += y * y;
        }
    }
}

/* The same over all columns for `n` components at once, and out = constant - distance / 2. Where `scale` is NULL, a
 * constant at every call, x is scaled already. */
ALWAYS_INLINE void distance_tile(int n, const ptrdiff_t *component, ptrdiff_t n_features, ptrdiff_t stride,
                                 const real *constant, const real *scale, const real *shift, const real *x, real *out) {
    vec distance[SUM_TILE][TILE_VECTORS];
    const real *own_scale[SUM_TILE], *own_shift[SUM_TILE];
    UNROLL(4)
    for (int a = 0; a < n; a++) {
        own_scale[a] = scale ? scale + component[a] * n_features : NULL;
        own_shift[a] = shift + component[a] * n_features;
        UNROLL(3)
        for (int v = 0; v < TILE_VECTORS; v++) distance[a][v] = splat(0);
    }
    for (ptrdiff_t j = 0; j < n_features; j++) {
        vec column[TILE_VECTORS];
        UNROLL(3)
        for (int v = 0; v < TILE_VECTORS; v++) column[v] = load(x + j * stride + v * WIDTH);
        UNROLL(4)
        for (int a = 0; a < n; a++) {
            UNROLL(3)
            for (int v = 0; v < TILE_VECTORS; v++) {
                vec y = column[v] - own_shift[a][j];
                if (scale) y = own_scale[a][j] * column[v] - own_shift[a][j];
                distance[a][v] += y * y;
            }
        }
    }
    UNROLL(4)
    for (int a = 0; a < n; a++) {
        UNROLL(3)
        for (int v = 0; v < TILE_VECTORS; v++)
            store(out + a * stride + v * WIDTH, constant[component[a]] - (real)0.5 * distance[a][v]);
    }
}

/* out[a][r] = constant[k] - 1/2 sum_j (scale[k][j] x[j][r] - shift[k][j])^2, k = component[a]; scale NULL: 1 */
ALWAYS_INLINE void scaled_distances(const mixfast_selection *selection, ptrdiff_t n_features, ptrdiff_t stride,
                                    const real *constant, const real *scale, const real *shift, const real *x,
                                    real *out) {
    const ptrdiff_t *component = selection->component;
    for (ptrdiff_t r = 0; r < stride; r += STRIP) {
        ptrdiff_t a = 0;
        for (; a + SUM_TILE <= selection->n; a += SUM_TILE)
            distance_tile(SUM_TILE, component + a, n_features, stride, constant, scale, shift, x + r,
                          out + a * stride + r);
        for (; a < selection->n; a++)
            distance_tile(1, component + a, n_features, stride, constant, scale, shift, x + r, out + a * stride + r);
    }
}

/* total[a][b] = sum_r left[a][r] * right[b][r]; n_left and n_right are constants at every call. */
ALWAYS_INLINE void product_tile(int n_left, int n_right, ptrdiff_t stride, const real *left, const real *right,
                                real total[SUM_TILE + 1][SUM_TILE]) {
    vec sum[SUM_TILE + 1][SUM_TILE][SUM_VECTORS];
    for (int part = 0; part < SUM_VECTORS; part++) {
        vec own[SUM_TILE + 1][SUM_TILE];
        UNROLL(5)
        for (int a = 0; a < n_left; a++) {
            UNROLL(4)
            for (int b = 0; b < n_right; b++) own[a][b] = splat(0);
        }
        for (ptrdiff_t r = part * WIDTH; r < stride; r += SUM_WIDTH) {
            vec column[SUM_TILE];
            UNROLL(4)
            for (int b = 0; b < n_right; b++) column[b] = load(right + b * stride + r);
            UNROLL(5)
            for (int a = 0; a < n_left; a++) {
                vec weighted = load(left + a * stride + r);
                UNROLL(4)
                for (int b = 0; b < n_right; b++) own[a][b] += weighted * column[b];
            }
        }
        UNROLL(5)
        for (int a = 0; a < n_left; a++) {
            UNROLL(4)
            for (int b = 0; b < n_right; b++) sum[a][b][part] = own[a][b];
        }
    }
    real totals[SUMS_ROOM];
    vec flat[(SUM_TILE + 1) * SUM_TILE];
    UNROLL(5)
    for (int a = 0; a < n_left; a++) {
        UNROLL(4)
        for (int b = 0; b < n_right; b++) flat[a * n_right + b] = joined(sum[a][b]);
    }
    sums_of(n_left * n_right, flat, totals);
    UNROLL(5)
    for (int a = 0; a < n_left; a++) {
        UNROLL(4)
        for (int b = 0; b < n_right; b++) total[a][b] = totals[a * n_right + b];
    }
}

/* total[a][b] = sum_r x[a][r] * x[b][r] for b <= a; n is a constant at every call. */
ALWAYS_INLINE void square_tile(int n, ptrdiff_t stride, const real *x, real total[SUM_TILE + 1][SUM_TILE + 1]) {
    vec sum[SUM_TILE + 1][SUM_TILE + 1][SUM_VECTORS];
    for (int part = 0; part < SUM_VECTORS; part++) {
        vec own[SUM_TILE + 1][SUM_TILE + 1];
        UNROLL(5)
        for (int a = 0; a < n; a++) {
            UNROLL(5)
            for (int b = 0; b <= a; b++) own[a][b] = splat(0);
        }
        for (ptrdiff_t r = part * WIDTH; r < stride; r += SUM_WIDTH) {
            vec column[SUM_TILE + 1];
            UNROLL(5)
            for (int a = 0; a < n; a++) {
                column[a] = load(x + a * stride + r);
                UNROLL(5)
                for (int b = 0; b <= a; b++) own[a][b] += column[a] * column[b];
            }
        }
        UNROLL(5)
        for (int a = 0; a < n; a++) {
            UNROLL(5)
            for (int b = 0; b <= a; b++) sum[a][b][part] = own[a][b];
        }
    }
    real totals[SUMS_ROOM];
    vec flat[(SUM_TILE + 1) * (SUM_TILE + 2) / 2];
    UNROLL(5)
    for (int a = 0; a < n; a++) {
        UNROLL(5)
        for (int b = 0; b <= a; b++) flat[a * (a + 1) / 2 + b] = joined(sum[a][b]);
    }
    sums_of(n * (n + 1) / 2, flat, totals);
    UNROLL(5)
    for (int a = 0; a < n; a++) {
        UNROLL(5)
        for (int b = 0; b <= a; b++) total[a][b] = totals[a * (a + 1) / 2 + b];
    }
}

/* The two above for sizes that are only known when they run: n_left up to SUM_TILE + 1, n_right up to SUM_TILE. */
static void product_tile_of(ptrdiff_t n_left, ptrdiff_t n_right, ptrdiff_t stride, const real *left, const real *right,
                            real total[SUM_TILE + 1][SUM_TILE]) {
#define TILE_CASE(a, b) \
    case (a) * 8 + (b): product_tile(a, b, stride, left, right, total); break;
#define TILE_CASES(b) TILE_CASE(1, b) TILE_CASE(2, b) TILE_CASE(3, b) TILE_CASE(4, b)
    switch (n_left * 8 + n_right) {
        TILE_CASES(1) TILE_CASES(2) TILE_CASES(3)
#if SUM_TILE == 4
        TILE_CASES(4) TILE_CASE(5, 1) TILE_CASE(5, 2) TILE_CASE(5, 3) TILE_CASE(5, 4)
#endif
    }
#undef TILE_CASES
#undef TILE_CASE
}

static void square_tile_of(ptrdiff_t n, ptrdiff_t stride, const real *x, real total[SUM_TILE + 1][SUM_TILE + 1]) {
    switch (n) {
        case 1: square_tile(1, stride, x, total); break;
        case 2: square_tile(2, stride, x, total); break;
        case 3: square_tile(3, stride, x, total); break;
        case 4: square_tile(4, stride, x, total); break;
#if SUM_TILE == 4
        case 5: square_tile(5, stride, x, total); break;
#endif
    }
}

/* How many of the items that are left the next tile takes. A thin last tile would have too few sums to keep the
 * multipliers busy, each waiting for the one before: so on the left the last n % SUM_TILE tiles take one more, and on
 * the right SUM_TILE + 1 are halved. */
ALWAYS_INLINE ptrdiff_t left_size(ptrdiff_t remaining) {
    ptrdiff_t n_larger = remaining % SUM_TILE;
    /* AVX2 walks twice over the rows, for which it takes as many products each time as registers hold: 64 columns of 96
     * rows 9.5 us instead of 9.9, 32 x 16 products of 240 rows 5.6 instead of 5.8 (5.3 in one walk) */
    if (SUM_VECTORS > 1 && SUM_TILE == 3 && remaining > SUM_TILE && remaining != 5) return SUM_TILE + 1;
    if (remaining < SUM_TILE) return remaining;
    return n_larger > 0 && remaining == n_larger * (SUM_TILE + 1) ? SUM_TILE + 1 : SUM_TILE;
}
ALWAYS_INLINE ptrdiff_t right_size(ptrdiff_t remaining) {
    return remaining == SUM_TILE + 1 ? (SUM_TILE + 1) / 2 : remaining < SUM_TILE ? remaining : SUM_TILE;
}

/* The sum of a column. */
ALWAYS_INLINE real sum_along(ptrdiff_t stride, const real *x) {
    vec total[SUM_VECTORS];
    for (int part = 0; part < SUM_VECTORS; part++) {
        vec own = splat(0);
        for (ptrdiff_t r = part * WIDTH; r < stride; r += SUM_WIDTH) own += load(x + r);
        total[part] = own;
    }
    return sum_of(total);
}

/* total[p * step + j] += sum_r left[a][r] right[j][r], p = place[a], or a where `place` is NULL, a constant at every call. */
ALWAYS_INLINE void sums_of_products(ptrdiff_t n, const ptrdiff_t *place, ptrdiff_t n_columns, ptrdiff_t stride,
                                    const real *left, const real *right, ptrdiff_t step, double *total) {
    real tile[SUM_TILE + 1][SUM_TILE];
    for (ptrdiff_t first = 0, n_left; first < n; first += n_left) {
        n_left = left_size(n - first);
        for (ptrdiff_t j = 0, n_right; j < n_columns; j += n_right) {
            n_right = right_size(n_columns - j);
            product_tile_of(n_left, n_right, stride, left + first * stride, right + j * stride, tile);
            for (ptrdiff_t a = 0; a < n_left; a++) {
                double *row = total + (place ? place[first + a] : first + a) * step + j;
                for (ptrdiff_t b = 0; b < n_right; b++) row[b] += tile[a][b];
            }
        }
    }
}

/* total[k * n_features + j] += sum_r resp[a][r] x[j][r], k = component[a] */
ALWAYS_INLINE void weighted_sums(const mixfast_selection *selection, ptrdiff_t n_features, ptrdiff_t stride,
                                 const real *resp, const real *x, double *total) {
    sums_of_products(selection->n, selection->component, n_features, stride, resp, x, n_features, total);
}

/* total[i (i + 1) / 2 + j] += sum_r x[i][r] x[j][r] for j <= i: the lower triangle, packed by rows. */
ALWAYS_INLINE void triangle_of_products(ptrdiff_t n, ptrdiff_t stride, const real *x, double *total) {
    real tile[SUM_TILE + 1][SUM_TILE], square[SUM_TILE + 1][SUM_TILE + 1];
    for (ptrdiff_t i = 0, n_left; i < n; i += n_left) {
        n_left = left_size(n - i);
        for (ptrdiff_t j = 0, n_right; j < i; j += n_right) {
            n_right = right_size(i - j);
            product_tile_of(n_left, n_right, stride, x + i * stride, x + j * stride, tile);
            for (ptrdiff_t a = 0; a < n_left; a++) {
                double *row = total + (i + a) * (i + a + 1) / 2 + j;
                for (ptrdiff_t b = 0; b < n_right; b++) row[b] += tile[a][b];
            }
        }
        square_tile_of(n_left, stride, x + i * stride, square);
        for (ptrdiff_t a = 0; a < n_left; a++) {
            double *row = total + (i + a) * (i + a + 1) / 2 + i;
            for (ptrdiff_t b = 0; b <= a; b++) row[b] += square[a][b];
        }
    }
}

#endif
