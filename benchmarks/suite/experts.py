"""Mixtures of experts: passes of EM from a given start, of every kind of expert and with a gate; many small fits."""

import warnings

import numpy as np

from mixfast import MixtureOfExperts, fit_many

N_SAMPLES, N_COLUMNS, N_COMPONENTS, N_ITER = 20_000, 5, 4, 10
EXPERTS = ["gaussian", "student_t", "poisson", "negative_binomial", "binomial", "gamma", "multinomial"]


def rows(expert):
    """(X, y, labels to start from)"""
    rng = np.random.default_rng(0)
    X, coef = rng.normal(size=(N_SAMPLES, N_COLUMNS)), 0.5 * rng.normal(size=(N_COMPONENTS, N_COLUMNS))
    labels = rng.integers(N_COMPONENTS, size=N_SAMPLES)
    eta = np.linspace(-1, 1.5, N_COMPONENTS)[labels] + np.sum(X * coef[labels], axis=1)
    y = {
        "gaussian": lambda: eta + 0.5 * rng.normal(size=N_SAMPLES),
        "student_t": lambda: eta + 0.5 * rng.standard_t(4, size=N_SAMPLES),
        "poisson": lambda: rng.poisson(np.exp(eta)),
        "negative_binomial": lambda: rng.poisson(rng.gamma(3, np.exp(eta) / 3)),
        "binomial": lambda: rng.random(N_SAMPLES) < 1 / (1 + np.exp(-3 * eta)),
        "gamma": lambda: rng.gamma(3, np.exp(eta) / 3) + 1e-12,
        "multinomial": lambda: np.digitize(eta + rng.logistic(size=N_SAMPLES), [-1, 1]),
    }[expert]()
    return X, np.asarray(y, dtype=float), labels


class FitExperts:
    params = [EXPERTS, [None, "same"]]
    param_names = ["expert", "gate"]

    def setup(self, expert, gate):
        warnings.simplefilter("ignore")  # no fit converges in so few iterations
        self.X, self.y, labels = rows(expert)
        self.model = MixtureOfExperts(
            N_COMPONENTS, expert=expert, gate=gate, init_params=labels, n_init=1, tol=0, max_iter=N_ITER
        )
        self.model.fit(self.X, self.y)

    def time_fit(self, expert, gate):
        self.model.fit(self.X, self.y)

    def track_negative_log_likelihood(self, expert, gate):
        """Negative, because asv takes what grows to be worse."""
        return -self.model.score_samples(self.X, self.y).mean()

    track_negative_log_likelihood.unit = "nats per row"


class FitManyExperts:
    """1,000 problems of 200 rows of 3 columns, two components, one start each."""

    params = [EXPERTS]
    param_names = ["expert"]

    def setup(self, expert):
        X, y, _ = rows(expert)
        n = N_SAMPLES // 200
        self.X, self.y = np.tile(X[:, :3].reshape(n, 200, 3), (10, 1, 1)), np.tile(y.reshape(n, 200), (10, 1))
        self.model = MixtureOfExperts(2, expert=expert, n_init=1, n_init_policy="all", random_state=0)

    def time_fit_many(self, expert):
        fit_many(self.X, self.model, y=self.y)
