#include "rows.h"
#include "exp_log.h"

/* softmax works on blocks of so many rows: their maxima and sums stay in the first-level cache beside the log densities
 * of one component. */
#define BLOCK 96

/* Columns that are read from a row at once: a cache line of doubles. More columns to write to at a time would evict
 * each other from the first-level cache. */
#define PACK_COLUMNS 8
/* Rows that are visited in an order of their own are prefetched so many rows ahead. */
#define AHEAD 12

/* Pack the columns first .. first + n_columns. Inlined with constants for n_columns, strides and precision in the usual
 * cases. */
ALWAYS_INLINE void pack_columns(const mixfast_rows *rows, const uint32_t *order, ptrdiff_t start, ptrdiff_t n_rows,
                                ptrdiff_t stride, ptrdiff_t first, int n_columns, int from_double,
                                ptrdiff_t column_stride, const double *pivot, real *MIXFAST_RESTRICT columns) {
    const char *data = rows->data + first * column_stride;
    double shift[PACK_COLUMNS];
    for (int j = 0; j < n_columns; j++) shift[j] = pivot[first + j];
    columns += first * stride;
    for (ptrdiff_t r = 0; r < n_rows; r++) {
        if (order && r + AHEAD < n_rows) PREFETCH(data + order[start + r + AHEAD] * rows->row_stride);
        const char *row = data + (order ? (ptrdiff_t)order[start + r] : start + r) * rows->row_stride;
        if (!order) PREFETCH(row + n_columns * column_stride);
        UNROLL(8)
        for (int j = 0; j < n_columns; j++) {
            const char *value = row + j * column_stride;
            double x = from_double ? *(const double *)value : (double)*(const float *)value;
            columns[j * stride + r] = (real)(x - shift[j]);
        }
    }
}

/* Pack all columns, PACK_COLUMNS at a time, then the rest at once: rows of 4 columns took 8 instructions a number one
 * by one, 2.5 by four. */
ALWAYS_INLINE void pack_by(const mixfast_rows *rows, const uint32_t *order, ptrdiff_t start, ptrdiff_t n_rows,
                           ptrdiff_t stride, int from_double, ptrdiff_t apart, const double *pivot, real *columns) {
    ptrdiff_t j = 0;
    for (; j + PACK_COLUMNS <= rows->n_features; j += PACK_COLUMNS)
        pack_columns(rows, order, start, n_rows, stride, j, PACK_COLUMNS, from_double, apart, pivot, columns);
    for (; j + 4 <= rows->n_features; j += 4)
        pack_columns(rows, order, start, n_rows, stride, j, 4, from_double, apart, pivot, columns);
    switch (rows->n_features - j) {
        case 3: pack_columns(rows, order, start, n_rows, stride, j, 3, from_double, apart, pivot, columns); break;
        case 2: pack_columns(rows, order, start, n_rows, stride, j, 2, from_double, apart, pivot, columns); break;
        case 1: pack_columns(rows, order, start, n_rows, stride, j, 1, from_double, apart, pivot, columns);
    }
}

/* Pack columns that are contiguous in memory: a single column, or a matrix in Fortran order. */
ALWAYS_INLINE void pack_lines(const mixfast_rows *rows, ptrdiff_t start, ptrdiff_t n_rows, ptrdiff_t stride,
                              int from_double, const double *pivot, real *MIXFAST_RESTRICT columns) {
    for (ptrdiff_t j = 0; j < rows->n_features; j++) {
        const char *first = rows->data + j * rows->column_stride + start * rows->row_stride;
        double shift = pivot[j];
        if (from_double)
            for (ptrdiff_t r = 0; r < n_rows; r++) columns[j * stride + r] = (real)(((const double *)first)[r] - shift);
        else
            for (ptrdiff_t r = 0; r < n_rows; r++)
                columns[j * stride + r] = (real)((double)((const float *)first)[r] - shift);
    }
}

