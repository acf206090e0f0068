/* One source, two precisions, several instruction sets: the build compiles each kernel file once per pair, with
 * MIXFAST_REAL (float or double) and MIXFAST_ISA (base, v2, v3, v4) defined. Everything in a kernel file is static but
 * one table, whose name carries the pair; a shared non-static function compiled for a newer machine could be linked
 * into the code of an older one. */
#ifndef MIXFAST_REAL_H
#define MIXFAST_REAL_H

#include <math.h>
#include <stdint.h>
#include <string.h>
#ifdef __AVX__
#include <immintrin.h>
#endif

#define MIXFAST_PASTE_(a, b, c) mixfast_##a##_##b##_##c
#define MIXFAST_PASTE(a, b, c) MIXFAST_PASTE_(a, b, c)
#define MIXFAST_TABLE(room) MIXFAST_PASTE(room, MIXFAST_ISA, MIXFAST_REAL)

#define MIXFAST_IS_float 0
#define MIXFAST_IS_double 1
#define MIXFAST_IS_(real) MIXFAST_IS_##real
#define MIXFAST_IS(real) MIXFAST_IS_(real)
#define REAL_IS_DOUBLE MIXFAST_IS(MIXFAST_REAL)

typedef MIXFAST_REAL real;
#if REAL_IS_DOUBLE
typedef int64_t real_bits;
typedef uint64_t unsigned_bits;
#define SQRT sqrt
#define REAL_EPSILON 2.220446049250313e-16
#else
typedef int32_t real_bits;
typedef uint32_t unsigned_bits;
#define SQRT sqrtf
#define REAL_EPSILON 1.1920929e-7
#endif

