"""Model selection for one data set: fits over a grid of numbers of components and other parameters, compared by a
criterion."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from functools import cache
from itertools import product
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GroupKFold, KFold
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.validation import _num_samples

from mixfast._typing import CriterionName, Floats, Integers, NEffective, PathLike, RowsLike, Seed
from mixfast.as_html import html_table
from mixfast.estimators._likelihood import LikelihoodMixture, check_comparable, check_criterion
from mixfast.families.covariances import ALL_SHAPES, shapes_of
from mixfast.families.family import is_sparse
from mixfast.hierarchy import Hierarchy
from mixfast.in_messages import among, in_short
from mixfast.partitions import Source, check_fits_elsewhere, is_source
from mixfast.progress import Bar
from mixfast.reading import Summary
from mixfast.row_data import OF_COMPONENTS, of_family, rows_with, separated
from mixfast.status import Status
from mixfast.tables import adopted
from mixfast.units import column_moments
from mixfast.weights import check_n_effective, counted_rows, is_far, take, warn_of_sum, weighted_sum
from mixfast.whole import check_whole


class Data(NamedTuple):
    """The data of a selection.

    X : rows in any form that the estimator takes, or a `RowData` of these with row data
    sample_weight : (n_samples,) or None
    """

    X: object
    sample_weight: np.ndarray | None

    def take(self, rows):
        weight = None if self.sample_weight is None else self.sample_weight[rows]
        return Data(take(self.X, rows), weight)

    @property
    def total_weight(self):
        return _num_samples(self.X) if self.sample_weight is None else float(self.sample_weight.sum())

    def fit(self, estimator, **params):
        """A clone of the estimator with some parameters changed, fitted to all rows."""
        return self.given_to(clone(estimator).set_params(**params).fit)

    def given_to(self, method, **options):
        """Call a method of a fitted estimator with X, weights and row data."""
        X, data = separated(self.X)
        return method(X, sample_weight=self.sample_weight, **data, **options)

    def labels(self, model):
        """The labels that a fitted mixture predicts, (n_samples,)."""
        X, data = separated(self.X)
        return model.predict(X, **data)


# ---- criteria ----


class Criterion(NamedTuple):
    """A criterion for the comparison of fits.

    label : for pictures
    decimals : how many are printed
    evaluate : function of (fitted model, Data, n_effective, folds) -> value, lower is better; folds is a list of
        (training rows, test rows), indices
    """

    label: str
    decimals: int
    evaluate: Callable[[LikelihoodMixture, Data, object, list], float]


def _heldout(model, data, n_effective, folds):
    found, weights = [], []
    for number, (training, test) in enumerate(folds):
        held = data.take(test)
        rows, own = separated(held.X)
        try:
            found.append(data.take(training).fit(model).score_samples(rows, **own))
        except ValueError as error:
            raise ValueError(f"without the rows of fold {number}: {error}") from None
        weights.append(held.sample_weight)
    log_density = np.concatenate(found)  # of all folds: one may have more rows than its share that are to be left out
    own, weight = model._judged_rows(log_density, None if weights[0] is None else np.concatenate(weights))
    total, weight = weighted_sum(log_density[own], weight)
    return -total / weight


def _of_method(name):
    """An `evaluate` that calls the method `name` of the model."""

    def evaluate(model, data, n_effective, folds):
        return data.given_to(getattr(model, name), n_effective=n_effective)

    return evaluate


CRITERIA = {
    "bic": Criterion("BIC", 2, _of_method("bic")),
    "aic": Criterion("AIC", 2, _of_method("aic")),
    "icl": Criterion("ICL", 2, _of_method("icl")),
    "laplace": Criterion("minus log evidence, by Laplace", 2, _of_method("laplace")),
    "heldout": Criterion("minus mean held-out log density", 5, _heldout),
}

#: Criteria that are always in the table: together they take one pass over the rows.
ALWAYS = ("bic", "aic", "icl")


def after_the_first(n_effective):
    """n_effective for criteria of rows of which one has been found: it has warned where None is a risk."""
    return "sum" if n_effective is None else n_effective


def _scores(model, data, n_effective):
    """name -> value of the criteria in `ALWAYS`: in one pass, or by the model's methods if a subclass overrides one."""
    cls = type(model)
    if all(getattr(cls, name) is getattr(LikelihoodMixture, name) for name in (*ALWAYS, "score_samples")):
        return data.given_to(model._criteria, n_effective=n_effective)
    first, *others = ALWAYS
    found = {first: CRITERIA[first].evaluate(model, data, n_effective, [])}
    again = after_the_first(n_effective)
    return found | {name: CRITERIA[name].evaluate(model, data, again, []) for name in others}


