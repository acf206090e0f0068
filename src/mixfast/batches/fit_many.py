"""Many fits at once: one mixture for each column, group, sensor or box. The work is done in `_batch.pyx`."""

from __future__ import annotations

import inspect
import itertools
import warnings
from collections.abc import Iterable
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from mixfast._threads import resolve_threads
from mixfast.batches._batch import fit_problems
from mixfast.batches.bound_model import BoundModel
from mixfast.batches.problems import (
    Problems,
    below_zero,
    gather_problems,
    not_finite,
    only_of,
    out_of_range,
    part_of,
    some_of,
    sums_of_weights,
    without_weightless_rows,
)
from mixfast.batches.result import CRITERIA, BatchResult, is_usable
from mixfast.engine import _random
from mixfast.engine._rows import Rows
from mixfast.estimators._base import BaseMixture, check_mixture
from mixfast.estimators._parameters import unfitted_copy
from mixfast.fitting import plan_of
from mixfast.row_data import check_names, rows_with, separated
from mixfast.status import Status
from mixfast.tables import Table, columns_of, columns_of_reals, declared_categories, share_names
from mixfast.weights import check_n_effective, effective_number, is_far, warn_of_sum

N_FOLDS = 5

#: So little is kept of all models until the best are chosen, so that threads can share the models of a single problem.
FEW_BYTES = 2**26

#: scikit-learn takes no larger random_state, and each problem's estimator has its seed there.
N_SEEDS = 2**32


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
    template, grid = unfitted_copy(estimator), {}
    for name, values in (("n_components", n_components), ("covariance_type", covariance_type)):
        if values is not None:
            if name not in vars(template):
                raise ValueError(f"{type(estimator).__name__} has no parameter {name!r}")
            grid[name] = list(values) if np.iterable(values) and not isinstance(values, str) else [values]
            if not grid[name]:
                raise ValueError(f"{name} should have at least one value")
    points = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    if len(points) > 1:
        template = _changed(template, template._without_default_regularization())
    found = [_changed(template, point) for point in points]
    for point in found:
        point._validate_params()
    if not isinstance(estimator.init_params, str):
        raise ValueError("init_params of a batch should name a method: labels or responsibilities belong to one X")
    return found


def _changed(template, params):
    """A copy with other parameters, as `set_params` makes it; it shares those that stay with the template."""
    changed = type(template).__new__(type(template))
    vars(changed).update(vars(template) | params)
    return changed


