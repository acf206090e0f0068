"""Many fits at once: one mixture for each column, group, sensor or box.

`fit_many` and its two faces for tables; `BatchResult`, what they return. The work is done in `_batch.pyx`.
"""

from __future__ import annotations

import itertools
import warnings
from dataclasses import dataclass, replace
from numbers import Integral
from typing import NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from mixfast import seeding
from mixfast._batch import Model, evaluate_problems, fit_problems
from mixfast._em import is_mapped
from mixfast._threads import resolve_threads
from mixfast.convergence import Status
from mixfast.estimators._base import BaseMixture, Fit
from mixfast.families._centres import bind_centres
from mixfast.families.family import PythonFamily

CRITERIA = ("bic", "aic", "icl")

#: scikit-learn takes no larger random_state, and each problem's estimator has its seed there.
N_SEEDS = 2**32


@dataclass(frozen=True)
class Problems:
    """Rows of all problems, one after the other.

    X : (n_rows, n_features), float32 or float64, rows contiguous
    offsets : int64 (n_problems + 1,); problem i has the rows offsets[i] .. offsets[i + 1]
    sample_weight : float64 (n_rows,) or None
    """

    X: np.ndarray
    offsets: np.ndarray
    sample_weight: np.ndarray | None

    def __len__(self):
        return len(self.offsets) - 1

    def rows(self, i):
        return slice(self.offsets[i], self.offsets[i + 1])


def _as_columns(X, name):
    """An array of reals with two dimensions; a single one is one column."""
    X = np.asarray(X)
    if X.ndim == 1:
        X = X[:, np.newaxis]
    if X.ndim != 2 or X.dtype.kind not in "fiub":
        raise ValueError(f"{name} should be an array (n_samples, n_features) of numbers, got {X.dtype} {X.shape}")
    return X


