#include <float.h>
#include "gaussian.h"
#include "near_pivot.h"
#include "tiles.h"
#include "triangle.h"

/* Up to so many columns all moments of a component fit the registers. 8 components, one thread, ns a row and component:
 * 0.35 and 1.07 for 2 and 4 columns, 1.42 and 2.4 by the tiles. */
#define SMALL 4
/* Columns at a time whose first and second moments fit the registers: 16 columns of 128 components took 3.2 ns a row and
 * component with 3, 1.8 with 4, 2.0 with 5. */
#define MOMENTS 4
/* Columns whose products with NEAR_COMPONENTS are made before they are moved to the means: they, and their rows, stay in the
 * first-level cache. Of fewer components a tile of products would be thin. Numbers of components decide how moments are
 * taken, and so are the same everywhere. */
#define FEWEST_NEAR 4
#define NEAR_COLUMNS (4 * SUM_TILE)
/* Columns between two looks at whether a sum of squares can stop. */
#define BETWEEN_LOOKS 8

static ptrdiff_t triangle_size(ptrdiff_t n) { return packed_triangle_size(n); }
static void triangle(ptrdiff_t n, const double *upper, void *packed) { pack_triangle(n, upper, packed); }

ALWAYS_INLINE void store_density(real constant, const vec distance[TILE_VECTORS], real *out) {
    UNROLL(3)
    for (int v = 0; v < TILE_VECTORS; v++) store(out + v * WIDTH, constant - (real)0.5 * distance[v]);
}

ALWAYS_INLINE void store_impossible(real *out) {
    UNROLL(3)
    for (int v = 0; v < TILE_VECTORS; v++) store(out + v * WIDTH, splat(-(real)INFINITY));
}

ALWAYS_INLINE vec least_of(vec least, const vec distance[TILE_VECTORS]) {
    UNROLL(3)
    for (int v = 0; v < TILE_VECTORS; v++) least = minimum(least, distance[v]);
    return least;
}

/* Whether any row of the strips is nearer than `limit`, or not a number. */
ALWAYS_INLINE int any_below(const vec distance[SUM_VECTORS][TILE_VECTORS], real limit) {
    int all_exceed = 1;
    for (int s = 0; s < SUM_VECTORS; s++) all_exceed &= exceeds(distance[s][0], distance[s][1], distance[s][2], limit);
    return !all_exceed;
}

/* The densities of some strips, or none where they are not `within` a limit; the least of the distances so far, and
 * whether any is not a number. */
ALWAYS_INLINE void deliver(int within, real constant, const vec distance[SUM_VECTORS][TILE_VECTORS], real *out,
                           vec *least, vec *poison) {
    for (int s = 0; s < SUM_VECTORS; s++) {
        if (within)
            store_density(constant, distance[s], out + s * STRIP);
        else
            store_impossible(out + s * STRIP);
        *least = least_of(*least, distance[s]);
        *poison += (real)0 * (distance[s][0] + distance[s][1] + distance[s][2]);
    }
}

/* The log density at the least distance, rounded up by what n_features + 4 roundings and a conversion to float can make
 * of it; infinite where `poison`, which sums zero times every distance, is not zero: some distance is not a number. */
ALWAYS_INLINE float ceiling_at(ptrdiff_t n_features, double constant, vec least, vec poison) {
    double half = 0.5 * (double)least_element(least);
    double rounding = (double)(n_features + 4) * REAL_EPSILON + 2.4e-7;
    double ceiling = constant - half + (fabs(constant) + half) * rounding;
    if (!(sum_of_elements(poison) == 0)) return (float)INFINITY;
    return ceiling > -FLT_MAX ? (float)ceiling : -FLT_MAX;
}

/* distance += the squares of a panel of U' x - shift. */
ALWAYS_INLINE void add_panel(int n, ptrdiff_t n_above, ptrdiff_t stride, const real *packed, const real *shift,
                             const real *x, vec distance[TILE_VECTORS]) {
    vec y[PANEL][TILE_VECTORS];
    panel_product(n, n_above, stride, packed, shift, x, y);
    UNROLL(4)
    for (int b = 0; b < n; b++) {
        UNROLL(3)
        for (int v = 0; v < TILE_VECTORS; v++) distance[v] += y[b][v] * y[b][v];
    }
}

