"""Spark's DataFrames: fits with the bits of any other source of the same partitions, whatever becomes of the workers.

`make test-spark` installs pyspark and runs this; the suite does not come here by itself (norecursedirs)."""

import copy
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas
import pyarrow
import pytest
from batches import assert_near, assert_same_state
from estimators_table import ESTIMATORS
from pyspark.errors import PythonException
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import SparkSession
from sklearn.base import clone

import mixfast.spark
from mixfast import (
    GSDMM,
    GaussianMixture,
    MixtureOfExperts,
    PoissonMixture,
    StudentTMixture,
    fit_many_groups,
    partitions,
    tasks,
)
from mixfast.spark import SparkMixture, SparkMixtureModel, SparkSource, whole_groups
from mixfast.spark_rows import InCache, InFiles

os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4000, 3)) + 4 * RNG.integers(0, 3, size=(4000, 1))
WEIGHT = RNG.integers(0, 3, size=4000).astype(float)
CUTS = (0, 1000, 1001, 1001, 2500, 4000)  # many, a row, none
NAMES = ["a", "b", "c"]
ESTIMATOR = GaussianMixture(3, random_state=0, tol=0, max_iter=8)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def session(n_cores):
    """Tasks may fail three times: a worker that is lost is one."""
    options = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "4",
        "spark.driver.memory": "1g",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
    }
    return SparkSession.builder.master(f"local[{n_cores},4]").config(map=options).getOrCreate()


@pytest.fixture(scope="module")
def spark():
    spark = session(2)
    spark.sparkContext.setLogLevel("OFF")  # Spark tells of each task that fails; here some have to
    yield spark
    SparkSession.getActiveSession().stop()


def cut(values, cuts=CUTS):
    return [values[first:last] for first, last in pairwise(cuts)]


def table_of(rows, **more):
    return pyarrow.table(dict(zip(NAMES, rows.T, strict=True)) | more)


def frame_in(spark, tables):
    """A DataFrame whose partitions are these tables, in their order, empty ones too."""
    schema = spark.createDataFrame(tables[0]).schema
    places = spark.sparkContext.parallelize(range(len(tables)), len(tables))
    tables = [table.to_pylist() for table in tables]
    return spark.createDataFrame(places.flatMap(lambda place: [tuple(row.values()) for row in tables[place]]), schema)


HERE = partitions.InMemory([table_of(rows) for rows in cut(X)])


def wanted(source=HERE, estimator=ESTIMATOR):
    return partitions.fit(estimator, source)


# ---- fits -----------------------------------------------------------------------------------------------------------


def test_cores_have_the_same_bits(spark):
    frame = frame_in(spark, [table_of(rows) for rows in cut(X)])
    model = mixfast.spark.fit(ESTIMATOR, frame, NAMES)
    assert_same_state(model, wanted())
    assert model.feature_names_in_.tolist() == NAMES
    assert not frame.is_cached


def test_a_warm_start_goes_on_from_the_model(spark):
    frame = frame_in(spark, [table_of(rows) for rows in cut(X)])
    begun = (
        copy.deepcopy(ESTIMATOR).set_params(warm_start=True, max_iter=2).fit(pandas.DataFrame(X[:900], columns=NAMES))
    )
    model = mixfast.spark.fit(begun, frame, NAMES)
    assert_same_state(model, wanted(estimator=begun))
    score = begun.score(pandas.DataFrame(X, columns=NAMES))
    np.testing.assert_allclose(model.lower_bounds_[0], score, rtol=1e-11)


