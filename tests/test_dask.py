"""Dask's arrays and dataframes: fits with the bits of any other source, whatever becomes of the workers."""

import copy
import os
import signal
from inspect import signature
from itertools import pairwise

import numpy as np
import pytest
from batches import assert_same_state
from estimators_table import ESTIMATORS, REALS, REGRESSIONS, Rows
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from mixfast import (
    BayesianGaussianMixture,
    GaussianMixture,
    MixtureClassifier,
    MixtureOfExperts,
    PoissonMixture,
    fit_many_groups,
    partitions,
)

dask = pytest.importorskip("dask")
array, dataframe = pytest.importorskip("dask.array"), pytest.importorskip("dask.dataframe")
distributed = pytest.importorskip("distributed")
pandas = pytest.importorskip("pandas")

import mixfast.dask  # noqa: E402 - after it is known that there is Dask

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4000, 3)) + 4 * RNG.integers(0, 3, size=(4000, 1))
CUTS = (1000, 1, 1499, 1500)
ENDS = np.cumsum((0, *CUTS))
HERE = partitions.InMemory([X[first:last] for first, last in pairwise(ENDS)])
ESTIMATOR = GaussianMixture(3, random_state=0, tol=0, max_iter=8)
BAYESIAN = BayesianGaussianMixture(6, random_state=0, tol=0, max_iter=8, prune=True)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def chunked(rows=X):
    return array.from_array(rows, chunks=(CUTS, (2, rows.shape[1] - 2)) if rows.ndim == 2 else (CUTS,))


@pytest.fixture(scope="module")
def client():
    options = {"dashboard_address": None, "processes": True, "threads_per_worker": 1}
    with distributed.LocalCluster(n_workers=2, **options) as cluster, distributed.Client(cluster) as client:
        yield client


def test_a_warm_start_goes_on_from_the_model():
    model = copy.deepcopy(ESTIMATOR).set_params(warm_start=True, max_iter=2).fit(X[:1000])
    before = model.means_
    there = mixfast.dask.fit(model, chunked())
    assert_same_state(there, partitions.fit(model, HERE))
    np.testing.assert_allclose(there.lower_bounds_[0], model.score(X), rtol=1e-11)
    assert there.n_threads is None
    assert model.means_ is before


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
@pytest.mark.parametrize("estimator", [ESTIMATOR, BAYESIAN], ids=["likelihood", "Bayesian"])
def test_schedulers_have_the_same_bits(scheduler, estimator):
    with dask.config.set(scheduler=scheduler):
        model = mixfast.dask.fit(estimator, chunked())
    assert_same_state(model, partitions.fit(estimator, HERE))


def test_checkpoints_go_on_elsewhere(client, tmp_path):
    half = GaussianMixture(**{**ESTIMATOR.get_params(), "max_iter": 4})
    mixfast.dask.fit(half, chunked(), checkpoint=tmp_path / "fit", every=2)
    there = mixfast.dask.fit(ESTIMATOR, chunked(), client=client, resume=tmp_path / "fit")
    here = partitions.fit(ESTIMATOR, HERE, resume=tmp_path / "fit")
    np.testing.assert_array_equal(there.means_, here.means_)
    assert there.n_iter_ == 8


def test_processes_have_the_same_bits(client):
    assert_same_state(mixfast.dask.fit(ESTIMATOR, chunked(), client=client), partitions.fit(ESTIMATOR, HERE))


def test_starts_that_look_at_all_rows_have_the_same_bits(client):
    estimator = GaussianMixture(**{**ESTIMATOR.get_params(), "init_params": "k-means||"})
    assert_same_state(mixfast.dask.fit(estimator, chunked(), client=client), partitions.fit(estimator, HERE))


def test_a_worker_that_is_killed_costs_no_bit(client):
    killed = []

    class Kills(mixfast.dask.DaskSource):
        calls = 0

        def map_reduce(self, task, state, merge):
            self.calls += 1
            if self.calls == 5:
                killed.append(next(iter(client.run(os.getpid).values())))
                os.kill(killed[0], signal.SIGKILL)
            return super().map_reduce(task, state, merge)

    model = partitions.fit(ESTIMATOR, Kills(chunked(), client=client))
    assert killed
    assert_same_state(model, partitions.fit(ESTIMATOR, HERE))


