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

from mixfast import GaussianMixture, MixtureDisplay, select

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
# The picture takes the columns that separate the clusters most, unless `features` names others. Ellipses hold half and
# nineteen twentieths of a cluster; on the diagonal are the densities of single columns.
display = MixtureDisplay.from_estimator(model, X)
display.figure_.suptitle("178 wines in four clusters, by the four columns that separate these most")
plt.show()
