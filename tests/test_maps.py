"""Maps of mixtures: exact overlaps and distances (`tests/data/golden_maps.json`: by R, NumPy and SciPy alone), draws
within their standard errors, every estimator, bad input, pictures."""

import json
import sys
from itertools import product
from pathlib import Path
from types import ModuleType

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from estimators_table import ESTIMATORS, every_estimator
from scipy import integrate, stats
from sklearn.exceptions import NotFittedError

from mixfast import (
    BayesianGaussianMixture,
    BernoulliMixture,
    CategoricalMixture,
    DirichletProcessMixture,
    ExponentialMixture,
    GammaMixture,
    GaussianMixture,
    MixtureMap,
    MixtureOfExperts,
    MultinomialMixture,
    PoissonMixture,
    ProductMixture,
    StudentTMixture,
    VonMisesFisherMixture,
    match,
    merge_tree,
)
from mixfast.families.log_ratios import LogRatios
from mixfast.parts import Gamma, Gaussian, Poisson, StudentT

GOLDEN = json.loads((Path(__file__).parent / "data" / "golden_maps.json").read_text())


def gaussians(own, **options):
    return GaussianMixture.from_parameters(
        weights=own["weights"], means=own["means"], covariances=own["covariances"], **options
    )


def pair(golden):
    """(model of both components of a golden distance, options of the map)"""
    p, q, options = golden["p"], golden["q"], {}
    if golden["family"] == "multinomial":
        options, p, q = {"total": p["n_trials"]}, p["probabilities"], q["probabilities"]
    both = {name: [p[name], q[name]] for name in p} if isinstance(p, dict) else [p, q]
    weights = [0.5, 0.5]
    models = {
        "gaussian": lambda: GaussianMixture.from_parameters(
            weights=weights, means=both["mean"], covariances=both["covariance"]
        ),
        "bernoulli": lambda: BernoulliMixture.from_parameters(weights=weights, probabilities=both),
        "categorical": lambda: CategoricalMixture.from_parameters(
            weights=weights,
            probabilities=[list(own) for own in zip(*both, strict=True)],
            categories=[list(range(len(own))) for own in p],
        ),
        "multinomial": lambda: MultinomialMixture.from_parameters(weights=weights, probabilities=both),
        "poisson": lambda: PoissonMixture.from_parameters(weights=weights, rates=both),
        "exponential": lambda: ExponentialMixture.from_parameters(weights=weights, rates=both),
        "gamma": lambda: GammaMixture.from_parameters(weights=weights, shapes=both["shape"], scales=both["scale"]),
        "von_mises_fisher": lambda: VonMisesFisherMixture.from_parameters(
            weights=weights, mean_directions=both["mean_direction"], concentrations=both["concentration"]
        ),
    }
    return models[golden["family"]](), options


def agree(found, errors, wanted):
    """Estimates are within four and a half of their standard errors: of ten thousand none is outside by chance."""
    assert np.all(np.abs(found - np.asarray(wanted)) <= 4.5 * errors + 1e-9)


# ---- overlaps ----


@pytest.mark.parametrize("name", GOLDEN["overlap"])
def test_overlaps_of_gaussians_are_exact_and_confusions_within_their_errors(name):
    golden = GOLDEN["overlap"][name]
    found = MixtureMap.from_estimator(gaussians(golden))
    np.testing.assert_allclose(found.overlap, golden["pairwise"], rtol=0, atol=golden["tolerance_pairwise"])
    assert not np.any(found.overlap_error)
    agree(found.confusion, found.confusion_error, golden["full"])
    np.testing.assert_allclose(found.confusion.sum(axis=1), 1, rtol=1e-12)
    assert found.confusion_error.max() < 0.01


@pytest.mark.parametrize("name", GOLDEN["overlap"])
def test_draws_alone_find_the_same_overlaps(name):
    golden = GOLDEN["overlap"][name]
    draws = gaussians(golden)._components().draw(20_000, 0)
    agree(*draws.overlaps(), golden["pairwise"])
    agree(*draws.confusion(), golden["full"])
    assert np.all(draws.overlaps().errors < 0.02)


