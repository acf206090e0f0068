"""What mixtures of components with a mean and a covariance share: structures, starts, units, degenerate covariances."""

from __future__ import annotations

from numbers import Real

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from mixfast._typing import Floats
from mixfast.engine._rows import all_finite
from mixfast.estimators._by_em import MixtureByEM
from mixfast.estimators._constraints import Names
from mixfast.estimators._given import check_parameters, check_weights, finish_given, numbers, precision_of
from mixfast.families.covariances import LINE_SHAPES, SHAPES
from mixfast.families.domains import check_domain
from mixfast.status import Status
from mixfast.units import DataUnits, StandardUnits

#: What `reg_covar` is measured in, by the names that `regularization` gives them.
UNITS = {"absolute": DataUnits, "relative": StandardUnits}

#: The least range of a column, in roots of the least variance that is held: components of a sixteenth of the width of
#: all rows still have it. The M-step cannot say it: in a start from single rows it sees what rounding leaves of a
#: variance, and Student-t components that shrink onto equal rows pass through any.
LEAST_RANGE = 16

#: Attributes that say how wide components are.
SCALES = {"covariances_", "precisions_cholesky_", "precisions_"}

#: Those that say it of factor analysers: the others are made of these where they are asked for.
LOADINGS = {"loadings_", "noise_variances_"}

#: (given, wanted) -> (family, values) -> what is wanted
CONVERSIONS = {
    ("covariances_", "precisions_cholesky_"): lambda family, values: family.factor_covariances(values),
    ("precisions_", "precisions_cholesky_"): lambda family, values: family.cholesky_of_precisions(values),
    ("precisions_cholesky_", "covariances_"): lambda family, values: family.covariances(values),
    ("precisions_cholesky_", "precisions_"): lambda family, values: family.precisions(values),
}


def scales_of_given(family, given):
    """The family's spread parameters by name (covariances and factors), from those that are `given` by name."""
    if family.made_of_scales:
        return dict(zip(family.scales, self_consistent(family, given), strict=True))
    missing = [name for name in family.scales if name not in given]
    if missing:
        raise ValueError(f"{' and '.join(missing)} of factor analysers should be given: {', '.join(family.scales)}")
    return {name: given[name] for name in family.scales}


def self_consistent(family, given):
    """(covariances, factors of precisions) from those that are `given` by name; ValueError if given ones disagree."""
    ways = [name for name in ("covariances", "precisions_cholesky", "precisions") if name in given]
    if not ways:
        raise ValueError("covariances, precisions and precisions_cholesky are None: give one of them")
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        factors = {
            name: given[name]
            if name == "precisions_cholesky"
            else CONVERSIONS[f"{name}_", "precisions_cholesky_"](family, given[name])
            for name in ways
        }
        covariances = [given[name] if name == "covariances" else family.covariances(factors[name]) for name in ways]
        precisions = [family.precisions(own) for own in factors.values()]
    if not all(np.all(np.isfinite(own)) for own in [*covariances, *precisions]):
        raise ValueError(f"{' or '.join(ways)} should have finite inverses: scale all parameters to moderate size")
    if not all(family.agree(covariances[0], other) for other in covariances[1:]):
        raise ValueError(f"{' and '.join(ways)} are not those of one model: give one of them alone")
    return covariances[0], factors.get("precisions_cholesky", factors[ways[0]])


