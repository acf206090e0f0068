import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from typing_extensions import disjoint_base

@disjoint_base
class Cells:
    counts: NDArray[np.float64]
    begin: NDArray[np.int64]
    n_columns: int
    def __init__(self, columns: NDArray[np.int32], counts: NDArray[np.float64], n_columns: int) -> None: ...
    def __len__(self) -> int: ...

def cells_of_rows(X: csr_matrix) -> tuple[Cells, NDArray[np.int64], NDArray[np.int32]]: ...
