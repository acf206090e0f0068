"""Dirichlet-multinomial mixtures: densities, R's results, sparse rows, the ends of the domain."""

from pathlib import Path

import mpmath
import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from mixfast import DirichletMultinomialMixture, fit_many, load, select
from mixfast.convergence import Status
from mixfast.families.dirichlet_multinomial import DirichletMultinomial

#: 278 samples of the gut flora of twins, 130 taxa: Turnbaugh et al., Nature 457 (2009), from R's DirichletMultinomial.
TWINS = np.loadtxt(Path(__file__).parent / "data" / "twins.csv", delimiter=",", skiprows=1)


def counts(n_samples=400, seed=0, n_features=12):
    rng = np.random.default_rng(seed)
    a = np.array([np.linspace(0.2, 3, n_features), np.linspace(3, 0.2, n_features)])
    labels = rng.integers(2, size=n_samples)
    proportions = np.array([rng.dirichlet(a[k]) for k in labels])
    return rng.multinomial(rng.integers(0, 60, n_samples), proportions).astype(float), labels


def with_concentrations(a, weights):
    model = DirichletMultinomialMixture(len(weights))
    model.weights_, model.concentrations_ = np.asarray(weights, dtype=float), np.asarray(a, dtype=float)
    model.n_features_in_ = model.concentrations_.shape[1]
    return model


def test_densities_are_scipys():
    X, _ = counts()
    X = X[X.sum(axis=1) > 0]
    a, weights = np.random.default_rng(1).gamma(1, 2, (3, X.shape[1])), [0.2, 0.5, 0.3]
    parts = [np.log(w) + stats.dirichlet_multinomial(own, X.sum(axis=1).astype(int)).logpmf(X.astype(int))
             for w, own in zip(weights, a, strict=True)]  # fmt: skip
    model = with_concentrations(a, weights)
    for rows in (X, sp.csr_matrix(X)):
        assert_allclose(model.score_samples(rows), np.logaddexp.reduce(parts), rtol=1e-11)


@pytest.mark.parametrize("concentration", [1e-8, 0.3, 1e3, 1e8])
@pytest.mark.parametrize("row", [[1, 0, 2], [10**9, 0, 7], [123, 456, 10**6]])
def test_densities_keep_their_digits(row, concentration):
    a = concentration * np.array([1.0, 0.5, 2.0])
    with mpmath.workdps(60):
        n, total = mpmath.mpf(sum(row)), sum(mpmath.mpf(float(x)) for x in a)
        terms = [mpmath.loggamma(n + 1), mpmath.loggamma(total), -mpmath.loggamma(n + total)]
        for x, own in zip(row, a, strict=True):
            own = mpmath.mpf(float(own))
            terms += [mpmath.loggamma(own + x), -mpmath.loggamma(own), -mpmath.loggamma(mpmath.mpf(x) + 1)]
        expected, largest = float(mpmath.fsum(terms)), 0.0
    # what is added up: rises of some N log N cancel, and their rounding is that of the largest
    largest = float(sum(row)) * np.log(2 + sum(row) / min(1.0, a.sum()))
    got = with_concentrations([a], [1.0]).score_samples(np.array([row], dtype=float))[0]
    assert_allclose(got, expected, rtol=1e-12, atol=4e-15 * largest)


def test_one_component_is_rs():
    """NLE and Laplace of Holmes, Harris & Quince (2012), as the package's own fit has them."""
    model = DirichletMultinomialMixture(1, tol=1e-10).fit(TWINS)
    assert_allclose(-model.lower_bound_ * len(TWINS), 39162.112, atol=0.001)
    assert_allclose(model.laplace(TWINS), 39227.363, atol=0.05)


@pytest.mark.parametrize(("n_components", "nle", "laplace"), [(3, 38898.137, 38822.442), (4, 38953.692, 38781.104)])
def test_more_components_are_no_worse_than_rs(n_components, nle, laplace):
    model = DirichletMultinomialMixture(n_components, n_init=5, random_state=0, tol=1e-6, max_iter=500).fit(TWINS)
    assert -model.lower_bound_ * len(TWINS) < nle
    assert model.laplace(TWINS) < laplace


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("concentration", ["free", "symmetric", 5.0])
@pytest.mark.parametrize("prior", [0.0, 0.1])
def test_the_objective_never_falls(concentration, prior):
    X, _ = counts()
    model = DirichletMultinomialMixture(
        3, concentration=concentration, prior_shape=prior, prior_rate=prior, tol=1e-9, max_iter=300, random_state=0
    ).fit(X)
    assert np.min(np.diff(model.lower_bounds_)) > -1e-11
    if concentration == 5.0:
        assert_allclose(model.concentrations_.sum(axis=1), 5.0, rtol=1e-9)
    if concentration == "symmetric":
        assert np.ptp(model.concentrations_, axis=1).max() == 0


