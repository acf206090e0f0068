"""Bayesian mixtures beside EM and scikit-learn: `python benchmarks/bayesian.py [--cases a,b] [--repeats 5] [--cpu]`.

    iteration    one iteration of variational Bayes beside one of EM on the same rows, and of scikit-learn's class
    fit          a default fit beside scikit-learn's
    many         10,000 fits of 500 rows of one column, by `fit_many`, beside a loop of scikit-learn's over some
    columns      the columns of a table, 10 components each, as encoders of tables make them: time and bound
    grid         labels found in drawn clusters of many shapes; takes an hour; --cells 1000x8x32,.. of them
    large        100,000 x 128 rows in 79 clusters; takes an hour
    clusters     births, ten, twenty: clusters found from one component, and what scikit-learn finds with too many

Contenders of a case run in turns, in one process; figures are medians, ratios are of the same run. Rows are seeded.
With `--cpu` times are those of processors, for machines with other work: set OMP_NUM_THREADS=1 and
OPENBLAS_NUM_THREADS=1 so that nobody waits for threads.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings

import numpy as np


def clusters(n, d, n_clusters, spread, seed=0):
    """(rows, labels): standard normal around centres of that standard deviation."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n_clusters, d)) * spread
    labels = rng.integers(n_clusters, size=n)
    return centres[labels] + rng.normal(size=(n, d)), labels