def test_responses_are_columns(spark):
    exposure, gate = RNG.uniform(1, 2, size=4000), RNG.normal(size=4000)
    y = RNG.poisson(exposure * np.exp(np.where(gate > 0, 0.2 * X[:, 0], 1 - 0.2 * X[:, 0])))
    estimator = MixtureOfExperts(2, expert="poisson", gate="gate_X", random_state=0, tol=0, max_iter=4)
    frame = frame_in(spark, [table_of(X[i:j], y=y[i:j], days=exposure[i:j], z=gate[i:j]) for i, j in pairwise(CUTS)])
    model = mixfast.spark.fit(estimator, frame, NAMES, y="y", exposure="days", gate_X=["z"])
    parts = [
        (table_of(X[i:j]), None, {"y": y[i:j], "exposure": exposure[i:j], "gate_X": pyarrow.table({"z": gate[i:j]})})
        for i, j in pairwise(CUTS)
    ]
    assert_same_state(model, wanted(partitions.InMemory(parts), estimator))
    assert model.gate_feature_names_in_.tolist() == ["z"]
    with pytest.raises(TypeError, match="needs y beside X"):
        mixfast.spark.fit(estimator, frame, NAMES)
    beside = {"exposure": "days", "gate_X": ["z"]}
    told = mixfast.spark.transform(model, frame, NAMES, **beside).toPandas()
    assert "log_density" not in told
    rows, given = pandas.DataFrame(X, columns=NAMES), {"exposure": exposure, "gate_X": pandas.DataFrame({"z": gate})}
    # means are NumPy's products, whose last bits depend on the place of a row
    np.testing.assert_allclose(told["prediction"], model.predict(rows, **given), rtol=1e-13)
    shares = model.predict_proba(rows, gate_X=given["gate_X"])
    np.testing.assert_allclose(np.stack(told["probability"]), shares, rtol=1e-13)
    told = mixfast.spark.transform(model, frame, NAMES, y="y", **beside).toPandas()
    np.testing.assert_array_equal(told["log_density"], model.score_samples(rows, y, **given))
    with pytest.raises(TypeError, match="got 'y', which rows of a GaussianMixture do not have"):
        mixfast.spark.transform(clone(ESTIMATOR).fit(X), frame, NAMES, y="y")
    vectors = VectorAssembler(inputCols=NAMES, outputCol="features").transform(frame)
    regressions = MixtureOfExperts(2, random_state=0, max_iter=2, tol=0)
    stage = SparkMixture(regressions, labelCol="y").fit(vectors)
    found = stage.transform(vectors).toPandas()["prediction"]
    np.testing.assert_allclose(found, stage.mixture.predict(X), rtol=1e-13)


def test_starts_that_look_at_all_rows_have_the_same_bits(spark):
    estimator = clone(ESTIMATOR).set_params(init_params="k-means||", max_iter=1)
    frame = frame_in(spark, [table_of(rows) for rows in cut(X)])
    assert_same_state(mixfast.spark.fit(estimator, frame, NAMES), wanted(estimator=estimator))


def test_many_partitions_are_merged_by_tasks(spark, monkeypatch):
    """Two at a time, 7 partitions are 4, 2 and 1; what the driver merges and what tasks merge has the same bits."""
    for module in (partitions, mixfast.spark):
        monkeypatch.setattr(module, "FAN_IN", 2)
    tables, estimator = [table_of(rows) for rows in np.array_split(X, 7)], clone(ESTIMATOR).set_params(max_iter=2)
    frame, here = frame_in(spark, tables), wanted(partitions.InMemory(tables), estimator)
    for collected in (0, 2**26):
        monkeypatch.setattr(mixfast.spark, "COLLECTED", collected)
        assert_same_state(mixfast.spark.fit(estimator, frame, NAMES), here)


def test_a_worker_that_exits_costs_no_bit(spark, tmp_path):
    exited = tmp_path / "exited"

    def exits(task):
        def run(partition, state):
            if partition.number == 3 and not exited.exists():
                exited.touch()
                os._exit(1)
            return task(partition, state)

        return run

    class Exits(SparkSource):
        calls = 0

        def map_reduce(self, task, state, merge):
            self.calls += 1
            return super().map_reduce(exits(task) if self.calls == 5 else task, state, merge)

    source = Exits(frame_in(spark, [table_of(rows) for rows in cut(X)]), NAMES)
    model = wanted(source)
    source.close()
    assert exited.exists()
    assert source.calls == 10  # a survey, a sample, eight iterations
    assert_same_state(model, wanted())


def paths_of(source):
    """Of the files in which a source keeps its rows."""
    return [Path(row.path) for row in source._kept.frame.collect()]


