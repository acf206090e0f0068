"""Mixtures of experts of sparse rows: the fits of dense ones, in the memory of sparse ones."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse
from batches import assert_same_fit, same_bits
from estimators_table import REGRESSIONS, every_regression
from numpy.testing import assert_allclose

from mixfast import MixtureOfExperts, bootstrap_lrt, fit_many, select

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def with_zeros(X):
    return np.where(np.random.default_rng(0).random(X.shape) < 0.4, 0, X)


@every_regression
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("form", [scipy.sparse.csr_array, scipy.sparse.csc_matrix])
def test_sparse_rows_have_the_bits_of_dense_ones(form, dtype, name):
    entry = REGRESSIONS[name]
    X = with_zeros(entry.X).astype(dtype)
    S, data = form(X), entry.data
    dense, sparse = (entry.make(random_state=0).fit(own, **data) for own in (X, S))
    assert_same_fit(sparse, dense)
    for method in ("posterior", "labels", "score_samples", "component_log_density"):
        assert same_bits(getattr(sparse, method)(S, **data), getattr(dense, method)(X, **data))
    assert sparse.bic(S, **data) == dense.bic(X, **data)
    assert sparse.score(S, **without_groups(data)) == pytest.approx(dense.score(X, **without_groups(data)), abs=1e-9)
    beside = {name: own for name, own in data.items() if name in ("exposure", "offset", "gate_X")}
    for method in ("predict", "predict_components", "predict_std"):
        own = {k: v for k, v in beside.items() if k != "gate_X"} if method == "predict_components" else beside
        found, wanted = getattr(sparse, method)(S, **own), getattr(dense, method)(X, **own)
        for own, other in zip(found, wanted, strict=True) if isinstance(found, list) else [(found, wanted)]:
            assert_allclose(own, other, rtol=1e-9, atol=1e-12)
    gate = {name: own for name, own in beside.items() if name == "gate_X"}
    assert_allclose(sparse.predict_proba(S, **gate), dense.predict_proba(X, **gate), rtol=1e-9, atol=1e-12)
    y, labels = sparse.sample(S, 0, **beside)
    assert len(y[0] if isinstance(y, list) else y) == len(labels) == len(X)


def without_groups(data):
    return {name: own for name, own in data.items() if name not in ("groups", "known_labels")}


def test_what_is_made_of_sparse_rows_beside_fits():
    rng = np.random.default_rng(0)
    X = with_zeros(rng.normal(size=(300, 3)))
    y = np.where(rng.random(300) < 0.5, 2 + X[:, 0], -X[:, 1]) + 0.3 * rng.normal(size=300)
    S = scipy.sparse.csr_array(X)
    model = MixtureOfExperts(2, gate=[0, 2], random_state=0)
    errors = [model.fit(own, y).inference(own, y).standard_errors for own in (X, S)]
    assert_allclose(*errors, rtol=1e-10)  # products of matrices that lie otherwise in memory
    found = [select(own, MixtureOfExperts(n_init=3, random_state=0), y=y, n_components=[1, 2]) for own in (X, S)]
    assert str(found[0]) == str(found[1])
    tests = [
        bootstrap_lrt(own, MixtureOfExperts(n_init=2), 1, y=y, n_bootstrap=4, random_state=0).statistic
        for own in (X, S)
    ]
    assert tests[0] == tests[1]
    results = [fit_many([own[:100], own[100:]], model, y=[y[:100], y[100:]]) for own in (X, scipy.sparse.csr_matrix(X))]
    assert same_bits(results[0].lower_bound, results[1].lower_bound)
    for own, other in zip(results[0], results[1], strict=True):
        assert_same_fit(own, other)


def test_no_column_is_made_dense():
    """200,000 rows of 250 columns with three values each are 7 MB, with their zeros 400 MB."""
    rng = np.random.default_rng(0)
    n, p = 200_000, 250
    columns = rng.integers(0, p // 3, size=(n, 3))
    columns += np.array([0, p // 3, 2 * (p // 3)])
    S = scipy.sparse.csr_array((np.ones(3 * n), columns.ravel(), np.arange(0, 3 * n + 1, 3)), shape=(n, p))
    y = rng.normal(size=n)
    tracemalloc.start()
    try:
        model = MixtureOfExperts(1, max_iter=1, n_init=1).fit(S, y)
        model.predict(S)
        assert model.score_samples(S, y).shape == (n,)
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()
