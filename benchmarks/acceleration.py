"""How many passes `accelerate="auto"` spares, and where fits end with it and without.

python benchmarks/acceleration.py            # passes and seconds on slow and on easy problems
python benchmarks/acceleration.py --ends     # ends of many fits of the reference data against plain EM's
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

import numpy as np

from mixfast import GaussianMixture
from mixfast._em import EM
from mixfast.engine._acceleration import AcceleratedEM
from mixfast.engine._fit import fit_rows
from mixfast.engine._rows import Rows
from mixfast.families.gaussian import STRUCTURES
from mixfast.fitting import bind_model, plan_of
from mixfast.proportions._free import FreeWeights

DATA = Path(__file__).parents[1] / "tests" / "data"
REFERENCE = ("faithful", "iris", "diabetes", "acidity", "galaxies")
LOOPS = {None: EM, "auto": AcceleratedEM}
TRIALS, TRIAL_PASSES = 6, 15  # the table starts from the best of so many, after so many passes of EM
TIGHT = 1e-10
MAX_PASSES = 50_000
WORSE = 1e-6  # of the log-likelihood


class Problem(NamedTuple):
    """Rows and the mixture to fit."""

    name: str
    X: np.ndarray
    structure: str
    n_components: int


class Run(NamedTuple):
    """What a loop did from a start."""

    objectives: list
    passes_to: list  # passes made when each objective was accepted
    n_passes: int
    seconds: float


def read(name):
    return np.loadtxt(DATA / f"{name}.csv", delimiter=",", skiprows=1, ndmin=2)


def overlapping(n_rows, n_features, n_components, correlated, seed=0):
    """Rows around centres that are no further apart than the rows of one centre."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((n_components, n_features))
    labels = rng.integers(n_components, size=n_rows)
    mixing = np.eye(n_features) + correlated * rng.standard_normal((n_components, n_features, n_features))
    noise = rng.standard_normal((n_rows, n_features))
    return centres[labels] + np.einsum("nij,nj->ni", mixing[labels], noise)


def problems():
    faithful, iris = read("faithful"), read("iris")
    tied = overlapping(2000, 4, 5, 0)
    return [
        Problem("faithful", faithful, "tied", 3),
        Problem("faithful", faithful, "full", 3),
        Problem("overlapping n=2000 d=4", tied, "tied", 5),
        Problem("overlapping n=2000 d=4", tied, "full", 5),
        Problem("iris", iris, "full", 2),
        Problem("faithful", faithful, "full", 2),
        Problem("overlapping n=5000 d=2", overlapping(5000, 2, 3, 0.4, 1), "full", 3),
        Problem("overlapping n=20000 d=4", overlapping(20_000, 4, 6, 0.4, 2), "full", 6),
        Problem("overlapping n=20000 d=4", overlapping(20_000, 4, 6, 0.4, 2), "diag", 6),
        Problem("overlapping n=20000 d=8", overlapping(20_000, 8, 10, 0.4, 3), "full", 10),
    ]


def engine(problem, loop):
    family = STRUCTURES[problem.structure](1e-6)
    return LOOPS[loop](family.bind(problem.n_components, problem.X.shape[1], problem.X.dtype), Rows(problem.X))


def started(problem, method, seed):
    """(weights, params) of a start."""
    K, (_, d) = problem.n_components, problem.X.shape
    encoded = STRUCTURES[problem.structure](1e-6).encode(problem.X)
    rows = Rows(encoded.rows)
    model = bind_model(encoded, rows.X, K, d, problem.X.dtype, FreeWeights(), None)
    start = fit_rows(rows, rows, model, plan_of(GaussianMixture(max_iter=0), method, rows.X), seed, 1)
    return start.weights, start.params


def best_of_trials(problem):
    trials = []
    for seed in range(TRIALS):
        em = engine(problem, None)
        em.set_state(*started(problem, "k-means++", seed))
        objectives, _ = em.iterate(TRIAL_PASSES, 0)
        trials.append((objectives[-1], seed, em.state()))
    return max(trials)[2]


