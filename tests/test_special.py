"""The special functions of `_special.pyx` against mpmath: extremes, seams between branches, and points in between."""

import mpmath
import numpy as np
import pytest

from mixfast.engine import _special as special

# Largest errors seen: 7e-15 (gamma's family), 5e-14 (Bessel's); 4e-12 for the slope of the mean resultant length.
TOLERANCE = 1e-13
SLOPE_TOLERANCE = 1e-11


def error(value, exact, *scales):
    """|value - exact| relative to the exact value, or to the largest of `scales`."""
    with mpmath.workdps(30):
        return float(abs(mpmath.mpf(value) - exact) / max(abs(exact), *scales, mpmath.mpf("1e-320")))


def around(*values):
    """Each value and its neighbours."""
    return [float(x) for value in values for x in (np.nextafter(value, 0), value, np.nextafter(value, 2 * value))]


ROOT = 1.4616321449683623  # of digamma
POSITIVE = [1e-300, 1e-160, 1e-20, 1e-5, 0.1, 0.7, 37.5, 1e3, 1e7, 1e12, *around(1, ROOT, 2, 9, 10, 11)]


@pytest.mark.parametrize("x", [*POSITIVE, *np.random.default_rng(0).uniform(0, 12, 50)])
def test_digamma_and_trigamma(x):
    with mpmath.workdps(360):
        exact = mpmath.mpf(x)
        first, second, logarithm = mpmath.digamma(exact), mpmath.psi(1, exact), mpmath.log(exact)
        over, under = logarithm - first, second - 1 / exact
    assert error(special.digamma(x), first) < TOLERANCE
    assert error(special.log_minus_digamma(x), over) < TOLERANCE
    if x < 1e-154:
        assert special.trigamma(x) == np.inf
    else:
        assert error(special.trigamma(x), second) < TOLERANCE
        assert error(special.trigamma_minus_reciprocal(x), under) < TOLERANCE


def rises():
    rng = np.random.default_rng(1)
    ends = [1e-12, 1e-3, 0.3, 1.0, 2.0, 7.0, 9.0, 100.0, 123456.5, 1e9, 1e10, *around(0.5, 8)]
    yield from ((a, n) for a in [1e-300, 1e-20, 0.5, 0.6180339887498949, 1e3, 1e12, *around(1, 10)] for n in ends)
    yield from zip(10 ** rng.uniform(-8, 12, 200), 10 ** rng.uniform(-12, 10, 200), strict=True)
    yield from zip(10 ** rng.uniform(-2, 1.5, 200), rng.integers(0, 30, 200).astype(float), strict=True)


def test_rises_of_lgamma_digamma_and_trigamma():
    for a, n in rises():
        with mpmath.workdps(60):  # 1e12 and 1e-12 differ by 24 digits
            start, end = mpmath.mpf(a), mpmath.mpf(a) + mpmath.mpf(n)
            zeroth = mpmath.loggamma(end) - mpmath.loggamma(start)
            first = mpmath.digamma(end) - mpmath.digamma(start)
            second = mpmath.psi(1, end) - mpmath.psi(1, start)
            moves = n * abs(mpmath.digamma(end)), start * first
        assert error(special.lgamma_rise(a, n), zeroth, *moves) < TOLERANCE, (a, n)
        assert error(special.digamma_rise(a, n), first) < TOLERANCE, (a, n)
        if a > 1e-150:
            assert error(special.trigamma_rise(a, n), second) < TOLERANCE, (a, n)


def test_what_rises_have_beyond_their_leading_terms():
    """Of negative binomial counts near Poisson's, a of 1e8, these are 1e-8 of the rises and of their leading terms."""
    whole = [0.0, 1.0, 2.0, 7.0, 8.0, 9.0, 30.0, 1e3, 1e6]
    for a, n in ((a, n) for a in [1e-3, 0.5, 1.0, 9.0, *around(10), 37.5, 1e3, 1e8, 1e12] for n in whole):
        with mpmath.workdps(60):
            start, size = mpmath.mpf(a), mpmath.mpf(n)
            first = mpmath.digamma(start + size) - mpmath.digamma(start) - size / start
            second = mpmath.psi(1, start + size) - mpmath.psi(1, start) + size / start**2
            if n <= 1:
                first = second = mpmath.mpf(0)
        assert error(special.digamma_beyond(a, n), first) < TOLERANCE, (a, n)
        assert error(special.trigamma_beyond(a, n), second) < TOLERANCE, (a, n)


def test_the_logarithm_beyond_its_argument():
    for x in [1e-300, 1e-100, 1e-9, 1e-3, 0.3, *around(1), 2.5, 1e6, 1e300]:
        with mpmath.workdps(700):
            exact = mpmath.log(1 + mpmath.mpf(x)) - mpmath.mpf(x)
        assert error(special.log1p_beyond(x), exact) < TOLERANCE, x


def test_a_rise_of_nothing_is_nothing():
    for a in (1e-300, 0.5, 1.0, 3.5, 10.0, 1e12):
        assert special.lgamma_rise(a, 0) == special.digamma_rise(a, 0) == special.trigamma_rise(a, 0) == 0


