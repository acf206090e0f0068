"""Statistics are additive: what threads, chunks, weights and, one day, machines rest on."""

import numpy as np
import pytest
from twins import FAMILIES, make_em, random_weights


def setting(name, n_rows=1501, n_components=4, n_features=3):
    rng = np.random.default_rng(5)
    twins = FAMILIES[name]
    X = twins.make_rows(rng, n_rows, n_features)
    return rng, twins, X, random_weights(rng, n_components), twins.make_params(rng, n_components, n_features)


def assert_same(left, right):
    for got, wanted in zip(left, right, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12 * np.max(np.abs(wanted)))


@pytest.mark.parametrize("name", FAMILIES)
def test_statistics_of_parts_add_up_to_those_of_the_whole(name):
    _, twins, X, weights, params = setting(name)
    whole = make_em(twins, X, weights, params).gather()
    parts = [make_em(twins, part, weights, params).gather() for part in (X[:1], X[1:700], X[700:])]
    assert_same(parts[0] + parts[1] + parts[2], whole)


@pytest.mark.parametrize("name", FAMILIES)
def test_statistics_of_different_parameters_are_never_added(name):
    rng, twins, X, weights, params = setting(name)
    em = make_em(twins, X, weights, params)
    first = em.gather()
    em.step()
    with pytest.raises(ValueError, match="statistics of different parameters cannot be added"):
        first + em.gather()
    with pytest.raises(ValueError, match="statistics of different parameters cannot be added"):
        first + make_em(twins, X, rng.permutation(weights), params).gather()


@pytest.mark.parametrize("name", FAMILIES)
def test_an_integer_weight_equals_repeating_the_row(name):
    rng, twins, X, weights, params = setting(name)
    repeats = rng.integers(0, 4, len(X))
    weighted = make_em(twins, X, weights, params, repeats.astype(float)).gather()
    repeated = make_em(twins, np.repeat(X, repeats, axis=0), weights, params).gather()
    assert_same(weighted, repeated)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_order_of_rows_does_not_matter(name):
    rng, twins, X, weights, params = setting(name)
    assert_same(
        make_em(twins, X[rng.permutation(len(X))], weights, params).gather(),
        make_em(twins, X, weights, params).gather(),
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_permuting_the_components_permutes_what_comes_out(name):
    rng, twins, X, weights, params = setting(name)
    order = rng.permutation(4)
    shapes = [np.shape(array) for array in params]
    permuted = params._replace(
        **{
            field: array[order] if shape[0] == 4 else array
            for field, array, shape in zip(params._fields, params, shapes, strict=True)
        }
    )
    layout = twins.compiled.params_layout(4, 3)
    usual, other = make_em(twins, X, weights, params), make_em(twins, X, weights[order], permuted)
    np.testing.assert_allclose(other.step(), usual.step(), rtol=1e-13)
    np.testing.assert_allclose(other.state()[0], usual.state()[0][order], rtol=1e-12)
    for got, wanted in zip(layout.view(other.state()[1]), layout.view(usual.state()[1]), strict=True):
        np.testing.assert_allclose(got, wanted[order] if len(wanted) == 4 else wanted, rtol=1e-10, atol=1e-10)
