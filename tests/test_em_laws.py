"""Laws of EM, for every family: the objective never falls, a limit is a fixed point and a stationary one."""

import numpy as np
import pytest
from twins import EVERY_FAMILY, FACTORS, make_em, random_weights

from mixfast import BernoulliMixture, GaussianMixture
from mixfast._reference import em as reference


def never_falls(objectives):
    """The smallest step is not below zero, but for rounding."""
    objectives = np.asarray(objectives, dtype=float)
    return np.diff(objectives).min() >= -1e-9 * np.abs(objectives).max()


def started(name, seed, n_rows=2000, n_components=3, n_features=3):
    rng = np.random.default_rng(seed)
    twins = EVERY_FAMILY[name]
    X = twins.make_rows(rng, n_rows, n_features)
    return X, make_em(twins, X, random_weights(rng, n_components), twins.make_params(rng, n_components, n_features))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", EVERY_FAMILY)
def test_the_objective_never_falls(name, seed):
    _, em = started(name, seed)
    objectives, _ = em.iterate(100, 0)
    assert len(objectives) == 100
    assert never_falls(objectives)
    assert objectives[-1] > objectives[0] + 1e-3


def test_a_fall_would_be_seen():
    assert not never_falls([-3.0, -2.0, -2.0 - 1e-6, -1.0])


@pytest.mark.parametrize("name", EVERY_FAMILY)
def test_a_converged_fit_is_a_fixed_point(name):
    # of three columns noise goes to zero, or factors may turn freely: EM creeps
    _, em = started(name, 0, n_rows=500, n_features=8 if name in FACTORS else 3)
    em.iterate(20_000, 0)
    weights, params = em.state()
    em.step()
    np.testing.assert_allclose(em.state()[0], weights, rtol=1e-7, atol=1e-9)  # a component may be on its way out
    np.testing.assert_allclose(em.state()[1], params, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_the_gradient_of_the_log_likelihood_vanishes_at_the_limit(covariance_type, monkeypatch):
    rng = np.random.default_rng(1)
    X = np.concatenate([rng.standard_normal((300, 2)), 3 + rng.standard_normal((300, 2)) * [1, 2]])
    model = GaussianMixture(2, covariance_type=covariance_type, reg_covar=0, tol=0, max_iter=2000, random_state=0)
    with pytest.warns(UserWarning, match="did not converge"):
        model.fit(X)
    best = model.score(X)
    for attribute, step in (("means_", 1e-4), ("precisions_cholesky_", 1e-4)):
        usual = getattr(model, attribute)
        for index in np.ndindex(usual.shape):
            if usual[index] == 0:
                continue  # below the diagonal of a triangular factor
            scores = []
            for sign in (-1, 1):
                moved = usual.copy()
                moved[index] += sign * step
                monkeypatch.setattr(model, attribute, moved)
                scores.append(model.score(X))
            monkeypatch.setattr(model, attribute, usual)
            assert abs(scores[1] - scores[0]) / (2 * step) < 1e-6
            assert max(scores) < best


def test_one_component_is_fitted_in_closed_form():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((500, 3)) @ np.diag([1, 2, 3]) + 10
    weight = rng.uniform(0.5, 2, 500)
    mean = np.average(X, axis=0, weights=weight)
    covariance = np.cov(X.T, aweights=weight, ddof=0)
    full = GaussianMixture(1, reg_covar=0).fit(X, sample_weight=weight)
    np.testing.assert_allclose(full.means_[0], mean, rtol=1e-12)
    np.testing.assert_allclose(full.covariances_[0], covariance, rtol=1e-11, atol=1e-12)
    diag = GaussianMixture(1, covariance_type="diag", reg_covar=0).fit(X, sample_weight=weight)
    np.testing.assert_allclose(diag.covariances_[0], np.diag(covariance), rtol=1e-11)
    spherical = GaussianMixture(1, covariance_type="spherical", reg_covar=0).fit(X, sample_weight=weight)
    np.testing.assert_allclose(spherical.covariances_[0], np.trace(covariance) / 3, rtol=1e-11)
    binary = (X > 10).astype(float)
    coins = BernoulliMixture(1, alpha=0).fit(binary, sample_weight=weight)
    np.testing.assert_allclose(coins.probabilities_[0], np.average(binary, axis=0, weights=weight), rtol=1e-12)


@pytest.mark.parametrize("name", EVERY_FAMILY)
def test_the_loop_equals_the_twins_loop(name):
    rng = np.random.default_rng(3)
    twins = EVERY_FAMILY[name]
    X, weights, params = twins.make_rows(rng, 1500, 3), random_weights(rng, 3), twins.make_params(rng, 3, 3)
    em = make_em(twins, X, weights, params)
    objectives, _ = em.iterate(15, 0)
    expected_weights, expected_params, expected = reference.fit(X, None, weights, twins.reference, tuple(params), 15)
    np.testing.assert_allclose(objectives, expected, rtol=1e-12)
    # rounding grows a little from step to step
    np.testing.assert_allclose(em.state()[0], expected_weights, rtol=1e-10)
    for got, wanted in zip(
        twins.compiled.params_layout(3, X.shape[1]).view(em.state()[1]), expected_params, strict=True
    ):
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-10)


def test_iterations_stop_when_the_objective_moves_by_less_than_tol():
    _, em = started("full", 0)
    objectives, converged = em.iterate(1000, 1e-5)
    steps = np.abs(np.diff(objectives))
    assert converged
    assert steps[-1] < 1e-5
    assert (steps[:-1] >= 1e-5).all()
