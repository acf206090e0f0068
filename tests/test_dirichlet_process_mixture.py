"""`DirichletProcessMixture`: priors and predictive densities in closed form, laws of the bound, what is refused."""

import itertools
import json
import pickle
import re
import signal
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from scipy import stats
from scipy.special import gammaln, logsumexp
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from mixfast import BayesianGaussianMixture, DirichletProcessMixture, Status, load, select
from mixfast.estimators import _sampled
from mixfast.estimators._sampled import sweeps_of_draw, what_is_wrong
from mixfast.random_partitions import point_partition
from mixfast.sampler import Draws

RNG = np.random.default_rng(7)
GROUP = RNG.integers(3, size=240)
REALS = np.array([[-5.0, 0.0], [0.0, 4.0], [5.0, 0.0]])[GROUP] + RNG.normal(size=(240, 2))
BITS = (RNG.random((240, 6)) < RNG.beta(0.2, 0.2, (3, 6))[GROUP]).astype(float)
COUNTS = RNG.poisson(RNG.gamma(1, 6, (3, 4))[GROUP]).astype(float)
TIMES = RNG.exponential(RNG.gamma(0.3, 1, (3, 4))[GROUP])
CODES = RNG.binomial(3, np.array([[0.05, 0.9, 0.5], [0.9, 0.1, 0.9], [0.5, 0.5, 0.05]])[GROUP]).astype(float)

ROWS = {
    "full": REALS,
    "tied": REALS,
    "diag": REALS,
    "spherical": REALS,
    "bernoulli": BITS,
    "categorical": CODES,
    "multinomial": COUNTS,
    "poisson": COUNTS,
    "exponential": TIMES,
}
GAUSSIANS = ("full", "tied", "diag", "spherical")
every_component = pytest.mark.parametrize("component", ROWS)
every_gaussian = pytest.mark.parametrize("component", GAUSSIANS)


def fitted(component, X=None, **options):
    return DirichletProcessMixture(component, random_state=0, **options).fit(ROWS[component] if X is None else X)


