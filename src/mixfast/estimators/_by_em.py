"""Mixtures that are fitted by EM of so many components: the starts, the loop over them, what they leave.

A subclass says how parameters are published as attributes (`_publish`), beside what `BaseMixture` asks of it.
"""

from __future__ import annotations

import copy
import inspect
import warnings
from abc import abstractmethod
from numbers import Real
from typing import Self

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval

from mixfast import seeding
from mixfast._threads import resolve_threads
from mixfast._typing import RowsLike
from mixfast._warnings import warn
from mixfast.convergence import Monitor, Recorder
from mixfast.engine._fit import fit_rows
from mixfast.engine._rows import Rows
from mixfast.estimators._base import BaseMixture
from mixfast.estimators._constraints import Names, WholeNumber
from mixfast.estimators._density import fitting, of_rows
from mixfast.estimators._given import without_iterations
from mixfast.estimators._holding import HoldsParameters, proportions_of
from mixfast.estimators._partitions import FromPartitions
from mixfast.estimators._statistics import FromStatistics
from mixfast.estimators._streams import FromStreams
from mixfast.families.family import is_sparse
from mixfast.families.rounding import rounded_above_zero, rounded_finite
from mixfast.fitting import bind_model, fingerprint, plan_of
from mixfast.partitions import Source, is_source
from mixfast.proportions._dirichlet import DirichletWeights
from mixfast.proportions._fixed import FixedWeights
from mixfast.proportions._free import FreeWeights
from mixfast.row_data import (
    OF_COMPONENTS,
    check_groups,
    check_known,
    check_number_of_components,
    firsts_of,
    numbered,
    of_family,
    partial_labels,
    rows_of,
    rows_with,
    seeding_rows_of,
    separated,
)
from mixfast.status import Status
from mixfast.units import ColumnRanges
from mixfast.weights import counted_rows

#: Parameters of so many starts may be kept beside each other, or as many numbers as rows have: 8 MB.
MOST_KEPT = 2**20

#: What a fit warns of, in this order.
WARNINGS = {
    Status.MAX_ITER: (
        "Best performing initialization did not converge. Try different init parameters, or increase max_iter, tol, or "
        "check for degenerate data."
    ),
    Status.REPAIRED_COVARIANCE: (
        "Some components had an ill-defined covariance (for instance caused by singleton or collapsed samples); its "
        "diagonal was raised by a fraction of the variance of all rows. Try to decrease the number of components, "
        "increase reg_covar, or scale the input data."
    ),
    Status.CAPPED_PARAMETER: (
        "Some components are so narrow (for instance because all their rows are equal) that a parameter was kept at "
        "its maximum. Decrease n_components, or look for repeated rows and constant columns."
    ),
    Status.EMPTIED_COMPONENT: (
        "Some components lost all their rows: they have the parameters of all rows together, and weight 0 unless "
        "weights are given or have a prior. Decrease n_components, or try another random_state or init_params."
    ),
}
WARNED = int(sum(WARNINGS) | Status.IMPOSSIBLE_ROWS)  # an int: asking an enumeration takes a microsecond

#: Parameters of the constructor that have something for each component.
OF_EACH_COMPONENT = ("weights", "weights_init", "means_init", "precisions_init", "hold")


def _warm_start_error(reason):
    said = str(reason).rstrip(".")  # of scikit-learn, some with a dot at their end
    return ValueError(
        f"warm_start=True needs the columns, categories, n_components and structure of the last fit: {said}. "
        "Set warm_start=False to begin anew."
    )


def has_nan(values):
    return bool(np.isnan(values).any())