/* |U' (x - mean)|^2 for one strip: `packed` and `shift` walk over the panels. */
ALWAYS_INLINE void mahalanobis(ptrdiff_t n_features, ptrdiff_t stride, const real *packed, const real *shift,
                               const real *x, vec distance[TILE_VECTORS]) {
    UNROLL(3)
    for (int v = 0; v < TILE_VECTORS; v++) distance[v] = splat(0);
    for (ptrdiff_t c = 0, width; c < n_features; c += width) {
        width = panel_width(n_features - c);
        switch (width) {
            case 4: add_panel(4, c, stride, packed, shift + c, x, distance); break;
            case 3: add_panel(3, c, stride, packed, shift + c, x, distance); break;
            case 2: add_panel(2, c, stride, packed, shift + c, x, distance); break;
            default: add_panel(1, c, stride, packed, shift + c, x, distance);
        }
        packed += width * c + width * (width + 1) / 2;
    }
}

/* Up to SMALL columns a factor and its shift stay in registers: 1 to 10 and 1 to 4 numbers for all rows. */
ALWAYS_INLINE void small_log_density(int d, ptrdiff_t stride, real constant, const real *packed, const real *shift,
                                     const real *x, real *out) {
    for (ptrdiff_t r = 0; r < stride; r += WIDTH) {
        vec distance = splat(0);
        UNROLL(4)
        for (int b = 0; b < d; b++) {
            vec y = splat(-shift[b]);
            UNROLL(4)
            for (int i = 0; i <= b; i++) y += packed[small_place(d, i, b)] * load(x + i * stride + r);
            distance += y * y;
        }
        store(out + r, constant - (real)0.5 * distance);
    }
}

static int full_log_density(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                            const mixfast_selection *selection, void *scratch, void *out_real) {
    (void)scratch;
    ptrdiff_t K = family->n_components, d = family->n_features, stride = chunk->stride;
    const real *constant = tables, *shift = constant + K + K * d, *packed = shift + K * d;
    const real *x = chunk->columns;
    real *out = out_real;
    for (ptrdiff_t a = 0; a < selection->n; a++, out += stride) {
        ptrdiff_t k = selection->component[a];
        const real *own = packed + k * packed_triangle_size(d), *own_shift = shift + k * d;
        switch (d) {
            case 1: small_log_density(1, stride, constant[k], own, own_shift, x, out); break;
            case 2: small_log_density(2, stride, constant[k], own, own_shift, x, out); break;
            case 3: small_log_density(3, stride, constant[k], own, own_shift, x, out); break;
            case 4: small_log_density(4, stride, constant[k], own, own_shift, x, out); break;
            default:
                for (ptrdiff_t r = 0; r < stride; r += STRIP) {
                    vec distance[TILE_VECTORS];
                    mahalanobis(d, stride, own, own_shift, x + r, distance);
                    store_density(constant[k], distance, out + r);
                }
        }
    }
    return 0;
}

/* The distance below which a row of component k can still be at `floor`. */
ALWAYS_INLINE real distance_at(double constant, double floor) {
    return (real)(2 * (constant - floor) * (1 + 16 * REAL_EPSILON));
}

ALWAYS_INLINE void no_distances(vec distance[SUM_VECTORS][TILE_VECTORS]) {
    for (int s = 0; s < SUM_VECTORS; s++) {
        UNROLL(3)
        for (int v = 0; v < TILE_VECTORS; v++) distance[s][v] = splat(0);
    }
}

/* add_panel of several strips. */
ALWAYS_INLINE void add_panels(int n, ptrdiff_t n_above, ptrdiff_t stride, const real *packed, const real *shift,
                              const real *x, vec distance[SUM_VECTORS][TILE_VECTORS]) {
    for (int s = 0; s < SUM_VECTORS; s++) add_panel(n, n_above, stride, packed, shift, x + s * STRIP, distance[s]);
}