@every_component
@pytest.mark.parametrize("concentration", [1.0, (2.0, 4.0)])
def test_what_a_fit_leaves(component, concentration, tmp_path):
    X = ROWS[component]
    model = fitted(component, concentration=concentration)
    assert model.n_clusters_ > 1
    assert model.converged_
    assert model.status_ & Status.CONVERGED
    assert model.lower_bound_ == model.lower_bounds_[-1]
    np.testing.assert_allclose(model.counts_.sum(), len(X), rtol=1e-6)
    np.testing.assert_allclose(model.weights_.sum() + model.remaining_weight_, 1)
    assert np.all(np.diff(model.counts_) <= 0)
    # the last step may be one without empty components, which may have been worth a little
    assert np.all(np.diff(model.lower_bounds_)[:-1] > -1e-9 * abs(model.lower_bound_))
    resp = model.predict_proba(X)
    np.testing.assert_allclose(resp.sum(axis=1), 1)
    np.testing.assert_array_equal(resp.argmax(axis=1), model.predict(X))
    np.testing.assert_allclose(resp.sum(axis=0), model.counts_, atol=0.1)
    drawn, labels = model.sample(50, random_state=0)
    assert drawn.shape == (50, X.shape[1])
    assert labels.max() <= len(model.counts_)
    assert np.all(np.isfinite(model.score_samples(drawn)))
    model.save(tmp_path / "model")
    for same in (load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(same.score_samples(X), model.score_samples(X))
        np.testing.assert_array_equal(same.predict(X), model.predict(X))
    assert clone(model).get_params() == model.get_params()


@every_component
def test_same_bits_for_any_number_of_threads(component):
    X = np.tile(ROWS[component], (10, 1))
    one, seven = (fitted(component, X, n_threads=n_threads) for n_threads in (1, 7))
    assert one.lower_bounds_ == seven.lower_bounds_
    np.testing.assert_array_equal(one.counts_, seven.counts_)


@pytest.mark.parametrize("component", ["full", "tied", "diag"])
def test_shifts_and_scales_of_columns_change_nothing_but_the_volume(component):
    scale, shift = np.array([1e5, 1e-3]), np.array([3e6, -0.02])
    model, moved = fitted(component), fitted(component, scale * REALS + shift)
    volume = len(REALS) * np.log(scale).sum()
    np.testing.assert_allclose(moved.lower_bound_, model.lower_bound_ - volume, rtol=1e-9)
    np.testing.assert_allclose(
        moved.predict_proba(scale * REALS + shift), model.predict_proba(REALS), rtol=0, atol=1e-7
    )
    np.testing.assert_allclose(moved.means_, scale * model.means_ + shift, rtol=1e-7)


def test_affine_maps_change_nothing_but_the_volume():
    A, shift = np.array([[30.0, 1.0], [-7.0, 0.2]]), np.array([5.0, -800.0])
    model, moved = fitted("full"), fitted("full", REALS @ A.T + shift)
    volume = len(REALS) * np.linalg.slogdet(A)[1]
    np.testing.assert_allclose(moved.lower_bound_, model.lower_bound_ - volume, rtol=1e-9)
    np.testing.assert_allclose(moved.predict_proba(REALS @ A.T + shift), model.predict_proba(REALS), rtol=0, atol=1e-7)


@every_component
def test_default_priors_are_those_of_the_table_in_the_guide(component):
    X = ROWS[component]
    d, mean, variances = X.shape[1], X.mean(axis=0), X.var(axis=0, ddof=1)
    share = 10 ** (-2 / d)
    gaussian = {"m0": mean, "kappa0": 0.01}
    matrix = gaussian | {"nu0": d + 2, "Psi0": share * np.cov(X.T)}
    table = {
        "full": matrix,
        "tied": matrix,
        "diag": gaussian | {"shape": 1.5, "rate": 0.5 * share * variances},
        "spherical": gaussian | {"shape": d / 2 + 1, "rate": d / 2 * share * variances.mean()},
        "bernoulli": {"a": 1, "b": 1},
        "categorical": {"alpha": 1},
        "multinomial": {"alpha": 1},
        "poisson": {"shape": 1, "rate": 1 / mean},
        "exponential": {"shape": 1, "rate": mean},
    }
    prior = fitted(component).prior_
    assert prior.keys() == table[component].keys()
    for name, wanted in table[component].items():
        np.testing.assert_allclose(prior[name], wanted, rtol=1e-12, atol=1e-12)


def test_one_unit_for_all_columns_changes_nothing_but_the_volume():
    model, moved = fitted("spherical"), fitted("spherical", 1e4 * REALS + 5)
    np.testing.assert_allclose(moved.lower_bound_, model.lower_bound_ - 2 * len(REALS) * np.log(1e4), rtol=1e-9)


def test_units_of_waiting_times_change_nothing_but_the_volume():
    model, moved = fitted("exponential"), fitted("exponential", 1e-6 * TIMES)
    np.testing.assert_allclose(moved.lower_bound_, model.lower_bound_ + TIMES.size * np.log(1e6), rtol=1e-9)


def rows_with_a_constant_column():
    return np.column_stack([1e3 * REALS[:, 0], np.full(len(REALS), 7.0), 1e-3 * REALS[:, 1]])


@every_gaussian
def test_default_priors_are_those_of_the_engine(component):
    """The same moments as those of `BayesianGaussianMixture`: a constant column is one as wide as the others."""
    X = rows_with_a_constant_column()
    prior = fitted(component, X).prior_
    bayesian = BayesianGaussianMixture(covariance_type=component).fit(X)
    share = 10 ** (-2 / 3)
    scale0 = prior["Psi0"] if "Psi0" in prior else 2 * prior["rate"] / (3 if component == "spherical" else 1)
    np.testing.assert_allclose(scale0, share * bayesian.covariance_prior_, rtol=1e-12)
    np.testing.assert_allclose(prior["m0"], bayesian.mean_prior_, rtol=1e-12)
    assert prior["kappa0"] == 0.01
    if "nu0" in prior:
        assert prior["nu0"] == 5
        variances = np.diagonal(prior["Psi0"]) / share
        np.testing.assert_allclose(variances[[0, 2]], X.var(axis=0, ddof=1)[[0, 2]], rtol=1e-12)
        np.testing.assert_allclose(variances[1], np.sqrt(variances[0] * variances[2]), rtol=1e-12)


@every_gaussian
def test_priors_of_relative_weights_do_not_explode(component):
    """Weights that sum to just over 1 are divided by half their sum, not by what they sum to less one."""
    weights = np.full(len(REALS), (1 + 1e-9) / len(REALS))
    model = DirichletProcessMixture(component, random_state=0).fit(REALS, sample_weight=weights)
    variances = np.average((REALS - REALS.mean(axis=0)) ** 2, axis=0)
    prior = model.prior_
    if component in ("full", "tied"):
        np.testing.assert_allclose(np.diagonal(prior["Psi0"]), 2 * variances / 10, rtol=1e-6)
    else:
        rate = variances / 10 if component == "diag" else 2 * variances.mean() / 10
        np.testing.assert_allclose(prior["rate"], rate, rtol=1e-6)


def test_prior_of_fewer_rows_than_columns_is_not_flat():
    X = np.random.default_rng(0).normal(size=(5, 12))
    Psi0 = fitted("full", X).prior_["Psi0"]
    wanted = 10 ** (-2 / 12) * np.cov(X.T)
    np.testing.assert_allclose(np.diagonal(Psi0), np.diagonal(wanted), rtol=1e-12)
    np.testing.assert_allclose(Psi0[np.triu_indices(12, 1)], 0.5 * wanted[np.triu_indices(12, 1)], rtol=1e-9)
    assert np.linalg.cond(Psi0) < 100


def test_weights_are_repetitions():
    weights = RNG.integers(0, 3, len(REALS))
    weighted = DirichletProcessMixture(random_state=0, tol=1e-6).fit(REALS, sample_weight=weights)
    repeated = fitted("full", np.repeat(REALS, weights, axis=0), tol=1e-6)
    np.testing.assert_allclose(weighted.lower_bound_, repeated.lower_bound_, rtol=1e-9)
    np.testing.assert_allclose(weighted.means_, repeated.means_, rtol=1e-4)


def test_float32_and_sparse_rows():
    np.testing.assert_allclose(
        fitted("full", REALS.astype(np.float32)).lower_bound_, fitted("full").lower_bound_, rtol=1e-5
    )
    for component in ("multinomial", "poisson", "bernoulli"):
        X = scipy.sparse.csr_matrix(ROWS[component])
        model, dense = fitted(component, X), fitted(component)
        np.testing.assert_allclose(model.lower_bound_, dense.lower_bound_, rtol=1e-9)
        np.testing.assert_allclose(model.score_samples(X), dense.score_samples(ROWS[component]), rtol=1e-6)


# ---- predictive densities -------------------------------------------------------------------------------------------


def one_component(component, X, **prior):
    """(model of one component, log p(X) of the components' evidence by the bound, log weights)"""
    return DirichletProcessMixture(component, prior=prior, moves=(), init_components=1).fit(X)


@every_component
def test_predictive_densities_are_ratios_of_evidence(component):
    """With one component the bound is exact: log f(X) + log alpha + log B(1 + n, alpha); the predictive density of a
    new row under it is log f(X and the row) - log f(X)."""
    X, row = ROWS[component][:30], ROWS[component][30:31]
    prior = fitted(component, X, moves=()).prior_
    small, large = one_component(component, X, **prior), one_component(component, np.vstack([X, row]), **prior)
    evidence = [model.lower_bound_ + np.log(1 + len(rows)) for model, rows in ((small, X), (large, [*X, row]))]
    share = small.weights_[0]
    np.testing.assert_allclose(share, 31 / 32)
    known = np.log(share) + evidence[1] - evidence[0]
    if component == "tied":  # the new component shares the precision: by itself it is no ratio that one fit gives
        assert small.score_samples(row)[0] > known
        return
    # a component without rows: the evidence of the row alone
    if component == "categorical":  # of which a fit would know one category of each column
        new = -np.log([len(own) for own in small.categories_]).sum()
    else:
        new = one_component(component, row, **prior).lower_bound_ + np.log(2)
    new += np.log(small.remaining_weight_)
    np.testing.assert_allclose(small.score_samples(row), logsumexp([known, new]), rtol=1e-9)


def test_predictive_probabilities_sum_to_one():
    model = fitted("bernoulli")
    rows = np.array(list(itertools.product([0.0, 1.0], repeat=6)))
    np.testing.assert_allclose(np.exp(model.score_samples(rows)).sum(), 1)
    model = fitted("categorical")
    rows = np.array(list(itertools.product(*model.categories_)))
    np.testing.assert_allclose(np.exp(model.score_samples(rows)).sum(), 1)
    model = fitted("multinomial")
    rows = np.array([row for row in itertools.product(range(6), repeat=4) if sum(row) == 5], dtype=float)
    np.testing.assert_allclose(np.exp(model.score_samples(rows)).sum(), 1)
    model = fitted("poisson", COUNTS[:, :1])
    np.testing.assert_allclose(np.exp(model.score_samples(np.arange(20_000.0)[:, np.newaxis])).sum(), 1, atol=1e-6)


@every_gaussian
def test_predictive_densities_integrate_to_one(component):
    X = REALS[:, :1]
    model = fitted(component, X)
    grid = np.sinh(np.linspace(-12, 12, 40_001))  # t distributions have long tails
    density = np.exp(model.score_samples(grid[:, np.newaxis]))
    np.testing.assert_allclose(np.trapezoid(density, grid), 1, atol=1e-4)


def test_a_full_component_is_a_student_t():
    model = one_component("full", REALS)
    nu, kappa = model.degrees_of_freedom_[0], model.mean_precision_[0]
    shape = model.covariances_[0] * nu * (kappa + 1) / (kappa * (nu - 1))
    known = stats.multivariate_t.logpdf(REALS, model.means_[0], shape, nu - 1)
    prior = model.prior_
    shape = prior["Psi0"] * (prior["kappa0"] + 1) / (prior["kappa0"] * (prior["nu0"] - 1))
    new = stats.multivariate_t.logpdf(REALS, prior["m0"], shape, prior["nu0"] - 1)
    logs = np.column_stack([known + np.log(model.weights_[0]), new + np.log(model.remaining_weight_)])
    np.testing.assert_allclose(model.score_samples(REALS), logsumexp(logs, axis=1), rtol=1e-10)


def test_waiting_times_are_lomax_and_counts_negative_binomial():
    model = one_component("exponential", TIMES)
    lomax = stats.lomax.logpdf(TIMES, model.shapes_[0], scale=model.rates_[0]).sum(axis=1)
    prior = model.prior_
    new = stats.lomax.logpdf(TIMES, prior["shape"], scale=prior["rate"]).sum(axis=1)
    logs = np.column_stack([lomax + np.log(model.weights_[0]), new + np.log(model.remaining_weight_)])
    np.testing.assert_allclose(model.score_samples(TIMES), logsumexp(logs, axis=1), rtol=1e-10)
    model = one_component("poisson", COUNTS)
    prior = model.prior_
    known, new = (
        stats.nbinom.logpmf(COUNTS, shape, rate / (1 + rate)).sum(axis=1)
        for shape, rate in ((model.shapes_[0], model.rates_[0]), (prior["shape"], prior["rate"]))
    )
    logs = np.column_stack([known + np.log(model.weights_[0]), new + np.log(model.remaining_weight_)])
    np.testing.assert_allclose(model.score_samples(COUNTS), logsumexp(logs, axis=1), rtol=1e-10)


# ---- what is odd, and what is refused -------------------------------------------------------------------------------


@every_gaussian
@pytest.mark.parametrize(
    "X",
    [
        np.array([[1.0, 2.0]]),
        np.ones((20, 2)),
        np.repeat(np.array([[0.0, 1.0], [5.0, 1.0]]), 10, axis=0),
        np.column_stack([np.arange(30.0), np.full(30, 0.1)]),
        np.column_stack([np.arange(30.0), 2 * np.arange(30.0)]),
        np.random.default_rng(0).normal(size=(5, 12)),
        1e12 + np.random.default_rng(0).normal(size=(50, 2)),
    ],
    ids=["one row", "duplicates", "two points", "constant column", "dependent columns", "wide", "far from the origin"],
)
def test_odd_rows(component, X):
    model = DirichletProcessMixture(component, random_state=0)
    if component in ("full", "tied") and np.all(X[:, 1] == 2 * X[:, 0]) and not np.all(X == X[0]):
        with pytest.warns(ConvergenceWarning, match="columns of X depend on each other"):
            model.fit(X)
    else:
        model.fit(X)
    assert np.isfinite(model.lower_bound_)
    assert np.all(np.isfinite(model.score_samples(X)))
    np.testing.assert_allclose(model.counts_.sum(), len(X), rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"concentration": 0}, "concentration.*0"),
        ({"concentration": np.inf}, "concentration.*inf"),
        ({"concentration": (1.0, -1.0)}, r"concentration=\(1.0, -1.0\) should be a finite number above 0, or a tuple"),
        ({"process": "mfm"}, "process='mfm' has no variational algorithm: set algorithm='sampler'"),
        ({"process": "pitman-yor"}, "process='pitman-yor' has no variational algorithm"),
        ({"discount": 0.5}, "discount=0.5 belongs to process='pitman-yor'"),
        ({"prior": {"nu0": 1.0}}, r"prior\['nu0'\]=1.0 should be a number above 1"),
        ({"prior": {"m0": [0.0]}}, r"prior\['m0'\] should have the shape of \(2,\), got \(1,\)"),
        ({"prior": {"Psi0": np.eye(3)}}, r"prior\['Psi0'\] should have the shape of \(2, 2\)"),
        ({"prior": {"Psi0": -np.eye(2)}}, r"prior\['Psi0'\] should be a symmetric, positive definite matrix"),
        ({"prior": {"kappa0": 0.0}}, r"prior\['kappa0'\]=0.0 should be a number above 0"),
        ({"prior": {"kappa0": np.nan}}, r"prior\['kappa0'\]=nan should be finite"),
        ({"prior": {"width": 1.0}}, "prior has 'width': these components have m0, kappa0, nu0, Psi0"),
        ({"moves": ("jump",)}, "has 'jump': there are birth, merge, delete"),
        ({"component": "tied", "algorithm": "sampler"}, "component='tied' has no sampler"),
        ({"init_components": 5, "max_components": 3}, "init_components=5 is more than max_components=3"),
        ({"init_components": 500}, "init_components=500 is more than n_samples=240"),
    ],
)
def test_what_is_refused(options, match):
    with pytest.raises(ValueError, match=match):
        DirichletProcessMixture(**options).fit(REALS)


