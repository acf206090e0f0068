from typing_extensions import disjoint_base

from mixfast.proportions._proportions import Proportions

@disjoint_base
class DirichletPosterior(Proportions):
    def __new__(cls, concentration: float, n_components: int = 0) -> DirichletPosterior: ...
