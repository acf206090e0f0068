"""How long small calls take beside scikit-learn: one fit of 200 rows, predictions of one row.

Processor time of the calling thread, in turn in one process: what the others leave in the caches is what a program
finds there. Run it with OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1, or threads beside that one are not counted.
"""

from __future__ import annotations

import argparse
import warnings
from functools import partial
from statistics import median
from time import thread_time

import numpy as np
from sklearn.mixture import GaussianMixture as Theirs

from mixfast import GaussianMixture, StudentTMixture

#: Calls in a turn: the first ones find nothing of theirs in the caches.
TURN = 30


def race(title, calls, repeats):
    """Print the median time of a call of each, and its ratio to the first."""
    samples = {name: [] for name in calls}
    for repeat in range(repeats + 1):
        for name, call in calls.items():
            begin = thread_time()
            for _ in range(TURN):
                call()
            if repeat:  # the first turn warms up
                samples[name].append((thread_time() - begin) / TURN)
    first = median(next(iter(samples.values())))
    for name, own in samples.items():
        print(f"{title:30} {name:28} {median(own) * 1e6:8.1f} us {median(own) / first:6.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=60)
    repeats = parser.parse_args().repeats
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(100, 2)), rng.normal(size=(100, 2)) + 4])
    classes = {"mixfast": GaussianMixture, "mixfast, Student-t": StudentTMixture, "scikit-learn": Theirs}
    models = {name: cls(2, random_state=0).fit(X) for name, cls in classes.items()}
    for method in ("predict", "predict_proba", "score_samples"):
        calls = {name: partial(getattr(model, method), X[:1]) for name, model in models.items()}
        race(f"{method} of one row", calls, repeats)
    fits = {name: lambda cls=cls: cls(2, random_state=0).fit(X) for name, cls in classes.items()}
    race("fit of 200 x 2, K=2", fits, repeats)


if __name__ == "__main__":
    main()
