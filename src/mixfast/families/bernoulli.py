"""Bernoulli components: each column of a component is an independent coin."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mixfast.families._bernoulli import bind_bernoulli
from mixfast.families.family import Family


class BernoulliParams(NamedTuple):
    """probabilities (K, d): of a one in each column."""

    probabilities: np.ndarray


class BernoulliStats(NamedTuple):
    """ones (K, d): weighted number of ones."""

    ones: np.ndarray


class Bernoulli(Family):
    """log p(x | k) = sum_j x_j log p_kj + (1 - x_j) log(1 - p_kj), for rows of zeros and ones.

    Parameters
    ----------
    alpha : float, default 0
        Pseudo-counts of ones and of zeros that are added to each column of each component: the mode under a
        Beta(1 + alpha, 1 + alpha) prior.
    """

    Params = BernoulliParams
    Stats = BernoulliStats

    def __init__(self, alpha=0.0):
        self.alpha = alpha

    def param_shapes(self, n_components, n_features):
        return ((n_components, n_features),)

    def stat_shapes(self, n_components, n_features):
        return ((n_components, n_features),)

    def n_parameters(self, n_components, n_features):
        return n_components * n_features

    def located(self, centres):
        return self.blank(*np.shape(centres))  # its statistics are measured from nothing

    def bind(self, n_components, n_features, dtype, isa=None, is_sparse=False):
        return bind_bernoulli(n_components, n_features, np.dtype(dtype).itemsize, isa, is_sparse, self.alpha)

    def sample(self, params, labels, rng):
        probabilities = params.probabilities[labels]
        return (rng.uniform(size=probabilities.shape) < probabilities).astype(np.float64)
