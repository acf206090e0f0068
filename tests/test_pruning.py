"""Leaving out what is zero changes nothing but the order of sums."""

import numpy as np
import pytest
from twins import FAMILIES, ISAS, make_em

from mixfast import Status
from mixfast.engine._predictions import evaluate

N_COMPONENTS, N_FEATURES = 64, 6
GAUSSIANS = ["full", "diagonal", "spherical", "tied"]


def separated(name, n_rows=12_000, spread=8.0, seed=0):
    """Rows of groups that are far apart, a start near them, and weights of the rows."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(N_COMPONENTS, size=n_rows)
    if name == "bernoulli":
        n_features = 300
        centres = np.where(rng.uniform(size=(N_COMPONENTS, n_features)) < 0.5, 0.05, 0.95)
        X = (rng.uniform(size=(n_rows, n_features)) < centres[labels]).astype(float)
        params = (0.8 * centres + 0.1,)
    else:
        centres = spread * rng.standard_normal((N_COMPONENTS, N_FEATURES))
        X = centres[labels] + rng.standard_normal((n_rows, N_FEATURES)) * rng.uniform(0.5, 1, N_FEATURES)
        template = FAMILIES[name].make_params(rng, N_COMPONENTS, N_FEATURES)
        params = (centres + 0.5 * rng.standard_normal(centres.shape), *template[1:])
    weights = rng.uniform(0.5, 2, N_COMPONENTS)
    return X, weights / weights.sum(), params, rng.uniform(0.2, 3, n_rows)


def touching(n_rows=6_000, n_components=24, n_features=40, spread=1.1, seed=0):
    """Rows of groups that are near each other in many columns: no chunk can do without a component's densities, but
    most rows give most components nothing."""
    rng = np.random.default_rng(seed)
    centres = spread * rng.standard_normal((n_components, n_features))
    X = centres[rng.integers(n_components, size=n_rows)] + rng.standard_normal((n_rows, n_features))
    unit = np.tile(np.eye(n_features), (n_components, 1, 1))
    weights = rng.uniform(0.5, 2, n_components)
    params = centres + 0.1 * rng.standard_normal(centres.shape), unit, unit
    return X, weights / weights.sum(), params, rng.uniform(0.2, 3, n_rows)


def assert_statistics_alone_were_left_out(work):
    assert np.all(work[:, 0] == 1)
    assert np.all(work[1:, 1] < 0.4)


def both(name, X, weights, params, sample_weight=None, n_steps=14, **options):
    """(pruned, dense) engines after n_steps, with their objectives and the shares of work of the pruned one."""
    engines = [make_em(FAMILIES[name], X, weights, params, sample_weight, **options) for _ in range(2)]
    engines[1].prunes = False
    objectives, work = ([], []), []
    for _ in range(n_steps):
        for em, values in zip(engines, objectives, strict=True):
            values.append(em.step())
        work.append(engines[0].work)
    return engines, np.array(objectives), np.array(work)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", [*GAUSSIANS, "bernoulli"])
def test_the_pruned_fit_equals_the_dense_one(name, weighted):
    X, weights, params, sample_weight = separated(name)
    (pruned, dense), objectives, work = both(name, X, weights, params, sample_weight if weighted else None)
    assert work[-1, 1] < 0.5  # or nothing was tested
    if name in GAUSSIANS:
        assert work[-1, 0] < 0.5
    assert np.max(np.abs(objectives[0] / objectives[1] - 1)) < 1e-13
    for own, wanted in zip(pruned.state(), dense.state(), strict=True):
        assert np.max(np.abs(own - wanted)) < 1e-12 * np.max(np.abs(wanted))


@pytest.mark.parametrize("name", ["full", "diagonal"])
def test_float32(name):
    X, weights, params, _ = separated(name)
    (pruned, dense), objectives, work = both(name, X.astype(np.float32), weights, params)
    assert np.all(work[-1] < 0.5)
    # both sum floats in another order
    assert np.max(np.abs(objectives[0] / objectives[1] - 1)) < 1e-6
    for own, wanted in zip(pruned.state(), dense.state(), strict=True):
        assert np.max(np.abs(own - wanted)) < 1e-5 * np.max(np.abs(wanted))


@pytest.mark.parametrize("name", ["full", "tied", "bernoulli"])
def test_the_same_bits_for_any_number_of_threads(name):
    X, weights, params, sample_weight = separated(name, n_rows=20_000)
    engines = [make_em(FAMILIES[name], X, weights, params, sample_weight, n_threads=n) for n in (1, 2, 3, 7)]
    for _ in range(8):
        objectives = {em.step() for em in engines}
        assert len(objectives) == 1
    assert engines[0].work[1] < 0.5
    for em in engines[1:]:
        for own, wanted in zip(em.state(), engines[0].state(), strict=True):
            assert np.array_equal(own, wanted)


def test_switched_off_where_it_does_not_pay():
    X, weights, params, _ = separated("full", spread=0.5)
    (pruned, dense), objectives, work = both("full", X, weights, params)
    assert np.all(work == 1)
    assert np.array_equal(objectives[0], objectives[1])
    assert all(np.array_equal(*pair) for pair in zip(pruned.state(), dense.state(), strict=True))


def test_switched_off_again_when_components_grow_together():
    # groups on top of each other, and a start that takes them for far apart
    rng = np.random.default_rng(0)
    X = rng.standard_normal((12_000, 4))
    means = X[:N_COMPONENTS].copy()
    narrow = 1e-4 * np.tile(np.eye(4), (N_COMPONENTS, 1, 1))
    params = means, narrow, np.linalg.inv(np.sqrt(narrow))
    weights = np.full(N_COMPONENTS, 1 / N_COMPONENTS)
    _, objectives, work = both("full", X, weights, params, n_steps=40)
    assert np.any(work[1:10] < 1)
    assert np.all(work[-1] == 1)
    assert np.max(np.abs(objectives[0] / objectives[1] - 1)) < 1e-12


def test_a_component_that_all_but_vanishes_keeps_its_exact_little_share():
    # nine narrow groups, and a wide component over all that loses its rows to them: 60 digits of its weight in a pass
    rng = np.random.default_rng(0)
    centres = 14 * rng.standard_normal((9, 64))
    X = centres[rng.integers(9, size=6000)] + rng.standard_normal((6000, 64))
    means = np.vstack([centres, X.mean(axis=0)])
    variances = np.full(means.shape, 100.0)
    weights = np.append(np.exp(-((centres - means[-1]) ** 2).sum(axis=1) / 200), 1.0)
    weights /= weights.sum()
    params = means, variances, 1 / np.sqrt(variances)
    (pruned, dense), _, _ = both("diagonal", X, weights, params, n_steps=3)
    assert 0 < dense.state()[0][-1] < 1e-50
    assert pruned.state()[0][-1] == pytest.approx(dense.state()[0][-1], rel=1e-9)
    for _ in range(6):  # and it comes back, for a single row
        assert pruned.step() == pytest.approx(dense.step(), rel=1e-13)
    assert dense.state()[0][-1] > 1e-5
    assert pruned.status == dense.status == Status.SPURIOUS_COMPONENT  # that single row's
    assert pruned.work[0] < 0.5


def test_many_columns_on_several_threads():
    # enough for the bounds and the factors of components to be shared among threads
    rng = np.random.default_rng(0)
    centres = 3 * rng.standard_normal((40, 70))
    X = centres[rng.integers(40, size=6000)] + rng.standard_normal((6000, 70))
    unit = np.tile(np.eye(70), (40, 1, 1))
    weights, params = np.full(40, 1 / 40), (centres, unit, unit)
    engines = [make_em(FAMILIES["full"], X, weights, params, n_threads=n) for n in (1, 4)]
    dense = make_em(FAMILIES["full"], X, weights, params)
    dense.prunes = False
    for _ in range(6):
        objective = dense.step()
        assert engines[0].step() == engines[1].step() == pytest.approx(objective, rel=1e-13)
    assert engines[0].work[0] < 0.5
    assert np.array_equal(engines[0].state()[1], engines[1].state()[1])


@pytest.mark.parametrize("chunk_rows", [1, 5, 97, 1000])
def test_any_size_of_chunks(chunk_rows):
    X, weights, params, _ = separated("full")
    (_, _), objectives, work = both("full", X, weights, params, chunk_rows=chunk_rows, n_steps=8)
    assert np.any(work < 1)
    assert np.max(np.abs(objectives[0] / objectives[1] - 1)) < 1e-13


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", GAUSSIANS)
def test_every_instruction_set(name, isa):
    X, weights, params, _ = separated(name)
    _, objectives, work = both(name, X, weights, params, n_steps=8, isa=isa)
    assert work[-1, 1] < 0.5
    assert np.max(np.abs(objectives[0] / objectives[1] - 1)) < 1e-13


def test_rows_on_disk_are_read_as_they_lie(tmp_path):
    X, weights, params, _ = separated("full")
    on_disk = np.memmap(tmp_path / "X", X.dtype, "w+", shape=X.shape)
    on_disk[:] = X
    assert not make_em(FAMILIES["full"], on_disk, weights, params).prunes
    assert make_em(FAMILIES["full"], X, weights, params).prunes


def test_a_component_without_weight_is_left_out():
    X, weights, params, _ = separated("full")
    weights = weights.copy()
    weights[5] = 0
    weights /= weights.sum()
    (pruned, dense), objectives, work = both("full", X, weights, params)
    assert work[-1, 1] < 0.5
    assert np.max(np.abs(objectives[0] / objectives[1] - 1)) < 1e-13
    assert pruned.state()[0][5] == dense.state()[0][5] == 0


def test_rows_of_next_to_no_weight():
    X, weights, params, sample_weight = separated("full")
    sample_weight[::3] *= 1e-25
    sample_weight[:700] = 1e-28
    _, objectives, work = both("full", X, weights, params, sample_weight)
    assert work[-1, 1] < 0.5
    assert np.max(np.abs(objectives[0] / objectives[1] - 1)) < 1e-13


def test_rows_come_back_in_their_own_order():
    X, weights, params, _ = separated("full")
    (pruned, dense), _, work = both("full", X, weights, params)
    assert work[-1, 1] < 0.5
    labels = [np.empty(len(X), dtype=np.int64) for _ in range(2)]
    for em, own in zip((pruned, dense), labels, strict=True):
        evaluate(em, labels=own)
    assert np.array_equal(*labels)
    objective = pruned.step()  # and the fit goes on in its own order
    assert objective == pytest.approx(dense.step(), rel=1e-13)


def test_a_new_start_begins_anew():
    X, weights, params, _ = separated("full")
    (pruned, _), _, _ = both("full", X, weights, params)
    fresh = make_em(FAMILIES["full"], X, weights, params)
    packed = fresh.state()
    pruned.set_state(*packed)
    assert [pruned.step() for _ in range(8)] == [fresh.step() for _ in range(8)]


# ---- statistics from baskets, rows not in order ----


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("order", ["C", "F"])
def test_statistics_are_sparse_where_densities_are_not(order, weighted):
    X, weights, params, sample_weight = touching()
    X = np.asarray(X, order=order)
    (pruned, dense), objectives, work = both("full", X, weights, params, sample_weight if weighted else None)
    assert_statistics_alone_were_left_out(work)
    assert np.max(np.abs(objectives[0] / objectives[1] - 1)) < 1e-13
    for own, wanted in zip(pruned.state(), dense.state(), strict=True):
        assert np.max(np.abs(own - wanted)) < 1e-12 * np.max(np.abs(wanted))


def test_few_rows_never_put_in_order_have_sparse_statistics_too():
    X, weights, params, _ = touching(n_rows=1_500)
    _, objectives, work = both("full", X, weights, params)
    assert_statistics_alone_were_left_out(work)
    assert np.max(np.abs(objectives[0] / objectives[1] - 1)) < 1e-13


def test_rows_in_order_fill_baskets():
    X, weights, params, _ = touching(spread=1.6)
    (pruned, dense), objectives, work = both("full", X, weights, params)
    assert np.all(work[-1] < 0.5)
    assert np.max(np.abs(objectives[0] / objectives[1] - 1)) < 1e-13
    for own, wanted in zip(pruned.state(), dense.state(), strict=True):
        assert np.max(np.abs(own - wanted)) < 1e-12 * np.max(np.abs(wanted))


def test_statistics_of_few_columns_are_dense_without_order():
    X, weights, params, _ = touching(n_features=16, spread=1.6)  # 0.6 of the pairs hold something: too many to order
    _, objectives, work = both("full", X, weights, params)
    assert np.all(work == 1)
    assert np.array_equal(*objectives)


@pytest.mark.parametrize("spread", [1.1, 1.6])
def test_baskets_give_the_same_bits_for_any_number_of_threads(spread):
    X, weights, params, sample_weight = touching(spread=spread)
    engines = [make_em(FAMILIES["full"], X, weights, params, sample_weight, n_threads=n) for n in (1, 2, 3, 7)]
    assert engines[-1].n_threads > 3
    for _ in range(8):
        assert len({em.step() for em in engines}) == 1
    assert engines[0].work[1] < 0.4
    for em in engines[1:]:
        for own, wanted in zip(em.state(), engines[0].state(), strict=True):
            assert np.array_equal(own, wanted)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_baskets_of_every_instruction_set_and_precision(dtype, isa):
    X, weights, params, _ = touching()
    (pruned, dense), objectives, work = both("full", X.astype(dtype), weights, params, n_steps=6, isa=isa)
    assert_statistics_alone_were_left_out(work)
    # float32: both sum floats in another order
    assert np.max(np.abs(objectives[0] / objectives[1] - 1)) < (1e-13 if dtype == np.float64 else 1e-6)
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    for own, wanted in zip(pruned.state(), dense.state(), strict=True):
        assert np.max(np.abs(own - wanted)) < tolerance * np.max(np.abs(wanted))


@pytest.mark.parametrize("chunk_rows", [1, 5, 97, 6_000])
def test_baskets_with_any_size_of_chunks(chunk_rows):
    X, weights, params, _ = touching()
    (pruned, dense), objectives, work = both("full", X, weights, params, chunk_rows=chunk_rows, n_steps=6)
    assert_statistics_alone_were_left_out(work)
    assert np.max(np.abs(objectives[0] / objectives[1] - 1)) < 1e-13
    for own, wanted in zip(pruned.state(), dense.state(), strict=True):
        assert np.max(np.abs(own - wanted)) < 1e-12 * np.max(np.abs(wanted))


@pytest.mark.parametrize("has_empty_component", [False, True])
def test_baskets_with_rows_of_next_to_no_weight(has_empty_component):
    X, weights, params, sample_weight = touching()
    sample_weight[::3] *= 1e-25
    sample_weight[:700] = 1e-28
    if has_empty_component:
        weights[5] = 0
        weights /= weights.sum()
    (pruned, dense), objectives, work = both("full", X, weights, params, sample_weight)
    assert np.all(work[:, 0] > 0.8)
    assert np.all(work[1:, 1] < 0.4)
    assert np.max(np.abs(objectives[0] / objectives[1] - 1)) < 1e-13
    for own, wanted in zip(pruned.state(), dense.state(), strict=True):
        assert np.max(np.abs(own - wanted)) < 1e-12 * np.max(np.abs(wanted))


def test_a_component_that_all_but_vanishes_without_order_keeps_its_exact_little_share():
    # a wide component over all, of the weight that makes it a rival of each narrow one, then loses all to them
    rng = np.random.default_rng(0)
    centres = 6 * rng.standard_normal((9, 40))
    X = centres[rng.integers(9, size=1_800)] + rng.standard_normal((1_800, 40))
    means = np.vstack([centres, X.mean(axis=0)])
    scales = np.array([1.0] * 9 + [7.0])
    covariances = scales[:, np.newaxis, np.newaxis] ** 2 * np.eye(40)
    params = means, covariances, np.eye(40) / scales[:, np.newaxis, np.newaxis]
    weights = np.full(10, 0.1)
    (pruned, dense), _, _ = both("full", X, weights, params, n_steps=1)
    assert 0 < dense.state()[0][-1] < 1e-18
    for own, wanted in zip(pruned.state(), dense.state(), strict=True):
        assert np.array_equal(own, wanted)  # the pass was made again, dense
    assert pruned.step() == pytest.approx(dense.step(), rel=1e-13)
    assert pruned.work[1] < 0.4
