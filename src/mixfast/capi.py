"""The C interface: plans for fits and evaluations from compiled code, which needs neither Python nor the GIL for them.

`mixfast.h`, in the directory `mixfast.get_include()`, has the functions, which compiled code finds by the capsule
`mixfast.capi.api_v1` or by the integer `address`; `plan` makes what they are given.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from mixfast import seeding
from mixfast.batches.bound_model import BoundModel, has_methods_of_its_own
from mixfast.engine._capi import PlanMemory, check_proportions
from mixfast.engine._capi import address as address
from mixfast.engine._capi import api_v1 as api_v1
from mixfast.estimators._by_em import MixtureByEM
from mixfast.estimators._parameters import unfitted_copy
from mixfast.fitting import plan_of
from mixfast.in_messages import in_short
from mixfast.units import DataUnits
from mixfast.whole import check_whole

__all__ = ["Place", "Plan", "get_pkgconfig", "plan"]

#: What sums begin with.
FIRST_SUMS = "log_likelihood", "weight", "n_impossible", "least_weight"


class Place(NamedTuple):
    """Where an array lies among doubles.

    Parameters
    ----------
    offset : int
        Of its first number.
    shape : tuple of int
        Of the array, in C order.
    """

    offset: int
    shape: tuple[int, ...]

    def of(self, buffer: np.ndarray) -> np.ndarray:
        """The array in a buffer of doubles.

        Parameters
        ----------
        buffer : ndarray of shape (n,)
            Parameters, or sums, as C functions fill them.

        Returns
        -------
        array : ndarray
            A view, not a copy.
        """
        return buffer[self.offset : self.offset + prod(self.shape)].reshape(self.shape)


class Plan:
    """How C functions fit and evaluate: made by `plan`, and never changed.

    So it is its own copy; pickled, it is made anew of the same estimator, at another address.

    Attributes
    ----------
    address : int
        Of the `mixfast_plan`. It is valid as long as this object, or a capsule of it, lives.
    n_components : int
        Number of components, and of weights.
    n_features : int
        Number of columns.
    n_params : int
        Number of doubles of the parameters.
    n_sums : int
        Number of doubles that `gather` adds up.
    dtype : dtype
        What rows, log densities and responsibilities are made of, float32 or float64.
    layout : mapping of str to Place
        Where the arrays of the parameters lie among `params`.
    sums_layout : mapping of str to Place
        Where the arrays of the sums lie among `sums`.

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import GaussianMixture, capi
    >>> made = capi.plan(GaussianMixture(2, covariance_type="diag"), n_features=3)
    >>> made
    Plan(GaussianMixture, n_components=2, n_features=3, dtype=float64)
    >>> made.layout["covariances"]
    Place(offset=6, shape=(2, 3))
    >>> made.layout["means"].of(np.arange(made.n_params))
    array([[0, 1, 2],
           [3, 4, 5]])
    """

    __slots__ = (
        "_made_of",
        "_memory",
        "_name",
        "dtype",
        "layout",
        "n_components",
        "n_features",
        "n_params",
        "n_sums",
        "sums_layout",
    )

    _made_of: tuple[MixtureByEM, int, str]
    _memory: PlanMemory
    _name: str
    dtype: np.dtype[Any]
    layout: Mapping[str, Place]
    n_components: int
    n_features: int
    n_params: int
    n_sums: int
    sums_layout: Mapping[str, Place]

    def __init__(self, made_of, memory, bound, family):
        """For `plan`, which was given `made_of`."""
        n_params, n_sums = memory.sizes()
        K, d = bound.n_components, bound.n_features
        counts = len(FIRST_SUMS)
        sums_layout = {name: Place(i, ()) for i, name in enumerate(FIRST_SUMS)}
        sums_layout["counts"] = Place(counts, (K,))
        sums_layout |= _places(family.stats_layout(K, d), counts + K)
        for attribute, value in {
            "_made_of": made_of,
            "_memory": memory,
            "_name": type(made_of[0]).__name__,
            "dtype": bound.dtype,
            "layout": MappingProxyType(_places(family.params_layout(K, d), 0)),
            "n_components": K,
            "n_features": d,
            "n_params": n_params,
            "n_sums": n_sums,
            "sums_layout": MappingProxyType(sums_layout),
        }.items():
            object.__setattr__(self, attribute, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a plan stays as it is: make another one instead of setting {name!r}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a plan stays as it is: {name!r} cannot be deleted")

    def __copy__(self) -> Plan:
        return self

    def __deepcopy__(self, memo: Any) -> Plan:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return plan, self._made_of

    def __repr__(self) -> str:
        sizes = f"n_components={self.n_components}, n_features={self.n_features}"
        return f"Plan({self._name}, {sizes}, dtype={self.dtype.name})"

    @property
    def capsule(self) -> object:
        """A capsule of the `mixfast_plan`, named "mixfast.capi.plan_v1", which keeps the plan alive."""
        return self._memory.capsule()

    @property
    def address(self) -> int:
        """Of the `mixfast_plan`."""
        return self._memory.address


def _places(layout, first):
    return {
        name: Place(first + offset, shape)
        for name, offset, shape in zip(layout.record._fields, layout.offsets, layout.shapes, strict=False)
    }


def plan(estimator: MixtureByEM, n_features: int, dtype: DTypeLike = "float64") -> Plan:
    """What C functions are told of an estimator: the family, options of the fit, the number of columns, the precision.

    Rows are read as they are, so plans are for families that do nothing to them first: Gaussians of every covariance
    type, Student-t, exponential, Bernoulli and categorical components, without missing entries.

    Parameters
    ----------
    estimator : mixture
        Its parameters are those of the fits, but for `random_state`, `n_threads` and `verbose`, which C functions are
        told at each call or do without, and `warm_start` and `canonical_order`, which have to be False. It is copied.
        Categories have to be given, and rows hold their codes, 0, 1, ...
    n_features : int
        Number of columns.
    dtype : {"float64", "float32"}, default="float64"
        Of the rows, and of log densities and responsibilities. Parameters and sums are doubles; estimators round
        fitted parameters to float32.

    Returns
    -------
    plan : Plan
        For any number of problems and threads.

    Raises
    ------
    TypeError
        For what is no mixture that is fitted by EM.
    ValueError
        For parameters that `fit` refuses, and for estimators whose fits C functions cannot make; the message says what
        to set instead.
    """
    if not isinstance(estimator, MixtureByEM):
        raise TypeError(f"estimator should be a mixture that is fitted by EM, got {in_short(estimator)}")
    n_features = check_whole("n_features", n_features)
    dtype = np.dtype(dtype)
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"dtype={dtype.name!r} should be 'float32' or 'float64'")
    model = unfitted_copy(estimator)
    model._validate_params()
    if not isinstance(model.init_params, str):
        raise ValueError(
            "init_params of a plan should name a method: labels or responsibilities belong to one X. Give `fit` "
            "weights and parameters to start from"
        )
    model._check_begins_here()
    model.init_params = seeding.settled(model.init_params)
    for name in ("warm_start", "canonical_order"):
        if getattr(model, name, False):
            raise ValueError(f"{name}=True is nothing that a plan does: set it to False")
    why = _what_is_learned(model)
    if why is None:
        bound = BoundModel(model, n_features, dtype)
        why = _what_it_does_to_rows(bound, dtype)
    if why is not None:
        raise ValueError(f"there is no plan of this {type(model).__name__}: {why}")
    family = model._given_prior(bound.family, DataUnits(bound.family, None, None), bound.n_features)
    least, largest, is_whole = family.range_of_columns(bound.n_features)
    rows = _example(bound, least)
    encoded = family.encode(rows)
    if encoded.rows is not rows or encoded.base is not None:
        raise ValueError(
            f"there is no plan of this {type(model).__name__}: its family encodes rows in a copy. Fit it in Python"
        )
    given = bound.given_start
    starts_given = given is not None and not any(np.isnan(part).any() for part in given)
    if encoded.seeds is not None and seeding.measures_distances(model.init_params) and not starts_given:
        raise ValueError(
            f"init_params={model.init_params!r} of a {type(model).__name__} runs on a copy of the rows: set "
            "init_params='random_from_data', or give each fit its start"
        )
    fitted = bound.bind(encoded._replace(seeds=None) if encoded.seeds is not None else encoded)
    why = check_proportions(fitted)
    if why is not None:
        raise ValueError(f"there is no plan of this {type(model).__name__}: {why}. Fit it in Python")
    memory = PlanMemory(
        fitted,
        plan_of(model, model.init_params, rows, keeps_to_room=True),
        plan_of(model, model.init_params, rows, keeps_to_room=True, n_init=1, policy="all"),
        least,
        largest,
        is_whole,
    )
    return Plan((unfitted_copy(estimator), n_features, dtype.name), memory, bound, encoded.family)


def _example(bound, least):
    """A row that is in the domain of the family."""
    return np.where(np.isfinite(least), least, 0).astype(bound.dtype)[np.newaxis]


def _what_is_learned(model):
    """Why a view of numbers is not enough for the estimator (row data, categories to be learned), in words and with a
    remedy; None if it is enough."""
    if model._needed_row_data:
        return f"rows of a view have no {', '.join(model._needed_row_data)}. Fit it in Python"
    if isinstance(getattr(model, "categories", None), str) or model._may_meet_unseen():
        return "codes of categories are not learned. Set categories to a list for each column, and unseen='error'"
    return None


def _what_it_does_to_rows(bound, dtype):
    """Why fits of this model need Python (units, encoding, fits of its own), in words and with a remedy; None if they
    do not."""
    if (
        bound.estimator._fits_alone
        or bound.estimator.hold
        or bound.estimator._is_kept_whole()
        or has_methods_of_its_own(type(bound.estimator))
    ):
        return "it fits in a way of its own, which is Python's"
    if bound.has_units():
        return "rows are fitted in units of their own, in a copy. Set regularization='absolute', and scale the rows"
    if not bound.family.batches:
        return "its family is in Python, or its prior is made of the rows of each fit. Fit it in Python"
    if bound.family.range_of_columns(bound.n_features) is None:
        return "its domain is no range of each column. Fit it in Python"
    if bound.dtype != dtype:
        return f"its densities are computed in {bound.dtype.name}. Set dtype={bound.dtype.name!r}"
    return None


def get_pkgconfig() -> str:
    """The directory of `mixfast.pc`, for PKG_CONFIG_PATH: pkg-config and Meson's `dependency("mixfast")` look there.

    Returns
    -------
    path : str
        Absolute.
    """
    return str(Path(__file__).parent / "pkgconfig")
