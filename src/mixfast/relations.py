"""How the components of a mixture relate: pair by pair in closed form where their family has one, by draws otherwise.

Draws are dealt to the components in equal numbers, and serve all of them: with g_k = p_k / q, q the mean density of
the components, E_k[h] is the mean of g_k h over all draws. A component's g_k are bounded by the number of components,
so that means are never much worse than those of its own draws, and mostly better (Veach & Guibas, SIGGRAPH 1995,
"balance heuristic"). They are divided by the mean of g_k: probabilities of what must happen are exactly 1.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy.special import entr, rel_entr
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from mixfast._threads import resolve_threads
from mixfast.engine._pass import Pass
from mixfast.engine._predictions import evaluate_components
from mixfast.engine._rows import Rows

#: Pairs whose closed forms are computed at once have so many parameters.
BLOCK = 2**20
#: Draws whose g is below do not count.
NOTHING = 1e-6


class Components(NamedTuple):
    """What a mixture is made of.

    family : Family, one of given parameters, not of a posterior
    params : record of its parameters, float64
    weights : float64 (n_components,), which sum to 1
    n_features : int, columns of rows as the family has them
    row_data : dict, what `family.sample` wants of each row beside its component: a number for all
    """

    family: Any
    params: Any
    weights: np.ndarray
    n_features: int
    row_data: dict

    @classmethod
    def of(cls, family, params, weights, n_features, **row_data):
        """Of a record of a family, which may be a posterior."""
        family, params = family.plain(params)
        family = family.given(**row_data)
        params = family.params_layout(len(weights), n_features).check(params)
        weights = np.asarray(weights, dtype=np.float64)
        return cls(family, family.Params(*params), weights / weights.sum(), n_features, row_data)

    @classmethod
    def together(cls, several):
        """The components of several mixtures of one family that share nothing, one after the other, with the weights
        that they have there."""
        arrays = zip(*(own.params for own in several), strict=True)
        params = type(several[0].params)(*(np.concatenate(own) for own in arrays))
        return several[0]._replace(params=params, weights=np.concatenate([own.weights for own in several]))

    @property
    def n_components(self):
        return len(self.weights)

    def pairs(self):
        """Numbers of the components of all pairs, the lower first."""
        return np.triu_indices(self.n_components, 1)

    def apart(self):
        """The same of a family whose components share nothing."""
        family, params = self.family.apart(self.params)
        return self._replace(family=family, params=params)

    def margin(self, columns):
        """Those of some columns, whose numbers rise; None where no family has their distribution."""
        if len(columns) == self.n_features:
            return self
        if self.family.margin is None:
            return None
        family, params = self.family.margin(self.params, columns)
        return self._replace(family=family, params=family.Params(*params), n_features=len(columns))

    def only(self, k):
        """One component alone, of weight 1."""
        return self._replace(params=self.family.reorder(self.params, np.array([k])), weights=np.ones(1))

    def kind(self):
        """What two mixtures have in common whose components can be compared."""
        return self.family.kind(), self.n_features

    def in_blocks(self, function, one, other, *more):
        """function(one, other, *more) of arrays of numbers of components, some at a time, put together."""
        n_numbers = sum(array.size for array in self.params) // self.n_components + 1
        at_once = max(1, BLOCK // n_numbers)
        found = []
        for first in range(0, max(len(one), 1), at_once):
            own = slice(first, first + at_once)
            found.append(function(one[own], other[own], *(array[own] for array in more)))
        if isinstance(found[0], tuple):
            return tuple(np.concatenate(arrays) for arrays in zip(*found, strict=True))
        return np.concatenate(found)

    def over_pairs(self, closed_form, one, other, *more):
        """A closed form of the family, of the pairs of components one[i], other[i]; `more` are arrays of arguments,
        one for each pair."""

        def of_pairs(i, j, *arguments):
            return closed_form(self.family.reorder(self.params, i), self.family.reorder(self.params, j), *arguments)

        return self.in_blocks(of_pairs, one, other, *more)

    def against(self, other, closed_form):
        """(n_components, n_components of the other), a closed form of two records of the family, of each with each."""
        i, j = (index.ravel() for index in np.indices((self.n_components, other.n_components)))
        found = closed_form(self.family.reorder(self.params, i), other.family.reorder(other.params, j))
        return found.reshape(self.n_components, other.n_components)

    def log_densities(self, X, n_threads=None):
        """(n_samples, n_components), of rows as the family draws them, without weights."""
        encoded = self.family.encode(X)
        dtype = np.dtype(np.float64)
        p = Pass(
            encoded.bind(self.n_components, dtype), Rows(encoded.rows, base=encoded.base), resolve_threads(n_threads)
        )
        layout = encoded.family.params_layout(self.n_components, self.n_features)
        p.set_state(np.ones(self.n_components), layout.pack(self.params))
        out = np.empty((X.shape[0], self.n_components), p.dtype)
        evaluate_components(p, out)
        return out

    def log_joint(self, X):
        """(n_samples, n_components), log densities and weights."""
        with np.errstate(divide="ignore"):
            return self.log_densities(X) + np.log(self.weights)

    def _sample(self, labels, rng):
        row_data = {name: np.full(len(labels), value) for name, value in self.row_data.items()}
        return self.family.sample(self.params, labels, rng, **row_data)

    def rows(self, n_samples, random_state):
        """Rows of the mixture."""
        rng = check_random_state(random_state)
        return self._sample(np.repeat(np.arange(self.n_components), rng.multinomial(n_samples, self.weights)), rng)

    def draw(self, n_samples, random_state, n_threads=None):
        """`Draws`, at least one of each component."""
        rng = check_random_state(random_state)
        labels = np.sort(np.arange(max(n_samples, self.n_components)) % self.n_components)
        log_densities = self.log_densities(self._sample(labels, rng), n_threads)
        lost = np.flatnonzero(np.all(np.isneginf(log_densities), axis=1))  # so far out that squares overflow
        log_densities[lost, labels[lost]] = 0.0
        return Draws(log_densities, self.weights)


def check_mixture(model):
    """Raises TypeError for what is no mixture, NotFittedError for one before `fit`."""
    if isinstance(model, type) or not hasattr(model, "_shares_of_rows"):
        raise TypeError(f"model={model!r} should be a fitted mixture of mixfast, such as GaussianMixture(2).fit(X)")
    check_is_fitted(model)


def components_of(model, total=None):
    """What a fitted model is made of; TypeError for what is no mixture."""
    check_mixture(model)
    return model._components(total=total)


def check_option(name, value, allowed):
    """Raises ValueError for what is none of the names that are allowed."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name}={value!r} should be one of {', '.join(map(repr, allowed))}")


