"""The NumPy twin of mixtures of experts (`_reference/experts/`): values of other programs, laws of its parts, and what
of it compiled code is compared with here."""

import numpy as np
import pytest
from golden_experts import CASES, problem
from scipy.special import xlogy
from scipy.stats import binom, gamma, multinomial, nbinom, norm, poisson, t

from mixfast._em import EM
from mixfast._reference.experts import em, experts, recentre
from mixfast._reference.experts import gate as gates
from mixfast._reference.experts.inference import flatten, gradient, information
from mixfast.engine._rows import Rows
from mixfast.families.experts import (
    BinomialExpert,
    ExpertParams,
    Experts,
    GammaExpert,
    GaussianExpert,
    MultinomialExpert,
    NegativeBinomialExpert,
    PoissonExpert,
    StudentTExpert,
)
from mixfast.proportions._gate import Gate
from mixfast.row_data import rows_with

EXPERTS = {
    "gaussian": experts.Gaussian,
    "student": lambda: experts.StudentT(4.0),
    "poisson": experts.Poisson,
    "binomial": experts.Binomial,
    "gamma": experts.Gamma,
}


def with_ones(X):
    return np.column_stack([np.ones(len(X)), X])


def model_of(name):
    """Parts, responsibilities to start from, rows and the options of `em.fit`."""
    given = problem(name)
    parts = [
        em.make_part(
            EXPERTS[response.expert](),
            response.y,
            with_ones(response.X),
            response.shared,
            response.offset,
            common=response.common,
            inflation=len(response.y) / (len(response.y) - response.X.shape[1] - 1) if response.is_inflated else 1.0,
        )
        for response in given.responses
    ]
    rows = em.make_rows(len(given.responses[0].y), given.gate, given.groups, given.sample_weight)
    return parts, np.eye(CASES[name]["K"])[given.labels], rows, {"gate_penalty": given.gate_penalty}


LIMITS = {}


def limit_of(name):
    """Converged, once for all tests of a process."""
    if name not in LIMITS:
        parts, resp, rows, options = model_of(name)
        LIMITS[name] = em.fit(parts, resp, rows, 1000, complete=False, tol=1e-15, **options)
    return LIMITS[name]


def test_the_table_is_all_there():
    assert len(CASES) == 30


@pytest.mark.parametrize("name", CASES)
def test_trajectory_with_complete_m_steps(name):
    parts, resp, rows, options = model_of(name)
    found = em.fit(parts, resp, rows, 20, **options).log_likelihoods
    is_closed = not {"gate", "groups"} & set(CASES[name]) and CASES[name]["expert"].startswith(("gaussian", "student"))
    for iteration, value in CASES[name]["loglik_after"].items():
        assert found[int(iteration) - 1] == pytest.approx(value, rel=1e-11 if is_closed else 1e-9)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "loglik_after_one_newton_step" in case])
def test_trajectory_with_one_newton_step(name):
    parts, resp, rows, options = model_of(name)
    found = em.fit(parts, resp, rows, 20, complete=False, **options).log_likelihoods
    for iteration, value in CASES[name]["loglik_after_one_newton_step"].items():
        assert found[int(iteration) - 1] == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_limit(name):
    case, found = CASES[name], limit_of(name)
    parts, _, rows, _ = model_of(name)
    assert found.log_likelihoods[-1] == pytest.approx(case["loglik"], rel=1e-11)
    if "n/(n-p)" not in case["expert"]:  # those variances are not the maximum
        falls = -np.diff(found.log_likelihoods)
        assert falls.max() <= 1e-12 * abs(case["loglik"])
    for place, c in enumerate(found.coefficients):
        suffix = f"_{place}" if len(parts) > 1 else ""
        np.testing.assert_allclose(c.own[:, :, 0], case[f"coef{suffix}"], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(c.fixed[:, 0], case.get("fixed", []), rtol=1e-5)
        wanted = case.get(f"sigma{suffix}", case.get("shape"))
        if wanted is not None and parts[place].expert.has_dispersion:
            np.testing.assert_allclose(c.dispersion, wanted, rtol=1e-5)
    shares = np.exp(gates.log_shares(rows.Z, found.theta))
    mean = rows.weights @ shares / rows.weights.sum()
    np.testing.assert_allclose(mean, case.get("weights", case.get("mean_gate")), rtol=1e-5)
    if "gate_coef" in case:
        np.testing.assert_allclose(found.theta, case["gate_coef"], rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_criteria(name):
    case, found = CASES[name], limit_of(name)
    parts, _, rows, _ = model_of(name)
    total = len(parts[0].y) if "sample_weight" not in case else rows.weights.sum()
    bic = -2 * found.log_likelihoods[-1] + case["df"] * np.log(total)
    assert bic == pytest.approx(case["bic_lower_is_better"], rel=1e-9)
    resp = em.responsibilities(em.joint(parts, found.coefficients, found.theta, rows))
    soft = bic + 2 * experts.entropy(resp, rows.weights)
    assert soft == pytest.approx(case["icl_soft"], rel=1e-6)
    assert bic - 2 * rows.weights @ np.log(resp.max(axis=1)) == pytest.approx(case["icl_map"], rel=1e-6)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "standard_errors" in case])
