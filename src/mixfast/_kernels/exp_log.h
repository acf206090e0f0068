/* exp of what is not positive and log of what is not below one: all that a log-sum-exp needs once the largest term is
 * taken off; and log(1 + x) of what is not negative. The first takes a vector; the others are branch-free, so that
 * compilers turn a loop over rows into vector code; the libm functions are calls.
 *
 * exp(x) = 2^n exp(r), n = round(x / log 2), |r| <= log(2) / 2, exp(r) = 1 + r + r^2 Q(r).
 * log(x) = n log 2 + log m, m in [sqrt(1/2), sqrt(2)), s = (m - 1) / (m + 1), log m = 2 s + s^3 L(s^2).
 * Q and L interpolate at Chebyshev nodes; with mpmath at 50 digits:
 *     nodes of degree n on [a, b]:  (a + b) / 2 + (b - a) / 2 * cos(pi (2 i + 1) / (2 n + 2))
 *     Q(r) = (exp(r) - 1 - r) / r^2 on |r| <= 1.0001 log(2) / 2,  L(z) = (2 atanh(s) - 2 s) / s^3 on 0 <= z <= smax^2.
 * The errors, in units in the last place, are measured against mpmath in tests/test_exp_log.py.
 */
#ifndef MIXFAST_EXP_LOG_H
#define MIXFAST_EXP_LOG_H

#include <float.h>
#include "real.h"

#if FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 1
#error "Rounding by ROUNDER needs arithmetic in the type's own precision: compile with -msse2 -mfpmath=sse"
#endif

#if REAL_IS_DOUBLE
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#define EXP_LOWEST -708.0                  /* exp(-708) is the last round number above the smallest normal double */
#define ROUNDER 6755399441055744.0         /* 1.5 * 2^52: adding it leaves round(x) in the low bits */
#define INV_LOG_2 1.4426950408889634074
#define LOG_2_HIGH 0x1.62e42feep-1         /* log 2 cut to 32 bits: n * LOG_2_HIGH is exact */
#define LOG_2_LOW 0x1.a39ef35793c76p-33    /* log 2 - LOG_2_HIGH */
#define SQRT_HALF_BITS 0x3fe6a09e667f3bcd
#define LARGEST_BESIDE_ONE 0x1p+1022       /* 1 over it is a normal number */
#else
#define MANTISSA_BITS 23
#define EXPONENT_BIAS 127
#define EXP_LOWEST -87.0f
#define ROUNDER 12582912.0f                /* 1.5 * 2^23 */
#define INV_LOG_2 1.44269504f
#define LOG_2_HIGH 0x1.62e4p-1f            /* log 2 cut to 15 bits */
#define LOG_2_LOW 0x1.7f7d1cf8p-20f        /* log 2 - LOG_2_HIGH */
#define SQRT_HALF_BITS 0x3f3504f3
#define LARGEST_BESIDE_ONE 0x1p+126f
#endif

ALWAYS_INLINE vec exp_nonpositive(vec x) {
    vec shifted = x * (real)INV_LOG_2 + ROUNDER;
    vec n = shifted - ROUNDER;
    vec r = (x - n * LOG_2_HIGH) - n * LOG_2_LOW;
#if REAL_IS_DOUBLE
    vec q = splat(2.5100385495510319078e-8);
    q = q * r + 2.7620088445409748161e-7;
    q = q * r + 2.7557268459997064772e-6;
    q = q * r + 2.4801521295954375131e-5;
    q = q * r + 1.9841269863053616878e-4;
    q = q * r + 1.3888888917213716901e-3;
    q = q * r + 8.3333333333300618325e-3;
    q = q * r + 4.1666666666624127873e-2;
    q = q * r + 1.6666666666666667453e-1;
    q = q * r + 5.0000000000000010221e-1;
#else
    vec q = splat(1.3926183587713494542e-3f);
    q = q * r + 8.3631790527225773704e-3f;
    q = q * r + 4.1666554617204574203e-2f;
    q = q * r + 1.6666576989698775683e-1f;
    q = q * r + 0.5f;
#endif
    vec p = (real)1 + r * ((real)1 + r * q);
    vec_bits exponent, bits;
    memcpy(&exponent, &shifted, sizeof exponent);
    memcpy(&bits, &p, sizeof bits);
    bits += exponent << MANTISSA_BITS; /* the low bits of `shifted` hold n: p * 2^n */
    memcpy(&p, &bits, sizeof p);
    /* A NaN that arithmetic made has no low bits to shift into the exponent and is not below anything, so it stays one. */
    return if_smaller(x, splat((real)EXP_LOWEST), splat(0), p);
}

