"""What the starts of `select` beside the estimator's own bring, and what they cost.

python benchmarks/selection.py               # both tables of docs/selection.md: some minutes
"""

from __future__ import annotations

import argparse
from collections import Counter
from statistics import median
from time import perf_counter

import numpy as np
from compare import positive, processor
from data import CASES, generate
from seeding import blobs, file, shapes

from mixfast import BernoulliMixture, GaussianMixture, select
from mixfast._threads import resolve_threads

COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")
#: Name of a way to search: n_init and warm_start.
WAYS = {"one start": (1, False), "two": (2, False), "three": (3, False), "all kinds": (1, True)}


def searches(X, estimator, n_init, warm_start, n_seeds, **grid):
    """Selections from so many seeds, and the median of their seconds."""
    selections, seconds = [], []
    for seed in range(n_seeds):
        begun = perf_counter()
        model = estimator.set_params(n_init=n_init)
        selections.append(select(X, model, warm_start=warm_start, random_state=seed, **grid))
        seconds.append(perf_counter() - begun)
    return selections, median(seconds)


def print_choices(n_seeds):
    """How often each model is chosen by BIC."""
    print(f"{'rows':<10} {'starts':<16} {'seconds':>7}  chosen by BIC")
    for name in ("faithful", "diabetes", "iris"):
        for way, (n_init, warm_start) in WAYS.items():
            found, seconds = searches(
                file(name), GaussianMixture(max_iter=500), n_init, warm_start, n_seeds, covariance_type=COVARIANCE_TYPES
            )
            choices = Counter(tuple(chosen.best_params_.values()) for chosen in found)
            shown = ", ".join(f"{n} {kind}: {times}" for (n, kind), times in choices.most_common())
            print(f"{name:<10} {way:<16} {seconds:7.2f}  {shown}")


def print_bounds(n_seeds):
    """Lower bounds over all numbers of components and seeds, less those of one start."""
    problems = {
        "shapes": (GaussianMixture(), shapes(3000, 4, 8)),
        "overlapping": (GaussianMixture(), blobs(3000, 4, 8, 1.5)),
        "A, 20,000 rows": (GaussianMixture(), generate(CASES["A"]._replace(n_samples=20_000, n_components=10)).X),
        "F, 2,000 rows": (BernoulliMixture(), generate(CASES["F"]._replace(n_samples=2_000)).X),
    }
    print(f"{'rows':<15} {'starts':<16} {'gain':>8} {'better':>7} {'worse':>6} {'seconds':>8}")
    for name, (estimator, X) in problems.items():
        base = None
        for way, (n_init, warm_start) in WAYS.items():
            found, seconds = searches(X, estimator, n_init, warm_start, n_seeds, n_components=range(1, 13))
            bounds = np.array([[row["lower_bound"] for row in chosen.table] for chosen in found])
            base = bounds if base is None else base
            gain = bounds - base
            better, worse = np.mean(gain > 1e-4), np.mean(gain < -1e-4)
            print(f"{name:<15} {way:<16} {gain.mean():8.5f} {better:7.0%} {worse:6.0%} {seconds:8.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=positive, default=10)
    n_seeds = parser.parse_args().seeds
    print(f"# {processor()}, {resolve_threads(None)} threads, {n_seeds} seeds")
    print_choices(n_seeds)
    print()
    print_bounds(n_seeds)


if __name__ == "__main__":
    main()
