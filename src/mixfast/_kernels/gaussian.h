/* Inner loops of the Gaussian families. What a table holds is written beside each kernel; all means are measured from
 * the pass's pivot. */
#ifndef MIXFAST_GAUSSIAN_H
#define MIXFAST_GAUSSIAN_H

#include "family.h"

typedef struct {
    /* Upper triangular [n][n] to the panels that the kernels read, and how many reals that takes. */
    ptrdiff_t (*packed_triangle_size)(ptrdiff_t n);
    void (*pack_triangle)(ptrdiff_t n, const double *upper, void *packed);

    /* Full. tables: constant[K] | mean[K][d] | shift[K][d] | packed U_k [K][..], where U_k U_k' is the precision,
     * shift_k = U_k' mean_k and constant_k the log weight and log normaliser.
     * stats: first[K][d] | second[K][d (d + 1) / 2], sums of resp (x - mean_k) and of resp (x - mean_k)(x - mean_k)',
     * lower triangle by rows. scratch: d + 1 columns. */
    mixfast_log_density full_log_density;
    mixfast_bounded_log_density full_bounded_log_density;
    mixfast_accumulate full_accumulate;

    /* Diagonal and spherical. tables: constant[K] | mean[K][d] | scale[K][d] | shift[K][d], where scale^2 is the
     * precision and shift = scale * mean. stats: first[K][d] | second[K][d], about mean_k. scratch: d + 1 columns. */
    mixfast_log_density diagonal_log_density;
    mixfast_bounded_log_density diagonal_bounded_log_density;
    mixfast_accumulate diagonal_accumulate;

    /* common: first[d] | second[d] | total, sums of w x and of w x^2 of each column, and of w. scratch: two columns. */
    mixfast_accumulate_common diagonal_accumulate_common;

    /* Spherical. tables: those of diagonal ones | linear[K] | coef[K][d], where coef_k = precision_k mean_k and linear_k =
     * constant_k - |shift_k|^2 / 2, NaN for components whose distances are computed as diagonal ones: log densities of
     * all others are linear forms of x and |x|^2. Bounds and statistics are those of diagonal ones. scratch: a column. */
    mixfast_log_density spherical_log_density;

    /* Tied. tables: constant[K] | mean[K][d] | shift[K][d] | packed U, the factor of the common precision; shift_k =
     * U' mean_k. stats: first[K][d] as full ones | second[d (d + 1) / 2], theirs of all components together. scratch:
     * d + 1 columns. */
    mixfast_log_density tied_log_density;
    mixfast_bounded_log_density tied_bounded_log_density;
    mixfast_accumulate tied_accumulate;

    /* Tied, where means are so near each other that products of coordinates keep their digits. tables: constant[K] |
     * coef[K][d] | whole[K] | shift[K][d] | packed U, where P = U U' is the common precision, coef_k = P mean_k, whole and
     * shift are the constant and the shift of tied ones, and constant_k = whole_k - |shift_k|^2 / 2: log densities are
     * linear forms, up to the common term -x' P x / 2. stats: first[K][d], sums of resp x about the pivot.
     * common: first[d] | second[d (d + 1) / 2] | total, sums of w x and of w x x' about the origin, lower triangle by
     * rows, and of w. scratch: d + 1 columns. */
    mixfast_log_density linear_log_density;
    mixfast_bounded_log_density linear_bounded_log_density;
    mixfast_row_term linear_row_term;
    mixfast_accumulate linear_accumulate;
    mixfast_accumulate_common linear_accumulate_common;
} mixfast_gaussian_kernels;

#endif
