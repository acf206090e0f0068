import numpy as np
from numpy.typing import NDArray

def joint_entropies(draws: NDArray[np.int32], share: NDArray[np.float64], n_threads: int) -> NDArray[np.float64]: ...
def approach_draws(
    labels: NDArray[np.integer], draws: NDArray[np.int32], weight: NDArray[np.float64]
) -> NDArray[np.int32]: ...
