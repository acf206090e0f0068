"""BernoulliMixture's own behaviour: the threshold, the prior, certain columns."""

import numpy as np
import pytest

from mixfast import BernoulliMixture, Status


def answers(n_rows=1000):
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=n_rows)
    return (rng.uniform(size=(n_rows, 8)) < np.where(labels[:, np.newaxis], 0.85, 0.2)).astype(float), labels


def test_two_kinds_of_answers_are_told_apart():
    X, labels = answers()
    found = BernoulliMixture(2, random_state=0).fit_predict(X)
    assert max((found == labels).mean(), (found != labels).mean()) > 0.97


def test_values_above_the_threshold_count_as_one():
    X, _ = answers()
    usual = BernoulliMixture(2, random_state=0).fit(X)
    shifted = BernoulliMixture(2, binarize=7.5, random_state=0).fit(7 + X)
    assert shifted.lower_bounds_ == usual.lower_bounds_
    np.testing.assert_array_equal(shifted.predict(7 + X), usual.predict(X))
    plain = BernoulliMixture(2, binarize=None, random_state=0).fit(X)
    assert plain.lower_bounds_ == usual.lower_bounds_


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0, 20.0])
def test_the_prior_adds_pseudo_counts_and_the_objective_holds_it(alpha):
    X, _ = answers()
    model = BernoulliMixture(1, alpha=alpha, tol=0, max_iter=3)
    with pytest.warns(UserWarning, match="did not converge"):
        model.fit(X)
    expected = (X.sum(axis=0) + alpha) / (len(X) + 2 * alpha)
    np.testing.assert_allclose(model.probabilities_[0], expected, rtol=1e-12)
    prior = alpha * np.log(expected * (1 - expected)).sum()
    assert model.lower_bound_ == pytest.approx(model.score(X) + prior / len(X), rel=1e-12)


def test_the_penalised_objective_never_falls():
    X, _ = answers()
    for seed in range(5):
        model = BernoulliMixture(4, alpha=2.0, tol=1e-9, max_iter=5000, random_state=seed).fit(X)
        assert np.diff(model.lower_bounds_).min() >= -1e-9 * abs(model.lower_bound_)


def test_a_row_that_certain_columns_exclude_is_minus_infinity_and_shared():
    model = BernoulliMixture(2, binarize=None)
    model.weights_ = np.array([0.25, 0.75])
    model.probabilities_ = np.array([[1.0, 0.0, 0.5], [1.0, 0.2, 0.5]])
    model.n_features_in_ = 3
    X = np.array([[1.0, 0, 1], [1, 1, 0], [0, 0, 1]])
    with pytest.warns(UserWarning, match="density zero under every component"):
        scores = model.score_samples(X)
    np.testing.assert_allclose(scores, [np.log(0.25 * 0.5 + 0.75 * 0.8 * 0.5), np.log(0.75 * 0.2 * 0.5), -np.inf])
    with pytest.warns(UserWarning, match="density zero under every component"):
        resp = model.predict_proba(X)
    np.testing.assert_allclose(resp[1:], [[0, 1], [0.5, 0.5]])
    np.testing.assert_allclose(resp.sum(axis=1), 1)


def test_maximum_likelihood_copes_with_columns_that_never_vary():
    X, _ = answers(200)
    X[:, 0], X[:, 1] = 1, 0
    model = BernoulliMixture(2, alpha=0, random_state=0).fit(X)
    np.testing.assert_array_equal(model.probabilities_[:, :2], [[1, 0], [1, 0]])
    assert np.isfinite(model.score(X))
    assert model.status_ == Status.CONVERGED
    with pytest.warns(UserWarning, match="density zero under every component"):
        assert model.score_samples(1 - X[:1])[0] == -np.inf
