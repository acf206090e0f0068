"""GaussianMixture is a drop-in for scikit-learn's: the same calls to both. Then what mixfast adds to it."""

import inspect
import pickle
import re

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as SklearnMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from threadpoolctl import threadpool_limits

from mixfast import GaussianMixture, Status
from mixfast.families.covariances import LINE_SHAPES, SHAPES

BOTH = SklearnMixture, GaussianMixture
COVARIANCE_TYPES = "full", "tied", "diag", "spherical"
INIT_PARAMS = "kmeans", "k-means++", "random", "random_from_data"
PARAMETERS = "weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"
CRITERIA = "score", "bic", "aic"
ON_ROWS = "predict", "predict_proba", "score_samples", *CRITERIA
NOT_CONVERGED = "Best performing initialization did not converge"

pytestmark = pytest.mark.filterwarnings(f"ignore:{NOT_CONVERGED}:sklearn.exceptions.ConvergenceWarning")
each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)


@pytest.fixture(autouse=True, scope="module")
def _one_thread_for_blas():
    """Rows are few here: scikit-learn's threads would only wait for each other. mixfast takes what n_threads says."""
    with threadpool_limits(1):
        yield


def clusters(n_rows=200, n_features=3, n_clusters=3, spread=3.0):
    """Correlated rows about random centres, none of the covariances badly conditioned."""
    rng = np.random.default_rng(0)
    centres = spread * rng.normal(size=(n_clusters, n_features))
    noise = rng.normal(size=(n_rows, n_features)) + 0.5 * rng.normal(size=(n_rows, 1))
    return centres[rng.integers(n_clusters, size=n_rows)] + noise


def fixed_start(X, n_components=3, covariance_type="full"):
    """Weights, means and precisions to start from; no two components have the same."""
    rng = np.random.default_rng(1)
    factor = 0.2 * rng.normal(size=(X.shape[1], X.shape[1]))
    matrix = np.diag(1 / X.var(axis=0)) + factor @ factor.T
    scales = np.linspace(0.5, 2, n_components)
    precisions = {
        "full": scales[:, np.newaxis, np.newaxis] * matrix,
        "tied": matrix,
        "diag": np.outer(scales, 1 / X.var(axis=0)),
        "spherical": scales / X.var(),
    }
    return {
        "n_components": n_components,
        "covariance_type": covariance_type,
        "weights_init": rng.dirichlet(np.full(n_components, 5.0)),
        "means_init": X[rng.choice(len(X), n_components, replace=False)],
        "precisions_init": precisions[covariance_type],
    }


def start_of(X, resp, covariance_type, reg_covar=1e-6):
    """The same from the moments of the rows, shared out by resp: what a start from responsibilities means."""
    counts = resp.sum(axis=0)
    weights, means = counts / counts.sum(), resp.T @ X / counts[:, np.newaxis]
    centred = X[:, np.newaxis] - means
    full = np.einsum("nk,nki,nkj->kij", resp, centred, centred) / counts[:, np.newaxis, np.newaxis]
    full += reg_covar * np.eye(X.shape[1])
    variances = np.diagonal(full, axis1=1, axis2=2)
    precisions = {
        "full": np.linalg.inv(full),
        "tied": np.linalg.inv(np.tensordot(weights, full, axes=1)),
        "diag": 1 / variances,
        "spherical": 1 / variances.mean(axis=1),
    }
    return {"weights_init": weights, "means_init": means, "precisions_init": precisions[covariance_type]}


def fit_both(X, **params):
    """scikit-learn's fit and mixfast's."""
    return [mixture(**params).fit(X) for mixture in BOTH]


def assert_near(actual, expected, rtol=1e-10):
    """Equal but for rtol of the largest magnitude in the array."""
    np.testing.assert_allclose(actual, expected, rtol=0, atol=rtol * np.max(np.abs(expected)))


def assert_same_fit(ours, theirs, rtol=1e-10):
    assert (ours.n_iter_, ours.converged_) == (theirs.n_iter_, theirs.converged_)
    for name in ("lower_bound_", "lower_bounds_", *PARAMETERS):
        assert_near(getattr(ours, name), getattr(theirs, name), rtol)


