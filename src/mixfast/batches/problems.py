"""Rows of many problems, from arrays and tables of any form."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from numbers import Real

import numpy as np
import scipy.sparse

from mixfast.row_data import rows_with, take_data
from mixfast.tables import as_columns, canonical, check_one_number_a_row, is_table, names_of, same_names


@dataclass(frozen=True)
class Problems:
    """Rows of all problems, one after the other.

    X : (n_rows, n_features), float32 or float64, rows contiguous, or a sparse matrix in CSR form
    offsets : int64 (n_problems + 1,); problem i has the rows offsets[i] .. offsets[i + 1]
    sample_weight : float64 (n_rows,) or None
    row_data : what rows have beside their values, by name, float64 (n_rows,)
    names : list (n_features,), names of the columns, whatever they are, or None where not all problems have them
    """

    X: np.ndarray | scipy.sparse.csr_matrix
    offsets: np.ndarray
    sample_weight: np.ndarray | None
    row_data: Mapping = field(default_factory=dict)
    names: list | None = None

    def __len__(self):
        return len(self.offsets) - 1

    @property
    def n_rows(self):
        return int(self.offsets[-1])

    def rows(self, i):
        return slice(self.offsets[i], self.offsets[i + 1])

    def all_rows(self):
        """With what they have."""
        return rows_with(self.X, self.row_data)

    def rows_of(self, i):
        """Those of problem i, with what they have."""
        return rows_with(self.X[self.rows(i)], take_data(self.row_data, self.rows(i), self.n_rows))

    def weights_of(self, i):
        return None if self.sample_weight is None else self.sample_weight[self.rows(i)]

    @property
    def columns(self):
        """Names or numbers of the columns."""
        return list(range(self.X.shape[1])) if self.names is None else self.names

    def owners(self):
        """The problem of each row."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))


def _common_names(problems):
    """Names of the columns, a list; None where a problem has no names.

    Raises ValueError where the names of two tables differ.
    """
    names = [names_of(X) for X in problems]
    known = [i for i, own in enumerate(names) if own is not None]
    for i in known:
        if not same_names(names[i], names[known[0]]):
            raise ValueError(
                f"problems[{i}] has the columns {names[i]}, problems[{known[0]}] has {names[known[0]]}: all should "
                "have the same columns in the same order"
            )
    return names[0] if names and len(known) == len(names) else None


def gather_problems(problems, sample_weight=None, row_data=None, reads=None):
    """`Problems` from any of the forms that `fit_many` takes; weights and `row_data`, by name, have the same form.
    `reads` is as in `as_columns`."""
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
            raise ValueError(f"problems should have one number of columns, got {sorted({X.shape[1] for X in arrays})}")
        offsets = np.concatenate([[0], np.cumsum([X.shape[0] for X in arrays], dtype=np.int64)]).astype(np.int64)
        X = join(arrays) if arrays else np.empty((0, 1))
    if len(offsets) < 2:
        raise ValueError("there are no problems to fit")
    if X.shape[1] == 0:
        raise ValueError("problems should have at least one column")
    dtype = X.dtype if X.dtype in (np.float32, np.float64) else np.float64
    X = canonical(X.astype(dtype, copy=False)) if scipy.sparse.issparse(X) else np.ascontiguousarray(X, dtype=dtype)
    given = {name: values for name, values in (row_data or {}).items() if values is not None}
    return Problems(
        X,
        offsets,
        None if sample_weight is None else _one_a_row("sample_weight", sample_weight, offsets),
        {name: _one_a_row(name, values, offsets) for name, values in given.items()},
        names,
    )


def join(arrays):
    """Rows of all, one after the other; sparse where some are."""
    if any(map(scipy.sparse.issparse, arrays)):
        return scipy.sparse.vstack(arrays, format="csr")
    return np.concatenate(arrays)


def _one_a_row(name, values, offsets):
    """An argument in the form of the problems, as a number for each row, float64."""
    if isinstance(values, Real):  # the same for all rows, as `fit` takes it
        return np.full(offsets[-1], float(values))
    check_one_number_a_row(values, name)
    if not isinstance(values, np.ndarray) or values.dtype == object:
        values = list(values)
    if np.ndim(values[0] if len(values) else 0):
        sizes, wanted = [np.size(own) for own in values], np.diff(offsets).tolist()
        wrong = [i for i, pair in enumerate(itertools.zip_longest(sizes, wanted)) if len(set(pair)) > 1]
        if wrong:
            raise ValueError(
                f"{name} should have as many values as each problem has rows, but {name}[{wrong[0]}] does not: "
                f"{len(sizes)} problems have some, {len(wanted)} rows"
            )
        for i, own in enumerate(values):
            check_one_number_a_row(own, f"{name}[{i}]")
        flat = np.concatenate([np.ravel(own) for own in values])
    else:
        flat = np.asarray(values)
    if len(flat) != offsets[-1]:
        raise ValueError(f"{name} has {len(flat)} values for {offsets[-1]} rows in all problems")
    return np.ascontiguousarray(flat, dtype=np.float64)


