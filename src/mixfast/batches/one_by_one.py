"""Batches whose fits do not fit into arrays over problems, since each finds its own number of components: a fitted
estimator is kept for each problem."""

from __future__ import annotations

import copy
import warnings
from functools import cached_property

import numpy as np

from mixfast import persistence
from mixfast.batches.result import BatchResult, one_after_the_other
from mixfast.estimators._base import BaseMixture
from mixfast.estimators._parameters import unfitted_copy
from mixfast.matching import comparable
from mixfast.read_only import frozen
from mixfast.row_data import separated
from mixfast.status import Status


def fit_one_by_one(problems, template, seeds, keeps_all, n_threads, report):
    """`EstimatorsResult` of the fits to problems that have been read; after Ctrl-C of those that were done."""
    fitted, status, n_bad = [None] * len(problems), problems.status.copy(), 0
    try:
        for i in range(len(problems)):
            if status[i] == Status.INTERRUPTED:
                fitted[i], status[i] = _fit(template, problems, i, seeds[i], n_threads)
            n_bad += fitted[i] is None
            if report is not None:
                report(i + 1, n_bad)
    except KeyboardInterrupt:
        pass
    dtype, n_features = problems.X.dtype, problems.X.shape[1]
    row_data = tuple(problems.row_data)
    n_samples = problems.n_samples
    return EstimatorsResult(template, n_features, dtype, fitted, status, seeds, n_samples, row_data, keeps_all)


def _fit(template, problems, i, seed, n_threads):
    """(the fitted estimator or None, its status)"""
    rows, data = separated(problems.rows_of(i))
    if rows.shape[0] < max(1, template._least_rows):
        return None, Status.TOO_FEW_ROWS
    estimator = unfitted_copy(template)
    estimator.random_state, estimator.n_threads, estimator.verbose = int(seed), n_threads, 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator.fit(rows, sample_weight=problems.weights_of(i), **estimator._as_passed(data))
    except ValueError:
        return None, Status.NOT_FINITE
    estimator.n_threads, estimator.verbose = template.n_threads, template.verbose
    return estimator, estimator.status_


