"""The search over numbers of components and other parameters, and what is said of it."""

import doctest
import math
import tracemalloc

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.model_selection import KFold
from sklearn.utils._param_validation import InvalidParameterError
from test_mclust import read

from mixfast import (
    GSDMM,
    BernoulliMixture,
    CategoricalMixture,
    GaussianMixture,
    PoissonMixture,
    Status,
    bootstrap_lrt,
    fit_many,
    load,
    select,
    selection,
)
from mixfast.hierarchy import Hierarchy

TYPES = ["full", "tied", "diag", "spherical"]
RNG = np.random.default_rng(0)
CENTRES = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])
#: Three clusters that share a slanted covariance.
SLANTED = CENTRES[np.arange(300) % 3] + RNG.normal(size=(300, 2)) @ np.array([[1.0, 0.8], [0.0, 0.6]])
#: Five clusters in one column, ever narrower and closer: k-means misses the small ones.
UNLIKE = np.concatenate([RNG.normal(10 / 2**k, 1 / 2**k, (60, 1)) for k in range(5)])
BITS = (RNG.random((300, 8)) < np.where(np.arange(300)[:, np.newaxis] % 2, 0.15, 0.85)).astype(float)


def test_it_finds_the_number_and_the_covariances_of_clear_clusters():
    chosen = select(SLANTED, GaussianMixture(), n_components=range(1, 6), covariance_type=TYPES, random_state=0)
    assert chosen.best_params_ == {"n_components": 3, "covariance_type": "tied"}
    assert chosen.best_.n_components == 3
    assert chosen.best_.covariance_type == "tied"
    np.testing.assert_allclose(np.sort(chosen.best_.means_, axis=0), np.sort(CENTRES, axis=0), atol=0.3)


@pytest.mark.parametrize("criterion", ["bic", "aic", "icl", "heldout"])
def test_every_criterion_finds_three_clusters_of_covariances_given(criterion):
    chosen = select(
        SLANTED, GaussianMixture(covariance_type="tied"), n_components=[1, 2, 3], criterion=criterion, random_state=0
    )
    assert chosen.best_params_ == {"n_components": 3}


@pytest.mark.parametrize(
    ("data", "choice"),
    [("faithful", (3, "tied")), ("diabetes", (3, "full"))],
)
def test_it_chooses_what_mclust_publishes(data, choice):
    """EEE with 3 components for faithful, VVV with 3 for diabetes ("A quick tour of mclust", the package's vignette).
    mclust tries ten structures more; both of these choices are among our four."""
    chosen = select(read(data), GaussianMixture(max_iter=500), covariance_type=TYPES, random_state=0)
    assert tuple(chosen.best_params_.values()) == choice


def test_every_family_has_it():
    chosen = select(BITS, BernoulliMixture(), n_components=[1, 2, 3], alpha=[0.5, 2.0], random_state=0)
    assert chosen.best_params_["n_components"] == 2
    assert [row["alpha"] for row in chosen.table] == [0.5] * 3 + [2.0] * 3


@pytest.mark.parametrize("weighted", [False, True])
def test_criteria_are_the_estimators_own(weighted):
    weights = np.random.default_rng(1).integers(0, 3, len(SLANTED)) if weighted else None
    chosen = select(
        SLANTED, GaussianMixture(), n_components=[1, 3], covariance_type=TYPES, sample_weight=weights, random_state=0
    )
    assert len(chosen.table) == len(chosen.estimators_) == 8
    for row, model in zip(chosen.table, chosen.estimators_, strict=True):
        for name in ("bic", "aic", "icl"):
            assert row[name] == pytest.approx(getattr(model, name)(SLANTED, weights), rel=1e-12)
        assert row["lower_bound"] == model.lower_bound_
        assert row["n_iter"] == model.n_iter_
        assert row["status"] == str(model.status_) == "CONVERGED"
        assert row["failure"] == ""
        assert (row["n_components"], row["covariance_type"]) == (model.n_components, model.covariance_type)
    assert chosen.table[chosen.best_index_]["bic"] == min(row["bic"] for row in chosen.table)
    assert chosen.best_ is chosen.estimators_[chosen.best_index_]


