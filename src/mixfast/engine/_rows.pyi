from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

@disjoint_base
class Rows:
    X: Any
    sample_weight: NDArray[np.float64] | None
    base: NDArray[np.float64] | None
    total_weight: float
    least_weight: float
    def __new__(
        cls,
        X: Any,
        sample_weight: NDArray[np.float64] | None = None,
        base: NDArray[np.float64] | None = None,
        groups: NDArray[np.int64] | None = None,
        known: NDArray[Any] | None = None,
        trim: float = 0,
    ) -> Self: ...
    def n_values_of(self, offsets: NDArray[np.int64]) -> NDArray[np.int64]: ...
    def is_constant(self) -> bool: ...

def all_finite(X: NDArray[Any]) -> bool: ...
def is_mapped(X: NDArray[Any]) -> bool: ...
