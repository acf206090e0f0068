"""A problem of a batch is fitted to the bits that its estimator gives alone, whatever else is in the batch."""

import numpy as np
import pytest
import scipy.sparse
from batches import (
    DTYPES,
    SIZES,
    STARTS,
    TYPES,
    assert_equals_alone,
    assert_same_fit,
    assert_same_results,
    bits,
    fit_alone,
    flat,
    groups,
    ragged,
    same_bits,
)
from test_python_family import GeometricMixture

from mixfast import BernoulliMixture, GaussianMixture, Status, StudentTMixture, fit_many

every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_type = pytest.mark.parametrize("covariance_type", TYPES)
every_start = pytest.mark.parametrize("init_params", STARTS)

EYE = np.eye(2)
MEANS = [[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]]
PRECISIONS = {"full": [EYE, 2 * EYE, EYE], "tied": EYE, "diag": np.full((3, 2), 0.5), "spherical": [1.0, 2.0, 3.0]}

#: Estimators for problems of two columns, by what they have that others do not.
VARIANTS = {
    "one component": GaussianMixture(1),
    "factor analysers": GaussianMixture(3, covariance_type="factor"),
    "several starts": GaussianMixture(3, n_init=4, init_params="random_from_data"),
    "several starts of little use": GaussianMixture(3, n_init=3, init_params="random", max_iter=2),
    "accelerated": GaussianMixture(3, accelerate="auto", tol=1e-7, max_iter=300),
    "accelerated, several starts": GaussianMixture(3, covariance_type="tied", accelerate="auto", tol=1e-7, n_init=3),
    "no iterations": GaussianMixture(3, max_iter=0),
    "one iteration": GaussianMixture(3, max_iter=1),
    "a tolerance of zero": GaussianMixture(2, tol=0, max_iter=30),
    "no floor": GaussianMixture(3, reg_covar=0),
    "raising": GaussianMixture(3, reg_covar=0, on_degenerate="raise"),
    "weights given": GaussianMixture(3, weights_init=[0.5, 0.25, 0.25]),
    "a prior of covariances": GaussianMixture(3, covariance_prior="default"),
    "a prior of covariances that is partly given": GaussianMixture(3, covariance_prior={"dof": 6.0}),
    "means given": GaussianMixture(3, covariance_type="diag", means_init=MEANS, n_init=2, init_params="random"),
    "all given": GaussianMixture(
        3, weights_init=[0.5, 0.25, 0.25], means_init=MEANS, precisions_init=PRECISIONS["full"], n_init=2
    ),
}


# ---- equal to the fit alone -----------------------------------------------------------------------------------------


@every_dtype
@every_start
@every_type
def test_a_problem_has_the_bits_of_its_fit_alone(covariance_type, init_params, dtype):
    estimator = GaussianMixture(3, covariance_type=covariance_type, init_params=init_params)
    for n_features in (1, 3):
        assert_equals_alone(ragged(SIZES, n_features, dtype), estimator)


@every_dtype
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_option_has_the_bits_of_the_fit_alone(variant, dtype):
    assert_equals_alone(ragged(SIZES, 2, dtype), VARIANTS[variant], seed=11)


def test_starts_that_are_dropped_early_have_the_bits_of_the_fit_alone():
    dropping = {"n_init": 5, "init_params": "random", "n_init_policy": "halving"}
    assert_equals_alone(ragged(SIZES, 2), GaussianMixture(3, **dropping))
    rng = np.random.default_rng(0)
    for dtype in DTYPES:
        assert_equals_alone([bits(rng, n, 5, dtype) for n in SIZES], BernoulliMixture(3, **dropping))


@every_type
def test_precisions_that_are_given_have_the_bits_of_the_fit_alone(covariance_type):
    estimator = GaussianMixture(3, covariance_type=covariance_type, precisions_init=PRECISIONS[covariance_type])
    assert_equals_alone(ragged(SIZES, 2), estimator)
    assert_equals_alone(ragged(SIZES, 2, np.float32), estimator.set_params(means_init=MEANS))


