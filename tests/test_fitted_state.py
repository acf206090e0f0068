"""What a fitted estimator keeps, in every family: a fit that fails leaves the last model, published arrays are
read-only, and what is assigned is what every method uses."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn.mixture
from batches import assert_same_fit, assert_same_results, assert_same_state, same_bits
from estimators_table import (
    CODES,
    COUNTS,
    ESTIMATORS,
    MIXED,
    PARTS,
    REALS,
    every_by_em,
    every_estimator,
    every_mixture,
    log_density,
)
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning

import mixfast.estimators._by_em
import mixfast.estimators.gsdmm
from mixfast import (
    BatchResult,
    BernoulliMixture,
    CategoricalMixture,
    DirichletMultinomialMixture,
    GaussianMixture,
    MultinomialMixture,
    ProductMixture,
    StudentTMixture,
    VonMisesFisherMixture,
    fit_many,
    fit_many_groups,
    load,
    select,
)
from mixfast.parts import Bernoulli, Categorical, Gaussian
from mixfast.read_only import frozen

# ---- a fit that fails -----------------------------------------------------------------------------------------------


def _interrupt(*args, **kwargs):
    raise KeyboardInterrupt


def _interrupted_at(monkeypatch, entry):
    """Ctrl-C when all has been computed and nothing is published yet, or in the first sweep."""
    if not entry.is_by_em and entry.takes_weights:
        monkeypatch.setattr(mixfast.estimators.dirichlet_process_mixture.Search, "run", _interrupt)
    elif entry.takes_weights:
        fit_rows = mixfast.estimators._by_em.fit_rows

        def stopped(*args):
            fit_rows(*args)
            raise KeyboardInterrupt

        monkeypatch.setattr(mixfast.estimators._by_em, "fit_rows", stopped)
    else:
        chains = mixfast.estimators.gsdmm.Chains
        monkeypatch.setattr(mixfast.estimators.gsdmm, "Chains", type("Interrupted", (chains,), {"sweep": _interrupt}))


def ways_to_fail(entry, monkeypatch):
    """name -> function of an estimator whose `fit` raises."""
    other = entry.X[::-1]
    two = {"n_components": 2} if "n_components" in entry.make().get_params() else {"init_components": 2}
    ways = {
        "one row": lambda model: model.set_params(**two).fit(other[:1] if entry.takes_weights else other[:0]),
        "one dimension": lambda model: model.fit(other[:, 0]),
        "a parameter": lambda model: model.set_params(n_components=0).fit(other),
    }
    for name, row in entry.refused_rows().items():
        ways[name] = lambda model, row=row: model.fit(np.concatenate([other, row]))
    if entry.takes_weights:
        learnt = other if entry.unseen is None else np.concatenate([other, entry.row_with(entry.unseen)])
        ones = np.ones(len(learnt))
        ways |= {
            "negative weights": lambda model: model.fit(learnt, sample_weight=-ones),
            "huge weights": lambda model: model.fit(learnt, sample_weight=1e40 * ones),
            "too many components": lambda model: model.set_params(**dict.fromkeys(two, len(learnt) + 1)).fit(learnt),
            "a start of another size": lambda model: model.set_params(init_params=[0, 1]).fit(learnt),
            "a warning that is an error": lambda model: model.set_params(max_iter=1, tol=0).fit(learnt),
        }

    def interrupted(model):
        with monkeypatch.context() as patch:
            _interrupted_at(patch, entry)
            model.fit(other)

    def at_the_end(model):
        with monkeypatch.context() as patch:
            last = "_learn_design" if hasattr(model, "n_components") else "_share_with_margins"
            patch.setattr(type(model), last, _interrupt)
            model.fit(other)

    return ways | {"an interrupt": interrupted, "an interrupt at the end": at_the_end}


def fail_at(fail, model):
    """A warning is an error, as many have it in their tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fail(model)


def fitted_attributes(model):
    return {name: value for name, value in vars(model).items() if name not in model.get_params(deep=False)}


@every_estimator
@pytest.mark.parametrize("warm_start", [False, True])
def test_a_fit_that_fails_leaves_the_last_model_or_none(warm_start, name, monkeypatch):
    entry = ESTIMATORS[name]
    if warm_start and not entry.is_by_em:
        assert "warm_start" not in entry.make().get_params()
        return
    options = {"warm_start": True} if warm_start else {}
    fitted = entry.make(**options).fit(entry.X)
    for way, fail in ways_to_fail(entry, monkeypatch).items():
        model, unfitted = copy.deepcopy(fitted), entry.make(**options)
        for one in (model, unfitted):
            with pytest.raises((ValueError, KeyboardInterrupt, ConvergenceWarning)):
                fail_at(fail, one)
        assert fitted_attributes(unfitted) == {}, way
        assert_same_state(fitted_attributes(model), fitted_attributes(fitted), way)
        model.set_params(**fitted.get_params(deep=False))
        assert same_bits(model.score_samples(entry.X), fitted.score_samples(entry.X)), way