def gather_problems(problems, sample_weight=None):
    """`Problems` from any of the forms that `fit_many` takes."""
    if isinstance(problems, tuple) and len(problems) == 2 and np.ndim(problems[1]) == 1:
        X, offsets = _as_columns(problems[0], "problems[0]"), np.asarray(problems[1])
        if not np.issubdtype(offsets.dtype, np.integer):
            raise ValueError(f"offsets should be integers, got {offsets.dtype}")
        offsets = np.ascontiguousarray(offsets, dtype=np.int64)
        if len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != len(X) or np.any(np.diff(offsets) < 0):
            raise ValueError(
                f"offsets should begin with 0, never fall and end with the number of rows, {len(X)}; "
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
        arrays = [_as_columns(X, f"problems[{i}]") for i, X in enumerate(problems)]
        if arrays and len({X.shape[1] for X in arrays}) > 1:
            raise ValueError(f"problems should have one number of columns, got {sorted({X.shape[1] for X in arrays})}")
        offsets = np.concatenate([[0], np.cumsum([len(X) for X in arrays], dtype=np.int64)]).astype(np.int64)
        X = np.concatenate(arrays) if arrays else np.empty((0, 1))
    if len(offsets) < 2:
        raise ValueError("there are no problems to fit")
    if X.shape[1] == 0:
        raise ValueError("problems should have at least one column")
    X = np.ascontiguousarray(X, dtype=X.dtype if X.dtype in (np.float32, np.float64) else np.float64)
    return Problems(X, offsets, _gather_weights(sample_weight, offsets))


def _gather_weights(sample_weight, offsets):
    if sample_weight is None:
        return None
    if not isinstance(sample_weight, np.ndarray) or sample_weight.dtype == object:
        sample_weight = list(sample_weight)
    if np.ndim(sample_weight[0] if len(sample_weight) else 0):
        sizes, wanted = [np.size(weights) for weights in sample_weight], np.diff(offsets).tolist()
        wrong = [i for i, pair in enumerate(itertools.zip_longest(sizes, wanted)) if len(set(pair)) > 1]
        if wrong:
            raise ValueError(
                "sample_weight should have as many values as each problem has rows, but "
                f"sample_weight[{wrong[0]}] does not: {len(sizes)} problems have weights, {len(wanted)} rows"
            )
        flat = np.concatenate([np.ravel(weights) for weights in sample_weight])
    else:
        flat = np.asarray(sample_weight)
    if len(flat) != offsets[-1]:
        raise ValueError(f"sample_weight has {len(flat)} values for {offsets[-1]} rows in all problems")
    flat = np.ascontiguousarray(flat, dtype=np.float64)
    if not np.all(flat >= 0) or not np.all(np.isfinite(flat)):
        raise ValueError("sample_weight should be finite and not negative")
    return flat


def _without_weightless_rows(problems):
    """As an estimator does: a row of weight 0 is left out."""
    if problems.sample_weight is None or np.all(problems.sample_weight > 0):
        return problems
    kept = problems.sample_weight > 0
    offsets = np.concatenate([[0], np.cumsum(kept)])[problems.offsets]
    return Problems(problems.X[kept], offsets.astype(np.int64), problems.sample_weight[kept])


def _not_finite(problems):
    """Which problems hold a value that is no finite number."""
    wrong = np.zeros(len(problems), dtype=bool)
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(np.sum(problems.X)):
            return wrong
    rows = np.flatnonzero(~np.all(np.isfinite(problems.X), axis=1))
    wrong[np.searchsorted(problems.offsets, rows, side="right") - 1] = True
    return wrong


def _out_of_range(problems):
    """Which problems have weights that `fit` refuses: see `BaseMixture._check_unit_of_weights`."""
    largest = np.ones(len(problems))
    if problems.sample_weight is not None:
        filled = np.diff(problems.offsets) > 0
        largest[filled] = np.maximum.reduceat(problems.sample_weight, problems.offsets[:-1][filled])
    return (largest > 0) & ~((largest > 1e-30) & (largest < 1e30))


def _seeds(estimator, seeds, random_state, n_problems):
    """One for each problem, uint64."""
    if seeds is not None:
        seeds = np.asarray(seeds)
        is_seed = np.issubdtype(seeds.dtype, np.integer) and not np.any((seeds < 0) | (seeds >= N_SEEDS))
        if seeds.shape != (n_problems,) or not is_seed:
            raise ValueError(f"seeds should be {n_problems} integers from 0 to {N_SEEDS - 1}, got {seeds!r}")
        if random_state is not None:
            raise ValueError("random_state and seeds were both given: seeds has the seed of each problem already")
        return np.ascontiguousarray(seeds, dtype=np.uint64)
    random_state = estimator.random_state if random_state is None else random_state
    if isinstance(random_state, Integral):
        if not 0 <= random_state < N_SEEDS:
            raise ValueError(f"random_state={random_state} should be from 0 to {N_SEEDS - 1}")
        return np.full(n_problems, random_state, dtype=np.uint64)
    return check_random_state(random_state).randint(N_SEEDS, size=n_problems, dtype=np.uint64)


def _candidates(estimator, n_components, covariance_type):
    """The estimators of the grid."""
    grid = {}
    for name, values in (("n_components", n_components), ("covariance_type", covariance_type)):
        if values is not None:
            if name not in estimator.get_params():
                raise ValueError(f"{type(estimator).__name__} has no parameter {name!r}")
            grid[name] = list(values) if np.iterable(values) and not isinstance(values, str) else [values]
            if not grid[name]:
                raise ValueError(f"{name} should have at least one value")
    found = []
    for values in itertools.product(*grid.values()):
        candidate = clone(estimator).set_params(**dict(zip(grid, values, strict=True)), n_threads=1)
        candidate._validate_params()
        if not isinstance(candidate.init_params, str):
            raise ValueError("init_params of a batch should name a method: labels or responsibilities belong to one X")
        found.append(candidate)
    return found


class _Cell:
    """One model of the grid, bound to a number of columns and a precision."""

    def __init__(self, estimator, n_features, dtype):
        self.estimator = estimator
        self.family = estimator._family()
        self.n_components = estimator.n_components
        self.layout = self.family.params_layout(self.n_components, n_features)
        self.n_features = n_features
        self.dtype = estimator._kernel_dtype(self.family, dtype)
        self.n_free = self.family.n_parameters(self.n_components, n_features) + self.n_components - 1

    def with_dtype(self, dtype):
        return _Cell(self.estimator, self.n_features, dtype)

    def is_compiled(self):
        """Whether `_batch.pyx` can fit it; what it cannot is fitted by an estimator, problem by problem."""
        return (
            not isinstance(self.family, PythonFamily)
            and getattr(self.estimator, "n_init_policy", "all") == "all"
            and getattr(self.estimator, "regularization", "absolute") == "absolute"
        )

    def bind(self):
        """The `Model` that `_batch.pyx` works with."""
        n_components, n_features, itemsize = self.n_components, self.n_features, self.dtype.itemsize
        n_candidates = seeding.n_kmeans_plusplus_candidates(n_components)
        unknown = np.full(n_components, np.nan), np.full(self.layout.size, np.nan)
        weights, params = self.estimator._override_start(*unknown, n_features)
        located = self.family.located(np.full((n_components, n_features), np.nan))
        return Model(
            self.family.bind(n_components, n_features, self.dtype),
            bind_centres(n_components, n_features, itemsize, None),
            bind_centres(1 + n_candidates, n_features, itemsize, None),
            self.family.blank(n_components, n_features),
            None if located is None else np.flatnonzero(np.isnan(located)).astype(np.int64),
            weights,
            params,
            self.n_free,
        )


def fit_many(
    problems,
    estimator,
    *,
    n_components=None,
    covariance_type=None,
    criterion="bic",
    keep="best",
    sample_weight=None,
    seeds=None,
    random_state=None,
    n_threads=None,
    progress=False,
):
    """Fit a mixture to each of many problems.

    The bits are those of `[clone(estimator).set_params(random_state=random_state).fit(X) for X in problems]`, for any
    number of threads and any order or subset of the problems, at a small part of the time: a thread takes whole
    problems, and nothing is done in Python for each. Nothing raises because of the data: each problem has a status.

    Parameters
    ----------
    problems : list of array-like (n_samples_i, n_features), ndarray (n_problems, n_samples, n_features) or (X, offsets)
        In a pair, X (n_rows, n_features) has all rows, and problem i those from offsets[i] to offsets[i + 1]; X and
        three-dimensional arrays of float32 or float64 are read in place, lists are copied. An array with a single
        dimension is one column. float32 is computed in float32; a list with both precisions in float64.
    estimator : GaussianMixture, BernoulliMixture or any other mixture of this package
        What is fitted, with its parameters. `n_threads`, `verbose` and `warm_start` play no role.
    n_components : int or list of int, default=None
        Numbers of components to try, in place of the estimator's.
    covariance_type : str or list of str, default=None
        Structures of the covariance to try, likewise.
    criterion : {'bic', 'aic', 'icl'}, default='bic'
        Where there are several models for each problem, the one with the least is kept.
    keep : {'best', 'all'}, default='best'
        'all' keeps the fits of all models, in `result.models`.
    sample_weight : array-like, default=None
        Weights of the rows, in the form of the problems: a list, an array (n_problems, n_samples), or a flat array.
    seeds : array-like of int of shape (n_problems,), default=None
        A seed for each problem, from 0 to 2**32 - 1.
    random_state : int, RandomState instance or None, default=None
        None takes the estimator's. An int is the seed of every problem; otherwise each draws its own.
    n_threads : int or None, default=None
        None is all that the process may use.
    progress : bool, default=False
        Show a bar with fits per second and the number of problems without usable parameters (needs tqdm).

    Returns
    -------
    result : BatchResult
        After Ctrl-C, what was done by then; the rest has `Status.INTERRUPTED`.

    Raises
    ------
    ValueError
        For arguments that are wrong for all problems.

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import GaussianMixture, fit_many
    >>> problems = np.random.default_rng(0).normal(size=(1000, 50, 1))
    >>> result = fit_many(problems, GaussianMixture(2, random_state=0))
    >>> result.means.shape
    (1000, 2, 1)
    """
    if keep not in ("best", "all"):
        raise ValueError(f"keep={keep!r} should be 'best' or 'all'")
    if criterion not in CRITERIA:
        raise ValueError(f"criterion={criterion!r} should be one of {', '.join(map(repr, CRITERIA))}")
    if not isinstance(estimator, BaseMixture):
        raise TypeError(f"estimator should be a mixture of this package, such as GaussianMixture(2), got {estimator!r}")
    n_threads = resolve_threads(n_threads)
    problems = gather_problems(problems, sample_weight)
    seeds = _seeds(estimator, seeds, random_state, len(problems))
    candidates = _candidates(estimator, n_components, covariance_type)
    cells = [_Cell(candidate, problems.X.shape[1], problems.X.dtype) for candidate in candidates]
    found = _nothing_found(len(problems), cells, len(cells) if keep == "all" else 1)
    found.status[_not_finite(problems) | _out_of_range(problems)] = Status.NOT_FINITE
    problems = _without_weightless_rows(problems)
    fit = _fit_compiled if all(cell.is_compiled() for cell in cells) else _fit_one_by_one
    with _Bar(len(problems), progress) as report:
        fit(problems, cells, seeds, criterion, found, n_threads, report)
    return _result(problems, cells, seeds, criterion, found, keep)


def fit_many_columns(data, estimator, **options):
    """Fit a one-dimensional mixture to each column of a table, leaving out missing values.

    Parameters
    ----------
    data : pandas, polars or pyarrow table, or array-like of shape (n_samples, n_columns)
        NaN and null are left out, column by column. Tables other than arrays are read through narwhals.
    estimator : as in `fit_many`
    **options : as in `fit_many`
        But for `sample_weight`.

    Returns
    -------
    result : BatchResult
        `result.names` has the names of the columns, where there are any.

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import GaussianMixture, fit_many_columns
    >>> table = np.random.default_rng(0).normal(size=(500, 20))
    >>> table[3, 5] = np.nan
    >>> fit_many_columns(table, GaussianMixture(2, random_state=0)).n_samples[4:7]
    array([500, 499, 500])
    """
    _refuse("sample_weight", options, "fit_many_columns")
    names, columns = _columns_of(data)
    present = [column[~np.isnan(column)] if column.dtype.kind == "f" else column for column in columns]
    result = fit_many(present, estimator, **options)
    result.names = names
    return result


def fit_many_groups(data, estimator, *, by, columns=None, **options):
    """Fit a mixture to the rows of each group of a table, leaving out rows with missing values.

    Parameters
    ----------
    data : pandas, polars or pyarrow table
        Read through narwhals.
    estimator : as in `fit_many`
    by : str or list of str
        The columns whose values say the group; rows where one is missing are left out.
    columns : list of str, default=None
        The columns to fit; None is all others.
    **options : as in `fit_many`
        But for `sample_weight`.

    Returns
    -------
    result : BatchResult
        `result.names` has the values of `by` for each group, tuples where there are several; groups are sorted by them.
    """
    _refuse("sample_weight", options, "fit_many_groups")
    frame = _frame_of(data)
    by = [by] if isinstance(by, str) else list(by)
    columns = [name for name in frame.columns if name not in by] if columns is None else list(columns)
    unknown = [name for name in [*by, *columns] if name not in frame.columns]
    if unknown or not by or not columns:
        raise ValueError(f"by={by} and columns={columns} should name columns of the table, which has {frame.columns}")
    frame = frame.select(*by, *columns).drop_nulls()
    X = np.column_stack([_as_reals(frame[name]) for name in columns])
    keys = list(zip(*(frame[name].to_list() for name in by), strict=True))
    has_key = np.array([all(part == part for part in key) for key in keys], dtype=bool)  # NaN is a null in pandas only
    kept = has_key & ~np.any(np.isnan(X), axis=1)
    keys, X = [key[0] if len(by) == 1 else key for key in itertools.compress(keys, kept)], X[kept]
    if not keys:
        raise ValueError("no row of the table has values in all columns")
    names = sorted(set(keys))
    places = {name: i for i, name in enumerate(names)}
    groups = np.fromiter((places[key] for key in keys), dtype=np.int64, count=len(keys))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(groups, minlength=len(names)))])
    result = fit_many((X[np.argsort(groups, kind="stable")], offsets), estimator, **options)
    result.names = names
    return result