@every_dtype
@pytest.mark.parametrize("init_params", STARTS)
def test_bernoulli_has_the_bits_of_the_fit_alone(init_params, dtype):
    rng = np.random.default_rng(0)
    for n_features in (1, 5, 17):
        problems = [bits(rng, n_rows, n_features, dtype) for n_rows in SIZES]
        for options in ({}, {"binarize": None, "accelerate": "auto", "tol": 1e-7, "n_init": 2}):
            assert_equals_alone(problems, BernoulliMixture(3, init_params=init_params, **options))


def test_a_family_in_python_has_the_bits_of_the_fit_alone():
    rng = np.random.default_rng(0)
    problems = [rng.geometric(rng.choice([0.7, 0.05], (n, 1)), (n, 2)) - 1.0 for n in (2, 5, 60, 300)]
    assert_equals_alone(problems, GeometricMixture(2))
    assert_equals_alone(problems, GeometricMixture(2), sample_weight=[rng.integers(0, 3, len(X)) for X in problems])


@every_dtype
@every_type
def test_any_number_of_columns_has_the_bits_of_the_fit_alone(covariance_type, dtype):
    for n_features in (2, 7, 8, 15, 16, 17, 33, 64):
        assert_equals_alone(
            ragged([2, 70, 150], n_features, dtype), GaussianMixture(2, covariance_type=covariance_type)
        )


@every_dtype
@every_type
def test_weights_have_the_bits_of_the_fit_alone(covariance_type, dtype):
    rng = np.random.default_rng(1)
    problems = ragged([*SIZES, 60, 60], 2, dtype)
    weights = [rng.choice([0, 0, 0.5, 1, 3], len(X)) for X in problems]
    weights[-1] = np.r_[np.ones(3), np.zeros(57)]  # as many rows as components are left
    weights[-2] = np.r_[np.ones(2), np.zeros(58)]  # one too few
    for init_params in STARTS:
        assert_equals_alone(
            problems,
            GaussianMixture(3, covariance_type=covariance_type, init_params=init_params),
            sample_weight=weights,
        )


def test_weights_of_an_unusual_size_have_the_bits_of_the_fit_alone():
    problems = ragged([50] * 7, 2)
    scales = [1e-40, 1e-29, 1e-3, 1, 1e3, 1e29, 1e40]
    assert_equals_alone(problems, GaussianMixture(2), sample_weight=[np.full(50, scale) for scale in scales])


@every_dtype
@every_type
def test_problems_that_prune_have_the_bits_of_the_fit_alone(covariance_type, dtype, tmp_path):
    rng = np.random.default_rng(2)
    problems = [groups(rng, n, 16, n_groups=16, apart=8, dtype=dtype) for n in (1999, 2000, 2500, 6000, 100)]
    estimator = GaussianMixture(16, covariance_type=covariance_type, tol=0, max_iter=12)
    result = assert_equals_alone(problems, estimator)
    on_disk = np.memmap(tmp_path / "X", dtype, "w+", shape=problems[3].shape)
    on_disk[...] = problems[3]
    dense = fit_alone(estimator, on_disk, 3)  # rows on disk are read as they lie
    if covariance_type == "full":  # the others save too little
        assert not same_bits(result[3].covariances_, dense.covariances_)


def test_rows_on_disk_have_the_bits_of_the_fit_alone(tmp_path):
    rng = np.random.default_rng(2)
    on_disk = np.memmap(tmp_path / "X", float, "w+", shape=(12_000, 16))
    on_disk[...] = groups(rng, 12_000, 16, n_groups=16, apart=8)
    estimator = GaussianMixture(16, tol=0, max_iter=12)
    for problems in ((on_disk, [0, 6000, 12_000]), np.reshape(on_disk, (2, 6000, 16))):
        result = fit_many(problems, estimator, random_state=0)
        assert_same_fit(result[0], fit_alone(estimator, on_disk[:6000], 0))
        assert_same_fit(result[1], fit_alone(estimator, on_disk[6000:], 0))


# ---- the rest of the batch does not matter --------------------------------------------------------------------------


def mixed_batch(dtype=np.float64, n_features=2):
    """Sizes that repeat, so that each is fitted in the memory of another, and scales from tiny to overflow."""
    problems = ragged([*SIZES, *SIZES, 0, 1, 2, 200, 200, 200, 200], n_features, dtype, seed=5)
    for i, scale in ((-1, 1e30), (-2, 1e-30), (-3, 1e200 if dtype == np.float64 else 1e36), (8, 1e18), (9, 0)):
        problems[i] = problems[i] * dtype(scale)
    problems[20] = problems[20].copy()
    problems[20][3] = np.inf
    return problems