# ---- a start from a smaller mixture ----


def _seeding_rows(estimator, X):
    """The rows that k-means runs on, as the family encodes them: imputed, counts as proportions, and the like."""
    estimator = clone(estimator)
    rows = estimator._read_rows(X)  # the family may depend on what is learned of the rows
    encoded = estimator._family().encode(of_family(rows))
    return encoded.rows if encoded.seeds is None else encoded.make_seeds()


def _squares(X, weight):
    """Sum of squares of each column about its mean."""
    if not is_sparse(X):
        _, deviation = column_moments(X, weight)
        return (len(X) if weight is None else weight.sum()) * np.square(deviation)
    weight = np.ones(X.shape[0]) if weight is None else weight
    about_zero = weight @ X.power(2)
    squares = about_zero - np.square(weight @ X) / weight.sum()
    return np.where(squares > 1e-12 * about_zero, squares, 0)  # a difference below that is rounding error


def _halves(estimator, data, rows):
    """Split rows (indices) in two, by the labels of a fit of two components to them: a list of two arrays, or [] if the
    fit fails or one half is empty."""
    own = data.take(rows)
    try:
        labels = own.labels(own.fit(estimator, n_components=2, n_init=1))
    except ValueError:  # too few rows, or whatever else the estimator cannot fit
        return []
    return [rows[labels == 0], rows[labels == 1]] if 0 < labels.sum() < len(rows) else []


def split_labels(estimator, data, labels, n_groups):
    """Labels of n_groups groups, from fewer: the group with the largest spread is split in two until there are enough.

    Spread is the sum of squares about the group's mean, each column divided by its variance over all rows, so it does
    not depend on units. The split that gains most likelihood would be a worse rule: it finds few rows that a singular
    covariance fits, and BIC then chooses these.

    Parameters
    ----------
    estimator : mixture
        A clone of it with n_components=2 is fitted to the group that is split.
    data : Data
    labels : ndarray of shape (n_samples,)
        At most n_groups distinct values.
    n_groups : int

    Returns
    -------
    labels : ndarray of shape (n_samples,), int64, or None
        None where no group can be split.
    """
    seeds = Data(_seeding_rows(estimator, data.X), data.sample_weight)
    unit = _squares(*seeds)
    unit[unit == 0] = 1.0  # a constant column adds nothing to any spread

    def spread(rows):
        return np.sum(_squares(*seeds.take(rows)) / unit)

    groups = [np.flatnonzero(labels == k) for k in np.unique(labels)]
    while len(groups) < n_groups:
        groups.sort(key=spread, reverse=True)
        for k, rows in enumerate(groups):
            halves = _halves(estimator, data, rows)
            if halves:
                groups[k : k + 1] = halves
                break
        else:
            return None
    out = np.empty(len(labels), dtype=np.int64)
    for k, rows in enumerate(groups):
        out[rows] = k
    return out


# ---- the search ----

#: `tol` and `max_iter` of fits, unless the estimator has others than its class' defaults; measured in
#: docs/selection.md.
TOL = 1e-6
MAX_ITER = 1000

#: Number of starts from random rows, all but one of which halving drops early.
N_RANDOM = 8


def params_to_compare(estimator):
    """Parameters that replace defaults, so that criteria compare the models and not where EM stopped or how much was
    added to covariances."""
    defaults = {name: value for name, value in (("tol", TOL), ("max_iter", MAX_ITER)) if estimator._has_default(name)}
    return defaults | estimator._without_default_regularization()


class Candidate(NamedTuple):
    """One point of the grid and its fit.

    params : dict, n_components and the other parameters of the grid
    model : the fitted estimator, None where all fits failed
    start : which start `model` comes from: 'own' (by `init_params`), 'split', 'hierarchy' or 'random'
    scores : name of a criterion -> value, NaN where it could not be computed
    failure : message of the error of the fit or of a criterion, '' for none
    """

    params: dict
    model: LikelihoodMixture | None
    start: str
    scores: dict
    failure: str

    @property
    def bound(self):
        return float(self.model.lower_bound_) if self.model is not None else math.nan

    @property
    def status(self):
        return str(self.model.status_) if self.model is not None else "FAILED"

    @property
    def is_spurious(self):
        return self.model is not None and bool(self.model.status_ & Status.SPURIOUS_COMPONENT)

    @property
    def name(self):
        """The parameters without n_components, for the name of a line or column."""
        return ", ".join(str(value) for name, value in self.params.items() if name != "n_components")

    def row(self):
        return {
            **self.params,
            **self.scores,
            "lower_bound": self.bound,
            "n_iter": self.model.n_iter_ if self.model is not None else 0,
            "status": self.status,
            "start": self.start,
            "failure": self.failure,
        }


