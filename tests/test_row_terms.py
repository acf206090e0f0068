"""Proportions that look at the row: a kind is compiled beside mixfast, and what the engine makes of it is NumPy's."""

import numpy as np
import pytest
from compiled import build
from numpy.testing import assert_allclose, assert_array_equal
from twins import FAMILIES, make_em, random_weights

from mixfast import GaussianMixture, fit_many
from mixfast._em import EM
from mixfast._reference import em as reference
from mixfast.engine._acceleration import AcceleratedEM
from mixfast.engine._fit import fit_rows
from mixfast.engine._predictions import evaluate, evaluate_components
from mixfast.engine._rows import Rows
from mixfast.families.gaussian import FullGaussian
from mixfast.fitting import bind_model, plan_of

COEFFICIENTS = np.array([[0.5, 1.0], [-0.2, -2.0], [0.0, 0.3]])
OTHERS = np.array([[-1.0, 0.4], [0.3, 0.2], [0.1, -0.7]])
#: Families whose kernels see the user's rows as they are.
NAMES = ["full", "tied", "diagonal", "spherical", "poisson"]
RTOL = {np.float64: 1e-10, np.float32: 2e-4}


@pytest.fixture(scope="module")
def Gate(tmp_path_factory):
    return build("own_proportions", "gate", tmp_path_factory).Gate


class TwinGate:
    """Of some rows: what the engine adds is part of their log weights (n, K)."""

    def __init__(self, X):
        self.X = X.astype(float)

    def log_weights(self, mixing):
        intercepts, slopes = mixing.reshape(-1, 2).T
        linear = intercepts + self.X[:, :1] * slopes
        return linear - np.logaddexp.reduce(linear, axis=1, keepdims=True)

    def maximise(self, counts):
        return COEFFICIENTS.ravel()

    def log_prior(self, mixing):
        return 0.0


def setting(name, dtype=np.float64, n_rows=1111):
    rng = np.random.default_rng(3)
    twins = FAMILIES[name]
    return twins, twins.make_rows(rng, n_rows, 3).astype(dtype), twins.make_params(rng, 3, 3)


def begun(gate, twins, X, params, kind=EM, n_threads=1, mixing=COEFFICIENTS, sample_weight=None):
    """The engine at the given parameters."""
    encoded = twins.compiled.encode(X)
    em = kind(
        encoded.bind(len(mixing), X.dtype),
        Rows(encoded.rows, sample_weight, encoded.base),
        n_threads,
        None,
        proportions=gate,
    )
    em.set_state(mixing.ravel(), twins.compiled.params_layout(len(mixing), X.shape[1]).pack(params))
    return em


@pytest.mark.parametrize("dtype", RTOL)
@pytest.mark.parametrize("name", NAMES)
def test_a_pass_equals_the_twins(Gate, name, dtype):
    twins, X, params = setting(name, dtype)
    sample_weight = np.random.default_rng(0).uniform(0.5, 2, len(X))
    got = begun(Gate(COEFFICIENTS), twins, X, params, sample_weight=sample_weight).gather()
    wanted = reference.gather(
        X.astype(float), sample_weight, COEFFICIENTS.ravel(), twins.reference, params, proportions=TwinGate(X)
    )
    assert_allclose(got.evidence, wanted.evidence, rtol=RTOL[dtype])
    assert_allclose(got.counts, wanted.counts, rtol=RTOL[dtype])