def test_standard_errors(name):
    case, found = CASES[name], limit_of(name)
    parts, _, rows, _ = model_of(name)
    errors = np.sqrt(np.diag(np.linalg.inv(information(parts, found.coefficients, found.theta, rows))))
    wanted = case["standard_errors"]
    logs = [wanted["log_sigma"]] if "log_sigma" in wanted else []
    expected = np.concatenate([np.ravel(wanted["gate"]), np.ravel(wanted["coef"]), *logs])
    np.testing.assert_allclose(errors, expected, rtol=1e-4)


@pytest.mark.parametrize("name", ["npreg-gate", "sim-gamma", "betablocker-common-3", "npreg-joint", "tone-student"])
def test_the_limit_is_stationary(name):
    """Up to the criterion of the loop: the log-likelihood, which is flat there, stands still."""
    parts, resp, rows, options = model_of(name)
    found = em.fit(parts, resp, rows, 2000, complete=False, **options)
    flat = flatten(parts, found.coefficients, found.theta)
    slopes = gradient(parts, found.coefficients, found.theta, rows, flat)
    scale = np.sqrt(np.diag(information(parts, found.coefficients, found.theta, rows)))
    np.testing.assert_allclose(slopes / scale, 0, atol=1e-6)


# ---- experts, one by one --------------------------------------------------------------------------------------------

RNG = np.random.default_rng(8)
ETA = RNG.normal(size=(30, 1)) / 2
SHARES = np.exp(np.column_stack([np.zeros(30), ETA, -ETA])) / np.exp(np.column_stack([np.zeros(30), ETA, -ETA])).sum(
    axis=1, keepdims=True
)
COUNTS = RNG.poisson(3, size=30).astype(float)
TABLE = RNG.poisson(3, size=(30, 3)).astype(float)
PAIRS = TABLE[:, :2] + [1, 0]
POSITIVE = RNG.gamma(2, size=30)
LOG_DENSITIES = {
    "gaussian": (experts.Gaussian(), POSITIVE, ETA, 0.7, lambda: norm.logpdf(POSITIVE, ETA[:, 0], 0.7)),
    "student_t": (experts.StudentT(3.0), POSITIVE, ETA, 0.7, lambda: t.logpdf(POSITIVE, 3, ETA[:, 0], 0.7)),
    "poisson": (experts.Poisson(), COUNTS, ETA, 1.0, lambda: poisson.logpmf(COUNTS, np.exp(ETA[:, 0]))),
    "binomial": (
        experts.Binomial(),
        PAIRS,
        ETA,
        1.0,
        lambda: binom.logpmf(PAIRS[:, 0], PAIRS.sum(axis=1), 1 / (1 + np.exp(-ETA[:, 0]))),
    ),
    "gamma": (experts.Gamma(), POSITIVE, ETA, 1.7, lambda: gamma.logpdf(POSITIVE, 1.7, scale=np.exp(ETA[:, 0]) / 1.7)),
    "negative_binomial": (
        experts.NegativeBinomial(),
        COUNTS,
        ETA,
        1.7,
        lambda: nbinom.logpmf(COUNTS, 1.7, 1.7 / (1.7 + np.exp(ETA[:, 0]))),
    ),
    "multinomial": (
        experts.Multinomial(),
        TABLE,
        np.column_stack([ETA, -ETA]),
        1.0,
        lambda: multinomial.logpmf(TABLE, TABLE.sum(axis=1), SHARES),
    ),
}