def assert_same_bits(model, expected):
    assert (model.n_iter_, model.converged_, model.status_) == (expected.n_iter_, expected.converged_, expected.status_)
    for name in ("lower_bounds_", *PARAMETERS):
        np.testing.assert_array_equal(getattr(model, name), getattr(expected, name), err_msg=name)


def assert_begins_as(ours, theirs):
    """The same class, and a message with the same words, after which ours may say where."""
    assert ours[0] is theirs[0]
    assert ours[1].startswith(theirs[1])


def errors(call, targets=BOTH):
    """Type and text of the error that the call raises with each class or model, scikit-learn's first."""
    raised = []
    for target in targets:
        with pytest.raises((ValueError, TypeError, AttributeError)) as caught:
            call(target)
        raised.append((caught.type, str(caught.value)))
    return raised


# ---- the interface ----


def test_constructor_and_methods_take_scikit_learns_arguments_with_their_defaults_and_in_their_order():
    names = [name for name, _ in inspect.getmembers(SklearnMixture, inspect.isfunction) if not re.match("_|set_", name)]
    assert {*ON_ROWS, "fit", "fit_predict", "sample", "get_params"} == set(names) - {"get_metadata_routing"}
    for name in ("__init__", *names):
        theirs, ours = (list(inspect.signature(getattr(mixture, name)).parameters.values()) for mixture in BOTH)
        untyped = [own.replace(annotation=own.empty) for own in ours]  # theirs have no types
        begun = [own.replace(default="auto") if own.name == "init_params" else own for own in theirs]
        assert untyped[: len(theirs)] == begun, name  # where it begins is the only default that differs
    theirs = SklearnMixture().get_params() | {"init_params": "auto"}
    assert theirs.items() <= GaussianMixture().get_params().items()
    tags = get_tags(SklearnMixture())
    tags.input_tags.allow_nan = True  # entries that are missing, which scikit-learn refuses
    assert get_tags(GaussianMixture()) == tags


@each_type
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.uint8, np.float16])
@pytest.mark.parametrize("max_iter", [0, 100])
def test_fitted_attributes_have_scikit_learns_names_shapes_and_dtypes(covariance_type, dtype, max_iter):
    X = (20 + clusters()).astype(dtype)
    theirs, ours = fit_both(X, n_components=2, covariance_type=covariance_type, max_iter=max_iter, random_state=0)
    expected = {name: value for name, value in vars(theirs).items() if name.endswith("_")}
    assert {*PARAMETERS, "n_iter_", "converged_", "lower_bound_", "lower_bounds_", "n_features_in_"} == set(expected)
    for name in PARAMETERS:
        actual = getattr(ours, name)
        assert (actual.shape, actual.dtype) == (expected[name].shape, expected[name].dtype), name
    for name in ("n_iter_", "converged_", "n_features_in_", "lower_bounds_"):
        assert type(getattr(ours, name)) is type(expected[name]), name
    assert len(ours.lower_bounds_) == ours.n_iter_
    if max_iter:
        assert type(ours.lower_bound_) is type(ours.lower_bounds_[0]) is type(theirs.lower_bounds_[0])
    else:
        assert (ours.lower_bound_, ours.n_iter_, ours.converged_) == (-np.inf, 0, False)


@each_type
@pytest.mark.parametrize("fit_dtype", [np.float64, np.float32])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
@pytest.mark.filterwarnings("ignore:covariance is not symmetric")  # scikit-learn's samples from float32
def test_results_have_scikit_learns_dtypes_and_shapes(covariance_type, fit_dtype, dtype):
    X = clusters().astype(fit_dtype)
    theirs, ours = fit_both(X, n_components=2, covariance_type=covariance_type, random_state=0)
    results = []
    for model in (theirs, ours):
        rows = [getattr(model, name)((3 * X).astype(dtype)) for name in ON_ROWS]
        arrays = [*rows[:3], *model.sample(5), model.fit_predict(X)]
        results.append([(array.dtype, array.shape) for array in arrays] + [type(value) for value in rows[3:]])
    assert results[1] == results[0]


