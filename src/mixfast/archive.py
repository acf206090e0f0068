"""A header and arrays in a zip archive, NumPy's npz: written whole or not at all, read only where it is as written.

A file may come from anybody, so its words are compared with its size before they are believed: what is read takes no
more memory than the file has bytes.
"""

from __future__ import annotations

import io
import os
import secrets
import shutil
import struct
import zipfile
from contextlib import contextmanager, suppress
from math import prod

import numpy as np

HEADER = "header.json"
SUFFIX = ".npy"

#: Kinds of dtypes that an array may have: booleans, numbers, texts, dates. Others are objects, or made of several.
KINDS = "biufUSMm"

#: NumPy writes 128 bytes before the values of an array, and 320 where that has 64 dimensions.
LARGEST_PREAMBLE = 512

#: The signature, 22 bytes between and the lengths of the name and of extra fields: a local header of PKZIP's APPNOTE.
LOCAL_HEADER = struct.Struct("<4s22xHH")
#: What `force_zip64` puts there: sizes in 64 bits.
ZIP64_EXTRA = 20
UTF8_NAME = 0x800
#: What an archive without a comment ends with: a signature, and 18 bytes more.
END, END_SIZE = b"PK\5\6", 22


# ---- writing --------------------------------------------------------------------------------------------------------


@contextmanager
def replacing(path):
    """Write a file atomically: a context manager of a temporary file in the same folder, which replaces `path` on
    success and is removed after an exception. Links are followed; permissions are as after `open(path, "wb")`."""
    target = os.path.realpath(os.fsdecode(path))
    is_there = os.path.exists(target)
    if is_there:
        if not os.path.isfile(target):
            raise OSError(f"'{path}' is a folder, a device or a pipe: save needs the path of a file")
        with open(target, "r+b"):  # PermissionError where it may not be written
            pass
    beside = os.path.join(os.path.dirname(target), f".mixfast-{secrets.token_hex(8)}")
    try:
        with open(beside, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if is_there:
            _take_permissions(target, beside)
        os.replace(beside, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(beside)
        raise


def _take_permissions(target, beside):
    if hasattr(os, "chown"):  # not on Windows
        old, new = os.stat(target), os.stat(beside)
        if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
            with suppress(OSError):  # only root may give files away
                os.chown(beside, old.st_uid, old.st_gid)
    shutil.copymode(target, beside)


def write(path, header, arrays):
    """Write an archive, which takes the place of the file that is there when it is complete.

    Parameters
    ----------
    path : str or path-like
        Taken as it is: no suffix is added.
    header : str
    arrays : dict
        By name. Of dtypes of `KINDS`.
    """
    with replacing(path) as file:
        write_to(file, header, arrays)


def write_to(file, header, arrays):
    """The same to an open binary file."""
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo(HEADER), header)  # ZipInfo knows no clock: the same model, the same bytes
        for name, array in arrays.items():
            with archive.open(name + SUFFIX, "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


# ---- reading --------------------------------------------------------------------------------------------------------


class Archive:
    """An archive to read. Whatever `write` does not make is a ValueError, or one of zipfile's, before it is read."""

    def __init__(self, file):
        self._file = file
        self._archive = zipfile.ZipFile(file)
        self._entries = self._archive.infolist()
        if not self._entries or self._entries[0].filename != HEADER:
            raise ValueError(f"its first entry is not {HEADER}")

    def header(self):
        """The bytes of the header."""
        own = self._entries[0]
        self._check_entry(own, 0)
        return self._archive.read(own)

    def arrays(self, names):
        """A dict of arrays by name; they are the names of all that there are."""
        found = [entry.filename for entry in self._entries[1:]]
        if len(set(names)) < len(names) or sorted(found) != sorted(name + SUFFIX for name in names):
            raise ValueError("its entries are not those that the header names, once each")
        end = 0
        for entry in self._entries:
            end = self._check_entry(entry, end)
        self._file.seek(-END_SIZE, os.SEEK_END)
        if end != self._archive.start_dir or self._archive.comment or self._file.read(4) != END:
            raise ValueError("it holds more than its entries")
        return {entry.filename.removesuffix(SUFFIX): self._array(entry) for entry in self._entries[1:]}

    def _check_entry(self, entry, start):
        """Offset of the end of the entry that begins at `start`; entries are stored without compression."""
        is_plain = (
            entry.compress_type == zipfile.ZIP_STORED
            and entry.compress_size == entry.file_size
            and entry.flag_bits & ~UTF8_NAME == 0
            and entry.header_offset == start
            and not entry.comment
        )
        self._file.seek(start)
        local = self._file.read(LOCAL_HEADER.size)
        if not is_plain or len(local) < LOCAL_HEADER.size:
            raise ValueError(f"its entry {entry.filename} is compressed, or not where it should be")
        signature, name_size, extra_size = LOCAL_HEADER.unpack(local)
        end = start + LOCAL_HEADER.size + name_size + extra_size + entry.file_size
        if signature != b"PK\3\4" or extra_size not in (0, ZIP64_EXTRA) or end > self._archive.start_dir:
            raise ValueError(f"its entry {entry.filename} is cut or padded")
        return end

    def _array(self, entry):
        with self._archive.open(entry) as file:
            preamble = io.BytesIO(file.read(LARGEST_PREAMBLE))
            try:
                version = np.lib.format.read_magic(preamble)
                shape, _, dtype = np.lib.format.read_array_header_1_0(preamble, max_header_size=LARGEST_PREAMBLE)
            except Exception as error:  # its parser breaks in many ways
                raise ValueError(f"its entry {entry.filename} is no array ({error})") from error
            if version != (1, 0):
                raise ValueError(f"its entry {entry.filename} is in version {version} of NumPy's format")
            if dtype.kind not in KINDS or dtype.itemsize == 0:
                raise ValueError(f"its entry {entry.filename} holds {dtype}. Object arrays cannot be loaded")
            if preamble.tell() + prod(shape) * dtype.itemsize != entry.file_size:
                raise ValueError(f"its entry {entry.filename} has not the size of an array {shape} of {dtype}")
            file.seek(0)
            return np.lib.format.read_array(file, allow_pickle=False)
