"""Fits to rows in partitions: a survey, a start on a sample, and EM whose rows are elsewhere."""

from __future__ import annotations

import copy
import hashlib
import math
import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import _num_samples

from mixfast.checkpoints import NOWHERE, Course
from mixfast.design import Design
from mixfast.engine._fit import Fit
from mixfast.estimators._density import fitting
from mixfast.estimators._drawn_rows import drawn, exponentials, gathered, merged_samples, taken, weights_of
from mixfast.estimators._kmeans_parallel import Seeds, strata
from mixfast.estimators._passes import CheckedPasses, Task
from mixfast.partitions import for_passes
from mixfast.progress import Bar
from mixfast.row_data import OF_COMPONENTS, Responses, check_no_others, check_not_of_formula, form_of
from mixfast.statistics import Statistics
from mixfast.status import Status
from mixfast.tables import adopted, names_of

#: Rows that the start is found on. Of 10^6 rows of five mixtures a start on so many ends where one on all does.
SAMPLE = 2**17


class Columns(NamedTuple):
    """What all partitions should have alike.

    number : int
        Of the partition.
    n_rows : int
    width : int
    names : list or None
        Of the columns of X.
    forms : dict of str to (str or None)
        What X and what rows have beside it are, by name: see `form_of`.
    """

    number: int
    n_rows: int
    width: int
    names: list | None
    forms: dict[str, str | None]

    def check_like(self, first):
        """Raises ValueError where these are others than those of another partition."""
        if (self.width, self.names) != (first.width, first.names):
            raise ValueError(
                f"Partition {self.number} has {self.width} columns{_called(self.names)}, partition {first.number} has "
                f"{first.width}{_called(first.names)}: all should have the same features in the same order"
            )
        if self.forms.keys() != first.forms.keys():
            raise ValueError(
                f"rows of partition {self.number} have {self._said()} beside their values, those of partition "
                f"{first.number} {first._said()}: all should have the same"
            )
        for name, form in self.forms.items():
            if self.n_rows and first.n_rows and None not in (form, first.forms[name]) and form != first.forms[name]:
                raise ValueError(
                    f"{name} of partition {self.number} is {form}, that of partition {first.number} "
                    f"{first.forms[name]}: make them the same in all partitions"
                )

    def _said(self):
        return ", ".join(name for name in self.forms if name != "X") or "nothing"

    def with_forms_of(self, other):
        """These, and forms that only the other partition tells."""
        return self._replace(forms={name: form or other.forms[name] for name, form in self.forms.items()})


class Survey(NamedTuple):
    """What is known of rows before they are summed.

    design : Design
    least : float
        The smallest weight above zero.
    columns : Columns
        Of the first partition that has rows.
    first_rows : dict of int to str
        By the number of the partition, a digest of the first of them, with their weights and what they have beside.
    two_rows : list of str
        Two rows of positive weight, which differ if any do; fewer where there are not two.
    """

    design: Design
    least: float
    columns: Columns
    first_rows: dict[int, str]
    two_rows: list[str]


#: Parameters that a fit may have others of when it goes on.
OF_THE_COURSE = ("max_iter", "tol", "n_threads", "verbose", "verbose_interval", "random_state", "warm_start")
#: So many rows of each partition tell it from others.
FIRST_ROWS = 20
#: Numbers of rows that are compared at a time.
NUMBERS = 2**20


