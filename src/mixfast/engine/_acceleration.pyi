import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from mixfast._em import EM
from mixfast.engine._pass import Pass

@disjoint_base
class AcceleratedEM(EM):
    def set_state(self, weights: NDArray[np.float64], params: NDArray[np.float64]) -> None: ...

def free_point(p: Pass) -> NDArray[np.float64] | None: ...
def set_free_point(p: Pass, point: NDArray[np.float64]) -> bool: ...
def extrapolate(points: NDArray[np.float64], longest: float) -> tuple[NDArray[np.float64], float]: ...
