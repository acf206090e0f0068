import numpy as np

def bind_bernoulli_posterior(
    n_components: int,
    n_features: int,
    real_bytes: int,
    isa: str | None,
    is_sparse: bool,
    prior: np.ndarray,
    missing: np.ndarray,
) -> object: ...
def bind_multinomial_posterior(
    n_components: int, n_features: int, real_bytes: int, isa: str | None, is_sparse: bool, prior: np.ndarray
) -> object: ...
def bind_poisson_posterior(
    n_components: int, n_features: int, real_bytes: int, isa: str | None, is_sparse: bool, prior: np.ndarray
) -> object: ...
def bind_exponential_posterior(
    n_components: int, n_features: int, real_bytes: int, isa: str | None, prior: np.ndarray
) -> object: ...