def test_weights_come_in_the_same_partitions():
    weight = RNG.integers(0, 3, size=4000).astype(float)
    model = mixfast.dask.fit(ESTIMATOR, chunked(), sample_weight=array.from_array(weight, chunks=700))
    parts = [(X[first:last], weight[first:last]) for first, last in pairwise(ENDS)]
    assert_same_state(model, partitions.fit(ESTIMATOR, partitions.InMemory(parts)))


def test_responses_come_in_the_same_partitions():
    exposure, gate_X = RNG.uniform(1, 2, size=4000), RNG.normal(size=(4000, 2))
    y = RNG.poisson(exposure * np.exp(np.where(gate_X[:, 0] > 0, 0.2 * X[:, 0], 1 - 0.2 * X[:, 0])))
    estimator = MixtureOfExperts(2, expert="poisson", gate="gate_X", random_state=0, tol=0, max_iter=4)
    beside = {"exposure": array.from_array(exposure, chunks=700), "gate_X": array.from_array(gate_X, chunks=(700, 1))}
    model = mixfast.dask.fit(estimator, chunked(), array.from_array(y, chunks=900), **beside)
    data = {"y": y, "exposure": exposure, "gate_X": gate_X}
    cuts = list(pairwise(ENDS))
    parts = [(X[i:j], None, {name: own[i:j] for name, own in data.items()}) for i, j in cuts]
    assert_same_state(model, partitions.fit(estimator, partitions.InMemory(parts)))
    table = pandas.DataFrame({"a": X[:, 0], "b": X[:, 1], "y": y, "days": exposure, "z": gate_X[:, 0]})
    frame = dataframe.from_pandas(table, npartitions=3)
    model = mixfast.dask.fit(estimator, frame[["a", "b"]], frame["y"], exposure=frame["days"], gate_X=frame[["z"]])
    assert model.feature_names_in_.tolist() == ["a", "b"]
    assert model.gate_feature_names_in_.tolist() == ["z"]
    expected = {"y": y, "exposure": exposure, "gate_X": gate_X[:, :1]}
    lazy = {"y": frame["y"], "exposure": frame["days"], "gate_X": frame[["z"]]}
    whole = {name: array.from_array(own, chunks=700) for name, own in expected.items()}
    for method, names in (
        ("predict", ("exposure", "gate_X")),
        ("predict_proba", ("gate_X",)),
        ("score_samples", tuple(expected)),
    ):
        wanted = getattr(model, method)(table[["a", "b"]], **{name: expected[name] for name in names})
        of_frame = getattr(mixfast.dask, method)(model, frame[["a", "b"]], **{name: lazy[name] for name in names})
        assert np.array_equal(of_frame.compute(), wanted)
        nameless = copy.copy(model)  # as arrays are
        del nameless.feature_names_in_, nameless.gate_feature_names_in_
        rows = array.from_array(X[:, :2], chunks=(900, 1))
        of_array = getattr(mixfast.dask, method)(nameless, rows, **{name: whole[name] for name in names})
        assert of_array.dtype == of_array.compute().dtype == np.float64
        assert np.array_equal(of_array.compute(), wanted)
    with pytest.raises(TypeError, match="needs y beside X"):
        mixfast.dask.fit(estimator, chunked())
    with pytest.raises(TypeError, match="unexpected keyword argument 'y': what rows of a GaussianMixture may have"):
        mixfast.dask.fit(ESTIMATOR, chunked(), array.ones(4000, chunks=900))
    with pytest.raises(TypeError, match="y should be a Dask array, series or dataframe, got ndarray"):
        mixfast.dask.fit(estimator, chunked(), y)


def test_dataframes_keep_names_and_index():
    table = pandas.DataFrame(X, columns=["a", "b", "c"], index=np.arange(4000) + 100)
    frame = dataframe.from_pandas(table, npartitions=3)
    model = mixfast.dask.fit(ESTIMATOR, frame)
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    labels = mixfast.dask.predict(model, frame)
    found = labels.compute()
    assert found.index.equals(table.index)
    assert np.array_equal(found, model.predict(table))
    assert np.array_equal(mixfast.dask.predict_proba(model, frame).compute(), model.predict_proba(table))
    assert np.array_equal(mixfast.dask.score_samples(model, frame[frame.a > 1e9]).compute(), [])


