"""Classes by mixtures: mclust's numbers, scikit-learn's conventions."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from mixfast import (
    BayesianGaussianMixture,
    BernoulliMixture,
    CategoricalMixture,
    DirichletProcessMixture,
    GaussianMixture,
    MixtureClassifier,
)

DATA = Path(__file__).parent / "data"
GOLDEN = json.loads((DATA / "known_and_missing.json").read_text())
STRUCTURES = {"VVV": "full", "EEE": "tied", "VVI": "diag", "VII": "spherical"}
Y = np.repeat([0, 1, 2], 50)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def iris():
    return np.loadtxt(DATA / "iris.csv", delimiter=",", skiprows=1)


@parametrize_with_checks(
    [MixtureClassifier(), MixtureClassifier(GaussianMixture(covariance_type="diag"), kind="component")]
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "case", [case for case in GOLDEN["edda"] if case["model"] in STRUCTURES], ids=lambda case: case["model"]
)
def test_a_component_for_each_class_is_mclusts_edda(case):
    X = iris()
    mixture = GaussianMixture(covariance_type=STRUCTURES[case["model"]], reg_covar=0)
    model = MixtureClassifier(mixture, kind="component").fit(X, Y)
    assert np.sum(model.score_samples(X)) == pytest.approx(case["loglik"], rel=1e-10)
    assert model.n_parameters_ == case["df"]
    assert -model.bic(X) == pytest.approx(case["bic"], rel=1e-10)
    assert np.sum(model.predict(X) != Y) == case["training_errors"]


def test_a_mixture_for_each_class_is_mclusts():
    """MclustDA's choice is EEE with two components for the first class, one component for each other; its maximum."""
    X, golden = iris(), GOLDEN["mclustda"]["iris"]
    mixture = GaussianMixture(random_state=0, reg_covar=0, n_init=30, tol=1e-9, max_iter=1000)
    grid = {"n_components": [1, 2, 3], "covariance_type": ["full", "tied", "diag", "spherical"]}
    model = MixtureClassifier(mixture, grid=grid).fit(X, Y)
    assert model.n_parameters_ == golden["df"]
    assert [own.n_components for own in model.mixtures_] == golden["G"]
    assert np.sum(model.score_samples(X)) > golden["loglik"] - 1e-3
    assert np.sum(model.predict(X) != Y) == golden["training_errors"]


def test_one_gaussian_for_each_class_is_quadratic_discriminant_analysis():
    X = iris()
    ours = MixtureClassifier(GaussianMixture(reg_covar=0)).fit(X, Y)
    theirs = QuadraticDiscriminantAnalysis(store_covariance=True).fit(X, Y)
    for model, covariance in zip(ours.mixtures_, theirs.covariance_, strict=True):
        np.testing.assert_allclose(model.covariances_[0], covariance, rtol=1e-9)
    linear = MixtureClassifier(GaussianMixture(covariance_type="tied", reg_covar=0), kind="component").fit(X, Y)
    other = LinearDiscriminantAnalysis(solver="lsqr").fit(X, Y)
    np.testing.assert_array_equal(linear.predict(X), other.predict(X))


def test_probabilities_are_bayes():
    X = iris()
    model = MixtureClassifier(GaussianMixture(2, random_state=0), class_weights=[1, 1, 2]).fit(X, Y)
    np.testing.assert_allclose(model.class_weights_, [0.25, 0.25, 0.5])
    joint = np.column_stack([own.score_samples(X) for own in model.mixtures_]) + np.log(model.class_weights_)
    np.testing.assert_allclose(model.predict_log_proba(X), joint - logsumexp(joint, axis=1)[:, np.newaxis], atol=1e-9)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)
    np.testing.assert_allclose(model.score_samples(X), logsumexp(joint, axis=1))


@pytest.mark.parametrize("kind", ["mixture", "component"])
def test_weights_are_repetitions(kind):
    X, rng = iris(), np.random.default_rng(0)
    weights = rng.integers(0, 3, size=len(X))
    weighted = MixtureClassifier(GaussianMixture(random_state=0), kind=kind).fit(X, Y, weights)
    rows = np.repeat(np.arange(len(X)), weights)
    repeated = MixtureClassifier(GaussianMixture(random_state=0), kind=kind).fit(X[rows], Y[rows])
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-8)


def test_it_is_searched_and_piped_as_any_classifier():
    X = iris()
    pipeline = make_pipeline(StandardScaler(), MixtureClassifier(GaussianMixture(random_state=0)))
    assert cross_val_score(pipeline, X, Y).mean() > 0.93
    search = GridSearchCV(
        MixtureClassifier(GaussianMixture(random_state=0)), {"estimator__covariance_type": ["full", "tied"]}, cv=3
    )
    assert search.fit(X, Y.astype(str)).score(X, Y.astype(str)) > 0.95
    assert clone(search.best_estimator_).estimator.random_state == 0


def test_other_families_and_tables():
    rng = np.random.default_rng(0)
    bits = (rng.random((200, 6)) < np.where(np.arange(200) % 2, 0.2, 0.8)[:, np.newaxis]).astype(float)
    y = np.array(["even", "odd"])[np.arange(200) % 2]
    for kind in ("mixture", "component"):
        assert MixtureClassifier(BernoulliMixture(), kind=kind).fit(bits, y).score(bits, y) > 0.9
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(np.where(bits, "yes", "no"), columns=list("abcdef"))
    model = MixtureClassifier(CategoricalMixture(), kind="component").fit(table, y)
    assert model.feature_names_in_.tolist() == list("abcdef")
    assert model.score(table, y) > 0.9


def test_errors_name_the_class():
    X = iris()
    with pytest.raises(ValueError, match="class 'one', of 1 rows"):
        MixtureClassifier().fit(X, ["one", *["other"] * 149])
    with pytest.raises(ValueError, match="class_weights"):
        MixtureClassifier(class_weights=[1, 1]).fit(X, Y)
    with pytest.raises(ValueError, match="grid has n_components"):
        MixtureClassifier(kind="component", grid={"n_components": [1]}).fit(X, Y)
    with pytest.raises(ValueError, match="kind"):
        MixtureClassifier(kind="mixtures").fit(X, Y)
    for estimator in (BayesianGaussianMixture(), DirichletProcessMixture()):
        with pytest.raises(ValueError, match="estimator"):
            MixtureClassifier(estimator).fit(X, Y)


def test_rows_that_no_class_can_have_made():
    X = np.array([[1.0, 0.0]] * 10 + [[0.0, 1.0]] * 10)
    y = np.arange(20) // 10
    model = MixtureClassifier(BernoulliMixture(alpha=0.0)).fit(X, y)
    with pytest.warns(UserWarning, match="density zero"):
        proba = model.predict_proba([[1.0, 1.0]])
    np.testing.assert_allclose(proba, [[0.5, 0.5]])
