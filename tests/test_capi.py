"""The C interface: the bits of estimators from compiled code, in the caller's memory, on any thread."""

import copy
import doctest
import json
import os
import pickle
import re
import subprocess
import sys
import threading
from ctypes import byref, c_int, c_int64, c_size_t, c_uint64, sizeof
from pathlib import Path

import capi_calls as c
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

import mixfast
from mixfast import (
    BayesianGaussianMixture,
    BernoulliMixture,
    CategoricalMixture,
    DirichletMultinomialMixture,
    DirichletProcessMixture,
    ExponentialMixture,
    GammaMixture,
    GaussianMixture,
    MixtureOfExperts,
    MultinomialMixture,
    PoissonMixture,
    ProductMixture,
    Status,
    StudentTMixture,
    VonMisesFisherMixture,
    capi,
    fit_many,
)
from mixfast._reference import random as reference
from mixfast.parts import Gaussian

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

HEADER = Path(mixfast.get_include()) / "mixfast.h"
DATA = Path(__file__).parent / "data" / "capi"
DONE, BAD_ARGUMENT, NO_ROOM, NO_NUMBERS = 0, -1, -2, -3
NUMBERS = c_int, c_int64, c_size_t, c_uint64

RNG = np.random.default_rng(0)
GROUP = np.arange(240) % 3
REALS = RNG.normal(size=(240, 3)) + np.array([[-4.0, 0, 2], [0, 3, 0], [4, -1, 1]])[GROUP]
WAITS = RNG.exponential(np.array([[1.0, 9, 2], [8, 1, 3], [3, 3, 30]])[GROUP])
BITS = (RNG.random((240, 3)) < np.array([[0.9, 0.1, 0.5], [0.1, 0.8, 0.4], [0.6, 0.6, 0.9]])[GROUP]).astype(float)
CODES = (3 * RNG.random((240, 3)) ** np.array([[0.4], [1], [3]])[GROUP]).astype(int).astype(float)
ROWS = "random_from_data"

#: Estimators that have plans, and rows for them.
PLANNED = {
    **{f"gaussian-{kind}": (GaussianMixture(3, covariance_type=kind), REALS)
       for kind in ("full", "tied", "diag", "spherical", "VVE", "EII")},
    **{f"student-{kind}": (StudentTMixture(3, covariance_type=kind, init_params=ROWS), REALS)
       for kind in ("full", "tied", "diag", "spherical")},
    "exponential": (ExponentialMixture(3, init_params=ROWS), WAITS),
    "bernoulli": (BernoulliMixture(3), BITS),
    "bernoulli-prior": (BernoulliMixture(3, alpha=0.5, init_params="k-means++"), BITS),
    "categorical": (CategoricalMixture(3, categories=[[0, 1, 2]] * 3, init_params="random"), CODES),
    "starts": (GaussianMixture(3, n_init=4, init_params="random", accelerate="auto"), REALS),
    "halving": (GaussianMixture(3, n_init=5, n_init_policy="halving", init_params="k-means++"), REALS),
    "weights": (GaussianMixture(3, weights=[0.5, 0.3, 0.2]), REALS),
    "weight-prior": (GaussianMixture(3, weight_concentration=2.0), REALS),
    "one-component": (GaussianMixture(1), REALS),
}  # fmt: skip

every_plan = pytest.mark.parametrize("name", PLANNED)
every_dtype = pytest.mark.parametrize("dtype", ["float64", "float32"])


def planned(name, dtype="float64"):
    """(estimator, plan, rows)"""
    estimator, X = PLANNED[name]
    estimator = estimator.__class__(**estimator.get_params(deep=False)).set_params(random_state=11, max_iter=40)
    return estimator, capi.plan(estimator, X.shape[1], dtype), X.astype(dtype)


def strided(X, layout):
    """The same values elsewhere in memory."""
    n, d = X.shape
    if layout == "columns":
        return np.asfortranarray(X)
    if layout == "backwards":
        return np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1]
    if layout == "spread":
        wide = np.full((3 * n, 2 * d + 1), np.nan, dtype=X.dtype)
        wide[1::3, 1::2] = X
        return wide[1::3, 1::2]
    return np.ascontiguousarray(X)


def assert_same_fit(plan, found, model):
    """The estimator's fit rounds parameters to the precision of the rows."""
    code, weights, params, report = found
    assert code == DONE
    layout = model._family().params_layout(plan.n_components, plan.n_features)
    published = model._family().rounded(layout.view(params), plan.dtype)
    assert_array_equal(weights.astype(plan.dtype), model.weights_)
    for name, array in zip(layout.record._fields, published, strict=True):
        assert_array_equal(array, np.asarray(getattr(model._collect(), name)), err_msg=name)
    assert plan.dtype.type(report.lower_bound) == model.lower_bound_
    assert (report.n_iter, Status(report.status)) == (model.n_iter_, model.status_)


def fitted_state(plan, model):
    return model._packed_state(model._family().params_layout(plan.n_components, plan.n_features))


# ---- plans ----------------------------------------------------------------------------------------------------------


def test_a_plan_says_where_arrays_lie():
    plan = capi.plan(GaussianMixture(3, covariance_type="diag"), 2)
    assert dict(plan.layout) == {
        "means": capi.Place(0, (3, 2)),
        "covariances": capi.Place(6, (3, 2)),
        "precisions_cholesky": capi.Place(12, (3, 2)),
    }
    assert (plan.n_params, plan.n_sums) == (18, 4 + 3 + 12)
    assert list(plan.sums_layout) == [
        "log_likelihood", "weight", "n_impossible", "least_weight", "counts", "first", "second",
    ]  # fmt: skip
    assert plan.sums_layout["second"] == capi.Place(13, (3, 2))
    assert_array_equal(plan.layout["covariances"].of(np.arange(18.0)), np.arange(6.0, 12).reshape(3, 2))