/* mahalanobis that stops where all rows of the strips are further than `limit`: 0 then, and the distance is too small. */
ALWAYS_INLINE int reaches(ptrdiff_t n_features, ptrdiff_t stride, const real *packed, const real *shift, const real *x,
                          real limit, vec distance[SUM_VECTORS][TILE_VECTORS]) {
    no_distances(distance);
    for (ptrdiff_t c = 0, width; c < n_features; c += width) {
        width = panel_width(n_features - c);
        switch (width) {
            case 4: add_panels(4, c, stride, packed, shift + c, x, distance); break;
            case 3: add_panels(3, c, stride, packed, shift + c, x, distance); break;
            case 2: add_panels(2, c, stride, packed, shift + c, x, distance); break;
            default: add_panels(1, c, stride, packed, shift + c, x, distance);
        }
        packed += width * c + width * (width + 1) / 2;
        if (!any_below(distance, limit)) return 0;
    }
    return 1;
}

static void full_bounded_log_density(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                                     const mixfast_selection *selection, const double *floor, void *scratch,
                                     void *out_real, float *ceiling) {
    (void)scratch;
    ptrdiff_t K = family->n_components, d = family->n_features, stride = chunk->stride;
    const real *constant = tables, *shift = constant + K + K * d, *packed = shift + K * d;
    const real *x = chunk->columns;
    real *out = out_real;
    for (ptrdiff_t a = 0; a < selection->n; a++, out += stride) {
        ptrdiff_t k = selection->component[a];
        real limit = distance_at(constant[k], floor[a]);
        vec least = splat((real)INFINITY), poison = splat(0);
        for (ptrdiff_t r = 0; r < stride; r += STRIPS) {
            vec distance[SUM_VECTORS][TILE_VECTORS];
            int within = reaches(d, stride, packed + k * packed_triangle_size(d), shift + k * d, x + r, limit, distance);
            deliver(within, constant[k], distance, out + r, &least, &poison);
        }
        ceiling[a] = ceiling_at(d, constant[k], least, poison);
    }
}

/* rooted[j] = root (x - mean) for `n` columns, where root = sqrt(resp); first[j] += the sum of root rooted[j]. */
ALWAYS_INLINE void centre_tile(int n, ptrdiff_t stride, const real *x, const real *mean, const real *root,
                               real *rooted, double *first) {
    vec total[SUM_TILE + 1][SUM_VECTORS];
    for (int part = 0; part < SUM_VECTORS; part++) {
        vec own[SUM_TILE + 1];
        UNROLL(5)
        for (int a = 0; a < n; a++) own[a] = splat(0);
        for (ptrdiff_t r = part * WIDTH; r < stride; r += SUM_WIDTH) {
            vec factor = load(root + r);
            UNROLL(5)
            for (int a = 0; a < n; a++) {
                vec c = factor * (load(x + a * stride + r) - mean[a]);
                store(rooted + a * stride + r, c);
                own[a] += factor * c;
            }
        }
        UNROLL(5)
        for (int a = 0; a < n; a++) total[a][part] = own[a];
    }
    UNROLL(5)
    for (int a = 0; a < n; a++) first[a] += sum_of(total[a]);
}

static void centre(ptrdiff_t n_features, ptrdiff_t stride, const real *x, const real *mean, const real *root,
                   real *rooted, double *first) {
    ptrdiff_t j = 0;
    for (; j + 4 <= n_features; j += 4)
        centre_tile(4, stride, x + j * stride, mean + j, root, rooted + j * stride, first + j);
    for (; j < n_features; j++)
        centre_tile(1, stride, x + j * stride, mean + j, root, rooted + j * stride, first + j);
}

