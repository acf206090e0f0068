"""Tables: columns are read by place or by name, whatever the names are, and mean the same in every method."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from numpy.testing import assert_array_equal
from sklearn.base import clone

from mixfast import (
    GSDMM,
    BayesianGaussianMixture,
    BernoulliMixture,
    CategoricalMixture,
    GaussianMixture,
    MultinomialMixture,
    PoissonMixture,
    ProductMixture,
    fit_many,
    fit_many_columns,
    fit_many_groups,
    load,
    select,
    tables,
)
from mixfast.parts import Bernoulli, Categorical, Gaussian, StudentT

RNG = np.random.default_rng(0)
X = RNG.normal([0, 100, -50], 1, (200, 3))
ORDER = [2, 0, 1]

#: Three names of columns each; polars and pyarrow take strings only.
NAMES = {
    "strings": ["a", "b", "c"],
    "names of attributes": ["column_names", "columns", "rename_columns"],
    "strings of digits": ["2", "0", "1"],
    "integers": [2, 0, 1],
    "large integers": [10, 20, 30],
    "years": [1990, 2000, 2010],
    "dates": [datetime.date(2020, 1, day) for day in (1, 2, 3)],
    "timestamps": list(pd.date_range("2020-01-01", periods=3)),
    "tuples": [("a", 1), ("a", 2), ("b", 1)],
    "floats": [0.5, 1.5, 2.5],
}


def in_pandas(X, names):
    table = pd.DataFrame(X)
    table.columns = pd.MultiIndex.from_tuples(names) if isinstance(names[0], tuple) else pd.Index(names, dtype=object)
    return table


MAKERS = {
    "pandas": in_pandas,
    "polars": lambda X, names: pl.DataFrame({name: own for name, own in zip(names, X.T, strict=True)}),
    "pyarrow": lambda X, names: pa.table({name: own for name, own in zip(names, X.T, strict=True)}),
}
GRID = [
    (kind, name)
    for kind in MAKERS
    for name, own in NAMES.items()
    if kind == "pandas" or all(isinstance(column, str) for column in own)
]
every_table = pytest.mark.parametrize(("kind", "name"), GRID)


def same(one, other):
    assert_array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize("kind", MAKERS)
def test_tables_of_float32_are_fitted_in_it(kind):
    single = X.astype(np.float32)
    model, alone = (
        GaussianMixture(2, random_state=0).fit(rows) for rows in (MAKERS[kind](single, ["a", "b", "c"]), single)
    )
    assert model.means_.dtype == np.float32
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    same(model.means_, alone.means_)


@every_table
def test_a_single_fit_reads_columns_by_place(kind, name):
    table, alone = MAKERS[kind](X, NAMES[name]), GaussianMixture(2, random_state=0).fit(X)
    model = GaussianMixture(2, random_state=0).fit(table)
    same(model.means_, alone.means_)
    same(model.score_samples(table), alone.score_samples(X))
    chosen = select(table, GaussianMixture(), n_components=[1, 2], random_state=0)
    same(chosen.best_.means_, select(X, GaussianMixture(), n_components=[1, 2], random_state=0).best_.means_)


@every_table
def test_columns_are_fitted_and_named(kind, name):
    names = NAMES[name]
    result = fit_many_columns(MAKERS[kind](X, names), GaussianMixture(1))
    assert result.names == names
    assert result.n_samples.tolist() == [200] * 3
    np.testing.assert_allclose(result.means.ravel(), X.mean(axis=0), rtol=1e-12)


@every_table
def test_lists_of_tables_are_read_as_arrays(kind, name):
    tables = [MAKERS[kind](rows, NAMES[name]) for rows in (X, X[:50])]
    result = fit_many(tables, GaussianMixture(2, random_state=0))
    wanted = fit_many([X, X[:50]], GaussianMixture(2, random_state=0))
    same(result.means, wanted.means)
    for found, expected in zip(result.predict(tables), wanted.predict([X, X[:50]]), strict=True):
        same(found, expected)


@every_table
def test_groups_are_made_by_name(kind, name):
    names = NAMES[name]
    keyed = np.column_stack([X[:, 0], np.arange(200) % 2, X[:, 2]])
    result = fit_many_groups(MAKERS[kind](keyed, names), GaussianMixture(1), by=names[1], columns=[names[2], names[0]])
    assert result.names == [0, 1]
    for group in (0, 1):
        np.testing.assert_allclose(result.means[group, 0], X[group::2][:, [2, 0]].mean(axis=0), rtol=1e-12)


@every_table
def test_parts_of_a_product_name_the_same_columns_in_every_method(kind, name):
    names = NAMES[name]
    parts = [(names[2], Gaussian()), (names[0], names[1], StudentT())]
    model = ProductMixture(parts, 2, random_state=0).fit(MAKERS[kind](X, names))
    by_place = ProductMixture([(2, Gaussian()), (0, 1, StudentT())], 2, random_state=0).fit(X)
    table = MAKERS[kind](X, names)
    assert model.score(table) == pytest.approx(by_place.score(X), rel=1e-12)
    assert abs(model.score(table) - model.lower_bound_) < 0.1
    # in another order, and with a column more
    shuffled = MAKERS[kind](X[:, ORDER], [names[place] for place in ORDER])
    same(model.predict_proba(shuffled), model.predict_proba(table))
    drawn, _ = model.sample(5, random_state=0)
    assert model.columns_ == names
    same(model.predict(MAKERS[kind](drawn, model.columns_)), by_place.predict(drawn))


def test_a_number_is_a_name_where_a_column_has_it_and_else_a_place():
    table = in_pandas(X, [1, 0, 7])
    model = ProductMixture([(0, Gaussian()), (1, StudentT())]).fit(table)
    np.testing.assert_allclose(model.components_["0"].means_[0, 0], X[:, 1].mean())
    assert abs(model.score(table) - model.lower_bound_) < 0.1
    placed = ProductMixture([(2, Gaussian())]).fit(table)  # no column is called 2
    np.testing.assert_allclose(placed.components_["7"].means_[0, 0], X[:, 2].mean())
    with pytest.raises(ValueError, match="and had"):
        placed.predict(in_pandas(X, [1, 0, 8]))


def test_a_column_that_is_missing_is_never_replaced_by_the_one_in_its_place():
    table = in_pandas(X, [0, 1, 2])
    model = ProductMixture([(0, Gaussian()), (1, StudentT())], 2, random_state=0, warm_start=True).fit(table)
    message = "parts name column 1, which X has not: there are 0, 2"
    for call in (model.score, model.fit, clone(model).fit):
        with pytest.raises(ValueError, match=message):
            call(table[[0, 2]])
    with pytest.raises(ValueError, match="parts name column 1, which X has not: there are 0, 5, 2"):
        model.fit(in_pandas(X, [0, 5, 2]))
    same(model.predict_proba(table[[1, 0]]), model.predict_proba(table))
    same(model.predict_proba(X), model.predict_proba(table))


@pytest.mark.parametrize("names", [[0, 1, "label"], [1.5, "b", pd.Timestamp("2020-01-01")], ["a", np.nan, 3]])
def test_names_of_several_types_are_read_by_place(names):
    table, again = in_pandas(X, names), in_pandas(X, [float("nan") if name != name else name for name in names])
    alone = GaussianMixture(2, random_state=0).fit(X)
    model = GaussianMixture(2, random_state=0).fit(table)
    same(model.score_samples(table), alone.score_samples(X))
    chosen = select(table, GaussianMixture(), n_components=[1])
    same(chosen.best_.means_, select(X, GaussianMixture(), n_components=[1]).best_.means_)
    counts = np.abs(X).round()
    same(GSDMM(2, random_state=0).fit(in_pandas(counts, names)).labels_, GSDMM(2, random_state=0).fit(counts).labels_)
    parts = [(names[1], Gaussian()), (names[2], names[0], StudentT())]
    by_place = ProductMixture([(1, Gaussian()), (2, 0, StudentT())], 2, random_state=0).fit(X)
    for own in (parts, [(Gaussian(),)]):
        product = ProductMixture(own, 2, random_state=0).fit(table)
        same(product.score_samples(again), product.score_samples(table))
        if own is parts:
            same(product.score_samples(table), by_place.score_samples(X))
    with pytest.raises(ValueError, match=r"Column .* holds strings such as 'k', and GaussianMixture wants numbers"):
        model.fit(in_pandas(np.array([["k", 1, 2]] * 3, dtype=object), names))


def test_columns_of_the_same_name_are_chosen_among_and_weighted():
    arrow = pa.Table.from_arrays([pa.array(own) for own in X.T], names=["a", "b", "a"])
    weight = (np.arange(200) >= 20).astype(float)
    for table in (in_pandas(X, ["a", "b", "a"]), arrow, arrow.to_batches()[0]):
        for estimator in (GaussianMixture(), ProductMixture([(StudentT(),)])):
            chosen = select(table, estimator, n_components=[1, 2], random_state=0, sample_weight=weight)
            wanted = select(X, estimator, n_components=[1, 2], random_state=0, sample_weight=weight)
            assert chosen.table == wanted.table
            model = clone(estimator).fit(table, sample_weight=weight)
            assert model.score(table, sample_weight=weight) == pytest.approx(model.score(X[20:]), rel=1e-12)


def test_columns_of_the_same_name_are_read_by_place_and_not_by_name():
    table = in_pandas(X, ["a", "b", "a"])
    by_place = GaussianMixture(2, random_state=0).fit(X)
    same(GaussianMixture(2, random_state=0).fit(table).means_, by_place.means_)
    same(by_place.fit(table).score_samples(table), by_place.fit(X).score_samples(X))
    codes = in_pandas(COUNTS % 3, ["a", "a"])
    by_code = CategoricalMixture(1, random_state=0).fit(COUNTS % 3)
    same(CategoricalMixture(1, random_state=0).fit(codes).score_samples(codes), by_code.score_samples(COUNTS % 3))
    assert fit_many_columns(table, GaussianMixture(1)).names == ["a", "b", "a"]
    same(fit_many([table], GaussianMixture(2, random_state=0))[0].predict(table), by_place.predict(X))
    placed = ProductMixture([(0, 2, Gaussian()), (1, StudentT())], 2, random_state=0)
    same(placed.fit(table).predict_proba(table), placed.fit(X).predict_proba(X))
    with pytest.raises(ValueError, match="2 columns of X are called so"):
        ProductMixture([("a", Gaussian())]).fit(table)
    with pytest.raises(ValueError, match="2 columns are called 'a'"):
        fit_many_groups(table, GaussianMixture(1), by="a")
    arrow = pa.Table.from_arrays([pa.array(own) for own in X.T], names=["a", "b", "a"])
    same(GaussianMixture(2, random_state=0).fit(arrow).score_samples(arrow), by_place.score_samples(X))
    np.testing.assert_allclose(fit_many_columns(arrow, GaussianMixture(1)).means.ravel(), X.mean(axis=0), rtol=1e-12)


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (["a", "a", "b"], [(0, Gaussian()), (1, StudentT()), (2, Gaussian())]),
        ([7, "7", "b"], [(7, Gaussian()), ("7", StudentT()), ("b", Gaussian())]),
    ],
)
def test_parts_whose_columns_read_the_same_stay_apart(names, parts, tmp_path):
    wanted = [(0, Gaussian()), (1, StudentT()), (2, Gaussian())]
    table = in_pandas(X, names)
    model = ProductMixture(parts, 2, random_state=0).fit(table)
    assert len(model.components_) == len(parts)
    by_place = ProductMixture(wanted, 2, random_state=0).fit(X)
    same(model.score_samples(table), by_place.score_samples(X))
    model.save(tmp_path / "model.mix")
    same(load(tmp_path / "model.mix").score_samples(table), by_place.score_samples(X))


COUNTS = RNG.poisson(3, (60, 2))


@pytest.mark.parametrize(
    "convert",
    [
        lambda table: table.convert_dtypes(),
        lambda table: table.astype({"a": "Int64"}),
        lambda table: table.astype("Float64"),
        lambda table: table.astype("Float32"),
        lambda table: table.astype({"a": "float32", "b": "int8"}),
        lambda table: table.astype({"a": "float32", "b": "bool"}),
        lambda table: table.astype("int64[pyarrow]"),
        lambda table: table.astype(object),
        lambda table: table.map(Decimal),
        lambda table: table.astype("category"),
        lambda table: pl.from_pandas(table),
        lambda table: pa.Table.from_pandas(table),
        lambda table: pa.RecordBatch.from_pandas(table),
        lambda table: pa.Table.from_pandas(table.astype("float32")),
        lambda table: pl.from_pandas(table.astype("float32")),
        lambda table: OnlyArrow(pa.Table.from_pandas(table)),
        lambda table: table.to_numpy().tolist(),
    ],
)
def test_a_batch_reads_every_form_as_a_fit_does(convert):
    table = pd.DataFrame(COUNTS, columns=["a", "b"])
    rows, numbers = convert(table), COUNTS.astype(float)
    if hasattr(rows, "dtypes") and "bool" in map(str, rows.dtypes):
        numbers[:, 1] = COUNTS[:, 1] > 0
    alone = PoissonMixture(2, random_state=0).fit(rows)
    result = fit_many([rows, rows], PoissonMixture(2, random_state=0))
    assert result.dtype == alone.rates_.dtype
    same(result[0].rates_, alone.rates_)
    wanted = select(numbers, PoissonMixture(), n_components=[1, 2], random_state=0)
    found = select(rows, PoissonMixture(), n_components=[1, 2], random_state=0)
    assert found.best_params_ == wanted.best_params_
    np.testing.assert_allclose(found.best_.rates_, wanted.best_.rates_, rtol=1e-6)  # some forms are float32


class OnlyArrow:
    """What speaks Arrow and nothing else."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr", "dia", "lil", "dok"])
