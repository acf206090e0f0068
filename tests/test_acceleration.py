"""EM in fewer passes: what is extrapolated, that the objective never falls, that it pays, and when it keeps out."""

import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from test_python_family import Geometric, GeometricMixture, GeometricParams, counts_of_failures
from twins import (
    DTYPES,
    EVERY_FAMILY,
    FACTORS,
    FAMILIES,
    SHAPED,
    bernoulli_params,
    flat,
    make_em,
    random_weights,
    unit_vectors,
)

from mixfast import BernoulliMixture, GaussianMixture, Status
from mixfast._em import EM
from mixfast._reference import acceleration as reference
from mixfast.engine._acceleration import AcceleratedEM
from mixfast.engine._rows import Rows
from mixfast.families._centres import bind_centres
from mixfast.families.bernoulli import Bernoulli
from mixfast.families.gaussian import ShapedGaussian

DATA = Path(__file__).parent / "data"
STRUCTURES = ("full", "tied", "diag", "spherical")
GAUSSIANS = (*SHAPED, "full", "tied", "diagonal", "spherical")
HEAVY = tuple(name for name in FAMILIES if name.startswith("heavy"))
ELLIPTICAL = (*GAUSSIANS, *HEAVY)


def read(name):
    return np.loadtxt(DATA / f"{name}.csv", delimiter=",", skiprows=1, ndmin=2)


