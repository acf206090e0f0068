"""Categories in blocks: what an iteration costs by the type of the columns, since each pass reads them anew.

    OMP_NUM_THREADS=1 python benchmarks/categories.py        150,000 rows of two columns, of four categories and of two

Processor time of one thread, of an iteration: the difference of two fits of 5 and of 15, median of five. Types take
turns.
"""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas
import polars
import pyarrow
import pyarrow.dataset
import pyarrow.parquet

from mixfast import CategoricalMixture, blocks

N_ROWS, REPEATS = 150_000, 5


def sources(folder):
    """name -> what `blocks` takes"""
    rng = np.random.default_rng(0)
    numbers = np.column_stack([rng.integers(0, 4, N_ROWS), rng.integers(0, 2, N_ROWS)]).astype(float)
    words = np.array(["red", "green", "blue", "grey"], dtype=object)[numbers.astype(int)]
    frame = pandas.DataFrame(words, columns=["a", "b"])
    table = pyarrow.Table.from_pandas(frame)
    pyarrow.parquet.write_table(table, folder / "rows.parquet")
    as_dictionaries = pyarrow.dataset.ParquetFileFormat(dictionary_columns={"a", "b"})
    return {
        "float codes": numbers,
        "dictionaries of pyarrow": pyarrow.table({name: table[name].dictionary_encode() for name in ("a", "b")}),
        "Categorical of polars": polars.from_arrow(table).cast(polars.Categorical),
        "category of pandas": frame.astype("category"),
        "Parquet, read as dictionaries": pyarrow.dataset.dataset(folder / "rows.parquet", format=as_dictionaries),
        "strings of pyarrow": table,
        "Parquet strings": folder / "rows.parquet",
        "object array": words,
        "object columns of pandas": frame,
        "strings of polars": polars.from_arrow(table),
    }


def seconds(rows, n_iterations):
    begun = time.process_time()
    CategoricalMixture(2, random_state=0, tol=0, max_iter=n_iterations).fit(rows)
    return time.process_time() - begun


def main():
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        rows = {name: blocks(source) for name, source in sources(Path(folder)).items()}
        found = {name: [] for name in rows}
        for _ in range(REPEATS):
            for name, own in rows.items():
                found[name].append((-seconds(own, 5) + seconds(own, 15)) / 10)
    for name, own in found.items():
        print(f"{name:30s} {1000 * statistics.median(own):6.1f} ms")


if __name__ == "__main__":
    main()
