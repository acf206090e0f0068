"""A component of noise, `noise=`: R mclust's course and limits, starts, and what else of a model there is with noise.

`data/golden_noise.json` has mclust 6.0.0's log-likelihoods of `data/golden_noise.csv`, of EVE and VVE those of a
program in NumPy; the column `start` is 0 for rows that noise begins with, else the number of a component from 1.
"""

import copy
import json
import warnings
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import mixfast
from mixfast import GaussianMixture, MixtureMap, StudentTMixture, bootstrap_lrt, fit_many, select
from mixfast._reference.noise import volume_of
from mixfast.families.covariances import SHAPES
from mixfast.families.noise import Region
from mixfast.status import Status

DATA = Path(__file__).parent / "data"
GOLDEN = json.loads((DATA / "golden_noise.json").read_text())
TABLE = np.genfromtxt(DATA / "golden_noise.csv", delimiter=",", skip_header=1)
ROWS, START = TABLE[:, :2], np.where(TABLE[:, 2] == 0, -2, TABLE[:, 2] - 1).astype(int)

both = pytest.mark.parametrize("cls", [GaussianMixture, StudentTMixture])


def clusters_and_noise(n=360, d=3, seed=1):
    """(rows, labels): two groups and uniform rows about them, -1."""
    rng = np.random.default_rng(seed)
    sizes = [5 * n // 12, 5 * n // 12, n - 2 * (5 * n // 12)]
    parts = [rng.normal(size=(sizes[0], d)), 0.5 * rng.normal(size=(sizes[1], d)), rng.uniform(-15, 15, (sizes[2], d))]
    parts[1][:, 0] += 6
    return np.concatenate(parts), np.repeat([0, 1, -1], sizes)


def model_of(X, cls=GaussianMixture, n_components=2, sample_weight=None, **options):
    options = {"noise": "uniform", "random_state": 0} | options
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few iterations, perhaps
        return cls(n_components, **options).fit(X, sample_weight=sample_weight)


# ---- values of other programs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", GOLDEN, ids=[case["model"] for case in GOLDEN])
def test_the_course_and_the_limit_are_mclusts(case):
    options = {"covariance_type": case["model"], "init_params": START, "reg_covar": 0, "max_iter": 1000}
    # inner iterations: VEE of mclust stops early, EVE and VVE take another way to the same axes
    rtol = {"VEE": 1e-7, "EVE": 1e-6, "VVE": 1e-6}.get(case["model"], 1e-8)
    model = model_of(ROWS, tol=1e-14, **options)
    for n_steps, theirs in case["loglik_after"].items():
        if int(n_steps) <= len(model.lower_bounds_):
            assert model.lower_bounds_[int(n_steps) - 1] * len(ROWS) == pytest.approx(theirs, rel=rtol)
    assert model.lower_bound_ * len(ROWS) == pytest.approx(case["loglik"], rel=1e-7)
    assert 1 / model.noise_volume_ == pytest.approx(case["Vinv"], rel=1e-11)
    assert model.bic(ROWS) == pytest.approx(-case["bic"], rel=1e-7)
    np.testing.assert_allclose(model.weights_, case["weights"], atol=1e-5)
    assert model._n_parameters() == case["df"]


@pytest.mark.parametrize("case", GOLDEN, ids=[case["model"] for case in GOLDEN])
def test_without_a_first_guess_it_ends_where_mclust_ends_with_one(case):
    model = model_of(ROWS, covariance_type=case["model"], reg_covar=0, tol=1e-12, max_iter=1000)
    assert model.bic(ROWS) <= -case["bic"] + 1e-4


@pytest.mark.parametrize("d", [1, 2, 5])
def test_the_volume_is_that_of_the_smaller_box(d):
    rng = np.random.default_rng(d)
    rows = rng.normal(size=(50, d)) @ rng.normal(size=(d, d))
    region = Region.around(rows)
    assert np.exp(region.log_volume) == pytest.approx(volume_of(rows), rel=1e-10)
    assert abs(np.linalg.det(region.box[1:])) == pytest.approx(np.exp(region.log_volume), rel=1e-10)
    inside = np.linalg.solve(region.box[1:].T, (rows - region.box[0]).T)
    assert np.all((inside > -1e-9) & (inside < 1 + 1e-9))


# ---- laws of fits ---------------------------------------------------------------------------------------------------

OPTIONS = [
    {},
    *({"covariance_type": name} for name in ("tied", "diag", "spherical", "VEV")),
    {"regularization": "relative"},
    {"init_params": "random"},
    {"n_init": 4, "n_init_policy": "halving"},
    {"accelerate": "auto"},
    {"canonical_order": True},
    {"weights": [0.42, 0.41, 0.17]},
    {"noise_volume": 1e5},
    {"noise": 0.2},
]


@both
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_noise_is_found_and_the_objective_never_falls(cls, options):
    X, truth = clusters_and_noise()
    model = model_of(X, cls, tol=1e-9, max_iter=2000, reg_covar=0, **options)
    assert np.diff(model.lower_bounds_).min() > -1e-11
    assert model.score(X) == pytest.approx(model.lower_bound_, abs=1e-6)
    labels, resp = model.predict(X), model.predict_proba(X)
    assert np.mean((labels == -1) == (truth == -1)) > 0.95
    assert model.weights_.shape == (3,)
    assert resp.shape == (len(X), 3)
    np.testing.assert_array_equal(np.where(labels < 0, 2, labels), resp.argmax(axis=1))
    np.testing.assert_allclose(model.component_log_density(X)[:, 2], -np.log(model.noise_volume_), rtol=1e-12)
    np.testing.assert_allclose(resp.sum(axis=1), 1)


@both
def test_the_bits_are_those_of_any_number_of_threads(cls):
    X, _ = clusters_and_noise(5000)
    one, many = (model_of(X, cls, n_threads=n_threads) for n_threads in (1, 3))
    np.testing.assert_array_equal(one.means_, many.means_)
    np.testing.assert_array_equal(one.weights_, many.weights_)


def test_shifts_and_scales_move_the_bound_by_the_volume():
    X, _ = clusters_and_noise()
    scale = np.array([1e3, 1.0, 1e-3])
    options = {"regularization": "relative", "covariance_type": "diag", "tol": 1e-10, "max_iter": 500}
    one, other = model_of(X, **options), model_of(5 + scale * X, **options)
    assert other.lower_bound_ == pytest.approx(one.lower_bound_ - np.log(scale).sum(), abs=1e-6)
    assert np.mean(one.predict(X) == other.predict(5 + scale * X)) == 1


def test_float32_rows():
    X, truth = clusters_and_noise()
    model = model_of(X.astype(np.float32))
    assert model.weights_.dtype == model.predict_proba(X.astype(np.float32)).dtype == np.float32
    assert np.mean((model.predict(X.astype(np.float32)) == -1) == (truth == -1)) > 0.97


def test_rows_of_weight_zero_say_nothing():
    X, _ = clusters_and_noise()
    holes, weight = X.copy(), np.ones(len(X))
    holes[:3], weight[:3] = 1e9, 0
    model, other = model_of(X[3:]), GaussianMixture(2, noise="uniform", random_state=0)
    other.fit(holes, sample_weight=weight)
    assert other.noise_volume_ == model.noise_volume_
    np.testing.assert_allclose(other.means_, model.means_, rtol=1e-12)


def test_clusters_without_noise_keep_their_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2))
    X[200:, 0] += 8
    model = model_of(X)
    assert model.weights_[2] < 0.05
    assert not model.status_ & Status.SPURIOUS_COMPONENT  # noise needs no rows
    plain = GaussianMixture(2, random_state=0).fit(X)
    assert plain.bic(X) < model.bic(X)