def test_a_plan_stays_as_it_is():
    plan = capi.plan(GaussianMixture(3), 2)
    with pytest.raises(AttributeError, match="make another one"):
        plan.n_components = 4
    with pytest.raises(AttributeError, match="cannot be deleted"):
        del plan.layout
    with pytest.raises(TypeError):
        plan.layout["means"] = capi.Place(0, ())


@every_dtype
@every_plan
def test_a_plan_is_its_own_copy_and_is_made_anew_elsewhere(name, dtype):
    estimator, plan, X = planned(name, dtype)
    assert copy.copy(plan) is plan
    assert copy.deepcopy({"plan": plan})["plan"] is plan
    other = pickle.loads(pickle.dumps(plan))
    assert other.address != plan.address
    assert (repr(other), other.layout, other.dtype) == (repr(plan), plan.layout, plan.dtype)
    for found, wanted in zip(c.fit(other, X, seed=3)[1:3], c.fit(plan, X, seed=3)[1:3], strict=True):
        assert_array_equal(found, wanted)
    estimator.set_params(n_components=7)
    assert pickle.loads(pickle.dumps(plan)).n_components == plan.n_components


def test_a_capsule_keeps_the_plan_alive():
    capsule = capi.plan(GaussianMixture(3), 2).capsule
    assert "mixfast.capi.plan_v1" in repr(capsule)
    assert "mixfast.capi.api_v1" in repr(capi.api_v1)
    del capsule


@pytest.mark.parametrize(
    ("estimator", "dtype", "why"),
    [
        (StudentTMixture(2), "float64", "set init_params='random_from_data'"),
        (CategoricalMixture(2, categories=[[0, 1]] * 2), "float64", "set init_params='random_from_data'"),
        (CategoricalMixture(2), "float64", "Set categories to a list for each column"),
        (CategoricalMixture(2, categories=[[0, 1]] * 3, init_params=ROWS), "float64", "categories of 3 columns"),
        (GammaMixture(2), "float64", "encodes rows in a copy"),
        (PoissonMixture(2), "float64", "encodes rows in a copy"),
        (MultinomialMixture(2), "float64", "encodes rows in a copy"),
        (DirichletMultinomialMixture(2), "float64", "Fit it in Python"),
        (VonMisesFisherMixture(2), "float64", "domain is no range of each column"),
        (VonMisesFisherMixture(2), "float32", "Fit it in Python|Set dtype"),
        (BayesianGaussianMixture(2), "float64", "those of a posterior"),
        (MixtureOfExperts(2), "float64", "no y"),
        (ProductMixture([(0, Gaussian()), (1, Gaussian())], 2), "float64", "there is no plan"),
        (GaussianMixture(2, regularization="relative"), "float64", "Set regularization='absolute'"),
        (GaussianMixture(2, covariance_prior="default"), "float64", "prior is made of the rows"),
        (GaussianMixture(2, init_params=[0, 1]), "float64", "should name a method"),
        (GaussianMixture(2, warm_start=True), "float64", "warm_start=True"),
        (GaussianMixture(2, canonical_order=True), "float64", "canonical_order=True"),
        (GaussianMixture(2, tol=-1), "float64", "tol"),
        (GaussianMixture(2, means_init=[[0.0, 0, 0]] * 2), "float64", "means"),
        (GaussianMixture(2), "int64", "should be 'float32' or 'float64'"),
    ],
)
def test_what_has_no_plan_says_why(estimator, dtype, why):
    with pytest.raises(ValueError, match=why):
        capi.plan(estimator, 2, dtype)


def test_arguments_of_a_plan():
    with pytest.raises(TypeError, match="got DirichletProcessMixture"):
        capi.plan(DirichletProcessMixture(), 2)
    with pytest.raises(TypeError, match="fitted by EM, got 3"):
        capi.plan(3, 2)
    for n_features in (0, 1.5, True, "2"):
        with pytest.raises(ValueError, match="n_features="):
            capi.plan(GaussianMixture(2), n_features)


@pytest.mark.thread_unsafe(reason="doctest puts itself in the place of sys.stdout")
def test_the_examples_of_docstrings_run():
    assert doctest.testmod(capi) == doctest.TestResults(failed=0, attempted=6)


# ---- the bits of estimators -----------------------------------------------------------------------------------------


@every_plan
@every_dtype
def test_fits_and_evaluations_have_the_bits_of_the_estimator(name, dtype):
    estimator, plan, X = planned(name, dtype)
    estimator.fit(X)
    for layout in ("rows", "columns", "backwards", "spread"):
        assert_same_fit(plan, c.fit(plan, strided(X, layout), seed=11, offset=len(layout)), estimator)
    weights, params = fitted_state(plan, estimator)
    for rows in (strided(X, "spread"), X[:1], X[5:2:-1]):
        code, labels, log_density, resp = c.evaluate(plan, weights, params, rows)
        assert code == DONE
        assert_array_equal(labels, estimator.predict(rows))
        assert_array_equal(log_density, estimator.score_samples(rows))
        assert_array_equal(resp, estimator.predict_proba(rows))
        code, alone, *_ = c.evaluate(plan, weights, params, rows, wanted=("labels",))
        assert_array_equal(alone, labels)


