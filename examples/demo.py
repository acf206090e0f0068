"""Fit three real data sets, choose among models by BIC, show the choice and draw it.

python examples/demo.py [picture.png]
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import matplotlib
import numpy as np
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning

from mixfast import GaussianMixture, plot_mixture

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


def fit_all(X, numbers):
    """Models by (number of components, covariance type)."""
    models = {}
    with warnings.catch_warnings():
        # some of the models in the table are too rich for the data: their status says so
        warnings.simplefilter("ignore", ConvergenceWarning)
        for n_components in numbers:
            for covariance_type in COVARIANCE_TYPES:
                model = GaussianMixture(n_components, covariance_type=covariance_type, n_init=5, max_iter=500,
                                        random_state=0)  # fmt: skip
                models[n_components, covariance_type] = model.fit(X)
    return models


def print_table(bic, numbers, best):
    print("  BIC (the lower the better; * marks the choice)")
    print("  components" + "".join(f"{name:>13}" for name in COVARIANCE_TYPES))
    for n_components in numbers:
        cells = (
            f"{bic[n_components, name]:12.1f}{'*' if (n_components, name) == best else ' '}"
            for name in COVARIANCE_TYPES
        )
        print(f"  {n_components:10d}" + "".join(cells))


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
        models = fit_all(X, numbers)
        bic = {key: model.bic(X) for key, model in models.items()}
        best = min(bic, key=bic.get)
        print_table(bic, numbers, best)
        print_model(models[best], columns)
        print()
        features = (2, 3) if name == "iris" else (0, 1)
        plot_mixture(models[best], X, features=features, ax=ax)
        ax.set(
            title=f"{name}: {best[0]} components, {best[1]}", xlabel=columns[features[0]], ylabel=columns[features[1]]
        )
    figure.savefig(picture, dpi=120)
    print(f"picture of the fits: {picture}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "mixfast_demo.png")
