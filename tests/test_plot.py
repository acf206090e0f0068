"""Pictures: what is drawn, not how it looks."""

import subprocess
import sys
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.patches import Ellipse
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError

from mixfast import (
    GSDMM,
    BayesianGaussianMixture,
    DirichletProcessMixture,
    GaussianMixture,
    MixtureDisplay,
    plot,
    plot_mixture,
    random_partitions,
)
from mixfast.mixture_view import density_in_box


def test_pictures_are_found_by_importing_mixfast_alone():
    code = (
        "import sys, mixfast\nassert mixfast.plot.mixture is mixfast.plot_mixture and 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_two_columns_give_points_and_two_ellipses_a_component(covariance_type):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(-5, 1, (300, 3)), rng.normal(5, 1, (300, 3))])
    model = GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(X)
    ax = plot_mixture(model, X, features=(0, 2))
    ellipses = [patch for patch in ax.patches if isinstance(patch, Ellipse)]
    assert len(ellipses) == 4
    (points,) = ax.collections
    np.testing.assert_array_equal(points.get_offsets(), X[:, [0, 2]])
    # the larger ellipse of a component holds 95 % of its mass
    for k in range(2):
        own = X[model.predict(X) == k][:, [0, 2]]
        large = max((e for e in ellipses if np.allclose(e.center, model.means_[k, [0, 2]])), key=lambda e: e.width)
        inside = large.contains_points(ax.transData.transform(own))
        assert 0.9 < inside.mean() < 0.99


def test_one_column_gives_a_density_that_integrates_to_one():
    X = np.random.default_rng(0).normal(size=(500, 1))
    model = GaussianMixture(2, random_state=0).fit(X)
    ax = plot_mixture(model, X)
    curves = [line.get_xydata() for line in ax.lines]
    assert len(curves) == 3
    total = curves[0]
    assert np.trapezoid(total[:, 1], total[:, 0]) == pytest.approx(1, abs=0.02)
    np.testing.assert_allclose(np.log(total[:, 1]), model.score_samples(total[:, :1]), rtol=1e-9)


def test_it_draws_on_the_axes_it_is_given_and_names_columns():
    import pandas as pd

    X = pd.DataFrame(np.random.default_rng(0).normal(size=(100, 2)), columns=["length", "width"])
    model = GaussianMixture(2, random_state=0).fit(X)
    _, ax = plt.subplots()
    assert plot_mixture(model, X, ax=ax) is ax
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("length", "width")


def test_columns_can_be_named_and_wrong_ones_are_said_to_be_wrong():
    import pandas as pd

    X = pd.DataFrame(np.random.default_rng(0).normal(size=(100, 3)), columns=["length", "width", "height"])
    model = GaussianMixture(2, random_state=0).fit(X)
    ax = plot_mixture(model, X, features=("height", "length"))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("height", "length")
    for wrong in [("depth", "length"), (0, 9)]:
        with pytest.raises(ValueError, match="there are 'length', 'width', 'height'"):
            plot_mixture(model, X, features=wrong)


@pytest.mark.parametrize("period", [2, 3, 5])
def test_clusters_that_alternate_all_come_into_the_picture(period):
    """By their shares: each of 5,000 points is of any cluster with the same probability."""
    n = 5000 * period
    cluster = np.arange(n) % period
    X = np.random.default_rng(0).normal(size=(n, 2)) + 50 * np.c_[cluster, cluster]
    model = GaussianMixture(period, init_params=cluster).fit(X)
    (points,) = plot_mixture(model, X).collections
    shown = np.asarray(points.get_offsets())
    assert len(shown) == 5000
    counts = np.bincount(np.round(shown[:, 0] / 50).astype(int), minlength=period)
    # five standard deviations of a binomial count
    assert np.all(np.abs(counts - 5000 / period) < 5 * np.sqrt(5000 / period * (1 - 1 / period)))
    assert len(np.unique(points.get_facecolors(), axis=0)) == period
    (again,) = plot_mixture(model, X).collections
    np.testing.assert_array_equal(again.get_offsets(), shown)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_ellipses_of_a_posterior_are_those_of_its_expectations(covariance_type):
    X = np.random.default_rng(0).normal(size=(200, 2)) + np.repeat([[0, 0], [9, 9]], 100, axis=0)
    bayesian = BayesianGaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(X)
    plain = GaussianMixture.from_parameters(
        weights=bayesian.weights_,
        means=bayesian.means_,
        covariances=bayesian.covariances_,
        covariance_type=covariance_type,
    )
    pictures = [
        [(tuple(e.center), e.width, e.height, e.angle) for e in plot_mixture(model, X).patches]
        for model in (bayesian, plain)
    ]
    assert len(pictures[0]) == 4
    np.testing.assert_allclose(*(np.array([np.hstack(e) for e in picture]) for picture in pictures))


def test_components_that_no_row_is_of_have_no_ellipses():
    X = np.random.default_rng(0).normal(size=(300, 2)) + np.repeat([[0, 0], [9, 0], [0, 9]], 100, axis=0)
    model = BayesianGaussianMixture(8, max_iter=500, random_state=0).fit(X)
    assert model.n_clusters_ == 3
    ax = plot_mixture(model, X)
    assert len(ax.patches) == 6
    assert {tuple(ellipse.center) for ellipse in ax.patches} == {
        tuple(mean) for mean in model.means_[model.weights_ > 0.1]
    }


def test_a_posterior_of_one_column_is_drawn_by_its_predictive_density():
    X = np.random.default_rng(0).normal(size=(300, 1))
    model = BayesianGaussianMixture(1, random_state=0).fit(X)
    total, part = (line.get_xydata() for line in plot_mixture(model, X).lines)
    np.testing.assert_array_equal(total, part)
    np.testing.assert_array_equal(total[:, 1], np.exp(model.score_samples(total[:, :1])))


@pytest.mark.filterwarnings("ignore:The draws do not tell")  # they are few
@pytest.mark.parametrize(  # covariances that components share are for variational Bayes alone
    ("component", "algorithm"),
    [*product(["full", "diag", "spherical"], ["variational", "sampler"]), ("tied", "variational")],
)
def test_components_of_a_dirichlet_process_are_drawn(component, algorithm):
    X = np.random.default_rng(0).normal(size=(200, 3)) + np.repeat([[0, 0, 5], [9, 9, 0]], 100, axis=0)
    options = {"n_draws": 20, "burn_in": 20} if algorithm == "sampler" else {}
    model = DirichletProcessMixture(component, algorithm=algorithm, random_state=0, **options).fit(X)
    ax = plot_mixture(model, X, features=(0, 2))
    plain = GaussianMixture.from_parameters(
        weights=model.weights_ / model.weights_.sum(),
        means=model.means_,
        covariances=model.covariances_,
        covariance_type=component,
    )
    pictures = [
        [(*e.center, e.width, e.height, e.angle) for e in own.patches]
        for own in (ax, plot_mixture(plain, X, features=(0, 2)))
    ]
    assert len(pictures[0]) == 2 * model.n_clusters_ >= 4
    np.testing.assert_allclose(*pictures)
    (points,) = ax.collections
    # rows of a component have its colour, and no other's
    colours = np.unique(points.get_facecolors(), axis=0, return_inverse=True)[1].reshape(-1)
    labels = model.predict(X)
    assert len(set(zip(colours, labels, strict=True))) == len(set(colours)) == len(set(labels))


@pytest.mark.filterwarnings("ignore:The draws do not tell")
@pytest.mark.parametrize("algorithm", ["variational", "sampler"])
@pytest.mark.parametrize("n", [1, 100])
def test_one_column_of_a_dirichlet_process_gives_the_predictive_density(algorithm, n):
    import pandas as pd

    X = pd.DataFrame({"length": np.random.default_rng(0).normal(size=n)})
    options = {"n_draws": 20, "burn_in": 20} if algorithm == "sampler" else {}
    model = DirichletProcessMixture(algorithm=algorithm, random_state=0, **options).fit(X)
    ax = plot_mixture(model, X)
    total, *parts = (line.get_xydata() for line in ax.lines)
    density = np.exp(model.score_samples(pd.DataFrame({"length": total[:, 0]})))
    np.testing.assert_array_equal(total[:, 1], density)
    shares = model.predict_proba(pd.DataFrame({"length": total[:, 0]}))
    order = np.argsort(-model.weights_, kind="stable")  # the lightest is drawn last
    for k, part in zip(order, parts, strict=True):
        np.testing.assert_allclose(part[:, 1], density * shares[:, k], rtol=1e-12)
    assert len(parts) == model.n_clusters_
    assert ax.get_xlabel() == "length"


class Sampled(BaseEstimator):
    """What pictures need of a model that is fitted by draws of partitions."""

    def __init__(self, draws):
        self.draws = draws
        self.labels_ = random_partitions.point_partition(draws)
        self.n_clusters_posterior_ = random_partitions.n_clusters_posterior([len(set(draw)) for draw in draws])
        self.log_joint_draws_ = -np.arange(len(draws), dtype=float)

    def fit(self):
        """The draws are given."""

    def coclustering(self, rows=None):
        return random_partitions.coclustering(self.draws, rows)


#: The second draw joins the third cluster to the first; the last two are equal.
FOUR_DRAWS = np.array([[0, 1, 0, 1, 2, 0], [0, 1, 0, 1, 0, 0], [1, 0, 1, 0, 2, 1], [1, 0, 1, 0, 2, 1]])


def bars(ax):
    return {round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in ax.patches}


def test_bars_are_as_high_as_the_posterior_of_the_number_of_clusters():
    expected = {2: 0.25, 3: 0.75}
    ax = plot.n_clusters(Sampled(FOUR_DRAWS))
    assert bars(ax) == expected
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("number of clusters", "posterior probability")
    _, own = plt.subplots()
    assert plot.n_clusters({3: 0.75, 2: 0.25}, ax=own) is own
    assert bars(own) == expected
    assert all(float(tick).is_integer() for tick in own.get_xticks())


def test_a_trace_is_that_of_lower_bounds_or_of_draws():
    X = np.random.default_rng(0).normal(size=(200, 2))
    for model in (GaussianMixture(3, random_state=0).fit(X), BayesianGaussianMixture(3, random_state=0).fit(X)):
        ax = plot.trace(model)
        (line,) = ax.lines
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, model.n_iter_ + 1))
        np.testing.assert_array_equal(line.get_ydata(), model.lower_bounds_)
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("iteration", "lower bound (nats)")
    sampled = Sampled(FOUR_DRAWS)
    ax = plot.trace(sampled)
    (line,) = ax.lines
    np.testing.assert_array_equal(line.get_xydata(), np.c_[[1, 2, 3, 4], sampled.log_joint_draws_])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("draw", "log joint (nats)")
    sampled.log_joint_draws_ = np.array([[-1.0, -2.0, -3.0], [-4.0, -5.0, -6.0]])
    chains = plot.trace(sampled).lines
    np.testing.assert_array_equal([chain.get_ydata() for chain in chains], sampled.log_joint_draws_)