@every_dtype
@pytest.mark.parametrize(
    "estimator",
    [
        GaussianMixture(3),
        GaussianMixture(3, covariance_type="tied", init_params="k-means++", n_init=2),
        GaussianMixture(3, covariance_type="diag", init_params="random", accelerate="auto", tol=1e-6),
        GaussianMixture(3, covariance_type="spherical", init_params="random_from_data"),
        BernoulliMixture(3),
    ],
    ids=["full", "tied", "diag", "spherical", "bernoulli"],
)
def test_order_subset_threads_and_form_change_no_bit(estimator, dtype):
    problems = mixed_batch(dtype)
    wanted = fit_many(problems, estimator, random_state=7, n_threads=1)
    for n_threads in (2, 7):
        assert_same_results(fit_many(problems, estimator, random_state=7, n_threads=n_threads), wanted)
    assert_same_results(fit_many(flat(problems), estimator, random_state=7), wanted)
    rng = np.random.default_rng(0)
    for n in (len(problems), len(problems), 7, 3):
        chosen = rng.permutation(len(problems))[:n]
        got = fit_many([problems[i] for i in chosen], estimator, random_state=7, n_threads=1)
        assert_same_results(got, wanted, chosen)
    for i, problem in enumerate(problems):  # in memory that nothing was fitted in before
        assert_same_results(fit_many([problem], estimator, random_state=7), wanted, [i])


def test_models_that_take_turns_in_a_worker_leave_no_trace():
    problems = mixed_batch()
    together = fit_many(
        problems, GaussianMixture(), n_components=[5, 1, 3], covariance_type=TYPES, keep="all", random_state=0
    )
    for candidate, got in zip(together.candidates, together.models, strict=True):
        alone = fit_many(problems, candidate, random_state=0)
        assert same_bits(got.status, alone.status)
        assert same_bits(got.lower_bound, alone.lower_bound)
        assert same_bits(got.n_iter, alone.n_iter)
        n_components = candidate.n_components
        assert same_bits(got.weights[:, :n_components], alone.weights)
        assert same_bits(got.means[:, :n_components], alone.means)


def test_forms_of_a_batch_are_read_alike():
    X = np.random.default_rng(0).normal(size=(6, 50, 2)) + np.arange(6)[:, np.newaxis, np.newaxis]
    weights = np.random.default_rng(1).integers(0, 3, size=(6, 50)).astype(float)
    estimator = GaussianMixture(2, random_state=0)
    wanted = fit_many(list(X), estimator, sample_weight=list(weights))
    strided = np.zeros((12, 50, 7))
    strided[::2, :, 1:6:4] = X
    for form in (X, np.asfortranarray(X), strided[::2, :, 1:6:4], [x.tolist() for x in X], iter(X)):
        assert_same_results(fit_many(form, estimator, sample_weight=weights), wanted)
    rows, offsets = flat(list(X))
    for form in ((rows, offsets), (rows, offsets.tolist()), (np.asfortranarray(rows), offsets.astype(np.uint32))):
        assert_same_results(fit_many(form, estimator, sample_weight=weights.ravel()), wanted)


def test_one_dimension_is_one_column():
    problems = [x[:, 0] for x in ragged([30, 40, 50], 1)]
    wanted = fit_many([x[:, np.newaxis] for x in problems], GaussianMixture(2, random_state=0))
    assert_same_results(fit_many(problems, GaussianMixture(2, random_state=0)), wanted)
    assert_same_results(fit_many(flat(problems), GaussianMixture(2, random_state=0)), wanted)


@pytest.mark.parametrize("kind", ["int16", "uint8", "bool", "float16"])
def test_other_numbers_are_fitted_in_float64(kind):
    problems = [np.round(X).astype(kind) for X in ragged([40, 60], 2)]
    result = assert_equals_alone(problems, GaussianMixture(2))
    assert result.means.dtype == np.float64