def test_the_own_start_is_what_fit_gives():
    estimator = GaussianMixture(n_init=2, init_params="random_from_data")
    chosen = select(SLANTED, estimator, n_components=[2, 4], warm_start=False, random_state=5)
    for model in chosen.estimators_:
        alone = clone(model).fit(SLANTED)
        np.testing.assert_array_equal(model.means_, alone.means_)
    assert not hasattr(estimator, "means_")


def test_folds_are_disjoint_and_cover_all_rows():
    folds = selection._folds(selection.Data(SLANTED, None), 7, seed=0)
    tested = np.concatenate([test for _, test in folds])
    np.testing.assert_array_equal(np.sort(tested), np.arange(len(SLANTED)))
    for training, test in folds:
        np.testing.assert_array_equal(np.sort(np.concatenate([training, test])), np.arange(len(SLANTED)))
    assert len(folds) == 7


@pytest.mark.parametrize("weighted", [False, True])
def test_the_held_out_criterion_is_minus_the_mean_log_density_of_rows_not_fitted(weighted):
    weights = np.random.default_rng(1).uniform(0.5, 2, len(SLANTED)) if weighted else np.ones(len(SLANTED))
    chosen = select(
        SLANTED,
        GaussianMixture(),
        n_components=[2, 3],
        criterion="heldout",
        n_folds=4,
        sample_weight=weights if weighted else None,
        random_state=3,
    )
    for row in chosen.table:
        log_density = np.empty(len(SLANTED))
        for training, test in KFold(4, shuffle=True, random_state=3).split(SLANTED):
            model = clone(chosen.best_).set_params(n_components=row["n_components"])
            model.fit(SLANTED[training], sample_weight=weights[training])
            log_density[test] = model.score_samples(SLANTED[test])
        assert row["heldout"] == pytest.approx(-np.average(log_density, weights=weights), rel=1e-10)
    assert chosen.table[chosen.best_index_]["heldout"] == min(row["heldout"] for row in chosen.table)


@pytest.mark.parametrize(
    ("estimator", "X"),
    [
        (GaussianMixture(), UNLIKE),
        (GaussianMixture(covariance_type="diag"), read("diabetes")),
        (GaussianMixture(covariance_type="tied"), read("iris")),
        (BernoulliMixture(), BITS),
    ],
)
def test_warm_starts_never_lower_the_lower_bound(estimator, X):
    """At each number the best of several fits is kept, one of which is that without warm starts; those with a spurious
    component come behind all others."""
    warm, cold = (select(X, estimator, random_state=0, warm_start=warm_start) for warm_start in (True, False))
    for ours, theirs in zip(warm.table, cold.table, strict=True):
        ranks = [("SPURIOUS" not in row["status"], row["lower_bound"]) for row in (ours, theirs)]
        assert ranks[0] >= ranks[1]
    assert {row["start"] for row in cold.table} == {"own"}


def test_warm_starts_find_what_k_means_misses():
    warm, cold = (
        select(UNLIKE, GaussianMixture(), random_state=0, warm_start=warm_start) for warm_start in (True, False)
    )
    split = [place for place, row in enumerate(warm.table) if row["start"] == "split"]
    assert split
    for place in split:
        assert warm.table[place]["lower_bound"] > cold.table[place]["lower_bound"]
        model = warm.estimators_[place]
        assert (model.init_params, model.n_init) == ("auto", 1)  # the estimator's own, of use for other rows


