"""
Choose the number of components
===============================

There is no one number that rows have: criteria, tests and posteriors ask different questions. All of them, of one data
set: 272 eruptions of the geyser Old Faithful, each with its length and the wait for the next one.

Data: Azzalini & Bowman, Applied Statistics 39 (1990); R's faithful. The script reads :download:`faithful.csv
<../../examples/guide/faithful.csv>` from the directory that it is run in.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from mixfast import BayesianGaussianMixture, GaussianMixture, bootstrap_lrt, select

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
# What the numbers look like: BIC and ICL of each number, and the two choices.
figure, axes = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained")
for criterion, marker in (("bic", "o"), ("icl", "s")):
    table = chosen.to_frame() if criterion == "bic" else apart.to_frame()
    tied = table[table["covariance_type"] == "tied"]
    axes[0].plot(tied["n_components"], tied[criterion], marker=marker, label=criterion.upper())
axes[0].set(xlabel="number of components", ylabel="criterion (lower is better)", title="Criteria of tied mixtures")
axes[0].legend()
for ax, choice, name in zip(axes[1:], (chosen, apart), ("BIC", "ICL"), strict=True):
    labels = choice.predict(X)
    ax.scatter(*X.to_numpy().T, c=np.array(plt.colormaps["tab10"].colors)[labels], s=12, alpha=0.7)
    ax.set(xlabel="eruption (min)", ylabel="wait for the next (min)", title=f"Old Faithful: the choice of {name}")
plt.show()
