"""Batches of posteriors: `DirichletProcessMixture` in `fit_many` and its kin, numbers of clusters, tables."""

import copy
import pickle

import numpy as np
import pytest
from batches import arrays, assert_equals_alone, assert_same_fit, assert_same_state, fit_alone, same_bits

from mixfast import (
    BayesianGaussianMixture,
    DirichletProcessMixture,
    GaussianMixture,
    Status,
    StudentTMixture,
    fit_many,
    fit_many_columns,
    fit_many_groups,
    load,
    select,
)

pd = pytest.importorskip("pandas")

RNG = np.random.default_rng(3)
SIZES = [60, 5, 41, 1, 100]
GROUPS = [RNG.integers(3, size=n) for n in SIZES]
REALS = [RNG.normal(size=(n, 2)) + 7 * group[:, np.newaxis] for n, group in zip(SIZES, GROUPS, strict=True)]
BITS = [
    (RNG.random((len(group), 4)) < np.array([0.1, 0.9, 0.4])[group][:, np.newaxis]).astype(float) for group in GROUPS
]
CODES = [RNG.binomial(3, 0.2 + 0.3 * group[:, np.newaxis], size=(len(group), 3)).astype(float) for group in GROUPS]
COUNTS = [RNG.poisson(1.0 + 8 * group[:, np.newaxis], size=(len(group), 3)).astype(float) for group in GROUPS]
PROBLEMS = {
    "full": REALS,
    "tied": REALS,
    "diag": REALS,
    "spherical": REALS,
    "bernoulli": BITS,
    "categorical": CODES,
    "multinomial": COUNTS,
    "poisson": COUNTS,
    "exponential": COUNTS,
}
PROCESS = DirichletProcessMixture(concentration=0.7)


@pytest.mark.parametrize("component", PROBLEMS)
@pytest.mark.parametrize("concentration", [1.0, (2.0, 3.0)])
def test_problems_have_the_bits_of_fits_alone(component, concentration):
    estimator = DirichletProcessMixture(component, concentration=concentration)
    result = assert_equals_alone(PROBLEMS[component], estimator)
    assert np.all(result.has_parameters)
    rows = result.score_samples(PROBLEMS[component])
    for own, X, log_prob, labels, resp in zip(
        result,
        PROBLEMS[component],
        rows,
        result.predict(PROBLEMS[component]),
        result.predict_proba(PROBLEMS[component]),
        strict=True,
    ):
        assert same_bits(log_prob, own.score_samples(X))
        assert same_bits(labels, own.predict(X))
        assert same_bits(resp, own.predict_proba(X))


def test_float32_and_weights():
    narrow = [X.astype(np.float32) for X in REALS]
    assert assert_equals_alone(narrow, PROCESS).dtype == np.float32
    weights = [RNG.integers(0, 3, len(X)).astype(float) for X in REALS]
    weights[3][:] = 1
    assert_equals_alone(REALS, PROCESS, sample_weight=weights)


def test_numbers_of_threads_and_orders_of_problems_change_nothing():
    one = fit_many(REALS, PROCESS, random_state=1, n_threads=1)
    seven = fit_many(REALS, PROCESS, random_state=1, n_threads=7)
    assert all(same_bits(own, arrays(seven)[name]) for name, own in arrays(one).items())
    turned = fit_many(REALS[::-1], PROCESS, random_state=1)
    for i in range(len(REALS)):
        assert_same_fit(turned[len(REALS) - 1 - i], one[i])


def test_arrays_are_those_of_the_estimators():
    result = fit_many(REALS, PROCESS, random_state=0)
    assert result.n_components.tolist() == [len(own.counts_) for own in result]
    assert result.n_clusters.tolist() == [own.n_clusters_ for own in result]
    assert result.weights.shape == (5, max(result.n_components))
    for i, own in enumerate(result):
        k = len(own.counts_)
        assert same_bits(result.weights[i, :k], own.weights_)
        assert np.all(np.isnan(result.weights[i, k:]))
        assert same_bits(result.means[i, :k], own.means_)
        assert result.lower_bound[i] == own.lower_bound_
        assert result.n_iter[i] == own.n_iter_
    assert np.all(np.isnan(result.criteria))
    assert "DirichletProcessMixture" in repr(result)
    assert {"means", "counts"} <= set(dir(result))
    frame = result.to_frame()
    assert frame["n_clusters"].tolist() == result.n_clusters.tolist()
    assert len(frame) == 5
    with pytest.raises(ValueError, match="read-only"):
        result.means[0] = 1
    with pytest.raises(AttributeError, match="as it was fitted"):
        result.weights = 1
    with pytest.raises(AttributeError, match="rates"):
        result.rates  # noqa: B018


