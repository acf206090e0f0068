"""MixtureOfExperts.from_formula: the fit is that of the terms, and methods take tables."""

import copy
import inspect
import pickle
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score

import mixfast
import mixfast.formula
from mixfast import MixtureOfExperts, blocks, bootstrap_lrt, fit_many, fit_many_columns, fit_many_groups, select
from mixfast.estimators._formula import OF_ROWS

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


#: Methods that do not take tables of a formula, and why.
OF_ROWS_ALONE = {
    **dict.fromkeys(("fit", "fit_predict"), "takes them, and learns the formula anew"),
    "partial_fit": "takes them: of the first batch it makes a fit, and _take_batch takes the others",
    **dict.fromkeys(("cdf", "impute", "sample_missing", "is_outlier"), "nothing of regressions"),
}


def test_every_method_that_looks_at_rows_takes_tables():
    def takes_rows(name):
        own = getattr(MixtureOfExperts, name)
        return callable(own) and list(inspect.signature(own).parameters)[1:2] == ["X"]

    public = [name for name in dir(MixtureOfExperts) if not name.startswith("_")]
    found = {name for name in public if takes_rows(name)}
    assert found == {*OF_ROWS, *OF_ROWS_ALONE} - {"_rows_and_data", "_take_batch"}


def test_sums_and_streams_of_tables():
    model = MixtureOfExperts.from_formula(
        "events ~ x + kind", TABLE, expert="poisson", exposure="hours", gate="~ x", sample_weight="w", **OPTIONS
    )
    plain = copy.copy(model)
    del plain._fitted_formula, plain.feature_names_in_
    X = np.column_stack([TABLE.x, TABLE.kind == "b", TABLE.kind == "c"]).astype(float)
    data = {"sample_weight": TABLE.w, "exposure": TABLE.hours, "gate_X": TABLE[["x"]]}
    assert model.design(TABLE).to_bytes() == plain.design(X, TABLE.events, **data).to_bytes()
    one, other = model.statistics(TABLE), plain.statistics(X, TABLE.events, **data)
    for name, array in one.sums.items():
        np.testing.assert_allclose(array, other.sums[name], rtol=1e-12, atol=1e-12)
    for _ in range(2):
        model.partial_fit(TABLE)
        plain.partial_fit(X, TABLE.events, **data)
    np.testing.assert_allclose(model.coef_, plain.coef_, rtol=1e-10)
    assert model.predict(TABLE).shape == (N,)  # it knows the formula still


@pytest.mark.parametrize("make", [clone, lambda model: model], ids=["clone", "fitted"])
def test_streams_begin_with_a_table(make):
    roles = {"expert": "poisson", "exposure": "hours", "gate": "~ x", "sample_weight": "w"}
    first, second = TABLE.iloc[:100], TABLE.iloc[100:]
    options = OPTIONS | {"init_params": "kmeans"}
    model = MixtureOfExperts.from_formula("events ~ x + kind", first, **roles, **options)
    stream = make(model).partial_fit(first)
    np.testing.assert_array_equal(stream.coef_, model.coef_)
    assert list(stream.feature_names_in_) == ["x", "kind[T.b]", "kind[T.c]"]
    stream.partial_fit(second)

    def terms(table):
        X = np.column_stack([table.x, table.kind == "b", table.kind == "c"]).astype(float)
        return X, table.events, table.w

    plain = MixtureOfExperts(expert="poisson", gate="gate_X", **options)
    for table in (first, second):
        plain.partial_fit(*terms(table), exposure=table.hours, gate_X=table[["x"]])
    np.testing.assert_allclose(stream.coef_, plain.coef_, rtol=1e-8)
    X = terms(TABLE)[0]
    np.testing.assert_allclose(stream.predict(TABLE), plain.predict(X, exposure=TABLE.hours, gate_X=TABLE[["x"]]))


def test_a_first_batch_that_fails_leaves_the_formula():
    model = clone(MixtureOfExperts.from_formula("y ~ x + I(x**2)", TABLE, **OPTIONS | {"init_params": "kmeans"}))
    with pytest.raises(ValueError, match="forgetting=2"):
        model.partial_fit(TABLE, forgetting=2)
    with pytest.raises(ValueError, match="`y` contains null values"):
        model.partial_fit(TABLE, y=np.full(N, np.nan))
    with pytest.raises(NotFittedError):
        model.predict(TABLE)
    assert model.partial_fit(TABLE).partial_fit(TABLE, forgetting=0.5).predict(TABLE).shape == (N,)


