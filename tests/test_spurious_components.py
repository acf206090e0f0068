"""Components that are no find but a place where the likelihood has no bound: what is flagged, which starts lose, and
what is chosen."""

import json

import numpy as np
import pytest
from sklearn.base import clone
from test_mclust import DATA, read

from mixfast import (
    BernoulliMixture,
    GammaMixture,
    GaussianMixture,
    PoissonMixture,
    ProductMixture,
    Status,
    StudentTMixture,
    VonMisesFisherMixture,
    fit_many,
    parts,
    select,
)

TYPES = ["full", "tied", "diag", "spherical"]
CHOICES = json.loads((DATA / "mclust_choices.json").read_text())["choices"]
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
every_type = pytest.mark.parametrize("covariance_type", TYPES)


def is_spurious(model):
    return bool(model.status_ & Status.SPURIOUS_COMPONENT)


def n_rows_needed(covariance_type, n_features):
    return n_features + 2 if covariance_type == "full" else 3


# ---- what is flagged ------------------------------------------------------------------------------------------------


@every_type
@pytest.mark.parametrize("make", [GaussianMixture, StudentTMixture])
@pytest.mark.parametrize("factor", [0.999, 1.001])
def test_an_eigenvalue_below_ten_times_reg_covar_is_flagged(make, covariance_type, factor):
    X = np.random.default_rng(3).normal(size=(80, 4)) @ np.diag([1, 0.5, 0.4, 2.0])
    model = make(covariance_type=covariance_type, tol=1e-12, max_iter=5000)
    smallest = np.linalg.eigvalsh(model.set_params(reg_covar=0).fit(X).covariance_matrices()[0])[0]
    if make is StudentTMixture:  # what is added moves the scales too: found by trial
        for _ in range(30):
            model.set_params(reg_covar=smallest / 10).fit(X)
            smallest = np.linalg.eigvalsh(model.covariance_matrices()[0])[0]
        model.set_params(reg_covar=factor * smallest / 10)
    else:
        model.set_params(reg_covar=factor * smallest / 9)  # the eigenvalue has it already
    assert is_spurious(model.fit(X)) == (factor > 1)


def test_the_eigenvalue_is_exact_where_all_are_alike():
    """The bounds by the trace of the inverse leave a factor of the number of columns open."""
    d = 8
    X = np.vstack([np.eye(d), -np.eye(d)]) * np.sqrt(d)  # covariance: the identity
    for reg_covar, expected in ((1 / 9.01, False), (1 / 8.99, True), (1 / 30, False)):
        for covariance_type in ("full", "tied"):
            model = GaussianMixture(covariance_type=covariance_type, reg_covar=reg_covar).fit(X)
            assert is_spurious(model) == expected


@every_type
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_constant_column_makes_no_component_spurious(covariance_type, dtype):
    rng = np.random.default_rng(0)
    X = np.c_[rng.normal(size=(200, 2)) + 6 * (np.arange(200) % 2)[:, np.newaxis], np.full(200, 3.0)].astype(dtype)
    for reg_covar in (0.0, 1e-6):
        model = GaussianMixture(2, covariance_type=covariance_type, reg_covar=reg_covar, random_state=0).fit(X)
        assert not is_spurious(model)


@every_type
def test_tight_clusters_far_apart_are_not_spurious(covariance_type):
    rng = np.random.default_rng(0)
    X = 1e6 * np.array([[0, 0], [1, 0.3], [0.2, 1]])[np.arange(300) % 3] + rng.normal(size=(300, 2))
    assert not is_spurious(GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X))
    assert select(X, GaussianMixture(covariance_type=covariance_type), random_state=0).best_params_ == {
        "n_components": 3
    }


