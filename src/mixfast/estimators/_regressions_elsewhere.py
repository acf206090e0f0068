"""What mixtures of experts say of rows that are in parts: sums over these, and what each part has to know of all."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse

from mixfast._docstrings import described
from mixfast._typing import RowsLike
from mixfast.design import Design
from mixfast.estimators._responses import classes_seen
from mixfast.row_data import separated
from mixfast.statistics import Statistics
from mixfast.units import AboutMeans


@described
class RegressionsElsewhere:
    """Base of `MixtureOfExperts`, before all others: these make statistics of rows without responses."""

    def design(
        self,
        X: RowsLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        **row_data: ArrayLike | None,
    ) -> Design:
        """Learn of a part of the rows what all parts have to know of each other: classes of y, means of columns.

        Parameters
        ----------
        <X, y, sample_weight, row_data of experts>

        Returns
        -------
        design : Design
            Add those of all parts, and pass the sum to `with_design` and `statistics`.

        Raises
        ------
        ValueError
            For rows that `fit` refuses, whatever their number.
        """
        return super().design(X, sample_weight, **row_data | {"y": y})

    def statistics(
        self,
        X: RowsLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        design: Design | None = None,
        **row_data: ArrayLike | None,
    ) -> Statistics:
        """What an M-step needs to know of these rows: sums over them, in one pass at the fitted parameters.

        Parameters
        ----------
        <X, y, sample_weight>
        design : Design, default=None
            Of all the rows whose statistics are to be added, where these are a part of them.
        **row_data
            `exposure`, `offset`, `gate_X` and `known_labels`, as in `fit`.

        Returns
        -------
        statistics : Statistics
            Scores and information of each component and of the gate, for the step of Newton's method that the M-step
            is, and sums for dispersions.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For rows that predictions refuse, for groups, whose rows may be in other parts, and for sums that overflow.
        """
        return super().statistics(X, sample_weight, design=design, **row_data | {"y": y})

    def _with_targets(self, y, row_data):
        return row_data if y is None else row_data | {"y": y}

    def _read_part(self, X):
        if self._may_have_classes() and self._names_of_all.categories is None:
            classes = self._classes_in(separated(X)[1].get("y"), classes_seen)
            self._names_of_all = self._names_of_all._replace(categories=classes)
        return super()._read_part(X)

    def _has_pivot(self, family):
        """Whether intercepts may be about one."""
        return family.has_intercept and family.centres

    def _units_of_part(self, family, X, sample_weight):
        values, data = separated(X)
        if self._has_pivot(family) and not issparse(values):
            columns = np.hstack([values, data["gate"]]) if "gate" in data else values
            return AboutMeans(family, columns, sample_weight)
        return super()._units_of_part(family, X, sample_weight)

    def _known_units(self, family, moments):
        if self._has_pivot(family) and moments:
            return AboutMeans.from_design(family, moments)
        return super()._known_units(family, moments)

    def _names_of_codes(self):
        found = self._known_classes()
        if all(classes is None for classes in found):
            return None
        return [np.empty(0) if classes is None else np.asarray(classes) for classes in found]
