"""
Find outliers
=============

Ten properties of the cell nuclei in 379 breast biopsies: 357 benign ones and, hidden among them, 22 malignant ones. A
mixture says how likely each row is; the least likely rows are looked at first.

Data: Breast Cancer Wisconsin (diagnostic), as scikit-learn has it; of the malignant biopsies every tenth. A biopsy
has many nuclei, and the properties are those of its most conspicuous ones.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score

from mixfast import GaussianMixture, StudentTMixture

bunch = load_breast_cancer(as_frame=True)
columns = [name for name in bunch.data if name.startswith("worst")]
benign, malignant = (bunch.data.loc[bunch.target == value, columns] for value in (1, 0))
X = pd.concat([benign, malignant.iloc[::10]], ignore_index=True)
is_malignant = np.arange(len(X)) >= len(benign)
print(X.shape, is_malignant.sum())

# %%
# Outliers are part of the rows that are fitted. Gaussians bend towards them; components with heavy tails, those of
# `StudentTMixture`, hardly do. The columns have units from 0.001 to 1000, so the fit is in units of their
# variances: `regularization="relative"`.
for name, model in (
    ("Gaussian", GaussianMixture(2, regularization="relative", random_state=0)),
    ("Student t", StudentTMixture(2, regularization="relative", random_state=0)),
):
    log_density = model.fit(X).score_samples(X)
    worst = np.argsort(log_density)[: is_malignant.sum()]
    print(f"{name:10} area under the ROC curve {roc_auc_score(is_malignant, -log_density):.3f}, "
          f"malignant among the {len(worst)} least likely: {is_malignant[worst].sum()}")  # fmt: skip

# %%
# The degrees of freedom say how heavy the tails are: the smaller, the heavier; above 30 they are nearly a Gaussian's.
print(model.degrees_of_freedom_.round(1), model.weights_.round(2))

# %%
# Where to draw the line is a decision. `is_outlier` draws it by the mixture: below the log density that all but a
# hundredth of what the mixture itself would draw have. For a given number of rows take the least likely, as above.
is_outlier = model.is_outlier(X, contamination=0.01)
limit = model.log_density_level(0.99)
print(f"{is_outlier.sum()} rows, {(is_outlier & is_malignant).sum()} of them malignant")
suspicious = X[is_outlier].rename(columns=lambda name: name.removeprefix("worst "))
print(suspicious.round(3).to_string())

# %%
# Log densities of all rows. Most of the malignant ones lie far to the left.
bins = np.linspace(log_density.min(), log_density.max(), 45)
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
ax.hist(log_density[~is_malignant], bins, color="0.75", label="benign")
ax.plot(
    log_density[is_malignant], np.full(is_malignant.sum(), -1.2), "|", color="tab:red", markersize=12, label="malignant"
)
ax.axvline(limit, color="black", linestyle="--", label="a hundredth of\nthe mixture lies below")
ax.set(xlabel="log density of the row (nats)", ylabel="rows")
ax.set(title="Log densities of 379 biopsies: malignant ones are among the least likely")
ax.legend(loc="upper left")
plt.show()
