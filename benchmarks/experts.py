"""Mixtures of experts beside R's flexmix and EM in NumPy: `python benchmarks/experts.py [--cases a,b] [--repeats 3]`.

    iteration    one iteration of EM, 100,000 rows of 5 columns, 4 components: Gaussian, Poisson, binomial, gated
    gated        one iteration of 10,000 rows of a gated model, beside cgmm's and flexmix's
    fit          ten starts, halved, to the default tol, beside one of flexmix's to its own
    many         20,000 mixtures of two regressions, 200 rows of 3 columns, one start each, by `fit_many`

flexmix runs in a process of its own, which times itself: `Rscript` with the package flexmix; it is left out where that
is not there, and so is cgmm (`pip install cgmm`). An iteration is what lies between a few and some more of them, from
the same start. Contenders run in turns; figures are medians. flexmix has one thread, NumPy as many as its BLAS takes.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from scipy.special import expit, gammaln, logsumexp, xlogy

from mixfast import MixtureOfExperts, fit_many

FEW, MANY = 2, 12

READ_IN_R = """
suppressMessages(library(flexmix))
arguments <- commandArgs(TRUE)
data <- as.data.frame(matrix(readBin(arguments[1], "double", 1e9), ncol = 7))
names(data) <- c("y", paste0("x", 1:5), "label")
expert <- arguments[2]
model <- if (expert == "gaussian") FLXMRglm() else FLXMRglm(family = expert)
formula <- y ~ x1 + x2 + x3 + x4 + x5
if (expert == "binomial") formula <- cbind(y, 1 - y) ~ x1 + x2 + x3 + x4 + x5
"""

ITERATE_IN_R = """
gate <- if (arguments[3] == "gate") FLXPmultinom(~ x1 + x2 + x3 + x4 + x5) else FLXPconstant()
start <- diag(4)[data$label + 1, ] * 0.85 + 0.05
seconds <- function(n) {
  gc(FALSE)
  system.time(flexmix(formula, data = data, k = 4, cluster = start, concomitant = gate,
    model = model, control = list(iter.max = n, minprior = 0, tolerance = 0)))["elapsed"]
}
few <- seconds(as.integer(arguments[4]))
many <- seconds(as.integer(arguments[5]))
cat((many - few) / (as.integer(arguments[5]) - as.integer(arguments[4])))
"""

FIT_IN_R = """
set.seed(as.integer(arguments[3]))
taken <- system.time(found <- flexmix(formula, data = data, k = 4, model = model, control = list(minprior = 0)))
cat(taken["elapsed"], taken["user.self"] + taken["sys.self"], found@iter, as.numeric(logLik(found)) / nrow(data))
"""


def rows(expert, n=100_000, p=5, n_components=4, seed=0):
    """(X, y, labels to start from): half of these are right."""
    rng = np.random.default_rng(seed)
    X, coef = rng.normal(size=(n, p)), 0.5 * rng.normal(size=(n_components, p))
    labels = rng.integers(n_components, size=n)
    eta = np.linspace(-1, 1.5, n_components)[labels] + np.sum(X * coef[labels], axis=1)
    y = {
        "gaussian": lambda: eta + 0.5 * rng.normal(size=n),
        "poisson": lambda: rng.poisson(np.exp(eta)).astype(float),
        "binomial": lambda: (rng.random(n) < expit(3 * eta)).astype(float),
    }[expert]()
    return X, y, np.where(rng.random(n) < 0.5, labels, rng.integers(n_components, size=n))


class InNumPy:
    """EM with one step of Newton's method in each M-step, by matrix products."""

    def __init__(self, expert, X, y, labels):
        self.expert, self.y, self.Z = expert, y, np.column_stack([np.ones(len(X)), X])
        self.resp = np.eye(labels.max() + 1)[labels] * 0.8 + 0.2 / (labels.max() + 1)
        self.beta = np.zeros((labels.max() + 1, X.shape[1] + 1))
        self.sigma = np.ones(labels.max() + 1)

    def iterate(self, n):
        for _ in range(n):
            self.weights = self.resp.mean(axis=0)
            eta = self.Z @ self.beta.T
            for k, r in enumerate(self.resp.T):
                mean, spread = self._moments(eta[:, k])
                weighted = self.Z * (r * spread)[:, np.newaxis]
                self.beta[k] += np.linalg.solve(self.Z.T @ weighted, self.Z.T @ (r * (self.y - mean)))
            eta = self.Z @ self.beta.T
            if self.expert == "gaussian":
                self.sigma = np.sqrt(
                    np.sum(self.resp * (self.y[:, np.newaxis] - eta) ** 2, axis=0) / self.resp.sum(axis=0)
                )
            joint = np.log(self.weights) + self._log_density(eta)
            self.resp = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))

    def _moments(self, eta):
        if self.expert == "gaussian":
            return eta, np.ones_like(eta)
        mean = np.exp(eta) if self.expert == "poisson" else expit(eta)
        return mean, mean if self.expert == "poisson" else mean * (1 - mean)

    def _log_density(self, eta):
        y = self.y[:, np.newaxis]
        if self.expert == "gaussian":
            return -0.5 * ((y - eta) / self.sigma) ** 2 - np.log(self.sigma)
        if self.expert == "poisson":
            return y * eta - np.exp(eta) - gammaln(y + 1)
        return xlogy(y, expit(eta)) + xlogy(1 - y, expit(-eta))


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def of_mixfast(expert, gate, X, y, labels, n_threads):
    """Seconds of an iteration."""
    options = {"expert": expert, "gate": gate, "init_params": labels, "n_init": 1, "tol": 0, "n_threads": n_threads}
    few, many = (
        seconds(lambda n=n: MixtureOfExperts(4, max_iter=n, **options).fit(X, y)) for n in (10 * FEW, 10 * MANY)
    )
    return (many - few) / (10 * (MANY - FEW))


