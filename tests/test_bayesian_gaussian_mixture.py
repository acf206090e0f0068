"""`BayesianGaussianMixture`: scikit-learn's numbers where these are exact, the laws of variational Bayes elsewhere."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import sklearn.mixture
from scipy.integrate import quad
from sklearn.mixture.tests import test_bayesian_mixture as theirs

from mixfast import BayesianGaussianMixture, fit_many, load, select
from mixfast._reference.bayesian import gaussian, proportions, variational

STRUCTURES = ["full", "tied", "diag", "spherical"]
FAITHFUL = Path(__file__).parent / "data" / "faithful.csv"
WEIGHT_PRIORS = ["dirichlet_process", "dirichlet_distribution"]
PRIORS = {
    "full": gaussian.NormalInverseWishart,
    "tied": gaussian.TiedNormalInverseWishart,
    "diag": gaussian.NormalGamma,
    "spherical": gaussian.SphericalNormalGamma,
}
RNG = np.random.default_rng(5)
X = np.concatenate(
    [RNG.normal(size=(50, 3)), RNG.normal(size=(70, 3)) * [1, 2, 0.5] + [3, 0, 1], RNG.normal(size=(40, 3)) - 2]
)
LABELS = RNG.integers(0, 4, len(X))
quietly = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
all_kinds = pytest.mark.parametrize(
    ("structure", "weights"), [(one, other) for one in STRUCTURES for other in WEIGHT_PRIORS]
)


# ---- scikit-learn ---------------------------------------------------------------------------------------------------

#: Its test of 'tied' and 'spherical' against 'full' calls private methods, and asserts its own number of degrees of
#: freedom, n / n_components, for the matrix that all components share.
OWN_TESTS = [
    name for name, _ in inspect.getmembers(theirs, inspect.isfunction)
    if name.startswith("test_") and name != "test_compare_covar_type"
]  # fmt: skip


@quietly
@pytest.mark.parametrize("name", OWN_TESTS)
def test_scikit_learns_own_tests(name, monkeypatch):
    monkeypatch.setattr(theirs, "BayesianGaussianMixture", BayesianGaussianMixture)
    test = getattr(theirs, name)
    marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    if not marks:
        test()
        return
    (mark,) = marks
    names = [own.strip() for own in mark.args[0].split(",")]
    for values in mark.args[1]:
        test(**dict(zip(names, values, strict=True)))


class FromLabels(sklearn.mixture.BayesianGaussianMixture):
    def _initialize_parameters(self, X, random_state, xp=None):
        self._initialize(X, np.eye(self.n_components)[LABELS])


@quietly
@pytest.mark.parametrize("weights", WEIGHT_PRIORS)
@pytest.mark.parametrize("n_iter", [1, 2, 5, 40])
def test_full_covariances_have_scikit_learns_numbers(n_iter, weights):
    options = {
        "n_components": 4,
        "max_iter": n_iter,
        "tol": 0,
        "weight_concentration_prior_type": weights,
        "weight_concentration_prior": 0.3,
        "mean_precision_prior": 0.5,
        "degrees_of_freedom_prior": 5.0,
    }
    ours = BayesianGaussianMixture(**options, init_params=LABELS).fit(X)
    other = FromLabels(**options).fit(X)
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_", "mean_precision_", "mean_prior_",
                 "degrees_of_freedom_", "covariance_prior_"):  # fmt: skip
        np.testing.assert_allclose(getattr(ours, name), getattr(other, name), rtol=1e-9, atol=1e-11, err_msg=name)
    np.testing.assert_allclose(ours.weight_concentration_, np.array(other.weight_concentration_), rtol=1e-9)
    np.testing.assert_allclose(ours.predict_proba(X), other.predict_proba(X), rtol=1e-7, atol=1e-12)
    assert ours.n_iter_ == other.n_iter_
    assert ours.weight_concentration_prior_ == other.weight_concentration_prior_
    assert ours.mean_precision_prior_ == other.mean_precision_prior_
    assert ours.degrees_of_freedom_prior_ == other.degrees_of_freedom_prior_


@quietly
def test_scikit_learns_diagonal_updates_lower_the_bound_and_ours_do_not():
    """Why the numbers differ: each of its iterations is judged by the exact bound of its responsibilities."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(80, 6))
    prior = gaussian.NormalGamma(rows.mean(axis=0), 1.0, 6.0, rows.var(axis=0, ddof=1))

    def bounds(cls):
        options = {"n_components": 4, "covariance_type": "diag", "reg_covar": 0, "tol": 0, "random_state": 0}
        fits = (cls(**options, max_iter=n_iter).fit(rows) for n_iter in range(1, 60))
        return [variational.elbo(fit.predict_proba(rows), rows, prior, proportions.Sticks(0.25)) for fit in fits]

    assert np.min(np.diff(bounds(sklearn.mixture.BayesianGaussianMixture))) < -1e-4
    assert np.min(np.diff(bounds(BayesianGaussianMixture))) > -1e-9


