/* Loops over the values of sparse rows, with one number for each component side by side: tables are [feature][slots],
 * where slots is the number of components, padded to vectors. */
#ifndef MIXFAST_SPARSE_H
#define MIXFAST_SPARSE_H

#include "family.h"
#include "real.h"

/* Vectors of components that are summed at a time: as many chains of additions hide their latency. */
#define VALUE_VECTORS 8
/* Values ahead of the one that is added, whose row of the table is asked for: rows of different features lie anywhere. */
#define VALUES_AHEAD 6

ALWAYS_INLINE ptrdiff_t slots_of(ptrdiff_t n_components) { return (n_components + WIDTH - 1) / WIDTH * WIDTH; }

ALWAYS_INLINE double value_at(const mixfast_chunk *chunk, int64_t t) {
    const char *value = chunk->values + t * chunk->value_stride;
    return chunk->value_bytes == 8 ? *(const double *)value : (double)*(const float *)value;
}

/* sum[i] += sum over the row's values of value * table[feature][i], for n vectors. */
ALWAYS_INLINE void add_forms(int n, const mixfast_chunk *chunk, ptrdiff_t r, ptrdiff_t slots, const real *table,
                             real *out) {
    vec sum[VALUE_VECTORS];
    UNROLL(8)
    for (int i = 0; i < n; i++) sum[i] = load(out + i * WIDTH);
    for (int64_t t = chunk->begin[r]; t < chunk->end[r]; t++) {
        if (t + VALUES_AHEAD < chunk->end[r]) {
            const char *next = (const char *)(table + chunk->index[t + VALUES_AHEAD] * slots);
            UNROLL(8)
            for (int i = 0; i < n * VECTOR_BYTES; i += 64) PREFETCH(next + i);
        }
        real value = (real)value_at(chunk, t);
        const real *row = table + chunk->index[t] * slots;
        UNROLL(8)
        for (int i = 0; i < n; i++) sum[i] += value * load(row + i * WIDTH);
    }
    UNROLL(8)
    for (int i = 0; i < n; i++) store(out + i * WIDTH, sum[i]);
}

/* out[slots] += the linear forms of row r */
static void sparse_forms(const mixfast_chunk *chunk, ptrdiff_t r, ptrdiff_t slots, const real *table, real *out) {
    ptrdiff_t i = 0;
    for (; i + VALUE_VECTORS * WIDTH <= slots; i += VALUE_VECTORS * WIDTH)
        add_forms(VALUE_VECTORS, chunk, r, slots, table + i, out + i);
    if (i + 4 * WIDTH <= slots) {
        add_forms(4, chunk, r, slots, table + i, out + i);
        i += 4 * WIDTH;
    }
    if (i + 2 * WIDTH <= slots) {
        add_forms(2, chunk, r, slots, table + i, out + i);
        i += 2 * WIDTH;
    }
    if (i < slots) add_forms(1, chunk, r, slots, table + i, out + i);
}

#endif
