"""What users call y of mixtures of experts: several responses, and classes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixfast.in_messages import listed
from mixfast.row_data import Responses, distinct
from mixfast.tables import Table, check_no_dates, hold_words, is_table


class ClassesError(ValueError):
    """Labels have too few classes, or too many."""


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


def _classes_of_a_multinomial(y, name):
    if y.ndim == 2 and y.shape[1] > 1:
        return np.arange(y.shape[1])
    return distinct(name, y.ravel())


def _classes_of_a_binomial(y, name):
    """Those of labels; zeros and ones and counts have none."""
    is_one = y.ndim == 1 or y.shape[1] == 1
    return distinct(name, y.ravel()) if is_one and hold_words(y) else np.empty(0)


#: Name of an expert -> function of (y, its name) that returns the classes that the labels or the columns of y have, of
#: those experts whose responses may have classes.
OF_CLASSES = {"multinomial": _classes_of_a_multinomial, "binomial": _classes_of_a_binomial}


def classes_seen(expert, y, name):
    """The classes that a part of y has, any number of them; none where it has no classes."""
    return OF_CLASSES[expert](y, name) if expert in OF_CLASSES else np.empty(0)


def classes_of(expert, y, name):
    """The classes that all of y has, None where it has no classes. Raises ValueError for too few or many."""
    return check_classes(expert, classes_seen(expert, y, name), name)


def check_classes(expert, classes, name):
    """The classes, None where there are none. Raises ValueError for equal ones, for fewer than two, and of a binomial
    for more."""
    labels = np.ravel(classes).tolist()
    for place, label in enumerate(labels):
        if label in labels[:place]:
            raise ValueError(f"{name} has {label!r} more than once: give each class a label of its own")
    if expert == "binomial" and len(classes) not in (0, 2):
        raise ClassesError(
            f"{name} has {len(classes)} class(es), {listed(classes)}: expert='binomial' needs two, of which the second "
            "is the success" + (". For more there is expert='multinomial'" if len(classes) > 2 else "")
        )
    if expert == "multinomial" and len(classes) < 2:
        raise ClassesError(f"{name} has {len(classes)} class(es): expert='multinomial' needs two at least")
    return classes if len(classes) else None


def numbers_of(expert, y, classes, name):
    """y as its `Expert` takes it: labels are counts of 1; what is given as counts stays as it is."""
    if classes is None or (y.ndim == 2 and y.shape[1] > 1):
        return y
    return expert.of_classes(_counts_of_classes(y, classes, name))


def _counts_of_classes(y, classes, name):
    """(n_samples, n_classes), a 1 in each row."""
    y, kinds = y.ravel(), [classes.dtype.kind, y.dtype.kind]
    if kinds[0] == kinds[1] != "O" or all(kind in "biuf" for kind in kinds):
        order = np.argsort(classes, kind="stable")  # those of a formula are as its table has them
        places = order[np.minimum(np.searchsorted(classes[order], y), len(classes) - 1)]
        unknown = classes[places] != y
    else:  # of other types than those of the fit, perhaps, which have no order
        known = {label: place for place, label in enumerate(classes.tolist())}
        places = np.array([known.get(label, -1) for label in y.tolist()], dtype=np.intp)
        unknown = places < 0
    if np.any(unknown):
        row = int(np.argmax(unknown))
        raise ValueError(f"{name} is {y[row]} in row {row}, which is none of the classes of the fit, {listed(classes)}")
    return np.eye(len(classes))[places]
