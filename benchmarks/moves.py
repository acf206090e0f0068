"""What the numbers in `mixfast/moves.py` are worth: other values of each, beside those that are there.

    python benchmarks/moves.py

A line for each: processor time, iterations, and by how many nats bounds of all searches together are lower or higher
than with the values that are there, counting those that differ by more than one nat.
"""

import time

import numpy as np

from mixfast import moves
from mixfast.families.posteriors import POSTERIORS
from mixfast.moves import Problem, Search, State
from mixfast.proportions._sticks import Sticks

#: Rows, columns, clusters and the standard deviation of their centres, where clusters have 1.
KINDS = ((3000, 8, 16, 3.0), (2000, 2, 10, 5.0), (2000, 4, 12, 2.0), (3000, 2, 40, 12.0))
N_SEEDS = 30
OTHERS = {
    "HOPEFUL": (0, 2, 20),
    "HOPE": (0.005, 0.1),
    "CUTS": ((0.5,), (0.5, 0.25, 0.75, 0.1, 0.9)),
    "INNER": (3, 30),
    "AFTER": (1, 5),
    "BETWEEN": (3, 30),
    "DELETING": (1, 5),
    "DIVIDED": (0.01, 0.5),
    "MOST_ROWS": (100, 1000),
    "TOUCHED": (1e-4,),
    "BORN": (0.5, 3.0),
}


def problem_of(n_rows, n_columns, n_clusters, spread, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(n_clusters, size=n_rows)
    X = spread * rng.normal(size=(n_clusters, n_columns))[labels] + rng.normal(size=(n_rows, n_columns))
    family = POSTERIORS["full"](0.01, n_columns + 2.0, np.zeros(n_columns), np.eye(n_columns))
    return Problem(family.encode(X), n_columns, X.dtype, Sticks(1.0))


def searches(problems):
    """(bounds, iterations, seconds of the processor)"""
    began, bounds, n_iter = time.process_time(), [], 0
    for problem in problems:
        em = problem.em(1)
        em.set_state(*problem.blank(1))
        em.start_from_labels(np.zeros(problem.n_rows, dtype=np.int64))
        search = Search(problem, 1, State(*em.state()), max_iter=3000).run()
        bounds.append(search.bounds[-1])
        n_iter += search.n_iter
    return np.array(bounds), n_iter, time.process_time() - began


def main():
    problems = [problem_of(*kind, seed) for kind in KINDS for seed in range(N_SEEDS)]
    known, n_iter, seconds = searches(problems)
    print(f"as they are: {seconds:.1f} s, {n_iter} iterations", flush=True)
    for name, values in OTHERS.items():
        kept = getattr(moves, name)
        for value in values:
            setattr(moves, name, value)
            bounds, n_iter, seconds = searches(problems)
            lower, higher = known - bounds > 1, bounds - known > 1
            print(
                f"{name} {value}: {seconds:.1f} s, {n_iter} iterations, lower by {(known - bounds)[lower].sum():.0f} "
                f"in {lower.sum()}, higher by {(bounds - known)[higher].sum():.0f} in {higher.sum()}",
                flush=True,
            )
        setattr(moves, name, kept)


if __name__ == "__main__":
    main()
