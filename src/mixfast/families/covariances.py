"""Families whose components have a mean and a covariance: one class for each structure of the covariances.

A covariance, or what takes its place, is kept with the upper triangular factor U of its inverse, U U'.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from mixfast.families import _shapes
from mixfast.families.domains import COVARIANCE, FACTOR, POSITIVE, Domain
from mixfast.families.family import Encoded, Family
from mixfast.families.holding import ALL, COMPONENT, NUMBER, Holding
from mixfast.families.missing import encoded_with_missing
from mixfast.families.presence import have_gaps

#: Relative difference of covariances that are given in two ways: inverses of ill-conditioned float32 ones lose digits.
AGREEMENT = 1e-2


class Elliptical(Family):
    """What all structures share. `Params` begin with means, covariances and precisions_cholesky.

    Parameters
    ----------
    reg_covar : float, default 0
        Added to the diagonal of every covariance; in the squared unit of the data.
    """

    centred = "means"
    judged = "covariances"

    #: The arrays of `Params` that say how wide components are.
    scales: tuple[str, ...] = ("covariances", "precisions_cholesky")

    #: Attributes that may be given in their place, and are computed from them.
    made_of_scales: tuple[str, ...] = ("precisions",)

    def __init__(self, reg_covar=0.0):
        self.reg_covar = reg_covar

    #: Of factor analysers.
    n_factors: int = 0

    #: Whether rows may have entries that are missing.
    takes_missing: bool = True

    #: Whether a missing entry is a term of the log density that is left out, and no more: the verbs are in `_gaps.pyx`.
    leaves_out_entries: bool = False

    #: The observed columns of each pattern, bool (n_patterns, n_features); None where rows have all entries.
    there: np.ndarray | None = None

    def encode(self, X):
        if self.takes_missing and have_gaps(X):
            return encoded_with_missing(self, X)
        return Encoded(self, X, seeds=self.rows_of_clusters(X))

    def rows_of_clusters(self, X):
        """What k-means sees of complete rows, as `Encoded.seeds`."""
        return None

    def middle_and_width(self, values):
        """(where the observed values (n,) of a column are, how far they spread), both finite, the latter above zero:
        what a start knows of missing entries."""
        with np.errstate(over="ignore", invalid="ignore"):
            middle, width = np.mean(values), np.std(values)
        return middle if np.isfinite(middle) else 0.0, width if 0 < width < np.inf else 1.0

    @property
    def holdings(self):
        return {"means": Holding(self.means_held), "covariances": Holding(self.covariances_held)}

    #: The smallest unit of means, and of covariances, that can be held: all, a component, or a number.
    means_held = COMPONENT
    covariances_held = COMPONENT

    def held_fields(self, name, values):
        if name != "covariances":
            return {name: values}
        return {name: values, "precisions_cholesky": self.factor_covariances(values)}

    def n_held(self, name, held, n_features):
        if name != "covariances":
            return int(held.sum())
        if self.covariances_held == NUMBER:
            return int(held.sum())
        if self.covariances_held == ALL:
            return self.n_covariance_parameters(len(held), n_features) if held.any() else 0
        n_components = int(held.reshape(len(held), -1).any(axis=1).sum())
        return self.n_covariance_parameters(n_components, n_features) if n_components else 0

    @abstractmethod
    def covariance_shape(self, n_components, n_features):
        """The shape of `covariances` and of `precisions_cholesky`."""

    @abstractmethod
    def moment_shape(self, n_components, n_features):
        """The shape of second moments, a set for each component."""

    @abstractmethod
    def n_covariance_parameters(self, n_components, n_features):
        """Number of free parameters of the covariances."""

    @abstractmethod
    def covariance_matrices(self, params):
        """Covariances of all components as matrices, (K, d, d), whatever the structure."""

    @abstractmethod
    def precisions(self, precisions_cholesky):
        """Inverses of the covariances."""

    @abstractmethod
    def cholesky_of_precisions(self, precisions):
        """`precisions_cholesky` from precisions; ValueError unless these are valid for the structure."""

    @abstractmethod
    def covariances(self, precisions_cholesky):
        """Covariances from `precisions_cholesky` that a user gave; ValueError unless these are valid for the
        structure."""

    @abstractmethod
    def agree(self, covariances, others):
        """Whether two sets of covariances are the same but for what rounding to float32 changes."""

    @abstractmethod
    def factor_covariances(self, covariances):
        """`precisions_cholesky` from covariances that a user gave; ValueError unless these are valid for the
        structure."""

    def n_rows_needed(self, n_features):
        return 3  # a variance of one row is zero, of two as small as chance will have it

    def column_units(self, spreads):
        """The unit of each column, (d,), from the columns' spreads, (d,). One unit for all columns if the structure is
        not invariant to scaling columns separately."""
        return spreads

    def transformed(self, params, origin, scale, shift):
        """Parameters of shift + scale (x - origin), where x has `params`: scale (d,) positive, the others (d,) or
        numbers."""
        covariances, factors = self._scaled(params.covariances, params.precisions_cholesky, scale)
        return params._replace(
            means=shift + scale * (params.means - origin), covariances=covariances, precisions_cholesky=factors
        )

    @abstractmethod
    def common_axes(self, p, q):
        """Compare components p[i] and q[i] on the axes on which both covariances are diagonal.

        Returns (variances of p in units of q's, (n, n_axes); squared differences of the means in units of p's
        variances, (n, n_axes); multiplicity of each axis). Axes on which nothing differs may be left out.
        """

    def margin(self, params, columns):
        covariances = self.covariances_of(params.covariances, columns)
        factors = self.factor_covariances(covariances)
        return self, params._replace(
            means=params.means[:, columns], covariances=covariances, precisions_cholesky=factors
        )

    @abstractmethod
    def covariances_of(self, covariances, columns):
        """Covariances of some columns, in the layout of the structure."""

    @abstractmethod
    def squared_radii(self, params, share):
        """Squared radii (n_components,), in units of the covariance, of the ellipses that contain this share of a
        component's distribution; for components of two columns."""

    @abstractmethod
    def variances(self, params):
        """Of the columns, (n_components, n_features)."""

    @abstractmethod
    def spread(self, differences):
        """Covariances, in the layout of the structure, of n distributions that take the values differences[i] and
        -differences[i], (n, d), with probability 1/2 each."""

    @abstractmethod
    def _scaled(self, covariances, precisions_cholesky, scale):
        """(covariances, precisions_cholesky) of scale * x, from those of x; scale (d,)."""

    def axes(self, matrices):
        """Axes (K, d, d), in columns, on which matrices (K, d, d) of the structure are diagonal: the data's own axes if
        the structure is diagonal, else principal axes, the largest variance first."""
        directions = np.linalg.eigh(matrices)[1][..., ::-1]
        return directions * _signs(directions)

    def stretched(self, rows, params, labels):
        """Rows (n, d) of mean 0 and unit covariance, scaled and shifted to the components `labels` (n,). May work in
        place."""
        # by eigenvalues: a covariance that was set by hand may be singular
        variances, directions = np.linalg.eigh(self.covariance_matrices(params))
        roots = directions * np.sqrt(np.maximum(variances, 0))[:, np.newaxis]
        for k in np.unique(labels):
            own = labels == k
            rows[own] = params.means[k] + rows[own] @ roots[k].T
        return rows


