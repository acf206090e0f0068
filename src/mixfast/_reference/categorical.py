"""Twin of the categorical family (`families/_categorical.pyx`, `_kernels/categorical.c`)."""

from __future__ import annotations

import numpy as np
from scipy.special import expit


class Categorical:
    """With n_categories, a number for all columns or one for each."""

    def __init__(self, n_categories, alpha=0.0):
        self.n_categories = n_categories
        self.alpha = alpha

    def _numbers(self, n_features):
        return np.broadcast_to(self.n_categories, n_features)

    def _split(self, probabilities, n_features):
        return np.split(probabilities, np.cumsum(self._numbers(n_features))[:-1], axis=1)

    def log_density(self, X, params):
        (probabilities,) = params
        total = np.zeros((len(X), len(probabilities)))
        for codes, own in zip(X.T, self._split(probabilities, X.shape[1]), strict=True):
            with np.errstate(divide="ignore"):
                table = np.log(np.column_stack([own, np.ones(len(own))]))  # a missing answer says nothing
            total += table.T[codes.astype(int)]
        return total

    def accumulate(self, X, resp, weights, params):
        sums = []
        for codes, number in zip(X.T, self._numbers(X.shape[1]), strict=True):
            own = np.zeros((number + 1, resp.shape[1]))
            for c in range(number + 1):
                own[c] = resp[codes == c].sum(axis=0)
            sums.append(own)
        return (np.concatenate(sums),)

    def maximise(self, counts, stats, weights, params):
        answers = stats[0].T
        found, place, sizes = [], 0, self._sizes(stats[0].shape[0])
        for number in sizes:
            own = answers[:, place : place + number] + self.alpha
            own[counts == 0] = answers[:, place : place + number].sum(axis=0) + self.alpha
            empty = own.sum(axis=1) == 0
            own[empty] = answers[:, place : place + number].sum(axis=0) + self.alpha
            own[own.sum(axis=1) == 0] = 1
            probabilities = own / own.sum(axis=1, keepdims=True)
            found.append(np.maximum(probabilities, np.finfo(float).tiny) if self.alpha else probabilities)
            place += number + 1
        return (np.concatenate(found, axis=1),)

    def _sizes(self, n_rows):
        """The number of categories of each column, from the number of rows of the statistics."""
        if np.ndim(self.n_categories):
            return self.n_categories
        return [self.n_categories] * (n_rows // (self.n_categories + 1))

    def unconstrain(self, params):
        (probabilities,) = params
        free = []
        for own in self._split(probabilities, self._n_features(probabilities)):
            after = np.cumsum(own[:, ::-1], axis=1)[:, ::-1]
            with np.errstate(divide="ignore", invalid="ignore"):
                odds = np.log(own[:, :-1]) - np.log(after[:, 1:])
            free.append(np.where(own[:, :-1] == 0, -np.inf, odds))
        return np.concatenate(free, axis=1).ravel()

    def constrain(self, free, params):
        (probabilities,) = params
        tiny = np.finfo(float).tiny
        n_features = self._n_features(probabilities)
        numbers = self._numbers(n_features)
        free = free.reshape(len(probabilities), -1)
        found = []
        for own in np.split(free, np.cumsum(numbers - 1)[:-1], axis=1):
            rest = np.ones(len(free))
            for odds in own.T:
                inside = np.isfinite(odds)
                found.append(np.where(inside, np.maximum(rest * expit(odds), tiny), rest * expit(odds)))
                rest = np.where(inside, np.maximum(rest * expit(-odds), tiny), rest * expit(-odds))
            found.append(rest)
        return (np.array(found).T,)

    def _n_features(self, probabilities):
        if np.ndim(self.n_categories):
            return len(self.n_categories)
        return probabilities.shape[1] // self.n_categories

    def log_prior(self, params):
        return float(self.alpha * np.log(params[0]).sum()) if self.alpha else 0.0
