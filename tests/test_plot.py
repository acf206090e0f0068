"""Pictures: what is drawn, not how it looks."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.patches import Ellipse

from mixfast import BernoulliMixture, GaussianMixture, plot_mixture

matplotlib.use("Agg")
import matplotlib.pyplot as plt


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


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
    for wrong in [("depth", "length"), (0, 9), (0,)]:
        with pytest.raises(ValueError, match="should be two of the model's 3 columns"):
            plot_mixture(model, X, features=wrong)
    binary = BernoulliMixture(2, random_state=0).fit(X)
    with pytest.raises(TypeError, match="draws a GaussianMixture, got a BernoulliMixture"):
        plot_mixture(binary, X)


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
