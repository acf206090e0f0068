import numpy as np

def bind_bernoulli(
    n_components: int,
    n_features: int,
    real_bytes: int,
    isa: str | None,
    is_sparse: bool,
    alpha: float,
    missing: np.ndarray,
) -> object: ...
