"""GammaMixture and ExponentialMixture: densities, samples, the M-step, edges of the domain and of the parameters."""

import mpmath
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from sklearn.exceptions import ConvergenceWarning
from twins import positive_rows

from mixfast import ExponentialMixture, GammaMixture, ProductMixture, Status, fit_many, select
from mixfast.parts import Gamma, Gaussian

MIXTURES = [GammaMixture, ExponentialMixture]


def gamma_model(weights, shapes, scales, **options):
    """A model put together by hand."""
    model = GammaMixture(len(weights), **options)
    model.weights_ = np.asarray(weights, dtype=float)
    model.shapes_, model.scales_ = np.asarray(shapes, dtype=float), np.asarray(scales, dtype=float)
    model.n_features_in_ = model.shapes_.shape[1]
    return model


def exponential_model(weights, rates, **options):
    model = ExponentialMixture(len(weights), **options)
    model.weights_, model.rates_ = np.asarray(weights, dtype=float), np.asarray(rates, dtype=float)
    model.n_features_in_ = model.rates_.shape[1]
    return model


def random_models(n_components=3, n_features=4, seed=0):
    """One of each kind."""
    rng = np.random.default_rng(seed)
    weights, shape = rng.dirichlet(np.full(n_components, 5.0)), (n_components, n_features)
    yield gamma_model(weights, rng.uniform(0.4, 20, shape), rng.uniform(0.1, 10, shape), random_state=seed)
    yield exponential_model(weights, rng.uniform(0.1, 10, shape), random_state=seed)


def distributions(model):
    """SciPy's, of each component."""
    if isinstance(model, GammaMixture):
        return [stats.gamma(a, scale=scale) for a, scale in zip(model.shapes_, model.scales_, strict=True)]
    return [stats.expon(scale=1 / rates) for rates in model.rates_]


# ---- densities ------------------------------------------------------------------------------------------------------


def test_densities_equal_scipys():
    for model in random_models():
        X, _ = model.sample(500)
        parts = np.array([own.logpdf(X).sum(axis=1) for own in distributions(model)]) + np.log(model.weights_)[:, None]
        assert_allclose(model.score_samples(X), np.logaddexp.reduce(parts), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [1e-300, 1e-8, 0.5, 1.0, 1 + 1e-12, 30.0, 1e6])
@pytest.mark.parametrize("scale", [1e-280, 1e-3, 1.0, 1e280])
def test_gamma_densities_equal_mpmaths(shape, scale):
    model = gamma_model([1.0], [[shape]], [[scale]])
    for ratio in (1e-20, 0.1, 0.999, 1.0, 1.001, 10.0):
        x = ratio * max(shape, 1e-6) * scale
        with mpmath.workdps(40):
            X, a, s = mpmath.mpf(x), mpmath.mpf(shape), mpmath.mpf(scale)
            terms = (a - 1) * mpmath.log(X), -X / s, -a * mpmath.log(s), -mpmath.loggamma(a)
            expected = float(sum(terms))
            largest = float(max(abs(term) for term in terms))
        # a unit in the last place of the shape moves the log density by that of the largest term
        assert abs(model.score_samples([[x]])[0] - expected) <= 1e-14 * largest


@pytest.mark.parametrize("rate", [1e-300, 1e-8, 1.0, 1e300])
@pytest.mark.parametrize("ratio", [0.0, 1e-20, 1.0, 700.0])
def test_exponential_densities_equal_mpmaths(rate, ratio):
    x = ratio / rate
    with mpmath.workdps(40):
        terms = mpmath.log(mpmath.mpf(rate)), -mpmath.mpf(rate) * mpmath.mpf(x)
        expected, largest = float(sum(terms)), float(max(map(abs, terms)))
    assert abs(exponential_model([1.0], [[rate]]).score_samples([[x]])[0] - expected) <= 1e-14 * largest


def test_densities_integrate_to_one():
    grid = np.linspace(0, 400, 400_001)[1:]
    for model in (
        gamma_model([0.3, 0.7], [[2.0], [9.0]], [[1.5], [4.0]]),
        exponential_model([0.5, 0.5], [[0.1], [2.0]]),
    ):
        density = np.exp(model.score_samples(grid[:, np.newaxis]))
        assert np.trapezoid(density, grid) == pytest.approx(1, abs=2e-3)


# ---- samples --------------------------------------------------------------------------------------------------------