/* All first and second moments of one component in registers: 2 to 14 sums for 1 to 4 columns. */
ALWAYS_INLINE void small_moments(int d, ptrdiff_t stride, const real *x, const real *mean, const real *resp,
                                 double *first, double *second) {
    vec sums[SMALL][SUM_VECTORS], squares[SMALL * (SMALL + 1) / 2][SUM_VECTORS];
    for (int part = 0; part < SUM_VECTORS; part++) {
        vec sum[SMALL], square[SMALL * (SMALL + 1) / 2];
        UNROLL(4)
        for (int j = 0; j < d; j++) sum[j] = splat(0);
        UNROLL(10)
        for (int p = 0; p < d * (d + 1) / 2; p++) square[p] = splat(0);
        for (ptrdiff_t r = part * WIDTH; r < stride; r += SUM_WIDTH) {
            vec weight = load(resp + r), c[SMALL];
            UNROLL(4)
            for (int i = 0; i < d; i++) {
                c[i] = load(x + i * stride + r) - mean[i];
                vec weighted = weight * c[i];
                sum[i] += weighted;
                UNROLL(4)
                for (int j = 0; j <= i; j++) square[i * (i + 1) / 2 + j] += weighted * c[j];
            }
        }
        UNROLL(4)
        for (int j = 0; j < d; j++) sums[j][part] = sum[j];
        UNROLL(10)
        for (int p = 0; p < d * (d + 1) / 2; p++) squares[p][part] = square[p];
    }
    UNROLL(4)
    for (int j = 0; j < d; j++) first[j] += sum_of(sums[j]);
    UNROLL(10)
    for (int p = 0; p < d * (d + 1) / 2; p++) second[p] += sum_of(squares[p]);
}

/* Second moments are products of sqrt(resp) (x - mean) with itself: one array in the first-level cache instead of the
 * two of resp (x - mean) and x - mean, half the stores, and square tiles on the diagonal. */
static void large_moments(ptrdiff_t d, ptrdiff_t stride, const real *x, const real *mean, const real *resp, real *root,
                          double *first, double *second) {
    real *rooted = root + stride;
    for (ptrdiff_t r = 0; r < stride; r++) root[r] = SQRT(resp[r]);
    centre(d, stride, x, mean, root, rooted, first);
    triangle_of_products(d, stride, rooted, second);
}

/* Component k's second moments are at second + k * apart. */
ALWAYS_INLINE int accumulate_moments(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                                     const mixfast_selection *selection, const void *resp_real, void *scratch,
                                     double *stats, ptrdiff_t apart) {
    ptrdiff_t K = family->n_components, d = family->n_features, stride = chunk->stride;
    const real *means = (const real *)tables + K, *resp = resp_real, *x = chunk->columns;
    for (ptrdiff_t a = 0; a < selection->n; a++, resp += stride) {
        ptrdiff_t k = selection->component[a];
        const real *mean = means + k * d;
        double *first = stats + k * d, *second = stats + K * d + k * apart;
        switch (d) {
            case 1: small_moments(1, stride, x, mean, resp, first, second); break;
            case 2: small_moments(2, stride, x, mean, resp, first, second); break;
            case 3: small_moments(3, stride, x, mean, resp, first, second); break;
            case 4: small_moments(4, stride, x, mean, resp, first, second); break;
            default: large_moments(d, stride, x, mean, resp, scratch, first, second);
        }
    }
    return 0;
}

static int full_accumulate(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                           const mixfast_selection *selection, const void *resp, void *scratch, double *stats) {
    ptrdiff_t d = family->n_features;
    return accumulate_moments(family, tables, chunk, selection, resp, scratch, stats, d * (d + 1) / 2);
}

static int diagonal_log_density(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                                const mixfast_selection *selection, void *scratch, void *out) {
    (void)scratch;
    ptrdiff_t K = family->n_components, d = family->n_features;
    const real *constant = tables, *scale = constant + K + K * d, *shift = scale + K * d;
    scaled_distances(selection, d, chunk->stride, constant, scale, shift, chunk->columns, out);
    return 0;
}

/* out[r] = factor |x[r]|^2; whether all are finite. */
static int scaled_squares(ptrdiff_t n_features, ptrdiff_t stride, real factor, const real *x, real *out) {
    vec poison = splat(0);
    for (ptrdiff_t r = 0; r < stride; r += WIDTH) {
        vec square = splat(0);
        for (ptrdiff_t j = 0; j < n_features; j++) square += load(x + j * stride + r) * load(x + j * stride + r);
        poison += (real)0 * square;
        store(out + r, factor * square);
    }
    return sum_of_elements(poison) == 0;
}