def test_rows_are_kept_in_files_and_these_removed(spark):
    source = SparkSource(frame_in(spark, [table_of(rows) for rows in cut(X)]), NAMES)
    assert_same_state(wanted(source), wanted())
    paths = paths_of(source)
    assert len({*paths}) == 4  # a partition without rows has none
    folders = {path.parent for path in paths}
    assert all(path.exists() for path in paths)
    source.close()
    assert not any(found for folder in folders for found in folder.glob("mixfast-*"))


def test_what_ends_before_the_first_pass_reads_no_row(spark, tmp_path):
    """Spark makes what it caches when it is asked for: to remove files that are not there it would write them."""

    def note(batches):
        (tmp_path / "read").touch()
        yield from batches

    frame = frame_in(spark, [table_of(rows) for rows in cut(X)])
    frame = frame.mapInArrow(note, frame.schema)
    with pytest.raises(ValueError, match="n_components"):
        mixfast.spark.fit(GaussianMixture(0), frame, NAMES)
    SparkSource(frame, NAMES).close()
    assert not (tmp_path / "read").exists()


def test_an_executor_that_is_killed_costs_no_bit():
    """It takes the files with it that it wrote."""
    script = Path(__file__).parent / "killed_executor.py"  # a process has one session
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert "the same bits" in ended.stdout


@pytest.mark.parametrize("is_full", [False, True], ids=["files that are gone", "disks that are full"])
def test_rows_without_files_are_in_the_cache_and_have_the_same_bits(spark, is_full):
    """As where an executor takes the work of another, which is busy."""

    class Loses(SparkSource):
        calls = 0

        def map_reduce(self, task, state, merge):
            self.calls += 1
            if self.calls == 3:
                paths_of(self)[2].unlink()
            return super().map_reduce(task, state, merge)

    tables = [table_of(rows) for rows in cut(X)]
    if is_full:
        # in a folder that is none a file is refused as by a full disk
        source = SparkSource(frame_in(spark, tables), NAMES)
        source._kept = InFiles(source._rows, folder="/dev/full")
    else:
        source = Loses(frame_in(spark, tables), NAMES)
    model = wanted(source)
    assert isinstance(source._kept, InCache)
    source.close()
    assert_same_state(model, wanted())


@pytest.mark.parametrize(
    "name",
    [
        "Gaussian full",
        "Gaussian tied",
        "Bayesian Gaussian full",
        "Student-t",
        "Poisson",
        "categorical of strings",
        "Gamma",
    ],
)
def test_families_have_the_parameters_of_one_array(spark, name):
    entry = ESTIMATORS[name]
    tables = [
        pyarrow.table({f"x{i}": column for i, column in enumerate(rows.T)}) for rows in cut(entry.X, (0, 1, 37, 60))
    ]
    estimator = entry.make(random_state=3, max_iter=8, tol=0)
    model = mixfast.spark.fit(estimator, frame_in(spark, tables), tables[0].column_names)
    assert_near(model, wanted(partitions.InMemory([pyarrow.concat_tables(tables)]), estimator), 1e-11)
    assert_same_state(model, wanted(partitions.InMemory(tables), estimator))


def test_vectors_arrays_and_weights(spark):
    tables = [table_of(rows, w=weight) for rows, weight in zip(cut(X), cut(WEIGHT), strict=True)]
    frame = frame_in(spark, tables)
    here = wanted(partitions.InMemory([*zip(cut(X), cut(WEIGHT), strict=True)]))
    vectors = VectorAssembler(inputCols=NAMES, outputCol="v").transform(frame)
    arrays = frame.selectExpr("array(a, b, c) as v", "w")
    for one in (vectors, arrays):
        assert_same_state(mixfast.spark.fit(ESTIMATOR, one, "v", weight="w"), here)
    named = mixfast.spark.fit(ESTIMATOR, frame.cache(), NAMES, weight="w")
    assert np.array_equal(named.means_, here.means_)
    assert frame.is_cached  # as it was