@pytest.mark.parametrize("covariance_type", ["tied", "diag", "spherical"])
def test_every_structure_has_the_overlaps_of_the_matrices_that_it_stands_for(covariance_type):
    rng = np.random.default_rng(0)
    covariances = {"tied": np.cov(rng.normal(size=(3, 9))), "diag": rng.gamma(2, size=(4, 3)), "spherical": None}
    own = covariances[covariance_type]
    model = GaussianMixture.from_parameters(
        weights=[0.4, 0.3, 0.2, 0.1],
        means=rng.normal(size=(4, 3)),
        covariances=rng.gamma(2, size=4) if own is None else own,
        covariance_type=covariance_type,
    )
    full = GaussianMixture.from_parameters(
        weights=model.weights_, means=model.means_, covariances=model.covariance_matrices()
    )
    one, other = MixtureMap.from_estimator(model), MixtureMap.from_estimator(full)
    for name in ("overlap", "distance", "positions"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-9)


def chance_that_a_parabola_is_above_zero(curvature, slope, constant):
    """Of a standard normal z: P(curvature z^2 + slope z + constant > 0), by its roots."""
    discriminant = slope * slope - 4 * curvature * constant
    if discriminant <= 0:
        return float(curvature > 0)
    far = -(slope + np.sqrt(discriminant)) / 2
    low, high = sorted([far / curvature, constant / far])
    inside = stats.norm.cdf(high) - stats.norm.cdf(low)
    return 1 - inside if curvature > 0 else inside


def test_the_integral_has_the_digits_that_it_promises():
    """One axis, against roots; nearly equal variances, means far apart, one weight that wins."""
    rng = np.random.default_rng(0)
    n = 400
    variances = np.exp(rng.normal(size=n) * rng.choice([1e-4, 0.01, 0.3, 1, 3], n))[:, np.newaxis]
    distances = (rng.exponential(size=n) ** 2 * rng.choice([0, 1e-6, 0.1, 1, 30], n))[:, np.newaxis]
    log_odds = rng.normal(size=n) * rng.choice([0, 1, 4], n)
    ratios = LogRatios.of_axes(variances, distances)
    above, _ = ratios.overlaps(log_odds)
    wanted = [
        chance_that_a_parabola_is_above_zero(curvature, np.sqrt(square), constant)
        for curvature, square, constant in zip(
            ratios.curvature[:, 0], ratios.square[:, 0], ratios.constant + log_odds, strict=True
        )
    ]
    np.testing.assert_allclose(above, wanted, rtol=0, atol=1e-11)


def test_many_axes_agree_with_draws_and_with_a_finer_rule(monkeypatch):
    rng = np.random.default_rng(1)
    for _ in range(30):
        d = rng.integers(2, 15)
        spread = rng.choice([0.01, 0.3, 1, 3], (1, 1))
        ratios = LogRatios.of_axes(
            np.exp(spread * rng.normal(size=(1, d))), rng.exponential(size=(1, d)) ** 2 * rng.choice([0, 0.1, 1, 9])
        )
        log_odds = rng.normal(size=1)
        above, below = ratios.overlaps(log_odds)
        z = rng.normal(size=(40_000, d))
        values = ratios.constant + log_odds + (ratios.curvature * z * z + np.sqrt(ratios.square) * z).sum(axis=1)
        agree(np.mean(values > 0), np.sqrt(above * (1 - above) / len(z)) + 1 / len(z), above)
        with monkeypatch.context() as finer:
            finer.setattr("mixfast.families.log_ratios.STEP", 0.02)
            # one of a thousand pairs keeps five digits, most keep twelve
            np.testing.assert_allclose((above, below), ratios.overlaps(log_odds), rtol=0, atol=1e-8)


# ---- distances ----


@pytest.mark.parametrize("golden", GOLDEN["distances"], ids=lambda golden: f"{golden['family']}, {golden['name']}")
def test_distances_in_closed_form(golden):
    model, options = pair(golden)
    found = MixtureMap.from_estimator(model, **options)
    np.testing.assert_allclose(found.distance[0, 1], golden["bhattacharyya_distance"], rtol=1e-11)
    assert not np.any(found.distance_error)
    assert found.total == options.get("total")
    components = model._components(**options)
    one, other = np.array([0]), np.array([1])
    for way, name in (((one, other), "kl_pq"), ((other, one), "kl_qp")):
        divergence = components.over_pairs(components.family.divergence, *way)
        np.testing.assert_allclose(divergence, golden[name], rtol=1e-11)


@pytest.mark.parametrize("golden", GOLDEN["distances"], ids=lambda golden: f"{golden['family']}, {golden['name']}")
def test_distances_by_draws_are_within_their_errors(golden):
    model, options = pair(golden)
    found = MixtureMap.from_estimator(model, measure="jensen-shannon", **options)
    agree(found.distance[0, 1], found.distance_error[0, 1], golden["jensen_shannon"])
    agree(found.similarity[0, 1], found.distance_error[0, 1] / np.log(2), 1 - golden["jensen_shannon"] / np.log(2))
    coefficient = model._components(**options).draw(20_000, 0).affinities()
    agree(coefficient.values[0, 1], coefficient.errors[0, 1], golden["bhattacharyya_coefficient"])


