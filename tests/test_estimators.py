"""Laws of every public estimator, over the table of them."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from batches import assert_same_fit, assert_same_results, assert_same_state, attributes, fit_alone, same_bits
from estimators_table import (
    COUNTS,
    ESTIMATORS,
    GROUP,
    N_ROWS,
    REGRESSIONS,
    every_by_em,
    every_estimator,
    every_likelihood,
    every_mixture,
    log_density,
    public_estimators,
)
from scipy.special import logsumexp

from mixfast import PoissonMixture, Status, fit_many, load, select


def test_the_table_has_every_public_estimator():
    entries = [*ESTIMATORS.values(), *REGRESSIONS.values()]
    assert {type(entry.make()) for entry in entries} == public_estimators()


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
    if entry.log_density_of_new is None:
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
        for method in ("score", "bic", "aic", "icl") if entry.has_likelihood else ("score",):
            for options in ({},) if method == "score" else ({}, {"n_effective": "kish"}, {"n_effective": 40}):
                wanted = getattr(alone, method)(put_in(entry.X), sample_weight=WEIGHTS, **options)
                assert same_bits(getattr(alone, method)(put_in(X), sample_weight=weight, **options), wanted), method


@quietly
@every_by_em
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
    grids = {"n_components": [1, 2], "criterion": "heldout"}, {"n_components": [2, 1], "criterion": "icl"}
    for options in ({}, *grids) if entry.has_likelihood else ({},):
        got = fit_many(problems, entry.make(), sample_weight=weights, **options)
        wanted = fit_many(counted, entry.make(), sample_weight=[w[w > 0] for w in weights], **options)
        assert np.all(got.has_parameters)
        assert_same_results(got, wanted)
        for one, other in zip(got, wanted, strict=True):
            assert_same_state(one, other)


@quietly
@every_likelihood
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


@every_by_em
def test_one_row_of_positive_weight_is_too_few_as_one_row_is(name):
    entry = ESTIMATORS[name]
    for rows, weight in ((entry.X[:1], None), (entry.X, np.arange(N_ROWS) == 7)):
        with pytest.raises(ValueError, match="minimum of 2 is required"):
            entry.make(n_components=1).fit(rows, sample_weight=weight)


# ---- parameters ------------------------------------------------------------------------------------------------------


NUMBERS = ["n_components", "n_init", "n_threads", "init_components", "max_components", "n_batches", "max_iter"]


@every_estimator
def test_true_is_no_number(name):
    entry = ESTIMATORS[name]
    known = [parameter for parameter in NUMBERS if parameter in entry.make().get_params()]
    assert len(known) > 1
    for parameter in known:
        with pytest.raises(ValueError, match=f"'{parameter}' parameter"):
            entry.make().set_params(**{parameter: True}).fit(entry.X)


# ---- EM --------------------------------------------------------------------------------------------------------------


STARTS = ["kmeans", "k-means++", "random", "random_from_data"]
#: The mixtures whose objective has no prior and no regularization: what is added to a covariance is in no objective.
MAXIMUM_LIKELIHOOD = {"alpha": 0.0, "beta": 0.0, "prior_shape": 0.0, "prior_rate": 0.0, "reg_covar": 0.0}


def priors(entry):
    """Parameters of the estimator as it is, and without what is added to estimates."""
    own = entry.make().get_params(deep=False)
    without = {name: value for name, value in MAXIMUM_LIKELIHOOD.items() if name in own}
    return [{}, without] if without else [{}]


def assert_never_falls(model):
    """Unless a covariance was repaired, which adds to it what the likelihood does not ask for: the status says so."""
    bounds = np.asarray(model.lower_bounds_, dtype=float)
    if np.diff(bounds).min(initial=0) < -1e-9 * np.abs(bounds).max():
        assert Status.REPAIRED_COVARIANCE | Status.LOWER_BOUND_FELL in model.status_


@quietly
@every_mixture
@pytest.mark.parametrize("init_params", STARTS)
def test_the_objective_never_falls_and_extrapolation_ends_no_lower(init_params, name):
    entry = ESTIMATORS[name]
    for options in priors(entry):
        options = options | {"n_components": 3, "init_params": init_params, "tol": 1e-8, "max_iter": 2000}
        plain, fast = (entry.make(**options, accelerate=loop).fit(entry.X) for loop in (None, "auto"))
        for model in (plain, fast):
            assert_never_falls(model)
            assert model.lower_bound_ == model.lower_bounds_[-1]
            assert model.weights_.sum() + getattr(model, "remaining_weight_", 0) == pytest.approx(1, rel=1e-12)
            resp = model.predict_proba(entry.X)
            np.testing.assert_allclose(resp.sum(axis=1), 1, rtol=1e-12)
            assert np.all(resp >= 0)


def test_a_fall_would_be_seen_in_a_fit():
    model = ESTIMATORS["Gaussian full"].make()
    model.lower_bounds_, model.status_ = [-3.0, -2.0, -2.0 - 1e-6, -1.0], Status.REPAIRED_COVARIANCE
    with pytest.raises(AssertionError):
        assert_never_falls(model)


@quietly
@every_by_em
def test_a_fit_that_has_converged_is_a_fixed_point(name):
    entry = ESTIMATORS[name]
    model = entry.make(tol=1e-13, max_iter=20_000, warm_start=True).fit(entry.X)
    before = model.score_samples(entry.X)
    model.set_params(max_iter=2).fit(entry.X)
    np.testing.assert_allclose(model.score_samples(entry.X), before, rtol=1e-4)


@quietly
@every_mixture
def test_the_same_bits_for_any_number_of_threads(name):
    """Of rows that fill all lanes, each with a weight of its own."""
    entry = ESTIMATORS[name]
    weight = np.random.default_rng(6).uniform(0.5, 2, 330 * N_ROWS)
    rows = np.tile(entry.X, (330, 1))
    for put_in in (np.asarray, scipy.sparse.csr_array) if entry.takes_sparse else (np.asarray,):
        for dtype in entry.dtypes:
            X = put_in(rows.astype(dtype))
            fits = [entry.make(max_iter=4, tol=0, n_threads=n).fit(X, sample_weight=weight) for n in (1, 2, 5)]
            resp = [model.predict_proba(X) for model in fits]
            for model, other in zip(fits[1:], resp[1:], strict=True):
                model.n_threads = fits[0].n_threads
                assert_same_state(model, fits[0])
                assert same_bits(other, resp[0])


@quietly
@every_mixture
def test_a_weight_equals_repeating_the_row(name):
    entry = ESTIMATORS[name]
    repeats = np.random.default_rng(7).integers(0, 4, N_ROWS)
    options = {"tol": 1e-10, "max_iter": 5000}
    weighted = entry.make(**options, init_params=GROUP).fit(entry.X, sample_weight=repeats)
    repeated = entry.make(**options, init_params=np.repeat(GROUP, repeats)).fit(np.repeat(entry.X, repeats, axis=0))
    assert weighted.lower_bound_ == pytest.approx(repeated.lower_bound_, rel=1e-12)
    shown = entry.X[repeats > 0]
    np.testing.assert_allclose(weighted.score_samples(shown), repeated.score_samples(shown), rtol=1e-7)
    np.testing.assert_allclose(weighted.predict_proba(shown), repeated.predict_proba(shown), rtol=1e-5, atol=1e-9)


@quietly
@every_mixture
@pytest.mark.parametrize("init_params", STARTS)
def test_a_fit_to_sparse_rows_is_that_to_dense_ones(init_params, name):
    entry = ESTIMATORS[name]
    if not entry.takes_sparse:
        with pytest.raises((TypeError, ValueError), match=r"[Ss]parse"):
            entry.make().fit(scipy.sparse.csr_matrix(np.ones((9, entry.X.shape[1]))))
        return
    for options in priors(entry):
        for dtype in entry.dtypes:
            X = entry.X.astype(dtype)
            C = scipy.sparse.csr_matrix(X)
            options = options | {"init_params": init_params, "tol": 1e-8, "max_iter": 2000}
            dense = entry.make(**options).fit(X, sample_weight=WEIGHTS)
            sparse = entry.make(**options).fit(C, sample_weight=WEIGHTS)
            rtol = 1e-6 if dtype == np.float64 else 2e-3
            np.testing.assert_allclose(sparse.score_samples(C), dense.score_samples(X), rtol=rtol, atol=rtol)
            np.testing.assert_allclose(sparse.predict_proba(C), dense.predict_proba(X), rtol=rtol, atol=rtol)
            for attribute in {"totals_", "total_shares_", "is_exposed_"} & vars(dense).keys():
                assert_same_state(getattr(sparse, attribute), getattr(dense, attribute))
            for criterion in ("bic", "icl") if entry.has_likelihood else ():
                assert getattr(sparse, criterion)(C) == pytest.approx(getattr(dense, criterion)(X), rel=rtol)
            np.testing.assert_allclose(dense.score_samples(C), dense.score_samples(X), rtol=rtol, atol=rtol)


# ---- batches, files --------------------------------------------------------------------------------------------------


@quietly
@every_mixture
@pytest.mark.parametrize("init_params", STARTS)
def test_a_problem_of_a_batch_has_the_bits_of_its_fit_alone(init_params, name, tmp_path):
    entry = ESTIMATORS[name]
    if entry.X.dtype == object:  # a batch has numbers
        return
    others = {"accelerate": "auto", "tol": 1e-6, "n_init": 2, "max_iter": 200}
    forms = [np.asarray, scipy.sparse.csr_matrix] if entry.takes_sparse else [np.asarray]
    for put_in in forms:
        for dtype in entry.dtypes:
            # all have all categories: those of a batch are common to its problems
            problems = [put_in(X.astype(dtype)) for X in (entry.X, entry.X[::-1], entry.X[:40], entry.X[7:8])]
            alone = [{"n_components": 1}] if put_in is np.asarray and dtype == entry.dtypes[0] else []
            alone = alone if entry.is_by_em else []  # a Dirichlet process is fitted to one row
            for options in ({}, *alone, others):
                estimator = entry.make(**options, init_params=init_params)
                result = fit_many(problems, estimator, random_state=3, n_threads=2)
                assert result.status[3] & Status.TOO_FEW_ROWS
                scores, resp = result.score_samples(problems), result.predict_proba(problems)
                for i, X in enumerate(problems[:3]):
                    wanted = fit_alone(estimator, X, 3)
                    assert_same_fit(result[i], wanted)
                    assert result.status[i] == wanted.status_
                    assert same_bits(scores[i], wanted.score_samples(X))
                    assert same_bits(resp[i], wanted.predict_proba(X))
        result[0].save(tmp_path / "model")
        assert same_bits(load(tmp_path / "model").score_samples(problems[0]), scores[0])


@every_mixture
def test_a_problem_outside_the_domain_says_so_and_leaves_the_others(name):
    entry = ESTIMATORS[name]
    if entry.X.dtype == object:
        return
    for kind, row in entry.refused_rows().items():
        result = fit_many([entry.X, np.concatenate([entry.X, row])], entry.make(), random_state=3)
        assert result.status[1] & (Status.OUT_OF_DOMAIN | Status.NOT_FINITE), kind
        assert result.has_parameters.tolist() == [True, False]


@every_estimator
def test_a_saved_model_has_the_same_bits(name, tmp_path):
    entry = ESTIMATORS[name]
    for dtype in entry.dtypes:
        X = entry.X.astype(dtype)
        model = entry.make().fit(pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])]))
        model.save(tmp_path / "model")
        same = load(tmp_path / "model")
        assert type(same) is type(model)
        assert_same_state(attributes(same), attributes(model))
        table = pd.DataFrame(X, columns=model.feature_names_in_)
        for method in ("predict", "predict_proba", "score_samples"):
            assert same_bits(getattr(same, method)(table), getattr(model, method)(table))
        for got, wanted in zip(same.sample(20, random_state=1), model.sample(20, random_state=1), strict=True):
            assert same_bits(got, wanted)
        assert_same_state(attributes(same.fit(table)), attributes(model.fit(table)))


# ---- labels in y, and tables without rows ----


@every_estimator
@pytest.mark.parametrize("unknown", [-1, None, np.nan])
def test_labels_of_some_rows_are_known_or_said_not_to_be(name, unknown):
    """`fit(X, y)` takes them for `known_labels`, or warns that there is no place for them."""
    entry = ESTIMATORS[name]
    y = np.full(len(entry.X), unknown, dtype=object if unknown is None else type(unknown))
    y[:6] = np.arange(6) % 2
    if "known_labels" not in entry.make()._row_data:
        with pytest.warns(UserWarning, match="takes no labels, so y is ignored"):
            found = entry.make().fit(entry.X, y)
        wanted = entry.make().fit(entry.X)
    elif getattr(entry.make(), "canonical_order", False):
        with pytest.raises(ValueError, match="known_labels has their numbers"):
            entry.make().fit(entry.X, y)
        return
    else:
        found, wanted = entry.make().fit(entry.X, y), entry.make().fit(entry.X, known_labels=y)
        np.testing.assert_array_equal(found.predict(entry.X, known_labels=y)[:6], np.arange(6) % 2)
    np.testing.assert_array_equal(found.weights_, wanted.weights_)


@every_estimator
def test_complete_labels_are_ignored(name):
    entry = ESTIMATORS[name]
    wanted = entry.make().fit(entry.X).weights_
    for y in (np.arange(len(entry.X)) % 2, np.where(np.arange(len(entry.X)) % 2, "a", "b")):
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*labels")
            np.testing.assert_array_equal(entry.make().fit(entry.X, y).weights_, wanted)


PREDICTIONS = (
    "predict",
    "predict_proba",
    "score_samples",
    "score",
    "bic",
    "is_outlier",
    "summary",
)


@every_estimator
def test_rows_that_are_none_are_said_to_be(name):
    entry = ESTIMATORS[name]
    model = entry.make().fit(entry.X)
    asked = [method for method in PREDICTIONS if hasattr(model, method)]
    assert len(asked) >= 4
    for method in asked:
        with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
            getattr(model, method)(entry.X[:0])


@every_likelihood
def test_the_number_of_parameters_is_what_criteria_count(name):
    entry = ESTIMATORS[name]
    with pytest.raises(AttributeError):  # there is none before a fit
        entry.make().n_parameters  # noqa: B018
    model = entry.make().fit(entry.X)
    log_likelihood = np.sum(model.score_samples(entry.X))
    assert type(model.n_parameters) is int
    assert model.aic(entry.X) == pytest.approx(2 * model.n_parameters - 2 * log_likelihood)
    assert model.bic(entry.X) == pytest.approx(np.log(len(entry.X)) * model.n_parameters - 2 * log_likelihood)
