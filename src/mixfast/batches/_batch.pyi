from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from mixfast._em import Rows
from mixfast.proportions._proportions import Proportions

@disjoint_base
class Model:
    def __new__(
        cls,
        family: object,
        proportions: Proportions,
        centres: object,
        candidates: object,
        blank: NDArray[np.float64],
        located: NDArray[np.int64] | None,
        given_weights: NDArray[np.float64],
        given_params: NDArray[np.float64],
        n_free: float,
        n_rows_needed: int,
    ) -> Self: ...

def fit_problems(
    rows: Rows,
    seeding_rows: Rows,
    offsets: NDArray[np.int64],
    seeds: NDArray[np.uint64],
    models: list[Model],
    *,
    n_init: int,
    max_iter: int,
    tol: float,
    stop_on: int,
    passed_over: int,
    accelerates: bool,
    init_params: str,
    lloyd_tol: float,
    lloyd_max_iter: int,
    criterion: str | None,
    n_effective: np.ndarray | None,
    prunes: bool,
    n_threads: int,
    progress: Callable[[int, int], None] | None,
    weights: NDArray[np.float64],
    params: NDArray[np.float64],
    lower_bounds: NDArray[np.float64],
    n_iter: NDArray[np.int32],
    status: NDArray[np.int32],
    criteria: NDArray[np.float64],
    chosen: NDArray[np.int32],
) -> bool: ...
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
) -> None: ...
