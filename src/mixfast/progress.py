"""How far many fits have come, as a bar of tqdm, which is imported when one is asked for."""

from __future__ import annotations


class Bar:
    """A progress bar as a context: gives what is called with (fits done, fits without parameters), or None.

    Parameters
    ----------
    n_fits : int
    progress : bool or Bar
        False shows nothing. Of a bar that is shown already the fits become a part.
    unit : str
        What is counted.
    """

    def __init__(self, n_fits, progress, unit="fit"):
        self.n_fits, self.progress, self.unit = n_fits, progress, unit
        self.bar = self.n_before = self.n_bad_before = self.n_bad = None

    def __enter__(self):
        if isinstance(self.progress, Bar):
            if self.progress.bar is None:
                return None
            return self.progress.part()
        if not self.progress:
            return None
        try:
            from tqdm.auto import tqdm
        except ImportError:
            raise ImportError("progress=True needs tqdm: install mixfast[progress], or set progress=False") from None
        self.bar = tqdm(total=self.n_fits, unit=self.unit)
        return self.part()

    def part(self):
        """What is called of fits that begin now."""
        self.n_before, self.n_bad_before = self.bar.n, self.n_bad or 0
        return self._report

    def _report(self, n_done, n_bad):
        self.n_bad = self.n_bad_before + n_bad
        if self.n_bad:
            self.bar.set_postfix(bad=self.n_bad, refresh=False)
        self.bar.update(self.n_before + n_done - self.bar.n)

    def __exit__(self, *error):
        if self.bar is not None:
            self.bar.close()
