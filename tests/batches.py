"""Batches for tests, and what it means that one equals the fits of its problems alone."""

import warnings

import numpy as np
from sklearn.base import BaseEstimator, clone

from mixfast import Status, fit_many
from mixfast.estimators._published import Kept
from mixfast.seeding import settled

DTYPES = [np.float64, np.float32]
TYPES = ["full", "tied", "diag", "spherical"]
STARTS = ["kmeans", "k-means++", "random", "random_from_data"]
#: Statuses of problems without parameters.
UNUSABLE = Status.NOT_FINITE | Status.TOO_FEW_ROWS | Status.INTERRUPTED | Status.OUT_OF_DOMAIN
#: About chunks (240 doubles, 480 floats), strips (48) and what n_components=3 can just be fitted to.
SIZES = [3, 4, 5, 17, 47, 48, 49, 97, 239, 241, 481, 500, 963, 2003]


def groups(rng, n_rows, n_features, n_groups=3, apart=6.0, dtype=np.float64):
    """Rows of normal groups, in no order."""
    centres = apart * rng.standard_normal((n_groups, n_features))
    return (rng.standard_normal((n_rows, n_features)) + centres[rng.integers(n_groups, size=n_rows)]).astype(dtype)


def ragged(sizes, n_features, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return [groups(rng, n_rows, n_features, dtype=dtype) for n_rows in sizes]


def bits(rng, n_rows, n_features, dtype=np.float64):
    """Rows of zeros and ones, of two kinds."""
    probabilities = rng.choice([0.2, 0.8], size=(n_rows, 1))
    return (rng.random((n_rows, n_features)) < probabilities).astype(dtype)


def flat(problems):
    """(X, offsets)"""
    return np.concatenate(problems), np.cumsum([0, *map(len, problems)])


def fit_alone(estimator, X, seed, sample_weight=None):
    """The fit that a problem of a batch has to equal; ValueError where there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        own = clone(estimator).set_params(random_state=seed)
        if getattr(own, "init_params", None) is not None:
            own.init_params = settled(own.init_params)  # "auto" is "kmeans" in batches
        return own.fit(X, sample_weight=sample_weight)


def attributes(model):
    """What a fit publishes. A batch keeps the last of the lower bounds only."""
    return {
        name: value[-1:] if name == "lower_bounds_" else value
        for name, value in vars(model).items()
        if name.endswith("_") and not name.startswith("_")
    }


def same_bits(one, other):
    one, other = np.asarray(one), np.asarray(other)
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    if one.dtype.kind != "f":
        return np.array_equal(one, other)
    return np.array_equal(one, other, equal_nan=True) and np.array_equal(np.signbit(one), np.signbit(other))


def assert_same_state(got, wanted, name="model"):
    """The same parameters and fitted attributes, to the last bit."""
    assert type(got) is type(wanted), name
    if isinstance(wanted, BaseEstimator):
        assert_same_state(vars(got), vars(wanted), name)
    elif isinstance(wanted, dict):
        assert got.keys() == wanted.keys(), name
        for key, value in wanted.items():
            assert_same_state(got[key], value, f"{name}.{key}")
    elif isinstance(wanted, list | tuple):
        assert len(got) == len(wanted), name
        for i, pair in enumerate(zip(got, wanted, strict=True)):
            assert_same_state(*pair, f"{name}[{i}]")
    elif isinstance(wanted, Kept):  # what was made of the other attributes
        assert got == wanted, name
    else:
        assert same_bits(got, wanted), name


def assert_same_fit(got, wanted):
    got, wanted = attributes(got), attributes(wanted)
    if wanted["n_iter_"] == 0:  # max_iter=0: there is no bound to keep
        del got["lower_bounds_"], wanted["lower_bounds_"]
    assert got.keys() == wanted.keys()
    for name in wanted:
        assert_same_state(got[name], wanted[name], name)


def assert_equals_alone(problems, estimator, seed=3, sample_weight=None, n_threads=2):
    """Fit the list, compare every problem, and return the result."""
    result = fit_many(problems, estimator, random_state=seed, sample_weight=sample_weight, n_threads=n_threads)
    assert len(result) == len(problems)
    for i, X in enumerate(problems):
        try:
            wanted = fit_alone(estimator, X, seed, None if sample_weight is None else sample_weight[i])
        except ValueError:
            assert_without_parameters(result, i)
        else:
            assert result.status[i] == wanted.status_
            assert_same_fit(result[i], wanted)
    return result


def arrays(result):
    """All numbers of a result by name."""
    names = ["weights", "lower_bound", "n_iter", "status", "criteria", "chosen", "n_components", "n_samples", "seeds"]
    found = {name: getattr(result, name) for name in names}
    for name in result._fields:
        own = getattr(result, name)
        each = {f"{name}[{j}]": part for j, part in enumerate(own)} if isinstance(own, list) else {name: own}
        found |= {called: part for called, part in each.items() if part is not None}
    return found


def assert_same_results(got, wanted, of=slice(None)):
    """All arrays of `got` are those of `wanted`, of whose problems `of` are meant."""
    wanted = arrays(wanted)
    for name, array in arrays(got).items():
        assert same_bits(array, wanted[name][of]), name


def assert_without_parameters(result, i):
    assert result.status[i] & UNUSABLE, str(Status(int(result.status[i])))
    assert np.isnan(result.lower_bound[i])
    for name, array in arrays(result).items():
        if array.dtype.kind == "f":
            assert np.all(np.isnan(array[i])), name


def assert_near(model, other, rtol):
    """The same weights and parameters, but for rounding."""
    for got, wanted in zip((model._mixing(), *model._collect()), (other._mixing(), *other._collect()), strict=True):
        wanted = np.asarray(wanted, dtype=float)
        np.testing.assert_allclose(np.asarray(got, dtype=float), wanted, rtol=rtol, atol=rtol * np.abs(wanted).max())
