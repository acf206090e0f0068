"""MixtureOfExperts as a regressor of scikit-learn: scores, pipelines, searches, routed columns."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone, is_regressor
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_predict, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from mixfast import MixtureOfExperts, select

RNG = np.random.default_rng(2)
SIDE = np.arange(240) % 2
X = RNG.uniform(0, 10, size=(240, 1))
Y = np.where(SIDE, 5 * X[:, 0], 40 - (X[:, 0] - 5) ** 2) + RNG.normal(scale=3, size=240)
HOURS = RNG.uniform(0.5, 3, size=240)
COUNTS = RNG.poisson(HOURS * np.exp(np.where(SIDE, 1 + 0.1 * X[:, 0], 0.2)))


def test_score_is_r2():
    model, weights = MixtureOfExperts(2, random_state=0).fit(X, Y), RNG.random(240)
    assert is_regressor(model)
    assert model.score(X, Y) == r2_score(Y, model.predict(X))
    assert model.score(X, Y, weights) == r2_score(Y, model.predict(X), sample_weight=weights)


def test_cross_validation_and_pipelines():
    pipe = make_pipeline(PolynomialFeatures(2, include_bias=False), MixtureOfExperts(2, random_state=0))
    scores = cross_validate(pipe, X, Y, cv=4)["test_score"]
    assert scores.shape == (4,)
    assert np.all((scores > 0) & (scores < 1))
    assert cross_val_predict(pipe, X, Y, cv=4).shape == (240,)


def test_a_search_finds_what_predicts_best():
    search = GridSearchCV(
        make_pipeline(StandardScaler(), PolynomialFeatures(include_bias=False), MixtureOfExperts(random_state=0)),
        {"polynomialfeatures__degree": [1, 2], "mixtureofexperts__n_components": [1, 2]},
        cv=4,
    ).fit(X, Y)
    assert search.best_params_["polynomialfeatures__degree"] == 2

    def held_out(model, X, y):
        return model.score_samples(X, y).mean()

    by_density = GridSearchCV(MixtureOfExperts(random_state=0), {"n_components": [1, 2]}, scoring=held_out, cv=4).fit(
        np.column_stack([X, X**2]), Y
    )
    assert by_density.best_params_ == {"n_components": 2}


def test_columns_beside_X_are_routed():
    with config_context(enable_metadata_routing=True):
        model = MixtureOfExperts(2, expert="poisson", random_state=0)
        model.set_fit_request(exposure=True, sample_weight=True).set_score_request(exposure=True, sample_weight=True)
        pipe = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model)
        weights = RNG.integers(1, 3, size=240)
        found = cross_validate(
            pipe, X, COUNTS, cv=3, params={"exposure": HOURS, "sample_weight": weights}, return_estimator=True
        )
    first = np.arange(240) >= 80  # the folds are blocks, in order
    scaled = StandardScaler().fit(X[first])
    plain = MixtureOfExperts(2, expert="poisson", random_state=0)
    plain.fit(scaled.transform(X[first]), COUNTS[first], weights[first], exposure=HOURS[first])
    wanted = plain.score(scaled.transform(X[~first]), COUNTS[~first], weights[~first], exposure=HOURS[~first])
    assert found["test_score"][0] == pytest.approx(wanted)


def test_a_clone_is_not_fitted():
    model = MixtureOfExperts(2, expert="student_t", degrees_of_freedom="component", fixed=[0])
    assert clone(model).get_params() == model.get_params()


def test_groups_and_columns_of_the_gate_are_routed():
    """Groups to the splitter and to the fit."""
    groups, z = np.repeat(np.arange(60), 4), np.repeat(RNG.normal(size=(60, 1)), 4, axis=0)
    y = np.where(z[:, 0] > 0, 5 + X[:, 0], -5 - X[:, 0]) + RNG.normal(size=240)
    with config_context(enable_metadata_routing=True):
        model = MixtureOfExperts(2, gate="gate_X", random_state=0)
        model.set_fit_request(groups=True, gate_X=True).set_score_request(groups=False, gate_X=True)
        found = cross_validate(
            model, X, y, cv=GroupKFold(3), params={"groups": groups, "gate_X": z}, return_indices=True
        )
    train, test = (found["indices"][side][0] for side in ("train", "test"))
    plain = MixtureOfExperts(2, gate="gate_X", random_state=0).fit(
        X[train], y[train], groups=groups[train], gate_X=z[train]
    )
    assert found["test_score"][0] == pytest.approx(plain.score(X[test], y[test], gate_X=z[test]))
    assert found["test_score"][0] > 0.5


def test_select_compares_by_densities_from_the_estimators_own_starts():
    both = np.column_stack([X, X**2])
    chosen = select(both, MixtureOfExperts(), y=Y, n_components=[1, 2, 3], variance=["own", "common"], random_state=0)
    assert chosen.best_params_["n_components"] == 2
    assert {row["start"] for row in chosen.table} == {"own"}
    by_folds = select(both, MixtureOfExperts(), y=Y, n_components=[1, 2], criterion="heldout", random_state=0)
    assert by_folds.best_params_ == {"n_components": 2}
    folds = KFold(5, shuffle=True, random_state=0)
    wanted = []
    for train, test in folds.split(both):
        model = MixtureOfExperts(2, random_state=0).fit(both[train], Y[train])
        wanted.append(model.score_samples(both[test], Y[test]).sum())
    assert by_folds.table[1]["heldout"] == pytest.approx(-np.sum(wanted) / 240, rel=1e-3)


def test_groups_stay_together_where_rows_are_held_out():
    """A held-out half of a group would be told by the other half's component: the rows of each have one mean."""
    groups = np.repeat(np.arange(60), 4)
    y = np.where(groups % 2, 4.0, -4.0) + RNG.normal(size=240)
    found = select(X, MixtureOfExperts(), y=y, groups=groups, n_components=[1, 2], criterion="heldout", random_state=0)
    assert found.best_params_ == {"n_components": 2}
    wanted = 0.0
    for train, test in GroupKFold(5, shuffle=True, random_state=0).split(X, groups=groups):
        model = MixtureOfExperts(2, random_state=0).fit(X[train], y[train], groups=groups[train])
        wanted -= model.score_samples(X[test], y[test], groups=groups[test]).sum()
    assert found.table[1]["heldout"] == pytest.approx(wanted / 240, rel=1e-3)


def test_folds_know_the_classes_of_all_rows():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 2)), rng.integers(0, 2, 60)
    y[7] = 2  # which the folds without row 7 do not show
    estimator = MixtureOfExperts(expert="multinomial", alpha=0.1, random_state=0)
    found = select(X, estimator, y=y, n_components=[1], criterion="heldout", random_state=0)
    assert np.isfinite(found.table[0]["heldout"])
    assert found.best_.classes_.tolist() == [0, 1, 2]
    assert found.best_.fit(X, np.where(y == 2, 5, y)).classes_.tolist() == [0, 1, 5]
