import numpy as np
from numpy.typing import NDArray

from mixfast._em import Pass

def kmeans_plusplus(trial: Pass, single: Pass, n_clusters: int, seed: int, start: int) -> NDArray[np.int64]: ...