# ---- the bound ------------------------------------------------------------------------------------------------------


def twin(structure, weights, rows=X, counts=None, alpha=0.3):
    counts = np.ones(len(rows)) if counts is None else counts
    mean = counts @ rows / counts.sum()
    covariance = (counts[:, np.newaxis] * (rows - mean)).T @ (rows - mean) / (counts.sum() - 1)
    scale = {
        "full": covariance,
        "tied": covariance,
        "diag": np.diag(covariance),
        "spherical": np.trace(covariance) / len(mean),
    }[structure]
    prior = PRIORS[structure](mean, 0.5, 5.0, scale)
    of_weights = {"dirichlet_process": proportions.Sticks, "dirichlet_distribution": proportions.SymmetricDirichlet}
    return prior, of_weights[weights](alpha)


def made(structure, weights, **options):
    return BayesianGaussianMixture(
        4,
        covariance_type=structure,
        weight_concentration_prior_type=weights,
        weight_concentration_prior=0.3,
        mean_precision_prior=0.5,
        degrees_of_freedom_prior=5.0,
        **{"reg_covar": 0, "init_params": LABELS, "tol": 0} | options,
    )


@quietly
@all_kinds
@pytest.mark.parametrize("weighted", [False, True])
def test_bounds_and_responsibilities_are_the_twins(structure, weights, weighted):
    counts = np.random.default_rng(0).integers(0, 4, len(X)).astype(float) if weighted else None
    model = made(structure, weights, max_iter=12).fit(X, sample_weight=counts)
    prior, of_weights = twin(structure, weights, counts=counts)
    wanted = variational.variational(X, np.eye(4)[LABELS], prior, of_weights, 13, weights=counts)
    np.testing.assert_allclose(model.lower_bounds_, wanted.elbo[1:13], rtol=1e-12)
    np.testing.assert_allclose(model.predict_proba(X), wanted.resp, rtol=1e-9, atol=1e-13)


@quietly
@all_kinds
def test_what_is_added_to_covariances_leaves_the_bound_exact(structure, weights):
    """The bound of the parameters that are there, not of those that coordinate ascent would have found."""
    model = made(structure, weights, reg_covar=0.5, max_iter=3).fit(X)
    before = made(structure, weights, reg_covar=0.5, max_iter=2).fit(X)
    prior, of_weights = twin(structure, weights)
    resp = before.predict_proba(X)
    exact = variational.elbo(resp, X, prior, of_weights)
    assert model.lower_bound_ < exact
    # what is missing is the divergence of what is published from the posterior given the responsibilities
    posterior = prior.posterior(prior.statistics(X, resp))
    nu = np.reshape(model.degrees_of_freedom_, (-1, *[1] * (posterior.Psi.ndim - 1)))
    missing = divergence(structure, posterior._replace(Psi=nu * model.covariances_), posterior)
    np.testing.assert_allclose(exact - model.lower_bound_, missing, rtol=1e-8)


def divergence(structure, q, p):
    """The sum over precisions of KL(q || p) of Wishart or Gamma distributions with the same degrees of freedom."""
    nu, d = np.broadcast_to(q.nu, len(q.Psi)), X.shape[1]
    if structure in ("full", "tied"):
        ratio = np.linalg.solve(q.Psi, p.Psi)
        traces, logs = np.trace(ratio, axis1=-2, axis2=-1) - d, np.linalg.slogdet(ratio)[1]
        return np.sum(0.5 * nu * (traces - logs))
    ratio = (p.Psi / q.Psi).reshape(len(q.Psi), -1)
    n_columns = d if structure == "spherical" else 1
    return np.sum(0.5 * n_columns * nu[:, np.newaxis] * (ratio - 1 - np.log(ratio)))


