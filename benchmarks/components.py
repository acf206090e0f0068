"""Very many components: what a row costs where each keeps a few of them (`max_active`), beside passes over all.

    python benchmarks/components.py                      # a table for K = 100 to 100,000
    python benchmarks/components.py --plot docs/components.png
    python benchmarks/components.py --gap                # log-likelihoods beside those of fits with all components
    python benchmarks/components.py --starts             # starts, beside scikit-learn's k-means and faiss

Times are of one thread, in processor time, so that they mean something on a busy machine: both kinds of passes are
shared among threads in the same way. Rows are drawn around K means, which are standard normal times `--spread`, with
standard deviation 1; iterations begin at the true means, so that no start is timed. Passes over all components are made
of fewer rows, of which each costs the same; pruning is off in them.
"""

import argparse
import time
import warnings

import numpy as np

from mixfast import GaussianMixture
from mixfast._em import EM
from mixfast.engine._pass import Pass
from mixfast.engine._rows import Rows
from mixfast.estimators.gaussian_mixture import STRUCTURES
from mixfast.families.gaussian import SphericalGaussian


def rows_and_means(n_rows, n_columns, n_components, spread, seed=0):
    rng = np.random.default_rng(seed)
    means = spread * rng.normal(size=(n_components, n_columns))
    return means[rng.integers(n_components, size=n_rows)] + rng.normal(size=(n_rows, n_columns)), means


def engine_at(X, means, structure):
    """EM at unit variances about the means, and components alike."""
    K, d = means.shape
    weights, family = np.full(K, 1 / K), STRUCTURES[structure](reg_covar=1e-6)
    em, alike = (EM(family.bind(K, d, X.dtype), Rows(X)), Pass(SphericalGaussian().bind(K, d, X.dtype), Rows(X)))
    em.set_state(weights, family.located(means))
    alike.set_state(weights, SphericalGaussian().located(means))
    return em, alike


def times_of_steps(em, n_steps):
    times = []
    for _ in range(n_steps):
        begin = time.process_time()
        em.step()
        times.append(time.process_time() - begin)
    return times


def compare(n_rows, n_columns, n_components, n_active, spread, structure, n_steps):
    X, means = rows_and_means(n_rows, n_columns, n_components, spread)
    em, alike = engine_at(X, means, structure)
    begin = time.process_time()
    em.truncate(n_active, alike)
    found = time.process_time() - begin
    times = times_of_steps(em, n_steps)
    n_few = int(np.clip(4e8 / (n_components * n_columns), 480, n_rows))
    dense, _ = engine_at(np.ascontiguousarray(X[:n_few]), means, structure)
    dense.prunes = False
    step = min(times_of_steps(dense, 2)) / n_few
    kept = np.median(times) / n_rows
    looked, added = (share * n_components for share in em.work)
    print(
        f"{n_components:9,} {found / n_rows * 1e6:12.2f} {kept * 1e6:12.2f} {looked:10.0f} {added:10.0f}"
        f" {step * 1e6:12.2f} {step / kept:9.1f}",
        flush=True,
    )
    return n_components, kept * 1e6, step * 1e6


