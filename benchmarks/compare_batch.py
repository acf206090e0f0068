"""Many small fits: `mixfast.fit_many` beside a loop over scikit-learn's estimators.

Both take turns, in one process, with the same parameters and each with its own start. `fit_many` fits all problems in a
turn; the loop fits some, others in each repeat, and its seconds a fit are compared. Medians over turns. Speed is worth
what the fits are worth: the last column is by how much the mean log-likelihood of a row is larger under mixfast's
parameters than under the other's, its mean over the problems that both fitted and the standard error of that.

python benchmarks/compare_batch.py --quick                     # does it run? seconds; aims are for full size
python benchmarks/compare_batch.py --table docs/batch.md
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import re
import shlex
import subprocess
import sys
import warnings
from pathlib import Path
from statistics import mean, median, stdev
from time import perf_counter, sleep
from typing import NamedTuple

import numpy as np
import sklearn
from compare import PAUSE, allowed_processors, choice, positive, timed
from data import Case, generate_many
from document import heading, replace_table
from sklearn.mixture import BayesianGaussianMixture
from sklearn.mixture import GaussianMixture as RivalGaussianMixture
from threadpoolctl import ThreadpoolController

import mixfast
from mixfast import GaussianMixture, fit_many

TRIALS = 5  # problems that say with how many threads the loop is faster
GRID = {"n_components": range(1, 10), "covariance_type": ("full", "tied", "diag", "spherical")}


class Contestant:
    """A way to fit problems; its turns' seconds a fit, and (log-likelihood, iterations) of the problems it found."""

    name = f"mixfast {mixfast.__version__}"

    def __init__(self, race, X, n_threads):
        self.race, self.X, self.n_threads = race, X, n_threads
        self.samples, self.found = [], {}
        self.prepare()

    def prepare(self):
        self.fit([0])

    def fit(self, chosen):
        """(how many problems were fitted, fits of the chosen ones); what is timed."""
        raise NotImplementedError

    def take_turn(self, chosen):
        seconds, (n_fitted, models) = timed(self.fit, chosen)
        self.n_fitted = n_fitted
        self.samples.append(seconds / n_fitted)
        for i, model in zip(chosen, map(self.model_of, chosen, itertools.repeat(models)), strict=True):
            self.found[i] = log_likelihood(model, self.X[i]), model.n_iter_

    @staticmethod
    def model_of(i, models):
        return models[i]


class Together(Contestant):
    """fit_many of all problems."""

    def prepare(self):
        fit_many(self.X[:TRIALS], self.race.estimator(), n_threads=self.n_threads)

    def fit(self, chosen):
        return len(self.X), fit_many(self.X, self.race.estimator(), n_threads=self.n_threads, **self.race.grid)


class OneByOne(Contestant):
    """fit_many of one problem, again and again."""

    name = f"{Contestant.name}, fit_many"

    def fit(self, chosen):
        estimator, grid = self.race.estimator(), self.race.grid
        results = {i: fit_many(self.X[i : i + 1], estimator, n_threads=self.n_threads, **grid) for i in chosen}
        return len(chosen), results

    @staticmethod
    def model_of(i, models):
        return models[i][0]


class Estimator(Contestant):
    """mixfast's estimator."""

    name = f"{Contestant.name}, estimator"

    def fit(self, chosen):
        return len(chosen), {i: self.race.estimator(n_threads=self.n_threads).fit(self.X[i]) for i in chosen}


class Loop(Contestant):
    """scikit-learn's estimator, with as many threads as suit it."""

    estimator, options = RivalGaussianMixture, {}

    def prepare(self):
        """Small fits are faster on one thread, large ones are not: what is faster on some problems is taken."""
        trials = range(min(TRIALS, self.race.n_timed))
        counts = sorted({1, self.n_threads})
        self.pools = ThreadpoolController()  # made once: looking for the pools takes longer than a small fit
        self.fit_limited(self.X[0, :200], counts[-1])  # imports, threads
        seconds = np.array([[timed(self.fit_limited, self.X[i], count)[0] for count in counts] for i in trials])
        self.n_threads = counts[int(np.argmin(np.median(seconds, axis=0)))]
        threads = "1 thread" if self.n_threads == 1 else f"{self.n_threads} threads"
        self.name = f"scikit-learn {sklearn.__version__}, {self.estimator.__name__}, {threads}"

    def fit_limited(self, X, n_threads):
        with self.pools.limit(limits=n_threads):
            return self.fit_best(X)

    def fit_best(self, X):
        grid = self.race.grid
        models = [
            self.race.estimator(self.estimator, **dict(zip(grid, values, strict=True)), **self.options).fit(X)
            for values in itertools.product(*grid.values())
        ]
        return models[0] if len(models) == 1 else min(models, key=lambda model: model.bic(X))

    def fit(self, chosen):
        with self.pools.limit(limits=self.n_threads):
            return len(chosen), {i: self.fit_best(self.X[i]) for i in chosen}