def test_arguments_by_place_are_those_of_the_method():
    model = MixtureOfExperts.from_formula("y ~ x + I(x**2)", TABLE, **OPTIONS)
    weights = np.arange(1.0, N + 1)
    assert model.score(TABLE, None, weights) == model.score(TABLE, sample_weight=weights) != model.score(TABLE)
    assert model.score(TABLE, TABLE.y) == model.score(TABLE)
    with pytest.raises(TypeError, match=r"MixtureOfExperts\.score\(\): multiple values for argument 'y'"):
        model.score(TABLE, -TABLE.y, y=TABLE.y)
    with pytest.raises(TypeError, match=r"MixtureOfExperts\.score\(\): too many positional arguments"):
        model.score(TABLE, TABLE.y, weights, weights)
    with pytest.raises(TypeError, match=r"MixtureOfExperts\.predict\(\): got an unexpected keyword argument 'wieghts'"):
        model.predict(TABLE, wieghts=weights)


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


def test_copies_keep_the_formula_and_fits_to_arrays_forget_it():
    model = MixtureOfExperts.from_formula("y ~ x + I(x**2)", TABLE, **OPTIONS)
    for same in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(same.predict(TABLE), model.predict(TABLE))
    with pytest.raises(NotFittedError):
        clone(model).predict(TABLE)
    for X in (TABLE[["x"]].to_numpy(), pd.DataFrame({"x": TABLE.x, "I(x ** 2)": TABLE.x**2})):
        other = clone(model).fit(X, TABLE.y)
        with pytest.raises(TypeError, match="'y'"):  # of which it knew the column
            other.posterior(X)


