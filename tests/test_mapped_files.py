"""Rows of mapped files: read ahead of those who compute, for the system to keep or past its cache, and kept mapped."""

import os

import numpy as np
import pytest
from test_partitions import ROWS, small_blocks

from mixfast import GaussianMixture, blocks, mapped_files

__all__ = ["small_blocks"]


def cold(monkeypatch):
    """As on a system that has no file in memory. Returns what is read through: (file, bytes), in turn."""
    read, real = [], mapped_files._read_through
    monkeypatch.setattr(mapped_files, "_is_in_memory", lambda file, size: False)
    monkeypatch.setattr(
        mapped_files, "_read_through", lambda file, size: read.append((file.name, size)) or real(file, size)
    )
    return read


def test_files_that_are_not_in_memory_are_read_through(small_blocks, monkeypatch, tmp_path):
    monkeypatch.setattr(mapped_files, "READ", 64)
    monkeypatch.setattr(mapped_files, "PIECE", 100)
    read = cold(monkeypatch)
    path = tmp_path / "rows.npy"
    np.save(path, ROWS)
    mapped = np.load(path, mmap_mode="r")
    for source in (path, mapped):
        assert np.array_equal(blocks(source).map(np.copy), ROWS)
        assert {name for name, _ in read} == {str(path)}
        assert [size for _, size in read] == [*([64 * 24] * 15), 40 * 24]
        read.clear()
    np.save(tmp_path / "columns.npy", np.asfortranarray(ROWS))
    for source, wanted in (
        (mapped[3:], ROWS[3:]),  # `offset` is that of the whole
        (mapped[:, :2], ROWS[:, :2]),
        (tmp_path / "columns.npy", ROWS),  # whose bytes are not in the order of rows
    ):
        assert np.array_equal(blocks(source).map(np.copy), wanted)
    assert read == []


@pytest.mark.skipif(os.name == "nt", reason="a file that is mapped cannot be removed")
def test_a_mapped_file_may_be_gone(small_blocks, tmp_path):
    np.save(tmp_path / "rows.npy", ROWS)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    (tmp_path / "rows.npy").unlink()
    assert np.array_equal(blocks(mapped).map(np.copy), ROWS)


def test_reading_through_ends_where_the_file_does(tmp_path):
    (tmp_path / "file").write_bytes(bytes(1000))
    with open(tmp_path / "file", "rb", buffering=0) as file:
        mapped_files._read_through(file, 600)
        assert file.tell() == 600
        mapped_files._read_through(file, 600)
        assert file.tell() == 1000


def test_a_file_is_in_memory_where_the_system_says_so_of_all_that_is_asked(monkeypatch, tmp_path):
    (tmp_path / "file").write_bytes(bytes(1000))
    asked, first_missing = [], []

    def preadv(number, buffers, place, flags):
        asked.append(place)
        if place >= first_missing[-1]:
            raise BlockingIOError
        return 1

    monkeypatch.setattr(os, "preadv", preadv, raising=False)
    monkeypatch.setattr(os, "RWF_NOWAIT", 8, raising=False)
    with open(tmp_path / "file", "rb", buffering=0) as file:
        file.seek(100)
        for first, wanted in ((1000, True), (950, False), (0, False)):
            first_missing.append(first)
            assert mapped_files._is_in_memory(file, 900) is wanted
            assert file.tell() == 100
        assert min(asked) == 100
        assert max(asked) < 1000
        first_missing.append(1000)
        monkeypatch.delattr(os, "RWF_NOWAIT")
        assert not mapped_files._is_in_memory(file, 900)


#: A file of a page and a bit before the rows, as a header; its rows are no whole pages.
HEADER = 4096 + 128


def fail(*_, **__):
    raise OSError(22, "Invalid argument")


def past_the_cache(rows):
    """All batches of the rows of a map."""
    with open(rows.filename, "rb", buffering=0) as file:
        return [*mapped_files._past_the_cache(file, rows)]


@pytest.mark.parametrize("name", [None, "open", "preadv"])
def test_rows_past_the_cache_are_the_rows_of_the_file(monkeypatch, tmp_path, name):
    """Where the system or the disk refuses to read so, too."""
    monkeypatch.setattr(mapped_files, "READ", 100)
    X = np.random.default_rng(0).normal(size=(1234, 5)).astype(np.float32)
    path = tmp_path / "rows"
    path.write_bytes(bytes(HEADER) + X.tobytes())
    rows = np.memmap(path, np.float32, "r", HEADER, X.shape)
    if name is not None:
        monkeypatch.setattr(os, name, fail, raising=False)
    batches = past_the_cache(rows)
    assert np.array_equal(np.concatenate(batches), X)
    assert not any(batch.flags.writeable for batch in batches)
    assert all(len(batch) == 100 for batch in batches[:-1])


def test_the_disk_writes_into_memory_of_the_batches(monkeypatch, tmp_path):
    monkeypatch.setattr(mapped_files, "READ", 100)
    X = np.random.default_rng(0).normal(size=(1234, 5))
    path = tmp_path / "rows.npy"
    np.save(path, X)
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_DIRECT))
    except (AttributeError, OSError):
        pytest.skip("the system or the file system has no O_DIRECT")
    rows = np.load(path, mmap_mode="r")
    batches = past_the_cache(rows)
    assert not any(np.shares_memory(batch, rows) for batch in batches)
    assert np.array_equal(np.concatenate(batches), X)
    os.truncate(path, rows.offset + 550 * 40)
    with open(path, "rb", buffering=0) as file:
        batches = mapped_files._past_the_cache(file, rows)
        assert np.array_equal(np.concatenate([next(batches) for _ in range(5)]), X[:500])
        with pytest.raises(ValueError, match=r"rows\.npy ends before its rows do"):
            next(batches)