class Estimates(NamedTuple):
    """Numbers and their standard errors, zeros where they are exact."""

    values: Any
    errors: Any

    @classmethod
    def exact(cls, values):
        return cls(values, np.zeros(np.shape(values)))


class Draws:
    """Rows that were drawn from the components, in equal numbers.

    Parameters
    ----------
    log_densities : ndarray of shape (n_draws, n_components)
    weights : ndarray of shape (n_components,)
    """

    def __init__(self, log_densities, weights):
        self.log_densities, self.weights = log_densities, weights
        largest = log_densities.max(axis=1, keepdims=True)
        self.ratios = np.exp(log_densities - largest)  # g
        self.ratios /= self.ratios.mean(axis=1, keepdims=True)
        self.ratios /= self.ratios.mean(axis=0)

    @cached_property
    def log_joint(self):
        with np.errstate(divide="ignore"):
            return self.log_densities + np.log(self.weights)

    @cached_property
    def responsibilities(self):
        joint = np.exp(self.log_joint - self.log_joint.max(axis=1, keepdims=True))
        return joint / joint.sum(axis=1, keepdims=True)

    def _wins(self, i, rows):
        """Where other components are more likely than i, 0 or 1, of some of the draws."""
        joint = self.log_joint.take(rows, axis=0)
        return (joint > joint[:, i : i + 1]).astype(np.float64)

    def _probabilities(self, g, events):
        """E_i of each column of events, 0 or 1, and its error, from some of the draws: those that are left out have no
        event, or so little g that it does not count."""
        n = len(self.ratios)
        values, squares = np.stack([g, g * g]) @ events / n
        return _with_errors(values, squares, g @ g / n, n)

    def overlaps(self):
        """P[i, j] = P(w_j p_j > w_i p_i | i), 1 on the diagonal."""
        K = len(self.weights)
        values, errors = np.empty((K, K)), np.empty((K, K))
        for i in range(K):
            own = np.flatnonzero(self.ratios[:, i] > NOTHING)
            values[i], errors[i] = self._probabilities(self.ratios[own, i], self._wins(i, own))
        np.fill_diagonal(values, 1.0)
        np.fill_diagonal(errors, 0.0)
        return Estimates(values, errors)

    @cached_property
    def _best(self):
        return np.argmax(self.log_joint, axis=1)

    def confusion(self, overlaps=None):
        """F[i, j] = P(j is the most likely component of all | i).

        Exact `overlaps` leave to the draws only how often j is more likely than i and another even more likely.
        """
        if overlaps is not None:
            return self._confusion_by_overlaps(overlaps)
        n, K = self.ratios.shape
        is_best = (self._best[:, np.newaxis] == np.arange(K)).astype(np.float64)
        squares = self.ratios**2
        means = self.ratios.T @ is_best / n, squares.T @ is_best / n
        return Estimates(*_with_errors(*means, squares.mean(axis=0)[:, np.newaxis], n))

    def _confusion_by_overlaps(self, overlaps):
        n, K = self.ratios.shape
        values, errors = overlaps - np.eye(K), np.zeros((K, K))
        for i in range(K) if K > 2 else ():  # of two, nothing is left to the draws
            own = np.flatnonzero((self.ratios[:, i] > NOTHING) & (self._best != i))
            beaten, g = self._wins(i, own), self.ratios[own, i]
            beaten[np.arange(len(own)), self._best[own]] = 0.0
            taken, errors[i] = self._probabilities(g, beaten)
            values[i] = np.clip(values[i] - taken, 0, 1)
            times = beaten @ np.ones(K)
            errors[i, i] = _errors(g**2 @ times**2 / n - (g @ times / n) ** 2, n)
        values += np.diag(1 - values.sum(axis=1))
        return Estimates(values, errors)

    def affinities(self):
        """Bhattacharyya's coefficients."""
        n, roots = len(self.ratios), np.sqrt(self.ratios)
        values = roots.T @ roots / n
        errors = _errors(self.ratios.T @ self.ratios / n - values**2, n)
        np.fill_diagonal(values, 1.0)
        np.fill_diagonal(errors, 0.0)
        return Estimates(np.clip(values, 0, 1), errors)

    def jensen_shannon(self):
        """Divergences of two components from their mean, in nats: at most log 2."""
        n, K = self.ratios.shape
        values, errors = np.zeros((K, K)), np.zeros((K, K))
        for i in range(K - 1):
            one, other = self.ratios[:, i : i + 1], self.ratios[:, i + 1 :]
            mean = (one + other) / 2
            terms = (rel_entr(one, mean) + rel_entr(other, mean)) / 2
            values[i, i + 1 :], errors[i, i + 1 :] = terms.mean(axis=0), _errors(terms.var(axis=0), n)
        return Estimates(np.clip(values + values.T, 0, np.log(2)), errors + errors.T)

    def entropy(self):
        """The mean entropy of the responsibilities of rows of the mixture."""
        terms = np.sum(entr(self.responsibilities), axis=1)
        shares = self.ratios @ self.weights
        value = np.mean(shares * terms)
        return Estimates(value, _errors(np.var(shares * (terms - value)), len(terms)))


def _with_errors(values, squares, square, n):
    """Of means of g over events, 0 or 1: errors from means of g^2 over the events and over all, for g (event - value)
    has the mean 0."""
    return np.clip(values, 0, 1), _errors(squares * (1 - 2 * values) + values**2 * square, n)


def _errors(variance, n):
    """Standard errors of means of n draws: none is less than what one draw more would change, for of what draws never
    met they know no more than that."""
    return np.sqrt(np.maximum(variance, 0) / n + 1 / n**2)