def run(problem, loop, state, tol=TIGHT):
    """Pass by pass, to know when each objective was reached, and once more in one go for the time."""
    em = engine(problem, loop)
    em.set_state(*state)
    objectives, passes_to, converged = [], [], False
    while not converged and em.n_passes < MAX_PASSES:
        found, converged = em.iterate(1, tol, objectives[-1:])
        objectives += found
        passes_to += [em.n_passes] * len(found)
    em.set_state(*state)
    begun = perf_counter()
    em.iterate(MAX_PASSES, tol)
    return Run(objectives, passes_to, em.n_passes, perf_counter() - begun)


def passes_until(result, n_rows, gap):
    """Passes until the log-likelihood is within `gap` of where the run ends."""
    reached = np.asarray(result.objectives) * n_rows >= result.objectives[-1] * n_rows - gap
    return result.passes_to[int(np.argmax(reached))]


def print_table(repeats):
    print(
        f"{'problem':24s} {'structure':9s} {'K':>2s}  {'passes to -1e-3':>15s}  {'to -1e-6':>11s}  "
        f"{f'to tol={TIGHT:g}':>13s}  {'milliseconds':>13s}  {'end':>8s}"
    )
    for problem in problems():
        state = best_of_trials(problem)
        runs = {loop: [run(problem, loop, state) for _ in range(repeats)] for loop in LOOPS}
        em, fast = (runs[loop][0] for loop in LOOPS)
        n_rows = len(problem.X)
        cells = [f"{passes_until(em, n_rows, gap)} / {passes_until(fast, n_rows, gap)}" for gap in (1e-3, 1e-6)]
        cells.append(f"{em.n_passes} / {fast.n_passes}")
        cells.append(" / ".join(f"{1e3 * median(r.seconds for r in runs[loop]):.1f}" for loop in LOOPS))
        end = (fast.objectives[-1] - em.objectives[-1]) * n_rows
        print(
            f"{problem.name:24s} {problem.structure:9s} {problem.n_components:2d}  {cells[0]:>15s}  {cells[1]:>11s}  "
            f"{cells[2]:>13s}  {cells[3]:>13s}  {end:+8.0e}",
            flush=True,
        )


def print_ends(n_starts, tol):
    """Fits from the same starts with both loops; `worse` by more than WORSE of the log-likelihood, or by tol."""
    print(
        f"{'start':18s} {'fits':>6s} {'worse':>6s} {'better':>7s} {'passes of EM':>13s} {'accelerated':>12s} "
        f"{'most extra':>11s}"
    )
    for method in ("kmeans", "k-means++", "random_from_data", "random"):
        n_fits = worse = better = em_passes = fast_passes = most = 0
        for name in REFERENCE:
            X = read(name)
            # with one column full, diagonal and spherical are the same
            for structure in STRUCTURES if X.shape[1] > 1 else ("tied", "spherical"):
                for n_components in (2, 3, 4, 5):
                    problem = Problem(name, X, structure, n_components)
                    em, fast = engine(problem, None), engine(problem, "auto")
                    for seed in range(n_starts):
                        state = started(problem, method, seed)
                        ends = []
                        for loop in (em, fast):
                            loop.set_state(*state)
                            ends.append(loop.iterate(MAX_PASSES, tol)[0][-1])
                        margin = max(WORSE * abs(ends[0]), tol)
                        n_fits += 1
                        worse += ends[1] < ends[0] - margin
                        better += ends[1] > ends[0] + margin
                        em_passes += em.n_passes
                        fast_passes += fast.n_passes
                        most = max(most, fast.n_passes - em.n_passes)
        print(
            f"{method:18s} {n_fits:6d} {worse:6d} {better:7d} {em_passes:13d} {fast_passes:12d} {most:11d}", flush=True
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ends", action="store_true", help="compare the ends of many fits instead")
    parser.add_argument("--starts", type=int, default=100, help="of each fit, for --ends (default %(default)s)")
    parser.add_argument("--tol", type=float, default=TIGHT, help="for --ends (default %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="of each time (default %(default)s)")
    options = parser.parse_args()
    print(f"$ python {shlex.join(sys.argv)}")
    if options.ends:
        print_ends(options.starts, options.tol)
    else:
        print_table(options.repeats)


if __name__ == "__main__":
    main()
