"""Row data: what rows have in addition to their values, such as an exposure, a known label, a group, a response.

From the call to the family such data travels with its rows, as one record, so that leaving out rows, folds and joining
problems need not know what it is. An estimator's class declares the names that its methods take, `_row_data`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse
from sklearn.utils import check_array
from sklearn.utils.validation import _num_samples

from mixfast._warnings import warn
from mixfast.engine._rows import Rows
from mixfast.in_messages import among, listed, nearest, one_name
from mixfast.tables import adopted, check_no_words, check_one_number_a_row, is_nothing, is_table, names_of
from mixfast.weights import counted_rows, take

#: What is said of components of rows: the engine has to know it, and no family.
OF_COMPONENTS = ("known_labels", "groups")

#: What a row is taken to have where a call says nothing of it: name -> (fitted attribute that says whether the fit was
#: given it, number that is taken).
TAKEN = {"exposure": ("is_exposed_", 1), "offset": ("is_offset_", 0)}


@dataclass(frozen=True)
class RowData:
    """Rows with the named data that each has.

    rows : (n_samples, n_features), in any container
    data : name -> (n_samples,) or (n_samples, n_columns), or before it is checked whatever was given: a number for all
        rows, perhaps
    """

    rows: object
    data: Mapping

    @property
    def shape(self):
        return self.rows.shape

    @property
    def dtype(self):
        return self.rows.dtype

    def __len__(self):
        return _num_samples(self.rows)

    def take_rows(self, rows):
        """Some rows, by their numbers."""
        return RowData(take(self.rows, rows), take_data(self.data, rows, len(self)))


class Responses:
    """Several responses of each row, of any type and number of columns each.

    parts : tuple of (n_samples,) or (n_samples, n_columns) arrays
    """

    ndim = 1

    def __init__(self, parts):
        self.parts = tuple(map(np.asarray, parts))

    @property
    def shape(self):
        return (len(self),)

    def __len__(self):
        return len(self.parts[0])

    def take_rows(self, rows):
        """Those of some rows, by their numbers or a mask."""
        return Responses(part[rows] for part in self.parts)


def rows_with(rows, data):
    """The rows joined with the row data that is given (not None); the rows alone if none is."""
    data = {name: values for name, values in data.items() if values is not None}
    return RowData(adopted(rows), data) if data else rows


def separated(X):
    """(rows, their row data by name)"""
    return (X.rows, X.data) if isinstance(X, RowData) else (X, {})


def counted_and_separated(X, sample_weight, data):
    """(rows of positive weight, their weights or None, their row data by name)"""
    rows, weights, _ = counted_rows(rows_with(X, data), sample_weight)
    rows, data = separated(rows)
    return rows, weights, data


def known_data(estimator, data):
    """What the methods of the estimator take, of what its rows have once they have been read."""
    return {name: values for name, values in data.items() if name in estimator._row_data}


def check_names(function, estimator, data):
    """Raises TypeError where a function was given what it does not know of the rows of this estimator, or not what it
    needs."""
    for name in estimator._needed_row_data:
        if data.get(name) is None:
            raise TypeError(f"{function}() of a {type(estimator).__name__} needs {name} beside X, in the same form")
    check_no_others(function, estimator, data)


def is_of_formula(estimator, names):
    """Whether the formula of an estimator makes rows and responses of a table with columns of these names; None for
    what has no names. A table of its terms has been made by it already."""
    formula = vars(estimator).get("_fitted_formula")
    return formula is not None and names is not None and list(names) != list(formula.names)


def check_not_of_formula(function, estimator, names_of_tables):
    """Raises TypeError where a call that reads no formulas, `function` in words, was given a table for one: the
    response would be taken for a predictor, and terms would be missing. `names_of_tables` has the names of the columns
    of each table."""
    if "_fitted_formula" not in vars(estimator):
        return
    names = next((names for names in names_of_tables if is_of_formula(estimator, names)), None)
    if names is not None:
        raise TypeError(
            f"{function} reads no formulas, and the {type(estimator).__name__} was fitted by one whose terms are "
            f"{listed(estimator._fitted_formula.names)}: got a table with the columns {listed(names)}. Compute "
            "the terms and pass arrays of them, with y beside, or fit clones to tables: clone(estimator).fit(table)"
        )


def names_for_densities(estimator):
    """What the density of a row of this estimator depends on beside its values, a list of names."""
    return [name for name in estimator._row_data if name not in OF_COMPONENTS]


def check_rows_are_there(name, rows, data):
    """Raises TypeError where something is said of rows, and these, the argument of that name, are None."""
    given = [own for own, values in data.items() if values is not None]
    if rows is None and given:
        raise TypeError(f"{given[0]} was given without {name}, the rows that it is of: pass these too")


def check_no_others(function, estimator, data, known=None):
    """Raises TypeError where a function was given what it does not know of the rows of this estimator: `known` are the
    names that it takes, None for all that the estimator declares."""
    here = "" if known is None else " here"
    known = estimator._row_data if known is None else known
    for name in data:
        if name not in known:
            own = estimator.get_params(deep=False)
            close = nearest(name, [*known, *own], 1)
            hint = f" Did you mean {one_name(close[0])}?" if close else ""
            hint = " It takes no weights: repeat the rows as often as they count" if name == "sample_weight" else hint
            raise TypeError(
                f"{function}() got an unexpected keyword argument {name!r}: what rows of a {type(estimator).__name__} "
                f"may have beside their values{here} is {', '.join(known) or 'nothing'}."
                + (f" Give {name} to its constructor" if name in own else hint)
            )


def take_data(data, rows, n_samples):
    """Row data of a subset of n_samples rows, given by numbers or a mask; values that are not one for each row are
    returned unchanged."""

    def some(values):
        if np.shape(values)[:1] != (n_samples,):
            return values
        keeps_form = isinstance(values, Responses) or is_table(values)
        return take(values, rows) if keeps_form else np.asanyarray(values)[rows]

    return {name: some(values) for name, values in data.items()}


def form_of(values):
    """What rows have, in words, None where it has nothing that tells: equal words are of values that can be put below
    each other."""
    if isinstance(values, Responses):
        forms = [form_of(part) for part in values.parts]
        return None if None in forms else f"{len(forms)} responses: " + ", ".join(forms)
    if is_table(values):
        names = ", ".join(map(str, names_of(values)))
        return f"a table of {type(values).__module__.partition('.')[0]} with the columns {names}"
    if scipy.sparse.issparse(values) or np.ndim(values) > 1:
        kind = "a sparse matrix" if scipy.sparse.issparse(values) else "an array"
        return f"{kind} with {np.shape(values)[1]} column{'s' * (np.shape(values)[1] != 1)}"
    first = next((own for own in np.ravel(values).tolist() if not is_nothing(own)), None)
    if first is None:
        return None
    return "a string in each row" if isinstance(first, (str, bytes)) else "a number in each row"


def check_finite(name, values, n_samples, dtype):
    """A finite number for each row, float64; `dtype`, which rows are computed in, can hold it.

    Raises ValueError that names the argument and the row.
    """
    return _check_numbers(name, values, n_samples, dtype, np.isfinite, "finite")


def check_positive(name, values, n_samples, dtype):
    """A number above zero for each row, float64; `dtype`, which rows are computed in, can hold it.

    Raises ValueError that names the argument and the row.
    """
    return _check_numbers(
        name, values, n_samples, dtype, lambda values: (values > 0) & np.isfinite(values), "finite and above zero"
    )


def check_count(name, values, n_samples, dtype):
    """A whole number of at least 0 for each row, float64.

    Raises ValueError that names the argument and the row.
    """
    return _check_numbers(
        name,
        values,
        n_samples,
        dtype,
        lambda values: (values >= 0) & (values == np.floor(values)) & (values < 2**53),
        "a whole number",
    )


def _check_numbers(name, values, n_samples, dtype, is_right, wanted):
    check_one_number_a_row(values, name)
    check_no_words(values, name)
    values = np.atleast_1d(values)
    values = check_array(values, ensure_2d=False, dtype=np.float64, input_name=name, ensure_min_samples=0)
    if values.shape not in ((n_samples,), (1,)):
        raise ValueError(f"{name} should have the shape of {(n_samples,)}, got {values.shape}")
    values = np.broadcast_to(values, n_samples)
    with np.errstate(over="ignore", invalid="ignore"):
        computed = values.astype(dtype)
        wrong = ~is_right(computed)
    if np.any(wrong):
        row = int(np.argmax(wrong))
        raise ValueError(f"{name} should be {wanted}, in row {row} it is {values[row]}")
    return values


def warn_of_taken(estimator, data):
    """Warns where a fit was given exposures or offsets, and the row data of another call has none: either may be given
    in the place of the other."""
    fitted = {name: getattr(estimator, attribute, False) for name, (attribute, _) in TAKEN.items()}
    if any(name in data and not fitted[name] for name in TAKEN):
        return
    for name, (_, number) in TAKEN.items():
        if name not in data and fitted[name]:
            warn(
                f"This model was fitted with {name}s, and the rows are taken to have {name}s of {number}: pass {name}.",
                UserWarning,
            )


# ---- what is said of the components of rows ----


def of_family(X):
    """The rows joined with the row data that the family's `encode` takes."""
    rows, data = separated(X)
    return rows_with(rows, {name: own for name, own in data.items() if name not in OF_COMPONENTS})