/* x >= 1 as 2^n m with m in [sqrt(1/2), sqrt(2)): m, and n as a real and in place of an exponent's bits. */
typedef struct {
    real m, exponent;
    unsigned_bits n;
} log_parts;

ALWAYS_INLINE log_parts parts_of(real x) {
    log_parts parts;
    real_bits bits;
    memcpy(&bits, &x, sizeof bits);
    /* n >= 0, so the shift may be a logical one: AVX2 has no arithmetic shift of 64 bits */
    real_bits n = (real_bits)((unsigned_bits)(bits - (real_bits)SQRT_HALF_BITS) >> MANTISSA_BITS);
    parts.n = (unsigned_bits)n << MANTISSA_BITS;
    bits -= (real_bits)parts.n;
    memcpy(&parts.m, &bits, sizeof parts.m);
    /* n as a real without a conversion instruction, which vector sets of 2013 lack for 64 bits: n is small and >= 0, so
     * it can be written into the low bits of ROUNDER. */
    real rounder = ROUNDER;
    real_bits rounder_bits;
    memcpy(&rounder_bits, &rounder, sizeof rounder_bits);
    rounder_bits += n;
    memcpy(&parts.exponent, &rounder_bits, sizeof parts.exponent);
    parts.exponent -= ROUNDER;
    return parts;
}

/* log(2^exponent (1 + f)), f in [sqrt(1/2) - 1, sqrt(2) - 1) */
ALWAYS_INLINE real log_from(real exponent, real f) {
    real s = f / (f + (real)2);
    real z = s * s;
#if REAL_IS_DOUBLE
    real l = 0.14616585424888621989;
    l = l * z + 0.15331710618210771568;
    l = l * z + 0.18182889455674946039;
    l = l * z + 0.22222211130259877029;
    l = l * z + 0.28571428626003268742;
    l = l * z + 0.39999999999899443233;
    l = l * z + 0.66666666666666696883;
#else
    real l = 0.23330581938241893822f;
    l = l * z + 0.28550816599711548665f;
    l = l * z + 0.40000121876972001490f;
    l = l * z + 0.66666666554451646331f;
#endif
    /* 2 s = f - s f, so that the leading term f is exact */
    real log_m = f - s * (f - z * l);
    return exponent * LOG_2_HIGH + (log_m + exponent * LOG_2_LOW);
}

ALWAYS_INLINE real log_above_one(real x) {
    log_parts parts = parts_of(x);
    return log_from(parts.exponent, parts.m - (real)1) + (x - x); /* x - x keeps a NaN, and is 0 otherwise */
}

/* log(1 + x) for 0 <= x <= LARGEST_BESIDE_ONE: what rounding takes off the sum is added to the fraction, so that a small
 * x keeps its digits. */
ALWAYS_INLINE real log_one_plus(real x) {
    real sum = (real)1 + x, part = sum - x;
    real lost = ((real)1 - part) + (x - (sum - part));
    log_parts parts = parts_of(sum);
    unsigned_bits bits = ((unsigned_bits)EXPONENT_BIAS << MANTISSA_BITS) - parts.n;
    real shrink; /* 2^-n */
    memcpy(&shrink, &bits, sizeof shrink);
    return log_from(parts.exponent, (parts.m - (real)1) + lost * shrink) + (x - x);
}

#endif
