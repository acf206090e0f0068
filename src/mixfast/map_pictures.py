"""Pictures of maps: functions that draw on an Axes of matplotlib, which they import when called, and return it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
from scipy.spatial.distance import squareform

from mixfast.canvas import NONE, axes_of, colour_of, greys, is_dark, some_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Areas of nodes in square points: of all together, of the largest at most, of each at least. An Axes has some 100,000.
TOTAL, LARGEST, LEAST = 14_000.0, 2500.0, 30.0
#: Width of the line of the largest similarity, and the least width, in points.
WIDEST, THINNEST = 8.0, 0.5
#: Values are written into the heatmap of at most so many components.
WRITTEN = 15
#: Names are written for at most so many components, those of the largest weights.
NAMED = 60


def _areas(weights: np.ndarray) -> np.ndarray:
    return np.maximum(min(TOTAL, LARGEST / float(np.max(weights))) * weights, LEAST)


def nodes(found: Any, ax: Axes | None = None) -> Axes:
    """Components at their positions, neighbours joined."""
    ax = axes_of(ax, figsize=(7, 5.2))
    _frame(ax, found.positions)
    _draw_nodes(found, ax, 1.0)
    return ax


def _draw_nodes(found, ax, share):
    """Draw nodes and lines; `share` scales the areas of the nodes."""
    colours = [colour_of(k) for k in range(len(found.weights))]
    areas = share * _areas(found.weights)
    _lines(found, ax)
    order = np.argsort(-found.weights, kind="stable")  # the smallest is drawn last, on top
    ax.scatter(
        *found.positions[order].T,
        s=areas[order],
        c=[colours[k] for k in order],
        edgecolors="white",
        linewidths=1.2,
        zorder=3,
        clip_on=False,
    )
    for k in order[:NAMED]:
        _write(ax, found.names[k], found.positions[k], areas[k], colours[k])
    ax.set_xlabel(f"two dimensions show {found.shown:.0%} of the spread")
    _legend(found, ax, float(np.max(areas)))


def _lines(found, ax):
    from matplotlib.collections import LineCollection

    if not len(found.neighbours):
        return
    i, j = found.neighbours[::-1].T  # the widest line is drawn last, on top
    similarity = found.similarity[i, j]
    widths = np.maximum(WIDEST * similarity / found.similarity.max(), THINNEST)
    ends = np.stack([found.positions[i], found.positions[j]], axis=1)
    ax.add_collection(LineCollection(ends, linewidths=widths, colors="0.6", zorder=2, capstyle="round"))


def _write(ax, name, position, area, colour):
    """Write a name inside its node where it fits, else beside it."""
    radius = np.sqrt(area / np.pi)
    fits = 3.2 * len(name) < radius and radius > 6
    if fits:
        ax.annotate(name, position, ha="center", va="center", color="white" if is_dark(colour) else "black", zorder=4)
    else:
        offset = (0.75 * radius + 2, 0.75 * radius + 2)
        ax.annotate(name, position, offset, textcoords="offset points", fontsize="small", zorder=4)


def _frame(ax, points):
    """Set limits with a margin around the points, equal scales, and no ticks: only distances have a meaning."""
    low, high = points.min(axis=0), points.max(axis=0)
    width = float(np.max(high - low)) or 1.0
    half = np.maximum((high - low) / 2, 0.3 * width) + 0.18 * width
    centre = (high + low) / 2
    ax.set(
        xlim=(centre[0] - half[0], centre[0] + half[0]),
        ylim=(centre[1] - half[1], centre[1] + half[1]),
        xticks=[],
        yticks=[],
        aspect="equal",
    )


#: measure -> what the width of a line means, for the legend.
SAID = {"overlap": "overlap", "bhattacharyya": "coefficient", "jensen-shannon": "similarity"}


def _legend(found, ax, largest):
    """A legend of the areas of nodes and the widths of lines."""
    from matplotlib.lines import Line2D

    handles, heaviest = [], float(np.max(found.weights))
    for weight in sorted({_rounded(heaviest), _rounded(heaviest / 4)}, reverse=True):
        size = np.sqrt(max(weight * largest / heaviest, LEAST))
        handles.append(Line2D([], [], marker="o", ls="", ms=size, color="0.8", label=f"weight {weight:.2g}"))
    if len(found.neighbours):
        most = float(found.similarity.max())
        for similarity in sorted({_rounded(most), _rounded(most / 4)}, reverse=True):
            width = max(WIDEST * similarity / most, THINNEST)
            handles.append(Line2D([], [], lw=width, color="0.6", label=f"{SAID[found.measure]} {similarity:.2g}"))
    room = np.sqrt(largest) / 10  # matplotlib wants units of the font size
    ax.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        frameon=False,
        handlelength=max(2.5, room),
        labelspacing=max(0.8, 0.45 * room),
        borderpad=max(0.4, 0.3 * room),
    )


def _rounded(value: float) -> float:
    """Rounded to one significant digit."""
    return float(f"{value:.1g}")


def heatmap(found: Any, ax: Axes | None = None) -> Axes:
    """The matrix of overlaps, similar components side by side."""
    from matplotlib.colors import PowerNorm

    K = len(found.weights)
    ax = axes_of(ax, figsize=(6.5, 5.5))
    order = _side_by_side(found)
    shown = found.overlap[np.ix_(order, order)]
    np.fill_diagonal(shown, np.nan)
    most = float(np.nanmax(shown)) if K > 1 else 1.0
    # a scale of roots: overlaps of a hundredth matter
    image = ax.imshow(shown, cmap="Blues", norm=PowerNorm(0.5, vmin=0, vmax=most or 1.0), interpolation="nearest")
    ax.set_facecolor("0.85")
    places = np.arange(0, K, -(-K // 40))
    names = [found.names[order[k]] for k in places]
    is_crowded = K > 20 or max(map(len, names)) > 2
    ax.set_xticks(places, names, rotation=90 if is_crowded else 0)
    ax.set_yticks(places, names)
    ax.set(xlabel="taken for component", ylabel="rows of component")
    if 1 < K <= WRITTEN:
        for (i, j), value in np.ndenumerate(shown):
            if i != j:
                said = f"{value:.2g}" if value >= 1e-3 or value == 0 else "<.001"
                colour = "white" if value > 0.4 * most else "black"
                ax.text(j, i, said, ha="center", va="center", color=colour, fontsize=8)
    ax.figure.colorbar(image, ax=ax, label="overlap")
    return ax


def _side_by_side(found):
    """An order of the components in which similar ones are neighbours: the leaves of average linkage."""
    K = len(found.weights)
    if K < 3:
        return np.arange(K)
    distance = -np.log1p(found.similarity)
    places = squareform(distance - distance.min(), checks=False)
    return leaves_list(optimal_leaf_ordering(linkage(places, "average"), places))


def rows(found: Any, ax: Axes | None = None) -> Axes:
    """The rows of a map, in the colours of their components, and the nodes above them."""
    if found.row_positions is None:
        raise ValueError("kind='rows' draws rows: make the map with them, MixtureMap.from_estimator(model, X)")
    ax = axes_of(ax, figsize=(7, 5.8))
    inside = np.quantile(found.row_positions, [0.005, 0.995], axis=0)  # so that outliers do not set the limits
    _frame(ax, np.concatenate([found.positions, inside]))
    points = ax.scatter(
        found.row_positions[:, 0],
        found.row_positions[:, 1],
        s=8,
        c=found.row_uncertainty,
        cmap=greys(),
        vmin=0,
        vmax=0.7,
        linewidths=0,
        zorder=1,
    )
    _draw_nodes(found, ax, 0.3)
    ax.figure.colorbar(points, ax=ax, location="bottom", shrink=0.5, label="uncertainty of a row")
    return ax


#: kind of `MixtureMap.plot` -> the function that draws it.
KINDS = {"nodes": nodes, "heatmap": heatmap, "rows": rows}


def tree(found: Any, ax: Axes | None = None) -> Axes:
    """The dendrogram of a tree of merges."""
    from scipy.cluster.hierarchy import dendrogram

    ax = axes_of(ax, figsize=(7, 4.5))
    K = len(found.entropy)
    if K > 1:
        dendrogram(
            found.linkage, ax=ax, color_threshold=0, above_threshold_color="0.3", leaf_rotation=0 if K <= 30 else 90
        )
    else:
        ax.set_xticks([0], ["0"])
    ax.set(xlabel="component", ylabel=HEIGHTS[found.criterion])
    return ax


#: criterion of a merge tree -> label of the axis of heights.
HEIGHTS = {
    "entropy": "fall of the entropy so far (nats)",
    "icl": "rise of the log likelihood of labels so far",
    "overlap": "1 - overlap, added up",
}


def entropies(found: Any, ax: Axes | None = None) -> Axes:
    """The entropy over the number of clusters, with the two lines that fit it best."""
    from matplotlib.ticker import MaxNLocator

    ax = axes_of(ax, figsize=(6, 4.5))
    numbers = np.arange(1, len(found.entropy) + 1)
    bend = found.bend()
    if bend is not None:
        for first, last in ((1, bend), (bend, len(numbers))):
            x, y = numbers[first - 1 : last], found.entropy[first - 1 : last]
            ax.plot(x, np.polyval(np.polyfit(x, y, 1), x), color="0.7", linewidth=3, zorder=1)
        ax.annotate(
            f"bends at {bend}",
            (bend, found.entropy[bend - 1]),
            (-30, 24),
            textcoords="offset points",
            ha="center",
            arrowprops={"arrowstyle": "-", "color": "0.4"},
        )
    ax.plot(numbers, found.entropy, marker="o", color=colour_of(0), zorder=2)
    ax.set(xlabel="number of clusters", ylabel="entropy of the classification (nats)")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return ax


#: kind of `MergeTree.plot` -> the function that draws it.
TREES = {"tree": tree, "entropy": entropies}


#: The picture of a batch shows at most so many points.
MAX_POINTS = 20_000


def batch(found: Any, ax: Axes | None = None) -> Axes:
    """The components of all problems, in the colours of the reference's components that they are matched with."""
    ax = axes_of(ax, figsize=(7, 5.2))
    K, n = len(found.reference_weights), len(found.matched)
    shown = some_rows(n, MAX_POINTS)
    size = float(np.clip(20_000 / max(len(shown), 1), 4, 30))
    for k in (-1, *range(K)):
        own = shown[found.matched[shown] == k]
        colour = NONE if k < 0 else colour_of(k)
        ax.scatter(
            found.positions[own, 0],
            found.positions[own, 1],
            s=size,
            color=[colour],
            alpha=0.5,
            linewidths=0,
            zorder=1 if k < 0 else 2,
        )
    for k, position in enumerate(found.reference_positions):
        ax.scatter(position[0], position[1], s=110, facecolors="none", edgecolors="black", linewidths=1.2, zorder=3)
        ax.annotate(str(k), position, (7, 7), textcoords="offset points", fontweight="bold", zorder=4)
    ax.set(xlabel=found.axes[0], ylabel=found.axes[1])
    ax.set_title(
        f"components of {len(np.unique(found.problems)):,} problems; circled: the reference's", fontsize="medium"
    )
    return ax
