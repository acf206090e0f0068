"""Special functions of one number, without the GIL: gamma's family and its differences, and Bessel functions I.

Gamma's family is that of `_kernels/special.h`, which kernels read too. Differences f(a + n) - f(a) are functions of
their own because subtracting loses digits: all of them where n is small beside a. There they are sums of terms of one
sign, or of terms that are small beside the largest. A value that goes through zero where its arguments are ordinary
numbers cannot be right relative to itself: one unit in the last place of an argument moves it by more. There the
promise is relative to what that unit does, and the docstring says so.

Errors, against mpmath over a from 1e-300 to 1e12, n to 1e10, nu to 1e5 and x from 1e-300 to 1e8, are below 1e-13 of
that (`tests/test_special.py`).
"""

from fractions import Fraction

from libc.math cimport INFINITY, M_LN2, M_PI, fabs, fmax, fmin, hypot, lgamma, log, log1p

cdef extern from "special.h" nogil:
    double LARGE "MIXFAST_LARGE"
    const double *STIRLING "mixfast_stirling"
    double polynomial "mixfast_polynomial"(const double *coefficients, double x)
    double c_digamma "mixfast_digamma"(double x)
    double c_trigamma "mixfast_trigamma"(double x)
    double c_log_minus_digamma "mixfast_log_minus_digamma"(double x)
    double c_trigamma_minus_reciprocal "mixfast_trigamma_minus_reciprocal"(double x)
    double c_lgamma_rise "mixfast_lgamma_rise"(double a, double n)
    double c_digamma_rise "mixfast_digamma_rise"(double a, double n)
    double c_trigamma_rise "mixfast_trigamma_rise"(double a, double n)
    double c_log1p_beyond "mixfast_log1p_beyond"(double x)
    double c_digamma_beyond "mixfast_digamma_beyond"(double a, double n)
    double c_trigamma_beyond "mixfast_trigamma_beyond"(double a, double n)


cpdef double digamma(double x) noexcept nogil:
    """psi(x) for x > 0, relative to itself also where it goes through zero; -inf for x = 0."""
    return c_digamma(x)


cpdef double trigamma(double x) noexcept nogil:
    """psi'(x) for x > 0; inf where it is more than 1.8e308 (x < 1e-154)."""
    return c_trigamma(x)


cpdef double log_minus_digamma(double x) noexcept nogil:
    """log x - psi(x) for x > 0: about 1 / 2x for large x, where the difference of the two would lose digits."""
    return c_log_minus_digamma(x)


cpdef double trigamma_minus_reciprocal(double x) noexcept nogil:
    """psi'(x) - 1 / x for x > 0: about 1 / 2x^2 for large x."""
    return c_trigamma_minus_reciprocal(x)


cpdef double lgamma_rise(double a, double n) noexcept nogil:
    """log Gamma(a + n) - log Gamma(a) for a > 0 and n >= 0, an integer or not.

    Goes through zero (a = 1, n = 1 for one): the error is relative to the value, n |psi(a + n)| or
    a (psi(a + n) - psi(a)), whichever is largest.
    """
    return c_lgamma_rise(a, n)


cpdef double digamma_rise(double a, double n) noexcept nogil:
    """psi(a + n) - psi(a) for a > 0 and n >= 0, relative to itself."""
    return c_digamma_rise(a, n)


cpdef double trigamma_rise(double a, double n) noexcept nogil:
    """psi'(a + n) - psi'(a), which is negative, for a > 0 and n >= 0, relative to itself; -inf where it is beyond
    -1.8e308 (a < 1e-154)."""
    return c_trigamma_rise(a, n)


def log1p_beyond(double x):
    """log(1 + x) - x for x >= 0, relative to itself."""
    return c_log1p_beyond(x)


def digamma_beyond(double a, double n):
    """psi(a + n) - psi(a) - n / a for a > 0 and whole n >= 0, relative to itself: where n is small beside a, what is
    left of the rise without its leading term."""
    return c_digamma_beyond(a, n)


def trigamma_beyond(double a, double n):
    """psi'(a + n) - psi'(a) + n / a^2 for a > 0 and whole n >= 0, relative to itself, likewise."""
    return c_trigamma_beyond(a, n)


