"""Ctrl-C stops a long fit: control returns to Python between rounds, however long a pass is."""

import signal

import numpy as np
import pytest

from mixfast import GaussianMixture
from mixfast._em import EM, Rows
from mixfast.families.gaussian import FullGaussian


@pytest.fixture
def alarm():
    """An interrupt a moment after the test begins; without it the fits below would take minutes."""
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, previous)


@pytest.mark.parametrize("init_params", ["kmeans", "random"])
def test_a_fit_raises_keyboard_interrupt(init_params, alarm):
    X = np.random.default_rng(0).standard_normal((200_000, 10))
    model = GaussianMixture(60, tol=0, max_iter=10_000, init_params=init_params, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    assert not hasattr(model, "means_")


def test_a_single_pass_is_interrupted_too(alarm):
    rows = Rows(np.broadcast_to(np.random.default_rng(0).standard_normal((1, 64)), (3_000_000, 64)))
    family = FullGaussian()
    em = EM(family.bind(50, 64, np.float64), rows)
    em.set_state(np.full(50, 1 / 50), family.blank(50, 64))
    with pytest.raises(KeyboardInterrupt):
        em.gather()


def test_a_round_is_short():
    """No round holds more than three billion operations: half a second at the slowest kernel's 6 GF/s."""
    n_rows, n_components, n_features = 1_000_000, 50, 64
    rows = Rows(np.broadcast_to(np.zeros((1, n_features)), (n_rows, n_features)))
    em = EM(FullGaussian().bind(n_components, n_features, np.float64), rows)
    flops = n_rows * n_components * 2 * n_features * n_features
    assert flops / em.n_rounds <= 3e9
    # A round is a share of each lane, rounded up to whole chunks. So many columns are computed at 13 GF/s or more on
    # one thread (base): within a second.
    assert (n_rows / em.n_rounds + em.n_lanes * em.chunk_rows) * flops / n_rows <= 1.3e10
