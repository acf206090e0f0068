#include "missing.h"

#include "tiles.h"

/* ---- what patterns make of covariances: as many patterns as a vector has elements at a time ------------------------- */

/* Of a pivot beside its place on the diagonal of the precision matrix: what P has lost already would be as many times more.
 * Where pairs of columns were alike to a millionth the log density of a row was off by 5,000 nats, for a share of 1e-12;
 * with covariances it is off by 2e-5. */
#define LEAST_SHARE 0.01

/* A pivot that rounding would leave at or below 0 is so much of its place on the diagonal. */
#define SMALLEST_SHARE 1e-16

/* So many shares have a product that does not vanish. */
#define SHARES_AT_ONCE 16

typedef struct {
    ptrdiff_t n; /* patterns, at most WIDTH; the last stands for those that a vector has room for beside */
    ptrdiff_t n_features, n_there, head;
    const ptrdiff_t *columns[MIXFAST_LANES];
    double *table[MIXFAST_LANES];
} some_patterns;

/* Where row i of the lower triangle of a matrix begins that is packed by rows. */
ALWAYS_INLINE ptrdiff_t row_at(ptrdiff_t i) { return i * (i + 1) / 2; }

ALWAYS_INLINE vec reciprocal_root(vec a) {
    double part[WIDTH];
    memcpy(part, &a, sizeof part);
    for (int lane = 0; lane < WIDTH; lane++) part[lane] = 1 / sqrt(part[lane]);
    memcpy(&a, part, sizeof part);
    return a;
}

/* values[a][b] = matrix[i][j], i and j the columns at places first + a and second + b of the list of a pattern. Of a triangle
 * for b <= a alone, packed by rows. */
ALWAYS_INLINE void gather(const some_patterns *own, const double *matrix, int is_triangle, ptrdiff_t n_rows,
                          ptrdiff_t first, ptrdiff_t n_columns, ptrdiff_t second, vec *values) {
    for (ptrdiff_t lane = 0; lane < WIDTH; lane++) {
        const ptrdiff_t *columns = own->columns[lane];
        double *out = (double *)values + lane;
        for (ptrdiff_t a = 0; a < n_rows; a++) {
            const double *row = matrix + columns[first + a] * own->n_features;
            ptrdiff_t n = is_triangle ? a + 1 : n_columns;
            for (ptrdiff_t b = 0; b < n; b++, out += WIDTH) *out = row[columns[second + b]];
        }
    }
}

static void gather_block(const some_patterns *own, const double *matrix, ptrdiff_t n_rows, ptrdiff_t first,
                         ptrdiff_t n_columns, ptrdiff_t second, vec *values) {
    gather(own, matrix, 0, n_rows, first, n_columns, second, values);
}

static void gather_triangle(const some_patterns *own, const double *matrix, ptrdiff_t n, ptrdiff_t first, vec *values) {
    gather(own, matrix, 1, n, first, n, first, values);
}

/* n values to the tables of those patterns whose bit of `which` is set, from `place` on. */
static void scatter(const some_patterns *own, unsigned which, ptrdiff_t n, const vec *values, ptrdiff_t place) {
    for (ptrdiff_t lane = 0; lane < own->n; lane++)
        if (which >> lane & 1) {
            const double *from = (const double *)values + lane;
            double *out = own->table[lane] + place;
            for (ptrdiff_t i = 0; i < n; i++) out[i] = from[i * WIDTH];
        }
}

/* The sum of n numbers at the columns of a pattern. */
ALWAYS_INLINE double sum_at(ptrdiff_t n, const ptrdiff_t *columns, const double *values) {
    double total = 0;
    for (ptrdiff_t i = 0; i < n; i++) total += values[columns[i]];
    return total;
}

/* Cholesky factor L of the lower triangle of a matrix, in its place, with the reciprocals of its diagonal. Pivots are measured
 * by diagonal[n]. Returns the smallest share that a pivot is of that. OUT log_shares[WIDTH]: the sums of the logarithms of
 * shares. */
static vec factor(ptrdiff_t n, const vec *diagonal, vec *root, double *log_shares) {
    vec smallest = splat(1), product = splat(1);
    memset(log_shares, 0, WIDTH * sizeof(double));
    for (ptrdiff_t i = 0; i < n; i++) {
        vec *row = root + row_at(i);
        for (ptrdiff_t j = 0; j < i; j++) {
            const vec *other = root + row_at(j);
            vec value = row[j];
            for (ptrdiff_t a = 0; a < j; a++) value -= row[a] * other[a];
            row[j] = value * other[j];
        }
        vec value = row[i];
        for (ptrdiff_t a = 0; a < i; a++) value -= row[a] * row[a];
        vec share = value / diagonal[i];
        smallest = minimum(smallest, share);
        share = maximum(share, splat(SMALLEST_SHARE));
        product *= share;
        row[i] = reciprocal_root(share * diagonal[i]);
        if (i % SHARES_AT_ONCE == SHARES_AT_ONCE - 1 || i == n - 1) {
            double part[WIDTH];
            memcpy(part, &product, sizeof part);
            for (int lane = 0; lane < WIDTH; lane++) log_shares[lane] += log(part[lane]);
            product = splat(1);
        }
    }
    return smallest;
}

