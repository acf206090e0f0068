"""Trees of merges, matches and reductions: values of R's mclust and of brute force (`tests/data/golden_maps.json`)."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from estimators_table import ESTIMATORS, every_estimator
from scipy.cluster.hierarchy import dendrogram, fcluster, is_valid_linkage
from scipy.special import entr
from sklearn.exceptions import NotFittedError

from mixfast import (
    BayesianGaussianMixture,
    BernoulliMixture,
    CategoricalMixture,
    DirichletMultinomialMixture,
    ExponentialMixture,
    GammaMixture,
    GaussianMixture,
    MultinomialMixture,
    PoissonMixture,
    ProductMixture,
    StudentTMixture,
    VonMisesFisherMixture,
    match,
    merge_tree,
    reduce,
)
from mixfast.matching import assigned
from mixfast.parts import Bernoulli, Categorical, Gamma, Gaussian, Poisson

DATA = Path(__file__).parent / "data"
GOLDEN = json.loads((DATA / "golden_maps.json").read_text())


def gaussians(own):
    return GaussianMixture.from_parameters(
        weights=np.array(own["weights"]) / np.sum(own["weights"]), means=own["means"], covariances=own["covariances"]
    )


def problem(name):
    """(mclust's model, its rows, its golden tree)"""
    golden = GOLDEN["merge_trees"][name]
    X = np.loadtxt(DATA / f"{name.split('_')[0]}.csv", delimiter=",", skiprows=1)
    return gaussians(golden), X, golden


def as_lists(merges):
    return [[list(one), list(other)] for one, other in merges]


# ---- trees ----


@pytest.mark.parametrize("name", GOLDEN["merge_trees"])
def test_merges_are_those_of_clust_combi(name):
    model, X, golden = problem(name)
    tree = merge_tree(model, X)
    assert as_lists(tree.merges) == [own["members"] for own in golden["merges"]]
    np.testing.assert_allclose(tree.gains, [own["gain"] for own in golden["merges"]], rtol=1e-6, atol=1e-9)
    entropy = [golden["entropy_by_n_clusters"][str(k)] for k in range(1, len(tree.entropy) + 1)]
    np.testing.assert_allclose(tree.entropy, entropy, rtol=1e-6, atol=1e-9)
    assert (tree.bend(), tree.bend(3)) == (golden["bend_two_lines"], golden["bend_three_lines"])
    for k, sizes in golden["sizes_by_n_clusters_mclust"].items():
        assert sorted(np.bincount(tree.labels(int(k), X))) == sorted(sizes)


@pytest.mark.parametrize("name", GOLDEN["merge_trees"])
def test_merges_by_icl(name):
    model, X, golden = problem(name)
    tree = merge_tree(model, X, criterion="icl")
    wanted = golden["merges_by_hard_icl"]
    np.testing.assert_allclose(tree.gains, [own["gain"] for own in wanted], rtol=1e-6, atol=1e-9)
    assert as_lists(tree.merges) == [own["members"] for own in wanted]


def test_merges_by_overlap_follow_their_definition():
    model, X, _ = problem("ex4.1")
    tree = merge_tree(model, X, criterion="overlap")
    resp = model.predict_proba(X)
    labels = resp.argmax(axis=1)
    shares = np.array([[resp[labels == j, i].sum() / resp[:, i].sum() for j in range(6)] for i in range(6)])
    np.fill_diagonal(shares, 0)
    assert tree.gains[0] == pytest.approx(shares.max())
    assert set(tree.merges[0]) == {(k,) for k in np.unravel_index(np.argmax(shares), shares.shape)}


@pytest.mark.parametrize("criterion", ["entropy", "icl", "overlap"])
def test_scipy_reads_the_tree(criterion):
    model, X, _ = problem("ex4.1")
    tree = merge_tree(model, X, criterion=criterion)
    assert is_valid_linkage(tree.linkage)
    assert sorted(map(int, dendrogram(tree.linkage, no_plot=True)["ivl"])) == list(range(6))
    for k in range(1, 7):
        cut = fcluster(tree.linkage, k, "maxclust")
        assert {tuple(np.flatnonzero(cut == own).tolist()) for own in set(cut)} == set(tree.clusters(k))
    assert np.all(np.diff(tree.linkage[:, 2]) >= 0)


def test_weights_are_repetitions_and_rows_of_weight_zero_may_be_anything():
    model, X, _ = problem("faithful")
    weights = np.arange(len(X)) % 3
    rows = X.copy()
    rows[weights == 0] = np.nan
    one, other = merge_tree(model, rows, sample_weight=weights), merge_tree(model, np.repeat(X, weights, axis=0))
    assert one.merges == other.merges
    np.testing.assert_allclose(one.linkage, other.linkage, rtol=1e-10)


@every_estimator
def test_every_estimator_has_a_tree(name):
    entry = ESTIMATORS[name]
    model = entry.make().fit(entry.X)
    resp = model.predict_proba(entry.X)
    tree = merge_tree(model, entry.X)
    K = resp.shape[1]
    assert len(tree.merges) == K - 1
    np.testing.assert_array_equal(tree.labels(1, entry.X), 0)
    np.testing.assert_array_equal(tree.labels(K, entry.X), resp.argmax(axis=1))
    assert tree.entropy[0] == pytest.approx(0, abs=1e-4)  # float32 responsibilities sum to 1 so far


def test_trees_of_one_component_and_of_weight_zero():
    one = GaussianMixture.from_parameters(weights=[1.0], means=[[0.0]], covariances=[[[1.0]]])
    tree = merge_tree(one, np.zeros((3, 1)))
    assert (tree.merges, tree.linkage.shape, tree.entropy.tolist(), tree.bend()) == ([], (0, 4), [0.0], None)
    tree.plot()
    tree.plot(kind="entropy")
    three = GaussianMixture.from_parameters(
        weights=[0.5, 0.0, 0.5], means=[[0.0], [1.0], [2.0]], covariances=[[[1.0]]] * 3
    )
    for criterion in ("entropy", "icl", "overlap"):
        assert len(merge_tree(three, np.array([[0.0], [1.0], [2.0]]), criterion=criterion).merges) == 2


def test_two_hundred_components_merge():
    rng = np.random.default_rng(0)
    X = rng.poisson(20, size=(100, 3))
    model = PoissonMixture.from_parameters(weights=np.full(200, 1 / 200), rates=rng.gamma(9, 2, size=(200, 3)))
    tree = merge_tree(model, X)
    assert len(tree.clusters(7)) == 7
    tree.plot().figure.canvas.draw()


def test_bad_input_of_trees():
    model, X, _ = problem("faithful")
    with pytest.raises(NotFittedError):
        merge_tree(GaussianMixture(2), X)
    with pytest.raises(TypeError, match="should be a fitted mixture"):
        merge_tree("model", X)
    with pytest.raises(ValueError, match="criterion='bic' should be one of 'entropy', 'icl', 'overlap'"):
        merge_tree(model, X, criterion="bic")
    with pytest.raises(ValueError, match="3 features"):
        merge_tree(model, np.zeros((4, 3)))
    tree = merge_tree(model, X)
    for wrong in (0, 4, 2.5, True):
        with pytest.raises(ValueError, match=f"n_clusters={wrong} should be a whole number from 1 to 3"):
            tree.labels(wrong, X)
    with pytest.raises(ValueError, match="n_lines=1 should be"):
        tree.bend(1)
    with pytest.raises(ValueError, match="kind='cloud' should be one of 'tree', 'entropy'"):
        tree.plot(kind="cloud")


def test_pictures_of_trees():
    model, X, _ = problem("ex4.1")
    tree = merge_tree(model, X)
    ax = tree.plot()
    assert sorted(label.get_text() for label in ax.get_xticklabels()) == list("012345")
    ax = tree.plot(plt.figure().add_subplot(), kind="entropy")
    np.testing.assert_allclose(ax.lines[-1].get_ydata(), tree.entropy)
    assert [text.get_text() for text in ax.texts] == ["bends at 4"]


# ---- matches ----


@pytest.mark.parametrize("golden", GOLDEN["matching"][:3], ids=lambda own: own["name"])
def test_matches_of_responsibilities_are_those_of_brute_force(golden):
    shared = np.array(golden["shared"])
    if "responsibilities_a" in golden:
        one, other = np.array(golden["responsibilities_a"]), np.array(golden["responsibilities_b"])
        np.testing.assert_allclose(one.T @ other, shared)
    matched = assigned(-shared)
    assert matched.tolist() == golden["match"]
    assert shared[np.arange(len(shared)), matched].sum() == pytest.approx(golden["total"])


def test_matches_without_rows_are_those_of_brute_force():
    golden = GOLDEN["matching"][3]
    a, b = gaussians(golden["a"]), gaussians(golden["b"])
    assert match(a, b).tolist() == golden["match"]
    back = match(b, a)
    assert back.tolist() == [golden["match"].index(k) if k in golden["match"] else -1 for k in range(4)]


@every_estimator
def test_every_estimator_is_matched_with_itself_in_another_order(name):
    entry = ESTIMATORS[name]
    model = entry.make().fit(entry.X)
    K = model._components().n_components
    assert match(model, model).tolist() == list(range(K))
    found = match(model, model, entry.X)
    assert sorted(found) == list(range(len(found)))


def test_mixtures_of_other_families_are_matched_by_rows():
    X = ESTIMATORS["Gaussian full"].X
    a = GaussianMixture(2, random_state=0, canonical_order=True).fit(X)
    b = StudentTMixture(3, random_state=0, canonical_order=True).fit(X)
    with pytest.raises(ValueError, match="different families or columns: pass X"):
        match(a, b)
    wanted = a.predict_proba(X).T @ b.predict_proba(X)
    found = match(a, b, X)
    assert wanted[[0, 1], found].sum() == max(wanted[0, i] + wanted[1, j] for i in range(3) for j in range(3) if i != j)
    tied = GaussianMixture(2, covariance_type="tied", random_state=0, canonical_order=True).fit(X)
    assert match(a, tied).tolist() == [0, 1]


def test_categories_have_to_be_the_same():
    options = {"weights": [0.5, 0.5], "probabilities": [[[0.1, 0.9], [0.8, 0.2]]]}
    a = CategoricalMixture.from_parameters(**options, categories=[["no", "yes"]])
    b = CategoricalMixture.from_parameters(**options, categories=[["may", "yes"]])
    with pytest.raises(ValueError, match="different categories: pass X"):
        match(a, b)


def test_infinite_divergences_are_last_resorts():
    a = BernoulliMixture.from_parameters(weights=[0.5, 0.5], probabilities=[[0.0], [1.0]])
    assert match(a, a).tolist() == [0, 1]
    b = BernoulliMixture.from_parameters(weights=[0.5, 0.5], probabilities=[[1.0], [0.0]])
    assert match(a, b).tolist() == [1, 0]


#: Components that exclude what others do not, so that divergences of all pairs are infinite; those of b are reversed.
EXCLUDING = {
    "poisson": (PoissonMixture, "rates", [[5, 1, 0, 0.03], [1, 5, 0.03, 0]], [[1, 5, 0.03, 0.03], [5, 1, 0.03, 0.03]]),
    "bernoulli": (
        BernoulliMixture, "probabilities", [[0.9, 0.1, 0], [0.1, 0.9, 1]], [[0.2, 0.9, 0.1], [0.9, 0.2, 0.1]],
    ),
    "categories": (
        MultinomialMixture, "probabilities", [[0.7, 0.3, 0, 0], [0.1, 0.5, 0.4, 0]],
        [[0.1, 0.4, 0.4, 0.1], [0.7, 0.2, 0, 0.1]],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXCLUDING)
def test_components_that_exclude_each_others_rows_are_matched_by_the_others(name):
    model, parameter, *both = EXCLUDING[name]
    a, b = (model.from_parameters(**{"weights": [0.5, 0.5], parameter: np.array(own, float)}) for own in both)
    assert match(a, b).tolist() == [1, 0]
    assert match(b, a).tolist() == [1, 0]
    assert match(a, a).tolist() == [0, 1]


def test_bad_input_of_matches():
    model = GaussianMixture.from_parameters(weights=[1.0], means=[[0.0]], covariances=[[[1.0]]])
    with pytest.raises(NotFittedError):
        match(model, GaussianMixture(2))
    with pytest.raises(TypeError, match="should be a fitted mixture"):
        match(model, None)
    with pytest.raises(TypeError, match="should be a fitted mixture"):
        match(model, 3, np.zeros((3, 1)))


# ---- reductions ----


@pytest.mark.parametrize("golden", GOLDEN["reductions"], ids=lambda own: own["name"])
def test_reductions_are_those_of_runnalls(golden):
    model = gaussians(golden)
    for state in golden["states"]:
        reduced = reduce(model, state["n_components"])
        np.testing.assert_allclose(reduced.weights_, state["weights"], rtol=1e-12)
        np.testing.assert_allclose(reduced.means_, state["means"], rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(reduced.covariances_, state["covariances"], rtol=1e-10, atol=1e-12)
        assert type(reduced) is GaussianMixture
        assert reduced.n_components == state["n_components"]
    assert model.n_components == len(golden["weights"])


@pytest.mark.parametrize("golden", GOLDEN["moment_matching"], ids=lambda own: own["family"])
def test_two_components_become_the_nearest_one(golden):
    p, q, merged, weights = golden["p"], golden["q"], golden["merged"], np.array(golden["weights"]) / 0.4
    if golden["family"] == "gamma":
        model = GammaMixture.from_parameters(
            weights=weights, shapes=[[p["shape"]], [q["shape"]]], scales=[[p["scale"]], [q["scale"]]]
        )
        reduced = reduce(model, 1)
        np.testing.assert_allclose(
            [reduced.shapes_[0, 0], reduced.scales_[0, 0]], [merged["shape"], merged["scale"]], rtol=1e-11
        )
        return
    make, name = {"poisson": (PoissonMixture, "rates"), "bernoulli": (BernoulliMixture, "probabilities")}[
        golden["family"]
    ]
    reduced = reduce(make.from_parameters(weights=weights, **{name: [p, q]}), 1)
    np.testing.assert_allclose(getattr(reduced, f"{name}_")[0], merged, rtol=1e-12)


def test_no_other_component_is_nearer():
    """To both, weights counted: a numeric search around what `merged` says."""
    rng = np.random.default_rng(0)
    direction = rng.normal(size=(2, 4))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    models = [
        VonMisesFisherMixture.from_parameters(
            weights=[0.3, 0.7], mean_directions=direction, concentrations=[5.0, 90.0]
        ),
        ExponentialMixture.from_parameters(weights=[0.3, 0.7], rates=[[1.0, 4.0], [3.0, 0.2]]),
        MultinomialMixture.from_parameters(weights=[0.3, 0.7], probabilities=[[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]]),
        GaussianMixture.from_parameters(
            weights=[0.3, 0.7], means=[[0.0, 1.0], [2.0, 0.0]], covariances=[1.0, 3.0], covariance_type="spherical"
        ),
        GaussianMixture.from_parameters(
            weights=[0.3, 0.7],
            means=[[0.0, 1.0], [2.0, 0.0]],
            covariances=[[1.0, 0.2], [3.0, 2.0]],
            covariance_type="diag",
        ),
    ]
    for model in models:
        family, weights = model._family(), model.weights_
        total = {"total": 1} if isinstance(model, MultinomialMixture) else {}
        params = model._components(**total).params
        p, q = family.reorder(params, np.array([0])), family.reorder(params, np.array([1]))
        best = family.merged(p, q, weights[:1])

        def cost(at, family=family, p=p, q=q, weights=weights):
            return float((weights[0] * family.divergence(p, at) + weights[1] * family.divergence(q, at))[0])

        for _ in range(20):
            arrays = [own * np.exp(0.01 * rng.normal(size=own.shape)) for own in best]
            moved = family.Params(*arrays)
            if isinstance(model, VonMisesFisherMixture):
                moved = moved._replace(mean_directions=arrays[0] / np.linalg.norm(arrays[0]))
            if isinstance(model, MultinomialMixture):
                moved = moved._replace(probabilities=arrays[0] / arrays[0].sum())
            if isinstance(model, GaussianMixture):
                moved = moved._replace(precisions_cholesky=family.factor_covariances(arrays[1]))
            assert cost(moved) > cost(best)


@every_estimator
def test_every_family_of_maximum_likelihood_is_reduced_or_says_why_not(name):
    entry = ESTIMATORS[name]
    model = entry.make().fit(entry.X)
    before = {key: np.copy(value) for key, value in vars(model).items() if isinstance(value, np.ndarray)}
    if not entry.has_likelihood:
        with pytest.raises(TypeError, match="fitted by maximum likelihood"):
            reduce(model, 1)
        return
    if isinstance(model, StudentTMixture | DirichletMultinomialMixture):
        with pytest.raises(TypeError, match="no nearest one in closed form"):
            reduce(model, 1)
        return
    reduced = reduce(model, 1)
    assert reduced.weights_.tolist() == [1.0]
    assert reduced.predict(entry.X).tolist() == [0] * 60
    assert np.all(np.isfinite(reduced.score_samples(entry.X)))
    # one component with the means of the sufficient statistics is what a fit of one is, of a fit that found its place
    of_any_shape = {name: getattr(reduced, name) for name in reduced._shared}
    alone = entry.make(n_components=1, **of_any_shape).fit(entry.X)
    assert reduced.score(entry.X) <= alone.score(entry.X) + 1e-3
    for key, value in before.items():
        np.testing.assert_array_equal(getattr(model, key), value)
    same = reduce(model, 2)
    np.testing.assert_allclose(same.score_samples(entry.X), model.score_samples(entry.X), rtol=1e-5)
    same.set_params(n_threads=1).fit(entry.X)  # fits again


def test_what_components_share_is_their_own_afterwards():
    X = ESTIMATORS["Gaussian tied"].X
    tied = reduce(GaussianMixture(3, covariance_type="tied", random_state=0).fit(X), 2)
    assert tied.covariance_type == "full"
    assert tied.covariances_.shape == (2, 3, 3)
    mixed = ProductMixture([(0, 1, Gaussian("tied")), (2, Gaussian("diag"))], 3, random_state=0).fit(X)
    reduced = reduce(mixed, 2)
    assert [part[-1].covariance_type for part in reduced.parts] == ["full", "diag"]
    assert [part[-1].covariance_type for part in mixed.parts] == ["tied", "diag"]
    assert [own.n_components for own in reduced.components_.values()] == [2, 2]
    assert reduced.predict_proba(X).shape == (60, 2)


def test_parts_of_all_kinds_are_reduced():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=90), rng.gamma(3, size=90), rng.poisson(4, 90), rng.integers(0, 2, (90, 2))])
    parts = [(0, Gaussian()), (1, Gamma()), (2, Poisson()), (3, Bernoulli()), (4, Categorical())]
    model = ProductMixture(parts, 4, random_state=0).fit(X)
    reduced = reduce(model, 2)
    for name in ("0", "2"):
        own, before = reduced.components_[name], model.components_[name]
        field = "means_" if name == "0" else "rates_"
        np.testing.assert_allclose(reduced.weights_ @ getattr(own, field), model.weights_ @ getattr(before, field))


