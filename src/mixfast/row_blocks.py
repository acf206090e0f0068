"""Rows that are read block by block, from memory maps, files, arrays of other libraries, or functions: `blocks`."""

from __future__ import annotations

import copy
import hashlib
import inspect
import itertools
import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import scipy.sparse
from sklearn.utils.validation import _num_samples

from mixfast.block_files import gather
from mixfast.block_threads import PATIENCE, in_order
from mixfast.mapped_files import READ, NpyFiles, batches_of, is_file_as_it_lies, of_memory_map
from mixfast.partitions import Partition, merged, stacked
from mixfast.tables import Names, Table, adopted, is_table

Result = TypeVar("Result")

#: What the weights of rows are called beside them.
WEIGHT = "sample_weight"
#: Rows of a block. Engines of blocks of 65,536 rows take 5 to 8 % of a pass, of 16,384 17 to 30 %, of 4,096 as much.
BLOCK = 65536


class Blocks:
    """Rows in blocks of 65,536, the last with what is left; made by `blocks`.

    Attributes
    ----------
    columns : list or None
        Which columns are read.
    weight : column or None
        That of the weights.
    row_data : dict
        The columns of what rows have beside their values, by name: one, or a list.
    dtype : dtype or None
        What values become, block by block.
    """

    _n_threads: int | None = None
    #: Digests of the blocks of the first of several passes; None where a pass is not compared with others.
    _first_pass: list[bytes] | None = None

    def __init__(self, batches, columns, weight, dtype, row_data, source):
        self._batches, self.columns, self.weight, self.row_data = batches, columns, weight, row_data
        self.dtype, self._source = None if dtype is None else np.dtype(dtype), source

    def __repr__(self):
        told = {"columns": self.columns, "weight": self.weight, "dtype": self.dtype and self.dtype.name}
        told |= self.row_data
        return f"blocks({', '.join([self._source, *(f'{k}={v!r}' for k, v in told.items() if v is not None)])})"

    def __iter__(self) -> Iterator[Partition]:
        """The blocks in order, re-cut: where they begin and end depends on the rows alone."""
        held: list[tuple[Any, dict[str, Any]]] = []
        n_held = number = 0
        for X, beside in ahead(self._prepared()):
            held.append((X, beside))
            n_held += _num_samples(X)
            while n_held >= BLOCK:
                block, held = _cut(held, BLOCK)
                n_held -= BLOCK
                yield _partition(number, *block)
                number += 1
        if n_held == number == 0:
            raise ValueError("the source has no rows")
        if n_held:
            yield _partition(number, *_cut(held, n_held)[0])

    def _prepared(self):
        for batch in self._batches():
            batch = adopted(batch)
            yield (self._of_table if is_table(batch) else self._of_array)(batch)

    @property
    def _beside(self):
        """Columns by name, those of the weights too."""
        weights = {} if self.weight is None else {WEIGHT: self.weight}
        return weights | self.row_data

    def _of_array(self, batch):
        """(rows, what they have beside their values), columns by number."""
        X = batch.tocsr() if scipy.sparse.issparse(batch) else np.asarray(batch)
        if X.ndim != 2:
            raise ValueError(f"batches should be arrays of rows, 2-D, got {X.ndim}-D of shape {X.shape}")
        argument, columns, place = self._argument, self.columns, partial(_place_in_array, X.shape[1])
        beside = {name: _dense_at(X, _places(argument(name), told, place)) for name, told in self._beside.items()}
        if columns is not None:
            X = X[:, _places("columns", columns, place)]
        elif beside:
            places, is_sparse = _flat(self._beside), scipy.sparse.issparse(X)
            X = X[:, np.delete(np.arange(X.shape[1]), places)] if is_sparse else np.delete(X, places, axis=1)
        return (X if self.dtype is None else X.astype(self.dtype, copy=False)), beside

    def _of_table(self, batch):
        """(a table of the rows, what they have beside their values), columns by name: the fit keeps these, and types
        may differ."""
        table = Table(batch)
        place, beside, taken = table.place_of, {}, set()
        for name, told in self._beside.items():
            own = _places(self._argument(name), told, place)
            taken |= {*own} if isinstance(own, list) else {own}
            if isinstance(own, list):
                beside[name] = table.columns_at(own)
            else:
                beside[name] = table.reals(own) if name == WEIGHT else table.series[own].to_numpy()
        places = [own for own in range(len(table.names)) if own not in taken]
        if self.columns is not None:
            places = _places("columns", self.columns, place)
        if places != list(range(len(table.names))) or self.dtype is not None:
            batch = table.columns_at(places, self.dtype)
        return batch, beside

    @staticmethod
    def _argument(name):
        """Which argument of `blocks` says it."""
        return "weight" if name == WEIGHT else name

    def map(self, function: Callable[[Any], np.ndarray], out: Any = None) -> Any:
        """Give each block of rows to a function, and put the results below each other.

        Parameters
        ----------
        function : callable
            Of an array or a table of rows, such as `model.predict`, `model.predict_proba` or `model.score_samples`. It
            is given by name what rows have beside their values, as far as it takes that: `y`, `exposure`.
        out : ndarray, path of a .npy or .parquet file, or None, default=None
            Where results go, block by block; None makes an array of all.

        Returns
        -------
        result : ndarray, or the path
        """
        names = taken_by(function, self.row_data)
        results = (function(block.X, **{name: block.row_data[name] for name in names}) for block in self)
        return gather(results, getattr(function, "__name__", "result"), out)

    def for_passes(self, n_threads: int | None) -> Blocks:
        """The same rows, for several passes: files stay mapped from one to the next, as long as the result lives.

        Parameters
        ----------
        n_threads : int or None
            Of all blocks that are computed at a time together; None is all that the process may use, which is so of
            what `blocks` makes.

        Returns
        -------
        rows : Blocks
        """
        copied = copy.copy(self)
        copied._n_threads, copied._first_pass = n_threads, []
        if isinstance(self._batches, NpyFiles):
            copied._batches = self._batches.kept()
        return copied

    def map_reduce(
        self, task: Callable[[Partition, Any], Result], state: Any, merge: Callable[[Sequence[Result]], Result]
    ) -> Result:
        """What `merge` makes of task(block, state) of all blocks: see `mixfast.partitions`. Threads of Python call the
        task, each of a block of its own."""
        return merged(in_order(lambda block: task(block, state), self._same_blocks(), self._n_threads), merge)

    # Passes over blocks are compared twice. CheckedPasses does it for every source, by what tasks send back: numbers of
    # rows and sums of weights. It cannot see as many other rows, which is what functions of rows make by mistake, of
    # random numbers. Here the process that reads the blocks has the values, so it compares the first and the last row,
    # and ends the pass at the block that differs. It cannot see the weights in between, which CheckedPasses sums.
    def _same_blocks(self):
        """The blocks, which have to be those of the first pass, if there was one: else RuntimeError."""
        if self._first_pass is None:
            yield from self
            return
        known, said, n_rows = self._first_pass, [], 0
        for block in self:
            said.append(_told_of(block))
            if known and said[-1] != (known[len(said) - 1] if len(said) <= len(known) else None):
                break
            n_rows += _num_samples(block.X)
            yield block
        if known and said != known:
            raise RuntimeError(
                f"a pass over {self!r} has other rows than the first, after row {n_rows}: all passes of a fit should "
                "read the same ones, in the same order. A function of rows is called for each pass: make its random "
                "numbers inside of it, from a seed, and leave files as they are until the fit ends"
            )
        self._first_pass = said


