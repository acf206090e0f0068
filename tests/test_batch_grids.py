"""A grid of models is fitted to each problem, and the best by a criterion is kept."""

import numpy as np
import pytest
from batches import STARTS, TYPES, UNUSABLE, assert_same_fit, bits, fit_alone, ragged, same_bits
from sklearn.base import clone
from test_python_family import GeometricMixture

import mixfast.batches.plan
from mixfast import BernoulliMixture, GaussianMixture, Status, fit_many, load

CRITERIA = ["bic", "aic", "icl"]
SIZES = [2, 3, 10, 60, 300, 2500]
every_criterion = pytest.mark.parametrize("criterion", CRITERIA)


@pytest.fixture(params=["all models are kept until the choice", "each problem's best is chosen at once"])
def _either_choice(request, monkeypatch):
    """Small batches keep all models until the end, large ones choose in the compiled loop."""
    if request.param.startswith("each"):
        monkeypatch.setattr(mixfast.batches.plan, "FEW_BYTES", 0)


either_choice = pytest.mark.usefixtures("_either_choice")


def assert_best_of_all(problems, estimator, criterion, sample_weight=None, **grid):
    result = fit_many(problems, estimator, criterion=criterion, random_state=0, sample_weight=sample_weight, **grid)
    weights = [None] * len(problems) if sample_weight is None else sample_weight
    for i, (X, weight) in enumerate(zip(problems, weights, strict=True)):
        fits, wanted = {}, []
        for j, candidate in enumerate(result.candidates):
            try:
                fits[j] = fit_alone(candidate, X, 0, weight)
            except ValueError:
                wanted.append(np.nan)
            else:
                wanted.append(getattr(fits[j], criterion)(X, sample_weight=weight))
        # terms of a thousand times a criterion or more may cancel where components hold a row or two
        np.testing.assert_allclose(result.criteria[i], wanted, rtol=1e-10, atol=1e-8 if len(X) < 20 else 0)
        if fits:
            clean = [j for j, fit in fits.items() if not fit.status_ & Status.SPURIOUS_COMPONENT]
            if clean:
                assert result.chosen[i] == clean[np.argmin(result.criteria[i][clean])]
            else:
                assert result.chosen[i] == min(fits, key=lambda j: fits[j]._n_parameters())
            best = fits[result.chosen[i]]
            assert_same_fit(result[i], best)
            assert result.n_components[i] == best.n_components
            assert np.all(np.isnan(result.weights[i, best.n_components :]))
        else:
            assert result.status[i] & UNUSABLE
    return result


@either_choice
@every_criterion
def test_the_best_number_of_components_and_structure_is_kept(criterion):
    estimator = GaussianMixture()
    result = assert_best_of_all(
        ragged(SIZES, 2), estimator, criterion, n_components=[3, 1, 2, 5], covariance_type=TYPES
    )
    assert len(result.candidates) == 16
    assert result.weights.shape == (len(SIZES), 5)
    assert result.means.shape == (len(SIZES), 5, 2)
    with pytest.raises(AttributeError, match=r"covariances has another shape .* take result\[i\].covariances_"):
        result.covariances  # noqa: B018


@either_choice
@every_criterion
def test_weights_enter_the_criteria(criterion):
    rng = np.random.default_rng(0)
    problems = ragged(SIZES, 2)
    weights = [rng.choice([0, 0.5, 1, 4], len(X)) for X in problems]
    # some problems keep one row or two: without reg_covar their criteria are what is left of terms of 1e15
    estimator = GaussianMixture(reg_covar=2e-6)
    assert_best_of_all(problems, estimator, criterion, weights, n_components=[1, 2], covariance_type=TYPES)


@every_criterion
def test_criteria_of_float32_are_those_of_the_estimators_but_for_rounding(criterion):
    # these sum log densities that were rounded to float32, of parameters that were
    problems = ragged(SIZES[3:], 2, np.float32)
    result = fit_many(problems, GaussianMixture(), n_components=[1, 2, 3], criterion=criterion, random_state=0)
    for i, X in enumerate(problems):
        for j, candidate in enumerate(result.candidates):
            wanted = getattr(fit_alone(candidate, X, 0), criterion)(X)
            assert abs(result.criteria[i, j] - wanted) < 1e-5 * abs(wanted)