def test_names_and_precision_stay(tmp_path):
    import pandas as pd

    import mixfast

    X = pd.DataFrame(ESTIMATORS["Gaussian full"].X.astype(np.float32), columns=["a", "b", "c"])
    reduced = reduce(GaussianMixture(3, random_state=0).fit(X), 2)
    assert reduced.feature_names_in_.tolist() == ["a", "b", "c"]
    assert reduced.means_.dtype == np.float32
    reduced.save(tmp_path / "model.mixfast")
    np.testing.assert_array_equal(mixfast.load(tmp_path / "model.mixfast").means_, reduced.means_)


def test_bad_input_of_reductions():
    model = GaussianMixture.from_parameters(
        weights=[0.5, 0.0, 0.5], means=[[0.0], [1.0], [3.0]], covariances=[[[1.0]]] * 3
    )
    for wrong in (0, 4, 1.5, True):
        with pytest.raises(ValueError, match=f"n_components={wrong} should be a whole number from 1 to 3"):
            reduce(model, wrong)
    with pytest.raises(NotFittedError):
        reduce(GaussianMixture(2), 1)
    with pytest.raises(TypeError, match="fitted by maximum likelihood"):
        reduce(BayesianGaussianMixture(2), 1)
    np.testing.assert_allclose(reduce(model, 2).weights_, [0.5, 0.5])  # what weighs nothing goes first