class _Matrices(Elliptical):
    """Structures whose covariances are matrices: stacks of (n_features, n_features)."""

    domains: dict = {"covariances": (COVARIANCE,), "precisions": (COVARIANCE,), "precisions_cholesky": (FACTOR,)}

    def moment_shape(self, n_components, n_features):
        return n_components, n_features * (n_features + 1) // 2  # lower triangles by rows

    def covariances_of(self, covariances, columns):
        return covariances[..., columns, :][..., columns]

    def precisions(self, precisions_cholesky):
        return precisions_cholesky @ np.swapaxes(precisions_cholesky, -1, -2)

    def cholesky_of_precisions(self, precisions):
        # P = U U' with U upper triangular: reversing rows and columns turns it into the usual factor
        return _cholesky(precisions[..., ::-1, ::-1])[..., ::-1, ::-1]

    def covariances(self, precisions_cholesky):
        try:
            factor = np.swapaxes(np.linalg.inv(precisions_cholesky), -1, -2)
        except np.linalg.LinAlgError:
            raise ValueError("upper triangular, without zeros on the diagonal") from None
        return factor @ np.swapaxes(factor, -1, -2)

    def factor_covariances(self, covariances):
        # inv leaves rounding on the other side of the diagonal
        return np.triu(np.swapaxes(np.linalg.inv(_cholesky(covariances)), -1, -2))

    def agree(self, covariances, others):
        return bool(np.all(np.abs(covariances - others) <= AGREEMENT * _units_of(covariances)))

    def common_axes(self, p, q):
        own = np.linalg.inv(p.precisions_cholesky)
        _, roots, axes = np.linalg.svd(np.swapaxes(q.precisions_cholesky, -1, -2) @ np.swapaxes(own, -1, -2))
        apart = _along(_along(q.means - p.means, p.precisions_cholesky), np.swapaxes(axes, -1, -2))
        with np.errstate(over="ignore"):
            return roots**2, apart**2, 1

    def variances(self, params):
        return np.diagonal(self.covariance_matrices(params), axis1=1, axis2=2)

    def spread(self, differences):
        return differences[:, :, np.newaxis] * differences[:, np.newaxis, :]

    def _scaled(self, covariances, precisions_cholesky, scale):
        return covariances * np.multiply.outer(scale, scale), precisions_cholesky / scale[:, np.newaxis]

    @staticmethod
    def _unit(n_features):
        return np.eye(n_features)


