"""DirichletMultinomialMixture's own behaviour: R's values, densities at the extremes, the M-step, edges, totals."""

from itertools import pairwise, product
from pathlib import Path

import mpmath
import numpy as np
import pytest
import scipy.sparse as sp
from scipy import integrate, optimize, stats
from scipy.special import digamma, gammaln, logsumexp
from sklearn.exceptions import ConvergenceWarning
from twins import CELL_FAMILIES, flat, make_em, random_weights

from mixfast import DirichletMultinomialMixture, Status, bootstrap_lrt, fit_many, select
from mixfast._reference import acceleration as acceleration_twin
from mixfast._reference import em as reference
from mixfast.families._cells import cells_of_rows

FORMS = {"dense": np.asarray, "csr": sp.csr_matrix}
each_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
TIES = ["free", "symmetric", 20.0]


def microbes():
    """278 samples of 130 genera from the guts of twins, of R's DirichletMultinomial: Turnbaugh et al., Nature 457
    (2009)."""
    return np.loadtxt(Path(__file__).parent / "data" / "twins.csv", delimiter=",", skiprows=1)


def draw(rng, concentrations, totals):
    shares = rng.standard_gamma(concentrations, size=(len(totals), len(concentrations))) + 1e-300
    return rng.multinomial(totals, shares / shares.sum(axis=1, keepdims=True)).astype(float)


def documents(n_samples=300, n_features=30, n_topics=3, n_words=40, seed=0):
    rng = np.random.default_rng(seed)
    topics = 15 * rng.dirichlet(np.full(n_features, 0.3), size=n_topics) + 0.01
    labels = rng.integers(n_topics, size=n_samples)
    return np.concatenate([draw(rng, topics[k], rng.poisson(n_words, size=1)) for k in labels]), labels


def by_hand(weights, concentrations, dtype=np.float64, **params):
    model = DirichletMultinomialMixture(len(weights), **params)
    model.weights_, model.concentrations_ = np.asarray(weights, dtype), np.asarray(concentrations, dtype)
    model.n_features_in_ = model.concentrations_.shape[1]
    return model


@each_form
def test_topics_are_told_apart(form):
    X, labels = documents()
    found = DirichletMultinomialMixture(3, random_state=0).fit_predict(form(X))
    assert max((np.array(order)[found] == labels).mean() for order in product(range(3), repeat=3)) > 0.97


# ---- R's package ----------------------------------------------------------------------------------------------------


def test_one_component_has_the_values_of_rs_package():
    model = DirichletMultinomialMixture(1, tol=1e-10).fit(microbes())
    assert -278 * model.lower_bound_ == pytest.approx(39162.112, abs=1e-3)
    # R prints 39227.363 for a point at which it stopped with a gradient of 1e-3; this is the value at the maximum
    assert model.laplace(microbes()) == pytest.approx(39227.363, abs=0.02)
    assert model.concentrations_.sum() == pytest.approx(24.36115, abs=1e-3)


@pytest.mark.parametrize(
    ("n_components", "init_params", "seed", "neg_log_posterior", "laplace"),
    [
        (2, "random", 0, 38854.528, 38872.685),
        (3, "kmeans", 3, 38898.137, 38822.442),
        (4, "kmeans", 2, 38953.692, 38781.104),
    ],
)
def test_more_components_are_not_worse_than_rs_table(n_components, init_params, seed, neg_log_posterior, laplace):
    X = microbes()
    model = DirichletMultinomialMixture(
        n_components, init_params=init_params, random_state=seed, tol=1e-8, max_iter=1000
    ).fit(X)
    assert -278 * model.lower_bound_ < neg_log_posterior + 1e-3
    assert model.laplace(X) < laplace
    assert np.diff(model.lower_bounds_).min() > -1e-12 * abs(model.lower_bound_)


def test_laplace_is_the_log_evidence_of_few_concentrations_nearly():
    rng = np.random.default_rng(0)
    X = draw(rng, np.array([3.0, 5.0]), np.full(200, 30))
    model = DirichletMultinomialMixture(1, prior_shape=1.0, prior_rate=0.1, tol=1e-12).fit(X)

    def posterior(first, second):
        a = np.exp([first, second])
        prior = stats.gamma.logpdf(a, 1.0, scale=10) + np.log(a)
        return np.exp(stats.dirichlet_multinomial.logpmf(X, a, X.sum(axis=1)).sum() + prior.sum() - peak)

    peak = model.lower_bound_ * len(X)
    centre = np.log(model.concentrations_[0])
    box = [(value - 1, value + 1) for value in centre]
    evidence, _ = integrate.nquad(posterior, box, opts={"epsrel": 1e-6})
    assert model.laplace(X) == pytest.approx(-peak - np.log(evidence), abs=0.02)


