"""VonMisesFisherMixture: densities, samples, R movMF's published values, the sphere's edges, sparse rows."""

import warnings
from functools import cache
from pathlib import Path

import mpmath
import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from scipy import stats
from sklearn.exceptions import ConvergenceWarning
from twins import directions, unit_vectors

from mixfast import Status, VonMisesFisherMixture, fit_many, select

TYPES = ["own", "shared"]
HOUSEHOLD = np.loadtxt(Path(__file__).parent / "data" / "household.csv", delimiter=",", skiprows=1)


def model_of(weights, mean_directions, concentrations, **options):
    """A model put together by hand."""
    model = VonMisesFisherMixture(len(weights), **options)
    model.weights_ = np.asarray(weights, dtype=float)
    model.mean_directions_ = unit_vectors(np.asarray(mean_directions, dtype=float))
    model.concentrations_ = np.asarray(concentrations, dtype=float)
    model.n_features_in_ = model.mean_directions_.shape[1]
    return model


def random_model(n_features, concentrations, seed=0):
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(len(concentrations), 5.0))
    return model_of(weights, rng.standard_normal((len(concentrations), n_features)), concentrations, random_state=seed)


# ---- outsiders ------------------------------------------------------------------------------------------------------

# Hornik & Grün, "movMF: An R Package for Fitting Mixtures of von Mises-Fisher Distributions", J. Stat. Softw. 58
# (2014), no. 10: household expenses (housing, food and service of R's HSAUR3), the BIC of K components. Their densities
# are relative to the uniform distribution, ours to the area: 4 pi for each row.
MOVMF = {1: -169.4291, 2: -200.3364, 3: -211.5490, 4: -206.9498, 5: -198.5651}