def _refuse(name, options, function):
    if name in options:
        raise TypeError(f"{function} has no parameter {name!r}: take fit_many")


def _frame_of(data):
    try:
        import narwhals as nw
    except ImportError:
        raise ImportError("reading tables needs narwhals: install mixfast[tables], or take fit_many") from None
    return nw.from_native(data, eager_only=True)


def _as_reals(series):
    """float32 where the column has it, else float64; null is NaN."""
    values = series.to_numpy()
    if values.dtype == object or values.dtype.kind not in "fiub":
        try:
            values = np.array([np.nan if value is None else value for value in series.to_list()], dtype=np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"column {series.name!r} is not numeric") from None
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)


def _columns_of(data):
    """(names or None, arrays)"""
    if isinstance(data, (np.ndarray, list, tuple)):
        X = _as_columns(data, "data")
        return None, list(X.T)
    frame = _frame_of(data)
    return list(frame.columns), [_as_reals(frame[name]) for name in frame.columns]


class _Found(NamedTuple):
    """What the fits fill: [problem, slot] of each, a slot for the best model or for every one."""

    weights: np.ndarray
    params: np.ndarray
    lower_bounds: np.ndarray
    n_iter: np.ndarray
    status: np.ndarray  # INTERRUPTED where nothing is known yet
    criteria: np.ndarray  # [problem, model]
    chosen: np.ndarray  # [problem]


