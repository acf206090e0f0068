"""MixtureOfExperts.from_formula: the fit is that of the terms, and methods take tables."""

import copy
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone

import mixfast
from mixfast import MixtureOfExperts

RNG = np.random.default_rng(5)
N = 160
TABLE = pd.DataFrame(
    {
        "x": RNG.uniform(0, 4, size=N),
        "kind": np.array(["a", "b", "c"])[RNG.integers(3, size=N)],
        "hours": RNG.uniform(0.5, 2, size=N),
        "w": RNG.integers(1, 4, size=N),
    }
)
SIDE = np.arange(N) % 2
TABLE["y"] = np.where(SIDE, 3 * TABLE.x, 10 - TABLE.x) + (TABLE.kind == "b") + RNG.normal(scale=0.5, size=N)
TABLE["events"] = RNG.poisson(TABLE.hours * np.exp(np.where(SIDE, 1 + 0.3 * TABLE.x, 0.5 - 0.2 * TABLE.x)))
TABLE["won"] = RNG.binomial(6, np.where(SIDE, 0.2, 0.7))
TABLE["lost"] = 6 - TABLE.won
OPTIONS = {"n_components": 2, "random_state": 0, "init_params": SIDE}


def test_a_formula_is_its_terms():
    model = MixtureOfExperts.from_formula("y ~ x + I(x**2) + kind", TABLE, **OPTIONS)
    assert list(model.feature_names_in_) == ["x", "I(x ** 2)", "kind[T.b]", "kind[T.c]"]
    X = np.column_stack([TABLE.x, TABLE.x**2, TABLE.kind == "b", TABLE.kind == "c"]).astype(float)
    plain = MixtureOfExperts(**OPTIONS).fit(X, TABLE.y)
    np.testing.assert_allclose(model.coef_, plain.coef_, rtol=1e-8)
    np.testing.assert_allclose(model.predict(TABLE), plain.predict(X))
    np.testing.assert_allclose(model.posterior(TABLE), plain.posterior(X, TABLE.y))
    assert model.bic(TABLE) == pytest.approx(plain.bic(X, TABLE.y))
    assert model.score(TABLE) == pytest.approx(plain.score(X, TABLE.y))
    assert model.inference(TABLE).terms[:3] == ("(Intercept)", "x", "I(x ** 2)")
    np.testing.assert_allclose(model.predict_interval(TABLE), plain.predict_interval(X))
    assert str(model.summary(TABLE)).splitlines()[2:] == str(plain.summary(X, y=TABLE.y)).splitlines()[2:]


def test_tables_of_other_kinds_and_fewer_columns():
    model = MixtureOfExperts.from_formula("y ~ x + kind", TABLE, **OPTIONS)
    wanted = model.predict(TABLE)
    np.testing.assert_allclose(model.predict(pl.from_pandas(TABLE[["kind", "x"]])), wanted)
    np.testing.assert_allclose(model.predict(TABLE[["x", "kind"]].iloc[::-1]), wanted[::-1])
    np.testing.assert_allclose(model.posterior(TABLE[["x", "kind"]], TABLE.y), model.posterior(TABLE))


def test_arrays_and_tables_of_the_terms_are_taken_as_they_are():
    model = MixtureOfExperts.from_formula("y ~ x + I(x**2)", TABLE, **OPTIONS)
    terms = pd.DataFrame({"x": TABLE.x, "I(x ** 2)": TABLE.x**2})
    np.testing.assert_allclose(model.predict(terms), model.predict(TABLE))


def test_columns_that_rows_have_beside_their_terms():
    model = MixtureOfExperts.from_formula(
        "events ~ x", TABLE, expert="poisson", exposure="hours", sample_weight="w", **OPTIONS
    )
    X = TABLE[["x"]].to_numpy()
    plain = MixtureOfExperts(expert="poisson", **OPTIONS).fit(X, TABLE.events, TABLE.w, exposure=TABLE.hours)
    np.testing.assert_allclose(model.coef_, plain.coef_, rtol=1e-8)
    np.testing.assert_allclose(model.predict(TABLE), plain.predict(X, exposure=TABLE.hours))
    np.testing.assert_allclose(model.predict(TABLE, exposure=np.ones(N)), plain.predict(X, exposure=np.ones(N)))
    assert model.score(TABLE) == pytest.approx(plain.score(X, TABLE.events, TABLE.w, exposure=TABLE.hours))
    errors = plain.inference(X, TABLE.events, TABLE.w, exposure=TABLE.hours).standard_errors
    np.testing.assert_allclose(model.inference(TABLE).standard_errors, errors)
    with pytest.raises(ValueError, match="no column 'hours'"):
        model.predict(TABLE[["x", "kind"]])


def test_several_columns_on_the_left_and_shared_terms():
    model = MixtureOfExperts.from_formula("won + lost ~ 1", TABLE, fixed="~ kind", expert="binomial", **OPTIONS)
    assert model.fixed == ["kind[T.b]", "kind[T.c]"]
    assert model.fixed_coef_.shape == (2,)
    assert model.coef_.shape == (2, 2)


def test_no_intercept():
    model = MixtureOfExperts.from_formula("y ~ 0 + x", TABLE, **OPTIONS)
    np.testing.assert_array_equal(model.intercept_, 0)
    with pytest.raises(ValueError, match=r"fit_intercept=True is said by the formula"):
        MixtureOfExperts.from_formula("y ~ x", TABLE, fit_intercept=True)


def test_another_fit_forgets_the_formula_and_copies_keep_it(tmp_path):
    model = MixtureOfExperts.from_formula("y ~ x + I(x**2)", TABLE, **OPTIONS)
    for same in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(same.predict(TABLE), model.predict(TABLE))
    assert "_fitted_formula" not in vars(clone(model))
    model.save(tmp_path / "model")
    terms = pd.DataFrame({"x": TABLE.x, "I(x ** 2)": TABLE.x**2})
    np.testing.assert_array_equal(mixfast.load(tmp_path / "model").predict(terms), model.predict(TABLE))
    model.fit(TABLE[["x"]], TABLE.y)
    with pytest.raises(TypeError, match="'y'"):  # of which it knew the column
        model.posterior(TABLE[["x"]])


def test_gates_and_groups():
    table = TABLE.assign(z=np.where(SIDE, 1.0, -1.0) + RNG.normal(size=N), id=np.arange(N))
    model = MixtureOfExperts.from_formula("y ~ x", table, gate="~ z", groups="id", **OPTIONS)
    assert model.gate == "gate_X"
    X, gate_X = table[["x"]].to_numpy(), table[["z"]].to_numpy()
    plain = MixtureOfExperts(gate="gate_X", **OPTIONS).fit(X, table.y, gate_X=gate_X, groups=table.id)
    np.testing.assert_allclose(model.gate_coef_, plain.gate_coef_, rtol=1e-8)
    np.testing.assert_allclose(model.predict_proba(table[["x", "z"]]), plain.predict_proba(X, gate_X=gate_X))
    np.testing.assert_allclose(model.predict_quantile(table, 0.9), plain.predict_quantile(X, 0.9, gate_X=gate_X))
    np.testing.assert_allclose(model.posterior(table), plain.posterior(X, table.y, gate_X=gate_X, groups=table.id))
    assert model.inference(table).terms[-2:] == ("gate: (Intercept)", "gate: z")
