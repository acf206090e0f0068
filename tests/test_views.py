"""Starts by several views of the rows, `init_params="auto"`: which partitions these are, that the best of them is
found, what they leave alone, bad input."""

import inspect
import warnings

import capi_calls as calls
import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from mixfast import (
    BernoulliMixture,
    GaussianMixture,
    Status,
    StudentTMixture,
    VonMisesFisherMixture,
    blocks,
    capi,
    fit_many,
    patched,
    select,
)
from mixfast._reference import seeding as twin
from mixfast.engine._isa import available_isas
from mixfast.engine._pass import Pass
from mixfast.engine._rows import Rows
from mixfast.engine._ward import groups, ward
from mixfast.families.gaussian import STRUCTURES
from mixfast.families.seeds import drawn_in
from mixfast.seeding import bind_centres_to, kmeans


def cigars(seed, n_samples=400, n_clusters=4):
    """Clusters that are long in the same direction, side by side."""
    rng = np.random.default_rng(seed)
    own = rng.integers(n_clusters, size=n_samples)
    X = np.column_stack([10 * rng.standard_normal(n_samples), own + 0.12 * rng.standard_normal(n_samples)])
    return X @ [[0.8, 0.6], [-0.6, 0.8]], own


def blobs(seed, n_samples=300, n_features=3, spread=2.0, n_clusters=5):
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, spread, (n_clusters, n_features))
    return centres[rng.integers(n_clusters, size=n_samples)] + rng.standard_normal((n_samples, n_features))


@pytest.fixture(scope="module")
def views(doors):
    """Labels of the views that see other groups than k-means, or than the labels that are given."""

    def find(X, n_clusters, seed=0, labels=None, sample_weight=None, n_threads=1, isa=None):
        rows = Rows(X, sample_weight)
        labels = kmeans(rows, n_clusters, seed).labels if labels is None else labels
        return doors.views(Pass(bind_centres_to(X, n_clusters, isa), rows, n_threads), labels, seed)

    return find


def seeding_of(model):
    """The seed of a model's starts."""
    return model._seed()


def n_starts(model, X, **data):
    """How many starts a fit made passes from: those that promised most."""
    return len(model._traces_of_starts(X, None, data)[0])


# ---- which partitions ----


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("shape", [(1, 3), (2, 1), (3, 2), (40, 1), (150, 2), (120, 9)])
def test_hierarchies_are_scipys(shape, isa):
    X = np.random.default_rng(0).normal(size=shape)
    pairs = ward(X, isa=isa)
    assert pairs.shape == (len(X) - 1, 2)
    for n_groups in {1, 2, 3, 7, len(X)} - set(range(len(X) + 1, 99)):
        found = groups(pairs, n_groups)
        firsts = [np.flatnonzero(found == k)[0] for k in range(n_groups)]
        assert firsts == sorted(firsts)  # numbered as they appear
        if len(X) > 1:
            assert adjusted_rand_score(found, fcluster(linkage(X, "ward"), n_groups, "maxclust")) == 1
        assert adjusted_rand_score(found, twin.ward(X, n_groups)) == 1


def test_weights_of_rows_of_a_hierarchy_repeat_them():
    rng = np.random.default_rng(0)
    X, weights = rng.normal(size=(60, 2)), rng.integers(1, 5, 60)
    repeated = groups(ward(np.repeat(X, weights, axis=0)), 6)
    assert adjusted_rand_score(np.repeat(groups(ward(X, weights), 6), weights), repeated) == 1
    assert adjusted_rand_score(groups(ward(X), 6), groups(ward(X, weights), 6)) < 1


