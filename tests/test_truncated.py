"""Truncated posteriors, `max_active=`: each row keeps some components of very many."""

import pickle
import warnings

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.base import clone
from twins import FAMILIES, make_em, random_weights

import mixfast
from mixfast import GaussianMixture, fit_many, select
from mixfast._reference import em as twin
from mixfast._reference import truncated as truncated_twin
from mixfast.engine._pass import Pass
from mixfast.engine._rows import Rows
from mixfast.families.gaussian import SphericalGaussian
from mixfast.status import Status

STRUCTURES = {"spherical": {}, "diag": {}, "factor": {"n_factors": 2}}
structures = pytest.mark.parametrize("covariance_type", STRUCTURES)


def groups(n=3000, d=4, n_groups=40, spread=4.0, seed=0):
    """(rows, means of their groups)"""
    rng = np.random.default_rng(seed)
    means = spread * rng.normal(size=(n_groups, d))
    return means[rng.integers(n_groups, size=n)] + rng.normal(size=(n, d)), means


def model_of(X, n_components=40, covariance_type="diag", sample_weight=None, **options):
    options = {"max_active": 3, "random_state": 0, "max_iter": 20} | STRUCTURES.get(covariance_type, {}) | options
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return GaussianMixture(n_components, covariance_type=covariance_type, **options).fit(
            X, sample_weight=sample_weight
        )


def truncated_em(twins, X, weights, params, n_active, sample_weight=None):
    em = make_em(twins, X, weights, params, sample_weight)
    K, d = len(weights), X.shape[1]
    alike = Pass(SphericalGaussian().bind(K, d, X.dtype), Rows(X, sample_weight))
    record = SphericalGaussian().blank(K, d)
    record[: K * d] = np.ravel(params[0])
    alike.set_state(np.full(K, 1 / K), record)
    em.truncate(n_active, alike)
    return em


@pytest.mark.parametrize("weighs", [False, True])
@pytest.mark.parametrize("name", ["spherical", "diagonal", "2 factors, spherical"])
def test_each_step_is_that_of_the_twin(name, weighs):
    """Given what rows keep; and that is the best of no less than they kept before."""
    twins, rng, K, d = FAMILIES[name], np.random.default_rng(3), 33, 5
    X = twins.make_rows(rng, 3000, d)
    sample_weight = rng.uniform(0.5, 2, len(X)) if weighs else None
    weights, params = random_weights(rng, K), twins.make_params(rng, K, d)
    em = truncated_em(twins, X, weights, params, 4, sample_weight)
    total = len(X) if sample_weight is None else sample_weight.sum()
    for _ in range(4):
        before = truncated_twin.as_mask(em.active, K)
        with np.errstate(divide="ignore"):
            log_prob = twin.weighted_log_density(X, np.log(weights), twins.reference, params)
        objective = em.step()
        active = em.active
        mask = truncated_twin.as_mask(active, K)
        assert np.all(mask.sum(axis=1) == 4)
        # the best of what was kept before and is kept now
        np.testing.assert_array_equal(active, truncated_twin.best_of(log_prob, before | mask, 4))
        share = truncated_twin.share_among(active, K)
        expected = twin.gather(X, sample_weight, weights, twins.reference, params, share)
        assert objective == pytest.approx(expected.evidence / total, rel=1e-12)
        new_weights, new_params = twin.maximise(expected, weights, twins.reference, params)
        full = expected.counts > 10 * d  # rows enough for covariances that are well conditioned
        assert full.sum() > 5
        # further steps are from the engine's own, so that differences do not add up
        weights, params = em.state()[0], twins.compiled.params_layout(K, d).view(em.state()[1])
        np.testing.assert_allclose(weights, new_weights, rtol=0, atol=1e-12)
        for got, wanted in zip(params, new_params, strict=True):
            np.testing.assert_allclose(got[full], wanted[full], rtol=0, atol=1e-11 * np.abs(wanted[full]).max())


@structures
def test_all_components_that_are_kept_are_those_of_a_pass_over_all(covariance_type):
    """The engine keeps all of them; an estimator leaves the usual fit as it is."""
    names = {"spherical": "spherical", "diag": "diagonal", "factor": "2 factors, spherical"}
    twins, rng, K, d = FAMILIES[names[covariance_type]], np.random.default_rng(5), 7, 5
    X = twins.make_rows(rng, 500, d)
    weights, params = random_weights(rng, K), twins.make_params(rng, K, d)
    all_kept, dense = truncated_em(twins, X, weights, params, K), make_em(twins, X, weights, params)
    for _ in range(5):
        assert all_kept.step() == pytest.approx(dense.step(), rel=1e-12)
    np.testing.assert_allclose(all_kept.state()[1], dense.state()[1], rtol=1e-10, atol=1e-12)
    X, _ = groups(600, n_groups=5)
    expected = model_of(X, 5, covariance_type, max_active=None)
    for max_active in (5, 6, 1000):
        model = model_of(X, 5, covariance_type, max_active=max_active)
        assert model.lower_bounds_ == expected.lower_bounds_
        np.testing.assert_array_equal(model.means_, expected.means_)


