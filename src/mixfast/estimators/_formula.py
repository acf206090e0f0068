"""Fits by formulas, and what a model that was fitted so makes of tables."""

from __future__ import annotations

from functools import wraps
from inspect import Parameter, signature
from typing import Any, Self

import numpy as np

from mixfast._typing import Column
from mixfast.design import NamesOfAll
from mixfast.estimators._density import fitting
from mixfast.estimators._responses import check_classes
from mixfast.formula import OF_ANY_TYPE, OF_COLUMNS, Asked, Formula, of_columns
from mixfast.in_messages import in_short
from mixfast.row_data import is_of_formula
from mixfast.tables import names_of

#: Methods that look at rows: a model that was fitted by a formula takes tables in them.
OF_ROWS = (
    "predict",
    "predict_components",
    "predict_proba",
    "predict_std",
    "predict_quantile",
    "predict_interval",
    "posterior",
    "labels",
    "score",
    "score_samples",
    "log_prob",
    "component_log_density",
    "sample",
    "bic",
    "aic",
    "icl",
    "inference",
    "summary",
    "_take_batch",
    "design",
    "statistics",
    "_rows_and_data",
)

#: What methods take a number of each row for: by the name of a column, too, where they are given a table.
OF_NUMBERS = ("sample_weight", "exposure", "offset", "trials")

#: What files call the formula, beside fitted attributes.
IN_FILES = "formula_"


def of_tables(method):
    """Decorates a method whose first argument is X: a model that was fitted by a formula finds in a table what else
    the method takes and was not given. Arrays, and tables of the terms, are what the formula would have made."""
    own_signature = signature(method)
    parameters = own_signature.parameters
    needs_y = "y" in parameters and parameters["y"].default is Parameter.empty
    places = list(parameters)[:2]  # of the estimator and X
    of_others = next((name for name, own in parameters.items() if own.kind is own.VAR_KEYWORD), None)

    def by_name(estimator, X, args, kwargs):
        """What was given beside X, by the names of the parameters; TypeError where Python would raise it."""
        try:
            given = own_signature.bind_partial(estimator, X, *args, **kwargs).arguments
        except TypeError as error:
            raise TypeError(f"{type(estimator).__name__}.{method.__name__}(): {error}") from None
        others = given.pop(of_others, {})
        return {name: own for name, own in given.items() if name not in places} | others

    @wraps(method)
    def with_formula(estimator, X, *args, **kwargs):
        if not estimator._has_responses_in(X):
            if needs_y and not args and "y" not in kwargs:  # Python would name the class that has the method
                raise TypeError(f"{type(estimator).__name__}.{method.__name__}() needs 'y', the responses, beside X")
            return method(estimator, X, *args, **kwargs)
        formula = estimator._fitted_formula
        kwargs = by_name(estimator, X, args, kwargs)
        kwargs = {name: own for name, own in kwargs.items() if own is not None}  # scikit-learn's tools pass y=None
        given = set(kwargs)

        def is_wanted(name):
            return name not in given and (name in parameters or (of_others is not None and name in estimator._row_data))

        if is_wanted("y"):
            kwargs["y"] = formula.responses(X)
        if formula.gate_names and is_wanted("gate_X"):
            kwargs["gate_X"] = formula.gate_design(X)
        if is_wanted("offset") and (offset := formula.offsets(X, formula.columns)) is not None:
            kwargs["offset"] = offset
        kwargs |= formula.row_data(X, [name for name in formula.columns if name != "offset" and is_wanted(name)])
        of_rows = {*OF_ANY_TYPE, *OF_NUMBERS} & kwargs.keys()
        kwargs |= of_columns(X, {name: kwargs[name] for name in of_rows if isinstance(kwargs[name], str)})
        return method(estimator, formula.design(X), **kwargs)

    return with_formula