def of_numpy(expert, X, y, labels):
    model = InNumPy(expert, X, y, labels)
    model.iterate(FEW)
    return seconds(lambda: model.iterate(MANY - FEW)) / (MANY - FEW)


def in_r(program, X, y, labels, expert, *arguments):
    """The numbers that a program in R prints; None where R, or flexmix, is not there."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        data, script = Path(folder) / "data", Path(folder) / "program.R"
        np.asfortranarray(np.column_stack([y, X, labels])).ravel(order="F").tofile(data)
        script.write_text(READ_IN_R + program)
        command = ["Rscript", script, data, expert, *map(str, arguments)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    return list(map(float, ran.stdout.split())) if ran.returncode == 0 else None


def of_flexmix(expert, gate, X, y, labels):
    """Seconds of an iteration; NaN where it is not there."""
    found = in_r(ITERATE_IN_R, X, y, labels, expert, "gate" if gate else "none", FEW, 2 * FEW)
    return np.nan if found is None else found[-1]


def of_cgmm(X, y):
    """Seconds of an iteration; NaN where it is not there."""
    try:
        from cgmm import MixtureOfExpertsRegressor
    except ImportError:
        return np.nan
    few, many = (
        seconds(lambda n=n: MixtureOfExpertsRegressor(4, tol=0, max_iter=n, random_state=0).fit(X, y)) for n in (1, 3)
    )
    return (many - few) / 2


def iteration(repeats):
    print(f"{'':>10} {'mixfast':>9} {'1 thread':>9} {'NumPy':>9} {'flexmix':>9}   ms an iteration; ratios to mixfast")
    for expert, gate in (("gaussian", None), ("poisson", None), ("binomial", None), ("gaussian", "same")):
        X, y, labels = rows(expert)
        taken = [[], [], [], []]
        for _ in range(repeats):
            taken[0].append(of_mixfast(expert, gate, X, y, labels, None))
            taken[1].append(of_mixfast(expert, gate, X, y, labels, 1))
            taken[2].append(of_numpy(expert, X, y, labels) if gate is None else np.nan)
            taken[3].append(of_flexmix(expert, gate, X, y, labels))
        found = [1000 * statistics.median(own) for own in taken]
        name = "gated" if gate else expert
        print(f"{name:>10} " + " ".join(f"{own:9.2f}" for own in found)
              + f"   {found[2] / found[0]:6.0f} {found[3] / found[0]:6.0f}", flush=True)  # fmt: skip


def gated(repeats):
    X, y, labels = rows("gaussian", 10_000)
    taken = [[], [], []]
    for _ in range(repeats):
        taken[0].append(of_mixfast("gaussian", "same", X, y, labels, None))
        taken[1].append(of_cgmm(X, y))
        taken[2].append(of_flexmix("gaussian", "same", X, y, labels))
    own, cgmm, flexmix = (1000 * statistics.median(each) for each in taken)
    print(f"10,000 rows, gated: mixfast {own:.2f} ms, cgmm {cgmm:.0f} ({cgmm / own:.0f}), flexmix {flexmix:.0f} "
          f"({flexmix / own:.0f})", flush=True)  # fmt: skip


def fit(repeats):
    """Log-likelihoods are those of a row: flexmix stops where that moves by less than 1e-6 of itself, or after 200
    iterations. On a busy machine processor seconds, of all threads, say more than those of the clock."""
    for expert in ("gaussian", "poisson", "binomial"):
        X, y, labels = rows(expert)
        taken, theirs = [], []
        for seed in range(repeats):
            model = MixtureOfExperts(4, expert=expert, random_state=seed, max_iter=200)
            begun = time.process_time()
            elapsed = seconds(lambda model=model, X=X, y=y: model.fit(X, y))
            taken.append((elapsed, time.process_time() - begun, model.lower_bound_))
            theirs.append(in_r(FIT_IN_R, X, y, labels, expert, seed))
        (own, processor, bound), said = np.median(taken, axis=0), ""
        if None not in theirs:
            elapsed, their_processor, n_iter, log_likelihood = np.median(theirs, axis=0)
            said = f"; flexmix, one start, {elapsed:.1f} s ({their_processor:.1f}), {n_iter:.0f} iterations, "
            said += f"{log_likelihood:.5f}"
        print(f"{expert:>10}: ten starts, halved, {own:.2f} s ({processor:.2f}), {bound:.5f}{said}", flush=True)


def many(repeats):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 200, 3))
    coef = rng.normal(size=(20_000, 2, 3))
    labels = rng.integers(2, size=(20_000, 200))
    picked = np.take_along_axis(coef, labels[..., np.newaxis], axis=1)
    y = 3.0 * labels + np.sum(X * picked, axis=2) + 0.3 * rng.normal(size=labels.shape)
    estimator = MixtureOfExperts(2, n_init=1, n_init_policy="all", random_state=0)
    taken = [seconds(lambda: fit_many(X, estimator, y=y)) for _ in range(repeats)]
    print(f"20,000 problems of 200 rows, 3 columns, 2 components, one start: {statistics.median(taken):.2f} s")


CASES = {"iteration": iteration, "gated": gated, "fit": fit, "many": many}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in chosen.cases.split(","):
        CASES[name](chosen.repeats)


if __name__ == "__main__":
    main()
