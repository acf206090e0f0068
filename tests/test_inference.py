"""Standard errors of mixtures of experts, as functions of arrays: Louis' identity against values of other programs and
against derivatives of the log-likelihood, sandwiches against their textbook forms."""

import mpmath
import numpy as np
import pytest
from golden_experts import CASES
from scipy.special import ndtr
from test_experts_reference import LOG_DENSITIES, limit_of, model_of

from mixfast import MixtureOfExperts
from mixfast._reference.experts import em
from mixfast._reference.experts.inference import flatten, unflatten
from mixfast._reference.experts.inference import information as information_by_differences
from mixfast.families.conditional import DISTRIBUTIONS
from mixfast.inference import Gate, Response, infer, inverse, observed_information, places_of, sandwich

TWINS = {
    "Gaussian": "gaussian",
    "StudentT": "student_t",
    "Poisson": "poisson",
    "Binomial": "binomial",
    "Gamma": "gamma",
    "NegativeBinomial": "negative_binomial",
    "Multinomial": "multinomial",
}


def fitted(parts, found, rows, ridge=0.0):
    """The arguments of `observed_information` from a twin's fit."""
    responses = []
    for part, c in zip(parts, found.coefficients, strict=True):
        distribution = DISTRIBUTIONS[TWINS[type(part.expert).__name__]]
        dispersions = c.dispersion[:, np.newaxis][:, : len(distribution.dispersions)]
        if distribution is DISTRIBUTIONS["student_t"]:
            dispersions = np.column_stack([c.dispersion, np.full(len(c.dispersion), part.expert.degrees)])
        responses.append(
            Response(
                distribution,
                part.y,
                part.X,
                part.shared,
                np.asarray(part.offset, dtype=float),
                c.own,
                c.fixed,
                dispersions,
                (part.common,) * part.expert.has_dispersion,
            )
        )
    resp = em.responsibilities(em.joint(parts, found.coefficients, found.theta, rows))
    is_single = len(rows.numbers) == len(resp)
    return responses, Gate(rows.Z, found.theta, ridge), resp, rows.weights, None if is_single else rows.numbers


def in_order_of_the_twin(places, responses):
    """Of the twin's flat parameters, where each is in ours."""
    order = [places.gate.ravel()]
    for place, response in enumerate(responses):
        dispersions = places.dispersions[place][:1] if any(response.common) else places.dispersions[place]
        order += [places.own[place].ravel(), places.fixed[place].ravel(), dispersions.ravel()]
    return np.concatenate(order)


@pytest.mark.parametrize("name", LOG_DENSITIES)
def test_scores_and_curvatures_are_derivatives_of_the_twin(name):
    expert, y, eta, dispersion, _ = LOG_DENSITIES[name]
    distribution = DISTRIBUTIONS[name]
    given = {"student_t": [dispersion, 3.0]}.get(name, [dispersion] * len(distribution.dispersions))
    n_free, m = int(expert.has_dispersion), eta.shape[1]
    step = 1e-30j

    def slopes(eta, dispersion):
        found = [
            np.imag(expert.log_density(y, eta + step * np.eye(m)[place], dispersion)) / 1e-30 for place in range(m)
        ]
        if n_free:
            found.append(np.imag(expert.log_density(y, eta, dispersion * np.exp(step))) / 1e-30)
        return np.column_stack(found)

    score = distribution.score(y, eta, given)
    np.testing.assert_allclose(score[:, : m + n_free], slopes(eta, dispersion), rtol=1e-9, atol=1e-12)
    curvature = distribution.curvature(y, eta, given)
    for place in range(m + n_free):
        moves = [
            (eta + h * np.eye(m)[place], dispersion) if place < m else (eta, dispersion * np.exp(h))
            for h in (1e-5, -1e-5)
        ]
        above, below = (slopes(*move) for move in moves)
        np.testing.assert_allclose(curvature[:, place, : m + n_free], (below - above) / 2e-5, rtol=1e-6, atol=1e-7)