@pytest.mark.parametrize("make", [copy.deepcopy, clone, "loaded"])
@pytest.mark.parametrize(
    ("formula", "roles"),
    [
        ("y ~ bs(x, df=4) + kind", {"gate": "~ x", "sample_weight": "w"}),
        ("events ~ x + offset(log(hours))", {"fixed": "~ kind", "expert": "poisson"}),
        ("won + lost ~ 0 + x", {"expert": "binomial", "groups": "pair"}),
        ("log(events + 1) ~ center(x)", {}),
    ],
)
def test_fits_to_tables_learn_the_formula_anew(formula, roles, make, tmp_path):
    table = TABLE.assign(pair=np.arange(N) // 2)
    options = {"n_components": 2, "random_state": 0, "n_init": 2}
    model = MixtureOfExperts.from_formula(formula, table, **roles, **options)
    if make == "loaded":
        model.save(tmp_path / "model")
        model = mixfast.load(tmp_path / "model")
    else:
        model = make(model)
    part = table[table.kind != "c"].iloc[20:90]  # other knots, means and categories
    wanted = MixtureOfExperts.from_formula(formula, part, **roles, **options)
    assert_same_model(model.fit(part), wanted)
    assert_array_equal(model.posterior(part), wanted.posterior(part))
    assert_array_equal(clone(model).fit_predict(part), wanted.labels(part))
    assert_same_model(clone(model).set_params(n_components=1).fit(part), wanted.set_params(n_components=1).fit(part))


def assert_same_model(one, other):
    assert_array_equal(one.feature_names_in_, other.feature_names_in_)
    for name in ("coef_", "intercept_", "weights_", "lower_bound_"):
        assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.get_params(deep=False).keys() == other.get_params(deep=False).keys()
    assert one.fixed == other.fixed


def test_responses_and_row_data_that_are_given_go_before_those_of_the_table():
    options = {"n_components": 2, "random_state": 0, "n_init": 2}
    model = MixtureOfExperts.from_formula("events ~ x", TABLE, expert="poisson", exposure="hours", **options)
    shifted = TABLE.assign(events=TABLE.events + 1)
    wanted = clone(model).fit(shifted)
    for y in (shifted.events, shifted.events.tolist(), shifted[["events"]].to_numpy(), shifted.events[::-1][::-1]):
        assert_same_model(clone(model).fit(TABLE, y), wanted)
        assert_same_model(clone(model).fit(TABLE[["x", "hours"]], y), wanted)  # as scikit-learn's users have it
    named = clone(model).fit(TABLE, exposure="w")
    assert_same_model(
        named, MixtureOfExperts(expert="poisson", **options).fit(TABLE[["x"]], TABLE.events, exposure=TABLE.w)
    )
    assert_array_equal(named.predict(TABLE), named.predict(TABLE, exposure=TABLE.w))
    with pytest.warns(UserWarning, match="pass exposure"):  # the column was of an earlier fit
        clone(model).fit(TABLE, exposure=TABLE.w.to_numpy()).predict(TABLE)
    for y in (TABLE.events[:5], TABLE[["x", "y"]]):
        with pytest.raises(ValueError, match=r"y should have the shape of \(160,\)"):
            clone(model).fit(TABLE, y)
    several = clone(MixtureOfExperts.from_formula("log(hours) ~ x", TABLE))
    with pytest.raises(ValueError, match=r"'log\(hours\) ~ x' is not the name of one column.*leave y out"):
        several.fit(TABLE, TABLE.hours)


def test_scikit_learn_fits_by_the_formula():
    """The response is no predictor of itself, as it was when clones forgot the formula."""
    model = MixtureOfExperts.from_formula("y ~ x + kind", TABLE, n_components=2, random_state=0, n_init=2)
    folds = list(KFold(3).split(TABLE))
    wanted = [
        MixtureOfExperts.from_formula("y ~ x + kind", TABLE.iloc[some], n_components=2, random_state=0, n_init=2).score(
            TABLE.iloc[others]
        )
        for some, others in folds
    ]
    assert max(wanted) < 0.9
    for y in (None, TABLE.y):
        assert_array_equal(cross_val_score(model, TABLE, y, cv=3), wanted)
    search = GridSearchCV(model, {"n_components": [1, 2]}, cv=3).fit(TABLE)
    assert list(search.best_estimator_.feature_names_in_) == ["x", "kind[T.b]", "kind[T.c]"]
    assert search.score(TABLE) == search.best_estimator_.score(TABLE)


def test_a_fit_that_fails_leaves_the_model_and_its_formula():
    model = MixtureOfExperts.from_formula("y ~ x", TABLE, fixed="~ kind", n_components=2, random_state=0)
    before = vars(model).copy()
    with pytest.raises(ValueError, match="infinity"):
        model.fit(TABLE[TABLE.kind != "c"].assign(x=np.inf))
    assert vars(model) == before
    with pytest.raises(ValueError, match=r"fit_intercept=False contradicts the formula of the model, which says"):
        model.set_params(fit_intercept=False).fit(TABLE)


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ x + I(x**2) + kind",
        "y ~ kind * center(x) + scale(hours)",
        "y ~ 0 + C(kind, contr.sum) + C(w, levels=[1, 2, 3])",
        "y ~ bs(x, df=5) + poly(hours, degree=2)",
        "y ~ 0 + cr(x, df=3) + np.log(hours) + {w / 2}",
        "y ~ Q('x') + I(w > 1)",
    ],
)
def test_a_file_knows_the_formula(formula, tmp_path):
    model = MixtureOfExperts.from_formula(formula, TABLE, **OPTIONS)
    model.save(tmp_path / "model")
    same = mixfast.load(tmp_path / "model")
    later = TABLE[TABLE.kind == "b"].iloc[:3]  # other categories, means and ranges than those of the fit
    for table in (TABLE, later, pl.from_pandas(later)):
        np.testing.assert_array_equal(same.predict(table), model.predict(table))
        np.testing.assert_array_equal(same.posterior(table), model.posterior(table))
    if "kind" in formula:
        with pytest.raises(ValueError, match="without the categories"):
            same.predict(TABLE.assign(kind="z"))
    same.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model").read_bytes()


def test_a_file_knows_gates_shared_terms_and_columns(tmp_path):
    model = MixtureOfExperts.from_formula(
        "won + lost ~ 1", TABLE, fixed="~ kind", gate="~ log(x)", expert="binomial", sample_weight="w", **OPTIONS
    )
    model.save(tmp_path / "model")
    same = mixfast.load(tmp_path / "model")
    np.testing.assert_array_equal(same.predict_proba(TABLE), model.predict_proba(TABLE))
    np.testing.assert_array_equal(same.inference(TABLE).standard_errors, model.inference(TABLE).standard_errors)
    assert same.score(TABLE) == model.score(TABLE)