def test_every_sparse_form_is_read(form):
    dense = COUNTS.astype(float)
    for kind in ("array", "matrix"):
        rows = getattr(scipy.sparse, f"{form}_{kind}")(dense)
        wanted = select(dense, PoissonMixture(), n_components=[1, 2], random_state=0)
        found = select(rows, PoissonMixture(), n_components=[1, 2], random_state=0)
        assert found.best_params_ == wanted.best_params_
        np.testing.assert_allclose(found.best_.rates_, wanted.best_.rates_, rtol=1e-12)
        columns = fit_many_columns(rows, PoissonMixture(1))
        np.testing.assert_allclose(columns.rates.ravel(), dense.mean(axis=0), rtol=1e-12)


# ---- missing values --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA])
def test_nothing_in_objects_is_missing(nothing):
    answers = np.array([[1, 0], [0, nothing], [1, 1], [0, 0]], dtype=object)
    wanted = np.array([[1, 0], [0, np.nan], [1, 1], [0, 0]])
    same(BernoulliMixture(1).fit(answers).probabilities_, BernoulliMixture(1).fit(wanted).probabilities_)
    same(fit_many([answers], BernoulliMixture(1))[0].probabilities_, BernoulliMixture(1).fit(wanted).probabilities_)
    with pytest.raises(ValueError, match=r"column 1, row 1\. BayesianGaussianMixture has no place for missing values"):
        BayesianGaussianMixture(1).fit(answers)


