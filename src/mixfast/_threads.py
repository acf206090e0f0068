"""How many threads to use."""

from __future__ import annotations

import os
from pathlib import Path


def _allowed_by_cgroup():
    """Whole processors that a container's quota allows, or None; Linux only (cgroup version 2)."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else max(1, -(-int(quota) // int(period)))


#: Read once: 7 us each time, as much as the iterations of a small fit.
_QUOTA = _allowed_by_cgroup()

#: OpenMP's pool of threads does not survive a fork: in a child, a second thread would be waited for in vain.
_PROCESS = os.getpid()

#: More than any machine has; a thread takes whole lanes, of which there are at most 64.
_MAX_THREADS = 1024


def allowed_threads():
    """The processors that this process may use: affinity, container quota, OMP_NUM_THREADS, whichever is least."""
    limits = [len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1]
    limits.append(_QUOTA or limits[0])
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]  # a list gives one number for each level of nesting
    if first.isdigit() and int(first) > 0:
        limits.append(int(first))
    return min(limits)


def resolve_threads(n_threads):
    """n_threads as given, or all that are allowed for None; one in a process forked after mixfast was imported."""
    if n_threads is not None and n_threads < 1:
        raise ValueError(f"n_threads={n_threads} should be at least 1, or None for all that the process may use")
    if os.getpid() != _PROCESS:
        return 1
    return allowed_threads() if n_threads is None else min(int(n_threads), _MAX_THREADS)
