from typing import Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from mixfast.engine._fit import Model, Plan

address: int
api_v1: object

@disjoint_base
class PlanMemory:
    def __new__(
        cls,
        model: Model,
        plan: Plan,
        from_given: Plan,
        least: NDArray[np.float64],
        largest: NDArray[np.float64],
        is_whole: bool,
    ) -> Self: ...
    @property
    def address(self) -> int: ...
    def capsule(self) -> object: ...
    def sizes(self) -> tuple[int, int]: ...

def check_proportions(model: Model) -> str | None: ...
