"""Rows of files that are mapped, in batches: `.npy` files and memory maps, in memory or on the disk."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np

#: Rows that are given at a time, more or less.
READ = 65536
#: Bytes of a mapped file that are read at a time. 640 MB on a disk of 1.7 GB/s whose system reads 128 KB ahead, beside
#: a consumer that takes two thirds of that, one run each: 1.08 times reading alone, 1.6 in pieces of 256 KB, 1.2 of
#: 4 MB, and 14.6 where only the consumer asks for pages. docs/large.md has medians.
PIECE = 1 << 20
#: Files that stay mapped, each an open file of the process, which may have 256 on some systems, and a mapping. To map a
#: file of 1.5 GB that is in memory anew and touch its pages is a tenth of a pass.
MAPS = 64
#: Bytes that say whether a file is in memory. To read it through costs 7 % of a pass over one that is.
PROBES = 64
#: Where files, and places in memory, begin that the disk writes to without the system's cache: pages of any disk.
ALIGNMENT = 4096
#: Bytes of a batch that is read past the cache, at most: seven are held at a time, in memory that is no page of a file.
LARGEST_DIRECT = 1 << 25


class ReadingHistory:
    """How often a file was read through the system's cache in vain: the next pass did not find it in memory. A file
    that is larger than memory would be copied to the cache in each pass and be gone when the next begins.

    To read 2.1 GB takes 2 s of processor time through the cache and 0.1 s past it. By the clock the disk gives 1.2 to
    1.6 GB/s past it, by one request at a time or by four, and 0.6 to 3.2 through it, by what else the machine does.
    After each time in vain twice as many passes go past the cache: a file may have had to go for what has ended since.
    """

    def __init__(self) -> None:
        self._in_vain = self._past = 0

    def next_is_past_the_cache(self) -> bool:
        """Of a file that is not in memory. To be asked once in a pass."""
        if self._past < 2**self._in_vain - 1:
            self._past += 1
            return True
        self._in_vain += 1
        self._past = 0
        return False


def never() -> bool:
    return False


def of_memory_map(rows: Any) -> Iterator[np.ndarray]:
    """Batches of an array that is a mapped file, as it lies there. They are never read past the system's cache: the map
    may be of another file than the one that has its name now, or have values of its own."""
    with ExitStack() as opened:
        try:
            file = opened.enter_context(open(rows.filename, "rb", buffering=0))
        except OSError:  # it may be gone, and is still mapped
            yield from batches_of(rows)
        else:
            yield from _read(file, rows, never)


def _read(file, rows, next_is_past_the_cache):
    """Batches of mapped rows. Whoever takes them reads each before it is given away: else the first to ask for a page
    is a thread that computes, and the disk waits while it does not."""
    file.seek(rows.offset)
    is_in_memory = _is_in_memory(file, rows.nbytes)
    if is_in_memory:
        yield from batches_of(rows)
    elif is_in_memory is False and next_is_past_the_cache():
        yield from _past_the_cache(file, rows)
    else:
        yield from _through_the_cache(file, rows)


def _through_the_cache(file, rows):
    for batch in batches_of(rows):
        _read_through(file, batch.nbytes)
        yield batch


def batches_of(array: Any) -> Iterator[np.ndarray]:
    """Of anything with a shape whose slices are arrays: ndarray, memmap, h5py, zarr."""
    for first in range(0, array.shape[0], READ):
        yield np.asarray(array[first : first + READ])


def is_file_as_it_lies(array: Any) -> bool:
    """Whether rows of a memory map follow each other in its file, from `offset` on: not of parts of such arrays."""
    is_file = isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap) and array.filename is not None
    return is_file and array.flags.c_contiguous


def _is_in_memory(file, size):
    """Whether the system has the next bytes of a file in memory, as some of them say; None where it does not tell."""
    first = file.tell()
    try:
        for place in np.linspace(first, first + size, PROBES, endpoint=False):
            os.preadv(file.fileno(), [bytearray(1)], int(place), os.RWF_NOWAIT)
    except BlockingIOError:
        return False
    except (AttributeError, OSError):  # system or file system have no such flag
        return None
    return True


def _read_through(file, size):
    """Read the next bytes of a file, which the system then has in memory, and forget them."""
    piece = memoryview(bytearray(min(PIECE, size)))
    while size > 0:
        n_read = file.readinto(piece[: min(len(piece), size)])
        if not n_read:
            return
        size -= n_read


def _past_the_cache(file, rows):
    """Batches of mapped rows of a file that the disk writes into memory of their own. They are read as ever where the
    system or the disk refuses that, or the file of that name is another one now."""
    offset = rows.offset
    with ExitStack() as opened:
        try:
            number = os.open(file.name, os.O_RDONLY | os.O_DIRECT)  # Linux has the flag, and most of its file systems
            opened.callback(os.close, number)
            is_the_same = os.path.sameopenfile(number, file.fileno())
        except (AttributeError, OSError):
            is_the_same = False
        if not is_the_same:
            yield from _through_the_cache(file, rows)
            return
        for batch in batches_of(rows):
            try:
                found = _read_directly(number, offset, batch.nbytes)
            except OSError:
                file.seek(offset)
                _read_through(file, batch.nbytes)
                yield batch
            except EOFError:
                raise ValueError(f"{file.name} ends before its rows do: it has changed") from None
            else:
                yield found.view(batch.dtype).reshape(batch.shape)
            offset += batch.nbytes


def _read_directly(number, first, size):
    """Bytes of a file that is open for that."""
    lead = first % ALIGNMENT
    wanted = lead + size
    room = -(-wanted // ALIGNMENT) * ALIGNMENT
    held = np.empty(room + ALIGNMENT, dtype=np.uint8)
    shift = -held.ctypes.data % ALIGNMENT
    buffer, n_read = held[shift : shift + room], 0
    while n_read < wanted:
        n_new = os.preadv(number, [memoryview(buffer[n_read:])], first - lead + n_read)
        if not n_new:
            raise EOFError
        n_read += n_new
    found = buffer[lead:wanted]
    found.flags.writeable = False  # as mapped rows are
    return found


class NpyFiles:
    """Files that are mapped when they are read: anew in each pass, or, where it `keeps` them, if they have changed."""

    def __init__(self, paths, keeps=False):
        self.paths, self._keeps = paths, keeps
        self._kept, self._histories = {}, {}

    def kept(self):
        """The same files, mapped as long as the result lives."""
        return NpyFiles(self.paths, keeps=True)

    def __call__(self):
        for path in self.paths:
            with open(path, "rb", buffering=0) as file:
                rows = self._mapped(path, file)
                if is_file_as_it_lies(rows):
                    history = self._histories.setdefault(path, ReadingHistory())
                    yield from _read(file, rows, history.next_is_past_the_cache if _may_be_direct(rows) else never)
                else:
                    yield from batches_of(rows)

    def _mapped(self, path, file):
        found = os.fstat(file.fileno())
        version = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
        if self._kept.get(path, (None,))[0] == version:
            return self._kept[path][1]
        rows = np.load(path, mmap_mode="r")
        if self._keeps and (path in self._kept or len(self._kept) < MAPS):
            self._kept[path] = version, rows
        return rows


def _may_be_direct(rows):
    return hasattr(os, "O_DIRECT") and rows[:READ].nbytes <= LARGEST_DIRECT