def rows_of(encoded, X, n_components, sample_weight=None, trim=0.0):
    """`Rows` of encoded X for a pass, with known labels, sets and groups, which have been checked, but for their number
    of components; n_components is None where that has been, too."""
    _, data = separated(X)
    if n_components is not None:
        check_number_of_components(data, n_components)
    known, groups = (data.get(name) for name in OF_COMPONENTS)
    return Rows(encoded.rows, sample_weight, encoded.base, groups, known, trim, encoded.runs)


def seeding_rows_of(seeds, X, sample_weight=None):
    """`Rows` that k-means runs on, with known labels and sets; groups are joined after k-means."""
    return Rows(seeds, sample_weight, known=separated(X)[1].get("known_labels"))


def check_number_of_components(data, n_components, names=None, beside=""):
    """Raise ValueError if known labels or sets do not fit the number of components, which may have names; `beside` says
    what else rows may be of."""
    known = data.get("known_labels")
    if known is None or not len(known):
        return
    if known.ndim == 2 and known.shape[1] != n_components:
        raise ValueError(
            f"known_labels says of {known.shape[1]} components whether rows may be of them, and there are "
            f"n_components = {n_components}"
        )
    if known.ndim == 1:
        _check_labels(known, n_components, names, beside)


def _check_labels(known, n_components, names, beside):
    if known.max() < n_components:
        return
    row = int(np.argmax(known))
    if names is None:
        raise ValueError(
            f"known_labels is {known[row]} in row {row}, and components have the numbers 0 to {n_components - 1}"
            f"{beside}: set n_components to at least one more than the largest label"
        )
    raise ValueError(
        f"known_labels is {str(names[known[row]])!r} in row {row}, one of {len(names)} names, and there are "
        f"n_components = {n_components}{beside}: set n_components to at least the number of names"
    )