def test_bad_problems_harm_no_other():
    problems = [X.copy() for X in COUNTS]
    problems[0][3, 1], problems[2][5, 0] = np.nan, -1.0
    problems.append(np.empty((0, 3)))
    result = fit_many(problems, DirichletProcessMixture("poisson"), random_state=0)
    statuses = [Status.NOT_FINITE, None, Status.OUT_OF_DOMAIN, None, None, Status.TOO_FEW_ROWS]
    for i, status in enumerate(statuses):
        assert result.has_parameters[i] == (status is None)
        if status is None:
            assert_same_fit(result[i], fit_alone(DirichletProcessMixture("poisson"), problems[i], 0))
            continue
        assert result.status[i] == status
        assert result.n_clusters[i] == -1
        assert np.isnan(result.lower_bound[i])
        with pytest.raises(ValueError, match="has no parameters: its status is"):
            result[i]
    for method, blank in ((result.predict, -1), (result.score_samples, np.nan)):
        values = method(problems)
        assert [len(own) for own in values] == [len(X) for X in problems]
        np.testing.assert_array_equal(values[0], np.full(60, blank))
    assert [own.shape for own in result.predict_proba(problems)] == [
        (len(X), k) for X, k in zip(problems, result.n_components, strict=True)
    ]
    few = fit_many(REALS, DirichletProcessMixture(init_components=6), random_state=0)
    assert (few.status == Status.TOO_FEW_ROWS).tolist() == [len(X) < 6 for X in REALS]
    none = fit_many([np.full((4, 2), np.nan)], PROCESS, random_state=0)
    assert none.weights.shape == (1, 1)
    assert not none.has_parameters[0]


def test_an_interrupt_keeps_what_is_done(monkeypatch):
    fit, n_left = DirichletProcessMixture.fit, iter([None] * 2)

    def stopped(self, X, *args, **kwargs):
        if next(n_left, self) is self:
            raise KeyboardInterrupt
        return fit(self, X, *args, **kwargs)

    monkeypatch.setattr(DirichletProcessMixture, "fit", stopped)
    with pytest.warns(UserWarning, match="Ctrl-C ended the batch: 3 of 5 problems are not fitted"):
        result = fit_many(REALS, PROCESS, random_state=0)
    assert result.has_parameters.tolist() == [True, True, False, False, False]
    assert np.all(result.status[2:] == Status.INTERRUPTED)


def test_progress_counts_the_fits(capsys):
    pytest.importorskip("tqdm")
    fit_many([*REALS, np.full((3, 2), np.inf)], PROCESS, random_state=0, progress=True)
    assert "6/6" in capsys.readouterr().err


def test_groups_and_columns():
    table = pd.DataFrame({"site": np.repeat(["b", "a"], 50), "x": REALS[4][:, 0], "y": REALS[4][:, 1]})
    result = fit_many_groups(table, PROCESS, by="site", random_state=0)
    assert result.names == ["a", "b"]
    assert result.feature_names.tolist() == ["x", "y"]
    for name, own in zip(result.names, result, strict=True):
        alone = fit_alone(PROCESS, table.loc[table.site == name, ["x", "y"]], 0)
        assert_same_fit(own, alone)
    columns = fit_many_columns(table[["x", "y"]], PROCESS, random_state=0)
    for name, own in zip(columns.names, columns, strict=True):
        assert_same_fit(own, fit_alone(PROCESS, table[[name]], 0))


@pytest.mark.parametrize(
    "estimator",
    [
        GaussianMixture(2, noise="uniform"),
        GaussianMixture(2, covariance_type="diag", trim=0.1),
        GaussianMixture(2, covariance_type="factor", noise="uniform"),
        StudentTMixture(2, noise="uniform"),
        BayesianGaussianMixture(2, prune=True),
        *(DirichletProcessMixture(component) for component in PROBLEMS),
        GaussianMixture(2),
    ],
    ids=str,
)
def test_batches_that_fail_have_the_arrays_of_those_that_do_not(estimator, tmp_path):
    component = getattr(estimator, "component", None)
    good = PROBLEMS[component][0] if component in PROBLEMS else REALS[0]
    bad = np.full_like(good, np.inf, dtype=float)
    fits = fit_many([good, bad], estimator, random_state=0)
    fit_many([bad], estimator, random_state=0).save(tmp_path / "batch")
    for nothing in (fit_many([bad, bad], estimator, random_state=0), fits[[1]], load(tmp_path / "batch")):
        assert nothing._fields == fits._fields
        assert len(fits._fields) > 0
        for name in ("weights", *fits._fields):
            array = getattr(nothing, name)
            assert array.ndim == getattr(fits, name).ndim, name
            assert len(array) == len(nothing)
            assert np.all(np.isnan(array)), name
        assert len(nothing.to_frame()) == len(nothing)
        assert not nothing.has_parameters.any()