class Search(NamedTuple):
    """What the fits of all candidates have in common; see `select`. `estimator` knows what all rows have, for folds;
    `given` is as the user gave it. `hierarchy` is a function, called when it is needed."""

    estimator: LikelihoodMixture
    given: LikelihoodMixture
    data: Data
    criteria: tuple
    folds: list
    n_effective: object
    warm_start: bool
    allow_spurious: bool
    hierarchy: Callable[[], Hierarchy | None]

    def fit(self, params, smaller):
        """Fit the `Candidate` of a point of the grid; `smaller` is the fitted model with the next smaller n_components
        and the same other parameters, or None."""
        template = clone(self.estimator).set_params(**params)
        model, start, failure = None, "", ""
        for name, options in self._starts(template, smaller):
            try:
                fit = self.data.fit(template, **options)
            except InvalidParameterError:
                raise
            except ValueError as error:
                failure = failure or str(error)
                continue
            # parameters as the user gave them: labels as init_params would make a clone useless for other rows
            fit.set_params(**{option: getattr(template, option) for option in options})
            if model is None or self._rank(fit) > self._rank(model):
                model, start = fit, name
        failure = failure if model is None else ""
        scores = dict.fromkeys(self.criteria, math.nan)
        if model is not None:
            try:
                scores |= _scores(model, self.data, self.n_effective)
                for name in self.criteria:
                    if name not in ALWAYS:
                        scores[name] = CRITERIA[name].evaluate(model, self.data, self.n_effective, self.folds)
            except ValueError as error:
                failure = str(error)
            model._take_names_of_all(self.given)  # a later fit may be to other rows than those of the folds
        return Candidate(params, model, start, scores, failure)

    def _rank(self, model):
        """The key that starts are compared by, larger is better: no spurious component, then the lower bound."""
        return self.allow_spurious or not model.status_ & Status.SPURIOUS_COMPONENT, model.lower_bound_

    def _starts(self, template, smaller):
        """(name of a start, parameters of the estimator for it), an iterator."""
        yield "own", {}
        if not self.warm_start or template.n_components == 1 or not template._clusters_are_starts:
            return
        # labels of clusters would contradict known labels or groups, and there are none of rows elsewhere
        is_free = not is_source(self.data.X) and not any(name in separated(self.data.X)[1] for name in OF_COMPONENTS)
        if smaller is not None and is_free:
            labels = split_labels(template, self.data, self.data.labels(smaller), template.n_components)
            if labels is not None:
                yield "split", {"init_params": labels, "n_init": 1}
        hierarchy = self.hierarchy() if is_free else None
        labels = hierarchy and hierarchy.labels(template.n_components)
        if labels is not None:
            yield "hierarchy", {"init_params": labels, "n_init": 1}
        if "n_init_policy" in template.get_params():
            yield "random", {"init_params": "random_from_data", "n_init": N_RANDOM, "n_init_policy": "halving"}


def _hierarchy_of(estimator, data, seed):
    """A function that returns the `Hierarchy` of the rows that k-means runs on, made at the first call; it returns None
    for sparse rows, fewer than two, or rows that the estimator refuses."""

    @cache
    def make():
        try:
            rows = _seeding_rows(estimator, data.X)
            return None if is_sparse(rows) or rows.shape[0] < 2 else Hierarchy(rows, seed)
        except ValueError:  # the fits will raise the same error
            return None

    return make


