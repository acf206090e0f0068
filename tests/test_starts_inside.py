"""No fit ends where its start put parameters to the edge of their domain: a probability of 0 or 1, a rate of 0.

EM does not leave such an edge, so a start that k-means or single rows made would decide there, and the fit would
converge at once. A fit that converged is moved a little to the inside, and must have nowhere to go from there.
"""

import warnings
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
from batches import fit_alone, same_bits
from sklearn.exceptions import ConvergenceWarning
from test_acceleration import overlapping_binary
from test_family_struct import changed, struct_in
from test_python_family import Geometric, GeometricMixture

from mixfast import (
    BernoulliMixture,
    CategoricalMixture,
    DirichletMultinomialMixture,
    ExponentialMixture,
    MultinomialMixture,
    PoissonMixture,
    ProductMixture,
    Status,
    VonMisesFisherMixture,
    fit_many,
    parts,
    seeding,
)
from mixfast.engine._rows import Rows

N_SEEDS = 20
STARTS = ["kmeans", "k-means++", "random_from_data", "labels"]


def kinds(rng, n_rows, n_columns=8, low=0.2, high=0.8):
    """A level between low and high in each column, for each row that of one of three kinds."""
    return rng.uniform(low, high, (3, n_columns))[rng.integers(3, size=n_rows)]


def binary(rng, n_rows):
    levels = kinds(rng, n_rows)
    return (rng.uniform(size=levels.shape) < levels).astype(float)


def binary_with_gaps(rng, n_rows):
    X = binary(rng, n_rows)
    X[rng.uniform(size=X.shape) < 0.1] = np.nan
    return X


def answers(rng, n_rows):
    return np.floor(3 * rng.beta(2 * (levels := kinds(rng, n_rows, 5)), 2 * (1 - levels)))


def rare_counts(rng, n_rows):
    return rng.poisson(kinds(rng, n_rows, low=0.1, high=1.5)).astype(float)


def words(rng, n_rows):
    levels = kinds(rng, n_rows, low=0.1, high=1)
    return np.array([rng.multinomial(4, own / own.sum()) for own in levels]).astype(float)


def varied_words(rng, n_rows):
    levels = kinds(rng, n_rows, low=0.1, high=1)
    return np.array([rng.multinomial(12, rng.dirichlet(2 * own)) for own in levels]).astype(float)


def times(rng, n_rows):
    return rng.gamma(2, kinds(rng, n_rows, 3, 0.5, 2))


def directions(rng, n_rows):
    X = kinds(rng, n_rows, 4, -1, 1) + 0.5 * rng.standard_normal((n_rows, 4))
    return X / np.linalg.norm(X, axis=1, keepdims=True)


class Case(NamedTuple):
    make_rows: object
    estimator: object
    attributes: tuple = ()  # what is moved


CASES = {
    "bernoulli": Case(binary, partial(BernoulliMixture, alpha=0.0), ("probabilities_",)),
    "bernoulli, small prior": Case(binary, partial(BernoulliMixture, alpha=1e-9), ("probabilities_",)),
    "bernoulli, missing": Case(binary_with_gaps, partial(BernoulliMixture, alpha=0.0), ("probabilities_",)),
    "categorical": Case(answers, partial(CategoricalMixture, alpha=0.0), ("probabilities_",)),
    "multinomial": Case(words, partial(MultinomialMixture, alpha=0.0), ("probabilities_",)),
    "poisson": Case(rare_counts, PoissonMixture, ("rates_",)),
}
#: Those whose parameters do not come to the edge, or leave it, by themselves.
UNSHARED = {
    "dirichlet": Case(
        varied_words, partial(DirichletMultinomialMixture, prior_shape=0.0, prior_rate=0.0), ("concentrations_",)
    ),
    "dirichlet, prior": Case(varied_words, DirichletMultinomialMixture, ("concentrations_",)),
    "exponential": Case(times, ExponentialMixture, ("rates_",)),
    "von_mises_fisher": Case(directions, VonMisesFisherMixture, ("concentrations_",)),
}


