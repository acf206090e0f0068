"""With regularization="relative" a fit does not depend on the units of the columns; with "absolute" it is as it was."""

import re
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from mixfast import GaussianMixture, Status
from mixfast._em import EM
from mixfast.engine._rows import Rows
from mixfast.families.gaussian import STRUCTURES
from mixfast.units import DataUnits, StandardUnits, column_moments

EPS = np.finfo(np.float64).eps
RNG = np.random.default_rng(0)
LABELS = np.arange(600) % 3
CENTRES = np.array([[4.0, 0, 0, 1], [0, 5, 0, 2], [-3, 0, 6, 3]])
ROWS = RNG.normal(size=(600, 4)) * [1, 2, 3, 0.5] + CENTRES[LABELS] + 0.3 * RNG.normal(size=(600, 1))
WEIGHTS = RNG.uniform(0.5, 2, 600)
TYPES = ["full", "tied", "diag", "spherical"]
STARTS = ["kmeans", "k-means++", "random", "random_from_data"]
PARAMETERS = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")

every_type = pytest.mark.parametrize("covariance_type", TYPES)
pytestmark = pytest.mark.filterwarnings("ignore:Best performing initialization did not converge")


def relative(covariance_type="full", n_components=3, **options):
    """Twenty iterations, whatever the lower bound does: a rounding cannot stop one fit before another."""
    options = {"tol": 0, "max_iter": 20, "random_state": 0, "init_params": LABELS, **options}
    return GaussianMixture(n_components, covariance_type=covariance_type, regularization="relative", **options)


def scales(covariance_type, scale):
    """One for all columns, where columns cannot have scales of their own."""
    return np.full(4, scale[0]) if covariance_type == "spherical" else np.asarray(scale)


def in_units(model, scale, shift):
    """Means and covariances (as matrices) in units of the columns."""
    return (model.means_ - shift) / scale, model.covariance_matrices() / scale / scale[:, np.newaxis]


def assert_same_model(model, plain, scale, shift, rtol):
    """Of rows scale * x + shift and of rows x: to `rtol` of the columns' own size."""
    np.testing.assert_allclose(model.weights_, plain.weights_, rtol=rtol)
    for got, wanted in zip(in_units(model, scale, shift), in_units(plain, np.ones(4), 0), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=rtol, atol=10 * rtol)
    volume = np.log(scale).sum()
    np.testing.assert_allclose(np.add(model.lower_bounds_, volume), plain.lower_bounds_, rtol=rtol, atol=rtol)
    assert model.lower_bound_ == model.lower_bounds_[-1]
    assert model.status_ == plain.status_


# ---- laws -----------------------------------------------------------------------------------------------------------


@every_type
@pytest.mark.parametrize("init_params", STARTS)
@pytest.mark.parametrize("powers", [[3, -5, 10, 0], [498, 0, -498, 7], [-498] * 4, [498] * 4])
def test_powers_of_two_change_no_bit_of_the_fit(powers, init_params, covariance_type):
    scale = scales(covariance_type, 2.0 ** np.array(powers))
    plain = relative(covariance_type, init_params=init_params).fit(ROWS, sample_weight=WEIGHTS)
    model = relative(covariance_type, init_params=init_params).fit(ROWS * scale, sample_weight=WEIGHTS)
    np.testing.assert_array_equal(model.weights_, plain.weights_)
    np.testing.assert_array_equal(model.means_, plain.means_ * scale)
    np.testing.assert_array_equal(model.covariance_matrices(), plain.covariance_matrices() * scale[:, None] * scale)
    np.testing.assert_array_equal(model.predict(ROWS * scale), plain.predict(ROWS))
    # only the logarithm of the scale is rounded, for each column
    volume = np.log(scale).sum()
    np.testing.assert_allclose(
        np.add(model.lower_bounds_, volume),
        plain.lower_bounds_,
        rtol=8 * EPS,
        atol=8 * EPS * np.abs(np.log(scale)).sum(),
    )


units = st.sampled_from([1e-150, 1e-7, 0.3, 1.0, 17.0, 1e9, 1e150])
offsets = st.sampled_from([0.0, 1.0, -33.3, 1e6, -1e6])  # in standard deviations