def planar(n, n_clusters, spread, seed):
    """(rows, labels): two columns, each cluster with a covariance of its own."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n_clusters, 2)) * spread
    factors = rng.normal(size=(n_clusters, 2, 2)) * 0.6 + np.eye(2)
    labels = rng.integers(n_clusters, size=n)
    return centres[labels] + np.einsum("nij,nj->ni", factors[labels], rng.normal(size=(n, 2))), labels


#: What the command line changes: the clock; rows, columns and clusters of the cells of `grid`, its seeds and models.
RUN = argparse.Namespace(
    clock=time.perf_counter,
    cells=[(n, d, k) for n in (1_000, 10_000) for d in (2, 8, 32) for k in (4, 8, 16, 32)],
    seeds=5,
    models=[],
)


def seconds(function):
    start = RUN.clock()
    function()
    return RUN.clock() - start


def in_turns(functions, repeats):
    """Medians of the seconds of each, which run one after the other, so many times."""
    taken = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            taken[name].append(seconds(function))
    return {name: statistics.median(own) for name, own in taken.items()}


def per_iteration(fit, few, many):
    """Seconds of an iteration: what those between take."""
    return (seconds(lambda: fit(many)) - seconds(lambda: fit(few))) / (many - few)


def iteration(repeats):
    from sklearn.mixture import BayesianGaussianMixture as Theirs

    from mixfast import BayesianGaussianMixture, GaussianMixture

    for n, d, k in ((50_000, 8, 16), (100_000, 16, 32)):
        X, labels = clusters(n, d, k, 3.0)
        options = {"tol": 0, "init_params": labels}
        fits = {
            "EM": lambda n_iter, X=X, k=k, own=options: GaussianMixture(k, max_iter=n_iter, **own).fit(X),
            "variational": lambda n_iter, X=X, k=k, own=options: BayesianGaussianMixture(k, max_iter=n_iter, **own).fit(
                X
            ),
        }
        taken = {name: [] for name in fits}
        for _ in range(repeats):
            for name, fit in fits.items():
                taken[name].append(per_iteration(fit, 5, 45))
        theirs = [
            per_iteration(
                lambda n_iter, X=X, k=k: Theirs(n_components=k, tol=0, max_iter=n_iter, random_state=0).fit(X), 1, 4
            )
            for _ in range(max(repeats // 2, 1))
        ]
        em, vb = (statistics.median(taken[name]) for name in ("EM", "variational"))
        ratio = statistics.median(b / a for a, b in zip(*taken.values(), strict=True))
        print(
            f"iteration {n} x {d}, K={k}: EM {em * 1e3:.2f} ms, variational {vb * 1e3:.2f} ms, ratio {ratio:.2f}; "
            f"scikit-learn {statistics.median(theirs) * 1e3:.0f} ms, {statistics.median(theirs) / vb:.0f} times",
            flush=True,
        )


def fit(repeats):
    from sklearn.mixture import BayesianGaussianMixture as Theirs

    from mixfast import BayesianGaussianMixture

    for n, d, k in ((50_000, 8, 16), (100_000, 16, 32)):
        X, _ = clusters(n, d, k, 3.0)
        found = {}

        def run(cls, name, X=X, k=k, found=found):
            found[name] = cls(n_components=k, random_state=0).fit(X)

        taken = in_turns(
            {
                "mixfast": lambda run=run: run(BayesianGaussianMixture, "mixfast"),
                "scikit-learn": lambda run=run: run(Theirs, "scikit-learn"),
            },
            max(repeats // 2, 1),
        )
        ours, theirs = found["mixfast"], found["scikit-learn"]
        print(
            f"fit {n} x {d}, K={k}: mixfast {taken['mixfast']:.3f} s, {ours.n_iter_} iterations; scikit-learn "
            f"{taken['scikit-learn']:.2f} s, {theirs.n_iter_}; {taken['scikit-learn'] / taken['mixfast']:.0f} times",
            flush=True,
        )


def many(repeats):
    from sklearn.mixture import BayesianGaussianMixture as Theirs

    from mixfast import BayesianGaussianMixture, fit_many

    rng = np.random.default_rng(0)
    problems = rng.normal(size=(10_000, 500, 1)) + 4 * (rng.random((10_000, 500, 1)) < 0.4)
    some = 30
    for k in (2, 10):
        found = {}

        def ours(k=k, found=found):
            found["ours"] = fit_many(problems, BayesianGaussianMixture(k, random_state=0))

        def theirs(k=k, found=found):
            found["theirs"] = [Theirs(n_components=k, random_state=0).fit(X) for X in problems[:some]]

        taken = in_turns({"ours": ours, "theirs": theirs}, max(repeats // 2, 1))
        own, other = taken["ours"] / len(problems), taken["theirs"] / some
        print(
            f"many, K={k}: mixfast {own * 1e6:.0f} us a fit, {found['ours'].n_iter.mean():.1f} iterations; "
            "scikit-learn "
            f"{other * 1e3:.1f} ms, {np.mean([m.n_iter_ for m in found['theirs']]):.1f}; {other / own:.0f} times",
            flush=True,
        )


def columns(repeats):
    from sklearn.mixture import BayesianGaussianMixture as Theirs

    from mixfast import BayesianGaussianMixture, fit_many_columns
    from mixfast._reference.bayesian import gaussian, proportions, variational

    rng = np.random.default_rng(1)
    n, n_columns, some = 5_000, 200, 24
    table = np.column_stack(
        [
            np.concatenate([rng.normal(rng.normal(0, 5), rng.uniform(0.2, 2), size=n // 4) for _ in range(4)])
            for _ in range(n_columns)
        ]
    )
    options = {"n_components": 10, "weight_concentration_prior": 0.001, "random_state": 0}
    found = {}

    def ours(name, more):
        found[name] = fit_many_columns(table, BayesianGaussianMixture(**options, **more))

    def theirs():
        found["theirs"] = [Theirs(**options).fit(table[:, [j]]) for j in range(some)]

    makers = {"default": {}, "accelerated, at most 50": {"accelerate": "auto", "max_iter": 50}}
    taken = in_turns(
        {name: lambda name=name, more=more: ours(name, more) for name, more in makers.items()} | {"theirs": theirs},
        max(repeats // 2, 1),
    )
    bounds = []
    for j, model in enumerate(found["theirs"]):
        X = table[:, [j]]
        prior = gaussian.NormalInverseWishart(X.mean(axis=0), 1.0, 1.0, np.atleast_2d(np.cov(X.T)))
        bounds.append(variational.elbo(model.predict_proba(X), X, prior, proportions.Sticks(0.001)))
    other = taken["theirs"] / some
    print(
        f"columns of {n} rows, K=10: scikit-learn {other:.2f} s a column, "
        f"{np.mean([m.n_iter_ for m in found['theirs']]):.1f} iterations",
        flush=True,
    )
    for name in makers:
        own, rise = taken[name] / n_columns, found[name].lower_bound[:some] - np.array(bounds)
        print(
            f"    mixfast, {name}: {own * 1e3:.2f} ms a column, {found[name].n_iter.mean():.1f} iterations, "
            f"{other / own:.0f} times; bounds higher in {np.count_nonzero(rise > 0)} of {some} columns, by "
            f"{rise.mean():.1f} nats in the mean, {np.median(rise):.1f} in the median",
            flush=True,
        )


def clusters_found(repeats):
    from sklearn.metrics import normalized_mutual_info_score

    from mixfast import DirichletProcessMixture

    X, labels = clusters(20_000, 8, 16, 3.0)
    prior = {"m0": np.zeros(8), "kappa0": 1e-4, "nu0": 10, "Psi0": np.eye(8)}
    cases = {
        "births": (X, labels, {"prior": prior, "init_components": 1}),
        "ten": (*planar(10_000, 10, 10.0, 1), {}),
        "twenty": (*planar(20_000, 20, 14.0, 2), {}),
    }
    for name, (rows, truth, options) in cases.items():
        for algorithm, more in (("variational", {}), ("sampler", {"burn_in": 60, "n_draws": 40, "thin": 1})):
            if name == "births" and algorithm == "sampler":
                continue
            model = DirichletProcessMixture("full", algorithm=algorithm, random_state=0, **options, **more)
            taken = in_turns({"": lambda model=model, rows=rows: model.fit(rows)}, repeats)[""]
            found = model.labels_ if algorithm == "sampler" else model.predict(rows)
            bound = f", bound {model.lower_bound_:.3f}" if algorithm == "variational" else ""
            print(
                f"{name}, {algorithm}: {len(np.unique(found))} clusters, NMI "
                f"{normalized_mutual_info_score(truth, found):.4f}{bound}, {taken:.2f} s",
                flush=True,
            )


def drawn_clusters(n, d, n_clusters, seed):
    """(rows, labels): centres of variance 100 a column, 0.1 beyond four columns, and inverse Wishart covariances with
    d + 2 degrees of freedom; weights from a flat Dirichlet distribution."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n_clusters, d)) * np.sqrt(100 if d <= 4 else 0.1)
    labels = rng.choice(n_clusters, size=n, p=rng.dirichlet(np.ones(n_clusters)))
    rows = np.empty((n, d))
    for k in range(n_clusters):
        own = labels == k
        precision = rng.normal(size=(d + 2, d))
        root = np.linalg.inv(np.linalg.cholesky(precision.T @ precision)).T
        rows[own] = centres[k] + rng.normal(size=(own.sum(), d)) @ root.T
    return rows, labels