class EllipticalMixture(MixtureByEM):
    """Base of the estimators whose family is `Elliptical`: parameters become attributes of their names."""

    _parameter_constraints: dict = {
        **MixtureByEM._parameter_constraints,
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
        "on_degenerate": [Names(["repair", "raise"])],
        "regularization": [Names(UNITS)],
    }

    _attribute_constraints: dict = {
        **MixtureByEM._attribute_constraints,
        "covariances_": [np.ndarray, list],
        "precisions_cholesky_": [np.ndarray, list],
        "precisions_": [np.ndarray, list],
    }

    _structural: tuple[str, ...] = ("covariance_type",)
    _shared: dict = {"covariance_type": {"tied": "full"} | dict.fromkeys((*SHAPES, *LINE_SHAPES), "VVV")}

    def _published(self, params):
        family = self._family()
        return *params, *(
            family.precisions(params.precisions_cholesky.astype(np.float64)) for _ in family.made_of_scales
        )

    def _publish(self, params, dtype):
        with np.errstate(over="ignore", invalid="ignore"):
            # precisions are those of the factors as they are rounded, wherever these come from
            params = params._make(array.astype(dtype, copy=False) for array in params)
            arrays = [array.astype(dtype, copy=False) for array in self._published(params)]
        if not all(map(all_finite, arrays)):
            raise self._status_error(Status.NOT_FINITE, dtype)
        arrays = [array if array.ndim else array[()] for array in arrays]  # a number where components have one
        names = [f"{name}_" for name in (*self._published_fields(params), *self._family().made_of_scales)]
        for name in (SCALES | LOADINGS) - set(names):  # of a fit with another structure
            vars(self).pop(name, None)
        self._publish_together(**dict(zip(names, arrays, strict=True)))

    def _published_fields(self, params):
        """The names of those arrays of a record that become attributes."""
        return params._fields

    def _collect(self):
        params = self._family().Params
        return params(*(getattr(self, f"{name}_") for name in params._fields))

    def _check_domains_of_components(self):
        super()._check_domains_of_components()
        if "precisions_" in vars(self):
            check_domain("precisions_", np.asarray(self.precisions_), self._family().domains["precisions"])

    #: The same in three ways: the two others follow whichever is assigned.
    _followers = {name: tuple(SCALES - {name}) for name in SCALES} | dict.fromkeys(LOADINGS, tuple(SCALES))

    def _check_may_be_assigned(self, name):
        if name in SCALES and vars(self).keys() >= LOADINGS:
            raise AttributeError(f"{name} is made of {' and '.join(sorted(LOADINGS))}: assign these")

    def _follow(self, name):
        if name in SCALES and vars(self).keys() >= LOADINGS:
            family, params = self._family().apart(self._collect())
            made = params._asdict() | {"precisions": family.precisions(params.precisions_cholesky)}
            return made[name.removesuffix("_")]
        known = SCALES & vars(self).keys()
        if name not in SCALES or not known:
            return super()._follow(name)
        # factors lie between the two others
        given = "precisions_cholesky_"
        if name == given:
            given = "covariances_" if "covariances_" in known else "precisions_"
        values = getattr(self, given)
        try:
            with np.errstate(all="ignore"):  # what is no scale is said by name
                made = CONVERSIONS[given, name](self._family(), values.astype(np.float64))
        except ValueError as wanted:
            raise ValueError(f"{given} should be {wanted}: covariance_type={self.covariance_type!r}") from None
        check_domain(given, values, self._family().domains[given.removesuffix("_")])
        return np.array(made, dtype=values.dtype if values.dtype == np.float32 else np.float64)

    @classmethod
    def _of_given(cls, weights, parameters, feature_names, options):
        """The model of `from_parameters`, from the `parameters` that are not None."""
        weights = check_weights(weights)
        model = cls(1, **options)
        model.n_components = len(weights) - model._n_weights() + 1
        model._validate_params()
        family = model._family()
        may_lack = {name.removesuffix("_") for name in SCALES | LOADINGS}
        given = {name: own for name, own in parameters.items() if own is not None or name not in may_lack}
        ways = (*family.scales, *family.made_of_scales)
        others = sorted(given.keys() & may_lack - set(ways))
        if others:
            raise ValueError(
                f"{others[0]} was given, and covariance_type={model.covariance_type!r} takes {', '.join(ways)}"
            )
        n_features = numbers("means", given["means"], 2).shape[1]
        scale_shape = family.covariance_shape(len(weights), n_features)
        arrays = check_parameters(family, len(weights), n_features, given, also={"precisions": scale_shape})
        record = {name: array.astype(np.float64) for name, array in arrays.items()}
        record |= scales_of_given(family, record)
        record.pop("precisions", None)
        dtype = precision_of([weights, *arrays.values()])
        params = family.Params(**record)
        design = model._given_design(len(weights), params)
        return finish_given(model, weights, params, dtype, n_features, feature_names, given, **design)

    def _given_design(self, n_weights, params):
        """Further fitted attributes of a model of given parameters, by name without the underscore."""
        return {}

    def covariance_matrices(self) -> Floats:
        """Make matrices of the covariances of all components, whatever `covariance_type` is.

        Returns
        -------
        matrices : ndarray of shape (n_components, n_features, n_features)
            Symmetric; for structures that are diagonal or shared, too.
        """
        check_is_fitted(self)
        return self._family().covariance_matrices(self._collect())

    @property
    def scale_(self) -> NDArray[np.float64]:
        """Volumes of the covariances, det(covariance)^(1 / n_features), in squared units of the data.

        Returns
        -------
        scale : ndarray of shape (n_components,)
        """
        return self._decomposed()[0]

    @property
    def shape_(self) -> NDArray[np.float64]:
        """Variances on the axes of `orientation_`, over `scale_`: of product 1.

        Returns
        -------
        shape : ndarray of shape (n_components, n_features)
        """
        return self._decomposed()[1]

    @property
    def orientation_(self) -> NDArray[np.float64]:
        """Axes of the covariances, orthogonal, in columns.

        Those of the largest variances come first; where covariances are diagonal they are the columns of the data.
        covariance_k is scale_[k] * orientation_[k] diag(shape_[k]) orientation_[k]'.

        Returns
        -------
        orientation : ndarray of shape (n_components, n_features, n_features)
        """
        return self._decomposed()[2]

    def _decomposed(self):
        matrices = self.covariance_matrices().astype(np.float64)
        axes = self._family().axes(matrices)
        variances = np.maximum(np.einsum("kji,kjl,kli->ki", axes, matrices, axes), np.finfo(float).tiny)
        scales = np.exp(np.mean(np.log(variances), axis=1))
        arrays = scales, variances / scales[:, np.newaxis], np.array(axes)
        for array in arrays:
            array.flags.writeable = False
        return arrays

    def _without_default_regularization(self):
        is_default = self._has_default("reg_covar") and self._has_default("regularization")
        return {"reg_covar": 0.0} if is_default else {}

    def _known_units(self, family, moments):
        return UNITS[self.regularization].from_design(family, moments)

    def _units(self, family, X, sample_weight):
        units = UNITS[self.regularization](family, X, sample_weight)
        if not np.isfinite(units.log_volume):
            raise self._status_error(Status.NOT_FINITE, X.dtype)
        return units

    def _narrow_columns(self, ranges):
        least_variance = np.finfo(ranges.X.dtype).tiny
        if self.regularization == "relative" or self.reg_covar >= least_variance:
            return None
        least = LEAST_RANGE * np.sqrt(least_variance)
        narrow = (ranges.values > 0) & (ranges.values < least)
        if not narrow.any():
            return None
        with np.errstate(over="ignore", invalid="ignore"):  # a range may be infinite
            for i in np.flatnonzero(np.any(narrow, axis=1)):
                narrow[i] &= self._family().column_units(ranges.values[i]) < least
        return narrow if np.any(narrow) else None

    def _start_is_given(self):
        weights = self.weights_init if self.weights is None else self.weights
        return not any(given is None for given in (weights, self.means_init, self.precisions_init))

    def _given_start(self, n_features, units):
        if all(given is None for given in (self.weights, self.weights_init, self.means_init, self.precisions_init)):
            return None
        family = self._family()
        if self.precisions_init is not None and not family.made_of_scales:
            raise ValueError(
                f"precisions_init was given, and covariance_type={self.covariance_type!r} has none: start from labels, "
                "init_params, or from a model of given parameters with warm_start=True"
            )
        layout = family.params_layout(self._n_weights(), n_features)
        weights, params = np.full(self._n_weights(), np.nan), np.full(layout.size, np.nan)
        record = layout.view(params)
        if self.weights is not None:
            if self.weights_init is not None:
                raise ValueError("weights and weights_init were both given: weights stay as they are from the start")
            weights = np.asarray(self.weights, dtype=np.float64)
        elif self.weights_init is not None:
            weights = self._check_weights_init()
        if self.means_init is not None:
            means = self._check_shape(self.means_init, record.means.shape, "means", "means_init")
            record.means[...] = units.enter(record._replace(means=means)).means
        if self.precisions_init is not None:
            factors = self._factor_precisions_init(family, record.precisions_cholesky.shape)
            with np.errstate(over="ignore", invalid="ignore"):
                covariances = family.covariances(factors)
            if not np.all(np.isfinite(covariances)):
                raise ValueError(
                    f"'{self.covariance_type} precision' has no finite inverse; scale precisions_init and X together"
                )
            given = units.enter(record._replace(covariances=covariances, precisions_cholesky=factors))
            record.covariances[...], record.precisions_cholesky[...] = given.covariances, given.precisions_cholesky
        return weights, params

    @staticmethod
    def _check_shape(given, shape, name, argument):
        """An array of that shape. Messages begin with scikit-learn's words, which call it `name`, and end with the
        argument."""
        try:
            with config_context(assume_finite=False):  # that is said of rows: NaN would be what a start has to find
                given = check_array(given, dtype=[np.float64, np.float32], ensure_2d=False, allow_nd=True)
        except ValueError as error:
            raise ValueError(f"{error} It is in {argument}") from None
        if given.shape != shape:
            raise ValueError(
                f"The parameter '{name}' should have the shape of {shape}, but got {given.shape} for {argument}"
            )
        return given.astype(np.float64)

    def _check_weights_init(self):
        weights = self._check_shape(self.weights_init, (self._n_weights(),), "weights", "weights_init")
        if np.any(weights < 0) or np.any(weights > 1):
            raise ValueError(
                "The parameter 'weights' should be in the range [0, 1], but got max value "
                f"{weights.max():.5f}, min value {weights.min():.5f} in weights_init"
            )
        # a float32 array sums to one only so far
        atol = 1e-6 if np.asarray(self.weights_init).dtype == np.float32 else 1e-8
        if not np.isclose(weights.sum(), 1.0, rtol=0, atol=atol):
            raise ValueError(
                "The parameter 'weights' should be normalized, but got sum(weights) = "
                f"{weights.sum():.5f} of weights_init"
            )
        return weights

    def _factor_precisions_init(self, family, shape):
        name = f"{self.covariance_type} precision"
        precisions = self._check_shape(self.precisions_init, shape, name, "precisions_init")
        try:
            return family.cholesky_of_precisions(precisions)
        except ValueError as wanted:
            raise ValueError(f"'{name}' should be {wanted}, in precisions_init") from None

    def _raises_on(self):
        return Status.NOT_FINITE | (Status.REPAIRED_COVARIANCE if self.on_degenerate == "raise" else Status.OK)

    def _status_error(self, status, dtype):
        if status & Status.NOT_FINITE:
            return super()._status_error(status, dtype)
        return ValueError(
            "Fitting the mixture model failed because some components have ill-defined empirical covariance (for "
            "instance caused by singleton or collapsed samples). Try to decrease the number of components, increase "
            "reg_covar, or scale the input data."
            + (
                " The numerical accuracy can also be improved by passing float64 data instead of float32."
                if dtype == np.float32
                else ""
            )
        )
