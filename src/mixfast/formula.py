"""Formulas: what the terms of `"y ~ x + I(x**2)"` make of a table, by formulaic, which is an optional dependency.

A formula is learned from one table: which categories a column has, where knots of splines are. Later tables get the
same columns from it. Files keep its text and what it has learned; since text from a file must not be a program, it is
then of functions and operators that are known to be none (`check_harmless`).
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mixfast.tables import Table

INTERCEPT = "Intercept"

#: What a formula in a file may call: formulaic's transforms, and NumPy's functions of numbers.
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
#: Nodes of expressions that compute with numbers, whatever they are made of.
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
    """A table of any kind as formulaic reads all of them alike: what was learned from one kind serves another."""
    import narwhals as nw

    Table(data)  # says what is wrong with what is no table
    return nw.from_native(data, eager_only=True).to_pandas()


def _parsed(text):
    formulaic = _formulaic()
    try:
        return formulaic.Formula(text)
    except formulaic.errors.FormulaSyntaxError as error:
        raise ValueError(f"the formula {text!r} cannot be read: {error}") from None


def _matrix(build, data):
    """What `build(data, ...)` of formulaic gives; ValueError where a term cannot be evaluated."""
    formulaic = _formulaic()
    with warnings.catch_warnings():
        # a category that was not learned would be counted as none of them
        warnings.simplefilter("error", formulaic.errors.DataMismatchWarning)
        try:
            return build(data, output="numpy", na_action="raise")
        except formulaic.errors.DataMismatchWarning as error:
            unknown = re.search(r"\{.*\}", str(error))
            what = unknown.group() if unknown else str(error)
            raise ValueError(f"the formula was learned without the categories {what}: leave these rows out") from None
        except formulaic.errors.FormulaicError as error:
            raise ValueError(f"the formula cannot be evaluated: {error}") from None
        except ValueError as error:
            if "null values" not in str(error):
                raise
            reason = str(error).rpartition(": ")[2]
            raise ValueError(
                f"rows of the table have missing values: {reason} Leave them out, as .dropna() does"
            ) from None


def _values(matrix):
    """A matrix of formulaic's, float64 and two-dimensional."""
    values = np.asarray(matrix, dtype=np.float64)
    return values.reshape(len(values), -1)


def _names(matrix):
    """Of its columns, without that of 1."""
    return tuple(name for name in matrix.model_spec.column_names if name != INTERCEPT)


def _without_intercept(matrix):
    return _values(matrix)[:, [name != INTERCEPT for name in matrix.model_spec.column_names]]


# ---- what files keep ------------------------------------------------------------------------------------------------


def check_harmless(formula):
    """Raises ValueError where a term of one side of a formula is, or may be, more than a computation with columns."""
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
    """Whether it is a function that a formula in a file may call, by its name."""
    if isinstance(node, ast.Attribute):
        return isinstance(node.value, ast.Name) and node.attr in OF_MODULES.get(node.value.id, ())
    return isinstance(node, ast.Name) and node.id in FUNCTIONS


def _has_no_names(node):
    return not any(isinstance(own, ast.Name) for own in ast.walk(node))


def _learned_by(spec):
    """What one side has learned of its table, as plain values: [state of each function by its text, kind and
    categories of each factor by its text]."""
    encoders = {
        factor: [kind.value, list(state["categories"]) if "categories" in state else None]
        for factor, (kind, state) in spec.encoder_state.items()
    }
    return [dict(spec.transform_state), encoders]


def _with_learned(formula, learned):
    """The inverse, for one side: a model spec."""
    formulaic = _formulaic()
    from formulaic.parser.types import Factor

    transforms, encoders = learned
    return formulaic.ModelSpec(
        formula=formula,
        materializer="pandas",
        transform_state=dict(transforms),
        encoder_state={
            factor: (Factor.Kind(kind), {} if categories is None else {"categories": list(categories)})
            for factor, (kind, categories) in encoders.items()
        },
    )


