"""Blocks of a file that is not in memory: does the disk work while somebody computes?

    python benchmarks/cold.py --folder /somewhere                10,000,000 x 16 float32, 640 MB, written there first

A consumer looks at every page of a block and waits, an eighth of the block at a time, two thirds as long as reading
takes: so others on the machine matter less than they do to arithmetic. Cases take turns, and before cold ones the
system is asked to forget the file; medians are printed, and how often they are the time of reading and nothing else.
What the system reads ahead by itself decides what a memory map takes: /sys/block/*/queue/read_ahead_kb, 128 unless it
was set.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from large import COLUMNS, forget, read, write

import mixfast

ROWS = 65536
PAGE = 4096


def consume(blocks, wait):
    """`wait` seconds for each block of `ROWS`."""
    for X in blocks:
        for part in np.array_split(X, 8):
            part.reshape(-1).view(np.uint8)[::PAGE].sum()
            time.sleep(wait / 8)


def of_blocks(path, wait):
    consume((block.X for block in mixfast.blocks(path)), wait)


def of_memory_map(path, wait):
    rows = np.load(path, mmap_mode="r")
    consume((rows[first : first + ROWS] for first in range(0, len(rows), ROWS)), wait)


def timed(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--folder", default=tempfile.gettempdir())
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    path = os.path.join(options.folder, f"mixfast-cold-{options.rows}x{COLUMNS}.npy")
    cases = {
        "the file is read, cold": (read, True),
        "blocks, in memory": (of_blocks, False),
        "blocks, cold": (of_blocks, True),
        "parts of a memory map, cold": (of_memory_map, True),
    }
    times = {name: [] for name in cases}
    try:
        write(path, options.rows)
        forget(path)
        wait = 2 / 3 * timed(read, path, None) / (options.rows / ROWS)
        for _ in range(options.repeats):
            for name, (function, is_cold) in cases.items():
                if is_cold:
                    forget(path)
                else:
                    read(path, None)
                times[name].append(timed(function, path, wait))
        alone = statistics.median(times["the file is read, cold"])
        for name, own in times.items():
            taken = statistics.median(own)
            print(f"| {name} | {taken:.3f} s | {taken / alone:.2f} | {os.path.getsize(path) / taken / 1e9:.2f} GB/s |")
    finally:
        Path(path).unlink(missing_ok=True)


if __name__ == "__main__":
    main()
