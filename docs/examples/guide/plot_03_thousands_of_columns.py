"""
Thousands of columns
====================

A mixture for each of 1,920 columns, with its own number of components, in one call and about a second. The columns
are those of a photograph: 640 columns of pixels in red, green and blue, each of 427 brightnesses. How many
brightnesses are there in each, and which?

Data: china.jpg, as scikit-learn has it.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_sample_image

from mixfast import GaussianMixture, fit_many_columns

picture = load_sample_image("china.jpg").astype(float)
names = [f"{colour} {x}" for x in range(picture.shape[1]) for colour in ("red", "green", "blue")]
table = pd.DataFrame(picture.reshape(len(picture), -1), columns=names)
print(table.shape)

# %%
# For each column mixtures of one to five Gaussians; the one with the lowest BIC is kept. A thread takes whole columns,
# and each result has the bits that a fit of the column alone has.
result = fit_many_columns(table, GaussianMixture(random_state=0), n_components=range(1, 6))
problems = result.to_frame()
print(problems[["problem", "n_components", "bic", "status"]].head(6))

# %%
# No column raises an error, whatever its data are: each has a status instead. Numbers of components, and how fits
# ended:
print(problems.groupby(["n_components", "status"]).size())

# %%
# `result[i]` is a fitted mixture, and `to_frame("components")` all of them as a table: here the means of one column.
i = names.index("blue 300")
print(result[i].means_.ravel().round(), result[i].weights_.round(2))

# %%
# Below the photograph: the means of the blue columns, with an area that is the weight. The sky is the bright, heavy
# component; roofs and walls come and go.
components = result.to_frame("components")
blue = components[components["problem"].str.startswith("blue")]
place = blue["problem"].str.removeprefix("blue ").astype(int)
figure, (above, below) = plt.subplots(2, figsize=(7, 7.5), sharex=True, layout="constrained")
above.imshow(picture.astype(np.uint8), aspect="auto")
above.set(ylabel="row of pixels", title="A photograph of a temple under a bright sky")
below.scatter(place, blue["mean"], s=12 * blue["weight"], c="tab:blue", edgecolor="none", alpha=0.7)
below.set(xlabel="column of pixels", ylabel="mean of a component", ylim=(0, 255))
below.set(title="Components of the brightness in blue, column by column")
plt.show()
