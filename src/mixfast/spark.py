"""Fits and predictions over Spark DataFrames; `import mixfast.spark`, with the extra `mixfast[spark]`.

Each iteration is one Spark job: a task reads one partition at the parameters of the fit, and the statistics of all
tasks are added in a tree whose shape depends on the numbers of the partitions alone. There are no barriers,
accumulators or sockets, so losing an executor or a Python worker costs time, and changes no bit of the result as long
as Spark makes the same partitions again. Those of files and checkpoints are the same; those of `repartition(n)` without
columns may differ.
"""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial, reduce
from itertools import groupby
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
import pyarrow
import pyarrow.compute
from pyspark import TaskContext
from pyspark.ml import Estimator, Model
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.ml.linalg import VectorUDT
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.param.shared import HasFeaturesCol, HasLabelCol, HasPredictionCol, HasProbabilityCol, HasWeightCol
from pyspark.ml.util import DefaultParamsReader, DefaultParamsWriter, MLReadable, MLReader, MLWritable, MLWriter
from pyspark.sql import DataFrame, functions
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import ArrayType

from mixfast import partitions, persistence, tasks
from mixfast.partitions import FAN_IN, Partition
from mixfast.row_blocks import taken_by
from mixfast.spark_rows import InCache, InFiles, Keeper, NotKept

Result = TypeVar("Result")

#: The driver collects at most so many bytes of results; larger ones are merged by tasks first. Spark's own limit is 1
#: GB by default, and a stage of merging takes 0.1 s.
COLLECTED = 2**26
#: About how many rows of groups are passed to one call of `fit_many_groups`.
GROUP_ROWS = 1_000_000

#: Schema of what tasks return: the number of the partition and the pickled result.
SENT = "number int, content binary"

__all__ = ["SparkMixture", "SparkMixtureModel", "fit", "fit_many_groups", "transform"]


# ---- rows -----------------------------------------------------------------------------------------------------------


class Columns(NamedTuple):
    """The columns of a DataFrame that make up X.

    names : list of str or None
        Names of columns of numbers; None for a single column of vectors.
    width : int
        Number of features.
    """

    names: list[str] | None
    width: int

    def rows(self, arrays: Sequence[pyarrow.Array]) -> Any:
        """X from the selected columns: a table of columns of numbers, or an array (n_rows, width) of vectors."""
        if self.names is not None:
            return pyarrow.table(list(arrays), names=self.names)
        (vectors,) = arrays
        lengths = pyarrow.compute.list_value_length(vectors).to_numpy(zero_copy_only=False)
        if not np.all(lengths == self.width):  # the length of a null is NaN
            raise ValueError(f"the column of vectors should have one of {self.width} numbers in each row")
        return vectors.flatten().to_numpy(zero_copy_only=False).reshape(-1, self.width)


def _quoted(name):
    return functions.col("`" + name.replace("`", "``") + "`")


def _columns_of(df, columns, width=None):
    """(`Columns`, list of expressions to select) from names of columns of numbers, or the name of one column of vectors
    or arrays. `width` is the number of features of vectors; None takes it from the first row."""
    if not isinstance(columns, str):
        return Columns(list(columns), len(columns)), [_quoted(name) for name in columns]
    kind = df.schema[columns].dataType
    if isinstance(kind, VectorUDT):
        vectors = vector_to_array(_quoted(columns))
    elif isinstance(kind, ArrayType):
        vectors = _quoted(columns)
    else:
        raise TypeError(
            f"columns={columns!r} should be a column of vectors or arrays, or a list of columns of numbers, got a "
            f"column of {kind.simpleString()}: pass [{columns!r}]"
        )
    if width is None:
        first = df.select(functions.size(vectors)).where(vectors.isNotNull()).first()
        if first is None:
            raise ValueError(f"the column {columns!r} has no vectors: a fit needs rows")
        width = first[0]
    return Columns(None, width), [vectors]