def test_a_gap_in_the_numbers_takes_several_splits():
    labels = selection.split_labels(
        GaussianMixture(random_state=0), selection.Data(SLANTED, None), np.zeros(300, dtype=np.int64), 3
    )
    truth = np.arange(300) % 3
    assert len(np.unique(labels)) == 3
    assert len(np.unique(labels * 3 + truth)) == 3  # the same partition
    chosen = select(UNLIKE, GaussianMixture(), n_components=[8, 1, 4], random_state=0)
    assert [row["n_components"] for row in chosen.table] == [1, 4, 8]


def test_the_most_spread_out_group_is_split_whatever_the_units():
    X = np.concatenate([RNG.normal(0, 1, (100, 2)), RNG.normal(30, 4, (100, 2))])
    before = np.repeat([0, 1], 100)
    for unit in ([1.0, 1.0], [1e6, 1e-3]):
        data = selection.Data(X * unit, None)
        labels = selection.split_labels(GaussianMixture(reg_covar=0, random_state=0), data, before, 3)
        assert len(np.unique(labels[:100])) == 1
        assert len(np.unique(labels[100:])) == 2


def test_what_cannot_be_split_is_not():
    X = np.zeros((4, 1))
    data = selection.Data(X, None)
    assert selection.split_labels(GaussianMixture(random_state=0), data, np.arange(4), 5) is None


def test_a_cell_that_fails_says_why_and_does_not_stop_the_search():
    X = SLANTED[:6]
    chosen = select(X, GaussianMixture(), n_components=[1, 6, 7], random_state=0)
    row = chosen.table[-1]
    assert row["failure"] == "Expected n_samples >= n_components but got n_components = 7, n_samples = 6"
    assert row["status"] == "FAILED"
    assert all(math.isnan(row[name]) for name in ("bic", "aic", "icl", "lower_bound"))
    assert chosen.estimators_[-1] is None
    assert [bool(row["failure"]) for row in chosen.table] == [False, False, True]
    assert "failed" in repr(chosen)


def test_a_singular_fit_fails_where_the_estimator_says_so():
    strict = GaussianMixture(reg_covar=0, on_degenerate="raise")
    chosen = select(read("iris"), strict, n_components=[2, 30], random_state=0)
    assert "ill-defined empirical covariance" in chosen.table[1]["failure"]
    lenient = select(read("iris"), GaussianMixture(reg_covar=0), n_components=[2, 30], random_state=0)
    assert lenient.estimators_[1].status_ & Status.REPAIRED_COVARIANCE
    assert "REPAIRED_COVARIANCE" in lenient.table[1]["status"]


def test_a_fold_that_fails_leaves_the_other_criteria():
    X = SLANTED[:10]
    chosen = select(X, GaussianMixture(), n_components=[2, 9], criterion="heldout", n_folds=5, random_state=0)
    row = chosen.table[1]
    assert row["failure"].startswith("without the rows of fold 0: Expected n_samples >= n_components")
    assert math.isnan(row["heldout"])
    assert np.isfinite(row["bic"])
    assert chosen.best_params_ == {"n_components": 2}


def test_a_fit_that_does_not_converge_is_recorded_and_not_warned_of():
    chosen = select(SLANTED, GaussianMixture(max_iter=1, tol=0), n_components=[2, 4], random_state=0)
    assert {row["status"] for row in chosen.table} == {"MAX_ITER"}


def test_the_same_bits_for_any_number_of_threads():
    X = np.random.default_rng(0).normal(size=(20_000, 3)) + 4 * np.eye(3)[np.arange(20_000) % 3]
    tables = [
        select(
            X, GaussianMixture(), n_components=[2, 3], criterion="heldout", n_folds=2, random_state=0, n_threads=n
        ).table
        for n in (1, 2, 7)
    ]
    assert tables[1] == tables[0]
    assert tables[2] == tables[0]


def test_seeds_are_the_callers_or_the_estimators():
    kwargs = {"n_components": [3, 6], "criterion": "heldout"}
    own = select(UNLIKE, GaussianMixture(random_state=4), **kwargs)
    assert own.table == select(UNLIKE, GaussianMixture(), random_state=4, **kwargs).table
    generators = [select(UNLIKE, GaussianMixture(), random_state=np.random.RandomState(4), **kwargs) for _ in range(2)]
    assert generators[0].table == generators[1].table