/* Of those patterns whose bit of `which` is set; the others have their tables. log_variances[d]: of the diagonal of S. */
static void by_covariance(const some_patterns *own, unsigned which, const double *covariance, const double *log_variances,
                          vec *room) {
    ptrdiff_t d = own->n_features, o = own->n_there, m = d - o;
    vec *root = room, *slopes = root + row_at(o), *left = slopes + m * o, *diagonal = left + row_at(m);
    double log_shares[WIDTH];
    gather_triangle(own, covariance, o, 0, root);
    gather_block(own, covariance, m, o, o, 0, slopes);
    gather_triangle(own, covariance, m, o, left);
    for (ptrdiff_t i = 0; i < o; i++) diagonal[i] = root[row_at(i) + i];
    factor(o, diagonal, root, log_shares);
    for (ptrdiff_t lane = 0; lane < own->n; lane++)
        if (which >> lane & 1)
            own->table[lane][0] = -0.5 * (log_shares[lane] + sum_at(o, own->columns[lane], log_variances));
    for (ptrdiff_t a = 0; a < m; a++) { /* L^-1 S_om */
        vec *row = slopes + a * o;
        for (ptrdiff_t i = 0; i < o; i++) {
            const vec *other = root + row_at(i);
            vec value = row[i];
            for (ptrdiff_t j = 0; j < i; j++) value -= other[j] * row[j];
            row[i] = value * other[i];
        }
    }
    for (ptrdiff_t a = 0; a < m; a++) {
        diagonal[a] = left[row_at(a) + a];
        for (ptrdiff_t b = 0; b <= a; b++) {
            vec value = left[row_at(a) + b];
            for (ptrdiff_t i = 0; i < o; i++) value -= slopes[a * o + i] * slopes[b * o + i];
            left[row_at(a) + b] = value;
        }
    }
    for (ptrdiff_t a = 0; a < m; a++) /* S_mo S_oo^-1 */
        for (ptrdiff_t i = o - 1; i >= 0; i--) {
            vec value = slopes[a * o + i];
            for (ptrdiff_t j = i + 1; j < o; j++) value -= root[row_at(j) + i] * slopes[a * o + j];
            slopes[a * o + i] = value * root[row_at(i) + i];
        }
    scatter(own, which, m * o + row_at(m), slopes, own->head);
    factor(m, diagonal, left, log_shares); /* for the determinant of C alone */
    for (ptrdiff_t lane = 0; lane < own->n; lane++)
        if (which >> lane & 1)
            own->table[lane][1] = -0.5 * (log_shares[lane] + sum_at(m, own->columns[lane] + o, log_variances));
}

/* With P the inverse of the covariance, C = P_mm^-1 and S_mo S_oo^-1 = -C P_mo: what is factored are the missing columns
 * instead of the observed ones. log_precisions[d]: of the diagonal of P. Returns a bit for each pattern whose pivots lose too
 * many digits, and which has no tables yet. */
