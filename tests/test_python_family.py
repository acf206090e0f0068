"""A family in plain Python runs through the same engine and the same estimator base as the compiled ones."""

import gc
import weakref
from typing import NamedTuple

import numpy as np
import pytest
from scipy import stats
from sklearn.exceptions import ConvergenceWarning
from twins import DTYPES, FAMILIES, random_weights

from mixfast._em import EM
from mixfast.engine._rows import Rows
from mixfast.estimators._likelihood import LikelihoodMixture
from mixfast.families.family import PythonFamily
from mixfast.families.gaussian import GaussianParams
from mixfast.status import Status


class GeometricParams(NamedTuple):
    probabilities: np.ndarray


class GeometricStats(NamedTuple):
    failures: np.ndarray


class Geometric(PythonFamily):
    """log p(x | k) = sum_j x_j log(1 - p_kj) + log p_kj: failures before the first success."""

    Params, Stats = GeometricParams, GeometricStats

    def param_shapes(self, n_components, n_features):
        return ((n_components, n_features),)

    stat_shapes = param_shapes

    def n_parameters(self, n_components, n_features):
        return n_components * n_features

    def log_density(self, X, params):
        return X @ np.log1p(-params.probabilities).T + np.log(params.probabilities).sum(axis=1)

    def accumulate(self, X, resp, params):
        return GeometricStats(resp.T @ X)

    def maximise(self, counts, stats, params):
        return GeometricParams(counts[:, np.newaxis] / (counts[:, np.newaxis] + stats.failures))

    def sample(self, params, labels, rng):
        return rng.geometric(params.probabilities[labels]) - 1.0


class GeometricMixture(LikelihoodMixture):
    """The whole estimator: hyper-parameters, the family, and what its parameters are called."""

    def __init__(self, n_components=1, *, tol=1e-6, max_iter=500, n_init=1, init_params="kmeans", random_state=None,
                 warm_start=False, verbose=0, verbose_interval=10, n_threads=None):  # fmt: skip
        self.n_components = n_components
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_threads = n_threads

    def _family(self):
        return Geometric()

    def _publish(self, params, dtype):
        self.probabilities_ = params.probabilities.astype(dtype)

    def _collect(self):
        return GeometricParams(self.probabilities_)


def counts_of_failures(n_rows=4000):
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=n_rows)
    return rng.geometric(np.array([[0.6, 0.5], [0.05, 0.1]])[labels]) - 1.0, labels


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_geometric_mixture_finds_its_components(dtype):
    X, labels = counts_of_failures()
    model = GeometricMixture(2, random_state=0).fit(X.astype(dtype))
    order = np.argsort(-model.probabilities_[:, 0])
    np.testing.assert_allclose(model.probabilities_[order], [[0.6, 0.5], [0.05, 0.1]], rtol=0.1)
    assert model.probabilities_.dtype == dtype
    assert (model.predict(X) == order[labels]).mean() > 0.9
    assert np.diff(model.lower_bounds_).min() >= -1e-9 * abs(model.lower_bound_)
    density = sum(
        weight * stats.geom(p, loc=-1).pmf(X).prod(axis=1)
        for weight, p in zip(model.weights_, model.probabilities_.astype(float), strict=True)
    )
    np.testing.assert_allclose(model.score_samples(X), np.log(density), rtol=1e-6 if dtype == np.float32 else 1e-12)
    sampled, _ = model.sample(10, random_state=1)
    assert sampled.shape == (10, 2)
    assert model.bic(X) < GeometricMixture(1).fit(X).bic(X)


def test_weights_of_rows_and_n_init_work_too():
    X, _ = counts_of_failures(500)
    repeats = np.random.default_rng(1).integers(0, 3, 500)
    start = np.random.default_rng(2).dirichlet([1, 1], 500)
    weighted = GeometricMixture(2, init_params=start).fit(X, sample_weight=repeats)
    repeated = GeometricMixture(2, init_params=np.repeat(start, repeats, axis=0)).fit(np.repeat(X, repeats, axis=0))
    np.testing.assert_allclose(weighted.lower_bounds_, repeated.lower_bounds_, rtol=1e-12)
    assert GeometricMixture(2, n_init=3, random_state=0).fit(X).converged_


@pytest.mark.parametrize("verb", ["log_density", "accumulate", "maximise", "log_prior"])
def test_an_error_in_a_verb_comes_out_as_it_is(verb, monkeypatch):
    def fails(self, *args):
        raise ZeroDivisionError(f"from {verb}")

    monkeypatch.setattr(Geometric, verb, fails)
    with pytest.raises(ZeroDivisionError, match=f"from {verb}"):
        GeometricMixture(2, random_state=0).fit(counts_of_failures(3000)[0])


class CopingGeometric(Geometric):
    """A component that lost its rows keeps its parameters."""

    def maximise(self, counts, stats, params):
        with np.errstate(invalid="ignore"):
            return GeometricParams(
                np.where(counts[:, np.newaxis] > 0, super().maximise(counts, stats, params)[0], params[0])
            )


