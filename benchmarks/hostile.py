"""Small hostile problems by the million: does any crash, hang, raise what it should not, or give a number that is not
finite without saying so?

    python benchmarks/hostile.py --problems 1000000 --seed 0 --state hostile.json     # goes on where it was stopped
    python benchmarks/hostile.py --seed 0 --block 1234                                # one block again, in this process

Problems come in blocks of 50 that share an estimator; what is in a block follows from the seed and the number of the
block alone. A block is fitted by `fit_many`; some of its problems are fitted alone as well, in another memory layout,
and predicted from. Blocks run in processes of their own, which are replaced when they die or hang.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.sparse
from sklearn.base import clone

from mixfast import (
    GSDMM,
    BayesianGaussianMixture,
    BernoulliMixture,
    CategoricalMixture,
    DirichletMultinomialMixture,
    ExponentialMixture,
    GammaMixture,
    GaussianMixture,
    MultinomialMixture,
    PoissonMixture,
    ProductMixture,
    Status,
    StudentTMixture,
    VonMisesFisherMixture,
    fit_many,
    parts,
)

PROBLEMS_A_BLOCK = 50
ALONE_A_BLOCK = 4
#: A block takes some 30 ms: one that takes this long hangs.
HANG_SECONDS = 120
WITHOUT_PARAMETERS = Status.NOT_FINITE | Status.TOO_FEW_ROWS | Status.INTERRUPTED | Status.OUT_OF_DOMAIN


# ---- rows -----------------------------------------------------------------------------------------------------------


def _clusters(rng, shape):
    centres = rng.normal(0, 10.0 ** rng.integers(0, 4), (3, shape[1]))
    return centres[rng.integers(3, size=shape[0])] + rng.normal(size=shape)


def _reals(rng, shape):
    def sprinkled(value, share=0.05):
        X = _clusters(rng, shape)
        X[rng.random(shape) < share] = value
        return X

    kinds = (
        lambda: rng.normal(size=shape),
        lambda: _clusters(rng, shape),
        lambda: np.full(shape, rng.choice([0.0, -0.0, 3.0, 1e12, 1e300])),
        lambda: rng.integers(0, 3, shape).astype(float),
        lambda: _clusters(rng, (2, shape[1]))[rng.integers(2, size=shape[0])],
        lambda: rng.normal(size=shape) * rng.choice([1e-320, 1e-300, 1e-150, 1e-20, 1e20, 1e150, 1e300]),
        lambda: np.clip(rng.normal(size=shape) * 1e308, -1.7e308, 1.7e308),
        lambda: rng.choice([5e-324, -5e-324, 0.0, 1.7e308, -1.7e308], size=shape),
        lambda: rng.normal(size=shape) + rng.choice([1e6, 1e9, 1e12, 1e16]),
        lambda: rng.normal(size=shape) * 10.0 ** rng.integers(-200, 200, shape[1]),
        lambda: sprinkled(10.0 ** rng.integers(2, 300)),
        lambda: sprinkled(np.nan),
        lambda: sprinkled(rng.choice([np.inf, -np.inf])),
        lambda: np.repeat(rng.normal(size=(shape[0], 1)), shape[1], axis=1),
    )
    return kinds[rng.integers(len(kinds))]()


def _bits(rng, shape):
    X = (rng.random(shape) < rng.random(shape[1])).astype(float)
    kind = rng.integers(8)
    if kind == 0:
        X[:] = rng.integers(2)
    elif kind == 1:
        X[rng.random(shape) < 0.1] = np.nan
    elif kind == 2:
        X[rng.random(shape) < 0.02] = 2
    elif kind == 3:
        X[:, 0] = np.nan
    return X


def _counts(rng, shape):
    rates = rng.gamma(0.5, 10.0 ** rng.integers(-1, 4), (3, shape[1]))
    X = rng.poisson(rates[rng.integers(3, size=shape[0])]).astype(float)
    kind = rng.integers(10)
    if kind == 0:
        X[:] = rng.choice([0, 1, 7, 2.0**53])
    elif kind == 1:
        X[rng.random(shape[0]) < 0.3] = 0
    elif kind == 2:
        X *= 10.0 ** rng.integers(3, 12)
    elif kind == 3:
        X[rng.random(shape) < 0.02] = rng.choice([-1, 0.5, np.nan, np.inf, 1e300])
    elif kind == 4:
        X[rng.random(shape) < 0.9] = 0
    return X


def _positive(rng, shape):
    X = rng.gamma(10.0 ** rng.integers(-2, 4), 10.0 ** rng.integers(-3, 4), shape)
    kind = rng.integers(8)
    if kind == 0:
        X[:] = rng.choice([1.0, 1e-300, 1e300])
    elif kind == 1:
        X *= rng.choice([1e-320, 1e-200, 1e200, 1e300])
    elif kind == 2:
        X[rng.random(shape) < 0.05] = rng.choice([0.0, -1.0, np.nan, 5e-324, 1e308])
    elif kind == 3:
        X = np.round(X) + 1
    return X


def _directions(rng, shape):
    X = (
        rng.normal(size=shape)
        + 10.0 ** rng.integers(-1, 3) * rng.normal(size=(3, shape[1]))[rng.integers(3, size=shape[0])]
    )
    kind = rng.integers(8)
    with np.errstate(all="ignore"):
        X /= np.linalg.norm(X, axis=1, keepdims=True)
    if kind == 0:
        X[:] = X[:1]
    elif kind == 1:
        X = np.where(rng.random((shape[0], 1)) < 0.5, X[:1], -X[:1])
    elif kind == 2:
        X[rng.random(shape[0]) < 0.05] = 0
    elif kind == 3:
        X *= 10.0 ** rng.integers(-200, 200)
    return X


def _categories(rng, shape):
    X = rng.integers(0, rng.integers(1, 6), shape).astype(float)
    kind = rng.integers(8)
    if kind == 0:
        X[:] = rng.integers(3)
    elif kind == 1:
        X[rng.random(shape) < 0.1] = np.nan
    elif kind == 2:
        X[rng.random(shape) < 0.02] = rng.choice([-1, 0.5, 1e6, np.inf])
    elif kind == 3:
        X = np.arange(X.size, dtype=float).reshape(shape)
    return X


ROWS = {
    "reals": _reals,
    "bits": _bits,
    "counts": _counts,
    "positive": _positive,
    "directions": _directions,
    "categories": _categories,
}


def _weights(rng, n_rows):
    kinds = (
        lambda: np.ones(n_rows),
        lambda: rng.random(n_rows),
        lambda: rng.integers(0, 3, n_rows).astype(float),
        lambda: np.zeros(n_rows),
        lambda: np.full(n_rows, 1 / max(n_rows, 1)),
        lambda: np.where(rng.random(n_rows) < 0.1, 1e9, 1.0),
        lambda: np.full(n_rows, rng.choice([1e-300, 1e-29, 1e29, 1e300])),
        lambda: 10.0 ** rng.integers(-28, 28, n_rows),
        lambda: np.where(rng.random(n_rows) < 0.05, rng.choice([np.nan, np.inf, -1.0]), 1.0),
    )
    return kinds[rng.integers(len(kinds))]()


# ---- estimators -----------------------------------------------------------------------------------------------------


def _common(rng):
    return {
        "n_components": int(rng.integers(1, 5)),
        "tol": float(rng.choice([1e-3, 1e-8, 0.0])),
        "max_iter": int(rng.choice([0, 1, 5, 30])),
        "n_init": int(rng.choice([1, 1, 1, 2])),
        "init_params": str(rng.choice(["kmeans", "k-means++", "random", "random_from_data"])),
        "accelerate": rng.choice([None, None, "auto"]),
        "canonical_order": bool(rng.random() < 0.1),
        "n_threads": 1,
    }


def _structured(rng):
    return {
        "covariance_type": str(rng.choice(["full", "tied", "diag", "spherical"])),
        "reg_covar": float(rng.choice([1e-6, 0.0, 1e-3])),
    }


def _elliptical(rng):
    return _structured(rng) | {"regularization": str(rng.choice(["absolute", "absolute", "absolute", "relative"]))}


def _alpha(rng):
    return {"alpha": float(rng.choice([0.0, 1.0, 1e-3, 100.0]))}


def _degrees(rng):
    return {"degrees_of_freedom": rng.choice(np.array(["component", "shared", 4.0, 1e6], dtype=object))}


def _prior(rng):
    return {
        "weight_concentration_prior_type": str(rng.choice(["dirichlet_process", "dirichlet_distribution"])),
        "weight_concentration_prior": rng.choice(np.array([None, 1e-6, 1.0, 1e6], dtype=object)),
        "mean_precision_prior": rng.choice(np.array([None, 1e-8, 1e4], dtype=object)),
        "prune": bool(rng.random() < 0.1),
    }


def _product(rng, n_features):
    """Parts for columns of numbers; which rows they take follows from the parts."""
    kinds = (
        ("reals", lambda: parts.Gaussian(**_structured(rng))),
        ("reals", lambda: parts.StudentT(**_structured(rng), **_degrees(rng))),
        ("bits", lambda: parts.Bernoulli(**_alpha(rng))),
        ("categories", lambda: parts.Categorical(**_alpha(rng))),
        ("counts", lambda: parts.Poisson()),
        ("positive", parts.Gamma),
        ("positive", parts.Exponential),
    )
    chosen = [kinds[i] for i in rng.choice(len(kinds), size=min(n_features, 3), replace=False)]
    columns = np.array_split(np.arange(n_features), len(chosen))
    estimator = ProductMixture(
        [(own.tolist(), make()) for own, (_, make) in zip(columns, chosen, strict=True)], **_common(rng)
    )

    def rows(generator, shape):
        return np.hstack(
            [ROWS[kind](generator, (shape[0], len(own))) for own, (kind, _) in zip(columns, chosen, strict=True)]
        )

    return estimator, rows


#: name -> (what makes the estimator, the rows it is for, whether it takes sparse ones)
ESTIMATORS = {
    "gaussian": (lambda r: GaussianMixture(**_common(r), **_elliptical(r)), "reals", False),
    "student_t": (lambda r: StudentTMixture(**_common(r), **_elliptical(r), **_degrees(r)), "reals", False),
    "bernoulli": (
        lambda r: BernoulliMixture(**_common(r), **_alpha(r), binarize=r.choice([None, 0.0])),
        "bits",
        True,
    ),
    "categorical": (lambda r: CategoricalMixture(**_common(r), **_alpha(r)), "categories", False),
    "multinomial": (lambda r: MultinomialMixture(**_common(r), **_alpha(r)), "counts", True),
    "dirichlet_multinomial": (
        lambda r: DirichletMultinomialMixture(
            **_common(r), concentration=r.choice(np.array(["free", "symmetric", 0.5, 1e30], dtype=object))
        ),
        "counts",
        True,
    ),
    "poisson": (lambda r: PoissonMixture(**_common(r), alpha=float(r.choice([0.0, 2.0]))), "counts", True),
    "gamma": (lambda r: GammaMixture(**_common(r)), "positive", False),
    "exponential": (lambda r: ExponentialMixture(**_common(r)), "positive", False),
    "von_mises_fisher": (
        lambda r: VonMisesFisherMixture(
            **_common(r), normalize=bool(r.random() < 0.5), concentration_type=str(r.choice(["own", "shared"]))
        ),
        "directions",
        True,
    ),
    "product": (None, None, False),
    "bayesian": (lambda r: BayesianGaussianMixture(**_common(r), **_elliptical(r), **_prior(r)), "reals", False),
    "gsdmm": (lambda r: GSDMM(int(r.integers(1, 10)), n_iter=5, n_threads=1), "counts", True),
}


class Block(NamedTuple):
    """Problems that share an estimator; weights are None or an array for each."""

    estimator: object
    problems: list
    sample_weight: list | None
    takes_sparse: bool


def make_block(seed, number):
    rng = np.random.default_rng([seed, number])
    name = list(ESTIMATORS)[rng.integers(len(ESTIMATORS))]
    make, kind, takes_sparse = ESTIMATORS[name]
    n_features = int(rng.integers(1, 6))
    if make is None:
        estimator, rows = _product(rng, n_features)
    else:
        estimator, rows = make(rng), ROWS[kind]
    dtype = rng.choice([np.float64, np.float32])
    foreign = list(ROWS.values())
    problems = []
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for _ in range(PROBLEMS_A_BLOCK):
            own = foreign[rng.integers(len(foreign))] if rng.random() < 0.05 else rows
            n_rows = int(rng.choice([0, 1, 2, 3, 5, 10, 20, 40, 60]))
            problems.append(own(rng, (n_rows, n_features)).astype(dtype))
    weights = [_weights(rng, len(X)) for X in problems] if rng.random() < 0.5 else None
    return Block(estimator, problems, weights, takes_sparse)


# ---- checks ---------------------------------------------------------------------------------------------------------


class Found(Exception):
    """What is wrong."""


def demand(holds, text):
    if not holds:
        raise Found(text)


def numbers_of(model):
    """Fitted arrays and numbers by name."""
    for name, value in vars(model).items():
        if name.endswith("_") and not name.startswith("_") and name != "lower_bounds_":
            for array in value if isinstance(value, list) else [value]:
                array = np.asarray(array)
                if array.dtype.kind == "f":
                    yield name, array


def _status(model):
    return getattr(model, "status_", Status.OK)  # Gibbs sampling has none


def check_numbers(model, whose=""):
    """All are finite; a lower bound may be -inf where the status has impossible rows, or nothing was iterated."""
    status = _status(model)
    for name, array in numbers_of(model):
        may_be_infinite = name == "lower_bound_" and (status & Status.IMPOSSIBLE_ROWS or model.max_iter == 0)
        finite = np.isfinite(array) | (bool(may_be_infinite) & (array == -np.inf))
        demand(np.all(finite), f"{whose}{name} is not finite, status {status!s}")


def in_layout(rng, X, takes_sparse):
    """The same rows, stored otherwise."""
    wide = np.full((2 * X.shape[0], 2 * X.shape[1]), np.nan, X.dtype)
    wide[::2, ::2] = X
    frozen = X.copy()
    frozen.flags.writeable = False
    forms = [np.asfortranarray(X), wide[::2, ::2], X[::-1].copy()[::-1], frozen, X]
    if takes_sparse and not np.any(np.isnan(X)):
        forms.append(scipy.sparse.csr_matrix(X))
    return forms[rng.integers(len(forms))]


def check_predictions(model, X, what):
    """Raises ValueError where the rows are refused."""
    log_prob = model.score_samples(X)
    demand(not np.any(np.isnan(log_prob)), f"{what}: log densities are NaN")
    demand(not np.any(log_prob == np.inf), f"{what}: log densities are +inf")
    resp = model.predict_proba(X)
    demand(np.all(np.isfinite(resp)) and np.all(resp >= 0), f"{what}: probabilities are not finite or negative")
    demand(np.allclose(resp.sum(axis=1), 1, atol=1e-4), f"{what}: probabilities do not sum to one")
    labels = model.predict(X)
    demand(np.all((labels >= 0) & (labels < resp.shape[1])), f"{what}: labels are out of range")
    return log_prob


def check_alone(block, i, rng):
    """Fit problem i by itself and predict; the model, or None where `fit` refuses the rows, and the rows
    as they were stored."""
    X, weight = block.problems[i], None if block.sample_weight is None else block.sample_weight[i]
    model = clone(block.estimator).set_params(random_state=7)
    rows = in_layout(rng, X, block.takes_sparse)
    try:
        model.fit(rows) if isinstance(model, GSDMM) else model.fit(rows, sample_weight=weight)
    except ValueError:
        left = [name for name in vars(model) if name.endswith("_") and not name.startswith("_")]
        demand(not left, f"a fit that failed left {left}")
        return None, rows
    check_numbers(model)
    kept = slice(None) if weight is None or isinstance(model, GSDMM) else weight > 0
    log_prob = check_predictions(model, X[kept], "fitted rows")
    status = _status(model)
    demand(
        np.all(np.isfinite(log_prob)) or status & Status.IMPOSSIBLE_ROWS or getattr(model, "max_iter", 1) == 0,
        f"fitted rows are impossible, status {status!s}",
    )
    drawn, labels = model.sample(5, random_state=0)
    drawn = drawn.toarray() if scipy.sparse.issparse(drawn) else np.asarray(drawn)
    demand(drawn.dtype == object or np.all(np.isfinite(drawn)), "drawn rows are not finite")
    demand(drawn.shape == (5, X.shape[1]) and labels.shape == (5,), "drawn rows have the wrong shape")
    for value in (0.0, 1.0, -1.0, 1e308, -1e308, 1e30, 5e-324):
        row = np.full((1, X.shape[1]), value)
        try:
            check_predictions(model, row, f"a row of {value:g}")
        except ValueError:
            continue
    return model, rows


def check_batch(block):
    result = fit_many(block.problems, block.estimator, sample_weight=block.sample_weight, random_state=7, n_threads=1)
    demand(len(result) == len(block.problems), "problems are lost")
    usable = (result.status & int(WITHOUT_PARAMETERS)) == 0
    demand(np.array_equal(usable, result.has_parameters), "statuses and parameters disagree")
    demand(not np.any(result.status & int(Status.INTERRUPTED)), "problems were not fitted")
    own = np.arange(result.weights.shape[1]) < result.n_components[:, np.newaxis]
    demand(np.all(np.isfinite(result.weights[usable][own[usable]])), "weights are not finite")
    demand(np.all(np.isnan(result.weights[~usable])), "weights of a problem without parameters")
    for i in np.flatnonzero(usable):
        check_numbers(result[i], f"problem {i}: ")
    return result


def check_block(seed, number):
    """What is wrong with a block, a list of sentences, and how its fits ended."""
    block, statuses, wrong = make_block(seed, number), Counter(), []
    rng = np.random.default_rng([seed, number, 1])
    result = None
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        if not isinstance(block.estimator, GSDMM):
            try:
                result = check_batch(block)
                statuses.update(str(Status(int(status))) for status in result.status)
            except Found as found:
                wrong.append(f"batch: {found}")
            except Exception:
                wrong.append(f"batch: {traceback.format_exc(limit=-3)}")
        for i in rng.choice(len(block.problems), ALONE_A_BLOCK, replace=False):
            try:
                model, rows = check_alone(block, i, rng)
                # categories of a batch are those of all its problems; sums over sparse rows have another order
                if result is not None and not (_learns_from_all(block.estimator) or scipy.sparse.issparse(rows)):
                    check_same(model, result, i)
            except Found as found:
                wrong.append(f"problem {i} alone: {found}")
            except Exception:
                wrong.append(f"problem {i} alone: {traceback.format_exc(limit=-3)}")
    return [f"block {number}, {block.estimator!r}: {text}" for text in wrong], statuses


def _learns_from_all(estimator):
    kinds = [part for _, part in estimator.parts] if isinstance(estimator, ProductMixture) else [estimator]
    return any(isinstance(kind, (CategoricalMixture, parts.Categorical)) for kind in kinds)


def check_same(model, result, i):
    demand((model is not None) == bool(result.has_parameters[i]), "fitted alone but not in the batch, or conversely")
    if model is not None:
        demand(int(model.status_) == int(result.status[i]), "another status than in the batch")
        demand(np.array_equal(model.weights_, result[i].weights_), "other weights than in the batch")


# ---- processes ------------------------------------------------------------------------------------------------------


def work(seed, first, last, step, pipe):
    """Blocks first, first + step ...; says which one begins, and what came of it."""
    for number in range(first, last, step):
        pipe.send(("begin", number))
        wrong, statuses = check_block(seed, number)
        pipe.send(("end", number, wrong, dict(statuses)))
    pipe.send(("done",))


class Worker:
    """A process that does every `step`-th block, and is replaced when it dies or hangs."""

    def __init__(self, seed, first, last, step):
        self.seed, self.next, self.last, self.step = seed, first, last, step
        self.start()

    def start(self):
        context = multiprocessing.get_context("spawn")
        self.pipe, child = context.Pipe(duplex=False)
        self.process = context.Process(target=work, args=(self.seed, self.next, self.last, self.step, child))
        self.process.start()
        child.close()
        self.heard, self.done = time.monotonic(), self.next >= self.last

    def listen(self, report):
        """Take what the process has said; a block that it did not survive is wrong."""
        try:
            while self.pipe.poll(0.05):
                kind, *rest = self.pipe.recv()
                self.heard = time.monotonic()
                if kind == "end":
                    self.next = rest[0] + self.step
                    report(*rest)
                self.done |= kind == "done"
        except EOFError:
            if not self.done:
                self.lose(f"the process died with exit code {self.process.exitcode}", report)
        if not self.done and time.monotonic() - self.heard > HANG_SECONDS:
            self.process.kill()
            self.lose(f"nothing for {HANG_SECONDS} s", report)

    def lose(self, why, report):
        self.process.join()
        report(self.next, [f"block {self.next}: {why}"], {})
        self.next += self.step
        self.start()


def run(seed, n_problems, n_workers, state_path):
    n_blocks = -(-n_problems // PROBLEMS_A_BLOCK)
    state = {"seed": seed, "workers": n_workers, "next": list(range(n_workers)), "wrong": [], "statuses": {}}
    if state_path and state_path.exists():
        state = json.loads(state_path.read_text())
        if (state["seed"], state["workers"]) != (seed, n_workers):
            raise SystemExit(f"{state_path} is of --seed {state['seed']} --workers {state['workers']}")
    statuses, began, n_done = Counter(state["statuses"]), time.monotonic(), 0
    workers = [Worker(seed, first, n_blocks, n_workers) for first in state["next"]]

    def report(number, wrong, seen):
        nonlocal n_done
        n_done += 1
        statuses.update(seen)
        state["wrong"] += wrong
        for text in wrong:
            print(text, flush=True)

    def keep():
        if state_path:
            state["next"], state["statuses"] = [worker.next for worker in workers], dict(statuses)
            state_path.write_text(json.dumps(state, indent=1))

    kept = time.monotonic()
    try:
        while not all(worker.done for worker in workers):
            for worker in workers:
                if not worker.done:
                    worker.listen(report)
            if time.monotonic() - kept > 10:
                keep()
                kept = time.monotonic()
    finally:
        keep()
        for worker in workers:
            worker.process.kill()
    n_all = min(n_blocks, sum((worker.next - i) // n_workers for i, worker in enumerate(workers))) * PROBLEMS_A_BLOCK
    print(f"{n_all:,} problems of --seed {seed}, {n_done * PROBLEMS_A_BLOCK:,} now in {time.monotonic() - began:.0f} s")
    for status, count in statuses.most_common():
        print(f"{count:>10,}  {status}")
    print(f"{len(state['wrong'])} wrong")
    return len(state["wrong"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--state", type=Path, help="file that says how far the run is")
    parser.add_argument("--block", type=int, help="run this block alone, in this process")
    options = parser.parse_args()
    if options.block is not None:
        wrong, statuses = check_block(options.seed, options.block)
        print(*wrong, dict(statuses), sep="\n")
        sys.exit(bool(wrong))
    sys.exit(run(options.seed, options.problems, options.workers, options.state) > 0)


if __name__ == "__main__":
    main()
