"""The panels of `MixtureDisplay`: classes that hold what a panel shows as arrays, and draw it on an Axes.

Panels serve every family: they use the kinds of its columns (`ColumnKind`), marginal distributions (`margin`), log
densities and draws.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixfast.canvas import NONE, colour_of, dashes_of, greys, is_dark, limits_of
from mixfast.families.family import ColumnKind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mixfast.relations import Components

#: Contours enclose these shares of a component's probability.
SHARES = (0.5, 0.95)
#: Number of draws from a component that its range and the levels of its contours are estimated from.
N_DRAWS = 400
#: Grid points along an axis: of the density of a column, of the contours of a component.
N_GRID, N_CONTOUR = 400, 60
#: A column of integers over a wider range than this is drawn as a curve, not as bars.
MOST_BARS = 120
#: A profile writes values into up to so many cells.
WRITTEN = 120
#: How many words a panel of top words has.
N_WORDS = 8
#: How many components, those of the largest weights, have their numbers written in a plane; their names in a legend.
NUMBERED, LISTED = 60, 40
#: How uniform noise, which has no colour of a component, is drawn.
NOISE_DASHES = (0, (1, 1))


class Looks(NamedTuple):
    """What all panels of a picture share.

    names : list of str, of the components
    weights : float64 (n_components,)
    present : bool (n_components,), which are drawn
    noise : the weight of uniform noise, which is no component
    """

    names: list[str]
    weights: NDArray[np.float64]
    present: NDArray[np.bool_]
    noise: float = 0.0

    def drawn(self) -> NDArray[np.intp]:
        """Indices of the components that are drawn, in ascending order of weight."""
        order = np.argsort(-self.weights, kind="stable")
        return order[self.present[order]]


# ---- one column -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Density:
    """Rows of one column, the density of the mixture, and each component's part of it.

    Attributes
    ----------
    column : str
    grid : ndarray of shape (n_points,)
    total : ndarray of shape (n_points,)
    parts : ndarray of shape (n_points, n_components)
        They add up to the total, or leave of it what is uniform noise.
    edges, heights : ndarray of shape (n_bars + 1,), (n_bars,)
        The histogram: shares of all rows, divided by widths. Empty without rows.
    limits : tuple of float
    n_outside : int
        Rows beyond the limits.
    is_lattice : bool
        Whether values are so few whole numbers that each has a bar and dots.
    categories : list of str or None
        What the whole numbers are called.
    """

    column: str
    grid: NDArray[np.float64]
    total: NDArray[np.float64]
    parts: NDArray[np.float64]
    edges: NDArray[np.float64]
    heights: NDArray[np.float64]
    limits: tuple[float, float]
    n_outside: int
    is_lattice: bool
    categories: list[str] | None = None
    uncertainty: NDArray[np.float64] | None = None

    def draw(self, ax: Axes, looks: Looks, is_small: bool = False) -> None:
        """Bars of rows, the mixture in black, components in their colours."""
        from matplotlib.ticker import MaxNLocator

        if len(self.heights):
            width = 0.85 if self.is_lattice else 1.0
            ax.bar(self.edges[:-1] + np.diff(self.edges) / 2, self.heights, width * np.diff(self.edges), color="0.85")
        drawn, top = looks.drawn(), self._top()
        if self.is_lattice:
            self._dots(ax, drawn)
        else:
            width = 3 if is_small or len(drawn) > 12 else 5
            ax.plot(self.grid, self.total, color="black", linewidth=width, alpha=0.3)  # a halo of what is inside
            for k in drawn:
                ax.plot(self.grid, self.parts[:, k], color=colour_of(k), linestyle=dashes_of(k), linewidth=width / 3)
            if looks.noise > 0:
                left = self.total - self.parts.sum(axis=1)
                ax.plot(self.grid, left, color=NONE, linestyle=NOISE_DASHES, linewidth=width / 2.5)
        if not is_small and len(drawn) <= NUMBERED:
            self._numbers(ax, looks, drawn, top)
        if self.uncertainty is not None:
            self._doubt(ax)
        ax.set_xlim(*self.limits)
        ax.set_ylim(0, top)
        ax.set(xlabel=self.column, ylabel="probability" if self.is_lattice else "density")
        if self.categories is not None:
            places = np.arange(len(self.categories))
            is_long = sum(map(len, self.categories)) > 24
            ax.set_xticks(places, self.categories, rotation=40 if is_long else 0, ha="right" if is_long else "center")
        elif self.is_lattice:
            ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins="auto"))
        if not is_small:
            _say_outside(ax, self.n_outside, "axis")

    def _numbers(self, ax: Axes, looks: Looks, drawn: NDArray, top: float) -> None:
        """Write the number of each component over its peak, unless that is too low."""
        for k in drawn:
            best = int(np.argmax(self.parts[:, k]))
            height = min(float(self.parts[best, k]), 0.93 * top)
            if self.limits[0] <= self.grid[best] <= self.limits[1] and height > 0.02 * top:
                _number(ax, looks.names[k], (self.grid[best], height + 0.035 * top), k, len(drawn) > 15)

    def _top(self) -> float:
        """The upper limit of the vertical axis; the peak of a narrow component may be cut off, since it would flatten
        all others."""
        inside = (self.grid >= self.limits[0]) & (self.grid <= self.limits[1])
        peak = float(np.max(self.total[inside], initial=0.0))
        tallest = float(np.max(self.heights, initial=0.0))
        if tallest > 0 and not self.is_lattice:
            peak = min(peak, 3 * tallest)
        return 1.12 * max(peak, tallest) or 1.0

    def _dots(self, ax: Axes, drawn: NDArray) -> None:
        size = 6 if len(self.grid) <= 30 else 3.5
        ax.plot(self.grid, self.total, ls="", marker="_", ms=1.8 * size, mew=2, color="black", zorder=3)
        line = "-" if self.categories is None else ""  # categories have no order, so no line joins them
        for k in drawn:
            ax.plot(self.grid, self.parts[:, k], color=colour_of(k), ls=line, lw=0.8, zorder=4)
            ax.plot(self.grid, self.parts[:, k], ls="", marker="o", ms=size, color=colour_of(k), mec="white", mew=0.5,
                    zorder=4)  # fmt: skip

    def _doubt(self, ax: Axes) -> None:
        """Shade the background by the uncertainty, 1 less the largest responsibility."""
        from matplotlib.colors import LinearSegmentedColormap

        greys = LinearSegmentedColormap.from_list("doubt", ["white", "0.45"])
        even = np.linspace(*self.limits, 600)
        shade = np.interp(even, self.grid, self.uncertainty)[np.newaxis]
        image = ax.imshow(
            shade, extent=(*self.limits, 0, 1), transform=ax.get_xaxis_transform(), aspect="auto", cmap=greys,
            vmin=0, vmax=0.5, zorder=-1,
        )  # fmt: skip
        ax.figure.colorbar(image, ax=ax, location="bottom", shrink=0.5, label="uncertainty of a row there")


def density_of(
    column: str,
    kind: ColumnKind,
    evaluate: Any,
    centres: NDArray,
    draws: NDArray | None,
    values: NDArray | None,
    weights: NDArray | None,
    categories: list[str] | None,
    doubts: bool = False,
    known: NDArray | None = None,
) -> Density:
    """The panel of a column.

    Parameters
    ----------
    column, kind
    evaluate : (grid) -> total, parts
    centres : (n,), of components that shall be seen
    draws : (n, n_components), quantiles of the components, where the density is looked at; None for even steps
    values : (n_rows,) or None
    weights : (n_rows,) or None
    categories : names of codes, or None
    doubts : whether uncertainty is shown
    known : where the column lies, without rows; None is where the draws do
    """
    known = draws.ravel() if known is None and draws is not None else known
    known = known if values is None else values[np.isfinite(values)]
    weights = np.ones(len(known)) if weights is None or values is None else weights[np.isfinite(values)]
    low, high = limits_of(known, centres)
    if kind.is_whole:
        first, last = max(int(np.floor(low)), 0), int(np.ceil(high))
        last = len(categories) - 1 if categories is not None else int(min(last, max(known.max(initial=1), 1)))
        last = max(last, first)
        is_lattice = last - first < MOST_BARS
        step = 1 if is_lattice else max(1, (last - first) // 1000)
        grid = np.arange(first, last + 1, step, dtype=np.float64)
        limits = (first - 0.6, last + 0.6)
    else:
        low = max(low, 0.0) if kind is ColumnKind.POSITIVE else low
        is_lattice, limits = False, (low, high)
        grid = np.linspace(low, high, N_GRID if draws is not None else 60)
        if draws is not None:
            grid = np.unique(np.concatenate([grid, draws[(draws >= low) & (draws <= high)]]))
        grid = grid[grid > 0] if kind is ColumnKind.POSITIVE else grid
    total, parts = evaluate(grid)
    inside = (known >= limits[0]) & (known <= limits[1])
    edges, heights = _bars(known[inside], weights[inside], limits, is_lattice, kind.is_whole)
    if values is None:
        heights = heights[:0]
    elif len(heights):
        heights = heights / weights.sum() / np.diff(edges)
    uncertainty = None
    if doubts:
        with np.errstate(invalid="ignore", divide="ignore"):
            uncertainty = np.nan_to_num(1 - parts.max(axis=1) / total)
    return Density(
        column, grid, total, parts, edges, heights, limits, int(np.sum(~inside)) if values is not None else 0,
        is_lattice, categories, uncertainty,
    )  # fmt: skip


def _bars(values, weights, limits, is_lattice, is_whole):
    """The histogram: (edges (n_bars + 1,), sum of weights in each bar (n_bars,))."""
    if not len(values):
        return np.zeros(1), np.zeros(0)
    if is_lattice:
        edges = np.arange(np.ceil(limits[0]), np.floor(limits[1]) + 2) - 0.5
    else:
        n_bars = int(
            np.clip(1.5 * np.sqrt(len(values)), 15, 80)
        )  # a width from the standard deviation would hide narrow components
        span = limits[1] - limits[0]
        if is_whole:  # each bar holds equally many integers
            each = max(1, round(span / n_bars))
            edges = np.arange(np.ceil(limits[0]), limits[1] + each + 1, each) - 0.5
        else:
            edges = np.linspace(*limits, n_bars + 1)
    return edges, np.histogram(values, edges, weights=weights)[0]


# ---- two columns ----------------------------------------------------------------------------------------------------


class Contours(NamedTuple):
    """The contours of a component in two columns: ellipses, or lines of equal log density on a grid.

    centre : (2,)
    ellipses : list of (width, height, degrees), empty where contours are no ellipses
    grid : (x (n,), y (n,), log density (n, n)), or None
    levels : log densities of the contours that enclose `SHARES` of the probability, ascending
    """

    centre: NDArray[np.float64]
    ellipses: list[tuple[float, float, float]]
    grid: tuple[NDArray, NDArray, NDArray] | None = None
    levels: list[float] | None = None

    def edges(self, axis: int) -> list[float]:
        """The smallest and the largest coordinate inside the outermost contour, along one axis."""
        if self.grid is not None:
            inside = np.any(self.grid[2] >= min(self.levels or [np.inf]), axis=axis)
            return list(self.grid[axis][inside][[0, -1]]) if np.any(inside) else []
        reach = [
            np.hypot(across * np.cos(np.radians(degrees + 90 * axis)), along * np.sin(np.radians(degrees + 90 * axis)))
            for across, along, degrees in self.ellipses
        ]
        return [self.centre[axis] + sign * own / 2 for own in reach for sign in (-1, 1)]


@dataclass(frozen=True, eq=False)
class Plane:
    """Rows in two columns, and contours of the components.

    Attributes
    ----------
    columns : tuple of str
        Of the horizontal and of the vertical axis.
    rows : ndarray of shape (n_shown, 2)
    labels : int64 ndarray of shape (n_shown,)
    contours : dict
        Component -> `Contours`.
    limits : tuple of tuple of float
    n_outside : int
        Of the rows shown, those beyond the limits.
    uncertainty : ndarray of shape (n_shown,) or None
        1 less the largest responsibility, which rows are shaded by.
    categories : tuple of list of str or None
    """

    columns: tuple[str, str]
    rows: NDArray[np.float64]
    labels: NDArray[np.int64]
    contours: dict[int, Contours]
    limits: tuple[tuple[float, float], tuple[float, float]]
    n_outside: int = 0
    uncertainty: NDArray[np.float64] | None = None
    categories: tuple[list[str] | None, list[str] | None] = (None, None)

    def draw(self, ax: Axes, looks: Looks, is_small: bool = False) -> None:
        """Points, contours over them, numbers on top."""
        drawn = looks.drawn()
        if self.uncertainty is None:
            _points(ax, self.rows, self.labels, looks, is_small)
        else:
            self._doubtful_points(ax, is_small)
        width = 0.8 if is_small else 1.5
        for k in drawn:
            if k in self.contours:
                _contour(ax, self.contours[k], k, width, faint=self.uncertainty is not None)
        ax.set(xlim=self.limits[0], ylim=self.limits[1], xlabel=self.columns[0], ylabel=self.columns[1])
        for axis, names in ((ax.xaxis, self.categories[0]), (ax.yaxis, self.categories[1])):
            if names is not None:
                axis.set_ticks(np.arange(len(names)), names)
        for k in drawn[:NUMBERED][::-1]:
            if k in self.contours:
                _number(ax, looks.names[k], self.contours[k].centre, k, is_small or len(drawn) > 15)
        if not is_small:
            _say_outside(ax, self.n_outside, "axes")

    def _doubtful_points(self, ax: Axes, is_small: bool) -> None:
        size = _size(len(self.rows), is_small)
        order = np.argsort(self.uncertainty, kind="stable")  # the least certain are drawn last, on top
        doubt = self.uncertainty[order]
        points = ax.scatter(
            *self.rows[order].T, s=size * (0.5 + 2.2 * doubt), c=doubt, cmap=greys(), vmin=0, vmax=0.5, linewidths=0,
            rasterized=True,
        )  # fmt: skip
        ax.figure.colorbar(points, ax=ax, location="bottom", shrink=0.5, label="uncertainty of a row")


def _size(n_rows, is_small):
    """The size of points, smaller where there are more."""
    return float(np.clip(9000 / max(n_rows, 1), 4, 22)) * (0.4 if is_small else 1.0)


def _points(ax, rows, labels, looks, is_small=False):
    """Draw rows in the colours of their components."""
    colours = [colour_of(k) for k in range(len(looks.weights))] + [NONE]
    ax.scatter(
        *rows.T, s=_size(len(rows), is_small), c=[colours[k] for k in labels], alpha=0.55, linewidths=0,
        rasterized=True,
    )  # fmt: skip


def _say_outside(ax, n_outside, what):
    if n_outside:
        said = f"{n_outside:,} row{'s' if n_outside > 1 else ''} beyond the {what}"
        ax.text(0.99, 0.98, said, transform=ax.transAxes, ha="right", va="top", fontsize="small", color="0.35")


def _contour(ax, own, k, width, faint):
    from matplotlib.patches import Ellipse

    alpha = 0.6 if faint else 1.0
    for across, along, degrees in own.ellipses:
        ax.add_patch(
            Ellipse(own.centre, across, along, angle=degrees, fill=False, ec=colour_of(k), lw=width, ls=dashes_of(k),
                    alpha=alpha)
        )  # fmt: skip
    if own.grid is not None:
        x, y, log_density = own.grid
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "No contour levels")
            ax.contour(x, y, log_density, own.levels, colors=[colour_of(k)], linewidths=width,
                       linestyles=[dashes_of(k)], alpha=alpha)  # fmt: skip


def _number(ax, name, centre, k, is_small):
    """Write the name of a component in its colour, with a white outline."""
    from matplotlib.patheffects import withStroke

    colour = colour_of(k)
    dark = colour if is_dark(colour) else tuple(0.55 * part for part in colour)
    ax.text(
        *centre, name, ha="center", va="center", color=dark, fontsize=7.5 if is_small else 11, fontweight="bold",
        clip_on=True, zorder=5, path_effects=[withStroke(linewidth=2 if is_small else 3, foreground="white")],
    )  # fmt: skip


def contours_of(components: Components, drawn: NDArray, swaps: bool) -> dict[int, Contours]:
    """Component -> `Contours`, of the indices `drawn`, for components of two columns; `swaps` puts the second column on
    the horizontal axis."""
    family, params = components.family, components.params
    order = [1, 0] if swaps else [0, 1]
    centres = locations_of(components)
    if hasattr(family, "squared_radii"):
        matrices = family.covariance_matrices(params)
        radii = [np.sqrt(family.squared_radii(params, share)) for share in SHARES]
        return {k: _ellipses(centres[k, order], matrices[k][np.ix_(order, order)], [own[k] for own in radii])
                for k in drawn}  # fmt: skip
    kinds = family.column_kinds(2)
    if ColumnKind.CATEGORY in kinds:
        return {k: Contours(centres[k, order], []) for k in drawn}
    rng = np.random.default_rng(0)
    return {k: _levels(components.only(k), kinds, centres[k], order, rng) for k in drawn}


def _ellipses(centre, matrix, radii):
    lengths, directions = np.linalg.eigh(matrix)
    degrees = float(np.degrees(np.arctan2(directions[1, 1], directions[0, 1])))
    axes = np.sqrt(np.maximum(lengths, 0))
    return Contours(centre, [(2 * radius * axes[1], 2 * radius * axes[0], degrees) for radius in radii])


def _levels(component, kinds, centre, order, rng):
    """The grid and the levels of a component's contours. The level that encloses a share of the probability is a
    quantile of the log densities of draws."""
    rows = component._sample(np.zeros(N_DRAWS, dtype=np.intp), rng)
    of_draws = component.log_densities(rows)[:, 0]
    levels = sorted({float(np.quantile(of_draws, 1 - share)) for share in SHARES})
    axes = []
    for j, kind in enumerate(kinds):
        low, high = rows[:, j].min(), rows[:, j].max()
        margin = 0.25 * (high - low) or 0.5
        if kind is ColumnKind.COUNT:
            first, last = max(int(low - margin) - 1, 0), int(high + margin) + 1
            axes.append(np.arange(first, last + 1, max(1, (last - first) // N_CONTOUR), dtype=np.float64))
        else:
            below = max(low - margin, low / 4) if kind is ColumnKind.POSITIVE else low - margin
            axes.append(np.linspace(below, high + margin, N_CONTOUR))
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    log_density = component.log_densities(grid.reshape(-1, 2))[:, 0].reshape(grid.shape[:2])
    log_density = np.maximum(
        log_density, levels[0] - 1e3
    )  # matplotlib cannot place a contour between a number and -inf
    for axis, kind in enumerate(kinds):  # contours close at the edge of the domain
        edge = {ColumnKind.COUNT: -0.5, ColumnKind.POSITIVE: 0.0}.get(kind)
        if edge is not None and axes[axis][0] - edge <= axes[axis][1] - axes[axis][0]:
            axes[axis] = np.insert(axes[axis], 0, edge)
            log_density = np.insert(log_density, 0, levels[0] - 1e3, axis=axis)
    log_density = log_density.T if order == [0, 1] else log_density
    return Contours(centre[order], [], (axes[order[0]], axes[order[1]], log_density), levels)


def locations_of(components: Components) -> NDArray[np.float64]:
    """The locations (means) of the components, (n_components, n_features); NaN in columns of categories."""
    found = np.full((components.n_components, components.n_features), np.nan)
    for own in components.family.described(components.params):
        if own.codes is None:
            found[:, own.columns] = own.locations
    return found


# ---- many columns ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Profile:
    """What components are like in each column, as a matrix.

    Attributes
    ----------
    cells : list of str
        Names of the columns, or of columns and categories.
    numbers : ndarray of shape (n_components, n_cells)
        Probabilities, rates, ..., which are written where there is room.
    shades : ndarray of shape (n_components, n_cells)
        What colours show: probabilities, or how many times the mean of the mixture a number is, or how far it is from
        that mean in standard deviations of the column.
    label : str
        What the colours are.
    is_probability : bool
    n_left_out : int
        Columns that are not shown.
    """

    cells: list[str]
    numbers: NDArray[np.float64]
    shades: NDArray[np.float64]
    label: str
    is_probability: bool
    n_left_out: int = 0

    def draw(self, ax: Axes, looks: Looks, is_small: bool = False) -> None:
        """A row for each component, the first on top."""
        from matplotlib.colors import LogNorm, Normalize, TwoSlopeNorm

        shown = np.flatnonzero(looks.present)
        shades, numbers = self.shades[shown], self.numbers[shown]
        if self.is_probability:
            norm, cmap = Normalize(0, 1), "Blues"
        elif self.label.startswith("times"):
            norm, cmap = LogNorm(1 / 8, 8), "PuOr_r"
            shades = np.clip(shades, 1 / 8, 8)
        else:
            most = float(np.clip(np.nanmax(np.abs(shades), initial=0.5), 0.5, 3))
            norm, cmap = TwoSlopeNorm(0, -most, most), "PuOr_r"
        image = ax.imshow(shades, cmap=cmap, norm=norm, aspect="auto", interpolation="nearest")
        if shades.size <= WRITTEN:
            for (i, j), number in np.ndenumerate(numbers):
                colour = "white" if is_dark(image.cmap(image.norm(shades[i, j]))[:3]) else "black"
                ax.text(j, i, _short(number), ha="center", va="center", color=colour, fontsize=8)
        step = -(-len(shown) // 45)
        places = np.arange(0, len(shown), step)
        names = [f"{looks.names[shown[i]]}  {_percent(looks.weights[shown[i]])}" for i in places]
        ax.set_yticks(places, names)
        for tick, i in zip(ax.get_yticklabels(), places, strict=True):
            colour = colour_of(int(shown[i]))
            tick.set_color(colour if is_dark(colour) else tuple(0.6 * part for part in colour))
            tick.set_fontweight("bold")
            if len(places) > 25:
                tick.set_fontsize(6.5)
        is_long = max(map(len, self.cells), default=0) * len(self.cells) > 60
        ax.set_xticks(np.arange(len(self.cells)), self.cells, rotation=90 if is_long else 0)
        if len(self.cells) > 30:
            ax.tick_params(axis="x", labelsize=7)
        ax.set_xticks(np.arange(len(self.cells) + 1) - 0.5, minor=True)
        ax.set_yticks(np.arange(len(shown) + 1) - 0.5, minor=True)
        if len(shown) <= 60:
            ax.grid(which="minor", color="white", linewidth=1)
        ax.tick_params(which="both", length=0)
        ax.set_ylabel("component and its share")
        if self.n_left_out:
            ax.set_title(f"the {len(self.cells):,} that tell components apart best; {self.n_left_out:,} more",
                         fontsize="medium")  # fmt: skip
        bar = ax.figure.colorbar(image, ax=ax, label=self.label, pad=0.02)
        if isinstance(norm, LogNorm):
            bar.set_ticks([1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8], labels=["<1/8", "1/4", "1/2", "1", "2", "4", ">8"])
            bar.minorticks_off()


def _short(number: float) -> str:
    if not np.isfinite(number):
        return ""
    if 0 < number < 1:
        return f"{number:.2f}".lstrip("0") if number >= 0.005 else "<.01"
    return f"{number:.3g}" if abs(number) < 1e4 else f"{number:.0e}"


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.0995 else f"{share:.1%}"


@dataclass(frozen=True, eq=False)
class Words:
    """The most likely words of one component, or the largest entries of its mean direction.

    Attributes
    ----------
    component : int
    words : list of str
    shares : ndarray of shape (n_words,)
    most : float
        The largest share of any component, so that bars can be compared.
    label : str
    """

    component: int
    words: list[str]
    shares: NDArray[np.float64]
    most: float
    label: str

    def draw(self, ax: Axes, looks: Looks, is_small: bool = False) -> None:
        """Bars, the first on top."""
        k = self.component
        places = np.arange(len(self.words))
        ax.barh(places, self.shares, color=colour_of(k), height=0.75)
        ax.set_yticks(places, self.words)
        ax.tick_params(axis="y", length=0)
        ax.set(ylim=(max(len(self.words), N_WORDS) - 0.5, -0.5), xlim=(0, 1.05 * self.most))
        ax.xaxis.get_major_locator().set_params(nbins=3)
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_title(f"{looks.names[k]}: {_percent(looks.weights[k])}", fontsize="medium", fontweight="bold")
        ax.set_xlabel(self.label, fontsize="small")


# ---- regressions ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Regression:
    """Responses over one column, and the mean of each component.

    Attributes
    ----------
    column, response : str
    x, y : ndarray of shape (n_shown,)
    labels : int64 ndarray of shape (n_shown,)
    grid : ndarray of shape (n_points,)
    means : ndarray of shape (n_points, n_components)
        Other columns are held at their medians, or at the most frequent category.
    limits : tuple of tuple of float
    others : str
        How other columns are held, in words.
    """

    column: str
    response: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    labels: NDArray[np.int64]
    grid: NDArray[np.float64]
    means: NDArray[np.float64]
    limits: tuple[tuple[float, float], tuple[float, float]]
    others: str = ""

    def draw(self, ax: Axes, looks: Looks, is_small: bool = False) -> None:
        """Points, and lines over them."""
        _points(ax, np.column_stack([self.x, self.y]), self.labels, looks)
        drawn = looks.drawn()
        for k in drawn:
            ax.plot(self.grid, self.means[:, k], color="white", linewidth=4, zorder=3)
            ax.plot(self.grid, self.means[:, k], color=colour_of(k), ls=dashes_of(k), linewidth=2.2, zorder=3)
        ax.set(xlim=self.limits[0], ylim=self.limits[1], xlabel=self.column + self.others, ylabel=self.response)
        at = [int(place) for place in np.linspace(0.93, 0.7, max(len(drawn), 2)) * (len(self.grid) - 1)]
        for place, k in zip(at, drawn, strict=False):
            _number(ax, looks.names[k], (self.grid[place], self.means[place, k]), k, len(drawn) > 15)


# ---- a legend -------------------------------------------------------------------------------------------------------


def legend(ax: Axes, looks: Looks, marks: str, **place: Any) -> Any:
    """Shares of the components, the number that each has in the picture, beside the Axes or at another place.

    `marks` is 'line' or 'dot', as the panel has them, beside those of the mixture; 'point' or 'mean', a line, where it
    has none.
    """
    from matplotlib.lines import Line2D

    n_listed = LISTED if int(np.sum(looks.present)) <= LISTED else LISTED // 2
    drawn = np.sort(looks.drawn()[:n_listed])
    handles = []
    if marks in ("line", "dot"):
        mark = {"lw": 5, "alpha": 0.3} if marks == "line" else {"ls": "", "marker": "_", "ms": 11, "mew": 2}
        handles.append(Line2D([], [], color="black", label="mixture", **mark))
    for k in drawn:
        said = f"{looks.names[k]}: {_percent(looks.weights[k])}"
        if marks in ("line", "mean"):
            handles.append(Line2D([], [], color=colour_of(k), ls=dashes_of(k), lw=2, label=said))
        else:
            handles.append(Line2D([], [], color=colour_of(k), ls="", marker="o", ms=6, label=said))
    if looks.noise > 0:
        mark = {"ls": NOISE_DASHES, "lw": 2} if marks in ("line", "mean") else {"ls": "", "marker": "o", "ms": 6}
        handles.append(Line2D([], [], color=NONE, label=f"noise: {_percent(looks.noise)}", **mark))
    left = looks.drawn()[n_listed:]
    if len(left):
        rest = f"{len(left)} more: {_percent(float(looks.weights[left].sum()))}"
        handles.append(Line2D([], [], ls="", label=rest))
    place = place or {"loc": "upper left", "bbox_to_anchor": (1.01, 1.02)}
    return ax.legend(
        handles=handles, frameon=False, borderaxespad=0.3, fontsize="small" if len(handles) > 12 else None,
        title="component: share", alignment="left", ncols=1 if len(handles) <= 21 else 2, columnspacing=1.0, **place,
    )  # fmt: skip
