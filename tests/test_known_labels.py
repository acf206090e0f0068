"""Rows whose component is known, or which components it may be, and rows that share one: of every family."""

import json
import re
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from estimators_table import ESTIMATORS, REALS, every_by_em, every_likelihood
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from mixfast import (
    BayesianGaussianMixture,
    DirichletProcessMixture,
    GaussianMixture,
    PoissonMixture,
    Status,
    StudentTMixture,
    bootstrap_lrt,
    fit_many,
    fit_many_columns,
    fit_many_groups,
    select,
)
from mixfast._reference import em as twin
from mixfast._reference.gaussian import FullGaussian

DATA = Path(__file__).parent / "data"
GOLDEN = json.loads((DATA / "known_and_missing.json").read_text())
#: scikit-learn's structures by mclust's names.
STRUCTURES = {"VVV": "full", "EEE": "tied", "VVI": "diag", "VII": "spherical"}
LABELS = np.array(GOLDEN["semi_supervised"]["labels"])

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def iris():
    return np.loadtxt(DATA / "iris.csv", delimiter=",", skiprows=1)


def of_structures(cases):
    return [case for case in cases if case["model"] in STRUCTURES]


def some_known(n_rows, truth):
    """Every third row's component."""
    known = np.full(n_rows, -1)
    known[::3] = truth[::3]
    return known


def fitted(name, known=None, X=None, **params):
    entry = ESTIMATORS[name]
    given = {} if known is None else {"known_labels": known}
    return entry.make(**params).fit(entry.X if X is None else X, **given)


def arrays_of(model):
    return [np.asarray(model.weights_), *(np.asarray(array) for array in model._collect())]


def assert_same(model, other, **tolerance):
    for one, two in zip(arrays_of(model), arrays_of(other), strict=True):
        if tolerance:
            np.testing.assert_allclose(one, two, **tolerance)
        else:
            np.testing.assert_array_equal(one, two)


# ---- other systems ----


@pytest.mark.parametrize("case", of_structures(GOLDEN["semi_supervised"]["cases"]), ids=lambda case: case["model"])
def test_partial_labels_have_the_likelihoods_of_mclust(case):
    X, bounds = iris(), case["loglik_after"]
    model = GaussianMixture(
        3, covariance_type=STRUCTURES[case["model"]], reg_covar=0, init_params=LABELS, tol=0.0, max_iter=20
    ).fit(X, known_labels=LABELS)
    for i, bound in bounds.items():
        assert model.lower_bounds_[int(i) - 1] * len(X) == pytest.approx(bound, rel=1e-8)
    model.set_params(tol=1e-13, max_iter=1000).fit(X, known_labels=LABELS)
    assert model.lower_bound_ * len(X) == pytest.approx(case["loglik"], rel=1e-8)
    np.testing.assert_allclose(model.weights_, case["weights"], atol=1e-5)
    unknown = LABELS < 0
    errors = np.sum(model.predict(X)[unknown] != np.repeat([0, 1, 2], 50)[unknown])
    assert errors == case["errors_on_unlabelled"]


@pytest.mark.parametrize("case", of_structures(GOLDEN["edda"]), ids=lambda case: case["model"])
def test_labels_of_all_rows_have_the_likelihoods_of_mclust(case):
    X, labels = iris(), np.repeat([0, 1, 2], 50)
    model = GaussianMixture(3, covariance_type=STRUCTURES[case["model"]], reg_covar=0).fit(X, known_labels=labels)
    # mclust's is that of the mixture, and it leaves out the shares of classes where it counts parameters
    assert np.sum(model.score_samples(X)) == pytest.approx(case["loglik"], rel=1e-10)
    assert model._n_parameters() - 2 == case["df"]
    assert -model.bic(X) == pytest.approx(case["bic"] - 2 * np.log(150), rel=1e-10)
    assert np.sum(model.predict(X) != labels) == case["training_errors"]
    np.testing.assert_allclose(np.linalg.slogdet(model.covariance_matrices())[1], case["log_det"], rtol=1e-8)