def test_what_is_wrong_is_said_of_its_partition(spark):
    bad = X.copy()
    bad[1500, 1] = np.inf
    frame = frame_in(spark, [table_of(rows) for rows in cut(bad)])
    with pytest.raises(ValueError, match=r"^Partition 3: .*infinity"):
        mixfast.spark.fit(ESTIMATOR, frame, NAMES)
    with pytest.raises(ValueError, match=r"^Partition 1: .*one of 3 numbers in each row"):
        mixfast.spark.fit(
            ESTIMATOR,
            frame.selectExpr("if(a = b, null, if(spark_partition_id() = 1, array(a), array(a, b, c))) as v"),
            "v",
        )
    with pytest.raises(TypeError, match="Spark DataFrame, got ndarray"):
        mixfast.spark.fit(ESTIMATOR, X, NAMES)
    with pytest.raises(TypeError, match=r"columns='a' should be a column of vectors .* pass \['a'\]"):
        mixfast.spark.fit(ESTIMATOR, frame, "a")
    with pytest.raises(TypeError, match="sums over rows"):
        mixfast.spark.fit(GSDMM(2), frame, NAMES)
    with pytest.raises(ValueError, match="no vectors"):
        mixfast.spark.fit(ESTIMATOR, frame.where("a > 1e9").selectExpr("array(a) as v"), "v")


def test_collections_of_garbage_leave_modules_out(spark):
    """Spark makes one after each task: of all modules that a worker has imported it would take longer than the task."""
    mixfast.spark.fit(ESTIMATOR, frame_in(spark, [table_of(rows) for rows in cut(X)]), NAMES)

    def look(batches):
        import gc
        import sys

        for _ in batches:
            pass
        told = int("mixfast" in sys.modules), gc.get_freeze_count(), len(gc.get_objects())
        yield pyarrow.record_batch([pyarrow.array([own], pyarrow.int64()) for own in told], list("abc"))

    workers = spark.range(4, numPartitions=4).mapInArrow(look, "a long, b long, c long").collect()
    with_mixfast = [(frozen, rest) for has_mixfast, frozen, rest in workers if has_mixfast]
    assert with_mixfast
    assert all(frozen > 20 * rest for frozen, rest in with_mixfast)


# ---- predictions ----------------------------------------------------------------------------------------------------


def test_predictions_have_the_bits_of_one_array(spark):
    named = pandas.DataFrame(X, columns=NAMES)
    model = ESTIMATOR.fit(named)
    frame = frame_in(spark, [table_of(rows, id=np.arange(len(rows))) for rows in cut(X)])
    found = mixfast.spark.transform(model, frame, NAMES)
    assert found.columns == [*NAMES, "id", "prediction", "probability", "log_density"]
    rows = found.toPandas()
    assert np.array_equal(rows[NAMES], X)
    assert np.array_equal(rows["prediction"], model.predict(named))
    assert np.array_equal(np.stack(rows["probability"]), model.predict_proba(named))
    assert np.array_equal(rows["log_density"], model.score_samples(named))
    with pytest.raises(ValueError, match="has the column 'prediction' already"):
        mixfast.spark.transform(model, found.drop("probability", "log_density"), NAMES)
    bad = mixfast.spark.transform(
        model, frame.selectExpr("a", "b", "if(spark_partition_id() = 1, double('infinity'), c) as c"), NAMES
    )
    with pytest.raises(PythonException, match=r"Partition 1: .*infinity"):
        bad.collect()


# ---- pipelines ------------------------------------------------------------------------------------------------------


def test_pipelines_are_fitted_saved_and_loaded(spark, tmp_path):
    frame = frame_in(spark, [table_of(rows, w=weight) for rows, weight in zip(cut(X), cut(WEIGHT), strict=True)])
    stages = [
        VectorAssembler(inputCols=NAMES, outputCol="v"),
        SparkMixture(ESTIMATOR, featuresCol="v", weightCol="w", probabilityCol="shares"),
    ]
    Pipeline(stages=stages).write().overwrite().save(str(tmp_path / "pipeline"))
    pipeline = Pipeline.load(str(tmp_path / "pipeline"))
    assert pipeline.getStages()[1].mixture.get_params() == ESTIMATOR.get_params()
    model = pipeline.fit(frame)
    own = model.stages[1].mixture
    assert_same_state(own, wanted(partitions.InMemory([*zip(cut(X), cut(WEIGHT), strict=True)])))
    model.save(str(tmp_path / "model"))
    again = PipelineModel.load(str(tmp_path / "model"))
    assert type(again.stages[1]) is SparkMixtureModel
    assert again.stages[1].uid == model.stages[1].uid
    assert_same_state(again.stages[1].mixture, own)
    rows = again.transform(frame).toPandas()
    assert list(rows.columns) == [*NAMES, "w", "v", "prediction", "shares"]
    assert np.array_equal(rows["prediction"], own.predict(X))
    assert np.array_equal([row.toArray() for row in rows["shares"]], own.predict_proba(X))


