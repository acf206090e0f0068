"""Mixtures of experts: values of other programs, the twin, and the laws of estimators whose rows have a response."""

import warnings

import mpmath
import numpy as np
import pandas as pd
import pytest
from batches import assert_same_fit, same_bits
from golden_experts import CASES, GOLDEN, fitted, problem
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from test_experts_reference import model_of

from mixfast import (
    GaussianMixture,
    MixtureOfExperts,
    PoissonMixture,
    Status,
    fit_many,
    fit_many_columns,
    fit_many_groups,
    load,
    select,
)
from mixfast._reference.experts import em, experts
from mixfast._reference.experts import gate as gates


def total_weight(name):
    weights = problem(name).sample_weight
    return len(problem(name).responses[0].y) if weights is None else weights.sum()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", CASES)
def test_the_way_to_the_limit_is_that_of_other_programs(name):
    """With complete M-steps where these have a closed form, else with one step of Newton's method in each."""
    model, X, y, data, case = fitted(name)
    wanted = case.get("loglik_after_one_newton_step", case["loglik_after"])
    for i, log_likelihood in wanted.items():
        # Gamma shapes are found from sums about the coefficients before the step, to the second order
        rtol = 1e-3 if case["expert"].startswith("gamma") and i != "1" else 1e-9
        found = model.lower_bounds_[int(i) - 1] * total_weight(name)
        if "gate_penalty" in case:  # the case has log-likelihoods without it
            found = fitted(name, max_iter=int(i) - 1)[0].score_samples(X, y, **data).sum()
        assert_allclose(found, log_likelihood, rtol=rtol)


@pytest.mark.parametrize("name", CASES)
def test_the_limit_is_that_of_other_programs(name):
    model, X, y, data, case = fitted(name, tol=1e-14, max_iter=5000)
    weight = problem(name).sample_weight
    scores = model.score_samples(X, y, **data) * (1 if weight is None else weight)
    assert_allclose(scores.sum(), case["loglik"], rtol=1e-9)
    if "gate_penalty" not in case:
        assert_allclose(model.lower_bound_ * total_weight(name), case["loglik"], rtol=1e-9)
    several = isinstance(model.coef_, list)
    for place, coefficients in enumerate(model.coef_ if several else [model.coef_]):
        wanted = case[f"coef_{place}" if several else "coef"]
        own = np.column_stack([model.intercept_[place] if several else model.intercept_, coefficients])
        assert_allclose(own[:, : np.shape(wanted)[1]], wanted, rtol=1e-5, atol=1e-6)
    if "sigma_0" in case:
        assert_allclose(model.sigma_[0], case["sigma_0"], rtol=1e-5)
        assert model.sigma_[1] is None
    if "fixed" in case:
        assert_allclose(model.fixed_coef_, case["fixed"], rtol=1e-5, atol=1e-6)
    for attribute in ("sigma", "shape", "weights"):
        if attribute in case:
            assert_allclose(getattr(model, f"{attribute}_"), case[attribute], rtol=1e-5, atol=1e-6)
    if "gate_coef" in case:
        assert_allclose(np.column_stack([model.gate_intercept_, model.gate_coef_]), case["gate_coef"], rtol=1e-5)
        assert_allclose(model.weights_, case["mean_gate"], rtol=1e-5)
    assert model.n_parameters == case["df"]


def test_conventions_of_criteria():
    for name in ("npreg-gaussian", "npreg-gate", "betablocker-common-3"):
        model, X, y, data, case = fitted(name, tol=1e-14, max_iter=5000)
        assert_allclose(model.bic(X, y, **data), case["bic_lower_is_better"], rtol=1e-8)
        assert_allclose(model.icl(X, y, **data), case["icl_map"], rtol=1e-7)
    assert "conventions" in GOLDEN


def test_ten_random_starts_find_the_two_curves():
    given = problem("npreg-gaussian").responses[0]
    for seed in range(5):
        model = MixtureOfExperts(2, random_state=seed, tol=1e-10).fit(given.X, given.y)
        assert_allclose(model.lower_bound_ * len(given.y), -642.53201374, rtol=1e-9)
        assert model.status_ == Status.CONVERGED


@pytest.mark.parametrize("noise", [1e-4, 1e-2, 1.0])
def test_ten_random_starts_find_curves_of_any_noise(noise):
    """Little noise is no component that fits a few rows exactly."""
    rng = np.random.default_rng(0)
    x, labels = rng.uniform(0, 10, 200), np.arange(200) % 2
    X = np.column_stack([x, x**2])
    y = np.where(labels, 5 * x, 40 - (x - 5) ** 2) + rng.normal(scale=noise, size=200)
    known = MixtureOfExperts(2, init_params=labels, n_init=1).fit(X, y)
    for seed in range(3):
        model = MixtureOfExperts(2, random_state=seed).fit(X, y)
        assert_allclose(model.lower_bound_, known.lower_bound_, atol=1e-4)
        assert model.status_ == Status.CONVERGED


def test_a_ridge_that_is_not_small_in_the_units_of_a_gate_is_said():
    rng = np.random.default_rng(0)
    z, x = rng.normal(size=(400, 1)), rng.normal(size=(400, 1))
    second = rng.random(400) < 1 / (1 + np.exp(-1.5 * z[:, 0]))
    y = np.where(second, x[:, 0], -x[:, 0]) + 0.2 * rng.normal(size=400)

    def slope(unit, **options):
        table = pd.DataFrame({"age": z[:, 0] * unit})
        model = MixtureOfExperts(2, gate="gate_X", init_params=second.astype(int), n_init=1, tol=1e-9, **options)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(x, y, gate_X=table)
        return model.gate_coef_[1, 0] * unit, [str(own.message) for own in caught]

    wanted, said = slope(1.0)
    assert not said
    for unit in (1e-2, 1e-3, 1e-4, 1e-5):
        found, said = slope(unit)
        is_shrunk = abs(found / wanted - 1) > 0.01
        assert len(said) == is_shrunk
        assert not is_shrunk or "column 'age' of the gate" in said[0]
        found, said = slope(unit, gate_alpha=1e-6 * unit**2)  # as the warning says
        assert_allclose(found, wanted, rtol=1e-6)
        assert not said