class HidingGeometric(Geometric):
    """0 / 0 where a component lost its rows, and densities that do not show it."""

    def maximise(self, counts, stats, params):
        with np.errstate(invalid="ignore"):
            return super().maximise(counts, stats, params)

    def log_density(self, X, params):
        return np.nan_to_num(super().log_density(X, params))


class CappedGeometric(Geometric):
    """Probabilities of at most a half."""

    def maximise(self, counts, stats, params):
        (probabilities,) = super().maximise(counts, stats, params)
        capped = GeometricParams(np.minimum(probabilities, 0.5))
        return (capped, Status.CAPPED_PARAMETER) if np.any(probabilities > 0.5) else capped


def fit_without_rows(family):
    """A fit that goes on from parameters under which the second component has none."""
    model = GeometricMixture(2, warm_start=True, max_iter=5, random_state=0)
    model._family = family
    model.weights_, model.probabilities_ = np.array([1.0, 1e-300]), np.array([[0.2, 0.2], [0.5, 0.5]])
    model.converged_, model.lower_bound_ = False, -np.inf
    with np.errstate(divide="ignore"):  # the family takes logarithms of probabilities of 0
        return model.fit(counts_of_failures(500)[0])


def test_parameters_that_are_not_finite_after_an_m_step_end_the_fit_though_densities_hide_them():
    with pytest.raises(ValueError, match="parameters are not finite after an M-step in which component 1 had no rows"):
        fit_without_rows(HidingGeometric)


def test_a_component_that_lost_its_rows_is_reported_without_the_familys_help():
    with pytest.warns(ConvergenceWarning, match="lost all their rows"):
        model = fit_without_rows(CopingGeometric)
    assert model.status_ & Status.EMPTIED_COMPONENT
    np.testing.assert_array_equal(model.weights_, [1, 0])
    np.testing.assert_array_equal(model.probabilities_[1], [0.5, 0.5])


def test_an_m_step_may_say_that_it_capped_a_parameter():
    model = GeometricMixture(2, random_state=0)
    model._family = CappedGeometric
    with pytest.warns(ConvergenceWarning, match="a parameter was kept at its maximum"):
        model.fit(counts_of_failures()[0])
    assert model.status_ & Status.CAPPED_PARAMETER
    assert model.probabilities_.max() == 0.5
    assert not GeometricMixture(2, random_state=0).fit(counts_of_failures()[0]).status_ & Status.CAPPED_PARAMETER


@pytest.mark.parametrize("component", [0, 1])
def test_a_log_density_that_is_not_a_number_ends_the_fit(component):
    """Of parameters that are finite the family's method is named; these are not."""
    probabilities = np.full(2, 0.5)
    probabilities[component] = np.nan
    em = EM(Geometric().bind(2, 1, np.float64), Rows(np.ones((10, 1))))
    em.set_state(np.full(2, 0.5), probabilities)
    assert np.isnan(em.gather()[0])
    objectives, converged = em.iterate(5, 0)
    assert len(objectives) == 1
    assert not converged
    assert em.status == Status.NOT_FINITE


def test_a_family_that_failed_is_let_go():
    class Fails(Geometric):
        def log_density(self, X, params):
            raise ZeroDivisionError

    family = Fails()
    em = EM(family.bind(2, 1, np.float64), Rows(np.ones((10, 1))))
    em.set_state(np.full(2, 0.5), np.full(2, 0.5))
    with pytest.raises(ZeroDivisionError):
        em.gather()
    alive = weakref.ref(family)
    del em, family
    gc.collect()
    assert alive() is None


def test_a_family_may_keep_the_rows_it_is_given():
    kept = []

    class Keeps(Geometric):
        def log_density(self, X, params):
            kept.append(X)
            return super().log_density(X, params)

    X = counts_of_failures(700)[0]
    em = EM(Keeps().bind(2, 2, np.float64), Rows(X))
    em.set_state(np.full(2, 0.5), np.full(4, 0.5))
    em.gather()
    del em
    np.testing.assert_array_equal(np.concatenate(kept), X)


def test_a_wrong_shape_is_named():
    class Narrow(Geometric):
        def log_density(self, X, params):
            return super().log_density(X, params)[:, :1]

    em = EM(Narrow().bind(2, 1, np.float64), Rows(np.ones((10, 1))))
    em.set_state(np.full(2, 0.5), np.full(2, 0.5))
    with pytest.raises(ValueError, match=r"Narrow.log_density returned shape \(10, 1\), expected \(10, 2\)"):
        em.gather()


def test_a_family_must_have_all_verbs():
    class Half(PythonFamily):
        def log_density(self, X, params):
            return X

    with pytest.raises(TypeError, match="accumulate"):
        Half()