def test_a_list_with_both_precisions_is_fitted_in_float64():
    mixed = [X.astype(dtype) for X, dtype in zip(ragged([50, 60], 2, np.float32), DTYPES, strict=True)]
    assert_same_results(
        fit_many(mixed, GaussianMixture(2, random_state=0)),
        fit_many([X.astype(np.float64) for X in mixed], GaussianMixture(2, random_state=0)),
    )


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_huge_problems_on_all_threads_change_no_bit(covariance_type):
    rng = np.random.default_rng(3)
    huge = [groups(rng, n, 16, n_groups=8, apart=3) for n in (30_000, 60_000)]
    problems = [huge[0], *ragged([50, 500, 20], 16), huge[1], *ragged([3, 4, 900], 16)]
    estimator = GaussianMixture(8, covariance_type=covariance_type, max_iter=4, tol=0, init_params="random")
    wanted = assert_equals_alone(problems, estimator, n_threads=7)
    for n_threads in (1, 2):
        got = fit_many(problems, estimator, random_state=3, n_threads=n_threads)
        assert_same_results(got, wanted)
    assert_same_results(fit_many(problems[:1], estimator, random_state=3, n_threads=2), wanted, [0])
    for method in (wanted.predict, wanted.score_samples):
        alone = method(problems, n_threads=1)
        for n_threads in (2, 7):
            assert all(map(same_bits, method(problems, n_threads=n_threads), alone))


def test_there_may_be_fewer_problems_than_threads():
    problems = ragged([300, 301, 302, 303, 304], 4)
    wanted = fit_many(problems, GaussianMixture(3, random_state=0), n_threads=1)
    for n_threads in (2, 3, 4, 6, 16, 64):
        for _ in range(5):  # whichever threads are first
            got = fit_many(problems, GaussianMixture(3, random_state=0), n_threads=n_threads)
            assert_same_results(got, wanted)


def test_the_input_is_left_as_it_was():
    X = np.random.default_rng(0).normal(size=(4, 30, 2))
    X[1, 2] = np.nan
    X.flags.writeable = False
    weights = np.ones((4, 30))
    weights[:, 0] = 0
    weights.flags.writeable = False
    estimator = GaussianMixture(2, random_state=0)
    result = fit_many(X, estimator, sample_weight=weights)
    result.predict(np.nan_to_num(X))
    assert vars(estimator) == vars(GaussianMixture(2, random_state=0))


# ---- seeds ----------------------------------------------------------------------------------------------------------

SEEDED = GaussianMixture(3, init_params="random", max_iter=3)


def test_seeds_are_given_problem_by_problem():
    problems = [ragged([60], 2)[0]] * 5
    seeds = [4, 0, 2**32 - 1, 4, 17]
    result = fit_many(problems, SEEDED, seeds=seeds)
    assert result.seeds.tolist() == seeds
    for i, seed in enumerate(seeds):
        assert result[i].random_state == seed
        assert_same_fit(result[i], fit_alone(SEEDED, problems[i], seed))
    assert not same_bits(result.means[0], result.means[1])


def test_an_integer_seeds_every_problem_and_the_argument_goes_before_the_estimators():
    problems = [ragged([60], 2)[0]] * 2
    own = GaussianMixture(**{**SEEDED.get_params(), "random_state": 5})
    assert fit_many(problems, own).seeds.tolist() == [5, 5]
    assert fit_many(problems, own, random_state=np.int64(8)).seeds.tolist() == [8, 8]
    assert same_bits(*fit_many(problems, own).means)


def test_each_problem_draws_its_own_seed_where_none_is_given():
    problems = [ragged([60], 2)[0]] * 4
    for estimator in (SEEDED, GaussianMixture(**{**SEEDED.get_params(), "n_init_policy": "halving"})):
        first, second = fit_many(problems, estimator), fit_many(problems, estimator)
        assert len({*first.seeds.tolist(), *second.seeds.tolist()}) == 8
        assert not np.any(np.isnan(first.means))
        one, other = (fit_many(problems, estimator, random_state=np.random.RandomState(0)) for _ in range(2))
        assert_same_results(one, other)


def test_the_estimator_of_a_problem_can_be_fitted_again_and_sampled():
    problems = ragged([60, 70, 80], 2)
    for random_state in (None, np.random.RandomState(1), 3):
        result = fit_many(problems, SEEDED, random_state=random_state)
        for i, X in enumerate(problems):
            assert_same_fit(result[i], fit_alone(result[i], X, result[i].random_state))
            assert result[i].sample(4)[0].shape == (4, 2)


