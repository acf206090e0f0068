"""Blocks of rows that several threads compute at a time, each with its share of the threads."""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import islice
from queue import SimpleQueue
from typing import TypeVar

from sklearn import get_config, set_config

from mixfast._threads import keep_to, resolve_threads
from mixfast._warnings import keep_in, warn

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Blocks that are computed at a time, at most: each takes memory, its rows and the sums of its lanes. One after the
#: other, 24,000,000 x 16 float32 rows of a file take 1.46 times a pass over an array on two idle cores, of an array
#: 1.09 times: one thread maps pages, looks at values and runs Python, and the other waits.
AT_A_TIME = 4

#: Seconds after which a thread that waits looks up whether it is interrupted: on Windows waiting itself is not.
PATIENCE = 0.1


def shares_of(n_threads: int, n_blocks: int) -> list[int]:
    """How many threads each of the blocks has that are computed at a time, of so many or more."""
    at_a_time = max(min(n_threads, n_blocks, AT_A_TIME), 1)
    return [(n_threads + k) // at_a_time for k in range(at_a_time)]


def in_order(function: Callable[[Item], Result], items: Iterable[Item], n_threads: int | None) -> Iterator[Result]:
    """What a function makes of each item, in the order of the items.

    Parameters
    ----------
    function : callable
        Called by several threads; its passes take a share of `n_threads`, whatever estimators say.
    items : iterable
        Taken by the thread that asks for results, no more than one beside those that are computed. As many as may be
        computed at a time are taken before the first is: where there are fewer, each has more threads, and the only one
        is computed by the caller's.
    n_threads : int or None
        As estimators have it.

    Yields
    ------
    result : object
        The first error in the order of the items is raised in its place, and warnings of mixfast come in this order
        and from the caller's line. Ctrl-C does not wait for blocks.
    """
    n_threads = resolve_threads(n_threads)
    n_found, items = _looked_at(iter(items), len(shares_of(n_threads, AT_A_TIME)))
    shares = shares_of(n_threads, n_found)
    if len(shares) == 1:
        yield from map(function, items)
        return
    config = get_config()
    free: SimpleQueue[int] = SimpleQueue()  # shares that no thread has: there are as many as threads
    for share in shares:
        free.put(share)

    def compute(item, warned):
        share = free.get()
        try:
            keep_to(share)  # in the context of this item alone
            keep_in(warned)
            return function(item)
        finally:
            free.put(share)

    pool = ThreadPoolExecutor(len(shares), "mixfast-block", lambda: set_config(**config))  # threads have their own
    waits = True
    try:
        for future, warned in _submitted(pool, compute, items, len(shares)):
            while not wait([future], PATIENCE).done:
                pass
            for warning in warned:
                warn(*warning)
            yield future.result()
    except KeyboardInterrupt:
        waits = False
        raise
    finally:
        pool.shutdown(waits, cancel_futures=True)


def _looked_at(source, most):
    """(how many items there are, no more than `most`, an iterator of all); an error comes in its place."""
    first = deque()
    error = None
    try:
        first.extend(islice(source, most))
    except Exception as found:
        error = found

    def every():
        while first:
            yield first.popleft()  # a block lasts until it is computed
        if error is not None:
            raise error
        yield from source

    return len(first), every()


def _submitted(pool, function, items, n_workers):
    """(future, what it warns of) of all items in order; an error of `items` comes after those before it."""
    pending, source, error = deque(), iter(items), None
    while True:
        try:
            item = next(source)
        except StopIteration:
            break
        except Exception as found:
            error = found
            break
        warned = []
        pending.append((pool.submit(contextvars.copy_context().run, function, item, warned), warned))
        del item  # a block lasts until it is computed
        if len(pending) > n_workers:
            yield pending.popleft()
    while pending:
        yield pending.popleft()
    if error is not None:
        raise error
