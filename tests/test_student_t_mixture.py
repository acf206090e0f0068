"""Student-t mixtures: densities to the ends of their range, the law of the iterations, tails and outliers."""

from itertools import pairwise

import mpmath
import numpy as np
import pytest
from batches import DTYPES, same_bits
from scipy import stats
from scipy.optimize import brentq
from sklearn.exceptions import ConvergenceWarning
from twins import FAMILIES, make_em, random_weights
from twins import heavy_tailed_rows as heavy_rows

from mixfast import GaussianMixture, Status, StudentTMixture, fit_many, select
from mixfast._reference.student_t import log_gap
from mixfast.families.seeds import drawn_in
from mixfast.families.student_t import DEGREES_LIMITS, FullStudentT, StudentTParams

TYPES = ["full", "tied", "diag", "spherical"]
DEGREES = ["component", "shared", 5.0]
every_type = pytest.mark.parametrize("covariance_type", TYPES)
every_kind_of_degrees = pytest.mark.parametrize("degrees_of_freedom", DEGREES)


def model_of(rng, covariance_type, degrees, n_features):
    """A model put together by hand, with the scale matrices of its components."""
    n_components = len(degrees)
    factor = rng.standard_normal((n_components, n_features, n_features + 2))
    full = factor @ np.swapaxes(factor, 1, 2) / n_features + 0.3 * np.eye(n_features)
    scales = rng.uniform(0.5, 2, (n_components, n_features))
    model = StudentTMixture(n_components, covariance_type=covariance_type, random_state=0)
    model.weights_ = rng.dirichlet(np.full(n_components, 5.0))
    model.means_ = 2 * rng.standard_normal((n_components, n_features))
    model.covariances_ = {"full": full, "tied": full[0], "diag": scales, "spherical": scales[:, 0]}[covariance_type]
    model.degrees_of_freedom_ = np.asarray(degrees, dtype=float)
    model.n_features_in_ = n_features
    return model


def two_groups(n=600, seed=0):
    """Two heavy-tailed clusters."""
    rng = np.random.default_rng(seed)
    tails = np.sqrt(3 / rng.chisquare(3, (n, 1)))
    return np.where(np.arange(n)[:, np.newaxis] % 2, 8.0, 0.0) + rng.standard_normal((n, 2)) * tails


# ---- densities ------------------------------------------------------------------------------------------------------


@every_type
@pytest.mark.parametrize("n_features", [1, 2, 5, 20])
def test_densities_equal_scipys(covariance_type, n_features):
    rng = np.random.default_rng(n_features)
    model = model_of(rng, covariance_type, [0.7, 3.0, 40.0], n_features)
    X = 5 * rng.standard_cauchy((300, n_features))
    parts = [
        stats.multivariate_t(mean, matrix, df=degrees, allow_singular=False).logpdf(X)
        for mean, matrix, degrees in zip(
            model.means_, model.covariance_matrices(), model.degrees_of_freedom_, strict=True
        )
    ]
    joint = np.log(model.weights_) + np.array(parts).T
    np.testing.assert_allclose(model.score_samples(X), np.logaddexp.reduce(joint, axis=1), rtol=1e-12)


def exact_log_density(x, degrees):
    """Of x (d,) under t(0, 1, degrees), with forty digits."""
    with mpmath.workdps(40):
        n, d = mpmath.mpf(degrees), len(x)
        q = sum(mpmath.mpf(float(value)) ** 2 for value in x) / n
        return float(
            mpmath.loggamma((n + d) / 2)
            - mpmath.loggamma(n / 2)
            - mpmath.log(n * mpmath.pi) * d / 2
            - (n + d) / 2 * mpmath.log1p(q)
        )