def test_a_component_of_hardly_any_rows_is_spurious_beside_noise_too():
    X, _ = clusters_and_noise()
    X[-2:] = X[-3] + [[1e-6, 0, 0], [0, 1e-6, 0]]
    labels = np.concatenate([np.zeros(len(X) - 53, int), np.full(51, -2), np.ones(2, int)])
    model = model_of(X, init_params=labels, reg_covar=1e-12)
    assert model.status_ & Status.SPURIOUS_COMPONENT


@pytest.mark.parametrize("d", [1, 2, 4])
def test_one_gaussian_is_not_taken_for_noise_and_clusters(d):
    chosen = []
    for seed in range(5):
        X = np.random.default_rng([d, seed]).normal(size=(150, d))
        found = select(X, GaussianMixture(), n_components=[1, 2, 3], noise=[None, "uniform"], random_state=0)
        chosen.append(found.best_params_["n_components"])
    assert chosen == [1] * 5  # a box about them takes their tails now and then


# ---- what is known of rows ------------------------------------------------------------------------------------------


def test_rows_that_are_known_to_be_noise():
    X, truth = clusters_and_noise()
    known = np.full(len(X), -1)
    known[:10], known[150:160], known[300:310], known[20:25] = 0, 1, -2, -2
    model = GaussianMixture(2, noise="uniform", random_state=0).fit(X, known_labels=known)
    labels = model.predict(X, known_labels=known)
    assert np.all(labels[:10] == 0)
    assert np.all(labels[150:160] == 1)
    assert np.all(labels[known == -2] == -1)
    sets = np.ones((len(X), 3), dtype=bool)
    for number, k in ((0, 0), (1, 1), (-2, 2)):
        sets[known == number] = np.arange(3) == k
    same = GaussianMixture(2, noise="uniform", random_state=0).fit(X, known_labels=sets)
    np.testing.assert_array_equal(same.means_, model.means_)
    assert np.mean((model.predict(X) == -1) == (truth == -1)) > 0.95


