from typing import Any

import numpy as np
from numpy.typing import NDArray

KINDS: dict[str, int]

def bind_experts(
    n_components: int,
    n_features: int,
    isa: Any,
    n_columns: int,
    n_beside: int,
    responses: list[tuple[int, int, int, int]],
    use: Any,
    alpha: float,
    is_common: bool,
    degrees: float | None,
    corrects_variance: bool,
    held: NDArray[np.uint8] | None = None,
    centres: bool = True,
) -> Any: ...
