"""The mean and the scatter of rows, which priors by default are made of: those of parts add up to those of all."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray


class Scatter(NamedTuple):
    """Sums over rows that no parameter enters.

    weight : float
        The sum of the weights of the rows, above 0.
    means : ndarray of shape (n_features,), float64
    products : ndarray of shape (n_features, n_features), float64
        Weighted sums of the products of the columns' deviations from `means`; of shape (n_features,) where only those
        of each column with itself are wanted, of shape (0, 0) where nothing follows from them.
    """

    weight: float
    means: NDArray[np.float64]
    products: NDArray[np.float64]

    @classmethod
    def about(cls, origin: NDArray[np.float64], sums: NDArray[np.float64]) -> Self:
        """Of moments about a point, as the engine gathers them: of each column, of each pair of columns or of each
        column with itself, the weight."""
        n_features = len(origin)
        first, second, weight = sums[:n_features], sums[n_features:-1], float(sums[-1])
        with np.errstate(over="ignore", invalid="ignore"):  # the fit says it of what is not finite
            if len(second) == n_features > 1:
                return cls(weight, origin + first / weight, second - first**2 / weight)
            products = np.empty((n_features, n_features))
            rows, columns = np.tril_indices(n_features)
            products[rows, columns] = products[columns, rows] = second
            return cls(weight, origin + first / weight, products - np.outer(first, first) / weight)

    def moments(self, of_pairs: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(origin, sums) as `about` takes them, the origin being the means."""
        second = self.products
        if second.ndim == 2:
            second = second[np.tril_indices(len(self.means))] if of_pairs else np.diagonal(second)
        return self.means, np.concatenate([np.zeros(len(self.means)), second, [self.weight]])

    def plus(self, other: Scatter) -> Scatter:
        """Of the rows of both. A constant column has exactly its value and no scatter: Chan, Golub & LeVeque,
        "Updating formulae and a pairwise algorithm for computing sample variances", COMPSTAT 1982."""
        weight = self.weight + other.weight
        share = other.weight / weight
        with np.errstate(over="ignore", invalid="ignore"):
            step = other.means - self.means
            products = self.products
            if products.size:
                steps = np.outer(step, step) if products.ndim == 2 else step**2
                products = products + other.products + self.weight * share * steps
            return Scatter(weight, self.means + share * step, products)

    def check_has_what(self, other: Scatter) -> None:
        """Raises ValueError where only one of the two has products of pairs of columns."""
        if self.products.ndim != other.products.ndim and 0 not in (self.products.size, other.products.size):
            raise ValueError(
                "one design has the products of each pair of columns, the other of each column with itself alone: an "
                "earlier version of mixfast made the one, or they are for different types of covariances. Make both "
                "again of their rows, by the method design of one estimator"
            )

    def of_columns(self, columns: slice) -> Scatter:
        """Of some of the columns."""
        own = self.products[columns, columns] if self.products.ndim == 2 else self.products[columns]
        return Scatter(self.weight, self.means[columns], own)

    def scaled(self, means: NDArray[np.float64], scales: NDArray[np.float64]) -> Scatter:
        """Of the rows (x - means) * scales; a scale of 0 leaves a column of zeros."""
        with np.errstate(over="ignore", invalid="ignore"):
            of_products = np.outer(scales, scales) if self.products.ndim == 2 else scales**2
            return Scatter(self.weight, (self.means - means) * scales, self.products * of_products)

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """By name, as files have them."""
        return {"weight": np.array([self.weight]), "means": self.means, "products": self.products}

    @classmethod
    def of_arrays(cls, arrays: dict[str, NDArray[np.float64]]) -> Self:
        """From `arrays`; ValueError where these are none."""
        if arrays.keys() != {"weight", "means", "products"}:
            raise ValueError(f"a scatter has weight, means and products, got {sorted(arrays)}")
        weight, means, products = (arrays[name] for name in ("weight", "means", "products"))
        if any(array.dtype != np.float64 for array in arrays.values()) or (weight.shape, means.ndim) != ((1,), 1):
            raise ValueError(f"a scatter is float64, and has the shapes {[own.shape for own in arrays.values()]}")
        if products.shape not in ((0, 0), means.shape, 2 * means.shape) or not 0 < weight[0] < np.inf:
            raise ValueError(f"a scatter of weight {weight[0]} has products of shape {products.shape}")
        return cls(float(weight[0]), means, products)