# ---- the numbers ----


@each_type
@pytest.mark.parametrize("reg_covar", [1e-6, 0, 0.1])
@pytest.mark.parametrize(
    ("n_rows", "n_features", "n_components"),
    [(20, 1, 1), (50, 1, 3), (200, 2, 1), (300, 3, 4), (200, 5, 6), (1000, 16, 5)],
)
def test_each_iteration_gives_scikit_learns_numbers(n_rows, n_features, n_components, covariance_type, reg_covar):
    X = clusters(n_rows, n_features, n_components)
    start = fixed_start(X, n_components, covariance_type)
    for n_iter in (1, 2, 5, 20):
        theirs, ours = fit_both(X, reg_covar=reg_covar, max_iter=n_iter, tol=0, **start)
        assert ours.n_iter_ == n_iter
        assert_same_fit(ours, theirs)
    for name in ON_ROWS:
        assert_near(getattr(ours, name)(X), getattr(theirs, name)(X))


@each_type
def test_float32_rows_give_scikit_learns_numbers_to_single_precision(covariance_type):
    X = clusters(2000).astype(np.float32)
    start = fixed_start(X, 3, covariance_type)
    start |= {name: value.astype(np.float32) for name, value in start.items() if isinstance(value, np.ndarray)}
    theirs, ours = fit_both(X, max_iter=5, tol=0, **start)
    assert ours.means_.dtype == theirs.means_.dtype == np.float32
    assert_same_fit(ours, theirs, rtol=2e-4)


@each_type
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_a_model_given_scikit_learns_attributes_predicts_the_same(covariance_type, dtype):
    theirs = SklearnMixture(3, covariance_type=covariance_type, random_state=0).fit(clusters())
    ours = GaussianMixture(3, covariance_type=covariance_type)
    vars(ours).update({name: value for name, value in vars(theirs).items() if name.endswith("_")})
    X = (2 * clusters()).astype(dtype)
    for name in ON_ROWS:  # scikit-learn rounds distances to the dtype of the rows, which may be one of whole numbers
        assert_near(getattr(ours, name)(X), getattr(theirs, name)(X.astype(np.float64)))


@each_type
@pytest.mark.parametrize("name", [*ON_ROWS, "sample"])
def test_a_model_put_together_by_hand_is_used_as_in_scikit_learn(covariance_type, name):
    fitted = SklearnMixture(3, covariance_type=covariance_type, random_state=0).fit(clusters())
    results = []
    for mixture in BOTH:
        model = mixture(3, covariance_type=covariance_type, random_state=0)
        model.weights_, model.means_ = fitted.weights_, fitted.means_
        if name == "sample":
            model.covariances_ = fitted.covariances_
            results.append(model.sample(30_000)[0].mean(axis=0))
        else:
            model.precisions_cholesky_ = fitted.precisions_cholesky_
            results.append(getattr(model, name)(clusters()))
    assert_near(results[1], results[0], rtol=0.05 if name == "sample" else 1e-10)


@each_type
@pytest.mark.parametrize("tol", [1e-1, 1e-3, 1e-5, 1e-8])
def test_tol_stops_at_scikit_learns_iteration(covariance_type, tol):
    X = clusters()
    theirs, ours = fit_both(X, tol=tol, max_iter=500, **fixed_start(X, 3, covariance_type))
    assert ours.converged_
    assert_same_fit(ours, theirs, rtol=1e-9)


@each_type
def test_warm_start_goes_on_as_scikit_learn_does(covariance_type):
    X = clusters()
    start = fixed_start(X, 3, covariance_type)
    theirs, ours = (mixture(tol=1e-4, max_iter=3, n_init=4, warm_start=True, **start) for mixture in BOTH)
    for rows in (X, X, X, X[:150], X):
        assert_same_fit(ours.fit(rows), theirs.fit(rows), rtol=1e-9)
    for params in ({"max_iter": 50}, {"max_iter": 0}, {"max_iter": 2}, {"warm_start": False}):
        for model in (theirs, ours):
            model.set_params(**params).fit(X)
        assert (ours.n_iter_, ours.converged_) == (theirs.n_iter_, theirs.converged_)
        assert ours.lower_bound_ == pytest.approx(theirs.lower_bound_, rel=1e-9)


