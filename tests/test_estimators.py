"""Laws of every public estimator, over the table of them."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from batches import assert_same_results, same_bits
from estimators_table import (
    COUNTS,
    ESTIMATORS,
    GROUP,
    N_ROWS,
    assert_same_state,
    every_estimator,
    every_mixture,
    log_density,
    public_estimators,
)
from scipy.special import logsumexp

from mixfast import PoissonMixture, fit_many, select


def test_the_table_has_every_public_estimator():
    assert {type(entry.make()) for entry in ESTIMATORS.values()} == public_estimators()


@every_estimator
def test_log_densities_are_scipys(name):
    entry = ESTIMATORS[name]
    model = entry.make().fit(entry.X)
    np.testing.assert_allclose(model.score_samples(entry.X), log_density(entry, model, entry.X), rtol=1e-10)


@every_mixture
def test_log_densities_of_components_are_scipys(name):
    entry = ESTIMATORS[name]
    model = entry.make().fit(entry.X)
    wanted = entry.log_densities(model, entry.X)
    np.testing.assert_allclose(model.component_log_density(entry.X), wanted, rtol=1e-10, atol=1e-10)
    joint = model.component_log_density(entry.X) + np.log(model.weights_)
    np.testing.assert_allclose(logsumexp(joint, axis=1), model.score_samples(entry.X), rtol=1e-12)
    if entry.takes_sparse:
        sparse = scipy.sparse.csr_array(entry.X)
        np.testing.assert_allclose(model.component_log_density(sparse), wanted, rtol=1e-10, atol=1e-10)
    if np.float32 in entry.dtypes:
        narrow = entry.make().fit(entry.X.astype(np.float32))
        found = narrow.component_log_density(entry.X.astype(np.float32))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, entry.log_densities(narrow, entry.X.astype(np.float32)), rtol=2e-4, atol=2e-4)


# ---- a weight of 0 equals leaving the row out ------------------------------------------------------------------------


def with_strange_rows(entry):
    """(rows, their weights): at the beginning, in between and at the end some that no fit expects, of weight 0."""
    strange, half = list(entry.strange_rows().values()), len(entry.X) // 2
    blocks = [*strange, entry.X[:half], *strange, entry.X[half:], *strange]
    is_strange = np.concatenate([np.full(len(block), len(block) == 1) for block in blocks])
    weight = np.where(is_strange, 0.0, 1.0)
    weight[~is_strange] = WEIGHTS
    return np.concatenate(blocks), weight


def every_container(entry):
    """name -> function that puts rows in it."""
    containers = {
        "array": lambda X: X,
        "columns first": np.asfortranarray,
        "list": lambda X: X.tolist(),
        "pandas": lambda X: pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])]),
        "polars": lambda X: pl.DataFrame({f"x{j}": own.tolist() for j, own in enumerate(X.T)}, strict=False),
        "pyarrow": lambda X: pa.table({f"x{j}": own.tolist() for j, own in enumerate(X.T)}),
    }
    if entry.X.dtype == object:  # columns of these have one type
        del containers["polars"], containers["pyarrow"]
    else:
        containers["float32"] = lambda X: X.astype(np.float32)
    if entry.takes_sparse:
        containers |= {"csr": scipy.sparse.csr_array, "csc": scipy.sparse.csc_matrix, "coo": scipy.sparse.coo_array}
    return containers


WEIGHTS = np.random.default_rng(5).choice([0.5, 1.0, 2.0], N_ROWS)
quietly = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@quietly
@every_mixture
def test_a_fit_with_rows_of_weight_zero_is_the_fit_without_them(name):
    entry = ESTIMATORS[name]
    X, weight = with_strange_rows(entry)
    assert np.count_nonzero(weight == 0) >= 3
    for put_in in every_container(entry).values():
        alone = entry.make().fit(put_in(entry.X), sample_weight=WEIGHTS)
        assert_same_state(entry.make().fit(put_in(X), sample_weight=weight), alone)
        for method in ("score", "bic", "aic", "icl"):
            for options in ({},) if method == "score" else ({}, {"n_effective": "kish"}, {"n_effective": 40}):
                wanted = getattr(alone, method)(put_in(entry.X), sample_weight=WEIGHTS, **options)
                assert same_bits(getattr(alone, method)(put_in(X), sample_weight=weight, **options), wanted), method


@quietly
@every_mixture
@pytest.mark.parametrize("init_params", ["k-means++", "random", "random_from_data", "labels", "responsibilities"])
def test_no_start_sees_rows_of_weight_zero(init_params, name):
    entry = ESTIMATORS[name]
    X, weight = with_strange_rows(entry)
    starts = init_params, init_params
    if init_params in ("labels", "responsibilities"):
        start = GROUP if init_params == "labels" else np.eye(2)[GROUP]
        nonsense = np.full((len(X), *start.shape[1:]), -9 if init_params == "labels" else np.nan, dtype=start.dtype)
        nonsense[weight > 0] = start
        starts = nonsense, start
    fits = [
        entry.make(init_params=start, n_init=2).fit(rows, sample_weight=own)
        for start, rows, own in zip(starts, (X, entry.X), (weight, WEIGHTS), strict=True)
    ]
    fits[0].init_params = fits[1].init_params
    assert_same_state(*fits)


@quietly
@every_mixture
def test_a_batch_with_rows_of_weight_zero_is_the_batch_without_them(name):
    entry = ESTIMATORS[name]
    if entry.X.dtype == object:  # a batch has numbers
        with pytest.raises(ValueError, match="numbers"):
            fit_many([entry.X], entry.make())
        return
    X, weight = with_strange_rows(entry)
    problems, weights = [X, entry.X[::-1], X[::-1]], [weight, WEIGHTS[::-1], weight[::-1]]
    counted = [own[w > 0] for own, w in zip(problems, weights, strict=True)]
    for options in ({}, {"n_components": [1, 2], "criterion": "heldout"}, {"n_components": [2, 1], "criterion": "icl"}):
        got = fit_many(problems, entry.make(), sample_weight=weights, **options)
        wanted = fit_many(counted, entry.make(), sample_weight=[w[w > 0] for w in weights], **options)
        assert np.all(got.has_parameters)
        assert_same_results(got, wanted)
        for one, other in zip(got, wanted, strict=True):
            assert_same_state(one, other)


@quietly
@every_mixture
def test_a_choice_with_rows_of_weight_zero_is_the_choice_without_them(name):
    entry = ESTIMATORS[name]
    X, weight = with_strange_rows(entry)
    options = {"n_components": [1, 2], "criterion": "heldout", "n_folds": 2}
    got = select(X, entry.make(), sample_weight=weight, **options)
    wanted = select(entry.X, entry.make(), sample_weight=WEIGHTS, **options)
    assert_same_state(got.estimators_, wanted.estimators_)
    pd.testing.assert_frame_equal(got.to_frame(), wanted.to_frame(), check_exact=True)


def test_an_exposure_of_a_row_of_weight_zero_may_be_anything():
    exposure = np.random.default_rng(1).uniform(0.5, 2, N_ROWS)
    X, weight = np.r_[COUNTS, COUNTS[:2]], np.r_[WEIGHTS, 0, 0]
    rows = {"exposure": np.r_[exposure, np.nan, -1]}
    alone = PoissonMixture(2, random_state=0).fit(COUNTS, sample_weight=WEIGHTS, exposure=exposure)
    assert_same_state(PoissonMixture(2, random_state=0).fit(X, sample_weight=weight, **rows), alone)
    for method in ("score", "bic", "aic", "icl"):
        wanted = getattr(alone, method)(COUNTS, sample_weight=WEIGHTS, exposure=exposure)
        assert getattr(alone, method)(X, sample_weight=weight, **rows) == wanted


def test_laplace_does_not_look_at_rows_of_weight_zero():
    entry = ESTIMATORS["Dirichlet-multinomial, free"]
    X, weight = with_strange_rows(entry)
    model = entry.make().fit(entry.X, sample_weight=WEIGHTS)
    assert model.laplace(X, sample_weight=weight) == model.laplace(entry.X, sample_weight=WEIGHTS)


def test_a_score_does_not_look_at_rows_of_weight_zero_where_a_fit_has_no_weights():
    entry = ESTIMATORS["GSDMM"]
    X, weight = with_strange_rows(entry)
    model = entry.make().fit(entry.X)
    assert model.score(X, sample_weight=weight) == model.score(entry.X, sample_weight=WEIGHTS)


@every_mixture
def test_one_row_of_positive_weight_is_too_few_as_one_row_is(name):
    entry = ESTIMATORS[name]
    for rows, weight in ((entry.X[:1], None), (entry.X, np.arange(N_ROWS) == 7)):
        with pytest.raises(ValueError, match="minimum of 2 is required"):
            entry.make(n_components=1).fit(rows, sample_weight=weight)


# ---- parameters ------------------------------------------------------------------------------------------------------


@every_estimator
@pytest.mark.parametrize("parameter", ["n_components", "n_init", "n_threads"])
def test_true_is_no_number(name, parameter):
    entry = ESTIMATORS[name]
    with pytest.raises(ValueError, match=f"'{parameter}' parameter"):
        entry.make().set_params(**{parameter: True}).fit(entry.X)
