"""Run mixfast beside whichever other libraries are installed, and print how long an EM iteration takes in each.

All systems fit the same rows from the same start for the same number of iterations, in turn, in one process. An
iteration's time is the difference of a long and a short fit, divided by the difference of their iterations: what a fit
costs once is not in it. The last column says how far the log-likelihood that a system reached is from mixfast's.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shlex
import sys
import warnings
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import NamedTuple

from document import heading, processor, replace_table
from roofline import MatrixProduct, growth, multiply_adds

SHORT = 2  # iterations of the short fit
STEPS = 10  # how many more the long one makes
# The same where an iteration takes longer than SLOW seconds, and in C, where EM arrives after some ten iterations (its
# components have 300 rows for a covariance of 128 columns) and daal4py stops when the log-likelihood stands still
FEW_STEPS = 2
SLOW = 5.0
PAUSE = 0.25  # seconds before each turn: threads of the one before spin for a while, and would slow the short fit down
TURN = 0.2  # seconds at least: quick fits are timed several times in a turn, and their mean counts as one run
NOISY = 1.5  # a row is marked where the slowest run took this many times as long as the fastest,
FEWEST = 3  # or where there were fewer runs than can show it

FAMILIES = (
    "bernoulli-missing",
    "categorical",
    "dirichlet-multinomial",
    "exponential",
    "gamma",
    "multinomial",
    "poisson",
    "product",
    "student-t",
    "von-mises-fisher",
)
ALL = ("A", "A32", "B", "C", "D", "E", "F", "G", "H", *FAMILIES)
QUICK = ("A", "A32", "E", "F")
SYSTEM_NAMES = ("mixfast", "scikit-learn", "daal4py", "stepmix", "pomegranate", "gmmx")

# Every pool of threads that any of the systems may start reads one of these when it is first loaded.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "TBB_NUM_THREADS",
)


class Row(NamedTuple):
    """A line of the table."""

    case: str
    system: str
    version: str
    quantity: str  # what `seconds` is of
    seconds: float | None = None
    ratio: float | None = None  # to mixfast's seconds
    fastest: float | None = None
    slowest: float | None = None
    repeats: int = 0
    iterations: str = ""
    log_likelihood: float | None = None  # per row
    difference: float | None = None  # from mixfast's log_likelihood
    share: float | None = None  # of the speed of a matrix product, by the multiply-adds that no dense pass does without
    megabytes: float | None = None  # by which the process grew at most in a fit, or in a call
    failed: str | None = None


class Contestant:
    """A system on a case: how it is timed once, and what came of it. Its first error takes it out of the race."""

    def __init__(self, system, problem):
        self.system, self.problem = system, problem
        self.samples, self.failed, self.log_likelihood, self.iterations = [], None, None, ""
        self.megabytes = None
        self.attempt(self.prepare)

    def attempt(self, action, *arguments):
        if self.failed is None:
            try:
                action(*arguments)
            except Exception as error:  # a rival may raise anything, and the others go on
                self.failed = f"{type(error).__name__}: {error}".splitlines()[0][:120]

    def prepare(self):
        self.fitter = self.system(self.problem)

    def race(self, repeat):
        """Append to `samples`."""
        raise NotImplementedError

    def multiply_adds(self):
        """Of what `samples` are the seconds of; None where nobody has counted them."""
        return None

    def judge(self, model):
        from data import log_likelihood

        value = log_likelihood(self.problem, *self.fitter.parameters(model))
        if not math.isfinite(value):
            raise ArithmeticError(f"log-likelihood is {value}")
        return value


def timed(call, *arguments):
    begin = perf_counter()
    result = call(*arguments)
    return perf_counter() - begin, result


class Iterations(Contestant):
    """Seconds per iteration from the given start."""

    quantity = "iteration"

    def prepare(self):
        from data import CASES

        super().prepare()
        seconds, _ = timed(self.fitter.fit, SHORT)
        self.steps = FEW_STEPS if seconds > SLOW * SHORT or self.problem.case == CASES["C"] else STEPS
        self.iterations = f"{SHORT}..{SHORT + self.steps}"
        seconds, model = timed(self.fitter.fit, SHORT + self.steps)  # this also warms caches and compilers up
        self.megabytes = growth(self.fitter.fit, SHORT)[0]
        self.pairs = math.ceil(TURN / seconds)
        made = self.fitter.n_iterations(model)
        if made not in (None, SHORT + self.steps):
            raise RuntimeError(f"stopped after {made} of {SHORT + self.steps} iterations")
        self.log_likelihood = self.judge(model)

    def multiply_adds(self):
        return multiply_adds(self.problem.case)

    def race(self, repeat):
        total = 0.0
        for _ in range(self.pairs):
            short, _ = timed(self.fitter.fit, SHORT)
            long, _ = timed(self.fitter.fit, SHORT + self.steps)
            total += long - short
        self.samples.append(total / self.pairs / self.steps)


class FamilyIterations(Contestant):
    """Seconds per iteration of another family; a system that stops early is timed by the iterations that it was asked
    for. Log-likelihoods are those that the libraries give."""

    quantity = "iteration"

    def __init__(self, contender):
        super().__init__(contender, None)

    def prepare(self):
        self.iterations = f"{SHORT}..{SHORT + STEPS}"
        self.log_likelihood = self.system.log_likelihood(self.system.fit(SHORT + STEPS))
        self.pairs = math.ceil(TURN / timed(self.system.fit, SHORT + STEPS)[0])
        self.megabytes = growth(self.system.fit, SHORT)[0]

    def race(self, repeat):
        total = 0.0
        for _ in range(self.pairs):
            total -= timed(self.system.fit, SHORT)[0]
            total += timed(self.system.fit, SHORT + STEPS)[0]
        self.samples.append(total / self.pairs / STEPS)


class WholeFit(Contestant):
    """Seconds per fit from the library's own start to its own tolerance, with another seed in each repeat."""

    quantity = "fit"

    def prepare(self):
        super().prepare()
        self.log_likelihoods, self.counts = [], []
        self.megabytes = growth(self.fitter.fit_by_default, 0)[0]  # by itself: what it does to pages takes time

    def multiply_adds(self):
        return median(self.counts) * multiply_adds(self.problem.case)

    def race(self, repeat):
        seconds, model = timed(self.fitter.fit_by_default, repeat)
        self.samples.append(seconds)
        self.log_likelihoods.append(self.judge(model))
        self.counts.append(self.fitter.n_iterations(model))
        self.log_likelihood, self.iterations = median(self.log_likelihoods), f"{median(self.counts):g}"