# ---- noise, rows that are left out, groups ----


def scattered():
    """Two groups, the first of which has two parts, and rows all over the place."""
    rng = np.random.default_rng(0)
    groups = [rng.normal(0, 1, (90, 2)), rng.normal([1.5, 0], 1, (90, 2)), rng.normal([12, 0], 1, (90, 2))]
    return np.concatenate([*groups, rng.uniform(-60, 60, (30, 2))])


@pytest.mark.parametrize("options", [{"noise": "uniform"}, {"trim": 0.1}], ids=str)
@pytest.mark.parametrize("criterion", ["entropy", "icl", "overlap"])
def test_noise_and_rows_that_are_left_out_are_in_no_cluster(options, criterion):
    X = scattered()
    model = GaussianMixture(3, random_state=0, tol=1e-8, max_iter=2000, **options).fit(X)
    predicted, tree = model.predict(X), merge_tree(model, X, criterion=criterion)
    assert 20 < np.sum(predicted == -1) < 40
    assert (len(tree.entropy), len(tree.merges), tree.linkage.shape) == (3, 2, (2, 4))
    np.testing.assert_array_equal(tree.labels(3, X), predicted)
    np.testing.assert_array_equal(tree.labels(1, X) == -1, predicted == -1)
    np.testing.assert_array_equal(match(model, model), [0, 1, 2])
    np.testing.assert_array_equal(match(model, model, X), [0, 1, 2])
    resp, kept = model.predict_proba(X), np.ones(len(X), dtype=bool) if "noise" in options else predicted >= 0
    for n_clusters in (1, 2, 3):
        own = [resp[:, list(cluster)].sum(axis=1) for cluster in tree.clusters(n_clusters)]
        shares = np.column_stack([*own, *resp[:, 3:].T])[kept]
        assert tree.entropy[n_clusters - 1] == pytest.approx(entr(shares).sum(), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("n_components", [1, 2, 3])
def test_reduced_mixtures_keep_their_noise(n_components):
    X = scattered()
    model = GaussianMixture(3, noise="uniform", random_state=0, tol=1e-8, max_iter=2000).fit(X)
    reduced = reduce(model, n_components)
    assert reduced.n_components == n_components
    assert reduced.weights_[-1] == pytest.approx(model.weights_[-1], rel=1e-12)
    assert reduced.noise_volume_ == model.noise_volume_
    np.testing.assert_array_equal(reduced.noise_box_, model.noise_box_)
    floor = np.log(model.weights_[-1] / model.noise_volume_)  # what noise alone gives any row of the region
    assert reduced.score_samples(X).min() == pytest.approx(floor, abs=1e-6)
    if n_components == 3:
        np.testing.assert_allclose(reduced.score_samples(X), model.score_samples(X), rtol=1e-9)
    assert reduced.fit(X).n_components == n_components  # fits again


def test_reduced_mixtures_have_no_level_of_another_density():
    model = GaussianMixture(3, trim=0.1, random_state=0).fit(scattered())
    reduced = reduce(model, 2)
    assert not hasattr(reduced, "trim_level_")
    assert np.all(reduced.predict(scattered()) >= 0)
    assert hasattr(model, "trim_level_")


def test_groups_count_once():
    """As in `icl`, and as rows that have the shares of their group."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(50), 4)
    X = rng.normal(rng.integers(0, 3, 50)[groups][:, np.newaxis] * [1.0, 0.5], 1)
    model = GaussianMixture(3, random_state=0, tol=1e-8, max_iter=2000).fit(X, groups=groups)
    of_groups = model.predict_proba(X, groups=groups)[::4]
    tree = merge_tree(model, X, groups=[f"g{own}" for own in groups])
    assert tree.entropy[-1] == pytest.approx(entr(of_groups).sum(), rel=1e-9)
    by_icl = merge_tree(model, X, groups=groups, criterion="icl")
    assert by_icl.gains.sum() == pytest.approx((model.icl(X, groups=groups) - model.bic(X, groups=groups)) / 2)
    weighed = merge_tree(model, X, groups=groups, sample_weight=np.full(200, 3.0))
    assert weighed.entropy[-1] == pytest.approx(3 * tree.entropy[-1])
