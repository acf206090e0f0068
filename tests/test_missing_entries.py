"""Missing entries of Gaussian and Student-t mixtures: golden values, direct maximisation, laws."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp
from sklearn.utils import get_tags

from mixfast import (
    BayesianGaussianMixture,
    CategoricalMixture,
    GaussianMixture,
    MultinomialMixture,
    ProductMixture,
    Status,
    StudentTMixture,
    blocks,
    fit_many,
    fit_many_groups,
    load,
    partitions,
    select,
)
from mixfast.families.gaussian import WITH_PRIOR
from mixfast.parts import Bernoulli, Categorical, Gamma, Gaussian, Poisson, StudentT

DATA = Path(__file__).parent / "data"
CASES = json.loads((DATA / "known_and_missing.json").read_text())["missing"]
STRUCTURES = ("full", "tied", "diag", "spherical", "VVV", "EEE", "VEV", "EVI", "VVE")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def read(case):
    X = np.loadtxt(DATA / f"{case['data']}.csv", delimiter=",", skiprows=1)
    X[tuple(np.transpose(case["mask"]))] = np.nan
    return X


def with_holes(n=400, d=4, share=0.2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 5 * rng.integers(0, 2, size=(n, 1))
    X[rng.random((n, d)) < share] = np.nan
    return X


MIXTURES = pytest.mark.parametrize("mixture", [GaussianMixture, StudentTMixture])


def log_densities(model, X):
    """(n, K), of what is there, by SciPy."""
    out = np.zeros((len(X), len(model.weights_)))
    for k, (mean, covariance) in enumerate(zip(model.means_, model.covariance_matrices(), strict=True)):
        for i, x in enumerate(X):
            there = ~np.isnan(x)
            if there.any():
                place = mean[there], covariance[np.ix_(there, there)]
                if isinstance(model, StudentTMixture):
                    density = stats.multivariate_t(*place, df=model.degrees_of_freedom_[k])
                else:
                    density = stats.multivariate_normal(*place)
                out[i, k] = density.logpdf(x[there])
    return out


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['data']}-{case['G']}-{case['covariance_type']}")
def test_the_course_and_the_limit_are_the_reference(case):
    X, start = read(case), case["start"]
    precisions = np.diag(1 / np.array(start["variances"]))
    if case["covariance_type"] == "full":
        precisions = np.array([precisions] * case["G"])
    model = GaussianMixture(
        case["G"],
        covariance_type=case["covariance_type"],
        weights_init=start["weights"],
        means_init=start["means"],
        precisions_init=precisions,
        reg_covar=0,
        tol=0.0,
        max_iter=20,
    ).fit(X)
    for i, bound in case["loglik_before_m_step"].items():
        assert model.lower_bounds_[int(i) - 1] * len(X) == pytest.approx(bound, rel=1e-10)
    model.set_params(tol=1e-13, max_iter=3000).fit(X)
    assert model.lower_bound_ * len(X) == pytest.approx(case["loglik"], rel=1e-9)
    np.testing.assert_allclose(model.weights_, case["weights"], atol=1e-6)
    np.testing.assert_allclose(model.means_, case["means"], atol=1e-5)
    expected = np.array(case["covariances"]).reshape(model.covariances_.shape)
    np.testing.assert_allclose(model.covariances_, expected, atol=1e-5)
    assert model._n_parameters() == case["df"]
    filled = model.impute(X)
    for own in case["conditional_means"]:
        np.testing.assert_allclose(filled[own["row"], own["columns"]], own["values"], rtol=1e-5)
    np.testing.assert_array_equal(filled[~np.isnan(X)], X[~np.isnan(X)])


#: Of 9 columns patterns are two bytes, and often three entries and more are missing but not most; of 70 columns rows
#: are imputed in two turns.
WIDTHS = pytest.mark.parametrize("d", [4, 9, 70])


@MIXTURES
@WIDTHS
@pytest.mark.parametrize("covariance_type", STRUCTURES)
def test_densities_are_those_of_what_is_there(mixture, covariance_type, d):
    X = np.asarray(with_holes(120, d, share=0.4), order="F" if d == 9 else "C")
    X[3] = np.nan
    model = mixture(2, covariance_type=covariance_type, random_state=0, max_iter=20).fit(X)
    joint = log_densities(model, X) + np.log(model.weights_)
    np.testing.assert_allclose(model.score_samples(X), logsumexp(joint, axis=1), rtol=1e-8, atol=1e-9)
    resp = np.exp(joint - logsumexp(joint, axis=1)[:, np.newaxis])
    np.testing.assert_allclose(model.predict_proba(X), resp, atol=1e-8)
    np.testing.assert_allclose(model.predict_proba(X)[3], model.weights_, atol=1e-9)
    assert model.predict(X).tolist() == resp.argmax(axis=1).tolist()


@MIXTURES
@pytest.mark.parametrize("d", [4, 9])
@pytest.mark.parametrize("covariance_type", STRUCTURES)
@pytest.mark.parametrize("init_params", ["kmeans", "random"])  # of single rows, repairs of covariances may lower it
def test_the_likelihood_never_falls(mixture, covariance_type, init_params, d):
    X = with_holes(d=d, share=0.3 if d > 4 else 0.2)
    model = mixture(
        2, covariance_type=covariance_type, init_params=init_params, random_state=0, tol=0.0, max_iter=60, reg_covar=0
    ).fit(X)
    bounds = np.array(model.lower_bounds_)
    assert np.all(np.diff(bounds) > -1e-9 * (1 + np.abs(bounds[1:])))
    assert not model.status_ & Status.LOWER_BOUND_FELL


def test_the_limit_is_a_maximum():
    """The gradient of the likelihood in means and variances, by differences, is zero."""
    X = with_holes(200, 3)
    model = GaussianMixture(2, random_state=0, tol=1e-13, max_iter=5000, reg_covar=0).fit(X)
    best = model.score(X)
    for name in ("means", "covariances"):
        array = np.array(getattr(model, f"{name}_"))
        for k in range(2):
            for step in (1e-3, -1e-3):
                moved = array.copy()
                moved[k] *= 1 + step
                given = {"means": model.means_, "covariances": model.covariances_} | {name: moved}
                other = GaussianMixture.from_parameters(weights=model.weights_, **given)
                assert other.score(X) < best + 1e-9


@MIXTURES
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
def test_threads_change_no_bit_and_acceleration_no_limit(mixture, covariance_type):
    X = with_holes(3000)
    options = {"covariance_type": covariance_type, "random_state": 0, "max_iter": 300, "tol": 1e-9}
    one, three = (mixture(2, n_threads=n, **options).fit(X) for n in (1, 3))
    np.testing.assert_array_equal(one.means_, three.means_)
    np.testing.assert_array_equal(one.covariances_, three.covariances_)
    quick = mixture(2, accelerate="auto", **options).fit(X)
    assert quick.lower_bound_ == pytest.approx(one.lower_bound_, abs=1e-6)


@MIXTURES
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
def test_a_row_does_not_depend_on_the_patterns_of_others(mixture, covariance_type):
    """Patterns are factored several at a time, and rows imputed in runs: the bits are those of each by itself."""
    rng = np.random.default_rng(1)
    covariance = np.cov(rng.normal(size=(7, 60)))
    covariance[1] = covariance[0]  # nearly alike: patterns without either are factored by covariances
    covariance[:, 1] = covariance[:, 0]
    covariance[1, 1] *= 1 + 1e-8
    X = rng.normal(size=(300, 7)) @ np.linalg.cholesky(covariance).T
    X[rng.random(X.shape) < 0.4] = np.nan
    given = {"full": np.stack([covariance, np.eye(7)]), "tied": covariance, "diag": np.ones((2, 7))}[covariance_type]
    options = {} if mixture is GaussianMixture else {"degrees_of_freedom": [5.0, 5.0]}
    model = mixture.from_parameters(
        weights=[0.4, 0.6], means=[[0.0] * 7, [5.0] * 7], covariances=given, covariance_type=covariance_type, **options
    )
    together = model.score_samples(X)
    np.testing.assert_array_equal(together, [model.score_samples(x[np.newaxis])[0] for x in X])
    np.testing.assert_allclose(together, logsumexp(log_densities(model, X) + np.log([0.4, 0.6]), axis=1), atol=1e-3)


@MIXTURES
def test_the_order_of_rows_only_moves_last_bits(mixture):
    X = with_holes(500)
    given = {"init_params": np.arange(500) % 2, "max_iter": 30, "tol": 0.0}
    model = mixture(2, **given).fit(X)
    order = np.random.default_rng(0).permutation(500)
    other = mixture(2, **(given | {"init_params": given["init_params"][order]})).fit(X[order])
    np.testing.assert_allclose(other.means_, model.means_, rtol=1e-9)
    weights = np.linspace(0.5, 2.0, 500)
    known = np.where(np.arange(500) % 7, -1, np.arange(500) % 2)
    model = mixture(2, **given).fit(X, sample_weight=weights, known_labels=known)
    other = mixture(2, **(given | {"init_params": given["init_params"][order]}))
    other.fit(X[order], sample_weight=weights[order], known_labels=known[order])
    np.testing.assert_allclose(other.means_, model.means_, rtol=1e-9)


@MIXTURES
def test_weights_are_repetitions_and_float32_is_close(mixture):
    X = with_holes(150)
    weights = np.random.default_rng(1).integers(0, 3, size=len(X))
    # starts differ: what stands for missing entries there is that of the rows, whatever they weigh
    options = {"init_params": "kmeans", "random_state": 0, "max_iter": 3000, "tol": 0.0}
    weighted = mixture(2, **options).fit(X, sample_weight=weights)
    repeated = mixture(2, **options).fit(np.repeat(X, weights, axis=0))
    np.testing.assert_allclose(weighted.means_, repeated.means_, rtol=1e-9)
    single = mixture(2, **options).fit(X.astype(np.float32))
    assert single.means_.dtype == np.float32
    double = mixture(2, **options).fit(X.astype(np.float32).astype(np.float64))
    np.testing.assert_allclose(single.means_, double.means_, rtol=1e-5)


@MIXTURES
def test_complete_rows_are_fitted_as_ever(mixture):
    X = with_holes(share=0.0)
    options = {"random_state": 0, "tol": 1e-10, "max_iter": 500, "canonical_order": True}
    model = mixture(2, **options).fit(X)
    holed = np.vstack([X, np.full((1, 4), np.nan)])  # a row without an entry says nothing
    other = mixture(2, **options).fit(holed)
    np.testing.assert_allclose(other.means_, model.means_, rtol=1e-4)
    assert other.bic(holed) == pytest.approx(other.bic(X), rel=1e-12)
    assert other.icl(holed) == pytest.approx(other.icl(X), rel=1e-12)
    assert other.aic(holed) == pytest.approx(other.aic(X), rel=1e-12)


@MIXTURES
@pytest.mark.parametrize("covariance_type", ["full", "tied", "spherical"])
def test_draws_have_the_conditional_moments(mixture, covariance_type):
    X = with_holes(300)
    model = mixture(2, covariance_type=covariance_type, random_state=0).fit(X)
    rows = X[np.isnan(X).any(axis=1)][:3].copy()
    rows[2] = np.nan
    drawn = model.sample_missing(rows, n_draws=4000, random_state=1)
    assert drawn.shape == (4000, 3, 4)
    there = ~np.isnan(rows)
    assert np.all(drawn[:, there] == rows[there])
    np.testing.assert_allclose(drawn.mean(axis=0), model.impute(rows), atol=0.3)
    left = model.condition(np.flatnonzero(there[0]).tolist(), rows[0, there[0]])
    draws = left.sample(4000, random_state=2)[0]
    np.testing.assert_allclose(drawn[:, 0, ~there[0]].std(axis=0), draws.std(axis=0), rtol=0.1)
    again = model.sample_missing(rows, n_draws=2, random_state=1)
    np.testing.assert_array_equal(again, model.sample_missing(rows, n_draws=2, random_state=1))


@MIXTURES
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_groups_far_apart_keep_their_digits(mixture, covariance_type):
    """What is missing is imputed, and moments are taken, about the mixture's mean only where that is near enough."""
    X = with_holes(600, 3)
    known = np.arange(600) % 2
    options = {"covariance_type": covariance_type, "reg_covar": 0, "random_state": 0, "max_iter": 300, "tol": 0.0}
    near = mixture(2, **options).fit(X, known_labels=known)
    # a power of two, so that rows differ by what was added to the last bit but one or so
    far = mixture(2, **options).fit(X + 2.0**20 * known[:, np.newaxis], known_labels=known)
    np.testing.assert_allclose(far.means_ - [[0.0], [2.0**20]], near.means_, atol=1e-7)
    np.testing.assert_allclose(far.covariances_, near.covariances_, rtol=1e-7, atol=1e-7)
    assert far.lower_bound_ == pytest.approx(near.lower_bound_, abs=1e-7)