def test_pairs_of_rows_are_in_the_order_of_the_point_partition():
    model = Sampled(FOUR_DRAWS)
    assert model.labels_.tolist() == [0, 1, 0, 1, 2, 0]
    ax = plot.coclustering(model)
    (image,) = ax.images
    a, b = np.ones((3, 3)), np.ones((2, 2))
    last = np.array([[0.25], [0.25], [0.25], [0], [0], [1]])
    blocks = np.block([[a, np.zeros((3, 2))], [np.zeros((2, 3)), b], [last[:-1].T]])
    np.testing.assert_array_equal(image.get_array(), np.hstack([blocks, last]))
    assert image.get_clim() == (0, 1)
    # lines stand where a cluster ends, across and along
    assert [line.get_ydata()[0] for line in ax.lines[::2]] == [2.5, 4.5]
    assert [line.get_xdata()[0] for line in ax.lines[1::2]] == [2.5, 4.5]


def test_pairs_of_chosen_rows_keep_their_order_within_a_cluster():
    draws = np.array([[0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 1, 1]])
    _, ax = plt.subplots()
    assert plot.coclustering(Sampled(draws), rows=[3, 2, 0], ax=ax) is ax
    (image,) = ax.images
    third = 1 / 3
    np.testing.assert_allclose(image.get_array(), [[1, 2 * third, third], [2 * third, 1, 0], [third, 0, 1]])