def test_groups_are_noise_as_a_whole():
    X, _ = clusters_and_noise()
    groups = np.arange(len(X)) // 5
    model = GaussianMixture(2, noise="uniform", random_state=0).fit(X, groups=groups)
    labels = model.predict(X, groups=groups)
    assert np.all(labels == labels[groups * 5])
    assert np.any(labels == -1)


@pytest.mark.parametrize("noise", ["uniform", 0.1])
def test_labels_without_noise_are_given_some(noise):
    X, truth = clusters_and_noise()
    model = model_of(X, init_params=np.where(truth < 0, 0, truth), noise=noise)
    assert np.mean((model.predict(X) == -1) == (truth == -1)) > 0.95
    resp = np.eye(3)[truth]
    np.testing.assert_allclose(model_of(X, init_params=resp).means_, model.means_, atol=0.05)


# ---- what there is of a model ---------------------------------------------------------------------------------------


@both
def test_models_are_kept(cls, tmp_path):
    X, _ = clusters_and_noise()
    model = model_of(X, cls)
    model.save(tmp_path / "model.mixfast")
    for again in (mixfast.load(tmp_path / "model.mixfast"), copy.deepcopy(model)):
        np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
        np.testing.assert_array_equal(again.sample(50, 0)[0], model.sample(50, 0)[0])
    parameters = {"weights": model.weights_, "means": model.means_, "covariances": model.covariances_}
    if cls is StudentTMixture:
        parameters["degrees_of_freedom"] = model.degrees_of_freedom_
    given = cls.from_parameters(**parameters, noise="uniform", noise_volume=model.noise_volume_)
    np.testing.assert_allclose(given.score_samples(X), model.score_samples(X), rtol=1e-9)
    drawn, labels = given.sample(2000, 0)
    assert set(labels) == {-1, 0, 1}
    assert np.prod(np.ptp(drawn[labels == -1], axis=0)) == pytest.approx(model.noise_volume_, rel=0.2)


def test_noise_is_drawn_in_its_box():
    X, _ = clusters_and_noise()
    model = model_of(X)
    drawn, labels = model.sample(20_000, random_state=0)
    assert np.mean(labels == -1) == pytest.approx(model.weights_[2], abs=0.02)
    inside = np.linalg.solve(model.noise_box_[1:].T, (drawn[labels == -1] - model.noise_box_[0]).T)
    assert np.all((inside >= 0) & (inside <= 1))
    model.noise_volume_ = 8 * model.noise_volume_  # the box is as large as that says, about its centre
    more = model.sample(20_000, random_state=0)
    np.testing.assert_allclose(np.ptp(more[0][more[1] == -1], axis=0) / np.ptp(drawn[labels == -1], axis=0), 2)


def test_components_are_shown_without_noise():
    X, _ = clusters_and_noise()
    model = model_of(X)
    assert MixtureMap.from_estimator(model).overlap.shape == (2, 2)
    assert len(model.to_frame()) == 2 * 3
    assert "noise" in str(model.summary(X))
    assert model.summary(X).sizes.tolist() == np.bincount(model.predict(X) % 3, minlength=3).tolist()
    assert model._repr_html_()