class Prediction(Contestant):
    """Seconds per call on a model of SHORT iterations."""

    def prepare(self):
        super().prepare()
        self.model = self.fitter.fit(SHORT)
        self.log_likelihood, self.iterations = self.judge(self.model), str(SHORT)
        self.race(0)
        self.samples.clear()
        self.megabytes = growth(getattr(self.fitter, self.quantity), self.model)[0]

    def multiply_adds(self):
        return multiply_adds(self.problem.case, n_halves=1)

    def race(self, repeat):
        seconds, _ = timed(getattr(self.fitter, self.quantity), self.model)
        self.samples.append(seconds)


class PredictProba(Prediction):
    quantity = "predict_proba"


class ScoreSamples(Prediction):
    quantity = "score_samples"


def races(letter, systems):
    """(case, kind of contestant, systems that take part) of a letter."""
    from data import CASES

    if letter == "G":
        return [(CASES["A"], WholeFit, [system for system in systems if system.fits_by_default])]
    case = CASES["A" if letter == "H" else letter]
    systems = [system for system in systems if system.covers(case)]
    if letter == "H":
        return [
            (case, kind, [system for system in systems if system.predicts]) for kind in (PredictProba, ScoreSamples)
        ]
    return [(case, Iterations, systems)]


def fields(letter, systems):
    """The contestants of each race of a letter."""
    from data import generate

    if letter in FAMILIES:
        from families import FAMILY_CASES

        names = {system.name for system in systems} | {"numpy", "studenttmixture"}
        contenders = FAMILY_CASES[letter].make()
        yield [FamilyIterations(contender) for contender in contenders if contender.name in names]
        return
    for case, kind, taking_part in races(letter, systems):
        problem = generate(case)
        yield [kind(system, problem) for system in taking_part]


def compare(letter, systems, repeats, budget):
    """The rows of a letter, mixfast's first. No repeat begins when the budget of seconds is spent, except the first."""
    for contestants in fields(letter, systems):
        product = None if letter in FAMILIES else MatrixProduct(contestants[0].problem.case.dtype)
        begin = perf_counter()
        for repeat in range(repeats):  # in turn: what else the machine does falls on all alike
            if repeat > 0 and perf_counter() - begin > budget:
                break
            for contestant in contestants:
                sleep(PAUSE)
                contestant.attempt(contestant.race, repeat)
            if product is not None:
                sleep(PAUSE)
                product.race()
        yield from rows(letter, contestants, product and product.speed)