def start_named(name, X, seed):
    """For `init_params`: labels are those of k-means, with some rows left out."""
    if name in seeding.METHODS:
        return name
    labels = seeding.kmeans(Rows(np.nan_to_num(X, nan=0.5)), 3, seed).labels
    labels[::7] = -1
    return labels


def fitted(estimator, X, **options):
    options = {"n_components": 3, "tol": 1e-10, "max_iter": 5000, "accelerate": "auto", **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator(**options).fit(X)


def moved(values, overall):
    return 0.999 * values + 0.001 * overall


def move(model, attributes, overall):
    for name in attributes:
        values, of_all = getattr(model, name), getattr(overall, name)
        if isinstance(values, list):
            setattr(model, name, [moved(*pair) for pair in zip(values, of_all, strict=True)])
        else:
            setattr(model, name, moved(values, of_all))


def gains(case, start):
    """What fits that converged gain after a small move, over the seeds."""
    for seed in range(N_SEEDS):
        X = case.make_rows(np.random.default_rng([5, seed % 5]), 400)
        overall = fitted(case.estimator, X, n_components=1)
        model = fitted(case.estimator, X, init_params=start_named(start, X, seed), random_state=seed)
        if model.status_ & Status.CONVERGED:
            bound = model.lower_bound_
            move(model, case.attributes, overall)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                yield model.set_params(warm_start=True).fit(X).lower_bound_ - bound


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("name", [*CASES, *UNSHARED])
def test_a_small_move_to_the_inside_leads_nowhere(name, start):
    """But for one fit: from inside, too, EM may bring a probability so close to 1 that it is 1, before the other
    parameters are where they would have called it back."""
    gained = np.array(list(gains({**CASES, **UNSHARED}[name], start)))
    assert len(gained) > 0.7 * N_SEEDS
    assert np.sum(gained > 1e-6) <= 1


@pytest.mark.parametrize("start", ["kmeans", "labels"])
def test_hard_starts_would_be_seen(start):
    class Hard(BernoulliMixture):
        def _family(self):
            return changed(super()._family(), {"starts_inside": 0})

    gained = np.array(list(gains(Case(binary, partial(Hard, alpha=0.0), ("probabilities_",)), start)))
    assert np.sum(gained > 1e-6) >= 4


@pytest.mark.parametrize("start", ["kmeans", "k-means++", "random_from_data", "labels"])
def test_all_seeds_find_the_best_of_three_thousand_binary_rows(start):
    X = overlapping_binary()
    for seed in range(N_SEEDS):
        model = fitted(BernoulliMixture, X, alpha=0.0, init_params=start_named(start, X, seed), random_state=seed)
        assert model.lower_bound_ == pytest.approx(-5.162382, abs=2e-6), seed


def parameters(model, name):
    """A list of arrays."""
    values = getattr(model, name)
    return values if isinstance(values, list) else [values]


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("name", CASES)
def test_a_start_is_inside(name, start):
    case = CASES[name]
    for seed in range(N_SEEDS):
        X = case.make_rows(np.random.default_rng([6, seed]), 40)
        overall = fitted(case.estimator, X, n_components=1)
        model = fitted(case.estimator, X, init_params=start_named(start, X, seed), random_state=seed, max_iter=0)
        for own, of_all in zip(*(parameters(of, *case.attributes) for of in (model, overall)), strict=True):
            assert np.all((own > 0) | (of_all == 0))
            if name != "poisson":
                assert np.all((own < 1) | (of_all == 1))


def test_a_part_of_a_product_starts_inside_and_the_law_holds_for_it():
    rng = np.random.default_rng(7)
    X = np.hstack([binary(rng, 600), rng.standard_normal((600, 2))])
    kinds_of_columns = [(*range(8), parts.Bernoulli(alpha=0.0)), (8, 9, parts.Gaussian(covariance_type="diag"))]
    name = ", ".join(map(str, range(8)))
    n_converged = n_uphill = 0
    for start in STARTS[:3]:
        for seed in range(10):
            options = {"parts": kinds_of_columns, "init_params": start, "random_state": seed}
            begun = fitted(ProductMixture, X, **options, max_iter=0).components_[name].probabilities_
            assert np.all((begun > 0) & (begun < 1))
            model = fitted(ProductMixture, X, **options)
            if model.status_ & Status.CONVERGED:
                n_converged += 1
                bound = model.lower_bound_
                part = model.components_[name]
                part.probabilities_ = moved(part.probabilities_, X[:, :8].mean(axis=0))
                n_uphill += model.set_params(warm_start=True).fit(X).lower_bound_ > bound + 1e-6
    assert n_converged > 20
    assert n_uphill <= 1


def test_a_prior_of_a_pseudo_count_keeps_inside_by_itself():
    """A start is then the M-step on the labels, and nothing else."""
    X = binary(np.random.default_rng(8), 300)
    labels = np.arange(300) % 3
    model = fitted(BernoulliMixture, X, alpha=1.0, init_params=labels, max_iter=0)
    expected = [(X[labels == k].sum(axis=0) + 1) / 102 for k in range(3)]
    np.testing.assert_allclose(model.probabilities_, expected, rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-9, 2.0, 1e9])
