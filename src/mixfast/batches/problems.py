"""Rows of many problems, from arrays and tables of any form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Real

import numpy as np
import scipy.sparse

from mixfast.estimators._base import BaseMixture
from mixfast.estimators._responses import ClassesError
from mixfast.in_messages import difference, in_short, listed, one_name
from mixfast.row_data import TAKEN, missing_entries, rows_with, separated, take_data
from mixfast.status import Status
from mixfast.tables import (
    as_columns,
    canonical,
    check_one_number_a_row,
    hold_words,
    is_nothing,
    is_table,
    names_of,
    same_names,
    without_entries,
)


@dataclass(frozen=True)
class Problems:
    """The rows of all problems, concatenated.

    X : (n_rows, n_features), float32 or float64, C-contiguous, or a sparse matrix in CSR form
    offsets : int64 (n_problems + 1,); problem i has the rows offsets[i] .. offsets[i + 1]
    sample_weight : float64 (n_rows,) or None
    row_data : dict, name of row data, such as 'exposure' -> float64 (n_rows,) or (n_rows, n_columns); labels of groups
        and classes may be strings and objects until `read_problems`
    names : list (n_features,), names of the columns, of any type; None where some problem has no names
    status : int32 (n_problems,), flags of Status of problems that cannot be fitted; INTERRUPTED, not yet fitted, for
        all others
    n_samples : int64 (n_problems,), numbers of rows of positive weight; problems that cannot be fitted may have none
    prepared : X after the estimator's checks and conversions (`_prepared`)

    status, n_samples and prepared are None until `read_problems`.
    """

    X: np.ndarray | scipy.sparse.csr_matrix
    offsets: np.ndarray
    sample_weight: np.ndarray | None
    row_data: Mapping = field(default_factory=dict)
    names: list | None = None
    status: np.ndarray | None = None
    n_samples: np.ndarray | None = None
    prepared: np.ndarray | scipy.sparse.csr_matrix | None = None

    def __len__(self):
        return len(self.offsets) - 1

    @property
    def n_rows(self):
        return int(self.offsets[-1])

    def rows(self, i):
        return slice(self.offsets[i], self.offsets[i + 1])

    @property
    def are_fine(self):
        """Which problems can be fitted, a mask."""
        return self.status == Status.INTERRUPTED

    @cached_property
    def missing(self):
        """Which problems have a NaN in X, a mask (n_problems,)."""
        values = self.X.data if scipy.sparse.issparse(self.X) else self.X
        if not values.size or not np.isnan(np.min(values)):
            return np.zeros(len(self), dtype=bool)
        return _owners_of(self, np.isnan(values))

    @cached_property
    def with_empty_rows(self):
        """Which problems have a row without any entry, a mask (n_problems,)."""
        found = np.zeros(len(self), dtype=bool)
        if np.any(self.missing):
            found[self.owners()[without_entries(self.X)]] = True
        return found

    def all_rows(self):
        """All rows, joined with their row data."""
        return rows_with(self.X, self.row_data)

    def rows_of(self, i):
        """Rows of problem i, joined with their row data."""
        return rows_with(self.X[self.rows(i)], take_data(self.row_data, self.rows(i), self.n_rows))

    def weights_of(self, i):
        return None if self.sample_weight is None else self.sample_weight[self.rows(i)]

    @property
    def columns(self):
        """Names of the columns, or their positions where they have none."""
        return list(range(self.X.shape[1])) if self.names is None else self.names

    def owners(self):
        """The problem of each row, int (n_rows,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))


def _common_names(problems):
    """The names of the columns, which all tables should share, a list; None where a problem has no names. Raises
    ValueError where the names of two tables differ."""
    names = [names_of(X) for X in problems]
    known = [i for i, own in enumerate(names) if own is not None]
    for i in known:
        if not same_names(names[i], names[known[0]]):
            raise ValueError(
                f"problems[{i}] should have the columns of problems[{known[0]}], in the same order: "
                f"{difference(names[i], names[known[0]])}"
            )
    return names[0] if names and len(known) == len(names) else None