def fit_many(
    problems,
    estimator,
    *,
    n_components=None,
    covariance_type=None,
    criterion="bic",
    keep="best",
    allow_spurious=False,
    sample_weight=None,
    n_effective=None,
    seeds=None,
    random_state=None,
    n_threads=None,
    progress=False,
    **row_data,
):
    """Fit a mixture to each of many problems.

    The bits are those of `[clone(estimator).set_params(random_state=random_state).fit(X) for X in problems]`, for any
    number of threads and any order or subset of the problems, at a small part of the time: a thread takes whole
    problems, and nothing is done in Python for each. Nothing raises because of the data: each problem has a status.
    Only the categories of `categories='auto'` (`CategoricalMixture`, `ProductMixture`) are no problem's own: they are
    the values that occur in all problems together, but for those that are not finite. Give `categories` for the bits
    of a fit alone.

    Parameters
    ----------
    problems : list of array-like, ndarray of shape (n_problems, n_samples, n_features), or tuple (X, offsets)
        A list has an array (n_samples, n_features) for each problem.
        In a pair, X (n_rows, n_features) has all rows, and problem i those from offsets[i] to offsets[i + 1]; X and
        three-dimensional arrays of float32 or float64 are read in place, lists are copied. An array with a single
        dimension is one column. float32 is computed in float32; a list with both precisions in float64.
        Tables of pandas, polars or pyarrow should have the same columns in the same order; where all have names that
        are strings, these are `feature_names_in_` of `result[i]`. The parts of a `ProductMixture` name columns as in
        its `fit`. Categories should be numbers.
    estimator : GaussianMixture, BernoulliMixture or any other mixture of this package
        What is fitted, with its parameters. `n_threads`, `verbose` and `warm_start` play no role.
    n_components : int or list of int, default=None
        Numbers of components to try, in place of the estimator's.
    covariance_type : str or list of str, default=None
        Structures of the covariance to try, likewise.
    criterion : {'bic', 'aic', 'icl', 'heldout'}, default='bic'
        Where there are several models for each problem, the one with the least is kept. They are then fitted with
        `reg_covar=0`, unless the estimator has another `reg_covar` or `regularization` than its class' defaults: 1e-6
        of the squared unit of the data distorts columns of small scale. A singular covariance is repaired.
        'heldout' is minus the mean log density of a row under the fit to four fifths of the rows that it does not
        belong to; the fifths are drawn from the problem's seed. Each model is then fitted six times.
    keep : {'best', 'all'}, default='best'
        'all' keeps the fits of all models, in `result.models`.
    allow_spurious : bool, default=False
        Whether a model may be chosen whose fit has a spurious component, `Status.SPURIOUS_COMPONENT`, as in `select`.
        By default it is only where there is no other, and then the one with the fewest parameters.
    sample_weight : array-like, default=None
        Weights of the rows, in the form of the problems: a list, an array (n_problems, n_samples), or a flat array.
    n_effective : {'sum', 'kish'} or float, default=None
        The number of independent rows that the weights of a problem stand for, as in `GaussianMixture.bic`; a number is
        that of every problem. 'heldout' has no use for it. None is 'sum', with a warning where that is far from the
        number of rows of a problem.
    seeds : array-like of int of shape (n_problems,), default=None
        A seed for each problem, from 0 to 2**32 - 1.
    random_state : int, RandomState instance or None, default=None
        None takes the estimator's. An int is the seed of every problem; otherwise each draws its own.
    n_threads : int or None, default=None
        None is all that the process may use.
    progress : bool, default=False
        Show a bar with fits per second and the number of those without usable parameters (needs tqdm).
    **row_data : array-like
        What the `fit` of the estimator takes of each row beside these, in the form of the problems: `exposure`, see
        `PoissonMixture`. A problem with an exposure that is no finite number has `Status.NOT_FINITE`, one with an
        exposure that is not above zero `Status.OUT_OF_DOMAIN`.

    Returns
    -------
    result : BatchResult
        After Ctrl-C, what was done by then; the rest has `Status.INTERRUPTED`.

    Raises
    ------
    ValueError
        For arguments that are wrong for all problems, and tables whose columns differ.
    TypeError
        For an estimator that is no mixture, a lazy table, and row data that the estimator does not know.

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
    check_n_effective(n_effective)
    check_mixture(estimator)
    check_names("fit_many", estimator, row_data)
    n_threads = resolve_threads(n_threads)
    problems = gather_problems(problems, sample_weight, row_data, estimator._reads)
    seeds = _seeds(estimator, seeds, random_state, len(problems))
    wrong_weights = _look_at_weights(problems)
    problems = without_weightless_rows(problems)
    estimator = estimator._by_place(problems.columns)
    status = _look_at_rows(problems, estimator, wrong_weights)
    estimator = _for_parts_of(problems, estimator, status)
    candidates = _candidates(estimator, n_components, covariance_type)
    bound_models = [BoundModel(candidate, problems.X.shape[1], problems.X.dtype) for candidate in candidates]
    for model in bound_models:
        model.given_start  # noqa: B018 - raises what is wrong for all problems
    n_bytes = 8 * len(problems) * len(bound_models) * max(model.layout.size for model in bound_models)
    holds_out = criterion == "heldout" and len(bound_models) > 1
    alone = _need_estimators(problems, bound_models)
    has_slots = keep == "all" or holds_out or np.any(alone) or n_bytes <= FEW_BYTES
    found = _nothing_found(len(problems), bound_models, len(bound_models) if has_slots else 1)
    found.status[...] = status[:, np.newaxis]
    criterion_in_fit = None if holds_out or len(bound_models) == 1 else criterion
    choice = Choice(
        criterion=criterion_in_fit,
        passed_over=Status.OK if allow_spurious else Status.SPURIOUS_COMPONENT,
        n_effective=None if criterion_in_fit is None else _n_effective(problems, n_effective, status),
    )
    with _Bar(found.status.size, progress) as report:
        _fit_all(problems, alone, bound_models, seeds, choice, found, n_threads, report)
    if holds_out:
        try:
            _hold_out(problems, candidates, seeds, found, n_threads)
        except KeyboardInterrupt:
            _leave_undone(found, np.flatnonzero(np.any(is_usable(found.status), axis=1)))
    names = None if problems.names is None or share_names(problems.names) else problems.names
    return _result(problems, bound_models, seeds, criterion, choice, found, keep)._named(None, names)


def fit_many_columns(data, estimator, **options):
    """Fit a one-dimensional mixture to each column of a table, leaving out missing values.

    Parameters
    ----------
    data : pandas, polars or pyarrow table, or array-like of shape (n_samples, n_columns)
        NaN and null are left out, column by column. Tables other than arrays are read through narwhals.
    estimator : as in `fit_many`
    **options : as in `fit_many`
        But for `sample_weight` and row data.

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
    check_mixture(estimator)
    _check_options(options, "fit_many_columns", estimator)
    names, columns = columns_of(data)
    present = [column[~np.isnan(column)] if column.dtype.kind == "f" else column for column in columns]
    return fit_many(present, estimator, **options)._named(names, None)