@pytest.mark.parametrize(
    "term",
    [
        "__import__('os').getcwd().__len__() + x",
        "x.mean()",
        "np.random.normal(size=160)",
        "eval('x')",
        "I([v for v in x])",
        "I((lambda v: v)(x))",
        "I(x[0])",
        "I(x + 10**10**2)",
        "hashed(kind, levels=3)",
    ],
)
def test_a_file_holds_no_programs(term, tmp_path, monkeypatch):
    formula = f"y ~ {{{term}}}"
    with pytest.raises(ValueError, match="a formula in a file is of columns, numbers"):
        mixfast.formula.check_harmless(mixfast.formula.sides_of({"formula": formula})["terms"])
    # a file of somebody who lets them through is loaded, and evaluates nothing
    model = MixtureOfExperts.from_formula("y ~ x", TABLE, **OPTIONS)
    contents = model._fitted_formula.contents()
    contents["texts"]["formula"] = formula
    monkeypatch.setattr(mixfast.formula.Formula, "contents", lambda self: contents)
    model.save(tmp_path / "model")
    with pytest.raises(ValueError, match="a formula in a file is of columns, numbers"):
        mixfast.load(tmp_path / "model").predict(TABLE)


def test_what_cannot_be_saved_is_said(tmp_path):
    model = MixtureOfExperts.from_formula("y ~ {x.clip(0, 3)}", TABLE, **OPTIONS)
    with pytest.raises(ValueError, match=r"cannot be saved.*x\.clip.*Compute such columns in the table"):
        model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_file_with_a_formula_is_read_without_formulaic(tmp_path, monkeypatch):
    model = MixtureOfExperts.from_formula("y ~ x + I(x**2)", TABLE, **OPTIONS)
    model.save(tmp_path / "model")
    monkeypatch.setitem(sys.modules, "formulaic", None)
    same = mixfast.load(tmp_path / "model")
    terms = pd.DataFrame({"x": TABLE.x, "I(x ** 2)": TABLE.x**2})
    np.testing.assert_array_equal(same.predict(terms), model.predict(terms))
    with pytest.raises(ImportError, match=r"mixfast\[formula\]"):
        same.predict(TABLE)


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


@pytest.mark.parametrize("criterion", ["bic", "heldout"])
def test_select_takes_models_by_formulas(criterion):
    """As a loop over `from_formula` does, and what is chosen takes tables."""
    formula, roles = "y ~ x + kind", {"gate": "~ x", "sample_weight": "w"}
    model = MixtureOfExperts.from_formula(formula, TABLE, n_components=1, random_state=0, **roles)
    chosen = select(TABLE, model, n_components=[1, 2], criterion=criterion)
    assert chosen.best_params_ == {"n_components": 2}
    for row, found in zip(chosen.table, chosen.estimators_, strict=True):
        params = {"random_state": 0, "tol": 1e-6, "max_iter": 1000, "n_components": row["n_components"]}
        alone = MixtureOfExperts.from_formula(formula, TABLE, **params, **roles)
        np.testing.assert_array_equal(found.coef_, alone.coef_)
        assert row["bic"] == alone.bic(TABLE)
    np.testing.assert_array_equal(chosen.predict(TABLE), chosen.best_.predict(TABLE))
    assert chosen.best_.inference(TABLE).terms[:2] == ("(Intercept)", "x")


@pytest.mark.parametrize(
    ("function", "call"),
    [
        ("fit of rows in partitions", lambda own, table: own.fit(blocks(table, y="y"))),
        ("fit of rows in partitions", lambda own, table: own.fit(blocks(table))),
        (r"bootstrap_lrt\(\)", lambda own, table: bootstrap_lrt(table, own, 1)),
        (r"bootstrap_lrt\(\)", lambda own, table: bootstrap_lrt(table, own, 1, y=table.y)),
        (r"fit_many\(\)", lambda own, table: fit_many([table], own)),
        (r"fit_many\(\)", lambda own, table: fit_many([table, table], own, y=[table.y] * 2)),
        (r"fit_many\(\)", lambda own, table: fit_many(iter([table, table]), own, y=[table.y] * 2)),
        (r"fit_many\(\)", lambda own, table: fit_many((table, np.array([0, N])), own, y=table.y)),
        (r"fit_many_columns\(\)", lambda own, table: fit_many_columns(table, own, y=[table.y] * 2)),
        (r"fit_many_groups\(\)", lambda own, table: fit_many_groups(table.assign(side=SIDE), own, by="side", y="y")),
    ],
)
@pytest.mark.parametrize("make", [clone, lambda model: model], ids=["clone", "fitted"])
def test_where_formulas_are_not_read_is_said(function, call, make):
    model = MixtureOfExperts.from_formula("y ~ x + I(x**2)", TABLE, **OPTIONS | {"init_params": "kmeans"})
    with pytest.raises(TypeError, match=rf"{function} reads no formulas.*Compute the terms and pass arrays"):
        call(make(model), TABLE[["x", "y"]])