@MIXTURES
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data", "labels"])
def test_columns_far_from_the_origin_keep_their_digits(mixture, init_params, covariance_type):
    X = with_holes(300)
    given = np.arange(300) % 2 if init_params == "labels" else init_params
    floor = 0.1 if init_params in ("k-means++", "random_from_data") else 0.0  # from one row components shrink to it
    options = {"covariance_type": covariance_type, "init_params": given, "random_state": 0, "reg_covar": floor}
    options |= {"max_iter": 20, "tol": 0.0}
    model, moved = mixture(2, **options).fit(X), mixture(2, **options).fit(X + 1e6)
    np.testing.assert_allclose(moved.means_ - 1e6, model.means_, atol=1e-5)
    np.testing.assert_allclose(moved.covariances_, model.covariances_, rtol=1e-4)


@MIXTURES
def test_units_do_not_matter(mixture):
    """A start knows how wide columns are: in other units it is the same."""
    X = with_holes(300, share=0.3)
    options = {"random_state": 0, "reg_covar": 0, "max_iter": 50, "tol": 0.0}
    for init_params in ("kmeans", "random"):
        model = mixture(2, init_params=init_params, **options).fit(X)
        for unit in (2.0**-30, 2.0**30):
            other = mixture(2, init_params=init_params, **options).fit(X * unit)
            np.testing.assert_allclose(other.means_, model.means_ * unit, rtol=1e-9)
            np.testing.assert_allclose(other.covariances_, model.covariances_ * unit**2, rtol=1e-9)


