"""What a fitted MixtureOfExperts says beside its means: inference, spreads, quantiles, intervals, draws."""

import warnings

import numpy as np
import pandas as pd
import pytest
from golden_experts import CASES, fitted, problem
from scipy import stats
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from test_experts_reference import limit_of, model_of

from mixfast import MixtureOfExperts
from mixfast._reference.experts.inference import information


def at_limit(name, **options):
    """The limit of a case, from its own start: the model, X, y, weights and what rows have beside."""
    model, X, y, row_data, _ = fitted(name, **{"tol": 1e-14, "max_iter": 5000} | options)
    return model, X, y, problem(name).sample_weight, row_data


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "standard_errors" in case])
def test_standard_errors_of_other_programs(name):
    model, X, y, weights, row_data = at_limit(name)
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


@pytest.mark.parametrize("name", ["betablocker-common-3", "betablocker-free-2", "npreg-groups", "sim-gaussian-fixed"])
def test_groups_and_shared_coefficients_are_in_the_information(name):
    """Against second derivatives of the twin's log-likelihood."""
    model, X, y, weights, row_data = at_limit(name)
    found = model.inference(X, y, weights, **row_data)
    parts, _, rows, _ = model_of(name)
    twin = limit_of(name)
    wanted = np.sqrt(np.diag(np.linalg.inv(information(parts, twin.coefficients, twin.theta, rows))))
    gate = np.array([term.startswith("gate") for term in found.terms])
    logs = np.array([term.startswith("log(") for term in found.terms])
    fixed = np.array([component is None for component in found.components]) & ~logs
    order = np.concatenate([np.flatnonzero(mask) for mask in (gate, ~(gate | logs | fixed), fixed, logs)])
    np.testing.assert_allclose(found.standard_errors[order], wanted, rtol=1e-3)


def test_clusters_of_groups():
    model, X, y, _, row_data = at_limit("betablocker-free-2")
    center = row_data["groups"]
    by_group = model.inference(X, y, clusters=center, **row_data)
    robust = model.inference(X, y, robust=True, **row_data)
    n_centers = len(np.unique(center))
    np.testing.assert_allclose(by_group.covariance, robust.covariance * n_centers / (n_centers - 1), rtol=1e-9)
    wider = model.inference(X, y, clusters=np.floor(center / 4), **row_data)
    assert np.all(np.isfinite(wider.standard_errors))
    with pytest.raises(ValueError, match="clusters should be the same for all rows of a group"):
        model.inference(X, y, clusters=np.arange(len(y)), **row_data)


def test_terms_of_gates():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(80, 2)), columns=["a", "b"])
    y = np.where(rng.random(80) < 1 / (1 + np.exp(-table.b)), 3 + table.a, -3 - table.a) + rng.normal(size=80)
    for gate, terms in (("same", ["a", "b"]), (["b"], ["b"])):
        model = MixtureOfExperts(2, gate=gate, random_state=0).fit(table, y)
        assert list(model.inference(table, y).terms[-len(terms) - 1 :]) == [
            f"gate: {term}" for term in ["(Intercept)", *terms]
        ]
    own = MixtureOfExperts(2, gate="gate_X", random_state=0).fit(table, y, gate_X=table[["b"]])
    np.testing.assert_allclose(
        own.inference(table, y, gate_X=table[["b"]]).standard_errors,
        model.inference(table, y).standard_errors,
        rtol=1e-6,
    )


def test_terms_of_categories():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(90, 1)), np.array(["no", "perhaps", "yes"])[rng.integers(3, size=90)]
    model = MixtureOfExperts(1, expert="multinomial").fit(X, y)
    found = model.inference(X, y)
    assert found.terms == ("(Intercept) [perhaps]", "(Intercept) [yes]", "x0 [perhaps]", "x0 [yes]")
    shares = model.predict(X)[:, 1:]
    design = np.column_stack([np.ones(90), X])
    spread = shares[:, :, np.newaxis] * (np.eye(2) - shares[:, np.newaxis])
    wanted = np.einsum("na,nb,ncd->acbd", design, design, spread).reshape(4, 4)
    np.testing.assert_allclose(found.covariance, np.linalg.inv(wanted), rtol=1e-6)
    with pytest.raises(ValueError, match="categories have no order"):
        model.predict_quantile(X)


