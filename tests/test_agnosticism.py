"""What results must not depend on: threads, chunks, the memory that X lies in, the instruction set."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from batches import assert_same_state
from estimators_table import ESTIMATORS, every_estimator
from sklearn.base import clone
from threadpoolctl import threadpool_limits
from twins import DTYPES, EVERY_FAMILY, FAMILIES, ISAS, make_em, precisions_of, random_weights

from mixfast import BernoulliMixture, GaussianMixture, MultinomialMixture, PoissonMixture, VonMisesFisherMixture
from mixfast._em import EM
from mixfast.engine._pass import Pass
from mixfast.engine._rows import Rows
from mixfast.families.gaussian import STRUCTURES

# many lanes and a ragged last chunk: with few rows a thread test tests nothing
N_ROWS = 250_011


def problem(name, dtype=np.float64, n_rows=N_ROWS, n_components=6, n_features=4):
    rng = np.random.default_rng(3)
    twins = EVERY_FAMILY[name]
    X = twins.make_rows(rng, n_rows, n_features).astype(dtype)
    weights, params = random_weights(rng, n_components), twins.make_params(rng, n_components, n_features)
    return twins, X, weights, params, rng.uniform(0.5, 2, n_rows)


@pytest.mark.parametrize(("name", "dtype"), precisions_of(EVERY_FAMILY))
def test_the_same_bits_for_any_number_of_threads(name, dtype):
    twins, X, weights, params, sample_weight = problem(name, dtype)
    results = []
    for n_threads in (1, 2, 7):
        em = make_em(twins, X, weights, params, sample_weight, n_threads)
        assert em.n_threads == n_threads
        assert em.n_lanes > 7
        objectives, _ = em.iterate(3, 0)
        results.append((*objectives, *em.state()[0], *em.state()[1]))
    for other in results[1:]:
        assert other == results[0]


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
def test_a_whole_fit_gives_the_same_bits_for_any_number_of_threads(init_params):
    _, X, _, _, sample_weight = problem("full")
    fits = [
        GaussianMixture(5, init_params=init_params, random_state=1, n_threads=n_threads, tol=1e-2).fit(
            X, sample_weight=sample_weight
        )
        for n_threads in (1, 2, 3, 7)
    ]
    for fit in fits[1:]:
        assert fit.lower_bounds_ == fits[0].lower_bounds_
        np.testing.assert_array_equal(fit.means_, fits[0].means_)
        np.testing.assert_array_equal(fit.covariances_, fits[0].covariances_)
        np.testing.assert_array_equal(fit.predict_proba(X), fits[0].predict_proba(X))


@pytest.mark.parametrize("chunk_rows", [1, 5, 97, 1000, N_ROWS])
@pytest.mark.parametrize("name", EVERY_FAMILY)
def test_chunks_of_any_size_give_the_same_numbers(name, chunk_rows):
    twins, X, weights, params, sample_weight = problem(name, n_rows=5003)
    usual = make_em(twins, X, weights, params, sample_weight).gather()
    other = make_em(twins, X, weights, params, sample_weight, chunk_rows=chunk_rows).gather()
    for got, wanted in zip(other, usual, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12 * np.max(np.abs(wanted)))


def layouts(X, tmp_path):
    """The same numbers in other memory."""
    wide = np.zeros((2 * len(X) + 3, 3 * X.shape[1] + 1), X.dtype)
    wide[3::2, 1::3] = X
    on_disk = np.memmap(tmp_path / "X", X.dtype, "w+", shape=X.shape)
    on_disk[...] = X
    on_disk.flush()
    read_only = X.copy()
    read_only.flags.writeable = False
    return {
        "columns first": np.asfortranarray(X),
        "strided with an offset": wide[3::2, 1::3],
        "backwards": X[::-1, ::-1].copy()[::-1, ::-1],
        "read-only": read_only,
        "memory-mapped": np.memmap(tmp_path / "X", X.dtype, "r", shape=X.shape),
        "off the alignment of vectors": np.concatenate([X.ravel()[:1], X.ravel()])[1:].reshape(X.shape),
    }


@pytest.mark.parametrize("dtype", DTYPES)
def test_memory_of_X_does_not_matter(dtype, tmp_path):
    _, X, _, _, _ = problem("full", dtype, n_rows=3001)
    options = {"n_components": 3, "random_state": 0, "tol": 1e-2}
    usual = GaussianMixture(**options).fit(X)
    binary = BernoulliMixture(**options, binarize=8.0).fit(X)
    for how, same in layouts(X, tmp_path).items():
        other = GaussianMixture(**options).fit(same)
        assert other.lower_bounds_ == usual.lower_bounds_, how
        np.testing.assert_array_equal(other.means_, usual.means_, how)
        np.testing.assert_array_equal(usual.predict_proba(same), usual.predict_proba(X), how)
        assert BernoulliMixture(**options, binarize=8.0).fit(same).lower_bounds_ == binary.lower_bounds_, how


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@every_estimator
def test_memory_of_X_does_not_matter_to_any_estimator(name, tmp_path):
    entry = ESTIMATORS[name]
    for dtype in entry.dtypes:
        X = entry.X.astype(dtype)
        same_rows = {"columns first": np.asfortranarray(X)} if dtype is object else layouts(X, tmp_path)
        usual = entry.make().fit(X)
        for same in same_rows.values():
            assert_same_state(entry.make().fit(same), usual)
            np.testing.assert_array_equal(usual.score_samples(same), usual.score_samples(X))


@pytest.mark.parametrize("is_rounded", [False, True])  # equal distances are cut by their last bits
@pytest.mark.parametrize(
    "options",
    [{"trim": 0.2}, {"noise": "uniform"}, {"covariance_prior": "default"}],
    ids=lambda options: next(iter(options)),
)
def test_memory_of_X_does_not_matter_to_what_is_learnt_of_all_rows(options, is_rounded, tmp_path):
    for seed in range(5):
        X = np.random.default_rng(seed).normal(0, 3, (300, 3))
        X = np.round(X) if is_rounded else X
        usual = GaussianMixture(2, random_state=0, **options).fit(X)
        for same in layouts(X, tmp_path).values():
            assert_same_state(GaussianMixture(2, random_state=0, **options).fit(same), usual)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_features", [2, 3, 50, 9000])
def test_memory_of_directions_that_are_normalized_does_not_matter(n_features, dtype, tmp_path):
    X = np.random.default_rng(0).normal(size=(50, n_features)).astype(dtype) * dtype(1e3)
    usual = VonMisesFisherMixture(2, normalize=True, random_state=0).fit(X)
    for same in layouts(X, tmp_path).values():
        assert_same_state(VonMisesFisherMixture(2, normalize=True, random_state=0).fit(same), usual)
        np.testing.assert_array_equal(usual.score_samples(same), usual.score_samples(X))


def test_memory_of_counts_whose_sums_are_rounded_does_not_matter(tmp_path):
    X = np.random.default_rng(0).integers(0, 2**53, (40, 60)).astype(float)
    for estimator in (MultinomialMixture(2, random_state=0), PoissonMixture(2, random_state=0)):
        usual = clone(estimator).fit(X)
        for same in layouts(X, tmp_path).values():
            assert_same_state(clone(estimator).fit(same), usual)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", FAMILIES)
def test_instruction_sets_agree(name, isa):
    twins, X, weights, params, sample_weight = problem(name, n_rows=5003)
    usual = make_em(twins, X, weights, params, sample_weight, isa="base").gather()
    other = make_em(twins, X, weights, params, sample_weight, isa=isa).gather()
    for got, wanted in zip(other, usual, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12 * np.max(np.abs(wanted)))


@pytest.mark.skipif("v2" not in ISAS, reason="this machine or build has no v2")
@pytest.mark.parametrize(("name", "dtype"), precisions_of(EVERY_FAMILY))
def test_sets_of_the_same_width_without_fused_multiply_adds_have_the_same_bits(name, dtype):
    """So `make test-isa` leaves v2 out."""
    twins, X, weights, params, sample_weight = problem(name, dtype, n_rows=1003)
    results = []
    for isa in ("base", "v2"):
        em = make_em(twins, X, weights, params, sample_weight, isa=isa)
        objectives, _ = em.iterate(3, 0)
        results.append((*objectives, *em.state()[0], *em.state()[1]))
    assert results[0] == results[1]


def test_a_row_is_predicted_alike_alone_and_in_company():
    _, X, _, _, _ = problem("full", n_rows=1003)
    model = GaussianMixture(3, random_state=0).fit(X)
    together = model.score_samples(X)
    alone = np.concatenate([model.score_samples(row[np.newaxis]) for row in X[:50]])
    np.testing.assert_array_equal(alone, together[:50])


def test_a_long_pass_is_cut_into_rounds_with_the_same_bits():
    """Rounds let Ctrl-C be heard: more work, more rounds; they change no bit."""
    twins, X, weights, params, _ = problem("full", n_rows=20_000, n_components=7, n_features=16)
    capsule = twins.compiled.bind(7, 16, X.dtype)
    small, large = EM(capsule, Rows(X)), EM(capsule, Rows(np.tile(X, (40, 1))))
    assert small.n_rounds == 1
    assert large.n_rounds > 1
    packed = twins.compiled.params_layout(7, 16).pack(params)
    large.set_state(weights, packed)
    first = large.gather()
    small.set_state(weights, packed)
    np.testing.assert_allclose(first[0], 40 * small.gather()[0], rtol=1e-12)
    np.testing.assert_allclose(first[3], 40 * small.gather()[3], rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_the_threads_of_blas_change_no_bit(covariance_type):
    X = np.random.default_rng(0).standard_normal((4000, 200))
    fits = []
    for n_blas_threads in (1, 2, 3):
        with threadpool_limits(n_blas_threads, user_api="blas"):
            model = GaussianMixture(2, covariance_type=covariance_type, random_state=0, tol=1e9).fit(X)
            fits.append(model.precisions_cholesky_)
    np.testing.assert_array_equal(fits[1], fits[0])
    np.testing.assert_array_equal(fits[2], fits[0])


def test_fits_in_many_python_threads_give_the_same_bits():
    X = np.random.default_rng(0).standard_normal((2000, 130))

    def fit(_):
        return GaussianMixture(2, random_state=0, tol=1e9, n_threads=2).fit(X).precisions_cholesky_

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(fit, range(12)))
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


FORKED = """
import multiprocessing
import numpy as np
from mixfast import GaussianMixture

