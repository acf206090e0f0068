"""Which numbers the parameters of components may be. Estimates lie within; what a user gives is checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

#: Numbers that sum to 1 may miss it by so much: float32 ones of thousands of components do.
SUM_TOLERANCE = 1e-3

#: Tolerance for given matrices, which may be written with few digits: by how much correlations may differ from those on
#: the other side of the diagonal, and numbers below the diagonal of a factor from zero, relative to its diagonal.
SYMMETRY = 1e-5


class Domain(NamedTuple):
    """What an array of parameters should be.

    wanted : text after "should be" in the error message, with a remedy if that is not obvious
    is_outside : function of an array; returns a bool for each number, row or matrix; more axes in front are allowed
    """

    wanted: str
    is_outside: Callable


def check_domain(name, values, domains):
    """Raises ValueError for the first of the values that is not finite, or is outside one of the domains."""
    for domain in (FINITE, *domains):
        outside = np.asarray(domain.is_outside(values))
        if np.any(outside):
            place = tuple(map(int, np.unravel_index(np.argmax(outside), outside.shape)))
            where = f"{name}[{', '.join(map(str, place))}]" if place else name
            raise ValueError(f"{where} is {np.asarray(values)[place]}, but {name} should be {domain.wanted}")


def _is_no_covariance(matrices):
    """Whether each matrix is no covariance, up to rounding: float32 may make a positive definite one indefinite."""
    matrices = np.asarray(matrices)
    d = matrices.shape[-1]
    rounding = 16 * d * np.finfo(np.result_type(matrices.dtype, np.float32)).eps
    variances = np.diagonal(matrices, axis1=-2, axis2=-1).astype(np.float64)
    is_positive = np.all(variances > 0, axis=-1)
    spreads = np.sqrt(np.where(variances > 0, variances, 1))
    correlations = matrices.astype(np.float64) / spreads[..., :, np.newaxis] / spreads[..., np.newaxis, :]
    mirrored = np.swapaxes(correlations, -1, -2)
    is_symmetric = np.all(np.abs(correlations - mirrored) <= SYMMETRY, axis=(-2, -1))
    return ~(is_positive & is_symmetric & (np.linalg.eigvalsh((correlations + mirrored) / 2)[..., 0] > -rounding))


def _is_no_factor(matrices):
    diagonal = np.diagonal(matrices, axis1=-2, axis2=-1).astype(np.float64)
    is_positive = np.all(diagonal > 0, axis=-1)
    roots = np.sqrt(np.where(diagonal > 0, diagonal, 1))
    below = np.abs(np.tril(matrices, -1)) > SYMMETRY * roots[..., :, np.newaxis] * roots[..., np.newaxis, :]
    return ~is_positive | np.any(below, axis=(-2, -1))


FINITE = Domain("finite", lambda values: ~np.isfinite(values))
POSITIVE = Domain("above 0", lambda values: values <= 0)
NOT_NEGATIVE = Domain("at least 0", lambda values: values < 0)
COUNT = Domain("whole numbers of at least 0", lambda values: (values < 0) | (values != np.floor(values)))
PROBABILITY = Domain("from 0 to 1", lambda values: (values < 0) | (values > 1))
SUM_IS_ONE = Domain(
    "numbers that sum to 1: divide them by their sum",
    lambda values: np.abs(np.sum(values, axis=-1) - 1) > SUM_TOLERANCE,
)
UNIT_VECTOR = Domain(
    "unit vectors: divide each by its norm",
    lambda values: np.abs(np.linalg.norm(values, axis=-1) - 1) > SUM_TOLERANCE,
)
COVARIANCE = Domain("symmetric, positive-definite", _is_no_covariance)
FACTOR = Domain("upper triangular, with a diagonal above 0", _is_no_factor)
SAME_FOR_ALL_COMPONENTS = Domain("the same for all components", lambda values: values != values[..., :1])
SAME_FOR_ALL_COLUMNS = Domain("the same for all columns of a component", lambda values: values != values[..., :1])

#: Domains of the probabilities of exclusive outcomes, and of weights.
DISTRIBUTION = (NOT_NEGATIVE, SUM_IS_ONE)


def between(least, most):
    """A `Domain` that has what its limits are rounded to in float32, too."""
    low, high = min(least, float(np.float32(least))), max(most, float(np.float32(most)))
    return Domain(f"from {least} to {most}", lambda values: (values < low) | (values > high))


def sums_are_one(numbers):
    """A `Domain` of consecutive groups of numbers, of sizes `numbers`, each of which sums to 1."""
    starts = np.cumsum([0, *numbers[:-1]])
    return SUM_IS_ONE._replace(
        is_outside=lambda values: np.abs(np.add.reduceat(values, starts, axis=-1) - 1) > SUM_TOLERANCE
    )


def of_sum(total):
    return Domain(
        f"numbers of sum {total} for each component",
        lambda values: np.abs(np.sum(values, axis=-1) / total - 1) > SUM_TOLERANCE,
    )