# ---- Bessel functions I ----
#
# With s = sqrt(nu^2 + x^2) and q = nu^2 / s^2, the logarithm of Debye's uniform expansion is
#     log I_nu(x) = s + nu log(x / (nu + s)) - log(2 pi s) / 2 + sum_k D_k(q) / s^k,
# and its derivative s / x - x / s^2 (1/2 + sum_k E_k(q) / s^k) with polynomials E_k of order k, E_0 = 1/2. Put into
# Bessel's equation, as Riccati's w' + w^2 + w / x = s^2 / x^2, this gives
#     E_{k+1} = (-2 q E_k + (1 - q) (T E_k + sum_i E_i E_{k-i})) / 2,   T q^j / s^k = (2j + k) q^j / s^k,
# and D_k = E_k with each coefficient divided by 2j + k. It holds for all nu >= 0, however small, as long as s is large:
# so s chooses between it and the power series, and one table serves every order.
cdef enum:
    N_TERMS = 12
cdef double SERIES_BELOW = 50.0  # the thirteenth term is below 1e-17 from here on
cdef double[N_TERMS + 1][N_TERMS + 1] LOGARITHM  # D_k
cdef double[N_TERMS + 1][N_TERMS + 1] GRADIENT   # E_k
cdef double[N_TERMS + 1][N_TERMS + 1] CURVATURE  # T E_k


def fill_expansion():
    """The three tables above."""
    cdef int k, j
    expansion = [[Fraction(1, 2)]]
    for k in range(N_TERMS):
        bracket = [(2 * j + k) * value for j, value in enumerate(expansion[k])]
        for i in range(k + 1):
            for j, left in enumerate(expansion[i]):
                for m, right in enumerate(expansion[k - i]):
                    bracket[j + m] += left * right
        following = [Fraction(0)] * (k + 2)
        for j in range(k + 1):
            following[j] += bracket[j] / 2
            following[j + 1] -= bracket[j] / 2 + expansion[k][j]
        expansion.append(following)
    for k in range(N_TERMS + 1):
        for j in range(k + 1):
            GRADIENT[k][j] = expansion[k][j]
            CURVATURE[k][j] = (2 * j + k) * expansion[k][j]
            LOGARITHM[k][j] = expansion[k][j] / (2 * j + k) if k else 0.0


fill_expansion()


cdef double tail(double[N_TERMS + 1] *table, double s, double q) noexcept nogil:
    """sum over k >= 1 of table[k](q) / s^k"""
    cdef double total = 0, coefficient
    cdef int k, j
    for k in range(N_TERMS, 0, -1):
        coefficient = 0
        for j in range(k, -1, -1):
            coefficient = coefficient * q + table[k][j]
        total = (total + coefficient) / s
    return total


cdef inline double series_minus_1(double nu, double x) noexcept nogil:
    """Gamma(nu + 1) (2 / x)^nu I_nu(x) - 1 = sum over k >= 1 of (x^2 / 4)^k / (k! (nu + 1) ... (nu + k))"""
    cdef double y = 0.25 * x * x, term = 1, total = 0
    cdef int k = 0
    while term > 1e-17 * total:
        k += 1
        term *= y / (k * (nu + k))
        total += term
    return total


cdef bessel_ratio_t bessel_ratio(double nu, double x) noexcept nogil:
    """A = I_{nu+1}(x) / I_nu(x), 1 - A and dA/dx for nu >= 0 and x >= 0, each relative to itself."""
    cdef bessel_ratio_t result
    cdef double s = hypot(nu, x), q, h, share
    if s < SERIES_BELOW:
        result.ratio = (x / (2 * (nu + 1)) * (1 + series_minus_1(nu + 1, x)) / (1 + series_minus_1(nu, x)))
        result.complement = 1 - result.ratio
        # A' = 1 - A^2 - (2 nu + 1) A / x, where A / x is 1 / (2 nu + 2) at x = 0
        share = result.ratio / x if x > 0 else 1 / (2 * (nu + 1))
        result.slope = 1 - result.ratio * result.ratio - (2 * nu + 1) * share
        return result
    q = nu / s * (nu / s)
    h = 0.5 + tail(GRADIENT, s, q)
    result.ratio = x / (s + nu) - x / s * h / s
    result.complement = (nu + nu / (s + x) * nu) / (s + nu) + x / s * h / s
    result.slope = nu / s / (s + nu) + ((1 - 2 * q) * h + (1 - q) * tail(CURVATURE, s, q)) / s / s
    return result


cdef inline bint has_few_terms(double nu, double x) noexcept nogil:
    return hypot(nu, x) < SERIES_BELOW or x * x < 16 * (nu + 1)