def test_laplace_needs_a_prior_on_free_concentrations():
    X, _ = documents(50)
    for params in ({"concentration": "symmetric"}, {"concentration": 5.0}, {"prior_shape": 0.0}, {"prior_rate": 0.0}):
        model = DirichletMultinomialMixture(**params).fit(X)
        with pytest.raises(ValueError, match="laplace integrates over free concentrations under their prior"):
            model.laplace(X)


def test_laplace_takes_weights_for_repeated_rows():
    X, _ = documents(80)
    repeats = np.random.default_rng(1).integers(0, 3, 80)
    model = DirichletMultinomialMixture(2, random_state=0).fit(X)
    expected = model.laplace(np.repeat(X, repeats, axis=0))
    assert model.laplace(sp.csr_matrix(X), sample_weight=repeats) == pytest.approx(expected, rel=1e-10)


# ---- densities ------------------------------------------------------------------------------------------------------


@each_form
def test_densities_equal_scipys(form):
    X, _ = documents()
    rng = np.random.default_rng(1)
    weights, concentrations = rng.dirichlet(np.ones(4)), rng.gamma(1, 3, size=(4, 30)) + 0.01
    totals = X.sum(axis=1)
    joint = np.array([stats.dirichlet_multinomial.logpmf(X, a, totals) for a in concentrations]).T + np.log(weights)
    model = by_hand(weights, concentrations)
    np.testing.assert_allclose(model.score_samples(form(X)), logsumexp(joint, axis=1), rtol=1e-12)
    expected = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    np.testing.assert_allclose(model.predict_proba(form(X)), expected, rtol=1e-9, atol=1e-13)


def test_probabilities_of_all_rows_with_one_total_sum_to_one():
    rng = np.random.default_rng(2)
    model = by_hand(rng.dirichlet(np.ones(3)), rng.gamma(1, 2, size=(3, 4)))
    for total in (1, 7, 20):
        X = np.array([x for x in product(range(total + 1), repeat=4) if sum(x) == total], dtype=float)
        assert np.exp(model.score_samples(X)).sum() == pytest.approx(1, rel=1e-12)


def exact(x, concentrations):
    """The log density, and the largest of the terms that it is the sum of."""
    with mpmath.workdps(60):
        a, n = [mpmath.mpf(float(value)) for value in concentrations], [mpmath.mpf(float(count)) for count in x]
        pairs = [*zip(a, n, strict=True), (mpmath.fsum(a), mpmath.fsum(n))]
        terms = [mpmath.loggamma(b + c) - mpmath.loggamma(b) - mpmath.loggamma(c + 1) for b, c in pairs]
        return float(mpmath.fsum(terms[:-1]) - terms[-1]), float(max(map(abs, terms)))


def extreme_rows(rng, n_rows):
    """Concentrations from 1e-8 to 1e8 and counts from 0 to 2e9."""
    for i in range(n_rows):
        d = rng.integers(2, 6)
        counts = np.floor(10 ** rng.uniform(0, 9.3, d)) if i % 3 else rng.integers(0, 40, d).astype(float)
        yield 10 ** rng.uniform(-8, 8, d), counts * (rng.random(d) < 0.8)


def test_densities_equal_mpmaths_to_the_ends_of_their_range():
    """Relative to the largest term, each the logarithm of a number of ways: largest error seen 3e-15."""
    for concentrations, x in extreme_rows(np.random.default_rng(3), 300):
        expected, largest = exact(x, concentrations)
        got = by_hand([1.0], [concentrations]).score_samples(x[np.newaxis])[0]
        assert abs(got - expected) <= 1e-13 * max(largest, 1e-300), (concentrations, x)


def test_float32_rows_have_the_digits_of_their_terms():
    rng = np.random.default_rng(4)
    for _ in range(100):
        concentrations = (10 ** rng.uniform(-3, 3, 20)).astype(np.float32)
        x = np.floor(10 ** rng.uniform(-1, 4, 20)).astype(np.float32)
        expected, largest = exact(x, concentrations)
        got = by_hand([1.0], [concentrations], np.float32).score_samples(x[np.newaxis])
        assert got.dtype == np.float32
        assert abs(got[0] - expected) <= 1e-6 * largest