static void pack_dense(const mixfast_rows *rows, ptrdiff_t start, ptrdiff_t n_rows, ptrdiff_t stride,
                       const double *pivot, real *columns) {
    const uint32_t *order = rows->order;
    ptrdiff_t apart = rows->column_stride, j;
    int from_double = rows->real_bytes == 8;
    if (!order && rows->row_stride == rows->real_bytes)
        pack_lines(rows, start, n_rows, stride, from_double, pivot, columns);
    else if (!order && from_double && apart == 8)
        pack_by(rows, NULL, start, n_rows, stride, 1, 8, pivot, columns);
    else if (!order && !from_double && apart == 4)
        pack_by(rows, NULL, start, n_rows, stride, 0, 4, pivot, columns);
    else if (from_double && apart == 8)
        pack_by(rows, order, start, n_rows, stride, 1, 8, pivot, columns);
    else if (!from_double && apart == 4)
        pack_by(rows, order, start, n_rows, stride, 0, 4, pivot, columns);
    else
        pack_by(rows, order, start, n_rows, stride, from_double, apart, pivot, columns);
    for (j = 0; j < rows->n_features; j++)
        for (ptrdiff_t r = n_rows; r < stride; r++) columns[j * stride + r] = 0;
}

/* Pack sparse rows with their zeros: bit by bit what pack_dense makes of the same rows as a dense matrix. */
static void spread_sparse(const mixfast_rows *rows, ptrdiff_t start, ptrdiff_t n_rows, ptrdiff_t stride,
                          const double *pivot, real *MIXFAST_RESTRICT columns) {
    for (ptrdiff_t j = 0; j < rows->n_features; j++) {
        real zero = (real)(0 - pivot[j]);
        for (ptrdiff_t r = 0; r < n_rows; r++) columns[j * stride + r] = zero;
        for (ptrdiff_t r = n_rows; r < stride; r++) columns[j * stride + r] = 0;
    }
    for (ptrdiff_t r = 0; r < n_rows; r++) {
        ptrdiff_t i = rows->order ? (ptrdiff_t)rows->order[start + r] : start + r;
        for (int64_t t = rows->indptr[i]; t < rows->indptr[i + 1]; t++) {
            const char *value = rows->data + t * rows->column_stride;
            double x = rows->real_bytes == 8 ? *(const double *)value : (double)*(const float *)value;
            columns[rows->indices[t] * stride + r] = (real)(x - pivot[rows->indices[t]]);
        }
    }
}

static void point_at_sparse(const mixfast_rows *rows, ptrdiff_t start, ptrdiff_t n_rows, ptrdiff_t stride,
                            int64_t *begin, int64_t *end) {
    for (ptrdiff_t r = 0; r < n_rows; r++) {
        ptrdiff_t i = rows->order ? (ptrdiff_t)rows->order[start + r] : start + r;
        begin[r] = rows->indptr[i];
        end[r] = rows->indptr[i + 1];
    }
    for (ptrdiff_t r = n_rows; r < stride; r++) begin[r] = end[r] = 0;
}

static void pack(const mixfast_rows *rows, ptrdiff_t start, ptrdiff_t n_rows, ptrdiff_t stride, const double *pivot,
                 void *columns_out, void *weight_out) {
    real *weight = weight_out;
    if (rows->indptr && rows->spread)
        spread_sparse(rows, start, n_rows, stride, pivot, columns_out);
    else if (rows->indptr)
        point_at_sparse(rows, start, n_rows, stride, columns_out, (int64_t *)columns_out + stride);
    else
        pack_dense(rows, start, n_rows, stride, pivot, columns_out);
    for (ptrdiff_t r = 0; r < n_rows; r++)
        weight[r] = rows->weight ? (real)rows->weight[rows->order ? (ptrdiff_t)rows->order[start + r] : start + r]
                                 : (real)1;
    for (ptrdiff_t r = n_rows; r < stride; r++) weight[r] = 0;
}