@each_type
@pytest.mark.parametrize("distance", [8, 10])
def test_a_component_that_hardly_any_row_belongs_to_is_not_drawn_to_the_origin(covariance_type, distance):
    """scikit-learn divides sums by the count plus 10 eps, which draws such means to the origin; below 2e-5 rows that is
    more than 1e-10. That is the only difference, and means of full weight do not show it."""
    X = 5 + np.random.default_rng(0).normal(size=(100, 2))
    start = start_of(X, np.full((100, 2), 0.5), covariance_type) | {"means_init": [[5, 5], [5 + distance, 5]]}
    theirs, ours = fit_both(X, n_components=2, covariance_type=covariance_type, tol=0, max_iter=1, **start)
    count = 100 * ours.weights_[:, np.newaxis]
    assert 1e-30 < count[1] < 1e-4
    added = 10 * np.finfo(float).eps
    assert_near(ours.means_ * count / (count + added), theirs.means_)
    assert np.all(np.abs(ours.means_[1] - X.mean(axis=0)) < 5 * X.std(axis=0))


def test_a_component_that_starts_far_from_all_rows_comes_back_where_it_does_in_scikit_learn():
    X = 5 + np.random.default_rng(0).normal(size=(100, 2))
    start = {"weights_init": [0.5, 0.5], "means_init": [[5, 5], [15, 5]], "precisions_init": [np.eye(2), np.eye(2)]}
    theirs, ours = fit_both(X, n_components=2, tol=0, max_iter=50, **start)
    assert theirs.weights_.min() > 0.009
    assert_near(ours.weights_, theirs.weights_, rtol=1e-6)
    assert ours.lower_bound_ == pytest.approx(theirs.lower_bound_, rel=1e-6)


