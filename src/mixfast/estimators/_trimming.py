"""Trimming: rows of the lowest density are left out of each M-step."""

from __future__ import annotations

import math
from numbers import Real

import numpy as np
from sklearn.utils._param_validation import Interval

from mixfast.engine._predictions import evaluate
from mixfast.engine._rows import Rows
from mixfast.estimators._by_em import MixtureByEM
from mixfast.estimators._noise import crowding, least_crowded
from mixfast.families.presence import have_gaps
from mixfast.row_data import separated


def level_of(log_density, weight, share):
    """The least log density that is kept where rows of this share of the weight are left out, those of the lowest
    density; a row of which a part is left is kept."""
    order = np.argsort(log_density, kind="stable")
    left = np.cumsum(weight[order]) <= share * weight.sum() * (1 + 1e-12)
    return float(log_density[order][min(int(left.sum()), len(order) - 1)])


def kept_of(log_density, weight, share):
    """(rows that are kept, in order; how much of each, by weight), where rows of this share of the weight are left out,
    those of the lowest density, and a part of the last of them."""
    order = np.argsort(log_density, kind="stable")
    ends = np.cumsum(weight[order])
    kept = np.zeros(len(weight))
    kept[order] = np.clip(ends - share * ends[-1], 0, weight[order])
    rows = np.flatnonzero(kept)
    return rows, kept[rows]


class TrimmedMixture(MixtureByEM):
    """Base of the estimators that may trim."""

    _parameter_constraints: dict = {
        **MixtureByEM._parameter_constraints,
        "trim": [Interval(Real, 0.0, 1.0, closed="neither"), None],
    }

    _attribute_constraints: dict = {**MixtureByEM._attribute_constraints, "trim_level_": [Real]}

    def _is_kept_whole(self):
        return super()._is_kept_whole() or self.trim is not None  # each fit has a level

    def _check_sees_all_rows(self):
        super()._check_sees_all_rows()
        if self.trim is not None:
            raise ValueError(
                f"trim={self.trim} is a share of all rows, which have to be here, in one array: fit them, or "
                "set it to None"
            )

    def _family_of_rows(self, rows, sample_weight):
        if self.trim is not None and have_gaps(rows):
            raise ValueError(
                f"trim={self.trim} compares densities of rows that have all entries, and some are missing, NaN: those "
                "of fewer columns are in other units. Fill them in, or set it to None: Student-t components take such "
                "rows, and those far out pull these little"
            )
        return super()._family_of_rows(rows, sample_weight)

    def _volume(self, units, total_weight):
        return super()._volume(units, total_weight) * (1 - (self.trim or 0.0))  # rows that are left out have none

    def _check_components(self, data, sample_weight, init_params):
        super()._check_components(data, sample_weight, init_params)
        if self.trim is not None and "groups" in data:
            raise ValueError(f"trim={self.trim} leaves out rows, and groups stay together: set one of them to None")
        if self.trim is not None and self.noise is not None:
            raise ValueError(
                f"trim={self.trim} and noise={self.noise!r} are two answers to the same rows: set one of them to None"
            )

    def _start_of(self, seeding_rows, X, sample_weight, init_params, found):
        if self.trim is None or self._goes_on() or (init_params is not None and not isinstance(init_params, str)):
            return super()._start_of(seeding_rows, X, sample_weight, init_params, found)
        rows, data = separated(X)
        weight = np.ones(len(rows)) if sample_weight is None else np.array(sample_weight)
        n_far = round(self.trim * len(rows))
        if n_far and "known_labels" not in data and len(rows) - n_far >= 2 * self.n_components:
            weight[least_crowded(crowding(np.asarray(rows, dtype=np.float64))[0], n_far)] = 0
        seeding_rows = Rows(seeding_rows.X, weight, known=data.get("known_labels"))
        return super()._start_of(seeding_rows, X, weight, init_params, found)

    def _learn_design(self, X, sample_weight):
        super()._learn_design(X, sample_weight)
        vars(self).pop("trim_level_", None)
        if self.trim is not None:
            rows, _ = self._pass_over(X)
            log_density = np.empty(len(X), rows.dtype)
            evaluate(rows, log_norm=log_density)  # which may be -infinity of what was left out
            weight = np.ones(len(log_density)) if sample_weight is None else sample_weight
            self.trim_level_ = level_of(log_density, weight, self.trim)

    def _predicted(self, X):
        level = self._level()
        if level == -math.inf:
            return super()._predicted(X)
        found = self._evaluate(X, labels=True, log_norm=True)
        return np.where(found.log_norm < level, -1, found.labels)

    def _left_out(self, X, **row_data):
        level = self._level()
        return None if level == -math.inf else np.asarray(self.score_samples(X, **row_data)) < level

    def _take_components(self, n_components):
        super()._take_components(n_components)
        vars(self).pop("trim_level_", None)  # of another density

    def _level(self):
        """The log density below which rows are left out."""
        return vars(self).get("trim_level_", -math.inf) if self.trim is not None else -math.inf

    # ---- criteria: of the rows that are kept ----

    _says_rows: tuple[str, ...] = ("trim",)

    def _judged_rows(self, log_density, sample_weight):
        if self.trim is None:
            return super()._judged_rows(log_density, sample_weight)
        weight = np.ones(len(log_density)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        return kept_of(log_density, weight, self.trim)

    def _criteria_elsewhere(self, *args):
        if self.trim is not None:
            raise ValueError(
                f"trim={self.trim} is a share of all rows, without which criteria are: they have to be here, in one "
                "array"
            )
        return super()._criteria_elsewhere(*args)

    def _readings(self, rows, weights, row_data):
        found = super()._readings(rows, weights, row_data)
        return found._replace(labels=np.where(found.log_density < self._level(), -1, found.labels))