@every_plan
@every_dtype
def test_weighted_fits(name, dtype):
    estimator, plan, X = planned(name, dtype)
    weight = np.random.default_rng(1).integers(1, 9, len(X)) / 4
    assert_same_fit(plan, c.fit(plan, X, weight, seed=11), estimator.fit(X, sample_weight=weight))


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_many_rows_on_two_threads_with_much_left_out(covariance_type):
    """Passes leave out what is zero, in memory that is there already."""
    rng = np.random.default_rng(2)
    X = rng.normal(size=(6000, 8)) + 40 * rng.normal(size=(12, 8))[rng.integers(12, size=6000)]
    model = GaussianMixture(12, covariance_type=covariance_type, random_state=3, max_iter=30, tol=0).fit(X)
    plan = capi.plan(model, 8)
    for n_threads in (1, 2):
        assert_same_fit(plan, c.fit(plan, X, seed=3, n_threads=n_threads), model)


def test_a_start_that_is_given():
    model = GaussianMixture(
        2,
        weights_init=[0.3, 0.7],
        means_init=[[0.0], [4]],
        precisions_init=[[[1.0]], [[0.5]]],
        n_init=3,
        n_init_policy="halving",
        random_state=0,
    )
    X = REALS[:, :1]
    plan, free = capi.plan(model, 1), capi.plan(GaussianMixture(2, n_init=3, n_init_policy="halving"), 1)
    found = c.fit(plan, X)
    weights, params = np.array([0.3, 0.7]), np.zeros(plan.n_params)
    params[:2], params[2:4], params[4:] = [0, 4], [1, 2], [1, np.sqrt(0.5)]
    again = c.fit(free, X, start=(weights, params))
    model.set_params(n_init=1, n_init_policy="all").fit(X)
    assert_same_fit(free, again, model)
    assert_allclose(found[2], again[2], rtol=1e-12)


# ---- tables, sums, M-steps ------------------------------------------------------------------------------------------


@every_plan
@every_dtype
def test_prepared_tables_evaluate_alike(name, dtype):
    estimator, plan, X = planned(name, dtype)
    state = fitted_state(plan, estimator.fit(X))
    code, tables = c.prepare(plan, *state)
    assert code == DONE
    for n_rows in (1, 7, len(X)):
        for one, other in zip(
            c.evaluate(plan, None, None, X[:n_rows], tables=tables), c.evaluate(plan, *state, X[:n_rows]), strict=True
        ):
            assert_array_equal(one, other)


@every_plan
@every_dtype
def test_sums_and_m_steps_are_those_of_the_estimator(name, dtype):
    estimator, plan, X = planned(name, dtype)
    estimator.set_params(max_iter=3, n_init_policy="all").fit(X)
    weight = np.random.default_rng(1).integers(0, 5, len(X)) / 2
    state = fitted_state(plan, estimator)
    code, sums = c.gather(plan, *state, X, weight)
    expected = estimator.statistics(X[weight > 0], sample_weight=weight[weight > 0])
    assert code == DONE
    places = plan.sums_layout
    found = {key: place.of(sums) for key, place in places.items()}
    assert_allclose(found["log_likelihood"], expected.log_likelihood, rtol=1e-6 if dtype == "float32" else 1e-12)
    assert (found["weight"], found["least_weight"]) == (weight.sum(), 0.5)
    assert found["n_impossible"] == 0
    code, weights, params, _ = c.maximise(plan, sums, *state)
    assert code == DONE
    # rows of weight 0 are left out there and are in chunks here: the last bits differ
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-9, "atol": 1e-11}
    estimator.update(expected)
    layout = estimator._family().params_layout(plan.n_components, plan.n_features)
    assert_allclose(weights, estimator.weights_, **tolerance)
    for one, other in zip(layout.view(params), estimator._collect(), strict=True):
        assert_allclose(one, other, **tolerance)


def test_sums_are_added_and_bits_are_those_of_statistics():
    estimator, plan, X = planned("gaussian-full")
    state = fitted_state(plan, estimator.fit(X))
    _, sums = c.gather(plan, *state, X[:100])
    code, sums = c.gather(plan, *state, X[100:], sums=sums)
    total = estimator.statistics(X[:100]) + estimator.statistics(X[100:])
    assert code == DONE
    assert_array_equal(plan.sums_layout["counts"].of(sums), total.counts)
    for name, array in total.sums.items():
        assert_array_equal(plan.sums_layout[name].of(sums), array, err_msg=name)
    _, weights, params, _ = c.maximise(plan, sums, *state)
    estimator.update(total)
    assert_array_equal(weights, estimator.weights_)
    assert_array_equal(plan.layout["means"].of(params), estimator.means_)
    assert_array_equal(plan.layout["covariances"].of(params), estimator.covariances_)


@every_plan
def test_recentred_sums_are_those_of_the_same_responsibilities(name):
    """An M-step on sums that were moved gives what the one on the sums where they were gathered does."""
    estimator, plan, X = planned(name)
    state = fitted_state(plan, estimator.set_params(max_iter=2, n_init_policy="all").fit(X))
    _, sums = c.gather(plan, *state, X)
    _, weights, params, _ = c.maximise(plan, sums, *state)
    code, moved = c.recentre(plan, state, (weights, params), sums)
    assert code == DONE
    code, again, params_again, _ = c.maximise(plan, moved, weights, params)
    assert code == DONE
    assert_allclose(again, weights, rtol=1e-12)
    if not name.startswith("student"):  # whose degrees of freedom an M-step moves on
        assert_allclose(params_again, params, rtol=1e-9, atol=1e-12)


# ---- many models at once --------------------------------------------------------------------------------------------


