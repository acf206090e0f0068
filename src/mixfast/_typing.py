"""Types that several signatures share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray


class SparseRows(Protocol):
    """A sparse matrix or array of SciPy."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def tocsr(self, copy: bool = ...) -> Any: ...


class Table(Protocol):
    """A data frame or table of pandas, polars or pyarrow."""

    def __dataframe__(self, nan_as_null: bool = ..., allow_copy: bool = ...) -> Any: ...


#: Rows of X: arrays, data frames, sparse matrices, lists, in which an answer may be None.
RowsLike: TypeAlias = ArrayLike | SparseRows | Table | Sequence[Sequence[object]]
#: Many data sets: a list of arrays, a three-dimensional array, or rows with offsets.
ProblemRows: TypeAlias = Any
Floats: TypeAlias = NDArray[np.floating[Any]]
Integers: TypeAlias = NDArray[np.int64]
PathLike: TypeAlias = str | os.PathLike[str]
Seed: TypeAlias = int | np.random.RandomState | None
#: A column of a table, by its name or its number.
Column: TypeAlias = str | int

CovarianceType: TypeAlias = Literal["full", "tied", "diag", "spherical"]
#: mclust's names, and those of one column.
CovarianceShape: TypeAlias = Literal[
    "EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV", "E", "V"
]
#: A method, or labels or responsibilities of the rows.
InitParams: TypeAlias = Literal["kmeans", "k-means++", "k-means||", "random", "random_from_data"] | ArrayLike
InitPolicy: TypeAlias = Literal["all", "halving"]
Accelerate: TypeAlias = Literal["auto"] | None
CriterionName: TypeAlias = Literal["bic", "aic", "icl", "laplace", "heldout"]
NEffective: TypeAlias = Literal["sum", "kish"] | float | None