@each_form
def test_rows_without_counts_have_probability_one_and_the_weights_of_the_components(form):
    X, _ = documents()
    X[:3] = 0
    model = DirichletMultinomialMixture(2, random_state=0).fit(form(X))
    np.testing.assert_allclose(model.score_samples(form(X[:3])), 0, atol=1e-12)
    np.testing.assert_allclose(model.predict_proba(form(X[:3])), np.tile(model.weights_, (3, 1)), rtol=1e-12)


def test_rows_that_are_all_empty_leave_what_the_prior_says():
    empty = sp.csr_matrix((5, 3))
    for params, expected in (({}, 1.0), ({"prior_rate": 0.2, "prior_shape": 0.1}, 0.5)):
        model = DirichletMultinomialMixture(**params).fit(empty)
        np.testing.assert_allclose(model.concentrations_, expected, rtol=1e-9)
        np.testing.assert_array_equal(model.score_samples(empty), 0)
    without = DirichletMultinomialMixture(2, prior_shape=0, prior_rate=0, init_params="random").fit(empty)
    assert np.all(np.isfinite(without.concentrations_))


@each_form
def test_words_that_were_never_seen_are_predicted_by_their_concentration(form):
    X, _ = documents()
    X[:, 7] = 0
    new = X[:5].copy()
    new[:, 7] = [1, 2, 5, 40, 1000]
    model = DirichletMultinomialMixture(2, random_state=0).fit(form(X))
    expected = [stats.dirichlet_multinomial.logpmf(new, a, new.sum(axis=1)) for a in model.concentrations_]
    expected = logsumexp(np.transpose(expected) + np.log(model.weights_), axis=1)
    np.testing.assert_allclose(model.score_samples(form(new)), expected, rtol=1e-11)


# ---- the twins ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CELL_FAMILIES)
def test_a_start_equals_the_twins(name):
    rng = np.random.default_rng(1)
    twins = CELL_FAMILIES[name]
    X = twins.make_rows(rng, 300, 4)
    sample_weight = rng.uniform(0.5, 2, 300)
    labels = rng.integers(-1, 3, 300)
    resp = (labels[:, np.newaxis] == np.arange(3)).astype(float)
    layout = twins.compiled.params_layout(3, 4)
    blank = layout.view(twins.compiled.blank(3, 4))
    em = make_em(twins, X, np.full(3, 1 / 3), blank, sample_weight)
    em.start_from_labels(labels)
    weights, params = reference.start(
        X, sample_weight[:, np.newaxis] * resp, np.full(3, 1 / 3), twins.reference, tuple(blank)
    )
    np.testing.assert_allclose(em.state()[0], weights, rtol=1e-12)
    np.testing.assert_allclose(em.state()[1], flat(params), rtol=1e-9)


@pytest.mark.parametrize("name", CELL_FAMILIES)
def test_free_numbers_equal_the_twins_and_lead_back(doors, name):
    rng = np.random.default_rng(0)
    twins = CELL_FAMILIES[name]
    weights, params = random_weights(rng, 4), twins.make_params(rng, 4, 3)
    em = make_em(twins, twins.make_rows(rng, 10, 3), weights, params)
    point = doors.free_point(em)
    np.testing.assert_allclose(point, acceleration_twin.to_point(weights, twins.reference, params), rtol=1e-13)
    em.set_state(np.full(4, 0.25), np.ones(12))
    assert doors.set_free_point(em, point)
    np.testing.assert_allclose(em.state()[1], flat(params), rtol=1e-12)
    moved = point + 0.3 * rng.standard_normal(len(point))
    assert doors.set_free_point(em, moved)
    _, wanted = acceleration_twin.from_point(moved, 4, twins.reference, params)
    np.testing.assert_allclose(em.state()[1], flat(wanted), rtol=1e-11)
    assert not doors.set_free_point(em, np.full(len(point), 800.0))


# ---- the M-step -----------------------------------------------------------------------------------------------------


