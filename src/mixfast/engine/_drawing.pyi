import numpy as np
from numpy.typing import NDArray

def draw_from_posterior(capsule: object, params: NDArray[np.float64], seed: int, sweep: int) -> NDArray[np.float64]: ...