def _plain(value):
    """Arrays as lists, in dicts and lists too: NumPy writes some of their digits, and of long ones some numbers."""
    if isinstance(value, dict):
        return {name: _plain(own) for name, own in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(own) for own in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def _said(value):
    """A value as text for a checkpoint's description of the problem: its repr if short, else a digest."""
    written = repr(_plain(value))
    return written if len(written) < 80 else f"digest {hashlib.blake2b(written.encode(), digest_size=8).hexdigest()}"


def _first_rows(partition):
    """The first rows of a partition as lists, with their weights and what they have beside."""
    places = np.arange(min(FIRST_ROWS, _num_samples(partition.X)))
    said = {name: [own.tolist() for own in arrays] for name, arrays in _values(partition, places).items()}
    return said, weights_of(partition)[places].tolist()


def _two_rows(partition):
    """Two rows of positive weight as text, which differ if any do; fewer where there are not two."""
    places = np.flatnonzero(weights_of(partition) > 0)
    if not len(places):
        return []
    first, at = _compared(partition, places[:1]), 1
    size = max(1, NUMBERS // max(1, sum(own.shape[1] for own in first)))
    while at < len(places):
        # the second row nearly always differs, and then nothing else is looked at
        block = _compared(partition, places[at : at + (1 if at == 1 else size)])
        differs = np.any([np.any(own != its, axis=1) for own, its in zip(block, first, strict=True)], axis=0)
        if differs.any():
            at += int(np.argmax(differs))
            break
        at += len(differs)
    chosen = [0, min(at, len(places) - 1)][: len(places)]
    return [_text(_compared(partition, places[[place]])) for place in chosen]


def _compared(partition, places):
    """What makes rows differ: all that they have but for what is said of their components, a list of arrays."""
    found = _values(partition, places)
    return [own for name, arrays in found.items() if name not in OF_COMPONENTS for own in arrays]


def _values(partition, places):
    """name -> arrays (n_rows, any number of columns) of what some rows have; a number for all rows is that of each."""
    X, row_data = taken(partition, places)
    found = {}
    for name, values in {"X": X, **row_data}.items():
        if values is not None:
            parts = values.parts if isinstance(values, Responses) else [values]
            found[name] = [_with_columns(part, len(places)) for part in parts]
    return found


def _with_columns(values, n_rows):
    values = np.atleast_1d(values.toarray() if scipy.sparse.issparse(values) else np.asarray(values))
    values = np.broadcast_to(values, (n_rows, *values.shape[1:]))
    return values.reshape(n_rows, math.prod(values.shape[1:]))


def _text(row):
    """Of one row; zeros are alike."""
    return repr([own + 0 if isinstance(own, float) else own for part in row for own in part[0].tolist()])


@dataclass(frozen=True)
class SurveyRows(Task):
    """A task: the survey of a partition."""

    estimator: Any

    def look(self, partition, state):
        check_no_others("fit", self.estimator, partition.row_data)
        check_not_of_formula("fit of rows in partitions", self.estimator, [names_of(partition.X)])
        number, X, sample_weight, row_data = partition = gathered(self.estimator, partition)
        self.estimator._check_for_statistics(row_data)
        design = self.estimator.design(X, sample_weight=sample_weight, **row_data)
        n_rows = int(_num_samples(X))
        positive = np.ones(min(n_rows, 1)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        positive = positive[positive > 0]
        beside = {name: own for name, own in row_data.items() if own is not None}
        forms = {name: form_of(own) for name, own in sorted(beside.items())}
        X = adopted(X)
        columns = Columns(number, n_rows, int(np.shape(X)[1]), names_of(X), {"X": form_of(X)} | forms)
        first, least = {number: _said(_first_rows(partition))}, float(positive.min(initial=math.inf))
        return Survey(design, least, columns, first, _two_rows(partition))

    @staticmethod
    def join(surveys):
        return joined_surveys(surveys)


def joined_surveys(surveys):
    columns = next((survey.columns for survey in surveys if survey.columns.n_rows), surveys[0].columns)
    design, first_rows = None, {}
    for survey in surveys:
        survey.columns.check_like(columns)
        if survey.columns.n_rows:
            columns = columns.with_forms_of(survey.columns)
        try:
            design = survey.design if design is None else design + survey.design
        except ValueError as error:
            raise ValueError(f"Partition {survey.columns.number} and those before it: {error}") from None
        first_rows |= survey.first_rows
    least, two_rows = min(survey.least for survey in surveys), [row for survey in surveys for row in survey.two_rows]
    others = [row for row in two_rows if row != two_rows[0]]
    two_rows = [two_rows[0], others[0]] if others else two_rows[:2]
    return Survey(design, least, columns, first_rows, two_rows)


def _called(names):
    return "" if names is None else f" called {', '.join(map(str, names))}"


@dataclass(frozen=True)
class SampleRows(Task):
    """A task: the rows of a partition with the smallest keys, a sample by weight."""

    estimator: Any
    seed: int
    size: int

    def look(self, partition, first_rows):
        # what is drawn by its weight counts once; where all rows are drawn, as it weighs
        partition = gathered(self.estimator, partition)
        keys, weight = exponentials(partition, first_rows, self.seed)
        return drawn(partition, keys, weight, self.size)

    def join(self, samples):
        return merged_samples(samples, self.size)


@dataclass(frozen=True)
class SumRows(Task):
    """A task: the statistics of a partition at a state."""

    estimator: Any
    design: Design

    def look(self, partition, state):
        _, X, sample_weight, row_data = partition
        with config_context(assume_finite=True):  # the survey has looked: 6 of 36 ns a row of 16 columns, diagonal, K=8
            return self.estimator._statistics_at(X, sample_weight, self.design, row_data, state)

    @staticmethod
    def join(parts):
        return Statistics.sum(parts)


class FromPartitions:
    """What mixtures that are fitted to sums over rows do with rows elsewhere."""

    # ---- what a subclass says ----

    def _learn_of_all(self, design):
        """Learn of the design of all rows what a fit to the sample learned of that, but for what the engine learns."""

    def _begins_by_clusters(self):
        """Whether the start is made of clusters of all rows."""
        return False

    def _begin_at(self, labels):
        """Set where a fit to the sample begins: at the labels of its rows, or, where these are None, as it would by
        itself."""

    def _check_start_elsewhere(self):
        """Raise ValueError where a start is said of rows that are here."""

    def _goes_on(self):
        """Whether a fit begins where the last one stopped."""
        return False

    def _check_goes_on(self):
        """Raise ValueError where the fitted model is none that a fit by the parameters of the constructor goes on
        from."""

    def _in_order(self, course):
        """Where a converged `Course` goes on, in which components have changed places; itself where it does not."""
        return course

    # ---- the fit ----

    def _fit_source(self, source, sample_weight, row_data):
        """`fit` to rows in partitions, which bring their weights with them."""
        if sample_weight is not None or any(value is not None for value in row_data.values()):
            raise ValueError("rows in partitions have their weights, and what else they have, in the partitions")
        return self._fit_partitions(source)

    @fitting
    def _fit_partitions(self, source, checkpoints=NOWHERE, progress=False):
        """`fit` to the rows of a source."""
        self._check_start_elsewhere()
        self._check_for_parts()
        passes, seed = CheckedPasses(for_passes(source, self.n_threads)), self._seed()
        survey = passes(SurveyRows(self))
        if not survey.design.n_rows:
            raise ValueError(
                f"all partitions together, {passes.n_partitions}, have {passes.n_rows} rows, none of them "
                "of positive weight, and a fit needs some: look at what the source reads"
            )
        model = self._begun_on_sample(passes, survey, seed)
        if self.max_iter:
            model._learn_of_all(survey.design)
            model._iterated(passes, survey, checkpoints, progress)
        self._take_up(model)
        return self

    def _begun_on_sample(self, passes, survey, seed):
        """A fitted model to begin at."""
        if self._goes_on():
            self._check_goes_on()
            return copy.copy(self)
        if self._begins_by_clusters():
            model = self._begun_by_clusters(passes, survey, seed)
            if model is not None:
                return model
        sample = passes(SampleRows(self, seed, SAMPLE), passes.first_rows())
        is_whole = survey.design.n_rows <= SAMPLE
        weighs = is_whole and not np.all(sample.sample_weight == 1)
        weight = sample.sample_weight if weighs else None
        return self._fitted_start(survey, sample, weight)

    def _begun_by_clusters(self, passes, survey, seed):
        """`_begun_on_sample` of rows of each cluster that k-means|| finds in all rows; None where these are too few."""
        self._check_begins_by_clusters()
        seeds = Seeds(self.with_design(survey.design), survey.design)
        found = strata(passes, seeds, self.n_components, seed, self.n_init, SAMPLE)
        if found is None or not np.all(found.n_rows):
            return None
        return self._fitted_start(survey, found.sample, found.weights(), found.labels)

    def _fitted_start(self, survey, sample, weight, labels=None):
        """A fit to the sample, which knows the design of all rows; from clusters where there are labels."""
        model = self.with_design(survey.design)
        model._begin_at(labels)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # of the start: it is not the result
            model.fit(sample.X, sample_weight=weight, **sample.row_data)
        model._take_parameters(self)
        return model

    def _take_parameters(self, other):
        """Take the parameters of another estimator, of which this is a fitted copy, and the names that it knew before
        the fit."""
        vars(self).update(other.get_params(deep=False))
        self._take_names_of_all(other)

    def _iterated(self, passes, survey, checkpoints, progress):
        """EM over all rows, from this model on."""
        total_weight, least = survey.design.weight, survey.least
        task, dtype = SumRows(copy.copy(self), survey.design), self._dtype_of_results(survey.design.dtype)
        encoded, units, em = self._engine_of_design(survey.design, dtype)
        layout = encoded.family.params_layout(len(self.weights_), self._n_fitted_features())

        def gather(weights, params):
            statistics = passes(task, (weights, params))
            if report:
                report(course.n_passes + em.n_passes, 0)
            return self._as_gathered(encoded, units, statistics)

        em.visit_elsewhere(gather, total_weight, least)
        problem = self._problem_of(survey, dtype)
        course = checkpoints.begun(problem, Course(*em.state(), []))
        if not course.bounds:
            checkpoints.write(course, problem)  # what is gone on from is this start, whatever max_iter is then
        is_over = course.is_over(self.tol)
        with Bar(self.max_iter, progress, unit="pass") as report:
            while not is_over and course.n_passes < self.max_iter:
                # what a resumed fit does, so that it has the same bits
                em.set_state(course.weights, course.params)
                if course.bounds:
                    em.rest_on(course.guard, course.bounds[-1])
                n_steps = checkpoints.steps(self.max_iter - course.n_passes)
                bounds, converged = em.iterate(n_steps, self.tol, course.bounds, int(self._raises_on()))
                status = course.status & ~Status.SPURIOUS_COMPONENT | em.status
                course = Course(
                    *em.state(),
                    course.bounds + bounds,
                    em.guard,
                    int(status),
                    course.n_passes + em.n_steps,
                    converged,
                    int(em.n_impossible),
                )
                if status & self._raises_on():
                    break
                is_over = converged or em.n_steps < n_steps  # or the bound rises and falls in turn
                if is_over:
                    ordered = self._in_order(course)
                    is_over, course = ordered is course, ordered
                checkpoints.write(course, problem)
        status = Status(course.status) | (Status.CONVERGED if course.converged else Status.MAX_ITER)
        if course.n_impossible:
            status |= Status.IMPOSSIBLE_ROWS
        if len(survey.two_rows) == 2 and len(set(survey.two_rows)) == 1:
            status |= Status.CONSTANT_DATA
        volume, fails = self._volume(units, total_weight), bool(status & self._raises_on())
        bounds = [bound - volume for bound in course.bounds]
        found = Fit(
            course.weights, course.params, bounds, bounds[-1], course.n_passes, course.converged, int(status), fails
        )
        self._finish_in_units(found, units, layout, dtype)

    def _problem_of(self, survey, dtype):
        """What tells this fit from others, by name: values that JSON has, arrays by a digest."""
        params = {name: value for name, value in self.get_params(deep=False).items() if name not in OF_THE_COURSE}
        said = {name: _said(value) for name, value in {**params, **self._structure()}.items()}
        return said | {
            "dtype": dtype.name,
            "rows": survey.design.n_rows,
            "weight": survey.design.weight,
            "first rows of the partitions": _said(survey.first_rows),
        }

    def _take_up(self, model):
        """Become the fitted model, but for the parameters of the constructor."""
        own = self.get_params(deep=False)
        for name in [name for name in vars(self) if name not in own]:
            del vars(self)[name]
        vars(self).update({name: value for name, value in vars(model).items() if name not in own})