def test_the_e_step_is_its_twins():
    X, rng = REALS, np.random.default_rng(1)
    allowed = rng.random((len(X), 3)) < 0.6
    allowed[np.arange(len(X)), rng.integers(3, size=len(X))] = True
    start = GaussianMixture(3, random_state=0, reg_covar=0, max_iter=3).fit(X)
    resp, log_norm = twin.share_softly(start.component_log_density(X) + np.log(start.weights_), allowed)
    np.testing.assert_allclose(start.predict_proba(X, known_labels=allowed), resp, atol=1e-12)
    np.testing.assert_allclose(start.score_samples(X, known_labels=allowed), log_norm, rtol=1e-12)
    begun = GaussianMixture(
        3, weights_init=start.weights_, means_init=start.means_, precisions_init=start.precisions_, reg_covar=0, tol=0
    )
    model = begun.set_params(max_iter=5).fit(X, known_labels=allowed)
    bounds = twin.fit(
        X,
        None,
        start.weights_,
        FullGaussian(),
        (start.means_, start.covariances_, start.precisions_cholesky_),
        5,
        share=lambda log_prob: twin.share_softly(log_prob, allowed),
    )[2]
    np.testing.assert_allclose(model.lower_bounds_, bounds, rtol=1e-10)


# ---- laws ----


@every_by_em
def test_rows_that_are_known_are_of_their_component(name):
    entry = ESTIMATORS[name]
    known = some_known(len(entry.X), 1 - np.arange(len(entry.X)) % 2)
    model = fitted(name, None if "relative" in name else known)
    resp = model.predict_proba(entry.X, known_labels=known)
    np.testing.assert_array_equal(resp[known >= 0], np.eye(2)[known[known >= 0]])
    unknown = known < 0
    np.testing.assert_array_equal(resp[unknown], model.predict_proba(entry.X)[unknown])
    if "relative" not in name:  # which numbers components anew
        # components have the numbers that labels say, whatever the start makes of them
        agree = np.mean(model.predict(entry.X)[known >= 0] == known[known >= 0])
        assert agree > 0.5


@every_likelihood
def test_the_log_density_of_a_known_row_is_that_of_its_component(name):
    entry = ESTIMATORS[name]
    model, known = fitted(name), some_known(len(entry.X), np.arange(len(entry.X)) % 2)
    joint = entry.log_densities(model, entry.X) + np.log(model.weights_)
    expected = np.where(known >= 0, joint[np.arange(len(joint)), np.maximum(known, 0)], logsumexp(joint, axis=1))
    np.testing.assert_allclose(model.score_samples(entry.X, known_labels=known), expected, rtol=1e-9, atol=1e-9)


