"""BernoulliMixture's own behaviour: the threshold, the prior, certain columns, missing entries."""

from itertools import pairwise

import mpmath
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from scipy.special import xlog1py, xlogy

from mixfast import BernoulliMixture, Status, fit_many, select
from mixfast._em import EM
from mixfast._reference import em as reference
from mixfast.engine._rows import Rows
from mixfast.families.bernoulli import Bernoulli


def answers(n_rows=1000):
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=n_rows)
    return (rng.uniform(size=(n_rows, 8)) < np.where(labels[:, np.newaxis], 0.85, 0.2)).astype(float), labels


def test_two_kinds_of_answers_are_told_apart():
    X, labels = answers()
    found = BernoulliMixture(2, random_state=0).fit_predict(X)
    assert max((found == labels).mean(), (found != labels).mean()) > 0.97


def test_values_above_the_threshold_count_as_one():
    X, _ = answers()
    usual = BernoulliMixture(2, random_state=0).fit(X)
    shifted = BernoulliMixture(2, binarize=7.5, random_state=0).fit(7 + X)
    assert shifted.lower_bounds_ == usual.lower_bounds_
    np.testing.assert_array_equal(shifted.predict(7 + X), usual.predict(X))
    plain = BernoulliMixture(2, binarize=None, random_state=0).fit(X)
    assert plain.lower_bounds_ == usual.lower_bounds_


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0, 20.0])
def test_the_prior_adds_pseudo_counts_and_the_objective_holds_it(alpha):
    X, _ = answers()
    model = BernoulliMixture(1, alpha=alpha, tol=0, max_iter=3)
    with pytest.warns(UserWarning, match="did not converge"):
        model.fit(X)
    expected = (X.sum(axis=0) + alpha) / (len(X) + 2 * alpha)
    np.testing.assert_allclose(model.probabilities_[0], expected, rtol=1e-12)
    prior = alpha * np.log(expected * (1 - expected)).sum()
    assert model.lower_bound_ == pytest.approx(model.score(X) + prior / len(X), rel=1e-12)


def test_a_row_that_certain_columns_exclude_is_minus_infinity_and_shared():
    model = BernoulliMixture(2, binarize=None)
    model.weights_ = np.array([0.25, 0.75])
    model.probabilities_ = np.array([[1.0, 0.0, 0.5], [1.0, 0.2, 0.5]])
    model.n_features_in_ = 3
    X = np.array([[1.0, 0, 1], [1, 1, 0], [0, 0, 1]])
    with pytest.warns(UserWarning, match="density zero under every component"):
        scores = model.score_samples(X)
    np.testing.assert_allclose(scores, [np.log(0.25 * 0.5 + 0.75 * 0.8 * 0.5), np.log(0.75 * 0.2 * 0.5), -np.inf])
    with pytest.warns(UserWarning, match="density zero under every component"):
        resp = model.predict_proba(X)
    np.testing.assert_allclose(resp[1:], [[0, 1], [0.5, 0.5]])
    np.testing.assert_allclose(resp.sum(axis=1), 1)


def test_maximum_likelihood_copes_with_columns_that_never_vary():
    X, _ = answers(200)
    X[:, 0], X[:, 1] = 1, 0
    model = BernoulliMixture(2, alpha=0, random_state=0).fit(X)
    np.testing.assert_array_equal(model.probabilities_[:, :2], [[1, 0], [1, 0]])
    assert np.isfinite(model.score(X))
    assert model.status_ == Status.CONVERGED
    with pytest.warns(UserWarning, match="density zero under every component"):
        assert model.score_samples(1 - X[:1])[0] == -np.inf


# ---- missing entries ------------------------------------------------------------------------------------------------


def incomplete_answers(n_rows=300, share=0.25, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=n_rows)
    probabilities = np.where(labels[:, np.newaxis], [0.8, 0.7, 0.9, 0.2, 0.6, 0.3], [0.2, 0.3, 0.1, 0.7, 0.5, 0.9])
    X = (rng.uniform(size=(n_rows, 6)) < probabilities).astype(float)
    X[rng.uniform(size=X.shape) < share] = np.nan
    return X


