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

/* Room for them where its size has a say in how rows are cut into chunks, and so in the order of sums: as large on all
 * processors of the same SUM_BYTES. */
ALWAYS_INLINE ptrdiff_t room_for_slots(ptrdiff_t n_components) {
    return (n_components + SUM_WIDTH - 1) / SUM_WIDTH * SUM_WIDTH;
}

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

/* ADD(n, i) for all slots, n vectors from slot i on at a time: a pass over the values of a row for each ADD. Its n is a
 * constant, so that its sums lie in registers. */
#define FOR_ALL_SLOTS(slots, ADD)                                \
    {                                                            \
        ptrdiff_t i_ = 0;                                        \
        for (; i_ + 8 * WIDTH <= slots; i_ += 8 * WIDTH) ADD(8, i_); \
        switch ((slots - i_) / WIDTH) {                          \
            case 7: ADD(7, i_); break;                           \
            case 6: ADD(6, i_); break;                           \
            case 5: ADD(5, i_); break;                           \
            case 4: ADD(4, i_); break;                           \
            case 3: ADD(3, i_); break;                           \
            case 2: ADD(2, i_); break;                           \
            case 1: ADD(1, i_); break;                           \
            default: break;                                      \
        }                                                        \
    }

/* out[slots] += the linear forms of row r */
static inline void sparse_forms(const mixfast_chunk *chunk, ptrdiff_t r, ptrdiff_t slots, const real *table, real *out) {
#define ADD(n, i) add_forms(n, chunk, r, slots, table + (i), out + (i))
    FOR_ALL_SLOTS(slots, ADD)
#undef ADD
}

/* out[a * stride + r] = sums[r * slots + k], k = component[a], for a strip of rows. */
ALWAYS_INLINE void turn_strip(const mixfast_selection *selection, ptrdiff_t slots, ptrdiff_t stride, const real *sums,
                       real *out) {
    for (ptrdiff_t a = 0; a < selection->n; a++)
        for (int r = 0; r < STRIP; r++) out[a * stride + r] = sums[r * slots + selection->component[a]];
}

/* of_row[r * slots + k] = resp[a * stride + r], k = component[a], for n_rows of a strip, 0 for all other k. n_sharing[r]
 * components have some of the row, and last[r] is one of them. */
ALWAYS_INLINE void turn_resp(const mixfast_selection *selection, ptrdiff_t slots, ptrdiff_t stride, const real *resp,
                      ptrdiff_t n_rows, double *of_row, ptrdiff_t *last, ptrdiff_t *n_sharing) {
    memset(of_row, 0, (size_t)(STRIP * slots) * sizeof(double));
    for (ptrdiff_t r = 0; r < n_rows; r++) n_sharing[r] = 0;
    for (ptrdiff_t a = 0; a < selection->n; a++)
        for (ptrdiff_t r = 0; r < n_rows; r++) {
            double own = (double)resp[a * stride + r];
            if (own == 0) continue;
            of_row[r * slots + selection->component[a]] = own;
            last[r] = selection->component[a];
            n_sharing[r]++;
        }
}

#endif
