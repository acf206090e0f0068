"""Twins of gates: the log probability of each component before a row's y is seen, and its M-step.

A gate's parameters are theta (K, q): softmax of Z theta_k, where the first column of Z is 1 and theta_0 = 0. A constant
gate is that with q = 1. `resp` (n, K) and `weights` (n,) are those of groups, where rows have groups.
"""

from __future__ import annotations

import numpy as np

#: Newton steps of a complete M-step, and how often one is halved.
MOST_STEPS, MOST_HALVINGS = 200, 40


def log_shares(Z, theta):
    eta = Z @ theta.T
    top = np.real(eta).max(axis=1, keepdims=True)
    return eta - top - np.log(np.sum(np.exp(eta - top), axis=1, keepdims=True))


def constant(resp, weights):
    """The M-step of a constant gate, in closed form."""
    share = weights @ resp
    return np.log(share / share[0])[:, np.newaxis]


def log_penalty(theta, penalty):
    """Of slopes about their mean, so that no component is special."""
    slopes = theta[:, 1:] - theta[:, 1:].mean(axis=0)
    return -penalty / 2 * np.sum(slopes**2)


def objective(Z, theta, resp, weights, penalty):
    return np.sum(weights[:, np.newaxis] * resp * log_shares(Z, theta)) + log_penalty(theta, penalty)


def penalty_curvature(n_components, n_columns, penalty):
    """Minus the second derivatives of the log penalty in theta, (K q, K q)."""
    about_mean = np.eye(n_components) - 1 / n_components
    slopes = np.eye(n_columns)
    slopes[0, 0] = 0
    return penalty * np.kron(about_mean, slopes)


def newton_step(Z, theta, resp, weights, penalty):
    """One step of all components' theta, halved while the objective falls."""
    n_components, n_columns = theta.shape
    share = np.exp(log_shares(Z, theta))
    curvature = penalty_curvature(n_components, n_columns, penalty)
    gradient = ((weights[:, np.newaxis] * (resp - share)).T @ Z).ravel() - curvature @ theta.ravel()
    spread = share[:, :, np.newaxis] * (np.eye(n_components) - share[:, np.newaxis, :])
    information = np.einsum("i,ikl,ia,ib->kalb", weights, spread, Z, Z).reshape(theta.size, theta.size) + curvature
    step = np.zeros_like(theta)
    free = slice(n_columns, None)
    step[1:] = np.linalg.solve(information[free, free], gradient[free]).reshape(-1, n_columns)
    before = objective(Z, theta, resp, weights, penalty)
    for _ in range(MOST_HALVINGS):
        if objective(Z, theta + step, resp, weights, penalty) >= before:
            return theta + step
        step /= 2
    return theta


def complete(Z, theta, resp, weights, penalty):
    for _ in range(MOST_STEPS):
        moved = newton_step(Z, theta, resp, weights, penalty)
        if np.abs(moved - theta).max() <= 1e-13 * max(1, np.abs(theta).max()):
            return moved
        theta = moved
    return theta
