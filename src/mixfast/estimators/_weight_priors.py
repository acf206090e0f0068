"""Priors of weights: what their posteriors are made of, and what weights these expect."""

from __future__ import annotations

import numpy as np

from mixfast.proportions._dirichlet_posterior import DirichletPosterior
from mixfast.proportions._sticks import Sticks


class SymmetricDirichlet:
    """Weights with a Dirichlet prior; `weight_concentration_` (K,) is a + n_k."""

    @staticmethod
    def proportions(concentration, n_components):
        return DirichletPosterior(concentration, n_components)

    @staticmethod
    def numbers(counts, concentration):
        return concentration + counts

    @staticmethod
    def counts(numbers, concentration):
        return numbers - concentration

    @staticmethod
    def expected_weights(counts, concentration):
        """(weights, what remains for components that are not there)"""
        numbers = concentration + counts
        return numbers / numbers.sum(axis=-1, keepdims=True), np.zeros(counts.shape[:-1])


class StickBreaking:
    """Weights of a truncated Dirichlet process; `weight_concentration_` (2, K) are 1 + n_k, and alpha plus the counts
    of all later components."""

    @staticmethod
    def proportions(concentration, n_components):
        return Sticks(concentration)

    @staticmethod
    def numbers(counts, concentration):
        later = np.cumsum(counts[..., ::-1], axis=-1)[..., ::-1] - counts
        return np.stack([1 + counts, concentration + later], axis=-2)

    @staticmethod
    def counts(numbers, concentration):
        return numbers[..., 0, :] - 1

    @staticmethod
    def expected_weights(counts, concentration):
        """As that of `SymmetricDirichlet`."""
        numbers = StickBreaking.numbers(counts, concentration)
        taken, left = numbers[..., 0, :], numbers[..., 1, :]
        remaining = np.cumprod(left / (taken + left), axis=-1)
        before = np.concatenate([np.ones((*counts.shape[:-1], 1)), remaining[..., :-1]], axis=-1)
        return taken / (taken + left) * before, remaining[..., -1]


#: What is known of the weights before the rows, by the names that scikit-learn gives it.
WEIGHT_PRIORS = {"dirichlet_process": StickBreaking, "dirichlet_distribution": SymmetricDirichlet}
