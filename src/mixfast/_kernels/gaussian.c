#include "gaussian.h"
#include "tiles.h"
#include "triangle.h"

static ptrdiff_t triangle_size(ptrdiff_t n) { return packed_triangle_size(n); }
static void triangle(ptrdiff_t n, const double *upper, void *packed) { pack_triangle(n, upper, packed); }

/* |U' (x - mean)|^2 for one strip: `packed` and `shift` walk over the panels. */
ALWAYS_INLINE void mahalanobis(ptrdiff_t n_features, ptrdiff_t stride, const real *packed, const real *shift,
                               const real *x, vec distance[TILE_VECTORS]) {
    vec y[PANEL][TILE_VECTORS];
    UNROLL(3)
    for (int v = 0; v < TILE_VECTORS; v++) distance[v] = splat(0);
    ptrdiff_t c = 0;
    for (; c + PANEL <= n_features; c += PANEL) {
        panel_product(PANEL, c + PANEL, stride, packed, shift + c, x, y);
        packed += PANEL * (c + PANEL);
        UNROLL(4)
        for (int b = 0; b < PANEL; b++) {
            UNROLL(3)
            for (int v = 0; v < TILE_VECTORS; v++) distance[v] += y[b][v] * y[b][v];
        }
    }
    for (; c < n_features; c++) {
        panel_product(1, c + 1, stride, packed, shift + c, x, y);
        packed += c + 1;
        UNROLL(3)
        for (int v = 0; v < TILE_VECTORS; v++) distance[v] += y[0][v] * y[0][v];
    }
}

static int full_log_density(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                            void *scratch, void *out_real) {
    (void)scratch;
    ptrdiff_t K = family->n_components, d = family->n_features, stride = chunk->stride;
    ptrdiff_t packed_size = packed_triangle_size(d);
    const real *constant = tables, *shift = constant + K + K * d, *packed = shift + K * d;
    const real *x = chunk->columns;
    real *out = out_real;
    for (ptrdiff_t k = 0; k < K; k++) {
        for (ptrdiff_t r = 0; r < stride; r += STRIP) {
            vec distance[TILE_VECTORS];
            mahalanobis(d, stride, packed + k * packed_size, shift + k * d, x + r, distance);
            UNROLL(3)
            for (int v = 0; v < TILE_VECTORS; v++)
                store(out + k * stride + r + v * WIDTH, constant[k] - (real)0.5 * distance[v]);
        }
    }
    return 0;
}

/* centred = x - mean, weighted = resp * centred, both [n_features][stride]; first[j] += sum of weighted[j]. */
ALWAYS_INLINE void centre(ptrdiff_t n_features, ptrdiff_t stride, const real *x, const real *mean, const real *resp,
                          real *centred, real *weighted, double *first) {
    for (ptrdiff_t j = 0; j < n_features; j++) {
        vec total = splat(0);
        for (ptrdiff_t r = 0; r < stride; r += WIDTH) {
            vec c = load(x + j * stride + r) - mean[j];
            vec w = load(resp + r) * c;
            store(centred + j * stride + r, c);
            store(weighted + j * stride + r, w);
            total += w;
        }
        first[j] += sum_of(total);
    }
}

static int full_accumulate(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                           const void *resp_real, void *scratch, double *stats) {
    ptrdiff_t K = family->n_components, d = family->n_features, stride = chunk->stride;
    const real *mean = (const real *)tables + K, *resp = resp_real;
    real *centred = scratch, *weighted = centred + d * stride;
    double *first = stats, *second = stats + K * d;
    for (ptrdiff_t k = 0; k < K; k++) {
        centre(d, stride, chunk->columns, mean + k * d, resp + k * stride, centred, weighted, first + k * d);
        triangle_of_products(d, stride, weighted, centred, second + k * (d * (d + 1) / 2));
    }
    return 0;
}

static int diagonal_log_density(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                                void *scratch, void *out) {
    (void)scratch;
    ptrdiff_t K = family->n_components, d = family->n_features;
    const real *constant = tables, *scale = constant + K + K * d, *shift = scale + K * d;
    scaled_distances(K, d, chunk->stride, constant, scale, shift, chunk->columns, out);
    return 0;
}