static unsigned by_precision(const some_patterns *own, const double *precision, const double *log_precisions,
                             double log_root, vec *room) {
    ptrdiff_t d = own->n_features, o = own->n_there, m = d - o;
    vec *slopes = room, *left = slopes + m * o, *diagonal = left + row_at(m);
    double log_shares[WIDTH], smallest[WIDTH];
    unsigned lost = 0;
    gather_block(own, precision, m, o, o, 0, slopes);
    gather_triangle(own, precision, m, o, left);
    for (ptrdiff_t a = 0; a < m; a++) diagonal[a] = left[row_at(a) + a];
    vec least = factor(m, diagonal, left, log_shares);
    memcpy(smallest, &least, sizeof smallest);
    for (ptrdiff_t lane = 0; lane < own->n; lane++) {
        double half = 0.5 * (log_shares[lane] + sum_at(m, own->columns[lane] + o, log_precisions));
        if (!(smallest[lane] > LEAST_SHARE)) lost |= 1u << lane;
        own->table[lane][0] = log_root - half;
        own->table[lane][1] = half;
    }
    for (ptrdiff_t a = 0; a < m; a++) { /* the inverse of the factor, which has reciprocals on its diagonal already */
        vec *row = left + row_at(a);
        for (ptrdiff_t b = 0; b < a; b++) { /* ascending: what is left of a row is still the factor's */
            vec value = splat(0);
            for (ptrdiff_t e = b; e < a; e++) value -= row[e] * left[row_at(e) + b];
            row[b] = value * row[a];
        }
    }
    for (ptrdiff_t a = 0; a < m; a++)
        for (ptrdiff_t b = 0; b <= a; b++) { /* ascending: only rows below are needed further on */
            vec value = splat(0);
            for (ptrdiff_t e = a; e < m; e++) value += left[row_at(e) + a] * left[row_at(e) + b];
            left[row_at(a) + b] = value;
        }
    for (ptrdiff_t i = 0; i < o; i++) {
        vec *column = diagonal;
        for (ptrdiff_t a = 0; a < m; a++) column[a] = slopes[a * o + i];
        for (ptrdiff_t a = 0; a < m; a++) {
            vec value = splat(0);
            for (ptrdiff_t b = 0; b <= a; b++) value -= left[row_at(a) + b] * column[b];
            for (ptrdiff_t b = a + 1; b < m; b++) value -= left[row_at(b) + a] * column[b];
            slopes[a * o + i] = value;
        }
    }
    scatter(own, ~lost, m * o + row_at(m), slopes, own->head);
    return lost;
}

static void condition(ptrdiff_t n, const mixfast_pattern *const *patterns, ptrdiff_t d, const double *covariance,
                      const double *precision, double log_root, ptrdiff_t k, ptrdiff_t head, double *room,
                      double *tables) {
    double *log_variances = room + MIXFAST_LANES * (row_at(d) + d), *log_precisions = log_variances + d;
    for (ptrdiff_t j = 0; j < d; j++) {
        log_variances[j] = log(covariance[j * d + j]);
        if (precision) log_precisions[j] = log(precision[j * d + j]);
    }
    for (ptrdiff_t first = 0, last; first < n; first = last) {
        some_patterns own = {.n_features = d, .n_there = patterns[first]->n_there, .head = head};
        for (last = first; last < n && own.n < WIDTH && patterns[last]->n_there == own.n_there; last++, own.n++) {
            own.columns[own.n] = patterns[last]->columns;
            own.table[own.n] = tables + patterns[last]->tables + k * patterns[last]->size;
        }
        for (ptrdiff_t lane = own.n; lane < WIDTH; lane++) own.columns[lane] = own.columns[own.n - 1];
        unsigned which = ~0u;
        if (precision && 2 * own.n_there >= d) which = by_precision(&own, precision, log_precisions, log_root, (vec *)room);
        if (which) by_covariance(&own, which, covariance, log_variances, (vec *)room);
    }
}

/* ---- rows ---------------------------------------------------------------------------------------------------------- */

/* Columns that are imputed at a time: so many sums, the value that they share and a slope fit 16 registers. */
#define MOST_AT_ONCE 6

/* Whether rows first to last - 1 have an element of the vector that begins at row r: 1, and 0 of all other rows. */
ALWAYS_INLINE vec within(ptrdiff_t r, ptrdiff_t first, ptrdiff_t last) {
    static const double places[] = {0, 1, 2, 3, 4, 5, 6, 7};
    vec place;
    memcpy(&place, places, sizeof place);
    place += splat((double)r);
    vec before_last = if_smaller(place, splat((double)last), splat(1), splat(0));
    return if_smaller(place, splat((double)first), splat(0), before_last);
}

/* The first n missing columns, a constant at every call, of the rows of a vector. */
ALWAYS_INLINE void impute_some(int n, ptrdiff_t n_there, const ptrdiff_t *there, const ptrdiff_t *missing,
                               const double *slopes, const double *mean, ptrdiff_t stride, vec own, const double *x,
                               double *out) {
    vec imputed[MOST_AT_ONCE];
    UNROLL(6)
    for (int a = 0; a < n; a++) imputed[a] = splat(mean[missing[a]]);
    for (ptrdiff_t i = 0; i < n_there; i++) {
        vec deviation = load(x + there[i] * stride) - splat(mean[there[i]]);
        UNROLL(6)
        for (int a = 0; a < n; a++) imputed[a] += splat(slopes[a * n_there + i]) * deviation;
    }
    UNROLL(6)
    for (int a = 0; a < n; a++) {
        double *place = out + missing[a] * stride;
        store(place, if_smaller(splat(0.5), own, imputed[a], load(place)));
    }
}

