"""Pictures of mixtures of experts: responses over the column of X that their means depend on most."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixfast.canvas import limits_of
from mixfast.mixture_pictures import Regression


class Predictors(NamedTuple):
    """The columns that the means of experts can be drawn over.

    names : list of str
    columns : list of float64 (n_rows,), or None for a column that is not numeric
    at : function of (j, values) -> rows with these values of column j, and all other columns held constant
    are_held : at what they are held, for the label: 'at medians'
    go_beyond : whether there are predictions beyond the rows: terms of formulas, splines or logarithms, may have none
    """

    names: list[str]
    columns: list[Any]
    at: Any
    are_held: str
    go_beyond: bool


def predictors_of(model: Any, rows: Any, own: Any) -> Predictors:
    """`Predictors` of `own`, X of the fit as an array or a table; of models that were fitted by a formula, of `rows`,
    the table that the formula made X of."""
    if own is not rows:
        return _of_formula(model, rows)
    values = model._validate_rows(own, reset=False).astype(np.float64)
    medians = np.median(values, axis=0)

    def at(j, numbers):
        grid = np.tile(medians, (len(numbers), 1))
        grid[:, j] = numbers
        return grid

    return Predictors([str(name) for name in model._labels_of_columns()], list(values.T), at, "at medians", True)


def _of_formula(model, table):
    import pandas as pd

    frame = model._fitted_formula.columns_of_terms(table)
    names = list(frame.columns)
    are_numbers = [pd.api.types.is_any_real_numeric_dtype(frame[name]) for name in names]
    held = pd.DataFrame({
        name: [frame[name].median() if is_number else frame[name].mode().iloc[0]]
        for name, is_number in zip(names, are_numbers, strict=True)
    })  # fmt: skip

    def at(j, numbers):
        grid = pd.concat([held] * len(numbers), ignore_index=True)
        grid[names[j]] = numbers
        return model._fitted_formula.design(grid)

    columns = [
        frame[name].to_numpy(dtype=np.float64) if is_number else None
        for name, is_number in zip(names, are_numbers, strict=True)
    ]
    return Predictors([str(name) for name in names], columns, at, "at typical values", False)


def regressions(
    model: Any,
    predictors: Predictors,
    of_rows: Sequence[Any],
    labels: NDArray[np.int64],
    shown: NDArray[np.int64],
    places: list[int] | None,
) -> list[Regression]:
    """A panel for each response, and for each class of multinomial ones.

    of_rows : what `_pictured_responses` says of the rows
    labels : the component of each row
    shown : indices of the rows that are drawn
    places : [the column of numbers on the horizontal axis]; None for that which predictions depend on most
    """
    (j,) = _most_telling(model, predictors, of_rows) if places is None else places
    x, n_others = predictors.columns[j], len(predictors.names) - 1
    across = limits_of(x)
    low, high = across if predictors.go_beyond else (x.min(), x.max())
    grid = np.linspace(low, high, 200)
    others = f" ({n_others} other column{'s' * (n_others > 1)} {predictors.are_held})" if n_others else ""
    rng, panels = np.random.default_rng(0), []
    for response, means in zip(of_rows, _means_of(model, predictors.at(j, grid)), strict=True):
        drawn = response.numbers[shown]
        if response.is_share:  # jitter, so that equal shares do not hide each other
            drawn = drawn + rng.uniform(-0.03, 0.03, len(drawn))
        limits = across, (-0.08, 1.08) if response.is_share else limits_of(response.numbers)
        panels.append(
            Regression(predictors.names[j], response.name, x[shown], drawn, labels[shown], grid, means, limits, others)
        )
    return panels


def _most_telling(model, predictors, of_rows):
    """[j], the column for which some mean changes most between its 5 % and 95 % quantiles, in standard deviations of
    the response."""
    moved = []
    for j, x in enumerate(predictors.columns):
        moved.append(-1.0)
        if x is None:
            continue
        ends = _means_of(model, predictors.at(j, np.quantile(x, [0.05, 0.95])))
        for response, means in zip(of_rows, ends, strict=True):
            spread = np.nanstd(response.numbers) or 1.0
            moved[-1] = max(moved[-1], np.abs(np.diff(means, axis=0)).max() / spread)
    return [int(np.argmax(moved))]


def _means_of(model, rows):
    """Means of the components for each of `_pictured_responses`, a list of (n, n_components), with exposure 1."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # names of columns
        found = [own if own.ndim == 3 else own[..., np.newaxis] for own in model._means_of_components(rows, None, None)]
    return [own[..., c] for own in found for c in range(own.shape[2])]
