"""How sure the parameters are, by differentiating the log-likelihood itself: complex steps for its gradient, central
differences of that for the information. Slow and independent of Louis' identity, which it is there to check.

Parameters in their order: theta of components 1, 2, ..., each with its columns; then of each part `own` (K, p, m),
`fixed` (q, m), and the logs of the dispersions, of which there is one where they are common.
"""

from __future__ import annotations

import numpy as np

from mixfast._reference.experts.em import Coefficients, log_likelihood


def _n_dispersions(part, n_components):
    return (1 if part.common else n_components) if part.expert.has_dispersion else 0


def flatten(parts, coefficients, theta):
    pieces = [theta[1:].ravel()]
    for part, c in zip(parts, coefficients, strict=True):
        pieces += [c.own.ravel(), c.fixed.ravel(), np.log(c.dispersion[: _n_dispersions(part, len(c.own))])]
    return np.concatenate(pieces)


def unflatten(parts, flat, coefficients, theta):
    """The inverse, for arrays of the shapes of `coefficients` and `theta`; of complex numbers too."""
    place = 0

    def take(shape):
        nonlocal place
        first, place = place, place + int(np.prod(shape))
        return flat[first:place].reshape(shape)

    moved_theta = np.vstack([np.zeros((1, theta.shape[1])), take((len(theta) - 1, theta.shape[1]))])
    moved = []
    for part, c in zip(parts, coefficients, strict=True):
        own, fixed = take(c.own.shape), take(c.fixed.shape)
        n_dispersions = _n_dispersions(part, len(c.own))
        logs = take((n_dispersions,))
        dispersion = np.exp(logs) * np.ones(len(c.own)) if n_dispersions else c.dispersion
        moved.append(Coefficients(own, fixed, dispersion))
    return moved, moved_theta


def gradient(parts, coefficients, theta, rows, flat):
    slopes = np.empty(len(flat))
    for place in range(len(flat)):
        moved = flat.astype(complex)
        moved[place] += 1e-30j
        slopes[place] = np.imag(log_likelihood(parts, *unflatten(parts, moved, coefficients, theta), rows)) / 1e-30
    return slopes


def information(parts, coefficients, theta, rows):
    """Minus the second derivatives of the log-likelihood."""
    flat = flatten(parts, coefficients, theta)
    found = np.empty((len(flat), len(flat)))
    for place in range(len(flat)):
        step = np.zeros(len(flat))
        step[place] = 1e-5 * max(1, abs(flat[place]))
        above, below = (gradient(parts, coefficients, theta, rows, flat + sign * step) for sign in (1, -1))
        found[place] = (below - above) / (2 * step[place])
    return (found + found.T) / 2
