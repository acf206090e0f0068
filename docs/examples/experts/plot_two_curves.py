"""
Two curves, which nobody told apart
===================================

Half of the rows follow a line and half a parabola, and nothing says which row follows which. A mixture of two
regressions finds both curves at once, with the spread of the rows about each, and how probable each curve is for each
row.

The data are simulated as those of Leisch, "FlexMix: A general framework for finite mixture models and latent class
regression in R", Journal of Statistical Software 11 (2004), doi:10.18637/jss.v011.i08.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from mixfast import MixtureOfExperts

rng = np.random.default_rng(1)
x = rng.uniform(0, 10, size=200)
y = np.where(np.arange(200) < 100, 5 * x, 40 - (x - 5) ** 2) + rng.normal(scale=3, size=200)

# %%
# Both components get the columns x and x^2. The ten starts are random: which rows begin in which component is left to
# chance, because clusters of (x, y) cut the picture into regions, where it is made of curves that cross.
X = np.column_stack([x, x**2])
model = MixtureOfExperts(2, random_state=0).fit(X, y)
# components have no order of their own: call the one that bends the second
line, parabola = np.argsort(np.abs(model.coef_[:, 1]))
for name, k in (("line", line), ("parabola", parabola)):
    print(f"{name:8}  y = {model.intercept_[k]:6.2f} {model.coef_[k, 0]:+.2f} x {model.coef_[k, 1]:+.3f} x^2, "
          f"standard deviation {model.sigma_[k]:.2f}")  # fmt: skip

# %%
# The standard errors tell that x^2 says nothing of the line: its interval includes 0.
print(model.inference(X, y))

# %%
# A point's colour is its posterior probability. It is open only where the curves are close to each other: points
# there, in grey, may be on either.
probability = model.posterior(X, y)[:, parabola]
grid = np.linspace(0, 10, 200)
curves = model.predict_components(np.column_stack([grid, grid**2]))

figure, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
shades = LinearSegmentedColormap.from_list("components", ["tab:blue", "0.8", "tab:orange"])
points = ax.scatter(x, y, c=probability, cmap=shades, vmin=0, vmax=1, s=22, edgecolor="0.3", linewidth=0.4)
for k, colour, name in ((line, "tab:blue", "line"), (parabola, "tab:orange", "parabola")):
    ax.plot(grid, curves[:, k], color=colour, linewidth=2.5, label=name)
    ax.fill_between(grid, *(curves[:, k] + side * 2 * model.sigma_[k] for side in (-1, 1)), color=colour, alpha=0.12)
figure.colorbar(points, label="posterior probability of the parabola")
ax.set(xlabel="x", ylabel="y", title="Component means, two standard deviations about them, and the posterior")
ax.legend(loc="lower right")
plt.show()