def test_batches_take_the_terms_of_a_formula():
    options = OPTIONS | {"init_params": "kmeans"}
    model = MixtureOfExperts.from_formula("y ~ x + I(x**2)", TABLE, **options)
    terms = pd.DataFrame({"x": TABLE.x, "I(x ** 2)": TABLE.x**2})
    wanted = MixtureOfExperts(**options).fit(terms, TABLE.y)
    for problems in ([terms], [terms.to_numpy()]):
        found = fit_many(problems, model, y=[TABLE.y], seeds=[0])[0]
        np.testing.assert_allclose(found.coef_, wanted.coef_, rtol=1e-8)
        np.testing.assert_allclose(found.predict(problems[0]), wanted.predict(terms))


def _answers():
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    y = rng.random(200) < 1 / (1 + np.exp(-0.5 - 2 * x))
    words, kinds = np.where(y, "yes", "no"), np.array(["a", "b", "c"])[rng.integers(3, size=200)]
    return x, y, words, kinds


SUCCESSES = {
    "bool": lambda y, words: y,
    "strings": lambda y, words: words.astype(object),
    "categories": lambda y, words: pd.Categorical(words),
    "an unused category": lambda y, words: pd.Categorical(words, categories=["maybe", "no", "yes"]),
}


@pytest.mark.parametrize("form", SUCCESSES)
def test_the_second_level_is_the_success(form):
    x, y, words, _ = _answers()
    table, values = pd.DataFrame({"x": x}), SUCCESSES[form](y, words)
    table["y"] = values
    expected = MixtureOfExperts(expert="binomial", random_state=0).fit(x[:, np.newaxis], y.astype(float))
    by_formula = MixtureOfExperts.from_formula("y ~ x", table, expert="binomial", random_state=0)
    by_arrays = MixtureOfExperts(expert="binomial", random_state=0).fit(x[:, np.newaxis], values)
    assert expected.coef_[0, 0] > 1
    for model in (by_formula, by_arrays):
        assert_array_equal(model.coef_, expected.coef_)
        assert_array_equal(model.intercept_, expected.intercept_)
    if form == "bool":
        assert not hasattr(by_formula, "classes_")
        return
    for model, X, y_of_it in ((by_formula, table, {}), (by_arrays, x[:, np.newaxis], {"y": values})):
        assert_array_equal(model.classes_, ["no", "yes"])
        score = expected.score(x[:, np.newaxis], y.astype(float))
        assert model.score(X, **y_of_it) == pytest.approx(score, abs=1e-15)
        drawn, _ = model.sample(X, random_state=0)
        assert_array_equal(drawn == "yes", expected.sample(x[:, np.newaxis], random_state=0)[0] == 1)
        assert_array_equal(
            model.inference(X, **y_of_it).estimates, expected.inference(x[:, np.newaxis], y.astype(float)).estimates
        )


def test_levels_are_in_the_order_of_their_column(tmp_path):
    x, y, words, _ = _answers()
    table = pd.DataFrame({"x": x, "y": pd.Categorical(words, categories=["yes", "no"])})
    model = MixtureOfExperts.from_formula("y ~ x", table, expert="binomial", random_state=0)
    assert_array_equal(model.classes_, ["yes", "no"])
    assert model.coef_[0, 0] < -1  # P(no), as R's glm of this factor
    model.save(tmp_path / "model")
    for other in (mixfast.load(tmp_path / "model"), mixfast.select(table, model, n_components=[1]).best_):
        assert_array_equal(other.classes_, ["yes", "no"])
        assert other.score(table) == model.score(table)
    # another fit has classes of its own
    assert_array_equal(model.fit(x[:, np.newaxis], np.where(y, "ja", "nein")).classes_, ["ja", "nein"])
    again = MixtureOfExperts.from_parameters(coef=[[2.0]], intercept=[0.5], classes=["no", "yes"], expert="binomial")
    assert set(again.sample(x[:, np.newaxis], random_state=0)[0]) == {"no", "yes"}


