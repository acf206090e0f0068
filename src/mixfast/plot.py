"""Pictures: functions that draw on an Axes of matplotlib, which they import when called, and return it.

`mixture` is also `mixfast.plot_mixture`. The others take what they draw from the model by its name, so that they are
there for every model that has it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from mixfast._typing import Column, RowsLike
from mixfast.estimators.bayesian_gaussian_mixture import BayesianGaussianMixture
from mixfast.estimators.dirichlet_process_mixture import DirichletProcessMixture
from mixfast.estimators.gaussian_mixture import GaussianMixture
from mixfast.moves import PRESENT

#: Ellipses hold these shares of a component's mass.
ELLIPSE_SHARES = (0.5, 0.95)
#: Points in a picture at most; more only blacken it.
MAX_POINTS = 5000
#: Rows in a matrix of pairs at most: as many as pixels, about.
MAX_ROWS = 1000
#: What has draws, in errors.
SAMPLED = "a DirichletProcessMixture fitted with algorithm='sampler'"


def plot_mixture(model: Any, X: RowsLike, features: tuple[Column, Column] = (0, 1), ax: Any = None) -> Any:
    """Draw rows and the Gaussian components fitted to them.

    With one column: a histogram of the rows, the mixture's density and each component's part of it. With more: two of
    the columns, rows coloured by their most likely component, and for each component the ellipses that hold 50 % and
    95 % of its mass in these two columns. Of more than 5,000 rows that many are shown, drawn at random, always the
    same.

    Components of a posterior are drawn as the Gaussians of `weights_`, `means_` and `covariances_`, which are
    expectations; those with less than half a row, which are the prior, have no ellipses.

    Parameters
    ----------
    model : GaussianMixture, BayesianGaussianMixture or DirichletProcessMixture
        Fitted; of the last one with Gaussian components. The density of a Dirichlet process mixture of one column is
        the posterior predictive one, `score_samples`, of which components are no parts to the letter: draws of
        `algorithm="sampler"` are averaged for it, and the components are those of the point partition, `labels_`.
    X : array-like of shape (n_samples, n_features)
        The rows to draw.
    features : pair of int or str, default=(0, 1)
        The columns to draw, by number or, where the model was fitted to a data frame, by name.
    ax : matplotlib Axes, default=None
        None makes a figure of its own.

    Returns
    -------
    ax : matplotlib Axes
        What was drawn on.

    Raises
    ------
    TypeError
        For a model that is not a Gaussian mixture.
    ValueError
        For columns that the model does not have.
    """
    if not isinstance(model, GaussianMixture | BayesianGaussianMixture | DirichletProcessMixture):
        raise TypeError(
            "plot_mixture draws a GaussianMixture, a BayesianGaussianMixture or a DirichletProcessMixture, got a "
            f"{type(model).__name__}"
        )
    if not hasattr(model, "covariance_matrices"):
        raise TypeError(f"plot_mixture draws Gaussian components, got component={model.component!r}")
    check_is_fitted(model)
    rows = np.asarray(X, dtype=float)
    names = list(getattr(model, "feature_names_in_", [f"column {j}" for j in range(rows.shape[1])]))
    features = [names.index(feature) if feature in names else feature for feature in features]
    n_features = rows.shape[1]
    if n_features > 1 and (len(features) != 2 or not all(feature in range(n_features) for feature in features)):
        raise ValueError(f"features={features} should be two of the model's {n_features} columns, by number or name")
    ax = _axes(ax)
    if rows.shape[1] == 1:
        _plot_density(model, X, rows[:, 0], ax)
        ax.set(xlabel=names[0], ylabel="density")
    else:
        _plot_ellipses(model, X, rows, features, ax)
        ax.set(xlabel=names[features[0]], ylabel=names[features[1]])
    return ax


mixture = plot_mixture


def n_clusters(model: Any, ax: Any = None) -> Any:
    """Draw the posterior of the number of clusters, a bar for each number.

    Parameters
    ----------
    model : object or dict
        Fitted, with `n_clusters_posterior_`, as `DirichletProcessMixture` has it after `algorithm="sampler"`; or that
        posterior itself, {number of clusters: probability}.
    ax : matplotlib Axes, default=None
        None makes a figure of its own.

    Returns
    -------
    ax : matplotlib Axes
        What was drawn on.

    Raises
    ------
    TypeError
        For a model that has no posterior of the number of clusters.
    """
    posterior = model if isinstance(model, dict) else _attribute(model, "n_clusters", "n_clusters_posterior_", SAMPLED)
    ax = _axes(ax)
    numbers = sorted(posterior)
    ax.bar(numbers, [posterior[number] for number in numbers])
    ax.set(xlabel="number of clusters", ylabel="posterior probability")
    ax.xaxis.get_major_locator().set_params(integer=True)
    return ax


def trace(model: Any, ax: Any = None) -> Any:
    """Draw the course of a fit: the lower bound after each iteration, or the log joint of each draw.

    Parameters
    ----------
    model : object
        Fitted, with `log_joint_draws_`, an array (n_draws,), as `DirichletProcessMixture` has it after
        `algorithm="sampler"`, or (n_chains, n_draws), a line for each chain; else with `lower_bounds_`, as every
        mixture that is fitted by iterations has it.
    ax : matplotlib Axes, default=None
        None makes a figure of its own.

    Returns
    -------
    ax : matplotlib Axes
        What was drawn on.

    Raises
    ------
    TypeError
        For a model that has neither.
    """
    check_is_fitted(model)
    if hasattr(model, "log_joint_draws_"):
        values, xlabel, ylabel = np.asarray(model.log_joint_draws_), "draw", "log joint (nats)"
    else:
        wanted = "a mixture that is fitted by iterations"
        values, xlabel, ylabel = _attribute(model, "trace", "lower_bounds_", wanted), "iteration", "lower bound (nats)"
    ax = _axes(ax)
    for line in np.atleast_2d(values):
        # a single value has no line
        ax.plot(np.arange(1, len(line) + 1), line, marker="o" if len(line) == 1 else None)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.xaxis.get_major_locator().set_params(integer=True)
    return ax


def coclustering(model: Any, rows: ArrayLike | None = None, ax: Any = None, max_rows: int = MAX_ROWS) -> Any:
    """Draw how often two rows share a cluster, in the order of the point partition.

    White is never, black always; lines divide the clusters of the point partition, `labels_`. Within a cluster rows
    keep the order that they have in `rows`.

    Parameters
    ----------
    model : object
        Fitted, with a method `coclustering(rows)` and `labels_`, as `DirichletProcessMixture` has them after
        `algorithm="sampler"`.
    rows : int array-like of shape (n_chosen,), default=None
        Numbers of the rows to draw; None is all of them.
    ax : matplotlib Axes, default=None
        None makes a figure of its own.
    max_rows : int, default=1000
        Of more rows that many are shown, drawn at random, always the same.

    Returns
    -------
    ax : matplotlib Axes
        What was drawn on.

    Raises
    ------
    TypeError
        For a model that has no draws of partitions.
    ValueError
        For numbers of rows that are none of the model's.
    """
    pairs = _attribute(model, "coclustering", "coclustering", SAMPLED)
    labels = np.asarray(_attribute(model, "coclustering", "labels_", SAMPLED))
    rows = np.arange(len(labels)) if rows is None else np.asarray(rows)
    if rows.ndim != 1 or not len(rows) or rows.dtype.kind not in "iu" or rows.min() < 0 or rows.max() >= len(labels):
        raise ValueError(f"rows={rows} should be numbers of rows from 0 to {len(labels) - 1}")
    rows = rows[_shown(len(rows), max_rows)]
    rows = rows[np.argsort(labels[rows], kind="stable")]
    ax = _axes(ax)
    image = ax.imshow(pairs(rows), cmap="Greys", vmin=0, vmax=1, interpolation="nearest")
    for place in np.flatnonzero(np.diff(labels[rows])) + 0.5:
        ax.axhline(place, color="tab:red", linewidth=0.7)
        ax.axvline(place, color="tab:red", linewidth=0.7)
    ax.set(xlabel="rows, by cluster", ylabel="rows, by cluster")
    ax.figure.colorbar(image, ax=ax, label="probability of one cluster")
    return ax


def _attribute(model, function, name, wanted):
    """An attribute of a fitted model; TypeError where it has none."""
    check_is_fitted(model)
    if not hasattr(model, name):
        raise TypeError(f"{function} draws {name}, which this {type(model).__name__} has not: pass {wanted}")
    return getattr(model, name)


def _axes(ax):
    """The Axes given, or those of a new figure."""
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1] if ax is None else ax


def _colours(n_components):
    """A colour for each component; they repeat after twenty, beyond which no palette keeps them apart."""
    import matplotlib as mpl

    palette = mpl.colormaps["tab10" if n_components <= 10 else "tab20"].colors
    return [palette[k % len(palette)] for k in range(n_components)]


def _plot_density(model, X, values, ax):
    variances = model.covariance_matrices()[:, 0, 0]
    margin = 0.1 * np.ptp(values) or 3 * np.sqrt(variances.max())  # of rows that are all equal
    grid = np.linspace(values.min() - margin, values.max() + margin, 500)
    ax.hist(values, bins="auto", density=True, color="0.85")
    parts = model.weights_ * np.exp(-((grid[:, np.newaxis] - model.means_[:, 0]) ** 2) / (2 * variances))
    parts = parts / np.sqrt(2 * np.pi * variances)
    total = parts.sum(axis=1)
    if isinstance(model, DirichletProcessMixture):
        column = grid[:, np.newaxis]
        # a model that knows names of columns asks for them
        total = np.exp(model.score_samples(type(X)({X.columns[0]: grid}) if hasattr(X, "columns") else column))
    ax.plot(grid, total, color="black", linewidth=3, alpha=0.6)
    for part, colour in zip(parts.T, _colours(len(variances)), strict=True):
        ax.plot(grid, part, color=colour)


def _shown(n_rows, most=MAX_POINTS):
    """Numbers of the rows to show, in order. Every second row, or every third, would miss what alternates."""
    if n_rows <= most:
        return np.arange(n_rows)
    return np.sort(np.random.default_rng(0).choice(n_rows, most, replace=False))


def _present(model):
    """Which components to draw. Of a posterior those without rows are the prior, as wide as all rows."""
    if isinstance(model, BayesianGaussianMixture):
        return model._mixing() >= PRESENT
    if isinstance(model, DirichletProcessMixture):
        return np.asarray(model.counts_) >= PRESENT
    return model.weights_ > 0


def _plot_ellipses(model, X, rows, features, ax):
    from matplotlib.patches import Ellipse

    colours = np.array(_colours(len(model.weights_)))
    pair, shown = list(features), _shown(len(rows))
    ax.scatter(*rows[np.ix_(shown, pair)].T, s=8, c=colours[model.predict(X)[shown]], alpha=0.5, linewidths=0)
    for mean, matrix, present, colour in zip(
        model.means_, model.covariance_matrices(), _present(model), colours, strict=True
    ):
        if not present:
            continue
        lengths, directions = np.linalg.eigh(matrix[np.ix_(pair, pair)])
        angle = np.degrees(np.arctan2(directions[1, 1], directions[0, 1]))
        for share in ELLIPSE_SHARES:
            # the squared distance has a chi-squared distribution with two degrees of freedom
            radius = np.sqrt(-2 * np.log1p(-share) * np.maximum(lengths, 0))
            ax.add_patch(Ellipse(mean[pair], 2 * radius[1], 2 * radius[0], angle=angle, fill=False, color=colour))
        ax.plot(*mean[pair], marker="+", color="black")
    ax.autoscale_view()