def _nothing_found(n_problems, cells, n_slots):
    return _Found(
        np.full((n_problems, n_slots, max(cell.n_components for cell in cells)), np.nan),
        np.full((n_problems, n_slots, max(cell.layout.size for cell in cells)), np.nan),
        np.full((n_problems, n_slots), np.nan),
        np.zeros((n_problems, n_slots), dtype=np.int32),
        np.full((n_problems, n_slots), Status.INTERRUPTED, dtype=np.int32),
        np.full((n_problems, len(cells)), np.nan),
        np.zeros(n_problems, dtype=np.int32),
    )


def _fit_compiled(problems, cells, seeds, criterion, found, n_threads, report):
    estimator = cells[0].estimator
    X = _prepare_rows(problems, estimator, found.status).astype(cells[0].dtype, copy=False)
    fit_problems(
        X,
        problems.offsets,
        problems.sample_weight,
        seeds,
        [cell.bind() for cell in cells],
        n_init=estimator.n_init,
        max_iter=estimator.max_iter,
        tol=estimator.tol,
        stop_on=int(estimator._raises_on()),
        accelerates=estimator.accelerate is not None,
        init_params=estimator.init_params,
        lloyd_tol=seeding.LLOYD_TOL,
        lloyd_max_iter=seeding.LLOYD_MAX_ITER,
        criterion=criterion if len(cells) > 1 else None,
        prunes=not is_mapped(X),
        n_threads=n_threads,
        progress=report,
        weights=found.weights,
        params=found.params,
        lower_bounds=found.lower_bounds,
        n_iter=found.n_iter,
        status=found.status,
        criteria=found.criteria,
        chosen=found.chosen,
    )