class PlainDiagonal(PythonFamily):
    """The diagonal Gaussian's twin as a plain Python family."""

    Params = GaussianParams
    Stats = type(FAMILIES["diagonal"].compiled).Stats

    def param_shapes(self, n_components, n_features):
        return FAMILIES["diagonal"].compiled.param_shapes(n_components, n_features)

    def stat_shapes(self, n_components, n_features):
        return FAMILIES["diagonal"].compiled.stat_shapes(n_components, n_features)

    def n_parameters(self, n_components, n_features):
        return 2 * n_components * n_features

    def log_density(self, X, params):
        return FAMILIES["diagonal"].reference.log_density(X, params)

    def accumulate(self, X, resp, params):
        return self.Stats(*FAMILIES["diagonal"].reference.accumulate(X, resp, None, params))

    def maximise(self, counts, stats, params):
        return self.Params(*FAMILIES["diagonal"].reference.maximise(counts, stats, None, params))

    def recentre(self, counts, stats, last_params, params):
        step = params.means - last_params.means
        first = stats.first - counts[:, np.newaxis] * step
        return self.Stats(first, stats.second - step * (stats.first + first))

    def sample(self, params, labels, rng):
        raise NotImplementedError


def test_a_plain_python_twin_gives_the_compiled_familys_numbers():
    rng = np.random.default_rng(3)
    twins = FAMILIES["diagonal"]
    X, weights, params = twins.make_rows(rng, 2000, 3), random_weights(rng, 3), twins.make_params(rng, 3, 3)
    packed = twins.compiled.params_layout(3, 3).pack(params)
    engines = [EM(family.bind(3, 3, X.dtype), Rows(X), 2) for family in (twins.compiled, PlainDiagonal())]
    for em in engines:
        em.set_state(weights, packed)
        em.iterate(10, 0)
    assert engines[1].n_threads == 1
    np.testing.assert_allclose(engines[1].state()[1], engines[0].state()[1], rtol=1e-10)


def test_statistics_of_a_plain_python_twin_move_as_the_compiled_familys():
    rng = np.random.default_rng(4)
    twins = FAMILIES["diagonal"]
    X, weights = twins.make_rows(rng, 700, 3), random_weights(rng, 2)
    layout = twins.compiled.params_layout(2, 3)
    here, there = (layout.pack(twins.make_params(rng, 2, 3)) for _ in range(2))
    moved = []
    for family in (twins.compiled, PlainDiagonal()):
        em = EM(family.bind(2, 3, X.dtype), Rows(X))
        em.set_state(weights, here)
        gathered = em.gather()
        moved.append(em.recentre(gathered.counts, gathered.stats, weights, there))
        np.testing.assert_array_equal(em.state()[1], there)
        back = em.recentre(gathered.counts, moved[-1], weights, here)
        np.testing.assert_allclose(back, gathered.stats, rtol=1e-10, atol=1e-10 * np.abs(back).max())
    np.testing.assert_allclose(moved[1], moved[0], rtol=1e-10)
    assert np.abs(moved[0] - gathered.stats).max() > 1


def test_an_error_in_recentre_comes_out_as_it_is():
    class Fails(PlainDiagonal):
        def recentre(self, counts, stats, last_params, params):
            raise ZeroDivisionError("from recentre")

    params = np.ones(Fails().params_layout(1, 1).size)
    em = EM(Fails().bind(1, 1, np.float64), Rows(np.ones((10, 1))))
    em.set_state(np.ones(1), params)
    with pytest.raises(ZeroDivisionError, match="from recentre"):
        em.recentre(np.ones(1), np.ones(2), np.ones(1), params)


def own_mixture(returns=lambda family: family(), **methods):
    """A mixture of a family like `Geometric`, but for some methods."""
    family = type("Mine", (Geometric,), methods)
    return type("MineMixture", (GeometricMixture,), {"_family": lambda self: returns(family)})(2, random_state=0)


def missing_density(self, X, params):
    return np.where(X[:, :1] > 3, np.nan, Geometric.log_density(self, X, params))


@pytest.mark.parametrize(
    ("mixture", "error", "message"),
    [
        (
            own_mixture(log_density=missing_density),
            ValueError,
            r"Mine.log_density returned NaN for the row \[\d.* -inf",
        ),
        (own_mixture(log_density=lambda self, X, params: None), ValueError, r"Mine.log_density returned shape \(\)"),
        (
            own_mixture(maximise=lambda self, counts, stats, params: GeometricParams(np.full((2, 2), np.nan))),
            ValueError,
            "Mine.maximise returned NaN in probabilities, of finite statistics",
        ),
        (
            own_mixture(maximise=lambda self, counts, stats, params: None),
            TypeError,
            r"Mine.maximise should return GeometricParams\(probabilities\), got None",
        ),
        (
            own_mixture(
                maximise=lambda self, counts, stats, params: Geometric.maximise(self, counts, stats, params)[0]
            ),
            TypeError,
            r"Mine.maximise should return GeometricParams\(probabilities\), got ndarray of shape \(2, 2\)",
        ),
        (
            own_mixture(accumulate=lambda self, X, resp, params: None),
            TypeError,
            r"Mine.accumulate should return GeometricStats\(failures\), got None",
        ),
        (
            own_mixture(lambda family: family),
            TypeError,
            r"MineMixture._family\(\) should return Mine\(\), got the class",
        ),
    ],
)
def test_what_a_family_returns_wrongly_is_named(mixture, error, message):
    X = np.random.default_rng(0).geometric([0.3, 0.6], (60, 2)) - 1.0
    with pytest.raises(error, match=message):
        mixture.fit(X)
