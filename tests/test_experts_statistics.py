"""What a fitted MixtureOfExperts says beside its means: inference, spreads, quantiles, intervals, draws."""

import numpy as np
import pandas as pd
import pytest
from golden_experts import CASES, problem
from scipy import stats
from sklearn.linear_model import LinearRegression

from mixfast import MixtureOfExperts

EXPERT_NAMES = {"student": "student_t"}


def fitted(name, **options):
    """The limit of a case without gate and groups, from its own start."""
    given = problem(name)
    (response,) = given.responses
    X = response.X if response.shared is None else np.hstack([response.X, response.shared])
    model = MixtureOfExperts(
        CASES[name]["K"],
        expert=EXPERT_NAMES.get(response.expert, response.expert),
        variance="common" if response.common else "own",
        fixed=None if response.shared is None else list(range(response.X.shape[1], X.shape[1])),
        init_params=given.labels,
        tol=1e-14,
        max_iter=5000,
        **options,
    )
    row_data = {"exposure": np.exp(response.offset)} if np.ndim(response.offset) else {}
    model.fit(X, response.y, given.sample_weight, **row_data)
    return model, X, response.y, given.sample_weight, row_data


PLAIN = [name for name, case in CASES.items() if not {"gate", "groups"} & set(case) and "standard_errors" in case]


@pytest.mark.parametrize("name", PLAIN)
def test_standard_errors_of_other_programs(name):
    model, X, y, weights, row_data = fitted(name)
    found = model.inference(X, y, weights, **row_data)
    case = CASES[name]
    wanted = case["standard_errors"]
    table = found.to_frame()
    is_gate = table.term.str.startswith("gate")
    is_log = table.term.str.startswith("log(")
    np.testing.assert_allclose(table.estimate[~is_gate & ~is_log], np.ravel(case["coef"]), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(table.standard_error[is_gate], np.ravel(wanted["gate"]), rtol=1e-3)
    np.testing.assert_allclose(table.standard_error[~is_gate & ~is_log], np.ravel(wanted["coef"]), rtol=1e-3)
    if "log_sigma" in wanted:
        np.testing.assert_allclose(table.standard_error[is_log], wanted["log_sigma"], rtol=1e-3)
        np.testing.assert_allclose(table.estimate[is_log], np.log(case["sigma"][: is_log.sum()]), rtol=1e-5)


def test_terms_are_columns_of_a_table():
    table = pd.DataFrame({"age": [1.0, 2, 3, 5, 8, 9], "dose": [0.0, 1, 1, 0, 0, 1]})
    y = [1.0, 2.5, 2.9, 5.3, 7.8, 9.1]
    model = MixtureOfExperts(1).fit(table, y)
    assert model.inference(table, y).terms == ("(Intercept)", "age", "dose", "log(sigma)")
    shared = MixtureOfExperts(1, fixed=["dose"], fit_intercept=False).fit(table, y)
    assert shared.inference(table, y).terms == ("age", "log(sigma)", "dose")


def test_one_component_is_least_squares():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 2))
    y = X @ [1, -2] + rng.normal(size=50)
    model = MixtureOfExperts(1).fit(X, y)
    found = model.inference(X, y)
    design = np.column_stack([np.ones(50), X])
    residual = y - LinearRegression().fit(X, y).predict(X)
    variance = residual @ residual / 50
    np.testing.assert_allclose(found.covariance[:3, :3], variance * np.linalg.inv(design.T @ design), rtol=1e-6)
    assert found.standard_errors[3] == pytest.approx(np.sqrt(1 / 100), rel=1e-6)
    bread = np.linalg.inv(design.T @ design)
    robust = model.inference(X, y, robust=True)
    white = bread @ (design.T * residual**2) @ design @ bread
    np.testing.assert_allclose(robust.covariance[:3, :3], white, rtol=1e-5)
    assert robust.kind == "robust"
    school = np.repeat(list("abcde"), 10)
    clustered = model.inference(X, y, clusters=school)
    summed = np.add.reduceat(design * residual[:, np.newaxis], np.arange(0, 50, 10))
    np.testing.assert_allclose(clustered.covariance[:3, :3], bread @ summed.T @ summed @ bread * 5 / 4, rtol=1e-5)
    assert clustered.kind == "clusters"


@pytest.mark.parametrize("options", [{}, {"robust": True}, {"clusters": True}])
def test_weights_count_rows_and_0_leaves_them_out(options):
    model, X, y, _, _ = fitted("sim-gaussian-weights")
    weights = problem("sim-gaussian-weights").sample_weight.copy()
    weights[:40] = 0
    y = y.copy()
    clusters = np.arange(len(y)) // 6
    times = weights.astype(int)
    more = {"clusters": np.repeat(clusters, times)} if "clusters" in options else options
    less = {"clusters": clusters} if "clusters" in options else options
    wanted = model.inference(np.repeat(X, times, axis=0), np.repeat(y, times), **more)
    y[:40] = np.nan
    found = model.inference(X, y, weights, **less)
    np.testing.assert_allclose(found.covariance, wanted.covariance, rtol=1e-8, atol=1e-14)


