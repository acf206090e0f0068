"""
Cluster a table
===============

Thirteen measurements of 178 wines from one region. Which kinds are there? `select` fits mixtures of one to six
Gaussians with three structures of the covariances, and keeps the one with the lowest BIC.

Data: wine recognition, from the UCI repository, as scikit-learn has it.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_wine

from mixfast import GaussianMixture, select

wine = load_wine(as_frame=True)
X = wine.data

# %%
# A grid of numbers of components and covariance structures. A table with names goes in as it is, and columns need no
# scaling: where fits are compared, nothing is added to covariances.
chosen = select(
    X, GaussianMixture(), n_components=range(1, 7), covariance_type=["full", "tied", "diag"], random_state=0
)
print(chosen)

# %%
# The best one is fitted already. Its summary: how many rows, how well they are explained, how large the clusters are,
# and how the fit ended.
model = chosen.best_
print(model.summary(X))

# %%
# `to_frame` has a row for each component and column. Here the means, with the columns that differ most first: spread of
# the means over the standard deviation of the column.
means = model.to_frame().pivot(index="column", columns="component", values="mean")
spread = means.std(axis=1) / X.std()
print(means.loc[spread.sort_values(ascending=False).index].round(2))

# %%
# `predict` gives each wine its most likely cluster, `predict_proba` the probabilities of all. The table knows who
# grew the grapes, which the mixture was not told: two clusters are a grower each, and the third grower has two.
labels = model.predict(X)
print(pd.crosstab(wine.target, labels, rownames=["grower"], colnames=["cluster"]))
unsure = np.flatnonzero(model.predict_proba(X).max(axis=1) < 0.9)
print("less than 90 % sure:", unsure)

# %%
# Two of the columns that separate the clusters. The less sure a row is, the lighter its point.
certainty = model.predict_proba(X).max(axis=1)
figure, ax = plt.subplots(figsize=(7, 4.8), layout="constrained")
for k, (marker, colour) in enumerate(zip("os^D", ("tab:blue", "tab:orange", "tab:green", "tab:purple"), strict=True)):
    own = labels == k
    ax.scatter(
        X["flavanoids"][own], X["color_intensity"][own], c=colour, alpha=0.3 + 0.7 * (2 * certainty[own] - 1) ** 4,
        marker=marker, s=26, edgecolor="none", label=f"cluster {k}, {model.weights_[k]:.0%} of the wines",
    )  # fmt: skip
ax.set(xlabel="flavanoids", ylabel="colour intensity", title="178 wines by flavanoids and colour, in four clusters")
ax.legend()
plt.show()