def overlapping(n_rows=2000, n_features=4, n_components=5, seed=0):
    """Rows around centres that are no further apart than the rows of one centre: EM is slow."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((n_components, n_features))
    return centres[rng.integers(n_components, size=n_rows)] + rng.standard_normal((n_rows, n_features))


def overlapping_tails(n_rows=2000, n_features=4, n_components=5, seed=0):
    """The same with outliers."""
    rng = np.random.default_rng(seed)
    centres = 2 * rng.standard_normal((n_components, n_features))
    tails = np.sqrt(4 / rng.chisquare(4, (n_rows, 1)))
    return centres[rng.integers(n_components, size=n_rows)] + tails * rng.standard_normal((n_rows, n_features))


def overlapping_binary(n_rows=3000):
    rng = np.random.default_rng(4)
    probabilities = rng.uniform(0.2, 0.8, (3, 8))[rng.integers(3, size=n_rows)]
    return (rng.uniform(size=(n_rows, 8)) < probabilities).astype(float)


def overlapping_counts(n_rows=3000):
    rng = np.random.default_rng(9)
    return rng.poisson(rng.uniform(2, 6, (3, 8))[rng.integers(3, size=n_rows)]).astype(float)


def overlapping_answers(n_rows=3000):
    """Codes of three categories, or 3 for a missing answer."""
    rng = np.random.default_rng(12)
    ladders = np.cumsum(rng.dirichlet(np.full(4, 4.0), (3, 8)), axis=2)[rng.integers(3, size=n_rows)]
    return np.sum(rng.uniform(size=(n_rows, 8, 1)) > ladders[:, :, :3], axis=2).astype(float)


def overlapping_directions(n_rows=3000):
    rng = np.random.default_rng(10)
    centres = unit_vectors(rng.standard_normal((3, 4)))
    return unit_vectors(centres[rng.integers(3, size=n_rows)] + rng.standard_normal((n_rows, 4)))


def overlapping_times(shape, n_features, n_rows=3000):
    rng = np.random.default_rng(11)
    return rng.gamma(shape, rng.uniform(0.5, 2, (3, n_features))[rng.integers(3, size=n_rows)])


OVERLAPPING = {
    "bernoulli": overlapping_binary,
    "categorical": overlapping_answers,
    "von_mises_fisher": overlapping_directions,
    "shared_von_mises_fisher": overlapping_directions,
    "gamma": partial(overlapping_times, 2.0, 3),
    "exponential": partial(overlapping_times, 1.5, 4),
    **dict.fromkeys(FACTORS, partial(overlapping, n_features=5, n_components=2)),
}


def overlapping_rows(name, n_rows=3000, *of_gaussians, seed=0):
    if name in ELLIPTICAL:
        return (overlapping if name in GAUSSIANS else overlapping_tails)(n_rows, *of_gaussians, seed=seed)
    return OVERLAPPING.get(name, overlapping_counts)(n_rows=n_rows)


def engines(twins, X, weights, params):
    encoded = twins.compiled.encode(X)
    capsule, rows = encoded.bind(len(weights), X.dtype), Rows(encoded.rows, None, encoded.base)
    packed = twins.compiled.params_layout(len(weights), X.shape[1]).pack(params)
    both = EM(capsule, rows), AcceleratedEM(capsule, rows)
    for em in both:
        em.set_state(weights, packed)
    return both


def fits(X, **options):
    """The plain fit and the accelerated one."""
    options = {"tol": 1e-9, "max_iter": 20_000, "random_state": 0, **options}
    return GaussianMixture(**options).fit(X), GaussianMixture(**options, accelerate="auto").fit(X)


# ---- the parts ------------------------------------------------------------------------------------------------------


#: Numbers beyond the parameters that are free, of four components: probabilities of a multinomial sum to one, and a
#: shared concentration is in the length of each vector; covariances of a shape are the nearest to any.
SUPERFLUOUS = {"multinomial": 4, "shared_von_mises_fisher": 3}
SUPERFLUOUS |= {name: 4 for name in FACTORS if name.startswith("2")}  # two columns of loadings may be rotated
for name in (*SHAPED, "heavy VEI", "heavy EVV", "heavy EEI"):
    any_shape = FAMILIES["diagonal" if name.endswith("I") else "full"].compiled
    SUPERFLUOUS[name] = any_shape.n_parameters(4, 3) - ShapedGaussian(name[-3:]).n_parameters(4, 3)


@pytest.mark.parametrize("name", FAMILIES)
def test_free_numbers_equal_the_twins_and_lead_back(doors, name):
    rng = np.random.default_rng(0)
    twins = FAMILIES[name]
    weights, params = random_weights(rng, 4), twins.make_params(rng, 4, 3)
    em = make_em(twins, twins.make_rows(rng, 10, 3), weights, params)
    point = doors.free_point(em)
    np.testing.assert_allclose(point, reference.to_point(weights, twins.reference, params), rtol=1e-13, atol=1e-14)
    assert len(point) == 4 + twins.compiled.n_parameters(4, 3) + SUPERFLUOUS.get(name, 0)
    em.set_state(np.full(4, 0.25), twins.compiled.blank(4, 3))
    assert doors.set_free_point(em, point)
    np.testing.assert_allclose(em.state()[0], weights, rtol=1e-14)
    np.testing.assert_allclose(em.state()[1], flat(params), rtol=1e-12, atol=1e-13)
    moved = point + 0.3 * rng.standard_normal(len(point))
    assert doors.set_free_point(em, moved)
    wanted_weights, wanted = reference.from_point(moved, 4, twins.reference, params)
    np.testing.assert_allclose(em.state()[0], wanted_weights, rtol=1e-13)
    np.testing.assert_allclose(em.state()[1], flat(wanted), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("longest", [1.5, 4.0, 1e6])
def test_the_extrapolation_equals_the_twins(doors, longest):
    rng = np.random.default_rng(1)
    step = rng.standard_normal(20)
    points = np.array([np.zeros(20), step, 1.8 * step + 0.01 * rng.standard_normal(20)])
    points[:, 3] = -np.inf  # at the edge for good
    points[2, 5] = np.inf  # just arrived there
    wanted, wanted_length = reference.extrapolate(points, longest)
    got, length = doors.extrapolate(points.copy(), longest)
    assert length == pytest.approx(wanted_length, rel=1e-13)
    assert 1 < length <= longest
    np.testing.assert_allclose(got, wanted, rtol=1e-12)
    assert got[3] == -np.inf
    assert got[5] == np.inf


def test_a_geometric_course_is_extrapolated_to_its_end(doors):
    end, start = np.array([1.0, -2.0]), np.array([3.0, 5.0])
    points = np.array([end + 0.9**i * (start - end) for i in range(3)])
    np.testing.assert_allclose(doors.extrapolate(points, np.inf)[0], end, atol=1e-12)


@pytest.mark.parametrize("third", [[1.0, 1.0], [0.9, 0.9], [2.0, 2.0], [np.nan, np.nan]])
def test_points_that_say_nothing_are_left_alone(doors, third):
    """Standing still, fast, without a bend, not numbers: the newest point is EM's own."""
    points = np.array([[0.0, 0.0], [1.0, 1.0], third])
    got, length = doors.extrapolate(points.copy(), 10.0)
    assert length == 1
    np.testing.assert_array_equal(got, third)