def test_rows_that_are_equal_have_a_hierarchy():
    spoilt = [np.zeros((50, 3)), np.full((50, 3), np.nan), np.full((50, 3), 1e200) * np.arange(50)[:, np.newaxis]]
    some = np.random.default_rng(0).normal(size=(50, 3))
    some[::7] = np.nan
    for rows in (*spoilt, some, np.random.default_rng(1).integers(3, size=(200, 2)).astype(float)):
        assert groups(ward(rows), 4).max() == 3  # whatever it is worth
    X = np.repeat(np.random.default_rng(0).normal(size=(5, 2)), 20, axis=0)
    np.testing.assert_array_equal(groups(ward(X), 5), np.repeat(np.arange(5), 20))


def test_weights_of_any_size_have_a_hierarchy():
    X = np.random.default_rng(0).normal(size=(80, 2))
    for least in (1e-300, 5e-324):
        assert groups(ward(X, np.where(np.arange(80) < 40, 1.0, least)), 6).max() == 5


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n_rows", [80, 300, 3000])
def test_views_are_those_of_the_twin(views, n_rows, dtype):
    n_views = 0
    for seed in range(6):
        X = blobs(seed, n_rows) @ np.random.default_rng(seed).normal(size=(3, 3)) * [1, 100, 0.01]
        X = (X + np.array([0, 300, -2])).astype(dtype)
        for n_clusters in (2, 5, 9):
            labels = kmeans(Rows(X), n_clusters, seed).labels
            found = views(X, n_clusters, seed)
            expected = twin.views(X.astype(np.float64), None, labels, n_clusters, seed)
            assert len(found) == len(expected)
            for own, other in zip(found, expected, strict=True):
                assert np.mean(own == other) == 1 if dtype == np.float64 else np.mean(own == other) > 0.999
            n_views += len(found)
    assert n_views > 10


def test_groups_along_flat_axes_are_found(views):
    X, own = cigars(0)
    assert sorted(adjusted_rand_score(labels, own) > 0.9 for labels in views(X, 4)) == [False, True]
    normal, even = np.random.default_rng(0).normal(size=(400, 2)), np.random.default_rng(0).random((400, 2))
    for rows in (normal @ [[1, 0], [0.9, 0.5]], even @ [[1, 1], [1, -2]]):  # no axis is flat, or all are
        assert len(views(rows, 4)) <= 1


def test_units_of_columns_are_no_matter(views):
    X = blobs(0, 800)
    labels = kmeans(Rows(X), 5, 0).labels
    for own, other in zip(views(X, 5), views(X * [1, 1e6, 1e-9] + [0, 5, 1], 5, labels=labels), strict=True):
        np.testing.assert_array_equal(own, other)


@pytest.mark.parametrize("n_rows", [300, 4000])
def test_rows_are_drawn_by_their_weights(views, n_rows):
    X, rng = blobs(0, n_rows), np.random.default_rng(1)
    weights = rng.integers(1, 4, n_rows).astype(float)
    labels = kmeans(Rows(X, weights), 9, 0).labels
    found = views(X, 9, labels=labels, sample_weight=weights)
    if n_rows > 1000:
        assert all(map(np.array_equal, found, twin.views(X, weights, labels, 9, 0)))
        # the same strata, whatever the unit of the weights
        assert all(map(np.array_equal, found, views(X, 9, labels=labels, sample_weight=2.0 * weights)))
    else:  # all rows are looked at
        assert len(found) != len(views(X, 9, labels=labels)) or not all(
            map(np.array_equal, found, views(X, 9, labels=labels))
        )


def test_groups_that_are_known_are_no_view(views):
    assert len(views(blobs(0, spread=200.0), 5)) == 0
    X = blobs(0)
    found = views(X, 5)
    assert len(found) > 0
    assert not any(np.array_equal(own, found[0]) for own in views(X, 5, labels=found[0]))
    assert len(views(X, 1)) == 0
    assert len(views(X[:19], 5)) == 0