def fit_many_groups(data, estimator, *, by, columns=None, **options):
    """Fit a mixture to the rows of each group of a table.

    Rows with missing values are left out, but for values that the family allows to be missing, column by column, as
    `BernoulliMixture` and `CategoricalMixture` do.

    Parameters
    ----------
    data : pandas, polars or pyarrow table
        Read through narwhals.
    estimator : as in `fit_many`
    by : name of a column, or list of them
        The columns whose values say the group; rows where one is missing are left out. Names are what the table has:
        strings, numbers, dates, tuples.
    columns : list of names, default=None
        The columns to fit, of numbers; None is all others. Where they are strings, they are `feature_names_in_` of
        `result[i]`.
    **options : as in `fit_many`
        `sample_weight` and row data are names of columns, such as `exposure="hours"` for a `PoissonMixture`, which are
        not fitted then; rows where these have nothing are left out.

    Returns
    -------
    result : BatchResult
        `result.names` has the values of `by` for each group, tuples where there are several; groups are sorted by them,
        those of a categorical or an Enum in the order of its categories.
    """
    check_mixture(estimator)
    named = {name: options.pop(name, None) for name in ("sample_weight", *estimator._row_data)}
    _check_options(options, "fit_many_groups", estimator)
    table = Table(data)
    keys = _places_given("by", by, table)
    data_places = {name: _place_given(name, column, table) for name, column in named.items() if column is not None}
    if columns is None:
        places = [place for place in range(len(table.names)) if place not in (*keys, *data_places.values())]
    else:
        places = _places_given("columns", columns, table)
    if not keys or not places:
        raise ValueError(f"by={by!r} and columns={columns!r} should name columns of the table, which has {table.names}")
    series = [table.series[place] for place in keys]
    columns = [table.names[place] for place in places]
    X = columns_of_reals(table, places, estimator._reads(columns))
    kept = ~np.any(np.isnan(X) & ~estimator._by_place(columns)._allows_nan(len(places)), axis=1)
    for place in (*keys, *data_places.values()):
        kept &= ~table.is_missing(place)
    if not np.any(kept):
        raise ValueError("no row of the table has values in all columns")
    declared = [declared_categories(own) for own in series]
    names, groups = _group_rows([list(itertools.compress(own.to_list(), kept)) for own in series], declared)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(groups, minlength=len(names)))])
    rows = np.flatnonzero(kept)[np.argsort(groups, kind="stable")]
    row_data = {name: table.reals(place)[rows].astype(np.float64) for name, place in data_places.items()}
    problems = Problems(X[rows], offsets, row_data.pop("sample_weight", None), row_data, columns)
    result = fit_many(problems, estimator, **options)
    return result._named(names, result._column_names)


def _places_given(argument, given, table):
    """The places of the columns that an argument names, one or several in a list."""
    is_name = isinstance(given, str) or table.is_name(given)
    is_array = hasattr(type(given), "__array__") and np.ndim(given)  # whose values nobody wants to read
    shown = f"{argument}, a {type(given).__name__} of {len(given)}," if is_array else f"{argument}={given!r}"
    if not is_name and not isinstance(given, Iterable):
        raise ValueError(f"{shown} should name columns of the table, which has {table.names}")
    try:
        return [table.place_of(name) for name in ([given] if is_name else given)]
    except ValueError as error:
        raise ValueError(f"{shown} should name columns of the table: {error}") from None