/* Sums of resp (x - mean) and resp (x - mean)^2 for `n` features of one component. */
ALWAYS_INLINE void moments_tile(int n, ptrdiff_t stride, const real *x, const real *mean, const real *resp,
                                double *first, double *second) {
    vec sum[SUM_TILE], squares[SUM_TILE];
    UNROLL(4)
    for (int a = 0; a < n; a++) sum[a] = squares[a] = splat(0);
    for (ptrdiff_t r = 0; r < stride; r += WIDTH) {
        vec weight = load(resp + r);
        UNROLL(4)
        for (int a = 0; a < n; a++) {
            vec c = load(x + a * stride + r) - mean[a];
            vec w = weight * c;
            sum[a] += w;
            squares[a] += w * c;
        }
    }
    UNROLL(4)
    for (int a = 0; a < n; a++) {
        first[a] += sum_of(sum[a]);
        second[a] += sum_of(squares[a]);
    }
}

static int diagonal_accumulate(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                               const void *resp_real, void *scratch, double *stats) {
    (void)scratch;
    ptrdiff_t K = family->n_components, d = family->n_features, stride = chunk->stride;
    const real *mean = (const real *)tables + K, *resp = resp_real, *x = chunk->columns;
    double *first = stats, *second = stats + K * d;
    for (ptrdiff_t k = 0; k < K; k++) {
        ptrdiff_t j = 0;
        for (; j + SUM_TILE <= d; j += SUM_TILE)
            moments_tile(SUM_TILE, stride, x + j * stride, mean + k * d + j, resp + k * stride, first + k * d + j,
                         second + k * d + j);
        for (; j < d; j++)
            moments_tile(1, stride, x + j * stride, mean + k * d + j, resp + k * stride, first + k * d + j,
                         second + k * d + j);
    }
    return 0;
}

static int tied_log_density(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                            void *scratch, void *out) {
    ptrdiff_t K = family->n_components, d = family->n_features, stride = chunk->stride;
    const real *constant = tables, *scale = constant + K, *shift = scale + K * d;
    const real *zeros = shift + K * d, *packed = zeros + d;
    real *white = scratch;
    for (ptrdiff_t r = 0; r < stride; r += STRIP) {
        vec y[PANEL][TILE_VECTORS];
        const real *panel = packed, *x = (const real *)chunk->columns + r;
        for (ptrdiff_t c = 0; c < d;) {
            int n = c + PANEL <= d ? PANEL : 1;
            if (n == PANEL)
                panel_product(PANEL, c + PANEL, stride, panel, zeros, x, y);
            else
                panel_product(1, c + 1, stride, panel, zeros, x, y);
            for (int b = 0; b < n; b++)
                for (int v = 0; v < TILE_VECTORS; v++) store(white + (c + b) * stride + r + v * WIDTH, y[b][v]);
            panel += n * (c + n);
            c += n;
        }
    }
    scaled_distances(K, d, stride, constant, scale, shift, white, out);
    return 0;
}

static int tied_accumulate(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                           const void *resp_real, void *scratch, double *stats) {
    (void)tables;
    ptrdiff_t K = family->n_components, d = family->n_features, stride = chunk->stride;
    const real *resp = resp_real, *x = chunk->columns;
    real *weighted = scratch;
    weighted_sums(K, d, stride, resp, x, stats);
    for (ptrdiff_t r = 0; r < stride; r += WIDTH) {
        vec weight = splat(0); /* of the row: its responsibilities over all components */
        for (ptrdiff_t k = 0; k < K; k++) weight += load(resp + k * stride + r);
        for (ptrdiff_t j = 0; j < d; j++) store(weighted + j * stride + r, weight * load(x + j * stride + r));
    }
    triangle_of_products(d, stride, weighted, x, stats + K * d);
    return 0;
}

static int centres_accumulate(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                              const void *resp, void *scratch, double *stats) {
    (void)tables, (void)scratch;
    weighted_sums(family->n_components, family->n_features, chunk->stride, resp, chunk->columns, stats);
    return 0;
}

const mixfast_gaussian_kernels MIXFAST_TABLE(gaussian) = {
    triangle_size,        triangle,
    full_log_density,     full_accumulate,
    diagonal_log_density, diagonal_accumulate,
    tied_log_density,     tied_accumulate,
    centres_accumulate,
};