def test_the_table_becomes_a_data_frame():
    frame = pd.DataFrame(SLANTED, columns=["length", "width"])
    chosen = select(frame, GaussianMixture(), n_components=[2, 3], covariance_type=["full", "tied"], random_state=0)
    table = chosen.to_frame()
    assert list(table.columns) == [
        "n_components", "covariance_type", "bic", "aic", "icl", "lower_bound", "n_iter", "status", "start", "failure",
    ]  # fmt: skip
    assert list(table["n_components"]) == [2, 3, 2, 3]
    assert table["bic"].idxmin() == chosen.best_index_
    assert list(chosen.best_.feature_names_in_) == ["length", "width"]


def test_what_is_printed_is_a_small_table(capsys):
    grid = {"n_components": [1, 3], "covariance_type": ["full", "tied"]}
    chosen = select(SLANTED, GaussianMixture(), **grid, random_state=0, progress=True, verbose=1)
    said = capsys.readouterr()
    assert "4/4" in said.err  # the bar
    printed = said.out.splitlines()
    assert len(printed) == 4
    assert printed[0].startswith("{'n_components': 1, 'covariance_type': 'full'}: bic ")
    lines = repr(chosen).splitlines()
    assert lines[0] == "Selection: n_components=3, covariance_type='tied'"
    assert lines[2].split() == ["n_components", "full", "tied"]
    assert lines[4].split() == ["3", f"{chosen.table[1]['bic']:.2f}", f"{chosen.table[3]['bic']:.2f}*"]


def test_a_wide_table_has_the_criterion_by_number_and_candidate():
    chosen = select(SLANTED[:8], GaussianMixture(), n_components=[1, 2, 9], covariance_type=TYPES[:2], random_state=0)
    frame = chosen.to_frame(wide=True)
    assert frame.index.tolist() == [1, 2, 9]
    assert frame.columns.tolist() == TYPES[:2]
    assert (frame.index.name, frame.columns.name) == ("n_components", "bic")
    for place, name in enumerate(TYPES[:2]):
        np.testing.assert_array_equal(frame[name], [row["bic"] for row in chosen.table[3 * place :][:3]])
    assert np.isnan(frame.loc[9, TYPES[0]])
    alone = select(SLANTED, GaussianMixture(), n_components=[1, 2], random_state=0).to_frame(wide=True)
    assert alone.columns.tolist() == ["bic"]


def test_a_choice_shows_itself_in_notebooks():
    chosen = select(SLANTED, GaussianMixture(), n_components=[1, 2], covariance_type=TYPES[:2], random_state=0)
    shown = chosen._repr_html_()
    best = chosen.table[chosen.best_index_]
    assert f"<b>{best['bic']:.2f}</b>" in shown
    assert shown.count("<b>") == 1
    for name in ("n_components", *TYPES[:2]):
        assert f">{name}</th>" in shown


