"""The NumPy twin of Bayesian mixtures (`_reference/bayesian/`): its laws, and agreement with values found otherwise.

`data/golden_exact.json`: exact posteriors of partitions. `data/golden_elbo.json`: the evidence lower bound at a start
from labels, after five steps and at the fixed point, with scikit-learn's default priors. Both come from other programs.
"""

import itertools
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import betaln, digamma, gammaln
from scipy.stats import multivariate_t
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture

from mixfast._reference.bayesian import moves
from mixfast._reference.bayesian.gaussian import (
    NormalGamma,
    NormalInverseWishart,
    SphericalNormalGamma,
    TiedNormalInverseWishart,
)
from mixfast._reference.bayesian.partitions import (
    DirichletProcess,
    MixtureOfFiniteMixtures,
    PitmanYor,
    all_partitions,
    draw_concentration,
    enumerate_partitions,
    expected_vi,
    geometric_log_prior,
    point_partition,
    uniform_log_prior,
    variation_of_information,
)
from mixfast._reference.bayesian.priors import (
    BetaBernoulli,
    DirichletCategorical,
    DirichletMultinomial,
    GammaExponential,
    GammaPoisson,
)
from mixfast._reference.bayesian.proportions import Sticks, SticksOfUnknownConcentration, SymmetricDirichlet
from mixfast._reference.bayesian.variational import (
    elbo,
    elbo_by_terms,
    log_predictive,
    variational,
    variational_pass,
)

DATA = Path(__file__).parent / "data"
EXACT = json.loads((DATA / "golden_exact.json").read_text())
ELBO = json.loads((DATA / "golden_elbo.json").read_text())


class Problem(NamedTuple):
    prior: object
    X: np.ndarray


def _problems():
    rng = np.random.default_rng(5)
    X = np.vstack([rng.normal(size=(14, 3)), rng.normal(size=(10, 3)) * [1, 2, 0.5] + 3])
    Psi0 = np.array([[1.0, 0.3, 0], [0.3, 2.0, -0.2], [0, -0.2, 0.7]])
    alpha = [np.array([0.5, 1, 2]), np.array([1.5, 0.5])]
    categories = np.column_stack([rng.integers(3, size=24), rng.integers(2, size=24)])
    return {
        "full": Problem(NormalInverseWishart([0.5, 0, 1], 0.3, 4.5, Psi0), X),
        "tied": Problem(TiedNormalInverseWishart([0.5, 0, 1], 0.3, 4.5, Psi0), X),
        "diag": Problem(NormalGamma([0.5, 0, 1], 0.3, 1.5, [1, 2, 0.7]), X),
        "spherical": Problem(SphericalNormalGamma([0.5, 0, 1], 0.3, 1.5, 1.2), X),
        "bernoulli": Problem(BetaBernoulli([0.5, 1, 2], 1.5), (X > 1).astype(float)),
        "categorical": Problem(DirichletCategorical(alpha), categories),
        "multinomial": Problem(DirichletMultinomial([0.5, 1, 2]), rng.poisson(3, size=(24, 3)).astype(float)),
        "poisson": Problem(GammaPoisson(1.5, [0.2, 0.4, 0.6]), rng.poisson(4, size=(24, 3)).astype(float)),
        "exponential": Problem(GammaExponential(1.5, [0.2, 0.4, 0.6]), rng.exponential(size=(24, 3))),
    }


PROBLEMS = _problems()
PROPORTIONS = {
    "dirichlet": SymmetricDirichlet(0.4),
    "sticks": Sticks(0.8),
    "unknown concentration": SticksOfUnknownConcentration(2.0, 4.0),
}
NORMALS = ["full", "tied", "diag", "spherical"]

each_problem = pytest.mark.parametrize("name", PROBLEMS)
each_proportions = pytest.mark.parametrize("kind", PROPORTIONS)


def responsibilities(n, n_components, seed=0):
    return np.random.default_rng(seed).dirichlet(np.full(n_components, 0.5), size=n)


def read(name):
    return np.loadtxt(DATA / f"{name}.csv", delimiter=",", skiprows=1, ndmin=2)


# ---- golden values --------------------------------------------------------------------------------------------------


def exact_prior(case):
    component = case["component"]
    kinds = {"gaussian-full": NormalInverseWishart, "bernoulli": BetaBernoulli, "poisson": GammaPoisson}
    return kinds[component["family"]](**{k: v for k, v in component.items() if k not in ("family", "prior")})


def exact_process(case):
    process = case["process"]
    kinds = {
        "dp": lambda: DirichletProcess(process["alpha"]),
        "py": lambda: PitmanYor(process["alpha"], process["discount"]),
        "mfm": lambda: MixtureOfFiniteMixtures(process["gamma"], geometric_log_prior()),
    }
    return kinds[process["kind"]]()