def partial_labels(y):
    """`y` where it says of some rows what component they are of, and of others that this is not known: -1, NaN or a
    missing string; else None. Complete labels, and what are no labels, say nothing to a mixture."""
    values = _labels_and_gaps(y)
    if values is not None and _may_be_classes(values):
        warn(
            "y holds -1 and 1 and nothing else: rows with -1 are taken for rows whose component is not known, those "
            "with 1 for rows of component 1. If they are two classes, leave y out; if not, pass known_labels=y.",
            UserWarning,
        )
    return values


def warn_of_partial_labels(y, estimator):
    """Warns where `y` has partial labels, of which an estimator without a place for any makes nothing."""
    values = _labels_and_gaps(y)
    if values is None or _may_be_classes(values):
        return
    warn(
        f"y has labels of some rows, and -1 or nothing for others: a {type(estimator).__name__} finds its clusters by "
        "itself and takes no labels, so y is ignored. Leave it out, or pass it as known_labels to a mixture of a given "
        "number of components, such as GaussianMixture, MultinomialMixture or ProductMixture",
        UserWarning,
    )


def _may_be_classes(values):
    return np.array_equal(np.unique(values), [-1, 1]) if np.asarray(values).dtype.kind in "fiu" else False


def _labels_and_gaps(y):
    if y is None:
        return None
    values = np.asarray(y)
    if values.ndim != 1 or not len(values):
        return None
    if values.dtype.kind == "O" and len(_strings(values)):
        return y if np.any(missing_labels(values)) else None
    values = _plain_numbers(values)
    if values is None:
        return None
    unknown = np.isnan(values) | (values == -1)
    if not np.any(unknown) or not np.all(np.equal(np.mod(values[~unknown], 1), 0)):
        return None
    return values