@pytest.mark.parametrize(
    ("component", "X", "match"),
    [
        ("bernoulli", COUNTS, "not binary"),
        ("poisson", REALS, "not all counts"),
        ("exponential", REALS, "DirichletProcessMixture|negative"),
        ("full", np.array([[1.0, np.nan], [2.0, 3.0]]), "DirichletProcessMixture"),
    ],
)
def test_rows_outside_the_domain(component, X, match):
    with pytest.raises(ValueError, match=match):
        DirichletProcessMixture(component).fit(X)


def test_it_has_no_choice_to_make():
    with pytest.raises(TypeError, match="has a posterior and no likelihood to compare by"):
        select(REALS, DirichletProcessMixture())


def test_a_search_that_is_cut_short_warns():
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        model = DirichletProcessMixture(max_iter=2, random_state=0).fit(REALS)
    assert not model.converged_
    assert model.status_ & Status.MAX_ITER


def test_a_failed_fit_leaves_the_last_model():
    model = fitted("full")
    before = model.score_samples(REALS)
    with pytest.raises(ValueError, match="nu0"):
        model.set_params(prior={"nu0": 0.5}).fit(REALS)
    np.testing.assert_array_equal(model.score_samples(REALS), before)
    with pytest.raises(ValueError, match="read-only"):
        model.counts_[0] = 1


