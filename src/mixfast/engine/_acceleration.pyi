import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from mixfast._em import EM

@disjoint_base
class AcceleratedEM(EM):
    def set_state(self, weights: NDArray[np.float64], params: NDArray[np.float64]) -> None: ...