@settings(derandomize=True, max_examples=100, deadline=None)
@given(
    covariance_type=st.sampled_from(TYPES),
    init_params=st.sampled_from(["kmeans", "random"]),
    scale=st.lists(units, min_size=4, max_size=4),
    shift=st.lists(offsets, min_size=4, max_size=4),
)
def test_shifting_and_scaling_columns_leaves_labels_and_moves_bounds_by_the_volume(
    covariance_type, init_params, scale, shift
):
    scale = scales(covariance_type, scale)
    shift = np.array(shift) * ROWS.std(axis=0) * scale
    plain = relative(covariance_type, init_params=init_params).fit(ROWS)
    model = relative(covariance_type, init_params=init_params).fit(ROWS * scale + shift)
    # adding 1e6 standard deviations rounds the rows to 1e6 eps of one, and twenty iterations spread it
    assert_same_model(model, plain, scale, shift, rtol=3e-9)
    np.testing.assert_array_equal(model.predict(ROWS * scale + shift), plain.predict(ROWS))


@every_type
def test_without_a_shift_an_arbitrary_scale_changes_rounding_only(covariance_type):
    plain = relative(covariance_type).fit(ROWS)
    for scale in ([1e-150] * 4, [1e150] * 4, [1e150, 0.1, 1e-150, 3.7]):
        scale = scales(covariance_type, scale)
        assert_same_model(relative(covariance_type).fit(ROWS * scale), plain, scale, 0, rtol=1e-12)


@every_type
def test_the_order_of_rows_does_not_matter(covariance_type):
    order = np.random.default_rng(1).permutation(600)
    plain = relative(covariance_type).fit(ROWS, sample_weight=WEIGHTS)
    model = relative(covariance_type, init_params=LABELS[order]).fit(ROWS[order], sample_weight=WEIGHTS[order])
    assert_same_model(model, plain, np.ones(4), 0, rtol=1e-11)
    np.testing.assert_array_equal(model.predict(ROWS), plain.predict(ROWS))