@MIXTURES
def test_batches_and_choices_keep_partly_missing_rows(mixture):
    pandas = pytest.importorskip("pandas")
    problems = [with_holes(80, 2, seed=seed) for seed in (1, 2)]
    result = fit_many(problems, mixture(2, random_state=0))
    for own, X in zip(result, problems, strict=True):
        alone = mixture(2, random_state=0).fit(X)
        np.testing.assert_array_equal(own.means_, alone.means_)
    assert result.n_samples.tolist() == [80, 80]
    table = pandas.DataFrame(np.vstack(problems), columns=["a", "b"]).assign(who=np.repeat([0, 1], 80))
    grouped = fit_many_groups(table, mixture(2, random_state=0), by="who")
    assert grouped.n_samples.tolist() == [80, 80]
    np.testing.assert_array_equal(grouped[1].means_, result[1].means_)
    chosen = select(with_holes(400, 2), mixture(random_state=0), n_components=[1, 2, 3])
    assert chosen.best_.n_components == 2
    assert np.isfinite(select(problems[0], mixture(), n_components=[1, 2], criterion="heldout").best_.means_).all()


@MIXTURES
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical", "VEI"])
def test_labels_groups_and_statistics_go_with_them(mixture, covariance_type):
    X = with_holes(300)
    mixture = partial(mixture, covariance_type=covariance_type)
    known = np.where(np.arange(300) % 3, -1, (np.nan_to_num(X[:, 0]) > 2).astype(int))
    model = mixture(2, random_state=0).fit(X, known)
    resp = model.predict_proba(X, known_labels=known)
    np.testing.assert_array_equal(resp[known >= 0], np.eye(2)[known[known >= 0]])
    step = mixture(2, random_state=0, max_iter=3, tol=0.0).fit(X)
    by_hand = mixture(2, random_state=0, max_iter=2, tol=0.0).fit(X)
    by_hand.update(by_hand.statistics(X[:100]) + by_hand.statistics(X[100:]))
    np.testing.assert_allclose(by_hand.means_, step.means_, rtol=1e-9)
    np.testing.assert_allclose(by_hand.covariances_, step.covariances_, rtol=1e-9)


