"""Rows of the lowest density that each M-step leaves out, `trim=`."""

import copy
import warnings

import numpy as np
import pytest
from scipy.special import logsumexp

import mixfast
from mixfast import GaussianMixture, StudentTMixture, fit_many, select
from mixfast._reference import em as twin
from mixfast._reference import gaussian as gaussian_twin

both = pytest.mark.parametrize("cls", [GaussianMixture, StudentTMixture])


def with_outliers(n=300, d=2, n_far=30, seed=0):
    """(rows, which of them are far out): two groups, and rows all over the place."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    X[: n // 2, 0] += 8
    is_far = np.zeros(n, dtype=bool)
    is_far[rng.choice(n, n_far, replace=False)] = True
    X[is_far] = rng.uniform(-60, 60, size=(n_far, d))
    return X, is_far


def model_of(X, cls=GaussianMixture, sample_weight=None, **options):
    options = {"n_components": 2, "trim": 0.1, "random_state": 0, "reg_covar": 0} | options
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cls(**options).fit(X, sample_weight=sample_weight)


def kept_by_hand(log_density, weight, share):
    """How much of each row is kept, by sorting."""
    kept, left = np.ones(len(weight)), share * weight.sum()
    for i in np.lexsort((-np.arange(len(weight)), log_density)):
        part = min(left, weight[i])
        kept[i] -= part / weight[i]
        left -= part
    return kept


@pytest.mark.parametrize("weighs", [False, True])
@pytest.mark.parametrize("share", [0.03, 0.1, 0.45])
def test_the_course_is_that_of_the_twin(share, weighs):
    X, _ = with_outliers(120, n_far=12)
    weight = np.random.default_rng(1).uniform(0.5, 2, len(X)) if weighs else np.ones(len(X))
    labels = (X[:, 0] > 4).astype(int)
    model = model_of(X, trim=share, init_params=labels, max_iter=8, tol=0, sample_weight=weight if weighs else None)
    family, resp = gaussian_twin.FullGaussian(0.0), np.eye(2)[labels] * weight[:, np.newaxis]
    blank = (np.zeros((2, 2)), np.tile(np.eye(2), (2, 1, 1)), np.tile(np.eye(2), (2, 1, 1)))
    weights, params = twin.start(X, resp, np.full(2, 0.5), family, blank)
    for bound in model.lower_bounds_:
        log_density = logsumexp(twin.weighted_log_density(X, np.log(weights), family, params), axis=1)
        kept = kept_by_hand(log_density, weight, share) * weight
        assert bound == pytest.approx(kept @ log_density / weight.sum(), rel=1e-9)
        gathered = twin.gather(X, kept, weights, family, params)
        weights, params = twin.maximise(gathered, weights, family, params)
    np.testing.assert_allclose(model.means_, params[0], rtol=1e-7)


OPTIONS = [
    {},
    *({"covariance_type": name} for name in ("tied", "diag", "spherical", "VEV")),
    {"init_params": "random", "n_init": 3},
    {"n_init": 4, "n_init_policy": "halving"},
    {"accelerate": "auto"},
    {"regularization": "relative"},
    {"weights": [0.5, 0.5]},
]


@both
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_objective_never_falls(cls, options):
    X, _ = with_outliers()
    model = model_of(X, cls, tol=1e-10, max_iter=1000, **options)
    assert np.diff(model.lower_bounds_).min(initial=0) > -1e-10
    kept = kept_by_hand(model.score_samples(X), np.ones(len(X)), 0.1)
    assert model.lower_bound_ == pytest.approx(kept @ model.score_samples(X) / len(X), abs=1e-6)


def test_outliers_are_left_out_and_said():
    X, is_far = with_outliers()
    model = model_of(X)
    labels = model.predict(X)
    assert np.sum(labels == -1) == 30
    assert np.mean((labels == -1) == is_far) > 0.95
    np.testing.assert_array_equal(labels == -1, model.score_samples(X) < model.trim_level_)
    np.testing.assert_allclose(np.sort(model.means_[:, 0]), [0, 8], atol=0.3)
    np.testing.assert_allclose(model.covariances_, np.tile(np.eye(2), (2, 1, 1)), atol=0.5)
    assert model.predict([[300.0, 300.0]]) == -1
    assert model.predict_proba(X).shape == (300, 2)


def test_a_limit_on_eigenvalues_goes_with_it():
    X, is_far = with_outliers()
    model = model_of(X, eigenvalue_ratio=3.0, n_components=3, tol=1e-9, max_iter=500)
    assert np.diff(model.lower_bounds_).min() > -1e-10
    sizes = np.linalg.eigvalsh(model.covariances_)
    assert sizes.max() < 3.001 * sizes.min()
    assert np.mean((model.predict(X) == -1) == is_far) > 0.9


def test_weights_are_repetitions_and_zeros_are_not_there():
    X, _ = with_outliers()
    weight = np.random.default_rng(2).integers(0, 3, len(X)).astype(float)
    labels = (X[:, 0] > 4).astype(int)
    options = {"tol": 1e-10, "max_iter": 500, "trim": 0.1}
    one = model_of(X, sample_weight=weight, init_params=labels, **options)
    many = np.repeat(np.arange(len(X)), weight.astype(int))
    other = model_of(X[many], init_params=labels[many], **options)
    np.testing.assert_allclose(one.means_, other.means_, rtol=1e-6)
    assert one.lower_bound_ == pytest.approx(other.lower_bound_, rel=1e-8)


@both
def test_the_bits_are_those_of_any_number_of_threads(cls):
    X, _ = with_outliers(5000, n_far=500)
    one, many = (model_of(X, cls, n_threads=n_threads) for n_threads in (1, 3))
    np.testing.assert_array_equal(one.means_, many.means_)
    np.testing.assert_array_equal(one.lower_bounds_, many.lower_bounds_)


def test_equal_rows_and_rows_of_density_zero():
    X = np.repeat(np.random.default_rng(0).normal(size=(10, 2)), 5, axis=0)
    model = model_of(X, n_components=1, trim=0.13)
    again = model_of(X, n_components=1, trim=0.13)
    np.testing.assert_array_equal(model.covariances_, again.covariances_)
    far = np.vstack([np.random.default_rng(0).normal(size=(50, 2)), [[1e200, 1e200]]])
    labels = np.append(np.zeros(50, dtype=int), -1)
    model = model_of(far, n_components=1, trim=0.05, init_params=labels)
    assert np.all(np.abs(model.means_) < 1)
    with pytest.warns(UserWarning, match="density zero"):
        assert model.predict(far)[-1] == -1


def test_models_are_kept_and_chosen(tmp_path):
    X, _ = with_outliers()
    model = model_of(X)
    model.save(tmp_path / "model.mixfast")
    np.testing.assert_array_equal(mixfast.load(tmp_path / "model.mixfast").predict(X), model.predict(X))
    np.testing.assert_array_equal(copy.deepcopy(model).predict(X), model.predict(X))
    result = fit_many([X, X[:200]], GaussianMixture(2, trim=0.1), random_state=0)
    assert [np.sum(own == -1) for own in result.predict([X, X[:200]])] == [30, 20]
    assert select(X, GaussianMixture(trim=0.1), n_components=[2], random_state=0).best_.trim == 0.1
    model.set_params(warm_start=True, max_iter=50)
    assert model.fit(X).lower_bound_ >= model.lower_bounds_[0] - 1e-12


# ---- criteria ----


@both
@pytest.mark.parametrize("weighs", [False, True])
def test_criteria_are_of_the_rows_that_are_kept(cls, weighs):
    X, _ = with_outliers()
    weight = np.random.default_rng(1).uniform(0.5, 2, len(X)) if weighs else np.ones(len(X))
    model = model_of(X, cls, sample_weight=weight if weighs else None, trim=0.13)
    log_density = model.score_samples(X)
    kept = kept_by_hand(log_density, weight, 0.13) * weight
    n, total = kept.sum(), kept @ log_density
    given = {"sample_weight": weight} if weighs else {}
    assert n == pytest.approx(0.87 * weight.sum())
    assert model.bic(X, **given) == pytest.approx(-2 * total + model.n_parameters * np.log(n), rel=1e-12)
    assert model.aic(X, **given) == pytest.approx(-2 * total + 2 * model.n_parameters, rel=1e-12)
    doubt = kept @ np.log(model.predict_proba(X).max(axis=1))
    assert model.icl(X, **given) == pytest.approx(model.bic(X, **given) - 2 * doubt, rel=1e-12)
    if not weighs and cls is GaussianMixture:
        X[np.argmin(log_density)] = 1e200  # of density zero, and left out as before
        with pytest.warns(UserWarning, match="density zero"):
            assert model.bic(X) == pytest.approx(-2 * total + model.n_parameters * np.log(n), rel=1e-12)


@pytest.mark.parametrize("criterion", ["bic", "aic", "icl", "heldout"])
def test_the_number_of_groups_is_that_of_the_rows_that_are_kept(criterion):
    X, _ = with_outliers()
    found = select(X, GaussianMixture(trim=0.1), n_components=[1, 2], criterion=criterion, random_state=0)
    assert found.best_params_ == {"n_components": 2}


def test_criteria_of_other_rows_are_not_compared():
    X, _ = with_outliers()
    with pytest.raises(ValueError, match=r"trim=\[None, 0.1\] says which rows criteria are of"):
        select(X, GaussianMixture(), n_components=[1, 2], trim=[None, 0.1])
    chosen = select(X, GaussianMixture(), n_components=[2], trim=[0.1], random_state=0)
    assert chosen.best_params_ == {"n_components": 2, "trim": 0.1}
    with pytest.raises(ValueError, match="they have to be here, in one array"):
        chosen.best_.bic(mixfast.blocks(X, block_rows=100))


def test_summaries_say_what_is_left_out():
    X, _ = with_outliers()
    model = model_of(X)
    found, labels = model.summary(X), model.predict(X)
    assert found.sizes.tolist() == np.bincount(labels[labels >= 0]).tolist()
    assert found.n_left_out == 30
    assert "left out" in str(found)
    assert found.log_likelihood == pytest.approx(np.sum(np.sort(model.score_samples(X))[30:]), rel=1e-9)
    assert found.bic == pytest.approx(model.bic(X))
    assert "left out" not in str(GaussianMixture(2, random_state=0).fit(X).summary(X))


HOLES = np.where(np.arange(60).reshape(20, 3) % 7 == 0, np.nan, np.arange(60.0).reshape(20, 3) ** 1.1)


@pytest.mark.parametrize(
    ("options", "X", "row_data", "said"),
    [
        ({"trim": 1.0}, with_outliers()[0], {}, "The 'trim' parameter"),
        ({"trim": -0.1}, with_outliers()[0], {}, "The 'trim' parameter"),
        ({"noise": "uniform"}, with_outliers()[0], {}, "set one of them to None"),
        ({}, with_outliers()[0], {"groups": np.arange(300) // 2}, "groups stay together"),
        ({}, HOLES, {}, "rows that have all entries"),
    ],
)
def test_what_cannot_be_is_said(options, X, row_data, said):
    with pytest.raises(ValueError, match=said):
        GaussianMixture(**({"n_components": 2, "trim": 0.1} | options)).fit(X, **row_data)


def test_rows_in_parts_are_refused():
    X, _ = with_outliers()
    model = model_of(X)
    for call in (
        lambda: model.statistics(X),
        lambda: GaussianMixture(2, trim=0.1).partial_fit(X),
        lambda: GaussianMixture(2, trim=0.1).fit(mixfast.blocks(X)),
    ):
        with pytest.raises(ValueError, match="a share of all rows"):
            call()