@structures
@pytest.mark.parametrize("spread", [0.5, 4.0])
@pytest.mark.parametrize("max_active", [1, 3, 10])
def test_the_free_energy_never_falls_and_is_no_more_than_the_likelihood(covariance_type, spread, max_active):
    X, _ = groups(spread=spread)
    model = model_of(X, covariance_type=covariance_type, max_active=max_active, max_iter=40, tol=0)
    assert np.diff(model.lower_bounds_).min() > -1e-10
    assert not model.status_ & Status.LOWER_BOUND_FELL
    assert len(model.lower_bounds_) == 40
    assert model.lower_bound_ <= model.score(X) + 1e-9  # an M-step later, of all components


@structures
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_same_bits_for_any_number_of_threads(covariance_type, dtype):
    X = groups(20_000, d=8, n_groups=300)[0].astype(dtype)
    models = [model_of(X, 300, covariance_type, n_threads=n, max_iter=6, tol=0) for n in (1, 2, 3)]
    for other in models[1:]:
        assert other.lower_bounds_ == models[0].lower_bounds_
        np.testing.assert_array_equal(other.means_, models[0].means_)
        np.testing.assert_array_equal(other.weights_, models[0].weights_)


@structures
def test_rows_of_float32(covariance_type):
    X = groups()[0]
    wide, narrow = (
        model_of(X, covariance_type=covariance_type),
        model_of(X.astype(np.float32), covariance_type=covariance_type),
    )
    assert narrow.means_.dtype == np.float32
    assert narrow.lower_bound_ == pytest.approx(wide.lower_bound_, abs=0.05)


def test_rows_far_from_the_origin_keep_their_digits():
    X = groups()[0]
    near, far = model_of(X, max_iter=5, tol=0), model_of(X + 1e6, max_iter=5, tol=0)
    np.testing.assert_allclose(far.lower_bounds_, near.lower_bounds_, rtol=1e-6)


def test_weights_of_rows_are_repetitions():
    X, _ = groups(1500)
    weight = np.random.default_rng(1).integers(0, 4, len(X))
    labels = model_of(X).predict(X)
    options = {"max_iter": 5, "tol": 0}
    kept = labels % 40
    weighed = model_of(X, sample_weight=weight, init_params=kept, **options)
    repeated = model_of(np.repeat(X, weight, axis=0), init_params=np.repeat(kept, weight), **options)
    assert weighed.lower_bounds_[0] == pytest.approx(repeated.lower_bounds_[0], rel=1e-3)
    left_out = model_of(X[weight > 0], sample_weight=weight[weight > 0], init_params=kept[weight > 0], **options)
    assert left_out.lower_bounds_ == weighed.lower_bounds_


def test_nearly_all_of_a_thousand_groups_are_found():
    X, means = groups(50_000, d=8, n_groups=1000, spread=10)
    model = model_of(X, 1000, "spherical", max_iter=10)
    nearest = np.array([np.min(np.sum((model.means_ - mean) ** 2, axis=1)) for mean in means])
    assert np.mean(nearest < 4) >= 0.97
    assert model.lower_bound_ == pytest.approx(model.score(X), abs=0.1)


@structures
def test_the_likelihood_is_that_of_a_fit_with_all_components(covariance_type):
    X, _ = groups(10_000, n_groups=100)
    truncated = model_of(X, 100, covariance_type, max_active=5, max_iter=50)
    dense = model_of(X, 100, covariance_type, max_active=None, max_iter=50)
    assert truncated.score(X) > dense.score(X) - 0.01 * abs(dense.score(X))
    assert truncated.lower_bound_ > dense.lower_bound_ - 0.01 * abs(dense.lower_bound_)


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random_from_data", "random"])
def test_every_start(init_params):
    X, _ = groups(1000)
    model = model_of(X, init_params=init_params, n_init=2)
    assert np.diff(model.lower_bounds_).min() > -1e-10
    assert np.all(np.isfinite(model.means_))


def test_a_start_from_labels():
    X, means = groups(1000)
    labels = np.argmin(np.sum((X[:, np.newaxis] - means) ** 2, axis=2), axis=1)
    labels[::7] = -1
    model = model_of(X, init_params=labels)
    assert np.diff(model.lower_bounds_).min() > -1e-10
    assert np.mean(np.sum((model.means_ - means) ** 2, axis=1) < 2) > 0.9


