"""What a pass adds up, which may only be added to what another pass adds up at the same parameters."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Gathered(NamedTuple):
    """Sums over some rows; `+` makes those over the rows of both.

    Statistics depend on the parameters that they were gathered at: second moments are taken about means, rows are
    weighed by how far out they are. So they carry them.

    evidence : the log-likelihood of the rows
    n_impossible : how many of them no component can have made
    counts : (n_components,) sums of the responsibilities
    stats : (n_stats,) as the family lays them out
    at : weights and parameters, one after the other
    """

    evidence: float
    n_impossible: float
    counts: np.ndarray
    stats: np.ndarray
    at: np.ndarray

    def __add__(self, other):
        if not isinstance(other, Gathered):
            return NotImplemented
        if not np.array_equal(self.at, other.at):
            raise ValueError(
                "statistics of different parameters cannot be added: gather both at the same weights and parameters"
            )
        return Gathered(*(one + another for one, another in zip(self[:4], other[:4], strict=True)), self.at)