@pytest.mark.parametrize(
    ("expert", "classes", "label"),
    [("binomial", ["no", "no"], "'no'"), ("multinomial", ["a", "b", "a"], "'a'"), ("multinomial", [2, 1, 2], "2")],
)
def test_equal_classes_are_refused(expert, classes, label):
    slopes = {"binomial": [[2.0]], "multinomial": [[[1.0], [0.0], [2.0]]]}[expert]
    intercepts = {"binomial": [0.5], "multinomial": [[0.0, 0.0, 0.0]]}[expert]
    given = {"coef": slopes, "intercept": intercepts, "expert": expert}
    with pytest.raises(ValueError, match=f"classes has {label} more than once: give each class a label of its own"):
        MixtureOfExperts.from_parameters(**given, classes=classes)
    others = ["u", "v", "w"][: len(classes)]
    assert_array_equal(MixtureOfExperts.from_parameters(**given, classes=others).classes_, others)


def test_formulas_keep_the_labels_of_classes():
    x, _, words, kinds = _answers()
    # a line would be fitted exactly, with a warning that a variance was kept above 0
    table = pd.DataFrame({"x": x, "w": np.sin(40 * x), "kind": kinds, "y": words})
    by_formula = MixtureOfExperts.from_formula("kind ~ x", table, expert="multinomial", random_state=0)
    by_arrays = MixtureOfExperts(expert="multinomial", random_state=0).fit(table[["x"]], table["kind"])
    assert_array_equal(by_formula.classes_, by_arrays.classes_)
    assert_array_equal(by_formula.coef_, by_arrays.coef_)
    assert by_formula.inference(table).terms == ("(Intercept) [b]", "(Intercept) [c]", "x [b]", "x [c]")
    assert set(by_formula.sample(table, random_state=0)[0]) == set("abc")
    several = MixtureOfExperts.from_formula(
        "w + y + kind ~ x", table, expert=["gaussian", "binomial", "multinomial"], random_state=0
    )
    assert_array_equal(
        several.coef_[1], MixtureOfExperts(expert="binomial", random_state=0).fit(table[["x"]], table["y"]).coef_
    )
    assert_array_equal(several.classes_[2], ["a", "b", "c"])
    assert several.inference(table).terms[-4:] == tuple(f"kind: {term}" for term in by_formula.inference(table).terms)
    without = MixtureOfExperts.from_formula("w + y ~ x", table, expert=["gaussian", "binomial"], random_state=0)
    assert set(without.sample(table, random_state=0)[0][1]) == {"no", "yes"}


@pytest.mark.parametrize(
    ("formula", "expert", "match"),
    [
        ("kind ~ x", "binomial", "3 class.*expert='binomial' needs two, of which the second is the success"),
        # 'a' is the label of the first row
        ("kind ~ x", "poisson", "y should have a number for each row, got 'a'"),
        ("kind ~ x", "gaussian", "y should have a number for each row, got 'a'"),
    ],
)
def test_labels_that_an_expert_has_no_place_for(formula, expert, match):
    x, _, _, kinds = _answers()
    with pytest.raises(ValueError, match=match):
        MixtureOfExperts.from_formula(formula, pd.DataFrame({"x": x, "kind": kinds}), expert=expert)
    with pytest.raises(ValueError, match=match):
        MixtureOfExperts(expert=expert).fit(x[:, np.newaxis], kinds)


def test_what_methods_take_of_rows_may_be_the_name_of_a_column():
    table = TABLE.assign(school=np.array(list("abcdefgh"))[np.arange(N) % 8])
    model = MixtureOfExperts.from_formula("y ~ x", table, **OPTIONS)
    named, given = model.inference(table, clusters="school"), model.inference(table, clusters=table["school"])
    assert named.kind == "clusters"
    assert_array_equal(named.covariance, given.covariance)
    assert model.score(table, sample_weight="w") == model.score(table, sample_weight=table["w"])
    assert_array_equal(model.score_samples(table, offset="hours"), model.score_samples(table, offset=table["hours"]))
    with pytest.raises(ValueError, match=r"there is no column 'scool'.*did you mean 'school'"):
        model.inference(table, clusters="scool")
    arrays = MixtureOfExperts(**OPTIONS).fit(table[["x"]], table["y"])
    with pytest.raises(
        ValueError, match=r"clusters should have the shape.*names of columns are those of the table of a"
    ):
        arrays.inference(table[["x"]], table["y"], clusters="school")