def test_columns_of_a_gate_have_the_names_of_their_table(tmp_path):
    rng = np.random.default_rng(0)
    X, z = rng.normal(size=(200, 1)), pd.DataFrame(rng.normal(size=(200, 2)), columns=["age", "size"])
    y = np.where(rng.random(200) < 1 / (1 + np.exp(-2 * z.age)), 3 + X[:, 0], -X[:, 0]) + 0.3 * rng.normal(size=200)
    model = MixtureOfExperts(2, gate="gate_X", random_state=0, n_init=2).fit(X, y, gate_X=z)
    model.save(tmp_path / "model")
    for same in (model, load(tmp_path / "model")):
        terms = set(same.inference(X, y, gate_X=z).to_frame()["term"])
        assert {"gate: age", "gate: size"} <= terms
        with pytest.raises(
            ValueError, match=r"gate_X should have .* the order differs: column 0 is 'size', and 'age' is wanted"
        ):
            same.predict(X, gate_X=z[["size", "age"]])
    model.fit(X, y, gate_X=z.to_numpy())
    assert not hasattr(model, "gate_feature_names_in_")


# ---- the twin -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_log_densities_are_the_twins(name):
    model, X, y, data, _ = fitted(name, tol=1e-8, max_iter=100)
    parts, _, rows, _ = model_of(name)
    fixed, coefficients = getattr(model, "fixed_coef_", np.empty(0))[:, np.newaxis], []
    dispersions = getattr(model, "sigma_", getattr(model, "shape_", None))
    for place, part in enumerate(parts):
        intercepts, slopes, dispersion = (
            own[place] if isinstance(own, list) else own for own in (model.intercept_, model.coef_, dispersions)
        )
        own = np.column_stack([intercepts, slopes])[:, : part.X.shape[1], np.newaxis]
        coefficients.append(em.Coefficients(own, fixed, np.ones(len(own)) if dispersion is None else dispersion))
    wanted = em.log_density(parts, coefficients)
    assert_allclose(model.component_log_density(X, y, **data), wanted, rtol=1e-11, atol=1e-11)
    theta = np.log(model.weights_)[:, np.newaxis]
    if model.gate is not None:
        theta = np.column_stack([model.gate_intercept_, model.gate_coef_])
        assert_allclose(model.predict_proba(X, gate_X=data["gate_X"]), np.exp(gates.log_shares(rows.Z, theta)))
    joint = em.joint(parts, coefficients, theta, rows)
    norms, resp = logsumexp(joint, axis=1), em.responsibilities(joint)
    scores = model.score_samples(X, y, **data)
    assert_allclose(np.bincount(rows.numbers, scores), norms, rtol=1e-11, atol=1e-11)
    assert_allclose(model.posterior(X, y, **data), resp[rows.numbers], atol=1e-9)
    assert_array_equal(model.labels(X, y, **data), resp.argmax(axis=1)[rows.numbers])


def simulated(expert, n=400, seed=3):
    """(X, y, labels) of two regressions."""
    rng = np.random.default_rng(seed)
    X, labels = rng.normal(size=(n, 2)), np.arange(n) % 2
    eta = np.where(labels, 0.5 + X @ [1.0, -0.5], 1.5 - X @ [0.8, 0.3])
    if expert == "negative_binomial":
        return X, rng.poisson(rng.gamma(2.0, np.exp(eta) / 2.0)).astype(float), labels
    odds = np.exp(np.column_stack([np.zeros(n), eta, -2 * eta]))
    shares = odds / odds.sum(axis=1, keepdims=True)
    return X, np.array([rng.multinomial(4, share) for share in shares]).astype(float), labels


@pytest.mark.parametrize(  # multinomial ones have no dispersion to share
    ("expert", "common"), [("negative_binomial", False), ("negative_binomial", True), ("multinomial", False)]
)
def test_steps_and_limits_are_the_twins(expert, common):
    """Experts that no case has. The twin finds theta by solving an equation, the estimator by a step towards it."""
    X, y, labels = simulated(expert)
    twin = experts.NegativeBinomial() if expert == "negative_binomial" else experts.Multinomial()
    part = em.make_part(twin, y, np.column_stack([np.ones(len(X)), X]), common=common)
    rows = em.make_rows(len(X))
    wanted = em.fit([part], np.eye(2)[labels], rows, 2000, complete=False, tol=1e-14)
    options = {"expert": expert, "variance": "common" if common else "own", "init_params": labels, "n_init": 1}
    model = MixtureOfExperts(2, tol=1e-13, max_iter=3000, **options).fit(X, y)
    if expert == "multinomial":
        n = min(20, len(model.lower_bounds_))
        assert_allclose(np.array(model.lower_bounds_[:n]) * len(X), wanted.log_likelihoods[:n], rtol=1e-8)
        assert model.coef_.shape == (2, 3, 2)
        assert_allclose(model.predict(X).sum(axis=1), 1)
    else:
        assert_allclose(model.theta_, wanted.coefficients[0].dispersion, rtol=1e-3)
    assert_allclose(model.lower_bound_ * len(X), wanted.log_likelihoods[-1], rtol=1e-9)
    own = wanted.coefficients[0].own
    m = own.shape[2]
    assert_allclose(model.intercept_.reshape(2, -1)[:, -m:], own[:, 0], rtol=1e-4, atol=1e-5)
    slopes = model.coef_.reshape(2, -1, 2).transpose(0, 2, 1)[..., -m:]
    assert_allclose(slopes, own[:, 1:], rtol=1e-4, atol=1e-5)


def test_labels_of_classes_are_counts_of_one():
    X, y, labels = simulated("multinomial")
    names = np.array(["blue", "green", "red"])[y.argmax(axis=1)]
    options = {"expert": "multinomial", "init_params": labels, "n_init": 1}
    model = MixtureOfExperts(2, **options).fit(X, names)
    same = MixtureOfExperts(2, **options).fit(X, np.eye(3)[y.argmax(axis=1)])
    assert_array_equal(model.classes_, ["blue", "green", "red"])
    assert_array_equal(model.coef_, same.coef_)
    assert_array_equal(model.score_samples(X, names), same.score_samples(X, np.eye(3)[y.argmax(axis=1)]))
    assert set(model.sample(X, random_state=0)[0]) <= set(names)
    with pytest.raises(ValueError, match=r"black in row 2.*none of the classes"):
        model.labels(X[:3], np.array(["red", "blue", "black"]))


