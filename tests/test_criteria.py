"""Criteria: what weights of rows stand for, one sign for all, the same values alone and in batches."""

import warnings

import numpy as np
import pytest
from estimators_table import ESTIMATORS, every_likelihood

from mixfast import (
    BernoulliMixture,
    DirichletMultinomialMixture,
    GaussianMixture,
    PoissonMixture,
    StudentTMixture,
    fit_many,
    fit_many_columns,
    select,
)

CRITERIA = ("bic", "aic", "icl")
NUMBERS = [(None, 60.0), ("sum", 60.0), ("kish", 60.0), (17.5, 17.5)]


def by_hand(model, X, weight, n, name):
    """The criterion of weights that stand for n rows, from what the model says of each row."""
    n_parameters = (model.bic(X) - model.aic(X)) / (np.log(len(X)) - 2)
    log_density = model.score_samples(X).astype(float)
    if name == "icl":
        log_density = log_density + np.log(np.max(model.predict_proba(X), axis=1))
    penalty = 2 if name == "aic" else np.log(n)
    return -2 * n * np.average(log_density, weights=weight) + n_parameters * penalty


def kish(weight):
    return np.sum(weight) ** 2 / np.sum(weight**2)


@every_likelihood
@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_criterion_is_that_of_the_rows_that_weights_stand_for(name, criterion):
    entry = ESTIMATORS[name]
    model = entry.make().fit(entry.X)
    weight = np.random.default_rng(0).uniform(0.5, 1.5, size=len(entry.X))
    numbers = {None: weight.sum(), "sum": weight.sum(), "kish": kish(weight), 17.5: 17.5}
    evaluate = getattr(model, criterion)
    for n_effective, n in numbers.items():
        wanted = by_hand(model, entry.X, weight, n, criterion)
        assert evaluate(entry.X, weight, n_effective=n_effective) == pytest.approx(wanted, rel=1e-10)
    for n_effective, n in NUMBERS:
        wanted = by_hand(model, entry.X, None, n, criterion)
        assert evaluate(entry.X, n_effective=n_effective) == pytest.approx(wanted, rel=1e-10)


@every_likelihood
@pytest.mark.parametrize("scale", [1 / 6000, 1e-9, 1e9])
def test_the_unit_of_weights_is_of_no_account_to_kish_and_to_numbers(name, scale):
    entry = ESTIMATORS[name]
    model = entry.make().fit(entry.X)
    weight = np.random.default_rng(0).uniform(size=len(entry.X))
    weight[::7] = 0
    for criterion in CRITERIA:
        evaluate = getattr(model, criterion)
        for n_effective in ("kish", 40):
            wanted = evaluate(entry.X, weight, n_effective=n_effective)
            got = evaluate(entry.X, weight * scale, n_effective=n_effective)
            assert got == pytest.approx(wanted, rel=1e-10)


@every_likelihood
def test_sums_that_are_far_from_the_number_of_rows_are_warned_of(name):
    entry = ESTIMATORS[name]
    model = entry.make().fit(entry.X)
    for criterion in CRITERIA:
        evaluate = getattr(model, criterion)
        for mean, n_effective in [(1 / 60, None), (0.3, None), (3.1, None), (100.0, None)]:
            with pytest.warns(UserWarning, match="takes that sum for the number of rows.*n_effective='kish'") as caught:
                evaluate(entry.X, np.full(60, mean), n_effective=n_effective)
            assert [one.filename for one in caught] == [__file__]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for mean, n_effective in [(0.34, None), (2.9, None), (1 / 60, "sum"), (1 / 60, "kish"), (100.0, 60)]:
                evaluate(entry.X, np.full(60, mean), n_effective=n_effective)
            evaluate(entry.X, np.r_[np.ones(10), np.zeros(50)])  # rows of weight 0 are none


