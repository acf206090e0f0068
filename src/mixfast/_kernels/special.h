/* Gamma's family of one number, and its differences f(a + n) - f(a), which subtracting would rob of digits; what each
 * promises is measured against mpmath in tests/test_special.py. Differences are sums of terms of one sign, or of terms
 * that are small beside the largest. */
#ifndef MIXFAST_SPECIAL_H
#define MIXFAST_SPECIAL_H

#include <math.h>

/* Asymptotic series in 1/x^2, used from here on; the first term left out is below 1e-16 of the first one kept. */
#define MIXFAST_LARGE 10.0
/* lgamma: Bernoulli_2k / (2k (2k - 1)), of x^(1 - 2k) */
static const double mixfast_stirling[8] = {1.0 / 12, -1.0 / 360, 1.0 / 1260, -1.0 / 1680,
                                           1.0 / 1188, -691.0 / 360360, 1.0 / 156, -3617.0 / 122400};
/* digamma: Bernoulli_2k / 2k, of x^(-2k) */
static const double mixfast_of_digamma[8] = {1.0 / 12, -1.0 / 120, 1.0 / 252, -1.0 / 240,
                                             1.0 / 132, -691.0 / 32760, 1.0 / 12, -3617.0 / 8160};
/* trigamma: Bernoulli_2k, of x^(-2k - 1) */
static const double mixfast_of_trigamma[8] = {1.0 / 6, -1.0 / 30, 1.0 / 42, -1.0 / 30,
                                              5.0 / 66, -691.0 / 2730, 7.0 / 6, -3617.0 / 510};

/* Where digamma is zero, in two parts. */
#define MIXFAST_DIGAMMA_ROOT 1.4616321449683623
#define MIXFAST_DIGAMMA_ROOT_REST 9.549995429965697e-17

/* A product of so few factors needs one logarithm, a difference of Stirling's series three. */
#define MIXFAST_FEW 8.0

/* sum_i coefficients[i] x^i, i < 8 */
static inline double mixfast_polynomial(const double *coefficients, double x) {
    double total = 0;
    for (int i = 7; i >= 0; i--) total = total * x + coefficients[i];
    return total;
}

/* (p(x) - p(y)) / (x - y) for that polynomial, also where x = y. */
static inline double mixfast_slope_of(const double *coefficients, double x, double y) {
    double slope = 0, value = 0;
    for (int i = 7; i > 0; i--) {
        value = value * y + coefficients[i];
        slope = slope * x + value;
    }
    return slope;
}

/* Whether f(a + n) - f(a) is best a sum over a, a + 1, ..., a + n - 1. */
static inline int mixfast_is_product(double a, double n) {
    return 0 <= n && n <= MIXFAST_FEW && n == floor(n) && a < 1e30;
}

/* log Gamma(a + n) - log Gamma(a) for a > 0 and n >= 0, an integer or not.
 *
 * Goes through zero (a = 1, n = 1 for one): the error is relative to the value, n |psi(a + n)| or
 * a (psi(a + n) - psi(a)), whichever is largest. */
static inline double mixfast_lgamma_rise(double a, double n) {
    double numerator = 1, denominator = 1, logs = 0;
    if (mixfast_is_product(a, n)) {
        for (int i = 0; i < (int)n; i++) numerator *= a + i;
        return log(numerator);
    }
    /* Gamma(a + n) / Gamma(a) = Gamma(a + m + n) / Gamma(a + m) * product of (a + i) / (a + i + n) */
    if (0.5 <= n && n < 1e20 && a > 1e-100) { /* the ratio is at least 1e-300 */
        for (; a < MIXFAST_LARGE; a++) {
            numerator *= a;
            denominator *= a + n;
        }
        if (denominator != 1) logs = log(numerator / denominator);
    } else {
        for (; a < MIXFAST_LARGE; a++) logs -= n / a < INFINITY ? log1p(n / a) : log(n) - log(a);
    }
    double u = 1 / (a + n), v = 1 / a;
    double slope = mixfast_slope_of(mixfast_stirling, u * u, v * v);
    /* All terms of the first part are positive; the second is at most 1/1000 of them. */
    return (a - 0.5) * log1p(n / a) + n * (log(a + n) - 1) -
           n * u * v * (mixfast_polynomial(mixfast_stirling, u * u) + v * (u + v) * slope) + logs;
}

/* psi(a + n) - psi(a) for a > 0 and n >= 0, relative to itself. */
static inline double mixfast_digamma_rise(double a, double n) {
    double total = 0;
    if (mixfast_is_product(a, n)) {
        for (int i = 0; i < (int)n; i++) total += 1 / (a + i);
        return total;
    }
    for (; a < MIXFAST_LARGE; a++) total += n / (a + n) / a;
    double u = 1 / (a + n), v = 1 / a;
    double slope = mixfast_slope_of(mixfast_of_digamma, u * u, v * v);
    return total + log1p(n / a) +
           n * u * v * (0.5 + (u + v) * (mixfast_polynomial(mixfast_of_digamma, u * u) + v * v * slope));
}

/* psi'(a + n) - psi'(a), which is negative, for a > 0 and n >= 0, relative to itself; -inf where it is beyond -1.8e308
 * (a < 1e-154). */