@every_plan
@every_dtype
def test_following_is_a_gather_an_m_step_and_moved_sums(name, dtype):
    """Each of many models has the bits that three calls of its own would have given it."""
    estimator, plan, X = planned(name, dtype)
    state = fitted_state(plan, estimator.set_params(max_iter=2, n_init_policy="all").fit(X))
    _, sums = c.gather(plan, *state, X)
    rows, weight = strided(X[:9], "spread"), np.linspace(0.5, 2, 9)
    models = [np.tile(array, (9, 1)) for array in (*state, sums)]
    for own in (None, weight):
        code, labels, log_density, *after = c.follow(plan, rows, own, *models, rate=0.02)
        assert code == DONE
        for i in range(9):
            one = slice(i, i + 1)
            _, now = c.gather(plan, *(array[i] for array in models[:2]), rows[one], None if own is None else own[one])
            blended = models[2][i] + 0.02 * (now - models[2][i])
            code, *new, _ = c.maximise(plan, blended, *(array[i] for array in models[:2]))
            assert code == DONE
            code, moved = c.recentre(plan, [array[i] for array in models[:2]], new, blended)
            assert code == DONE
            for found, wanted in zip(after, (*new, moved), strict=True):
                assert_array_equal(found[i], wanted)
            assert log_density[i] == now[0]
            assert labels[i] == np.argmax(plan.sums_layout["counts"].of(now))
        models = after


def test_rows_that_are_not_explained_leave_their_model_alone():
    estimator, plan, X = planned("gaussian-diag")
    state = fitted_state(plan, estimator.fit(X))
    _, sums = c.gather(plan, *state, X)
    models = [np.tile(array, (3, 1)) for array in (*state, sums)]
    rows = np.array([X[0], [50.0, 50, 50], X[1]])
    code, _, log_density, *after = c.follow(plan, rows, None, *models, rate=0.1, least=-100.0)
    assert code == DONE
    assert log_density[1] < -100
    for before, now in zip(models, after, strict=True):
        assert_array_equal(now[1], before[1])
        assert not np.array_equal(now[0], before[0])
        assert not np.array_equal(now[2], before[2])


def test_a_model_that_cannot_be_followed_stays_and_says_so():
    estimator, plan, X = planned("gaussian-diag")
    state = fitted_state(plan, estimator.fit(X))
    _, sums = c.gather(plan, *state, X)
    models = [np.tile(array, (3, 1)) for array in (*state, sums)]
    models[1][1, 0] = np.nan
    code, _, _, *after = c.follow(plan, X[:3], None, *models, rate=0.1)
    assert code == NO_NUMBERS
    for before, now in zip(models, after, strict=True):
        assert_array_equal(now[1], before[1])
        assert not np.array_equal(now[2], before[2])
    models[1][1, 0] = 0
    models[2][1] = 0
    assert c.follow(plan, X[:3], np.zeros(3), *models, rate=0.1)[0] == BAD_ARGUMENT  # sums of no rows
    bad = X[:3].copy()
    bad[2, 0] = np.inf
    for rows, rate, least, wanted in (
        (bad, 0.1, -np.inf, NO_NUMBERS),
        (X[:3], 0.0, -np.inf, BAD_ARGUMENT),
        (X[:3], 1.5, -np.inf, BAD_ARGUMENT),
        (X[:3], np.nan, -np.inf, BAD_ARGUMENT),
        (X[:3], 0.1, np.nan, BAD_ARGUMENT),
    ):
        assert c.follow(plan, rows, None, *models, rate=rate, least=least)[0] == wanted
    assert c.follow(plan, X[:0], None, *models, rate=0.1)[0] == DONE
    assert c.follow(plan, X[:3], None, *models, rate=0.1, n_bytes=c.room_for(plan, 1) - 1)[0] == NO_ROOM


# ---- draws ----------------------------------------------------------------------------------------------------------


def of_means(stream, arrays, k, d):
    """U'(x - mean), with U the factor of the precision, is normal, or Student-t."""
    row = np.array([stream.normal() for _ in range(d)])
    degrees = arrays.get("degrees_of_freedom")
    if degrees is not None:
        row *= np.sqrt(degrees[k] / (2 * np.exp(stream.log_gamma(degrees[k] / 2))))
    precision, matrix = arrays["precisions_cholesky"], arrays["is_matrix"]
    own = precision if arrays["is_tied"] else precision[k]
    return arrays["means"][k] + np.linalg.solve((own if matrix else own * np.eye(d)).T, row)


def of_rates(stream, arrays, k, d):
    return np.array([-np.log1p(-stream.uniform()) for _ in range(d)]) / arrays["rates"][k]


def of_probabilities(stream, arrays, k, d):
    """Of columns with as many outcomes each; those of Bernoulli rows are none and one."""
    own = arrays["probabilities"][k].reshape(d, -1)
    if own.shape[1] == 1:
        return np.array([float(stream.uniform() < p) for p in own[:, 0]])
    return np.array([float(np.sum(stream.uniform() >= np.cumsum(p)[:-1] / p.sum())) for p in own])


#: How a row is drawn, by the first array of the parameters.
DRAWS = {"means": of_means, "rates": of_rates, "probabilities": of_probabilities}
TIED = "gaussian-tied", "student-tied"


def twin_of_sample(name, plan, weights, params, seed, number):
    """(label, row)"""
    stream = reference.Stream(seed, number >> 32, 20, number & reference.WORD)
    k = int(np.sum(stream.uniform() * weights.sum() >= np.cumsum(weights)[:-1]))
    arrays = {key: place.of(params) for key, place in plan.layout.items()}
    is_tied = name in TIED
    if "precisions_cholesky" in arrays:
        arrays |= {"is_tied": is_tied, "is_matrix": arrays["precisions_cholesky"].ndim == (2 if is_tied else 3)}
    return k, DRAWS[next(iter(arrays))](stream, arrays, k, plan.n_features)


