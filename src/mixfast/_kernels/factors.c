#include "factors.h"
#include "tiles.h"

/* How many columns are centred at a time: they stay in the first-level cache until their products are taken. */
#define BLOCK 12

typedef struct {
    const real *constant, *mean, *bias, *coef, *scale, *shift, *loading;
} factor_tables;

static ptrdiff_t n_tables(ptrdiff_t K, ptrdiff_t d, ptrdiff_t q) { return K * (1 + 3 * d + q + 2 * d * q); }

static ptrdiff_t n_scratch_columns(ptrdiff_t q) { return 1 + q + BLOCK; }

ALWAYS_INLINE ptrdiff_t n_factors_of(const mixfast_family *family) {
    ptrdiff_t d = family->n_features;
    return (family->n_tables / family->n_components - 1 - 3 * d) / (1 + 2 * d);
}

/* The tables of component k; see factors.h for the layout. */
ALWAYS_INLINE factor_tables tables_of(const mixfast_family *family, ptrdiff_t q, ptrdiff_t k, const void *tables) {
    ptrdiff_t K = family->n_components, d = family->n_features;
    const real *constant = tables, *mean = constant + K, *bias = mean + K * d, *coef = bias + K * q;
    const real *scale = coef + K * q * d, *shift = scale + K * d, *loading = shift + K * d;
    factor_tables own = {constant + k,  mean + k * d,  bias + k * q,       coef + k * q * d,
                         scale + k * d, shift + k * d, loading + k * d * q};
    return own;
}

/* z[a] = bias[a] + coef[a] . x for one strip. */
ALWAYS_INLINE void factors_of(const factor_tables *t, ptrdiff_t d, ptrdiff_t q, ptrdiff_t stride, const real *x,
                              real *z) {
    static const ptrdiff_t each[4] = {0, 1, 2, 3};
    for (ptrdiff_t a = 0; a < q; a += 4)
        linear_tile_of(q - a, each, d, stride, t->bias + a, t->coef + a * d, x, z + a * stride);
}

/* distance += the squares of scale x - shift - loading z for `n` columns of one strip; n is a constant at every call. */
ALWAYS_INLINE void add_residuals(int n, ptrdiff_t q, ptrdiff_t stride, const real *scale, const real *shift,
                                 const real *loading, const real *x, const real *z, vec distance[TILE_VECTORS]) {
    vec left[4][TILE_VECTORS];
    UNROLL(4)
    for (int b = 0; b < n; b++) {
        UNROLL(3)
        for (int v = 0; v < TILE_VECTORS; v++) left[b][v] = scale[b] * load(x + b * stride + v * WIDTH) - shift[b];
    }
    for (ptrdiff_t a = 0; a < q; a++) {
        vec factor[TILE_VECTORS];
        UNROLL(3)
        for (int v = 0; v < TILE_VECTORS; v++) factor[v] = load(z + a * stride + v * WIDTH);
        UNROLL(4)
        for (int b = 0; b < n; b++) {
            UNROLL(3)
            for (int v = 0; v < TILE_VECTORS; v++) left[b][v] -= loading[b * q + a] * factor[v];
        }
    }
    UNROLL(4)
    for (int b = 0; b < n; b++) {
        UNROLL(3)
        for (int v = 0; v < TILE_VECTORS; v++) distance[v] += left[b][v] * left[b][v];
    }
}

/* The squared Mahalanobis distance is |scale (x - mean - W z)|^2 + |z|^2, z the factors' means: a sum of squares,
 * without the cancellation of Woodbury's formula. */
