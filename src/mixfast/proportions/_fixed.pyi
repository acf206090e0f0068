from numpy.typing import ArrayLike
from typing_extensions import disjoint_base

from mixfast.proportions._proportions import Proportions

SUM_TOLERANCE: float

@disjoint_base
class FixedWeights(Proportions):
    def __new__(cls, weights: ArrayLike, n_components: int) -> FixedWeights: ...

@disjoint_base
class HeldWeights(Proportions):
    def __new__(cls, weights: ArrayLike) -> HeldWeights: ...