def test_predictions_of_arrays_are_lazy_and_in_chunks():
    model = ESTIMATOR.fit(X)
    rows = chunked()
    for method, shape in (("predict", (4000,)), ("score_samples", (4000,)), ("predict_proba", (4000, 3))):
        found = getattr(mixfast.dask, method)(model, rows)
        assert found.shape == shape
        assert found.chunks[0] == CUTS
        wanted = getattr(model, method)(X)
        computed = found.compute()
        assert computed.dtype == found.dtype == wanted.dtype
        assert np.array_equal(computed, wanted)


@pytest.mark.parametrize("form", ["array", "frame"])
def test_predictions_are_one_layer_of_a_task_for_each_part(form):
    """Layers for each part took a minute to optimize for 10,000."""
    model = PoissonMixture(2, random_state=0, max_iter=2).fit(np.abs(X).round(), exposure=np.ones(4000))
    rows = array.from_array(np.abs(X).round(), chunks=(100, 3))
    if form == "frame":
        rows = dataframe.from_pandas(pandas.DataFrame(np.abs(X).round()), npartitions=40)
    for beside in ({"exposure": 1.0}, {"exposure": array.ones(4000, chunks=100)}):
        graph = mixfast.dask.predict_proba(model, rows, **beside).__dask_graph__()
        n_parts = 40 * (1 + sum(map(dask.is_dask_collection, beside.values())))
        assert len(dict(graph)) <= 2 * 40 + n_parts + 2  # a frame has a name more for each part
        if form == "array":
            assert len(graph.layers) <= 2 + len(beside)


