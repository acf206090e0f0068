"""Formulas: what their terms make of tables of pandas, polars and pyarrow, the same of later ones; errors that say what
to do."""

import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mixfast import MixtureOfExperts
from mixfast.formula import learn_formula

TABLE = pd.DataFrame(
    {
        "y": [1.0, 2.0, 4.0, 3.0],
        "x": [1.0, 2.0, 3.0, 5.0],
        "kind": ["a", "b", "a", "c"],
        "won": [1, 2, 3, 4],
        "lost": [4, 3, 2, 1],
        "hours": [1, 2, 2, 4],
        "id": ["p", "p", "q", "q"],
    }
)


@pytest.mark.parametrize(
    "form", [pd.DataFrame, pl.from_pandas, pa.Table.from_pandas], ids=["pandas", "polars", "arrow"]
)
def test_matrices_of_every_table(form):
    learned, X, y, gate = learn_formula(
        "y ~ x + I(x**2) + kind", form(TABLE), "~ log(hours)", columns={"exposure": "hours", "groups": "id"}
    )
    assert list(X.columns) == list(learned.names) == ["x", "I(x ** 2)", "kind[T.b]", "kind[T.c]"]
    np.testing.assert_array_equal(X["I(x ** 2)"], TABLE.x**2)
    np.testing.assert_array_equal(X["kind[T.c]"], [0, 0, 0, 1])
    np.testing.assert_array_equal(y, TABLE.y)
    np.testing.assert_allclose(gate["log(hours)"], np.log(TABLE.hours))
    assert learned.has_intercept
    row_data = learned.row_data(form(TABLE), learned.columns)
    assert list(row_data) == ["exposure", "groups"]
    assert row_data["exposure"].dtype == np.float64
    assert list(row_data["groups"]) == list(TABLE.id)


OF_WORDS = {
    "objects": lambda column: column.astype(object),
    "strings": lambda column: column.astype("string"),
    "strings of arrow": lambda column: column.astype(pd.ArrowDtype(pa.string())),
    "a dictionary of arrow": lambda column: column.astype(pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))),
    "categories": lambda column: column.astype("category"),
    "categories of strings": lambda column: column.astype("string").astype("category"),
}


@pytest.mark.parametrize("form", OF_WORDS)
def test_strings_of_every_type_are_categories(form):
    learned, X, _, _ = learn_formula("y ~ x + kind", TABLE)
    other = TABLE.assign(kind=OF_WORDS[form](TABLE.kind))
    np.testing.assert_array_equal(learn_formula("y ~ x + kind", other)[1], X)
    np.testing.assert_array_equal(learned.design(other), X)
    np.testing.assert_array_equal(learn_formula("kind ~ x", other)[2], TABLE.kind)
    missing = TABLE.assign(kind=OF_WORDS[form](TABLE.kind.where(TABLE.kind != "c")))
    with pytest.raises(ValueError, match=r"missing values: `kind`.*\.dropna"):
        learn_formula("y ~ x + kind", missing)


def test_tables_of_polars_need_no_pyarrow():
    script = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "import polars as pl\n"
        "from mixfast.formula import learn_formula\n"
        "kinds = pl.Series(['b', 'a', 'b', 'c'])\n"
        "table = pl.DataFrame({'y': [1, 2, None, 4], 'x': [1.0, 2.0, 3.0, 5.0], 'id': list('ppqq')})\n"
        "of = {'string': pl.String, 'categorical': pl.Categorical, 'enum': pl.Enum(['b', 'c', 'a'])}\n"
        "for dtype in of.values():\n"
        "    learned, X, y, _ = learn_formula('x ~ x + kind', table.with_columns(kind=kinds.cast(dtype)))\n"
        "    print(*learned.names, *X.sum())\n"
        "try:\n    learn_formula('y ~ x', table)\n"
        "except ValueError as error:\n    print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == [
        "x kind[T.b] kind[T.c] 11.0 2.0 1.0",
        "x kind[T.b] kind[T.c] 11.0 2.0 1.0",
        "x kind[T.c] kind[T.a] 11.0 1.0 1.0",
        "rows of the table have missing values: `y` contains null values after evaluation. Leave them out, as "
        ".dropna() does",
    ]


def test_later_tables_have_the_same_columns():
    learned, X, _, _ = learn_formula("y ~ center(x) + kind", TABLE)
    later = TABLE.iloc[[2]]
    np.testing.assert_array_equal(learned.design(later), X.iloc[[2]])
    np.testing.assert_array_equal(learned.design(pl.from_pandas(later)), X.iloc[[2]])
    np.testing.assert_array_equal(learned.responses(later), [4.0])


