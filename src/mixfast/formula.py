"""Formulas such as `"y ~ x + I(x**2)"`: the design matrices that they make of a table, by formulaic, an optional
dependency.

A formula learns from the table of the fit: the categories of columns, the knots of splines. Later tables are evaluated
with these. Files hold the text of a formula and what it learned. Since evaluating text from a file must not run
arbitrary code, only functions and operators on a list are allowed there (`check_harmless`).
"""

from __future__ import annotations

import ast
import re
import threading
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np

from mixfast.in_messages import among, in_short, listed, one_name
from mixfast.tables import Table, as_values, check_no_dates

INTERCEPT = "Intercept"

#: Functions that a formula in a file may call: formulaic's transforms, and NumPy's functions of numbers.
FUNCTIONS = frozenset((
    "log", "log10", "log2", "exp", "exp10", "exp2", "bs", "cc", "cr", "cs", "center", "standardize", "scale", "poly",
    "lag", "C", "I", "Q", "Treatment", "Sum", "Poly", "Helmert",
))  # fmt: skip
OF_MODULES = {
    "np": frozenset((
        "abs", "absolute", "arctan", "cbrt", "ceil", "cos", "exp", "exp2", "expm1", "floor", "fmax", "fmin", "log",
        "log10", "log1p", "log2", "maximum", "minimum", "power", "reciprocal", "rint", "round", "sign", "sin", "sqrt",
        "square", "tan", "tanh",
    )),
    "contr": frozenset(("custom", "diff", "helmert", "poly", "SAS", "sum", "treatment")),
}  # fmt: skip
#: Nodes of Python's syntax tree that are allowed in a formula in a file.
OF_NUMBERS = (
    ast.Expression, ast.Load, ast.Name, ast.keyword, ast.List, ast.Tuple, ast.Constant, ast.Compare, ast.UnaryOp,
    ast.unaryop, ast.operator, ast.cmpop,
)  # fmt: skip


def _formulaic():
    try:
        import formulaic
    except ImportError:
        raise ImportError("formulas need formulaic: install mixfast[formula], or pass arrays to fit") from None
    return formulaic


def _as_pandas(data):
    """Any table as a pandas.DataFrame, so that what was learned from a table of one library serves those of others.
    Columns of strings are of objects, which formulaic takes for categories, whatever type pandas has for them."""
    import narwhals as nw
    import pandas as pd

    Table(data)  # says what is wrong with what is no table
    table = nw.from_native(data, eager_only=True)
    if table.implementation.is_polars():  # its own conversion needs pyarrow
        table = pd.DataFrame({own.name: _polars_column(own) for own in table.iter_columns()}, index=range(len(table)))
    else:
        table = table.to_pandas()
    return table.astype({name: object for name, dtype in table.dtypes.items() if _holds_words(dtype)})


def _polars_column(column):
    import narwhals as nw
    import pandas as pd

    if isinstance(column.dtype, nw.Enum):
        return pd.Categorical(column.to_list(), categories=column.dtype.categories)
    return column.to_numpy()  # strings of categoricals, which polars orders by their letters


def _holds_words(dtype):
    """Whether columns of this type of pandas hold strings, and not as objects or categories."""
    from pandas.api import types

    is_plain = isinstance(dtype, np.dtype | types.CategoricalDtype)
    return not is_plain and dtype.kind in "OUS" and not types.is_numeric_dtype(dtype)


#: What the formula of each argument may be, in messages.
OF_FORMULAS = {
    "formula": "one formula such as 'y ~ x'. Several responses are 'y + z ~ x' with expert=[...], whose predictors "
    "differ by columns=[...], and the columns of a gate are gate='~ x'",
    "gate": "one side, as in '~ x'",
    "fixed": "one side, as in '~ x'",
}