def _place_given(argument, given, table):
    """The place of the column that an argument names."""
    places = _places_given(argument, given, table)
    if len(places) != 1:
        raise ValueError(f"{argument}={given!r} should name one column of the table, not {len(places)}")
    return places[0]


def _in_order(values, declared):
    """The distinct values: as the type of the column orders them where it does, else from the least to the largest;
    values of several types, which have no order, by the names of their types first."""
    distinct = set(values)
    if declared is not None:
        return [value for value in declared.tolist() if value in distinct]
    try:
        return sorted(distinct)
    except TypeError:
        return sorted(distinct, key=lambda value: (type(value).__name__, str(value)))


def _group_rows(keys, declared):
    """(the distinct keys in order, the number of each row's); keys are the values of one column or of several."""
    distinct = [_in_order(*own) for own in zip(keys, declared, strict=True)]
    codes = []
    for own, values in zip(distinct, keys, strict=True):
        places = {value: place for place, value in enumerate(own)}
        codes.append(np.fromiter(map(places.__getitem__, values), dtype=np.int64, count=len(values)))
    if len(keys) == 1:
        return distinct[0], codes[0]
    found, groups = np.unique(np.column_stack(codes), axis=0, return_inverse=True)
    names = [tuple(own[place] for own, place in zip(distinct, row, strict=True)) for row in found.tolist()]
    return names, groups.ravel()


def _check_options(options, function, estimator):
    """Raises TypeError for what is no option of `fit_many`, or has no meaning for `function`."""
    of_each_row = {"sample_weight", *estimator._row_data}
    parameters = inspect.signature(fit_many).parameters.values()
    known = {own.name for own in parameters if own.kind is own.KEYWORD_ONLY} - of_each_row
    for name in options.keys() - known:
        remedy = ": take fit_many" if name in of_each_row else ""
        remedy = ": progress=True shows how many problems are done" if name == "verbose" else remedy
        raise TypeError(f"{function} has no parameter {name!r}{remedy}")


class Choice(NamedTuple):
    """How one of several models is chosen.

    criterion : name of one that is computed with the fits, or None
    passed_over : statuses of fits that are chosen only where there is no other
    n_effective : float64 (n_problems,), the numbers of rows that weights stand for; None where these are their sums
    """

    criterion: str | None
    passed_over: Status
    n_effective: np.ndarray | None = None

    def some_of(self, chosen):
        return self if self.n_effective is None else self._replace(n_effective=self.n_effective[chosen])


def _n_effective(problems, n_effective, status):
    """Numbers of rows that weights stand for, None where these are their sums; with a warning where those are taken so
    for want of a word, and are far from the numbers of rows."""
    if problems.sample_weight is None and not isinstance(n_effective, Real):
        return None
    n_rows = np.diff(problems.offsets)
    total, squares = sums_of_weights(problems)
    if n_effective is None:
        far = is_far(total, n_rows) & (status == Status.INTERRUPTED) & (n_rows > 0)
        if np.any(far):
            i = int(np.argmax(far))
            warn_of_sum(
                f"sample_weight: the weights of problem {i}, and of {far.sum() - 1} others,", total[i], n_rows[i]
            )
    return None if n_effective is None or n_effective == "sum" else effective_number(n_effective, total, squares)


class _Found(NamedTuple):
    """What the fits fill: [problem, slot] of each, a slot for the best model or for every one."""

    weights: np.ndarray
    params: np.ndarray
    lower_bounds: np.ndarray
    n_iter: np.ndarray
    status: np.ndarray  # INTERRUPTED where nothing is known yet
    criteria: np.ndarray  # [problem, model]
    chosen: np.ndarray  # [problem]


def _nothing_found(n_problems, bound_models, n_slots):
    return _Found(
        np.full((n_problems, n_slots, max(model.n_components for model in bound_models)), np.nan),
        np.full((n_problems, n_slots, max(model.layout.size for model in bound_models)), np.nan),
        np.full((n_problems, n_slots), np.nan),
        np.zeros((n_problems, n_slots), dtype=np.int32),
        np.full((n_problems, n_slots), Status.INTERRUPTED, dtype=np.int32),
        np.full((n_problems, len(bound_models)), np.nan),
        np.zeros(n_problems, dtype=np.int32),
    )