@every_plan
@every_dtype
def test_draws_are_those_of_the_twin(name, dtype):
    estimator, plan, X = planned(name, dtype)
    weights, params = fitted_state(plan, estimator.fit(X))
    for first in (0, 2**32 - 3):
        code, labels, rows = c.sample(plan, weights, params, 12, seed=2**63 + 5, first=first)
        assert code == DONE
        for i in range(12):
            label, row = twin_of_sample(name, plan, weights, params, 2**63 + 5, first + i)
            assert labels[i] == label
            assert_allclose(rows[i], row.astype(dtype), rtol=1e-12 if dtype == "float64" else 3e-7)


@every_plan
def test_draws_have_the_distribution_of_the_estimator(name):
    """The densities that drawn rows have, under the mixture and under their own components, and components' shares."""
    estimator, plan, X = planned(name)
    weights, params = fitted_state(plan, estimator.fit(X))
    code, labels, rows = c.sample(plan, weights, params, 4000, seed=3)
    others, other_labels = estimator.sample(4000, random_state=4)
    assert code == DONE
    error = np.sqrt(weights * (1 - weights) / len(rows))
    assert np.all(np.abs(np.bincount(labels, minlength=len(weights)) / len(rows) - weights) <= 4 * error)
    assert stats.ks_2samp(estimator.score_samples(rows), estimator.score_samples(others)).pvalue > 1e-3
    for k in range(plan.n_components):
        for j in range(plan.n_features):
            ours, theirs = rows[labels == k, j], others[other_labels == k, j]
            assert stats.ks_2samp(ours, theirs).pvalue > 1e-4, (k, j)