static void give_to_labels(ptrdiff_t n_components, ptrdiff_t n_rows, ptrdiff_t stride, const int64_t *labels,
                           void *weight_inout, void *resp_out) {
    real *weight = weight_inout, *resp = resp_out;
    /* Labels as reals lie where the last component's responsibilities come. In a loop of their own: vectors of what was
     * just written element by element had to wait for that, which took half of the time. */
    real *name = resp + (n_components - 1) * stride;
    for (ptrdiff_t r = 0; r < n_rows; r++) name[r] = (real)labels[r];
    for (ptrdiff_t r = n_rows; r < stride; r++) name[r] = 0; /* these weigh nothing */
    for (ptrdiff_t r = 0; r < stride; r += WIDTH) {
        vec label = load(name + r), own = load(weight + r);
        own = if_smaller(label, splat(0), splat(0), own);
        store(weight + r, own);
        for (ptrdiff_t k = 0; k < n_components; k++)
            store(resp + k * stride + r, where_equal(label, splat((real)k), own));
    }
}

/* Sums over the rows of `n` components (a constant at every call), each in the order of product_tile (tiles.h): what is
 * summed there with rows that are all ones is the same number to the last bit, so that a column that never varies has a
 * share of exactly one. */
ALWAYS_INLINE void count_tile(int n, ptrdiff_t stride, const real *resp, double *counts) {
    vec total[4][SUM_VECTORS];
    for (int part = 0; part < SUM_VECTORS; part++) {
        vec own[4];
        UNROLL(4)
        for (int a = 0; a < n; a++) own[a] = splat(0);
        for (ptrdiff_t r = part * WIDTH; r < stride; r += SUM_WIDTH) {
            UNROLL(4)
            for (int a = 0; a < n; a++) own[a] += load(resp + a * stride + r);
        }
        UNROLL(4)
        for (int a = 0; a < n; a++) total[a][part] = own[a];
    }
    UNROLL(4)
    for (int a = 0; a < n; a++) counts[a] += sum_of(total[a]);
}

static void count(ptrdiff_t n_components, ptrdiff_t stride, const void *resp_in, double *counts) {
    const real *resp = resp_in;
    ptrdiff_t k = 0;
    for (; k + 4 <= n_components; k += 4) count_tile(4, stride, resp + k * stride, counts + k);
    for (; k < n_components; k++) count_tile(1, stride, resp + k * stride, counts + k);
}

ALWAYS_INLINE void largest(ptrdiff_t n_components, ptrdiff_t n, ptrdiff_t stride, const real *log_prob,
                           real *MIXFAST_RESTRICT top) {
    for (ptrdiff_t r = 0; r < n; r++) top[r] = log_prob[r];
    for (ptrdiff_t k = 1; k < n_components; k++) {
        const real *row = log_prob + k * stride;
        for (ptrdiff_t r = 0; r < n; r++) top[r] = row[r] > top[r] ? row[r] : top[r];
    }
}

/* Rows that are impossible under every component: equal responsibilities, log_norm -inf. Returns their number. */
static ptrdiff_t share_impossible(ptrdiff_t n_components, ptrdiff_t n_rows, ptrdiff_t stride, const real *weight,
                                  real *resp, real *log_norm, const real *top) {
    ptrdiff_t n_impossible = 0;
    for (ptrdiff_t r = 0; r < n_rows; r++) {
        if (top[r] != -(real)INFINITY) continue;
        for (ptrdiff_t k = 0; k < n_components; k++) resp[k * stride + r] = weight[r] / (real)n_components;
        log_norm[r] = -(real)INFINITY;
        n_impossible++;
    }
    return n_impossible;
}

/* sum of weight * value, in 16 partial sums: in one, each addition would wait for the one before. */
static double weighted_sum(ptrdiff_t n, const real *weight, const real *value) {
    double part[16] = {0};
    ptrdiff_t r = 0;
    for (; r + 16 <= n; r += 16) {
        UNROLL(16)
        for (int i = 0; i < 16; i++) part[i] += (double)weight[r + i] * (double)value[r + i];
    }
    for (; r < n; r++) part[0] += (double)weight[r] * (double)value[r];
    for (int half = 8; half > 0; half /= 2)
        for (int i = 0; i < half; i++) part[i] += part[i + half];
    return part[0];
}

/* exp(log_prob - top) in place for a vector of rows, `top` the largest of their log probabilities, and the sums over the
 * components; where `weighs`, a constant at every call, the sums of term * (log_prob - top) too, of which the entropy of
 * the responsibilities is made. A term of 0 adds 0, though its logarithm may be infinite. */