def test_a_gate_of_some_columns_is_that_of_an_array_of_them():
    given = problem("sim-gaussian-gate")
    X, y, z = given.responses[0].X, given.responses[0].y, given.gate
    options = {"random_state": 0, "tol": 1e-10}
    wide = np.column_stack([X, z])
    all_of_them = MixtureOfExperts(2, gate="same", **options).fit(wide, y)
    apart = MixtureOfExperts(2, gate="gate_X", **options).fit(wide, y, gate_X=wide)
    some = MixtureOfExperts(2, gate=[2], **options).fit(wide, y)
    assert_allclose(apart.lower_bound_, all_of_them.lower_bound_, rtol=1e-9)
    assert some.gate_coef_.shape == (2, 1)
    assert some.lower_bound_ < all_of_them.lower_bound_
    assert_allclose(some.predict_proba(wide).mean(axis=0), some.weights_, rtol=1e-4)  # of before the last step
    for model, data in ((all_of_them, {}), (apart, {"gate_X": wide}), (some, {})):
        assert_array_equal(model.gate_coef_[0], 0)
        assert np.diff(model.lower_bounds_).min() > -1e-10
        shares = model.predict_proba(wide, **data)
        assert_allclose(model.predict(wide, **data), np.sum(shares * model.predict_components(wide), axis=1))
    with pytest.raises(ValueError, match="pass gate_X"):
        apart.predict(wide)
    with pytest.raises(ValueError, match="has 1 columns, it had 3"):
        apart.predict(wide, gate_X=z)
    with pytest.raises(ValueError, match="set gate='gate_X'"):
        some.predict(wide, gate_X=z)
    with pytest.raises(ValueError, match="infinity"):
        apart.fit(wide, y, gate_X=np.where(np.arange(len(z)) == 3, np.inf, z[:, 0])[:, np.newaxis])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("n_columns", [1, 20])