@MIXTURES
def test_columns_without_an_entry_are_refused(mixture):
    X = with_holes(50)
    X[:, 2] = np.nan
    with pytest.raises(ValueError, match="column 2 has no entry in any row"):
        mixture(2).fit(X)
    pandas = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match="height has no entry in any row"):
        mixture(2).fit(pandas.DataFrame(X, columns=["a", "b", "height", "c"]))
    X = with_holes(50)
    assert get_tags(mixture(2)).input_tags.allow_nan
    with pytest.raises(ValueError, match=r"trim=0\.1 compares densities of rows that have all entries"):
        mixture(2, trim=0.1).fit(X)
    X[0, 0] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        mixture(2).fit(X)
    with pytest.raises(ValueError, match="n_samples"):
        mixture(2).fit(with_holes(50)).sample_missing(with_holes(50), n_draws=0)


RELATIVE = {"regularization": "relative", "init_params": "kmeans", "random_state": 0, "reg_covar": 1e-3}


@MIXTURES
@pytest.mark.parametrize("options", [{}, {"covariance_type": "diag"}, {"noise": "uniform"}], ids=str)
def test_relative_regularization_moves_the_bound_by_the_volume_of_what_is_there(mixture, options):
    X, weights = with_holes(300, 3, share=0.3), np.random.default_rng(1).uniform(0.5, 2, size=300)
    scales = np.array([3.0, 0.01, 1e3])
    fits = [
        mixture(2, max_iter=30, tol=0.0, **RELATIVE, **options).fit(rows, sample_weight=weights)
        for rows in (X, X * scales + [1, 2, 3])
    ]
    np.testing.assert_allclose(fits[1].means_, fits[0].means_ * scales + [1, 2, 3], rtol=1e-9)
    np.testing.assert_allclose(fits[1].weights_, fits[0].weights_, rtol=1e-9)
    moved = np.average(~np.isnan(X), axis=0, weights=weights) @ np.log(scales)
    assert fits[1].lower_bound_ == pytest.approx(fits[0].lower_bound_ - moved, rel=1e-12)
    limit = mixture(2, max_iter=3000, tol=1e-12, **(RELATIVE | {"reg_covar": 0.0}), **options).fit(
        X, sample_weight=weights
    )
    assert np.all(np.diff(limit.lower_bounds_) > -1e-9)
    assert limit.lower_bound_ == pytest.approx(np.average(limit.score_samples(X), weights=weights), abs=1e-9)


@MIXTURES
def test_relative_regularization_is_a_fit_to_standardised_entries(mixture):
    X = with_holes(300, 3, share=0.3)
    mean, deviation = np.nanmean(X, axis=0), np.nanstd(X, axis=0)
    start = np.arange(300) % 2
    options = {"init_params": start, "max_iter": 20, "tol": 0.0, "reg_covar": 1e-3}
    model = mixture(2, regularization="relative", **options).fit(X)
    standard = mixture(2, **options).fit((X - mean) / deviation)
    np.testing.assert_allclose(model.means_, standard.means_ * deviation + mean, rtol=1e-10)
    np.testing.assert_allclose(model.covariances_, standard.covariances_ * np.outer(deviation, deviation), rtol=1e-10)
    result = fit_many([X, X[:200]], mixture(2, regularization="relative", random_state=0))
    alone = mixture(2, regularization="relative", random_state=0).fit(X[:200])
    np.testing.assert_array_equal(result[1].means_, alone.means_)
    without_first = X[50:51].copy()  # a part, of whose first column nothing is there
    without_first[0, 0] = np.nan
    wants_all = "regularization='relative' with missing entries, NaN, wants all rows at once"
    for call in (
        lambda: mixture(2, **RELATIVE).design(X),
        lambda: mixture(2, **RELATIVE).fit(blocks(X)),
        lambda: mixture(2, **RELATIVE).partial_fit(X),
        lambda: model.statistics(X),
        lambda: mixture(2, **RELATIVE).design(without_first),
        lambda: partitions.fit(mixture(2, **RELATIVE), partitions.InMemory([X[:50], without_first, X[51:]])),
    ):
        with pytest.raises(ValueError, match=wants_all):
            call()


# ---- factor analysers -----------------------------------------------------------------------------------------------