def test_of_many_rows_the_same_ones_are_shown_each_time_from_all_clusters():
    n, most = 3000, 300
    draws = np.arange(n)[np.newaxis] % 3
    pictures = [plot.coclustering(Sampled(draws), max_rows=most).images[0].get_array() for _ in range(2)]
    assert pictures[0].shape == (most, most)
    np.testing.assert_array_equal(*pictures)
    # rows of a cluster have the same ones; its size is a binomial count, taken to five standard deviations
    different, sizes = np.unique(pictures[0], axis=0, return_counts=True)
    assert len(different) == 3
    assert np.all(np.abs(sizes - most / 3) < 5 * np.sqrt(most * 2 / 9))


@pytest.mark.filterwarnings("ignore:The draws do not tell")  # they are few
def test_draws_of_a_dirichlet_process_mixture_have_all_three_pictures():
    X = np.random.default_rng(0).normal(size=(40, 1)) + np.repeat([[-8], [8]], 20, axis=0)
    options = {"algorithm": "sampler", "n_draws": 20, "burn_in": 20, "n_chains": 2, "random_state": 0}
    model = DirichletProcessMixture(**options).fit(X)
    assert bars(plot.n_clusters(model)) == model.n_clusters_posterior_
    np.testing.assert_array_equal([line.get_ydata() for line in plot.trace(model).lines], model.log_joint_draws_)
    order = np.argsort(model.labels_, kind="stable")
    (image,) = plot.coclustering(model).images
    np.testing.assert_array_equal(image.get_array(), model.coclustering()[np.ix_(order, order)])
    variational = DirichletProcessMixture(random_state=0).fit(X)
    np.testing.assert_array_equal(plot.trace(variational).lines[0].get_ydata(), variational.lower_bounds_)
    with pytest.raises(TypeError, match="labels_, which this DirichletProcessMixture has not: pass a "):
        plot.coclustering(variational)