def test_no_intercept_and_no_terms():
    learned, X, _, gate = learn_formula("y ~ 0 + x", TABLE)
    assert not learned.has_intercept
    assert list(X.columns) == ["x"]
    assert gate is None
    learned, X, _, gate = learn_formula("y ~ 1", TABLE, gate="~ 1")
    assert X.shape == (4, 0)
    assert gate is None


def test_shared_columns_come_last():
    learned, X, _, _ = learn_formula("y ~ x", TABLE, shared="~ kind")
    assert list(X.columns) == ["x", "kind[T.b]", "kind[T.c]"]
    assert learned.n_shared == 2
    np.testing.assert_array_equal(learned.design(TABLE), X)


def test_several_columns_and_categories_on_the_left():
    np.testing.assert_array_equal(learn_formula("won + lost ~ x", TABLE)[2], TABLE[["won", "lost"]])
    np.testing.assert_array_equal(learn_formula("kind ~ x", TABLE)[2], TABLE["kind"])


@pytest.mark.parametrize(
    ("formula", "options", "message"),
    [
        ("y ~ nothere", {}, "'nothere', which is no column of the table: there are 'y', 'x'"),
        ("y ~ log(Kind)", {}, "the formula has 'Kind', .* did you mean 'kind'"),
        ("y ~ log(kind)", {}, "cannot be evaluated: .*kind"),
        ("y | won ~ x", {}, r"formula='y \| won ~ x' has parts divided by '\|', .*'y \+ z ~ x' with expert=\["),
        ("y ~ x | won", {}, r"formula='y ~ x \| won' has parts divided by '\|'"),
        ("y ~ x", {"gate": "~ x | won"}, r"gate='~ x \| won' has parts divided by '\|', and should be one side"),
        ("y ~ x +", {}, r"'y ~ x \+' cannot be read"),
        ("~ x", {}, "should have two sides"),
        ("y ~ x", {"gate": "y ~ x"}, "gate='y ~ x' should have one side"),
        ("y ~ x", {"gate": "~ x - 1"}, "gate='~ x - 1' has no intercept"),
        ("y ~ x", {"shared": "~ x"}, "'x' is a term of formula='y ~ x' and of fixed='~ x'"),
        ("y ~ x", {"columns": {"exposure": "days"}}, "there is no column 'days'"),
    ],
)
def test_what_is_wrong_is_said(formula, options, message):
    with pytest.raises(ValueError, match=message):
        learn_formula(formula, TABLE, **options)


@pytest.mark.parametrize("formula", [["y ~ x", "won ~ x"], 3, None, {"y": "x"}, TABLE])
def test_what_is_no_formula_is_said(formula):
    with pytest.raises(TypeError, match=r"formula=.* should be a string, one formula .*columns=\[") as caught:
        learn_formula(formula, TABLE)
    assert len(str(caught.value)) <= 600
    with pytest.raises(TypeError, match=r"gate=3 should be a string, one side, as in '~ x'"):
        learn_formula("y ~ x", TABLE, gate=3)


def test_a_table_in_the_place_of_the_formula_is_said():
    with pytest.raises(TypeError, match=r"may be swapped: from_formula\(formula, data\)"):
        learn_formula(TABLE, "y ~ x")


def test_missing_values_are_said():
    with pytest.raises(ValueError, match=r"missing values: `x` contains null values.*dropna"):
        learn_formula("y ~ x", TABLE.assign(x=[1, np.nan, 2, 3]))


def test_categories_that_were_not_learned_are_said():
    learned, *_ = learn_formula("y ~ kind", TABLE)
    with pytest.raises(ValueError, match=r"without the categories \{'z'\} of column 'kind'"):
        learned.design(TABLE.assign(kind="z"))


def test_what_is_no_table_is_said():
    with pytest.raises(TypeError, match="is no table"):
        learn_formula("y ~ x", {"x": [1], "y": [2]})


def test_formulaic_is_optional():
    script = (
        "import sys; sys.modules['formulaic'] = None\n"
        "import pandas as pd\n"
        "from mixfast.formula import learn_formula\n"
        "try:\n    learn_formula('y ~ x', pd.DataFrame({'y': [1], 'x': [2]}))\n"
        "except ImportError as error:\n    print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "install mixfast[formula]" in said


@pytest.mark.parametrize("method", ["predict", "predict_proba", "score_samples", "sample", "score", "bic"])
@pytest.mark.parametrize("formula", ["y ~ x", "y ~ x + g"])
def test_tables_without_rows_are_said_to_be_empty(formula, method):
    pandas, rng = pytest.importorskip("pandas"), np.random.default_rng(0)
    table = pandas.DataFrame({"x": rng.normal(size=60), "g": np.where(np.arange(60) % 2, "a", "b")})
    table["y"] = table["x"] + rng.normal(size=60)
    model = MixtureOfExperts.from_formula(formula, table, n_components=2, random_state=0)
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        getattr(model, method)(table.head(0))
