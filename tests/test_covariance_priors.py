"""Priors of covariances and limits of their eigenvalues: other programs' values, and that the objective never falls.

`data/golden_shapes.json` has the log-likelihoods, without the prior, of fits with mclust's default prior: mclust's own
for VII, VVI, EEE and VVV, and those of a program in NumPy for EII and EEI, of which mclust 6.0.0 leaves out the scale,
or does not shrink the means. `tclust` has clipped eigenvalues, found by a line search.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from test_mclust import partition, read
from test_shapes import two_groups

from mixfast import GaussianMixture, Status, fit_many, load, partitions, select
from mixfast.estimators import _partitions
from mixfast.families._shapes import limited
from mixfast.families.covariances import SHAPES
from mixfast.families.gaussian import WITH_LIMIT, WITH_PRIOR

GOLDEN = json.loads((Path(__file__).parent / "data" / "golden_shapes.json").read_text())
NAMES = [name for name in WITH_PRIOR if len(name) == 3]


def name_of(case):
    return f"{case['data']}-{case['model']}-{case['G']}"


def with_prior(case, **options):
    X = read(case["data"])
    start = partition(X, case["G"])
    options = {"covariance_type": case["model"], "reg_covar": 0, "init_params": start} | options
    return GaussianMixture(case["G"], covariance_prior="default", **options).fit(X), X


@pytest.mark.filterwarnings("ignore:.*did not converge")
@pytest.mark.parametrize("covariance_type", ["VVV", "EEE", "VII"])
def test_the_prior_of_rows_in_partitions_follows_from_all_of_them(covariance_type, monkeypatch):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (700, 2)), rng.normal([6.0, 2.0], [2.0, 1.0], (500, 2))])
    weight = rng.uniform(0.1, 2, len(X))
    monkeypatch.setattr(_partitions, "SAMPLE", 300)
    options = {"covariance_type": covariance_type, "covariance_prior": "default", "tol": 1e-9, "max_iter": 500}
    estimator = GaussianMixture(2, random_state=0, canonical_order=True, **options)
    parts = partitions.InMemory([*zip(np.array_split(X, 5), np.array_split(weight, 5), strict=True)])
    there, whole = partitions.fit(estimator, parts), estimator.fit(X, sample_weight=weight)
    for name, value in whole.covariance_prior_.items():
        np.testing.assert_allclose(there.covariance_prior_[name], value, rtol=1e-12, err_msg=name)
    np.testing.assert_allclose(there.lower_bound_, whole.lower_bound_, rtol=1e-9)


@pytest.mark.filterwarnings("ignore:.*did not converge")
def test_margins_have_the_prior_of_their_columns():
    X = np.random.default_rng(0).normal(size=(100, 3))
    prior = {"mean": [0.0, 1.0, 2.0], "scale": np.diag([1.0, 2.0, 3.0]), "dof": 7.0}
    model = GaussianMixture(2, covariance_prior=prior, random_state=0).fit(X)
    for margin, columns in ((model.marginal([2, 0]), [2, 0]), (model.condition(1, 0.0), [0, 2])):
        again = margin.fit(X[:, columns])
        np.testing.assert_array_equal(again.covariance_prior_["mean"], np.array(prior["mean"])[columns])
        np.testing.assert_array_equal(again.covariance_prior_["scale"], prior["scale"][np.ix_(columns, columns)])
        assert again.covariance_prior_["dof"] == 7.0


@pytest.mark.filterwarnings("ignore:.*did not converge")
@pytest.mark.parametrize("case", GOLDEN["priors"], ids=name_of)
def test_the_log_likelihood_is_that_of_other_programs_on_the_way(case):
    for n_steps, expected in case["loglik_after"].items():
        model, X = with_prior(case, max_iter=int(n_steps) - 1, tol=0)
        assert model.score(X) * len(X) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("case", GOLDEN["priors"], ids=name_of)
def test_the_limit_is_that_of_other_programs(case):
    model, X = with_prior(case, max_iter=20_000, tol=1e-14)
    assert model.score(X) * len(X) == pytest.approx(case["loglik"], rel=1e-7)
    assert model._n_parameters() == case["df"]
    assert np.diff(model.lower_bounds_).min(initial=0) >= -1e-12
    prior, theirs = model.covariance_prior_, case["prior_params"]
    assert (prior["shrinkage"], prior["dof"]) == (theirs["shrinkage"], theirs["dof"])
    np.testing.assert_allclose(prior["mean"], np.ravel(theirs["mean"]), rtol=1e-10)
    scale = np.asarray(theirs["scale"], dtype=float)
    scale = scale * np.eye(X.shape[1]) if scale.size == 1 else scale.reshape(X.shape[1], -1)
    np.testing.assert_allclose(prior["scale"], scale, rtol=1e-10)


def log_prior(model):
    """By SciPy, up to a constant, but for the shape that all components share."""
    prior, d = model.covariance_prior_, model.means_.shape[1]
    total = 0.0
    for mean, covariance in zip(model.means_, model.covariances_, strict=True):
        total += stats.multivariate_normal(prior["mean"], covariance / prior["shrinkage"]).logpdf(mean)
        if model.covariance_type == "VVV":
            total += stats.invwishart(prior["dof"], prior["scale"]).logpdf(covariance)
        else:
            columns = np.diag(covariance), np.diag(prior["scale"])
            total += stats.invgamma.logpdf(columns[0], prior["dof"] / 2, scale=columns[1] / 2).sum()
    return total - 0.5 * d * np.log(prior["shrinkage"])


@pytest.mark.parametrize("name", ["VVV", "VVI"])
def test_the_lower_bound_is_the_log_posterior(name):
    """Differences of it are those of densities by SciPy, and of it small changes of the parameters take something."""
    X = two_groups()
    fits = [
        GaussianMixture(k, covariance_type=name, covariance_prior={"mean": np.zeros(3), "dof": 6.0, "scale": 2.0},
                        random_state=seed, tol=1e-13, max_iter=9000, reg_covar=0).fit(X)
        for k, seed in ((2, 0), (2, 1))
    ]  # fmt: skip
    one = fits[0]
    wanted = one.score(X) * len(X) + log_prior(one)
    early = GaussianMixture(
        2, covariance_type=name, covariance_prior=one.covariance_prior_, init_params=one.predict(X), max_iter=1, tol=0
    )
    with pytest.warns(UserWarning, match="did not converge"):
        early.set_params(max_iter=1, reg_covar=0).fit(X)
    begun = early.lower_bounds_[0]
    with np.errstate(all="ignore"):
        start = early.set_params(max_iter=0).fit(X)
    difference = one.lower_bound_ * len(X) - begun * len(X)
    assert difference == pytest.approx(wanted - start.score(X) * len(X) - log_prior(start), abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("accelerate", [None, "auto"])
def test_a_prior_keeps_components_from_single_rows(name, accelerate):
    X = np.concatenate([two_groups(), [[40.0, 40, 40]] * 3])
    start = np.concatenate([np.repeat([0, 1], 150), [2, 2, 2]])
    options = {"covariance_type": name, "init_params": start, "reg_covar": 0, "tol": 1e-9, "max_iter": 3000}
    model = GaussianMixture(3, covariance_prior="default", accelerate=accelerate, **options).fit(X)
    assert model.converged_
    assert not model.status_ & (Status.SPURIOUS_COMPONENT | Status.REPAIRED_COVARIANCE)
    assert np.diff(model.lower_bounds_).min() >= -1e-12


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_repetitions_and_threads_change_no_bit(name):
    X = two_groups()
    weight = np.arange(len(X)) % 3
    options = {"covariance_type": name, "covariance_prior": "default", "init_params": (X[:, 0] > 3).astype(int)}
    weighed = GaussianMixture(2, **options).fit(X, sample_weight=weight)
    options["init_params"] = np.repeat(options["init_params"], weight)
    repeated = GaussianMixture(2, **options).fit(np.repeat(X, weight, axis=0))
    np.testing.assert_allclose(weighed.covariances_, repeated.covariances_, rtol=1e-9)
    one, two = (GaussianMixture(2, n_threads=n, **options).fit(np.repeat(X, weight, axis=0)) for n in (1, 2))
    assert np.array_equal(one.covariances_, two.covariances_)


def test_models_with_a_prior_are_saved_updated_chosen_and_fitted_in_batches(tmp_path):
    X = read("iris")
    model = GaussianMixture(3, covariance_prior="default", random_state=0, tol=1e-12, max_iter=5000).fit(X)
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.score(X) == model.score(X)
    np.testing.assert_array_equal(again.covariance_prior_["scale"], model.covariance_prior_["scale"])
    before = model.covariances_.copy()
    model.update(model.statistics(X))
    np.testing.assert_allclose(model.covariances_, before, rtol=1e-4)
    chosen = select(X, GaussianMixture(covariance_prior="default"), covariance_type=["EEE", "VVV"], random_state=0)
    assert not chosen.best_.status_ & Status.SPURIOUS_COMPONENT
    batch = fit_many([X, X[:90]], GaussianMixture(2, covariance_prior="default", random_state=0))
    alone = GaussianMixture(2, covariance_prior="default", random_state=0).fit(X[:90])
    assert np.array_equal(batch[1].covariances_, alone.covariances_)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        *(({"covariance_type": name, "covariance_prior": "default"}, "covariance_prior='default' with covariance_type")
          for name in {*SHAPES, "diag", "tied", "spherical"} - {*WITH_PRIOR}),
        *(({"covariance_type": name, "eigenvalue_ratio": 9.0}, "eigenvalue_ratio=9.0 with covariance_type")
          for name in {*SHAPES, "diag", "tied", "spherical"} - {*WITH_LIMIT}),
        ({"covariance_prior": {"width": 1}}, r"covariance_prior has 'width', and should have"),
        ({"covariance_prior": {"scale": -1.0}}, "should be symmetric, positive-definite"),
        ({"covariance_prior": {"scale": np.eye(2)}}, r"should be a number or \(3, 3\), got \(2, 2\)"),
        ({"covariance_prior": {"mean": [0.0]}}, r"should have the shape of \(3,\), got \(1,\)"),
        ({"covariance_prior": {"shrinkage": -1}}, "should be a number of at least 0, got -1"),
        ({"covariance_prior": {"dof": np.inf}}, "should be a number of at least 0, got inf"),
        ({"covariance_prior": "flat"}, "The 'covariance_prior' parameter"),
        ({"eigenvalue_ratio": 0.5}, "The 'eigenvalue_ratio' parameter"),
        ({"covariance_prior": "default", "eigenvalue_ratio": 4.0}, "were both given"),
        ({"covariance_prior": "default", "regularization": "relative"}, "take regularization='absolute'"),
    ],
)  # fmt: skip
def test_what_is_no_prior_is_refused(options, match):
    with pytest.raises(ValueError, match=match):
        GaussianMixture(2, **options).fit(two_groups())


@pytest.mark.parametrize("case", GOLDEN["tclust"], ids=lambda case: str(case["c"]))
def test_clipped_eigenvalues_are_those_of_a_line_search(case):
    eigenvalues, n = np.array(case["eigenvalues"]), np.array(case["n"])
    np.testing.assert_allclose(limited(eigenvalues, n / n.sum(), case["c"]), case["restricted"], rtol=1e-9)


@pytest.mark.parametrize("accelerate", [None, "auto"])
@pytest.mark.parametrize("ratio", [1.0, 7.0, 1e3])
@pytest.mark.parametrize("name", ["full", *WITH_LIMIT[:-1]])
def test_eigenvalues_keep_their_ratio(name, ratio, accelerate):
    X = np.concatenate([two_groups(), [[40.0, 40, 40]] * 4])
    options = {"covariance_type": name, "reg_covar": 0, "random_state": 0, "tol": 1e-10, "max_iter": 4000}
    model = GaussianMixture(4, eigenvalue_ratio=ratio, accelerate=accelerate, **options).fit(X)
    eigenvalues = np.linalg.eigvalsh(model.covariances_)
    assert eigenvalues.max() <= ratio * eigenvalues.min() * (1 + 1e-10)
    assert np.diff(model.lower_bounds_).min() >= -1e-12
    assert not model.status_ & Status.REPAIRED_COVARIANCE