def test_certain_probabilities_and_empty_components_stay_as_they_are(doors):
    params = bernoulli_params(np.random.default_rng(2), 3, 2)
    params.probabilities[0] = 0, 1
    em = make_em(FAMILIES["bernoulli"], np.zeros((5, 2)), np.array([0.5, 0.5, 0.0]), params)
    point = doors.free_point(em)
    assert point[2] == -np.inf
    np.testing.assert_array_equal(point[3:5], [-np.inf, np.inf])
    point[6:8] = -900, 900  # finite, but beyond what a probability resolves
    assert doors.set_free_point(em, point)
    weights, probabilities = em.state()
    np.testing.assert_array_equal(weights, [0.5, 0.5, 0])
    np.testing.assert_array_equal(probabilities[:2], [0, 1])
    assert 0 < probabilities[3]
    assert (np.sort(probabilities[2:]) > 0).all()
    assert (np.sort(probabilities[2:]) < 1).all()


@pytest.mark.parametrize("name", ELLIPTICAL)
@pytest.mark.parametrize("wild", [800.0, -800.0])
def test_parameters_that_are_not_finite_are_refused(doors, name, wild):
    rng = np.random.default_rng(3)
    twins = FAMILIES[name]
    em = make_em(twins, twins.make_rows(rng, 10, 2), random_weights(rng, 2), twins.make_params(rng, 2, 2))
    point = doors.free_point(em)
    point[6] = wild  # the logarithm of a scale
    assert not doors.set_free_point(em, point)


def test_a_family_without_free_numbers_has_no_points(doors):
    em = EM(bind_centres(2, 2, 8, None), Rows(np.zeros((3, 2))))
    assert doors.free_point(em) is None
    with pytest.raises(ValueError, match="no point"):
        doors.set_free_point(em, np.zeros(6))