@quietly
@all_kinds
def test_float32_has_the_same_bounds_but_for_rounding(structure, weights):
    narrow = made(structure, weights, max_iter=20, tol=1e-3).fit(X.astype(np.float32))
    wide = made(structure, weights, max_iter=20, tol=1e-3).fit(X)
    np.testing.assert_allclose(narrow.lower_bounds_[:10], wide.lower_bounds_[:10], rtol=1e-5)
    assert narrow.means_.dtype == narrow.weight_concentration_.dtype == narrow.weights_.dtype == np.float32


@quietly
@all_kinds
def test_defaults_do_not_depend_on_units(structure, weights):
    """Affine maps of all columns move the bound by the volume alone; 'diag' takes scales, 'spherical' one."""
    maps = {
        "full": np.array([[2.0, 0.3, 0.0], [0.0, 5.0, -1.0], [0.4, 0.0, 0.1]]),
        "diag": np.diag([1e3, 1e-2, 7.0]),
        "spherical": 30.0 * np.eye(3),
    }
    A = maps.get(structure, maps["full"])
    options = {"covariance_type": structure, "weight_concentration_prior_type": weights, "reg_covar": 0,
               "init_params": LABELS, "tol": 0, "max_iter": 6}  # fmt: skip
    one = BayesianGaussianMixture(4, **options).fit(X)
    other = BayesianGaussianMixture(4, **options).fit(X @ A.T + [1.0, -20.0, 300.0])
    volume = len(X) * np.linalg.slogdet(A)[1]
    np.testing.assert_allclose(other.lower_bounds_, np.array(one.lower_bounds_) - volume, rtol=0, atol=1e-7)
    np.testing.assert_allclose(other.predict_proba(X @ A.T + [1.0, -20.0, 300.0]), one.predict_proba(X), atol=1e-8)


@all_kinds
def test_relative_regularization_takes_priors_in_the_units_of_the_data(structure, weights):
    scale = {"full": np.diag([2.0, 3.0, 4.0]), "tied": np.eye(3), "diag": [1.0, 2.0, 3.0], "spherical": 2.0}[structure]
    options = {"mean_prior": [1.0, 0.0, -1.0], "covariance_prior": scale, "tol": 1e-3, "max_iter": 1000}
    relative = made(structure, weights, regularization="relative", **options).fit(X)
    absolute = made(structure, weights, **options).fit(X)
    np.testing.assert_allclose(relative.lower_bound_, absolute.lower_bound_, rtol=1e-9)
    np.testing.assert_allclose(relative.covariance_prior_, scale, rtol=1e-12)
    np.testing.assert_allclose(relative.mean_prior_, [1.0, 0.0, -1.0], atol=1e-12)
    np.testing.assert_allclose(relative.means_, absolute.means_, rtol=1e-6, atol=1e-6)
    alone = made(structure, weights, regularization="relative", init_params="kmeans", **options)
    (in_batch,) = fit_many([X], alone.set_params(random_state=0))
    alone.fit(X)
    assert in_batch.lower_bound_ == alone.lower_bound_


@quietly
@all_kinds
def test_extrapolation_ends_at_the_same_bound_in_fewer_iterations(structure, weights):
    options = {"tol": 1e-7, "max_iter": 5000}
    plain = made(structure, weights, **options).fit(X)
    fast = made(structure, weights, accelerate="auto", **options).fit(X)
    assert plain.converged_
    assert fast.converged_
    assert fast.lower_bound_ > plain.lower_bound_ - 1e-4
    assert np.all(np.diff(fast.lower_bounds_) > -1e-9 * abs(plain.lower_bound_))
    assert fast.n_iter_ <= plain.n_iter_


# ---- predictions ----------------------------------------------------------------------------------------------------