def gather_problems(problems, estimator, sample_weight=None, row_data=None, reads=None):
    """`Problems` from any form that `fit_many` takes; sample_weight and the values of row_data have the same form,
    `reads` is as in `as_columns`, and `estimator` says which row data may be strings, and which have columns. Copies
    rows only where it must. Raises ValueError, with the problem's number, for what has another form, and for problems
    whose columns differ."""
    if isinstance(problems, Problems):
        return problems
    names = None
    if is_table(problems) or isinstance(problems, dict):
        raise ValueError(
            f"problems should be a list with an array or a table for each problem, got one {type(problems).__name__}. "
            "For one problem for each column of a table there is fit_many_columns, for each group of its rows "
            "fit_many_groups"
        )
    if isinstance(problems, tuple) and len(problems) == 2 and np.ndim(problems[1]) == 1:
        names = _common_names(problems[:1])
        X, offsets = as_columns(problems[0], "problems[0]", reads), np.asarray(problems[1])
        if not np.issubdtype(offsets.dtype, np.integer):
            raise ValueError(f"offsets should be integers, got {offsets.dtype}")
        offsets = np.ascontiguousarray(offsets, dtype=np.int64)
        if len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != X.shape[0] or np.any(np.diff(offsets) < 0):
            raise ValueError(
                f"offsets should begin with 0, never fall and end with the number of rows, {X.shape[0]}; "
                "problem i has the rows offsets[i] to offsets[i + 1]"
            )
    elif isinstance(problems, np.ndarray) and problems.dtype != object:
        if problems.ndim != 3:
            raise ValueError(
                f"problems should be an array (n_problems, n_samples, n_features), a list of arrays, or a pair (X, "
                f"offsets), got shape {problems.shape}. For one problem for each column there is fit_many_columns."
            )
        n_problems, n_samples, n_features = problems.shape
        X = problems.reshape(n_problems * n_samples, n_features)
        offsets = np.arange(n_problems + 1, dtype=np.int64) * n_samples
    else:
        problems = list(problems)
        if problems and isinstance(problems[0], tuple) and len(problems[0]) == 2 and is_table(problems[0][1]):
            raise ValueError(
                "problems should be a list of tables, got pairs of a key and a table, as groupby makes them: pass "
                "[rows for _, rows in ...], or the whole table to fit_many_groups"
            )
        if not {np.ndarray}.issuperset(map(type, problems)):
            names = _common_names(problems)
        arrays = [as_columns(X, f"problems[{i}]", reads) for i, X in enumerate(problems)]
        if arrays and len({X.shape[1] for X in arrays}) > 1:
            raise ValueError(
                f"problems should have one number of columns, got {listed(sorted({X.shape[1] for X in arrays}))}"
            )
        offsets = np.concatenate([[0], np.cumsum([X.shape[0] for X in arrays], dtype=np.int64)]).astype(np.int64)
        is_any_sparse = any(map(scipy.sparse.issparse, arrays))
        X = scipy.sparse.vstack(arrays, "csr") if is_any_sparse else np.concatenate(arrays or [np.empty((0, 1))])
    if len(offsets) < 2:
        raise ValueError("there are no problems to fit")
    if X.shape[1] == 0:
        ones = ". A regression on none is one on a column of ones with fit_intercept=False"
        raise ValueError("problems should have at least one column" + ones * bool(estimator._needed_row_data))
    dtype = X.dtype if X.dtype in (np.float32, np.float64) else np.float64
    X = canonical(X.astype(dtype, copy=False)) if scipy.sparse.issparse(X) else np.ascontiguousarray(X, dtype=dtype)
    given = {name: values for name, values in (row_data or {}).items() if values is not None}
    labels = estimator._labels_of_any_type()
    data = {name: _one_a_row(name, values, offsets, name in labels) for name, values in given.items()}
    for name in data.keys() & set(estimator._row_data_of_columns):
        data[name] = data[name].reshape(len(data[name]), -1)  # one dimension is one column, as in X
    if "known_labels" in data:  # a missing label is an unknown one
        data["known_labels"] = np.where(np.isnan(data["known_labels"]), -1, data["known_labels"])
    return Problems(
        X,
        offsets,
        None if sample_weight is None else _one_a_row("sample_weight", sample_weight, offsets),
        data,
        names,
    )