X = np.random.default_rng(0).normal(size=(300_000, 3))

def fit():
    return GaussianMixture(5, random_state=0, tol=1, n_threads=2).fit(X).lower_bound_

first = fit()
context = multiprocessing.get_context("fork")
queue = context.Queue()
child = context.Process(target=lambda: queue.put(fit()))
child.start()
print(queue.get(timeout=60) == first)
child.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_fits_on_one_thread_and_does_not_hang():
    """OpenMP's threads are not there after a fork; waiting for them would be for ever."""
    result = subprocess.run([sys.executable, "-W", "ignore", "-c", FORKED], capture_output=True, text=True, check=False)
    assert result.stdout.strip() == "True", result.stderr


@pytest.mark.parametrize(("n_features", "n_components", "largest"), [(600, 8, 130), (1000, 4, 180)])
def test_work_space_of_large_parameters_is_some_three_times_their_size(n_features, n_components, largest):
    """MiB. Lanes, 12 to 16 MB each here, are fewer where they are large; with eight of them it was 165 and 240."""
    family = STRUCTURES["full"](reg_covar=0.0)
    rows = Rows(np.zeros((4000, n_features)))
    work = Pass(family.bind(n_components, n_features, np.dtype(np.float64)), rows, n_threads=2)
    assert work.n_lanes <= 5
    assert work.n_bytes < largest * 2**20
