"""
A table of mixed columns
========================

344 penguins with four measurements, an island, a sex that is not always known, and a species that we keep to
ourselves. `ProductMixture` has a family for each group of columns.

Data: Horst, Hill & Gorman, "palmerpenguins" (2020), doi:10.5281/zenodo.3960218, CC0; collected by K. Gorman and the
Palmer Station LTER. The script reads :download:`penguins.csv <../../examples/guide/penguins.csv>` from the directory
that it is run in.
"""

import matplotlib.pyplot as plt
import pandas as pd

from mixfast import MixtureDisplay, ProductMixture, select
from mixfast.parts import Categorical, Gaussian

penguins = pd.read_csv("penguins.csv")
lengths = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
table = penguins.dropna(subset=lengths)  # two penguins were not measured at all
print(table[[*lengths, "island", "sex"]].head(4).to_string())
print("without a sex:", table["sex"].isna().sum())

# %%
# Parts say which columns belong together and what they are. Measurements of one penguin depend on each other within a
# cluster (one Gaussian with full covariances); island and sex are independent of them there. Missing values are allowed
# in Gaussian and categorical parts. Columns that no part names are not looked at.
parts = [(lengths, Gaussian("full")), (["island", "sex"], Categorical())]
chosen = select(table, ProductMixture(parts, n_init=5), n_components=range(1, 8), random_state=0)
print(chosen)

# %%
# Five clusters: the two sexes of Adelies and of Gentoos, and the Chinstraps.
model = chosen.best_
print(model.summary(table))
cluster = chosen.predict(table)
print(pd.crosstab([table["species"], table["sex"].fillna("unknown")], cluster, colnames=["cluster"]))

# %%
# `components_` has the margin of each part, a fitted mixture; `to_frame` all parameters by name.
frame = model.to_frame()
print(frame[frame["column"] == "island"].pivot(index="component", columns="category", values="probability").round(2))

# %%
# What sex do those have of whom it is not known? Their measurements and their island say it: of the clusters each may
# be in, the sexes, weighted with the probabilities of the clusters.
sexes = frame[frame["column"] == "sex"].pivot(index="component", columns="category", values="probability")
unknown = table[table["sex"].isna()]
probability = chosen.predict_proba(unknown) @ sexes.to_numpy()
print(pd.DataFrame(probability, columns=sexes.columns, index=unknown.index).round(2))

# %%
# The densities of the measurements, and how often each category occurs, with the part that each cluster has in it.
display = MixtureDisplay.from_estimator(model, table)
display.figure_.suptitle("Measurements, islands and sexes of penguins, and the five clusters in them")
plt.show()
