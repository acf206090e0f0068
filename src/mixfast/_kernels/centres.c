#include <float.h>
#include "centres.h"
#include "real.h"

/* How many centres a tile has: linear forms need 4 x 3 sums, 3 operands and a broadcast, which 16 registers just hold;
 * squares of differences need one register more, and so have fewer centres. */
#define FORM_TILE 4
#define SQUARE_TILE 3

/* A linear form, |c|^2 / 2 - x.c, costs one fused multiply-add where (x - c)^2 costs a subtraction more: nearest of 32
 * centres in 16 columns, v3, 1.9 against 2.6 ms for 100,000 rows in float32, 5.2 against 7.0 in float64. But it rounds
 * by some eps |x|^2. Where that would touch the first four digits of a distance, squares are taken. */
#if REAL_IS_DOUBLE
#define FORMS_REACH ((real)4e11)
#define SMALLEST DBL_MIN
#else
#define FORMS_REACH ((real)800)
#define SMALLEST FLT_MIN
#endif

enum { SQUARES, FORMS };

/* For `n` centres and one strip, out[a][r] = sum_j (x[j][r] - centres[a][j])^2, or half_square[a] - sum_j x[j][r]
 * centres[a][j]. By squares a row that equals a centre has distance zero, exactly. */
ALWAYS_INLINE void tile(int n, int kind, ptrdiff_t n_features, ptrdiff_t stride, const real *half_square,
                        const real *centres, const real *x, real *out) {
    vec sum[FORM_TILE][TILE_VECTORS];
    UNROLL(4)
    for (int a = 0; a < n; a++) {
        UNROLL(3)
        for (int v = 0; v < TILE_VECTORS; v++) sum[a][v] = splat(kind == FORMS ? half_square[a] : (real)0);
    }
    for (ptrdiff_t j = 0; j < n_features; j++) {
        vec column[TILE_VECTORS];
        UNROLL(3)
        for (int v = 0; v < TILE_VECTORS; v++) column[v] = load(x + j * stride + v * WIDTH);
        UNROLL(4)
        for (int a = 0; a < n; a++) {
            UNROLL(3)
            for (int v = 0; v < TILE_VECTORS; v++) {
                if (kind == FORMS) {
                    sum[a][v] -= centres[a * n_features + j] * column[v];
                } else {
                    vec y = column[v] - centres[a * n_features + j];
                    sum[a][v] += y * y;
                }
            }
        }
    }
    UNROLL(4)
    for (int a = 0; a < n; a++) {
        UNROLL(3)
        for (int v = 0; v < TILE_VECTORS; v++) store(out + a * STRIP + v * WIDTH, sum[a][v]);
    }
}

/* least[r] = min(least[r], distance[r]) for one strip. */
ALWAYS_INLINE void lower(const vec *distance, real *least) {
    UNROLL(3)
    for (int v = 0; v < TILE_VECTORS; v++)
        store(least + v * WIDTH, minimum(distance[v], load(least + v * WIDTH)));
}

/* half_square[n_centres] | centres[n_centres][n_features] */
static ptrdiff_t n_tables(ptrdiff_t n_centres, ptrdiff_t n_features) { return n_centres * (1 + n_features); }

static void lay_out(ptrdiff_t n_centres, ptrdiff_t n_features, const double *centres, void *tables) {
    real *to = tables;
    for (ptrdiff_t i = 0; i < n_tables(n_centres, n_features); i++) to[i] = (real)centres[i];
}

static void take_centre(ptrdiff_t n_centres, ptrdiff_t n_features, const mixfast_chunk *chunk, const void *tables,
                        ptrdiff_t which, void *closest) {
    const real *centre = (const real *)tables + n_centres + which * n_features;
    for (ptrdiff_t r = 0; r < chunk->stride; r += STRIP) {
        vec distance[TILE_VECTORS];
        tile(1, SQUARES, n_features, chunk->stride, NULL, centre, (const real *)chunk->columns + r, (real *)distance);
        lower(distance, (real *)closest + r);
    }
}