@pytest.mark.parametrize("name", LOG_DENSITIES)
def test_log_densities_are_scipys(name):
    expert, y, eta, dispersion, wanted = LOG_DENSITIES[name]
    np.testing.assert_allclose(np.real(expert.log_density(y, eta, dispersion)), wanted(), rtol=1e-11)


@pytest.mark.parametrize("name", LOG_DENSITIES)
def test_scores_and_informations_are_derivatives(name):
    expert, y, eta, dispersion, _ = LOG_DENSITIES[name]
    score, spread = expert.derivatives(y, eta, dispersion)
    for place in range(eta.shape[1]):
        step = np.zeros(eta.shape[1])
        step[place] = 1e-30
        slope = np.imag(expert.log_density(y, eta + 1j * step, dispersion)) / 1e-30
        np.testing.assert_allclose(score[:, place], slope, rtol=1e-11, atol=1e-12)
        if name != "student_t":  # the weights of its M-step
            step[place] = 1e-5
            above, below = (expert.derivatives(y, eta + sign * step, dispersion)[0] for sign in (1, -1))
            np.testing.assert_allclose(spread[:, place], (below - above) / 2e-5, rtol=1e-7, atol=1e-8)
    assert np.linalg.eigvalsh(spread).min() > 0


@pytest.mark.parametrize("name", [name for name, (expert, *_) in LOG_DENSITIES.items() if expert.has_dispersion])
def test_dispersions_are_stationary(name):
    expert, y, eta, dispersion, _ = LOG_DENSITIES[name]
    resp = RNG.random(len(y))
    more = lambda: [expert.mass(y, eta, dispersion)] if name == "student_t" else []  # noqa: E731
    for _ in range(500):  # Student-t's is a step
        dispersion = expert.dispersion(y, eta, resp, dispersion, *more())
    slope = np.imag(np.sum(resp * expert.log_density(y, eta, dispersion * np.exp(1e-30j)))) / 1e-30
    assert slope == pytest.approx(0, abs=1e-8)


# ---- Newton steps, gates and groups ---------------------------------------------------------------------------------


@pytest.mark.parametrize("expert", ["negative_binomial", "multinomial"])
def test_em_of_experts_without_golden_values(expert):
    """Monotone, and its limit is stationary."""
    rng = np.random.default_rng(3)
    x, label = rng.normal(size=300), rng.integers(2, size=300)
    if expert == "multinomial":
        eta = np.where(label[:, np.newaxis], [1.0, -1.0], [-0.5, 0.5]) + np.outer(x, [0.5, -0.5])
        share = np.exp(np.column_stack([np.zeros(300), eta]))
        y = rng.multinomial(8, share / share.sum(axis=1, keepdims=True)).astype(float)
        part = em.make_part(experts.Multinomial(), y, with_ones(x[:, np.newaxis]))
    else:
        mean = np.exp(np.where(label, 3 + 0.5 * x, -0.5 * x))
        y = rng.negative_binomial(1.5, 1.5 / (1.5 + mean)).astype(float)
        part = em.make_part(experts.NegativeBinomial(), y, with_ones(x[:, np.newaxis]))
    rows = em.make_rows(300)
    found = em.fit([part], np.eye(2)[label], rows, 1000, complete=False)
    assert np.diff(found.log_likelihoods).min() >= -1e-12 * abs(found.log_likelihoods[-1])
    slopes = gradient([part], found.coefficients, found.theta, rows, flatten([part], found.coefficients, found.theta))
    np.testing.assert_allclose(slopes, 0, atol=1e-4)


def test_a_group_of_one_row_is_a_row():
    parts, resp, rows, _ = model_of("sim-gaussian-gate")
    single = em.make_rows(len(resp), rows.Z[:, 1:], groups=np.arange(len(resp))[::-1])
    for other in (rows, single):
        assert em.fit(parts, resp, other, 3).log_likelihoods == em.fit(parts, resp, rows, 3).log_likelihoods


