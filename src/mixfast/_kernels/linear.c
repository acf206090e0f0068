#include "linear.h"
#include "tiles.h"

static int is_certain(const real *coefficients, ptrdiff_t n_features) {
    for (ptrdiff_t j = 0; j < n_features; j++)
        if (isinf(coefficients[j])) return 1;
    return 0;
}

/* The log densities of a component with infinite coefficients, which make some rows impossible. */
static void certain_form(ptrdiff_t n_features, ptrdiff_t stride, real constant, const real *coefficients, const real *x,
                         real *MIXFAST_RESTRICT out) {
    for (ptrdiff_t r = 0; r < stride; r++) out[r] = constant;
    for (ptrdiff_t j = 0; j < n_features; j++, x += stride) {
        if (isinf(coefficients[j])) {
            real only = coefficients[j] > 0 ? (real)1 : (real)0;
            for (ptrdiff_t r = 0; r < stride; r++) out[r] = x[r] == only ? out[r] : -(real)INFINITY;
        } else {
            for (ptrdiff_t r = 0; r < stride; r++) out[r] += coefficients[j] * x[r];
        }
    }
}

static int log_density(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                       const mixfast_selection *selection, void *scratch, void *out_real) {
    (void)scratch;
    ptrdiff_t d = family->n_features, stride = chunk->stride;
    const real *constant = tables, *coefficients = constant + family->n_components;
    real *out = out_real;
    linear_forms(selection, d, stride, constant, coefficients, chunk->columns, out);
    for (ptrdiff_t a = 0; a < selection->n; a++) {
        ptrdiff_t k = selection->component[a];
        if (is_certain(coefficients + k * d, d))
            certain_form(d, stride, constant[k], coefficients + k * d, chunk->columns, out + a * stride);
    }
    return 0;
}

static int accumulate(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                      const mixfast_selection *selection, const void *resp, void *scratch, double *stats) {
    (void)tables, (void)scratch;
    weighted_sums(selection, family->n_features, chunk->stride, resp, chunk->columns, stats);
    return 0;
}

static ptrdiff_t n_tables(ptrdiff_t n_components, ptrdiff_t n_features) { return n_components * (1 + n_features); }

static ptrdiff_t n_stats(ptrdiff_t n_components, ptrdiff_t n_features) { return n_components * n_features; }

static ptrdiff_t n_scratch_columns(ptrdiff_t n_components) {
    (void)n_components;
    return 0;
}

static void lay_out(ptrdiff_t n_components, ptrdiff_t n_features, const double *forms, void *tables) {
    real *to = tables;
    for (ptrdiff_t i = 0; i < n_tables(n_components, n_features); i++) to[i] = (real)forms[i];
}

static const double *collect(ptrdiff_t n_components, ptrdiff_t n_features, const double *stats, double *room) {
    (void)n_components, (void)n_features, (void)room;
    return stats;
}

static void restore(ptrdiff_t n_components, ptrdiff_t n_features, const double *sums, double *stats) {
    memcpy(stats, sums, (size_t)n_stats(n_components, n_features) * sizeof(double));
}

const mixfast_linear_kernels MIXFAST_TABLE(linear) = {
    n_tables, n_stats, n_scratch_columns, lay_out, log_density, accumulate, collect, restore,
};