/* k-means++: totals[a][SUM_WIDTH] += weight * min(distance to candidate a, distance to the closest chosen centre), for
 * `n` candidates and the strip that begins at row `first`. */
ALWAYS_INLINE void add_left(int n, ptrdiff_t n_features, ptrdiff_t stride, ptrdiff_t first, const real *centres,
                            const real *x, const real *weight, const real *closest, real *totals) {
    vec distance[SQUARE_TILE * TILE_VECTORS];
    tile(n, SQUARES, n_features, stride, NULL, centres, x, (real *)distance);
    UNROLL(3)
    for (int a = 0; a < n; a++) {
        UNROLL(3)
        for (int v = 0; v < TILE_VECTORS; v++) {
            real *total = totals + a * SUM_WIDTH + (first + v * WIDTH) % SUM_WIDTH;
            vec less = minimum(distance[a * TILE_VECTORS + v], load(closest + v * WIDTH));
            store(total, load(total) + load(weight + v * WIDTH) * less);
        }
    }
}

static void try_candidates(ptrdiff_t n_centres, ptrdiff_t n_features, const mixfast_chunk *chunk, const void *tables,
                           const void *weight_in, void *closest_inout, void *scratch, double *potentials) {
    const real *last = (const real *)tables + n_centres, *candidates = last + n_features, *weight = weight_in;
    ptrdiff_t n_candidates = n_centres - 1, stride = chunk->stride, d = n_features;
    real *totals = scratch; /* the partial sums of each candidate */
    memset(totals, 0, (size_t)(n_candidates * SUM_WIDTH) * sizeof(real));
    for (ptrdiff_t r = 0; r < stride; r += STRIP) {
        const real *x = (const real *)chunk->columns + r;
        real *closest = (real *)closest_inout + r;
        vec distance[TILE_VECTORS];
        tile(1, SQUARES, d, stride, NULL, last, x, (real *)distance);
        lower(distance, closest);
        ptrdiff_t c = 0;
        for (; c + SQUARE_TILE <= n_candidates; c += SQUARE_TILE)
            add_left(SQUARE_TILE, d, stride, r, candidates + c * d, x, weight + r, closest, totals + c * SUM_WIDTH);
        switch (n_candidates - c) {
            case 2: add_left(2, d, stride, r, candidates + c * d, x, weight + r, closest, totals + c * SUM_WIDTH); break;
            case 1: add_left(1, d, stride, r, candidates + c * d, x, weight + r, closest, totals + c * SUM_WIDTH);
        }
    }
    for (ptrdiff_t c = 0; c < n_candidates; c++) potentials[c] = sum_of((const vec *)(totals + c * SUM_WIDTH));
}

/* The nearest centre of each row so far. Labels are reals, so that comparisons and selections have the same width. */
typedef struct {
    vec least[TILE_VECTORS], label[TILE_VECTORS];
} winners;

/* Update `winners` with `n` centres from k on. Written with vectors: compilers turned a loop over reals into one row at
 * a time, which took as long as the distances in 32 columns. */
ALWAYS_INLINE void compare(int n, const vec *value, ptrdiff_t k, winners *w) {
    UNROLL(4)
    for (int a = 0; a < n; a++) {
        vec name = splat((real)(k + a));
        UNROLL(3)
        for (int v = 0; v < TILE_VECTORS; v++)
            w->label[v] = if_smaller(value[a * TILE_VECTORS + v], w->least[v], name, w->label[v]);
        UNROLL(3)
        for (int v = 0; v < TILE_VECTORS; v++) w->least[v] = minimum(value[a * TILE_VECTORS + v], w->least[v]);
    }
}

ALWAYS_INLINE void compare_tile(int n, int kind, ptrdiff_t k, ptrdiff_t n_features, ptrdiff_t stride,
                                const real *half_square, const real *centres, const real *x, winners *w) {
    vec value[FORM_TILE * TILE_VECTORS];
    tile(n, kind, n_features, stride, half_square + k, centres + k * n_features, x, (real *)value);
    compare(n, value, k, w);
}

