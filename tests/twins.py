"""Each compiled family beside its NumPy twin, with data and parameters to try them on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mixfast._em import EM, Rows
from mixfast._isa import available_isas
from mixfast._reference import bernoulli as bernoulli_twin
from mixfast._reference import categorical as categorical_twin
from mixfast._reference import gaussian as gaussian_twin
from mixfast.families.bernoulli import Bernoulli, BernoulliParams
from mixfast.families.categorical import Categorical, CategoricalParams
from mixfast.families.gaussian import (
    DiagonalGaussian,
    FullGaussian,
    GaussianParams,
    SphericalGaussian,
    TiedGaussian,
)

ISAS = available_isas()
DTYPES = (np.float64, np.float32)


class Twins(NamedTuple):
    """A compiled family, its twin, and makers of rows and of parameters."""

    compiled: object
    reference: object
    make_rows: callable
    make_params: callable


def gaussian_rows(rng, n_rows, n_features):
    """Three groups away from the origin, columns of different scales."""
    centres = 5 + 2 * rng.standard_normal((3, n_features))
    rows = centres[rng.integers(3, size=n_rows)] + rng.standard_normal((n_rows, n_features))
    return rows * np.linspace(0.5, 2, n_features)


def _means(rng, n_components, n_features):
    return (5 + 2 * rng.standard_normal((n_components, n_features))) * np.linspace(0.5, 2, n_features)


def _covariance(rng, n_features):
    factor = rng.standard_normal((n_features, 2 * n_features + 3))
    return 3 * factor @ factor.T / factor.shape[1] + 0.5 * np.eye(n_features)


def full_params(rng, n_components, n_features):
    covariances = np.array([_covariance(rng, n_features) for _ in range(n_components)])
    factors = np.array([gaussian_twin.precision_factor(covariance) for covariance in covariances])
    return GaussianParams(_means(rng, n_components, n_features), covariances, factors)


def tied_params(rng, n_components, n_features):
    covariance = _covariance(rng, n_features)
    return GaussianParams(_means(rng, n_components, n_features), covariance, gaussian_twin.precision_factor(covariance))


def diagonal_params(rng, n_components, n_features):
    variances = rng.uniform(1, 4, (n_components, n_features))
    return GaussianParams(_means(rng, n_components, n_features), variances, 1 / np.sqrt(variances))


def spherical_params(rng, n_components, n_features):
    variances = rng.uniform(1, 4, n_components)
    return GaussianParams(_means(rng, n_components, n_features), variances, 1 / np.sqrt(variances))


def binary_rows(rng, n_rows, n_features):
    """Three groups with probabilities of their own."""
    probabilities = rng.uniform(size=(3, n_features))[rng.integers(3, size=n_rows)]
    return (rng.uniform(size=(n_rows, n_features)) < probabilities).astype(float)


def bernoulli_params(rng, n_components, n_features):
    return BernoulliParams(rng.uniform(0.05, 0.95, (n_components, n_features)))


def answers(rng, n_rows, n_features):
    """Codes of three categories, or 3 for a missing answer; three groups with probabilities of their own."""
    ladders = np.cumsum(rng.dirichlet(np.ones(4), (3, n_features)), axis=2)[rng.integers(3, size=n_rows)]
    return np.sum(rng.uniform(size=(n_rows, n_features, 1)) > ladders[:, :, :3], axis=2).astype(float)


def categorical_params(rng, n_components, n_features):
    probabilities = rng.dirichlet(np.full(3, 2.0), (n_components, n_features))
    return CategoricalParams(probabilities.reshape(n_components, -1))


FAMILIES = {
    "full": Twins(FullGaussian(1e-6), gaussian_twin.FullGaussian(1e-6), gaussian_rows, full_params),
    "tied": Twins(TiedGaussian(1e-6), gaussian_twin.TiedGaussian(1e-6), gaussian_rows, tied_params),
    "diagonal": Twins(DiagonalGaussian(1e-6), gaussian_twin.DiagonalGaussian(1e-6), gaussian_rows, diagonal_params),
    "spherical": Twins(SphericalGaussian(1e-6), gaussian_twin.SphericalGaussian(1e-6), gaussian_rows, spherical_params),
    "bernoulli": Twins(Bernoulli(0.5), bernoulli_twin.Bernoulli(0.5), binary_rows, bernoulli_params),
    "categorical": Twins(Categorical(3, 0.5), categorical_twin.Categorical(3, 0.5), answers, categorical_params),
}


def random_weights(rng, n_components):
    weights = rng.uniform(0.5, 2, n_components)
    return weights / weights.sum()


def make_em(twins, X, weights, params, sample_weight=None, n_threads=1, chunk_rows=None, isa=None):
    """The compiled engine at the given parameters."""
    n_components, n_features = len(weights), X.shape[1]
    capsule = twins.compiled.bind(n_components, n_features, X.dtype, isa)
    em = EM(capsule, Rows(X, sample_weight), n_threads, chunk_rows)
    em.set_state(weights, twins.compiled.params_layout(n_components, n_features).pack(params))
    return em


def flat(arrays):
    """A tuple of arrays as one buffer."""
    return np.concatenate([np.ravel(array) for array in arrays])
