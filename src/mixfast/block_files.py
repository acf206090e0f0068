"""Where results of blocks go, one after the other: arrays, `.npy` and Parquet files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from mixfast.archive import replacing


def gather(blocks: Iterable[np.ndarray], name: str, out: Any = None) -> Any:
    """Write results of blocks below each other.

    Parameters
    ----------
    blocks : iterable of ndarray
        Of one dimension, or of two with equal second ones.
    name : str
        Of the column in a Parquet file, where results have one dimension; else columns are called by their numbers.
    out : ndarray, path of a .npy or .parquet file, or None
        None makes an array.

    Returns
    -------
    result : ndarray, or the path
        A file appears when it is whole: what was there before stays until then, and where something fails.

    Raises
    ------
    ValueError
        For an array that has not as many rows, and for files of other kinds.
    """
    if out is None:
        return np.concatenate(list(blocks))
    if isinstance(out, np.ndarray):
        first = 0
        for block in blocks:
            if first + len(block) > len(out):
                raise ValueError(f"out has {len(out)} rows, and there are more")
            out[first : first + len(block)] = block
            first += len(block)
        if first < len(out):
            raise ValueError(f"out has {len(out)} rows, and there are {first}")
        return out
    path = Path(out)
    if path.suffix not in WRITERS:
        raise ValueError(f"out={str(out)!r} should be an array, or a file {' or '.join(WRITERS)}")
    with replacing(path) as file:
        WRITERS[path.suffix](file, blocks, name)
    return out


def _write_npy(file, blocks, name):
    """NumPy's headers have room for the number of rows to grow, so that it can be written last."""
    n_rows, first = 0, None
    for block in blocks:
        if first is None:
            first = block
            _write_header(file, first, 0)
        file.write(np.ascontiguousarray(block, dtype=first.dtype).data)
        n_rows += len(block)
    file.seek(0)
    _write_header(file, first, n_rows)


def _write_header(file, block, n_rows):
    header = {"descr": np.lib.format.dtype_to_descr(block.dtype), "fortran_order": False}
    np.lib.format.write_array_header_1_0(file, header | {"shape": (n_rows, *block.shape[1:])})


def _write_parquet(file, blocks, name):
    import pyarrow
    import pyarrow.parquet

    writer = None
    try:
        for block in blocks:
            columns = {name: block} if block.ndim == 1 else {str(k): block[:, k] for k in range(block.shape[1])}
            table = pyarrow.table(columns)
            if writer is None:
                writer = pyarrow.parquet.ParquetWriter(file, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


WRITERS = {".npy": _write_npy, ".parquet": _write_parquet}
