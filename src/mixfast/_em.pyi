from collections.abc import Callable
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from mixfast.engine._pass import Pass

class Gathered(NamedTuple):
    evidence: float
    n_impossible: float
    counts: NDArray[np.float64]
    stats: NDArray[np.float64]
    entropy: float

class LogEvidence(NamedTuple):
    components: NDArray[np.float64]
    common: float
    proportions: float

@disjoint_base
class Held:
    def __new__(cls, params: NDArray[np.float64], centred: NDArray[np.int64], settled: NDArray[np.bool_]) -> Self: ...

@disjoint_base
class EM(Pass):
    prunes: bool
    def hold(self, held: Held | None) -> None: ...
    @property
    def status(self) -> int: ...
    @property
    def n_impossible(self) -> float: ...
    @property
    def n_passes(self) -> int: ...
    @property
    def work(self) -> tuple[float, float]: ...
    def set_state(self, weights: NDArray[np.float64], params: NDArray[np.float64]) -> None: ...
    def start_from_labels(self, labels: NDArray[np.int64], located: bool = False) -> None: ...
    def start_from_responsibilities(self, resp: NDArray[np.float64]) -> None: ...
    def start_from_draws(self, seed: int, start: int) -> None: ...
    def step(self) -> float: ...
    def iterate(self, n_steps: int, tol: float, previous: float, stop_on: int) -> tuple[list[float], bool]: ...
    def gather(self) -> Gathered: ...
    def visit_elsewhere(
        self,
        gather: Callable[[NDArray[np.float64], NDArray[np.float64]], Gathered],
        total_weight: float,
        least_weight: float,
    ) -> None: ...
    def revisit(self, weights: NDArray[np.float64], params: NDArray[np.float64]) -> Gathered: ...
    def maximise(self, counts: NDArray[np.float64], record: NDArray[np.float64], least_weight: float) -> float: ...
    def log_evidence(self) -> LogEvidence: ...
    def recentre(
        self,
        counts: NDArray[np.float64],
        record: NDArray[np.float64],
        weights: NDArray[np.float64],
        params: NDArray[np.float64],
    ) -> NDArray[np.float64] | None: ...