class BernoulliOfEntries:
    """Twin of the family for rows with missing entries: sums over the entries that are there."""

    def __init__(self, alpha):
        self.alpha = alpha

    def log_density(self, X, params):
        rows, (p,) = X[:, np.newaxis], params
        return np.nansum(xlogy(rows, p) + xlog1py(1 - rows, -p), axis=2)

    def accumulate(self, X, resp, weights, params):
        return resp.T @ (X == 1), resp.T @ ~np.isnan(X)

    def maximise(self, counts, stats, weights, params, common=()):
        ones, observed = stats
        return ((ones + self.alpha) / (observed + 2 * self.alpha),)

    def common(self, X, sample_weight):
        return ()

    def log_prior(self, params):
        (p,) = params
        return float(self.alpha * (np.log(p) + np.log1p(-p)).sum()) if self.alpha else 0.0


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_missing_entries_are_left_out_as_by_the_twin(alpha, dtype, form):
    X, rng = incomplete_answers(2000), np.random.default_rng(1)
    X[:, 2] = np.where(np.isnan(X[:, 2]), 0, X[:, 2])  # complete
    sample_weight, weights = rng.uniform(0.5, 2, len(X)), np.array([0.2, 0.5, 0.3])
    params = rng.uniform(0.05, 0.95, (3, 6))
    encoded = Bernoulli(alpha).encode(form(X.astype(dtype)))
    em = EM(encoded.bind(3, np.dtype(dtype)), Rows(encoded.rows, sample_weight), 2)
    em.set_state(weights, params.ravel())
    objectives, _ = em.iterate(10, 0)
    expected = reference.fit(X, sample_weight, weights, BernoulliOfEntries(alpha), (params,), 10)
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(objectives, expected[2], rtol=tolerance)
    np.testing.assert_allclose(em.state()[0], expected[0], rtol=100 * tolerance)
    np.testing.assert_allclose(em.state()[1], expected[1][0].ravel(), rtol=100 * tolerance)
    assert np.diff(objectives).min() > 0


def test_the_fit_to_incomplete_answers_is_that_of_stepmix():
    """StepMix 3.0.0, measurement="binary_nan", two classes, abs_tol=1e-13: its average log-likelihood."""
    X = incomplete_answers()
    model = BernoulliMixture(2, alpha=0, tol=1e-13, max_iter=10_000, random_state=0, canonical_order=True).fit(X)
    assert model.score(X) == pytest.approx(-2.80201974747453, rel=1e-12)
    np.testing.assert_allclose(model.weights_, [0.47796236, 0.52203764], atol=1e-6)
    expected = [[0.21311181, 0.24696255, 0.16279362, 0.61452303, 0.37188684, 0.94319632],
                [0.79326661, 0.67295479, 0.88141316, 0.24949827, 0.72912371, 0.29683122]]  # fmt: skip
    np.testing.assert_allclose(model.probabilities_, expected, atol=1e-6)


def test_without_missing_entries_the_rows_are_taken_as_they_are():
    for X in (answers()[0], sp.csr_matrix(answers()[0])):
        encoded = Bernoulli().encode(X)
        assert encoded.rows is X
        assert encoded.seeds is None


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_sparse_rows_with_missing_entries_are_fitted_as_dense_ones(init_params, alpha):
    X = incomplete_answers()
    X[X == 1] *= np.random.default_rng(3).uniform(size=int(np.nansum(X))) < 0.5
    C = sp.csr_matrix(X)
    model = BernoulliMixture(2, alpha=alpha, init_params=init_params, tol=1e-9, max_iter=10_000, random_state=0)
    expected = model.fit(X).probabilities_, model.score_samples(X), model.predict_proba(X), model.bic(X)
    got = model.fit(C).probabilities_, model.score_samples(C), model.predict_proba(C), model.bic(C)
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
def test_an_entry_that_is_missing_contradicts_no_certain_column(form):
    model = BernoulliMixture(2, binarize=None)
    model.weights_, model.n_features_in_ = np.array([0.25, 0.75]), 3
    model.probabilities_ = np.array([[1.0, 0.0, 0.5], [1.0, 0.2, 0.5]])
    X = form(np.array([[np.nan, 0, 1], [1, np.nan, 0], [np.nan] * 3, [0, np.nan, 1], [np.nan, 1, np.nan]]))
    with pytest.warns(UserWarning, match="density zero"):
        scores = model.score_samples(X)
    expected = [np.log(0.25 * 0.5 + 0.75 * 0.4), np.log(0.5), 0, -np.inf, np.log(0.15)]
    np.testing.assert_allclose(scores, expected, rtol=1e-14, atol=1e-15)
    with pytest.warns(UserWarning, match="density zero"):
        resp = model.predict_proba(X)
    np.testing.assert_allclose(resp[2:], [[0.25, 0.75], [0.5, 0.5], [0, 1]])


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_what_a_component_never_sees_it_takes_from_all_rows(form, dtype):
    """Component 0 has no entry in column 1, no component one in column 2."""
    rng = np.random.default_rng(0)
    X = np.column_stack([np.repeat([1, 0], 500), rng.integers(2, size=1000), np.full(1000, np.nan)]).astype(dtype)
    X[:500, 1] = np.nan
    labels = np.repeat([0, 1], 500)
    model = BernoulliMixture(2, alpha=0, init_params=np.eye(2)[labels]).fit(form(X))
    expected = np.nanmean(X[:, 1])
    np.testing.assert_allclose(model.probabilities_, [[1, expected, 0.5], [0, expected, 0.5]], rtol=1e-6)
    with_prior = BernoulliMixture(2, alpha=1, init_params=labels).fit(form(X))
    assert with_prior.probabilities_[0, 1] == pytest.approx(0.5, abs=0.01)
    np.testing.assert_array_equal(with_prior.probabilities_[:, 2], 0.5)


