"""Columns of answers, from arrays and tables of any form, and the codes of their categories."""

from __future__ import annotations

from collections.abc import Hashable
from decimal import Decimal
from functools import cached_property
from numbers import Integral

import numpy as np
from sklearn.utils import check_array

from mixfast.tables import Table, adopted, as_values, declared_categories, is_nothing, is_table, levels_of


class Answers:
    """A column: its name or number, and the answers in its rows, numbers or objects, some of them missing.

    Parameters
    ----------
    name : object
    values : (n_values,)
    is_missing : (n_values,), a mask
    declared : array or None
        What the type of the column declares for categories.
    codes : (n_rows,) of int, or None
        Which of the values each row has, -1 where it has none; None where there is one for each row. Rows share values
        where there are few: what is asked of values is then asked of these.
    """

    def __init__(self, name, values, is_missing, declared=None, codes=None):
        self.name, self.declared = name, declared
        self._values, self._is_missing, self._codes = values, is_missing, codes

    def __len__(self):
        return len(self._values if self._codes is None else self._codes)

    @cached_property
    def values(self):
        """(n_rows,); anything where they are missing."""
        return self._values if self._codes is None else self._of_rows(self._values, self._values.dtype.type())

    @cached_property
    def is_missing(self):
        """(n_rows,), a mask."""
        return self._is_missing if self._codes is None else self._of_rows(self._is_missing, True)

    @property
    def dtype(self):
        return self._values.dtype

    def known(self):
        """Values that rows have, not missing: of each row, or each of some once or more."""
        is_known = ~self._is_missing
        if self._codes is not None:
            is_known &= np.bincount(self._codes[self._codes >= 0], minlength=len(self._values)) > 0
        return self._values[is_known]

    def looked_up(self, function):
        """float64 (n_rows,): what a function of an array of values gives for each, NaN where it is missing."""
        found = np.full(len(self._values), np.nan)
        found[~self._is_missing] = function(self._values[~self._is_missing])
        return found if self._codes is None else self._of_rows(found, np.nan)

    def _of_rows(self, of_values, of_none):
        """(n_rows,), from something of each value, and of none."""
        extended = np.empty(len(of_values) + 1, dtype=of_values.dtype)
        extended[:-1], extended[-1] = of_values, of_none
        return extended[self._codes]


class Columns:
    """The columns of X, read as `Answers` one by one; raises ValueError where X has not two dimensions."""

    def __init__(self, X, ensure_min_samples=1):
        X = adopted(X)
        self._table = Table(X) if is_table(X) else None
        if self._table is not None:
            self.names = self._table.names
            n_rows = len(self._table)
            if n_rows < ensure_min_samples or not self.names:
                raise ValueError(
                    f"Found array with {n_rows} sample(s) (shape={(n_rows, len(self.names))}) while a minimum of "
                    f"{ensure_min_samples} is required, and one column."
                )
            return
        if not hasattr(X, "dtype") and np.asarray(X).dtype.kind in "US":
            X = np.asarray(X, dtype=object)  # NumPy would make strings of numbers among them
        self._X = check_array(X, dtype=None, order="F", ensure_all_finite=False, ensure_min_samples=ensure_min_samples)
        self.names = list(range(self._X.shape[1]))

    @property
    def are_named(self):
        """Whether X is a table, whose columns have names and not only places."""
        return self._table is not None

    def __len__(self):
        return len(self.names)

    def answers(self, place):
        name = self.names[place]
        if self._table is None:
            return _answers(name, self._X[:, place])
        series = self._table.series[place]
        declared, levels = declared_categories(series), levels_of(series)
        if levels is not None:
            return Answers(name, *_plain(name, as_values(levels[0]), declared is not None), declared, levels[1])
        # beside a missing value integers become float64, and large ones their neighbours
        known = series.fill_null(0) if series.dtype.is_integer() else series
        # values of a type that declares its categories may be anything, as intervals
        values = known.to_numpy()
        if values.dtype.kind in "OUS" and declared is None:
            return _answers(name, values)
        values, is_missing = _plain(name, values, declared is not None)
        return Answers(name, values, is_missing | series.is_null().to_numpy(), declared)

    def all_answers(self):
        return [self.answers(place) for place in range(len(self))]


def _answers(name, values):
    """`Answers` of a column of an array. Strings are numbered first: a hash for each row, and all else once for each of
    them, takes an eighth of the time."""
    if values.ndim == 1 and values.dtype.kind in "OUS":
        rows = values.tolist()
        try:
            numbers = {value: number for number, value in enumerate(dict.fromkeys(rows))}
        except TypeError:  # lists, say
            numbers = {}
        if all(isinstance(value, str) or is_nothing(value) for value in numbers) and len(numbers):
            codes = np.fromiter(map(numbers.__getitem__, rows), np.intp, len(rows))
            return Answers(name, *_plain(name, as_values(list(numbers))), None, codes)
    return Answers(name, *_plain(name, values))