def _parsed(name, text):
    """The formula of the argument of that name."""
    formulaic = _formulaic()
    if not isinstance(text, str):
        raise TypeError(f"{name}={in_short(text)} should be a string, {OF_FORMULAS[name]}")
    try:
        parsed = formulaic.Formula(text)
    except formulaic.errors.FormulaParsingError as error:
        reason = str(error).partition("\n")[0]  # what follows repeats the formula, in colours
        if reason.startswith("The `.` operator"):
            reason = "'.' stands for no columns here: name them, as in 'y ~ x + z'"
        raise ValueError(f"{name}={in_short(text)} cannot be read: {reason}") from None
    sides = () if isinstance(parsed, formulaic.SimpleFormula) else ("lhs", "rhs", "root")
    if any(isinstance(getattr(parsed, side, None), tuple) for side in sides):
        raise ValueError(f"{name}={in_short(text)} has parts divided by '|', and should be {OF_FORMULAS[name]}")
    return parsed


#: Filters of warnings are those of the process: of threads that change and restore them, one would leave another's.
_FILTERS = threading.Lock()


def _matrix(build, data):
    """The result of `build(data, ...)`, a function of formulaic. Raises ValueError if a term cannot be evaluated, or a
    category is new."""
    formulaic = _formulaic()
    with _FILTERS, warnings.catch_warnings():
        # a category that was not learned would be counted as none of them
        warnings.simplefilter("error", formulaic.errors.DataMismatchWarning)
        try:
            return build(data, output="numpy", na_action="raise")
        except formulaic.errors.DataMismatchWarning as error:
            unknown = re.search(r"\{.*\}", str(error))
            what = unknown.group() if unknown else str(error)
            whose = [own for own in data.columns if _has_one_of(data[own], what)]
            of_columns = f" of column {listed(whose)}" if whose else ""
            raise ValueError(
                f"the formula was learned without the categories {what}{of_columns}: leave these rows out"
            ) from None
        except formulaic.errors.FormulaicError as error:
            unknown = re.search(r"`(\w+)` is not present|name '(\w+)' is not defined", str(error))
            name = unknown and (unknown.group(1) or unknown.group(2))
            if "extend beyond upper and/or lower bounds" in str(error):
                term = re.search(r"factor `(.*?)`\.", str(error))
                raise ValueError(
                    f"the table has values outside the knots of {term.group(1) if term else 'a spline'}, those of the "
                    "table of the fit: leave these rows out, or fit with extrapolation='extend', 'clip' or 'zero' in "
                    "that term"
                ) from None
            if name is None or name in data.columns:
                raise ValueError(f"the formula cannot be evaluated: {error}") from None
            if name == "offset":
                raise ValueError(
                    "offset(...) is a term of the right side of formula alone: leave it out of gate, fixed and products"
                ) from None
            if f"{name}(" in str(error):
                raise ValueError(
                    f"the formula calls {name}, and functions of your own are not looked up: compute such a column in "
                    "the table, or take functions of NumPy and formulaic, such as log(x) and np.sqrt(x)"
                ) from None
            raise ValueError(
                f"the formula has {one_name(name)}, which is no column of the table: {among(name, data.columns)}"
            ) from None
        except TypeError:
            check_no_dates(data)  # which formulaic takes for numbers, whichever term they are in
            raise
        except ValueError as error:
            if "null values" not in str(error):
                raise
            reason = str(error).rpartition(": ")[2]
            raise ValueError(
                f"rows of the table have missing values: {reason} Leave them out, as .dropna() does"
            ) from None


def _has_one_of(column, categories):
    """Whether a column that holds no numbers has one of the categories that a text names."""
    return column.dtype.kind not in "biuf" and any(repr(value) in categories for value in column.unique().tolist())


def _values(matrix):
    """A model matrix of formulaic as a float64 array (n_rows, n_columns)."""
    values = np.asarray(matrix, dtype=np.float64)
    n_columns = int(np.prod(values.shape[1:]))  # of tables without rows too, of which -1 would not tell
    return values.reshape(len(values), n_columns)


def _names(matrix):
    """Names of the columns of a model matrix, without the intercept."""
    return tuple(name for name in matrix.model_spec.column_names if name != INTERCEPT)


def _without_intercept(matrix):
    return _values(matrix)[:, [name != INTERCEPT for name in matrix.model_spec.column_names]]


# ---- what files keep ------------------------------------------------------------------------------------------------


def check_harmless(formula):
    """Raises ValueError if a term of one side of a formula may do more than compute with columns of the table."""
    for term in formula:
        for factor in term.factors:
            if factor.eval_method.value == "python":
                _check_expression(factor.expr)