@every_type
def test_the_order_of_columns_does_not_matter(covariance_type):
    order = [2, 0, 3, 1]
    start = given_start(covariance_type, np.ones(4), 0)
    precisions = start["precisions_init"]
    permuted = {
        "full": lambda: precisions[:, order][:, :, order],
        "tied": lambda: precisions[order][:, order],
        "diag": lambda: precisions[:, order],
        "spherical": lambda: precisions,
    }[covariance_type]()
    plain = relative(covariance_type, **start).fit(ROWS)
    start |= {"means_init": CENTRES[:, order], "precisions_init": permuted}
    model = relative(covariance_type, **start).fit(ROWS[:, order])
    np.testing.assert_allclose(model.lower_bounds_, plain.lower_bounds_, rtol=1e-12)
    np.testing.assert_allclose(model.means_, plain.means_[:, order], rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(
        model.covariance_matrices(), plain.covariance_matrices()[:, order][:, :, order], rtol=1e-9, atol=1e-11
    )
    np.testing.assert_array_equal(model.predict(ROWS[:, order]), plain.predict(ROWS))


@every_type
def test_a_weight_of_two_equals_the_row_twice_and_of_zero_no_row(covariance_type):
    repeats = np.random.default_rng(2).integers(0, 3, 600)
    weighted = relative(covariance_type).fit(ROWS, sample_weight=repeats)
    repeated = relative(covariance_type, init_params=np.repeat(LABELS, repeats)).fit(np.repeat(ROWS, repeats, axis=0))
    assert_same_model(weighted, repeated, np.ones(4), 0, rtol=1e-11)


@every_type
def test_it_is_the_absolute_fit_of_standardised_columns(covariance_type):
    mean = np.average(ROWS, axis=0, weights=WEIGHTS)
    variance = np.average((ROWS - mean) ** 2, axis=0, weights=WEIGHTS)
    scale = np.sqrt(np.full(4, variance.mean()) if covariance_type == "spherical" else variance)
    model = relative(covariance_type, reg_covar=0.05).fit(ROWS, sample_weight=WEIGHTS)
    standard = relative(covariance_type, reg_covar=0.05).set_params(regularization="absolute")
    standard.fit((ROWS - mean) / scale, sample_weight=WEIGHTS)
    assert_same_model(model, standard, scale, mean, rtol=1e-11)
    np.testing.assert_array_equal(model.predict(ROWS), standard.predict((ROWS - mean) / scale))


@every_type
def test_reg_covar_is_in_units_of_the_variance_of_the_columns(covariance_type):
    model = relative(covariance_type, n_components=1, init_params="kmeans", reg_covar=0.5, max_iter=3).fit(ROWS)
    plain = GaussianMixture(1, covariance_type=covariance_type, reg_covar=0).fit(ROWS)
    variance = ROWS.var(axis=0)
    added = 0.5 * (np.full(4, variance.mean()) if covariance_type == "spherical" else variance)
    np.testing.assert_allclose(
        model.covariance_matrices()[0], plain.covariance_matrices()[0] + np.diag(added), rtol=1e-10, atol=1e-12
    )


@every_type
@pytest.mark.parametrize("accelerate", [None, "auto"])
def test_what_is_published_fits_together(accelerate, covariance_type):
    scale = scales(covariance_type, [1e3, 1e-4, 1.0, 7.0])
    X = ROWS * scale + 50 * scale
    model = relative(covariance_type, tol=1e-12, max_iter=10_000, accelerate=accelerate).fit(X, sample_weight=WEIGHTS)
    assert model.converged_
    assert model.score(X, sample_weight=WEIGHTS) == pytest.approx(model.lower_bound_, abs=1e-9)
    family = STRUCTURES[covariance_type]()
    np.testing.assert_allclose(
        model.precisions_cholesky_,
        family.factor_covariances(model.covariances_),
        rtol=1e-9,
        atol=1e-9 / scale.min(),
    )
    np.testing.assert_allclose(model.precisions_, family.precisions(model.precisions_cholesky_), rtol=1e-12)
    assert np.diff(model.lower_bounds_).min() > -1e-12


# ---- starts ---------------------------------------------------------------------------------------------------------


def given_start(covariance_type, scale, shift):
    """Weights, means and precisions of three components, in the units of scale * x + shift."""
    factor = 0.3 * np.random.default_rng(3).normal(size=(3, 4, 4))
    matrices = np.diag(1 / ROWS.var(axis=0)) + factor @ np.swapaxes(factor, 1, 2)
    matrices = matrices / scale / scale[:, np.newaxis]
    precisions = {
        "full": matrices,
        "tied": matrices[0],
        "diag": np.diagonal(matrices, axis1=1, axis2=2),
        "spherical": np.array([0.1, 0.2, 0.3]) / scale[0] ** 2,
    }[covariance_type]
    return {"weights_init": [0.2, 0.5, 0.3], "means_init": CENTRES * scale + shift, "precisions_init": precisions}


@every_type
def test_a_start_of_no_iterations_is_given_back_in_the_units_of_the_data(covariance_type):
    scale, shift = scales(covariance_type, [1e-3, 20.0, 1e5, 1.0]), np.array([1.0, -3000.0, 0.0, 4.0])
    start = given_start(covariance_type, scale, shift)
    model = relative(covariance_type, max_iter=0, **start).fit(ROWS * scale + shift)
    np.testing.assert_allclose(model.weights_, start["weights_init"], rtol=1e-12)
    np.testing.assert_allclose(model.means_, start["means_init"], rtol=1e-12, atol=1e-12 * scale.max())
    np.testing.assert_allclose(model.precisions_, start["precisions_init"], rtol=1e-9)


@every_type
@pytest.mark.parametrize("names", [("means_init",), ("precisions_init",), ("means_init", "precisions_init"),
                                   ("weights_init", "means_init", "precisions_init")])  # fmt: skip
def test_a_given_start_moves_with_the_units(names, covariance_type):
    scale, shift = scales(covariance_type, [1e-3, 20.0, 1e5, 1.0]), np.array([1.0, -300.0, 0.0, 4.0])
    starts = (given_start(covariance_type, *how) for how in ((np.ones(4), 0), (scale, shift)))
    plain, model = (
        relative(covariance_type, **{name: start[name] for name in names}).fit(X)
        for start, X in zip(starts, (ROWS, ROWS * scale + shift), strict=True)
    )
    # the shift is 1,000 standard deviations of the first column
    assert_same_model(model, plain, scale, shift, rtol=1e-10)


@every_type
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_warm_start_goes_on_where_the_fit_stopped(dtype, covariance_type):
    X = (ROWS * 100 + 1000).astype(dtype)
    model = relative(covariance_type, max_iter=5, warm_start=True).fit(X)
    first = model.lower_bounds_
    model.set_params(max_iter=15).fit(X)
    whole = relative(covariance_type).fit(X)
    # float32 parameters are rounded in between
    rtol = 1e-11 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose([*first, *model.lower_bounds_], whole.lower_bounds_, rtol=rtol)
    for name in PARAMETERS:
        scale = np.abs(getattr(whole, name)).max()
        np.testing.assert_allclose(getattr(model, name), getattr(whole, name), rtol=rtol, atol=rtol * scale)


def test_a_warm_start_stops_by_the_change_since_the_last_fit():
    X = ROWS * 1e5
    model = relative(tol=1e-3, max_iter=100, warm_start=True).fit(X)
    assert model.converged_
    assert model.fit(X).n_iter_ == 1


@pytest.mark.parametrize("regularization", ["absolute", "relative"])
def test_a_warm_start_on_other_rows_does_not_compare_bounds_with_those_of_the_last(regularization):
    """Rows under which the fitted parameters have the same bound as under the last ones, by stretching them: the fit
    goes on all the same, and no bound is said to have fallen."""
    rng = np.random.default_rng(0)
    first = np.concatenate([rng.normal(-1.2, 1, 1000), rng.normal(1.2, 1, 1000)])[:, np.newaxis]
    other = np.concatenate([rng.normal(-2, 0.5, 300), rng.normal(1, 1, 1700)])[:, np.newaxis]
    options = {"random_state": 0, "tol": 1e-5, "max_iter": 1000, "regularization": regularization}
    model = GaussianMixture(2, warm_start=True, **options).fit(first)
    other *= brentq(lambda scale: model.score(scale * other) - model.lower_bound_, 1, 3)
    model.fit(other)
    assert model.n_iter_ > 5
    assert model.lower_bound_ > GaussianMixture(2, **options).fit(other).lower_bound_ - 1e-2
    for shift in (0.5, 0.0):
        model.fit(first + shift)
        assert model.status_ == Status.CONVERGED


def test_a_warm_start_on_rows_of_other_units_begins_at_the_parameters():
    model = relative(max_iter=5, warm_start=True).fit(ROWS)
    means = model.means_
    model.set_params(max_iter=0).fit(ROWS * 3 + 1)
    np.testing.assert_allclose(model.means_, means, rtol=1e-12)


# ---- columns without spread -----------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Some components had an ill-defined covariance")
@pytest.mark.parametrize("scale", [1e-150, 0.1, 1e15, 1e150])
@pytest.mark.parametrize("reg_covar", [0.0, 1e-6])
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])  # spherical: it has the unit of the others
def test_scaling_a_constant_column_changes_nothing_but_the_volume(covariance_type, reg_covar, scale):
    X = np.c_[ROWS[:, :3], np.full(600, 2.5)]
    Y = X * [1, 1, 1, scale]
    plain, model = (relative(covariance_type, reg_covar=reg_covar, init_params="kmeans").fit(rows) for rows in (X, Y))
    np.testing.assert_array_equal(model.means_[:, 3], Y[:3, 3])
    np.testing.assert_array_equal(model.weights_, plain.weights_)
    np.testing.assert_array_equal(model.predict(Y), plain.predict(X))
    np.testing.assert_allclose(model.lower_bound_ + np.log(scale), plain.lower_bound_, rtol=1e-11)
    np.testing.assert_allclose(model.score(Y) + np.log(scale), plain.score(X), rtol=1e-11)


