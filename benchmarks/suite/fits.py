"""Fits: time, memory, and what they come to, so that speed never buys accuracy."""

import pickle
import warnings
from pathlib import Path

from data import CASES, generate, log_likelihood
from systems import Mixfast

from . import SMALL

N_ITER = 10


class FitFromGivenStart:
    params = [list(SMALL)]
    param_names = ["case"]

    def setup(self, letter):
        warnings.simplefilter("ignore")  # no fit converges in so few iterations
        self.problem = generate(SMALL[letter])
        self.fitter = Mixfast(self.problem)
        self.fitter.fit(1)  # imports

    def time_fit(self, letter):
        self.fitter.fit(N_ITER)

    def track_negative_log_likelihood(self, letter):
        """Negative, because asv takes what grows to be worse."""
        return -log_likelihood(self.problem, *self.fitter.parameters(self.fitter.fit(N_ITER)))

    track_negative_log_likelihood.unit = "nats per row"


class Memory:
    """Peak of a process that fits. The rows come from another process: making them takes more memory than a fit, and a
    process's peak never falls. Cases are of full size, so that an array of n_samples x n_components would stand out."""

    params = [["A", "A32", "B", "D", "E"]]
    param_names = ["case"]

    def setup_cache(self):
        for letter in self.params[0]:
            Path(f"{letter}.pickle").write_bytes(pickle.dumps(generate(CASES[letter])))

    def setup(self, letter):
        warnings.simplefilter("ignore")
        Mixfast(generate(SMALL["A"]._replace(n_samples=1000))).fit(1)  # imports
        with Path(f"{letter}.pickle").open("rb") as file:
            self.fitter = Mixfast(pickle.load(file))

    def peakmem_fit(self, letter):
        self.fitter.fit(1)

    def peakmem_setup(self, letter):
        """The zero of `peakmem_fit`."""


class FitFromOwnStart:
    """k-means and then EM to the default tolerance."""

    params = [["A", "E"]]
    param_names = ["case"]

    def setup(self, letter):
        warnings.simplefilter("ignore")
        self.fitter = Mixfast(generate(SMALL[letter]))
        self.fitter.fit(1)

    def time_fit_by_default(self, letter):
        self.fitter.fit_by_default(0)
