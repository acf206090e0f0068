import numpy as np
from numpy.typing import NDArray

def ward(
    rows: NDArray[np.float64], sample_weight: NDArray[np.float64] | None = None, isa: str | None = None
) -> NDArray[np.int64]: ...
def groups(pairs: NDArray[np.int64], n_groups: int) -> NDArray[np.int64]: ...