def test_samples_have_the_distribution_of_their_components():
    for model in random_models(seed=1):
        X, labels = model.sample(20_000)
        assert_allclose(np.bincount(labels, minlength=3) / len(X), model.weights_, atol=5 * np.sqrt(0.25 / len(X)))
        for k, own in enumerate(distributions(model)):
            assert stats.kstest(own.cdf(X[labels == k]).ravel(), "uniform").pvalue > 0.01


def test_a_sample_of_a_tiny_shape_is_in_the_domain():
    model = gamma_model([1.0], [[1e-4]], [[1.0]])
    X, _ = model.sample(1000, random_state=0)
    assert X.min() > 0
    assert np.all(np.isfinite(model.score_samples(X)))


@pytest.mark.parametrize("mean", [1e300, 1e307, 1e308, 1.7e308, np.finfo(float).max])
def test_a_sample_of_the_largest_means_is_finite(mean):
    X = np.full((16, 1), mean / 16)  # so that their sum is finite
    fitted = ExponentialMixture(1).fit(X)
    for model in (fitted, exponential_model([1.0], [[1 / mean]]), exponential_model([1.0], [[5e-324]])):
        drawn, _ = model.sample(1000, random_state=0)
        assert np.all(np.isfinite(drawn))
        assert np.all(np.isfinite(model.score_samples(drawn)))
    drawn, _ = gamma_model([1.0], [[2.0]], [[mean / 2]]).sample(1000, random_state=0)
    assert np.all(np.isfinite(drawn))
    # a draw beyond the largest float64 is that: the others have their distribution
    drawn, _ = exponential_model([1.0], [[1 / mean]]).sample(20_000, random_state=0)
    expected = np.exp(-np.finfo(float).max / mean)
    assert_allclose(np.mean(drawn == np.finfo(float).max), expected, atol=5 * np.sqrt(0.25 / 20_000))


@pytest.mark.parametrize("rate", [0.0, -1.0])
def test_rows_of_a_rate_that_is_none_are_refused(rate):
    with pytest.raises(ValueError, match=r"rates_\[0, 0\] is .*, but rates_ should be above 0"):
        exponential_model([1.0], [[rate]]).sample(5)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_fit_recovers_the_model_that_made_the_data(dtype):
    truth = gamma_model([0.3, 0.7], [[2.0, 30.0], [8.0, 3.0]], [[1.0, 0.1], [2.0, 5.0]])
    X, labels = truth.sample(20_000, random_state=2)
    fit = GammaMixture(2, random_state=0, tol=1e-6).fit(X.astype(dtype))
    order = np.argsort(fit.weights_)
    assert fit.shapes_.dtype == fit.scales_.dtype == dtype
    assert_allclose(fit.weights_[order], truth.weights_, atol=0.01)
    assert_allclose(fit.shapes_[order], truth.shapes_, rtol=0.1)
    assert_allclose(fit.scales_[order], truth.scales_, rtol=0.1)
    assert np.mean(np.argsort(order)[fit.predict(X.astype(dtype))] == labels) > 0.98
    assert fit.score(X) >= truth.score(X) - 1e-5


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_fit_recovers_exponential_rates(dtype):
    truth = exponential_model([0.4, 0.6], [[0.01, 3.0], [2.0, 0.5]])
    X, _ = truth.sample(20_000, random_state=3)
    fit = ExponentialMixture(2, random_state=0, tol=1e-7, max_iter=1000).fit(X.astype(dtype))
    order = np.argsort(fit.weights_)
    assert fit.rates_.dtype == dtype
    assert_allclose(fit.weights_[order], truth.weights_, atol=0.02)
    assert_allclose(fit.rates_[order], truth.rates_, rtol=0.06)


# ---- EM -------------------------------------------------------------------------------------------------------------


def test_one_component_is_fitted_as_scipy_fits():
    X = np.random.default_rng(4).gamma(3.0, 2.0, size=(500, 2))
    model = GammaMixture(1).fit(X)
    for j in range(2):
        shape, _, scale = stats.gamma.fit(X[:, j], floc=0)
        assert_allclose([model.shapes_[0, j], model.scales_[0, j]], [shape, scale], rtol=1e-8)
    assert_allclose(ExponentialMixture(1).fit(X).rates_[0], 1 / X.mean(axis=0), rtol=1e-13)