def fitted_to_tables(fit):
    """Decorates `fit`: a model with a formula learns it anew of a table. A fit to an array, or to a table of the terms,
    is one without a formula."""

    @wraps(fit)
    def with_formula(estimator, X, y=None, sample_weight=None, **row_data):
        if not estimator._has_responses_in(X):
            return fit(estimator, X, y, sample_weight, **row_data)
        formula = estimator._fitted_formula
        for name, value in formula.says().items():
            if getattr(estimator, name) != value:
                raise ValueError(
                    f"{name}={in_short(getattr(estimator, name))} contradicts the formula of the model, which says "
                    f"{name}={value!r}: set that, or make a model of another formula by from_formula"
                )
        given = {name: own for name, own in (row_data | {"sample_weight": sample_weight}).items() if own is not None}
        columns = {name: own for name, own in given.items() if name in OF_COLUMNS and isinstance(own, str)}
        given = {name: own for name, own in given.items() if name not in columns}
        return estimator._fit_table(formula, X, y, given, columns)

    return with_formula


class FittedByFormula:
    """Base of regressions that can be fitted by formulas.

    `_fitted_formula` is the formula that the last fit learned. Clones have it too: a fit of theirs to a table learns it
    anew.
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name in OF_ROWS:
            setattr(cls, name, of_tables(getattr(cls, name)))
        cls.fit = fitted_to_tables(cls.fit)

    def __sklearn_clone__(self):
        copied = super().__sklearn_clone__()
        if "_fitted_formula" in vars(self):
            copied._fitted_formula = self._fitted_formula
        return copied

    def _has_responses_in(self, X):
        """Whether X is a table that a formula makes rows and responses of."""
        return is_of_formula(self, names_of(X))

    @classmethod
    def from_formula(
        cls,
        formula: str,
        data: Any,
        *,
        gate: str | None = None,
        fixed: str | None = None,
        groups: Column | None = None,
        exposure: Column | None = None,
        offset: Column | None = None,
        sample_weight: Column | None = None,
        **params: Any,
    ) -> Self:
        """Fit to a table, by a formula (needs formulaic: `pip install mixfast[formula]`).

        Parameters
        ----------
        formula : str
            `"y ~ x + I(x**2)"`, in the language of formulaic: terms are columns, functions of them such as `log(x)`,
            splines such as `bs(x, df=4)`, offsets such as `offset(log(hours))`, products `a:b` and `a*b`; columns of
            strings are categories. `0 +` leaves the intercept out. Binomial counts are `"successes + failures ~ x"`. A
            response of two categories is modelled by the probability of the second, as R's `glm` does; `classes_` has
            both, in the order of the column's categories, sorted where it has none. `bs` has no values outside its
            knots, those of the table of the fit, but with `extrapolation='extend'`, `'clip'` or `'zero'` in it.
        data : table
            Of pandas, polars or pyarrow.
        gate : str, default=None
            `"~ z"`: columns of the gate.
        fixed : str, default=None
            `"~ w"`: terms whose coefficients all components share, beside those of `formula`.
        groups, exposure, offset, sample_weight : str, default=None
            Names of columns of the table, for what `fit` takes by these names.
        **params
            Of the constructor: `n_components`, `expert` and all others but those above.

        Returns
        -------
        model : object
            Fitted. Its methods take tables with the same columns, and find there whatever they need, y too where it is
            not given; what else they take of rows may be the name of a column: `inference(table, clusters="school")`.
            `feature_names_in_` are the terms. `fit(table)` of the model, and of its clones, learns the formula anew, so
            that `cross_val_score(model, table)` and `GridSearchCV` fit by it. A fit to an array, or to a table of the
            terms alone, is one without a formula.

        Raises
        ------
        ImportError
            Without formulaic.
        ValueError
            For a formula that cannot be read or evaluated, missing values, and as in `fit`.

        Notes
        -----
        A file that `save` writes holds the text of the formula and what it has learned: categories, knots. What is
        loaded must run no program, so terms may then be of columns, numbers, operators and formulaic's and NumPy's
        functions of numbers alone; others are an error of `save`.

        Examples
        --------
        >>> import numpy as np, pandas as pd
        >>> from mixfast import MixtureOfExperts
        >>> rng = np.random.default_rng(0)
        >>> table = pd.DataFrame({"x": rng.uniform(0, 10, size=200), "line": np.arange(200) % 2})
        >>> table["y"] = np.where(table.line, 5 * table.x, 40 - (table.x - 5) ** 2) + rng.normal(size=200)
        >>> model = MixtureOfExperts.from_formula("y ~ x + I(x**2)", table, n_components=2, random_state=0)
        >>> print(model.feature_names_in_, round(model.score(table), 2))
        ['x' 'I(x ** 2)'] 0.47
        """
        asked = Asked(formula, gate, fixed)
        if "fit_intercept" in params:
            raise ValueError(f"fit_intercept={params['fit_intercept']!r} is said by the formula: leave it out")
        named = {"groups": groups, "exposure": exposure, "offset": offset, "sample_weight": sample_weight}
        columns = {name: column for name, column in named.items() if column is not None}
        for name, column in columns.items():
            if np.ndim(column):
                raise ValueError(
                    f"{name} should be the name of a column of the table, got {in_short(column)}: put it into the table"
                )
        return cls(**params)._fit_table(asked, data, None, {}, columns)

    @fitting
    def _fit_table(self, formula, table, y, given, columns):
        """`fit` by a formula, which is learned of the table, or learned anew; y and what else is given are not looked
        for in it."""
        formula, X, data = formula.learned_of(table, y, given, columns)
        vars(self).update(formula.says())
        if not (knows_all := "_names_of_all" in vars(self)):
            self._names_of_all = NamesOfAll(self._classes_by_formula(formula, data["y"]))
        self._fitted_formula = formula  # X are its terms
        self.fit(X, **data)
        if not knows_all:
            vars(self).pop("_names_of_all")  # those of the table are not those of a later fit
        self._fitted_formula = formula
        return self

    def _classes_by_formula(self, formula, y):
        """The classes of each response, in the order of the categories of its column; None where the left side has no
        categories. y: what the formula made."""
        names, found = self._names_of_experts(), formula.classes_in(y)
        if len(names) != len(found) or not any(map(len, found)):
            return None
        return [
            own if (known := check_classes(name, own, "y")) is None else known
            for name, own in zip(names, found, strict=True)
        ]

    def _as_fitted(self, X, sample_weight, row_data):
        if not self._has_responses_in(X):
            return super()._as_fitted(X, sample_weight, row_data)
        formula = self._fitted_formula
        if sample_weight is None and "sample_weight" in formula.columns:
            sample_weight = formula.row_data(X, ["sample_weight"])["sample_weight"]

        def takes_tables(model):
            model._fitted_formula = formula

        rows, row_data = self._rows_and_data(X, **row_data)
        return rows, sample_weight, row_data, takes_tables

    def _names_of_responses(self):
        """What a formula calls the responses, a tuple of str; None without a formula, and where terms of its left side
        are no responses, such as successes and failures."""
        formula = vars(self).get("_fitted_formula")
        names = () if formula is None else formula.response_names()
        return names if len(names) == len(self._names_of_experts()) else None

    def _learn_row_data(self, names):
        vars(self).pop("_fitted_formula", None)  # of another fit
        super()._learn_row_data(names)

    def _sections(self):
        sections = super()._sections()
        if "_fitted_formula" in vars(self):
            try:
                sections["attributes"] |= {IN_FILES: self._fitted_formula.contents()}
            except ValueError as error:
                raise ValueError(
                    f"the formula cannot be saved: {error}. Compute such columns in the table, or fit to arrays"
                ) from None
        return sections

    @classmethod
    def _from_sections(cls, params, attributes):
        formula = attributes.pop(IN_FILES, None)
        made = super()._from_sections(params, attributes)
        if formula is not None:
            made._fitted_formula = Formula.from_contents(formula)
        return made