def true_prior(d):
    """What `drawn_clusters` draws from, or nearly."""
    return {"m0": np.zeros(d), "kappa0": 1.0, "nu0": d + 1.0, "Psi0": np.eye(d)}


def grid(repeats):
    """Normalised mutual information with the true labels over seeds, beside scikit-learn's Gaussian mixture with the
    true number and its Bayesian one with five times as many."""
    from sklearn.metrics import normalized_mutual_info_score
    from sklearn.mixture import BayesianGaussianMixture, GaussianMixture

    from mixfast import DirichletProcessMixture

    def process(d, **more):
        return lambda seed: DirichletProcessMixture("full", prior=true_prior(d), random_state=seed, **more)

    for n, d, k in RUN.cells:
        makers = {
            "from many": process(d, init_components=min(64, n // 16)),
            "from one": process(d, init_components=1),
            "sampler": process(d, algorithm="sampler", burn_in=200, n_draws=100, thin=1),
            "Gaussian(K)": lambda seed, k=k: GaussianMixture(k, random_state=seed),
            "Bayesian(5 K)": lambda seed, k=k: BayesianGaussianMixture(n_components=5 * k, random_state=seed),
        }
        makers = {name: make for name, make in makers.items() if not RUN.models or name in RUN.models}
        found = {name: [] for name in makers}
        for seed in range(RUN.seeds):
            X, labels = drawn_clusters(n, d, k, seed)
            for name, make in makers.items():
                start = RUN.clock()
                model = make(seed).fit(X)
                own = model.labels_ if name == "sampler" else model.predict(X)
                taken = RUN.clock() - start
                found[name].append((normalized_mutual_info_score(labels, own), taken, len(np.unique(own))))
        said = []
        for name, values in found.items():
            scores, times, clusters_of = zip(*values, strict=True)
            error = np.std(scores, ddof=1) / np.sqrt(len(scores)) if RUN.seeds > 1 else np.nan
            said.append(
                f"{name} {np.mean(scores):.3f} ({error:.3f}), {np.mean(clusters_of):.1f} clusters, "
                f"{statistics.median(times):.2f} s"
            )
        print(f"grid {n} x {d}, K={k}: " + "; ".join(said), flush=True)


def large(repeats):
    """100 sweeps, and what iterations of scikit-learn's take: few of them, for a whole fit takes hours."""
    from sklearn.metrics import normalized_mutual_info_score
    from sklearn.mixture import GaussianMixture

    from mixfast import DirichletProcessMixture

    X, labels = drawn_clusters(100_000, 128, 79, 0)
    model = DirichletProcessMixture(
        "full", prior=true_prior(128), algorithm="sampler", burn_in=90, n_draws=10, thin=1, random_state=0
    )
    taken = seconds(lambda: model.fit(X))
    print(
        f"large, 100 sweeps: {len(np.unique(model.labels_))} clusters, NMI "
        f"{normalized_mutual_info_score(labels, model.labels_):.4f}, {taken:.0f} s",
        flush=True,
    )
    theirs = GaussianMixture(79, max_iter=3, random_state=0)
    taken = seconds(lambda: theirs.fit(X))
    print(
        f"large, scikit-learn's GaussianMixture(79), 3 iterations: NMI "
        f"{normalized_mutual_info_score(labels, theirs.predict(X)):.4f}, {taken:.0f} s",
        flush=True,
    )


CASES = {
    "iteration": iteration,
    "fit": fit,
    "many": many,
    "columns": columns,
    "clusters": clusters_found,
    "grid": grid,
    "large": large,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default=",".join(CASES), help="some of " + ", ".join(CASES))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cpu", action="store_true", help="times of processors")
    parser.add_argument("--cells", default="", help="of the grid: rows x columns x clusters, 1000x8x32,..")
    parser.add_argument("--seeds", type=int, default=RUN.seeds, help="of the grid")
    parser.add_argument("--models", default="", help='of the grid: some, such as "from one,Gaussian(K)"')
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    RUN.seeds = options.seeds
    RUN.models = options.models.split(",") if options.models else []
    if options.cpu:
        RUN.clock = time.process_time
    if options.cells:
        RUN.cells = [tuple(map(int, cell.split("x"))) for cell in options.cells.split(",")]
    for name in options.cases.split(","):
        CASES[name](options.repeats)


if __name__ == "__main__":
    main()