def test_a_weight_counts_rows():
    parts, resp, rows, _ = model_of("sim-gaussian-weights")
    times = rows.weights.astype(int)
    twice = [
        part._replace(
            **{name: np.repeat(getattr(part, name), times, axis=0) for name in ("y", "X", "shared", "offset")}
        )
        for part in parts
    ]
    weighted = em.fit(parts, resp, rows, 5).log_likelihoods
    repeated = em.fit(twice, np.repeat(resp, times, axis=0), em.make_rows(times.sum()), 5).log_likelihoods
    np.testing.assert_allclose(weighted, repeated, rtol=1e-12)


def test_a_gate_is_as_likely_in_any_order_of_the_components():
    rng = np.random.default_rng(2)
    Z, resp = with_ones(rng.normal(size=(60, 2))), rng.dirichlet([1, 1, 1], size=60)
    weights, zero = rng.random(60), np.zeros((3, 3))
    found = gates.complete(Z, zero, resp, weights, 0.3)
    turned = gates.complete(Z, zero, resp[:, [2, 0, 1]], weights, 0.3)
    np.testing.assert_allclose(gates.log_shares(Z, found)[:, [2, 0, 1]], gates.log_shares(Z, turned), atol=1e-10)
    entropy = -np.sum(weights[:, np.newaxis] * xlogy(resp, resp))
    assert gates.objective(Z, found, resp, weights, 0.3) < -entropy + 1e-9


# ---- sums at other parameters ---------------------------------------------------------------------------------------

KNOWN = 3.0  # a frame of which nothing is to be found
OF_KINDS = [
    GaussianExpert(),
    StudentTExpert(None),
    PoissonExpert(),
    BinomialExpert(),
    GammaExpert(),
    NegativeBinomialExpert(),
    MultinomialExpert(4),
]


def response_of(expert, rng, n_rows):
    if expert.name in ("gaussian", "student_t"):
        return rng.normal(size=(n_rows, 1))
    if expert.name == "gamma":
        return rng.gamma(2.0, size=(n_rows, 1))
    return rng.poisson(3.0, size=(n_rows, expert.width)).astype(float)


def random_state(rng, family, p, pivot):
    """(parameters, parameters of a gate of three components and two columns)"""
    E, R = family.n_predictors, len(family.responses)
    frame = np.concatenate([pivot[:p], [KNOWN], np.zeros(R), pivot[p:]])
    params = ExpertParams(
        rng.normal(size=(3, E, p)), rng.normal(size=(3, E)), 1 + rng.random((3, R)), 2 + 5 * rng.random((3, R)), frame
    )
    theta = np.vstack([np.zeros(3), rng.normal(size=(2, 3))])
    return params, np.concatenate([theta[:, 0], theta[:, 1:].ravel(), [0.2, 0.3, 0.5]])