def test_distances_of_several_columns_by_summation_and_quadrature():
    rng = np.random.default_rng(0)
    weights = [0.5, 0.5]
    first, second = rng.dirichlet(np.ones(3), 2), rng.dirichlet(np.ones(4), 2)
    model = CategoricalMixture.from_parameters(
        weights=weights, probabilities=[first, second], categories=[list("abc"), list("wxyz")]
    )
    cells = np.einsum("ki,kj->kij", first, second).reshape(2, -1)
    found = MixtureMap.from_estimator(model).distance[0, 1]
    np.testing.assert_allclose(found, -np.log(np.sqrt(cells.prod(axis=0)).sum()), rtol=1e-12)
    rates = np.array([[0.5, 3.0], [2.0, 4.0]])
    counts = np.arange(60)
    cells = [stats.poisson.pmf(counts[:, np.newaxis], a) * stats.poisson.pmf(counts, b) for a, b in rates]
    found = MixtureMap.from_estimator(PoissonMixture.from_parameters(weights=weights, rates=rates)).distance[0, 1]
    np.testing.assert_allclose(found, -np.log(np.sqrt(cells[0] * cells[1]).sum()), rtol=1e-12)
    one, other = rng.uniform(1, 3, (2, 2)), rng.uniform(1, 3, (2, 2))
    model = GammaMixture.from_parameters(weights=weights, shapes=one, scales=other)

    def root(x, j):
        return np.sqrt(stats.gamma.pdf(x, one[:, j], scale=other[:, j]).prod())

    logs = [np.log(integrate.quad(root, 0, np.inf, (j,), epsabs=1e-13)[0]) for j in range(2)]
    np.testing.assert_allclose(MixtureMap.from_estimator(model).distance[0, 1], -sum(logs), rtol=1e-9)


def test_parts_of_a_product_add_up():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=(200, 2)), rng.gamma(3, size=200), rng.poisson(4, size=200)])
    model = ProductMixture([(0, 1, Gaussian("tied")), (2, Gamma()), (3, Poisson())], 3, random_state=0).fit(X)
    found = MixtureMap.from_estimator(model, measure="bhattacharyya")
    parts = [MixtureMap.from_estimator(own).distance for own in model.components_.values()]
    np.testing.assert_allclose(found.distance, sum(parts), rtol=1e-12)
    np.testing.assert_allclose(found.similarity + np.eye(3), np.exp(-found.distance), rtol=1e-12)
    # a part without a closed form leaves all to the draws
    model = ProductMixture([(0, 1, StudentT()), (2, Gamma())], 3, random_state=0).fit(X)
    assert MixtureMap.from_estimator(model).distance_error[0, 1] > 0


def test_student_t_by_quadrature():
    model = StudentTMixture.from_parameters(
        weights=[0.6, 0.4], means=[[0.0], [3.0]], covariances=[[[1.0]], [[2.0]]], degrees_of_freedom=[3.0, 8.0]
    )
    x = np.linspace(-400, 400, 800_001)
    one, other = stats.t.pdf(x, 3), stats.t.pdf(x, 8, 3, np.sqrt(2))
    step = x[1] - x[0]
    found = MixtureMap.from_estimator(model, measure="bhattacharyya")
    agree(
        found.similarity[0, 1], found.distance_error[0, 1] * found.similarity[0, 1], np.sqrt(one * other).sum() * step
    )
    agree(found.overlap[0, 1], found.overlap_error[0, 1], one[0.4 * other > 0.6 * one].sum() * step)


# ---- every estimator ----


