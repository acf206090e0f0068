"""MultinomialMixture's own behaviour: words, empty rows, what is impossible, huge counts, totals."""

import re
from itertools import product

import mpmath
import numpy as np
import pytest
import scipy.sparse as sp
from scipy import stats
from scipy.special import logsumexp

from mixfast import MultinomialMixture, Status, bootstrap_lrt, fit_many, select
from mixfast.families import counts
from mixfast.families.multinomial import Multinomial

FORMS = {"dense": np.asarray, "csr": sp.csr_matrix}
each_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def documents(n_samples=400, n_features=30, n_topics=3, n_words=40, seed=0):
    rng = np.random.default_rng(seed)
    topics = rng.dirichlet(np.full(n_features, 0.3), size=n_topics)
    labels = rng.integers(n_topics, size=n_samples)
    totals = rng.poisson(n_words, size=n_samples)
    return rng.multinomial(totals, topics[labels]).astype(float), labels


def by_hand(weights, probabilities, **params):
    model = MultinomialMixture(len(weights), **params)
    model.weights_, model.probabilities_ = np.asarray(weights), np.asarray(probabilities)
    model.n_features_in_ = model.probabilities_.shape[1]
    return model


@each_form
def test_topics_are_told_apart(form):
    X, labels = documents()
    found = MultinomialMixture(3, random_state=0).fit_predict(form(X))
    assert max((np.array(order)[found] == labels).mean() for order in product(range(3), repeat=3)) > 0.99


# ---- densities ------------------------------------------------------------------------------------------------------


@each_form
def test_densities_equal_scipys(form):
    X, _ = documents()
    rng = np.random.default_rng(1)
    weights, probabilities = rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(30), size=4)
    joint = np.log(weights) + np.array([stats.multinomial.logpmf(X, X.sum(axis=1), p) for p in probabilities]).T
    model = by_hand(weights, probabilities)
    np.testing.assert_allclose(model.score_samples(form(X)), logsumexp(joint, axis=1), rtol=1e-12)
    expected = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    np.testing.assert_allclose(model.predict_proba(form(X)), expected, rtol=1e-9, atol=1e-13)


def test_probabilities_of_all_rows_with_one_total_sum_to_one():
    rng = np.random.default_rng(2)
    model = by_hand(rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(4), size=3))
    X = np.array([x for x in product(range(8), repeat=4) if sum(x) == 7], dtype=float)
    assert np.exp(model.score_samples(X)).sum() == pytest.approx(1, rel=1e-13)


def log_density(x, weights, probabilities):
    """To fifty digits; and the size of the largest terms that it is the sum of."""
    with mpmath.workdps(50):
        coefficient = mpmath.loggamma(int(sum(x)) + 1) - sum(mpmath.loggamma(int(count) + 1) for count in x)
        forms = [
            sum(int(count) * mpmath.log(mpmath.mpf(float(p))) for count, p in zip(x, row, strict=True) if count)
            for row in probabilities
        ]
        total = sum(mpmath.mpf(float(w)) * mpmath.exp(form) for w, form in zip(weights, forms, strict=True))
        return float(coefficient + mpmath.log(total)), max(1.0, float(coefficient), *(float(-form) for form in forms))


@each_form
@pytest.mark.parametrize("scale", [1, 30, 1e3, 1e6, 1e9, 1e12, 2.0**53])
def test_huge_counts_and_tiny_probabilities_have_all_their_digits(scale, form):
    rng = np.random.default_rng(3)
    weights, probabilities = np.array([0.3, 0.7]), rng.dirichlet(np.ones(5), size=2)
    probabilities[0, 0], probabilities[1, 1], probabilities[1, 2] = 1e-300, 1e-200, 5e-324
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    X = np.floor(rng.uniform(size=(12, 5)) * scale)
    X[0] = np.round(scale * probabilities[0])  # as expected: what is left is a billionth of the terms
    got = by_hand(weights, probabilities).score_samples(form(X))
    for value, x in zip(got, X, strict=True):
        expected, size = log_density(x, weights, probabilities)
        assert abs(value - expected) <= 4 * np.finfo(float).eps * size
        assert value == pytest.approx(expected, rel=1e-12) or abs(expected) < 1e-3 * size


