"""PoissonMixture's own behaviour: rates, exposures, what never happens, huge counts."""

from itertools import pairwise, product

import mpmath
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from batches import assert_same_results, assert_same_state
from scipy import stats
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from mixfast import (
    GaussianMixture,
    PoissonMixture,
    Status,
    bootstrap_lrt,
    fit_many,
    fit_many_columns,
    fit_many_groups,
    load,
    select,
)

FORMS = {"dense": np.asarray, "csr": sp.csr_matrix}
each_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)

#: Days with so many deaths of women over 80 in London: Hasselblad, JASA 64 (1969).
DAYS = np.array([162, 267, 271, 185, 111, 61, 27, 8, 3, 1])
DEATHS = np.arange(10.0)[:, np.newaxis]


def events(n_samples=400, n_features=6, seed=0):
    """Counts, the component of each row, exposures."""
    rng = np.random.default_rng(seed)
    rates = rng.gamma(1, 3, size=(3, n_features))
    labels, exposure = rng.integers(3, size=n_samples), rng.uniform(0.3, 4, n_samples)
    return rng.poisson(rates[labels] * exposure[:, np.newaxis]).astype(float), labels, exposure


def by_hand(weights, rates, **params):
    model = PoissonMixture(len(weights), **params)
    model.weights_, model.rates_ = np.asarray(weights), np.asarray(rates)
    model.n_features_in_ = model.rates_.shape[1]
    return model


@each_form
@pytest.mark.parametrize("accelerate", [None, "auto"])
def test_hasselblads_deaths(accelerate, form):
    """The published solution, as in the vignette of R's SQUAREM: -log-likelihood 1989.945859883."""
    model = PoissonMixture(2, tol=1e-13, max_iter=20_000, canonical_order=True, accelerate=accelerate)
    model.fit(form(DEATHS), sample_weight=DAYS)
    assert -model.score(form(DEATHS), sample_weight=DAYS) * DAYS.sum() == pytest.approx(1989.945859883, abs=1e-6)
    np.testing.assert_allclose(model.weights_, [0.3598854, 0.6401146], atol=1e-3)
    np.testing.assert_allclose(model.rates_.ravel(), [1.2560951, 2.6634044], atol=1e-3)


@each_form
def test_groups_are_told_apart_at_different_exposures(form):
    X, labels, exposure = events()
    found = PoissonMixture(3, random_state=0).fit_predict(form(X), exposure=exposure)
    assert max((np.array(order)[found] == labels).mean() for order in product(range(3), repeat=3)) > 0.95


# ---- densities ------------------------------------------------------------------------------------------------------


@each_form
@pytest.mark.parametrize("exposed", [False, True])
def test_densities_equal_scipys(exposed, form):
    X, _, exposure = events()
    rng = np.random.default_rng(1)
    weights, rates = rng.dirichlet(np.ones(4)), rng.gamma(1, 3, size=(4, 6))
    means = rates * (exposure[:, np.newaxis, np.newaxis] if exposed else 1)
    joint = np.log(weights) + stats.poisson.logpmf(X[:, np.newaxis], means).sum(axis=2)
    model, given = by_hand(weights, rates), {"exposure": exposure} if exposed else {}
    np.testing.assert_allclose(model.score_samples(form(X), **given), logsumexp(joint, axis=1), rtol=1e-12)
    expected = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    np.testing.assert_allclose(model.predict_proba(form(X), **given), expected, rtol=1e-9, atol=1e-13)
    np.testing.assert_array_equal(model.predict(form(X), **given), expected.argmax(axis=1))


def test_probabilities_of_all_counts_sum_to_one():
    rng = np.random.default_rng(2)
    model = by_hand(rng.dirichlet(np.ones(3)), rng.uniform(0.1, 8, size=(3, 2)))
    X = np.array(list(product(range(60), repeat=2)), dtype=float)
    assert np.exp(model.score_samples(X)).sum() == pytest.approx(1, rel=1e-12)


def log_density(x, weights, rates, exposure):
    """To fifty digits; and the size of the largest terms that it is the sum of."""
    with mpmath.workdps(50):
        joint, size = mpmath.mpf(0), 1.0
        for weight, row in zip(weights, rates, strict=True):
            means = [mpmath.mpf(float(rate)) * mpmath.mpf(float(exposure)) for rate in row]
            forms = [int(n) * mpmath.log(mean) if n else mpmath.mpf(0) for n, mean in zip(x, means, strict=True)]
            factorials = sum(mpmath.loggamma(int(n) + 1) for n in x)
            joint += mpmath.mpf(float(weight)) * mpmath.exp(sum(forms) - sum(means) - factorials)
            size = max(size, float(factorials), float(sum(abs(form) for form in forms)), float(sum(means)))
        return float(mpmath.log(joint)), size