def select(
    X: RowsLike | Source,
    estimator: Any,
    *,
    n_components: Iterable[int] = range(1, 10),
    criterion: CriterionName = "bic",
    n_folds: int = 5,
    warm_start: bool = True,
    allow_spurious: bool = False,
    sample_weight: ArrayLike | None = None,
    n_effective: NEffective = None,
    random_state: Seed = None,
    n_threads: int | None = None,
    progress: bool = False,
    verbose: int = 0,
    **grid: Any,
) -> Selection:
    """Fit a mixture for each number of components, and each value of other parameters, and choose the best.

    All fits are kept. A fit that fails does not stop the search: its row of the table says why. Nor does one that does
    not converge, repairs a covariance or loses a component, which no warning but the table's `status` says.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features), or source of partitions
        The rows, or a table with names of columns. What `blocks` makes is fitted and judged block by block, by 'bic',
        'aic' or 'icl': each cell starts on a sample of the rows, as `fit` does, by the estimator's own start and, with
        `warm_start`, from random rows. For a model that was fitted by a formula a table with the columns of
        the formula: terms, with the categories and knots that it has learned, and all else are made of it.
    estimator : mixture estimator, or Pipeline of scikit-learn whose last step is one
        Steps before the mixture are fitted once, to all rows that count; criteria are those of the rows that they make.
        Names of the grid are the mixture's, and it gives all parameters that are not searched. It is cloned, never
        fitted. Three parameters that it has from its class' defaults are others here: `tol` is 1e-6 and `max_iter`
        1000, so that criteria differ by more than by where iterations stopped, and `reg_covar` is 0, for 1e-6 of the
        squared unit of the data distorts columns of small scale; a singular covariance is repaired, which makes it
        spurious. Any other values, in the estimator or in the grid, are taken as they are, and so is `reg_covar` with
        `regularization='relative'`.
    n_components : iterable of int, default=range(1, 10)
        Numbers of components to try.
    criterion : {'bic', 'aic', 'icl', 'laplace', 'heldout'}, default='bic'
        What the choice is made by, the lower the better:

        - 'bic', 'aic', 'icl': the estimator's methods of these names; where there is `trim`, of the rows that are kept;
        - 'laplace': likewise, for `DirichletMultinomialMixture`, which alone has it;
        - 'heldout': minus the mean log density of a row under the mixture fitted without the row's fold. Costs
          `n_folds` fits more for each cell, from the estimator's own starts.
    n_folds : int, default=5
        Folds of 'heldout': `KFold(n_folds, shuffle=True)` of scikit-learn, the same ones for all cells; `GroupKFold`
        where rows have `groups`, which stay together.
    warm_start : bool, default=True
        Whether a mixture also starts in three other ways; the fit with the largest lower bound is kept. Not of
        `MixtureOfExperts`, where regressions cross clusters.

        - 'split', from the next smaller one of its kind with one component split: the one whose rows have the largest
          sum of squares about their mean, columns relative to their variance, by the labels of two components fitted to
          these rows;
        - 'hierarchy', from the groups of Ward's hierarchy over the rows as k-means sees them, columns relative to their
          variance (over 2,000 of them that are drawn, where there are more; not where they are sparse);
        - 'random', from random rows, the best of eight by `n_init_policy='halving'`.

        Costs three to four starts more for each cell of thousands of rows, up to seven of hundreds.
    allow_spurious : bool, default=False
        Whether a fit may be chosen that has a spurious component, `Status.SPURIOUS_COMPONENT`: one on so few rows, or
        rows so much alike, that its likelihood has no bound. By default such a fit is chosen only where there is no
        other, then the one with the fewest parameters, and among the starts of a cell likewise. True is for data with
        true atoms, values that many rows share.
    sample_weight : array-like of shape (n_samples,), default=None
        How often each row counts, as in `fit`.
    n_effective : {'sum', 'kish'} or float, default=None
        The number of independent rows that the weights stand for, as in `GaussianMixture.bic`; 'heldout' has no use for
        it. None is 'sum', with a warning where that is far from the number of rows.
    random_state : int, RandomState instance or None, default=None
        Seed of the starts, the same for each cell, and of the folds. None takes that of the estimator.
    n_threads : int or None, default=None
        Threads of a fit at most. None takes that of the estimator. The result does not depend on it.
    progress : bool, default=False
        Show a bar of the cells of the grid (needs tqdm).
    verbose : int, default=0
        1 prints a line for each cell: its parameters, criterion and status.
    **grid : lists
        Values of other parameters of the estimator: ``covariance_type=["full", "tied"]``. Every combination is tried.
        ``covariance_type="all"`` is mclust's fourteen shapes, of one column 'E' and 'V'.
        What `fit` takes of each row beside `sample_weight` is taken here too: `exposure`, see `PoissonMixture`; `y` and
        what goes with it, of `MixtureOfExperts`.

    Returns
    -------
    selection : Selection
        The best mixture, fitted, and all that were tried.

    Raises
    ------
    TypeError
        For an estimator that is no mixture, parameters that it does not have, and values that are not a list.
    ValueError
        For values that the estimator does not allow, for several values of `trim`, whose criteria are of other rows,
        and when no cell has a criterion: with the first one's reason; or none that is finite.

    Notes
    -----
    BIC: Schwarz, "Estimating the dimension of a model", Annals of Statistics 6 (1978). AIC: Akaike, "A new look at the
    statistical model identification", IEEE Transactions on Automatic Control 19 (1974). ICL: Biernacki, Celeux &
    Govaert, "Assessing a mixture model for clustering with the integrated completed likelihood", IEEE PAMI 22 (2000).
    With `trim`, 'heldout' is of the share of the rows that is kept, whichever folds they are of.
    Held-out likelihood: Smyth, "Model selection for probabilistic clustering using cross-validated likelihood",
    Statistics and Computing 10 (2000).

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import GaussianMixture, select
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(-4, 1, (100, 2)), rng.normal(4, 1, (100, 2))])
    >>> chosen = select(X, GaussianMixture(), n_components=[1, 2, 3], covariance_type=["full", "tied"], random_state=0)
    >>> chosen.best_params_
    {'n_components': 2, 'covariance_type': 'tied'}
    >>> labels = chosen.best_.predict(X)
    """
    steps, estimator = _last_of(estimator)
    check_comparable(estimator, X, "select(X, estimator)")
    check_criterion(estimator, criterion)
    check_whole("n_folds", n_folds, 2)
    row_data = {name: grid.pop(name) for name in estimator._row_data if name in grid}
    numbers, grid = sorted(set(_values("n_components", n_components))), _check_grid(estimator, _of_all_shapes(grid, X))
    seed = _seed(estimator.random_state if random_state is None else random_state)
    fixed = {"random_state": seed} | ({} if n_threads is None else {"n_threads": n_threads})
    if is_source(X):
        _check_elsewhere(estimator, steps, criterion, sample_weight, row_data)
        data, finish = Data(X, None), None
    else:
        X, sample_weight, row_data, finish = estimator._as_fitted(X, sample_weight, row_data)
        data = _check_data(X, sample_weight, row_data)
    if steps is not None:
        rows, own = separated(data.X)
        steps = clone(steps)
        data = data._replace(X=rows_with(steps.fit_transform(rows), own))
    given, estimator = estimator, clone(estimator if is_source(X) else estimator._for_parts_of(data.X))
    estimator.set_params(**fixed | params_to_compare(estimator))
    n_effective = _checked_n_effective(data, n_effective, criterion)
    search = Search(
        estimator=estimator,
        given=given,
        data=data,
        criteria=tuple(dict.fromkeys((*ALWAYS, criterion))),
        folds=_folds(data, n_folds, seed) if criterion == "heldout" else [],
        n_effective=n_effective,
        warm_start=warm_start,
        allow_spurious=allow_spurious,
        hierarchy=_hierarchy_of(estimator, data, seed),
    )
    candidates = []
    points = list(product(*grid.values()))
    with warnings.catch_warnings(), Bar(len(numbers) * len(points), progress) as report:
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "Some rows have density zero", UserWarning)
        for values in points:
            smaller = None
            for number in numbers:
                params = {"n_components": number, **dict(zip(grid, values, strict=True))}
                candidate = search.fit(params, smaller)
                if finish is not None and candidate.model is not None:
                    finish(candidate.model)
                candidates.append(candidate)
                if not math.isnan(candidate.scores["bic"]):
                    search = search._replace(n_effective=after_the_first(search.n_effective))
                smaller = smaller if candidate.model is None else candidate.model
                if verbose:
                    said = candidate.failure or candidate.status
                    print(f"{params}: {criterion} {candidate.scores[criterion]:.6g}, {said}")
                if report is not None:
                    report(len(candidates), sum(own.model is None for own in candidates))
    return Selection(candidates, criterion, allow_spurious, steps)