class _Variances(Elliptical):
    """Structures whose covariances are variances."""

    domains: dict = {"covariances": (POSITIVE,), "precisions": (POSITIVE,), "precisions_cholesky": (POSITIVE,)}

    def moment_shape(self, n_components, n_features):
        return n_components, n_features

    def precisions(self, precisions_cholesky):
        return precisions_cholesky**2

    def cholesky_of_precisions(self, precisions):
        return np.sqrt(_positive(precisions))

    def axes(self, matrices):
        return np.broadcast_to(np.eye(matrices.shape[-1]), matrices.shape)

    def stretched(self, rows, params, labels):
        return params.means[labels] + rows * np.sqrt(np.maximum(self.variances(params), 0))[labels]

    def covariances(self, precisions_cholesky):
        return precisions_cholesky**-2.0

    def factor_covariances(self, covariances):
        return _positive(covariances) ** -0.5

    def agree(self, covariances, others):
        return bool(np.all(np.abs(covariances - others) <= AGREEMENT * covariances))

    def _scaled(self, covariances, precisions_cholesky, scale):
        return covariances * scale**2, precisions_cholesky / scale

    @staticmethod
    def _unit(n_features):
        return 1.0


def _signs(directions):
    """Signs (..., 1, d) that make the largest number, in absolute value, of each column positive."""
    largest = np.argmax(np.abs(directions), axis=-2)[..., np.newaxis, :]
    return np.sign(np.take_along_axis(directions, largest, axis=-2))


def _units_of(matrices):
    """The covariance that a correlation of 1 would have, for each number of the matrices."""
    spreads = np.sqrt(np.diagonal(matrices, axis1=-2, axis2=-1))
    return spreads[..., :, np.newaxis] * spreads[..., np.newaxis, :]


def _along(rows, matrices):
    """rows[i] @ matrices[i], or @ matrices where there is one for all."""
    return np.einsum("...j,...jk->...k", rows, matrices)


def _cholesky(matrices):
    """Lower Cholesky factors of matrices; ValueError unless these are symmetric and positive definite."""
    try:
        if np.allclose(matrices, np.swapaxes(matrices, -1, -2)):
            return np.linalg.cholesky(matrices)
    except np.linalg.LinAlgError:
        pass
    raise ValueError("symmetric, positive-definite")