def test_from_given_parameters_and_on_from_the_last_fit():
    X, means = groups()
    start = {"weights_init": np.full(40, 1 / 40), "means_init": means, "precisions_init": np.ones((40, 4))}
    model = model_of(X, **start)
    expected = logsumexp(
        np.log(1 / 40) - 2 * np.log(2 * np.pi) - 0.5 * np.sum((X[:, np.newaxis] - means) ** 2, axis=2), axis=1
    ).mean()
    assert expected - 0.05 < model.lower_bounds_[0] <= expected + 1e-9
    short = model_of(X, max_iter=3, tol=0, warm_start=True)
    first = short.lower_bound_
    short.set_params(max_iter=5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        short.fit(X)
    assert short.lower_bound_ >= first


def test_rows_that_no_component_can_have_made():
    """Whole chunks of them, of which nothing is kept."""
    twins, rng, K, d = FAMILIES["diagonal"], np.random.default_rng(7), 33, 5
    weights, params = random_weights(rng, K), twins.make_params(rng, K, d)
    X = np.vstack([twins.make_rows(rng, 500, d), np.full((300, d), 1e200)])
    em, dense = truncated_em(twins, X, weights, params, 4), make_em(twins, X, weights, params)
    assert em.step() == dense.step() == -np.inf
    assert em.n_impossible == dense.n_impossible == 300
    assert np.all(em.active[500:] == -1)


def test_fewer_distinct_rows_than_components():
    X = np.repeat(np.random.default_rng(0).normal(size=(10, 3)), 20, axis=0)
    model = model_of(X, 30)
    assert np.all(np.isfinite(model.means_))
    constant = model_of(np.ones((50, 2)), 20)
    assert np.all(np.isfinite(constant.covariances_))


def test_copies_files_and_predictions(tmp_path):
    X, _ = groups()
    model = model_of(X)
    assert clone(model).max_active == 3
    model.save(tmp_path / "model")
    loaded = mixfast.load(tmp_path / "model")
    assert loaded.max_active == 3
    for other in (pickle.loads(pickle.dumps(model)), loaded):
        np.testing.assert_array_equal(other.predict(X), model.predict(X))
        assert other.score(X) == model.score(X)
    assert model.predict_proba(X).shape == (len(X), 40)


def test_batches_and_choices_fit_one_by_one():
    X, _ = groups(900)
    parts = [X[:450], X[450:]]
    result = fit_many(parts, GaussianMixture(40, covariance_type="diag", max_active=3, max_iter=5), random_state=0)
    assert all(np.isfinite(model.lower_bound_) for model in result)
    alone = model_of(parts[0], max_iter=5)
    assert alone.max_active == result[0].max_active == 3
    chosen = select(
        X,
        GaussianMixture(covariance_type="diag", max_active=3, max_iter=5),
        n_components=[20, 40],
        random_state=0,
    )
    assert chosen.best_params_["n_components"] in (20, 40)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_active": 0}, "max_active"),
        ({"max_active": -2}, "max_active"),
        ({"max_active": 2.5}, "max_active"),
        ({"covariance_type": "full"}, "max_active=3 with covariance_type='full'"),
        ({"covariance_type": "tied"}, "'diag', 'factor', 'spherical'"),
        ({"covariance_type": "VVI"}, "covariance_type='VVI'"),
        ({"noise": "uniform"}, "noise='uniform'"),
        ({"trim": 0.1}, "trim=0.1"),
        ({"accelerate": "auto"}, "accelerate='auto'"),
        ({"n_init_policy": "halving", "n_init": 2}, "n_init_policy='halving'"),
        ({"hold": {"weights": np.full(40, 1 / 40)}}, "hold="),
    ],
)
def test_what_it_is_not_for_is_said(options, said):
    X, _ = groups(500)
    with pytest.raises(ValueError, match="max_active") as caught:
        model_of(X, **options)
    assert said in str(caught.value)


def test_rows_that_it_is_not_for():
    X, _ = groups(500)
    holes = X.copy()
    holes[0, 0] = np.nan
    with pytest.raises(ValueError, match="missing"):
        model_of(holes)
    model = GaussianMixture(40, covariance_type="diag", max_active=3)
    with pytest.raises(ValueError, match="known_labels"):
        model.fit(X, known_labels=np.full(len(X), -1))
    with pytest.raises(ValueError, match="groups"):
        model.fit(X, groups=np.arange(len(X)) // 2)
    with pytest.raises(ValueError, match="max_active"):
        model.partial_fit(X)
    assert model.set_params(max_active=40).fit(X).max_active == 40
