"""Ctrl-C stops a batch and leaves what is done; a bar shows how far it is; memory is what the results take."""

import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from batches import assert_same_results, assert_without_parameters, groups, ragged
from test_python_family import GeometricMixture

from mixfast import GaussianMixture, Status, fit_many

# Each of the batches below would take a minute or more, so a test that does not stop is seen by its time.
MANY = np.random.default_rng(0).normal(size=(40_000, 300, 1))
WARNED = r"Ctrl-C ended the batch: [\d,]+ of [\d,]+ problems are not fitted and have Status.INTERRUPTED"
SLOW = {"tol": 0, "max_iter": 3000, "random_state": 0}


@pytest.fixture
def alarm():
    """Ctrl-C comes a moment after the call, when fits have begun: what comes before takes 0.1 s on an idle machine."""
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    yield lambda delay=1.0: signal.setitimer(signal.ITIMER_REAL, delay)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, previous)


def is_done(result):
    return result.status & Status.INTERRUPTED == 0


def assert_the_rest_is_marked(result):
    left = np.flatnonzero(~is_done(result))
    assert len(left) > 0
    assert np.all(result.status[left] == Status.INTERRUPTED)
    assert_without_parameters(result, left[0])
    for array in (result.weights, result.means, result.lower_bound, result.criteria):
        assert np.all(np.isnan(array[left]))
    with pytest.raises(ValueError, match="its status is INTERRUPTED"):
        result[left[-1]]


@pytest.mark.parametrize("n_threads", [1, 2])
def test_many_small_problems_are_interrupted_and_done_ones_are_kept(n_threads, alarm):
    estimator = GaussianMixture(3, **SLOW)
    alarm()
    with pytest.warns(UserWarning, match=WARNED):
        result = fit_many(MANY, estimator, n_threads=n_threads)
    assert_the_rest_is_marked(result)
    done = np.flatnonzero(is_done(result))
    assert len(done) > 0
    again = fit_many(MANY[done[:20]], estimator, n_threads=n_threads)
    assert_same_results(again, result, done[:20])


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_problem_is_interrupted_before_all_its_models_are_compared(n_threads, alarm):
    """The best of some models is not the best of all: such a problem is not done."""
    estimator = GaussianMixture(**SLOW)
    for keep in ("best", "all"):
        grid = {"n_components": range(1, 9), "keep": keep}
        alarm()
        with pytest.warns(UserWarning, match=WARNED):
            result = fit_many(MANY[:2000], estimator, n_threads=n_threads, **grid)
        assert_the_rest_is_marked(result)
        done = np.flatnonzero(is_done(result))
        again = fit_many(MANY[done[:5]], estimator, n_threads=n_threads, **grid) if len(done) else None
        if again is not None:
            assert_same_results(again, result, done[:5])
        for model in result.models or []:
            assert np.all(model.status[~is_done(result)] == Status.INTERRUPTED)


@pytest.mark.parametrize("init_params", ["kmeans", "random"])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_huge_problem_is_interrupted(n_threads, init_params, alarm):
    huge = np.random.default_rng(0).standard_normal((200_000, 10))
    problems = [huge, *ragged([30, 40], 10)]
    alarm()
    with pytest.warns(UserWarning, match=WARNED):
        result = fit_many(problems, GaussianMixture(30, init_params=init_params, **SLOW), n_threads=n_threads)
    assert result.status[0] == Status.INTERRUPTED
    assert_the_rest_is_marked(result)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_problems_of_endless_iterations_are_interrupted(n_threads, alarm):
    """None of them is large enough for all threads, but each would take minutes."""
    problems = [groups(np.random.default_rng(i), 2000, 4, apart=0.5) for i in range(8)]
    estimator = GaussianMixture(5, tol=0, max_iter=2_000_000, random_state=0)
    alarm()
    with pytest.warns(UserWarning, match=WARNED):
        result = fit_many(problems, estimator, n_threads=n_threads)
    assert_the_rest_is_marked(result)


def test_estimators_one_by_one_are_interrupted(alarm):
    alarm()
    with pytest.warns(UserWarning, match=WARNED):
        result = fit_many(MANY[:20_000], GaussianMixture(3, n_init_policy="halving", n_init=3, **SLOW))
    assert_the_rest_is_marked(result)
    assert np.any(is_done(result))
    alarm()
    counts = np.random.default_rng(0).geometric(0.3, (2000, 300, 2)) - 1.0
    with pytest.warns(UserWarning, match=WARNED):
        result = fit_many(counts, GeometricMixture(3, tol=0, random_state=0))
    assert not np.all(is_done(result))