@cache
def usual_fits(n_components):
    """From random starts and from k-means."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return [
            VonMisesFisherMixture(
                n_components, normalize=True, init_params=init_params, random_state=seed, tol=1e-10, max_iter=5000
            ).fit(HOUSEHOLD)
            for seed in range(1 if n_components == 1 else 30)
            for init_params in ("random", "random_from_data", "kmeans")
        ]


def movmf_bic(model):
    return model.bic(HOUSEHOLD) - 2 * len(HOUSEHOLD) * np.log(4 * np.pi)


@pytest.mark.parametrize("n_components", MOVMF)
def test_movmfs_published_bic_is_reached(n_components):
    fits = usual_fits(n_components)
    assert min(map(movmf_bic, fits)) < MOVMF[n_components] + 6e-5
    model = min(fits, key=lambda model: abs(movmf_bic(model) - MOVMF[n_components]))
    assert movmf_bic(model) == pytest.approx(MOVMF[n_components], abs=6e-5)
    assert model.status_ == Status.CONVERGED
    order = np.argsort(-model.weights_)
    if n_components == 2:
        assert_allclose(model.weights_[order], [0.53, 0.47], atol=0.005)
        assert_allclose(model.concentrations_[order], [17.96, 114.70], rtol=2e-4)
        assert_allclose(model.mean_directions_[order], [[0.67, 0.63, 0.40], [0.95, 0.13, 0.27]], atol=0.005)
    if n_components == 3:
        assert_allclose(model.weights_[order], [0.52, 0.35, 0.13], atol=0.006)
        assert_allclose(model.concentrations_[order], [83.26, 62.91, 181.21], atol=0.006)


@pytest.mark.parametrize("n_features", [2, 3, 5, 50])
def test_densities_equal_scipys(n_features):
    model = random_model(n_features, [0.3, 8.0, 120.0])
    X, _ = model.sample(500)
    parts = [
        stats.vonmises_fisher(mean, kappa).logpdf(X) + np.log(weight)
        for weight, mean, kappa in zip(model.weights_, model.mean_directions_, model.concentrations_, strict=True)
    ]
    assert_allclose(model.score_samples(X), np.logaddexp.reduce(parts), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("kappa", [0.0, 1e-300, 1e-8, 1.0, 100.0, 1e4, 1e6])
@pytest.mark.parametrize("n_features", [2, 3, 19, 1000])
def test_densities_equal_mpmaths(n_features, kappa):
    rng = np.random.default_rng(n_features)
    model = model_of([1.0], rng.standard_normal((1, n_features)), [kappa])
    X = unit_vectors(model.mean_directions_ + rng.standard_normal((5, n_features)) * rng.uniform(0, 2, (5, 1)))
    with mpmath.workdps(40):
        nu, k = mpmath.mpf(n_features) / 2 - 1, mpmath.mpf(kappa)
        log_reduced = mpmath.log(mpmath.hyp0f1(nu + 1, k * k / 4))
        constant = mpmath.loggamma(nu + 1) - mpmath.log(2) - (nu + 1) * mpmath.log(mpmath.pi) - log_reduced
        cosines = [
            mpmath.fsum(mpmath.mpf(a) * mpmath.mpf(b) for a, b in zip(row, model.mean_directions_[0], strict=True))
            for row in X
        ]
        expected = np.array([float(constant + k * cosine) for cosine in cosines])
    # a unit in the last place of a row moves its log density by kappa times that
    assert np.all(np.abs(model.score_samples(X) - expected) <= 1e-12 * np.maximum(np.abs(expected), kappa))


def test_densities_integrate_to_one_on_the_circle():
    angles = np.linspace(0, 2 * np.pi, 4000, endpoint=False)
    model = random_model(2, [0.0, 3.0, 80.0])
    density = np.exp(model.score_samples(np.column_stack([np.cos(angles), np.sin(angles)])))
    assert density.mean() * 2 * np.pi == pytest.approx(1, abs=1e-12)


# ---- samples --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kappa", [0.0, 0.5, 7.0, 300.0, 1e6])
def test_samples_in_three_dimensions_have_the_distribution_of_the_cosine(kappa):
    """exp(kappa w) on [-1, 1], which has a distribution function."""
    model = model_of([1.0], [[1.0, -2.0, 0.5]], [kappa])
    X, _ = model.sample(20_000, random_state=1)
    assert_allclose(np.linalg.norm(X, axis=1), 1, rtol=1e-15)
    shortfall = 0.5 * np.sum((X - model.mean_directions_) ** 2, axis=1)  # 1 - cosine
    if kappa == 0:
        assert stats.kstest(shortfall / 2, "uniform").pvalue > 0.01
    else:
        assert stats.kstest(shortfall, lambda s: np.expm1(-kappa * s) / np.expm1(-2 * kappa)).pvalue > 0.01


@pytest.mark.parametrize("kappa", [0.0, 2.0, 50.0, 1e6])
def test_samples_on_the_circle_are_von_misess(kappa):
    model = model_of([1.0], [[0.0, 1.0]], [kappa])
    X, _ = model.sample(20_000, random_state=2)
    angles = np.arctan2(-X[:, 0], X[:, 1])
    assert stats.kstest(angles, stats.vonmises(kappa=max(kappa, 1e-12)).cdf).pvalue > 0.01


@pytest.mark.parametrize(("n_features", "kappa"), [(10, 5.0), (100, 1.0), (1000, 400.0), (1000, 0.0)])
def test_samples_in_many_dimensions_have_the_mean_and_spread_of_the_density(doors, n_features, kappa):
    model = random_model(n_features, [kappa], seed=3)
    X, _ = model.sample(20_000 if n_features < 1000 else 3000, random_state=3)
    length, _, _ = doors.mean_resultant(n_features, kappa)
    cosine = X @ model.mean_directions_[0]
    variance = 1 - length**2 - (n_features - 1) / kappa * length if kappa else 1 / n_features
    assert cosine.mean() == pytest.approx(length, abs=5 * np.sqrt(variance / len(X)))
    assert cosine.var() == pytest.approx(variance, rel=5 * np.sqrt(2 / len(X)))
    rest = X.mean(axis=0) - cosine.mean() * model.mean_directions_[0]
    standard = (n_features - 1) * len(X) * np.sum(rest**2) / (1 - np.mean(cosine**2))
    assert 0.001 < stats.chi2(n_features - 1).cdf(standard) < 0.999


@pytest.mark.parametrize("concentration_type", TYPES)
def test_a_fit_recovers_the_model_that_made_the_data(concentration_type):
    truth = random_model(4, [60.0, 60.0, 60.0] if concentration_type == "shared" else [20.0, 60.0, 150.0], seed=4)
    X, labels = truth.sample(20_000)
    fit = VonMisesFisherMixture(3, concentration_type=concentration_type, random_state=0, tol=1e-8).fit(X)
    order = [int(np.argmax(fit.mean_directions_ @ mean)) for mean in truth.mean_directions_]
    assert_allclose(fit.weights_[order], truth.weights_, atol=0.01)
    assert_allclose(fit.mean_directions_[order], truth.mean_directions_, atol=0.01)
    assert_allclose(fit.concentrations_[order], truth.concentrations_, rtol=0.05)
    assert np.mean(fit.predict(X) == np.array(order)[labels]) > 0.95
    assert fit.score(X) >= truth.score(X)


# ---- EM -------------------------------------------------------------------------------------------------------------


def test_one_component_is_fitted_in_closed_form(doors):
    X = directions(np.random.default_rng(5), 500, 6)
    weight = np.random.default_rng(6).uniform(0.5, 2, 500)
    model = VonMisesFisherMixture(1).fit(X, sample_weight=weight)
    mean = np.average(X, axis=0, weights=weight)
    length = np.linalg.norm(mean)
    assert_allclose(model.mean_directions_[0], mean / length, rtol=1e-12)
    assert doors.mean_resultant(6, model.concentrations_[0])[0] == pytest.approx(length, rel=1e-13)


def test_shared_concentrations_are_one_and_cost_one_parameter():
    X = directions(np.random.default_rng(8), 400, 5)
    own, shared = (VonMisesFisherMixture(3, concentration_type=name, random_state=0).fit(X) for name in TYPES)
    assert len(set(shared.concentrations_)) == 1
    assert len(set(own.concentrations_)) == 3
    assert own.aic(X) + 2 * 400 * own.score(X) == pytest.approx(2 * (3 * 5 + 2))
    assert shared.aic(X) + 2 * 400 * shared.score(X) == pytest.approx(2 * (3 * 4 + 1 + 2))


@pytest.mark.parametrize("n_features", [2, 3, 200])
def test_a_component_of_one_direction_is_capped_and_says_so(n_features):
    rng = np.random.default_rng(9)
    X = unit_vectors(rng.standard_normal((60, n_features)))
    X[:10] = X[0]
    labels = np.r_[np.zeros(10, int), np.ones(50, int)]
    model = VonMisesFisherMixture(2, init_params=labels, tol=1e-10, max_iter=2000)
    with pytest.warns(ConvergenceWarning, match="kept at its maximum"):
        model.fit(X)
    assert model.status_ & Status.CAPPED_PARAMETER
    assert model.concentrations_[0] == 1e6 * (n_features - 1)
    assert_allclose(model.mean_directions_[0], X[0], atol=1e-15)
    assert np.diff(model.lower_bounds_).min(initial=0) >= -1e-9 * abs(model.lower_bound_)
    with pytest.warns(ConvergenceWarning, match="kept at its maximum"):
        narrow = model.set_params(tol=1e-3).fit(X.astype(np.float32))
    assert narrow.concentrations_[0] == 1e6 * (n_features - 1)
    result = fit_many([X, X[10:]], VonMisesFisherMixture(1))
    assert not np.any(result.status & Status.CAPPED_PARAMETER)


def test_rows_without_any_common_direction_have_no_concentration():
    X = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    model = VonMisesFisherMixture(1).fit(X)
    assert model.concentrations_[0] == 0
    assert np.linalg.norm(model.mean_directions_[0]) == 1
    assert_allclose(model.score_samples(X), -np.log(2 * np.pi), rtol=1e-14)


def test_an_accelerated_fit_ends_where_em_does():
    X = directions(np.random.default_rng(10), 1500, 4)
    options = {"tol": 1e-9, "max_iter": 20_000, "random_state": 0}
    plain = VonMisesFisherMixture(4, **options).fit(X)
    fast = VonMisesFisherMixture(4, **options, accelerate="auto").fit(X)
    assert fast.n_iter_ < plain.n_iter_ / 2
    assert fast.lower_bound_ >= plain.lower_bound_ - 1e-7


@pytest.mark.parametrize("concentration_type", TYPES)
def test_float32_rows_give_nearly_the_same(concentration_type):
    X = directions(np.random.default_rng(11), 3000, 20)
    one, other = (
        VonMisesFisherMixture(3, concentration_type=concentration_type, random_state=0, tol=1e-6, max_iter=500).fit(
            X.astype(dtype)
        )
        for dtype in (np.float64, np.float32)
    )
    assert other.mean_directions_.dtype == other.concentrations_.dtype == np.float32
    assert other.lower_bound_ == pytest.approx(one.lower_bound_, abs=1e-4)


@pytest.mark.parametrize("concentration", [1e3, 1e4, 1e5])
def test_float32_rows_of_narrow_components_have_their_concentrations_and_number(concentration):
    rng = np.random.default_rng(12)
    centres = np.repeat(np.eye(3)[:2], 300, axis=0)
    X = unit_vectors(centres + rng.standard_normal((600, 3)) / np.sqrt(concentration)).astype(np.float32)
    rows = [unit_vectors(X.astype(float)), X]
    chosen = [select(own, VonMisesFisherMixture(), n_components=range(1, 4), random_state=0) for own in rows]
    assert chosen[0].best_params_ == chosen[1].best_params_ == {"n_components": 2}
    wide, narrow = (own.best_ for own in chosen)
    assert not narrow.status_ & (Status.CAPPED_PARAMETER | Status.SPURIOUS_COMPONENT)
    assert_allclose(narrow.concentrations_, wide.concentrations_, rtol=2e-3)
    # rounding changes the length of a row by 3e-8, its log density by as much of the concentration
    assert_allclose(narrow.score_samples(X), wide.score_samples(rows[0]), rtol=1e-5, atol=2e-7 * concentration)


# ---- the domain -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [np.asarray, sp.csr_matrix])
def test_rows_that_are_no_unit_vectors_are_named_with_their_norm(make):
    X = unit_vectors(np.random.default_rng(12).standard_normal((10, 3)))
    model = VonMisesFisherMixture(2, random_state=0).fit(make(X))
    X[7] *= 2.5
    for call in (model.fit, model.predict):
        with pytest.raises(ValueError, match=r"Row 7 of X is no unit vector, its norm is 2\.5: .*normalize=True"):
            call(make(X))
    with pytest.raises(ValueError, match="its norm is 0: "):
        model.fit(make(X * (np.arange(10) > 0)[:, np.newaxis]))
    rounded = unit_vectors(X).astype(np.float32).astype(np.float64)
    model.fit(make(rounded))  # unit vectors that were rounded to float32


@pytest.mark.parametrize("make", [np.asarray, sp.csr_matrix])
def test_normalize_makes_unit_vectors_of_numbers_of_any_size(make):
    rng = np.random.default_rng(13)
    X = unit_vectors(rng.standard_normal((40, 3)))
    usual = VonMisesFisherMixture(2, random_state=0).fit(X)
    scaled = X * 2.0 ** rng.integers(-900, 900, (40, 1))
    model = VonMisesFisherMixture(2, random_state=0, normalize=True).fit(make(scaled))
    assert_allclose(model.mean_directions_, usual.mean_directions_, rtol=1e-9)
    assert_allclose(model.score_samples(make(scaled)), usual.score_samples(X), rtol=1e-9)
    scaled[3] = 0
    with pytest.raises(ValueError, match="Row 3 of X is all zeros"):
        model.fit(make(scaled))


def test_a_single_column_has_no_directions():
    with pytest.raises(ValueError, match="n_features = 1"):
        VonMisesFisherMixture().fit([[1.0], [-1.0], [1.0]])


# ---- everything else ------------------------------------------------------------------------------------------------


def documents(n_rows=400, n_features=300, dtype=np.float64, seed=14):
    """Rows of some words each, of three kinds, with norm 1."""
    rng = np.random.default_rng(seed)
    words = rng.gamma(0.1, size=(3, n_features))
    labels = rng.integers(3, size=n_rows)
    counts = rng.poisson(40 * (words / words.sum(axis=1, keepdims=True))[labels]).astype(float)
    counts[:, 0] += 1
    return unit_vectors(counts).astype(dtype), labels


def test_the_number_of_components_is_chosen():
    truth = model_of([0.4, 0.6], [[1, 0, 0], [0, 0, 1]], [50.0, 30.0])
    X, _ = truth.sample(500, random_state=0)
    chosen = select(X, VonMisesFisherMixture(), n_components=[1, 2, 3], concentration_type=TYPES, random_state=0)
    assert chosen.best_.n_components == 2


def test_components_are_ordered_by_their_directions():
    X = directions(np.random.default_rng(17), 300, 3)
    model = VonMisesFisherMixture(3, random_state=0, canonical_order=True).fit(X)
    assert list(model.mean_directions_[:, 0]) == sorted(model.mean_directions_[:, 0])


# ---- concentrations that are assigned --------------------------------------------------------------------------------


@pytest.mark.parametrize("concentration", [1e8, 1e100, 1e300, 1e307, 1e308, np.finfo(float).max])
def test_rows_of_the_largest_concentrations_are_the_mean_direction(concentration):
    model = VonMisesFisherMixture(1).fit(np.eye(3))
    direction = np.array([2.0, -1.0, 2.0]) / 3
    model.mean_directions_, model.concentrations_ = direction[np.newaxis], np.array([concentration])
    X, _ = model.sample(50, random_state=0)
    np.testing.assert_allclose(X, np.tile(direction, (50, 1)), rtol=0, atol=1e-15 + 6 / np.sqrt(concentration))


@pytest.mark.parametrize("concentration", [np.nan, np.inf, -np.inf, -1.0, -1e308])
def test_rows_of_no_concentration_are_refused(concentration):
    model = VonMisesFisherMixture(1).fit(np.eye(3))
    model.concentrations_ = np.array([concentration])
    with pytest.raises(ValueError, match="concentrations"):
        model.sample(5)