@each_form
@pytest.mark.parametrize("scale", [1, 30, 1e3, 1e6, 1e9, 1e12, 2.0**51])
def test_huge_counts_and_tiny_rates_have_all_their_digits(scale, form):
    rng = np.random.default_rng(3)
    weights, rates = np.array([0.3, 0.7]), rng.gamma(1, 1, size=(2, 5)) * scale
    rates[0, 0], rates[1, 1], rates[1, 2] = 1e-300, 1e-200, 5e-324
    X, exposure = np.floor(rng.uniform(size=(12, 5)) * scale), rng.uniform(0.5, 2, 12)
    X[0], exposure[0] = np.floor(rates[0]), 1  # as expected: what is left is a billionth of the terms
    got = by_hand(weights, rates).score_samples(form(X), exposure=exposure)
    for value, x, e in zip(got, X, exposure, strict=True):
        expected, size = log_density(x, weights, rates, e)
        assert abs(value - expected) <= 4 * np.finfo(float).eps * size
        assert value == pytest.approx(expected, rel=1e-12) or abs(expected) < 1e-3 * size


# ---- rates of zero, the prior ---------------------------------------------------------------------------------------


@each_form
@pytest.mark.parametrize("exposed", [False, True])
def test_what_a_component_never_counts_has_rate_zero(exposed, form):
    X = np.array([[3, 0, 0], [1, 2, 0], [0, 2, 0], [0, 5, 0.0]])
    given = {"exposure": np.array([1, 2, 1, 3.0])} if exposed else {}
    model = PoissonMixture(2, init_params=np.eye(2)[[0, 0, 1, 1]]).fit(form(X), **given)
    np.testing.assert_array_equal(model.rates_ == 0, [[0, 0, 1], [1, 0, 1]])
    given = {"exposure": np.full(3, 2.0)} if exposed else {}
    with pytest.warns(UserWarning, match="density zero under every component"):
        scores = model.score_samples(form(np.array([[0, 0, 1], [4, 0, 0], [0, 1, 0.0]])), **given)
    np.testing.assert_array_equal(np.isinf(scores), [True, False, False])
    with pytest.warns(UserWarning, match="density zero under every component"):
        resp = model.predict_proba(form(np.array([[0, 0, 1], [4, 0, 0], [0, 1, 0.0]])), **given)
    np.testing.assert_array_equal(resp[:2], [[0.5, 0.5], [1, 0]])


@each_form
@pytest.mark.parametrize(("alpha", "beta"), [(0.0, 0.0), (1e-300, 0.0), (0.0, 2.0), (0.5, 0.1), (20.0, 5.0)])
@pytest.mark.parametrize("exposed", [False, True])
def test_the_prior_adds_events_and_exposure_and_the_objective_holds_it(exposed, alpha, beta, form):
    X, _, exposure = events()
    X[:, 4] = 0
    weight = np.random.default_rng(5).uniform(0.5, 2, len(X))
    given = {"exposure": exposure} if exposed else {}
    model = PoissonMixture(1, alpha=alpha, beta=beta).fit(form(X), sample_weight=weight, **given)
    total = weight @ exposure if exposed else weight.sum()
    np.testing.assert_allclose(model.rates_[0], (weight @ X + alpha) / (total + beta), rtol=1e-12, atol=1e-300)
    assert (model.rates_[0, 4] > 0) == (alpha > 0)
    prior = (alpha * np.log(model.rates_) if alpha else 0) - beta * model.rates_
    score = model.score(form(X), sample_weight=weight, **given)
    assert model.lower_bound_ == pytest.approx(score + prior.sum() / weight.sum(), rel=1e-12)
    bic = -2 * score * weight.sum() + 6 * np.log(weight.sum())
    assert model.bic(form(X), weight, **given) == pytest.approx(bic, rel=1e-12)
    assert model.aic(form(X), weight, **given) == pytest.approx(bic + 6 * (2 - np.log(weight.sum())), rel=1e-12)
    assert model.icl(form(X), weight, **given) == pytest.approx(bic, rel=1e-12)


def test_what_is_possible_stays_so_in_float32():
    model = PoissonMixture(1, alpha=1e-60).fit(np.array([[1, 0], [2, 0]], np.float32))
    assert model.rates_.dtype == np.float32
    assert model.rates_[0, 1] > 0


# ---- exposures ------------------------------------------------------------------------------------------------------


