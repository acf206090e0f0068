/* Inner loops of rows with missing entries. Double precision only: such rows are encoded, and have a column of pattern
 * numbers that a float could not hold. */
#ifndef MIXFAST_MISSING_H
#define MIXFAST_MISSING_H

#include <stddef.h>

enum {
    /* A cache line of doubles: the largest vector of all instruction sets. */
    MIXFAST_LANES = 8
};

/* A pattern: the numbers of its observed columns, n_there of them, then of its missing ones, both ascending; and where its
 * tables begin, `size` numbers for each component, one component after the other. */
typedef struct {
    ptrdiff_t n_there, size, tables;
    const ptrdiff_t *columns;
} mixfast_pattern;

typedef struct {
    /* For n patterns with missing entries, those of the same number of observed columns one after the other: what they make of
     * the covariance S[d][d] of component k, whose inverse is P, NULL where it has none. OUT the tables of each:
     * -log det S_oo / 2 | -log det C / 2, and from place `head` on S_mo S_oo^-1 [n_missing][n_there] | the lower triangle of
     * C = S_mm - S_mo S_oo^-1 S_om, packed by rows. log_root is -log det S / 2. room: MIXFAST_LANES d (d + 3) / 2 + 2 d numbers,
     * aligned to cache lines. The bits of a pattern do not depend on the others. */
    void (*condition)(ptrdiff_t n, const mixfast_pattern *const *patterns, ptrdiff_t d, const double *S, const double *P,
                      double log_root, ptrdiff_t k, ptrdiff_t head, double *room,
                      double *tables);

    /* Rows of one pattern, from `first` to `last` - 1 of a chunk: entry c of `missing[n_missing]` becomes
     * mean[c] + sum_i slopes[a][i] (x_j - mean[j]), j = there[i], where c = missing[a].
     * IN x[..][stride], slopes[n_missing][n_there] (n_there = 0: none), mean[..]; INOUT out[..][stride]: no other row and
     * no other column of it changes. Columns are aligned to cache lines, and stride is a multiple of them. */
    void (*impute)(ptrdiff_t n_there, const ptrdiff_t *there, ptrdiff_t n_missing, const ptrdiff_t *missing,
                   const double *slopes, const double *mean, ptrdiff_t stride, ptrdiff_t first, ptrdiff_t last,
                   const double *x, double *out);

    /* For components that share a covariance, whose imputed rows differ by a constant of the pattern: what is missing of a row
     * of component k is what it is at the pivot plus apart[a][k], a = 0 .. n_missing - 1. Rows of one pattern, as above. INOUT
     * first[n_components][n_features] += resp apart, second[d (d + 1) / 2], lower triangle by rows, += resp (apart apart' +
     * left), left being the lower triangle of C, packed by rows. IN resp[n_components][stride]; mass[2][n_components] is room. */
    void (*add_apart)(ptrdiff_t n_components, ptrdiff_t n_features, ptrdiff_t n_missing, const ptrdiff_t *missing,
                      const double *apart, const double *left, ptrdiff_t stride, ptrdiff_t first_row, ptrdiff_t last_row,
                      const double *resp, double *mass, double *first, double *second);

    /* second[d (d + 1) / 2] += sum_r x (weight x)' + x apart' + apart x', lower triangle by rows; weight is the sum of resp.
     * IN x[d][stride], resp[n][stride]; INOUT apart[d][stride], room afterwards; weight[stride] is room. */
    void (*add_pooled)(ptrdiff_t n_features, ptrdiff_t stride, const double *x, ptrdiff_t n, const double *resp,
                       double *weight, double *apart, double *second);
} mixfast_missing_kernels;

#endif