def _last_of(estimator):
    """(the Pipeline without its last step, or None; the mixture, which is the last step or the estimator itself)"""
    if not isinstance(estimator, Pipeline):
        return None, estimator
    mixture = estimator.steps[-1][1]
    return (estimator[:-1] if len(estimator.steps) > 1 else None), mixture


def _of_all_shapes(grid, X):
    """The grid with covariance_type='all' replaced by the list of all shapes."""
    names = grid.get("covariance_type")
    if not isinstance(names, str) or names != ALL_SHAPES:
        return grid
    if is_source(X):
        raise ValueError(
            "covariance_type='all' goes by the number of columns, which of rows in blocks or partitions only a fit "
            "finds: list the shapes to try, such as ['VVV', 'EEE', 'VVI']"
        )
    return grid | {"covariance_type": shapes_of(1 if np.ndim(X) < 2 else np.shape(X)[1])}


def _values(name, values):
    if isinstance(values, str) or not isinstance(values, Iterable):
        such = "[1, 2, 3] or range(1, 10)" if name == "n_components" else f"[{in_short(values)}]"
        raise TypeError(f"{name}={in_short(values)} should be a list of the values to try, such as {such}")
    values = list(values)
    if not values:
        raise ValueError(f"{name} holds no values to try")
    return values


