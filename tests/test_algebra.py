"""Statistics are additive: what threads, chunks, weights and, one day, machines rest on."""

import numpy as np
import pytest
from twins import EVERY_FAMILY, FAMILIES, make_em, random_weights

from mixfast.engine._isa import available_isas


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
    assert_same((one + two + three for one, two, three in zip(*parts, strict=True)), whole)


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", EVERY_FAMILY)
def test_an_m_step_on_what_was_gathered_is_a_step(name, dtype, isa):
    """Also where it was gathered by the kernels of another instruction set: the layout is the same."""
    rng = np.random.default_rng(5)
    twins = EVERY_FAMILY[name]
    if dtype not in twins.compiled.dtypes:  # computed in float64 whatever the rows are
        return
    X, weights = twins.make_rows(rng, 1501, 3).astype(dtype), random_weights(rng, 4)
    params = twins.make_params(rng, 4, 3)
    gathered = make_em(twins, X, weights, params, isa=isa).gather()
    em, usual = make_em(twins, X, weights, params), make_em(twins, X, weights, params)
    log_prior = em.maximise(gathered.counts, gathered.stats, 1.0)
    rtol = 1e-10 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose((gathered.evidence + log_prior) / len(X), usual.step(), rtol=rtol)
    assert em.status == usual.status
    for got, wanted in zip(em.state(), usual.state(), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=rtol, atol=rtol * np.max(np.abs(wanted)))


@pytest.mark.parametrize("name", FAMILIES)
def test_an_integer_weight_equals_repeating_the_row(name):
    rng, twins, X, weights, params = setting(name)
    repeats = rng.integers(0, 4, len(X))
    weighted = make_em(twins, X, weights, params, repeats.astype(float)).gather()
    repeated = make_em(twins, np.repeat(X, repeats, axis=0), weights, params).gather()
    assert_same(weighted, repeated)


@pytest.mark.parametrize("scale", [1e-200, 0.01, 1000.0])
@pytest.mark.parametrize("name", EVERY_FAMILY)
def test_weights_need_not_sum_to_one(name, scale):
    """The log density of each row moves by the logarithm of what they sum to, and nothing else does."""
    rng = np.random.default_rng(6)
    twins = EVERY_FAMILY[name]
    X, weights, params = twins.make_rows(rng, 701, 3), random_weights(rng, 4), twins.make_params(rng, 4, 3)
    usual, scaled = (make_em(twins, X, factor * weights, params).gather() for factor in (1, scale))
    rtol = 1e-12 * max(1, abs(np.log(scale)))  # of log densities that are so much larger
    np.testing.assert_allclose(scaled.evidence, usual.evidence + len(X) * np.log(scale), rtol=rtol)
    for got, wanted in zip(scaled[2:], usual[2:], strict=True):
        np.testing.assert_allclose(got, wanted, rtol=rtol, atol=rtol * np.max(np.abs(wanted), initial=0))


@pytest.mark.parametrize("name", EVERY_FAMILY)
def test_where_no_component_has_a_weight_every_row_is_impossible(name):
    rng = np.random.default_rng(6)
    twins = EVERY_FAMILY[name]
    X, params = twins.make_rows(rng, 101, 3), twins.make_params(rng, 4, 3)
    gathered = make_em(twins, X, np.zeros(4), params).gather()
    assert gathered.n_impossible == len(X)
    np.testing.assert_allclose(gathered.counts, len(X) / 4)
    assert np.all(np.isfinite(gathered.stats))


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
