"""Rows so far out that numbers overflow on the way to their densities: they have density 0, and are shared equally."""

import warnings

import numpy as np
import pytest
from estimators_table import ESTIMATORS, every_estimator

LARGE = {np.float64: (1e308, -1e308, 1e200, 1e150), np.float32: (3e38, -3e38, 1e30)}


def rows_far_out(like, value):
    """Rows with `value` in every column, in one, and of both signs, beside a usual one."""
    one, signs = np.arange(like.shape[1]), np.where(np.arange(like.shape[1]) % 2, -1, 1)
    rows = [np.where(one == j, value, like[0]) for j in one]
    return np.array([np.full(like.shape[1], value), value * signs, *rows, like[0]])


@every_estimator
def test_finite_rows_have_densities_and_shares(name):
    entry = ESTIMATORS[name]
    n_taken = 0
    for dtype in [dtype for dtype in entry.dtypes if dtype is not object]:
        model = entry.make().fit(entry.X.astype(dtype))
        for value in LARGE[dtype]:
            for row in rows_far_out(entry.X, value).astype(dtype):
                X = np.array([entry.X[0], row], dtype=dtype)
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    try:
                        log_density = model.score_samples(X)
                    except ValueError:  # outside the domain
                        continue
                    resp, labels = model.predict_proba(X), model.predict(X)
                n_taken += 1
                assert np.all(log_density < np.inf), (value, row, log_density)
                assert np.isfinite(log_density[0])
                assert np.all(resp >= 0)
                np.testing.assert_allclose(resp.sum(axis=1), 1, rtol=1e-6)
                assert 0 <= labels[1] < resp.shape[1]
                # a log density below float32's range has shares of its own where it is computed in float64
                if log_density[1] == -np.inf and (dtype in model._family().dtypes or dtype == np.float64):
                    np.testing.assert_allclose(resp[1], 1 / resp.shape[1], rtol=1e-6)
                    assert any("density zero" in str(warning.message) for warning in caught)
    reals = name.startswith(("Gaussian", "Student-t", "exponential", "Gamma"))
    assert n_taken > 0 or not reals


@pytest.mark.parametrize("name", ["Gaussian full", "Gaussian tied", "Gaussian diag", "Gaussian spherical"])
def test_gaussians_give_a_row_of_1e308_the_density_0(name):
    entry = ESTIMATORS[name]
    model = entry.make().fit(entry.X)
    X = np.full((1, 3), 1e308) * [1, -1, 1]
    with pytest.warns(match="density zero"):
        assert model.score_samples(X) == -np.inf
    with pytest.warns(match="density zero"):
        np.testing.assert_array_equal(model.predict_proba(X), [[0.5, 0.5]])