@every_dtype
def test_draws_are_functions_of_seed_and_number_on_any_thread(dtype):
    estimator, plan, X = planned("student-full", dtype)
    state = fitted_state(plan, estimator.fit(X))
    _, labels, rows = c.sample(plan, *state, 400, seed=9)
    wrong = []

    def draw(i):
        for _ in range(20):
            found = c.sample(plan, *state, 50, seed=9, first=50 * i)
            if not (np.array_equal(found[1], labels[50 * i :][:50]) and np.array_equal(found[2], rows[50 * i :][:50])):
                wrong.append(i)

    threads = [threading.Thread(target=draw, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert_array_equal(c.sample(plan, *state, 400, seed=9, with_labels=False)[2], rows)
    assert not np.array_equal(c.sample(plan, *state, 400, seed=10)[2], rows)


@every_dtype
def test_drawn_rows_can_be_fitted(dtype):
    """They stay in the range of the precision and in the domain of the family."""
    wide = capi.plan(GaussianMixture(1, covariance_type="spherical"), 1, dtype)
    most = np.finfo(dtype).max
    for scale in (1e-300, 1e300):  # the roots of the precision
        params = np.zeros(wide.n_params)
        wide.layout["precisions_cholesky"].of(params)[...] = scale
        code, _, rows = c.sample(wide, np.ones(1), params, 50)
        assert code == DONE
        assert np.all(np.isfinite(rows))
        assert np.all(rows != 0)
        assert np.all(np.abs(rows) <= most)
    heavy = capi.plan(StudentTMixture(1, degrees_of_freedom=0.01, init_params=ROWS), 2, dtype)
    params = np.zeros(heavy.n_params)
    heavy.layout["precisions_cholesky"].of(params)[...] = np.eye(2)
    heavy.layout["degrees_of_freedom"].of(params)[...] = 0.01
    code, _, rows = c.sample(heavy, np.ones(1), params, 500)
    assert code == DONE
    assert np.all(np.isfinite(rows))
    for name in ("bernoulli", "categorical", "exponential"):
        estimator, plan, X = planned(name, dtype)
        _, _, rows = c.sample(plan, *fitted_state(plan, estimator.fit(X)), 240)
        assert c.fit(plan, rows)[0] == DONE


def test_components_of_no_weight_are_never_drawn():
    estimator, plan, X = planned("gaussian-full")
    _, params = fitted_state(plan, estimator.fit(X))
    for weights, expected in (([0, 2.0, 0], {1}), ([3.0, 0, 0], {0}), ([0, 0, 1e-9], {2}), ([5.0, 0, 5], {0, 2})):
        assert set(c.sample(plan, np.array(weights), params, 200)[1]) == expected


def test_what_cannot_be_drawn_from():
    estimator, plan, X = planned("gaussian-diag")
    weights, params = fitted_state(plan, estimator.fit(X))
    bad = params.copy()
    bad[0] = np.nan
    assert c.sample(plan, weights, bad, 5)[0] == NO_NUMBERS
    assert c.sample(plan, np.array([np.inf, 1, 1]), params, 5)[0] == NO_NUMBERS
    for wrong in ([0.0, 0, 0], [-0.5, 1, 0.5], [1e308, 1e308, 1e308]):
        assert c.sample(plan, np.array(wrong), params, 5)[0] == BAD_ARGUMENT
    assert c.sample(plan, weights, params, 5, first=-1)[0] == BAD_ARGUMENT
    assert c.sample(plan, weights, params, 0)[0] == DONE
    estimator, plan, X = planned("exponential")
    weights, params = fitted_state(plan, estimator.fit(X))
    assert c.sample(plan, weights, -params, 5)[0] == BAD_ARGUMENT


# ---- rooms ----------------------------------------------------------------------------------------------------------


@every_plan
def test_rooms_are_exact(name):
    _, plan, X = planned(name)
    view = c.view_of(X)
    state = np.full(plan.n_components, 1 / plan.n_components), np.full(plan.n_params, 0.25)
    weights, params, sums = np.full(plan.n_components, np.nan), np.zeros(plan.n_params), np.zeros(plan.n_sums)
    labels = np.zeros(len(X), dtype=np.int64)
    fit_room, pass_room = (c.Room(c.room_for(plan, len(X), verb=verb) - 1) for verb in ("room", "pass_room"))
    small, tables, full = c.Room(c.room_for(plan, 0) - 1), c.Room(c.table_bytes(plan)), c.Room(c.room_for(plan, 0))
    short = c.Room(c.table_bytes(plan) - 1)
    p, (w, q) = c.pointer, map(c.pointer, state)
    codes = [
        c.API.fit(
            plan.address, view, 0, 1, fit_room.address, fit_room.n_bytes, p(weights), p(params), c.Report()
        ),
        c.API.evaluate(
            plan.address, w, q, None, view, 1, pass_room.address, pass_room.n_bytes, p(labels), None, None
        ),
        c.API.gather(plan.address, w, q, view, 1, pass_room.address, pass_room.n_bytes, p(sums)),
        c.API.prepare(plan.address, w, q, small.address, small.n_bytes, tables.address, tables.n_bytes),
        c.API.prepare(plan.address, w, q, full.address, full.n_bytes, short.address, short.n_bytes),
        c.API.recentre(plan.address, w, q, w, q, small.address, small.n_bytes, p(sums)),
        c.API.sample(plan.address, w, q, 0, 0, 2, small.address, small.n_bytes, p(labels), p(sums)),
    ]  # fmt: skip
    sums[1] = 1
    codes.append(c.API.maximise(plan.address, p(sums), small.address, small.n_bytes, w, q, None))
    assert codes == [NO_ROOM] * 8
    assert all(room.is_untouched() for room in (fit_room, pass_room, small, tables, short))
    assert not labels.any()
    assert not params.any()
    assert np.isnan(weights).all()


@pytest.mark.parametrize("name", ["gaussian-full", "halving", "student-tied", "categorical"])
def test_fits_use_nothing_outside_their_room(name):
    """Guards are looked at by every call of this module; here for many sizes and places."""
    _, plan, X = planned(name)
    for n_rows in (3, 4, 5, 17, 64, 240):
        first = c.fit(plan, X[:n_rows], seed=n_rows)
        for offset in (1, 8, 63):
            again = c.fit(plan, X[:n_rows], seed=n_rows, offset=offset)
            assert again[0] == first[0]
            if first[0] == DONE:
                assert_array_equal(again[2], first[2])


# ---- bad arguments --------------------------------------------------------------------------------------------------


def test_null_is_a_bad_argument():
    estimator, plan, X = planned("gaussian-full")
    weights, params = fitted_state(plan, estimator.fit(X))
    room, sums, labels = c.Room(c.room_for(plan, len(X), 1, "room")), np.zeros(plan.n_sums), np.zeros(len(X), int)
    tables, rows = c.Room(c.table_bytes(plan)), np.zeros((5, X.shape[1]))
    p, view, n_bytes = c.pointer, c.view_of(X), c_size_t()
    good = {
        "fit": [plan.address, view, 0, 1, room.address, room.n_bytes, p(weights), p(params), c.Report()],
        "evaluate": [
            plan.address, p(weights), p(params), None, view, 1, room.address, room.n_bytes, p(labels), None, None,
        ],
        "gather": [plan.address, p(weights), p(params), view, 1, room.address, room.n_bytes, p(sums)],
        "maximise": [plan.address, p(sums), room.address, room.n_bytes, p(weights), p(params), None],
        "prepare": [
            plan.address, p(weights), p(params), room.address, room.n_bytes, tables.address, tables.n_bytes,
        ],
        "recentre": [
            plan.address, p(weights), p(params), p(weights), p(params), room.address, room.n_bytes, p(sums),
        ],
        "sample": [
            plan.address, p(weights), p(params), 0, 0, 5, room.address, room.n_bytes, p(labels), p(rows),
        ],
        "room": [plan.address, 10, 1, byref(n_bytes)],
        "pass_room": [plan.address, 10, 1, byref(n_bytes)],
        "sizes": [plan.address, None, None, None, None, None],
    }  # fmt: skip
    may_be_null = {("fit", 8), ("evaluate", 8), ("sample", 8)}
    for verb, arguments in good.items():
        function = getattr(c.API, verb)
        assert function(*arguments) == DONE, verb
        for i, value in enumerate(arguments):
            if value is None or c.SIGNATURES[verb][1 + i] in NUMBERS:
                continue
            wrong = [*arguments[:i], None, *arguments[i + 1 :]]
            assert function(*wrong) == (DONE if (verb, i) in may_be_null else BAD_ARGUMENT), (verb, i)


def test_rows_that_cannot_be_fitted():
    _, plan, X = planned("gaussian-full")
    for n_rows in (0, 1, 2):  # fewer than components
        code, *_, report = c.fit(plan, X[:n_rows])
        assert (code, Status(report.status)) == (BAD_ARGUMENT, Status.TOO_FEW_ROWS)
    for value in (np.nan, np.inf, -np.inf):
        Y = X.copy()
        Y[7, 1] = value
        code, *_, report = c.fit(plan, Y)
        assert (code, Status(report.status)) == (NO_NUMBERS, Status.NOT_FINITE)
    weight = np.ones(len(X))
    for value, expected in ((-1, BAD_ARGUMENT), (np.nan, NO_NUMBERS), (np.inf, NO_NUMBERS)):
        weight[3] = value
        assert c.fit(plan, X, weight)[0] == expected
    weight[:] = 0
    weight[:2] = 1
    assert c.fit(plan, X, weight)[0] == BAD_ARGUMENT
    start = np.array([0.2, 0.3, 0.5]), np.full(plan.n_params, np.nan)
    assert c.fit(plan, X, start=start)[0] == NO_NUMBERS
    for n_threads in (0, -1):
        assert c.API.room(plan.address, 10, n_threads, byref(c_size_t())) == BAD_ARGUMENT
    assert c.API.room(plan.address, -1, 1, byref(c_size_t())) == BAD_ARGUMENT


def test_a_fit_that_ends_without_parameters_says_so_in_its_status():
    plan = capi.plan(GaussianMixture(2, on_degenerate="raise", reg_covar=0), 1)
    code, *_, report = c.fit(plan, np.zeros((10, 1)))
    assert code == NO_NUMBERS
    assert report.status


@pytest.mark.parametrize(
    ("name", "values"),
    [("bernoulli", (0.5, -1.0, 2.0)), ("categorical", (3.0, -1.0, 0.5, 1e300)), ("exponential", (-1e-300,))],
)
def test_rows_outside_the_domain(name, values):
    estimator, plan, X = planned(name)
    state = fitted_state(plan, estimator.fit(X))
    for value in values:
        Y = X.copy()
        Y[-1, -1] = value
        code, *_, report = c.fit(plan, Y)
        assert (code, Status(report.status)) == (BAD_ARGUMENT, Status.OUT_OF_DOMAIN)
        assert c.evaluate(plan, *state, Y)[0] == BAD_ARGUMENT
        assert c.gather(plan, *state, Y)[0] == BAD_ARGUMENT


def test_passes_with_what_are_no_numbers():
    estimator, plan, X = planned("gaussian-diag")
    weights, params = fitted_state(plan, estimator.fit(X))
    Y, bad = X.copy(), params.copy()
    Y[0, 0] = bad[2] = np.nan
    assert c.evaluate(plan, weights, params, Y)[0] == NO_NUMBERS
    assert c.gather(plan, weights, params, Y)[0] == NO_NUMBERS
    assert c.evaluate(plan, weights, bad, X)[0] == NO_NUMBERS
    assert c.prepare(plan, weights, bad)[0] == NO_NUMBERS
    sums = c.gather(plan, weights, params, X)[1]
    assert c.maximise(plan, sums, weights, bad)[0] == NO_NUMBERS
    assert c.maximise(plan, np.full_like(sums, np.nan), weights, params)[0] == NO_NUMBERS
    assert c.maximise(plan, np.zeros_like(sums), weights, params)[0] == BAD_ARGUMENT
    assert c.recentre(plan, (weights, params), (weights, bad), sums)[0] == NO_NUMBERS


@every_dtype
@every_plan
def test_states_outside_their_domain(name, dtype):
    """Negative weights, and negative scales of those that have some, in every function that is given a state."""
    estimator, plan, X = planned(name, dtype)
    weights, params = fitted_state(plan, estimator.fit(X))
    sums = c.gather(plan, weights, params, X)[1]
    states = [(np.append(weights[:-1], -0.1), params)]
    for scale in {"precisions_cholesky", "rates"} & {*plan.layout}:
        wrong = params.copy()
        plan.layout[scale].of(wrong).flat[0] *= -1
        states.append((weights, wrong))
    for state in states:
        assert c.evaluate(plan, *state, X)[0] == BAD_ARGUMENT
        assert c.gather(plan, *state, X)[0] == BAD_ARGUMENT
    assert c.prepare(plan, *states[0])[0] == BAD_ARGUMENT
    assert c.maximise(plan, sums, *states[0])[0] == BAD_ARGUMENT
    kept = sums.copy()
    assert c.recentre(plan, states[0], (weights, params), kept)[0] == BAD_ARGUMENT
    assert c.recentre(plan, (weights, params), states[0], kept)[0] == BAD_ARGUMENT
    assert_array_equal(kept, sums)
    assert c.fit(plan, X, start=states[0])[0] == BAD_ARGUMENT
    wrong = sums.copy()
    wrong[len(capi.FIRST_SUMS)] = -1
    assert c.maximise(plan, wrong, weights, params)[0] == BAD_ARGUMENT
    wrong[len(capi.FIRST_SUMS)] = -1e-12 * sums[1]  # what taking rows away again leaves
    assert c.maximise(plan, wrong, weights, params)[0] != BAD_ARGUMENT


@every_plan
def test_more_rows_than_any_memory_holds(name):
    _, plan, _ = planned(name)
    for verb in ("room", "pass_room"):
        function, n_bytes = getattr(c.API, verb), c_size_t()
        assert function(plan.address, 2**40, 1, byref(n_bytes)) == DONE
        for power in range(56, 63):
            assert function(plan.address, 2**power - 1, 1, byref(n_bytes)) == BAD_ARGUMENT
            assert function(plan.address, 2**power, 1, byref(n_bytes)) == BAD_ARGUMENT
        assert function(plan.address, 2**63 - 1, 1, byref(n_bytes)) == BAD_ARGUMENT


def test_no_rows_are_no_error_for_passes():
    estimator, plan, X = planned("gaussian-full")
    state = fitted_state(plan, estimator.fit(X))
    assert c.evaluate(plan, *state, X[:0])[0] == DONE
    code, sums = c.gather(plan, *state, X[:0])
    assert code == DONE
    assert not sums.any()


def test_tables_of_another_plan_or_place_are_refused():
    estimator, plan, X = planned("gaussian-full")
    state = fitted_state(plan, estimator.fit(X))
    _, tables = c.prepare(plan, *state)
    other = capi.plan(estimator, X.shape[1])
    assert c.evaluate(other, None, None, X, tables=tables)[0] == BAD_ARGUMENT
    moved = c.Room(tables.n_bytes)
    moved.memory[moved.first :][: tables.n_bytes] = tables.memory[tables.first :][: tables.n_bytes]
    assert c.evaluate(plan, None, None, X, tables=moved)[0] == BAD_ARGUMENT


def test_codes_have_words():
    words = [c.API.message(code).decode() for code in (DONE, BAD_ARGUMENT, NO_ROOM, NO_NUMBERS, 7)]
    assert len(set(words)) == 5
    assert words[0] == "done"


# ---- threads and processes ------------------------------------------------------------------------------------------


def test_eight_threads_fit_with_one_plan_while_python_counts():
    _, plan, X = planned("gaussian-diag")
    X = np.ascontiguousarray(X[:60, :1])
    plan = capi.plan(GaussianMixture(2, covariance_type="diag", max_iter=20), 1)
    expected = [c.fit(plan, X, seed=seed)[2] for seed in range(4)]
    counted, wrong, done = 0, [], threading.Event()

    def fit_many_times(seed):
        room, report = c.Room(c.room_for(plan, len(X), 1, "room")), c.Report()
        weights, params, view = np.empty(2), np.empty(plan.n_params), c.view_of(X)
        for _ in range(1000):
            weights[:] = np.nan
            code = c.API.fit(
                plan.address, view, seed, 1, room.address, room.n_bytes, c.pointer(weights), c.pointer(params), report
            )
            if code != DONE or not np.array_equal(params, expected[seed]):
                wrong.append((seed, code))
        if not room.is_unhurt():
            wrong.append((seed, "guards"))

    threads = [threading.Thread(target=fit_many_times, args=(i % 4,)) for i in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        counted += 1
        done.wait(0.001)
    assert not wrong
    assert counted > 10


FORK = """
import os, sys
sys.path.insert(0, {tests!r})
import numpy as np
import capi_calls as c
from mixfast import GaussianMixture, capi

X = np.random.default_rng(0).normal(size=(20000, 4))
GaussianMixture(3, max_iter=5, n_threads=2).fit(X)  # starts a team of threads, which a child does not have
plan = capi.plan(GaussianMixture(3, max_iter=5), 4)
expected = c.fit(plan, X, seed=1)[2]
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(c.fit(plan, X, seed=1)[2], expected) else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is of POSIX")
def test_a_child_of_fork_fits():
    tests = str(Path(__file__).parent)
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORK.format(tests=tests)], check=True, timeout=120)


def test_a_batch_has_the_same_fits():
    _, plan, X = planned("gaussian-full")
    batch = fit_many(X.reshape(4, 60, 3), GaussianMixture(3), seeds=[5, 6, 7, 8], n_threads=1)
    plan = capi.plan(GaussianMixture(3), 3)
    for i in range(4):
        assert_array_equal(batch[i].means_, plan.layout["means"].of(c.fit(plan, X[60 * i :][:60], seed=5 + i)[2]))


# ---- the header -----------------------------------------------------------------------------------------------------


def test_the_header_is_short_and_plain():
    text = HEADER.read_text()
    assert len(text.splitlines()) < 120
    assert 'extern "C"' in text
    assert "#define MIXFAST_API_VERSION 1" in text
    assert c.API.version == 1


def compiled(tmp_path, text, *options, compiler="cc", name="program.c"):
    """The path of a program."""
    source, target = tmp_path / name, tmp_path / "program"
    source.write_text(text)
    command = [compiler, *options, str(source), "-o", str(target)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return target


def struct_members(name):
    """Names of members, by the header."""
    body = re.search(r"typedef struct \{((?:(?!typedef).)*?)\} " + name + ";", HEADER.read_text(), re.DOTALL).group(1)
    body = re.sub(r"/\*.*?\*/", "", body, flags=re.DOTALL)
    pointers = re.findall(r"\(\*(\w+)\)\(", body)
    plain = re.sub(r"[^;]*\(\*\w+\)\([^;]*;", "", body, flags=re.DOTALL)
    members = [
        re.sub(r".*[ *]", "", word.strip()) for line in plain.split(";") for word in line.split(",") if word.strip()
    ]
    return members + pointers


def test_offsets_are_those_that_were_recorded(tmp_path):
    """Members are only ever added at the end: what was recorded for a 64-bit machine stays."""
    structs = ("mixfast_view", "mixfast_report", "mixfast_api")
    lines = [f'printf("{name} %zu\\n", sizeof({name}));' for name in structs]
    lines += [
        f'printf("{name}.{member} %zu\\n", offsetof({name}, {member}));'
        for name in structs
        for member in struct_members(name)
    ]
    text = "#include <stdio.h>\n#include <mixfast.h>\nint main(void) {\n" + "\n".join(lines) + "\nreturn 0; }\n"
    program = compiled(tmp_path, text, "-std=c99", "-pedantic", "-Wall", "-Werror", f"-I{HEADER.parent}")
    found = dict(line.split() for line in subprocess.check_output([program], text=True).splitlines())
    recorded = json.loads((DATA / "offsets_v1.json").read_text())
    grown = {key: int(value) for key, value in found.items()}
    assert grown.pop("mixfast_api") >= recorded.pop("mixfast_api")
    assert {key: grown[key] for key in recorded} == recorded
    assert int(found["mixfast_api"]) == c.API.bytes == sizeof(c.Table)


def test_cpp_takes_the_header(tmp_path):
    text = "#include <mixfast.h>\nint main() { mixfast_report report = {0, 0, MIXFAST_DONE}; return report.status; }\n"
    options = "-std=c++11", "-pedantic", "-Wall", "-Werror", f"-I{HEADER.parent}"
    subprocess.run([compiled(tmp_path, text, *options, compiler="c++", name="program.cpp")], check=True)
