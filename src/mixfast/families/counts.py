"""Parameter-free terms of the log densities of counts. Rows are dense or sparse in CSR form."""

from __future__ import annotations

import numpy as np
import scipy.sparse
from scipy.special import gammaln, xlogy

#: Number of values in a block of rows.
BLOCK = 2**18

#: From this count on three terms of Stirling's series are exact to double precision.
LARGE = 16


def blocks(n_rows, n_values):
    """Slices of rows that hold some `BLOCK` of the values each."""
    n_at_once = max(1, BLOCK * n_rows // max(n_values, 1))
    return (slice(first, first + n_at_once) for first in range(0, n_rows, n_at_once))


def log_factorials(X):
    """The sum of log x! over the counts of each row, float64 (n_samples,)."""
    return _per_row(X, lambda counts, totals: gammaln(counts + 1))


def log_multinomial_coefficients(X):
    """log N! - the sum of log x! over the counts of each row, N being their sum, float64 (n_samples,).

    With log n! = n log n - n + r(n) this is sum_j x_j log(N / x_j) - r(x_j), plus r(N): so what is as large as N log N
    goes before it is rounded. For two counts of 5e8 the term has an error of 1e-7 then, instead of 4e-6.
    """
    return stirling_remainder(row_totals(X)) + _per_row(
        X, lambda counts, totals: counts * np.log(totals / counts) - stirling_remainder(counts)
    )


def stirling_remainder(counts):
    """log n! - (n log n - n)"""
    small, large = np.arange(LARGE), np.maximum(counts, LARGE)
    exact = gammaln(small + 1.0) - xlogy(small, small) + small
    square = large * large
    series = (
        0.5 * np.log(2 * np.pi * large)
        + (1 / 12 - (1 / 360 - (1 / 1260 - 1 / 1680 / square) / square) / square) / large
    )
    return np.where(counts < LARGE, exact[np.minimum(counts, LARGE - 1).astype(np.intp)], series)


def row_totals(X):
    """The sum of each row, float64 (n_samples,)."""
    if scipy.sparse.issparse(X):
        return np.asarray(X.sum(axis=1, dtype=np.float64)).ravel()
    return row_sums(X, lambda counts: counts)


def row_sums(X, term):
    """The sum over each row of term(values), float64 (n_samples,), for a dense X.

    Values lie one after the other when they are added: the bits do not depend on the memory that X lies in."""
    sums = np.empty(X.shape[0])
    for rows in blocks(X.shape[0], X.size):
        np.sum(term(np.ascontiguousarray(X[rows], dtype=np.float64)), axis=1, out=sums[rows])
    return sums


def root_proportions(X):
    """The square root of each row divided by its sum, in the precision of X; rows without counts stay zero.

    The differences of roots of counts do not grow with the counts: k-means of them finds groups that k-means of the
    proportions does not. 2,472 tweets of 89 topics, normalised mutual information after EM, mean of five starts, alpha
    1, 0.1, 0.01: 0.86, 0.83, 0.82 with roots; 0.80, 0.80, 0.77 with proportions; 0.79, 0.80, 0.78 with counts.
    """
    totals = np.maximum(row_totals(X), 1)
    if not scipy.sparse.issparse(X):
        return np.sqrt(X / totals[:, np.newaxis]).astype(X.dtype, copy=False)
    shares = X.data / np.repeat(totals, np.diff(X.indptr))
    roots = np.sqrt(shares, out=shares).astype(X.dtype, copy=False)
    return scipy.sparse.csr_matrix((roots, X.indices, X.indptr), X.shape)


def _per_row(X, term):
    """The sum over each row of term(counts, totals of their rows), which is zero where a count is."""
    out = np.empty(X.shape[0])
    for rows in blocks(X.shape[0], X.nnz if scipy.sparse.issparse(X) else X.size):
        counts = scipy.sparse.csr_matrix(X[rows], dtype=np.float64)
        counts.data = term(counts.data, np.repeat(row_totals(counts), np.diff(counts.indptr)))
        out[rows] = row_totals(counts)
    return out