@every_criterion
def test_a_grid_of_other_families_keeps_the_best(criterion):
    rng = np.random.default_rng(0)
    problems = [bits(rng, n, 4) for n in (2, 60, 300)]
    assert_best_of_all(problems, BernoulliMixture(n_init=2), criterion, n_components=range(1, 4))
    problems = [rng.geometric(0.3, (n, 2)) - 1.0 for n in (1, 2, 60)]
    assert_best_of_all(problems, GeometricMixture(), criterion, n_components=[1, 2])


@every_criterion
def test_estimators_one_by_one_keep_the_best(criterion):
    estimator = GaussianMixture(n_init=3, n_init_policy="halving", init_params="random")
    assert_best_of_all(ragged([1, 2, 60], 2), estimator, criterion, n_components=[1, 2], covariance_type=TYPES[:2])


@pytest.mark.parametrize("options", [{}, {"n_init_policy": "halving"}])
def test_all_fits_are_kept_where_that_is_asked_for(options):
    problems = ragged(SIZES, 2)
    estimator = GaussianMixture(random_state=0, **options)
    grid = {"n_components": [1, 3], "covariance_type": ["full", "tied"]}
    result, best = fit_many(problems, estimator, keep="all", **grid), fit_many(problems, estimator, **grid)
    assert best.models is None
    assert len(result.models) == len(result.candidates) == 4
    assert same_bits(result.chosen, best.chosen)
    assert same_bits(result.criteria, best.criteria)
    for i, X in enumerate(problems):
        if not best.status[i] & UNUSABLE:
            assert_same_fit(result[i], best[i])
        for model, candidate in zip(result.models, result.candidates, strict=True):
            if not model.status[i] & UNUSABLE:
                assert_same_fit(model[i], fit_alone(candidate, X, 0))
    # two rows: one component only
    assert [bool(model.status[0] & Status.TOO_FEW_ROWS) for model in result.models] == [False, False, True, True]


def test_the_fits_of_a_model_are_a_result_of_this_model_alone(tmp_path):
    problems = ragged([60, 1, 40], 2)
    grid = {"n_components": [1, 3], "covariance_type": ["full", "tied"], "criterion": "aic"}
    result = fit_many(problems, GaussianMixture(random_state=0), keep="all", **grid)
    result.save(tmp_path / "result")
    for got in (result, load(tmp_path / "result")):
        for i, (model, candidate) in enumerate(zip(got.models, result.candidates, strict=True)):
            assert repr(candidate) in repr(model)
            wanted = fit_many(problems, candidate)
            for name in ("weights", "means", "covariances", "status", "lower_bound", "n_components", "chosen"):
                assert same_bits(getattr(model, name), getattr(wanted, name)), name
            assert same_bits(model.criteria[:, 0], result.criteria[:, i])
            assert same_bits(model.to_frame().aic, result.criteria[:, i])
    assert "the best of 4 models" in repr(result)


@pytest.mark.parametrize("init_params", STARTS)
@pytest.mark.parametrize("n_threads", [1, 2, 40])  # with so many, one problem's models begin each for itself
def test_structures_that_share_their_starts_have_the_bits_of_estimators(init_params, n_threads):
    X = ragged([60], 2)[0]
    estimator = GaussianMixture(n_init=4, init_params=init_params)
    result = fit_many(
        [X], estimator, random_state=1, keep="all", n_threads=n_threads, n_components=[2, 5], covariance_type=TYPES
    )
    for model, candidate in zip(result.models, result.candidates, strict=True):
        assert_same_fit(model[0], fit_alone(candidate, X, 1))


def test_a_structure_that_fails_leaves_the_start_to_others():
    X = ragged([60], 2)[0]
    estimator = GaussianMixture(n_init=4, reg_covar=0, on_degenerate="raise")
    result = fit_many([X], estimator, random_state=1, keep="all", n_components=20, covariance_type=TYPES)
    fails = []
    for model, candidate in zip(result.models, result.candidates, strict=True):
        try:
            alone = fit_alone(candidate, X, 1)
        except ValueError:
            fails.append(True)
        else:
            fails.append(False)
            assert_same_fit(model[0], alone)
    assert fails == [bool(model.status[0] & UNUSABLE) for model in result.models]
    assert 0 < sum(fails) < len(fails)


