"""What all mixtures share, whichever way they are fitted: reading rows, the fitted state, passes over rows, prediction.

Nothing here knows a family: a subclass says which one it is (`_family`), and how its parameters are read back from the
fitted attributes (`_collect`).
"""

from __future__ import annotations

from abc import abstractmethod
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from mixfast._docstrings import described
from mixfast._threads import resolve_threads
from mixfast._typing import Floats, Integers, RowsLike, Seed
from mixfast._warnings import warn
from mixfast.engine._pass import Pass
from mixfast.engine._predictions import evaluate, evaluate_components
from mixfast.estimators._density import DensityEstimator, of_rows
from mixfast.estimators._domain import first_outside
from mixfast.estimators._published import KEPT
from mixfast.estimators._rows import check_is_here, read_rows
from mixfast.families.domains import DISTRIBUTION, check_domain
from mixfast.families.family import Encoded, is_sparse
from mixfast.families.rounding import rounded_finite
from mixfast.in_messages import in_short, one_name
from mixfast.relations import Components
from mixfast.row_data import OF_COMPONENTS, TAKEN, known_data, of_family, rows_of, rows_with, separated
from mixfast.status import Status
from mixfast.tables import canonical, feature_names
from mixfast.units import DataUnits


class Evaluation(NamedTuple):
    """Predictions for each row: log density, most likely component, responsibilities, the largest of these. None if not
    asked for."""

    log_norm: np.ndarray | None
    labels: np.ndarray | None
    resp: np.ndarray | None
    largest: np.ndarray | None


class Ready:
    """A fitted model as passes want it, of attributes that stay as they are; see `Kept`.

    Attributes are set once and are whole then: two threads at worst make the same twice.
    """

    def __init__(self, family):
        self.family, self._of_layout, self._bound = family, (None, None), {}

    def state(self, mixture, layout):
        """`_packed_state`"""
        known, state = self._of_layout
        if known is not layout:
            state = mixture._packed_state(layout)
            self._of_layout = layout, state
        return state

    def bind(self, encoded, n_components, dtype):
        """The capsule of encoded rows; one that serves all rows where the family learned nothing of these."""
        if encoded.family is not self.family or is_sparse(encoded.rows):
            return encoded.bind(n_components, dtype)
        asked = n_components, encoded.rows.shape[1], dtype
        if asked not in self._bound:
            self._bound[asked] = encoded.bind(n_components, dtype)
        return self._bound[asked]


