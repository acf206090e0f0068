"""Twin of EM for mixtures of experts, with complete M-steps or with one Newton step in each.

A model is a list of `Part`s, one for each response; a component's density of a row is the product over parts. All
arrays of a part have the same rows. Its parameters are `Coefficients`: `own` (K, p, m) of the columns of `X`, which
has a column of 1 where there is an intercept, `fixed` (q, m) of the columns of `shared`, which all components have in
common, and `dispersion` (K,).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mixfast._reference.experts import gate as gates
from mixfast._reference.experts.experts import StudentT
from mixfast._reference.experts.groups import number, sums

MOST_STEPS, MOST_HALVINGS = 200, 40


class Part(NamedTuple):
    """`common`: components share the dispersion. `inflation`: what squared dispersions are multiplied by."""

    expert: Any
    y: np.ndarray
    X: np.ndarray
    shared: np.ndarray
    offset: np.ndarray
    common: bool = False
    inflation: float = 1.0
    alpha: float = 0.0


class Coefficients(NamedTuple):
    own: np.ndarray
    fixed: np.ndarray
    dispersion: np.ndarray


class Rows(NamedTuple):
    """`numbers` (n,): the group of each row; `Z` (n_groups, q) and `weights` (n_groups,): those of groups."""

    numbers: np.ndarray
    Z: np.ndarray
    weights: np.ndarray


def make_part(expert, y, X, shared=None, offset=0.0, **options):
    shared = np.zeros((len(X), 0)) if shared is None else shared
    return Part(expert, y, X, shared, np.broadcast_to(offset, len(X)), **options)


def make_rows(n_rows, gate=None, groups=None, sample_weight=None):
    """`gate` (n, q): columns of the gate, that of 1 left out."""
    numbers, firsts = number(np.arange(n_rows) if groups is None else groups)
    Z = np.ones((n_rows, 1)) if gate is None else np.column_stack([np.ones(n_rows), gate])
    weights = np.ones(n_rows) if sample_weight is None else sample_weight
    return Rows(numbers, Z[firsts], weights[firsts])


def predictors(part, coefficients, k):
    """eta (n, m) of component k."""
    own, fixed = coefficients.own[k], coefficients.fixed
    return part.X @ own + part.shared @ fixed + part.offset[:, np.newaxis]


def log_density(parts, coefficients):
    """log f(y | k), added up over the parts: (n, K)."""
    n_components = len(coefficients[0].own)
    return sum(
        np.column_stack(
            [part.expert.log_density(part.y, predictors(part, c, k), c.dispersion[k]) for k in range(n_components)]
        )
        for part, c in zip(parts, coefficients, strict=True)
    )


def joint(parts, coefficients, theta, rows):
    """log g_k(z) f(y | k) of each group: (n_groups, K)."""
    return gates.log_shares(rows.Z, theta) + sums(log_density(parts, coefficients), rows.numbers)


def log_norms(log_prob):
    top = np.real(log_prob).max(axis=1)
    return top + np.log(np.sum(np.exp(log_prob - top[:, np.newaxis]), axis=1))


def responsibilities(log_prob):
    return np.exp(log_prob - log_norms(log_prob)[:, np.newaxis])


def log_likelihood(parts, coefficients, theta, rows):
    return np.sum(rows.weights * log_norms(joint(parts, coefficients, theta, rows)))


# ---- the M-step of a part -------------------------------------------------------------------------------------------


def _objective(part, c, weighted, components):
    value = 0.0
    for k in components:
        log_prob = part.expert.log_density(part.y, predictors(part, c, k), c.dispersion[k])
        value += np.sum(np.where(weighted[:, k] > 0, weighted[:, k] * log_prob, 0))
    return value - part.alpha / 2 * np.sum(c.own[components, 1:] ** 2)


def _system(part, c, weighted, components):
    """Gradient and information of the coefficients of these components and, last, of those that all share."""
    m, p, q = c.own.shape[2], part.X.shape[1], part.shared.shape[1]
    size = len(components) * p * m + q * m
    gradient, information = np.zeros(size), np.zeros((size, size))
    design = np.column_stack([part.X, part.shared])
    for place, k in enumerate(components):
        score, spread = part.expert.derivatives(part.y, predictors(part, c, k), c.dispersion[k])
        own = np.arange(place * p * m, (place + 1) * p * m)
        where = np.concatenate([own, np.arange(size - q * m, size)])
        gradient[where] += np.einsum("i,ia,ic->ac", weighted[:, k], design, score).ravel()
        block = np.einsum("i,ia,ib,icd->acbd", weighted[:, k], design, design, spread)
        information[np.ix_(where, where)] += block.reshape(len(where), len(where))
        slopes = own[m:]
        gradient[slopes] -= part.alpha * c.own[k, 1:].ravel()
        information[slopes, slopes] += part.alpha
    return gradient, information


def newton_step(part, c, weighted, components):
    """One step of these components' coefficients, halved while their objective falls."""
    gradient, information = _system(part, c, weighted, components)
    step = np.linalg.solve(information, gradient)
    n_own = c.own[components].size
    before = _objective(part, c, weighted, components)
    for _ in range(MOST_HALVINGS):
        own = c.own.copy()
        own[components] += step[:n_own].reshape(own[components].shape)
        moved = c._replace(own=own, fixed=c.fixed + step[n_own:].reshape(c.fixed.shape))
        if _objective(part, moved, weighted, components) >= before:
            return moved
        step /= 2
    return c


