"""What Spark costs beside the passes, groups beside `applyInPandas`, and Spark ML's GaussianMixture.

python benchmarks/spark.py [overhead] [groups] [rival] [flat] [--rows 2000000] [--groups 4000] [--cores 2]

With the extra `mixfast[spark]` and a Java runtime; all four by default. An iteration is the time from one pass to the
next; Spark ML's is that of a long fit less that of a short one, divided by the iterations between, so that caching and
starts are in neither: medians of three, in turns.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from pathlib import Path

os.environ["PYSPARK_PYTHON"] = sys.executable

import numpy as np
import pandas
import pyarrow
from pyspark.ml.clustering import GaussianMixture as SparkGaussianMixture
from pyspark.ml.functions import array_to_vector
from pyspark.sql import SparkSession, functions
from sklearn.metrics import adjusted_rand_score

import mixfast.spark
from mixfast import GaussianMixture, tasks
from mixfast.spark import SparkSource


def seconds(function, *args):
    start = time.perf_counter()
    result = function(*args)
    return time.perf_counter() - start, result


def processor_seconds():
    """Of this process and all that descend from it: the JVM and its Python workers. Linux."""
    parents, spent = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        process = int(stat.parent.name)
        parents[process] = int(fields[1])
        spent[process] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def is_ours(process):
        while process not in (0, os.getpid()):
            process = parents.get(process, 0)
        return process != 0

    return sum(own for process, own in spent.items() if is_ours(process))


def frame_of(spark, n_rows, n_columns, n_groups, n_partitions, apart, cached=True):
    """Normal groups whose centres are `apart` times a standard normal vector, made by the workers."""
    centres = apart * np.random.default_rng(0).normal(size=(n_groups, n_columns))
    names = [f"x{i}" for i in range(n_columns)]
    share = n_rows // n_partitions

    def make(batches):
        for batch in batches:
            for number in batch.column(0).to_pylist():
                rng = np.random.default_rng(number)
                which = rng.integers(0, n_groups, share)
                rows = rng.normal(size=(share, n_columns)) + centres[which]
                table = pandas.DataFrame(rows, columns=names).assign(which=which.astype(np.int64))
                yield from pyarrow.Table.from_pandas(table, preserve_index=False).to_batches(max_chunksize=10_000)

    schema = ", ".join([*(f"{name} double" for name in names), "which long"])
    frame = spark.range(n_partitions, numPartitions=n_partitions).mapInArrow(make, schema)
    return (frame.cache() if cached else frame), names


class Timed(SparkSource):
    """Says when each pass began."""

    def map_reduce(self, task, state, merge):
        self.__dict__.setdefault("starts", []).append((time.perf_counter(), processor_seconds()))
        return super().map_reduce(task, state, merge)


def iteration(frame, names, n_components, n_iter):
    """(seconds, processor seconds) for each but the first two, which warm up what is compiled on its way."""
    source = Timed(frame, names)
    estimator = GaussianMixture(n_components, random_state=0, tol=0, max_iter=n_iter)
    tasks.fit(estimator, source)
    source.close()
    starts = source.starts[4:]  # a survey, a sample, two iterations
    return np.subtract(starts[-1], starts[0]) / (len(starts) - 1)


def overhead(spark, args):
    """Beside a job of as many tasks that look at the same rows and do nothing: what Spark takes by itself."""
    frame, names = frame_of(spark, 16_000, 4, 3, 16, 5)
    frame.count()
    spent, _ = iteration(frame, names, 3, 30)

    def look(batches):
        yield pyarrow.record_batch({"n": pyarrow.array([sum(batch.num_rows for batch in batches)])})

    alone = [seconds(frame.select(*names).mapInArrow(look, "n long").collect)[0] for _ in range(30)]
    print(
        f"overhead: 16 partitions of 1,000 x 4: {spent:.2f} s an iteration, {np.median(alone[2:]):.2f} s a job whose "
        "tasks do nothing"
    )


def groups(spark, args):
    n_groups, size = args.groups, 50
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(n_groups * size, 2)) + 4 * rng.integers(0, 2, size=(n_groups * size, 1))
    table = pandas.DataFrame(rows, columns=["a", "b"]).assign(who=np.repeat(np.arange(n_groups), size))
    frame = spark.createDataFrame(table.sample(frac=1, random_state=0)).repartition(8).cache()
    estimator = GaussianMixture(2, random_state=0, n_threads=1)

    def fit_one(group):
        own = group.sort_values(["a", "b"])
        model = GaussianMixture(2, random_state=0, n_threads=1).fit(own[["a", "b"]].to_numpy())
        return pandas.DataFrame({"who": [own["who"].iloc[0]] * 2, "weight": model.weights_, "a": model.means_[:, 0]})

    def together():
        return mixfast.spark.fit_many_groups(frame, estimator, by="who", columns=["a", "b"]).toPandas()

    def one_by_one():
        return frame.groupBy("who").applyInPandas(fit_one, "who long, weight double, a double").toPandas()

    def look(batches):
        yield pyarrow.record_batch({"n": pyarrow.array([sum(batch.num_rows for batch in batches)])})

    def nothing():
        """The same shuffle and sort, and nothing done with the rows: what Spark takes by itself."""
        return frame.repartition("who").sortWithinPartitions("who").mapInArrow(look, "n long").toPandas()

    def measured(function, n):
        """(seconds, processor seconds): medians of n calls; the result."""
        spent = []
        for _ in range(n):
            before = processor_seconds()
            wall, result = seconds(function)
            spent.append((wall, processor_seconds() - before))
        return *np.median(spent, axis=0), result

    frame.count()
    for function in (together, nothing):  # the workers have imported what they need
        function()
    ours, our_work, found = measured(together, 5)
    alone, alone_work, _ = measured(nothing, 5)
    theirs, their_work, wanted = measured(one_by_one, 1)
    found = found[found["column"] == "a"].sort_values(["problem", "component"])
    wanted = wanted.sort_values("who", kind="stable")
    same = np.array_equal(found["mean"].to_numpy(), wanted["a"].to_numpy())
    print(
        f"groups: {n_groups:,} of {size}: {ours:.2f} s, {our_work:.2f} s of processor time; the same shuffle alone "
        f"{alone:.2f} s and {alone_work:.2f} s; applyInPandas of single fits {theirs:.1f} s and {their_work:.1f} s, "
        f"{theirs / ours:.0f} and {their_work / our_work:.0f} times; the same bits: {same}"
    )


def rival(spark, args):
    frame, names = frame_of(spark, args.rows, 16, 16, 8, 2, cached=False)
    vectors = array_to_vector(functions.array(*names))
    frame = frame.select(*names, vectors.alias("features")).cache()
    frame.count()

    def theirs(n):
        return SparkGaussianMixture(k=16, seed=0, tol=0, maxIter=n).fit(frame)

    def their_iteration():
        """(seconds, processor seconds): of eight iterations less of two, which take as long to begin."""
        spent = []
        for n in (2, 8):
            before = processor_seconds()
            spent.append((seconds(theirs, n)[0], processor_seconds() - before))
        return np.subtract(spent[1], spent[0]) / 6

    theirs(2)  # what the JVM compiles on its way is compiled
    found = np.array([(iteration(frame, names, 16, 8), their_iteration()) for _ in range(3)])
    (own, own_work), (other, other_work) = np.median(found, axis=0)
    print(
        f"rival: {args.rows:,} x 16, K=16, full: {own:.2f} s an iteration, {own_work:.2f} s of processor time, "
        f"Spark ML {other:.2f} s and {other_work:.2f} s: {other / own:.1f} and {other_work / own_work:.1f} times"
    )
    frame.unpersist()


def flat(spark, args):
    frame, names = frame_of(spark, 8_000, 100, 3, 4, 1)
    frame = frame.select("*", array_to_vector(functions.array(*names)).alias("features")).cache()
    which = [row[0] for row in frame.select("which").collect()]
    spent, model = seconds(lambda: mixfast.spark.fit(GaussianMixture(3, random_state=0), frame, names))
    labels = [row[0] for row in mixfast.spark.transform(model, frame, names).select("prediction").collect()]
    also, other = seconds(lambda: SparkGaussianMixture(k=3, seed=0).fit(frame))
    theirs = [row[0] for row in other.transform(frame).select("prediction").collect()]
    print(
        f"flat: 8,000 x 100, three groups: adjusted Rand index {adjusted_rand_score(which, labels):.3f} in "
        f"{spent:.0f} s, Spark ML {adjusted_rand_score(which, theirs):.3f} in {also:.0f} s"
    )


def main():
    parts = {"overhead": overhead, "groups": groups, "rival": rival, "flat": flat}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(parts)}; all by default")
    parser.add_argument("--rows", type=int, default=2_000_000, help="of rival")
    parser.add_argument("--groups", type=int, default=4_000, help="of groups")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--memory", default="6g", help="of the JVM")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    options = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.memory": args.memory,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": "8",
        "spark.python.unix.domain.socket.enabled": "true",
    }
    spark = SparkSession.builder.master(f"local[{args.cores},4]").config(map=options).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    for name in args.parts or parts:
        parts[name](spark, args)
    spark.stop()


if __name__ == "__main__":
    main()