def _prepare_rows(problems, estimator, status):
    """As the family wants them; problems that are outside its domain are marked."""
    try:
        return estimator._prepare_rows(problems.X)
    except ValueError:
        prepared = np.zeros_like(problems.X)
    for i in np.flatnonzero(status[:, 0] == Status.INTERRUPTED):
        try:
            prepared[problems.rows(i)] = estimator._prepare_rows(problems.X[problems.rows(i)])
        except ValueError:
            status[i] = Status.OUT_OF_DOMAIN
    return prepared


def _fit_one_by_one(problems, cells, seeds, criterion, found, n_threads, report):
    """What `_batch.pyx` cannot do, by estimators: Python families, dropping starts early, relative regularization."""
    n_bad = 0
    for i in range(len(problems)):
        if found.status[i, 0] == Status.INTERRUPTED:
            X = problems.X[problems.rows(i)]
            weight = None if problems.sample_weight is None else problems.sample_weight[problems.rows(i)]
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    fits = [_fit_alone(cell, X, weight, int(seeds[i]), n_threads) for cell in cells]
                    _keep(found, i, cells, fits, criterion, X, weight)
            except KeyboardInterrupt:
                for array, nothing in zip(found, _nothing_found(1, cells, found.status.shape[1]), strict=True):
                    array[i] = nothing[0]
                return
        n_bad += not _is_usable(found.status[i]).any()
        if report is not None:
            report(i + 1, n_bad)


def _fit_alone(cell, X, sample_weight, seed, n_threads):
    """The fitted estimator, or the status that says why there is none."""
    if len(X) < max(2, cell.n_components):
        return Status.TOO_FEW_ROWS
    estimator = clone(cell.estimator).set_params(random_state=seed, n_threads=n_threads, verbose=0)
    try:
        estimator._prepare_rows(X)
    except ValueError:
        return Status.OUT_OF_DOMAIN
    try:
        return estimator.fit(X, sample_weight=sample_weight)
    except ValueError:
        return Status.NOT_FINITE