class Sphere:
    """mpmath's values at kappa on the sphere of d dimensions."""

    def __init__(self, d, kappa):
        # 1 - A loses as many digits as kappa has, and the power series is 1 plus kappa^2
        with mpmath.workdps(60 if kappa > 1e-8 else 400):
            x, nu = mpmath.mpf(kappa), mpmath.mpf(d) / 2 - 1
            zeroth, first = (mpmath.hyp0f1(nu + 1 + i, x * x / 4) for i in (0, 1))
            self.length = x / (2 * (nu + 1)) * first / zeroth
            self.shortfall = 1 - self.length
            self.slope = 1 - self.length**2 - (2 * nu + 1) / (2 * (nu + 1)) * first / zeroth
            self.reduced = mpmath.log(zeroth)
            self.log_i = nu * mpmath.log(x / 2) - mpmath.loggamma(nu + 1) + self.reduced
            self.log_i_moves = nu + x * self.length, 1e-300
            self.scaled = self.log_i - x
            self.scaled_moves = 1, nu * (1 + abs(mpmath.log(x / 2)))
            area = mpmath.log(2) + mpmath.mpf(d) / 2 * mpmath.log(mpmath.pi) - mpmath.loggamma(mpmath.mpf(d) / 2)
            self.normaliser = -area - self.reduced


def spheres():
    """Orders and concentrations; the series of kappa ends at sqrt(nu^2 + kappa^2) = 50 and kappa^2 = 16 (nu + 1)."""
    rng = np.random.default_rng(2)
    for d in (2, 3, 4, 5, 7, 18, 19, 21, 22, 23, 50, 101, 102, 103, 300, 1000, 10_000, 100_000):
        nu = d / 2 - 1
        seams = around(*np.sqrt([max(2500 - nu**2, 1.0), 16 * (nu + 1)]))
        yield from ((d, kappa) for kappa in (1e-145, 1e-20, 1e-4, *seams, *10 ** rng.uniform(-3, 4, 8)))
    yield from ((d, 10.0**power) for d in (2, 3, 50, 1000) for power in (6, 8, 12))
    yield 10_000, 1e6


def test_bessel_functions_and_the_sphere(doors):
    for d, kappa in spheres():
        nu, exact = d / 2 - 1, Sphere(d, kappa)
        length, shortfall, slope = doors.mean_resultant(d, kappa)
        assert special.mean_resultant_length(d, kappa) == length
        for value, expected, tolerance, moves in (
            (length, exact.length, TOLERANCE, ()),
            (shortfall, exact.shortfall, TOLERANCE, ()),
            (slope, exact.slope, SLOPE_TOLERANCE, ()),
            (special.log_bessel_i_reduced(nu, kappa), exact.reduced, TOLERANCE, ()),
            (special.log_bessel_i(nu, kappa), exact.log_i, TOLERANCE, exact.log_i_moves),
            (special.log_bessel_i_scaled(nu, kappa), exact.scaled, TOLERANCE, exact.scaled_moves),
            (special.log_sphere_normaliser(d, kappa), exact.normaliser, TOLERANCE, (kappa * exact.length, 1)),
        ):
            assert error(value, expected, *moves, 0) < tolerance, (d, kappa, value, expected)


def test_concentrations_have_the_mean_resultant_lengths_that_they_are_asked_for(doors):
    rng = np.random.default_rng(3)
    lengths = [1e-300, 1e-10, 0.01, 0.999, 1 - 1e-9, 1 - 1e-14, *around(0.5), *rng.uniform(size=10)]
    for d in (2, 3, 10, 19, 102, 1000, 10_000):
        for length in lengths:
            kappa = special.concentration(d, length)
            with mpmath.workdps(40):  # the length that belongs to this concentration, and how far it is, in kappa
                found, shortfall, slope = map(mpmath.mpf, doors.mean_resultant(d, kappa))
                if length > 0.5:
                    found = 1 - shortfall
                assert abs(found - mpmath.mpf(length)) / slope < 1e-12 * kappa, (d, length)


def test_the_ends_of_the_concentration(doors):
    for d in (2, 3, 1000):
        assert special.concentration(d, 0) == 0
        assert special.concentration(d, 1) == np.inf
        assert doors.mean_resultant(d, 0) == (0, 1, pytest.approx(1 / d))
    assert special.log_bessel_i(0, 0) == special.log_bessel_i_scaled(0, 0) == special.log_bessel_i_reduced(3, 0) == 0
    assert special.log_bessel_i(0.5, 0) == -np.inf


def test_the_normaliser_of_three_dimensions():
    """kappa / (4 pi sinh kappa), and one over the sphere's area at zero."""
    for kappa in (1e-3, 1.0, 30.0, 600.0):
        expected = np.log(kappa) - np.log(2 * np.pi) - kappa - np.log1p(-np.exp(-2 * kappa))
        assert special.log_sphere_normaliser(3, kappa) == pytest.approx(expected, rel=1e-13)
    assert special.log_sphere_normaliser(3, 0) == pytest.approx(-np.log(4 * np.pi), rel=1e-15)