@each_form
@pytest.mark.parametrize("scale", [1e2, 1e4, 1e6])
def test_float32_rows_of_large_counts_have_the_digits_of_float64(scale, form):
    rng = np.random.default_rng(6)
    groups = rng.dirichlet(np.full(5, 20.0)) * (1 + 3 / np.sqrt(scale) * rng.normal(size=(3, 5)))
    X = np.array([rng.multinomial(int(5 * scale), groups[k] / groups[k].sum()) for k in rng.integers(3, size=600)])
    options = {"random_state": 0, "tol": 1e-5, "max_iter": 30, "canonical_order": True}
    fine = MultinomialMixture(3, **options).fit(form(X.astype(float)))
    rows = form(X.astype(np.float32))
    coarse = MultinomialMixture(3, **options).fit(rows)
    np.testing.assert_allclose(coarse.probabilities_, fine.probabilities_, rtol=2e-7)
    assert coarse.lower_bound_ == pytest.approx(fine.lower_bound_, rel=1e-6)
    result = fit_many([rows], MultinomialMixture(3, **options), random_state=0)
    same = by_hand(coarse.weights_, coarse.probabilities_)  # float64
    for model, tolerance in ((same, 1e-7), (fine, 3e-8 * 5 * scale / 10 + 1e-6)):  # probabilities are rounded
        wanted = model.score_samples(form(X.astype(float)))
        np.testing.assert_allclose(coarse.score_samples(rows), wanted, rtol=tolerance)
        np.testing.assert_allclose(result.score_samples([rows])[0], wanted, rtol=tolerance)


@pytest.mark.parametrize("scale", [1, 20, 1e3, 1e6, 1e9, 1e15])
def test_terms_of_counts_equal_mpmaths(scale):
    rng = np.random.default_rng(4)
    X = np.floor(rng.uniform(size=(30, 6)) * scale * rng.integers(2, size=(30, 6)))
    X[0] = 0
    with mpmath.workdps(50):
        factorials = [float(sum(mpmath.loggamma(int(n) + 1) for n in x)) for x in X]
        coefficients = [
            float(mpmath.loggamma(int(sum(x)) + 1) - sum(mpmath.loggamma(int(n) + 1) for n in x)) for x in X
        ]
    for form in FORMS.values():
        np.testing.assert_allclose(counts.log_factorials(form(X)), factorials, rtol=1e-14)
        np.testing.assert_allclose(counts.log_multinomial_coefficients(form(X)), coefficients, rtol=4e-15, atol=1e-14)


def test_terms_do_not_depend_on_how_many_rows_are_looked_at_at_once(monkeypatch):
    X, _ = documents()
    whole = counts.log_multinomial_coefficients(X)
    monkeypatch.setattr(counts, "BLOCK", 100)
    np.testing.assert_array_equal(counts.log_multinomial_coefficients(X), whole)
    np.testing.assert_array_equal(counts.log_multinomial_coefficients(sp.csr_matrix(X)), whole)


# ---- rows without words, words that are never seen ------------------------------------------------------------------


@each_form
def test_an_empty_row_has_probability_one_and_says_nothing(form):
    X, _ = documents()
    X[:7] = 0
    model = MultinomialMixture(3, alpha=0, random_state=0).fit(form(X))
    np.testing.assert_allclose(model.score_samples(form(X))[:7], 0, atol=1e-15)
    np.testing.assert_allclose(model.predict_proba(form(X))[:7], np.tile(model.weights_, (7, 1)), rtol=1e-14)


@each_form
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_only_empty_rows_give_equal_probabilities(alpha, form):
    model = MultinomialMixture(2, alpha=alpha, init_params="random", random_state=0).fit(form(np.zeros((10, 4))))
    np.testing.assert_array_equal(model.probabilities_, 0.25)
    assert model.score(form(np.zeros((3, 4)))) == 0