def test_a_stage_without_weights_is_loaded_again(spark, tmp_path):
    SparkMixture(ESTIMATOR, featuresCol="v").save(str(tmp_path / "stage"))
    stage = SparkMixture.load(str(tmp_path / "stage"))
    assert stage.getFeaturesCol() == "v"
    assert not stage.isDefined("weightCol")


def test_stages_know_the_columns_of_what_rows_have_beside_their_values(spark, tmp_path):
    days, z = RNG.uniform(1, 2, size=4000), RNG.normal(size=4000)
    counts = RNG.poisson(days * np.exp(np.where(z > 0, 0.2 * X[:, 0], 1 - 0.2 * X[:, 0])))
    beside = {"days": days, "head": 0.1 * z, "z": z, "sold": counts}
    frame = frame_in(
        spark, [table_of(X[i:j], **{name: own[i:j] for name, own in beside.items()}) for i, j in pairwise(CUTS)]
    )
    vectors = VectorAssembler(inputCols=NAMES, outputCol="features")
    experts = MixtureOfExperts(2, expert="poisson", gate="gate_X", random_state=0, tol=0, max_iter=4)
    stage = SparkMixture(experts, labelCol="sold", exposureCol="days", offsetCol="head", gateCols=["z"])
    stage.save(str(tmp_path / "stage"))
    stage = SparkMixture.load(str(tmp_path / "stage"))
    assert (stage.getExposureCol(), stage.getOffsetCol(), stage.getGateCols()) == ("days", "head", ["z"])
    assert stage.explainParam("gateCols") == "gateCols: gate column names (current: ['z'])"
    model = Pipeline(stages=[vectors, stage]).fit(frame)
    model.save(str(tmp_path / "model"))
    found, own = PipelineModel.load(str(tmp_path / "model")).transform(frame).toPandas(), model.stages[1].mixture
    given = {"exposure": days, "offset": 0.1 * z, "gate_X": pandas.DataFrame({"z": z})}
    parts = [(X[i:j], None, {"y": counts[i:j]} | {k: v[i:j] for k, v in given.items()}) for i, j in pairwise(CUTS)]
    assert_near(own, wanted(partitions.InMemory(parts), experts), 1e-12)
    np.testing.assert_allclose(found["prediction"], own.predict(X, **given), rtol=1e-13)
    shares = own.predict_proba(X, gate_X=given["gate_X"])
    np.testing.assert_allclose([row.toArray() for row in found["probability"]], shares, rtol=1e-13)

    poisson = PoissonMixture(2, random_state=0, tol=0, max_iter=4)
    words = VectorAssembler(inputCols=["sold"], outputCol="features").transform(frame)
    model = SparkMixture(poisson, exposureCol="days").fit(words)
    parts = [(counts[i:j, np.newaxis].astype(float), None, {"exposure": days[i:j]}) for i, j in pairwise(CUTS)]
    assert_same_state(model.mixture, wanted(partitions.InMemory(parts), poisson))
    labels = model.transform(words).toPandas()["prediction"]
    assert np.array_equal(labels, model.mixture.predict(counts[:, np.newaxis].astype(float), exposure=days))
    for name, told in (("exposureCol", "days"), ("offsetCol", "head"), ("gateCols", ["z"])):
        with pytest.raises(TypeError, match=rf"{name}=.* was given, and rows of a GaussianMixture have no"):
            SparkMixture(ESTIMATOR, **{name: told}).fit(words)


