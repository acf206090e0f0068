from collections.abc import Sequence

def bind_categorical(
    n_components: int, n_categories: Sequence[int], real_bytes: int, isa: str | None, alpha: float
) -> object: ...
