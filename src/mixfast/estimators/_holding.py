"""Parameters that stay as they are while the others are fitted: what estimators make of `hold`, and what the engine
wants of it."""

from __future__ import annotations

import numpy as np

from mixfast._em import Held
from mixfast.families.domains import check_domain
from mixfast.families.holding import ALL, SAID, check_depth, filled
from mixfast.in_messages import in_short
from mixfast.proportions._fixed import FixedWeights, HeldWeights
from mixfast.row_data import separated

#: How far rows of a start are from what is held is measured in so many of them at a time.
ROWS_AT_ONCE = 65536


def proportions_of(values, n_weights):
    """`HeldWeights` from hold["weights"]; None if no weight is held."""
    values = np.asarray(values, dtype=np.float64)
    if values.shape != (n_weights,):
        raise ValueError(f"hold['weights'] should have the shape of {(n_weights,)}, got {values.shape}")
    free = np.isnan(values)
    if free.all():
        return None
    return HeldWeights(values) if free.any() else FixedWeights(values, n_weights, "hold['weights']")


def masks_and_values(hold, family, n_weights, n_features, fitted, whose):
    """name -> (what is held of the parameter, a mask; values of all of it, where they are held), float64. `fitted` are
    attributes that masks are about, by name, or None where there are none."""
    layout = family.params_layout(n_weights, n_features)
    shapes = dict(zip(layout.record._fields, layout.shapes, strict=True))
    found = {}
    for name, given in hold.items():
        if name == "weights":
            continue
        if name not in family.holdings:
            known = ["weights", *family.holdings]
            raise ValueError(
                f"hold has {name!r}, and {whose} can hold {', '.join(map(repr, known))}: of others the M-step "
                "would not be exact"
            )
        found[name] = values_of(name, given, shapes[name], family.holdings[name].depth, fitted)
    found = {name: own for name, own in found.items() if own[0].any()}
    for name, (held, _) in found.items():
        for other in family.holdings[name].needs:
            depths = {family.holdings[name].depth, family.holdings[other].depth}
            if other not in found or not _covers(found[other][0], held, ALL in depths):
                raise ValueError(f"hold has {name!r}, which is held together with {other!r}: give that as well")
    for name, (held, values) in found.items():
        check_domain(f"hold[{name!r}]", filled(values, held, family.holdings[name].depth), family.domains.get(name, ()))
    return found


def _covers(other, held, together):
    """Whether a parameter is held wherever another one is: as a whole, number by number, or by components."""
    if together:
        return bool(other.all())
    if other.shape == held.shape:
        return bool(other[held].all())
    own, theirs = (mask.reshape(len(mask), -1) for mask in (held, other))
    return bool(theirs[own.any(axis=1)].all())


def values_of(name, given, shape, depth, fitted):
    """(what is held of a parameter, a mask; its values, float64, NaN where nothing is). `fitted` has attributes that a
    mask is about, by name, or None. Raises ValueError for what has not this shape, and where a unit is torn."""
    try:
        values = np.asarray(given)
        is_number = values.dtype.kind in "biuf"
    except ValueError:  # lists of different lengths
        is_number = False
    if not is_number:
        raise ValueError(f"hold[{name!r}] should be an array of numbers, or a mask, got {in_short(given)}")
    if values.dtype == bool:
        if fitted is None:
            raise ValueError(
                f"hold[{name!r}] is a mask, of what a model was fitted to before: set warm_start=True and fit "
                "again, or give the numbers, NaN for those that are fitted"
            )
        if values.shape not in (shape, shape[:1]):
            raise ValueError(
                f"hold[{name!r}] should be a mask of the shape of {shape[:1]} or {shape}, got {values.shape}"
            )
        values = values.reshape(values.shape + (1,) * (len(shape) - values.ndim))
        values = np.where(values, np.asarray(fitted[name], dtype=np.float64), np.nan)
    values = values.astype(np.float64)
    if values.shape != shape:
        raise ValueError(
            f"hold[{name!r}] should have the shape of {shape}, got {values.shape}: numbers that stay, NaN for those "
            f"that are fitted; {SAID[depth]} are held"
        )
    if np.any(np.isinf(values)):
        raise ValueError(f"hold[{name!r}] should be finite, or NaN for numbers that are fitted")
    return check_depth(name, values, depth), values


def packed(found, family, n_weights, n_features):
    """(n_params,), NaN where a parameter is fitted."""
    layout = family.params_layout(n_weights, n_features)
    numbers = np.full(layout.size, np.nan)
    record = layout.view(numbers)._asdict()
    for name, (held, values) in found.items():
        whole = filled(values, held, family.holdings[name].depth)
        for field, own in family.held_fields(name, whole).items():
            record[field][held] = own[held]
    return numbers


