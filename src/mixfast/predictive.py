"""Blocks of rows as a posterior predictive density wants them."""

from __future__ import annotations

import scipy.sparse

#: Rows that predictive densities are computed of at a time: some families want dense ones.
BLOCK = 65536


def blocks_for(family, X, dtype=None):
    """(rows as a slice, the same rows encoded for the family) of rows that have been read; `dtype` is what their values
    become, block by block."""
    takes_sparse = not hasattr(family, "log_density")  # those in Python do not
    for first in range(0, X.shape[0], BLOCK):
        block = X[first : first + BLOCK]
        if scipy.sparse.issparse(block) and not takes_sparse:
            block = block.toarray()
        if dtype is not None:
            block = block.astype(dtype, copy=False)
        yield slice(first, first + BLOCK), family.encode(block)