def test_what_cannot_be_saved_without_pickles_says_so(spark, tmp_path):
    with pytest.raises(TypeError, match="random_state"):
        SparkMixture(StudentTMixture(2, random_state=np.random.RandomState(0))).save(str(tmp_path / "stage"))


# ---- groups ---------------------------------------------------------------------------------------------------------


def groups():
    """40 groups of 50 rows in no order, one of which cannot be fitted."""
    who = np.repeat([f"group {i}" for i in range(40)], 50)
    rows = pandas.DataFrame(X[:2000], columns=NAMES).assign(who=who, w=WEIGHT[:2000])
    rows.loc[rows["who"] == "group 7", "a"] = np.inf
    return rows.sample(frac=1, random_state=0)


@pytest.mark.parametrize("kind", ["components", "problems"])
def test_groups_are_fitted_by_whole_partitions(spark, tmp_path, kind):
    rows, estimator = groups(), GaussianMixture(2, random_state=0)
    frame = spark.createDataFrame(rows)
    found = mixfast.spark.fit_many_groups(frame, estimator, by="who", columns=["a", "b"], kind=kind, sample_weight="w")
    found.write.parquet(str(tmp_path / "fits"))
    rows = rows.sort_values(["who", "a", "b", "w"])
    here = fit_many_groups(rows, estimator, by="who", columns=["a", "b"], sample_weight="w").to_frame(kind)
    got = pandas.read_parquet(tmp_path / "fits")
    keys = [name for name in ("problem", "component", "column") if name in got]
    got, here = (own.sort_values(keys).reset_index(drop=True) for own in (got, here))
    pandas.testing.assert_frame_equal(got, here, check_exact=True, check_dtype=False)
    assert ("group 7" in set(got["problem"])) == (kind == "problems")


@pytest.mark.parametrize("dtype", [float, int, "Int64", "float32"])
def test_rows_are_sorted_as_pandas_does(dtype):
    """Numbers of NumPy's types are sorted without pandas."""
    rows = pandas.DataFrame(np.random.default_rng(0).integers(0, 4, size=(300, 3)), columns=NAMES)
    rows = rows.astype({"a": int, "b": dtype, "c": float})
    rows.loc[5::7, "c"] = np.nan
    wanted = rows.sort_values(["b", "c"], kind="stable")
    pandas.testing.assert_frame_equal(tasks.in_order_of_values(rows, ["b", "c"]), wanted, check_exact=True)


def test_large_keys_stay_apart_beside_missing_ones(spark):
    """A number beside a missing one is a float to pandas, of which 2^53 + 1 is none."""
    keys = [2**53, 2**53 + 1] * 60 + [None] * 10
    a, b = np.random.default_rng(0).normal(size=(2, len(keys)))
    frame = spark.createDataFrame(pyarrow.table({"who": pyarrow.array(keys, pyarrow.int64()), "a": a, "b": b}))
    model = GaussianMixture(1, random_state=0)
    found = mixfast.spark.fit_many_groups(frame, model, by="who", columns=["a", "b"], kind="problems")
    assert dict(found.dtypes)["problem"] == "bigint"
    assert sorted(row["problem"] for row in found.collect()) == [2**53, 2**53 + 1]


def test_tables_are_cut_between_groups():
    table = pyarrow.table({"who": np.repeat([0, 1, 2, 3, 4], [3, 30, 1, 1, 4]), "x": np.arange(39)})
    for size in (1, 2, 7, 100):
        cuts = list(whole_groups(iter(table.to_batches(max_chunksize=2)), ["who"], size))
        assert pyarrow.concat_tables(cuts).equals(table)
        seen = [set(own.column("who").to_pylist()) for own in cuts]
        assert sum(map(len, seen)) == 5
    assert len(seen) == 1