ALWAYS_INLINE void exponentiate(int weighs, ptrdiff_t n_components, ptrdiff_t stride, real *log_prob, real *top_out,
                                real *total_out, real *weighed_out) {
    const vec least = splat((real)-1000); /* exp of it is 0 in both precisions */
    vec top = load(log_prob), total = splat(0), weighed = splat(0);
    for (ptrdiff_t k = 1; k < n_components; k++) top = maximum(load(log_prob + k * stride), top);
    for (ptrdiff_t k = 0; k < n_components; k++) {
        vec below = load(log_prob + k * stride) - top, term = exp_nonpositive(below);
        store(log_prob + k * stride, term);
        total += term;
        if (weighs) weighed += term * maximum(below, least);
    }
    store(top_out, top);
    store(total_out, total);
    if (weighs) store(weighed_out, weighed);
}

/* The least of n numbers, a multiple of a vector's width; -inf is found beside a NaN as well. */
ALWAYS_INLINE real least_of_all(ptrdiff_t n, const real *values) {
    vec least = splat((real)INFINITY);
    for (ptrdiff_t r = 0; r < n; r += WIDTH) least = minimum(load(values + r), least);
    return least_element(least);
}

/* Rows 0 .. n that are impossible under every component get equal terms; returns their number. */
static ptrdiff_t mend_impossible(ptrdiff_t n_components, ptrdiff_t n, ptrdiff_t stride, real *term, const real *top,
                                 real *total) {
    ptrdiff_t n_impossible = 0;
    for (ptrdiff_t r = 0; r < n; r++) {
        if (top[r] != -(real)INFINITY) continue;
        for (ptrdiff_t k = 0; k < n_components; k++) term[k * stride + r] = 1;
        total[r] = (real)n_components;
        n_impossible++;
    }
    return n_impossible;
}

/* The padding from `first` on gets terms of 0: its densities, NaN included, must not enter sums over rows. */
static void mend_padding(ptrdiff_t n_components, ptrdiff_t first, ptrdiff_t n, ptrdiff_t stride, real *term,
                         real *total) {
    for (ptrdiff_t r = first; r < n; r++) total[r] = 1;
    for (ptrdiff_t k = 0; k < n_components; k++)
        for (ptrdiff_t r = first; r < n; r++) term[k * stride + r] = 0;
}

/* sums_entropy is a constant at every call. */
ALWAYS_INLINE ptrdiff_t soften(int sums_entropy, ptrdiff_t n_components, ptrdiff_t n_rows, ptrdiff_t stride,
                               const real *weight, real *log_prob, real *log_norm, void *scratch, double *counts,
                               double *evidence) {
    real *factor = scratch, *entropy = factor + stride;
    ptrdiff_t n_impossible = 0, used = (n_rows + WIDTH - 1) / WIDTH * WIDTH;
    if (used < stride) /* vectors of nothing but padding: a chunk of a single row is one vector of many */
        for (ptrdiff_t k = 0; k < n_components; k++)
            memset(log_prob + k * stride + used, 0, (size_t)(stride - used) * sizeof(real));
    for (ptrdiff_t start = 0; start < used; start += BLOCK) {
        ptrdiff_t n = used - start < BLOCK ? used - start : BLOCK;
        real *block = log_prob + start;
        ptrdiff_t n_own = n_rows - start < n ? n_rows - start : n; /* the rest is padding */
        vec room[3 * BLOCK / WIDTH];
        real *top = (real *)room, *total = top + BLOCK, *weighed = total + BLOCK;
        for (ptrdiff_t r = 0; r < n; r += WIDTH)
            exponentiate(sums_entropy, n_components, stride, block + r, top + r, total + r, weighed + r);
        if (least_of_all(n, top) == -(real)INFINITY) { /* -inf - -inf is not a number */
            n_impossible += mend_impossible(n_components, n_own, stride, block, top, total);
            if (sums_entropy)
                for (ptrdiff_t r = 0; r < n_own; r++) weighed[r] = top[r] == -(real)INFINITY ? 0 : weighed[r];
        }
        if (n_own < n) mend_padding(n_components, n_own > 0 ? n_own : 0, n, stride, block, total);
        for (ptrdiff_t r = 0; r < n; r++) {
            real log_total = log_above_one(total[r]), share = (real)1 / total[r];
            log_norm[start + r] = top[r] + log_total;
            factor[r] = weight[start + r] * share;
            /* -sum of r log r, r = term / total, log r = log term - log total */
            if (sums_entropy) entropy[start + r] = log_total - weighed[r] * share;
        }
        for (ptrdiff_t k = 0; k < n_components; k++) {
            real *MIXFAST_RESTRICT row = block + k * stride;
            for (ptrdiff_t r = 0; r < n; r++) row[r] *= factor[r];
        }
    }
    count(n_components, stride, log_prob, counts);
    evidence[0] += weighted_sum(n_rows, weight, log_norm);
    if (sums_entropy) evidence[1] += weighted_sum(n_rows, weight, entropy);
    return n_impossible;
}