def test_warm_starts_go_on():
    X, _ = clusters_and_noise()
    model = model_of(X, warm_start=True, max_iter=2)
    before = model.lower_bound_
    assert model.fit(X).lower_bound_ > before


def test_batches_and_choices(tmp_path):
    X, _ = clusters_and_noise()
    estimator = GaussianMixture(2, noise="uniform", random_state=0)
    result = fit_many([X, X[:330]], estimator, random_state=0)
    assert result.weights.shape == (2, 3)
    alone = copy.deepcopy(estimator).set_params(random_state=int(result.seeds[1])).fit(X[:330])
    np.testing.assert_array_equal(result[1].means_, alone.means_)
    assert result[1].noise_volume_ == alone.noise_volume_
    np.testing.assert_array_equal(result.predict([X, X[:330]])[1], alone.predict(X[:330]))
    result.save(tmp_path / "batch.mixfast")
    np.testing.assert_array_equal(mixfast.load(tmp_path / "batch.mixfast")[1].predict(X), alone.predict(X))
    chosen = select(X, GaussianMixture(), n_components=[1, 2, 3], noise=[None, "uniform"], random_state=0)
    assert chosen.best_params_ == {"n_components": 2, "noise": "uniform"}
    assert 0 < bootstrap_lrt(X[:300], estimator, 1, n_bootstrap=3).p_value <= 1
    with pytest.raises(ValueError, match="Choose by `select`"):
        fit_many([X, X], estimator, n_components=[1, 2])


def test_sums_and_batches_of_rows():
    X, _ = clusters_and_noise()
    model = model_of(X, tol=1e-10, max_iter=500)
    stepped = copy.deepcopy(model)
    stepped.update(model.statistics(X[:100]) + model.statistics(X[100:]))
    np.testing.assert_allclose(stepped.means_, model.means_, atol=1e-4)
    np.testing.assert_allclose(stepped.weights_, model.weights_, atol=1e-4)
    options = {"noise": "uniform", "random_state": 0}
    with pytest.raises(ValueError, match="set noise_volume"):
        GaussianMixture(2, **options).partial_fit(X)
    with pytest.raises(ValueError, match="set noise_volume"):
        GaussianMixture(2, **options).fit(mixfast.blocks(X))
    parts = GaussianMixture(2, **options, noise_volume=model.noise_volume_, tol=1e-10, max_iter=500)
    np.testing.assert_allclose(parts.fit(mixfast.blocks(X)).weights_, model.weights_, atol=1e-4)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_given_volume_is_in_the_units_that_rows_of_partitions_are_summed_in():
    X = clusters_and_noise()[0] * [1.0, 10.0, 100.0]
    options = {"noise": "uniform", "noise_volume": 1e7, "regularization": "relative", "random_state": 0, "tol": 0}
    model = GaussianMixture(2, **options, max_iter=0, warm_start=True).fit(X).set_params(max_iter=5)
    whole = copy.deepcopy(model).fit(X)
    there = copy.deepcopy(model).fit(mixfast.partitions.InMemory([X[:100], X[100:]]))
    np.testing.assert_allclose(there.weights_, whole.weights_, rtol=1e-11)
    np.testing.assert_allclose(there.lower_bounds_, whole.lower_bounds_, rtol=1e-11)
    assert 0.01 < whole.weights_[-1] < 0.99


HOLES = np.where(np.arange(60).reshape(20, 3) % 3 == 1, np.nan, np.arange(60.0).reshape(20, 3) ** 1.1)


