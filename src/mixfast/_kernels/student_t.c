#include "student_t.h"
#include "exp_log.h"
#include "gaussian.h"
#include "tiles.h"

extern const mixfast_gaussian_kernels MIXFAST_TABLE(gaussian);

typedef struct {
    const real *constant, *exponent, *factor, *gaussian;
} student_t_tables;

ALWAYS_INLINE student_t_tables tables_of(const mixfast_family *family, const void *tables) {
    const real *constant = tables;
    ptrdiff_t K = family->n_components;
    student_t_tables own = {constant, constant + K, constant + 2 * K, constant + 3 * K};
    return own;
}

/* q = D / degrees from -D / 2, at most LARGEST_BESIDE_ONE; NaN stays NaN. */
ALWAYS_INLINE real relative_distance(real minus_half, real factor) {
    real q = minus_half * factor;
    return q > (real)LARGEST_BESIDE_ONE ? (real)LARGEST_BESIDE_ONE : q;
}

ALWAYS_INLINE int log_density(mixfast_log_density gaussian, const mixfast_family *family, const void *tables,
                              const mixfast_chunk *chunk, const mixfast_selection *selection, void *scratch,
                              void *out) {
    student_t_tables t = tables_of(family, tables);
    gaussian(family, t.gaussian, chunk, selection, scratch, out);
    for (ptrdiff_t a = 0; a < selection->n; a++) {
        ptrdiff_t k = selection->component[a];
        real constant = t.constant[k], exponent = t.exponent[k], factor = t.factor[k];
        real *row = (real *)out + a * chunk->stride;
        for (ptrdiff_t r = 0; r < chunk->stride; r++)
            row[r] = constant - exponent * log_one_plus(relative_distance(row[r], factor));
    }
    return 0;
}

/* -D / 2 in `weight` becomes resp / (1 + q). */
ALWAYS_INLINE void weigh(ptrdiff_t stride, const real *MIXFAST_RESTRICT resp, real factor, real *MIXFAST_RESTRICT weight,
                         real *MIXFAST_RESTRICT far, real *MIXFAST_RESTRICT log_far) {
    for (ptrdiff_t r = 0; r < stride; r++) {
        real q = relative_distance(weight[r], factor);
        real share = resp[r] / ((real)1 + q);
        weight[r] = share;
        far[r] = share * q;
        log_far[r] = resp[r] * log_one_plus(q);
    }
}

/* The same of rows of which some columns are observed, see student_t.h. */
ALWAYS_INLINE void weigh_observed(ptrdiff_t stride, const real *MIXFAST_RESTRICT resp, real factor,
                                  const real *MIXFAST_RESTRICT lost, const real *MIXFAST_RESTRICT log_lost,
                                  real *MIXFAST_RESTRICT weight, real *MIXFAST_RESTRICT far,
                                  real *MIXFAST_RESTRICT log_far) {
    for (ptrdiff_t r = 0; r < stride; r++) {
        real q = relative_distance(weight[r], factor);
        real share = resp[r] / ((real)1 + q);
        weight[r] = ((real)1 - lost[r]) * share;
        far[r] = (lost[r] + q) * share;
        log_far[r] = resp[r] * (log_one_plus(q) + log_lost[r]);
    }
}

/* lost and log_lost: NULL where all rows are complete. */
ALWAYS_INLINE int accumulate(mixfast_log_density gaussian, mixfast_accumulate gaussian_accumulate,
                             const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                             const mixfast_selection *selection, const void *resp, const void *lost,
                             const void *log_lost, void *scratch, double *stats) {
    ptrdiff_t K = family->n_components, stride = chunk->stride;
    student_t_tables t = tables_of(family, tables);
    real *weight = scratch, *rest = weight + stride;
    double *mass = stats + family->n_stats - 3 * K, *far = mass + K, *log_far = far + K;
    for (ptrdiff_t a = 0; a < selection->n; a++) {
        ptrdiff_t k = selection->component[a];
        mixfast_selection one = {1, selection->component + a};
        gaussian(family, t.gaussian, chunk, &one, rest, weight);
        if (lost == NULL)
            weigh(stride, (const real *)resp + a * stride, t.factor[k], weight, rest, rest + stride);
        else
            weigh_observed(stride, (const real *)resp + a * stride, t.factor[k], lost, log_lost, weight, rest,
                           rest + stride);
        mass[k] += sum_along(stride, weight);
        far[k] += sum_along(stride, rest);
        log_far[k] += sum_along(stride, rest + stride);
        gaussian_accumulate(family, t.gaussian, chunk, &one, weight, rest, stats);
    }
    return 0;
}

#define VERBS(structure)                                                                                               \
    static int structure##_log_density(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,   \
                                       const mixfast_selection *selection, void *scratch, void *out) {                 \
        return log_density(MIXFAST_TABLE(gaussian).structure##_log_density, family, tables, chunk, selection, scratch, \
                           out);                                                                                       \
    }                                                                                                                  \
    static int structure##_accumulate(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,    \
                                      const mixfast_selection *selection, const void *resp, void *scratch,             \
                                      double *stats) {                                                                 \
        return accumulate(MIXFAST_TABLE(gaussian).structure##_log_density,                                             \
                          MIXFAST_TABLE(gaussian).structure##_accumulate, family, tables, chunk, selection, resp,      \
                          NULL, NULL, scratch, stats);                                                                 \
    }                                                                                                                  \
    static int structure##_accumulate_observed(const mixfast_family *family, const void *tables,                       \
                                               const mixfast_chunk *chunk, const mixfast_selection *selection,         \
                                               const void *resp, const void *lost, const void *log_lost,               \
                                               void *scratch, double *stats) {                                         \
        return accumulate(MIXFAST_TABLE(gaussian).structure##_log_density,                                             \
                          MIXFAST_TABLE(gaussian).structure##_accumulate, family, tables, chunk, selection, resp,      \
                          lost, log_lost, scratch, stats);                                                             \
    }

VERBS(full)
VERBS(diagonal)

const mixfast_student_t_kernels MIXFAST_TABLE(student_t) = {
    full_log_density,
    full_accumulate,
    diagonal_log_density,
    diagonal_accumulate,
    full_accumulate_observed,
    diagonal_accumulate_observed,
};