def _keep(found, i, cells, fits, criterion, X, sample_weight):
    """Fits of problem i, by all models, become results."""
    n_slots, best = found.status.shape[1], None
    for j, (cell, fit) in enumerate(zip(cells, fits, strict=True)):
        fails = isinstance(fit, Status)
        value = np.nan
        if not fails and len(cells) > 1:
            value = getattr(fit, criterion)(X, sample_weight=sample_weight)
        found.criteria[i, j] = value
        is_better = best is None or (not fails and not found.criteria[i, best] <= value)
        if n_slots == 1 and not is_better:
            continue
        slot = min(j, n_slots - 1)
        best = j if is_better else best
        found.status[i, slot] = fit if fails else fit.status_
        found.weights[i, slot] = found.params[i, slot] = np.nan
        if not fails:
            weights, params = fit._packed_state(cell.layout)
            found.weights[i, slot, : len(weights)], found.params[i, slot, : len(params)] = weights, params
            found.lower_bounds[i, slot], found.n_iter[i, slot] = fit.lower_bound_, fit.n_iter_
    found.chosen[i] = best


def _is_usable(status):
    """Whether there are parameters: statuses with these flags have none."""
    without = Status.NOT_FINITE | Status.TOO_FEW_ROWS | Status.INTERRUPTED | Status.OUT_OF_DOMAIN
    return (np.asarray(status) & int(without)) == 0


def _result(problems, cells, seeds, criterion, found, keep):
    n_samples, dtype = np.diff(problems.offsets), problems.X.dtype

    def of(slots, chosen, models):
        each = np.arange(len(seeds))
        arrays = (array[each, slots] for array in found[:5])
        return BatchResult(cells, dtype, *arrays, found.criteria, chosen, seeds, n_samples, criterion, models=models)

    if keep == "best":
        return of(np.zeros_like(found.chosen), found.chosen, None)
    models = [of(np.full_like(found.chosen, i), np.full_like(found.chosen, i), None) for i in range(len(cells))]
    return of(found.chosen, found.chosen, models)


class _Bar:
    """A progress bar as a context: gives what is called with (problems done, problems without parameters), or None."""

    def __init__(self, n_problems, progress):
        self.n_problems, self.progress, self.bar = n_problems, progress, None

    def __enter__(self):
        if not self.progress:
            return None
        try:
            from tqdm.auto import tqdm
        except ImportError:
            raise ImportError("progress=True needs tqdm: install mixfast[progress], or set progress=False") from None
        self.bar = tqdm(total=self.n_problems, unit="fit")
        return self._report

    def _report(self, n_done, n_bad):
        if n_bad:
            self.bar.set_postfix(bad=n_bad, refresh=False)
        self.bar.update(n_done - self.bar.n)

    def __exit__(self, *error):
        if self.bar is not None:
            self.bar.close()