@every_by_em
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random_from_data", "random"])
def test_the_objective_never_falls(name, init_params):
    entry = ESTIMATORS[name]
    make = clone(entry.make(init_params=init_params, max_iter=30, tol=0.0)).set_params(
        **({"canonical_order": False} if "relative" in name else {})
    )
    known = some_known(len(entry.X), np.arange(len(entry.X)) // 2 % 2)
    model = make.fit(entry.X, known_labels=known)
    bounds = np.array(model.lower_bounds_)
    assert np.all(np.diff(bounds) > -1e-6 * (1 + np.abs(bounds[1:])))
    assert not model.status_ & Status.LOWER_BOUND_FELL


@pytest.mark.parametrize("name", ["Gaussian full", "Gaussian tied", "Student-t", "Poisson", "product", "multinomial"])
def test_threads_change_no_bit(name):
    entry = ESTIMATORS[name]
    X = np.concatenate([entry.X] * 20)
    known = some_known(len(X), np.arange(len(X)) % 2)
    for init_params in ("kmeans", "random"):
        models = [fitted(name, known, X, n_threads=n, init_params=init_params, max_iter=5) for n in (1, 3)]
        assert_same(*models)


@pytest.mark.parametrize("name", ["Gaussian full", "Gaussian diag", "Student-t", "Gamma", "categorical"])
def test_weights_are_repetitions(name):
    entry = ESTIMATORS[name]
    weights = np.random.default_rng(2).integers(0, 3, size=len(entry.X))
    rows = np.repeat(np.arange(len(entry.X)), weights)
    known = some_known(len(entry.X), np.arange(len(entry.X)) % 2)
    options = {"init_params": "kmeans", "max_iter": 20, "tol": 0.0}
    weighted = entry.make(**options).fit(entry.X, sample_weight=weights, known_labels=known)
    repeated = entry.make(**options).fit(entry.X[rows], known_labels=known[rows])
    assert_same(weighted, repeated, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", ["Gaussian full", "Gaussian tied", "Bernoulli", "Poisson"])
def test_batches_have_the_bits_of_fits_alone(name):
    entry = ESTIMATORS[name]
    known = [some_known(30, np.arange(30) % 2), some_known(30, (np.arange(30) + 1) % 2)]
    problems = [entry.X[:30], entry.X[30:]]
    result = fit_many(problems, entry.make(), known_labels=known)
    for own, X, labels in zip(result, problems, known, strict=True):
        assert_same(own, entry.make().fit(X, known_labels=labels))
    resp = result.predict_proba(problems, known_labels=known)
    for own, model, X, labels in zip(resp, result, problems, known, strict=True):
        np.testing.assert_array_equal(own, model.predict_proba(X, known_labels=labels))
    sets = [np.eye(2, dtype=bool)[labels] | (labels < 0)[:, np.newaxis] for labels in known]
    for own, other in zip(fit_many(problems, entry.make(), known_labels=sets), result, strict=True):
        assert_same(own, other)


@pytest.mark.parametrize("criterion", ["bic", "heldout"])
@pytest.mark.parametrize("options", [{}, {"regularization": "relative"}], ids=["compiled", "one by one"])
def test_a_grid_of_a_batch_passes_over_models_of_too_few_components(options, criterion):
    """As `select` does. What problems know is their own: a model that one cannot have another may."""
    known, unknown = np.arange(60) % 2, np.full(60, -1)
    estimator, grid = GaussianMixture(random_state=0, **options), {"n_components": [1, 2, 3], "criterion": criterion}
    alone = select(REALS, estimator, n_components=[1, 2, 3], known_labels=known).best_params_
    result = fit_many([REALS, REALS, REALS], estimator, **grid, known_labels=[known, unknown, known], keep="all")
    assert alone == {"n_components": 2}
    assert result.n_components[[0, 2]].tolist() == [2, 2]
    assert np.isnan(result.criteria).tolist() == [[True, False, False], [False] * 3, [True, False, False]]
    assert (result.models[0].status == Status.OUT_OF_DOMAIN).tolist() == [True, False, True]
    for model in result.models[1:]:
        others = fit_many([REALS, REALS, REALS], model.candidates[0], known_labels=[known, unknown, known])
        np.testing.assert_array_equal(others.lower_bound, model.lower_bound)
    sets = np.eye(2, dtype=bool)[known]
    of_sets = fit_many([REALS] * 2, estimator, **grid, known_labels=[sets] * 2)
    np.testing.assert_array_equal(np.isnan(of_sets.criteria), [[True, False, True]] * 2)
    for own in of_sets.predict_proba([REALS] * 2, known_labels=[sets] * 2):
        np.testing.assert_array_equal(own, sets)


def test_labels_beyond_all_models_are_said_in_statuses_unless_all_problems_have_some():
    known, beyond = np.arange(60) % 2, np.arange(60) % 3
    result = fit_many([REALS, REALS], GaussianMixture(2, random_state=0), known_labels=[known, beyond])
    assert result.status[1] == Status.OUT_OF_DOMAIN
    assert_same(result[0], GaussianMixture(2, random_state=0).fit(REALS, known_labels=known))
    with pytest.raises(ValueError, match=r"problem 0: known_labels is 2 in row 2, and components have the numbers 0"):
        result.predict([REALS, REALS], known_labels=[beyond, known])
    for grid in ([2], [1, 2]):
        with pytest.raises(ValueError, match=r"known_labels is 2 in row 2"):
            fit_many([REALS, REALS], GaussianMixture(), n_components=grid, known_labels=[beyond] * 2)
    with pytest.raises(ValueError, match=r"known_labels says of 3 components"):
        fit_many([REALS], GaussianMixture(2), known_labels=[np.ones((60, 3), bool)])


def test_batches_refuse_to_number_components_anew_as_single_fits_do():
    known, by = np.arange(60) % 2, np.repeat([0, 1], 30)
    told = "canonical_order=True numbers components anew, and {} has their numbers"
    ordered = GaussianMixture(2, canonical_order=True)
    table = pd.DataFrame({"by": by, "x": REALS[:, 0], "known": known})
    calls = [
        lambda: fit_many([REALS], ordered, known_labels=[known]),
        lambda: fit_many_columns(REALS, ordered, known_labels=known),
        lambda: fit_many_groups(table, ordered, by="by", columns=["x"], known_labels="known"),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=told.format("known_labels")):
            call()
    held = GaussianMixture(2, canonical_order=True, hold={"means": np.zeros((2, 3))})
    with pytest.raises(ValueError, match=told.format("hold")):
        fit_many([REALS], held)
    assert fit_many([REALS], ordered, known_labels=None).has_parameters.all()


@every_by_em
def test_sets_of_all_components_say_nothing(name):
    entry = ESTIMATORS[name]
    if "relative" in name:
        return
    everything = np.ones((len(entry.X), 2), dtype=bool)
    assert_same(fitted(name, everything), fitted(name), rtol=1e-7, atol=1e-9)


def test_sets_bind():
    X = REALS
    allowed = np.ones((60, 3), dtype=bool)
    allowed[:30, 2] = False
    allowed[30:, :2] = False
    model = GaussianMixture(3, random_state=0).fit(X, known_labels=allowed)
    resp = model.predict_proba(X, known_labels=allowed)
    assert np.all(resp[~allowed] == 0)
    np.testing.assert_allclose(model.weights_[2], 0.5)
    np.testing.assert_allclose(model.means_[2], X[30:].mean(axis=0))


def test_impossible_rows_stay_with_what_they_may_be_of():
    model = PoissonMixture.from_parameters(weights=[0.3, 0.3, 0.4], rates=[[0.0], [0.0], [2.0]])
    allowed = np.array([[True, True, False], [True, True, True]])
    with pytest.warns(UserWarning, match="density zero"):
        resp = model.predict_proba([[3.0], [3.0]], known_labels=allowed)
    np.testing.assert_array_equal(resp, [[0.5, 0.5, 0], [0, 0, 1]])
    with pytest.warns(UserWarning, match="density zero"):
        labels = model.predict([[3.0], [3.0]], known_labels=np.array([1, -1]))
    np.testing.assert_array_equal(labels, [1, 2])


@pytest.mark.parametrize("sparse", [False, True])
def test_k_means_keeps_to_labels(sparse):
    """Of three clusters in a row, the outer ones are labelled as one component: no k-means would find that."""
    rng = np.random.default_rng(5)
    X = np.concatenate([rng.normal(m, 0.3, size=(40, 2)) for m in (-5, 0, 5)])
    known = np.repeat([1, 0, 1], 40)
    known[::2] = -1
    model = PoissonMixture if sparse else GaussianMixture
    if sparse:
        from scipy.sparse import csr_array

        X = csr_array(np.round(np.exp(X / 3)))
    fit = model(2, random_state=0).fit(X, known_labels=known)
    labels = fit.predict(X, known_labels=known)
    np.testing.assert_array_equal(labels[1::2], known[1::2])


@every_likelihood
def test_statistics_know_of_labels(name):
    entry = ESTIMATORS[name]
    known = some_known(len(entry.X), np.arange(len(entry.X)) % 2)
    model = fitted(name, max_iter=1)
    statistics = model.statistics(entry.X, known_labels=known)
    resp = model.predict_proba(entry.X, known_labels=known)
    np.testing.assert_allclose(statistics.counts, resp.sum(axis=0), rtol=1e-9)


@pytest.mark.parametrize("accelerate", [None, "auto"])
def test_fits_end_where_labels_leave_the_gradient_zero(accelerate):
    X, known = iris(), LABELS
    model = GaussianMixture(3, random_state=0, accelerate=accelerate, tol=1e-10, max_iter=500).fit(
        X, known_labels=known
    )
    resp = model.predict_proba(X, known_labels=known)
    np.testing.assert_allclose(model.weights_, resp.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(model.means_, (resp.T @ X) / resp.sum(axis=0)[:, np.newaxis], atol=1e-3)


def test_select_takes_them():
    known = some_known(60, np.arange(60) % 2)
    chosen = select(REALS, GaussianMixture(random_state=0), n_components=[2, 3], known_labels=known)
    assert np.mean(chosen.best_.predict(REALS)[known >= 0] == known[known >= 0]) > 0.9
    held = select(REALS, GaussianMixture(random_state=0), n_components=[2], known_labels=known, criterion="heldout")
    assert np.isfinite(held.best_.lower_bound_)


# ---- what y says ----


def test_y_with_unknown_labels_binds():
    known = some_known(60, np.arange(60) % 2)
    by_name = GaussianMixture(2, random_state=0).fit(REALS, known_labels=known)
    for y in (known, known.tolist(), np.where(known < 0, np.nan, known), known.astype(float)):
        assert_same(GaussianMixture(2, random_state=0).fit(REALS, y), by_name)
    plain = GaussianMixture(2, random_state=0).fit(REALS)
    for y in (np.arange(60) % 2, np.where(known < 0, 5.5, known), np.array(["a", "b"])[np.arange(60) % 2], known > 0):
        assert_same(GaussianMixture(2, random_state=0).fit(REALS, y), plain)
    # a start is only a start
    assert_same(GaussianMixture(2, random_state=0, init_params=known).fit(REALS, np.arange(60) % 2), plain, rtol=0.5)


def test_strings_are_components_in_their_order():
    words = np.array([None, "b", None, "a"], dtype=object)[np.arange(60) % 4]
    numbers = np.array([-1, 1, -1, 0])[np.arange(60) % 4]
    model = GaussianMixture(2, random_state=0).fit(REALS, words)
    assert_same(model, GaussianMixture(2, random_state=0).fit(REALS, numbers))
    assert model.component_names_.tolist() == ["a", "b"]
    np.testing.assert_array_equal(
        model.score_samples(REALS, known_labels=words), model.score_samples(REALS, known_labels=numbers)
    )
    with pytest.raises(ValueError, match="'c' in row 0, which the fit did not know"):
        model.score_samples(REALS[:1], known_labels=["c"])
    assert not hasattr(model.fit(REALS), "component_names_")


def test_pandas_missing_strings():
    pandas = pytest.importorskip("pandas")
    y = pandas.Series(["a", None, "b", None] * 15, dtype="string")
    assert GaussianMixture(2, random_state=0).fit(REALS, y).component_names_.tolist() == ["a", "b"]


def test_names_are_saved(tmp_path):
    from mixfast import load

    model = GaussianMixture(2, random_state=0).fit(REALS, ["a", None, "b"] * 20)
    model.save(tmp_path / "model")
    assert load(tmp_path / "model").component_names_.tolist() == ["a", "b"]


# ---- rows that share a component ----


@every_by_em
def test_groups_of_one_row_are_no_groups(name):
    entry = ESTIMATORS[name]
    alone = entry.make().fit(entry.X, groups=np.arange(len(entry.X)))
    assert_same(alone, fitted(name), rtol=1e-6, atol=1e-8)


@every_by_em
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random"])
def test_rows_of_a_group_share_a_component(name, init_params):
    entry = ESTIMATORS[name]
    groups = np.arange(len(entry.X)) // 6
    model = entry.make(init_params=init_params, max_iter=300, tol=1e-9).fit(entry.X, groups=groups)
    bounds = np.array(model.lower_bounds_)
    assert np.all(np.diff(bounds) > -1e-6 * (1 + np.abs(bounds[1:])))
    resp = model.predict_proba(entry.X, groups=groups)
    for g in range(10):
        assert np.all(resp[groups == g] == resp[groups == g][0])
    if not isinstance(model, BayesianGaussianMixture):
        joint = np.log(model.weights_) + np.add.reduceat(entry.log_densities(model, entry.X), np.arange(0, 60, 6))
        log_prob = model.score_samples(entry.X, groups=groups)
        np.testing.assert_allclose(log_prob[::6], logsumexp(joint, axis=1), rtol=1e-6)
        assert np.all(np.delete(log_prob, np.arange(0, 60, 6)) == 0)
        np.testing.assert_allclose(model.weights_, resp[::6].mean(axis=0), atol=1e-2)


def test_groups_and_labels_go_together():
    groups = np.arange(60) // 2
    known = np.full(60, -1)
    known[0], known[3] = 1, 0
    model = GaussianMixture(2, random_state=0).fit(REALS, groups=groups, known_labels=known)
    resp = model.predict_proba(REALS, groups=groups, known_labels=known)
    np.testing.assert_array_equal(resp[:4], [[0, 1], [0, 1], [1, 0], [1, 0]])
    known[1] = 0
    with pytest.raises(ValueError, match="leaves no component to the group of row 0"):
        GaussianMixture(2).fit(REALS, groups=groups, known_labels=known)


def test_groups_in_batches_are_fitted_as_alone():
    groups = np.arange(30) // 3
    result = fit_many([REALS[:30], REALS[30:]], GaussianMixture(2, random_state=0), groups=[groups, groups])
    for own, X in zip(result, (REALS[:30], REALS[30:]), strict=True):
        assert_same(own, GaussianMixture(2, random_state=0).fit(X, groups=groups))


# ---- errors ----


@pytest.mark.parametrize(
    ("known", "message"),
    [
        (np.full(60, 2), "known_labels is 2 in row 0, and components have the numbers 0 to 1"),
        (np.full(60, -2), "known_labels is -2 in row 0"),
        (np.full(60, 0.5), "known_labels is 0.5 in row 0"),
        (np.zeros(59, dtype=int), "should have the shape"),
        (np.ones((60, 3), dtype=bool), "says of 3 components"),
        (np.zeros((60, 2), dtype=bool), "leaves no component to row 0"),
        (np.full((60, 2), 0.3), "should be True and False"),
        (
            np.array(["a", "b", "c"])[np.arange(60) % 3],
            "known_labels is 'c' in row 2, one of 3 names, and there are n_components = 2",
        ),
        (np.array(["a", 1], dtype=object)[np.arange(60) % 2], "strings or numbers, not both"),
        (np.full(60, np.inf), "known_labels is inf in row 0"),
    ],
)
def test_wrong_labels_are_refused(known, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(2).fit(REALS, known_labels=known)


def test_what_has_no_place_for_them_says_so():
    known = np.zeros(60, dtype=int)
    with pytest.raises(ValueError, match="canonical_order=True"):
        GaussianMixture(2, canonical_order=True).fit(REALS, known_labels=known)
    with pytest.raises(ValueError, match="prune=True"):
        BayesianGaussianMixture(2, prune=True).fit(REALS, known_labels=known)
    with pytest.raises(TypeError, match="known_labels"):
        DirichletProcessMixture().fit(REALS, known_labels=known)
    with pytest.raises(ValueError, match="says nothing of a predictive density"):
        BayesianGaussianMixture(2).fit(REALS).score_samples(REALS, known_labels=known)
    with pytest.raises(ValueError, match="leave it out"):
        bootstrap_lrt(REALS, GaussianMixture(), 1, n_bootstrap=1, known_labels=known)
    with pytest.raises(ValueError, match="do not know of groups"):
        GaussianMixture(2).fit(REALS).statistics(REALS, groups=known)
    with pytest.raises(ValueError, match="1 groups for n_components = 2"):
        GaussianMixture(2).fit(REALS, groups=known)


def test_a_warning_points_at_nothing_when_all_is_well():
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model = GaussianMixture(3, random_state=0, max_iter=500).fit(iris(), LABELS)
    assert all(one <= two + 1e-9 for one, two in pairwise(model.lower_bounds_))


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.float64])
def test_two_classes_that_look_like_unknown_labels_are_said_to(dtype):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(80, 2)), np.where(rng.random(80) < 0.5, -1, 1).astype(dtype)
    said_so = r"y holds -1 and 1 and nothing else: .* leave y out; if not, pass known_labels=y"
    with pytest.warns(UserWarning, match=said_so) as found:
        bound = GaussianMixture(2, random_state=0).fit(X, y)
    assert {Path(own.filename) for own in found} == {Path(__file__)}
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        said = GaussianMixture(2, random_state=0).fit(X, known_labels=y)
        GaussianMixture(2, random_state=0).fit(X, np.where(y == 1, 0, -1))
    np.testing.assert_array_equal(bound.means_, said.means_)


# ---- labels beside noise ----


def rows_beside_noise():
    rng = np.random.default_rng(7)
    return np.vstack([rng.normal(0, 1, (60, 2)), rng.normal(9, 1, (60, 2)), rng.uniform(-20, 30, (20, 2))])


def labels_beside_noise(third, unknown=-1, dtype=int, first=(0, 1)):
    labels = np.full(140, unknown, dtype=dtype)
    labels[:5], labels[60:65], labels[120:125] = *first, third
    return labels


#: Labels of three kinds in each form that labels have, of which the third is no component where there are two.
TOO_LARGE = {
    "whole numbers": labels_beside_noise(2),
    "floats": labels_beside_noise(2.0, np.nan, float),
    "objects": labels_beside_noise(2, None, object),
    "names": labels_beside_noise("c", None, object, ("a", "b")),
}


@pytest.mark.parametrize("noise", [None, "uniform"])
@pytest.mark.parametrize("form", TOO_LARGE)
@pytest.mark.parametrize("make", [GaussianMixture, StudentTMixture])
def test_a_label_of_more_components_than_there_are_is_an_error_beside_noise_too(make, form, noise):
    X, labels = rows_beside_noise(), TOO_LARGE[form]
    what = "'c' in row 120, one of 3 names" if form == "names" else "2 in row 120"
    for fit in (
        lambda model: model.fit(X, known_labels=labels),
        lambda model: model.fit(X, labels),
        lambda model: select(X, model, n_components=[2], known_labels=labels),
    ):
        with pytest.raises(ValueError, match=f"known_labels is {what}"):
            fit(make(2, noise=noise, random_state=0))
    model = make(2, noise=noise, random_state=0).fit(X)
    with pytest.raises(ValueError, match=r"known_labels is 2 in row 120"):  # a fit without labels has no names
        model.predict(X, known_labels=labels)


@pytest.mark.parametrize("form", ["whole numbers", "floats"])
def test_a_batch_says_of_such_labels_that_they_are_outside_the_domain(form):
    X, labels = rows_beside_noise(), TOO_LARGE[form]
    model = GaussianMixture(2, noise="uniform", random_state=0)
    batch = fit_many([X, X], model, known_labels=[labels, labels_beside_noise(-2)])
    assert batch.status[0] == Status.OUT_OF_DOMAIN
    assert (
        batch.predict([X[:0], X], known_labels=[labels[:0], labels_beside_noise(-2)])[1][120:125].tolist() == [-1] * 5
    )


#: What no label can be, and the status of a problem that has one.
NO_LABELS = [
    (np.inf, Status.NOT_FINITE),
    (-np.inf, Status.NOT_FINITE),
    (1e300, Status.OUT_OF_DOMAIN),
    (2.0**63, Status.OUT_OF_DOMAIN),  # the least that int64 does not hold
]


@pytest.mark.parametrize(("value", "status"), NO_LABELS)
def test_numbers_that_are_no_labels_are_not_taken_for_unknown_ones(value, status):
    X, labels = rows_beside_noise(), labels_beside_noise(1, -1, float)
    model, labels_with = GaussianMixture(2, random_state=0), np.where(np.arange(len(X)) == 3, value, labels)
    with pytest.raises(ValueError, match=f"known_labels is {re.escape(str(value))} in row 3"):
        model.fit(X, known_labels=labels_with)
    batch = fit_many([X, X], model, known_labels=[labels_with, labels])
    assert batch.status.tolist() == [status, Status.CONVERGED]
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(np.tile(X, (2, 1)), columns=["a", "b"]).assign(
        g=np.repeat([0, 1], len(X)), y=np.concatenate([labels_with, labels])
    )
    of_groups = fit_many_groups(table, model, by="g", columns=["a", "b"], known_labels="y")
    assert of_groups.status.tolist() == [status, Status.CONVERGED]


def test_unsigned_labels_that_int64_does_not_hold_are_refused():
    X = rows_beside_noise()
    labels = np.zeros(len(X), dtype=np.uint64)
    labels[3] = 2**64 - 1  # -1 as int64
    with pytest.raises(ValueError, match="known_labels is 18446744073709551615 in row 3"):
        GaussianMixture(2, random_state=0).fit(X, known_labels=labels)


@pytest.mark.parametrize("unknown", [-1, np.nan, None, "NA"])
def test_noise_is_a_known_label_in_every_form(unknown):
    X = rows_beside_noise()
    if unknown == "NA":
        unknown = pytest.importorskip("pandas").NA
    of_objects = not isinstance(unknown, (int, float))
    labels = labels_beside_noise(-2, unknown, object if of_objects else type(unknown))
    for model in (
        GaussianMixture(2, noise="uniform", random_state=0).fit(X, known_labels=labels),
        GaussianMixture(2, noise="uniform", random_state=0).fit(X, labels),
    ):
        assert model.predict(X, known_labels=labels)[[0, 60, 120]].tolist() == [0, 1, -1]
    if not of_objects:
        batch = fit_many([X], GaussianMixture(2, noise="uniform", random_state=0), known_labels=[labels])
        assert batch[0].predict(X)[[0, 60]].tolist() == [0, 1]


def test_starts_of_more_components_than_there_are_are_an_error_beside_noise():
    with pytest.raises(ValueError, match="init_params is 2 in row 120"):
        GaussianMixture(2, noise="uniform", init_params=labels_beside_noise(2)).fit(rows_beside_noise())


def test_missing_labels_beside_whole_numbers_are_labels_of_fits_to_tables():
    X, pandas = rows_beside_noise(), pytest.importorskip("pandas")
    labels = labels_beside_noise(1)
    nullable = pandas.Series(labels).astype("Int64").where(labels >= 0)
    wanted = GaussianMixture(2, random_state=0).fit(X, labels)
    for given in (nullable, [None if own < 0 else own for own in labels.tolist()]):
        np.testing.assert_array_equal(GaussianMixture(2, random_state=0).fit(X, given).means_, wanted.means_)
