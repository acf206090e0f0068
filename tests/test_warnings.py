"""Every warning points at the user's line, however deep below it the warning comes from."""

import inspect
import pickle
import re
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from estimators_table import (
    COUNTS,
    ESTIMATORS,
    GROUP,
    OF_RESPONSES,
    REALS,
    RESPONSES,
    every_estimator,
    every_mixture,
    public_estimators,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import mixfast
from mixfast import MixtureOfExperts, PoissonMixture
from mixfast.row_data import TAKEN

PACKAGE = Path(mixfast.__file__).parent


def assert_points_here(category, match, call):
    """`call`, a lambda in the test, warns, and the warnings are said to come from its line."""
    with pytest.warns(category, match=match) as caught:
        call()
    _, line = inspect.getsourcelines(call)
    assert caught
    for warning in caught:
        assert (warning.filename, warning.lineno) == (__file__, line), str(warning.message)


#: Of one column, or of missing entries: families that have no such thing refuse, and densities play no role.
ASKED_OF_SOME = {"cdf", "impute", "sample_missing"}


def methods_of_rows(cls):
    """Public methods that take rows, but those that fit: a new one is tried below without being named."""
    methods = {name for name, own in inspect.getmembers(cls, callable) if not name.startswith("_")}
    taking = {name for name in methods if "X" in inspect.signature(getattr(cls, name)).parameters}
    assert taking > {"fit", "fit_predict", "predict", "score_samples"}
    return taking - {"fit", "fit_predict", "partial_fit"}


@every_mixture
def test_warnings_of_a_fit_point_at_its_caller(name):
    entry = ESTIMATORS[name]
    model, match = entry.make(max_iter=1, tol=0), "did not converge"
    assert_points_here(ConvergenceWarning, match, lambda: model.fit(entry.X))
    assert_points_here(ConvergenceWarning, match, lambda: model.fit_predict(entry.X))
    pipeline = make_pipeline(FunctionTransformer(), model)
    assert_points_here(ConvergenceWarning, match, lambda: pipeline.fit(entry.X))
    assert_points_here(ConvergenceWarning, match, lambda: cross_val_score(model, entry.X, cv=2))


@every_estimator
def test_warnings_of_predictions_point_at_their_caller(name, monkeypatch):
    entry = ESTIMATORS[name]
    if not entry.takes_weights:
        assert not hasattr(entry.make(), "bic")  # every row is possible under its clusters
        return
    model, X, match = entry.make().fit(entry.X), entry.X, "density zero under every component"
    # parameters that make all rows impossible, whatever the family: such weights are refused where they are assigned
    monkeypatch.setattr(type(model), "_packed_state", lambda self, layout: (np.zeros(2), layout.pack(self._collect())))
    if not entry.has_likelihood:  # counts of 0 have a prior that makes them possible
        return
    # rows have no density there but under each component, or none; or the result says it, and `update` warns
    silent = {"component_log_density", "design", "statistics"}
    silent |= ASKED_OF_SOME
    if getattr(model, "concentration", "free") != "free":
        silent.add("laplace")  # refuses them
    for method in methods_of_rows(type(model)) - silent:
        assert_points_here(UserWarning, match, lambda method=method: getattr(model, method)(X))


def test_warnings_of_rows_without_exposures_point_at_their_caller():
    model, match = PoissonMixture(2, random_state=0).fit(COUNTS, exposure=2.0), "fitted with exposures"
    for method in methods_of_rows(PoissonMixture) - {"design"} - ASKED_OF_SOME:  # which has nothing to do with a fit
        assert_points_here(UserWarning, match, lambda method=method: getattr(model, method)(COUNTS))
    model.set_params(max_iter=1, tol=0)
    assert_points_here(ConvergenceWarning, "did not converge", lambda: model.fit(COUNTS, exposure=2.0))
    assert_points_here(ConvergenceWarning, "did not converge", lambda: model.fit_predict(COUNTS, exposure=2.0))


#: Every estimator that takes exposures or offsets, and each of these by itself: (what it is given of rows, their name).
GIVEN_OF_ROWS = {
    f"{expert}, {name}": ({"y": RESPONSES[expert]}, name)
    for expert in OF_RESPONSES
    for name in TAKEN
    if name == "offset" or expert in ("poisson", "gamma", "negative_binomial")
} | {"Poisson, exposure": ({}, "exposure")}


@pytest.mark.parametrize("kind", GIVEN_OF_ROWS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_a_fit_was_given_of_rows_is_missed_by_other_methods(kind):
    data, name = GIVEN_OF_ROWS[kind]
    make = PoissonMixture if "Poisson" in kind else partial(MixtureOfExperts, expert=kind.partition(",")[0])
    X, own = (COUNTS if "Poisson" in kind else REALS[:, :2]), {name: 1.0 + GROUP}
    model, match = make(1, random_state=0).fit(X, **data, **own), f"fitted with {name}s.*pass {name}"
    assert getattr(model, TAKEN[name][0])
    for method in ("predict", "score", "score_samples", "bic", *(("labels", "sample") if data else ())):
        given = {} if method in ("predict", "sample") else data
        assert_points_here(UserWarning, match, lambda method=method, given=given: getattr(model, method)(X, **given))
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "This model was fitted")
            getattr(model, method)(X, **given, **({} if (method, kind) == ("sample", "Poisson, exposure") else own))
    assert name in {"exposure", "offset"} & model._row_data.keys()
    loaded = pickle.loads(pickle.dumps(model))
    with pytest.warns(UserWarning, match=match):
        loaded.score_samples(X, **data)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "This model was fitted")
        model.fit(X, **data).score_samples(X, **data)  # the last fit was given none


def test_every_estimator_that_takes_exposures_or_offsets_is_in_that_law():
    taking = {cls for cls in public_estimators() if TAKEN.keys() & cls._row_data.keys()}
    assert taking == {PoissonMixture, MixtureOfExperts}


def test_a_subclass_with_a_fit_of_its_own_is_the_users_code():
    class Own(PoissonMixture):
        def fit(self, X, y=None, sample_weight=None, exposure=None):
            return super().fit(X)

    with pytest.warns(ConvergenceWarning, match="did not converge") as caught:
        Own(2, max_iter=1, tol=0, random_state=0).fit(COUNTS)
    lines, first = inspect.getsourcelines(Own.fit)
    assert [(w.filename, w.lineno) for w in caught] == [(__file__, first + len(lines) - 1)]


def test_no_other_room_counts_the_calls_between_a_warning_and_the_user():
    for path in PACKAGE.rglob("*.py*"):
        if path.suffix in (".py", ".pyx") and path.name != "_warnings.py":
            assert not re.search(r"warnings\.warn\b|stacklevel|warn_explicit", path.read_text()), path.name
