"""What users call y of mixtures of experts: several responses, and classes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixfast.in_messages import listed
from mixfast.row_data import Responses, distinct
from mixfast.tables import Table, check_no_dates, is_table


class PicturedResponse(NamedTuple):
    """A number of each row whose mean a component has.

    name : what it is called
    numbers : float64 (n_samples,), NaN where there is none
    is_share : whether it lies between 0 and 1
    """

    name: str
    numbers: NDArray[np.float64]
    is_share: bool


def columns_of_responses(y, widths):
    """`Responses` of what several responses are given as: a list with an entry for each, or a table or an array with
    a column for each, or as many as each has, `widths`, None where that is not known."""
    if isinstance(y, Responses):
        return y
    n_responses = len(widths)
    if isinstance(y, list | tuple) and len(y) == n_responses and all(map(np.ndim, y)):
        parts = []
        for place, own in enumerate(y):
            check_no_dates(own, f"y[{place}]")
            parts.append(np.asarray(own))
        if len(set(map(len, parts))) > 1:
            raise ValueError(f"y should have as many rows in each entry, got {[len(own) for own in parts]}")
        return Responses(parts)
    check_no_dates(y, "y")
    if is_table(y):
        table = Table(y)
        columns = [series.to_numpy() for series in table.series]
    else:
        y = np.asarray(y)
        columns = list(y.T) if y.ndim == 2 else []
    if len(columns) == n_responses:
        return Responses(columns)
    if None not in widths and len(columns) == sum(widths):
        ends = np.cumsum(widths).tolist()
        return Responses(np.column_stack(columns[end - width : end]) for width, end in zip(widths, ends, strict=True))
    raise ValueError(
        f"y should be a list of {n_responses} responses, each shaped as it is alone, or a table with a column for "
        f"each, got {type(y).__name__} of the shape {np.shape(y)}"
    )


def classes_of(y, name):
    """The classes that the labels or the columns of y have. Raises ValueError for fewer than two."""
    return check_classes(classes_seen(y, name), name)


def classes_seen(y, name):
    """The classes that the labels or the columns of a part of y have, any number."""
    if y.ndim == 2 and y.shape[1] > 1:
        return np.arange(y.shape[1])
    return distinct(name, y.ravel())


def check_classes(classes, name):
    """Raises ValueError for fewer than two classes."""
    if len(classes) < 2:
        raise ValueError(f"{name} has {len(classes)} class(es): expert='multinomial' needs two at least")
    return classes


def counts_of_classes(y, classes, name):
    """(n_samples, n_classes), of labels too."""
    if y.ndim == 2 and y.shape[1] > 1:
        return y
    y, kinds = y.ravel(), [classes.dtype.kind, y.dtype.kind]
    if kinds[0] == kinds[1] != "O" or all(kind in "biuf" for kind in kinds):
        places = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
        unknown = classes[places] != y
    else:  # of other types than those of the fit, perhaps, which have no order
        known = {label: place for place, label in enumerate(classes.tolist())}
        places = np.array([known.get(label, -1) for label in y.tolist()], dtype=np.intp)
        unknown = places < 0
    if np.any(unknown):
        row = int(np.argmax(unknown))
        raise ValueError(f"{name} is {y[row]} in row {row}, which is none of the classes of the fit, {listed(classes)}")
    return np.eye(len(classes))[places]
