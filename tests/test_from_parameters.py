"""Models of given parameters: those of a fitted model make it again, to the last bit; what is no mixture is refused."""

import copy
import inspect
import pickle

import numpy as np
import pandas as pd
import pytest
from batches import assert_same_state, same_bits
from estimators_table import ESTIMATORS, MIXED, PARTS, REALS, every_given, public_estimators

from mixfast import (
    GSDMM,
    BernoulliMixture,
    CategoricalMixture,
    DirichletMultinomialMixture,
    ExponentialMixture,
    GammaMixture,
    GaussianMixture,
    MixtureOfExperts,
    MultinomialMixture,
    PoissonMixture,
    ProductMixture,
    Status,
    StudentTMixture,
    VonMisesFisherMixture,
    load,
    plot_mixture,
)
from mixfast.parts import Categorical, Gaussian, StudentT

#: Keywords of `from_parameters` that are no fitted attributes.
OTHER_KEYWORDS = {"feature_names", "n_features", "parts", "options"}


def parameters_of(model):
    """The keywords that make a fitted model, its options left out."""
    names = inspect.signature(type(model).from_parameters).parameters.keys() - OTHER_KEYWORDS
    if hasattr(model, "loadings_"):  # of which covariances are made
        names -= {"covariances", "precisions", "precisions_cholesky"}
    given = {name: getattr(model, f"{name}_") for name in names if hasattr(model, f"{name}_")}
    if isinstance(model, ProductMixture):
        given["components"] = {name: parameters_of(own) for name, own in model.components_.items()}
        for own in given["components"].values():
            del own["weights"]
    return given


def without_precisions(model):
    """Its parameters but for those that are rounded twice in float32."""
    return {name: value for name, value in parameters_of(model).items() if name not in ("precisions", "components")}


def options_of(model):
    """Those that no keyword hides."""
    return {k: v for k, v in model.get_params(deep=False).items() if k not in {*parameters_of(model), "n_components"}}


def made_again(model, **changes):
    options = options_of(model)
    if isinstance(model, ProductMixture):
        options["n_features"] = model.n_features_in_
    hidden = {name: value for name, value in model.get_params(deep=False).items() if name not in options}
    return type(model).from_parameters(**parameters_of(model) | options | changes).set_params(**hidden)