def _check_expression(text):
    for node in ast.walk(ast.parse(text, mode="eval")):
        if isinstance(node, ast.Call):
            is_fine = _called(node.func)
        elif isinstance(node, ast.Attribute):
            is_fine = _called(node)
        elif isinstance(node, ast.BinOp):  # of columns and numbers: "a" * 10**9 and 10**10**10 take all memory
            is_fine = not any(
                isinstance(side, ast.List | ast.Tuple) or isinstance(getattr(side, "value", None), str)
                for side in (node.left, node.right)
            ) and not (isinstance(node.op, ast.Pow | ast.LShift) and _has_no_names(node))
        else:
            is_fine = isinstance(node, OF_NUMBERS)
        if not is_fine:
            raise ValueError(
                f"the term {text!r} has {ast.unparse(node)!r}, and a formula in a file is of columns, numbers, "
                f"operators and the functions {', '.join(sorted(FUNCTIONS))} and np.abs, np.sqrt and the like"
            )


def _called(node):
    """Whether a node of a syntax tree is the name of a function that a formula in a file may call."""
    if isinstance(node, ast.Attribute):
        return isinstance(node.value, ast.Name) and node.attr in OF_MODULES.get(node.value.id, ())
    return isinstance(node, ast.Name) and node.id in FUNCTIONS


def _has_no_names(node):
    return not any(isinstance(own, ast.Name) for own in ast.walk(node))


def _learned_by(spec):
    """What one side of a formula learned from its table, as plain values for a file: [text of each stateful transform
    -> its state, text of each factor -> its kind and categories]."""
    encoders = {
        factor: [kind.value, list(state["categories"]) if "categories" in state else None]
        for factor, (kind, state) in spec.encoder_state.items()
    }
    return [dict(spec.transform_state), encoders]


def _with_learned(formula, learned, side):
    """The inverse of `_learned_by`: the ModelSpec of one side."""
    formulaic = _formulaic()
    from formulaic.parser.types import Factor

    transforms, encoders = learned
    return formulaic.ModelSpec(
        formula=formula,
        materializer="pandas",
        ensure_full_rank=side != "response",
        transform_state=dict(transforms),
        encoder_state={
            factor: (Factor.Kind(kind), {} if categories is None else {"categories": list(categories)})
            for factor, (kind, categories) in encoders.items()
        },
    )


class Asked(NamedTuple):
    """Formulas that nothing has been learned of: the arguments of `learn_formula`."""

    formula: str
    gate: str | None
    fixed: str | None

    def learned_of(self, table, y, given, columns):
        """(`Formula`, X, what else `fit` takes by name, y first), of a table, with the names of columns for some of
        these.

        What is given is taken as it is. A y is the column that the left side names; raises ValueError where that is
        several, or a function of columns.
        """
        if y is not None:
            table = self._with_response(_as_pandas(table), y)
        learned, X, y, gate_X = learn_formula(self.formula, table, self.gate, self.fixed, columns)
        beside = {"y": y} | learned.row_data(table, columns) | ({} if gate_X is None else {"gate_X": gate_X})
        beside |= {} if (offset := learned.offsets(table, columns)) is None else {"offset": offset}
        return learned, X, beside | given

    def _with_response(self, data, y):
        """The table with y in the column of the left side."""
        response = sides_of({"formula": self.formula})["response"]
        factors = [factor for term in response for factor in term.factors]
        if len(factors) != 1 or factors[0].eval_method.value != "lookup":
            raise ValueError(
                f"y was given, and the left side of formula={self.formula!r} is not the name of one column that it "
                "could be: leave y out, and have what the left side is made of in the table"
            )
        values = getattr(y, "array", None)  # of pandas, whose categories have an order
        values = np.asarray(y) if values is None else values
        values = values.ravel() if np.ndim(values) == 2 and np.shape(values)[1] == 1 else values
        if np.shape(values) != (len(data),):
            raise ValueError(
                f"y should have the shape of {(len(data),)}, got {np.shape(y)}: the table has so many rows"
            )
        return data.assign(**{factors[0].expr: values})