@pytest.mark.parametrize("dtype", RTOL)
@pytest.mark.parametrize("name", NAMES)
def test_predictions_equal_the_twins(Gate, name, dtype):
    twins, X, params = setting(name, dtype)
    em = begun(Gate(COEFFICIENTS), twins, X, params)
    log_prob = reference.weighted_log_density(
        X.astype(float), TwinGate(X).log_weights(COEFFICIENTS.ravel()), twins.reference, params
    )
    wanted_resp, wanted_norm = reference.share_softly(log_prob)
    n = len(X)
    log_norm, resp, components = np.empty(n, dtype), np.empty((n, 3), dtype), np.empty((n, 3), dtype)
    labels = np.empty(n, np.int64)
    assert evaluate(em, log_norm=log_norm, resp=resp) == 0
    evaluate(em, classify=True, labels=labels)
    evaluate_components(em, components)
    assert_allclose(log_norm, wanted_norm, rtol=RTOL[dtype], atol=RTOL[dtype])
    assert_allclose(resp, wanted_resp, rtol=0, atol=RTOL[dtype])
    assert_allclose(components, log_prob, rtol=RTOL[dtype], atol=RTOL[dtype])
    clear = np.sort(wanted_resp, axis=1)[:, -1] > 0.51
    assert_array_equal(labels[clear], log_prob.argmax(axis=1)[clear])


@pytest.mark.parametrize("name", NAMES)
def test_iterations_equal_the_twins(Gate, name):
    """From other coefficients than those that the M-step gives. Tied covariances have a quick family."""
    twins, X, params = setting(name)
    em = begun(Gate(COEFFICIENTS), twins, X, params, mixing=OTHERS)
    objectives, _ = em.iterate(6, 0)
    mixing, last, bounds = reference.fit(
        X, None, OTHERS.ravel(), twins.reference, tuple(params), 6, proportions=TwinGate(X)
    )
    assert_allclose(objectives, bounds, rtol=1e-9)  # six of them let rounding grow
    assert_array_equal(em.state()[0], mixing)
    packed = twins.compiled.params_layout(3, 3).pack(last)
    assert_allclose(em.state()[1], packed, rtol=1e-6, atol=1e-6 * np.max(np.abs(packed)))


def test_a_step_that_lost_digits_is_made_again_at_all_of_the_numbers(Gate):
    """Groups so far apart that the quick family of tied covariances gives up once it has found their covariance."""
    twins = FAMILIES["tied"]
    rng, centres = np.random.default_rng(8), 1e5 * np.array([[0, 0], [1, 0.3], [0.2, 1]])
    X = centres[np.repeat(np.arange(3), 100)] + rng.standard_normal((300, 2))
    wide = 1e8 * np.eye(2)
    params = twins.make_params(rng, 3, 2)._replace(
        means=centres, covariances=wide, precisions_cholesky=np.linalg.inv(np.linalg.cholesky(wide)).T
    )
    mixing = OTHERS / [1, 1e5]
    em = begun(Gate(COEFFICIENTS), twins, X, params, mixing=mixing)
    objective = em.step()
    _, last, bounds = reference.fit(X, None, mixing.ravel(), twins.reference, tuple(params), 1, proportions=TwinGate(X))
    assert objective == pytest.approx(bounds[0], rel=1e-12)
    assert_allclose(em.state()[1], twins.compiled.params_layout(3, 2).pack(last), rtol=1e-6, atol=1e-9)


def test_threads_change_no_bit(Gate):
    twins, X, params = setting("full", n_rows=300_000)
    one, two = (begun(Gate(COEFFICIENTS), twins, X, params, n_threads=n) for n in (1, 2))
    assert two.n_threads == 2
    for em in (one, two):
        em.iterate(3, 0)
    assert_array_equal(one.state()[1], two.state()[1])


def test_nothing_is_left_out_by_ceilings_that_know_of_no_row(Gate):
    """Where components are so far apart that most pairs of a row and a component are left out with weights."""
    twins, rng, n = FAMILIES["full"], np.random.default_rng(2), 16
    centres, each = 30 * rng.standard_normal((n, 8)), np.tile(np.eye(8), (n, 1, 1))
    X = centres[rng.integers(n, size=10_000)] + rng.standard_normal((10_000, 8))
    params = twins.make_params(rng, n, 8)._replace(means=centres, covariances=each, precisions_cholesky=each)
    coefficients = rng.standard_normal((n, 2)) / [1, 30]
    weighted = make_em(twins, X, random_weights(rng, n), params)
    pruned, plain = (begun(Gate(coefficients), twins, X, params, mixing=coefficients) for _ in range(2))
    plain.prunes = False
    for em in (weighted, pruned, plain):
        em.iterate(20, 0)
    assert max(weighted.work) < 0.5
    assert pruned.work == (1, 1)
    assert_array_equal(pruned.state()[1], plain.state()[1])