@every_estimator
def test_every_estimator_has_a_map(name):
    entry = ESTIMATORS[name]
    model = entry.make().fit(entry.X)
    found = MixtureMap.from_estimator(model, entry.X, n_samples=4000)
    again = MixtureMap.from_estimator(model, entry.X, n_samples=4000)
    K = len(found.weights)
    for one, other in zip(vars(found).values(), vars(again).values(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.all((found.overlap >= 0) & (found.overlap <= 1))
    np.testing.assert_allclose(found.confusion.sum(axis=1), 1)
    np.testing.assert_array_equal(found.distance, found.distance.T)
    np.testing.assert_array_equal(np.diagonal(found.distance), 0)
    off = ~np.eye(K, dtype=bool)
    slack = 4.5 * (found.confusion_error + found.overlap_error) + 1e-9
    assert np.all((found.confusion <= found.overlap + slack)[off])
    assert found.positions.shape == (K, 2)
    assert found.row_positions.shape == (60, 2)
    np.testing.assert_array_equal(found.row_labels, np.argmax(model.predict_proba(entry.X)[:, :K], axis=1))
    resp = model.predict_proba(entry.X)
    if resp.shape[1] == K:
        entropy = -np.sum(resp * np.log(np.where(resp > 0, resp, 1)), axis=1).mean()
        np.testing.assert_allclose(found.entropy, entropy, rtol=1e-5, atol=1e-9)


@pytest.mark.filterwarnings("ignore:The draws do not tell")  # so few will do here
@pytest.mark.parametrize(
    ("algorithm", "component"),
    [
        *product(["variational", "sampler"], ["full", "diag", "spherical", "poisson", "exponential", "multinomial"]),
        ("variational", "tied"),
    ],
)
def test_dirichlet_processes_show_components_of_the_posterior_or_of_the_point_partition(component, algorithm):
    X = np.abs(ESTIMATORS["Poisson"].X if component in ("poisson", "multinomial") else ESTIMATORS["Gamma"].X)
    options = {"n_draws": 20, "burn_in": 20} if algorithm == "sampler" else {}
    model = DirichletProcessMixture(component, algorithm=algorithm, random_state=0, **options).fit(X)
    found = MixtureMap.from_estimator(model, X)
    np.testing.assert_allclose(found.weights, model.weights_ / np.sum(model.weights_))
    assert len(found.row_labels) == 60


def test_posteriors_show_their_expected_components():
    X = ESTIMATORS["Gaussian full"].X
    model = BayesianGaussianMixture(3, random_state=0).fit(X)
    plain = GaussianMixture.from_parameters(
        weights=model.weights_ / model.weights_.sum(), means=model.means_, covariances=model.covariances_
    )
    one, other = MixtureMap.from_estimator(model), MixtureMap.from_estimator(plain)
    np.testing.assert_allclose(one.overlap, other.overlap, atol=1e-9)


def test_the_entropy_of_the_model_is_that_of_many_rows():
    model = gaussians(GOLDEN["overlap"]["d2_unequal"])
    X, _ = model.sample(100_000, random_state=3)
    one, other = MixtureMap.from_estimator(model), MixtureMap.from_estimator(model, X)
    agree(one.entropy, np.hypot(one.entropy_error, 0.002), other.entropy)
    assert other.entropy_error == 0
    assert len(other.row_labels) == 5000


def test_experts_overlap_where_the_rows_are():
    """Two lines that cross: by quadrature at each row."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 1))
    side = rng.integers(0, 2, 400)
    y = np.where(side, x[:, 0], -x[:, 0]) + rng.normal(size=400)
    model = MixtureOfExperts(2, random_state=0).fit(x, y)
    with pytest.raises(ValueError, match="those of y given x: pass X"):
        MixtureMap.from_estimator(model)
    found = MixtureMap.from_estimator(model, x, n_samples=100_000)
    at = x[:, 0]
    eta = model.intercept_ + np.outer(at, model.coef_[:, 0])
    grid = np.linspace(-9, 9, 2001)
    joint = [
        model.weights_[k] * stats.norm.pdf(grid, eta[:, k : k + 1], np.sqrt(model.sigma_[k] ** 2)) for k in range(2)
    ]
    step = grid[1] - grid[0]
    wanted = np.sum(joint[0] * (joint[1] > joint[0])) * step / 400 / model.weights_[0]
    agree(found.overlap[0, 1], found.overlap_error[0, 1] + 1e-4, wanted)
    assert found.row_positions is None
    drawn = MixtureMap.from_estimator(model, x, y=y)
    np.testing.assert_array_equal(drawn.row_labels, model.labels(x, y))
    tree = merge_tree(model, x, y=y)
    np.testing.assert_array_equal(tree.labels(2, x, y=y), model.labels(x, y))
    assert match(model, model, x, y=y).tolist() == [0, 1]
    with pytest.raises(ValueError, match="layout='discriminant'"):
        MixtureMap.from_estimator(model, x, layout="discriminant")


# ---- positions ----


def test_experts_by_a_formula_find_in_the_table_what_they_need():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.uniform(0, 4, 300), "z": rng.normal(size=300)})
    table["y"] = np.where(rng.random(300) < 1 / (1 + np.exp(-table["z"])), table["x"], 3 - table["x"])
    table["y"] += 0.3 * rng.normal(size=300)
    model = MixtureOfExperts.from_formula("y ~ x", table, gate="~ z", n_components=2, random_state=0)
    data = {"y": table["y"], "gate_X": table[["z"]]}
    rows = table[["x"]]
    found, other = MixtureMap.from_estimator(model, table), MixtureMap.from_estimator(model, rows, **data)
    np.testing.assert_array_equal(found.overlap, other.overlap)
    assert found.entropy == other.entropy
    np.testing.assert_array_equal(merge_tree(model, table).labels(2, table), model.labels(rows, **data))
    assert match(model, model, table).tolist() == [0, 1]


def test_near_components_of_one_covariance_lie_as_their_whitened_means_do():
    rng = np.random.default_rng(0)
    covariance = np.cov(rng.normal(size=(2, 5)))
    means = 1e-3 * rng.normal(size=(5, 2))
    model = GaussianMixture.from_parameters(
        weights=np.full(5, 0.2), means=means, covariances=covariance, covariance_type="tied"
    )
    found = MixtureMap.from_estimator(model)
    whitened = np.linalg.solve(np.linalg.cholesky(covariance), means.T).T / np.sqrt(8)
    apart = [np.linalg.norm(own[:, np.newaxis] - own, axis=2) for own in (whitened, found.positions)]
    np.testing.assert_allclose(*apart, rtol=1e-4)
    assert found.shown == pytest.approx(1)


def test_two_components_lie_on_a_line():
    golden = next(own for own in GOLDEN["distances"] if own["family"] == "gamma")
    positions = MixtureMap.from_estimator(pair(golden)[0]).positions
    assert positions[:, 1].tolist() == [0.0, 0.0]
    assert not np.any(np.signbit(positions[:, 1]))


def test_discriminant_directions_separate_means_and_covariances():
    """Against the generalised eigenvalues of Scrucca's kernel, by its definition; rows are projected as means are."""
    own = GOLDEN["overlap"]["d4_unequal"]
    model = gaussians(own)
    X, _ = model.sample(500, random_state=0)
    found = MixtureMap.from_estimator(model, X, layout="discriminant")
    weights, means, matrices = (np.array(own[name]) for name in ("weights", "means", "covariances"))
    deviations = means - weights @ means
    within = np.tensordot(weights, matrices, 1)
    between = deviations.T @ np.diag(weights) @ deviations
    inverse = np.linalg.inv(within + between)
    kernel = between @ inverse @ between
    kernel += sum(w * (S - within) @ inverse @ (S - within) for w, S in zip(weights, matrices, strict=True))
    values, vectors = np.linalg.eig(inverse @ kernel)
    order = np.argsort(-values.real)
    for axis in range(2):
        along = vectors[:, order[axis]].real
        along /= np.sqrt(along @ (within + between) @ along)
        turned = np.sign(found.positions[:, axis] @ (deviations @ along))
        np.testing.assert_allclose(found.positions[:, axis], turned * deviations @ along, rtol=1e-8)
        np.testing.assert_allclose(found.row_positions[:, axis], turned * (X - weights @ means) @ along, rtol=1e-6)
    assert found.shown == pytest.approx(np.sort(values.real)[-2:].sum() / values.real.sum())


# ---- frames and graphs ----


def test_frames_say_what_the_arrays_say():
    found = MixtureMap.from_estimator(gaussians(GOLDEN["overlap"]["d2_unequal"]), names=["a", "b", "c", "d"])
    frame = found.to_frame()
    assert frame["component"].tolist() == ["a", "b", "c", "d"]
    np.testing.assert_allclose(frame["error"], 1 - np.diagonal(found.confusion))
    assert frame["nearest"].tolist() == ["d", "d", "d", "a"]
    pairs = found.to_frame("pairs")
    assert len(pairs) == 6
    row = pairs[(pairs["component"] == "b") & (pairs["other"] == "d")].iloc[0]
    assert (row["overlap"], row["overlap_back"]) == (found.overlap[1, 3], found.overlap[3, 1])


def test_neighbours_are_those_above_the_threshold_the_most_similar_first():
    found = MixtureMap.from_estimator(gaussians(GOLDEN["overlap"]["d2_unequal"]), threshold=0.1)
    assert found.neighbours.tolist() == [[0, 3], [1, 3], [2, 3], [0, 1]]


def test_a_graph_has_neighbours_for_edges(monkeypatch):
    """In the place of networkx, which need not be installed, stands what of it is used."""

    class Graph:
        def __init__(self, **attributes):
            self.graph, self.nodes, self.edges = attributes, {}, {}

        def add_node(self, k, **attributes):
            self.nodes[k] = attributes

        def add_edge(self, i, j, **attributes):
            self.edges[i, j] = attributes

    found = MixtureMap.from_estimator(gaussians(GOLDEN["overlap"]["d2_equal"]))
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(ImportError, match="pip install networkx"):
        found.to_networkx()
    stand_in = ModuleType("networkx")
    stand_in.Graph = Graph
    monkeypatch.setitem(sys.modules, "networkx", stand_in)
    graph = found.to_networkx()
    assert sorted(graph.nodes) == [0, 1, 2]
    assert graph.nodes[1] == {"name": "1", "weight": 0.3, "position": tuple(found.positions[1])}
    assert list(graph.edges) == [(0, 2), (0, 1), (1, 2)]


# ---- bad input, and strange mixtures ----


def test_models_that_are_none():
    with pytest.raises(NotFittedError):
        MixtureMap.from_estimator(GaussianMixture(2))
    for wrong in (GaussianMixture, "model", None, np.zeros(3)):
        with pytest.raises(TypeError, match="should be a fitted mixture"):
            MixtureMap.from_estimator(wrong)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"measure": "euclid"}, "measure='euclid' should be one of 'overlap', 'bhattacharyya', 'jensen-shannon'"),
        ({"measure": None}, "measure=None should be one of"),
        ({"layout": "circle"}, "layout='circle' should be one of 'scaling', 'discriminant'"),
        ({"n_samples": 0}, "n_samples=0 should be a whole number of at least 1"),
        ({"n_samples": 2.5}, "n_samples=2.5 should be"),
        ({"threshold": -1}, "threshold=-1 should be at least 0"),
        ({"threshold": np.nan}, "threshold=nan should be at least 0"),
        ({"names": ["a"]}, "names has 1 names for 2 components"),
    ],
)
def test_options_out_of_range(options, said):
    model = GaussianMixture.from_parameters(weights=[0.5, 0.5], means=[[0.0], [3.0]], covariances=[[[1.0]], [[2.0]]])
    with pytest.raises(ValueError, match=f"^{said}".replace("[", r"\[")):
        MixtureMap.from_estimator(model, **options)


