/* One source, two precisions, several instruction sets: the build compiles each kernel file once per pair, with
 * MIXFAST_REAL (float or double) and MIXFAST_ISA (base, v2, v3, v4) defined. Everything in a kernel file is static but
 * one table, whose name carries the pair; a shared non-static function compiled for a newer machine could be linked
 * into the code of an older one. */
#ifndef MIXFAST_REAL_H
#define MIXFAST_REAL_H

#include <math.h>
#include <stdint.h>
#include <string.h>

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
#else
typedef int32_t real_bits;
typedef uint32_t unsigned_bits;
#define SQRT sqrtf
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
#else
#define ALWAYS_INLINE static __forceinline
#define UNROLL(n)
#define MIXFAST_RESTRICT __restrict
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
typedef real vec __attribute__((vector_size(VECTOR_BYTES), may_alias));
#define WIDTH ((int)(VECTOR_BYTES / sizeof(real)))
ALWAYS_INLINE vec splat(real a) { return a - (vec){0}; } /* a - 0, not a + 0: keeps the sign of a zero */
/* The sum of a vector's elements, by halves: one chain of WIDTH additions cost as much as the loop before it. */
typedef real vec16 __attribute__((vector_size(16)));
ALWAYS_INLINE real sum_of(vec a) {
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
#define VECTOR_BYTES ((int)sizeof(real))
typedef real vec;
#define WIDTH 1
ALWAYS_INLINE vec splat(real a) { return a; }
ALWAYS_INLINE real sum_of(vec a) { return a; }
#endif
ALWAYS_INLINE vec load(const real *p) { return *(const vec *)p; }
ALWAYS_INLINE void store(real *p, vec a) { *(vec *)p = a; }

/* Register tiles: rows of a tile are three vectors. With 16 registers 4 x 3 accumulators, 3 operands and one broadcast
 * just fit; with 32 there is room to spare. A chunk's stride is a multiple of STRIP. */
#define TILE_VECTORS 3
#define STRIP (TILE_VECTORS * WIDTH)

#endif
