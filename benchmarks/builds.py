"""Two builds of mixfast in turn: this one, and one that is installed in another environment.

Each build has a process that imports it and waits to be asked; `compare.py --against` asks them one after the other, so
that what else the machine does falls on both alike. Only what both builds can do is timed.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import warnings
from pathlib import Path
from statistics import median
from time import perf_counter, sleep

from compare import ALL, FAMILIES, PAUSE, fields

#: Seconds at least of what is timed at once.
TURN = 0.2


class Whole:
    """Seconds of a call, the mean of as many as fill a turn."""

    def __init__(self, call):
        self.call = call
        call()
        begin = perf_counter()
        self.log_likelihood = call()
        self.n_calls = max(1, int(TURN / (perf_counter() - begin)))

    def seconds(self):
        begin = perf_counter()
        for _ in range(self.n_calls):
            self.call()
        return (perf_counter() - begin) / self.n_calls


class Race:
    """mixfast's own contestant of a case of compare.py."""

    def __init__(self, letter):
        from systems import SYSTEMS

        own = [system for system in SYSTEMS if system.name == "mixfast"]
        self.contestants = [contestants[0] for contestants in fields(letter, own)]
        self.failed = next((one.failed for one in self.contestants if one.failed), None)
        if self.failed:
            raise RuntimeError(self.failed)
        self.n_done = 0

    def seconds(self):
        for contestant in self.contestants:
            contestant.race(self.n_done)
        self.n_done += 1
        return sum(contestant.samples[-1] for contestant in self.contestants)

    @property
    def log_likelihood(self):
        return self.contestants[0].log_likelihood


def small():
    """A fit of 200 x 2, where nearly all is overhead."""
    from data import Case, generate

    from mixfast import GaussianMixture

    X = generate(Case("full", 200, 2, 2)).X
    return Whole(lambda: float(GaussianMixture(2, random_state=0).fit(X).lower_bound_))


def batch(n_problems, shape, **options):
    """fit_many of so many problems."""

    def make():
        from data import Case, generate_many

        from mixfast import GaussianMixture, fit_many

        case = Case("full", *shape)
        X = generate_many(case, n_problems)
        estimator = GaussianMixture(case.n_components, random_state=0)
        return Whole(lambda: float(fit_many(X, estimator, **options).lower_bound.mean()))

    return make


GRID = {"n_components": range(1, 10), "covariance_type": ["full", "tied", "diag", "spherical"]}

#: What can be timed beside the cases of compare.py.
WHOLE = {
    "small": small,
    "batch-1d": batch(2_000, (500, 1, 3)),
    "batch-2d": batch(2_000, (500, 2, 3)),
    "batch-tiny": batch(100_000, (50, 1, 2)),
    "batch-sweep": batch(1, (2_000, 4, 5), **GRID),
}
CASES = (*ALL, *WHOLE)
QUICK = ("A", "A32", "E", "F", *FAMILIES, *WHOLE)


# ---- the process of a build -----------------------------------------------------------------------------------------


def serve():
    """Answer each line, the name of a case, with a line: seconds and what the fit reached, or why it failed."""
    warnings.simplefilter("ignore")
    name, task = None, None
    for line in sys.stdin:
        with contextlib.redirect_stdout(sys.stderr):
            try:
                if line.strip() != name:
                    name, task = line.strip(), None
                    task = WHOLE[name]() if name in WHOLE else Race(name)
                answer = {"seconds": task.seconds(), "log_likelihood": task.log_likelihood}
            except Exception as error:  # an older build lacks what a newer one has
                answer = {"failed": f"{type(error).__name__}: {error}".splitlines()[0][:120]}
        print(json.dumps(answer), flush=True)


class Build:
    """The process that answers for the build that a Python has."""

    def __init__(self, python):
        here = Path(__file__).parent
        self.process = subprocess.Popen(
            [python, "-c", "import builds; builds.serve()"],
            cwd=here, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ask(self, name):
        print(name, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"failed": f"the process ended with {self.process.wait()}"}

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Saved:
    """Figures that `--save` kept: the same answer each time."""

    def __init__(self, path):
        self.rows = {row["case"]: row for row in json.loads(Path(path).read_text())["builds"]}

    def ask(self, name):
        row = self.rows.get(name)
        return {"failed": "not in the file"} if row is None else row

    def close(self):
        pass


HEADER = f"{'case':24} {'this':>11} {'that':>11} {'ratio':>7} {'runs':>4} {'spread':>7} {'difference':>11}"


def compare_builds(names, against, repeats, report):
    """Print a line a case: seconds of this build and of that, the ratio (above 1: this is faster), how far apart the
    fastest and the slowest ratio of a run are, and how far this build's log-likelihood is from that build's."""
    this = Build(sys.executable)
    that = None if against is None else Saved(against) if against.endswith(".json") else Build(against)
    print(HEADER)
    for name in names:
        runs = []
        for repeat in range(repeats):
            answers = {}
            for build in (this, that) if repeat % 2 else (that, this):
                if build is not None:
                    sleep(PAUSE)
                    answers[build] = build.ask(name)
            runs.append((answers[this], answers.get(that)))
            failed = [answer["failed"] for answer in answers.values() if "failed" in answer]
            if failed:
                print(f"{name:24} failed: {failed[0]}", flush=True)
                break
        else:
            own = median(mine["seconds"] for mine, _ in runs)
            row = {"case": name, "seconds": own, "log_likelihood": runs[0][0]["log_likelihood"]}
            if that is not None:
                row["ratio"] = median(ratios_of(runs))
            report.append(row)
            print(line(name, own, runs), flush=True)
    for build in (this, that):
        if build is not None:
            build.close()


def ratios_of(runs):
    """How many times as long that build took as this one, of each run in turn."""
    return sorted(yours["seconds"] / mine["seconds"] for mine, yours in runs)


def slower(names, against, repeats, limit):
    """The cases in which this build takes more than `limit` times as long as that one, in the median of its runs. Those
    that seem so are timed once more: a busy machine slows one of two down now and then."""
    for _ in range(2):
        report = []
        compare_builds(names, against, repeats, report)
        names = [row["case"] for row in report if row["ratio"] * limit < 1]
        if not names:
            break
    return names


def line(name, own, runs):
    if runs[0][1] is None:
        return f"{name:24} {own:11.6f}"
    other = median(yours["seconds"] for _, yours in runs)
    ratios = ratios_of(runs)
    difference = runs[0][0]["log_likelihood"] - runs[0][1]["log_likelihood"]
    return (
        f"{name:24} {own:11.6f} {other:11.6f} {median(ratios):7.2f} {len(runs):4} "
        f"{ratios[-1] / ratios[0]:7.2f} {difference:+11.1e}"
    )