# ---- warm starts ----------------------------------------------------------------------------------------------------


NEEDS_THE_SAME = "warm_start=True needs the columns, categories, n_components and structure of the last fit"


def assert_no_warm_start(model, fit, match=None):
    before = copy.deepcopy(fitted_attributes(model))
    with pytest.raises(ValueError, match=match or NEEDS_THE_SAME):
        fit(model)
    assert_same_state(fitted_attributes(model), before)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@every_by_em
def test_a_warm_start_needs_the_columns_of_the_last_fit(name):
    entry = ESTIMATORS[name]
    wider = np.concatenate([entry.X, entry.X[:, :1]], axis=1)
    if "Mises" in name:
        wider = wider / np.linalg.norm(wider, axis=1, keepdims=True)
    # categories and parts that are given do not fit other columns, whatever was fitted before
    match = {"categorical, given": "3 lists for the 4 columns", "product": "should hold numbers"}.get(name)
    model = entry.make(warm_start=True, max_iter=2, tol=0).fit(entry.X)
    assert_no_warm_start(model, lambda model: model.fit(wider), None if name == "product" else match)
    assert_no_warm_start(model, lambda model: model.set_params(n_components=3).fit(entry.X))

    names = [f"x{j}" for j in range(entry.X.shape[1])]
    table = pd.DataFrame(entry.X, columns=names)
    model = entry.make(warm_start=True, max_iter=2, tol=0).fit(table)
    bound = model.lower_bound_
    assert_no_warm_start(model, lambda model: model.fit(table.rename(columns={"x1": "other"})))
    assert_no_warm_start(model, lambda model: model.fit(table[names[::-1]]), match if name == "product" else None)
    model.fit(table)
    assert model.lower_bounds_[0] >= bound - 1e-12


@pytest.mark.parametrize("kind", ["categorical", "categorical of strings", "product"])
def test_a_warm_start_needs_the_categories_of_the_last_fit(kind):
    entry = ESTIMATORS[kind]
    other = entry.X.copy()
    other[0, -1] = 9.0 if kind == "categorical" else "amber"
    model = entry.make(warm_start=True).fit(entry.X)
    assert_no_warm_start(model, lambda model: model.fit(other))
    model.set_params(warm_start=False).fit(other)


@pytest.mark.parametrize(
    ("model", "X", "changes"),
    [
        # as many columns as components: the arrays have the same shapes
        (GaussianMixture(3, covariance_type="diag"), REALS, {"covariance_type": "tied"}),
        (GaussianMixture(2), REALS, {"covariance_type": "spherical"}),
        (StudentTMixture(2), REALS, {"degrees_of_freedom": "shared"}),
        (StudentTMixture(2, degrees_of_freedom=3), REALS, {"degrees_of_freedom": 4}),
        (VonMisesFisherMixture(2, normalize=True), REALS, {"concentration_type": "shared"}),
        (DirichletMultinomialMixture(2), COUNTS, {"concentration": "symmetric"}),
        (DirichletMultinomialMixture(2, concentration=1.0), COUNTS, {"concentration": 2.0}),
        (CategoricalMixture(2), CODES, {"categories": [[0, 1, 2], [2, 1, 0], [0, 1, 2]]}),
        (CategoricalMixture(2), CODES, {"categories": [[0, 1, 2, 3]] * 3}),
        (ProductMixture([(0, Gaussian()), (1, 2, Gaussian())], 2), REALS,
         {"parts": [(0, 1, Gaussian()), (2, Gaussian())]}),
        (ProductMixture(PARTS, 2), MIXED, {"parts": [(0, 1, Gaussian()), (2, Categorical()), (3, Categorical())]}),
        (ProductMixture(PARTS, 2), MIXED, {"parts": [(0, 1, Gaussian("tied")), *PARTS[1:]]}),
    ],
)  # fmt: skip
def test_a_warm_start_needs_the_structure_of_the_last_fit(model, X, changes):
    model = clone(model).set_params(warm_start=True, random_state=0).fit(X)
    assert_no_warm_start(model, lambda model: model.set_params(**changes).fit(X))


def test_a_loaded_model_knows_its_structure(tmp_path):
    fitted = GaussianMixture(3, covariance_type="diag", random_state=0, warm_start=True).fit(REALS)
    fitted.save(tmp_path / "model")
    for model in (load(tmp_path / "model"), pickle.loads(pickle.dumps(fitted)), copy.copy(fitted)):
        assert_no_warm_start(model, lambda model: model.set_params(covariance_type="tied").fit(REALS))


