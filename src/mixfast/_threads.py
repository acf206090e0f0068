"""How many threads to use."""

from __future__ import annotations

import os
from contextvars import ContextVar
from functools import cache

from mixfast._openmp import max_threads

#: OpenMP's pool of threads does not survive a fork: in a child, a second thread would be waited for in vain.
_PROCESS = os.getpid()

#: What `keep_to` said in this context; by default more than any machine has: a thread takes whole lanes, of which there
#: are at most 64.
_MOST: ContextVar[int] = ContextVar("most threads", default=1024)


@cache
def _quota():
    """Processors by the quota of a container, of either version of cgroups, and by what loky was told; asked once, for
    joblib takes 130 us to answer, as much as several small fits."""
    from joblib import cpu_count  # scikit-learn has it; `import mixfast` alone needs neither

    return cpu_count()


def allowed_threads():
    """The processors that this process may use: affinity, container quota, OMP_NUM_THREADS, limits of threadpoolctl,
    whichever is least."""
    limits = [len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1]
    limits += [_quota(), max_threads()]
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]  # a list gives one number for each level of nesting
    if first.isdigit() and int(first) > 0:  # may have been set since the process began
        limits.append(int(first))
    return min(limits)


def keep_to(n_threads):
    """Of passes that are made in this context from now on none takes more: others are made beside them."""
    _MOST.set(n_threads)


def resolve_threads(n_threads):
    """n_threads as given, or all that are allowed for None; no more than this context keeps to, and one in a process
    forked after mixfast was imported."""
    if n_threads is not None and n_threads < 1:
        raise ValueError(f"n_threads={n_threads} should be at least 1, or None for all that the process may use")
    if os.getpid() != _PROCESS:
        return 1
    return min(allowed_threads() if n_threads is None else int(n_threads), _MOST.get())