def test_starts_with_more_components_end_where_those_with_one_do():
    many = fitted("full", init_components=12)
    assert many.n_clusters_ == 3
    np.testing.assert_allclose(many.lower_bound_, fitted("full").lower_bound_, atol=0.1)
    assert fitted("full", max_components=2).n_clusters_ == 2
    assert len(fitted("full", moves=(), init_components=5).counts_) == 5


@pytest.mark.parametrize(("seed", "better"), [(1, 1), (3, 25)])
def test_the_default_is_the_better_of_two_starts(seed, better):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(400, 2)) + 20 * rng.normal(size=(24, 2))[rng.integers(24, size=400)]
    bounds = {start: fitted("full", X, init_components=start).lower_bound_ for start in (1, 25)}
    assert bounds[better] == max(bounds.values()) > min(bounds.values()) + 1
    assert fitted("full", X).lower_bound_ == bounds[better]
    assert fitted("full", X, max_components=3).n_clusters_ <= 3


def test_without_births_the_default_begins_with_many():
    model = fitted("full", moves=("merge",))
    assert model.lower_bound_ == fitted("full", moves=("merge",), init_components=len(REALS) // 16).lower_bound_


def test_columns_are_known_by_their_names():
    pandas = pytest.importorskip("pandas")
    model = fitted("full", pandas.DataFrame(REALS, columns=["a", "b"]))
    assert list(model.feature_names_in_) == ["a", "b"]
    words = np.array(["low", "mid", "high", "top"], dtype=object)[CODES.astype(int)]
    model = fitted("categorical", words)
    assert set(model.sample(5)[0].ravel()) <= set(words.ravel())
    assert model.predict(words).shape == (240,)


def test_the_bound_of_one_component_is_the_evidence():
    """Law 3: the bound is log f(X) + log alpha + log B(1 + n, alpha); Poisson evidence in closed form."""
    model = DirichletProcessMixture(
        "poisson", prior={"shape": 1.5, "rate": 0.3}, concentration=0.7, moves=(), init_components=1
    ).fit(COUNTS)
    n, sums = len(COUNTS), COUNTS.sum(axis=0)
    evidence = (
        np.sum(1.5 * np.log(0.3) - gammaln(1.5) + gammaln(1.5 + sums) - (1.5 + sums) * np.log(0.3 + n))
        - gammaln(COUNTS + 1).sum()
    )
    weights = np.log(0.7) + gammaln(1 + n) + gammaln(0.7) - gammaln(1.7 + n)
    np.testing.assert_allclose(model.lower_bound_, evidence + weights, rtol=1e-12)


# ---- the sampler ----------------------------------------------------------------------------------------------------

EXACT = {case["name"]: case for case in json.loads((Path(__file__).parent / "data" / "golden_exact.json").read_text())}
PROCESSES = {
    "six-1d-dp": {},
    "six-1d-py": {"process": "pitman-yor", "concentration": 0.5, "discount": 0.3},
    "six-1d-mfm": {"process": "mfm"},
}


def sampled(component="full", X=REALS, **options):
    """By few draws, which tests of what they say make more."""
    options = {"n_draws": 60, "burn_in": 40, "thin": 1} | options
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The draws do not tell", ConvergenceWarning)
        return DirichletProcessMixture(component, algorithm="sampler", random_state=0, **options).fit(X)


@pytest.mark.parametrize("name", PROCESSES)
def test_draws_are_of_the_exact_posterior(name):
    case = EXACT[name]
    X, prior = np.array(case["X"]), {key: case["component"][key] for key in ("m0", "kappa0", "nu0", "Psi0")}
    model = sampled("full", X, prior=prior, n_draws=4000, burn_in=200, **PROCESSES[name])
    # five standard errors of shares of as many independent draws
    n_effective = model.effective_sample_size_["n_clusters"]
    for n_clusters, wanted in enumerate(case["p_k"], start=1):
        error = np.sqrt(wanted * (1 - wanted) / n_effective) + 1e-3
        assert abs(model.n_clusters_posterior_.get(n_clusters, 0.0) - wanted) < 5 * error
    together = np.array(case["coclustering"])
    error = np.sqrt(np.clip(together * (1 - together), 0, None) / n_effective) + 1e-3
    assert np.all(np.abs(model.coclustering() - together) < 5 * error)
    np.testing.assert_array_equal(model.labels_, case["map_partition"])
    rows = np.array([known["x"] for known in case["log_predictive"]])
    # averaged over a hundred draws
    np.testing.assert_allclose(
        model.score_samples(rows), [known["value"] for known in case["log_predictive"]], atol=0.1
    )
    assert sum(model.n_clusters_posterior_.values()) == pytest.approx(1)
    np.testing.assert_allclose(model.weights_.sum() + model.remaining_weight_, 1)


@pytest.mark.parametrize("component", [name for name in ROWS if name != "tied"])
def test_what_sampling_leaves(component, tmp_path):
    X = ROWS[component]
    model = sampled(component, X, n_chains=2, concentration=(2.0, 4.0))
    assert model.n_clusters_draws_.shape == model.concentration_draws_.shape == model.log_joint_draws_.shape == (2, 60)
    assert model.labels_.shape == (240,)
    assert model.labels_draws_.shape == (120, 240)
    assert model.n_clusters_ == model.labels_.max() + 1
    assert np.all(np.diff(model.counts_) <= 0)
    assert model.r_hat_.keys() == {"n_clusters", "concentration", "log_joint"}
    assert model.acceptance_.keys() == {"split", "merge"}
    assert np.all(np.isfinite(model.score_samples(X)))
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)
    assert np.mean(model.predict(X) == model.labels_) > 0.8
    assert model.sample(20, random_state=0)[0].shape == (20, X.shape[1])
    assert model.coclustering([0, 1, 2]).shape == (3, 3)
    model.save(tmp_path / "model")
    same = load(tmp_path / "model")
    np.testing.assert_array_equal(same.score_samples(X), model.score_samples(X))
    np.testing.assert_array_equal(same.coclustering([0, 5]), model.coclustering([0, 5]))
    assert same.n_clusters_posterior_ == model.n_clusters_posterior_


