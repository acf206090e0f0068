from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from mixfast.engine._rows import Rows
from mixfast.proportions._proportions import Proportions

HAS_OPENMP: bool

@disjoint_base
class Pass:
    rows: Rows
    n_bytes: int
    def __new__(
        cls,
        capsule: object,
        rows: Rows,
        n_threads: int = 1,
        chunk_rows: int | None = None,
        proportions: Proportions | None = None,
    ) -> Self: ...
    def set_state(self, weights: NDArray[np.float64], params: NDArray[np.float64]) -> None: ...
    def state(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
    @property
    def n_components(self) -> int: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def chunk_rows(self) -> int: ...
    @property
    def n_rounds(self) -> int: ...
    @property
    def n_lanes(self) -> int: ...
    @property
    def n_threads(self) -> int: ...