@pytest.mark.parametrize("shape", [1e-3, 0.05, 1.0, 50.0, 1e3, 1e5])
def test_the_shape_is_where_the_score_vanishes(shape):
    """log a - psi(a) = log mean - mean log, with weights."""
    rng = np.random.default_rng(5)
    X = np.maximum(rng.gamma(shape, 1 / shape, size=(300, 1)), 1e-300)
    weight = rng.uniform(0.5, 2, 300)
    model = GammaMixture(1, tol=1e-8, max_iter=5).fit(X, sample_weight=weight)
    with mpmath.workdps(40):
        total = mpmath.fsum(weight.tolist())
        mean = mpmath.fsum(mpmath.mpf(w) * mpmath.mpf(x) for w, x in zip(weight, X[:, 0], strict=True)) / total
        logs = mpmath.fsum(mpmath.mpf(w) * mpmath.log(mpmath.mpf(x)) for w, x in zip(weight, X[:, 0], strict=True))
        s = mpmath.log(mean) - logs / total
        a = mpmath.findroot(lambda a: mpmath.log(a) - mpmath.digamma(a) - s, model.shapes_[0, 0])
    # s is a difference of sums that are rounded: to 1e-16 of 1, of which it is 1 / 2a
    assert model.shapes_[0, 0] == pytest.approx(float(a), rel=max(1e-12, 4e-15 * shape))
    assert model.shapes_[0, 0] * model.scales_[0, 0] == pytest.approx(float(mean), rel=1e-13)


def test_parameters_are_counted():
    X = positive_rows(np.random.default_rng(7), 300, 3)
    for mixture, n_parameters in ((GammaMixture, 2 * 2 * 3 + 1), (ExponentialMixture, 2 * 3 + 1)):
        model = mixture(2, random_state=0).fit(X)
        assert model.aic(X) + 2 * 300 * model.score(X) == pytest.approx(2 * n_parameters)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("value", [3.0, 1e-30, 1e30])
def test_a_constant_column_is_capped_and_says_so(dtype, value):
    X = np.random.default_rng(8).gamma(2.0, 1.0, size=(60, 2)).astype(dtype)
    X[:, 1] = value
    with pytest.warns(ConvergenceWarning, match="kept at its maximum"):
        model = GammaMixture(1).fit(X)
    assert model.status_ & Status.CAPPED_PARAMETER
    assert model.shapes_[0, 1] == 1e6
    assert model.shapes_[0, 0] < 4
    assert model.shapes_[0, 1] * model.scales_[0, 1] == pytest.approx(value, rel=1e-6)
    assert np.all(np.isfinite(model.score_samples(X)))


@pytest.mark.parametrize("spread", [0.1, 0.03, 0.01, 0.002])
def test_float32_rows_of_narrow_components_have_their_shapes_densities_and_number(spread):
    rng = np.random.default_rng(0)
    means = np.repeat([1000.0, 2000.0], 300)[:, np.newaxis]
    X = rng.gamma(spread**-2, means * spread**2).astype(np.float32)
    wide, narrow = (GammaMixture(2, random_state=0, tol=1e-8, max_iter=500).fit(own) for own in (X.astype(float), X))
    assert not narrow.status_ & (Status.CAPPED_PARAMETER | Status.SPURIOUS_COMPONENT)
    assert_allclose(narrow.shapes_, wide.shapes_, rtol=1e-6)
    assert_allclose(narrow.score_samples(X), wide.score_samples(X.astype(float)), rtol=1e-4, atol=1e-4)
    chosen = [select(own, GammaMixture(), n_components=range(1, 4), random_state=0) for own in (X.astype(float), X)]
    assert chosen[0].best_params_ == chosen[1].best_params_ == {"n_components": 2}


def test_float32_rows_of_narrow_gamma_parts_have_the_choice_of_float64_ones():
    rng = np.random.default_rng(1)
    group = np.arange(400) % 2
    X = np.stack([rng.normal(1000 + 300 * group, 10), rng.normal(3 * group, 1)], axis=1).astype(np.float32)
    model = ProductMixture([(0, Gamma()), (1, Gaussian())])
    chosen = [select(own, model, n_components=range(1, 4), random_state=0) for own in (X.astype(float), X)]
    assert chosen[0].best_params_ == chosen[1].best_params_ == {"n_components": 2}
    assert chosen[1].best_.components_["0"].shapes_.dtype == np.float32
    assert_allclose(chosen[1].best_.lower_bound_, chosen[0].best_.lower_bound_, rtol=1e-5)


