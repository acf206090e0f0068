"""Labels to start from that do not depend on chance: groups of rows by Ward's hierarchy."""

from __future__ import annotations

import numpy as np
from sklearn.utils import check_random_state

from mixfast.engine._ward import groups, ward
from mixfast.seeding import nearest
from mixfast.units import column_scales

#: A hierarchy is made of so many rows at most, drawn at random: it takes 16 bytes for each pair, 32 MB, and 0.1 s.
MOST_ROWS = 2000

#: Numbers in a block of rows that are given to the nearest group.
BLOCK = 2**20


class Hierarchy:
    """All rows are groups, and those two become one that add least to the sum of squares about the means of groups,
    until there is one: Ward, Journal of the American Statistical Association 58 (1963), 236-244.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features), float32 or float64
        Columns are taken relative to their standard deviation. Kept, not copied.
    seed : int
        Of the rows that are drawn where there are more than MOST_ROWS; the others go to the nearest mean.

    Raises
    ------
    ValueError
        Where values, or their sums, are not finite.
    """

    def __init__(self, rows, seed):
        self._rows = rows
        scales = column_scales(rows, None)
        if scales is None:
            raise ValueError("Rows without a finite mean and standard deviation have no hierarchy.")
        self._mean, self._unit = scales
        drawn = np.arange(len(rows))
        if len(rows) > MOST_ROWS:
            drawn = np.sort(check_random_state(seed).choice(len(rows), MOST_ROWS, replace=False))
        self._drawn = np.ascontiguousarray(self._standardised(rows[drawn]), dtype=np.float64)
        self._pairs = ward(self._drawn)
        self._labels = {}

    def _standardised(self, rows):
        """Standardise a block of rows: all rows at once would need a float64 copy of them."""
        return (rows - self._mean) / self._unit

    def labels(self, n_groups):
        """Of that many groups, int64, or None where there are fewer rows than these."""
        if n_groups > len(self._drawn):
            return None
        if n_groups not in self._labels:
            own = groups(self._pairs, n_groups)
            self._labels[n_groups] = own if len(own) == len(self._rows) else self._nearest(own, n_groups)
        return self._labels[n_groups]

    def _nearest(self, own, n_groups):
        """Labels of all rows, by the nearest group mean; groups are of the rows that were drawn for clustering."""
        means = np.array([self._drawn[own == k].mean(axis=0) for k in range(n_groups)])
        labels = np.empty(len(self._rows), dtype=np.int64)
        step = max(1, BLOCK // self._rows.shape[1])
        for first in range(0, len(labels), step):
            block = self._standardised(self._rows[first : first + step])
            labels[first : first + step] = nearest(block, means)
        return labels