def _look_at_weights(problems):
    """The status of each problem, INTERRUPTED where nothing is wrong with its weights."""
    status = np.full(len(problems), Status.INTERRUPTED, dtype=np.int32)
    status[below_zero(problems)] = Status.OUT_OF_DOMAIN
    status[out_of_range(problems)] = Status.NOT_FINITE
    return status


def _look_at_rows(problems, estimator, status):
    """The status of each problem, from that of its weights and the rows that count."""
    wrong = not_finite(problems, estimator._allows_nan(problems.X.shape[1]))
    return np.where(wrong, Status.NOT_FINITE, status).astype(np.int32)


def _for_parts_of(problems, estimator, status):
    """The estimator with what all problems are to have in common, of those that can be fitted."""
    if type(estimator)._for_parts_of is BaseMixture._for_parts_of:
        return estimator  # which spares a copy of all rows where a problem is left out
    try:
        return estimator._for_parts_of(only_of(problems, status == Status.INTERRUPTED).X)
    except ValueError:
        pass  # no rows are left, or a column has not a single value: there is nothing to fit
    status[(status == Status.INTERRUPTED) & (np.diff(problems.offsets) > 0)] = Status.NOT_FINITE
    return estimator._for_parts_of(np.zeros((1, problems.X.shape[1])))


def _need_estimators(problems, bound_models):
    """Which problems `_batch.pyx` does not fit, a mask: units want one structure for all, and a start in the same."""
    if any(model.has_units() for model in bound_models) and (
        len(bound_models) > 1 or bound_models[0].given_start is not None
    ):
        return np.ones(len(problems), dtype=bool)
    return np.any([model.needs_estimator(problems) for model in bound_models], axis=0)


def _fit_all(problems, alone, bound_models, seeds, choice, found, n_threads, report):
    """Those that are `alone` one by one, all others together and first; after Ctrl-C nothing more."""
    n_done, n_bad = 0, 0
    for fit, chosen in ((_fit_compiled, ~alone), (_fit_one_by_one, alone)):
        if not np.any(chosen):
            continue
        if np.all(chosen):  # nothing is copied then
            fit(problems, bound_models, seeds, choice, found, n_threads, report)
            return
        part = _Found(*(array[chosen] for array in found))
        then = report and (lambda done, bad, before=(n_done, n_bad): report(before[0] + done, before[1] + bad))
        fit(some_of(problems, chosen), bound_models, seeds[chosen], choice.some_of(chosen), part, n_threads, then)
        for array, values in zip(found, part, strict=True):
            array[chosen] = values
        n_done, n_bad = n_done + part.status.size, n_bad + int(np.sum(~is_usable(part.status)))
        if np.any(part.status & Status.INTERRUPTED):
            return


def _fit_compiled(problems, bound_models, seeds, choice, found, n_threads, report):
    estimator = bound_models[0].estimator
    problems, prepared = _prepare_rows(problems, estimator, found.status)
    if prepared is None:
        found.status[found.status == Status.INTERRUPTED] = Status.TOO_FEW_ROWS
        return
    X, data = separated(prepared)
    units = _units(problems, X, bound_models[0], found.status) if bound_models[0].has_units() else {}
    encoded = bound_models[0].family.encode(rows_with(_in_units(problems, X, units) if units else X, data))
    rows = Rows(encoded.rows, problems.sample_weight, encoded.base)
    if encoded.seeds is not None:
        encoded = encoded._replace(seeds=encoded.make_seeds(problems.offsets))
    seeding_rows = rows if encoded.seeds is None else Rows(encoded.seeds, problems.sample_weight)
    fit_problems(
        rows,
        seeding_rows,
        problems.offsets,
        seeds,
        [model.bind(encoded) for model in bound_models],
        plan_of(estimator, estimator.init_params, encoded.rows, criterion=choice.criterion),
        found,
        passed_over=int(choice.passed_over),
        n_effective=choice.n_effective,
        n_threads=n_threads,
        progress=report,
    )
    _leave_undone(found, np.flatnonzero(np.any(found.status == Status.INTERRUPTED, axis=1)))
    for i, own in units.items():
        if is_usable(found.status[i, 0]):
            params = found.params[i, 0, : bound_models[0].layout.size]
            params[...] = bound_models[0].layout.pack(own.leave(bound_models[0].layout.view(params)))
            found.lower_bounds[i, 0] -= own.log_volume