class EstimatorsResult(BatchResult):
    """A `BatchResult` of fitted estimators, whose numbers of components are their own.

    Parameters
    ----------
    template : estimator
    n_features : int
    dtype : float32 or float64
        Of the rows.
    fitted : list of estimator or None
    status : int32 (n_problems,)
    seeds : uint64 (n_problems,)
    n_samples : int64 (n_problems,)
    row_data : tuple of str
    keeps_all : bool
        Whether `models` has the fits of each model that was tried, which are the same here.
    """

    def __init__(self, template, n_features, dtype, fitted, status, seeds, n_samples, row_data=(), keeps_all=False):
        self._fitted = np.empty(len(fitted), dtype=object)  # an array, as all that `_some` takes a part of
        self._fitted[:] = fitted
        self._template, self._n_columns, self.dtype = template, n_features, np.dtype(dtype)
        self.status, self.seeds, self.n_samples, self.row_data = status.astype(np.int32), seeds, n_samples, row_data
        self.n_iter = np.array([0 if own is None else own.n_iter_ for own in fitted], dtype=np.int32)
        self.lower_bound = np.array([np.nan if own is None else own.lower_bound_ for own in fitted])
        self.chosen, self.criterion = np.zeros(len(fitted), dtype=np.int32), "bic"
        own = template, n_features, dtype, fitted, status, seeds, n_samples, row_data
        self.models = [EstimatorsResult(*own)] if keeps_all else None
        self.criteria = np.full((len(fitted), 1), np.nan)
        n_weights = template._n_weights() if hasattr(template, "_n_weights") else 1
        self.weights = self._pad([(i, own.weights_) for i, own in self._usable], (n_weights,))
        self._named(None, None)

    _of_problems = ("_fitted", "weights", "lower_bound", "n_iter", "status", "criteria", "chosen", "seeds", "n_samples")

    @property
    def _estimators(self):
        return [self._template]

    @property
    def _n_features(self):
        return self._n_columns

    @property
    def _usable(self):
        return [(i, own) for i, own in enumerate(self._fitted) if own is not None]

    @property
    def n_components(self):
        return frozen(np.array([0 if own is None else len(own.weights_) for own in self._fitted]), copy=False)

    @property
    def has_parameters(self):
        return frozen(np.array([own is not None for own in self._fitted]), copy=False)

    def _count_clusters(self):
        return np.array([0 if own is None else own.n_clusters_ for own in self._fitted])

    @cached_property
    def _shapes(self):
        """Shapes of the arrays by name, where there is no fit that would say them."""
        return self._template._shapes_of_arrays(self._n_columns)

    @property
    def _fields(self):
        return tuple(self._usable[0][1]._arrays() if self._usable else self._shapes)

    def _padded(self, name):
        found = [(i, own._arrays()[name]) for i, own in self._usable]
        return self._pad(found, () if found else self._shapes[name])

    def _pad(self, arrays, shape):
        """Stack arrays, given as (number of the problem, array), along problems; NaN where smaller or missing. Without
        arrays all are NaN, of this shape."""
        largest = np.max([array.shape for _, array in arrays], axis=0).tolist() if arrays else shape
        padded = np.full((len(self._fitted), *largest), np.nan)
        for i, array in arrays:
            padded[(i, *map(slice, array.shape))] = array
        return frozen(padded, copy=False)

    def _estimator(self, i, column_names):
        own = copy.copy(self._fitted[i])
        own._learn_columns(self._n_columns, column_names)
        own._note_checked()
        return own

    def _components_of(self, i, compares=True):
        return comparable(self._fitted[i])

    def _components_together(self, own):
        return one_after_the_other([self._components_of(i) for i in own])

    def _predicted_alone(self, problems, name):
        return np.ones(len(problems), dtype=bool)

    # ---- files ----

    def _contents(self):
        """What a file of it holds."""
        result = {
            "fitted": self._fitted.tolist(),
            "status": self.status,
            "seeds": self.seeds,
            "n_samples": self.n_samples,
            "n_features": self._n_columns,
            "dtype": self.dtype.name,
            "row_data": list(self.row_data),
            "keeps_all": self.models is not None,
        }
        result |= self._sections_of_table()
        sections = {"result": result | self._names_of_columns(), "candidate0": self._template.get_params(deep=False)}
        return persistence.Contents("estimators", type(self._template).__name__, sections | self._sections_of_names())

    @classmethod
    def _from_contents(cls, contents):
        result, names = contents.sections["result"], contents.sections.get("names")
        model_class = persistence.class_of(contents.class_name, contents.classes)
        template = model_class._from_sections(contents.sections["candidate0"], {})
        fitted, n_problems = result["fitted"], len(result["status"])
        if type(fitted) is not list or not all(own is None or type(own) is model_class for own in fitted):
            raise ValueError(f"fits should be a list of {contents.class_name}")
        for name, dtype in (("status", np.int32), ("seeds", np.uint64), ("n_samples", np.int64)):
            if result[name].dtype != dtype or result[name].shape != (n_problems,) or len(fitted) != n_problems:
                raise ValueError(f"{name} should be {np.dtype(dtype)} for {len(fitted)} problems")
        if result["dtype"] not in ("float32", "float64") or not isinstance(template, BaseMixture):
            raise ValueError(f"its dtype is {result['dtype']!r}, its class {contents.class_name}")
        arrays = (result[name] for name in ("status", "seeds", "n_samples"))
        own = template, result["n_features"], result["dtype"], fitted, *arrays, tuple(result["row_data"])
        found = cls(*own, result["keeps_all"] is True)
        if any(own.n_features_in_ != found._n_features for _, own in found._usable):
            raise ValueError(f"there are fits of other numbers of columns than {found._n_features}")
        return found._with_names_of(result, names)