def test_draws_do_not_depend_on_threads():
    one, seven = (sampled(n_threads=n_threads) for n_threads in (1, 7))
    np.testing.assert_array_equal(one.log_joint_draws_, seven.log_joint_draws_)
    np.testing.assert_array_equal(one.labels_, seven.labels_)


def test_draws_without_labels():
    model = sampled(keep_labels=False)
    assert model.labels_.shape == (240,)
    with pytest.raises(AttributeError, match="keep_labels=True"):
        model.coclustering()
    model.set_params(algorithm="variational").fit(REALS)
    assert not hasattr(model, "log_joint_draws_")
    assert model.lower_bound_ < 0


def test_what_the_sampler_refuses():
    with pytest.raises(ValueError, match="positive integers"):
        DirichletProcessMixture(algorithm="sampler").fit(REALS, sample_weight=np.full(240, 0.5))
    with pytest.raises(ValueError, match="Gamma prior of it is there for Dirichlet"):
        sampled(process="mfm", concentration=(1.0, 1.0))
    with pytest.raises(AttributeError, match="fit with algorithm='sampler'"):
        fitted("full").to_arviz()


def test_priors_of_the_number_of_components():
    logs = np.log([0.5, 0.25, 0.125])
    model = sampled(process="mfm", n_components_prior=logs)
    assert max(model.n_clusters_posterior_) <= 3
    model = sampled(process="mfm", n_components_prior="uniform", max_components=2)
    assert max(model.n_clusters_posterior_) <= 2
    assert sampled(init_components=4, n_draws=10, burn_in=0).n_clusters_ >= 3


