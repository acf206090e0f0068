"""Fit three real data sets, choose among models by BIC, show the choice, and draw it and the map of its components.

python examples/demo.py [picture.png]
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA

from mixfast import GaussianMixture, MixtureMap, plot_mixture, select

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


def main(picture):
    sets = data_sets()
    figure, axes = plt.subplots(2, len(sets), figsize=(5.5 * len(sets), 9), layout="constrained")
    for (name, X, columns, numbers), (ax, below) in zip(sets, axes.T, strict=True):
        print(f"{name}: {len(X)} rows, {X.shape[1]} columns; fitting {len(numbers) * len(COVARIANCE_TYPES)} models")
        table = pd.DataFrame(X, columns=columns)
        chosen = select(
            table, GaussianMixture(n_init=5), n_components=numbers, covariance_type=COVARIANCE_TYPES, random_state=0
        )
        print(textwrap.indent(repr(chosen), "  "))
        model = chosen.best_
        print(textwrap.indent(str(model.summary(table)), "  "))
        means = model.to_frame().pivot(index="component", columns="column", values="mean")[columns[:4]]
        print(
            textwrap.indent(
                f"means{' of the first columns' if len(columns) > 4 else ''}\n{means.round(2).to_string()}\n", "  "
            )
        )
        features = (2, 3) if name == "iris" else (0, 1)
        plot_mixture(model, table, features=features, ax=ax)
        ax.set_title(f"{name}:\n{model.n_components} components, {model.covariance_type}")
        MixtureMap.from_estimator(model).plot(below)
        below.set_title("which components overlap")
    figure.savefig(picture, dpi=120)
    print(f"picture of the fits and their maps: {picture}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "mixfast_demo.png")
