"""Tables: a mixture for each column or each group, missing values left out."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from batches import DTYPES, assert_same_fit, assert_same_results, fit_alone, groups, same_bits

from mixfast import BernoulliMixture, GaussianMixture, Status, fit_many, fit_many_columns, fit_many_groups

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
        assert_same_fit(result[i], fit_alone(ESTIMATOR, TABLE[~np.isnan(TABLE[:, i])][:, [i]], 0))
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
    with pytest.raises(ValueError, match="column 'species' is not numeric"):
        fit_many_columns(table, ESTIMATOR)
    with pytest.raises(ValueError, match="column 'species' is not numeric"):
        fit_many_groups(table, ESTIMATOR, by="height")


def test_columns_take_the_options_of_a_batch():
    result = fit_many_columns(TABLE, GaussianMixture(), n_components=[1, 2], seeds=[1, 2, 3, 4], keep="all")
    assert result.seeds.tolist() == [1, 2, 3, 4]
    assert len(result.models) == 2
    with pytest.raises(TypeError, match="fit_many_columns has no parameter 'sample_weight': take fit_many"):
        fit_many_columns(TABLE, ESTIMATOR, sample_weight=np.ones(80))


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
        assert_same_fit(result[i], fit_alone(ESTIMATOR, X[name == SITES], 0))


@every_group_table
def test_several_keys_make_tuples_and_all_other_columns_are_fitted(kind):
    result = fit_many_groups(GROUP_TABLES[kind](), ESTIMATOR, by=["site", "year"])
    assert result.names == [(site, year) for site in ("east", "north", "south") for year in (2019, 2020)]
    for i, (site, year) in enumerate(result.names):
        assert_same_fit(result[i], fit_alone(ESTIMATOR, X[(site == SITES) & (year == YEARS)], 0))


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_rows_with_missing_values_are_left_out(library):
    site = [None, *SITES[1:]]
    x = [*X[:-2, 0], np.nan, X[-1, 0]]
    y = [*X[:-1, 1], None]
    columns = {"site": site, "x": x, "y": y}
    table = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}[library](columns)
    result = fit_many_groups(table, ESTIMATOR, by="site")
    assert result.names == ["east", "north", "south"]
    assert result.n_samples.sum() == 297
    kept = np.arange(1, 298)
    for i, name in enumerate(result.names):
        assert_same_fit(result[i], fit_alone(ESTIMATOR, X[kept][name == SITES[kept]], 0))


def test_keys_of_nan_are_missing():
    table = pl.DataFrame({"key": [1.0, 1.0, 1.0, np.nan, np.nan, np.nan], "x": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]})
    for form in (table, table.to_pandas()):
        result = fit_many_groups(form, GaussianMixture(1, random_state=0), by="key")
        assert result.names == [1.0]


def test_keys_that_cannot_be_sorted_say_so():
    table = pd.DataFrame({"key": ["a", 1, "a", 1], "x": [1.0, 2.0, 3.0, 4.0]})
    with pytest.raises((TypeError, ValueError), match="not supported between"):
        fit_many_groups(table, GaussianMixture(1), by="key")


def test_wrong_columns_of_groups_are_named():
    for wrong in ({"by": "place"}, {"by": "site", "columns": ["z"]}, {"by": []}, {"by": "site", "columns": []}):
        with pytest.raises(ValueError, match=r"by=.* and columns=.* should name columns .*site"):
            fit_many_groups(GROUPED, ESTIMATOR, **wrong)
    with pytest.raises(ValueError, match="no row of the table has values in all columns"):
        fit_many_groups(pd.DataFrame({"a": [1, 2], "x": [np.nan, np.nan]}), ESTIMATOR, by="a")
    with pytest.raises(TypeError, match="fit_many_groups has no parameter 'sample_weight': take fit_many"):
        fit_many_groups(GROUPED, ESTIMATOR, by="site", sample_weight=np.ones(300))


# ---- the result as a table ------------------------------------------------------------------------------------------


def test_a_frame_has_a_row_for_each_problem():
    result = fit_many_groups(GROUPED, ESTIMATOR, by="site", columns=["x", "y"])
    frame = result.to_frame()
    assert frame.index.tolist() == result.names
    assert frame.n_samples.tolist() == result.n_samples.tolist()
    assert frame.status.tolist() == ["CONVERGED"] * 3
    assert same_bits(np.stack(frame.weights), result.weights)
    assert same_bits(np.stack(frame.means), result.means)
    assert same_bits(frame.lower_bound, result.lower_bound)


def test_a_frame_of_a_grid_says_which_model_was_chosen():
    problems = [TABLE[:, :1], TABLE[:1, :1], TABLE[:40, :1]]
    grid = {"n_components": [1, 2], "covariance_type": ["diag", "full"], "criterion": "aic"}
    result = fit_many(problems, ESTIMATOR, **grid)
    frame = result.to_frame()
    assert frame.index.tolist() == [0, 1, 2]
    assert frame.n_components.tolist() == result.n_components.tolist()
    assert frame.covariance_type[0] in grid["covariance_type"]
    assert frame.aic[0] == np.nanmin(result.criteria[0])
    assert frame.status[1] == "TOO_FEW_ROWS"
    assert np.isnan(frame.aic[1])


def test_a_frame_of_another_family_has_its_parameters():
    result = fit_many([(TABLE[:, :2] > 0).astype(float)], BernoulliMixture(2, random_state=0))
    assert same_bits(np.stack(result.to_frame().probabilities), result.probabilities)