static int spherical_log_density(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                                 const mixfast_selection *selection, void *scratch, void *out_real) {
    ptrdiff_t K = family->n_components, d = family->n_features, stride = chunk->stride;
    const real *constant = tables, *scale = constant + K + K * d, *shift = scale + K * d, *linear = shift + K * d;
    const real *coef = linear + K, *x = chunk->columns;
    real *half = scratch, *out = out_real;
    if (!scaled_squares(d, stride, (real)0.5, x, half)) { /* a component may be as wide */
        scaled_distances(selection, d, stride, constant, scale, shift, x, out);
        return 0;
    }
    for (ptrdiff_t a = 0, n; a < selection->n; a += n, out += n * stride) {
        const ptrdiff_t *component = selection->component + a;
        int is_far = isnan(linear[component[0]]) != 0;
        for (n = 1; a + n < selection->n && (isnan(linear[component[n]]) != 0) == is_far;) n++;
        mixfast_selection alike = {n, component};
        if (is_far) {
            scaled_distances(&alike, d, stride, constant, scale, shift, x, out);
            continue;
        }
        linear_forms(&alike, d, stride, linear, coef, x, out);
        for (ptrdiff_t i = 0; i < n; i++) {
            real precision = scale[component[i] * d] * scale[component[i] * d];
            for (ptrdiff_t r = 0; r < stride; r++) out[i * stride + r] -= precision * half[r];
        }
    }
    return 0;
}

/* The log densities of one component, less `term` of each row, where any row of some strips reaches `floor`; returns what
 * none is above. Where `scale` is NULL, x is scaled already; `term` may be NULL too; both are constants at every call. */
ALWAYS_INLINE float bounded_density(ptrdiff_t d, ptrdiff_t stride, real constant, const real *scale, const real *shift,
                                    const real *term, double floor, const real *x, real *out) {
    real limit = distance_at(constant, floor);
    vec least = splat((real)INFINITY), poison = splat(0);
    for (ptrdiff_t r = 0; r < stride; r += STRIPS) {
        vec distance[SUM_VECTORS][TILE_VECTORS];
        no_distances(distance);
        int within = 1;
        for (ptrdiff_t j = 0; j < d && within; j += BETWEEN_LOOKS) {
            ptrdiff_t last = j + BETWEEN_LOOKS < d ? j + BETWEEN_LOOKS : d;
            for (int s = 0; s < SUM_VECTORS; s++)
                add_distance(j, last, stride, scale, shift, x + r + s * STRIP, distance[s]);
            within = any_below(distance, limit);
        }
        deliver(within, constant, distance, out + r, &least, &poison);
        if (term)
            for (ptrdiff_t i = r; i < r + STRIPS; i += WIDTH) store(out + i, load(out + i) - load(term + i));
    }
    return ceiling_at(d, constant, least, poison);
}

static void diagonal_bounded_log_density(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                                         const mixfast_selection *selection, const double *floor, void *scratch,
                                         void *out, float *ceiling) {
    (void)scratch;
    ptrdiff_t K = family->n_components, d = family->n_features, stride = chunk->stride;
    const real *constant = tables, *scale = constant + K + K * d, *shift = scale + K * d;
    for (ptrdiff_t a = 0; a < selection->n; a++) {
        ptrdiff_t k = selection->component[a];
        ceiling[a] = bounded_density(d, stride, constant[k], scale + k * d, shift + k * d, NULL, floor[a],
                                     chunk->columns, (real *)out + a * stride);
    }
}

/* Sums of resp (x - mean) and resp (x - mean)^2 for `n` features of one component. */
ALWAYS_INLINE void moments_tile(int n, ptrdiff_t stride, const real *x, const real *mean, const real *resp,
                                double *first, double *second) {
    vec sum[MOMENTS][SUM_VECTORS], squares[MOMENTS][SUM_VECTORS];
    for (int part = 0; part < SUM_VECTORS; part++) {
        vec own[MOMENTS], own_squares[MOMENTS];
        UNROLL(6)
        for (int a = 0; a < n; a++) own[a] = own_squares[a] = splat(0);
        for (ptrdiff_t r = part * WIDTH; r < stride; r += SUM_WIDTH) {
            vec weight = load(resp + r);
            UNROLL(6)
            for (int a = 0; a < n; a++) {
                vec c = load(x + a * stride + r) - mean[a];
                vec w = weight * c;
                own[a] += w;
                own_squares[a] += w * c;
            }
        }
        UNROLL(6)
        for (int a = 0; a < n; a++) sum[a][part] = own[a], squares[a][part] = own_squares[a];
    }
    UNROLL(6)
    for (int a = 0; a < n; a++) {
        first[a] += sum_of(sum[a]);
        second[a] += sum_of(squares[a]);
    }
}