static void impute(ptrdiff_t n_there, const ptrdiff_t *there, ptrdiff_t n_missing, const ptrdiff_t *missing,
                   const double *slopes, const double *mean, ptrdiff_t stride, ptrdiff_t first, ptrdiff_t last,
                   const double *x, double *out) {
    for (ptrdiff_t r = first / WIDTH * WIDTH; r < last; r += WIDTH) {
        vec own = within(r, first, last);
        for (ptrdiff_t a = 0, n; a < n_missing; a += n) {
            n = n_missing - a < MOST_AT_ONCE ? n_missing - a : MOST_AT_ONCE;
#define SOME(n)                                                                                                       \
    case n:                                                                                                           \
        impute_some(n, n_there, there, missing + a, slopes + a * n_there, mean, stride, own, x + r, out + r);         \
        break;
            switch (n) {
                SOME(1)
                SOME(2)
                SOME(3)
                SOME(4)
                SOME(5)
                SOME(6)
            }
        }
    }
}

/* ---- components that share a covariance ----------------------------------------------------------------------------- */

/* a b + c, rounded once where that is an instruction: left to itself a compiler rounds twice where it makes the products of
 * several components in a vector, and once elsewhere. */
#if defined(__FMA__) || defined(__aarch64__)
#define FUSED(a, b, c) fma(a, b, c)
#else
#define FUSED(a, b, c) ((a) * (b) + (c))
#endif

static void add_apart(ptrdiff_t n_components, ptrdiff_t n_features, ptrdiff_t n_missing, const ptrdiff_t *missing,
                      const double *apart, const double *left, ptrdiff_t stride, ptrdiff_t first_row, ptrdiff_t last_row,
                      const double *resp, double *mass, double *first, double *second) {
    double total = 0;
    for (ptrdiff_t k = 0; k < n_components; k++) {
        double own = 0;
        for (ptrdiff_t r = first_row; r < last_row; r++) own += resp[k * stride + r];
        mass[k] = own;
        total += own;
    }
    for (ptrdiff_t a = 0; a < n_missing; a++, left += a) {
        double *row = second + row_at(missing[a]), *weighted = mass + n_components;
        for (ptrdiff_t k = 0; k < n_components; k++) {
            weighted[k] = mass[k] * apart[a * n_components + k];
            first[k * n_features + missing[a]] += weighted[k];
        }
        for (ptrdiff_t b = 0; b <= a; b++) {
            const double *other = apart + b * n_components;
            double sum = total * left[b];
            for (ptrdiff_t k = 0; k < n_components; k++) sum = FUSED(weighted[k], other[k], sum);
            row[missing[b]] += sum;
        }
    }
}

/* total[d (d + 1) / 2] += sum_r (left right' + right left') / 2, lower triangle by rows. Both products are there before they
 * are added, so that no size of a tile decides in which order. */
static void add_symmetric(ptrdiff_t d, ptrdiff_t stride, const double *left, const double *right, double *total) {
    double tile[SUM_TILE + 1][SUM_TILE], other[SUM_TILE + 1][SUM_TILE];
    for (ptrdiff_t i = 0, n; i < d; i += n) {
        n = right_size(d - i);
        for (ptrdiff_t j = 0, m; j <= i; j += m) {
            m = right_size(d - j);
            product_tile_of(n, m, stride, left + i * stride, right + j * stride, tile);
            if (j < i)
                product_tile_of(m, n, stride, left + j * stride, right + i * stride, other);
            else
                memcpy(other, tile, sizeof other);
            for (ptrdiff_t a = 0; a < n; a++)
                for (ptrdiff_t b = 0; b < m && j + b <= i + a; b++)
                    total[row_at(i + a) + j + b] += 0.5 * (tile[a][b] + other[b][a]);
        }
    }
}

/* The symmetric part of the sum of x times (weight x + 2 apart)'. */
static void add_pooled(ptrdiff_t n_features, ptrdiff_t stride, const double *x, ptrdiff_t n, const double *resp,
                       double *weight, double *apart, double *second) {
    for (ptrdiff_t r = 0; r < stride; r += WIDTH) {
        vec own = splat(0);
        for (ptrdiff_t a = 0; a < n; a++) own += load(resp + a * stride + r);
        store(weight + r, own);
    }
    for (ptrdiff_t j = 0; j < n_features * stride; j += stride)
        for (ptrdiff_t r = 0; r < stride; r += WIDTH)
            store(apart + j + r, load(weight + r) * load(x + j + r) + (load(apart + j + r) + load(apart + j + r)));
    add_symmetric(n_features, stride, x, apart, second);
}

const mixfast_missing_kernels MIXFAST_TABLE(missing) = {condition, impute, add_apart, add_pooled};
