"""Displays: what they are made of, against SciPy, quadrature and the models themselves; and how they look, against
small pictures that were looked at."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from estimators_table import ESTIMATORS, every_estimator
from matplotlib.colors import to_rgba
from scipy import integrate, stats
from scipy.sparse import csr_matrix
from sklearn.exceptions import NotFittedError

from mixfast import (
    GSDMM,
    BatchDisplay,
    BernoulliMixture,
    DirichletProcessMixture,
    ExponentialMixture,
    GammaMixture,
    GaussianMixture,
    MixtureDisplay,
    MixtureMap,
    MixtureOfExperts,
    MultinomialMixture,
    PoissonMixture,
    ProductMixture,
    SelectionDisplay,
    Status,
    StudentTMixture,
    TraceDisplay,
    VonMisesFisherMixture,
    fit_many,
    plot_mixture,
    select,
)
from mixfast.canvas import colour_of, limits_of, rows_of_labels
from mixfast.mixture_pictures import Density, Plane, Profile, Words
from mixfast.parts import Categorical, Gaussian, Poisson

PICTURES = Path(__file__).parent / "data" / "pictures"


def gaussians(K, d=2, spread=20.0, seed=0):
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(K, d, d)) * 0.5
    return GaussianMixture.from_parameters(
        weights=np.full(K, 1 / K),
        means=rng.uniform(-spread, spread, (K, d)),
        covariances=roots @ roots.swapaxes(1, 2) + 0.5 * np.eye(d),
    )


def rows_of(model, n, seed=0):
    return model.sample(n, random_state=seed)[0]


# ---- every mixture has a picture ----


@every_estimator
def test_every_estimator_has_a_picture_with_rows_and_without(name):
    entry = ESTIMATORS[name]
    model = entry.make().fit(entry.X)
    for display in (MixtureDisplay.from_estimator(model, entry.X), MixtureDisplay.from_estimator(model)):
        assert display.weights.sum() == pytest.approx(1)
        display.figure_.canvas.draw()
        assert display.plot() is display  # once more
        plt.close("all")


@every_estimator
def test_every_estimator_has_densities_of_columns(name):
    entry = ESTIMATORS[name]
    model = entry.make().fit(entry.X)
    display = MixtureDisplay.from_estimator(model, entry.X, kind="density", features=[0, 1])
    assert len(display.ax_) == 2
    for panel in display.panels.values():
        np.testing.assert_allclose(panel.parts.sum(axis=1), panel.total, rtol=1e-9)
        if panel.is_lattice and len(panel.grid) == panel.grid[-1] + 1 and panel.categories is not None:
            assert panel.total.sum() == pytest.approx(1, abs=1e-6)


# ---- densities ----


def test_the_density_of_one_column_is_that_of_the_model_shared_by_its_responsibilities():
    X = np.concatenate([np.random.default_rng(0).normal(m, 1, 100) for m in (0, 6)])[:, np.newaxis]
    for model in (
        GaussianMixture(2, random_state=0).fit(X),
        StudentTMixture(2, random_state=0).fit(X),
        DirichletProcessMixture(random_state=0).fit(X),
    ):
        (panel,) = MixtureDisplay.from_estimator(model, X).panels.values()
        rows = panel.grid[:, np.newaxis]
        density = np.exp(model.score_samples(rows))
        np.testing.assert_allclose(panel.total, density, rtol=1e-12)
        np.testing.assert_allclose(panel.parts, density[:, np.newaxis] * model.predict_proba(rows), rtol=1e-9)
        assert np.trapezoid(panel.total, panel.grid) == pytest.approx(1, abs=0.02)
        assert np.sum(panel.heights * np.diff(panel.edges)) == pytest.approx(1)


def test_exposures_are_averaged():
    rng = np.random.default_rng(0)
    exposure = np.repeat([1.0, 4.0], 200)
    X = rng.poisson(exposure * np.array([1, 5])[rng.integers(2, size=400)])[:, np.newaxis]
    model = PoissonMixture(2, random_state=0).fit(X, exposure=exposure)
    (panel,) = MixtureDisplay.from_estimator(model, X, exposure=exposure).panels.values()
    expected = sum(
        weight * (stats.poisson.pmf(panel.grid, rate) + stats.poisson.pmf(panel.grid, 4 * rate)) / 2
        for weight, rate in zip(model.weights_, model.rates_[:, 0], strict=True)
    )
    np.testing.assert_allclose(panel.total, expected, rtol=1e-9)


def integrated(model, j, value, low, high):
    """The density of column j at a value, the other of two columns integrated out."""

    def at(other):
        row = [0.0, 0.0]
        row[j], row[1 - j] = value, other
        return np.exp(model.score_samples([row])[0])

    return integrate.quad(at, low, high, limit=200, points=[2.0])[0]


@pytest.mark.parametrize("j", [0, 1])
@pytest.mark.parametrize(
    ("make", "X", "ends"),
    [
        *((lambda t=t: GaussianMixture(2, covariance_type=t, random_state=0), "reals", (-40, 40))
          for t in ("full", "tied", "diag", "spherical")),
        (lambda: GammaMixture(2, random_state=0), "positive", (1e-12, 200)),
        (lambda: ExponentialMixture(2, random_state=0), "positive", (0, 400)),
    ],
)  # fmt: skip
def test_densities_of_columns_are_those_of_quadrature(make, X, ends, j):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 2)) @ [[1, 0.6], [0, 1]] + np.repeat([[0, 0], [4, 3]], 60, axis=0)
    X = np.exp(X / 2) if ends[0] >= 0 else X
    model = make().fit(X)
    panel = MixtureDisplay.from_estimator(model, X, features=[0, 1], kind="density").panels[0, j]
    for place in (10, len(panel.grid) // 2, -10):
        expected = integrated(model, j, panel.grid[place], *ends)
        assert panel.total[place] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_columns_of_students_t_are_students_t(covariance_type):
    X = np.random.default_rng(0).standard_t(4, size=(200, 3)) @ [[1, 0.6, 0], [0, 1, 0], [0, 0, 2]]
    model = StudentTMixture(2, covariance_type=covariance_type, random_state=0).fit(X)
    scales = np.sqrt(np.diagonal(model.covariance_matrices(), axis1=1, axis2=2))
    for j, panel in enumerate(MixtureDisplay.from_estimator(model, X, kind="density").panels.values()):
        expected = model.weights_ * stats.t.pdf(
            panel.grid[:, np.newaxis], model.degrees_of_freedom_, model.means_[:, j], scales[:, j]
        )
        np.testing.assert_allclose(panel.parts, expected, rtol=1e-9)


def test_columns_of_a_product_of_gaussians():
    X = np.random.default_rng(0).normal(size=(60, 2)) + np.repeat([[0, 0], [4, 3]], 30, axis=0)
    model = ProductMixture([(0, Gaussian()), (1, Gaussian())], 2, random_state=0).fit(X)
    for j, panel in enumerate(MixtureDisplay.from_estimator(model, X, kind="density").panels.values()):
        part = model.components_[str(j)]
        expected = model.weights_ * stats.norm.pdf(
            panel.grid[:, np.newaxis], part.means_[:, 0], np.sqrt(part.covariances_[:, 0, 0])
        )
        np.testing.assert_allclose(panel.parts, expected, rtol=1e-9, atol=1e-300)


def test_columns_of_counts_and_categories_by_themselves():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"job": ["cook", "smith", "clerk", "cook"] * 30, "visits": rng.poisson(3, 120)})
    model = ProductMixture([("job", Categorical()), ("visits", Poisson())], 2, random_state=0).fit(table)
    display = MixtureDisplay.from_estimator(model, table)
    assert display.kind == "density"
    jobs, visits = display.panels[0, 0], display.panels[0, 1]
    assert jobs.categories == ["clerk", "cook", "smith"]
    np.testing.assert_allclose(jobs.parts, (model.weights_[:, None] * model.components_["job"].probabilities_[0]).T)
    np.testing.assert_allclose(jobs.heights, [0.25, 0.5, 0.25])
    rates = model.components_["visits"].rates_[:, 0]
    np.testing.assert_allclose(visits.parts, model.weights_ * stats.poisson.pmf(visits.grid[:, None], rates))
    assert [tick.get_text() for tick in display.ax_[0].get_xticklabels()] == jobs.categories


def test_directions_by_themselves_are_histograms_of_draws():
    """On the sphere the coordinate along the mean direction has the density kappa exp(kappa t) / (2 sinh kappa)."""
    model = VonMisesFisherMixture.from_parameters(weights=[1.0], mean_directions=[[0, 0, 1.0]], concentrations=[3.0])
    panel = MixtureDisplay.from_estimator(model, kind="density", features=2).panels[0, 0]
    inside = (panel.grid > -0.9) & (panel.grid < 0.9)
    expected = 3 * np.exp(3 * panel.grid[inside]) / (2 * np.sinh(3))
    # 20,000 draws in bars of 1/30: at a density of 1 a bar has 667 draws, four standard errors are 0.15
    np.testing.assert_allclose(panel.total[inside], expected, atol=0.03 + 0.15 * np.sqrt(expected.max()))


def test_outliers_do_not_press_the_rest_into_a_spike():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, 500), rng.normal(8, 1, 500), [1e6, -1e5]])[:, np.newaxis]
    model = GaussianMixture.from_parameters(weights=[0.5, 0.5], means=[[0.0], [8.0]], covariances=[[[1.0]]] * 2)
    (panel,) = MixtureDisplay.from_estimator(model, X).panels.values()
    assert -12 < panel.limits[0] < -2
    assert 10 < panel.limits[1] < 20
    assert panel.n_outside == 2
    assert np.sum(panel.heights > 0) > 20
    plane = MixtureDisplay.from_estimator(gaussians(2, spread=3.0), np.r_[rng.normal(size=(300, 2)), [[1e9, 0]]])
    assert plane.panels[0, 0].n_outside == 1


def test_limits_hold_clusters_and_leave_out_outliers():
    values = np.concatenate([np.linspace(0, 1, 998), [500.0, -700.0]])
    low, high = limits_of(values)
    assert -0.2 < low < 0 < 1 < high < 1.2
    assert limits_of(values, centres=[40.0])[1] > 40  # a component of some weight
    assert limits_of(np.linspace(0, 1, 100)) == pytest.approx((-0.05, 1.05))
    low, high = limits_of(np.full(5, 3.0))
    assert low < 3 < high
    assert limits_of(np.array([]))[0] < limits_of(np.array([]))[1]
    assert limits_of(np.linspace(0, 1, 100), edges=[-9.0])[0] == pytest.approx(-0.3, abs=0.1)


# ---- planes ----


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95, 0.999])
def test_ellipses_of_students_t_hold_their_shares(share):
    degrees = np.array([1.0, 2.5, 30.0])
    model = StudentTMixture.from_parameters(
        weights=[0.2, 0.3, 0.5], means=np.zeros((3, 2)), covariances=[np.eye(2)] * 3, degrees_of_freedom=degrees
    )
    components = model._components()
    found = components.family.squared_radii(components.params, share)
    np.testing.assert_allclose(found, 2 * stats.f.ppf(share, 2, degrees), rtol=1e-10)


@pytest.mark.parametrize("model", ["gamma", "poisson"])
def test_contours_hold_their_shares_of_fresh_draws(model):
    if model == "gamma":
        model = GammaMixture.from_parameters(weights=[1.0], shapes=[[2.0, 8.0]], scales=[[1.0, 2.0]])
    else:
        model = PoissonMixture.from_parameters(weights=[1.0], rates=[[20.0, 8.0]])
    display = MixtureDisplay.from_estimator(model, kind="contours")
    levels = display.panels[0, 0].contours[0].levels
    logs = model.score_samples(rows_of(model, 4000, seed=1))
    inside = [np.mean(logs >= level) for level in levels]
    # levels are quantiles of 400 draws: standard errors of 0.011 and 0.025, of 4,000 more 0.003 and 0.008
    np.testing.assert_allclose(inside, [0.95, 0.5], atol=0.11)
    assert inside[0] > 0.9


def test_swapped_columns_are_a_mirror_image():
    model = gaussians(3)
    one, other = (MixtureDisplay.from_estimator(model, features=features).panels[0, 0] for features in ((0, 1), (1, 0)))
    for k in range(3):
        np.testing.assert_array_equal(one.contours[k].centre, other.contours[k].centre[::-1])
        for a, b in zip(one.contours[k].ellipses, other.contours[k].ellipses, strict=True):
            np.testing.assert_allclose(sorted(a[:2]), sorted(b[:2]))
    gamma = GammaMixture.from_parameters(weights=[1.0], shapes=[[2.0, 8.0]], scales=[[1.0, 2.0]])
    a, b = (
        MixtureDisplay.from_estimator(gamma, features=features).panels[0, 0].contours[0].grid
        for features in ((0, 1), (1, 0))
    )
    np.testing.assert_array_equal(a[0], b[1])
    np.testing.assert_allclose(a[2], b[2].T)


def test_pairs_are_a_triangle_of_margins():
    model = gaussians(3, d=3)
    X = rows_of(model, 200)
    display = MixtureDisplay.from_estimator(model, X)
    assert display.kind == "pairs"
    assert sorted(display.panels) == [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]
    plane = display.panels[2, 1]
    assert plane.columns == ("column 1", "column 2")
    of_two = GaussianMixture.from_parameters(
        weights=model.weights_, means=model.means_[:, 1:], covariances=model.covariances_[:, 1:, 1:]
    )
    expected = MixtureDisplay.from_estimator(of_two, X[:, 1:]).panels[0, 0]
    for k in range(3):
        np.testing.assert_allclose(plane.contours[k].ellipses, expected.contours[k].ellipses)
    density = display.panels[2, 2]
    parts = model.weights_ * stats.norm.pdf(
        density.grid[:, np.newaxis], model.means_[:, 2], np.sqrt(model.covariances_[:, 2, 2])
    )
    np.testing.assert_allclose(density.parts, parts, rtol=1e-9, atol=1e-300)


def test_of_many_columns_those_that_separate_most_are_shown():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 9))
    X[:, [2, 7]] += np.repeat([[0, 0], [6, 0], [0, 6]], 100, axis=0)
    model = GaussianMixture(3, random_state=0).fit(X)
    shown = {panel.columns for panel in MixtureDisplay.from_estimator(model, X, kind="contours").panels.values()}
    assert shown == {("column 2", "column 7")}
    names = {
        panel.column for panel in MixtureDisplay.from_estimator(model, X).panels.values() if isinstance(panel, Density)
    }
    assert {"column 2", "column 7"} < names
    assert len(names) == 4


def test_uncertainty_is_one_less_the_largest_responsibility():
    model = gaussians(3, spread=2.0)
    X = rows_of(model, 100)
    plane = MixtureDisplay.from_estimator(model, X, kind="uncertainty").panels[0, 0]
    np.testing.assert_allclose(plane.uncertainty, 1 - model.predict_proba(X).max(axis=1))
    one = GaussianMixture(2, random_state=0).fit(X[:, :1])
    panel = MixtureDisplay.from_estimator(one, X[:, :1], kind="uncertainty").panels[0, 0]
    expected = 1 - one.predict_proba(panel.grid[:, np.newaxis]).max(axis=1)
    np.testing.assert_allclose(panel.uncertainty, expected, atol=1e-9)


# ---- rows ----


def test_rows_are_a_share_of_each_label_always_the_same():
    labels = np.repeat([0, 1, 2], [9000, 990, 10])
    shown = rows_of_labels(labels, 1000)
    assert np.bincount(labels[shown]).tolist() == [900, 99, 1]
    np.testing.assert_array_equal(shown, rows_of_labels(labels, 1000))
    assert np.all(np.diff(shown) > 0)
    weights = np.where(np.arange(10_000) % 2, 1.0, 1e-9)
    assert np.mean(rows_of_labels(labels, 100, weights) % 2) > 0.95
    np.testing.assert_array_equal(rows_of_labels(labels[:5], 9), np.arange(5))


def test_weights_of_rows_count_and_those_of_weight_zero_are_not_looked_at():
    model = gaussians(2, d=1)
    X, weights = rows_of(model, 50), np.arange(50) % 3
    spoilt = np.where(weights[:, np.newaxis] == 0, np.nan, X)
    one = MixtureDisplay.from_estimator(model, spoilt, sample_weight=weights).panels[0, 0]
    (panel,) = MixtureDisplay.from_estimator(model, X[weights > 0], sample_weight=weights[weights > 0]).panels.values()
    np.testing.assert_array_equal(one.heights, panel.heights)
    inside = (one.edges[:-1] <= X[4, 0]) & (X[4, 0] < one.edges[1:])
    assert one.heights[inside][0] * np.diff(one.edges)[0] >= 1 / weights.sum() - 1e-12


def test_sparse_counts_of_words_and_labels_beyond_the_clusters_in_use():
    rng = np.random.default_rng(0)
    X = csr_matrix(rng.poisson(0.3, size=(80, 50)))
    model = GSDMM(10, n_iter=3, random_state=0).fit(X)
    display = MixtureDisplay.from_estimator(model, X)
    assert all(isinstance(panel, Words) for panel in display.panels.values())
    wide = MultinomialMixture(2, random_state=0).fit(X)
    panel = MixtureDisplay.from_estimator(wide, X, kind="pairs", features=[0, 1]).panels[1, 0]
    assert panel.rows.shape == (80, 2)


# ---- profiles and words ----


def test_profiles_hold_probabilities_rates_and_shares():
    model = BernoulliMixture.from_parameters(
        weights=[0.6, 0.4], probabilities=[[0.9, 0.2, 0.5], [0.1, 0.8, 0.5]], feature_names=["a", "b", "c"]
    )
    (panel,) = MixtureDisplay.from_estimator(model).panels.values()
    assert isinstance(panel, Profile)
    np.testing.assert_array_equal(panel.numbers, model.probabilities_)
    assert panel.cells == ["a", "b", "c"]
    rates = PoissonMixture.from_parameters(weights=[0.5, 0.5], rates=[[1.0, 4.0], [3.0, 4.0]])
    (panel,) = MixtureDisplay.from_estimator(rates).panels.values()
    np.testing.assert_allclose(panel.shades, [[0.5, 1], [1.5, 1]])
    means = gaussians(2)
    X = rows_of(means, 100)
    (panel,) = MixtureDisplay.from_estimator(means, X, kind="profile").panels.values()
    np.testing.assert_allclose(panel.shades, (means.means_ - means.means_.mean(axis=0)) / X.std(axis=0))


def test_wide_profiles_leave_out_what_says_little():
    probabilities = np.full((3, 90), 0.5)
    probabilities[:, 10:50] = np.random.default_rng(0).uniform(0.05, 0.95, (3, 40))
    model = BernoulliMixture.from_parameters(weights=[0.3, 0.3, 0.4], probabilities=probabilities)
    (panel,) = MixtureDisplay.from_estimator(model).panels.values()
    assert len(panel.cells) == 40
    assert panel.n_left_out == 50
    assert len({int(name.split()[1]) for name in panel.cells} & set(range(10, 50))) >= 38


def test_top_words_of_the_heaviest_components():
    shares = np.random.default_rng(0).dirichlet(np.ones(60), 3)
    model = MultinomialMixture.from_parameters(
        weights=[0.2, 0.5, 0.3], probabilities=shares, feature_names=[f"w{j}" for j in range(60)]
    )
    panels = list(MixtureDisplay.from_estimator(model).panels.values())
    assert [panel.component for panel in panels] == [0, 1, 2]
    best = np.argsort(-shares[1], kind="stable")[:8]
    assert panels[1].words == [f"w{j}" for j in best]
    np.testing.assert_array_equal(panels[1].shares, shares[1, best])


# ---- colours ----


def test_a_component_has_one_colour_whatever_the_picture_and_however_many_there_are():
    for K in (3, 30):
        model = gaussians(K)
        X = rows_of(model, 40 * K)
        ax = MixtureDisplay.from_estimator(model, X).ax_
        points, labels = ax.collections[0].get_facecolors(), model.predict(X)
        for k in range(K):
            np.testing.assert_allclose(points[labels == k][:, :3], np.tile(colour_of(k), (np.sum(labels == k), 1)))
        nodes = MixtureMap.from_estimator(model, n_samples=1000).plot().collections[-1]
        order = np.argsort(-model.weights_, kind="stable")
        np.testing.assert_allclose(nodes.get_facecolors(), [to_rgba(colour_of(k)) for k in order])
        legend = [own.get_text() for own in ax.get_legend().get_texts()]
        assert legend[0] == f"0: {1 / K:.0%}" if K == 3 else len(legend) == 30
        assert {text.get_text() for text in ax.texts} >= {str(k) for k in range(K)}
        plt.close("all")


def test_colours_differ_up_to_32_components():
    assert len({colour_of(k) for k in range(32)}) == 32
    assert colour_of(32) == colour_of(0)


# ---- hard cases and bad input ----


@pytest.mark.parametrize("kind", ["density", "contours", "profile", "uncertainty", "pairs"])
def test_two_hundred_components_one_alone_and_components_of_weight_zero(kind):
    for K in (1, 200):
        model = gaussians(K)
        assert MixtureDisplay.from_estimator(model, rows_of(model, 500), kind=kind).kind == kind
        plt.close("all")
    model = GaussianMixture.from_parameters(
        weights=[0.6, 0.4, 0.0], means=[[0.0, 0], [4, 4], [90, 90]], covariances=[np.eye(2)] * 3
    )
    display = MixtureDisplay.from_estimator(model, kind=kind)
    for panel in display.panels.values():
        if isinstance(panel, Plane):
            assert sorted(panel.contours) == [0, 1]
            assert panel.limits[0][1] < 30


def test_bad_input():
    X = np.random.default_rng(0).normal(size=(50, 3))
    model = GaussianMixture(2, random_state=0).fit(X)
    draw = MixtureDisplay.from_estimator
    with pytest.raises(NotFittedError):
        draw(GaussianMixture(), X)
    for wrong in (GaussianMixture, 3, "model"):
        with pytest.raises(TypeError, match="should be a fitted mixture of mixfast"):
            draw(wrong, X)
    with pytest.raises(ValueError, match="kind='pie' should be one of 'auto', 'density'"):
        draw(model, X, kind="pie")
    with pytest.raises(ValueError, match="max_points=0 should be a whole number of at least 1"):
        draw(model, X, max_points=0)
    for features in (["depth"], 3, -1, [0, True]):
        with pytest.raises(ValueError, match="there are 'column 0', 'column 1', 'column 2'"):
            draw(model, X, features=features)
    for features in ([], [1, 1]):
        with pytest.raises(ValueError, match="should name one column or more, each once"):
            draw(model, X, features=features)
    with pytest.raises(ValueError, match="kind='contours' draws two columns, got 1: take 'density'"):
        draw(model, X, features=0, kind="contours")
    with pytest.raises(ValueError, match="kind='contours' draws two columns, got 3: name two"):
        draw(model, X, features=[0, 1, 2], kind="contours")
    with pytest.raises(ValueError, match="2 features"):
        draw(model, X[:, :2])
    assert not plt.get_fignums()


def test_several_panels_take_the_place_of_the_axes_that_are_given():
    model = gaussians(2, d=3)
    figure, axes = plt.subplots(1, 2)
    display = MixtureDisplay.from_estimator(model, ax=axes[0])
    assert display.figure_ is figure
    assert axes[0] not in figure.axes
    assert axes[1] in figure.axes
    assert all(own.get_position().x1 < 0.55 for own in display.ax_)
    alone = plt.figure().add_axes((0.1, 0.1, 0.4, 0.4))
    display = MixtureDisplay.from_estimator(model, ax=alone)
    assert all(own.get_position().x1 < 0.51 for own in display.ax_)


# ---- experts ----


def test_experts_are_drawn_by_their_lines():
    rng = np.random.default_rng(0)
    x = pd.DataFrame({"dose": rng.uniform(0, 10, 200), "age": rng.normal(size=200)})
    y = np.where(rng.integers(2, size=200), 2 + 1.5 * x["dose"], 14 - 0.8 * x["dose"]) + rng.normal(0, 0.5, 200)
    model = MixtureOfExperts(2, random_state=0).fit(x, y)
    (panel,) = MixtureDisplay.from_estimator(model, x, y=y).panels.values()
    assert panel.column == "dose"
    medians = np.median(x["age"])
    frame = pd.DataFrame({"dose": panel.grid, "age": medians})
    np.testing.assert_allclose(panel.means, model.predict_components(frame))
    np.testing.assert_array_equal(panel.labels, model.labels(x, y))
    assert MixtureDisplay.from_estimator(model, x, y=y, features="age").panels[0, 0].column == "age"
    with pytest.raises(ValueError, match="pass X and y=y"):
        MixtureDisplay.from_estimator(model, x)
    with pytest.raises(ValueError, match="kind='pairs' is not for a MixtureOfExperts"):
        MixtureDisplay.from_estimator(model, x, y=y, kind="pairs")
    with pytest.raises(ValueError, match="should name one column of numbers"):
        MixtureDisplay.from_estimator(model, x, y=y, features=["dose", "age"])


def test_experts_of_several_responses_have_a_panel_for_each():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 2))
    own = rng.integers(2, size=120)
    eta = np.where(own, 1 + X[:, 1], -1 - X[:, 1])
    trials = rng.integers(0, 5, 120)
    successes = rng.binomial(trials, 1 / (1 + np.exp(-eta)))
    label = np.array(["a", "b", "c"])[np.digitize(eta + rng.logistic(size=120), [-1, 1])]
    y = [eta + 0.2 * rng.normal(size=120), np.column_stack([successes, trials - successes]), label]
    model = MixtureOfExperts(2, expert=["gaussian", "binomial", "multinomial"], random_state=0).fit(X, y)
    weights = np.where(np.arange(120) < 3, 0.0, 1.0)
    display = MixtureDisplay.from_estimator(model, X, y=y, sample_weight=weights)
    assert list(display.panels) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    panels = list(display.panels.values())
    said = ["y[0]", "y[1], share of successes", "y[2], share of a", "y[2], share of b", "y[2], share of c"]
    assert [panel.response for panel in panels] == [own.get_ylabel().replace("\n", " ") for own in display.ax_] == said
    assert {panel.column for panel in panels} == {"column 1"}
    grid = np.column_stack([np.full(200, np.median(X[3:, 0])), panels[0].grid])
    numbers, shares, classes = model.predict_components(grid)
    for panel, means in zip(panels, [numbers, shares, *np.moveaxis(classes, 2, 0)], strict=True):
        np.testing.assert_allclose(panel.means, means)
    np.testing.assert_array_equal(panels[0].y, y[0][3:])
    with np.errstate(invalid="ignore"):
        expected = successes[3:] / trials[3:]
    assert np.all(np.isnan(panels[1].y) == np.isnan(expected))  # no trials, no share
    assert np.nanmax(np.abs(panels[1].y - expected)) <= 0.03
    assert np.abs(panels[3].y - (label == "b")[3:]).max() <= 0.03
    # what a table calls its responses
    both = MixtureOfExperts(2, expert=["gaussian", "poisson"], random_state=0).fit(X, [y[0], successes])
    display = MixtureDisplay.from_estimator(both, X, y=pd.DataFrame({"price": y[0], "visits": successes}))
    assert [panel.response for panel in display.panels.values()] == ["price", "visits"]


def test_experts_by_a_formula_are_drawn_over_the_columns_of_the_table():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.uniform(0, 10, 200), "kind": rng.choice(["a", "b", "b"], 200), "beside": 1.0})
    curves = 5 * table["x"], 40 - (table["x"] - 5) ** 2
    table["y"] = np.where(rng.integers(2, size=200), *curves) + rng.normal(size=200)
    model = MixtureOfExperts.from_formula("y ~ x + I(x**2) + kind", table, n_components=2, random_state=0)
    (panel,) = MixtureDisplay.from_estimator(model, table).panels.values()
    assert (panel.column, panel.others) == ("x", " (1 other column at typical values)")
    frame = pd.DataFrame({"x": panel.grid, "kind": "b", "y": 0.0})
    np.testing.assert_allclose(panel.means, model.predict_components(frame))
    np.testing.assert_array_equal(panel.labels, model.labels(table))
    with pytest.raises(ValueError, match="should name one column of numbers"):
        MixtureDisplay.from_estimator(model, table, features="kind")
    with pytest.raises(ValueError, match="there are 'x', 'kind'"):
        MixtureDisplay.from_estimator(model, table, features="beside")


# ---- choices, batches, courses ----


def test_a_choice_is_shown_by_its_numbers():
    X = rows_of(gaussians(3), 150)
    chosen = select(X, GaussianMixture(), n_components=[1, 2, 3], covariance_type=["full", "diag"], random_state=0)
    display = SelectionDisplay.from_selection(chosen)
    for place, name in enumerate(["full", "diag"]):
        expected = [row["bic"] for row in chosen.table[3 * place :][:3]]
        np.testing.assert_array_equal(display.lines[name]["values"], expected)
    assert display.best == (chosen.best_params_["n_components"], chosen.table[chosen.best_index_]["bic"])
    assert display.ax_.get_ylabel() == "BIC"
    assert chosen.plot().get_ylabel() == "BIC"
    with pytest.raises(TypeError, match="should be a Selection"):
        SelectionDisplay.from_selection(chosen.best_)


def test_a_batch_is_shown_by_its_numbers():
    rng = np.random.default_rng(0)
    problems = [rng.normal(size=(40, 1)) + (8 * rng.integers(0, 2, (40, 1)) if i % 2 else 0) for i in range(20)]
    result = fit_many([*problems, np.full((40, 1), np.nan)], GaussianMixture(), n_components=[1, 2], random_state=0)
    display = BatchDisplay.from_result(result)
    assert sum(display.numbers.values()) == 20
    for n, count in display.numbers.items():
        assert count == np.sum(result.n_components[result.has_parameters] == n)
    assert display.statuses["without parameters"] == 1
    assert display.statuses["converged"] == np.sum(result.status & int(Status.CONVERGED) != 0)
    assert [own.get_xlabel() for own in display.ax_] == ["number of components", "problems"]
    with pytest.raises(TypeError, match="should be a BatchResult"):
        BatchDisplay.from_result([1])


@pytest.mark.parametrize("policy", ["all", "halving"])
@pytest.mark.parametrize("accelerate", [None, "auto"])
def test_all_starts_of_a_fit_are_shown_and_the_best_is_the_one_that_was_kept(policy, accelerate):
    X = rows_of(gaussians(6, spread=5.0), 300)
    model = GaussianMixture(
        6, n_init=5, init_params="random_from_data", n_init_policy=policy, accelerate=accelerate, random_state=0,
        tol=1e-5, max_iter=1000,
    ).fit(X)  # fmt: skip
    display = TraceDisplay.from_estimator(model, X)
    assert len(display.traces) == 5
    kept = display.traces[display.best]
    np.testing.assert_array_equal(kept[np.isfinite(kept)], model.lower_bounds_)
    alone = TraceDisplay.from_estimator(model)
    np.testing.assert_array_equal(alone.traces["lower bound"], model.lower_bounds_)
    with pytest.raises(TypeError, match="has no starts of its own"):
        TraceDisplay.from_estimator(DirichletProcessMixture(random_state=0).fit(X), X)


def test_traces_are_in_units_of_the_data():
    X = 1000 * rows_of(gaussians(2), 100)
    model = GaussianMixture(2, regularization="relative", random_state=0).fit(X)
    (trace,) = TraceDisplay.from_estimator(model, X).traces.values()
    np.testing.assert_allclose(trace, model.lower_bounds_)


# ---- how they look ----


def _faithful():
    rng = np.random.default_rng(0)
    return GaussianMixture.from_parameters(
        weights=[0.35, 0.65],
        means=[[2.0, 54.5], [4.3, 80.0]],
        covariances=[[[0.07, 0.44], [0.44, 33.7]], [[0.17, 0.94], [0.94, 36.0]]],
    ), np.concatenate(
        [
            rng.multivariate_normal([2.0, 54.5], [[0.07, 0.44], [0.44, 33.7]], 90),
            rng.multivariate_normal([4.3, 80.0], [[0.17, 0.94], [0.94, 36.0]], 170),
        ]
    )


def _one_column(K, outliers=()):
    model = gaussians(K, d=1)
    return model, np.concatenate([rows_of(model, 30 * K), np.reshape(outliers, (-1, 1))])


def _product():
    rng = np.random.default_rng(0)
    model = ProductMixture.from_parameters(
        parts=[("job", Categorical()), ("height", Gaussian()), ("visits", Poisson())],
        weights=[0.4, 0.6],
        components={
            "job": {"categories": [["clerk", "cook", "smith"]], "probabilities": [[[0.1, 0.2, 0.7], [0.6, 0.2, 0.2]]]},
            "height": {"means": [[160.0], [182.0]], "covariances": [[[36.0]], [[49.0]]]},
            "visits": {"rates": [[1.0], [7.0]]},
        },
        feature_names=["job", "height", "visits"],
    )
    rows, _ = model.sample(200, random_state=rng.integers(99))
    return model, pd.DataFrame(rows, columns=["job", "height", "visits"]).astype({"height": float, "visits": int})


def _gamma():
    return GammaMixture.from_parameters(weights=[0.5, 0.5], shapes=[[2, 9.0], [20, 2]], scales=[[1, 0.5], [0.5, 3]])


def _selection():
    numbers = np.arange(1, 6)
    lines = {
        name: {"n_components": numbers, "values": np.array(values), "spurious": numbers == 5}
        for name, values in (("full", [900, 700, 710, 730, 740]), ("diag", [950, 760, 690, 705, np.nan]))
    }
    return SelectionDisplay(lines=lines, best=(3, 690.0), label="BIC")


def _trace():
    passes = np.arange(40)
    traces = {f"start {i}": -5 + 0.1 * i - (1 + i) * np.exp(-passes / (3 + 3 * i)) for i in range(4)}
    return TraceDisplay(traces=traces, best="start 3", xlabel="iteration", ylabel="lower bound (nats)")


def _of(pair, **options):
    return lambda ax: MixtureDisplay.from_estimator(*pair(), ax=ax, **options)


LOOKS = {
    "density": _of(lambda: _one_column(3)),
    "density of 30 components": _of(lambda: _one_column(30)),
    "density with outliers": _of(lambda: _one_column(2, [1e5, -1e4])),
    "counts": _of(lambda: (PoissonMixture.from_parameters(weights=[0.6, 0.4], rates=[[2.0], [11.0]]),)),
    "contours": _of(_faithful),
    "contours of 30 components": _of(lambda: (gaussians(30), rows_of(gaussians(30), 900))),
    "contours of gamma": _of(lambda: (_gamma(),)),
    "uncertainty": _of(lambda: (gaussians(3, spread=3.0), rows_of(gaussians(3, spread=3.0), 300)), kind="uncertainty"),
    "pairs": _of(lambda: (gaussians(3, d=4, spread=6.0), rows_of(gaussians(3, d=4, spread=6.0), 300))),
    "mixed columns": _of(_product),
    "profile": _of(
        lambda: (BernoulliMixture.from_parameters(
            weights=[0.5, 0.3, 0.2], probabilities=np.random.default_rng(0).uniform(size=(3, 10))),)
    ),
    "words": _of(
        lambda: (MultinomialMixture.from_parameters(
            weights=[0.5, 0.3, 0.2], probabilities=np.random.default_rng(0).dirichlet(np.full(60, 0.2), 3)),)
    ),
    "choice": lambda ax: _selection().plot(ax),
    "batch": lambda ax: BatchDisplay(
        numbers={1: 40, 2: 150, 3: 10}, statuses={"converged": 196, "max iter": 4}, n_problems=200,
        label="number of components",
    ).plot(ax),
    "trace": lambda ax: _trace().plot(ax),
    "map of 30 components": lambda ax: MixtureMap.from_estimator(gaussians(30, spread=8.0), n_samples=1000).plot(ax),
}  # fmt: skip

#: Root mean square difference of pictures, 255 being white against black, which leaves room for versions of matplotlib
#: that draw the edges of lines a little otherwise. The same picture, one pixel to the side, is farther away.
TOLERANCE = 8.0


def rendered(name):
    """(height, width, 3), 0 to 255, without any writing, which fonts would make different."""
    from matplotlib.text import Text

    figure = plt.figure(figsize=(4, 3), dpi=44)
    LOOKS[name](figure.add_axes((0.04, 0.04, 0.92, 0.92)))
    for text in figure.findobj(Text):
        text.set_visible(False)
    for ax in figure.axes:
        if ax.get_legend() is not None:
            ax.get_legend().remove()
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(np.float64)


def distance(one, other):
    return np.sqrt(np.mean((one - other) ** 2))


@pytest.mark.parametrize("name", LOOKS)
def test_pictures_look_as_they_did_when_they_were_looked_at(name):
    kept = 255 * plt.imread(PICTURES / f"{name.replace(' ', '_')}.png")[..., :3]
    assert distance(rendered(name), kept) < TOLERANCE


def test_the_tolerance_tells_pictures_apart_and_they_are_few_and_small():
    files = sorted(PICTURES.glob("*.png"))
    assert len(files) == len(LOOKS) <= 20
    assert all(file.stat().st_size < 20_000 for file in files)
    kept = [255 * plt.imread(file)[..., :3] for file in files]
    for i, one in enumerate(kept):
        assert all(distance(one, other) > 2 * TOLERANCE for other in kept[:i])
        assert distance(one, np.roll(one, 1, axis=1)) > TOLERANCE


def test_plot_mixture_is_the_display():
    model, X = _faithful()
    _, ax = plt.subplots()
    assert plot_mixture(model, X, ax=ax) is ax
    assert len(plot_mixture(gaussians(2, d=3))) == 6
    assert isinstance(plot_mixture(model, X, kind="profile").images[0].get_array(), np.ndarray)


if __name__ == "__main__":  # draws the pictures anew: look at each
    PICTURES.mkdir(exist_ok=True)
    for each in LOOKS:
        plt.imsave(PICTURES / f"{each.replace(' ', '_')}.png", rendered(each).astype(np.uint8))
        plt.close("all")