@all_kinds
def test_scores_are_the_posterior_predictive(structure, weights):
    model = made(structure, weights, tol=1e-3, max_iter=500).fit(X)
    new = np.random.default_rng(1).normal(size=(20, 3)) * 4
    prior, of_weights = twin(structure, weights)
    with pytest.warns(sklearn.exceptions.ConvergenceWarning):
        before = made(structure, weights, max_iter=max(model.n_iter_ - 1, 1)).fit(X)
    wanted = variational.log_predictive(new, before.predict_proba(X), X, prior, of_weights)
    np.testing.assert_allclose(model.score_samples(new), wanted, rtol=1e-9)


@all_kinds
def test_the_predictive_density_integrates_to_one(structure, weights):
    rows = np.array([[0.0], [0.4], [0.5], [3.0], [3.3], [9.0]])
    model = BayesianGaussianMixture(
        3, covariance_type=structure, weight_concentration_prior_type=weights, random_state=0
    ).fit(rows)
    density = lambda x: np.exp(model.score_samples([[x]])[0])  # noqa: E731
    total = sum(quad(density, a, b, limit=400)[0] for a, b in [(-np.inf, -50), (-50, 50), (50, np.inf)])
    assert total == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_one_component_is_exact(structure):
    """The bound is the evidence, and the predictive density the ratio of two."""
    scale = {"full": np.eye(3), "tied": np.eye(3), "diag": np.ones(3), "spherical": 1.0}[structure]
    options = {"covariance_type": structure, "weight_concentration_prior_type": "dirichlet_distribution",
               "mean_prior": np.zeros(3), "mean_precision_prior": 0.5, "degrees_of_freedom_prior": 5.0,
               "covariance_prior": scale, "reg_covar": 0}  # fmt: skip
    prior = PRIORS[structure](np.zeros(3), 0.5, 5.0, scale)

    def log_evidence(rows):
        return np.sum(prior.log_evidence(prior.statistics(rows, np.ones((len(rows), 1)))))

    model = BayesianGaussianMixture(1, **options).fit(X)
    assert model.lower_bound_ == pytest.approx(log_evidence(X), rel=1e-12)
    new = np.array([[0.3, -1.0, 2.0]])
    ratio = log_evidence(np.concatenate([X, new])) - log_evidence(X)
    assert model.score_samples(new)[0] == pytest.approx(ratio, rel=1e-9)


# ---- what is refused, what stays finite -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"degrees_of_freedom_prior": 2.0}, "degrees_of_freedom_prior.*greater than 2"),
        ({"degrees_of_freedom_prior": np.inf}, "degrees_of_freedom_prior"),
        ({"mean_prior": [0.0, 1.0]}, "mean_prior"),
        ({"mean_prior": [0.0, 1.0, np.nan]}, "mean_prior.*finite"),
        ({"mean_prior": "centre"}, "mean_prior"),
        ({"covariance_prior": 2.0}, "covariance_prior.*shape"),
        ({"mean_precision_prior": 5e-324}, "mean_precision_prior"),
        ({"degrees_of_freedom_prior": 1e308}, "degrees_of_freedom_prior"),
        ({"covariance_prior": np.eye(2)}, "covariance_prior"),
        ({"covariance_prior": -np.eye(3)}, "covariance_prior.*positive-definite"),
        ({"covariance_prior": [[1, 2, 0], [0, 1, 0], [0, 0, 1]]}, "covariance_prior.*symmetric"),
        ({"weight_concentration_prior": 0.0}, "weight_concentration_prior"),
        ({"weight_concentration_prior": np.inf}, "weight_concentration_prior"),
        ({"mean_precision_prior": 0.0}, "mean_precision_prior"),
        ({"mean_precision_prior": np.inf}, "mean_precision_prior"),
        ({"weight_concentration_prior_type": "dirichlet"}, "weight_concentration_prior_type"),
    ],
)
def test_priors_that_are_none_are_refused_by_name(options, said):
    with pytest.raises(ValueError, match=said):
        BayesianGaussianMixture(2, **options).fit(X)
    with pytest.raises(ValueError, match=said):
        fit_many([X], BayesianGaussianMixture(2, **options))


