"""Fit a mixture to rows that Ray's workers hold: `partitions.fit` over an engine that mixfast knows nothing of.

python examples/ray_partitions.py, with ray installed: `make examples` does both
"""

from __future__ import annotations

import numpy as np
import ray

from mixfast import GaussianMixture, partitions
from mixfast.partitions import Partition

CENTRES = np.array([[0.0, 0.0], [3.0, 7.0], [6.0, 3.0]])


@ray.remote
def rows_of(number):
    """The rows of a partition: made here, read from files elsewhere."""
    rng = np.random.default_rng(number)
    return CENTRES[rng.integers(0, 3, 20_000)] + rng.normal(size=(20_000, 2))


@ray.remote
def run(shared, number, X):
    task, state = shared
    return task(Partition(number, X), state)


@ray.remote
def join(merge, *results):
    return merge(list(results))


class RaySource:
    """Partitions in Ray's object store. Tasks are pure functions, so Ray may run one again where a worker is lost."""

    def __init__(self, parts):
        self.parts, self.n_passes = parts, 0

    def map_reduce(self, task, state, merge):
        self.n_passes += 1
        shared, joins = ray.put((task, state)), ray.put(merge)
        results = [run.remote(shared, number, X) for number, X in enumerate(self.parts)]
        return ray.get(partitions.tree(results, lambda some: join.remote(joins, *some)))


def main():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        source = RaySource([rows_of.remote(number) for number in range(16)])
        estimator = GaussianMixture(3, random_state=0, n_threads=1, canonical_order=True)
        model = partitions.fit(estimator, source)
        print(f"{source.n_passes} passes over 16 partitions: a survey, a sample, {model.n_iter_} iterations")
        print(model.means_.round(2))
        here = partitions.fit(estimator, partitions.InMemory(ray.get(source.parts)))
        assert np.array_equal(model.means_, here.means_)
        print("The same bits as without Ray")
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main()