def _plain(name, values, is_declared=False):
    """Values as numbers or as an object array of strings, and where they are missing; those whose categories are
    declared as they are."""
    if values.ndim != 1:
        raise ValueError(f"Column {name!r} of X should hold strings or numbers, got lists of them")
    if values.dtype.kind in "US":
        values = values.astype(object)
    if values.dtype != object:
        if values.dtype.kind not in "biuf":
            raise ValueError(f"Column {name!r} of X should hold strings or numbers, got {values.dtype}")
        if values.dtype.kind == "f" and np.any(np.isinf(values)):
            raise ValueError(f"Column {name!r} of X holds infinity: Input X contains infinity or a value too large.")
        is_missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), dtype=bool)
        return values, is_missing
    is_missing = np.array([is_nothing(value) for value in values], dtype=bool)
    known = values[~is_missing]
    if is_declared or all(isinstance(value, str) for value in known):
        return values, is_missing
    numbers = np.array([float(value) if isinstance(value, Decimal) else value for value in known.tolist()])
    if any(isinstance(value, str) for value in known):
        kinds = ", ".join(sorted({type(value).__name__ for value in known}))
        raise ValueError(f"Column {name!r} of X should hold either strings or numbers, got {kinds}")
    if numbers.ndim == 1 and all(isinstance(value, Integral) for value in known):
        if numbers.dtype.kind not in "biu":
            raise ValueError(
                f"Column {name!r} of X holds integers that 64 bits are too few for, such as {max(known, key=abs)}: "
                "make strings of them"
            )
    elif numbers.dtype.kind not in "biuf" or numbers.ndim != 1:
        kinds = ", ".join(sorted({type(value).__name__ for value in known}))
        raise TypeError(f"Column {name!r} of X: its argument must be a string or a number, got {kinds}")
    full = np.zeros(len(values), dtype=numbers.dtype)
    full[~is_missing] = numbers
    return full, is_missing


def categories_of(answers, needs_some=True):
    """Those that the type of the column names, or else its distinct values, sorted; a part of the rows need not have
    some."""
    if answers.declared is not None:
        return answers.declared
    known = answers.known()
    if needs_some:
        _check_has_some(answers, known)
    if known.dtype == object:
        return np.array(sorted(set(known)), dtype=object)
    steps = _steps(known, known.min()) if len(known) else None
    if steps is not None and steps.max() < len(known):  # a count takes a tenth of the time of a sort
        return (np.flatnonzero(np.bincount(steps)) + known.min()).astype(known.dtype)
    return np.unique(known)


def known_categories(answers, of_all, needs_some=True):
    """Those that all rows have, of which these rows are some, by column: a list of arrays."""
    if len(of_all) != len(answers):
        raise ValueError(f"X has {len(answers)} columns of categories, and the design is of rows with {len(of_all)}")
    if needs_some:
        for own, categories in zip(answers, of_all, strict=True):
            _check_has_some(own, categories)
    return list(of_all)


def _check_has_some(answers, known):
    if not len(known):
        raise ValueError(f"Column {answers.name!r} of X has no answers: leave it out, or give its categories")


def _steps(values, lowest):
    """values - lowest as integers; None if the values are not integers or span too wide a range."""
    if values.dtype.kind == "b" or not float(values.max()) - float(lowest) < 2**24:
        return None
    steps = (values - lowest).astype(np.intp)
    return steps if np.array_equal(steps + lowest, values) else None


def check_categories(given, n_features):
    """The lists that the user gave, as arrays."""
    if len(given) != n_features:
        raise ValueError(f"categories has {len(given)} lists for the {n_features} columns of X")
    arrays = []
    for j, values in enumerate(given):
        array = as_values(values)
        are_values = all(isinstance(value, Hashable) for value in array.tolist())
        if not are_values or not len(array) or len(set(array.tolist())) < len(array):
            raise ValueError(f"categories[{j}] should be a list of distinct values, got {values!r}")
        arrays.append(array)
    return arrays


def codes_of(answers, categories, unseen="error"):
    """The place of each answer among the categories, NaN where it is missing; values that are none of them raise
    ValueError, or are missing too where `unseen` says so."""
    codes = answers.looked_up(lambda values: _places_among(values, categories))
    is_unseen = codes < 0
    if unseen == "missing":
        codes[is_unseen] = np.nan
    elif np.any(is_unseen):
        row = int(np.argmax(is_unseen))
        value = answers.values[row : row + 1].tolist()[0]
        shown = ", ".join(map(repr, categories[:10].tolist())) + (", ..." if len(categories) > 10 else "")
        raise ValueError(
            f"Column {answers.name!r} of X has the value {value!r} in row {row}, which is none of its categories "
            f"({shown}): fit with `categories` that name it, or set unseen='missing' to take such values as missing"
        )
    return codes


def _places_among(values, categories):
    """Index of each value among the categories; -1 for others."""
    if values.dtype == object or categories.dtype == object:
        places = {value: place for place, value in enumerate(categories.tolist())}
        return np.array([places.get(value, -1) for value in values.tolist()], dtype=np.float64)
    return _places(values, categories)


def _places(values, categories):
    """Index of each number among the categories; -1 for other numbers."""
    steps = _steps(values, categories[0]) if len(values) else None
    if steps is not None and np.array_equal(categories, np.arange(len(categories)) + categories[0]):
        return np.where((steps >= 0) & (steps < len(categories)), steps, -1)
    order = np.argsort(categories, kind="stable")
    place = order[np.minimum(np.searchsorted(categories[order], values), len(categories) - 1)]
    return np.where(categories[place] == values, place, -1)


def decode(codes, categories):
    """Values from codes (n_samples, n_features): numbers where all columns have these, else objects."""
    columns = [own[codes[:, j].astype(np.intp)] for j, own in enumerate(categories)]
    if any(own.dtype == object for own in categories):
        columns = [column.astype(object) for column in columns]
    return np.column_stack(columns)