def test_a_file_that_does_not_stay_in_memory_is_read_past_the_cache(monkeypatch, tmp_path):
    """In the pass after one in vain, and in twice as many after each further one."""
    np.save(tmp_path / "rows.npy", ROWS)
    read, past, real = cold(monkeypatch), [], mapped_files._past_the_cache
    monkeypatch.setattr(os, "O_DIRECT", 0, raising=False)
    monkeypatch.setattr(mapped_files, "_past_the_cache", lambda *given: past.append(len(read)) or real(*given))
    rows = blocks(tmp_path / "rows.npy").for_passes(None)
    for _ in range(15):
        before = len(read), len(past)
        assert np.array_equal(rows.map(np.copy), ROWS)
        assert (len(read) > before[0]) != (len(past) > before[1])  # either, never both
    assert len(past) == 1 + 3 + 7


@pytest.mark.parametrize(
    "why", ["a map of another's", "no such flag", "the system does not tell", "wide rows", "a disk that refuses"]
)
def test_other_files_are_read_through_in_each_pass(monkeypatch, tmp_path, why):
    """Else threads that compute wait for pages, or rows are those of another file."""
    path = tmp_path / "rows.npy"
    np.save(path, ROWS)
    source, read = path, cold(monkeypatch)
    monkeypatch.setattr(os, "O_DIRECT", 0, raising=False)
    if why == "a map of another's":
        source = np.load(path, mmap_mode="c")
        source[:500] += 50
    elif why == "no such flag":
        monkeypatch.delattr(os, "O_DIRECT")
    elif why == "the system does not tell":
        monkeypatch.setattr(mapped_files, "_is_in_memory", lambda file, size: None)
    elif why == "wide rows":
        monkeypatch.setattr(mapped_files, "LARGEST_DIRECT", ROWS.nbytes - 1)
    else:
        monkeypatch.setattr(os, "open", fail)
    rows = blocks(source).for_passes(None)
    wanted = np.array(source) if why == "a map of another's" else ROWS
    for n_passes in range(1, 5):
        assert np.array_equal(rows.map(np.copy), wanted)
        assert sum(size for _, size in read) == n_passes * ROWS.nbytes


@pytest.mark.skipif(os.name == "nt", reason="a file that is mapped cannot be replaced")
def test_a_file_that_is_replaced_while_it_is_read_stays_the_one_that_was_mapped(monkeypatch, tmp_path):
    path, new = tmp_path / "rows.npy", tmp_path / "new.npy"
    np.save(path, ROWS)
    np.save(new, ROWS + 100)
    rows = np.load(path, mmap_mode="r")
    with open(path, "rb", buffering=0) as file:
        os.replace(new, path)
        assert np.array_equal(np.concatenate([*mapped_files._past_the_cache(file, rows)]), ROWS)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_fits_have_the_same_bits_however_files_are_read(small_blocks, monkeypatch, tmp_path):
    np.save(tmp_path / "rows.npy", ROWS)
    estimator = GaussianMixture(2, random_state=0, max_iter=6, tol=0)
    wanted = estimator.fit(blocks(ROWS)).means_
    cold(monkeypatch)
    assert np.array_equal(estimator.fit(blocks(tmp_path / "rows.npy")).means_, wanted)


@pytest.fixture
def maps(monkeypatch):
    """Paths of .npy files that are mapped, in turn."""
    found, real = [], np.load
    monkeypatch.setattr(mapped_files.np, "load", lambda path, **options: found.append(path) or real(path, **options))
    return found


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_files_stay_mapped_for_a_fit(small_blocks, maps, monkeypatch, tmp_path):
    paths = [tmp_path / f"{i}.npy" for i in range(3)]
    for path, part in zip(paths, np.array_split(ROWS, 3), strict=True):
        np.save(path, part)
    rows = blocks(paths)
    GaussianMixture(2, random_state=0, max_iter=4, tol=0).fit(rows)
    assert maps == paths
    assert not rows._batches._kept  # what the user holds keeps no file open
    rows.map(np.copy)
    rows.map(np.copy)
    assert maps == paths * 3
    maps.clear()
    monkeypatch.setattr(mapped_files, "MAPS", 1)
    n_passes = GaussianMixture(2, random_state=0, max_iter=4, tol=0).fit(rows).n_iter_ + 2
    assert maps == paths + paths[1:] * (n_passes - 1)


@pytest.mark.skipif(os.name == "nt", reason="a file that is mapped cannot be replaced")
def test_a_file_that_has_changed_is_mapped_anew(maps, tmp_path):
    path, new = tmp_path / "rows.npy", tmp_path / "new.npy"
    np.save(path, ROWS)
    rows = blocks(path).for_passes(None)
    assert np.array_equal(rows.map(np.copy), ROWS)
    np.save(new, ROWS[:100] + 1)
    os.replace(new, path)
    for _ in range(2):
        assert np.array_equal(rows.map(np.copy), ROWS[:100] + 1)
    assert maps == [path] * 2
    path.unlink()
    with pytest.raises(FileNotFoundError):
        rows.map(np.copy)