# ---- predictions ----------------------------------------------------------------------------------------------------


@every_dtype
@pytest.mark.parametrize(
    "estimator", [*(GaussianMixture(3, covariance_type=kind) for kind in TYPES), BernoulliMixture(3)]
)
def test_predictions_have_the_bits_of_the_estimators(estimator, dtype):
    problems = ragged([0, 1, *SIZES], 3, dtype, seed=2)
    result = fit_many(problems, estimator, random_state=0)
    others = ragged([5, 5, 1, 0, *SIZES[2:][::-1]], 3, dtype, seed=9)
    for rows in (problems, others, [X.astype(np.float64) for X in others], [X.astype(np.float32) for X in others]):
        for n_threads in (1, 2):
            labels = result.predict(rows, n_threads=n_threads)
            log_prob = result.score_samples(rows, n_threads=n_threads)
            resp = result.predict_proba(rows, n_threads=n_threads)
            assert len(labels) == len(log_prob) == len(resp) == len(rows)
        for i, X in enumerate(rows):
            if i < 2:
                assert labels[i].tolist() == [-1] * len(X)
                assert np.all(np.isnan(log_prob[i]))
                assert resp[i].shape == (len(X), 3)
                assert np.all(np.isnan(resp[i]))
            elif len(X):
                assert same_bits(labels[i], result[i].predict(X))
                assert same_bits(log_prob[i], result[i].score_samples(X))
                assert same_bits(resp[i], result[i].predict_proba(X))
            else:
                assert resp[i].shape == (0, 3)


def test_predictions_of_the_best_of_a_grid_have_the_bits_of_the_estimators():
    problems = ragged([5, 60, 300], 2)
    result = fit_many(problems, GaussianMixture(), n_components=[1, 2, 4], covariance_type=TYPES, random_state=0)
    for i, X in enumerate(problems):
        assert same_bits(result.predict(problems)[i], result[i].predict(X))
        assert same_bits(result.score_samples(problems)[i], result[i].score_samples(X))
        assert same_bits(result.predict_proba(problems)[i], result[i].predict_proba(X))
    assert [own.shape for own in result.predict_proba(problems)] == list(
        zip((5, 60, 300), result.n_components.tolist(), strict=True)
    )
    assert len(set(result.n_components.tolist())) > 1


def test_predictions_of_a_family_in_python_have_the_bits_of_the_estimators():
    rng = np.random.default_rng(0)
    problems = [rng.geometric(0.3, (n, 2)) - 1.0 for n in (0, 40, 60)]
    result = fit_many(problems, GeometricMixture(2), random_state=0)
    assert same_bits(result.predict(problems)[2], result[2].predict(problems[2]))
    assert same_bits(result.score_samples(problems)[1], result[1].score_samples(problems[1]))
    assert same_bits(result.predict_proba(problems)[1], result[1].predict_proba(problems[1]))


def test_predictions_refuse_other_problems():
    result = fit_many(ragged([30, 40], 2), GaussianMixture(2, random_state=0))
    with pytest.raises(ValueError, match="there are 1 problems, and 2 were fitted"):
        result.predict(ragged([30], 2))
    with pytest.raises(ValueError, match="problems have 3 columns, those that were fitted 2"):
        result.score_samples(ragged([30, 40], 3))
    with pytest.raises(ValueError, match="problem 1 holds values that are not finite"):
        result.predict([np.zeros((3, 2)), np.full((3, 2), np.inf)])


# ---- the result -----------------------------------------------------------------------------------------------------


def test_a_result_is_read_like_a_list_of_estimators():
    result = fit_many(ragged([30, 40, 50], 2), GaussianMixture(2, random_state=0))
    assert len(list(result)) == 3
    assert_same_fit(result[-1], result[np.int64(2)])
    for wrong in (3, -4):
        with pytest.raises(IndexError, match=f"problem {wrong} of 3"):
            result[wrong]
    assert len(result[:2]) == 2
    with pytest.raises(TypeError, match="a problem is an integer, its name, a slice"):
        result["a"]
    with pytest.raises(AttributeError, match="has no attribute 'medians'"):
        result.medians  # noqa: B018
    assert {"means", "covariances", "weights"} <= set(dir(result))