@pytest.mark.parametrize("wrong", ["mean", 0, 0.5, -3, np.nan, np.inf, True, [60]])
def test_what_is_no_number_of_rows_is_an_error(wrong):
    X = two_blobs(0, 60)
    model = GaussianMixture(random_state=0).fit(X)
    calls = [getattr(model, criterion) for criterion in CRITERIA]
    calls += [
        lambda X, n_effective: select(X, GaussianMixture(), n_components=[1, 2], n_effective=n_effective),
        lambda X, n_effective: fit_many([X], GaussianMixture(), n_components=[1, 2], n_effective=n_effective),
        lambda X, n_effective: fit_many_columns(X, GaussianMixture(), n_components=[1, 2], n_effective=n_effective),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="should be 'sum', 'kish' or a number of at least 1"):
            call(X, n_effective=wrong)


# ---- choices --------------------------------------------------------------------------------------------------------


def two_blobs(seed=0, n=300):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(-4, 1, size=(n // 2, 2)), rng.normal(4, 1, size=(n // 2, 2))])


def test_relative_weights_choose_two_blobs():
    X = two_blobs()
    weight = np.full(len(X), 1 / len(X))
    unweighted = [row["bic"] for row in select(X, GaussianMixture(), random_state=0).table]
    for n_effective in ("kish", len(X)):
        chosen = select(X, GaussianMixture(), random_state=0, sample_weight=weight, n_effective=n_effective)
        assert chosen.best_params_ == {"n_components": 2}
        np.testing.assert_allclose([row["bic"] for row in chosen.table], unweighted, rtol=1e-6)
    with pytest.warns(UserWarning, match="takes that sum for the number of rows") as caught:
        select(X, GaussianMixture(), random_state=0, sample_weight=weight)
    assert [one.filename for one in caught] == [__file__]  # once, not for each cell
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        select(X, GaussianMixture(), n_components=[1, 2], criterion="heldout", random_state=0, sample_weight=weight)
        GaussianMixture(2, random_state=0).fit(X, sample_weight=weight).score(X, sample_weight=weight)


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("n_effective", ["sum", "kish", 50])
@pytest.mark.parametrize(
    ("estimator", "counts"),
    [
        (GaussianMixture(random_state=0), False),
        (StudentTMixture(random_state=0), False),
        (PoissonMixture(random_state=0), True),
        (BernoulliMixture(random_state=0, binarize=0.5), True),
        (DirichletMultinomialMixture(random_state=0), True),  # by estimators, one by one
        (GaussianMixture(random_state=0, n_init=2, n_init_policy="halving"), False),
    ],
)
def test_batches_have_the_criteria_of_fits_alone(criterion, n_effective, estimator, counts):
    rng = np.random.default_rng(1)
    problems = [rng.poisson(3, size=(n, 3)).astype(float) if counts else two_blobs(n, n) for n in (40, 60, 90)]
    weights = [rng.uniform(0.1, 0.9, size=len(X)) for X in problems]
    weights[1][:5] = 0
    options = {"criterion": criterion, "n_effective": n_effective, "sample_weight": weights, "n_threads": 2}
    result = fit_many(problems, estimator, n_components=[1, 2, 3], keep="all", **options)
    best = fit_many(problems, estimator, n_components=[1, 2, 3], **options)
    np.testing.assert_array_equal(best.criteria, result.criteria)
    for i, (X, weight) in enumerate(zip(problems, weights, strict=True)):
        alone = [getattr(model[i], criterion)(X, weight, n_effective=n_effective) for model in result.models]
        np.testing.assert_allclose(result.criteria[i], alone, rtol=1e-10)
        assert result.chosen[i] == np.argmin(alone)


def test_a_batch_warns_once_and_names_a_problem():
    problems = [two_blobs(seed, 60) for seed in range(5)]
    weights = [np.full(60, 1.0), np.full(60, 1 / 60), np.full(60, 1.0), np.full(60, 50.0), np.full(60, 1.0)]
    with pytest.warns(UserWarning, match="weights of problem 1, and of 1 others") as caught:
        fit_many(problems, GaussianMixture(random_state=0), n_components=[1, 2], sample_weight=weights)
    assert [one.filename for one in caught] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_many(problems, GaussianMixture(random_state=0), n_components=2, sample_weight=weights)
        for options in ({"n_effective": "sum"}, {"n_effective": "kish"}, {"criterion": "heldout"}):
            fit_many(problems, GaussianMixture(random_state=0), n_components=[1, 2], sample_weight=weights, **options)


def test_bad_problems_keep_their_status_whatever_weights_stand_for():
    problems = [two_blobs(0, 60), np.full((5, 2), np.nan), np.empty((0, 2)), two_blobs(1, 60)]
    weights = [np.full(60, 0.5), np.ones(5), np.empty(0), np.full(60, -1.0)]
    for n_effective in (None, "kish", 30):
        result = fit_many(
            problems,
            GaussianMixture(random_state=0),
            n_components=[1, 2],
            sample_weight=weights,
            n_effective=n_effective,
        )
        assert result.has_parameters.tolist() == [True, False, False, False]


def test_every_criterion_is_lower_where_it_is_better():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.multinomial(60, p, size=60) for p in ([0.8, 0.1, 0.1], [0.1, 0.1, 0.8])]).astype(float)
    for criterion in (*CRITERIA, "laplace", "heldout"):
        chosen = select(X, DirichletMultinomialMixture(), n_components=[1, 2], criterion=criterion, random_state=0)
        values = [row[criterion] for row in chosen.table]
        assert chosen.best_index_ == np.argmin(values) == 1
        assert "the lower the better" in repr(chosen)
        if criterion != "heldout":
            assert values == [getattr(model, criterion)(X) for model in chosen.estimators_]


