"""Hostile rows of mixtures of experts: an error that says what to do, or a finite fit that says what is wrong."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.exceptions import ConvergenceWarning

from mixfast import MixtureOfExperts, Status

N = 120
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 2))
HALF = np.arange(N) % 2
CROSSING = np.where(HALF, 3.0, -3.0) * X[:, 0] + RNG.normal(size=N)
RESPONSES = {
    "gaussian": CROSSING,
    "student_t": CROSSING,
    "poisson": RNG.poisson(3, N).astype(float),
    "negative_binomial": RNG.poisson(RNG.gamma(2, 2, N)).astype(float),
    "binomial": RNG.integers(0, 2, N).astype(float),
    "gamma": RNG.gamma(2, size=N),
    "multinomial": RNG.integers(0, 3, N).astype(float),
}
every_expert = pytest.mark.parametrize("expert", RESPONSES)
UNBOUNDED = {"gaussian", "student_t", "gamma"}


def quietly(X, y, expert="gaussian", n_components=2, **options):
    """A fit, whose attributes and log densities are finite and whose objective never fell."""
    data = {name: options.pop(name) for name in ("groups", "gate_X", "sample_weight") if name in options}
    model = MixtureOfExperts(n_components, expert=expert, random_state=0, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y, **data)
    for name, value in vars(model).items():
        if name.endswith("_") and isinstance(value, np.ndarray) and value.dtype.kind == "f":
            assert np.all(np.isfinite(value)), name
    data.pop("sample_weight", None)
    assert np.all(np.isfinite(model.score_samples(X, y, **data)))
    bounds = np.array(model.lower_bounds_)
    assert np.diff(bounds).min(initial=0) > -1e-9 * (1 + np.abs(bounds).max())
    return model


# ---- responses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_components", [1, 2])
def test_components_that_tell_zeros_and_ones_apart_are_flagged(n_components):
    model = quietly(X, (X[:, 0] > 0).astype(float), "binomial", n_components)
    assert Status.CAPPED_PARAMETER in model.status_
    assert_allclose(model.predict(X) > 0.5, X[:, 0] > 0)
    crossing = np.where(HALF, X[:, 0] > 0, X[:, 0] < 0).astype(float)
    assert Status.CAPPED_PARAMETER in quietly(X, crossing, "binomial", n_components=2).status_
    with pytest.warns(ConvergenceWarning, match="tells its categories apart exactly"):
        MixtureOfExperts(n_components, expert="binomial", random_state=0).fit(X, X[:, 0] > 0)


@pytest.mark.parametrize("expert", ["poisson", "negative_binomial"])
def test_zero_inflated_counts(expert):
    y = np.where(RNG.random(N) < 0.6, 0, RNG.poisson(np.exp(1 + X[:, 0]))).astype(float)
    model = quietly(X, y, expert)
    assert model.predict_components(X).mean(axis=0).min() < 0.7
    nothing = quietly(X, np.zeros(N), expert)
    assert Status.CAPPED_PARAMETER in nothing.status_
    assert nothing.predict(X).max() < 1e-3


@every_expert
def test_a_constant_response(expert):
    y = np.ones(N)
    if expert == "multinomial":
        with pytest.raises(ValueError, match="needs two at least"):
            quietly(X, y, expert)
        return
    model = quietly(X, y, expert)
    assert_allclose(model.predict(X), 1, rtol=1e-4)
    # counts of 1 are likelier without any variance, but these have that of a Poisson distribution
    assert (Status.CAPPED_PARAMETER in model.status_) == (expert not in ("poisson", "negative_binomial"))


def test_a_category_that_a_component_has_not_is_flagged():
    y = np.where(HALF, np.where(X[:, 0] > 0, 0, 1), 2)
    assert Status.CAPPED_PARAMETER in quietly(X, y, "multinomial").status_


def test_rows_without_trials_say_nothing():
    trials = np.where(HALF, 0, 4)
    successes = RNG.binomial(trials, 0.3)
    y = np.column_stack([successes, trials - successes])
    model = quietly(X, y, "binomial", n_components=1, tol=1e-12)
    some = quietly(X[HALF == 0], y[HALF == 0], "binomial", n_components=1, tol=1e-12)
    assert_allclose(model.coef_, some.coef_, rtol=1e-6)


@pytest.mark.parametrize("factor", [1e150, 1e-200])
def test_responses_of_any_size(factor):
    assert np.all(quietly(X, CROSSING * factor).sigma_ > 0)


# ---- columns --------------------------------------------------------------------------------------------------------


@every_expert
def test_columns_that_depend_on_each_other_are_flagged(expert):
    y, more = RESPONSES[expert], np.column_stack([X, X[:, 0] + X[:, 1]])
    model = quietly(more, y, expert)
    assert Status.CAPPED_PARAMETER in model.status_
    constant = quietly(np.column_stack([X, np.full(N, 7.0)]), y, expert)
    assert_allclose(np.asarray(constant.coef_)[..., 2], 0)


@every_expert
def test_a_dummy_without_rows_in_a_component(expert):
    quietly(np.column_stack([X[:, 0], np.arange(N) < 2]), RESPONSES[expert], expert)


@every_expert
def test_fewer_rows_than_columns(expert):
    wide = RNG.normal(size=(8, 12))
    model = quietly(wide, RESPONSES[expert][:8], expert)
    assert (Status.SPURIOUS_COMPONENT in model.status_) == (expert in UNBOUNDED)


@pytest.mark.parametrize("scale", [1e-150, 1e100])
def test_columns_of_any_size(scale):
    assert_allclose(quietly(X * scale, CROSSING).predict(X * scale), quietly(X, CROSSING).predict(X), atol=0.2)


# ---- components, groups, gates --------------------------------------------------------------------------------------


@pytest.mark.parametrize("gate", [None, "same"])
def test_a_component_alone_in_a_region(gate):
    x = np.concatenate([RNG.normal(size=100), RNG.normal(1000, 1, 20)])[:, np.newaxis]
    y = np.where(np.arange(N) < 100, x[:, 0], -x[:, 0]) + RNG.normal(size=N)
    quietly(x, y, gate=gate)


@pytest.mark.parametrize("gate_alpha", [0.0, 1e-6])
def test_a_gate_that_tells_components_apart_is_finite(gate_alpha):
    z = (20.0 * HALF - 10 + 0.1 * RNG.normal(size=N))[:, np.newaxis]
    y = np.where(HALF, 3 * X[:, 0], 20 - 3 * X[:, 0]) + RNG.normal(size=N)
    model = quietly(X, y, gate="gate_X", gate_X=z, gate_alpha=gate_alpha)
    assert np.abs(model.gate_coef_).max() < 1e6
    found = model.labels(X, y, gate_X=z)
    assert abs(np.mean(found == HALF) - 0.5) == 0.5
    same = quietly(X, y, gate="gate_X", gate_X=np.ones((N, 1)), gate_alpha=gate_alpha)
    assert_allclose(same.predict_proba(X, gate_X=np.ones((N, 1))).std(axis=0), 0, atol=1e-12)


def test_groups_of_one_are_no_groups():
    alone, grouped = quietly(X, CROSSING), quietly(X, CROSSING, groups=np.arange(N))
    assert_allclose(grouped.lower_bound_, alone.lower_bound_, rtol=1e-6)
    with pytest.raises(ValueError, match="1 groups for n_components = 2"):
        quietly(X, CROSSING, groups=np.zeros(N))


@every_expert
def test_more_components_than_kinds_of_rows(expert):
    quietly(np.repeat(X[:4], 5, axis=0), np.repeat(RESPONSES[expert][8:12], 5), expert, n_components=6, n_init=2)


# ---- what is missing ------------------------------------------------------------------------------------------------


def missing(values, row=3):
    values = np.array(values, dtype=float)
    values[row] = np.nan
    return values


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"y": missing(CROSSING)}, "y contains NaN: it is missing in row 3"),
        ({"X": missing(X)}, "X contains NaN: column 0, row 3.*: leave such rows out, or fill them in$"),
        ({"groups": missing(np.zeros(N))}, "groups contains NaN: it is missing in row 3"),
        ({"groups": np.array(["a", None] * (N // 2), dtype=object)}, "groups contains NaN: it is missing in row 1"),
        ({"gate": "gate_X", "gate_X": missing(X)}, "gate_X contains NaN: column 0, row 3"),
        ({"expert": "multinomial", "y": missing(HALF)}, "y contains NaN: it is missing in row 3"),
        (
            {"expert": "multinomial", "y": np.array(["a", "b", None] * (N // 3), dtype=object)},
            "y contains NaN: it is missing in row 2",
        ),
        (
            {"expert": "multinomial", "y": np.array(["a", 1] * (N // 2), dtype=object)},
            "y holds values of several types",
        ),
        ({"expert": "poisson", "y": np.where(np.arange(N) == 5, -1.0, 2.0)}, "in row 5 it is -1.0"),
        ({"expert": "gamma", "y": np.where(np.arange(N) == 5, 0.0, 2.0)}, "in row 5 it is 0.0"),
        (
            {"expert": "binomial", "y": np.column_stack([HALF, np.where(np.arange(N) == 5, 0.5, 1.0)])},
            "in row 5, column 1 it is 0.5",
        ),
        ({"sample_weight": np.zeros(N)}, "at least one non-zero number"),
    ],
)
def test_what_is_missing_or_outside_is_named(options, match):
    own = {"X": X, "y": CROSSING} | options
    with pytest.raises(ValueError, match=match):
        quietly(own.pop("X"), own.pop("y"), **own)


LEARN, KNOW = ("fit", "design"), ("partial_fit", "statistics", "score_samples", "labels", "bic")
MISSING, UNKNOWN = "Input y contains NaN: it is missing in row 3", "in row 3, which is none of the classes of the fit"
CLASSES = {"abc": "z", (0, 1, 2): 7}


def strange_labels():
    """(classes, a value that is none of them, methods, what they say of it)"""
    for classes, another in CLASSES.items():
        yield from ((classes, nothing, LEARN + KNOW, MISSING) for nothing in (None, np.nan))
        yield classes, another, KNOW, f"y is {another} {UNKNOWN}"
        (of_another_type,) = set(CLASSES.values()) - {another}
        yield classes, of_another_type, KNOW, f"y is {of_another_type} {UNKNOWN}"
        yield classes, of_another_type, LEARN, "y holds values of several types, which have no order"


@pytest.mark.parametrize(("classes", "value", "methods", "match"), list(strange_labels()))
def test_labels_that_are_no_classes(classes, value, methods, match):
    labels = np.array(list(classes), dtype=object)[RNG.integers(0, 3, N)]
    model = MixtureOfExperts(2, expert="multinomial", random_state=0, max_iter=2, tol=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.partial_fit(X, labels)
    labels[3] = value
    for method in methods:
        with pytest.raises(ValueError, match=match):
            getattr(model, method)(X, labels)


@pytest.mark.parametrize("expert", ["gaussian", "multinomial", ["gaussian", "poisson"]])
def test_one_response_for_all_rows(expert):
    y = {"gaussian": CROSSING, "multinomial": RESPONSES["multinomial"]}
    model = MixtureOfExperts(2, expert=expert, random_state=0, max_iter=2, tol=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.partial_fit(X, np.column_stack([CROSSING, HALF]) if isinstance(expert, list) else y[expert])
    for method in LEARN + KNOW:
        with pytest.raises(ValueError, match=r"y should (have a value for each row, got 1|be a list of 2 responses)"):
            getattr(model, method)(X, 1.0)


@pytest.mark.parametrize(
    "method", ["posterior", "labels", "score_samples", "component_log_density", "inference", "bic", "icl", "summary"]
)
def test_misspelt_row_data_is_an_error(method):
    """It was ignored by half of the methods."""
    model = MixtureOfExperts(expert="poisson").fit(X, np.arange(N))
    with pytest.raises(TypeError, match="unexpected keyword argument 'exposures'"):
        getattr(model, method)(X, np.arange(N), exposures=np.ones(N))
    with pytest.raises(TypeError, match=rf"{method}\(\).*needs '?y'?.* beside X"):
        getattr(model, method)(X)


def test_a_component_that_is_always_zero_is_no_trouble():
    """Of a zero-inflated Poisson regression, whose held intercept makes its responses certain."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 1))
    y = np.where(rng.random(300) < 0.3, 0, rng.poisson(np.exp(1.3 + 0.2 * x[:, 0])))
    for hold in ({"intercept": [-30, np.nan]}, {"intercept": [-30, np.nan], "coef": [[0], [np.nan]]}):
        model = MixtureOfExperts(2, expert="poisson", hold=hold, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.fit(x, y)
        assert model.status_ == Status.CONVERGED
        assert model.weights_[0] == pytest.approx(0.3, abs=0.08)
    # where it is fitted, the intercept runs away, and this is said
    with pytest.warns(ConvergenceWarning, match="a parameter was kept where it is finite"):
        MixtureOfExperts(expert="poisson").fit(x, np.zeros(300))
