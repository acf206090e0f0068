"""What a picture of a mixture is made of: the fitted model, its rows, and the panels that they give."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, softmax

from mixfast.canvas import limits_of
from mixfast.families.family import ColumnKind
from mixfast.mixture_pictures import (
    N_DRAWS,
    N_WORDS,
    Contours,
    Density,
    Looks,
    Plane,
    Profile,
    Words,
    contours_of,
    density_of,
    locations_of,
)
from mixfast.row_data import rows_with

if TYPE_CHECKING:
    from mixfast.relations import Components

#: Number of draws from a mixture for the density of a column, where the family has no `margin`.
MANY_DRAWS = 20_000
#: A profile shows at most so many cells side by side.
MOST_CELLS = 40
#: The number of panels of top words.
MOST_PANELS = 12
#: How many columns are shown by default.
MOST_COLUMNS = 6
#: The mutual information of column and component is estimated from at most so many rows.
N_JUDGES = 1000
#: Densities of counts are averaged over the exposures of at most so many rows.
N_EXPOSURES = 32
#: Draws that tell how uniform noise in a box lies along a column, to 0.2 % of the peak of that density.
N_IN_BOX = 100_000


@dataclass(frozen=True, eq=False)
class View:
    """A fitted mixture and rows, from which panels are made.

    model : estimator
    components : `Components`
    looks : `Looks`
    names : list of str, of the columns, in the order of the family
    rows : (n_rows, n_features), validated rows, dense or sparse; draws from the mixture if the user gave none
    weights : (n_rows,) or None
    labels : int64 (n_rows,), n_components for rows without a component
    shown : indices of the rows that are shown
    data : dict, row data by name
    are_drawn : whether rows are draws from the mixture
    """

    model: Any
    components: Components
    looks: Looks
    names: list[str]
    rows: Any
    weights: NDArray | None
    labels: NDArray[np.int64]
    shown: NDArray[np.intp]
    uncertainty: NDArray[np.float64]
    data: dict = field(default_factory=dict)
    are_drawn: bool = False

    @cached_property
    def kinds(self) -> list[ColumnKind]:
        """The `ColumnKind` of each column."""
        return self.components.family.column_kinds(self.components.n_features)

    def column(self, j: int, rows: Any = slice(None)) -> NDArray[np.float64]:
        """Values of column j, dense, of all rows or those that `rows` selects."""
        own = self.rows[:, [j]]
        own = own.toarray() if hasattr(own, "toarray") else np.asarray(own)
        return own[:, 0][rows].astype(np.float64)

    def categories(self, j: int) -> list[str] | None:
        """Names of the categories of column j, or None."""
        if self.kinds[j] is not ColumnKind.CATEGORY:
            return None
        known = self.model._labels_of_categories()
        if known is None or known[j] is None:
            return ["0", "1"]
        return [str(own) for own in known[j]]

    # ---- panels ----

    def density(self, j: int, doubts: bool = False) -> Density:
        """The `Density` panel of column j; `doubts` shades it by uncertainty."""
        margin = self.components.margin([j])
        rng = np.random.default_rng(0)
        K = self.components.n_components
        own = None if self.are_drawn else self.column(j)
        if margin is None:
            return self._by_draws(j, own)
        draws = margin._sample(np.repeat(np.arange(K), N_DRAWS), rng)[:, 0].reshape(K, N_DRAWS).T
        heavy = (self.looks.weights >= 0.01) & self.looks.present
        centres = np.median(draws, axis=0)[heavy]
        quantiles = np.quantile(draws, np.linspace(0.002, 0.998, int(np.clip(3000 // K, 9, 101))), axis=0)
        evaluate = self._of_model if self.components.n_features == 1 else _of_margin(margin, self._exposures())
        if self.looks.noise > 0 and self.components.n_features > 1:
            evaluate = _beside_noise(evaluate, self.looks.noise, self.model._region().box, j)
        return density_of(
            self.names[j], self.kinds[j], evaluate, centres, quantiles[:, self.looks.present], own, self.weights,
            self.categories(j), doubts,
        )  # fmt: skip

    def _exposures(self) -> list[dict]:
        """What some rows have beside their values, evenly spaced in their order; of no row, nothing."""
        if "exposure" not in self.data:
            return [{}]
        exposures = np.sort(np.broadcast_to(self.data["exposure"], self.rows.shape[0]))
        chosen = exposures[np.linspace(0, len(exposures) - 1, min(N_EXPOSURES, len(exposures))).astype(int)]
        return [{"exposure": float(own)} for own in chosen]

    def _of_model(self, grid: NDArray) -> tuple[NDArray, NDArray]:
        """(density (n,), its parts by component (n, n_components)) at `grid`, of a model with a single column: by
        `score_samples` and responsibilities, averaged over exposures."""
        rows, total, parts = self.model._as_given(grid[:, np.newaxis]), 0.0, 0.0
        exposures = self._exposures()
        K = self.components.n_components
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about names of columns and impossible rows
            for own in exposures:
                data = {name: np.full(len(grid), value) for name, value in own.items()}
                density = np.exp(np.asarray(self.model.score_samples(rows, **data), dtype=np.float64))
                total = total + density / len(exposures)
                shares = self.model._shares_of_rows(rows, **data)[:, :K]
                parts = parts + density[:, np.newaxis] * shares / len(exposures)
        return total, parts

    def _by_draws(self, j: int, own: NDArray | None) -> Density:
        """The density of column j as a histogram of draws, for families without `margin`."""
        K, rng = self.components.n_components, np.random.default_rng(0)
        n_draws = int(np.clip(4_000_000 // self.components.n_features, 1000, MANY_DRAWS))
        labels = np.repeat(np.arange(K), rng.multinomial(n_draws, self.components.weights))
        drawn = self.components._sample(labels, rng)[:, j]

        def evaluate(grid):
            # a point of the grid has the share of the bar about it
            width = grid[1] - grid[0]
            edges = np.append(grid - width / 2, grid[-1] + width / 2)
            parts = [np.histogram(drawn[labels == k], edges)[0] for k in range(K)]
            parts = np.stack(parts, axis=1) / (n_draws * width)
            return parts.sum(axis=1), parts

        return density_of(
            self.names[j], self.kinds[j], evaluate, [], None, own, self.weights,
            self.categories(j), known=drawn,
        )  # fmt: skip

    def plane(self, i: int, j: int, doubts: bool = False) -> Plane:
        """The `Plane` panel of column i on the horizontal and column j on the vertical axis."""
        margin = self.components.margin(sorted((i, j)))
        drawn = np.flatnonzero(self.looks.present)
        if margin is not None:
            contours = contours_of(margin, drawn, swaps=i > j)
        else:
            centres = locations_of(self.components)
            contours = {k: Contours(centres[k, [i, j]], []) for k in drawn}
        rows = np.column_stack([self.column(i, self.shown), self.column(j, self.shown)])
        heavy = [own for k, own in contours.items() if self.looks.weights[k] >= 0.01]
        places = np.array([own.centre for own in heavy]).reshape(-1, 2)
        limits = []
        rng = np.random.default_rng(0)
        for axis, column in enumerate((i, j)):
            if (
                self.kinds[column].is_whole
                and np.nanmax(rows[:, axis], initial=0) - np.nanmin(rows[:, axis], initial=0) <= 50
            ):
                rows[:, axis] += rng.uniform(-0.3, 0.3, len(rows))  # jitter, so that equal rows do not hide each other
            edges = [edge for own in heavy for edge in own.edges(axis)]
            limits.append(limits_of(rows[:, axis], places[:, axis], edges))
        inside = np.all([(rows[:, a] >= limits[a][0]) & (rows[:, a] <= limits[a][1]) for a in range(2)], axis=0)
        there = np.all(np.isfinite(rows), axis=1)
        return Plane(
            (self.names[i], self.names[j]),
            rows[there],
            np.minimum(self.labels[self.shown], self.components.n_components)[there],
            contours,
            (limits[0], limits[1]),
            int(np.sum(~inside & there)),
            self.uncertainty[there] if doubts else None,
            (self.categories(i), self.categories(j)),
        )

    def profile(self, features: list[int]) -> Profile:
        """The `Profile` panel of columns of one kind, or of kinds that share the meaning of the colours."""
        cells, numbers, columns, left = [], [], [], 0
        kinds = {self.kinds[j] for j in features}
        shares = None
        if kinds == {ColumnKind.SHARE}:
            shares = self.components.family.word_shares(self.components.params)
        described = self.components.family.described(self.components.params)
        for j in features:
            if shares is not None:
                cells.append(self.names[j])
                numbers.append(shares[:, j])
                columns.append(j)
                continue
            categories = self.categories(j)
            for own in described:
                for place in np.flatnonzero(own.columns == j):
                    said = "" if own.codes is None else f": {categories[own.codes[place]]}"
                    cells.append(self.names[j] + said)
                    numbers.append(own.locations[:, place])
                    columns.append(j)
        if len(cells) > MOST_CELLS:
            kept = sorted(self.most_separating(features, MOST_CELLS), key=features.index)
            n_cells = Counter(columns)
            while len(kept) > 1 and sum(n_cells[j] for j in kept) > MOST_CELLS:
                kept.pop()
            own_cells = [c for c, j in enumerate(columns) if j in set(kept)]
            left = len(features) - len(kept)
            cells, numbers = [cells[c] for c in own_cells], [numbers[c] for c in own_cells]
            columns = [columns[c] for c in own_cells]
        table = np.column_stack(numbers)
        if kinds == {ColumnKind.CATEGORY}:
            return Profile(cells, table, table, "probability", True, left)
        weights = self.components.weights
        means = weights @ table
        if kinds <= {ColumnKind.COUNT, ColumnKind.SHARE}:
            ratios = np.divide(table, means, out=np.ones_like(table), where=means > 0)
            return Profile(cells, table, ratios, "times the mean", False, left)
        spreads = np.array([np.nanstd(self.column(j)) for j in columns])
        shades = np.divide(table - means, spreads, out=np.zeros_like(table), where=spreads > 0)
        return Profile(cells, table, shades, "sd from the mean", False, left)

    def words(self) -> list[Words]:
        """The `Words` panels, one for each of the components of the largest weights."""
        shares = self.components.family.word_shares(self.components.params)
        of = "of the mean direction" if ColumnKind.DIRECTION in self.kinds else "probability"
        chosen = np.sort(self.looks.drawn()[:MOST_PANELS])
        found = []
        for k in chosen:
            best = np.argsort(-shares[k], kind="stable")[:N_WORDS]
            best = best[shares[k, best] > 0]
            found.append((int(k), [self.names[j] for j in best], shares[k, best]))
        most = max((float(own[0]) for _, _, own in found if len(own)), default=1.0)
        return [Words(k, words, own, most, of) for k, words, own in found]

    def telling(self, n: int) -> list[int]:
        """The n columns with the largest mutual information with the component, in ascending order."""
        return sorted(self.most_separating(range(len(self.names)), n))

    def most_separating(self, features: Sequence[int], n: int) -> list[int]:
        """The n of `features` with the largest mutual information with the component, the largest first."""
        if len(features) <= n:
            return list(features)
        scores = self._scores(features)
        return [features[place] for place in np.argsort(-scores, kind="stable")[:n]]

    def _scores(self, features):
        """The mutual information of column and component, in nats; of words, of one word drawn."""
        components, family = self.components, self.components.family
        if family.margin is None and hasattr(family, "word_shares"):
            shares = family.word_shares(components.params)[:, features]
            means = components.weights @ shares
            squares = components.weights @ (shares - means) ** 2
            return np.divide(squares, means, out=np.zeros(len(means)), where=means > 0)
        judges = self.shown[:: max(1, len(self.shown) // N_JUDGES)]
        if family.margin is None:
            return np.array([_share_between(self.column(j, judges), self.labels[judges]) for j in features])
        prior = entr(components.weights).sum()
        scores = []
        for j in features:
            values = self.column(j, judges)
            resp = softmax(components.margin([j]).log_joint(values[np.isfinite(values)][:, np.newaxis]), axis=1)
            scores.append(prior - np.nan_to_num(entr(resp).sum(axis=1)).mean() if len(resp) else 0.0)
        return np.array(scores)


def _of_margin(margin, exposures):
    """A function of a grid that returns the marginal densities of the components there, averaged over exposures."""

    def evaluate(grid):
        parts = 0.0
        for own in exposures:
            data = {name: np.full(len(grid), value) for name, value in own.items()}
            logs = margin.log_densities(rows_with(grid[:, np.newaxis], data))
            parts = parts + np.exp(logs) * margin.weights / len(exposures)
        return parts.sum(axis=1), parts

    return evaluate


def _beside_noise(evaluate, share, box, j):
    """The same with uniform noise in a box, whose column j has its share of the total and is no part."""

    def with_noise(grid):
        total, parts = evaluate(grid)
        return (1 - share) * total + share * density_in_box(box, j, grid), (1 - share) * parts

    return with_noise


def density_in_box(box: NDArray, j: int, grid: NDArray) -> NDArray[np.float64]:
    """The density of column j of rows that are uniform in a box (a corner, then its edges).

    The column is a sum of uniform numbers, one for each edge. Of all but the one with the longest range N_IN_BOX are
    drawn, beside each of which that one has a density.
    """
    ranges = np.abs(box[1:, j])
    longest = int(np.argmax(ranges))
    others = np.delete(ranges, longest)
    drawn = np.sort(np.random.default_rng(0).random((N_IN_BOX, len(others))) @ others)
    above = grid - (box[0, j] + np.minimum(box[1:, j], 0).sum())
    below = np.searchsorted(drawn, above, side="right") - np.searchsorted(drawn, above - ranges[longest], side="right")
    return below / (N_IN_BOX * ranges[longest])


def _share_between(values, labels):
    """The share of the variance of `values` that is between the groups of `labels`."""
    values, labels = values[np.isfinite(values)], labels[np.isfinite(values)]
    if not len(values) or np.var(values) == 0:
        return 0.0
    _, places = np.unique(labels, return_inverse=True)
    means = np.bincount(places, values) / np.bincount(places)
    return float(np.var(means[places]) / np.var(values))