@pytest.mark.parametrize(
    ("prior", "match"),
    [
        ([0.9, 0.1], r"has 0\.9, and should be log probabilities, none above 0: of probabilities pass np\.log"),
        ([1.0], "has 1,"),
        (np.log([3.0, 2.0]), r"has 1\.09861,.*subtract their largest"),
        ([np.nan, 0.0], "log probabilities"),
        ([-np.inf, -np.inf], "log probabilities"),
    ],
)
def test_what_is_no_log_probability_is_refused(prior, match):
    with pytest.raises(ValueError, match=match):
        sampled(process="mfm", n_components_prior=prior)


def test_logarithms_of_probabilities_are_taken_up_to_a_constant_and_rounding():
    draws = [
        sampled(process="mfm", n_components_prior=logs, n_draws=5).log_joint_draws_
        for logs in (np.log([0.5, 0.5]), np.zeros(2), [1e-12, 0.0], [-3.0, -3.0])
    ]
    for other in draws[1:]:
        np.testing.assert_allclose(other, draws[0], rtol=1e-12)


def stopping_after(n_draws, monkeypatch):
    """Ctrl-C at the draw after so many, of all chains."""
    take, n_left = Draws.take, iter([None] * n_draws)

    def stopped(self, sampler):
        if next(n_left, self) is self:
            raise KeyboardInterrupt
        take(self, sampler)

    monkeypatch.setattr(Draws, "take", stopped)


