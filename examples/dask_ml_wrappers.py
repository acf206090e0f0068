"""Mixtures inside dask-ml: `ParallelPostFit`, a fit to what fits into memory and predictions for more, and
`Incremental`, which gives blocks to `partial_fit` one after the other.

python examples/dask_ml_wrappers.py, with dask-ml installed: `make examples` does both
"""

from __future__ import annotations

import dask.array
import numpy as np
from dask_ml.wrappers import Incremental, ParallelPostFit

from mixfast import GaussianMixture, MixtureOfExperts

CENTRES = np.array([[0.0, 0.0], [3.0, 7.0], [6.0, 3.0]])  # in canonical order


def main():
    rng = np.random.default_rng(0)
    rows = CENTRES[rng.integers(0, 3, 100_000)] + rng.normal(size=(100_000, 2))
    X = dask.array.from_array(rows, chunks=(10_000, 2))
    estimator = GaussianMixture(3, random_state=0, canonical_order=True)

    post = ParallelPostFit(estimator).fit(rows[:20_000])
    labels = post.predict(X)
    assert isinstance(labels, dask.array.Array)
    assert np.array_equal(labels.compute(), post.estimator.predict(rows))
    print("ParallelPostFit: rows of each component", np.bincount(labels.compute()))

    stream = Incremental(estimator).fit(X)
    # a pass of stepwise EM ends near where EM does
    assert np.allclose(stream.estimator_.means_, CENTRES, atol=0.1)
    print("Incremental: means", stream.estimator_.means_.round(2).tolist())
    assert np.array_equal(stream.predict(X).compute(), stream.estimator_.predict(rows))

    # y goes with the rows
    y = np.where(rng.random(100_000) < 0.5, 2 * rows[:, 0], 5 - rows[:, 1]) + rng.normal(scale=0.5, size=100_000)
    curves = Incremental(MixtureOfExperts(2, random_state=0)).fit(X, dask.array.from_array(y, chunks=10_000))
    slopes = curves.estimator_.coef_
    assert np.allclose(slopes[np.argsort(slopes[:, 0])], [[0, -1], [2, 0]], atol=0.1)
    print("Incremental: slopes of two regressions", slopes.round(2).tolist())


if __name__ == "__main__":
    main()