def test_the_repr_says_how_many_of_what():
    result = fit_many(ragged([30, 40, 1], 2), GaussianMixture(2, random_state=0))
    assert repr(result) == (
        "<BatchResult: 3 problems, GaussianMixture(init_params='kmeans', n_components=2, random_state=0); 2 CONVERGED, "
        "1 TOO_FEW_ROWS>"
    )


@pytest.mark.parametrize(
    "options",
    [
        {"regularization": "relative"},
        {"canonical_order": True},
        {"regularization": "relative", "canonical_order": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", [GaussianMixture, StudentTMixture])
def test_units_and_orders_are_those_of_fits_alone(kind, options):
    problems = [1000 * X + 7 for X in ragged([3, 5, 60, 300, 700], 2)]
    for covariance_type in TYPES:
        estimator = kind(3, covariance_type=covariance_type, init_params="k-means++", **options)
        assert_equals_alone(problems, estimator)


def test_a_falling_bound_is_said():
    """`reg_covar` is added after the M-step; beside variances of 1 it is no small thing."""
    problems = ragged([300, 500], 2)
    for reg_covar, falls in ((1.0, True), (1e-6, False)):
        result = assert_equals_alone(problems, GaussianMixture(3, reg_covar=reg_covar, tol=0, max_iter=20))
        for i, X in enumerate(problems):
            bounds = fit_alone(result.candidates[0], X, 3).lower_bounds_
            assert (np.diff(bounds).min() < -1e-6 * (1 + abs(bounds[-1]))) == falls
            assert bool(result.status[i] & Status.LOWER_BOUND_FELL) == falls


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_matrix])
def test_problems_with_missing_entries_leave_the_others_compiled(form, n_threads):
    rng = np.random.default_rng(0)
    problems = [bits(rng, n_rows, 4) for n_rows in (60, 3, 0, 200, 2, 90)]
    problems[1][0, 2] = problems[3][7, 1] = np.nan
    problems = [form(X) for X in problems]
    estimator = BernoulliMixture(2, binarize=None)
    result = fit_many(problems, estimator, random_state=3, n_threads=n_threads)
    assert result.status[2] & Status.TOO_FEW_ROWS
    labels, scores, resp = result.predict(problems), result.score_samples(problems), result.predict_proba(problems)
    for i in (0, 1, 3, 4, 5):
        alone = fit_alone(estimator, problems[i], 3)
        assert_same_fit(result[i], alone)
        np.testing.assert_array_equal(labels[i], alone.predict(problems[i]))
        np.testing.assert_array_equal(scores[i], alone.score_samples(problems[i]))
        np.testing.assert_array_equal(resp[i], alone.predict_proba(problems[i]))
    grid = fit_many(problems, estimator, n_components=[1, 2], random_state=3, n_threads=n_threads)
    without = [X for X in problems if not np.any(np.isnan(X.sum()))]
    assert_same_results(fit_many(without, estimator, n_components=[1, 2], random_state=3), grid, [0, 2, 4, 5])


class InUnitsOfAThousand(GaussianMixture):
    """A subclass as users write them."""

    def fit(self, X, y=None, sample_weight=None):
        return super().fit(np.asarray(X) / 1000, y, sample_weight)

    def predict(self, X):
        return 1 - super().predict(np.asarray(X) / 1000)


def test_a_subclass_with_methods_of_its_own_is_fitted_and_predicts_by_them():
    problems = [1000 * X for X in ragged([40, 60], 2)]
    estimator = InUnitsOfAThousand(2, random_state=0)
    result = fit_many(problems, estimator)
    for i, X in enumerate(problems):
        alone = fit_alone(estimator, X, 0)
        assert_same_fit(result[i], alone)
        assert np.array_equal(result.predict(problems)[i], alone.predict(X))


def test_the_default_start_of_a_batch_is_kmeans_as_candidates_say():
    """What documents say of the default `GaussianMixture`."""
    problems = ragged([60, 100, 200], 2)
    for options in ({}, {"n_components": [1, 2]}):
        result = fit_many(problems, GaussianMixture(3, random_state=0), keep="all", **options)
        for candidate, model in zip(result.candidates, result.models, strict=True):
            assert candidate.init_params == "kmeans"
            assert candidate.reg_covar == (0 if options else 1e-6)
            for i, X in enumerate(problems):
                assert_same_fit(model[i], candidate.fit(X))
