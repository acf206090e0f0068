"""Draws come from the density of `score_samples`: of every estimator in every structure, noise and posteriors too.

Means of bounded functions of draws (waves in random directions, and half-spaces) are compared with the integral of the
same functions times the density: a sum over all rows there are, or by importance sampling from a wide density."""

import itertools

import numpy as np
import pytest
from estimators_table import (
    BITS,
    CODES,
    COUNTS,
    DIRECTIONS,
    ESTIMATORS,
    MIXED,
    OF_RESPONSES,
    REALS,
    REGRESSIONS,
    WAITS,
    WORDS,
    Entry,
)
from scipy import stats
from scipy.special import logsumexp

from mixfast import BayesianGaussianMixture, DirichletProcessMixture, GaussianMixture, StudentTMixture
from mixfast.parts import Bernoulli, Gaussian

N_DRAWS = 40_000
#: Of the difference of two estimates of the same number; of all functions and estimators together there are some 1,500,
#: of which none would be as far off by chance.
MOST_ERRORS = 5.5
#: The largest standard error of what is compared: numbers between -1 and 1 are told apart well.
LARGEST_ERROR = 0.02

WORDS_THERE_ARE = ["blue", "green", "red"]


def wide_reals(X, n, rng):
    """Rows (n, d) and log densities of a t distribution wider than the rows X."""
    covariance = 4 * np.atleast_2d(np.cov(X.T))
    wide = stats.multivariate_t(X.mean(axis=0), covariance, df=3, seed=rng)
    Z = wide.rvs(n).reshape(n, -1)
    return Z, wide.logpdf(Z)


def of_reals(X, n, rng):
    return wide_reals(X, n, rng)


def of_waits(X, n, rng):
    logs, log_q = wide_reals(np.log(X), n, rng)
    logs = np.clip(logs, -600, 600)
    return np.exp(logs), log_q - logs.sum(axis=1)


def of_directions(X, n, rng):
    Z = rng.normal(size=(n, 3))
    return Z / np.linalg.norm(Z, axis=1, keepdims=True), np.full(n, -np.log(4 * np.pi))


def of_counts(X, n, rng):
    """Geometric columns."""
    p = 1 / (1 + X.mean(axis=0))
    Z = rng.geometric(p, size=(n, X.shape[1])) - 1.0
    return Z, stats.geom.logpmf(Z + 1, p).sum(axis=1)


def every_one(values, n_columns):
    """All rows, each of which stands for itself."""
    Z = np.array(list(itertools.product(values, repeat=n_columns)), dtype=np.asarray(values).dtype)
    return Z, None


def of_mixed(X, n, rng):
    reals, log_q = wide_reals(X[:, :2].astype(float), n, rng)
    bits, words = rng.integers(2, size=n), rng.integers(3, size=n)
    Z = np.column_stack([reals.astype(object), bits.astype(float).astype(object), np.array(WORDS_THERE_ARE)[words]])
    return Z, log_q - np.log(6)


def of_bits_beside_reals(X, n, rng):
    reals, log_q = wide_reals(X[:, :2], n, rng)
    return np.column_stack([reals, rng.integers(2, size=n)]), log_q - np.log(2)


#: By the identity of the rows: (rows, n, rng) -> (Z, log q or None where Z are all rows there are).
PROPOSALS = {
    id(REALS): of_reals,
    id(WAITS): of_waits,
    id(DIRECTIONS): of_directions,
    id(COUNTS): of_counts,
    id(BITS): lambda X, n, rng: every_one([0.0, 1.0], 4),
    id(CODES): lambda X, n, rng: every_one([0.0, 1.0, 2.0], 3),
    id(WORDS): lambda X, n, rng: every_one(np.array(WORDS_THERE_ARE, dtype=object), 3),
    id(MIXED): of_mixed,
}


REALS_AND_BITS = np.column_stack([REALS[:, :2], BITS[:, 0]])
PROPOSALS[id(REALS_AND_BITS)] = of_bits_beside_reals
WITH_BITS = [(0, 1, Gaussian()), (2, Bernoulli())]
FEW = REALS[:12]
PROPOSALS[id(FEW)] = of_reals


def _with(cls, *args, X=REALS, **options):
    return Entry(lambda: cls(*args, **options, random_state=0), X, None)


def _sampler(component):
    return {"component": component, "algorithm": "sampler", "n_draws": 40, "burn_in": 20}


MORE = {
    **{
        f"{name}, noise": _with(cls, 2, covariance_type=covariance_type, noise="uniform")
        for name, cls, covariance_type in (
            ("Gaussian full", GaussianMixture, "full"),
            ("Gaussian diag", GaussianMixture, "diag"),
            ("Student-t", StudentTMixture, "full"),
        )
    },
    # few rows, whose predictive densities are much wider than the densities of expected parameters
    **{
        f"Bayesian Gaussian {name}, few rows": _with(BayesianGaussianMixture, 2, covariance_type=name, X=FEW)
        for name in ("full", "tied", "diag", "spherical")
    },
    **{
        f"Dirichlet process {name}, few rows": _with(DirichletProcessMixture, name, X=FEW)
        for name in ("full", "tied", "diag", "spherical")
    },
    **{
        f"draws of partitions, {name}": _with(DirichletProcessMixture, **_sampler(name))
        for name in ("full", "diag", "spherical")
    },
    "parts": _with(DirichletProcessMixture, WITH_BITS, X=REALS_AND_BITS),
    "draws of partitions, parts": _with(DirichletProcessMixture, **_sampler(WITH_BITS), X=REALS_AND_BITS),
}
ALL = {**ESTIMATORS, **MORE}