#: What is one number for each row. Other row data may have columns.
OF_ONE_NUMBER = ("sample_weight", "groups", *TAKEN)


def _one_a_row(name, values, offsets, are_labels=False):
    """An argument in the form of the problems, flattened: float64 (n_rows,), or (n_rows, n_columns) where each problem
    has an array (n_samples, n_columns), or all rows have one; where these are labels, strings stay as they are. Raises
    ValueError where lengths differ from those of the problems."""
    if isinstance(values, Real):  # the same for all rows, as `fit` takes it
        return np.full(offsets[-1], float(values))
    check_one_number_a_row(values, name)
    if isinstance(values, str):
        raise ValueError(f"{name} should have the form of the problems, a number for each row, got {one_name(values)}")
    n_problems, n_rows = len(offsets) - 1, int(offsets[-1])
    is_flat = name not in OF_ONE_NUMBER and getattr(values, "ndim", 0) == 2 and n_rows == len(values) != n_problems
    if is_flat:
        flat = np.asarray(values)
    elif not isinstance(values, np.ndarray) or values.dtype == object:
        values = list(values)
    first = values[0] if len(values) and not is_flat else 0
    if np.ndim(first) or (first is None and any(map(np.ndim, values))):  # an array for each problem
        sizes = [np.shape(own)[:1] for own in values]
        has_columns = max(map(np.ndim, values)) > 1 and len({np.shape(own)[1:] for own in values}) == 1
        if len(values) != n_problems:
            raise ValueError(
                f"{name} should have the form of the problems, an array for each or one flat array of {n_rows} values: "
                f"there are {n_problems} problems, and {len(values)} arrays"
            )
        if not all(sizes):
            i = sizes.index(())
            raise ValueError(f"{name}[{i}] should be an array with a value for each row, got {in_short(values[i])}")
        sizes = [len(own) if has_columns else np.size(own) for own in values]
        wrong = np.flatnonzero(np.array(sizes) != np.diff(offsets)).tolist()
        if wrong:
            i = wrong[0]
            raise ValueError(
                f"{name} should have as many values as each problem has rows: {name}[{i}] has {sizes[i]}, and problem "
                f"{i} has {offsets[i + 1] - offsets[i]} rows"
            )
        for i, own in enumerate(values):
            check_one_number_a_row(own, f"{name}[{i}]")
        flat = _one_array([np.asarray(own) if has_columns else np.ravel(own) for own in values])
    elif not is_flat:
        flat = np.asarray(values)
    if len(flat) != offsets[-1]:
        raise ValueError(f"{name} has {len(flat)} values for {offsets[-1]} rows in all problems")
    if are_labels and hold_words(flat):
        number = next((own for own in flat.ravel().tolist() if isinstance(own, Real) and not is_nothing(own)), None)
        if flat.ndim == 1 and number is not None:
            raise ValueError(
                f"{name} holds strings in some rows and numbers, such as {number!r}, in others: make it one"
            )
        return flat
    try:
        return np.ascontiguousarray(flat, dtype=np.float64)
    except (TypeError, ValueError):
        word = next(value for value in flat.ravel().tolist() if not isinstance(value, Real))
        raise ValueError(f"{name} should be numbers, got {word!r}: number categories from 0 on") from None


def _one_array(arrays):
    """Arrays below each other; of objects where some alone hold strings, which others would become too."""
    if len({own.dtype.kind for own in arrays} & set("OUS")) and len({own.dtype.kind for own in arrays}) > 1:
        arrays = [own.astype(object) for own in arrays]
    return np.concatenate(arrays)


# ---- what is wrong with problems ----


