/* Kernels of categorical columns. Category c of column j, 0 <= c < n_categories[j], is row first[j] + c of the table,
 * which has a number for each component. Code n_categories[j] is a missing answer: its row of the table is zeros, and
 * its sums are ignored. */
#ifndef MIXFAST_CATEGORICAL_H
#define MIXFAST_CATEGORICAL_H

#include "family.h"

typedef struct {
    /* Reals of tables, doubles of a row of the statistics, and scratch in columns. */
    ptrdiff_t (*n_tables)(ptrdiff_t n_components, ptrdiff_t n_rows);
    ptrdiff_t (*n_sums)(ptrdiff_t n_components);
    ptrdiff_t (*n_scratch_columns)(ptrdiff_t n_components, ptrdiff_t n_features);
    /* Tables from the components' logarithms of weights[K] and of probabilities[K][n_rows - n_features]. */
    void (*lay_out)(const mixfast_family *, const double *log_weights, const double *log_probabilities, void *tables);
    mixfast_log_density log_density;
    mixfast_accumulate accumulate; /* statistics: sums[n_rows][n_sums] */
} mixfast_categorical_kernels;

/* The context of such a family begins with it. */
typedef struct {
    const mixfast_categorical_kernels *kernels;
    const ptrdiff_t *first; /* [n_features + 1], the last is the number of rows */
} mixfast_categorical;

#endif