LAYOUTS = {
    "Fortran order": np.asfortranarray,
    "rows reversed": lambda X: X[::-1],
    "every other column": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "big-endian": lambda X: X.astype(">f8"),
    "objects": lambda X: X.astype(object),
    "list": lambda X: X.tolist(),
    "read-only": lambda X: np.frombuffer(X.tobytes()).reshape(X.shape),
    "frame of several dtypes": lambda X: pd.DataFrame(X).astype({0: np.float32, 1: np.int64}),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_rows_of_any_layout_give_scikit_learns_fit(layout):
    theirs, ours = fit_both(layout(clusters()), max_iter=5, tol=0, **fixed_start(clusters()))
    assert_same_fit(ours, theirs)


# ---- the starts ----


@each_type
@pytest.mark.parametrize("given", [(), ("weights",), ("means",), ("precisions",), ("weights", "means")])
@pytest.mark.parametrize("kind", ["labels", "partial labels", "responsibilities"])
@pytest.mark.parametrize("max_iter", [0, 4])
def test_what_is_given_to_start_from_replaces_what_labels_or_responsibilities_say(
    covariance_type, given, kind, max_iter
):
    X, rng = clusters(), np.random.default_rng(3)
    labels = rng.integers(3, size=len(X))
    if kind == "partial labels":
        labels[60:] = -1
    resp = rng.dirichlet([1, 1, 1], size=len(X)) if kind == "responsibilities" else np.eye(4)[labels][:, :3]
    some = {f"{name}_init": fixed_start(X, 3, covariance_type)[f"{name}_init"] for name in given}
    start = start_of(X, resp, covariance_type) | some
    common = {"n_components": 3, "covariance_type": covariance_type, "tol": 0, "max_iter": max_iter}
    ours = GaussianMixture(init_params=resp if kind == "responsibilities" else labels, **common, **some).fit(X)
    if max_iter:
        assert_same_fit(ours, SklearnMixture(**common, **start).fit(X))
    else:
        for name in ("weights", "means", "precisions"):
            assert_near(getattr(ours, f"{name}_"), start[f"{name}_init"])


@each_type
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random_from_data"])
def test_starts_from_the_rows_find_scikit_learns_optimum_of_well_separated_clusters(covariance_type, init_params):
    X = clusters(300, 2, spread=15)
    common = {"n_components": 3, "covariance_type": covariance_type, "tol": 1e-8, "max_iter": 1000, "random_state": 0}
    ours = GaussianMixture(init_params=init_params, n_init=10, **common).fit(X)
    assert ours.lower_bound_ == pytest.approx(SklearnMixture(**common).fit(X).lower_bound_, rel=1e-6)


@pytest.mark.parametrize("init_params", INIT_PARAMS)
def test_the_best_of_several_starts_is_kept(init_params):
    X, seeds = clusters(spread=1.5), range(4)
    params = {"n_components": 5, "init_params": init_params, "max_iter": 3, "tol": 0}
    one, several = (
        [GaussianMixture(n_init=n_init, random_state=seed, **params).fit(X) for seed in seeds] for n_init in (1, 8)
    )
    # those with a spurious component lose against others, whatever their bound
    one, several = (
        [(not model.status_ & Status.SPURIOUS_COMPONENT, model.lower_bound_) for model in models]
        for models in (one, several)
    )
    assert all(best >= first for best, first in zip(several, one, strict=True))
    assert any(best > first for best, first in zip(several, one, strict=True))


# ---- warnings, errors, printed lines ----


@pytest.mark.parametrize("method", ["fit", "fit_predict"])
def test_not_converging_gives_scikit_learns_warning(method):
    texts = []
    for mixture in BOTH:
        with pytest.warns(ConvergenceWarning) as caught:
            getattr(mixture(2, max_iter=1, random_state=0), method)(clusters())
        texts.append([(warning.category, str(warning.message)) for warning in caught])
    assert texts[1] == texts[0]
    assert texts[0][0][1].startswith(NOT_CONVERGED)


EYE = np.eye(2)
# fmt: off
WRONG_ARGUMENTS = {
    "n_components": [0, -1, 1.5, "2", None],
    "tol": [-1.0, "a", None],
    "reg_covar": [-1e-9, None],
    "max_iter": [-1, 1.5],
    "n_init": [0],
    "warm_start": ["yes"],
    "verbose": [-1, "x"],
    "verbose_interval": [0],
    "random_state": [-1, 1.5, "a"],
    "weights_init": [1.0, [[0.5], [0.5]], [0.2, 0.3, 0.5], [0.3, 0.3], [0.5, 0.5 + 1e-6], [np.nan, 0.5],
                     np.array([0.5, 0.50001], np.float32)],
    "means_init": ["a", np.ones((3, 2)), [1.0, 2.0], [[np.nan, 0], [1, 1]]],
}
WRONG_PRECISIONS = {
    "full": [2, [EYE, EYE, EYE], [EYE, [[1, 2], [2, 1]]], [EYE, np.ones((2, 2))], [EYE, [[1, 0.5], [0.2, 1]]],
             np.full((2, 2, 2), np.nan)],
    "tied": [np.eye(3), -EYE, [[1, 0.5], [0.2, 1]]],
    "diag": [np.ones((2, 3)), [[1, 1], [1, 0]]],
    "spherical": [np.ones((2, 2)), [1, -1]],
}
# fmt: on


WRONG = [{name: value} for name, values in WRONG_ARGUMENTS.items() for value in values]
for name, values in WRONG_PRECISIONS.items():
    WRONG += [{"covariance_type": name, "precisions_init": value} for value in values]


@pytest.mark.parametrize("params", WRONG, ids=" ".join)
def test_a_wrong_argument_gives_scikit_learns_error(params):
    theirs, ours = errors(lambda mixture: mixture(**{"n_components": 2, **params}).fit(clusters(30, 2)))
    assert_begins_as(ours, theirs)


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("covariance_type", {*SHAPES, *LINE_SHAPES, "factor"}),
        ("init_params", {"auto", "k-means", "or", "an", "array-like"}),
    ],
)
def test_an_unknown_option_gives_scikit_learns_error_and_names_what_mixfast_adds(name, more):
    theirs, ours = errors(lambda mixture: mixture(**{name: "unknown"}).fit(clusters()))
    assert ours[0] is theirs[0]
    # the options are printed in the order of a set
    assert set(re.findall(r"[\w+-]+", ours[1])) == set(re.findall(r"[\w+-]+", theirs[1])) | more