def test_totals_are_for_counts_given_their_sums():
    gaussian = GaussianMixture.from_parameters(weights=[1.0], means=[[0.0]], covariances=[[[1.0]]])
    with pytest.raises(TypeError, match="total=5 is for mixtures of counts"):
        MixtureMap.from_estimator(gaussian, total=5)
    counts = MultinomialMixture.from_parameters(weights=[0.5, 0.5], probabilities=[[0.2, 0.8], [0.8, 0.2]])
    with pytest.raises(ValueError, match="pass total"):
        MixtureMap.from_estimator(counts)
    with pytest.raises(ValueError, match="total=0 should be a whole number"):
        MixtureMap.from_estimator(counts, total=0)
    X = np.array([[3.0, 1.0], [0.0, 2.0], [5.0, 1.0]])
    assert MixtureMap.from_estimator(MultinomialMixture(2, random_state=0).fit(X)).total == 4
    with pytest.raises(ValueError, match="layout='discriminant' is for components with means"):
        MixtureMap.from_estimator(counts, total=3, layout="discriminant")


def test_rows_of_another_width():
    model = GaussianMixture.from_parameters(weights=[1.0], means=[[0.0]], covariances=[[[1.0]]])
    with pytest.raises(ValueError, match="2 features"):
        MixtureMap.from_estimator(model, np.zeros((3, 2)))


