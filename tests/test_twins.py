"""Every compiled kernel against its NumPy twin: families x precisions x instruction sets x shapes."""

from itertools import product

import numpy as np
import pytest
from test_family_struct import struct_in
from twins import (
    EVERY_FAMILY,
    FAMILIES,
    FIXED_COLUMNS,
    HOLED,
    ISAS,
    NOISY,
    flat,
    make_em,
    precisions_of,
    random_weights,
)

from mixfast._reference import em as reference
from mixfast.engine._predictions import evaluate

# float64 rows: 1e-12 of the size of the whole array, by the rule. float32 rows are computed in float32, whose rounding
# is 6e-8: a log density of some hundreds carries an absolute error of 1e-5, so responsibilities one of 1e-5 to 1e-4.
TOLERANCE = {np.float64: 1e-12, np.float32: 2e-4}


def assert_close(actual, expected, dtype, condition=1.0, least=1e-300):
    """`condition` is by how much the computation magnifies rounding, `least` the size of what is summed up."""
    expected = np.asarray(expected, dtype=float)
    tolerance = max(TOLERANCE[dtype], 10 * np.finfo(float).eps * condition) * np.max(np.abs(expected), initial=least)
    assert np.max(np.abs(np.asarray(actual) - expected), initial=0) <= tolerance


