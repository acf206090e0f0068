"""An archive is written whole or not at all; what it should not have is refused before it is read."""

import io
import os
import signal
import stat
import struct
import subprocess
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest

from mixfast import archive

ARRAYS = {"a": np.arange(6.0).reshape(2, 3), "b": np.array([True, False]), "c": np.array("text"), "d": np.empty((0, 3))}
HEADER = '{"any": "text"}'


def write(path, arrays=ARRAYS):
    archive.write(path, HEADER, arrays)


def read(path, names=tuple(ARRAYS)):
    with open(path, "rb") as file:
        entries = archive.Archive(file)
        return entries.header().decode(), entries.arrays(names)


def test_what_is_written_is_read(tmp_path):
    write(tmp_path / "file")
    header, arrays = read(tmp_path / "file")
    assert header == HEADER
    assert list(arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)


def test_arrays_of_many_dimensions_and_byte_orders_are_read(tmp_path):
    arrays = {
        "many": np.ones((1,) * 32),
        "big": np.arange(3, dtype=">f8"),
        "columns": np.asfortranarray(np.eye(3)),
        "dates": np.array(["2024-02-29", "NaT"], dtype="M8[us]"),
    }
    write(tmp_path / "file", arrays)
    for name, array in read(tmp_path / "file", list(arrays))[1].items():
        assert array.dtype == arrays[name].dtype
        np.testing.assert_array_equal(array, arrays[name])


# ---- writing --------------------------------------------------------------------------------------------------------