/* Adds sums of resp (x - mean) and of resp (x - mean)^2 of some columns of one component, from those about the pivot. */
static void add_about_mean(ptrdiff_t n, const real *MIXFAST_RESTRICT mean, double mass,
                           const real *MIXFAST_RESTRICT product, const real *MIXFAST_RESTRICT square,
                           double *MIXFAST_RESTRICT first, double *MIXFAST_RESTRICT second) {
    for (ptrdiff_t b = 0; b < n; b++) {
        double own = (double)product[b], moved = own - (double)mean[b] * mass;
        first[b] += moved;
        second[b] += (double)square[b] - (double)mean[b] * (own + moved);
    }
}

/* Products of resp of `n` components, up to NEAR_COMPONENTS, with `n_columns` columns, up to NEAR_COLUMNS. */
ALWAYS_INLINE void near_products(ptrdiff_t n, ptrdiff_t n_columns, ptrdiff_t stride, const real *resp, const real *x,
                                 real total[NEAR_COMPONENTS][NEAR_COLUMNS + SUM_TILE]) {
    real tile[SUM_TILE + 1][SUM_TILE] = {{0}};
    for (ptrdiff_t j = 0, n_right; j < n_columns; j += n_right) {
        n_right = right_size(n_columns - j);
        for (ptrdiff_t a = 0, n_left; a < n; a += n_left) {
            n_left = left_size(n - a);
            product_tile_of(n_left, n_right, stride, resp + a * stride, x + j * stride, tile);
            for (ptrdiff_t i = 0; i < n_left; i++) memcpy(total[a + i] + j, tile[i], sizeof tile[i]);
        }
    }
}

/* Moments of up to NEAR_COMPONENTS near the pivot, resp[a] of component[a]: matrix products of responsibilities with the
 * columns x and with their squares, two multiply-adds a number where moments_tile needs four operations. */
static void moments_about_pivot(ptrdiff_t n, const ptrdiff_t *component, ptrdiff_t n_features, ptrdiff_t stride,
                                const real *x, const real *square, const real *ones, const real *means,
                                const real *resp, double *first, double *second) {
    real mass[NEAR_COMPONENTS][NEAR_COLUMNS + SUM_TILE], product[NEAR_COMPONENTS][NEAR_COLUMNS + SUM_TILE];
    real squares[NEAR_COMPONENTS][NEAR_COLUMNS + SUM_TILE];
    near_products(n, 1, stride, resp, ones, mass);
    for (ptrdiff_t j = 0; j < n_features; j += NEAR_COLUMNS) {
        ptrdiff_t n_columns = n_features - j < NEAR_COLUMNS ? n_features - j : NEAR_COLUMNS;
        for (ptrdiff_t a = 0; a < n; a++)
            for (ptrdiff_t b = j; b < j + n_columns; b += 8) {
                PREFETCH(means + component[a] * n_features + b);
                PREFETCH(first + component[a] * n_features + b);
                PREFETCH(second + component[a] * n_features + b);
            }
        near_products(n, n_columns, stride, resp, x + j * stride, product);
        near_products(n, n_columns, stride, resp, square + j * stride, squares);
        for (ptrdiff_t a = 0; a < n; a++) {
            ptrdiff_t at = component[a] * n_features + j;
            add_about_mean(n_columns, means + at, (double)mass[a][0], product[a], squares[a], first + at, second + at);
        }
    }
}

/* Moments of one component by itself. */
static void moments_about_mean(ptrdiff_t n_features, ptrdiff_t stride, const real *x, const real *mean,
                               const real *resp, double *first, double *second) {
    for (; n_features >= MOMENTS; n_features -= MOMENTS) {
        moments_tile(MOMENTS, stride, x, mean, resp, first, second);
        x += MOMENTS * stride, mean += MOMENTS, first += MOMENTS, second += MOMENTS;
    }
    for (; n_features > 0; n_features--) moments_tile(1, stride, x, mean++, resp, first++, second++), x += stride;
}