class BatchResult:
    """What `fit_many` found: arrays over problems, and a fitted estimator for each at `result[i]`.

    Attributes
    ----------
    n_components : int64 ndarray of shape (n_problems,)
        Of the chosen model.
    weights : ndarray of shape (n_problems, largest n_components)
        NaN beyond a problem's components, and where there are no parameters.
    means, covariances, precisions_cholesky, probabilities, ... : ndarray of shape (n_problems, ...)
        The parameters by the names of the estimator's attributes, padded with NaN likewise. Those whose shape depends
        on the covariance_type are there if one was tried only.
    n_iter : int32 ndarray of shape (n_problems,)
    lower_bound : ndarray of shape (n_problems,)
    status : int32 ndarray of shape (n_problems,)
        Flags of `mixfast.Status`.
    candidates : list of estimator
        The models that were tried.
    chosen : int32 ndarray of shape (n_problems,)
        The place in `candidates` of the chosen model.
    criterion : str
    criteria : ndarray of shape (n_problems, n_candidates)
        Its value for each model; NaN where that could not be fitted, and where there is only one.
    seeds : uint64 ndarray of shape (n_problems,)
    n_samples : int64 ndarray of shape (n_problems,)
        Rows of positive weight.
    names : list or None
        Names of the problems, where they come from a table.
    models : list of BatchResult or None
        With `keep='all'`: the fits of each model to all problems.
    """

    def __init__(self, cells, dtype, weights, params, lower_bound, n_iter, status, criteria, chosen, seeds, n_samples,
                 criterion, names=None, models=None):  # fmt: skip
        self._cells, self._params, self.dtype = cells, params, np.dtype(dtype)
        self.n_iter, self.chosen, self.seeds, self.n_samples = n_iter, chosen, seeds, n_samples
        self.criteria, self.criterion, self.names, self.models = criteria, criterion, names, models
        self._put_in_order(weights)
        # a number that is finite in float64 need not be in float32
        with np.errstate(over="ignore", invalid="ignore"):
            fails = _is_usable(status) & ~self._can_be_published(weights)
        self.status = np.where(fails, status | Status.NOT_FINITE, status).astype(np.int32)
        bad = ~_is_usable(self.status)
        weights[bad] = self._params[bad] = np.nan
        self._weights, self.weights = weights, weights.astype(self.dtype)
        self.lower_bound = np.where(bad, np.nan, lower_bound).astype(self.dtype)

    # ---- arrays ----

    @property
    def candidates(self):
        return [cell.estimator for cell in self._cells]

    @property
    def n_components(self):
        return np.array([cell.n_components for cell in self._cells])[self.chosen]

    def _of_model(self, j):
        """Which problems chose model j, and the record of their packed parameters."""
        own = np.flatnonzero(self.chosen == j)
        return own, self._record(self._cells[j], own)

    def _record(self, cell, own):
        layout = cell.layout
        return layout.record(
            *(
                self._params[own, start:stop].reshape(len(own), *shape)
                for start, stop, shape in zip(layout.offsets, layout.offsets[1:], layout.shapes, strict=False)
            )
        )

    def __getattr__(self, name):
        if name.startswith("_") or name not in self._cells[0].layout.record._fields:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        field = self._cells[0].layout.record._fields.index(name)
        shapes = [cell.layout.shapes[field] for cell in self._cells]
        if len({shape[1:] for shape in shapes}) > 1 or len({len(shape) for shape in shapes}) > 1:
            raise AttributeError(f"{name} has another shape for each covariance_type: take result[i].{name}_")
        padded = np.full((len(self), max(shape[0] for shape in shapes), *shapes[0][1:]), np.nan, dtype=self.dtype)
        for j, shape in enumerate(shapes):
            own, record = self._of_model(j)
            padded[own, : shape[0]] = record[field]
        return padded

    def __dir__(self):
        return sorted([*super().__dir__(), *self._cells[0].layout.record._fields])

    def _put_in_order(self, weights):
        """Components in the order that the estimator says."""

    def _can_be_published(self, weights):
        """Which problems have parameters that are finite in the precision of the data."""
        finite = np.zeros(len(weights), dtype=bool)
        for j in range(len(self._cells)):
            own, record = self._of_model(j)
            finite[own] = True
            for array in self._cells[j].estimator._published(record):
                finite[own] &= np.all(np.isfinite(array.astype(self.dtype)), axis=tuple(range(1, array.ndim)))
        return finite

    # ---- problems ----

    def __len__(self):
        return len(self.chosen)

    def __getitem__(self, i):
        """The fitted estimator of problem i; nothing is fitted again. ValueError where it has no parameters."""
        if not isinstance(i, Integral):
            raise TypeError(f"a problem is an integer, got {i!r}")
        if not -len(self) <= i < len(self):
            raise IndexError(f"problem {i} of {len(self)}")
        if not _is_usable(self.status[i]):
            raise ValueError(f"problem {i} has no parameters: its status is {Status(int(self.status[i]))}")
        cell = self._cells[self.chosen[i]]
        estimator = clone(cell.estimator).set_params(random_state=int(self.seeds[i]))
        status = Status(int(self.status[i]))
        fit = Fit(
            0,
            self._weights[i, : cell.n_components],
            self._params[i, : cell.layout.size],
            lower_bounds=(self.lower_bound[i],),
            n_passes=int(self.n_iter[i]),
            converged=bool(status & Status.CONVERGED),
            status=status & ~(Status.CONVERGED | Status.MAX_ITER),
        )
        estimator.n_features_in_ = cell.n_features
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator._finish(fit, cell.layout, self.dtype)
        return estimator

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __repr__(self):
        counts = {flag: int(np.sum(self.status & flag != 0)) for flag in Status if flag}
        said = ", ".join(f"{count:,} {flag.name}" for flag, count in counts.items() if count)
        models = self._cells[0].estimator if len(self._cells) == 1 else f"the best of {len(self._cells)} models"
        return f"<BatchResult: {len(self):,} problems, {models}; {said or 'no iterations'}>"

    def to_frame(self):
        """A pandas DataFrame with a row for each problem: its size, model, how the fit went, weights and parameters.

        Returns
        -------
        frame : pandas.DataFrame
        """
        import pandas as pd

        columns = {"n_samples": self.n_samples}
        tried = [candidate.get_params() for candidate in self.candidates]
        for name in ("n_components", "covariance_type"):
            if name in tried[0]:
                columns[name] = np.array([params[name] for params in tried])[self.chosen]
        columns["n_iter"], columns["lower_bound"] = self.n_iter, self.lower_bound
        if len(tried) > 1:
            columns[self.criterion] = self.criteria[np.arange(len(self)), self.chosen]
        columns["status"] = [str(Status(int(status))) for status in self.status]
        columns["weights"] = list(self.weights)
        columns[self._cells[0].layout.record._fields[0]] = list(getattr(self, self._cells[0].layout.record._fields[0]))
        return pd.DataFrame(columns, index=self.names)

    # ---- predictions ----

    def predict(self, problems, n_threads=None):
        """The most likely component of each row of each problem.

        Parameters
        ----------
        problems : as in `fit_many`
            As many as were fitted; rows may be others.
        n_threads : int or None, default=None

        Returns
        -------
        labels : list of int64 ndarray of shape (n_samples_i,)
            -1 where a problem has no parameters.
        """
        problems = self._check_problems(problems)
        labels = np.full(len(problems.X), -1, dtype=np.int64)
        self._evaluate(problems, n_threads, labels=labels)
        return np.split(labels, problems.offsets[1:-1])

    def score_samples(self, problems, n_threads=None):
        """The log density of each row of each problem, in nats.

        Parameters
        ----------
        problems : as in `predict`
        n_threads : int or None, default=None

        Returns
        -------
        log_prob : list of ndarray of shape (n_samples_i,)
            NaN where a problem has no parameters.
        """
        problems = self._check_problems(problems)
        log_norm = np.full(len(problems.X), np.nan, dtype=problems.X.dtype)
        self._evaluate(problems, n_threads, log_norm=log_norm)
        return np.split(log_norm, problems.offsets[1:-1])

    def _check_problems(self, problems):
        problems = gather_problems(problems)
        n_features = self._cells[0].n_features
        if len(problems) != len(self):
            raise ValueError(f"there are {len(problems)} problems, and {len(self)} were fitted")
        if problems.X.shape[1] != n_features:
            raise ValueError(f"problems have {problems.X.shape[1]} columns, those that were fitted {n_features}")
        if np.any(_not_finite(problems)):
            raise ValueError(f"problem {int(np.argmax(_not_finite(problems)))} holds values that are not finite")
        dtype = np.result_type(problems.X.dtype, self.dtype)
        X = self._cells[0].estimator._prepare_rows(problems.X.astype(dtype, copy=False))
        return replace(problems, X=np.ascontiguousarray(X))

    def _evaluate(self, problems, n_threads, labels=None, log_norm=None):
        usable = _is_usable(self.status)
        if isinstance(self._cells[0].family, PythonFamily):
            for i in np.flatnonzero(usable):
                rows = problems.rows(i)
                if labels is not None and rows.stop > rows.start:
                    labels[rows] = self[i].predict(problems.X[rows])
                elif rows.stop > rows.start:
                    log_norm[rows] = self[i].score_samples(problems.X[rows])
            return
        # as an estimator has them: rounded to the precision of the data
        rounded = self._params.astype(self.dtype).astype(np.float64)
        evaluate_problems(
            problems.X,
            problems.offsets,
            [cell.with_dtype(problems.X.dtype).bind() for cell in self._cells],
            np.where(usable, self.chosen, -1).astype(np.int32),
            self.weights.astype(np.float64),
            rounded,
            n_threads=resolve_threads(n_threads),
            labels=labels,
            log_norm=log_norm,
        )