def common_unit(spreads):
    """The root mean square of the spreads, repeated for each column."""
    largest = np.max(spreads)  # squares of the ratios neither overflow nor vanish
    mean_square = np.mean((spreads / largest) ** 2) if largest > 0 else 0.0
    return np.full(len(spreads), largest * np.sqrt(mean_square))


def _positive(variances):
    if not np.all((variances > 0) & np.isfinite(variances)):
        raise ValueError("positive")
    return variances


class FullCovariances(_Matrices):
    """Each component has a covariance matrix of its own (mclust's VVV): covariances (K, d, d)."""

    def covariance_shape(self, n_components, n_features):
        return n_components, n_features, n_features

    def n_covariance_parameters(self, n_components, n_features):
        return n_components * n_features * (n_features + 1) // 2

    def n_rows_needed(self, n_features):
        return n_features + 2  # those of fewer lie in a plane, or nearly

    def covariance_matrices(self, params):
        return params.covariances


class TiedCovariances(_Matrices):
    """All components share one covariance matrix (EEE): covariances (d, d)."""

    covariances_held = ALL

    def covariance_shape(self, n_components, n_features):
        return n_features, n_features

    def n_covariance_parameters(self, n_components, n_features):
        return n_features * (n_features + 1) // 2

    def common_axes(self, p, q):
        """A single axis, from mean to mean: covariances do not differ."""
        with np.errstate(over="ignore"):
            distances = np.sum(_along(q.means - p.means, p.precisions_cholesky) ** 2, axis=1, keepdims=True)
        return np.ones(distances.shape), distances, 1

    def covariance_matrices(self, params):
        return np.broadcast_to(params.covariances, (len(params.means), *params.covariances.shape))


class DiagonalCovariances(_Variances):
    """Each component has a variance for each column (VVI): covariances (K, d)."""

    means_held = covariances_held = NUMBER

    def covariance_shape(self, n_components, n_features):
        return n_components, n_features

    def n_covariance_parameters(self, n_components, n_features):
        return n_components * n_features

    def common_axes(self, p, q):
        variances = (q.precisions_cholesky / p.precisions_cholesky) ** 2
        with np.errstate(over="ignore"):
            return variances, ((q.means - p.means) * p.precisions_cholesky) ** 2, 1

    def variances(self, params):
        return params.covariances

    def covariances_of(self, covariances, columns):
        return covariances[:, columns]

    def spread(self, differences):
        return differences**2

    def covariance_matrices(self, params):
        return params.covariances[:, :, np.newaxis] * np.eye(params.means.shape[1])


class SphericalCovariances(_Variances):
    """Each component has one variance for all columns (VII): covariances (K,)."""

    means_held = NUMBER

    def covariance_shape(self, n_components, n_features):
        return (n_components,)

    def n_covariance_parameters(self, n_components, n_features):
        return n_components

    def common_axes(self, p, q):
        """A single axis, which counts n_features times."""
        factors = p.precisions_cholesky[:, np.newaxis]
        variances = (q.precisions_cholesky[:, np.newaxis] / factors) ** 2
        with np.errstate(over="ignore"):
            distances = np.sum(((q.means - p.means) * factors) ** 2, axis=1, keepdims=True)
        return variances, distances, p.means.shape[1]

    def variances(self, params):
        return np.broadcast_to(params.covariances[:, np.newaxis], params.means.shape)

    def covariances_of(self, covariances, columns):
        return covariances

    def spread(self, differences):
        return np.mean(differences**2, axis=1)

    def column_units(self, spreads):
        return common_unit(spreads)

    def _scaled(self, covariances, precisions_cholesky, scale):
        return super()._scaled(covariances, precisions_cholesky, scale[0])  # `column_units` makes them equal

    def covariance_matrices(self, params):
        return params.covariances[:, np.newaxis, np.newaxis] * np.eye(params.means.shape[1])


#: mclust's names of the shapes: volume, variances in proportion to it, and axes are equal (E) or vary (V) between
#: components; I says that the variances are all equal, or that the axes are the columns.
SHAPES = ("EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV")

