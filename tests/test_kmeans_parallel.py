"""Starts by k-means|| over rows in partitions: the rows that its twin draws, whoever holds them."""

import copy
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse
from batches import assert_near, assert_same_state
from estimators_table import ESTIMATORS
from sklearn.base import clone
from test_partitions import Cluster, small_blocks

from mixfast import (
    BernoulliMixture,
    GaussianMixture,
    MultinomialMixture,
    ProductMixture,
    StudentTMixture,
    blocks,
    capi,
    fit_many,
    partitions,
    select,
)
from mixfast._reference import seeding as reference
from mixfast.estimators import _kmeans_parallel, _partitions
from mixfast.estimators._drawn_rows import exponentials
from mixfast.estimators._passes import CheckedPasses
from mixfast.partitions import InMemory, Partition
from mixfast.parts import Gaussian

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

__all__ = ["small_blocks"]

RNG = np.random.default_rng(3)
#: Two clusters of many rows, and one of few that are far away.
CENTRES = np.array([[0.0, 0], [9, 0], [0, 80]])
X = (RNG.normal(size=(1806, 2)) + np.repeat(CENTRES, [900, 900, 6], axis=0))[RNG.permutation(1806)]
WEIGHT = RNG.integers(0, 4, size=len(X)) / 2
CUTS = [0, 1, 700, 700, 1500, len(X)]  # a row, some, none, many
ESTIMATOR = GaussianMixture(3, random_state=5, init_params="k-means||", max_iter=3, tol=0)


def parts_of(values, cuts=CUTS):
    return [values[first:last] for first, last in pairwise(cuts)]


def of_parts(X, weight=None, cuts=CUTS):
    return InMemory(
        parts_of(X, cuts) if weight is None else [*zip(parts_of(X, cuts), parts_of(weight, cuts), strict=True)]
    )


def passes_over(source, estimator):
    """As a fit has them, after the survey."""
    passes = CheckedPasses(source)
    passes(_partitions.SurveyRows(estimator))
    return passes


def seeds_for(estimator, X):
    design = estimator.design(X)
    return _kmeans_parallel.Seeds(estimator.with_design(design), design)


@pytest.mark.parametrize("cuts", [CUTS, [0, len(X)], [*range(0, 1806, 200), len(X)]])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_rounds_draw_the_rows_of_the_twin(cuts, dtype, is_weighted):
    rows, weight = X.astype(dtype), WEIGHT if is_weighted else np.ones(len(X))
    seeds = seeds_for(ESTIMATOR, rows)
    passes = passes_over(of_parts(rows, weight if is_weighted else None, cuts), ESTIMATOR)
    assert passes.first_rows() == dict(enumerate(cuts[:-1]))
    found = _kmeans_parallel.candidates(passes, seeds, passes.first_rows(), 3, 11)
    whole = Partition(0, rows)
    numbers = [exponentials(whole, {0: 0}, 11, purpose)[0] for purpose in range(1, 2 + _kmeans_parallel.N_ROUNDS)]
    with np.errstate(divide="ignore"):
        places, wanted = reference.kmeans_parallel(rows.astype(np.float64), weight, 3, np.array(numbers), 6)
    assert len(places) == 31
    np.testing.assert_array_equal(found.X, rows[places])
    weights = passes(_kmeans_parallel.WeighCentres(seeds), found.X.astype(np.float64))
    np.testing.assert_allclose(weights, wanted, rtol=1e-12)


def test_the_start_does_not_depend_on_the_cuts_and_the_scheduler():
    models = [partitions.fit(ESTIMATOR, of_parts(X, cuts=own)) for own in (CUTS, [0, 1800, len(X)], [0, len(X)])]
    for model in models[1:]:
        assert_near(model, models[0], 1e-11)
    assert models[0].init_params == "k-means||"
    cluster = Cluster(parts_of(X), seed=1)
    assert_same_state(partitions.fit(ESTIMATOR, cluster), models[0])
    assert cluster.n_lost > 0