def test_files_and_copies(tmp_path):
    problems = [*REALS, np.full((3, 2), np.inf)]
    result = fit_many([pd.DataFrame(X, columns=["x", "y"]) for X in problems], PROCESS, random_state=2)
    result.names = list("abcdef")
    result.save(tmp_path / "batch")
    for same in (load(tmp_path / "batch"), pickle.loads(pickle.dumps(result)), copy.deepcopy(result)):
        assert all(same_bits(own, arrays(result)[name]) for name, own in arrays(same).items())
        assert same.names == result.names
        assert same.feature_names.tolist() == ["x", "y"]
        assert_same_state([same[i] for i in range(5)], [result[i] for i in range(5)])
        assert_same_state(same.score_samples(problems), result.score_samples(problems))
    assert same.candidates[0].get_params() == PROCESS.get_params()


def test_what_a_batch_refuses():
    with pytest.raises(ValueError, match=r"algorithm='sampler' has no batch.*algorithm='variational'"):
        fit_many(REALS, DirichletProcessMixture(algorithm="sampler"))
    with pytest.raises(ValueError, match="concentration"):
        fit_many(REALS, DirichletProcessMixture(concentration=-1))
    with pytest.raises(ValueError, match="DirichletProcessMixture has no parameter 'n_components'"):
        fit_many(REALS, PROCESS, n_components=[1, 2])
    with pytest.raises(TypeError, match="has a posterior and no likelihood"):
        select(REALS[0], PROCESS)


# ---- numbers of clusters, and tables of columns, of every batch -----------------------------------------------------


@pytest.mark.parametrize("prune", [False, True])
def test_numbers_of_clusters_of_bayesian_batches(prune):
    problems = [X for X in REALS if len(X) > 5] + [np.full((9, 2), np.nan)]
    result = fit_many(problems, BayesianGaussianMixture(6, prune=prune), random_state=0)
    assert result.n_clusters.dtype == np.int64
    assert result.n_clusters.tolist() == [*(result[i].n_clusters_ for i in range(3)), -1]
    assert result.to_frame()["n_clusters"].tolist() == result.n_clusters.tolist()


def test_components_of_likelihoods_are_all_there():
    result = fit_many(REALS[:1], GaussianMixture(2), random_state=0)
    assert not hasattr(result, "n_clusters")
    assert "n_clusters" not in result.to_frame()


@pytest.mark.parametrize(
    "estimator", [GaussianMixture(2), BayesianGaussianMixture(3), PROCESS], ids=["likelihood", "Bayesian", "process"]
)
def test_results_of_columns_predict_tables(estimator, tmp_path):
    table = pd.DataFrame(REALS[4], columns=["x", "y"])
    table.loc[[2, 7], "x"] = np.nan
    result = fit_many_columns(table, estimator, random_state=0)
    assert [own.feature_names_in_.tolist() for own in result] == [["x"], ["y"]]
    result.save(tmp_path / "batch")
    shuffled = table.assign(more="none")[["more", "y", "x"]]
    for same in (result, load(tmp_path / "batch")):
        for rows in (table, shuffled):
            labels, log_prob, resp = same.predict(rows), same.score_samples(rows), same.predict_proba(rows)
            for i, name in enumerate("xy"):
                here = table[name].notna().to_numpy()
                own, known = result[i], table.loc[here, [name]]
                assert same_bits(labels[i][here], own.predict(known))
                assert same_bits(log_prob[i][here], own.score_samples(known))
                assert same_bits(resp[i][here], own.predict_proba(known))
                assert np.all(labels[i][~here] == -1)
                assert np.all(np.isnan(log_prob[i][~here]))
                assert np.all(np.isnan(resp[i][~here]))
    as_problems = [table.loc[table[name].notna(), [name]].to_numpy() for name in "xy"]
    assert same_bits(np.concatenate(result.predict(as_problems)), np.concatenate(labels)[np.concatenate(labels) >= 0])
    with pytest.raises(ValueError, match=r"problems should have the columns that were fitted: 'y' is missing"):
        result.predict(table[["x"]])


def test_results_of_columns_of_arrays_predict_arrays():
    result = fit_many_columns(REALS[4], GaussianMixture(2), random_state=0)
    assert not hasattr(result[0], "feature_names_in_")
    labels = result.predict(REALS[4])
    assert same_bits(labels[1], result[1].predict(REALS[4][:, [1]]))
    with pytest.raises(ValueError, match="there are 1 problems, and 2 were fitted"):
        result.predict(REALS[4][:, :1])
