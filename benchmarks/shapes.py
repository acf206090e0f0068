"""The sweep of a BIC table, fourteen shapes and one to nine components, beside R's mclust in the same run.

mclust starts each cell from its hierarchy and stops where the log-likelihood changes by 1e-5 of itself; here they start
from k-means, with a tolerance of 1e-5 of a row. Where `select` leads, from all its starts, docs/selection.md says.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from mixfast import GaussianMixture, fit_many

DATA = Path(__file__).parents[1] / "tests" / "data"
NUMBERS = range(1, 10)
REPETITIONS = 5

IN_R = """
suppressMessages(library(mclust))
X <- as.matrix(read.csv("{file}", header = FALSE))
for (i in 1:{repetitions}) cat(system.time(mclustBIC(X, G = 1:9, verbose = FALSE))[["elapsed"]], "\\n")
"""


def seconds_of_mclust(X):
    """The least of some; None without R or mclust."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.csv"
        np.savetxt(file, X, delimiter=",")
        script = IN_R.format(file=file, repetitions=REPETITIONS)
        done = subprocess.run(["Rscript", "-e", script], capture_output=True, text=True, check=False)
    return min(map(float, done.stdout.split())) if done.returncode == 0 else None


def seconds_here(X, tol):
    """The least of some, and the best fit."""
    found = []
    for _ in range(REPETITIONS):
        begun = time.perf_counter()
        result = fit_many(
            [X],
            GaussianMixture(tol=tol, max_iter=1000),
            n_components=NUMBERS,
            covariance_type="all",
            random_state=0,
        )
        found.append(time.perf_counter() - begun)
    return min(found), result[0]


def main():
    print("| rows | mclust, s | mixfast, s | ratio | chosen | BIC, the lower the better |")
    print("|---|---|---|---|---|---|")
    for name in ("iris", "faithful", "diabetes"):
        X = np.loadtxt(DATA / f"{name}.csv", delimiter=",", skiprows=1, ndmin=2)
        theirs = seconds_of_mclust(X)
        # 1e-5 (1 + |log-likelihood|) of all rows, as mclust, is at least so much of a row
        ours, best = seconds_here(X, tol=1e-5)
        ratio = "" if theirs is None else f"{theirs / ours:.0f}"
        shown = "not there" if theirs is None else f"{theirs:.3f}"
        chosen = f"{best.covariance_type}, {best.n_components}"
        print(f"| {name} {X.shape} | {shown} | {ours:.4f} | {ratio} | {chosen} | {best.bic(X):.2f} |")


if __name__ == "__main__":
    main()
