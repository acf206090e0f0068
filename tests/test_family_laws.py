"""Densities are densities, agree with SciPy's, and samples come from them."""

import itertools

import numpy as np
import pytest
from scipy import stats

from mixfast import BernoulliMixture, GaussianMixture

STRUCTURES = ["full", "tied", "diag", "spherical"]


def gaussian_model(covariance_type, n_components, n_features, rng):
    """A model put together by hand, and its covariances as matrices."""
    factor = rng.standard_normal((n_components, n_features, n_features + 2))
    full = factor @ np.swapaxes(factor, 1, 2) / n_features + 0.3 * np.eye(n_features)
    variances = rng.uniform(0.5, 2, (n_components, n_features))
    covariances, matrices = {
        "full": (full, full),
        "tied": (full[0], [full[0]] * n_components),
        "diag": (variances, [np.diag(row) for row in variances]),
        "spherical": (variances[:, 0], [value * np.eye(n_features) for value in variances[:, 0]]),
    }[covariance_type]
    model = GaussianMixture(n_components, covariance_type=covariance_type, random_state=0)
    model.weights_ = rng.dirichlet(np.full(n_components, 5.0))
    model.means_ = 2 * rng.standard_normal((n_components, n_features))
    model.covariances_ = covariances
    if covariance_type in ("full", "tied"):
        model.precisions_cholesky_ = np.swapaxes(np.linalg.inv(np.linalg.cholesky(covariances)), -1, -2)
    else:
        model.precisions_cholesky_ = covariances**-0.5
    model.n_features_in_ = n_features
    return model, matrices


@pytest.mark.parametrize("n_features", [1, 2, 5, 20])
@pytest.mark.parametrize("covariance_type", STRUCTURES)
def test_gaussian_densities_equal_scipys(covariance_type, n_features):
    rng = np.random.default_rng(n_features)
    model, matrices = gaussian_model(covariance_type, 3, n_features, rng)
    X = 3 * rng.standard_normal((200, n_features))
    parts = [stats.multivariate_normal(mean, matrix) for mean, matrix in zip(model.means_, matrices, strict=True)]
    density = np.sum([w * np.reshape(p.pdf(X), -1) for w, p in zip(model.weights_, parts, strict=True)], axis=0)
    np.testing.assert_allclose(model.score_samples(X), np.log(density), rtol=1e-11)
    joint = np.array([w * np.reshape(p.pdf(X), -1) for w, p in zip(model.weights_, parts, strict=True)]).T
    np.testing.assert_allclose(model.predict_proba(X), joint / density[:, np.newaxis], rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("covariance_type", STRUCTURES)
def test_gaussian_densities_integrate_to_one(covariance_type):
    rng = np.random.default_rng(1)
    model, _ = gaussian_model(covariance_type, 3, 2, rng)
    step = 0.05
    grid = np.arange(-20, 20, step)
    points = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    assert np.exp(model.score_samples(points)).sum() * step**2 == pytest.approx(1, abs=1e-9)


def test_bernoulli_probabilities_sum_to_one_and_equal_scipys():
    rng = np.random.default_rng(2)
    model = BernoulliMixture(3, binarize=None)
    model.weights_ = rng.dirichlet(np.ones(3))
    model.probabilities_ = rng.uniform(size=(3, 8))
    model.n_features_in_ = 8
    X = np.array(list(itertools.product([0.0, 1.0], repeat=8)))
    expected = np.exp([[stats.bernoulli.logpmf(row, p).sum() for p in model.probabilities_] for row in X])
    np.testing.assert_allclose(np.exp(model.score_samples(X)), expected @ model.weights_, rtol=1e-12)
    assert np.exp(model.score_samples(X)).sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("covariance_type", STRUCTURES)
def test_samples_have_the_moments_of_their_components(covariance_type):
    rng = np.random.default_rng(3)
    model, matrices = gaussian_model(covariance_type, 3, 2, rng)
    X, labels = model.sample(60_000)
    assert X.shape == (60_000, 2)
    assert (np.diff(labels) >= 0).all()
    counts = np.bincount(labels, minlength=3)
    # five standard deviations of each estimate
    np.testing.assert_allclose(counts / 60_000, model.weights_, atol=5 * np.sqrt(0.25 / 60_000))
    for k in range(3):
        own = X[labels == k]
        scale = np.sqrt(np.diag(matrices[k]))
        np.testing.assert_array_less(np.abs(own.mean(axis=0) - model.means_[k]) / scale, 5 / np.sqrt(len(own)))
        error = (np.cov(own.T) - matrices[k]) / np.outer(scale, scale)
        np.testing.assert_array_less(np.abs(error), 5 * np.sqrt(2 / len(own)))


def test_a_fit_recovers_the_model_that_made_the_data():
    rng = np.random.default_rng(4)
    truth, _ = gaussian_model("full", 3, 2, rng)
    truth.means_ = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    X, _ = truth.sample(30_000, random_state=0)
    fit = GaussianMixture(3, random_state=0, n_init=3, tol=1e-6).fit(X)
    order = [int(np.argmin(((fit.means_ - mean) ** 2).sum(axis=1))) for mean in truth.means_]
    np.testing.assert_allclose(fit.weights_[order], truth.weights_, atol=0.02)
    np.testing.assert_allclose(fit.means_[order], truth.means_, atol=0.08)
    np.testing.assert_allclose(fit.covariances_[order], truth.covariances_, atol=0.15)
    assert fit.score(X) >= truth.score(X)


def test_bernoulli_samples_and_recovery():
    rng = np.random.default_rng(5)
    truth = BernoulliMixture(2, binarize=None)
    truth.weights_ = np.array([0.3, 0.7])
    certain = rng.choice([0.1, 0.9], size=12)
    truth.probabilities_ = np.array([certain, 1 - certain])
    truth.n_features_in_ = 12
    X, labels = truth.sample(20_000, random_state=0)
    assert set(np.unique(X)) == {0.0, 1.0}
    fit = BernoulliMixture(2, alpha=0, binarize=None, random_state=0).fit(X)
    order = np.argsort(fit.weights_)
    np.testing.assert_allclose(fit.weights_[order], truth.weights_, atol=0.02)
    np.testing.assert_allclose(fit.probabilities_[order], truth.probabilities_, atol=0.03)
    assert (fit.predict(X) == np.argsort(order)[labels]).mean() > 0.99
