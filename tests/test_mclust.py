"""Agreement with R's mclust 6.0.0, from the same hard partition and without regularisation.

`data/mclust_em.json` holds what mclust's `me()` gave: it makes the M-step first, from row i in component
ceiling(rank(first column, ties in row order) / n * G). Structures: VVV full, EEE tied, VVI diagonal, VII spherical, and
V and E in one dimension.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from mixfast import GaussianMixture

DATA = Path(__file__).parent / "data"
CASES = json.loads((DATA / "mclust_em.json").read_text())
COVARIANCE_TYPES = {"VVV": "full", "EEE": "tied", "VVI": "diag", "VII": "spherical", "V": "spherical", "E": "tied"}


def read(name):
    return np.loadtxt(DATA / f"{name}.csv", delimiter=",", skiprows=1, ndmin=2)


def partition(X, n_components):
    rank = np.empty(len(X), dtype=int)
    rank[np.argsort(X[:, 0], kind="stable")] = np.arange(1, len(X) + 1)
    return np.ceil(rank / len(X) * n_components).astype(int) - 1


def fit(case, max_iter, tol=0.0):
    X = read(case["data"])
    model = GaussianMixture(
        case["G"],
        covariance_type=COVARIANCE_TYPES[case["model"]],
        reg_covar=0,
        init_params=partition(X, case["G"]),
        max_iter=max_iter,
        tol=tol,
    )
    with pytest.warns(UserWarning, match="did not converge"):
        model.fit(X)
    return model, X


def name_of(case):
    return f"{case['data']}-{case['model']}-{case['G']}"


def test_the_table_holds_all_structures():
    assert len(CASES) == 32
    assert {case["model"] for case in CASES} == set(COVARIANCE_TYPES)
    assert all(case["status"] == "ok" for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_the_first_m_step_is_mclusts(case):
    """So the partitions are the same, before anything else is compared."""
    X = read(case["data"])
    labels = partition(X, case["G"])
    covariance_type = COVARIANCE_TYPES[case["model"]]
    model = GaussianMixture(
        case["G"], covariance_type=covariance_type, reg_covar=0, init_params=labels, max_iter=0
    ).fit(X)
    np.testing.assert_allclose(model.means_, np.reshape(case["first_m_step_means"], model.means_.shape), rtol=1e-12)
    np.testing.assert_allclose(model.weights_, np.bincount(labels) / len(X), rtol=1e-12)
    assert model.n_iter_ == 0


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_the_log_likelihood_is_mclusts_after_1_2_5_and_20_iterations(case):
    """mclust counts an E-step as an iteration and reports the log-likelihood of the parameters before its M-step: what
    `lower_bounds_` holds."""
    model, X = fit(case, max_iter=20)
    for n_iter, expected in case["loglik_after"].items():
        assert model.lower_bounds_[int(n_iter) - 1] * len(X) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_the_limit_is_mclusts(case):
    model, X = fit(case, max_iter=20_000)
    assert model.score(X) * len(X) == pytest.approx(case["loglik"], rel=1e-8)
    assert model._n_parameters() == case["df"]
    assert -model.bic(X) == pytest.approx(case["bic"], rel=1e-8)
    fitted = {"weights": model.weights_, "means": model.means_, "covariances": model.covariance_matrices()}
    for name, got in fitted.items():
        expected = np.asarray(case[name], dtype=float)
        # the one variance of model E stands for all components
        expected = np.full(got.shape, expected.item()) if expected.size == 1 else expected.reshape(got.shape)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max(), err_msg=name)
