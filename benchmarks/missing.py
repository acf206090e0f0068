"""Rows with missing entries beside complete ones: processor time of an iteration.

python benchmarks/missing.py [--structures full,tied,diag,spherical]

Holes are drawn at random: half of 10 columns, which leaves all 1,023 patterns, and a tenth of 20. "few" has one column
missing in half of the rows and another in a sixth, so three patterns. Clusters lie upon each other; where they are
apart, complete rows are pruned to one component, and rows with missing entries are not. Tied complete rows are linear
forms, rows with missing entries are imputed first. Structures are all that `covariance_type` names: shapes too.
"""

import argparse
import statistics
import time
import warnings

import numpy as np

from mixfast import GaussianMixture

N_ROWS, N_COMPONENTS, N_ITER, REPEATS = 10_000, 5, 100, 5


def milliseconds(X, labels, structure):
    """Of an iteration: the difference of two fits."""
    taken = []
    for max_iter in (2, 2 + N_ITER):
        model = GaussianMixture(
            N_COMPONENTS, covariance_type=structure, tol=0, max_iter=max_iter, init_params=labels, n_threads=1
        )
        start = time.process_time()
        model.fit(X)
        taken.append(time.process_time() - start)
    return 1e3 * (taken[1] - taken[0]) / N_ITER


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", default="full,tied,diag,spherical", help="separated by commas")
    structures = parser.parse_args().structures.split(",")
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    for d, share in ((10, 0.5), (20, 0.1)):
        labels = rng.integers(N_COMPONENTS, size=N_ROWS)
        complete = rng.normal(size=(N_ROWS, d)) + 0.5 * rng.normal(size=(N_COMPONENTS, d))[labels]
        few, many = complete.copy(), complete.copy()
        few[: N_ROWS // 2, 0] = np.nan
        few[N_ROWS // 2 : 2 * N_ROWS // 3, 1] = np.nan
        many[rng.random(many.shape) < share] = np.nan
        many[np.isnan(many).all(axis=1), 0] = 0
        n_patterns = len(np.unique(np.isnan(many), axis=0))
        rows = {"complete": complete, "few": few, "many": many}
        for structure in structures:
            taken = {name: [] for name in rows}
            for _ in range(REPEATS):
                for name, X in rows.items():
                    taken[name].append(milliseconds(X, labels, structure))
            least, *others = (statistics.median(times) for times in taken.values())
            print(
                f"{N_ROWS} x {d}, {structure}: {least:.2f} ms complete, three patterns {others[0] / least:.1f} times, "
                f"{n_patterns} patterns {others[1] / least:.1f} times",
                flush=True,
            )


if __name__ == "__main__":
    main()
