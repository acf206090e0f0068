"""The fourteen shapes of covariances, from the same hard partitions as mclust 6.0.0 and without regularisation.

`data/golden_shapes.json` has log-likelihoods on the way and at the limit: by mclust's `me()`, but those of EVE and VVE,
which a program in NumPy of their own gave: mclust stops early in EVE, and its M-step of VVE is not one (it leaves the
volumes out of the weights of the scatters, and its likelihood can fall).
"""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from batches import assert_equals_alone
from test_batch_grids import assert_best_of_all
from test_mclust import partition, read

from mixfast import (
    BayesianGaussianMixture,
    GaussianMixture,
    Status,
    StudentTMixture,
    fit_many,
    load,
    partitions,
    reduce,
    select,
)
from mixfast._reference import shapes as twin
from mixfast.families._shapes import nearest
from mixfast.families.covariances import SHAPES

GOLDEN = json.loads((Path(__file__).parent / "data" / "golden_shapes.json").read_text())
CASES = GOLDEN["cases"]
ALIKE = {"EEE": "tied", "VVV": "full", "VVI": "diag", "VII": "spherical"}

every_shape = pytest.mark.parametrize("name", SHAPES)


def name_of(case):
    return f"{case['data']}-{case['model']}-{case['G']}"


def scatters(seed=0, K=3, d=4):
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(K, d, 2 * d)) * np.linspace(0.5, 2, d)[:, np.newaxis]
    return factors @ np.swapaxes(factors, 1, 2) / (2 * d), rng.dirichlet(np.full(K, 5.0))


def height(covariances, S, shares):
    """-2 / n times the expected log-likelihood, up to a constant."""
    traces = np.trace(np.linalg.solve(covariances, S), axis1=1, axis2=2)
    return shares @ (np.linalg.slogdet(covariances)[1] + traces)


