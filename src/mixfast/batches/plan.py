"""The plan of a batch: models, seeds, folds, and which problems estimators fit one by one."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state

from mixfast.batches.bound_model import BoundModel
from mixfast.batches.problems import labels_beyond, sums_of_weights
from mixfast.engine import _random
from mixfast.estimators._likelihood import LikelihoodMixture
from mixfast.estimators._parameters import unfitted_copy
from mixfast.in_messages import in_short
from mixfast.row_data import check_number_of_components
from mixfast.seeding import settled
from mixfast.status import Status
from mixfast.weights import effective_number, is_far, warn_of_sum

N_FOLDS = 5

#: Fits of all models are kept until the best are chosen if they take at most so many bytes: threads can then share the
#: models of a single problem.
FEW_BYTES = 2**26

#: The seed of a problem is the random_state of its estimator, for which scikit-learn takes integers below this.
N_SEEDS = 2**32


@dataclass(frozen=True)
class BatchPlan:
    """How the problems are fitted, and how one of several models is chosen for each.

    models : list of BoundModel, those of the grid
    seeds : uint64 (n_problems,)
    alone : bool (n_problems,), problems that estimators fit one by one; `_batch.pyx` fits the others
    criterion : name of the criterion
    criterion_in_fit : the same if the fits compute it; None for 'heldout' and where there is one model, unless all fits
        are to be kept
    passed_over : flags of Status; fits with one of them are chosen only where there are no others
    n_effective : float64 (n_problems,), effective sample sizes for criteria; None: the sums of the weights
    folds : int64 (n_rows,), the fold of each row, from 0 to N_FOLDS - 1; None unless the criterion is 'heldout'
    keeps_all : whether the fits of all models are stored, or those of the best alone
    """

    models: list
    seeds: np.ndarray
    alone: np.ndarray
    criterion: str
    criterion_in_fit: str | None
    passed_over: Status
    n_effective: np.ndarray | None
    folds: np.ndarray | None
    keeps_all: bool

    def some_of(self, chosen):
        """The plan for a subset of the problems; `chosen` is a mask."""
        n_effective = None if self.n_effective is None else self.n_effective[chosen]
        return replace(self, seeds=self.seeds[chosen], alone=self.alone[chosen], n_effective=n_effective)

    def of_model(self, j, problems):
        """The plan that fits model j alone to `problems`: the present ones without the rows of a fold."""
        models = [self.models[j]]
        return replace(self, models=models, alone=_need_estimators(problems, models), criterion_in_fit=None, folds=None)


def grid_of(estimator, n_components, covariance_type):
    """(an unfitted copy of the estimator; list of dict, the parameters in which each model of the grid differs).

    Raises ValueError for parameters that the estimator does not have and values that it does not take."""
    template, grid = unfitted_copy(estimator), {}
    for name, values in (("n_components", n_components), ("covariance_type", covariance_type)):
        if values is not None:
            if name not in vars(template):
                raise ValueError(f"{type(estimator).__name__} has no parameter {name!r}")
            grid[name] = list(values) if np.iterable(values) and not isinstance(values, str) else [values]
            if not grid[name]:
                raise ValueError(f"{name} should have at least one value")
            if name == "n_components" and isinstance(values, str):
                raise ValueError(f"n_components={in_short(values)} should be a number or a list, such as range(1, 10)")
    points = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    _changed(template, points[0])._validate_params()
    for name, values in grid.items():
        for value in values[1:]:  # values are valid or not whatever the others are
            _changed(template, points[0] | {name: value})._validate_params()
    template._check_for_batches()
    if hasattr(template, "init_params"):
        template.init_params = settled(template.init_params)  # small problems would take half as long again
    return template, points


def _changed(template, params):
    """A shallow copy of an estimator with some parameters replaced; much cheaper than `clone` and `set_params`."""
    changed = type(template).__new__(type(template))
    vars(changed).update(vars(template) | params)
    return changed


def make_plan(problems, template, points, criterion, keeps_all, allow_spurious, n_effective, seeds):
    """The `BatchPlan` for problems that `read_problems` returned. Raises ValueError for a given start that does not fit
    the model, and for labels of which all problems have some beyond n_components."""
    if len(points) > 1:
        template = _changed(template, template._without_default_regularization())
    models = [BoundModel(_changed(template, point), problems.X.shape[1], problems.X.dtype) for point in points]
    for model in models:
        model.given_start  # noqa: B018 - raises where a start that the user gave is wrong
    beyond = _labels_beyond(problems, models)
    holds_out = criterion == "heldout" and len(models) > 1
    alone = _need_estimators(problems, models)
    n_bytes = 8 * len(problems) * len(models) * max(model.layout.size for model in models)
    # of one model there is nothing to choose, and a pass less: who keeps all gets its criterion as well
    is_asked_for = len(models) > 1 or (keeps_all and isinstance(template, LikelihoodMixture) and criterion != "heldout")
    criterion_in_fit = criterion if is_asked_for and not holds_out else None
    if criterion_in_fit is not None:  # `_batch.pyx` counts every row, and criteria leave out rows without an entry
        # and it takes rows in the units of the fit
        alone = alone | problems.with_empty_rows | any(model.has_units() for model in models)
    passed_over = Status.OK if allow_spurious else Status.SPURIOUS_COMPONENT
    n_effective = None if criterion_in_fit is None else _n_effective(problems, n_effective)
    folds = _folds(problems, seeds) if holds_out else None
    keeps_all = bool(keeps_all or holds_out or beyond or np.any(alone) or n_bytes <= FEW_BYTES)
    return BatchPlan(models, seeds, alone, criterion, criterion_in_fit, passed_over, n_effective, folds, keeps_all)


def seeds_of(estimator, seeds, random_state, n_problems):
    """The seed of each problem, uint64 (n_problems,): `seeds`, or random_state for all, or drawn from it. Raises
    ValueError for seeds outside 0 .. N_SEEDS - 1, and where both are given."""
    if seeds is not None:
        seeds = np.asarray(seeds)
        is_seed = np.issubdtype(seeds.dtype, np.integer) and not np.any((seeds < 0) | (seeds >= N_SEEDS))
        if seeds.shape != (n_problems,) or not is_seed:
            raise ValueError(f"seeds should be {n_problems} integers from 0 to {N_SEEDS - 1}, got {in_short(seeds)}")
        if random_state is not None:
            raise ValueError("random_state and seeds were both given: seeds has the seed of each problem already")
        return np.ascontiguousarray(seeds, dtype=np.uint64)
    random_state = estimator.random_state if random_state is None else random_state
    if isinstance(random_state, Integral):
        if not 0 <= random_state < N_SEEDS:
            raise ValueError(f"random_state={random_state} should be from 0 to {N_SEEDS - 1}")
        return np.full(n_problems, random_state, dtype=np.uint64)
    return check_random_state(random_state).randint(N_SEEDS, size=n_problems, dtype=np.uint64)


def _n_effective(problems, n_effective):
    """Effective sample sizes, float64 (n_problems,); None: the sums of the weights. Warns where the user gave no
    `n_effective` and some sum is far from the problem's number of rows."""
    if problems.sample_weight is None and not isinstance(n_effective, Real):
        return None
    n_rows = np.diff(problems.offsets)
    total, squares = sums_of_weights(problems)
    if n_effective is None:
        far = is_far(total, n_rows) & problems.are_fine & (n_rows > 0)
        if np.any(far):
            i = int(np.argmax(far))
            warn_of_sum(
                f"sample_weight: the weights of problem {i}, and of {far.sum() - 1} others,", total[i], n_rows[i]
            )
    return None if n_effective is None or n_effective == "sum" else effective_number(n_effective, total, squares)