@every_type
@pytest.mark.parametrize("n_columns", [1, 2, 4])
@pytest.mark.parametrize("lacking", [0, 1])
def test_so_many_distinct_rows_are_needed(covariance_type, n_columns, lacking):
    """Rows that are repeated count once."""
    rng = np.random.default_rng(n_columns)
    n = n_rows_needed(covariance_type, n_columns) - lacking
    own = np.repeat(rng.normal(100, 1, size=(n, n_columns)), 5, axis=0)
    X = np.concatenate([rng.normal(size=(200, n_columns)), own])
    labels = np.repeat([0, 1], [200, len(own)])
    shuffled = rng.permutation(len(X))
    model = GaussianMixture(2, covariance_type=covariance_type, init_params=labels[shuffled]).fit(X[shuffled])
    assert is_spurious(model) == (lacking == 1)


@every_type
def test_rows_count_that_a_component_takes_more_than_half_of(covariance_type):
    """By the responsibilities that `predict_proba` gives, on fits that nothing was added to."""
    seen = {False: 0, True: 0}
    for seed in range(60):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(40 + seed, 2))
        X[:20] = X[0]
        X = rng.permutation(X) + rng.normal(size=X.shape) * (rng.random(X.shape[0]) < 0.9)[:, np.newaxis]
        model = GaussianMixture(6, covariance_type=covariance_type, reg_covar=0, tol=1e-4, random_state=seed)
        model.fit(X, sample_weight=rng.uniform(0.5, 2, len(X)))
        if model.status_ & Status.REPAIRED_COVARIANCE:
            continue
        taken = model.predict_proba(X) > 0.5
        n_distinct = min(len(np.unique(X[own], axis=0)) for own in taken.T)
        assert is_spurious(model) == (n_distinct < n_rows_needed(covariance_type, 2))
        seen[is_spurious(model)] += 1
    assert min(seen.values()) >= 3


@every_type
def test_a_column_that_groups_share_a_value_in_is_held_up_or_rounding(covariance_type):
    """Components of one value each have no variance in that column; what tied ones have is rounding."""
    X = np.c_[np.random.default_rng(0).normal(size=(100, 1)), np.repeat(10 * np.arange(5), 20)]
    model = GaussianMixture(
        5, covariance_type=covariance_type, reg_covar=0, init_params=X[:, 1].astype(int) // 10, max_iter=3
    )
    assert is_spurious(model.fit(X)) == (covariance_type != "spherical")
    chosen = select(X, GaussianMixture(covariance_type=covariance_type), random_state=0)
    assert not is_spurious(chosen.best_)


@pytest.mark.parametrize("thickness", [1e-6, 1e-2])
def test_rows_in_a_plane_to_a_few_digits_are_spurious(thickness):
    """Nothing is added to such a covariance, and none is singular."""
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(60, 3)) @ np.diag([1, 1, thickness]) @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
    X = np.concatenate([rng.normal(size=(200, 3)), flat + 20])
    model = GaussianMixture(2, reg_covar=0, init_params=np.repeat([0, 1], [200, 60])).fit(X)
    assert not model.status_ & Status.REPAIRED_COVARIANCE
    assert is_spurious(model) == (thickness < 1e-4)


