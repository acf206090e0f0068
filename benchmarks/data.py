"""The cases that benchmarks run on: rows from a mixture, a start for EM, and a judge of what was fitted.

Nothing here uses mixfast or a rival: the rows, the start and the judge are the same for all of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import logsumexp


class Case(NamedTuple):
    """A shape of problem. `family` is 'bernoulli', or the structure of Gaussian covariances."""

    family: str
    n_samples: int
    n_features: int
    n_components: int
    dtype: str = "float64"


CASES = {
    "A": Case("full", 100_000, 16, 32),
    "A32": Case("full", 100_000, 16, 32, "float32"),
    "B": Case("full", 1_000_000, 2, 8),
    "C": Case("full", 20_000, 128, 64),
    "D": Case("diag", 100_000, 64, 128),
    "E": Case("tied", 100_000, 16, 32),
    "F": Case("bernoulli", 20_000, 40, 6),
}


class Problem(NamedTuple):
    """Rows of a case and the parameters to start from, weights, locations and covariances.

    `locations` are the means of Gaussians, or the probabilities of Bernoulli components, which have no `covariances`.
    `labels` are a rough guess of the rows' components; the start of Bernoulli components is what maximum likelihood
    makes of them.
    """

    case: Case
    X: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    locations: np.ndarray
    covariances: np.ndarray | None


def generate(case, seed=0):
    """A `Problem` of the shape of `case`; the same one for the same seed."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(case.n_components, size=case.n_samples)
    make = _bernoulli if case.family == "bernoulli" else _gaussian
    return make(case, labels, rng)


def _rough(labels, n_components, rng):
    """Labels of which two thirds are random: EM has some way to go from them."""
    return np.where(rng.uniform(size=len(labels)) < 2 / 3, rng.integers(n_components, size=len(labels)), labels)


def _bernoulli(case, labels, rng):
    probabilities = rng.uniform(0.2, 0.8, (case.n_components, case.n_features))
    X = (rng.uniform(size=(case.n_samples, case.n_features)) < probabilities[labels]).astype(case.dtype)
    labels = _rough(labels, case.n_components, rng)
    weights = np.bincount(labels, minlength=case.n_components) / len(labels)
    start = np.stack([X[labels == k].mean(axis=0) for k in range(case.n_components)])
    return Problem(case, X, labels, weights, start, None)


def _gaussian(case, labels, rng):
    """Centres are some 4 standard deviations of the noise apart, whatever the dimension: clusters are clear, but EM is
    still under way after a dozen iterations, so that one that does something else ends somewhere else."""
    d, n_components = case.n_features, case.n_components
    centres = rng.normal(0, 3 / np.sqrt(d), (n_components, d))
    X = rng.standard_normal((case.n_samples, d))
    # The noise is correlated where the model can say so: one that got correlations wrong would not fit it
    mixing = np.eye(d) + rng.normal(0, 0.4 / np.sqrt(d), (n_components, d, d))
    for k in range(n_components):
        own = labels == k
        if case.family == "diag":
            X[own] *= np.abs(np.diag(mixing[k]))
        else:
            X[own] = X[own] @ mixing[k if case.family == "full" else 0].T
        X[own] += centres[k]
    unit = {"full": np.tile(np.eye(d), (n_components, 1, 1)), "tied": np.eye(d), "diag": np.ones((n_components, d))}
    means = centres + rng.normal(0, 2 / np.sqrt(d), centres.shape)
    weights = np.full(n_components, 1 / n_components)
    labels = _rough(labels, n_components, rng)
    return Problem(case, X.astype(case.dtype), labels, weights, means, 1.5 * unit[case.family])