def test_the_last_step_of_a_pipeline_is_chosen():
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline = make_pipeline(StandardScaler(), PCA(2), GaussianMixture())
    X = np.column_stack([SLANTED, SLANTED[:, 0] ** 2])
    weights = np.ones(len(X))
    weights[:5] = 0
    spoilt = X.copy()
    spoilt[:5] = np.nan
    grid = {"n_components": [1, 2, 3], "covariance_type": TYPES[:2], "random_state": 0}
    chosen = select(spoilt, pipeline, sample_weight=weights, **grid)
    rows = make_pipeline(StandardScaler(), PCA(2)).fit(X[5:])
    alone = select(rows.transform(X[5:]), GaussianMixture(), **grid)
    pd.testing.assert_frame_equal(chosen.to_frame(), alone.to_frame(), rtol=1e-9)  # the last bits are those of BLAS
    np.testing.assert_array_equal(chosen.predict(X), alone.predict(rows.transform(X)))
    np.testing.assert_array_equal(chosen.best_pipeline_.predict_proba(X), chosen.predict_proba(X))
    np.testing.assert_allclose(chosen.score_samples(X), alone.score_samples(rows.transform(X)), rtol=1e-9)
    assert str(chosen.summary(X[5:])) == str(alone.summary(rows.transform(X[5:])))
    assert not hasattr(pipeline.steps[0][1], "mean_")
    with pytest.raises(TypeError, match="write best_pipeline_ with joblib"):
        chosen.save("nowhere")
    assert alone.best_pipeline_ is None
    assert select(X, make_pipeline(GaussianMixture()), n_components=[1], random_state=0).best_pipeline_ is None
    with pytest.raises(TypeError, match="should be a mixture of mixfast"):
        select(X, make_pipeline(StandardScaler(), PCA()))


def test_the_picture_has_a_line_for_each_structure_the_best_and_what_failed():
    chosen = select(SLANTED[:8], GaussianMixture(), n_components=[1, 2, 9], covariance_type=TYPES[:2], random_state=0)
    _, ax = plt.subplots()
    assert chosen.plot(ax) is ax
    by_label = {line.get_label(): line.get_xydata() for line in ax.lines}
    for place, name in enumerate(TYPES[:2]):
        np.testing.assert_array_equal(by_label[name][:, 0], [1, 2, 9])
        np.testing.assert_array_equal(by_label[name][:, 1], [row["bic"] for row in chosen.table[3 * place :][:3]])
    best = chosen.table[chosen.best_index_]
    np.testing.assert_array_equal(by_label["best"], [[best["n_components"], best["bic"]]])
    crosses = [line.get_xdata() for line in ax.lines if line.get_marker() == "x" and len(line.get_xdata())]
    assert [list(numbers) for numbers in crosses] == [[9], [9]]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("number of components", "BIC")
    assert select(SLANTED, GaussianMixture(), n_components=[1], random_state=0).plot() is not ax


@pytest.mark.parametrize(
    ("error", "message", "kwargs"),
    [
        (TypeError, "should be a mixture of mixfast", {"estimator": GaussianMixture}),
        (TypeError, "finds the number of clusters itself and has no likelihood", {"estimator": GSDMM()}),
        (ValueError, "criterion='BIC' should be one of 'bic'", {"criterion": "BIC"}),
        (TypeError, "covariance_type='full' should be a list", {"covariance_type": "full"}),
        (TypeError, "n_components=3 should be a list", {"n_components": 3}),
        (ValueError, "covariance_type holds no values", {"covariance_type": []}),
        (TypeError, "'covariances' is a parameter neither of select nor of GaussianMixture", {"covariances": ["full"]}),
        (InvalidParameterError, "'covariance_type' parameter", {"covariance_type": ["ful"]}),
        (InvalidParameterError, "'n_components' parameter", {"n_components": [0, 1]}),
        (ValueError, "n_folds=1", {"criterion": "heldout", "n_folds": 1}),
        (ValueError, "No cell of the grid has a bic.*has no entry in any row", {"X": np.full((9, 2), np.nan)}),
        (ValueError, "Negative values in data passed to `sample_weight`", {"sample_weight": -np.ones(300)}),
    ],
)
def test_wrong_arguments_are_said_to_be_wrong(error, message, kwargs):
    arguments = {"X": SLANTED, "estimator": GaussianMixture()} | kwargs
    with pytest.raises(error, match=f"(?s){message}"):
        select(**arguments)


def test_the_example_in_the_docstring_runs():
    failures, tried = doctest.testmod(selection)
    assert tried > 3
    assert failures == 0


