"""What all mixtures share: validation, the starts, the loop over them, prediction, criteria, sampling.

Nothing here knows a family: a subclass says which one it is (`_family`), how its parameters are published as attributes
(`_publish`) and how they are read back (`_collect`).
"""

from __future__ import annotations

import inspect
from abc import abstractmethod
from numbers import Real
from typing import NamedTuple

import numpy as np
import scipy.sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array, get_tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from mixfast import seeding
from mixfast._threads import resolve_threads
from mixfast._warnings import warn
from mixfast.convergence import Monitor
from mixfast.engine._fit import fit_rows
from mixfast.engine._pass import Pass
from mixfast.engine._predictions import evaluate, evaluate_components
from mixfast.engine._rows import Rows
from mixfast.estimators._constraints import WholeNumber
from mixfast.estimators._density import DensityEstimator, fitting, of_rows
from mixfast.estimators._domain import first_outside
from mixfast.estimators._rows import read_rows
from mixfast.families.domains import DISTRIBUTION, check_domain
from mixfast.families.rounding import rounded_above_zero, rounded_finite
from mixfast.fitting import bind_model, fingerprint, plan_of
from mixfast.proportions._dirichlet import DirichletWeights
from mixfast.proportions._fixed import FixedWeights
from mixfast.proportions._free import FreeWeights
from mixfast.row_data import rows_with, separated
from mixfast.status import Status
from mixfast.tables import canonical, feature_names
from mixfast.units import DataUnits
from mixfast.weights import counted_rows

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


class Evaluation(NamedTuple):
    """Per row: log density, most likely component, responsibilities, the largest of them. None where not asked for."""

    log_norm: np.ndarray | None
    labels: np.ndarray | None
    resp: np.ndarray | None
    largest: np.ndarray | None


def _warm_start_error(reason):
    return ValueError(
        f"warm_start=True needs the columns, categories, n_components and structure of the last fit: {reason}. "
        "Set warm_start=False to begin anew."
    )


def has_nan(values):
    return bool(np.isnan(values).any())


