"""Rows on a disk: passes over a file, beside passes over an array, and scikit-learn's estimators that take parts.

    python benchmarks/large.py                            100,000,000 x 16 float32, 6.4 GB, written to --folder first
    python benchmarks/large.py --rows 1000000 --folder /tmp

A pass is an E-step with its sums: full covariances, 8 components. Each case runs in a process of its own and says what
it takes, and how much memory beside the pages of the file (RssAnon in /proc, so only on Linux). "cold" is after the
system was asked to forget the file. The file is removed at the end, unless --keep.
"""

from __future__ import annotations

import argparse
import mmap
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

COMPONENTS = 8
COLUMNS = 16
BATCH = 1_000_000


def centres():
    return 3 * np.random.default_rng(1).standard_normal((COMPONENTS, COLUMNS))


def write(path, n_rows):
    rng = np.random.default_rng(0)
    rows = np.lib.format.open_memmap(path, "w+", np.float32, (n_rows, COLUMNS))
    at = centres().astype(np.float32)
    for first in range(0, n_rows, BATCH):
        batch = rng.standard_normal((min(BATCH, n_rows - first), COLUMNS), dtype=np.float32)
        rows[first : first + BATCH] = batch + at[rng.integers(COMPONENTS, size=len(batch))]
    rows.flush()


def forget(path):
    """Ask the system to read the file anew."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def anonymous():
    """Mebibytes of this process that are not pages of files."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status does not say RssAnon")


class Watched:
    """The largest growth of anonymous memory in a block."""

    def __enter__(self):
        self.before, self.growth, self.is_over = anonymous(), 0.0, threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while not self.is_over.wait(0.02):
            self.growth = max(self.growth, anonymous() - self.before)

    def __exit__(self, *what):
        self.is_over.set()
        self.thread.join()


def model():
    from mixfast import GaussianMixture

    weights, eye = np.full(COMPONENTS, 1 / COMPONENTS), np.tile(np.eye(COLUMNS), (COMPONENTS, 1, 1))
    return GaussianMixture(
        COMPONENTS, weights_init=weights, means_init=centres() + 0.5, precisions_init=eye, max_iter=1, tol=0
    )


class Pass:
    """A task: the statistics of a block at a model."""

    def __init__(self, fitted):
        self.fitted = fitted

    def __call__(self, partition, state):
        return self.fitted.statistics(partition.X)


# ---- what is timed: functions of (path, fitted model), each of which sees all rows once ------------------------------


def read(path, fitted):
    buffer = bytearray(1 << 24)
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def read_past_the_cache(path, fitted):
    """As the disk does it, which writes to pages of memory; Linux."""
    buffer, place = mmap.mmap(-1, 1 << 24), 0
    number = os.open(path, os.O_RDONLY | os.O_DIRECT)
    while n_read := os.preadv(number, [buffer], place):
        place += n_read
    os.close(number)


def sum_blocks(rows, fitted):
    from mixfast.statistics import Statistics

    rows.map_reduce(Pass(fitted), None, Statistics.sum)


def in_blocks(path, fitted):
    import mixfast

    sum_blocks(mixfast.blocks(path), fitted)


class InBlocks:
    """As the passes of a fit after the first: files are mapped already."""

    rows = None

    def __call__(self, path, fitted):
        import mixfast

        if self.rows is None:
            self.rows = mixfast.blocks(path).for_passes(None)
        sum_blocks(self.rows, fitted)


class MappedAnew:
    """Passes whose maps end with them: the system forgets no page that is mapped."""

    rows = None

    def __call__(self, path, fitted):
        import mixfast

        if self.rows is None:
            self.rows = mixfast.blocks(path)
        sum_blocks(self.rows, fitted)


def in_memory_map(path, fitted):
    fitted.statistics(np.load(path, mmap_mode="r"))


class InMemory:
    rows = None

    def __call__(self, path, fitted):
        if self.rows is None:
            self.rows = np.load(path)
        fitted.statistics(self.rows)


def in_parts(estimator, path):
    rows = np.load(path, mmap_mode="r")
    for first in range(0, len(rows), BATCH):
        estimator.partial_fit(rows[first : first + BATCH])


def mini_batch_kmeans(path, fitted):
    from sklearn.cluster import MiniBatchKMeans

    in_parts(MiniBatchKMeans(COMPONENTS, init=centres().astype(np.float32), n_init=1, random_state=0), path)


def incremental_pca(path, fitted):
    from sklearn.decomposition import IncrementalPCA

    in_parts(IncrementalPCA(8), path)


#: (what runs, whether the file is forgotten before, how often)
CASES = {
    "the file is read, cold": (read, True, 3),
    "the file is read past the system's cache": (read_past_the_cache, True, 3),
    "blocks, cold": (in_blocks, True, 3),
    "blocks of a file that does not stay in memory": (MappedAnew(), True, 6),  # the last three past the cache
    "memory map, cold": (in_memory_map, True, 3),
    "blocks": (InBlocks(), False, 4),  # the first maps it
    "memory map": (in_memory_map, False, 3),
    "an array in memory": (InMemory(), False, 4),  # the first reads it
    "scikit-learn's MiniBatchKMeans, parts of a memory map": (mini_batch_kmeans, False, 1),
    "scikit-learn's IncrementalPCA, parts of a memory map": (incremental_pca, False, 1),
}


def run(name, path):
    """In a process of its own."""
    function, is_cold, repeats = CASES[name]
    few = np.load(path, mmap_mode="r")[:20_000]
    fitted = model().fit(np.array(few))
    fitted.statistics(np.array(few))  # what importing and the first call cost is not a pass's
    times = []
    with Watched() as memory:
        for _ in range(repeats):
            if is_cold:
                forget(path)
            start = time.perf_counter()
            function(path, fitted)
            times.append(time.perf_counter() - start)
    gigabytes = os.path.getsize(path) / 1e9
    taken = statistics.median(times[-3:])
    print(f"| {name} | {taken:.2f} | {gigabytes / taken:.2f} | {memory.growth:.0f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--folder", default=tempfile.gettempdir())
    parser.add_argument("--keep", action="store_true", help="leave the file, and take one that is there")
    parser.add_argument("--case", help="one of them, in this process")
    options = parser.parse_args()
    path = os.path.join(options.folder, f"mixfast-{options.rows}x{COLUMNS}.npy")
    if options.case:
        run(options.case, path)
        return
    try:
        if not os.path.exists(path):
            write(path, options.rows)
        print("| a pass | seconds | GB/s | anonymous memory, MiB |\n|---|---|---|---|", flush=True)
        for name in CASES:
            command = [sys.executable, "-W", "ignore", __file__, "--case", name]
            subprocess.run([*command, "--rows", str(options.rows), "--folder", options.folder], check=True)
    finally:
        if not options.keep:
            Path(path).unlink(missing_ok=True)


if __name__ == "__main__":
    main()