def test_laplace_of_estimators_that_have_none_is_an_error():
    with pytest.raises(ValueError, match="which GaussianMixture has not: take 'bic', 'aic', 'icl' or 'heldout'"):
        select(two_blobs(), GaussianMixture(), criterion="laplace")
    with pytest.raises(ValueError, match="which GaussianMixture has not: take 'bic', 'aic', 'icl' or 'heldout'"):
        fit_many([two_blobs()], GaussianMixture(), criterion="laplace")
    counts = np.random.default_rng(0).poisson(3, size=(60, 3))
    with pytest.raises(ValueError, match=r"No cell of the grid has a laplace.*concentration='free'"):
        select(counts, DirichletMultinomialMixture(concentration=3.0), n_components=[1, 2], criterion="laplace")
    with pytest.raises(ValueError, match=r"concentration='free'"):
        fit_many([counts], DirichletMultinomialMixture(concentration=3.0), n_components=[1, 2], criterion="laplace")


def test_a_batch_chooses_by_laplace():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.multinomial(60, p, size=30) for p in ([0.8, 0.1, 0.1], [0.1, 0.1, 0.8])]).astype(float)
    problems, estimator = [X, X[:30]], DirichletMultinomialMixture(random_state=0)
    result = fit_many(problems, estimator, n_components=[1, 2], criterion="laplace", keep="all")
    assert result.n_components.tolist() == [2, 1]
    for j, model in enumerate(result.models):
        for i, own in enumerate(problems):
            assert result.criteria[i, j] == model[i].laplace(own)


@pytest.mark.parametrize(
    "name", [name for name, entry in ESTIMATORS.items() if entry.has_likelihood and entry.takes_missing]
)
def test_rows_without_an_entry_do_not_count(name):
    """Of one model, and of several of a batch."""
    entry = ESTIMATORS[name]
    empty = np.full((7, entry.X.shape[1]), np.nan, dtype=entry.X.dtype)
    rows = np.concatenate([entry.X, empty])
    model = entry.make().fit(rows)
    for criterion in CRITERIA[:2]:
        wanted = getattr(model, criterion)(entry.X)
        assert getattr(model, criterion)(rows) == pytest.approx(wanted, rel=1e-9), criterion
        if rows.dtype == object:  # batches take numbers
            continue
        several = fit_many([rows], entry.make(), n_components=[1, 2], criterion=criterion)
        assert np.nanmin(several.criteria) == pytest.approx(getattr(several[0], criterion)(entry.X), rel=1e-9)
