"""Pictures of fitted mixtures, selections, batches and the course of a fit, as displays in scikit-learn's convention: a
display is made by a class method (`from_estimator`, `from_selection`, `from_result`), holds what it shows as arrays,
draws it (`plot`), and keeps the Axes (`ax_`) and the figure (`figure_`). matplotlib is imported when something is
drawn.

`trace`, `n_clusters` and `coclustering` need attributes of the model, not its class, so they serve every model that has
these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.utils.validation import check_is_fitted

from mixfast._typing import Column, RowsLike
from mixfast.canvas import COLOURS, axes_of, colour_of, dashes_of, folded, rows_of_labels, some_rows
from mixfast.families.family import ColumnKind
from mixfast.in_messages import among, in_short, one_name
from mixfast.mixture_pictures import Looks, Plane, legend
from mixfast.mixture_view import MOST_CELLS, MOST_COLUMNS, View
from mixfast.regression_pictures import predictors_of, regressions
from mixfast.relations import check_is_fitted_mixture, check_option, has_noise, shares_beside_noise
from mixfast.row_data import counted_and_separated, take_data
from mixfast.status import Status
from mixfast.tables import Table, is_table
from mixfast.weights import take
from mixfast.whole import check_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: `coclustering` shows at most so many rows, about one for each pixel.
MAX_ROWS = 1000
#: Number of rows drawn from the mixture and shown if the user gives none.
N_DRAWN = 1000
#: How many characters of a label fit into an inch.
PER_INCH = 10
#: How many columns a matrix of pairs shows of mixtures with very many.
N_PAIRS = 4
#: What has draws, in errors.
SAMPLED = "a DirichletProcessMixture fitted with algorithm='sampler'"


class Layout(NamedTuple):
    """The panels of a figure.

    panels : dict of (row, column) -> panel
    marks : symbol of components in the legend: 'line', 'dot', 'point' or 'mean'; '' for no legend
    is_corner : whether panels are the lower triangle of a matrix of pairs, with shared axes
    size : (width, height) of each panel in inches
    """

    panels: dict[tuple[int, int], Any]
    marks: str = ""
    is_corner: bool = False
    size: tuple[float, float] = (6.4, 4.6)


class MixtureDisplay:
    """A picture of a fitted mixture, of any family.

    `MixtureDisplay.from_estimator` makes it, and draws it. A component has one colour in all pictures of mixfast, its
    number in the model, and its weight in the legend. Up to 32 components have colours, or dashes, of their own;
    beyond, numbers tell.

    Parameters
    ----------
    kind : str
        What it shows.
    layout : Layout
        The panels and their places.
    looks : Looks
        Names, weights and which components are drawn.

    Attributes
    ----------
    kind : {'density', 'contours', 'pairs', 'profile', 'uncertainty'}
    panels : dict
        (row, column) -> what is drawn there: arrays by the names that its class documents.
    weights : ndarray of shape (n_components,)
    ax_ : matplotlib Axes, or ndarray of them
        The Axes of the panel, or of all panels, row by row.
    figure_ : matplotlib Figure

    See Also
    --------
    mixfast.MixtureMap : How the components relate, whatever the number of columns.

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import GaussianMixture, MixtureDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(-4, 1, (100, 2)), rng.normal(4, 1, (100, 2))])
    >>> display = MixtureDisplay.from_estimator(GaussianMixture(2, random_state=0).fit(X), X)
    >>> display.kind, display.panels[0, 0].columns
    ('contours', ('column 0', 'column 1'))
    """

    ax_: Any
    figure_: Figure

    def __init__(self, *, kind: str, layout: Layout, looks: Looks) -> None:
        self.kind, self._layout, self._looks = kind, layout, looks
        self.panels, self.weights = layout.panels, looks.weights

    @classmethod
    def from_estimator(
        cls,
        model: Any,
        X: RowsLike | None = None,
        *,
        features: Column | Sequence[Column] | None = None,
        kind: Literal["auto", "density", "contours", "pairs", "profile", "uncertainty"] = "auto",
        max_points: int = 5000,
        sample_weight: ArrayLike | None = None,
        ax: Axes | None = None,
        **row_data: Any,
    ) -> MixtureDisplay:
        """Draw a fitted mixture, and rows.

        Parameters
        ----------
        model : estimator
            Fitted. Components of a posterior are drawn with their expected parameters; those with less than half a row,
            which are the prior, are not. Of `MixtureOfExperts` its lines are drawn, over one column, a panel for each
            response, shares of successes where it is binomial, and for each class of a multinomial one; X and y
            have to be given.
        X : array-like of shape (n_samples, n_features), default=None
            Rows, as `predict` takes them. None draws the components alone.
        features : int, str or list of these, default=None
            Columns, by number or, where the model knows names, by name. None takes all of up to six, and of more those
            that say most of the component (largest mutual information).
        kind : {'auto', 'density', 'contours', 'pairs', 'profile', 'uncertainty'}, default='auto'
            - 'density': for each column a histogram of the rows, the density of the mixture, and each component's part
              of it; of counts and categories bars and dots. Of a single column that is the model's own density,
              ``exp(score_samples)``, and parts are that times `predict_proba`;
            - 'contours': two columns, rows coloured by their most likely component, and inside the lines 50 % and 95 %
              of the mass of each component;
            - 'pairs': densities of columns, and contours of each pair, in a triangle;
            - 'profile': a matrix of components and columns: probabilities, rates, shares of words, means. Of more than
              40 words, or coordinates of directions, the largest of each component;
            - 'uncertainty': as 'contours' or, of one column, 'density', with rows shaded by how uncertain their
              component is, 1 less the largest responsibility;
            - 'auto': 'density' of one column and of columns of several kinds, 'contours' of two of real numbers,
              'pairs' of more, 'profile' of counts, categories and words.
        max_points : int, default=5000
            Points at most. Of more rows that many are drawn at random, always the same, of each component as many as it
            has a share.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts; rows of weight 0 are not looked at.
        ax : matplotlib Axes, default=None
            None makes a figure of its own. Several panels take the place of the Axes that is given.
        **row_data
            What the rows have beside their values, as in the model's `fit`: `exposure`, `y`, ...

        Returns
        -------
        display : MixtureDisplay

        Raises
        ------
        NotFittedError
            For a model before `fit`.
        TypeError
            For what is no mixture.
        ValueError
            For columns that the model does not have, a kind that its columns cannot have, and rows that it refuses.
        """
        check_is_fitted_mixture(model, X, "plot_mixture(model, X)")
        check_option("kind", kind, ("auto", *KINDS))
        max_points = check_whole("max_points", max_points)
        if hasattr(model, "_draws"):
            return cls._of_experts(model, X, features, kind, max_points, sample_weight, row_data).plot(ax)
        view = _view_of(model, X, max_points, sample_weight, row_data, kind == "uncertainty")
        chosen = None if features is None else _places_of(features, model, view.names)
        if kind == "auto":
            kind = _kind_for(view, chosen)
        return cls(kind=kind, layout=KINDS[kind](view, chosen), looks=view.looks).plot(ax)

    @classmethod
    def _of_experts(cls, model, X, features, kind, max_points, sample_weight, row_data):
        if X is None or (row_data.get("y") is None and not model._has_responses_in(X)):
            raise ValueError(f"a picture of a {type(model).__name__} is of rows and responses: pass X and y=y")
        if kind not in ("auto", "density"):
            raise ValueError(f"kind={kind!r} is not for a {type(model).__name__}, which is drawn by its lines")
        named = _names_of_responses(row_data.get("y"))
        rows, weights, data = counted_and_separated(X, sample_weight, model._gathered_data(row_data))
        own, data = model._rows_and_data(rows, **data)
        predictors = predictors_of(model, rows, own)
        places = None if features is None else _places_of(features, model, predictors.names)
        if places is not None and (len(places) != 1 or predictors.columns[places[0]] is None):
            raise ValueError(
                f"features={in_short(features)} should name one column of numbers, over which lines are drawn"
            )
        labels = model._labels_of_rows(own, **data)
        shown = rows_of_labels(labels, max_points, weights)
        weights_of = np.asarray(model.weights_, dtype=np.float64)
        looks = Looks([str(k) for k in range(len(weights_of))], weights_of, weights_of > 0)
        responses = model._pictured_responses(data["y"], len(labels), named)
        panels = regressions(model, predictors, responses, labels, shown, places)
        if len(panels) == 1:
            return cls(kind="density", layout=Layout({(0, 0): panels[0]}, "mean"), looks=looks)
        across = 2 if len(panels) in (2, 4) else 3
        grid = {divmod(place, across): panel for place, panel in enumerate(panels)}
        return cls(kind="density", layout=Layout(grid, "mean", size=(3.6, 2.9)), looks=looks)

    def plot(self, ax: Axes | None = None) -> MixtureDisplay:
        """Draw the picture, once more perhaps.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure of its own.

        Returns
        -------
        display : MixtureDisplay
            Itself.
        """
        layout = self._layout
        if len(layout.panels) == 1:
            (panel,) = layout.panels.values()
            self.ax_ = axes_of(ax, figsize=layout.size)
            panel.draw(self.ax_, self._looks)
            if layout.marks:
                legend(self.ax_, self._looks, layout.marks)
            self.figure_ = self.ax_.figure
            return self
        figure, grid = _grid_for(ax, layout)
        axes = {place: figure.add_subplot(grid[place]) for place in layout.panels}
        for place, panel in layout.panels.items():
            panel.draw(axes[place], self._looks, is_small=True)
            for axis, inches in zip((axes[place].xaxis, axes[place].yaxis), layout.size, strict=True):
                axis.set_label_text(folded(axis.get_label_text(), int(PER_INCH * inches)))
        if layout.is_corner:
            _share_axes(axes, layout.panels)
        else:
            said = {place: own.get_ylabel() for place, own in axes.items()}
            for (row, column), own in axes.items():
                if column > 0 and said[row, column] == said[row, 0]:
                    own.set_ylabel("")
        if layout.marks and layout.is_corner:  # in the triangle that is empty
            last = max(row for row, _ in axes)
            beside = figure.add_subplot(grid[:last, last])
            beside.set_axis_off()
            # it may be larger than its place, which panels leave free
            legend(beside, self._looks, layout.marks, loc="upper right").set_in_layout(False)
        elif layout.marks:
            legend(axes[0, max(column for row, column in axes if row == 0)], self._looks, layout.marks)
        self.ax_, self.figure_ = np.array([axes[place] for place in sorted(axes)], dtype=object), figure
        return self


def plot_mixture(
    model: Any,
    X: RowsLike | None = None,
    features: Column | Sequence[Column] | None = None,
    ax: Axes | None = None,
    **options: Any,
) -> Any:
    """Draw a fitted mixture and rows: `MixtureDisplay.from_estimator`, of which it returns the Axes.

    Parameters
    ----------
    model : estimator
        Fitted.
    X : array-like of shape (n_samples, n_features), default=None
        Rows; None draws the components alone.
    features : int, str or list of these, default=None
        Columns, by number or by name; None takes all of up to six, and of more those that say most of the component.
    ax : matplotlib Axes, default=None
        None makes a figure of its own.
    **options
        `kind`, `max_points`, `sample_weight` and what rows have beside their values, as there.

    Returns
    -------
    ax : matplotlib Axes or ndarray of them
        Several where there are several panels.

    Raises
    ------
    NotFittedError, TypeError, ValueError
        As there.

    Examples
    --------
    >>> from mixfast import GaussianMixture, plot_mixture
    >>> model = GaussianMixture.from_parameters(weights=[0.5, 0.5], means=[[0.0], [5.0]], covariances=[[[1.0]]] * 2)
    >>> plot_mixture(model).get_xlabel()
    'column 0'
    """
    return MixtureDisplay.from_estimator(model, X, features=features, ax=ax, **options).ax_


mixture = plot_mixture


# ---- which columns, and how -----------------------------------------------------------------------------------------


def _view_of(model, X, max_points, sample_weight, row_data, doubts):
    """The `View` of the model with the rows, or, if X is None, with rows drawn from it."""
    components = model._components(**model._any_rows)
    K = components.n_components
    present = np.asarray(model._is_present())[:K]
    noise = float(model.weights_[-1]) if has_noise(model) else 0.0
    looks = Looks([str(k) for k in range(K)], shares_beside_noise(model, components), present, noise)
    names = [str(name) for name in model._labels_of_columns()]
    if X is None:
        rows = components.rows(min(N_DRAWN, max_points), 0)
        joint = components.log_joint(rows)
        doubt = 1 - softmax(joint, axis=1).max(axis=1)
        labels = np.argmax(joint, axis=1)
        shown = np.arange(len(rows))
        return View(model, components, looks, names, rows, None, labels, shown, doubt, {}, are_drawn=True)
    own, weights, data = counted_and_separated(X, sample_weight, row_data)
    labels = np.asarray(model._labels_of_rows(own, **data))
    rows = model._validate_rows(own, reset=False)
    shown = rows_of_labels(labels, max_points, weights)
    doubt = np.zeros(len(shown))
    if doubts:
        some = take_data(data, shown, len(labels))
        doubt = 1 - model._shares_of_rows(take(own, shown), **some).max(axis=1)
    return View(model, components, looks, names, rows, weights, labels, shown, doubt, dict(data))


def _places_of(features, model, names):
    """Positions of the columns that `features` names, by name or number, in the order of the family's columns. Raises
    ValueError for names that are not there, and for repeated ones."""
    given = [features] if isinstance(features, str | int | np.integer) else list(features)
    known = getattr(model, "feature_names_in_", None)
    places = []
    for feature in given:
        if isinstance(feature, str) and feature in names:
            places.append(names.index(feature))
            continue
        is_place = isinstance(feature, int | np.integer) and not isinstance(feature, bool)
        name = f"column {feature}"
        if is_place and known is not None and 0 <= feature < len(known):
            name = str(known[feature])
        if not is_place or name not in names:
            raise ValueError(f"features={in_short(features)} name {one_name(feature)}: {among(feature, names)}")
        places.append(names.index(name))
    if not places or len(set(places)) < len(places):
        raise ValueError(f"features={in_short(features)} should name one column or more, each once")
    return places


def _kind_for(view, chosen):
    """The kind of picture that 'auto' stands for; `chosen` are positions of columns, or None for all."""
    columns = range(len(view.kinds)) if chosen is None else chosen
    kinds = {view.kinds[j] for j in columns}
    if len(columns) == 1:
        return "density"
    if ColumnKind.DIRECTION in kinds:
        return "profile" if len(columns) > MOST_COLUMNS else "pairs" if len(columns) > 2 else "contours"
    if not any(kind.is_whole for kind in kinds):
        return "contours" if len(columns) == 2 else "pairs"
    return "density" if len(kinds) > 1 else "profile"


def _densities(view, chosen):
    columns = view.telling(MOST_COLUMNS) if chosen is None else chosen
    panels = [view.density(j) for j in columns]
    if len(panels) == 1:
        return Layout({(0, 0): panels[0]}, "dot" if panels[0].is_lattice else "line")
    across = 2 if len(panels) in (2, 4) else 3
    return Layout({divmod(place, across): panel for place, panel in enumerate(panels)}, "line", size=(3.3, 2.6))


def _two(view, chosen, kind):
    chosen = view.telling(2) if chosen is None else chosen
    if len(chosen) != 2:
        n = len(chosen)
        raise ValueError(
            f"kind={kind!r} draws two columns, got {n}: " + ("take 'density'" if n < 2 else "name two as features")
        )
    return chosen


def _contours(view, chosen):
    i, j = _two(view, chosen, "contours")
    return Layout({(0, 0): view.plane(i, j)}, "point", size=(6.6, 4.8))


def _pairs(view, chosen):
    if chosen is None:
        chosen = view.telling(MOST_COLUMNS if len(view.names) <= MOST_COLUMNS else N_PAIRS)
    if len(chosen) == 1:
        return _densities(view, chosen)
    panels = {}
    for row, j in enumerate(chosen):
        panels |= {(row, column): view.plane(i, j) for column, i in enumerate(chosen[:row])}
        panels[row, row] = view.density(j)
    side = 2.1 if len(chosen) <= 4 else 1.7
    return Layout(panels, "line", is_corner=True, size=(side, side))


def _profile(view, chosen):
    columns = list(range(len(view.names))) if chosen is None else chosen
    is_wide = len(columns) > MOST_CELLS and chosen is None
    if is_wide and hasattr(view.components.family, "word_shares"):
        panels = view.words()
        across = -(-len(panels) // -(-len(panels) // 4))
        return Layout({divmod(place, across): panel for place, panel in enumerate(panels)}, size=(2.4, 2.2))
    panel = view.profile(columns)
    n_rows, n_cells = int(view.looks.present.sum()), len(panel.cells)
    size = float(np.clip(2.6 + 0.45 * n_cells, 5, 13)), float(np.clip(2.2 + 0.3 * n_rows, 3, 9))
    return Layout({(0, 0): panel}, size=size)


def _uncertainty(view, chosen):
    if len(view.names) == 1:
        return Layout({(0, 0): view.density(0, doubts=True)}, "line", size=(6.6, 5.2))
    i, j = _two(view, chosen, "uncertainty")
    return Layout({(0, 0): view.plane(i, j, doubts=True)}, "point", size=(6.6, 5.6))


#: kind -> (view, columns or None) -> `Layout`
KINDS = {
    "density": _densities,
    "contours": _contours,
    "pairs": _pairs,
    "profile": _profile,
    "uncertainty": _uncertainty,
}


def _names_of_responses(y):
    """Names of the columns of a table of responses; None for arrays and lists."""
    return [str(name) for name in Table(y).names] if is_table(y) else None


def _grid_for(ax, layout):
    """(figure, GridSpec of the panels): a new figure, or the place of an Axes, which is removed."""
    import matplotlib.pyplot as plt

    n_rows = 1 + max(row for row, _ in layout.panels)
    n_columns = 1 + max(column for _, column in layout.panels)
    if ax is None:
        width = layout.size[0] * n_columns + (0.4 if layout.is_corner else 1.6 if layout.marks else 0.2)
        figure = plt.figure(figsize=(width, layout.size[1] * n_rows), layout="constrained")
        return figure, figure.add_gridspec(n_rows, n_columns)
    figure, place, box = ax.figure, ax.get_subplotspec(), ax.get_position()
    ax.remove()
    if place is not None:
        return figure, place.subgridspec(n_rows, n_columns)
    return figure, figure.add_gridspec(n_rows, n_columns, left=box.x0, right=box.x1, bottom=box.y0, top=box.y1)


def _share_axes(axes, panels):
    """Give panels of a triangle the limits of their column and row, and labels only at the left and lower edges."""
    last = max(row for row, _ in axes)
    for (row, column), ax in axes.items():
        if row == column:
            planes = [panel for (r, c), panel in panels.items() if c == column and isinstance(panel, Plane)]
            if planes:
                ax.set_xlim(*planes[0].limits[0])
            elif row > 0:
                ax.set_xlim(*panels[row, 0].limits[1])
            ax.set_yticks([])
        if row < last:
            ax.set_xlabel("")
            ax.tick_params(axis="x", labelbottom=False)
        if column > 0 or row == 0:
            ax.set_ylabel("")
            ax.tick_params(axis="y", labelleft=False)
        for own in (ax.xaxis, ax.yaxis):
            locator = own.get_major_locator()
            if hasattr(locator, "set_params") and type(locator).__name__ in ("AutoLocator", "MaxNLocator"):
                locator.set_params(nbins=4)


# ---- choices, batches, courses --------------------------------------------------------------------------------------


class SelectionDisplay:
    """The criterion of every cell that `select` tried.

    Parameters
    ----------
    lines : dict
        Name of the other parameters -> dict of arrays, one number for each cell: `n_components`, `values` (NaN where
        there is none), `spurious`.
    best : tuple of (int, float)
        Number of components and criterion of the choice.
    label : str
        What the criterion is called.

    Attributes
    ----------
    lines, best, label
        As above.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import GaussianMixture, SelectionDisplay, select
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> display = SelectionDisplay.from_selection(select(X, GaussianMixture(), n_components=[1, 2], random_state=0))
    >>> display.best[0], display.label
    (1, 'BIC')
    """

    ax_: Axes
    figure_: Figure

    def __init__(self, *, lines: dict[str, dict[str, NDArray]], best: tuple[int, float], label: str) -> None:
        self.lines, self.best, self.label = lines, best, label

    @classmethod
    def from_selection(cls, selection: Any, *, ax: Axes | None = None) -> SelectionDisplay:
        """Draw the criterion against the number of components, a line for each combination of other parameters.

        Parameters
        ----------
        selection : Selection
            As `select` returns it.
        ax : matplotlib Axes, default=None
            None makes a figure of its own.

        Returns
        -------
        display : SelectionDisplay

        Raises
        ------
        TypeError
            For what is no `Selection`.
        """
        if isinstance(selection, type) or not hasattr(selection, "_shown_by_display"):
            raise TypeError(f"selection={in_short(selection)} should be a Selection, as select returns it")
        return cls(**selection._shown_by_display()).plot(ax)

    def plot(self, ax: Axes | None = None) -> SelectionDisplay:
        """Draw the picture, once more perhaps.

        A star marks the best, a hollow circle a fit with a spurious component, a cross at the foot, in the colour of
        its line, a cell without a value.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure of its own.

        Returns
        -------
        display : SelectionDisplay
            Itself.
        """
        ax = axes_of(ax, figsize=(6.4, 4.4))
        values = np.concatenate([own["values"] for own in self.lines.values()])
        values = values[np.isfinite(values)]
        least, top = values.min(), values.min() + 4 * (np.median(values) - values.min())
        if values.max() - least > 1.5 * (top - least) > 0:  # cut off values that are far worse than the others
            ax.set_ylim(least - 0.06 * (top - least), top)
        failed, spurious, heights = False, False, 0.02
        for place, (name, own) in enumerate(self.lines.items()):
            numbers, values, colour = own["n_components"], np.asarray(own["values"], float), colour_of(place)
            is_above = np.nanmin(values, initial=np.inf) > ax.get_ylim()[1] and not ax.get_autoscaley_on()
            ax.plot(numbers, values, marker="o", ms=5, color=colour, ls=dashes_of(place),
                    label=f"{name}, above" if is_above else name)  # fmt: skip
            hollow = own["spurious"]
            ax.plot(numbers[hollow], values[hollow], "o", ms=5, color=colour, mfc="white")
            missing = numbers[~np.isfinite(values)]
            # lines fail at the same numbers: their crosses stand one above the other
            ax.plot(missing, np.full(len(missing), heights), "x", color=colour, transform=ax.get_xaxis_transform())
            heights += 0.03 if len(missing) else 0.0
            failed, spurious = failed or len(missing) > 0, spurious or bool(np.any(hollow))
        if failed:
            ax.plot([], [], "x", color="black", label="failed")
        if spurious:
            ax.plot([], [], "o", ms=5, color="black", mfc="white", label="spurious")
        ax.plot(*self.best, "*", ms=15, color="black", mec="white", label="best", zorder=5)
        ax.set(xlabel="number of components", ylabel=self.label)
        ax.xaxis.get_major_locator().set_params(integer=True)
        if len(self.lines) > 6:
            ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), frameon=False)
        else:
            ax.legend(frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self


class BatchDisplay:
    """How a batch of fits went: numbers of components, and what statuses say.

    Parameters
    ----------
    numbers : dict
        Number of components, or of clusters of posteriors -> how many problems have it.
    statuses : dict
        What a status says -> how many problems it is said of; one may have several.
    n_problems : int
        Of all that were given.
    label : str
        What the numbers are of.

    Attributes
    ----------
    numbers, statuses, n_problems, label
        As above.
    ax_ : ndarray of matplotlib Axes of shape (2,)
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import BatchDisplay, GaussianMixture, fit_many
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(50, 1)) for _ in range(10)]
    >>> BatchDisplay.from_result(fit_many(X, GaussianMixture(1), random_state=0)).numbers
    {1: 10}
    """

    ax_: NDArray
    figure_: Figure

    def __init__(self, *, numbers: dict[int, int], statuses: dict[str, int], n_problems: int, label: str) -> None:
        self.numbers, self.statuses, self.n_problems, self.label = numbers, statuses, n_problems, label

    @classmethod
    def from_result(cls, result: Any, *, ax: Axes | None = None) -> BatchDisplay:
        """Draw what `fit_many` found.

        Parameters
        ----------
        result : BatchResult
            As `fit_many` returns it.
        ax : matplotlib Axes, default=None
            Its place is taken by two; None makes a figure of its own.

        Returns
        -------
        display : BatchDisplay

        Raises
        ------
        TypeError
            For what is no `BatchResult`.
        """
        if isinstance(result, type) or not hasattr(result, "has_parameters"):
            raise TypeError(f"result={in_short(result)} should be a BatchResult, as fit_many returns it")
        has_clusters = hasattr(result, "n_clusters")
        counted = np.asarray(result.n_clusters if has_clusters else result.n_components)[result.has_parameters]
        numbers = {int(n): int(own) for n, own in zip(*np.unique(counted, return_counts=True), strict=True)}
        statuses = {
            str(flag.name).lower().replace("_", " "): int(np.sum(result.status & int(flag) != 0))
            for flag in Status
            if flag
        }
        statuses["without parameters"] = int(np.sum(~result.has_parameters))
        shown = {name: n for name, n in statuses.items() if n}
        label = "number of clusters" if has_clusters else "number of components"
        return cls(numbers=numbers, statuses=shown, n_problems=len(result), label=label).plot(ax)

    def plot(self, ax: Axes | None = None) -> BatchDisplay:
        """Draw the picture, once more perhaps.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure of its own.

        Returns
        -------
        display : BatchDisplay
            Itself.
        """
        figure, grid = _grid_for(ax, Layout(dict.fromkeys([(0, 0), (0, 1)]), size=(4.4, 3.4)))
        left, right = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1])
        left.bar(list(self.numbers), list(self.numbers.values()), color=COLOURS[0], width=0.8)
        left.set(xlabel=self.label, ylabel=f"problems, of {self.n_problems:,}")
        left.xaxis.get_major_locator().set_params(integer=True)
        if len(self.numbers) == 1:
            (only,) = self.numbers
            left.set_xlim(only - 2, only + 2)
        names, counts = list(self.statuses), list(self.statuses.values())
        places = np.arange(len(names))
        bars = right.barh(places, counts, color=[COLOURS[2] if name == "converged" else COLOURS[4] for name in names])
        right.bar_label(bars, [f"{n:,}" for n in counts], padding=3)
        right.set_yticks(places, names)
        right.set_ylim(max(len(names), 3) - 0.5, -0.5)
        right.set(xlabel="problems", xlim=(0, 1.18 * max(self.n_problems, 1)))
        if not names:
            right.set_yticks([])
        for own in (left, right):
            own.spines[["top", "right"]].set_visible(False)
        self.ax_, self.figure_ = np.array([left, right], dtype=object), figure
        return self


class TraceDisplay:
    """The course of a fit: lower bounds by pass, a line for each start; or log joints by draw, a line for each chain.

    Parameters
    ----------
    traces : dict
        Name of the line -> array of values, one for each pass or draw.
    best : str or None
        The line that was kept, where there are several.
    xlabel, ylabel : str
        What the axes are called.

    Attributes
    ----------
    traces, best, xlabel, ylabel
        As above.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import GaussianMixture, TraceDisplay
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> model = GaussianMixture(3, n_init=4, init_params="random_from_data", random_state=0).fit(X)
    >>> list(TraceDisplay.from_estimator(model, X).traces)
    ['start 0', 'start 1', 'start 2', 'start 3']
    """

    ax_: Axes
    figure_: Figure

    def __init__(self, *, traces: dict[str, NDArray], best: str | None, xlabel: str, ylabel: str) -> None:
        self.traces, self.best, self.xlabel, self.ylabel = traces, best, xlabel, ylabel

    @classmethod
    def from_estimator(
        cls,
        model: Any,
        X: RowsLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        ax: Axes | None = None,
        **row_data: Any,
    ) -> TraceDisplay:
        """Draw the course of a fit.

        Parameters
        ----------
        model : estimator
            Fitted, with `log_joint_draws_`, as `DirichletProcessMixture` has it after `algorithm="sampler"`; else with
            `lower_bounds_`, as every mixture that is fitted by iterations has it.
        X : array-like of shape (n_samples, n_features), default=None
            The rows of the fit: a clone is fitted to them once more, and all its starts are shown. They are those of
            the fit where `random_state` is an int. None shows the start that the fit kept.
        sample_weight : array-like of shape (n_samples,), default=None
            As in the fit.
        ax : matplotlib Axes, default=None
            None makes a figure of its own.
        **row_data
            What the rows have beside their values, as in the fit.

        Returns
        -------
        display : TraceDisplay

        Raises
        ------
        NotFittedError
            For a model before `fit`.
        TypeError
            For a model that has neither, and for X where a model has no starts.
        """
        check_is_fitted(model)
        best, xlabel, ylabel = None, "iteration", "lower bound (nats)"
        if X is not None:
            if not hasattr(model, "_traces_of_starts"):
                raise TypeError(f"a {type(model).__name__} has no starts of its own to show: leave X out")
            found, kept = model._traces_of_starts(X, sample_weight, row_data)
            traces = {f"start {i}": np.array(own) for i, own in sorted(found.items())}
            best = _start_of(kept, traces) if kept else None
        elif hasattr(model, "log_joint_draws_"):
            chains = np.atleast_2d(np.asarray(model.log_joint_draws_))
            traces = {f"chain {i}": own for i, own in enumerate(chains)}
            xlabel, ylabel = "draw", "log joint (nats)"
        else:
            wanted = "a mixture that is fitted by iterations"
            traces = {"lower bound": np.asarray(_attribute(model, "trace", "lower_bounds_", wanted))}
        return cls(traces=traces, best=best, xlabel=xlabel, ylabel=ylabel).plot(ax)

    def plot(self, ax: Axes | None = None) -> TraceDisplay:
        """Draw the picture, once more perhaps.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure of its own.

        Returns
        -------
        display : TraceDisplay
            Itself.
        """
        ax = axes_of(ax, figsize=(6.4, 4.2))
        are_few = len(self.traces) <= 8
        for place, (name, values) in enumerate(self.traces.items()):
            there = np.flatnonzero(np.isfinite(values))
            is_best = self.best in (None, name)
            ax.plot(
                there + 1, values[there], color=colour_of(place if are_few else 0) if are_few or is_best else "0.7",
                alpha=0.9 if are_few or is_best else 0.6, lw=2 if is_best else 1.1,
                label=f"{name} (kept)" if name == self.best else name, zorder=3 if is_best else 2,
                # a single value has no line
                marker="o" if len(there) == 1 else None,
            )  # fmt: skip
        _leave_out_beginnings(ax, self.traces)
        ax.set(xlabel=self.xlabel, ylabel=self.ylabel)
        ax.xaxis.get_major_locator().set_params(integer=True)
        if are_few and len(self.traces) > 1:
            ax.legend(frameon=False)
        elif self.best is not None:
            ax.legend([ax.lines[list(self.traces).index(self.best)]], [f"{self.best} (kept), of {len(self.traces)}"],
                      frameon=False)  # fmt: skip
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _start_of(kept, traces):
    """The name of the start whose lower bounds are `kept`, which are rounded to the precision of the rows; None if none
    is equal to that."""
    ends = {name: np.append(np.nan, own[np.isfinite(own)])[-1] for name, own in traces.items()}
    same = [name for name in ends if np.sum(np.isfinite(traces[name])) == len(kept)] or list(ends)
    return min(same, key=lambda name: abs(ends[name] - kept[-1]))


def _leave_out_beginnings(ax, traces):
    """Set the lower limit of the axis to cut off the first passes, whose bounds are far below."""
    courses = [own[np.isfinite(own)] for own in traces.values()]
    values = np.concatenate(courses or [np.zeros(0)])
    later = np.concatenate([own[2:] for own in courses] or [np.zeros(0)])
    if len(later) < 5:
        return
    low, top = np.quantile(later, 0.02), values.max()
    if values.min() < low - 0.5 * (top - low) and top > low:
        ax.set_ylim(low - 0.25 * (top - low), top + 0.08 * (top - low))


def trace(model: Any, ax: Axes | None = None) -> Axes:
    """Draw the course of a fit: `TraceDisplay.from_estimator`, of which it returns the Axes.

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
    return TraceDisplay.from_estimator(model, ax=ax).ax_


