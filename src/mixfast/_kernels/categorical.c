#include "categorical.h"
#include "sparse.h"

/* Tables: constants[slots], then [n_rows][slots]. Sums have slots of their own, whatever the instruction set. */

#define GROUP 4

/* A vector of partial sums in double precision, written out: GCC does not vectorise the same loop over doubles. */
#if VECTOR_BYTES_ARE_A_VECTOR
typedef double group __attribute__((vector_size(GROUP * sizeof(double)), aligned(8), may_alias));
ALWAYS_INLINE void add_group(double *to, const double *from) { *(group *)to += *(const group *)from; }
#else
ALWAYS_INLINE void add_group(double *to, const double *from) {
    for (int i = 0; i < GROUP; i++) to[i] += from[i];
}
#endif

static ptrdiff_t n_tables(ptrdiff_t n_components, ptrdiff_t n_rows) { return slots_of(n_components) * (1 + n_rows); }

static ptrdiff_t n_sums(ptrdiff_t n_components) {
    return (n_components + GROUP - 1) / GROUP * GROUP;
}

/* Scratch: responsibilities of all components for a strip of rows, in doubles, and the table rows of its answers. */
static ptrdiff_t n_doubles(ptrdiff_t n_components) {
    ptrdiff_t slots = room_for_slots(n_components), sums = n_sums(n_components);
    return STRIP * (slots > sums ? slots : sums);
}

static ptrdiff_t n_scratch_columns(ptrdiff_t n_components, ptrdiff_t n_features) {
    size_t n_bytes = (size_t)n_doubles(n_components) * sizeof(double) + (size_t)(STRIP * n_features) * sizeof(int32_t);
    size_t column = STRIP * sizeof(real);
    return (ptrdiff_t)((n_bytes + column - 1) / column);
}

/* OUT at[r * n_features + j]: the row of the table for the answer of row r in column j, for a strip of rows. */
static void find_places(ptrdiff_t n_features, ptrdiff_t stride, const real *codes, const ptrdiff_t *first,
                        int32_t *at) {
    for (ptrdiff_t j = 0; j < n_features; j++)
        for (int r = 0; r < STRIP; r++) at[r * n_features + j] = (int32_t)first[j] + (int32_t)codes[j * stride + r];
}

ALWAYS_INLINE const mixfast_categorical *context_of(const mixfast_family *family) { return family->context; }

static void lay_out(const mixfast_family *family, const double *log_weights, const double *log_probabilities,
                    void *tables) {
    const ptrdiff_t *first = context_of(family)->first;
    ptrdiff_t n_components = family->n_components, d = family->n_features, slots = slots_of(n_components);
    ptrdiff_t n_rows = first[d], n_own = n_rows - d;
    real *constants = tables, *row = constants + slots;
    memset(tables, 0, (size_t)((1 + n_rows) * slots) * sizeof(real));
    for (ptrdiff_t k = 0; k < n_components; k++) constants[k] = (real)log_weights[k];
    for (ptrdiff_t j = 0, i = 0; j < d; j++, row += slots)
        for (ptrdiff_t c = first[j]; c < first[j + 1] - 1; c++, i++, row += slots)
            for (ptrdiff_t k = 0; k < n_components; k++) row[k] = (real)log_probabilities[k * n_own + i];
}

/* out[i] += sum over the columns of table[answer][i], for n vectors. */
ALWAYS_INLINE void add_answers(int n, ptrdiff_t n_features, const int32_t *at, ptrdiff_t slots, const real *table,
                               real *out) {
    vec sum[VALUE_VECTORS];
    UNROLL(8)
    for (int i = 0; i < n; i++) sum[i] = load(out + i * WIDTH);
    for (ptrdiff_t j = 0; j < n_features; j++) {
        const real *row = table + at[j] * slots;
        UNROLL(8)
        for (int i = 0; i < n; i++) sum[i] += load(row + i * WIDTH);
    }
    UNROLL(8)
    for (int i = 0; i < n; i++) store(out + i * WIDTH, sum[i]);
}