def test_numbers_that_are_not_free_stay_where_the_rest_is_extrapolated(doors, Gate):
    twins, X, params = setting("diagonal")
    em = begun(Gate(COEFFICIENTS), twins, X, params, mixing=OTHERS)
    point = doors.free_point(em)
    assert len(point) == twins.compiled.n_parameters(3, 3)
    assert doors.set_free_point(em, point + 0.1)
    assert_array_equal(em.state()[0], OTHERS.ravel())


def test_acceleration_ends_where_em_does_and_never_falls(Gate):
    rng = np.random.default_rng(2)
    X = rng.standard_normal((3, 4))[rng.integers(3, size=2000)] + rng.standard_normal((2000, 4))
    # what is added to covariances after the M-step would let the objective fall, by 3e-11 with 1e-6
    twins = FAMILIES["full"]._replace(compiled=FullGaussian(0.0))
    params = twins.make_params(rng, 3, 4)
    plain, quick = (begun(Gate(COEFFICIENTS / 20), twins, X, params, kind) for kind in (EM, AcceleratedEM))
    (bounds, _), (fewer, converged) = (em.iterate(20_000, 1e-12) for em in (plain, quick))
    assert converged
    assert quick.n_passes < plain.n_passes
    assert np.diff(fewer).min() > -1e-12
    assert fewer[-1] == pytest.approx(bounds[-1], abs=1e-7)


@pytest.mark.parametrize(("n_init", "policy"), [(1, "all"), (3, "all"), (4, "halving")])
def test_a_fit_has_as_many_numbers(Gate, n_init, policy):
    rng = np.random.default_rng(1)
    X = 4 * rng.standard_normal((3, 2))[rng.integers(3, size=500)] + rng.standard_normal((500, 2))
    estimator = GaussianMixture(3, n_init=n_init, n_init_policy=policy, tol=1e-9, max_iter=2000)
    encoded, gate = estimator._family().encode(X), Gate(COEFFICIENTS)

    def fit(given):
        model = bind_model(encoded, X, 3, 2, np.dtype(float), gate, given)
        return fit_rows(Rows(X), Rows(X), model, plan_of(estimator, "kmeans", X), 0, 1)

    best = fit(None)
    assert not best.fails
    assert_array_equal(best.weights, COEFFICIENTS.ravel())
    em = EM(encoded.bind(3, X.dtype), Rows(X), proportions=gate)
    em.set_state(best.weights, best.params)
    assert em.gather().evidence / len(X) == pytest.approx(best.lower_bound, abs=1e-7)
    again = fit((best.weights, best.params))
    assert again.n_iter <= 2
    assert again.lower_bound == pytest.approx(best.lower_bound, abs=1e-7)


def test_numbers_of_another_length_are_refused(Gate):
    twins, X, params = setting("full")
    with pytest.raises(ValueError, match="expected 6 weights"):
        begun(Gate(COEFFICIENTS), twins, X, params, mixing=np.ones((3, 1)))


def test_a_batch_says_that_its_results_have_no_room(Gate):
    class GatedMixture(GaussianMixture):
        def _proportions(self):
            return Gate(COEFFICIENTS)

    with pytest.raises(ValueError, match=r"results have room for 3 weights.*have 6 numbers"):
        fit_many(np.random.default_rng(0).standard_normal((4, 50, 2)), GatedMixture(3))
