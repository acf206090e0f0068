"""The laws of every estimator, for mixtures of experts of every kind: their rows have a response."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from batches import STARTS, assert_same_fit, assert_same_results, assert_same_state, attributes, same_bits
from estimators_table import GROUP, N_ROWS, REGRESSIONS, every_regression
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning

import mixfast.estimators._by_em
from mixfast import BatchResult, Status, fit_many, load, match, select
from mixfast.partitions import InMemory

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

WEIGHTS = np.repeat(np.random.default_rng(5).choice([0.5, 1.0, 2.0], N_ROWS // 4), 4)  # the same in a group


def fitted(entry, **options):
    return entry.make(**options).fit(entry.X, **entry.data)


@every_regression
def test_log_densities_are_scipys(name):
    entry = REGRESSIONS[name]
    model = fitted(entry)
    components = model.component_log_density(entry.X, **entry.data)
    if entry.log_density is not None:
        beside = [
            getattr(model, own) for own in ("sigma_", "shape_", "theta_", "degrees_of_freedom_") if hasattr(model, own)
        ]
        for k in range(2):
            eta = model.intercept_[k] + entry.X @ model.coef_[k]
            wanted = entry.log_density(entry.data["y"], eta, *[own[k] for own in beside])
            assert_allclose(components[:, k], wanted, rtol=1e-10, atol=1e-10)
    if "groups" in entry.data:
        firsts = np.arange(0, N_ROWS, 4)
        components = np.add.reduceat(components, firsts, axis=0)
        shares = model.predict_proba(entry.X, gate_X=entry.data["gate_X"])[::4]
        scores = np.zeros(N_ROWS)
        scores[::4] = logsumexp(components + np.log(shares), axis=1)
    else:
        gate = {"gate_X": entry.data["gate_X"]} if "gate_X" in entry.data else {}
        scores = logsumexp(components + np.log(model.predict_proba(entry.X, **gate)), axis=1)
    assert_allclose(model.score_samples(entry.X, **entry.data), scores, rtol=1e-10, atol=1e-12)


# ---- a weight of 0 equals leaving the row out -----------------------------------------------------------------------


def strange_rows(entry):
    """(X, data, weights) with rows of weight 0 at the beginning, in between and at the end, that no fit would take:
    one for each thing that may be wrong."""
    one, wrong = entry.some(slice(0, 1)), []
    for name in ("X", *entry.data):
        if name == "groups":
            continue
        X, data = one[0].copy(), {own: np.array(values) for own, values in one[1].items()}
        (X if name == "X" else data[name]).flat[0] = np.nan if name != "exposure" else -1.0
        wrong.append((X, data))
    if entry.outside is not None:
        wrong.append((one[0], one[1] | {"y": np.full_like(one[1]["y"], entry.outside)}))
    half = N_ROWS // 2
    blocks = [*wrong, entry.some(slice(0, half)), *wrong, entry.some(slice(half, None)), *wrong]
    is_strange = np.concatenate([np.full(len(X), len(X) == 1) for X, _ in blocks])
    weight = np.zeros(len(is_strange))
    weight[~is_strange] = WEIGHTS
    data = {own: np.concatenate([block[own] for _, block in blocks]) for own in entry.data}
    return np.concatenate([X for X, _ in blocks]), data, weight


CONTAINERS = {
    "array": np.asarray,
    "columns first": np.asfortranarray,
    "float32": lambda X: X.astype(np.float32),
    "list": lambda X: X.tolist(),
    "pandas": lambda X: pd.DataFrame(X, columns=["x0", "x1"]),
    "polars": lambda X: pl.DataFrame(X, schema=["x0", "x1"]),
}


@every_regression
def test_a_fit_with_rows_of_weight_zero_is_the_fit_without_them(name):
    entry = REGRESSIONS[name]
    X, data, weight = strange_rows(entry)
    for put_in in CONTAINERS.values():
        alone = entry.make().fit(put_in(entry.X), sample_weight=WEIGHTS, **entry.data)
        assert_same_state(entry.make().fit(put_in(X), sample_weight=weight, **data), alone)
        for method in ("bic", "aic", "icl"):
            for options in ({}, {"n_effective": "kish"}, {"n_effective": 40}):
                wanted = getattr(alone, method)(put_in(entry.X), sample_weight=WEIGHTS, **options, **entry.data)
                assert same_bits(getattr(alone, method)(put_in(X), sample_weight=weight, **options, **data), wanted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # sixty rows say nothing of some coefficients
        found = alone.inference(X, sample_weight=weight, **data).covariance
        assert same_bits(found, alone.inference(entry.X, sample_weight=WEIGHTS, **entry.data).covariance)


@every_regression
@pytest.mark.parametrize("init_params", ["random", "labels", "responsibilities"])
def test_no_start_sees_rows_of_weight_zero(init_params, name):
    entry = REGRESSIONS[name]
    X, data, weight = strange_rows(entry)
    starts = init_params, init_params
    if init_params != "random":
        labels = np.repeat(np.arange(15) % 2, 4)
        start = labels if init_params == "labels" else np.eye(2)[labels]
        nonsense = np.full((len(X), *start.shape[1:]), -9 if init_params == "labels" else np.nan, dtype=start.dtype)
        nonsense[weight > 0] = start
        starts = nonsense, start
    one = entry.make(init_params=starts[0], n_init=2).fit(X, sample_weight=weight, **data)
    other = entry.make(init_params=starts[1], n_init=2).fit(entry.X, sample_weight=WEIGHTS, **entry.data)
    one.init_params = other.init_params
    assert_same_state(one, other)


@every_regression
def test_choices_and_batches_do_not_see_rows_of_weight_zero(name):
    entry = REGRESSIONS[name]
    X, data, weight = strange_rows(entry)
    options = {"n_components": [1, 2], "criterion": "heldout", "n_folds": 2, "random_state": 0}
    got = select(X, entry.make(), sample_weight=weight, **options, **data)
    wanted = select(entry.X, entry.make(), sample_weight=WEIGHTS, **options, **entry.data)
    assert_same_state(got.estimators_, wanted.estimators_)
    pd.testing.assert_frame_equal(got.to_frame(), wanted.to_frame(), check_exact=True)
    if not entry.batches:
        return
    reverse = slice(None, None, -1)
    many = {own: [values, entry.data[own]] for own, values in data.items()}
    few = {own: [values, values] for own, values in entry.data.items()}
    got = fit_many([X, entry.X], entry.make(), sample_weight=[weight, WEIGHTS[reverse]], random_state=0, **many)
    wanted = fit_many(
        [entry.X, entry.X], entry.make(), sample_weight=[WEIGHTS, WEIGHTS[reverse]], random_state=0, **few
    )
    assert np.all(got.has_parameters)
    assert_same_results(got, wanted)


@every_regression
def test_one_row_of_positive_weight_is_too_few_as_one_row_is(name):
    entry = REGRESSIONS[name]
    X, data = entry.some(slice(0, 1))
    with pytest.raises(ValueError, match=r"minimum of 2 is required|needs two at least"):
        entry.make(n_components=1).fit(X, **data)
    with pytest.raises(ValueError, match=r"minimum of 2 is required|needs two at least"):
        entry.make(n_components=1).fit(entry.X, sample_weight=np.arange(N_ROWS) == 7, **entry.data)


# ---- EM -------------------------------------------------------------------------------------------------------------


@every_regression
@pytest.mark.parametrize("init_params", STARTS)
def test_the_objective_never_falls(init_params, name):
    entry = REGRESSIONS[name]
    if "groups" in entry.data and init_params != "random":
        return  # such starts are refused
    for alpha in (0.0, 1.0):
        options = {"n_components": 3, "init_params": init_params, "tol": 1e-8, "max_iter": 2000, "alpha": alpha}
        plain, fast = (fitted(entry, **options, accelerate=loop) for loop in (None, "auto"))
        for model in (plain, fast):
            bounds = np.array(model.lower_bounds_, dtype=float)
            assert np.diff(bounds).min(initial=0) > -1e-9 * np.abs(bounds).max()
            assert model.lower_bound_ == model.lower_bounds_[-1]
            resp = model.posterior(entry.X, **entry.data)
            assert_allclose(resp.sum(axis=1), 1, rtol=1e-12)


@every_regression
def test_a_fit_that_has_converged_is_a_fixed_point(name):
    entry = REGRESSIONS[name]
    model = fitted(entry, tol=1e-13, max_iter=20_000, warm_start=True)
    before = model.score_samples(entry.X, **entry.data)
    model.set_params(max_iter=2).fit(entry.X, **entry.data)
    assert_allclose(model.score_samples(entry.X, **entry.data), before, rtol=1e-4, atol=1e-6)


@every_regression
def test_the_same_bits_for_any_number_of_threads(name):
    """Of rows that fill all lanes, each with a weight of its own."""
    entry = REGRESSIONS[name]
    weight = np.repeat(np.random.default_rng(6).uniform(0.5, 2, 330 * N_ROWS // 4), 4)
    X = np.tile(entry.X, (330, 1))
    data = {own: np.concatenate([values] * 330) for own, values in entry.data.items()}
    if "groups" in data:
        data["groups"] = np.arange(len(X)) // 4
    fits = [entry.make(max_iter=4, tol=0, n_threads=n).fit(X, sample_weight=weight, **data) for n in (1, 2, 5)]
    resp = [model.posterior(X, **data) for model in fits]
    for model, other in zip(fits[1:], resp[1:], strict=True):
        model.n_threads = fits[0].n_threads
        assert_same_state(model, fits[0])
        assert same_bits(other, resp[0])


@every_regression
def test_a_weight_equals_repeating_the_row(name):
    entry = REGRESSIONS[name]
    repeats, labels = np.random.default_rng(7).integers(0, 4, N_ROWS), GROUP
    X, data = entry.some(np.repeat(np.arange(N_ROWS), repeats))
    if "groups" in data:  # a weight counts groups
        repeats, labels = np.repeat(np.random.default_rng(7).integers(0, 4, N_ROWS // 4), 4), np.repeat(GROUP[:15], 4)
        rows = np.concatenate([np.tile(np.arange(4 * i, 4 * i + 4), repeats[4 * i]) for i in range(15)]).astype(int)
        X, data = entry.some(rows)
        data["groups"] = np.arange(len(rows)) // 4
    else:
        rows = np.repeat(np.arange(N_ROWS), repeats)
    options = {"tol": 1e-10, "max_iter": 5000}
    weighted = entry.make(**options, init_params=labels).fit(entry.X, sample_weight=repeats, **entry.data)
    repeated = entry.make(**options, init_params=labels[rows]).fit(X, **data)
    assert weighted.lower_bound_ == pytest.approx(repeated.lower_bound_, abs=1e-10)  # tol: one may stop a step before
    beside = {name: own for name, own in entry.data.items() if name == "exposure"}
    components = [model.predict_components(entry.X, **beside) for model in (weighted, repeated)]
    assert_allclose(*components, rtol=1e-5, atol=1e-7)


# ---- batches, files -------------------------------------------------------------------------------------------------


@every_regression
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_problem_of_a_batch_has_the_bits_of_its_fit_alone(dtype, name):
    entry = REGRESSIONS[name]
    chosen = [slice(None), slice(None, None, -1), slice(0, 40), slice(7, 8)]
    problems, data = zip(*map(entry.some, chosen), strict=True)
    problems = [X.astype(dtype) for X in problems]
    together = {own: [each[own] for each in data] for own in entry.data}
    for options in ({}, {"n_components": 1}, {"accelerate": "auto", "n_init": 3, "n_init_policy": "halving"}):
        estimator = entry.make(**options)
        result = fit_many(problems, estimator, random_state=3, n_threads=2, **together)
        assert result.status[3] & Status.TOO_FEW_ROWS
        scores = result.score_samples(problems, **together)
        for i in range(3):
            wanted = entry.make(**options, random_state=3)
            wanted.fit(problems[i], **data[i])
            assert_same_fit(result[i], wanted)
            assert result.status[i] == wanted.status_
            assert same_bits(scores[i], wanted.score_samples(problems[i], **data[i]))


def of_problems(entry, *rows):
    """(problems, row data in the form of problems) of some rows each."""
    problems, data = zip(*map(entry.some, rows), strict=True)
    return list(problems), {own: [each[own] for each in data] for own in entry.data}


@every_regression
def test_arrays_of_a_batch_have_the_names_and_values_of_the_attributes(name):
    entry = REGRESSIONS[name]
    problems, data = of_problems(entry, slice(None), slice(20, None), slice(0, 1))
    result = fit_many(problems, entry.make(), n_components=[1, 2], random_state=3, keep="all", **data)
    others = {"lower_bounds", "n_features_in", "converged", "classes", "is_exposed", "is_offset"}
    for own in (result, *result.models):
        wanted = {attribute.removesuffix("_") for attribute in attributes(own[0])} - others
        assert wanted <= set(dir(own))
        assert {"coef", "intercept", "weights"} <= wanted
        for attribute in wanted:
            values = getattr(own, attribute)
            for i in (0, 1):
                one = getattr(own[i], f"{attribute}_")
                pairs = zip(values, one, strict=True) if isinstance(one, list) else [(values, one)]
                for many, alone in pairs:
                    if alone is None:
                        assert many is None
                        continue
                    n = tuple(map(slice, np.shape(alone)[:1]))
                    assert np.array_equal(many[(i, *n)], alone), attribute
                    assert many.dtype == np.asarray(alone).dtype or not np.ndim(alone)
                    assert many.ndim == np.ndim(alone) + 1
                    if np.ndim(alone):
                        assert not many.flags.writeable


@every_regression
@pytest.mark.parametrize("grid", [{}, {"n_components": [1, 2]}], ids=["one model", "grid"])
def test_a_frame_of_components_of_a_batch_has_those_of_the_fits(grid, name):
    entry = REGRESSIONS[name]
    problems, data = of_problems(entry, slice(None), slice(0, 1), slice(20, None))
    result = fit_many(problems, entry.make(), random_state=3, **grid, **data)
    frames = [result[i].to_frame() for i in (0, 2)]
    for i, frame in zip((0, 2), frames, strict=True):
        frame.insert(0, "problem", i)
    pd.testing.assert_frame_equal(result.to_frame("components"), pd.concat(frames, ignore_index=True), check_exact=True)


@every_regression
def test_components_of_a_batch_are_matched_by_what_they_share_of_rows(name):
    entry = REGRESSIONS[name]
    problems, data = of_problems(entry, slice(None), slice(20, None), slice(0, 1))
    result = fit_many(problems, entry.make(), random_state=3, **data)
    own = {key: values[1] for key, values in data.items()}
    for reference in (None, 0, result[0]):
        aligned = result.align(reference, problems, **data)
        assert aligned.tolist() == [[0, 1], match(result[0], result[1], problems[1], **own).tolist(), [-1, -1]]
    for call in (result.align, lambda: result.align(0)):
        with pytest.raises(TypeError, match=r"pass these, align\(problems=problems, y=y\)"):
            call()
    with pytest.raises(TypeError, match="needs y beside X"):
        result.align(problems=problems)


@every_regression
def test_results_of_chunks_together_are_the_result_of_all(name, tmp_path):
    entry = REGRESSIONS[name]
    chosen = [slice(None), slice(None, None, -1), slice(0, 1)]
    problems, data = of_problems(entry, *chosen)
    whole = fit_many(problems, entry.make(), random_state=3, **data)
    chunks = []
    for own in (slice(0, 1), slice(1, 3)):
        some, beside = of_problems(entry, *chosen[own])
        chunks.append(fit_many(some, entry.make(), random_state=3, **beside))
    chunks[1].save(tmp_path / "chunk")
    together = BatchResult.concatenate([chunks[0], load(tmp_path / "chunk")])
    assert_same_results(together, whole)
    assert_same_fit(together[1], whole[1])
    for one, other in zip(together.score_samples(problems, **data), whole.score_samples(problems, **data), strict=True):
        assert same_bits(one, other)


@every_regression
def test_a_problem_outside_the_domain_says_so_and_leaves_the_others(name):
    entry = REGRESSIONS[name]
    if not entry.batches:
        return
    for value in (np.nan, np.inf, entry.outside):
        if value is None:
            continue
        wrong = np.array(entry.data["y"])
        wrong.flat[3] = value
        data = {own: [values, values] for own, values in entry.data.items()} | {"y": [entry.data["y"], wrong]}
        result = fit_many([entry.X, entry.X], entry.make(), random_state=3, **data)
        assert result.status[1] & (Status.OUT_OF_DOMAIN | Status.NOT_FINITE)
        assert result.has_parameters.tolist() == [True, False]


@every_regression
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_saved_model_has_the_same_bits(dtype, name, tmp_path):
    entry = REGRESSIONS[name]
    table = pd.DataFrame(entry.X.astype(dtype), columns=["a", "b"])
    model = entry.make().fit(table, **entry.data)
    model.save(tmp_path / "model")
    same = load(tmp_path / "model")
    assert type(same) is type(model)
    assert_same_state(attributes(same), attributes(model))
    for method in ("score_samples", "posterior", "labels"):
        assert same_bits(getattr(same, method)(table, **entry.data), getattr(model, method)(table, **entry.data))
    assert same_bits(same.bic(table, **entry.data), model.bic(table, **entry.data))
    known = {own: values for own, values in entry.data.items() if own in ("exposure", "gate_X")}
    assert same_bits(same.predict(table, **known), model.predict(table, **known))
    for got, wanted in zip(
        same.sample(table, random_state=1, **known), model.sample(table, random_state=1, **known), strict=True
    ):
        assert same_bits(got, wanted)
    assert_same_state(attributes(same.fit(table, **entry.data)), attributes(model.fit(table, **entry.data)))


# ---- what a fitted model keeps --------------------------------------------------------------------------------------


def ways_to_fail(entry, monkeypatch):
    """name -> function of an estimator whose `fit` raises."""
    X, data = entry.some(slice(None, None, -1))
    one_X, one_data = entry.some(slice(0, 1))
    ones = np.ones(N_ROWS)
    strange_X, strange_data, weight = strange_rows(entry)

    def interrupted(model):
        fit_rows = mixfast.estimators._by_em.fit_rows

        def stopped(*args):
            fit_rows(*args)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(mixfast.estimators._by_em, "fit_rows", stopped)
            model.fit(X, **data)

    return {
        "one row": lambda model: model.fit(one_X, **one_data),
        "one dimension": lambda model: model.fit(X[:, 0], **data),
        "no response": lambda model: model.fit(X, **data | {"y": None}),
        "a parameter": lambda model: model.set_params(n_components=0).fit(X, **data),
        "rows that are not finite": lambda model: model.fit(strange_X, sample_weight=weight + 1, **strange_data),
        "negative weights": lambda model: model.fit(X, sample_weight=-ones, **data),
        "huge weights": lambda model: model.fit(X, sample_weight=1e40 * ones, **data),
        "too many components": lambda model: model.set_params(n_components=N_ROWS + 1).fit(X, **data),
        "a start of another size": lambda model: model.set_params(init_params=[0, 1]).fit(X, **data),
        "a warning that is an error": lambda model: model.set_params(max_iter=1, tol=0).fit(X, **data),
        "an interrupt": interrupted,
    }


def fail_at(fail, model):
    """A warning is an error, as many have it in their tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fail(model)


