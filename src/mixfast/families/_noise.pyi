from typing import Any

import numpy as np
from numpy.typing import NDArray

def bind_noise(capsule: Any, log_heights: NDArray[np.float64]) -> Any: ...
