def bind(
    n_components: int,
    n_features: int,
    real_bytes: int,
    isa: str | None,
    reg_covar: float,
    n_factors: int,
    is_tied: bool,
    is_spherical: bool,
) -> object: ...