def _beside(row_data):
    """Expressions that select the columns of what rows have beside their values."""
    each = [(name, [told] if isinstance(told, str) else told) for name, told in row_data.items()]
    return [_quoted(one).alias(f"{name} of the row, {i}") for name, told in each for i, one in enumerate(told)]


def _data_of(row_data, arrays):
    """What rows have, by name, from an iterator of the arrays of these columns."""
    found = {}
    for name, told in row_data.items():
        if isinstance(told, str):
            found[name] = next(arrays).to_numpy(zero_copy_only=False)
        else:
            found[name] = pyarrow.table([next(arrays) for _ in told], names=list(told))
    return found


# ---- partitions -----------------------------------------------------------------------------------------------------


class Refusal(NamedTuple):
    """An error in the rows of a partition, or that they are not kept where a task looks for them, returned as a result:
    a task that raises would be retried by Spark."""

    error: Exception


def _or_refusal(function, *args):
    try:
        return function(*args)
    except (TypeError, ValueError) as error:
        return Refusal(error)


class SparkSource:
    """The partitions of a DataFrame, for `mixfast.partitions.fit`, kept from the first look at them to `close`: in
    files of the executors, and where a file was not found, in Spark's cache from then on.

    Parameters
    ----------
    df : pyspark DataFrame
    columns : list of str, or str
        Columns of numbers, whose names the fit keeps, or one of vectors or arrays.
    weight : str or None
        The column of the weights of the rows.
    row_data : mapping of str to str or list of str, or None
        The columns of what rows have beside their values, by the names that `fit` of the estimator has for it; a list
        becomes a table.
    """

    def __init__(
        self,
        df: DataFrame,
        columns: Sequence[str] | str,
        weight: str | None = None,
        row_data: Mapping[str, str | list[str]] | None = None,
    ) -> None:
        if not isinstance(df, DataFrame):
            raise TypeError(f"df should be a Spark DataFrame, got {type(df).__name__}: `fit` of the estimator takes it")
        own, selected = _columns_of(df, columns)
        if weight is not None:
            selected = [*selected, _quoted(weight).cast("double").alias("weight of the row")]
        beside = {name: own for name, own in (row_data or {}).items() if own is not None}
        rows = df.select(*selected, *_beside(beside))
        self._rows, self._partition = rows, partial(_partition, own, weight is not None, beside)
        self._kept: Keeper = InFiles(rows)
        self._n_partitions: int | None = None
        self._collects: set[type] = set()

    def close(self) -> None:
        """Release the rows that are kept."""
        self._kept.release(self._n_partitions is not None)

    def map_reduce(
        self, task: Callable[[Partition, Any], Result], state: Any, merge: Callable[[Sequence[Result]], Result]
    ) -> Result:
        try:
            return self._looked_at(task, state, merge)
        except NotKept:
            self._kept.release(is_there=True)
            self._kept = InCache(self._rows)
            return self._looked_at(task, state, merge)

    def _looked_at(self, task, state, merge):
        frame = self._kept.frame
        found = frame.mapInArrow(_looking(self._kept.table_of(), self._partition, task, state), SENT)
        if self._n_partitions is None:
            self._n_partitions = frame.mapInArrow(_counting, "number int").count()
        n = self._n_partitions
        # the size of results is known once a task has run
        if type(task) not in self._collects:
            while n > FAN_IN:
                n = -(-n // FAN_IN)
                found = found.repartition(n, functions.expr(f"number div {FAN_IN}")).mapInArrow(_merging(merge), SENT)
        rows = sorted(found.collect(), key=lambda row: row.number)
        if [row.number for row in rows] != list(range(n)):
            raise RuntimeError(
                f"results of {n} partitions were expected, and those of {[row.number for row in rows]} came: the frame "
                "was not cut as before. Fit a frame that is checkpointed, or read from files"
            )
        if max(len(row.content) for row in rows) * self._n_partitions <= COLLECTED:
            self._collects.add(type(task))
        total = partitions.tree([pickle.loads(row.content) for row in rows], partial(_merged, merge))
        if isinstance(total, Refusal):
            raise total.error
        return total


def _partition(columns, is_weighted, beside, number, table):
    arrays = [column.combine_chunks() for column in table.columns]
    n = 1 if columns.names is None else len(columns.names)
    others = iter(arrays[n:])
    weight = next(others).to_numpy(zero_copy_only=False) if is_weighted else None
    try:
        return Partition(number, columns.rows(arrays[:n]), weight, _data_of(beside, others))
    except ValueError as error:
        raise ValueError(f"Partition {number}: {error}") from None


def _counting(batches):
    for _ in batches:
        pass
    yield pyarrow.record_batch({"number": pyarrow.array([_number()], pyarrow.int32())})


def _number():
    """Of the partition that this task looks at."""
    return TaskContext.get().partitionId()


@cache
def leave_imports_alone(kind: str) -> None:
    """Leave what there is now, modules above all, out of Python's collections of garbage. Spark makes one after each
    task, which takes 80 ms where mixfast, scikit-learn and pyspark are loaded, and 10 us without them. To be called
    when a kind of task has imported what it needs; only the first call for a kind does anything."""
    gc.collect()
    gc.freeze()


def _looking(table_of, partition, task, state):
    def look(batches):
        number = _number()
        try:
            table = table_of(batches)
        except NotKept as error:
            yield _sent(number, Refusal(error))
            return
        sent = _sent(number, _or_refusal(lambda: task(partition(number, table), state)))
        leave_imports_alone(type(task).__name__)
        yield sent

    return look


def _merging(merge):
    def merge_neighbours(batches):
        found = [
            (number.as_py(), content.as_py())
            for batch in batches
            for number, content in zip(batch.column(0), batch.column(1), strict=True)
        ]
        for place, results in groupby(sorted(found), key=lambda result: result[0] // FAN_IN):
            yield _sent(place, _merged(merge, [pickle.loads(content) for _, content in results]))

    return merge_neighbours


def _merged(merge, results):
    refusals = [result for result in results if isinstance(result, Refusal)]
    return refusals[0] if refusals else _or_refusal(merge, results)


def _sent(number, result):
    contents = pyarrow.array([pickle.dumps(result, pickle.HIGHEST_PROTOCOL)], pyarrow.binary())
    return pyarrow.record_batch({"number": pyarrow.array([number], pyarrow.int32()), "content": contents})


def fit(
    estimator: Any,
    df: DataFrame,
    columns: Sequence[str] | str,
    weight: str | None = None,
    y: str | list[str] | None = None,
    **options: Any,
) -> Any:
    """Fit a mixture to a Spark DataFrame.

    Parameters
    ----------
    estimator : mixture by maximum likelihood, BayesianGaussianMixture or DirichletProcessMixture
        Not changed. Each task takes one thread, unless its `n_threads` says otherwise.
    df : pyspark DataFrame
        These columns are written to the local disks of the executors and removed when they are fitted, whether or not
        the frame is cached; where that cannot be (a full disk, an executor that took the work of another), Spark's
        cache has them. A partition of them has to fit into the memory of a Python worker twice. 4 to 16 partitions for
        each core make up for slow ones.
    columns : list of str, or str
        Columns to fit, whose names the fit keeps; or one of vectors, as `VectorAssembler` makes it, or of arrays.
        Sparse vectors become dense.
    weight : str, default=None
        The column that says how often each row counts.
    y : str or list of str, default=None
        The column of the responses of mixtures of experts; a list where these have several.
    **options
        Columns of what else rows have beside their values, by the names that `fit` of the estimator has for it:
        `exposure="days"`, `gate_X=["age"]`. Others are of `mixfast.partitions.fit`: `checkpoint`, `every` and `resume`
        for fits that may be stopped, `progress` for a bar of passes.

    Returns
    -------
    fitted : estimator
        The same class, fitted: it predicts, pickles and saves without Spark.

    Raises
    ------
    TypeError
        For estimators that are not fitted to sums over rows, for what is no DataFrame, for one column that holds
        no vectors, and for a `y` that rows of the estimator do not have.
    ValueError
        For rows that `fit` refuses: the message begins with the number of the partition.

    See Also
    --------
    mixfast.partitions.fit : How it is done, over any engine.

    Notes
    -----
    The bits are those of `mixfast.partitions.fit` on the same partitions, for any number of executors and cores,
    whichever is lost. `df.repartition(n)` without columns deals rows out in the order in which they come: after an
    executor is lost they may lie in other partitions than before, and rows may count twice or not at all. Fit frames
    that are checkpointed or read from files.
    """
    row_data, options = tasks.told_apart(estimator, options, y)
    source = SparkSource(df, columns, weight, row_data)
    try:
        return tasks.fit(estimator, source, **options)
    finally:
        source.close()


# ---- predictions ----------------------------------------------------------------------------------------------------


def transform(model: Any, df: DataFrame, columns: Sequence[str] | str, **row_data: str | list[str]) -> DataFrame:
    """Add what a fitted mixture says of each row, lazily.

    Parameters
    ----------
    model : fitted mixture
        Each task takes one thread, unless its `n_threads` says otherwise.
    df : pyspark DataFrame
    columns : list of str, or str
        As in `fit`.
    **row_data
        Columns of what the methods of the model take beside X, as in `fit`: `exposure="days"`, `y="sold"`.

    Returns
    -------
    predicted : pyspark DataFrame
        With the columns `prediction`, int, the most likely component; `probability`, array of double, that of each; and
        `log_density`, double, in nats. Of mixtures of experts `prediction` is the mean of y, double or an array of
        them, `probability` that of components before y is seen, and `log_density` is there where `y` is given.

    Raises
    ------
    TypeError
        For what rows of the model do not have, and for mixtures of experts whose predictions are lists of arrays.
    ValueError
        Where df has one of these columns. When the frame is computed, Spark's PythonException for rows that predictions
        refuse: the message names the partition.
    """
    unknown = [name for name in row_data if name not in model._row_data]
    if unknown:
        raise TypeError(f"transform() got {unknown[0]!r}, which rows of a {type(model).__name__} do not have")
    predictions = _predictions_of(model, row_data)
    taken = set(predictions) & set(df.columns)
    if taken:
        raise ValueError(f"df has the column {min(taken)!r} already: rename it, or drop it")
    found = "what the mixture says"
    told = df.withColumn(found, _told_of_rows(model, df, columns, predictions, row_data))
    return told.withColumns({name: _quoted(found)[name] for name in predictions}).drop(found)


#: name of a prediction's column -> (method of the model, Spark type, Arrow type; None for arrays of doubles).
TOLD = {
    "prediction": ("predict", "int", pyarrow.int32()),
    "probability": ("predict_proba", "array<double>", None),
    "log_density": ("score_samples", "double", pyarrow.float64()),
}
#: Of mixtures of experts, by the number of numbers that the mean of y has.
MEAN = ("predict", "double", pyarrow.float64())
MEANS = ("predict", "array<double>", None)


def _predictions_of(model, row_data):
    """`TOLD` of a model whose rows have so much beside their values."""
    if not model._needed_row_data:
        return TOLD
    _, width = model._form_of("predict", np.float64)
    says_density = set(model._needed_row_data) <= set(row_data)
    told = {name: own for name, own in TOLD.items() if says_density or name != "log_density"}
    return told | {"prediction": MEANS if width else MEAN}


def _told_of_rows(model, df, columns, predictions, row_data):
    """A column expression of structs with the predictions."""
    own, selected = _columns_of(df, columns, width=model.n_features_in_)
    model, n = tasks.one_thread(copy.copy(model)), len(selected)

    def tell(*arrays: pyarrow.Array) -> pyarrow.Array:
        try:
            X, data, values = own.rows(arrays[:n]), _data_of(row_data, iter(arrays[n:])), []
            for name, _, _ in predictions.values():
                method = getattr(model, name)
                values.append(method(X, **{told: data[told] for told in taken_by(method, data)}))
        except ValueError as error:
            raise ValueError(f"Partition {_number()}: {error}") from None
        leave_imports_alone(type(model).__name__)
        return pyarrow.StructArray.from_arrays(
            [_arrow_of(value, kind) for value, (_, _, kind) in zip(values, predictions.values(), strict=True)],
            list(predictions),
        )

    told = ", ".join(f"{name} {kind}" for name, (_, kind, _) in predictions.items())
    return functions.arrow_udf(tell, told)(*selected, *_beside(row_data))


def _arrow_of(values, kind):
    if values.ndim == 1:
        return pyarrow.array(values, kind)
    ends = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    return pyarrow.ListArray.from_arrays(ends, pyarrow.array(values.ravel(), pyarrow.float64()))


# ---- pipelines ------------------------------------------------------------------------------------------------------


class MixtureParams(
    HasFeaturesCol, HasLabelCol, HasWeightCol, HasPredictionCol, HasProbabilityCol, MLReadable, MLWritable
):
    """Base of `SparkMixture` and `SparkMixtureModel`: params with names of columns, and saving."""

    exposureCol: Param[str] = Param(
        Params._dummy(), "exposureCol", "exposure column name", typeConverter=TypeConverters.toString
    )
    offsetCol: Param[str] = Param(
        Params._dummy(), "offsetCol", "offset column name", typeConverter=TypeConverters.toString
    )
    gateCols: Param[list[str]] = Param(
        Params._dummy(), "gateCols", "gate column names", typeConverter=TypeConverters.toListString
    )

    #: The params of what rows have beside their values, by the names that `fit` of estimators has for it.
    _of_rows = {"exposure": "exposureCol", "offset": "offsetCol", "gate_X": "gateCols"}

    def __init__(self, mixture):
        super().__init__()
        self.mixture = mixture

    def getExposureCol(self) -> str:
        """The value of exposureCol, or its default."""
        return self.getOrDefault(self.exposureCol)

    def getOffsetCol(self) -> str:
        """The value of offsetCol, or its default."""
        return self.getOrDefault(self.offsetCol)

    def getGateCols(self) -> list[str]:
        """The value of gateCols, or its default."""
        return self.getOrDefault(self.gateCols)

    def _row_data(self):
        """The columns of what rows have beside their values, by the names that `fit` of estimators has for it."""
        found = {}
        for name, param in self._of_rows.items():
            if self.isDefined(param):
                found[name] = self.getOrDefault(param)
                if name not in self.mixture._row_data:
                    raise TypeError(
                        f"{param}={found[name]!r} was given, and rows of a {type(self.mixture).__name__} have no {name}"
                    )
        return found

    def write(self):
        """The MLWriter."""
        return MixtureWriter(self)

    @classmethod
    def read(cls):
        """The MLReader."""
        return MixtureReader(cls)


class MixtureWriter(MLWriter):
    """MLWriter of stages: Spark's metadata, and the mixture in the format of `mixfast.save`, without pickle."""

    def __init__(self, stage):
        super().__init__()
        self._stage = stage

    def saveImpl(self, path):
        """Write to a path, which Spark resolves (HDFS and the like)."""
        name, mixture = type(self._stage).__name__, self._stage.mixture
        persistence.check_name(mixture)
        content = persistence.to_bytes(persistence.Contents(name, type(mixture).__name__, {"stage": {"of": mixture}}))
        DefaultParamsWriter.saveMetadata(self._stage, path, self.sparkSession)
        self.sparkSession.createDataFrame([(content,)], "content binary").coalesce(1).write.parquet(f"{path}/mixture")


class MixtureReader(MLReader):
    """MLReader of stages that `MixtureWriter` wrote."""

    def __init__(self, cls):
        super().__init__()
        self._cls = cls

    def load(self, path):
        """The stage that was saved at a path, which Spark resolves."""
        metadata = DefaultParamsReader.loadMetadata(path, self.sparkSession)
        content = bytes(self.sparkSession.read.parquet(f"{path}/mixture").first()[0])
        stage = self._cls(persistence.from_bytes(content, self._cls.__name__, lambda sections: sections["stage"]["of"]))
        stage._resetUid(metadata["uid"])
        DefaultParamsReader.getAndSetParams(stage, metadata)
        return stage


class SparkMixture(MixtureParams, Estimator):
    """A mixture as a stage of a Spark pipeline.

    Parameters
    ----------
    estimator : mixture by maximum likelihood, BayesianGaussianMixture or DirichletProcessMixture
        Not changed.
    featuresCol : str, default='features'
        The column of vectors, as `VectorAssembler` makes it, or of arrays.
    weightCol : str, default=None
        The column that says how often each row counts.
    predictionCol : str, default='prediction'
        Where the model puts the most likely component, int; of mixtures of experts the mean of y.
    probabilityCol : str, default='probability'
        Where the model puts the probability of each component, a vector.
    labelCol : str, default='label'
        The column of the responses of mixtures of experts; others do not look at it.
    exposureCol : str, default=None
        The column of exposures, where rows have them: of `PoissonMixture`, and of mixtures of experts of counts.
    offsetCol : str, default=None
        The column that is added to the linear predictors of mixtures of experts.
    gateCols : list of str, default=None
        The columns of numbers that the gate of mixtures of experts sees, where `gate` is 'gate_X'.

    Attributes
    ----------
    mixture : mixture
        The estimator.

    See Also
    --------
    fit : The same without a pipeline.

    Notes
    -----
    It is saved and loaded as other stages are, without pickles: so the estimator is one of mixfast's own classes, whose
    parameters are numbers, strings, None and arrays.
    """

    def __init__(
        self,
        estimator: Any,
        featuresCol: str = "features",
        weightCol: str | None = None,
        predictionCol: str = "prediction",
        probabilityCol: str = "probability",
        labelCol: str = "label",
        exposureCol: str | None = None,
        offsetCol: str | None = None,
        gateCols: list[str] | None = None,
    ) -> None:
        super().__init__(estimator)
        self._set(featuresCol=featuresCol, labelCol=labelCol)
        self._set(predictionCol=predictionCol, probabilityCol=probabilityCol)
        beside = {"exposureCol": exposureCol, "offsetCol": offsetCol, "gateCols": gateCols, "weightCol": weightCol}
        # Spark writes None, and does not read it again
        self._set(**{name: told for name, told in beside.items() if told is not None})

    def _fit(self, dataset):
        weight = self.getWeightCol() if self.isDefined("weightCol") else None
        y = self.getLabelCol() if "y" in self.mixture._needed_row_data else None
        fitted = fit(self.mixture, dataset, self.getFeaturesCol(), weight, y, **self._row_data())
        return self._copyValues(SparkMixtureModel(fitted))


class SparkMixtureModel(MixtureParams, Model):
    """A fitted mixture as a stage of a Spark pipeline, as `SparkMixture` makes it.

    Parameters
    ----------
    mixture : fitted mixture

    Attributes
    ----------
    mixture : fitted mixture
        It predicts, pickles and saves without Spark.
    """

    def __init__(self, mixture: Any) -> None:
        super().__init__(mixture)

    def _transform(self, dataset):
        found, row_data = "what the mixture says", self._row_data()
        predictions = _predictions_of(self.mixture, row_data)
        of_rows = _told_of_rows(self.mixture, dataset, self.getFeaturesCol(), predictions, row_data)
        told = dataset.withColumn(found, of_rows)
        prediction, probability = self.getPredictionCol(), self.getProbabilityCol()
        vectors = array_to_vector(_quoted(found)["probability"])
        return told.withColumns({prediction: _quoted(found)["prediction"], probability: vectors}).drop(found)


# ---- groups ---------------------------------------------------------------------------------------------------------


def fit_many_groups(
    df: DataFrame,
    estimator: Any,
    by: str | Sequence[str],
    columns: Sequence[str],
    kind: Literal["components", "problems"] = "components",
    **options: Any,
) -> DataFrame:
    """A fit for each group of rows, by whole partitions.

    Rows are shuffled by their group and sorted, and each partition is some calls of `mixfast.fit_many_groups`, a
    million rows or so at once: thousands of groups at the speed of a batch. Within groups they are sorted by their
    values, so that no order of arrival changes a bit. A group that cannot be fitted has no components, and its status
    is in its row of the problems.

    Parameters
    ----------
    df : pyspark DataFrame
    estimator : mixture
        As `mixfast.fit_many_groups` takes it.
    by : str or list of str
        The columns that say the group. Of several the result has their values in `problem_0`, `problem_1` and so on.
    columns : list of str
        Those that are fitted.
    kind : {'components', 'problems'}, default='components'
        What the result has a row for, as `BatchResult.to_frame` has it: components of groups, or groups.
    **options
        Of `mixfast.fit_many_groups`, `y="price"` of mixtures of experts say. Each task takes one thread, unless
        `n_threads` is among them.

    Returns
    -------
    frame : pyspark DataFrame
        Lazy; `write.parquet` has the workers write it.

    Raises
    ------
    ValueError
        Where none of the first 1,000 rows can be fitted: they show what columns the result has.
    """
    fit_groups = tasks.FitGroups(estimator, by, list(columns), kind, options)
    keys = fit_groups.keys
    wanted = df.select(*map(_quoted, fit_groups.read))
    for key in keys:  # pandas converts integers with nulls to floats, which makes keys above 2^53 equal
        wanted = wanted.where(_quoted(key).isNotNull())
    example = fit_groups.example(_first_rows(wanted, tasks.EXAMPLE).to_pandas())
    found = wanted.sparkSession.createDataFrame(pyarrow.Table.from_pandas(example, preserve_index=False)).schema
    schema = to_arrow_schema(found)

    def fit_partition(batches):
        for table in whole_groups(batches, keys, GROUP_ROWS):
            frame = fit_groups(table.to_pandas())
            leave_imports_alone(type(fit_groups).__name__)
            if frame is not None:
                yield from pyarrow.Table.from_pandas(frame, schema, preserve_index=False).to_batches()

    shuffled = wanted.repartition(*map(_quoted, keys)).sortWithinPartitions(*map(_quoted, keys))
    return shuffled.mapInArrow(fit_partition, found)


def _first_rows(df, n):
    """The first rows as an Arrow table. `toArrow` of a limit would look at all partitions: 0.25 s more of 8."""
    rows = [row.asDict(recursive=True) for row in df.head(n)]
    return pyarrow.Table.from_pylist(rows, to_arrow_schema(df.schema))


def whole_groups(batches: Iterator[pyarrow.RecordBatch], by: Sequence[str], size: int) -> Iterator[pyarrow.Table]:
    """Cut batches of rows that are sorted by group, the values of columns `by`, into tables of at least `size` rows,
    each with whole groups."""
    held, n_held = [], 0
    for batch in batches:
        held.append(batch)
        n_held += batch.num_rows
        if n_held >= size:
            table = pyarrow.Table.from_batches(held)
            groups = [table.column(name) for name in by]
            are_last = reduce(pyarrow.compute.and_, (pyarrow.compute.equal(own, own[-1]) for own in groups))
            # the first row of the last group, which may go on in the next batch
            first = pyarrow.compute.index(are_last, True).as_py()
            if first > 0:
                yield table.slice(0, first)
                held, n_held = table.slice(first).to_batches(), table.num_rows - first
    if n_held:
        yield pyarrow.Table.from_batches(held)
