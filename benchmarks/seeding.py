"""How mixfast starts: when k-means should stop, what dropping poor starts early costs, what views of the rows beside
k-means' bring and cost, what sharing passes could save.

python benchmarks/seeding.py                 # all tables of docs/seeding.md: some minutes
python benchmarks/seeding.py --tables halving --seeds 5
python benchmarks/seeding.py --tables views --seeds 30 --structure diag
python benchmarks/seeding.py --tables views --seeds 20 --rows 10000
python benchmarks/seeding.py --tables cost --seeds 5
"""

from __future__ import annotations

import argparse
import itertools
import shlex
import sys
import warnings
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import numpy as np
from compare import choice, positive, processor
from data import CASES, generate
from scipy.stats import binomtest
from sklearn.datasets import load_breast_cancer, load_wine

from mixfast import GaussianMixture, Status, StudentTMixture, seeding
from mixfast._em import EM
from mixfast._threads import resolve_threads
from mixfast.engine._rows import Rows
from mixfast.families.gaussian import STRUCTURES

TABLES = ("stop", "halving", "views", "cost")
KINDS = {"gaussian": GaussianMixture, "student_t": StudentTMixture}
LLOYD_TOLS = (1e-1, 1e-2, 3e-3, 1e-3, 1e-4, 3e-5, 1e-5)
N_INIT = 10
COST_ROWS, COST_COLUMNS, COST_COMPONENTS = (500, 2000, 10_000, 100_000), (2, 8, 32), (3, 8, 32)
COST_STRUCTURES = ("full", "tied", "diag", "spherical")
#: Kinds of rows that are files, and one of many components in many columns.
OF_ONE_SIZE = ("A, 3,000 rows", "iris", "faithful", "diabetes", "wine", "breast cancer")
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


def cigars(rng, n_samples=600, n_clusters=4):
    """Parallel: standard deviations of 10 along and 0.12 across, and 1 apart."""
    rows = np.column_stack(
        [
            10 * rng.standard_normal(n_samples),
            rng.integers(n_clusters, size=n_samples) + 0.12 * rng.standard_normal(n_samples),
        ]
    )
    return rows @ [[0.8, 0.6], [-0.6, 0.8]]


def rare(rng, n_samples=1500):
    """Eight clusters, each half as frequent as the one before."""
    weights = 0.5 ** np.arange(8)
    own = rng.choice(8, n_samples, p=weights / weights.sum())
    centres, spreads = rng.normal(0, 6, (8, 3)), rng.uniform(0.5, 1.5, (8, 3))
    return centres[own] + spreads[own] * rng.standard_normal((n_samples, 3))


def rings(rng, n_samples=800):
    angles, outer = rng.uniform(0, 2 * np.pi, n_samples), rng.integers(2, size=n_samples)
    radii = np.where(outer, 6, 2) + 0.3 * rng.standard_normal(n_samples)
    return np.column_stack([radii * np.cos(angles), radii * np.sin(angles)])


def heavy_tails(rng, n_samples=1200):
    centres = rng.normal(0, 5, (6, 4))
    return centres[rng.integers(6, size=n_samples)] + rng.standard_t(2.5, (n_samples, 4))


def money(rng, n_samples=1000):
    """Amounts over some orders of magnitude, of which many are 0."""
    middles = np.array([[7, 5, 0], [9, 6, 4], [10, 8, 7], [11, 4, 9]])
    own = rng.choice(4, n_samples, p=[0.4, 0.3, 0.2, 0.1])
    amounts = np.exp(middles[own] + 0.6 * rng.standard_normal((n_samples, 3)))
    return amounts * (rng.random((n_samples, 3)) < [1, 0.8, 0.5])


def correlated(rng, n_samples=1500):
    """Round clusters, mapped so that some directions are 128 times as long as others."""
    centres = rng.normal(0, 3, (6, 8))
    rows = centres[rng.integers(6, size=n_samples)] + rng.standard_normal((n_samples, 8))
    return rows @ rng.normal(size=(8, 8)) @ np.diag(2.0 ** np.arange(8))


