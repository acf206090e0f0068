from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from mixfast._em import Held
from mixfast.convergence import Monitor
from mixfast.engine._rows import Rows
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
        given: tuple[NDArray[np.float64], NDArray[np.float64]] | None,
        n_free: float,
        n_rows_needed: int,
        held: Held | None = None,
        alike: tuple[object, NDArray[np.float64]] | None = None,
    ) -> Self: ...

@disjoint_base
class Plan:
    def __new__(
        cls,
        init_params: str | NDArray[Any],
        *,
        n_init: int,
        policy: str,
        max_iter: int,
        tol: float,
        stop_on: int,
        accelerates: bool,
        prunes: bool,
        lloyd_tol: float,
        lloyd_max_iter: int,
        traces: bool = False,
        before: float = ...,
        criterion: str | None = None,
        keeps_to_room: bool = False,
        n_active: int = 0,
    ) -> Self: ...

class Fit(NamedTuple):
    weights: NDArray[np.float64]
    params: NDArray[np.float64]
    lower_bounds: list[float]
    lower_bound: float
    n_iter: int
    converged: bool
    status: int
    fails: bool

def fit_rows(
    rows: Rows,
    seeding_rows: Rows,
    model: Model,
    plan: Plan,
    seed: int,
    n_threads: int,
    monitor: Monitor | None = None,
) -> Fit: ...