def test_hyper_parameters_of_parts_may_change_between_warm_starts():
    options = {"random_state": 0, "warm_start": True}
    model = ProductMixture([(0, 1, Gaussian()), (2, Bernoulli(alpha=1.0)), (3, Categorical())], 2, **options).fit(MIXED)
    parts = [(0, 1, Gaussian()), (2, Bernoulli(alpha=50.0)), (3, Categorical())]
    model.set_params(parts=parts, max_iter=500, tol=1e-8).fit(MIXED)
    probabilities = model.components_["2"].probabilities_
    assert np.all(np.abs(probabilities - 0.5) < 0.2)  # fifty ones and fifty zeros more in each component


# ---- arrays ---------------------------------------------------------------------------------------------------------


def arrays_of(value, name="model"):
    """(name, array) of all arrays that are fitted, of parts too."""
    if isinstance(value, BaseEstimator):
        public = {own for own in dir(type(value)) if own.endswith("_") and not own.startswith("_")}
        for own in sorted(public | fitted_attributes(value).keys()):
            yield from arrays_of(getattr(value, own), own)
    elif isinstance(value, dict):
        for key, own in value.items():
            yield from arrays_of(own, f"{name}[{key!r}]")
    elif isinstance(value, list):
        for i, own in enumerate(value):
            yield from arrays_of(own, f"{name}[{i}]")
    elif isinstance(value, np.ndarray):
        yield name, value


def assert_read_only(model):
    found = dict(arrays_of(model))
    assert "weights_" in found or "counts_" in found
    for name, array in found.items():
        assert not array.flags.writeable, name
        with pytest.raises(ValueError, match="read-only"):
            array[...] = array


@every_estimator
def test_published_arrays_are_read_only(name, tmp_path):
    entry = ESTIMATORS[name]
    model = entry.make().fit(pd.DataFrame(entry.X, columns=[f"x{j}" for j in range(entry.X.shape[1])]))
    assert_read_only(model)
    for same in (pickle.loads(pickle.dumps(model)), copy.copy(model), copy.deepcopy(model)):
        assert_read_only(same)
        assert_same_state(same, model)
    model.save(tmp_path / "model")
    assert_read_only(load(tmp_path / "model"))
    if entry.has_likelihood:
        assert_read_only(select(entry.X, entry.make(), n_components=[1, 2]).best_)
    if entry.takes_weights and entry.X.dtype != object:
        assert_read_only(fit_many([entry.X], entry.make())[0])


@pytest.mark.parametrize(
    "name", [name for name, own in ESTIMATORS.items() if own.takes_weights and own.X.dtype != object]
)
def test_a_batch_is_as_it_was_fitted(name, tmp_path):
    entry = ESTIMATORS[name]
    grid = {"n_components": [1, 2]} if entry.has_likelihood else {}
    result = fit_many([entry.X, entry.X[:40]], entry.make(), keep="all", **grid)
    result.save(tmp_path / "batch")
    copies = pickle.loads(pickle.dumps(result)), copy.copy(result), copy.deepcopy(result), load(tmp_path / "batch")
    for own in (result, *copies, *result.models, *copies[0].models):
        public = {attribute: getattr(own, attribute) for attribute in dir(own) if not attribute.startswith("_")}
        arrays = {attribute: value for attribute, value in public.items() if isinstance(value, np.ndarray)}
        assert {"weights", "status", "n_iter", "lower_bound", "chosen", "criteria", "seeds", "n_samples"} <= set(arrays)
        assert len(arrays) >= 11  # n_components, has_parameters and parameters as well
        for attribute, array in arrays.items():
            assert not array.flags.writeable, attribute
            with pytest.raises(AttributeError):
                setattr(own, attribute, array)
        own.names = ["first", "second"]


@pytest.mark.parametrize(
    "name", [name for name, own in ESTIMATORS.items() if own.takes_weights and own.X.dtype != object]
)
def test_a_problem_of_a_batch_has_all_that_a_fit_alone_has(name, tmp_path):
    """In every way to have it: one of some problems, of one of several models, and of a file."""
    entry = ESTIMATORS[name]
    grid = {"n_components": [1, 2]} if entry.has_likelihood and entry.is_by_em else {}
    options = {"random_state": 0} | ({"init_params": "kmeans"} if entry.is_by_em else {})
    result = fit_many([entry.X[:40], entry.X[:1], entry.X[::-1]], entry.make(**options), keep="all", **grid)
    result.save(tmp_path / "batch")
    saved, of_two = load(tmp_path / "batch"), result.models[-1]
    for place, X in ((0, entry.X[:40]), (2, entry.X[::-1])):
        alone = of_two.candidates[0].fit(X)
        copied = pickle.loads(pickle.dumps(of_two))
        for own in (of_two[place], of_two[[1, place]][1], saved.models[-1][place], copied[place]):
            assert_same_fit(own, alone)
            assert_same_state(own.sample(5, random_state=0), alone.sample(5, random_state=0))


