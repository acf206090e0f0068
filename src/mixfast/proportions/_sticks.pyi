from typing_extensions import disjoint_base

from mixfast.proportions._proportions import Proportions

@disjoint_base
class Sticks(Proportions):
    def __new__(cls, concentration: float) -> Sticks: ...

@disjoint_base
class LearnedSticks(Proportions):
    def __new__(cls, shape: float, rate: float) -> LearnedSticks: ...