@pytest.mark.parametrize("responses", [*([own] for own in OF_KINDS), OF_KINDS], ids=lambda own: own[-1].name)
@pytest.mark.parametrize("is_moved", [False, True], ids=["the same pivot", "another pivot"])
def test_compiled_sums_are_moved_as_those_of_the_twin(responses, is_moved):
    """Of gates too, whose sums stay about one pivot."""
    rng, p, n_rows = np.random.default_rng(3), 2, 50
    family = Experts(responses, n_beside=0 if is_moved else 2)
    data = {"y": np.hstack([response_of(own, rng, n_rows) for own in responses])}
    data |= {} if is_moved else {"gate": rng.normal(size=(n_rows, 2))}
    encoded = family.encode(rows_with(rng.normal(size=(n_rows, p)), data))
    n_columns = encoded.rows.shape[1]
    pivot = rng.normal(size=p + family.n_beside)
    last, last_mixing = random_state(rng, family, p, pivot)
    now, mixing = random_state(rng, family, p, pivot + (rng.normal(size=p) if is_moved else 0))
    weights = ([0.2, 0.3, 0.5],) * 2 if is_moved else (last_mixing, mixing)
    layout = encoded.family.params_layout(3, p)
    engine = EM(
        encoded.family.bind(3, n_columns, np.float64),
        Rows(encoded.rows),
        proportions=None if is_moved else Gate(p, 2, 0.1),
    )
    engine.set_state(np.asarray(weights[0]), layout.pack(last))
    gathered = engine.gather()
    found = engine.recentre(gathered.counts, gathered.stats, np.asarray(weights[1]), layout.pack(now))
    stats = encoded.family.stats_layout(3, p)
    before, after = (stats.view(record[: stats.size]) for record in (gathered.stats, found))

    wanted = [np.empty_like(own) for own in before[:3]]
    for k in range(3):
        predictors = blocks = 0
        for place, own in enumerate(responses):
            m = own.n_predictors
            e, b = slice(predictors, predictors + m), slice(blocks, blocks + m * (m + 1) // 2)
            predictors, blocks = e.stop, b.stop
            at = [
                recentre.At(
                    params.coefficients[k, e],
                    params.intercepts[k, e],
                    params.dispersions[k, place],
                    params.degrees[k, place],
                    params.frame[:p],
                )
                for params in (last, now)
            ]
            wanted[0][k, e], wanted[1][k, b], wanted[2][k, place] = recentre.expert(
                own.name,
                gathered.counts[k],
                before.gradients[k, e],
                before.information[k, b],
                before.sums[k, place],
                *at,
            )
    columns = before.columns.copy()
    columns[:p] += gathered.counts.sum() * (last.frame[:p] - now.frame[:p])
    for name, own in zip(before._fields, (*wanted, columns), strict=True):
        scale = np.abs(own).max()
        np.testing.assert_allclose(getattr(after, name), own, rtol=1e-12, atol=1e-12 * scale, err_msg=name)
        assert name in ("information", "columns", "sums") or np.abs(own - getattr(before, name)).max() > 0.1 * scale
    if is_moved:
        return
    old, new = (record[stats.size :] for record in (gathered.stats, found))
    theta = [np.column_stack([own[:3], own[3:9].reshape(3, 2)]) for own in (last_mixing, mixing)]
    step = theta[1] - theta[0]
    step[:, 0] += step[:, 1:] @ pivot[p:]
    moved = recentre.gate(old[:9].reshape(3, 3), old[9:].reshape(3, 6), step)
    np.testing.assert_allclose(new[:9].reshape(3, 3), moved, rtol=1e-12, atol=1e-12 * np.abs(moved).max())
    np.testing.assert_array_equal(new[9:], old[9:])


def test_sums_of_a_bounded_gate_are_moved_as_those_of_the_twin():
    rng, n_rows, q = np.random.default_rng(4), 40, 31
    family = Experts([GaussianExpert()], n_beside=q)
    data = {"y": rng.normal(size=(n_rows, 1)), "gate": rng.normal(size=(n_rows, q))}
    encoded = family.encode(rows_with(rng.normal(size=(n_rows, 1)), data))
    n_columns = encoded.rows.shape[1]
    frame = np.concatenate([np.zeros(1), [KNOWN, 0.0], np.zeros(q)])
    params = ExpertParams(rng.normal(size=(3, 1, 1)), rng.normal(size=(3, 1)), np.ones((3, 1)), np.ones((3, 1)), frame)
    theta = [np.vstack([np.zeros(1 + q), rng.normal(size=(2, 1 + q))]) for _ in range(2)]
    mixing = [np.concatenate([own[:, 0], own[:, 1:].ravel(), np.full(3, 1 / 3)]) for own in theta]
    packed = encoded.family.params_layout(3, 1).pack(params)
    engine = EM(encoded.family.bind(3, n_columns, np.float64), Rows(encoded.rows), proportions=Gate(1, q, 0.1))
    engine.set_state(mixing[0], packed)
    gathered = engine.gather()
    found = engine.recentre(gathered.counts, gathered.stats, mixing[1], packed)
    first = encoded.family.stats_layout(3, 1).size
    size = 3 * (1 + q)
    old, new = (record[first:] for record in (gathered.stats, found))
    wanted = recentre.gate(old[:size].reshape(3, -1), old[size:].reshape(1, -1), theta[1] - theta[0])
    np.testing.assert_allclose(new[:size].reshape(3, -1), wanted, rtol=1e-12, atol=1e-12 * np.abs(wanted).max())