@pytest.mark.parametrize(
    "name", [name for name, own in ESTIMATORS.items() if own.takes_weights and own.X.dtype != object]
)
def test_results_of_chunks_together_are_the_result_of_all(name, tmp_path):
    """Chunks of which one has no fit at all, and one rows of all values, so that categories are the same."""
    entry = ESTIMATORS[name]
    grid = {"n_components": [1, 2]} if entry.has_likelihood and entry.is_by_em else {}
    problems = [entry.X, entry.X[::-1], entry.X[:1], entry.X[1:], entry.X[:1]]
    options = {"random_state": 0, "keep": "all", **grid}
    whole = fit_many(problems, entry.make(), **options)
    chunks = [slice(0, 1), slice(1, 2), slice(2, 3), slice(3, 5)]
    if name.startswith("categorical") and name != "categorical, given":
        chunks = [slice(0, 1), slice(1, 3), slice(3, 5)]  # one row has not all categories
    found = [fit_many(problems[own], entry.make(), **options) for own in chunks]
    found[0].save(tmp_path / "chunk")
    together = BatchResult.concatenate([load(tmp_path / "chunk"), *found[1:]])
    together.save(tmp_path / "batch")
    for own in (together, load(tmp_path / "batch")):
        assert_same_results(own, whole)
        for one, other in zip(own.models, whole.models, strict=True):
            assert_same_results(one, other)
        assert_same_fit(own[3], whole[3])
        for one, other in zip(own.score_samples(problems), whole.score_samples(problems), strict=True):
            assert same_bits(one, other)
        for kind in ("problems", "components", "candidates"):
            pd.testing.assert_frame_equal(own.to_frame(kind), whole.to_frame(kind), check_exact=True)


def test_only_results_of_the_same_are_put_together():
    rows = REALS[:, :2]
    first = fit_many([rows], GaussianMixture(2, random_state=0))
    others = {
        "estimators": fit_many([rows], StudentTMixture(2, random_state=0)),
        "models": fit_many([rows], GaussianMixture(2, random_state=0, tol=0.1)),
        "numbers of columns": fit_many([rows[:, :1]], GaussianMixture(2, random_state=0)),
        "precisions": fit_many([rows.astype(np.float32)], GaussianMixture(2, random_state=0)),
        "kinds of fits": fit_many([rows], GaussianMixture(2, random_state=0, trim=0.1)),
        "values of keep": fit_many([rows], GaussianMixture(2, random_state=0), keep="all"),
        "names of columns": fit_many([pd.DataFrame(rows, columns=["a", "b"])], GaussianMixture(2, random_state=0)),
    }
    for what, other in others.items():
        with pytest.raises(ValueError, match=rf"results\[1\] has other {what} than results\[0\]"):
            BatchResult.concatenate([first, other])
    codes = [fit_many([X], CategoricalMixture(2, random_state=0)) for X in (CODES, CODES + 1)]
    with pytest.raises(ValueError, match="has other models"):
        BatchResult.concatenate(codes)
    with pytest.raises(TypeError, match=r"results\[1\] should be a BatchResult, got GaussianMixture"):
        BatchResult.concatenate([first, first[0]])
    with pytest.raises(ValueError, match="at least one"):
        BatchResult.concatenate([])
    other_seeds = fit_many([rows, rows], GaussianMixture(2, random_state=7, n_threads=1))
    assert BatchResult.concatenate([first, other_seeds]).seeds.tolist() == [0, 7, 7]


def test_groups_of_several_results_keep_their_names():
    table = pd.DataFrame(REALS, columns=["a", "b", "c"]).assign(who=np.repeat(list("xyz"), 20))
    model = GaussianMixture(2, random_state=0)
    whole = fit_many_groups(table, model, by="who")
    parts = [fit_many_groups(table[table["who"].isin(list(own))], model, by="who") for own in ("xz", "y")]
    together = BatchResult.concatenate(parts)
    assert together.names == ["x", "z", "y"]
    assert_same_state(together["y"], whole["y"])
    assert same_bits(together.predict_rows(table), whole.predict_rows(table))
    with pytest.raises(ValueError, match="the group 'x' is in several results"):
        BatchResult.concatenate([parts[0], parts[0]])


def test_a_file_of_a_batch_with_wrong_attributes_of_rows_is_refused(tmp_path):
    result = fit_many([COUNTS, COUNTS[:40]], MultinomialMixture(2, random_state=0))
    for wrong, said in (
        ({"totals_": np.array([-1.0]), "total_shares_": np.ones(1)}, "totals_"),
        ({"totals_": np.ones(2), "total_shares_": np.ones(1)}, "shapes"),
        ({"weights_": np.ones(2)}, "problem 1 has"),
        ([1, 2], "problem 1 has"),
    ):
        own = copy.deepcopy(result)
        of_rows = np.array(own._of_rows)
        of_rows[1] = wrong
        own._of_rows = of_rows
        own.save(tmp_path / "batch")
        with pytest.raises(ValueError, match=said):
            load(tmp_path / "batch")


