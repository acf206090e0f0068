"""Blocks that threads of Python compute: in order, with their share of the threads, and the first error first."""

import os
import signal
import subprocess
import sys
import threading
import time
import traceback
import warnings
import weakref
from functools import partial

import numpy as np
import pytest
import sklearn
from batches import assert_same_state, attributes
from estimators_table import SUMMED, every_summed
from sklearn.exceptions import ConvergenceWarning

from mixfast import block_threads, blocks, formula, row_blocks
from mixfast._threads import resolve_threads
from mixfast._warnings import warn
from mixfast.block_threads import in_order, shares_of


@pytest.mark.parametrize("n_threads", [1, 2, 3, 4, 5, 6, 7, 8, 64])
def test_blocks_at_a_time_share_all_threads(n_threads):
    for n_blocks in (0, 1, 2, 3, 4, 5, 1000):
        shares = shares_of(n_threads, n_blocks)
        assert sum(shares) == n_threads
        assert len(shares) == max(min(n_threads, n_blocks, block_threads.AT_A_TIME), 1)
        assert max(shares) - min(shares) <= 1


@pytest.mark.parametrize("n_blocks", [1, 2, 3, 4])
def test_few_blocks_have_all_threads_among_them(n_blocks):
    meet = threading.Barrier(n_blocks)

    def seen(_):
        meet.wait(timeout=60)  # all are computed at a time
        return resolve_threads(12), threading.get_ident() == caller

    caller = threading.get_ident()
    assert list(in_order(seen, range(n_blocks), 12)) == [(12 // n_blocks, n_blocks == 1)] * n_blocks


def test_an_error_after_few_items_comes_after_their_results():
    def items(n):
        yield from range(n)
        raise OSError("the disk is gone")

    for n in range(6):
        found = []
        with pytest.raises(OSError, match="the disk is gone"):
            found.extend(in_order(lambda i: i, items(n), 8))
        assert found == list(range(n))


def test_blocks_are_forgotten_when_they_are_computed():
    """Those that were looked at too."""

    class Block:
        pass

    alive = []

    def items():
        for _ in range(12):
            block = Block()
            alive.append(weakref.ref(block))
            yield block
            del block

    for n, _ in enumerate(in_order(lambda block: None, items(), 2)):
        deadline = time.monotonic() + 60  # a thread gives its result away before it forgets the block
        while any(own() is not None for own in alive[: n + 1]):
            assert time.monotonic() < deadline
            time.sleep(0.001)


def test_results_come_in_the_order_of_the_items():
    def slow_first(i):
        time.sleep(0.02 if i % 3 == 0 else 0)
        return i

    assert list(in_order(slow_first, iter(range(20)), 3)) == list(range(20))
    assert list(in_order(slow_first, [], 3)) == []


def test_several_are_computed_at_a_time_and_few_are_waiting():
    meet, taken, done = threading.Barrier(2), [], []

    def compute(i):
        meet.wait(timeout=60)  # for another one, which is only there if two are computed at a time
        done.append(i)
        assert len(taken) - len(done) <= 3

    def items():
        for i in range(10):
            taken.append(i)
            yield i

    list(in_order(compute, items(), 2))
    assert sorted(done) == list(range(10))


def test_one_thread_computes_in_the_callers():
    assert set(in_order(lambda i: threading.get_ident(), range(5), 1)) == {threading.get_ident()}


def test_passes_of_a_block_take_their_share_and_keep_the_configuration():
    def seen(_):
        return resolve_threads(100), resolve_threads(None) <= 2, sklearn.get_config()["assume_finite"]

    with sklearn.config_context(assume_finite=True):
        found = set(in_order(seen, range(8), 8))
    assert found == {(2, True, True)}
    assert resolve_threads(100) == 100


def test_no_share_is_taken_twice_at_a_time():
    meet = threading.Barrier(4)

    def seen(_):
        meet.wait(timeout=60)
        found = resolve_threads(100)
        meet.wait(timeout=60)
        return found

    found = list(in_order(seen, range(40), 6))
    for own in range(0, 40, 4):  # the four that met
        assert sorted(found[own : own + 4]) == [1, 1, 2, 2]


def test_the_first_error_in_order_is_raised():
    def compute(i):
        if i == 3:
            time.sleep(0.05)
        if i >= 3:
            raise ValueError(f"block {i}")
        return i

    def items():
        yield from range(5)
        raise OSError("the disk is gone")

    for n_threads in (1, 4):
        found = []
        with pytest.raises(ValueError, match="block 3"):
            found.extend(in_order(compute, items(), n_threads))
        found = []
        with pytest.raises(OSError, match="the disk is gone"):
            found += in_order(lambda i: i, items(), n_threads)


@pytest.mark.parametrize("n_threads", [1, 4])
def test_warnings_of_blocks_come_in_order_from_the_callers_line(n_threads):
    def compute(i):
        if i % 4 == 0:
            time.sleep(0.02)  # others warn before
        warn(f"block {i}", UserWarning)
        warn(f"block {i} too", ConvergenceWarning)
        if i == 9:
            raise ValueError("block 9")
        return i

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(ValueError, match="block 9"):
            list(in_order(compute, range(20), n_threads))
    said = [(str(own.message), own.category) for own in caught]
    assert said == [
        own for i in range(10) for own in [(f"block {i}", UserWarning), (f"block {i} too", ConvergenceWarning)]
    ]
    assert {own.filename for own in caught} == {__file__}


def test_filters_of_the_caller_hold_for_warnings_of_blocks():
    def compute(i):
        warn(f"block {i}", UserWarning)

    with warnings.catch_warnings():
        warnings.filterwarnings("error", "block 2")
        warnings.filterwarnings("ignore", "block [013]")
        with pytest.raises(UserWarning, match="block 2"):
            list(in_order(compute, range(4), 2))
        warnings.filterwarnings("ignore", "block 2")
        list(in_order(compute, range(4), 2))


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarms on this system")
def test_interrupts_do_not_wait_for_blocks():
    is_over, previous = threading.Event(), signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(KeyboardInterrupt):
            list(in_order(lambda i: is_over.wait(600), range(10), 2))
        assert not is_over.is_set()
    finally:
        is_over.set()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def test_who_waits_for_blocks_can_be_interrupted_on_every_system(monkeypatch):
    """On Windows a wait that has no end is not interrupted: those of the caller, for rows and for blocks, have one."""
    caller, real, ends = threading.get_ident(), threading.Condition.wait, []
    waits = {"ahead": threading.Event(), "in_order": threading.Event()}

    def wait(self, timeout=None):
        names = [own.name for own in traceback.extract_stack()]
        if threading.get_ident() == caller and "start" not in names:  # of a thread, which is soon over
            ends.append(timeout)
            waits["ahead" if "ahead" in names else "in_order"].set()
        return real(self, timeout)

    def items():
        waits["ahead"].wait(60)
        yield from range(8)

    def double(i):
        waits["in_order"].wait(60)
        return 2 * i

    with monkeypatch.context() as patched:
        patched.setattr(threading.Condition, "wait", wait)
        assert list(in_order(double, row_blocks.ahead(items()), 2)) == list(range(0, 16, 2))
    assert all(own.is_set() for own in waits.values())
    assert None not in ends


# ---- fits -----------------------------------------------------------------------------------------------------------


def blocks_of(rows):
    """With what they have beside their values, which are columns after them."""
    columns, told, n = [rows.X], {}, rows.X.shape[1]
    for name, values in rows.data.items():
        columns.append(values)
        places = list(range(n, n + (1 if values.ndim == 1 else values.shape[1])))
        told[name] = places[0] if values.ndim == 1 else places
        n += len(places)
    return blocks(np.column_stack(columns), **told)


@every_summed
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_all_mixtures_have_the_same_bits_for_any_number_of_threads(name, monkeypatch):
    monkeypatch.setattr(row_blocks, "BLOCK", 7)
    rows, make = SUMMED[name].rows(), partial(SUMMED[name].make, max_iter=3, tol=0)
    assert len(list(blocks_of(rows))) == 9
    one = attributes(make(n_threads=1).fit(blocks_of(rows)))
    for n_threads in (2, 3, 7):  # 7 are shared by four blocks
        assert_same_state(attributes(make(n_threads=n_threads).fit(blocks_of(rows))), one)


FORKED = """
import multiprocessing
import numpy as np
from mixfast import GaussianMixture, blocks, row_blocks

row_blocks.BLOCK = 1000
X = np.random.default_rng(0).normal(size=(10_000, 3))

def fit():
    return GaussianMixture(5, random_state=0, max_iter=5, tol=0, n_threads=4).fit(blocks(X)).lower_bound_

first = fit()
context = multiprocessing.get_context("fork")
queue = context.Queue()
child = context.Process(target=lambda: queue.put(fit()), daemon=True)
child.start()
print(queue.get(timeout=60) == first)
child.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_fits_to_blocks():
    """Where neither threads of Python nor those of OpenMP are that the first fit had."""
    result = subprocess.run([sys.executable, "-W", "ignore", "-c", FORKED], capture_output=True, text=True, check=False)
    assert result.stdout.strip() == "True", result.stderr


def test_formulas_that_several_threads_evaluate_leave_the_filters_of_warnings():
    """The second begins before the first ends, and ends after it, if it can."""
    pytest.importorskip("formulaic")
    began, ended = [threading.Event(), threading.Event()], threading.Event()

    def evaluate(i):
        def build(data, **options):
            began[i].set()
            (began[1] if i == 0 else ended).wait(0.3)  # in vain where one waits for the other

        if i == 1:
            began[0].wait(60)
        formula._matrix(build, None)
        if i == 0:
            ended.set()

    with warnings.catch_warnings():
        before = list(warnings.filters)
        list(in_order(evaluate, range(2), 2))
        assert warnings.filters == before
