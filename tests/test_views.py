"""Starts by several views of the rows, `init_params="auto"`: which partitions these are, that the best of them is
found, what they leave alone, bad input."""

import warnings

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from mixfast import BernoulliMixture, GaussianMixture, Status, StudentTMixture, capi, fit_many, select
from mixfast._reference import seeding as twin
from mixfast.engine._rows import Rows
from mixfast.engine._ward import groups, ward
from mixfast.families.gaussian import STRUCTURES
from mixfast.views import MOST_COLUMNS, N_ROWS, labels_by_views


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


def views(X, n_clusters, seed=0, n_init=1, n_needed=0, sample_weight=None, n_threads=1):
    return labels_by_views(Rows(X, sample_weight), sample_weight, n_clusters, seed, n_init, n_threads, n_needed)


# ---- which partitions ----


def holds(found, labels):
    """Whether a partition is among those found."""
    return any(adjusted_rand_score(own, labels) == 1 for own in found)


@pytest.mark.parametrize("shape", [(1, 3), (2, 1), (3, 2), (40, 1), (150, 2), (120, 9)])
def test_hierarchies_are_scipys(shape):
    X = np.random.default_rng(0).normal(size=shape)
    pairs = ward(X)
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
    for spoilt in (np.zeros((50, 3)), np.full((50, 3), np.nan), np.full((50, 3), 1e200) * np.arange(50)[:, np.newaxis]):
        assert groups(ward(spoilt), 4).max() == 3  # whatever it is worth
    X = np.repeat(np.random.default_rng(0).normal(size=(5, 2)), 20, axis=0)
    np.testing.assert_array_equal(groups(ward(X), 5), np.repeat(np.arange(5), 20))


@pytest.mark.parametrize("seed", range(4))
def test_groups_are_those_of_the_twin(seed):
    X = blobs(seed, 80) @ np.random.default_rng(seed).normal(size=(3, 3)) * [1, 100, 0.01]
    seen = (X - X.mean(axis=0)) / X.std(axis=0)
    for n_clusters in (2, 5, 9):
        found = views(X, n_clusters, seed)
        assert holds(found, twin.ward(seen, n_clusters))
        assert holds(found, twin.ward(twin.whitened(seen), n_clusters))


def test_k_means_looks_along_axes_in_which_rows_are_spread_evenly():
    X, own = cigars(0)
    assert holds(views(X, 4), own)
    assert not holds(views(X[:, :1], 4), own)
    normal, even = np.random.default_rng(0).normal(size=(400, 2)), np.random.default_rng(0).random((400, 2))
    for rows in (normal @ [[1, 0], [0.9, 0.5]], even @ [[1, 1], [1, -2]]):  # no axis is flat, or all are
        assert len(views(rows, 4)) == 3


def test_uncorrelated_columns_know_no_linear_map():
    X, rng = blobs(0, 800), np.random.default_rng(1)
    mapped = X @ rng.normal(size=(3, 3)) + [1e3, 0, -5]
    assert holds(views(mapped, 5), views(X, 5)[2])


def test_rows_that_were_not_drawn_go_to_the_nearest_mean():
    X = blobs(0, 900)
    drawn = np.sort(twin.random_rows(900, None, N_ROWS, 7, 0))
    seen = (X - X.mean(axis=0)) / X.std(axis=0)
    own = groups(ward(seen[drawn]), 5)
    means = np.array([seen[drawn][own == k].mean(axis=0) for k in range(5)])
    expected = ((seen[:, np.newaxis] - means) ** 2).sum(axis=2).argmin(axis=1)
    np.testing.assert_array_equal(views(X, 5, seed=7)[1], expected)


def test_rows_are_drawn_by_their_weights():
    X, weights = blobs(0, 1200), np.where(np.arange(1200) < 600, 1.0, 1e-12)
    far = X + np.where(weights < 1, 1e3, 0)[:, np.newaxis] * np.random.default_rng(0).normal(size=X.shape)
    some = views(far, 5, sample_weight=weights)
    # the means are those of the rows that count, whatever the others are
    alone = views(X[:600], 5, sample_weight=weights[:600])
    assert holds([labels[:600] for labels in some[1:]], alone[1])


def test_the_first_views_are_those_of_k_means_and_none_is_there_twice():
    X = blobs(0)
    found = views(X, 5, seed=3, n_init=4)
    kmeans = [twin.kmeans(X, None, 5, 3, start, 1e-4)[0] for start in range(4)]
    assert all(holds(found, labels) for labels in kmeans)
    np.testing.assert_array_equal(found[0], kmeans[0])
    scores = [adjusted_rand_score(a, b) for i, a in enumerate(found) for b in found[:i]]
    assert max(scores) < 1
    assert len(views(blobs(0, spread=200.0), 5)) == 1  # all see the same
    assert len(views(X, 1)) == 1