@every_estimator
def test_an_array_that_is_assigned_stays_its_owners(name):
    model = ESTIMATORS[name].make().fit(ESTIMATORS[name].X)
    attribute = "weights_" if ESTIMATORS[name].takes_weights else "document_counts_"
    if attribute == "weights_" and not ESTIMATORS[name].has_likelihood:
        attribute = "weight_concentration_" if ESTIMATORS[name].is_by_em else "counts_"
    mine = np.array(getattr(model, attribute))
    setattr(model, attribute, mine)
    mine[0] = 0
    assert getattr(model, attribute)[0] > 0


def test_a_pickle_of_before_has_read_only_arrays_and_all_of_a_model():
    fitted = GaussianMixture(2, random_state=0).fit(REALS)
    old = GaussianMixture.__new__(GaussianMixture)
    state = {name: value for name, value in vars(fitted).items() if name != "_fitted_structure"}
    old.__setstate__({name: np.array(v) if isinstance(v, np.ndarray) else v for name, v in state.items()})
    assert_read_only(old)
    assert_same_state(old, fitted)


# ---- assignments ----------------------------------------------------------------------------------------------------

#: name of a parameter -> another value in its domain
OTHERS = {
    "weights_": lambda old: np.array([0.9, 0.1]),
    "weight_concentration_": lambda old: old * [9.0, 1.0],
    "mean_precision_": lambda old: old / 9,
    "means_": lambda old: old + 0.3,
    "covariances_": lambda old: 4 * old,
    "precisions_": lambda old: old / 9,
    "precisions_cholesky_": lambda old: 2 * old,
    "degrees_of_freedom_": lambda old: np.full_like(old, 2.5),
    "rates_": lambda old: 2 * old,
    "shapes_": lambda old: old / 2,
    "scales_": lambda old: 3 * old,
    "concentrations_": lambda old: old[:, ::-1] if old.ndim == 2 and np.ptp(old, axis=1).max() > 0 else 2 * old,
    "mean_directions_": lambda old: old[:, ::-1],
    "probabilities_": lambda old: [own[::-1] for own in old] if isinstance(old, list) else old[::-1],
    "a_": lambda old: 2 * old,
    "b_": lambda old: old / 2,
    "counts_": lambda old: old * [0.5, 3.0],
    "document_counts_": lambda old: np.sort(2 * old)[::-1],
    "word_counts_": lambda old: 2 * old,
}


def owners(model):
    """The estimators whose parameters the model's densities are made of."""
    return list(getattr(model, "components_", {"": model}).values())