def draw(path, rows):
    """A picture of what a row costs, by how many components there are; both scales are logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    K, kept, dense = zip(*rows, strict=True)
    figure, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
    ax.loglog(K, dense, "s-", color="#d55e00", label="all components")
    ax.loglog(K, kept, "o-", color="#0072b2", label="a few of each row (max_active)")
    for values, offset in ((kept, -13), (dense, 7)):
        for x, y in zip(K, values, strict=True):
            said = f"{y:.0f}" if y >= 10 else f"{y:.2g}"
            ax.annotate(said, (x, y), (0, offset), textcoords="offset points", ha="center")
    ax.set(xlabel="components", ylabel="\N{MICRO SIGN}s of one processor for a row", xlim=(K[0] / 2, K[-1] * 2))
    ax.set_ylim(min(kept) / 3, max(dense) * 3)
    ax.legend()
    figure.savefig(path, dpi=80)


def gap(n_rows, n_columns, n_components, spread, structure):
    """Whole fits: the mean log-likelihood by all components, and what part of the truncated one it is."""
    X, _ = rows_and_means(n_rows, n_columns, n_components, spread)
    for n_active in (None, 1, 3, 5, 10):
        begin = time.process_time()
        model = GaussianMixture(
            n_components, covariance_type=structure, max_active=n_active, tol=1e-4, max_iter=50, random_state=0
        ).fit(X)
        print(
            f"max_active={n_active!s:>5}: log-likelihood {model.score(X):9.4f}  lower bound {model.lower_bound_:9.4f}  "
            f"{model.n_iter_:3} iterations, {time.process_time() - begin:6.1f} s",
            flush=True,
        )


def starts(n_rows, n_columns, n_components, spread):
    """Mean square distance of rows to the nearest centre, and seconds."""
    X, means = rows_and_means(n_rows, n_columns, n_components, spread)

    def report(name, fit):
        begin, wall = time.process_time(), time.perf_counter()
        centres = fit()
        used, waited = time.process_time() - begin, time.perf_counter() - wall
        print(f"{name:32} {distortion(X, centres):9.4f} {used:9.1f} s {waited:9.1f} s waited", flush=True)

    def mixfast_start(n_active):
        options = {"covariance_type": "spherical", "max_active": n_active, "max_iter": 0, "random_state": 0}
        return GaussianMixture(n_components, **options).fit(X).means_

    print(f"{'true means':32} {distortion(X, means):9.4f}")
    report("mixfast, max_active=5", lambda: mixfast_start(5))
    from sklearn.cluster import KMeans, MiniBatchKMeans

    report(
        "scikit-learn MiniBatchKMeans",
        lambda: MiniBatchKMeans(n_components, n_init=1, batch_size=4096, random_state=0).fit(X).cluster_centers_,
    )
    try:
        import faiss
    except ImportError:
        print("faiss is not installed")
    else:
        index = faiss.Kmeans(n_columns, n_components, niter=25, seed=1, max_points_per_centroid=10**9)

        def by_faiss():
            index.train(X.astype(np.float32))
            return index.centroids.astype(np.float64)

        report("faiss, 25 iterations", by_faiss)
    report("mixfast, all components", lambda: mixfast_start(None))
    report(
        "scikit-learn KMeans",
        lambda: KMeans(n_components, n_init=1, random_state=0, max_iter=25).fit(X).cluster_centers_,
    )


def distortion(X, centres):
    total, squares = 0.0, np.sum(centres**2, axis=1)
    for first in range(0, len(X), 2000):
        rows = X[first : first + 2000]
        total += np.sum(np.min(squares - 2 * rows @ centres.T, axis=1)) + np.sum(rows**2)
    return total / len(X)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--columns", type=int, default=32)
    parser.add_argument("--components", type=int, nargs="+", default=[100, 1000, 10_000, 100_000])
    parser.add_argument("--active", type=int, default=5)
    parser.add_argument("--spread", type=float, default=1.0)
    parser.add_argument("--structure", default="diag")
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--plot", metavar="FILE", help="draw what a row costs there")
    parser.add_argument("--gap", action="store_true")
    parser.add_argument("--starts", action="store_true")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    for n_components in args.components:
        if args.gap:
            gap(args.rows, args.columns, n_components, args.spread, args.structure)
        elif args.starts:
            starts(args.rows, args.columns, n_components, args.spread)
        else:
            if n_components == args.components[0]:
                print("        K   us/row: found    an iteration candidates statistics   all of them     ratio")
            problem = args.rows, args.columns, n_components, args.active, args.spread, args.structure
            rows.append(compare(*problem, args.steps))
    if args.plot:
        draw(args.plot, rows)


if __name__ == "__main__":
    main()