def uneven(rng, n_samples=1000):
    """Round clusters of standard deviations from 0.2 to 4."""
    own, centres = rng.integers(5, size=n_samples), rng.normal(0, 5, (5, 2))
    return centres[own] + np.array([0.2, 0.5, 1, 2, 4])[own, np.newaxis] * rng.standard_normal((n_samples, 2))


def kinds(n_samples=None):
    """name: (rows of a seed, components); n_samples, where it is given, in the place of each kind's own number."""
    rng = np.random.default_rng

    def n(own):
        return n_samples or own

    case = CASES["A"]._replace(n_samples=n(3000))
    found = {
        "A, 3,000 rows": (lambda seed: generate(case).X, 32),
        "overlapping": (lambda seed: blobs(n(2000), 4, 20, 1.2, seed), 20),
        "clear": (lambda seed: blobs(n(2000), 2, 15, 8, seed), 15),
        "shapes": (lambda seed: shapes(n(2400), 5, 12, seed), 12),
        "iris": (lambda seed: file("iris"), 3),
        "faithful": (lambda seed: file("faithful"), 2),
        "diabetes": (lambda seed: file("diabetes"), 3),
        "wine": (lambda seed: load_wine().data[:, :6], 3),
        "breast cancer": (lambda seed: load_breast_cancer().data[:, :6], 3),
        "cigars": (lambda seed: cigars(rng(seed), n(600)), 4),
        "overlapping, 30": (lambda seed: blobs(n(3000), 3, 30, 1.5, seed), 30),
        "rare clusters": (lambda seed: rare(rng(seed), n(1500)), 8),
        "lognormal": (lambda seed: np.exp(0.7 * blobs(n(1000), 3, 5, 1, seed)), 5),
        "rings": (lambda seed: rings(rng(seed), n(800)), 8),
        "heavy tails": (lambda seed: heavy_tails(rng(seed), n(1200)), 6),
        "money with zeros": (lambda seed: money(rng(seed), n(1000)), 4),
        "several units": (lambda seed: blobs(n(1000), 5, 6, 3, seed) * [1000, 1, 0.01, 50, 3], 6),
        "correlated": (lambda seed: correlated(rng(seed), n(1500)), 6),
        "uneven": (lambda seed: uneven(rng(seed), n(1000)), 5),
    }
    return found if n_samples is None else {name: own for name, own in found.items() if name not in OF_ONE_SIZE}


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
                lambda seed, X=X, K=n_components: GaussianMixture(
                    K, init_params="kmeans", random_state=seed, max_iter=1000
                ).fit(X),
                seeds,
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
                model = GaussianMixture(n_components, init_params="kmeans", random_state=seed, max_iter=1000, **params)
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