def unit_rows(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def of_gamma(n, seed):
    return np.random.default_rng(seed).gamma(3, 2, size=(n, 2))


def of_directions(n, seed):
    return unit_rows(np.random.default_rng(seed).normal([2, 0, 0], 1, size=(n, 3)))


def of_normals(n, seed):
    return np.random.default_rng(seed).normal(size=(n, 2))


@pytest.mark.parametrize(
    ("model", "draw"),
    [
        (GaussianMixture(2), of_normals),
        (StudentTMixture(2), of_normals),
        (GammaMixture(2), of_gamma),
        (VonMisesFisherMixture(2), of_directions),
        (ProductMixture([(0, parts.Gaussian()), (1, parts.Gamma())], 2), of_gamma),
        (ProductMixture([(0, 1, parts.StudentT())], 2), of_normals),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "fit") else "",
)
def test_a_spike_is_flagged_and_a_cluster_is_not(model, draw):
    """Every family whose likelihood has no bound; those of counts and categories have one."""
    X = draw(200, 0)
    spike = np.concatenate([X, np.repeat(X[:1], 40, axis=0)])
    labels = np.repeat([0, 1], [200, 40])
    flagged = clone(model).set_params(init_params=labels).fit(spike)
    assert is_spurious(flagged)
    (alone,) = fit_many([X], clone(model).set_params(random_state=0)).status
    assert bool(alone & Status.SPURIOUS_COMPONENT) == is_spurious(clone(model).set_params(random_state=0).fit(X))
    both = np.concatenate([X, unit_rows(draw(200, 1) * [-1, 1, 1]) if X.shape[1] == 3 else 50 + draw(200, 1)])
    assert not is_spurious(clone(model).set_params(init_params=np.repeat([0, 1], 200)).fit(both))


@pytest.mark.parametrize("model", [PoissonMixture(2), BernoulliMixture(2, alpha=0)], ids=["Poisson", "Bernoulli"])
def test_likelihoods_that_have_a_bound_have_no_spikes(model):
    X = np.tile([[0.0, 1, 0], [1, 0, 1]], (30, 1))
    assert not is_spurious(clone(model).set_params(init_params=np.arange(60) % 2).fit(X))


# ---- which starts lose, alone and in batches ------------------------------------------------------------------------


def with_an_atom(seed):
    rng = np.random.default_rng(seed)
    return rng.permutation(np.concatenate([rng.normal(size=120), np.zeros(12)]))[:, np.newaxis]


@pytest.mark.parametrize("n_init_policy", ["all", "halving"])
def test_starts_that_end_spurious_lose_against_those_that_do_not(n_init_policy):
    estimator = GaussianMixture(3, reg_covar=0, init_params="random_from_data", tol=1e-5, max_iter=500)
    n_overruled = 0
    for seed in range(6):
        X = with_an_atom(seed)
        first = clone(estimator).set_params(random_state=seed).fit(X)  # the first of the starts below
        several = clone(estimator).set_params(random_state=seed, n_init=12, n_init_policy=n_init_policy).fit(X)
        others = [clone(estimator).set_params(random_state=100 + i).fit(X) for i in range(12)]
        spikes = [other.lower_bound_ for other in others if is_spurious(other)]
        assert is_spurious(first) or not is_spurious(several)
        if not is_spurious(several) and spikes and max(spikes) > several.lower_bound_:
            n_overruled += 1
    assert n_overruled >= 3


@pytest.mark.parametrize("accelerate", [None, "auto"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@every_type
def test_a_batch_flags_and_drops_what_fits_alone_do(covariance_type, dtype, accelerate):
    problems = [with_an_atom(seed).astype(dtype) for seed in range(12)]
    options = {"covariance_type": covariance_type, "accelerate": accelerate, "init_params": "kmeans"}
    estimator = GaussianMixture(3, reg_covar=0, n_init=4, random_state=0, max_iter=300, **options)
    results = [fit_many(problems, estimator, n_threads=n_threads) for n_threads in (1, 2, 3)]
    alone = [clone(estimator).fit(X) for X in problems]
    for result in results:
        assert [Status(int(status)) for status in result.status] == [model.status_ for model in alone]
        assert list(result.lower_bound) == [model.lower_bound_ for model in alone]


# ---- what is chosen -------------------------------------------------------------------------------------------------


def chosen_number(X, **grid):
    return select(X, GaussianMixture(), random_state=0, **grid).best_params_["n_components"]


def test_ten_columns_of_noise_are_one_component():
    noise = [np.random.default_rng(seed).normal(size=(60, 10)) for seed in range(4)]
    assert {chosen_number(X, covariance_type=TYPES) for X in noise} == {1}


@pytest.mark.parametrize("grid", [{}, {"covariance_type": ["full", "tied"]}], ids=["full", "full and tied"])
def test_fifteen_rows_of_noise_are_seldom_more_than_one_component(grid):
    """33 of 40 is what mclust finds."""
    found = [chosen_number(np.random.default_rng(s).normal(size=(15, 1)), **grid) for s in range(40)]
    assert found.count(1) >= 33


def test_batches_choose_few_components_for_noise_and_for_counts():
    noise = [np.random.default_rng(s).normal(size=(15, 1)) for s in range(200)]
    counts = [np.random.default_rng(s).poisson(2, size=(200, 1)).astype(float) for s in range(200)]
    estimator = GaussianMixture(random_state=0)
    assert np.mean(fit_many(noise, estimator, n_components=range(1, 10)).n_components == 1) > 0.8
    result = fit_many(counts, estimator, n_components=range(1, 10))
    assert np.mean(result.n_components <= 2) >= 0.8
    assert not np.any(result.status & Status.SPURIOUS_COMPONENT)


def test_counts_as_numbers_are_few_components():
    found = [chosen_number(np.random.default_rng(s).poisson(2, size=(200, 1)).astype(float)) for s in range(5)]
    assert max(found) <= 2


@pytest.mark.parametrize("name", sorted(CHOICES))
def test_no_worse_than_mclust_on_real_data(name):
    """By BIC over the four structures, from three seeds; and no component has a column that its rows are all equal in,
    or is flat beside all rows together."""
    X = read(name)
    inverse = np.linalg.inv(np.linalg.cholesky(np.atleast_2d(np.cov(X.T, bias=True))))
    for seed in range(3):
        chosen = select(X, GaussianMixture(), covariance_type=TYPES, random_state=seed)
        model = chosen.best_
        assert model.bic(X) <= CHOICES[name]["bic"] + 0.5
        assert not is_spurious(model)
        if model.covariance_type != "tied":
            labels = model.predict(X)
            for k, covariance in enumerate(model.covariance_matrices()):
                assert np.all(np.ptp(X[labels == k], axis=0) > 0)
                assert np.linalg.eigvalsh(inverse @ covariance @ inverse.T)[0] > 1e-5


@pytest.mark.parametrize("name", sorted(CHOICES))
def test_no_worse_than_mclust_among_fourteen_shapes(name):
    """From one seed; mclust starts from a hierarchy that it always finds alike."""
    X = read(name)
    model = select(X, GaussianMixture(), covariance_type="all", random_state=0).best_
    assert model.bic(X) <= CHOICES[name]["bic_of_shape"] + 0.01
    assert not is_spurious(model)


def test_atoms_are_there_for_who_asks():
    X = np.concatenate([np.random.default_rng(0).normal(size=(200, 1)), np.full((100, 1), 2.0)])
    plain, with_atoms = (
        select(X, GaussianMixture(), n_components=[1, 2], allow_spurious=allow_spurious, random_state=0)
        for allow_spurious in (False, True)
    )
    assert not is_spurious(plain.best_)
    assert with_atoms.best_params_ == {"n_components": 2}
    assert is_spurious(with_atoms.best_)
    np.testing.assert_allclose(np.sort(with_atoms.best_.weights_), [1 / 3, 2 / 3], atol=0.01)
    for keep in ("best", "all"):
        batch = [
            fit_many(
                [X, X[:50]], GaussianMixture(random_state=0), n_components=[1, 2], keep=keep, allow_spurious=allowed
            )
            for allowed in (False, True)
        ]
        assert [list(result.n_components) for result in batch] == [[1, 1], [2, 1]]
        assert list(batch[1].to_frame()["status"].str.contains("SPURIOUS_COMPONENT")) == [True, False]


def test_a_spurious_fit_is_chosen_where_there_is_no_other():
    X = np.tile(np.random.default_rng(0).normal(size=(2, 1)), (10, 1))
    chosen = select(X, GaussianMixture(), n_components=[1, 2], random_state=0)
    result = fit_many([X], GaussianMixture(random_state=0), n_components=[1, 2])
    assert is_spurious(chosen.best_)
    assert result.status[0] & Status.SPURIOUS_COMPONENT
    assert chosen.best_index_ == result.chosen[0] == 0


def test_the_table_and_the_picture_say_which_are_spurious():
    X = np.concatenate([np.random.default_rng(0).normal(size=(200, 1)), np.full((100, 1), 2.0)])
    chosen = select(X, GaussianMixture(), n_components=[1, 2], allow_spurious=False, warm_start=False, random_state=0)
    assert [("SPURIOUS_COMPONENT" in row["status"]) for row in chosen.table] == [False, True]
    lines = repr(chosen).splitlines()
    assert "~ has a spurious component" in lines[1]
    assert [line[-1] for line in lines[-2:]] == ["*", "~"]
    assert "~" not in repr(select(X[:200], GaussianMixture(), n_components=[1, 2], random_state=0))
    ax = chosen.plot()
    (hollow,) = (line for line in ax.lines if line.get_markerfacecolor() == "white" and len(line.get_xdata()))
    assert list(hollow.get_xdata()) == [2]
    assert "spurious" in [text.get_text() for text in ax.get_legend().get_texts()]


# ---- what fits that are compared are fitted with --------------------------------------------------------------------


def test_only_defaults_become_others_where_fits_are_compared():
    X = read("iris")
    for estimator, expected in (
        (GaussianMixture(), (0.0, 1e-6, 1000)),
        (GaussianMixture(reg_covar=1e-3, tol=1e-4, max_iter=50), (1e-3, 1e-4, 50)),
        (StudentTMixture(), (0.0, 1e-6, 1000)),
        (GaussianMixture(regularization="relative"), (1e-6, 1e-6, 1000)),
    ):
        best = select(X, estimator, n_components=[1, 2], random_state=0).best_
        assert (best.reg_covar, best.tol, best.max_iter) == expected
        result = fit_many([X], estimator, n_components=[1, 2], random_state=0)
        assert {candidate.reg_covar for candidate in result.candidates} == {expected[0]}
        (alone,) = fit_many([X], estimator, random_state=0).candidates
        assert alone.reg_covar == estimator.reg_covar
    best = select(X, GaussianMixture(), n_components=[1, 2], reg_covar=[1e-6], random_state=0).best_
    assert best.reg_covar == 1e-6
    product = ProductMixture([(0, 1, parts.Gaussian()), (2, parts.Gaussian(reg_covar=1e-3)), (3, parts.Gamma())])
    best = select(X, product, n_components=[1, 2], random_state=0).best_
    assert [part.reg_covar for *_, part in best.parts[:2]] == [0.0, 1e-3]
    assert product.parts[0][-1].reg_covar == 1e-6


def test_the_units_of_a_column_change_no_choice():
    """By default 1e-6 is added to the variances of a fit; here they are as small."""
    X = read("iris")
    chosen, small = (
        select(rows, GaussianMixture(), covariance_type=["full", "tied"], random_state=0) for rows in (X, X * 1e-3)
    )
    assert chosen.best_params_ == small.best_params_ == {"n_components": 2, "covariance_type": "full"}
    volume = 2 * X.size * np.log(1e-3)
    assert small.best_.bic(X * 1e-3) - volume == pytest.approx(chosen.best_.bic(X), abs=1e-3)


@pytest.mark.parametrize("n_columns", [1, 2])
@pytest.mark.parametrize("keep", ["best", "all"])
def test_where_all_fits_are_spurious_the_one_with_the_fewest_parameters_is_chosen(keep, n_columns):
    """Likelihoods without a bound: a criterion would take the most components."""
    rng = np.random.default_rng(0)
    problems = [rng.normal(size=(n, n_columns)) for n in (2, 3)]
    result = fit_many(problems, GaussianMixture(random_state=0), n_components=[1, 2, 3], keep=keep)
    assert np.all(result.n_components[result.status & Status.SPURIOUS_COMPONENT != 0] == 1)
    assert result.status[0] & Status.SPURIOUS_COMPONENT
    for X in problems:
        chosen = select(X, GaussianMixture(), n_components=[1, 2], random_state=0)
        if chosen.best_.status_ & Status.SPURIOUS_COMPONENT:
            assert chosen.best_.n_components == 1
