"""Proportions: weights that are given, weights with a Dirichlet prior, for every estimator, alone and in batches."""

import copy
import pickle
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from batches import assert_equals_alone, assert_same_results
from compiled import build_text
from estimators_table import ESTIMATORS, every_likelihood
from twins import EVERY_FAMILY, make_em, random_weights

import mixfast
from mixfast import GaussianMixture, fit_many, select
from mixfast._reference import em as reference
from mixfast._reference import proportions as twins_of_proportions
from mixfast.proportions._dirichlet import DirichletWeights
from mixfast.proportions._fixed import FixedWeights, HeldWeights

FIXED = [0.7, 0.3]
CONCENTRATION = 8.0

#: name -> (the compiled kind, its twin)
KINDS = {
    "fixed": (FixedWeights([0.5, 0.2, 0.3], 3), twins_of_proportions.Fixed([0.5, 0.2, 0.3])),
    "held": (HeldWeights([np.nan, 0.2, np.nan]), twins_of_proportions.Held([np.nan, 0.2, np.nan])),
    "Dirichlet": (DirichletWeights(CONCENTRATION), twins_of_proportions.Dirichlet(CONCENTRATION)),
    "flat Dirichlet": (DirichletWeights(1.0), twins_of_proportions.Dirichlet(1.0)),
}
OPTIONS = {"fixed": {"weights": FIXED}, "Dirichlet": {"weight_concentration": CONCENTRATION}}


def fitted(name, **params):
    entry = ESTIMATORS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return entry.make(tol=1e-10, max_iter=3000, **params).fit(entry.X)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", EVERY_FAMILY)
