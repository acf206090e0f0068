"""The result of a batch of fits: `BatchResult`, with its tables, files and predictions."""

from __future__ import annotations

import copy
import itertools
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mixfast import persistence
from mixfast._threads import resolve_threads
from mixfast._typing import Column, Floats, Integers, PathLike, ProblemRows
from mixfast.as_html import html_table
from mixfast.batches._batch import evaluate_problems
from mixfast.batches.bound_model import METHODS, BoundModel
from mixfast.batches.grouping import Grouping
from mixfast.batches.problems import (
    gather_problems,
    labels_beyond,
    not_finite,
    of_each_column,
    only_of,
    outside_domain,
    with_prepared_rows,
)
from mixfast.engine._fit import Fit
from mixfast.estimators._base import BaseMixture
from mixfast.estimators._likelihood import CRITERIA
from mixfast.estimators._parameters import unfitted_copy
from mixfast.families.domains import DISTRIBUTION, check_domain
from mixfast.families.rounding import rounded_above_zero, rounded_finite
from mixfast.in_messages import among, difference, in_short, one_name
from mixfast.matching import aligned, comparable, match
from mixfast.read_only import frozen
from mixfast.reading import described_frame
from mixfast.relations import Components, check_is_fitted_mixture, check_option, has_noise
from mixfast.row_data import (
    check_names,
    check_number_of_components,
    check_rows_are_there,
    of_family,
    rows_of,
    rows_with,
    separated,
)
from mixfast.status import Status
from mixfast.tables import LIBRARIES, Table, columns_of, feature_names, in_library, is_table, names_of, same_names

#: How many problems the table in a notebook shows.
SHOWN = 10


#: What indexes a result.
NO_PLACE = "a problem is an integer, its name, a slice, a mask or a list of integers, got {}"


def is_usable(status):
    """Whether fits with these statuses have parameters."""
    without = Status.NOT_FINITE | Status.TOO_FEW_ROWS | Status.INTERRUPTED | Status.OUT_OF_DOMAIN
    return (np.asarray(status) & int(without)) == 0


