"""Missing entries in columns that are independent within a component: Gamma, exponential and Poisson mixtures."""

import warnings

import numpy as np
import pytest
import scipy.sparse
from scipy.special import digamma, logsumexp
from scipy.stats import expon, gamma, poisson

from mixfast import (
    DirichletProcessMixture,
    ExponentialMixture,
    GammaMixture,
    PoissonMixture,
    ProductMixture,
    blocks,
    fit_many,
    load,
    select,
)
from mixfast.parts import Exponential, Gamma, Poisson

MEANS = np.array([[1.0, 2.0, 3.0, 9.0], [8.0, 5.0, 1.0, 2.0]])

#: class -> (rows of these means, log densities (n, K, d) at the fitted parameters, means (K, d))
KINDS = {
    PoissonMixture: (
        lambda rng, means: rng.poisson(means).astype(float),
        lambda model, X: poisson.logpmf(X, model.rates_),
        lambda model: model.rates_,
    ),
    ExponentialMixture: (
        lambda rng, means: rng.exponential(means),
        lambda model, X: expon.logpdf(X, scale=1 / model.rates_),
        lambda model: 1 / model.rates_,
    ),
    GammaMixture: (
        lambda rng, means: rng.gamma(3, means / 3),
        lambda model, X: gamma.logpdf(X, model.shapes_, scale=model.scales_),
        lambda model: model.shapes_ * model.scales_,
    ),
}
PARTS = {PoissonMixture: Poisson, ExponentialMixture: Exponential, GammaMixture: Gamma}
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def with_holes(kind, n=1500, share=0.2, seed=0):
    """(rows with holes, the first without any entry and the second with all; their groups)"""
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=n)
    X = KINDS[kind][0](rng, MEANS[labels])
    X[2:][rng.random(X[2:].shape) < share] = np.nan
    X[0] = np.nan
    return X, labels


def model_of(kind, X, labels, fit=None, **options):
    model = kind(2, **({"init_params": labels, "tol": 1e-10, "max_iter": 200} | options))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, **(fit or {}))


@every_kind
def test_densities_are_those_of_what_is_there(kind):
    X, labels = with_holes(kind)
    model = model_of(kind, X, labels)
    terms = KINDS[kind][1](model, np.where(np.isnan(X), 1, X)[:, np.newaxis])
    joint = np.log(model.weights_) + np.where(np.isnan(X)[:, np.newaxis], 0, terms).sum(axis=2)
    np.testing.assert_allclose(model.score_samples(X), logsumexp(joint, axis=1), rtol=0, atol=1e-11)
    np.testing.assert_allclose(model.predict_proba(X[:1]), [model.weights_], rtol=1e-12)
    assert np.all(np.diff(model.lower_bounds_) > -1e-12)


@every_kind
def test_steps_are_those_of_what_is_there(kind):
    """From responsibilities, weights of rows included: means, and the mean logarithms of Gamma columns."""
    X, _ = with_holes(kind)
    rng = np.random.default_rng(1)
    resp, weight = rng.dirichlet([1, 1], size=len(X)), rng.uniform(0.5, 2, size=len(X))
    model = model_of(kind, X, resp, fit={"sample_weight": weight}, max_iter=0)
    there, own = ~np.isnan(X), resp * weight[:, np.newaxis]
    n_there, filled = own.T @ there, np.where(there, X, 1)
    np.testing.assert_allclose(KINDS[kind][2](model), own.T @ np.where(there, X, 0) / n_there, rtol=1e-12)
    if kind is GammaMixture:
        logs = own.T @ np.log(filled) / n_there
        np.testing.assert_allclose(digamma(model.shapes_) + np.log(model.scales_), logs, rtol=0, atol=1e-12)


@every_kind
def test_rows_without_holes_are_as_ever(kind):
    """A design that knows of holes elsewhere changes no more than the order of sums."""
    X, labels = with_holes(kind, share=0.0)
    X, labels = X[1:], labels[1:]
    plain = model_of(kind, X, labels, max_iter=5)
    design = kind(2).design(with_holes(kind)[0])
    got, expected = plain.statistics(X, design=design), plain.statistics(X)
    assert got.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-13)
    one = model_of(kind, X, labels, max_iter=5).update(got)
    other = model_of(kind, X, labels, max_iter=5).update(expected)
    np.testing.assert_allclose(KINDS[kind][2](one), KINDS[kind][2](other), rtol=1e-12)


