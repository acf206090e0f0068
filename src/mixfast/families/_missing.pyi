from typing import Any

import numpy as np
from numpy.typing import NDArray

def bind_missing(
    capsule: Any,
    columns: NDArray[np.int64],
    n_there: NDArray[np.int64],
    covariances: int,
    moments: int,
    n_factors: int,
    kept_bytes: int,
) -> Any: ...