def test_tables_are_cut_between_groups_of_several_keys():
    """Neither key alone says where a group ends: the second comes back in the next group of the first."""
    who, where = np.repeat([0, 0, 1, 1, 2], [3, 30, 1, 1, 4]), np.repeat([0, 1, 0, 1, 1], [3, 30, 1, 1, 4])
    table = pyarrow.table({"who": who, "where": where, "x": np.arange(39)})
    for size in (1, 2, 7, 100):
        cuts = list(whole_groups(iter(table.to_batches(max_chunksize=2)), ["who", "where"], size))
        assert pyarrow.concat_tables(cuts).equals(table)
        seen = [set(zip(own["who"].to_pylist(), own["where"].to_pylist(), strict=True)) for own in cuts]
        assert sum(map(len, seen)) == 5
        assert len(cuts) > 1 or size == 100


@pytest.mark.parametrize("kind", ["components", "problems"])
def test_groups_of_several_keys_and_mixtures_of_experts(spark, kind):
    rows = groups().drop(columns="w").replace(np.inf, 0.0)
    rows["half"], rows["y"] = (rows["c"] > 0).astype(int), rows["a"] - rows["b"]
    model = MixtureOfExperts(2, gate="gate_X", random_state=0, n_init=1)
    options = {"by": ["who", "half"], "columns": ["a"], "y": "y", "gate_X": ["b"]}
    found = mixfast.spark.fit_many_groups(spark.createDataFrame(rows), model, kind=kind, **options).toPandas()
    here = fit_many_groups(rows.sort_values(["who", "half", "a", "y", "b"]), model, **options).to_frame(kind)
    keys = [name for name in ("problem_0", "problem_1", "component", "column") if name in here]
    found, here = (own.sort_values(keys).reset_index(drop=True) for own in (found, here))
    pandas.testing.assert_frame_equal(found, here, check_exact=True, check_dtype=False)


# ---- another session ------------------------------------------------------------------------------------------------


def test_another_number_of_cores_has_the_same_bits(spark):
    """Last: Spark has one session in a process."""
    spark.stop()
    alone = session(1)
    assert_same_state(
        mixfast.spark.fit(ESTIMATOR, frame_in(alone, [table_of(rows) for rows in cut(X)]), NAMES), wanted()
    )


# ---- Spark Connect --------------------------------------------------------------------------------------------------

#: A program of its own, since a session of Spark Connect and one without it do not share a process.
CONNECTED = """
import sys, tempfile
import numpy as np, pandas
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import SparkSession
import mixfast.spark
from mixfast import GaussianMixture
from mixfast.spark import SparkMixture

spark = SparkSession.builder.remote("local[2]").getOrCreate()
assert "connect" in type(spark).__module__
X = np.load(sys.argv[1])
table = pandas.DataFrame(X, columns=["a", "b", "c"]).assign(who=np.arange(len(X)) // 100)
frame = spark.createDataFrame(table).coalesce(1)
estimator = GaussianMixture(3, random_state=0, tol=0, max_iter=8)
model = mixfast.spark.fit(estimator, frame, ["a", "b", "c"])
told = mixfast.spark.transform(model, frame, ["a", "b", "c"]).toPandas()
assert np.array_equal(told["prediction"], model.predict(X))
problems = mixfast.spark.fit_many_groups(frame, GaussianMixture(2, random_state=0), "who", ["a", "b"], "problems")
assert len(problems.toPandas()) == len(X) // 100
vectors = VectorAssembler(inputCols=["a", "b", "c"], outputCol="features")
with tempfile.TemporaryDirectory() as folder:
    Pipeline(stages=[vectors, SparkMixture(estimator)]).fit(frame).save(folder + "/model")
    again = PipelineModel.load(folder + "/model")
    assert np.array_equal(again.transform(frame).toPandas()["prediction"], told["prediction"])
model.save(sys.argv[2])
spark.stop()
"""


def test_spark_connect_has_the_same_bits(tmp_path):
    np.save(tmp_path / "rows.npy", X)
    paths = [str(tmp_path / name) for name in ("rows.npy", "model")]
    program = [sys.executable, "-c", CONNECTED, *paths]
    ran = subprocess.run(program, capture_output=True, text=True, timeout=600, check=False)
    assert ran.returncode == 0, ran.stderr
    assert_same_state(mixfast.load(paths[1]), wanted(partitions.InMemory([table_of(X)])))