def without_weightless_rows(problems):
    """As an estimator does: a row of weight 0 is left out."""
    if problems.sample_weight is None or np.all(problems.sample_weight > 0):
        return problems
    return part_of(problems, problems.sample_weight > 0)


def part_of(problems, kept):
    """The rows that are kept, a mask, of each problem."""
    offsets = np.concatenate([[0], np.cumsum(kept)])[problems.offsets].astype(np.int64)
    weight = None if problems.sample_weight is None else problems.sample_weight[kept]
    data = take_data(problems.row_data, kept, problems.n_rows)
    return Problems(problems.X[kept], offsets, weight, data, problems.names)


def only_of(problems, kept):
    """The rows of the problems that are kept, a mask; the others have none then."""
    return problems if np.all(kept) else part_of(problems, kept[problems.owners()])


def some_of(problems, chosen):
    """The problems that are chosen, a mask."""
    kept = part_of(problems, chosen[problems.owners()])
    ends = np.cumsum(np.diff(problems.offsets)[chosen])
    return replace(kept, offsets=np.concatenate([[0], ends]).astype(np.int64))


def have_missing(problems):
    """Which problems hold a value that is NaN."""
    values = problems.X.data if scipy.sparse.issparse(problems.X) else problems.X
    if not values.size or not np.isnan(np.min(values)):
        return np.zeros(len(problems), dtype=bool)
    return _owners_of(problems, np.isnan(values))


def not_finite(problems, allows_nan):
    """Which problems hold a value, or have one beside their rows, that is no finite number; NaN may be allowed,
    (n_features,), column by column."""
    found = np.zeros(len(problems), dtype=bool)
    for values in problems.row_data.values():
        found[problems.owners()[~np.isfinite(values)]] = True
    values = problems.X.data if scipy.sparse.issparse(problems.X) else problems.X
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(np.sum(values)):
            return found
    allowed = allows_nan[problems.X.indices] if scipy.sparse.issparse(problems.X) else allows_nan
    return found | _owners_of(problems, np.isinf(values) | (np.isnan(values) & ~allowed))


def _owners_of(problems, marked):
    """Which problems have a value that is marked, as X or, where that is sparse, as its data."""
    if scipy.sparse.issparse(problems.X):
        rows = np.searchsorted(problems.X.indptr, np.flatnonzero(marked), side="right") - 1
    else:
        rows = np.flatnonzero(np.any(marked, axis=1))
    found = np.zeros(len(problems), dtype=bool)
    found[np.searchsorted(problems.offsets, rows, side="right") - 1] = True
    return found


def out_of_range(problems):
    """Which problems have weights that `fit` refuses, but for negative ones: those that are no numbers, and see
    `BaseMixture._check_unit_of_weights`."""
    largest = _of_weights(problems, np.maximum)
    return (largest != 0) & ~(largest < 0) & ~((largest > 1e-30) & (largest < 1e30))


def below_zero(problems):
    """Which problems have negative weights."""
    return _of_weights(problems, np.minimum) < 0


def sums_of_weights(problems):
    """Sums of the weights of each problem, and of their squares; of ones where there are no weights."""
    weight = np.ones(problems.n_rows) if problems.sample_weight is None else problems.sample_weight
    found = np.zeros((2, len(problems)))
    filled = np.diff(problems.offsets) > 0
    for own, values in zip(found, (weight, np.square(weight)), strict=True):
        own[filled] = np.add.reduceat(values, problems.offsets[:-1][filled]) if np.any(filled) else 0
    return found


def _of_weights(problems, function):
    """The least or the largest weight of each problem, NaN where one is; 1 where there are none."""
    found = np.ones(len(problems))
    if problems.sample_weight is not None:
        filled = np.diff(problems.offsets) > 0
        found[filled] = function.reduceat(problems.sample_weight, problems.offsets[:-1][filled])
    return found