@pytest.mark.parametrize(
    ("call", "numbers"),
    [
        (lambda mixture: mixture(2, weights_init=[-0.5, 1.5]).fit(clusters()), "max value 1.50000, min value -0.50000"),
        (lambda mixture: mixture(2, random_state=0).fit(clusters()).sample(0), "'n_samples': 0 "),
    ],
    ids=["weights", "sample"],
)
def test_two_errors_are_scikit_learns_but_for_the_numbers_that_it_mixes_up(call, numbers):
    theirs, ours = errors(call)
    assert re.sub(r"-?\d+(\.\d+)?", "#", ours[1]).startswith(re.sub(r"-?\d+(\.\d+)?", "#", theirs[1]))
    assert ours[0] is theirs[0]
    assert numbers in ours[1]


WRONG_ROWS = {
    "no rows": np.ones((0, 3)),
    "no columns": np.ones((5, 0)),
    "one dimension": np.ones(5),
    "three dimensions": np.ones((5, 3, 1)),
    "infinity": np.full((5, 3), np.inf),
    "sparse": sparse.csr_matrix(np.ones((5, 3))),
    "complex": np.ones((5, 3)) * 1j,
}
TOO_FEW_ROWS = {"one row": np.ones((1, 3)), "fewer rows than components": np.arange(6.0).reshape(2, 3)}
WRONG_WIDTH = {"another number of columns": np.ones((5, 2))}


@pytest.mark.parametrize("name", ["fit", "fit_predict"])
@pytest.mark.parametrize("X", [*WRONG_ROWS.values(), *TOO_FEW_ROWS.values()], ids=[*WRONG_ROWS, *TOO_FEW_ROWS])
def test_rows_that_cannot_be_fitted_give_scikit_learns_error(X, name):
    theirs, ours = errors(lambda mixture: getattr(mixture(3), name)(X))
    assert_begins_as(ours, theirs)


@pytest.mark.parametrize("name", ON_ROWS)
@pytest.mark.parametrize("X", [*WRONG_ROWS.values(), *WRONG_WIDTH.values()], ids=[*WRONG_ROWS, *WRONG_WIDTH])
def test_rows_that_cannot_be_predicted_give_scikit_learns_error(X, name):
    models = fit_both(clusters(), tol=0.1, **fixed_start(clusters()))
    theirs, ours = errors(lambda model: getattr(model, name)(X), models)
    assert_begins_as(ours, theirs)


@pytest.mark.parametrize("name", ["fit", "fit_predict", *ON_ROWS])
def test_missing_values_are_taken_where_scikit_learn_refuses_them(name):
    models = fit_both(clusters(), tol=0.1, **fixed_start(clusters()))
    X = clusters()
    X[4, 1] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        getattr(models[0], name)(X)
    found = getattr(models[1], name)(X)
    assert found is models[1] or np.all(np.isfinite(found))


@pytest.mark.parametrize("name", [*ON_ROWS, "sample"])
def test_a_model_that_is_not_fitted_gives_scikit_learns_error(name):
    argument = 1 if name == "sample" else clusters()
    theirs, ours = errors(lambda mixture: getattr(mixture(), name)(argument))
    assert ours == theirs


@each_type
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_raising_on_degenerate_components_gives_scikit_learns_error(covariance_type, dtype):
    X = np.repeat([[0, 0], [4, 8]], 10, axis=0).astype(dtype)
    params = {"n_components": 2, "covariance_type": covariance_type, "reg_covar": 0, "random_state": 0}
    models = SklearnMixture(**params), GaussianMixture(on_degenerate="raise", **params)
    theirs, ours = errors(lambda model: model.fit(X), models)
    assert ours == theirs
    assert "ill-defined empirical covariance" in ours[1]


