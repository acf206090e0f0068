"""Input that a mixture cannot use, or can hardly use: an error that says what to do, or a finite and sensible fit."""

import math
import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import InvalidParameterError

from mixfast import (
    BayesianGaussianMixture,
    BernoulliMixture,
    GaussianMixture,
    MixtureClassifier,
    MixtureMap,
    MixtureOfExperts,
    MultinomialMixture,
    PoissonMixture,
    ProductMixture,
    Status,
    StudentTMixture,
    bootstrap_inference,
    bootstrap_lrt,
    fit_many,
    fit_many_columns,
    fit_many_groups,
    match,
    merge_tree,
    plot_mixture,
    reduce,
    select,
)
from mixfast.in_messages import difference, in_short, listed, nearest, one_name
from mixfast.parts import Bernoulli, Gaussian, StudentT

STARTS = ["kmeans", "k-means++", "random", "random_from_data"]
TYPES = ["full", "tied", "diag", "spherical"]
RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(60, 3)) + np.repeat([[5.0], [0.0]], 30, axis=0)
BITS = (RNG.random((60, 4)) < 0.4).astype(float)
COUNTS = np.random.default_rng(7).poisson(3, (60, 4)).astype(float)
LABELS = np.arange(60) % 2
EYE = np.eye(3)

#: What a fit warns of, by the flag of `status_` that goes with it.
WARNED = {
    Status.MAX_ITER: (ConvergenceWarning, "did not converge"),
    Status.REPAIRED_COVARIANCE: (ConvergenceWarning, "ill-defined covariance"),
    Status.EMPTIED_COMPONENT: (ConvergenceWarning, "lost all their rows"),
    Status.IMPOSSIBLE_ROWS: (UserWarning, "density zero"),
}
ILL_DEFINED = "ill-defined empirical covariance.*decrease the number of components, increase reg_covar, or scale"

every_type = pytest.mark.parametrize("covariance_type", TYPES)
every_start = pytest.mark.parametrize("init_params", STARTS)
every_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32])
both_reg = pytest.mark.parametrize("reg_covar", [0.0, 1e-6])
every_family = pytest.mark.parametrize(
    ("mixture", "X"),
    [(GaussianMixture, ROWS), (BernoulliMixture, BITS), (MultinomialMixture, COUNTS), (PoissonMixture, COUNTS)],
)


def variances(model):
    """Of each component (one for all if tied) in each column (one for all if spherical)."""
    if model.covariance_type in ("diag", "spherical"):
        return model.covariances_.reshape(len(model.weights_), -1).astype(np.float64)
    return np.diagonal(model.covariances_, axis1=-2, axis2=-1).reshape(-1, model.n_features_in_).astype(np.float64)


def positive_definite(model):
    if model.covariance_type in ("diag", "spherical"):
        return np.all(model.covariances_ > 0)
    scale = np.sqrt(variances(model))
    correlations = model.covariances_ / scale[:, :, np.newaxis] / scale[:, np.newaxis, :]
    return np.all(scale > 0) and np.all(np.linalg.eigvalsh(correlations) > 0)


def assert_sensible(model, X, sample_weight=None):
    """Finite attributes, a proper mixture, means and spreads of the rows that count, and usable predictions."""
    for name, value in vars(model).items():
        if name.endswith("_") and name != "feature_names_in_":
            # a start may have density zero, so the first of the bounds may be -inf
            assert np.all(np.isfinite(value[1:] if name == "lower_bounds_" else value)), f"{name} = {value}"
    eps = np.finfo(model.weights_.dtype).eps
    assert np.all(model.weights_ >= 0)
    assert abs(model.weights_.sum(dtype=np.float64) - 1) < 8 * eps
    if isinstance(model, GaussianMixture | StudentTMixture):
        assert positive_definite(model)
        counted = np.asarray(X, dtype=np.float64)
        counted = counted if sample_weight is None else counted[np.asarray(sample_weight) > 0]
        slack = 64 * eps * np.abs(counted).max(axis=0)
        assert np.all(model.means_ >= counted.min(axis=0) - slack)
        assert np.all(model.means_ <= counted.max(axis=0) + slack)
        spread = np.ptp(counted, axis=0) ** 2
        limit = 0.3 * spread + 1e-3 * spread.max() + slack**2 + model.reg_covar + 1e-6
        if model.regularization == "relative":  # the unit of a column without spread is its value, or 1
            size = np.abs(counted).max(axis=0)
            limit = limit + 1e-3 * np.where(size == 0, 1, size) ** 2
        assert np.all(variances(model) <= (limit.mean() if model.covariance_type == "spherical" else limit))
    elif isinstance(model, PoissonMixture):
        assert np.all(model.rates_ >= 0)
    else:
        assert np.all((model.probabilities_ >= 0) & (model.probabilities_ <= 1))
    assert model.status_ & (Status.CONVERGED | Status.MAX_ITER) == (
        Status.CONVERGED if model.converged_ else Status.MAX_ITER
    )
    assert (Status.EMPTIED_COMPONENT in model.status_) >= bool(np.any(model.weights_ == 0))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Some rows have density zero")  # rows of weight 0 may be far away
        np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1, rtol=1e-4)