def test_what_a_masked_array_hides_is_missing():
    hidden = np.ma.masked_array(X.copy(), mask=np.zeros(X.shape, bool))
    hidden[:10, 0] = 1e6
    hidden.mask[:10, 0] = True
    with pytest.raises(ValueError, match="column 0, row 0"):
        BayesianGaussianMixture(1).fit(hidden)
    assert not fit_many([hidden], BayesianGaussianMixture(1)).has_parameters[0]
    result = fit_many_columns(hidden, BayesianGaussianMixture(1))
    assert result.n_samples.tolist() == [190, 200, 200]
    one = GaussianMixture(1, random_state=0)  # the last bits of EM depend on the start where entries are missing
    same(one.fit(hidden).means_, clone(one).fit(hidden.filled(np.nan)).means_)
    answers = np.ma.masked_array((np.arange(20) >= 10).astype(float)[:, None], mask=(np.arange(20) < 10)[:, None])
    assert BernoulliMixture(1, alpha=0).fit(answers).probabilities_[0, 0] == 1
    words = np.ma.masked_array([["a"], ["b"], ["b"]] * 4, mask=[[True], [False], [False]] * 4)
    assert CategoricalMixture(1).fit(words).categories_[0].tolist() == ["b"]


def wrong_numbers(name):
    """One number for each row of which some are no numbers, and what is said of them."""
    ones = np.ones(60)
    yield np.ma.masked_array(ones, mask=np.arange(60) == 3), f"{name} hides some of its values"
    yield ones.astype("m8[h]"), f"{name} holds timedelta64"
    yield pd.Series(pd.to_timedelta(ones, unit="h")), f"{name} holds timedelta64"
    yield pl.Series(ones.astype("m8[us]")), f"{name} holds Duration"
    yield pa.chunked_array([ones.astype("m8[us]")]), f"{name} holds duration"


