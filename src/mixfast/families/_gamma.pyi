import numpy as np

def bind_gamma(
    n_components: int, n_encoded: int, isa: str | None, bytes_of_rows: int, missing: np.ndarray
) -> object: ...
def bind_exponential(
    n_components: int,
    n_encoded: int,
    real_bytes: int,
    isa: str | None,
    bytes_of_rows: int,
    missing: np.ndarray,
) -> object: ...
