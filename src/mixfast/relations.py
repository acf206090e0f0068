"""How the components of a mixture relate: pair by pair in closed form where their family has one, by draws otherwise.

Draws are multiple importance sampling: each component draws equally many rows, and all rows serve all components. With
q the mean of the component densities and g_k = p_k / q, the expectation E_k[h] is estimated by the mean of g_k h over
all rows. g_k is at most the number of components, so the variance is never much larger than with the rows of component
k alone, and mostly smaller (Veach & Guibas, SIGGRAPH 1995, "balance heuristic"). Estimates are self-normalised, divided
by the mean of g_k, so that the probability of a certain event is exactly 1.
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
from mixfast.in_messages import in_short, no_mixture
from mixfast.row_data import rows_with

#: Closed forms are computed for so many pairs at once as have this number of parameters.
BLOCK = 2**20
#: Draws with g below this are left out of sums.
NOTHING = 1e-6


class Components(NamedTuple):
    """The components of a mixture: densities with weights.

    family : Family, not a posterior
    params : record of its parameters, float64
    weights : float64 (n_components,), sum 1
    n_features : int, number of columns before `encode`
    row_data : dict, name of row data that `family.sample` needs, such as 'total' -> one number, the same for all rows
    """

    family: Any
    params: Any
    weights: np.ndarray
    n_features: int
    row_data: dict

    @classmethod
    def of(cls, family, params, weights, n_features, **row_data):
        """Components of a family with a record of its parameters; a posterior is replaced by its plain family at point
        estimates."""
        family, params = family.plain(params)
        family = family.given(**row_data)
        params = family.params_layout(len(weights), n_features).check(params)
        weights = np.asarray(weights, dtype=np.float64)
        return cls(family, family.Params(*params), weights / weights.sum(), n_features, row_data)

    @classmethod
    def together(cls, several):
        """Concatenate the components of several mixtures of one family. IN several: list of `Components` that share no
        parameters (see `apart`). Weights are as they were, so they sum to len(several)."""
        arrays = zip(*(own.params for own in several), strict=True)
        params = type(several[0].params)(*(np.concatenate(own) for own in arrays))
        return several[0]._replace(params=params, weights=np.concatenate([own.weights for own in several]))

    @property
    def n_components(self):
        return len(self.weights)

    def pairs(self):
        """Indices (i, j) of all pairs of components, i < j."""
        return np.triu_indices(self.n_components, 1)

    def apart(self):
        """The same components, each with parameters of its own, where the family shares some (a tied covariance)."""
        family, params = self.family.apart(self.params)
        return self._replace(family=family, params=params)

    def margin(self, columns):
        """The marginal distributions of some columns, indices in ascending order; None where no family has them."""
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
        """A key that is equal for two mixtures if their components can be compared."""
        return self.family.kind(), self.n_features

    def in_blocks(self, function, one, other, *more):
        """function(one, other, *more) of arrays with a first axis of pairs, called on blocks of them, concatenated. The
        function returns an array, or a tuple of arrays, with that axis."""
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
        """A closed form of the family for the pairs of components one[i], other[i]; `more` are arrays of further
        arguments, (n_pairs,)."""

        def of_pairs(i, j, *arguments):
            return closed_form(self.family.reorder(self.params, i), self.family.reorder(self.params, j), *arguments)

        return self.in_blocks(of_pairs, one, other, *more)

    def against(self, other, closed_form):
        """A closed form of the family for each component here with each of `other`, (n_components,
        other.n_components)."""
        i, j = (index.ravel() for index in np.indices((self.n_components, other.n_components)))
        found = closed_form(self.family.reorder(self.params, i), other.family.reorder(other.params, j))
        return found.reshape(self.n_components, other.n_components)

    def log_densities(self, X, n_threads=None):
        """log p(x | k), float64 (n_samples, n_components), without weights, of rows as `family.sample` returns them."""
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
        """log w_k + log p(x | k), (n_samples, n_components)."""
        with np.errstate(divide="ignore"):
            return self.log_densities(X) + np.log(self.weights)

    def _sample(self, labels, rng, **of_rows):
        row_data = {name: np.full(len(labels), value) for name, value in self.row_data.items()}
        return self.family.sample(self.params, labels, rng, **row_data, **of_rows)

    def rows(self, n_samples, random_state):
        """Rows drawn from the mixture."""
        rng = check_random_state(random_state)
        return self._sample(np.repeat(np.arange(self.n_components), rng.multinomial(n_samples, self.weights)), rng)

    def draw(self, n_samples, random_state, n_threads=None, of_rows=None):
        """`Draws` of n_samples rows, or of one from each component if that is more. `of_rows` is what some rows have
        beside their values, such as exposures, by name: a draw has that of one of them, whichever component it is of,
        and densities are those given it."""
        rng = check_random_state(random_state)
        labels = np.sort(np.arange(max(n_samples, self.n_components)) % self.n_components)
        if of_rows:
            place = rng.randint(len(next(iter(of_rows.values()))), size=len(labels))
            of_rows = {name: values[place] for name, values in of_rows.items()}
        drawn = self._sample(labels, rng, **(of_rows or {}))
        log_densities = self.log_densities(rows_with(drawn, of_rows or {}), n_threads)
        lost = np.flatnonzero(np.all(np.isneginf(log_densities), axis=1))  # squares of distances overflow
        log_densities[lost, labels[lost]] = 0.0
        return Draws(log_densities, self.weights)


def check_is_fitted_mixture(model, other=None, call="", name="model"):
    """Raises TypeError unless `model`, the argument of that name, is a mixture, NotFittedError unless it is fitted;
    `other` is the argument that it may have been swapped with in the `call`."""
    if isinstance(model, type) or not hasattr(model, "_shares_of_rows"):
        wanted = "fitted mixture of mixfast, such as GaussianMixture(2).fit(X)"
        raise TypeError(no_mixture(name, model, wanted, other, call))
    check_is_fitted(model)


def components_of(model, total=None):
    """`Components` of a fitted model; `total` is the sum of each row, for mixtures of counts given their sums. Raises
    TypeError and NotFittedError as `check_is_fitted_mixture`."""
    check_is_fitted_mixture(model)
    return model._components(total=total)


def has_noise(model):
    """Whether a model has uniform noise, which is no component and has the last of `weights_`."""
    return getattr(model, "noise", None) is not None


def without_left_out(model, X, weights, row_data):
    """Weights of rows, or what else there is a number of for each, 0 of those that the model leaves out."""
    left_out = model._left_out(X, **row_data)
    return weights if left_out is None else np.where(left_out, 0.0, weights)


def shares_beside_noise(model, components):
    """The weights of the components of a model, whose sum is 1 less the weight of its uniform noise."""
    if not has_noise(model):
        return components.weights
    return np.asarray(model.weights_, dtype=np.float64)[: components.n_components]


def check_option(name, value, allowed):
    """Raises ValueError unless `value` is one of the allowed strings."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name}={in_short(value)} should be one of {', '.join(map(repr, allowed))}")