def test_weights_and_exposures_are_numbers_that_nothing_hides():
    model = GaussianMixture(1).fit(X[:60])
    for weights, message in wrong_numbers("sample_weight"):
        for call in (GaussianMixture(1).fit, model.score, model.bic):
            with pytest.raises(ValueError, match=message):
                call(X[:60], sample_weight=weights)
        with pytest.raises(ValueError, match=message):
            select(X[:60], GaussianMixture(), n_components=[1], sample_weight=weights)
    for weights, message in wrong_numbers(r"sample_weight\[1\]"):
        with pytest.raises(ValueError, match=message):
            fit_many([X[:60], X[:60]], GaussianMixture(1), sample_weight=[np.ones(60), weights])
    for exposure, message in wrong_numbers("exposure"):
        with pytest.raises(ValueError, match=message):
            PoissonMixture(1).fit(COUNTS, exposure=exposure)
    nothing_hidden = np.ma.masked_array(np.arange(60.0), mask=False)
    same(
        GaussianMixture(1, random_state=0).fit(X[:60], sample_weight=nothing_hidden).means_,
        GaussianMixture(1, random_state=0).fit(X[:60], sample_weight=np.arange(60.0)).means_,
    )


@pytest.mark.parametrize("kind", MAKERS)
def test_large_integers_stay_apart_beside_a_missing_one(kind):
    ids = [None, *[2**53] * 10, *[2**53 + 1] * 30]
    table = {
        "pandas": lambda: pd.DataFrame({"id": pd.array(ids, dtype="Int64")}),
        "polars": lambda: pl.DataFrame({"id": ids}),
        "pyarrow": lambda: pa.table({"id": pa.array(ids)}),
    }[kind]()
    model = CategoricalMixture(1, alpha=0).fit(table)
    assert model.categories_[0].tolist() == [2**53, 2**53 + 1]
    np.testing.assert_allclose(model.probabilities_[0], [[0.25, 0.75]])