class BayesianLoop(Loop):
    """What CTGAN fits to each continuous column, with its parameters."""

    estimator = BayesianGaussianMixture
    options = {"weight_concentration_prior_type": "dirichlet_process", "weight_concentration_prior": 0.001}


class Race(NamedTuple):
    """Problems of one shape, who fits them, and what is aimed at: a ratio, or seconds and bytes in all.

    Without contestants fit_many is alone, in a process of its own, whose memory is measured.
    """

    case: Case
    n_problems: int
    n_timed: int  # how many of them the loop fits in a turn
    init_params: str = "kmeans"
    n_init: int = 1
    grid: dict = {}
    contestants: tuple = (Together, Loop)
    turns: int = 1  # in a repeat; many where they are short and differences small
    ratio: float | None = None
    seconds: float | None = None
    size: float | None = None

    def estimator(self, kind=GaussianMixture, **options):
        options = {"n_components": self.case.n_components, "covariance_type": self.case.family, **options}
        return kind(tol=1e-3, n_init=self.n_init, init_params=self.init_params, random_state=0, **options)

    def reduced(self):
        """A race that is over soon, and has no aim."""
        shape = self.case._replace(n_samples=min(self.case.n_samples, 1000))
        grid = {name: values[:2] for name, values in self.grid.items()}
        return self._replace(
            case=shape, n_problems=math.ceil(self.n_problems / 100), n_timed=min(self.n_timed, 4), grid=grid,
            turns=min(self.turns, 3), ratio=None, seconds=None, size=None,
        )  # fmt: skip

    def __str__(self):
        shape = self.case
        text = f"{self.n_problems:,} of " if self.contestants[:1] != (OneByOne,) else "one of "
        text += f"{shape.n_samples:,} x {shape.n_features}, "
        if self.grid:
            text += " x ".join(f"{len(values)} {name}" for name, values in self.grid.items()) + ", best by BIC"
        else:
            text += f"K={shape.n_components}, {shape.family}"
        return f"{text}, {self.init_params}" + (f", n_init={self.n_init}" if self.n_init > 1 else "")


ALONE = (OneByOne, Estimator)
RACES = {
    "1d": Race(Case("full", 500, 1, 3), 10_000, 100, "k-means++", ratio=250),
    "2d": Race(Case("full", 500, 2, 3), 5_000, 100, ratio=150),
    "thousand": Race(Case("full", 400, 2, 2), 1_000, 100, seconds=0.06),
    "million": Race(Case("full", 50, 1, 2), 1_000_000, 0, contestants=(), seconds=10, size=1e9),
    "sweep": Race(
        Case("full", 2_000, 4, 5), 20, 1, n_init=5, grid=GRID, contestants=(OneByOne, Loop), turns=4, ratio=100
    ),
    "ctgan": Race(Case("diag", 100_000, 1, 10), 200, 1, contestants=(Together, Loop, BayesianLoop), ratio=40),
    # "within 5 %"
    "one200": Race(Case("full", 200, 2, 2), 500, 20, contestants=ALONE, turns=20, ratio=0.95),
    "one5000": Race(Case("full", 5_000, 4, 4), 50, 5, contestants=ALONE, turns=20, ratio=0.95),
    "one100000": Race(Case("full", 100_000, 16, 32), 3, 1, contestants=ALONE, turns=2, ratio=0.95),
}


def log_likelihood(model, X):
    """Mean of a row, by one judge for all; the score of a Bayesian mixture is an expectation, and no density."""
    judge = RivalGaussianMixture(model.n_components, covariance_type=model.covariance_type)
    judge.weights_, judge.means_ = model.weights_, model.means_
    judge.precisions_cholesky_ = model.precisions_cholesky_
    return judge.score(X)


def problems_in_turn(n_problems, n_timed, rng):
    """Lists of n_timed problems at random, without end; none again before all had their turn."""
    waiting = []
    while True:
        while len(waiting) < n_timed:
            waiting += rng.permutation(n_problems).tolist()
        yield waiting[:n_timed]
        del waiting[:n_timed]


def repeats(options):
    """As many as were asked for; after the first, none begins when the seconds are spent."""
    begin = perf_counter()
    for repeat in range(options.repeats):
        if repeat == 0 or perf_counter() - begin < options.seconds:
            yield repeat


def run(race, options):
    """The contestants after their turns."""
    X = generate_many(race.case, race.n_problems)
    contestants = [kind(race, X, options.threads) for kind in race.contestants]
    draws = problems_in_turn(race.n_problems, min(race.n_timed, race.n_problems), np.random.default_rng(0))
    for _ in repeats(options):
        for _ in range(race.turns):
            chosen = next(draws)
            for contestant in contestants:
                # threads of the one before may spin for a while; mixfast's are its own
                sleep(0 if race.contestants is ALONE else PAUSE)
                contestant.take_turn(chosen)
            if race.contestants is ALONE:
                contestants.reverse()
    return sorted(contestants, key=lambda contestant: race.contestants.index(type(contestant)))