@pytest.mark.parametrize("kind", ["nodes", "heatmap", "rows"])
@pytest.mark.parametrize("layout", ["scaling", "discriminant"])
def test_one_component_one_column(layout, kind):
    model = GaussianMixture.from_parameters(weights=[1.0], means=[[0.0]], covariances=[[[1.0]]])
    found = MixtureMap.from_estimator(model, np.zeros((3, 1)), layout=layout)
    assert found.overlap.tolist() == found.confusion.tolist() == [[1.0]]
    assert found.entropy == 0
    assert found.neighbours.shape == (0, 2)
    assert found.to_frame()["nearest"].tolist() == [None]
    assert len(found.to_frame("pairs")) == 0
    found.plot(kind=kind).figure.canvas.draw()


def test_components_of_weight_zero_never_win_and_always_lose():
    for make in (
        lambda: GaussianMixture.from_parameters(
            weights=[0.5, 0.0, 0.5, 0.0], means=[[0.0], [1.0], [2.0], [2.0]], covariances=np.ones((4, 1, 1))
        ),
        lambda: ExponentialMixture.from_parameters(weights=[0.5, 0.0, 0.5, 0.0], rates=[[1.0], [2.0], [3.0], [3.0]]),
    ):
        found = MixtureMap.from_estimator(make())
        np.testing.assert_array_equal(found.overlap[[0, 0, 2, 2, 1, 3], [1, 3, 1, 3, 3, 1]], 0)
        # draws that hardly count are left out
        np.testing.assert_allclose(found.overlap[[1, 1, 3, 3], [0, 2, 0, 2]], 1, atol=1e-6)
        np.testing.assert_allclose(found.confusion[:, [1, 3]], 0, atol=1e-12)
        found.plot().figure.canvas.draw()


