"""Ctrl-C stops a long fit: control returns to Python between rounds, however long a pass is."""

import signal

import numpy as np
import pytest
from scipy import sparse

from mixfast import GSDMM, GaussianMixture
from mixfast._em import EM
from mixfast.engine._rows import Rows
from mixfast.families.gaussian import FullGaussian


@pytest.fixture
def interrupt_soon():
    """A function after whose call Ctrl-C is a moment away; without it the fits below would take minutes."""
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    yield lambda: signal.setitimer(signal.ITIMER_REAL, 0.3)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, previous)


@pytest.fixture
def alarm(interrupt_soon):
    interrupt_soon()


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


def test_what_an_interrupted_pass_collected_is_forgotten(interrupt_soon):
    # a pass of several rounds, in which rows wait in baskets from one to the next
    rng = np.random.default_rng(0)
    n_rows, n_components, n_features = 60_000, 50, 64
    centres = rng.standard_normal((n_components, n_features))
    rows = Rows(centres[rng.integers(n_components, size=n_rows)] + rng.standard_normal((n_rows, n_features)))
    family = FullGaussian()
    unit = np.tile(np.eye(n_features), (n_components, 1, 1))
    params = family.params_layout(n_components, n_features).pack((centres, unit, unit))
    engines = [EM(family.bind(n_components, n_features, np.float64), rows) for _ in range(2)]
    assert engines[0].n_rounds > 5
    for em in engines:
        em.set_state(np.full(n_components, 1 / n_components), params)
    interrupt_soon()
    with pytest.raises(KeyboardInterrupt):
        engines[0].iterate(10_000, 0.0)
    engines[0].set_state(*engines[1].state())
    assert engines[0].step() == engines[1].step()
    assert engines[0].work[1] < 0.4
    for own, wanted in zip(engines[0].state(), engines[1].state(), strict=True):
        assert np.array_equal(own, wanted)


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


def documents():
    """Ten thousand of three hundred words."""
    words = np.random.default_rng(0).integers(1000, size=3_000_000)
    X = sparse.csr_array((np.ones(len(words)), words, np.arange(0, len(words) + 1, 300)), (10_000, 1000))
    X.sum_duplicates()
    return X


@pytest.mark.parametrize("n_init", [1, 3])
def test_a_single_sweep_over_documents_is_interrupted(n_init, interrupt_soon):
    X, model = documents(), GSDMM(2000, n_iter=1, n_init=n_init)
    interrupt_soon()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)


def test_a_prediction_of_documents_is_interrupted(interrupt_soon):
    X = documents()
    model = GSDMM(3000, n_iter=1).fit(X[:10])
    model.n_clusters_ = 2999  # of empty ones one would stand for all
    interrupt_soon()
    with pytest.raises(KeyboardInterrupt):
        model.score(X)