@dataclass(frozen=True)
class Formula:
    """A formula and those beside it, as they were learned.

    Attributes
    ----------
    texts : mapping of str to str
        "formula", and "gate" and "fixed" where there are such.
    learned : mapping of str to list
        Of each side, "response", "terms", "gate" and "fixed", what it has learned of its table; plain values.
    names : tuple of str
        The columns of X, without that of 1, those of "fixed" last.
    n_shared : int
        How many of them are those of "fixed".
    gate_names : tuple of str
        The columns of the gate, without that of 1; empty where there is no gate.
    has_intercept : bool
    columns : mapping of str to str
        What rows have beside their values, and the columns of the table that it is in.
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
        """Plain values for a file. ValueError where a term is none that a file may have."""
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
        """The inverse of `contents`; does not import formulaic, which is needed only for tables. ValueError for other
        values."""
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

    def _spec(self, side):
        """The side as formulaic evaluates it; that of a file is looked at first."""
        if not self._specs:
            for name, formula in sides_of(self.texts).items():
                check_harmless(formula)
                self._specs[name] = _with_learned(formula, self.learned[name])
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
        """X of a table: a pandas.DataFrame with the names of the terms."""
        import pandas as pd

        data, n_own = _as_pandas(data), len(self.names) - self.n_shared
        values = self._of_later("terms", data, self.names[:n_own])
        if "fixed" in self.texts:
            values = np.hstack([values, self._of_later("fixed", data, self.names[n_own:])])
        return pd.DataFrame(values, columns=list(self.names))

    def columns_of_terms(self, data):
        """The columns of a table that X is made of, a pandas.DataFrame."""
        data = _as_pandas(data)
        sides = [side for side in ("terms", "fixed") if side in self.learned]
        wanted = set().union(*(self._spec(side).required_variables for side in sides))
        return data[[name for name in data.columns if name in wanted]]

    def gate_design(self, data):
        """The columns of the gate, (n, q) with names; None where there is no gate."""
        import pandas as pd

        if not self.gate_names:
            return None
        values = self._of_later("gate", _as_pandas(data), self.gate_names)
        return pd.DataFrame(values, columns=list(self.gate_names))

    def responses(self, data):
        """y of a table: (n,), or (n, C) for several columns, successes and failures perhaps, and for categories."""
        return _as_responses(_matrix(self._spec("response").get_model_matrix, _as_pandas(data)))

    def row_data(self, data, names):
        """Row data by name, from some of the `columns`."""
        table = Table(data)
        found = {}
        for name in names:
            place = table.place_of(self.columns[name])
            found[name] = table.series[place].to_numpy() if name == "groups" else table.reals(place)
        return found


def _as_responses(matrix):
    values = _values(matrix)
    return values[:, 0] if values.shape[1] == 1 else values


def sides_of(texts):
    """The sides that formulas by their names have, parsed: "response" and "terms" of "formula", and the others."""
    both = _parsed(texts["formula"])
    if not hasattr(both, "lhs") or not hasattr(both, "rhs"):
        raise ValueError(f"formula={texts['formula']!r} should have two sides, as in 'y ~ x'")
    sides = {"response": both.lhs, "terms": both.rhs}
    for name in ("gate", "fixed"):
        if name in texts:
            sides[name] = _parsed(texts[name])
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
    y : ndarray of shape (n_samples,) or (n_samples, n_columns)
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
    data = _as_pandas(data)
    texts = {name: text for name, text in (("formula", formula), ("gate", gate), ("fixed", shared)) if text is not None}
    matrices = {side: _matrix(own.get_model_matrix, data) for side, own in sides_of(texts).items()}
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
    learned.row_data(data, learned.columns)  # says what columns are not there
    X = np.hstack([_without_intercept(matrices[side]) for side in ("terms", "fixed") if side in matrices])
    gate_X = pd.DataFrame(_without_intercept(matrices["gate"]), columns=list(gate_names)) if gate_names else None
    return learned, pd.DataFrame(X, columns=list(learned.names)), _as_responses(matrices["response"]), gate_X
