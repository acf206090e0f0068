from typing import Any

from typing_extensions import disjoint_base

# `family` is a `PythonFamily`, whose room imports this one
@disjoint_base
class Verbs:
    error: BaseException | None
    def __init__(self, family: Any, n_components: int, n_features: int) -> None: ...

def bind_python(family: Any, n_components: int, n_features: int) -> object: ...