@pytest.mark.parametrize(
    ("options", "X", "said"),
    [
        ({"noise": 1.0}, ROWS, "The 'noise' parameter"),
        ({"noise": "poisson"}, ROWS, "The 'noise' parameter"),
        ({"noise_volume": -1.0}, ROWS, "The 'noise_volume' parameter"),
        ({"noise": None, "noise_volume": 2.0}, ROWS, "noise is None: set noise"),
        ({}, np.column_stack([ROWS, np.ones(len(ROWS))]), "leave out columns that do not vary"),
        ({}, np.column_stack([ROWS, ROWS.sum(axis=1)]), "there is none that has a volume"),
        ({"noise_volume": 10.0}, np.column_stack([ROWS, np.ones(len(ROWS))]), "there is none that has a volume"),
        ({}, np.random.default_rng(0).normal(size=(8, 12)), "8 rows of 12 columns"),
        ({}, 1e200 * ROWS, "set noise_volume|moderate size"),
        ({}, HOLES, "column 1 has no entry in any row"),
        ({}, np.where(HOLES == HOLES[2, 0], np.nan, np.column_stack([HOLES[:, [0, 2]], np.ones(20)])), "has a volume"),
        ({"init_params": "random_from_data"}, ROWS, "take 'kmeans', 'k-means\\+\\+' or 'random', or labels"),
        ({"init_params": np.full(len(ROWS), 3)}, ROWS, r"range \[-1, 2\]"),
        ({"init_params": np.full(len(ROWS), -2)}, ROWS, "gives no rows to component 0"),
    ],
)
def test_what_cannot_be_is_said(options, X, said):
    with pytest.raises(ValueError, match=said):
        GaussianMixture(**({"n_components": 2, "noise": "uniform"} | options)).fit(X)


def test_parameters_alone_say_no_volume():
    with pytest.raises(ValueError, match="noise_volume=None"):
        GaussianMixture.from_parameters(weights=[0.5, 0.5], means=[[0.0]], covariances=[[[1.0]]], noise="uniform")


# ---- columns by themselves, and missing entries ----------------------------------------------------------------------


def with_holes(X, share=0.15, seed=0):
    rng = np.random.default_rng(seed)
    X = np.where(rng.random(X.shape) < share, np.nan, X)
    X[4] = np.nan
    return X


@both
def test_columns_by_themselves_have_the_noise_of_their_sides(cls):
    X, _ = clusters_and_noise()
    model = model_of(X, cls)
    sides = np.diag(model.noise_box_[1:])
    own = model.marginal([2, 0])
    assert own.noise_volume_ == pytest.approx(sides[0] * sides[2], rel=1e-12)
    np.testing.assert_array_equal(own.noise_box_, model.noise_box_[np.ix_([0, 3, 1], [2, 0])])
    assert own.noise_volume is None
    # a grid over the other column, as wide as noise is
    grid = np.linspace(model.noise_box_[0, 1], model.noise_box_[0, 1] + sides[1], 20_001)
    for row in X[[0, 200, 350]]:
        joint = np.exp(model.score_samples(np.column_stack(np.broadcast_arrays(row[0], grid, row[2]))))
        assert np.trapezoid(joint, grid) == pytest.approx(np.exp(own.score_samples([row[[2, 0]]])[0]), rel=2e-3)
    given = model_of(X, cls, noise_volume=1e4)
    assert given.marginal([0, 1]).noise_volume == pytest.approx(np.prod(np.diag(given.noise_box_[1:])[:2]))


@both
def test_given_some_columns_noise_has_the_sides_of_the_others(cls):
    X, _ = clusters_and_noise()
    model = model_of(X, cls)
    given = model.condition([0], [1.0])
    sides = np.diag(model.noise_box_[1:])
    assert given.noise_volume_ == pytest.approx(sides[1] * sides[2], rel=1e-12)
    there = model.marginal(0)
    rows = np.column_stack([np.ones(len(X)), X[:, 1:]])
    np.testing.assert_allclose(
        given.score_samples(X[:, 1:]), model.score_samples(rows) - there.score_samples([[1.0]]), rtol=1e-9
    )
    np.testing.assert_allclose(given.weights_, there.predict_proba([[1.0]])[0], rtol=1e-9)
    centre = model.noise_box_[0] + sides / 2
    wanted = given.weights_[:2] @ given.means_ + given.weights_[2] * centre[1:]
    np.testing.assert_allclose(model.conditional_mean([[1.0]], 0)[0], wanted, rtol=1e-9)


@both
def test_the_distribution_function_has_noise_in_its_interval(cls):
    X, _ = clusters_and_noise()
    model = model_of(X, cls).marginal(0)
    drawn = model.sample(200_000, random_state=0)[0]
    values = np.linspace(-14, 14, 9)[:, np.newaxis]
    # the largest distance of 200,000 draws is below 0.005 with probability 0.9999
    np.testing.assert_allclose(model.cdf(values), np.mean(drawn <= values.T, axis=0), atol=0.005)
    np.testing.assert_allclose(model.cdf(model.ppf([0.01, 0.5, 0.99])[:, np.newaxis]), [0.01, 0.5, 0.99], rtol=1e-9)