def as_numbers(X):
    if X.dtype != object:
        return X
    columns = [
        np.searchsorted(WORDS_THERE_ARE, own.astype(str)) if isinstance(own[0], str) else own.astype(float)
        for own in X.T
    ]
    return np.column_stack(columns).astype(float)


def functions_of(X, rng):
    """A function of rows that gives bounded numbers (n, 24): waves of several lengths and half-spaces, in directions
    that go with the spread of X."""
    numbers = as_numbers(X)
    middle, width = numbers.mean(axis=0), numbers.std(axis=0) + 1e-9
    directions = rng.normal(size=(numbers.shape[1], 8)) / np.sqrt(numbers.shape[1])

    def functions(rows):
        t = ((as_numbers(rows) - middle) / width) @ directions
        return np.column_stack([np.cos(1.5 * t), np.sin(1.5 * t), t > 0.3])

    return functions


def agree(drawn, values, density, log_q, what):
    """Raises AssertionError where means of functions of draws are not those under the density.

    Parameters
    ----------
    drawn : ndarray of shape (n_draws, n_functions)
    values : ndarray of shape (n_rows, n_functions)
        Of the rows that the integral is made of.
    density : ndarray of shape (n_rows,)
        Its logarithm.
    log_q : ndarray of shape (n_rows,), or None
        Of the rows that were drawn for the integral; None: these are all there are.
    """
    error = drawn.var(axis=0) / len(drawn)
    if log_q is None:
        share = np.exp(density)
        assert share.sum() == pytest.approx(1, abs=1e-6)
        expected = share @ values
    else:
        share = np.exp(density - log_q)
        assert share.mean() == pytest.approx(1, abs=MOST_ERRORS * share.std() / np.sqrt(len(share)))
        expected = (share @ values) / len(share)
        error = error + (share[:, np.newaxis] * values).var(axis=0) / len(share)
    error = np.sqrt(error) + 1e-9
    assert np.all(error < LARGEST_ERROR), f"{what}: {error.max()}"
    distance = np.abs(drawn.mean(axis=0) - expected) / error
    assert np.all(distance < MOST_ERRORS), f"{what}: {distance.max()} standard errors"


def compositions(total, n_columns):
    """All rows of counts with this sum."""
    bars = itertools.combinations(range(total + n_columns - 1), n_columns - 1)
    return np.array([np.diff([-1, *own, total + n_columns - 1]) - 1 for own in bars], dtype=float)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.filterwarnings("ignore")
def test_draws_come_from_the_density_of_score_samples(name):
    entry, rng = ALL[name], np.random.default_rng(1)
    model = entry.make().fit(entry.X)
    X, labels = model.sample(N_DRAWS, random_state=2)
    functions = functions_of(entry.X, rng)
    if "totals_" in vars(model):  # a density of rows with a given sum
        totals = X.sum(axis=1)
        total = np.bincount(totals.astype(int)).argmax()
        X, Z, log_q = X[totals == total], compositions(total, X.shape[1]), None
    else:
        Z, log_q = PROPOSALS[id(entry.X)](entry.X, 10 * N_DRAWS, rng)
    agree(functions(X), functions(Z), density_inside_noise(model, Z), log_q, name)
    assert len(np.flatnonzero(np.diff(labels))) == len(np.unique(labels)) - 1, "rows are not grouped"
    assert labels.min() >= (-1 if getattr(model, "noise", None) else 0)
    assert labels.max() <= len(model.weights_)


def density_inside_noise(model, Z):
    """Log densities; uniform noise has one everywhere, and is counted in its box alone, where it is drawn."""
    density = model.score_samples(Z).astype(float)
    if not getattr(model, "noise", None):
        return density
    at = np.linalg.solve(model.noise_box_[1:].T, (Z - model.noise_box_[0]).T).T
    inside = np.all((at >= 0) & (at <= 1), axis=1)
    own = logsumexp((model.component_log_density(Z) + np.log(model.weights_))[:, :-1], axis=1)
    return np.where(inside, density, own)


def response_grid(name):
    """All responses there are, or points and the log of the distance between them."""
    if name == "binomial":
        return np.arange(2.0), 0.0  # draws are of one trial
    if name == "multinomial":
        return np.arange(3.0), 0.0
    if name in ("poisson", "negative_binomial"):
        return np.arange(4000.0), 0.0
    if name == "gamma":  # equal steps of the logarithm
        logs = np.linspace(-25, 12, 400_001)
        return np.exp(logs), logs + np.log(logs[1] - logs[0])
    grid = np.linspace(-3000, 3000, 1_200_001)
    return grid, np.log(grid[1] - grid[0])


@pytest.mark.parametrize("name", OF_RESPONSES)
@pytest.mark.filterwarnings("ignore")
def test_responses_come_from_the_density_of_score_samples(name):
    entry, n_draws = REGRESSIONS[name], 20_000
    model = entry.make().fit(entry.X, **entry.data)
    for row in entry.X[:2]:
        y, _ = model.sample(np.tile(row, (n_draws, 1)), random_state=3)
        grid, log_step = response_grid(name)
        share = np.exp(model.score_samples(np.tile(row, (len(grid), 1)), grid) + log_step)
        assert share.sum() == pytest.approx(1, abs=1e-3)  # of Student-t tails beyond the grid
        middle, width = np.median(y), np.subtract(*np.percentile(y, [75, 25])) + 0.5
        for function in (np.cos, np.sin, lambda t: t > 0.3):
            drawn = function((y - middle) / width)
            error = np.std(drawn) / np.sqrt(n_draws) + 1e-4
            assert error < LARGEST_ERROR
            assert abs(drawn.mean() - share @ function((grid - middle) / width)) < MOST_ERRORS * error
