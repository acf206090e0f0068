"""Pictures: functions that draw on an Axes of matplotlib, which they import when called, and return it.

`mixture` is also `mixfast.plot_mixture`.
"""

from __future__ import annotations

import numpy as np
from sklearn.utils.validation import check_is_fitted

from mixfast.estimators.gaussian_mixture import GaussianMixture

#: Ellipses hold these shares of a component's mass.
ELLIPSE_SHARES = (0.5, 0.95)
#: Points in a picture at most; more only blacken it.
MAX_POINTS = 5000


def plot_mixture(model, X, features=(0, 1), ax=None):
    """Draw rows and the Gaussian components fitted to them.

    With one column: a histogram of the rows, the mixture's density and each component's part of it. With more: two of
    the columns, rows coloured by their most likely component, and for each component the ellipses that hold 50 % and
    95 % of its mass in these two columns. Of more than 5,000 rows that many are shown, drawn at random, always the
    same.

    Parameters
    ----------
    model : GaussianMixture
        Fitted.
    X : array-like of shape (n_samples, n_features)
    features : pair of int or str, default=(0, 1)
        The columns to draw, by number or, where the model was fitted to a data frame, by name.
    ax : matplotlib Axes, default=None
        None makes a figure of its own.

    Returns
    -------
    ax : matplotlib Axes

    Raises
    ------
    TypeError
        For a model that is not a Gaussian mixture.
    ValueError
        For columns that the model does not have.
    """
    import matplotlib.pyplot as plt

    if not isinstance(model, GaussianMixture):
        raise TypeError(f"plot_mixture draws a GaussianMixture, got a {type(model).__name__}")
    check_is_fitted(model)
    rows = np.asarray(X, dtype=float)
    names = list(getattr(model, "feature_names_in_", [f"column {j}" for j in range(rows.shape[1])]))
    features = [names.index(feature) if feature in names else feature for feature in features]
    n_features = rows.shape[1]
    if n_features > 1 and (len(features) != 2 or not all(feature in range(n_features) for feature in features)):
        raise ValueError(f"features={features} should be two of the model's {n_features} columns, by number or name")
    if ax is None:
        _, ax = plt.subplots(layout="constrained")
    if rows.shape[1] == 1:
        _plot_density(model, rows[:, 0], ax)
        ax.set(xlabel=names[0], ylabel="density")
    else:
        _plot_ellipses(model, X, rows, features, ax)
        ax.set(xlabel=names[features[0]], ylabel=names[features[1]])
    return ax


mixture = plot_mixture


def _colours(n_components):
    """A colour for each component; they repeat after twenty, beyond which no palette keeps them apart."""
    import matplotlib as mpl

    palette = mpl.colormaps["tab10" if n_components <= 10 else "tab20"].colors
    return [palette[k % len(palette)] for k in range(n_components)]


def _plot_density(model, values, ax):
    margin = 0.1 * np.ptp(values)
    grid = np.linspace(values.min() - margin, values.max() + margin, 500)
    ax.hist(values, bins="auto", density=True, color="0.85")
    variances = model.covariance_matrices()[:, 0, 0]
    parts = model.weights_ * np.exp(-((grid[:, np.newaxis] - model.means_[:, 0]) ** 2) / (2 * variances))
    parts = parts / np.sqrt(2 * np.pi * variances)
    ax.plot(grid, parts.sum(axis=1), color="black", linewidth=3, alpha=0.6)
    for part, colour in zip(parts.T, _colours(len(variances)), strict=True):
        ax.plot(grid, part, color=colour)


def _shown(n_rows):
    """Numbers of the rows to show, in order. Every second row, or every third, would miss what alternates."""
    if n_rows <= MAX_POINTS:
        return np.arange(n_rows)
    return np.sort(np.random.default_rng(0).choice(n_rows, MAX_POINTS, replace=False))


def _plot_ellipses(model, X, rows, features, ax):
    from matplotlib.patches import Ellipse

    colours = np.array(_colours(len(model.weights_)))
    pair, shown = list(features), _shown(len(rows))
    ax.scatter(*rows[np.ix_(shown, pair)].T, s=8, c=colours[model.predict(X)[shown]], alpha=0.5, linewidths=0)
    for mean, matrix, weight, colour in zip(
        model.means_, model.covariance_matrices(), model.weights_, colours, strict=True
    ):
        if weight == 0:
            continue
        lengths, directions = np.linalg.eigh(matrix[np.ix_(pair, pair)])
        angle = np.degrees(np.arctan2(directions[1, 1], directions[0, 1]))
        for share in ELLIPSE_SHARES:
            # the squared distance has a chi-squared distribution with two degrees of freedom
            radius = np.sqrt(-2 * np.log1p(-share) * np.maximum(lengths, 0))
            ax.add_patch(Ellipse(mean[pair], 2 * radius[1], 2 * radius[0], angle=angle, fill=False, color=colour))
        ax.plot(*mean[pair], marker="+", color="black")
    ax.autoscale_view()