def test_an_unseen_category_is_an_error_or_missing():
    rows = np.array(["a", "b"] * 30, dtype=object)[:, None]
    with_new = np.array([["a"], ["new"]], dtype=object)
    with pytest.raises(ValueError, match="unseen='missing'"):
        CategoricalMixture(1).fit(rows).predict(with_new)
    model = CategoricalMixture(2, random_state=0, unseen="missing").fit(rows)
    log_prob = model.score_samples(with_new)
    assert log_prob[1] == pytest.approx(0)  # nothing is known of the row
    np.testing.assert_allclose(model.predict_proba(with_new)[1], model.weights_)
    same(model.score_samples(np.array([["a"], [None]], dtype=object)), log_prob)
    product = ProductMixture([(0, Categorical(unseen="missing"))], 2, random_state=0).fit(rows)
    assert product.score_samples(with_new)[1] == pytest.approx(0)
    given = CategoricalMixture(1, categories=[["a"]], alpha=0, unseen="missing").fit(rows)
    assert given.score_samples(rows).tolist() == pytest.approx([0] * 60)
    codes = np.array([[0.0], [1.0]] * 30)
    result = fit_many([codes], CategoricalMixture(1, unseen="missing"))
    assert result.score_samples([np.array([[0.0], [7.0]])])[0][1] == pytest.approx(0)


