"""Within a batch no data raises: a problem that cannot be fitted has a status, and no other problem sees it."""

import os
import platform
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse
from batches import (
    DTYPES,
    STARTS,
    TYPES,
    UNUSABLE,
    assert_equals_alone,
    assert_same_fit,
    assert_same_results,
    assert_without_parameters,
    bits,
    fit_alone,
    groups,
    ragged,
    same_bits,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.utils._param_validation import InvalidParameterError
from test_python_family import GeometricMixture

from mixfast import (
    GSDMM,
    BernoulliMixture,
    CategoricalMixture,
    GammaMixture,
    GaussianMixture,
    ProductMixture,
    Status,
    VonMisesFisherMixture,
    fit_many,
)
from mixfast.parts import Categorical, Gaussian

ROWS = groups(np.random.default_rng(0), 60, 2)
ENDED = Status.CONVERGED | Status.MAX_ITER


def with_value(value, row=7, column=1, X=ROWS):
    spoilt = X.copy()
    spoilt[row, column] = value
    return spoilt


#: Problems, and the status that the documentation gives each with three components; None where it depends.
BAD = {
    "NaN": (with_value(np.nan), None),  # which is missing
    "infinity": (with_value(np.inf), Status.NOT_FINITE),
    "minus infinity in the last row": (with_value(-np.inf, row=-1), Status.NOT_FINITE),
    "NaN in the first row": (with_value(np.nan, row=0), None),
    "a column of NaN": (ROWS * [1.0, np.nan], Status.NOT_FINITE),
    "no rows": (ROWS[:0], Status.TOO_FEW_ROWS),
    "one row": (ROWS[:1], Status.TOO_FEW_ROWS),
    "fewer rows than components": (ROWS[:2], Status.TOO_FEW_ROWS),
    "one row of NaN": (np.full((1, 2), np.nan), Status.TOO_FEW_ROWS),
    "as many rows as components": (ROWS[:3], None),
    "constant": (np.full((50, 2), 3.0), Status.CONSTANT_DATA),
    "constant and large": (np.full((50, 2), 1e12), Status.CONSTANT_DATA),
    "zero": (np.zeros((50, 2)), Status.CONSTANT_DATA),
    "duplicated rows": (np.repeat(ROWS[:2], 30, axis=0), None),
    "a constant column": (np.column_stack([ROWS[:, 0], np.ones(60)]), None),
    "huge": (ROWS * 1e200, None),
    "tiny": (ROWS * 1e-200, None),
    "the smallest": (ROWS * 5e-324, None),
    "the largest": (np.clip(ROWS * 1e307, -1.7e308, 1.7e308), None),
    "far from the origin": (ROWS + 1e12, None),
    "an outlier": (with_value(1e12), None),
    "columns of many scales": (ROWS * [1e-150, 1e150], None),
}
GOOD = ragged([60, 60, 3, 500, 59, 61], 2, seed=3)


def among_good_ones(bad, good=GOOD):
    """(problems, places of the bad ones, places of the good ones)"""
    problems = [X for i, one in enumerate(bad) for X in (good[i % len(good)], one)]
    return problems, range(1, len(problems), 2), range(0, len(problems), 2)


# ---- bad among good -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("init_params", STARTS)
@pytest.mark.parametrize("covariance_type", TYPES)
def test_bad_problems_have_their_status_and_leave_good_ones_as_they_are(covariance_type, init_params, dtype):
    # fits one by one are kept rounded, so that precisions_ are those of rounded factors
    known = {name: own for name, own in BAD.items() if dtype == np.float64 or not name.startswith("NaN")}
    with np.errstate(over="ignore", under="ignore"):
        bad = [X.astype(dtype) for X, _ in known.values()]
    problems, places, good = among_good_ones(bad, [X.astype(dtype) for X in GOOD])
    estimator = GaussianMixture(3, covariance_type=covariance_type, init_params=init_params)
    result = assert_equals_alone(problems, estimator, n_threads=1)
    assert_same_results(fit_many([problems[i] for i in good], estimator, random_state=3), result, good)
    for i, (name, (_, expected)) in zip(places, known.items(), strict=True):
        status = Status(int(result.status[i]))
        if expected is not None and expected & UNUSABLE:
            assert status & expected, name
            assert status & ~expected == 0, name
        elif expected is not None:
            assert expected in status, name
        if status & UNUSABLE:
            assert_without_parameters(result, i)
            with pytest.raises(ValueError, match=rf"problem {i} has no parameters: its status is .*{status.name}"):
                result[i]
        else:
            assert ENDED & status in (Status.CONVERGED, Status.MAX_ITER), name
            for array in (result.weights, result.means, result.covariances, result.lower_bound):
                assert np.all(np.isfinite(array[i])), name


def test_a_problem_that_cannot_be_fitted_has_no_iterations_and_no_bound():
    bad = [X for X, _ in BAD.values()]
    for estimator in (GaussianMixture(3), GaussianMixture(3, n_init_policy="halving")):
        result = fit_many(bad, estimator, random_state=0)
        unusable = result.status & UNUSABLE != 0
        assert unusable.sum() >= 8
        assert np.all(np.isnan(result.lower_bound[unusable]))
        for i in np.flatnonzero(result.status & (Status.TOO_FEW_ROWS | Status.OUT_OF_DOMAIN)):
            assert result.n_iter[i] == 0
        again = fit_many(bad[::-1], estimator, random_state=0, n_threads=2)
        assert result.n_iter.tolist() == again.n_iter[::-1].tolist()


def test_estimators_one_by_one_give_bad_problems_the_same_status():
    bad = [X for X, _ in BAD.values()]
    compiled = fit_many(bad, GaussianMixture(3, random_state=0))
    one_by_one = fit_many(bad, GaussianMixture(3, random_state=0, n_init_policy="halving"))
    assert [str(Status(s & UNUSABLE)) for s in compiled.status] == [
        str(Status(s & UNUSABLE)) for s in one_by_one.status
    ]


def test_a_repair_that_is_forbidden_is_said():
    flat_rows = np.column_stack([np.arange(60) % 7, np.ones(60)])
    problems = [ROWS, flat_rows, ROWS]
    result = fit_many(problems, GaussianMixture(2, reg_covar=0, on_degenerate="raise", random_state=0))
    assert not result.status[0] & UNUSABLE
    assert_same_fit(result[0], result[2])
    assert Status.REPAIRED_COVARIANCE in Status(int(result.status[1]))
    with pytest.raises(ValueError, match=r"problem 1 has no parameters: its status is .*REPAIRED_COVARIANCE"):
        result[1]


@pytest.mark.parametrize("init_params", STARTS)
def test_values_outside_the_domain_are_said_and_leave_others_as_they_are(init_params):
    rng = np.random.default_rng(0)
    good = [bits(rng, n, 4) for n in (60, 3, 60)]
    bad = [good[0] * 2, with_value(0.5, X=good[0]), with_value(np.inf, X=good[0]), good[0][:2], np.zeros((0, 4)),
           np.full((9, 4), -1.0)]  # fmt: skip
    problems, places, kept = among_good_ones(bad, good)
    estimator = BernoulliMixture(3, binarize=None, init_params=init_params, random_state=0)
    for options in ({}, {"n_init_policy": "halving"}):
        estimator.set_params(**options)
        result = fit_many(problems, estimator)
        assert_same_results(fit_many([problems[i] for i in kept], estimator), result, kept)
        assert [Status(int(result.status[i])) for i in places] == [
            Status.OUT_OF_DOMAIN,
            Status.OUT_OF_DOMAIN,
            Status.NOT_FINITE,
            Status.TOO_FEW_ROWS,
            Status.TOO_FEW_ROWS,
            Status.OUT_OF_DOMAIN,
        ]
        for i in places:
            assert_without_parameters(result, i)


@pytest.mark.parametrize("estimator", [GaussianMixture(2), GaussianMixture(2, n_init_policy="halving")])
def test_weights_that_leave_too_few_rows_are_said(estimator):
    problems = [ROWS] * 5
    weights = [np.ones(60), np.zeros(60), np.arange(60) < 1, np.arange(60) < 2, np.ones(60)]
    result = fit_many(problems, estimator, random_state=0, sample_weight=weights)
    assert [Status(int(s)) & Status.TOO_FEW_ROWS for s in result.status] == [
        Status.OK, Status.TOO_FEW_ROWS, Status.TOO_FEW_ROWS, Status.OK, Status.OK,
    ]  # fmt: skip
    assert result.n_samples.tolist() == [60, 0, 1, 2, 60]
    assert_same_fit(result[0], result[4])


@pytest.mark.parametrize("estimator", [GaussianMixture(2), GaussianMixture(2, n_init_policy="halving")])
def test_weights_that_cannot_be_are_said_and_harm_no_other_problem(estimator):
    spoilt = {-1.0: Status.OUT_OF_DOMAIN, -np.inf: Status.OUT_OF_DOMAIN, np.nan: Status.NOT_FINITE,
              np.inf: Status.NOT_FINITE, 1e31: Status.NOT_FINITE}  # fmt: skip
    weights = [np.ones(60), *(np.where(np.arange(60) == 7, weight, 1.0) for weight in spoilt), np.ones(60)]
    result = fit_many([ROWS] * len(weights), estimator, random_state=0, sample_weight=weights)
    assert result.status[1:-1].tolist() == list(map(int, spoilt.values()))
    for i in range(1, len(weights) - 1):
        assert_without_parameters(result, i)
    for i in (0, len(weights) - 1):
        assert_same_fit(result[i], fit_alone(estimator, ROWS, 0, weights[i]))


def test_a_family_in_python_that_fails_fails_alone():
    good = np.random.default_rng(0).geometric(0.3, (40, 2)) - 1.0
    problems = [good, good * -1e3, np.full((5, 2), np.nan), good[:1], good]
    result = fit_many(problems, GeometricMixture(2), random_state=0)
    assert_same_fit(result[0], result[4])
    assert [bool(s & UNUSABLE) for s in result.status[[0, 2, 3, 4]]] == [False, True, True, False]


def test_float32_that_cannot_hold_the_parameters_is_said():
    problems = [ROWS.astype(np.float32), (ROWS * 1e-25).astype(np.float32), (ROWS * 1e25).astype(np.float32)]
    estimator = GaussianMixture(2, reg_covar=0, random_state=0)
    result = fit_many(problems, estimator)
    for i, X in enumerate(problems):
        if result.status[i] & UNUSABLE:
            with pytest.raises(ValueError, match="not finite"):
                fit_alone(estimator, X, 0)
        else:
            assert_same_fit(result[i], fit_alone(estimator, X, 0))


# ---- random problems ------------------------------------------------------------------------------------------------

N_TOGETHER = 100  # problems in a batch


def random_problem(rng, n_features):
    """Anything that fits into memory: few rows, duplicates, constants, scales, outliers, NaN."""
    X = rng.standard_normal((rng.integers(0, 61), n_features))
    if len(X) == 0:
        return X
    kind = rng.integers(9)
    if kind == 1:
        X = X[rng.integers(rng.integers(1, len(X) + 1), size=len(X))]
    elif kind == 2:
        X[:, rng.integers(n_features)] = rng.choice([0, 1, 1e15])
    elif kind == 3:
        X = np.round(X)
    elif kind == 4:
        X[rng.integers(len(X))] = 10.0 ** rng.integers(0, 309)
    elif kind == 5:
        X[rng.integers(len(X)), rng.integers(n_features)] = rng.choice([np.nan, np.inf, -np.inf])
    elif kind == 6:
        X = X + 10.0 ** rng.integers(0, 17)
    elif kind == 7:
        X[:, rng.integers(n_features)] *= 10.0 ** rng.integers(-320, 300)
    scale = 10.0 ** rng.integers(-323, 307) if rng.random() < 0.3 else 1.0
    return X * scale


@settings(derandomize=True, max_examples=220, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_features=st.integers(1, 4),
    n_components=st.integers(1, 5),
    covariance_type=st.sampled_from([*TYPES, "bernoulli"]),
    dtype=st.sampled_from(DTYPES),
    weighted=st.booleans(),
    options=st.fixed_dictionaries(
        {
            "init_params": st.sampled_from(STARTS),
            "n_init": st.integers(1, 2),
            "accelerate": st.sampled_from([None, "auto"]),
            "tol": st.sampled_from([0.0, 1e-8, 1e-3]),
            "max_iter": st.integers(1, 30),
        }
    ),
    reg_covar=st.sampled_from([0.0, 1e-6, 1e3]),
)
def test_random_problems_are_fitted_or_say_why_not(
    seed, n_features, n_components, covariance_type, dtype, weighted, options, reg_covar
):
    rng = np.random.default_rng(seed)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        problems = [random_problem(rng, n_features).astype(dtype) for _ in range(N_TOGETHER)]
    weights = [rng.choice([0, 1e-3, 1, 7], len(X)) for X in problems] if weighted else None
    if covariance_type == "bernoulli":
        estimator = BernoulliMixture(n_components, random_state=seed, **options)
    else:
        estimator = GaussianMixture(
            n_components, covariance_type=covariance_type, reg_covar=reg_covar, random_state=seed, **options
        )
    result = fit_many(problems, estimator, sample_weight=weights, n_threads=2)
    usable = result.status & UNUSABLE == 0
    eps = np.finfo(dtype).eps
    assert np.all(np.abs(result.weights[usable].sum(axis=1, dtype=np.float64) - 1) < 8 * eps)
    assert np.all(result.weights[usable] >= 0)
    # a row of density zero makes the likelihood zero
    assert np.all(np.isfinite(result.lower_bound[usable]) | (result.status[usable] & Status.IMPOSSIBLE_ROWS != 0))
    assert np.all(np.isnan(result.lower_bound[~usable]))
    names = ["probabilities"] if covariance_type == "bernoulli" else ["means", "covariances", "precisions_cholesky"]
    for name in ["weights", *names]:
        array = getattr(result, name)
        assert np.all(np.isfinite(array[usable])), name
        assert np.all(np.isnan(array[~usable])), name
    ended = result.status & int(ENDED)
    assert np.all((ended[usable] == Status.CONVERGED) | (ended[usable] == Status.MAX_ITER))
    may_be_missing = True
    counted = [X[w > 0] for X, w in zip(problems, weights, strict=True)] if weighted else problems
    finite = np.array([np.all(np.isfinite(X) | (may_be_missing & np.isnan(X))) for X in counted])
    assert not np.any(usable & ~finite)
    assert np.array_equal(usable & (result.n_samples < max(2, n_components)), np.zeros(N_TOGETHER, dtype=bool))
    i = int(rng.integers(N_TOGETHER))
    if usable[i]:
        assert_same_fit(result[i], fit_alone(estimator, problems[i], seed, None if weights is None else weights[i]))
    else:
        with pytest.raises(ValueError, match=r"."):
            fit_alone(estimator, problems[i], seed, None if weights is None else weights[i])


# ---- bad arguments --------------------------------------------------------------------------------------------------

X3 = np.random.default_rng(0).normal(size=(4, 30, 2))

WRONG = {
    "no problems": (([], GaussianMixture()), {}, "there are no problems"),
    "no problems in three dimensions": ((X3[:0], GaussianMixture()), {}, "there are no problems"),
    "no columns": ((X3[:, :, :0], GaussianMixture()), {}, "at least one column"),
    "two dimensions": ((X3[0], GaussianMixture()), {}, r"got shape \(30, 2\).*fit_many_columns"),
    "different columns": (([X3[0], X3[0, :, :1]], GaussianMixture()), {}, r"one number of columns, got 1, 2"),
    "words": (([np.full((3, 2), "a")], GaussianMixture()), {}, r"problems\[0\].*holds strings.* number categories"),
    "words of a mixture of categories": (
        ([np.full((3, 2), "a")], CategoricalMixture()), {}, "CategoricalMixture take these numbers for categories"
    ),
    "complex": (([X3[0], X3[0] + 1j], GaussianMixture()), {}, r"problems\[1\] should be .* got complex128"),
    "four dimensions": (([X3], GaussianMixture()), {}, r"problems\[0\] should be .* \(4, 30, 2\)"),
    "offsets that fall": (((X3[0], [0, 20, 10, 30]), GaussianMixture()), {}, "never fall"),
    "offsets that end early": (((X3[0], [0, 20]), GaussianMixture()), {}, "end with the number of rows, 30"),
    "offsets that begin late": (((X3[0], [1, 30]), GaussianMixture()), {}, "begin with 0"),
    "offsets of floats": (((X3[0], [0.0, 30.0]), GaussianMixture()), {}, "offsets should be integers, got float64"),
    "keep": ((X3, GaussianMixture()), {"keep": "some"}, "keep='some' should be 'best' or 'all'"),
    "criterion": ((X3, GaussianMixture()), {"criterion": "mdl"}, "criterion='mdl' should be one of 'bic', 'aic'"),
    "an empty grid": ((X3, GaussianMixture()), {"n_components": []}, "n_components should have at least one value"),
    "zero components": ((X3, GaussianMixture()), {"n_components": [1, 0]}, "'n_components' .* Got 0 instead"),
    "an unknown structure": ((X3, GaussianMixture()), {"covariance_type": "round"}, "'covariance_type' .* Got 'round'"),
    "a structure of no use": ((X3, BernoulliMixture()), {"covariance_type": "full"}, "no parameter 'covariance_type'"),
    "a parameter of the estimator": ((X3, GaussianMixture(tol=-1)), {}, "'tol' .* Got -1"),
    "labels": ((X3, GaussianMixture(init_params=np.zeros(30, int))), {}, "init_params of a batch should name a method"),
    "means of a wrong shape": ((X3, GaussianMixture(2, means_init=[[0.0]])), {}, r"\(2, 2\).* for means_init"),
    "seeds of a wrong number": ((X3, GaussianMixture()), {"seeds": [1, 2]}, "seeds should be 4 integers"),
    "seeds of floats": ((X3, GaussianMixture()), {"seeds": np.zeros(4)}, "seeds should be 4 integers"),
    "seeds below zero": ((X3, GaussianMixture()), {"seeds": [1, 2, 3, -1]}, "seeds should be 4 integers"),
    "seeds beyond 32 bits": ((X3, GaussianMixture()), {"seeds": [1, 2, 3, 2**32]}, "seeds should be 4 integers"),
    "seeds twice": ((X3, GaussianMixture()), {"seeds": [1, 2, 3, 4], "random_state": 0}, "both given"),
    "random_state below zero": ((X3, GaussianMixture()), {"random_state": -1}, "random_state.*-1"),
    "random_state of words": ((X3, GaussianMixture()), {"random_state": "a"}, "random_state.*'a'|'a' cannot be used"),
    "random_state of the estimator": ((X3, GaussianMixture(random_state=-1)), {}, "random_state.*-1"),
    "threads": ((X3, GaussianMixture()), {"n_threads": 0}, "n_threads.*0"),
    "too few weights": ((X3, GaussianMixture()), {"sample_weight": np.ones(7)}, "sample_weight has 7 values for 120"),
    "weights of other lengths": (
        ([X3[0], X3[0][:20]], GaussianMixture()), {"sample_weight": [np.ones(20), np.ones(30)]}, r"sample_weight\[0\]"
    ),
    "weights in a wrong order": (
        (X3, GaussianMixture()), {"sample_weight": np.ones((30, 4))}, "there are 4 problems, and 30 arrays"
    ),
    "weights of some problems": (
        ([X3[0], X3[0]], GaussianMixture()), {"sample_weight": [None, np.ones(30)]}, r"sample_weight\[0\] .* got None"
    ),
    "n_components that is no number": ((X3, GaussianMixture()), {"n_components": 2.5}, "n_components.*2.5"),
    "n_components of words": ((X3, GaussianMixture()), {"n_components": "2"}, "n_components='2' should be a number"),
    "another estimator": ((X3, KMeans()), {}, "estimator.*KMeans"),
    "an estimator that is no mixture": ((X3, GSDMM()), {}, r"GSDMM\(\) finds the number of clusters itself"),
    "a class": ((X3, GaussianMixture), {}, "estimator.*GaussianMixture"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_arguments_raise_and_say_what_is_wanted(kind):
    args, options, match = WRONG[kind]
    with pytest.raises((ValueError, TypeError, InvalidParameterError), match=f"(?s){match}"):
        fit_many(*args, **options)


def test_predictions_pass_over_what_could_not_be_fitted():
    rng = np.random.default_rng(0)
    good, bad = rng.normal(size=(50, 2)), rng.normal(size=(50, 2))
    bad[3, 1] = np.inf
    result = fit_many([good, bad], GaussianMixture(2, random_state=0))
    labels, log_prob = result.predict([good, bad]), result.score_samples([good, bad])
    resp = result.predict_proba([good, bad])
    assert np.array_equal(resp[0], result[0].predict_proba(good))
    assert np.isnan(resp[1]).all()
    assert resp[1].shape == (50, 2)
    assert np.array_equal(labels[0], result[0].predict(good))
    assert np.all(labels[1] == -1)
    assert np.all(np.isnan(log_prob[1]))
    with pytest.raises(ValueError, match="problem 0 holds values that are not finite"):
        result.predict([bad, bad])


def unit_rows(rng, n_rows):
    rows = rng.normal(size=(n_rows, 3))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


#: Estimators, good rows, rows without place in their domain, and the row and value that an error names.
PARTICULAR = {
    "gamma": (GammaMixture(2), lambda rng, n: rng.gamma(2, size=(n, 2)), "column 1 of X is -1.0 in row 2"),
    "von Mises-Fisher": (VonMisesFisherMixture(2), unit_rows, "Row 2 of X is no unit vector"),
    "categorical": (
        CategoricalMixture(2, categories=[[1, 2, 3]] * 2),
        lambda rng, n: rng.integers(1, 4, (n, 2)).astype(float),
        r"Column 1 of X has the value -1.0 in row 2",
    ),
    "product": (
        ProductMixture([(0, Gaussian()), (1, Categorical(categories=[[1, 2, 3]]))], 2),
        lambda rng, n: rng.integers(1, 4, (n, 2)).astype(float),
        r"Column 1 of X has the value -1.0 in row 2",
    ),
}
every_domain = pytest.mark.parametrize("kind", PARTICULAR)


@every_domain
def test_predictions_look_at_no_row_of_a_problem_without_parameters(kind):
    estimator, make, _ = PARTICULAR[kind]
    rng = np.random.default_rng(0)
    good = [make(rng, n) for n in (50, 3, 40)]
    problems = [
        good[0],
        np.full_like(good[0], np.inf),
        good[1][:1],
        good[1][:0],
        good[2],
        with_value(-1.0, 2, 1, good[1]),
    ]
    result = fit_many(problems, estimator, random_state=0)
    statuses = [Status.NOT_FINITE, Status.TOO_FEW_ROWS, Status.TOO_FEW_ROWS, Status.OUT_OF_DOMAIN]
    assert result.status[[1, 2, 3, 5]].tolist() == statuses
    assert result.has_parameters.tolist() == [True, False, False, False, True, False]
    labels, log_prob = result.predict(problems), result.score_samples(problems)
    resp = result.predict_proba(problems)
    assert list(map(len, labels)) == list(map(len, log_prob)) == list(map(len, resp)) == list(map(len, problems))
    for i, X in enumerate(problems):
        if result.has_parameters[i]:
            assert np.array_equal(labels[i], result[i].predict(X))
            assert np.array_equal(log_prob[i], result[i].score_samples(X))
            assert np.array_equal(resp[i], result[i].predict_proba(X))
        else:
            assert np.all(np.isnan(resp[i]))
            assert np.all(labels[i] == -1)
            assert np.all(np.isnan(log_prob[i]))


@every_domain
def test_an_error_of_a_prediction_names_the_problem_and_its_row(kind):
    estimator, make, message = PARTICULAR[kind]
    problems = [make(np.random.default_rng(i), 50) for i in range(3)]
    result = fit_many(problems, estimator, random_state=0)
    problems[1] = with_value(-1.0, 2, 1, problems[1])
    for method in (result.predict, result.score_samples, result.predict_proba):
        with pytest.raises(ValueError, match=f"problem 1: .*{message}"):
            method(problems)


@every_domain
def test_held_out_densities_look_at_no_row_of_a_problem_without_parameters(kind):
    estimator, make, _ = PARTICULAR[kind]
    X = make(np.random.default_rng(0), 50)
    options = {"n_components": [1, 2], "criterion": "heldout", "random_state": 0}
    result = fit_many([np.full_like(X, np.inf), X, with_value(-1.0, 2, 1, X)], estimator, **options)
    alone = fit_many([X], estimator, **options)
    assert result.has_parameters.tolist() == [False, True, False]
    for name in ("criteria", "chosen", "weights", "lower_bound"):
        assert same_bits(getattr(result, name)[1], getattr(alone, name)[0]), name


def test_fits_are_those_of_the_problems_with_parameters():
    result = fit_many([ROWS, ROWS[:1], ROWS], GaussianMixture(2, random_state=0))
    fits = [result[i] for i in np.flatnonzero(result.has_parameters)]
    assert len(fits) == 2
    with pytest.raises(ValueError, match="problem 1 has no parameters"):
        list(result)


@pytest.mark.parametrize("sparse", [False, True])
def test_predictions_where_no_problem_has_parameters_are_blank(sparse):
    X = scipy.sparse.csr_matrix(ROWS[:1] > 0, dtype=float) if sparse else np.ones((1, 2))
    result = fit_many([X, X], BernoulliMixture(2))
    assert not np.any(result.has_parameters)
    assert [labels.tolist() for labels in result.predict([X, X])] == [[-1], [-1]]
    assert all(np.isnan(log_prob).tolist() == [True] for log_prob in result.score_samples([X, X]))
    assert all(np.isnan(resp).tolist() == [[True, True]] for resp in result.predict_proba([X, X]))


def test_categories_are_those_of_the_problems_that_can_be_fitted():
    problems = [np.array([[0.0], [1], [1]]), np.array([[5.0], [np.inf], [1]])]
    result = fit_many(problems, CategoricalMixture(random_state=0))
    assert result.status.tolist() == [Status.CONVERGED, Status.NOT_FINITE]
    assert_same_fit(result[0], fit_alone(CategoricalMixture(categories=[[0.0, 1.0]]), problems[0], 0))
    table = np.array([[1.0, 0], [2, 1], [3, 0]])
    estimator = ProductMixture([(0, Gaussian()), (1, Categorical())], random_state=0)
    result = fit_many([table, with_value(np.inf, 0, 0, table + 7)], estimator)
    assert result[0].components_["1"].categories_[0].tolist() == [0, 1]


@pytest.mark.parametrize(
    "estimator", [CategoricalMixture(), ProductMixture([(0, Gaussian()), (Categorical(),)]), GaussianMixture()]
)
def test_a_batch_without_any_problem_that_can_be_fitted_has_statuses(estimator):
    empty, infinite, missing = np.empty((0, 2)), np.full((9, 2), np.inf), np.full((9, 2), np.nan)
    result = fit_many([empty, infinite, missing], estimator)
    assert result.status.tolist() == [Status.TOO_FEW_ROWS, Status.NOT_FINITE, Status.NOT_FINITE]
    assert fit_many([empty, empty], estimator).status.tolist() == [Status.TOO_FEW_ROWS] * 2
    assert result.n_samples.tolist() == [0, 9, 9]


@pytest.mark.parametrize("keep", ["best", "all"])
def test_a_model_that_fails_is_never_chosen_before_one_that_does_not(keep):
    X = np.arange(5.0)[:, np.newaxis]  # too few rows for nine components
    result = fit_many([X], GaussianMixture(random_state=0), n_components=[9, 1], keep=keep)
    assert result.chosen.tolist() == [1]
    assert result.has_parameters.tolist() == [True]
    assert np.isnan(result.criteria[0, 0])


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the checks of the heap are glibc's")
def test_nothing_is_written_beyond_the_work_space():
    script = """
import numpy as np
from mixfast import GaussianMixture, fit_many
rng = np.random.default_rng(0)
for n, d in [(2000, 1), (64, 1), (500, 2), (2016, 1), (240, 16)]:
    for init in ("kmeans", "k-means++", "random"):
        problems = [rng.normal(size=(n, d))] * 3
        estimator = GaussianMixture(2, init_params=init, random_state=0)
        fit_many(problems, estimator, n_threads=2).predict(problems)
"""
    # the checks moved to this library with glibc 2.34; where there is none, the loader says so and goes on
    env = os.environ | {"LD_PRELOAD": "libc_malloc_debug.so.0", "MALLOC_CHECK_": "3"}
    subprocess.run([sys.executable, "-c", script], env=env, check=True, timeout=120)
