"""
Densities
=========

Not which group a row is in, but how likely each value is: a mixture as a density, in closed form, that can be
evaluated, integrated and drawn from. The velocities of 82 galaxies.

Data: Postman, Huchra & Geller, Astronomical Journal 92 (1986); Roeder, Journal of the American Statistical
Association 85 (1990), in 1000 km/s.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.integrate import quad
from scipy.stats import gaussian_kde

from mixfast import GaussianMixture, MixtureDisplay, select

velocities = np.array([
    9.172, 9.35, 9.483, 9.558, 9.775, 10.227, 10.406, 16.084, 16.17, 18.419, 18.552, 18.6, 18.927, 19.052,
    19.07, 19.33, 19.343, 19.349, 19.44, 19.473, 19.529, 19.541, 19.547, 19.663, 19.846, 19.856, 19.863, 19.914,
    19.918, 19.973, 19.989, 20.166, 20.175, 20.179, 20.196, 20.215, 20.221, 20.415, 20.629, 20.795, 20.821, 20.846,
    20.875, 20.986, 21.137, 21.492, 21.701, 21.814, 21.921, 21.96, 22.185, 22.209, 22.242, 22.249, 22.314, 22.374,
    22.495, 22.746, 22.747, 22.888, 22.914, 23.206, 23.241, 23.263, 23.484, 23.538, 23.542, 23.666, 23.706, 23.711,
    24.129, 24.285, 24.289, 24.366, 24.717, 24.99, 25.633, 26.69, 26.995, 32.065, 32.789, 34.279,
])  # fmt: skip
X = velocities[:, np.newaxis]  # one column

# %%
# For a density the criterion is how well it predicts rows that it has not seen: held-out log density, by ten folds, of
# which the criterion is minus the mean, so that lower is better as everywhere.
chosen = select(
    X, GaussianMixture(n_init=10), criterion="heldout", n_folds=10, n_components=range(1, 8), random_state=0
)
print(chosen)
model = chosen.best_


# %%
# `score_samples` is the log density of each row. It is a density: it integrates to one.
def density(x):
    return np.exp(model.score_samples(np.atleast_1d(x)[:, np.newaxis]))


print("integral:", round(quad(lambda x: density(x)[0], 0, 60, limit=200)[0], 6))
print("log density at 10, 15 and 20:", model.score_samples([[10], [15], [20]]).round(2))
print("share faster than 25:", round(quad(lambda x: density(x)[0], 25, 45)[0], 3))

# %%
# `sample` draws from it; quantiles are those of many draws.
draws, component = model.sample(100_000, random_state=0)
print("quartiles:", np.quantile(draws, [0.25, 0.5, 0.75]).round(2), "of the rows:", np.quantile(X, [0.25, 0.5, 0.75]))

# %%
# The picture of a column is its density, with that of each component. Drawn over it is a kernel density estimate, which
# has one width for the crowded middle and for the thin ends.
display = MixtureDisplay.from_estimator(model, X)
grid = np.linspace(5, 40, 500)
(line,) = display.ax_.plot(grid, gaussian_kde(velocities)(grid), color="black", linestyle="--")
display.ax_.add_artist(display.ax_.get_legend())  # of the components, beside another
display.ax_.legend([line], ["kernels"], loc="upper right")
display.ax_.set(xlabel="velocity (1000 km/s)", title="Velocities of 82 galaxies: a mixture of four, and kernels")
plt.show()