@pytest.mark.parametrize("verbose", [0, 1, 2, 3, True])
@pytest.mark.parametrize("params", [{"verbose_interval": 1}, {"verbose_interval": 4}, {"max_iter": 3}, {"max_iter": 0}])
def test_verbose_prints_scikit_learns_lines(verbose, params, capsys):
    X, printed = clusters(), []
    # without precisions, as scikit-learn has no covariances to keep after no iteration
    start = fixed_start(X) | ({"precisions_init": None, "random_state": 0} if params == {"max_iter": 0} else {})
    for mixture in BOTH:
        model = mixture(n_init=2, tol=1e-4, verbose=verbose, warm_start=True, **start, **params)
        model.fit(X).fit(X)
        printed.append(re.sub(r"time lapse \d+\.\d{5}s", "time lapse #", capsys.readouterr().out))
    assert printed[1] == printed[0]
    assert ("Initialization 1" in printed[0]) == bool(verbose)


# ---- samples ----


@each_type
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_samples_have_the_means_covariances_and_order_of_the_model(covariance_type, dtype):
    model = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(clusters().astype(dtype))
    rows, labels = model.sample(60_000)
    assert np.all(np.diff(labels) >= 0)
    assert_near(np.bincount(labels) / len(rows), model.weights_, rtol=0.05)
    for k in range(3):
        own = rows[labels == k]
        covariance = model.covariances_ if covariance_type == "tied" else model.covariances_[k]
        matrix = covariance if covariance_type in ("full", "tied") else covariance * np.eye(3)
        assert_near(np.cov(own.T), matrix, rtol=0.1)
        assert np.all(np.abs(own.mean(axis=0) - model.means_[k]) < 5 * np.sqrt(np.diag(matrix) / len(own)))


def test_sample_takes_a_random_state_of_its_own_or_else_the_models():
    model = GaussianMixture(2, random_state=3).fit(clusters())
    np.testing.assert_array_equal(model.sample(9)[0], model.sample(9, random_state=3)[0])
    np.testing.assert_array_equal(model.sample(9)[0], model.sample(9, random_state=np.random.RandomState(3))[0])
    assert not np.array_equal(model.sample(9)[0], model.sample(9, random_state=4)[0])


# ---- with the rest of scikit-learn ----


def test_names_of_columns_are_kept_and_checked_as_in_scikit_learn():
    frame = pd.DataFrame(clusters(), columns=["a", "b", "c"])
    theirs, ours = fit_both(frame, **fixed_start(clusters()))
    np.testing.assert_array_equal(ours.feature_names_in_, theirs.feature_names_in_)
    raised = errors(lambda model: model.predict(frame[["b", "a", "c"]]), [theirs, ours])
    assert raised[1] == raised[0]
    texts = []
    for model in (theirs, ours):
        with pytest.warns(UserWarning, match="does not have valid feature names") as caught:
            model.predict(frame.to_numpy())
        texts.append([str(warning.message) for warning in caught])
    assert texts[1] == texts[0]
    assert not hasattr(ours.fit(frame.to_numpy()), "feature_names_in_")


def test_a_clone_fits_the_same_and_a_pickle_predicts_the_same():
    X = clusters()
    model = GaussianMixture(3, init_params=np.arange(len(X)) % 3).fit(X)
    copy = clone(model)
    assert not hasattr(copy, "weights_")
    assert_same_bits(copy.fit(X), model)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), model.predict_proba(X))


def test_a_grid_search_over_a_pipeline_chooses_as_with_scikit_learn():
    X = clusters(240, 2, spread=15)
    grid = {"gaussianmixture__n_components": [1, 3], "gaussianmixture__covariance_type": list(COVARIANCE_TYPES)}
    theirs, ours = (
        GridSearchCV(make_pipeline(StandardScaler(), mixture(tol=1e-7, random_state=0)), grid, cv=3).fit(X)
        for mixture in BOTH
    )
    assert ours.best_params_ == theirs.best_params_
    assert_near(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], rtol=1e-4)
    assert ours.score(X) == pytest.approx(theirs.score(X), rel=1e-4)


# ---- beyond scikit-learn ----