static int diagonal_accumulate(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                               const mixfast_selection *selection, const void *resp_real, void *scratch,
                               double *stats) {
    ptrdiff_t K = family->n_components, d = family->n_features, stride = chunk->stride;
    const real *resp = resp_real, *x = chunk->columns, *means = (const real *)tables + K, *shifts = means + 2 * K * d;
    real *square = scratch, *ones = square + d * stride;
    double *first = stats, *second = stats + K * d;
    int has_squares = 0;
    for (ptrdiff_t a = 0, n; a < selection->n; a += n) {
        const ptrdiff_t *component = selection->component + a;
        for (n = 0; a + n < selection->n && n < NEAR_COMPONENTS && is_near_pivot(d, shifts + component[n] * d);) n++;
        if (n < FEWEST_NEAR) {
            ptrdiff_t at = component[0] * d;
            moments_about_mean(d, stride, x, means + at, resp + a * stride, first + at, second + at);
            n = 1;
            continue;
        }
        if (!has_squares) {
            for (ptrdiff_t i = 0; i < d * stride; i++) square[i] = x[i] * x[i];
            for (ptrdiff_t r = 0; r < stride; r++) ones[r] = 1;
            has_squares = 1;
        }
        moments_about_pivot(n, component, d, stride, x, square, ones, means, resp + a * stride, first, second);
    }
    return 0;
}

/* whitened = U' x */
ALWAYS_INLINE void whiten(ptrdiff_t d, ptrdiff_t stride, const real *packed, const real *x, real *whitened) {
    static const real zeros[PANEL] = {0};
    for (ptrdiff_t c = 0, width; c < d; c += width) {
        width = panel_width(d - c);
        for (ptrdiff_t r = 0; r < stride; r += STRIP) {
            vec y[PANEL][TILE_VECTORS];
            switch (width) {
                case 4: panel_product(4, c, stride, packed, zeros, x + r, y); break;
                case 3: panel_product(3, c, stride, packed, zeros, x + r, y); break;
                case 2: panel_product(2, c, stride, packed, zeros, x + r, y); break;
                default: panel_product(1, c, stride, packed, zeros, x + r, y);
            }
            for (ptrdiff_t b = 0; b < width; b++)
                for (int v = 0; v < TILE_VECTORS; v++) store(whitened + (c + b) * stride + r + v * WIDTH, y[b][v]);
        }
        packed += width * c + width * (width + 1) / 2;
    }
}

static int tied_log_density(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                            const mixfast_selection *selection, void *scratch, void *out) {
    ptrdiff_t K = family->n_components, d = family->n_features;
    const real *constant = tables, *shift = constant + K + K * d;
    whiten(d, chunk->stride, shift + K * d, chunk->columns, scratch);
    scaled_distances(selection, d, chunk->stride, constant, NULL, shift, scratch, out);
    return 0;
}

static void tied_bounded_log_density(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                                     const mixfast_selection *selection, const double *floor, void *scratch, void *out,
                                     float *ceiling) {
    ptrdiff_t K = family->n_components, d = family->n_features, stride = chunk->stride;
    const real *constant = tables, *shift = constant + K + K * d;
    whiten(d, stride, shift + K * d, chunk->columns, scratch);
    for (ptrdiff_t a = 0; a < selection->n; a++) {
        ptrdiff_t k = selection->component[a];
        ceiling[a] = bounded_density(d, stride, constant[k], NULL, shift + k * d, NULL, floor[a], scratch,
                                     (real *)out + a * stride);
    }
}

static int tied_accumulate(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                           const mixfast_selection *selection, const void *resp, void *scratch, double *stats) {
    return accumulate_moments(family, tables, chunk, selection, resp, scratch, stats, 0);
}

static int linear_log_density(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                            const mixfast_selection *selection, void *scratch, void *out) {
    (void)scratch;
    const real *constant = tables, *coef = constant + family->n_components;
    linear_forms(selection, family->n_features, chunk->stride, constant, coef, chunk->columns, out);
    return 0;
}