@every_kind
def test_parts_and_partitions_are_the_whole(kind):
    X, labels = with_holes(kind)
    X[:700, 1] = np.where(np.isnan(X[:700, 1]), 1.0, X[:700, 1])  # the first part has no hole there
    whole = model_of(kind, X, labels, max_iter=20)
    parts = X[:700], X[700:]
    design = kind(2).design(parts[0]) + kind(2).design(parts[1])
    sums = [whole.statistics(part, design=design) for part in parts]
    added = sums[0] + sums[1]
    assert added.log_likelihood == pytest.approx(whole.statistics(X).log_likelihood, rel=1e-12)
    with pytest.raises(ValueError, match="Column 1 of X has missing entries, and none in the rows of the design"):
        whole.statistics(parts[1], design=kind(2).design(parts[0]))
    options = {"n_components": 2, "init_params": "random_from_data", "random_state": 0, "max_iter": 20, "tol": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        by_parts = kind(**options).fit(blocks(lambda: iter([X[:600], X[600:]])))
    assert np.isfinite(by_parts.lower_bound_)
    np.testing.assert_allclose(by_parts.score(X), by_parts.statistics(X).log_likelihood / len(X), rtol=1e-12)


@every_kind
def test_threads_batches_files_and_choices_know_them(kind, tmp_path):
    X, labels = with_holes(kind)
    one, two = (model_of(kind, X, labels, n_threads=n) for n in (1, 2))
    assert one.lower_bounds_ == two.lower_bounds_
    one.save(tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model").score_samples(X), one.score_samples(X))
    found = fit_many(np.stack([X[:700], X[700:1400]]), kind(2, random_state=0, max_iter=20))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone = kind(2, random_state=0, max_iter=20).fit(X[:700])
    assert alone.lower_bound_ == found.lower_bound[0]
    # problems without holes have the bits that they have among their like
    whole = np.nan_to_num(X[:1400], nan=1.0).reshape(2, 700, 4)
    few, more = (fit_many(own, kind(2, random_state=0)) for own in (whole, [*whole, X[:700]]))
    np.testing.assert_array_equal(more.lower_bound[:2], few.lower_bound)
    assert select(X, kind(random_state=0), n_components=[1, 2]).best_params_["n_components"] == 2
    # a row without entries says nothing: BIC counts the others
    n_free = one._n_parameters()
    n_counted = np.count_nonzero(~np.isnan(X).all(axis=1))
    assert n_counted < len(X)
    expected = -2 * one.score_samples(X).sum() + n_free * np.log(n_counted)
    assert one.bic(X) == pytest.approx(expected, rel=1e-12)


@every_kind
def test_missing_entries_are_filled_in(kind):
    X, labels = with_holes(kind)
    model = model_of(kind, X, labels)
    filled, means = model.impute(X), KINDS[kind][2](model)
    missing = np.isnan(X)
    np.testing.assert_allclose(filled[missing], (model.predict_proba(X) @ means)[missing], rtol=1e-12)
    np.testing.assert_array_equal(filled[~missing], X[~missing])
    drawn = model.sample_missing(X, n_draws=200, random_state=0)
    assert drawn.shape == (200, *X.shape)
    np.testing.assert_array_equal(drawn[:, ~missing], np.broadcast_to(X[~missing], (200, np.sum(~missing))))
    errors = drawn[:, missing].std(axis=0, ddof=1) / np.sqrt(200)
    away = (drawn[:, missing].mean(axis=0) - filled[missing]) / np.maximum(errors, 1e-3)
    assert np.sqrt(np.mean(away**2)) == pytest.approx(1, abs=0.15)


def test_sparse_counts_are_dense_ones():
    X, labels = with_holes(PoissonMixture)
    exposure = np.random.default_rng(2).uniform(0.5, 2, size=len(X))
    for fit in ({}, {"exposure": exposure}):
        dense = model_of(PoissonMixture, X, labels, fit=fit)
        sparse = model_of(PoissonMixture, scipy.sparse.csr_matrix(X), labels, fit=fit)
        np.testing.assert_allclose(sparse.rates_, dense.rates_, rtol=1e-10)
        assert sparse.lower_bound_ == pytest.approx(dense.lower_bound_, rel=1e-12)
    rows = scipy.sparse.csr_matrix(X)
    sparse = model_of(PoissonMixture, rows, labels)
    assert sparse.bic(rows) == pytest.approx(sparse.bic(X), rel=1e-12)  # a row without any entry does not count
    np.testing.assert_allclose(sparse.impute(rows), sparse.impute(X), rtol=1e-12)
    np.testing.assert_array_equal(sparse.sample_missing(rows, random_state=0), sparse.sample_missing(X, random_state=0))
    lost = X.copy()
    lost[:, 2] = np.nan
    for rows in (lost, scipy.sparse.csr_matrix(lost)):
        with pytest.raises(ValueError, match="column 2 has no entry in any row"):
            PoissonMixture(2).fit(rows)


def test_rates_are_those_of_the_exposures_of_rows_with_an_entry():
    X, _ = with_holes(PoissonMixture)
    rng = np.random.default_rng(1)
    resp, exposure = rng.dirichlet([1, 1], size=len(X)), rng.uniform(0.5, 2, size=len(X))
    model = model_of(PoissonMixture, X, resp, fit={"exposure": exposure}, max_iter=0, alpha=0.5, beta=0.25)
    there = ~np.isnan(X)
    expected = (resp.T @ np.where(there, X, 0) + 0.5) / ((resp * exposure[:, np.newaxis]).T @ there + 0.25)
    np.testing.assert_allclose(model.rates_, expected, rtol=1e-12)


@every_kind
def test_a_column_that_a_component_has_not_seen_has_the_parameters_of_all_rows(kind):
    X, labels = with_holes(kind, share=0.0)
    X, labels = X[1:], labels[1:]
    X[labels == 0, 3] = np.nan
    model = model_of(kind, X, np.eye(2)[labels], max_iter=0)
    assert KINDS[kind][2](model)[0, 3] == pytest.approx(np.nanmean(X[:, 3]), rel=1e-12)


def test_parts_of_products_have_them():
    X, labels = with_holes(PoissonMixture)
    Y, _ = with_holes(GammaMixture)
    both = np.column_stack([X, Y])
    parts = [(*range(4), Poisson()), (*range(4, 8), Gamma())]
    model = ProductMixture(parts, 2, init_params=labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(both)
    counts, waits = model.components_.values()
    expected = logsumexp(
        np.log(model.weights_) + counts.component_log_density(X) + waits.component_log_density(Y), axis=1
    )
    np.testing.assert_allclose(model.score_samples(both), expected, rtol=1e-12)


def test_posteriors_refuse_them():
    X, _ = with_holes(PoissonMixture)
    for component in ("poisson", "exponential"):
        with pytest.raises(ValueError, match="NaN"):
            DirichletProcessMixture(component).fit(X)


@every_kind
@pytest.mark.parametrize("init_params", ["k-means++", "random_from_data", "labels"])
def test_the_rows_that_a_start_begins_with_may_lack_a_column(init_params, kind):
    X, _ = with_holes(kind, n=40)
    X[2::2, 0], X[3::2, 1] = np.nan, np.nan
    if init_params == "labels":
        starts = [{"init_params": np.where(np.arange(40) == row, 0, -1)} for row in range(2, 12)]
    else:
        starts = [{"init_params": init_params, "random_state": seed} for seed in range(20)]
    for part in (kind(1, tol=1e-9), ProductMixture([(0, 1, 2, 3, PARTS[kind]())], 1, tol=1e-9)):
        bounds = [part.set_params(**start).fit(X).lower_bound_ for start in starts]
        np.testing.assert_allclose(bounds, bounds[0], rtol=1e-12)
