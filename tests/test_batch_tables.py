"""Tables: a mixture for each column or each group, missing values left out."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from batches import DTYPES, assert_same_fit, assert_same_results, attributes, fit_alone, groups, same_bits
from estimators_table import ESTIMATORS
from sklearn.base import clone

from mixfast import (
    BayesianGaussianMixture,
    BernoulliMixture,
    DirichletProcessMixture,
    GammaMixture,
    GaussianMixture,
    PoissonMixture,
    ProductMixture,
    Status,
    StudentTMixture,
    fit_many,
    fit_many_columns,
    fit_many_groups,
    load,
)
from mixfast.parts import Bernoulli, Gaussian, Poisson, StudentT

ESTIMATOR = GaussianMixture(2, random_state=0)
TABLE = groups(np.random.default_rng(0), 80, 4)
TABLE[5, 1] = TABLE[:30, 2] = TABLE[:, 3] = np.nan
NAMES = list("abcd")
LISTS = {name: [None if np.isnan(x) else x for x in column] for name, column in zip(NAMES, TABLE.T, strict=True)}

TABLES = {
    "pandas with NaN": lambda: pd.DataFrame(TABLE, columns=NAMES),
    "pandas with NA": lambda: pd.DataFrame(TABLE, columns=NAMES).convert_dtypes(),
    "pandas of arrow": lambda: pd.DataFrame({n: pd.array(v, dtype="float64[pyarrow]") for n, v in LISTS.items()}),
    "polars with null": lambda: pl.DataFrame(LISTS, schema=dict.fromkeys(NAMES, pl.Float64)),
    "polars with NaN": lambda: pl.DataFrame(TABLE, schema=NAMES),
    "pyarrow with null": lambda: pa.table({name: pa.array(v, pa.float64()) for name, v in LISTS.items()}),
}
every_table = pytest.mark.parametrize("kind", TABLES)


# ---- columns --------------------------------------------------------------------------------------------------------


@every_table
def test_each_column_is_fitted_without_its_missing_values(kind):
    result = fit_many_columns(TABLES[kind](), ESTIMATOR)
    assert result.names == NAMES
    assert result.n_samples.tolist() == [80, 79, 50, 0]
    for i in range(3):
        known = pd.DataFrame(TABLE[~np.isnan(TABLE[:, i])][:, [i]], columns=[NAMES[i]])
        assert_same_fit(result[i], fit_alone(ESTIMATOR, known, 0))
    assert result.status[3] == Status.TOO_FEW_ROWS


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_have_no_names(dtype):
    X = TABLE.astype(dtype)
    result = fit_many_columns(X, ESTIMATOR)
    assert result.names is None
    assert result.means.dtype == dtype
    assert_same_results(result, fit_many([x[~np.isnan(x)] for x in X.T], ESTIMATOR))
    assert_same_results(fit_many_columns(np.asfortranarray(X), ESTIMATOR), result)
    if dtype == np.float64:
        assert_same_results(fit_many_columns(X.tolist(), ESTIMATOR), result)


def test_one_dimension_is_a_table_of_one_column():
    assert len(fit_many_columns(TABLE[:, 0], ESTIMATOR)) == 1


def test_infinity_is_not_missing():
    X = TABLE.copy()
    X[3, 0] = np.inf
    assert fit_many_columns(X, ESTIMATOR).status[0] == Status.NOT_FINITE


def test_columns_of_integers_and_booleans_are_numbers():
    frame = pd.DataFrame({"a": np.arange(40) % 7, "b": np.arange(40) % 2 == 0})
    for table in (frame, pl.from_pandas(frame), frame.convert_dtypes()):
        result = fit_many_columns(table, GaussianMixture(1, random_state=0))
        np.testing.assert_allclose(result.means[:, 0, 0], frame.to_numpy(float).mean(axis=0), rtol=1e-14)
    integers = pl.DataFrame({"a": [1, None, 3, 4, 9]})
    assert fit_many_columns(integers, ESTIMATOR).n_samples.tolist() == [4]


@pytest.mark.parametrize("as_table", [pd.DataFrame, pl.DataFrame, pa.table])
def test_columns_that_are_not_numeric_are_named(as_table):
    table = as_table({"height": [1.0, 2.0], "species": ["finch", "tit"]})
    with pytest.raises(ValueError, match=r"column 'species' is not numeric: .* categories first.*CategoricalMixture"):
        fit_many_columns(table, ESTIMATOR)
    with pytest.raises(ValueError, match=r"column 'species' is not numeric: .* number categories first"):
        fit_many_groups(table, ESTIMATOR, by="height")


def test_columns_take_the_options_of_a_batch():
    result = fit_many_columns(TABLE, GaussianMixture(), n_components=[1, 2], seeds=[1, 2, 3, 4], keep="all")
    assert result.seeds.tolist() == [1, 2, 3, 4]
    assert len(result.models) == 2
    with pytest.raises(TypeError, match="unexpected keyword argument 'exposure'"):
        fit_many_columns(TABLE, ESTIMATOR, exposure=np.ones(80))


# ---- groups ---------------------------------------------------------------------------------------------------------

RNG = np.random.default_rng(1)
SITES = RNG.choice(["north", "south", "east"], 300)
YEARS = RNG.choice([2019, 2020], 300)
X = groups(RNG, 300, 2)
GROUPED = pd.DataFrame({"x": X[:, 0], "site": SITES, "y": X[:, 1], "year": YEARS})

GROUP_TABLES = {
    "pandas": lambda: GROUPED,
    "pandas with an index of its own": lambda: GROUPED.set_index(np.arange(300)[::-1] % 7),
    "pandas with categories": lambda: GROUPED.astype({"site": "category"}),
    "polars": lambda: pl.from_pandas(GROUPED),
    "pyarrow": lambda: pa.Table.from_pandas(GROUPED),
}
every_group_table = pytest.mark.parametrize("kind", GROUP_TABLES)


@every_group_table
def test_each_group_is_fitted(kind):
    result = fit_many_groups(GROUP_TABLES[kind](), ESTIMATOR, by="site", columns=["x", "y"])
    assert result.names == ["east", "north", "south"]
    assert result.n_samples.sum() == 300
    for i, name in enumerate(result.names):
        assert_same_fit(result[i], fit_alone(ESTIMATOR, GROUPED[name == SITES][["x", "y"]], 0))


@every_group_table
def test_several_keys_make_tuples_and_all_other_columns_are_fitted(kind):
    result = fit_many_groups(GROUP_TABLES[kind](), ESTIMATOR, by=["site", "year"])
    assert result.names == [(site, year) for site in ("east", "north", "south") for year in (2019, 2020)]
    for i, (site, year) in enumerate(result.names):
        own = GROUPED[(site == SITES) & (year == YEARS)]
        assert_same_fit(result[i], fit_alone(ESTIMATOR, own[["x", "y"]], 0))


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_rows_with_missing_values_are_left_out(library):
    site = [None, *SITES[1:]]
    x = [*X[:-2, 0], np.nan, X[-1, 0]]
    y = [*X[:-1, 1], None]
    columns = {"site": site, "x": x, "y": y}
    table = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}[library](columns)
    estimator = BayesianGaussianMixture(2, random_state=0)
    result = fit_many_groups(table, estimator, by="site")
    assert result.names == ["east", "north", "south"]
    assert result.n_samples.sum() == 297
    kept = GROUPED[1:298]
    for i, name in enumerate(result.names):
        assert_same_fit(result[i], fit_alone(estimator, kept[name == kept["site"]][["x", "y"]], 0))
    # Gaussian mixtures take them, but for those of `by`
    assert fit_many_groups(table, ESTIMATOR, by="site").n_samples.sum() == 299


@pytest.mark.parametrize("library", ["pandas", "pandas with NA", "polars", "pyarrow"])
def test_values_that_a_family_allows_to_be_missing_stay(library):
    bits = {
        "site": ["a", "b", "a", None, "b", "a"],
        "x": [True, None, None, True, False, False],
        "y": [1, 0, 1, 0, 1, 0],
    }
    table = {
        "pandas": lambda: pd.DataFrame(bits),
        "pandas with NA": lambda: pd.DataFrame(bits).convert_dtypes(),
        "polars": lambda: pl.DataFrame(bits),
        "pyarrow": lambda: pa.table(bits),
    }[library]()
    estimator = BernoulliMixture(1, random_state=0)
    result = fit_many_groups(table, estimator, by="site")
    assert result.n_samples.tolist() == [3, 2]
    own = pd.DataFrame({"x": [1, np.nan, 0], "y": [1.0, 1, 0]})
    assert_same_fit(result[0], fit_alone(estimator, own, 0))
    part = ProductMixture([(0, Bernoulli()), (1, Gaussian())], random_state=0)
    assert fit_many_groups(table, part, by="site").n_samples.tolist() == [3, 2]
    part = ProductMixture([(1, Bernoulli()), (0, Gaussian())], random_state=0)
    assert fit_many_groups(table, part, by="site").n_samples.tolist() == [3, 2]
    part = ProductMixture([(1, Bernoulli()), (0, Poisson())], random_state=0)
    assert fit_many_groups(table, part, by="site").n_samples.tolist() == [3, 2]
    part = ProductMixture([(1, Bernoulli()), (0, StudentT())], random_state=0)
    assert fit_many_groups(table, part, by="site").n_samples.tolist() == [3, 2]


def test_keys_of_nan_are_missing():
    table = pl.DataFrame({"key": [1.0, 1.0, 1.0, np.nan, np.nan, np.nan], "x": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]})
    for form in (table, table.to_pandas()):
        result = fit_many_groups(form, GaussianMixture(1, random_state=0), by="key")
        assert result.names == [1.0]


def test_keys_of_several_types_are_sorted_by_type_first():
    table = pd.DataFrame({"key": ["b", 1, "a", 1, "a", "b", 10, 10], "x": np.arange(8.0)})
    result = fit_many_groups(table, GaussianMixture(1), by="key")
    assert result.names == [1, 10, "a", "b"]
    np.testing.assert_allclose(result.means.ravel(), [2, 6.5, 3, 2.5])


def test_wrong_columns_of_groups_are_named():
    for wrong in ({"by": "place"}, {"by": "site", "columns": ["z"]}, {"by": []}, {"by": "site", "columns": []}):
        with pytest.raises(ValueError, match=r"(by|columns)=.* (there is no column|should name a column).*site"):
            fit_many_groups(GROUPED, ESTIMATOR, **wrong)
    with pytest.raises(ValueError, match="no row of the table has values in all columns"):
        fit_many_groups(pd.DataFrame({"a": [1, 2], "x": [np.nan, np.nan]}), BayesianGaussianMixture(), by="a")
    for wrong in (np.ones(300), pd.Series(np.ones(300))):
        with pytest.raises(
            ValueError, match=r"sample_weight=\w+ of shape \(300,\) and type float64 should name columns of the table"
        ):
            fit_many_groups(GROUPED, ESTIMATOR, by="site", sample_weight=wrong)
    with pytest.raises(
        ValueError, match=r"by=Series of shape \(300,\) and type \w+ should name columns of the table: there is no"
    ):
        fit_many_groups(GROUPED, ESTIMATOR, by=GROUPED.site)
    with pytest.raises(ValueError, match=r"sample_weight=\['x', 'y'\] should name one column"):
        fit_many_groups(GROUPED, ESTIMATOR, by="site", sample_weight=["x", "y"])


@every_group_table
def test_weights_of_groups_are_a_column_that_is_not_fitted(kind):
    weight = np.random.default_rng(2).integers(0, 3, 300).astype(float)
    table = GROUPED.assign(year=weight)
    table = (
        table if kind.startswith("pandas") else {"polars": pl.from_pandas, "pyarrow": pa.Table.from_pandas}[kind](table)
    )
    result = fit_many_groups(table, ESTIMATOR, by="site", sample_weight="year")
    assert result.feature_names.tolist() == ["x", "y"]
    for i, name in enumerate(result.names):
        own = name == SITES
        assert_same_fit(result[i], fit_alone(ESTIMATOR, GROUPED[own][["x", "y"]], 0, sample_weight=weight[own]))


# ---- names of columns -----------------------------------------------------------------------------------------------

SITE_TABLES = [GROUPED.loc[name == SITES, ["x", "y"]] for name in ("east", "north", "south")]


@pytest.mark.parametrize("as_table", [pd.DataFrame, pl.from_pandas, pa.Table.from_pandas])
def test_tables_give_their_fits_the_names_of_their_columns(as_table):
    tables = [as_table(own.reset_index(drop=True)) for own in SITE_TABLES]
    result = fit_many(tables, ESTIMATOR)
    assert result.feature_names.tolist() == ["x", "y"]
    for own, labels, model in zip(SITE_TABLES, result.predict(tables), result, strict=True):
        assert_same_fit(model, fit_alone(ESTIMATOR, own, 0))
        assert np.array_equal(labels, model.predict(own))
    pair = np.zeros(2, dtype=int)
    pair[1] = len(SITE_TABLES[0])
    assert fit_many((tables[0], pair), ESTIMATOR)[0].feature_names_in_.tolist() == ["x", "y"]


@pytest.mark.parametrize("as_table", [pd.DataFrame, pl.from_pandas, pa.Table.from_pandas])
def test_tables_whose_columns_differ_are_refused(as_table):
    tables = [as_table(own.reset_index(drop=True)) for own in SITE_TABLES]
    swapped = [*tables[:2], as_table(SITE_TABLES[2].reset_index(drop=True)[["y", "x"]])]
    other = as_table(SITE_TABLES[2].reset_index(drop=True).rename(columns={"y": "z"}))
    message = r"problems\[2\] should have the columns of problems\[0\], .* column 0 is 'y', and 'x' is wanted"
    with pytest.raises(ValueError, match=message):
        fit_many(swapped, ESTIMATOR)
    result = fit_many(tables, ESTIMATOR)
    with pytest.raises(ValueError, match=message):
        result.predict(swapped)
    for method in (result.predict, result.score_samples, result.predict_proba):
        with pytest.raises(ValueError, match=r"columns that were fitted, .* 'y' is missing; 'z' is unknown"):
            method([other] * 3)


def test_columns_without_names_or_with_numbers_give_no_names():
    arrays = [own.to_numpy() for own in SITE_TABLES]
    numbered = [own.set_axis([1, 0], axis=1) for own in SITE_TABLES]
    for problems in (arrays, [SITE_TABLES[0], *arrays[1:]], numbered, [own.tolist() for own in arrays]):
        result = fit_many(problems, ESTIMATOR)
        assert result.feature_names is None
        assert not hasattr(result[0], "feature_names_in_")
        assert len(result.predict(SITE_TABLES)) == 3
    with pytest.raises(ValueError, match=r"problems\[1\] should have .* column 0 is 0, and 1 is wanted"):
        fit_many([numbered[0], numbered[1].set_axis([0, 1], axis=1)], ESTIMATOR)
    assert fit_many_columns(GROUPED[["x", "y"]], ESTIMATOR).feature_names is None


def assert_same_product(got, wanted):
    """With its margins; names of columns may be NaN."""
    states = [{name: repr(value) for name, value in attributes(model).items()} for model in (got, wanted)]
    assert states[0] == states[1]
    for one, other in zip(got.components_.values(), wanted.components_.values(), strict=True):
        assert attributes(one).keys() == attributes(other).keys()
        assert all(same_bits(value, attributes(other)[name]) for name, value in attributes(one).items())
    assert same_bits(got.weights_, wanted.weights_)


@pytest.mark.parametrize("names", [["a", "b", "c"], [1, 0, 2], [7, "b", 0], [1.5, np.nan, ("a", 2)]])
def test_parts_name_the_columns_of_a_batch_as_those_of_a_fit(names, tmp_path):
    places = np.random.default_rng(3).normal([0, 100, -50], 1, (80, 3))
    table = pd.DataFrame(places).set_axis(pd.Index(names, dtype=object, tupleize_cols=False), axis=1)
    noted = table.assign(note="text", key=np.arange(80) % 2)
    parts = [(names[1], Gaussian()), (names[0], Bernoulli(binarize=0.0))]
    estimator = ProductMixture(parts, 2, random_state=0)
    alone = clone(estimator).fit(noted)
    offsets = np.array([0, 30, 80])
    calls = {
        "list": fit_many([noted], estimator),
        "pair": fit_many((noted, np.array([0, 80])), estimator),
        "grid": fit_many([noted], estimator, n_components=[2], criterion="heldout", keep="all"),
    }
    for result in calls.values():
        assert_same_product(result[0], alone)
        assert same_bits(result[0].score_samples(noted), alone.score_samples(noted))
        assert same_bits(result.score_samples([noted])[0], alone.score_samples(noted))
        assert same_bits(clone(result.candidates[0]).set_params(random_state=0).fit(noted).weights_, alone.weights_)
        with pytest.raises(ValueError, match=r"problems should .* the order differs"):
            result.predict([noted[[*noted.columns[::-1]]]])
    pieces = fit_many((noted, offsets), estimator)
    assert_same_product(pieces[1], clone(estimator).fit(noted[30:]))
    groups = fit_many_groups(noted, estimator, by="key")
    assert_same_product(groups[1], clone(estimator).fit(noted.drop(columns="key")[1::2]))
    calls["grid"].save(tmp_path / "result")
    calls["grid"][0].save(tmp_path / "model")
    assert same_bits(load(tmp_path / "result")[0].score_samples(noted), alone.score_samples(noted))
    assert same_bits(load(tmp_path / "model").score_samples(noted), alone.score_samples(noted))
    with pytest.raises(ValueError, match=r"problems\[0\]: parts name column"):
        fit_many([noted.drop(columns=[names[1]])], estimator)
    shared = table.set_axis(["a", "a", "b"], axis=1)
    estimator = ProductMixture([("b", Gaussian()), (0, Gaussian())], random_state=0)
    assert same_bits(
        fit_many([shared], estimator)[0].score_samples(shared), estimator.fit(shared).score_samples(shared)
    )


def test_estimators_one_by_one_predict_tables_without_a_warning():
    bits = [(own > 0).astype(float) for own in SITE_TABLES]
    bits[0].iloc[3, 0] = np.nan
    result = fit_many(bits, BernoulliMixture(2, random_state=0))
    for own, labels, model in zip(bits, result.predict(bits), result, strict=True):
        assert model.feature_names_in_.tolist() == ["x", "y"]
        assert np.array_equal(labels, model.predict(own))


def test_names_are_saved_and_are_those_of_all_models(tmp_path):
    result = fit_many_groups(GROUPED, ESTIMATOR, by="site", columns=["x", "y"], n_components=[1, 2], keep="all")
    result.save(tmp_path / "result")
    for got in (result, load(tmp_path / "result")):
        for one in (got, *got.models):
            assert one.names == ["east", "north", "south"]
            assert one.feature_names.tolist() == one[1].feature_names_in_.tolist() == ["x", "y"]


def test_one_table_is_no_list_of_problems():
    result = fit_many(SITE_TABLES, ESTIMATOR)
    for table in (GROUPED, pl.from_pandas(GROUPED), pa.Table.from_pandas(GROUPED), {"a": SITE_TABLES[0]}):
        for call in (lambda table: fit_many(table, ESTIMATOR), result.predict):
            with pytest.raises(ValueError, match=r"a list .* got one .*fit_many_columns.*fit_many_groups"):
                call(table)


def test_a_lazy_table_has_to_be_collected():
    lazy = pl.from_pandas(GROUPED).lazy()
    calls = (
        lambda: fit_many(lazy, ESTIMATOR),
        lambda: fit_many([lazy], ESTIMATOR),
        lambda: fit_many_columns(lazy, ESTIMATOR),
        lambda: fit_many_groups(lazy, ESTIMATOR, by="site"),
        lambda: ESTIMATOR.fit(lazy),
    )
    for call in calls:
        with pytest.raises(TypeError, match=r"LazyFrame has no rows yet: pass its \.collect\(\)"):
            call()


def test_rows_that_no_component_can_have_made_are_warned_of():
    ones, holes = np.ones((20, 2)), np.array([[1.0, np.nan]] * 20)
    for problems, estimator in (
        ([ones, ones], BernoulliMixture(1, alpha=0, binarize=None)),
        ([ones, holes], BernoulliMixture(1, alpha=0, binarize=None)),  # the second by itself
    ):
        result = fit_many(problems, estimator)
        rows = [ones, np.zeros((1, 2))]
        for method in (result.score_samples, result.predict, result.predict_proba):
            with pytest.warns(UserWarning, match="Some rows have density zero"):
                found = method(rows)
        with pytest.warns(UserWarning, match="Some rows have density zero"):
            assert result.score_samples(rows)[1].tolist() == [-np.inf]
        assert found[1].shape == (1, 1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result.score_samples(problems)
            fit_many([np.vstack([ones, np.zeros((1, 2))])], estimator, n_components=[1, 2], criterion="heldout")


# ---- the result as a table ------------------------------------------------------------------------------------------


def test_a_frame_has_a_row_for_each_problem():
    result = fit_many_groups(GROUPED, ESTIMATOR, by="site", columns=["x", "y"])
    frame = result.to_frame()
    assert frame["problem"].tolist() == result.names
    assert frame.n_samples.tolist() == result.n_samples.tolist()
    assert frame.status.tolist() == ["CONVERGED"] * 3
    assert same_bits(frame.lower_bound, result.lower_bound)


def test_a_frame_of_components_has_the_tables_of_the_estimators():
    result = fit_many_groups(GROUPED, ESTIMATOR, by="site", columns=["x", "y"])
    frame = result.to_frame("components")
    assert frame.columns[:4].tolist() == ["problem", "component", "weight", "column"]
    for i, name in enumerate(result.names):
        own = frame[frame["problem"] == name].drop(columns="problem").reset_index(drop=True)
        wanted = result[i].to_frame()
        wanted["weight"] = result[i].weights_[wanted["component"]]
        pd.testing.assert_frame_equal(own, wanted)


@pytest.mark.parametrize(
    "name", [name for name, own in ESTIMATORS.items() if own.has_likelihood and own.X.dtype.kind == "f"]
)
def test_a_frame_of_components_has_the_tables_of_every_estimator(name):
    """Components of all problems at once, and those of families that share parameters one after the other."""
    entry = ESTIMATORS[name]
    result = fit_many([entry.X, entry.X[:40], entry.X[:1], entry.X[10:]], entry.make(random_state=0, max_iter=3))
    frame = result.to_frame("components")
    assert frame["problem"].unique().tolist() == [0, 1, 3]
    for i in (0, 1, 3):
        own = frame[frame["problem"] == i].drop(columns="problem").reset_index(drop=True)
        wanted = result[i].to_frame()
        pd.testing.assert_frame_equal(own, wanted, rtol=1e-15, atol=0)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, lambda columns: np.column_stack(list(columns.values()))])
def test_a_frame_of_components_names_the_column_of_each_problem(make):
    columns = {name: column for name, column in zip("abc", TABLE[:, [0, 1, 0]].T, strict=True)}
    result = fit_many_columns(make(columns), GaussianMixture(random_state=0), n_components=[1, 2])
    frame = pd.DataFrame(result.to_frame("components").to_dict())
    wanted = [result[i].to_frame()["column"] for i in range(3)]
    assert frame["column"].tolist() == [name for own in wanted for name in own]


@pytest.mark.parametrize("problems", [[TABLE[:, :1]], [TABLE[:60, :1], TABLE[10:, :1]]])
def test_frames_have_the_weights_that_noise_leaves(problems):
    result = fit_many(problems, GaussianMixture(2, noise="uniform", random_state=0))
    frame = result.to_frame("components")
    for i, own in frame.groupby("problem"):
        wanted = result[i].to_frame()
        np.testing.assert_array_equal(own["weight"], wanted["weight"])
        np.testing.assert_array_equal(wanted["weight"], result[i].weights_[wanted["component"]])
        assert 0 < wanted["weight"].sum() < 1


def test_a_frame_of_a_grid_says_which_model_was_chosen():
    problems = [TABLE[:, :1], TABLE[:1, :1], TABLE[:40, :1]]
    grid = {"n_components": [1, 2], "covariance_type": ["diag", "full"], "criterion": "aic"}
    result = fit_many(problems, ESTIMATOR, **grid)
    frame = result.to_frame()
    assert frame["problem"].tolist() == [0, 1, 2]
    assert frame.n_components.tolist() == result.n_components.tolist()
    assert frame.covariance_type[0] in grid["covariance_type"]
    assert frame.aic[0] == np.nanmin(result.criteria[0])
    assert frame.status[1] == "TOO_FEW_ROWS"
    assert np.isnan(frame.aic[1])
    tried = result.to_frame("candidates")
    assert tried.columns.tolist() == ["problem", "candidate", "covariance_type", "n_components", "aic", "chosen"]
    for j, candidate in enumerate(result.candidates):
        own = tried[tried["candidate"] == j]
        assert own["n_components"].unique().tolist() == [candidate.n_components]
        assert own["covariance_type"].unique().tolist() == [candidate.covariance_type]
    assert same_bits(tried.aic, result.criteria.ravel())
    assert tried[tried["chosen"]]["candidate"].tolist() == result.chosen.tolist()
    components = result.to_frame("components")
    assert components["problem"].unique().tolist() == [0, 2]
    assert components.groupby("problem")["component"].nunique().tolist() == result.n_components[[0, 2]].tolist()


def test_a_frame_of_other_families_has_their_parameters():
    X = np.random.default_rng(0).gamma(2, size=(50, 3))
    bits = fit_many([(TABLE[:, :2] > 0).astype(float)], BernoulliMixture(2, random_state=0))
    assert same_bits(bits.to_frame("components").probability.to_numpy(), bits.probabilities.ravel())
    gamma = fit_many([X, X[:40]], GammaMixture(random_state=0), n_components=[1, 2]).to_frame("components")
    assert gamma.columns.tolist()[-3:] == ["shape", "scale", "mean"]
    tied = fit_many([X], StudentTMixture(3, covariance_type="tied", random_state=0)).to_frame("components")
    assert tied.columns.tolist()[-3:] == ["location", "scale", "degrees_of_freedom"]
    grid = fit_many([X], GaussianMixture(random_state=0), covariance_type=["diag", "spherical"])
    assert grid.to_frame("components").columns.tolist()[-2:] == ["mean", "sd"]


@pytest.mark.parametrize("kind", ["problems", "components", "candidates"])
def test_frames_are_scalars_that_files_give_back(kind, tmp_path):
    problems = [TABLE[:, :2], TABLE[:1, :2], TABLE[:40, :2]]
    result = fit_many(problems, ESTIMATOR, n_components=[1, 2])
    named = fit_many_groups(GROUPED, ESTIMATOR, by="site", columns=["x", "y"])
    for own in (result, named):
        frame = own.to_frame(kind)
        frame.to_parquet(tmp_path / "frame.parquet")
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "frame.parquet"), frame)
        frame.to_csv(tmp_path / "frame.csv", index=False)
        pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "frame.csv"), frame, check_dtype=False)


def test_names_that_are_tuples_take_a_column_for_each_part():
    table = GROUPED.assign(day=np.arange(len(GROUPED)) % 2)
    result = fit_many_groups(table, ESTIMATOR, by=["site", "day"], columns=["x", "y"])
    frame = result.to_frame("components")
    assert frame.columns[:3].tolist() == ["problem_0", "problem_1", "component"]
    pairs = frame[["problem_0", "problem_1"]].drop_duplicates().itertuples(index=False, name=None)
    assert list(pairs) == [own for own, there in zip(result.names, result.has_parameters, strict=True) if there]


def test_other_kinds_of_frames_and_batches_without_parameters():
    result = fit_many([TABLE[:1, :2]], ESTIMATOR)
    assert len(result.to_frame()) == 1
    assert result.to_frame("components").columns.tolist() == ["problem", "component", "weight"]
    assert len(result.to_frame("components")) == 0
    with pytest.raises(ValueError, match="kind='cells' should be one of 'problems', 'components', 'candidates'"):
        result.to_frame("cells")


def test_a_batch_shows_its_first_problems_in_notebooks():
    rng = np.random.default_rng(0)
    result = fit_many(rng.normal(size=(12, 30, 1)), GaussianMixture(2, random_state=0))
    shown = result._repr_html_()
    assert "12 problems" in shown
    assert "2 more problems" in shown
    assert shown.count("<tr>") == 11


# ---- parts of results, and rows of the table ----

PLACES = pd.DataFrame(
    {
        "place": ["b", "a", None, "a", "b", "c", "a", "b"] * 10,
        "x": np.random.default_rng(0).normal(size=80) + 6 * (np.arange(80) % 2),
        "hours": np.linspace(1, 4, 80),
    }
)
PLACES.loc[[3, 17], "x"] = np.nan
LIBRARIES = {"pandas": lambda own: own, "polars": pl.from_pandas, "pyarrow": pa.Table.from_pandas}


def of_places(table, **options):
    estimator = GaussianMixture(2, random_state=0, canonical_order=True)
    return fit_many_groups(table, estimator, by="place", columns=["x"], **options)


@pytest.mark.parametrize("library", LIBRARIES)
def test_labels_of_rows_are_in_the_order_of_the_table(library, tmp_path):
    table = LIBRARIES[library](PLACES)
    result = of_places(table)
    labels = result.predict_rows(table)
    assert labels.dtype == np.int64
    for i, name in enumerate(result.names):
        own = (PLACES["place"] == name) & PLACES["x"].notna()
        np.testing.assert_array_equal(labels[own], result[i].predict(PLACES.loc[own, ["x"]]))
    assert np.all(labels[PLACES["place"].isna()] == -1)
    assert np.all(labels[PLACES["place"].notna() & PLACES["x"].notna()] >= 0)
    holes = PLACES.assign(hours=PLACES["hours"].where(PLACES["x"].notna()))  # of a family that has no place for them
    waits = fit_many_groups(holes, BayesianGaussianMixture(1), by="place", columns=["hours"]).predict_rows(holes)
    np.testing.assert_array_equal(waits, np.where(holes["place"].notna() & holes["hours"].notna(), 0, -1))
    result.save(tmp_path / "batch")
    again = load(tmp_path / "batch")
    np.testing.assert_array_equal(again.predict_rows(table), labels)
    assert type(again.to_frame()) is type(result.to_frame())


def test_rows_of_groups_that_were_not_fitted_or_have_no_parameters_have_no_labels():
    result = of_places(PLACES)
    other = pd.DataFrame({"x": [0.0, 1.0, 5.0], "place": ["z", "a", "c"], "more": ["?", "?", "?"]})
    labels = result.predict_rows(other)
    assert labels[0] == -1
    assert labels[1] == result["a"].predict(pd.DataFrame({"x": [1.0]}))[0]
    some = result[["c" == name for name in result.names]]
    np.testing.assert_array_equal(some.predict_rows(other), [-1, -1, labels[2]])
    few = pd.concat([PLACES, pd.DataFrame({"place": ["d"], "x": [1.0], "hours": [1.0]})], ignore_index=True)
    assert of_places(few).predict_rows(few)[-1] == -1
    assert np.all(result[:0].predict_rows(other) == -1)
    with pytest.raises(ValueError, match="no column 'place'"):
        result.predict_rows(other[["x"]])
    with pytest.raises(TypeError, match="predict_rows is for batches of fit_many_groups and fit_many_columns"):
        fit_many([np.zeros((5, 1)) + np.arange(5)[:, None]], GaussianMixture(1)).predict_rows(other)


def test_labels_of_rows_by_several_columns_and_with_exposures():
    table = PLACES.assign(count=np.random.default_rng(1).poisson(3 * PLACES["hours"]), year=[2020, 2021] * 40)
    options = {"by": ["place", "year"], "columns": ["count"], "exposure": "hours", "sample_weight": "weight"}
    table["weight"] = 1.0
    result = fit_many_groups(table, PoissonMixture(2, random_state=0), **options)
    labels = result.predict_rows(table.drop(columns="weight"))
    name = ("a", 2021)
    own = (table["place"] == "a") & (table["year"] == 2021)
    expected = result[name].predict(table.loc[own, ["count"]], exposure=table.loc[own, "hours"])
    np.testing.assert_array_equal(labels[own], expected)
    assert np.all(labels[table["place"].isna()] == -1)

    other = table.drop(columns="weight").rename(columns={"hours": "h"})
    np.testing.assert_array_equal(result.predict_rows(other, exposure="h"), labels)
    with pytest.raises(ValueError, match="exposure='u' should name columns of the table"):
        result.predict_rows(other, exposure="u")
    with pytest.raises(TypeError, match=r"'hours'.*may have beside their values is exposure"):
        result.predict_rows(other, hours="h")


def test_labels_of_columns_with_exposures():
    rng = np.random.default_rng(2)
    exposure = rng.uniform(0.1, 9, 60)
    kind = rng.integers(2, size=(60, 2))
    table = pd.DataFrame(rng.poisson((1 + 9 * kind) * exposure[:, np.newaxis]).astype(float), columns=["u", "v"])
    table.loc[5, "v"] = np.nan
    result = fit_many_columns(table, PoissonMixture(2, random_state=0), exposure=exposure)
    labels = result.predict_rows(table, exposure=exposure)
    expected = result["v"].predict(table[["v"]].dropna(), exposure=exposure[np.arange(60) != 5])
    np.testing.assert_array_equal(np.delete(labels[:, 1], 5), expected)
    assert labels[5, 1] == -1
    with pytest.raises(ValueError, match="exposure should have a value for each of 60 rows"):
        result.predict_rows(table, exposure=exposure[1:])


def test_labels_of_columns_are_a_column_each():
    table = pd.DataFrame({"u": [0.0, 5.0, np.nan, 0.1, 5.1], "v": [1.0, np.nan, 2.0, 8.0, 8.1]})
    result = fit_many_columns(table, GaussianMixture(2, random_state=0))
    labels = result.predict_rows(table)
    assert labels.shape == (5, 2)
    np.testing.assert_array_equal(labels == -1, table.isna())
    np.testing.assert_array_equal(labels[table["u"].notna(), 0], result["u"].predict(table[["u"]].dropna()))


@pytest.mark.parametrize("estimator", [GaussianMixture(2, random_state=0), DirichletProcessMixture(random_state=0)])
def test_problems_by_names_slices_and_masks(estimator):
    result = fit_many_groups(PLACES, estimator, by="place", columns=["x"], keep="all")
    assert result.names == ["a", "b", "c"]
    same_bits(result["b"].means_, result[1].means_)
    for which, expected in (
        (slice(1, None), [1, 2]), (slice(None, None, -1), [2, 1, 0]), ([2, 0], [2, 0]),
        (np.array([True, False, True]), [0, 2]), ([-1], [2]), ([], []), (result.n_samples > 1000, []),
    ):  # fmt: skip
        some = result[which]
        assert len(some) == len(expected)
        assert some.names == [result.names[place] for place in expected]
        for name in ("weights", "lower_bound", "n_iter", "status", "n_samples", "seeds", "chosen", "criteria"):
            np.testing.assert_array_equal(getattr(some, name), getattr(result, name)[expected])
        for mine, place in zip(some, expected, strict=True):
            same_bits(mine.means_, result[place].means_)
        assert [len(model) for model in some.models] == [len(expected)]
        assert len(some.to_frame()) == len(expected)
        repr(some), some._repr_html_()
        with pytest.raises(ValueError, match="read-only"):
            some.status[...] = 0
    same_bits(result[[2, 0]]["a"].means_, result["a"].means_)


@pytest.mark.parametrize(
    "names", [[0.5, 1.5, 2.0], [2, 0, 7], [False, True], [("a", 1), ("b", 1), ("b", 2)], ["a", "b", "c"]], ids=str
)
def test_problems_are_found_by_names_of_every_type(names, tmp_path):
    keys = {
        f"key {j}": [own[j] if isinstance(own, tuple) else own for own in names] for j in range(np.ndim(names[0]) + 1)
    }
    table = pd.DataFrame(keys).loc[np.repeat(range(len(names)), 30)]
    by = list(keys) if len(keys) > 1 else "key 0"
    table["x"] = np.random.default_rng(0).normal(size=len(table))
    result = fit_many_groups(table, GaussianMixture(), by=by, columns=["x"])
    result.save(tmp_path / "batch")
    for own in (result, load(tmp_path / "batch"), result[::-1]):
        for name in names:
            rows = table.loc[
                (table[list(keys)] == (list(name) if isinstance(name, tuple) else [name])).all(axis=1), ["x"]
            ]
            np.testing.assert_allclose(own.by_name(name).means_, [rows.mean()])
    with pytest.raises(KeyError, match="there is no problem 'elsewhere'"):
        result.by_name("elsewhere")
    result.names = None
    with pytest.raises(TypeError, match="problems have no names"):
        result.by_name(names[0])


def test_numbers_that_are_names_are_no_places():
    table = pd.DataFrame({"dose": np.repeat([0.5, 1.5], 30), "x": np.arange(60.0)})
    result = fit_many_groups(table, GaussianMixture(), by="dose")
    with pytest.raises(TypeError, match=r"got 0\.5\. Problems are called so: take by_name\(0\.5\)"):
        result[0.5]
    with pytest.raises(TypeError, match=r"got 2\.5$"):
        result[2.5]


@pytest.mark.parametrize(
    "estimator", [GaussianMixture(2, random_state=0), GaussianMixture(2, noise="uniform", random_state=0)]
)
def test_names_are_checked_where_they_are_assigned(estimator, tmp_path):
    result = fit_many_groups(PLACES, estimator, by="place", columns=["x"], keep="all")
    for wrong, error in ((["a", "b"], "names should be 3, .* got 2"), ("abc", "should be a list"), (5, "got 5")):
        with pytest.raises((TypeError, ValueError), match=error):
            result.names = wrong
    assert result.names == ["a", "b", "c"]
    labels = result.predict_rows(PLACES)
    mine = ["x", "y", "z"]
    for names in (mine, tuple(mine), np.array(mine), pd.Index(mine), (name for name in mine)):
        result.names = names
        assert result.names == mine
        assert [own.names for own in result.models] == [mine]
        assert result.to_frame()["problem"].tolist() == ["x", "y", "z"]
        np.testing.assert_array_equal(result.predict_rows(PLACES), labels)  # rows are of the groups of the fit
        np.testing.assert_array_equal(result[::-1].predict_rows(PLACES), labels)
    mine[0] = "another"
    assert result.names == ["x", "y", "z"]
    result.save(tmp_path / "batch")
    again = load(tmp_path / "batch")
    assert again.names == ["x", "y", "z"]
    with pytest.raises(TypeError, match="predict_rows is for batches of fit_many_groups"):
        again.predict_rows(PLACES)
    result.names = None
    np.testing.assert_array_equal(result.predict_rows(PLACES), labels)


def test_problems_that_are_not_there_are_said_to_be_so():
    result = of_places(PLACES)
    with pytest.raises(KeyError, match="there is no problem 'z'"):
        result["z"]
    for wrong in (3, [0, 3], [-4]):
        with pytest.raises(IndexError, match="of 3"):
            result[wrong]
    with pytest.raises(IndexError, match="a mask of 3 problems"):
        result[[True, False]]
    for wrong in ([0.5], np.zeros((1, 2), dtype=int), True, None, 1.0):
        with pytest.raises(TypeError, match=r"a slice, a mask or a list of integers"):
            result[wrong]
    result.names = ["a", "a", "b"]
    with pytest.raises(KeyError, match="2 problems are called 'a'"):
        result["a"]
    result.names = None
    with pytest.raises(TypeError, match="a problem is an integer"):
        result["a"]


@pytest.mark.parametrize("kind", ["problems", "components", "candidates"])
@pytest.mark.parametrize("library", LIBRARIES)
def test_frames_are_of_the_library_of_the_table_and_files_give_them_back(library, kind, tmp_path):
    import pyarrow.parquet

    result = of_places(LIBRARIES[library](PLACES), n_components=[1, 2])
    frame = result.to_frame(kind)
    assert type(frame).__module__.partition(".")[0] == library
    plain = frame if library == "pandas" else frame.to_pandas()
    pd.testing.assert_frame_equal(plain, of_places(PLACES, n_components=[1, 2]).to_frame(kind), check_dtype=False)
    file = tmp_path / "table.parquet"
    if library == "pandas":
        frame.to_parquet(file)
        pd.testing.assert_frame_equal(pd.read_parquet(file), frame)
    elif library == "polars":
        frame.write_parquet(file)
        assert pl.read_parquet(file).equals(frame)
    else:
        pyarrow.parquet.write_table(frame, file)
        assert pyarrow.parquet.read_table(file).equals(frame)
    plain.to_csv(tmp_path / "table.csv", index=False)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "table.csv"), plain, check_dtype=False, rtol=1e-12)