def test_a_component_of_equal_rows_keeps_the_log_likelihood_rising():
    rng = np.random.default_rng(9)
    X = np.concatenate([np.full((10, 1), 7.0), rng.gamma(2.0, 1.0, size=(90, 1))])
    with pytest.warns(ConvergenceWarning, match="kept at its maximum"):
        model = GammaMixture(2, init_params=(np.arange(100) >= 10).astype(int), tol=1e-9, max_iter=1000).fit(X)
    assert model.shapes_[0, 0] == 1e6
    assert np.diff(model.lower_bounds_).min(initial=0) >= -1e-9 * abs(model.lower_bound_)


@pytest.mark.parametrize(("dtype", "most"), [(np.float64, 1e300), (np.float32, 1e30)])
def test_a_column_of_zeros_has_the_largest_rate(dtype, most):
    X = np.random.default_rng(10).exponential(size=(50, 2)).astype(dtype)
    X[:, 1] = 0
    with pytest.warns(ConvergenceWarning, match="kept at its maximum"):
        model = ExponentialMixture(1).fit(X)
    assert model.rates_[0, 1] == dtype(most)
    assert np.all(np.isfinite(model.score_samples(X)))


@pytest.mark.parametrize("unit", [1e-30, 1e30])
def test_scales_are_right_as_long_as_the_precision_holds_them(unit):
    X = (unit * positive_rows(np.random.default_rng(14), 200, 2)).astype(np.float32)
    model = GammaMixture(1).fit(X)
    assert_allclose(model.shapes_[0] * model.scales_[0], X.mean(axis=0, dtype=float), rtol=1e-6)
    assert_allclose(model.shapes_, GammaMixture(1).fit(X.astype(float)).shapes_, rtol=1e-6)
    log_prob = stats.gamma(model.shapes_[0], scale=model.scales_[0].astype(float)).logpdf(X).sum(axis=1)
    assert_allclose(model.score_samples(X), log_prob, rtol=1e-5)


@pytest.mark.parametrize(("dtype", "small"), [(np.float32, 1e-36), (np.float64, 1e-305)])
def test_scales_that_the_precision_does_not_hold_are_an_error(dtype, small):
    """Shapes are 2500: 0 would be no scale, and one with few digits the scale of other rows."""
    X = (small * np.random.default_rng(15).normal(1, 0.02, (50, 1))).astype(dtype)
    with pytest.raises(ValueError, match="Scale the columns of X"):
        GammaMixture(1).fit(X)
    result = fit_many([X, X / dtype(small)], GammaMixture(1))
    assert result.status[0] == Status.NOT_FINITE
    assert_allclose(result.shapes[1] * result.scales[1], (X / dtype(small)).mean(), rtol=1e-6)
    heavy = np.full((50, 1), np.finfo(dtype).tiny)
    heavy[:5] = np.finfo(dtype).max  # a tenth of it is the mean, and the shape is below 0.01
    assert fit_many([heavy], GammaMixture(1)).status[0] == Status.NOT_FINITE


def test_log_densities_of_possible_rows_are_finite_in_float32():
    """They are computed in float64, and may be beyond the least float32."""
    least = np.finfo(np.float32).min
    model = GammaMixture.from_parameters(
        weights=np.ones(1, np.float32), shapes=np.ones((1, 1), np.float32), scales=np.full((1, 1), 1e-30, np.float32)
    )
    X = np.array([[1e-30], [1e20]], np.float32)
    assert_allclose(model.score_samples(X), [-1 - np.log(1e-30), least], rtol=1e-6)
    assert_allclose(model.component_log_density(X)[:, 0], model.score_samples(X), rtol=1e-6)
    assert model.score_samples(X.astype(float))[1] == pytest.approx(-1e50)
    rows = np.random.default_rng(17).gamma(2, 1e-15, (20, 1)).astype(np.float32)
    result = fit_many([rows], GammaMixture(1))
    for predict in (result[0].score_samples, lambda far: result.score_samples([far])[0]):
        assert_allclose(predict(np.array([[1e-15], [1e30]], np.float32)), [33.7, least], atol=1)


def test_a_scale_of_the_data_moves_the_parameters_alone():
    X = positive_rows(np.random.default_rng(11), 500, 2)
    for mixture, volume in ((GammaMixture, -np.log(1e200) * 2), (ExponentialMixture, -np.log(1e200) * 2)):
        usual, scaled = mixture(3, random_state=0).fit(X), mixture(3, random_state=0).fit(1e200 * X)
        assert scaled.lower_bound_ == pytest.approx(usual.lower_bound_ + volume, rel=1e-9)
        assert_allclose(scaled.weights_, usual.weights_, rtol=1e-8)