@every_regression
@pytest.mark.parametrize("warm_start", [False, True])
def test_a_fit_that_fails_leaves_the_last_model_or_none(warm_start, name, monkeypatch):
    entry = REGRESSIONS[name]
    model_before = fitted(entry, warm_start=warm_start)

    def attributes_of(model):
        return {own: value for own, value in vars(model).items() if own not in model.get_params(deep=False)}

    for way, fail in ways_to_fail(entry, monkeypatch).items():
        model, unfitted = copy.deepcopy(model_before), entry.make(warm_start=warm_start)
        for one in (model, unfitted):
            with pytest.raises((ValueError, KeyboardInterrupt, ConvergenceWarning)):
                fail_at(fail, one)
        assert attributes_of(unfitted) == {}, way
        assert_same_state(attributes_of(model), attributes_of(model_before), way)


@every_regression
def test_published_arrays_are_read_only_and_what_is_assigned_is_used(name):
    entry = REGRESSIONS[name]
    model = fitted(entry)
    for own in (model, pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        for attribute, value in attributes(own).items():
            for array in value if isinstance(value, list) else [value]:
                assert not isinstance(array, np.ndarray) or not array.flags.writeable, attribute
    assert_same_state(pickle.loads(pickle.dumps(model)), model)
    before = model.score_samples(entry.X, **entry.data)
    several = isinstance(model.coef_, list)
    for attribute in ("intercept_", "coef_", "sigma_", "shape_", "theta_", "degrees_of_freedom_"):
        if not hasattr(model, attribute):
            continue
        other, old = copy.deepcopy(model), getattr(model, attribute)
        setattr(other, attribute, [2 * old[0], *old[1:]] if several else 2 * old)
        if attribute == "coef_" and several:
            assert np.any(other.predict(entry.X) != model.predict(entry.X))
        assert np.any(other.score_samples(entry.X, **entry.data) != before), attribute
        wrong = -old[0] if several else -old
        if attribute in ("coef_", "intercept_"):
            wrong = wrong * np.nan
        setattr(other, attribute, [wrong, *old[1:]] if several else wrong)
        with pytest.raises(ValueError, match=r"should be|must be|finite|above"):
            other.score_samples(entry.X, **entry.data)


@every_regression
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_model_of_the_fitted_parameters_is_that_model(dtype, name):
    entry = REGRESSIONS[name]
    X = pd.DataFrame(entry.X.astype(dtype), columns=["a", "b"])
    model = entry.make(warm_start=True, tol=0, max_iter=3).fit(X, **entry.data)
    given = {
        own: getattr(model, f"{own}_")
        for own in ("coef", "intercept", "weights", "sigma", "shape", "theta", "classes", "gate_coef", "gate_intercept")
        if hasattr(model, f"{own}_")
    }
    if hasattr(model, "degrees_of_freedom_"):
        given["degrees_of_freedom"] = 4.0
    options = {
        own: value for own, value in model.get_params().items() if own not in ("n_components", "degrees_of_freedom")
    }
    made = type(model).from_parameters(**given, feature_names=["a", "b"], **options)
    assert same_bits(made.score_samples(X, **entry.data), model.score_samples(X, **entry.data))
    assert same_bits(made.posterior(X, **entry.data), model.posterior(X, **entry.data))
    assert made.n_parameters == model.n_parameters
    assert (made.converged_, made.n_iter_, made.lower_bound_) == (False, 0, -np.inf)
    before = model.score_samples(X, **entry.data).sum()
    # rounded to float32 the parameters are not those that the fit went on from
    assert made.fit(X, **entry.data).score_samples(X, **entry.data).sum() > before - 1e-2 * abs(before)


# ---- statistics: laws of all estimators are in test_statistics.py ----------------------------------------------------


def test_rows_of_a_group_are_in_one_place():
    entry = REGRESSIONS["gamma, groups"]
    model = fitted(entry)
    with pytest.raises(ValueError, match="statistics do not know of groups, whose rows may be in other parts"):
        model.statistics(entry.X, **entry.data)
    with pytest.raises(ValueError, match="Partition 0: statistics do not know of groups"):
        entry.make().fit(InMemory([(entry.X, None, entry.data)]))
    with pytest.raises(ValueError, match="statistics do not know of groups"):
        entry.make().partial_fit(entry.X, **entry.data)


@every_regression
def test_true_is_no_number_and_one_component_is_a_regression(name):
    entry = REGRESSIONS[name]
    for parameter in ("n_components", "n_init", "n_threads", "max_iter"):
        with pytest.raises(ValueError, match=f"'{parameter}' parameter"):
            entry.make().set_params(**{parameter: True}).fit(entry.X, **entry.data)
    model = fitted(entry, n_components=1, tol=1e-10)
    assert_array_equal(model.weights_, [1.0])
    assert_array_equal(model.posterior(entry.X, **entry.data), np.ones((N_ROWS, 1)))