/* The centre with the least tile value, for one strip. */
ALWAYS_INLINE void search(int n, int kind, ptrdiff_t n_centres, ptrdiff_t n_features, ptrdiff_t stride,
                          const real *half_square, const real *centres, const real *x, winners *w) {
    ptrdiff_t k = 0;
    UNROLL(3)
    for (int v = 0; v < TILE_VECTORS; v++) w->least[v] = splat((real)INFINITY), w->label[v] = splat(0);
    for (; k + n <= n_centres; k += n)
        compare_tile(n, kind, k, n_features, stride, half_square, centres, x, w);
    switch (n_centres - k) {
        case 3: compare_tile(3, kind, k, n_features, stride, half_square, centres, x, w); break;
        case 2: compare_tile(2, kind, k, n_features, stride, half_square, centres, x, w); break;
        case 1: compare_tile(1, kind, k, n_features, stride, half_square, centres, x, w);
    }
}

/* distance = |x|^2 + 2 (|c|^2 / 2 - x.c) for one strip, `w` as found by FORMS; 0 where it may be too rough for a row. */
ALWAYS_INLINE int distances_of_forms(ptrdiff_t n_features, ptrdiff_t stride, const real *x, const winners *w,
                                     real *distance) {
    vec square[TILE_VECTORS], excess[TILE_VECTORS];
    UNROLL(3)
    for (int v = 0; v < TILE_VECTORS; v++) square[v] = splat(0);
    for (ptrdiff_t j = 0; j < n_features; j++) {
        UNROLL(3)
        for (int v = 0; v < TILE_VECTORS; v++) {
            vec column = load(x + j * stride + v * WIDTH);
            square[v] += column * column;
        }
    }
    UNROLL(3)
    for (int v = 0; v < TILE_VECTORS; v++) {
        vec own = square[v] + 2 * w->least[v];
        store(distance + v * WIDTH, own);
        excess[v] = own * FORMS_REACH - square[v];
    }
    return exceeds(excess[0], excess[1], excess[2], -SMALLEST);
}

/* The labels of one strip, but of rows that only fill the chunk. */
ALWAYS_INLINE void write_labels(const winners *w, ptrdiff_t first, ptrdiff_t n_rows, int64_t *labels) {
    const real *label = (const real *)w->label;
    if (first + STRIP <= n_rows)
        for (int r = 0; r < STRIP; r++) labels[first + r] = (int64_t)label[r];
    else
        for (ptrdiff_t r = 0; first + r < n_rows; r++) labels[first + r] = (int64_t)label[r];
}

static double nearest(ptrdiff_t n_centres, ptrdiff_t n_features, const mixfast_chunk *chunk, const void *tables,
                      const void *weight_in, int64_t *labels, void *distance_out, void *scratch) {
    (void)scratch;
    const real *half_square = tables, *centres = half_square + n_centres, *weight = weight_in;
    ptrdiff_t stride = chunk->stride;
    double total = 0;
    for (ptrdiff_t start = 0; start < stride; start += STRIPS) {
        const real *x = (const real *)chunk->columns + start;
        real *distance = (real *)distance_out + start;
        winners w[SUM_VECTORS];
        int fine = 1;
        for (int s = 0; s < SUM_VECTORS; s++) {
            search(FORM_TILE, FORMS, n_centres, n_features, stride, half_square, centres, x + s * STRIP, w + s);
            fine &= distances_of_forms(n_features, stride, x + s * STRIP, w + s, distance + s * STRIP);
        }
        for (int s = 0; s < SUM_VECTORS && !fine; s++) {
            search(SQUARE_TILE, SQUARES, n_centres, n_features, stride, half_square, centres, x + s * STRIP, w + s);
            memcpy(distance + s * STRIP, w[s].least, sizeof w[s].least);
        }
        vec sum[SUM_VECTORS];
        for (int part = 0; part < SUM_VECTORS; part++) {
            sum[part] = load(weight + start + part * WIDTH) * load(distance + part * WIDTH);
            for (ptrdiff_t r = SUM_WIDTH + part * WIDTH; r < STRIPS; r += SUM_WIDTH)
                sum[part] += load(weight + start + r) * load(distance + r);
        }
        total += sum_of(sum);
        for (int s = 0; s < SUM_VECTORS; s++) write_labels(w + s, start + s * STRIP, chunk->n_rows, labels);
    }
    return total;
}