def test_components_that_are_equal_or_infinitely_far_apart():
    equal = GaussianMixture.from_parameters(
        weights=[0.25, 0.25, 0.5], means=np.zeros((3, 2)), covariances=[np.eye(2)] * 3
    )
    found = MixtureMap.from_estimator(equal)
    np.testing.assert_array_equal(found.overlap, [[1, 0, 1], [0, 1, 1], [0, 0, 1]])
    np.testing.assert_allclose(found.distance, 0, atol=1e-15)
    far = GaussianMixture.from_parameters(weights=[0.5, 0.5], means=[[0.0], [1e200]], covariances=[[[1.0]], [[2.0]]])
    np.testing.assert_array_equal(MixtureMap.from_estimator(far).overlap, np.eye(2))
    apart = BernoulliMixture.from_parameters(
        weights=[0.4, 0.3, 0.3], probabilities=[[0.0, 0.5], [1.0, 0.5], [0.5, 0.5]]
    )
    found = MixtureMap.from_estimator(apart)
    assert found.distance[0, 1] == np.inf
    assert np.all(np.isfinite(found.positions))
    found.plot().figure.canvas.draw()


def test_two_hundred_components():
    rng = np.random.default_rng(0)
    model = PoissonMixture.from_parameters(weights=np.full(200, 1 / 200), rates=rng.gamma(3, 9, size=(200, 6)))
    found = MixtureMap.from_estimator(model, rng.poisson(20, size=(50, 6)), n_samples=2000)
    assert found.overlap.shape == (200, 200)
    for kind in ("nodes", "heatmap", "rows"):
        found.plot(kind=kind).figure.canvas.draw()


# ---- pictures ----


def test_nodes_are_drawn_with_their_weights_names_and_neighbours():
    found = MixtureMap.from_estimator(gaussians(GOLDEN["overlap"]["d2_unequal"]), names=["one", "two", "three", "4"])
    ax = plt.figure().add_subplot()
    assert found.plot(ax) is ax
    lines, points = ax.collections
    np.testing.assert_allclose(points.get_offsets(), found.positions)  # weights fall, so heaviest first is their order
    np.testing.assert_allclose(points.get_sizes() / points.get_sizes()[0], found.weights / 0.4)
    assert len(lines.get_segments()) == len(found.neighbours) == 6
    assert {text.get_text() for text in ax.texts} == {"one", "two", "three", "4"}
    said = [text.get_text() for text in ax.get_legend().get_texts()]
    assert said == ["weight 0.4", "weight 0.1", "overlap 0.4", "overlap 0.1"]
    assert "of the spread" in ax.get_xlabel()


def test_heatmaps_have_overlaps_in_an_order_that_keeps_similar_components_together():
    found = MixtureMap.from_estimator(gaussians(GOLDEN["overlap"]["d2_unequal"]))
    ax = found.plot(kind="heatmap")
    order = [int(label.get_text()) for label in ax.get_xticklabels()]
    shown = np.array(ax.images[0].get_array())
    off = ~np.eye(4, dtype=bool)
    np.testing.assert_array_equal(shown[off], found.overlap[np.ix_(order, order)][off])
    assert abs(order.index(0) - order.index(3)) == 1  # the pair that overlaps most


def test_rows_need_rows():
    found = MixtureMap.from_estimator(gaussians(GOLDEN["overlap"]["d2_unequal"]))
    with pytest.raises(ValueError, match="make the map with them"):
        found.plot(kind="rows")
    with pytest.raises(ValueError, match="kind='cloud' should be one of 'nodes', 'heatmap', 'rows'"):
        found.plot(kind="cloud")
    with pytest.raises(ValueError, match="kind='cloud' should be one of 'components', 'pairs'"):
        found.to_frame("cloud")


def test_arrays_are_read_only():
    found = MixtureMap.from_estimator(gaussians(GOLDEN["overlap"]["d2_unequal"]))
    with pytest.raises(ValueError, match="read-only"):
        found.overlap[0, 1] = 0


