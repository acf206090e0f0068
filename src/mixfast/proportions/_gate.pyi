import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from mixfast.proportions._proportions import Proportions

@disjoint_base
class Gate(Proportions):
    held: NDArray[np.float64] | None
    def __new__(
        cls, first: int, n_columns: int, ridge: float, isa: str | None = None, held: NDArray[np.float64] | None = None
    ) -> Gate: ...
