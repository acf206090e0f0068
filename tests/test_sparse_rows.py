"""Rows that are stored by their values that are not zero give what the same rows give in full."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from mixfast import BernoulliMixture, fit_many
from mixfast._em import EM
from mixfast.engine._isa import available_isas
from mixfast.engine._rows import Rows
from mixfast.families.bernoulli import Bernoulli
from mixfast.seeding import kmeans, kmeans_plusplus


def binary_rows(n_samples=400, n_features=30, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    share = np.where(rng.integers(0, 2, (n_samples, 1)), 0.1, 0.5)
    return (rng.random((n_samples, n_features)) < share).astype(dtype)


def real_rows(n_samples=700, n_features=25, seed=1, dtype=np.float64):
    rng = np.random.default_rng(seed)
    X = rng.normal(2, 1, (n_samples, n_features)) * (rng.random((n_samples, n_features)) < 0.3)
    return X.astype(dtype)


def passes(X, n_components, isa=None, n_threads=1, weight=None, chunk_rows=None, alpha=1.0):
    """The sums and the log-likelihood of one pass at some parameters, and what the M-step makes of them."""
    capsule = Bernoulli(alpha).bind(n_components, X.shape[1], X.dtype, isa, is_sparse=sp.issparse(X))
    em = EM(capsule, Rows(X, weight), n_threads, chunk_rows)
    params = np.random.default_rng(3).uniform(0.1, 0.9, n_components * X.shape[1])
    em.set_state(np.full(n_components, 1 / n_components), params)
    objective = em.step()
    return objective, *em.state()


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n_components", [1, 2, 3, 4, 5, 8, 15, 16, 17, 33, 100])
def test_a_step_from_sparse_rows_is_that_from_dense_ones(n_components, dtype, isa):
    X = binary_rows(dtype=dtype)
    weight = np.random.default_rng(4).uniform(0.5, 2, len(X))
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    dense = passes(X, n_components, isa, weight=weight)
    sparse = passes(sp.csr_matrix(X), n_components, isa, weight=weight)
    for got, expected in zip(sparse, dense, strict=True):
        assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def test_threads_change_no_bit_of_sparse_rows():
    X = sp.csr_matrix(binary_rows(20_000))
    one, two, seven = (passes(X, 3, n_threads=n, chunk_rows=96) for n in (1, 2, 7))
    for single, *others in zip(one, two, seven, strict=True):
        for other in others:
            assert_array_equal(single, other)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True])
def test_kmeans_of_sparse_rows_is_that_of_dense_ones(dtype, weighted):
    X = real_rows(dtype=dtype)
    weight = np.random.default_rng(5).integers(1, 4, len(X)).astype(float) if weighted else None
    dense, sparse = (kmeans(Rows(rows, weight), 6, seed=7) for rows in (X, sp.csr_matrix(X)))
    assert_array_equal(sparse.labels, dense.labels)
    assert_allclose(sparse.centres, dense.centres, rtol=1e-5 if dtype == np.float32 else 1e-12, atol=1e-7)
    assert_allclose(sparse.distortion, dense.distortion, rtol=1e-5 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_equal_sparse_rows_are_not_drawn_twice(dtype):
    distinct = real_rows(6, dtype=dtype) * 1e3 / 7
    X = sp.csr_matrix(distinct[np.random.default_rng(6).integers(0, 6, 500)])
    for seed in range(20):
        chosen = kmeans_plusplus(Rows(X), 6, seed)
        assert len(np.unique(X[chosen].toarray(), axis=0)) == 6


def test_certain_columns_of_sparse_rows():
    """With alpha=0 a column may be certain: rows that lack a required one are impossible, as are those with a
    forbidden one."""
    model = BernoulliMixture(2, alpha=0.0, init_params=np.eye(2)[[0, 0, 1, 1]])
    X = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 1], [0, 1, 1, 1.0]])
    model.fit(sp.csr_matrix(X))
    assert_array_equal(model.probabilities_[:, [0, 2, 3]], [[1, 0, 0], [0, 1, 1]])
    rows = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [0, 1, 1, 1], [1, 1, 1, 1.0]])
    with pytest.warns(UserWarning, match="density zero"):
        dense = model.score_samples(rows)
    with pytest.warns(UserWarning, match="density zero"):
        sparse = model.score_samples(sp.csr_matrix(rows))
    assert_allclose(sparse, dense, rtol=1e-14)
    assert_array_equal(np.isinf(sparse), [False, True, True, False, True])


def with_wide_indices(C):
    C.indices, C.indptr = C.indices.astype(np.int64), C.indptr.astype(np.int64)
    return C


def out_of_order(C):
    for start, stop in pairwise(C.indptr):
        C.indices[start:stop] = C.indices[start:stop][::-1].copy()
        C.data[start:stop] = C.data[start:stop][::-1].copy()
    C.has_sorted_indices = False
    return C


def with_stored_zeros(C):
    rows, columns = np.indices(C.shape)
    full = sp.coo_matrix((C.toarray().ravel(), (rows.ravel(), columns.ravel())), C.shape)
    return full.tocsr()


def in_halves(C):
    return sp.csr_matrix((np.repeat(C.data / 2, 2), np.repeat(C.indices, 2), C.indptr * 2), C.shape)


#: The same rows in other forms of sparse matrices.
FORMS = {
    "csc": sp.csc_matrix,
    "coo": sp.coo_matrix,
    "int64": with_wide_indices,
    "unsorted": out_of_order,
    "zeros": with_stored_zeros,
    "twice": in_halves,
    "integers": lambda C: C.astype(np.int32),
    "array": sp.csr_array,
}


@pytest.mark.parametrize("form", FORMS)
def test_any_sparse_form_gives_the_same_bits(form):
    X = binary_rows()
    model = BernoulliMixture(3, binarize=None, random_state=0)
    expected = model.fit(sp.csr_matrix(X)).probabilities_
    given = FORMS[form](sp.csr_matrix(X))
    before = given.nnz, given.data.copy()
    assert_array_equal(model.fit(given).probabilities_, expected)
    assert given.nnz == before[0]  # the caller's matrix stays as it was
    assert_array_equal(given.data, before[1])


def test_sparse_rows_without_any_value():
    model = BernoulliMixture(2, init_params="random", random_state=0).fit(sp.csr_matrix((10, 4)))
    assert_allclose(model.probabilities_, 1 / 7, rtol=0.3)
    assert np.all(np.isfinite(model.score_samples(sp.csr_matrix((3, 4)))))


def test_sparse_rows_that_are_not_binary_name_column_and_value():
    X = sp.csr_matrix(np.array([[0, 1, 0], [0, 0, 1], [2.5, 0, 7]]))
    with pytest.raises(ValueError, match=r"Column 0 of X is not binary: row 2 is 2\.5"):
        BernoulliMixture(binarize=None).fit(X)


def test_binarize_below_zero_is_no_use_with_sparse_rows():
    with pytest.raises(ValueError, match="binarize=-1"):
        BernoulliMixture(binarize=-1.0).fit(sp.csr_matrix(binary_rows()))


@pytest.mark.parametrize("form", ["list", "flat"])
def test_a_batch_of_sparse_problems_has_the_bits_of_fits_alone(form):
    X = sp.csr_matrix(binary_rows(300))
    offsets = np.array([0, 100, 101, 101, 180, 300])
    problems = [X[a:b] for a, b in pairwise(offsets)] if form == "list" else (X, offsets)
    result = fit_many(problems, BernoulliMixture(2), random_state=3)
    for i in (0, 3, 4):
        alone = BernoulliMixture(2, random_state=3).fit(X[offsets[i] : offsets[i + 1]])
        assert_array_equal(result[i].probabilities_, alone.probabilities_)
    assert_array_equal(result.predict(problems)[0], result[0].predict(X[:100]))
