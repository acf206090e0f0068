"""Threads are no more than the process may use, whoever says so, and other libraries' threads are no trouble.

Forks, threads of Python and bits are in test_agnosticism.py.
"""

import os
import subprocess
import sys
from contextvars import copy_context

import numpy as np
import pytest
from joblib import Parallel, delayed, parallel_config
from sklearn.cluster import KMeans
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_info, threadpool_limits

from mixfast import GaussianMixture, _threads
from mixfast._openmp import max_threads
from mixfast._threads import allowed_threads, keep_to, resolve_threads

X = np.random.default_rng(0).normal(size=(20_000, 3))


def in_new_process(**environment):
    """The threads of a process with such variables."""
    code = "from mixfast._threads import allowed_threads; print(allowed_threads())"
    env = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"} | environment
    return int(subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout)


def test_limits_of_threadpoolctl_hold_while_they_last():
    before = allowed_threads()
    with threadpool_limits(1):
        assert (max_threads(), allowed_threads(), resolve_threads(None)) == (1, 1, 1)
        assert resolve_threads(2) == 2  # who asks for a number has it
    assert allowed_threads() == before
    with threadpool_limits(1, user_api="blas"):
        assert allowed_threads() == before


def test_what_a_context_keeps_to_holds_in_it_alone():
    def kept():
        keep_to(2)
        return resolve_threads(1), resolve_threads(8)

    assert copy_context().run(kept) == (1, 2)
    assert resolve_threads(8) == 8


@pytest.mark.parametrize("variable", ["OMP_NUM_THREADS", "LOKY_MAX_CPU_COUNT"])
def test_variables_of_the_environment_are_limits(variable):
    assert in_new_process(**{variable: "1"}) == 1


def test_the_quota_of_a_container_is_a_limit(monkeypatch):
    """joblib reads the files of both versions of cgroups; what it says counts."""
    monkeypatch.setattr("joblib.cpu_count", lambda: 1)
    _threads._quota.cache_clear()
    try:
        assert allowed_threads() == 1
    finally:
        _threads._quota.cache_clear()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_the_affinity_of_the_process_is_a_limit():
    code = (
        "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
        "from mixfast._threads import allowed_threads; print(allowed_threads())"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"


def test_scikit_learns_openmp_and_ours_work_in_turns():
    assert sum(library["user_api"] == "openmp" for library in threadpool_info()) >= 1
    alone = GaussianMixture(3, random_state=0, max_iter=5, tol=1).fit(X)
    for _ in range(3):
        KMeans(3, n_init=1, random_state=0).fit(X)
        HistGradientBoostingRegressor(max_iter=2).fit(X[:, :2], X[:, 2])
        again = GaussianMixture(3, random_state=0, max_iter=5, tol=1).fit(X)
        np.testing.assert_array_equal(again.means_, alone.means_)


def _fit_in_a_worker(seed):
    return GaussianMixture(3, random_state=seed, max_iter=5, tol=1).fit(X).means_, allowed_threads()


def test_workers_of_loky_share_the_processors_and_have_the_same_bits():
    here = [GaussianMixture(3, random_state=seed, max_iter=5, tol=1).fit(X).means_ for seed in range(4)]
    with parallel_config("loky", n_jobs=2, inner_max_num_threads=1):
        there = Parallel()(delayed(_fit_in_a_worker)(seed) for seed in range(4))
    for (means, n_threads), expected in zip(there, here, strict=True):
        np.testing.assert_array_equal(means, expected)
        assert n_threads == 1
