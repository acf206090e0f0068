"""Mixtures of geometric distributions: a family for mixfast in a package of its own, compiled."""

from typing import NamedTuple

import numpy as np

from geometric_mixture._geometric import bind
from mixfast.estimators._likelihood import LikelihoodMixture
from mixfast.families.family import Family


class GeometricParams(NamedTuple):
    probabilities: np.ndarray


class GeometricStats(NamedTuple):
    failures: np.ndarray


class Geometric(Family):
    """log p(x | k) = sum_j x_j log(1 - p_kj) + log p_kj: failures before the first success."""

    Params, Stats = GeometricParams, GeometricStats
    dtypes = (np.float64,)

    def param_shapes(self, n_components, n_features):
        return ((n_components, n_features),)

    def stat_shapes(self, n_components, n_features):
        return ((n_components, n_features),)

    def n_parameters(self, n_components, n_features):
        return n_components * n_features

    def bind(self, n_components, n_features, dtype, isa=None):
        return bind(n_components, n_features)

    def sample(self, params, labels, rng):
        return rng.geometric(params.probabilities[labels]) - 1.0


class GeometricMixture(LikelihoodMixture):
    """Mixture of geometric distributions; parameters as in `mixfast.GaussianMixture`."""

    def __init__(
        self,
        n_components=1,
        *,
        tol=1e-3,
        max_iter=100,
        n_init=1,
        init_params="kmeans",
        random_state=None,
        warm_start=False,
        verbose=0,
        verbose_interval=10,
        n_threads=None,
    ):
        self.n_components = n_components
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_threads = n_threads

    def _family(self):
        return Geometric()

    def _publish(self, params, dtype):
        self.probabilities_ = params.probabilities.astype(dtype)

    def _collect(self):
        return GeometricParams(self.probabilities_)
