"""How components of many fits fall together."""

import numpy as np
import pytest

from mixfast import (
    BatchMap,
    CategoricalMixture,
    DirichletProcessMixture,
    ExponentialMixture,
    GaussianMixture,
    MixtureOfExperts,
    MultinomialMixture,
    ProductMixture,
    StudentTMixture,
    fit_many,
    match,
)
from mixfast.maps import placed, scaled
from mixfast.parts import Gaussian, Poisson

CENTRES = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 9.0]])


def problems(n=20, n_columns=2, seed=0):
    """Rows of three groups each, the first of a fifth, the last of a half."""
    rng = np.random.default_rng(seed)
    sizes = [20, 30, 50]
    return [
        np.concatenate(
            [
                centre[:n_columns] + rng.normal(size=(size, n_columns))
                for centre, size in zip(CENTRES, sizes, strict=True)
            ]
        )
        for _ in range(n)
    ]


@pytest.fixture(scope="module")
def result():
    return fit_many(problems(), GaussianMixture(3), random_state=0)


def test_components_of_all_problems_are_put_in_one_order(result):
    aligned = result.align()
    assert aligned.shape == (20, 3)
    np.testing.assert_array_equal(np.sort(aligned, axis=1), [[0, 1, 2]] * 20)
    np.testing.assert_array_equal(aligned[0], [0, 1, 2])  # all have as many rows
    means = np.take_along_axis(result.means, aligned[:, :, np.newaxis], axis=1)
    assert np.max(np.abs(means - means[0])) < 2
    weights = np.take_along_axis(result.weights, aligned, axis=1)
    assert sorted(weights.mean(axis=0).round(2)) == [0.2, 0.3, 0.5]
    for i in range(20):
        np.testing.assert_array_equal(aligned[i], match(result[0], result[i]))


def test_references(result):
    other = result.align(7)
    np.testing.assert_array_equal(other[7], [0, 1, 2])
    np.testing.assert_array_equal(result.align(result[7]), other)
    np.testing.assert_array_equal(result.align(-13), other)
    given = GaussianMixture.from_parameters(
        weights=[0.5, 0.5], means=[[0.0, 9.0], [99.0, 99.0]], covariances=np.tile(np.eye(2), (2, 1, 1))
    )
    assert result.align(given).shape == (20, 2)
    most_rows = fit_many([*problems(3), np.repeat(problems(1)[0], 2, axis=0)], GaussianMixture(3), random_state=0)
    np.testing.assert_array_equal(most_rows.align()[3], [0, 1, 2])
    with pytest.raises(IndexError, match="problem 20 of 20"):
        result.align(20)
    with pytest.raises(TypeError, match="should be a fitted mixture"):
        result.align("first")
    with pytest.raises(ValueError, match="different families or columns"):
        result.align(ExponentialMixture.from_parameters(weights=[1.0], rates=[[1.0, 2.0]]))


def test_components_may_be_matched_by_rows(result):
    X = problems(20)
    by_rows = result.align(problems=X)
    for i in range(20):
        np.testing.assert_array_equal(by_rows[i], match(result[0], result[i], X[i]))
    with pytest.raises(TypeError, match="known_labels was given without problems"):
        result.align(known_labels=[np.zeros(len(own)) for own in X])
    with pytest.raises(ValueError, match="there are 3 problems, and 20 were fitted"):
        result.align(problems=X[:3])


def test_references_that_cannot_read_the_rows_say_so(result):
    X = problems(20)
    other = StudentTMixture(3, random_state=0).fit(X[0])
    np.testing.assert_array_equal(result.align(other, problems=X)[4], match(other, result[4], X[4]))
    narrow = GaussianMixture(2, random_state=0).fit(X[0][:, :1])
    with pytest.raises(ValueError, match="a GaussianMixture, has 1 columns and problems have 2: pass the number"):
        result.align(narrow, problems=X)
    y = [own[:, 0] + own[:, 1] ** 2 for own in X]
    with pytest.raises(ValueError, match=r"a MixtureOfExperts, needs y: .* a fitted GaussianMixture"):
        result.align(MixtureOfExperts(2, random_state=0).fit(X[0], y[0]), problems=X)
    regressions = fit_many(X[:2], MixtureOfExperts(2, random_state=0), y=y[:2])
    with pytest.raises(ValueError, match=r"a GaussianMixture, does not take y: .* a fitted MixtureOfExperts"):
        regressions.align(result[0], problems=X[:2], y=y[:2])


def test_problems_with_fewer_components_or_no_parameters():
    X = [*problems(4), problems(1)[0][:20], np.zeros((1, 2))]
    result = fit_many(X, GaussianMixture(), n_components=[1, 3], random_state=0)
    aligned = result.align()
    assert aligned.shape == (6, 3)
    assert sorted(aligned[4]) == [-1, -1, 0]
    assert aligned[5].tolist() == [-1, -1, -1]
    with pytest.raises(ValueError, match="problem 5 has no parameters"):
        result.align(5)
    found = BatchMap.from_result(result)
    assert len(found.matched) == 4 * 3 + 1
    nothing = fit_many([np.zeros((1, 2))], GaussianMixture(2), random_state=0)
    with pytest.raises(ValueError, match="no problem of this batch has parameters"):
        nothing.align()