def _units(problems, X, model, status):
    """Those of each problem that can be fitted; where there are none, the status says so."""
    units = {}
    for i in np.flatnonzero(status[:, 0] == Status.INTERRUPTED):
        rows = problems.rows(i)
        if rows.stop - rows.start < max(2, model.n_components):
            continue
        try:
            units[i] = model.estimator._units(model.family, X[rows], problems.weights_of(i))
        except ValueError:
            status[i] = Status.NOT_FINITE
    return units


def _in_units(problems, X, units):
    standard = X.copy()
    for i, own in units.items():
        standard[problems.rows(i)] = own.rows(X[problems.rows(i)])
    return standard


def _prepare_rows(problems, estimator, status):
    """(problems, all their rows as the family wants them); those outside its domain are marked, and have none then.
    None for the rows where none are left."""
    try:
        return problems, estimator._prepared(problems.all_rows())
    except ValueError:
        pass
    for i in np.flatnonzero((status[:, 0] == Status.INTERRUPTED) & (np.diff(problems.offsets) > 0)):
        try:
            estimator._prepared(problems.rows_of(i))
        except ValueError:
            status[i] = Status.OUT_OF_DOMAIN
    problems = only_of(problems, status[:, 0] == Status.INTERRUPTED)
    return problems, estimator._prepared(problems.all_rows()) if problems.n_rows else None


def _fit_one_by_one(problems, bound_models, seeds, choice, found, n_threads, report):
    """What `_batch.pyx` cannot do, by estimators: families in Python, dropping starts early, units that differ between
    the models."""
    n_bad = 0
    for i in range(len(problems)):
        if found.status[i, 0] == Status.INTERRUPTED:
            rows, weight = problems.rows_of(i), problems.weights_of(i)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    fits = [_fit_alone(model, rows, weight, int(seeds[i]), n_threads) for model in bound_models]
                    _keep(found, i, bound_models, fits, choice, rows, weight)
            except KeyboardInterrupt:
                _leave_undone(found, [i])
                return
        n_bad += int(np.sum(~is_usable(found.status[i])))
        if report is not None:
            report((i + 1) * found.status.shape[1], n_bad)


def _fit_alone(model, rows, sample_weight, seed, n_threads):
    """The fitted estimator, or the status that says why there is none."""
    if rows.shape[0] < max(2, model.n_components):
        return Status.TOO_FEW_ROWS
    estimator = clone(model.estimator).set_params(random_state=seed, n_threads=n_threads, verbose=0)
    try:
        estimator._prepared(rows)
    except ValueError:
        return Status.OUT_OF_DOMAIN
    try:
        X, data = separated(rows)
        return estimator.fit(X, sample_weight=sample_weight, **data)
    except ValueError:
        return Status.NOT_FINITE


def _keep(found, i, bound_models, fits, choice, rows, sample_weight):
    """Fits of problem i, by all models, become results."""
    X, data = separated(rows)
    n_effective = "sum" if choice.n_effective is None else float(choice.n_effective[i])
    for j, (model, fit) in enumerate(zip(bound_models, fits, strict=True)):
        if isinstance(fit, Status):
            found.status[i, j] = fit
            continue
        weights, params = fit._packed_state(model.layout)
        found.weights[i, j, : len(weights)], found.params[i, j, : len(params)] = weights, params
        found.status[i, j], found.lower_bounds[i, j], found.n_iter[i, j] = fit.status_, fit.lower_bound_, fit.n_iter_
        if choice.criterion is not None:
            evaluate = getattr(fit, choice.criterion)
            found.criteria[i, j] = evaluate(X, sample_weight=sample_weight, n_effective=n_effective, **data)