def two_groups(n=300, d=3, seed=0):
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    return np.concatenate(
        [rng.normal(size=(n // 2, d)) * np.linspace(1, 3, d), 5 + rng.normal(size=(n - n // 2, d)) @ turn * 0.7]
    )


# ---- values of other programs ---------------------------------------------------------------------------------------


def fit(case, **options):
    X = read(case["data"])
    start = partition(X, case["G"])
    return GaussianMixture(case["G"], covariance_type=case["model"], reg_covar=0, init_params=start, **options).fit(
        X
    ), X


@pytest.mark.filterwarnings("ignore:.*did not converge")
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_the_log_likelihood_is_that_of_other_programs_on_the_way(case):
    """An inner loop ends where it is told to: mclust's of VEE at 1e-8, and EVE amplifies the digits of its axes, for it
    passes a saddle."""
    model, X = fit(case, max_iter=20, tol=0)
    rtol = {"VEE": 1e-7, "EVE": 1e-6}.get(case["model"], 1e-8)
    for n_iter, expected in case["loglik_after"].items():
        assert model.lower_bounds_[int(n_iter) - 1] * len(X) == pytest.approx(expected, rel=rtol)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_the_limit_is_that_of_other_programs(case):
    model, X = fit(case, max_iter=20_000, tol=1e-13)
    assert model.score(X) * len(X) == pytest.approx(case["loglik"], rel=1e-7)
    assert np.diff(model.lower_bounds_).min() >= -1e-12
    assert model._n_parameters() == case["df"]
    np.testing.assert_allclose(model.weights_, case["weights"], atol=1e-4)
    if "log_det" in case:
        np.testing.assert_allclose(X.shape[1] * np.log(model.scale_), case["log_det"], atol=1e-3)


def test_the_table_holds_all_shapes():
    assert {case["model"] for case in CASES} == {*SHAPES, "E", "V"}
    assert len(CASES) == 132


@pytest.mark.parametrize(
    "case", [case for case in GOLDEN["classes"] if case["model"] not in ("EVE", "VVE")], ids=lambda case: case["model"]
)
def test_known_classes_have_mclusts_covariances(case):
    """The M-step from classes: mclust's EDDA, whose inner loops end earlier."""
    X = read(case["data"])
    labels = np.repeat([0, 1, 2], 50)
    model = GaussianMixture(3, covariance_type=case["model"], reg_covar=0, init_params=labels, max_iter=0).fit(X)
    rtol = 1e-6 if case["model"] == "VEE" else 1e-7
    assert model.score(X) * len(X) == pytest.approx(case["loglik"], rel=rtol)
    np.testing.assert_allclose(4 * np.log(model.scale_), case["log_det"], atol=1e-3)


# ---- M-steps --------------------------------------------------------------------------------------------------------


@every_shape
@pytest.mark.parametrize("d", [1, 2, 5])
def test_the_m_step_is_the_twins(name, d):
    S, shares = scatters(1, 3, d)
    S = S * np.eye(d) if name.endswith("I") else S
    np.testing.assert_allclose(nearest(name, S, shares), twin.covariances(name, shares, S), rtol=1e-8, atol=1e-10)


@every_shape
def test_the_m_step_is_a_maximum_and_covariances_of_the_shape_are_nearest_to_themselves(name):
    S, shares = scatters()
    best = nearest(name, S, shares)
    np.testing.assert_allclose(nearest(name, best, shares), best, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(nearest(name, best, np.full(3, 1 / 3)), best, rtol=1e-9, atol=1e-11)
    rng = np.random.default_rng(2)
    for size in (1e-3, 1e-1):
        for _ in range(20):
            noise = size * rng.normal(size=S.shape)
            moved = (np.eye(4) + noise) @ best @ np.swapaxes(np.eye(4) + noise, 1, 2)
            other = nearest(name, moved, np.full(3, 1 / 3))
            assert height(other, S, shares) >= height(best, S, shares) - 1e-13


NESTED = [
    (a, b) for a in SHAPES for b in SHAPES if all("IEV".index(p) <= "IEV".index(q) for p, q in zip(a, b, strict=True))
]


@pytest.mark.parametrize(("name", "wider"), NESTED)
def test_what_shares_more_is_no_likelier(name, wider):
    S, shares = scatters(3)
    assert height(nearest(wider, S, shares), S, shares) <= height(nearest(name, S, shares), S, shares) + 1e-12


@every_shape
def test_covariances_share_what_their_letters_say(name):
    model = GaussianMixture(2, covariance_type=name, random_state=0).fit(two_groups())
    volume, variances, axes = name
    assert np.ptp(np.log(model.scale_)) < 1e-12 or volume == "V"
    assert np.ptp(np.log(model.shape_), axis=0).max() < 1e-9 or variances == "V"
    assert np.abs(np.log(model.shape_)).max() < 1e-12 or variances != "I"
    assert np.ptp(model.orientation_, axis=0).max() < 1e-9 or axes == "V"
    assert np.array_equal(model.orientation_[0], np.eye(3)) or axes != "I"
    made = [
        scale * own @ np.diag(shape) @ own.T
        for scale, shape, own in zip(model.scale_, model.shape_, model.orientation_, strict=True)
    ]
    np.testing.assert_allclose(made, model.covariances_, atol=1e-9)
    assert model.covariances_.shape == (2, 3, 3)
    for array in (model.scale_, model.shape_, model.orientation_):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize(("name", "theirs"), ALIKE.items())
@pytest.mark.parametrize("mixture", [GaussianMixture, StudentTMixture])
def test_four_shapes_are_scikit_learns_structures(mixture, name, theirs):
    X = two_groups()
    options = {"random_state": 0, "tol": 1e-10, "max_iter": 2000}
    one, other = (mixture(3, covariance_type=own, **options).fit(X) for own in (name, theirs))
    assert one.score(X) == pytest.approx(other.score(X), rel=1e-9)
    assert one.bic(X) == pytest.approx(other.bic(X), rel=1e-9)
    np.testing.assert_allclose(one.covariance_matrices(), other.covariance_matrices(), rtol=1e-4, atol=1e-6)


# ---- fits -----------------------------------------------------------------------------------------------------------


@every_shape
@pytest.mark.parametrize("mixture", [GaussianMixture, StudentTMixture])
def test_fits_are_the_same_bits_on_any_number_of_threads_and_in_batches(mixture, name):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(c, 1 + c / 9, (3000, 4)) for c in (0, 3, 9)])
    one, two = (mixture(3, covariance_type=name, random_state=0, n_threads=n).fit(X) for n in (1, 2))
    assert np.array_equal(one.covariances_, two.covariances_)
    for dtype in (np.float64, np.float32):
        problems = [X[:500].astype(dtype), X[400:3500].astype(dtype), X[5:9].astype(dtype)]
        assert_equals_alone(problems, mixture(3, covariance_type=name))


@every_shape
def test_extrapolation_ends_where_plain_em_does(name):
    X = two_groups(400)
    options = {"covariance_type": name, "random_state": 0, "tol": 1e-11, "max_iter": 5000}
    plain = GaussianMixture(2, **options).fit(X)
    fast = GaussianMixture(2, accelerate="auto", **options).fit(X)
    assert np.diff(fast.lower_bounds_).min() >= -1e-12
    assert fast.score(X) == pytest.approx(plain.score(X), abs=1e-8)


@every_shape
def test_float32_rows_far_from_the_origin_keep_their_digits(name):
    X = two_groups()
    exact = GaussianMixture(2, covariance_type=name, random_state=0).fit(X)
    far = (X + 1000).astype(np.float32)
    model = GaussianMixture(2, covariance_type=name, random_state=0).fit(far)
    assert model.score(far) == pytest.approx(exact.score(X), abs=1e-4)


@every_shape
def test_relative_regularization_knows_no_units(name):
    X = two_groups()
    units = np.array([1e-3, 1.0, 50.0]) if GaussianMixture(covariance_type=name)._family().column_units(
        np.array([1.0, 2.0, 3.0])
    )[1] == 2 else np.full(3, 1e4)  # fmt: skip
    options = {"covariance_type": name, "random_state": 0, "regularization": "relative", "tol": 1e-9, "max_iter": 3000}
    one, other = GaussianMixture(2, **options).fit(X), GaussianMixture(2, **options).fit(7 + X * units)
    assert other.lower_bound_ + np.log(units).sum() == pytest.approx(one.lower_bound_, abs=1e-7)
    np.testing.assert_allclose(other.covariances_, one.covariances_ * np.outer(units, units), rtol=1e-4, atol=1e-12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@every_shape
@pytest.mark.parametrize("mixture", [GaussianMixture, StudentTMixture])
def test_a_constant_column_is_repaired_within_the_shape(mixture, name):
    X = two_groups()
    X[:, 1] = 5.0
    model = mixture(2, covariance_type=name, random_state=0, reg_covar=0).fit(X)
    assert np.all(np.isfinite(model.covariances_))
    is_spherical = name.endswith("II")
    assert is_spherical or model.status_ & Status.REPAIRED_COVARIANCE
    shares = np.full(2, 0.5)
    np.testing.assert_allclose(nearest(name, model.covariances_, shares), model.covariances_, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", [name for name in SHAPES if name[1] == "V" or name[0] == "V"])
def test_a_component_of_equal_rows_is_repaired_and_spurious(name):
    X = two_groups()
    X[:4] = 40.0
    start = np.where(np.arange(len(X)) < 4, 0, 1 + (np.arange(len(X)) % 2))
    model = GaussianMixture(3, covariance_type=name, init_params=start, reg_covar=0, max_iter=30, tol=0)
    with pytest.warns(UserWarning, match="ill-defined|rows of its own|converge"):
        model.fit(X)
    assert model.status_ & Status.SPURIOUS_COMPONENT
    assert np.all(np.isfinite(model.covariances_))


@every_shape
def test_an_empty_component_is_of_the_shape(name):
    X = two_groups()
    eyes = np.full((3, 3, 3), np.eye(3))
    model = GaussianMixture(
        3,
        covariance_type=name,
        weights_init=np.full(3, 1 / 3),
        means_init=[X[0], X[-1], X[0] + 1e6],
        precisions_init=eyes,
        max_iter=5,
        tol=0,
    )
    with pytest.warns(UserWarning, match="lost all|no rows|converge"):
        model.fit(X)
    assert model.status_ & Status.EMPTIED_COMPONENT
    assert model.weights_[2] == 0
    shares = np.full(3, 1 / 3)
    np.testing.assert_allclose(nearest(name, model.covariances_, shares), model.covariances_, rtol=1e-6, atol=1e-9)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@every_shape
def test_a_degenerate_start_ends_in_finite_numbers(name):
    """Fewer rows than columns in a component, and rows that lie in a plane."""
    rng = np.random.default_rng(5)
    plane = rng.normal(size=(40, 2)) @ rng.normal(size=(2, 4))
    for X in (plane, rng.normal(size=(9, 4)), np.repeat(rng.normal(size=(3, 4)), 5, axis=0)):
        for scale in (1.0, 1e-60, 1e60):
            model = GaussianMixture(3, covariance_type=name, random_state=0, reg_covar=0).fit(X * scale)
            assert np.isfinite(model.lower_bound_)
            assert np.all(np.linalg.eigvalsh(model.covariances_ / model.scale_.max())[..., 0] > -1e-12)


# ---- what is made of fits -------------------------------------------------------------------------------------------


def test_select_compares_shapes():
    X = read("iris")
    chosen = select(X, GaussianMixture(), n_components=[2, 3], covariance_type=["EII", "VEV", "VVV"], random_state=0)
    assert chosen.best_params_ == {"n_components": 2, "covariance_type": "VEV"}
    assert -chosen.best_.bic(X) == pytest.approx(-561.7284621, abs=0.01)  # mclust's


def test_a_batch_fits_each_shape_by_its_own_m_step():
    problems = [read("iris"), two_groups(150, 4)]
    assert_best_of_all(problems, GaussianMixture(), "bic", n_components=[2, 3], covariance_type=["EII", *SHAPES[3:]])


@pytest.mark.parametrize(("n_features", "names"), [(1, {"E", "V"}), (3, set(SHAPES))])
def test_all_is_all_shapes(n_features, names):
    X = two_groups(60)[:, :n_features]
    options = {"n_components": [1, 2], "covariance_type": "all", "random_state": 0}
    assert {row["covariance_type"] for row in select(X, StudentTMixture(), **options).table} == names
    batch = fit_many([X, X[5:]], GaussianMixture(), keep="all", **options)
    assert {own.covariance_type for own in batch.candidates} == names
    with pytest.raises(ValueError, match="'covariance_type' parameter of BayesianGaussianMixture"):
        fit_many([X], BayesianGaussianMixture(), **options)


#: -2 log-likelihood + parameters log(n) of what mclust 6.0.0 chooses among all shapes and 1 to 9 components.
CHOSEN_BY_MCLUST = {"faithful": 2314.316296, "iris": 561.728462, "diabetes": 4751.316400, "acidity": 392.072311,
                    "galaxies": 446.982904}  # fmt: skip


@pytest.mark.parametrize("name", CHOSEN_BY_MCLUST)
def test_the_choice_is_mclusts_or_a_better_one_without_spurious_components(name):
    X = read(name)
    chosen = select(X, GaussianMixture(), covariance_type="all", random_state=0)
    assert chosen.best_.bic(X) <= CHOSEN_BY_MCLUST[name] + 0.01
    assert not chosen.best_.status_ & Status.SPURIOUS_COMPONENT


@pytest.mark.parametrize(("n", "d"), [(40, 1), (60, 3), (150, 2)])
def test_noise_is_one_component(n, d):
    for seed in range(3):
        X = np.random.default_rng(seed).normal(size=(n, d))
        chosen = select(X, GaussianMixture(), n_components=range(1, 5), covariance_type="all", random_state=0)
        assert chosen.best_params_["n_components"] == 1


def test_an_atom_of_one_column_is_spurious():
    """14 rows of faithful have one waiting time, along an axis that all components share."""
    X = read("faithful")
    chosen = select(X, GaussianMixture(), n_components=[2, 8], covariance_type=["VVE"], random_state=0)
    assert chosen.best_params_["n_components"] == 2


@every_shape
def test_models_are_kept_made_of_parameters_and_merged(name, tmp_path):
    X = two_groups()
    model = GaussianMixture(3, covariance_type=name, random_state=0).fit(X)
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert np.array_equal(again.covariances_, model.covariances_)
    assert again.score(X) == model.score(X)
    made = GaussianMixture.from_parameters(
        weights=model.weights_, means=model.means_, covariances=model.covariances_, covariance_type=name
    )
    assert made.score(X) == pytest.approx(model.score(X), rel=1e-12)
    fewer = reduce(model, 2)
    assert fewer.covariance_type == "VVV"
    assert fewer.weights_.sum() == pytest.approx(1)
    assert np.isfinite(fewer.score(X))


def test_covariances_of_another_shape_are_refused():
    model = GaussianMixture(2, random_state=0).fit(two_groups())
    given = {"weights": model.weights_, "means": model.means_, "covariances": model.covariances_}
    for name in set(SHAPES) - {"VVV"}:
        with pytest.raises(ValueError, match=f"covariances should be of the shape {name}"):
            GaussianMixture.from_parameters(**given, covariance_type=name)


@pytest.mark.parametrize(("name", "wide"), [("E", "EII"), ("V", "VII")])
def test_names_of_one_column_are_of_one_column(name, wide):
    X = two_groups()
    with pytest.raises(ValueError, match=f"covariance_type='{name}' is of one column, and X has 3: .*{wide}"):
        GaussianMixture(2, covariance_type=name).fit(X)
    one, other = (GaussianMixture(2, covariance_type=own, random_state=0).fit(X[:, :1]) for own in (name, wide))
    assert np.array_equal(one.covariances_, other.covariances_)


def test_shapes_hold_one_another_in_parameters():
    counts = {name: GaussianMixture(3, covariance_type=name)._family().n_covariance_parameters(3, 4) for name in SHAPES}
    assert counts["VVV"] == 30
    assert [counts[name] for name in ("EII", "EEI", "EEE")] == [1, 4, 10]
    for rising in (("EII", "EEI", "EVI", "VVI", "VVV"), ("EEE", "VEE", "VVE", "VVV"), ("EEE", "EEV", "EVV", "VVV")):
        assert all(counts[a] < counts[b] for a, b in pairwise(rising))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("seed", [0, 2, 3])
@pytest.mark.parametrize("accelerate", [None, "auto"])
def test_a_fit_whose_repairs_raise_and_lower_the_bound_in_turn_ends(accelerate, seed):
    """Components of fewer rows than columns: rounding decides on what is added to them, in every iteration anew."""
    X = np.random.default_rng(seed).normal(size=(30, 7))
    model = GaussianMixture(
        5, covariance_type="EVE", reg_covar=0, tol=1e-6, max_iter=3000, accelerate=accelerate, random_state=0
    ).fit(X)
    changes = np.diff(model.lower_bounds_)
    assert np.sum((changes[1:] >= 1e-6) & (changes[:-1] <= -1e-6)) <= 20
    assert model.n_iter_ < 200
    assert not model.converged_
    assert model.status_ & Status.LOWER_BOUND_FELL
    assert model.status_ & Status.MAX_ITER
    assert_equals_alone([X], model, seed=0)
    assert model.set_params(tol=0, max_iter=300).fit(X).n_iter_ == 300  # so many are asked for


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_checkpoints_do_not_change_when_such_a_fit_ends(tmp_path):
    X = np.random.default_rng(0).normal(size=(30, 7))
    model = GaussianMixture(5, covariance_type="EVE", reg_covar=0, tol=1e-6, max_iter=300, random_state=0)
    source = partitions.InMemory([X[:15], X[15:]])
    whole = partitions.fit(model, source)
    assert whole.n_iter_ < 300
    for every in (1, 7, 10):
        cut = partitions.fit(model, source, checkpoint=tmp_path / str(every), every=every)
        assert cut.lower_bounds_ == whole.lower_bounds_
