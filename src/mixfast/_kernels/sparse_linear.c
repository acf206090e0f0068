#include "linear.h"
#include "sparse.h"

/* Tables: constants[slots], how many columns must be 1 [slots], coefficients[d][slots]. Statistics: sums[d][slots]. */

static ptrdiff_t n_tables(ptrdiff_t n_components, ptrdiff_t n_features) {
    return slots_of(n_components) * (2 + n_features);
}

static ptrdiff_t n_stats(ptrdiff_t n_components, ptrdiff_t n_features) {
    return room_for_slots(n_components) * n_features;
}

/* A strip of rows with all components, in doubles. */
static ptrdiff_t n_scratch_columns(ptrdiff_t n_components) {
    return room_for_slots(n_components) * (ptrdiff_t)(sizeof(double) / sizeof(real));
}

/* Columns that are turned round at a time: a cache line of each component's. */
#define TURN 8

static void lay_out(ptrdiff_t n_components, ptrdiff_t n_features, const double *forms, void *tables) {
    ptrdiff_t slots = slots_of(n_components);
    const double *coefficients = forms + n_components;
    real *constants = tables, *n_required = constants + slots, *table = n_required + slots;
    for (ptrdiff_t k = 0; k < slots; k++) {
        constants[k] = k < n_components ? (real)forms[k] : (real)0;
        n_required[k] = 0;
    }
    for (ptrdiff_t first = 0; first < n_features; first += TURN) {
        ptrdiff_t last = first + TURN < n_features ? first + TURN : n_features;
        for (ptrdiff_t k = 0; k < slots; k++)
            for (ptrdiff_t j = first; j < last; j++) {
                double coefficient = k < n_components ? coefficients[k * n_features + j] : 0;
                table[j * slots + k] = (real)coefficient;
                n_required[k] += coefficient == INFINITY;
            }
    }
}

/* One component with columns that must be 1. */
static void certain_form(const mixfast_chunk *chunk, ptrdiff_t slots, real constant, real n_required, const real *table,
                         real *out) {
    for (ptrdiff_t r = 0; r < chunk->stride; r++) {
        real n_found = 0, sum = constant;
        for (int64_t t = chunk->begin[r]; t < chunk->end[r]; t++) {
            real value = (real)value_at(chunk, t), coefficient = table[chunk->index[t] * slots];
            if (coefficient == (real)INFINITY)
                n_found += value == 1;
            else
                sum += coefficient * value;
        }
        out[r] = n_found == n_required ? sum : -(real)INFINITY;
    }
}

static int log_density(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                       const mixfast_selection *selection, void *scratch, void *out_real) {
    ptrdiff_t slots = slots_of(family->n_components), stride = chunk->stride;
    const real *constants = tables, *n_required = constants + slots, *table = n_required + slots;
    real *sums = scratch, *out = out_real;
    for (ptrdiff_t start = 0; start < stride; start += STRIP) {
        for (int i = 0; i < STRIP; i++) {
            memcpy(sums + i * slots, constants, (size_t)slots * sizeof(real));
            sparse_forms(chunk, start + i, slots, table, sums + i * slots);
        }
        turn_strip(selection, slots, stride, sums, out + start);
    }
    for (ptrdiff_t a = 0; a < selection->n; a++) {
        ptrdiff_t k = selection->component[a];
        if (n_required[k] > 0) certain_form(chunk, slots, constants[k], n_required[k], table + k, out + a * stride);
    }
    return 0;
}

/* sums[feature][k] += value * resp[k] over the values of row r. */
static void add_row(const mixfast_chunk *chunk, ptrdiff_t r, ptrdiff_t slots, const double *MIXFAST_RESTRICT resp,
                    double *MIXFAST_RESTRICT sums) {
    for (int64_t t = chunk->begin[r]; t < chunk->end[r]; t++) {
        if (t + VALUES_AHEAD < chunk->end[r]) {
            const double *next = sums + chunk->index[t + VALUES_AHEAD] * slots;
            for (ptrdiff_t k = 0; k < slots; k += 8) PREFETCH(next + k);
        }
        double value = value_at(chunk, t), *MIXFAST_RESTRICT sum = sums + chunk->index[t] * slots;
        for (ptrdiff_t k = 0; k < slots; k++) sum[k] += value * resp[k];
    }
}

/* The same for one component alone: starts from labels, and rows of which nobody doubts whose they are. */
static void add_row_to(const mixfast_chunk *chunk, ptrdiff_t r, ptrdiff_t slots, double resp, double *sums) {
    for (int64_t t = chunk->begin[r]; t < chunk->end[r]; t++)
        sums[chunk->index[t] * slots] += value_at(chunk, t) * resp;
}

static int accumulate(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                      const mixfast_selection *selection, const void *resp_real, void *scratch, double *stats) {
    (void)tables;
    ptrdiff_t slots = slots_of(family->n_components), stride = chunk->stride;
    const real *resp = resp_real;
    double *of_row = scratch;
    for (ptrdiff_t start = 0; start < chunk->n_rows; start += STRIP) {
        ptrdiff_t n_own = chunk->n_rows - start < STRIP ? chunk->n_rows - start : STRIP;
        ptrdiff_t last[STRIP], n_sharing[STRIP];
        turn_resp(selection, slots, stride, resp + start, n_own, of_row, last, n_sharing);
        for (ptrdiff_t i = 0; i < n_own; i++) {
            if (n_sharing[i] == 1)
                add_row_to(chunk, start + i, slots, of_row[i * slots + last[i]], stats + last[i]);
            else if (n_sharing[i] > 1)
                add_row(chunk, start + i, slots, of_row + i * slots, stats);
        }
    }
    return 0;
}

static const double *collect(ptrdiff_t n_components, ptrdiff_t n_features, const double *stats, double *room) {
    ptrdiff_t slots = slots_of(n_components);
    for (ptrdiff_t first = 0; first < n_features; first += TURN) {
        ptrdiff_t last = first + TURN < n_features ? first + TURN : n_features;
        for (ptrdiff_t k = 0; k < n_components; k++)
            for (ptrdiff_t j = first; j < last; j++) room[k * n_features + j] = stats[j * slots + k];
    }
    return room;
}

static void restore(ptrdiff_t n_components, ptrdiff_t n_features, const double *sums, double *stats) {
    ptrdiff_t slots = slots_of(n_components);
    for (ptrdiff_t k = 0; k < n_components; k++)
        for (ptrdiff_t j = 0; j < n_features; j++) stats[j * slots + k] = sums[k * n_features + j];
}

const mixfast_sparse_linear_kernels MIXFAST_TABLE(sparse_linear) = {
    n_tables, n_stats, n_scratch_columns, lay_out, log_density, accumulate, collect, restore,
};