def from_factors(n=400, d=6, share=0.25, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    X = 4.0 * labels[:, np.newaxis] + 0.3 * rng.normal(size=(n, d))
    X += np.einsum("nij,nj->ni", rng.normal(size=(2, d, 2))[labels], rng.normal(size=(n, 2)))
    X[rng.random((n, d)) < share] = np.nan
    return X


FACTOR = {"covariance_type": "factor", "n_factors": 2, "random_state": 0}


@pytest.mark.parametrize("noise", ["diag", "spherical", "tied_diag", "tied_spherical"])
@pytest.mark.parametrize("init_params", ["kmeans", "random"])
def test_factor_analysers_have_the_density_of_what_is_there_and_never_fall(noise, init_params):
    X = from_factors()
    X[3] = np.nan
    options = FACTOR | {"factor_noise": noise, "init_params": init_params}
    model = GaussianMixture(2, reg_covar=0, tol=0.0, max_iter=60, **options).fit(X)
    bounds = np.array(model.lower_bounds_)
    assert np.all(np.diff(bounds) > -1e-12)
    joint = log_densities(model, X) + np.log(model.weights_)
    np.testing.assert_allclose(model.score_samples(X), logsumexp(joint, axis=1), rtol=1e-8, atol=1e-9)
    resp = np.exp(joint - logsumexp(joint, axis=1)[:, np.newaxis])
    np.testing.assert_allclose(model.predict_proba(X), resp, atol=1e-8)
    other = GaussianMixture(2, n_threads=3, reg_covar=0, tol=0.0, max_iter=60, **options).fit(X)
    np.testing.assert_array_equal(other.loadings_, model.loadings_)
    limit = GaussianMixture(2, reg_covar=0, tol=1e-12, max_iter=20_000, **options).fit(X)
    for step in (1e-3, -1e-3):
        for name in ("loadings", "noise_variances", "means"):
            given = {own: getattr(limit, f"{own}_") for own in ("weights", "means", "loadings", "noise_variances")}
            given[name] = given[name] * (1 + step)
            moved = GaussianMixture.from_parameters(**given, **(options | {"init_params": "kmeans"}))
            assert moved.score(X) < limit.score(X)


def test_factor_analysers_fill_in_what_full_covariances_of_theirs_do():
    X = from_factors()
    model = GaussianMixture(2, **FACTOR).fit(X)
    full = GaussianMixture.from_parameters(
        weights=model.weights_, means=model.means_, covariances=model.covariance_matrices()
    )
    np.testing.assert_allclose(model.impute(X), full.impute(X), rtol=1e-9)
    np.testing.assert_allclose(model.score_samples(X), full.score_samples(X), rtol=1e-9)
    assert model.sample_missing(X[:5], n_draws=3, random_state=0).shape == (3, 5, 6)
    complete = from_factors(share=0.0)
    start = {"init_params": np.arange(400) % 2, "tol": 1e-13, "max_iter": 20_000}
    alone = GaussianMixture(2, **(FACTOR | start)).fit(complete)
    start["init_params"] = np.append(start["init_params"], 0)
    holed = GaussianMixture(2, **(FACTOR | start)).fit(np.vstack([complete, np.full((1, 6), np.nan)]))
    # a row without an entry says nothing, but for the weight of a component that it begins in
    np.testing.assert_allclose(holed.means_, alone.means_, rtol=1e-6)
    np.testing.assert_allclose(holed.covariance_matrices(), alone.covariance_matrices(), rtol=1e-4, atol=1e-5)


# ---- priors of covariances ------------------------------------------------------------------------------------------


def log_prior(model):
    """By SciPy, up to a constant that no parameter enters."""
    prior, total = model.covariance_prior_, 0.0
    for mean, covariance in zip(model.means_, model.covariances_, strict=True):
        total += stats.multivariate_normal(prior["mean"], covariance / prior["shrinkage"]).logpdf(mean)
        total += stats.invwishart(prior["dof"], prior["scale"]).logpdf(covariance)
    return total


@pytest.mark.parametrize("name", WITH_PRIOR)
def test_the_posterior_never_falls_with_a_prior(name):
    X = with_holes(200, 1 if len(name) == 1 else 3, share=0.3)
    options = {"covariance_type": name, "covariance_prior": "default", "random_state": 0, "reg_covar": 0.0}
    model = GaussianMixture(3, tol=1e-13, max_iter=3000, **options).fit(X)
    assert np.diff(model.lower_bounds_).min() > -1e-12
    result = fit_many([X, X[:150]], GaussianMixture(2, **options))
    np.testing.assert_array_equal(result[1].means_, GaussianMixture(2, **options).fit(X[:150]).means_)


def test_a_prior_of_parts_of_rows_is_refused():
    X = with_holes(100)
    for call in (
        lambda: GaussianMixture(2, covariance_prior="default").fit(blocks(X)),
        lambda: GaussianMixture(2, covariance_prior={"dof": 9.0}).design(X),
    ):
        with pytest.raises(ValueError, match=r"covariance_prior=.* with missing entries, NaN, wants all rows at once"):
            call()


def test_the_lower_bound_with_a_prior_is_the_log_posterior_at_its_mode():
    X = with_holes(150, 3, share=0.3)
    prior = {"mean": np.zeros(3), "dof": 6.0, "scale": 2.0, "shrinkage": 0.5}
    options = {"covariance_prior": prior, "reg_covar": 0.0, "tol": 1e-14, "max_iter": 5000}
    one, two = (
        GaussianMixture(2, init_params=np.arange(150) % 2, **options | changed).fit(X)
        for changed in ({}, {"max_iter": 3})
    )
    of_posterior = [model.score(X) + log_prior(model) / 150 for model in (one, two)]
    # that of an iteration is of the parameters before its M-step
    again = GaussianMixture(
        2,
        weights_init=two.weights_,
        means_init=two.means_,
        precisions_init=two.precisions_,
        **(options | {"max_iter": 1}),
    ).fit(X)
    assert one.lower_bound_ - again.lower_bounds_[0] == pytest.approx(of_posterior[0] - of_posterior[1], rel=1e-7)
    for k in range(2):
        for step in (1e-3, -1e-3):
            for name in ("means", "covariances"):
                given = {"means": np.array(one.means_), "covariances": np.array(one.covariances_)}
                given[name][k] *= 1 + step
                moved = GaussianMixture.from_parameters(weights=one.weights_, **given)
                moved.covariance_prior_ = one.covariance_prior_
                assert moved.score(X) + log_prior(moved) / 150 < of_posterior[0]


def test_the_default_prior_has_the_moments_of_the_most_likely_gaussian():
    X = with_holes(300, 3, share=0.0)
    complete = GaussianMixture(2, covariance_prior="default", random_state=0).fit(X).covariance_prior_
    empty = np.vstack([X, np.full((5, 3), np.nan)])  # rows without an entry say nothing
    prior = GaussianMixture(2, covariance_prior="default", random_state=0).fit(empty).covariance_prior_
    for name, value in complete.items():
        np.testing.assert_allclose(prior[name], value, rtol=1e-9)
    X = with_holes(300, 3, share=0.3)
    prior = GaussianMixture(2, covariance_prior="default", random_state=0).fit(X).covariance_prior_
    covariance = prior["scale"] * 2 ** (2 / 3) * 299 / 300

    def likelihood(mean, covariance):
        return GaussianMixture.from_parameters(weights=[1.0], means=[mean], covariances=[covariance]).score(X)

    best = likelihood(prior["mean"], covariance)
    for step in (1e-2, -1e-2):
        assert likelihood(prior["mean"] * (1 + step), covariance) < best
        assert likelihood(prior["mean"], covariance * (1 + step)) < best


def test_what_is_refused():
    X = with_holes(50)
    assert np.isfinite(GaussianMixture(2, eigenvalue_ratio=10.0, random_state=0).fit(X).lower_bound_)
    for estimator in (BayesianGaussianMixture(2), MultinomialMixture(2)):
        with pytest.raises(ValueError, match=r"NaN|missing"):
            estimator.fit(np.abs(with_holes(50)))
    with pytest.raises(TypeError, match="has no numbers for entries that are missing: take a mixture of numbers"):
        MultinomialMixture(2).fit(np.abs(with_holes(share=0.0)).round()).impute([[np.nan] * 4])


# ---- Student-t components -------------------------------------------------------------------------------------------


def heavy_with_holes(n=500, d=3, share=0.25, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) / np.sqrt(rng.chisquare(4, size=(n, 1)) / 4)
    X += 6 * rng.integers(0, 2, size=(n, 1))
    X[rng.random((n, d)) < share] = np.nan
    return X


@pytest.mark.parametrize("degrees", ["component", "shared"])
@pytest.mark.parametrize("covariance_type", ["full", "tied", "spherical", "EVV"])
def test_degrees_of_freedom_are_at_a_maximum_too(covariance_type, degrees):
    X = heavy_with_holes()
    options = {"covariance_type": covariance_type, "degrees_of_freedom": degrees, "random_state": 0, "reg_covar": 0}
    model = StudentTMixture(2, tol=1e-14, max_iter=20_000, **options).fit(X)
    assert model.converged_
    assert np.all((model.degrees_of_freedom_ > 1) & (model.degrees_of_freedom_ < 100))
    given = {name: getattr(model, f"{name}_") for name in ("weights", "means", "covariances")}

    def score(degrees_of_freedom):
        return StudentTMixture.from_parameters(
            covariance_type=covariance_type, degrees_of_freedom=degrees_of_freedom, **given
        ).score(X)

    best = score(model.degrees_of_freedom_)
    moves = np.eye(2) if degrees == "component" else np.ones((1, 2))
    for move in moves:
        step = 1e-3 * move
        above, below = (score(model.degrees_of_freedom_ * np.exp(sign * step)) for sign in (1, -1))
        slope, curvature = (above - below) / 2e-3, (above - 2 * best + below) / 1e-6
        # the step that is left to the maximum, in the logarithm of the degrees of freedom
        assert curvature < 0
        assert abs(slope / curvature) < 1e-3


@pytest.mark.parametrize("covariance_type", STRUCTURES)
def test_many_degrees_of_freedom_are_gaussian(covariance_type):
    """At 1e8 of them log densities differ by D^2 / 4e8."""
    X = with_holes(300)
    options = {"covariance_type": covariance_type, "random_state": 0, "max_iter": 20, "tol": 0.0}
    gaussian = GaussianMixture(2, **options).fit(X)
    start = {
        "weights_init": gaussian.weights_,
        "means_init": gaussian.means_,
        "precisions_init": gaussian.precisions_,
    }
    gaussian = GaussianMixture(2, **options, **start).fit(X)
    heavy = StudentTMixture(2, degrees_of_freedom=1e8, **options, **start).fit(X)
    np.testing.assert_allclose(heavy.lower_bounds_, gaussian.lower_bounds_, atol=1e-6)
    np.testing.assert_allclose(heavy.means_, gaussian.means_, atol=1e-5)
    np.testing.assert_allclose(heavy.covariances_, gaussian.covariances_, atol=1e-5)
    np.testing.assert_allclose(heavy.impute(X), gaussian.impute(X), atol=1e-5)


def test_one_pattern_has_the_density_of_its_columns():
    X = heavy_with_holes(share=0.0)
    model = StudentTMixture(2, random_state=0).fit(X)
    holed = X.copy()
    holed[:, 1] = np.nan
    own = model.marginal([0, 2])
    np.testing.assert_allclose(model.score_samples(holed), own.score_samples(X[:, [0, 2]]), rtol=1e-12)
    np.testing.assert_allclose(model.predict_proba(holed), own.predict_proba(X[:, [0, 2]]), atol=1e-12)
    given = model.condition([0, 2], X[5, [0, 2]])
    np.testing.assert_allclose(model.impute(holed)[5, 1], given.weights_ @ given.means_[:, 0], rtol=1e-10)


def test_draws_are_student_t_distributed_given_what_is_there():
    X = heavy_with_holes()
    model = StudentTMixture(1, degrees_of_freedom=5.0, random_state=0).fit(X)
    rows = np.array([[8.0, np.nan, -4.0], [np.nan] * 3])
    drawn = model.sample_missing(rows, n_draws=20_000, random_state=0)
    given = model.condition([0, 2], [8.0, -4.0])
    for own, values in ((given, drawn[:, 0, 1]), (model.marginal(0), drawn[:, 1, 0])):
        assert stats.kstest(own.cdf(values[:, np.newaxis]), "uniform").pvalue > 1e-3


def test_outliers_are_seen_in_what_is_there():
    """A row that is far out in one column weighs little in the others, and does not where its outlier is missing."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(400, 3))
    X[:20] += [0.0, 40.0, 3.0]
    hidden = X.copy()
    hidden[:20, 1] = np.nan
    options = {"degrees_of_freedom": 3.0, "random_state": 0, "tol": 1e-8}
    seen, unseen = (StudentTMixture(1, **options).fit(own) for own in (X, hidden))
    assert abs(seen.means_[0, 2]) < abs(unseen.means_[0, 2])
    assert abs(unseen.means_[0, 1]) < 0.3


def test_files_products_and_partitions_take_them(tmp_path):
    X = heavy_with_holes()
    model = StudentTMixture(2, random_state=0).fit(X)
    model.save(tmp_path / "model.mixfast")
    again = load(tmp_path / "model.mixfast")
    np.testing.assert_array_equal(again.score_samples(X), model.score_samples(X))
    options = {"weights_init": model.weights_, "means_init": model.means_, "precisions_init": model.precisions_}
    options |= {"tol": 1e-12, "max_iter": 5000}
    whole = StudentTMixture(2, **options).fit(X)
    parts = StudentTMixture(2, **options).fit(blocks(lambda: iter([X[:100], X[100:230], X[230:]])))
    assert whole.converged_
    assert parts.converged_
    np.testing.assert_allclose(parts.means_, whole.means_, rtol=1e-4)
    np.testing.assert_allclose(parts.degrees_of_freedom_, whole.degrees_of_freedom_, rtol=1e-4)
    product = ProductMixture([(0, 1, 2, StudentT())], n_components=2, random_state=0).fit(X)
    np.testing.assert_allclose(product.score(X), model.score(X), atol=1e-3)
    stream = StudentTMixture(2, random_state=0)
    for batch in np.array_split(np.random.default_rng(0).permutation(X), 5):
        stream.partial_fit(batch)
    assert np.isfinite(stream.score(X))


@pytest.mark.parametrize("observed", [[0, 1], [2, 3], [0, 2], [0, 1, 2], [1]], ids=str)
def test_columns_that_are_nearly_alike_cost_no_more_digits_than_the_density_of_those_observed(observed):
    """The missing columns of some patterns are those that the observed ones nearly determine."""
    rows = np.random.default_rng(0).normal(size=(2000, 4))
    rows[:, 1] = rows[:, 0] + 1e-6 * rows[:, 1]
    rows[:, 3] = rows[:, 2] - rows[:, 0] + 1e-6 * rows[:, 3]
    model = GaussianMixture(1, reg_covar=0).fit(rows)
    part = np.full((50, 4), np.nan)
    part[:, observed] = rows[:50, observed]
    alone = model.marginal(observed).score_samples(rows[:50, observed])
    np.testing.assert_allclose(model.score_samples(part), alone, atol=0.01)


# ---- products: each part fills its own entries, by the responsibilities of all --------------------------------------


def mixed_table(n=400, share=0.25, seed=0):
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(seed)
    z = rng.integers(2, size=n)
    table = pandas.DataFrame(
        {
            "waited": rng.gamma(2 + z, size=n),
            "height": rng.normal(size=n) + 4 * z,
            "calls": rng.poisson(2 + 3 * z).astype(float),
            "weight": 2 * rng.normal(size=n) - 3 * z,
            "smokes": (rng.random(n) < 0.2 + 0.5 * z).astype(float),
            "job": np.where(rng.random(n) < 0.6, np.array(["a", "b"])[z], "c"),
        }
    )
    table["weight"] += table["height"]
    for name in table:
        table.loc[rng.random(n) < share, name] = None if name == "job" else np.nan
    return table


MIXED = [("height", "weight", Gaussian()), ("calls", Poisson()), ("waited", Gamma()), ("smokes", Bernoulli())]


@pytest.mark.parametrize(("mixture", "part"), [(GaussianMixture, Gaussian), (StudentTMixture, StudentT)])
def test_a_product_imputes_as_the_mixture_of_all_columns_does(mixture, part):
    """A Gaussian part and two of a column are Gaussians with zeros between them; a Student-t part is the mixture."""
    X = with_holes(200, 4)
    parts = [(3, 0, part()), (1, part()), (2, part())] if part is Gaussian else [(3, 0, 1, 2, part())]
    model = ProductMixture(parts, n_components=2, random_state=0, max_iter=20).fit(X)
    means, covariances = np.zeros((2, 4)), np.zeros((2, 4, 4))
    for (*places, _), own in zip(parts, model.components_.values(), strict=True):
        means[:, places] = own.means_
        covariances[np.ix_([0, 1], places, places)] = own.covariances_
    options = {"degrees_of_freedom": own.degrees_of_freedom_} if part is StudentT else {}
    whole = mixture.from_parameters(weights=model.weights_, means=means, covariances=covariances, **options)
    np.testing.assert_allclose(model.impute(X), whole.impute(X), rtol=1e-12, atol=1e-12)
    drawn, expected = (own.sample_missing(X, n_draws=400, random_state=1) for own in (model, whole))
    gaps = np.isnan(X)
    assert np.all(drawn[:, ~gaps] == X[~gaps])
    errors = np.hypot(drawn[:, gaps].std(axis=0), expected[:, gaps].std(axis=0)) / 20
    away = (drawn[:, gaps].mean(axis=0) - expected[:, gaps].mean(axis=0)) / errors
    assert np.sqrt(np.mean(away**2)) == pytest.approx(1, abs=0.2)


def test_a_product_imputes_the_means_of_its_parts():
    table = mixed_table()
    model = ProductMixture([*MIXED, ("job", Categorical())], n_components=2, random_state=0).fit(table)
    resp = model.predict_proba(table)
    rows = table[table["job"].notna()]
    filled = model.impute(rows)
    columns = list(model.columns_)
    assert columns == list(table.columns)
    assert filled[:, columns.index("job")].tolist() == rows["job"].tolist()
    counted, own = table["job"].notna().to_numpy(), dict(zip(columns, filled.T, strict=True))
    parts = model.components_
    for name, means in (
        ("calls", parts["calls"].rates_[:, 0]),
        ("waited", parts["waited"].shapes_[:, 0] * parts["waited"].scales_[:, 0]),
        ("smokes", parts["smokes"].probabilities_[:, 0]),
    ):
        gaps = rows[name].isna().to_numpy()
        np.testing.assert_allclose(own[name][gaps].astype(float), (resp[counted] @ means)[gaps], rtol=1e-12)
        np.testing.assert_array_equal(own[name][~gaps].astype(float), rows[name].to_numpy()[~gaps])
    with pytest.raises(TypeError, match=r"Part 'job'.*no means of components.*sample_missing"):
        model.impute(table)
    drawn = model.sample_missing(table, n_draws=400, random_state=0)
    assert drawn.shape == (400, 400, 6)
    gaps = table["job"].isna().to_numpy()
    jobs = drawn[:, gaps, columns.index("job")]
    places = list(parts["job"].categories_[0])
    expected = resp[gaps] @ parts["job"].probabilities_[0]
    found = np.stack([(jobs == job).mean(axis=0) for job in places], axis=1)
    np.testing.assert_allclose(found, expected, atol=0.12)
    assert np.abs(found - expected).mean() < 0.03
    again = model.sample_missing(table, n_draws=2, random_state=0)
    np.testing.assert_array_equal(again, model.sample_missing(table, n_draws=2, random_state=0))


@pytest.mark.parametrize("as_part", [False, True])
def test_answers_are_drawn_from_their_categories(as_part):
    X = mixed_table()[["job", "smokes"]].astype(object).to_numpy()
    if as_part:
        model = ProductMixture([(0, 1, Categorical())], n_components=2, random_state=0).fit(X)
        known = next(iter(model.components_.values()))
    else:
        known = model = CategoricalMixture(2, random_state=0).fit(X)
    drawn = model.sample_missing(X, n_draws=300, random_state=0)
    missing = np.array([[value is None or value != value for value in row] for row in X])
    assert np.all(drawn[:, ~missing] == X[~missing])
    resp = model.predict_proba(X)
    for j in range(2):
        expected = resp[missing[:, j]] @ known.probabilities_[j]
        places = known.categories_[j]
        found = np.stack([(drawn[:, missing[:, j], j] == place).mean(axis=0) for place in places], axis=1)
        assert np.abs(found - expected).mean() < 0.03
    with pytest.raises(TypeError, match="no means of components"):
        model.impute(X)