@dataclass(frozen=True)
class Formula:
    """The formulas of a fit and what they learned from its table.

    Attributes
    ----------
    texts : mapping of str to str
        "formula", and "gate" and "fixed" where there are such.
    learned : mapping of str to list
        What each side, "response", "terms", "gate", "fixed" and "offset", learned from the table; see `_learned_by`.
    names : tuple of str
        Names of the columns of X without the intercept; those of "fixed", whose coefficients are shared, come last.
    n_shared : int
        Number of columns of "fixed".
    gate_names : tuple of str
        Names of the columns of the gate without the intercept; empty if there is no gate.
    has_intercept : bool
    columns : mapping of str to str
        Name of row data, such as "exposure" -> name of its column in the table.
    """

    texts: Mapping
    learned: Mapping
    names: tuple
    n_shared: int
    gate_names: tuple
    has_intercept: bool
    columns: Mapping
    _specs: dict = field(default_factory=dict, repr=False, compare=False)

    def contents(self):
        """The formula as plain values for a file. Raises ValueError for a term that `check_harmless` refuses."""
        for formula in sides_of(self.texts).values():
            check_harmless(formula)
        return {
            "texts": dict(self.texts),
            "learned": dict(self.learned),
            "names": list(self.names),
            "n_shared": self.n_shared,
            "gate_names": list(self.gate_names),
            "has_intercept": self.has_intercept,
            "columns": dict(self.columns),
        }

    @classmethod
    def from_contents(cls, contents):
        """The inverse of `contents`; does not import formulaic, which is needed only for tables. Raises ValueError for
        values that `contents` does not make."""
        types = {
            "texts": dict, "learned": dict, "names": list, "n_shared": int, "gate_names": list, "has_intercept": bool,
            "columns": dict,
        }  # fmt: skip
        if {name: type(value) for name, value in contents.items()} != types:
            raise ValueError(f"a formula has {', '.join(types)}, got {contents}")
        strings = [*contents["texts"].items(), *contents["columns"].items()]
        if not all(type(own) is str for own in (*sum(strings, ()), *contents["names"], *contents["gate_names"])):
            raise ValueError(f"texts and names of a formula should be strings, got {contents}")
        return cls(**contents | {name: tuple(contents[name]) for name in ("names", "gate_names")})

    def says(self):
        """Parameters of the estimator, by name, that the formula says."""
        said = {"fit_intercept": self.has_intercept}
        if self.n_shared:
            said["fixed"] = list(self.names[len(self.names) - self.n_shared :])
        return said | ({"gate": "gate_X"} if self.gate_names else {})

    def learned_of(self, table, y, given, columns):
        """`Asked.learned_of` of the same formulas, and of the same columns where nothing else is said."""
        self._spec("response")  # raises for the text of a file that may do harm
        asked = Asked(self.texts["formula"], self.texts.get("gate"), self.texts.get("fixed"))
        kept = {name: own for name, own in self.columns.items() if name not in given}
        return asked.learned_of(table, y, given, kept | columns)

    def _spec(self, side):
        """The ModelSpec of one side; the text of a formula from a file is checked by `check_harmless` first."""
        if not self._specs:
            for name, formula in sides_of(self.texts).items():
                check_harmless(formula)
                self._specs[name] = _with_learned(formula, self.learned[name], name)
        return self._specs[side]

    def _of_later(self, side, data, names):
        """The columns, with these names, that a side makes of another table."""
        matrix = _matrix(self._spec(side).get_model_matrix, data)
        if _names(matrix) != tuple(names):
            raise ValueError(
                f"the formula makes the columns {_names(matrix)} of this table, it was learned with {names}"
            )
        return _without_intercept(matrix)

    def design(self, data):
        """X for a table: a pandas.DataFrame with the columns `names`."""
        import pandas as pd

        data, n_own = _as_pandas(data), len(self.names) - self.n_shared
        values = self._of_later("terms", data, self.names[:n_own])
        if "fixed" in self.texts:
            values = np.hstack([values, self._of_later("fixed", data, self.names[n_own:])])
        return pd.DataFrame(values, columns=list(self.names))

    def columns_of_terms(self, data):
        """The columns of a table that the terms of X use, a pandas.DataFrame."""
        data = _as_pandas(data)
        sides = [side for side in ("terms", "fixed") if side in self.learned]
        wanted = set().union(*(self._spec(side).required_variables for side in sides))
        return data[[name for name in data.columns if name in wanted]]

    def gate_design(self, data):
        """The columns of the gate for a table, a pandas.DataFrame (n, q); None if there is no gate."""
        import pandas as pd

        if not self.gate_names:
            return None
        values = self._of_later("gate", _as_pandas(data), self.gate_names)
        return pd.DataFrame(values, columns=list(self.gate_names))

    def responses(self, data):
        """y for a table, as `learn_formula` returns it."""
        return _as_responses(_matrix(self._spec("response").get_model_matrix, _as_pandas(data)))

    def classes_in(self, y):
        """Of each term of the left side the categories that y has, in the order of the column's; none where it holds
        numbers."""
        encoders = self.learned["response"][1]
        of_terms = [_categories_of(term, encoders) for term in sides_of(self.texts)["response"]]
        columns = [y] if len(of_terms) == 1 else [None] * len(of_terms)
        if len(of_terms) > 1 and hasattr(y, "columns"):
            columns = [y[str(term)] for term in sides_of(self.texts)["response"]]
        found = []
        for categories, values in zip(of_terms, columns, strict=True):
            there = set() if categories is None or values is None else set(values.tolist())
            found.append(as_values([own for own in categories or () if own in there]))
        return found

    def offsets(self, data, columns=()):
        """The sum of the offsets of the terms and of the column that is one, if that is among `columns`, (n,); None
        without such."""
        found = []
        if "offset" in self.learned:
            found.append(_values(_matrix(self._spec("offset").get_model_matrix, _as_pandas(data))).sum(axis=1))
        if "offset" in columns:
            found.append(self.row_data(data, ["offset"])["offset"])
        return sum(found) if found else None

    def response_names(self):
        """The terms of the left side, a tuple of str."""
        return tuple(map(str, sides_of(self.texts)["response"]))

    def row_data(self, data, names):
        """Row data by name, from some of the `columns`."""
        return of_columns(data, {name: self.columns[name] for name in names})


