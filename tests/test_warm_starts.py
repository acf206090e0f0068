"""A warm start does not leave an emptied component without rows for ever."""

import warnings

import numpy as np
import pytest
from estimators_table import ESTIMATORS, every_likelihood

from mixfast import GaussianMixture, Status

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@every_likelihood
def test_an_emptied_component_begins_anew(name):
    entry = ESTIMATORS[name]
    model = entry.make(warm_start=True, max_iter=50).fit(entry.X)
    bound = model.lower_bound_
    model.weights_ = np.array([1.0, 0.0])
    with pytest.warns(UserWarning, match=r"Components \[1\] had lost all their rows"):
        model.fit(entry.X)
    assert np.all(model.weights_ > 0.01)
    assert not model.status_ & Status.EMPTIED_COMPONENT
    assert model.lower_bound_ > bound - 0.5


def test_the_next_frame_finds_both_clusters():
    rng = np.random.default_rng(0)
    good = np.concatenate([rng.normal(0, 1, (100, 2)), rng.normal(8, 1, (100, 2))])
    model = GaussianMixture(2, random_state=0, warm_start=True, tol=1e-8, max_iter=500).fit(good)
    means = np.sort(model.means_[:, 0])
    model.weights_ = np.array([0.0, 1.0])
    model.means_ = np.array([[4.0, 4.0], [4.0, 4.0]])
    model.covariances_ = np.array([np.eye(2), 20 * np.eye(2)])
    with pytest.warns(UserWarning, match="begin anew"):
        model.fit(good)
    np.testing.assert_allclose(np.sort(model.means_[:, 0]), means, atol=0.05)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model.fit(good)


def test_groups_begin_together():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (100, 2)), rng.normal(8, 1, (100, 2))])
    groups = np.arange(200) // 4
    model = GaussianMixture(2, random_state=0, warm_start=True).fit(X, groups=groups)
    model.weights_ = np.array([0.0, 1.0])
    with pytest.warns(UserWarning, match="begin anew"):
        model.fit(X, groups=groups)
    np.testing.assert_allclose(model.weights_, 0.5, atol=0.01)
