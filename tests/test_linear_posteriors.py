"""Posteriors of components with linear log densities, beside their NumPy twins."""

import ctypes
from itertools import product
from typing import NamedTuple

import numpy as np
import pytest
import scipy.sparse
from scipy import stats
from test_family_struct import CAPSULE, group, struct_in
from twins import ISAS

from mixfast._em import EM
from mixfast._reference.bayesian import gaussian as twin_gaussian
from mixfast._reference.bayesian import priors as twin_priors
from mixfast._reference.bayesian import proportions as twin_proportions
from mixfast._reference.bayesian.variational import variational
from mixfast.engine._acceleration import AcceleratedEM
from mixfast.engine._predictions import evaluate
from mixfast.engine._rows import Rows
from mixfast.families.bernoulli import Bernoulli
from mixfast.families.categorical import Categorical
from mixfast.families.gamma import Exponential
from mixfast.families.gaussian import FullGaussian, SphericalGaussian
from mixfast.families.linear_posteriors import (
    BernoulliPosterior,
    CategoricalPosterior,
    ExponentialPosterior,
    MultinomialPosterior,
    PoissonPosterior,
)
from mixfast.families.multinomial import Multinomial
from mixfast.families.poisson import Poisson
from mixfast.families.posteriors import POSTERIORS
from mixfast.families.product import Product
from mixfast.proportions._dirichlet_posterior import DirichletPosterior
from mixfast.proportions._sticks import Sticks
from mixfast.row_data import RowData

N_FEATURES = 5
#: One for each column, and one that many columns are empty under.
PRIOR = np.array([0.5, 1.0, 2.0, 0.001, 30.0])


def binary(rng, n_rows):
    probabilities = rng.beta(0.5, 0.5, (3, N_FEATURES))
    return (rng.uniform(size=(n_rows, N_FEATURES)) < probabilities[rng.integers(3, size=n_rows)]).astype(float)


def binary_or_missing(rng, n_rows):
    X = binary(rng, n_rows)
    X[rng.uniform(size=X.shape) < np.linspace(0, 0.6, N_FEATURES)] = np.nan
    return X


class BetaBernoulliOfSome(twin_priors.BetaBernoulli):
    """Entries that are NaN are left out."""

    def rows(self, X):
        return np.hstack([X == 1, X == 0]).astype(float)

    def posterior(self, statistics):
        ones, zeros = np.split(statistics.sums, 2, axis=1)
        return twin_priors.BetaPosterior(self.a + ones, self.b + zeros)

    def expected_log_density(self, X, posterior):
        expected = twin_priors.dirichlet_expected_log(self._pairs(*posterior))
        return self.rows(X) @ np.hstack([expected[..., 0], expected[..., 1]]).T


def counts(rng, n_rows):
    return rng.poisson(rng.gamma(1, 3, (3, N_FEATURES))[rng.integers(3, size=n_rows)]).astype(float)


def times(rng, n_rows):
    return (
        rng.standard_exponential((n_rows, N_FEATURES)) * rng.gamma(1, 3, (3, N_FEATURES))[rng.integers(3, size=n_rows)]
    )


N_CATEGORIES = (2, 5, 1, 3, 4)
CONCENTRATIONS = [np.linspace(0.01, 2, number) for number in N_CATEGORIES]


def answers(rng, n_rows):
    """Three groups, and answers that are missing."""
    labels = rng.integers(3, size=n_rows)
    shares = [rng.dirichlet(np.full(number, 0.5), 3)[labels].cumsum(axis=1)[:, :-1] for number in N_CATEGORIES]
    X = np.column_stack([np.sum(rng.uniform(size=(n_rows, 1)) > own, axis=1) for own in shares]).astype(float)
    X[rng.uniform(size=X.shape) < 0.1] = np.nan
    return X


class Joined:
    """Twin of a product: log densities of columns side by side add up."""

    def __init__(self, parts, widths):
        self.parts, self.ends = parts, np.cumsum(widths)[:-1]

    def statistics(self, X, resp):
        columns = np.split(X, self.ends, axis=1)
        return [part.statistics(own, resp) for part, own in zip(self.parts, columns, strict=True)]

    def posterior(self, statistics):
        return [part.posterior(own) for part, own in zip(self.parts, statistics, strict=True)]

    def log_evidence(self, statistics):
        return sum(np.sum(part.log_evidence(own)) for part, own in zip(self.parts, statistics, strict=True))

    def expected_log_density(self, X, posterior):
        parts = zip(self.parts, np.split(X, self.ends, axis=1), posterior, strict=True)
        return sum(part.expected_log_density(columns, own) for part, columns, own in parts)

    def kl(self, posterior):
        return sum(np.sum(part.kl(own)) for part, own in zip(self.parts, posterior, strict=True))


