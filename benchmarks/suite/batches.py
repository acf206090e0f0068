"""fit_many: many small fits in one call."""

import warnings

import numpy as np
from data import Case, generate_many

from mixfast import GaussianMixture, fit_many

#: (shape of a problem, how many)
BATCHES = {
    "500x1": (Case("full", 500, 1, 3), 1_000),
    "500x2": (Case("full", 500, 2, 3), 500),
}


class FitMany:
    params = [list(BATCHES)]
    param_names = ["problems"]

    def setup(self, name):
        warnings.simplefilter("ignore")
        case, n_problems = BATCHES[name]
        self.X = generate_many(case, n_problems)
        self.estimator = GaussianMixture(case.n_components, random_state=0)
        fit_many(self.X[:10], self.estimator)  # imports

    def time_fit_many(self, name):
        fit_many(self.X, self.estimator)

    def track_negative_log_likelihood(self, name):
        """Negative, because asv takes what grows to be worse."""
        return -float(np.mean(fit_many(self.X, self.estimator).score_samples(self.X)))

    track_negative_log_likelihood.unit = "nats per row"


class BatchMemory:
    """Peak of a process that fits so many problems that what is kept for each stands out."""

    def setup(self):
        warnings.simplefilter("ignore")
        self.X = generate_many(Case("full", 50, 1, 2), 100_000)
        self.estimator = GaussianMixture(2, random_state=0)
        fit_many(self.X[:10], self.estimator)  # imports

    def peakmem_fit_many(self):
        fit_many(self.X, self.estimator)

    def peakmem_setup(self):
        """The zero of `peakmem_fit_many`."""
