"""Seconds that maps of mixtures take: K full Gaussians of d columns. `python benchmarks/maps.py [repeats]`."""

import sys
from time import perf_counter, process_time

import numpy as np

from mixfast import GaussianMixture, MixtureMap

SIZES = ((5, 4), (20, 8), (50, 16), (200, 4))


def mixture(n_components, n_features):
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(n_components, n_features, n_features))
    return GaussianMixture.from_parameters(
        weights=np.full(n_components, 1 / n_components),
        means=1.5 * rng.normal(size=(n_components, n_features)),
        covariances=roots @ roots.transpose(0, 2, 1) / n_features + 0.3 * np.eye(n_features),
    )


def main(repeats=5):
    print("components  columns  seconds  of processors")
    for n_components, n_features in SIZES:
        model, seconds = mixture(n_components, n_features), []
        for _ in range(repeats):
            began = perf_counter(), process_time()
            MixtureMap.from_estimator(model)
            seconds.append((perf_counter() - began[0], process_time() - began[1]))
        best = min(seconds)
        print(f"{n_components:10d} {n_features:8d} {best[0]:8.2f} {best[1]:14.2f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