def in_units(numbers, family, n_weights, n_features, units):
    """What is held, of rows in other units."""
    layout = family.params_layout(n_weights, n_features)
    blank = np.asarray(family.blank(n_weights, n_features), dtype=np.float64)
    entered = layout.pack(units.enter(layout.view(np.where(np.isnan(numbers), blank, numbers))))
    return np.where(np.isnan(numbers), np.nan, entered)


def for_engine(found, numbers, family, n_weights, n_columns, dtype):
    """`Held` of the compiled engine, for encoded rows of n_columns that are computed in `dtype`."""
    masks = {name: held for name, (held, _) in found.items()}
    places = family.held_moments(masks, family.n_begun(n_weights), n_columns, dtype)
    settled = np.zeros(n_weights, dtype=bool)
    names = family.judging()
    if all(name in found for name in names):
        whole = [found[name][0].reshape(-1) for name in names]
        if all(own.all() for own in whole):
            settled[:] = True
        elif all(found[name][0].ndim and len(found[name][0]) == family.n_begun(n_weights) for name in names):
            n_own = family.n_begun(n_weights)
            settled[:n_own] = np.all([found[name][0].reshape(n_own, -1).all(axis=1) for name in names], axis=0)
    return Held(numbers, places.astype(np.int64), settled)


def rows_near(X, centres):
    """component -> a row to begin with, of those whose location is held: the nearest, columns in units of their
    deviations, and another one for each. IN centres (n_components, n_features), NaN where no location is held."""
    places, is_held = {}, ~np.isnan(centres)
    if not is_held.any():
        return places
    deviations = np.std(X, axis=0, dtype=np.float64)
    deviations[~(deviations > 0)] = 1
    for k in np.flatnonzero(is_held.any(axis=1)):
        own = is_held[k]
        distances = np.concatenate(
            [
                np.sum(((X[i : i + ROWS_AT_ONCE, own] - centres[k, own]) / deviations[own]) ** 2, axis=1)
                for i in range(0, len(X), ROWS_AT_ONCE)
            ]
        )
        distances[list(places.values())] = np.inf
        distances[np.isnan(distances)] = np.inf
        places[int(k)] = int(np.argmin(distances))
    return places


class HoldsParameters:
    """Base of `MixtureByEM`, before all others: what it makes of `hold`."""

    hold = None

    def _hold_of(self, name):
        """What `hold` says of a parameter, where it says something."""
        return None if self.hold is None else self.hold.get(name)

    def _held_values(self, family, n_features):
        """Held parameters by name, as `masks_and_values` returns them; empty if none is held."""
        if not self.hold:
            return {}
        return masks_and_values(
            self.hold,
            family,
            self._n_weights(),
            n_features,
            self._attributes_held() if self._goes_on() else None,
            ", ".join(
                [
                    f"a {type(self).__name__}",
                    *(f"{name}={getattr(self, name)!r}" for name in self._structural if name in vars(self)),
                ]
            ),
        )

    def _holdings(self):
        """What can be held beside weights, by the names of attributes."""
        return self._family().holdings

    def _attributes_held(self):
        return {name: getattr(self, f"{name}_") for name in self.hold if hasattr(self, f"{name}_")}

    def _held_in_engine(self, found, encoded, n_features, units, dtype):
        """`Held` of encoded rows that are computed in `dtype`, and its numbers in the units of the rows; None and None
        where nothing is held. `found` is that of `_held_values`."""
        family = encoded.family
        if not found:
            return None, None
        numbers = packed(found, family, self._n_weights(), n_features)
        numbers = in_units(numbers, family, self._n_weights(), n_features, units)
        held = for_engine(found, numbers, family, self._n_weights(), encoded.rows.shape[1], dtype)
        return held, numbers

    def _put_held(self, found, params, family, n_features):
        """Packed parameters with what is held, to the last bit, whatever units they were fitted in."""
        if not found:
            return params
        numbers = packed(found, family, self._n_weights(), n_features)
        return np.where(np.isnan(numbers), params, numbers)

    def _hold_in(self, em, encoded, units, dtype):
        n_features = self._n_fitted_features()
        found = self._held_values(encoded.family, n_features)
        em.hold(self._held_in_engine(found, encoded, n_features, units, dtype)[0])

    def _with_held(self, params):
        family, n_features = self._family(), self._n_fitted_features()
        return self._put_held(self._held_values(family, n_features), params, family, n_features)

    def _rows_near_held(self, X, found):
        """component -> a row that k-means knows to be of it, where its location is held."""
        if not found:
            return {}
        rows, family = separated(X)[0], self._family()
        return rows_near(rows, family.held_centres(found, family.n_begun(self._n_weights()), X.shape[1]))