def in_a_process(name, options):
    """(seconds, bytes, iterations) of fit_many in a process of its own; the peak is that of everything in it."""
    call = f"import compare_batch; compare_batch.measure({name!r}, {options.quick}, {options.threads})"
    here = Path(__file__).parent
    child = subprocess.run([sys.executable, "-c", call], cwd=here, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(child.stdout)


def measure(name, quick, n_threads):
    """What the process of `in_a_process` does."""
    race = RACES[name].reduced() if quick else RACES[name]
    X = generate_many(race.case, race.n_problems)
    fit_many(X[:100], race.estimator(), n_threads=n_threads)  # imports, threads
    seconds, result = timed(lambda: fit_many(X, race.estimator(), n_threads=n_threads))
    print(json.dumps([seconds, peak_resident_size(), float(np.mean(result.n_iter))]))


def peak_resident_size():
    """Bytes. Linux's ru_maxrss begins with the peak of the process that started this one, so it is not asked there."""
    status = Path("/proc/self/status")
    if status.exists():
        return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1])
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: bytes


HEAD = """\
| case | system | problems timed | µs a fit | range | in all | ratio | aim | iterations | log-likelihood a row |
|---|---|---|---|---|---|---|---|---|---|"""


def aimed(text, is_reached):
    return text if is_reached else f"**{text}**"


def lines(name, options):
    """The rows of a case in Markdown; what misses its aim is bold."""
    race = RACES[name].reduced() if options.quick else RACES[name]
    if not race.contestants:
        yield line_of_process(race, [in_a_process(name, options) for _ in repeats(options)])
        return
    own, *rivals = run(race, options)
    best = median(own.samples)
    aim = f"< {race.seconds} s" if race.seconds else ""
    in_all = aimed(f"{best * race.n_problems:.3f} s", not race.seconds or best * race.n_problems < race.seconds)
    yield line(race, own, in_all=in_all if isinstance(own, Together) else "", aim=aim)
    for rival in rivals:
        ratio = median(rival.samples) / best
        yield line(
            race, rival,
            ratio=aimed(f"{ratio:.3g}", not race.ratio or ratio >= race.ratio),
            aim=f">= {race.ratio:g}" if race.ratio else "",
            difference=difference(own, rival),
        )  # fmt: skip


def line(race, contestant, in_all="", ratio="", aim="", difference=""):
    micros = [1e6 * seconds for seconds in contestant.samples]
    n_iter = mean(n_iter for _, n_iter in contestant.found.values())
    return (
        f"| {race} | {contestant.name} | {len(micros)} x {contestant.n_fitted:,} | {median(micros):,.1f} | "
        f"{min(micros):,.1f} to {max(micros):,.1f} | {in_all} | {ratio} | {aim} | {n_iter:.1f} | {difference} |"
    )


def line_of_process(race, runs):
    seconds, sizes, n_iter = zip(*runs, strict=True)
    micros = [1e6 * value / race.n_problems for value in seconds]
    in_time = aimed(f"{median(seconds):.2f} s", not race.seconds or median(seconds) < race.seconds)
    in_space = aimed(f"{max(sizes) / 1e9:.2f} GB", not race.size or max(sizes) < race.size)
    aim = f"< {race.seconds} s, < {race.size / 1e9:g} GB" if race.seconds else ""
    return (
        f"| {race} | {Contestant.name}, own process | {len(runs)} x {race.n_problems:,} | {median(micros):,.1f} | "
        f"{min(micros):,.1f} to {max(micros):,.1f} | {in_time}, {in_space} | | {aim} | {mean(n_iter):.1f} | |"
    )


def difference(own, rival):
    """mixfast's less the other's, over problems that both fitted."""
    values = [own.found[i][0] - rival.found[i][0] for i in own.found]
    error = f" ± {stdev(values) / math.sqrt(len(values)):.0e}" if len(values) > 1 else ""
    return f"{mean(values):+.1e}{error}"


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", help=f"{','.join(RACES)} or all, the default")
    parser.add_argument("--repeats", type=positive, default=5, help="default 5")
    parser.add_argument(
        "--seconds", type=positive, default=120, help="begin no repeat of a case after them (default 120)"
    )
    parser.add_argument("--threads", type=positive, default=allowed_processors(), help="default: all processors")
    parser.add_argument("--quick", action="store_true", help="small cases, to see that it works")
    parser.add_argument("--table", metavar="FILE", help="replace the table `batch` of a document by what comes out")
    options = parser.parse_args(arguments)
    options.cases = choice(options.cases, tuple(RACES), tuple(RACES))
    return options


def main(arguments):
    options = parse(arguments)
    warnings.simplefilter("ignore")  # fits that do not converge say so
    table = [heading(shlex.join(["python", "benchmarks/compare_batch.py", *arguments])), "", HEAD]
    print("\n".join(table), flush=True)
    for name in options.cases:
        for row in lines(name, options):
            print(row, flush=True)
            table.append(row)
    if options.table:
        replace_table(options.table, "batch", table)


if __name__ == "__main__":
    main(sys.argv[1:])