class MixtureByEM(HoldsParameters, FromStatistics, FromPartitions, FromStreams, BaseMixture):
    """Base of the mixtures of a number of components that is given."""

    #: Whether clusters of the rows are starts that `select` should try beside the estimator's own.
    _clusters_are_starts: bool = True

    _parameter_constraints: dict = {
        "n_components": [WholeNumber(1)],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [WholeNumber(0)],
        "n_init": [WholeNumber(1)],
        "n_init_policy": [Names(["all", "halving"])],
        "init_params": [Names([*seeding.METHODS, seeding.ELSEWHERE]), "array-like"],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "verbose_interval": [WholeNumber(1)],
        "n_threads": [WholeNumber(1), None],
        "accelerate": [Names(["auto"]), None],
        "canonical_order": ["boolean"],
        "weights": ["array-like", None],
        "hold": [dict, None],
        "weight_concentration": [Interval(Real, 1.0, None, closed="left"), None],
    }

    #: What the class says in the place of `WARNINGS`, by flag.
    _warnings: dict = {}

    #: Whether a fit is more than a search of compiled starts, so that batches leave it to the estimator.
    @property
    def _fits_alone(self):
        return False

    _row_data: dict = {"known_labels": None, "groups": None}

    _attribute_constraints: dict = {**BaseMixture._attribute_constraints, "component_names_": [np.ndarray]}

    #: For subclasses whose constructor has no such parameter.
    accelerate = None
    canonical_order = False
    weights = None
    weight_concentration = None
    trim = None

    def _n_active(self):
        """How many components each row keeps in a fit; 0 for all."""
        return 0

    def _proportions(self):
        """What the M-step makes of the components' counts; raises ValueError where the options do not fit together."""
        held = None if self._hold_of("weights") is None else proportions_of(self._hold_of("weights"), self._n_weights())
        if held is not None:
            if self.weights is not None or self.weight_concentration is not None:
                raise ValueError("hold['weights'] was given beside weights or weight_concentration: set these to None")
            return held
        if self.weights is None:
            return FreeWeights() if self.weight_concentration is None else DirichletWeights(self.weight_concentration)
        if self.weight_concentration is not None:
            raise ValueError(
                f"weights={self.weights} and weight_concentration={self.weight_concentration} were both given: weights "
                "that stay as they are have no prior. Set one of them to None."
            )
        return FixedWeights(self.weights, self._n_weights())

    def _n_weights(self):
        """Number of weights: those of the components, and that of noise if there is noise."""
        return self.n_components

    def _take_up_columns(self, kept):
        """What `_proportions` has to know of columns, from a file of a batch."""

    def _weights_of(self, mixing):
        """Weights, float64, from the numbers of the proportions, which may have more dimensions in front: these are the
        weights, for most."""
        return mixing

    def _publish_mixing(self, mixing, dtype):
        """Set the fitted attributes of the proportions from their numbers, float64."""
        self.weights_ = rounded_above_zero(mixing, dtype)

    def _rounded_mixing(self, mixing, dtype):
        """What `_mixing` gives after `_publish_mixing`; there may be more dimensions in front."""
        return rounded_above_zero(mixing, dtype).astype(np.float64)

    def _bound_dtype(self, dtype):
        """What lower bounds are published in, for rows of this dtype."""
        return dtype

    def _family_of_rows(self, rows, sample_weight):
        """The family of a fit to these rows; its prior may be computed from them."""
        family = self._family()
        if isinstance(family, type):
            raise TypeError(f"{type(self).__name__}._family() should return {family.__name__}(), got the class")
        return family

    @abstractmethod
    def _publish(self, params, dtype):
        """Set the fitted attributes from a record of float64 parameters."""

    def _published(self, params):
        """The arrays that `_publish` rounds to the precision of the data, from a record of parameters, or from one
        whose arrays have more dimensions in front."""
        return params

    def _names_of_many(self, family, layout, n_mixing):
        """The names that `_attributes_of_many` gives."""
        return layout.record._fields

    def _attributes_of_many(self, family, params, mixing, dtype):
        """Fitted attributes of many fits, rounded, by their names without underscore: from a record of float64
        parameters and the numbers of the proportions, which have an axis of fits in front. What an attribute has a list
        for is a list of arrays."""
        return family.rounded(params, dtype)._asdict()

    def _has_default(self, name):
        """Whether a parameter is what the class has for it, and may be set to something else: a subclass whose
        constructor lacks it has made up its mind."""
        known = inspect.signature(type(self)).parameters.get(name)
        return known is not None and getattr(self, name) == known.default

    def _without_default_regularization(self):
        """Parameters to set for fits that a criterion compares: regularization that is only a default is switched
        off."""
        return {}

    def _params_of_codes(self):
        """Parameters to set for a fit to rows of `_draw`, whose categories are numbered."""
        return {}

    def _narrow_columns(self, ranges):
        """In which columns, (n_problems, n_features), prepared rows differ by so little that squares of the differences
        are lost, from their `ColumnRanges`; None where there are none."""
        return None

    def _given_start(self, n_features, units):
        """Weights and packed parameters that the user gave for the start, in the units of the fit, NaN where a start
        has to find them; None where nothing was given."""
        return None

    # ---- fitting ----

    @fitting
    @of_rows
    def fit(
        self,
        X: RowsLike | Source,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        **row_data: ArrayLike | None,
    ) -> Self:
        """Estimate the parameters with EM.

        The model is fitted from `n_init` starts and the one with the largest lower bound is kept; `n_init_policy` says
        whether poor ones are dropped early. From each start, iterations stop when the lower bound moves by less than
        `tol`, or after `max_iter` of them, with a `ConvergenceWarning`. With `warm_start=True` a second call goes on
        from where the first one stopped.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or source of partitions
            What `blocks` makes, and other sources (`mixfast.partitions`), bring their weights with them.
            float32 rows are computed in float32 and summed in float64, those of Gamma, multinomial and Poisson mixtures
            in float64, and parameters are rounded to float32; everything else is converted to float64. Any
            memory layout is read in place.
        y : array-like of shape (n_samples,), default=None
            Labels of which some are not known, -1 or a missing string, are `known_labels`. Complete ones are ignored,
            as pipelines and cross-validation pass classes; so are numbers that are no labels, which `PoissonMixture`
            refuses with ValueError, since they may be exposures.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts. A weight of 2 equals repeating the row, 0 equals leaving it out, whatever it
            holds. Priors take the sum of the weights for the number of rows, and so do criteria unless they are told
            `n_effective`: scale weights that are only relative to sum to n_samples.
        **row_data
            What each row has beside its values, of the names that the class knows; rows of weight 0 may have anything
            there:

            - `known_labels`, (n_samples,), the numbers of the components that rows are known to be of, -1 where that is
              not known: they bind in every E-step, whatever `init_params` begins with, and the log-likelihood of such a
              row is that of its component, log(weight x density). Strings are taken for components in their order,
              which `component_names_` says, and None for what is not known. Or (n_samples, n_components) of bool: the
              components that each row may be of.
            - `groups`, (n_samples,): rows with the same value are of one component, though it is not known of which.
              Their log-likelihood is that of all of them together, at the first row.
            - `exposure`, see `PoissonMixture`.

        Returns
        -------
        self : object
            The estimator itself.
        """
        vars(self).pop("_stream", None)  # what partial_fit remembers is of other parameters
        if is_source(X):
            return self._fit_source(X, sample_weight, row_data)
        if row_data.get("known_labels") is None:
            row_data = row_data | {"known_labels": self._labels_in(y)}
        return self._fit_counted(rows_with(X, row_data), sample_weight)

    def _labels_in(self, y):
        """What `y` knows of the rows' components, None where that is nothing."""
        return partial_labels(y)

    def _fit_counted(self, X, sample_weight):
        """`fit` to rows joined with their row data, none of it validated yet."""
        X, sample_weight, kept = counted_rows(X, sample_weight)
        if sample_weight is not None:
            self._check_unit_of_weights(sample_weight)
            self._check_number_of_rows(len(sample_weight), " of positive weight")
        X = self._rows_of_fit(X)
        init_params = self._check_init_params(X.shape[0], kept)
        self._check_all_begun(init_params)
        self._check_number_of_rows(X.shape[0])
        try:
            self._fit_rows(X, sample_weight, init_params)
        except ValueError:
            self._check_finite(separated(X)[0])  # scikit-learn's assume_finite=True lets through what is not
            raise
        return self

    def _fit_rows(self, X, sample_weight, init_params):
        rows, data = separated(X)
        if self._narrow_columns(ColumnRanges(rows, (0, X.shape[0]))) is not None:
            raise self._status_error(Status.NOT_FINITE, X.dtype)
        self._check_missing(rows)
        family = self._family_of_rows(rows, sample_weight)
        units = self._units(family, rows, sample_weight)
        self._check_components(data, sample_weight, init_params)
        encoded = self._given_prior(family, units, X.shape[1]).encode(of_family(rows_with(units.rows(rows), data)))
        layout = encoded.family.params_layout(self._n_weights(), X.shape[1])
        volume = self._volume(units, X.shape[0] if sample_weight is None else sample_weight.sum())
        found = self._held_values(encoded.family, X.shape[1])
        best = self._search(X, sample_weight, init_params, units, volume, encoded, layout, found)
        fitted = layout.view(best.params)
        left = units.leave(fitted)
        params = best.params if left is fitted else layout.pack(left)  # units of the data: nothing to copy
        best = best._replace(
            params=self._put_held(found, params, encoded.family, X.shape[1]),
            lower_bound=best.lower_bound - volume,
            lower_bounds=[bound - volume for bound in best.lower_bounds],
        )
        self._finish(best, layout, X.dtype)
        self._learn_row_data(data)
        self._learn_design(rows, sample_weight)

    def _check_row_data(self, data, rows, reset):
        checked, others = {}, dict(data)
        known, groups = others.pop("known_labels", None), others.pop("groups", None)
        if reset:
            vars(self).pop("component_names_", None)
        if known is not None:
            of_all = (self._names_of_all.components or None) if reset else vars(self).get("component_names_")
            known, names = check_known(known, rows.shape[0], of_all)
            checked["known_labels"] = known
            names = names if of_all is None else np.array(of_all, dtype=object)
            if reset and names is not None:
                self.component_names_ = names
        if groups is not None:
            checked["groups"] = numbered(groups, rows.shape[0])
        return checked | super()._check_row_data(others, rows, reset)

    def _check_missing(self, rows):
        """Raise ValueError for rows with too many missing entries for a fit."""

    def _check_columns_have_entries(self, rows):
        """Raises ValueError for a column of which all entries are missing."""
        if scipy.sparse.issparse(rows):
            n_missing = np.bincount(rows.indices[np.isnan(rows.data)], minlength=rows.shape[1])
            lost = np.flatnonzero(n_missing == rows.shape[0])
        else:
            lost = np.flatnonzero(np.isnan(rows).all(axis=0))
        if len(lost):
            raise ValueError(f"{self._labels_of_columns()[lost[0]]} has no entry in any row: leave the column out")

    def _check_components(self, data, sample_weight, init_params):
        """Raise ValueError if known labels, sets or groups contradict each other or the parameters."""
        check_number_of_components(data, self._n_weights(), vars(self).get("component_names_"))
        self._check_numbering(data)
        if "groups" in data:
            check_groups(data, self.n_components, self._said_of_groups(data, sample_weight, init_params))

    def _check_numbering(self, names):
        if self.hold and self.canonical_order:
            raise ValueError(
                "canonical_order=True numbers components anew, and hold has their numbers: set one of them"
            )
        if "known_labels" in names and self.canonical_order:
            raise ValueError(
                "canonical_order=True numbers components anew, and known_labels has their numbers: set one of the two"
            )

    def _said_of_groups(self, data, sample_weight, init_params):
        """What all rows of a group have to have in common, by name."""
        return {
            "sample_weight": sample_weight,
            "init_params": None if isinstance(init_params, str) else init_params,
        }

    def _search(self, X, sample_weight, init_params, units, volume, encoded, layout, found):
        """The best start; `found` is what is held. What passes work in, ten times the parameters and more, is gone when
        this returns."""
        rows = rows_of(encoded, X, self._n_weights(), sample_weight, self.trim or 0.0)
        options = {"traces": True}
        which = fingerprint(encoded.rows, sample_weight) if self.warm_start else None
        if self._goes_on():
            warm = self._warm_state(layout, units)
            given, init_params = self._reseeded(warm, X, sample_weight, encoded, layout, init_params)
            options |= {"n_init": 1, "policy": "all"}
            if vars(self).get("_fitted_rows") == which:  # the bound of other rows says nothing about these
                options["before"] = float(self.lower_bound_) + volume
        else:
            given = self._given_start(X.shape[1], units)
        dtype = self._kernel_dtype(encoded.family, X.dtype)
        held, numbers = self._held_in_engine(found, encoded, X.shape[1], units, dtype)
        if held is not None:
            n_mixing = self._proportions().n_numbers(self._n_weights())
            weights, params = (np.full(n_mixing, np.nan), np.full(layout.size, np.nan)) if given is None else given
            given = weights, np.where(np.isnan(numbers), params, numbers)
        seeding_rows = rows if "groups" not in separated(X)[1] else seeding_rows_of(encoded.rows, X, sample_weight)
        if (
            encoded.seeds is not None
            and seeding.measures_distances(init_params)
            and (given is None or any(map(has_nan, given)))
        ):
            seeding_rows = seeding_rows_of(encoded.make_seeds(), X, sample_weight)
        seeding_rows, init_params = self._start_of(seeding_rows, X, sample_weight, init_params, found)
        seed = self._seed()
        n_kept = (self.n_init + seeding.MOST_VIEWS) * layout.size
        takes_room = n_kept > max(MOST_KEPT, X.shape[0] * X.shape[1])
        if given is not None or takes_room or not self._is_free_to_start(X):
            init_params = seeding.settled(init_params)
        model = bind_model(
            encoded,
            seeding_rows.X,
            self._n_weights(),
            X.shape[1],
            dtype,
            self._proportions(),
            given,
            held=held,
            n_active=self._n_active(),
        )
        plan = plan_of(self, init_params, encoded.rows, **options)
        monitor = self._monitor(volume, init_params)
        best = fit_rows(rows, seeding_rows, model, plan, seed, resolve_threads(self.n_threads), monitor)
        if best.fails:
            self._raise_failure(best, X.dtype)
        if self.warm_start:
            self._fitted_rows = which
        return best

    def _n_lloyd_steps(self):
        """How many iterations k-means makes at most; with one, rows are labelled by its seeds."""
        return seeding.LLOYD_MAX_ITER

    def _start_of(self, seeding_rows, X, sample_weight, init_params, found):
        """The rows that k-means runs on, of which those of weight 0 are of no component with parameters, and where EM
        begins."""
        near = self._rows_near_held(X, found) if isinstance(init_params, str) else {}
        if not near:
            return seeding_rows, init_params
        known = separated(X)[1].get("known_labels")
        known = np.full(X.shape[0], -1) if known is None else known.copy()
        for k, row in near.items():
            known[row] = k if known.ndim == 1 else np.arange(known.shape[1]) == k
        return Rows(seeding_rows.X, sample_weight, known=known), init_params

    def _is_free_to_start(self, X):
        """Whether any partition of the rows may be a start: where nothing is said of components."""
        said = any(name in separated(X)[1] for name in OF_COMPONENTS)
        said |= self.trim is not None or self.weights is not None
        return not (said or self._goes_on() or self._n_active() or is_sparse(separated(X)[0]))

    def _monitor(self, volume, init_params):
        """Who is told how a fit goes on; None where nobody is."""
        kinds = seeding.kinds_of_starts(init_params, self.n_init)
        return Monitor(self.verbose, self.verbose_interval, volume, kinds) if self.verbose else None

    def _traces_of_starts(self, X, sample_weight, row_data):
        """(number of a start -> lower bounds of its passes, NaN where a pass was not kept; lower bounds of the start
        that was kept) of a fit made anew."""
        again, recorders = clone(self).set_params(warm_start=False), []

        def keep(volume, _):
            recorders.append(Recorder(volume))
            return recorders[-1]

        again._monitor = keep
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            again.fit(X, sample_weight=sample_weight, **row_data)
        return recorders[0].traces, again.lower_bounds_

    def _goes_on(self):
        """Whether a fit begins where the last one stopped."""
        return self.warm_start and hasattr(self, "converged_")

    def _rows_of_fit(self, X):
        """Validated rows. A warm start keeps the columns of the last fit; any other fit sets them anew."""
        if not (self._goes_on() and hasattr(self, "n_features_in_")):  # put together by hand, it has no columns yet
            return self._read_rows(X, ensure_min_samples=2)
        try:
            self._check_structure()
            self._take_up_parameters()
            return self._read_rows(X, reset=False, ensure_min_samples=2)
        except ValueError as error:
            clone(self)._read_rows(X, ensure_min_samples=2)  # raises what is wrong whatever was fitted before
            raise _warm_start_error(error) from None

    def _check_goes_on(self):
        try:
            self._check_structure()
            self._check_number_fitted()
        except ValueError as error:
            raise _warm_start_error(error) from None

    def _check_number_fitted(self):
        if len(self.weights_) != self._n_weights():
            noise = ", with that of noise" if self._n_weights() != self.n_components else ""
            raise ValueError(
                f"n_components is {self.n_components}, and that fit had {len(self.weights_)} components{noise}"
            )

    def _warm_state(self, layout, units):
        """The fitted parameters, to go on from."""
        try:
            self._check_number_fitted()
            weights, params = self._packed_state(layout)
        except ValueError as error:
            raise _warm_start_error(error) from None
        return weights, layout.pack(units.enter(layout.view(params)))

    def _reseeded(self, given, X, sample_weight, encoded, layout, init_params):
        """Where a warm start begins, and the labels that what is NaN there is found from. A component of weight 0 would
        have no row for ever: such ones begin with the clusters of k-means that the others explain least."""
        weights, params = given
        emptied = np.flatnonzero(weights[: self.n_components] == 0)
        if not len(emptied) or self.weights is not None or weights.shape != (self._n_weights(),):
            return given, init_params
        warn(
            f"Components {emptied.tolist()} had lost all their rows in the last fit: they begin anew with the clusters "
            "of k-means that the others explain least.",
            UserWarning,
        )
        p, dtype = self._pass_at(encoded, X, X.dtype, self._n_weights(), given, self._proportions())
        found = self._evaluate_pass(p, dtype, labels=True, log_norm=True)
        seeds = encoded.make_seeds()
        seeding_rows = seeding_rows_of(encoded.rows if seeds is None else seeds, X, sample_weight)
        clusters = seeding.kmeans(seeding_rows, self.n_components, self._seed()).labels
        sizes = np.bincount(clusters, minlength=self.n_components)
        means = np.bincount(clusters, found.log_norm, self.n_components) / np.maximum(sizes, 1)
        labels, order = found.labels, np.argsort(np.where(sizes > 0, means, np.inf), kind="stable")
        for k, cluster in zip(emptied, order, strict=False):
            labels[clusters == cluster] = k
        groups = separated(X)[1].get("groups")
        if groups is not None:
            labels = labels[np.flatnonzero(firsts_of(groups))][groups]
        weights, params = weights * (1 - len(emptied) / (2 * self.n_components)), params.copy()
        weights[emptied] = 1 / (2 * self.n_components)
        shapes = zip(encoded.family.param_shapes(1, 1), encoded.family.param_shapes(2, 1), strict=True)
        for array, (one, two) in zip(layout.view(params), shapes, strict=True):
            if one != two:  # components have parameters of their own there
                array[emptied] = np.nan
        return (weights / weights.sum(), params), labels

    def _take_up_parameters(self):
        """Adopt constructor parameters that were set since the last fit and do not change the model's structure."""

    def _raise_failure(self, fit, dtype):
        emptied = np.flatnonzero(fit.weights == 0)
        if fit.status & Status.NOT_FINITE and len(emptied) and has_nan(fit.params):
            raise ValueError(
                "Fitting the mixture model failed because parameters are not finite after an M-step in which component "
                f"{emptied[0]} had no rows. A family of your own should give finite ones where counts[k] is 0; if "
                "it does, or is mixfast's, sums overflowed: scale the columns of X to moderate size."
            )
        raise self._status_error(fit.status if fit.status & self._raises_on() else Status.NOT_FINITE, dtype)

    def _finish(self, best, layout, dtype, reorders=True):
        """Publish the best start and warn of what its status says."""
        self._publish_mixing(best.weights, dtype)
        self._publish(layout.view(best.params), dtype)
        if self.canonical_order and reorders:
            # of what was published: rounding to float32 makes equals
            order = self._family().canonical_order(self._collect())
            self._publish_mixing(best.weights[order], dtype)
            self._publish(self._family().reorder(layout.view(best.params), order), dtype)
        if not all(np.isfinite(array).all() for array in self._collect()):  # in the precision of the data
            raise self._status_error(Status.NOT_FINITE, dtype)
        self._remember_structure()
        vars(self).pop("_fitted_with", None)  # of another fit
        self.converged_ = best.converged
        self.n_iter_ = best.n_iter
        bounds = [best.lower_bound, *best.lower_bounds]
        self.lower_bound_, *self.lower_bounds_ = rounded_finite(bounds, self._bound_dtype(dtype))
        self.status_ = Status(best.status)
        self._note_checked()
        if best.status & WARNED:
            self._warn_of_status(best.status)

    def _warn_of_status(self, status):
        for flag, said in WARNINGS.items():
            if status & flag:
                warn(self._warnings.get(flag, said), ConvergenceWarning)
        if status & Status.IMPOSSIBLE_ROWS:
            self._warn_of_impossible_rows()

    # ---- checks ----

    #: Parameters of the constructor by which components share something: name -> {value: that by which they do not}.
    _shared: dict[str, dict[str, str]] = {}

    def _take_components(self, n_components):
        """Set constructor parameters for a model of n_components components that share no parameters."""
        self.n_components = n_components
        for name, of_own in self._shared.items():
            value = getattr(self, name)
            setattr(self, name, of_own.get(value, value))
        for name in set(OF_EACH_COMPONENT) & self.get_params(deep=False).keys():
            setattr(self, name, None)  # those were of other components
        if not isinstance(self.init_params, str):
            self.init_params = "kmeans"

    def _all_weights(self, weights):
        """Weights of a fitted model, in the form of `weights_`, whose components have these, of sum 1."""
        return weights

    def _of_components(self, weights, params):
        """A fitted model of rows of the same columns with other components, which share nothing: weights, whose sum is
        1, and a record of float64 parameters. Noise beside them stays as it is."""
        model, n_components = copy.copy(self), len(weights)
        weights = self._all_weights(weights)
        model._take_components(n_components)
        layout = model._family().params_layout(len(weights), self._n_fitted_features())
        model._finish(without_iterations(weights, layout.pack(params)), layout, np.asarray(self.weights_).dtype)
        return model

    def _shapes_of_arrays(self, n_features):
        family = self._family()
        return dict(zip(family.Params._fields, family.param_shapes(self._n_weights(), n_features), strict=True))

    def _check_for_batches(self):
        if not isinstance(self.init_params, str):
            raise ValueError("init_params of a batch should name a method: labels or responsibilities belong to one X")
        self._check_begins_here()

    def _begins_by_clusters(self):
        return self.init_params == seeding.ELSEWHERE

    def _begin_at(self, labels):
        if labels is not None:
            self.init_params = labels
        elif self._begins_by_clusters():
            self.init_params = "kmeans"

    def _check_start_elsewhere(self):
        if not isinstance(self.init_params, str):
            raise ValueError(
                "init_params of a fit to partitions should name a method: labels or responsibilities are of rows here"
            )

    def _check_begins_here(self):
        """Raise ValueError for a start that is for rows in partitions: they are here."""
        if isinstance(self.init_params, str) and self.init_params == seeding.ELSEWHERE:
            raise ValueError(
                f"init_params={seeding.ELSEWHERE!r} is for rows in partitions or blocks: set 'kmeans' for rows that "
                "are here"
            )

    def _check_begins_by_clusters(self):
        """Raise ValueError where the clusters of all rows, in whatever order, are no start."""
        if self.hold:
            raise ValueError(
                f"hold is of components by their numbers, and init_params={seeding.ELSEWHERE!r} numbers clusters as "
                "it finds them: set init_params='kmeans'"
            )

    @property
    def _least_rows(self):
        """Rows that a fit needs."""
        return max(self.n_components, 2)

    def _check_number_of_rows(self, n_samples, which=""):
        if n_samples < self.n_components:
            raise ValueError(
                f"Expected n_samples >= n_components but got n_components = {self.n_components}, "
                f"n_samples = {n_samples}{which}"
            )
        if n_samples < 2:
            raise ValueError(f"Found {n_samples} sample(s){which} while a minimum of 2 is required to fit")

    def _check_init_params(self, n_counted, kept):
        """The name of a method, or int64 labels or float64 responsibilities of the rows that count; `kept` is a mask
        of these, None where all count."""
        if isinstance(self.init_params, str):
            self._check_begins_here()
            return self.init_params
        given = np.asarray(self.init_params)
        n_samples = n_counted if kept is None else len(kept)
        if given.shape[:1] != (n_samples,) or (given.ndim > 1 and given.shape[1:] != (self._n_weights(),)):
            wanted = f"{(n_samples,)} for labels"
            if given.ndim > 1:
                wanted = f"{(n_samples, self._n_weights())} for responsibilities"
            raise ValueError(f"The parameter 'init_params' should have the shape of {wanted}, but got {given.shape}")
        given = given if kept is None else given[kept]
        if given.ndim == 1:
            return self._check_labels(given)
        resp = check_array(given, dtype=np.float64, order="C", input_name="init_params")
        total = resp.sum(axis=1)
        if np.any(resp < 0) or not np.all(np.isclose(total, 1, atol=1e-6) | (total == 0)):
            raise ValueError(
                "The responsibilities in 'init_params' should be non-negative and sum to 1 in each row, or to 0 where "
                f"nothing is known, but got min value {resp.min():.5f} and sums from {total.min():.5f} to "
                f"{total.max():.5f}"
            )
        return resp

    def _check_labels(self, labels):
        if not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(f"The labels in 'init_params' should be integers, but got dtype {labels.dtype}")
        if labels.min() < -1 or labels.max() >= self._n_weights():
            raise ValueError(
                f"The labels in 'init_params' should be in the range [-1, {self._n_weights() - 1}], -1 for unknown, "
                f"but got min value {labels.min()}, max value {labels.max()}"
            )
        return np.ascontiguousarray(labels, dtype=np.int64)

    def _check_all_begun(self, init_params):
        """A start that is given must give every component some rows of positive weight."""
        if isinstance(init_params, str):
            return
        if init_params.ndim == 1:
            begun = np.bincount(init_params[init_params >= 0], minlength=self.n_components) > 0
            begun = begun[: self.n_components]
        else:
            begun = init_params.sum(axis=0)[: self.n_components] > 0
        if not np.all(begun):
            raise ValueError(
                f"'init_params' gives no rows to component {int(np.argmin(begun))}: every one of the "
                f"n_components = {self.n_components} needs some to start from"
            )