@each_form
def test_a_component_of_empty_rows_has_the_words_of_all_rows(form):
    X = np.array([[0, 0, 0], [0, 0, 0], [3, 1, 0], [2, 4, 0.0]])
    model = MultinomialMixture(2, alpha=0, init_params=[0, 0, 1, 1]).fit(form(X))
    np.testing.assert_allclose(model.probabilities_, [[0.5, 0.5, 0]] * 2)


@each_form
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_without_smoothing_unseen_words_are_impossible(dtype, form):
    X = np.array([[3, 1, 0, 0], [1, 1, 0, 0], [0, 0, 2, 4], [0, 1, 3, 0]], dtype)
    model = MultinomialMixture(2, alpha=0, init_params=np.eye(2)[[0, 0, 1, 1]]).fit(form(X))
    np.testing.assert_array_equal(model.probabilities_ == 0, [[0, 0, 1, 1], [1, 0, 0, 0]])
    new = form(np.array([[1, 0, 1, 0], [0, 5, 0, 0], [2, 0, 0, 0]], dtype))
    with pytest.warns(UserWarning, match="density zero under every component"):
        scores = model.score_samples(new)
    np.testing.assert_array_equal(np.isinf(scores), [True, False, False])
    with pytest.warns(UserWarning, match="density zero under every component"):
        resp = model.predict_proba(new)
    np.testing.assert_array_equal(resp[[0, 2]], [[0.5, 0.5], [1, 0]])
    assert not np.any(np.isnan(resp))


@each_form
def test_a_start_that_makes_rows_impossible_goes_on(form):
    """A row for each component: whatever it lacks has probability zero."""
    X, _ = documents(n_words=5)
    for init_params in ("k-means++", "random_from_data"):
        model = MultinomialMixture(3, alpha=0, init_params=init_params, random_state=0, max_iter=500).fit(form(X))
        assert np.isfinite(model.lower_bound_)
        assert Status.IMPOSSIBLE_ROWS not in model.status_
        np.testing.assert_allclose(model.probabilities_.sum(axis=1), 1)


# ---- the prior ------------------------------------------------------------------------------------------------------


@each_form
@pytest.mark.parametrize("alpha", [0.0, 1e-300, 0.1, 1.0, 50.0])
def test_the_prior_adds_pseudo_counts_and_the_objective_holds_it(alpha, form):
    X, _ = documents()
    X[:, 4] = 0
    weight = np.random.default_rng(5).uniform(0.5, 2, len(X))
    model = MultinomialMixture(1, alpha=alpha, max_iter=3).fit(form(X), sample_weight=weight)
    words = weight @ X + alpha
    np.testing.assert_allclose(model.probabilities_[0], np.maximum(words / words.sum(), 0), rtol=1e-12, atol=1e-300)
    assert (model.probabilities_[0, 4] > 0) == (alpha > 0)
    prior = alpha * np.log(model.probabilities_).sum() if alpha else 0
    score = model.score(form(X), sample_weight=weight)
    assert model.lower_bound_ == pytest.approx(score + prior / weight.sum(), rel=1e-12)
    assert model.bic(form(X), weight) == pytest.approx(-2 * score * weight.sum() + 29 * np.log(weight.sum()), rel=1e-12)


def test_what_is_possible_stays_so_in_float32():
    X = np.array([[2.0**40, 0], [2.0**40, 0]], np.float32)
    model = MultinomialMixture(1, alpha=1e-40).fit(X)
    assert model.probabilities_.dtype == np.float32
    assert model.probabilities_[0, 1] > 0
    assert np.isfinite(model.score_samples(np.array([[0, 1]], np.float32))[0])


# ---- sparse rows ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [-1.0, 0.5, 2.0**54])
@each_form
def test_what_is_no_count_is_named(bad, form):
    X, _ = documents()
    model = MultinomialMixture(2, random_state=0).fit(form(X))
    X[9, 3] = bad
    for method in (model.fit, model.predict):
        with pytest.raises(ValueError, match=re.escape(f"olumn 3 of X is not all counts, row 9 is {bad}")):
            method(form(X))