def objective(X, a, shape, rate, n_free):
    """The log posterior of one component."""
    log_likelihood = stats.dirichlet_multinomial.logpmf(X, a, X.sum(axis=1)).sum()
    return log_likelihood + np.sum(shape * np.log(a[:n_free]) - rate * a[:n_free])


@pytest.mark.parametrize("prior", [(0.0, 0.0), (0.1, 0.1), (2.0, 0.5)])
@pytest.mark.parametrize("n_words", [3, 40, 3000])
def test_one_component_is_where_a_general_optimiser_ends(n_words, prior):
    rng = np.random.default_rng(5)
    X = draw(rng, np.array([0.3, 1.0, 4.0, 0.02]), np.full(400, n_words))
    X = X[X.sum(axis=1) > 0]
    model = DirichletMultinomialMixture(1, prior_shape=prior[0], prior_rate=prior[1], tol=1e-13).fit(X)

    def slope(logs):
        a = np.exp(logs)
        of_totals = np.sum(digamma(a.sum() + X.sum(axis=1)) - digamma(a.sum()))
        return -(a * (np.sum(digamma(a + X) - digamma(a), axis=0) - of_totals - prior[1]) + prior[0]) / len(X)

    def height(logs):
        return -objective(X, np.exp(logs), *prior, 4) / len(X)

    found = optimize.minimize(height, np.zeros(4), jac=slope, method="BFGS", options={"gtol": 1e-9})
    np.testing.assert_allclose(model.concentrations_[0], np.exp(found.x), rtol=1e-4)
    assert objective(X, model.concentrations_[0], *prior, 4) >= objective(X, np.exp(found.x), *prior, 4) - 1e-7


def test_one_concentration_for_all_columns_is_where_a_general_optimiser_ends():
    rng = np.random.default_rng(6)
    X = draw(rng, np.full(6, 0.7), np.full(300, 50))
    model = DirichletMultinomialMixture(1, concentration="symmetric", tol=1e-13).fit(X)
    found = optimize.minimize_scalar(
        lambda log: -objective(X, np.full(6, np.exp(log)), 0.1, 0.1, 1), bounds=(-3, 3), options={"xatol": 1e-10}
    )
    np.testing.assert_allclose(model.concentrations_[0], np.exp(found.x), rtol=1e-6)
    assert model._n_parameters() == 1


def test_a_given_sum_is_kept_and_the_rest_is_where_a_general_optimiser_ends():
    rng = np.random.default_rng(7)
    X = draw(rng, np.array([0.3, 1.0, 4.0]), np.full(300, 50))
    model = DirichletMultinomialMixture(1, concentration=11.0, tol=1e-13).fit(X)
    assert model.concentrations_.sum() == pytest.approx(11, rel=1e-13)

    def at(logs):
        shares = np.exp(np.append(logs, 0))
        return 11 * shares / shares.sum()

    found = optimize.minimize(lambda logs: -objective(X, at(logs), 0.1, 0.1, 3) / len(X), np.zeros(2), tol=1e-10)
    np.testing.assert_allclose(model.concentrations_[0], at(found.x), rtol=1e-5)
    assert model._n_parameters() == 2


