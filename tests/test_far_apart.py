"""Groups far apart, and rows far from the origin: as many digits as the rows have, in every structure and precision."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from mixfast import GaussianMixture, Status, StudentTMixture, fit_many
from mixfast._em import EM
from mixfast.engine._rows import Rows
from mixfast.families.gaussian import TiedGaussian

STRUCTURES = ("full", "tied", "diag", "spherical")
MODELS = {
    "Gaussian": lambda kind, **options: GaussianMixture(3, covariance_type=kind, **options),
    "Student-t": lambda kind, **options: StudentTMixture(3, covariance_type=kind, degrees_of_freedom=8.0, **options),
}
CENTRES = np.array([[0, 0], [1, 0.3], [0.2, 1]])
LABELS = np.repeat(np.arange(3), 300)
# As far as the rows themselves have a hundredth of a standard deviation.
APART = [
    *((np.float32, apart) for apart in (1e2, 1e3, 1e4, 1e5)),
    *((np.float64, apart) for apart in (1e2, 1e4, 1e6, 1e8, 1e9)),
]


def groups(apart, dtype, seed=0):
    """Three groups of unit standard deviation, correlated, so many of them apart."""
    noise = np.random.default_rng(seed).normal(size=(900, 2)) @ np.array([[0.8, 0.6], [0, 1]])
    return (CENTRES[LABELS] * apart + noise).astype(dtype)


def moved_together(X, apart):
    """The same deviations, 50 standard deviations apart: float64 subtracts what it has exactly."""
    return X.astype(float) - CENTRES[LABELS] * (apart - 50)


@pytest.mark.parametrize(("dtype", "apart"), APART)
@pytest.mark.parametrize("kind", STRUCTURES)
@pytest.mark.parametrize("name", MODELS)
def test_how_far_groups_are_apart_changes_their_means_alone(name, kind, dtype, apart):
    X = groups(apart, dtype)
    # the last places of float32 coordinates 1e5 from the pivot move the bound by up to 3e-4 from pass to pass
    tol, left = (1e-7, 2e-5) if dtype == np.float64 else (1e-3, 2e-3)
    options = {"init_params": LABELS, "reg_covar": 0.0, "tol": tol}
    far = MODELS[name](kind, **options).fit(X)
    near = MODELS[name](kind, **options).fit(moved_together(X, apart))
    assert not far.status_ & (Status.REPAIRED_COVARIANCE | Status.LOWER_BOUND_FELL)
    # coordinates about the mean of the mixture are rounded to eps * apart of a standard deviation
    rounding = np.finfo(dtype).eps * apart
    np.testing.assert_allclose(far.covariances_, near.covariances_, rtol=0, atol=left + rounding)
    np.testing.assert_allclose(far.means_ - CENTRES * apart, near.means_ - CENTRES * 50, rtol=0, atol=left + rounding)
    np.testing.assert_allclose(far.score(X), near.lower_bound_, rtol=0, atol=left + rounding)
    np.testing.assert_allclose(far.lower_bound_, near.lower_bound_, rtol=0, atol=left + rounding)
    np.testing.assert_array_equal(far.predict(X), LABELS)


@pytest.mark.parametrize(("dtype", "apart"), [(np.float32, 1e4), (np.float64, 1e8)])
def test_a_batch_loses_no_digits_either(dtype, apart):
    X = groups(apart, dtype)
    result = fit_many([X, X[::2]], GaussianMixture(3, covariance_type="tied"), random_state=0)
    alone = clone(result[0]).fit(X)
    centred = X.astype(float) - CENTRES[LABELS] * apart
    centred -= np.array([centred[LABELS == k].mean(axis=0) for k in range(3)])[LABELS]
    covariance = centred.T @ centred / len(X) + 1e-6 * np.eye(2)
    np.testing.assert_array_equal(result[0].covariances_, alone.covariances_)
    np.testing.assert_allclose(alone.covariances_, covariance, rtol=0, atol=1e-5 + np.finfo(dtype).eps * apart)


def test_a_step_that_would_lose_digits_is_made_again_with_care():
    """At the first parameters the groups overlap, at the next they are far apart: nothing is repaired on the way, and
    the step is that of the same rows in float64 from the sums about the means."""
    X = groups(1e9, np.float64)
    family = TiedGaussian()
    em = EM(family.bind(3, 2, np.float64), Rows(X))
    covariance = np.cov(X.T)
    factor = np.linalg.inv(np.linalg.cholesky(covariance)).T
    em.set_state(np.full(3, 1 / 3), np.concatenate([(CENTRES * 1e9).ravel(), covariance.ravel(), factor.ravel()]))
    for _ in range(30):
        em.step()
    covariance = family.params_layout(3, 2).view(em.state()[1]).covariances
    np.testing.assert_allclose(covariance, np.cov(moved_together(X, 1e9)[LABELS == 0].T), atol=0.2)
    assert em.status == 0
    assert em.n_passes == 30


@pytest.mark.parametrize("widest", [1, 3, 10, 30])
@pytest.mark.parametrize("kind", STRUCTURES)
@pytest.mark.parametrize("name", MODELS)
def test_float32_rows_far_from_the_origin_are_fitted_as_float64_ones(name, kind, widest):
    """Clusters some units of the last place wide, as maps have them: the rows are exact numbers in both precisions."""
    rng = np.random.default_rng(widest)
    ulp = np.spacing(np.float32(4.5e5))
    centres = np.array([[0, 0], [200, 50], [30, 250]]) * widest * ulp
    X = (4.5e5 + centres[LABELS] + rng.normal(size=(900, 2)) * widest * ulp).astype(np.float32)
    options = {"init_params": LABELS, "reg_covar": 0.0, "tol": 1e-6}
    got, wanted = MODELS[name](kind, **options).fit(X), MODELS[name](kind, **options).fit(X.astype(float))
    assert got.status_ == wanted.status_
    np.testing.assert_allclose(got.covariances_, wanted.covariances_, rtol=1e-3)
    np.testing.assert_allclose(
        got.means_, wanted.means_, rtol=0, atol=(0.5 + 1e-3 * widest) * ulp
    )  # published as float32


@pytest.mark.parametrize("kind", STRUCTURES)
@pytest.mark.parametrize("name", MODELS)
def test_a_constant_float32_column_far_from_the_origin_is_repaired(name, kind):
    """Its variance is zero, not what the rounding of sums leaves."""
    X = np.full((900, 2), 4.5e5 + 1 / 3, dtype=np.float32)
    if kind != "spherical":
        X[:, 1] = np.random.default_rng(0).normal(size=900)
    with pytest.warns(ConvergenceWarning, match="ill-defined covariance"):
        model = MODELS[name](kind, init_params=LABELS, reg_covar=0.0).fit(X)
    assert model.status_ & Status.REPAIRED_COVARIANCE
    assert np.all(np.isfinite(model.covariances_))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("unit", [1e-18, 1e-15, 1e15])
def test_float32_rows_of_any_unit_are_those_of_float64(unit):
    """Log densities of spherical components are linear forms: squares of small numbers lose digits."""
    X = (unit * groups(6.0, np.float64)).astype(np.float32)
    options = {"covariance_type": "spherical", "reg_covar": 0, "init_params": LABELS, "max_iter": 3, "tol": 0}
    got, wanted = (GaussianMixture(3, **options).fit(rows) for rows in (X, X.astype(np.float64)))
    np.testing.assert_allclose(got.lower_bounds_, wanted.lower_bounds_, rtol=1e-6)
    np.testing.assert_allclose(got.predict_proba(X), wanted.predict_proba(X.astype(np.float64)), rtol=0, atol=1e-4)