# ---- samples --------------------------------------------------------------------------------------------------------


def test_samples_have_the_totals_of_the_rows_or_those_that_are_asked_for():
    X, _ = documents(n_words=6)
    weight = np.random.default_rng(7).integers(0, 3, len(X)).astype(float)
    model = MultinomialMixture(2, random_state=0).fit(X, sample_weight=weight)
    totals = model.sample(50_000)[0].sum(axis=1)
    expected = np.bincount(X.sum(axis=1).astype(int), weights=weight) / weight.sum()
    got = np.bincount(totals.astype(int), minlength=len(expected)) / 50_000
    np.testing.assert_allclose(got, expected, atol=5 * np.sqrt(0.25 / 50_000))
    np.testing.assert_array_equal(model.sample(5, totals=7)[0].sum(axis=1), 7)
    np.testing.assert_array_equal(model.sample(3, totals=[0, 10**12, 5])[0].sum(axis=1), [0, 10**12, 5])
    for wrong in (-1, 2.5, 2.0**63):
        with pytest.raises(ValueError, match="totals should be whole numbers"):
            model.sample(2, totals=wrong)
    with pytest.raises(ValueError, match="pass totals"):
        by_hand([1.0], [[0.5, 0.5]]).sample(2)


def test_a_fit_recovers_the_model_that_made_the_rows():
    rng = np.random.default_rng(8)
    truth = by_hand([0.3, 0.7], rng.dirichlet(np.ones(10), size=2), random_state=0)
    X, labels = truth.sample(20_000, totals=30)
    assert X.shape == (20_000, 10)
    np.testing.assert_allclose(X[labels == 1].mean(axis=0) / 30, truth.probabilities_[1], atol=0.003)
    fit = MultinomialMixture(2, alpha=0, random_state=0).fit(X)
    order = np.argsort(fit.weights_)
    np.testing.assert_allclose(fit.weights_[order], truth.weights_, atol=0.02)
    np.testing.assert_allclose(fit.probabilities_[order], truth.probabilities_, atol=0.01)


# ---- many, few, files -----------------------------------------------------------------------------------------------


@each_form
def test_the_number_of_topics_is_chosen(form):
    X, _ = documents()
    chosen = select(form(X), MultinomialMixture(alpha=0.01), n_components=range(1, 5), random_state=0)
    assert chosen.best_params_ == {"n_components": 3}


def test_the_bootstrap_draws_rows_with_the_totals_of_the_data():
    X, _ = documents(100, n_features=5, n_topics=2)
    test = bootstrap_lrt(X, MultinomialMixture(alpha=0.01), 1, n_bootstrap=9, random_state=0)
    assert test.p_value == pytest.approx(0.1)


def test_tiny_numbers_are_given_back_as_they_were(doors):
    """Extrapolated logarithms make nothing impossible; what is impossible stays so."""
    from mixfast._em import EM
    from mixfast.engine._rows import Rows

    encoded = Multinomial(0.0).encode(np.ones((3, 3)))
    em = EM(encoded.bind(2, np.dtype(float)), Rows(encoded.rows))
    em.set_state(np.array([0.5, 0.5]), np.array([0.25, 0.75, 0, 0.2, 0.3, 0.5]))
    point = doors.free_point(em)
    assert point[4] == -np.inf
    point[5] = -2000
    assert doors.set_free_point(em, point)
    probabilities = em.state()[1].reshape(2, 3)
    np.testing.assert_allclose(probabilities[0], [0.25, 0.75, 0], rtol=1e-15)
    assert 0 < probabilities[1, 0] < 1e-300
    point[5] = np.nan
    assert not doors.set_free_point(em, point)


def test_sums_of_fitted_rows_that_no_row_can_be_drawn_with_are_named():
    model = MultinomialMixture(1).fit(np.full((3, 2048), 2.0**53))
    with pytest.raises(ValueError, match=r"sum of 1\.8446.*below 2\*\*63 only: pass totals"):
        model.sample()
    np.testing.assert_allclose(model.sample(totals=2**62)[0].sum(), 2.0**62, rtol=1e-12)