def read_problems(problems, estimator, sample_weight, row_data):
    """(`Problems` with status, n_samples and prepared; the estimator with options that are learned from all problems).

    Rows of weight 0 are removed. Problems with bad rows or weights get a status; ValueError is raised for arguments
    that are wrong whatever the rows hold."""
    problems = with_status_of_weights(gather_problems(problems, estimator, sample_weight, row_data, estimator._reads))
    estimator = estimator._by_place(problems.columns)
    if problems.sample_weight is not None and not np.all(problems.sample_weight > 0):
        problems = part_of(problems, problems.sample_weight > 0)  # such rows may hold anything
    wrong = not_finite(problems, estimator._allows_nan(problems.X.shape[1]))
    status = np.where(wrong, Status.NOT_FINITE, problems.status).astype(np.int32)
    problems = replace(problems, status=status, n_samples=np.diff(problems.offsets))
    estimator = _with_what_is_common(problems, estimator)
    return _prepare(problems, estimator), estimator


def with_status_of_weights(problems):
    """The problems with a status for those whose weights `fit` would refuse: OUT_OF_DOMAIN for negative weights,
    NOT_FINITE for weights that are not finite or so large or small that sums lose digits."""
    status = np.full(len(problems), Status.INTERRUPTED, np.int32) if problems.status is None else problems.status.copy()
    filled = np.flatnonzero(np.diff(problems.offsets))
    if problems.sample_weight is not None and len(filled):
        first = problems.offsets[filled]
        least, largest = (of.reduceat(problems.sample_weight, first) for of in (np.minimum, np.maximum))
        status[filled[least < 0]] = Status.OUT_OF_DOMAIN
        # the bounds are those of `BaseMixture._check_unit_of_weights`; NaN is outside them too
        status[filled[(largest != 0) & ~(largest < 0) & ~((largest > 1e-30) & (largest < 1e30))]] = Status.NOT_FINITE
    return replace(problems, status=status)


def _with_what_is_common(problems, estimator):
    """The estimator with options that all problems share, such as categories, learned from all usable problems."""
    if type(estimator)._for_parts_of is BaseMixture._for_parts_of:
        return estimator  # nothing is learned: saves a copy of all rows
    try:
        return estimator._for_parts_of(only_of(problems, problems.are_fine).all_rows())
    except ClassesError:
        if np.any(problems.are_fine & (np.diff(problems.offsets) > 0)):
            raise  # those of all problems
    except ValueError:
        pass  # no rows are left, or a column has not a single value: there is nothing to fit
    problems.status[problems.are_fine & (np.diff(problems.offsets) > 0)] = Status.NOT_FINITE
    return estimator._for_parts_of(np.zeros((1, problems.X.shape[1])))


def _prepare(problems, estimator):
    """The problems with `prepared`. Those with rows outside the domain of the family get Status.OUT_OF_DOMAIN and lose
    their rows."""
    try:
        return with_prepared_rows(problems, estimator)
    except ValueError:
        for i, _ in outside_domain(only_of(problems, problems.are_fine), estimator):
            problems.status[i] = Status.OUT_OF_DOMAIN
    return with_prepared_rows(only_of(problems, problems.are_fine), estimator)


def with_prepared_rows(problems, estimator, reset=True):
    """The problems with `prepared` and the row data that goes with it; `reset` is as in scikit-learn's `validate_data`.
    Raises ValueError where a row is outside the domain of the family."""
    if not problems.n_rows:
        if reset:
            estimator._learn_widths(problems.X.shape[1], problems.row_data)
        return replace(problems, prepared=problems.X, row_data={})
    X, data = separated(estimator._prepared(problems.all_rows(), reset))
    return replace(problems, prepared=X, row_data=data)


def outside_domain(problems, estimator):
    """(index, error) of each problem with a row outside the domain of the family."""
    for i in np.flatnonzero(np.diff(problems.offsets)):
        try:
            estimator._prepared(problems.rows_of(i))
        except ValueError as error:
            yield i, error