def _plain_numbers(values):
    """An array of numbers as it is, objects as float64, NaN where they are missing (pandas' nullable numbers); None
    where values are no numbers."""
    if values.dtype.kind == "O":
        try:
            return np.where(missing_labels(values), np.nan, values).astype(np.float64)
        except (TypeError, ValueError):
            return None
    return values if values.dtype.kind in "fiu" else None


#: Where more than half of so many whole numbers, or more, differ, they are no labels: the rule by which scikit-learn
#: doubts that a target has classes. Of fewer rows that may happen to labels.
FEW_LABELS = 20


def check_no_exposure(y):
    """Raises ValueError for a `y` of numbers that are no labels of rows, as exposures are in its place, of one column
    too. What cannot be read as one number for each row is no exposure."""
    values = np.asarray(y)
    if y is None or values.ndim not in (1, 2) or values.shape[1:] not in ((), (1,)):
        return
    values = values.ravel()
    values = None if values.dtype.kind == "O" and len(_strings(values)) else _plain_numbers(values)
    if values is None:
        return
    known = values[~np.isnan(values)]
    fractions = known[np.mod(known, 1) != 0]
    if len(fractions) or (len(values) >= FEW_LABELS and 2 * len(np.unique(known)) > len(values)):
        first = (fractions if len(fractions) else known)[0]
        raise ValueError(
            f"y holds numbers that are no labels of components, such as {first}: exposures, the time, the area or the "
            "size of the library that counts are proportional to, are passed by name, fit(X, exposure=exposure). What "
            "is neither is left out"
        )


def missing_labels(values):
    """(n_samples,) bool, which of objects are None, NaN or pandas' NA."""
    return np.array(
        [value is None or type(value).__name__ == "NAType" or bool(value != value) for value in values], bool
    )


def _strings(values):
    return sorted({value for value in values if isinstance(value, str)})


def check_known(known, n_samples, names=None):
    """(int64 (n_samples,) or bool (n_samples, n_components), names of components or None)

    Labels are whole numbers, -1 and NaN for what is not known; or strings, of which `names` gives the components, and
    where that is None their order. Several columns are what components a row may be of.

    Raises ValueError that names the argument, the row and the value.
    """
    given = np.asarray(known)
    if given.ndim not in (1, 2) or len(given) != n_samples:
        raise ValueError(
            f"known_labels should have the shape of {(n_samples,)}, or ({n_samples}, n_components) for the components "
            f"that rows may be of, got {given.shape}"
        )
    if given.ndim == 2:
        return _check_sets(given), None
    if given.dtype.kind in "OU" and len(_strings(given)):
        return _check_names(given, names)
    if given.dtype.kind == "O":
        given = np.array([np.nan if gone else value for value, gone in zip(given, missing_labels(given), strict=True)])
    if given.dtype.kind not in "iuf":
        raise ValueError(f"known_labels should be whole numbers or strings, got {given.dtype}")
    values = np.where(np.isnan(given), -1, given) if given.dtype.kind == "f" else given
    # the cast to int64 makes unknown ones, or anything, of larger numbers
    wrong = (values < -1) | (np.floor(values) != values) | (values >= np.float64(2**63))
    if np.any(wrong):
        row = int(np.argmax(wrong))
        raise ValueError(
            f"known_labels is {given[row]} in row {row}: labels are numbers of components from 0, or -1 where it is "
            "not known. If they are no components, leave y out, or pass known_labels"
        )
    return np.ascontiguousarray(values, dtype=np.int64), None


def _check_sets(given):
    if given.dtype.kind not in "biuf" or not np.all((given == 0) | (given == 1)):
        raise ValueError(f"known_labels of several columns should be True and False, got {given.dtype}")
    given = np.ascontiguousarray(given, dtype=bool)
    if not np.all(np.any(given, axis=1)):
        row = int(np.argmin(np.any(given, axis=1)))
        raise ValueError(f"known_labels leaves no component to row {row}: a row may be of one at least")
    return given


