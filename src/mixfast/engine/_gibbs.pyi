import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

@disjoint_base
class Documents:
    n_words: int
    longest: float
    def __init__(
        self, begin: NDArray[np.int64], word: NDArray[np.int32], count: NDArray[np.float64], n_words: int
    ) -> None: ...
    def __len__(self) -> int: ...

@disjoint_base
class Chains:
    n_chains: int
    n_threads: int
    n_sweeps: int
    def __init__(
        self,
        documents: Documents,
        n_clusters: int,
        alpha: float,
        beta: float,
        seed: int,
        n_chains: int = 1,
        n_threads: int = 1,
        isa: str | None = None,
    ) -> None: ...
    def sweep(self, n_sweeps: int = 1) -> NDArray[np.float64]: ...
    @property
    def labels(self) -> NDArray[np.int32]: ...
    @property
    def log_joints(self) -> NDArray[np.float64]: ...

def evaluate(
    documents: Documents,
    counts: NDArray[np.float64],
    totals: NDArray[np.float64],
    priors: NDArray[np.float64],
    n_clusters: int,
    n_vocabulary: int,
    beta: float,
    *,
    n_threads: int = 1,
    labels: NDArray[np.int64] | None = None,
    resp: NDArray[np.float64] | None = None,
    log_norm: NDArray[np.float64] | None = None,
    isa: str | None = None,
) -> None: ...