def test_predictions_are_interrupted(alarm):
    rows = np.broadcast_to(np.zeros((1, 1, 8), dtype=np.float32), (2, 3_000_000, 8))
    result = fit_many(ragged([200, 200], 8), GaussianMixture(60, max_iter=1, random_state=0))
    alarm()
    with pytest.raises(KeyboardInterrupt):
        result.score_samples(rows)


def test_another_handler_that_raises_is_heard(alarm):
    def refuse(*_):
        raise RuntimeError("no more of this")

    signal.signal(signal.SIGALRM, refuse)
    alarm()
    with pytest.raises(RuntimeError, match="no more of this"):
        fit_many(MANY, GaussianMixture(3, **SLOW))


def test_the_next_call_works(alarm):
    estimator = GaussianMixture(3, random_state=0)
    wanted = fit_many(MANY[:50], estimator)
    alarm(0.2)
    with pytest.warns(UserWarning, match=WARNED):
        interrupted = fit_many(MANY, GaussianMixture(3, **SLOW))
    assert not np.all(is_done(interrupted))
    assert_same_results(fit_many(MANY[:50], estimator), wanted)


def test_batches_in_several_threads_of_python_give_the_same_bits():
    estimator = GaussianMixture(3, random_state=0)
    wanted, found = fit_many(MANY[:300], estimator), {}

    def fit(name):
        found[name] = fit_many(MANY[:300], estimator, n_threads=2)

    threads = [threading.Thread(target=fit, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in found.values():
        assert_same_results(result, wanted)
    assert len(found) == 4


# ---- progress -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"n_init_policy": "halving", "n_init": 2}])
def test_nothing_is_printed_unless_it_is_asked_for(options, capsys):
    problems = ragged([50, 60, 2], 2)
    result = fit_many(problems, GaussianMixture(3, random_state=0, verbose=2, verbose_interval=1, **options))
    result[0].predict(problems[0])
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("estimator", [GaussianMixture(3), GaussianMixture(3, n_init_policy="halving")])
def test_a_bar_is_shown_where_it_is_asked_for(estimator, capsys):
    pytest.importorskip("tqdm")
    problems = [*ragged([50, 60, 2, 1], 2), np.full((20, 2), np.nan)]
    wanted = fit_many(problems, estimator, random_state=0)
    assert capsys.readouterr() == ("", "")
    assert_same_results(fit_many(problems, estimator, random_state=0, progress=True), wanted)
    out, err = capsys.readouterr()
    assert out == ""
    assert "5/5" in err
    assert "fit/s" in err
    assert "bad=3" in err


# ---- memory ---------------------------------------------------------------------------------------------------------

A_MILLION = """
import resource
import numpy as np
from mixfast import GaussianMixture, Status, fit_many

rows = np.random.default_rng(0).integers(4, 9, 1_000_000)
offsets = np.concatenate([[0], np.cumsum(rows)])
X = np.random.default_rng(1).standard_normal((offsets[-1], 1))
fit_many((X[:8], [0, 4, 8]), GaussianMixture(2))
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 600_000_000,) * 2)
result = fit_many((X, offsets), GaussianMixture(2, max_iter=3, random_state=0), n_threads=2)
assert len(result) == 1_000_000
assert np.all(result.status & (Status.CONVERGED | Status.MAX_ITER) != 0)
assert np.all(np.isfinite(result.weights))
assert np.all(np.isfinite(result.lower_bound))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="address space is read from /proc")
def test_a_million_problems_fit_into_little_memory():
    subprocess.run([sys.executable, "-W", "error", "-c", A_MILLION], check=True, timeout=120)


def test_a_held_out_choice_that_is_interrupted_keeps_nothing_half_done(alarm):
    problems = MANY[:2000].copy()
    problems[5] = np.inf
    estimator = GaussianMixture(**SLOW)
    alarm()
    with pytest.warns(UserWarning, match=WARNED):
        result = fit_many(problems, estimator, n_components=[1, 3], criterion="heldout", n_threads=2)
    assert_the_rest_is_marked(result)
    assert result.status[5] == Status.NOT_FINITE
    assert np.sum(result.status == Status.INTERRUPTED) == len(problems) - 1
