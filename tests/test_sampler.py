"""The sampler of partitions: draws of parameters, exact posteriors, the same bits for any number of threads."""

import itertools
import json
import signal
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from scipy import stats
from scipy.signal import lfilter

from mixfast import random_partitions as partitions
from mixfast._em import EM
from mixfast._reference.bayesian import partitions as reference
from mixfast._reference.bayesian.gaussian import NormalInverseWishart
from mixfast.engine._information import joint_entropies
from mixfast.engine._rows import Rows
from mixfast.families.linear_posteriors import (
    BernoulliPosterior,
    CategoricalPosterior,
    ExponentialPosterior,
    MultinomialPosterior,
    PoissonPosterior,
)
from mixfast.families.posteriors import POSTERIORS, FullPosterior
from mixfast.families.product import Product
from mixfast.random_partitions import DirichletProcess, FiniteMixtures, PitmanYorProcess
from mixfast.sampler import Draws, PartitionSampler, acceptance_of

DATA = Path(__file__).parent / "data"
EXACT = {case["name"]: case for case in json.loads((DATA / "golden_exact.json").read_text())}
GALAXIES = {case["name"]: case for case in json.loads((DATA / "golden_galaxies.json").read_text())}

# ---- draws of parameters --------------------------------------------------------------------------------------------

SCALE = {"full": np.diag([1.0, 2.0, 0.5]) + 0.1, "diag": np.array([1.0, 2.0, 0.5]), "spherical": np.array(1.5)}


def posterior_of(X, family, labels, n_components):
    em = EM(family.bind(n_components, X.shape[1], X.dtype), Rows(X))
    em.set_state(np.ones(n_components), family.located(np.zeros((n_components, X.shape[1]))))
    em.start_from_labels(labels)
    return em.state()[1]


