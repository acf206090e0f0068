"""Mixtures of experts: values of other programs, the twin, and the laws of estimators whose rows have a response."""

import numpy as np
import pytest
from golden_experts import CASES, GOLDEN, problem
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp
from test_experts_reference import model_of

from mixfast import MixtureOfExperts, Status
from mixfast._reference.experts import em

#: What the cases call experts.
NAMES = {"student": "student_t"}
#: Cases with what the estimator has no place for yet.
LATER = [name for name, case in CASES.items() if {"gate", "groups"} & case.keys() or name.startswith("npreg-joint")]
HERE = [name for name in CASES if name not in LATER]


def fitted(name, **options):
    """(the model of a case, fitted from the start of the case; the case)"""
    given = problem(name)
    (response,) = given.responses
    columns = [response.X] if response.shared is None else [response.X, response.shared]
    X = np.column_stack(columns)
    model = MixtureOfExperts(
        CASES[name]["K"],
        expert=NAMES.get(response.expert, response.expert),
        variance="common" if response.common else "own",
        fixed=None if response.shared is None else list(range(response.X.shape[1], X.shape[1])),
        sigma_df="n-p" if response.is_inflated else 0,
        init_params=given.labels,
        n_init=1,
        **{"tol": 0.0, "max_iter": 20, **options},
    )
    y, offset = response.y, response.offset
    return model.fit(X, y, given.sample_weight, offset=None if np.ndim(offset) == 0 else offset), X, y, CASES[name]


def total_weight(name):
    weights = problem(name).sample_weight
    return len(problem(name).responses[0].y) if weights is None else weights.sum()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", HERE)
def test_the_way_to_the_limit_is_that_of_other_programs(name):
    """With complete M-steps where these have a closed form, else with one step of Newton's method in each."""
    model, _, _, case = fitted(name)
    wanted = case.get("loglik_after_one_newton_step", case["loglik_after"])
    for i, log_likelihood in wanted.items():
        # Gamma shapes are found from sums about the coefficients before the step, to the second order
        rtol = 1e-3 if case["expert"].startswith("gamma") and i != "1" else 1e-9
        assert_allclose(model.lower_bounds_[int(i) - 1] * total_weight(name), log_likelihood, rtol=rtol)


@pytest.mark.parametrize("name", HERE)
def test_the_limit_is_that_of_other_programs(name):
    model, _, _, case = fitted(name, tol=1e-14, max_iter=5000)
    assert_allclose(model.lower_bound_ * total_weight(name), case["loglik"], rtol=1e-9)
    n_own = np.shape(case["coef"])[1]
    coefficients = np.column_stack([model.intercept_, model.coef_])
    assert_allclose(coefficients[:, :n_own], case["coef"], rtol=1e-5, atol=1e-6)
    if "fixed" in case:
        assert_allclose(model.fixed_coef_, case["fixed"], rtol=1e-5, atol=1e-6)
    for attribute in ("sigma", "shape", "weights"):
        if attribute in case:
            assert_allclose(getattr(model, f"{attribute}_"), case[attribute], rtol=1e-5, atol=1e-6)
    assert model.n_parameters == case["df"]


def test_conventions_of_criteria():
    model, X, y, case = fitted("npreg-gaussian", tol=1e-14, max_iter=5000)
    assert_allclose(model.bic(X, y), case["bic_lower_is_better"], rtol=1e-8)
    assert_allclose(model.icl(X, y), case["icl_map"], rtol=1e-7)
    assert "conventions" in GOLDEN


def test_ten_random_starts_find_the_two_curves():
    given = problem("npreg-gaussian").responses[0]
    for seed in range(5):
        model = MixtureOfExperts(2, random_state=seed, tol=1e-10).fit(given.X, given.y)
        assert_allclose(model.lower_bound_ * len(given.y), -642.53201374, rtol=1e-9)
        assert model.status_ == Status.CONVERGED


# ---- the twin -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HERE)
def test_log_densities_are_the_twins(name):
    model, X, y, _ = fitted(name, tol=1e-8, max_iter=100)
    parts, _, _, _ = model_of(name)
    (part,) = parts
    n_own = part.X.shape[1]
    own = np.column_stack([model.intercept_, model.coef_])[:, :n_own, np.newaxis]
    fixed = getattr(model, "fixed_coef_", np.empty(0))[:, np.newaxis]
    dispersion = getattr(model, "sigma_", getattr(model, "shape_", np.ones(len(own))))
    wanted = em.log_density(parts, [em.Coefficients(own, fixed, dispersion)])
    offset = None if np.ndim(part.offset) == 0 or not np.any(part.offset) else part.offset
    found = model.component_log_density(X, y, offset=offset)
    assert_allclose(found, wanted, rtol=1e-11, atol=1e-11)
    joint = wanted + np.log(model.weights_)
    assert_allclose(model.score_samples(X, y, offset=offset), logsumexp(joint, axis=1), rtol=1e-11, atol=1e-11)
    assert_allclose(
        model.posterior(X, y, offset=offset), np.exp(joint - logsumexp(joint, axis=1, keepdims=True)), atol=1e-9
    )
    assert_array_equal(model.labels(X, y, offset=offset), joint.argmax(axis=1))


def test_predictions_are_means_of_the_components():
    model, X, _, _ = fitted("sim-gaussian", tol=1e-8, max_iter=100)
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
    assert_allclose(one.predict(X, exposure=exposure), one.predict(X) * exposure)


def test_columns_far_from_zero_lose_no_digits():
    """A line in the pivot's place: the same fit, but for intercepts about the origin."""
    given = problem("sim-poisson-exposure").responses[0]
    options = {"expert": "poisson", "init_params": problem("sim-poisson-exposure").labels, "n_init": 1, "tol": 1e-10}
    near = MixtureOfExperts(2, **options).fit(given.X, given.y, offset=given.offset)
    far = MixtureOfExperts(2, **options).fit(given.X + 1e6, given.y, offset=given.offset)
    assert_allclose(far.lower_bound_, near.lower_bound_, rtol=1e-9)
    assert_allclose(far.coef_, near.coef_, rtol=1e-6)


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
