"""Distributions of y given linear predictors: scipy's, and mixtures of them."""

import numpy as np
import pytest
from scipy import stats

from mixfast.families.conditional import DISTRIBUTIONS, mixture_cdf, mixture_moments, mixture_quantile

ETA = np.linspace(-1.5, 1.5, 7)[:, np.newaxis]
MU = np.exp(ETA[:, 0])
DISPERSIONS = {
    "gaussian": [0.7],
    "student_t": [0.7, 3.5],
    "gamma": [2.2],
    "poisson": [],
    "negative_binomial": [1.7],
    "binomial": [],
    "several trials": [],
}
TRIALS = np.array([1, 5, 0, 3, 10, 7, 20])
OURS = {**DISTRIBUTIONS, "several trials": DISTRIBUTIONS["binomial"].of_trials(TRIALS)}
SCIPY = {
    "gaussian": stats.norm(ETA[:, 0], 0.7),
    "student_t": stats.t(3.5, ETA[:, 0], 0.7),
    "gamma": stats.gamma(2.2, scale=MU / 2.2),
    "poisson": stats.poisson(MU),
    "negative_binomial": stats.nbinom(1.7, 1.7 / (1.7 + MU)),
    "binomial": stats.bernoulli(1 / (1 + 1 / MU)),
    "several trials": stats.binom(TRIALS, 1 / (1 + 1 / MU)),
}


@pytest.mark.parametrize("name", SCIPY)
def test_functions_are_scipys(name):
    ours, dispersion, wanted = OURS[name], DISPERSIONS[name], SCIPY[name]
    np.testing.assert_allclose(ours.mean(ETA, dispersion), wanted.mean(), rtol=1e-12)
    np.testing.assert_allclose(ours.variance(ETA, dispersion), wanted.var(), rtol=1e-12)
    for y in (-1.0, 0.0, 1.0, 2.0, 7.0):
        np.testing.assert_allclose(ours.cdf(np.full(7, y), ETA, dispersion), wanted.cdf(y), rtol=1e-10, atol=1e-15)
    for q in (0.01, 0.3, 0.5, 0.95):
        np.testing.assert_allclose(ours.quantile(q, ETA, dispersion), wanted.ppf(q), rtol=1e-9)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_draws_have_mean_and_variance(name):
    """Within five standard errors of a mean of 20,000, and of their variance."""
    ours, n = DISTRIBUTIONS[name], 20_000
    eta = np.full((n, 1), 0.8) if name != "multinomial" else np.tile([0.8, -0.3], (n, 1))
    dispersion = {"student_t": [0.7, 9.0]}.get(name, DISPERSIONS.get(name, []))
    drawn = ours.draw(np.random.RandomState(0), eta, dispersion)
    values = np.eye(3)[drawn] if name == "multinomial" else drawn
    mean, variance = ours.mean(eta, dispersion)[0], ours.variance(eta, dispersion)[0]
    np.testing.assert_array_less(np.abs(values.mean(axis=0) - mean), 5 * np.sqrt(variance / n))
    np.testing.assert_allclose(values.var(axis=0), variance, rtol=0.1)


def mixture(name):
    """Three components, of which the first rows do without one."""
    etas = np.stack([ETA, ETA + 2, -ETA])
    shares = np.random.default_rng(1).dirichlet([1, 2, 1], size=7)
    shares[:2, 1] = 0
    shares /= shares.sum(axis=1, keepdims=True)
    dispersion = np.array(DISPERSIONS[name])
    return shares, etas, np.stack([dispersion, dispersion * 1.5, dispersion])


@pytest.mark.parametrize("name", SCIPY)
@pytest.mark.parametrize("q", [0.001, 0.1, 0.5, 0.9, 0.999])
def test_quantiles_invert_the_distribution_function(name, q):
    ours, given = OURS[name], mixture(name)
    found = mixture_quantile(ours, q, *given)
    if ours.is_whole:
        assert np.all(found == np.round(found))
        assert np.all(mixture_cdf(ours, found, *given) >= q)
        assert np.all(mixture_cdf(ours, found - 1, *given) < q)
    else:
        np.testing.assert_allclose(mixture_cdf(ours, found, *given), q, rtol=1e-9)


@pytest.mark.parametrize("name", SCIPY)
def test_a_mixture_of_equals_is_one_of_them(name):
    ours, dispersion = OURS[name], np.array(DISPERSIONS[name])
    shares, etas, dispersions = np.full((7, 2), 0.5), np.stack([ETA, ETA]), np.stack([dispersion, dispersion])
    np.testing.assert_allclose(mixture_quantile(ours, 0.3, shares, etas, dispersions), SCIPY[name].ppf(0.3), rtol=1e-9)
    mean, deviation = mixture_moments(ours, shares, etas, dispersions)
    np.testing.assert_allclose(mean, SCIPY[name].mean())
    np.testing.assert_allclose(deviation, SCIPY[name].std())


@pytest.mark.parametrize("name", SCIPY)
def test_moments_are_those_of_draws(name):
    ours = OURS[name]
    shares, etas, dispersions = mixture(name)
    if name == "student_t":
        dispersions[:, 1] = 9
    mean, deviation = mixture_moments(ours, shares, etas, dispersions)
    rng, n, row = np.random.RandomState(2), 40_000, 5
    component = rng.choice(3, p=shares[row], size=n)
    drawn = np.concatenate(
        [
            ours.of_rows(np.full(count, row)).draw(rng, np.full((count, 1), etas[k, row, 0]), dispersions[k])
            for k, count in enumerate(np.bincount(component, minlength=3))
        ]
    )
    assert abs(drawn.mean() - mean[row]) < 5 * deviation[row] / np.sqrt(n)
    assert drawn.std() == pytest.approx(deviation[row], rel=0.05)


def test_a_component_without_variance_does_not_matter_where_it_has_no_share():
    shares, etas = np.array([[1.0, 0.0], [0.5, 0.5]]), np.zeros((2, 2, 1))
    _, deviation = mixture_moments(DISTRIBUTIONS["student_t"], shares, etas, np.array([[1.0, 4.0], [1.0, 1.5]]))
    np.testing.assert_allclose(deviation, [np.sqrt(2), np.inf])


def test_predictors_that_overflow_stay_finite():
    eta = np.array([[1e4]])
    assert np.isfinite(DISTRIBUTIONS["poisson"].mean(eta, [])).all()
    assert np.isfinite(DISTRIBUTIONS["poisson"].score(np.array([1.0]), eta, [])).all()
    assert DISTRIBUTIONS["binomial"].score(np.array([[1.0, 0.0]]), -eta, [])[0, 0] == pytest.approx(1)


@pytest.mark.parametrize(("name", "width"), [("binomial", 2), ("multinomial", 3)])
def test_draws_like_others_have_their_trials(name, width):
    rng = np.random.RandomState(3)
    y = rng.poisson(4, size=(4000, width)).astype(float)
    eta = np.tile([0.8, -0.3][: width - 1], (4000, 1))
    drawn = DISTRIBUTIONS[name].draw_like(rng, y, eta, [])
    np.testing.assert_array_equal(drawn.sum(axis=1), y.sum(axis=1))
    share = DISTRIBUTIONS[name].mean(eta, [])[0]
    first = share if name == "binomial" else share[0]
    assert drawn[:, 0].sum() / y.sum() == pytest.approx(first, abs=0.02)
