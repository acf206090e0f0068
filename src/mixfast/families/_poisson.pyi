def bind_poisson(
    n_components: int,
    n_features: int,
    real_bytes: int,
    isa: str | None,
    is_sparse: bool,
    alpha: float,
    beta: float,
    is_exposed: bool,
) -> object: ...