static inline double mixfast_trigamma_rise(double a, double n) {
    double total = 0;
    if (mixfast_is_product(a, n)) {
        for (int i = 0; i < (int)n; i++) total -= 1 / (a + i) / (a + i);
        return total;
    }
    for (; a < MIXFAST_LARGE; a++) {
        double u = 1 / (a + n), v = 1 / a;
        total -= n * u * v * (u + v);
    }
    double u = 1 / (a + n), v = 1 / a;
    double value = mixfast_polynomial(mixfast_of_trigamma, u * u);
    double slope = mixfast_slope_of(mixfast_of_trigamma, u * u, v * v);
    /* psi'(x) = w + w^2 / 2 + w p(w^2) w^2 with w = 1 / x; the slope of w^3 p(w^2) between v and u */
    return total - n * u * v * (1 + 0.5 * (u + v) + u * u * value + v * (u + v) * (value + v * v * slope));
}

/* log(1 + x) - x, which is negative, for x >= 0, relative to itself: of 2 artanh r with r = x / (2 + x), 2 r - x = -x r. */
static inline double mixfast_log1p_beyond(double x) {
    if (x > 1) return log1p(x) - x;
    double r = x / (2 + x), square = r * r, total = 0;
    for (int i = 33; i >= 3; i -= 2) total = total * square + 1.0 / i; /* r <= 1/3: the next term is below 1e-17 */
    return r * (2 * square * total - x);
}

/* psi(a + n) - psi(a) - n / a for a > 0 and whole n >= 0: what is left of it where n is small beside a. 0 or below. */
static inline double mixfast_digamma_beyond(double a, double n) {
    double total = 0;
    if (mixfast_is_product(a, n)) {
        for (int i = 1; i < (int)n; i++) total -= i / (a + i) / a;
        return total;
    }
    if (a < MIXFAST_LARGE) return mixfast_digamma_rise(a, n) - n / a;
    double u = 1 / (a + n), v = 1 / a;
    double slope = mixfast_slope_of(mixfast_of_digamma, u * u, v * v);
    return mixfast_log1p_beyond(n / a) +
           n * u * v * (0.5 + (u + v) * (mixfast_polynomial(mixfast_of_digamma, u * u) + v * v * slope));
}

/* psi'(a + n) - psi'(a) + n / a^2 for a > 0 and whole n >= 0, likewise; 0 or above. */
static inline double mixfast_trigamma_beyond(double a, double n) {
    double total = 0;
    if (mixfast_is_product(a, n)) {
        for (int i = 1; i < (int)n; i++) total += i / (a + i) / a * (1 / (a + i) + 1 / a);
        return total;
    }
    if (a < MIXFAST_LARGE) return mixfast_trigamma_rise(a, n) + n / a / a;
    double u = 1 / (a + n), v = 1 / a;
    double value = mixfast_polynomial(mixfast_of_trigamma, u * u);
    double slope = mixfast_slope_of(mixfast_of_trigamma, u * u, v * v);
    return n * u * v * (n * v - 0.5 * (u + v) - u * u * value - v * (u + v) * (value + v * v * slope));
}

/* log x - psi(x) for x >= MIXFAST_LARGE */
static inline double mixfast_log_minus_digamma_of_large(double x) {
    double w = 1 / x;
    return w * (0.5 + w * mixfast_polynomial(mixfast_of_digamma, w * w));
}

/* psi(x) for x > 0, relative to itself also where it goes through zero; -inf for x = 0. */
static inline double mixfast_digamma(double x) {
    double sum_of_reciprocals = 0;
    if (x == 0) return -INFINITY;
    if (1 <= x && x <= 2)
        return mixfast_digamma_rise(MIXFAST_DIGAMMA_ROOT, (x - MIXFAST_DIGAMMA_ROOT) - MIXFAST_DIGAMMA_ROOT_REST);
    for (; x < MIXFAST_LARGE; x++) sum_of_reciprocals += 1 / x;
    return log(x) - mixfast_log_minus_digamma_of_large(x) - sum_of_reciprocals;
}

/* log x - psi(x) for x > 0: about 1 / 2x for large x, where the difference of the two would lose digits. */
static inline double mixfast_log_minus_digamma(double x) {
    return x < MIXFAST_LARGE ? log(x) - mixfast_digamma(x) : mixfast_log_minus_digamma_of_large(x);
}

/* psi'(x) - 1 / x for x >= MIXFAST_LARGE */
static inline double mixfast_trigamma_minus_reciprocal_of_large(double x) {
    double w = 1 / x;
    return w * w * (0.5 + w * mixfast_polynomial(mixfast_of_trigamma, w * w));
}

/* psi'(x) for x > 0; inf where it is more than 1.8e308 (x < 1e-154). */
static inline double mixfast_trigamma(double x) {
    double total = 0;
    for (; x < MIXFAST_LARGE; x++) total += 1 / x / x;
    return total + 1 / x + mixfast_trigamma_minus_reciprocal_of_large(x);
}

/* psi'(x) - 1 / x for x > 0: about 1 / 2x^2 for large x. */
static inline double mixfast_trigamma_minus_reciprocal(double x) {
    return x < MIXFAST_LARGE ? mixfast_trigamma(x) - 1 / x : mixfast_trigamma_minus_reciprocal_of_large(x);
}

#endif