class BatchResult:
    """What `fit_many` found: arrays over problems, and a fitted estimator for each at `result[i]`.

    Its arrays are read-only, and no attribute but `names` can be assigned: what is to be changed is an estimator,
    `result[i]`.

    `result[i]` raises ValueError for a problem without parameters, so that a loop over the result stops there; those
    that can be had are `[result[i] for i in np.flatnonzero(result.has_parameters)]`.

    Attributes
    ----------
    n_components : int64 ndarray of shape (n_problems,)
        Of the chosen model.
    weights : ndarray of shape (n_problems, largest n_components)
        NaN beyond a problem's components, and where there are no parameters.
    means, covariances, precisions_cholesky, probabilities, coef, ... : ndarray of shape (n_problems, ...)
        The parameters by the names of the estimator's attributes without underscore, padded with NaN likewise, and a
        list of arrays where the attribute is a list, as of `MixtureOfExperts` of several responses. Those whose shape
        depends on the covariance_type are there only if one was tried. Of a `ProductMixture` the name of the part
        follows: `means_0`. Categories and classes, which all problems share, are those of `result[i]`.
    n_iter : int32 ndarray of shape (n_problems,)
    lower_bound : ndarray of shape (n_problems,)
    status : int32 ndarray of shape (n_problems,)
        Flags of `mixfast.Status`.
    has_parameters : bool ndarray of shape (n_problems,)
        Where a problem was fitted, so that `result[i]` gives its estimator.
    candidates : list of estimator
        The models that were tried.
    chosen : int32 ndarray of shape (n_problems,)
        The place in `candidates` of the chosen model.
    criterion : str
    criteria : ndarray of shape (n_problems, n_candidates)
        Its value for each model; NaN where that could not be fitted, and where there is only one, unless
        ``keep='all'``.
    seeds : uint64 ndarray of shape (n_problems,)
    n_samples : int64 ndarray of shape (n_problems,)
        Rows of positive weight.
    row_data : tuple of str
        What the rows were given beside their values, such as 'exposure'.
    names : list or None
        Names of the problems, where they come from a table. Another list may be assigned, or None; `predict_rows`
        still finds rows by the groups of the fit.
    n_clusters : int64 ndarray of shape (n_problems,)
        Of posteriors: components that hold at least half a row; -1 where there are no parameters.
    feature_names : object ndarray of shape (n_features,) or None
        Names of the columns that are fitted, where all problems have names that are strings: `feature_names_in_` of
        `result[i]`.
    models : list of BatchResult or None
        With `keep='all'`: for each of the candidates, its fits to all problems.
    """

    def __init__(self, bound_models, dtype, weights, params, lower_bound, n_iter, status, of_rows, criteria, chosen,
                 seeds, n_samples, criterion, row_data=(), models=None):  # fmt: skip
        self._bound_models, self._params, self.dtype = bound_models, params, np.dtype(dtype)
        self.n_iter, self.chosen, self.seeds, self.n_samples = n_iter, chosen, seeds, n_samples
        self.criteria, self.criterion, self.models = criteria, criterion, models
        self.row_data = row_data
        self._of_rows = of_rows if any(of_rows) else None
        self._named(None, None)
        self._put_in_order(weights)
        # parameters that are finite in float64 may overflow in float32
        with np.errstate(over="ignore", invalid="ignore"):
            fails = np.isfinite(weights[:, 0]) & ~self._can_be_published(weights)
        self.status = np.where(fails, status | Status.NOT_FINITE, status).astype(np.int32)
        bad = fails | np.isnan(weights[:, 0])
        weights[bad] = self._params[bad] = np.nan
        self._mixing, self.weights = weights, self._rounded_weights(weights)
        bound_dtype = bound_models[0].estimator._bound_dtype(self.dtype)
        self.lower_bound = rounded_finite(np.where(bad, np.nan, lower_bound), bound_dtype)

    def __setattr__(self, name, value):
        if name == "names":
            own = None if value is None else _checked_names(value, len(self))
            object.__setattr__(self, name, own)
            for model in self.models or []:
                model.names = own
        elif name.startswith("_") or not self._has(name):
            object.__setattr__(self, name, value if name.startswith("_") else frozen(value))
        else:
            raise AttributeError(
                f"{name} of a batch is as it was fitted: take an estimator, result[i], and assign there"
            )

    def _has(self, name):
        return name in vars(self) or hasattr(type(self), name) or name in self._fields

    def __setstate__(self, state):  # unpickled arrays are writeable
        vars(self).update((name, frozen(value, copy=False)) for name, value in state.items())

    def _named(self, names, column_names, are_columns=False, grouping=None, library=None):
        """Set names, in place, here and in `models`; returns self. names: those of the problems, or None; column_names:
        those of the fitted columns, or None; are_columns: each problem is a column of a table (`fit_many_columns`);
        grouping: `Grouping` of `fit_many_groups`, or None; library: 'pandas', 'polars' or 'pyarrow', or None."""
        self.names, self._column_names, self._are_columns = names, column_names, are_columns
        self._grouping, self._library = grouping, library
        self._groups = None if grouping is None else self.names  # which stay, whatever problems are called later
        for model in self.models or []:
            model._named(names, column_names, are_columns, grouping, library)
        return self

    @property
    def feature_names(self) -> list[Any] | None:
        return None if self._column_names is None else feature_names(self._column_names)

    # ---- arrays ----

    @property
    def _estimators(self):
        """The candidates, with columns as positions even where they have names."""
        return [model.estimator for model in self._bound_models]

    @property
    def _n_features(self):
        return self._bound_models[0].n_features

    @property
    def candidates(self) -> list[dict[str, Any]]:
        names = self._column_names
        return self._estimators if names is None else [own._by_name(names) for own in self._estimators]

    @property
    def n_components(self) -> NDArray[np.int64]:
        return frozen(np.array([model.n_components for model in self._bound_models])[self.chosen], copy=False)

    def _of_model(self, j):
        """(indices of the problems whose chosen model is j, the record of their parameters with a first axis of these
        problems)"""
        own = np.flatnonzero(self.chosen == j)
        return own, self._record_of(j, own)

    def _record_of(self, j, own):
        """The record of the parameters of problems whose chosen model is j, with a first axis of these problems."""
        layout = self._bound_models[j].layout
        pieces = zip(layout.offsets, layout.offsets[1:], layout.shapes, strict=False)
        arrays = (self._params[own, start:stop].reshape(len(own), *shape) for start, stop, shape in pieces)
        return layout.record(*arrays)

    def _attributes_of(self, j, own):
        """Fitted attributes of problems whose chosen model is j, by name, with a first axis of these problems."""
        return self._bound_models[j].attributes_of_many(self._record_of(j, own), self._mixing[own], self.dtype)

    @property
    def has_parameters(self) -> NDArray[np.bool_]:
        return frozen(~np.isnan(self._mixing[:, 0]), copy=False)

    @property
    def _counts_clusters(self):
        """Whether there is `n_clusters`: components of posteriors may be empty."""
        return hasattr(self._estimators[0], "_n_clusters_of")

    @property
    def n_clusters(self) -> NDArray[np.int64]:
        """Numbers of components that hold rows, int64 (n_problems,); -1 where a problem has no parameters.

        Raises AttributeError unless the estimator is a posterior.
        """
        if not self._counts_clusters:
            raise AttributeError(f"components of {type(self._estimators[0]).__name__} are all there: see n_components")
        return frozen(np.where(self.has_parameters, self._count_clusters(), -1), copy=False)

    def _count_clusters(self):
        return self._estimators[0]._n_clusters_of(self._mixing)

    @property
    def _fields(self):
        """Names of the parameters, which `__getattr__` gives as arrays over problems."""
        return self._bound_models[0].fields

    def __getattr__(self, name):
        if name.startswith("_") or name not in self._fields:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self._padded(name)

    def _padded(self, name):
        """A parameter as an array with a first axis of problems, padded with NaN along the axis of components, or a
        list of such where the attribute is a list. Raises AttributeError where its shape differs between the
        candidates."""
        places = [np.flatnonzero(self.chosen == j) for j in range(len(self._bound_models))]
        found = [self._attributes_of(j, own)[name] for j, own in enumerate(places)]
        if not isinstance(found[0], list):
            return self._together(name, places, found)
        each = zip(*found, strict=True)
        return [None if arrays[0] is None else self._together(name, places, arrays) for arrays in each]

    def _together(self, name, places, arrays):
        """One array of those of each candidate; `places` are the numbers of their problems."""
        shapes = [array.shape[1:] for array in arrays]
        if len({shape[1:] for shape in shapes}) > 1:
            raise AttributeError(f"{name} has another shape for each covariance_type: take result[i].{name}_")
        largest = max(shape[:1] for shape in shapes)  # () where a problem has one number
        padded = np.full((len(self), *largest, *shapes[0][1:]), np.nan, dtype=self.dtype)
        for own, array, shape in zip(places, arrays, shapes, strict=True):
            padded[(own, *map(slice, shape[:1]))] = array
        return frozen(padded, copy=False)

    def __dir__(self):
        names = {*super().__dir__(), *self._fields}
        return sorted(names if self._counts_clusters else names - {"n_clusters"})

    def _rounded_weights(self, mixing):
        """The weights of components, (n_problems, largest n_components), from the numbers `mixing` of their
        proportions, rounded to the precision of the data."""
        largest = max(model.n_components for model in self._bound_models)
        weights = np.full((len(mixing), largest), np.nan)
        for j in np.flatnonzero(np.bincount(self.chosen)):
            own, model = self.chosen == j, self._bound_models[j]
            rounded = model.estimator._rounded_mixing(mixing[own, : model.n_mixing], self.dtype)
            weights[own, : model.n_components] = model.estimator._weights_of(rounded)
        return rounded_above_zero(weights, self.dtype)

    def _put_in_order(self, weights):
        """Sort components as `MixtureByEM._finish` does if `canonical_order`; weights and parameters change in
        place."""
        for j, model in enumerate(self._bound_models):
            if model.estimator.canonical_order:
                for i in np.flatnonzero((self.chosen == j) & np.isfinite(weights[:, 0])):
                    record = model.layout.view(self._params[i, : model.layout.size])
                    order = model.family.canonical_order(model.family.rounded(record, self.dtype))
                    self._params[i, : model.layout.size] = model.layout.pack(model.family.reorder(record, order))
                    weights[i, : model.n_components] = weights[i, order]

    def _can_be_published(self, weights):
        """Which problems have parameters that are finite in the precision of the data, a mask."""
        finite = np.zeros(len(weights), dtype=bool)
        for j in np.flatnonzero(np.bincount(self.chosen)):
            own, record = self._of_model(j)
            finite[own] = True
            with np.errstate(over="ignore"):
                record = record._make(array.astype(self.dtype) for array in record)
            for array in self._bound_models[j].estimator._published(record):
                finite[own] &= np.all(np.isfinite(array.astype(self.dtype)), axis=tuple(range(1, array.ndim)))
        return finite

    def _check_domains(self):
        """Raises ValueError if a parameter is outside its domain, as in a damaged file."""
        for j, model in enumerate(self._bound_models):
            own, record = self._of_model(j)
            usable = self.has_parameters[own]
            mixing = self._mixing[own[usable], : model.n_mixing]
            check_domain("weights", model.estimator._weights_of(mixing), DISTRIBUTION)
            rounded = model.family.rounded(
                record._replace(**{k: a[usable] for k, a in record._asdict().items()}), self.dtype
            )
            for name, array in rounded._asdict().items():
                check_domain(name, array, model.family.domains.get(name, ()))

    def _check_of_rows(self):
        """Raises ValueError if attributes that rows say are not those of the estimator or outside their domains."""
        if self._of_rows is None:
            return
        known = set(self._estimators[0]._of_rows)
        for i, own in enumerate(self._of_rows):
            if own is not None and (type(own) is not dict or not own.keys() <= known):
                raise ValueError(f"problem {i} has {in_short(own)} in the place of {sorted(known)}")
            if self.has_parameters[i]:
                estimator = self._estimator(i, None)
                estimator._check_state()
                estimator._check_domains()

    # ---- problems ----

    def __len__(self):
        return len(self.chosen)

    def __getitem__(self, i: Any) -> Any:
        """The fitted estimator of a problem, by its number or its name, or the result of several of them.

        Parameters
        ----------
        i : int, name, slice, mask or list of int
            Whole numbers are places, whatever problems are called: `by_name` finds numbers too. Nothing is fitted
            again.

        Returns
        -------
        found : estimator or BatchResult
            Of a slice, a mask of all problems or a list of places a `BatchResult`.

        Raises
        ------
        ValueError
            For a problem that has no parameters.
        IndexError
            For places that are not there.
        KeyError
            For names that are not there.
        """
        if isinstance(i, slice | list | np.ndarray):
            return self._some(i)
        is_number = isinstance(i, Real | np.bool_) and not (isinstance(i, Integral) and not isinstance(i, bool))
        if i is None or is_number:  # of which only whole numbers are places
            has_name = self.names is not None and i in self.names
            hint = f". Problems are called so: take by_name({in_short(i)})" if has_name else ""
            raise TypeError(NO_PLACE.format(in_short(i)) + hint)
        if not isinstance(i, Integral):
            i = self._place_of(i)
        self._check_usable(i)
        return self._estimator(i, self._columns_of(i))

    def by_name(self, name: Any) -> Any:
        """The fitted estimator of the problem of that name, a number too.

        Parameters
        ----------
        name : object
            One of `names`, of any type; of several columns of groups a tuple.

        Returns
        -------
        found : estimator
            As `result[i]` is.

        Raises
        ------
        KeyError
            For names that no problem has, or several.
        TypeError
            Where problems have no names.
        ValueError
            For a problem that has no parameters.

        Examples
        --------
        >>> import numpy as np, pandas as pd
        >>> from mixfast import GaussianMixture, fit_many_groups
        >>> table = pd.DataFrame({"dose": np.repeat([0.5, 2.0], 50), "x": np.arange(100.0)})
        >>> fit_many_groups(table, GaussianMixture(), by="dose").by_name(2.0).means_
        array([[74.5]])
        """
        i = self._place_of(name)
        self._check_usable(i)
        return self._estimator(i, self._columns_of(i))

    def _check_usable(self, i):
        """Raises IndexError where there is no problem i, ValueError where it has no parameters."""
        if not -len(self) <= i < len(self):
            raise IndexError(f"problem {i} of {len(self)}")
        if not self.has_parameters[i]:
            raise ValueError(
                f"problem {self._called(i)} has no parameters: its status is {Status(int(self.status[i]))}"
            )

    def _called(self, i):
        """How messages call problem i: by its number, and its name where it has one."""
        return str(i) if self.names is None else f"{i} ({one_name(self.names[i])})"

    def _place_of(self, name):
        """The position of the problem of that name. Raises KeyError where none or several have it, TypeError where
        there are no names."""
        if self.names is None:
            raise TypeError(NO_PLACE.format(in_short(name)) + ", and problems have no names")
        places = [place for place, own in enumerate(self.names) if own == name]
        if not places:
            raise KeyError(f"there is no problem {one_name(name)}: {among(name, self.names)}")
        if len(places) > 1:
            raise KeyError(f"{len(places)} problems are called {name!r}: take them by their places, {places}")
        return places[0]

    #: Attributes whose first axis is that of the problems.
    _of_problems: tuple[str, ...] = ("_params", "_mixing", "_of_rows", "weights", "lower_bound", "n_iter", "status",
                                     "criteria", "chosen", "seeds", "n_samples")  # fmt: skip

    def _some(self, which):
        """The `BatchResult` of some problems; `which` is as in `__getitem__`."""
        chosen = np.asarray([] if isinstance(which, list) and not which else which if not isinstance(which, slice) else
                            range(len(self))[which])  # fmt: skip
        if chosen.dtype.kind == "b":
            if chosen.shape != (len(self),):
                raise IndexError(f"a mask of {len(self)} problems has their shape, got {chosen.shape}")
            chosen = np.flatnonzero(chosen)
        if chosen.ndim != 1 or (len(chosen) and chosen.dtype.kind not in "iu"):
            raise TypeError(f"problems are a slice, a mask or a list of integers, got {in_short(which)}")
        chosen = chosen.astype(np.int64)
        outside = chosen[(chosen < -len(self)) | (chosen >= len(self))]
        if len(outside):
            raise IndexError(f"problem {outside[0]} of {len(self)}")
        some = copy.copy(self)
        arrays = {name: vars(self)[name] for name in self._of_problems if vars(self)[name] is not None}
        own = {name: frozen(array[chosen], copy=False) for name, array in arrays.items()}
        for name in ("names", "_groups"):
            values = vars(self)[name]
            own[name] = None if values is None else [values[place] for place in chosen.tolist()]
        own["models"] = None if self.models is None else [model._some(chosen) for model in self.models]
        vars(some).update(own)
        return some

    @staticmethod
    def concatenate(results: Sequence[BatchResult]) -> BatchResult:
        """One result of several, such as those of the chunks of a table or of several machines.

        Parameters
        ----------
        results : list of BatchResult
            Of the same models, columns, precision and row data; seeds, names and problems are their own. All or none
            were called with ``keep='all'``.

        Returns
        -------
        result : BatchResult
            With the problems of all, one after the other.

        Raises
        ------
        TypeError
            For what is no BatchResult.
        ValueError
            For no result, results of other models, and where the rows of a group are in two of them.

        Examples
        --------
        >>> import numpy as np
        >>> from mixfast import BatchResult, GaussianMixture, fit_many
        >>> X = np.random.default_rng(0).normal(size=(300, 50, 1))
        >>> chunks = [fit_many(X[first : first + 100], GaussianMixture(2, random_state=0)) for first in (0, 100, 200)]
        >>> BatchResult.concatenate(chunks).means.shape
        (300, 2, 1)
        """
        results = list(results)
        if not results:
            raise ValueError("results should be a list of at least one BatchResult")
        for place, own in enumerate(results):
            if not isinstance(own, BatchResult):
                raise TypeError(f"results[{place}] should be a BatchResult, got {type(own).__name__}")
            what = next(
                (name for name, one, other in own._compared_with(results[0]) if not _are_equal(one, other)), None
            )
            if what is not None:
                raise ValueError(
                    f"results[{place}] has other {what} than results[0]: only fits of the same are one result"
                )
        found = copy.copy(results[0])
        own = {name: frozen(_one_after_the_other(name, results), copy=False) for name in found._of_problems}
        for name in ("names", "_groups"):
            each = [vars(result)[name] for result in results]
            own[name] = None if each[0] is None else list(itertools.chain(*each))
        groups = own["_groups"]
        if groups is not None and len(set(groups)) < len(groups):
            twice = next(name for name, n in Counter(groups).items() if n > 1)
            raise ValueError(f"the group {one_name(twice)} is in several results: fit all rows of a group at once")
        if found.models is not None:
            own["models"] = [
                BatchResult.concatenate(each) for each in zip(*(own.models for own in results), strict=True)
            ]
        vars(found).update(own)
        return found

    def _compared_with(self, other):
        """(what, of this result, of another), of all that results of one batch have in common."""
        yield "estimators", type(self._estimators[0]), type(other._estimators[0])
        yield "kinds of fits", type(self), type(other)
        yield "numbers of columns", self._n_features, other._n_features
        yield "precisions", self.dtype, other.dtype
        yield "models", *(list(map(_what_is_fitted, own._estimators)) for own in (self, other))
        yield "criteria", self.criterion, other.criterion
        yield "row data", set(self.row_data), set(other.row_data)
        yield "values of keep", self.models is None, other.models is None
        yield "names of columns", self._column_names, other._column_names
        yield "kinds of names", *((own.names is None, own._are_columns) for own in (self, other))
        yield "columns of groups", self._grouping, other._grouping

    def _columns_of(self, i):
        """Names of the fitted columns of problem i, or None."""
        return [self.names[i]] if self._are_columns and self.names is not None else self._column_names

    def _estimator(self, i, column_names):
        """The fitted estimator of problem i, which has parameters."""
        model = self._bound_models[self.chosen[i]]
        estimator = unfitted_copy(model.estimator if column_names is None else model.estimator._by_name(column_names))
        estimator.random_state = int(self.seeds[i])
        status = Status(int(self.status[i]))
        fit = Fit(
            self._mixing[i, : model.n_mixing],
            self._params[i, : model.layout.size].copy(),  # the estimator keeps a reference
            lower_bounds=[self.lower_bound[i]] if self.n_iter[i] else [],
            lower_bound=self.lower_bound[i],
            n_iter=int(self.n_iter[i]),
            converged=bool(status & Status.CONVERGED),
            status=status,
            fails=False,
        )
        estimator._learn_columns(model.n_features, column_names)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator._finish(fit, model.layout, self.dtype)
        estimator._learn_row_data(self.row_data)
        if self._of_rows is not None and self._of_rows[i] is not None:
            estimator._publish_together(**self._of_rows[i])
        estimator._forget_names_of_problems()
        return estimator

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __repr__(self):
        counts = {flag: int(np.sum(self.status & flag != 0)) for flag in Status if flag}
        said = ", ".join(f"{count:,} {flag.name}" for flag, count in counts.items() if count)
        n_models = len(self._estimators)
        models = self.candidates[0] if n_models == 1 else f"the best of {n_models} models"
        return f"<BatchResult: {len(self):,} problems, {models}; {said or 'no iterations'}>"

    def _repr_html_(self) -> str:
        frame = self._frame_of_problems()
        rows = [[_in_a_cell(value) for value in row] for row in frame.head(SHOWN).itertuples(index=False)]
        left = f"; {len(self) - SHOWN:,} more problems" if len(self) > SHOWN else ""
        return html_table(repr(self)[1:-1] + left, list(map(str, frame.columns)), rows)

    def to_frame(self, kind: Literal["problems", "components", "candidates"] = "problems") -> Any:
        """The result as a table of scalars, such as files hold.

        Parameters
        ----------
        kind : {'problems', 'components', 'candidates'}, default='problems'
            A row for each problem: its size, the model that was chosen, how the fit went. Or a row for each component
            and column of each problem that has parameters, as `to_frame` of its estimator. Or a row for each problem
            and candidate: what the candidates differ in, the criterion, and whether it was chosen.

        Returns
        -------
        frame : DataFrame or Table
            Of pandas, polars or pyarrow, as was the table that the batch was made of; else of pandas. It is made by
            pandas, which has to be installed.
            The first column is `problem`, its name, or its number where problems have none; names that are tuples take
            a column for each of their parts, `problem_0` and so on.

        Raises
        ------
        ValueError
            For another kind.
        """
        check_option("kind", kind, FRAMES)
        return in_library(FRAMES[kind](self), self._library)

    def _names_of(self, problems):
        """The first columns of a table whose rows are of these problems: dict, name of the column -> values."""
        if self.names is None:
            return {"problem": np.asarray(problems)}
        names = [self.names[i] for i in problems]
        if not any(isinstance(name, tuple) for name in names):
            return {"problem": _column(names)}
        parts = zip(*names, strict=True)
        return {f"problem_{j}": _column(part) for j, part in enumerate(parts)}

    def _frame_of_problems(self):
        import pandas as pd

        columns = self._names_of(range(len(self))) | {"n_samples": self.n_samples}
        tried = [candidate.get_params() for candidate in self.candidates]
        for name in ("n_components", "covariance_type"):
            if name in tried[0]:
                columns[name] = np.array([params[name] for params in tried])[self.chosen]
        if hasattr(self, "n_clusters"):
            columns["n_clusters"] = self.n_clusters
        columns["n_iter"], columns["lower_bound"] = self.n_iter, self.lower_bound
        if len(tried) > 1 or not np.all(np.isnan(self.criteria)):
            columns[self.criterion] = self.criteria[np.arange(len(self)), self.chosen]
        columns["status"] = [str(Status(int(status))) for status in self.status]
        return pd.DataFrame(columns)

    def _frame_of_components(self):
        import pandas as pd

        frames = []
        usable = np.flatnonzero(self.has_parameters)
        for j in np.unique(self.chosen[usable]):
            own = usable[self.chosen[usable] == j]
            if self._estimators[j]._needed_row_data:
                frames.append(self._frame_of_regressions(j, own))
                continue
            components, numbers = self._components_together(own)
            first = self[own[0]]
            if has_noise(first):
                shares = [self.weights[i, :n] for i, n in zip(own, numbers, strict=True)]
                components = components._replace(weights=np.concatenate(shares))
            frame = described_frame(
                components,
                first,
                place=np.repeat(own, numbers),
                component=np.concatenate([np.arange(n) for n in numbers]),
            )
            frames.append(frame)
        if not frames:
            return pd.DataFrame(self._names_of(()) | {"component": np.empty(0, np.int64), "weight": np.empty(0)})
        frame = pd.concat(frames, ignore_index=True).sort_values("place", kind="stable", ignore_index=True)
        places = frame.pop("place").tolist()
        if self._are_columns and self.names is not None:  # each problem is a column of its own
            frame["column"] = _column(self.names[i] for i in places)
        names = pd.DataFrame(self._names_of(places))
        return pd.concat([names, frame], axis=1)

    def _frame_of_regressions(self, j, own):
        """`to_frame` of mixtures of experts, of the problems `own` of candidate j below each other; `place` is the
        number of the problem."""
        first, n_components = self[own[0]], self._bound_models[j].n_components
        found = self._attributes_of(j, own)
        each = [found["coef"], found["intercept"]]
        coefficients, intercepts = (
            [np.concatenate(array) for array in (of if isinstance(of, list) else [of])] for of in each
        )
        frame = first._frame_of_components(self.weights[own, :n_components].ravel(), coefficients, intercepts)
        component = frame.pop("component").to_numpy()
        frame.insert(0, "place", own[component // n_components])
        frame.insert(1, "component", component % n_components)
        return frame

    def _frame_of_candidates(self):
        import pandas as pd

        n, tried = len(self), [candidate.get_params(deep=False) for candidate in self.candidates]
        varied = [name for name in tried[0] if len({repr(params[name]) for params in tried}) > 1]
        problems = np.repeat(np.arange(n), len(tried))
        columns = self._names_of(problems.tolist()) | {"candidate": np.tile(np.arange(len(tried)), n)}
        columns |= {name: _column([params[name] for params in tried] * n) for name in varied}
        columns |= {self.criterion: self.criteria.ravel(), "chosen": self.chosen[problems] == columns["candidate"]}
        return pd.DataFrame(columns)

    def align(
        self, reference: Any = None, problems: ProblemRows | None = None, **row_data: ArrayLike | None
    ) -> NDArray[np.int64]:
        """Which component of each problem is which component of a reference.

        Components are matched as `mixfast.match` does: without rows the sum of the symmetric Kullback-Leibler
        divergences of the pairs is least, of rows the pairs share most.

        Parameters
        ----------
        reference : int or estimator, default=None
            A problem, or a fitted mixture of the same family; with `problems` of any family that reads these rows, as
            `mixfast.match` takes it. None is the problem with the most rows among those whose
            number of components is the most frequent one, the first of equals.
        problems : list of array-like, 3-D array, or (X, offsets), default=None
            Rows of each problem, in the forms that `predict` takes, which mixtures of experts need. The reference and
            the fit to a problem share out the rows of this problem.
        **row_data : array-like
            What these rows have beside their values, in the form of the problems: `y` of mixtures of experts.

        Returns
        -------
        aligned : int64 ndarray of shape (n_problems, n_components of the reference)
            ``aligned[i, k]`` is the component of problem i that is k of the reference, -1 for none: where problem i has
            fewer components, or no parameters. ``np.take_along_axis(result.weights, aligned, axis=1)`` has weights in
            the order of the reference, where all problems have as many components.

        Raises
        ------
        ValueError
            For a problem without parameters, a batch that has none at all, without `problems` a mixture of another
            family, and with them one that has other columns or does not take what these rows have.
        TypeError
            For a reference that is neither, and for mixtures of experts without `problems` and `y`.
        """
        if problems is not None:
            return self._aligned_by_rows(reference, problems, row_data)
        estimator = self._estimators[0]
        if estimator._needed_row_data:
            needed = ", ".join(f"{name}={name}" for name in estimator._needed_row_data)
            raise TypeError(
                f"components of a {type(estimator).__name__} are matched by what they share of rows: pass these, "
                f"align(problems=problems, {needed})"
            )
        check_rows_are_there("problems", problems, row_data)
        return self._aligned(reference)[-1]

    def _aligned_by_rows(self, reference, problems, row_data):
        problems, _ = self._check_problems(problems, "align", row_data)
        target = self._reference(reference)
        if isinstance(target, int):
            target = self._estimator(target, None)
        else:
            self._check_reads_rows(target, row_data)
        found = {}
        for i in np.flatnonzero(self.has_parameters):
            rows, data = separated(problems.rows_of(i))
            own = self._estimator(i, None)
            try:
                found[i] = match(target, own, rows, **own._as_passed(data))
            except ValueError as error:
                raise ValueError(f"problem {self._called(i)}: {error}") from None
        matched = np.full((len(self), len(next(iter(found.values()), target.weights_))), -1, dtype=np.int64)
        for i, own in found.items():
            matched[i] = own
        return matched

    def _check_reads_rows(self, reference, row_data):
        """Raises ValueError unless the reference has the columns of the problems, and takes what these rows have."""
        n_features, given = reference._n_fitted_features(), [name for name, own in row_data.items() if own is not None]
        wrong = (
            [f"has {n_features} columns and problems have {self._n_features}"] if n_features != self._n_features else []
        )
        wrong += [f"does not take {name}" for name in given if name not in reference._row_data]
        wrong += [f"needs {name}" for name in reference._needed_row_data if name not in given]
        if wrong:
            raise ValueError(
                f"reference, a {type(reference).__name__}, {wrong[0]}: pass the number of a problem, or a fitted "
                f"{type(self._estimators[0]).__name__} of the same columns"
            )

    def _aligned(self, reference):
        """(`Components` of the reference, those of each problem or None, what `align` returns)"""
        target = self._reference(reference)
        target = self._components_of(target) if isinstance(target, int) else comparable(target)
        fits = [self._components_of(i) if there else None for i, there in enumerate(self.has_parameters)]
        return target, fits, aligned(target, fits)

    def _reference(self, reference):
        """The argument of `align`, the number of a problem or a fitted mixture. Raises ValueError where there are no
        parameters."""
        if reference is None:
            usable = np.flatnonzero(self.has_parameters)
            if not len(usable):
                raise ValueError("no problem of this batch has parameters")
            numbers = np.sum(~np.isnan(self.weights[usable]), axis=1)
            most_frequent = usable[numbers == np.argmax(np.bincount(numbers))]
            reference = int(most_frequent[np.argmax(self.n_samples[most_frequent])])
        if not isinstance(reference, Integral) or isinstance(reference, bool):
            check_is_fitted_mixture(reference)
            return reference
        self._check_usable(reference)
        return int(reference)

    def _components_of(self, i, compares=True):
        """`Components` of problem i. With `compares`, such that components of two problems can be compared; a family
        without closed forms then needs the estimator, for draws."""
        model = self._bound_models[self.chosen[i]]
        if model.family.divergence is None:
            return comparable(self[i]) if compares else self[i]._components(**self[i]._any_rows).apart()
        record = model.family.rounded(model.layout.view(self._params[i, : model.layout.size]), self.dtype)
        weights = self.weights[i, : model.n_components]
        return Components.of(model.family, record, weights, model.n_features).apart()

    def _components_together(self, own):
        """(`Components` of problems that one candidate was chosen for, in their order, and how many each has)."""
        model = self._bound_models[self.chosen[own[0]]]
        family, n, K = model.family, len(own), model.n_components
        if family.divergence is None or not family.has_own_arrays():
            return one_after_the_other([self._components_of(i, compares=False) for i in own])
        # as `_components_of` does with each: problems take 1 us then, not 16
        layout = family.params_layout(n * K, model.n_features)
        arrays = zip(model.layout.offsets, model.layout.offsets[1:], layout.shapes, strict=False)
        record = family.Params(*(self._params[own, first:last].reshape(shape) for first, last, shape in arrays))
        weights = self.weights[own, :K]
        weights = (weights / weights.sum(axis=1, keepdims=True)).ravel()
        components = Components.of(family, family.rounded(record, self.dtype), weights, model.n_features).apart()
        return components._replace(weights=weights), [K] * n

    def save(self, path: PathLike) -> None:
        """Write the result to a file that `mixfast.load` reads, without pickle.

        The format is in the project's docs/files.md.

        Parameters
        ----------
        path : str or path-like
            Taken as it is, without a suffix added; a file that is there is replaced.

        Raises
        ------
        TypeError
            For names of problems that are no strings, numbers, dates, durations, periods, intervals or tuples of these,
            and parameters of the estimator that are no
            numbers, strings, None or arrays of these.
        ValueError
            For an estimator of your own that has the name of one of mixfast's.
        """
        persistence.check_name(self.candidates[0])
        persistence.write(path, self._contents())

    def _contents(self):
        """`persistence.Contents`: what `save` writes."""
        result = self._fits() | {
            "seeds": self.seeds,
            "n_samples": self.n_samples,
            "n_features": self._n_features,
            "dtype": self.dtype.name,
            "criterion": self.criterion,
            "n_models": 0 if self.models is None else len(self.models),
            "row_data": list(self.row_data),
        }
        result |= self._estimators[0]._kept_of_columns() | self._sections_of_table()
        sections = {"result": result | self._names_of_columns()} | self._sections_of_names()
        for i, model in enumerate(self._bound_models):
            sections[f"candidate{i}"] = model.estimator.get_params(deep=False)
        for i, model in enumerate(self.models or []):
            # criteria and chosen are over all candidates, as in the result
            sections[f"model{i}"] = model._fits() | {"criteria": self.criteria, "chosen": np.full_like(self.chosen, i)}
        return persistence.Contents("batch", type(self.candidates[0]).__name__, sections)

    def _sections_of_table(self):
        """Entries of the section 'result' about the table of `fit_many_groups`, a dict."""
        found = {} if self._library is None else {"library": self._library}
        are_called_otherwise = self._groups != self.names  # by which rows of other tables would not be found
        if self._grouping is None or are_called_otherwise or not all(map(persistence.can_hold, self._grouping.names())):
            return found
        found |= {"by": self._grouping.by, "columns": self._grouping.columns}
        return found | {f"columns of {name}": own for name, own in self._grouping.row_data.items()}

    def _names_of_columns(self):
        """Entries of the section 'result' about names of columns, a dict."""
        names = {"feature_names": self.feature_names, "are_columns": self._are_columns}
        if self.feature_names is None and self._column_names is not None:
            names["column_names"] = self._column_names
        return names

    def _sections_of_names(self):
        """The section 'names', {} without names. Names of problems are what `persistence.can_hold` allows, or tuples of
        that, which take an entry for each of their parts."""
        names = self.names
        if names is None:
            return {}
        lengths = {len(name) if isinstance(name, tuple) else 0 for name in names}
        are_tuples = len(lengths) == 1 and lengths != {0}
        columns = zip(*names, strict=True) if are_tuples else [names]
        return {"names": {"are_tuples": are_tuples, **{str(j): _column_of_names(own) for j, own in enumerate(columns)}}}

    @classmethod
    def _from_contents(cls, contents):
        """The result that `save` wrote. Raises KeyError, TypeError or ValueError where the contents are not those of a
        batch."""
        sections = dict(contents.sections)
        result, names = sections.pop("result"), sections.pop("names", None)
        model_class = persistence.class_of(contents.class_name, contents.classes)
        if not hasattr(model_class, "save"):
            raise persistence.unknown_class(contents.class_name)
        if result["dtype"] not in ("float32", "float64") or result["criterion"] not in CRITERIA:
            raise ValueError(f"its dtype is {result['dtype']!r}, its criterion {result['criterion']!r}")
        dtype, n_problems, n_candidates = np.dtype(result["dtype"]), len(result["chosen"]), result["criteria"].shape[1]
        _check_integer("n_features", result["n_features"], at_least=1)
        _check_integer("n_models", result["n_models"], at_least=0)
        if result["n_models"] not in (0, n_candidates) or len(sections) != n_candidates + result["n_models"]:
            raise ValueError(f"it has {result['n_models']} models of {n_candidates} candidates in {list(sections)}")
        candidates = [model_class._from_sections(sections[f"candidate{i}"], {}) for i in range(n_candidates)]
        for candidate in candidates:
            candidate._take_up_columns(result)
        bound_models = [BoundModel(candidate, result["n_features"], dtype) for candidate in candidates]
        size = max(model.layout.size for model in bound_models)

        def check(own, n_mixing):
            shapes = {"weights": (n_mixing,), "params": (size,), "criteria": (n_candidates,)}
            dtypes = FITTED | {"lower_bound": candidates[0]._bound_dtype(dtype)} | (COMMON if own is result else {})
            for name, wanted in dtypes.items():
                if name == "of_rows" and name not in own:
                    continue
                array, shape = own[name], (n_problems, *shapes.get(name, ()))
                if array.dtype != wanted or array.shape != shape:
                    raise ValueError(f"{name} should be {wanted} {shape}, got {array.dtype} {array.shape}")
            if np.any((own["chosen"] < 0) | (own["chosen"] >= n_candidates)):
                raise ValueError("chosen names a model that is none of the candidates")

        check(result, max(model.n_mixing for model in bound_models))
        row_data = tuple(result.get("row_data", ()))  # older files have none
        if not set(row_data) <= set(model_class._row_data):
            raise ValueError(f"its rows have {row_data}, and those of a {contents.class_name} have no such data")
        common = result["seeds"], result["n_samples"], result["criterion"], row_data

        def made(of_models, own, **options):
            values = {"of_rows": _nothing_of_rows(n_problems)} | own  # most files have none
            return cls(of_models, dtype, *(values[name] for name in FITTED), *common, **options)

        def of_model(i):
            own = sections[f"model{i}"]
            check(own, bound_models[i].n_mixing)
            own = own | {"criteria": own["criteria"][:, [i]], "chosen": np.zeros_like(own["chosen"])}
            return made([bound_models[i]], own)

        models = [of_model(i) for i in range(result["n_models"])] or None
        found = made(bound_models, result, models=models)
        for own in [found, *(models or [])]:
            own._check_domains()
            own._check_of_rows()
        return found._with_names_of(result, names)

    def _with_names_of(self, result, names):
        """Set the names from the sections 'result' and 'names' of a file, in place; returns self. Raises ValueError for
        names of another number, and values that `save` does not write."""
        names, column_names = _names_of_section(names), result.get("feature_names")  # older files have none
        column_names = result.get("column_names") if column_names is None else list(column_names)
        if names is not None and len(names) != len(self):
            raise ValueError(f"there are {len(names)} names for {len(self)} problems")
        if column_names is not None and len(column_names) != self._n_features:
            raise ValueError(f"names of columns are {column_names!r} for {self._n_features} columns")
        are_columns = result.get("are_columns", False)
        if type(are_columns) is not bool or (are_columns and self._n_features != 1):
            raise ValueError(f"are_columns is {are_columns!r} for {self._n_features} columns")
        grouping, library, of_data = None, result.get("library"), "columns of "
        if library is not None and library not in LIBRARIES:
            raise ValueError(f"library is {library!r}")
        if "by" in result:
            row_data = {
                name.removeprefix(of_data): list(own) for name, own in result.items() if name.startswith(of_data)
            }
            grouping = Grouping(list(result["by"]), list(result["columns"]), row_data)
        return self._named(names, column_names, are_columns, grouping, library)

    def _fits(self):
        """The arrays of `FITTED`, a dict."""
        fields = ("lower_bound", "n_iter", "status", "criteria", "chosen")
        found = {"weights": self._mixing, "params": self._params} | {name: getattr(self, name) for name in fields}
        return found if self._of_rows is None else found | {"of_rows": self._of_rows}

    # ---- predictions ----

    def predict(
        self, problems: ProblemRows, n_threads: int | None = None, **row_data: ArrayLike | None
    ) -> list[Integers]:
        """The most likely component of each row of each problem.

        Parameters
        ----------
        problems : list of array-like, 3-D array, or (X, offsets)
            The forms that `fit_many` takes. As many as were fitted; rows may be others. Those of problems without
            parameters are not looked at. For a result of `fit_many_columns` also a table or an array with its columns:
            where values are missing, the predictions are those of problems without parameters.
        n_threads : int or None, default=None
            Threads to use at most; None is all that the process may use. The result does not depend on it.
        **row_data : array-like
            What rows have beside their values, in the form of the problems.

        Returns
        -------
        labels : list of int64 ndarray of shape (n_samples_i,)
            -1 where a problem has no parameters, and where a compiled family of another package fails.

        Raises
        ------
        ValueError
            For values that are not finite or outside the family's domain, with their problem, and for tables with other
            columns than those that were fitted.

        Warns
        -----
        UserWarning
            Where rows have density zero under every component, as the predictions of an estimator do.
        """
        problems, gaps = self._check_problems(problems, "predict", row_data)
        flat = self._flat(problems, n_threads, "labels", np.int64(-1), 1)
        return gaps.filled(np.split(flat, problems.offsets[1:-1]), -1)

    def predict_proba(
        self, problems: ProblemRows, n_threads: int | None = None, **row_data: ArrayLike | None
    ) -> list[Floats]:
        """The probability of each component given each row of each problem, the responsibilities.

        Parameters
        ----------
        problems : list of array-like, 3-D array, or (X, offsets)
            As many problems as were fitted, in the forms that `predict` takes.
        n_threads : int or None, default=None
            Threads to use at most; None is all that the process may use. The result does not depend on it.
        **row_data : array-like
            What rows have beside their values, in the form of the problems.

        Returns
        -------
        resp : list of ndarray of shape (n_samples_i, n_components[i])
            Rows sum to one; NaN where `predict` has -1.

        Raises
        ------
        ValueError
            For values that are not finite or outside the family's domain, with their problem, and for tables with other
            columns than those that were fitted.

        Warns
        -----
        UserWarning
            Where rows have density zero under every component.
        """
        problems, gaps = self._check_problems(problems, "predict_proba", row_data)
        widths = self.n_components
        flat = self._flat(problems, n_threads, "resp", problems.X.dtype.type(np.nan), widths)
        sizes = np.diff(problems.offsets)
        parts = zip(np.split(flat, np.cumsum(sizes * widths)[:-1]), sizes, widths, strict=True)
        return gaps.filled([own.reshape(size, width) for own, size, width in parts], np.nan)

    def predict_rows(
        self, table: Any, n_threads: int | None = None, **row_data: ArrayLike | Column | Sequence[Column] | None
    ) -> Integers:
        """The most likely component of each row of a table, in its order.

        Parameters
        ----------
        table : pandas, polars or pyarrow table
            With the columns that `fit_many_groups` was told of, or, of `fit_many_columns`, those that were fitted.
        n_threads : int or None, default=None
            Threads to use at most; None is all that the process may use. The result does not depend on it.
        **row_data : array-like of shape (n_rows,), or name of a column or list of them
            What rows have beside their values, as `exposure` of a `PoissonMixture`: of `fit_many_columns` a value for
            each row, the same for all columns; of `fit_many_groups` the names of columns of the table, in the place of
            those that it was told of, which are read without being named again.

        Returns
        -------
        labels : ndarray of shape (n_rows,), int64
            Each row is given to the problem of its group; -1 where values are missing that would have been left out of
            the fit, where the group was not fitted, and where it has no parameters. Of `fit_many_columns`
            (n_rows, n_columns).

        Raises
        ------
        TypeError
            For a batch that was not made of a table, for mixtures of experts, and for row data that the estimator does
            not know.
        ValueError
            For tables that lack columns, and row data of another number of rows.

        Examples
        --------
        >>> import pandas as pd
        >>> from mixfast import GaussianMixture, fit_many_groups
        >>> table = pd.DataFrame({"g": ["a", "a", "b", "a", None, "b"], "x": [0.0, 9.0, 5.0, 0.1, 1.0, 5.1]})
        >>> result = fit_many_groups(table, GaussianMixture(2, random_state=0, canonical_order=True), by="g")
        >>> result.predict_rows(table).tolist()
        [0, 1, 0, 0, -1, 1]
        """
        self._check_method("predict_rows", row_data)
        if self._are_columns:
            return np.column_stack(self.predict(table, n_threads, **row_data))
        if self._grouping is None:
            raise TypeError(
                "predict_rows is for batches of fit_many_groups and fit_many_columns: take predict(problems)"
            )
        table = Table(table)
        grouping = self._grouping.for_predictions().with_data(table, row_data)
        found = grouping.read(table, self.candidates[0])
        keys = found.keys[0] if len(found.keys) == 1 else list(zip(*found.keys, strict=True))
        places = {name: place for place, name in enumerate(self._groups)}
        owners = np.array([places.get(key, -1) for key in keys], dtype=np.int64)
        problems, rows = found.problems(owners, len(self), grouping.columns)
        labels = np.full(found.n_rows, -1, dtype=np.int64)
        labels[rows] = np.concatenate([np.zeros(0, np.int64), *self.predict(problems, n_threads)])
        return labels

    def score_samples(
        self, problems: ProblemRows, n_threads: int | None = None, **row_data: ArrayLike | None
    ) -> list[Floats]:
        """The log density of each row of each problem, in nats.

        Parameters
        ----------
        problems : list of array-like, 3-D array, or (X, offsets)
            As many problems as were fitted, in the forms that `predict` takes.
        n_threads : int or None, default=None
            Threads to use at most; None is all that the process may use. The result does not depend on it.
        **row_data : array-like
            What rows have beside their values, in the form of the problems.

        Returns
        -------
        log_prob : list of ndarray of shape (n_samples_i,)
            NaN where `predict` has -1.

        Raises
        ------
        ValueError
            For values that are not finite or outside the family's domain, with their problem, and for tables with other
            columns than those that were fitted.

        Warns
        -----
        UserWarning
            Where rows have density zero under every component.
        """
        problems, gaps = self._check_problems(problems, "score_samples", row_data)
        return gaps.filled(np.split(self._log_densities(problems, n_threads), problems.offsets[1:-1]), np.nan)

    def _check_method(self, method, row_data):
        """Raises TypeError where the estimators have no such method of their own, or take no such row data."""
        estimator = self._estimators[0]
        if method not in ("score_samples", "align") and estimator._needed_row_data:
            own = "predict" if method == "predict_rows" else method
            raise TypeError(f"a {type(estimator).__name__} predicts responses to rows: take result[i].{own}(X)")
        check_names(f"BatchResult.{method}", estimator, row_data)

    def _check_problems(self, problems, method, row_data):
        """(`Problems`, `Gaps`) from the arguments of a prediction. Raises TypeError and ValueError where problems are
        not as those that were fitted."""
        n_features, gaps = self._n_features, NO_GAPS
        self._check_method(method, row_data)
        if self._are_columns and (is_table(problems) or getattr(problems, "ndim", 0) == 2):
            problems, gaps = self._split_columns(problems)
            kept = [~own for own in gaps.are_missing]
            row_data = {name: of_each_column(name, own, kept) for name, own in row_data.items() if own is not None}
        problems = gather_problems(problems, self._estimators[0], None, row_data, self._reads)
        if len(problems) != len(self):
            raise ValueError(f"there are {len(problems)} problems, and {len(self)} were fitted")
        if problems.X.shape[1] != n_features:
            raise ValueError(f"problems have {problems.X.shape[1]} columns, those that were fitted {n_features}")
        X = problems.X.astype(np.result_type(problems.X.dtype, self.dtype), copy=False)
        return replace(problems, X=X), gaps

    def _split_columns(self, data):
        """(list with the values of each fitted column of a table, missing ones removed; `Gaps`). Columns are found by
        name where both have names. Raises ValueError for a column that is not there."""
        if self.names is None or not is_table(data) or same_names(names_of(data), self.names):
            _, columns = columns_of(data)
        else:
            table = Table(data)
            try:
                columns = [table.reals(table.place_of(name)) for name in self.names]
            except ValueError as error:
                lacks = difference(names_of(data), self.names)
                raise ValueError(f"problems should have the columns that were fitted: {lacks or error}") from None
        gaps = Gaps([np.isnan(own) if own.dtype.kind == "f" else np.zeros(len(own), dtype=bool) for own in columns])
        return [own[~is_missing] for own, is_missing in zip(columns, gaps.are_missing, strict=True)], gaps

    def _reads(self, names):
        """Which columns of a table are read, a mask. Raises ValueError where they are not those that were fitted."""
        estimator, fitted = self._estimators[0], self._column_names
        compares = estimator._looks_up_names or (feature_names(names) is not None and self.feature_names is not None)
        if fitted is not None and compares and not same_names(names, fitted):
            raise ValueError(
                f"problems should have the columns that were fitted, in the same order: {difference(names, fitted)}"
            )
        return estimator._reads(range(len(names)))

    def _log_densities(self, problems, n_threads):
        """Log densities of all rows of `Problems`, flat (n_rows,); what `score_samples` splits."""
        return self._flat(problems, n_threads, "log_norm", problems.X.dtype.type(np.nan), 1)

    def _flat(self, problems, n_threads, name, blank, widths):
        """A prediction for all rows, flat: name is a key of `METHODS`, widths the number of values for each row, int or
        (n_problems,). Problems without parameters get `blank`, and their rows may hold anything. Raises ValueError,
        with the problem's number, for rows of others that are not finite or outside the domain."""
        usable = self.has_parameters
        fitted = only_of(problems, usable)
        wrong = not_finite(fitted, self._estimators[0]._allows_nan(fitted.X.shape[1]))
        if np.any(wrong):
            raise ValueError(f"problem {self._called(int(np.argmax(wrong)))} holds values that are not finite")
        values = np.full(np.sum(np.diff(fitted.offsets) * widths), blank)
        if len(values):
            self._evaluate(self._prepared(fitted), n_threads, name, values, widths)
        if fitted is problems:
            return values
        n_values = np.diff(problems.offsets) * widths
        full = np.full(np.sum(n_values), blank)
        full[np.repeat(usable, n_values)] = values
        return full

    def _prepared(self, problems):
        """The problems with `prepared`. Raises ValueError with the number of the problem that is outside the domain."""
        estimator = unfitted_copy(self._estimators[0])
        estimator._learn_row_data(self.row_data)
        try:
            return with_prepared_rows(problems, estimator, reset=False)
        except ValueError:
            for i, error in outside_domain(problems, estimator):
                raise ValueError(f"problem {self._called(i)}: {error}") from None
            raise

    def _evaluate(self, problems, n_threads, name, values, widths):
        """OUT values: those of `_flat`, for problems that are all fitted and prepared."""
        for i in np.flatnonzero(labels_beyond(problems, self.n_components)).tolist():
            try:
                check_number_of_components(separated(problems.rows_of(i))[1], int(self.n_components[i]))
            except ValueError as error:
                raise ValueError(f"problem {self._called(i)}: {error}") from None
        alone = self._predicted_alone(problems, name)
        n_values = np.diff(problems.offsets) * widths
        ends = np.cumsum(n_values)
        for i in np.flatnonzero(alone & (n_values > 0)):
            rows, data = separated(problems.rows_of(i))
            estimator = self._estimator(i, None)
            found = getattr(estimator, METHODS[name])(rows, **estimator._as_passed(data))
            values[ends[i] - n_values[i] : ends[i]] = found.ravel()
        if not np.any(alone):
            self._evaluate_compiled(problems, n_threads, name, values)
        elif not np.all(alone):
            compiled = np.repeat(~alone, n_values)
            own = values[compiled]
            self._evaluate_compiled(only_of(problems, ~alone), n_threads, name, own)
            values[compiled] = own

    def _predicted_alone(self, problems, name):
        """Which problems are predicted by their estimators, one by one, a mask."""
        model = self._bound_models[0]
        return model.needs_estimator(problems) | (name in model.predicted_alone())

    def _evaluate_compiled(self, problems, n_threads, name, values):
        # published attributes of estimators are rounded to the precision of the data: predictions agree bit by bit
        rounded, mixing = np.full(self._params.shape, np.nan), np.full(self._mixing.shape, np.nan)
        for j, model in enumerate(self._bound_models):
            own, record = self._of_model(j)
            its_mixing = self._mixing[own, : model.n_mixing]
            mixing[own, : model.n_mixing] = model.estimator._rounded_mixing(its_mixing, self.dtype)
            sizes = np.diff(model.layout.offsets)
            arrays = zip(model.family.rounded(record, self.dtype), sizes, strict=True)
            rounded[own, : model.layout.size] = np.concatenate(
                [a.reshape(len(own), size) for a, size in arrays], axis=1
            )
        rows = rows_with(problems.prepared, problems.row_data)
        encoded = self._bound_models[0].family.encode(of_family(rows))._replace(seeds=None)
        bound = [model.with_dtype(problems.X.dtype) for model in self._bound_models]
        # some families compute in float64 whatever the precision of the rows
        dtype = values.dtype if name == "labels" else bound[0].dtype
        computed = values if values.dtype == dtype else np.empty(values.shape, dtype)
        n_impossible = evaluate_problems(
            rows_of(encoded, rows, None),
            problems.offsets,
            [model.bind(encoded) for model in bound],
            np.where(self.has_parameters, self.chosen, -1).astype(np.int32),
            mixing,
            rounded,
            n_threads=resolve_threads(n_threads),
            **{name: computed},
        )
        if computed is not values:
            values[...] = rounded_finite(computed, values.dtype)
        if n_impossible:
            BaseMixture._warn_of_impossible_rows()


def _checked_names(names, n_problems):
    """Names of problems as a list. Raises ValueError for another number of them, TypeError for what is no list."""
    if isinstance(names, str | bytes | dict | set) or not np.iterable(names):
        raise TypeError(
            f"names should be a list with a name for each of {n_problems} problems, or None: got {in_short(names)}"
        )
    plain = isinstance(names, np.ndarray) and names.dtype.kind in "biufSU"  # Python's numbers and strings
    names = names.tolist() if plain else list(names)
    if len(names) != n_problems:
        raise ValueError(f"names should be {n_problems}, one for each problem, got {len(names)}")
    return names


class Gaps:
    """The rows of each column that were left out of a prediction, since their value is missing.

    Parameters
    ----------
    are_missing : list of bool ndarray (n_samples,), one for each column, or None where no row was left out
    """

    def __init__(self, are_missing):
        self.are_missing = are_missing

    def filled(self, values, blank):
        """Predictions for all rows: `values`, a list with an array for each column, with `blank` put where rows were
        left out."""
        if self.are_missing is None:
            return values
        return [self._fill(own, is_missing, blank) for own, is_missing in zip(values, self.are_missing, strict=True)]

    @staticmethod
    def _fill(values, is_missing, blank):
        if not np.any(is_missing):
            return values
        full = np.full((len(is_missing), *values.shape[1:]), blank, dtype=values.dtype)
        full[~is_missing] = values
        return full


NO_GAPS = Gaps(None)


def _column_of_names(values):
    """Names of problems as a file holds them: an array where its dtype keeps all values as they are, else a list.
    Raises TypeError for names that no file holds."""
    types = set(map(type, values))
    if types <= {str}:
        return np.array(values, dtype=object)
    if len(types) == 1 and tuple not in types and np.array(values).dtype.kind in "biufM":
        return np.array(values)
    if not all(map(persistence.can_hold, values)):
        raise TypeError(
            "names of problems should be strings, numbers, dates, durations, periods, intervals or tuples of these to "
            "be saved: set result.names to such, or None"
        )
    return list(values)


def _names_of_section(section):
    if section is None:
        return None
    columns = [section[str(j)] for j in range(len(section) - 1)]
    # tolist() would turn dates of nanoseconds into integers
    columns = [list(own) if isinstance(own, list) or own.dtype.kind == "M" else own.tolist() for own in columns]
    return list(zip(*columns, strict=True)) if section["are_tuples"] else columns[0]


#: What `candidates` may differ in that is no part of the model: each problem has its own seed.
NO_PART_OF_THE_MODEL = ("random_state", "n_threads", "verbose", "verbose_interval", "warm_start")


def _what_is_fitted(estimator):
    """All that says what an estimator of a batch fits: parameters, and what was learned of all problems."""
    params = estimator.get_params(deep=False)
    return {
        name: own for name, own in params.items() if name not in NO_PART_OF_THE_MODEL
    } | estimator._kept_of_columns()


def _are_equal(one, other):
    """Whether two values of parameters are the same, whatever they are made of."""
    one, other = (value.tolist() if isinstance(value, np.ndarray) else value for value in (one, other))
    if isinstance(one, list | tuple) and isinstance(
        other, list | tuple
    ):  # files make lists of arrays, and arrays of lists
        return len(one) == len(other) and all(map(_are_equal, one, other))
    if type(one) is not type(other) and not (np.isscalar(one) and np.isscalar(other)):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_are_equal(value, other[name]) for name, value in one.items())
    if hasattr(one, "get_params") and not isinstance(one, type):
        return _are_equal(one.get_params(deep=False), other.get_params(deep=False))
    return bool(one == other) or bool(one != one and other != other)


def _one_after_the_other(name, results):
    """An array over problems of several results together, padded with NaN to the largest; None where none has it."""
    arrays = [vars(result)[name] for result in results]
    if all(array is None for array in arrays):
        return None
    if name == "_of_rows":  # some have nothing
        arrays = [
            _nothing_of_rows(len(result)) if array is None else array
            for result, array in zip(results, arrays, strict=True)
        ]
    largest = np.max([array.shape[1:] for array in arrays], axis=0).astype(int).tolist()
    together = np.full((sum(map(len, arrays)), *largest), None if arrays[0].dtype == object else 0, arrays[0].dtype)
    if together.dtype.kind == "f":
        together[...] = np.nan
    first = 0
    for array in arrays:
        together[(slice(first, first + len(array)), *map(slice, array.shape[1:]))] = array
        first += len(array)
    return together


def _nothing_of_rows(n_problems):
    return np.full(n_problems, None)


#: Arrays that a result and its `models` share, and their dtypes.
COMMON = {"seeds": np.uint64, "n_samples": np.int64}
#: Arrays that a result and each of its `models` have, in the order of the constructor's arguments, and their dtypes.
FITTED = {
    "weights": np.float64,
    "params": np.float64,
    "lower_bound": None,  # as the estimator says
    "n_iter": np.int32,
    "status": np.int32,
    "of_rows": object,
    "criteria": np.float64,
    "chosen": np.int32,
}


def one_after_the_other(fits):
    """(`Components` of several mixtures together, how many each has). IN fits: list of `Components`."""
    return Components.together(fits), [fit.n_components for fit in fits]


def _in_a_cell(value):
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _check_integer(name, value, at_least):
    if type(value) is not int or value < at_least:
        raise ValueError(f"{name} should be an integer of at least {at_least}, got {value!r}")


#: Types of scalars that most names have: to ask each value for its dimension took two thirds of `to_frame`.
PLAIN = {int, float, bool, str}


def _column(values):
    """Values as a column of a table, an ndarray: as they are where all are scalars of one type, else strings."""
    import pandas as pd

    values = list(values)
    kinds = set(map(type, values))
    if len(kinds) > 1 or not (kinds <= PLAIN or all(np.ndim(value) == 0 for value in values)):
        values = [value if isinstance(value, str) else repr(value) for value in values]
    return pd.Series(values, dtype=None if values else object).to_numpy()


#: kind of `to_frame` -> the method that makes the table, with pandas.
FRAMES = {
    "problems": BatchResult._frame_of_problems,
    "components": BatchResult._frame_of_components,
    "candidates": BatchResult._frame_of_candidates,
}
