"""The C interface beside batches and estimators: fits and single rows, in loops that are compiled here.

    python benchmarks/capi.py [rounds]

What is compared is run in turn on one thread; the least of all rounds is printed, in time of the processor, and ratios
of these.
"""

import ctypes
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import mixfast
from mixfast import GaussianMixture, capi, fit_many

N_PROBLEMS, N_ROWS, N_SINGLE = 1000, 500, 100_000


def compile_loops(folder):
    target = Path(folder, "capi.so")
    source = Path(__file__).parent / "capi.c"
    subprocess.run(
        ["cc", "-O2", "-shared", "-fPIC", f"-I{mixfast.get_include()}", str(source), "-o", str(target)], check=True
    )
    loops = ctypes.CDLL(str(target))
    loops.time_fits.restype = loops.time_rows.restype = ctypes.c_double
    return loops


def address(array):
    return ctypes.c_void_p(None if array is None else array.ctypes.data)


class Caller:
    """A plan with its memory."""

    def __init__(self, loops, plan):
        self.loops, self.plan = loops, plan
        self.api, self.own = ctypes.c_void_p(capi.address), ctypes.c_void_p(plan.address)
        self.weights, self.params = np.full(plan.n_components, np.nan), np.zeros(plan.n_params)

    def member(self, place, *types):
        """Of the table, after version and bytes."""
        pointer = ctypes.c_void_p.from_address(capi.address + 8 + 8 * place).value
        return ctypes.CFUNCTYPE(ctypes.c_int, *types)(pointer)

    def room(self, n_rows):
        n_bytes = ctypes.c_size_t()
        self.member(1, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int, ctypes.c_void_p)(
            self.own, n_rows, 1, ctypes.addressof(n_bytes)
        )
        return np.empty(n_bytes.value, dtype=np.uint8)

    def tables(self, room):
        n_bytes = ctypes.c_size_t()
        self.member(0, *[ctypes.c_void_p] * 6)(self.own, None, None, None, None, ctypes.addressof(n_bytes))
        tables = np.empty(n_bytes.value, dtype=np.uint8)
        self.member(8, *[ctypes.c_void_p] * 4, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t)(
            self.own, address(self.weights), address(self.params), address(room), len(room), address(tables),
            len(tables),
        )  # fmt: skip
        return tables

    def fits(self, X, room):
        """Seconds of fits to X (n_problems, n_rows, d); weights and params are then the last ones."""
        n_problems, n_rows, d = map(ctypes.c_int64, X.shape)
        seconds = self.loops.time_fits(
            self.api, self.own, address(X), n_problems, n_rows, d, address(room), ctypes.c_size_t(len(room)),
            address(self.weights), address(self.params),
        )  # fmt: skip
        assert seconds > 0
        return seconds

    def rows(self, X, room, tables):
        """Seconds of evaluations of each row of X (n, d)."""
        n, d = map(ctypes.c_int64, X.shape)
        seconds = self.loops.time_rows(
            self.api, self.own, address(X), n, d, address(room), ctypes.c_size_t(len(room)), address(self.weights),
            address(self.params), address(tables),
        )  # fmt: skip
        assert seconds > 0
        return seconds


def seconds_of(call):
    start = time.thread_time()
    call()
    return time.thread_time() - start


def compare_fits(loops, rounds, n_components, d):
    rng = np.random.default_rng(0)
    centres = 6 * rng.normal(size=(N_PROBLEMS, n_components, d))
    labels = rng.integers(n_components, size=(N_PROBLEMS, N_ROWS))
    X = np.take_along_axis(centres, labels[..., np.newaxis], axis=1) + rng.normal(size=(N_PROBLEMS, N_ROWS, d))
    model = GaussianMixture(n_components, random_state=0)
    caller, seeds = Caller(loops, capi.plan(model, d)), np.arange(N_PROBLEMS)
    room = caller.room(N_ROWS)
    found = np.array(
        [
            (caller.fits(X, room), seconds_of(lambda: fit_many(X, model, seeds=seeds, n_threads=1)))
            for _ in range(rounds)
        ]
    ).min(axis=0)
    few = 20
    alone = min(seconds_of(lambda: [model.fit(x) for x in X[:few]]) for _ in range(rounds)) / few
    batch = fit_many(X[-1:], model, seeds=seeds[-1:], n_threads=1)
    assert np.array_equal(batch[0].means_, caller.plan.layout["means"].of(caller.params))
    c, many = found / N_PROBLEMS
    print(
        f"fit {N_ROWS} x {d}, K={n_components}: C {1e6 * c:8.1f} us   fit_many {1e6 * many:8.1f} us ({c / many:.2f})   "
        f"estimator {1e6 * alone:8.1f} us ({c / alone:.2f})"
    )


def compare_rows(loops, rounds, n_components, d, dtype="float64"):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_SINGLE, d)) + 6 * rng.integers(n_components, size=(N_SINGLE, 1))
    model = GaussianMixture(n_components, random_state=0)
    caller = Caller(loops, capi.plan(model, d))
    room = caller.room(N_ROWS)
    caller.fits(X[np.newaxis, :N_ROWS].copy(), room)
    tables = caller.tables(room)
    with_tables, without = np.array(
        [(caller.rows(X, room, tables), caller.rows(X, room, None)) for _ in range(rounds)]
    ).min(axis=0) / len(X)
    model.fit(X[:N_ROWS])
    alone = min(seconds_of(lambda: model.predict(X[:1])) for _ in range(20 * rounds))
    print(
        f"evaluate 1 x {d}, K={n_components}: tables {1e9 * with_tables:6.0f} ns   without {1e9 * without:6.0f} ns   "
        f"estimator's predict {1e9 * alone:8.0f} ns"
    )


if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as folder:
        loops = compile_loops(folder)
        for n_components, d in ((3, 1), (3, 4)):
            compare_fits(loops, rounds, n_components, d)
        for n_components, d in ((2, 1), (3, 3), (8, 16)):
            compare_rows(loops, rounds, n_components, d)
