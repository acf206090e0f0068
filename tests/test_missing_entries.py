"""Missing entries of Gaussian mixtures: golden values, direct maximisation, laws."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

from mixfast import (
    BayesianGaussianMixture,
    GaussianMixture,
    MultinomialMixture,
    Status,
    StudentTMixture,
    fit_many,
    fit_many_groups,
    select,
)

DATA = Path(__file__).parent / "data"
CASES = json.loads((DATA / "known_and_missing.json").read_text())["missing"]
STRUCTURES = ("full", "tied", "diag", "spherical", "VVV", "EEE", "VEV", "EVI", "VVE")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def read(case):
    X = np.loadtxt(DATA / f"{case['data']}.csv", delimiter=",", skiprows=1)
    X[tuple(np.transpose(case["mask"]))] = np.nan
    return X


def with_holes(n=400, d=4, share=0.2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 5 * rng.integers(0, 2, size=(n, 1))
    X[rng.random((n, d)) < share] = np.nan
    return X


def log_densities(model, X):
    """(n, K), of what is there, by SciPy."""
    out = np.zeros((len(X), len(model.weights_)))
    for k, (mean, covariance) in enumerate(zip(model.means_, model.covariance_matrices(), strict=True)):
        for i, x in enumerate(X):
            there = ~np.isnan(x)
            if there.any():
                out[i, k] = stats.multivariate_normal(mean[there], covariance[np.ix_(there, there)]).logpdf(x[there])
    return out


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['data']}-{case['G']}-{case['covariance_type']}")
def test_the_course_and_the_limit_are_the_reference(case):
    X, start = read(case), case["start"]
    precisions = np.diag(1 / np.array(start["variances"]))
    if case["covariance_type"] == "full":
        precisions = np.array([precisions] * case["G"])
    model = GaussianMixture(
        case["G"],
        covariance_type=case["covariance_type"],
        weights_init=start["weights"],
        means_init=start["means"],
        precisions_init=precisions,
        reg_covar=0,
        tol=0.0,
        max_iter=20,
    ).fit(X)
    for i, bound in case["loglik_before_m_step"].items():
        assert model.lower_bounds_[int(i) - 1] * len(X) == pytest.approx(bound, rel=1e-10)
    model.set_params(tol=1e-13, max_iter=3000).fit(X)
    assert model.lower_bound_ * len(X) == pytest.approx(case["loglik"], rel=1e-9)
    np.testing.assert_allclose(model.weights_, case["weights"], atol=1e-6)
    np.testing.assert_allclose(model.means_, case["means"], atol=1e-5)
    expected = np.array(case["covariances"]).reshape(model.covariances_.shape)
    np.testing.assert_allclose(model.covariances_, expected, atol=1e-5)
    assert model._n_parameters() == case["df"]
    filled = model.impute(X)
    for own in case["conditional_means"]:
        np.testing.assert_allclose(filled[own["row"], own["columns"]], own["values"], rtol=1e-5)
    np.testing.assert_array_equal(filled[~np.isnan(X)], X[~np.isnan(X)])


@pytest.mark.parametrize("covariance_type", STRUCTURES)
def test_densities_are_those_of_what_is_there(covariance_type):
    X = with_holes(120, share=0.4)
    X[3] = np.nan
    model = GaussianMixture(2, covariance_type=covariance_type, random_state=0, max_iter=20).fit(X)
    joint = log_densities(model, X) + np.log(model.weights_)
    np.testing.assert_allclose(model.score_samples(X), logsumexp(joint, axis=1), rtol=1e-8, atol=1e-9)
    resp = np.exp(joint - logsumexp(joint, axis=1)[:, np.newaxis])
    np.testing.assert_allclose(model.predict_proba(X), resp, atol=1e-8)
    np.testing.assert_allclose(model.predict_proba(X)[3], model.weights_, atol=1e-9)
    assert model.predict(X).tolist() == resp.argmax(axis=1).tolist()


@pytest.mark.parametrize("covariance_type", STRUCTURES)
@pytest.mark.parametrize("init_params", ["kmeans", "random"])  # of single rows, repairs of covariances may lower it
def test_the_likelihood_never_falls(covariance_type, init_params):
    X = with_holes()
    model = GaussianMixture(
        2, covariance_type=covariance_type, init_params=init_params, random_state=0, tol=0.0, max_iter=60, reg_covar=0
    ).fit(X)
    bounds = np.array(model.lower_bounds_)
    assert np.all(np.diff(bounds) > -1e-9 * (1 + np.abs(bounds[1:])))
    assert not model.status_ & Status.LOWER_BOUND_FELL


def test_the_limit_is_a_maximum():
    """The gradient of the likelihood in means and variances, by differences, is zero."""
    X = with_holes(200, 3)
    model = GaussianMixture(2, random_state=0, tol=1e-13, max_iter=5000, reg_covar=0).fit(X)
    best = model.score(X)
    for name in ("means", "covariances"):
        array = np.array(getattr(model, f"{name}_"))
        for k in range(2):
            for step in (1e-3, -1e-3):
                moved = array.copy()
                moved[k] *= 1 + step
                given = {"means": model.means_, "covariances": model.covariances_} | {name: moved}
                other = GaussianMixture.from_parameters(weights=model.weights_, **given)
                assert other.score(X) < best + 1e-9


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
def test_threads_change_no_bit_and_acceleration_no_limit(covariance_type):
    X = with_holes(3000)
    options = {"covariance_type": covariance_type, "random_state": 0, "max_iter": 300, "tol": 1e-9}
    one, three = (GaussianMixture(2, n_threads=n, **options).fit(X) for n in (1, 3))
    np.testing.assert_array_equal(one.means_, three.means_)
    np.testing.assert_array_equal(one.covariances_, three.covariances_)
    quick = GaussianMixture(2, accelerate="auto", **options).fit(X)
    assert quick.lower_bound_ == pytest.approx(one.lower_bound_, abs=1e-6)


def test_weights_are_repetitions_and_float32_is_close():
    X = with_holes(150)
    weights = np.random.default_rng(1).integers(0, 3, size=len(X))
    options = {"init_params": "kmeans", "random_state": 0, "max_iter": 30, "tol": 0.0}
    weighted = GaussianMixture(2, **options).fit(X, sample_weight=weights)
    repeated = GaussianMixture(2, **options).fit(np.repeat(X, weights, axis=0))
    np.testing.assert_allclose(weighted.means_, repeated.means_, rtol=1e-6)
    single = GaussianMixture(2, **options).fit(X.astype(np.float32))
    assert single.means_.dtype == np.float32
    double = GaussianMixture(2, **options).fit(X.astype(np.float32).astype(np.float64))
    np.testing.assert_allclose(single.means_, double.means_, rtol=1e-5)


def test_complete_rows_are_fitted_as_ever():
    X = with_holes(share=0.0)
    model = GaussianMixture(2, random_state=0, tol=1e-10, max_iter=500).fit(X)
    holed = np.vstack([X, np.full((1, 4), np.nan)])  # a row without an entry says nothing
    other = GaussianMixture(2, random_state=0, tol=1e-10, max_iter=500).fit(holed)
    np.testing.assert_allclose(other.means_, model.means_, rtol=1e-4)
    assert other.bic(holed) == pytest.approx(other.bic(X), rel=1e-12)
    assert other.icl(holed) == pytest.approx(other.icl(X), rel=1e-12)
    assert other.aic(holed) == pytest.approx(other.aic(X), rel=1e-12)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "spherical"])
def test_draws_have_the_conditional_moments(covariance_type):
    X = with_holes(300)
    model = GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(X)
    rows = X[np.isnan(X).any(axis=1)][:3].copy()
    rows[2] = np.nan
    drawn = model.sample_missing(rows, n_draws=4000, random_state=1)
    assert drawn.shape == (4000, 3, 4)
    there = ~np.isnan(rows)
    assert np.all(drawn[:, there] == rows[there])
    np.testing.assert_allclose(drawn.mean(axis=0), model.impute(rows), atol=0.3)
    left = model.condition(np.flatnonzero(there[0]).tolist(), rows[0, there[0]])
    draws = left.sample(4000, random_state=2)[0]
    np.testing.assert_allclose(drawn[:, 0, ~there[0]].std(axis=0), draws.std(axis=0), rtol=0.1)
    again = model.sample_missing(rows, n_draws=2, random_state=1)
    np.testing.assert_array_equal(again, model.sample_missing(rows, n_draws=2, random_state=1))


def test_columns_far_from_the_origin_keep_their_digits():
    X = with_holes(300)
    model = GaussianMixture(2, random_state=0, reg_covar=0, max_iter=20, tol=0.0).fit(X)
    moved = GaussianMixture(2, random_state=0, reg_covar=0, max_iter=20, tol=0.0).fit(X + 1e6)
    np.testing.assert_allclose(moved.means_ - 1e6, model.means_, atol=1e-5)
    np.testing.assert_allclose(moved.covariances_, model.covariances_, rtol=1e-4)


def test_batches_and_choices_keep_partly_missing_rows():
    pandas = pytest.importorskip("pandas")
    problems = [with_holes(80, 2, seed=seed) for seed in (1, 2)]
    result = fit_many(problems, GaussianMixture(2, random_state=0))
    for own, X in zip(result, problems, strict=True):
        alone = GaussianMixture(2, random_state=0).fit(X)
        np.testing.assert_array_equal(own.means_, alone.means_)
    assert result.n_samples.tolist() == [80, 80]
    table = pandas.DataFrame(np.vstack(problems), columns=["a", "b"]).assign(who=np.repeat([0, 1], 80))
    grouped = fit_many_groups(table, GaussianMixture(2, random_state=0), by="who")
    assert grouped.n_samples.tolist() == [80, 80]
    np.testing.assert_array_equal(grouped[1].means_, result[1].means_)
    chosen = select(with_holes(400, 2), GaussianMixture(random_state=0), n_components=[1, 2, 3])
    assert chosen.best_.n_components == 2
    assert np.isfinite(
        select(problems[0], GaussianMixture(), n_components=[1, 2], criterion="heldout").best_.means_
    ).all()


def test_labels_groups_and_statistics_go_with_them():
    X = with_holes(300)
    known = np.where(np.arange(300) % 3, -1, (np.nan_to_num(X[:, 0]) > 2).astype(int))
    model = GaussianMixture(2, random_state=0).fit(X, known)
    resp = model.predict_proba(X, known_labels=known)
    np.testing.assert_array_equal(resp[known >= 0], np.eye(2)[known[known >= 0]])
    step = GaussianMixture(2, random_state=0, max_iter=3, tol=0.0).fit(X)
    by_hand = GaussianMixture(2, random_state=0, max_iter=2, tol=0.0).fit(X)
    by_hand.update(by_hand.statistics(X[:100]) + by_hand.statistics(X[100:]))
    np.testing.assert_allclose(by_hand.means_, step.means_, rtol=1e-9)
    np.testing.assert_allclose(by_hand.covariances_, step.covariances_, rtol=1e-9)


def test_what_is_refused():
    X = with_holes(50)
    X[:, 2] = np.nan
    with pytest.raises(ValueError, match="column 2 has no entry in any row"):
        GaussianMixture(2).fit(X)
    pandas = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match="height has no entry in any row"):
        GaussianMixture(2).fit(pandas.DataFrame(X, columns=["a", "b", "height", "c"]))
    X = with_holes(50)
    with pytest.raises(ValueError, match="regularization='relative'"):
        GaussianMixture(2, regularization="relative").fit(X)
    for prior in ("default", {"shrinkage": 0.1}):
        with pytest.raises(ValueError, match="covariance_prior="):
            GaussianMixture(2, covariance_prior=prior).fit(X)
    assert np.isfinite(GaussianMixture(2, eigenvalue_ratio=10.0, random_state=0).fit(X).lower_bound_)
    X[0, 0] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        GaussianMixture(2).fit(X)
    for estimator in (StudentTMixture(2), BayesianGaussianMixture(2), MultinomialMixture(2)):
        with pytest.raises(ValueError, match=r"NaN|missing"):
            estimator.fit(np.abs(with_holes(50)))
    with pytest.raises(TypeError, match="has no numbers for entries that are missing: take a mixture of numbers"):
        StudentTMixture(2).fit(with_holes(share=0.0)).impute([[np.nan] * 4])
    with pytest.raises(ValueError, match="n_samples"):
        GaussianMixture(2).fit(with_holes(50)).sample_missing(with_holes(50), n_draws=0)
