"""What a fit has seen is possible: every row of positive weight has a finite log density under the fitted model.

Sums lose small weights beside large ones, and parameters are rounded to the precision of the data when they are
published; neither may bring a parameter to the edge of its domain.
"""

import warnings
from functools import partial

import numpy as np
import pytest
from batches import same_bits

from mixfast import (
    BernoulliMixture,
    CategoricalMixture,
    DirichletMultinomialMixture,
    ExponentialMixture,
    GammaMixture,
    MultinomialMixture,
    PoissonMixture,
    VonMisesFisherMixture,
    fit_many,
)


def binary(rng, n_rows, n_columns):
    return (rng.uniform(size=(n_rows, n_columns)) < rng.choice([0.1, 0.5, 0.9])).astype(float)


def answers(rng, n_rows, n_columns):
    return rng.integers(0, 3, (n_rows, n_columns)).astype(float)


def counts(rng, n_rows, n_columns):
    return rng.poisson(rng.choice([0.3, 3, 100]), (n_rows, n_columns)).astype(float)


def times(rng, n_rows, n_columns):
    return rng.gamma(1, 1, (n_rows, n_columns))


def directions(rng, n_rows, n_columns):
    X = rng.standard_normal((n_rows, n_columns + 1))
    return X / np.linalg.norm(X, axis=1, keepdims=True)


PRIORS = [0.0, 1e-12, 1.0]
CASES = {
    **{f"bernoulli {a}": (binary, partial(BernoulliMixture, alpha=a)) for a in PRIORS},
    **{f"categorical {a}": (answers, partial(CategoricalMixture, alpha=a)) for a in PRIORS},
    **{f"multinomial {a}": (counts, partial(MultinomialMixture, alpha=a)) for a in PRIORS},
    **{f"poisson {a}": (counts, partial(PoissonMixture, alpha=a)) for a in PRIORS},
    "dirichlet-multinomial": (counts, DirichletMultinomialMixture),
    "dirichlet-multinomial, no prior": (counts, partial(DirichletMultinomialMixture, prior_shape=0, prior_rate=0)),
    "gamma": (times, GammaMixture),
    "exponential": (times, ExponentialMixture),
    "von mises-fisher": (directions, VonMisesFisherMixture),
}


@pytest.mark.parametrize("largest", [1e3, 1e9, 1e17, 1e25])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_every_fitted_row_is_possible(name, dtype, largest):
    make_rows, estimator = CASES[name]
    for seed in range(20):
        rng = np.random.default_rng([1, seed])
        X = make_rows(rng, rng.integers(4, 40), rng.integers(1, 4)).astype(dtype)
        weight = rng.choice([1, largest], len(X)) * rng.uniform(0.5, 2, len(X))
        model = estimator(rng.integers(1, 4), random_state=seed, init_params=rng.choice(["kmeans", "random_from_data"]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X, sample_weight=weight)
        assert np.all(np.isfinite(model.score_samples(X))), seed


def test_certain_is_certain_where_no_zero_can_be_lost():
    X = np.repeat([[0.0, 1], [1, 0]], 3, axis=0)
    start = np.eye(2)[np.repeat([0, 1], 3)]
    one = BernoulliMixture(2, alpha=0.0, init_params=start)
    np.testing.assert_array_equal(one.fit(X).probabilities_, [[0, 1], [1, 0]])
    heavy = one.fit(X, sample_weight=[1, 1, 1e17, 1, 1, 1e17]).probabilities_
    np.testing.assert_array_equal(heavy == 0, [[True, False], [False, True]])
    np.testing.assert_array_equal(1 - heavy.max(axis=1), np.finfo(float).eps)


def test_a_batch_publishes_what_a_fit_does():
    rng = np.random.default_rng(2)
    problems = [binary(rng, 30, 3).astype(np.float32) for _ in range(20)]
    weights = [rng.choice([1, 1e9], 30) for _ in problems]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = fit_many(problems, BernoulliMixture(2, alpha=0.0), random_state=0, sample_weight=weights)
    assert np.any(result.probabilities == np.nextafter(np.float32(1), np.float32(0)))
    for i in range(len(problems)):
        assert same_bits(result.probabilities[i], result[i].probabilities_)
        assert same_bits(result.weights[i], result[i].weights_)
