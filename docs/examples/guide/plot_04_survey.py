"""
A survey with missing answers
=============================

Seven pathologists looked at 118 slides and said of each whether there is a carcinoma. They do not agree. Latent class
analysis, a mixture of independent answers, asks which kinds of slides there are, and how often each pathologist says
yes to each kind. Then a quarter of the answers is taken away.

Data: Agresti, "Categorical Data Analysis", second edition (2002), table 13.1, after Landis & Koch (1977); also in R's
poLCA. The answers below are the twenty patterns that occur, and how often.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from mixfast import CategoricalMixture, select

patterns = {
    "0000000": 34, "0000100": 2, "0100000": 6, "0100001": 1, "0100100": 4, "0100101": 5,
    "1000000": 2, "1010101": 1, "1100000": 2, "1100001": 1, "1100100": 2, "1100101": 7,
    "1100111": 1, "1101001": 1, "1101101": 2, "1101111": 3, "1110101": 13, "1110111": 5,
    "1111101": 10, "1111111": 16,
}  # fmt: skip
answers = pd.DataFrame(
    [["yes" if letter == "1" else "no" for letter in pattern] for pattern, n in patterns.items() for _ in range(n)],
    columns=list("ABCDEFG"),
)
print(answers.head(3))

# %%
# How many kinds of slides? Twenty starts each, since such fits have many local optima. `alpha=0` is maximum
# likelihood, as in poLCA; the default adds a pseudo-count to each answer, which in so few rows matters.
mixture = CategoricalMixture(alpha=0, n_init=20)
chosen = select(answers, mixture, n_components=range(1, 6), random_state=0)
print(chosen)
classes = chosen.best_
print(classes.summary(answers))


# %%
# Three: slides that nobody calls a carcinoma, slides that nearly all do, and a third kind on which the pathologists are
# divided. The probability of a yes, in the order of the pathologists:
def yes(model):
    """P(yes) of each class and pathologist, the class with the fewest yes first."""
    table = model.to_frame()
    table = table[table["category"] == "yes"].pivot(index="component", columns="column", values="probability")
    return table.loc[table.mean(axis=1).sort_values().index].to_numpy()


print(yes(classes).round(2))

# %%
# Missing answers are None or NaN, and are left out of the likelihood: a slide counts with the answers that it has.
# Here a random quarter is removed.
rng = np.random.default_rng(0)
partial = answers.mask(rng.random(answers.shape) < 0.25)
print(partial.head(3), f"\nmissing: {partial.isna().to_numpy().mean():.0%}")
without = CategoricalMixture(3, alpha=0, n_init=20, random_state=0).fit(partial)
print(yes(without).round(2))

# %%
# Profiles of the classes with all answers, and with three quarters of them.
figure, ax = plt.subplots(figsize=(7, 4.3), layout="constrained")
order = np.argsort(yes(classes).mean(axis=0))
for k, (colour, name) in enumerate((("tab:blue", "no carcinoma"), ("tab:green", "divided"), ("tab:red", "carcinoma"))):
    ax.plot(yes(classes)[k, order], marker="o", color=colour, label=name)
    ax.plot(yes(without)[k, order], marker="x", color=colour, linestyle=":")
ax.plot([], [], marker="x", color="0.4", linestyle=":", label="with a quarter missing")
ax.set_xticks(range(7), answers.columns[order])
ax.set(xlabel="pathologist", ylabel="P(yes)", title="Three kinds of slides, and how often each pathologist says yes")
ax.legend(loc=(0.62, 0.18), fontsize=9)
plt.show()