def labels_beyond(problems, n_components):
    """Which problems have known labels of components that a model of n_components, a number or (n_problems,), has not,
    or sets of other components, a mask (n_problems,)."""
    known, found = problems.row_data.get("known_labels"), np.zeros(len(problems), dtype=bool)
    filled = np.flatnonzero(np.diff(problems.offsets))
    if known is None or not len(filled):
        return found
    n_components = np.broadcast_to(n_components, len(problems))[filled]
    if known.ndim == 2:
        found[filled] = known.shape[1] != n_components
    else:
        found[filled] = np.maximum.reduceat(known, problems.offsets[filled]) >= n_components
    return found


def of_each_column(name, values, kept):
    """What each row of a table has, by the columns that are problems: a list with the values of the rows that each
    keeps (masks); a number for all rows stays one. Raises ValueError for another number of values."""
    values = np.asarray(values)
    if not values.ndim:
        return values.item()
    n_rows = len(kept[0]) if kept else 0
    if values.shape[:1] != (n_rows,):
        raise ValueError(f"{name} should have a value for each of {n_rows} rows, got the shape {values.shape}")
    return [values[own] for own in kept]


# ---- some of the problems, or of their rows ----


def part_of(problems, kept):
    """The problems without the rows where the mask `kept` (n_rows,) is False."""
    weight = None if problems.sample_weight is None else problems.sample_weight[kept]
    X, prepared = problems.X[kept], problems.prepared
    if prepared is not None:
        prepared = X if prepared is problems.X else prepared[kept]
    return replace(
        problems,
        X=X,
        offsets=np.concatenate([[0], np.cumsum(kept)])[problems.offsets].astype(np.int64),
        sample_weight=weight,
        row_data=take_data(problems.row_data, kept, problems.n_rows),
        prepared=prepared,
    )


def only_of(problems, kept):
    """All problems, without the rows of those where the mask `kept` (n_problems,) is False."""
    return problems if np.all(kept) else part_of(problems, kept[problems.owners()])


def some_of(problems, chosen):
    """The problems where the mask `chosen` (n_problems,) is True."""
    kept = part_of(problems, chosen[problems.owners()])
    ends = np.cumsum(np.diff(problems.offsets)[chosen])
    return replace(
        kept,
        offsets=np.concatenate([[0], ends]).astype(np.int64),
        status=problems.status[chosen],
        n_samples=problems.n_samples[chosen],
    )


def not_finite(problems, allows_nan):
    """Which problems have a value in X or in row data that is not finite, a mask (n_problems,). allows_nan: bool
    (n_features,), columns of X in which NaN is a missing value."""
    found = np.zeros(len(problems), dtype=bool)
    for values in problems.row_data.values():
        is_wrong = ~np.isfinite(values) if values.dtype.kind == "f" else missing_entries(values)
        found[problems.owners()[is_wrong if values.ndim == 1 else np.any(is_wrong, axis=1)]] = True
    values = problems.X.data if scipy.sparse.issparse(problems.X) else problems.X
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(np.sum(values)):
            return found
    allowed = allows_nan[problems.X.indices] if scipy.sparse.issparse(problems.X) else allows_nan
    return found | _owners_of(problems, np.isinf(values) | (np.isnan(values) & ~allowed))


def _owners_of(problems, marked):
    """Which problems have a marked value, a mask (n_problems,); `marked` has the shape of X, or of X.data for sparse
    X."""
    if scipy.sparse.issparse(problems.X):
        rows = np.searchsorted(problems.X.indptr, np.flatnonzero(marked), side="right") - 1
    else:
        rows = np.flatnonzero(np.any(marked, axis=1))
    found = np.zeros(len(problems), dtype=bool)
    found[np.searchsorted(problems.offsets, rows, side="right") - 1] = True
    return found


def sums_of_weights(problems):
    """Sums of the weights of each problem, and of their squares, float64 (2, n_problems); weights are 1 by default."""
    weight = np.ones(problems.n_rows) if problems.sample_weight is None else problems.sample_weight
    found = np.zeros((2, len(problems)))
    filled = np.diff(problems.offsets) > 0
    for own, values in zip(found, (weight, np.square(weight)), strict=True):
        own[filled] = np.add.reduceat(values, problems.offsets[:-1][filled]) if np.any(filled) else 0
    return found