def test_a_grid_of_one_is_no_choice():
    problems, grid = ragged([2, 60], 2), {"n_components": [2], "covariance_type": "diag"}
    assert np.all(np.isnan(fit_many(problems, GaussianMixture(random_state=0), **grid).criteria))
    result = fit_many(problems, GaussianMixture(random_state=0), keep="all", **grid)
    assert len(result.models) == 1
    assert_same_fit(result[1], fit_alone(GaussianMixture(2, covariance_type="diag"), problems[1], 0))


@every_criterion
@pytest.mark.parametrize("options", [{}, {"regularization": "relative"}, {"reg_covar": 0.1}], ids=str)
def test_a_single_model_that_is_kept_has_its_criterion(options, criterion):
    problems = [*ragged([60, 200], 2), np.zeros((1, 2))]
    estimator = GaussianMixture(2, random_state=0, **options)
    result = fit_many(problems, estimator, keep="all", criterion=criterion)
    wanted = [getattr(result[i], criterion)(problems[i]) for i in (0, 1)]
    np.testing.assert_allclose(result.criteria[:, 0], [*wanted, np.nan], rtol=1e-12)
    np.testing.assert_allclose(result.to_frame()[criterion], result.criteria[:, 0])
    plain = fit_many(problems, estimator, criterion=criterion)
    assert np.all(np.isnan(plain.criteria))
    np.testing.assert_array_equal(plain.lower_bound, result.lower_bound)


def test_the_first_of_equals_is_kept():
    problems = ragged([60, 300], 1)
    result = fit_many(problems, GaussianMixture(2, random_state=0), covariance_type=["diag", "full", "diag"])
    assert same_bits(result.criteria[:, 0], result.criteria[:, 2])
    assert np.all(result.chosen != 2)


def test_candidates_are_the_estimators_of_the_grid():
    estimator = GaussianMixture(7, tol=1e-2)
    result = fit_many(ragged([60], 2), estimator, n_components=(2, 3), covariance_type=["tied"], random_state=0)
    for candidate, n_components in zip(result.candidates, (2, 3), strict=True):
        wanted = clone(estimator).set_params(n_components=n_components, covariance_type="tied", reg_covar=0.0)
        wanted.init_params = "kmeans"  # in batches; "auto" is for fits alone
        assert candidate.get_params() == wanted.get_params()
    assert result.criterion == "bic"


def test_held_out_likelihood_chooses_by_rows_that_were_not_fitted():
    rng = np.random.default_rng(0)
    problems = [rng.normal(size=(n, 1)) + 8 * rng.integers(k, size=(n, 1)) for n, k in [(200, 1), (301, 2), (250, 3)]]
    bad = np.full((40, 1), np.nan)
    grid = {"n_components": [1, 2, 3], "criterion": "heldout"}
    result = fit_many([*problems, bad, np.zeros((2, 1))], GaussianMixture(random_state=3, n_init=3), **grid)
    assert result.n_components[:3].tolist() == [1, 2, 3]
    assert np.all(np.isfinite(result.criteria[:3]))
    assert np.all(np.isnan(result.criteria[3]))
    assert result.status[3] == Status.NOT_FINITE
    for i, X in enumerate(problems):  # what is chosen is fitted to all rows
        alone = GaussianMixture(result.n_components[i], n_init=3, random_state=3, reg_covar=0).fit(X)
        assert np.array_equal(result[i].means_, alone.means_)
        score = -alone.score(X)
        assert score < result.criteria[i, result.chosen[i]] < score + 0.1
    again = fit_many(problems[1:], GaussianMixture(random_state=3, n_init=3), keep="all", **grid)
    assert np.array_equal(again.criteria, result.criteria[1:3])
    assert np.array_equal(again.chosen, result.chosen[1:3])
