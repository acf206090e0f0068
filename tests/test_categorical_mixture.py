"""CategoricalMixture's own behaviour: categories of every kind, missing answers, the prior, published fits."""

import itertools
import math
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from mixfast import CategoricalMixture, Status, fit_many, load, select
from mixfast.estimators import _categories
from mixfast.estimators._categories import Columns
from mixfast.families.categorical import Categorical, CategoricalParams
from mixfast.tables import is_nothing

CARCINOMA = np.loadtxt(Path(__file__).parent / "data" / "carcinoma.csv", delimiter=",", skiprows=1)
NUMBERS = (2, 5, 1, 3)


def codes(n_rows=600, seed=0, numbers=NUMBERS):
    """Two kinds of rows; and their labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=n_rows)
    X = np.empty((n_rows, len(numbers)))
    for j, number in enumerate(numbers):
        probabilities = rng.dirichlet(np.ones(number), size=2)
        X[:, j] = [rng.choice(number, p=probabilities[label]) for label in labels]
    return X, labels


def by_hand(X, model):
    """Log densities from the fitted attributes, with nothing of the family."""
    total = np.log(model.weights_.astype(float)) + np.zeros((len(X), 1))
    for i, row in enumerate(X):
        for value, categories, probabilities in zip(row, model.categories_, model.probabilities_, strict=True):
            if value is not None and value == value:
                total[i] += np.log(probabilities[:, categories.tolist().index(value)])
    return np.logaddexp.reduce(total, axis=1)


# ---- published fits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_classes", "log_likelihood", "n_parameters"), [(2, -317.2568, 15), (3, -293.7050, 23), (4, -289.2858, 31)]
)
def test_classes_of_carcinoma_are_those_of_polca(n_classes, log_likelihood, n_parameters):
    """Seven pathologists' ratings of 118 slides, from R's poLCA; Agresti, Categorical Data Analysis, 2002."""
    model = CategoricalMixture(
        n_classes, alpha=0, n_init=20, init_params="random", tol=1e-11, max_iter=5000, random_state=0
    ).fit(CARCINOMA)
    total = model.score(CARCINOMA) * len(CARCINOMA)
    assert total == pytest.approx(log_likelihood, abs=5e-5)
    assert model.bic(CARCINOMA) == pytest.approx(-2 * total + n_parameters * math.log(118), rel=1e-12)
    assert model.aic(CARCINOMA) == pytest.approx(-2 * total + 2 * n_parameters, rel=1e-12)


# ---- probabilities --------------------------------------------------------------------------------------------------


def test_probabilities_of_all_rows_sum_to_one():
    X, _ = codes()
    model = CategoricalMixture(3, random_state=0).fit(X)
    everything = np.array(list(itertools.product(*(own.tolist() for own in model.categories_))))
    assert np.exp(model.score_samples(everything)).sum() == pytest.approx(1, abs=1e-12)
    assert_allclose(model.score_samples(X), by_hand(X, model), rtol=1e-12)
    for own, number in zip(model.probabilities_, NUMBERS, strict=True):
        assert own.shape == (3, number)
        assert_allclose(own.sum(axis=1), 1, rtol=1e-14)


def test_two_kinds_of_answers_are_told_apart():
    X, labels = codes(numbers=(4,) * 12)
    found = CategoricalMixture(2, random_state=0).fit_predict(X)
    assert max((found == labels).mean(), (found != labels).mean()) > 0.97


def test_samples_come_from_the_model():
    X, _ = codes()
    model = CategoricalMixture(2, random_state=0).fit(X)
    drawn, labels = model.sample(40_000, random_state=1)
    for k in range(2):
        own = drawn[labels == k]
        for j, categories in enumerate(model.categories_):
            shares = (own[:, j, np.newaxis] == categories).mean(axis=0)
            assert_allclose(shares, model.probabilities_[j][k], atol=5 * 0.5 / math.sqrt(len(own)))


def test_what_is_impossible_is_never_drawn():
    rng = np.random.RandomState(0)
    params = CategoricalParams(np.array([[0.0, 0.5, 0.0, 0.5, 0.0]]))
    drawn = Categorical((5,)).sample(params, np.zeros(10_000, dtype=int), rng)
    assert set(np.unique(drawn)) == {1.0, 3.0}


# ---- the prior, and maximum likelihood -------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0, 20.0])
def test_the_prior_adds_pseudo_counts_and_the_objective_holds_it(alpha):
    X, _ = codes()
    model = CategoricalMixture(1, alpha=alpha).fit(X)
    prior = 0.0
    for j, number in enumerate(NUMBERS):
        expected = (np.bincount(X[:, j].astype(int), minlength=number) + alpha) / (len(X) + number * alpha)
        assert_allclose(model.probabilities_[j][0], expected, rtol=1e-12)
        prior += alpha * np.log(expected).sum()
    assert model.lower_bound_ == pytest.approx(model.score(X) + prior / len(X), rel=1e-12)


def test_a_row_that_no_component_allows_is_minus_infinity_and_shared():
    X = np.array([[0, 0], [0, 0], [1, 1], [1, 1.0]])
    model = CategoricalMixture(2, alpha=0, init_params=np.eye(2)[[0, 0, 1, 1]]).fit(X)
    with pytest.warns(UserWarning, match="density zero under every component"):
        assert_array_equal(model.score_samples([[0, 1], [0, 0]]), [-np.inf, math.log(0.5)])
    with pytest.warns(UserWarning, match="density zero under every component"):
        assert_array_equal(model.predict_proba([[0, 1], [0, np.nan]]), [[0.5, 0.5], [1, 0]])


# ---- missing answers -------------------------------------------------------------------------------------------------


def test_missing_answers_are_left_out_of_the_likelihood():
    X, _ = codes()
    X[np.random.default_rng(1).uniform(size=X.shape) < 0.3] = np.nan
    X[7] = np.nan
    model = CategoricalMixture(2, random_state=0, tol=1e-10, max_iter=5000).fit(X)
    assert_allclose(model.score_samples(X), by_hand(X, model), rtol=1e-12, atol=1e-15)
    assert model.score_samples(X)[7] == pytest.approx(0, abs=1e-15)
    assert_allclose(model.predict_proba(X)[7], model.weights_, rtol=1e-12)
    one = CategoricalMixture(1, alpha=0).fit(X)
    known = X[~np.isnan(X[:, 1]), 1].astype(int)
    assert_allclose(one.probabilities_[1][0], np.bincount(known) / len(known), rtol=1e-12)


def test_a_component_without_any_answer_in_a_column_has_the_probabilities_of_all_rows():
    X = np.array([[0, np.nan], [0, np.nan], [1, 5], [1, 6.0]])
    model = CategoricalMixture(2, alpha=0, init_params=[0, 0, 1, 1]).fit(X)
    assert_array_equal(model.probabilities_[1], [[0.5, 0.5], [0.5, 0.5]])


# ---- values of every kind --------------------------------------------------------------------------------------------

NAMES = (["no", "yes"], ["a", "b", "c", "d", "e"], ["x"], ["high", "low", "mid"])


def named(X):
    """An object array of strings, None where NaN is."""
    rows = [[own[int(code)] if code == code else None for code, own in zip(row, NAMES, strict=True)] for row in X]
    return np.array(rows, dtype=object)


def with_holes(n_rows=300):
    X, _ = codes(n_rows)
    X[np.random.default_rng(1).uniform(size=X.shape) < 0.1] = np.nan
    return X


TABLES = {
    "objects": lambda X: named(X),
    "lists": lambda X: named(X).tolist(),
    "pandas": lambda X: pd.DataFrame(named(X), columns=list("abcd")),
    "pandas strings": lambda X: pd.DataFrame(named(X), columns=list("abcd")).astype("string"),
    "pandas categoricals": lambda X: pd.DataFrame(named(X), columns=list("abcd")).astype("category"),
    "polars": lambda X: pl.DataFrame(named(X).tolist(), schema=list("abcd"), orient="row"),
    "polars categoricals": lambda X: pl.DataFrame(named(X).tolist(), schema=list("abcd"), orient="row").cast(
        pl.Categorical
    ),
    "pyarrow": lambda X: pl.DataFrame(named(X).tolist(), schema=list("abcd"), orient="row").to_arrow(),
    "pyarrow strings": lambda X: pa.table(dict(zip("abcd", map(pa.array, named(X).T.tolist()), strict=True))),
    "pyarrow dictionaries": lambda X: pa.table(dict(zip("abcd", map(in_two_dictionaries, named(X).T), strict=True))),
}


def in_two_dictionaries(values):
    """A column of pyarrow in two chunks, which number their values otherwise; one value no row has, and one is null."""
    known, chunks = sorted({*values.tolist()} - {None}), []
    for part, levels in ((values[:100], [*known, "nobody", None]), (values[100:], known[::-1])):
        codes = pa.array([None if own not in levels else levels.index(own) for own in part.tolist()], pa.uint8())
        chunks.append(pa.DictionaryArray.from_arrays(codes, pa.array(levels)))
    return pa.chunked_array(chunks)


@pytest.mark.parametrize("kind", TABLES)
def test_strings_of_any_table_give_the_bits_of_their_codes(kind):
    X = with_holes()
    expected = CategoricalMixture(2, random_state=0).fit(X)
    table = TABLES[kind](X)
    model = CategoricalMixture(2, random_state=0).fit(table)
    assert [own.tolist() for own in model.categories_] == list(NAMES)
    for got, wanted in zip(model.probabilities_, expected.probabilities_, strict=True):
        assert_array_equal(got, wanted)
    assert_array_equal(model.predict_proba(table), expected.predict_proba(X))
    assert model.bic(table) == expected.bic(X)
    drawn, _ = model.sample(50)
    assert drawn.dtype == object
    assert set(drawn[:, 3]) <= {"low", "mid", "high"}


INTEGERS = {
    "int64": lambda X: X.astype(np.int64),
    "uint8": lambda X: X.astype(np.uint8),
    "float32": lambda X: X.astype(np.float32),
    "objects": lambda X: X.astype(int).astype(object),
    "pandas": lambda X: pd.DataFrame(X.astype(int)),
    "polars": lambda X: pl.DataFrame(X.astype(int)),
}


@pytest.mark.parametrize("kind", INTEGERS)
def test_numbers_far_from_zero_are_categories_as_well(kind):
    X, _ = codes(300)
    expected = CategoricalMixture(2, random_state=0, n_init=2).fit(X)
    model = CategoricalMixture(2, random_state=0, n_init=2).fit(INTEGERS[kind](7 * X + 3))
    assert model.weights_.dtype == (np.float32 if kind == "float32" else np.float64)
    for j, own in enumerate(model.categories_):
        assert_array_equal(own, 7 * np.unique(X[:, j]) + 3)
        assert_allclose(model.probabilities_[j], expected.probabilities_[j], rtol=1e-4 if kind == "float32" else 1e-12)
    assert model.sample(5)[0].dtype.kind in "iuf"


def test_columns_of_a_table_may_be_of_different_kinds():
    X = with_holes()
    names = named(X)
    table = pd.DataFrame({"answer": names[:, 0], "size": X[:, 1], "same": True, "level": pd.Categorical(names[:, 3])})
    model = CategoricalMixture(2, random_state=0).fit(table)
    assert [own.dtype.kind for own in model.categories_] == ["O", "f", "b", "O"]
    assert list(model.feature_names_in_) == ["answer", "size", "same", "level"]
    assert_allclose(model.score_samples(table.head(9)), by_hand(table.head(9).astype(object).to_numpy(), model))


def test_given_categories_need_not_occur_and_keep_their_order():
    X = [["b", 1], ["a", 2], ["b", 1], ["a", 1]]
    model = CategoricalMixture(1, alpha=1, categories=[["b", "c", "a"], [3, 1, 2]]).fit(X)
    assert [own.tolist() for own in model.categories_] == [["b", "c", "a"], [3, 1, 2]]
    assert_allclose(model.probabilities_[0], [[3 / 7, 1 / 7, 3 / 7]])
    assert_allclose(model.probabilities_[1], [[1 / 7, 4 / 7, 2 / 7]])
    assert np.isfinite(model.score_samples([["c", 3]])[0])


# ---- errors ----------------------------------------------------------------------------------------------------------


def test_an_unseen_category_names_column_and_value():
    X = with_holes()
    model = CategoricalMixture(2, random_state=0).fit(TABLES["pandas"](X))
    table = TABLES["pandas"](X)
    table.loc[5, "d"] = "huge"
    with pytest.raises(ValueError, match=r"Column 'd' of X has the value 'huge' in row 5.*\('high', 'low', 'mid'\)"):
        model.predict(table)
    numbers = CategoricalMixture(2, random_state=0).fit(X)
    X[3, 1] = 9
    with pytest.raises(ValueError, match=r"Column 1 of X has the value 9\.0 in row 3"):
        numbers.score_samples(X)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([["a", None], ["b", None]], "Column 1 of X has no answers"),
        ([["a", "b"], [1, "c"]], "Column 0 of X should hold either strings or numbers, got int, str"),
        (
            np.array([[{}, 1], [{}, 2]], dtype=object),
            "Column 0 of X: its argument must be a string or a number, got dict",
        ),
        ([[0.0, 1.0], [np.inf, 2.0]], "Column 0 of X holds infinity"),
        (np.array([[1 + 2j], [1.0]]), "Complex data not supported"),
        (pd.DataFrame({"when": pd.to_datetime(["2020-01-01", "2021-01-01"])}), "Column 'when' of X should hold"),
        (pd.DataFrame({"a": ["x"]}), "1 sample"),
    ],
)
def test_what_are_no_answers_is_refused(X, message):
    with pytest.raises((ValueError, TypeError), match=message):
        CategoricalMixture().fit(X)


@pytest.mark.parametrize(
    ("categories", "message"),
    [
        ([["a", "b"]], "categories has 1 lists for the 2 columns"),
        ([["a", "b"], ["x", "x"]], r"categories\[1\] should be a list of distinct values"),
        ([["a", "b"], [["x"], ["y"]]], r"categories\[1\] should be a list of distinct values"),
        ([["a", "b"], ["x"]], "Column 1 of X has the value 'y' in row 1"),
    ],
)
def test_categories_that_do_not_fit_the_columns_are_refused(categories, message):
    with pytest.raises(ValueError, match=message):
        CategoricalMixture(categories=categories).fit([["a", "x"], ["b", "y"]])


# ---- with the rest of the package ------------------------------------------------------------------------------------


def test_a_batch_has_the_bits_of_fits_alone_with_the_categories_of_all(tmp_path):
    problems = [codes(n, seed, (3, 4))[0] for n, seed in ((80, 1), (5, 2), (120, 3))]
    problems[0][4, 1] = np.nan
    problems[1][:] = [[0, 1], [0, 1], [0, 3], [1, 3], [1, 3]]
    categories = [[0.0, 1.0, 2.0], [0.0, 1.0, 2.0, 3.0]]
    result = fit_many(problems, CategoricalMixture(2), random_state=3)
    for X, model in zip(problems, result, strict=True):
        alone = CategoricalMixture(2, categories=categories, random_state=3).fit(X)
        assert model.status_ == alone.status_
        for got, wanted in zip(model.probabilities_, alone.probabilities_, strict=True):
            assert_array_equal(got, wanted)
        assert_array_equal(model.predict_proba(X), alone.predict_proba(X))
    assert_array_equal(np.concatenate(result.predict(problems)[:1]), result[0].predict(problems[0]))
    given = fit_many([*problems, problems[0] + 9], CategoricalMixture(2, categories=categories), random_state=3)
    assert given.status[3] == Status.OUT_OF_DOMAIN
    result.save(tmp_path / "batch")
    same = load(tmp_path / "batch")
    assert_array_equal(same.probabilities, result.probabilities)
    assert_array_equal(same[0].predict(problems[0]), result[0].predict(problems[0]))


@pytest.mark.parametrize("criterion", ["bic", "heldout"])
def test_a_choice_among_numbers_of_classes(criterion):
    X = named(codes(800, numbers=(2, 5, 1, 3))[0])
    X[3, 1] = "e"
    chosen = select(X, CategoricalMixture(alpha=0.5, random_state=0), n_components=[1, 2, 3], criterion=criterion)
    assert len(chosen.table) == 3
    assert all(math.isfinite(row[criterion]) for row in chosen.table)
    assert chosen.best_.predict(X).shape == (800,)


def test_order_of_classes_does_not_depend_on_the_start():
    X, _ = codes(numbers=(4,) * 8)
    orders = [
        CategoricalMixture(2, canonical_order=True, tol=1e-10, max_iter=1000, random_state=seed, init_params="random")
        .fit(X)
        .probabilities_[0]
        for seed in range(4)
    ]
    for other in orders[1:]:
        assert_allclose(other, orders[0], rtol=1e-3)
    assert np.all(orders[0][0, 0] <= orders[0][1, 0])


@pytest.mark.parametrize("kind", [own for own in TABLES if own != "lists"])
def test_values_are_looked_at_once_for_each_category(kind, monkeypatch):
    """Not once for each row: passes over blocks read these again each time."""
    looked = []

    def counting(value):
        looked.append(value)
        return is_nothing(value)

    monkeypatch.setattr(_categories, "is_nothing", counting)
    X = with_holes(3000)
    Columns(TABLES[kind](X)).all_answers()
    assert len(looked) <= 2 * 8 * X.shape[1]  # five categories at most, and what is missing


def test_categories_of_a_dictionary_that_no_row_has_are_none():
    table = pa.table({"a": pa.DictionaryArray.from_arrays([0, 2, 0], pa.array(["x", "unused", "y"]))})
    model = CategoricalMixture(1).fit(table)
    assert model.categories_[0].tolist() == ["x", "y"]
    assert model.predict(table).tolist() == [0, 0, 0]
    other = pa.table({"a": pa.DictionaryArray.from_arrays([0, 1], pa.array(["y", "z"]))})
    with pytest.raises(ValueError, match="Column 'a' of X has the value 'z' in row 1, which is none of its categories"):
        model.predict(other)
    model.set_params(unseen="missing").predict(other)


def test_numbers_and_missing_values_in_dictionaries():
    X = with_holes()
    numbers = pa.table(
        {name: pa.array(own, from_pandas=True).dictionary_encode() for name, own in zip("abcd", X.T, strict=True)}
    )
    model, wanted = (CategoricalMixture(2, random_state=0).fit(rows) for rows in (numbers, X))
    assert_array_equal(model.predict_proba(numbers), wanted.predict_proba(X))
    assert all(own.dtype == np.float64 for own in model.categories_)
    objects = named(X)
    objects[objects == None] = np.nan  # noqa: E711 - by element
    objects[0, 1], objects[1, 1], objects[2, 1] = float("nan"), pd.NA, None
    holed = X.copy()
    holed[:3, 1] = np.nan
    model, wanted = (CategoricalMixture(2, random_state=0).fit(rows) for rows in (objects, holed))
    assert_array_equal(model.predict_proba(objects), wanted.predict_proba(holed))


@pytest.mark.parametrize("kind", ["pandas", "ordered", "polars"])
def test_categories_that_a_type_names_need_not_occur(kind):
    categories = ["never", "some", "often"]
    values = ["some", "often", None, "some"]
    if kind == "polars":
        table = pl.DataFrame({"answer": pl.Series(values, dtype=pl.Enum(categories))})
        more = pl.DataFrame({"answer": pl.Series(["never"], dtype=pl.Enum(categories))})
    else:
        table = pd.DataFrame({"answer": pd.Categorical(values, categories, ordered=kind == "ordered")})
        more = pd.DataFrame({"answer": pd.Categorical(["never"], categories)})
    model = CategoricalMixture().fit(table)
    assert [own.tolist() for own in model.categories_] == [categories]
    assert_allclose(model.probabilities_[0], [[1 / 6, 3 / 6, 2 / 6]])
    assert_allclose(model.score(more), np.log(1 / 6))