#if defined(__GNUC__) || defined(__clang__)
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define UNROLL_PRAGMA_(text) _Pragma(#text)
#if defined(__clang__)
#define UNROLL(n) UNROLL_PRAGMA_(clang loop unroll(full))
#else
#define UNROLL(n) UNROLL_PRAGMA_(GCC unroll n)
#endif
#define MIXFAST_RESTRICT __restrict__
#define PREFETCH(address) __builtin_prefetch(address)
#else
#define ALWAYS_INLINE static __forceinline
#define UNROLL(n)
#define MIXFAST_RESTRICT __restrict
#define PREFETCH(address)
#endif

/* A vector of WIDTH reals. GCC and Clang have them as an extension of C on every machine; elsewhere a "vector" is one
 * real and the same loops stay correct. */
#if defined(__GNUC__) || defined(__clang__)
#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif
#define VECTOR_BYTES_ARE_A_VECTOR 1
typedef real vec __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef unsigned_bits vec_bits __attribute__((vector_size(VECTOR_BYTES)));
#define WIDTH ((int)(VECTOR_BYTES / sizeof(real)))
ALWAYS_INLINE vec splat(real a) { return a - (vec){0}; } /* a - 0, not a + 0: keeps the sign of a zero */
#else
#define VECTOR_BYTES ((int)sizeof(real))
#define VECTOR_BYTES_ARE_A_VECTOR 0
typedef real vec;
typedef unsigned_bits vec_bits;
#define WIDTH 1
ALWAYS_INLINE vec splat(real a) { return a; }
#endif

/* A sum over rows is made of SUM_WIDTH partial sums, row r in partial sum r % SUM_WIDTH, and so many vectors hold them.
 * Processors with a fused multiply-add all have 64 bytes of them, whatever the width of their vectors, and so the same
 * bits: where vectors are narrower a loop walks over the rows once for each vector of partial sums,
 *
 *     for (int part = 0; part < SUM_VECTORS; part++)
 *         for (ptrdiff_t r = part * WIDTH; r < stride; r += SUM_WIDTH) total[part] += ...
 *
 * which takes no more registers. Those without one round each product, and have other bits anyway. */
#if VECTOR_BYTES_ARE_A_VECTOR && (defined(__FMA__) || defined(__aarch64__))
#define SUM_BYTES 64
#else
#define SUM_BYTES VECTOR_BYTES
#endif
#define SUM_VECTORS (SUM_BYTES / VECTOR_BYTES)
#define SUM_WIDTH (SUM_VECTORS * WIDTH)

/* The partial sums of a sum over rows, by halves, in one vector. */
ALWAYS_INLINE vec joined(const vec partial[SUM_VECTORS]) {
    vec part[SUM_VECTORS];
    memcpy(part, partial, sizeof part);
    for (int n = SUM_VECTORS / 2; n > 0; n /= 2)
        for (int i = 0; i < n; i++) part[i] += part[i + n];
    return part[0];
}

/* The sum of a vector's elements, by halves: one chain of WIDTH additions cost as much as the loop before it. */
#if VECTOR_BYTES_ARE_A_VECTOR
typedef real vec16 __attribute__((vector_size(16)));
ALWAYS_INLINE real sum_of_elements(vec a) {
    vec16 part[VECTOR_BYTES / 16];
    memcpy(part, &a, sizeof part);
    for (int n = VECTOR_BYTES / 32; n > 0; n /= 2)
        for (int i = 0; i < n; i++) part[i] += part[i + n];
    real total = part[0][0] + part[0][1];
#if !REAL_IS_DOUBLE
    total += part[0][2] + part[0][3];
#endif
    return total;
}
#else
ALWAYS_INLINE real sum_of_elements(vec a) { return a; }
#endif

/* The sum over rows of which these are the partial sums. */
ALWAYS_INLINE real sum_of(const vec partial[SUM_VECTORS]) { return sum_of_elements(joined(partial)); }

/* Sums of the elements of several vectors at once, each as sum_of_elements adds: halves of two vectors make one by two shuffles, so that W vectors
 * take W - 1 additions where one by one they take W log2(W). Sums of 4 x 4 vectors of 8 doubles were a third of a tile of
 * products over 240 rows, one by one. */
#if VECTOR_BYTES_ARE_A_VECTOR && (defined(__clang__) || __GNUC__ >= 12)
#define SUMS_AT_ONCE 1
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SUMS_AT_ONCE 0
#endif
#if SUMS_AT_ONCE && REAL_IS_DOUBLE
/* even and odd elements, the two vectors' in turn */
#if VECTOR_BYTES == 64
#define ADD_PAIRS(a, b) (SHUFFLE(a, b, 0, 8, 2, 10, 4, 12, 6, 14) + SHUFFLE(a, b, 1, 9, 3, 11, 5, 13, 7, 15))
#define ADD_QUARTERS(a, b) (SHUFFLE(a, b, 0, 1, 4, 5, 8, 9, 12, 13) + SHUFFLE(a, b, 2, 3, 6, 7, 10, 11, 14, 15))
#define ADD_HALVES(a, b) (SHUFFLE(a, b, 0, 1, 2, 3, 8, 9, 10, 11) + SHUFFLE(a, b, 4, 5, 6, 7, 12, 13, 14, 15))
ALWAYS_INLINE vec sums_of_vectors(const vec *a) {
    vec even = ADD_QUARTERS(ADD_HALVES(a[0], a[2]), ADD_HALVES(a[4], a[6]));
    vec odd = ADD_QUARTERS(ADD_HALVES(a[1], a[3]), ADD_HALVES(a[5], a[7]));
    return ADD_PAIRS(even, odd);
}
#elif VECTOR_BYTES == 32
#define ADD_PAIRS(a, b) (SHUFFLE(a, b, 0, 4, 2, 6) + SHUFFLE(a, b, 1, 5, 3, 7))
#define ADD_HALVES(a, b) (SHUFFLE(a, b, 0, 1, 4, 5) + SHUFFLE(a, b, 2, 3, 6, 7))
ALWAYS_INLINE vec sums_of_vectors(const vec *a) {
    return ADD_PAIRS(ADD_HALVES(a[0], a[2]), ADD_HALVES(a[1], a[3]));
}
#else
ALWAYS_INLINE vec sums_of_vectors(const vec *a) {
    return SHUFFLE(a[0], a[1], 0, 2) + SHUFFLE(a[0], a[1], 1, 3);
}
#endif
#elif SUMS_AT_ONCE
/* ADD_PAIRS: neighbours, two elements of each vector in turn. */
#if VECTOR_BYTES == 64
#define ADD_PAIRS(a, b)                                                             \
    (SHUFFLE(a, b, 0, 2, 16, 18, 4, 6, 20, 22, 8, 10, 24, 26, 12, 14, 28, 30) +     \
     SHUFFLE(a, b, 1, 3, 17, 19, 5, 7, 21, 23, 9, 11, 25, 27, 13, 15, 29, 31))
#define ADD_QUARTERS(a, b)                                                          \
    (SHUFFLE(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) +      \
     SHUFFLE(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31))
#define ADD_HALVES(a, b)                                                            \
    (SHUFFLE(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +        \
     SHUFFLE(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31))
ALWAYS_INLINE vec sums_of_vectors(const vec *a) {
    vec part[4];
    UNROLL(4)
    for (int m = 0; m < 4; m++) part[m] = ADD_QUARTERS(ADD_HALVES(a[m], a[4 + m]), ADD_HALVES(a[8 + m], a[12 + m]));
    return ADD_PAIRS(ADD_PAIRS(part[0], part[1]), ADD_PAIRS(part[2], part[3]));
}
#elif VECTOR_BYTES == 32
#define ADD_PAIRS(a, b) (SHUFFLE(a, b, 0, 2, 8, 10, 4, 6, 12, 14) + SHUFFLE(a, b, 1, 3, 9, 11, 5, 7, 13, 15))
#define ADD_HALVES(a, b) (SHUFFLE(a, b, 0, 1, 2, 3, 8, 9, 10, 11) + SHUFFLE(a, b, 4, 5, 6, 7, 12, 13, 14, 15))
ALWAYS_INLINE vec sums_of_vectors(const vec *a) {
    vec part[4];
    UNROLL(4)
    for (int m = 0; m < 4; m++) part[m] = ADD_HALVES(a[m], a[4 + m]);
    return ADD_PAIRS(ADD_PAIRS(part[0], part[1]), ADD_PAIRS(part[2], part[3]));
}
#else
#define ADD_PAIRS(a, b) (SHUFFLE(a, b, 0, 2, 4, 6) + SHUFFLE(a, b, 1, 3, 5, 7))
ALWAYS_INLINE vec sums_of_vectors(const vec *a) {
    return ADD_PAIRS(ADD_PAIRS(a[0], a[1]), ADD_PAIRS(a[2], a[3]));
}
#endif
#endif
/* total[i] = sum_of_elements(a[i]) for i < n, a constant at every call; `total` has room for a multiple of WIDTH. */
ALWAYS_INLINE void sums_of(int n, const vec *a, real *total) {
#if SUMS_AT_ONCE
    UNROLL(25)
    for (int first = 0; first < n; first += WIDTH) {
        vec some[WIDTH], sums;
        UNROLL(16)
        for (int i = 0; i < WIDTH; i++) some[i] = a[first + i < n ? first + i : n - 1];
        sums = sums_of_vectors(some);
        memcpy(total + first, &sums, sizeof sums);
    }
#else
    for (int i = 0; i < n; i++) total[i] = sum_of_elements(a[i]);
#endif
}
/* `if_smaller`: element by element, a < b ? yes : no. `where_equal`: a == b ? yes : 0. `minimum`, `maximum`: the smaller and the larger of two, the second
 * where either is not a number, which is one instruction where there is one for it. `exceeds`: whether all elements of three vectors are larger than a limit. */
#if VECTOR_BYTES_ARE_A_VECTOR
#if REAL_IS_DOUBLE
typedef int64_t vec_mask __attribute__((vector_size(VECTOR_BYTES)));
#else
typedef int32_t vec_mask __attribute__((vector_size(VECTOR_BYTES)));
#endif
ALWAYS_INLINE vec if_smaller(vec a, vec b, vec yes, vec no) {
    vec_mask smaller = (vec_mask)(a < b);
    return (vec)((smaller & (vec_mask)yes) | (~smaller & (vec_mask)no));
}
ALWAYS_INLINE vec where_equal(vec a, vec b, vec yes) { return (vec)((vec_mask)(a == b) & (vec_mask)yes); }
#if VECTOR_BYTES == 64 && REAL_IS_DOUBLE
ALWAYS_INLINE vec minimum(vec a, vec b) { return _mm512_min_pd(a, b); }
ALWAYS_INLINE vec maximum(vec a, vec b) { return _mm512_max_pd(a, b); }
#elif VECTOR_BYTES == 64
ALWAYS_INLINE vec minimum(vec a, vec b) { return _mm512_min_ps(a, b); }
ALWAYS_INLINE vec maximum(vec a, vec b) { return _mm512_max_ps(a, b); }
#elif VECTOR_BYTES == 32 && REAL_IS_DOUBLE
ALWAYS_INLINE vec minimum(vec a, vec b) { return _mm256_min_pd(a, b); }
ALWAYS_INLINE vec maximum(vec a, vec b) { return _mm256_max_pd(a, b); }
#elif VECTOR_BYTES == 32
ALWAYS_INLINE vec minimum(vec a, vec b) { return _mm256_min_ps(a, b); }
ALWAYS_INLINE vec maximum(vec a, vec b) { return _mm256_max_ps(a, b); }
#else
ALWAYS_INLINE vec minimum(vec a, vec b) { return if_smaller(a, b, a, b); }
ALWAYS_INLINE vec maximum(vec a, vec b) { return if_smaller(b, a, a, b); }
#endif
ALWAYS_INLINE int exceeds(vec a, vec b, vec c, real limit) {
    vec_mask larger = (vec_mask)(a > limit) & (vec_mask)(b > limit) & (vec_mask)(c > limit);
#if defined(__AVX__) && VECTOR_BYTES == 32
    return _mm256_testc_si256((__m256i)larger, _mm256_set1_epi64x(-1));
#else
    uint64_t part[VECTOR_BYTES / 8], all = ~(uint64_t)0;
    memcpy(part, &larger, sizeof part);
    for (int i = 0; i < VECTOR_BYTES / 8; i++) all &= part[i];
    return all == ~(uint64_t)0;
#endif
}
ALWAYS_INLINE real least_element(vec a) {
    real least = a[0];
    for (int i = 1; i < WIDTH; i++) least = least < a[i] ? least : a[i];
    return least;
}
#else
ALWAYS_INLINE vec if_smaller(vec a, vec b, vec yes, vec no) { return a < b ? yes : no; }
ALWAYS_INLINE vec where_equal(vec a, vec b, vec yes) { return a == b ? yes : 0; }
ALWAYS_INLINE vec minimum(vec a, vec b) { return a < b ? a : b; }
ALWAYS_INLINE vec maximum(vec a, vec b) { return a > b ? a : b; }
ALWAYS_INLINE int exceeds(vec a, vec b, vec c, real limit) { return a > limit && b > limit && c > limit; }
ALWAYS_INLINE real least_element(vec a) { return a; }
#endif
ALWAYS_INLINE vec load(const real *p) { return *(const vec *)p; }
ALWAYS_INLINE void store(real *p, vec a) { *(vec *)p = a; }

/* Register tiles: rows of a tile are three vectors. With 16 registers 4 x 3 accumulators, 3 operands and one broadcast
 * just fit; with 32 there is room to spare. A chunk's stride is a multiple of STRIPS, which are as many rows on all
 * processors of the same SUM_BYTES: what is decided of several rows together is decided of these. */
#define TILE_VECTORS 3
#define STRIP (TILE_VECTORS * WIDTH)
#define STRIPS (SUM_VECTORS * STRIP)

#endif
