"""Mixtures of factor analysers: against dense covariances, scikit-learn's FactorAnalysis and probabilistic PCA."""

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.decomposition import PCA, FactorAnalysis

from mixfast._reference import em
from mixfast._reference.factors import Factors

NOISES = ("diag", "spherical", "tied_diag", "tied_spherical")


def some_params(rng, n_components, n_features, n_factors):
    return (
        rng.normal(size=(n_components, n_features)),
        rng.normal(size=(n_components, n_features, n_factors)),
        rng.uniform(0.2, 2, (n_components, n_features)),
    )


def begun(X, labels, n_components, n_factors, family):
    """Weights and parameters after three M-steps from labels."""
    rng = np.random.default_rng(0)
    d = X.shape[1]
    params = (
        np.zeros((n_components, d)),
        np.repeat(rng.normal(size=(1, d, n_factors)), n_components, axis=0),
        np.ones((n_components, d)),
    )
    resp = np.eye(n_components)[labels]
    family.further_start_passes = 1
    return em.start(X, resp, np.full(n_components, 1 / n_components), family, params)


def test_the_twin_has_the_density_of_the_dense_covariance():
    rng = np.random.default_rng(1)
    means, loadings, noise = params = some_params(rng, 3, 7, 2)
    X = rng.normal(size=(40, 7))
    dense = [
        stats.multivariate_normal(mean, W @ W.T + np.diag(psi)).logpdf(X)
        for mean, W, psi in zip(means, loadings, noise, strict=True)
    ]
    np.testing.assert_allclose(Factors().log_density(X, params), np.transpose(dense), rtol=1e-12)


@pytest.mark.parametrize("noise", NOISES)
def test_the_twin_never_lowers_the_likelihood(noise):
    X, y = load_iris(return_X_y=True)
    family = Factors(noise)
    weights, params = begun(X, y, 3, 2, family)
    bounds = em.fit(X, None, weights, family, params, 200)[2]
    assert np.min(np.diff(bounds)) > -1e-12
    assert bounds[-1] > bounds[0] + 0.001


def test_the_twin_of_one_component_is_factor_analysis():
    X = load_wine().data
    X = X / X.std(axis=0)
    own = FactorAnalysis(2, tol=1e-10, max_iter=10_000, svd_method="lapack").fit(X)
    family = Factors()
    weights, params = begun(X, np.zeros(len(X), dtype=int), 1, 2, family)
    bounds = em.fit(X, None, weights, family, params, 1000)[2]
    assert bounds[-1] == pytest.approx(own.score(X), abs=1e-9)


def test_the_twin_of_one_component_with_spherical_noise_is_probabilistic_pca():
    X = load_digits().data[:, 18:46:3]
    n, d = X.shape
    values = np.linalg.eigvalsh(np.cov(X.T, bias=True))[::-1]  # Tipping & Bishop 1999
    sigma2 = values[3:].mean()
    best = -0.5 * (d * np.log(2 * np.pi) + np.sum(np.log(values[:3])) + (d - 3) * np.log(sigma2) + d)
    family = Factors("spherical")
    weights, params = begun(X, np.zeros(n, dtype=int), 1, 3, family)
    weights, params, bounds = em.fit(X, None, weights, family, params, 300)
    assert bounds[-1] == pytest.approx(best, abs=1e-10)
    fitted = params[1][0] @ params[1][0].T + np.diag(params[2][0])
    # scikit-learn divides by n - 1
    np.testing.assert_allclose(fitted, PCA(3, svd_solver="full").fit(X).get_covariance() * (n - 1) / n, rtol=1e-6)