@pytest.mark.parametrize("form", ["array", "frame"])
def test_pipelines_that_end_in_a_mixture_predict(form):
    pipeline = make_pipeline(StandardScaler(), GaussianMixture(3, random_state=0))
    of_counts = make_pipeline(FunctionTransformer(np.round), PoissonMixture(2, random_state=0, max_iter=3))
    exposure = RNG.uniform(1, 2, size=4000)
    of_counts.fit(np.abs(X), poissonmixture__exposure=exposure)
    pipeline.fit(X)
    for model, own, beside in ((pipeline, X, {}), (of_counts, np.abs(X), {"exposure": exposure})):
        rows = array.from_array(own, chunks=(1000, 2))
        if form == "frame":
            rows = dataframe.from_pandas(pandas.DataFrame(own), npartitions=4)
        told = {name: array.from_array(values, chunks=1000) for name, values in beside.items()}
        for method in ("predict", "predict_proba"):
            found = getattr(mixfast.dask, method)(model, rows, **told)
            wanted = getattr(model, method)(own, **beside)
            np.testing.assert_array_equal(found.compute(), wanted)
            assert form == "frame" or (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    scores = mixfast.dask.score_samples(pipeline, array.from_array(X.astype(np.float32), chunks=(1000, 3)))
    assert scores.dtype == scores.compute().dtype == np.float64
    with pytest.raises(TypeError, match=r"score_samples\(\) of a Pipeline: got an unexpected keyword argument 'expos"):
        mixfast.dask.score_samples(of_counts, chunked(), exposure=2.0)
    for fit, source in ((mixfast.dask.fit, chunked()), (partitions.fit, HERE)):
        with pytest.raises(TypeError, match="a Pipeline is not fitted to rows elsewhere: fit its last step to what"):
            fit(pipeline, source)


def models():
    """name -> (fitted model, rows) of all that predict."""
    for name, entry in {**ESTIMATORS, **REGRESSIONS}.items():
        for dtype in entry.dtypes:
            yield f"{name}, {np.dtype(dtype)}", entry, dtype
    yield "classifier", None, np.dtype(np.float64)


def taken(method, data):
    """What the method takes of what rows have."""
    parameters = signature(method).parameters
    return data if "row_data" in parameters else {name: own for name, own in data.items() if name in parameters}


@pytest.mark.parametrize(("entry", "dtype"), [own[1:] for own in models()], ids=[own[0] for own in models()])
def test_every_model_predicts_part_by_part(entry, dtype):
    if entry is None:
        rows, model = Rows(REALS, {}), MixtureClassifier().fit(REALS, np.where(REALS[:, 0] > 2, "far", "near"))
    else:
        rows = entry.rows(dtype)  # rows of a group may be in several parts
        rows = Rows(rows.X, {name: own for name, own in rows.data.items() if name != "groups"})
        model = rows.to(entry.make(random_state=0).fit)
    with dask.config.set({"dataframe.convert-string": False}):  # to pyarrow's, which not all have a place for
        frame = dataframe.from_pandas(pandas.DataFrame(rows.X), npartitions=2)
    for method in ("predict", "predict_proba", "score_samples"):
        own = getattr(model, method)
        data = taken(own, rows.data)
        wanted = own(rows.X, **data)
        beside = {name: array.from_array(values, chunks=7) for name, values in data.items()}
        found = getattr(mixfast.dask, method)(model, array.from_array(rows.X, chunks=(25, 2)), **beside)
        computed = found.compute(scheduler="synchronous")
        assert (found.dtype, found.shape) == (computed.dtype, computed.shape) == (wanted.dtype, wanted.shape)
        np.testing.assert_array_equal(computed, wanted)
        beside = {name: array.from_array(values, chunks=(30, -1)[: values.ndim]) for name, values in data.items()}
        of_frame = getattr(mixfast.dask, method)(model, frame, **beside)
        np.testing.assert_array_equal(of_frame.compute(scheduler="synchronous"), wanted)


@pytest.mark.filterwarnings("ignore:This model was fitted with exposures")  # None is none
def test_what_rows_have_may_be_in_any_collection_and_is_checked_first():
    """As fits take it."""
    exposure = RNG.uniform(1, 2, size=4000)
    counts = RNG.poisson(exposure[:, np.newaxis] * np.where(X > 2, 5, 1)).astype(float)
    model = PoissonMixture(2, random_state=0, max_iter=3, tol=0).fit(counts, exposure=exposure)
    rows = chunked(counts)
    frame = dataframe.from_pandas(pandas.DataFrame(counts, columns=list("abc")), npartitions=4)
    named = copy.copy(model)
    named.feature_names_in_ = np.array(list("abc"), dtype=object)
    days = pandas.Series(exposure)
    wanted = model.predict_proba(counts, exposure=exposure)
    in_chunks = [array.from_array(exposure, chunks=(1000,)), dataframe.from_pandas(days, npartitions=4)]
    for own in in_chunks:
        assert np.array_equal(mixfast.dask.predict_proba(named, frame, exposure=own).compute(), wanted)
        mixfast.dask.fit(model, frame, exposure=own)
    assert np.array_equal(mixfast.dask.predict_proba(model, rows, exposure=in_chunks[0]).compute(), wanted)
    unknown = rows[rows[:, 0] > -1]
    cut = array.from_array(exposure, chunks=(CUTS,))
    found = mixfast.dask.predict_proba(model, unknown, exposure=cut)
    assert np.isnan(found.shape[0])
    assert np.array_equal(found.compute(), wanted)
    for who, own in ((model, rows), (named, frame)):
        for number in (2.0, None):
            told = mixfast.dask.predict_proba(who, own, exposure=number)
            assert np.array_equal(told.compute(), model.predict_proba(counts, exposure=number))
    of_number = partitions.fit(
        model, partitions.InMemory([(counts[i:j], None, {"exposure": 2.0}) for i, j in pairwise(ENDS)])
    )
    assert_same_state(mixfast.dask.fit(model, rows, exposure=2.0), of_number)
    refused = [
        (TypeError, "exposure should be a Dask array, series or dataframe, got ndarray", exposure),
        (ValueError, "exposure has 3999 rows and X has 4000", array.from_array(exposure[1:], chunks=900)),
        (ValueError, "exposure has 7 partitions and X has 4", dataframe.from_pandas(days, npartitions=7)),
    ]
    for error, match, own in refused:
        for ask in (mixfast.dask.predict, mixfast.dask.score_samples, mixfast.dask.predict_proba, mixfast.dask.fit):
            with pytest.raises(error, match=match):
                ask(model, rows, exposure=own)


def test_what_cannot_predict_says_so_first():
    with pytest.raises(TypeError, match="or a Pipeline of scikit-learn that ends in one, got str: give its method"):
        mixfast.dask.predict("model", chunked())
    with pytest.raises(TypeError, match="that ends in one, got PCA: give its method to map_blocks"):
        mixfast.dask.predict(make_pipeline(StandardScaler(), PCA()).fit(X), chunked())
    for unfitted in (GaussianMixture(2), make_pipeline(StandardScaler(), GaussianMixture(2))):
        with pytest.raises(NotFittedError):
            mixfast.dask.predict_proba(unfitted, chunked())
    model = ESTIMATOR.fit(X)
    with pytest.raises(TypeError, match="X should be a Dask array or dataframe, got ndarray"):
        mixfast.dask.predict(model, X)
    entry = REGRESSIONS["gaussian"]
    regression = entry.rows().to(entry.make(max_iter=1).fit)
    with pytest.raises(TypeError, match=r"score_samples\(\) of a MixtureOfExperts: missing a required argument: 'y'"):
        mixfast.dask.score_samples(regression, array.from_array(entry.X, chunks=30))
    with pytest.raises(TypeError, match=r"predict\(\) of a MixtureOfExperts: got an unexpected keyword argument 'y'"):
        mixfast.dask.predict(regression, array.from_array(entry.X, chunks=30), y=array.ones(60, chunks=30))


def test_unknown_chunks():
    rows = chunked()
    unknown = rows[rows[:, 0] > -1e9]
    assert np.isnan(unknown.shape[0])
    assert_same_state(mixfast.dask.fit(ESTIMATOR, unknown), partitions.fit(ESTIMATOR, HERE))


def test_what_is_wrong_is_said_of_its_partition():
    bad = X.copy()
    bad[1000, 1] = np.inf
    with pytest.raises(ValueError, match=r"Partition 1: .*infinity"):
        mixfast.dask.fit(ESTIMATOR, chunked(bad))
    with pytest.raises(TypeError, match="Dask array or dataframe, got ndarray"):
        mixfast.dask.fit(ESTIMATOR, X)
    frame = dataframe.from_pandas(pandas.DataFrame(X), npartitions=2)
    with pytest.raises(ValueError, match="sample_weight has 1 partitions and X has 2"):
        mixfast.dask.fit(ESTIMATOR, frame, sample_weight=array.ones(4000))


def test_groups_are_fitted_by_whole_partitions():
    table = pandas.DataFrame({"who": RNG.integers(0, 30, size=3000), "x": X[:3000, 0], "y": X[:3000, 1]})
    frame = dataframe.from_pandas(table, npartitions=4)
    estimator = GaussianMixture(2, random_state=0)
    found = mixfast.dask.fit_many_groups(frame, estimator, by="who", columns=["x", "y"]).compute()
    here = fit_many_groups(table.sort_values("who", kind="stable"), estimator, by="who", columns=["x", "y"])
    wanted = here.to_frame("components")
    assert set(found["problem"]) == set(range(30))
    assert list(found.columns) == list(wanted.columns)
    assert len(found) == len(wanted)


@pytest.mark.parametrize("kind", ["components", "problems"])
def test_groups_of_several_keys_and_mixtures_of_experts(kind):
    keys = {"who": RNG.integers(0, 5, size=1000), "when": RNG.choice(["day", "night"], size=1000)}
    table = pandas.DataFrame(keys | {"x": X[:1000, 0], "z": X[:1000, 1]})
    table["price"] = np.where(X[:1000, 2] > 4, table["x"], -table["x"]) + RNG.normal(size=1000)
    experts = MixtureOfExperts(2, gate="gate_X", random_state=0, n_init=1)
    for model, options in (
        (GaussianMixture(2, random_state=0), {"columns": ["x", "z"]}),
        (experts, {"columns": ["x"], "y": "price", "gate_X": ["z"]}),
    ):
        for by in (["who", "when"], ["who"], "who"):
            frame = dataframe.from_pandas(table, npartitions=3)
            found = mixfast.dask.fit_many_groups(frame, model, by=by, kind=kind, **options).compute()
            beside = [name for name in ("price", "z") if name in options.values() or [name] in options.values()]
            rows = table.sort_values([*([by] if isinstance(by, str) else by), *options["columns"], *beside])
            here = fit_many_groups(rows, model, by=by, **options).to_frame(kind)
            names = [name for name in here if name.startswith(("problem", "component", "column"))]
            found, here = (own.sort_values(names).reset_index(drop=True) for own in (found, here))
            pandas.testing.assert_frame_equal(found, here, check_exact=True, check_dtype=False)
