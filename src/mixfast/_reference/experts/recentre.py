"""Twin of `recentre` of experts and of gates: sums that a pass left at some parameters, as those of the quadratic that
they stand for at others.

A score g and an information H say of a step s that the score after it is g - H s, and that the objective changes by
s' g - s' H s / 2. Arrays are those of the statistics: of one component and response, m linear predictors of 1 + p
coefficients each, that of 1 first. Information is packed: lower triangles by rows, of pairs of predictors and, in each
block, of pairs of coefficients; blocks of two different predictors are without their sign, which is minus.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import digamma


class At(NamedTuple):
    """Parameters of one component and response: intercepts (m,) are about the pivot (p,), coefficients (m, p)."""

    coefficients: np.ndarray
    intercepts: np.ndarray
    dispersion: float
    degrees: float
    pivot: np.ndarray


def whole(packed):
    """The symmetric matrix of a lower triangle that is packed by rows, along the last axis."""
    order = int(np.sqrt(2 * packed.shape[-1]))
    matrix = np.empty((*packed.shape[:-1], order, order))
    rows, columns = np.tril_indices(order)
    matrix[..., rows, columns] = matrix[..., columns, rows] = packed
    return matrix


def triangle_of(matrix):
    """The inverse of `whole`."""
    return matrix[(..., *np.tril_indices(matrix.shape[-1]))]


def joined(blocks):
    """The information (m w, m w) of all predictors together, from blocks (n_blocks, size)."""
    parts = whole(blocks)
    m, w = int(np.sqrt(2 * len(blocks))), parts.shape[-1]
    out = np.empty((m, w, m, w))
    for place, (e, g) in enumerate(zip(*np.tril_indices(m), strict=True)):
        out[e, :, g] = out[g, :, e] = parts[place] if e == g else -parts[place]
    return out.reshape(m * w, m * w)


def _rise(shape):
    """log(shape) - digamma(shape)"""
    return np.log(shape) - digamma(shape)


def _squares(count, gain, last, now, sums):
    """Squared residuals, whose score is -2 times that of the log density, and log u - u of the weights of rows."""
    degrees = _rise((now.degrees + 1) / 2) - _rise((last.degrees + 1) / 2)
    return np.array([max(sums[0] - 2 * gain, 0), sums[1] + count * degrees, sums[2]])


def _gap(count, gain, last, now, sums):
    """y / mean - 1 - log(y / mean), whose score is minus that of the log density in units of the shape."""
    return np.array([max(sums[0] - gain, 0), *sums[1:]])


def _thetas(count, gain, last, now, sums):
    """First and second derivatives by theta, of a quadratic in log theta."""
    slope = last.dispersion * sums[0]
    bend = slope + last.dispersion**2 * sums[1]
    slope = slope + bend * np.log(now.dispersion / last.dispersion)
    return np.array([slope / now.dispersion, (bend - slope) / now.dispersion**2, sums[2]])


SUMS = {"gaussian": _squares, "student_t": _squares, "gamma": _gap, "negative_binomial": _thetas}


def expert(kind, count, gradient, information, sums, last, now):
    """(gradient, information, sums) of one component and response at `now`, from those at `last`."""
    shape, H = gradient.shape, joined(information)
    # predictors are the same functions of x, whatever they are about: the step is about the last pivot
    intercepts = now.intercepts - now.coefficients @ (now.pivot - last.pivot) - last.intercepts
    step = np.column_stack([intercepts, now.coefficients - last.coefficients]).ravel()
    gain = step @ gradient.ravel() - step @ H @ step / 2
    gradient = (gradient.ravel() - H @ step).reshape(shape)
    if kind in SUMS:
        sums = SUMS[kind](count, gain, last, now, sums)
    change = np.eye(shape[1])
    change[0, 1:] = last.pivot - now.pivot  # (1, x - pivot) = (1, x - last pivot) change
    return gradient @ change, triangle_of(change.T @ whole(information) @ change), sums


def gate(gradients, information, step):
    """Gradients (K, 1 + q) after a step (K, 1 + q) of intercepts about the pivot and slopes, that of component 0 being
    0. `information` of all pairs of components but 0, or the sums of z z' alone, half of which is a bound of it."""
    n_components, width = gradients.shape
    if len(information) < n_components * (n_components - 1) // 2:
        return gradients - (step - step.mean(axis=0)) @ whole(information[0]) / 2
    moved = gradients[1:].ravel() - joined(information) @ step[1:].ravel()
    moved = moved.reshape(n_components - 1, width)
    return np.vstack([-moved.sum(axis=0), moved])