def test_views_with_clusters_of_too_few_rows_are_none():
    X = np.concatenate([blobs(0, 100), [[1e3, 0, 0]]])
    assert len(views(X, 3)) > 1
    assert len(views(X, 3, n_needed=5)) == 1  # whoever standardises sees the outlier first


def test_partitions_do_not_depend_on_the_number_of_threads():
    X = blobs(0, 5000, n_features=4, n_clusters=12)
    for labels in (views(X, 12, n_threads=n) for n in (2, 3, 7)):
        np.testing.assert_array_equal(labels, views(X, 12))


# ---- the best of them ----


def test_cigars_are_found():
    found = {"kmeans": 0, "auto": 0}
    for seed in range(12):
        X, own = cigars(seed, 600)
        for name in found:
            model = GaussianMixture(4, init_params=name, random_state=seed).fit(X)
            found[name] += adjusted_rand_score(own, model.predict(X)) > 0.9
    assert found["kmeans"] <= 1
    assert found["auto"] >= 11


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical", "VEV", "factor"])
def test_a_fit_is_that_of_one_of_the_partitions(covariance_type):
    options = {"covariance_type": covariance_type, "random_state": 0, "tol": 1e-5, "max_iter": 500}
    for seed in range(3):
        X = blobs(seed) * [1, 3, 0.1]
        model = GaussianMixture(4, init_params="auto", **options).fit(X)
        alone = [GaussianMixture(4, init_params=own, **options).fit(X).lower_bounds_ for own in views(X, 4)]
        after = [bounds[:1] for bounds in alone]
        assert any(np.allclose(model.lower_bounds_, bounds, rtol=1e-10, atol=0) for bounds in alone
                   if len(bounds) == model.n_iter_)  # fmt: skip
        assert model.lower_bounds_[0] >= sorted(np.ravel(after))[-(len(alone) + 1) // 2] - 1e-9  # of the better half


def test_with_several_starts_of_k_means():
    X = blobs(4, spread=1.0)
    several = GaussianMixture(5, init_params="auto", n_init=8, random_state=0, max_iter=500).fit(X)
    assert several.converged_
    best = max(GaussianMixture(5, init_params=own, max_iter=500).fit(X).lower_bound_ for own in views(X, 5, n_init=8))
    one = GaussianMixture(5, init_params="auto", random_state=0, max_iter=500).fit(X).lower_bound_
    assert best + 1e-9 >= several.lower_bound_ >= one - 1e-9


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
        model = GaussianMixture(3, init_params="auto", random_state=0).fit(rows)
        other = GaussianMixture(3, random_state=0).fit(rows)
        assert model.lower_bound_ >= other.lower_bound_ - 0.05


def test_batches_and_choices_do_as_estimators_do():
    problems = [cigars(seed, 200)[0] for seed in range(3)]
    estimator = GaussianMixture(4, init_params="auto")
    result = fit_many(problems, estimator, random_state=7)
    for i, X in enumerate(problems):
        alone = GaussianMixture(4, init_params="auto", random_state=result[i].random_state).fit(X)
        np.testing.assert_array_equal(result[i].means_, alone.means_)
    chosen = select(problems[0], estimator, n_components=[4], warm_start=False, random_state=7)
    alone = GaussianMixture(**chosen.best_.get_params()).fit(problems[0])
    np.testing.assert_array_equal(chosen.best_.means_, alone.means_)


def test_who_does_not_take_it_says_so():
    X = blobs(0)
    for other in (StudentTMixture(2, init_params="auto"), BernoulliMixture(2, init_params="auto")):
        with pytest.raises(ValueError, match="The 'init_params' parameter"):
            other.fit(X > 0)
    with pytest.raises(ValueError, match="init_params='auto' looks at rows in ways that are Python's: set 'kmeans'"):
        capi.plan(GaussianMixture(2, init_params="auto"), 3)


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


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_more_components_than_rows_that_are_looked_at(monkeypatch):
    monkeypatch.setattr("mixfast.views.MOST_ROWS", 20)
    X = blobs(0, 400)
    model, plain = (
        GaussianMixture(25, covariance_type="spherical", init_params=start, random_state=0, max_iter=3).fit(X)
        for start in ("auto", "kmeans")
    )
    # the same labels: k-means' means are those that moments are about, others are found from the labels
    np.testing.assert_allclose(model.lower_bounds_, plain.lower_bounds_, rtol=1e-12)


def test_with_many_columns_no_axes_are_turned(monkeypatch):
    monkeypatch.setattr("mixfast.views._uncorrelated", None)  # which a call would raise for
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, MOST_COLUMNS + 1)) + 3 * rng.integers(2, size=(300, 1))
    assert np.isfinite(GaussianMixture(2, covariance_type="diag", init_params="auto").fit(X).lower_bound_)
