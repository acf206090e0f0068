"""
Short texts
===========

What are 1,200 functions about, by the one line that each has to say of itself? `GSDMM` is made for texts of a few
words: each belongs to one cluster, and clusters that nobody needs become empty.

Data: the first lines of the documentation of SciPy's public functions, from the SciPy that runs this.
"""

from importlib import import_module
from inspect import getdoc

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import normalized_mutual_info_score

from mixfast import GSDMM, top_words

modules = ["stats", "signal", "linalg", "optimize", "special", "interpolate", "ndimage", "integrate", "fft", "sparse"]
texts, origin = [], []
for module in modules:
    library = import_module(f"scipy.{module}")
    for name in sorted(library.__all__):
        paragraphs = (getdoc(getattr(library, name)) or "").split("\n\n")
        line = next((" ".join(text.split()) for text in paragraphs if " " in text and f"{name}(" not in text), "")
        if 4 <= len(line.split()) <= 30:
            texts.append(line)
            origin.append(module)
print(len(texts), *texts[::300], sep="\n")

# %%
# Counts of words, as a sparse matrix: rows are never made dense.
vectorizer = CountVectorizer(stop_words="english", min_df=2)
X = vectorizer.fit_transform(texts)
print(X.shape, f"{X.nnz / len(texts):.1f} words a text")

# %%
# At most 30 clusters. The larger `beta`, the fewer they become.
model = GSDMM(30, beta=0.2, n_iter=30, random_state=0).fit(X)
print(model.n_clusters_, "clusters; agreement with the modules, as normalised mutual information:",
      round(normalized_mutual_info_score(origin, model.labels_), 2))  # fmt: skip

# %%
# The words that say most about the largest clusters, and the modules that their functions come from.
words = top_words(model, vectorizer.get_feature_names_out(), n=6)
table = pd.crosstab(model.labels_, np.array(origin))[modules]
largest = table.sum(axis=1).sort_values(ascending=False).index[:12]
for k in largest:
    homes = table.loc[k].sort_values(ascending=False)
    origins = ", ".join(f"{module} {n}" for module, n in homes.head(2).items())
    print(f"{table.loc[k].sum():4}  {', '.join(words[k]):62}  {origins}")

# %%
# New texts find their cluster.
new = ["Evaluate a cubic spline at given points.", "A skewed normal continuous random variable."]
for text, k in zip(new, model.predict(vectorizer.transform(new)), strict=True):
    print(text, "->", ", ".join(words[k]))

# %%
# Where the functions of each module went.
shares = (table.loc[largest] / table.sum(axis=0)).to_numpy()
figure, ax = plt.subplots(figsize=(8, 5), layout="constrained")
image = ax.imshow(shares, cmap="Blues", vmin=0, aspect="auto")
ax.set_xticks(range(len(modules)), modules, rotation=30, ha="right")
ax.set_yticks(range(len(largest)), [", ".join(words[k][:3]) for k in largest])
ax.set(title="Where the functions of each module of SciPy went: the twelve largest clusters")
figure.colorbar(image, label="share of the module's functions")
plt.show()