/* scratch: whitened rows, and the term after them */
static const void *linear_row_term(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                                   void *scratch) {
    ptrdiff_t K = family->n_components, d = family->n_features, stride = chunk->stride;
    const real *packed = (const real *)tables + 2 * K * (1 + d);
    real *whitened = scratch, *term = whitened + d * stride;
    whiten(d, stride, packed, chunk->columns, whitened);
    scaled_squares(d, stride, (real)-0.5, whitened, term);
    return term;
}

static void linear_bounded_log_density(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                                       const mixfast_selection *selection, const double *floor, void *scratch,
                                       void *out, float *ceiling) {
    ptrdiff_t K = family->n_components, d = family->n_features, stride = chunk->stride;
    const real *whole = (const real *)tables + K * (1 + d), *shift = whole + K, *whitened = scratch;
    for (ptrdiff_t a = 0; a < selection->n; a++) {
        ptrdiff_t k = selection->component[a];
        ceiling[a] = bounded_density(d, stride, whole[k], NULL, shift + k * d, whitened + d * stride, floor[a],
                                     whitened, (real *)out + a * stride);
    }
}

static int linear_accumulate(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                           const mixfast_selection *selection, const void *resp, void *scratch, double *stats) {
    (void)tables, (void)scratch;
    weighted_sums(selection, family->n_features, chunk->stride, resp, chunk->columns, stats);
    return 0;
}

/* Adds the sums of columns to common[d], and of weights to *total. OUT root[stride]: of the weights. */
static void sums_of_all_rows(ptrdiff_t d, ptrdiff_t stride, const real *weight, const real *x, real *root, double *common,
                             double *total) {
    ptrdiff_t one[1] = {0};
    mixfast_selection all_rows = {1, one};
    weighted_sums(&all_rows, d, stride, weight, x, common);
    for (ptrdiff_t r = 0; r < stride; r++) root[r] = SQRT(weight[r]);
    for (ptrdiff_t r = 0; r < stride; r++) *total += (double)weight[r];
}

/* The bits are those of the same sums of linear_accumulate_common. */
static void diagonal_accumulate_common(const mixfast_family *family, const mixfast_chunk *chunk, const void *weight_real,
                                     void *scratch, double *common) {
    ptrdiff_t d = family->n_features, stride = chunk->stride;
    const real *x = chunk->columns;
    real *root = scratch, *rooted = root + stride;
    sums_of_all_rows(d, stride, weight_real, x, root, common, &common[2 * d]);
    for (ptrdiff_t j = 0; j < d; j++) {
        real total[SUM_TILE + 1][SUM_TILE + 1];
        for (ptrdiff_t r = 0; r < stride; r++) rooted[r] = root[r] * x[j * stride + r];
        square_tile(1, stride, rooted, total);
        common[d + j] += (double)total[0][0];
    }
}

static void linear_accumulate_common(const mixfast_family *family, const mixfast_chunk *chunk, const void *weight_real,
                                   void *scratch, double *common) {
    ptrdiff_t d = family->n_features, stride = chunk->stride;
    const real *x = chunk->columns;
    real *root = scratch, *rooted = root + stride;
    sums_of_all_rows(d, stride, weight_real, x, root, common, &common[d + d * (d + 1) / 2]);
    for (ptrdiff_t j = 0; j < d; j++)
        for (ptrdiff_t r = 0; r < stride; r++) rooted[j * stride + r] = root[r] * x[j * stride + r];
    triangle_of_products(d, stride, rooted, common + d);
}

const mixfast_gaussian_kernels MIXFAST_TABLE(gaussian) = {
    triangle_size,        triangle,
    full_log_density,     full_bounded_log_density,     full_accumulate,
    diagonal_log_density, diagonal_bounded_log_density, diagonal_accumulate, diagonal_accumulate_common,
    spherical_log_density,
    tied_log_density,     tied_bounded_log_density,     tied_accumulate,
    linear_log_density,   linear_bounded_log_density,   linear_row_term,
    linear_accumulate,    linear_accumulate_common,
};
