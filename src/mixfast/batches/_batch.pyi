from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixfast.engine._fit import Model, Plan
from mixfast.engine._rows import Rows

def fit_problems(
    rows: Rows,
    seeding_rows: Rows,
    offsets: NDArray[np.int64],
    seeds: NDArray[np.uint64],
    models: list[Model],
    plan: Plan,
    found: Any,
    *,
    passed_over: int,
    n_effective: NDArray[np.float64] | None,
    n_threads: int,
    progress: Callable[[int, int], None] | None,
) -> bool: ...
def choose(
    weights: NDArray[np.float64],
    status: NDArray[np.int32],
    criteria: NDArray[np.float64],
    n_free: NDArray[np.float64],
    passed_over: int,
) -> NDArray[np.int32]: ...
def evaluate_problems(
    rows: Rows,
    offsets: NDArray[np.int64],
    models: list[Model],
    chosen: NDArray[np.int32],
    weights: NDArray[np.float64],
    params: NDArray[np.float64],
    *,
    n_threads: int,
    labels: NDArray[np.int64] | None = None,
    log_norm: NDArray[Any] | None = None,
    resp: NDArray[Any] | None = None,
) -> int: ...
