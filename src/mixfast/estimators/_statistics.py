"""Fits to rows that are not all here: sums of the parts, an M-step on their total, and what parts have in common."""

from __future__ import annotations

import hashlib
import math
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from mixfast._em import EM, Gathered
from mixfast._threads import resolve_threads
from mixfast._typing import RowsLike
from mixfast.design import Design, NamesOfAll
from mixfast.engine._acceleration import AcceleratedEM
from mixfast.engine._fit import Fit
from mixfast.engine._rows import Rows
from mixfast.estimators._density import fitting, of_rows
from mixfast.row_data import of_family, rows_of, rows_with, separated
from mixfast.statistics import DIGEST_SIZE, Seen, Statistics
from mixfast.status import Status
from mixfast.weights import counted_rows


class FromStatistics:
    """The methods of mixtures that EM fits, for rows in parts."""

    #: Of all rows, where they are known, by `with_design`: they last, and clones have them.
    _names_of_all = NamesOfAll()

    def __sklearn_clone__(self):
        copied = super().__sklearn_clone__()
        copied._take_names_of_all(self)
        return copied

    def _take_names_of_all(self, other):
        """Know those that another estimator knows, or none as it does."""
        vars(self).pop("_names_of_all", None)
        vars(self).update({name: own for name, own in vars(other).items() if name == "_names_of_all"})

    def _forget_names_of_problems(self):
        """Know no names that problems of a batch have in common: a later fit is to other rows."""
        if not self._names_of_all.last:
            del self._names_of_all

    # ---- what a subclass says ----

    def _no_rows(self, dtype):
        """(0, n_columns), prepared rows of the fitted model."""
        return np.empty((0, self._n_fitted_features()), dtype=dtype)

    def _names_of_codes(self):
        """What codes in prepared rows stand for, the categories of each column; None where rows hold numbers."""
        return None

    def _columns_of_names(self):
        """What the lists of `_names_of_codes` are of, in words: what tells the columns, parts or responses from others
        that the same estimator may have later; None where nothing does."""
        return None

    def _scatter_of(self, rows, sample_weight):
        """The `Scatter` of prepared rows that a prior follows from, None where none does."""
        return None

    def _family_of_design(self):
        """The family that learns the design of rows, of an estimator without a fit."""
        return self._family()

    def _state_of_fit(self, layout):
        """Numbers of the proportions, as the M-step has them, and packed parameters of the fitted model."""
        return self._packed_state(layout)

    def _hold_in(self, em, encoded, units, dtype):
        """Tell the engine of parameters that M-steps leave as they are."""

    def _with_held(self, params):
        """Packed parameters after M-steps, with what is held to the last bit."""
        return params

    def _family_of_fit(self):
        """The family of the next M-steps of the fitted model, whose prior stays what the rows of the fit made it."""
        return self._family()

    def _check_for_statistics(self, data):
        """Raise ValueError for row data, such as groups, for which statistics of parts cannot be added up."""
        self._check_sees_all_rows()
        if data.get("groups") is not None:
            raise ValueError("statistics do not know of groups, whose rows may be in other parts: leave them out")

    def _check_for_parts(self):
        """Raise ValueError if a fit has to have all rows at once."""
        self._check_sees_all_rows()

    def _check_number_fitted(self):
        """Raise ValueError where the fitted model has another number of components than the constructor says."""

    def _check_names_of_all(self):
        """Raise ValueError where names of all rows are not enough for a fit."""

    def _check_sees_all_rows(self):
        """Raise ValueError for parameters that need all rows in one array, in fits and in statistics alike."""

    def _read_part(self, X):
        """Validated rows of an estimator that is to learn a design, any number."""
        return self._read_rows(X, ensure_min_samples=0)

    def _units_of_part(self, family, X, sample_weight):
        """Of validated rows with what they have: a design has what is learned of these."""
        return self._units(family, separated(X)[0], sample_weight)

    # ---- design ----

    @of_rows
    def design(self, X: RowsLike, sample_weight: ArrayLike | None = None, **row_data: ArrayLike | None) -> Design:
        """Learn of a part of the rows what all parts have to know of each other before values are looked at.

        With the sum of these, parts can be encoded as the whole would be.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            A part of the rows; none will do where an array says their columns.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts: 2 equals repeating it, 0 leaving it out. None is 1 for all.
        **row_data
            As in `fit`.

        Returns
        -------
        design : Design
            Add those of all parts, and pass the sum to `statistics`.

        Raises
        ------
        ValueError
            For rows that `fit` refuses, whatever their number.
        """
        X = rows_with(X, self._gathered_data(row_data))
        X, sample_weight, _ = counted_rows(X, sample_weight, needs_some=False)
        learner = clone(self)
        X = learner._read_part(X)
        weight = float(X.shape[0] if sample_weight is None else np.sum(sample_weight))
        sets, moments, scatter = {}, {}, None
        if X.shape[0]:
            family = learner._family_of_design()
            units = learner._units_of_part(family, X, sample_weight)
            sets, moments = family.encode(of_family(X)).family.design(), units.design()
            scatter = learner._scatter_of(separated(X)[0], sample_weight)
        return Design(
            estimator=type(self).__name__,
            n_rows=int(X.shape[0]),
            weight=weight,
            sets=sets,
            moments=moments,
            categories=learner._names_of_codes(),
            component_names=[str(own) for own in vars(learner).get("component_names_", ())],
            scatter=None if scatter is None else scatter.arrays(),
            dtype=X.dtype.name,
            columns=learner._columns_of_names(),
        )

    def with_design(self, design: Design) -> Self:
        """Make a copy, not fitted, that knows of all rows what `design` learned of them.

        Its fits to some of the rows have parameters for all: categories and classes, and names of components, that the
        rows at hand do not show. So have later fits, and clones; values that the design has not are an error.

        Parameters
        ----------
        design : Design
            Of all rows.

        Returns
        -------
        estimator : object
            Of the same class and parameters. What the design learned is none of them: files have it not, and
            `categories` that are given go before.

        Raises
        ------
        ValueError
            For designs of other estimators, and of other parts or responses. Where these are changed later, `fit` says
            so.
        """
        self._check_design(design)
        copied = clone(self)
        design._names.check_columns(copied._columns_of_names())
        copied._names_of_all = design._names
        copied._check_names_of_all()
        return copied

    def _check_design(self, design):
        if not isinstance(design, Design):
            raise TypeError(f"design should be what the method design returns, got {type(design).__name__}")
        if design._estimator != type(self).__name__:
            raise ValueError(f"the design is for {design._estimator}, this is a {type(self).__name__}")

    # ---- statistics ----

    @of_rows
    def statistics(
        self,
        X: RowsLike,
        sample_weight: ArrayLike | None = None,
        *,
        design: Design | None = None,
        **row_data: ArrayLike | None,
    ) -> Statistics:
        """What an M-step needs to know of these rows: sums over them, in one pass at the fitted parameters.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Any number of rows, one or none too.
        sample_weight : array-like of shape (n_samples,), default=None
            As in `fit`.
        design : Design, default=None
            Of all the rows whose statistics are to be added, where these are a part of them. None learns it of `X`,
            which will do for families that learn nothing of rows, and for Dirichlet-multinomial ones.
        **row_data
            As in `fit`.

        Returns
        -------
        statistics : Statistics
            Sums over the rows, as large as the model whatever the number of rows.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For rows that predictions refuse, for some that the design is not of, and for sums that overflow.
        """
        self._check_ready()
        self._check_for_statistics(row_data)
        if design is not None:
            self._check_design(design)
            design._names.check_columns(self._columns_of_names())
            self._check_categories(design)
        return self._statistics_at(X, sample_weight, design, row_data)

    def _statistics_at(self, X, sample_weight, design, row_data, state=None):
        """`statistics` at a state of the engine, (weights, parameters) in the units that rows are summed in; None for
        the fitted one."""
        family = self._family() if design is None else self._family().with_design(design._sets)
        X = rows_with(X, self._gathered_data(row_data))
        X, sample_weight, _ = counted_rows(X, sample_weight, needs_some=False)
        X = self._in_precision(self._read_rows(X, reset=False, ensure_min_samples=0), design)
        values, data = separated(X)
        units = self._units_of(family, values, sample_weight, design)
        family = self._given_prior(family, units, self._n_fitted_features())
        encoded = family.encode(of_family(rows_with(units.rows(values), data)))
        dtype = self._dtype_of_results(X.dtype)
        rows = rows_of(encoded, X, len(self.weights_), sample_weight)
        em = self._engine(encoded, rows, dtype, units, state)
        gathered = em.gather()
        return Statistics(
            family=type(family).__name__,
            dtype=dtype.name,
            parameters=self._digest(state),
            design={**encoded.family.design(), **units.design()},
            seen=Seen(
                int(X.shape[0]),
                int(gathered.n_impossible),
                float(rows.total_weight),
                float(rows.least_weight),
            ),
            log_likelihood=float(gathered.evidence) - rows.total_weight * units.log_volume,
            entropy=float(gathered.entropy + em.base),
            counts=gathered.counts,
            sums=self._sums(encoded, gathered.stats),
        )

    @fitting
    def update(self, statistics: Statistics) -> Self:
        """The M-step: parameters from the statistics of rows, wherever these are.

        Proportions, regularization and priors are those of the estimator; priors that followed from the rows of the fit
        stay as they are. Fitted attributes are those of a fit of one iteration: `lower_bound_` is that of the
        parameters that went in, of a posterior that of the responsibilities, and `converged_` says whether it is within
        `tol` of the last one. Components are flagged as spurious by what the M-step says alone, and keep their numbers
        whatever `canonical_order` says, so that older statistics are of the same ones.

        Parameters
        ----------
        statistics : Statistics
            Of all rows, at the present parameters.

        Returns
        -------
        self : object
            The estimator itself.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For statistics at other parameters, of another family or of no rows, and where parameters would not be
            finite. The model is then what it was.
        """
        self._check_ready_for_m_step()
        self._check_statistics(statistics)
        if not statistics.weight > 0:
            raise ValueError("these are statistics of no rows: there is nothing to make an M-step of")
        encoded, units, em = self._engine_of(statistics)
        layout = encoded.family.params_layout(len(self.weights_), self._n_fitted_features())
        gathered = self._as_gathered(encoded, units, statistics)
        em.visit_elsewhere(lambda *state: gathered, statistics.weight, statistics._seen.least)
        bound = em.step() - self._volume(units, statistics.weight)
        status = em.status | int(statistics.status)
        weights, params = em.state()
        converged = abs(bound - float(getattr(self, "lower_bound_", -math.inf))) < self.tol
        if converged:
            status |= Status.CONVERGED
        found = Fit(weights, params, [bound], bound, 1, converged, int(status), bool(status & self._raises_on()))
        self._finish_in_units(found, units, layout, statistics.dtype, reorders=False)
        vars(self).pop("_fitted_rows", None)  # the bound is of others now
        return self

    def recentre(self, statistics: Statistics, model: Any) -> Statistics:
        """The same statistics at the parameters of another model, as the same responsibilities would have given them.

        Sums of squares are about means: old ones can be added to new ones where they are about the same.

        Parameters
        ----------
        statistics : Statistics
            At the parameters of this model.
        model : object
            Of the same class and structure, with other parameters: this one after an update, perhaps, of which this one
            is a copy from before.

        Returns
        -------
        statistics : Statistics
            At the parameters of `model`. Their log-likelihood is still that of the
            parameters at which the rows were seen.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For statistics at other parameters, for a model of another structure, and for families of your own without
            `recentre`.

        Notes
        -----
        Of mixtures of experts that are no linear regressions, and of gates, responsibilities do not say what sums would
        have been: the M-step is one of Newton's method, from a score g and an information H. What is moved is the
        quadratic that they stand for: g - H step, and the same H.
        """
        self._check_ready()
        model._check_ready()
        self._check_statistics(statistics)
        ours, theirs = self._structure(), model._structure()
        if ours != theirs:
            raise ValueError(f"statistics cannot be moved from a model of {ours} to one of {theirs}")
        encoded, units, em = self._engine_of(statistics)
        state = model._state_in(encoded, units)
        record = em.recentre(statistics.counts, self._record(encoded, statistics), *state)
        if record is None:
            raise ValueError(
                f"statistics of {type(encoded.family).__name__} cannot be moved to other parameters: the family has no "
                "`recentre`, which would say how. Make new ones of the rows"
            )
        return statistics._replaced(sums=self._sums(encoded, record), parameters=model._digest())

    # ---- how ----

    def _check_ready_for_m_step(self):
        """Raises where there is no model, or it is not what the parameters say."""
        self._check_ready()
        try:
            self._check_number_fitted()
        except ValueError as error:
            raise ValueError(f"{error}: fit again, or set the parameter back") from None

    def _structure(self):
        return {
            "class": type(self).__name__,
            "n_components": len(self.weights_),
            "n_features": self._n_fitted_features(),
            **{name: getattr(self, name) for name in self._structural},
            "categories": _as_lists(self._names_of_codes()),
        }

    def _finish_in_units(self, found, units, layout, dtype, reorders=True):
        """`_finish` of a `Fit` whose parameters are in the units that rows are summed in; raises where it fails."""
        if found.fails:
            self._raise_failure(found, dtype)
        left = layout.pack(units.leave(layout.view(found.params)))
        self._finish(found._replace(params=self._with_held(left)), layout, dtype, reorders)

    def _in_precision(self, X, design):
        """Validated rows in the precision that all rows have together; no rows have none of their own."""
        if design is None:
            return X
        rows, data = separated(X)
        dtype = np.result_type(X.dtype, design.dtype) if X.shape[0] else design.dtype
        return rows_with(rows.astype(dtype, copy=False), data)

    def _digest(self, state=None):
        """Stands for the parameters, or for a state of the engine."""
        if state is None:
            state = self._state_of_fit(self._family().params_layout(len(self.weights_), self._n_fitted_features()))
        digest = hashlib.blake2b(repr(self._structure()).encode(), digest_size=DIGEST_SIZE)
        for array in state:
            digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
        return digest.digest()

    def _check_categories(self, design):
        if design._n_rows and _as_lists(design.categories) != _as_lists(self._names_of_codes()):
            raise ValueError(
                "the design has other categories than the fitted model: fit with estimator.with_design(design)"
            )

    def _units_of(self, family, X, sample_weight, design):
        if design is not None:
            return self._known_units(family, design._moments)
        if X.shape[0]:
            return self._units(family, X, sample_weight)
        return self._known_units(family, {})

    def _state_in(self, encoded, units):
        """Weights and parameters in the units that rows are summed in."""
        layout = encoded.family.params_layout(len(self.weights_), self._n_fitted_features())
        weights, params = self._state_of_fit(layout)
        return weights, layout.pack(units.enter(layout.view(params)))

    def _engine(self, encoded, rows, dtype, units, state=None):
        """At a state; None for the fitted parameters."""
        n_components = len(self.weights_)
        kernel_dtype = self._kernel_dtype(encoded.family, dtype)
        capsule = encoded.bind(n_components, kernel_dtype)
        encoded.check_layout(capsule, n_components, self._n_fitted_features())
        loop = EM if self.accelerate is None else AcceleratedEM
        em = loop(capsule, rows, resolve_threads(self.n_threads), proportions=self._proportions())
        em.set_state(*(self._state_in(encoded, units) if state is None else state))
        self._hold_in(em, encoded, units, kernel_dtype)
        return em

    def _engine_of(self, statistics):
        """(encoded, units, engine) for statistics, without rows."""
        design = statistics._design
        moments = {name: array for name, array in design.items() if name.startswith("column_")}
        sets = {name: array for name, array in design.items() if name not in moments}
        return self._engine_without_rows(self._family_of_fit().with_design(sets), moments, statistics.dtype)

    def _engine_of_design(self, design, dtype):
        """(encoded, units, engine) for rows of a design that are not here, which a prior follows from."""
        family = self._family().with_design(design._sets)
        encoded, units, em = self._engine_without_rows(family, design._moments, dtype)
        if design._scatter is not None and em.n_common:
            em.give_common(*units.scatter(design._scatter).moments(family.has_pairs))
        return encoded, units, em

    def _engine_without_rows(self, family, moments, dtype):
        units = self._known_units(family, moments)
        family = self._given_prior(family, units, self._n_fitted_features())
        encoded = family.encode(self._no_rows(dtype))
        return encoded, units, self._engine(encoded, Rows(encoded.rows, None, encoded.base), dtype, units)

    def _as_gathered(self, encoded, units, statistics):
        """Statistics as the engine gathers them, in the units that rows are summed in."""
        evidence = statistics.log_likelihood + statistics.weight * units.log_volume
        record = self._record(encoded, statistics)
        return Gathered(evidence, float(statistics._seen.n_impossible), statistics.counts, record, statistics.entropy)

    def _check_statistics(self, statistics):
        if not isinstance(statistics, Statistics):
            raise TypeError(f"expected Statistics, got {type(statistics).__name__}")
        if statistics._family != type(self._family()).__name__ or statistics.parameters != self._digest():
            raise ValueError(
                "these statistics were not made at the parameters of this model: make new ones of the rows, or move "
                "them with the method recentre of the model that made them"
            )

    def _sums(self, encoded, record):
        """Arrays by name of a record of the engine: the family's, then those of the proportions."""
        layout, shapes = self._layouts_of_sums(encoded)
        sums, first = layout.view(record[: layout.size])._asdict(), layout.size
        for name, shape in shapes.items():
            last = first + math.prod(shape)
            sums[name] = record[first:last].reshape(shape)
            first = last
        return sums

    def _record(self, encoded, statistics):
        """Sums as the engine wants them; ValueError where they are none of this family."""
        (layout, shapes), sums = self._layouts_of_sums(encoded), statistics._sums
        fields = layout.record._fields
        if sums.keys() != {*fields, *shapes}:
            raise ValueError(f"the statistics have sums {sorted(sums)}, and should have {sorted({*fields, *shapes})}")
        for name, shape in shapes.items():
            if sums[name].shape != tuple(shape):
                raise ValueError(f"the sums {name} should have the shape of {tuple(shape)}, got {sums[name].shape}")
        own = layout.pack(layout.record(**{name: sums[name] for name in fields}))
        return np.concatenate([own, *(np.ravel(sums[name]) for name in shapes)])

    def _layouts_of_sums(self, encoded):
        """(layout of the family's sums, shapes of those of the proportions by name)"""
        n_components = len(self.weights_)
        layout = encoded.family.stats_layout(n_components, self._n_fitted_features())
        return layout, self._proportions().stats_of_rows(n_components)


def _as_lists(categories):
    return None if categories is None else [own.tolist() for own in categories]
