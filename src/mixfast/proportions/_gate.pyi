from typing_extensions import disjoint_base

from mixfast.proportions._proportions import Proportions

@disjoint_base
class Gate(Proportions):
    def __new__(cls, first: int, n_columns: int, ridge: float, isa: str | None = None) -> Gate: ...
