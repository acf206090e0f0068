"""How a fit goes on, in lines that are printed when asked for, or kept for a picture."""

from __future__ import annotations

from time import perf_counter


class Monitor:
    """Prints how a fit goes, when asked: the lines of scikit-learn's mixtures.

    Parameters
    ----------
    verbose : int
        0 prints nothing, 1 starts and iterations, 2 also times and changes of the lower bound.
    interval : int
        Every so many iterations.
    log_volume : float
        Of the units of the fit: taken off the lower bounds that are printed.
    kinds : sequence of str, default=()
        What each start begins with, where starts are of several kinds; a line says it beside the number of the start.
    """

    def __init__(self, verbose, interval, log_volume, kinds=()):
        self.verbose, self.interval, self.log_volume, self.kinds = int(verbose), interval, log_volume, kinds
        self._start_time = self._iteration_time = perf_counter()

    def begin_start(self, start):
        self._start_time = self._iteration_time = perf_counter()
        if self.verbose:
            print(f"Initialization {start}" + (f" ({self.kinds[start]})" if self.kinds else ""))

    def end_iteration(self, n_iter, change, lower_bound):
        if not self.verbose or n_iter % self.interval:
            return
        now = perf_counter()
        if self.verbose == 1:
            print(f"  Iteration {n_iter}")
        else:
            print(f"  Iteration {n_iter}\t time lapse {now - self._iteration_time:.5f}s\t ll change {change:.5f}")
        self._iteration_time = now

    def end_start(self, lower_bound, converged):
        if not self.verbose:
            return
        outcome = "converged" if converged else "did not converge"
        if self.verbose == 1:
            print(f"Initialization {outcome}.")
        else:
            elapsed = perf_counter() - self._start_time
            bound = lower_bound - self.log_volume
            print(f"Initialization {outcome}. time lapse {elapsed:.5f}s\t lower bound {bound:.5f}.")


class Recorder:
    """Keeps the lower bounds of all starts.

    Parameters
    ----------
    log_volume : float
        As of `Monitor`.

    Attributes
    ----------
    traces : dict
        Number of the start -> list of lower bounds, one for each pass, NaN for those that were not kept.
    """

    def __init__(self, log_volume):
        self.log_volume, self.traces, self._start = log_volume, {}, 0

    def begin_start(self, start):
        self._start = start

    def end_iteration(self, n_iter, change, lower_bound):
        self.traces.setdefault(self._start, []).append(lower_bound - self.log_volume)

    def end_start(self, lower_bound, converged):
        """Known already."""
