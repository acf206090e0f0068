"""Dirichlet-multinomial components: counts whose proportions vary from row to row."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import scipy.sparse

from mixfast.families._cells import Cells, cells_of_rows
from mixfast.families._dirichlet_multinomial import bind_fixed, bind_free, bind_symmetric, surrogates
from mixfast.families.cells import places_in
from mixfast.families.counts import root_proportions
from mixfast.families.domains import POSITIVE, SAME_FOR_ALL_COLUMNS, of_sum
from mixfast.families.family import ColumnKind, Described, Encoded, Family, arrays_of
from mixfast.families.holding import COMPONENT, Holding


class DirichletMultinomialParams(NamedTuple):
    """concentrations (K, d): of each column."""

    concentrations: np.ndarray


class DirichletMultinomialStats(NamedTuple):
    """weights (K, n_cells): of the rows that have a cell, a distinct count of a column or a distinct total."""

    weights: np.ndarray


class CellRows(NamedTuple):
    """Encoded rows: a CSR matrix (n_samples, n_cells) of ones, which `data` holds once."""

    shape: tuple
    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray


class DirichletMultinomial(Family):
    """Rows of counts with the total N: log p(x | k) = sum_j w(a_kj, x_j) - w(A_k, N), with A_k the sum of a_k and
    w(a, n) = log Gamma(a + n) / (Gamma(a) n!).

    Parameters
    ----------
    shape, rate : float, default 0
        Of a Gamma distribution of each concentration; its density with respect to log a is the prior.
    """

    Params = DirichletMultinomialParams
    Stats = DirichletMultinomialStats
    domains: dict = {"concentrations": (POSITIVE,)}
    batches = False  # a problem would have the cells of all
    column_kind = ColumnKind.SHARE

    #: The cells of the rows that are encoded.
    cells = None
    #: Names of the cells that rows to be encoded may have, None where these teach them.
    known = None

    def __init__(self, shape=0.0, rate=0.0):
        self.shape = shape
        self.rate = rate

    holdings: dict = {"concentrations": Holding(COMPONENT)}

    def n_held(self, name, held, n_features):
        n_components = int(held.any(axis=1).sum())
        return self.n_parameters(n_components, n_features)

    def param_shapes(self, n_components, n_features):
        return ((n_components, n_features),)

    def stat_shapes(self, n_components, n_features):
        n_cells = n_features if self.cells is None else len(self.cells)
        return ((n_components, n_cells),)

    def n_parameters(self, n_components, n_features):
        return n_components * n_features

    def located(self, centres):
        return self.blank(*np.shape(centres))  # its statistics are measured from nothing

    def encode(self, X):
        rows = scipy.sparse.csr_matrix(X)
        family = copy.copy(self)
        family.cells, indptr, indices = cells_of_rows(rows)
        if self.known is not None:
            indices = places_in(self.known, _names_of(family.cells)).astype(np.int32)[indices]
            if np.any(indices < 0):
                raise ValueError("X has counts or totals that no row of the design has: make the design of all rows")
            if self.known[-1, 0] > rows.shape[1]:
                raise ValueError(f"the design has cells of column {self.known[-1, 0]}, X has {rows.shape[1]} columns")
            family.cells = Cells(self.known[:, 0].astype(np.int32), self.known[:, 1], rows.shape[1])
        ones = np.ones(1, dtype=rows.dtype)
        cell_rows = CellRows((rows.shape[0], len(family.cells)), indptr, indices, ones)
        return Encoded(family, cell_rows, seeds=lambda offsets: root_proportions(rows))

    def design(self):
        """cells (n, 2): column and count; the number of columns stands for totals."""
        return {"cells": _names_of(self.cells)}

    def with_design(self, design):
        (cells,) = arrays_of(design, cells=(np.int64, 2))
        is_rising = np.array_equal(np.unique(cells, axis=0), cells)
        if not is_rising or cells.shape[1:] != (2,) or not len(cells) or cells.min() < 0 or cells.max() > 2**53:
            raise ValueError(f"cells should be columns and counts in order, got {cells}")
        family = copy.copy(self)
        family.known = cells
        return family

    def bind(self, n_components, n_features, dtype, isa=None, is_sparse=True):
        return bind_free(self.cells, n_components, np.dtype(dtype).itemsize, isa, self.shape, self.rate)

    def log_det(self, X, resp, concentrations):
        """Log-determinant of minus the Hessian of the M-step's objective by the logarithms of the concentrations. IN
        resp (n, K): responsibilities times row weights. inf unless that matrix is positive definite, as at a
        maximum."""
        rows = self.encode(X)
        cells, (shape, indptr, indices, _) = rows.family.cells, rows.rows
        weights = scipy.sparse.csr_matrix((np.ones(len(indices)), indices, indptr), shape).T @ resp
        total = 0.0
        for a, own in zip(concentrations, weights.T, strict=True):
            u, v = surrogates(cells, np.ascontiguousarray(own), np.append(a, a.sum()))
            price = u[-1] / a.sum() + v[-1] + self.rate
            # a diagonal, and a matrix of rank one
            diagonal = a * (price - v[:-1])
            if not np.all(diagonal > 0):
                return np.inf
            factor = 1 - u[-1] / a.sum() ** 2 * np.sum(a * a / diagonal)
            if not factor > 0:
                return np.inf
            total += np.sum(np.log(diagonal)) + np.log(factor)
        return total

    def word_shares(self, params):
        """Expected share of each column in a row's total, (n_components, n_features)."""
        return params.concentrations / params.concentrations.sum(axis=1, keepdims=True)

    def described(self, params):
        return [Described(np.arange(params.concentrations.shape[1]), {"concentration": params.concentrations})]

    def sample(self, params, labels, rng, totals):
        """Rows (n, n_features) of counts, one for each label, with the given totals (n,)."""
        rows = np.zeros((len(labels), params.concentrations.shape[1]))
        for row, k, total in zip(rows, labels, totals, strict=True):
            row[:] = rng.multinomial(total, _dirichlet(params.concentrations[k], rng))
        return rows