@both
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random"])
def test_rows_with_missing_entries_have_the_noise_of_what_is_there(cls, init_params):
    X, labels = clusters_and_noise()
    holes = with_holes(X)
    model = model_of(holes, cls, init_params=init_params, max_iter=300, tol=1e-9, reg_covar=0)
    bounds = np.array(model.lower_bounds_)
    assert np.all(np.diff(bounds) > -1e-9 * np.abs(bounds[1:]))
    low, high = np.nanmin(holes, axis=0), np.nanmax(holes, axis=0)
    np.testing.assert_allclose(model.noise_box_, np.vstack([low, np.diag(high - low)]), rtol=1e-12)
    for row in holes[:20]:
        there = np.flatnonzero(~np.isnan(row))
        if len(there):
            wanted = model.marginal(there.tolist()).score_samples([row[there]])
            np.testing.assert_allclose(model.score_samples([row]), wanted, rtol=1e-8)
    np.testing.assert_allclose(model.predict_proba(holes)[4], model.weights_, atol=1e-12)
    if init_params != "random":
        assert np.mean((model.predict(holes) < 0) == (labels < 0)) > 0.9
        assert model.weights_[2] == pytest.approx(1 / 6, abs=0.03)


def test_rows_with_missing_entries_have_the_same_bits_in_any_number_of_threads():
    holes = with_holes(np.tile(clusters_and_noise()[0], (5, 1)) + np.arange(1800)[:, np.newaxis] / 1e4)
    one, three = (model_of(holes, n_threads=n) for n in (1, 3))
    np.testing.assert_array_equal(one.means_, three.means_)
    np.testing.assert_array_equal(one.weights_, three.weights_)


@both
def test_what_is_missing_is_filled_from_components_and_noise(cls):
    X, _ = clusters_and_noise()
    holes = with_holes(X)
    model = model_of(holes, cls)
    filled, drawn = model.impute(holes), model.sample_missing(holes[:6], n_draws=20_000, random_state=0)
    there = ~np.isnan(holes)
    np.testing.assert_array_equal(filled[there], holes[there])
    np.testing.assert_array_equal(drawn[:, there[:6]], np.broadcast_to(holes[:6][there[:6]], (20_000, there[:6].sum())))
    spread = drawn.std(axis=0) / np.sqrt(20_000)
    assert np.all(np.abs(drawn.mean(axis=0) - filled[:6]) <= 5 * spread + 1e-12)
    far = np.array([[14.0, np.nan, np.nan]])  # only noise is there
    low, high = model.noise_box_[0], model.noise_box_.sum(axis=0)
    drawn = model.sample_missing(far, n_draws=4000, random_state=0)[:, 0]
    assert np.all((drawn[:, 1:] >= low[1:]) & (drawn[:, 1:] <= high[1:]))
    assert np.all(np.ptp(drawn[:, 1:], axis=0) > 0.99 * (high - low)[1:])


def test_a_number_for_the_volume_is_that_of_a_box_with_sides_in_proportion():
    X, _ = clusters_and_noise()
    holes = with_holes(X)
    own, given = model_of(holes), model_of(holes, noise_volume=1e3)
    assert given.noise_volume_ == 1e3
    sides, given_sides = (np.diag(model.noise_box_[1:]) for model in (own, given))
    assert np.prod(given_sides) == pytest.approx(1e3)
    np.testing.assert_allclose(given_sides / given_sides[0], sides / sides[0])


def test_a_box_along_principal_axes_says_nothing_of_columns_by_themselves():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(200, 2)), rng.uniform(-9, 9, (60, 2))]) @ np.array([[2.0, 2.0], [-0.1, 0.1]])
    model = model_of(X)
    holes = X[:5].copy()
    holes[0, 1] = np.nan
    calls = (
        lambda: model.marginal(0),
        lambda: model.condition(0, 1.0),
        lambda: model.conditional_mean(X[:, :1], 0),
        lambda: model.impute(holes),
        lambda: model.sample_missing(holes),
        lambda: model.predict(holes),
    )
    for call in calls:
        with pytest.raises(ValueError, match="box along the principal axes of the rows, noise_box_"):
            call()
    np.testing.assert_array_equal(model.impute(X), X)
    volume = model.noise_volume_
    model.noise_box_ = np.vstack([X.min(axis=0), np.diag(np.ptp(X, axis=0))])
    for call in calls:
        call()
    assert model.noise_volume_ == volume