def test_the_score_of_degrees_of_freedom_is_a_derivative():
    from scipy.stats import t

    y, eta = np.linspace(-3, 5, 9), np.ones((9, 1))
    score = DISTRIBUTIONS["student_t"].score(y, eta, [0.7, 3.0])[:, 2]
    above, below = (t.logpdf(y, 3 * np.exp(h), 1, 0.7) for h in (1e-5, -1e-5))
    np.testing.assert_allclose(score, (above - below) / 2e-5, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("theta", [1e-3, 0.7, 9.9, 10.0, 1e4, 1e8])
def test_scores_and_curvatures_of_negative_binomial_counts_keep_their_digits(theta):
    """Near Poisson's the score by log theta is 10^-16 of the terms that it is the sum of."""
    y, eta = np.array([0.0, 1.0, 2.0, 7.0, 30.0, 400.0]), np.log([[0.5], [3.0], [2.5], [9.0], [20.0], [5.0]])
    distribution, scores, curvatures = DISTRIBUTIONS["negative_binomial"], [], []
    with mpmath.workdps(60):
        for count, mean in zip(y.tolist(), np.exp(eta[:, 0]).tolist(), strict=True):

            def log_density(log_theta, count=count, mean=mean):
                size = mpmath.exp(log_theta)
                return (
                    mpmath.loggamma(count + size)
                    - mpmath.loggamma(size)
                    - (count + size) * mpmath.log(size + mean)
                    + size * mpmath.log(size)
                )

            place = mpmath.log(mpmath.mpf(theta))
            scores.append(float(mpmath.diff(log_density, place)))
            curvatures.append(float(-mpmath.diff(log_density, place, 2)))
    np.testing.assert_allclose(distribution.score(y, eta, [theta])[:, 1], scores, rtol=1e-11)
    np.testing.assert_allclose(distribution.curvature(y, eta, [theta])[:, 1, 1], curvatures, rtol=1e-10)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "standard_errors" in case])
def test_standard_errors_of_other_programs(name):
    parts, _, rows, _ = model_of(name)
    given = fitted(parts, limit_of(name), rows)
    information, _ = observed_information(*given)
    covariance, is_singular = inverse(information)
    assert not is_singular
    places, errors, wanted = places_of(*given[:2]), np.sqrt(np.diag(covariance)), CASES[name]["standard_errors"]
    np.testing.assert_allclose(errors[places.gate], wanted["gate"], rtol=1e-4)
    np.testing.assert_allclose(errors[places.own[0]][:, :, 0], wanted["coef"], rtol=1e-4)
    if "log_sigma" in wanted:
        own = places.dispersions[0][: len(wanted["log_sigma"]), 0]
        np.testing.assert_allclose(errors[own], wanted["log_sigma"], rtol=1e-4)


@pytest.mark.parametrize(
    "name",
    [
        "npreg-joint",
        "betablocker-common-3",
        "betablocker-free-2",
        "npreg-groups",
        "sim-gaussian-fixed",
        "sim-gamma",
        "sim-student",
        "sim-gaussian-weights",
        "sim-binomial-gate",
        "co2-common",
    ],
)
def test_louis_is_the_second_derivative(name):
    """With groups, several responses, coefficients and dispersions that components share."""
    parts, _, rows, _ = model_of(name)
    found = limit_of(name)
    given = fitted(parts, found, rows)
    information, scores = observed_information(*given)
    order = in_order_of_the_twin(places_of(*given[:2]), given[0])
    wanted = information_by_differences(parts, found.coefficients, found.theta, rows)
    scale = np.sqrt(np.outer(np.diag(wanted), np.diag(wanted)))
    np.testing.assert_allclose(information[np.ix_(order, order)] / scale, wanted / scale, atol=1e-6)
    flat = flatten(parts, found.coefficients, found.theta)
    for place in range(len(flat)):
        moved = flat.astype(complex)
        moved[place] += 1e-30j
        joint = em.joint(parts, *unflatten(parts, moved, found.coefficients, found.theta), rows)
        np.testing.assert_allclose(scores[:, order[place]], em.log_norms(joint).imag / 1e-30, rtol=1e-8, atol=1e-8)


def test_penalties_are_part_of_the_information():
    parts, _, rows, _ = model_of("sim-gaussian-gate")
    responses, gate, *rest = fitted(parts, limit_of("sim-gaussian-gate"), rows)
    bare, _ = observed_information(responses, gate, *rest)
    ridged, _ = observed_information([responses[0]._replace(alpha=3.0)], gate._replace(ridge=2.0), *rest)
    places = places_of(responses, gate)
    wanted = np.zeros(len(bare))
    wanted[places.own[0][:, 1:].ravel()] = 3
    wanted[places.gate[0, 1:]] = 2 / 2  # two components: half a square of their difference is half of it
    np.testing.assert_allclose(ridged - bare, np.diag(wanted), atol=1e-9)


# ---- one component: regressions, of which all is known -------------------------------------------------------------