def test_clusters_of_few_rows_are_found_where_a_sample_has_none_of_them(monkeypatch):
    monkeypatch.setattr(_partitions, "SAMPLE", 60)
    found = [
        partitions.fit(copy.deepcopy(ESTIMATOR).set_params(init_params=name, max_iter=30), of_parts(X))
        for name in ("kmeans", "k-means||")
    ]
    assert found[0].means_[:, 1].max() < 10
    far = np.argmax(found[1].means_[:, 1])
    np.testing.assert_allclose(found[1].means_[far], X[X[:, 1] > 40].mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(found[1].weights_[far], 6 / len(X), rtol=1e-9)
    assert found[1].lower_bound_ > found[0].lower_bound_


@pytest.mark.parametrize("size", [9, 300, 5000])
def test_strata_weigh_what_all_rows_do(size):
    """Clusters that are drawn from, and such that are there as a whole."""
    seeds = seeds_for(ESTIMATOR, X)
    found = _kmeans_parallel.strata(passes_over(of_parts(X, WEIGHT), ESTIMATOR), seeds, 3, 0, 2, size)
    weights = found.weights()
    np.testing.assert_allclose(np.bincount(found.labels, weights, minlength=3), found.weight, rtol=1e-12)
    np.testing.assert_allclose(weights.sum(), WEIGHT.sum(), rtol=1e-12)
    assert found.n_rows.sum() == np.count_nonzero(WEIGHT)
    assert len(weights) <= size
    few = np.argmin(found.n_rows)
    if size >= 300:
        own = found.sample.sample_weight[found.labels == few]
        np.testing.assert_array_equal(weights[found.labels == few], own)


def test_rows_of_weight_zero_are_absent():
    spoiled = X.copy()
    spoiled[WEIGHT == 0] = np.nan
    here, there = (partitions.fit(ESTIMATOR, of_parts(rows, WEIGHT)) for rows in (X, spoiled))
    assert_same_state(here, there)


def test_blocks_begin_so_too(small_blocks):
    estimator = copy.deepcopy(ESTIMATOR)
    parts = [X[first : first + 64] for first in range(0, len(X), 64)]
    assert_same_state(estimator.fit(blocks(X)), partitions.fit(ESTIMATOR, InMemory(parts)))


@pytest.mark.parametrize(
    "name",
    [
        "Gaussian tied",
        "Gaussian, relative",
        "Bernoulli",
        "categorical of strings",
        "multinomial",
        "Dirichlet-multinomial, free",
        "Poisson",
        "Gamma",
        "exponential",
        "von Mises-Fisher",
    ],
)
def test_other_families_begin_so(name):
    entry = ESTIMATORS[name]
    ends = {}
    for start in ("k-means||", "kmeans"):
        estimator = entry.make(random_state=0, n_init=3, init_params=start, max_iter=500, tol=1e-9)
        ends[start] = partitions.fit(estimator, of_parts(entry.X, cuts=[0, 1, 20, 37, 60])).lower_bound_
    # three starts: from one, a Gamma mixture of these 60 rows ends with three of them as a component, 0.54 below
    assert ends["k-means||"] > ends["kmeans"] - 1e-6


@pytest.mark.parametrize("estimator", [BernoulliMixture(2), MultinomialMixture(2)])
def test_sparse_rows_begin_where_dense_ones_do(estimator):
    rng = np.random.default_rng(0)
    rows = (rng.random((200, 6)) < np.array([[0.9, 0.8, 0.9, 0.1, 0.1, 0.2], [0.1, 0.2, 0.1, 0.9, 0.8, 0.9]])[
        rng.integers(0, 2, 200)
    ]).astype(float)  # fmt: skip
    rows[:, 0] += 1  # no row is empty
    rows = rows if isinstance(estimator, MultinomialMixture) else np.minimum(rows, 1)
    estimator.set_params(random_state=0, init_params="k-means||", max_iter=3, tol=0)
    cuts = [0, 5, 120, 200]
    sparse = [scipy.sparse.csr_matrix(part) for part in parts_of(rows, cuts)]
    dense = partitions.fit(estimator, of_parts(rows, cuts=cuts))
    assert_near(partitions.fit(estimator, InMemory(sparse)), dense, 1e-10)


def test_fewer_different_rows_than_components():
    rows = np.repeat([[0.0, 0], [5, 5]], 40, axis=0)
    source = of_parts(rows, cuts=[0, 3, 80])
    found = partitions.fit(ESTIMATOR, source)
    wanted = partitions.fit(clone(ESTIMATOR).set_params(init_params="kmeans"), source)
    assert_same_state(found.set_params(init_params="kmeans"), wanted)


def test_rows_that_are_here_are_refused():
    message = "is for rows in partitions or blocks: set 'kmeans'"
    with pytest.raises(ValueError, match=message):
        copy.deepcopy(ESTIMATOR).fit(X)
    with pytest.raises(ValueError, match=message):
        fit_many([X, X], ESTIMATOR)
    with pytest.raises(ValueError, match=message):
        select(X, ESTIMATOR, n_components=[1, 2])
    with pytest.raises(ValueError, match=message):
        capi.plan(ESTIMATOR, 2)
    with pytest.raises(ValueError, match=message):
        copy.deepcopy(ESTIMATOR).partial_fit(X)


def test_rows_that_are_not_seen_by_themselves_are_refused():
    gaps = (X > 0).astype(float)
    gaps[1000, 0] = np.nan
    for estimator, rows in (
        (StudentTMixture(2), X),
        (ProductMixture([(0, Gaussian()), (1, Gaussian())], 2), X),
        (BernoulliMixture(2), gaps),
        (GaussianMixture(2), np.where(gaps == 0, X, np.nan)),
    ):
        with pytest.raises(ValueError, match="set init_params='kmeans'"):
            partitions.fit(estimator.set_params(init_params="k-means||", random_state=0), of_parts(rows))


def test_what_is_known_of_rows_is_not_forgotten_silently():
    class Source:
        def map_reduce(self, task, state, merge):
            parts = [Partition(0, X, None, {"known_labels": np.full(len(X), -1)})]
            return partitions.merged([task(part, state) for part in parts], merge)

    with pytest.raises(ValueError, match="does not know of known_labels"):
        partitions.fit(ESTIMATOR, Source())


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"hold": {"means": np.full((3, X.shape[1]), np.nan)}}, "hold is of components by their numbers"),
        ({"noise": 0.1, "noise_volume": 1000.0}, "noise=0.1 is of rows far out"),
    ],
    ids=["hold", "noise"],
)
def test_what_such_clusters_cannot_begin_is_refused(options, wanted):
    model = GaussianMixture(3, init_params="k-means||", random_state=0, **options)
    with pytest.raises(ValueError, match=wanted):
        partitions.fit(model, partitions.InMemory([X]))
    partitions.fit(model.set_params(init_params="kmeans"), partitions.InMemory([X]))
