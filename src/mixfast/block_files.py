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
        For an array that has not as many rows, or is of another kind or shape, for files of other kinds, and for
        results that a `.npy` file cannot hold: objects, and others than those of the first block.
    """
    if out is None:
        return np.concatenate(list(blocks))
    if isinstance(out, np.ndarray):
        first = 0
        for block in blocks:
            if first + len(block) > len(out):
                raise ValueError(f"out has {len(out)} rows, and there are more")
            if block.shape[1:] != out.shape[1:] or not np.can_cast(block.dtype, out.dtype, "same_kind"):
                raise ValueError(
                    f"out is of {out.dtype} and has rows of the shape {out.shape[1:]}, and results are of "
                    f"{block.dtype} and have {block.shape[1:]}"
                )
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
            if block.dtype.hasobject:
                raise ValueError(f"results of {block.dtype} have no place in a .npy file: write a Parquet file")
            first = block
            _write_header(file, first, 0)
        if (block.dtype, block.shape[1:]) != (first.dtype, first.shape[1:]):
            raise ValueError(
                f"results of a block are of {block.dtype} and have rows of the shape {block.shape[1:]}, those of the "
                f"first were of {first.dtype} and had {first.shape[1:]}: a .npy file has room for one kind"
            )
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