# ---- the loop -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
def test_the_loop_equals_the_twins_loop(name):
    rng = np.random.default_rng(5)
    twins = FAMILIES[name]
    X = overlapping_rows(name, 1500, 2, 2)
    params = twins.make_params(rng, 2, X.shape[1])
    if name in (*ELLIPTICAL, *FACTORS):
        params = params._replace(means=X[:2].copy())
    _, em = engines(twins, X, np.array([0.4, 0.6]), params)
    objectives, _ = em.iterate(60, 0)
    weights, wanted, expected, extrapolated = reference.fit(X, np.array([0.4, 0.6]), twins.reference, tuple(params), 60)
    assert sum(extrapolated) >= 2  # or nothing is compared
    assert len(objectives) == len(expected)
    np.testing.assert_allclose(objectives, expected, rtol=1e-9)
    np.testing.assert_allclose(em.state()[0], weights, rtol=1e-4)
    np.testing.assert_allclose(em.state()[1], flat(wanted), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", EVERY_FAMILY)
def test_the_objective_never_falls(name, seed):
    rng = np.random.default_rng(seed)
    twins = EVERY_FAMILY[name]
    X = overlapping(seed=seed) if name in ELLIPTICAL else twins.make_rows(rng, 2000, 6 if name == "categorical" else 4)
    X = overlapping_binary() if name == "bernoulli" else X
    weights, params = random_weights(rng, 3), twins.make_params(rng, 3, X.shape[1])
    plain, em = engines(twins, X, weights, params)
    objectives, _ = em.iterate(400, 0)
    assert em.n_passes == 400
    assert np.diff(objectives).min() >= -1e-9 * abs(objectives[-1])
    plain_objectives, _ = plain.iterate(400, 0)
    assert objectives[-1] >= plain_objectives[-1] - 1e-9 * abs(objectives[-1])
    assert objectives[:5] == plain_objectives[:5]


@pytest.mark.parametrize(
    ("name", "structure", "n_components", "em_passes", "fast_passes"),
    [("faithful", "tied", 3, 90, 52), ("overlapping", "tied", 5, 758, 161), ("overlapping", "full", 5, 909, 245),
     ("galaxies", "spherical", 4, 114, 43)],
)  # fmt: skip
def test_passes_are_spared(name, structure, n_components, em_passes, fast_passes):
    """Passes follow from the data alone, but for the last bits of other instruction sets: a fifth is left for these."""
    X = overlapping() if name == "overlapping" else read(name)
    em, fast = fits(X, covariance_type=structure, n_components=n_components)
    assert em.n_iter_ == pytest.approx(em_passes, rel=0.05)
    assert fast.n_iter_ <= 1.2 * fast_passes
    assert fast.score(X) >= em.score(X) - 1e-8


@pytest.mark.parametrize("name", ["faithful", "iris", "diabetes"])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_an_easy_fit_costs_no_more_passes(name, structure):
    X = read(name)
    em, fast = fits(X, covariance_type=structure, n_components=2, tol=1e-3)
    assert fast.lower_bounds_ == em.lower_bounds_
    np.testing.assert_array_equal(fast.means_, em.means_)
    em, fast = fits(X, covariance_type=structure, n_components=2, tol=1e-8)
    assert fast.n_iter_ <= em.n_iter_ + 3


@pytest.mark.parametrize("name", ["faithful", "iris", "diabetes", "acidity", "galaxies"])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_the_end_is_ems(name, structure):
    X = read(name)
    for n_components in (2, 3, 4):
        for tol in (1e-4, 1e-5, 1e-9):
            em, fast = fits(X, covariance_type=structure, n_components=n_components, tol=tol)
            assert fast.converged_
            assert fast.lower_bound_ >= em.lower_bound_ - tol


def test_converged_means_that_a_plain_step_moves_less_than_tol():
    for seed in range(10):
        X = overlapping(seed=seed)
        for tol in (1e-5, 1e-6, 1e-7):
            model = GaussianMixture(
                5, covariance_type="diag", tol=tol, max_iter=9999, random_state=0, accelerate="auto"
            )
            model.fit(X)
            assert model.lower_bounds_[-1] - model.lower_bounds_[-2] < tol
            after = clone(model).set_params(accelerate=None, max_iter=3, tol=0)
            after.set_params(weights_init=model.weights_, means_init=model.means_, precisions_init=model.precisions_)
            with pytest.warns(ConvergenceWarning):
                after.fit(X)
            assert after.lower_bounds_[0] - model.lower_bound_ < tol


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_same_bits_for_any_number_of_threads(dtype):
    X = overlapping(60_000, 4, 3).astype(dtype)
    models = [
        GaussianMixture(4, tol=1e-7, max_iter=500, random_state=0, n_threads=n_threads, accelerate="auto").fit(X)
        for n_threads in (1, 2, 5)
    ]
    assert models[0].n_iter_ < GaussianMixture(4, tol=1e-7, max_iter=500, random_state=0).fit(X).n_iter_
    for other in models[1:]:
        assert other.lower_bounds_ == models[0].lower_bounds_
        np.testing.assert_array_equal(other.covariances_, models[0].covariances_)


def test_float32_rows():
    X = overlapping()
    fast = [
        GaussianMixture(5, covariance_type="tied", tol=1e-6, max_iter=2000, random_state=0, accelerate="auto").fit(
            X.astype(dtype)
        )
        for dtype in DTYPES
    ]
    assert fast[1].means_.dtype == np.float32
    assert fast[1].lower_bound_ == pytest.approx(fast[0].lower_bound_, abs=1e-4)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_bernoulli(alpha):
    X = overlapping_binary()
    options = {"n_components": 3, "alpha": alpha, "tol": 1e-9, "max_iter": 20_000, "random_state": 0}
    em, fast = BernoulliMixture(**options).fit(X), BernoulliMixture(**options, accelerate="auto").fit(X)
    assert fast.n_iter_ < 0.6 * em.n_iter_
    assert fast.lower_bound_ >= em.lower_bound_ - 1e-9
    assert np.diff(fast.lower_bounds_).min() > -1e-12


def test_probabilities_on_their_way_to_the_edge():
    """Columns that a component never shows: log odds go to minus infinity, or arrive there."""
    rng = np.random.default_rng(6)
    labels = rng.integers(2, size=2000)
    X = (rng.uniform(size=(2000, 6)) < np.array([[0.4] * 6, [0.6] * 6])[labels]).astype(float)
    X[labels == 0, 0], X[:, 5] = 0, 1
    options = {"n_components": 2, "alpha": 0, "tol": 1e-10, "max_iter": 20_000, "random_state": 0}
    em, fast = BernoulliMixture(**options).fit(X), BernoulliMixture(**options, accelerate="auto").fit(X)
    assert np.isfinite(fast.lower_bounds_).all()
    assert fast.lower_bound_ >= em.lower_bound_ - 1e-8
    assert fast.n_iter_ < em.n_iter_
    np.testing.assert_allclose(fast.probabilities_[:, 5], 1, rtol=1e-12)


def test_where_em_itself_falls_the_fit_ends_all_the_same():
    """reg_covar is not in the objective: near its limit EM may lower it a little, and extrapolations raise it again."""
    for reg_covar in (0.05, 0.2):
        model = GaussianMixture(3, reg_covar=reg_covar, tol=1e-11, max_iter=3000, random_state=0, accelerate="auto")
        assert model.fit(read("faithful")).converged_


def test_an_emptied_component_stays_empty():
    X = overlapping(1000, 2, 2)
    params = FAMILIES["diagonal"].make_params(np.random.default_rng(7), 3, 2)
    params = params._replace(means=X[:3].copy())
    params.means[2] = 1e6
    plain, em = engines(FAMILIES["diagonal"], X, np.full(3, 1 / 3), params)
    objectives, converged = em.iterate(5000, 1e-10)
    plain_objectives, _ = plain.iterate(5000, 1e-10)
    assert converged
    assert em.status == Status.EMPTIED_COMPONENT
    assert em.state()[0][2] == 0
    assert np.isfinite(em.state()[1]).all()
    assert em.n_passes < plain.n_passes
    assert objectives[-1] >= plain_objectives[-1] - 1e-9


def test_a_repaired_covariance_is_not_extrapolated():
    X = np.concatenate([np.repeat([[0.0, 0.0]], 50, axis=0), overlapping(500, 2, 2) + 20])
    options = {"n_components": 3, "reg_covar": 0, "tol": 1e-9, "max_iter": 300, "random_state": 0}
    bounds = []
    for accelerate in (None, "auto"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = GaussianMixture(**options, accelerate=accelerate).fit(X)
        assert model.status_ & Status.REPAIRED_COVARIANCE
        bounds.append(model.lower_bounds_)
    assert bounds[0] == bounds[1]


# ---- the estimators -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", [GaussianMixture, BernoulliMixture])
@pytest.mark.parametrize("wrong", ["squarem", True, 1])
def test_a_wrong_value_is_named(estimator, wrong):
    with pytest.raises(ValueError, match=r"The 'accelerate' parameter of \w+ must be a str among {'auto'} or None"):
        estimator(accelerate=wrong).fit(overlapping_binary())


def test_max_iter_caps_the_passes():
    X = overlapping()
    whole = GaussianMixture(5, tol=1e-9, max_iter=9999, random_state=0, accelerate="auto").fit(X)
    for max_iter in (0, 1, 40, 41, 42, 43, 44, 150):
        model = GaussianMixture(5, tol=1e-9, max_iter=max_iter, random_state=0, accelerate="auto")
        if max_iter:
            with pytest.warns(ConvergenceWarning):
                model.fit(X)
        else:
            model.fit(X)
        assert model.n_iter_ == max_iter
        assert len(model.lower_bounds_) <= max_iter
        assert model.lower_bounds_ == whole.lower_bounds_[: len(model.lower_bounds_)]
        if max_iter:  # the parameters are those of an M-step from the last accepted point
            assert model.score(X) >= model.lower_bound_


def test_verbose_prints_every_pass_and_changes_nothing(capsys):
    X = overlapping()
    options = {"n_components": 5, "tol": 1e-8, "max_iter": 2000, "random_state": 0, "accelerate": "auto"}
    options["init_params"] = "kmeans"
    quiet = GaussianMixture(**options).fit(X)
    loud = GaussianMixture(**options, verbose=1, verbose_interval=1).fit(X)
    assert loud.lower_bounds_ == quiet.lower_bounds_
    np.testing.assert_array_equal(loud.means_, quiet.means_)
    assert len(quiet.lower_bounds_) < quiet.n_iter_  # some extrapolations were dropped
    assert capsys.readouterr().out.count("  Iteration ") == quiet.n_iter_


def test_warm_start_goes_on():
    X = overlapping()
    model = GaussianMixture(5, tol=1e-8, max_iter=60, random_state=0, warm_start=True, accelerate="auto")
    with pytest.warns(ConvergenceWarning):
        model.fit(X)
    bound = model.lower_bound_
    model.set_params(max_iter=5000).fit(X)
    assert model.converged_
    assert model.lower_bounds_[0] >= bound
    n_iter = model.fit(X).n_iter_
    assert n_iter == 1  # it was there already


def test_weights_of_rows_equal_repeating_them():
    X = overlapping(500, 2, 3)
    repeats = np.random.default_rng(8).integers(1, 4, len(X))
    start = np.random.default_rng(9).integers(3, size=len(X))
    options = {"n_components": 3, "covariance_type": "diag", "tol": 1e-7, "max_iter": 5000, "accelerate": "auto"}
    weighted = GaussianMixture(**options, init_params=start).fit(X, sample_weight=repeats)
    repeated = GaussianMixture(**options, init_params=np.repeat(start, repeats)).fit(np.repeat(X, repeats, axis=0))
    assert weighted.lower_bound_ == pytest.approx(repeated.lower_bound_, abs=1e-6)


# ---- families in Python ---------------------------------------------------------------------------------------------


class FreeGeometric(Geometric):
    """The geometric family with its log odds."""

    def unconstrain(self, params):
        return np.log(params.probabilities / (1 - params.probabilities)).ravel()

    def constrain(self, free):
        return GeometricParams((1 / (1 + np.exp(-free))).reshape(-1, 2))


class FreeGeometricMixture(GeometricMixture):
    family = FreeGeometric

    def _family(self):
        return self.family()


def close_counts():
    rng = np.random.default_rng(0)
    return rng.geometric(np.array([[0.3, 0.25], [0.15, 0.2]])[rng.integers(2, size=2000)]) - 1.0


def fit_geometric(kind, accelerate):
    model = kind(2, tol=1e-7, max_iter=2000, random_state=0)
    model.accelerate = accelerate
    return model.fit(close_counts())


def test_a_family_in_python_is_accelerated_where_it_has_the_methods():
    plain, with_methods, without = (
        fit_geometric(kind, accelerate)
        for kind, accelerate in ((GeometricMixture, None), (FreeGeometricMixture, "auto"), (GeometricMixture, "auto"))
    )
    assert without.lower_bounds_ == plain.lower_bounds_
    assert with_methods.n_iter_ < 0.7 * plain.n_iter_
    assert with_methods.lower_bound_ >= plain.lower_bound_ - 1e-7
    assert FreeGeometricMixture(2, random_state=0).fit(counts_of_failures()[0]).converged_


@pytest.mark.parametrize("verb", ["unconstrain", "constrain"])
def test_an_error_in_a_method_comes_out_as_it_is(verb, monkeypatch):
    def fails(self, *args):
        raise ZeroDivisionError(f"from {verb}")

    monkeypatch.setattr(FreeGeometric, verb, fails)
    with pytest.raises(ZeroDivisionError, match=f"from {verb}"):
        fit_geometric(FreeGeometricMixture, "auto")


def test_a_wrong_number_of_free_numbers_is_named(monkeypatch):
    monkeypatch.setattr(FreeGeometric, "unconstrain", lambda self, params: params.probabilities[0])
    with pytest.raises(ValueError, match=r"FreeGeometric.unconstrain returned 2 numbers, of shape \(2,\), expected 4"):
        fit_geometric(FreeGeometricMixture, "auto")


def test_free_numbers_come_back_in_the_shape_that_they_were_given_in(monkeypatch):
    flat = fit_geometric(FreeGeometricMixture, "auto")
    shapes = set()

    def constrain(self, free):
        shapes.add(free.shape)
        return GeometricParams(1 / (1 + np.exp(-free)))

    monkeypatch.setattr(FreeGeometric, "unconstrain", lambda self, params: np.log(params[0] / (1 - params[0])))
    monkeypatch.setattr(FreeGeometric, "constrain", constrain)
    assert fit_geometric(FreeGeometricMixture, "auto").lower_bounds_ == flat.lower_bounds_
    assert shapes == {(2, 2)}


def test_a_shape_that_does_not_fit_is_found_in_the_first_iteration(monkeypatch):
    monkeypatch.setattr(FreeGeometric, "constrain", lambda self, free: GeometricParams(free))
    model = FreeGeometricMixture(2, max_iter=1, random_state=0)
    model.accelerate = "auto"
    with pytest.raises(
        ValueError, match=r"GeometricParams.probabilities should have the shape of \(2, 2\), got \(4,\)"
    ):
        model.fit(close_counts())


def test_one_method_without_the_other_is_an_error(monkeypatch):
    monkeypatch.setattr(FreeGeometric, "constrain", None)
    with pytest.raises(
        TypeError, match="FreeGeometric has one of unconstrain and constrain, and needs both or neither"
    ):
        FreeGeometric().bind(2, 2, np.float64)


def test_parameters_that_are_not_finite_are_not_tried(monkeypatch):
    monkeypatch.setattr(FreeGeometric, "constrain", lambda self, free: GeometricParams(np.full((2, 2), np.nan)))
    fast, plain = fit_geometric(FreeGeometricMixture, "auto"), fit_geometric(GeometricMixture, None)
    assert fast.lower_bounds_ == plain.lower_bounds_


def test_all_compiled_families_have_the_prior_in_their_objective():
    """With a prior an extrapolation is judged by the likelihood and the prior together."""
    X = overlapping_binary(500)
    em = AcceleratedEM(Bernoulli(5.0).bind(2, 8, X.dtype), Rows(X))
    em.set_state(np.array([0.5, 0.5]), np.random.default_rng(0).uniform(0.3, 0.7, 16))
    objectives, converged = em.iterate(5000, 1e-11)
    assert converged
    assert np.diff(objectives).min() > -1e-12
