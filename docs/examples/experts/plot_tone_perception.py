"""
Two ways to hear, and when each is used
=======================================

A musician tunes a tone to the octave of a stretched one. Two theories say what she does: she stays at the octave, 2,
or she follows the stretched ratio. The rows do both. A gate lets the probability of following depend on the ratio
itself.

Data: Cohen, "Inharmonic tone perception", dissertation, Stanford University (1980); 150 trials of one musician.
"""

import matplotlib.pyplot as plt
import numpy as np

from mixfast import MixtureOfExperts

trials = [  # stretched ratio, tuned ratio
    (1.35, 1.461), (1.4, 1.407), (1.45, 1.452), (1.5, 1.3), (1.55, 1.351), (1.9, 1.9), (1.91, 1.913), (1.93, 1.927),
    (1.95, 1.947), (1.97, 1.969), (1.99, 1.99), (2, 1.999), (2.01, 2.009), (2.03, 2.038), (2.03, 2.046),
    (2.07, 2.067), (2.1, 2.108), (2.2, 2.199), (2.3, 2.301), (2.35, 2.358), (2.4, 2.4), (2.45, 2.453), (2.5, 2.502),
    (2.6, 2.399), (2.7, 2.696), (2.75, 2.751), (2.8, 2.8), (2.85, 2.851), (2.9, 2.9), (3, 3), (1.35, 2.021),
    (1.4, 2.013), (1.45, 2.028), (1.5, 2.008), (1.55, 2.027), (1.9, 1.928), (1.91, 1.939), (1.93, 1.977), (1.95, 1.9),
    (1.97, 1.976), (1.99, 2.008), (2, 1.906), (2.01, 2.005), (2.03, 2.018), (2.05, 2.041), (2.07, 2.057),
    (2.1, 2.095), (2.2, 2.066), (2.3, 2.014), (2.35, 2.019), (2.4, 2), (2.45, 2.033), (2.5, 2.506), (2.6, 2.042),
    (2.7, 2.701), (2.75, 2.414), (2.8, 2.704), (2.85, 2.035), (2.9, 2.07), (3, 3.494), (1.35, 1.846), (1.4, 1.97),
    (1.45, 1.971), (1.5, 1.97), (1.55, 2.046), (1.9, 1.904), (1.91, 1.915), (1.93, 1.925), (1.95, 1.749),
    (1.97, 1.972), (1.99, 1.996), (2, 2.003), (2.01, 2.007), (2.03, 2.027), (2.05, 2.053), (2.07, 2.047),
    (2.1, 2.094), (2.2, 2.171), (2.3, 2.29), (2.35, 1.906), (2.4, 2.001), (2.45, 2.008), (2.5, 1.993), (2.6, 2.009),
    (2.7, 2.363), (2.75, 2.105), (2.8, 1.979), (2.85, 1.937), (2.9, 2.068), (3, 2.03), (1.35, 2.018), (1.4, 2.036),
    (1.45, 2.025), (1.5, 1.994), (1.55, 2.01), (1.9, 1.901), (1.91, 1.911), (1.93, 1.923), (1.95, 1.95),
    (1.97, 1.978), (1.99, 1.97), (2, 2.001), (2.01, 2.01), (2.03, 2.031), (2.05, 2.035), (2.07, 2.071), (2.1, 2.108),
    (2.2, 2.011), (2.3, 2.026), (2.35, 2.023), (2.4, 1.974), (2.45, 2), (2.5, 2.01), (2.6, 2.015), (2.7, 2.054),
    (2.75, 2.061), (2.8, 2.015), (2.85, 2.036), (2.9, 2.028), (3, 2.014), (1.35, 1.997), (1.4, 1.905), (1.45, 1.997),
    (1.5, 1.964), (1.55, 2.008), (1.9, 1.941), (1.91, 1.96), (1.93, 1.968), (1.95, 1.976), (1.97, 1.903),
    (1.99, 1.997), (2, 2.007), (2.01, 2.006), (2.03, 2.037), (2.05, 2.091), (2.07, 2.073), (2.1, 2.096), (2.2, 1.904),
    (2.3, 2.007), (2.35, 2.025), (2.4, 2.037), (2.45, 2.038), (2.5, 2.047), (2.6, 2.023), (2.7, 2.076), (2.75, 2.066),
    (2.8, 2.426), (2.85, 2.117), (2.9, 2.097), (3, 2.91),
]  # fmt: skip
ratio, tuned = np.array(trials).T
ratio = ratio[:, np.newaxis]

# %%
# Constant proportions against a gate on the same column. The rows do not ask for the gate: it costs one parameter more
# than it is worth by BIC, and the test of its slope agrees.
constant = MixtureOfExperts(2, random_state=0, tol=1e-9).fit(ratio, tuned)
gated = MixtureOfExperts(2, gate="same", random_state=0, tol=1e-9).fit(ratio, tuned)
for name, model in (("constant", constant), ("gate", gated)):
    print(f"{name:8}  log-likelihood {150 * model.lower_bound_:.2f}, BIC {model.bic(ratio, tuned):.1f}")
print(gated.inference(ratio, tuned))

# %%
# Above: each trial, coloured by the theory that it more probably follows; lines are the two. Below: the probability of
# following the ratio before the tuning is heard, with what constant proportions say.
follows = int(np.argmax(gated.coef_[:, 0]))
posterior = gated.posterior(ratio, tuned)
grid = np.linspace(1.3, 3.05, 200)[:, np.newaxis]
means, gate = gated.predict_components(grid), gated.predict_proba(grid)

figure, (above, below) = plt.subplots(
    2, figsize=(7, 6), sharex=True, layout="constrained", gridspec_kw={"height_ratios": [3, 1.3]}
)
names = {follows: "follows the ratio", 1 - follows: "stays at the octave"}
colours = {follows: "tab:orange", 1 - follows: "tab:blue"}
label = posterior.argmax(axis=1)
for k in (1 - follows, follows):
    own = label == k
    above.scatter(ratio[own, 0], tuned[own], s=18, color=colours[k], alpha=0.7, edgecolor="none")
    above.plot(grid[:, 0], means[:, k], color=colours[k], linewidth=2, label=names[k])
above.set(ylabel="tuned ratio", title="Inharmonic tone perception")
above.legend(loc="upper left")
below.plot(grid[:, 0], gate[:, follows], color="tab:orange", linewidth=2, label="gate")
weight = constant.weights_[np.argmax(constant.coef_[:, 0])]
below.axhline(weight, color="0.4", linestyle="--", label="constant proportions")
below.set(xlabel="stretched ratio", ylabel="P(follows the ratio)", ylim=(0, 1))
below.legend(loc="upper left")
plt.show()