def log_likelihood(problem, weights, locations, covariances):
    """Mean log probability of the rows under given parameters, always in float64: it judges every system alike."""
    X, locations = problem.X.astype(np.float64), np.asarray(locations, dtype=np.float64)
    if problem.case.family == "bernoulli":
        p = np.clip(locations, 1e-15, 1 - 1e-15)
        log_density = X @ np.log(p).T + (1 - X) @ np.log1p(-p).T
    else:
        log_density = _gaussian_log_density(X, locations, np.asarray(covariances, dtype=np.float64))
    return float(np.mean(logsumexp(log_density + np.log(np.asarray(weights, dtype=np.float64)), axis=1)))


def _gaussian_log_density(X, means, covariances):
    diagonal = covariances.shape == means.shape
    if covariances.ndim == 2 and not diagonal:  # one matrix for all
        covariances = np.broadcast_to(covariances, (len(means), *covariances.shape))
    log_density = np.empty((len(X), len(means)))
    for k, mean in enumerate(means):
        if diagonal:
            scale = np.sqrt(covariances[k])
            z = ((X - mean) / scale).T
        else:
            factor = np.linalg.cholesky(covariances[k])
            scale = np.diag(factor)
            z = solve_triangular(factor, (X - mean).T, lower=True)
        log_density[:, k] = -0.5 * np.einsum("ij,ij->j", z, z) - np.log(scale).sum()
    return log_density - 0.5 * X.shape[1] * np.log(2 * np.pi)


#: Rows that `generate_many` makes at a time: what it needs beside the result is some megabytes.
ROWS_AT_ONCE = 100_000


def generate_many(case, n_problems, seed=0):
    """Rows of many problems of one shape, (n_problems, n_samples, n_features), each from a mixture of its own.

    Components have standard deviations of 0.75 to 1.25 times that of the problem. Neighbours are 3 to 5 of the latter
    apart, all others at least 4.2: centres follow a path that stays within 45 degrees of one direction.
    """
    rng = np.random.default_rng(seed)
    X = np.empty((n_problems, case.n_samples, case.n_features), dtype=case.dtype)
    for first in range(0, n_problems, step := max(1, ROWS_AT_ONCE // case.n_samples)):
        part = X[first : first + step]
        part[:] = _mixtures(case, len(part), rng)
    return X


def _mixtures(case, n_problems, rng):
    n_components, d = case.n_components, case.n_features
    weights = rng.dirichlet(np.full(n_components, 5.0), n_problems)
    mixing = np.eye(d) * rng.uniform(0.75, 1.25, (n_problems, n_components, 1, 1))
    if case.family == "full":
        mixing += np.tril(rng.normal(0, 0.3 / np.sqrt(d), mixing.shape), -1)
    above = rng.uniform(size=(n_problems, case.n_samples, 1)) > np.cumsum(weights, axis=1)[:, np.newaxis, :-1]
    own = np.arange(n_problems)[:, np.newaxis], above.sum(axis=2)
    noise = rng.standard_normal((n_problems, case.n_samples, d))
    X = _paths(n_problems, n_components, d, rng)[own] + np.einsum("pnij,pnj->pni", mixing[own], noise)
    return 10 ** rng.uniform(-1, 1, (n_problems, 1, 1)) * (X + rng.normal(0, 10, (n_problems, 1, d)))


def _paths(n_problems, n_components, d, rng):
    """Centres, (n_problems, n_components, d)."""
    ahead = rng.standard_normal((n_problems, 1, d))
    ahead /= np.linalg.norm(ahead, axis=2, keepdims=True)
    angle = np.zeros(1)  # there is one way to go on a line
    aside = np.zeros(1)
    if d > 1:
        angle = rng.uniform(-np.pi / 4, np.pi / 4, (n_problems, n_components, 1))
        aside = rng.standard_normal((n_problems, n_components, d))
        aside -= (aside @ ahead.transpose(0, 2, 1)) * ahead
        aside /= np.linalg.norm(aside, axis=2, keepdims=True)
    steps = rng.uniform(3, 5, (n_problems, n_components, 1)) * (np.cos(angle) * ahead + np.sin(angle) * aside)
    return np.cumsum(steps, axis=1)