@every_estimator
def test_every_method_uses_what_was_assigned(name, tmp_path):
    entry = ESTIMATORS[name]
    fitted = entry.make().fit(entry.X)
    tried = [(i, own) for i, owner in enumerate(owners(fitted)) for own in OTHERS if own in vars(owner)]
    tried += [(None, "weights_")] if "weights_" in vars(fitted) else []
    if not entry.has_likelihood and entry.takes_weights:  # weights are expectations then
        tried = [own for own in tried if own[1] != "weights_"]
    assert len(tried) >= 2
    for place, attribute in tried:
        model = copy.deepcopy(fitted)
        target = model if place is None else owners(model)[place]
        if place is not None and attribute == "weights_" and target is not model:
            continue  # a part's weights are those of the whole
        setattr(target, attribute, OTHERS[attribute](getattr(target, attribute)))
        wanted = log_density(entry, model, entry.X)
        assert np.max(np.abs(wanted - fitted.score_samples(entry.X))) > 1e-3, attribute
        assert_allclose(model.score_samples(entry.X), wanted, rtol=1e-9, err_msg=attribute)
        assert_allclose(model.score(entry.X), wanted.mean(), rtol=1e-9, err_msg=attribute)
        assert same_bits(model.predict(entry.X), np.argmax(model.predict_proba(entry.X), axis=1)), attribute
        if entry.has_likelihood or not entry.takes_weights:
            joint = entry.log_densities(model, entry.X) + np.log(model.weights_)
            resp = np.exp(joint - wanted[:, np.newaxis])
            assert_allclose(model.predict_proba(entry.X), resp, rtol=1e-6, atol=1e-12, err_msg=attribute)
        if entry.has_likelihood:
            assert_allclose(model.aic(entry.X) - fitted.aic(entry.X),
                            -2 * (wanted.sum() - fitted.score_samples(entry.X).sum()), rtol=1e-7)  # fmt: skip
        model.save(tmp_path / "model")
        for same in (load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
            assert same_bits(same.score_samples(entry.X), model.score_samples(entry.X)), attribute
            assert_same_state(same.sample(20, random_state=0), model.sample(20, random_state=0), attribute)
        assert_read_only(model)


def _with_first(value):
    """Values of which the first is another; of columns, those of the last."""

    def changed(old):
        arrays = [np.array(array) for array in (old if isinstance(old, list) else [old])]
        arrays[-1].flat[0] = value
        return arrays if isinstance(old, list) else arrays[0]

    return changed


#: name of a parameter -> values outside its domain
OUTSIDE = {
    "loadings_": [_with_first(np.nan)],
    "noise_variances_": [_with_first(0.0), _with_first(-1.0)],
    "weights_": [lambda old: 2 * old, lambda old: np.array([1.5, -0.5]), _with_first(np.nan)],
    "means_": [_with_first(np.inf)],
    "covariances_": [lambda old: -old, _with_first(-1.0), _with_first(np.nan)],
    "precisions_": [lambda old: -old, _with_first(0.0)],
    "precisions_cholesky_": [lambda old: -old, _with_first(0.0), _with_first(np.inf)],
    "degrees_of_freedom_": [_with_first(-1.0), _with_first(np.nan)],
    "weight_concentration_": [_with_first(-1.0), _with_first(np.nan)],
    "mean_precision_": [_with_first(0.0), _with_first(np.inf)],
    "mean_prior_": [_with_first(np.nan)],
    "covariance_prior_": [_with_first(-1.0), _with_first(np.inf)],
    "rates_": [_with_first(-1.0), _with_first(np.nan)],
    "shapes_": [_with_first(0.0), _with_first(-1.0)],
    "scales_": [_with_first(0.0), _with_first(np.inf)],
    "concentrations_": [_with_first(-1.0), _with_first(np.nan)],
    "mean_directions_": [lambda old: 2 * old],
    "probabilities_": [_with_first(2.0), _with_first(-0.5), _with_first(np.nan)],
    "a_": [_with_first(0.0), _with_first(np.nan)],
    "b_": [_with_first(-1.0), _with_first(np.inf)],
    "counts_": [lambda old: -old, _with_first(np.nan)],
    "document_counts_": [lambda old: -old],
    "word_counts_": [_with_first(-1)],
    "totals_": [_with_first(-1.0)],
    "total_shares_": [lambda old: 3 * old],
}


def _cases_outside(model):
    """(place of the owner, attribute, what makes a wrong value of it)"""
    for place, own in enumerate(owners(model)):
        taken = {"weights_"} if "weight_concentration_" in vars(own) else set()  # these cannot be assigned
        for attribute in (vars(own).keys() & OUTSIDE.keys()) - taken:
            yield from ((place, attribute, wrong) for wrong in OUTSIDE[attribute])


@every_estimator
def test_parameters_that_are_assigned_outside_their_domain_are_named(name, tmp_path):
    entry = ESTIMATORS[name]
    fitted = entry.make().fit(entry.X)
    seen = set()
    for place, attribute, wrong in _cases_outside(fitted):
        model = copy.deepcopy(fitted)
        own = model if attribute == "weights_" else owners(model)[place]
        old = getattr(own, attribute)
        setattr(own, attribute, wrong(old))
        uses = {
            "sample": lambda model=model: model.sample(3),
            "save": lambda model=model: model.save(tmp_path / "model"),
        }
        if not attribute.startswith("total"):  # densities are given these
            for method in ("predict", "predict_proba", "score_samples"):
                uses[method] = lambda model=model, method=method: getattr(model, method)(entry.X)
        for use in uses.values():
            for _again in range(2):
                with pytest.raises(ValueError, match=attribute):
                    use()
        assert not (tmp_path / "model").exists()
        setattr(own, attribute, old)
        assert_allclose(model.score_samples(entry.X), fitted.score_samples(entry.X), rtol=1e-9)
        seen.add(attribute)
    parameters = {f"{field}_" for own in owners(fitted) if entry.takes_weights for field in own._collect()._fields}
    of_prior = {"prior_log_determinant_"}  # follows the prior's covariance
    if not entry.is_by_em:
        of_prior |= {"mean_prior_", "covariance_prior_"}  # of prior_
    assert seen >= parameters - of_prior


def test_probabilities_that_are_put_in_the_list_of_all_columns_are_looked_at():
    model = CategoricalMixture(2, random_state=0).fit(CODES)
    own = np.array(model.probabilities_[1])
    wanted = model.score_samples(CODES)
    model.probabilities_[1] = own
    assert_allclose(model.score_samples(CODES), wanted)
    own[0, 0] = 2.0
    for use in (model.score_samples, model.predict, lambda X: model.sample(3)):
        with pytest.raises(ValueError, match=r"probabilities_\[1\]\[0\] is .*sum to 1"):
            use(CODES)


@every_estimator
def test_a_file_with_parameters_outside_their_domain_is_refused(name, tmp_path):
    entry = ESTIMATORS[name]
    fitted = entry.make().fit(entry.X)
    for place, attribute, wrong in _cases_outside(fitted):
        model = copy.deepcopy(fitted)
        for own in [model, *owners(model)] if attribute == "weights_" else [owners(model)[place]]:
            vars(own)[attribute] = frozen(wrong(getattr(own, attribute)))  # not as users assign it
        model.save(tmp_path / "model")
        with pytest.raises(ValueError, match=attribute):
            load(tmp_path / "model")


@pytest.mark.parametrize(
    "name", [name for name, entry in ESTIMATORS.items() if entry.is_by_em and entry.X.dtype != object]
)
def test_a_file_of_a_batch_with_parameters_outside_their_domain_is_refused(name, tmp_path):
    entry = ESTIMATORS[name]
    result = fit_many([entry.X, entry.X[:1]], entry.make())
    result.save(tmp_path / "batch")
    assert same_bits(load(tmp_path / "batch").weights, result.weights)
    model = result._bound_models[0]
    fields = model.layout.record._fields
    starts = {field: start for field, start in zip(fields, model.layout.offsets, strict=False)}
    cases = [("_mixing", 0, -1.0, "weights")]
    cases += [("_mixing", 0, 2.0, "weights")] if entry.has_likelihood else []
    cases += [("_params", starts[field], -3.0, field) for field in fields if model.family.domains.get(field)]
    assert len(cases) > 2
    for attribute, place, value, said in cases:
        wrong = copy.deepcopy(result)
        array = np.array(getattr(wrong, attribute))
        array[0, place] = value
        setattr(wrong, attribute, array)
        wrong.save(tmp_path / "batch")
        with pytest.raises(ValueError, match=said):
            load(tmp_path / "batch")


@pytest.mark.parametrize("mixture", [GaussianMixture, StudentTMixture])
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("attribute", ["covariances_", "precisions_", "precisions_cholesky_"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_scales_follow_whichever_was_assigned_last(dtype, attribute, covariance_type, mixture):
    model = mixture(2, covariance_type=covariance_type, random_state=0).fit(REALS.astype(dtype))
    old, rows = copy.deepcopy(model), REALS - REALS.mean(axis=0)
    for first in ("precisions_", "precisions_cholesky_", "covariances_"):  # an assignment before the last plays no role
        setattr(model, first, 7 * getattr(model, first))
    factor = {"covariances_": 100, "precisions_": 1 / 100, "precisions_cholesky_": 1 / 10}[attribute]
    setattr(model, attribute, dtype(factor) * getattr(old, attribute))
    rtol = 1e-9 if dtype == np.float64 else 1e-4
    for name, times in (("covariances_", 100), ("precisions_", 1 / 100), ("precisions_cholesky_", 1 / 10)):
        assert getattr(model, name).dtype == dtype
        wanted = times * getattr(old, name)
        assert_allclose(getattr(model, name), wanted, rtol=rtol, atol=rtol * np.abs(wanted).max(), err_msg=name)
    assert_allclose(model.covariance_matrices(), 100 * old.covariance_matrices(), rtol=rtol, atol=100 * rtol)
    # a tenfold picture: the same draws ten times as far from the means, densities lower by the volume
    drawn, labels = model.sample(400, random_state=0)
    before, same = old.sample(400, random_state=0)
    assert np.array_equal(labels, same)
    assert_allclose((drawn - model.means_[labels]), 10 * (before - old.means_[labels]), rtol=1e-3, atol=1e-3)
    alone = mixture(1, covariance_type=covariance_type, random_state=0).fit(rows)
    wide = copy.deepcopy(alone)
    wide.means_ = np.zeros((1, 3))
    narrow = copy.deepcopy(wide)
    setattr(wide, attribute, factor * getattr(wide, attribute))
    assert_allclose(wide.score_samples(10 * rows), narrow.score_samples(rows) - 3 * np.log(10), rtol=1e-9)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_scikit_learns_recipe_for_a_model_put_together_by_hand(covariance_type):
    """Covariances and then factors are assigned, as for scikit-learn; or only the ones, or only the others."""
    theirs = sklearn.mixture.GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(REALS)
    for names in (
        ("weights_", "means_", "covariances_", "precisions_cholesky_"),
        ("precisions_cholesky_", "covariances_", "means_", "weights_"),
        ("weights_", "means_", "covariances_"),
        ("weights_", "means_", "precisions_cholesky_"),
        ("weights_", "means_", "precisions_"),
    ):
        model = GaussianMixture(2, covariance_type=covariance_type)
        for name in names:
            setattr(model, name, getattr(theirs, name))
        assert_allclose(model.score_samples(REALS), theirs.score_samples(REALS), rtol=1e-10)
        for name in ("covariances_", "precisions_", "precisions_cholesky_"):
            wanted = getattr(theirs, name)
            assert_allclose(getattr(model, name), wanted, rtol=1e-9, atol=1e-12 * np.abs(wanted).max())
        assert model.sample(10, random_state=0)[0].shape == (10, 3)


@pytest.mark.parametrize(
    ("covariance_type", "attribute", "value", "match"),
    [
        ("full", "covariances_", -np.tile(np.eye(3), (2, 1, 1)), "covariances_ should be symmetric, positive-definite"),
        ("full", "covariances_", np.tile(np.eye(3) + np.eye(3, k=1), (2, 1, 1)), "covariances_ should be symmetric"),
        ("tied", "precisions_", np.zeros((3, 3)), "precisions_ should be symmetric, positive-definite"),
        ("diag", "covariances_", np.zeros((2, 3)), "covariances_ should be positive.*covariance_type='diag'"),
        ("spherical", "precisions_", np.array([1.0, -1.0]), "precisions_ should be positive"),
        ("full", "covariances_", np.tile(np.eye(4), (2, 1, 1)), r"should have the shape of \(2, 3, 3\)"),
    ],
)
def test_scales_that_are_none_are_named(covariance_type, attribute, value, match):
    model = GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(REALS)
    setattr(model, attribute, value)
    with pytest.raises(ValueError, match=match):
        model.score(REALS)


def test_a_model_without_scales_says_what_is_missing():
    for name in ("covariances_", "precisions_", "precisions_cholesky_"):
        with pytest.raises(AttributeError, match=f"'GaussianMixture' object has no attribute '{name}'"):
            getattr(GaussianMixture(), name)


def test_the_margins_of_a_product_have_its_weights():
    model = ProductMixture(PARTS, 2, random_state=0).fit(MIXED)
    model.weights_ = np.array([0.75, 0.25])
    for own in model.components_.values():
        assert own.weights_.tolist() == [0.75, 0.25]


# ---- what is not finite ---------------------------------------------------------------------------------------------


@every_estimator
@pytest.mark.parametrize("kind", ["NaN", "infinity"])
def test_what_is_not_finite_is_named_behind_assume_finite_too(kind, name):
    entry = ESTIMATORS[name]
    if kind not in entry.refused_rows():
        assert entry.takes_missing
        return
    X = np.concatenate([entry.X, entry.refused_rows()[kind]])
    said = {"NaN": "NaN|nan", "infinity": "infinity|inf"}[kind]
    if name == "categorical of strings":
        said = "should hold either strings or numbers, got float, str"
    starts = ["kmeans", "k-means++", "random", "random_from_data"] if entry.takes_weights else [None]
    for assume_finite in (False, True):
        for init_params in starts:
            model = entry.make(**({} if init_params is None else {"init_params": init_params}))
            with sklearn.config_context(assume_finite=assume_finite), pytest.raises(ValueError, match=said) as raised:
                model.fit(X)
            assert "family of your own" not in str(raised.value)
            assert fitted_attributes(model) == {}


@every_mixture
@pytest.mark.parametrize("assume_finite", [False, True])
@pytest.mark.parametrize("wrong", [[np.nan], [np.inf], [np.nan, -5.0]])
def test_weights_are_checked_behind_assume_finite_too(name, wrong, assume_finite):
    entry = ESTIMATORS[name]
    if not entry.takes_weights:
        return
    weights = np.ones(len(entry.X))
    weights[: len(wrong)] = wrong
    with sklearn.config_context(assume_finite=assume_finite), pytest.raises(ValueError, match="sample_weight"):
        entry.make().fit(entry.X, sample_weight=weights)


def test_infinity_is_no_bit_behind_assume_finite_too():
    X = np.random.default_rng(0).normal(size=(50, 3))
    X[4, 1] = np.inf
    with sklearn.config_context(assume_finite=True), pytest.raises(ValueError, match="infinity: column 1, row 4"):
        BernoulliMixture(2, binarize=0.5).fit(X)


# ---- sampling from what is no number ---------------------------------------------------------------------------------


@every_mixture
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_no_row_is_drawn_from_parameters_that_are_no_numbers(name, value):
    entry = ESTIMATORS[name]
    model = entry.make(n_components=2, random_state=0).fit(entry.X)
    model.sample(3)
    for place, part in enumerate(owners(model)):
        for field in ["weights" if entry.has_likelihood else "weight_concentration", *part._collect()._fields]:
            own = (
                owners(model)[place] if not field.startswith("weight") else model
            )  # weights that are assigned make new margins
            values = getattr(own, f"{field}_", None)
            if values is None:
                continue
            several = isinstance(values, list)
            wrong = [np.full_like(array, value) for array in values] if several else np.full_like(values, value)
            setattr(own, f"{field}_", wrong)
            with np.errstate(all="ignore"), pytest.raises(ValueError, match=r"finite|positive|above 0"):
                model.sample(3)
            setattr(own, f"{field}_", values)
        model.sample(3)
