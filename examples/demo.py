"""Fit three real data sets, choose among models by BIC, show the choice and draw it.

python examples/demo.py [picture.png]
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import matplotlib
import numpy as np
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA

from mixfast import GaussianMixture, plot_mixture, select

matplotlib.use("Agg")
import matplotlib.pyplot as plt

COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")
FAITHFUL = Path(__file__).parent.parent / "tests" / "data" / "faithful.csv"


def data_sets():
    """Name, rows, names of the columns, and the numbers of components to try."""
    faithful = np.loadtxt(FAITHFUL, delimiter=",", skiprows=1)
    iris, digits = load_iris(), load_digits()
    reduced = PCA(10, random_state=0).fit_transform(digits.data)
    return [
        ("Old Faithful", faithful, ["eruption (min)", "waiting (min)"], range(1, 7)),
        ("iris", iris.data, list(iris.feature_names), range(1, 7)),
        ("digits, 10 principal components", reduced, [f"PC {j + 1}" for j in range(10)], range(2, 25, 2)),
    ]


def print_model(model, columns):
    print(f"  chosen: {model.n_components} components, {model.covariance_type} covariances; "
          f"{model.n_iter_} iterations, {model.status_}")  # fmt: skip
    deviations = np.sqrt(np.diagonal(model.covariance_matrices(), axis1=1, axis2=2))
    print("  weight  mean (standard deviation) of " + ", ".join(columns[:4]) + (", ..." if len(columns) > 4 else ""))
    for k in np.argsort(-model.weights_):
        values = (f"{mean:9.2f} ({sd:.2f})" for mean, sd in zip(model.means_[k][:4], deviations[k], strict=False))
        print(f"  {model.weights_[k]:6.3f}" + "".join(values))


def main(picture):
    sets = data_sets()
    figure, axes = plt.subplots(1, len(sets), figsize=(5 * len(sets), 4.5), layout="constrained")
    for (name, X, columns, numbers), ax in zip(sets, axes, strict=True):
        print(f"{name}: {len(X)} rows, {X.shape[1]} columns")
        estimator = GaussianMixture(n_init=5)
        chosen = select(X, estimator, n_components=numbers, covariance_type=COVARIANCE_TYPES, random_state=0)
        print(textwrap.indent(repr(chosen), "  "))
        print_model(chosen.best_, columns)
        print()
        features = (2, 3) if name == "iris" else (0, 1)
        plot_mixture(chosen.best_, X, features=features, ax=ax)
        best = chosen.best_params_
        ax.set(title=f"{name}:\n{best['n_components']} components, {best['covariance_type']}",
               xlabel=columns[features[0]], ylabel=columns[features[1]])  # fmt: skip
    figure.savefig(picture, dpi=120)
    print(f"picture of the fits: {picture}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "mixfast_demo.png")
