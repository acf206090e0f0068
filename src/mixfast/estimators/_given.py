"""Fitted models of parameters that are given, what every `from_parameters` does.

A model is what a fit without iterations leaves, published by what publishes a fit; before that, what no fit would leave
is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from inspect import signature
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import numpy as np

from mixfast.families.domains import DISTRIBUTION, FINITE, check_domain
from mixfast.in_messages import among, in_short
from mixfast.status import Status
from mixfast.tables import share_names

#: A method, whose type its decorator keeps.
Method = TypeVar("Method", bound=Callable[..., Any])


def of_known_names(from_parameters: Method) -> Method:
    """Decorates a `from_parameters`: raises TypeError for a name that neither it nor the constructor knows, before
    Python says that one is missing which was misspelled."""
    own = [name for name, own in signature(from_parameters).parameters.items() if own.kind is own.KEYWORD_ONLY]

    @wraps(from_parameters)
    def checked(cls, *args, **given):
        known = [*own, *cls._get_param_names()]
        for name in given:
            if name not in known:
                raise TypeError(f"{cls.__name__}.from_parameters() has no parameter {name!r}: {among(name, known)}")
        return from_parameters(cls, *args, **given)

    return cast(Method, checked)


def numbers(name, value, n_dimensions=None):
    """What was given under that name as an array; float32 stays, all else is float64. None is any number of
    dimensions."""
    try:
        array = np.asarray(value)
        is_number = array.dtype.kind in "biuf"
    except ValueError:  # lists of different lengths
        is_number = False
    if not is_number or not array.size:
        raise ValueError(f"{name} should be an array of numbers, got {in_short(value)}")
    if n_dimensions not in (None, array.ndim):
        raise ValueError(f"{name} should have {n_dimensions} dimension(s), got the shape of {array.shape}")
    array = array.astype(np.float32 if array.dtype == np.float32 else np.float64)
    check_domain(name, array, [FINITE])
    return array


def check_weights(weights):
    """Weights of components as an array."""
    weights = numbers("weights", weights, 1)
    check_domain("weights", weights, DISTRIBUTION)
    return weights


def check_column_names(feature_names, n_features):
    """Names as scikit-learn keeps them, or None."""
    if feature_names is None:
        return None
    names = list(feature_names)
    if len(names) != n_features or not all(isinstance(name, str) for name in names) or share_names(names):
        raise ValueError(
            f"feature_names should be {n_features} different strings, one for each column, got "
            f"{in_short(feature_names)}"
        )
    return np.array(names, dtype=object)


def check_parameters(family, n_components, n_features, parameters, also=()):
    """The arrays of `parameters`, by name, which have the shapes of the family's and are in their domains. `also` has
    shapes of what is given beside the fields of `family.Params`."""
    shapes = dict(zip(family.Params._fields, family.param_shapes(n_components, n_features), strict=True)) | dict(also)
    arrays = {}
    for name, value in parameters.items():
        array = arrays[name] = numbers(name, value)
        if array.shape != shapes[name]:
            raise ValueError(
                f"{name} should have the shape of {shapes[name]}, got {array.shape}: there are {n_components} weights "
                f"of components and {n_features} columns"
            )
        check_domain(name, array, family.domains.get(name, ()))
    return arrays


def precision_of(arrays):
    """The dtype of given parameters: float32 if all arrays are float32, as after a fit to float32 rows; else
    float64."""
    return np.result_type(*arrays)


def without_iterations(weights, params):
    """What a fit without iterations leaves, of weights and packed parameters."""
    return SimpleNamespace(
        weights=weights.astype(np.float64),
        params=params,
        converged=False,
        n_iter=0,
        lower_bound=-math.inf,
        lower_bounds=[],
        status=Status.OK,
    )


def name_columns(model, n_features, feature_names):
    """Keep the columns of the given parameters."""
    model.n_features_in_ = n_features
    names = check_column_names(feature_names, n_features)
    if names is not None:
        model.feature_names_in_ = names


def finish_given(model, weights, params, dtype, n_features, feature_names, given, **design):
    """The model, fitted: with a record of float64 parameters and attributes `design` that `sample` wants to know.

    `given` are names of parameters. Where the constructor has one of the same name, that may still be set.
    """
    name_columns(model, n_features, feature_names)
    for name, value in design.items():
        setattr(model, f"{name}_", value)
    layout = model._family().params_layout(len(weights), n_features)
    model._finish(without_iterations(weights, layout.pack(params)), layout, np.dtype(dtype))
    for name in model._fitted_structure.keys() & set(given):
        del model._fitted_structure[name]
    model._check_state()
    return model


def model_of(cls, options, weights, parameters, feature_names, **design):
    """A model of a class, with options of its constructor, of given `parameters` by name; the first is of shape
    (n_components, n_features)."""
    weights = check_weights(weights)
    model = cls(len(weights), **options)
    model._validate_params()
    n_features = numbers(*next(iter(parameters.items())), 2).shape[1]
    family = model._family()
    arrays = check_parameters(family, len(weights), n_features, parameters)
    dtype = precision_of([weights, *arrays.values()])
    return finish_given(model, weights, family.Params(**arrays), dtype, n_features, feature_names, parameters, **design)
