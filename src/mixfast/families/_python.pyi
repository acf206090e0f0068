from typing_extensions import disjoint_base

from mixfast.families.family import PythonFamily

@disjoint_base
class Verbs:
    error: BaseException | None
    def __init__(self, family: PythonFamily, n_components: int, n_features: int) -> None: ...

def bind_python(family: PythonFamily, n_components: int, n_features: int) -> object: ...