@both
def test_seeds_alone_are_a_start_beside_noise(cls):
    X, labels = clusters_and_noise()
    best = model_of(X, cls, init_params=np.where(labels < 0, -2, labels), tol=1e-8, max_iter=500)
    for seed in range(5):
        model = model_of(X, cls, init_params="k-means++", random_state=seed, tol=1e-8, max_iter=500)
        assert model.lower_bound_ == pytest.approx(best.lower_bound_, abs=1e-4)


def test_sums_and_choices_take_rows_with_missing_entries():
    X, _ = clusters_and_noise()
    holes = with_holes(X)
    step, model = (model_of(holes, max_iter=n, tol=0.0) for n in (4, 3))
    model.update(model.statistics(holes[:100]) + model.statistics(holes[100:]))
    np.testing.assert_allclose(model.means_, step.means_, rtol=1e-9)
    np.testing.assert_allclose(model.weights_, step.weights_, rtol=1e-9)
    chosen = select(holes, GaussianMixture(noise="uniform", random_state=0), n_components=[1, 2, 3])
    assert chosen.best_.n_components == 2


def test_noise_begins_with_a_row_at_least_and_anew_in_warm_starts():
    X = np.random.default_rng(3).normal(size=(400, 2))
    little = GaussianMixture(1, noise=0.001, random_state=0).fit(X)
    assert little.weights_[-1] > 0
    assert little.predict([[1e3, 1e3]]) == [-1]
    lost = GaussianMixture(1, noise=0.001, random_state=0, warm_start=True).fit(X)
    lost.weights_ = [1.0, 0.0]
    far = np.random.default_rng(4).uniform(-30, 30, size=(100, 2))
    with pytest.warns(UserWarning, match="Noise had lost all its rows"):
        lost.fit(np.concatenate([X, far]))
    assert lost.weights_[-1] > 0.1


@pytest.mark.parametrize("volume", [np.nan, np.inf, 0.0, -1.0, "large"])
def test_an_assigned_volume_is_a_number_above_zero(volume):
    model = GaussianMixture(2, noise="uniform", random_state=0).fit(ROWS)
    model.noise_volume_ = volume
    for method in (model.predict, model.score_samples):
        with pytest.raises(ValueError, match="noise_volume_ should be a finite number above zero"):
            method(ROWS)


STRUCTURES = ["full", "tied", "diag", "spherical", *SHAPES]


@pytest.mark.parametrize("groups", [False, True])
@pytest.mark.parametrize(
    ("cls", "covariance_type"),
    [*product([GaussianMixture, StudentTMixture], STRUCTURES), (GaussianMixture, "factor")],
)
def test_where_all_rows_are_noise_components_are_empty(cls, covariance_type, groups):
    X, _ = clusters_and_noise(n=60)
    data = {"groups": np.arange(60) // 3} if groups else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = cls(2, covariance_type=covariance_type, noise=0.5, noise_volume=1e-280, random_state=0).fit(X, **data)
    assert model.status_ & Status.EMPTIED_COMPONENT
    np.testing.assert_array_equal(model.weights_, [0, 0, 1])
    assert np.all(np.isfinite(model.covariances_))


def test_the_region_of_weighted_rows_is_that_of_repeated_ones():
    rng = np.random.default_rng(4)
    X, weights = rng.normal(size=(60, 3)) @ rng.normal(size=(3, 3)), rng.integers(1, 4, 60)
    repeated, plain = Region.around(np.repeat(X, weights, axis=0)), Region.around(X)
    assert repeated.log_volume != pytest.approx(plain.log_volume, abs=1e-6)
    assert Region.around(X, weights).log_volume == pytest.approx(repeated.log_volume, rel=1e-12)
    weighted = model_of(X, sample_weight=weights).noise_volume_
    assert weighted == pytest.approx(np.exp(repeated.log_volume), rel=1e-12)
