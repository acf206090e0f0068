"""Many fits at once: one mixture for each column, group, sensor or box. The work is done in `_batch.pyx`."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mixfast._docstrings import described
from mixfast._threads import resolve_threads
from mixfast._typing import Column, CovarianceShape, CovarianceType, CriterionName, NEffective, ProblemRows, Seed
from mixfast._warnings import warn
from mixfast.batches._batch import choose, fit_problems
from mixfast.batches.grouping import Grouping, group_rows
from mixfast.batches.one_by_one import fit_one_by_one
from mixfast.batches.plan import N_FOLDS, grid_of, make_plan, seeds_of
from mixfast.batches.problems import (
    Problems,
    labels_beyond,
    of_each_column,
    part_of,
    read_problems,
    some_of,
    with_status_of_weights,
)
from mixfast.batches.result import BatchResult, is_usable
from mixfast.estimators._base import BaseMixture
from mixfast.estimators._likelihood import check_can_be_fitted, check_comparable, check_criterion
from mixfast.estimators._parameters import unfitted_copy
from mixfast.families.covariances import ALL_SHAPES, shapes_of
from mixfast.fitting import plan_of
from mixfast.in_messages import in_short
from mixfast.progress import Bar
from mixfast.row_data import (
    check_names,
    check_not_of_formula,
    known_data,
    of_family,
    rows_of,
    rows_with,
    seeding_rows_of,
    separated,
)
from mixfast.status import Status
from mixfast.tables import Table, columns_of, library_of, names_of, share_names
from mixfast.units import ColumnRanges
from mixfast.weights import check_n_effective

#: How the warning of an interrupted batch begins; who calls `fit_many` and raises KeyboardInterrupt leaves it out.
INTERRUPTED_BY = "Ctrl-C ended the batch"


class NoRowsError(ValueError):
    """No row of a table has values in all columns, so there is nothing to fit."""


@described
def fit_many(
    problems: ProblemRows,
    estimator: Any,
    *,
    n_components: int | Iterable[int] | None = None,
    covariance_type: CovarianceType
    | CovarianceShape
    | Literal["all"]
    | Iterable[CovarianceType | CovarianceShape]
    | None = None,
    criterion: CriterionName = "bic",
    keep: Literal["best", "all"] = "best",
    allow_spurious: bool = False,
    sample_weight: ArrayLike | None = None,
    n_effective: NEffective = None,
    seeds: ArrayLike | None = None,
    random_state: Seed = None,
    n_threads: int | None = None,
    progress: bool = False,
    **row_data: ArrayLike | None,
) -> BatchResult:
    """Fit a mixture to each of many problems.

    The bits are those of `[clone(estimator).set_params(random_state=random_state).fit(X) for X in problems]`, for any
    number of threads and any order or subset of the problems, at a small part of the time: a thread takes whole
    problems, and nothing is done in Python for each. Nothing raises because of the data: each problem has a status.
    Three defaults are other here, and `candidates` of the result has what was fitted. ``init_params='auto'``, the
    default of `GaussianMixture`, is 'kmeans', which may end at another optimum: set 'kmeans' for the same bits alone,
    and `n_init` for better optima. With several models a `reg_covar` that is only a default is 0. And the categories of
    `categories='auto'` (`CategoricalMixture`, `ProductMixture`), and the classes of labels of `MixtureOfExperts`, are
    no problem's own: they are the values that occur in all problems together, but for those that are not finite. Give
    `categories`, or counts of classes, for the bits of a fit alone where problems lack some.

    Parameters
    ----------
    problems : list of array-like, ndarray of shape (n_problems, n_samples, n_features), or tuple (X, offsets)
        A list has an array (n_samples, n_features) for each problem.
        In a pair, X (n_rows, n_features) has all rows, and problem i those from offsets[i] to offsets[i + 1]; X and
        three-dimensional arrays of float32 or float64 are read in place, lists are copied. An array with a single
        dimension is one column. float32 is computed as in `fit`; a list with both precisions in float64.
        Tables of pandas, polars or pyarrow should have the same columns in the same order; where all have names that
        are strings, these are `feature_names_in_` of `result[i]`. The parts of a `ProductMixture` name columns as in
        its `fit`. Categories should be numbers.
    estimator : GaussianMixture, BernoulliMixture or any other mixture of this package
        What is fitted, with its parameters. `n_threads`, `verbose` and `warm_start` play no role.
    <models of problems>
    sample_weight : array-like, default=None
        Weights of the rows, in the form of the problems: a list, an array (n_problems, n_samples), or a flat array.
    <fits of problems>
    **row_data : array-like
        What the `fit` of the estimator takes of each row beside these, in the form of the problems: `known_labels`, as
        numbers of components or, of each problem, an array (n_samples, n_components) of bool; `groups`, whose problems
        are fitted one by one; `exposure`, see `PoissonMixture`; `y` and what else goes with it, see
        `MixtureOfExperts`, where what has several columns is a list of arrays, one for each problem, or one array with
        a row for each row of a pair (X, offsets); a gate may have one dimension, which is one column. `groups`, and
        responses of experts that have classes, may be strings. A problem with an exposure that is no finite number has
        `Status.NOT_FINITE`, one with an exposure that is not above zero `Status.OUT_OF_DOMAIN`; so with responses.

    Returns
    -------
    result : BatchResult
        After Ctrl-C, what was done by then; the rest has `Status.INTERRUPTED`, and a UserWarning says how many. A loop
        over calls goes on, unless it looks at the status or warnings are errors.

    Raises
    ------
    ValueError
        For arguments that are wrong for all problems, labels of too few or too many classes in all of them among these,
        `known_labels` of which no problem's fit any of the models too, and tables whose columns differ. For
        `canonical_order=True` with `known_labels` or `hold`, which have the numbers of components.
    TypeError
        For an estimator that is no mixture, a lazy table, row data that the estimator does not know, and tables for an
        estimator that was fitted by a formula, unless their columns are its terms.

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import GaussianMixture, fit_many
    >>> problems = np.random.default_rng(0).normal(size=(1000, 50, 1))
    >>> result = fit_many(problems, GaussianMixture(2, random_state=0))
    >>> result.means.shape
    (1000, 2, 1)
    """
    if not isinstance(keep, str) or keep not in ("best", "all"):
        raise ValueError(f"keep={in_short(keep)} should be 'best' or 'all'")
    check_n_effective(n_effective)
    check_can_be_fitted(estimator, problems, "fit_many(problems, estimator)")
    check_criterion(estimator, criterion)
    if isinstance(problems, Iterator):
        problems = list(problems)
    if isinstance(problems, list | tuple):
        check_not_of_formula("fit_many()", estimator, map(names_of, problems))
    check_names("fit_many", estimator, problems.row_data if isinstance(problems, Problems) else row_data)
    n_threads = resolve_threads(n_threads)
    tries_all = isinstance(covariance_type, str) and covariance_type == ALL_SHAPES
    template, points = grid_of(estimator, n_components, shapes_of(2)[0] if tries_all else covariance_type)
    given = problems.row_data if isinstance(problems, Problems) else row_data
    template._check_numbering([name for name, own in given.items() if own is not None])
    library = library_of(problems[0]) if isinstance(problems, list) and problems else None
    problems, template = read_problems(problems, template, sample_weight, row_data)
    if tries_all:
        _, points = grid_of(template, n_components, shapes_of(problems.X.shape[1]))
    if len(points) > 1:
        check_comparable(estimator)
    seeds = seeds_of(estimator, seeds, random_state, len(problems))
    names = None if problems.names is None or share_names(problems.names) else problems.names
    if template._is_kept_whole():
        if len(points) > 1:
            raise ValueError(
                f"a batch keeps fits of a {type(template).__name__} with such parameters as estimators, of one model: "
                f"there are {len(points)}. Choose by `select`, problem by problem"
            )
        template.set_params(**points[0])
        with Bar(len(problems), progress) as report:
            result = fit_one_by_one(problems, template, seeds, keep == "all", n_threads, report)
        _warn_of_interrupted(result)
        return result._named(None, names, library=library)
    plan = make_plan(problems, template, points, criterion, keep == "all", allow_spurious, n_effective, seeds)
    found = _nothing_found(problems, plan)
    with Bar(found.status.size, progress) as report:
        _fit_all(problems, plan, found, n_threads, report)
    if plan.folds is not None:
        try:
            _hold_out(problems, plan, found, n_threads)
        except KeyboardInterrupt:
            _leave_undone(found, np.flatnonzero(np.any(is_usable(found.status), axis=1)))
    result = _result(problems, plan, found, keep)
    _warn_of_interrupted(result)
    return result._named(None, names, library=library)


def _warn_of_interrupted(result):
    n_left = int(np.sum(result.status & Status.INTERRUPTED != 0))
    if n_left:
        warn(
            f"{INTERRUPTED_BY}: {n_left:,} of {len(result):,} problems are not fitted and have Status.INTERRUPTED. Fit "
            "these again, or raise KeyboardInterrupt where the program should end.",
            UserWarning,
        )


@described
def fit_many_columns(
    data: Any,
    estimator: Any,
    *,
    n_components: int | Iterable[int] | None = None,
    covariance_type: CovarianceType
    | CovarianceShape
    | Literal["all"]
    | Iterable[CovarianceType | CovarianceShape]
    | None = None,
    criterion: CriterionName = "bic",
    keep: Literal["best", "all"] = "best",
    allow_spurious: bool = False,
    sample_weight: ArrayLike | None = None,
    n_effective: NEffective = None,
    seeds: ArrayLike | None = None,
    random_state: Seed = None,
    n_threads: int | None = None,
    progress: bool = False,
    **row_data: ArrayLike | None,
) -> BatchResult:
    """Fit a one-dimensional mixture to each column of a table, leaving out missing values.

    Parameters
    ----------
    data : pandas, polars or pyarrow table, or array-like of shape (n_samples, n_columns)
        NaN and null are left out, column by column. Tables other than arrays are read through narwhals.
    estimator : mixture
        What is fitted to each; it stays unfitted itself.
    <models of problems>
    sample_weight : array-like of shape (n_samples,), default=None
        How often each row counts, in all columns. None is 1 for all.
    <fits of problems>
    **row_data : array-like of shape (n_samples,)
        What the `fit` of the estimator takes of each row beside these, the same in all columns, such as the
        ``exposure`` of a `PoissonMixture`: size factors of cells, whose genes are the columns.

    Returns
    -------
    result : BatchResult
        `result.names` has the names of the columns, where there are any, and `result[i]` knows its own. Predictions
        take a table with these columns too.

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import GaussianMixture, fit_many_columns
    >>> table = np.random.default_rng(0).normal(size=(500, 20))
    >>> table[3, 5] = np.nan
    >>> fit_many_columns(table, GaussianMixture(2, random_state=0)).n_samples[4:7]
    array([500, 499, 500])
    """
    check_can_be_fitted(estimator, data, "fit_many_columns(data, estimator)")
    names, columns = columns_of(data)
    check_not_of_formula("fit_many_columns()", estimator, [names])
    check_names("fit_many_columns", estimator, row_data)
    kept = [~np.isnan(column) if column.dtype.kind == "f" else np.ones(len(column), dtype=bool) for column in columns]
    of_rows = {"sample_weight": sample_weight, **row_data}
    of_rows = {name: of_each_column(name, own, kept) for name, own in of_rows.items() if own is not None}
    result = fit_many(
        [column[own] for column, own in zip(columns, kept, strict=True)],
        estimator,
        n_components=n_components,
        covariance_type=covariance_type,
        criterion=criterion,
        keep=keep,
        allow_spurious=allow_spurious,
        n_effective=n_effective,
        seeds=seeds,
        random_state=random_state,
        n_threads=n_threads,
        progress=progress,
        **of_rows,
    )
    return result._named(names, None, are_columns=True, library=library_of(data))


@described
def fit_many_groups(
    data: Any,
    estimator: Any,
    *,
    by: Column | Sequence[Column],
    columns: Sequence[Column] | None = None,
    sample_weight: Column | None = None,
    n_components: int | Iterable[int] | None = None,
    covariance_type: CovarianceType
    | CovarianceShape
    | Literal["all"]
    | Iterable[CovarianceType | CovarianceShape]
    | None = None,
    criterion: CriterionName = "bic",
    keep: Literal["best", "all"] = "best",
    allow_spurious: bool = False,
    n_effective: NEffective = None,
    seeds: ArrayLike | None = None,
    random_state: Seed = None,
    n_threads: int | None = None,
    progress: bool = False,
    **row_data: Column | Sequence[Column] | None,
) -> BatchResult:
    """Fit a mixture to the rows of each group of a table.

    Rows with missing values are left out, but for values that the family allows to be missing, column by column, as
    `BernoulliMixture` and `CategoricalMixture` do.

    Parameters
    ----------
    data : pandas, polars or pyarrow table
        Read through narwhals.
    estimator : mixture
        What is fitted to each; it stays unfitted itself.
    by : name of a column, or list of them
        The columns whose values say the group; rows where one is missing are left out. Names are what the table has:
        strings, numbers, dates, tuples.
    columns : list of names, default=None
        The columns to fit, of numbers; None is all others. Where they are strings, they are `feature_names_in_` of
        `result[i]`.
    sample_weight : name of a column, default=None
        How often each row counts. It is not fitted, and rows where it has nothing are left out.
    <models of problems>
    <fits of problems>
    **row_data : name of a column or list of them
        What the `fit` of the estimator takes of each row beside these, such as ``exposure="hours"`` for a
        `PoissonMixture`. These columns are not fitted; rows where they have nothing are left out, but for
        `known_labels`, which are not known then. What has several columns is a list of names.

    Returns
    -------
    result : BatchResult
        `result.names` has the values of `by` for each group, tuples where there are several; groups are sorted by them,
        those of a categorical or an Enum in the order of its categories.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from mixfast import GaussianMixture, fit_many_groups
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"site": np.repeat(["east", "west"], 100), "depth": rng.normal(size=200)})
    >>> table.loc[150:, "depth"] += 9  # two kinds of rows in the west
    >>> result = fit_many_groups(table, GaussianMixture(), by="site", n_components=[1, 2, 3], random_state=0)
    >>> result.names, result.n_components.tolist()
    (['east', 'west'], [1, 2])
    """
    check_can_be_fitted(estimator, data, "fit_many_groups(data, estimator, by=...)")
    for name in row_data:
        if name not in estimator._row_data:
            raise TypeError(f"fit_many_groups has no parameter {name!r}")
    table = Table(data)
    grouping = Grouping.of(table, by, columns, {"sample_weight": sample_weight, **row_data})
    check_not_of_formula("fit_many_groups()", estimator, [grouping.columns])
    found = grouping.read(table, estimator)
    if not len(found.places):
        raise NoRowsError("no row of the table has values in all columns")
    names, groups = group_rows(found.keys, found.declared)
    problems, _ = found.problems(groups, len(names), grouping.columns)
    result = fit_many(
        problems,
        estimator,
        n_components=n_components,
        covariance_type=covariance_type,
        criterion=criterion,
        keep=keep,
        allow_spurious=allow_spurious,
        n_effective=n_effective,
        seeds=seeds,
        random_state=random_state,
        n_threads=n_threads,
        progress=progress,
    )
    return result._named(names, result._column_names, grouping=grouping, library=library_of(data))


class _Found(NamedTuple):
    """The results of the fits, filled in place: arrays [problem, slot], with one slot for the best model or a slot for
    each; weights and params have an axis more, padded with NaN."""

    weights: np.ndarray
    params: np.ndarray
    lower_bounds: np.ndarray
    n_iter: np.ndarray
    status: np.ndarray  # INTERRUPTED where not yet fitted
    of_rows: np.ndarray  # [problem, slot], attributes that rows say beside parameters, a dict, or None
    criteria: np.ndarray  # [problem, model]
    chosen: np.ndarray  # [problem]

    @property
    def of_slots(self):
        """The arrays [problem, slot], in the order of the arguments of `BatchResult`."""
        return self[:6]


def _nothing_found(problems, plan):
    n_problems, n_models = len(problems), len(plan.models)
    n_slots = n_models if plan.keeps_all else 1
    found = _Found(
        np.full((n_problems, n_slots, max(model.n_mixing for model in plan.models)), np.nan),
        np.full((n_problems, n_slots, max(model.layout.size for model in plan.models)), np.nan),
        np.full((n_problems, n_slots), np.nan),
        np.zeros((n_problems, n_slots), dtype=np.int32),
        np.empty((n_problems, n_slots), dtype=np.int32),
        np.full((n_problems, n_slots), None),
        np.full((n_problems, n_models), np.nan),
        np.zeros(n_problems, dtype=np.int32),
    )
    found.status[...] = problems.status[:, np.newaxis]
    if plan.keeps_all:  # which is so where a model has too few components for some labels
        for j, model in enumerate(plan.models):
            beyond = problems.are_fine & labels_beyond(problems, model.n_components)
            found.status[beyond, j] = Status.OUT_OF_DOMAIN
    return found


def _fit_all(problems, plan, found, n_threads, report):
    """Fill `found`: first the problems that the compiled loop can fit, then those of `plan.alone`, by estimators.
    Ctrl-C ends both; problems that are not done keep Status.INTERRUPTED."""
    n_done, n_bad = 0, 0
    for fit, chosen in ((_fit_compiled, ~plan.alone), (_fit_one_by_one, plan.alone)):
        if not np.any(chosen):
            continue
        if np.all(chosen):  # saves a copy of all rows
            fit(problems, plan, found, n_threads, report)
            return
        part = _Found(*(array[chosen] for array in found))
        then = report and (lambda done, bad, before=(n_done, n_bad): report(before[0] + done, before[1] + bad))
        fit(some_of(problems, chosen), plan.some_of(chosen), part, n_threads, then)
        for array, values in zip(found, part, strict=True):
            array[chosen] = values
        n_done, n_bad = n_done + part.status.size, n_bad + int(np.sum(~is_usable(part.status)))
        if np.any(part.status & Status.INTERRUPTED):
            return


def _fit_compiled(problems, plan, found, n_threads, report):
    if not problems.n_rows:
        found.status[found.status == Status.INTERRUPTED] = Status.TOO_FEW_ROWS
        return
    model, estimator = plan.models[0], plan.models[0].estimator
    narrow = _are_narrow(problems, plan.models)
    found.status[narrow[:, np.newaxis] & (found.status == Status.INTERRUPTED)] = Status.NOT_FINITE
    units, X = _in_units(problems, model, found.status)
    X = rows_with(X, problems.row_data)
    encoded = model.family.encode(of_family(X))
    rows = rows_of(encoded, X, None, problems.sample_weight)  # `_nothing_found` passes over labels beyond a model
    if encoded.seeds is not None:
        encoded = encoded._replace(seeds=encoded.make_seeds(problems.offsets))
    seeding_rows = rows if encoded.seeds is None else seeding_rows_of(encoded.seeds, X, problems.sample_weight)
    fit_problems(
        rows,
        seeding_rows,
        problems.offsets,
        plan.seeds,
        [own.bind(encoded) for own in plan.models],
        plan_of(estimator, estimator.init_params, encoded.rows, criterion=plan.criterion_in_fit),
        found,
        passed_over=int(plan.passed_over),
        n_effective=plan.n_effective,
        n_threads=n_threads,
        progress=report,
    )
    _leave_undone(found, np.flatnonzero(np.any(found.status == Status.INTERRUPTED, axis=1)))
    if type(estimator)._design_of_rows is not BaseMixture._design_of_rows:  # rows say more than parameters
        for i in np.flatnonzero(np.any(is_usable(found.status), axis=1)).tolist():
            found.of_rows[i] = estimator._design_of_rows(problems.prepared[problems.rows(i)], problems.weights_of(i))
    for i, own in units.items():
        if is_usable(found.status[i, 0]):
            params = found.params[i, 0, : model.layout.size]
            params[...] = model.layout.pack(own.leave(model.layout.view(params)))
            weights = problems.weights_of(i)
            total = np.diff(problems.offsets)[i] if weights is None else weights.sum()
            found.lower_bounds[i, 0] -= model.estimator._volume(own, total)


def _are_narrow(problems, models):
    """Which problems have a column whose spread is too small for some model (where `fit` raises), a mask."""
    sizes, are_narrow = np.diff(problems.offsets), np.zeros(len(problems), dtype=bool)
    ranges = ColumnRanges(problems.prepared, problems.offsets)  # computed once for all models
    for model in models:
        columns = model.estimator._narrow_columns(ranges)
        if columns is not None:
            are_narrow |= np.any(columns, axis=1) & (sizes >= max(2, model.n_components))
    return are_narrow


def _in_units(problems, model, status):
    """(dict, number of a problem -> the units that its rows are fitted in; X in these units), for relative
    regularization; ({}, X) without it. OUT status: NOT_FINITE where a problem has no units."""
    units, X = {}, problems.prepared
    if not model.has_units():
        return units, X
    X = X.copy()
    are_enough = np.diff(problems.offsets) >= max(2, model.n_components)
    for i in np.flatnonzero((status[:, 0] == Status.INTERRUPTED) & are_enough):
        rows = problems.rows(i)
        try:
            units[i] = model.estimator._units(model.family, X[rows], problems.weights_of(i))
        except ValueError:
            status[i] = Status.NOT_FINITE
        else:
            X[rows] = units[i].rows(X[rows])
    return units, X


def _fit_one_by_one(problems, plan, found, n_threads, report):
    """Fill `found` by estimators, one problem after the other: for families in Python, encodings that depend on the
    problem, and units that differ between the models. Ctrl-C ends it."""
    n_bad = 0
    for i in range(len(problems)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for j in np.flatnonzero(found.status[i] == Status.INTERRUPTED).tolist():
                    _fit_alone(problems, plan, found, i, j, n_threads)
        except KeyboardInterrupt:
            _leave_undone(found, [i])
            return
        n_bad += int(np.sum(~is_usable(found.status[i])))
        if report is not None:
            report((i + 1) * found.status.shape[1], n_bad)


def _fit_alone(problems, plan, found, i, j, n_threads):
    """Fit model j to problem i and fill its slot in `found`; where `fit` raises ValueError the status says why."""
    (rows, data), model = separated(problems.rows_of(i)), plan.models[j]
    if rows.shape[0] < max(2, model.n_components):
        found.status[i, j] = Status.TOO_FEW_ROWS
        return
    estimator = unfitted_copy(model.estimator)
    estimator.random_state, estimator.n_threads, estimator.verbose = int(plan.seeds[i]), n_threads, 0
    given = {"sample_weight": problems.weights_of(i)} | known_data(estimator, data)
    try:
        fit = estimator.fit(rows, **given)
    except ValueError:
        found.status[i, j] = Status.NOT_FINITE
        return
    weights, params = fit._packed_state(model.layout)
    found.weights[i, j, : len(weights)], found.params[i, j, : len(params)] = weights, params
    found.status[i, j], found.lower_bounds[i, j], found.n_iter[i, j] = fit.status_, fit.lower_bound_, fit.n_iter_
    found.of_rows[i, j] = {name: vars(fit)[name] for name in fit._of_rows if name in vars(fit)}
    if plan.criterion_in_fit is not None:
        n_effective = "sum" if plan.n_effective is None else float(plan.n_effective[i])
        found.criteria[i, j] = getattr(fit, plan.criterion_in_fit)(rows, n_effective=n_effective, **given)


def _hold_out(problems, plan, found, n_threads):
    """OUT found.criteria: minus the mean log density of held-out rows, each under the fit to the other folds; NaN where
    some fold could not be fitted. Raises KeyboardInterrupt after Ctrl-C, with `found` unchanged."""
    if np.any(found.status & Status.INTERRUPTED):
        raise KeyboardInterrupt
    done = np.any(is_usable(found.status), axis=1)
    owner = problems.owners()
    total, weights = np.zeros(found.criteria.shape), np.zeros(len(problems))
    for held in range(N_FOLDS):
        rest, part = (
            part_of(problems, done[owner] & chosen) for chosen in (plan.folds != held, plan.folds == held)
        )  # fmt: skip
        rest = with_status_of_weights(rest)
        weight = np.ones(part.n_rows) if part.sample_weight is None else part.sample_weight
        part_owner = part.owners()
        weights += np.bincount(part_owner, weights=weight, minlength=len(part))
        for j in range(len(plan.models)):
            own = plan.of_model(j, rest)
            fits = _nothing_found(rest, own)
            _fit_all(rest, own, fits, n_threads, None)
            if np.any(fits.status & Status.INTERRUPTED):
                raise KeyboardInterrupt
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Some rows have density zero", UserWarning)  # -inf says it
                log_prob = _result(rest, own, fits, "best")._log_densities(part, n_threads)
            weighted = weight * log_prob.astype(np.float64)
            total[:, j] -= np.bincount(part_owner, weights=weighted, minlength=len(part))
    with np.errstate(invalid="ignore"):
        found.criteria[done] = (total / weights[:, np.newaxis])[done]


def _result(problems, plan, found, keep):
    common = (
        plan.seeds,
        problems.n_samples,
        plan.criterion,
        tuple(known_data(plan.models[0].estimator, problems.row_data)),
    )
    models, dtype = plan.models, problems.X.dtype

    def of(slots, chosen, of_models=None):
        arrays = (array[np.arange(len(problems)), slots] for array in found.of_slots)
        return BatchResult(models, dtype, *arrays, found.criteria, chosen, *common, models=of_models)

    def of_model(i):
        weights, *others = (array[:, i].copy() for array in found.of_slots)
        weights, chosen = weights[:, : models[i].n_mixing], np.zeros_like(found.chosen)
        return BatchResult([models[i]], dtype, weights, *others, found.criteria[:, [i]], chosen, *common)

    if keep == "best" and found.status.shape[1] == 1:
        return of(np.zeros_like(found.chosen), found.chosen)
    n_free = np.array([model.n_free for model in models], dtype=np.float64)
    chosen = choose(found.weights, found.status, found.criteria, n_free, int(plan.passed_over))
    return of(chosen, chosen, [of_model(i) for i in range(len(models))] if keep == "all" else None)


def _leave_undone(found, problems):
    """Clear the results of problems that were interrupted: the best of the models that were done need not be the
    best."""
    found.status[problems], found.chosen[problems], found.n_iter[problems] = Status.INTERRUPTED, 0, 0
    for array in (found.weights, found.params, found.lower_bounds, found.criteria):
        array[problems] = np.nan
    found.of_rows[problems] = None