def drawn_gaussians(doors, kind, n_draws):
    """Parameters of the posteriors of two components, of 12 rows and of none, and draws of them."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(12, 3)) @ rng.normal(size=(3, 3))
    family = POSTERIORS[kind](0.5, 5.0, np.array([1.0, 0.0, -1.0]), SCALE[kind])
    packed = posterior_of(X, family, np.zeros(12, dtype=np.int64), 2)
    params = family.params_layout(2, 3).view(packed)
    capsule = family.bind(2, 3, X.dtype)
    shapes = [params.means.shape, params.covariances.shape, params.precisions_cholesky.shape]
    sizes = np.cumsum([np.prod(shape) for shape in shapes])[:-1]
    draws = [np.split(doors.draw_from_posterior(capsule, packed, 7, sweep), sizes) for sweep in range(n_draws)]
    return params, [
        np.array(part).reshape(-1, *shape) for part, shape in zip(zip(*draws, strict=True), shapes, strict=True)
    ]


def near(draws, expected):
    """Means over draws, to five standard errors."""
    error = draws.std(axis=0) / np.sqrt(len(draws))
    np.testing.assert_array_less(np.abs(draws.mean(axis=0) - expected), 5 * error + 1e-12)


def test_full_gaussians_are_drawn_from_the_normal_wishart(doors):
    params, (means, covariances, factors) = drawn_gaussians(doors, "full", 4000)
    precisions = factors @ factors.transpose(0, 1, 3, 2)
    np.testing.assert_allclose(precisions @ covariances, np.broadcast_to(np.eye(3), precisions.shape), atol=1e-6)
    assert np.all(np.tril(factors, -1) == 0)
    near(precisions, np.linalg.inv(params.covariances))
    near(means, params.means)
    for k in range(2):
        nu, kappa = params.degrees_of_freedom[k], params.mean_precision[k]
        # the log-determinant, and one number of a Wishart matrix: v'Pv / v'E(P)v ~ chi^2(nu) / nu
        v = np.array([1.0, -2.0, 0.5])
        ratio = (v @ precisions[:, k] @ v) / (v @ np.linalg.inv(params.covariances[k]) @ v)
        assert stats.kstest(nu * ratio, stats.chi2(nu).cdf).pvalue > 1e-3
        determinants = np.linalg.slogdet(precisions[:, k])[1] + np.linalg.slogdet(nu * params.covariances[k])[1]
        logs = [np.log(stats.chi2(nu - j).rvs(4000, random_state=j)) for j in range(3)]
        assert stats.ks_2samp(determinants, np.sum(logs, axis=0)).pvalue > 1e-3
        # given the precision the mean is normal
        away = np.einsum("nij,ni->nj", factors[:, k], means[:, k] - params.means[k]) * np.sqrt(kappa)
        assert stats.kstest(away.ravel(), "norm").pvalue > 1e-3


@pytest.mark.parametrize("kind", ["diag", "spherical"])
def test_gaussians_of_simple_covariances_are_drawn_from_normal_gammas(doors, kind):
    params, (means, covariances, roots) = drawn_gaussians(doors, kind, 4000)
    np.testing.assert_allclose(covariances * roots**2, 1)
    near(means, params.means)
    columns = 3 if kind == "spherical" else 1
    for k in range(2):
        nu, kappa = params.degrees_of_freedom[k], params.mean_precision[k]
        ratio = roots[:, k] ** 2 * params.covariances[k]
        shape = 0.5 * nu * columns
        assert stats.kstest(ratio.ravel(), stats.gamma(shape, scale=1 / shape).cdf).pvalue > 1e-3
        root = roots[:, k] if kind == "diag" else roots[:, k, np.newaxis]
        away = (means[:, k] - params.means[k]) * root * np.sqrt(kappa)
        assert stats.kstest(away.ravel(), "norm").pvalue > 1e-3


def test_parameters_of_tied_covariances_cannot_be_drawn(doors):
    family = POSTERIORS["tied"](1.0, 4.0)
    with pytest.raises(ValueError, match="cannot be drawn"):
        doors.draw_from_posterior(family.bind(2, 3, np.float64), np.ones(family.params_layout(2, 3).size), 0, 0)


# ---- exact posteriors -----------------------------------------------------------------------------------------------

PROCESSES = {
    "dp": lambda case: DirichletProcess(case["alpha"]),
    "py": lambda case: PitmanYorProcess(case["alpha"], case["discount"]),
    "mfm": lambda case: FiniteMixtures(case["gamma"]),
}
FAMILIES = {
    "gaussian-full": lambda case: FullPosterior(
        case["kappa0"], case["nu0"], np.array(case["m0"]), np.array(case["Psi0"])
    ),
    "bernoulli": lambda case: BernoulliPosterior(case["a"], case["b"]),
    "poisson": lambda case: PoissonPosterior(case["shape"], case["rate"]),
}


def sampler_of(case, X=None, **options):
    X = np.array(case["X"], dtype=np.float64) if X is None else X
    component = case["component"]
    return PartitionSampler(
        X,
        FAMILIES[component["family"]](component),
        PROCESSES[case["process"]["kind"]](case["process"]),
        **options,
    )


def agree(draws, expected, n_batches=40):
    """Means of draws (n_draws, ..), to five standard errors from batches. What is rare is in few batches, which then
    know little of its error: that is at least the one that it has were one draw in ten independent."""
    draws = draws[: len(draws) // n_batches * n_batches].astype(float)
    batches = draws.reshape(n_batches, -1, *draws.shape[1:]).mean(axis=1)
    error = batches.std(axis=0, ddof=1) / np.sqrt(n_batches)
    expected = np.minimum(expected, 1.0)  # some are 1 and a rounding
    variance = expected * (1 - expected)
    floor = np.sqrt(variance * np.where(variance < 0.01, 10, 1) / len(draws))
    away = np.abs(draws.mean(axis=0) - expected)
    assert np.all(away <= 5 * np.maximum(error, floor) + 1e-12), (draws.mean(axis=0), expected)


@pytest.mark.parametrize("begins_with", ["one cluster", "a cluster for each row"])
@pytest.mark.parametrize("name", list(EXACT))
def test_draws_have_the_exact_posterior(name, begins_with):
    case = EXACT[name]
    n = len(case["X"])
    labels, seed = (None, 1) if begins_with == "one cluster" else (np.arange(n), 2)  # with one seed chains meet
    sampler = sampler_of(case, labels=labels, seed=seed, n_threads=1)
    sampler.sweep(100)
    draws = sampler.draw(16_000, keep_labels=True)
    agree(draws.n_clusters[:, np.newaxis] == np.arange(1, n + 1), np.array(case["p_k"]))
    labels = draws.labels
    agree(labels[:, :, np.newaxis] == labels[:, np.newaxis], np.array(case["coclustering"]))
    np.testing.assert_array_equal(
        partitions.coclustering(labels, [0, 2]), partitions.coclustering(labels)[::2, ::2][:2, :2]
    )


@pytest.mark.parametrize("moves", [{"move_singles": False}, {"n_proposals": 0}, {"move_singles": False, "n_scans": 1}])
@pytest.mark.parametrize("name", list(EXACT))
def test_each_kind_of_moves_alone_has_the_exact_posterior(name, moves):
    case = EXACT[name]
    sampler = sampler_of(case, seed=11, n_threads=1, **moves)
    draws = sampler.draw(16_000)
    agree(draws.n_clusters[:, np.newaxis] == np.arange(1, len(case["X"]) + 1), np.array(case["p_k"]))


@pytest.mark.parametrize("name", list(EXACT))
def test_the_log_joint_is_that_of_the_partition(name):
    case = EXACT[name]
    sampler = sampler_of(case, labels=np.array(case["map_partition"]), n_threads=1)
    expected = case["log_marginal_likelihood"] + np.log(case["map_probability"])
    assert sampler.log_joint == pytest.approx(expected, abs=1e-9)
    sampler.sweep(50)
    again = sampler_of(case, labels=sampler.labels, n_threads=1)
    assert sampler.log_joint == pytest.approx(again.log_joint, abs=1e-9)
    np.testing.assert_array_equal(np.sort(sampler.sizes), np.sort(np.bincount(sampler.labels)))


def test_rows_of_integer_weight_are_rows_that_move_together():
    case = EXACT["six-1d-dp"]
    X, weight = np.array(case["X"]), np.array([2.0, 1.0, 3.0, 1.0, 1.0, 1.0])
    repeated = np.repeat(X, weight.astype(int), axis=0)
    component = case["component"]
    prior = NormalInverseWishart(*(component[name] for name in ("m0", "kappa0", "nu0", "Psi0")))
    exact = reference.enumerate_partitions(repeated, prior, reference.DirichletProcess(1.0))
    first = np.concatenate([[0], np.cumsum(weight.astype(int))])[:-1]
    together = np.all(exact.labels == np.repeat(exact.labels[:, first], weight.astype(int), axis=1), axis=1)
    shares = exact.probabilities[together] / exact.probabilities[together].sum()
    n_clusters = exact.labels[together].max(axis=1) + 1
    sampler = sampler_of(case, sample_weight=weight, seed=3, n_threads=1)
    draws = sampler.draw(8000)
    agree(draws.n_clusters[:, np.newaxis] == np.arange(1, 7), np.bincount(n_clusters, shares, minlength=7)[1:])
    assert sampler.sizes.sum() == 9


@pytest.mark.parametrize("wrong", [0.5, 0.0, -1.0, np.nan, np.inf])
def test_weights_that_are_no_integers_are_refused(wrong):
    with pytest.raises(ValueError, match=f"sample_weight has {wrong}"):
        sampler_of(EXACT["six-1d-dp"], sample_weight=np.array([1, 1, wrong, 1, 1, 1]))


@pytest.mark.parametrize("labels", [np.zeros(5), np.zeros((2, 3)), 0])
def test_labels_are_one_for_each_row(labels):
    with pytest.raises(ValueError, match="labels should have one number for each of 6 rows"):
        sampler_of(EXACT["six-1d-dp"], labels=labels)
    with pytest.raises(ValueError, match="labels should have one number for each of 6 rows"):
        sampler_of(EXACT["six-1d-dp"]).labels = labels


def test_galaxies_with_an_unknown_concentration():
    case = GALAXIES["galaxies-dp-alpha-hyperprior"]
    X = np.loadtxt(DATA / "galaxies.csv", delimiter=",", skiprows=1, ndmin=2)[:, -1:]
    X = X / 1000 if X.max() > 1000 else X
    X = (X - X.mean()) / X.std(ddof=1)
    component = case["component"]
    sampler = PartitionSampler(
        X, FAMILIES["gaussian-full"](component), DirichletProcess((2.0, 4.0)), seed=1, n_threads=1
    )
    sampler.sweep(200)
    draws = sampler.draw(12_000)
    found = draws.n_clusters
    for k in range(2, 8):
        expected, error = case["split_merge"]["p_clusters"][str(k)]
        batches = (found == k).reshape(40, -1).mean(axis=1)
        assert abs(batches.mean() - expected) < 5 * np.hypot(error, batches.std(ddof=1) / np.sqrt(40))
    batches = draws.concentration.reshape(40, -1).mean(axis=1)
    # the standard error of the expected mean is not known, and smaller: it is of 25 times as many draws
    assert abs(batches.mean() - case["split_merge"]["mean_alpha"]) < 6 * batches.std(ddof=1) / np.sqrt(40)


@pytest.mark.parametrize("process", [DirichletProcess(1.5), PitmanYorProcess(0.5, 0.3), FiniteMixtures(0.7)])
def test_rows_that_are_drawn_again_leave_the_prior(process):
    """Geweke, "Getting it right", Journal of the American Statistical Association 99 (2004): where rows are drawn from
    the labels and labels from the rows, labels are those of the prior."""
    rng = np.random.default_rng(0)
    n, kappa0, nu0, scale0 = 8, 0.5, 4.0, 2.0
    X = rng.normal(size=(n, 1))
    sampler = PartitionSampler(
        X, FullPosterior(kappa0, nu0, np.zeros(1), np.array([[scale0]])), process, seed=9, n_threads=1
    )
    found = np.empty(6000)
    for i in range(len(found)):
        labels = sampler.labels
        precisions = rng.gamma(nu0 / 2, 2 / scale0, size=n)
        means = rng.normal(size=n) / np.sqrt(kappa0 * precisions)
        X[:, 0] = means[labels] + rng.normal(size=n) / np.sqrt(precisions[labels])
        sampler.labels = labels  # the rows are other ones
        sampler.sweep()
        found[i] = sampler.n_clusters
    sizes = [np.bincount(labels) for labels in reference.all_partitions(n)]
    shares = np.exp([process.log_probability(own) for own in sizes])
    assert shares.sum() == pytest.approx(1)
    expected = np.bincount([len(own) for own in sizes], shares, minlength=n + 1)[1:]
    agree(found[:, np.newaxis] == np.arange(1, n + 1), expected)


# ---- what must not matter -------------------------------------------------------------------------------------------


def groups(n, d, n_groups, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_groups, d))[rng.integers(n_groups, size=n)] * 6 + rng.normal(size=(n, d))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_change_no_bit(dtype):
    X = groups(5000, 24, 5).astype(dtype)
    family = POSTERIORS["full"](0.01, 26.0, share=0.5)
    results = []
    for n_threads in (1, 7):
        sampler = PartitionSampler(X, family, DirichletProcess((1.0, 1.0)), seed=2, n_threads=n_threads)
        sampler.sweep(8)
        results.append((sampler.labels, sampler.log_joint, sampler.concentration))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    assert results[0][1:] == results[1][1:]
    assert len(np.unique(results[0][0])) > 1


@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_odd_rows(kind):
    rng = np.random.default_rng(0)
    odd = {
        "one row": rng.normal(size=(1, 2)),
        "duplicates": np.repeat(rng.normal(size=(3, 2)), 5, axis=0),
        "a constant column": np.column_stack([rng.normal(size=12), np.ones(12)]),
        "more columns than rows": rng.normal(size=(4, 9)),
        "far from the origin": rng.normal(size=(12, 2)) + 1e6,
    }
    for what, X in odd.items():
        d = X.shape[1]
        scale = {"full": np.eye(d), "diag": np.ones(d), "spherical": np.array(1.0)}[kind]
        of_rows, given = POSTERIORS[kind](0.01, d + 2.0), POSTERIORS[kind](0.01, d + 2.0, X.mean(axis=0), scale)
        for family, labels in itertools.product((of_rows, given), (None, np.arange(len(X)))):
            sampler = PartitionSampler(X, family, labels=labels, seed=1, n_threads=1)
            draws = sampler.draw(60)
            assert np.all(np.isfinite(draws.log_joint)), what
            # what is known of the partition is still that of a chain that begins there; the determinant of a covariance
            # of fewer rows than columns is rounding
            again = PartitionSampler(X, family, labels=sampler.labels, n_threads=1)
            rel = 1e-9 if family is given or d < len(X) else 1e-3
            assert sampler.log_joint == pytest.approx(again.log_joint, rel=rel), what


def test_float32_rows_find_the_groups():
    X = groups(400, 2, 4, seed=3)
    labels = []
    for dtype in (np.float32, np.float64):
        sampler = PartitionSampler(X.astype(dtype), POSTERIORS["full"](0.01, 4.0, share=0.1), seed=5, n_threads=1)
        sampler.sweep(150)
        labels.append(partitions.point_partition(sampler.draw(50, keep_labels=True).labels, n_threads=1))
    np.testing.assert_array_equal(*labels)


def test_sparse_rows_have_the_posterior_of_dense_ones():
    case = EXACT["seven-poisson-dp"]
    X = scipy.sparse.csr_matrix(np.array(case["X"]))
    sampler = sampler_of(case, X, seed=4, n_threads=1)
    draws = sampler.draw(8000)
    agree(draws.n_clusters[:, np.newaxis] == np.arange(1, 8), np.array(case["p_k"]))


def test_acceptance_is_that_of_all_proposals():
    sampler = PartitionSampler(groups(100, 2, 3), POSTERIORS["full"](0.01, 4.0), n_proposals=3, n_threads=1)
    assert np.isnan(list(sampler.acceptance.values())).all()
    sampler.sweep(40)
    tallies = sampler.tallies
    assert sum(proposed for proposed, _ in tallies.values()) == 120
    other = {"split": (10, 10), "merge": (0, 0)}
    together = acceptance_of([tallies, other])
    proposed, accepted = tallies["split"]
    assert together == {"split": (accepted + 10) / (proposed + 10), "merge": sampler.acceptance["merge"]}


def test_tied_covariances_cannot_be_sampled():
    with pytest.raises(ValueError, match="independent"):
        PartitionSampler(groups(10, 2, 2), POSTERIORS["tied"](0.01, 4.0))


def test_an_interrupt_keeps_what_was_drawn():
    sampler = PartitionSampler(groups(300, 2, 3), POSTERIORS["full"](0.01, 4.0), n_threads=1)
    draws = Draws(keeps_labels=True)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            sampler.draw(10**9, draws=draws)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(draws) > 0
    assert draws.labels.shape[1] == 300
    sampler.sweep(3)
    assert np.isfinite(sampler.log_joint)


# ---- priors of partitions, and what is said of draws ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("process", "twin"),
    [
        (DirichletProcess(0.7), reference.DirichletProcess(0.7)),
        (PitmanYorProcess(0.5, 0.3), reference.PitmanYor(0.5, 0.3)),
        (FiniteMixtures(1.3), reference.MixtureOfFiniteMixtures(1.3, reference.geometric_log_prior())),
        (
            FiniteMixtures(1.0, np.ones(5)),
            reference.MixtureOfFiniteMixtures(1.0, reference.uniform_log_prior(5)),
        ),
    ],
)
def test_priors_equal_the_twins(process, twin):
    for n in (1, 7, 500):
        k = np.arange(1, min(n, 40) + 1)
        np.testing.assert_allclose(process.log_v(n, k), [twin.log_v(n, value) for value in k], rtol=1e-11, atol=1e-9)
    sizes = [3, 1, 2]
    assert process.log_probability(sizes) == pytest.approx(twin.log_probability(sizes))


def far(most):
    """Probabilities of 1 and of so many components, and of none between."""
    return np.r_[0.5, np.zeros(most - 2), 0.5]


@pytest.mark.parametrize("probabilities", [np.ones(5000), far(5000), 0.99 ** np.arange(5000)])
@pytest.mark.parametrize(("n", "gamma"), [(3, 1.0), (40, 0.3), (500, 2.0), (5000, 1.0)])
def test_what_is_left_out_of_sums_over_numbers_of_components_is_nothing(probabilities, n, gamma):
    process = FiniteMixtures(gamma, probabilities)
    with np.errstate(divide="ignore"):
        twin = reference.MixtureOfFiniteMixtures(gamma, np.log(process.probabilities))
    n_clusters = np.array([1, 2, min(n, 300)])
    # sums of logarithms of thousands of numbers
    np.testing.assert_allclose(process.log_v(n, n_clusters), [twin.log_v(n, k) for k in n_clusters], rtol=1e-10)


def test_sums_over_numbers_of_components_end_where_terms_are_nothing():
    """However many components the prior allows: each number has a price."""
    n = 1_000_000
    assert len(FiniteMixtures(1.0, np.ones(n))._log_terms(n, 20)) == 280
    assert len(FiniteMixtures(1.0, np.ones(300))._log_terms(1, 1)) == 300


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: DirichletProcess(0.0), "concentration=0.0"),
        (lambda: DirichletProcess((1.0, -1.0)), "the rate of concentration=-1.0"),
        (lambda: PitmanYorProcess(1.0, 1.0), "discount=1.0"),
        (lambda: PitmanYorProcess((1.0, 1.0)), "Dirichlet processes only"),
        (lambda: DirichletProcess(True), "concentration=True should be"),
        (lambda: DirichletProcess("x"), "concentration='x' should be"),
        (lambda: DirichletProcess([1.0, 2.0, 3.0]), r"concentration=\[1.0, 2.0, 3.0\] should be"),
        (lambda: DirichletProcess([1.0, "x"]), "the rate of concentration='x'"),
        (lambda: PitmanYorProcess("x"), "concentration='x' should be"),
        (lambda: FiniteMixtures([1.0, 1.0]), "Dirichlet processes only"),
        (lambda: FiniteMixtures(-1.0), "concentration=-1.0"),
        (lambda: FiniteMixtures(1.0, [0.0]), "probabilities"),
    ],
)
def test_what_is_no_prior_is_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()


@pytest.mark.parametrize("pair", [(2, 4), [2, 4], np.array([2.0, 4.0])])
def test_a_prior_of_the_concentration_is_any_pair(pair):
    assert DirichletProcess(pair).concentration_prior == (2.0, 4.0)


@pytest.mark.parametrize("make", [DirichletProcess, lambda alpha: PitmanYorProcess(alpha, 0.0)])
def test_large_concentrations_do_not_cancel(make):
    # Gamma(alpha) / Gamma(alpha + 3) alpha^3 = 1 / ((1 + 1 / alpha) (1 + 2 / alpha))
    expected = -np.log1p(1e-12) - np.log1p(2e-12)
    assert make(1e12).log_v(3, np.array([3]))[0] == pytest.approx(expected, abs=2e-14)


def test_labels_of_more_clusters_than_the_prior_allows_are_refused():
    X, family, process = groups(10, 2, 2), POSTERIORS["full"](0.01, 4.0), FiniteMixtures(1.0, [0.5, 0.5, 0.0])
    with pytest.raises(ValueError, match="5 clusters, the prior allows 2"):
        PartitionSampler(X, family, process, labels=np.arange(10) % 5)
    sampler = PartitionSampler(X, family, process, labels=np.arange(10) % 2, n_threads=1)
    with pytest.raises(ValueError, match="5 clusters, the prior allows 2"):
        sampler.labels = np.arange(10) % 5
    draws = sampler.draw(20, keep_labels=True)
    assert np.all(np.isfinite(draws.log_joint))
    assert draws.n_clusters.max() <= 2
    assert draws.labels.dtype == np.uint8


def test_the_point_partition_is_the_twins():
    draws = np.random.default_rng(0).integers(4, size=(30, 12)) // 2
    draws = np.concatenate([draws, draws[:7]])
    expected = reference.expected_vi(draws)
    np.testing.assert_allclose(partitions.expected_variation_of_information(draws, n_threads=2), expected, atol=1e-12)
    best = partitions.canonical(draws)[reference.point_partition(draws)]
    chosen = reference.approach_draws(best, draws)
    np.testing.assert_array_equal(partitions.point_partition(draws), partitions.canonical(chosen))
    assert reference.variation_of_information(draws, chosen).mean() < expected.min() - 1e-3  # no draw is as near
    weight = np.random.default_rng(1).integers(1, 4, size=12)
    np.testing.assert_allclose(
        partitions.expected_variation_of_information(draws, weight),
        reference.expected_vi(np.repeat(draws, weight, axis=1)),
        atol=1e-12,
    )
    chosen = partitions.point_partition(draws, weight)  # rows of some weight move together
    repeated, rows = np.repeat(draws, weight, axis=1), np.repeat(np.arange(12), weight)
    least = reference.variation_of_information(repeated, chosen[rows]).mean()
    assert least <= reference.expected_vi(repeated).min()
    for row in range(12):
        for k in np.unique(np.delete(chosen, row)):
            moved = np.where(np.arange(12) == row, k, chosen)
            assert reference.variation_of_information(repeated, moved[rows]).mean() >= least - 1e-8


def test_a_row_between_clusters_is_put_where_it_is_most_often():
    rng = np.random.default_rng(2)
    often = np.concatenate([np.full(40, 0.98), np.full(10, 0.7)])
    draws = np.stack([np.where(rng.random(100) < np.tile(often, 2), np.repeat([0, 1], 50), 2) for _ in range(60)])
    draws[:, 40:50] %= 2  # rows of the first cluster that are in the second now and then
    assert not any(np.array_equal(draw, np.repeat([0, 1], 50)) for draw in draws)
    np.testing.assert_array_equal(partitions.point_partition(draws), np.repeat([0, 1], 50))


def test_the_number_of_proposals_can_be_changed():
    sampler = PartitionSampler(groups(200, 2, 4), POSTERIORS["full"](0.01, 4.0), n_threads=1)
    sampler.sweep(2)
    before = sum(n_proposed for n_proposed, _ in sampler.tallies.values())
    sampler.n_proposals = 6
    sampler.sweep(2)
    assert (before, sum(n_proposed for n_proposed, _ in sampler.tallies.values())) == (4, 16)
    sampler.burn_in(3)
    assert sampler.n_proposals == 6
    assert sum(n_proposed for n_proposed, _ in sampler.tallies.values()) == 34
    with pytest.raises(ValueError, match="n_proposals=65 should be"):
        sampler.n_proposals = 65


def test_the_burn_in_of_many_columns_does_not_end_in_clusters_of_one_row():
    d = 24
    X = np.concatenate(
        [np.random.default_rng(k).normal(size=(150, d)) @ np.diag(0.1 + np.arange(d) % (k + 2)) for k in range(6)]
    )
    prior = POSTERIORS["full"](1.0, d + 1.0, m0=np.zeros(d), scale0=np.eye(d))
    told = []
    sampler = PartitionSampler(X, prior, seed=0, n_threads=1)
    sampler.burn_in(20, lambda log_joint, n_clusters: told.append(n_clusters))
    assert len(told) == 20
    assert max(told[:10]) < 15


def test_the_effective_sample_size_of_an_autoregression():
    rng = np.random.default_rng(0)
    for rho in (0.0, 0.5, 0.9):
        trace = np.empty(40_000)
        trace[0] = 0
        for i, noise in enumerate(rng.normal(size=len(trace) - 1)):
            trace[i + 1] = rho * trace[i] + noise
        assert partitions.effective_sample_size(trace) == pytest.approx(40_000 * (1 - rho) / (1 + rho), rel=0.15)
    for constant in (np.ones(10), np.full(7, 0.1), [], np.ones((3, 8))):
        assert np.isnan(partitions.effective_sample_size(constant))


def autoregressions(n_chains, n_draws, rho, seed):
    return lfilter([1], [1, -rho], np.random.default_rng(seed).normal(size=(n_chains, n_draws + 500)))[:, 500:]


def test_chains_that_agree_are_worth_the_sum_and_others_little():
    traces = autoregressions(4, 20_000, 0.5, seed=0)
    assert partitions.effective_sample_size(traces) == pytest.approx(4 * 20_000 / 3, rel=0.1)
    apart = traces + 20 * np.arange(4)[:, np.newaxis]
    assert partitions.effective_sample_size(apart) < 10
    still = np.repeat([[1.0], [2.0]], 50, axis=1)  # each constant: two draws, about
    assert partitions.effective_sample_size(still) == pytest.approx(100 / 99)


@pytest.mark.parametrize(
    ("n_chains", "n_draws", "rho", "digits", "known"),
    [(4, 200, 0.5, 3, 1.0306754576535), (2, 301, 0.9, 0, 1.1155306257334594), (3, 60, 0.0, 1, 1.0137770895688305)],
)
def test_r_hat_is_that_of_arviz(n_chains, n_draws, rho, digits, known):
    """`arviz.rhat(traces, method="rank")` of version 0.22."""
    traces = autoregressions(n_chains, n_draws, rho, seed=1) + 0.2 * np.arange(n_chains)[:, np.newaxis]
    assert partitions.r_hat(traces.round(digits)) == pytest.approx(known, abs=1e-9)


def test_r_hat_of_what_does_not_move_and_of_few_draws():
    assert partitions.r_hat(np.ones((3, 10))) == 1
    rounding = -1e5 + 1e-10 * np.repeat([[1.0], [2.0]], 10, axis=1)
    assert partitions.r_hat(rounding) == 1
    assert np.isnan(partitions.effective_sample_size(rounding))
    assert partitions.r_hat(np.repeat([[1.0], [2.0]], 10, axis=1)) == np.inf
    assert np.isnan(partitions.r_hat(np.zeros((2, 3))))


def test_r_hat_sees_chains_that_are_wider_than_others():
    traces = np.random.default_rng(0).normal(size=(4, 1000)) * np.array([[1], [1], [1], [3]])
    assert partitions.r_hat(traces) > 1.05


def test_what_partitions_say_of_each_other_can_be_interrupted():
    draws = np.random.default_rng(0).integers(20, size=(4000, 3000), dtype=np.int32)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            joint_entropies(draws, np.full(3000, 1 / 3000), 1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_rounds_of_entropies_change_nothing():
    """More work than one round has: the first partitions are those of a small call."""
    draws = np.random.default_rng(0).integers(5, size=(700, 900), dtype=np.int32)
    share = np.full(900, 1 / 900)
    whole = joint_entropies(draws, share, 2)
    np.testing.assert_array_equal(whole[:20, :20], joint_entropies(draws[:20], share, 1))
    np.testing.assert_array_equal(whole[-20:, -20:], joint_entropies(draws[-20:], share, 1))
    np.testing.assert_array_equal(whole, whole.T)


def test_shares_of_numbers_of_clusters():
    assert partitions.n_clusters_posterior([2, 3, 2, 2]) == {2: 0.75, 3: 0.25}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_clear_clusters_of_many_columns_are_found_from_one(seed):
    """Launches from coins alone put both halves at one mean: five clusters of 20 columns stayed at K=2 to 4."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(5, size=1000)
    X = rng.normal(size=(5, 20))[labels] * 8 + rng.normal(size=(1000, 20))
    family, process = FullPosterior(0.01, 22.0, np.zeros(20), np.eye(20)), DirichletProcess(1.0)
    sampler = PartitionSampler(X, family, process, seed=seed)
    sampler.sweep(150)
    truth = PartitionSampler(X, family, process, seed=seed, labels=labels)
    assert sampler.log_joint > truth.log_joint - 30


