"""Parameters of regressions and of their gate that stay as they are: what users say of attributes, as the family and
the gate want it."""

from __future__ import annotations

import numpy as np

from mixfast.estimators._holding import values_of
from mixfast.families.domains import POSITIVE, check_domain
from mixfast.families.experts import OWN, SHARED, MultinomialExpert
from mixfast.families.holding import ALL, NUMBER, Holding, filled
from mixfast.inference import Held

#: Parameter, as the attribute has it -> array of `ExpertParams`.
FIELDS = {
    "coef": "coefficients",
    "intercept": "intercepts",
    "sigma": "dispersions",
    "shape": "dispersions",
    "theta": "dispersions",
    "degrees_of_freedom": "degrees",
}
OF_GATE = ("gate_coef", "gate_intercept")


class HoldsRegressions:
    """What mixtures of experts make of `hold`."""

    def _holdings(self):
        """What can be held beside weights, by the names of attributes."""
        names = [name for name in FIELDS if any(self._has_parameter(expert, name) for expert in self._experts())]
        names += OF_GATE if self.gate is not None else ()
        return {name: Holding(self._depth_of(name)) for name in names}

    def _depth_of(self, name):
        return ALL if FIELDS.get(name) == "dispersions" and self.variance == "common" else NUMBER

    def _has_parameter(self, expert, name):
        if name == "degrees_of_freedom":
            return expert.degrees is None
        if name == "intercept":
            return self.fit_intercept
        return FIELDS[name] != "dispersions" or expert.dispersion_name == f"{name}_"

    def _held_values(self, family, n_features):
        numbers = self._held_numbers(n_features) if self.hold else {}
        held = {name: ~np.isnan(values) for name, values in numbers.items()}
        return {name: (held[name], values) for name, values in numbers.items() if held[name].any()}

    def _held_numbers(self, n_features):
        """Arrays of `ExpertParams` by name, NaN where they are fitted. Raises ValueError for what cannot be held."""
        experts, K = self._experts(), self.n_components
        n_predictors = sum(expert.n_predictors for expert in experts)
        numbers = {
            "coefficients": np.full((K, n_predictors, n_features), np.nan),
            "intercepts": np.full((K, n_predictors), np.nan),
            "dispersions": np.full((K, len(experts)), np.nan),
            "degrees": np.full((K, len(experts)), np.nan),
        }
        self._check_names_held()
        for name in [own for own in self.hold if own in FIELDS]:
            first = 0
            for place, (expert, given) in enumerate(zip(experts, self._each_held(name), strict=True)):
                predictors, first = slice(first, first + expert.n_predictors), first + expert.n_predictors
                if given is None:
                    continue
                if not self._has_parameter(expert, name):
                    raise ValueError(f"hold[{name!r}] is given for expert={expert.name!r}, which has none: pass None")
                values = self._held_of_response(name, given, expert, place, n_features)
                is_of_predictors = FIELDS[name] in ("coefficients", "intercepts")
                numbers[FIELDS[name]][:, predictors if is_of_predictors else place] = values
        self._check_shared(numbers)
        return numbers

    def _check_names_held(self):
        known = [*([] if self.gate is not None else ["weights"]), *self._holdings()]
        wrong = [name for name in self.hold if name not in known]
        if wrong:
            raise ValueError(
                f"hold has {wrong[0]!r}, and a {type(self).__name__}, expert={self.expert!r}, "
                f"degrees_of_freedom={self.degrees_of_freedom!r}, gate={self.gate!r}, can hold "
                f"{', '.join(map(repr, known))}"
            )

    def _each_held(self, name):
        given = self.hold[name]
        if not self._has_several:
            return [given]
        n_responses = len(self._names_of_experts())
        is_list = isinstance(given, list | tuple | np.ndarray) and len(given) == n_responses
        if not is_list or any(self._is_less_than_a_response(name, own) for own in given if own is not None):
            raise ValueError(
                f"hold[{name!r}] should be a list with an entry for each of {n_responses} responses, an array each, or "
                f"None for those of which nothing is held; got {given!r}"
            )
        return given

    @staticmethod
    def _is_less_than_a_response(name, own):
        """Whether it has too few dimensions to be a response's entry: rows of one array, say."""
        try:
            own = np.asarray(own)
        except ValueError:  # lists of different lengths, which is said of them elsewhere
            return False
        return own.ndim < (2 if name == "coef" and own.dtype != bool else 1)

    def _held_of_response(self, name, given, expert, place, n_features):
        """(K, n_predictors, n_features), (K, n_predictors) or (K,), NaN where nothing is held."""
        is_of_classes = isinstance(expert, MultinomialExpert)
        shape = {
            "coefficients": (self.n_components, *((expert.width,) if is_of_classes else ()), n_features),
            "intercepts": (self.n_components, *((expert.width,) if is_of_classes else ())),
        }.get(FIELDS[name], (self.n_components,))
        fitted = {name: self._each(f"{name}_")[place]} if self._goes_on() else None
        depth = self._depth_of(name)
        held, values = values_of(name, given, shape, depth, fitted)
        if FIELDS[name] in ("dispersions", "degrees"):
            if held.any():
                check_domain(f"hold[{name!r}]", filled(values, held, depth), (POSITIVE,))
            return values
        if FIELDS[name] == "coefficients" and self.columns is not None:
            left_out = np.ones(n_features, dtype=bool)
            left_out[list(self._columns_of_responses()[place])] = False
            if np.any(np.nan_to_num(values[..., left_out]) != 0):
                raise ValueError(
                    f"hold[{name!r}] should be 0 or NaN for columns that columns={self.columns!r} leave out of a "
                    "response"
                )
            values[..., left_out] = np.nan  # is 0 anyway
        if not is_of_classes:
            return values[:, np.newaxis]
        if np.any(np.nan_to_num(values[:, 0]) != 0):
            raise ValueError(
                f"hold[{name!r}] should be 0 or NaN for the first class, against which the log odds of others are: "
                "take its numbers off those of all classes"
            )
        return values[:, 1:]

    def _check_shared(self, numbers):
        """Raises ValueError where components hold different numbers of what they share."""
        shared = {"coef": numbers["coefficients"][..., list(self._places_of("fixed", self.fixed))]}
        if self.variance == "common":
            shared["dispersion"] = numbers["dispersions"]
        for name, values in shared.items():
            if not np.array_equal(values, np.broadcast_to(values[:1], values.shape), equal_nan=True):
                raise ValueError(
                    f"hold has a {name} that all components share (fixed={self.fixed!r}, variance={self.variance!r}) "
                    "and not the same number for all: give it to all of them, or NaN"
                )

    def _held_in_inference(self, responses, n_features, shape_of_gate):
        """`Held` of responses as `inference` takes them, for a gate theta of this shape; None where nothing is."""
        if not self.hold:
            return None
        numbers = {name: ~np.isnan(values) for name, values in self._held_numbers(n_features).items()}
        use, first, own, fixed, dispersions = self._family().use(n_features), 0, [], [], []
        for place, (expert, response) in enumerate(zip(self._experts(), responses, strict=True)):
            predictors, first = slice(first, first + expert.n_predictors), first + expert.n_predictors
            coefficients = numbers["coefficients"][:, predictors].transpose(0, 2, 1)
            intercepts = numbers["intercepts"][:, np.newaxis, predictors][:, : response.n_intercepts]
            own.append(np.concatenate([intercepts, coefficients[:, use[place, 1:] == OWN]], axis=1))
            fixed.append(coefficients[0, use[place, 1:] == SHARED])
            both = np.column_stack([numbers["dispersions"][:, place], numbers["degrees"][:, place]])
            dispersions.append(both[:, : len(response.common)])
        n_components, n_columns = shape_of_gate
        gate = np.zeros((n_components - 1, n_columns), dtype=bool)
        if self.gate is not None:
            values = self._held_of_gate(n_columns - 1)
            gate = gate if values is None else ~np.isnan(values[1:])
        elif "weights" in self.hold:
            is_free = np.isnan(np.asarray(self.hold["weights"], dtype=np.float64))
            gate[:] = is_free.sum() <= 1
            if 1 < is_free.sum() < n_components:
                raise ValueError(
                    f"inference knows of weights that are all held or none, and hold['weights'] is "
                    f"{self.hold['weights']!r}: hold all of them, at what weights_ has found perhaps, or none, and fit "
                    "again"
                )
        return Held(own, fixed, dispersions, gate)

    def _held_of_gate(self, n_columns):
        """(n_components, 1 + n_columns), intercepts and slopes of the gate, NaN where they are fitted; None for
        none."""
        if not self.hold or not any(name in self.hold for name in OF_GATE):
            return None
        numbers = np.full((self.n_components, 1 + n_columns), np.nan)
        for name, own in (("gate_intercept", numbers[:, 0]), ("gate_coef", numbers[:, 1:])):
            if name in self.hold:
                fitted = {name: getattr(self, f"{name}_")} if self._goes_on() else None
                own[...] = values_of(name, self.hold[name], own.shape, NUMBER, fitted)[1]
                if np.any(np.nan_to_num(own[0]) != 0):
                    raise ValueError(
                        f"hold[{name!r}] should be 0 or NaN for component 0, which others are relative to: take its "
                        "numbers off those of all components"
                    )
        numbers[0] = np.nan  # are 0 anyway
        return None if np.isnan(numbers).all() else numbers