@every_given
def test_parameters_of_a_fit_make_the_model_again(name, tmp_path):
    entry = ESTIMATORS[name]
    for dtype in entry.dtypes:
        X = entry.X.astype(dtype)
        fitted = entry.make().fit(X)
        model = made_again(fitted)
        model.save(tmp_path / "model")
        for same in (model, load(tmp_path / "model"), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
            assert type(same) is type(fitted)
            assert same.n_features_in_ == fitted.n_features_in_
            for method in ("score_samples", "predict_proba", "predict"):
                assert same_bits(getattr(same, method)(X), getattr(fitted, method)(X)), method
            for got, wanted in zip(same.sample(30, random_state=1), fitted.sample(30, random_state=1), strict=True):
                assert same_bits(got, wanted)
        assert_same_state(without_precisions(model), without_precisions(fitted))
        if entry.takes_weights:
            assert model.bic(X) == fitted.bic(X)
            assert (model.converged_, model.n_iter_, model.lower_bound_) == (False, 0, -np.inf)
            assert model.status_ is Status.OK


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@every_given
def test_a_fit_goes_on_from_given_parameters(name):
    entry = ESTIMATORS[name]
    if not entry.takes_weights:
        assert "warm_start" not in entry.make().get_params()
        return
    fitted = entry.make(max_iter=3, tol=0).fit(entry.X)
    model = made_again(fitted, warm_start=True).fit(entry.X)
    wanted = copy.deepcopy(fitted).set_params(warm_start=True).fit(entry.X)
    assert same_bits(model.score_samples(entry.X), wanted.score_samples(entry.X))
    assert model.lower_bounds_ == wanted.lower_bounds_


@every_given
def test_given_parameters_have_the_names_of_columns(name):
    entry = ESTIMATORS[name]
    fitted = entry.make().fit(entry.X)
    names = [f"x{j}" for j in range(fitted.n_features_in_)]
    changes = {}
    if isinstance(fitted, ProductMixture):  # whose parts are called by their columns
        parts = parameters_of(fitted)["components"]
        changes = {"components": {", ".join(f"x{j}" for j in part.split(", ")): own for part, own in parts.items()}}
    model = made_again(fitted, feature_names=names, **changes)
    assert list(model.feature_names_in_) == names
    for wrong in (names[1:], ["x0"] * len(names), list(range(len(names)))):
        with pytest.raises(ValueError, match=r"feature_names|name column|parts"):
            made_again(fitted, feature_names=wrong, **changes)


def wrong_arrays(given):
    """(place, value) of what no array of parameters is: in every way that an array can be wrong everywhere."""
    array = np.asarray(given, dtype=object if isinstance(given, list) else None)
    if array.dtype.kind not in "fi":
        return
    yield "NaN", np.full(array.shape, np.nan)
    yield "infinity", np.full(array.shape, np.inf)
    yield "a shape", array[..., np.newaxis]
    yield "a size", np.concatenate([array, array[:1]])
    yield "strings", np.full(array.shape, "a")
    yield "None", None
    yield "ragged", [[1.0], [1.0, 2.0]]


@every_given
def test_what_is_no_parameter_is_refused_by_name(name):
    fitted = ESTIMATORS[name].make().fit(ESTIMATORS[name].X)
    for keyword, given in parameters_of(fitted).items():
        for way, value in wrong_arrays(given):
            optional = inspect.signature(type(fitted).from_parameters).parameters[keyword].default is None
            if value is None and optional:
                continue
            with pytest.raises(ValueError, match=f"{keyword}|weights") as raised:
                made_again(fitted, **{keyword: value})
            assert "should" in str(raised.value), way


TWO = {"weights": [0.5, 0.5]}
MEANS = {"means": [[0.0, 1.0], [2.0, 3.0]]}
EYES = np.tile(np.eye(2), (2, 1, 1))
SKEW = np.tile(np.eye(2) + np.eye(2, k=1), (2, 1, 1))
RATES = [[1.0, 2.0], [3.0, 4.0]]

OUTSIDE = [
    (
        GaussianMixture,
        {"weights": [0.5, 0.4], **MEANS, "covariances": EYES},
        "weights is .* should be numbers that sum",
    ),
    (GaussianMixture, {"weights": [1.5, -0.5], **MEANS, "covariances": EYES}, r"weights\[1\] is -0.5.*at least 0"),
    (GaussianMixture, {**TWO, **MEANS}, "covariances, precisions and precisions_cholesky are None"),
    (GaussianMixture, {**TWO, **MEANS, "covariances": -EYES}, r"covariances\[0\] .* symmetric, positive-definite"),
    (GaussianMixture, {**TWO, **MEANS, "precisions": SKEW}, r"precisions\[0\] .* symmetric, positive-definite"),
    (GaussianMixture, {**TWO, **MEANS, "precisions_cholesky": -EYES}, r"precisions_cholesky\[0\] .* upper triangular"),
    (GaussianMixture, {**TWO, **MEANS, "covariances": 2 * EYES, "precisions": EYES}, "are not those of one model"),
    (
        GaussianMixture,
        {**TWO, **MEANS, "covariances": EYES[0]},
        r"covariances should have the shape of \(2, 2, 2\), got \(2, 2\)",
    ),
    (
        GaussianMixture,
        {**TWO, **MEANS, "covariances": [1.0, 0.0], "covariance_type": "spherical"},
        "covariances.*above 0",
    ),
    (GaussianMixture, {**TWO, **MEANS, "covariances": EYES, "covariance_type": "round"}, "'covariance_type' parameter"),
    (StudentTMixture, {**TWO, **MEANS, "covariances": EYES, "degrees_of_freedom": [4, 0]}, r"freedom\[1\].*0.01"),
    (
        BernoulliMixture,
        {**TWO, "probabilities": [[0.5, 1.5], [0.0, 1.0]]},
        r"probabilities\[0, 1\] is 1.5.*from 0 to 1",
    ),
    (MultinomialMixture, {**TWO, "probabilities": [[0.5, 0.5], [0.5, 0.4]]}, r"probabilities\[1\] is .* that sum to 1"),
    (
        MultinomialMixture,
        {**TWO, "probabilities": [[0.5, 0.5]] * 2, "totals": [1]},
        "totals=.*give both, or leave both",
    ),
    (DirichletMultinomialMixture, {**TWO, "concentrations": [[1, 1], [1, 0]]}, r"concentrations\[1, 1\] .*above 0"),
    (
        DirichletMultinomialMixture,
        {**TWO, "concentrations": RATES, "concentration": "symmetric"},
        "the same for all columns",
    ),
    (DirichletMultinomialMixture, {**TWO, "concentrations": RATES, "concentration": 9.0}, "of sum 9.0 for each"),
    (PoissonMixture, {**TWO, "rates": [[1.0], [-1.0]]}, r"rates\[1, 0\] is -1.0, but rates should be at least 0"),
    (GammaMixture, {**TWO, "shapes": RATES, "scales": [[1.0, 0.0], [1.0, 1.0]]}, r"scales\[0, 1\] is 0.0.*above 0"),
    (GammaMixture, {**TWO, "shapes": RATES, "scales": [[1.0], [2.0]]}, r"scales should have the shape of \(2, 2\)"),
    (ExponentialMixture, {**TWO, "rates": [[0.0], [1.0]]}, r"rates\[0, 0\] .*above 0"),
    (VonMisesFisherMixture, {**TWO, "mean_directions": RATES, "concentrations": [1, 1]}, "unit vectors: divide each"),
    (VonMisesFisherMixture, {**TWO, "mean_directions": np.eye(2), "concentrations": [1, -1]}, r"concentrations\[1\]"),
    (
        VonMisesFisherMixture,
        {**TWO, "mean_directions": np.eye(2), "concentrations": [1, 2], "concentration_type": "shared"},
        "the same for all components",
    ),
    (
        CategoricalMixture,
        {**TWO, "probabilities": [RATES], "categories": [["a", "b"]]},
        r"probabilities\[0\]\[0\] .* sum",
    ),
    (
        CategoricalMixture,
        {**TWO, "probabilities": [RATES], "categories": [["a"]]},
        r"probabilities\[0\] should have the shape",
    ),
    (CategoricalMixture, {**TWO, "probabilities": [RATES], "categories": [["a", "a"]]}, "distinct values"),
    (CategoricalMixture, {**TWO, "probabilities": [RATES], "categories": "auto"}, "categories should be a list"),
    (CategoricalMixture, {**TWO, "probabilities": [], "categories": []}, r"probabilities should be a list .*got \[\]"),
    (
        GaussianMixture,
        {**TWO, **MEANS, "covariances": [1e-320, 1], "covariance_type": "spherical"},
        "covariances should have finite inverses",
    ),
    (MixtureOfExperts, {"coef": [[1.0]], "intercept": [0.0]}, r"sigma should have the shape of \(1,\), got \(\)"),
    (MixtureOfExperts, {"coef": [[1.0]], "intercept": [0.0], "sigma": [-1.0]}, "above 0"),
    (
        MixtureOfExperts,
        {"coef": [[1.0]], "intercept": [0.0], "sigma": [1.0], "expert": "poisson"},
        "sigma was given, which expert='poisson' does not have",
    ),
    (
        MixtureOfExperts,
        {"coef": [[1.0]], "intercept": [0.0], "expert": "poisson", "gate": "same"},
        "gate_coef=None does not go with gate='same'",
    ),
    (GSDMM, {"document_counts": [1.5], "word_counts": [[1]]}, r"document_counts\[0\] is 1.5.*whole numbers"),
    (
        GSDMM,
        {"document_counts": [1, 1], "word_counts": [[1]]},
        r"word_counts should have the shape of \(2, n_features\)",
    ),
]


@pytest.mark.parametrize(("cls", "given", "match"), OUTSIDE, ids=range(len(OUTSIDE)))
def test_what_is_outside_its_domain_is_named_with_what_it_should_be(cls, given, match):
    with pytest.raises(ValueError, match=f"(?s){match}"):
        cls.from_parameters(**given)


def test_every_public_estimator_has_a_case():
    given = {cls for cls in public_estimators() if hasattr(cls, "from_parameters")}
    assert {case[0] for case in OUTSIDE} | {ProductMixture} == given
    with_likelihood = {type(entry.make()) for entry in ESTIMATORS.values() if entry.has_likelihood}
    assert given == with_likelihood | {GSDMM, MixtureOfExperts}


def test_options_that_there_are_not_are_an_error():
    with pytest.raises(TypeError, match="covariance"):
        GaussianMixture.from_parameters(**TWO, **MEANS, covariance=EYES)
    with pytest.raises(TypeError, match="means"):
        GaussianMixture.from_parameters(**TWO, covariances=EYES)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("way", ["covariances", "precisions", "precisions_cholesky"])
def test_scales_are_taken_in_each_way(way, covariance_type):
    fitted = GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(REALS)
    given = {way: getattr(fitted, f"{way}_"), "covariance_type": covariance_type}
    model = GaussianMixture.from_parameters(weights=fitted.weights_, means=fitted.means_, **given)
    np.testing.assert_allclose(model.score_samples(REALS), fitted.score_samples(REALS), rtol=1e-10)
    for name in ("covariances_", "precisions_", "precisions_cholesky_"):
        np.testing.assert_allclose(getattr(model, name), getattr(fitted, name), rtol=1e-8, atol=1e-10)


def test_arrays_that_are_given_stay_their_owners():
    means = np.array(MEANS["means"])
    model = GaussianMixture.from_parameters(**TWO, means=means, covariances=EYES)
    means[:] = 9
    assert model.means_.tolist() == MEANS["means"]
    assert not model.means_.flags.writeable


def test_options_with_the_name_of_a_parameter_are_set_afterwards():
    given = {**TWO, **MEANS, "covariances": EYES, "degrees_of_freedom": [5.0, 5.0]}
    model = StudentTMixture.from_parameters(**given).set_params(degrees_of_freedom="shared", weights=[0.5, 0.5])
    assert model._n_parameters() == 4 + 6 + 1
    assert model.predict([[0.0, 1.0]]).tolist() == [0]


def test_a_given_model_is_drawn():
    pytest.importorskip("matplotlib").use("Agg")
    model = GaussianMixture.from_parameters(**TWO, **MEANS, covariances=EYES, feature_names=["a", "b"])
    rows = pd.DataFrame(model.sample(50, random_state=0)[0], columns=["a", "b"])
    assert plot_mixture(model, rows).get_xlabel() == "a"


# ---- products -------------------------------------------------------------------------------------------------------

SURVEY = [("age", Gaussian("diag")), ("job", Categorical())]
MARGINS = {
    "age": {"means": [[30.0], [60.0]], "covariances": [[25.0], [25.0]]},
    "job": {"probabilities": [[[0.9, 0.1], [0.2, 0.8]]], "categories": [["works", "rests"]]},
}


def test_a_product_of_named_columns_is_given():
    model = ProductMixture.from_parameters(
        parts=SURVEY, **TWO, components=MARGINS, feature_names=["id", "age", "job"], random_state=0
    )
    assert model.predict(pd.DataFrame({"job": ["works", "rests"], "age": [31.0, 58.0]})).tolist() == [0, 1]
    rows, _ = model.sample(5)
    assert rows.shape == (5, 2)
    assert list(model.columns_) == ["age", "job"]


def test_parts_of_a_product_keep_their_options():
    parts = [(0, StudentT("spherical", "shared")), (1, Categorical(categories=[["b", "a"]]))]
    components = {
        "0": {"means": [[0.0], [3.0]], "covariances": [1.0, 1.0], "degrees_of_freedom": [4.0, 4.0]},
        "1": {"probabilities": [[[0.9, 0.1], [0.2, 0.8]]]},
    }
    model = ProductMixture.from_parameters(parts=parts, **TWO, components=components)
    assert model.components_["0"].degrees_of_freedom == "shared"
    assert model.components_["1"].categories_[0].tolist() == ["b", "a"]
    assert model.predict(np.array([[0.0, "b"], [3.0, "a"]], dtype=object)).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"feature_names": None}, "give feature_names, or n_features"),
        ({"feature_names": ["age", "work"]}, "parts name column 'job'"),
        ({"components": {"age": MARGINS["age"]}}, r"components should be a dict of the parts 'age', 'job'"),
        ({"components": MARGINS | {"age": {"means": [[1.0]]}}}, "Part 'age': means should have|Part 'age': .*None"),
        ({"components": MARGINS | {"age": {"mean": [[1.0]]}}}, "Part 'age': .*'mean"),
        ({"components": MARGINS | {"age": MARGINS["age"] | {"means": [[1.0, 2.0]] * 2}}}, "Part 'age'"),
        ({"weights": [0.5, 0.2, 0.3]}, "Part 'age': means should have the shape"),
        ({"parts": [("age", Gaussian("round")), SURVEY[1]]}, "Part 'age': .*'covariance_type' parameter"),
    ],
)
def test_a_product_that_is_none_is_refused(changes, match):
    given = {"parts": SURVEY, **TWO, "components": MARGINS, "feature_names": ["age", "job"]}
    with pytest.raises((ValueError, TypeError), match=match):
        ProductMixture.from_parameters(**given | changes)


def test_a_product_of_numbered_columns_knows_how_many_there_are():
    fitted = ProductMixture(PARTS, 2, random_state=0).fit(MIXED)
    given = parameters_of(fitted)
    model = ProductMixture.from_parameters(parts=PARTS, **given)
    assert model.n_features_in_ == 4
    with pytest.raises(ValueError, match="n_features should be a whole number"):
        ProductMixture.from_parameters(parts=PARTS, **given, n_features=0)