def taken_by(function, row_data):
    """Names of what rows have that are among the parameters of a function; all where it takes any."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # some are compiled and do not say
        return []
    takes_all = any(own.kind is own.VAR_KEYWORD for own in parameters.values())
    return [name for name in row_data if takes_all or name in parameters]


def _places(argument, told, place):
    """Where the column is that an argument of `blocks` tells, or a list for a list; `place` finds one. Raises
    ValueError that names the argument."""
    try:
        return [place(own) for own in told] if isinstance(told, list) else place(told)
    except ValueError as error:
        raise ValueError(f"{argument}={told!r}: {error}") from None


def _place_in_array(n_columns, told):
    if not isinstance(told, Integral) or isinstance(told, bool):
        raise ValueError(f"columns of arrays have numbers, got {told!r}: give the number of the column, from 0")
    if not -n_columns <= told < n_columns:
        raise ValueError(f"there is no column {told}: the rows have {n_columns}, 0 to {n_columns - 1}")
    return int(told)


def _flat(beside):
    """All columns of what rows have beside their values."""
    return [own for told in beside.values() for own in (told if isinstance(told, list) else [told])]


def _dense_at(X, places):
    """Columns of an array or a sparse matrix as an array: (n_rows,) of one place, (n_rows, n_places) of a list."""
    if not scipy.sparse.issparse(X):
        return X[:, places]
    found = X[:, [*np.atleast_1d(places)]].toarray()
    return found if isinstance(places, list) else found[:, 0]


def _told_of(block):
    """A digest of how many rows a block has, and of the first and the last with what they have beside. Where the rows
    of a pass are others than before, so are these, but for a few changes. Takes 20 us of 16 columns of an array, 0.2 ms
    of a table of pandas or pyarrow."""
    n_rows, told = _num_samples(block.X), []
    for values in (block.X, block.sample_weight, *block.row_data.values()):
        if values is not None:
            told += [_row_of(values, 0), _row_of(values, n_rows - 1)]
    return hashlib.blake2b(f"{n_rows} {told}".encode(), digest_size=16).digest()


def _row_of(values, place):
    if is_table(values):
        import narwhals  # an extra, and only tables need it

        return narwhals.from_native(values).row(place)
    own = values[place : place + 1]
    if scipy.sparse.issparse(own):  # of any number of columns
        own.sum_duplicates()
        return own.indices.tolist(), own.data.tolist()
    return own.tolist()


def _partition(number, X, beside):
    weight = beside.pop(WEIGHT, None)
    return Partition(number, X, None if weight is None else np.asarray(weight, dtype=np.float64), beside)


def _cut(held, size):
    """((rows, what they have) of the first so many, what is left)"""
    taken, n = [], 0
    held = list(held)
    while n < size:
        X, beside = held.pop(0)
        wanted = size - n
        if _num_samples(X) > wanted:
            held.insert(0, (_sliced(X, wanted, None), _each_sliced(beside, wanted, None)))
            X, beside = _sliced(X, 0, wanted), _each_sliced(beside, 0, wanted)
        taken.append((X, beside))
        n += _num_samples(X)
    beside = {name: stacked([own[name] for _, own in taken]) for name in taken[0][1]}
    return (stacked([X for X, _ in taken]), beside), held


def _each_sliced(beside, first, last):
    return {name: _sliced(own, first, last) for name, own in beside.items()}


def _sliced(X, first, last):
    if not is_table(X):
        return X[first:last]
    import narwhals  # an extra, and only tables need it

    return narwhals.from_native(X)[first:last].to_native()


def ahead(iterable: Iterable[Any]) -> Iterator[Any]:
    """The same things, of which a thread has the next one ready: reading does not wait for passes."""
    ready: queue.Queue[tuple[str, Any]] = queue.Queue(maxsize=1)
    stopped = threading.Event()

    def put(what, value):
        while not stopped.is_set():
            try:
                ready.put((what, value), timeout=PATIENCE)
                return
            except queue.Full:
                continue

    def read():
        try:
            for value in iterable:
                put("value", value)
                if stopped.is_set():
                    return
            put("end", None)
        except BaseException as error:
            put("error", error)

    reader = threading.Thread(target=read, name="mixfast-reader", daemon=True)
    reader.start()
    try:
        while True:
            try:
                what, value = ready.get(timeout=PATIENCE)
            except queue.Empty:
                continue
            if what == "end":
                return
            if what == "error":
                raise value
            yield value
    finally:
        stopped.set()


# ---- sources --------------------------------------------------------------------------------------------------------


def _source_of_array(array):
    if is_file_as_it_lies(array):
        return partial(of_memory_map, array)
    return partial(batches_of, array)


def _of_table(table):
    """A table that is here."""

    def batches():
        for first in range(0, len(table), READ):
            yield _sliced(table, first, first + READ)

    return batches


def _of_sparse(matrix):
    rows = matrix.tocsr()

    def batches():
        for first in range(0, rows.shape[0], READ):
            yield rows[first : first + READ]

    return batches


def _of_several(readers):
    def batches():
        for own in readers:
            yield from own()

    return batches


def _here(source):
    """(batches of rows that are here, or in a collection of arrays; what they are in words); None for what is
    neither."""
    said = type(source).__name__
    if hasattr(source, "to_delayed"):
        return _of_dask(source), said
    if is_table(source):
        table = adopted(source)
        return _of_table(table), f"{said} of {len(table)} rows"
    if not hasattr(source, "shape") or len(source.shape) != 2:
        return None
    said = f"{said} of shape {tuple(source.shape)}"
    return (_of_sparse if scipy.sparse.issparse(source) else _source_of_array)(source), said


def _of_dask(collection):
    if hasattr(collection, "rechunk") and collection.numblocks[1] > 1:
        collection = collection.rechunk({1: -1})

    def batches():
        for block in np.ravel(collection.to_delayed()):
            yield block.compute(scheduler="synchronous")

    return batches


def _of_parquet(dataset, columns, beside):
    wanted = None
    if columns is not None:
        place = Names(dataset.schema.names).place_of
        for argument, told in {"columns": columns, **beside}.items():
            _places(argument, told, place)
        wanted = list(dict.fromkeys([*columns, *_flat(beside)]))

    def batches():
        return dataset.to_batches(columns=wanted, batch_size=READ)

    return batches


def blocks(
    source: Any,
    columns: Sequence[int] | Sequence[str] | None = None,
    weight: int | str | None = None,
    dtype: Any = None,
    **row_data: int | str | Sequence[int] | Sequence[str],
) -> Blocks:
    """Make rows for `fit` that are not in memory, but read block by block, once for each pass.

    Parameters
    ----------
    source : array, sparse matrix, memory map, h5py or zarr array, table, dask collection, list of these, path or \