static ptrdiff_t softmax(ptrdiff_t n_components, ptrdiff_t n_rows, ptrdiff_t stride, const void *weight,
                         void *log_prob, void *log_norm, void *scratch, double *counts, double *evidence) {
    return soften(0, n_components, n_rows, stride, weight, log_prob, log_norm, scratch, counts, evidence);
}

static ptrdiff_t softmax_with_entropy(ptrdiff_t n_components, ptrdiff_t n_rows, ptrdiff_t stride, const void *weight,
                                      void *log_prob, void *log_norm, void *scratch, double *counts,
                                      double *evidence) {
    return soften(1, n_components, n_rows, stride, weight, log_prob, log_norm, scratch, counts, evidence);
}

static ptrdiff_t hardmax(ptrdiff_t n_components, ptrdiff_t n_rows, ptrdiff_t stride, const void *weight_in,
                         void *log_prob_inout, void *log_norm_out, void *scratch, double *counts, double *evidence) {
    const real *weight = weight_in;
    real *log_prob = log_prob_inout, *top = scratch, *left = top + stride;
    largest(n_components, stride, stride, log_prob, top);
    memcpy(log_norm_out, top, (size_t)stride * sizeof(real));
    for (ptrdiff_t r = 0; r < stride; r++) left[r] = r < n_rows ? weight[r] : (real)0;
    for (ptrdiff_t k = 0; k < n_components; k++) {
        real *MIXFAST_RESTRICT row = log_prob + k * stride;
        for (ptrdiff_t r = 0; r < stride; r++) {
            real given = row[r] == top[r] ? left[r] : (real)0;
            row[r] = given;
            left[r] -= given; /* exact: given is left[r] or 0 */
        }
    }
    ptrdiff_t n_impossible = share_impossible(n_components, n_rows, stride, weight, log_prob, log_norm_out, top);
    count(n_components, stride, log_prob, counts);
    *evidence += weighted_sum(n_rows, weight, log_norm_out);
    return n_impossible;
}

static void transpose(ptrdiff_t n_components, ptrdiff_t n_rows, ptrdiff_t stride, const void *resp_in, void *out_real) {
    const real *resp = resp_in;
    real *out = out_real;
    for (ptrdiff_t r = 0; r < n_rows; r++)
        for (ptrdiff_t k = 0; k < n_components; k++) *out++ = resp[k * stride + r];
}

static void argmax(ptrdiff_t n, ptrdiff_t n_rows, ptrdiff_t stride, const void *resp_in, void *place_out,
                   void *largest_out) {
    const real *resp = resp_in;
    real *MIXFAST_RESTRICT place = place_out, *MIXFAST_RESTRICT best = largest_out;
    for (ptrdiff_t r = 0; r < n_rows; r++) {
        best[r] = resp[r];
        place[r] = 0;
    }
    for (ptrdiff_t a = 1; a < n; a++) {
        const real *row = resp + a * stride;
        for (ptrdiff_t r = 0; r < n_rows; r++) { /* numbers up to 2^24 are exact, and vectorise with the comparison */
            place[r] = row[r] > best[r] ? (real)a : place[r];
            best[r] = row[r] > best[r] ? row[r] : best[r];
        }
    }
}

