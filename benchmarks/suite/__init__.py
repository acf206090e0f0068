"""Benchmarks that asv runs on each commit: smaller relatives of the cases of compare.py."""

import sys
from pathlib import Path

# asv finds this package alone; the cases and the adapter of mixfast lie beside it
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data import CASES

#: Fewer rows, and in C and D fewer components with them, so that components keep enough rows for their covariances.
SMALL = {
    "A": CASES["A"]._replace(n_samples=20_000),
    "A32": CASES["A32"]._replace(n_samples=20_000),
    "B": CASES["B"]._replace(n_samples=100_000),
    "C": CASES["C"]._replace(n_samples=5_000, n_components=16),
    "D": CASES["D"]._replace(n_samples=20_000, n_components=64),
    "E": CASES["E"]._replace(n_samples=20_000),
    "F": CASES["F"],
}
