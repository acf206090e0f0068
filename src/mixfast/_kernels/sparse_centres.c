#include "centres.h"
#include "sparse.h"

/* Tables: half_square[slots] | centres[n_features][slots]. A distance is |x|^2 - 2 (x.c - |c|^2 / 2), whose rounding is a
 * few units of eps |x|^2 for each value; what is smaller than ROUNDING of |x|^2 counts as none, so that rows which equal
 * a centre are never drawn again. */
#define ROUNDING ((real)(64 * REAL_EPSILON))

static ptrdiff_t n_tables(ptrdiff_t n_centres, ptrdiff_t n_features) { return slots_of(n_centres) * (1 + n_features); }

static void lay_out(ptrdiff_t n_centres, ptrdiff_t n_features, const double *half_square, void *tables) {
    ptrdiff_t slots = slots_of(n_centres);
    const double *centres = half_square + n_centres;
    real *to = tables;
    for (ptrdiff_t k = 0; k < slots; k++) to[k] = k < n_centres ? (real)half_square[k] : (real)0;
    to += slots;
    for (ptrdiff_t j = 0; j < n_features; j++)
        for (ptrdiff_t k = 0; k < slots; k++)
            to[j * slots + k] = k < n_centres ? (real)centres[k * n_features + j] : (real)0;
}

static real square_of(const mixfast_chunk *chunk, ptrdiff_t r) {
    real square = 0;
    for (int64_t t = chunk->begin[r]; t < chunk->end[r]; t++) {
        real value = (real)value_at(chunk, t);
        square += value * value;
    }
    return square;
}

/* The distance of a row from its |x|^2, its form x.c and |c|^2 / 2. */
ALWAYS_INLINE real distance_of(real square, real form, real half_square) {
    real distance = square + 2 * (half_square - form);
    return distance > ROUNDING * (square + 2 * half_square) ? distance : (real)0;
}

static void take_centre(ptrdiff_t n_centres, ptrdiff_t n_features, const mixfast_chunk *chunk, const void *tables,
                        ptrdiff_t which, void *closest_inout) {
    (void)n_features;
    ptrdiff_t slots = slots_of(n_centres);
    const real *half_square = tables, *centre = half_square + slots + which;
    real *closest = closest_inout;
    for (ptrdiff_t r = 0; r < chunk->n_rows; r++) {
        real form = 0;
        for (int64_t t = chunk->begin[r]; t < chunk->end[r]; t++)
            form += (real)value_at(chunk, t) * centre[chunk->index[t] * slots];
        real distance = distance_of(square_of(chunk, r), form, half_square[which]);
        closest[r] = distance < closest[r] ? distance : closest[r];
    }
}

static void try_candidates(ptrdiff_t n_centres, ptrdiff_t n_features, const mixfast_chunk *chunk, const void *tables,
                           const void *weight_in, void *closest_inout, void *scratch, double *potentials) {
    (void)n_features;
    ptrdiff_t slots = slots_of(n_centres);
    const real *half_square = tables, *centres = half_square + slots, *weight = weight_in;
    real *closest = closest_inout, *form = scratch;
    for (ptrdiff_t c = 1; c < n_centres; c++) potentials[c - 1] = 0;
    for (ptrdiff_t r = 0; r < chunk->n_rows; r++) {
        real square = square_of(chunk, r);
        memset(form, 0, (size_t)slots * sizeof(real));
        sparse_forms(chunk, r, slots, centres, form);
        for (ptrdiff_t c = 0; c < n_centres; c++) {
            real distance = distance_of(square, form[c], half_square[c]);
            if (c == 0)
                closest[r] = distance < closest[r] ? distance : closest[r];
            else
                potentials[c - 1] += (double)weight[r] * (double)(distance < closest[r] ? distance : closest[r]);
        }
    }
}

static double nearest(ptrdiff_t n_centres, ptrdiff_t n_features, const mixfast_chunk *chunk, const void *tables,
                      const void *weight_in, int64_t *labels, void *distance_out, void *scratch) {
    (void)n_features;
    ptrdiff_t slots = slots_of(n_centres);
    const real *half_square = tables, *centres = half_square + slots, *weight = weight_in;
    real *distance = distance_out, *form = scratch;
    double total = 0;
    for (ptrdiff_t r = 0; r < chunk->n_rows; r++) {
        ptrdiff_t best = 0;
        memset(form, 0, (size_t)slots * sizeof(real));
        sparse_forms(chunk, r, slots, centres, form);
        for (ptrdiff_t k = 1; k < n_centres; k++)
            if (half_square[k] - form[k] < half_square[best] - form[best]) best = k;
        distance[r] = distance_of(square_of(chunk, r), form[best], half_square[best]);
        labels[r] = best;
        total += (double)weight[r] * (double)distance[r];
    }
    return total;
}

static void add_rows(const mixfast_rows *rows, ptrdiff_t start, ptrdiff_t n_rows, const int64_t *labels,
                     const double *centres, double *counts, double *sums) {
    (void)centres;
    for (ptrdiff_t r = 0; r < n_rows; r++) {
        double *sum = sums + labels[r] * rows->n_features;
        double weight = rows->weight ? rows->weight[start + r] : 1;
        counts[labels[r]] += weight;
        for (int64_t t = rows->indptr[start + r]; t < rows->indptr[start + r + 1]; t++) {
            const char *value = rows->data + t * rows->column_stride;
            sum[rows->indices[t]] += weight * (rows->real_bytes == 8 ? *(const double *)value
                                                                     : (double)*(const float *)value);
        }
    }
}

const mixfast_sparse_centres_kernels MIXFAST_TABLE(sparse_centres) = {
    n_tables, lay_out, take_centre, try_candidates, nearest, NULL, add_rows, NULL,
};
