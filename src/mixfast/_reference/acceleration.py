"""Twin of the extrapolation of EM (`_acceleration.pyx`)."""

from __future__ import annotations

import numpy as np

from mixfast._reference import em

SLOW_STEPS, SLOW, SMALL, GROWTH, FIRST_LENGTH = 2, 0.7, 1e-4, 1.01, 2.0


def extrapolate(points, longest):
    """(the point extrapolated from three, oldest first, the length gone); the newest and 1 where there is none."""
    oldest, middle, newest = points
    with np.errstate(invalid="ignore"):
        r, v = middle - oldest, newest - 2 * middle + oldest
    on_line = np.isfinite(r) & np.isfinite(v)
    bend = np.linalg.norm(v[on_line])
    length = min(np.linalg.norm(r[on_line]) / bend, longest) if bend > 0 else 1.0
    if not length > 1:
        return newest, 1.0
    return np.where(on_line, oldest + 2 * length * r + length**2 * v, newest), length


def to_point(weights, family, params):
    with np.errstate(divide="ignore"):
        return np.concatenate([np.log(weights), family.unconstrain(params)])


def from_point(point, n_components, family, params):
    """`params` give the shapes."""
    weights = np.exp(point[:n_components] - point[:n_components].max())
    return weights / weights.sum(), family.constrain(point[n_components:], params)


def fit(X, weights, family, params, n_passes):
    """So many passes from a start: (weights, params, objectives of the accepted ones, which passes extrapolated).

    Only for data on which no covariance is repaired and no component emptied.
    """
    objectives, extrapolated = [], []
    points, n_slow, increment, longest = [], 0, 0.0, FIRST_LENGTH
    bound, image = -np.inf, (weights, params)
    for _ in range(n_passes):
        state, length = image, 1.0
        if n_slow == SLOW_STEPS and len(points) == 3:
            point, length = extrapolate(points, longest)
            if length > 1:
                state = from_point(point, len(weights), family, params)
        extrapolated.append(length > 1)
        gathered = em.gather(X, None, state[0], family, state[1])
        objective = (gathered.evidence + family.log_prior(state[1])) / len(X)
        if length > 1 and not objective >= bound:
            longest, points = length, points[-1:]
            continue
        change, bound = objective - bound, objective
        if length > 1:
            longest *= 2 if length == longest else 1
            points, increment = [], np.inf
        else:
            is_small = 0 < change < SMALL
            points = points if is_small else []
            if n_slow < SLOW_STEPS:
                n_slow = n_slow + 1 if is_small and SLOW * increment < change < increment else 0
            elif change > GROWTH * increment:
                n_slow = 0
            increment = change
        image = em.maximise(gathered, state[0], family, state[1])
        objectives.append(objective)
        points = [*points, to_point(image[0], family, image[1])][-3:]
    return *image, objectives, extrapolated