class BaseMixture(DensityEstimator):
    """Base of the mixture estimators."""

    _parameter_constraints: dict = {
        "n_components": [WholeNumber(1)],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [WholeNumber(0)],
        "n_init": [WholeNumber(1)],
        "n_init_policy": [StrOptions({"all", "halving"})],
        "init_params": [StrOptions(set(seeding.METHODS)), "array-like"],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "verbose_interval": [WholeNumber(1)],
        "n_threads": [WholeNumber(1), None],
        "accelerate": [StrOptions({"auto"}), None],
        "canonical_order": ["boolean"],
        "weights": ["array-like", None],
        "weight_concentration": [Interval(Real, 1.0, None, closed="left"), None],
    }

    _attribute_constraints: dict = {
        **DensityEstimator._attribute_constraints,
        "weights_": [np.ndarray, list, tuple],
        "converged_": ["boolean"],
        "lower_bound_": [Real],
        "lower_bounds_": [list],
        "status_": [Status],
    }

    #: The sparse forms that X may have: False, or "csr".
    _accepts_sparse: bool | str = False

    #: Whether X may have entries that are missing, NaN.
    _accepts_missing: bool = False

    #: Whether columns are looked up by their names, whatever these are.
    _looks_up_names: bool = False

    #: What the class says in the place of `WARNINGS`, by flag.
    _warnings: dict = {}

    #: Whether `score_samples` is what a pass of the family over the rows finds.
    _scores_by_its_family: bool = True

    #: Whether a fit is more than a search of compiled starts, so that batches leave it to the estimator.
    _fits_alone: bool = False

    #: Parameters of the constructor that say what the fitted parameters are; a warm start needs them as they were.
    _structural: tuple[str, ...] = ()

    #: For subclasses whose constructor has no such parameter.
    accelerate = None
    canonical_order = False
    weights = None
    weight_concentration = None

    # ---- what a subclass says ----

    @abstractmethod
    def _family(self):
        """The family, with the estimator's hyper-parameters."""

    def _proportions(self):
        """What the M-step makes of the components' counts; raises ValueError where the options do not fit together."""
        if self.weights is None:
            return FreeWeights() if self.weight_concentration is None else DirichletWeights(self.weight_concentration)
        if self.weight_concentration is not None:
            raise ValueError(
                f"weights={self.weights} and weight_concentration={self.weight_concentration} were both given: weights "
                "that stay as they are have no prior. Set one of them to None."
            )
        return FixedWeights(self.weights, self.n_components)

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

    def _mixing(self):
        """What `_publish_mixing` was given, from the fitted attributes."""
        return np.asarray(self.weights_, dtype=np.float64)

    def _volume(self, units, total_weight):
        """What the lower bound loses to the units that rows are fitted in."""
        return units.log_volume

    def _bound_dtype(self, dtype):
        """What lower bounds are published in, for rows of this dtype."""
        return dtype

    def _given_prior(self, family, units, n_features):
        """The family with what the user said of it in units of the data in those that rows are fitted in."""
        return family

    @abstractmethod
    def _publish(self, params, dtype):
        """Set the fitted attributes from a record of float64 parameters."""

    def _published(self, params):
        """The arrays that `_publish` rounds to the precision of the data, from a record of parameters, or from one
        whose arrays have more dimensions in front."""
        return params

    @abstractmethod
    def _collect(self):
        """The record of parameters from the fitted attributes."""

    def _prepare_rows(self, X):
        """Validated rows as the family wants them; raises ValueError where they are outside its domain."""
        return X

    def _allows_nan(self, n_features):
        """Where NaN is a missing value, a bool for each column."""
        return np.full(n_features, get_tags(self).input_tags.allow_nan)

    def _for_parts_of(self, X):
        """The estimator for fits to some of the rows X each, with what they are to have in common."""
        return self

    def _has_default(self, name):
        """Whether a parameter is what the class has for it."""
        return getattr(self, name) == inspect.signature(type(self)).parameters[name].default

    def _without_default_regularization(self):
        """Parameters to set where a criterion compares fits: what is added to estimates by default alone is not."""
        return {}

    def _by_place(self, names):
        """The estimator for arrays whose columns are called so: what it says of columns is said by their places."""
        return self

    def _by_name(self, names):
        """What `_by_place` was made of, for columns that all have names of their own."""
        return self

    def _reads(self, names):
        """Which columns are looked at, a mask, of those that are called so."""
        return np.ones(len(names), dtype=bool)

    def _learn_columns(self, n_features, names):
        """Keep what a fit keeps of the columns: how many they are, and their names or None."""
        self.n_features_in_ = n_features
        strings = None if names is None else feature_names(names)
        if strings is not None:
            self.feature_names_in_ = strings

    def _params_of_codes(self):
        """Parameters to set for a fit to rows of `_sample_codes`."""
        return {}

    def _sample_codes(self, n_samples, random_state, **row_data):
        """As `sample`, rows as the family draws them: categories are numbered, and parts have their columns side by
        side."""
        return self.sample(n_samples, random_state, **row_data)[0]

    def _may_meet_unseen(self):
        """Whether values that no fit has seen are missing: rows are then encoded one problem at a time."""
        return False

    def _known_units(self, family, moments):
        """The units of rows with the moments that a design has."""
        return DataUnits(family, None, None)

    def _units(self, family, X, sample_weight):
        """The units that the rows are fitted in."""
        return DataUnits(family, X, sample_weight)

    def _learn_row_data(self, names):
        """Keep what the rows of a fit had beside their values."""

    def _narrow_columns(self, X, offsets):
        """Which columns of prepared rows, (n_problems, n_features), differ by so little that squares of the differences
        are lost, or None where there are none; problem i has the rows offsets[i] to offsets[i + 1]."""
        return None

    def _learn_design(self, X, sample_weight):
        """Keep what `sample` has to know of the rows, prepared as for a fit, beside the parameters."""

    def _given_start(self, n_features, units):
        """Weights and packed parameters that the user gave for the start, in the units of the fit, NaN where a start
        has to find them; None where nothing was given."""
        return None

    def _raises_on(self):
        """Statuses that stop a fit and raise `_status_error`."""
        return Status.NOT_FINITE

    def _status_error(self, status, dtype):
        """The error that says what `status` means and what to do."""
        return ValueError(
            "Fitting the mixture model failed because log densities, sums over the data or parameters made of them are "
            "not finite, or variances are less than the precision of X can hold. Scale the columns of X to moderate "
            "size, and with them the start where one is given"
            + (", or pass float64 data instead of float32." if dtype == np.float32 else ".")
        )

    # ---- fitting ----

    @fitting
    @of_rows
    def fit(self, X, y=None, sample_weight=None, **row_data):
        """Estimate the parameters with EM.

        The model is fitted from `n_init` starts and the one with the largest lower bound is kept; `n_init_policy` says
        whether poor ones are dropped early. From each start, iterations stop when the lower bound moves by less than
        `tol`, or after `max_iter` of them, with a `ConvergenceWarning`. With `warm_start=True` a second call goes on
        from where the first one stopped.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            float32 rows are computed in float32 and summed in float64, those of Gamma, multinomial and Poisson mixtures
            in float64, and parameters are rounded to float32; everything else is converted to float64. Any
            memory layout is read in place.
        y : Ignored
            Present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts. A weight of 2 equals repeating the row, 0 equals leaving it out, whatever it
            holds. Priors take the sum of the weights for the number of rows, and so do criteria unless they are told
            `n_effective`: scale weights that are only relative to sum to n_samples.
        **row_data
            What each row has beside its values, of the names that the class knows: `exposure`, see `PoissonMixture`.
            Rows of weight 0 may have anything there.

        Returns
        -------
        self : object
        """
        X, sample_weight, kept = counted_rows(rows_with(X, row_data), sample_weight)
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
        if self._narrow_columns(X, (0, X.shape[0])) is not None:
            raise self._status_error(Status.NOT_FINITE, X.dtype)
        family = self._family()
        rows, data = separated(X)
        units = self._units(family, rows, sample_weight)
        encoded = self._given_prior(family, units, X.shape[1]).encode(rows_with(units.rows(rows), data))
        layout = encoded.family.params_layout(self.n_components, X.shape[1])
        volume = self._volume(units, X.shape[0] if sample_weight is None else sample_weight.sum())
        best = self._search(X, sample_weight, init_params, units, volume, encoded, layout)
        fitted = layout.view(best.params)
        left = units.leave(fitted)
        best = best._replace(
            params=best.params if left is fitted else layout.pack(left),  # units of the data: nothing to copy
            lower_bound=best.lower_bound - volume,
            lower_bounds=[bound - volume for bound in best.lower_bounds],
        )
        self._finish(best, layout, X.dtype)
        self._learn_row_data(data)
        self._learn_design(rows, sample_weight)

    def _search(self, X, sample_weight, init_params, units, volume, encoded, layout):
        """The best start. What passes work in, ten times the parameters and more, is gone when this returns."""
        rows = Rows(encoded.rows, sample_weight, encoded.base)
        options = {"traces": True}
        which = fingerprint(encoded.rows, sample_weight) if self.warm_start else None
        if self._goes_on():
            given = self._warm_state(layout, units)
            options |= {"n_init": 1, "policy": "all"}
            if vars(self).get("_fitted_rows") == which:  # the bound of other rows says nothing about these
                options["before"] = float(self.lower_bound_) + volume
        else:
            given = self._given_start(X.shape[1], units)
        seeding_rows = rows
        if (
            encoded.seeds is not None
            and seeding.measures_distances(init_params)
            and (given is None or any(map(has_nan, given)))
        ):
            seeding_rows = Rows(encoded.make_seeds(), sample_weight)
        dtype = self._kernel_dtype(encoded.family, X.dtype)
        model = bind_model(encoded, seeding_rows.X, self.n_components, X.shape[1], dtype, self._proportions(), given)
        plan = plan_of(self, init_params, encoded.rows, **options)
        monitor = Monitor(self.verbose, self.verbose_interval, volume) if self.verbose else None
        best = fit_rows(rows, seeding_rows, model, plan, self._seed(), resolve_threads(self.n_threads), monitor)
        if best.fails:
            self._raise_failure(best, X.dtype)
        if self.warm_start:
            self._fitted_rows = which
        return best

    def _goes_on(self):
        """Whether a fit begins where the last one stopped."""
        return self.warm_start and hasattr(self, "converged_")

    def _rows_of_fit(self, X):
        """Validated rows, of new columns or of those of the last fit."""
        if not (self._goes_on() and hasattr(self, "n_features_in_")):  # put together by hand, it has no columns yet
            return self._read_rows(X, ensure_min_samples=2)
        try:
            self._check_structure()
            self._take_up_parameters()
            return self._read_rows(X, reset=False, ensure_min_samples=2)
        except ValueError as error:
            clone(self)._read_rows(X, ensure_min_samples=2)  # raises what is wrong whatever was fitted before
            raise _warm_start_error(error) from None

    def _warm_state(self, layout, units):
        """The fitted parameters, to go on from."""
        try:
            weights, params = self._packed_state(layout)
            if weights.shape != (self.n_components,):
                raise ValueError(f"there are {len(weights)} fitted components")
        except ValueError as error:
            raise _warm_start_error(error) from None
        return weights, layout.pack(units.enter(layout.view(params)))

    def _remember_structure(self):
        """Keep what the fitted parameters are parameters of."""
        self._fitted_structure = {name: getattr(self, name) for name in self._structural}

    def __setstate__(self, state):
        super().__setstate__(state)
        if hasattr(self, "weights_") and "_fitted_structure" not in state:  # files, and pickles of before, have none
            self._remember_structure()

    def _take_up_parameters(self):
        """Parameters that were set since the last fit, and are no part of its structure, hold from now on."""

    def _check_structure(self):
        """Raises ValueError where the estimator has been given another structure since its fit."""
        for name, value in vars(self).get("_fitted_structure", {}).items():
            if getattr(self, name) != value:
                raise ValueError(f"{name} is {getattr(self, name)!r}, and was {value!r} in that fit")

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
        if not all(np.all(np.isfinite(array)) for array in self._collect()):  # in the precision of the data
            raise self._status_error(Status.NOT_FINITE, dtype)
        self._remember_structure()
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

    @of_rows
    def fit_predict(self, X, y=None, sample_weight=None, **row_data):
        """Fit, then the most likely component of each row: `fit(X).predict(X)`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            Rows of weight 0 have labels too, so they must be such as `predict` takes.
        **row_data
            As in `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
        """
        return self.fit(X, y, sample_weight=sample_weight, **row_data).predict(X, **row_data)

    # ---- checks ----

    def _check_finite(self, X):
        """Raises ValueError where prepared rows hold infinity, or NaN that is no missing value."""
        kinds = {"infinity": np.isinf} if self._accepts_missing else {"infinity": np.isinf, "NaN": np.isnan}
        for name, is_it in kinds.items():
            found = first_outside(X, is_it)
            if found is not None:
                raise ValueError(f"Input X contains {name} in row {found[0]}: leave such rows out, or fill them in.")

    def _read_rows(self, X, reset=True, **options):
        """Validated rows with what each has beside its values; `options` are those of `_validate_rows`."""
        rows, data = separated(X)
        rows = self._validate_rows(rows, reset=reset, **options)
        return rows_with(rows, self._check_row_data(data, rows, reset))

    def _prepared(self, X, reset=True):
        """As `_read_rows`, for rows that are arrays already and have been looked at."""
        rows, data = separated(X)
        rows = self._prepare_rows(rows)
        return rows_with(rows, self._check_row_data(data, rows, reset))

    def _check_row_data(self, data, rows, reset):
        """What each of the validated rows has, checked; `reset` as in `_validate_rows`: for a fit that begins anew."""
        return {name: self._row_data[name](name, values, rows.shape[0], rows.dtype) for name, values in data.items()}

    def _validate_rows(self, X, **options):
        """Rows as the family wants them; those that are sparse without zeros, their columns in order."""
        X = read_rows(
            self,
            X,
            self._accepts_missing,
            dtype=[np.float64, np.float32],
            accept_sparse=self._accepts_sparse,
            **options,
        )
        return self._prepare_rows(canonical(X) if scipy.sparse.issparse(X) else X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = bool(self._accepts_sparse)
        tags.input_tags.allow_nan = self._accepts_missing
        return tags

    def _check_number_of_rows(self, n_samples, which=""):
        if n_samples < self.n_components:
            raise ValueError(
                f"Expected n_samples >= n_components but got n_components = {self.n_components}, "
                f"n_samples = {n_samples}{which}"
            )
        if n_samples < 2:
            raise ValueError(f"Found {n_samples} sample(s){which} while a minimum of 2 is required to fit")

    @staticmethod
    def _check_unit_of_weights(sample_weight):
        largest = sample_weight.max()
        if not 1e-30 < largest < 1e30:  # sums of float32 rows hold 1e-38 to 1e38
            raise ValueError(
                f"The largest sample_weight is {largest:.3g}: scale the weights so that it is between 1e-30 and 1e30."
            )

    def _check_init_params(self, n_counted, kept):
        """The name of a method, or int64 labels or float64 responsibilities of the rows that count; `kept` is a mask
        of these, None where all count."""
        if isinstance(self.init_params, str):
            return self.init_params
        given = np.asarray(self.init_params)
        n_samples = n_counted if kept is None else len(kept)
        if given.shape[:1] != (n_samples,) or (given.ndim > 1 and given.shape[1:] != (self.n_components,)):
            wanted = f"{(n_samples,)} for labels"
            if given.ndim > 1:
                wanted = f"{(n_samples, self.n_components)} for responsibilities"
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
        if labels.min() < -1 or labels.max() >= self.n_components:
            raise ValueError(
                f"The labels in 'init_params' should be in the range [-1, {self.n_components - 1}], -1 for unknown, "
                f"but got min value {labels.min()}, max value {labels.max()}"
            )
        return np.ascontiguousarray(labels, dtype=np.int64)

    def _check_all_begun(self, init_params):
        """A start that is given must give every component some rows of positive weight."""
        if isinstance(init_params, str):
            return
        if init_params.ndim == 1:
            begun = np.bincount(init_params[init_params >= 0], minlength=self.n_components) > 0
        else:
            begun = init_params.sum(axis=0) > 0
        if not np.all(begun):
            raise ValueError(
                f"'init_params' gives no rows to component {int(np.argmin(begun))}: every one of the "
                f"n_components = {self.n_components} needs some to start from"
            )

    @staticmethod
    def _kernel_dtype(family, dtype):
        return dtype if dtype in family.dtypes else np.dtype(np.float64)

    # ---- the fitted model ----

    def _n_fitted_features(self):
        """Number of columns; a model put together by hand has no n_features_in_, but its first parameter has them."""
        return getattr(self, "n_features_in_", None) or np.shape(self._collect()[0])[-1]

    def _check_state(self):
        super()._check_state()
        weights = np.asarray(self.weights_, dtype=np.float64)
        if weights.ndim != 1 or not len(weights):
            raise ValueError(f"weights_ should have a number for each component, got {self.weights_!r}")
        self._family().params_layout(len(weights), self._n_fitted_features()).check(self._collect())
        self._check_assigned()

    def _check_domains(self):
        check_domain("weights_", np.asarray(self.weights_, dtype=np.float64), DISTRIBUTION)
        self._check_domains_of_components()

    def _check_domains_of_components(self):
        domains, record = self._family().domains, self._collect()
        for name, array in record._asdict().items():
            check_domain(f"{name}_", np.asarray(array), domains.get(name, ()))

    def _packed_state(self, layout):
        """Numbers of the proportions and parameters, which may have been assigned; ValueError where they make no
        mixture."""
        self._check_assigned()
        return self._mixing(), layout.pack(self._collect())

    def _check_ready(self):
        """Raises where there is no model, or it is not what the parameters say."""
        check_is_fitted(self)
        try:
            self._check_structure()
        except ValueError as error:
            raise ValueError(f"{error}: fit again, or set the parameter back") from None

    def _fitted_family(self):
        """The family as predictions want it, whatever parameters have been set since the fit."""
        return self._family()

    def _proportions_of_predictions(self):
        """What makes log weights of `_mixing`; None where these are the weights."""
        return None

    def _pass_over(self, X):
        """A pass over X at the fitted parameters, and the dtype that results should have."""
        self._check_ready()
        X = self._read_rows(X, reset=False)
        encoded = self._fitted_family().encode(X)
        state = self._packed_state(encoded.family.params_layout(len(self.weights_), X.shape[1]))
        return self._pass_at(encoded, X.dtype, len(self.weights_), state, self._proportions_of_predictions())

    def _pass_at(self, encoded, dtype, n_components, state, proportions=None):
        """A pass over encoded rows of X, which has this dtype, and the dtype that results should have."""
        out_dtype = np.result_type(dtype, np.asarray(self.weights_).dtype)
        rows = Rows(encoded.rows, base=encoded.base)
        capsule = encoded.bind(n_components, self._kernel_dtype(encoded.family, out_dtype))
        p = Pass(capsule, rows, resolve_threads(self.n_threads), proportions=proportions)
        p.set_state(*state)
        return p, out_dtype

    def _evaluate(self, X, **asked):
        """One pass over X at the fitted parameters."""
        return self._evaluate_pass(*self._pass_over(X), **asked)

    def _evaluate_pass(self, p, out_dtype, log_norm=False, labels=False, resp=False, largest=False):
        n_samples, dtype = p.rows.X.shape[0], p.dtype
        out = Evaluation(
            np.empty(n_samples, dtype) if log_norm else None,
            np.empty(n_samples, np.int64) if labels else None,
            np.empty((n_samples, p.n_components), dtype) if resp else None,
            np.empty(n_samples, dtype) if largest else None,
        )
        only_labels = labels and not (log_norm or resp or largest)
        if evaluate(p, classify=only_labels, **out._asdict()):
            self._warn_of_impossible_rows()
        if dtype != out_dtype:
            out = out._replace(
                **{
                    name: rounded_finite(values, out_dtype)
                    for name, values in out._asdict().items()
                    if values is not None and name != "labels"
                }
            )
        return out

    @staticmethod
    def _warn_of_impossible_rows():
        warn(
            "Some rows have density zero under every component: their log density is -inf and they are shared equally "
            "among the components.",
            UserWarning,
        )

    @of_rows
    def predict(self, X, **row_data):
        """The most likely component of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        **row_data
            As in `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
        """
        return self._evaluate(rows_with(X, row_data), labels=True).labels

    @of_rows
    def predict_proba(self, X, **row_data):
        """The probability of each component given each row, the responsibilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        **row_data
            As in `fit`.

        Returns
        -------
        resp : ndarray of shape (n_samples, n_components)
            Rows sum to one.
        """
        return self._evaluate(rows_with(X, row_data), resp=True).resp

    @of_rows
    def score_samples(self, X, **row_data):
        """The log density of each row, in nats.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        **row_data
            As in `fit`.

        Returns
        -------
        log_prob : ndarray of shape (n_samples,)
        """
        return self._evaluate(rows_with(X, row_data), log_norm=True).log_norm

    @of_rows
    def component_log_density(self, X, **row_data):
        """The log density of each row under each component, in nats, without the weights of the components.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        **row_data
            As in `fit`.

        Returns
        -------
        log_density : ndarray of shape (n_samples, n_components)
            ``logsumexp(log_density + log(weights_), axis=1)`` is `score_samples`.
        """
        p, out_dtype = self._pass_over(rows_with(X, row_data))
        # not the fitted weights: the logarithm of 0 could not be taken off again
        p.set_state(np.ones(p.n_components), p.state()[1])
        out = np.empty((p.rows.X.shape[0], p.n_components), p.dtype)
        evaluate_components(p, out)
        return rounded_finite(out, out_dtype)

    def sample(self, n_samples=1, random_state=None):
        """Draw rows from the fitted model.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None
            None takes the estimator's own `random_state`; if that is an int, each call gives the same rows.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64
            Grouped by component.
        y : ndarray of shape (n_samples,), int64
            The component of each row.
        """
        return self._draw(n_samples, self._rng_of_sample(n_samples, random_state))

    def _draw(self, n_samples, rng, **given):
        """Rows and their components; `given` is what the family wants to know of the rows beside these."""
        labels = self._draw_components(n_samples, rng)
        family = self._family()
        layout = family.params_layout(len(self.weights_), self._n_fitted_features())
        return family.sample(layout.view(layout.pack(self._collect())), labels, rng, **given), labels