def n_clusters(model: Any, ax: Axes | None = None) -> Axes:
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
    ax = axes_of(ax)
    numbers = sorted(posterior)
    ax.bar(numbers, [posterior[number] for number in numbers])
    ax.set(xlabel="number of clusters", ylabel="posterior probability")
    ax.xaxis.get_major_locator().set_params(integer=True)
    return ax


def coclustering(model: Any, rows: ArrayLike | None = None, ax: Axes | None = None, max_rows: int = MAX_ROWS) -> Axes:
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
    rows = rows[some_rows(len(rows), max_rows)]
    rows = rows[np.argsort(labels[rows], kind="stable")]
    ax = axes_of(ax)
    image = ax.imshow(pairs(rows), cmap="Greys", vmin=0, vmax=1, interpolation="nearest")
    for place in np.flatnonzero(np.diff(labels[rows])) + 0.5:
        ax.axhline(place, color="tab:red", linewidth=0.7)
        ax.axvline(place, color="tab:red", linewidth=0.7)
    ax.set(xlabel="rows, by cluster", ylabel="rows, by cluster")
    ax.figure.colorbar(image, ax=ax, label="probability of one cluster")
    return ax


def _attribute(model, function, name, wanted):
    """An attribute of a fitted model. Raises TypeError, with the `function` and the models `wanted`, if it has none."""
    check_is_fitted(model)
    if not hasattr(model, name):
        raise TypeError(f"{function} draws {name}, which this {type(model).__name__} has not: pass {wanted}")
    return getattr(model, name)
