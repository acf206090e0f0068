"""What encoding learns of rows, so that parts of them can be encoded as the whole would be: `Design`."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np

from mixfast import persistence, units
from mixfast.in_messages import listed
from mixfast.scatter import Scatter

KIND = "design"


class NamesOfAll(NamedTuple):
    """Names that all rows have, of which some rows may lack some; what estimators know of rows that are elsewhere.

    categories : list of ndarray, or None
        Of each categorical column; of mixtures of experts the classes of each response, none where it has no classes.
        None where nothing is known.
    components : tuple of str
        What known labels call components, sorted; empty where they say numbers, or nothing is known.
    columns : list of str, or None
        What `categories` are of, as the estimator tells its columns, parts or responses from others; None where it is
        not known.
    last : bool
        Whether later fits know them: those that problems of a batch have in common are of that batch alone.
    """

    categories: list[Any] | None = None
    components: tuple[str, ...] = ()
    columns: list[str] | None = None
    last: bool = True

    def check_columns(self, own: list[str] | None) -> None:
        """Raises ValueError for an estimator, or rows, whose categories are of others than those of the design."""
        if self.columns is not None and own is not None and self.columns != own:
            raise ValueError(
                f"the design is of {listed(self.columns)}, and this is of {listed(own)}: categories would be those of "
                "others. Make a design by this estimator, of rows with these columns, and give that to with_design"
            )


class Design:
    """What an estimator learns of rows before it looks at their values.

    Counts that occur, columns with missing entries, categories, the means and deviations of columns where they are
    units, their covariance where a prior follows from it: statistics of parts of the rows can only be added where they
    were made with the design of all.
    `estimator.design(X)` makes it of one part; `+` joins two; `estimator.statistics(X, design=design)` takes it.

    Attributes
    ----------
    n_rows : int
        Number of rows of positive weight.
    weight : float
        The sum of their weights.
    categories : list of ndarray, or None
        Of each categorical column, of those estimators that learn them; sorted.
    component_names : list of str
        What known labels call components, sorted.
    dtype : dtype
        That rows are computed in: float64 where some of them are.

    Notes
    -----
    Pickles hold `to_bytes`.

    Examples
    --------
    >>> from mixfast import CategoricalMixture
    >>> model = CategoricalMixture(2)
    >>> design = model.design([["red"], ["blue"]]) + model.design([["green"]])
    >>> [own.tolist() for own in design.categories]
    [['blue', 'green', 'red']]
    """

    __slots__ = (
        "_categories",
        "_columns",
        "_component_names",
        "_dtype",
        "_estimator",
        "_moments",
        "_n_rows",
        "_scatter",
        "_sets",
        "_weight",
    )

    def __init__(
        self,
        *,
        estimator,
        n_rows,
        weight,
        sets,
        moments,
        categories,
        scatter=None,
        component_names=(),
        dtype="float64",
        columns=None,
    ):
        """For estimators: raises ValueError where this is no design. `sets` is the family's, `moments` of the units,
        `scatter` what a prior follows from: those of `Scatter`, None where it follows from nothing; `columns` is
        that of `NamesOfAll`."""
        if type(estimator) is not str or type(n_rows) is not int or n_rows < 0 or type(weight) is not float:
            raise ValueError(f"a design of {estimator!r} has {n_rows!r} rows of weight {weight!r}")
        if not 0 <= weight < np.inf:
            raise ValueError(f"rows have the weight {weight}")
        for array in (*sets.values(), *moments.values(), *(categories or ())):
            if not isinstance(array, np.ndarray) or array.ndim == 0:
                raise ValueError(f"a design should hold arrays, got {array!r}")
        names = [*component_names]
        if any(type(name) is not str for name in names) or sorted({*names}) != names:
            raise ValueError(f"names of components should be strings, sorted, once each, got {component_names!r}")
        self._estimator, self._n_rows, self._weight = estimator, n_rows, weight
        if dtype not in ("float32", "float64"):
            raise ValueError(f"the dtype of rows should be float32 or float64, got {dtype!r}")
        if columns is not None and any(type(own) is not str for own in columns):
            raise ValueError(f"what categories are of should be strings, got {columns!r}")
        self._component_names, self._dtype = names, dtype
        self._columns = None if columns is None else [*columns]
        self._sets, self._moments, self._categories = sets, moments, categories
        self._scatter = Scatter.of_arrays(scatter) if scatter else None

    @property
    def n_rows(self) -> int:
        return self._n_rows

    @property
    def weight(self) -> float:
        return self._weight

    @property
    def categories(self) -> list[Any] | None:
        return None if self._categories is None else list(self._categories)

    @property
    def component_names(self) -> list[str]:
        return list(self._component_names)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self._dtype)

    @property
    def _names(self):
        """`NamesOfAll`; rows that are not there have none."""
        if not self._n_rows:
            return NamesOfAll()
        return NamesOfAll(self.categories, tuple(self._component_names), self._columns)

    def __repr__(self):
        return f"<Design of {self._n_rows} rows for {self._estimator}>"

    def __add__(self, other):
        """The design of the rows of both; a design of no rows changes nothing.

        Raises
        ------
        ValueError
            For designs of other estimators, of rows with other columns, and where one alone has products of pairs of
            columns.
        """
        if not isinstance(other, Design):
            return NotImplemented
        if self._estimator != other._estimator:
            raise ValueError(f"designs for {self._estimator} and {other._estimator} cannot be added")
        if not (self._n_rows and other._n_rows):
            return self if self._n_rows else other
        if self._scatter is not None and other._scatter is not None:
            self._scatter.check_has_what(other._scatter)
        own, its = _widths(self), _widths(other)
        if own != its:
            raise ValueError(f"designs of rows with other columns cannot be added: {own} and {its}")
        self._names.check_columns(other._columns)
        weight = self._weight + other._weight
        return self._replaced(
            n_rows=self._n_rows + other._n_rows,
            weight=weight,
            sets={name: _union(array, other._sets[name]) for name, array in self._sets.items()},
            moments=units.joined(self._moments, other._moments, other._weight / weight if weight else 0.0),
            scatter=None if self._scatter is None else self._scatter.plus(other._scatter).arrays(),
            categories=None
            if self._categories is None
            else [_union(*pair) for pair in zip(self._categories, other._categories, strict=True)],
            component_names=sorted({*self._component_names, *other._component_names}),
            dtype=np.result_type(self._dtype, other._dtype).name,
            columns=self._columns or other._columns,
        )

    def _replaced(self, **fields):
        return Design(**{**self._fields(), **fields})

    def _fields(self):
        return {
            "estimator": self._estimator,
            "n_rows": self._n_rows,
            "weight": self._weight,
            "sets": self._sets,
            "moments": self._moments,
            "categories": self._categories,
            "component_names": self._component_names,
            "dtype": self._dtype,
            "columns": self._columns,
            "scatter": None if self._scatter is None else self._scatter.arrays(),
        }

    # ---- bytes ----

    def to_bytes(self) -> bytes:
        """All of it, without pickle; the layout is that of the project's docs/files.md.

        Returns
        -------
        data : bytes
            What `from_bytes` reads on any machine.
        """
        fields = self._fields()
        sections = {name: fields.pop(name) or {} for name in ("sets", "moments", "scatter")}
        contents = {KIND: fields, **sections}
        return persistence.to_bytes(persistence.Contents(KIND, "Design", contents))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """A design from what `to_bytes` made.

        Parameters
        ----------
        data : bytes
            From anybody: nothing in it is run.

        Returns
        -------
        design : Design
            As it was before it was bytes.

        Raises
        ------
        ValueError
            For other bytes.
        """
        return persistence.from_bytes(data, KIND, lambda sections: cls(**sections.pop(KIND), **sections))

    def __reduce__(self):
        return Design.from_bytes, (self.to_bytes(),)


def _union(one, other):
    """Of sets, in order; equal ones stay in the order that they have."""
    if not (len(one) and len(other)):
        return one if len(one) else other
    if one.dtype == other.dtype and np.array_equal(one, other):
        return one
    firsts = one.tolist()[0], other.tolist()[0]
    if len({isinstance(own, (str, bytes)) for own in firsts}) > 1:
        raise ValueError(f"there are {firsts[0]!r} and {firsts[1]!r}, which have no order: make them one type")
    if one.dtype == object or other.dtype == object:
        return np.array(sorted({*one.tolist(), *other.tolist()}), dtype=object)
    return np.unique(np.concatenate([one, other]), axis=0)


def _widths(design):
    """What does not depend on values: names, dimensions, columns."""
    return (
        {name: array.shape[1:] for name, array in design._sets.items()},
        {name: array.shape for name, array in design._moments.items()},
        None if design._scatter is None else (design._scatter.means.shape, design._scatter.products.shape),
        None if design._categories is None else len(design._categories),
    )