class SymmetricDirichletMultinomial(DirichletMultinomial):
    """One concentration for all columns of a component."""

    domains: dict = {"concentrations": (POSITIVE, SAME_FOR_ALL_COLUMNS)}

    def n_parameters(self, n_components, n_features):
        return n_components

    def bind(self, n_components, n_features, dtype, isa=None, is_sparse=True):
        return bind_symmetric(self.cells, n_components, np.dtype(dtype).itemsize, isa, self.shape, self.rate)


class FixedDirichletMultinomial(DirichletMultinomial):
    """Concentrations of every component have the sum `total`. A rate's term would be the same for all."""

    def __init__(self, total, shape=0.0):
        super().__init__(shape)
        self.total = total
        self.domains = {"concentrations": (POSITIVE, of_sum(total))}

    def n_parameters(self, n_components, n_features):
        return n_components * (n_features - 1)

    def bind(self, n_components, n_features, dtype, isa=None, is_sparse=True):
        return bind_fixed(self.cells, n_components, np.dtype(dtype).itemsize, isa, self.shape, self.total)


def _names_of(cells):
    columns = np.repeat(np.arange(cells.n_columns + 1), np.diff(cells.begin))
    return np.column_stack([columns, cells.counts]).astype(np.int64)


def _dirichlet(concentrations, rng):
    """One draw. With logarithms: a gamma variate of a small concentration is often below the smallest number."""
    a = np.asarray(concentrations, dtype=np.float64)
    with np.errstate(divide="ignore"):
        logs = np.log(rng.standard_gamma(a + 1)) + np.log(rng.uniform(size=len(a))) / a
    shares = np.exp(logs - logs.max())
    return shares / shares.sum()