#: Names of shapes of one column.
LINE_SHAPES = {"E": "EII", "V": "VII"}


#: The `covariance_type` that tries all shapes in a search.
ALL_SHAPES = "all"


def shapes_of(n_features):
    """Names of the shapes that are distinct for rows of n_features columns."""
    return list(LINE_SHAPES if n_features == 1 else SHAPES)


class ShapedCovariances(_Matrices):
    """One of mclust's shapes; covariances (K, d, d), whatever components share of them.

    Parameters
    ----------
    name : str
        One of `SHAPES` or `LINE_SHAPES`.
    """

    def __init__(self, name, reg_covar=0.0):
        super().__init__(reg_covar)
        self.name = name
        self.volume, self.variances_kind, self.axes_kind = self.letters = LINE_SHAPES.get(name, name)
        of_shape = Domain(f"of the shape {name}", self._is_not_of_shape)
        self.domains = self.domains | {"covariances": (COVARIANCE, of_shape), "precisions": (COVARIANCE, of_shape)}
        if self.axes_kind == "I":
            self.domains["precisions_cholesky"] = (FACTOR, of_shape)

    @property
    def covariances_held(self):
        return COMPONENT if "".join(self.letters) in ("VVV", "VVI", "VII") else ALL

    def kind(self):
        return type(self), self.letters

    def covariance_shape(self, n_components, n_features):
        return n_components, n_features, n_features

    def moment_shape(self, n_components, n_features):
        if self.axes_kind == "I":
            return n_components, n_features
        return super().moment_shape(n_components, n_features)

    def n_covariance_parameters(self, n_components, n_features):
        times = {"I": 0, "E": 1, "V": n_components}
        n_angles = n_features * (n_features - 1) // 2
        of_variances = times[self.variances_kind] * (n_features - 1)
        return times[self.volume] + of_variances + times[self.axes_kind] * n_angles

    def n_rows_needed(self, n_features):
        # variances of a component on axes that are fitted to its rows: those of fewer lie in a plane, or nearly
        return n_features + 2 if self.variances_kind == "V" and self.axes_kind != "I" else 3

    def covariance_matrices(self, params):
        return params.covariances

    def axes(self, matrices):
        """Common axes are sorted by the variances of the first component, the largest first."""
        if self.axes_kind == "I":
            return np.broadcast_to(np.eye(matrices.shape[-1]), matrices.shape)
        if self.axes_kind == "V":
            return super().axes(matrices)
        common = _shapes.common_axes(np.ascontiguousarray(matrices, dtype=np.float64))
        order = np.argsort(-np.einsum("ji,jl,li->i", common, matrices[0], common), kind="stable")
        return np.broadcast_to((common * _signs(common))[:, order], matrices.shape)

    def column_units(self, spreads):
        scales_apart = {"I": self.variances_kind != "I"}.get(self.axes_kind, self.variances_kind == self.axes_kind)
        return spreads if scales_apart else common_unit(spreads)

    def encode(self, X):
        self._check_columns(X.shape[1])
        return super().encode(X)

    def _check_columns(self, n_features):
        if self.name in LINE_SHAPES and n_features != 1:
            raise ValueError(
                f"covariance_type={self.name!r} is of one column, and X has {n_features}: take "
                f"covariance_type={LINE_SHAPES[self.name]!r} or another of three letters"
            )

    def _is_not_of_shape(self, matrices):
        matrices = np.asarray(matrices, dtype=np.float64)
        stacks = np.ascontiguousarray(matrices.reshape(-1, *matrices.shape[-3:]))
        shares = np.full(stacks.shape[1], 1 / max(stacks.shape[1], 1))
        try:
            nearest = [_shapes.nearest(self.letters, stack, shares) for stack in stacks]
        except ValueError:
            return np.ones(matrices.shape[:-2], dtype=bool)
        differences = np.abs(stacks - np.reshape(nearest, stacks.shape))
        return np.any(differences > AGREEMENT * _units_of(stacks), axis=(-2, -1)).reshape(matrices.shape[:-2])