class Case(NamedTuple):
    compiled: object
    reference: object
    make_rows: object
    takes_sparse: bool = True


CASES = {
    "bernoulli": Case(BernoulliPosterior(PRIOR, 0.7), twin_priors.BetaBernoulli(PRIOR, 0.7), binary),
    "bernoulli, some missing": Case(BernoulliPosterior(PRIOR, 0.7), BetaBernoulliOfSome(PRIOR, 0.7), binary_or_missing),
    "categorical": Case(
        CategoricalPosterior(N_CATEGORIES, CONCENTRATIONS),
        twin_priors.DirichletCategorical(CONCENTRATIONS),
        answers,
        takes_sparse=False,
    ),
    "multinomial": Case(MultinomialPosterior(PRIOR), twin_priors.DirichletMultinomial(PRIOR), counts),
    "poisson": Case(PoissonPosterior(PRIOR, 0.2), twin_priors.GammaPoisson(PRIOR, 0.2), counts),
    "exponential": Case(
        ExponentialPosterior(0.3, PRIOR), twin_priors.GammaExponential(0.3, PRIOR), times, takes_sparse=False
    ),
}
PROPORTIONS = {
    "sticks": (Sticks(0.7), twin_proportions.Sticks(0.7)),
    "dirichlet": (DirichletPosterior(0.4), twin_proportions.SymmetricDirichlet(0.4)),
}
N_COMPONENTS = 4
LOOPS = EM, AcceleratedEM


def engine(family, X, proportions, weights=None, n_threads=1, chunk_rows=None, isa=None, loop=EM):
    encoded = family.encode(X)
    rows = Rows(encoded.rows, weights, encoded.base)
    return loop(encoded.bind(N_COMPONENTS, X.dtype, isa), rows, n_threads, chunk_rows, proportions)


def begun(family, X, resp, proportions, *args, **kwargs):
    """The engine at the posterior of the responsibilities."""
    em = engine(family, X, proportions, *args, **kwargs)
    em.set_state(np.ones(N_COMPONENTS), family.blank(N_COMPONENTS, X.shape[1]))
    em.start_from_responsibilities(np.ascontiguousarray(resp))
    return em


def responsibilities(family, X, proportions, state):
    resp = np.empty((X.shape[0], N_COMPONENTS), X.dtype)
    reader = engine(family, X, proportions)  # responsibilities that it gives are multiplied by the weights of the rows
    reader.set_state(*state)
    assert evaluate(reader, resp=resp) == 0
    return resp


def bounds_of(em, n_steps=8):
    return np.array([em.step() for _ in range(n_steps)])


def problem(case, seed=0, n_rows=701):
    rng = np.random.default_rng(seed)
    X = case.make_rows(rng, n_rows)
    return X, rng.dirichlet(np.full(N_COMPONENTS, 0.3), n_rows), rng.integers(0, 4, n_rows) / 2


@pytest.mark.parametrize("kind", PROPORTIONS)
@pytest.mark.parametrize("name", CASES)
def test_iterations_equal_the_twins(name, kind):
    case, (proportions, twin) = CASES[name], PROPORTIONS[kind]
    X, resp, weights = problem(case)
    expected_bounds, expected_resps, own = [], [], resp
    for _ in range(8):
        fit = variational(X, own, case.reference, twin, 1, weights)
        own = fit.resp
        expected_bounds.append(fit.elbo[1])
        expected_resps.append(own)
    forms = [np.ascontiguousarray, np.asfortranarray] + [scipy.sparse.csr_matrix] * case.takes_sparse
    for form, dtype, isa in product(forms, (np.float64, np.float32), ISAS):
        own = form(X.astype(dtype))
        em = begun(case.compiled, own, resp, proportions, weights, isa=isa)
        for bound, wanted in zip(expected_bounds, expected_resps, strict=True):
            got = responsibilities(case.compiled, own, proportions, em.state())
            np.testing.assert_allclose(em.step(), bound, rtol=1e-12 if dtype == np.float64 else 1e-5)
            # log densities of some hundreds are rounded, and responsibilities with them
            np.testing.assert_allclose(got, wanted, atol=1e-12 if dtype == np.float64 else 1e-3)