def test_a_maximum_is_stationary():
    """The derivative of the log-likelihood by each concentration, from densities, is zero."""
    X, _ = counts()
    model = DirichletMultinomialMixture(1, prior_shape=0, prior_rate=0, tol=1e-13, max_iter=2000).fit(X)
    a = model.concentrations_[0]
    for j in range(len(a)):
        step = 1e-4 * a[j] * np.eye(len(a))[j]
        above, below = (with_concentrations([a + own], [1.0]).score(X) for own in (step, -step))
        assert abs(above - below) / 2e-4 < 1e-6


def test_it_finds_the_groups_in_dense_and_sparse_rows():
    X, labels = counts(1500)
    full = X.sum(axis=1) > 20
    dense = DirichletMultinomialMixture(2, random_state=0, tol=1e-7, max_iter=500).fit(X)
    sparse = DirichletMultinomialMixture(2, random_state=0, tol=1e-7, max_iter=500).fit(sp.csr_matrix(X))
    assert_allclose(sparse.concentrations_, dense.concentrations_, rtol=1e-7)
    found = dense.predict(X[full])
    agreement = np.mean(found == labels[full])
    assert max(agreement, 1 - agreement) > 0.97
    assert_allclose(np.sort(dense.concentrations_.sum(axis=1)), [19.2, 19.2], rtol=0.2)


def test_empty_rows_belong_to_components_by_weight():
    X, _ = counts()
    model = DirichletMultinomialMixture(2, random_state=0).fit(X)
    nothing = np.zeros((3, X.shape[1]))
    assert_array_equal(model.score_samples(nothing), 0)
    assert_allclose(model.predict_proba(nothing), np.tile(model.weights_, (3, 1)), rtol=1e-14)


def test_columns_without_counts_go_to_the_floor():
    X, _ = counts()
    X[:, 3] = 0
    model = DirichletMultinomialMixture(2, prior_shape=0, prior_rate=0, random_state=0).fit(X)
    assert np.all(model.concentrations_[:, 3] == 1e-12)
    assert np.all(np.isfinite(model.score_samples(X)))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_counts_that_vary_less_than_multinomial_ones_reach_the_cap():
    X = np.array([[20, 10, 20], [21, 10, 19], [20, 11, 19]] * 20, dtype=float)
    model = DirichletMultinomialMixture(1, prior_shape=0, prior_rate=0, tol=0, max_iter=500).fit(X)
    assert model.status_ & Status.CAPPED_PARAMETER
    assert np.all(np.isfinite(model.concentrations_))
    assert_allclose(model.concentrations_[0] / model.concentrations_.sum(), X.sum(axis=0) / X.sum(), rtol=1e-3)


@pytest.mark.parametrize("value", [-1.0, 1.5])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
def test_what_is_no_count_is_named(form, value):
    X, _ = counts()
    X[7, 2] = value
    with pytest.raises(ValueError, match=rf"[Cc]olumn 2 .*{value}"):
        DirichletMultinomialMixture().fit(form(X))


def test_samples_come_from_the_model():
    X, _ = counts(3000)
    model = DirichletMultinomialMixture(1, prior_shape=0, prior_rate=0).fit(X)
    again = DirichletMultinomialMixture(1, prior_shape=0, prior_rate=0).fit(model.sample(20_000, random_state=0)[0])
    assert_allclose(again.concentrations_, model.concentrations_, rtol=0.1)


def test_weights_equal_repetition():
    X, _ = counts(200)
    weight = np.random.default_rng(3).integers(0, 3, len(X))
    start = np.arange(len(X)) % 2
    options = {"tol": 1e-9, "max_iter": 300}
    weighted = DirichletMultinomialMixture(2, init_params=start, **options).fit(X, sample_weight=weight.astype(float))
    repeated = DirichletMultinomialMixture(2, init_params=np.repeat(start, weight), **options)
    repeated.fit(np.repeat(X, weight, axis=0))
    assert_allclose(weighted.concentrations_, repeated.concentrations_, rtol=1e-6)


def test_batches_choices_and_files(tmp_path):
    X, _ = counts(600)
    problems = [X[:200], X[200:201], X[201:]]
    result = fit_many(problems, DirichletMultinomialMixture(2), random_state=1)
    alone = DirichletMultinomialMixture(2, random_state=1).fit(X[201:])
    assert_array_equal(result[2].concentrations_, alone.concentrations_)
    assert result.status[1] & Status.TOO_FEW_ROWS
    chosen = select(X, DirichletMultinomialMixture(), n_components=[1, 2], random_state=0)
    assert chosen.best_params_ == {"n_components": 2}
    alone.save(tmp_path / "model")
    assert_array_equal(load(tmp_path / "model").concentrations_, alone.concentrations_)


def test_free_parameters_are_counted():
    assert DirichletMultinomial().n_parameters(3, 130) == 390