@pytest.mark.parametrize(
    ("picture", "model", "missing"),
    [
        (plot.n_clusters, GaussianMixture(2, random_state=0), "n_clusters_posterior_"),
        (plot.coclustering, GaussianMixture(2, random_state=0), "coclustering"),
        (plot.trace, GSDMM(random_state=0), "lower_bounds_"),
    ],
)
def test_a_model_without_what_is_drawn_is_refused_and_said_what_it_lacks(picture, model, missing):
    model = clone(model)
    with pytest.raises(NotFittedError):
        picture(model)
    model.fit(np.eye(5, dtype=int))
    with pytest.raises(TypeError, match=f"draws {missing}, which this {type(model).__name__} has not: pass a "):
        picture(model)
    assert not plt.get_fignums()


@pytest.mark.parametrize("rows", [[0, 6], [-1], [], [[0, 1]], [0.5], [True, False]])
def test_rows_that_are_not_there_are_refused(rows):
    with pytest.raises(ValueError, match="should be numbers of rows from 0 to 5"):
        plot.coclustering(Sampled(FOUR_DRAWS), rows=rows)


# ---- noise ----


def noisy_rows():
    """Two clusters along a diagonal and rows all along it, so that the box is oblique."""
    rng = np.random.default_rng(0)
    along = rng.uniform(-6, 14, 60)
    clusters = rng.normal(size=(300, 1)) + 0.5 * rng.normal(size=(300, 2)) + np.repeat([[0.0], [8.0]], 150, axis=0)
    return np.vstack([clusters, np.column_stack([along, along + rng.uniform(-5, 5, 60)])])


@pytest.mark.parametrize("columns", [[0], [0, 1]])
@pytest.mark.parametrize("kind", ["density", "auto"])
def test_noise_is_in_the_legend_and_in_densities(columns, kind):
    X = noisy_rows()[:, columns]
    model = GaussianMixture(2, noise="uniform", random_state=0).fit(X)
    display = MixtureDisplay.from_estimator(model, X, kind=kind)
    legends = [own for own in display.figure_.axes + display.figure_.legends if getattr(own, "legend_", None)]
    said = [text.get_text() for text in legends[0].legend_.get_texts()]
    assert f"noise: {100 * model.weights_[-1]:.0f}%" in said
    for panel in display.panels.values():
        if not hasattr(panel, "total"):
            continue
        left = panel.total - panel.parts.sum(axis=1)
        assert np.all(left > -1e-12)
        if len(columns) > 1:
            assert np.trapezoid(panel.parts.sum(axis=1), panel.grid) == pytest.approx(
                model.weights_[:-1].sum(), abs=0.01
            )
            inside = np.trapezoid(left, panel.grid)  # the box may reach beyond the picture
            assert 0.5 * model.weights_[-1] < inside <= 1.01 * model.weights_[-1]
        else:
            np.testing.assert_allclose(left, model.weights_[-1] / model.noise_volume_)
    plt.close("all")


@pytest.mark.parametrize("edges", [[[3.0, 1.0], [-1.0, 2.0]], [[2.0, 0.0], [0.0, 5.0]], [[-1.0, 4.0], [2.0, 0.5]]])
def test_densities_in_a_box_are_those_of_rows_in_it(edges):
    box = np.vstack([[5.0, -2.0], edges])
    rows = box[0] + np.random.default_rng(1).random((200_000, 2)) @ box[1:]
    for j in (0, 1):
        heights, ends = np.histogram(rows[:, j], bins=40, density=True)
        grid = np.linspace(ends[0], ends[-1], 40 * 50 + 1)[:-1].reshape(40, 50)
        found = density_in_box(box, j, grid.ravel()).reshape(40, 50).mean(axis=1)
        # a bar has some 5,000 rows, whose number has a standard error of 1.4 %
        np.testing.assert_allclose(found, heights, rtol=0, atol=0.07 * heights.max())