@pytest.mark.parametrize("n_features", [1, 3, 50])
@pytest.mark.parametrize("degrees", [0.01, 0.5, 1.0, 7.0, 333.0, 1e5, 3.3e7, 1e8])
@pytest.mark.parametrize("far", [0.0, 1e-160, 1e-9, 0.3, 5.0, 1e4, 1e75, 1e150])
def test_densities_are_right_to_twelve_digits_at_the_ends_of_their_range(far, degrees, n_features):
    model = StudentTMixture(covariance_type="spherical")
    model.weights_, model.means_ = np.ones(1), np.zeros((1, n_features))
    model.covariances_, model.degrees_of_freedom_ = np.ones(1), np.array([degrees])
    x = far * np.linspace(-1, 1, n_features + 1)[1:]
    assert model.score_samples(x[np.newaxis])[0] == pytest.approx(exact_log_density(x, degrees), rel=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_whose_distance_overflows_has_a_density_for_all_that(dtype):
    model = model_of(np.random.default_rng(0), "diag", [0.5, 4.0], 2)
    model.weights_ = model.weights_.astype(dtype)
    far, further = np.array(
        [[1e18, 1.0], [1e37, -1e37]] if dtype == np.float32 else [[1e150, 1], [1e300, -1e300]], dtype
    )
    scores = model.score_samples(np.array([far, further]))
    assert np.all(np.isfinite(scores))
    assert scores[1] < scores[0] < -50


@every_type
def test_many_degrees_of_freedom_are_a_gaussian(covariance_type):
    X, start = two_groups(), np.arange(600) % 2
    options = {"covariance_type": covariance_type, "init_params": start, "tol": 1e-6}
    heavy = StudentTMixture(2, degrees_of_freedom=1e8, **options).fit(X)
    light = GaussianMixture(2, **options).fit(X)
    np.testing.assert_allclose(heavy.score_samples(X), light.score_samples(X), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(heavy.means_, light.means_, rtol=1e-4)
    np.testing.assert_allclose(heavy.covariances_, light.covariances_, rtol=1e-3, atol=1e-3)


# ---- the law --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
@every_kind_of_degrees
@every_type
def test_the_likelihood_never_falls(covariance_type, degrees_of_freedom, seed):
    X = heavy_rows(np.random.default_rng(seed), 400, 2 + seed)
    X[:5] *= -10
    labels = np.arange(400) % 3  # they say nothing
    options = {"covariance_type": covariance_type, "degrees_of_freedom": degrees_of_freedom, "reg_covar": 0}
    model = StudentTMixture(3, init_params=labels, tol=0, max_iter=300, **options)
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        model.fit(X)
    # a repair would add to a scale what the likelihood does not ask for
    assert model.status_ & ~Status.SPURIOUS_COMPONENT == Status.MAX_ITER
    assert model.lower_bounds_[-1] > model.lower_bounds_[0] + 0.05
    assert np.diff(model.lower_bounds_).min() > -1e-9 * np.abs(model.lower_bounds_).max()


@pytest.mark.parametrize("first", [*DEGREES_LIMITS, 0.3, 1e4])
@pytest.mark.parametrize("name", ["heavy full", "heavy tied", "heavy diagonal"])
def test_the_likelihood_never_falls_from_any_degrees_of_freedom(name, first):
    rng = np.random.default_rng(0)
    twins = FAMILIES[name]
    X, params = twins.make_rows(rng, 800, 2), twins.make_params(rng, 3, 2)
    em = make_em(twins, X, random_weights(rng, 3), params._replace(degrees_of_freedom=np.full(3, first)))
    objectives, _ = em.iterate(300, 0)
    assert np.diff(objectives).min() > -1e-9 * np.abs(objectives).max()


def test_a_limit_is_one_of_plain_em():
    """Its equation for the degrees of freedom, and its division by the number of rows."""
    X = two_groups()
    options = {"init_params": np.arange(600) % 2, "tol": 1e-13, "max_iter": 5000, "reg_covar": 0}
    model = StudentTMixture(2, **options).fit(X)
    resp, degrees = model.predict_proba(X), model.degrees_of_freedom_
    for k, (mean, matrix) in enumerate(zip(model.means_, model.covariances_, strict=True)):
        distance = np.einsum("ij,jl,il->i", X - mean, np.linalg.inv(matrix), X - mean)
        u = (degrees[k] + 2) / (degrees[k] + distance)
        assert resp[:, k] @ u / resp[:, k].sum() == pytest.approx(1, abs=1e-5)
        mean_log = resp[:, k] @ (np.log(u) - u) / resp[:, k].sum()
        assert log_gap(degrees[k]) + 1 + mean_log - log_gap(degrees[k] + 2) == pytest.approx(0, abs=1e-5)


@every_type
def test_the_gradient_of_the_log_likelihood_vanishes_at_the_limit(covariance_type):
    X = two_groups()
    options = {"covariance_type": covariance_type, "reg_covar": 0, "tol": 1e-13, "max_iter": 5000, "random_state": 0}
    model = StudentTMixture(2, **options).fit(X)
    best = model.score(X)
    for attribute in ("means_", "precisions_cholesky_", "degrees_of_freedom_"):
        usual = getattr(model, attribute)
        for index in np.argwhere(usual != 0):
            scores = []
            for sign in (-1, 1):
                moved = usual.copy()
                moved[tuple(index)] += sign * 1e-4
                setattr(model, attribute, moved)
                scores.append(model.score(X))
            setattr(model, attribute, usual)
            assert abs(scores[1] - scores[0]) / 2e-4 < 1e-5
            assert max(scores) < best


def em_of_peel_and_mclachlan(X, degrees, n_iter):
    """Mean log-likelihoods of plain EM, for one component with a full scale matrix."""
    mean, matrix, d, bounds = X.mean(axis=0), np.cov(X.T, ddof=0), X.shape[1], []
    for _ in range(n_iter):
        bounds.append(stats.multivariate_t(mean, matrix, df=degrees).logpdf(X).mean())
        distance = np.einsum("ij,jl,il->i", X - mean, np.linalg.inv(matrix), X - mean)
        u = (degrees + d) / (degrees + distance)
        wanted = np.mean(u - np.log(u)) - 1 + log_gap(degrees + d)
        mean = u @ X / u.sum()
        matrix = (u * (X - mean).T) @ (X - mean) / len(X)
        degrees = np.exp(brentq(lambda t: log_gap(np.exp(t)) - wanted, -4, 18))  # noqa: B023
    return np.array(bounds)


def test_iterations_go_further_than_those_of_em():
    X = heavy_rows(np.random.default_rng(2), 500, 2)
    start = {
        "weights_init": [1.0],
        "means_init": [X.mean(axis=0)],
        "precisions_init": [np.linalg.inv(np.cov(X.T, ddof=0))],
    }
    plain = em_of_peel_and_mclachlan(X, 8.0, 400)
    ours = np.array(StudentTMixture(tol=1e-13, max_iter=500, reg_covar=0, **start).fit(X).lower_bounds_)
    assert ours[0] == pytest.approx(plain[0], rel=1e-12)
    assert plain[-1] < ours[-1] + 1e-9
    n_plain, n_ours = (np.argmax(bounds > ours[-1] - 1e-6) for bounds in (plain, ours))
    assert 0 < n_ours < 0.7 * n_plain


# ---- degrees of freedom ---------------------------------------------------------------------------------------------


@every_type
def test_degrees_of_freedom_are_own_shared_or_given(covariance_type):
    X = heavy_rows(np.random.default_rng(3), 900, 2)
    options = {"covariance_type": covariance_type, "random_state": 0, "tol": 1e-7, "max_iter": 2000}
    own, shared, given = (StudentTMixture(3, degrees_of_freedom=kind, **options).fit(X) for kind in DEGREES)
    assert len(set(own.degrees_of_freedom_)) == 3
    assert len(set(shared.degrees_of_freedom_)) == 1
    np.testing.assert_array_equal(given.degrees_of_freedom_, 5.0)
    assert given.lower_bound_ < shared.lower_bound_ <= own.lower_bound_ + 1e-6
    covariances = {"full": 9, "tied": 3, "diag": 6, "spherical": 3}[covariance_type]
    counts = [model._n_parameters() for model in (own, shared, given)]
    assert counts == [2 + 6 + covariances + n_degrees for n_degrees in (3, 1, 0)]


@pytest.mark.parametrize("value", ["own", 0.001, 2e8, np.nan, None, -1])
def test_degrees_of_freedom_that_are_none_are_named(value):
    with pytest.raises(ValueError, match="The 'degrees_of_freedom' parameter of StudentTMixture must be"):
        StudentTMixture(degrees_of_freedom=value).fit(two_groups())


def test_estimates_stay_within_the_limits():
    rng = np.random.default_rng(4)
    signs = rng.choice([-1.0, 1.0], (400, 1))
    flat = StudentTMixture(tol=0, max_iter=3000, reg_covar=0)
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        flat.fit(signs + 0.01 * rng.standard_normal((400, 1)))  # tails lighter than a Gaussian's
    assert flat.degrees_of_freedom_[0] == DEGREES_LIMITS[1]
    heavy = StudentTMixture(tol=1e-9, max_iter=3000).fit(signs * np.exp(np.abs(60 * rng.standard_normal((400, 1)))))
    assert heavy.degrees_of_freedom_[0] >= DEGREES_LIMITS[0]
    assert heavy.degrees_of_freedom_[0] < 0.05


def test_a_warm_start_keeps_degrees_of_freedom():
    X = two_groups()
    options = {"degrees_of_freedom": "component", "tol": 1e-9, "random_state": 0, "warm_start": True}
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        model = StudentTMixture(2, max_iter=4, **options).fit(X)
    bound = model.lower_bound_
    model.set_params(max_iter=2000).fit(X)
    assert model.lower_bounds_[0] > bound
    whole = StudentTMixture(2, max_iter=2000, **options).fit(X)
    assert model.n_iter_ == whole.n_iter_ - 4
    np.testing.assert_allclose(model.degrees_of_freedom_, whole.degrees_of_freedom_, rtol=1e-9)


@every_kind_of_degrees
@every_type
def test_a_start_may_be_given(covariance_type, degrees_of_freedom):
    eye = np.eye(2)
    precisions = {"full": [eye, eye], "tied": eye, "diag": np.ones((2, 2)), "spherical": np.ones(2)}[covariance_type]
    start = {"weights_init": [0.5, 0.5], "means_init": [[0, 0], [8, 8]], "precisions_init": precisions}
    model = StudentTMixture(
        2, covariance_type=covariance_type, degrees_of_freedom=degrees_of_freedom, tol=1e-6, max_iter=500, **start
    )
    model.set_params(max_iter=0).fit(two_groups())
    np.testing.assert_array_equal(model.means_, [[0, 0], [8, 8]])
    np.testing.assert_array_equal(model.degrees_of_freedom_, 5.0 if degrees_of_freedom == 5.0 else 8.0)
    model.set_params(max_iter=500).fit(two_groups())
    assert np.diff(model.lower_bounds_).min() >= 0
    np.testing.assert_allclose(model.means_, [[0, 0], [8, 8]], atol=0.3)


# ---- tails and outliers ---------------------------------------------------------------------------------------------


@every_type
def test_samples_come_from_the_density(covariance_type):
    model = model_of(np.random.default_rng(5), covariance_type, [1.5, 12.0], 2)
    X, labels = model.sample(20_000, random_state=0)
    for k, matrix in enumerate(model.covariance_matrices()):
        own = (X[labels == k] - model.means_[k]) @ np.linalg.inv(np.linalg.cholesky(matrix)).T
        marginal = stats.kstest(own[:, 1], stats.t(model.degrees_of_freedom_[k]).cdf)
        radius = stats.kstest((own**2).sum(axis=1) / 2, stats.f(2, model.degrees_of_freedom_[k]).cdf)
        assert min(marginal.pvalue, radius.pvalue) > 1e-3


def test_samples_are_finite_at_the_fewest_degrees_of_freedom():
    X, _ = model_of(np.random.default_rng(6), "full", [DEGREES_LIMITS[0]], 3).sample(5000, random_state=0)
    assert np.all(np.isfinite(X))
    assert np.abs(X).max() > 1e100


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_fit_recovers_the_model_that_made_the_data(dtype):
    truth = model_of(np.random.default_rng(7), "full", [2.5, 6.0, 20.0], 2)
    truth.means_ = np.array([[0.0, 0.0], [12.0, 0.0], [0.0, 12.0]])
    X, _ = truth.sample(40_000, random_state=0)
    X = X.astype(dtype)
    fit = StudentTMixture(3, random_state=0, tol=1e-7, max_iter=1000, canonical_order=True, n_init=3).fit(X)
    order = [int(np.argmin(((fit.means_ - mean) ** 2).sum(axis=1))) for mean in truth.means_]
    assert sorted(order) == [0, 1, 2]
    np.testing.assert_allclose(fit.weights_[order], truth.weights_, atol=0.01)
    np.testing.assert_allclose(fit.means_[order], truth.means_, atol=0.1)
    np.testing.assert_allclose(fit.covariances_[order], truth.covariances_, atol=0.15)
    np.testing.assert_allclose(fit.degrees_of_freedom_[order], truth.degrees_of_freedom_, rtol=0.2)
    assert fit.score(X) >= truth.score(X)


@every_type
def test_outliers_move_a_gaussian_mixture_and_not_this_one(covariance_type):
    rng = np.random.default_rng(8)
    clean = np.repeat([[0.0, 0.0], [10.0, 0.0]], 200, axis=0) + rng.standard_normal((400, 2))
    X = np.concatenate([clean, rng.uniform(-60, 60, (30, 2))])
    labels = (X[:, 0] > 5).astype(int)
    options = {"covariance_type": covariance_type, "init_params": labels, "tol": 1e-6, "max_iter": 1000}
    heavy = StudentTMixture(2, degrees_of_freedom="shared", **options).fit(X)
    light = GaussianMixture(2, **options).fit(X)
    np.testing.assert_allclose(heavy.means_, [[0, 0], [10, 0]], atol=0.3)
    np.testing.assert_array_less(heavy.covariance_matrices(), 1.5)
    assert np.all(heavy.degrees_of_freedom_ < 5)
    assert np.linalg.det(light.covariance_matrices()).max() > 100
    assert (heavy.predict(clean) == np.arange(400) // 200).mean() > 0.99


@pytest.mark.parametrize(
    ("dtype", "far"), [(np.float64, 1e6), (np.float64, 1e150), (np.float32, 1e6), (np.float32, 1e18)]
)
@every_type
def test_outliers_however_far_leave_the_centre_where_it_is(covariance_type, dtype, far):
    rng = np.random.default_rng(9)
    X = np.concatenate([rng.standard_normal((500, 2)), far * np.array([[1, 0], [-1, 1], [0, 1]])]).astype(dtype)
    model = StudentTMixture(covariance_type=covariance_type, tol=1e-6, max_iter=2000).fit(X)
    assert model.status_ == Status.CONVERGED
    np.testing.assert_allclose(model.means_, 0, atol=0.2)
    assert np.linalg.det(model.covariance_matrices())[0] < 1
    assert np.diff(model.lower_bounds_).min() >= 0


@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
def test_a_component_on_outliers_takes_no_digits_off_the_others(covariance_type):
    """The pivot is the nearest mean and not that of the mixture, and a variance is compared to the own mean alone."""
    X = np.concatenate([two_groups(), 1e20 * np.array([[1, 1], [1, 3], [3, 1], [4, 3]])])
    labels = np.append(np.arange(600) % 2, [2, 2, 2, 2])
    options = {"covariance_type": covariance_type, "degrees_of_freedom": 5.0, "tol": 1e-9, "max_iter": 1000}
    apart = StudentTMixture(3, init_params=labels, **options).fit(X)
    alone = StudentTMixture(2, init_params=labels[:600], **options).fit(X[:600])
    assert apart.status_ == Status.CONVERGED
    np.testing.assert_allclose(apart.means_[:2], alone.means_, rtol=1e-6)
    np.testing.assert_allclose(apart.covariances_[:2], alone.covariances_, rtol=1e-6)


# ---- the house ------------------------------------------------------------------------------------------------------


def test_predictions_of_a_batch_have_the_bits_of_the_estimators():
    problems = [two_groups(n, seed=n) for n in (40, 300)]
    result = fit_many(problems, StudentTMixture(2, random_state=0), covariance_type=TYPES, n_components=[1, 2])
    for i, X in enumerate(problems):
        assert same_bits(result.score_samples(problems)[i], result[i].score_samples(X))
        assert result[i].degrees_of_freedom_.shape == (result.n_components[i],)


def test_selection_prefers_heavy_tails_to_more_gaussians():
    X = two_groups(1000)
    options = {"n_components": range(1, 6), "covariance_type": ["full", "tied", "spherical"], "random_state": 0}
    heavy = select(X, StudentTMixture(degrees_of_freedom="shared", n_init=3), **options)
    light = select(X, GaussianMixture(n_init=3), **options)
    assert heavy.best_params_["n_components"] == 2 < light.best_params_["n_components"]
    assert heavy.best_.bic(X) < light.best_.bic(X)


@every_kind_of_degrees
@every_type
def test_relative_regularization_knows_no_units(covariance_type, degrees_of_freedom):
    X = heavy_rows(np.random.default_rng(10), 500, 3)
    units = np.full(3, 1e5) if covariance_type == "spherical" else np.array([1e-4, 1.0, 1e6])
    options = {"covariance_type": covariance_type, "degrees_of_freedom": degrees_of_freedom, "tol": 1e-6}
    options |= {"regularization": "relative", "random_state": 0, "max_iter": 1000}
    plain, other = (StudentTMixture(3, **options).fit(rows) for rows in (X, X * units + 7))
    np.testing.assert_allclose((other.means_ - 7) / units, plain.means_, rtol=1e-6)
    np.testing.assert_allclose(other.degrees_of_freedom_, plain.degrees_of_freedom_, rtol=1e-6)
    assert other.lower_bound_ == pytest.approx(plain.lower_bound_ - np.log(units).sum(), rel=1e-9)


def test_the_family_names_its_parameters_and_statistics():
    family = FullStudentT(1e-6)
    layout = family.stats_layout(2, 3)
    assert layout.shapes == ((2, 3), (2, 6), (2,), (2,), (2,))
    assert family.params_layout(2, 3).record is StudentTParams
    with pytest.raises(ValueError, match="cannot bind"):
        FullStudentT(degrees=type("Wrong", (), {"start": 5.0, "n_groups": lambda self, k: 7})()).bind(2, 3, np.float64)


# ---- starts beside outliers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reach", [60, 200])
@pytest.mark.parametrize("seed", range(4))
def test_the_default_start_does_not_spend_components_on_outliers(reach, seed):
    rng = np.random.default_rng(seed)
    centres = np.array([[0.0, 0.0], [8.0, 8.0]])
    X = rng.normal(size=(600, 2)) + centres[rng.integers(2, size=600)]
    X[:18] = rng.uniform(-reach, reach, size=(18, 2))
    model = StudentTMixture(2, random_state=seed, canonical_order=True).fit(X)
    np.testing.assert_allclose(model.means_, centres, atol=0.5)


def test_rows_of_the_start_do_not_depend_on_units_nor_on_other_problems():
    rng = np.random.default_rng(0)
    rows = rng.standard_t(1, size=(200, 3))
    rows[:, 2] = np.arange(200) < 20  # half of it is equal
    offsets = np.array([0, 50, 50, 51, 101, 200])
    drawn = drawn_in(rows, offsets)
    for first, last in pairwise(offsets):
        np.testing.assert_array_equal(drawn[first:last], drawn_in(rows[first:last], np.array([0, last - first])))
    np.testing.assert_allclose(drawn_in(rows * [1e-30, 1e30, 7] + [0, 1e30, 3], offsets), drawn, rtol=0, atol=1e-12)
    assert np.all(np.isfinite(drawn_in(rows * 1e300, offsets)))
    assert np.all(np.abs(drawn) <= 1)
    np.testing.assert_array_equal(np.argsort(drawn_in(rows, np.array([0, 200]))[:, 0]), np.argsort(rows[:, 0]))


def test_studenttmixture_has_the_same_likelihood():
    rng = np.random.default_rng(13)
    centres = np.array([[0.0, 0], [12, 0], [0, 12]])
    X = centres[np.arange(600) % 3] + rng.standard_t(4, (600, 2)) * [1, 2]
    model = StudentTMixture(3, tol=1e-12, max_iter=20_000, random_state=0, canonical_order=True).fit(X)
    # studenttmixture 1.11, EM, tol=1e-9; its likelihood is lower by 5e-6
    assert 600 * model.score(X) == pytest.approx(-3054.0979067870085, abs=1e-5)
    assert 600 * model.score(X) > -3054.0979067870085
    np.testing.assert_allclose(model.degrees_of_freedom_, [5.97110469, 3.9700346, 3.11865349], rtol=2e-3)


# ---- far from the origin ----


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize(
    ("dtype", "offset"), [(np.float32, 1e4), (np.float32, 1e6), (np.float64, 1e6), (np.float64, 1e9)]
)
def test_rows_far_from_the_origin_have_the_degrees_of_freedom_of_rows_about_it(covariance_type, dtype, offset):
    rng = np.random.default_rng(0)
    X = rng.standard_t(4, size=(800, 2)) + np.repeat([0, 30], 400)[:, np.newaxis]
    X = (offset + X).astype(dtype)  # rounded there, so that both fits are of the same rows
    options = {"covariance_type": covariance_type, "random_state": 0}
    near = StudentTMixture(2, **options).fit(X.astype(np.float64) - offset)
    far = StudentTMixture(2, **options).fit(X)
    assert np.all(near.degrees_of_freedom_ < 6)
    np.testing.assert_allclose(far.degrees_of_freedom_, near.degrees_of_freedom_, rtol=1e-4)
    np.testing.assert_allclose(far.lower_bounds_, near.lower_bounds_, rtol=1e-6)
    assert far.n_iter_ == near.n_iter_


# ---- spikes ----


@pytest.mark.parametrize("seed", range(4))
def test_noise_is_one_component_and_spikes_with_wide_tails_are_spurious(seed):
    X = np.random.default_rng(seed).normal(size=(60, 5))
    chosen = select(X, StudentTMixture(), n_components=range(1, 6), covariance_type=["full", "tied"], random_state=0)
    assert chosen.best_params_["n_components"] == 1
    for model in chosen.estimators_:
        scales = np.diagonal(model.covariance_matrices(), axis1=1, axis2=2)
        is_spike = (model.degrees_of_freedom_ < 0.5) & np.any(scales < 1e-9 * X.var(axis=0), axis=1)
        assert not np.any(is_spike) or model.status_ & Status.SPURIOUS_COMPONENT


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_heavy_tails_of_whole_clusters_are_not_spurious(covariance_type):
    rng = np.random.default_rng(0)
    X = rng.standard_t(0.8, size=(600, 1)) + np.repeat([0, 1e4], 300)[:, np.newaxis]
    model = StudentTMixture(2, covariance_type=covariance_type, random_state=0, max_iter=500).fit(X)
    assert not model.status_ & Status.SPURIOUS_COMPONENT


@pytest.mark.parametrize("degrees_of_freedom", [0.01, 0.4, 4.0])
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_a_component_without_rows_has_the_mean_of_all(covariance_type, degrees_of_freedom):
    X = np.tile([1.0, -2.0], (8, 1))
    model = StudentTMixture(2, covariance_type=covariance_type, degrees_of_freedom=degrees_of_freedom, random_state=0)
    with pytest.warns(ConvergenceWarning):
        model.fit(X)
    assert Status.EMPTIED_COMPONENT in model.status_
    np.testing.assert_array_equal(model.means_, X[:2])