def test_missing_entries_in_any_container():
    X = incomplete_answers(50)
    expected = BernoulliMixture(2, random_state=0).fit(X).probabilities_
    as_objects = np.where(np.isnan(X), None, X)
    frame = pd.DataFrame(X).astype("Int8")
    for same in (as_objects, frame, pl.DataFrame(X).fill_nan(None)):
        np.testing.assert_array_equal(BernoulliMixture(2, random_state=0).fit(same).probabilities_, expected)


def test_missing_entries_pass_the_threshold():
    X = incomplete_answers()
    usual = BernoulliMixture(2, random_state=0).fit(X)
    for model, rows in ((BernoulliMixture(2, binarize=7.5, random_state=0), 7 + X),
                        (BernoulliMixture(2, binarize=None, random_state=0), X)):  # fmt: skip
        assert model.fit(rows).lower_bounds_ == usual.lower_bounds_
    with pytest.raises(ValueError, match=r"Column 1 of X is not binary: row 0 is 2\.0"):
        BernoulliMixture(binarize=None).fit([[np.nan, 2], [1, 0]])
    with pytest.raises(ValueError, match="infinity"):
        BernoulliMixture().fit([[np.nan, np.inf], [1, 0]])


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
def test_a_batch_of_problems_with_missing_entries_has_the_bits_of_fits_alone(form):
    X = form(np.concatenate([incomplete_answers(60), answers(60)[0][:, :6], incomplete_answers(60, 0.6)]))
    problems = [X[a:b] for a, b in pairwise([0, 60, 120, 180])]
    result = fit_many(problems, BernoulliMixture(), n_components=[1, 2], random_state=3)
    for i, problem in enumerate(problems):
        alone = BernoulliMixture(result.n_components[i], random_state=3).fit(problem)
        np.testing.assert_array_equal(result[i].probabilities_, alone.probabilities_)
        np.testing.assert_array_equal(result.score_samples(problems)[i], alone.score_samples(problem))


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
def test_the_number_of_classes_is_chosen_from_incomplete_answers(form):
    chosen = select(form(incomplete_answers(1000)), BernoulliMixture(alpha=0.1), n_components=[1, 2, 3], random_state=0)
    assert chosen.best_params_ == {"n_components": 2}


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
def test_densities_keep_their_digits_at_probabilities_near_zero_and_one(form):
    """Error is relative to the largest terms: log p is made of log(1 - p) and log p / (1 - p)."""
    rng = np.random.default_rng(0)
    probabilities = rng.choice([1e-300, 1e-17, 1e-5, 0.3, 0.7, 1 - 1e-5, 1 - 1e-10, 1 - 2.0**-53], size=(3, 6))
    weights = np.array([0.2, 0.5, 0.3])
    X = (rng.uniform(size=(40, 6)) < 0.5).astype(float)
    model = BernoulliMixture(3, binarize=None)
    model.weights_, model.probabilities_, model.n_features_in_ = weights, probabilities, 6
    got = model.score_samples(form(X))
    for x, value in zip(X, got, strict=True):
        with mpmath.workdps(60):
            terms = [
                mpmath.log(float(weight))
                + mpmath.fsum(mpmath.log(p if one else 1 - mpmath.mpf(float(p))) for p, one in zip(row, x, strict=True))
                for weight, row in zip(weights, probabilities, strict=True)
            ]
            expected = float(mpmath.log(mpmath.fsum(mpmath.exp(term) for term in terms)))
        size = np.sum(np.abs(np.log1p(-probabilities)) + np.abs(np.log(probabilities)), axis=1).max()
        assert abs(value - expected) < 1e-12 * abs(expected) + 4e-16 * size
