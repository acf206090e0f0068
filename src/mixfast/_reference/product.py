"""Twin of products of families (`families/_product.pyx`)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np


class Product:
    """Of twins with so many columns, arrays of parameters and arrays of statistics each."""

    def __init__(self, families, widths, n_params, n_stats):
        self.families, self.n_params, self.n_stats = families, n_params, n_stats
        self.columns = list(pairwise(np.cumsum([0, *widths])))

    def _parts(self, X):
        return [X[:, first:last] for first, last in self.columns]

    @staticmethod
    def _split(arrays, numbers):
        ends = np.cumsum([0, *numbers])
        return [tuple(arrays[first:last]) for first, last in pairwise(ends)]

    def _each(self, verb, *arguments):
        return [getattr(family, verb)(*own) for family, *own in zip(self.families, *arguments, strict=True)]

    def log_density(self, X, params):
        return sum(self._each("log_density", self._parts(X), self._split(params, self.n_params)))

    def accumulate(self, X, resp, weights, params):
        own_weights = [weights, *[np.ones(len(weights))] * (len(self.families) - 1)]
        parts = zip(self.families, self._parts(X), own_weights, self._split(params, self.n_params), strict=True)
        each = [family.accumulate(own, resp, shares, record) for family, own, shares, record in parts]
        return tuple(array for record in each for array in record)

    def maximise(self, counts, stats, weights, params):
        parts = zip(
            self.families,
            self._split(stats, self.n_stats),
            [weights, *[np.ones(len(weights))] * (len(self.families) - 1)],
            self._split(params, self.n_params),
            strict=True,
        )
        each = [family.maximise(counts, *own) for family, *own in parts]
        return tuple(array for record in each for array in record)

    def log_prior(self, params):
        return sum(self._each("log_prior", self._split(params, self.n_params)))