@each_form
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_equal_exposures_scale_the_rates_and_nothing_else(dtype, form):
    X = events()[0].astype(dtype)
    options = {"init_params": "random", "random_state": 0, "tol": 1e-4}
    plain = PoissonMixture(3, **options).fit(form(X))
    exposed = PoissonMixture(3, **options).fit(form(X), exposure=np.full(len(X), 4.0))
    tolerance = 1e-10 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(exposed.rates_ * 4, plain.rates_, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(exposed.lower_bounds_, plain.lower_bounds_, rtol=1e-5)
    assert exposed.n_features_in_ == 6


@each_form
def test_a_long_row_is_many_short_ones_of_the_same_component(form):
    """Sums of Poisson variables: the M-step sees the total of counts and of exposures alone."""
    X, labels, exposure = events()
    once = PoissonMixture(3, init_params=np.eye(3)[labels], max_iter=0).fit(form(X), exposure=exposure)
    sums = np.array([X[labels == k].sum(axis=0) / exposure[labels == k].sum() for k in range(3)])
    np.testing.assert_allclose(once.rates_, sums, rtol=1e-13)


@each_form
def test_exposures_follow_their_rows(form):
    """Rows of weight zero are left out with their exposures; the order of rows does not matter."""
    X, labels, exposure = events()
    weight = np.random.default_rng(6).integers(0, 3, len(X)).astype(float)
    options = {"tol": 1e-9, "max_iter": 1000}
    usual = PoissonMixture(3, init_params=labels, **options).fit(form(X), sample_weight=weight, exposure=exposure)
    kept = np.random.default_rng(7).permutation(np.flatnonzero(weight))
    other = PoissonMixture(3, init_params=labels[kept], **options).fit(
        form(X[kept]), sample_weight=weight[kept], exposure=exposure[kept]
    )
    np.testing.assert_allclose(other.rates_, usual.rates_, rtol=1e-6)
    scores = usual.score_samples(form(X), exposure)
    np.testing.assert_allclose(usual.score_samples(form(X[kept]), exposure[kept]), scores[kept], rtol=1e-13)
    assert usual.score(form(X), None, weight, exposure) == pytest.approx(scores @ weight / weight.sum(), rel=1e-13)


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
def test_a_fit_to_sparse_rows_with_exposures_is_that_to_dense_ones(init_params):
    X, _, exposure = events()
    given, C = {"exposure": exposure}, sp.csr_matrix(X)
    model = PoissonMixture(3, init_params=init_params, random_state=0, tol=1e-8, max_iter=2000)
    expected = model.fit(X, **given).rates_, model.predict_proba(X, **given)
    got = model.fit(C, **given).rates_, model.predict_proba(C, **given)
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


WRONG = {
    "zero": (lambda e: np.where(e == e[5], 0, e), r"above zero, in row 5 it is 0\.0"),
    "negative": (lambda e: np.where(e == e[5], -1, e), r"above zero, in row 5 it is -1\.0"),
    "NaN": (lambda e: np.where(e == e[5], np.nan, e), "exposure contains NaN"),
    "too short": (lambda e: e[:-1], r"exposure should have the shape of \(400,\), got \(399,\)"),
    "a matrix": (lambda e: e[:, np.newaxis], r"exposure should have the shape of \(400,\), got \(400, 1\)"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_exposures_that_are_none_raise(kind):
    X, _, exposure = events()
    spoil, match = WRONG[kind]
    model = PoissonMixture(2, random_state=0).fit(X, exposure=exposure)
    for method in (model.fit, model.predict, model.score_samples):
        with pytest.raises(ValueError, match=match):
            method(X, exposure=spoil(exposure))


def test_an_exposure_that_float32_cannot_hold_raises():
    X, _, exposure = events()
    with pytest.raises(ValueError, match="in row 0 it is 1e-60"):
        PoissonMixture(2).fit(X.astype(np.float32), exposure=exposure * 0 + 1e-60)


@pytest.mark.parametrize("bad", [-1.0, 0.5])
@each_form
def test_what_is_no_count_is_named(bad, form):
    X, _, _ = events()
    X[9, 3] = bad
    with pytest.raises(ValueError, match=rf"olumn 3 of X is not all counts, row 9 is {bad}"):
        PoissonMixture(2).fit(form(X))


# ---- samples --------------------------------------------------------------------------------------------------------


def test_samples_and_recovery():
    truth = by_hand([0.3, 0.7], [[1, 5, 0], [4, 0.5, 0.0]], random_state=0)
    exposure = np.random.default_rng(8).uniform(0.5, 2, 20_000)
    X, labels = truth.sample(20_000, exposure=exposure)
    np.testing.assert_allclose(X[labels == 0].sum(axis=0) / exposure[labels == 0].sum(), [1, 5, 0], atol=0.1)
    np.testing.assert_allclose(truth.sample(20_000)[0][labels == 1].mean(axis=0), [4, 0.5, 0], atol=0.1)
    fit = PoissonMixture(2, random_state=0).fit(X, exposure=exposure)
    order = np.argsort(fit.weights_)
    np.testing.assert_allclose(fit.weights_[order], truth.weights_, atol=0.02)
    np.testing.assert_allclose(fit.rates_[order], truth.rates_, atol=0.1)
    assert Status.CONVERGED in fit.status_


@pytest.mark.parametrize("rate", [0.99e12, 1.01e12, 1e13, 1e15, 1e16, 9e18, 1e19, 1e30, 1e300])
def test_samples_of_huge_rates_have_the_poisson_distribution(rate):
    """NumPy's Poisson variates have too large a variance from 1e13 on, and are refused beyond 9.2e18."""
    X, _ = by_hand([1.0], [[rate, 2.0]]).sample(50_000, random_state=0)
    # steps of float64 are as large as the standard deviation at 1e32
    resolved = np.sqrt(rate) > 100 * np.spacing(rate)
    if resolved:
        assert stats.kstest((X[:, 0] - rate) / np.sqrt(rate), "norm").pvalue > 0.01
    else:
        np.testing.assert_allclose(X[:, 0], rate, rtol=1e-13)
    assert np.all(X == np.rint(X))
    np.testing.assert_allclose(X[:, 1].mean(), 2, atol=5 * np.sqrt(2 / 50_000))


@each_form
@pytest.mark.parametrize("scale", [1e2, 1e4, 1e6])
def test_float32_rows_of_large_counts_have_the_digits_of_float64(scale, form):
    rng = np.random.default_rng(6)
    groups = scale * rng.uniform(0.2, 1, 5) * (1 + 3 / np.sqrt(scale) * rng.normal(size=(3, 5)))
    X = rng.poisson(groups[rng.integers(3, size=600)])
    options = {"random_state": 0, "tol": 1e-5, "max_iter": 30, "canonical_order": True}
    fine = PoissonMixture(3, **options).fit(form(X.astype(float)))
    rows = form(X.astype(np.float32))
    coarse = PoissonMixture(3, **options).fit(rows)
    np.testing.assert_allclose(coarse.rates_, fine.rates_, rtol=2e-7)
    assert coarse.lower_bound_ == pytest.approx(fine.lower_bound_, rel=1e-6)
    wanted = fine.score_samples(form(X.astype(float)))
    rtol = 1e-6 + 1e-11 * scale  # rates are rounded
    np.testing.assert_allclose(coarse.score_samples(rows), wanted, rtol=rtol)
    result = fit_many([rows], PoissonMixture(3, **options), random_state=0)
    np.testing.assert_allclose(result.score_samples([rows])[0], wanted, rtol=rtol)


def test_a_rate_that_no_count_is_drawn_at_is_named():
    model = by_hand([0.5, 0.5], [[1.0, 2.0], [3.0, 1e300]])
    model.sample(5, exposure=1e8)
    with pytest.raises(ValueError, match=r"rate 1e\+300 of component 1 in column 1, with the exposure 1000.*\.0.* inf"):
        model.sample(50, exposure=1e10)
    model.rates_ = np.array([[1.0, -2.0], [3.0, 1.0]])
    with pytest.raises(ValueError, match=r"rates_\[0, 1\] is -2\.0"):
        model.sample(50)


# ---- many, few, files -----------------------------------------------------------------------------------------------


@each_form
def test_the_number_of_groups_is_chosen(form):
    X = np.random.default_rng(9).poisson(np.repeat([[1, 8], [8, 1], [20, 20]], 100, axis=0)).astype(float)
    chosen = select(form(X), PoissonMixture(), n_components=range(1, 5), random_state=0)
    assert chosen.best_params_ == {"n_components": 3}


def test_the_bootstrap_tests_the_number_of_groups():
    test = bootstrap_lrt(events(100)[0], PoissonMixture(), 1, n_bootstrap=9, random_state=0)
    assert test.p_value == pytest.approx(0.1)


def test_a_saved_model_has_the_same_bits(tmp_path):
    X, _, exposure = events()
    model = PoissonMixture(2, random_state=0).fit(X, exposure=exposure)
    model.save(tmp_path / "model")
    again = load(tmp_path / "model").score_samples(X, exposure)
    np.testing.assert_array_equal(again, model.score_samples(X, exposure))


def test_scikit_learn_routes_exposures():
    X, _, exposure = events()
    alone = PoissonMixture(2, random_state=0).fit(X, exposure=exposure)
    with sklearn.config_context(enable_metadata_routing=True):
        model = PoissonMixture(2, random_state=0)
        for method in ("fit", "predict", "predict_proba", "score"):
            getattr(model, f"set_{method}_request")(exposure=True)
            assert model.get_metadata_routing().consumes(method, ["exposure"]) == {"exposure"}
        assert GaussianMixture().get_metadata_routing().consumes("fit", ["exposure"]) == set()
        pipeline = make_pipeline(FunctionTransformer(), model).fit(X, exposure=exposure)
        np.testing.assert_array_equal(pipeline[-1].rates_, alone.rates_)
        np.testing.assert_array_equal(
            pipeline.predict_proba(X, exposure=exposure), alone.predict_proba(X, exposure=exposure)
        )
        assert pipeline.score(X, exposure=exposure) == alone.score(X, exposure=exposure)
    pipeline = make_pipeline(PoissonMixture(2, random_state=0)).fit(X, poissonmixture__exposure=exposure)
    np.testing.assert_array_equal(pipeline[-1].rates_, alone.rates_)


def test_a_model_that_knows_exposures_warns_where_they_are_missing():
    X, _, exposure = events()
    model = PoissonMixture(3, random_state=0).fit(X, exposure=exposure)
    for method in (model.predict, model.score, model.bic, model.score_samples):
        with pytest.warns(UserWarning, match="fitted with exposures"):
            method(X)
    assert not PoissonMixture(3, random_state=0).fit(X).is_exposed_
    np.testing.assert_array_equal(model.predict(X, exposure=2.0), model.predict(X, exposure=np.full(len(X), 2.0)))
    with pytest.raises(ValueError, match="exposure should have the shape of"):
        model.sample(3, exposure=[1, 2])
    with pytest.raises(ValueError, match="exposure should be finite and above zero, in row 0 it is -1"):
        model.sample(3, exposure=-1)


#: Uses of a model of two columns at exposures of rows, or at one.
AT_EXPOSURES = {
    "impute": lambda model, X, e: model.impute(np.column_stack([X[:, 0], np.full(len(X), np.nan)]), exposure=e),
    "sample_missing": lambda model, X, e: model.sample_missing(
        np.column_stack([X[:, 0], np.full(len(X), np.nan)]), n_draws=3, random_state=0, exposure=e
    ),
    "conditional_mean": lambda model, X, e: model.conditional_mean(X[:, :1], 0, exposure=e),
    "condition": lambda model, X, e: model.condition(0, X[0, 0], exposure=None if e is None else e[0]).weights_,
    "cdf": lambda model, X, e: model.marginal(0).cdf(X[:, :1], exposure=e),
    "ppf": lambda model, X, e: model.marginal(0).ppf(np.linspace(0.01, 0.99, len(X)), exposure=e),
    "is_outlier": lambda model, X, e: model.is_outlier(X, contamination=0.1, n_draws=5000, exposure=e),
    "log_density_level": lambda model, X, e: model.log_density_level(0.9, 5000, exposure=None if e is None else e[0]),
}


def rates_and_counts(unit):
    """Rates of an exposure of `unit`, counts at it, and the exposures."""
    rates = np.array([[2.0, 9.0], [12.0, 3.0]])
    model = PoissonMixture.from_parameters(weights=[0.6, 0.4], rates=rates / unit, is_exposed=unit != 1)
    return model, model.sample(60, random_state=0, exposure=unit)[0], np.full(60, unit)


@pytest.mark.parametrize("use", AT_EXPOSURES)
def test_uses_of_a_density_at_an_exposure_are_those_of_its_rates_times_it(use):
    (plain, X, _), (model, _, exposure) = rates_and_counts(1.0), rates_and_counts(4.0)
    wanted = AT_EXPOSURES[use](plain, X, None)
    np.testing.assert_allclose(AT_EXPOSURES[use](model, X, exposure), wanted, rtol=1e-12)
    with pytest.warns(UserWarning, match="fitted with exposures"):
        assert np.any(AT_EXPOSURES[use](model, X, None) != wanted)
    with pytest.raises(ValueError, match="exposure should be finite and above zero, in row 0 it is -4"):
        AT_EXPOSURES[use](model, X, -exposure)


def test_rows_of_other_exposures_have_other_levels():
    """Each row is compared with rows of its exposure: all at once as those of each exposure by themselves, and where
    there are more exposures than levels as often outliers."""
    model, rng = rates_and_counts(4.0)[0], np.random.default_rng(2)
    exposure = rng.choice([0.5, 8.0, 300.0], 3000)
    X = model.sample(3000, random_state=1, exposure=exposure)[0]
    X[::3, 1] = np.nan
    found = model.is_outlier(X, contamination=0.1, n_draws=4000, exposure=exposure)
    for own in np.unique(exposure):
        rows = exposure == own
        alone = model.is_outlier(X[rows], contamination=0.1, n_draws=4000, exposure=own)
        np.testing.assert_array_equal(found[rows], alone)
    many = np.exp(rng.uniform(np.log(4), np.log(4000), 5000))
    X = model.sample(5000, random_state=1, exposure=many)[0]
    n_outliers = np.sum(model.is_outlier(X, contamination=0.1, n_draws=50_000, exposure=many))
    low, high = stats.binom(5000, [0.085, 0.11]).ppf([1e-6, 1 - 1e-6])  # counts are discrete: fewer lie below a level
    assert low <= n_outliers <= high


def test_rows_of_a_group_are_filled_in_from_one_component():
    model, X, _ = rates_and_counts(1.0)
    groups = np.arange(60) // 6
    X[:, 1] = np.nan
    shares = model.predict_proba(X, groups=groups)
    np.testing.assert_allclose(model.impute(X, groups=groups)[:, 1], shares @ model.rates_[:, 1], rtol=1e-12)
    known = np.full(60, 1)
    np.testing.assert_allclose(model.impute(X, known_labels=known)[:, 1], model.rates_[1, 1], rtol=1e-12)
    X[:] = np.nan  # groups are of one component or the other, 0.6 to 0.4
    apart = PoissonMixture.from_parameters(weights=[0.6, 0.4], rates=[[1.0, 1.0], [1e6, 1e6]])
    drawn = apart.sample_missing(X, n_draws=400, random_state=0, groups=groups)[:, :, 0].reshape(400, 10, 6) > 1000
    assert np.all(drawn == drawn[:, :, :1])
    low, high = stats.binom(4000, 0.4).ppf([1e-6, 1 - 1e-6])
    assert low <= drawn[:, :, 0].sum() <= high


def test_what_a_use_of_a_density_does_not_take_is_named():
    model, X, exposure = rates_and_counts(4.0)
    with pytest.raises(TypeError, match=r"is_outlier\(\) .* 'groups': .* of a PoissonMixture may have .* here is exp"):
        model.is_outlier(X, groups=exposure)
    with pytest.raises(TypeError, match=r"cdf\(\) .* 'exposur': .* Did you mean 'exposure'\?"):
        model.marginal([0]).cdf(X[:, :1], exposur=exposure)
    with pytest.raises(TypeError, match=r"PoissonMixture\.impute\(\) .* 'hours': it takes X, exposure"):
        model.impute(X, hours=exposure)


def test_exposures_follow_the_other_arguments_by_position():
    X, _, exposure = events()
    weight = np.random.default_rng(6).integers(1, 3, len(X)).astype(float)
    model = PoissonMixture(2, random_state=0).fit(X, None, weight, exposure)
    named = {"sample_weight": weight, "exposure": exposure}
    assert_same_state(model, PoissonMixture(2, random_state=0).fit(X, **named))
    assert model.is_exposed_
    for name in ("predict", "predict_proba", "score_samples", "component_log_density"):
        method = getattr(model, name)
        np.testing.assert_array_equal(method(X, exposure), method(X, exposure=exposure))
    np.testing.assert_array_equal(model.fit_predict(X, None, weight, exposure), model.fit_predict(X, **named))
    assert model.score(X, None, weight, exposure) == model.score(X, **named)
    for criterion in (model.bic, model.aic, model.icl):
        assert criterion(X, weight, exposure, "kish") == criterion(X, n_effective="kish", **named)
        with pytest.raises(TypeError, match="multiple values for argument 'exposure'"):
            criterion(X, weight, exposure, exposure=exposure)


def test_what_a_row_has_is_known_by_name():
    X, _, exposure = events()
    model = PoissonMixture(2, random_state=0).fit(X)
    with pytest.raises(
        TypeError, match=r"PoissonMixture.predict\(\) got an unexpected .* 'exposures': it takes X, exp"
    ):
        model.predict(X, exposures=exposure)
    takes = "it takes X, y, sample_weight, known_labels, groups$"
    with pytest.raises(TypeError, match=rf"GaussianMixture.fit\(\) got an unexpected .* 'exposure': {takes}"):
        GaussianMixture(2).fit(X, exposure=exposure)
    with pytest.raises(TypeError, match="score_samples"):
        model.score_samples(X, exposure, 3)
    for call in (fit_many, select):
        with pytest.raises(TypeError, match="'exposure'"):
            call([X, X], GaussianMixture(), exposure=[exposure, exposure])
    with pytest.raises(
        TypeError, match=r"'exposure': .* a GaussianMixture may have beside their values is known_labels, groups"
    ):
        bootstrap_lrt(X, GaussianMixture(), 1, exposure=exposure)


def test_a_subclass_sees_rows_and_exposures_apart():
    class Own(PoissonMixture):
        def score_samples(self, X, exposure=None):
            self.seen = type(X), type(exposure)
            return super().score_samples(X, exposure=exposure)

    X, _, exposure = events()
    model = Own(2, random_state=0).fit(X, exposure=exposure)
    weight = np.arange(len(X)) % 2
    assert model.score(X, sample_weight=weight, exposure=exposure) == pytest.approx(
        PoissonMixture(2, random_state=0).fit(X, exposure=exposure).score(X[1::2], exposure=exposure[1::2])
    )
    assert model.seen == (np.ndarray, np.ndarray)


# ---- exposures of many problems, and in choices ----------------------------------------------------------------------


def exposed_problems(form=np.asarray, dtype=np.float64):
    """Problems with the exposures and weights of their rows."""
    X, _, exposure = events(360)
    weight = np.random.default_rng(5).integers(0, 3, len(X)).astype(float)
    cuts = [slice(a, b) for a, b in pairwise([0, 120, 200, 360])]
    return [form(X[own].astype(dtype)) for own in cuts], [exposure[own] for own in cuts], [weight[own] for own in cuts]


@each_form
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_init_policy", ["all", "halving"])
def test_a_batch_with_exposures_has_the_bits_of_fits_alone(form, dtype, weighted, n_init_policy):
    problems, exposure, weight = exposed_problems(form, dtype)
    template = PoissonMixture(n_init=2, n_init_policy=n_init_policy, alpha=0.5, beta=1.0)
    weights = {"sample_weight": weight} if weighted else {}
    for criterion in ("bic", "icl"):
        result = fit_many(
            problems, template, n_components=[1, 2, 3], criterion=criterion, random_state=3, keep="all",
            exposure=exposure, **weights
        )  # fmt: skip
        assert result.row_data == ("exposure",)
        predictions = [
            getattr(result, name)(problems, exposure=exposure) for name in ("predict", "predict_proba", "score_samples")
        ]
        for i, (problem, own) in enumerate(zip(problems, exposure, strict=True)):
            given = {"exposure": own} | ({"sample_weight": weight[i]} if weighted else {})
            for j, n_components in enumerate([1, 2, 3]):
                alone = clone(template).set_params(n_components=n_components, random_state=3).fit(problem, **given)
                np.testing.assert_array_equal(result.models[j][i].rates_, alone.rates_)
                assert result.models[j][i].is_exposed_
                value = getattr(alone, criterion)(problem, n_effective="sum", **given)
                assert result.criteria[i, j] == pytest.approx(value, rel=1e-6 if dtype == np.float32 else 1e-12)
            alone = clone(template).set_params(n_components=result.n_components[i], random_state=3)
            alone.fit(problem, **given)
            np.testing.assert_array_equal(predictions[0][i], alone.predict(problem, own))
            np.testing.assert_array_equal(predictions[1][i], alone.predict_proba(problem, own))
            np.testing.assert_array_equal(predictions[2][i], alone.score_samples(problem, own))


def test_exposures_of_problems_have_the_forms_of_weights(tmp_path):
    X, _, exposure = events(300)
    wanted = fit_many([X[:150], X[150:]], PoissonMixture(2, random_state=0), exposure=[exposure[:150], exposure[150:]])
    flat = fit_many((X, [0, 150, 300]), PoissonMixture(2, random_state=0), exposure=exposure)
    cube = fit_many(X.reshape(2, 150, 6), PoissonMixture(2, random_state=0), exposure=exposure.reshape(2, 150))
    for got in (flat, cube):
        assert_same_results(got, wanted)
    wanted.save(tmp_path / "result")
    again = load(tmp_path / "result")
    assert_same_results(again, wanted)
    assert again[0].is_exposed_
    twice = fit_many([X, X], PoissonMixture(2, random_state=0), exposure=2.0)
    np.testing.assert_array_equal(twice[0].rates_, PoissonMixture(2, random_state=0).fit(X, exposure=2.0).rates_)
    assert not fit_many([X], PoissonMixture(2, random_state=0))[0].is_exposed_
    with pytest.warns(UserWarning, match="fitted with exposures"):
        wanted.predict([X[:150], X[150:]])
    with pytest.raises(ValueError, match=r"as many values as each problem has rows: exposure\[1\] has 299"):
        fit_many([X, X], PoissonMixture(2), exposure=[exposure, exposure[1:]])
    with pytest.raises(ValueError, match="exposure has 299 values for 300 rows"):
        fit_many((X, [0, 150, 300]), PoissonMixture(2), exposure=exposure[1:])
    with pytest.raises(ValueError, match="problem 1: exposure should be finite and above zero, in row 2 it is -1"):
        wanted.predict([X[:150], X[150:]], exposure=np.where(np.arange(300) == 152, -1, exposure))
    with pytest.raises(ValueError, match="problem 1 "):
        wanted.predict([X[:150], X[150:]], exposure=np.where(np.arange(300) == 152, np.nan, exposure))


@pytest.mark.parametrize("n_init_policy", ["all", "halving"])
@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.filterwarnings("error")
def test_a_problem_with_an_exposure_that_is_none_has_a_status(bad, n_init_policy):
    problems, exposure, weight = exposed_problems()
    template = PoissonMixture(2, random_state=0, n_init_policy=n_init_policy, n_init=2)
    wanted = fit_many(problems, template, exposure=exposure)
    spoilt = [exposure[0], np.where(np.arange(80) == 7, bad, exposure[1]), exposure[2]]
    got = fit_many(problems, template, exposure=spoilt)
    assert got.has_parameters.tolist() == [True, False, True]
    assert Status(int(got.status[1])) == (Status.NOT_FINITE if not np.isfinite(bad) else Status.OUT_OF_DOMAIN)
    for i in (0, 2):
        assert_same_state(got[i], wanted[i])
    assert got.predict(problems, exposure=spoilt)[1].tolist() == [-1] * 80
    assert not np.any(fit_many(problems[1:2], template, exposure=spoilt[1:2]).has_parameters)
    weight[1][7] = 0
    assert np.all(fit_many(problems, template, sample_weight=weight, exposure=spoilt).has_parameters)


def test_held_out_rows_keep_their_exposures():
    problems, exposure, weight = exposed_problems()
    options = {"n_components": [1, 3], "criterion": "heldout", "random_state": 0}
    got = fit_many(problems, PoissonMixture(), exposure=exposure, **options)
    assert got.n_components.tolist() == [3, 3, 3]
    scaled = fit_many(problems, PoissonMixture(), exposure=[4 * own for own in exposure], **options)
    np.testing.assert_allclose(scaled.criteria, got.criteria, rtol=1e-6)
    assert np.all(np.abs(fit_many(problems, PoissonMixture(), **options).criteria - got.criteria) > 0.01)
    twice = fit_many(problems, PoissonMixture(), exposure=exposure, sample_weight=weight, **options)
    counted = [own[w > 0] for own, w in zip(problems, weight, strict=True)]
    kept = [own[w > 0] for own, w in zip(exposure, weight, strict=True)]
    weights = [w[w > 0] for w in weight]
    assert_same_results(fit_many(counted, PoissonMixture(), exposure=kept, sample_weight=weights, **options), twice)


def test_groups_of_a_table_have_a_column_of_exposures():
    X, _, exposure = events(300)
    table = pd.DataFrame(X, columns=list("abcdef")).assign(hours=exposure, who=np.arange(300) % 2)
    table.loc[4, "hours"] = np.nan
    model = PoissonMixture(2, random_state=0)
    result = fit_many_groups(table, model, by="who", exposure="hours")
    assert result.n_samples.tolist() == [149, 150]
    for group in (0, 1):
        own = table[(table.who == group) & table.hours.notna()]
        alone = clone(model).fit(own[list("abcdef")], exposure=own.hours)
        del alone.lower_bounds_[:-1]  # a batch keeps the last
        assert_same_state(result[group], alone)
    with pytest.raises(ValueError, match="exposure='minutes' should name columns of the table: there is no column"):
        fit_many_groups(table, model, by="who", exposure="minutes")
    several = fit_many_groups(table, model, by="who", exposure=["hours", "a"])  # rows of counts have one each
    assert not several.has_parameters.any()
    assert np.all(several.status & Status.OUT_OF_DOMAIN)
    assert fit_many_groups(table, model, by="who", exposure=None, columns=["a"])[0].n_features_in_ == 1


def test_columns_of_a_table_share_weights_and_exposures():
    X, _, exposure = events(200)
    X, weight = np.array(X, dtype=float), np.random.default_rng(0).integers(0, 3, 200)
    X[3, 2] = np.nan
    model = PoissonMixture(2, random_state=0)
    result = fit_many_columns(X, model, exposure=exposure, sample_weight=weight)
    labels = result.predict(X, exposure=exposure)
    for j, column in enumerate(X.T):
        there = ~np.isnan(column)
        own = {"sample_weight": weight[there], "exposure": exposure[there]}
        alone = clone(model).fit(X[there, j : j + 1], **own)
        del alone.lower_bounds_[:-1]  # a batch keeps the last
        assert_same_state(result[j], alone)
        np.testing.assert_array_equal(labels[j][there], alone.predict(X[there, j : j + 1], exposure=exposure[there]))
    twos = fit_many_columns(X, model, exposure=np.full(200, 2.0)).rates
    np.testing.assert_array_equal(fit_many_columns(X, model, exposure=2.0).rates, twos)
    with pytest.raises(ValueError, match="exposure should have a value for each of 200 rows"):
        fit_many_columns(X, model, exposure=exposure[:5])
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'expsure'.*Did you mean 'exposure'"):
        fit_many_columns(X, model, expsure=exposure)


@each_form
@pytest.mark.parametrize("criterion", ["bic", "heldout"])
def test_a_choice_takes_exposures(criterion, form):
    X, _, exposure = events()
    options = {"n_components": [1, 2, 3, 4], "criterion": criterion, "random_state": 0}
    chosen = select(form(X), PoissonMixture(), exposure=exposure, **options)
    assert chosen.best_params_ == {"n_components": 3}
    assert chosen.best_.is_exposed_
    assert chosen.table[2]["bic"] == chosen.best_.bic(form(X), exposure=exposure)
    weight = np.random.default_rng(6).integers(0, 3, len(X)).astype(float)
    spoilt = np.where(weight > 0, exposure, np.nan)
    got = select(form(X), PoissonMixture(), exposure=spoilt, sample_weight=weight, **options)
    kept = weight > 0
    wanted = select(form(X[kept]), PoissonMixture(), exposure=exposure[kept], sample_weight=weight[kept], **options)
    assert_same_state(got.estimators_, wanted.estimators_)


def test_the_bootstrap_takes_exposures():
    """Rows of one rate and of very unequal exposures: without these, there are two groups at least."""
    rng = np.random.default_rng(2)
    exposure = np.r_[np.full(100, 0.2), np.full(100, 5.0)]
    X = rng.poisson(exposure[:, np.newaxis] * [2.0, 3.0]).astype(float)
    options = {"n_bootstrap": 19, "random_state": 0}
    assert bootstrap_lrt(X, PoissonMixture(), 1, **options).p_value == pytest.approx(0.05)
    test = bootstrap_lrt(X, PoissonMixture(), 1, exposure=exposure, **options)
    assert test.p_value > 0.2
    assert test.null.is_exposed_
    assert test.statistic == pytest.approx(
        2 * len(X) * (test.alternative.score(X, exposure=exposure) - test.null.score(X, exposure=exposure))
    )
    assert bootstrap_lrt(X, PoissonMixture(), 1, exposure=2.0, **options).p_value == pytest.approx(0.05)


@pytest.mark.parametrize(
    "y", [np.linspace(0.3, 4, 300), np.arange(300) * 7.0 + 1, np.arange(300) + 1000, [0.5, 2.0] * 150]
)
@pytest.mark.parametrize("method", ["fit", "fit_predict", "partial_fit"])
def test_exposures_in_the_place_of_y_are_an_error_that_says_where_they_go(method, y):
    X, _, _ = events(300)
    with pytest.raises(ValueError, match=r"y holds numbers that are no labels .*such as .*fit\(X, exposure=exposure\)"):
        getattr(PoissonMixture(2), method)(X, y)


def _exposures_as_table():
    return pytest.importorskip("pandas").DataFrame({"hours": np.linspace(0.3, 4, 300)})


#: Exposures as users have them.
FORMS_OF_EXPOSURES = {
    "a table of one column": _exposures_as_table,
    "an array of one column": lambda: np.linspace(0.3, 4, 300)[:, np.newaxis],
    "objects": lambda: np.linspace(0.3, 4, 300).astype(object),
    "objects of one column": lambda: np.linspace(0.3, 4, 300).astype(object)[:, np.newaxis],
    "nullable numbers": lambda: _exposures_as_table()["hours"].astype("Float64").where(np.arange(300) != 7),
}


@pytest.mark.parametrize("form", FORMS_OF_EXPOSURES)
@pytest.mark.parametrize("method", ["fit", "fit_predict", "partial_fit"])
def test_exposures_of_any_form_in_the_place_of_y_are_an_error(method, form):
    X, _, _ = events(300)
    with pytest.raises(ValueError, match=r"y holds numbers that are no labels .*such as 0\.3: .*exposure=exposure\)"):
        getattr(PoissonMixture(2), method)(X, FORMS_OF_EXPOSURES[form]())


def test_labels_of_any_type_in_the_place_of_y_are_none_of_these():
    X, labels, _ = events(300)
    usual = PoissonMixture(2, random_state=0).fit(X)
    for y in (
        labels,
        labels.astype(float),
        [["a", "b"][k % 2] for k in labels],
        labels[:, np.newaxis],
        labels.astype(object),
        None,
    ):
        assert PoissonMixture(2, random_state=0).fit(X, y).lower_bound_ == usual.lower_bound_
    few = np.arange(19)
    PoissonMixture(1).fit(X[:19], few)
    with pytest.raises(ValueError, match="no labels"):
        PoissonMixture(1).fit(X[:20], np.arange(20))