def test_a_thousand_columns():
    rng = np.random.default_rng(0)
    model = GaussianMixture.from_parameters(
        weights=np.full(4, 0.25),
        means=0.1 * rng.normal(size=(4, 1000)),
        covariances=np.exp(0.01 * rng.normal(size=(4, 1000))),
        covariance_type="diag",
    )
    found = MixtureMap.from_estimator(model, n_samples=4000)
    draws = model._components().draw(4000, 1).overlaps()
    agree(draws.values, draws.errors, found.overlap)


# ---- rows of several exposures, and with missing entries ----


def test_components_of_counts_overlap_as_exposures_say():
    """At one exposure as components of the rates times it; at several as the mean of these."""
    rates, weights, n = np.array([[2.0, 9.0], [4.0, 7.0], [7.0, 3.0]]), [0.5, 0.2, 0.3], 50_000
    model = PoissonMixture.from_parameters(weights=weights, rates=rates, is_exposed=True)
    alone = {}
    for own in (0.5, 4.0):
        at_one = PoissonMixture.from_parameters(weights=weights, rates=rates * own)
        wanted = alone[own] = MixtureMap.from_estimator(at_one, n_samples=n)
        found = MixtureMap.from_estimator(model, n_samples=n, random_state=1, exposure=own)
        for name in ("overlap", "confusion"):
            error = np.hypot(getattr(found, f"{name}_error"), getattr(wanted, f"{name}_error"))
            agree(getattr(found, name), error, getattr(wanted, name))
        agree(found.distance, found.distance_error, wanted.distance)
        assert found.entropy == pytest.approx(
            wanted.entropy, abs=5 * np.hypot(found.entropy_error, wanted.entropy_error)
        )
    exposure = np.tile([0.5, 4.0], 30)
    X = model.sample(60, random_state=0, exposure=exposure)[0]
    found = MixtureMap.from_estimator(model, X, n_samples=n, random_state=2, exposure=exposure)
    mean = (alone[0.5].overlap + alone[4.0].overlap) / 2
    error_of_mean = np.hypot(alone[0.5].overlap_error, alone[4.0].overlap_error) / 2
    agree(found.overlap, np.hypot(found.overlap_error, error_of_mean), mean)
    assert np.abs(alone[0.5].overlap - alone[4.0].overlap).max() > 0.1
    with pytest.warns(UserWarning, match="fitted with exposures"):
        MixtureMap.from_estimator(model)
    with pytest.raises(ValueError, match="exposure should be finite and above zero, in row 1 it is -1"):
        MixtureMap.from_estimator(model, exposure=[1, -1])


def test_row_data_that_would_be_ignored_is_an_error():
    rng = np.random.default_rng(0)
    X = rng.poisson(4.0, (60, 2))
    gaussian, counts = (estimator.fit(X) for estimator in (GaussianMixture(2), PoissonMixture(2, random_state=0)))
    regressions = MixtureOfExperts(2, random_state=0).fit(X, rng.normal(size=60))
    for rows in (None, X):
        with pytest.raises(TypeError, match=r"from_estimator\(\) got .*'exposure': what rows of a GaussianMixture may"):
            MixtureMap.from_estimator(gaussian, rows, exposure=2.0)
        with pytest.raises(TypeError, match=r"'exposur'.* Did you mean 'exposure'\?"):
            MixtureMap.from_estimator(counts, rows, exposur=2.0)
    with pytest.raises(TypeError, match=r"'foo': what rows of a MixtureOfExperts may have"):
        MixtureMap.from_estimator(regressions, X, foo=2.0)
    for name in ("groups", "known_labels"):
        with pytest.raises(TypeError, match=f"{name} was given without X, the rows that it is of"):
            MixtureMap.from_estimator(counts, **{name: np.arange(60) // 30})
    with pytest.raises(TypeError, match="exposure was given without X, the rows that it is of"):
        match(counts, counts, exposure=2.0)
    MixtureMap.from_estimator(counts, groups=None, exposure=2.0)


@pytest.mark.parametrize("kind", ["nodes", "rows"])
def test_rows_with_missing_entries_lie_where_they_are_filled_in(kind):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2)) + 3 * (np.arange(200) % 2)[:, np.newaxis]
    holes = np.where(rng.random(X.shape) < 0.1, np.nan, X)
    model = GaussianMixture(3, random_state=0).fit(holes)
    found, filled = (
        MixtureMap.from_estimator(model, own, layout="discriminant") for own in (holes, model.impute(holes))
    )
    np.testing.assert_allclose(found.row_positions, filled.row_positions)
    found.plot(kind=kind).figure.canvas.draw()
