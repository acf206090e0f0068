"""Laws of every public estimator, over the table of them."""

import numpy as np
from estimators_table import ESTIMATORS, every_estimator, log_density, public_estimators


def test_the_table_has_every_public_estimator():
    assert {type(entry.make()) for entry in ESTIMATORS.values()} == public_estimators()


@every_estimator
def test_log_densities_are_scipys(name):
    entry = ESTIMATORS[name]
    model = entry.make().fit(entry.X)
    np.testing.assert_allclose(model.score_samples(entry.X), log_density(entry, model, entry.X), rtol=1e-10)
