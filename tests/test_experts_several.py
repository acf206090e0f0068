"""Mixtures of experts of several responses, which are independent of each other in a component."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import cross_val_score

from mixfast import MixtureDisplay, MixtureOfExperts, bootstrap_lrt, fit_many, fit_many_groups, load, select

ALL = ["gaussian", "student_t", "poisson", "negative_binomial", "binomial", "gamma", "multinomial"]
NUMBERS = ["gaussian", "poisson", "binomial"]


def responses(experts, n=300, seed=0):
    """X, a list of y, and the component of each row."""
    rng = np.random.default_rng(seed)
    X, labels = rng.normal(size=(n, 2)), np.arange(n) % 2
    eta = np.where(labels, 1.5 + X @ [0.5, -0.3], -0.5 - X @ [0.4, 0.2])
    draw = {
        "gaussian": lambda: eta + 0.3 * rng.normal(size=n),
        "student_t": lambda: eta + 0.3 * rng.standard_t(4, size=n),
        "poisson": lambda: rng.poisson(np.exp(eta)),
        "negative_binomial": lambda: rng.poisson(rng.gamma(3.0, np.exp(eta) / 3)),
        "binomial": lambda: np.column_stack([own := rng.binomial(5, 1 / (1 + np.exp(-eta))), 5 - own]),
        "gamma": lambda: rng.gamma(3.0, np.exp(eta) / 3) + 1e-9,
        "multinomial": lambda: np.array(["low", "middle", "high"])[np.digitize(eta + rng.logistic(size=n), [-1, 1])],
    }
    return X, [draw[name]() for name in experts], labels


@pytest.fixture(scope="module")
def everything():
    X, y, labels = responses(ALL)
    return MixtureOfExperts(2, expert=ALL, random_state=0, n_init=2).fit(X, y), X, y, labels


def test_each_is_shaped_as_it_is_alone(everything):
    model, X, y, labels = everything
    found = model.labels(X, y)
    assert max(np.mean(found == labels), np.mean(found != labels)) > 0.97
    assert np.diff(model.lower_bounds_).min() > -1e-9
    for place, expert in enumerate(ALL):
        alone = MixtureOfExperts(2, expert=expert, init_params=labels, tol=0.1).fit(X, y[place])
        for name in ("coef_", "intercept_", "sigma_", "shape_", "theta_", "degrees_of_freedom_", "classes_"):
            own = getattr(model, name)[place]
            assert (own is None) != hasattr(alone, name)
            assert own is None or np.shape(own) == np.shape(getattr(alone, name))
        for method in ("predict", "predict_components", "predict_std"):
            assert getattr(model, method)(X)[place].shape == getattr(alone, method)(X).shape


def test_log_densities_are_sums_of_those_of_each(everything):
    model, X, y, _ = everything
    total = 0.0
    for place, expert in enumerate(ALL):
        alone = MixtureOfExperts(2, expert=expert, n_init=1, tol=0.1).fit(X, y[place])
        for name in ("coef_", "intercept_", "sigma_", "shape_", "theta_", "degrees_of_freedom_"):
            if hasattr(alone, name):
                setattr(alone, name, getattr(model, name)[place])
        total = total + alone.component_log_density(X, y[place])
        assert_allclose(alone.predict_components(X), model.predict_components(X)[place])
    assert_allclose(model.component_log_density(X, y), total, rtol=1e-12)


def test_one_response_in_a_list_is_that_response():
    X, (y,), _ = responses(["poisson"])
    options = {"random_state": 0, "n_init": 2}
    alone = MixtureOfExperts(2, expert="poisson", **options).fit(X, y)
    listed = MixtureOfExperts(2, expert=["poisson"], **options).fit(X, [y])
    assert_array_equal(listed.coef_[0], alone.coef_)
    assert listed.lower_bounds_ == alone.lower_bounds_
    assert listed.predict(X).shape == (300, 1)
    assert listed.score(X, [y]) == alone.score(X, y)


def test_responses_have_the_names_that_a_formula_gives_them():
    X, y, _ = responses(["gaussian", "poisson"])
    table = pd.DataFrame(X, columns=["a", "b"]).assign(height=np.asarray(y[0]), visits=np.asarray(y[1]))
    model = MixtureOfExperts.from_formula(
        "height + visits ~ a + b", table, expert=["gaussian", "poisson"], columns=[["a", "b"], ["b"]],
        n_components=2, random_state=0, n_init=2,
    )  # fmt: skip
    terms = list(model.inference(table).to_frame()["term"])
    assert terms[:3] == ["height: (Intercept)", "height: a", "height: b"]
    assert "visits: b" in terms
    assert "visits: a" not in terms
    panels = MixtureDisplay.from_estimator(model, table, features="b").panels
    assert [panel.response for panel in panels.values()] == ["height", "visits"]


def test_two_columns_of_y_want_two_experts():
    X, y, _ = responses(["gaussian", "gaussian"])
    with pytest.raises(ValueError, match=r"got 2: pass one, or expert=\['gaussian', 'gaussian'\] for as many"):
        MixtureOfExperts(2).fit(X, np.column_stack(y))


def test_a_response_says_which_columns_it_has():
    X, y, _ = responses(["gaussian", "poisson"])
    table = pd.DataFrame(X, columns=["a", "b"])
    options = {"expert": ["gaussian", "poisson"], "random_state": 0, "n_init": 2}
    by_name = MixtureOfExperts(2, columns=[["a", "b"], ["b"]], **options).fit(table, y)
    by_place = MixtureOfExperts(2, columns=[[0, 1], [1]], **options).fit(X, y)
    assert_array_equal(by_name.coef_[1], by_place.coef_[1])
    assert_array_equal(by_name.coef_[1][:, 0], 0)
    assert by_name.n_parameters == 1 + 2 * (3 + 1) + 2 * 2
    found = by_name.inference(table, y)
    assert "y1: a" not in list(found.to_frame()["term"])
    with pytest.raises(ValueError, match="a list of columns for each response"):
        MixtureOfExperts(2, columns=[[0]], **options).fit(X, y)


def test_numbers_are_side_by_side_and_tables_have_a_column_for_each():
    X, y, _ = responses(NUMBERS)
    y[2] = (y[2][:, 0] > 2).astype(float)
    options = {"expert": NUMBERS, "random_state": 0, "n_init": 2}
    model = MixtureOfExperts(2, **options).fit(X, y)
    for form in (np.column_stack(y), pd.DataFrame(dict(zip("abc", y, strict=True))), tuple(y)):
        again = MixtureOfExperts(2, **options).fit(X, form)
        assert again.lower_bounds_ == model.lower_bounds_
        assert_array_equal(again.labels(X, form), model.labels(X, y))
    assert model.predict(X).shape == (300, 3)
    assert model.predict_components(X).shape == (300, 2, 3)
    assert model.predict_std(X).shape == (300, 3)
    assert model.predict_interval(X).shape == (300, 2, 3)
    drawn, _ = model.sample(np.repeat(X, 50, axis=0), random_state=0)
    assert drawn.shape == (15_000, 3)
    assert_allclose(drawn.mean(axis=0), model.predict(X).mean(axis=0), atol=0.05)
    weights = np.where(np.arange(300) < 10, 0.0, 1.0)
    y[0] = np.where(weights == 0, np.nan, y[0])
    without = MixtureOfExperts(2, **options).fit(X[10:], [own[10:] for own in y])
    assert_array_equal(MixtureOfExperts(2, **options).fit(X, y, weights).coef_[0], without.coef_[0])
    scores = cross_val_score(MixtureOfExperts(2, **options), X[10:], np.column_stack(y)[10:], cv=3)
    assert np.all(np.isfinite(scores))


def test_files_and_criteria(everything, tmp_path):
    model, X, y, _ = everything
    model.save(tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert_array_equal(loaded.score_samples(X, y), model.score_samples(X, y))
    assert [own is None for own in loaded.theta_] == [own is None for own in model.theta_]
    assert_array_equal(loaded.classes_[-1], model.classes_[-1])
    total = model.score_samples(X, y).sum()
    assert_allclose(model.bic(X, y), -2 * total + model.n_parameters * np.log(300))
    assert "BIC" in str(model.summary(X, y=y))
    frame = model.to_frame()
    assert len(frame) == 2 * 3 * (len(ALL) - 1 + 3)
    assert frame["response"].nunique() == len(ALL)
    with pytest.raises(ValueError, match="no quantiles"):
        model.predict_quantile(X)


def test_standard_errors_are_those_of_responses_alone_where_components_are_known():
    """Far apart, responsibilities are 0 and 1, and responses say nothing of each other."""
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(200, 1)), np.arange(200) % 2
    y = [100.0 * labels + X[:, 0] + rng.normal(size=200), rng.poisson(np.exp(1 + labels))]
    both = MixtureOfExperts(2, expert=["gaussian", "poisson"], init_params=labels, tol=1e-12).fit(X, y)
    frame = both.inference(X, y).to_frame()
    for k in (0, 1):
        own = labels == k
        for place, expert in enumerate(["gaussian", "poisson"]):
            alone = MixtureOfExperts(1, expert=expert, tol=1e-12).fit(X[own], y[place][own])
            wanted = alone.inference(X[own], y[place][own]).to_frame()
            terms = frame["term"].str.startswith(f"y{place}: ") & (frame["component"] == k)
            errors = wanted["standard_error"][wanted["term"].isin(["(Intercept)", "x0"])]
            assert_allclose(frame["standard_error"][terms].iloc[:2], errors, rtol=1e-5)


def test_batches_have_the_bits_of_fits_alone(tmp_path):
    problems = [responses(NUMBERS, n, seed) for seed, n in enumerate((80, 120, 100))]
    y = [np.column_stack([*own[:2], own[2][:, 0] > 2]).astype(float) for _, own, _ in problems]
    X = [own for own, _, _ in problems]
    estimator = MixtureOfExperts(2, expert=NUMBERS, n_init=2, max_iter=200)
    result = fit_many(X, estimator, y=y, seeds=[1, 2, 3])
    for i, (own, of_it) in enumerate(zip(X, y, strict=True)):
        alone = MixtureOfExperts(2, expert=NUMBERS, n_init=2, max_iter=200, random_state=i + 1).fit(own, of_it)
        for one, other in zip(result[i].coef_, alone.coef_, strict=True):
            assert_array_equal(one, other)
        assert result[i].sigma_[1] is None
    table = pd.DataFrame(np.vstack(X), columns=["a", "b"]).assign(kind=np.repeat([0, 1, 2], [80, 120, 100]))
    table[["y", "count", "hit"]] = np.vstack(y)
    grouped = fit_many_groups(table, estimator, by="kind", y=["y", "count", "hit"], seeds=[1, 2, 3])
    assert_array_equal(grouped[1].coef_[1], result[1].coef_[1])
    expert = ["gaussian", "multinomial"]
    labels = [np.column_stack([own[:, 0], own[:, 1].clip(None, 2)]) for own in y]
    for options in ({}, {"groups": [np.arange(len(own)) // 2 for own in y]}):
        result = fit_many(X, MixtureOfExperts(2, expert=expert, random_state=0, n_init=2), y=labels, **options)
        alone = MixtureOfExperts(2, expert=expert, random_state=0, n_init=2)
        alone.fit(X[1], labels[1], **{name: own[1] for name, own in options.items()})
        assert_array_equal(result[1].coef_[1], alone.coef_[1])
        assert_array_equal(result[1].classes_[1], [0, 1, 2])
        assert result[1].classes_[0] is None


def test_choices_and_tests_of_numbers_of_components():
    X, y, _ = responses(["gaussian", "poisson"], 150)
    estimator = MixtureOfExperts(expert=["gaussian", "poisson"], n_init=2)
    chosen = select(X, estimator, y=y, n_components=[1, 2], random_state=0)
    assert chosen.best_params_["n_components"] == 2
    held = select(X, estimator, y=y, n_components=[1, 2], criterion="heldout", n_folds=3, random_state=0)
    assert held.best_params_["n_components"] == 2
    assert bootstrap_lrt(X, estimator, 1, y=y, n_bootstrap=4, random_state=0).p_value == 0.2


def test_gates_groups_and_exposures_go_with_several_responses():
    X, y, labels = responses(["gaussian", "poisson"])
    groups, hours = np.repeat(np.arange(150), 2), np.full(300, 2.0)
    X, y = X[np.argsort(labels, kind="stable")], [own[np.argsort(labels, kind="stable")] for own in y]
    options = {"expert": ["gaussian", "poisson"], "random_state": 0, "n_init": 2}
    model = MixtureOfExperts(2, gate="gate_X", **options)
    z = np.repeat(np.random.default_rng(0).normal(size=(150, 1)), 2, axis=0)
    model.fit(X, y, groups=groups, gate_X=z, exposure=hours)
    assert np.diff(model.lower_bounds_).min() > -1e-9
    resp = model.posterior(X, y, groups=groups, gate_X=z, exposure=hours)
    assert_array_equal(resp[::2], resp[1::2])
    # only the counts are proportional to hours
    doubled = model.predict(X, gate_X=z, exposure=hours) / model.predict(X, gate_X=z, exposure=1.0)
    assert_allclose(doubled, np.tile([1.0, 2.0], (300, 1)))
    assert np.all(np.isfinite(model.inference(X, y, groups=groups, gate_X=z, exposure=hours).standard_errors))


def test_what_is_refused():
    X, y, _ = responses(["gaussian", "poisson"])
    model = MixtureOfExperts(2, expert=["gaussian", "poisson"])
    with pytest.raises(ValueError, match="y should be a list of 2 responses"):
        model.fit(X, y[0])
    with pytest.raises(ValueError, match="as many rows in each entry"):
        model.fit(X, [y[0], y[1][:-1]])
    with pytest.raises(ValueError, match=r"y\[1\] should be counts"):
        model.fit(X, [y[0], y[1] + 0.5])
    with pytest.raises(ValueError, match=r"y\[0\] contains NaN"):
        model.fit(X, [np.where(np.arange(300) == 5, np.nan, y[0]), y[1]])
    with pytest.raises(ValueError, match="should be one of"):
        MixtureOfExperts(2, expert=["gaussian", "cauchy"]).fit(X, y)