def test_nan_in_a_sparse_matrix_is_named():
    counts = COUNTS.astype(float)
    counts[7, 1] = np.nan
    for form in ("csr", "csc", "coo"):
        for estimator in (MultinomialMixture(1), GSDMM(2)):
            with pytest.raises(ValueError, match="Input X contains NaN: column 1, row 7"):
                estimator.fit(getattr(scipy.sparse, f"{form}_array")(counts))


# ---- orders ----------------------------------------------------------------------------------------------------------


def test_intervals_are_categories():
    ages = RNG.uniform(0, 90, 60)
    table = pd.DataFrame({"age": pd.cut(ages, 3)})
    model = CategoricalMixture(2, random_state=0).fit(table)
    assert model.categories_[0].tolist() == table["age"].cat.categories.tolist()
    by_text = CategoricalMixture(2, random_state=0).fit(table.astype(str))
    assert model.score(table) == pytest.approx(by_text.score(table.astype(str)))


def test_groups_keep_the_order_of_their_categories():
    sizes = ["small", "large", "huge", "small", "large", "huge"]
    order = ["small", "large", "huge"]
    for form in (
        pd.DataFrame({"size": pd.Categorical(sizes, order, ordered=True), "x": np.arange(6.0)}),
        pl.DataFrame({"size": pl.Series(sizes, dtype=pl.Enum(order)), "x": np.arange(6.0)}),
    ):
        assert fit_many_groups(form, GaussianMixture(1), by="size").names == order


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (pd.DataFrame({"x": X[:, 0], "town": ["Kiel"] * 200}), r"Column 'town' of X holds strings.*ProductMixture"),
        (pl.DataFrame({"x": X[:, 0], "town": ["Kiel"] * 200}), r"Column 'town' of X holds strings.*ProductMixture"),
        (["a text of some words", "and another one of these"], "CountVectorizer"),
        (["good day", "bye now"], "CountVectorizer"),
        (pd.DataFrame({"x": X[:, 0], "when": pd.to_datetime(["2020-01-01", None] * 100)}), "Column 'when' holds date"),
        (pl.DataFrame({"when": [datetime.date(2020, 1, 1), None]}), "Column 'when' holds [Dd]ate"),
        (pa.table({"when": [datetime.timedelta(1), None]}), "Column 'when' holds duration"),
        (np.array([["2020-01-01"], ["NaT"]], "M8[D]"), "holds datetime64"),
        (pd.DataFrame(index=range(5)), "X has no columns"),
    ],
)
def test_what_is_refused_names_the_column_and_the_remedy(rows, message):
    for call in (lambda: GaussianMixture(1).fit(rows), lambda: select(rows, GaussianMixture(), n_components=[1])):
        with pytest.raises(ValueError, match=message):
            call()


def test_raw_texts_are_told_of_counting_words():
    texts = ["a text of some words", "and another one of these"] * 5
    for call in (
        lambda: MultinomialMixture(1).fit(texts),
        lambda: GSDMM(2).fit(texts),
        lambda: GSDMM(2).fit(pd.Series(texts)),
        lambda: select(texts, MultinomialMixture(), n_components=[1]),
        lambda: fit_many([texts], MultinomialMixture(1)),
        lambda: fit_many_columns(texts, GaussianMixture(1)),
    ):
        with pytest.raises(ValueError, match="CountVectorizer"):
            call()


