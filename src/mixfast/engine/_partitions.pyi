from collections.abc import Callable
from typing import Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from mixfast.engine._rows import Rows

@disjoint_base
class Clusters:
    def __new__(cls, capsule: object, rows: Rows, n_threads: int, blank: NDArray[np.float64]) -> Self: ...

@disjoint_base
class Chain:
    labels: NDArray[np.int64]
    n_proposals: int
    moves_singles: bool
    def __new__(
        cls,
        bind: Callable[[int], tuple[object, NDArray[np.float64]]],
        rows: Rows,
        c: float,
        log_v: Callable[[NDArray[np.int64]], NDArray[np.float64]] | None,
        concentration: float,
        shape: float,
        rate: float,
        labels: NDArray[np.int64],
        seed: int,
        n_threads: int,
        n_scans: int,
        n_proposals: int,
        moves_singles: bool,
        evidence_of_singles: Callable[[], NDArray[np.float64]] | None,
    ) -> Self: ...
    def sweep(self, n_sweeps: int = 1) -> None: ...
    @property
    def n_clusters(self) -> int: ...
    @property
    def sizes(self) -> NDArray[np.float64]: ...
    @property
    def concentration(self) -> float: ...
    @property
    def log_joint(self) -> float: ...
    @property
    def splits(self) -> tuple[int, int]: ...
    @property
    def merges(self) -> tuple[int, int]: ...
