"""Ten iterations of every other family, from labels: the cases of fits.py are Gaussian and Bernoulli."""

import warnings

import numpy as np

from mixfast import (
    CategoricalMixture,
    DirichletMultinomialMixture,
    ExponentialMixture,
    GammaMixture,
    GaussianMixture,
    MultinomialMixture,
    PoissonMixture,
    ProductMixture,
    StudentTMixture,
    VonMisesFisherMixture,
)
from mixfast.parts import Bernoulli, Gaussian, Poisson

N_SAMPLES, N_COLUMNS, N_COMPONENTS, N_ITER = 20_000, 8, 8, 10


def numbers(rng, labels):
    return rng.normal(size=(N_SAMPLES, N_COLUMNS)) + rng.normal(size=(N_COMPONENTS, N_COLUMNS))[labels]


def counts(rng, labels):
    return rng.poisson(np.exp(1 + 0.5 * rng.normal(size=(N_COMPONENTS, N_COLUMNS)))[labels]).astype(float)


def positive(rng, labels):
    return rng.gamma(3, np.exp(rng.normal(size=(N_COMPONENTS, N_COLUMNS)))[labels]) + 1e-9


def answers(rng, labels):
    return (rng.random((N_SAMPLES, N_COLUMNS)) + labels[:, np.newaxis] / N_COMPONENTS * 2).astype(int)


def directions(rng, labels):
    X = numbers(rng, labels)
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def with_holes(rng, labels):
    X = numbers(rng, labels)
    X[rng.random(X.shape) < 0.1] = np.nan
    return X


def mixed(rng, labels):
    X = numbers(rng, labels)
    X[:, 3:5] = counts(rng, labels)[:, 3:5]
    X[:, 5:] = X[:, 5:] > 0
    return X


PARTS = [([0, 1, 2], Gaussian()), ([3, 4], Poisson()), ([5, 6, 7], Bernoulli())]

#: name -> (rows, class, parameters)
FAMILIES = {
    "categorical": (answers, CategoricalMixture, {}),
    "dirichlet_multinomial": (counts, DirichletMultinomialMixture, {}),
    "exponential": (positive, ExponentialMixture, {}),
    "gamma": (positive, GammaMixture, {}),
    "gaussian_EVE": (numbers, GaussianMixture, {"covariance_type": "EVE"}),
    "gaussian_with_holes": (with_holes, GaussianMixture, {}),
    "multinomial": (counts, MultinomialMixture, {}),
    "poisson": (counts, PoissonMixture, {}),
    "product": (mixed, ProductMixture, {"parts": PARTS}),
    "student_t": (numbers, StudentTMixture, {}),
    "von_mises_fisher": (directions, VonMisesFisherMixture, {}),
}


class FitFamily:
    params = [list(FAMILIES)]
    param_names = ["family"]

    def setup(self, name):
        warnings.simplefilter("ignore")  # no fit converges in so few iterations
        rng = np.random.default_rng(0)
        labels = rng.integers(N_COMPONENTS, size=N_SAMPLES)
        make, mixture, parameters = FAMILIES[name]
        self.X = make(rng, labels)
        self.model = mixture(
            n_components=N_COMPONENTS, init_params=labels, tol=0, max_iter=N_ITER, random_state=0, **parameters
        )
        self.model.fit(self.X)

    def time_fit(self, name):
        self.model.fit(self.X)

    def track_negative_log_likelihood(self, name):
        """Negative, because asv takes what grows to be worse."""
        return -float(self.model.score(self.X))

    track_negative_log_likelihood.unit = "nats per row"
