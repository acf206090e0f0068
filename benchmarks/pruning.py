"""How much time leaving out what is zero saves: EM with and without it, for growing numbers of components.

Both engines start from the same parameters and take turns, iteration by iteration. `python benchmarks/pruning.py`
prints a table in Markdown; `--write docs/performance.md` puts it there.
"""

from __future__ import annotations

import argparse
import os
from statistics import median
from time import perf_counter

import numpy as np
from document import heading, replace_table

N_ITER = 20
SPREADS = {
    1.5: "8",
    3.0: "17",
}  # standard deviation of centres in each column: distance of two centres, in those of rows


def groups(n_samples, n_features, n_components, spread, seed=0):
    """Rows of groups of one size with correlated columns, and where EM starts: near the centres."""
    rng = np.random.default_rng(seed)
    centres = spread * rng.standard_normal((n_components, n_features))
    labels = rng.integers(n_components, size=n_samples)
    mixing = np.eye(n_features) + rng.normal(0, 0.1 / np.sqrt(n_features), (n_components, n_features, n_features))
    X = rng.standard_normal((n_samples, n_features))
    for k in range(n_components):
        X[labels == k] = X[labels == k] @ mixing[k].T
    return X + centres[labels], centres + 0.5 * rng.standard_normal(centres.shape)


def engine(structure, X, means, prunes, n_threads):
    from mixfast._em import EM
    from mixfast.engine._rows import Rows
    from mixfast.families.gaussian import STRUCTURES

    n_components, n_features = means.shape
    family = STRUCTURES[structure]()
    layout = family.params_layout(n_components, n_features)
    _, shape, _ = layout.shapes
    unit = np.eye(n_features) if structure in ("full", "tied") else 1.0
    covariances = np.broadcast_to(1.5 * unit, shape)
    em = EM(family.bind(n_components, n_features, X.dtype), Rows(X), n_threads)
    em.prunes = prunes
    params = layout.pack((means, covariances, family.factor_covariances(covariances)))
    em.set_state(np.full(n_components, 1 / n_components), params)
    return em


def race(structure, X, means, n_iter, n_threads):
    """Seconds of each iteration (pruned, dense), the last shares of work, the largest relative difference."""
    engines = [engine(structure, X, means, prunes, n_threads) for prunes in (True, False)]
    seconds, objectives = ([], []), ([], [])
    for _ in range(n_iter):
        for em, own_seconds, own_objectives in zip(engines, seconds, objectives, strict=True):
            begin = perf_counter()
            own_objectives.append(em.step())
            own_seconds.append(perf_counter() - begin)
    pruned, dense = np.array(objectives)
    return *seconds, engines[0].work, np.max(np.abs(pruned / dense - 1))


HEAD = """\
| structure | components | distance | dense | pruned, late | whole fit | late | densities | statistics | difference |
|---|---|---|---|---|---|---|---|---|---|"""


def lines(options):
    for structure, spread, n_components in options:
        X, means = groups(200_000, 16, n_components, spread)
        pruned, dense, work, difference = race(structure, X, means, N_ITER, len(os.sched_getaffinity(0)))
        late = median(pruned[-N_ITER // 4 :])
        yield (
            f"| {structure} | {n_components} | {SPREADS[spread]} | {median(dense):.4f} | {late:.4f} | "
            f"{sum(dense) / sum(pruned):.1f}x | {median(dense) / late:.1f}x | {work[0]:.1%} | {work[1]:.1%} | "
            f"{difference:.0e} |"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", metavar="FILE", help="the document whose table `pruning` is replaced")
    options = parser.parse_args()
    sizes = (16, 64, 256, 1024)
    cases = [("full", spread, n_components) for spread in SPREADS for n_components in sizes]
    cases += [(structure, 3.0, 256) for structure in ("diag", "spherical", "tied")]
    command = "python benchmarks/pruning.py" + (f" --write {options.write}" if options.write else "")
    table = [heading(command), "", HEAD]
    print("\n".join(table))
    for line in lines(cases):
        print(line, flush=True)
        table.append(line)
    if options.write:
        replace_table(options.write, "pruning", table)


if __name__ == "__main__":
    main()