def least_squares(weights=None):
    rng = np.random.default_rng(4)
    X = np.column_stack([np.ones(40), rng.normal(size=(40, 2))])
    y = X @ [1, 2, -1] + rng.normal(size=40) * np.exp(X[:, 1] / 2)
    weights = np.ones(40) if weights is None else weights
    beta = np.linalg.solve((X.T * weights) @ X, (X.T * weights) @ y)
    sigma = np.sqrt(weights @ (y - X @ beta) ** 2 / weights.sum())
    response = Response(
        DISTRIBUTIONS["gaussian"],
        y,
        X,
        np.empty((40, 0)),
        np.zeros(40),
        beta[np.newaxis, :, np.newaxis],
        np.empty((0, 1)),
        np.array([[sigma]]),
        (False,),
    )
    return response, Gate(np.ones((40, 1)), np.zeros((1, 1))), np.ones((40, 1)), weights


def test_least_squares():
    response, *rest = least_squares()
    information, scores = observed_information([response], *rest)
    X, sigma = response.design, response.dispersions[0, 0]
    np.testing.assert_allclose(inverse(information)[0][:3, :3], sigma**2 * np.linalg.inv(X.T @ X), rtol=1e-10)
    residual = response.y - X @ response.own[0, :, 0]
    bread = np.linalg.inv(X.T @ X)
    white = bread @ (X.T * residual**2) @ X @ bread
    np.testing.assert_allclose(sandwich(information, scores, rest[2])[0][:3, :3], white, rtol=1e-10)
    clusters = np.repeat(np.arange(8), 5)
    summed = np.add.reduceat(X * residual[:, np.newaxis], np.arange(0, 40, 5))
    by_clusters = bread @ summed.T @ summed @ bread * 8 / 7
    np.testing.assert_allclose(sandwich(information, scores, rest[2], clusters)[0][:3, :3], by_clusters, rtol=1e-10)


@pytest.mark.parametrize("clusters", [None, np.repeat(np.arange(8), 5)])
def test_a_weight_counts_rows(clusters):
    weights = np.random.default_rng(1).integers(1, 4, size=40)
    response, gate, resp, _ = least_squares(weights)
    information, scores = observed_information([response], gate, resp, weights)
    times = np.repeat(np.arange(40), weights)
    repeated = response._replace(
        **{name: getattr(response, name)[times] for name in ("y", "design", "shared", "offset")}
    )
    more, more_scores = observed_information(
        [repeated], gate._replace(Z=gate.Z[times]), resp[times], np.ones(len(times))
    )
    np.testing.assert_allclose(information, more, rtol=1e-10, atol=1e-10)
    found = sandwich(information, scores, weights, clusters)[0]
    of_all = sandwich(more, more_scores, np.ones(len(times)), None if clusters is None else clusters[times])[0]
    np.testing.assert_allclose(found, of_all, rtol=1e-9, atol=1e-12)


# ---- what cannot be known ------------------------------------------------------------------------------------------


def test_collinear_columns_are_nan_and_said():
    response, gate, resp, weights = least_squares()
    design = np.column_stack([response.design, response.design[:, 2] * 2])
    own = np.append(response.own[0, :, 0], 0.0)[np.newaxis, :, np.newaxis]
    terms = [(["(Intercept)", "a", "b", "c"], [], ["sigma"])]
    with pytest.warns(UserWarning, match=r"singular.*b of component 0, c of component 0 are NaN"):
        found = infer([response._replace(design=design, own=own)], gate, resp, weights, terms, [""])
    np.testing.assert_array_equal(np.isnan(found.standard_errors), [False, False, True, True, False])
    plain = infer([response], gate, resp, weights, [(["(Intercept)", "a", "b"], [], ["sigma"])], [""])
    np.testing.assert_allclose(found.standard_errors[:2], plain.standard_errors[:2], rtol=1e-8)
    with pytest.warns(UserWarning, match="singular"):
        robust = infer([response._replace(design=design, own=own)], gate, resp, weights, terms, [""], robust=True)
    np.testing.assert_array_equal(np.isnan(robust.standard_errors), [False, False, True, True, False])


