import numpy as np

def bind_poisson(
    n_components: int,
    n_encoded: int,
    real_bytes: int,
    isa: str | None,
    is_sparse: bool,
    alpha: float,
    beta: float,
    is_exposed: bool,
    missing: np.ndarray,
) -> object: ...