def test_a_gate_that_is_separated_is_finite(n_columns):
    """20 columns are too many for Newton's matrix of 5 components: Boehning's bound."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(500, n_columns))
    labels = np.digitize(z[:, 0], [-1, -0.3, 0.3, 1])
    y = 10.0 * labels + rng.normal(size=500)
    model = MixtureOfExperts(5, gate="gate_X", init_params=labels, n_init=1, max_iter=300, tol=1e-5)
    model.fit(rng.normal(size=(500, 1)), y, gate_X=z)
    assert np.all(np.isfinite(model.gate_coef_))
    assert np.diff(model.lower_bounds_).min() > -1e-9
    assert np.mean(model.predict_proba(np.zeros((500, 1)), gate_X=z).argmax(axis=1) == labels) > 0.9


def test_groups_may_be_called_anything_and_have_one_weight():
    given = problem("npreg-groups")
    X, y, groups = given.responses[0].X, given.responses[0].y, given.groups
    options = {"random_state": 1, "tol": 1e-10}
    model = MixtureOfExperts(2, **options).fit(X, y, groups=groups)
    names = np.array([f"g{int(group)}" for group in groups])
    for n_threads in (1, 2):
        same = MixtureOfExperts(2, n_threads=n_threads, **options).fit(X, y, groups=names)
        assert_array_equal(same.coef_, model.coef_)
    resp = model.posterior(X, y, groups=names)
    assert all(len(np.unique(resp[groups == group], axis=0)) == 1 for group in np.unique(groups))
    alone = MixtureOfExperts(2, **options).fit(X, y)
    apart = MixtureOfExperts(2, **options).fit(X, y, groups=np.arange(len(y)))
    assert_allclose(apart.lower_bounds_, alone.lower_bounds_, rtol=1e-9)
    twice = MixtureOfExperts(2, **options).fit(X, y, np.full(len(y), 2.0), groups=groups)
    assert_allclose(twice.lower_bound_, model.lower_bound_, rtol=1e-9)
    weight = np.ones(len(y))
    weight[0] = 2
    with pytest.raises(ValueError, match="sample_weight should be the same for all rows of a group"):
        MixtureOfExperts(2).fit(X, y, weight, groups=groups)
    together = MixtureOfExperts(2, init_params="kmeans", n_init=1, random_state=0).fit(X, y, groups=groups)
    assert all(len(np.unique(together.labels(X, y, groups=groups)[groups == own])) == 1 for own in np.unique(groups))


@pytest.mark.parametrize("form", [np.asarray, csr_array, pd.DataFrame])
@pytest.mark.parametrize("gate", ["same", "gate_X", [0], None])
def test_columns_of_a_gate_are_those_of_groups(gate, form):
    """A gate is evaluated at the first row of a group: others would make the likelihood depend on the order of rows."""
    rng = np.random.default_rng(0)
    z, groups = rng.normal(size=(20, 1)), np.repeat(np.arange(20), 3)
    X, y = z[groups], rng.normal(size=60)
    other = np.where(np.arange(60) == 32, 1.0, X[:, 0])[:, np.newaxis]

    def of(Z):
        data = {"y": y, "groups": groups} | ({"gate_X": np.asarray(Z)} if gate == "gate_X" else {})
        return form(X if gate == "gate_X" else Z), data

    (X, data), (wrong, others) = of(X), of(other)
    model = MixtureOfExperts(2, gate=gate, random_state=0, n_init=1).fit(X, **data)
    many = {name: [own, others[name]] for name, own in data.items()}
    assert_array_equal(fit_many([X, wrong], model, random_state=0, **many).has_parameters, [True, gate is None])
    calls = [
        MixtureOfExperts(2, gate=gate, random_state=0).fit,
        *(getattr(model, name) for name in ("score_samples", "posterior", "bic", "inference")),
    ]
    for call in calls:
        if gate is None:
            call(wrong, **others)
            continue
        with pytest.raises(ValueError, match=r"the columns of the gate should be the same.*row 32 has another than 30"):
            call(wrong, **others)


INTERCEPTS = {
    "gaussian": (GaussianMixture(2, reg_covar=0, init_params="kmeans"), "means_", lambda eta: eta),
    "poisson": (PoissonMixture(2), "rates_", np.exp),
}


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("expert", INTERCEPTS)
def test_regressions_on_nothing_are_mixtures(expert, grouped):
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(80), 3)
    second = rng.random(80)[groups] < 0.4
    y = {"gaussian": np.where(second, 4, 0) + rng.normal(size=240), "poisson": rng.poisson(np.where(second, 6, 1))}
    table = pd.DataFrame({"y": y[expert], "id": groups})
    data, options = ({"groups": groups} if grouped else {}), {"tol": 1e-12, "max_iter": 5000, "random_state": 0}
    mixture, name, mean = INTERCEPTS[expert]
    wanted = clone(mixture).set_params(**options).fit(table[["y"]], **data)
    nothing = pd.DataFrame(index=range(240))
    by_table = MixtureOfExperts(2, expert=expert, **options).fit(nothing, table.y, **data)
    by_formula = MixtureOfExperts.from_formula(
        "y ~ 1", table, n_components=2, expert=expert, groups="id" if grouped else None, **options
    )
    ones = MixtureOfExperts(2, expert=expert, fit_intercept=False, **options).fit(np.ones((240, 1)), table.y, **data)
    for model in (by_table, by_formula, ones):
        assert_allclose(model.lower_bound_, wanted.lower_bound_, rtol=1e-9)
    for model, X in ((by_table, nothing), (by_formula, table)):
        found = np.sort(mean(model.intercept_))
        # where bounds agree to 1e-12, parameters do to about its root
        assert_allclose(found, np.sort(getattr(wanted, name).ravel()), atol=1e-5)
        assert_allclose(np.sort(model.predict_components(X)[0]), found)
        assert model.coef_.shape == (2, 0)
        assert model.n_parameters == wanted.n_parameters
    assert_array_equal(by_table.predict(np.empty((240, 0))), by_table.predict(nothing))


def test_gates_of_regressions_on_nothing(tmp_path):
    rng = np.random.default_rng(4)
    table = pd.DataFrame({"z": rng.normal(size=400)})
    table["y"] = np.where(rng.random(400) < 1 / (1 + np.exp(-2 * table.z)), 3, 0) + rng.normal(size=400)
    model = MixtureOfExperts.from_formula("y ~ 1", table, gate="~ z", n_components=2, random_state=0)
    slope = model.gate_coef_[1, 0] * np.sign(model.intercept_[1] - model.intercept_[0])
    assert slope == pytest.approx(2, abs=0.5)
    assert model.inference(table).terms[-1] == "gate: z"
    model.save(tmp_path / "model")
    assert_array_equal(load(tmp_path / "model").predict(table), model.predict(table))
    assert select(table, model, n_components=[1, 2, 3]).best_params_ == {"n_components": 2}
    with pytest.raises(ValueError, match=r"Found array with 0 feature\(s\)"):  # as scikit-learn has it of all
        MixtureOfExperts().fit(np.empty((400, 0)), table.y)
    with pytest.raises(ValueError, match=r"problems should have at least one column$"):
        fit_many([pd.DataFrame(index=range(400))], GaussianMixture())
    with pytest.raises(ValueError, match=r"at least one column\. A regression on none is one on a column of ones"):
        fit_many([pd.DataFrame(index=range(400))], MixtureOfExperts(), y=[table.y])
    ones = MixtureOfExperts(2, fit_intercept=False, random_state=0, tol=1e-12, max_iter=20_000)
    batch = fit_many([np.ones((400, 1))], ones, y=[table.y])
    alone = MixtureOfExperts.from_formula("y ~ 1", table, n_components=2, random_state=0, tol=1e-12, max_iter=20_000)
    # intercepts differ by up to 2e-5, where slow iterations stopped, the likelihood at its maximum by far less
    assert batch.lower_bound[0] == pytest.approx(alone.lower_bound_, rel=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_regressions_on_nothing_do_not_begin_where_components_are_alike(seed):
    rng = np.random.default_rng(seed)
    y = rng.gamma(np.where(rng.random(300) < 0.4, 6.0, 1.0))
    options, X = {"expert": "gamma", "random_state": 0}, pd.DataFrame(index=range(300))
    best = MixtureOfExperts(2, init_params="kmeans", tol=1e-10, **options).fit(X, y)
    assert_allclose(MixtureOfExperts(2, **options).fit(X, y).lower_bound_, best.lower_bound_, atol=1e-3)


def test_steps_that_are_too_long_are_halved():
    """Counts of a component that a far row dominates: the first steps overshoot."""
    rng = np.random.default_rng(5)
    shortened = 0
    for seed in range(30):
        X = rng.standard_t(1.5, size=(60, 1))
        y = rng.poisson(np.exp(np.clip(np.where(rng.random(60) < 0.5, 2 * X[:, 0], -X[:, 0]), -3, 6)))
        model = MixtureOfExperts(2, expert="poisson", random_state=seed, n_init=1, n_init_policy="all", tol=1e-9)
        model.fit(X, y)
        assert np.diff(model.lower_bounds_).min(initial=0) > -1e-9
        shortened += Status.SHORTENED_STEP in model.status_
    assert shortened > 0


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_first_step_from_given_coefficients_is_halved_about_one_point():
    """The M-step after given coefficients finds the pivot; those before it are about the origin."""
    rng = np.random.default_rng(0)
    x = rng.standard_t(1.5, size=200)
    y = rng.poisson(np.exp(np.clip(np.where(np.arange(200) % 2, x, 1 - x), -3, 4)))

    def course(shift):
        model = MixtureOfExperts(2, expert="poisson", random_state=0, n_init=1, max_iter=1, warm_start=True)
        model.fit(x[:, np.newaxis] + shift, y)
        model.coef_, model.weights_ = np.array([[-2.0], [2.0]]), np.array([0.5, 0.5])
        model.intercept_ = -model.coef_[:, 0] * shift
        model.set_params(max_iter=6, tol=0).fit(x[:, np.newaxis] + shift, y)
        assert Status.SHORTENED_STEP in model.status_
        return model.lower_bounds_

    near, far = course(0.0), course(100.0)
    assert np.diff(near).min() > 0
    assert_allclose(far, near, rtol=1e-9)


@pytest.mark.parametrize("theta", [1e-3, 0.7, 30.0, 1e5, 1e8])
def test_negative_binomial_densities_and_scores_keep_their_digits(theta):
    """Near Poisson's log Gamma(y + theta) and log Gamma(theta) are 10^9 and differ by ten."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 1)), np.append(rng.poisson(4.0, 38), [0, 3000]).astype(float)
    model = MixtureOfExperts(1, expert="negative_binomial").fit(X, y)
    model.theta_ = np.array([theta])
    wanted = []
    with mpmath.workdps(50):
        for eta, count in zip(model.intercept_ + X @ model.coef_[0], y.tolist(), strict=True):
            mean, size = mpmath.exp(mpmath.mpf(eta)), mpmath.mpf(theta)
            wanted.append(
                mpmath.loggamma(count + size) - mpmath.loggamma(size) - mpmath.loggamma(count + 1)
                + size * mpmath.log(size / (size + mean)) + count * mpmath.log(mean / (size + mean))
            )  # fmt: skip
        wanted = np.array(wanted, dtype=float)
    rounding = 1e-14 * (1 + y) * (1 + abs(np.log(theta)))  # counts times log theta come and go
    assert np.all(np.abs(model.score_samples(X, y) - wanted) <= rounding + 1e-13 * np.abs(wanted))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_negative_binomial_counts_of_poisson_are_fitted_as_such():
    """theta goes to its cap, and the objective does not fall on the way, to the rounding of sums."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 1))
    y = rng.binomial(20, 1 / (1 + np.exp(2 - X[:, 0])))
    model = MixtureOfExperts(1, expert="negative_binomial", tol=1e-13).fit(X, y)
    poisson = MixtureOfExperts(1, expert="poisson", tol=1e-13).fit(X, y)
    assert np.diff(model.lower_bounds_).min() > -1e-13
    assert_allclose(model.lower_bound_, poisson.lower_bound_, atol=1e-7)
    assert_allclose(model.theta_, 1e8)
    assert Status.CAPPED_PARAMETER in model.status_


def test_predictions_are_means_of_the_components():
    model, X, _, _, _ = fitted("sim-gaussian", tol=1e-8, max_iter=100)
    means = model.intercept_ + X @ model.coef_.T
    assert_allclose(model.predict_components(X), means)
    assert_allclose(model.predict(X), means @ model.weights_)
    assert_allclose(model.predict_proba(X), np.tile(model.weights_, (len(X), 1)))
    drawn, labels = model.sample(np.repeat(X, 200, axis=0), random_state=0)
    assert_allclose(np.bincount(labels) / len(labels), model.weights_, atol=0.01)
    for k in (0, 1):
        residual = (drawn - np.repeat(means[:, k], 200))[labels == k]
        assert_allclose(residual.std(), model.sigma_[k], rtol=0.02)


def test_an_exposure_is_an_offset_of_its_logarithm():
    rng = np.random.default_rng(0)
    X, exposure = rng.normal(size=(200, 2)), rng.uniform(0.5, 20, 200)
    y = rng.poisson(exposure * np.exp(np.where(np.arange(200) % 2, X[:, 0], 1 - X[:, 0])))
    options = {"expert": "poisson", "random_state": 0, "tol": 1e-10}
    one = MixtureOfExperts(2, **options).fit(X, y, exposure=exposure)
    other = MixtureOfExperts(2, **options).fit(X, y, offset=np.log(exposure))
    assert_allclose(one.coef_, other.coef_, rtol=1e-7)
    assert_allclose(one.predict(X, exposure=exposure), one.predict(X, exposure=1.0) * exposure)


def test_columns_far_from_zero_lose_no_digits():
    """A line in the pivot's place: the same fit, but for intercepts about the origin."""
    given = problem("sim-poisson-exposure").responses[0]
    options = {"expert": "poisson", "init_params": problem("sim-poisson-exposure").labels, "n_init": 1, "tol": 1e-10}
    near = MixtureOfExperts(2, **options).fit(given.X, given.y, offset=given.offset)
    far = MixtureOfExperts(2, **options).fit(given.X + 1e6, given.y, offset=given.offset)
    assert_allclose(far.lower_bound_, near.lower_bound_, rtol=1e-9)
    assert_allclose(far.coef_, near.coef_, rtol=1e-6)