@pytest.mark.parametrize("shift", [-2.5, 1e5, -1e9])
@every_type
def test_shifting_a_constant_column_changes_no_label(covariance_type, shift):
    X = np.c_[ROWS[:, :3], np.full(600, 2.5)]
    Y = np.c_[X[:, :3], X[:, 3] + shift]
    plain, model = (relative(covariance_type, init_params="kmeans").fit(rows) for rows in (X, Y))
    np.testing.assert_array_equal(model.weights_, plain.weights_)
    np.testing.assert_array_equal(model.predict(Y), plain.predict(X))


@pytest.mark.filterwarnings("ignore:Some components lost all their rows")
@every_type
@pytest.mark.parametrize("value", [0.0, -7.3e5, 1.0, 1e-200])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_rows_that_are_all_the_same_fit(dtype, value, covariance_type):
    X = np.full((20, 2), value, dtype=dtype)
    model = relative(covariance_type, n_components=2, init_params="kmeans", tol=1e-3)
    if dtype == np.float64 and 0 < value < 1e-150:  # the square of the unit vanishes
        with pytest.raises(ValueError, match="Scale the columns of X to moderate size"):
            model.fit(X)
        return
    model.fit(X)
    np.testing.assert_array_equal(model.means_, X[:2])
    assert np.isfinite(model.score(X))


