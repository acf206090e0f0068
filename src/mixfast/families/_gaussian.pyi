import numpy as np
from numpy.typing import NDArray

def bind_full(n_components: int, n_features: int, real_bytes: int, isa: str | None, reg_covar: float) -> object: ...
def bind_tied(n_components: int, n_features: int, real_bytes: int, isa: str | None, reg_covar: float) -> object: ...
def bind_diagonal(n_components: int, n_features: int, real_bytes: int, isa: str | None, reg_covar: float) -> object: ...
def bind_spherical(
    n_components: int, n_features: int, real_bytes: int, isa: str | None, reg_covar: float
) -> object: ...
def bind_shape(
    n_components: int,
    n_features: int,
    real_bytes: int,
    isa: str | None,
    reg_covar: float,
    name: str,
    eigenvalue_ratio: float,
    prior: NDArray[np.float64],
) -> object: ...
