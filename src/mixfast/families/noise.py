"""A family with a noise component, the last, of constant density."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mixfast.families import _noise
from mixfast.families.presence import have_gaps


class Region(NamedTuple):
    """The region of the noise component: a parallelepiped.

    log_volume : float, in units of the data
    box : float64 (n_features + 1, n_features), a corner and the edges from it
    """

    log_volume: float
    box: np.ndarray

    @classmethod
    def around(cls, rows, sample_weight=None):
        """The smaller of two boxes around the rows, one along the columns and one along the principal axes, as mclust's
        `hypvol`; where entries are missing, the one along the columns. Axes are those of the weighted rows, so that a
        weight equals repeating the row. The bits do not depend on the number of threads, nor on how the rows lie in
        memory."""
        rows = np.ascontiguousarray(rows, dtype=np.float64)
        if have_gaps(rows):
            low, high = np.nanmin(rows, axis=0), np.nanmax(rows, axis=0)
            return cls.of_box(np.vstack([low, np.diag(high - low)]))
        d = rows.shape[1]
        # einsum, not a product of matrices: BLAS has other bits for each number of its threads
        if sample_weight is None:
            mean = rows.mean(axis=0)
        else:
            shares = np.asarray(sample_weight, dtype=np.float64) / np.sum(sample_weight, dtype=np.float64)
            mean = np.einsum("i,ij->j", shares, rows)
        centred = rows - mean
        weighted = centred if sample_weight is None else shares[:, np.newaxis] * centred
        axes = np.linalg.eigh(np.einsum("ij,ik->jk", weighted, centred))[1].T if d > 1 else np.eye(1)
        regions = []
        for own in (np.eye(d), axes):
            places = np.stack([np.einsum("ij,j->i", centred, axis) for axis in own], axis=1)
            low, sides = places.min(axis=0), np.ptp(places, axis=0)
            with np.errstate(divide="ignore"):
                volume = float(np.sum(np.log(sides)))
            regions.append(cls(volume, np.vstack([mean + low @ own, sides[:, np.newaxis] * own])))
        return min(regions, key=lambda region: region.log_volume)

    def with_volume(self, log_volume):
        """The region scaled about its centre to another volume."""
        if log_volume == self.log_volume:
            return self
        corner, edges = self.box[0], self.box[1:]
        ratio = np.exp((log_volume - self.log_volume) / len(edges))
        centre = corner + edges.sum(axis=0) / 2
        return Region(log_volume, np.vstack([centre - ratio * edges.sum(axis=0) / 2, ratio * edges]))

    def in_units(self, units):
        """The region of rows that are fitted in other units; where it lies does not matter there."""
        return Region(self.log_volume - units.log_unit, np.vstack([self.box[:1], units.lengths(self.box[1:])]))

    @classmethod
    def of_box(cls, box):
        with np.errstate(divide="ignore"):
            return cls(float(np.linalg.slogdet(box[1:])[1]), box)

    @property
    def centre(self):
        return self.box[0] + self.box[1:].sum(axis=0) / 2

    def marginal(self, columns):
        """The region of some columns, by their numbers: the box of their sides. ValueError where columns by themselves
        are not uniform, as those of a box along other axes."""
        corner, edges = self.box[0], self.box[1:]
        if np.any(edges != np.diag(np.diagonal(edges))):
            raise ValueError(
                "noise is uniform in a box along the principal axes of the rows, noise_box_, so that its columns by "
                "themselves are not: assign a box along the columns, as noise_box_ = np.vstack([X.min(axis=0), "
                "np.diag(np.ptp(X, axis=0))]), which keeps its volume, or set noise=None"
            )
        return Region.of_box(np.vstack([corner[columns], edges[np.ix_(columns, columns)]]))


def box_about(matrices, means, log_volume):
    """A `Region` of that volume for components with these means and covariances: the box around means plus and minus
    three standard deviations, scaled to the volume."""
    reach = 3 * np.sqrt(np.diagonal(matrices, axis1=-2, axis2=-1))
    low, high = (means - reach).min(axis=0), (means + reach).max(axis=0)
    return Region.of_box(np.vstack([low, np.diag(high - low)])).with_volume(log_volume)


#: Principal sides of standardised rows that are shorter, relative to the longest, are rounding: sums of squares of a
#: column that is the sum of two others leave some 1e-16 of theirs.
FLAT = 1e-7


def check_has_volume(rows):
    """Raises ValueError for rows that lie in a plane, or on a line: around them a box has no volume."""
    rows = np.asarray(rows, dtype=np.float64)
    sides = np.nanmax(rows, axis=0) - np.nanmin(rows, axis=0)
    is_flat = len(rows) <= rows.shape[1] or not np.all(sides > 0)
    if not is_flat and not have_gaps(rows):
        standard = (rows - rows.min(axis=0)) / sides  # what overflows nowhere
        standard = (standard - standard.mean(axis=0)) / standard.std(axis=0)
        shares = np.linalg.eigvalsh(np.einsum("ij,ik->jk", standard, standard) / len(rows))
        is_flat = shares[0] <= FLAT**2 * shares[-1]
    if is_flat:
        raise ValueError(
            f"noise is uniform in a region around the rows, and around {len(rows)} rows of {rows.shape[1]} columns "
            "there is none that has a volume: leave out columns that do not vary or follow from others, or set "
            "noise=None"
        )


class WithNoise:
    """A family with a noise component, the last, which has no parameters.

    own : Family of the other components
    region : Region of the noise; None before rows are known
    """

    batches = False  # a volume is that of the rows of a problem
    margin = None

    def __init__(self, own, region=None):
        self.own, self.region = own, region

    def __getattr__(self, name):
        if name in ("own", "region"):  # of a copy that is being made
            raise AttributeError(name)
        return getattr(self.own, name)

    def in_units(self, units):
        """A copy of the family for rows that are fitted in other units."""
        return WithNoise(self.own, self.region.in_units(units))

    def n_begun(self, n_components):
        return n_components - 1

    def param_shapes(self, n_components, n_features):
        return self.own.param_shapes(n_components - 1, n_features)

    def covariance_shape(self, n_components, n_features):
        return self.own.covariance_shape(n_components - 1, n_features)

    def stat_shapes(self, n_components, n_features):
        return self.own.stat_shapes(n_components - 1, n_features)

    def params_layout(self, n_components, n_features):
        return self.own.params_layout(n_components - 1, n_features)

    def stats_layout(self, n_components, n_features):
        return self.own.stats_layout(n_components - 1, n_features)

    def n_parameters(self, n_components, n_features):
        return self.own.n_parameters(n_components - 1, n_features) + 1  # the volume, as mclust counts

    def blank(self, n_components, n_features):
        return self.own.blank(n_components - 1, n_features)

    def canonical_order(self, params):
        order = self.own.canonical_order(params)
        return np.append(order, len(order))

    def reorder(self, params, order):
        return self.own.reorder(params, order[:-1])

    def encode(self, X):
        encoded = self.own.encode(X)
        return encoded._replace(family=WithNoise(encoded.family, self.region))

    def with_design(self, design):
        return WithNoise(self.own.with_design(design), self.region)

    def bind(self, n_components, n_features, dtype, isa=None):
        heights = [-self.region.log_volume]
        if self.own.there is not None:  # noise is uniform in the observed columns of each pattern
            heights = [
                -(self.region if own.all() else self.region.marginal(np.flatnonzero(own))).log_volume
                for own in self.own.there
            ]
        return _noise.bind_noise(self.own.bind(n_components - 1, n_features, dtype, isa), np.array(heights))

    def cdf(self, params, x):
        """That of noise is of its interval, beyond which it has a density too."""
        corner, edge = self.region.box[:, 0]
        return np.column_stack([self.own.cdf(params, x), np.clip((x[:, 0] - corner) / edge, 0, 1)])

    def sample(self, params, labels, rng):
        """Noise is uniform in its box."""
        n_own, d = len(params[0]), self.region.box.shape[1]
        rows, is_noise = np.empty((len(labels), d)), labels == n_own
        rows[~is_noise] = self.own.sample(params, labels[~is_noise], rng)
        rows[is_noise] = self.region.box[0] + rng.random_sample((is_noise.sum(), d)) @ self.region.box[1:]
        return rows
