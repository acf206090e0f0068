"""Variational Bayes in the engine: posteriors as families, posteriors of weights as proportions."""

import numpy as np
import pytest
from sklearn.datasets import load_iris

from mixfast._em import EM
from mixfast.engine._rows import Rows
from mixfast.families.posteriors import POSTERIORS
from mixfast.proportions._dirichlet_posterior import DirichletPosterior
from mixfast.proportions._sticks import Sticks


def begun(X, labels, family, proportions, n_components):
    n_features = X.shape[1]
    em = EM(family.bind(n_components, n_features, X.dtype), Rows(X), 1, None, proportions)
    em.set_state(np.ones(n_components), family.located(np.zeros((n_components, n_features))))
    em.start_from_labels(labels)
    return em


# Bounds of iris from its species, after five steps and at the fixed point, with kappa0 = 1, nu0 = 4, the mean and the
# covariance of all rows; the exact bound of the responsibilities at which scikit-learn 1.9.1 ends is the same to 1e-8.
@pytest.mark.parametrize(
    ("proportions", "after_five", "at_the_end"),
    [
        (Sticks(1 / 3), -339.34338881546796, -337.63196820453777),
        (DirichletPosterior(1 / 3), -337.48405818013464, -334.836513522071),
    ],
)
def test_iris(proportions, after_five, at_the_end):
    iris = load_iris()
    em = begun(iris.data, iris.target.astype(np.int64), POSTERIORS["full"](1.0, 4.0), proportions, 3)
    bounds, converged = em.iterate(1000, 1e-11)
    assert converged
    np.testing.assert_allclose(bounds[4], after_five, rtol=0, atol=1e-8)
    np.testing.assert_allclose(bounds[-1], at_the_end, rtol=0, atol=1e-8)
    assert np.all(np.diff(bounds) > -1e-9)
