import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from mixfast.engine._pass import Pass
from mixfast.engine._rows import Rows

def kmeans_plusplus(p: Pass, n_clusters: int, seed: int, start: int) -> NDArray[np.int64]: ...

@disjoint_base
class Lloyd(Pass):
    labels: NDArray[np.int64]
    def step(self) -> float: ...
    def settle(self, tol: float, max_iter: int) -> tuple[float, int]: ...

def random_rows(rows: Rows, n_clusters: int, seed: int, start: int) -> NDArray[np.int64]: ...