def test_iterations_equal_the_twins(name, kind):
    rng = np.random.default_rng(4)
    twins, (compiled, twin) = EVERY_FAMILY[name], KINDS[kind]
    X, weights, params = twins.make_rows(rng, 400, 3), random_weights(rng, 3), twins.make_params(rng, 3, 3)
    em = make_em(twins, X, weights, params, proportions=compiled)
    objectives, _ = em.iterate(6, 0)
    wanted, _, bounds = reference.fit(X, None, weights, twins.reference, tuple(params), 6, proportions=twin)
    np.testing.assert_allclose(objectives, bounds, rtol=1e-9)  # six iterations let rounding grow
    np.testing.assert_allclose(em.state()[0], wanted, rtol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_extrapolated_are_the_logarithms_of_weights_that_are_not_given(doors, kind):
    rng = np.random.default_rng(4)
    twins, (compiled, twin) = EVERY_FAMILY["diagonal"], KINDS[kind]
    X, counts, params = twins.make_rows(rng, 40, 2), rng.uniform(1, 9, 3), twins.make_params(rng, 3, 2)
    weights = twin.maximise(counts)
    em = make_em(twins, X, weights, params, proportions=compiled)
    stays = kind in ("fixed", "held")
    point, free = doors.free_point(em), doors.free_point(make_em(twins, X, weights, params))
    np.testing.assert_array_equal(point, free[3:] if stays else free)
    assert doors.set_free_point(em, point)
    np.testing.assert_allclose(em.state()[0], weights, rtol=1e-14)
    assert doors.set_free_point(em, point - np.arange(len(point)))
    moved = np.exp(-np.arange(3)) * weights
    wanted = weights if stays else moved / moved.sum()
    np.testing.assert_allclose(em.state()[0], wanted, rtol=0 if stays else 1e-14)


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("accelerate", [None, "auto"])
@every_likelihood
def test_the_objective_never_falls(name, accelerate, kind):
    model = fitted(name, accelerate=accelerate, **OPTIONS[kind])
    bounds = np.array(model.lower_bounds_, dtype=float)
    # reg_covar is added after the M-step
    assert np.diff(bounds).min(initial=0) >= -1e-5 * np.abs(bounds).max()
    assert not model.status_ & mixfast.Status.LOWER_BOUND_FELL


@every_likelihood
def test_given_weights_stay_and_are_not_counted(name):
    entry, model, free = ESTIMATORS[name], fitted(name, weights=FIXED), fitted(name)
    assert sorted(model.weights_.tolist()) == sorted(FIXED)  # canonical_order may number components anew
    assert model._n_parameters() == free._n_parameters() - 1
    assert model.bic(entry.X) == pytest.approx(-2 * len(entry.X) * model.score(entry.X)
                                               + model._n_parameters() * np.log(len(entry.X)))  # fmt: skip
    assert model.lower_bound_ <= free.lower_bound_ + 1e-6


@every_likelihood
def test_weights_with_a_prior_are_its_mode(name):
    """At the limit (n_k + c - 1) / (n + K (c - 1)), n_k summed over the responsibilities."""
    entry, model, free = ESTIMATORS[name], fitted(name, weight_concentration=CONCENTRATION), fitted(name)
    counts = model.predict_proba(entry.X).sum(axis=0)
    mode = (counts + CONCENTRATION - 1) / (len(entry.X) + 2 * (CONCENTRATION - 1))
    np.testing.assert_allclose(model.weights_, mode, atol=2e-4)
    assert model._n_parameters() == free._n_parameters()
    flat = fitted(name, weight_concentration=1)
    assert np.array_equal(flat.weights_, free.weights_)
    assert flat.lower_bound_ == free.lower_bound_


def test_the_lower_bound_has_the_prior():
    X = ESTIMATORS["Gaussian full"].X
    model = fitted("Gaussian full", weight_concentration=CONCENTRATION, reg_covar=0)
    prior = (CONCENTRATION - 1) * np.sum(np.log(model.weights_)) / len(X)
    assert model.lower_bound_ == pytest.approx(model.score(X) + prior, abs=1e-8)


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
def test_batches_have_the_bits_of_fits_alone(init_params, kind):
    rng = np.random.default_rng(2)
    problems = [rng.normal(size=(n, 2)) + 4 * rng.integers(0, 2, (n, 1)) for n in (20, 60, 300)]
    for covariance_type in ("full", "tied"):
        estimator = GaussianMixture(2, covariance_type=covariance_type, init_params=init_params, **OPTIONS[kind])
        assert_equals_alone(problems, estimator)
        assert_equals_alone(problems, estimator, sample_weight=[rng.uniform(0.5, 2, len(X)) for X in problems])


@pytest.mark.parametrize("again", [copy.deepcopy, lambda result: pickle.loads(pickle.dumps(result))])
@pytest.mark.parametrize("options", [{}, *OPTIONS.values()], ids=["free", *OPTIONS])
def test_a_batch_is_pickled_and_copied(options, again):
    X = ESTIMATORS["Gaussian full"].X
    result = fit_many([X, X[:30]], GaussianMixture(2, random_state=0, **options))
    copied = again(result)
    assert_same_results(copied, result)
    assert copied[0].bic(X) == result[0].bic(X)
    assert np.array_equal(np.concatenate(copied.predict([X, X[:30]])), np.concatenate(result.predict([X, X[:30]])))


@pytest.mark.parametrize("flip", [False, True])
def test_kmeans_gives_the_largest_cluster_to_the_largest_weight(flip):
    rng = np.random.default_rng(0)
    sizes = np.array([500, 200, 100, 50])
    X = np.concatenate([rng.normal(10 * k, 1, (n, 2)) for k, n in enumerate(sizes)])
    weights = sizes / sizes.sum()
    order = np.arange(4)[::-1] if flip else np.array([2, 0, 3, 1])
    model = GaussianMixture(4, weights=weights[order], random_state=1).fit(X)
    np.testing.assert_allclose(model.means_[:, 0], 10 * order, atol=1)
    batch = fit_many([X, X], GaussianMixture(4, weights=weights[order], random_state=1))
    assert np.array_equal(batch.means[0], model.means_)


def test_all_parameters_given():
    X = ESTIMATORS["Gaussian full"].X
    start = {"means_init": X[:2], "precisions_init": np.tile(np.eye(3), (2, 1, 1))}
    model = GaussianMixture(2, weights=FIXED, max_iter=0, **start).fit(X)
    assert model.weights_.tolist() == FIXED
    assert np.array_equal(model.means_, X[:2])


def test_a_choice_and_a_file(tmp_path):
    X = ESTIMATORS["Gaussian full"].X
    chosen = select(X, GaussianMixture(weight_concentration=2.0), n_components=[1, 2], random_state=0)
    assert chosen.best_.weight_concentration == 2.0
    model = fitted("Gaussian full", weights=FIXED)
    model.save(tmp_path / "model")
    again = mixfast.load(tmp_path / "model")
    assert np.array_equal(again.weights, FIXED)
    assert again.bic(X) == model.bic(X)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"weights": [0.5, 0.5], "weight_concentration": 2.0}, "both given"),
        ({"weights": [0.5, 0.3, 0.2]}, r"weights has shape \(3,\), but n_components=2"),
        ({"weights": [0.5, 0.6]}, "sum to 1"),
        ({"weights": [1.0, 0.0]}, "positive"),
        ({"weights": [np.nan, 0.5]}, "positive"),
        ({"weights": [0.5, 0.5], "weights_init": [0.5, 0.5]}, "weights_init"),
        ({"weight_concentration": 0.5}, "weight_concentration"),
    ],
)
def test_what_cannot_be_is_said(params, message):
    X = ESTIMATORS["Gaussian full"].X
    with pytest.raises(ValueError, match=message):
        GaussianMixture(2, **params).fit(X)
    with pytest.raises(ValueError, match=message):
        fit_many([X], GaussianMixture(2, **params))


