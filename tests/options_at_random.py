"""Cases for laws of every estimator: options, rows, and what rows have beside their values, drawn at random.

`drawn(seed)` is a case, whatever other seeds are drawn. Options that are not taken together have a condition in the
table below, so that every case can be fitted: that each is, is a law itself (test_options_at_random.py).
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from estimators_table import (
    BITS,
    CODES,
    COUNTS,
    DIRECTIONS,
    ESTIMATORS,
    MIXED,
    REALS,
    REGRESSIONS,
    WAITS,
    WORDS,
    Rows,
)
from sklearn.base import BaseEstimator, clone

from mixfast import (
    GSDMM,
    BayesianGaussianMixture,
    BernoulliMixture,
    CategoricalMixture,
    DirichletMultinomialMixture,
    DirichletProcessMixture,
    ExponentialMixture,
    GammaMixture,
    GaussianMixture,
    MixtureOfExperts,
    MultinomialMixture,
    PoissonMixture,
    ProductMixture,
    StudentTMixture,
    VonMisesFisherMixture,
)
from mixfast.families.covariances import SHAPES
from mixfast.families.gaussian import WITH_LIMIT, WITH_PRIOR

#: Every option is given in so many of the cases that could have it. Most then have two to four, one of a loop.
SHARE_GIVEN = 0.25


# ---- rows -----------------------------------------------------------------------------------------------------------


def _groups(rng, n, K):
    return rng.integers(K, size=n)


def _reals(rng, n, d, K):
    return rng.normal(0, 4, (K, d))[_groups(rng, n, K)] + rng.choice([0.3, 1, 2]) * rng.normal(size=(n, d))


def _positive(rng, n, d, K):
    shapes = rng.gamma(4.0, 1.0, (K, d))[_groups(rng, n, K)]
    return rng.gamma(shapes, rng.gamma(2.0, 1.0, d)) + 1e-3


def _counts(rng, n, d, K):
    X = rng.poisson(rng.gamma(1.0, 4.0, (K, d))[_groups(rng, n, K)]).astype(float)
    X[0, 0] += 1  # a table of zeros alone says nothing of words
    return X


def _bits(rng, n, d, K):
    return (rng.random((n, d)) < rng.random((K, d))[_groups(rng, n, K)]).astype(float)


def _codes(rng, n, d, K):
    return np.floor(3 * rng.random((n, d)) ** rng.choice([0.5, 1.0, 2.0], (K, d))[_groups(rng, n, K)])


def _words(rng, n, d, K):
    return np.array(["blue", "green", "red"], dtype=object)[_codes(rng, n, d, K).astype(int)]


def _directions(rng, n, d, K):
    X = _reals(rng, n, d, K)
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def _mixed(rng, n, d, K):
    """Of the parts of the table: two Gaussian columns, a Bernoulli, a categorical."""
    columns = (_reals(rng, n, 2, K), _bits(rng, n, 1, K), _words(rng, n, 1, K))
    return np.column_stack([own.astype(object) for own in columns])


def _repeated(rng, X):
    X[rng.random(len(X)) < 0.4] = X[0]


def _equal_columns(rng, X):
    X[:, -1] = X[:, 0]


def _constant_column(rng, X):
    X[:, rng.integers(X.shape[1])] = X[0, 0]


def _far_from_zero(rng, X):
    X += 1e4


def _units(rng, X):
    X *= 10.0 ** rng.integers(-6, 7, X.shape[1])


def _rounded(rng, X):
    np.round(X, out=X)


def _halves(rng, X):
    X[:] = np.ceil(2 * X) / 2


def _zeros(rng, X):
    X[rng.random(X.shape) < 0.4] = 0
    X[0, 0] = 1


def _outlier(rng, X):
    X[rng.integers(len(X))] *= 100


def _large(rng, X):
    X[:, rng.integers(X.shape[1])] *= 1000


def _changed(rng, X, changes):
    """Names of those that were made, in place: half of one of them, in the mean."""
    chosen = [change for change in changes if rng.random() < 0.5 / len(changes)]
    for change in chosen:
        change(rng, X)
    return [change.__name__[1:].replace("_", " ") for change in chosen]


class Domain(NamedTuple):
    """rows : (rng, n, d, K) -> (n, d) of K groups
    least_columns, most_columns : of these
    changes : name -> (rng, X), what makes them less easy, in place
    """

    rows: Callable
    least_columns: int = 1
    most_columns: int = 4
    changes: tuple = (_repeated,)

    def draw(self, rng, n, K, n_factors=0):
        """(rows, names of the changes); more columns than there are factors."""
        least = max(self.least_columns, n_factors + 1)
        X = self.rows(rng, n, int(rng.integers(least, self.most_columns + 1)), K)
        return X, _changed(rng, X, self.changes)


_OF_COLUMNS = (_repeated, _equal_columns, _constant_column)
_OF_COUNTS = (*_OF_COLUMNS, _zeros, _large, _outlier)
#: By the rows that estimators have in their table.
DOMAINS = [
    (REALS, Domain(_reals, changes=(*_OF_COLUMNS, _far_from_zero, _units, _rounded, _zeros, _outlier))),
    (BITS, Domain(_bits, changes=_OF_COLUMNS)),
    (CODES, Domain(_codes, 3, 3, _OF_COLUMNS)),  # an entry of the table has categories of three columns
    (WORDS, Domain(_words, changes=_OF_COLUMNS)),
    (COUNTS, Domain(_counts, least_columns=2, changes=_OF_COUNTS)),
    (WAITS, Domain(_positive, changes=(*_OF_COLUMNS, _units, _halves, _outlier))),
    (DIRECTIONS, Domain(_directions, least_columns=2)),
    (MIXED, Domain(_mixed)),
]


def domain_of(entry):
    return next(domain for X, domain in DOMAINS if X is entry.X)


# ---- options --------------------------------------------------------------------------------------------------------


def _always(taken, X):
    return True


class Option(NamedTuple):
    """values : those that it may have, or (rng, K) -> one
    goes_with : (parameters so far, of the maker and of options before; rows) -> whether it may be given beside them
    """

    values: Callable | tuple
    goes_with: Callable = _always

    def draw(self, rng, K):
        return self.values(rng, K) if callable(self.values) else self.values[rng.integers(len(self.values))]


def without(*names):
    """Where none of these has been given."""
    return lambda taken, X=None: all(taken.get(name) is None for name in names)


def _have_volume(X):
    """Whether there is a region around the rows that is not flat."""
    n, d = X.shape
    return n > 4 * d and np.linalg.matrix_rank(X - X.mean(axis=0)) == d


def _shares(rng, K):
    weights = rng.dirichlet(np.full(K, 4.0))
    return weights / weights.sum()


EM = {
    "max_iter": Option((1, 2, 5, 20)),
    "tol": Option((0.0, 1e-6, 1e-10)),
    "n_init": Option((1, 3)),
    "n_init_policy": Option(("halving",)),
    "init_params": Option(("kmeans", "k-means++", "random_from_data", "random")),
    "accelerate": Option(("auto",)),
}
WEIGHTS = {
    "weights": Option(_shares),
    "weight_concentration": Option((1.0, 1.5, 5.0), without("weights")),
}
ORDER = {"canonical_order": Option((True,))}
ELLIPTICAL = {
    "regularization": Option(("relative",)),
    "noise": Option(
        ("uniform", 0.1),
        lambda taken, X: (
            taken.get("weights") is None and taken.get("init_params") != "random_from_data" and _have_volume(X)
        ),
    ),
    "trim": Option((0.05, 0.2), without("noise")),
}
OPTIONS = {
    GaussianMixture: {
        **EM,
        **WEIGHTS,
        **ORDER,
        "reg_covar": Option((1e-12, 1e-3)),
        **ELLIPTICAL,
        "covariance_prior": Option(
            ("default",),
            lambda taken, X: taken["covariance_type"] in ("full", *WITH_PRIOR) and taken.get("regularization") is None,
        ),
        "eigenvalue_ratio": Option(
            (1.0, 10.0, 100.0),
            lambda taken, X: (
                taken["covariance_type"] in ("full", *WITH_LIMIT) and taken.get("covariance_prior") is None
            ),
        ),
        "max_active": Option(
            (1, 2),
            lambda taken, X: (
                taken["covariance_type"] in ("spherical", "diag", "factor")
                and without("noise", "trim", "accelerate", "n_init_policy")(taken)
            ),
        ),
    },
    StudentTMixture: {
        **EM,
        **WEIGHTS,
        **ORDER,
        "covariance_type": Option(("full", "tied", "diag", "spherical", *SHAPES)),
        "degrees_of_freedom": Option(("component", "shared", 3.0, 30.0)),
        "reg_covar": Option((1e-12, 1e-3)),
        **ELLIPTICAL,
    },
    BayesianGaussianMixture: {
        **EM,
        **ORDER,
        "regularization": Option(("relative",)),
        "weight_concentration_prior_type": Option(("dirichlet_process",)),
        "weight_concentration_prior": Option((1e-3, 1.0, 1e3)),
        "mean_precision_prior": Option((1e-2, 3.0)),
        "prune": Option((True,)),
    },
    BernoulliMixture: EM | WEIGHTS | ORDER | {"alpha": Option((0.0, 0.5))},
    CategoricalMixture: EM | WEIGHTS | ORDER | {"alpha": Option((0.0, 0.1))},
    MultinomialMixture: EM | WEIGHTS | ORDER | {"alpha": Option((0.0, 0.1))},
    DirichletMultinomialMixture: EM | WEIGHTS | ORDER | {"prior_shape": Option((1.0, 2.0))},
    PoissonMixture: EM | WEIGHTS | ORDER | {"alpha": Option((1.0,)), "beta": Option((0.1,))},
    GammaMixture: EM | WEIGHTS | ORDER,
    ExponentialMixture: EM | WEIGHTS | ORDER,
    VonMisesFisherMixture: EM | WEIGHTS | ORDER,
    ProductMixture: EM | WEIGHTS | ORDER,
    DirichletProcessMixture: {
        "max_iter": Option((1, 5, 20)),
        "tol": Option((0.0, 1e-6)),
        "concentration": Option((0.1, 10.0)),
        "moves": Option((("birth",), ("merge", "delete"), ("birth", "merge", "delete"))),
        "n_batches": Option((1, 3)),
    },
    GSDMM: {"alpha": Option((0.01, 1.0)), "beta": Option((0.01, 1.0)), "n_init": Option((2,))},
    MixtureOfExperts: {
        **EM,
        "gate": Option(("same",), without("gate")),
        "variance": Option(("common",)),
        "fixed": Option(([0],), without("fixed", "columns")),
        "fit_intercept": Option((False,)),
        "alpha": Option((0.1,)),
        "degrees_of_freedom": Option(("component", 10.0)),
    },
}


# ---- cases ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """An estimator that is not fitted, and rows for it; `rows.data` is what `fit` takes beside X, with weights.

    resp : (n, number of weights) responsibilities to begin with, or None where nothing is begun with
    """

    seed: int
    name: str
    changes: list
    estimator: BaseEstimator
    rows: Rows
    resp: np.ndarray | None

    def __str__(self):
        return f"{self.seed}-{self.name}"

    def __repr__(self):
        """What a test that fails shows of it."""
        beside = {name: values.shape for name, values in self.rows.data.items()}
        return (
            f"seed {self.seed}: {self.estimator!r}, fitted to {self.rows.X.shape} {self.rows.X.dtype} and {beside}; "
            f"rows are changed by {self.changes}"
        )

    @cached_property
    def model(self):
        """The fit. Laws leave it as it is."""
        return self.rows.to(clone(self.estimator).fit)

    @property
    def shown(self):
        """The rows as predictions take them: they know of no labels, weights and groups."""
        of_fits = ("sample_weight", "known_labels", "groups")
        return Rows(self.rows.X, {name: own for name, own in self.rows.data.items() if name not in of_fits})

    @property
    def is_single(self):
        """Of single precision."""
        return self.rows.X.dtype == np.float32

    def has(self, name):
        """Whether the rows have it beside them, or it is an option that is neither None nor False."""
        value = self.estimator.get_params(deep=False).get(name)
        return name in self.rows.data or not (value is None or value is False)


NAMES = [*ESTIMATORS, *(f"experts, {name}" for name in REGRESSIONS)]


def _options(rng, estimator, X, K):
    """Of the table, those that are given."""
    taken, given = estimator.get_params(deep=False), {}
    for name, option in OPTIONS[type(estimator)].items():
        if rng.random() < SHARE_GIVEN and option.goes_with(taken, X):
            taken[name] = given[name] = option.draw(rng, K)
    return given


def _weights(rng, n):
    return rng.integers(1, 4, n).astype(float) if rng.random() < 0.5 else rng.uniform(0.1, 3, n)


def _labels(rng, n, K):
    """Of a fifth of the rows."""
    return np.where(rng.random(n) < 0.2, rng.integers(0, K, n), -1)


def _with_gaps(rng, X):
    """Without a sixth of the entries; the first row has all."""
    is_missing = rng.random(X.shape) < 1 / 6
    is_missing[0] = False
    return np.where(is_missing, np.nan, X)


def _beside(rng, estimator, X, K):
    """What rows of a mixture have beside their values."""
    known, n = estimator._row_data, len(X)
    data = {}
    moves = ("canonical_order", "max_active", "prune")  # components, whose numbers these are of
    is_free = not any(estimator.get_params().get(name) for name in moves)
    if "exposure" in known and rng.random() < 0.4:
        data["exposure"] = rng.uniform(0.2, 5, n)
    if "known_labels" in known and is_free and rng.random() < 0.15:
        data["known_labels"] = _labels(rng, n, K)
    elif "groups" in known and is_free and estimator.get_params().get("trim") is None and rng.random() < 0.15:
        return data | {"groups": rng.permutation(np.arange(n) % max(n // 3, K + 1))}  # rows of a group have one weight
    if not isinstance(estimator, GSDMM) and rng.random() < 0.3:
        data["sample_weight"] = _weights(rng, n)
    return data


def _mixture(rng, name):
    """(estimator, rows, what changed them)"""
    entry = ESTIMATORS[name]
    K = int(rng.integers(1, 5))
    n = int(rng.choice([3 * K, 12, 30, 80, 250]))
    n_factors = entry.make().get_params().get("n_factors", 0) if "factor" in name else 0
    X, changes = domain_of(entry).draw(rng, max(n, 3 * K), K, n_factors)
    options = _options(rng, entry.make(), X, K)
    estimator = entry.make(n_components=K, random_state=int(rng.integers(100)), **options)
    tags = estimator.__sklearn_tags__().input_tags
    if tags.allow_nan and X.dtype != object and rng.random() < 0.25 and without("trim", "max_active")(options):
        X, changes = _with_gaps(rng, X), [*changes, "gaps"]
    if X.dtype != object and rng.random() < 0.12 and "far from zero" not in changes:  # where it has no digits left
        X = X.astype(np.float32)
    return estimator, Rows(X, _beside(rng, estimator, X, K)), changes


def _regression(rng, name):
    entry = REGRESSIONS[name]
    K = int(rng.integers(1, 4))
    options = _options(rng, entry.make(), entry.X, K)
    rows = entry.rows().some(rng.integers(len(entry.X), size=int(rng.choice([20, 60, 200]))))
    X = rows.X.copy()
    changes = _changed(rng, X, (_constant_column, _equal_columns, _far_from_zero, _units))
    estimator = entry.make(n_components=K, random_state=int(rng.integers(100)), **options)
    data = dict(rows.data)
    if "groups" not in data:
        if rng.random() < 0.3:
            data["sample_weight"] = _weights(rng, len(X))
        if rng.random() < 0.15:
            data["known_labels"] = _labels(rng, len(X), K)
    if rng.random() < 0.12:
        X = X.astype(np.float32)
    return estimator, Rows(X, data), changes


def _responsibilities(rng, estimator, rows):
    """The same for all rows of a group."""
    parameters = estimator.get_params(deep=False)
    if "init_params" not in parameters:
        return None
    groups = rows.data.get("groups", np.arange(len(rows)))
    n_weights = estimator.n_components + (parameters.get("noise") is not None)
    return rng.dirichlet(np.ones(n_weights), groups.max() + 1)[groups]


def drawn(seed):
    rng = np.random.default_rng(seed)
    name = NAMES[rng.integers(len(NAMES))]
    draw = _mixture if name in ESTIMATORS else _regression
    estimator, rows, changes = draw(rng, name.removeprefix("experts, "))
    return Case(seed, name, changes, estimator, rows, _responsibilities(rng, estimator, rows))


def seeds():
    """Those of the variable MIXFAST_SEEDS, FIRST:LAST without the last, or those of the suite."""
    first, last = os.environ.get("MIXFAST_SEEDS", "0:150").split(":")
    return range(int(first), int(last))