@pytest.mark.parametrize("n_folds", [1, 2.5, True, "five"])
def test_folds_are_named_as_the_caller_names_them(n_folds):
    X = np.random.default_rng(0).normal(size=(30, 2))
    with pytest.raises(ValueError, match=r"n_folds=.*at least 2"):
        select(X, GaussianMixture(), n_components=[1], criterion="heldout", n_folds=n_folds)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_what_is_not_finite_is_named_behind_assume_finite_too(value):
    X = np.random.default_rng(0).normal(size=(60, 2))
    X[3, 1] = value
    with sklearn.config_context(assume_finite=True), pytest.raises(ValueError, match="row 3"):
        select(X, GaussianMixture(), n_components=[1, 2, 3], random_state=0)


def test_a_hierarchy_copies_no_rows_but_those_that_it_draws():
    X = np.random.default_rng(0).normal(size=(200_000, 10)).astype(np.float32)
    X[::2] += 8
    tracemalloc.start()
    labels = Hierarchy(X, 0).labels(2)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.mean(labels[::2] != labels[1]) > 0.99
    assert most < 36e6  # 28: pairs of 2,000 rows, and blocks; with copies in float64 50


def test_a_choice_predicts_as_the_best_mixture_does(tmp_path):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (60, 2)), rng.normal(9, 1, (60, 2))])
    chosen = select(X, GaussianMixture(), n_components=[1, 2], random_state=0)
    for method in ("predict", "predict_proba", "score_samples"):
        np.testing.assert_array_equal(getattr(chosen, method)(X), getattr(chosen.best_, method)(X))
    assert str(chosen.summary(X)) == str(chosen.best_.summary(X))
    chosen.save(tmp_path / "best.mixfast")
    np.testing.assert_array_equal(load(tmp_path / "best.mixfast").means_, chosen.best_.means_)
    events = rng.poisson(3, size=(50, 2))
    exposure = np.full(50, 2.0)
    chosen = select(events, PoissonMixture(), n_components=[1, 2], exposure=exposure, random_state=0)
    wanted = chosen.best_.predict(events, exposure=exposure)
    np.testing.assert_array_equal(chosen.predict(events, exposure=exposure), wanted)


def test_infinity_is_never_best():
    """A value of one row alone is impossible where that row is held out."""
    X = np.random.default_rng(0).integers(0, 3, (100, 2))
    X[0, 0] = 9
    with pytest.raises(ValueError, match="No cell of the grid has a finite heldout"):
        select(X, CategoricalMixture(alpha=0), criterion="heldout", n_components=[1, 2], random_state=0)
    found = select(X, CategoricalMixture(), criterion="heldout", n_components=[1], alpha=[0, 1.0], random_state=0)
    assert found.best_params_["alpha"] == 1.0
    assert [row["heldout"] == np.inf for row in found.table] == [True, False]


class OfFewParameters(GaussianMixture):
    """A subclass as users write them, which has made up its mind about the others."""

    def __init__(self, n_components=1, random_state=None):
        super().__init__(n_components, tol=1e-4, reg_covar=1e-5, init_params="kmeans", random_state=random_state)


def test_constructors_may_lack_parameters_that_comparisons_set():
    X = np.random.default_rng(0).normal(size=(60, 2)) + 4 * (np.arange(60) % 2)[:, np.newaxis]
    whole = GaussianMixture(tol=1e-4, reg_covar=1e-5, init_params="kmeans", random_state=0)
    few = OfFewParameters(random_state=0)
    for criterion in ("bic", "heldout"):
        options = {"n_components": [1, 2], "criterion": criterion}
        one, other = (fit_many([X], own, keep="all", **options) for own in (few, whole))
        np.testing.assert_array_equal(one.criteria, other.criteria)
        assert type(one[0]) is OfFewParameters
        chosen = select(X, few, **options)
        assert chosen.best_params_ == {"n_components": 2}
        assert chosen.best_.tol == 1e-4
    assert bootstrap_lrt(X, few, 1, n_bootstrap=3, random_state=0).p_value < 1