def fit(model, X, sample_weight=None):
    """A sensible fit that warned of what is in its status: once of each, and of nothing else."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, sample_weight=sample_weight)
    expected = [known for flag, known in WARNED.items() if flag in model.status_]
    assert len(caught) == len(expected), [str(w.message) for w in caught]
    for category, text in expected:
        assert [w.category for w in caught if text in str(w.message)] == [category]
    assert_sensible(model, X, sample_weight)
    return model


def fit_or_say_scale(model, X, sample_weight=None):
    """True for a sensible fit, False for an error that asks to scale the columns."""
    try:
        fit(model, X, sample_weight)
    except ValueError as error:
        if "columns of X to moderate size" not in str(error):
            raise
        return False
    return True


# ---- what raises ----------------------------------------------------------------------------------------------------

UNUSABLE = {
    "no rows": (lambda X: X[:0], r"0 sample\(s\).*minimum of"),
    "no columns": (lambda X: X[:, :0], r"0 feature\(s\).*minimum of 1"),
    "one dimension": (lambda X: X[:, 0], "Expected 2D array, got 1D array.*Reshape your data"),
    "three dimensions": (lambda X: X[np.newaxis], "dim 3"),
    "NaN": (lambda X: np.where(X == X[3, 1], np.nan, X), "X contains NaN"),
    "infinity": (lambda X: np.where(X == X[3, 1], -np.inf, X), "X contains infinity"),
    "None": (lambda X: [[None, *X[0, 1:]], *X[1:].tolist()], "X contains NaN"),
    "a null in polars": (lambda X: pl.DataFrame({"a": [1.0, None, 2.0]}), "X contains NaN"),
    "NA in pandas": (lambda X: pd.DataFrame({"a": [1, None, 2]}, dtype="Int64"), "X contains NaN"),
    "complex numbers": (lambda X: X + 1j, "Complex data not supported"),
    "words": (lambda X: np.full(X.shape, "a"), "holds strings such as"),
}


#: What some families take for entries that are missing.
MISSING = ("NaN", "None", "a null in polars", "NA in pandas")


@every_family
@pytest.mark.parametrize("kind", UNUSABLE)
def test_fit_and_predict_refuse(kind, mixture, X):
    spoil, match = UNUSABLE[kind]
    if kind in MISSING and mixture in (BernoulliMixture, GaussianMixture, PoissonMixture, StudentTMixture):
        assert np.all(np.isfinite(mixture(random_state=0).fit(spoil(X)).predict_proba(spoil(X))))
        return
    with pytest.raises(ValueError, match=f"(?s){match}"):
        mixture(random_state=0).fit(spoil(X))
    if kind not in ("no columns", "a null in polars", "NA in pandas"):  # or the number of columns is wrong as well
        with pytest.raises(ValueError, match=f"(?s){match}"):
            mixture(random_state=0).fit(X).predict_proba(spoil(X))


@every_family
def test_one_row_cannot_be_fitted_but_can_be_predicted(mixture, X):
    with pytest.raises(ValueError, match=r"1 sample\(s\).*minimum of 2 is required"):
        mixture().fit(X[:1])
    assert mixture(2, random_state=0).fit(X).predict(X[:1]).shape == (1,)


@every_family
@pytest.mark.parametrize("method", ["predict", "predict_proba", "score_samples", "score", "bic", "aic", "icl"])
def test_predictions_refuse_another_number_of_columns(method, mixture, X):
    model = mixture(2, random_state=0).fit(X)
    with pytest.raises(ValueError, match=f"X has 2 features, but {mixture.__name__} is expecting {X.shape[1]}"):
        getattr(model, method)(X[:, :2])


@every_family
@every_start
def test_fewer_rows_than_components_raise(init_params, mixture, X):
    model = mixture(3, init_params=init_params, random_state=0)
    with pytest.raises(ValueError, match=r"n_samples >= n_components but got n_components = 3, n_samples = 2$"):
        model.fit(X[:2])
    with pytest.raises(ValueError, match=r"n_components = 3, n_samples = 2 of positive weight$"):
        model.fit(X, sample_weight=np.arange(60) < 2)
    with pytest.raises(ValueError, match=r"n_components = 1000000000000, n_samples = 60$"):
        model.set_params(n_components=10**12).fit(X)


@every_family
@pytest.mark.parametrize(
    ("sample_weight", "match"),
    [
        (np.r_[-1.0, np.ones(59)], "Negative values in data passed to `sample_weight`"),
        (np.zeros(60), "at least one (non-zero number|row needs a positive weight)"),
        (np.r_[np.nan, np.ones(59)], "sample_weight contains NaN"),
        (np.r_[np.inf, np.ones(59)], "sample_weight contains infinity"),
        (np.nan, "NaN|finite"),
        (np.inf, "infinity|finite"),
        (np.ones(59), r"sample_weight.shape == \(59,\), expected \(60,\)"),
        (np.ones((60, 1)), "Sample weights must be 1D array or scalar"),
    ],
)
def test_unusable_weights_raise(sample_weight, match, mixture, X):
    model = mixture(2, random_state=0).fit(X)
    for method in (model.score, model.bic, model.aic, model.icl, model.fit):
        with pytest.raises(ValueError, match=match):
            method(X, sample_weight=sample_weight)


@pytest.mark.parametrize(
    ("start", "match"),
    [
        ({"weights_init": [1.0]}, r"'weights' should have the shape of \(2,\), but got \(1,\)"),
        ({"weights_init": [0.5, 0.6]}, "'weights' should be normalized, but got sum.* = 1.1"),
        ({"weights_init": [-0.5, 1.5]}, r"'weights' should be in the range \[0, 1\]"),
        ({"means_init": ROWS[:3]}, r"'means' should have the shape of \(2, 3\), but got \(3, 3\)"),
        ({"means_init": ROWS[:2] * np.inf}, "contains infinity"),
        ({"precisions_init": EYE}, r"'full precision' should have the shape of \(2, 3, 3\)"),
        ({"precisions_init": [EYE, -EYE]}, "'full precision' should be symmetric, positive-definite"),
        ({"precisions_init": [EYE, EYE + np.eye(3, k=1)]}, "'full precision' should be symmetric, positive-definite"),
        ({"precisions_init": [EYE], "covariance_type": "tied"}, r"'tied precision' should have the shape of \(3, 3\)"),
        ({"precisions_init": np.zeros((2, 3)), "covariance_type": "diag"}, "'diag precision' should be positive"),
        ({"precisions_init": [1.0], "covariance_type": "spherical"}, "'spherical precision' should have the shape"),
        ({"precisions_init": [1.0, -1.0], "covariance_type": "spherical"}, "'spherical precision' should be positive"),
        ({"init_params": LABELS[:5]}, r"should have the shape of \(60,\) for labels, but got \(5,\)"),
        ({"init_params": LABELS + 1}, r"should be in the range \[-1, 1\].*max value 2"),
        ({"init_params": LABELS - 2}, r"should be in the range \[-1, 1\].*min value -2"),
        ({"init_params": LABELS + 0.5}, "labels in 'init_params' should be integers, but got dtype float64"),
        ({"init_params": 0 * LABELS}, "gives no rows to component 1.*needs some"),
        ({"init_params": np.ones((60, 3)) / 3}, r"should have the shape of \(60, 2\) for responsibilities"),
        ({"init_params": np.full((60, 2), 0.6)}, "should be non-negative and sum to 1"),
        ({"init_params": np.tile([-1.0, 2.0], (60, 1))}, "should be non-negative and sum to 1"),
        ({"init_params": np.tile([1.0, 0.0], (60, 1))}, "gives no rows to component 1.*needs some"),
    ],
)
def test_unusable_starts_raise(start, match):
    with pytest.raises(ValueError, match=match):
        GaussianMixture(2, random_state=0, **start).fit(ROWS)


@pytest.mark.parametrize("start", [LABELS, np.eye(2)[LABELS]])
def test_a_given_start_needs_rows_of_positive_weight_in_each_component(start):
    with pytest.raises(ValueError, match="gives no rows to component 1"):
        GaussianMixture(2, init_params=start).fit(ROWS, sample_weight=1 - LABELS)


@every_family
@pytest.mark.parametrize(
    ("name", "values"),
    {"n_components": [0, 1.5], "tol": [-1.0, np.nan], "max_iter": [-1], "n_init": [0], "init_params": ["best", None],
     "random_state": [-1, "a"], "n_threads": [0], "verbose": [-1], "warm_start": ["yes"]}.items(),
)  # fmt: skip
def test_unusable_hyperparameters_are_named(name, values, mixture, X):
    for value in values:
        with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of {mixture.__name__} must be"):
            mixture(**{name: value}).fit(X)


@pytest.mark.parametrize("method", ["fit", "predict", "score_samples"])
@pytest.mark.parametrize("value", [2.0, 0.5, -1.0, 1e-320])
def test_data_that_is_not_binary_needs_a_threshold(value, method):
    model = BernoulliMixture(2, binarize=None, random_state=0).fit(BITS)
    X = np.where(np.arange(60)[:, np.newaxis] == 7, [0, 1, value, 1], BITS)
    with pytest.raises(ValueError, match=f"Column 2 of X is not binary: row 7 is {value}. Pass zeros and ones, or set"):
        getattr(model, method)(X)
    fit(BernoulliMixture(2, random_state=0), X)


# ---- what is repaired -----------------------------------------------------------------------------------------------


@every_type
@every_start
@every_dtype
@pytest.mark.parametrize("value", [0.0, 3.0, -7.3e5, 1e15])
def test_a_constant_column_needs_a_repair_only_without_reg_covar(value, dtype, init_params, covariance_type):
    X = np.c_[ROWS, np.full(60, value)].astype(dtype)
    options = {"covariance_type": covariance_type, "init_params": init_params, "random_state": 0}
    model = fit(GaussianMixture(2, reg_covar=0.0, **options), X)
    np.testing.assert_allclose(model.means_[:, 3], X[0, 3], rtol=8 * np.finfo(dtype).eps)
    assert covariance_type == "spherical" or Status.REPAIRED_COVARIANCE in model.status_
    if abs(value) < 10:  # otherwise 1e-6 may be below the rounding of the column
        assert not fit(GaussianMixture(2, **options), X).status_ & Status.REPAIRED_COVARIANCE


@every_type
@every_start
@every_dtype
@both_reg
@pytest.mark.parametrize("row", [[0.0, 0.0, 0.0], [0.1, -0.3, 0.7], [1e6, 1e-6, -1e3], [1e30, 0.0, 1.0]])
def test_the_same_row_many_times_gives_that_row(row, reg_covar, dtype, init_params, covariance_type):
    X = np.tile(row, (10, 1)).astype(dtype)
    options = {"covariance_type": covariance_type, "init_params": init_params, "reg_covar": reg_covar}
    model = GaussianMixture(3, random_state=0, **options)
    if fit_or_say_scale(model, X):
        np.testing.assert_allclose(model.means_, X[:3], rtol=8 * np.finfo(dtype).eps)
        assert reg_covar > 0 or Status.REPAIRED_COVARIANCE in model.status_
    else:
        assert dtype == np.float32
        assert max(row) == 1e30


@every_type
@every_start
@every_dtype
@both_reg
def test_more_components_than_distinct_rows_fit(reg_covar, dtype, init_params, covariance_type):
    X = np.tile([[0, 1], [4, -3], [9, 9]], (5, 1)).astype(dtype)
    options = {"init_params": init_params, "random_state": 0}
    for n_components in (4, 15):
        fit(GaussianMixture(n_components, covariance_type=covariance_type, reg_covar=reg_covar, **options), X)
    fit(BernoulliMixture(15, **options), (X > 2).astype(dtype))


@every_type
@every_dtype
def test_a_covariance_that_is_not_positive_definite_warns_once_or_raises_if_asked(dtype, covariance_type):
    X = np.tile([[1.0, 2.0, 3.0]], (8, 1)).astype(dtype)
    model = GaussianMixture(1, covariance_type=covariance_type, reg_covar=0.0, n_init=5, random_state=0)
    assert fit(model, X).status_ == (
        Status.REPAIRED_COVARIANCE | Status.CONSTANT_DATA | Status.CONVERGED | Status.SPURIOUS_COMPONENT
    )
    advice = " The numerical accuracy can also be improved by passing float64 data" if dtype == np.float32 else "$"
    with pytest.raises(ValueError, match=f"{ILL_DEFINED} the input data.{advice}"):
        model.set_params(on_degenerate="raise").fit(X)


@every_type
def test_a_repair_is_relative_to_the_variance_of_all_rows(covariance_type):
    X = np.c_[ROWS, ROWS.sum(axis=1), np.zeros(60)]
    model = GaussianMixture(2, covariance_type=covariance_type, reg_covar=0.0, init_params=LABELS)
    small, large = (fit(model, X * unit).covariances_ for unit in (2.0**-20, 2.0**20))
    np.testing.assert_allclose(small * 2.0**80, large, rtol=1e-9)
    if covariance_type in ("tied", "diag"):
        raised = np.diag(large)[4] if covariance_type == "tied" else large[:, 4]
        np.testing.assert_allclose(raised, 1e-6 * X.var(axis=0).max() * 2.0**40, rtol=1e-6)


# ---- scales and weights ---------------------------------------------------------------------------------------------


@every_type
@every_start
@pytest.mark.parametrize("unit", [[2.0**-498] * 3, [2.0**498] * 3, [2.0**498, 1.0, 2.0**-498]])
def test_columns_around_1e150_and_1e_minus_150_fit(unit, init_params, covariance_type):
    options = {"covariance_type": covariance_type, "init_params": init_params, "random_state": 0}
    model = fit(GaussianMixture(2, reg_covar=0.0, **options), ROWS * unit)
    if len(set(unit)) == 1 and init_params in ("kmeans", "random"):  # single rows have no variance to start from
        plain = GaussianMixture(2, reg_covar=0.0, **options).fit(ROWS)
        np.testing.assert_allclose(model.means_ / unit, plain.means_, rtol=1e-9)
        np.testing.assert_allclose(model.lower_bound_, plain.lower_bound_ - np.log(unit).sum(), rtol=1e-9)
    fit(GaussianMixture(2, **options), ROWS * unit)


@every_type
@both_reg
@pytest.mark.parametrize(
    ("dtype", "unit"),
    [(np.float64, unit) for unit in (1e-320, 1e-162, 1e-156, 1e154, 1e300)]
    + [(np.float32, unit) for unit in (1e-38, 1e-30, 1e-22, 1e20, 1e37)],
)
def test_columns_whose_squares_overflow_or_vanish_fit_or_raise(dtype, unit, reg_covar, covariance_type):
    for init_params in STARTS:
        model = GaussianMixture(2, covariance_type=covariance_type, init_params=init_params, reg_covar=reg_covar)
        fit_or_say_scale(model.set_params(random_state=0), (ROWS * unit).astype(dtype))


def bound_and_status(model, X):
    """Of the model fitted alone, and in a batch beside a good problem; None where both say that X is too small."""
    result = fit_many([ROWS.astype(X.dtype), X], model, seeds=[0, 0])
    if not result.has_parameters[1]:
        assert result.status.tolist()[1] == Status.NOT_FINITE
        with pytest.raises(ValueError, match=r"variances are less than the precision of X can hold\. Scale"):
            clone(model).fit(X)
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone = clone(model).fit(X)
    assert result.has_parameters.all()
    assert (result.lower_bound[1], result.status[1]) == (alone.lower_bound_, alone.status_)
    return float(alone.lower_bound_), alone.status_


@every_type
@pytest.mark.parametrize("n_components", [1, 2])
@pytest.mark.parametrize("mixture", [GaussianMixture, StudentTMixture])
@pytest.mark.parametrize(
    ("dtype", "powers"),
    [
        (np.float32, [-50, *range(-66, -58), -70, -75, -80, -100, -126, -146]),
        (np.float64, [-500, *range(-514, -508), -520, -530, -540, -800, -1000, -1070]),
    ],
)
def test_tiny_units_give_the_same_fit_or_an_error(dtype, powers, mixture, n_components, covariance_type):
    model = mixture(n_components, covariance_type=covariance_type, reg_covar=0.0, random_state=0)
    plain, status = bound_and_status(model, ROWS.astype(dtype))
    for power in powers:
        X = (ROWS.astype(dtype) * 2.0**power).astype(dtype)
        found = bound_and_status(model, X)
        if found is not None:
            expected = plain - 3 * power * np.log(2)
            np.testing.assert_allclose(found[0], expected, atol=2e-3 if dtype is np.float32 else 1e-9)
            assert found[1] == status
        variance = 4.0**power * ROWS.var(axis=0)
        assert found is not None or np.min(variance) < 64 * np.finfo(dtype).tiny
        assert found is None or np.max(variance) > np.finfo(dtype).tiny


@every_type
@pytest.mark.parametrize("mixture", [GaussianMixture, StudentTMixture])
@pytest.mark.parametrize(("dtype", "unit"), [(np.float32, 1e-21), (np.float32, 1e-30), (np.float64, 1e-170)])
def test_one_tiny_column_is_an_error_unless_its_variance_is_averaged(dtype, unit, mixture, covariance_type):
    X = np.asarray(ROWS * [1, unit, 1], dtype=dtype)
    model = mixture(2, covariance_type=covariance_type, reg_covar=0.0, random_state=0)
    assert (bound_and_status(model, X) is None) == (covariance_type != "spherical")
    # a constant column has no digits to lose
    X[:, 1] = unit
    assert bound_and_status(model, X) is not None


@every_type
@pytest.mark.parametrize("init_params", STARTS)
@pytest.mark.parametrize("mixture", [GaussianMixture, StudentTMixture])
@pytest.mark.parametrize(("dtype", "unit"), [(np.float32, 1e-12), (np.float32, 1e-8), (np.float64, 1e-149)])
def test_small_units_that_the_precision_holds_fit_from_every_start(dtype, unit, mixture, init_params, covariance_type):
    """Starts from single rows have the variance that rounding leaves; Student-t components shrink onto equal rows."""
    rng = np.random.default_rng(0)
    X = unit * rng.standard_cauchy(20)[rng.integers(20, size=(12, 1))]
    options = {"covariance_type": covariance_type, "init_params": init_params, "reg_covar": 0.0}
    for seed in range(8):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = mixture(1, random_state=seed, **options).fit(
                X.astype(dtype), sample_weight=rng.exponential(size=12)
            )
        assert np.isfinite(model.lower_bound_)


@pytest.mark.parametrize("part", [Gaussian, StudentT])
def test_a_tiny_column_of_a_part_is_an_error(part):
    X = np.column_stack([BITS[:, 0], 1e-170 * ROWS[:, 0]])
    product = ProductMixture([(0, Bernoulli()), (1, part(reg_covar=0.0))], 2, random_state=0)
    with pytest.raises(ValueError, match="Scale the columns"):
        product.fit(X)
    result = fit_many([X, X * [1, 2.0**500]], product)
    assert result.status[0] == Status.NOT_FINITE
    assert result.has_parameters.tolist() == [False, True]


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_precisions_beyond_the_largest_float64_are_never_infinite(covariance_type):
    X = 1e-151 * np.c_[ROWS[:, 0], 1e4 * ROWS[:, 0] + ROWS[:, 1]]
    fit_or_say_scale(GaussianMixture(1, covariance_type=covariance_type, reg_covar=0.0), X)


@every_type
def test_a_variance_of_one_component_beyond_the_largest_float32_is_never_infinite(covariance_type):
    X = np.zeros((50, 1), dtype=np.float32)
    X[:2, 0] = -2e19, 2e19
    start = (X[:, 0] != 0).astype(int)
    model = GaussianMixture(2, covariance_type=covariance_type, init_params=start)
    fit_or_say_scale(model, X, np.full(50, 0.01))


def test_weights_of_very_different_size_fit():
    for init_params in STARTS:
        weight = np.where(LABELS, 1.0, 1e-320)
        fit(GaussianMixture(2, init_params=init_params, random_state=0), ROWS, weight)


@every_start
@every_dtype
@pytest.mark.parametrize("unit", [2.0**-1060, 2.0**-170, 2.0**-90, 2.0**90, 2.0**120, 2.0**1010])
def test_the_unit_of_the_weights_does_not_matter_or_has_to_be_changed(unit, dtype, init_params):
    options, X, weight = {"init_params": init_params, "random_state": 0}, ROWS.astype(dtype), np.full(60, unit)
    if 1e-30 < unit < 1e30:
        plain = GaussianMixture(2, **options).fit(X)
        model = fit(GaussianMixture(2, **options), X, weight)
        np.testing.assert_allclose(model.lower_bounds_, plain.lower_bounds_, rtol=1e-6)
        fit(BernoulliMixture(2, alpha=0.0, **options), BITS.astype(dtype), weight)
    else:
        for mixture in (GaussianMixture, BernoulliMixture):
            with pytest.raises(ValueError, match=r"largest sample_weight is .*: scale the weights so"):
                mixture(2, **options).fit(X, sample_weight=weight)


@pytest.mark.parametrize("alpha", [1e-300, 1e-17, 1e-10, 1.0])
def test_a_small_alpha_keeps_the_bound_of_constant_columns_finite(alpha):
    fit(BernoulliMixture(2, alpha=alpha, random_state=0), np.c_[BITS, np.ones(60), np.zeros(60)])


# ---- kinds of arrays and frames -------------------------------------------------------------------------------------

INTEGERS = np.round(ROWS * 10)
KINDS = {
    "int8": INTEGERS.astype(np.int8),
    "uint64": np.maximum(INTEGERS, 0).astype(np.uint64),
    "float16": INTEGERS.astype(np.float16),
    "big-endian": INTEGERS.astype(">f8"),
    "booleans": INTEGERS > 20,
    "objects": INTEGERS.astype(object),
    "a list": INTEGERS.tolist(),
    "columns first": np.asfortranarray(INTEGERS),
    "reversed strides": INTEGERS[::-1, ::-1].copy()[::-1, ::-1],
    "every other": np.repeat(np.repeat(INTEGERS, 2, axis=0), 2, axis=1)[::2, ::2],
    "read-only": np.frombuffer(INTEGERS.tobytes()).reshape(INTEGERS.shape),
    "pandas": pd.DataFrame(INTEGERS, columns=list("abc")).astype({"a": "int8", "b": "Float64"}),
    "polars": pl.DataFrame(INTEGERS, schema=list("abc")).with_columns(b=pl.col("b") > 20),
}


@pytest.mark.parametrize("mixture", [GaussianMixture, BernoulliMixture])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_array_and_frame_fits_as_its_float64_copy(kind, mixture):
    X, copy = KINDS[kind], np.array(KINDS[kind], dtype=np.float64, order="C")
    model = fit(mixture(2, random_state=0), X, pd.Series(np.ones(60), index=range(9, 69)))
    plain = mixture(2, random_state=0).fit(copy, sample_weight=np.ones(60))
    np.testing.assert_array_equal(model.predict_proba(X), plain.predict_proba(copy))
    assert model.lower_bounds_ == plain.lower_bounds_
    assert list(getattr(model, "feature_names_in_", "")) == list("abc" if kind.startswith("p") else "")


# ---- everything at once ---------------------------------------------------------------------------------------------


@st.composite
def problems(draw):
    """Small problems with duplicated rows, constant columns, extreme units and weights: (options, X, weights)."""
    dtype = draw(st.sampled_from([np.float64, np.float32]))
    n_rows, n_columns = draw(st.integers(2, 40)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = draw(st.sampled_from([rng.normal, rng.standard_cauchy]))(size=(n_rows, n_columns))
    X = X[rng.integers(draw(st.integers(1, n_rows)), size=n_rows)]
    units = st.sampled_from([0.0, 1e-9, 1.0, 1e9, *((1e-150, 1e150) if dtype == np.float64 else (1e-12, 1e18))])
    offsets = st.sampled_from([0.0, 1.0, -1e7])
    X = X * draw(st.lists(units, min_size=n_columns, max_size=n_columns))
    X = X + draw(st.lists(offsets, min_size=n_columns, max_size=n_columns))
    weights = [None, np.ones(n_rows), rng.integers(0, 3, size=n_rows), rng.exponential(size=n_rows)]
    options = {"n_components": draw(st.integers(1, n_rows)), "init_params": draw(st.sampled_from(STARTS)), "n_init": 2}
    return options | {"random_state": draw(st.integers(0, 9))}, X.astype(dtype), draw(st.sampled_from(weights))


@settings(derandomize=True, max_examples=600, deadline=None)
@given(
    problem=problems(),
    covariance_type=st.sampled_from(TYPES),
    reg_covar=st.sampled_from([0.0, 1e-6]),
    regularization=st.sampled_from(["absolute", "relative"]),
    degrees_of_freedom=st.sampled_from(["component", "shared", 0.01, 3, 1e8]),
)
def test_small_problems_fit_or_say_why_not(problem, covariance_type, reg_covar, regularization, degrees_of_freedom):
    options, X, weights = problem
    options |= {"canonical_order": regularization == "relative"}
    model = GaussianMixture(
        covariance_type=covariance_type, reg_covar=reg_covar, regularization=regularization, **options
    )
    if weights is not None and np.count_nonzero(weights) < max(2, options["n_components"]):
        with pytest.raises(ValueError, match=r"Expected n_samples >= n_components|minimum of 2|at least one"):
            model.fit(X, sample_weight=weights)
        return
    low, high = (1e-147, 1e148) if X.dtype == np.float64 else (1e-11, 1e16)
    spreads = np.ptp(X, axis=0)
    # relative: a millionth of the square of a small unit, and its inverse, must be numbers as well; units are spreads,
    # of float32 numbers near 3e-11 those of the last digits can be 2e-15
    may_raise = np.abs(X).max() > high or (regularization == "relative" and np.any((spreads > 0) & (spreads < low)))
    assert fit_or_say_scale(model, X, weights) or may_raise
    heavy_tailed = {name: value for name, value in model.get_params().items() if name in StudentTMixture().get_params()}
    heavy = StudentTMixture(**heavy_tailed, degrees_of_freedom=degrees_of_freedom)
    assert fit_or_say_scale(heavy, X, weights) or may_raise
    fit(BernoulliMixture(**options), X, weights)


#: What may be wrong with small problems with missing entries, as the errors say it.
WRONG = (
    r"has no entry in any row|Expected n_samples >= n_components|moderate size|begins components with single rows|"
    r"there is none that has a volume|ill-defined empirical covariance"
)


@settings(derandomize=True, max_examples=400, deadline=None)
@given(
    problem=problems(),
    share=st.sampled_from([0.05, 0.3, 0.8]),
    covariance_type=st.sampled_from([*TYPES, "VEV", "EVI", "VVE"]),
    reg_covar=st.sampled_from([0.0, 1e-6]),
    degrees_of_freedom=st.sampled_from([None, "component", "shared", 0.01, 1e8]),
    noise=st.sampled_from([None, "uniform", 0.2]),
)
def test_small_problems_with_missing_entries_fit_or_say_why_not(
    problem, share, covariance_type, reg_covar, degrees_of_freedom, noise
):
    options, X, _ = problem
    X = np.where(np.random.default_rng(len(X)).random(X.shape) < share, X.dtype.type(np.nan), X)
    options |= {"covariance_type": covariance_type, "reg_covar": reg_covar, "noise": noise, "max_iter": 20}
    if degrees_of_freedom is None:
        model = GaussianMixture(**options)
    else:
        model = StudentTMixture(**options, degrees_of_freedom=degrees_of_freedom)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        said = None
        try:
            model.fit(X)
        except ValueError as error:
            said = str(error)
        if said is not None:
            assert re.search(WRONG, said), said
            return
        for name, value in vars(model).items():
            if name.endswith("_"):
                assert np.all(np.isfinite(value[1:] if name == "lower_bounds_" else value)), f"{name} = {value}"
        assert positive_definite(model)
        np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1, rtol=1e-4)
        filled = model.impute(X)
        assert np.all(np.isfinite(filled))
        np.testing.assert_array_equal(filled[~np.isnan(X)], X[~np.isnan(X)])
        drawn = model.sample_missing(X, random_state=0)
        # draws of a hundredth of a degree of freedom may overflow
        assert np.all(np.isfinite(drawn) if degrees_of_freedom != 0.01 else ~np.isnan(drawn))


def test_options_are_listed_in_an_order():
    with pytest.raises(ValueError, match=r"\{'full', 'tied', 'diag', 'spherical', .*'diagonal' instead"):
        GaussianMixture(2, covariance_type="diagonal").fit(np.zeros((10, 2)))


# ---- messages in few words ----

WIDE = pd.DataFrame(np.random.default_rng(3).normal(size=(30, 3000)), columns=[f"g{j}" for j in range(3000)])
KEYED = WIDE.assign(batch=np.repeat(["a", "b"], 15))
NUMBERS = WIDE.to_numpy()
#: A batch, models and rows that the calls below want.
OF_COLUMNS = fit_many_columns(WIDE, GaussianMixture(1, random_state=0))
FITTED = GaussianMixture(1, covariance_type="diag", random_state=0).fit(WIDE)
PRODUCT = ProductMixture([(list(WIDE.columns), Gaussian(covariance_type="diag"))], n_components=1).fit(WIDE)
LINES = MixtureOfExperts(1, gate="gate_X", random_state=0).fit(WIDE[["g0"]], WIDE["g1"], gate_X=WIDE[["g2"]])
INFINITE = np.where(ROWS == ROWS[4, 1], -np.inf, ROWS)

#: Calls that are wrong in one place, and what the message says of it.
HOSTILE = {
    "a column is missing": (lambda: OF_COLUMNS.predict(WIDE.drop(columns="g7")), "'g7' is missing$"),
    "a column has another case": (lambda: OF_COLUMNS.predict(WIDE.rename(columns={"g7": "G7"})), "'G7' what 'g7' was"),
    "columns of problems": (lambda: fit_many([WIDE, WIDE.rename(columns={"g7": "x"})], FITTED), "'g7' is missing; 'x'"),
    "their order": (
        lambda: fit_many([WIDE, WIDE[WIDE.columns[::-1]]], FITTED),
        "column 0 is 'g2999', and 'g0' is wanted",
    ),
    "by": (lambda: fit_many_groups(KEYED, FITTED, by="Batch"), "by='Batch' .*did you mean 'batch'"),
    "no by": (lambda: fit_many_groups(KEYED, FITTED, by=[]), "by=.. .*and 2996 more"),
    "by a number": (lambda: fit_many_groups(KEYED, FITTED, by=3), "by=3 should name columns"),
    "columns of groups": (lambda: fit_many_groups(KEYED, FITTED, by="batch", columns=["G1"]), "did you mean 'g1'"),
    "many columns": (lambda: fit_many_groups(KEYED, FITTED, by="batch", columns=["x"] * 3000), "list of length 3000"),
    "an array for a name": (
        lambda: fit_many_groups(KEYED, FITTED, by="batch", sample_weight=NUMBERS[:, 0]),
        r"\(30,\)",
    ),
    "a problem by name": (lambda: OF_COLUMNS["G7"], "no problem 'G7'.*did you mean 'g7'"),
    "a column of a marginal": (lambda: FITTED.marginal(["G7"]), "columns has 'G7'.*did you mean 'g7'"),
    "a fixed column": (lambda: MixtureOfExperts(1, fixed=["G7"]).fit(WIDE, NUMBERS[:, 0]), r"fixed=\['G7'\].*did you"),
    "columns of a gate": (lambda: LINES.predict(WIDE[["g0"]], gate_X=WIDE[["g3"]]), "'g2' is missing; 'g3' is unknown"),
    "a part": (
        lambda: ProductMixture([("G7", Gaussian())]).fit(WIDE),
        "column 'G7', which X has not.*did you mean 'g7'",
    ),
    "a column of a part": (lambda: PRODUCT.predict(WIDE.drop(columns="g7")), "column 'g7', which X has not"),
    "problems by names": (lambda: OF_COLUMNS[list(WIDE.columns)], "got list of length 3000"),
    "n_effective": (lambda: FITTED.bic(WIDE, n_effective=NUMBERS), "n_effective=ndarray of shape"),
    "criterion": (lambda: select(ROWS, GaussianMixture(), criterion=NUMBERS), "criterion=ndarray of shape"),
    "keep": (lambda: fit_many([ROWS], GaussianMixture(), keep=NUMBERS), "keep=ndarray of shape"),
    "seeds": (lambda: fit_many([ROWS], GaussianMixture(), seeds=NUMBERS), "got ndarray of shape"),
    "rows for a number of rows": (lambda: FITTED.sample(NUMBERS), "an integer, got ndarray of shape"),
    "a share": (lambda: FITTED.log_density_level(NUMBERS), "share=ndarray of shape"),
    "names in a prior": (
        lambda: GaussianMixture(covariance_prior=dict.fromkeys(WIDE.columns, 1.0)).fit(ROWS),
        "covariance_prior has 'g0', .* and 2995 more",
    ),
    "a grid of a classifier": (
        lambda: MixtureClassifier(kind="component", grid={"covariance_typ": ["full"]}).fit(ROWS, LABELS),
        "grid has 'covariance_typ'.*did you mean 'covariance_type'",
    ),
    "features of a picture": (lambda: plot_mixture(FITTED, WIDE, features="G7"), "features='G7'.*did you mean 'g7'"),
    "select": (
        lambda: select(GaussianMixture(), NUMBERS),
        r"shape \(30, 3000\).*may be swapped: select\(X, estimator\)",
    ),
    "fit_many": (lambda: fit_many(GaussianMixture(), NUMBERS), r"may be swapped: fit_many\(problems, estimator\)"),
    "fit_many_columns": (lambda: fit_many_columns(GaussianMixture(), WIDE), r"swapped: fit_many_columns\(data, estim"),
    "fit_many_groups": (
        lambda: fit_many_groups(GaussianMixture(), KEYED, by="batch"),
        r"swapped: fit_many_groups\(data",
    ),
    "bootstrap_lrt": (lambda: bootstrap_lrt(GaussianMixture(), NUMBERS, 1), r"swapped: bootstrap_lrt\(X, estimator"),
    "bootstrap_inference": (lambda: bootstrap_inference(WIDE, FITTED), r"swapped: bootstrap_inference\(model, X\)"),
    "plot_mixture": (lambda: plot_mixture(WIDE, FITTED), r"DataFrame of shape .* swapped: plot_mixture\(model, X\)"),
    "a map": (lambda: MixtureMap.from_estimator(WIDE, FITTED), r"swapped: MixtureMap.from_estimator\(model, X\)"),
    "merge_tree": (lambda: merge_tree(WIDE, FITTED), r"swapped: merge_tree\(model, X\)"),
    "match": (lambda: match(FITTED, NUMBERS), r"b=ndarray .* match\(a, b, X\), two fitted mixtures"),
    "match, rows first": (lambda: match(NUMBERS, FITTED), r"a=ndarray .* match\(a, b, X\), two fitted mixtures"),
    "reduce": (lambda: reduce(NUMBERS, 2), "model=ndarray of shape"),
    "a classifier of rows": (lambda: MixtureClassifier(NUMBERS).fit(ROWS, LABELS), "Got ndarray of shape"),
    "a classifier of posteriors": (
        lambda: MixtureClassifier(BayesianGaussianMixture()).fit(ROWS, LABELS),
        r"by maximum likelihood, such as GaussianMixture\(\).*Got BayesianGaussianMixture\(\)",
    ),
    "a parameter that is an array": (lambda: GaussianMixture(NUMBERS).fit(ROWS), "'n_components' .* Got ndarray of"),
    "n_components of words": (lambda: select(ROWS, GaussianMixture(), n_components="1:5"), r"such as \[1, 2, 3\] or"),
    "n_components in a batch": (lambda: fit_many([ROWS], GaussianMixture(), n_components="1:5"), "a number or a list"),
    "a misspelled grid": (lambda: select(ROWS, GaussianMixture(), n_component=[1]), "did you mean 'n_components'"),
    "a misspelled option": (
        lambda: fit_many([ROWS], GaussianMixture(), n_component=[1]),
        "Did you mean 'n_components'",
    ),
    "weights of words": (lambda: GaussianMixture().fit(ROWS, sample_weight="w"), "sample_weight should .* got 'w'"),
    "weights of a list of words": (lambda: fit_many([ROWS], GaussianMixture(), sample_weight=["w"] * 60), "got 'w'"),
    "exposure of words": (
        lambda: PoissonMixture().fit(COUNTS, exposure="w"),
        "exposure should have a number for each row",
    ),
    "offset of words": (lambda: MixtureOfExperts().fit(ROWS, LABELS, offset=["w"] * 60), "offset should .* got 'w'"),
    "weights_init": (lambda: GaussianMixture(2, weights_init=[0.5, 0.6]).fit(ROWS), "normalized.* of weights_init"),
    "means_init": (lambda: StudentTMixture(2, means_init=[[1.0, 2.0]]).fit(ROWS), r"\(2, 3\), .* for means_init"),
    "precisions_init": (lambda: GaussianMixture(2, precisions_init=[1.0]).fit(ROWS), "for precisions_init"),
    "given parameters": (
        lambda: GaussianMixture.from_parameters(weight=[1.0], means=[[0.0]], covariances=[[[1.0]]]),
        "no parameter 'weight': .*did you mean 'weights'",
    ),
    "infinity": (lambda: GaussianMixture().fit(INFINITE), "Input X contains infinity.*column 1, row 4"),
    "infinity of a table": (
        lambda: BayesianGaussianMixture().fit(pd.DataFrame(INFINITE, columns=["a", "b", "c"])),
        "Input X contains infinity.*column 'b', row 4",
    ),
    "infinity of sparse rows": (
        lambda: MixtureOfExperts().fit(csr_array(INFINITE), LABELS),
        "infinity.*column 1, row 4",
    ),
    "infinity of responses": (lambda: MixtureOfExperts().fit(ROWS, INFINITE[:, 1]), "y contains infinity.*row 4"),
    "infinity of a gate": (
        lambda: MixtureOfExperts(gate="gate_X").fit(ROWS, LABELS, gate_X=INFINITE),
        "gate_X contains infinity.*column 1, row 4",
    ),
    "infinity in a choice": (lambda: select(INFINITE, GaussianMixture()), "X contains infinity.*column 1, row 4"),
    "infinity in a prediction": (lambda: FITTED.predict(WIDE.where(WIDE < 3, np.inf)), "infinity.*column 'g"),
    "labels that are missing": (lambda: MixtureClassifier().fit(ROWS, ["a", "b", None] * 20), "missing in row 2"),
    "labels of two types": (lambda: MixtureClassifier().fit(ROWS, np.array(["a", 1] * 30, object)), "of several types"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_messages_name_what_is_wrong_in_few_words(name):
    call, message = HOSTILE[name]
    with pytest.raises((TypeError, ValueError, KeyError), match=message) as caught:
        call()
    assert len(str(caught.value)) <= 600


def test_labels_of_rows_of_weight_zero_may_be_missing():
    y = np.array(["a", "b"] * 30, dtype=object)
    y[3], weight = None, np.ones(60)
    weight[3] = 0
    model = MixtureClassifier().fit(ROWS, y, sample_weight=weight)
    alone = MixtureClassifier().fit(np.delete(ROWS, 3, axis=0), np.delete(y, 3))
    np.testing.assert_array_equal(model.predict_proba(ROWS), alone.predict_proba(ROWS))


def test_names_in_messages_are_few_and_the_nearest():
    names = [f"g{j}" for j in range(20_000)]
    assert listed(names) == "'g0', 'g1', 'g2', 'g3', 'g4' and 19995 more"
    assert listed(["a", "b"]) == "'a', 'b'"
    assert nearest("G7", names) == ["g7"]
    assert nearest("zzz", names) == []
    assert difference(names[1:], names) == "'g0' is missing"
    assert difference([1, "1"], ["1", 1]) == "the order differs: column 0 is 1, and '1' is wanted"
    assert difference(["a", "a"], ["a"]) == "there are 2 names and 1 are wanted: some repeat"
    assert difference([math.nan], [math.nan]) == ""
    assert len(one_name("x" * 1000)) == 40


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.zeros((9, 2)), "ndarray of shape (9, 2) and type float64"),
        (np.float64(1), "np.float64(1.0)"),
        (list(range(1000)), "list of length 1000"),
        ([1, 2], "[1, 2]"),
        ("a" * 1000, f"'{'a' * 116}..."),
        (GaussianMixture, "<class 'mixfast.estimators.gaussian_mixture.GaussianMixture'>"),
    ],
)
def test_values_in_messages_are_short(value, said):
    assert in_short(value) == said