def _hold_out(problems, candidates, seeds, found, n_threads):
    """Fill `criteria` with minus the mean held-out log density; NaN where a model could not be fitted to all parts.
    After Ctrl-C nothing is chosen, and nothing is kept: KeyboardInterrupt."""
    if np.any(found.status & Status.INTERRUPTED):
        raise KeyboardInterrupt
    done = ~np.any(found.status == Status.INTERRUPTED, axis=1) & np.any(is_usable(found.status), axis=1)
    fold = _folds(problems, seeds)
    owner = problems.owners()
    total, weights = np.zeros(found.criteria.shape), np.zeros(len(problems))
    for held in range(N_FOLDS):
        rest, part = (part_of(problems, done[owner] & chosen) for chosen in (fold != held, fold == held))
        weight = np.ones(part.n_rows) if part.sample_weight is None else part.sample_weight
        part_owner = part.owners()
        weights += np.bincount(part_owner, weights=weight, minlength=len(part))
        for j, candidate in enumerate(candidates):
            fits = fit_many(
                (rest.X, rest.offsets),
                candidate,
                sample_weight=rest.sample_weight,
                seeds=seeds,
                n_threads=n_threads,
                **rest.row_data,
            )
            if np.any(fits.status & Status.INTERRUPTED):
                raise KeyboardInterrupt
            log_prob = np.concatenate(fits.score_samples((part.X, part.offsets), n_threads, **part.row_data))
            weighted = weight * log_prob.astype(np.float64)
            total[:, j] -= np.bincount(part_owner, weights=weighted, minlength=len(part))
    with np.errstate(invalid="ignore"):
        found.criteria[done] = (total / weights[:, np.newaxis])[done]


def _folds(problems, seeds):
    """The fold of each row: those of a problem, in an order that is drawn from its seed, are dealt out in turn."""
    draws = np.empty(problems.n_rows)
    for i, seed in enumerate(seeds.tolist()):
        _random.fill_uniform(seed, 0, _random.PURPOSE_FOLDS, draws[problems.rows(i)])
    owner = problems.owners()
    place = np.empty(len(draws), dtype=np.int64)
    place[np.lexsort((draws, owner))] = np.arange(len(draws))
    return (place - problems.offsets[owner]) % N_FOLDS


def _result(problems, bound_models, seeds, criterion, choice, found, keep):
    n_samples, dtype = np.diff(problems.offsets), problems.X.dtype

    common = seeds, n_samples, criterion, tuple(problems.row_data)

    def of(slots, chosen, models=None):
        each = np.arange(len(seeds))
        arrays = (array[each, slots] for array in found[:5])
        return BatchResult(bound_models, dtype, *arrays, found.criteria, chosen, *common, models=models)

    def of_model(i):
        weights, *others = (array[:, i].copy() for array in found[:5])
        weights, chosen = weights[:, : bound_models[i].n_components], np.zeros_like(found.chosen)
        return BatchResult([bound_models[i]], dtype, weights, *others, found.criteria[:, [i]], chosen, *common)

    if keep == "best" and found.status.shape[1] == 1:
        return of(np.zeros_like(found.chosen), found.chosen)
    chosen = _best(found, choice, bound_models)
    return of(chosen, chosen, [of_model(i) for i in range(len(bound_models))] if keep == "all" else None)


def _best(found, choice, bound_models):
    """The first model of each problem with the least criterion, of those that could be fitted and are not passed over;
    where all are passed over, whose likelihood has no bound, the one with the fewest parameters."""
    fitted = np.isfinite(found.weights[:, :, 0])
    clean = fitted & (found.status & int(choice.passed_over) == 0)
    some_clean = np.any(clean, axis=1, keepdims=True)
    eligible = np.where(some_clean, clean, fitted)
    value = np.where(some_clean, found.criteria, [model.n_free for model in bound_models])
    value = np.where(eligible & ~np.isnan(value), value, np.inf)
    is_least = eligible & (value == np.min(value, axis=1, keepdims=True))
    return np.argmax(is_least, axis=1).astype(np.int32)


def _leave_undone(found, problems):
    """Nothing is kept of problems that were stopped between their models: the best of some is not the best of all."""
    found.status[problems], found.chosen[problems], found.n_iter[problems] = Status.INTERRUPTED, 0, 0
    for array in (found.weights, found.params, found.lower_bounds, found.criteria):
        array[problems] = np.nan


class _Bar:
    """A progress bar as a context: gives what is called with (fits done, fits without parameters), or None."""

    def __init__(self, n_fits, progress):
        self.n_fits, self.progress, self.bar = n_fits, progress, None

    def __enter__(self):
        if not self.progress:
            return None
        try:
            from tqdm.auto import tqdm
        except ImportError:
            raise ImportError("progress=True needs tqdm: install mixfast[progress], or set progress=False") from None
        self.bar = tqdm(total=self.n_fits, unit="fit")
        return self._report

    def _report(self, n_done, n_bad):
        if n_bad:
            self.bar.set_postfix(bad=n_bad, refresh=False)
        self.bar.update(n_done - self.bar.n)

    def __exit__(self, *error):
        if self.bar is not None:
            self.bar.close()
