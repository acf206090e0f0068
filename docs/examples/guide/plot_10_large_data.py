"""
Large data
==========

An M-step needs sums over the rows, not the rows. So rows may be in many files, on many machines, or arrive over time:
each part gives its sums, and the sums make the step. Here 273,280 pixels of a photograph, in parts.

Data: china.jpg, as scikit-learn has it.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from mixfast import GaussianMixture, Statistics, blocks

picture = load_sample_image("china.jpg")
height, width, _ = picture.shape


def parts():
    """The pixels in bands of 50 rows, as float32: one part in memory at a time, as from files."""
    for top in range(0, height, 50):
        yield picture[top : top + 50].reshape(-1, 3).astype(np.float32)


# %%
# `blocks` tells `fit` where rows are to be read: from a function as here, from `.npy` and Parquet files, memory maps,
# HDF5, Dask. Each pass reads them again, part by part.
model = GaussianMixture(5, random_state=0).fit(blocks(parts))
print(f"{model.n_iter_} iterations; mean log density of a pixel {model.lower_bound_:.4f}")

# %%
# What `fit` does is there to be used where rows are on other machines: `model.statistics` of a part changes nothing,
# may run anywhere, and returns sums that travel as bytes; `update` makes the next step of their total. The start
# (`max_iter=0` is k-means alone) is made of some of the rows.
by_hand = GaussianMixture(5, random_state=0, max_iter=0).fit(np.concatenate([part[::50] for part in parts()]))
steps = 0
while not by_hand.converged_:
    by_hand.update(Statistics.sum([by_hand.statistics(part) for part in parts()]))
    steps += 1
print(f"{steps} steps; mean log density of a pixel {by_hand.lower_bound_:.4f}")
print(len(by_hand.statistics(next(parts())).to_bytes()), "bytes for the sums of a part")

# %%
# If rows fit into memory, nothing of this is needed. `fit` never holds an array of rows times components, uses all
# processors, and reads memory-mapped files (`numpy.load(path, mmap_mode="r")`) as they are.
whole = GaussianMixture(5, random_state=0).fit(np.concatenate(list(parts())))
print(f"{whole.n_iter_} iterations; mean log density of a pixel {whole.lower_bound_:.4f}")

# %%
# Five colours for the whole photograph: each pixel has the mean of its component.
labels = np.concatenate([model.predict(part) for part in parts()])
painted = model.means_[labels].reshape(height, width, 3) / 255
order = np.argsort(-model.weights_)
figure, axes = plt.subplots(1, 2, figsize=(10, 3.9), layout="constrained")
for ax, image, title in zip(axes, (picture, painted), ("A photograph", "The same in five colours"), strict=True):
    ax.imshow(image)
    ax.set(title=title, xticks=[], yticks=[])
for k in order:
    axes[1].plot([], [], "s", markersize=9, color=model.means_[k] / 255, label=f"{model.weights_[k]:.0%}")
axes[1].legend(loc="lower center", ncols=5, fontsize=8, handletextpad=0.1)
plt.show()