@described
class BaseMixture(DensityEstimator):
    """Base of the mixture estimators."""

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

    #: Whether `score_samples` is what a pass of the family over the rows finds.
    _scores_by_its_family: bool = True

    #: Whether a fit finds how many components there are.
    _finds_components: bool = False

    #: Parameters of the constructor that say which rows criteria are of: fits that differ in them are not compared.
    _says_rows: tuple[str, ...] = ()

    #: Parameters of the constructor that say what the fitted parameters are; a warm start needs them as they were.
    _structural: tuple[str, ...] = ()

    # ---- what a subclass says ----

    @abstractmethod
    def _family(self):
        """The family, with the estimator's hyper-parameters."""

    def _mixing(self):
        """The numbers of the proportions, float64, from the fitted attributes."""
        return np.asarray(self.weights_, dtype=np.float64)

    @abstractmethod
    def _collect(self):
        """The record of parameters from the fitted attributes."""

    def _prepare_rows(self, X):
        """Validated rows as the family wants them; raises ValueError where they are outside its domain."""
        return X

    def _as_given(self, rows):
        """Rows of `_draw` in the form that X had: categories, and columns of parts in their order."""
        return rows

    def _allows_nan(self, n_features):
        """Where NaN is a missing value, a bool for each column."""
        return np.full(n_features, get_tags(self).input_tags.allow_nan)

    def _measured(self, n_features):
        """The columns of numbers that may have missing entries, which take a family of their own: a mask."""
        return np.zeros(n_features, dtype=bool)

    def _has_gaps(self, X):
        """Whether entries of such columns are missing in prepared rows."""
        return False

    def _for_parts_of(self, X):
        """The estimator for fits to some of the rows X each, with what they are to have in common; perhaps with what
        each row has beside its values."""
        return self

    def _by_place(self, names):
        """The estimator for arrays whose columns are called so: what it says of columns is said by their places."""
        return self

    def _by_name(self, names):
        """What `_by_place` was made of, for columns that all have names of their own."""
        return self

    def _reads(self, names):
        """Mask of the columns that the model uses, given the columns' names."""
        return np.ones(len(names), dtype=bool)

    def _learn_columns(self, n_features, names):
        """Set n_features_in_, and feature_names_in_ if the columns have names."""
        self.n_features_in_ = n_features
        strings = None if names is None else feature_names(names)
        if strings is not None:
            self.feature_names_in_ = strings

    def _is_kept_whole(self):
        """Whether fits of a batch are kept as estimators: there is more to them than weights and parameters of a number
        of components."""
        return self._finds_components

    def _kept_of_columns(self):
        """What a batch has learned of all its rows beside parameters, and a file of it says for `_take_up_columns`, by
        name."""
        return {}

    def _shapes_of_arrays(self, n_features):
        """Shapes of the arrays that a batch keeps of a fit, by name, where no problem of it could be fitted."""
        return {}

    def _check_for_batches(self):
        """Raise ValueError for constructor parameters that suit a single X only, such as arrays with a value for each
        row."""

    def _check_numbering(self, names):
        """Raise ValueError where a fit would number components anew, and what is said of them has their numbers;
        `names` are those of the row data that are given."""

    def _may_meet_unseen(self):
        """Whether values that no fit has seen are missing: rows are then encoded one problem at a time."""
        return False

    def _learn_widths(self, n_features, row_data):
        """What a fit learns of the numbers of columns, where all rows were left out; `row_data` has arrays without
        rows."""

    def _learn_row_data(self, names):
        """Record which row data the fit had; what was said of components is not kept in files."""
        of_components = tuple(name for name in OF_COMPONENTS if name in names)
        if of_components:  # a file gives back all that other models have
            self._fitted_with = of_components
        known = {name: own for name, (own, _) in TAKEN.items() if name in self._row_data}
        self._publish_together(**{own: name in names for name, own in known.items()})

    #: Fitted attributes that rows say beside parameters, where they do; a batch keeps them for each problem.
    _of_rows: tuple[str, ...] = ()

    def _design_of_rows(self, X, sample_weight):
        """Those of `_of_rows` that prepared rows alone say, whatever the fit, such as their totals; by name."""
        return {}

    def _learn_design(self, X, sample_weight):
        """Keep what `sample` needs of the prepared rows in addition to parameters."""
        self._publish_together(**self._design_of_rows(X, sample_weight))

    def _status_error(self, status, dtype):
        """The error that says what `status` means and what to do."""
        return ValueError(
            "Fitting the mixture model failed because log densities, sums over the data or parameters made of them are "
            "not finite, or variances are less than the precision of X can hold. Scale the columns of X to moderate "
            "size, and with them the start where one is given"
            + (", or pass float64 data instead of float32." if dtype == np.float32 else ".")
        )

    # ---- what the fitted parameters are parameters of ----

    def _remember_structure(self):
        """Keep what the fitted parameters are parameters of."""
        self._fitted_structure = {name: getattr(self, name) for name in self._structural}

    def __setstate__(self, state):
        super().__setstate__(state)
        if hasattr(self, "weights_") and "_fitted_structure" not in state:  # files, and pickles of before, have none
            self._remember_structure()

    def _check_structure(self):
        """Raises ValueError where the estimator has been given another structure since its fit."""
        for name, value in vars(self).get("_fitted_structure", {}).items():
            if getattr(self, name) != value:
                raise ValueError(f"{name} is {in_short(getattr(self, name))}, and was {in_short(value)} in that fit")

    # ---- fitting ----

    @of_rows
    def fit_predict(
        self, X: RowsLike, y: object = None, sample_weight: ArrayLike | None = None, **row_data: ArrayLike | None
    ) -> Integers:
        """Fit, then the most likely component of each row: `fit(X).predict(X)`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows, with the columns that `fit` had.
        y : Ignored
            Not used; scikit-learn's tools pass it.
        sample_weight : array-like of shape (n_samples,), default=None
            Rows of weight 0 have labels too, so they must be such as `predict` takes.
        **row_data
            As in `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            Numbers of components, from 0.
        """
        check_is_here(X)  # before the fit
        return self.fit(X, y, sample_weight=sample_weight, **row_data).predict(X, **row_data)

    def _as_passed(self, data):
        """Row data that `_check_row_data` has checked, in the form that users pass it in, without what it added."""
        return known_data(self, data)

    # ---- the units that rows are fitted in ----

    def _known_units(self, family, moments):
        """The units of rows with the moments that a design has."""
        return DataUnits(family, None, None)

    def _units(self, family, X, sample_weight):
        """The units that the rows are fitted in."""
        return DataUnits(family, X, sample_weight)

    def _given_prior(self, family, units, n_features):
        """The family with its options converted from units of the data to the units that rows are fitted in."""
        return family

    def _volume(self, units, total_weight):
        """What the lower bound loses to the units that rows are fitted in."""
        return units.log_volume

    def _raises_on(self):
        """Statuses that stop a fit and raise `_status_error`."""
        return Status.NOT_FINITE

    # ---- checks ----

    def _called(self, place):
        """How messages call a column of prepared rows."""
        names = vars(self).get("feature_names_in_")
        return f"column {place if names is None or place >= len(names) else one_name(names[place])}"

    def _check_finite(self, X):
        """Raises ValueError where prepared rows hold infinity, or NaN that is no missing value."""
        kinds = {"infinity": np.isinf} if self._accepts_missing else {"infinity": np.isinf, "NaN": np.isnan}
        for name, is_it in kinds.items():
            found = first_outside(X, is_it)
            if found is not None:
                raise ValueError(
                    f"Input X contains {name}: {self._called(found[1])}, row {found[0]}: leave such rows out, "
                    "or fill them in"
                )

    def _read_rows(self, X, reset=True, **options):
        """Validated rows joined with their row data; `options` are passed on to `_validate_rows`."""
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
        """Rows for the family's `encode`; sparse ones are in canonical CSR form without stored zeros."""
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

    @staticmethod
    def _check_unit_of_weights(sample_weight):
        largest = sample_weight.max()
        if not 1e-30 < largest < 1e30:  # sums of float32 rows hold 1e-38 to 1e38
            raise ValueError(
                f"The largest sample_weight is {largest:.3g}: scale the weights so that it is between 1e-30 and 1e30."
            )

    @staticmethod
    def _kernel_dtype(family, dtype):
        return dtype if dtype in family.dtypes else np.dtype(np.float64)

    # ---- the fitted model ----

    def _n_fitted_features(self):
        """Number of columns; a model put together by hand has no n_features_in_, but its first parameter has them."""
        known = vars(self).get("n_features_in_")
        return np.shape(self._collect()[0])[-1] if known is None else known

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

    def _fitted_params(self):
        """A record of float64 copies of the fitted parameters."""
        layout = self._family().params_layout(len(self.weights_), self._n_fitted_features())
        return layout.view(layout.pack(self._collect()))

    def _packed_state(self, layout):
        """Numbers of the proportions and parameters, which may have been assigned; ValueError where they make no
        mixture."""
        self._check_assigned()
        return self._mixing(), layout.pack(self._collect())

    def _check_ready(self):
        """Raises where there is no model, or it is not what the parameters say."""
        if "weights_" not in vars(self):  # scikit-learn looks at tags and all attributes: 15 of 90 us of a prediction
            check_is_fitted(self)
        try:
            self._check_structure()
        except ValueError as error:
            raise ValueError(f"{error}: fit again, or set the parameter back") from None

    def _fitted_family(self):
        """The family as predictions want it, whatever parameters have been set since the fit."""
        return self._family()

    def _proportions_of_predictions(self):
        """`Proportions` that turn `_mixing` into log weights; None if `_mixing` are the weights."""
        return None

    def _pass_over(self, X, weighs=True):
        """A pass over X at the fitted parameters, with the weights of components or with 1 in their place, and the
        dtype that results should have."""
        ready = self._ready()  # first: whether there is a model is said before what is wrong with rows
        return self._pass_over_read(self._read_rows(X, reset=False), ready, weighs)

    def _pass_over_read(self, X, ready, weighs=True):
        """The same over rows that have been read; `ready` is what `_ready` says."""
        encoded = ready.family.encode(of_family(X))
        n_components = len(self.weights_)
        mixing, params = ready.state(self, encoded.family.params_layout(n_components, X.shape[1]))
        if not weighs:  # not to be taken off again: the logarithm of a weight of 0 could not be
            return self._pass_at(encoded, X, X.dtype, n_components, (np.ones(n_components), params), bind=ready.bind)
        proportions = self._proportions_of_predictions()
        return self._pass_at(encoded, X, X.dtype, n_components, (mixing, params), proportions, ready.bind)

    def _ready(self):
        """`Ready`, of the fitted attributes as they are now."""
        attributes = vars(self)
        kept = attributes.get(KEPT)
        ready = None if kept is None else kept.find(attributes)
        if ready is None:
            self._check_ready()
            ready = Ready(self._fitted_family())
            if kept is not None:
                self._check_assigned()  # which notes that, and an attribute more would be another state
                kept.keep(attributes, ready)
        return ready

    def _pass_at(self, encoded, X, dtype, n_components, state, proportions=None, bind=Encoded.bind):
        """A pass over encoded rows of X, which has this dtype, and the dtype that results should have."""
        out_dtype = self._dtype_of_results(dtype)
        rows = rows_of(encoded, X, n_components)
        capsule = bind(encoded, n_components, self._kernel_dtype(encoded.family, out_dtype))
        p = Pass(capsule, rows, resolve_threads(self.n_threads), proportions=proportions)
        p.set_state(*state)
        return p, out_dtype

    def _evaluate(self, X, **asked):
        """One pass over X at the fitted parameters."""
        return self._evaluate_pass(*self._pass_over(X), **asked)

    def _evaluate_read(self, X, **asked):
        """The same over rows that have been read, or drawn by `_draw`, which have no names of columns to look at."""
        return self._evaluate_pass(*self._pass_over_read(X, self._ready()), **asked)

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
    def predict(self, X: RowsLike, **row_data: ArrayLike | None) -> Integers:
        """The most likely component of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows, with the columns that `fit` had.
        **row_data
            As in `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            Numbers of components, from 0.
        """
        return self._predicted(rows_with(X, row_data))

    @of_rows
    def predict_proba(self, X: RowsLike, **row_data: ArrayLike | None) -> Floats:
        """The probability of each component given each row, the responsibilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows, with the columns that `fit` had.
        **row_data
            As in `fit`.

        Returns
        -------
        resp : ndarray of shape (n_samples, n_components)
            Rows sum to one.
        """
        return self._evaluate(rows_with(X, row_data), resp=True).resp

    @of_rows
    def score_samples(self, X: RowsLike, **row_data: ArrayLike | None) -> Floats:
        """The log density of each row, in nats.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows, with the columns that `fit` had.
        **row_data
            As in `fit`.

        Returns
        -------
        log_prob : ndarray of shape (n_samples,)
            In nats.
        """
        return self._evaluate(rows_with(X, row_data), log_norm=True).log_norm

    @of_rows
    def component_log_density(self, X: RowsLike, **row_data: ArrayLike | None) -> Floats:
        """The log density of each row under each component, in nats, without the weights of the components.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows, with the columns that `fit` had.
        **row_data
            As in `fit`.

        Returns
        -------
        log_density : ndarray of shape (n_samples, n_components)
            ``logsumexp(log_density + log(weights_), axis=1)`` is `score_samples`.
        """
        p, out_dtype = self._pass_over(rows_with(X, row_data), weighs=False)
        out = np.empty((p.rows.X.shape[0], p.n_components), p.dtype)
        evaluate_components(p, out)
        return rounded_finite(out, out_dtype)

    def _n_columns(self):
        return self._n_fitted_features()

    def _components(self, total=None):
        """`Components` of the fitted model; `total` is the sum of rows, where the model says nothing of it."""
        if total is not None:
            raise TypeError(
                f"total={total!r} is for mixtures of counts given their sums, not for {type(self).__name__}"
            )
        return self._components_of_rows()

    def _components_of_rows(self, **row_data):
        self._check_ready()
        self._check_assigned()
        return Components.of(self._family(), self._collect(), self.weights_, self._n_fitted_features(), **row_data)

    def sample(self, n_samples: int = 1, random_state: Seed = None, as_frame: bool = False) -> tuple[Any, Integers]:
        """Draw rows from the fitted model.

        Parameters
        ----------
        <n_samples, drawing random_state, as_frame>

        Returns
        -------
        <drawn rows>
        y : ndarray of shape (n_samples,), int64
            The component of each row.
        """
        X, labels = self._draw(n_samples, self._rng_of_sample(n_samples, random_state))
        return self._framed(self._as_given(X), as_frame), self._published_labels(labels)

    def _predicted(self, X):
        """Labels of rows with what each has beside its values."""
        return self._published_labels(self._evaluate(X, labels=True).labels)

    def _published_labels(self, labels):
        """What the numbers of components are for users."""
        return labels

    def _draw(self, n_samples, rng, **given):
        """Rows as the family has them, as `_read_rows` gives them too, and their components; `given` is what the family
        wants to know of the rows beside these."""
        labels = self._draw_components(n_samples, rng)
        return self._family().sample(self._fitted_params(), labels, rng, **given), labels
