#include "bernoulli.h"
#include "tiles.h"

static int is_certain(const real *log_odds, ptrdiff_t n_features) {
    for (ptrdiff_t j = 0; j < n_features; j++)
        if (isinf(log_odds[j])) return 1;
    return 0;
}

/* One component with some probabilities of 0 or 1. */
static void certain_form(ptrdiff_t n_features, ptrdiff_t stride, real constant, const real *log_odds, const real *x,
                         real *MIXFAST_RESTRICT out) {
    for (ptrdiff_t r = 0; r < stride; r++) out[r] = constant;
    for (ptrdiff_t j = 0; j < n_features; j++, x += stride) {
        if (isinf(log_odds[j])) {
            real only = log_odds[j] > 0 ? (real)1 : (real)0;
            for (ptrdiff_t r = 0; r < stride; r++) out[r] = x[r] == only ? out[r] : -(real)INFINITY;
        } else {
            for (ptrdiff_t r = 0; r < stride; r++) out[r] += log_odds[j] * x[r];
        }
    }
}

static int log_density(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                       const mixfast_selection *selection, void *scratch, void *out_real) {
    (void)scratch;
    ptrdiff_t d = family->n_features, stride = chunk->stride;
    const real *constant = tables, *log_odds = constant + family->n_components;
    real *out = out_real;
    linear_forms(selection, d, stride, constant, log_odds, chunk->columns, out);
    for (ptrdiff_t a = 0; a < selection->n; a++) {
        ptrdiff_t k = selection->component[a];
        if (is_certain(log_odds + k * d, d))
            certain_form(d, stride, constant[k], log_odds + k * d, chunk->columns, out + a * stride);
    }
    return 0;
}

static int accumulate(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                      const mixfast_selection *selection, const void *resp, void *scratch, double *stats) {
    (void)tables, (void)scratch;
    weighted_sums(selection, family->n_features, chunk->stride, resp, chunk->columns, stats);
    return 0;
}

const mixfast_bernoulli_kernels MIXFAST_TABLE(bernoulli) = {log_density, accumulate};
