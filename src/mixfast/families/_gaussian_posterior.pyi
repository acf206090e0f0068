import numpy as np

def bind_full_posterior(
    n_components: int,
    n_features: int,
    real_bytes: int,
    isa: str | None,
    reg_covar: float,
    kappa0: float,
    nu0: float,
    m0: np.ndarray | None,
    scale0: np.ndarray | None,
    share: float,
) -> object: ...
def bind_tied_posterior(
    n_components: int,
    n_features: int,
    real_bytes: int,
    isa: str | None,
    reg_covar: float,
    kappa0: float,
    nu0: float,
    m0: np.ndarray | None,
    scale0: np.ndarray | None,
    share: float,
) -> object: ...
def bind_diagonal_posterior(
    n_components: int,
    n_features: int,
    real_bytes: int,
    isa: str | None,
    reg_covar: float,
    kappa0: float,
    nu0: float,
    m0: np.ndarray | None,
    scale0: np.ndarray | None,
    share: float,
) -> object: ...
def bind_spherical_posterior(
    n_components: int,
    n_features: int,
    real_bytes: int,
    isa: str | None,
    reg_covar: float,
    kappa0: float,
    nu0: float,
    m0: np.ndarray | None,
    scale0: np.ndarray | None,
    share: float,
) -> object: ...
