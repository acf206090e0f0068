"""Use an installed mixfast as a user would: fit, predict, sample."""

import numpy as np

import mixfast

rng = np.random.default_rng(0)
X = np.concatenate([rng.normal(-4, 1, (500, 2)), rng.normal(4, 1, (500, 2))])
model = mixfast.GaussianMixture(2, random_state=0).fit(X)
labels = model.predict(X)
assert len(set(labels[:500])) == len(set(labels[500:])) == 1
assert labels[0] != labels[-1]
assert model.sample(10, random_state=0)[0].shape == (10, 2)
mixfast.show_config()