def rows(letter, contestants, product_speed):
    """What came of a race, in numbers; `product_speed` is in multiply-adds a second, or None."""
    own = contestants[0]
    for contestant in contestants:
        system = contestant.system
        known = system.version if isinstance(system.version, str) else system.version()
        row = Row(letter, system.name, known, contestant.quantity, iterations=contestant.iterations)
        if contestant.failed is not None:
            yield row._replace(failed=contestant.failed)
            continue
        seconds, counted = median(contestant.samples), contestant.multiply_adds()
        yield row._replace(
            share=counted and counted / seconds / product_speed,
            megabytes=contestant.megabytes,
            seconds=seconds,
            ratio=None if own.failed else seconds / median(own.samples),
            fastest=min(contestant.samples),
            slowest=max(contestant.samples),
            repeats=len(contestant.samples),
            log_likelihood=contestant.log_likelihood,
            difference=None if own.failed else contestant.log_likelihood - reference(own, contestant),
        )


def reference(own, contestant):
    """mixfast's log-likelihood after as many iterations as the contestant made."""
    if isinstance(contestant, Iterations) and contestant.steps != own.steps:
        return own.judge(own.fitter.fit(SHORT + contestant.steps))
    return own.log_likelihood


def line(row):
    """A row as text."""
    system = f"{row.system} {row.version}"
    start = f"{row.case:4} {system:20} {row.quantity:13} "
    if row.failed:
        return start + f"failed: {row.failed}"
    return start + (
        f"{row.seconds:9.4f} {row.fastest:9.4f}-{row.slowest:<9.4f} {row.repeats:>4} {row.ratio or math.nan:7.2f} "
        f"{'' if row.share is None else format(row.share, '.0%'):>6} "
        f"{'' if row.megabytes is None else format(row.megabytes, '.0f'):>6} "
        f"{row.iterations:>6} {row.log_likelihood:14.6f} {math.nan if row.difference is None else row.difference:+9.1e}"
        f"{'  noisy' if row.slowest > NOISY * row.fastest or row.repeats < FEWEST else ''}"
    )


HEADER = (
    f"{'case':4} {'system':20} {'seconds per':13} {'median':>9} {'fastest-slowest':>19} {'runs':>4} {'ratio':>7} "
    f"{'share':>6} {'MB':>6} "
    f"{'iter.':>6} {'loglik/row':>14} {'-mixfast':>9}"
)


def set_threads(n_threads):
    """To be called before anything is imported that starts threads."""
    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(n_threads)
    if hasattr(os, "sched_setaffinity"):  # JAX reads no variable, only how many processors it may use
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n_threads])


def allowed_processors():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load(names, n_threads):
    """(the systems that are there, reasons why the others are not)"""
    from systems import SYSTEMS

    found, missing = [], {}
    for system in SYSTEMS:
        if system.name in names:
            try:
                system.load(n_threads)
                found.append(system)
            except ImportError as error:
                missing[system.name] = str(error)
    return found, missing


#: What the ratio to a system should be at least, by case, row's quantity and system.
TARGETS = {
    ("A", "iteration"): {"scikit-learn": 30, "daal4py": 4},
    ("B", "iteration"): {"scikit-learn": 60, "daal4py": 2},
    ("C", "iteration"): {"scikit-learn": 6},
    ("D", "iteration"): {"scikit-learn": 8},
    ("E", "iteration"): {"scikit-learn": 40},
    ("F", "iteration"): {"stepmix": 8},
    ("G", "fit"): {"scikit-learn": 20},
    ("H", "predict_proba"): {"scikit-learn": 20},
    ("H", "score_samples"): {"scikit-learn": 20},
    ("categorical", "iteration"): {"stepmix": 8},
    ("student-t", "iteration"): {"studenttmixture": 10},
}

MARKDOWN_HEAD = """\
| case | system | seconds per | median | range | ratio | aim | matrix product | MB | log-likelihood a row | difference |
|---|---|---|---|---|---|---|---|---|---|---|"""


def title(case):
    """A case in a table: its letter, or the family and the problem."""
    from families import FAMILY_CASES

    return f"{case}: {FAMILY_CASES[case].what}" if case in FAMILIES else case