@pytest.mark.parametrize("expert", ["gaussian", "poisson", "gamma", "binomial", "student_t"])
@pytest.mark.parametrize("n_components", [1, 2])
def test_fits_count_weights_as_rows(expert, n_components):
    rng = np.random.default_rng(6)
    X, weights, start = rng.normal(size=(80, 2)), rng.integers(0, 4, size=80), np.arange(80) % n_components
    eta = np.where(start, 1 - X[:, 0], X[:, 1] / 2)
    y = {
        "poisson": rng.poisson(np.exp(eta)),
        "gamma": rng.gamma(3, np.exp(eta)),
        "binomial": np.column_stack([wins := rng.binomial(9, 1 / (1 + np.exp(-eta))), 9 - wins]),
    }.get(expert, eta + rng.normal(size=80) / 2)
    options = {"expert": expert, "tol": 1e-12, "max_iter": 3000}
    weighted = MixtureOfExperts(n_components, init_params=start, **options).fit(X, y, weights)
    repeated = [np.repeat(values, weights, axis=0) for values in (X, y, start)]
    plain = MixtureOfExperts(n_components, init_params=repeated[2], **options).fit(*repeated[:2])
    np.testing.assert_allclose(weighted.coef_, plain.coef_, rtol=1e-6, atol=1e-8)
    if expert != "binomial":  # whose score is that of single trials
        np.testing.assert_allclose(weighted.score(X, y, weights), plain.score(*repeated[:2]), rtol=1e-8)


def test_an_empty_component_is_nan_and_said():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 1)), rng.normal(size=60)
    model = MixtureOfExperts(2, random_state=0).fit(X, y)
    model.weights_ = np.array([1.0, 0.0])
    with pytest.warns(UserWarning, match="singular"):
        errors = model.inference(X, y).standard_errors
    np.testing.assert_array_equal(np.isnan(errors), [False] * 3 + [True] * 4)


@pytest.mark.parametrize("clusters", [[1, 2], np.zeros((6, 1)), ["a"] * 6])
def test_clusters_are_one_for_each_row(clusters):
    X, y = np.arange(6.0)[:, np.newaxis], [1.0, 2.5, 2.9, 4.3, 5.8, 6.1]
    with pytest.raises(ValueError, match="clusters"):
        MixtureOfExperts(1).fit(X, y).inference(X, y, clusters=clusters)


# ---- spreads, quantiles, intervals ----------------------------------------------------------------------------------

WITH_QUANTILES = ["npreg-gaussian", "npreg-poisson", "sim-gamma", "sim-student", "sim-binomial"]


@pytest.mark.parametrize("name", WITH_QUANTILES)
def test_quantiles_and_spreads_are_those_of_draws(name):
    model, X, *_ = fitted(name)
    row, n = X[:1], 20_000
    drawn, _ = model.sample(np.repeat(row, n, axis=0), random_state=0)
    assert abs(drawn.mean() - model.predict(row)[0]) < 5 * drawn.std() / np.sqrt(n)
    assert model.predict_std(row)[0] == pytest.approx(drawn.std(), rel=0.06)
    for q in (0.1, 0.5, 0.9):
        value = model.predict_quantile(row, q)[0]
        # as many draws below the quantile as it says, within five standard errors
        room = 5 * np.sqrt(q * (1 - q) / n)
        assert np.mean(drawn < value) <= q + room
        assert np.mean(drawn <= value) >= q - room


def test_quantiles_have_the_shape_that_was_asked_for():
    model, X, *_ = fitted("npreg-gaussian")
    assert model.predict_quantile(X).shape == (200,)
    both = model.predict_quantile(X, [0.05, 0.95])
    assert both.shape == (200, 2)
    np.testing.assert_allclose(both, model.predict_interval(X, 0.9), rtol=1e-12)
    inside = (both[:, 0] <= problem("npreg-gaussian").responses[0].y) & (
        problem("npreg-gaussian").responses[0].y <= both[:, 1]
    )
    assert 0.85 < inside.mean() < 0.97


@pytest.mark.parametrize("q", [0, 1, -0.5, [0.5, 2], [[0.5]], np.nan])
def test_what_is_no_quantile_is_said(q):
    model, X, *_ = fitted("npreg-gaussian")
    with pytest.raises(ValueError, match="should be a number above 0 and below 1"):
        model.predict_quantile(X, q)
    with pytest.raises(ValueError, match="level"):
        model.predict_interval(X, 1.0)


def test_one_component_has_the_quantiles_of_its_distribution():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 1))
    y = X[:, 0] + rng.normal(size=50)
    model = MixtureOfExperts(1).fit(X, y)
    wanted = stats.norm(model.predict(X), model.sigma_[0])
    np.testing.assert_allclose(model.predict_quantile(X, 0.8), wanted.ppf(0.8), rtol=1e-12)
    np.testing.assert_allclose(model.predict_std(X), wanted.std(), rtol=1e-12)


def test_exposures_and_offsets_are_taken():
    model, X, _, _, row_data = fitted("sim-poisson-exposure")
    exposure = row_data["exposure"]
    by_offset = model.predict_std(X, offset=np.log(exposure))
    np.testing.assert_allclose(model.predict_std(X, exposure=exposure), by_offset, rtol=1e-12)
    assert np.all(model.predict_quantile(X, 0.9, exposure=10.0) >= model.predict_quantile(X, 0.9, exposure=1.0))