#: What `fit` takes of each row that may be the name of a column.
OF_COLUMNS = ("groups", "exposure", "offset", "sample_weight")

#: Row data that is compared alone: of any type. All else are numbers.
OF_ANY_TYPE = ("groups", "clusters")


def of_columns(data, columns):
    """Row data by name, from columns of a table: their names, by the same."""
    table, found = Table(data), {}
    for name, column in columns.items():
        place = table.place_of(column)
        found[name] = table.series[place].to_numpy() if name in OF_ANY_TYPE else table.reals(place)
    return found


def _as_responses(matrix):
    """Labels of a term that is categorical, beside others a pandas.DataFrame with a column for each; numbers else."""
    import pandas as pd

    values, spec = _values(matrix), matrix.model_spec
    encoders = {factor: (kind.value, state.get("categories")) for factor, (kind, state) in spec.encoder_state.items()}
    labels = {}
    for term, places in spec.term_slices.items():
        categories = _categories_of(term, encoders)
        if categories is not None:
            labels[str(term)] = as_values(categories)[values[:, places].argmax(axis=1)]
    if not labels:
        return values[:, 0] if values.shape[1] == 1 else values
    if len(spec.term_slices) == 1:
        return next(iter(labels.values()))
    columns = {}
    for term, places in spec.term_slices.items():
        if str(term) in labels:
            columns[str(term)] = labels[str(term)]
        else:
            columns |= {spec.column_names[place]: values[:, place] for place in range(places.start, places.stop)}
    return pd.DataFrame(columns)


def _categories_of(term, encoders):
    """The categories of a term of the left side that is one categorical factor, a list; None for others. encoders: text
    of each factor -> (kind, categories or None)."""
    kind, categories = encoders.get(str(term), (None, None))
    return list(categories) if kind == "categorical" and categories is not None else None