@pytest.mark.parametrize("criterion", ["bic", "aic", "icl"])
def test_criteria_without_rows_ask_for_them(criterion):
    for model in (GaussianMixture(1).fit(X), PoissonMixture(1).fit(COUNTS)):
        with pytest.raises(TypeError, match=rf"{criterion}\(\) needs the rows"):
            getattr(model, criterion)()


def test_options_that_a_batch_lacks_are_named_as_its_own():
    table = pd.DataFrame({"x": X[:, 0], "g": np.repeat([0, 1], 100)})
    with pytest.raises(TypeError, match=r"fit_many_columns\(\) got an unexpected keyword argument 'verbose'"):
        fit_many_columns(table, GaussianMixture(1), verbose=1)
    with pytest.raises(TypeError, match="fit_many_groups has no parameter 'seed'"):
        fit_many_groups(table, GaussianMixture(1), by="g", seed=1)


def test_batches_name_what_they_cannot_read():
    table = pd.DataFrame({"x": X[:, 0], "g": np.repeat([0, 1], 100), "town": "Kiel"})
    with pytest.raises(ValueError, match=r"problems\[0\].*Column 'town' of X holds strings"):
        fit_many([table], GaussianMixture(1))
    with pytest.raises(ValueError, match="fit_many_groups"):
        fit_many(table.groupby("g"), GaussianMixture(1))
    with pytest.raises(ValueError, match="'town' is not numeric"):
        fit_many_groups(table, GaussianMixture(1), by="g")
    with pytest.raises(ValueError, match=r"by=None should name columns"):
        fit_many_groups(table, GaussianMixture(1), by=None)
    with pytest.raises(TypeError, match="no rows yet"):
        fit_many_columns(pl.DataFrame({"x": X[:, 0]}).lazy(), GaussianMixture(1))
    weighted = fit_many([X, X], GaussianMixture(2, random_state=0), sample_weight=2.0)
    same(weighted.means, fit_many([X, X], GaussianMixture(2, random_state=0), sample_weight=np.full(400, 2.0)).means)


def test_integers_that_64_bits_are_too_few_for_are_named():
    with pytest.raises(ValueError, match="64 bits are too few"):
        CategoricalMixture(1).fit([[10**20], [10**20 + 1]] * 5)


def test_decimals_and_strings_stand_in_a_product():
    table = pd.DataFrame({"price": [Decimal(f"{value:.2f}") for value in X[:, 1]], "smokes": np.arange(200) % 2})
    model = ProductMixture([("price", Gaussian()), ("smokes", Bernoulli())], 2, random_state=0).fit(table)
    floats = table.astype({"price": float})
    assert model.score(table) == pytest.approx(model.score(floats), rel=1e-14)


@pytest.mark.parametrize(
    "columns",
    [
        {"a": np.arange(3.0), "b": np.array([np.nan, 1, 2])},
        {"a": np.arange(3, dtype=np.float32), "b": np.ones(3, dtype=np.float32)},
        {"a": np.arange(3, dtype=np.float32), "b": np.ones(3)},
        {"a": np.arange(3), "b": np.array([True, False, True]), "c": np.ones(3)},
        {"a": np.arange(3, dtype=np.float16)},
    ],
    ids=["float64", "float32", "float32 and float64", "integers and booleans", "float16"],
)
@pytest.mark.parametrize(
    "make",
    [
        pd.DataFrame,
        lambda columns: pd.DataFrame(columns).astype("Float64"),
        lambda columns: pl.DataFrame({name: own for name, own in columns.items() if own.dtype != np.float16}),
        pa.table,
    ],
    ids=["pandas", "nullable", "polars", "pyarrow"],
)
def test_all_columns_are_read_as_each(make, columns):
    table = tables.Table(make(columns))
    found, wanted = table.all_reals(), [table.reals(place) for place in range(len(table.names))]
    assert [own.dtype for own in found] == [own.dtype for own in wanted]
    for name, own, one in zip(table.names, found, wanted, strict=True):
        assert np.array_equal(own, one, equal_nan=True)
        assert np.array_equal(own, columns[name].astype(float), equal_nan=True)
