"""How near an iteration comes to the machine's matrix product, and how much memory a fit needs beside its rows.

The multiply-adds of an iteration are those that no dense pass in the same arithmetic does without: densities and
statistics. Exponentials, the M-step, packing and reading are not counted, so a share of one cannot be had.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from statistics import median
from time import perf_counter

SIDE = 1_500  # of the matrices: 6.75 billion flops, at the speed of larger ones
TURN = 0.2  # seconds at least that a product is repeated for

#: Multiply-adds for a row and a component: of densities, and as many again of statistics.
FOR_A_PAIR = {
    "full": lambda d: d * (d + 1) / 2,
    "tied": lambda d: d,
    "diag": lambda d: 2 * d,
    "bernoulli": lambda d: d,
}
#: The same for a row alone.
FOR_A_ROW = {"tied": lambda d: d * (d + 1) / 2}


def multiply_adds(case, n_halves=2):
    """Of an iteration, or, with `n_halves` = 1, of densities alone."""
    d = case.n_features
    of_row = FOR_A_ROW[case.family](d) if case.family in FOR_A_ROW else 0
    return n_halves * case.n_samples * (case.n_components * FOR_A_PAIR[case.family](d) + of_row)


class MatrixProduct:
    """NumPy's product of two square matrices; `speed` is in multiply-adds a second, the median of the turns."""

    def __init__(self, dtype):
        import numpy as np  # not above: compare.py says first how many threads it may start

        rng = np.random.default_rng(0)
        self.a, self.b = (rng.standard_normal((SIDE, SIDE)).astype(dtype) for _ in range(2))
        self.speeds = []
        self.a @ self.b  # starts the threads

    def race(self):
        begin, n = perf_counter(), 0
        while perf_counter() - begin < TURN:
            self.a @ self.b
            n += 1
        self.speeds.append(n * SIDE**3 / (perf_counter() - begin))

    @property
    def speed(self):
        return median(self.speeds)


def growth(call, *arguments):
    """(MB by which the process's resident memory grew at most during the call, what the call returned).

    None for the MB where the system has no /proc. What an earlier call has freed is given back first, where the C
    library can."""
    status, clear = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not clear.exists():
        return None, call(*arguments)
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    clear.write_text("5")  # sets the peak to the present size
    before = _kilobytes(status, "VmRSS")
    result = call(*arguments)
    return (_kilobytes(status, "VmHWM") - before) / 1024, result


def _kilobytes(status, name):
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(name))