def markdown(rows):
    """The rows as a table for a document; where mixfast is behind, or behind its aim, the ratio is bold."""
    yield MARKDOWN_HEAD
    for row in rows:
        start = f"| {title(row.case)} | {row.system} {row.version} | {row.quantity} | "
        if row.failed:
            yield start + f"failed: {row.failed} | | | | | | | |"
            continue
        aim = TARGETS.get((row.case, row.quantity), {}).get(row.system, 1 if row.system != "mixfast" else None)
        ratio = f"{row.ratio:.2f}" if row.ratio else ""
        if aim and row.ratio and row.ratio < aim:
            ratio = f"**{ratio}**"
        yield start + (
            f"{row.seconds:.4f} | {row.fastest:.4f} to {row.slowest:.4f} | {ratio} | "
            f"{aim if aim and aim > 1 else ''} | {'' if row.share is None else format(row.share, '.0%')} | "
            f"{'' if row.megabytes is None else format(row.megabytes, '.0f')} | "
            f"{row.log_likelihood:.6f} | {row.difference:+.0e} |"
        )


def choice(text, allowed, default):
    """A comma-separated list of names as a tuple; 'all' for all."""
    chosen = default if text is None else allowed if text == "all" else tuple(text.split(","))
    unknown = [name for name in chosen if name not in allowed]
    if unknown:
        raise SystemExit(f"unknown: {', '.join(unknown)}; choose from {','.join(allowed)} or all")
    return chosen


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not positive")
    return value


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", help=f"{','.join(ALL)} or all; the default is {','.join(QUICK)}")
    parser.add_argument("--systems", help=f"{','.join(SYSTEM_NAMES)} or all, the default; mixfast always takes part")
    parser.add_argument("--repeats", type=positive, default=5, help="how often each is timed (default 5)")
    parser.add_argument(
        "--seconds", type=positive, default=120, help="begin no repeat of a case after them (default 120)"
    )
    parser.add_argument("--threads", type=positive, help="threads of all systems; all processors are the default")
    parser.add_argument("--table", metavar="FILE", help="replace a table of a document by what comes out")
    parser.add_argument("--name", default="cases", help="the name of that table (default cases)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too; - prints them instead of a table")
    parser.add_argument(
        "--against",
        metavar="BUILD",
        help="time mixfast alone beside another build: a Python that has it, or a .json file of --save; more cases are "
        "known then: small, batch-1d, batch-2d, batch-tiny, batch-sweep",
    )
    parser.add_argument(
        "--limit", type=float, help="with --against: fail where this build takes so many times as long as that one"
    )
    parser.add_argument("--save", metavar="FILE", help="time mixfast alone and keep its seconds for --against")
    options = parser.parse_args(arguments)
    options.times_builds = bool(options.against or options.save)
    if options.limit and not options.against:
        parser.error("--limit needs the build to compare with: --against BUILD")
    if options.times_builds:
        import builds

        options.cases = choice(options.cases, builds.CASES, builds.QUICK)
    else:
        options.cases = choice(options.cases, ALL, QUICK)
    options.systems = ("mixfast", *choice(options.systems, SYSTEM_NAMES, SYSTEM_NAMES))
    options.threads = min(options.threads or allowed_processors(), allowed_processors())
    return options


def main(arguments):
    options = parse(arguments)
    set_threads(options.threads)
    warnings.simplefilter("ignore")  # none of the fits converges, and all say so
    table = sys.stderr if options.json == "-" else sys.stdout
    report = {
        "command": shlex.join(["python", "benchmarks/compare.py", *arguments]),
        "processor": processor(),
        "threads": options.threads,
        "python": platform.python_version(),
    }
    if options.times_builds:
        from builds import compare_builds, slower

        if options.limit:
            names = slower(options.cases, options.against, options.repeats, options.limit)
            if names:
                raise SystemExit(f"more than {options.limit} times as long as {options.against}: {', '.join(names)}")
            return
        report["builds"] = []
        compare_builds(options.cases, options.against, options.repeats, report["builds"])
        if options.save:
            Path(options.save).write_text(json.dumps(report, indent=1) + "\n")
        return
    systems, report["missing"] = load(options.systems, options.threads)
    print(f"$ {report['command']}", file=table)
    print(f"# {report['processor']}, {options.threads} threads, Python {report['python']}", file=table)
    print(HEADER, file=table)
    report["rows"] = []
    for letter in options.cases:
        for row in compare(letter, systems, options.repeats, options.seconds):
            print(line(row), file=table, flush=True)
            report["rows"].append(row._asdict())
    for name, reason in report["missing"].items():
        print(f"not found: {name} ({reason})", file=table)
    if options.table:
        rows_of_report = [Row(**row) for row in report["rows"]]
        replace_table(options.table, options.name, [heading(report["command"]), "", *markdown(rows_of_report)])
    if options.json == "-":
        json.dump(report, sys.stdout, indent=1)
    elif options.json:
        Path(options.json).write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
