#include "gaps.h"

#include "near_pivot.h"
#include "tiles.h"

/* Element by element: `yes` where x is there, `no` where it is NaN. */
#if VECTOR_BYTES_ARE_A_VECTOR
ALWAYS_INLINE vec if_there(vec x, vec yes, vec no) {
    vec_mask there = (vec_mask)(x == x);
    return (vec)((there & (vec_mask)yes) | (~there & (vec_mask)no));
}
#else
ALWAYS_INLINE vec if_there(vec x, vec yes, vec no) { return x == x ? yes : no; }
#endif

/* distance_tile of `n` components, a constant at every call, with left_out[k][j] in the place of what is missing. */
ALWAYS_INLINE void gap_tile(int n, const ptrdiff_t *component, ptrdiff_t n_features, ptrdiff_t stride,
                            const real *constant, const real *scale, const real *shift, const real *left_out,
                            const real *x, real *out) {
    vec distance[SUM_TILE][TILE_VECTORS];
    ptrdiff_t at[SUM_TILE];
    UNROLL(4)
    for (int a = 0; a < n; a++) {
        at[a] = component[a] * n_features;
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
                vec y = scale[at[a] + j] * column[v] - shift[at[a] + j];
                distance[a][v] += if_there(column[v], y * y, splat(left_out[at[a] + j]));
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

static void log_density(ptrdiff_t n_components, ptrdiff_t n_features, const double *tables, const double *left_out,
                        const mixfast_chunk *chunk, const mixfast_selection *selection, double *out) {
    ptrdiff_t K = n_components, d = n_features, stride = chunk->stride;
    const real *constant = tables, *scale = constant + K + K * d, *shift = scale + K * d, *x = chunk->columns;
    const ptrdiff_t *component = selection->component;
    for (ptrdiff_t r = 0; r < stride; r += STRIP) {
        ptrdiff_t a = 0;
        for (; a + SUM_TILE <= selection->n; a += SUM_TILE)
            gap_tile(SUM_TILE, component + a, d, stride, constant, scale, shift, left_out, x + r, out + a * stride + r);
        for (; a < selection->n; a++)
            gap_tile(1, component + a, d, stride, constant, scale, shift, left_out, x + r, out + a * stride + r);
    }
}

/* OUT columns[3 n]: of each of n columns of x its distance from `point`, 0 where it is missing; the squares of these; 1 where
 * it is missing. */
static void spread(ptrdiff_t n, ptrdiff_t stride, const real *x, const real *point, real *columns) {
    real *square = columns + n * stride, *gap = square + n * stride;
    for (ptrdiff_t j = 0; j < n; j++)
        for (ptrdiff_t r = j * stride; r < (j + 1) * stride; r += WIDTH) {
            vec value = load(x + r), own = if_there(value, value - point[j], splat(0));
            store(columns + r, own);
            store(square + r, own * own);
            store(gap + r, if_there(value, splat(0), splat(1)));
        }
}

/* Moments of n columns about `mean` from sums of resp times the columns of `spread` about `point` and a column of ones. */
static void add_moments(ptrdiff_t n, const double *sums, const real *mean, const real *point, const real *scale,
                        double *first, double *second) {
    const double *square = sums + n, *gap = square + n, mass = gap[n];
    for (ptrdiff_t j = 0; j < n; j++) {
        double delta = mean[j] - point[j], moved = sums[j] - delta * (mass - gap[j]);
        first[j] += moved;
        second[j] += square[j] - delta * (sums[j] + moved) + gap[j] / scale[j] / scale[j];
    }
}

static void accumulate(ptrdiff_t n_components, ptrdiff_t n_features, const double *tables, const mixfast_chunk *chunk,
                       const mixfast_selection *selection, const double *resp, double *scratch, double *stats) {
    static const real pivot[MIXFAST_GAP_COLUMNS] = {0};
    ptrdiff_t K = n_components, d = n_features, stride = chunk->stride;
    const real *mean = (const real *)tables + K, *scale = mean + K * d, *shift = scale + K * d;
    double *first = stats, *second = stats + K * d;
    for (ptrdiff_t j = 0, n; j < d; j += n) {
        n = d - j < MIXFAST_GAP_COLUMNS ? d - j : MIXFAST_GAP_COLUMNS;
        const real *x = (const real *)chunk->columns + j * stride;
        int are_about_pivot = 0;
        ptrdiff_t n_sums = 3 * n + 1;
        for (ptrdiff_t r = 0; r < stride; r++) scratch[3 * n * stride + r] = 1;
        for (ptrdiff_t a = 0, n_alike; a < selection->n; a += n_alike) {
            const ptrdiff_t *component = selection->component + a;
            double sums[NEAR_COMPONENTS][MIXFAST_GAP_SCRATCH] = {{0}};
            for (n_alike = 0; a + n_alike < selection->n && n_alike < NEAR_COMPONENTS
                              && is_near_pivot(n, shift + component[n_alike] * d + j);)
                n_alike++;
            int is_far = n_alike == 0;
            if (is_far) n_alike = 1;
            const real *point = is_far ? mean + component[0] * d + j : pivot;
            if (is_far || !are_about_pivot) spread(n, stride, x, point, scratch);
            are_about_pivot = !is_far;
            sums_of_products(n_alike, NULL, n_sums, stride, resp + a * stride, scratch, MIXFAST_GAP_SCRATCH, sums[0]);
            for (ptrdiff_t i = 0; i < n_alike; i++) {
                ptrdiff_t at = component[i] * d + j;
                add_moments(n, sums[i], mean + at, is_far ? mean + at : pivot, scale + at, first + at, second + at);
            }
        }
    }
}

const mixfast_gaps_kernels MIXFAST_TABLE(gaps) = {log_density, accumulate};