def test_the_table():
    parts, _, rows, _ = model_of("tone-gate")
    responses, gate, resp, weights, numbers = fitted(parts, limit_of("tone-gate"), rows)
    terms = [(["(Intercept)", "stretchratio"], [], ["sigma"])]
    found = infer(responses, gate, resp, weights, terms, ["(Intercept)", "stretchratio"], numbers)
    table = found.to_frame(level=0.9)
    assert list(table.columns) == ["component", "term", "estimate", "standard_error", "z", "p", "lower", "upper"]
    assert list(table.term[:4]) == ["(Intercept)", "stretchratio", "log(sigma)", "(Intercept)"]
    assert list(table.component) == [0, 0, 0, 1, 1, 1, 1, 1]
    assert list(table.term[6:]) == ["gate: (Intercept)", "gate: stretchratio"]
    is_dispersion = table.term == "log(sigma)"  # no hypothesis says that a unit is such that it is 0
    np.testing.assert_allclose(table.z, (table.estimate / table.standard_error).where(~is_dispersion))
    np.testing.assert_array_equal(table.p.isna(), is_dispersion)
    np.testing.assert_array_equal(found.are_dispersions, is_dispersion)
    assert [len(line.split()) for line in repr(found).splitlines()[1:5]] == [6, 6, 4, 6]
    np.testing.assert_allclose(table.p, 2 * (1 - ndtr(np.abs(table.z))), atol=1e-12)
    np.testing.assert_allclose((table.upper - table.lower) / 2, 1.6448536269514722 * table.standard_error)
    assert "gate: stretchratio" in repr(found)
    with pytest.raises(ValueError, match="level=1 should be between 0 and 1"):
        found.confidence_limits(1)


def test_what_components_share_has_no_component():
    parts, _, rows, _ = model_of("sim-gaussian-fixed")
    responses, gate, resp, weights, numbers = fitted(parts, limit_of("sim-gaussian-fixed"), rows)
    terms = [(["(Intercept)", "x1"], ["x2"], ["sigma"])]
    table = infer(responses, gate, resp, weights, terms, ["(Intercept)"], numbers).to_frame()
    assert list(table.term) == ["(Intercept)", "x1"] * 2 + ["x2", "log(sigma)", "gate: (Intercept)"]
    assert list(table.component.isna()) == [False] * 4 + [True, True, False]


@pytest.mark.parametrize("options", [{"robust": False}, {"robust": True}, {"clusters": np.arange(300) // 5}])
@pytest.mark.parametrize("shift", [1e3, 1e6, 1e8])
def test_columns_far_from_zero_have_the_errors_of_near_ones(shift, options):
    """Slopes, dispersions and gates have those of columns about 0, intercepts those of b - shift a."""
    rng = np.random.default_rng(0)
    x = np.round(rng.normal(size=300), 4)  # sums with the shifts lose no digits
    z = np.round(rng.normal(size=(300, 1)), 4)
    y = np.where(rng.random(300) < 1 / (1 + np.exp(-z[:, 0])), 3 + 2 * x, -2 - x) + rng.normal(size=300)
    labels = (y > 1).astype(int)

    def made(by):
        fit = {"gate": "gate_X", "init_params": labels, "n_init": 1, "tol": 1e-13, "max_iter": 5000}
        X, gate_X = x[:, np.newaxis] + by, z + by
        return MixtureOfExperts(2, **fit).fit(X, y, gate_X=gate_X).inference(X, y, gate_X=gate_X, **options)

    near, far = made(0.0), made(shift)
    back = np.eye(len(near.terms))
    for place, term in enumerate(near.terms):
        if "(Intercept)" in term:
            back[place, place + 1] = -shift  # the slope is next
    assert far.terms == near.terms
    wanted = np.sqrt(np.diag(back @ near.covariance @ back.T))
    # what is left are the fits: intercepts about the origin are rounded to 1e-16 shift
    np.testing.assert_allclose(far.standard_errors, wanted, rtol=1e-4)


def test_exposures_that_are_left_out_are_said_once():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(100, 1)), rng.poisson(2.0, 100)
    model = MixtureOfExperts(1, expert="poisson").fit(X, y, exposure=np.ones(100))
    with pytest.warns(UserWarning, match="fitted with exposures") as said:
        model.inference(X, y)
    assert len(said) == 1


def test_parameters_at_no_maximum_are_said_to_be_such():
    """Two components that are nearly one: EM is slow there, and there is more likelihood elsewhere."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 1))
    y = np.where(np.arange(400) % 2, 3 * X[:, 0], -3 * X[:, 0]) + rng.normal(size=400)
    one = MixtureOfExperts(1).fit(X, y)
    twice = MixtureOfExperts.from_parameters(
        coef=one.coef_ + np.array([[1e-3], [-1e-3]]),
        intercept=np.repeat(one.intercept_, 2),
        sigma=np.repeat(one.sigma_, 2),
    )
    with pytest.warns(UserWarning, match=r"at no maximum.*are NaN. Go on from there by a fit with a smaller tol"):
        errors = twice.inference(X, y).standard_errors
    assert np.any(np.isnan(errors))
    # the remedy
    twice.set_params(warm_start=True, tol=1e-12, max_iter=10**5).fit(X, y)
    assert np.all(np.isfinite(twice.inference(X, y).standard_errors))