cpdef double log_bessel_i_reduced(double nu, double x) noexcept nogil:
    """log of Gamma(nu + 1) (2 / x)^nu I_nu(x) for nu >= 0 and x >= 0, relative to itself: from x^2 / (4 (nu + 1)) for
    small x to nearly x for large."""
    cdef double s, q, w, excess
    if has_few_terms(nu, x):
        return log1p(series_minus_1(nu, x))
    s = hypot(nu, x)
    q = nu / s * (nu / s)
    if nu < LARGE:
        return (lgamma(nu + 1) - nu * log(0.5 * x) + s + nu * log(x / (nu + s)) - 0.5 * log(2 * M_PI * s)
                + tail(LOGARITHM, s, q))
    # the same with Stirling's series in the place of lgamma, which takes out what is large and cancels
    w = 1 / nu
    excess = x / (s + nu) * x  # s - nu
    return (excess - nu * log1p(0.5 * excess * w) - 0.5 * log1p(excess * w) + w * polynomial(STIRLING, w * w)
            + tail(LOGARITHM, s, q))


cpdef double log_bessel_i_scaled(double nu, double x) noexcept nogil:
    """log of exp(-x) I_nu(x) for nu >= 0 and x >= 0.

    Goes through zero for small orders: the error is relative to the value, or to what changes by the last bit of nu
    and x: nu (1 + |log(x / 2)|) or 1, whichever is largest.
    """
    cdef double s
    if has_few_terms(nu, x):
        return log_bessel_i(nu, x) - x
    s = hypot(nu, x)
    return (nu / (s + x) * nu + nu * log(x / (nu + s)) - 0.5 * log(2 * M_PI * s)
            + tail(LOGARITHM, s, nu / s * (nu / s)))


cpdef double log_bessel_i(double nu, double x) noexcept nogil:
    """log I_nu(x) for nu >= 0 and x >= 0; -inf for x = 0 unless nu = 0.

    Goes through zero once in x for each order: the error is relative to the value, or to x dlog I/dx = nu + x A(x).
    """
    if has_few_terms(nu, x):
        return (nu * log(0.5 * x) - lgamma(nu + 1) if nu > 0 else 0.0) + log1p(series_minus_1(nu, x))
    return x + log_bessel_i_scaled(nu, x)


# ---- the sphere of d dimensions, where nu = d / 2 - 1 ----

def mean_resultant_length(double d, double kappa):
    """A_d(kappa) = I_{d/2}(kappa) / I_{d/2-1}(kappa) for d >= 2 and kappa >= 0, relative to itself."""
    return bessel_ratio(0.5 * d - 1, kappa).ratio


cpdef double concentration(double d, double length) noexcept nogil:
    """The kappa with A_d(kappa) = length for d >= 2 and 0 <= length < 1, relative to itself; inf for length >= 1.

    Newton's method from Sra's approximation (Comput. Stat. 27, 2012, 177-190) within the bounds that follow from
    kappa (1 - A^2) / A = d - 1 + kappa A' / A and 0 < kappa A' / A <= 1, A being concave.
    """
    cdef double shortfall = 1 - length, spread = shortfall * (1 + length)
    cdef double least, most, kappa, previous
    cdef bessel_ratio_t at
    cdef int _step
    if length <= 0:
        return 0
    if length >= 1:
        return INFINITY
    least, most = (d - 1) * length / spread, d * length / spread
    kappa = (d - length * length) * length / spread
    for _step in range(20):  # 5 at most were seen
        at = bessel_ratio(0.5 * d - 1, kappa)
        previous = kappa
        kappa += (length - at.ratio if length < 0.5 else at.complement - shortfall) / at.slope
        kappa = fmin(fmax(kappa, least), most)
        if fabs(kappa - previous) <= 1e-15 * kappa:
            break
    return kappa


cpdef double log_sphere_normaliser(double d, double kappa) noexcept nogil:
    """log C_d(kappa) for d >= 2 and kappa >= 0; C_d(kappa) exp(kappa mu'x) is the density of von Mises and Fisher and
    C_d(kappa) = kappa^nu / ((2 pi)^(nu + 1) I_nu(kappa)), at kappa = 0 one over the area of the sphere.

    Goes through zero for d > 18 at one kappa: the error is relative to the value, or to kappa A_d(kappa), what a
    relative change of kappa makes of it, or to 1 (for d near 18, where it is the logarithm of something near 1).
    """
    return lgamma(0.5 * d) - M_LN2 - 0.5 * d * log(M_PI) - log_bessel_i_reduced(0.5 * d - 1, kappa)
