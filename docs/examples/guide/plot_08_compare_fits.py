"""
Compare fits
============

Two fits number their components as they like, and the one may have split what the other has in one. Which component is
which? Which overlap, and which would merge first? The flowers of three kinds of irises, fitted twice.

Data: iris, as scikit-learn has it.
"""

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import load_iris

from mixfast import GaussianMixture, MixtureMap, match, merge_tree

iris = load_iris(as_frame=True)
X = iris.data
first = GaussianMixture(3, covariance_type="full", n_init=10, random_state=0).fit(X)
second = GaussianMixture(4, covariance_type="tied", n_init=10, random_state=1).fit(X)
for model in (first, second):
    print(f"{model.n_components} {model.covariance_type}: BIC {model.bic(X):.1f}, ICL {model.icl(X):.1f}")

# %%
# `match` says which component of the second is which of the first, by the rows that they share; -1 is for those that
# have no partner.
partner = match(first, second, X)
print(partner)
print(pd.crosstab(first.predict(X), second.predict(X), rownames=["first"], colnames=["second"]))

# %%
# A map of one fit says how its components relate. `overlap[i, j]` is how often a flower of component i looks more
# like one of j; pairs above one in a hundred are neighbours.
found = MixtureMap.from_estimator(second, X)
print(found.overlap.round(3))
print(found.to_frame("pairs").round(4).to_string(index=False))

# %%
# `merge_tree` joins two components at a time, those whose separation leaves most doubt first. As three clusters the
# four components are the three species, but for three flowers:
tree = merge_tree(second, X)
print("mergers, in order:", tree.merges)
print(pd.crosstab(iris.target, tree.labels(3, X), rownames=["species"], colnames=["cluster"]))

# %%
# The map of each fit: areas are weights, lines join components that overlap.
figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
for ax, model, name in zip(axes, (first, second), ("three full", "four tied"), strict=True):
    MixtureMap.from_estimator(model, X).plot(ax=ax)
    ax.set_title(f"Map of irises: {name}")
plt.show()