static void least_form(ptrdiff_t n_centres, ptrdiff_t n_features, const mixfast_chunk *chunk, const void *tables,
                       int64_t *labels) {
    const real *constant = tables;
    for (ptrdiff_t start = 0; start < chunk->stride; start += STRIP) {
        winners w;
        search(FORM_TILE, FORMS, n_centres, n_features, chunk->stride, constant, constant + n_centres,
               (const real *)chunk->columns + start, &w);
        write_labels(&w, start, chunk->n_rows, labels);
    }
}

/* `n_features` and `column_stride` are constants at the calls for common shapes, so that loops unroll. */
ALWAYS_INLINE void add_rows_from(const mixfast_rows *rows, ptrdiff_t n_features, ptrdiff_t column_stride,
                                 ptrdiff_t start, ptrdiff_t n_rows, const int64_t *labels, const double *centres,
                                 double *MIXFAST_RESTRICT counts, double *MIXFAST_RESTRICT sums) {
    const char *row = rows->data + start * rows->row_stride;
    for (ptrdiff_t r = 0; r < n_rows; r++, row += rows->row_stride) {
        const double *centre = centres + labels[r] * n_features;
        double *sum = sums + labels[r] * n_features;
        double weight = rows->weight ? rows->weight[start + r] : 1;
        counts[labels[r]] += weight;
        UNROLL(4)
        for (ptrdiff_t j = 0; j < n_features; j++)
            sum[j] += weight * ((double)*(const real *)(row + j * column_stride) - centre[j]);
    }
}

static void add_rows(const mixfast_rows *rows, ptrdiff_t start, ptrdiff_t n_rows, const int64_t *labels,
                     const double *centres, double *counts, double *sums) {
    ptrdiff_t d = rows->n_features, apart = (ptrdiff_t)sizeof(real);
    if (rows->column_stride != apart)
        add_rows_from(rows, d, rows->column_stride, start, n_rows, labels, centres, counts, sums);
    else
        switch (d) {
            case 1: add_rows_from(rows, 1, apart, start, n_rows, labels, centres, counts, sums); break;
            case 2: add_rows_from(rows, 2, apart, start, n_rows, labels, centres, counts, sums); break;
            case 3: add_rows_from(rows, 3, apart, start, n_rows, labels, centres, counts, sums); break;
            case 4: add_rows_from(rows, 4, apart, start, n_rows, labels, centres, counts, sums); break;
            default: add_rows_from(rows, d, apart, start, n_rows, labels, centres, counts, sums);
        }
}

static void add_shares(ptrdiff_t n_centres, ptrdiff_t n_features, const mixfast_chunk *chunk, const double *pivot,
                       const double *centres, const void *resp_in, double *sums) {
    const real *columns = chunk->columns, *resp = resp_in;
    ptrdiff_t stride = chunk->stride;
    for (ptrdiff_t k = 0; k < n_centres; k++)
        for (ptrdiff_t j = 0; j < n_features; j++) {
            vec centre = splat((real)(centres[k * n_features + j] - pivot[j])), total[SUM_VECTORS];
            for (int part = 0; part < SUM_VECTORS; part++) {
                total[part] = splat(0);
                for (ptrdiff_t r = part * WIDTH; r < stride; r += SUM_WIDTH)
                    total[part] += load(resp + k * stride + r) * (load(columns + j * stride + r) - centre);
            }
            sums[k * n_features + j] += (double)sum_of(total);
        }
}

const mixfast_centres_kernels MIXFAST_TABLE(centres) = {
    n_tables, lay_out, take_centre, try_candidates, nearest, least_form, add_rows, add_shares,
};