class Estimates(NamedTuple):
    """Numbers and their standard errors, of one shape; errors are 0 where numbers are exact."""

    values: Any
    errors: Any

    @classmethod
    def exact(cls, values):
        return cls(values, np.zeros(np.shape(values)))


class Draws:
    """Estimates from rows drawn from the components, equally many from each; see the module's docstring.

    Parameters
    ----------
    log_densities : ndarray of shape (n_draws, n_components)
    weights : ndarray of shape (n_components,)
    """

    def __init__(self, log_densities, weights):
        self.log_densities, self.weights = log_densities, weights
        largest = log_densities.max(axis=1, keepdims=True)
        self.ratios = np.exp(log_densities - largest)  # g_k = p_k / q, (n_draws, n_components)
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
        """For each of some draws, whether component k is more likely than i, weights included: (n_rows, n_components)
        of 0 and 1."""
        joint = self.log_joint.take(rows, axis=0)
        return (joint > joint[:, i : i + 1]).astype(np.float64)

    def _probabilities(self, g, events):
        """Estimates of the probability under one component of each column of `events` (n_rows, n_events), 0 or 1, and
        their errors; g (n_rows,) are its ratios. Draws that are left out count as 0."""
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
        """F[i, j] = P(component j is the most likely of all | i).

        If exact `overlaps` are given, draws only estimate how often j is more likely than i, but not the most likely.
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
        for i in range(K) if K > 2 else ():  # of two components the overlaps say all
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
        """Bhattacharyya's coefficients, the integrals of sqrt(p_i p_j): 1 on the diagonal."""
        n, roots = len(self.ratios), np.sqrt(self.ratios)
        values = roots.T @ roots / n
        errors = _errors(self.ratios.T @ self.ratios / n - values**2, n)
        np.fill_diagonal(values, 1.0)
        np.fill_diagonal(errors, 0.0)
        return Estimates(np.clip(values, 0, 1), errors)

    def jensen_shannon(self):
        """Jensen-Shannon divergences of pairs of components, in nats, at most log 2."""
        n, K = self.ratios.shape
        values, errors = np.zeros((K, K)), np.zeros((K, K))
        for i in range(K - 1):
            one, other = self.ratios[:, i : i + 1], self.ratios[:, i + 1 :]
            mean = (one + other) / 2
            terms = (rel_entr(one, mean) + rel_entr(other, mean)) / 2
            values[i, i + 1 :], errors[i, i + 1 :] = terms.mean(axis=0), _errors(terms.var(axis=0), n)
        return Estimates(np.clip(values + values.T, 0, np.log(2)), errors + errors.T)

    def entropy(self):
        """The expected entropy of the responsibilities of a row of the mixture, in nats."""
        terms = np.sum(entr(self.responsibilities), axis=1)
        shares = self.ratios @ self.weights
        value = np.mean(shares * terms)
        return Estimates(value, _errors(np.var(shares * (terms - value)), len(terms)))


def _with_errors(values, squares, square, n):
    """(probabilities, standard errors) from `values`, means of g * event, `squares`, means of g^2 * event, and
    `square`, means of g^2, over n draws. The error is that of a self-normalised estimate: of the mean of g (event -
    value)."""
    return np.clip(values, 0, 1), _errors(squares * (1 - 2 * values) + values**2 * square, n)


def _errors(variance, n):
    """Standard errors of means of n draws, at least 1 / n: n draws without an event do not show that it cannot
    happen."""
    return np.sqrt(np.maximum(variance, 0) / n + 1 / n**2)