@pytest.mark.parametrize("offset", [1e3, 1e6, -1e9])
@pytest.mark.parametrize("gate", ["same", "gate_X", [1]])
def test_a_gate_does_not_know_where_zero_is(gate, offset):
    """Sums are about a point amid the rows; about 0 their matrix was singular from 1e8 on, and flagged."""
    rng = np.random.default_rng(0)
    X = np.round(rng.normal(size=(400, 2)), 3)
    second = rng.random(400) < 1 / (1 + np.exp(-2 * X[:, 1]))
    y = np.where(second, 4 - X[:, 0], X[:, 0]) + 0.3 * rng.normal(size=400)

    def shares_and_more(Z):
        data = {"gate_X": Z[:, 1:]} if gate == "gate_X" else {}
        model = MixtureOfExperts(2, gate=gate, init_params=second.astype(int), n_init=1, tol=1e-10)
        model.fit(X if gate == "gate_X" else Z, y, **data)
        assert Status.CAPPED_PARAMETER not in model.status_
        return model, model.predict_proba(X if gate == "gate_X" else Z, **data)

    (near, shares), (far, moved) = shares_and_more(X), shares_and_more(X + np.array([0, offset]))
    rounding = 1e-15 * abs(offset)  # of columns, and of an intercept that is about 0
    assert_allclose(moved, shares, atol=1e-8 + 30 * rounding)
    assert_allclose(far.gate_coef_, near.gate_coef_, rtol=1e-6 + 30 * rounding)
    assert_allclose(far.lower_bound_, near.lower_bound_, rtol=1e-9 + 30 * rounding)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("expert", ["gaussian", "student_t", "poisson", "binomial", "gamma"])
def test_the_objective_never_falls_and_extrapolation_ends_no_lower(expert):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(300, 3))
    y = {"binomial": rng.integers(0, 2, 300), "gamma": rng.gamma(2, size=300)}.get(expert, rng.poisson(3, 300))
    for alpha in (0.0, 2.0):
        ends = []
        for accelerate in (None, "auto"):
            model = MixtureOfExperts(
                3, expert=expert, alpha=alpha, random_state=0, tol=1e-9, accelerate=accelerate, max_iter=5000
            ).fit(X, y)
            assert np.diff(model.lower_bounds_).min() > -1e-10
            ends.append(model.lower_bound_)
        assert ends[1] > ends[0] - 1e-6


# ---- batches, files, rows -------------------------------------------------------------------------------------------


def two_lines(rng, n, expert="gaussian"):
    X, labels = rng.normal(size=(n, 2)), rng.integers(2, size=n)
    eta = np.where(labels, 2 + X @ [1.0, -0.5], -1 - X @ [0.8, 0.3])
    draw = {
        "gaussian": lambda: eta + 0.3 * rng.normal(size=n),
        "student_t": lambda: eta + 0.3 * rng.standard_t(3, size=n),
        "poisson": lambda: rng.poisson(np.exp(eta)),
        "negative_binomial": lambda: rng.poisson(rng.gamma(3.0, np.exp(eta) / 3)),
        "binomial": lambda: rng.random(n) < 1 / (1 + np.exp(-3 * eta)),
        "gamma": lambda: rng.gamma(3.0, np.exp(eta) / 3) + 1e-9,
        "multinomial": lambda: np.digitize(eta + rng.logistic(size=n), [-1, 1]),
    }
    return X, draw[expert]().astype(float)


