import numpy as np
from numpy.typing import NDArray

PURPOSE_RANDOM_ROWS: int
PURPOSE_RANDOM_RESPONSIBILITIES: int
PURPOSE_FIRST_CENTRE: int
PURPOSE_NEXT_CENTRE: int
PURPOSE_FOLDS: int

def fill_uniform(seed: int, start: int, purpose: int, out: NDArray[np.float64]) -> None: ...
