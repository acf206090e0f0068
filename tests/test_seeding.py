"""Seeding: the twins' draws, weights, threads, and quality beside scikit-learn's k-means."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from twins import DTYPES, FAMILIES, ISAS

from mixfast import BernoulliMixture, GaussianMixture, seeding
from mixfast._em import EM
from mixfast._reference import seeding as reference
from mixfast.engine._fit import fit_rows
from mixfast.engine._rows import Rows
from mixfast.engine._seeding import Lloyd
from mixfast.families._centres import bind_centres
from mixfast.families.gaussian import DiagonalGaussian
from mixfast.fitting import bind_model, plan_of
from mixfast.proportions._free import FreeWeights


def groups(rng, n_rows, n_groups, n_features=2, spread=0.3):
    centres = rng.uniform(-10, 10, (n_groups, n_features))
    labels = rng.integers(n_groups, size=n_rows)
    return centres[labels] + spread * rng.standard_normal((n_rows, n_features)), labels


@pytest.mark.parametrize("n_clusters", [1, 2, 5, 12])
@pytest.mark.parametrize("weighted", [False, True])
def test_kmeans_plusplus_chooses_the_twins_rows(weighted, n_clusters):
    rng = np.random.default_rng(0)
    X, _ = groups(rng, 3000, 6)
    weight = rng.uniform(0, 3, len(X)) * (rng.uniform(size=len(X)) < 0.7) if weighted else None
    for seed in range(5):
        got = seeding.kmeans_plusplus(Rows(X, weight), n_clusters, seed, start=2)
        np.testing.assert_array_equal(got, reference.kmeans_plusplus(X, weight, n_clusters, seed, 2))
        if weighted:
            assert (weight[got] > 0).all()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_features", [1, 3, 16])
def test_kmeans_plusplus_chooses_the_twins_rows_on_every_instruction_set(n_features, dtype, isa):
    rng = np.random.default_rng(n_features)
    X = groups(rng, 1511, 6, n_features)[0].astype(dtype)
    for n_clusters in (2, 9, 40):
        got = seeding.kmeans_plusplus(Rows(X), n_clusters, seed=1, isa=isa)
        np.testing.assert_array_equal(got, reference.kmeans_plusplus(X.astype(float), None, n_clusters, 1, 0))


def lloyd(X, sample_weight, centres, isa=None):
    passes = Lloyd(bind_centres(*centres.shape, X.dtype.itemsize, isa), Rows(X, sample_weight))
    passes.set_state(np.ones(len(centres)), np.ascontiguousarray(centres, dtype=float).ravel())
    distortion = passes.step()
    return passes.labels, distortion, passes.state()[1].reshape(centres.shape)


def assert_step_equals_the_twin(X, sample_weight, centres, isa=None, rtol=1e-10):
    """Labels may differ where two centres are equally near to the precision of the rows."""
    rtol = rtol if X.dtype == np.float64 else 1e-3
    labels, distortion, means = lloyd(X, sample_weight, centres, isa)
    X = X.astype(float)
    expected, expected_distortion, _ = reference.lloyd_step(X, sample_weight, centres)
    near, nearest = (((X - centres[which]) ** 2).sum(axis=1) for which in (labels, expected))
    np.testing.assert_allclose(near, nearest, rtol=rtol, atol=rtol * np.mean(nearest))
    np.testing.assert_allclose(distortion, expected_distortion, rtol=rtol)
    weight = np.ones(len(X)) if sample_weight is None else sample_weight
    for k, centre in enumerate(centres):
        own = weight * (labels == k)
        expected_mean = own @ X / own.sum() if own.sum() > 0 else centre
        np.testing.assert_allclose(means[k], expected_mean, rtol=1e-10, atol=1e-10 * np.abs(X).max())


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_features", [1, 2, 3, 5, 16])
@pytest.mark.parametrize("n_clusters", [1, 2, 4, 7, 33])
def test_a_lloyd_step_equals_its_twin(n_clusters, n_features, dtype, isa):
    rng = np.random.default_rng([n_clusters, n_features])
    centres = rng.standard_normal((n_clusters, n_features))
    for n_rows in (1, 47, 48, 2011):
        X = (3 + 2 * rng.standard_normal((n_rows, n_features))).astype(dtype)
        assert_step_equals_the_twin(X, rng.integers(0, 3, n_rows) + 0.5 if n_rows % 2 else None, centres, isa)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(
    ("dtype", "gap"), [(np.float64, 1e-6), (np.float64, 1e-4), (np.float32, 1e-2), (np.float32, 4)]
)
def test_labels_are_right_where_linear_forms_would_not_be(dtype, gap, isa):
    """Pairs of centres that are close in comparison with how far apart the pairs are, and rows far from the origin. At
    the larger gaps linear forms would keep the sign of a distance and no digit."""
    rng = np.random.default_rng(0)
    centres = 1e3 * rng.standard_normal((4, 3)).repeat(2, axis=0)
    centres[1::2, 0] += gap
    rows = centres[rng.integers(8, size=3000)] + gap / 8 * rng.standard_normal((3000, 3))
    for offset in (0.0, 1e6 * gap):
        # the pivot takes an eps of the coordinates, 1e-7 of a distance
        assert_step_equals_the_twin((rows + offset).astype(dtype), None, centres + offset, isa, rtol=1e-6)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("weighted", [False, True])
def test_kmeans_equals_its_twin(weighted, isa):
    rng = np.random.default_rng(6)
    X, _ = groups(rng, 3000, 7, n_features=3, spread=2)
    weight = rng.uniform(0.5, 2, len(X)) if weighted else None
    for seed in range(3):
        got = seeding.kmeans(Rows(X, weight), 7, seed, start=1, isa=isa)
        labels, centres, distortion, n_iter = reference.kmeans(X, weight, 7, seed, 1, seeding.LLOYD_TOL)
        np.testing.assert_array_equal(got.labels, labels)
        np.testing.assert_allclose(got.centres, centres, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(got.distortion, distortion, rtol=1e-12)
        assert got.n_iter == n_iter


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset", [0, 1e6])
def test_no_row_is_drawn_twice_and_each_distinct_row_is_a_cluster(offset, dtype):
    rng = np.random.default_rng(7)
    distinct = offset + rng.permutation(40).reshape(20, 2).astype(float)
    X = distinct[rng.permutation(np.arange(20).repeat(70))].astype(dtype)
    for seed in range(5):
        chosen = seeding.kmeans_plusplus(Rows(X), 20, seed)
        assert len(np.unique(X[chosen], axis=0)) == 20
        result = seeding.kmeans(Rows(X), 20, seed)
        assert result.distortion == 0
        np.testing.assert_array_equal(result.centres[result.labels], X)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_far_from_the_origin_are_clustered_as_at_it(dtype):
    rng = np.random.default_rng(8)
    X = np.round(groups(rng, 2000, 6, n_features=3)[0] * 16) / 16  # float32 holds these beside a million
    near, far = (seeding.kmeans(Rows((X + offset).astype(dtype)), 6, seed=0) for offset in (0, 1e6))
    np.testing.assert_array_equal(far.labels, near.labels)
    np.testing.assert_allclose(far.centres - 1e6, near.centres, atol=1e-6)


def test_weights_equal_repetition():
    rng = np.random.default_rng(9)
    X, _ = groups(rng, 700, 6, spread=2)
    weight = rng.integers(0, 4, 700)
    repeated = np.repeat(X, weight, axis=0)
    for seed in range(5):
        np.testing.assert_array_equal(
            X[seeding.kmeans_plusplus(Rows(X, weight.astype(float)), 6, seed)],
            repeated[seeding.kmeans_plusplus(Rows(repeated), 6, seed)],
        )
        weighted, plain = (
            seeding.kmeans(Rows(X, weight.astype(float)), 6, seed),
            seeding.kmeans(Rows(repeated), 6, seed),
        )
        np.testing.assert_array_equal(np.repeat(weighted.labels, weight), plain.labels)
        np.testing.assert_allclose(weighted.centres, plain.centres, rtol=1e-12)
        np.testing.assert_allclose(weighted.distortion, plain.distortion, rtol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_memory_of_the_rows_does_not_matter(dtype):
    rng = np.random.default_rng(10)
    X = groups(rng, 1000, 5, n_features=3)[0].astype(dtype)
    wide = np.zeros((2000, 7), dtype)
    wide[::2, 1::2] = X
    usual = seeding.kmeans(Rows(X), 5, seed=0)
    for other in (np.asfortranarray(X), wide[::2, 1::2], X[::-1].copy()[::-1]):
        result = seeding.kmeans(Rows(other), 5, seed=0)
        np.testing.assert_array_equal(result.labels, usual.labels)
        np.testing.assert_array_equal(result.centres, usual.centres)


def test_a_centre_that_loses_its_rows_stays():
    X = np.random.default_rng(11).standard_normal((500, 2))
    centres = np.array([[0.1, 0.2], [30.0, 0.7]])
    labels, _, means = lloyd(X, None, centres)
    assert not labels.any()
    np.testing.assert_array_equal(means[1], centres[1])
    np.testing.assert_allclose(means[0], X.mean(axis=0), rtol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_cluster_as_many_as_rows_and_columns_that_never_vary(dtype):
    rng = np.random.default_rng(12)
    X = np.column_stack([rng.standard_normal(60), np.full(60, 1e6), np.zeros(60)]).astype(dtype)
    one = seeding.kmeans(Rows(X), 1, seed=0)
    assert not one.labels.any()
    np.testing.assert_allclose(one.centres[0], X.astype(float).mean(axis=0), rtol=1e-12)
    all_rows = seeding.kmeans(Rows(X), 60, seed=0)
    assert all_rows.distortion == 0
    assert len(set(all_rows.labels.tolist())) == 60


#: An M-step of factor analysers goes on from the loadings that were, so that two are not one.
FROM_LABELS_ALONE = [name for name in FAMILIES if "factors" not in name]


@pytest.mark.parametrize("name", FROM_LABELS_ALONE)
def test_a_start_from_kmeans_is_the_start_from_its_labels(name):
    """One M-step about the centres, instead of two of which the first finds them."""
    rng = np.random.default_rng(13)
    twins = FAMILIES[name]
    X = twins.make_rows(rng, 900, 4)
    weight = rng.uniform(0.5, 2, 900)
    encoded = twins.compiled.encode(X)
    seeds = Rows(encoded.rows if encoded.seeds is None else encoded.make_seeds(), weight)
    rows = Rows(encoded.rows, weight, encoded.base)
    model = bind_model(encoded, seeds.X, 3, 4, X.dtype, FreeWeights(), None)
    once = fit_rows(rows, seeds, model, plan_of(BernoulliMixture(max_iter=0), "kmeans", encoded.rows), 5, 1)
    twice = EM(encoded.bind(3, X.dtype), rows)
    twice.set_state(np.full(3, 1 / 3), encoded.family.blank(3, 4))
    twice.start_from_labels(seeding.kmeans(seeds, 3, 5, 0).labels)
    for got, expected in zip((once.weights, once.params), twice.state(), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("dtype", DTYPES)
def test_seeds_do_not_depend_on_the_number_of_threads(dtype):
    rng = np.random.default_rng(1)
    X = groups(rng, 30_011, 8, n_features=8)[0].astype(dtype)
    weight = rng.uniform(0.5, 2, len(X))
    first = seeding.kmeans(Rows(X, weight), 8, seed=3, n_threads=1)
    for n_threads in (2, 3, 7):
        other = seeding.kmeans(Rows(X, weight), 8, seed=3, n_threads=n_threads)
        np.testing.assert_array_equal(other.labels, first.labels)
        np.testing.assert_array_equal(other.centres, first.centres)


def test_kmeans_finds_groups_that_are_there():
    rng = np.random.default_rng(2)
    X, labels = groups(rng, 2000, 5)
    found = seeding.kmeans(Rows(X), 5, seed=0)
    pairs = set(zip(labels.tolist(), found.labels.tolist(), strict=True))
    assert len(pairs) == 5
    np.testing.assert_allclose(found.distortion, ((X - found.centres[found.labels]) ** 2).sum(axis=1).mean(), rtol=1e-3)


def test_kmeans_is_as_good_as_scikit_learns():
    """Over twenty data sets and seeds, the distortion of the one is that of the other, give or take a part in fifty."""
    ratios = []
    for seed in range(20):
        X, _ = groups(np.random.default_rng(seed), 1000, 12, spread=1.5)
        ours = seeding.kmeans(Rows(X), 12, seed=seed).distortion * len(X)
        ratios.append(ours / KMeans(12, n_init=1, random_state=seed).fit(X).inertia_)
    assert np.exp(np.mean(np.log(ratios))) < 1.02


def test_heavy_rows_draw_the_centres():
    X = np.repeat(np.arange(4.0), 50)[:, np.newaxis]
    weight = np.where(X[:, 0] < 2, 1.0, 1e-9)
    result = seeding.kmeans(Rows(X, weight), 2, seed=0)
    np.testing.assert_allclose(np.sort(result.centres[:, 0]), [0, 1], atol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_random_rows_are_the_twins_and_distinct(weighted):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((200, 2))
    weight = rng.uniform(0.1, 2, 200) if weighted else None
    got = seeding.random_rows(Rows(X, weight), 20, seed=9, start=1)
    np.testing.assert_array_equal(got, reference.random_rows(200, weight, 20, 9, 1))
    assert len(set(got.tolist())) == 20


def test_random_rows_are_drawn_by_weight():
    X = np.zeros((3, 1))
    weight = np.array([1.0, 2.0, 7.0])
    first = [int(seeding.random_rows(Rows(X, weight), 1, seed)[0]) for seed in range(3000)]
    share = np.bincount(first, minlength=3) / 3000
    np.testing.assert_allclose(share, weight / 10, atol=5 * np.sqrt(0.25 / 3000))


def test_random_responsibilities_are_the_twins():
    rng = np.random.default_rng(4)
    X = rng.standard_normal((500, 2))
    family = DiagonalGaussian()
    layout = family.params_layout(3, 2)
    drawn, given = (EM(family.bind(3, 2, X.dtype), Rows(X)) for _ in range(2))
    for em in (drawn, given):
        em.set_state(np.full(3, 1 / 3), family.blank(3, 2))
    drawn.start_from_draws(5, 1)
    given.start_from_responsibilities(reference.random_responsibilities(500, 3, 5, 1))
    # a share is u (1 / total) here, u / total there
    np.testing.assert_allclose(drawn.state()[0], given.state()[0], rtol=1e-14)
    for ours, twins in zip(layout.view(drawn.state()[1]), layout.view(given.state()[1]), strict=True):
        np.testing.assert_allclose(ours, twins, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("init_params", seeding.METHODS)
def test_starts_of_one_fit_differ_and_seeds_mean_something(init_params):
    rng = np.random.default_rng(5)
    X = rng.standard_normal((400, 2))

    def first_bound(seed, n_init=1):
        model = GaussianMixture(4, init_params=init_params, random_state=seed, n_init=n_init, tol=1e9)
        return model.fit(X).lower_bound_

    assert first_bound(0) == first_bound(0)
    assert len({first_bound(seed) for seed in range(8)}) > 4
    assert first_bound(0, n_init=10) > first_bound(0)


def test_more_clusters_than_distinct_rows_still_gives_labels():
    X = np.repeat([[0.0, 0.0], [1.0, 1.0]], 10, axis=0)
    result = seeding.kmeans(Rows(X), 5, seed=0)
    assert result.labels.min() >= 0
    assert result.distortion == 0
    assert np.isfinite(result.centres).all()


# ---- several starts, the poor ones dropped early --------------------------------------------------------------------


def halving(X, **params):
    return GaussianMixture(n_init_policy="halving", **{"n_components": 5, "max_iter": 500, **params}).fit(X)


def test_halving_goes_on_from_one_of_the_starts_and_costs_less(capsys):
    X, _ = groups(np.random.default_rng(14), 2000, 9, spread=1.5)

    def told(**params):
        """The fit, and how many passes of all its starts it tells of."""
        options = {"tol": 1e-5, "max_iter": 500, "verbose": 1, "verbose_interval": 1}
        fit = GaussianMixture(9, init_params="kmeans", **options, **params).fit(X)
        return fit, capsys.readouterr().out.count("Iteration ")

    n_passes = {"all": 0, "halving": 0}
    for seed in range(5):
        single, n_single = told(random_state=seed)
        best, n_all = told(random_state=seed, n_init=8)
        few, n_few = told(random_state=seed, n_init=8, n_init_policy="halving")
        assert n_single == single.n_iter_
        assert few.converged_
        assert few.lower_bound_ <= best.lower_bound_
        assert len(few.lower_bounds_) == few.n_iter_
        assert np.diff(few.lower_bounds_).min() > -1e-12
        n_passes["all"] += n_single + n_all
        n_passes["halving"] += n_few
    assert n_passes["halving"] < 0.6 * n_passes["all"]


LABELS_OF_100 = np.arange(100) % 2
STARTS = [*seeding.METHODS, seeding.AUTO, LABELS_OF_100, np.eye(2)[LABELS_OF_100]]


@pytest.mark.parametrize("init_params", STARTS, ids=[*seeding.METHODS, seeding.AUTO, "labels", "responsibilities"])
@pytest.mark.parametrize("n_init_policy", ["all", "halving"])
def test_a_start_that_fails_ends_the_fit(init_params, n_init_policy, capsys):
    X = np.random.default_rng(0).normal(size=(100, 2))
    X[3, 1] = 1e200
    options = {"n_init": 4, "verbose": 1, "random_state": 0, "n_init_policy": n_init_policy}
    with pytest.raises(ValueError, match="not finite"):
        GaussianMixture(2, init_params=init_params, **options).fit(X)
    # starts of several kinds are compared before any is told of: none comes so far
    told = 0 if isinstance(init_params, str) and init_params == seeding.AUTO else 1
    assert capsys.readouterr().out.count("Initialization") == told


@pytest.mark.parametrize("n_init_policy", ["all", "halving"])
def test_lines_say_what_a_start_of_several_kinds_begins_with(n_init_policy, capsys):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 2)) * [10, 0.12] + np.arange(600)[:, np.newaxis] % 3 * [0, 1]
    options = {"n_init": 3, "random_state": 0, "n_init_policy": n_init_policy, "verbose": 1}
    GaussianMixture(3, **options).fit(X)
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Initialization ")]
    told = [line for line in said if line.endswith(")")]
    kinds = ["k-means", "k-means", "k-means", "view 1", "view 2"]
    assert {*told} < {f"Initialization {number} ({kind})" for number, kind in enumerate(kinds)}
    assert len({*told}) == 3  # so many as n_init
    assert "view" in told[0]  # which promises most of clusters that lie side by side
    GaussianMixture(3, init_params="kmeans", **options).fit(X)
    assert "(" not in capsys.readouterr().out


def test_halving_of_one_start_is_that_start():
    X, _ = groups(np.random.default_rng(15), 500, 5)
    usual = GaussianMixture(5, max_iter=500, random_state=0).fit(X)
    assert halving(X, random_state=0).lower_bounds_ == usual.lower_bounds_


def test_halving_does_not_depend_on_threads_and_respects_max_iter():
    X, _ = groups(np.random.default_rng(16), 60_000, 5, n_features=8, spread=4)
    fits = [halving(X, n_init=5, random_state=0, n_threads=n_threads) for n_threads in (1, 2, 3)]
    for fit in fits[1:]:
        assert fit.lower_bounds_ == fits[0].lower_bounds_
        np.testing.assert_array_equal(fit.means_, fits[0].means_)
    for max_iter in (1, 7, 12):
        with pytest.warns(ConvergenceWarning, match="did not converge"):
            assert halving(X, n_init=5, random_state=0, tol=0, max_iter=max_iter).n_iter_ == max_iter
    assert np.isfinite(halving(X, n_init=3, random_state=0, max_iter=0).means_).all()


# ---- one column -----------------------------------------------------------------------------------------------------


def lloyd_by_the_kernels(X, n_clusters, seed):
    """(distortion, steps) of iterations that never go to the line: a weight of one for each row keeps them off it."""
    found = seeding.kmeans(Rows(X, np.ones(len(X))), n_clusters, seed)
    return found.distortion, found.n_iter


@pytest.mark.parametrize("outlier", [0.5, 1e3, 1e7, -1e7, 1e11, 1e13, -1e13])
def test_iterations_on_a_line_find_what_the_others_find(outlier):
    rng = np.random.default_rng(0)
    X = np.append(rng.uniform(size=2998), outlier)[:, np.newaxis]
    found = seeding.kmeans(Rows(X), 11, 0)
    distortion, n_iter = lloyd_by_the_kernels(X, 11, 0)
    np.testing.assert_allclose(found.distortion, distortion, rtol=1e-6)
    assert found.n_iter == n_iter
    assert n_iter > 4  # or nothing was done on the line
    means = [X[found.labels == k].mean() for k in range(11) if np.any(found.labels == k)]
    np.testing.assert_allclose(found.centres[np.unique(found.labels), 0], means, rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_line_holds_equal_rows_and_both_zeros(dtype):
    rng = np.random.default_rng(1)
    X = rng.integers(-3, 4, size=(5000, 1)).astype(dtype) * dtype(0.5)
    X[X == 0] *= rng.choice([-1, 1], size=int(np.sum(X == 0))).astype(dtype)
    found = seeding.kmeans(Rows(X), 4, 3)
    distortion, _ = lloyd_by_the_kernels(X, 4, 3)
    np.testing.assert_allclose(found.distortion, distortion, rtol=1e-5)
