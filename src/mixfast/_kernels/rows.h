/* Kernels of the pass itself, for every family: packing rows into chunks, responsibilities from log densities. */
#ifndef MIXFAST_ROWS_H
#define MIXFAST_ROWS_H

#include <stddef.h>
#include <stdint.h>

/* Groups of rows that share a component: number[n_rows] of each row's, in the order of their first rows; group g has the
 * rows[begin[g]] to rows[begin[g + 1] - 1], which rise. */
typedef struct {
    ptrdiff_t n_groups;
    const int64_t *number, *begin, *rows;
} mixfast_groups;

/* A view of the user's X: any strides (in bytes), float or double. Sparse where `indptr` is not NULL: row i has the
 * values t from indptr[i] to indptr[i + 1], value t is of feature indices[t] and lies at data + t * column_stride; rows
 * have no zeros, and their features rise. `weight` may be NULL, which means all ones, and so may `base`, zeros: a term of
 * each row's log density that no parameter enters. */
typedef struct {
    const char *data;
    ptrdiff_t n_rows, n_features;
    ptrdiff_t row_stride, column_stride;
    int real_bytes;
    const int64_t *indptr;
    const int32_t *indices;
    const double *weight;
    const double *base;
    const uint32_t *order; /* the row that is visited at each place; NULL: as they lie in memory */
    int spread; /* chunks of sparse rows are packed with their zeros, for a family that takes dense ones */
    const mixfast_groups *groups; /* NULL: each row by itself */
    /* What is known of components: row i is of one of those of set known[i], of any where that is negative. Set s has
     * component k where members[s * n_members + k] is not 0, and none from n_members on. NULL: nothing is known. */
    const int64_t *known;
    const uint8_t *members;
    ptrdiff_t n_members;
    double trim; /* the share of the weight that E-steps leave out, of the rows of the lowest density */
    /* [n_rows]: the order that E-steps of a fit visit rows in, which brings those together that a family computes together;
     * NULL: as they lie in memory. */
    const uint32_t *runs;
} mixfast_rows;

typedef struct {
    int strip; /* a chunk's stride must be a multiple of this */

    /* columns[j * stride + r] = X[i, j] - pivot[j] for r < n_rows, i the row at place start + r; 0 up to stride; weight[r]
     * likewise. Of sparse rows that are not `spread` `columns` gets begin[stride] and end[stride] instead, of int64. */
    void (*pack)(const mixfast_rows *, ptrdiff_t start, ptrdiff_t n_rows, ptrdiff_t stride, const double *pivot,
                 void *columns, void *weight);

    /* In place, log_prob[k * stride + r] becomes weight[r] * exp(log_prob - log_norm[r]), where log_norm is the
     * logarithm of the sum of exp(log_prob) over k. Adds to counts[k] the sum over r and to *evidence the sum of
     * weight[r] * log_norm[r]. A row that is impossible under every component (all -inf) is shared equally among them
     * and has log_norm -inf. Returns the number of such rows among the first n_rows. `scratch`: 2 * stride reals. */
    ptrdiff_t (*softmax)(ptrdiff_t n_components, ptrdiff_t n_rows, ptrdiff_t stride, const void *weight, void *log_prob,
                         void *log_norm, void *scratch, double *counts, double *evidence);

    /* As softmax, and adds the entropy of the responsibilities, -sum of weight[r] r log r, to evidence[1]. */
    ptrdiff_t (*softmax_with_entropy)(ptrdiff_t n_components, ptrdiff_t n_rows, ptrdiff_t stride, const void *weight,
                                      void *log_prob, void *log_norm, void *scratch, double *counts, double *evidence);

    /* As softmax with all of a row's weight on its most likely component (the first of equals), and log_norm the largest
     * log_prob: k-means and classification. */
    ptrdiff_t (*hardmax)(ptrdiff_t n_components, ptrdiff_t n_rows, ptrdiff_t stride, const void *weight, void *log_prob,
                         void *log_norm, void *scratch, double *counts, double *evidence);

    /* resp[k * stride + r] = weight[r] where labels[r] is k, else 0; weight[r] becomes 0 where the label is negative. */
    void (*give_to_labels)(ptrdiff_t n_components, ptrdiff_t n_rows, ptrdiff_t stride, const int64_t *labels,
                           void *weight, void *resp);

    /* counts[k] += sum over r of resp[k * stride + r] */
    void (*count)(ptrdiff_t n_components, ptrdiff_t stride, const void *resp, double *counts);

    /* out[r * n_components + k] = resp[k * stride + r] for r < n_rows: the rows of the user's array. */
    void (*transpose)(ptrdiff_t n_components, ptrdiff_t n_rows, ptrdiff_t stride, const void *resp, void *out);

    /* place[r] = the a with the largest resp[a * stride + r], the first of equals, as a real; largest[r] that value.
     * Both have room for stride reals. */
    void (*argmax)(ptrdiff_t n, ptrdiff_t n_rows, ptrdiff_t stride, const void *resp, void *place, void *largest);

    /* The least, over the rows, of the largest of n values: values[a * stride + r]. `scratch`: stride reals, which become
     * the largest of each row. */
    double (*least_best)(ptrdiff_t n, ptrdiff_t n_rows, ptrdiff_t stride, const void *values, void *scratch);

    /* largest[a] = the largest of values[a * stride + r] over the rows, not rounded down; NaN counts as +inf. */
    void (*maxima)(ptrdiff_t n, ptrdiff_t n_rows, ptrdiff_t stride, const void *values, float *largest);

    /* The number of values[a * stride + r] below limit[a]. */
    ptrdiff_t (*count_below)(ptrdiff_t n, ptrdiff_t n_rows, ptrdiff_t stride, const void *values, const double *limit);

    /* The rows of one component whose resp[r] is at least `limit`, in order: r into index, resp into chosen_resp, both
     * with room for n_rows; returns how many they are. Nothing is written where they are more than `most`. */
    ptrdiff_t (*choose_rows)(ptrdiff_t n_rows, const void *resp, double limit, ptrdiff_t most, int32_t *index,
                             void *chosen_resp);

    /* out = (real) in */
    void (*round_to_real)(ptrdiff_t n, const double *in, void *out);

    /* Doors for tests: y = exp(x) for x <= 0, y = log(x) for x >= 1, y = log(1 + x) for x >= 0. */
    void (*exp_nonpositive)(ptrdiff_t n, const void *x, void *y);
    void (*log_above_one)(ptrdiff_t n, const void *x, void *y);
    void (*log_one_plus)(ptrdiff_t n, const void *x, void *y);
} mixfast_rows_kernels;

#endif
