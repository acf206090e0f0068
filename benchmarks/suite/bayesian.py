"""Bayesian mixtures: variational fits, a Dirichlet process with its moves, and sweeps of the sampler."""

import warnings

import numpy as np

from mixfast import BayesianGaussianMixture, DirichletProcessMixture

MODELS = {
    "variational, 16 components": (20_000, BayesianGaussianMixture(16, max_iter=20, tol=0, random_state=0)),
    "process, births and merges": (2_000, DirichletProcessMixture("full", random_state=0)),
    "process, sampler": (
        2_000, DirichletProcessMixture("full", algorithm="sampler", n_draws=50, burn_in=10, thin=1, random_state=0),
    ),
}  # fmt: skip


class FitBayesian:
    params = [list(MODELS)]
    param_names = ["model"]

    def setup(self, name):
        warnings.simplefilter("ignore")  # too few iterations and draws, said so
        n_samples, self.model = MODELS[name]
        rng = np.random.default_rng(0)
        self.X = rng.normal(size=(n_samples, 4)) + 4 * rng.normal(size=(10, 4))[rng.integers(10, size=n_samples)]
        self.model.fit(self.X)

    def time_fit(self, name):
        self.model.fit(self.X)

    def track_negative_log_density(self, name):
        """Of the rows by the predictive density; negative, because asv takes what grows to be worse."""
        return -float(np.mean(self.model.score_samples(self.X)))

    track_negative_log_density.unit = "nats per row"