@pytest.mark.parametrize("name", CASES)
def test_the_bound_never_falls(name):
    """Over random problems, down to one row and up to a component for each."""
    case = CASES[name]
    for seed in range(50):
        n_rows = 1 + 3 * seed
        X, resp, weights = problem(case, seed, n_rows)
        for kind in PROPORTIONS.values():
            em = begun(case.compiled, X, resp, kind[0], weights if seed % 2 else None)
            bounds = bounds_of(em, 12)
            assert np.diff(bounds).min() >= -1e-9 * (1 + np.abs(bounds).max())
            assert em.status == 0


@pytest.mark.parametrize("name", CASES)
def test_the_same_bits_for_any_number_of_threads(name):
    case = CASES[name]
    X, resp, weights = problem(case, n_rows=150_000)
    one, seven = (begun(case.compiled, X, resp, Sticks(1.0), weights, n_threads) for n_threads in (1, 7))
    np.testing.assert_array_equal(bounds_of(one, 3), bounds_of(seven, 3))
    for got, wanted in zip(one.state(), seven.state(), strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("name", CASES)
def test_chunks_change_nothing(name):
    case = CASES[name]
    X, resp, weights = problem(case)
    expected = begun(case.compiled, X, resp, Sticks(1.0), weights)
    bounds = bounds_of(expected)
    for chunk_rows in (1, 64, 333):
        em = begun(case.compiled, X, resp, Sticks(1.0), weights, chunk_rows=chunk_rows)
        np.testing.assert_allclose(bounds_of(em), bounds, rtol=1e-12)
        np.testing.assert_allclose(em.state()[1], expected.state()[1], rtol=1e-10)  # after eight steps


@pytest.mark.parametrize("name", CASES)
def test_acceleration_ends_where_plain_steps_do(doors, name):
    case = CASES[name]
    X, resp, _ = problem(case, 1, 1000)
    rng = np.random.default_rng(1)
    X = np.column_stack([rng.permutation(column) for column in X.T])  # nothing to find: slow
    plain, accelerated = (begun(case.compiled, X, resp, DirichletPosterior(3.0), loop=loop) for loop in LOOPS)
    bounds, ends = [], []
    for em in (plain, accelerated):
        own, converged = em.iterate(20_000, 1e-11)
        assert converged
        assert np.diff(own).min() > -1e-8
        bounds.append(own[-1])
        ends.append(em.state()[1])
    assert accelerated.n_passes < plain.n_passes
    # there are several optima: extrapolation ends in the same or in a better one, by 8 nats for categorical columns
    assert bounds[1] > bounds[0] - 1e-11 * abs(bounds[0])
    if bounds[1] < bounds[0] + 1e-6:
        layout = case.compiled.params_layout(N_COMPONENTS, X.shape[1])
        one, other = (  # components may have changed places
            case.compiled.reorder(layout.view(params), np.argsort(mixing))
            for mixing, params in ((em.state()[0], end) for em, end in zip((plain, accelerated), ends, strict=True))
        )
        np.testing.assert_allclose(layout.pack(other), layout.pack(one), rtol=1e-3)  # where the bound is flat
    assert doors.set_free_point(accelerated, doors.free_point(accelerated))
    np.testing.assert_allclose(accelerated.state()[1], ends[1], rtol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_a_component_without_rows_has_the_prior(doors, name):
    case = CASES[name]
    X, resp, _ = problem(case)
    resp[:, 3] = 0
    resp /= resp.sum(axis=1, keepdims=True)
    em = begun(case.compiled, X, resp, Sticks(1.0))
    params = case.compiled.params_layout(N_COMPONENTS, N_FEATURES).view(em.state()[1])
    for array, prior in zip(params, vars(case.reference).values(), strict=True):
        start = np.concatenate(prior) if name == "categorical" else prior
        np.testing.assert_array_equal(array[3], np.broadcast_to(start, array[3].shape))
    assert em.status == 0
    # nothing is added to such hyper-parameters, and extrapolation leaves them there
    numbers = doors.free_point(em)[-em.state()[1].size :].reshape(len(params), N_COMPONENTS, -1)
    assert np.all(numbers[:, 3] == -np.inf)


@pytest.mark.parametrize("name", CASES)
def test_rows_are_drawn_from_expected_parameters(name):
    case = CASES[name]
    rng = np.random.RandomState(0)
    layout = case.compiled.params_layout(2, N_FEATURES)
    params = layout.view(rng.gamma(3.0, size=layout.size) + 1)
    labels = np.repeat([0, 1], 40_000)
    extra = (np.full(80_000, 10),) if name == "multinomial" else ()
    X = case.compiled.sample(params, labels, rng, *extra)
    (expected,) = case.compiled.expected(params)
    if name == "categorical":
        X = np.column_stack([X[:, [j]] == np.arange(number) for j, number in enumerate(N_CATEGORIES)])
    means = {"multinomial": 10 * expected, "exponential": 1 / expected}.get(name, expected)
    for k in range(2):
        own = X[labels == k]
        np.testing.assert_allclose(own.mean(axis=0), means[k], atol=6 * own.std(axis=0).max() / 200)


def test_refused():
    with pytest.raises(ValueError, match=r"a of the prior should be a finite number above 0, .* 5 columns, got 0"):
        BernoulliPosterior(0).bind(2, 5, np.float64)
    with pytest.raises(ValueError, match="rate of the prior should be a finite number above 0, or one for each"):
        PoissonPosterior(1, [1.0, 2.0]).bind(2, 5, np.float64)
    with pytest.raises(ValueError, match="an array for each of the 2 columns, got 3 arrays"):
        CategoricalPosterior((2, 2), [np.ones(2)] * 3).bind(2, 2, np.float64)
    with pytest.raises(ValueError, match="rows with an exposure have no posterior"):
        PoissonPosterior().encode(RowData(np.ones((2, 3)), {"exposure": np.ones(2)}))


# ---- draws ----------------------------------------------------------------------------------------------------------


def drawn(doors, family, n_features, packed, n_draws, dtype=np.float64):
    """Draws of the plain parameters of two components, (n_draws, n_params)."""
    capsule = family.bind(2, n_features, dtype)
    return np.array([doors.draw_from_posterior(capsule, packed, 5, sweep) for sweep in range(n_draws)])


def distributions(name, params, k):
    """SciPy's distribution of each drawn number of component k."""
    if name == "bernoulli":
        return stats.beta(params.a[k], params.b[k])
    if name in ("poisson", "exponential"):
        return stats.gamma(params.shapes[k], scale=1 / params.rates[k])
    own = params.concentrations[k]
    ends = np.cumsum(N_CATEGORIES)[:-1] if name == "categorical" else [len(own)]
    return stats.beta(own, np.concatenate([np.full(len(c), c.sum()) for c in np.split(own, ends)]) - own)


@pytest.mark.parametrize("name", ["bernoulli", "categorical", "exponential", "multinomial", "poisson"])
def test_parameters_are_drawn_from_the_posterior(doors, name):
    family = CASES[name].compiled
    layout = family.params_layout(2, N_FEATURES)
    rng = np.random.default_rng(1)
    packed = np.where(rng.uniform(size=layout.size) < 0.5, 0.3, 1) * rng.uniform(1, 20, layout.size)
    params = layout.view(packed)
    draws = drawn(doors, family, N_FEATURES, packed, 3000).reshape(3000, 2, -1)
    for k in range(2):
        uniform = distributions(name, params, k).cdf(draws[:, k])
        for j in range(draws.shape[2]):
            if name == "categorical" and j == sum(N_CATEGORIES[:2]):  # the only category of its column
                assert np.all(draws[:, k, j] == 1)
            else:
                assert stats.kstest(uniform[:, j], "uniform").pvalue > 1e-4
    if name in ("multinomial", "categorical"):
        np.testing.assert_allclose(draws.sum(axis=2), 1 if name == "multinomial" else N_FEATURES)


@pytest.mark.parametrize("name", ["bernoulli", "categorical", "exponential", "multinomial", "poisson"])
def test_no_draw_is_impossible(doors, name):
    """However small the hyper-parameters are: a row that has it would be."""
    family = CASES[name].compiled
    packed = np.full(family.params_layout(2, N_FEATURES).size, 1e-4)
    draws = drawn(doors, family, N_FEATURES, packed, 200)
    assert np.all(np.isfinite(draws))
    assert np.all(draws > 0)
    assert name != "bernoulli" or np.all(draws < 1)


# ---- products -------------------------------------------------------------------------------------------------------


def mixed(rng, n_rows):
    """Columns of several kinds, side by side."""
    numbers = 3 + rng.standard_normal((n_rows, 6)) @ rng.standard_normal((6, 6))
    others = binary_or_missing(rng, n_rows), counts(rng, n_rows), answers(rng, n_rows)
    return np.hstack([numbers[:, :2], others[0], numbers[:, 2:3], *others[1:], numbers[:, 3:]])


WIDTHS = (2, N_FEATURES, 1, N_FEATURES, N_FEATURES, 3)
MIXED = Product(
    [
        POSTERIORS["full"](0.5, 4.0),
        BernoulliPosterior(PRIOR, 0.7),
        POSTERIORS["spherical"](0.1, 1.0, np.zeros(1), 1.0),
        PoissonPosterior(PRIOR, 0.2),
        CategoricalPosterior(N_CATEGORIES, CONCENTRATIONS),
        POSTERIORS["tied"](0.3, 5.0, share=0.1),
    ],
    WIDTHS,
)


def mean_of(X, weights):
    return np.average(X, axis=0, weights=weights)


def mixed_twin(X, weights):
    """Gaussian parts whose prior is not given have that of the rows."""
    first, last = X[:, : WIDTHS[0]], X[:, -WIDTHS[-1] :]
    parts = [
        twin_gaussian.NormalInverseWishart(mean_of(first, weights), 0.5, 4.0, np.cov(first.T, fweights=weights)),
        BetaBernoulliOfSome(PRIOR, 0.7),
        twin_gaussian.SphericalNormalGamma(np.zeros(1), 0.1, 1.0, 1.0),
        twin_priors.GammaPoisson(PRIOR, 0.2),
        twin_priors.DirichletCategorical(CONCENTRATIONS),
        twin_gaussian.TiedNormalInverseWishart(
            mean_of(last, weights), 0.3, 5.0, 0.1 * np.cov(last.T, fweights=weights)
        ),
    ]
    return Joined(parts, WIDTHS)


def test_a_product_equals_its_twin():
    rng = np.random.default_rng(3)
    X, weights = mixed(rng, 400), rng.integers(0, 4, 400)
    resp = rng.dirichlet(np.full(N_COMPONENTS, 0.3), 400)
    twin = mixed_twin(X, weights)
    proportions, twin_sticks = PROPORTIONS["sticks"]
    em = begun(MIXED, X, resp, proportions, weights.astype(float))
    for _ in range(8):
        fit = variational(X, resp, twin, twin_sticks, 1, weights.astype(float))
        resp = fit.resp
        got = responsibilities(MIXED, X, proportions, em.state())
        np.testing.assert_allclose(em.step(), fit.elbo[1], rtol=1e-12)
        np.testing.assert_allclose(got, resp, atol=1e-11)  # covariances have a condition
    assert em.status == 0


def test_a_product_in_parts_and_threads():
    rng = np.random.default_rng(3)
    X = np.tile(mixed(rng, 400), (100, 1))
    resp = rng.dirichlet(np.full(N_COMPONENTS, 0.3), len(X))
    one, seven, chunked = (
        begun(MIXED, X, resp, Sticks(1.0), n_threads=n_threads, chunk_rows=chunk_rows)
        for n_threads, chunk_rows in ((1, None), (7, None), (1, 64))
    )
    bounds = bounds_of(one)
    assert np.diff(bounds).min() > 0
    np.testing.assert_array_equal(bounds_of(seven), bounds)
    np.testing.assert_array_equal(seven.state()[1], one.state()[1])
    np.testing.assert_allclose(bounds_of(chunked), bounds, rtol=1e-12)
    accelerated = begun(MIXED, X, resp, Sticks(1.0), loop=AcceleratedEM)
    (end,), (wanted,) = (em.iterate(2000, 1e-9)[0][-1:] for em in (accelerated, one))
    np.testing.assert_allclose(end, wanted, rtol=1e-9)


def test_a_product_of_posteriors_and_others_is_refused():
    with pytest.raises(ValueError, match="parts of a product should all be posteriors, or none of them"):
        Product([BernoulliPosterior(), Poisson()], (2, 2)).bind(2, 4, np.float64)


def test_products_draw_what_their_parts_do(doors):
    """All but the tied part, whose components are not independent."""
    parts, widths = MIXED.families[:-1], WIDTHS[:-1]
    packed = np.concatenate([np.ravel(array) for array in product_params(parts, widths)])
    draws = drawn(doors, Product(parts, widths), sum(widths), packed, 2000)
    alone, first = [], 0
    for part, width in zip(parts, widths, strict=True):
        size = part.params_layout(2, width).size
        alone.append(drawn(doors, part, width, packed[first : first + size], 2000))
        first += size
    joined = np.concatenate(alone, axis=1)
    assert draws.shape == joined.shape
    for own, wanted in zip(draws.T, joined.T, strict=True):
        # the first part has the same numbers, the others later ones of the stream
        assert np.all(own == wanted) or stats.ks_2samp(own, wanted).pvalue > 1e-4
    with pytest.raises(ValueError, match="cannot be drawn"):
        drawn(doors, MIXED, sum(WIDTHS), np.ones(MIXED.params_layout(2, sum(WIDTHS)).size), 1)


def product_params(parts, widths):
    """The arrays of two components, part by part."""
    rng = np.random.default_rng(0)
    for part, width in zip(parts, widths, strict=True):
        layout = part.params_layout(2, width)
        if hasattr(part, "kappa0"):
            params = layout.view(part.blank(2, width))
            yield from params._replace(mean_precision=np.array([1.0, 9.0]), degrees_of_freedom=np.array([5.0, 9.0]))
        else:
            yield rng.uniform(1, 5, layout.size)


def plain_of(capsule):
    """The plain family of a posterior, as long as its capsule lives."""
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    return new(group("posterior").from_address(struct_in(capsule).posterior).plain, CAPSULE, None)


PLAIN = Product(
    [FullGaussian(0.0), Bernoulli(), SphericalGaussian(0.0), Poisson(), Categorical(N_CATEGORIES)], WIDTHS[:-1]
)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_what_a_product_draws_are_parameters_of_its_plain_family(doors, dtype):
    rng = np.random.default_rng(0)
    X = mixed(rng, 300)[:, : sum(WIDTHS[:-1])].astype(dtype)
    family = Product(MIXED.families[:-1], WIDTHS[:-1])
    encoded = family.encode(X)
    labels = rng.integers(0, 2, len(X))
    capsule = encoded.bind(2, dtype)
    em = EM(capsule, Rows(encoded.rows, None, encoded.base), 1, None, Sticks(1.0))
    em.set_state(np.ones(2), family.blank(2, X.shape[1]))
    em.start_from_labels(labels)
    params = doors.draw_from_posterior(capsule, em.state()[1], 0, 0)
    evidences = []
    for own in (plain_of(capsule), PLAIN.encode(X).bind(2, dtype)):
        plain = EM(own, Rows(encoded.rows, None, encoded.base))
        plain.set_state(np.full(2, 0.5), params)
        evidences.append(plain.gather().evidence)
    assert np.isfinite(evidences[0])
    assert evidences[0] == evidences[1]


@pytest.mark.parametrize("name", CASES)
def test_the_plain_family_of_a_posterior(doors, name):
    """Sparse where the posterior is."""
    case = CASES[name]
    plain = {"bernoulli": Bernoulli, "multinomial": Multinomial, "poisson": Poisson, "exponential": Exponential}
    plain["bernoulli, some missing"], plain["categorical"] = Bernoulli, lambda: Categorical(N_CATEGORIES)
    X, _, weights = problem(case)
    for form in (np.asarray, scipy.sparse.csr_matrix) if case.takes_sparse else (np.asarray,):
        encoded = case.compiled.encode(form(X))
        capsule = encoded.bind(2, X.dtype)
        params = doors.draw_from_posterior(capsule, np.full(case.compiled.params_layout(2, N_FEATURES).size, 2.0), 0, 0)
        evidences = []
        for own in (plain_of(capsule), plain[name]().encode(form(X)).bind(2, X.dtype)):
            em = EM(own, Rows(encoded.rows, weights, encoded.base))
            em.set_state(np.full(2, 0.5), params)
            evidences.append(em.gather().evidence)
        assert np.isfinite(evidences[0])
        assert evidences[0] == evidences[1]
