"""rdt's `ClusterBasedNormalizer`, the encoder of CTGAN's columns, with mixfast's Bayesian mixture.

python examples/hosts/encoder.py                          # seconds of a table's columns; needs rdt
"""

import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
from rdt.transformers.numerical import ClusterBasedNormalizer, FloatFormatter

from mixfast import BayesianGaussianMixture


class MixfastNormalizer(ClusterBasedNormalizer):
    """rdt's transformer, whose model has to have weights, means, covariances and probabilities."""

    def _fit(self, data):
        FloatFormatter._fit(self, data)
        column = FloatFormatter._transform(self, data).reshape(len(data), -1)[:, :1]  # the others say what is missing
        self._bgm_transformer = BayesianGaussianMixture(
            n_components=self.max_clusters,
            weight_concentration_prior_type="dirichlet_process",
            weight_concentration_prior=0.001,
            random_state=self._get_current_random_seed(),
            n_threads=1,
        )
        self._bgm_transformer.fit(column)
        self.valid_component_indicator = self._bgm_transformer.weights_ > self.weight_threshold


def fitted(kind, table, n_threads=4):
    """A transformer of each column. Fits of mixfast hold no GIL."""

    def fit(column):
        transformer = kind()
        transformer.fit(table, column)
        return transformer

    with warnings.catch_warnings(), ThreadPoolExecutor(n_threads) as pool:
        warnings.simplefilter("ignore")  # 100 iterations need not be enough; rdt says nothing of it either
        return list(pool.map(fit, table.columns))


def table_of_columns(n_rows=20_000, n_columns=8, seed=0):
    """Columns of one to six clusters each."""
    rng = np.random.default_rng(seed)
    columns = {}
    for j in range(n_columns):
        n_clusters = 1 + j % 6
        means, scales = rng.normal(scale=20, size=n_clusters), rng.uniform(0.5, 3, size=n_clusters)
        cluster = rng.integers(n_clusters, size=n_rows)
        columns[f"c{j}"] = rng.normal(means[cluster], scales[cluster])
    return pd.DataFrame(columns)


def main():
    table = table_of_columns()
    for name, kind in (("scikit-learn", ClusterBasedNormalizer), ("mixfast", MixfastNormalizer)):
        start = time.perf_counter()
        transformers = fitted(kind, table)
        seconds = time.perf_counter() - start
        score = np.mean([own._bgm_transformer.score(table[own.columns].to_numpy()) for own in transformers])
        print(f"{name}: {table.shape[1]} columns of {len(table)} rows: {seconds:.2f} s, mean log density {score:.4f}")


if __name__ == "__main__":
    main()