EXPERTS = ["gaussian", "student_t", "poisson", "negative_binomial", "binomial", "gamma", "multinomial"]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("gate", [None, "same", [1], "gate_X"])
@pytest.mark.parametrize("expert", EXPERTS)
def test_a_problem_of_a_batch_has_the_bits_of_its_fit_alone(expert, gate, dtype, tmp_path):
    rng = np.random.default_rng(0)
    problems = [two_lines(rng, n, expert) for n in (80, 60, 300, 1)]
    Xs, ys = [X.astype(dtype) for X, _ in problems], [y for _, y in problems]
    gates = {"gate_X": [X[:, ::-1] for X, _ in problems]} if gate == "gate_X" else {}
    estimator = MixtureOfExperts(2, expert=expert, gate=gate, n_init=3, max_iter=50)
    result = fit_many(Xs, estimator, y=ys, random_state=3, n_threads=2, **gates)
    assert result.status[3] & Status.TOO_FEW_ROWS
    scores = result.score_samples(Xs, y=ys, **gates)
    for i in range(3):
        own = {name: values[i] for name, values in gates.items()}
        alone = clone(estimator).set_params(random_state=3).fit(Xs[i], ys[i], **own)
        assert_same_fit(result[i], alone)
        assert result.status[i] == alone.status_
        assert same_bits(scores[i], alone.score_samples(Xs[i], ys[i], **own))
    result.save(tmp_path / "batch")
    again = load(tmp_path / "batch")
    assert same_bits(again.score_samples(Xs, y=ys, **gates)[0], scores[0])
    own = {name: values[0] for name, values in gates.items()}
    result[0].save(tmp_path / "model")
    same = load(tmp_path / "model")
    assert same_bits(same.predict(Xs[0], **own), result[0].predict(Xs[0], **own))
    assert same_bits(same.posterior(Xs[0], ys[0], **own), result[0].posterior(Xs[0], ys[0], **own))


