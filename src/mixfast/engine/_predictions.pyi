from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixfast.engine._pass import Pass

def evaluate(
    p: Pass,
    classify: bool = False,
    log_norm: NDArray[Any] | None = None,
    labels: NDArray[np.int64] | None = None,
    resp: NDArray[Any] | None = None,
    largest: NDArray[Any] | None = None,
) -> int: ...
def evaluate_components(p: Pass, out: NDArray[Any]) -> None: ...
