"""A fit over two executors, of which one is killed in the fifth pass: the bits of the same fit without it."""

import os
import signal
import sys
import tempfile
import warnings
from pathlib import Path

os.environ["PYSPARK_PYTHON"] = sys.executable

import numpy as np
from pyspark.sql import SparkSession

from mixfast import GaussianMixture, tasks
from mixfast.spark import SparkSource
from mixfast.spark_rows import InFiles


def kill_the_executor():
    """It is the parent of the daemon that has forked this worker."""
    stat = Path(f"/proc/{os.getppid()}/stat").read_text()
    os.kill(int(stat.rpartition(")")[2].split()[1]), signal.SIGKILL)


def killing(task, killed):
    def run(partition, state):
        if partition.number == 5 and not killed.exists():
            killed.touch()
            kill_the_executor()
        return task(partition, state)

    return run


class Kills(SparkSource):
    calls = 0
    killed: Path

    def map_reduce(self, task, state, merge):
        self.calls += 1
        return super().map_reduce(killing(task, self.killed) if self.calls == 5 else task, state, merge)


def folders(source):
    """Of the executors' files."""
    return {os.path.dirname(row.path) for row in source._kept.frame.collect()}


def fitted(source):
    return tasks.fit(GaussianMixture(3, random_state=0, tol=0, max_iter=8), source)


def main():
    warnings.simplefilter("ignore")
    options = {"spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    spark = SparkSession.builder.master("local-cluster[2,1,1024]").config(map=options).getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    frame = spark.range(40_000, numPartitions=8).selectExpr("sin(id) + 3 * (id % 3) as a", "cos(id * id) as b")
    wanted = fitted(SparkSource(frame, ["a", "b"]))
    source = Kills(frame, ["a", "b"])
    assert len(folders(source)) == 2
    with tempfile.TemporaryDirectory() as folder:
        source.killed = Path(folder, "killed")
        model = fitted(source)
        assert source.killed.exists()
    assert isinstance(source._kept, InFiles)
    source.close()
    assert np.array_equal(model.means_, wanted.means_)
    assert np.array_equal(model.covariances_, wanted.covariances_)
    print("the same bits")
    spark.stop()


if __name__ == "__main__":
    main()
