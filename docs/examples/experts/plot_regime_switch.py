"""
A regime that switches with a covariate
=======================================

How much power a cooling unit draws depends on the temperature outside, and on whether it runs at night tariff or by
day, which nobody wrote down. What was written down is the hour, and units change over at other minutes each day. The
gate finds when: it says, for each hour, how likely each regime is.

The data are simulated.
"""

import matplotlib.pyplot as plt
import numpy as np

from mixfast import MixtureOfExperts

rng = np.random.default_rng(3)
hour = rng.uniform(0, 12, size=400)
warmth = rng.normal(15, 6, size=400)
is_day = rng.random(400) < 1 / (1 + np.exp(-2 * (hour - 6.5)))
power = np.where(is_day, 0.2 + 0.12 * warmth, 2.2 + 0.02 * warmth) + rng.normal(scale=0.25, size=400)

# %%
# Experts look at the temperature, the gate at the hour. `fit` and `predict` take the gate's own columns.
X, gate_X = warmth[:, np.newaxis], hour[:, np.newaxis]
model = MixtureOfExperts(2, gate="gate_X", random_state=0).fit(X, power, gate_X=gate_X)
print(model.inference(X, power, gate_X=gate_X))
day = int(np.argmax(model.coef_[:, 0]))
night = 1 - day
slope = model.gate_coef_[day, 0] - model.gate_coef_[night, 0]
change = (model.gate_intercept_[night] - model.gate_intercept_[day]) / slope
print(f"Both regimes are equally likely at {change:.2f} hours (6.5 in truth).")

# %%
# A prediction is the mean of both regimes, weighted by the gate, and its interval is that of the mixture: it is
# widest about the change, where one end is of each regime, and narrower away from it.
grid = np.linspace(0, 12, 300)
gate = model.predict_proba(np.zeros((300, 1)), gate_X=grid[:, np.newaxis])
warm = np.full((300, 1), 25.0)
mean = model.predict(warm, gate_X=grid[:, np.newaxis])
low, high = model.predict_interval(warm, gate_X=grid[:, np.newaxis], level=0.9).T
posterior = model.posterior(X, power, gate_X=gate_X)[:, day]

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.3), layout="constrained")
colours = {day: "tab:orange", night: "tab:blue"}
ends = np.array([warmth.min(), warmth.max()])[:, np.newaxis]
lines = model.predict_components(ends)
for k, name in ((day, "day"), (night, "night")):
    own = (posterior > 0.5) == (k == day)
    left.scatter(warmth[own], power[own], s=14, color=colours[k], alpha=0.6, edgecolor="none")
    left.plot(ends[:, 0], lines[:, k], color=colours[k], linewidth=2.5, label=name)
    right.plot(grid, gate[:, k], color=colours[k], linewidth=2.5, label=f"P({name})")
left.set(xlabel="temperature (°C)", ylabel="power (kW)", title="Experts")
left.legend(loc="upper left")
right.axvline(change, color="0.6", linestyle=":")
right.set(xlabel="hour", ylabel="probability of the regime", title="Gate, and the power at 25 °C")
more = right.twinx()
more.plot(grid, mean, color="0.2", linewidth=1.5, label="mean power")
more.fill_between(grid, low, high, color="0.2", alpha=0.12, label="90% of it")
more.set_ylabel("power at 25 °C (kW)")
handles = [*right.get_lines()[:2], *more.get_lines(), more.collections[0]]
right.legend(handles, [handle.get_label() for handle in handles], loc="center left", fontsize=8)
plt.show()