def test_views_with_groups_of_too_few_rows_are_no_start(views):
    # k-means sees the first column, where there are no outliers
    X = np.concatenate([blobs(0, 100), [[0, 20, 0], [0, 0, 20]]]) * [100, 1, 1]
    options = {"reg_covar": 0.0, "on_degenerate": "raise", "random_state": 0, "max_iter": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        one, other = (GaussianMixture(4, init_params=name, **options).fit(X) for name in ("auto", "kmeans"))
    labels = kmeans(Rows(X), 4, seeding_of(one)).labels
    alone = views(X, 4, seeding_of(one), labels=labels)[0]
    assert np.bincount(alone).min() == 1
    with pytest.raises(ValueError, match="ill-defined empirical covariance"):
        GaussianMixture(4, init_params=alone, **options).fit(X)
    assert one.lower_bounds_ == other.lower_bounds_


@pytest.mark.parametrize("isa", [own for own in available_isas() if own != "base"])
def test_partitions_do_not_depend_on_threads_or_instructions(views, isa):
    X = blobs(0, 5000, n_features=4, n_clusters=12)
    expected = views(X, 12)
    assert len(expected) > 0
    for n in (1, 2, 3, 7):
        np.testing.assert_array_equal(views(X, 12, n_threads=n, isa=isa), expected)


# ---- the best of them ----


@pytest.mark.parametrize("kind", [GaussianMixture, StudentTMixture])
def test_cigars_are_found(kind):
    found = {"kmeans": 0, "auto": 0}
    for seed in range(12):
        X, own = cigars(seed, 600)
        for name in found:
            model = kind(4, init_params=name, random_state=seed).fit(X)
            found[name] += adjusted_rand_score(own, model.predict(X)) > 0.9
    assert found["kmeans"] <= 1
    assert found["auto"] >= 11


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical", "VEV", "factor"])
def test_a_fit_is_that_of_the_partition_that_is_best_at_its_start(views, covariance_type):
    options = {"covariance_type": covariance_type, "random_state": 0, "tol": 1e-5, "max_iter": 500}
    others = 0
    for seed in range(5):
        X = blobs(seed) * [1, 3, 0.1]
        model = GaussianMixture(4, init_params="auto", **options).fit(X)
        labels = kmeans(Rows(X), 4, seeding_of(model)).labels
        starts = [labels, *views(X, 4, seeding_of(model), labels=labels)]
        alone = [GaussianMixture(4, init_params=own, **options).fit(X).lower_bounds_ for own in starts]
        best = max(alone, key=lambda bounds: bounds[0])
        if covariance_type == "factor":  # whose M-step goes on from the last: one from centres, two from labels alone
            assert min(alone, key=lambda bounds: abs(bounds[0] - model.lower_bounds_[0])) is best
        else:
            assert len(best) == model.n_iter_
            np.testing.assert_allclose(model.lower_bounds_, best, rtol=1e-9)
        others += best is not alone[0]
    assert others > 0 or covariance_type in ("spherical", "VEV")


@pytest.mark.parametrize("weighted", [False, True])
def test_of_many_rows_judges_say_which_partition_is_best(views, weighted):
    others = 0
    for seed in range(4):
        X = blobs(seed, 3000, spread=1.0) * [1, 3, 0.1]
        weights = np.random.default_rng(seed).integers(1, 4, len(X)).astype(float) if weighted else None
        options = {"random_state": 0, "max_iter": 500}
        model = GaussianMixture(4, init_params="auto", **options).fit(X, sample_weight=weights)
        seed = seeding_of(model)
        labels = kmeans(Rows(X, weights), 4, seed).labels
        judges = X[twin.drawn_rows(len(X), weights, 1000, seed, 1)]
        promises, alone = [], []
        for own in [labels, *views(X, 4, seed, labels=labels, sample_weight=weights)]:
            start = GaussianMixture(4, init_params=own, max_iter=0).fit(X, sample_weight=weights)
            promises.append(start.score(judges))
            alone.append(GaussianMixture(4, init_params=own, **options).fit(X, sample_weight=weights))
        best = alone[np.argmax(promises)]
        assert best.n_iter_ == model.n_iter_
        np.testing.assert_allclose(model.lower_bounds_, best.lower_bounds_, rtol=1e-9)
        others += best is not alone[0]
    assert others > 0


def test_student_t_components_begin_at_views_of_the_rows_as_they_are(views):
    others = 0
    for seed in range(5):
        X = blobs(seed) * [1, 3, 0.1]
        X[::50] *= 3
        model = StudentTMixture(4, init_params="auto", random_state=0, max_iter=500).fit(X)
        labels = kmeans(Rows(drawn_in(X, np.array([0, len(X)]))), 4, seeding_of(model)).labels
        found = views(X, 4, seeding_of(model), labels=labels)
        starts = [labels, *(own for own in found if np.bincount(own).min() >= 5)]  # n_features + 2
        alone = [StudentTMixture(4, init_params=own, max_iter=500).fit(X).lower_bounds_ for own in starts]
        best = max(alone, key=lambda bounds: bounds[0])
        np.testing.assert_allclose(model.lower_bounds_, best, rtol=1e-9)
        others += best is not alone[0]
    assert others > 0


def test_where_views_show_nothing_new_bits_are_those_of_k_means():
    X = blobs(0, spread=200.0)
    one, other = (GaussianMixture(5, init_params=name, random_state=0).fit(X) for name in ("auto", "kmeans"))
    assert one.lower_bounds_ == other.lower_bounds_
    np.testing.assert_array_equal(one.covariances_, other.covariances_)


def test_it_is_the_default_but_where_scikit_learn_is_patched():
    assert GaussianMixture().init_params == "auto"
    assert patched.GaussianMixture().init_params == "kmeans"
    assert inspect.signature(patched.GaussianMixture).parameters["init_params"].default == "kmeans"
    X = cigars(0, 600)[0]
    for model in (patched.GaussianMixture(4, random_state=0), patched.GaussianMixture(n_components=4, random_state=0)):
        model.set_params(covariance_type="full")
        other = GaussianMixture(4, init_params="kmeans", random_state=0).fit(X)
        np.testing.assert_array_equal(clone(model).fit(X).means_, other.means_)
    assert clone(patched.GaussianMixture(4, init_params="auto")).init_params == "auto"


@pytest.mark.parametrize("policy", ["all", "halving"])
@pytest.mark.parametrize("n_init", [1, 6])
def test_without_iterations_it_is_k_means(n_init, policy):
    X = blobs(0, 5000, n_features=3, n_clusters=12)  # so many that some of them are judges
    options = {"max_iter": 0, "random_state": 0, "n_init": n_init, "n_init_policy": policy}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one, other = (GaussianMixture(8, init_params=name, **options).fit(X) for name in ("auto", "kmeans"))
    np.testing.assert_array_equal(one.covariances_, other.covariances_)


def test_where_parameters_take_more_room_than_rows_it_is_k_means():
    X = blobs(0, 1300, n_features=300, n_clusters=4) * np.append(np.ones(299), 1e3)  # k-means sees the last column
    for own, is_the_same in (("full", True), ("diag", False)):
        options = {"covariance_type": own, "random_state": 0, "max_iter": 1}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            one, other = (GaussianMixture(4, init_params=name, **options).fit(X) for name in ("auto", "kmeans"))
        assert (one.lower_bound_ == other.lower_bound_) == is_the_same


def test_rows_in_partitions_begin_at_views_of_their_sample():
    X, own = cigars(0, 900)
    found = GaussianMixture(4, random_state=0).fit(blocks(lambda: iter([X[:300], X[300:]])))
    assert adjusted_rand_score(found.predict(X), own) > 0.9


@pytest.mark.parametrize("policy", ["all", "halving"])
def test_with_several_starts_of_k_means(views, policy):
    X = blobs(4, spread=1.0)
    options = {"random_state": 0, "max_iter": 500}
    several = GaussianMixture(5, init_params="auto", n_init=8, n_init_policy=policy, **options)
    assert len(views(X, 5, seeding_of(several))) > 0
    assert n_starts(several, X) == 8
    several.fit(X)
    assert several.converged_
    one = GaussianMixture(5, init_params="auto", **options).fit(X).lower_bound_
    assert several.lower_bound_ >= one - 1e-9
    if policy == "all":  # the eight that promise most run to their ends, so at most the views' number is dropped
        many = [GaussianMixture(5, init_params=kmeans(Rows(X), 5, seeding_of(several), i).labels, max_iter=500).fit(X)
                for i in range(8)]  # fmt: skip
        assert several.lower_bound_ >= sorted(own.lower_bound_ for own in many)[-3] - 1e-9


@pytest.mark.parametrize("n_threads", [2, 5])
def test_the_same_bits_for_any_number_of_threads(n_threads):
    X = blobs(0, 4000, n_clusters=8)
    one, other = (GaussianMixture(8, init_params="auto", n_threads=n, random_state=0).fit(X) for n in (1, n_threads))
    np.testing.assert_array_equal(one.means_, other.means_)
    assert one.lower_bounds_ == other.lower_bounds_


# ---- beside other options ----


@pytest.mark.parametrize(
    ("options", "data"),
    [
        ({"noise": "uniform"}, {}),
        ({"trim": 0.05}, {}),
        ({"weights": [0.5, 0.3, 0.2]}, {}),
        ({"hold": {"means": np.array([[0.0, 0, 0], [np.nan] * 3, [np.nan] * 3])}}, {}),
        ({"covariance_type": "diag", "max_active": 2}, {}),
        ({}, {"known_labels": np.where(np.arange(300) < 30, np.arange(300) % 3, -1)}),
        ({}, {"groups": np.arange(300) // 2}),
    ],
    ids=lambda own: ", ".join(own),
)
def test_where_components_are_spoken_of_it_is_k_means(options, data):
    X = blobs(0)
    one, other = (
        GaussianMixture(3, init_params=name, random_state=0, **options).fit(X, **data) for name in ("auto", "kmeans")
    )
    np.testing.assert_array_equal(one.means_, other.means_)


def test_warm_starts_and_given_parameters_go_on():
    X = blobs(0)
    model = GaussianMixture(3, init_params="auto", warm_start=True, max_iter=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        first = model.fit(X).lower_bound_
        assert model.fit(X).lower_bound_ > first
        assert len(model.lower_bounds_) <= 2
    means = X[:3]
    given = GaussianMixture(3, init_params="auto", means_init=means, max_iter=0, random_state=0).fit(X)
    np.testing.assert_array_equal(given.means_, means)


def test_missing_entries_and_float32():
    X = blobs(0)
    for rows in (X.astype(np.float32), np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)):
        for kind in (GaussianMixture, StudentTMixture):
            model, other = (kind(3, init_params=name, random_state=0).fit(rows) for name in ("auto", "kmeans"))
            assert model.lower_bound_ >= other.lower_bound_ - 0.05


def test_given_parameters_are_where_k_means_begins():
    X = blobs(0)
    options = {"means_init": X[:3], "random_state": 0}
    one, other = (GaussianMixture(3, init_params=name, **options).fit(X) for name in ("auto", "kmeans"))
    np.testing.assert_array_equal(one.means_, other.means_)


def test_batches_and_plans_begin_at_k_means():
    problems = [cigars(seed, 200)[0] for seed in range(3)]
    one, other = (
        fit_many(problems, StudentTMixture(4, init_params=name), random_state=7) for name in ("auto", "kmeans")
    )
    np.testing.assert_array_equal(one.means, other.means)
    one, other = (
        fit_many(problems, GaussianMixture(4, init_params=name), random_state=7) for name in ("auto", "kmeans")
    )
    np.testing.assert_array_equal(one.means, other.means)
    np.testing.assert_array_equal(one[0].fit(problems[0]).means_, one.means[0])  # so says the estimator that it gives
    estimator, X = GaussianMixture(4, init_params="auto"), problems[0]
    _, weights, params, _ = calls.fit(capi.plan(estimator, 2), X, seed=7)
    other = estimator.set_params(init_params="kmeans", random_state=7).fit(X)
    np.testing.assert_array_equal(weights, other.weights_)
    np.testing.assert_array_equal(params[:8].reshape(4, 2), other.means_)


def test_choices_begin_as_estimators_do():
    X = cigars(0, 200)[0]
    chosen = select(X, GaussianMixture(4, init_params="auto"), n_components=[4], warm_start=False, random_state=7)
    alone = GaussianMixture(**chosen.best_.get_params()).fit(X)
    np.testing.assert_array_equal(chosen.best_.means_, alone.means_)


def test_who_does_not_take_it_says_so():
    X = blobs(0)
    for other in (VonMisesFisherMixture(2, init_params="auto"), BernoulliMixture(2, init_params="auto")):
        with pytest.raises(ValueError, match="The 'init_params' parameter"):
            other.fit(X > 0)


# ---- hostile rows ----


@pytest.mark.parametrize("covariance_type", sorted(STRUCTURES))
def test_hostile_rows(covariance_type):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3)) if covariance_type not in ("E", "V") else rng.normal(size=(40, 1))
    spoilt = {
        "a constant column": np.column_stack([X[:, 1:], np.ones(40)]),
        "columns that depend on each other": np.column_stack([X[:, 1:], X[:, -1:]]),
        "few distinct rows": np.repeat(X[:4], 10, axis=0),
        "one row": np.repeat(X[:1], 40, axis=0),
        "as many rows as components": X[:4],
        "large": 1e140 * X,
    }
    for name, rows in spoilt.items():
        rows = rows[:, : X.shape[1]]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                plain = GaussianMixture(4, covariance_type=covariance_type, random_state=0).fit(rows)
            except ValueError:
                with pytest.raises(ValueError):  # noqa: PT011 the words are those of what is wrong with the rows
                    GaussianMixture(4, covariance_type=covariance_type, init_params="auto", random_state=0).fit(rows)
                continue
            model = GaussianMixture(4, covariance_type=covariance_type, init_params="auto", random_state=0).fit(rows)
        assert np.isfinite(model.means_).all(), name
        assert not (model.status_ & ~plain.status_ & Status.IMPOSSIBLE_ROWS), name


@pytest.mark.parametrize("n_samples", [300, 900])
@pytest.mark.parametrize("least", [1e-3, 1e-300, 5e-324])
def test_weights_of_very_different_sizes(least, n_samples):
    X = blobs(0, n_samples)
    weights = np.where(np.arange(n_samples) < 200, 1.0, least)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = GaussianMixture(3, init_params="auto", random_state=0).fit(X, sample_weight=weights)
    assert np.isfinite(model.lower_bound_)
    assert np.isfinite(model.means_).all()


def test_more_columns_than_rows():
    X = np.random.default_rng(0).normal(size=(30, 50))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = GaussianMixture(3, covariance_type="diag", init_params="auto", random_state=0).fit(X)
    assert np.isfinite(model.lower_bound_)


def test_with_many_columns_no_axes_are_turned(views):
    X, own = cigars(0, 20_000)
    X = np.column_stack([X, np.random.default_rng(0).normal(size=(len(X), 15))])
    fewer, more = (views(np.ascontiguousarray(rows), 4) for rows in (X[:, :16], X))
    assert max(adjusted_rand_score(labels, own) for labels in fewer) > 0.85  # 0.88: 339 rows are looked at
    assert all(adjusted_rand_score(labels, own) < 0.5 for labels in more)


def test_very_many_components_for_few_rows():
    X = blobs(0, 400)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for n_components in (90, 200, 400):
            model = GaussianMixture(n_components, covariance_type="spherical", init_params="auto", max_iter=3).fit(X)
            assert np.isfinite(model.lower_bound_)
