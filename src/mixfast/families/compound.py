"""Posterior predictive distributions that are no family of mixtures: independent columns, with the rate integrated out.

They are there for predictions, and have no M-step.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln, xlog1py

from mixfast.families.family import PythonFamily


class Compound(PythonFamily):
    """A distribution whose rate is Gamma(shape, rate): a subclass names its parameters `shapes` and `rates`, (K, d)."""

    def __init__(self, params):
        self.Params = self.Stats = params

    def param_shapes(self, n_components, n_features):
        return ((n_components, n_features),) * 2

    stat_shapes = param_shapes

    def n_parameters(self, n_components, n_features):
        return 2 * n_components * n_features

    def accumulate(self, X, resp, params):
        raise NotImplementedError("posterior predictive densities are not fitted")

    maximise = accumulate

    def log_density(self, X, params):
        result = np.empty((len(X), len(params.shapes)))
        for k, (shape, rate) in enumerate(zip(params.shapes, params.rates, strict=True)):
            result[:, k] = self._log_density(X, shape, rate).sum(axis=1)
        return result

    def _log_density(self, X, shape, rate):
        """(n, d)"""
        raise NotImplementedError


class NegativeBinomial(Compound):
    """Counts whose Poisson rate is Gamma(shape, rate)."""

    def _log_density(self, X, shape, rate):
        coefficients = gammaln(shape + X) - gammaln(shape) - gammaln(X + 1)
        return coefficients - xlog1py(shape, 1 / rate) - xlog1py(X, rate)

    def sample(self, params, labels, rng):
        return rng.poisson(rng.standard_gamma(params.shapes[labels]) / params.rates[labels]).astype(np.float64)


class Lomax(Compound):
    """Waiting times whose exponential rate is Gamma(shape, rate)."""

    def _log_density(self, X, shape, rate):
        return np.log(shape) - np.log(rate) - xlog1py(shape + 1, X / rate)

    def sample(self, params, labels, rng):
        gamma = np.maximum(rng.standard_gamma(params.shapes[labels]), np.finfo(float).tiny)
        return rng.standard_exponential(gamma.shape) * params.rates[labels] / gamma