def views(seeds, kind, structure, n_samples, tol):
    """init_params="auto" beside k-means: lower bounds seed by seed, and processor time of fits, best of three, in turn.
    A fit with a spurious component is worse than any without; of two with one neither is better."""
    print(f"{kind.__name__}, covariance_type={structure!r}, tol={tol:g}, {seeds} seeds")
    print(
        f"{'rows':17} {'better':>6} {'equal':>6} {'worse':>6} {'p':>7} {'median gain':>11} {'spurious':>9} "
        f"{'EM':>11} {'ms':>15} {'ratio':>6}"
    )
    names, total = ("kmeans", "auto"), np.zeros(3, dtype=int)
    for name, (make, n_components) in kinds(n_samples).items():
        bounds, n_iter, spurious, seconds = (np.zeros((2, seeds)) for _ in range(4))
        for seed in range(seeds):
            X, times = make(seed), [[], []]
            for i in (0, 1) * 3:
                model = kind(
                    n_components,
                    covariance_type=structure,
                    tol=tol,
                    init_params=names[i],
                    random_state=seed,
                    max_iter=200 if tol >= GaussianMixture().tol else 2000,
                )
                begin = process_time()
                model.fit(X)
                times[i].append(process_time() - begin)
                bounds[i, seed], n_iter[i, seed] = model.lower_bound_, model.n_iter_
                spurious[i, seed] = Status.SPURIOUS_COMPONENT in model.status_
            seconds[:, seed] = np.min(times, axis=1)
        gain = np.where(np.any(spurious, axis=0), spurious[0] - spurious[1], bounds[1] - bounds[0])
        counts = np.array([np.sum(gain > LEVEL), np.sum(np.abs(gain) <= LEVEL), np.sum(gain < -LEVEL)])
        total += counts
        n_apart = int(counts[0] + counts[2])
        p = binomtest(int(counts[0]), n_apart).pvalue if n_apart else 1.0
        print(
            f"{name:17} {counts[0]:6d} {counts[1]:6d} {counts[2]:6d} {p:7.1g} {np.median(gain):11.4f} "
            f"{'{:.0f} {:.0f}'.format(*spurious.sum(axis=1)):>9} {'{:.1f} {:.1f}'.format(*n_iter.mean(axis=1)):>11} "
            f"{'{:.2f} {:.2f}'.format(*1e3 * np.median(seconds, axis=1)):>15} "
            f"{np.median(seconds[1] / seconds[0]):6.2f}",
            flush=True,
        )
    print(f"{'all':17} {total[0]:6d} {total[1]:6d} {total[2]:6d}")


def processor_seconds(X, n_components, structure, seed, n_times):
    """Of whole fits from k-means and from "auto", in turn, the least of n_times."""
    seconds = np.empty((n_times, 2))
    for i, name in itertools.product(range(n_times), (0, 1)):
        model = GaussianMixture(
            n_components,
            covariance_type=structure,
            init_params=("kmeans", "auto")[name],
            random_state=seed,
            n_threads=1,
        )
        begin = process_time()
        model.fit(X)
        seconds[i, name] = process_time() - begin
    return seconds.min(axis=0)


def cost(seeds):
    """init_params="auto" beside k-means, on round clusters whose centres have a standard deviation of two: the median
    over seeds of the ratio of processor times of whole fits."""
    print(
        f"{'rows':>7} {'columns':>7} {'K':>3} " + " ".join(f"{own:>9}" for own in COST_STRUCTURES) + "  ms from k-means"
    )
    ratios = []
    for n_samples, n_features, n_components in itertools.product(COST_ROWS, COST_COLUMNS, COST_COMPONENTS):
        n_times = 7 if n_samples <= 2000 else 3 if n_samples <= 10_000 else 1
        problems = [blobs(n_samples, n_features, n_components, 2, seed) for seed in range(seeds)]
        seconds = np.array(
            [
                [processor_seconds(X, n_components, structure, seed, n_times) for seed, X in enumerate(problems)]
                for structure in COST_STRUCTURES
            ]
        )
        own = np.median(seconds[..., 1] / seconds[..., 0], axis=1)
        ratios.append(own)
        print(
            f"{n_samples:7d} {n_features:7d} {n_components:3d} "
            + " ".join(f"{ratio:9.2f}" for ratio in own)
            + "  "
            + " ".join(f"{1e3 * median(times):.2f}" for times in seconds[..., 0]),
            flush=True,
        )
    print(f"median {np.median(ratios):.2f}, largest {np.max(ratios):.2f}")


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
    parser.add_argument("--kind", choices=KINDS, default="gaussian", help="components of the table views")
    parser.add_argument("--structure", default="full", help="covariance_type of the table views (default full)")
    parser.add_argument("--rows", type=positive, help="of each kind of the table views, in the place of its own number")
    parser.add_argument("--tol", type=float, default=1e-3, help="of the fits of the table views (default 1e-3)")
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
        if table == "views":
            views(options.seeds, KINDS[options.kind], options.structure, options.rows, options.tol)
        else:
            {"stop": stop, "halving": halving, "cost": cost}[table](options.seeds)


if __name__ == "__main__":
    main(sys.argv[1:])
