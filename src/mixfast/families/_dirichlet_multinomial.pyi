import numpy as np
from numpy.typing import NDArray

from mixfast.families._cells import Cells

def bind_free(
    cells: Cells, n_components: int, real_bytes: int, isa: str | None, shape: float, rate: float
) -> object: ...
def bind_symmetric(
    cells: Cells, n_components: int, real_bytes: int, isa: str | None, shape: float, rate: float
) -> object: ...
def bind_fixed(
    cells: Cells, n_components: int, real_bytes: int, isa: str | None, shape: float, total: float
) -> object: ...
def surrogates(
    cells: Cells, weights: NDArray[np.float64], concentrations: NDArray[np.float64]
) -> NDArray[np.float64]: ...
