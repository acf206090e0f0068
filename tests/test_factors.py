"""Mixtures of factor analysers: against dense covariances, scikit-learn's FactorAnalysis and probabilistic PCA."""

import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.exceptions import ConvergenceWarning

import mixfast
from mixfast import GaussianMixture, Status, select
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
    # scikit-learn divides by n - 1; of a column that is constant its covariances are rounding
    wanted = PCA(3, svd_solver="full").fit(X).get_covariance() * (n - 1) / n
    np.testing.assert_allclose(fitted, wanted, rtol=1e-6, atol=1e-12)


# ---- the estimator --------------------------------------------------------------------------------------------------


def analysers(n_components=2, n_factors=2, noise="diag", **options):
    options = {"random_state": 0, "covariance_type": "factor", **options}
    return GaussianMixture(n_components, n_factors=n_factors, factor_noise=noise, **options)


def rows_of_factors(n_rows=600, n_features=9, n_factors=2, seed=3):
    """Two groups about the same mean, nearly, with loadings of their own, and which group each row is of."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=n_rows)
    loadings = 2 * rng.normal(size=(2, n_features, n_factors))
    rows = np.einsum("njq,nq->nj", loadings[labels], rng.normal(size=(n_rows, n_factors)))
    return rows + labels[:, np.newaxis] + rng.normal(size=(n_rows, n_features)), labels


def test_one_component_is_factor_analysis():
    X = load_wine().data
    own = FactorAnalysis(2, tol=1e-10, max_iter=10_000, svd_method="lapack").fit(X / X.std(axis=0))
    model = analysers(1, tol=1e-12, max_iter=5000, regularization="relative").fit(X)
    assert model.score(X) + np.log(X.std(axis=0)).sum() == pytest.approx(own.score(X / X.std(axis=0)), abs=1e-8)
    spreads = X.std(axis=0)
    fitted = model.covariances_[0] / np.multiply.outer(spreads, spreads)
    np.testing.assert_allclose(fitted, own.get_covariance(), atol=1e-4)


def test_one_component_with_spherical_noise_is_probabilistic_pca():
    X = load_digits().data[:, 18:46:3]
    model = analysers(1, 3, "spherical", tol=1e-13, max_iter=2000).fit(X)
    wanted = PCA(3, svd_solver="full").fit(X).get_covariance() * (len(X) - 1) / len(X)
    np.testing.assert_allclose(model.covariances_[0], wanted, atol=1e-4)  # variances of about 30; `tol` stops it


@pytest.mark.parametrize("noise", NOISES)
def test_factors_of_their_own_are_found(noise):
    X, labels = rows_of_factors()
    model = analysers(noise=noise, n_init=5, init_params="random", max_iter=500, tol=1e-6).fit(X)
    assert model.converged_
    assert np.min(np.diff(model.lower_bounds_)) > -1e-12
    agreed = np.mean(model.predict(X) == labels)
    assert max(agreed, 1 - agreed) > 0.97
    # full covariances have 45 numbers each, these 27
    assert model.bic(X) < GaussianMixture(2, n_init=5, init_params="random", random_state=0).fit(X).bic(X)


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
def test_every_start_leaves_loadings_that_the_rows_have(init_params):
    """A component that begins as one row has a scatter of zero; loadings of zero would stay so."""
    X, _ = rows_of_factors()
    model = analysers(init_params=init_params, max_iter=500, tol=1e-6).fit(X)
    explained = np.sum(model.loadings_**2, axis=(1, 2))
    assert np.all(explained > 0.5 * np.sum(model.noise_variances_, axis=1))
    assert model.score(X) == pytest.approx(analysers(max_iter=500, tol=1e-6, n_init=5).fit(X).score(X), abs=0.05)


def test_the_number_of_factors_is_chosen():
    X, _ = rows_of_factors()
    chosen = select(X, analysers(init_params="random", n_init=5), n_components=[2], n_factors=[1, 2, 3], random_state=0)
    assert chosen.best_params_["n_factors"] == 2
    alone = analysers(2, 3).fit(X)
    rotations = 3
    assert alone._family().n_parameters(2, 9) == 2 * (9 + 9 * 3 - rotations + 9)
    assert analysers(2, 3, "tied_spherical")._family().n_parameters(2, 9) == 2 * (9 + 9 * 3 - rotations) + 1


def test_draws_have_the_covariances():
    X, _ = rows_of_factors()
    model = analysers(1).fit(X)
    drawn = model.sample(200_000)[0]
    np.testing.assert_allclose(np.cov(drawn.T), model.covariances_[0], atol=0.15)


def test_covariances_are_made_of_loadings():
    X, _ = rows_of_factors()
    model = analysers().fit(X)
    old = model.covariances_
    wanted = model.loadings_ @ np.swapaxes(model.loadings_, 1, 2) + [np.diag(own) for own in model.noise_variances_]
    np.testing.assert_allclose(old, wanted, rtol=1e-14)
    np.testing.assert_allclose(model.precisions_ @ old, [np.eye(9)] * 2, atol=1e-10)
    model.loadings_ = 2 * model.loadings_
    assert np.all(np.trace(model.covariances_, axis1=1, axis2=2) > np.trace(old, axis1=1, axis2=2))
    with pytest.raises(AttributeError, match="covariances_ is made of loadings_ and noise_variances_: assign these"):
        model.covariances_ = old
    model.set_params(covariance_type="full").fit(X)
    assert not hasattr(model, "loadings_")
    model.covariances_ = old


def test_a_model_of_given_parameters(tmp_path):
    X, _ = rows_of_factors()
    model = analysers().fit(X)
    given = {
        "weights": model.weights_,
        "means": model.means_,
        "loadings": model.loadings_,
        "noise_variances": model.noise_variances_,
    }
    again = GaussianMixture.from_parameters(**given, covariance_type="factor", n_factors=2)
    np.testing.assert_array_equal(again.score_samples(X), model.score_samples(X))
    again.save(tmp_path / "model")
    np.testing.assert_array_equal(mixfast.load(tmp_path / "model").score_samples(X), model.score_samples(X))
    with pytest.raises(ValueError, match="loadings should have the shape of"):
        GaussianMixture.from_parameters(**given, covariance_type="factor", n_factors=3)
    with pytest.raises(ValueError, match="loadings was given, and covariance_type='full' takes covariances"):
        GaussianMixture.from_parameters(**given)
    with pytest.raises(ValueError, match="noise_variances should be as factor_noise='tied_diag' has it"):
        GaussianMixture.from_parameters(**given, covariance_type="factor", n_factors=2, factor_noise="tied_diag")
    del given["loadings"]
    with pytest.raises(ValueError, match="loadings of factor analysers should be given"):
        GaussianMixture.from_parameters(**given, covariance_type="factor", n_factors=2)


def test_what_is_not_for_factors_is_refused():
    X, _ = rows_of_factors()
    with pytest.raises(ValueError, match="n_factors=9 should be below the number of columns, 9"):
        analysers(n_factors=9).fit(X)
    with pytest.raises(ValueError, match="precisions_init was given, and covariance_type='factor' has none"):
        analysers(precisions_init=np.ones((2, 9, 9))).fit(X)
    with pytest.raises(ValueError, match="covariance_prior='default' with covariance_type='factor'"):
        analysers(covariance_prior="default").fit(X)
    with pytest.raises(ValueError, match=r"eigenvalue_ratio=2\.0 with covariance_type='factor'"):
        analysers(eigenvalue_ratio=2.0).fit(X)
    model = analysers().fit(X)
    with pytest.raises(TypeError, match="no standard errors"):
        mixfast.bootstrap_inference(model, X, n_draws=3)
    with pytest.raises(ValueError, match="n_factors is 3, and was 2 in that fit"):
        model.set_params(n_factors=3).predict(X)


def test_columns_that_one_factor_is_are_no_place_without_a_bound():
    """Heywood's case: a noise variance of zero, and a covariance that is not singular."""
    rng = np.random.default_rng(0)
    factor = rng.normal(size=500)
    X = np.column_stack([factor, *(0.5 * factor + rng.normal(size=500) for _ in range(5))])
    twice = np.column_stack([X, X[:, 0]])  # now it is
    with warnings.catch_warnings():  # that noise goes to zero for ever
        warnings.simplefilter("ignore", ConvergenceWarning)
        once, again = (analysers(1, 1, tol=1e-8, max_iter=3000).fit(rows) for rows in (X, twice))
    assert once.noise_variances_[0, 0] < 0.01
    assert not once.status_ & Status.SPURIOUS_COMPONENT
    assert again.status_ & Status.SPURIOUS_COMPONENT


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_float32_rows_give_nearly_the_same(offset):
    X, _ = rows_of_factors()
    wide = analysers(tol=1e-5, max_iter=300).fit(X + offset)
    narrow = analysers(tol=1e-5, max_iter=300).fit((X + offset).astype(np.float32))
    assert narrow.loadings_.dtype == np.float32
    assert narrow.score((X + offset).astype(np.float32)) == pytest.approx(wide.score(X + offset), abs=2e-3)


def test_some_columns_of_it_and_some_given_others():
    X, _ = rows_of_factors()
    model = analysers().fit(X)
    margin = model.marginal([4, 1])
    np.testing.assert_allclose(margin.covariances_, model.covariances_[:, [4, 1]][:, :, [4, 1]], rtol=1e-12)
    given = model.condition([0], [1.5])
    joint, alone = model.score_samples(X[:1] * 0 + 1.5), model.marginal([0]).score_samples([[1.5]])
    np.testing.assert_allclose(given.score_samples(np.full((1, 8), 1.5)), joint - alone, rtol=1e-9)