static int log_density(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                       const mixfast_selection *selection, void *scratch, void *out_real) {
    ptrdiff_t d = family->n_features, q = n_factors_of(family), stride = chunk->stride;
    real *out = out_real, *z = scratch;
    for (ptrdiff_t a = 0; a < selection->n; a++, out += stride) {
        factor_tables t = tables_of(family, q, selection->component[a], tables);
        for (ptrdiff_t r = 0; r < stride; r += STRIP) {
            const real *x = (const real *)chunk->columns + r;
            vec distance[TILE_VECTORS];
            factors_of(&t, d, q, stride, x, z + r);
            UNROLL(3)
            for (int v = 0; v < TILE_VECTORS; v++) distance[v] = splat(0);
            for (ptrdiff_t b = 0; b < q; b++) {
                UNROLL(3)
                for (int v = 0; v < TILE_VECTORS; v++) {
                    vec factor = load(z + b * stride + r + v * WIDTH);
                    distance[v] += factor * factor;
                }
            }
            ptrdiff_t j = 0;
            for (; j + 4 <= d; j += 4)
                add_residuals(4, q, stride, t.scale + j, t.shift + j, t.loading + j * q, x + j * stride, z + r,
                              distance);
            for (; j < d; j++)
                add_residuals(1, q, stride, t.scale + j, t.shift + j, t.loading + j * q, x + j * stride, z + r,
                              distance);
            UNROLL(3)
            for (int v = 0; v < TILE_VECTORS; v++) store(out + r + v * WIDTH, *t.constant - (real)0.5 * distance[v]);
        }
    }
    return 0;
}

/* rooted = root (x - mean) for one column, where root = sqrt(resp); sums of root rooted and of its squares. */
ALWAYS_INLINE void centre_column(ptrdiff_t stride, const real *x, real mean, const real *root, real *rooted,
                                 double *first, double *square) {
    vec sum[SUM_VECTORS], squares[SUM_VECTORS];
    for (int part = 0; part < SUM_VECTORS; part++) {
        vec own = splat(0), own_squares = splat(0);
        for (ptrdiff_t r = part * WIDTH; r < stride; r += SUM_WIDTH) {
            vec factor = load(root + r), c = factor * (load(x + r) - mean);
            store(rooted + r, c);
            own += factor * c;
            own_squares += c * c;
        }
        sum[part] = own, squares[part] = own_squares;
    }
    *first += sum_of(sum);
    *square += sum_of(squares);
}

static int accumulate(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                      const mixfast_selection *selection, const void *resp_real, void *scratch, double *stats) {
    ptrdiff_t K = family->n_components, d = family->n_features, q = n_factors_of(family), stride = chunk->stride;
    const real *x = chunk->columns, *resp = resp_real;
    real *root = scratch, *z = root + stride, *rooted = z + q * stride;
    for (ptrdiff_t a = 0; a < selection->n; a++, resp += stride) {
        ptrdiff_t k = selection->component[a];
        factor_tables t = tables_of(family, q, k, tables);
        double *first = stats + k * d, *squares = first + K * d, *factors = stats + 2 * K * d + k * q;
        double *crossed = stats + K * (2 * d + q) + k * q * d;
        double *products = stats + K * (2 * d + q + q * d) + k * (q * (q + 1) / 2);
        for (ptrdiff_t r = 0; r < stride; r += STRIP) factors_of(&t, d, q, stride, x + r, z + r);
        for (ptrdiff_t r = 0; r < stride; r++) root[r] = SQRT(resp[r]);
        for (ptrdiff_t b = 0; b < q; b++) {
            vec sum[SUM_VECTORS];
            for (int part = 0; part < SUM_VECTORS; part++) {
                vec total = splat(0);
                for (ptrdiff_t r = part * WIDTH; r < stride; r += SUM_WIDTH) {
                    vec factor = load(root + r), own = factor * load(z + b * stride + r);
                    store(z + b * stride + r, own);
                    total += factor * own;
                }
                sum[part] = total;
            }
            factors[b] += sum_of(sum);
        }
        triangle_of_products(q, stride, z, products);
        for (ptrdiff_t j = 0; j < d; j += BLOCK) {
            ptrdiff_t n = d - j < BLOCK ? d - j : BLOCK;
            for (ptrdiff_t b = 0; b < n; b++)
                centre_column(stride, x + (j + b) * stride, t.mean[j + b], root, rooted + b * stride, first + j + b,
                              squares + j + b);
            sums_of_products(q, NULL, n, stride, z, rooted, d, crossed + j);
        }
    }
    return 0;
}

const mixfast_factors_kernels MIXFAST_TABLE(factors) = {n_tables, n_scratch_columns, log_density, accumulate};
