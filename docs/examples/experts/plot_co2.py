"""
Carbon dioxide against income: two kinds of economies
=====================================================

Carbon dioxide per head and gross national product per head of 28 countries in 1996. One regression says that income
hardly matters. A mixture of two says why: most countries emit about as much whatever they earn, and a few emit more
the more they earn.

Data: Hurn, Justel & Robert, "Estimating mixtures of regressions", Journal of Computational and Graphical Statistics 12
(2003), doi:10.1198/1061860031329.
"""

import matplotlib.pyplot as plt
import numpy as np

from mixfast import MixtureOfExperts

countries = {  # thousand dollars, tonnes
    "CAN": (19.02, 14.7), "MEX": (3.67, 3.9), "USA": (28.2, 20.8), "JAP": (40.94, 9), "KOR": (10.61, 8.3),
    "AUS": (20.09, 16), "NZ": (15.72, 7.6), "OST": (28.11, 7.4), "BEL": (26.44, 10.2), "CZ": (4.74, 10.8),
    "DNK": (32.1, 10.5), "FIN": (23.24, 10), "FRA": (26.27, 5.8), "DEU": (28.87, 10.2), "GRC": (11.46, 7.3),
    "HUN": (4.34, 5.5), "EIRE": (17.11, 9), "ITL": (19.88, 7.2), "HOL": (25.94, 8.8), "NOR": (24.51, 16.6),
    "POL": (3.23, 8.8), "POR": (10.16, 5.2), "ESP": (14.35, 5.9), "SW": (25.71, 5), "CH": (44.35, 5.5),
    "TUR": (2.83, 2.7), "UK": (19.6, 9.3), "RUS": (2.41, 12.3),
}  # fmt: skip
country = list(countries)
gnp, co2 = np.array(list(countries.values())).T
gnp = gnp[:, np.newaxis]

# %%
# How many? BIC, the lower the better, and R^2 of one regression for comparison.
models = [MixtureOfExperts(k, n_init=50, random_state=0, tol=1e-9).fit(gnp, co2) for k in (1, 2, 3)]
for model in models:
    print(f"{model.n_components} components: BIC {model.bic(gnp, co2):.1f}, log-likelihood "
          f"{28 * model.lower_bound_:.2f}")  # fmt: skip
print(f"R^2 of one regression: {models[0].score(gnp, co2):.3f}")

# %%
# Two, with standard errors:
model = models[1]
print(model.inference(gnp, co2))

# %%
# Which countries are on the steep line is a matter of probability, given by the size of the points.
steep, flat = np.argsort(-model.coef_[:, 0])
posterior = model.posterior(gnp, co2)
grid = np.linspace(0, 46, 100)[:, np.newaxis]
means = model.predict_components(grid)

figure, ax = plt.subplots(figsize=(7.5, 5), layout="constrained")
for k, colour, name in ((flat, "tab:blue", "income hardly matters"), (steep, "tab:orange", "the richer, the more")):
    ax.plot(grid[:, 0], means[:, k], color=colour, linewidth=2, label=f"{name} ({model.weights_[k]:.0%})")
    reach = 2 * model.sigma_[k]
    ax.fill_between(grid[:, 0], means[:, k] - reach, means[:, k] + reach, color=colour, alpha=0.12)
    ax.scatter(gnp[:, 0], co2, s=45 * posterior[:, k], color=colour, edgecolor="none")
for name, place, value in zip(country, gnp[:, 0], co2, strict=True):
    ax.annotate(name, (place, value), xytext=(4, 3), textcoords="offset points", fontsize=7, color="0.25")
ax.set(xlabel="gross national product per head (thousand dollars)", ylabel="carbon dioxide per head (tonnes)")
ax.set(ylim=(0, 24), xlim=(0, 47), title="Two regressions of carbon dioxide on income")
ax.legend(loc="upper left")
plt.show()
