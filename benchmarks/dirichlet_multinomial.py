"""Dirichlet-multinomial mixtures beside R's DirichletMultinomial, on its own data: 278 samples, 130 genera of microbes.

R runs once for each number of components, in its own process, mixfast in this one before and after it; R's package has
one start, by k-means, and mixfast five. Less is better in all columns.

python benchmarks/dirichlet_multinomial.py
python benchmarks/dirichlet_multinomial.py --table docs/performance.md
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import warnings
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from document import heading, replace_table

from mixfast import DirichletMultinomialMixture

DATA = Path(__file__).parent.parent / "tests" / "data" / "twins.csv"
NUMBERS = (1, 2, 3, 4)
STARTS = 5

R = """
suppressMessages(library(DirichletMultinomial))
X <- as.matrix(read.csv("{data}")); storage.mode(X) <- "integer"
seconds <- system.time(fit <- dmn(X, {k}, seed = 1))[["elapsed"]]
cat(seconds, goodnessOfFit(fit)[c("NLE", "Laplace")], format(packageVersion("DirichletMultinomial")))
"""


def fit_in_r(k):
    """(seconds, minus the log posterior, Laplace, version)"""
    command = ["Rscript", "-e", R.format(data=DATA, k=k)]
    *numbers, version = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return *map(float, numbers), version


def fit(X, k):
    begin = perf_counter()
    model = DirichletMultinomialMixture(k, n_init=STARTS, random_state=0, tol=1e-6, max_iter=500).fit(X)
    return perf_counter() - begin, -model.lower_bound_ * len(X), model.laplace(X)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", metavar="FILE", help="replace the table of a document by what comes out")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    X = np.loadtxt(DATA, delimiter=",", skiprows=1)
    fit(X, 2)
    rows = ["| K | system | seconds | ratio | a start | - log posterior | Laplace |", "|---|---|---|---|---|---|---|"]
    print("\n".join(rows))
    for k in NUMBERS:
        ours = [fit(X, k)]
        seconds, *found, version = fit_in_r(k)
        ours += [fit(X, k), fit(X, k)]
        own = median(result[0] for result in ours)
        rows += [
            f"| {k} | mixfast, {STARTS} starts | {own:.3f} | | | {ours[0][1]:.3f} | {ours[0][2]:.3f} |",
            f"| {k} | R DirichletMultinomial {version} | {seconds:.1f} | {seconds / own:.0f} | "
            f"{seconds / own * STARTS:.0f} | {found[0]:.3f} | {found[1]:.3f} |",
        ]
        print("\n".join(rows[-2:]), flush=True)
    if options.table:
        command = shlex.join(["python", "benchmarks/dirichlet_multinomial.py", *sys.argv[1:]])
        replace_table(options.table, "dirichlet-multinomial", [heading(command), "", *rows])


if __name__ == "__main__":
    main()