def test_a_batch_needs_responses_and_leaves_predictions_to_estimators():
    rng = np.random.default_rng(0)
    Xs, ys = map(list, zip(*(two_lines(rng, 50) for _ in range(3)), strict=True))
    with pytest.raises(TypeError, match="needs y"):
        fit_many(Xs, MixtureOfExperts(2))
    result = fit_many(Xs, MixtureOfExperts(random_state=0), y=ys, n_components=[1, 2])
    assert_array_equal(result.n_components, 2)
    with pytest.raises(TypeError, match=r"result\[i\].predict"):
        result.predict(Xs)
    counts = [np.round(np.exp(ys[0])), np.full(50, -1.0), np.round(np.exp(ys[2]))]
    result = fit_many(Xs, MixtureOfExperts(2, expert="poisson"), y=counts)
    assert_array_equal(result.has_parameters, [True, False, True])
    assert result.status[1] & Status.OUT_OF_DOMAIN


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_classes_are_those_of_all_problems(tmp_path):
    rng = np.random.default_rng(0)
    Xs, ys = map(list, zip(*(two_lines(rng, n, "multinomial") for n in (80, 60, 70)), strict=True))
    ys = [2.0 * y + 1 for y in ys]  # 1, 3 and 5
    ys[1] = np.where(ys[1] == 3, 5.0, ys[1])
    estimator = MixtureOfExperts(2, expert="multinomial", random_state=0, n_init=2)
    result = fit_many(Xs, estimator, y=ys, n_components=[1, 2], keep="all")
    assert not hasattr(estimator, "classes_")
    for i in range(3):
        assert_array_equal(result[i].classes_, [1, 3, 5])
        assert result[i].predict(Xs[i]).shape == (len(Xs[i]), 3)
    assert_allclose(result[1].predict(Xs[1])[:, 1], 0, atol=1e-6)
    assert result.status[1] & Status.CAPPED_PARAMETER  # log odds of a class that is not there
    result.save(tmp_path / "batch")
    again = load(tmp_path / "batch")
    for one, other in zip(again, result, strict=True):
        assert_same_fit(one, other)
    # another fit of an estimator that came from a batch has classes of its own
    assert_array_equal(result[1].fit(Xs[1], ys[1]).classes_, [1, 5])
    # counts say their classes by themselves, and groups are fitted one by one
    counts = [np.eye(3)[((y - 1) / 2).astype(int)] for y in ys]
    assert_array_equal(fit_many(Xs, estimator, y=counts).lower_bound, fit_many(Xs, estimator, y=ys).lower_bound)
    grouped = fit_many(Xs, estimator, y=ys, groups=[np.arange(len(y)) // 2 for y in ys])
    assert np.all(grouped.has_parameters)
    assert_array_equal(grouped[1].classes_, [1, 3, 5])
    table = pd.DataFrame(np.concatenate(Xs), columns=["a", "b"]).assign(y=np.concatenate(ys))
    table["site"] = np.repeat(["s", "t", "u"], list(map(len, ys)))
    by_site = fit_many_groups(table, estimator.set_params(gate=["b"]), by="site", y="y")
    assert_array_equal(by_site["t"].classes_, [1, 3, 5])


IN_FORMS = {
    "arrays": list,
    "lists": lambda ys: [y.tolist() for y in ys],
    "objects": lambda ys: [y.astype(object) for y in ys],
    "series": lambda ys: [pd.Series(y) for y in ys],
    "categories": lambda ys: [pd.Series(y, dtype="category") for y in ys],
    "one array": np.concatenate,
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("form", IN_FORMS)
@pytest.mark.parametrize("expert", ["binomial", "multinomial"])
def test_labels_of_batches_may_be_strings(expert, form, tmp_path):
    rng = np.random.default_rng(0)
    Xs = [rng.normal(size=(n, 2)) for n in (60, 80, 70)]
    ys = [np.where(rng.random(len(X)) < 1 / (1 + np.exp(-3 * X[:, 0])), "yes", "no") for X in Xs]
    estimator = MixtureOfExperts(2, expert=expert, random_state=0, n_init=2)
    given = IN_FORMS[form](ys)
    result = fit_many(Xs, estimator, y=given)
    scores = result.score_samples(Xs, y=given)
    for i, (X, y) in enumerate(zip(Xs, ys, strict=True)):
        alone = clone(estimator).fit(X, y)
        assert_array_equal(result[i].coef_, alone.coef_)
        assert result[i].classes_.tolist() == ["no", "yes"]
        assert_array_equal(scores[i], alone.score_samples(X, y))
    result.save(tmp_path / "batch")
    assert load(tmp_path / "batch")[1].classes_.tolist() == ["no", "yes"]
    table = pd.DataFrame(np.concatenate(Xs), columns=["a", "b"]).assign(y=np.concatenate(ys))
    table["site"] = np.repeat(["s", "t", "u"], list(map(len, ys)))
    assert_array_equal(fit_many_groups(table, estimator, by="site", y="y")["t"].coef_, result[1].coef_)
    groups = [np.array([f"g{row // 2}" for row in range(len(y))]) for y in ys]
    grouped = fit_many(Xs, estimator, y=given, groups=groups)
    assert_array_equal(grouped[1].coef_, clone(estimator).fit(Xs[1], ys[1], groups=groups[1]).coef_)
    if form == "objects":
        given[0][3] = None
        wrong = fit_many(Xs, estimator, y=given)
        assert wrong.status[0] == Status.NOT_FINITE
        assert_array_equal(wrong[1].coef_, result[1].coef_)


def test_labels_of_batches_that_are_wrong():
    X = np.zeros((2, 4, 1))
    for expert, y, message in (
        ("gaussian", [list("abab"), list("aabb")], "y should be numbers, got 'a'"),
        ("binomial", [list("abca"), list("aabb")], r"3 class\(es\), 'a', 'b', 'c'.*there is expert='multinomial'"),
        ("binomial", [list("abba"), np.ones(4)], r"strings in some rows and numbers, such as 1\.0"),
        ("multinomial", np.ones((2, 4)), "needs two at least"),
    ):
        with pytest.raises(ValueError, match=message):
            fit_many(X, MixtureOfExperts(expert=expert), y=y)
    nothing = fit_many(X, MixtureOfExperts(expert="multinomial"), y=np.full((2, 4), np.nan))
    assert nothing.status.tolist() == [Status.NOT_FINITE] * 2


def test_groups_of_a_table_are_fitted_one_by_one():
    rng = np.random.default_rng(0)
    parts = [two_lines(rng, n, "poisson") for n in (60, 70)]
    table = pd.DataFrame(np.concatenate([X for X, _ in parts]), columns=["a", "b"])
    table["counts"], table["site"] = np.concatenate([y for _, y in parts]), ["s"] * 60 + ["t"] * 70
    estimator = MixtureOfExperts(2, expert="poisson", gate=["b"], fixed=["a"], random_state=0)
    result = fit_many_groups(table, estimator, by="site", y="counts")
    assert result.names == ["s", "t"]
    alone = clone(estimator).fit(table.loc[table.site == "t", ["a", "b"]], table.counts[table.site == "t"])
    assert_same_fit(result[1], alone)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_gate_of_one_column_is_read_in_every_form_of_a_batch(tmp_path):
    rng = np.random.default_rng(0)
    Xs, ys = map(list, zip(*(two_lines(rng, n) for n in (60, 70)), strict=True))
    gates = [X[:, 1] for X in Xs]
    estimator = MixtureOfExperts(2, gate="gate_X", random_state=0, n_init=2)
    alone = [clone(estimator).fit(X[:, :1], y, gate_X=z[:, np.newaxis]) for X, y, z in zip(Xs, ys, gates, strict=True)]
    rows, offsets = np.concatenate(Xs), [0, 60, 130]
    table = pd.DataFrame(rows, columns=["x", "z"]).assign(y=np.concatenate(ys), site=np.repeat(["s", "t"], [60, 70]))
    narrow = [X[:, :1] for X in Xs]
    results = [
        fit_many(narrow, estimator, y=ys, gate_X=gates),
        fit_many(narrow, estimator, y=ys, gate_X=[z[:, np.newaxis] for z in gates]),
        fit_many((rows[:, :1], offsets), estimator, y=np.concatenate(ys), gate_X=rows[:, 1]),
        fit_many((rows[:, :1], offsets), estimator, y=np.concatenate(ys), gate_X=rows[:, 1:]),
        *(fit_many_groups(table, estimator, by="site", columns=["x"], y="y", gate_X=gate) for gate in ("z", ["z"])),
    ]
    for result in results:
        for own, wanted in zip(result, alone, strict=True):
            for name in ("coef_", "gate_coef_", "gate_intercept_", "weights_", "lower_bound_"):
                assert same_bits(getattr(own, name), getattr(wanted, name)), name
        assert same_bits(result.score_samples(narrow, y=ys, gate_X=gates)[0], alone[0].score_samples(
            narrow[0], ys[0], gate_X=gates[0][:, np.newaxis]))  # fmt: skip
    of_columns = fit_many_columns(table[["x"]].iloc[:60], estimator, y=ys[0], gate_X=gates[0])
    assert same_bits(of_columns[0].gate_coef_, alone[0].gate_coef_)


@pytest.mark.parametrize("gate", [None, "same", "gate_X", [1]], ids=str)
def test_experts_without_any_problem_that_can_be_fitted_have_statuses(gate):
    X, _ = two_lines(np.random.default_rng(0), 30)
    gates = {"gate_X": [X, X]} if gate == "gate_X" else {}
    result = fit_many([X, X], MixtureOfExperts(2, gate=gate), y=[np.full(30, np.nan), np.full(30, np.inf)], **gates)
    assert result.status.tolist() == [Status.NOT_FINITE] * 2
    assert result.weights.shape == (2, 2)


@pytest.mark.parametrize("gate", [None, "same"])
@pytest.mark.parametrize("expert", EXPERTS)
def test_the_same_bits_for_any_number_of_threads(expert, gate):
    X, y = two_lines(np.random.default_rng(0), 20_000, expert)
    weight = np.random.default_rng(1).uniform(0.5, 2, len(X))
    options = {"expert": expert, "gate": gate, "random_state": 0, "n_init": 1, "max_iter": 3, "tol": 0}
    with pytest.warns(ConvergenceWarning):
        fits = [MixtureOfExperts(2, n_threads=n, **options).fit(X, y, weight) for n in (1, 2, 5)]
    for model in fits[1:]:
        assert_array_equal(model.coef_, fits[0].coef_)
        assert model.lower_bounds_ == fits[0].lower_bounds_
        assert_array_equal(model.weights_, fits[0].weights_)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("gate", [None, "same"])
@pytest.mark.parametrize("expert", EXPERTS)
def test_a_weight_equals_repeating_the_row_and_0_leaving_it_out(expert, gate):
    rng = np.random.default_rng(0)
    X, y = two_lines(rng, 200, expert)
    repeats, labels = rng.integers(0, 4, 200), rng.integers(2, size=200)
    options = {"expert": expert, "gate": gate, "n_init": 1, "tol": 1e-10, "max_iter": 30}
    y = np.where(repeats == 0, np.where(np.arange(200) % 2, np.nan, -7.5), y)
    X = np.where((repeats == 0)[:, np.newaxis], np.inf, X)
    weighted = MixtureOfExperts(2, init_params=labels, **options).fit(X, y, repeats)
    again = MixtureOfExperts(2, init_params=np.repeat(labels, repeats), **options)
    again.fit(np.repeat(X, repeats, axis=0), np.repeat(y, repeats))
    assert_allclose(weighted.lower_bounds_, again.lower_bounds_, rtol=1e-8)
    assert_allclose(weighted.coef_, again.coef_, rtol=1e-5, atol=1e-7)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore:.*few rows", "ignore:.*spurious")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("expert", ["gaussian", "student_t"])
def test_warm_starts_of_exact_fits_keep_the_least_variance_of_the_rows(expert, dtype):
    """Or else variances shrink from one to the next, until log densities are not finite."""
    n_spurious = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(6, 2)).astype(dtype)
        y = X[:, 0] + rng.normal(size=6)
        design = np.column_stack([np.ones(6), X]).astype(float)
        least = 1e-12 * np.linalg.lstsq(design, y, rcond=None)[1][0] / 6
        model = MixtureOfExperts(3, expert=expert, random_state=seed, warm_start=True).fit(X, y)
        for _ in range(5):
            model.fit(X, y)
            assert np.isfinite(model.score(X, y))
            is_spurious = bool(model.status_ & Status.SPURIOUS_COMPONENT)
            n_spurious += is_spurious
            if expert == "gaussian":
                smallest = np.min(np.asarray(model.sigma_, float) ** 2)
                assert smallest > (1 - 1e-6) * least
                assert is_spurious == (smallest < 10 * least)
    assert n_spurious > 15


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("gate", [None, "same"])
@pytest.mark.parametrize("expert", EXPERTS)
def test_a_warm_start_goes_on_where_the_last_fit_stopped(expert, gate):
    X, y = two_lines(np.random.default_rng(0), 300, expert)
    options = {"expert": expert, "gate": gate, "random_state": 0, "n_init": 1, "n_init_policy": "all", "tol": 0}
    whole = MixtureOfExperts(2, max_iter=12, **options).fit(X, y)
    model = MixtureOfExperts(2, max_iter=6, warm_start=True, **options).fit(X, y).fit(X, y)
    assert_allclose(model.lower_bound_, whole.lower_bound_, rtol=1e-6)
    assert np.diff([*whole.lower_bounds_[:6], *model.lower_bounds_]).min() > -1e-9


def test_a_fit_that_fails_leaves_the_last_model():
    X, y = two_lines(np.random.default_rng(0), 100)
    model = MixtureOfExperts(2, random_state=0).fit(X, y)
    before = vars(model).copy()
    with pytest.raises(ValueError, match="NaN"):
        model.fit(X, np.where(np.arange(100) == 5, np.nan, y))
    assert vars(model) == before
    with pytest.raises(ValueError, match="read-only"):
        model.coef_[0] = 0


# ---- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expert", "bad"),
    [("poisson", -1.0), ("poisson", 0.5), ("binomial", 2.0), ("gamma", 0.0), ("gaussian", np.nan), ("poisson", np.inf)],
)
def test_a_response_outside_the_domain_is_named(expert, bad):
    X, y = np.arange(20.0)[:, np.newaxis], np.ones(20)
    y[7] = bad
    with pytest.raises(ValueError, match=rf"row 7.* {bad}|NaN|infinity"):
        MixtureOfExperts(expert=expert).fit(X, y)


def test_what_is_refused():
    X, y = np.arange(20.0)[:, np.newaxis], np.ones(20)
    with pytest.raises(ValueError, match="requires y"):
        MixtureOfExperts().fit(X, None)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        MixtureOfExperts().fit(X, y[:-1])
    with pytest.raises(ValueError, match="one column"):
        MixtureOfExperts().fit(X, np.ones((20, 2)))
    with pytest.raises(ValueError, match="exposure was given"):
        MixtureOfExperts().fit(X, y, exposure=y)
    with pytest.raises(ValueError, match="names column 3"):
        MixtureOfExperts(fixed=[3]).fit(X, y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_columns_that_depend_on_each_other_are_flagged_and_finite():
    rng = np.random.default_rng(0)
    x = rng.normal(size=60)
    X = np.column_stack([x, 2 * x, np.zeros(60)])
    model = MixtureOfExperts(2, random_state=0).fit(X, 3 * x + rng.normal(size=60))
    assert model.status_ & Status.CAPPED_PARAMETER
    assert np.all(np.isfinite(model.coef_))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_rows_on_two_lines_are_fitted_by_the_least_variance():
    x = np.linspace(0, 1, 60)
    y = np.where(np.arange(60) % 2, 5 * x, 3 - x)
    model = MixtureOfExperts(2, init_params=np.arange(60) % 2, n_init=1).fit(x[:, np.newaxis], y)
    assert model.status_ & Status.SPURIOUS_COMPONENT
    assert_allclose(np.sort(model.coef_.ravel()), [-1, 5], atol=1e-6)
    assert np.all(model.sigma_ > 0)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_constant_response_and_fewer_rows_than_columns_are_finite():
    rng = np.random.default_rng(0)
    for X, y in ((rng.normal(size=(30, 2)), np.full(30, 7.0)), (rng.normal(size=(5, 9)), rng.normal(size=5))):
        model = MixtureOfExperts(2, random_state=0).fit(X, y)
        assert np.all(np.isfinite(model.predict(X)))
        assert np.isfinite(model.lower_bound_)