@pytest.mark.parametrize("case", EXACT, ids=lambda case: case["name"])
def test_enumeration_gives_the_golden_posterior(case):
    X, prior, process = np.array(case["X"]), exact_prior(case), exact_process(case)
    found = enumerate_partitions(X, prior, process)
    assert len(found.labels) == case["n_partitions"]
    assert found.log_evidence == pytest.approx(case["log_marginal_likelihood"], rel=0, abs=1e-9)
    np.testing.assert_allclose(found.n_clusters(), case["p_k"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.coclustering(), case["coclustering"], rtol=1e-9)
    best = np.argmax(found.probabilities)
    assert list(found.labels[best]) == case["map_partition"]
    assert found.probabilities[best] == pytest.approx(case["map_probability"], rel=1e-9)
    for new in case.get("log_predictive", []):
        more = enumerate_partitions(np.vstack([X, new["x"]]), prior, process)
        assert more.log_evidence - found.log_evidence == pytest.approx(new["value"], rel=0, abs=1e-9)


def elbo_case(case):
    X = read(case["data"])
    kinds = {"dp": Sticks, "dirichlet": SymmetricDirichlet}
    start = np.eye(case["K"])[[int(label) for label in case["start"]]]
    return X, start, NormalInverseWishart(**case["prior"]), kinds[case["process"]](case["alpha"])


FROM_LABELS = [case for case in ELBO if "elbo_at_start" in case]


def test_all_of_the_golden_bounds_are_asked_about():
    assert len(FROM_LABELS) == 12
    assert len(ELBO) == 13  # the last is bnpy's, below


@pytest.mark.parametrize("case", FROM_LABELS, ids=lambda case: f"{case['data']}-{case['K']}-{case['process']}")
def test_the_bound_takes_the_golden_way(case):
    X, start, prior, proportions = elbo_case(case)
    found = variational(X, start, prior, proportions, case["n_iter"])
    assert found.elbo[0] == pytest.approx(case["elbo_at_start"], rel=0, abs=1e-8)
    np.testing.assert_allclose(found.elbo[1:6], case["elbo_after"], rtol=0, atol=1e-8)
    assert found.elbo[-1] == pytest.approx(case["elbo_fixed_point"], rel=0, abs=1e-8)
    assert found.elbo[-1] - found.elbo[-2] < 1e-8  # it is one
    counts = found.resp.sum(axis=0)
    np.testing.assert_allclose(counts, case["n_k"], rtol=0, atol=1e-8)
    np.testing.assert_allclose(prior.posterior(prior.statistics(X, found.resp)).m, case["means"], rtol=1e-9)
    assert np.diff(found.elbo).min() > -1e-9 * abs(found.elbo[-1])


def test_the_bound_of_bnpy_is_reached():
    """bnpy 0.1.7 prints loss 0.8049377049783243 = -L / (n d)."""
    case = ELBO[-1]
    X = read("faithful")
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    start = np.eye(2)[(X[:, 0] < 0).astype(int)]
    found = variational(X, start, NormalInverseWishart(**case["prior"]), Sticks(case["alpha"]), 40)
    assert found.elbo[-1] == pytest.approx(case["elbo_fixed_point"], rel=0, abs=1e-8)
    assert -found.elbo[-1] / X.size == pytest.approx(0.8049377049783243, rel=1e-13)


# ---- law 1: the bound never falls -----------------------------------------------------------------------------------


@each_problem
@each_proportions
def test_the_closed_form_is_the_bound_by_its_terms(name, kind):
    prior, X = PROBLEMS[name]
    proportions = PROPORTIONS[kind]
    for n_components in (1, 2, 4):
        resp = responsibilities(len(X), n_components)
        by_terms = elbo_by_terms(resp, X, prior, proportions)
        assert elbo(resp, X, prior, proportions) == pytest.approx(by_terms, rel=1e-12)
        proportions = proportions.updated(resp.sum(axis=0))


@each_problem
@each_proportions
def test_the_bound_never_falls(name, kind):
    prior, X = PROBLEMS[name]
    proportions, resp = PROPORTIONS[kind], responsibilities(len(X), 4)
    bound = elbo(resp, X, prior, proportions)
    slack = 1e-9 * abs(bound)
    for _ in range(12):
        new, between = variational_pass(resp, X, prior, proportions)
        after = elbo(new, X, prior, proportions)
        assert bound <= between + slack
        assert between <= after + slack
        proportions, resp = proportions.updated(new.sum(axis=0)), new
        bound = elbo(resp, X, prior, proportions)
        assert after <= bound + slack


# ---- law 2: it is a bound -------------------------------------------------------------------------------------------

#: Labels to start from, and the highest bound that another program reached from any.
BEST_BOUNDS = {
    "six-1d-dp": ([0, 1, 2, 3, 3, 4], -14.36196),
    "eight-galaxies-dp": ([0, 1, 2, 2, 2, 2, 2, 3], -34.25313),
    "nine-2d-dp": ([0, 1, 1, 2, 2, 2, 3, 3, 4], -39.91469),
}


def sorted_bound(X, labels, prior, proportions, n_iter):
    start = moves.sort(np.eye(len(X))[labels], proportions)
    found = variational(X, start, prior, proportions, n_iter)
    return variational(X, moves.sort(found.resp, proportions), prior, proportions, n_iter).elbo[-1]


@pytest.mark.parametrize(
    "case", [case for case in EXACT if case["process"]["kind"] == "dp"], ids=lambda case: case["name"]
)
def test_the_bound_is_below_the_exact_evidence(case):
    X, prior, proportions = np.array(case["X"]), exact_prior(case), Sticks(case["process"]["alpha"])
    starts = [case["map_partition"], *np.random.default_rng(0).integers(4, size=(3, len(X)))]
    bounds = [sorted_bound(X, labels, prior, proportions, 20) for labels in starts]
    assert max(bounds) <= case["log_marginal_likelihood"]


@pytest.mark.parametrize("name", BEST_BOUNDS)
def test_the_best_bounds_are_those_known(name):
    case = next(case for case in EXACT if case["name"] == name)
    labels, wanted = BEST_BOUNDS[name]
    found = sorted_bound(np.array(case["X"]), labels, exact_prior(case), Sticks(case["process"]["alpha"]), 100)
    assert found == pytest.approx(wanted, rel=0, abs=1e-5)


@pytest.mark.parametrize(
    "name", ["full", "diag", "spherical", "bernoulli", "categorical", "multinomial", "exponential"]
)
def test_the_bound_of_a_finite_mixture_is_below_its_exact_evidence(name):
    prior, X = PROBLEMS[name]
    X = X[10:17]  # of both halves
    three = np.where(np.arange(1, 4) == 3, 0.0, -np.inf)
    exact = enumerate_partitions(X, prior, MixtureOfFiniteMixtures(0.4, three)).log_evidence
    for seed in range(5):
        found = variational(X, responsibilities(len(X), 3, seed), prior, SymmetricDirichlet(0.4), 50)
        assert found.elbo[-1] <= exact


def test_the_bound_with_unknown_concentration_is_below_the_exact_evidence():
    case = EXACT[0]
    X, prior, proportions = np.array(case["X"]), exact_prior(case), SticksOfUnknownConcentration(2.0, 4.0)

    def joint(alpha):
        given = enumerate_partitions(X, prior, DirichletProcess(alpha)).log_evidence
        return np.exp(given + np.log(alpha) - 4 * alpha + 2 * np.log(4))

    exact = np.log(quad(joint, 0, 12, epsabs=0, epsrel=1e-8)[0])
    for n_components in (2, 3, 6):
        start = np.eye(n_components)[case["map_partition"]]
        assert variational(X, start, prior, proportions, 40).elbo[-1] <= exact


# ---- law 3: one component -------------------------------------------------------------------------------------------


@each_problem
def test_with_one_component_the_bound_is_the_evidence(name):
    prior, X = PROBLEMS[name]
    resp = np.ones((len(X), 1))
    evidence = np.sum(prior.log_evidence(prior.statistics(X, resp)))
    assert elbo(resp, X, prior, SymmetricDirichlet(0.4)) == pytest.approx(evidence, rel=1e-12)
    sticks = evidence + np.log(0.8) + betaln(1 + len(X), 0.8)
    assert elbo(resp, X, prior, Sticks(0.8)) == pytest.approx(sticks, rel=1e-12)


# ---- law 4: what changes nothing ------------------------------------------------------------------------------------


@each_problem
def test_an_empty_last_component_changes_nothing(name):
    """Of sticks: a Dirichlet distribution with one more component is another prior."""
    prior, X = PROBLEMS[name]
    resp = responsibilities(len(X), 3)
    more = np.column_stack([resp, np.zeros(len(X))])
    with_it = elbo(more, X, prior, Sticks(0.8))
    assert with_it == pytest.approx(elbo(resp, X, prior, Sticks(0.8)), rel=1e-12)


@each_problem
def test_the_order_of_a_dirichlet_mixture_changes_nothing(name):
    prior, X = PROBLEMS[name]
    resp, proportions = responsibilities(len(X), 4), SymmetricDirichlet(0.4)
    straight = variational(X, resp, prior, proportions, 5)
    turned = variational(X, resp[:, [2, 0, 3, 1]], prior, proportions, 5)
    np.testing.assert_allclose(turned.elbo, straight.elbo, rtol=1e-12)
    np.testing.assert_allclose(turned.resp, straight.resp[:, [2, 0, 3, 1]], rtol=1e-9)


@each_problem
def test_statistics_of_parts_add_up(name):
    prior, X = PROBLEMS[name]
    resp = responsibilities(len(X), 3)
    resp[:9, 1] = 0  # a component that has rows in one part only
    resp[:, 2] = 0  # and one without any
    whole = prior.statistics(X, resp)
    added = prior.add(prior.statistics(X[:9], resp[:9]), prior.statistics(X[9:], resp[9:]))
    for one, other in zip(added, whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(prior.log_evidence(added), prior.log_evidence(whole), rtol=1e-12, atol=1e-12)


@each_problem
@each_proportions
def test_a_weight_of_two_is_a_row_given_twice(name, kind):
    prior, X = PROBLEMS[name]
    weights = np.random.default_rng(1).integers(0, 4, size=len(X))
    resp, proportions = responsibilities(len(X), 3), PROPORTIONS[kind]
    weighted = variational(X, resp, prior, proportions, 5, weights.astype(float))
    repeated = variational(np.repeat(X, weights, axis=0), np.repeat(resp, weights, axis=0), prior, proportions, 5)
    np.testing.assert_allclose(weighted.elbo, repeated.elbo, rtol=1e-12)
    np.testing.assert_allclose(np.repeat(weighted.resp, weights, axis=0), repeated.resp, rtol=1e-9)


@each_problem
@each_proportions
def test_odd_data_stay_finite(name, kind):
    """One row, fewer rows than columns, rows that are all the same, components without rows."""
    prior, X = PROBLEMS[name]
    for rows in (X[:1], X[:2], np.repeat(X[:1], 7, axis=0)):
        resp = np.zeros((len(rows), 4))
        resp[:, 1] = 1
        found = variational(rows, resp, prior, PROPORTIONS[kind], 3)
        assert np.isfinite(found.elbo).all()
        assert np.isfinite(found.resp).all()
        assert np.isfinite(log_predictive(X, found.resp, rows, prior, found.proportions)).all()


def test_with_unknown_concentration_empty_sticks_cost_something():
    """q of alpha and q of the sticks are independent, so that each costs log E alpha - E log alpha."""
    prior, X = PROBLEMS["full"]
    proportions = PROPORTIONS["unknown concentration"].updated(np.array([12.0, 12.0]))
    resp = responsibilities(len(X), 2)
    more = np.column_stack([resp, np.zeros(len(X))])
    shape, rate = proportions.q
    cost = np.log(shape / rate) - (digamma(shape) - np.log(rate))
    change = elbo(more, X, prior, proportions) - elbo(resp, X, prior, proportions)
    assert cost > 0
    assert change == pytest.approx(-cost, rel=1e-9)


# ---- law 5: units ---------------------------------------------------------------------------------------------------


def mapped(name, matrix, shift):
    """The prior of x -> matrix x + shift."""
    prior = PROBLEMS[name].prior
    Psi0 = {
        "full": lambda: matrix @ prior.Psi0 @ matrix.T,
        "tied": lambda: matrix @ prior.Psi0 @ matrix.T,
        "diag": lambda: np.diagonal(matrix) ** 2 * prior.Psi0,
        "spherical": lambda: prior.Psi0 * abs(np.linalg.det(matrix)) ** (2 / 3),
    }[name]()
    return type(prior)(matrix @ prior.m0 + shift, prior.kappa0, prior.nu0, Psi0)


@pytest.mark.parametrize("name", NORMALS)
@each_proportions
def test_an_affine_map_shifts_the_bound(name, kind):
    rng = np.random.default_rng(3)
    general = rng.normal(size=(3, 3))
    matrix = {
        "full": general,
        "tied": general,
        "diag": np.diag([3.0, -0.2, 50.0]),
        "spherical": 7 * np.linalg.qr(general)[0],
    }[name]
    shift = np.array([10.0, -20.0, 5.0])
    prior, X = PROBLEMS[name]
    resp, proportions = responsibilities(len(X), 3), PROPORTIONS[kind]
    before = variational(X, resp, prior, proportions, 6)
    after = variational(X @ matrix.T + shift, resp, mapped(name, matrix, shift), proportions, 6)
    jacobian = len(X) * np.log(abs(np.linalg.det(matrix)))
    np.testing.assert_allclose(np.add(after.elbo, jacobian), before.elbo, rtol=1e-10)
    np.testing.assert_allclose(after.resp, before.resp, rtol=1e-9, atol=1e-12)


def test_other_units_shift_the_bound_of_an_exponential_mixture():
    prior, X = PROBLEMS["exponential"]
    scales = np.array([1e3, 0.1, 2.0])
    resp, proportions = responsibilities(len(X), 3), Sticks(0.8)
    before = variational(X, resp, prior, proportions, 6)
    after = variational(X * scales, resp, GammaExponential(prior.shape, prior.rate * scales), proportions, 6)
    np.testing.assert_allclose(np.add(after.elbo, len(X) * np.log(scales).sum()), before.elbo, rtol=1e-10)
    np.testing.assert_allclose(after.resp, before.resp, rtol=1e-9)


def test_with_one_column_all_normal_priors_are_the_same():
    X = PROBLEMS["full"].X[:, :1]
    priors = [
        NormalInverseWishart([0.5], 0.3, 1.5, [[1.2]]),
        NormalGamma([0.5], 0.3, 1.5, [1.2]),
        SphericalNormalGamma([0.5], 0.3, 1.5, 1.2),
    ]
    resp = responsibilities(len(X), 3)
    first, *others = [variational(X, resp, prior, Sticks(0.8), 5) for prior in priors]
    for other in others:
        np.testing.assert_allclose(other.elbo, first.elbo, rtol=1e-12)
    tied = TiedNormalInverseWishart([0.5], 0.3, 1.5, [[1.2]])
    statistics = priors[0].statistics(X, np.ones((len(X), 1)))
    assert tied.log_evidence(statistics) == pytest.approx(priors[0].log_evidence(statistics)[0], rel=1e-13)


# ---- law 6: scikit-learn --------------------------------------------------------------------------------------------


class Started(BayesianGaussianMixture):
    """From given responsibilities; `first_` are the parameters of the first M-step."""

    def _initialize_parameters(self, X, *args, **kwargs):
        self._initialize(X, self.start)
        names = ("means_", "covariances_", "degrees_of_freedom_", "mean_precision_")
        self.first_ = {name: getattr(self, name).copy() for name in names}


def scikit_learn(X, resp, covariance_type, weight_type, max_iter):
    model = Started(
        n_components=resp.shape[1],
        covariance_type=covariance_type,
        weight_concentration_prior_type=weight_type,
        reg_covar=0,
        tol=0,
        max_iter=max_iter,
    )
    model.start = resp
    with pytest.warns(ConvergenceWarning):
        return model.fit(X)


def prior_of(kind, model):
    return kind(
        model.mean_prior_, model.mean_precision_prior_, model.degrees_of_freedom_prior_, model.covariance_prior_
    )


@pytest.mark.parametrize(
    ("weight_type", "kind"), [("dirichlet_process", Sticks), ("dirichlet_distribution", SymmetricDirichlet)]
)
@pytest.mark.parametrize("n_iter", [1, 2, 5])
def test_full_gives_the_responsibilities_of_scikit_learn(n_iter, weight_type, kind):
    X = read("iris")
    resp = responsibilities(len(X), 4)
    model = scikit_learn(X, resp, "full", weight_type, n_iter)
    prior = prior_of(NormalInverseWishart, model)
    proportions = kind(model.weight_concentration_prior_)
    # each of its iterations is an E-step and an M-step, after an M-step; predictions are one more E-step
    found = variational(X, resp, prior, proportions, n_iter + 1)
    np.testing.assert_allclose(found.resp, model.predict_proba(X), rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize(
    ("covariance_type", "kind"),
    [("full", NormalInverseWishart), ("diag", NormalGamma), ("spherical", SphericalNormalGamma)],
)
def test_updates_are_those_of_scikit_learn(covariance_type, kind):
    X = read("iris")
    resp = responsibilities(len(X), 4)
    model = scikit_learn(X, resp, covariance_type, "dirichlet_process", 1)
    prior = prior_of(kind, model)
    posterior = prior.posterior(prior.statistics(X, resp))
    np.testing.assert_allclose(posterior.kappa, model.first_["mean_precision_"], rtol=1e-12)
    np.testing.assert_allclose(posterior.m, model.first_["means_"], rtol=1e-12)
    np.testing.assert_allclose(posterior.nu, model.first_["degrees_of_freedom_"], rtol=1e-12)
    np.testing.assert_allclose(prior.covariances(posterior), model.first_["covariances_"], rtol=1e-9)


# ---- law 7: predictive densities ------------------------------------------------------------------------------------


def one_column(name):
    X = PROBLEMS[name].X[:, :1]
    return {
        "full": lambda: Problem(NormalInverseWishart([0.5], 0.3, 1.5, [[1.2]]), X),
        "tied": lambda: Problem(TiedNormalInverseWishart([0.5], 0.3, 1.5, [[1.2]]), X),
        "diag": lambda: Problem(NormalGamma([0.5], 0.3, 1.5, [1.2]), X),
        "spherical": lambda: Problem(SphericalNormalGamma([0.5], 0.3, 1.5, 1.2), X),
        "exponential": lambda: Problem(GammaExponential(1.5, 0.4), X),
    }[name]()


@pytest.mark.parametrize("name", [*NORMALS, "exponential"])
@each_proportions
def test_the_predictive_density_integrates_to_one(name, kind):
    prior, X = one_column(name)
    resp = responsibilities(len(X), 3)

    # tails are heavy: in other coordinates they vanish fast
    point, slope = (np.exp, np.exp) if name == "exponential" else (np.sinh, np.cosh)

    def density(u):
        return slope(u) * np.exp(log_predictive(np.array([[point(u)]]), resp, X, prior, PROPORTIONS[kind])[0])

    total = sum(quad(density, *ends, epsabs=1e-10)[0] for ends in [(-40, 0), (0, 2), (2, 40)])
    assert total == pytest.approx(1, rel=0, abs=1e-8)


def all_rows(name):
    """Every row there is, or all but some whose probability is nothing."""
    return {
        "bernoulli": lambda: itertools.product([0, 1], repeat=3),
        "categorical": lambda: itertools.product(range(3), range(2)),
        "multinomial": lambda: (row for row in itertools.product(range(6), repeat=3) if sum(row) == 5),
    }[name]()


@pytest.mark.parametrize("name", ["bernoulli", "categorical", "multinomial"])
@each_proportions
def test_predictive_probabilities_sum_to_one(name, kind):
    prior, X = PROBLEMS[name]
    rows = np.array(list(all_rows(name)))
    found = log_predictive(rows, responsibilities(len(X), 3), X, prior, PROPORTIONS[kind])
    assert np.exp(found).sum() == pytest.approx(1, rel=1e-12)


def test_predictive_probabilities_of_counts_sum_to_one():
    prior, X = GammaPoisson(1.5, 0.2), PROBLEMS["poisson"].X[:, :1]
    rows = np.arange(400.0)[:, np.newaxis]
    found = log_predictive(rows, responsibilities(len(X), 3), X, prior, Sticks(0.8))
    assert np.exp(found).sum() == pytest.approx(1, rel=1e-12)


@each_problem
def test_the_predictive_density_is_a_ratio_of_evidences(name):
    prior, X = PROBLEMS[name]
    for n in (0, 1, 10):
        before = prior.statistics(X[:n], np.ones((n, 1)))
        found = prior.log_predictive(X[n:], prior.posterior(before))[:, 0]
        for i in range(n, len(X)):
            after = prior.add(before, prior.statistics(X[i : i + 1], np.ones((1, 1))))
            ratio = np.sum(prior.log_evidence(after)) - np.sum(prior.log_evidence(before))
            assert found[i - n] == pytest.approx(ratio, rel=1e-10, abs=1e-10)
    new = prior.log_predictive_of_new(X, prior.posterior(prior.statistics(X[:0], np.zeros((0, 3)))))
    nothing = prior.posterior(prior.statistics(X[:0], np.zeros((0, 1))))
    np.testing.assert_allclose(new, prior.log_predictive(X, nothing)[:, 0], rtol=1e-13)


def test_without_rows_the_predictive_density_is_the_priors_t():
    prior, X = PROBLEMS["full"]
    df = prior.nu0 - 2
    wanted = multivariate_t(prior.m0, prior.Psi0 * (prior.kappa0 + 1) / (prior.kappa0 * df), df).logpdf(X)
    nothing = prior.posterior(prior.statistics(X[:0], np.zeros((0, 2))))
    np.testing.assert_allclose(prior.log_predictive(X, nothing), np.column_stack([wanted, wanted]), rtol=1e-12)


# ---- draws ----------------------------------------------------------------------------------------------------------


@each_problem
def test_draws_have_the_expected_log_density_and_the_predictive_density(name):
    """Within six standard errors of the mean, with a fixed seed."""
    prior, X = PROBLEMS[name]
    posterior = prior.posterior(prior.statistics(X, responsibilities(len(X), 3)))
    rng = np.random.default_rng(0)
    found = np.array([prior.log_density(X, prior.draw(posterior, rng)) for _ in range(600)])
    for values, wanted in (
        (found, prior.expected_log_density(X, posterior)),
        (np.exp(found), np.exp(prior.log_predictive(X, posterior))),
    ):
        error = values.std(axis=0) / np.sqrt(len(values))
        assert (abs(values.mean(axis=0) - wanted) < 6 * error + 1e-12).all()


def test_concentrations_are_drawn_from_their_posterior():
    n, n_clusters, shape, rate = 82, 6, 2.0, 4.0

    def log_density(alpha):
        return (n_clusters + shape - 1) * np.log(alpha) - rate * alpha + gammaln(alpha) - gammaln(alpha + n)

    def density(alpha):
        return np.exp(log_density(alpha) - log_density(1.0))

    mean = quad(lambda alpha: alpha * density(alpha), 0, 20)[0] / quad(density, 0, 20)[0]
    rng = np.random.default_rng(0)
    draws = [1.0]
    for _ in range(20_000):
        draws.append(draw_concentration(draws[-1], n, n_clusters, shape, rate, rng))
    batches = np.reshape(draws[1:], (20, -1)).mean(axis=1)
    assert abs(np.mean(draws[1:]) - mean) < 5 * batches.std(ddof=1) / np.sqrt(20)


# ---- partitions -----------------------------------------------------------------------------------------------------

PROCESSES = {
    "dirichlet": DirichletProcess(0.7),
    "pitman-yor": PitmanYor(0.7, 0.3),
    "pitman-yor, negative alpha": PitmanYor(-0.2, 0.3),
    "mfm": MixtureOfFiniteMixtures(0.6, geometric_log_prior()),
    "mfm, uniform": MixtureOfFiniteMixtures(1.0, uniform_log_prior(4)),
}


@pytest.mark.parametrize("name", PROCESSES)
def test_probabilities_of_partitions_sum_to_one(name):
    process = PROCESSES[name]
    total = sum(np.exp(process.log_probability(np.bincount(labels))) for labels in all_partitions(6))
    assert total == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("name", PROCESSES)
def test_partitions_are_consistent_in_n(name):
    """A partition of n rows is as likely as all of n + 1 rows that it can become."""
    process = PROCESSES[name]
    for sizes in ([3], [2, 1], [2, 2, 1]):
        grown = [np.add(sizes, np.eye(len(sizes), dtype=int)[k]) for k in range(len(sizes))]
        total = sum(np.exp(process.log_probability(more)) for more in [*grown, [*sizes, 1]])
        assert total == pytest.approx(np.exp(process.log_probability(sizes)), rel=1e-12)


def test_ratios_of_v_are_the_known_ones():
    assert DirichletProcess(0.7).log_v_ratio(9, 3) == pytest.approx(np.log(0.7), rel=1e-12)
    known = np.log(0.7 + 3 * 0.3) - gammaln(1 - 0.3)
    assert PitmanYor(0.7, 0.3).log_v_ratio(9, 3) == pytest.approx(known, rel=1e-12)
    assert PitmanYor(0.7, 0.0).log_v(9, 3) == pytest.approx(DirichletProcess(0.7).log_v(9, 3), rel=1e-12)
    assert MixtureOfFiniteMixtures(1.0, uniform_log_prior(4)).log_v(9, 5) == -np.inf


def test_all_partitions_are_there_once():
    for n, bell in enumerate([1, 2, 5, 15, 52, 203], start=1):
        labels = all_partitions(n)
        assert len({tuple(row) for row in labels}) == len(labels) == bell
        assert (labels <= np.maximum.accumulate(np.column_stack([-np.ones(bell), labels]), axis=1)[:, :-1] + 1).all()


def naive_vi(first, second):
    joint = np.zeros((first.max() + 1, second.max() + 1))
    np.add.at(joint, (first, second), 1 / len(first))
    row, column = joint.sum(axis=1), joint.sum(axis=0)
    used = joint > 0
    outer = np.outer(row, column)[used]
    mutual = (joint[used] * np.log(joint[used] / outer)).sum()
    entropies = [-(p[p > 0] * np.log(p[p > 0])).sum() for p in (row, column)]
    return sum(entropies) - 2 * mutual


def test_variation_of_information_is_its_definition():
    draws = np.random.default_rng(0).integers(4, size=(20, 12))
    wanted = [[naive_vi(one, other) for one in draws] for other in draws]
    np.testing.assert_allclose(expected_vi(draws), np.mean(wanted, axis=1), rtol=1e-12)
    found = variation_of_information(draws, draws[0])
    np.testing.assert_allclose(found, wanted[0], rtol=1e-12, atol=1e-12)


def test_variation_of_information_has_its_extremes():
    together, apart = np.zeros(8, dtype=int), np.arange(8)
    assert variation_of_information(together, apart)[0] == pytest.approx(np.log(8))
    assert variation_of_information(apart, apart[::-1])[0] == pytest.approx(0, abs=1e-14)  # names do not matter
    draws = np.array([together, [0, 0, 0, 0, 1, 1, 1, 1], [5, 5, 5, 5, 2, 2, 2, 2], apart])
    assert point_partition(draws) == 1


# ---- moves ----------------------------------------------------------------------------------------------------------


@each_problem
def test_sorting_never_lowers_the_bound_of_sticks(name):
    prior, X = PROBLEMS[name]
    for seed in range(5):
        resp = responsibilities(len(X), 5, seed) ** 2
        resp /= resp.sum(axis=1, keepdims=True)
        for proportions in (Sticks(0.8), Sticks(5.0)):
            change = elbo(moves.sort(resp, proportions), X, prior, proportions) - elbo(resp, X, prior, proportions)
            assert change > -1e-12 * abs(elbo(resp, X, prior, proportions))


def test_sorting_the_sticks_of_faithful_gains_what_is_known():
    case = next(
        case for case in ELBO if (case["data"], case["K"], case["process"], case["alpha"]) == ("faithful", 2, "dp", 1)
    )
    X, start, prior, proportions = elbo_case(case)
    unsorted = variational(X, start, prior, proportions, 10)
    found = variational(X, moves.sort(unsorted.resp, proportions), prior, proportions, 10)
    assert unsorted.elbo[-1] == pytest.approx(-1183.74133, abs=1e-5)
    assert found.elbo[-1] == pytest.approx(-1183.15856, abs=1e-5)
    # empty sticks behind cost nothing and add less than 0.05
    padded = np.column_stack([found.resp, np.zeros((len(X), 18))])
    assert variational(X, padded, prior, proportions, 10).elbo[-1] == pytest.approx(-1183.11409, abs=1e-5)


@each_problem
def test_merged_components_have_the_statistics_of_both(name):
    prior, X = PROBLEMS[name]
    resp = responsibilities(len(X), 4)
    merged = moves.merge(resp, 1, 3)
    np.testing.assert_allclose(merged, np.column_stack([resp[:, 0], resp[:, 1] + resp[:, 3], resp[:, 2]]))
    one, other = (prior.statistics(X, resp[:, [k]]) for k in (1, 3))
    for found, wanted in zip(prior.add(one, other), prior.statistics(X, merged[:, [1]]), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


def test_pairs_to_merge_are_those_that_share_rows_most():
    resp = np.array([[0.5, 0.5, 0, 0], [0, 0.9, 0.1, 0], [0, 0, 0, 1.0]])
    assert moves.merge_candidates(resp) == [(0, 1), (1, 2)]


@each_problem
@each_proportions
def test_deleting_and_dividing_give_responsibilities(name, kind):
    prior, X = PROBLEMS[name]
    resp = variational(X, responsibilities(len(X), 3), prior, PROPORTIONS[kind], 3).resp
    deleted = moves.delete(resp, X, prior, PROPORTIONS[kind], 1)
    assert deleted.shape == (len(X), 2)
    born = moves.birth(resp, X, prior, PROPORTIONS[kind], 0, np.random.default_rng(0))
    assert born is None or born.shape == (len(X), 4)
    for found in (deleted, resp if born is None else born):
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)


def test_what_cannot_move_proposes_nothing():
    prior, _ = PROBLEMS["full"]
    same = np.ones((6, 3))
    assert moves.birth(np.ones((6, 1)), same, prior, Sticks(1.0), 0, np.random.default_rng(0)) is None
    assert moves.birth(np.ones((1, 1)), same[:1], prior, Sticks(1.0), 0, np.random.default_rng(0)) is None
    assert moves.delete(np.ones((6, 1)), same, prior, Sticks(1.0), 0) is None


@each_proportions
def test_births_find_five_clusters_from_one(kind):
    rng = np.random.default_rng(0)
    centres = 8 * np.array([[0, 0], [1, 1], [-1, 1], [1, -1], [2.5, 0]])
    labels = np.repeat(np.arange(5), [60, 50, 40, 30, 20])
    X = centres[labels] + rng.normal(size=(200, 2))
    prior = NormalInverseWishart(X.mean(axis=0), 0.01, 4, np.eye(2))
    found = moves.variational_with_moves(X, np.ones((200, 1)), prior, PROPORTIONS[kind], rng)
    assert sorted(np.rint(found.resp.sum(axis=0))) == [20, 30, 40, 50, 60]
    assert np.diff(found.elbo).min() > -1e-9 * abs(found.elbo[-1])
    # from twelve at random, too: merges and deletes
    many = moves.variational_with_moves(X, responsibilities(200, 12), prior, PROPORTIONS[kind], rng)
    assert many.resp.shape[1] == 5
    assert many.elbo[-1] == pytest.approx(found.elbo[-1], rel=1e-6)
