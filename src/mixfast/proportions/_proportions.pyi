from typing_extensions import disjoint_base

@disjoint_base
class Proportions:
    def n_parameters(self, n_components: int) -> int: ...
