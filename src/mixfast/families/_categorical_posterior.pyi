from collections.abc import Sequence

import numpy as np

def bind_categorical_posterior(
    n_components: int, n_categories: Sequence[int], real_bytes: int, isa: str | None, prior: np.ndarray
) -> object: ...