@pytest.mark.filterwarnings("ignore:Some components:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("concentration", TIES)
@pytest.mark.parametrize("n_words", [1, 5, 100, 20_000])
def test_the_objective_never_falls_whatever_the_counts(n_words, concentration):
    """From starts that are far off: rows of little, much and no overdispersion."""
    rng = np.random.default_rng(8)
    for a in (0.01, 1.0, 1e4):
        X = draw(rng, a * rng.dirichlet(np.ones(8)), np.full(60, n_words))
        for prior_shape, prior_rate in ((0.0, 0.0), (0.1, 0.1), (1.0, 0.0), (0.0, 1.0)):
            model = DirichletMultinomialMixture(
                2,
                concentration=concentration,
                prior_shape=prior_shape,
                prior_rate=prior_rate,
                init_params="random",
                random_state=0,
                tol=1e-6,
                max_iter=500,
            ).fit(X)
            assert np.all(model.concentrations_ > 0)
            assert np.diff(model.lower_bounds_).min(initial=0) > -1e-9 * abs(model.lower_bound_)


def test_a_large_sum_is_nearly_a_multinomial_mixture():
    X, _ = documents()
    model = DirichletMultinomialMixture(1, concentration=1e9, prior_shape=0, prior_rate=0, tol=1e-12).fit(X)
    np.testing.assert_allclose(model.concentrations_[0] / 1e9, X.sum(axis=0) / X.sum(), atol=1e-7)
    expected = stats.multinomial.logpmf(X, X.sum(axis=1), X.sum(axis=0) / X.sum())
    np.testing.assert_allclose(model.score_samples(X), expected, rtol=1e-5)


def test_columns_without_counts_have_the_floor_or_what_the_prior_leaves():
    X, _ = documents()
    X[:, [0, 5]] = 0
    without = DirichletMultinomialMixture(2, prior_shape=0, prior_rate=0, random_state=0).fit(X)
    np.testing.assert_array_equal(without.concentrations_[:, [0, 5]], 1e-12)
    assert np.all(np.isfinite(without.score_samples(X + 1)))
    assert np.all(DirichletMultinomialMixture(2, random_state=0).fit(X).concentrations_[:, [0, 5]] > 1e-6)


@pytest.mark.parametrize(("concentration", "shares"), [("free", [0.2, 0.3, 0.5]), ("symmetric", [1 / 3] * 3)])
def test_counts_that_vary_less_than_multinomial_ones_end_at_the_cap(concentration, shares):
    X = np.tile([[2.0, 3.0, 5.0], [4.0, 6.0, 10.0]] if concentration == "free" else [[2.0, 2.0, 2.0]], (50, 1))
    model = DirichletMultinomialMixture(prior_shape=0, prior_rate=0, concentration=concentration)
    with pytest.warns(ConvergenceWarning, match="so narrow"):
        model.fit(X)
    assert model.status_ & Status.CAPPED_PARAMETER
    np.testing.assert_allclose(model.concentrations_[0], 1e12 * np.array(shares), rtol=1e-9)
    assert not DirichletMultinomialMixture().fit(X).status_ & Status.CAPPED_PARAMETER


def test_a_component_that_loses_its_rows_stays_and_one_that_begins_with_none_has_those_of_all():
    X, _ = documents(100)
    twins = CELL_FAMILIES["dirichlet_multinomial"]
    em = make_em(twins, X, np.array([1.0, 0.0]), [np.ones((2, 30))])
    for _ in range(30):
        em.step()
    weights, concentrations = em.state()
    np.testing.assert_array_equal(weights, [1, 0])
    np.testing.assert_array_equal(concentrations[30:], 1)
    assert em.status & Status.EMPTIED_COMPONENT
    em.set_state(np.array([0.5, 0.5]), np.zeros(60))
    em.start_from_labels(np.zeros(100, dtype=np.int64), located=True)
    weights, concentrations = em.state()
    np.testing.assert_array_equal(weights, [1, 0])
    np.testing.assert_array_equal(concentrations[30:], concentrations[:30])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("scale", [1, 3, 100])
@pytest.mark.parametrize("prior", [0.0, 0.1])
@pytest.mark.parametrize("concentration", [*TIES, 1e30])
@pytest.mark.parametrize("n_components", [1, 2, 3])
def test_the_bound_of_equal_rows_never_falls(n_components, concentration, prior, scale):
    """They have no likelihood to gain by a second component, and concentrations without end."""
    X = scale * np.tile([3.0, 5, 2], (50, 1))
    model = DirichletMultinomialMixture(
        n_components, concentration=concentration, prior_shape=prior, prior_rate=prior, tol=0, random_state=0
    ).fit(X)
    assert np.diff(model.lower_bounds_).min(initial=0) >= -1e-12 * abs(model.lower_bound_)
    assert not model.status_ & Status.LOWER_BOUND_FELL


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n_words", [20, 500])
@pytest.mark.parametrize("concentration", [1e12, 1e18, 1e19, 1e20, 1e25, 1e30])
def test_the_largest_sums_are_multinomial_mixtures(concentration, n_words, dtype):
    X = np.random.default_rng(0).multinomial(n_words, [0.5, 0.3, 0.15, 0.05], 100).astype(dtype)
    X[0] = [n_words, 0, 0, 0]
    model = DirichletMultinomialMixture(1, concentration=concentration, prior_shape=0, tol=1e-12).fit(X)
    shares = X.sum(axis=0, dtype=float) / X.sum(dtype=float)
    expected = stats.multinomial.logpmf(X.astype(float), n_words, shares)
    tolerance = {np.float64: 1e-5, np.float32: 1e-3}[dtype]  # shares are right to 1e-6; row 0 has 500 times that
    np.testing.assert_allclose(model.score_samples(X), expected, rtol=tolerance, atol=tolerance)
    assert model.status_ == Status.CONVERGED


def test_a_sum_beyond_the_largest_is_refused():
    with pytest.raises(ValueError, match="concentration"):
        DirichletMultinomialMixture(concentration=1e31).fit(np.ones((4, 2)))


# ---- rows -----------------------------------------------------------------------------------------------------------


@each_form
@pytest.mark.parametrize(
    ("value", "message"),
    [(-1.0, "Negative values in data: column 2"), (0.5, "Column 2 of X is not all counts, row 4 is 0.5")],
)
def test_what_is_no_count_names_column_and_value(form, value, message):
    X, _ = documents(20)
    model = DirichletMultinomialMixture().fit(form(X))
    X[4, 2] = value
    for method in (DirichletMultinomialMixture().fit, model.predict, model.laplace):
        with pytest.raises(ValueError, match=message):
            method(form(X))


def test_cells_are_the_distinct_counts_of_columns_and_totals():
    rng = np.random.default_rng(9)
    for scale in (2, 1e3, 1e12):
        X = np.floor(scale * rng.random((200, 7)) ** 3) * (rng.random((200, 7)) < 0.5)
        X[3] = 0
        cells, indptr, indices = cells_of_rows(sp.csr_matrix(X))
        columns = np.repeat(np.arange(8), np.diff(cells.begin))
        full = np.column_stack([X, X.sum(axis=1)])
        assert len(cells) == len(np.unique([(j, x) for j in range(8) for x in full[:, j] if x > 0], axis=0))
        assert all(np.all(np.diff(cells.counts[a:b]) > 0) for a, b in pairwise(cells.begin))
        again = np.zeros_like(full)
        for i, (a, b) in enumerate(pairwise(indptr)):
            assert np.all(np.diff(indices[a:b]) > 0)
            again[i, columns[indices[a:b]]] = cells.counts[indices[a:b]]
        np.testing.assert_array_equal(again, full)


@pytest.mark.parametrize("concentration", TIES)
def test_sparse_rows_have_the_bits_of_dense_ones(concentration):
    X, _ = documents()
    weight = np.random.default_rng(10).integers(0, 3, len(X)).astype(float)
    fits = [
        DirichletMultinomialMixture(3, concentration=concentration, random_state=0).fit(form(X), sample_weight=weight)
        for form in (*FORMS.values(), sp.csc_matrix, sp.coo_array)
    ]
    for other in fits[1:]:
        np.testing.assert_array_equal(other.concentrations_, fits[0].concentrations_)
        np.testing.assert_array_equal(other.predict_proba(sp.csr_matrix(X)), fits[0].predict_proba(X))


def test_float32_rows_are_fitted_in_float32():
    X, labels = documents()
    options = {"init_params": labels, "tol": 1e-6}
    single = DirichletMultinomialMixture(3, **options).fit(X.astype(np.float32))
    double = DirichletMultinomialMixture(3, **options).fit(X)
    assert single.concentrations_.dtype == single.score_samples(X[:2].astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose(single.concentrations_, double.concentrations_, rtol=1e-2)
    assert single.lower_bound_ == pytest.approx(double.lower_bound_, rel=1e-5)


# ---- samples, files, batches, choices -------------------------------------------------------------------------------


def test_samples_have_the_totals_of_the_rows_and_come_from_the_model():
    X, _ = documents(n_topics=1)
    model = DirichletMultinomialMixture(random_state=0).fit(X)
    rows, labels = model.sample(20_000, random_state=1)
    assert not labels.any()
    assert set(np.unique(rows.sum(axis=1))) <= set(np.unique(X.sum(axis=1)))
    again = DirichletMultinomialMixture(prior_shape=0, prior_rate=0).fit(rows)
    frequent = model.concentrations_ > 0.2
    np.testing.assert_allclose(again.concentrations_[frequent], model.concentrations_[frequent], rtol=0.1)


def test_samples_of_tiny_and_of_huge_concentrations():
    rng = np.random.default_rng(12)
    tiny = by_hand([1.0], [[1e-9, 2e-9, 1e-9]], random_state=0).sample(4000, totals=1000)[0]
    assert np.all(np.sort(tiny, axis=1)[:, -1] == 1000)  # a row is all of one column
    np.testing.assert_allclose((tiny > 0).mean(axis=0), [0.25, 0.5, 0.25], atol=0.04)
    huge = by_hand([1.0], [[1e11, 3e11]], random_state=0).sample(2000, totals=10**9)[0]
    np.testing.assert_allclose(huge[:, 0].mean(), 2.5e8, rtol=1e-5)
    assert by_hand([1.0], [rng.random(3)]).sample(3, totals=[0, 1, 5])[0].sum(axis=1).tolist() == [0, 1, 5]


@each_form
def test_a_batch_has_the_bits_of_fits_alone(form):
    X, _ = documents(200)
    X = form(X)
    offsets = np.array([0, 90, 91, 200])
    result = fit_many((X, offsets), DirichletMultinomialMixture(2), random_state=3)
    for i in (0, 2):
        rows = X[offsets[i] : offsets[i + 1]]
        alone = DirichletMultinomialMixture(2, random_state=3).fit(rows)
        np.testing.assert_array_equal(result[i].concentrations_, alone.concentrations_)
    np.testing.assert_array_equal(result.predict((X, offsets))[0], result[0].predict(X[:90]))
    assert Status(int(result.status[1])) & Status.TOO_FEW_ROWS


def test_the_number_of_topics_is_found():
    X, _ = documents(400, n_words=100)
    chosen = select(X, DirichletMultinomialMixture(), n_components=[1, 2, 3, 4], random_state=0)
    assert chosen.best_params_ == {"n_components": 3}


def test_more_components_than_there_are_are_refused_by_the_bootstrap():
    X, _ = documents(60, n_features=5, n_topics=1)
    test = bootstrap_lrt(X, DirichletMultinomialMixture(tol=1e-4), 1, n_bootstrap=19, random_state=0)
    assert test.p_value > 0.05


@pytest.mark.parametrize("concentration", TIES)
def test_acceleration_ends_where_em_does(concentration):
    X, labels = documents(n_words=15)
    options = {"concentration": concentration, "init_params": labels, "tol": 1e-10, "max_iter": 5000}
    plain = DirichletMultinomialMixture(3, **options).fit(X)
    fast = DirichletMultinomialMixture(3, **options, accelerate="auto").fit(X)
    assert fast.lower_bound_ == pytest.approx(plain.lower_bound_, abs=1e-7)
    assert fast.n_iter_ <= plain.n_iter_


def test_the_prior_of_the_objective_has_the_constants_of_a_gamma_distribution():
    X, _ = documents()
    model = DirichletMultinomialMixture(2, prior_shape=0.7, prior_rate=0.3, tol=1e-12, max_iter=2000, random_state=0)
    a = model.fit(X).concentrations_
    prior = np.sum(stats.gamma.logpdf(a, 0.7, scale=1 / 0.3) + np.log(a))
    assert model.lower_bound_ == pytest.approx(model.score(X) + prior / len(X), rel=1e-9)
    assert prior == pytest.approx(np.sum(0.7 * np.log(a) - 0.3 * a + 0.7 * np.log(0.3) - gammaln(0.7)), rel=1e-12)


@pytest.mark.parametrize("wrong", [{"concentration": "both"}, {"concentration": 0.0}, {"prior_shape": -1.0}])
def test_parameters_outside_their_range_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DirichletMultinomialMixture(**wrong).fit(np.ones((4, 2)))


def test_laplace_is_near_rs_at_the_same_maximum():
    X = microbes()
    model = DirichletMultinomialMixture(2, init_params="random", random_state=0, tol=1e-8, max_iter=1000).fit(X)
    assert -278 * model.lower_bound_ == pytest.approx(38854.528, abs=2e-3)
    assert model.laplace(X) == pytest.approx(38872.685, abs=0.3)  # R 1.40 prints 38872.47 where an older one had this


def test_laplace_is_infinite_where_the_posterior_has_no_maximum():
    X = microbes()
    model = DirichletMultinomialMixture(1, tol=1e-8).fit(X)
    model.concentrations_ = np.ones_like(model.concentrations_)
    assert model.laplace(X) == np.inf


def test_totals_beyond_whole_numbers_name_the_row():
    with pytest.raises(ValueError, match="Row 1 of X sums to"):
        DirichletMultinomialMixture().fit([[1.0, 2, 0], [2**53, 2**53, 1]])
