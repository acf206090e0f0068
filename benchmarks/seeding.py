"""How mixfast starts: when k-means should stop, what dropping poor starts early costs, what sharing passes could save.

python benchmarks/seeding.py                 # all three tables of docs/seeding.md: some minutes
python benchmarks/seeding.py --tables halving --seeds 5
"""

from __future__ import annotations

import argparse
import shlex
import sys
import warnings
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from compare import choice, positive, processor
from data import CASES, generate

from mixfast import GaussianMixture, seeding
from mixfast._em import EM
from mixfast._threads import resolve_threads
from mixfast.engine._rows import Rows
from mixfast.families.gaussian import STRUCTURES

TABLES = ("stop", "halving")
LLOYD_TOLS = (1e-1, 1e-2, 3e-3, 1e-3, 1e-4, 3e-5, 1e-5)
N_INIT = 10
LEVEL = 1e-3  # nats per row, EM's tolerance: lower bounds that are so close count as the same


def blobs(n_samples, n_features, n_clusters, spread, seed=0):
    """Round clusters of standard deviation one about centres of standard deviation `spread`."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, spread, (n_clusters, n_features))
    return centres[rng.integers(n_clusters, size=n_samples)] + rng.standard_normal((n_samples, n_features))


def shapes(n_samples, n_features, n_clusters, seed=0):
    """Clusters of unlike covariances."""
    rng = np.random.default_rng(seed)
    parts = [
        rng.standard_normal((n_samples // n_clusters, n_features)) @ rng.normal(0, 1, (n_features, n_features))
        + rng.normal(0, 4, n_features)
        for _ in range(n_clusters)
    ]
    return np.concatenate(parts)


def file(name):
    path = Path(__file__).parent.parent / "tests" / "data" / f"{name}.csv"
    return np.genfromtxt(path, delimiter=",", skip_header=1)[:, :4]


def problems():
    """name: (rows, components)"""
    return {
        "A, 10,000 rows": (generate(CASES["A"]._replace(n_samples=10_000)).X, 32),
        "overlapping": (blobs(10_000, 4, 20, 1.2), 20),
        "clear": (blobs(10_000, 2, 15, 8), 15),
        "shapes": (shapes(12_000, 5, 12), 12),
        "iris": (file("iris"), 3),
        "faithful": (file("faithful"), 2),
        "diabetes": (file("diabetes"), 3),
    }


def timed(call, *arguments):
    begin = perf_counter()
    result = call(*arguments)
    return perf_counter() - begin, result


def spread_over_seeds(fit, seeds):
    """Lower bounds, iterations and the median of seconds of fit(seed)."""
    runs = [timed(fit, seed) for seed in range(seeds)]
    return (
        np.array([model.lower_bound_ for _, model in runs]),
        np.array([model.n_iter_ for _, model in runs]),
        median(seconds for seconds, _ in runs),
    )


def stop(seeds):
    """When Lloyd's iterations should stop, with EM's default tolerance after them."""
    tol = seeding.LLOYD_TOL
    print(f"{'rows':16} {'LLOYD_TOL':>9} {'Lloyd':>6} {'EM':>6} {'lower bound':>12} {'best':>12} {'seconds':>8}")
    for name, (X, n_components) in problems().items():
        for seeding.LLOYD_TOL in LLOYD_TOLS:
            bounds, n_iter, seconds = spread_over_seeds(
                lambda seed, X=X, K=n_components: GaussianMixture(K, random_state=seed, max_iter=1000).fit(X), seeds
            )
            lloyd = np.mean([seeding.kmeans(Rows(X), n_components, seed).n_iter for seed in range(seeds)])
            print(
                f"{name:16} {seeding.LLOYD_TOL:9.0e} {lloyd:6.1f} {n_iter.mean():6.1f} {bounds.mean():12.5f} "
                f"{bounds.max():12.5f} {seconds:8.4f}",
                flush=True,
            )
    seeding.LLOYD_TOL = tol


def halving(seeds):
    """n_init_policy, with the five iterations between comparisons that it has; policies take turns, seed by seed."""
    policies = {
        "one start": {},
        "all": {"n_init": N_INIT},
        "halving": {"n_init": N_INIT, "n_init_policy": "halving"},
    }
    print(
        f"{'rows':16} {'policy':>11} {'lower bound':>12} {'loss':>8} {'worst':>8} {'as good':>8} {'seconds':>8} "
        f"{'speed-up':>8}"
    )
    for name, (X, n_components) in problems().items():
        bounds, seconds = (np.empty((len(policies), seeds)) for _ in range(2))
        for seed in range(seeds):
            for i, params in enumerate(policies.values()):
                model = GaussianMixture(n_components, random_state=seed, max_iter=1000, **params)
                seconds[i, seed], _ = timed(model.fit, X)
                bounds[i, seed] = model.lower_bound_
        loss = bounds[1] - bounds
        speed_up = np.median(seconds[1] / seconds, axis=1)
        for i, policy in enumerate(policies):
            print(
                f"{name:16} {policy:>11} {bounds[i].mean():12.5f} {loss[i].mean():8.5f} {loss[i].max():8.5f} "
                f"{np.mean(loss[i] < LEVEL):8.0%} {median(seconds[i]):8.4f} {speed_up[i]:8.1f}",
                flush=True,
            )


def iterate(shape, seconds=3):
    """EM and nothing else, for a profiler: the share of `pack` is what starts that share their passes could save."""
    n_samples, n_features, n_components = map(int, shape.split(",")[:3])
    family = STRUCTURES[shape.split(",")[3]](1e-6)
    em = EM(family.bind(n_components, n_features, np.float64), Rows(blobs(n_samples, n_features, n_components, 2)))
    em.set_state(np.full(n_components, 1 / n_components), family.blank(n_components, n_features))
    em.start_from_draws(0, 0)
    begin = perf_counter()
    while perf_counter() - begin < seconds:
        em.step()


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", help=f"{','.join(TABLES)} or all, the default")
    parser.add_argument("--seeds", type=positive, default=20, help="fits of each kind (default 20)")
    parser.add_argument("--iterate", metavar="ROWS,COLUMNS,K,STRUCTURE", help="only iterate, for a profiler")
    options = parser.parse_args(arguments)
    if options.iterate:
        iterate(options.iterate)
        return
    warnings.simplefilter("ignore")
    print(f"$ {shlex.join(['python', 'benchmarks/seeding.py', *arguments])}")
    print(f"# {processor()}, {resolve_threads(None)} threads")
    for table in choice(options.tables, TABLES, TABLES):
        {"stop": stop, "halving": halving}[table](options.seeds)


if __name__ == "__main__":
    main(sys.argv[1:])
