"""
Customers who buy again and again: rows in groups
=================================================

A shop sees what each customer bought in twelve weeks, at changing prices. Customers are of two kinds: some hunt for
offers, some hardly look at prices. One week says little of a customer; twelve weeks together do. With `groups`, all
rows of a customer share a component, and what is found are kinds of customers, not kinds of weeks.

The data are simulated.
"""

import matplotlib.pyplot as plt
import numpy as np

from mixfast import MixtureOfExperts

rng = np.random.default_rng(7)
n_customers, n_weeks = 150, 12
hunts = rng.random(n_customers) < 0.4
customer = np.repeat(np.arange(n_customers), n_weeks)
price = rng.uniform(0.6, 1.4, size=n_customers * n_weeks)
rate = np.exp(np.where(hunts[customer], 0.9 - 3.5 * (price - 1), 0.7 - 0.5 * (price - 1)))
bought = rng.poisson(rate).astype(float)
X = price[:, np.newaxis] - 1

# %%
# With and without groups. Slopes and shares are much the same: what groups add is who is who, below.
together = MixtureOfExperts(2, expert="poisson", random_state=0).fit(X, bought, groups=customer)
alone = MixtureOfExperts(2, expert="poisson", random_state=0).fit(X, bought)
for name, model in (("groups", together), ("alone", alone)):
    print(f"{name:7}  slopes {np.sort(model.coef_[:, 0]).round(2)}, weights {np.sort(model.weights_).round(2)}")
print("true     slopes [-3.5 -0.5], weights [0.4 0.6]")

# %%
# Weeks of a customer are not independent given a kind if the model is wrong, and errors that allow for it are those by
# clusters of customers. Here both agree: the model is true.
print(together.inference(X, bought, groups=customer))
print(together.inference(X, bought, groups=customer, robust=True).standard_errors.round(4))

# %%
# Left: what each kind buys at which price; points are means over customers of a kind, at ten prices. Right: the
# posterior probability of hunting, one for each customer, with and without groups.
hunter = int(np.argmin(together.coef_[:, 0]))
first = np.arange(n_customers) * n_weeks  # the first week of each customer
posterior = together.posterior(X, bought, groups=customer)[first, hunter]
weekly = alone.posterior(X, bought)[:, int(np.argmin(alone.coef_[:, 0]))]
grid = np.linspace(-0.4, 0.4, 100)[:, np.newaxis]
means = together.predict_components(grid)
edges = np.linspace(0.6, 1.4, 11)
bins = np.digitize(price, edges[1:-1])

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.3), layout="constrained")
for k, colour, name in ((hunter, "tab:orange", "hunts for offers"), (1 - hunter, "tab:blue", "hardly looks at prices")):
    own = (posterior[customer] > 0.5) == (k == hunter)
    left.plot(1 + grid[:, 0], means[:, k], color=colour, linewidth=2.5, label=f"{name} ({together.weights_[k]:.0%})")
    found = [bought[own & (bins == b)].mean() for b in range(10)]
    left.plot((edges[1:] + edges[:-1]) / 2, found, "o", color=colour, alpha=0.7)
left.set(xlabel="price", ylabel="packages a week", ylim=(0, None), title="Two kinds of customers")
left.legend()
right.hist(posterior, bins=np.linspace(0, 1, 21), weights=np.full(n_customers, 1 / n_customers), color="0.35",
           label="a customer's twelve weeks together")  # fmt: skip
right.hist(weekly, bins=np.linspace(0, 1, 21), weights=np.full(len(weekly), 1 / len(weekly)), histtype="step",
           color="tab:red", linewidth=1.5, label="each week alone")  # fmt: skip
right.set(xlabel="posterior probability of hunting for offers", ylabel="share", title="How sure that is")
right.legend()
plt.show()