def _blocks(part, n_components):
    """Which components' coefficients are moved together."""
    return [np.arange(n_components)] if part.shared.shape[1] else [np.array([k]) for k in range(n_components)]


def _dispersions(part, c, weighted, masses):
    """The M-step of the dispersions; `masses`: of Student-t, from before the step."""
    if not part.expert.has_dispersion:
        return c.dispersion
    n_components = len(c.own)
    eta = [predictors(part, c, k) for k in range(n_components)]
    if part.common:
        more = [np.concatenate(masses)] if masses else []
        y, resp = np.concatenate([part.y] * n_components), weighted.T.ravel()
        found = part.expert.dispersion(y, np.concatenate(eta), resp, c.dispersion[0], *more)
        dispersion = np.full(n_components, found)
    else:
        dispersion = np.array(
            [
                part.expert.dispersion(
                    part.y, eta[k], weighted[:, k], c.dispersion[k], *([masses[k]] if masses else [])
                )
                for k in range(n_components)
            ]
        )
    return dispersion * np.sqrt(part.inflation)


def _masses(part, c):
    if not isinstance(part.expert, StudentT):
        return []
    return [part.expert.mass(part.y, predictors(part, c, k), c.dispersion[k]) for k in range(len(c.own))]


def step_part(part, c, weighted):
    """One Newton step of all coefficients, then the dispersions."""
    masses = _masses(part, c)
    for components in _blocks(part, len(c.own)):
        c = newton_step(part, c, weighted, components)
    return c._replace(dispersion=_dispersions(part, c, weighted, masses))


def complete_part(part, c, weighted):
    """Newton steps until coefficients stand still; of Student-t one step, whose weights are part of the E-step."""
    if isinstance(part.expert, StudentT):
        return step_part(part, c, weighted)
    for components in _blocks(part, len(c.own)):
        for _ in range(MOST_STEPS):
            moved = newton_step(part, c, weighted, components)
            change = max(np.abs(moved.own - c.own).max(initial=0), np.abs(moved.fixed - c.fixed).max(initial=0))
            c = moved
            if change <= 1e-13 * max(1, np.abs(c.own).max()):
                break
    return c._replace(dispersion=_dispersions(part, c, weighted, []))


def start_part(part, weighted):
    """The first M-step: from an intercept at the link of the weighted mean and nothing else, to the end."""
    starts = [part.expert.start(part.y, weighted[:, k]) for k in range(weighted.shape[1])]
    own = np.zeros((len(starts), part.X.shape[1], len(starts[0][0])))
    own[:, 0] = [eta for eta, _ in starts]
    fixed = np.zeros((part.shared.shape[1], own.shape[2]))
    c = Coefficients(own, fixed, np.array([dispersion for _, dispersion in starts], dtype=float))
    if part.common or len(fixed):
        c = c._replace(dispersion=np.full(len(own), c.dispersion.mean()))
    if isinstance(part.expert, StudentT):  # least squares
        for components in _blocks(part, len(own)):
            c = newton_step(part._replace(expert=LeastSquares()), c, weighted, components)
        return c._replace(dispersion=_dispersions(part, c, weighted, [np.ones(len(part.y))] * len(own)))
    return complete_part(part, c, weighted)


class LeastSquares:
    """The first M-step of robust experts: scores and objective of a Gaussian of standard deviation 1."""

    def log_density(self, y, eta, dispersion):
        return -((y - eta[:, 0]) ** 2) / 2

    def derivatives(self, y, eta, dispersion):
        return y[:, np.newaxis] - eta, np.ones((len(y), 1, 1))


# ---- EM -------------------------------------------------------------------------------------------------------------


class Fit(NamedTuple):
    coefficients: list
    theta: np.ndarray
    log_likelihoods: list


def fit(parts, resp, rows, n_iter, complete=True, gate_penalty=0.0, tol=0.0):
    """M-steps, `n_iter` of them, from responsibilities (n_groups, K), and the log-likelihood after each. The first is
    complete in any case. Ends before where the log-likelihood changes by less than `tol` relative to itself."""
    has_gate = rows.Z.shape[1] > 1
    spread = (rows.weights[:, np.newaxis] * resp)[rows.numbers]
    coefficients = [start_part(part, spread) for part in parts]
    theta = gates.constant(resp, rows.weights)
    if has_gate:
        theta = np.column_stack([theta, np.zeros((len(theta), rows.Z.shape[1] - 1))])
        theta = gates.complete(rows.Z, theta, resp, rows.weights, gate_penalty)
    found = [log_likelihood(parts, coefficients, theta, rows)]
    for _ in range(n_iter - 1):
        resp = responsibilities(joint(parts, coefficients, theta, rows))
        spread = (rows.weights[:, np.newaxis] * resp)[rows.numbers]
        move = complete_part if complete else step_part
        coefficients = [move(part, c, spread) for part, c in zip(parts, coefficients, strict=True)]
        if has_gate:
            move_gate = gates.complete if complete else gates.newton_step
            theta = move_gate(rows.Z, theta, resp, rows.weights, gate_penalty)
        else:
            theta = gates.constant(resp, rows.weights)
        found.append(log_likelihood(parts, coefficients, theta, rows))
        if abs(found[-1] - found[-2]) <= tol * abs(found[-1]):
            break
    return Fit(coefficients, theta, found)