def _need_estimators(problems, bound_models):
    """Which problems `_batch.pyx` cannot fit, a mask. It rescales rows once for all models (relative regularization),
    so it fits none where models need different units, or a start or a prior would have to be rescaled as well."""
    if any(model.has_units() for model in bound_models) and (
        len(bound_models) > 1 or bound_models[0].given_start is not None or bound_models[0].has_given_prior()
    ):
        return np.ones(len(problems), dtype=bool)
    return np.any([model.needs_estimator(problems) for model in bound_models], axis=0)


def _labels_beyond(problems, models):
    """Whether some problem has known labels beyond some model. Raises ValueError where no model has the components of
    the labels of any problem, of those that can be fitted."""
    filled = problems.are_fine & (np.diff(problems.offsets) > 0)
    beyond = np.array([filled & labels_beyond(problems, model.n_components) for model in models])
    if np.any(filled) and np.array_equal(np.all(beyond, axis=0), filled):
        check_number_of_components(problems.row_data, max(model.n_components for model in models))
    return bool(np.any(beyond))


def _folds(problems, seeds):
    """The fold of each row, int64 (n_rows,): the rows of a problem, shuffled by its seed, take folds in turn."""
    draws = np.empty(problems.n_rows)
    for i, seed in enumerate(seeds.tolist()):
        _random.fill_uniform(seed, 0, _random.PURPOSE_FOLDS, draws[problems.rows(i)])
    owner = problems.owners()
    place = np.empty(len(draws), dtype=np.int64)
    place[np.lexsort((draws, owner))] = np.arange(len(draws))
    return (place - problems.offsets[owner]) % N_FOLDS