def _without_offsets(side):
    """(the terms that are not such as `offset(log(hours))`, a formula of what these hold, or None)"""

    def held(term):
        expressions = [factor.expr for factor in term.factors if factor.eval_method.value == "python"]
        node = ast.parse(expressions[0], mode="eval").body if len(term.factors) == len(expressions) == 1 else None
        is_offset = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "offset" and len(node.args) == 1
        return ast.unparse(node.args[0]) if is_offset else None

    offsets = [own for own in map(held, side) if own is not None]
    if not offsets:
        return side, None
    formula = _formulaic().Formula("0 + " + " + ".join(f"I({own})" for own in offsets))
    return type(side)([term for term in side if held(term) is None]), formula


def sides_of(texts):
    """name of a side -> the parsed formula: "response" and "terms" of "formula", and "gate" and "fixed" if given, and
    "offset" of what offsets of "formula" hold."""
    both = _parsed("formula", texts["formula"])
    if not hasattr(both, "lhs") or not hasattr(both, "rhs"):
        raise ValueError(f"formula={texts['formula']!r} should have two sides, as in 'y ~ x'")
    terms, offsets = _without_offsets(both.rhs)
    sides = {"response": both.lhs, "terms": terms} | ({} if offsets is None else {"offset": offsets})
    for name in ("gate", "fixed"):
        if name in texts:
            sides[name] = _parsed(name, texts[name])
            if hasattr(sides[name], "lhs"):
                raise ValueError(f"{name}={texts[name]!r} should have one side, as in '~ z'")
    return sides


def learn_formula(formula, data, gate=None, shared=None, columns=None):
    """Learn a formula, and with it what a table gives.

    Parameters
    ----------
    formula : str
        `"y ~ terms"`; `"successes + failures ~ terms"` for binomial counts.
    data : table
        Of pandas, polars or pyarrow.
    gate, shared : str or None
        `"~ terms"`: columns of the gate, which has an intercept in any case, and columns whose coefficients all
        components share.
    columns : mapping of str to str, default=None
        Names of columns by what they are of rows: `{"groups": "id"}`.

    Returns
    -------
    learned : Formula
    X : pandas.DataFrame of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,) or (n_samples, n_columns), or pandas.DataFrame
        Several columns are those of several terms, such as successes and failures. Labels of a column of categories, in
        a DataFrame where there are other terms.
    gate_X : pandas.DataFrame or None

    Raises
    ------
    ImportError
        Without formulaic.
    TypeError
        For what is no table.
    ValueError
        For a formula that cannot be read or evaluated, one without a left side, missing values, a column that is not
        there, and columns that X would have twice.
    """
    import pandas as pd

    _formulaic()
    if isinstance(data, str) and not isinstance(formula, str):
        raise TypeError("formula should be a string. The arguments may be swapped: from_formula(formula, data)")
    data = _as_pandas(data)
    sides = {"gate": gate, "fixed": shared}
    texts = {"formula": formula} | {name: text for name, text in sides.items() if text is not None}
    matrices = {
        # each category of a response has its column: labels are read from these
        side: _matrix(partial(own.get_model_matrix, ensure_full_rank=side != "response"), data)
        for side, own in sides_of(texts).items()
    }
    own, more = _names(matrices["terms"]), _names(matrices["fixed"]) if "fixed" in matrices else ()
    twice = [name for name in more if name in own]
    if twice:
        raise ValueError(f"{twice[0]!r} is a term of formula={formula!r} and of fixed={shared!r}: leave it out of one")
    if "gate" in matrices and INTERCEPT not in matrices["gate"].model_spec.column_names:
        raise ValueError(f"gate={gate!r} has no intercept, which a gate cannot do without: leave out '0' or '- 1'")
    gate_names = _names(matrices["gate"]) if "gate" in matrices else ()
    specs = {side: matrix.model_spec for side, matrix in matrices.items()}
    learned = Formula(
        texts,
        {side: _learned_by(spec) for side, spec in specs.items()},
        (*own, *more),
        len(more),
        gate_names,
        INTERCEPT in specs["terms"].column_names,
        dict(columns or {}),
        specs,
    )
    learned.row_data(data, learned.columns)  # raises for columns that are not there
    X = np.hstack([_without_intercept(matrices[side]) for side in ("terms", "fixed") if side in matrices])
    gate_X = pd.DataFrame(_without_intercept(matrices["gate"]), columns=list(gate_names)) if gate_names else None
    return learned, pd.DataFrame(X, columns=list(learned.names)), _as_responses(matrices["response"]), gate_X