static int log_density(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                       const mixfast_selection *selection, void *scratch, void *out) {
    const ptrdiff_t *first = context_of(family)->first;
    ptrdiff_t d = family->n_features, slots = slots_of(family->n_components), stride = chunk->stride;
    const real *constants = tables, *table = constants + slots, *codes = chunk->columns;
    real *sums = scratch;
    int32_t *at = (int32_t *)((double *)scratch + n_doubles(family->n_components));
    for (ptrdiff_t start = 0; start < stride; start += STRIP) {
        find_places(d, stride, codes + start, first, at);
        for (int r = 0; r < STRIP; r++) {
            real *own = sums + r * slots;
            memcpy(own, constants, (size_t)slots * sizeof(real));
#define ADD(n, i) add_answers(n, d, at + r * d, slots, table + (i), own + (i))
            FOR_ALL_SLOTS(slots, ADD)
#undef ADD
        }
        turn_strip(selection, slots, stride, sums, (real *)out + start);
    }
    return 0;
}

/* sums[answer][k] += resp[k] over the columns, for n groups of components. */
ALWAYS_INLINE void add_groups(int n, ptrdiff_t n_features, const int32_t *at, ptrdiff_t width,
                              const double *MIXFAST_RESTRICT resp, double *MIXFAST_RESTRICT sums) {
    for (ptrdiff_t j = 0; j < n_features; j++) {
        UNROLL(4)
        for (int i = 0; i < n; i++) add_group(sums + at[j] * width + i * GROUP, resp + i * GROUP);
    }
}

static void add_row(ptrdiff_t n_features, const int32_t *at, ptrdiff_t width, const double *resp, double *sums) {
    ptrdiff_t k = 0;
    for (; k + 4 * GROUP <= width; k += 4 * GROUP)
        add_groups(4, n_features, at, width, resp + k, sums + k);
    if (k + 2 * GROUP <= width) {
        add_groups(2, n_features, at, width, resp + k, sums + k);
        k += 2 * GROUP;
    }
    if (k < width) add_groups(1, n_features, at, width, resp + k, sums + k);
}

/* As add_groups for a single component k: sums[answer][k] += resp. */
static void add_row_to(ptrdiff_t n_features, const int32_t *at, ptrdiff_t width, double resp, double *sums) {
    for (ptrdiff_t j = 0; j < n_features; j++) sums[at[j] * width] += resp;
}

static int accumulate(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                      const mixfast_selection *selection, const void *resp, void *scratch, double *stats) {
    (void)tables;
    const ptrdiff_t *first = context_of(family)->first;
    ptrdiff_t d = family->n_features, width = n_sums(family->n_components), stride = chunk->stride;
    const real *codes = chunk->columns;
    double *of_row = scratch;
    int32_t *at = (int32_t *)(of_row + n_doubles(family->n_components));
    for (ptrdiff_t start = 0; start < chunk->n_rows; start += STRIP) {
        ptrdiff_t n_own = chunk->n_rows - start < STRIP ? chunk->n_rows - start : STRIP;
        ptrdiff_t last[STRIP], n_sharing[STRIP];
        find_places(d, stride, codes + start, first, at);
        turn_resp(selection, width, stride, (const real *)resp + start, n_own, of_row, last, n_sharing);
        for (ptrdiff_t r = 0; r < n_own; r++) {
            const double *own = of_row + r * width;
            if (n_sharing[r] == 1)
                add_row_to(d, at + r * d, width, own[last[r]], stats + last[r]);
            else if (n_sharing[r] > 1)
                add_row(d, at + r * d, width, own, stats);
        }
    }
    return 0;
}

const mixfast_categorical_kernels MIXFAST_TABLE(categorical) = {
    n_tables, n_sums, n_scratch_columns, lay_out, log_density, accumulate,
};
