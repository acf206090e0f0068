"""
Patents for research spending: counts with exposure
===================================================

How many patents do 70 pharmaceutical and biomedical companies get for what they spend on research? Counts are taken as
Poisson, and spending as their exposure: a rate is patents per million dollars. With log spending as a column as well,
a coefficient of 0 says that patents are proportional to spending, -0.3 that twice the spending brings 2^0.7 times as
many.

Companies differ in what they do with their money, and which kind of company one is may depend on how much of its sales
it spends: that is the gate.

Data: National Bureau of Economic Research, R&D Master File, 1976; Wang, Cockburn & Puterman, "Analysis of patent data:
a mixed-Poisson-regression-model approach", Journal of Business & Economic Statistics 16 (1998),
doi:10.1080/07350015.1998.10524732."""

import matplotlib.pyplot as plt
import numpy as np

from mixfast import MixtureOfExperts

companies = [  # patents, research spending as a share of sales, log of research spending in million dollars
    (42, 0.0549, 4.0869), (1, 0.0032, -2.0794), (3, 0.0078, 0.1187), (2, 0.0803, 1.8796), (3, 0.0686, 1.1033),
    (40, 3.3319, 2.0794), (60, 0.0243, 4.0953), (30, 0.0128, 2.8333), (7, 0.0252, 1.3915), (3, 0.0094, 2.6048),
    (5, 0.0146, 0.7957), (59, 0.0496, 3.5207), (26, 0.0395, 3.0001), (3, 0.078, 0.5371), (0, 0.0171, 0.7761),
    (66, 0.0347, 4.2338), (0, 0.0569, 2.2178), (8, 0.1095, 0.851), (2, 0.019, -0.1567), (4, 0.0084, 1.8358),
    (0, 0.1003, -1.6045), (0, 0.0623, 0.7071), (3, 0.0707, -0.9916), (6, 0.0359, 1.2296), (3, 0.0596, -0.531),
    (0, 0.0076, -1.231), (6, 0.0185, 0.927), (2, 0.008, -1.1332), (3, 0.064, -0.0419), (0, 0.078, -1.8326),
    (1, 0.0025, -1.8264), (1, 0.004, -0.1985), (0, 0.0329, -1.7838), (25, 0.0234, 3.5525), (2, 0.0387, -2.5639),
    (4, 0.0133, 0.4523), (1, 0.0324, 1.0529), (1, 0.0882, 1.4873), (51, 0.0587, 2.7793), (105, 0.0446, 4.7233),
    (1, 0.0131, -0.6444), (0, 0.016, -2.9565), (0, 0.0143, -0.9545), (166, 0.0843, 4.7278), (8, 0.032, 2.1831),
    (6, 0.0599, 1.5773), (173, 0.0821, 4.9152), (25, 0.0535, 3.1807), (14, 0.0226, 1.4036), (3, 0.0397, 1.0043),
    (0, 0.0103, -2.333), (0, 0.7159, -0.1815), (2, 0.0107, 0.267), (93, 0.0467, 4.4785), (3, 0.0369, 0.7105),
    (2, 0.0316, 0.2979), (0, 0.0355, -2.8647), (5, 0.0166, 2.7622), (23, 0.0417, 3.4383), (11, 0.0447, 2.5439),
    (13, 0.0401, 2.4436), (0, 0.005, -0.4125), (90, 0.0618, 3.9865), (63, 0.069, 3.962), (112, 0.0813, 4.0029),
    (115, 0.0409, 3.9051), (48, 0.0331, 3.5909), (15, 0.0323, 2.9242), (69, 0.0859, 3.1707), (4, 0.0591, 1.8089),
]  # fmt: skip
patents, share_of_sales, log_spending = np.array(companies).T
spending = np.exp(log_spending)
X, gate_X = log_spending[:, np.newaxis], share_of_sales[:, np.newaxis]

# %%
# One to four components:
for k in range(1, 5):
    tried = MixtureOfExperts(k, expert="poisson", gate="gate_X", n_init=20, random_state=0, tol=1e-8)
    tried.fit(X, patents, exposure=spending, gate_X=gate_X)
    bic = tried.bic(X, patents, exposure=spending, gate_X=gate_X)
    print(f"{k} components: BIC {bic:.1f}")
    if k == 3:
        model = tried

# %%
# Three, as the paper has. Rates and the power of spending that patents grow with:
order = np.argsort(-np.exp(model.intercept_))
for k in order:
    print(f"{model.weights_[k]:.0%} of companies: {np.exp(model.intercept_[k]):.2f} patents of the first million, "
          f"growing with spending^{1 + model.coef_[k, 0]:.2f}")  # fmt: skip
print(model.inference(X, patents, exposure=spending, gate_X=gate_X))

# %%
# Patents against spending, on logarithmic axes, where 0 patents are drawn at 0.5; expected counts are lines. Right: the
# gate, which says what kind of company one is by the share of its sales that it spends. Ticks are the companies: four
# are beyond 0.1, and what the curves do there rests on these.
label = model.labels(X, patents, exposure=spending, gate_X=gate_X)
grid = np.linspace(log_spending.min(), log_spending.max(), 200)
means = model.predict_components(grid[:, np.newaxis], exposure=np.exp(grid))
shares = np.geomspace(share_of_sales.min(), share_of_sales.max(), 200)
gate = model.predict_proba(np.zeros((200, 1)), gate_X=shares[:, np.newaxis])

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
for k, colour in zip(order, ("tab:blue", "tab:orange", "tab:green"), strict=True):
    own = label == k
    left.scatter(spending[own], np.maximum(patents[own], 0.5), s=22, color=colour, alpha=0.8, edgecolor="none")
    name = f"{1 + model.coef_[k, 0]:.2f}"
    left.plot(np.exp(grid), means[:, k], color=colour, linewidth=2, label=f"grows with spending$^{{{name}}}$")
    right.plot(shares, gate[:, k], color=colour, linewidth=2)
left.set(
    title="Experts",
    xscale="log",
    yscale="log",
    xlabel="research spending (million dollars)",
    ylabel="patents",
    ylim=(0.4, 400),
)
left.legend(loc="upper left")
right.plot(share_of_sales, np.full(70, -0.02), "|", color="0.4", markersize=8, clip_on=False)
right.set(
    title="Gate", xscale="log", xlabel="research spending as a share of sales", ylabel="probability of the component"
)
right.set_ylim(-0.05, 1)
plt.show()
