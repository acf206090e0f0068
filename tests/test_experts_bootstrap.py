"""bootstrap_lrt of mixtures of experts: rows stay, responses are drawn anew."""

import numpy as np
import pytest

from mixfast import MixtureOfExperts, bootstrap_lrt
from mixfast.row_data import rows_with, separated

RNG = np.random.default_rng(3)
N = 120
X = RNG.uniform(0, 4, size=(N, 1))
SIDE = np.arange(N) % 2
Y = np.where(SIDE, 3 * X[:, 0], 10 - X[:, 0]) + RNG.normal(scale=0.7, size=N)


def test_two_regressions_are_found_and_a_third_is_not():
    one = bootstrap_lrt(X, MixtureOfExperts(n_init=3), 1, n_bootstrap=19, random_state=0, y=Y)
    assert one.p_value == 1 / 20
    two = bootstrap_lrt(X, MixtureOfExperts(n_init=3), 2, n_bootstrap=19, random_state=0, y=Y)
    assert two.p_value > 0.1
    likelihoods = [model.score_samples(X, Y).sum() for model in (one.null, one.alternative)]
    assert one.statistic == pytest.approx(2 * (likelihoods[1] - likelihoods[0]))


def counts(n):
    wins = RNG.binomial(5, np.where(SIDE, 0.2, 0.8))
    return {
        "poisson": RNG.poisson(np.exp(1 + X[:, 0] / 4)),
        "binomial": np.column_stack([wins, 5 - wins]),
        "bernoulli": wins > 2,
        "multinomial": np.array(["a", "b", "c"])[RNG.integers(3, size=N)],
    }[n]


# two components of labels that say nothing tell some of these apart
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ["poisson", "binomial", "bernoulli", "multinomial"])
def test_drawn_responses_are_in_the_domain(name):
    y, expert = counts(name), {"bernoulli": "binomial"}.get(name, name)
    data = {"exposure": np.full(N, 2.0)} if name == "poisson" else {}
    model = MixtureOfExperts(2, expert=expert, random_state=0).fit(X, y, **data)
    rows, drawn = separated(model._redrawing(rows_with(X, {"y": y, **data}))(np.random.RandomState(0)))
    assert rows is X
    own = drawn.pop("y")
    assert list(drawn) == list(data)
    again = MixtureOfExperts(1, expert=expert).fit(X, own, **data)
    means = again.predict(X, **data).reshape(N, -1)[:, 0]
    wanted = model.predict(X, **data).reshape(N, -1)[:, 0]
    assert abs(means.mean() - wanted.mean()) < 0.2 * max(1, wanted.mean())
    if name == "binomial":
        np.testing.assert_array_equal(own.sum(axis=1), 5)


def test_rows_of_a_group_have_one_component():
    group = np.arange(N) // 6
    y = np.where(group % 2, 50.0, 0.0) + RNG.normal(size=N)
    model = MixtureOfExperts(2, random_state=0).fit(X, y, groups=group)
    _, drawn = separated(model._redrawing(rows_with(X, {"y": y, "groups": group}))(np.random.RandomState(0)))
    is_high = (drawn["y"] > 25).reshape(-1, 6)
    np.testing.assert_array_equal(is_high, np.repeat(is_high[:, :1], 6, axis=1))
    assert 0 < is_high.mean() < 1
    test = bootstrap_lrt(X, MixtureOfExperts(n_init=2), 1, n_bootstrap=9, random_state=0, y=y, groups=group)
    assert test.p_value == 0.1
