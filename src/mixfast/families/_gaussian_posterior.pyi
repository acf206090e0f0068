from typing import Protocol

import numpy as np

class _Bind(Protocol):
    def __call__(
        self,
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

bind_full_posterior: _Bind
bind_tied_posterior: _Bind
bind_diagonal_posterior: _Bind
bind_spherical_posterior: _Bind