def test_the_scale_of_weights_moves_no_start(scale):
    """A share of each row, not a number of rows: a weight of 2 equals repeating the row."""
    rng = np.random.default_rng(9)
    X, weight = binary(rng, 300), rng.uniform(0.5, 2, 300)
    labels = np.where(np.arange(300) % 5 == 0, -1, np.arange(300) % 3)
    start = partial(BernoulliMixture, 3, alpha=0.0, init_params=labels, max_iter=0)
    one, other = start().fit(X, sample_weight=weight), start().fit(X, sample_weight=scale * weight)
    np.testing.assert_allclose(one.probabilities_, other.probabilities_, rtol=1e-12)
    overall = np.average(X, axis=0, weights=weight)
    expected = [np.average(X[labels == k], axis=0, weights=weight[labels == k]) for k in range(3)]
    np.testing.assert_allclose(one.probabilities_, (np.array(expected) + overall) / 2, rtol=1e-12)
    np.testing.assert_allclose(
        one.weights_, np.bincount(labels[labels >= 0], weight[labels >= 0]) / weight[labels >= 0].sum(), rtol=1e-12
    )


@pytest.mark.parametrize("start", ["kmeans", "k-means++", "random_from_data", "random"])
@pytest.mark.parametrize("name", ["bernoulli", "bernoulli, missing", "categorical", "multinomial", "poisson"])
def test_batches_start_there_too(name, start):
    case = CASES[name]
    rng = np.random.default_rng(10)
    problems = [case.make_rows(rng, n_rows) for n_rows in (3, 5, 40, 300, 700)]
    weights = [rng.uniform(0, 2, len(X)) + 0.1 for X in problems]
    options = {"categories": [range(3)] * 5} if name == "categorical" else {}
    estimator = case.estimator(n_components=3, init_params=start, **options)
    for sample_weight in (None, weights):
        result = fit_many(problems, estimator, random_state=3, sample_weight=sample_weight)
        for i, X in enumerate(problems):
            alone = fit_alone(estimator, X, 3, None if sample_weight is None else sample_weight[i])
            own = result[i]
            for attribute in ("weights_", *case.attributes, "lower_bound_", "n_iter_", "status_"):
                assert same_bits(getattr(own, attribute), getattr(alone, attribute)), (i, attribute)


def test_a_family_in_python_may_ask_for_it():
    class Inside(Geometric):
        starts_inside = True

    X = np.array([[0.0], [0.0], [8.0], [8.0]])
    labels = np.array([0, 0, 1, 1])
    assert struct_in(Inside().bind(2, 1, np.float64)).starts_inside
    hard = GeometricMixture(2, init_params=labels, max_iter=0)
    soft = GeometricMixture(2, init_params=labels, max_iter=0)
    soft._family = Inside
    shared = np.array([[0.75, 0.25]] * 2 + [[0.25, 0.75]] * 2)
    given = GeometricMixture(2, init_params=shared, max_iter=0)
    models = [model.fit(X) for model in (hard, soft, given)]
    np.testing.assert_allclose(models[1].probabilities_, models[2].probabilities_, rtol=1e-12)
    assert np.all(models[0].probabilities_ != models[1].probabilities_)