def test_an_interrupt_keeps_the_draws_that_were_made(monkeypatch):
    stopping_after(29, monkeypatch)
    with pytest.warns(ConvergenceWarning, match="interrupted: the model has the 29 draws"):
        model = sampled()
    assert model.log_joint_draws_.shape == (29,)
    assert model.status_ == Status.INTERRUPTED
    assert not model.converged_
    assert model.n_iter_ == 69


def test_an_interrupt_keeps_as_many_draws_of_each_chain(monkeypatch):
    whole = sampled(n_chains=3)
    stopping_after(20, monkeypatch)
    with pytest.warns(ConvergenceWarning, match="interrupted: the model has the 18 draws"):
        model = sampled(n_chains=3)
    np.testing.assert_array_equal(model.log_joint_draws_, whole.log_joint_draws_[:, :6])
    assert model.labels_draws_.shape == (18, 240)
    assert np.all(np.isfinite(model.score_samples(REALS)))


def test_an_interrupt_before_the_first_draw_leaves_the_last_model(monkeypatch):
    model = sampled()
    before = model.score_samples(REALS)
    stopping_after(0, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        model.fit(REALS)
    np.testing.assert_array_equal(model.score_samples(REALS), before)


def test_after_an_interrupt_few_draws_are_looked_at_for_the_point_partition(monkeypatch):
    """Which takes time with the square of their number."""
    seen = []

    def watched(draws, *rest):
        seen.append(len(draws))
        return point_partition(draws, *rest)

    monkeypatch.setattr(_sampled, "point_partition", watched)
    monkeypatch.setattr(_sampled, "PROMPT_PAIRS", 240 * 15**2)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        with pytest.warns(ConvergenceWarning, match="interrupted"):
            model = sampled(n_draws=10**6, keep_labels=True)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(model.labels_draws_) > 15
    assert len(seen) == 1
    assert 8 <= seen[0] <= 15


def test_an_interrupt_while_the_point_partition_is_sought_keeps_all_draws(monkeypatch):
    calls = []

    def stopped(draws, *rest):
        calls.append(len(draws))
        if len(calls) == 1:
            raise KeyboardInterrupt
        return point_partition(draws, *rest)

    monkeypatch.setattr(_sampled, "point_partition", stopped)
    with pytest.warns(ConvergenceWarning, match="interrupted: the model has the 60 draws"):
        model = sampled()
    assert len(calls) == 2
    assert model.n_clusters_ == model.labels_.max() + 1


# ---- whether draws are enough ---------------------------------------------------------------------------------------

GALAXIES = np.loadtxt(Path(__file__).parent / "data" / "galaxies.csv", delimiter=",", skiprows=1, ndmin=2)[:, -1:]


def drawn(**options):
    return DirichletProcessMixture(algorithm="sampler", **{"random_state": 0} | options)


@pytest.mark.parametrize("process", ["dirichlet", "mfm"])
def test_default_draws_of_the_galaxies_are_enough(process):
    model = drawn(process=process).fit(GALAXIES)
    assert model.converged_
    assert model.status_ == Status.CONVERGED
    assert min(model.effective_sample_size_[name] for name in ("n_clusters", "log_joint")) > 100


@pytest.mark.parametrize(
    ("thin", "n_rows", "sweeps"),
    [("auto", 1, 20), ("auto", 1000, 20), ("auto", 1001, 19), ("auto", 10_000, 2), ("auto", 10**6, 1), (7, 10**6, 7)],
)
def test_sweeps_of_a_draw(thin, n_rows, sweeps):
    assert sweeps_of_draw(thin, n_rows) == sweeps


def test_few_draws_are_said_to_be_few_at_the_line_of_the_fit():
    with pytest.warns(ConvergenceWarning) as caught:
        model = drawn(process="mfm", n_draws=500, thin=1).fit(GALAXIES)
    assert [own.filename for own in caught] == [__file__]
    size = model.effective_sample_size_["n_clusters"]
    n_times = int(np.ceil(100 / size))
    assert n_times > 5
    assert (
        f"effective sample size of n_clusters is {size:.0f} of 500 draws, and should be at least 100. Take more "
        f"sweeps, thin={n_times} or n_draws={500 * n_times}, and look at mixfast.plot.trace"
    ) in str(caught[0].message)
    assert not model.converged_
    assert model.status_ == Status.MAX_ITER


def test_draws_that_are_few_have_to_be_more():
    with pytest.warns(ConvergenceWarning, match=r"Take more sweeps, n_draws=\d+, and"):
        drawn(n_draws=30, thin=50).fit(GALAXIES)


def test_chains_that_disagree_have_not_converged():
    """Chains that begin at one cluster and at ten groups are not yet of one distribution after twenty sweeps."""
    with pytest.warns(ConvergenceWarning, match=r"r_hat of \w+ is .*at most 1\.05: chains disagree"):
        model = drawn(process="mfm", n_chains=2, n_draws=20, burn_in=0, thin=1).fit(GALAXIES)
    assert max(model.r_hat_.values()) > 1.05
    assert not model.converged_


@pytest.mark.parametrize(
    ("effective", "r_hats", "said"),
    [
        ({"n_clusters": 400.0, "log_joint": 401.0}, {"n_clusters": 1.05}, None),
        ({"n_clusters": np.nan, "log_joint": 400.0}, {"n_clusters": 1.0}, None),
        (
            {"n_clusters": 399.0, "log_joint": 4000.0},
            {},
            "n_clusters is 399 of 4000 draws.* at least 400.*, thin=40 or",
        ),
        ({"n_clusters": 400.0, "log_joint": 20.0}, {}, "log_joint is 20 of 4000 draws.*, thin=400 or n_draws=20000,"),
        ({"n_clusters": 300.0}, {"n_clusters": 1.2}, r"n_clusters is 300 .*; r_hat of n_clusters is 1\.20"),
        ({"n_clusters": np.nan}, {"n_clusters": np.inf}, "r_hat of n_clusters is inf, .*, thin=40 or n_draws=2000,"),
    ],
)
def test_what_speaks_against_draws(effective, r_hats, said):
    wrong = what_is_wrong(effective, r_hats, n_draws=1000, n_chains=4, thin=20)
    assert (wrong == "") if said is None else re.search(said, wrong)


def test_draws_that_never_move_speak_against_nothing():
    rows = np.repeat([[0.0], [100.0]], 30, axis=0) + np.random.default_rng(0).normal(size=(60, 1))
    prior = {"m0": [50], "kappa0": 1e-4, "nu0": 3, "Psi0": [[3]]}
    options = {"n_chains": 2, "prior": prior, "concentration": 1e-9, "init_components": 2, "n_draws": 300}
    model = drawn(**options).fit(rows)
    assert set(model.n_clusters_draws_.ravel()) == {2}
    assert np.isnan(model.effective_sample_size_["n_clusters"])
    assert model.r_hat_["n_clusters"] == 1
    assert model.converged_


def test_chains_begin_at_different_partitions():
    rows = np.random.default_rng(0).normal(size=(200, 2))
    for process, most in (("dirichlet", None), ("mfm", 3)):
        options = {} if most is None else {"n_components_prior": "uniform", "max_components": most}
        model = sampled("full", rows, process=process, n_chains=3, burn_in=0, n_draws=2, **options)
        assert model.n_clusters_draws_.shape == (3, 2)
        assert len(np.unique(model.n_clusters_draws_[:, 0])) > 1
        assert np.max(model.n_clusters_draws_) <= (most or 200)


@pytest.mark.parametrize(
    "options",
    [
        {"algorithm": "sampler", "max_components": 3},
        {"algorithm": "sampler", "process": "mfm", "max_components": 3},
        {"algorithm": "sampler", "process": "mfm", "discount": 0.2},
        {"n_chains": 2},
    ],
)
def test_options_that_play_no_role_are_refused_by_name(options):
    with pytest.raises(ValueError, match=list(options)[-1]):
        DirichletProcessMixture(**options).fit(np.arange(10.0)[:, np.newaxis])