def row_numbers(chunk, n_components, n_features):
    """0, 1, about one chunk, and many chunks with a ragged tail, enough for well-conditioned covariances."""
    many = max(11, 20 * n_components * n_features // chunk + 1)
    if n_components * n_features > 1000:  # the twin would take seconds; the M-step is compared at the smaller ones
        many = 3
    return 0, 1, chunk - 1, chunk, chunk + 1, many * chunk + 7


TABLE = EVERY_FAMILY | FIXED_COLUMNS | NOISY | HOLED
SHAPES = [
    (name, dtype, n_components, n_features)
    for name, dtype in precisions_of(TABLE)
    for n_components in TABLE[name].numbers
    for n_features in TABLE[name].widths
]


@pytest.mark.parametrize(("name", "dtype", "n_components", "n_features"), SHAPES)
def test_a_pass_and_an_m_step_equal_the_twins(name, n_components, n_features, dtype):
    """In every instruction set and layout of the rows: the twin, which takes the time, is asked once for all."""
    rng = np.random.default_rng([n_components, n_features])
    twins = TABLE[name]
    weights = random_weights(rng, n_components)
    params = twins.make_params(rng, n_components, n_features)
    many_rows = np.tile(twins.make_rows(rng, 1, n_features).astype(dtype), (4800, 1))  # which fill their chunks
    chunk = make_em(twins, many_rows, weights, params).chunk_rows
    for n_rows in row_numbers(chunk, n_components, n_features):
        X = twins.make_rows(rng, n_rows, n_features).astype(dtype)
        sample_weight = rng.integers(0, 3, n_rows).astype(float) if n_rows % 2 else None
        expected = reference.gather(X.astype(float), sample_weight, weights, twins.reference, params)
        for isa, form in product(ISAS, twins.forms().values()):
            em = make_em(twins, form(X), weights, params, sample_weight, isa=isa)
            assert_same_step(em, twins, weights, params, expected, n_rows, n_features, dtype)


def assert_same_step(em, twins, weights, params, expected, n_rows, n_features, dtype):
    """A pass of the engine, and the parameters that it leads to, are those of the twin."""
    evidence, n_impossible, counts, stats, _ = em.gather()
    assert_close(evidence, expected.evidence, dtype, least=1e-3 * n_rows)  # one word has probability one
    assert n_impossible == expected.n_impossible == 0
    assert_close(counts, expected.counts, dtype)
    stats = _split(stats, expected.stats)
    for got, wanted in zip(stats, expected.stats, strict=True):
        assert_close(got, wanted, dtype)
    # components with parameters, and enough rows for a well-conditioned covariance
    full = counts[: twins.compiled.n_begun(len(counts))] > 20 * n_features
    if n_rows <= 20 * n_features or not np.any(full):
        return
    em.step()
    # of the engine's sums; but of the twin's where a step magnifies what is left of their difference
    own = expected if twins.step_rtol else expected._replace(counts=counts, stats=stats)
    new_weights, new_params = reference.maximise(own, weights, twins.reference, params)
    assert_close(em.state()[0], new_weights, dtype)
    got_params = twins.compiled.params_layout(len(weights), n_features).view(em.state()[1])
    condition = 1
    for got, wanted, is_shared, is_matrix in zip(
        got_params, new_params, twins.is_shared(), twins.are_matrices(), strict=True
    ):
        which = slice(None) if is_shared else full
        if twins.step_rtol:
            np.testing.assert_allclose(got[which], wanted[which], rtol=twins.step_rtol[dtype])
            continue
        # a triangular factor of an inverse, which follows the matrices, magnifies rounding by their condition
        assert_close(got[which], wanted[which], dtype, condition if is_matrix else 1)
        condition = np.max(np.linalg.cond(wanted[which])) if is_matrix and condition == 1 else 1


def _split(buffer, arrays):
    """The flat buffer in the shapes of the twin's arrays."""
    sizes = [np.size(array) for array in arrays]
    assert len(buffer) == sum(sizes)
    pieces = np.split(buffer, np.cumsum(sizes)[:-1])
    return tuple(piece.reshape(np.shape(array)) for piece, array in zip(pieces, arrays, strict=True))


@pytest.mark.parametrize(
    ("name", "dtype", "n_components"),
    [(name, dtype, number) for name, dtype in precisions_of(TABLE) for number in TABLE[name].numbers],
)
def test_predictions_equal_the_twins(name, n_components, dtype):
    rng = np.random.default_rng(n_components)
    twins = TABLE[name]
    n_features = 5 if 5 in twins.widths else twins.widths[0]
    X = twins.make_rows(rng, 1111, n_features).astype(dtype)
    weights, params = random_weights(rng, n_components), twins.make_params(rng, n_components, n_features)
    expected_resp, expected_log_norm = reference.share_softly(
        reference.weighted_log_density(X.astype(float), np.log(weights), twins.reference, params)
    )
    clear = np.sort(expected_resp, axis=1)
    clear = clear[:, -1] - (clear[:, -2] if n_components > 1 else 0) > 1e-3
    log_norm, largest = np.empty(1111, dtype), np.empty(1111, dtype)
    resp, labels, hard = np.empty((1111, n_components), dtype), np.empty(1111, np.int64), np.empty(1111, np.int64)
    for isa, form in product(ISAS, twins.forms().values()):
        em = make_em(twins, form(X), weights, params, isa=isa)
        assert evaluate(em, log_norm=log_norm, labels=labels, resp=resp, largest=largest) == 0
        assert evaluate(em, classify=True, labels=hard) == 0
        assert_close(log_norm, expected_log_norm, dtype)
        assert_close(resp, expected_resp, dtype)
        np.testing.assert_array_equal(labels[clear], expected_resp.argmax(axis=1)[clear])
        np.testing.assert_array_equal(labels, hard)
        np.testing.assert_array_equal(largest, resp.max(axis=1))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_start_from_responsibilities_or_labels_equals_the_twins(name):
    rng = np.random.default_rng(1)
    twins = FAMILIES[name]
    X = twins.make_rows(rng, 777, 3)
    sample_weight = rng.uniform(0.5, 2, 777)
    labels = rng.integers(-1, 4, 777)
    known = (labels[:, np.newaxis] == np.arange(4)).astype(float)
    soft = rng.uniform(size=(777, 4))
    layout = twins.compiled.params_layout(4, 3)
    uniform = np.full(4, 0.25)
    blank = twins.compiled.blank(4, 3)
    if struct_in(twins.compiled.encode(X).bind(4, np.float64)).starts_inside:
        known = reference.shared(known, sample_weight)
    for resp, begin in (
        (known, lambda em: em.start_from_labels(labels)),
        (soft, lambda em: em.start_from_responsibilities(soft)),
    ):
        em = make_em(twins, X, uniform, layout.view(blank), sample_weight)
        begin(em)
        weights, params = reference.start(
            X, sample_weight[:, np.newaxis] * resp, uniform, twins.reference, tuple(layout.view(blank))
        )
        assert_close(em.state()[0], weights, np.float64)
        assert_close(em.state()[1], flat(params), np.float64)


def test_a_wrong_kernel_would_be_seen():
    """The comparison fails for a twin that is off by a part in a hundred million."""
    rng = np.random.default_rng(2)
    twins = FAMILIES["full"]
    X = twins.make_rows(rng, 500, 3)
    weights, params = random_weights(rng, 2), twins.make_params(rng, 2, 3)
    evidence = make_em(twins, X, weights, params).gather()[0]
    wrong = params._replace(precisions_cholesky=params.precisions_cholesky * (1 + 1e-8))
    with pytest.raises(AssertionError):
        assert_close(evidence, reference.gather(X, None, weights, twins.reference, wrong).evidence, np.float64)