paths, pyarrow dataset, or callable
        Where the rows are: anything whose slices are arrays of rows; scipy's sparse matrices, for mixtures that take
        sparse rows; several of these, one below the other; `.npy` files, read through memory maps, or Parquet files
        (with pyarrow and narwhals); a function of nothing that returns an iterator of arrays, sparse matrices or
        tables, a new one each time, which has the same rows.
    columns : sequence of int or str or None, default=None
        Which columns, of arrays by number, from 0, of Parquet files and tables by name: the fit keeps names, and
        columns may have different types where the mixture has a place for them. None is all but those that the
        following name.
    weight : int, str or None, default=None
        The column that holds the weights of the rows.
    dtype : dtype or None, default=None
        What values become, block by block: float32 for float16, int8, uint8 and bool files, say, that would otherwise
        be computed in float64. None leaves them.
    **row_data
        Columns of what rows have beside their values, by the names that `fit` has for it: `y="sales"` of mixtures of
        experts, `exposure="days"`; None is none. A list where it has several columns: `gate_X=["age", "income"]`, or
        `y` of several responses.

    Returns
    -------
    rows : Blocks
        For the `fit` of all mixtures but `GSDMM`.

    Raises
    ------
    TypeError
        For iterators, which can be read once only: pass the function that makes them, or call `partial_fit` with what
        they give. When it is fitted, for what rows of the mixture do not have.
    RuntimeError
        When it is fitted, where a pass finds other rows than the first did.

    Notes
    -----
    Blocks have 65,536 rows whatever the batches of the reader: results depend on the rows alone. A thread reads the
    next batch while a pass is made, and up to four compute a block each. The start is found on a sample of at most
    131,072 rows.

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import GaussianMixture, blocks
    >>> X = np.random.default_rng(0).normal(size=(100_000, 2)) + np.repeat([[-4], [4]], 50_000, axis=0)
    >>> model = GaussianMixture(2, random_state=0, canonical_order=True).fit(blocks(X))
    >>> model.means_.round(1) + 0
    array([[-4., -4.],
           [ 4.,  4.]])
    """
    columns = None if columns is None else [*columns]
    if WEIGHT in row_data:
        raise TypeError(f"blocks() got sample_weight={row_data[WEIGHT]!r}: say weight={row_data[WEIGHT]!r}")
    row_data = {name: own for name, own in row_data.items() if own is not None}
    told = {name: [*own] if isinstance(own, (list, tuple)) else own for name, own in row_data.items()}
    beside = ({} if weight is None else {"weight": weight}) | told

    def made(batches, said):
        return Blocks(batches, columns, weight, dtype, told, said)

    if callable(source) and not hasattr(source, "shape"):
        return made(source, getattr(source, "__qualname__", type(source).__name__))
    if isinstance(source, Iterator):
        raise TypeError(
            "an iterator can be read once, and each pass reads all rows: pass the function that makes it, or call "
            "partial_fit with what it gives"
        )
    here = _here(source)
    if here is not None:
        return made(*here)
    if hasattr(source, "to_batches"):
        return made(_of_parquet(source, columns, beside), type(source).__name__)
    if isinstance(source, (str, os.PathLike)):
        source = [source]
    if isinstance(source, (list, tuple)) and source and all(isinstance(path, (str, os.PathLike)) for path in source):
        paths = list(itertools.chain.from_iterable(_files(Path(path)) for path in source))
        said = repr(str(paths[0])) if len(paths) == 1 else f"{len(paths)} files from {str(paths[0])!r} on"
        kinds = {path.suffix for path in paths}
        if kinds == {".npy"}:
            return made(NpyFiles(paths), said)
        if kinds <= {".parquet", ".pq"}:
            import pyarrow.dataset

            dataset = pyarrow.dataset.dataset([str(path) for path in paths], format="parquet")
            return made(_of_parquet(dataset, columns, beside), said)
        raise ValueError(f"files should all be .npy or all .parquet, got {', '.join(sorted(kinds))}")
    if isinstance(source, (list, tuple)) and source:
        parts = [_here(own) for own in source]
        if None not in parts:
            return made(_of_several([batches for batches, _ in parts]), f"{len(parts)} of them, first {parts[0][1]}")
    raise TypeError(
        f"source should be an array of rows, a table, a list of these, paths of .npy or Parquet files, a pyarrow "
        f"dataset, or a function that returns an iterator of arrays or tables, got {type(source).__name__}"
    )


def _files(path):
    """A file, or those of a folder in the order of their names."""
    if not path.is_dir():
        return [path]
    found = sorted(one for one in path.iterdir() if one.suffix in (".npy", ".parquet", ".pq"))
    if not found:
        raise ValueError(f"{path} has no .npy and no Parquet files")
    return found