@each_type
def test_an_integer_weight_equals_repeating_the_row(covariance_type):
    X = clusters()
    sample_weight = np.random.default_rng(4).integers(0, 4, size=len(X))
    repeated = np.repeat(X, sample_weight, axis=0)
    start = {"tol": 0, "max_iter": 10, **fixed_start(X, 3, covariance_type)}
    ours = GaussianMixture(**start).fit(X, sample_weight=sample_weight)
    assert_same_fit(ours, SklearnMixture(**start).fit(repeated))
    for name in (*CRITERIA, "icl"):
        criterion = getattr(ours, name)
        assert criterion(X, sample_weight=sample_weight) == pytest.approx(criterion(repeated), rel=1e-10)
    np.testing.assert_array_equal(GaussianMixture(**start).fit_predict(X, sample_weight=sample_weight), ours.predict(X))


@each_type
@pytest.mark.parametrize("init_params", [*INIT_PARAMS, "labels", "responsibilities"])
def test_a_weight_of_zero_equals_leaving_the_row_out_to_the_bit(covariance_type, init_params):
    X, rng = clusters(), np.random.default_rng(5)
    sample_weight = rng.integers(0, 3, size=len(X)) * rng.uniform(0.5, 2, size=len(X))
    kept = sample_weight > 0
    X[~kept] *= 1e3
    starts = {"labels": np.arange(len(X)) % 3, "responsibilities": rng.dirichlet([1, 1, 1], size=len(X))}
    start = starts.get(init_params, init_params)
    params = {"n_components": 3, "covariance_type": covariance_type, "random_state": 0, "max_iter": 10}
    whole = GaussianMixture(init_params=start, **params).fit(X, sample_weight=sample_weight)
    part = GaussianMixture(init_params=start[kept] if init_params in starts else start, **params)
    assert_same_bits(whole, part.fit(X[kept], sample_weight=sample_weight[kept]))
    for name in (*CRITERIA, "icl"):
        expected = getattr(part, name)(X[kept], sample_weight=sample_weight[kept])
        assert getattr(whole, name)(X, sample_weight=sample_weight) == pytest.approx(expected, rel=1e-12)


def test_labels_of_rows_without_weight_begin_no_component():
    X, labels = clusters(6), np.array([0, 0, 0, 0, 0, 1])
    with pytest.raises(ValueError, match="gives no rows to component 1"):
        GaussianMixture(2, init_params=labels[:5]).fit(X[:5])
    with pytest.raises(ValueError, match="gives no rows to component 1"):
        GaussianMixture(2, init_params=labels).fit(X, sample_weight=[1, 1, 1, 1, 1, 0])


@each_type
def test_icl_is_bic_with_the_classification_likelihood(covariance_type):
    X = clusters(spread=1.5)
    model = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X)
    certainty = np.log(model.predict_proba(X).max(axis=1))
    assert model.icl(X) == pytest.approx(model.bic(X) - 2 * certainty.sum(), rel=1e-12)
    assert model.icl(X) > model.bic(X) + 1


@each_type
@pytest.mark.parametrize("init_params", INIT_PARAMS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_same_random_state_gives_the_same_bits_for_any_number_of_threads(covariance_type, init_params, dtype):
    X = clusters(3000, 4, spread=1.5).astype(dtype)
    sample_weight = np.random.default_rng(6).uniform(size=len(X))
    common = {"n_components": 3, "covariance_type": covariance_type, "init_params": init_params, "random_state": 7}
    first, *others = (
        GaussianMixture(n_threads=n_threads, max_iter=5, n_init=2, **common).fit(X, sample_weight=sample_weight)
        for n_threads in (1, 2, 3, 7)
    )
    for model in others:
        assert_same_bits(model, first)
        np.testing.assert_array_equal(model.predict_proba(X), first.predict_proba(X))
        assert model.bic(X) == first.bic(X)


def test_a_class_may_get_another_constructor_from_a_decorator():
    def with_a_note(cls):
        old = cls.__init__

        def __init__(self, n_components=1, note=""):
            old(self, n_components)
            self.note = note

        cls.__init__ = __init__
        return cls

    @with_a_note
    class Noted(GaussianMixture):
        pass

    assert Noted._get_param_names() == ["n_components", "note"]
    assert clone(Noted(2, note="mine")).get_params() == {"n_components": 2, "note": "mine"}