def test_an_offset_may_be_a_term(tmp_path):
    fit = {"expert": "poisson", **OPTIONS}
    table = TABLE.assign(log_hours=np.log(TABLE.hours))
    model = MixtureOfExperts.from_formula("events ~ x + offset(log(hours))", table, **fit)
    named = MixtureOfExperts.from_formula("events ~ x", table, offset="log_hours", **fit)
    assert list(model.feature_names_in_) == ["x"]
    assert_array_equal(model.coef_, named.coef_)
    model.save(tmp_path / "model")
    for own in (model, mixfast.load(tmp_path / "model")):
        assert_array_equal(own.predict(table[:9]), named.predict(table[:9]))
        assert_array_equal(own.posterior(table), named.posterior(table))
        assert_array_equal(own.predict(table, offset=0.0), named.predict(table, offset=0.0))
        assert_array_equal(own.inference(table).covariance, named.inference(table).covariance)
    assert_array_equal(
        select(table, model, n_components=[2]).best_.coef_, select(table, named, n_components=[2]).best_.coef_
    )
    twice = MixtureOfExperts.from_formula(
        "events ~ x + offset(hours - 1) + offset(1 - hours)", table, offset="log_hours", **fit
    )
    np.testing.assert_allclose(twice.coef_, named.coef_, rtol=1e-8)
    with pytest.raises(ValueError, match=r"offset\(...\) is a term of the right side of formula alone"):
        MixtureOfExperts.from_formula("events ~ x", table, fixed="~ offset(hours)", **fit)


@pytest.mark.parametrize("term", ["bs(x, df=4)", "log(x - 0.001)", "poly(x, 2)"])
def test_pictures_stay_where_terms_have_values(term):
    pytest.importorskip("matplotlib").use("agg")
    from mixfast import plot_mixture

    model = MixtureOfExperts.from_formula(f"y ~ {term}", TABLE.assign(x=TABLE.x + 0.01), **OPTIONS)
    ax = plot_mixture(model, TABLE.assign(x=TABLE.x + 0.01))
    ends = np.concatenate([line.get_xdata() for line in ax.lines])
    assert (ends.min(), ends.max()) == (TABLE.x.min() + 0.01, TABLE.x.max() + 0.01)


def test_values_outside_the_knots_have_a_remedy():
    beyond = pd.DataFrame({"x": [-1.0, 9.0]})
    model = MixtureOfExperts.from_formula("y ~ bs(x, df=4)", TABLE, **OPTIONS)
    with pytest.raises(ValueError, match=r"outside the knots of bs\(x, df=4\).*extrapolation='extend'"):
        model.predict(beyond)
    extended = MixtureOfExperts.from_formula("y ~ bs(x, df=4, extrapolation='extend')", TABLE, **OPTIONS)
    assert np.all(np.isfinite(extended.predict(beyond)))
    assert_array_equal(extended.coef_, model.coef_)


def square(x):
    return x**2


@pytest.mark.parametrize(
    ("formula", "options", "message"),
    [
        ("y ~ when", {}, r"Column 'when' holds datetime64.*make numbers of them"),
        ("y ~ x:when", {}, r"Column 'when' holds datetime64.*make numbers of them"),
        ("y ~ .", {}, r"'y ~ \.' cannot be read: '\.' stands for no columns here: name them"),
        ("y ~ square(x)", {}, r"calls square, and functions of your own are not looked up: compute such a column"),
        ("y ~ x", {"groups": TABLE.kind}, r"groups should be the name of a column of the table, got Series"),
        ("events ~ x", {"exposure": TABLE.hours}, r"exposure should be the name of a column of the table, got Series"),
        ("y ~ x", {"sample_weight": [1] * N}, r"sample_weight should be the name of a column of the table, got list"),
    ],
)
def test_messages_of_formulas_have_a_remedy(formula, options, message):
    table = TABLE.assign(when=pd.date_range("2020-01-01", periods=N))
    with pytest.raises(ValueError, match=message):
        MixtureOfExperts.from_formula(formula, table, **options)