def _check_grid(estimator, grid):
    known = estimator.get_params()
    for name in grid:
        if name not in known:
            raise TypeError(
                f"{name!r} is a parameter neither of select nor of {type(estimator).__name__}: {among(name, known)}"
            )
    found = {name: _values(name, values) for name, values in grid.items()}
    for name in estimator._says_rows:
        if len(set(found.get(name, []))) > 1:
            raise ValueError(
                f"{name}={in_short(found[name])} says which rows criteria are of, and criteria of other rows are not "
                f"compared: select for each {name} by itself"
            )
    return found


def _seed(random_state):
    return (
        int(random_state)
        if isinstance(random_state, Integral)
        else int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    )


def _check_data(X, sample_weight, row_data):
    """`Data` without rows of weight 0, on which nothing may depend, folds for instance."""
    X = adopted(X)
    X = rows_with(X.tocsr() if scipy.sparse.issparse(X) else X, row_data)
    X, sample_weight, _ = counted_rows(X, sample_weight)
    return Data(X, sample_weight)


def _checked_n_effective(data, n_effective, criterion):
    """n_effective for the first criterion, 'sum' if None. Warns, once for all candidates, where None is a risk; of rows
    elsewhere it stays None, and the first criterion warns: what they weigh is known when they are judged."""
    check_n_effective(n_effective)
    if n_effective is not None or is_source(data.X):
        return n_effective
    total, n_rows = data.total_weight, _num_samples(data.X)
    if criterion != "heldout" and is_far(total, n_rows):
        warn_of_sum("The values of sample_weight", total, n_rows)
    return "sum"


def _check_elsewhere(estimator, steps, criterion, sample_weight, row_data):
    """Raises where a selection wants rows in one array, and has a source of partitions."""
    check_fits_elsewhere(estimator)
    if steps is not None:
        raise TypeError(
            "select of rows in blocks or partitions takes a mixture, not a Pipeline: give it what the steps make of "
            "the rows of each part"
        )
    if criterion not in ALWAYS:
        raise ValueError(
            f"criterion={criterion!r} wants all rows in one array: take 'bic', 'aic' or 'icl' for rows in blocks or "
            "partitions"
        )
    if sample_weight is not None or any(value is not None for value in row_data.values()):
        raise ValueError("rows in partitions have their weights, and what else they have, in the partitions")


def _folds(data, n_folds, seed):
    rows, groups = np.arange(_num_samples(data.X)), separated(data.X)[1].get("groups")
    if groups is not None:  # rows of a group share a component, so they are in one fold
        return list(GroupKFold(n_folds, shuffle=True, random_state=seed).split(rows, groups=np.asarray(groups)))
    return list(KFold(n_folds, shuffle=True, random_state=seed).split(rows))


# ---- the choice ----


