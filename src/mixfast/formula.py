"""Formulas: what the terms of `"y ~ x + I(x**2)"` make of a table, by formulaic, which is an optional dependency.

A formula is learned from one table: which categories a column has, where knots of splines are. Later tables get the
same columns from it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mixfast.tables import Table

INTERCEPT = "Intercept"


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


def _terms(build, data):
    """A matrix of formulaic's, float64 and two-dimensional, and the names of its columns."""
    matrix = _matrix(build, data)
    return np.asarray(matrix, dtype=np.float64).reshape(len(data), -1), list(matrix.model_spec.column_names)


@dataclass(frozen=True)
class Formula:
    """The sides of a formula and of those beside it, as they were learned.

    Attributes
    ----------
    response, terms, shared, gate : formulaic.ModelSpec or None
        Of y, of X, of columns whose coefficients all components share, of the gate.
    names : tuple of str
        The columns of X, without that of 1, those of `shared` last.
    n_shared : int
        How many of them are `shared`'s.
    gate_names : tuple of str
        The columns of the gate, without that of 1; empty where there is no gate.
    has_intercept : bool
    columns : mapping of str to str
        What rows have beside their values, and the columns of the table that it is in.
    """

    response: object
    terms: object
    shared: object
    gate: object
    names: tuple
    n_shared: int
    gate_names: tuple
    has_intercept: bool
    columns: Mapping

    def design(self, data):
        """X of a table: a pandas.DataFrame with the names of the terms."""
        import pandas as pd

        data = _as_pandas(data)
        values, names = _terms(self.terms.get_model_matrix, data)
        values = values[:, [name != INTERCEPT for name in names]]
        if self.shared is not None:
            more, names = _terms(self.shared.get_model_matrix, data)
            values = np.hstack(
                [values, more[:, [name in self.names[len(self.names) - self.n_shared :] for name in names]]]
            )
        return pd.DataFrame(values, columns=list(self.names))

    def gate_design(self, data):
        """The columns of the gate, (n, q) with names; None where there is no gate."""
        import pandas as pd

        if not self.gate_names:
            return None
        values, names = _terms(self.gate.get_model_matrix, _as_pandas(data))
        return pd.DataFrame(values[:, [name != INTERCEPT for name in names]], columns=list(self.gate_names))

    def responses(self, data):
        """y of a table: (n,), or (n, C) for several columns, successes and failures perhaps, and for categories."""
        values, _ = _terms(self.response.get_model_matrix, _as_pandas(data))
        return values[:, 0] if values.shape[1] == 1 else values

    def row_data(self, data, names):
        """What rows have beside their values, by its name, some of `columns`."""
        table = Table(data)
        found = {}
        for name in names:
            place = table.place_of(self.columns[name])
            found[name] = table.series[place].to_numpy() if name == "groups" else table.reals(place)
        return found


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
    formulaic = _formulaic()
    data = _as_pandas(data)

    def learn(text):
        try:
            parsed = formulaic.Formula(text)
        except formulaic.errors.FormulaSyntaxError as error:
            raise ValueError(f"the formula {text!r} cannot be read: {error}") from None
        return _matrix(parsed.get_model_matrix, data).model_spec

    both = learn(formula)
    if not hasattr(both, "lhs") or not hasattr(both, "rhs"):
        raise ValueError(f"formula={formula!r} should have two sides, as in 'y ~ x'")
    of_shared, of_gate = (None if text is None else learn(text) for text in (shared, gate))
    for what, text, spec in (("fixed", shared, of_shared), ("gate", gate, of_gate)):
        if hasattr(spec, "lhs"):
            raise ValueError(f"{what}={text!r} should have one side, as in '~ z'")
    own = [name for name in both.rhs.column_names if name != INTERCEPT]
    more = [name for name in (of_shared.column_names if of_shared is not None else ()) if name != INTERCEPT]
    twice = [name for name in more if name in own]
    if twice:
        raise ValueError(f"{twice[0]!r} is a term of formula={formula!r} and of fixed={shared!r}: leave it out of one")
    of_gate_names = [name for name in (of_gate.column_names if of_gate is not None else ()) if name != INTERCEPT]
    if of_gate is not None and INTERCEPT not in of_gate.column_names:
        raise ValueError(f"gate={gate!r} has no intercept, which a gate cannot do without: leave out '0' or '- 1'")
    learned = Formula(
        both.lhs,
        both.rhs,
        of_shared,
        of_gate,
        (*own, *more),
        len(more),
        tuple(of_gate_names),
        INTERCEPT in both.rhs.column_names,
        dict(columns or {}),
    )
    learned.row_data(data, learned.columns)  # says what columns are not there
    return learned, learned.design(data), learned.responses(data), learned.gate_design(data)
