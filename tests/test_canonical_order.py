"""Components are numbered by where they are, whatever their numbers were where EM started."""

import itertools

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from twins import CELL_FAMILIES, DTYPES, EVERY_FAMILY, FAMILIES, random_weights

from mixfast import BernoulliMixture, GaussianMixture, StudentTMixture

RNG = np.random.default_rng(0)
LABELS = np.arange(600) % 3
# as many columns as components, so that a shared covariance (d, d) looks like an array of components
# the groups are numbered from the last to the first
ROWS = RNG.normal(size=(600, 3)) * [1, 2, 3] + np.array([[4.0, 0, 0], [0, 5, 0], [-3, 0, 6]])[LABELS]
PROBABILITIES = np.array([[0.9, 0.2, 0.8, 0.5, 0.1], [0.5, 0.8, 0.1, 0.9, 0.4], [0.1, 0.3, 0.4, 0.2, 0.9]])
BITS = (RNG.uniform(size=(600, 5)) < PROBABILITIES[LABELS]).astype(float)
MODELS = {
    **{name: (GaussianMixture, {"covariance_type": name}, ROWS) for name in ("full", "tied", "diag", "spherical")},
    "heavy full": (StudentTMixture, {}, ROWS),
    "heavy tied": (StudentTMixture, {"covariance_type": "tied", "degrees_of_freedom": "shared"}, ROWS),
    "bernoulli": (BernoulliMixture, {}, BITS),
}
every_model = pytest.mark.parametrize("name", MODELS)


def parameters(model):
    names = (
        "weights_",
        "means_",
        "covariances_",
        "precisions_",
        "precisions_cholesky_",
        "degrees_of_freedom_",
        "probabilities_",
    )
    return {name: getattr(model, name) for name in names if hasattr(model, name)}


def location(model):
    return model.probabilities_ if isinstance(model, BernoulliMixture) else model.means_


@pytest.mark.filterwarnings("ignore:Best performing initialization did not converge")
@every_model
@pytest.mark.parametrize("dtype", DTYPES)
def test_any_permutation_of_the_start_gives_the_same_components_in_the_same_order(name, dtype):
    mixture, options, X = MODELS[name]
    X = X.astype(dtype)
    fits = [
        mixture(3, init_params=np.array(numbers)[LABELS], tol=0, max_iter=20, canonical_order=True, **options).fit(X)
        for numbers in itertools.permutations(range(3))
    ]
    # sums over the components are taken in another order; what that rounds, twenty iterations spread
    rtol = 1e-9 if dtype == np.float64 else 1e-5
    for fit in fits:
        for parameter, values in parameters(fits[0]).items():
            np.testing.assert_allclose(parameters(fit)[parameter], values, rtol=rtol, atol=rtol, err_msg=parameter)
        np.testing.assert_array_equal(fit.predict(X), fits[0].predict(X))
        assert list(location(fit)[:, 0]) == sorted(location(fit)[:, 0])


@every_model
def test_only_the_numbers_of_the_components_change(name):
    mixture, options, X = MODELS[name]
    plain, ordered = (
        mixture(3, init_params=LABELS, canonical_order=canonical_order, **options).fit(X)
        for canonical_order in (False, True)
    )
    order = np.argsort(location(plain)[:, 0])
    assert list(order) == [2, 1, 0]
    assert ordered.lower_bounds_ == plain.lower_bounds_
    for parameter, values in parameters(plain).items():
        shared = options.get("covariance_type") == "tied" and parameter in (
            "covariances_",
            "precisions_",
            "precisions_cholesky_",
        )
        np.testing.assert_array_equal(parameters(ordered)[parameter], values if shared else values[order], parameter)
    np.testing.assert_array_equal(order[ordered.predict(X)], plain.predict(X))
    # densities are sums over the components, in another order
    np.testing.assert_allclose(ordered.predict_proba(X), plain.predict_proba(X)[:, order], rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(ordered.score_samples(X), plain.score_samples(X), rtol=1e-12)


@every_model
def test_a_warm_start_goes_on_from_the_components_in_their_order(name):
    mixture, options, X = MODELS[name]
    options = {**options, "init_params": LABELS, "tol": 1e-6, "canonical_order": True}
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        model = mixture(3, max_iter=2, warm_start=True, **options).fit(X)
    model.set_params(max_iter=1000).fit(X)
    whole = mixture(3, max_iter=1000, **options).fit(X)
    assert model.n_iter_ == whole.n_iter_ - 2
    for parameter, values in parameters(whole).items():
        np.testing.assert_allclose(parameters(model)[parameter], values, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", FAMILIES | CELL_FAMILIES)
def test_a_family_orders_by_the_first_column_and_equals_by_the_next(name):
    family, params = EVERY_FAMILY[name].compiled, EVERY_FAMILY[name].make_params(np.random.default_rng(1), 4, 4)
    params[0][:] = 0  # a family may have more numbers than columns
    params[0][:, :4] = [[2, 0, 0, 1], [1, 5, 0, 0], [2, 0, 0, 0], [1, 4, 9, 9]]
    assert list(family.canonical_order(params)) == [3, 1, 2, 0]
    np.testing.assert_array_equal(family.reorder(params, [3, 1, 2, 0])[0], params[0][[3, 1, 2, 0]])
    params[0][:] = 1
    assert list(family.canonical_order(params)) == [0, 1, 2, 3]


@pytest.mark.parametrize("n_features", [1, 3, 4])
@pytest.mark.parametrize("name", EVERY_FAMILY)
def test_reordering_twice_comes_back_and_keeps_what_is_shared(name, n_features):
    rng = np.random.default_rng(2)
    family, params = EVERY_FAMILY[name].compiled, EVERY_FAMILY[name].make_params(rng, 4, n_features)
    order = np.array([2, 0, 3, 1])
    there = family.reorder(params, order)
    back = family.reorder(there, np.argsort(order))
    for shared, moved, same, array in zip(EVERY_FAMILY[name].is_shared(), there, back, params, strict=True):
        np.testing.assert_array_equal(moved, array if shared else array[order])
        np.testing.assert_array_equal(same, array)


@pytest.mark.parametrize("name", EVERY_FAMILY)
def test_a_packed_buffer_is_reordered_by_its_layout(name):
    rng = np.random.default_rng(3)
    twins = EVERY_FAMILY[name]
    family, X, weights = twins.compiled, twins.make_rows(rng, 300, 3), random_weights(rng, 3)
    layout = family.params_layout(3, 3)
    buffer = layout.pack(twins.make_params(rng, 3, 3))
    record = layout.view(buffer)
    order = family.canonical_order(record)
    moved = layout.view(layout.pack(family.reorder(record, order)))
    assert list(family.canonical_order(moved)) == [0, 1, 2]
    rows = [twins.reference.log_density(X, params) for params in (record, moved)]
    np.testing.assert_array_equal(rows[1], rows[0][:, order])
    assert weights[order].sum() == pytest.approx(1)