def _check_names(given, names):
    missing = missing_labels(given)
    others = [value for value, gone in zip(given, missing, strict=True) if not gone and not isinstance(value, str)]
    if others:
        raise ValueError(f"known_labels should be strings or numbers, not both: there is {others[0]!r}")
    names = _strings(given) if names is None else list(names)
    places = {name: place for place, name in enumerate(names)}
    for row, value in enumerate(given):
        if not missing[row] and value not in places:
            raise ValueError(
                f"known_labels is {str(value)!r} in row {row}, which the fit did not know: {among(value, names)}"
            )
    labels = [-1 if gone else places[value] for value, gone in zip(given, missing, strict=True)]
    return np.array(labels, dtype=np.int64), np.array(names, dtype=object)


def missing_entries(values):
    """Which entries of an array of numbers, strings or objects are missing, a mask of its shape."""
    if values.dtype.kind == "f":
        return np.isnan(values)
    if values.dtype == object:
        return np.frompyfunc(is_nothing, 1, 1)(values).astype(bool)
    return np.zeros(values.shape, dtype=bool)


def check_not_missing(name, values):
    """Raises ValueError for the first row in which something is missing."""
    is_missing = missing_entries(np.asarray(values))
    if np.any(is_missing):
        row = int(np.flatnonzero(np.any(is_missing.reshape(len(is_missing), -1), axis=1))[0])
        raise ValueError(
            f"Input {name} contains NaN: it is missing in row {row}. Leave such rows out, or weigh them 0."
        )


def distinct(name, values, **options):
    """`np.unique` of labels or numbers of groups; ValueError for what is missing, or has no order."""
    check_not_missing(name, values)
    try:
        return np.unique(values, **options)
    except TypeError as error:
        raise ValueError(
            f"{name} holds values of several types, which have no order ({error}): make them one"
        ) from None


def numbered(groups, n_samples):
    """Groups as int64 numbers in the order of their first rows."""
    groups = np.asarray(groups)
    if groups.shape != (n_samples,):
        raise ValueError(f"groups should have the shape of {(n_samples,)}, got {groups.shape}")
    _, first, number = distinct("groups", groups, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[number.ravel()]


def firsts_of(groups):
    """Which rows are the first of their groups, a mask."""
    is_first = np.zeros(len(groups), dtype=bool)
    is_first[np.unique(groups, return_index=True)[1]] = True
    return is_first


def check_alike_in_groups(name, values, groups):
    """Raises ValueError where values, (n_samples,) or (n_samples, n_columns), sparse perhaps, differ between rows of a
    group."""
    first = np.flatnonzero(firsts_of(groups))
    differs = values != values[first][groups]
    if differs.ndim > 1:
        differs = np.asarray(differs.sum(axis=1)).ravel() > 0
    if np.any(differs):
        row = int(np.argmax(differs))
        raise ValueError(
            f"{name} should be the same for all rows of a group, row {row} has another than {first[groups[row]]}"
        )


def check_groups(data, n_components, said):
    """Raises ValueError where there are fewer groups than components, where what is said of a group differs between its
    rows, or where no component is left to it; `said` by name, (n_samples,) or (n_samples, n_columns) or None."""
    groups, known = data["groups"], data.get("known_labels")
    first = np.flatnonzero(firsts_of(groups))
    if len(first) < n_components:
        raise ValueError(f"there are {len(first)} groups for n_components = {n_components}: each component needs one")
    for name, values in said.items():
        if values is not None:
            check_alike_in_groups(name, values, groups)
    if known is not None:
        allowed = known
        if known.ndim == 1:
            allowed = (known[:, np.newaxis] < 0) | (known[:, np.newaxis] == np.arange(n_components))
        left = np.ones((len(first), n_components), dtype=bool)
        np.logical_and.at(left, groups, allowed)
        if not np.all(np.any(left, axis=1)):
            row = first[np.argmin(np.any(left, axis=1))]
            raise ValueError(f"known_labels leaves no component to the group of row {row}: its rows are of others")