@every_type
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_rounding_of_a_column_is_no_spread(dtype, covariance_type):
    value = np.array(0.3, dtype)
    noise = np.where(RNG.uniform(size=600) < 0.5, value, np.nextafter(value, dtype(1)))
    X = np.c_[ROWS[:, :3], noise].astype(dtype)
    assert len(np.unique(X[:, 3])) == 2
    _, deviation = column_moments(X, None)
    assert list(deviation > 0) == [True, True, True, False]
    model = relative(covariance_type, init_params="kmeans").fit(X)
    same = relative(covariance_type, init_params="kmeans").fit(np.c_[X[:, :3], np.full(600, value)].astype(dtype))
    np.testing.assert_allclose(model.weights_, same.weights_, rtol=1e-6 if dtype == np.float32 else 1e-12)


# ---- moments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_moments_of_columns_are_numpys(dtype, weights):
    X = (np.tile(ROWS, (20, 1)) * [1e5, 1, 1e-5, 1] + [1e3, 0, 0, 1e3]).astype(dtype)  # several blocks
    weights = None if weights is None else np.tile(weights, 20)
    mean, deviation = column_moments(X, weights)
    wide = X.astype(np.float64)
    np.testing.assert_allclose(mean, np.average(wide, axis=0, weights=weights), rtol=1e-13)
    expected = np.sqrt(np.average((wide - mean) ** 2, axis=0, weights=weights))
    np.testing.assert_allclose(deviation, expected, rtol=1e-12)