class Selection:
    """The fits of `select` and the best of them.

    Attributes
    ----------
    criterion : str
        What the choice was made by.
    table : list of dict
        A row for each cell, in the order of the grid: `n_components` and the other parameters, `bic`, `aic`, `icl` and,
        if it was asked for, `laplace` or `heldout` (all the lower the better, NaN where the fit failed), `lower_bound`,
        `n_iter`, `status` (the flags of `mixfast.Status`, or 'FAILED'), `start` ('own': by `init_params`, 'split': from
        the next smaller mixture, 'hierarchy': from Ward's groups, 'random': from random rows) and `failure`, the reason
        where there is one.
    estimators_ : list
        The fitted estimators, in the order of the table; None where the fit failed. Those whose `start` is 'own' are
        what a clone's `fit` would give.
    best_index_ : int
        Place of the best in the table. Of equals the first is best, and a fit whose `status` has SPURIOUS_COMPONENT is
        best only where there is no other, unless they were allowed. Infinity, of rows that a fit makes impossible, is
        never best.
    best_ : estimator
    best_params_ : dict
        `n_components` and the other parameters of the grid.
    best_pipeline_ : Pipeline or None
        The best with the fitted steps before it, where `select` was given a Pipeline.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from mixfast import GaussianMixture, select
    >>> X = load_iris().data
    >>> choice = select(X, GaussianMixture(random_state=0), n_components=range(1, 4))
    >>> choice.best_params_, len(choice.table)
    ({'n_components': 2}, 3)
    """

    def __init__(self, candidates, criterion, allow_spurious, steps=None):
        self._steps = steps
        self._candidates = candidates
        self.criterion = criterion
        self.table = [candidate.row() for candidate in candidates]
        self.estimators_ = [candidate.model for candidate in candidates]
        values = np.array([candidate.scores[criterion] for candidate in candidates])
        if np.all(np.isnan(values)):
            raise ValueError(f"No cell of the grid has a {criterion}. The first: {candidates[0].failure}")
        values = np.where(values == np.inf, np.nan, values)  # rows that are impossible: nothing is worse
        if np.all(np.isnan(values)):
            raise ValueError(
                f"No cell of the grid has a finite {criterion}: under each fit some row, left out of it or not, has "
                "density zero. A prior, such as alpha > 0, makes all rows possible"
            )
        if not allow_spurious:
            clean = np.where([candidate.is_spurious for candidate in candidates], np.nan, values)
            # where every likelihood is without a bound, a criterion made of it would prefer the most components
            fewest = [
                np.nan if np.isnan(value) else candidate.model._n_parameters()
                for value, candidate in zip(values, candidates, strict=True)
            ]
            values = fewest if np.all(np.isnan(clean)) else clean
        self.best_index_ = int(np.nanargmin(values))
        self.best_ = self.estimators_[self.best_index_]
        self.best_params_ = candidates[self.best_index_].params

    @property
    def best_pipeline_(self) -> Any:
        return None if self._steps is None else Pipeline([*self._steps.steps, ("mixture", self.best_)])

    def _rows(self, X):
        """X after the steps of the Pipeline before the mixture."""
        return X if self._steps is None else self._steps.transform(X)

    def to_frame(self, wide: bool = False) -> Any:
        """The table as a pandas DataFrame, a row for each cell.

        Parameters
        ----------
        wide : bool, default=False
            True gives the criterion of the choice alone: a row for each number of components, the index, and a column
            for each combination of other parameters. The lower the better, whichever criterion it is: BIC is
            -2 log-likelihood + n_parameters log(n), minus that of R's mclust.

        Returns
        -------
        frame : pandas.DataFrame
            NaN where there is no value.
        """
        import pandas as pd

        if not wide:
            return pd.DataFrame(self.table)
        lines = self._lines()
        numbers = [candidate.params["n_components"] for candidate in next(iter(lines.values()))]
        columns = {
            name: [candidate.scores[self.criterion] for candidate in candidates] for name, candidates in lines.items()
        }
        index = pd.Index(numbers, name="n_components")
        return pd.DataFrame(columns, index=index, dtype=np.float64).rename_axis(columns=self.criterion)

    def predict(self, X: RowsLike, **row_data: ArrayLike | None) -> Integers:
        """The most likely component of each row, of the best mixture.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows, with the columns that `fit` had.
        **row_data
            What the rows have beside their values, as in the mixture's `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            Numbers of components, from 0.
        """
        return self.best_.predict(self._rows(X), **row_data)

    def predict_proba(self, X: RowsLike, **row_data: ArrayLike | None) -> Floats:
        """The probability of each component given each row, of the best mixture.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows, with the columns that `fit` had.
        **row_data
            As in `predict`.

        Returns
        -------
        resp : ndarray of shape (n_samples, n_components)
            Rows sum to one.
        """
        return self.best_.predict_proba(self._rows(X), **row_data)

    def score_samples(self, X: RowsLike, **row_data: ArrayLike | None) -> Floats:
        """The log density of each row under the best mixture, in nats.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows, with the columns that `fit` had.
        **row_data
            As in `predict`.

        Returns
        -------
        log_prob : ndarray of shape (n_samples,)
            In nats.
        """
        return self.best_.score_samples(self._rows(X), **row_data)

    def summary(self, X: RowsLike, sample_weight: ArrayLike | None = None, **row_data: ArrayLike | None) -> Summary:
        """What `summary` of the best mixture says.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows, with the columns that `fit` had.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts: 2 equals repeating it, 0 leaving it out. None is 1 for all.
        **row_data
            As in `predict`.

        Returns
        -------
        summary : Summary
            Printed, it is a text; its attributes are the numbers.
        """
        return self.best_.summary(self._rows(X), sample_weight, **row_data)

    def save(self, path: PathLike) -> None:
        """Write the best mixture to a file that `mixfast.load` reads; the others are not kept.

        Parameters
        ----------
        path : str or path-like
            As in the mixture's own `save`, and so are the errors.

        Raises
        ------
        TypeError
            For a choice among pipelines, whose steps the format has no place for.
        """
        if self._steps is not None:
            raise TypeError("save writes a mixture, and rows pass other steps first: write best_pipeline_ with joblib")
        self.best_.save(path)

    def _lines(self):
        """name of a line of the picture -> its candidates, in the order of n_components"""
        lines = {}
        for candidate in self._candidates:
            lines.setdefault(candidate.name or self.criterion, []).append(candidate)
        return lines

    def plot(self, ax: Any = None) -> Any:
        """Draw the criterion against the number of components, a line for each combination of other parameters.

        A star marks the best, a hollow circle a fit with a spurious component, a cross at the foot, in the colour of
        its line, a cell without a value.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure of its own.

        Returns
        -------
        ax : matplotlib Axes
            What was drawn on.
        """
        from mixfast.plot import SelectionDisplay

        return SelectionDisplay.from_selection(self, ax=ax).ax_

    def _shown_by_display(self):
        """The arguments of `SelectionDisplay`, a dict."""
        lines = {
            name: {
                "n_components": np.array([candidate.params["n_components"] for candidate in candidates]),
                "values": np.array([candidate.scores[self.criterion] for candidate in candidates], dtype=np.float64),
                "spurious": np.array([candidate.is_spurious for candidate in candidates]),
            }
            for name, candidates in self._lines().items()
        }
        best = self._candidates[self.best_index_]
        place = best.params["n_components"], float(best.scores[self.criterion])
        return {"lines": lines, "best": place, "label": CRITERIA[self.criterion].label}

    def _repr_html_(self) -> str:
        chosen = ", ".join(f"{name}={value!r}" for name, value in self.best_params_.items())
        lines, rows, marked = self._lines(), [], []
        for i, candidates in enumerate(zip(*lines.values(), strict=True)):
            rows.append(
                [
                    str(candidates[0].params["n_components"]),
                    *(self._shown(candidate).rstrip(" *") for candidate in candidates),
                ]
            )
            marked += [
                (i, j) for j, candidate in enumerate(candidates, 1) if candidate is self._candidates[self.best_index_]
            ]
        spurious = (
            " ~ has a spurious component." if any(candidate.is_spurious for candidate in self._candidates) else ""
        )
        caption = f"Selection: {chosen}. {CRITERIA[self.criterion].label}, the lower the better.{spurious}"
        return html_table(caption, ["n_components", *lines], rows, marked)

    def __repr__(self):
        chosen = ", ".join(f"{name}={value!r}" for name, value in self.best_params_.items())
        spurious = (
            ", ~ has a spurious component" if any(candidate.is_spurious for candidate in self._candidates) else ""
        )
        lines = self._lines()
        widths = [max(13, len(name) + 2) for name in lines]
        text = [
            f"Selection: {chosen}",
            f"{self.criterion}, the lower the better (* is the best{spurious})",
            "n_components" + "".join(f"{name:>{width}}" for name, width in zip(lines, widths, strict=True)),
        ]
        for candidates in zip(*lines.values(), strict=True):
            shown = (f"{self._shown(candidate):>{width}}" for candidate, width in zip(candidates, widths, strict=True))
            text.append(f"{candidates[0].params['n_components']:12d}" + "".join(shown))
        return "\n".join(line.rstrip() for line in text)

    def _shown(self, candidate):
        value = candidate.scores[self.criterion]
        if np.isnan(value):
            return "failed "
        mark = "*" if candidate is self._candidates[self.best_index_] else "~" if candidate.is_spurious else " "
        return f"{value:.{CRITERIA[self.criterion].decimals}f}{mark}"