# ---- the kind in docs/extending.md ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def equal_weights(tmp_path_factory):
    """The module of the first example of a kind of proportions in the document."""
    text = (Path(__file__).parent.parent / "docs" / "extending.md").read_text()
    (source,) = re.findall(r"```cython\n((?:(?!```).)*class EqualWeights.*?)```", text, flags=re.DOTALL)
    module = build_text("equal_weights", source, tmp_path_factory)
    sys.modules["equal_weights"] = module  # pickle imports it by name
    yield module
    del sys.modules["equal_weights"]


@pytest.fixture
def equal_mixture(equal_weights):
    class EqualGaussianMixture(GaussianMixture):
        def _proportions(self):
            return equal_weights.EqualWeights()

    return EqualGaussianMixture


@pytest.mark.parametrize("accelerate", [None, "auto"])
def test_the_documents_kind_keeps_weights_equal(equal_mixture, accelerate):
    X = ESTIMATORS["Gaussian full"].X
    options = {"random_state": 0, "tol": 1e-8, "max_iter": 1000, "init_params": "kmeans"}
    model = equal_mixture(3, accelerate=accelerate, **options).fit(X)
    assert np.array_equal(model.weights_, np.full(3, 1 / 3))
    assert np.diff(np.array(model.lower_bounds_, dtype=float)).min() >= -1e-9
    assert model._n_parameters() == GaussianMixture(3, random_state=0).fit(X)._n_parameters() - 2
    given = GaussianMixture(3, weights=np.full(3, 1 / 3), **options).fit(X)
    np.testing.assert_allclose(model.lower_bound_, given.lower_bound_, rtol=1e-6)


def test_the_documents_kind_serves_batches_and_copies(equal_weights, equal_mixture):
    X = ESTIMATORS["Gaussian full"].X
    estimator = equal_mixture(2)
    result = fit_many([X[::2], X[1::2]], estimator, random_state=0)
    alone = equal_mixture(2, random_state=0, init_params="kmeans").fit(X[::2])
    assert np.array_equal(result[0].means_, alone.means_)
    assert np.array_equal(result.weights, np.full((2, 2), 0.5))
    again = pickle.loads(pickle.dumps(equal_weights.EqualWeights()))
    assert again.n_numbers(4) == 4
    np.testing.assert_array_equal(again.begun(np.array([1.0, 0.0, 5.0, 2.0])), np.full(4, 0.25))