def test_moments_neither_overflow_nor_vanish():
    X = ROWS * [1e300, 1e-300, 1, 1e-310]
    _, deviation = column_moments(X, np.full(600, 1e29))
    np.testing.assert_allclose(deviation / [1e300, 1e-300, 1, 1e-310], ROWS.std(axis=0), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_threads_and_memory_of_X_change_no_bit(dtype):
    X = np.tile(ROWS, (20, 1)).astype(dtype)
    usual = relative(init_params="kmeans", n_threads=1).fit(X)
    for same, n_threads in ((X, 2), (np.asfortranarray(X), 1), (X[::-1, ::-1].copy()[::-1, ::-1], 2)):
        other = relative(init_params="kmeans", n_threads=n_threads).fit(same)
        assert other.lower_bounds_ == usual.lower_bounds_
        for name in PARAMETERS:
            np.testing.assert_array_equal(getattr(other, name), getattr(usual, name))


# ---- the rest of the estimator --------------------------------------------------------------------------------------


@every_type
def test_float32_rows_give_float32_results_near_those_of_float64(covariance_type):
    scale = scales(covariance_type, [1e-3, 20.0, 1e5, 1.0])
    X = (ROWS * scale + 100 * scale).astype(np.float32)
    model = relative(covariance_type).fit(X)
    wide = relative(covariance_type).fit(X.astype(np.float64))
    for name in (*PARAMETERS, "lower_bound_"):
        assert getattr(model, name).dtype == np.float32
    # rows are rounded in units of the column's deviation, after the mean has been taken off
    np.testing.assert_allclose(model.weights_, wide.weights_, rtol=1e-5)
    np.testing.assert_allclose(model.means_ / scale, wide.means_ / scale, rtol=1e-5)
    np.testing.assert_allclose(model.lower_bounds_, wide.lower_bounds_, rtol=1e-5)


def test_the_bound_that_is_printed_is_the_one_that_is_published(capsys):
    model = relative(verbose=2, tol=1e-3).fit(ROWS * 1e5)
    printed = re.search(r"lower bound (\S+)\.$", capsys.readouterr().out, flags=re.MULTILINE)
    assert float(printed[1]) == pytest.approx(model.lower_bound_, abs=1e-5)


@pytest.mark.parametrize("n_init_policy", ["all", "halving"])
def test_the_best_of_several_starts_does_not_depend_on_units(n_init_policy):
    options = {"n_init": 4, "n_init_policy": n_init_policy, "init_params": "random"}
    plain, model = (relative(**options).fit(ROWS * scale) for scale in (1.0, 2.0**30))
    np.testing.assert_array_equal(model.weights_, plain.weights_)


@pytest.mark.parametrize("unit", [1e-320, 1e-170, 1e160, 1e300])
def test_columns_whose_variance_no_float_holds_say_so(unit):
    X = ROWS * unit
    for start in ({}, {"means_init": CENTRES * unit}):
        with pytest.raises(ValueError, match="Scale the columns of X to moderate size"):
            relative(**start).fit(X)


# ---- absolute -------------------------------------------------------------------------------------------------------


@every_type
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_absolute_is_the_engine_on_the_rows_as_they_are(dtype, covariance_type):
    X = ROWS.astype(dtype)
    family = STRUCTURES[covariance_type](reg_covar=1e-6)
    em = EM(family.bind(3, 4, X.dtype), Rows(X, WEIGHTS), 1)
    em.set_state(np.full(3, 1 / 3), family.blank(3, 4))
    em.start_from_labels(LABELS)
    bounds, _ = em.iterate(20, 0)
    model = GaussianMixture(3, covariance_type=covariance_type, init_params=LABELS, tol=0, max_iter=20)
    model.fit(X, sample_weight=WEIGHTS)
    assert model.regularization == "absolute"
    weights, params = em.state()
    assert model.lower_bounds_ == [dtype(bound) for bound in bounds]
    np.testing.assert_array_equal(model.weights_, weights.astype(dtype))
    params = family.params_layout(3, 4).view(params)
    np.testing.assert_array_equal(model.means_, params.means.astype(dtype))
    np.testing.assert_array_equal(model.covariances_, params.covariances.astype(dtype))


def test_absolute_does_not_touch_the_rows():
    assert DataUnits(None, ROWS, None).rows(ROWS) is ROWS
    assert not np.shares_memory(StandardUnits(STRUCTURES["full"](), ROWS, None).rows(ROWS), ROWS)


def test_absolute_depends_on_the_units():
    options = {"init_params": LABELS, "tol": 0, "max_iter": 20}
    plain, scaled = (GaussianMixture(3, **options).fit(ROWS * scale) for scale in (1.0, 2.0**-14))
    assert np.abs(plain.weights_ - scaled.weights_).max() > 1e-3


def test_bits_of_units_do_not_depend_on_the_layout_where_entries_are_missing():
    rng = np.random.default_rng(0)
    for seed in range(20):  # where the sum followed the layout, 15 had other bits
        X = rng.normal(size=(250, 3)) * [1.0, 3.0, 0.1]
        X[rng.random(X.shape) < 0.2] = np.nan
        model = GaussianMixture(regularization="relative", max_iter=2, tol=0, init_params="random", random_state=seed)
        weights = rng.uniform(0.1, 3, len(X))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            bounds = [model.fit(rows, sample_weight=weights).lower_bound_ for rows in (X, np.asfortranarray(X))]
        assert bounds[0] == bounds[1]