class Full(Exception):
    pass


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    write(tmp_path / "file")
    before = (tmp_path / "file").read_bytes()

    def write_half():
        with archive.replacing(tmp_path / "file") as file:
            file.write(b"half of it")
            raise Full

    with pytest.raises(Full):
        write_half()
    assert (tmp_path / "file").read_bytes() == before
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="no limit to the size of files")
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path):
    code = (
        "import resource, signal, numpy as np\n"
        "from mixfast import archive\n"
        "archive.write('file', '{}', {'a': np.zeros(100)})\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))\n"
        "try: archive.write('file', '{}', {'a': np.zeros(10000)})\n"
        "except OSError: print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "refused"
    assert os.listdir(tmp_path) == ["file"]
    np.testing.assert_array_equal(read(tmp_path / "file", ["a"])[1]["a"], np.zeros(100))


@pytest.mark.parametrize("of", [str, os.fsencode, lambda path: path], ids=["str", "bytes", "path"])
def test_paths_of_any_form_are_taken_and_relative_ones(of, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    for name in ("file", os.path.join("sub", "file"), os.path.join("sub", "..", "other")):
        write(of(tmp_path / name))
        write(os.fsencode(name) if of is os.fsencode else of(name))
        assert read(name)[0] == HEADER
    assert sorted(os.listdir(tmp_path)) == ["file", "other", "sub"]
    assert os.listdir(tmp_path / "sub") == ["file"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_stays_one_and_what_it_names_is_replaced(is_there, tmp_path):
    (tmp_path / "store").mkdir()
    if is_there:
        (tmp_path / "store" / "file").write_text("old")
    (tmp_path / "link").symlink_to(os.path.join("store", "file"))
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert not (tmp_path / "store" / "file").is_symlink()
    assert read(tmp_path / "store" / "file")[0] == HEADER
    assert sorted(os.listdir(tmp_path)) == ["link", "store"]
    assert os.listdir(tmp_path / "store") == ["file"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_permissions_are_those_of_a_plain_open(tmp_path):
    for umask in (0o022, 0o077):
        before = os.umask(umask)
        try:
            (tmp_path / f"plain{umask}").write_bytes(b"")
            write(tmp_path / f"new{umask}")
        finally:
            os.umask(before)
        assert stat.S_IMODE(os.stat(tmp_path / f"new{umask}").st_mode) == 0o666 & ~umask
        assert os.stat(tmp_path / f"new{umask}").st_mode == os.stat(tmp_path / f"plain{umask}").st_mode
    os.chmod(tmp_path / "new18", 0o640)
    write(tmp_path / "new18")
    assert stat.S_IMODE(os.stat(tmp_path / "new18").st_mode) == 0o640


@pytest.mark.skipif(os.name == "nt", reason="POSIX pipes")
def test_what_is_no_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(OSError, match="save needs the path of a file"):
            write(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "nowhere" / "file")
    assert sorted(os.listdir(tmp_path)) == ["folder", "pipe"]


# ---- reading --------------------------------------------------------------------------------------------------------


def npy(array, version=(1, 0), **options):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version, **options)
    return buffer.getvalue()


def padded(n_bytes):
    """An array whose preamble has blanks in the end."""
    plain = npy(np.zeros(2))
    text = plain[10:128].rstrip(b"\n") + b" " * n_bytes + b"\n"
    return plain[:8] + struct.pack("<H", len(text)) + text + plain[128:]


def described(dtype, shape):
    """An array of 16 bytes with this description."""
    return npy_with(f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({shape},)}}")


def npy_with(text):
    text = text.encode().ljust(117) + b"\n"
    return npy(np.zeros(2))[:8] + struct.pack("<H", len(text)) + text + bytes(16)


def changed(path, entries=(), deflated=(), comment=b"", extra=b"", first="header.json"):
    """The archive of two arrays, with entries changed or added."""
    with zipfile.ZipFile(path, "w") as file:
        for name, value in {
            first: HEADER,
            "a.npy": npy(np.zeros(2)),
            "b.npy": npy(np.ones(3)),
            **dict(entries),
        }.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED if name in deflated else zipfile.ZIP_STORED
            info.extra = extra if name == "a.npy" else b""
            file.writestr(info, value)
        file.comment = comment


def descriptors(path):
    class Stream(io.RawIOBase):
        """A file that cannot go back to where sizes are written."""

        def __init__(self):
            self.data = bytearray()

        def writable(self):
            return True

        def write(self, data):
            self.data += data
            return len(data)

    stream = Stream()
    with zipfile.ZipFile(stream, "w") as file:
        for name, value in {"header.json": HEADER, "a.npy": npy(np.zeros(2)), "b.npy": npy(np.ones(3))}.items():
            file.writestr(name, value)
    path.write_bytes(bytes(stream.data))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "make",
    [
        lambda path: changed(path, {"b.npy": npy(np.zeros(2**22))}, deflated=["b.npy"]),
        lambda path: changed(path, {"header.json": HEADER + " " * 2**24}, deflated=["header.json"]),
        lambda path: changed(path, {"junk.bin": bytes(2**24)}, deflated=["junk.bin"]),
        lambda path: changed(path, {"junk.bin": b""}),
        lambda path: changed(path, {"c.npy": npy(np.zeros(2))}),
        lambda path: changed(path, {"b.npy": padded(600)}),
        lambda path: changed(path, {"b.npy": padded(60000)}),
        lambda path: changed(path, {"b.npy": npy(np.zeros(2), (2, 0))}),
        lambda path: changed(path, {"b.npy": npy(np.array([None]), allow_pickle=True)}),
        lambda path: changed(path, {"b.npy": npy(np.zeros(2, "f8,f8"))}),
        lambda path: changed(path, {"b.npy": npy(np.zeros(2)) + b"\0"}),
        lambda path: changed(path, {"b.npy": npy(np.zeros(2))[:-1]}),
        lambda path: changed(path, {"b.npy": b""}),
        lambda path: changed(path, {"b.npy": described("<f8", 2000000000)}),
        lambda path: changed(path, {"b.npy": described("<f8", "-2, -1")}),
        lambda path: changed(path, {"b.npy": described("<U0", 99999999)}),
        lambda path: changed(path, {"b.npy": npy_with("[" * 100)}),
        lambda path: changed(path, comment=b"more"),
        lambda path: changed(path, extra=b"\x99\x99\x04\x00more"),
        lambda path: changed(path, first="a.npy"),
        lambda path: path.write_bytes(b"more" + path.read_bytes()),
        lambda path: path.write_bytes(path.read_bytes()[:60] + b"more" + path.read_bytes()[60:]),
        descriptors,
    ],
    ids=range(23),
)  # fmt: skip
def test_what_the_format_does_not_have_is_refused_before_it_is_read(make, tmp_path):
    changed(tmp_path / "file")
    assert list(read(tmp_path / "file", ["a", "b"])[1]) == ["a", "b"]
    make(tmp_path / "file")
    size = os.path.getsize(tmp_path / "file")
    tracemalloc.start()
    try:
        with pytest.raises((ValueError, zipfile.BadZipFile)):
            read(tmp_path / "file", ["a", "b"])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * size + 300_000  # zipfile, json and the message: 100 kB


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_entry_that_is_there_twice_is_refused(tmp_path):
    for names in (["a", "a"], ["a"]):
        with zipfile.ZipFile(tmp_path / "file", "w") as file:
            file.writestr("header.json", HEADER)
            for _ in range(2):
                file.writestr("a.npy", npy(np.zeros(2)))
        with pytest.raises(ValueError, match="once each"):
            read(tmp_path / "file", names)


def test_entries_that_lie_in_each_other_are_refused(tmp_path):
    """So that a small file cannot hold one array many times."""
    changed(tmp_path / "file")
    data = bytearray((tmp_path / "file").read_bytes())
    with zipfile.ZipFile(tmp_path / "file") as file:
        place, own = file.start_dir, file.infolist()
    second = data.index(b"PK\1\2", data.index(b"PK\1\2", data.index(b"PK\1\2", place) + 1) + 1)
    data[second + 42 : second + 46] = struct.pack("<I", own[1].header_offset)
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(ValueError, match="not where it should be"):
        read(tmp_path / "file", ["a", "b"])