static double least_best(ptrdiff_t n, ptrdiff_t n_rows, ptrdiff_t stride, const void *values, void *scratch) {
    real *best = scratch, least = (real)INFINITY;
    largest(n, stride, stride, values, best);
    for (ptrdiff_t r = 0; r < n_rows; r++) least = best[r] < least ? best[r] : least;
    return (double)least;
}

static void maxima(ptrdiff_t n, ptrdiff_t n_rows, ptrdiff_t stride, const void *values, float *out) {
    for (ptrdiff_t a = 0; a < n; a++) {
        const real *value = (const real *)values + a * stride;
        real top = -(real)INFINITY;
        int is_number = 1;
        for (ptrdiff_t r = 0; r < n_rows; r++) {
            top = value[r] > top ? value[r] : top;
            is_number &= value[r] == value[r];
        }
        float rounded = (float)top;
        out[a] = !is_number ? (float)INFINITY : (real)rounded < top ? nextafterf(rounded, (float)INFINITY) : rounded;
    }
}

ALWAYS_INLINE ptrdiff_t n_below(ptrdiff_t n_rows, const real *value, real limit) {
    int n = 0;
    for (ptrdiff_t r = 0; r < n_rows; r++) n += value[r] < limit;
    return n;
}

static ptrdiff_t count_below(ptrdiff_t n, ptrdiff_t n_rows, ptrdiff_t stride, const void *values, const double *limit) {
    ptrdiff_t total = 0;
    for (ptrdiff_t a = 0; a < n; a++) total += n_below(n_rows, (const real *)values + a * stride, (real)limit[a]);
    return total;
}

static ptrdiff_t choose_rows(ptrdiff_t n_rows, const void *resp_in, double limit, ptrdiff_t most,
                             int32_t *MIXFAST_RESTRICT index, void *chosen_out) {
    const real *resp = resp_in, least = (real)limit;
    real *MIXFAST_RESTRICT chosen_resp = chosen_out;
    ptrdiff_t n = n_rows - n_below(n_rows, resp, least), found = 0; /* a vector at a time, unlike what follows */
    if (n == 0 || n > most) return n;
    for (ptrdiff_t r = 0; r < n_rows; r++) { /* without a branch: which rows count is hard to predict */
        index[found] = (int32_t)r;
        found += !(resp[r] < least);
    }
    for (ptrdiff_t i = 0; i < n; i++) chosen_resp[i] = resp[index[i]];
    return n;
}

static void round_to_real(ptrdiff_t n, const double *in, void *out) {
    real *to = out;
    for (ptrdiff_t i = 0; i < n; i++) to[i] = (real)in[i];
}

static void exp_of(ptrdiff_t n, const void *x_in, void *y_out) {
    const real *x = x_in;
    real *MIXFAST_RESTRICT y = y_out;
    for (ptrdiff_t i = 0; i < n; i += WIDTH) {
        size_t n_bytes = (size_t)(n - i < WIDTH ? n - i : WIDTH) * sizeof(real);
        vec own = splat(0);
        memcpy(&own, x + i, n_bytes);
        own = exp_nonpositive(own);
        memcpy(y + i, &own, n_bytes);
    }
}

static void log_of(ptrdiff_t n, const void *x_in, void *y_out) {
    const real *x = x_in;
    real *MIXFAST_RESTRICT y = y_out;
    for (ptrdiff_t i = 0; i < n; i++) y[i] = log_above_one(x[i]);
}

static void log1p_of(ptrdiff_t n, const void *x_in, void *y_out) {
    const real *x = x_in;
    real *MIXFAST_RESTRICT y = y_out;
    for (ptrdiff_t i = 0; i < n; i++) y[i] = log_one_plus(x[i]);
}

const mixfast_rows_kernels MIXFAST_TABLE(rows) = {
    STRIPS,     pack,   softmax,     softmax_with_entropy, hardmax, give_to_labels, count, transpose, argmax,
    least_best, maxima, count_below, choose_rows,   round_to_real, exp_of, log_of,
    log1p_of,
};