def test_negative_binomial_information_is_the_twins():
    """Of one component, by differences of SciPy's log likelihood."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(200, 1))
    y = rng.negative_binomial(2, 2 / (2 + np.exp(1 + X[:, 0] / 2))).astype(float)
    model = MixtureOfExperts(1, expert="negative_binomial", tol=1e-14, max_iter=2000).fit(X, y)

    def log_likelihood(b):
        theta, mean = np.exp(b[2]), np.exp(b[0] + b[1] * X[:, 0])
        return stats.nbinom.logpmf(y, theta, theta / (theta + mean)).sum()

    at = np.array([model.intercept_[0], model.coef_[0, 0], np.log(model.theta_[0])])
    steps = np.eye(3) * 1e-3
    second = np.array(
        [
            [sum(i * j * log_likelihood(at + i * a + j * b) for i in (1, -1) for j in (1, -1)) / 4e-6 for a in steps]
            for b in steps
        ]
    )
    np.testing.assert_allclose(model.inference(X, y).covariance, np.linalg.inv(-second), rtol=1e-3)


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
    model, X, y, _, _ = at_limit("sim-gaussian-weights")
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


def test_rows_of_float32_and_tables():
    rng = np.random.default_rng(0)
    X, y, weights = rng.normal(size=(70, 2)).astype(np.float32), rng.normal(size=70), rng.integers(0, 3, size=70)
    model = MixtureOfExperts(1).fit(X, y, weights)
    wanted = MixtureOfExperts(1).fit(X.astype(float), y, weights).inference(X.astype(float), y, weights)
    np.testing.assert_allclose(model.inference(X, y, weights).covariance, wanted.covariance, rtol=1e-4, atol=1e-8)
    table = pd.DataFrame(X, columns=["a", "b"])
    named = MixtureOfExperts(1).fit(table, pd.Series(y), weights)
    found = named.inference(table, pd.Series(y), weights, clusters=pd.Series(np.arange(70) // 2))
    assert found.terms[1:3] == ("a", "b")
    with pytest.raises(NotFittedError):
        MixtureOfExperts(1).inference(X, y)
    with pytest.raises(NotFittedError):
        MixtureOfExperts(1).predict_interval(X)


def test_a_separated_logistic_component_has_large_errors_or_none():
    X = np.linspace(-1, 1, 40)[:, np.newaxis]
    y = (X[:, 0] > 0).astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MixtureOfExperts(1, expert="binomial").fit(X, y)
        errors = model.inference(X, y).standard_errors
    assert np.isfinite(model.coef_).all()
    assert np.isnan(errors[1]) or errors[1] > abs(model.coef_[0, 0]) / 2


@pytest.mark.parametrize("clusters", [[1, 2], np.zeros((6, 1)), ["a"] * 6])
def test_clusters_are_one_for_each_row(clusters):
    X, y = np.arange(6.0)[:, np.newaxis], [1.0, 2.5, 2.9, 4.3, 5.8, 6.1]
    with pytest.raises(ValueError, match="clusters"):
        MixtureOfExperts(1).fit(X, y).inference(X, y, clusters=clusters)


# ---- spreads, quantiles, intervals ----------------------------------------------------------------------------------

WITH_QUANTILES = ["npreg-gaussian", "npreg-poisson", "sim-gamma", "sim-student", "sim-binomial"]


@pytest.mark.parametrize("name", WITH_QUANTILES)
def test_quantiles_and_spreads_are_those_of_draws(name):
    model, X, *_ = at_limit(name)
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


def test_numbers_of_successes_are_of_as_many_trials_as_are_given():
    rng = np.random.default_rng(0)
    X, trials = rng.normal(size=(300, 1)), rng.integers(0, 30, size=300)
    share = 1 / (1 + np.exp(-np.where(np.arange(300) % 2, X[:, 0], -X[:, 0])))
    won = rng.binomial(trials, share)
    y = np.column_stack([won, trials - won])
    model = MixtureOfExperts(2, expert="binomial", random_state=0).fit(X, y)
    low, high = model.predict_interval(X, 0.9, trials=trials).T
    assert np.mean((low <= won) & (won <= high)) >= 0.9
    assert np.mean((low < won) & (won < high)) <= 0.9  # no number of successes has just this probability
    drawn = np.stack([model.sample(X[:20], random_state=seed, trials=trials[:20])[0] for seed in range(2000)])
    means, deviations = trials[:20] * model.predict(X[:20]), model.predict_std(X[:20], trials=trials[:20])
    assert np.all(np.abs(drawn.mean(axis=0) - means) <= 5 * deviations / np.sqrt(2000))
    np.testing.assert_allclose(drawn.std(axis=0), deviations, rtol=0.1)
    np.testing.assert_array_equal(model.predict_std(X, trials=1), model.predict_std(X))
    np.testing.assert_array_equal(model.predict_quantile(X, 0.3, trials=1), model.predict_quantile(X, 0.3))
    for wrong in (-1, 1.5, np.full(300, np.inf), np.arange(3)):
        with pytest.raises(ValueError, match="trials"):
            model.predict_std(X, trials=wrong)
    with pytest.raises(ValueError, match="trials was given, and expert='poisson' has none"):
        MixtureOfExperts(expert="poisson").fit(X, won).sample(X, trials=trials)


def test_trials_of_labels_and_of_a_table():
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"x": rng.normal(size=100), "n": rng.integers(1, 9, size=100)})
    table["won"] = rng.binomial(table.n, 1 / (1 + np.exp(-table.x)))
    table["lost"] = table.n - table.won
    model = MixtureOfExperts.from_formula("won + lost ~ x", table, expert="binomial", random_state=0)
    np.testing.assert_array_equal(
        model.predict_interval(table, trials="n"), model.predict_interval(table, trials=table.n)
    )
    labels = MixtureOfExperts(expert="binomial").fit(table[["x"]], np.where(table.won > table.lost, "yes", "no"))
    assert set(labels.sample(table[["x"]], random_state=0)[0]) == {"no", "yes"}
    drawn, _ = labels.sample(table[["x"]], random_state=0, trials=table.n)
    assert np.all((drawn >= 0) & (drawn <= table.n))
    assert drawn.max() > 1


def test_quantiles_have_the_shape_that_was_asked_for():
    model, X, *_ = at_limit("npreg-gaussian")
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
    model, X, *_ = at_limit("npreg-gaussian")
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
    model, X, _, _, row_data = at_limit("sim-poisson-exposure")
    exposure = np.exp(row_data["offset"])
    by_offset = model.predict_std(X, offset=row_data["offset"])
    np.testing.assert_allclose(model.predict_std(X, exposure=exposure), by_offset, rtol=1e-12)
    assert np.all(model.predict_quantile(X, 0.9, exposure=10.0) >= model.predict_quantile(X, 0.9, exposure=1.0))
