DEGREES_LIMITS: tuple[float, float]

def bind_full(
    n_components: int, n_features: int, real_bytes: int, isa: str | None, reg_covar: float, n_groups: int, start: float
) -> object: ...
def bind_tied(
    n_components: int, n_features: int, real_bytes: int, isa: str | None, reg_covar: float, n_groups: int, start: float
) -> object: ...
def bind_diagonal(
    n_components: int, n_features: int, real_bytes: int, isa: str | None, reg_covar: float, n_groups: int, start: float
) -> object: ...
def bind_spherical(
    n_components: int, n_features: int, real_bytes: int, isa: str | None, reg_covar: float, n_groups: int, start: float
) -> object: ...
def bind_shape(
    n_components: int,
    n_features: int,
    real_bytes: int,
    isa: str | None,
    reg_covar: float,
    n_groups: int,
    start: float,
    name: str,
) -> object: ...