@quietly
@all_kinds
@pytest.mark.parametrize(
    "rows",
    [
        np.ones((5, 2)),
        np.column_stack([np.arange(6.0), np.ones(6)]),
        np.repeat(np.arange(6.0), 2).reshape(6, 2),
        np.random.default_rng(0).normal(size=(4, 9)),
        np.full((3, 2), 1e8),
    ],
    ids=["equal", "a constant column", "dependent columns", "more columns than rows", "equal and far"],
)
def test_odd_rows_give_finite_results(rows, structure, weights):
    for reg_covar in (0, 1e-6):
        model = BayesianGaussianMixture(3, covariance_type=structure, weight_concentration_prior_type=weights,
                                        reg_covar=reg_covar, random_state=0).fit(rows)  # fmt: skip
        assert np.isfinite(model.lower_bound_)
        assert np.all(np.isfinite(model.score_samples(rows)))
        assert np.all(np.isfinite(model.sample(5)[0]))


def test_there_is_no_choice_by_a_likelihood():
    for choose in (select, lambda rows, own, **options: fit_many([rows], own, **options)):
        with pytest.raises(TypeError, match="posterior and no likelihood"):
            choose(X, BayesianGaussianMixture(), n_components=[1, 2])
    assert not hasattr(BayesianGaussianMixture(), "bic")


# ---- attributes -----------------------------------------------------------------------------------------------------


@all_kinds
def test_weights_follow_the_posterior(structure, weights, tmp_path):
    model = made(structure, weights, tol=1e-2, max_iter=500).fit(X)
    assert model.weights_.sum() == pytest.approx(1)
    first, prior = (
        (model.weight_concentration_[0], 1) if weights == "dirichlet_process" else (model.weight_concentration_, 0.3)
    )
    assert model.n_clusters_ == np.sum(first - prior >= 0.5)
    with pytest.raises(AttributeError, match="weight_concentration_"):
        model.weights_ = np.full(4, 0.25)
    before = model.weights_
    model.weight_concentration_ = model.weight_concentration_ * [10.0, 1.0, 1.0, 1.0]
    assert model.weights_[0] > before[0]
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model").score_samples(X), model.score_samples(X))


# ---- moves ----------------------------------------------------------------------------------------------------------


@quietly
@all_kinds
def test_pruning_raises_the_bound_and_leaves_what_a_merge_cannot_raise(structure, weights):
    rows = np.concatenate([X, X[:30] + 20, X[60:90] - 20])
    options = {"covariance_type": structure, "weight_concentration_prior_type": weights, "max_iter": 500,
               "random_state": 0, "reg_covar": 0}  # fmt: skip
    plain = BayesianGaussianMixture(9, **options).fit(rows)
    pruned = BayesianGaussianMixture(9, prune=True, **options).fit(rows)
    assert pruned.lower_bound_ >= plain.lower_bound_
    assert 1 <= pruned.n_clusters_ <= plain.n_clusters_
    assert len(pruned.weights_) == 9
    # of the iterations that a move is tried by the last is there alone, and only where the move is kept
    assert plain.n_iter_ < len(pruned.lower_bounds_) <= pruned.n_iter_
    assert pruned.lower_bounds_[-1] == pruned.lower_bound_
    resp = pruned.predict_proba(rows)
    # the bound is that of a mixture of nine, those that are empty included
    one_more = BayesianGaussianMixture(9, **options | {"max_iter": 1})
    one_more._check_all_begun = lambda init_params: None
    one_more.set_params(init_params=resp).fit(rows)
    assert -1e-9 * abs(pruned.lower_bound_) < one_more.lower_bound_ - pruned.lower_bound_ < 0.05
    present = np.flatnonzero(resp.sum(axis=0) >= 0.5)
    if weights == "dirichlet_process":
        assert np.all(np.diff(resp.sum(axis=0)[present]) <= 1e-6)
    for k in present:
        for other in present[present > k]:
            merged = resp.copy()
            merged[:, k] += merged[:, other]
            merged[:, other] = 0
            again = BayesianGaussianMixture(9, **options)
            again._check_all_begun = lambda init_params: None  # a component may be empty in a move
            assert again.set_params(init_params=merged).fit(rows).lower_bound_ < pruned.lower_bound_ + 0.1
    (in_batch,) = fit_many([rows], BayesianGaussianMixture(9, prune=True, **options))
    assert in_batch.lower_bound_ == pruned.lower_bound_
    np.testing.assert_array_equal(in_batch.weights_, pruned.weights_)