@pytest.mark.parametrize("mixture", MIXTURES)
def test_an_accelerated_fit_ends_where_em_does(mixture):
    X = positive_rows(np.random.default_rng(12), 1500, 2)
    options = {"tol": 1e-9, "max_iter": 50_000, "random_state": 0}
    plain = mixture(3, **options).fit(X)
    fast = mixture(3, **options, accelerate="auto").fit(X)
    assert fast.n_iter_ < 0.9 * plain.n_iter_
    assert fast.lower_bound_ >= plain.lower_bound_ - 1e-6


# ---- the domain -----------------------------------------------------------------------------------------------------


def test_values_outside_the_domain_are_named():
    X = positive_rows(np.random.default_rng(13), 50, 3)
    fitted = GammaMixture(2, random_state=0).fit(X), ExponentialMixture(2, random_state=0).fit(X)
    X[4, 1] = 0
    for call in (fitted[0].fit, fitted[0].predict):
        with pytest.raises(ValueError, match=r"Zeros in data .*GammaMixture: column 1 of X is 0\.0 in row 4"):
            call(X)
    assert np.all(np.isfinite(fitted[1].fit(X).score_samples(X)))
    X[7, 0] = -2.5
    for model in fitted:
        for call in (model.fit, model.predict):
            with pytest.raises(ValueError, match=r"Negative values in data .*column 0 of X is -2\.5 in row 7"):
                call(X)


def test_sums_that_overflow_raise():
    X = np.full((10, 1), 1e308)
    for mixture in MIXTURES:
        with pytest.raises(ValueError, match="not finite"):
            mixture(1).fit(X)


# ---- everything else ------------------------------------------------------------------------------------------------


def test_the_number_of_components_is_chosen():
    truth = gamma_model([0.5, 0.5], [[3.0], [50.0]], [[1.0], [1.0]])
    X, _ = truth.sample(500, random_state=0)
    chosen = select(X, GammaMixture(), n_components=[1, 2, 3], random_state=0)
    assert chosen.best_.n_components == 2


@pytest.mark.parametrize(("mixture", "name"), [(GammaMixture, "shapes_"), (ExponentialMixture, "rates_")])
def test_components_are_ordered_by_the_first_parameter(mixture, name):
    X = positive_rows(np.random.default_rng(15), 400, 2)
    first = getattr(mixture(3, random_state=0, canonical_order=True).fit(X), name)[:, 0]
    assert list(first) == sorted(first)


def test_a_bound_of_minus_infinity_is_said():
    """A start at a row with zeros has the largest rates; the others' log densities are some -1e297, and those times
    weights of 1e18 sum to minus infinity."""
    rng = np.random.default_rng(0)
    X = rng.gamma(1.0, 1e-3, (16, 3))
    X[::2, 1:] = 0
    weight = np.full(16, 1e18)
    estimator = ExponentialMixture(1, max_iter=1, init_params="random_from_data")
    result = fit_many([X] * 20, estimator, sample_weight=[weight] * 20, seeds=np.arange(20))
    is_infinite = result.lower_bound == -np.inf
    assert 0 < is_infinite.sum() < 20
    np.testing.assert_array_equal(is_infinite, result.status & int(Status.IMPOSSIBLE_ROWS) != 0)
    for seed in np.flatnonzero(is_infinite).tolist():
        model = estimator.set_params(random_state=seed)
        with pytest.warns((UserWarning, ConvergenceWarning)):
            model.fit(X, sample_weight=weight)
        assert model.lower_bound_ == -np.inf
        assert Status.IMPOSSIBLE_ROWS in model.status_


def test_a_batch_of_float32_rows_predicts_what_its_models_do():
    """They are computed in float64: nothing is written beyond float32 arrays."""
    rng = np.random.default_rng(0)
    problems = [rng.gamma(2, 1, (n, 2)).astype(np.float32) for n in (400, 30, 1000)]
    result = fit_many(problems, GammaMixture(3, random_state=0))
    found = zip(problems, result, result.score_samples(problems), result.predict_proba(problems), strict=True)
    for X, model, log_prob, resp in found:
        assert log_prob.dtype == resp.dtype == np.float32
        np.testing.assert_array_equal(log_prob, model.score_samples(X))
        np.testing.assert_array_equal(resp, model.predict_proba(X))
