"""Sparse rows stay sparse: seconds an iteration and memory of 100,000 documents of 60 words out of 50,000, K=50.

Each family runs in a process of its own, from labels and by k-means. Seconds an iteration are those of a fit of 7 less
those of one of 2, divided by 5, medians of three. Memory is the largest resident size of the process after the first
fit, and beside it what that was before, when a small fit had imported what it needs and the matrix was read.

python benchmarks/sparse.py
python benchmarks/sparse.py --table docs/performance.md
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile

import numpy as np
import scipy.sparse
from document import heading, replace_table
from families import documents

ESTIMATORS = {
    "MultinomialMixture": {"alpha": 0.1},
    "BernoulliMixture": {"alpha": 0.1},
    "PoissonMixture": {"alpha": 0.1, "beta": 0.1},
    "VonMisesFisherMixture": {"normalize": True},
    "DirichletMultinomialMixture": {},
}
STARTS = ("labels", "kmeans")

CHILD = """
import json, resource, sys, time, warnings
from statistics import median
import numpy as np, scipy.sparse as sp
import mixfast
warnings.simplefilter("ignore")
folder, name, options, start = sys.argv[1:]
X, labels = sp.load_npz(folder + "/X.npz"), np.load(folder + "/labels.npy")
if name == "BernoulliMixture":
    X.data[:] = 1
def largest():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
def fit(n_iter, X=X, labels=labels):
    estimator = getattr(mixfast, name)(max_iter=n_iter, tol=0, random_state=0, **json.loads(options))
    estimator.set_params(n_components=50, init_params=labels if start == "labels" else start)
    begin = time.perf_counter()
    assert estimator.fit(X).n_iter_ == n_iter
    return time.perf_counter() - begin
few = X[:500, :100]
few = few[few.getnnz(axis=1) > 0]
fit(1, few, np.arange(few.shape[0]) % 50)  # imports what a first fit imports
before = largest()
short = fit(2)
most = largest()
seconds = median((fit(7) - fit(2)) / 5 for _ in range(3)) if start == "labels" else short
print(json.dumps([seconds, before, most]))
"""


def run_all(folder, name):
    """(seconds, MB before, MB at most) of each start."""
    for start in STARTS:
        command = [sys.executable, "-c", CHILD, folder, name, json.dumps(ESTIMATORS[name]), start]
        yield json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", metavar="FILE", help="replace the table of a document by what comes out")
    options = parser.parse_args()
    rows = [
        "| estimator | seconds an iteration | MB before, at most | k-means and 2 iterations | MB before, at most |",
        "|---|---|---|---|---|",
    ]
    print("\n".join(rows))
    with tempfile.TemporaryDirectory() as folder:
        X, labels = documents(100_000, 50_000, 60, 50, 0)
        scipy.sparse.save_npz(f"{folder}/X.npz", X, compressed=False)
        np.save(f"{folder}/labels.npy", labels)
        for name in ESTIMATORS:
            cells = [f"{seconds:.3f} | {before:.0f}, {most:.0f}" for seconds, before, most in run_all(folder, name)]
            rows.append(f"| {name} | {' | '.join(cells)} |")
            print(rows[-1], flush=True)
    if options.table:
        command = shlex.join(["python", "benchmarks/sparse.py", *sys.argv[1:]])
        replace_table(options.table, "sparse", [heading(command), "", *rows])


if __name__ == "__main__":
    main()