@pytest.mark.parametrize(
    ("estimator", "make"),
    [
        (GaussianMixture(3, covariance_type="tied"), problems),
        (GaussianMixture(3, covariance_type="diag"), problems),
        (ExponentialMixture(3), lambda n: [np.abs(X) for X in problems(n)]),
        (MultinomialMixture(3), lambda n: [np.abs(X).round() for X in problems(n)]),
        (CategoricalMixture(2, categories=[[0, 1]] * 2), lambda n: [(X > 4).astype(int) for X in problems(n)]),
        (ProductMixture([(0, Gaussian()), (1, Poisson())], 3), lambda n: [np.abs(X).round() for X in problems(n)]),
        (StudentTMixture(2), problems),
        (DirichletProcessMixture(), problems),
    ],
    ids=lambda own: type(own).__name__ if hasattr(own, "fit") else "",
)
def test_every_kind_of_batch(estimator, make):
    result = fit_many(make(4), estimator, random_state=0)
    aligned = result.align()
    for i in range(4):
        np.testing.assert_array_equal(aligned[i], match(result[0], result[i]))
    if isinstance(estimator, StudentTMixture):
        assert BatchMap.from_result(result).axes == ("means, column 0", "means, column 1")
    else:
        assert len(BatchMap.from_result(result).to_frame()) == sum(result.n_components)


# ---- the map ----


def test_points_are_the_components_and_have_those_that_they_are_matched_with(result):
    found = BatchMap.from_result(result)
    aligned = result.align()
    assert len(found.problems) == 60
    for problem, component, matched, position in zip(
        found.problems, found.components, found.matched, found.positions, strict=True
    ):
        assert aligned[problem, matched] == component
        np.testing.assert_array_equal(position, result.means[problem, component])
    np.testing.assert_array_equal(found.reference_positions, result[0].means_)
    frame = found.to_frame()
    assert frame.columns.tolist() == ["problem", "component", "matched", "weight", "x", "y"]
    assert frame.groupby("matched")["x"].std().max() < 1
    ax = found.plot()
    assert sum(len(points.get_offsets()) for points in ax.collections) == 60 + 3
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("means, column 0", "means, column 1")


def test_columns_by_number_and_name_and_one_column():
    import pandas as pd

    tables = [pd.DataFrame(np.column_stack([X, X[:, 0]]), columns=["a", "b", "c"]) for X in problems(5)]
    result = fit_many(tables, GaussianMixture(3, covariance_type="diag"), random_state=0)
    found = BatchMap.from_result(result, features=("c", "b"))
    np.testing.assert_array_equal(found.positions[:3], result.means[0][:, [2, 1]])
    assert found.axes == ("means, c", "means, b")
    with pytest.raises(ValueError, match="features names column 'd'"):
        BatchMap.from_result(result, features=("a", "d"))
    with pytest.raises(ValueError, match="features names column 3"):
        BatchMap.from_result(result, features=(3, 0))
    alone = BatchMap.from_result(fit_many(problems(3, n_columns=1), GaussianMixture(2), random_state=0))
    assert alone.axes == ("means, column 0", "weight")
    np.testing.assert_array_equal(alone.positions[:, 1], alone.weights)


def test_more_columns_lie_on_the_map_of_the_reference():
    rng = np.random.default_rng(0)
    X = [np.concatenate([X, rng.normal(size=(100, 2))], axis=1) for X in problems(6)]
    result = fit_many(X, GaussianMixture(3, covariance_type="tied"), random_state=0)
    found = BatchMap.from_result(result, 2)
    np.testing.assert_allclose(found.positions[found.problems == 2], found.reference_positions, atol=1e-9)
    for k in range(3):
        own = found.positions[found.matched == k] - found.reference_positions[k]
        assert np.max(np.abs(own)) < 0.5 * np.max(np.ptp(found.reference_positions, axis=0))
    found.plot().figure.canvas.draw()


def test_points_are_placed_where_distances_put_them():
    """Points of the plane, whose squared distances are log(1 + distance)."""
    rng = np.random.default_rng(0)
    own, new = rng.normal(size=(6, 2)), rng.normal(size=(9, 2))
    squares = np.sum((own[:, np.newaxis] - own) ** 2, axis=2)
    to_own = np.sum((new[:, np.newaxis] - own) ** 2, axis=2)
    at, _, _ = scaled(np.expm1(squares))
    found = placed(np.expm1(squares), np.expm1(to_own))
    np.testing.assert_allclose(np.sum((found[:, np.newaxis] - at) ** 2, axis=2), to_own, atol=1e-9)


def test_what_is_no_batch():
    with pytest.raises(TypeError, match="should be a BatchResult"):
        BatchMap.from_result(GaussianMixture(2))