REALS = np.random.default_rng(0).normal(size=(60, 3))
COUNTS = np.random.default_rng(1).poisson(3.0, size=(60, 4)).astype(np.float64)
ONES = (np.random.default_rng(2).random((60, 5)) < 0.4).astype(np.float64)


@pytest.mark.parametrize(
    ("X", "family"),
    [
        (REALS, POSTERIORS["full"](0.1, 5.0)),
        (REALS.astype(np.float32), POSTERIORS["full"](0.1, 5.0)),
        (REALS, POSTERIORS["diag"](0.1, 3.0)),
        (REALS, POSTERIORS["spherical"](0.1, 3.0)),
        (ONES, BernoulliPosterior()),
        (scipy.sparse.csr_matrix(ONES), BernoulliPosterior()),
        (COUNTS % 3, CategoricalPosterior([3] * 4, 1.0)),
        (COUNTS, MultinomialPosterior(1.0)),
        (scipy.sparse.csr_matrix(COUNTS), MultinomialPosterior(1.0)),
        (COUNTS, PoissonPosterior(1.0, 1.0)),
        (np.abs(REALS), ExponentialPosterior(1.0, 1.0)),
        (np.hstack([REALS, COUNTS]), Product([FullPosterior(0.1, 5.0), PoissonPosterior(1.0, 1.0)], [3, 4])),
    ],
)
def test_rows_of_weight_one_are_rows_without_weights(X, family):
    """The evidence of a row in a cluster of its own is found in two ways: with weights from a posterior, else from the
    predictive density of a component that has no rows. It says how often rows begin clusters."""
    plain = PartitionSampler(X, family, seed=3)
    weighted = PartitionSampler(X, family, seed=3, sample_weight=np.ones(60))
    for _ in range(50):
        plain.sweep()
        weighted.sweep()
        assert np.array_equal(plain.labels, weighted.labels)
        assert plain.log_joint == weighted.log_joint