def test_the_order_of_sticks_is_that_of_the_start_unless_they_are_pruned():
    """Sorted sticks have the higher bound, -1183.159 instead of -1183.741."""
    faithful = np.loadtxt(FAITHFUL, delimiter=",", skiprows=1)
    labels = (faithful[:, 0] > 3).astype(int)
    options = {"weight_concentration_prior": 1.0, "init_params": labels, "reg_covar": 0, "tol": 1e-9, "max_iter": 1000}
    plain = BayesianGaussianMixture(2, **options).fit(faithful)
    pruned = BayesianGaussianMixture(2, prune=True, **options).fit(faithful)
    assert plain.lower_bound_ == pytest.approx(-1183.74133077, abs=1e-6)
    assert pruned.lower_bound_ == pytest.approx(-1183.15856, abs=1e-5)
    assert plain.weights_[0] < plain.weights_[1]
    assert pruned.weights_[0] > pruned.weights_[1]


# ---- what a reader found ---------------------------------------------------------------------------------------------


@quietly
@pytest.mark.parametrize("total", [1e-3, 1.0, 1 + 1e-9, 1.0001, 1.5, 2.0, 5.0])
def test_relative_weights_leave_the_default_prior_sane(total):
    weights = np.random.default_rng(0).random(len(X))
    model = BayesianGaussianMixture(3, random_state=0).fit(X, sample_weight=weights * total / weights.sum())
    covariance = np.cov(X.T, aweights=weights, ddof=0)
    assert np.all(np.linalg.eigvalsh(np.linalg.solve(covariance, model.covariance_prior_)) < 2.01)


@quietly
@all_kinds
def test_parameters_that_change_after_a_fit_change_no_prediction(structure, weights):
    model = made(structure, weights, max_iter=20).fit(X)
    before = model.score_samples(X), model.predict_proba(X), model.n_clusters_, model.weights_
    fitted = [model.weight_concentration_prior_, model.mean_precision_prior_, model.degrees_of_freedom_prior_]
    model.set_params(n_components=60, weight_concentration_prior=500.0, mean_precision_prior=7.0,
                     degrees_of_freedom_prior=500.0)  # fmt: skip
    after = model.score_samples(X), model.predict_proba(X), model.n_clusters_, model.weights_
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)
    assert fitted == [0.3, 0.5, 5.0]
    assert fitted == [model.weight_concentration_prior_, model.mean_precision_prior_, model.degrees_of_freedom_prior_]


def test_bounds_of_float32_rows_are_float64():
    model = BayesianGaussianMixture(2, random_state=0).fit(X.astype(np.float32))
    (in_batch,) = result = fit_many([X.astype(np.float32)], BayesianGaussianMixture(2, random_state=0))
    assert model.lower_bound_.dtype == model.lower_bounds_[0].dtype == result.lower_bound.dtype == np.float64
    assert in_batch.lower_bound_ == model.lower_bound_


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("value", [0.0, 5.0, 0.1])
def test_a_constant_column_has_no_unit_of_its_own(structure, value):
    rows = np.column_stack([X, np.full(len(X), value)])
    options = {"covariance_type": structure, "reg_covar": 0, "random_state": 0, "max_iter": 1000}
    one = BayesianGaussianMixture(3, **options).fit(rows)
    for scale in (1e-3, 1e4):
        other = BayesianGaussianMixture(3, **options).fit(rows * scale)
        np.testing.assert_allclose(other.covariance_prior_, scale**2 * one.covariance_prior_, rtol=1e-9)
        np.testing.assert_allclose(other.lower_bound_, one.lower_bound_ - rows.size * np.log(scale), rtol=1e-8)


@quietly
@pytest.mark.parametrize("weights", WEIGHT_PRIORS)
@pytest.mark.parametrize("concentration", [1e-90, 1e12, 1e90])
def test_clusters_are_counted_whatever_the_concentration(concentration, weights):
    model = BayesianGaussianMixture(
        4, weight_concentration_prior=concentration, weight_concentration_prior_type=weights, random_state=0
    ).fit(X)
    assert np.isfinite(model.lower_bound_)
    assert model.n_clusters_ == np.sum(model.mean_precision_ - 1 >= 0.5) > 0
