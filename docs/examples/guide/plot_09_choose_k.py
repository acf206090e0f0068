"""
Choose the number of components
===============================

There is no one number that rows have: criteria, tests and posteriors ask different questions. All of them, of one data
set: 272 eruptions of the geyser Old Faithful, each with its length and the wait for the next one.

Data: Azzalini & Bowman, Applied Statistics 39 (1990); R's faithful. The script reads :download:`faithful.csv
<../../examples/guide/faithful.csv>` from the directory that it is run in.
"""

import matplotlib.pyplot as plt
import pandas as pd

from mixfast import (
    BayesianGaussianMixture,
    GaussianMixture,
    MixtureDisplay,
    SelectionDisplay,
    bootstrap_lrt,
    select,
)

X = pd.read_csv("faithful.csv")
print(X.describe().loc[["mean", "std", "min", "max"]].round(2))

# %%
# **BIC** asks which density is worth its parameters. Three components with one covariance for all: two round groups,
# and a third component because the long eruptions are no ellipse.
grid = {"n_components": range(1, 7), "covariance_type": ["full", "tied"], "random_state": 0}
chosen = select(X, GaussianMixture(), **grid)
print(chosen)

# %%
# **ICL** also asks for components that are apart, so that rows are in one cluster clearly: two.
apart = select(X, GaussianMixture(), criterion="icl", **grid)
print(apart)

# %%
# A **test**: are two components enough, or is it three? Samples from the fitted mixture of two say how much larger the
# likelihood of three is by chance.
test = bootstrap_lrt(X, GaussianMixture(covariance_type="tied", n_init=5), 2, n_bootstrap=99, random_state=0)
print(f"2 against 3 tied components: p = {test.p_value:.2f}")

# %%
# **Priors** instead: components that the rows do not need stay empty.
bayes = BayesianGaussianMixture(10, max_iter=1000, regularization="relative", random_state=0).fit(X)
print("components with rows:", bayes.n_clusters_, "weights:", bayes.weights_.round(3))

# %%
# What the numbers look like, and the two choices.
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
SelectionDisplay.from_selection(chosen, ax=left)
left.set(title="BIC of Old Faithful")
for ax, choice, name in ((middle, chosen, "BIC"), (right, apart, "ICL")):
    MixtureDisplay.from_estimator(choice.best_, X, ax=ax, kind="contours")
    ax.set(title=f"The choice of {name}")
plt.show()
