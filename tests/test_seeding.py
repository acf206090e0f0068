"""Seeding: the twins' draws, weights, threads, and quality beside scikit-learn's k-means."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from twins import DTYPES

from mixfast import GaussianMixture, seeding
from mixfast._em import EM, Rows
from mixfast._reference import seeding as reference
from mixfast.families.gaussian import DiagonalGaussian


def groups(rng, n_rows, n_groups, n_features=2, spread=0.3):
    centres = rng.uniform(-10, 10, (n_groups, n_features))
    labels = rng.integers(n_groups, size=n_rows)
    return centres[labels] + spread * rng.standard_normal((n_rows, n_features)), labels


@pytest.mark.parametrize("n_clusters", [1, 2, 5, 12])
@pytest.mark.parametrize("weighted", [False, True])
def test_kmeans_plusplus_chooses_the_twins_rows(weighted, n_clusters):
    rng = np.random.default_rng(0)
    X, _ = groups(rng, 3000, 6)
    weight = rng.uniform(0, 3, len(X)) * (rng.uniform(size=len(X)) < 0.7) if weighted else None
    for seed in range(5):
        got = seeding.kmeans_plusplus(Rows(X, weight), n_clusters, seed, start=2)
        np.testing.assert_array_equal(got, reference.kmeans_plusplus(X, weight, n_clusters, seed, 2))
        if weighted:
            assert (weight[got] > 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_seeds_do_not_depend_on_the_number_of_threads(dtype):
    rng = np.random.default_rng(1)
    X = groups(rng, 30_011, 8, n_features=8)[0].astype(dtype)
    weight = rng.uniform(0.5, 2, len(X))
    first = seeding.kmeans(Rows(X, weight), 8, seed=3, n_threads=1)
    for n_threads in (2, 3, 7):
        other = seeding.kmeans(Rows(X, weight), 8, seed=3, n_threads=n_threads)
        np.testing.assert_array_equal(other.labels, first.labels)
        np.testing.assert_array_equal(other.centres, first.centres)


def test_kmeans_finds_groups_that_are_there():
    rng = np.random.default_rng(2)
    X, labels = groups(rng, 2000, 5)
    found = seeding.kmeans(Rows(X), 5, seed=0)
    pairs = set(zip(labels.tolist(), found.labels.tolist(), strict=True))
    assert len(pairs) == 5
    np.testing.assert_allclose(found.distortion, ((X - found.centres[found.labels]) ** 2).sum(axis=1).mean(), rtol=1e-3)


def test_kmeans_is_as_good_as_scikit_learns():
    """Over twenty data sets and seeds, the distortion of the one is that of the other, give or take a part in fifty."""
    ratios = []
    for seed in range(20):
        X, _ = groups(np.random.default_rng(seed), 1000, 12, spread=1.5)
        ours = seeding.kmeans(Rows(X), 12, seed=seed).distortion * len(X)
        ratios.append(ours / KMeans(12, n_init=1, random_state=seed).fit(X).inertia_)
    assert np.exp(np.mean(np.log(ratios))) < 1.02


def test_heavy_rows_draw_the_centres():
    X = np.repeat(np.arange(4.0), 50)[:, np.newaxis]
    weight = np.where(X[:, 0] < 2, 1.0, 1e-9)
    result = seeding.kmeans(Rows(X, weight), 2, seed=0)
    np.testing.assert_allclose(np.sort(result.centres[:, 0]), [0, 1], atol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_random_rows_are_the_twins_and_distinct(weighted):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((200, 2))
    weight = rng.uniform(0.1, 2, 200) if weighted else None
    got = seeding.random_rows(Rows(X, weight), 20, seed=9, start=1)
    np.testing.assert_array_equal(got, reference.random_rows(200, weight, 20, 9, 1))
    assert len(set(got.tolist())) == 20


def test_random_rows_are_drawn_by_weight():
    X = np.zeros((3, 1))
    weight = np.array([1.0, 2.0, 7.0])
    first = [int(seeding.random_rows(Rows(X, weight), 1, seed)[0]) for seed in range(3000)]
    share = np.bincount(first, minlength=3) / 3000
    np.testing.assert_allclose(share, weight / 10, atol=5 * np.sqrt(0.25 / 3000))


def test_random_responsibilities_are_the_twins():
    rng = np.random.default_rng(4)
    X = rng.standard_normal((500, 2))
    family = DiagonalGaussian()
    layout = family.params_layout(3, 2)
    drawn, given = (EM(family.bind(3, 2, X.dtype), Rows(X)) for _ in range(2))
    for em in (drawn, given):
        em.set_state(np.full(3, 1 / 3), family.blank(3, 2))
    drawn.start_from_draws(5, 1)
    given.start_from_responsibilities(reference.random_responsibilities(500, 3, 5, 1))
    np.testing.assert_array_equal(drawn.state()[0], given.state()[0])
    for ours, twins in zip(layout.view(drawn.state()[1]), layout.view(given.state()[1]), strict=True):
        np.testing.assert_allclose(ours, twins, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("init_params", seeding.METHODS)
def test_starts_of_one_fit_differ_and_seeds_mean_something(init_params):
    rng = np.random.default_rng(5)
    X = rng.standard_normal((400, 2))

    def first_bound(seed, n_init=1):
        model = GaussianMixture(4, init_params=init_params, random_state=seed, n_init=n_init, tol=1e9)
        return model.fit(X).lower_bound_

    assert first_bound(0) == first_bound(0)
    assert len({first_bound(seed) for seed in range(8)}) > 4
    assert first_bound(0, n_init=10) > first_bound(0)


def test_more_clusters_than_distinct_rows_still_gives_labels():
    X = np.repeat([[0.0, 0.0], [1.0, 1.0]], 10, axis=0)
    result = seeding.kmeans(Rows(X), 5, seed=0)
    assert result.labels.min() >= 0
    assert result.distortion == 0
    assert np.isfinite(result.centres).all()
