"""Standard errors by fits under other weights: closed forms, mclust's values, threads, and what is refused."""

import numpy as np
import pytest
from test_mclust import read

from mixfast import BernoulliMixture, GaussianMixture, StudentTMixture, bootstrap_inference
from mixfast.resampling import WEIGHTS

every_kind = pytest.mark.parametrize("kind", WEIGHTS)

#: Standard errors by mclust 6.0.0's MclustBootstrap of two VVV components of faithful, the larger first: type "jk", and
#: "bs" and "wlbs" of 999 draws. Its fits end at a relative change of 1e-5.
MCLUST = {
    "jackknife": {"weights": [0.029149, 0.029149], "means": [[0.031825, 0.460325], [0.028335, 0.599521]]},
    "nonparametric": {"weights": [0.028616, 0.028616], "means": [[0.032335, 0.461834], [0.029340, 0.607328]]},
    "weighted": {"weights": [0.028943, 0.028943], "means": [[0.033392, 0.475944], [0.028311, 0.589808]]},
}


def faithful():
    X = read("faithful")
    options = {"reg_covar": 0, "tol": 1e-12, "max_iter": 5000, "random_state": 0, "canonical_order": True}
    return GaussianMixture(2, **options).fit(X), X


@every_kind
def test_standard_errors_are_mclusts(kind):
    model, X = faithful()
    inference = bootstrap_inference(model, X, kind=kind, random_state=0)
    assert inference.n_failed == 0
    assert len(inference.draws["weights"]) == (272 if kind == "jackknife" else 999)
    # of 999 draws a standard error has one of 2.2 % of itself, and so has mclust's
    rtol = 0.02 if kind == "jackknife" else 0.1
    for name, theirs in MCLUST[kind].items():
        np.testing.assert_allclose(inference.standard_errors[name], theirs[::-1], rtol=rtol)
        np.testing.assert_allclose(inference.draws[name].mean(axis=0), inference.estimates[name], rtol=0.05)


@every_kind
@pytest.mark.parametrize("mixture", [GaussianMixture, StudentTMixture])
def test_limits_hold_the_estimate_and_have_its_shape(kind, mixture):
    X = read("faithful")
    model = mixture(2, covariance_type="VEI", random_state=0, tol=1e-9, max_iter=2000).fit(X)
    inference = bootstrap_inference(model, X, kind=kind, n_draws=99, random_state=0)
    wide, narrow = inference.limits(0.99), inference.limits(0.5)
    assert set(wide) == set(inference.estimates) >= {"weights", "means", "covariances"}
    for name, (lower, upper) in wide.items():
        own = inference.estimates[name]
        assert lower.shape == upper.shape == own.shape
        assert np.all(lower <= narrow[name][0] + 1e-12)
        if name != "degrees_of_freedom":  # skewed, and without a bound
            assert np.all((lower <= own) & (own <= upper))
    frame = inference.to_frame()
    assert len(frame) == sum(own.size for own in inference.estimates.values())
    assert frame.loc[frame.parameter == "means", "index"].tolist() == ["0, 0", "0, 1", "1, 0", "1, 1"]


@every_kind
def test_of_one_component_they_are_in_closed_form(kind):
    X = np.random.default_rng(0).normal(size=(400, 2)) * [1.0, 3.0]
    model = GaussianMixture(1, covariance_type="diag", reg_covar=0).fit(X)
    inference = bootstrap_inference(model, X, kind=kind, n_draws=2000, random_state=0)
    rtol = 1e-9 if kind == "jackknife" else 0.06
    np.testing.assert_allclose(inference.standard_errors["means"][0], X.std(axis=0, ddof=1) / 20, rtol=rtol)


def test_threads_and_seeds():
    model, X = faithful()
    one, two, other = (
        bootstrap_inference(model, X, n_draws=20, random_state=seed, n_threads=n)
        for seed, n in ((0, 1), (0, 2), (1, 2))
    )
    assert np.array_equal(one.draws["covariances"], two.draws["covariances"])
    assert not np.array_equal(one.draws["covariances"], other.draws["covariances"])
    assert model.covariance_type == "full"
    assert model.means_init is None


def test_weights_of_rows_are_repetitions():
    model, X = faithful()
    weight = np.arange(len(X)) % 2
    weighed = bootstrap_inference(model, X, kind="weighted", n_draws=5, sample_weight=2 * weight, random_state=0)
    assert np.all(np.isfinite(weighed.draws["means"]))


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"kind": "parametric"}, ValueError, "kind='parametric' should be one of 'nonparametric', 'weighted'"),
        ({"n_draws": 1}, ValueError, "n_draws=1 should be a whole number of at least 2"),
        ({"n_draws": 3.5}, ValueError, "n_draws=3.5 should be a whole number"),
        ({"model": BernoulliMixture(2)}, TypeError, "should be a GaussianMixture or a StudentTMixture"),
        ({"model": GaussianMixture(2)}, ValueError, "not fitted yet"),
    ],
)
def test_what_is_refused(options, error, match):
    model, X = faithful()
    with pytest.raises(error, match=match):
        bootstrap_inference(**{"model": model, "X": X} | options)
    with pytest.raises(ValueError, match="confidence=1 should be above 0 and below 1"):
        bootstrap_inference(model, X, n_draws=2).limits(1)


@every_kind
@pytest.mark.parametrize("mixture", [GaussianMixture, StudentTMixture])
@pytest.mark.parametrize("noise", ["uniform", 0.1])
def test_noise_is_one_of_the_weights(kind, mixture, noise):
    rng = np.random.default_rng(0)
    groups = [rng.normal(-3, 1, (150, 2)), rng.normal(3, 1, (150, 2)), rng.uniform(-10, 10, (40, 2))]
    X = np.concatenate(groups)
    model = mixture(2, noise=noise, random_state=0, tol=1e-9, max_iter=5000).fit(X)
    inference = bootstrap_inference(model, X, kind=kind, n_draws=199, random_state=0)
    assert inference.n_failed == 0
    np.testing.assert_array_equal(inference.estimates["weights"], model.weights_)
    np.testing.assert_array_equal(inference.estimates["means"], model.means_)
    # nearly apart: those of shares and means of known groups, and a little more; 0.92 to 1.21 and 0.87 to 1.12 times
    shares = np.asarray(model.weights_)
    ratio = inference.standard_errors["weights"] / np.sqrt(shares * (1 - shares) / len(X))
    assert np.all((ratio > 0.8) & (ratio < 1.4))
    ratio = inference.standard_errors["means"] * np.sqrt(150)
    assert np.all((ratio > 0.75) & (ratio < 1.3))


def grouped():
    """Rows in groups of five and their groups, of two components that are told apart by groups alone."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 5)
    X = rng.normal(1.5 * rng.integers(0, 2, 60)[groups], 1)[:, np.newaxis]
    return X, groups, GaussianMixture(2, random_state=0, tol=1e-9, max_iter=2000).fit(X, groups=groups)


@every_kind
def test_groups_are_drawn_as_a_whole(kind):
    """As fits to the rows of groups that are drawn: another order of groups is another draw, so errors are compared."""
    X, groups, model = grouped()
    found = bootstrap_inference(model, X, kind=kind, n_draws=300, groups=groups.astype(str), random_state=0)
    assert found.n_failed == 0
    assert len(found.draws["weights"]) == (60 if kind == "jackknife" else 300)
    np.testing.assert_allclose(found.draws["means"].mean(axis=0), model.means_, atol=0.03)
    rng, drawn = np.random.default_rng(1), []
    again = GaussianMixture(2, weights_init=model.weights_, means_init=model.means_, tol=1e-9, max_iter=2000)
    for _ in range(300):
        rows = (5 * rng.integers(60, size=(60, 1)) + np.arange(5)).ravel()
        drawn.append(again.fit(X[rows], groups=groups).means_)
    # either has an error of 4 % of itself, and rows within groups that are drawn by themselves other ones
    np.testing.assert_allclose(found.standard_errors["means"], np.std(drawn, axis=0, ddof=1), rtol=0.2)


@pytest.mark.parametrize("form", ["numbers", "strings", "sets"])
def test_known_labels_stay_with_their_rows(form):
    X, groups, _ = grouped()
    known = np.where(groups % 3 == 0, np.where(X[:, 0] > 0.75, 1, 0), -1)
    known = {
        "numbers": known,
        "strings": np.where(known < 0, None, np.where(known == 1, "high", "low")),
        "sets": (known[:, np.newaxis] < 0) | (known[:, np.newaxis] == np.arange(2)),
    }[form]
    model = GaussianMixture(2, random_state=0, tol=1e-9, max_iter=2000).fit(X, known_labels=known)
    found = bootstrap_inference(model, X, n_draws=20, known_labels=known, random_state=0)
    weight = np.random.RandomState(0).multinomial(300, np.full(300, 1 / 300), size=20)
    again = GaussianMixture(2, weights_init=model.weights_, means_init=model.means_, tol=1e-9, max_iter=2000)
    again.set_params(precisions_init=model.precisions_)
    wanted = [again.fit(X, sample_weight=own, known_labels=known).means_ for own in weight]
    np.testing.assert_allclose(found.draws["means"], wanted, rtol=1e-6)


def test_rows_that_are_known_to_be_noise_stay_noise():
    X, _, _ = grouped()
    known = np.full(300, -1)
    known[:9] = -2
    model = GaussianMixture(2, noise="uniform", random_state=0, tol=1e-9, max_iter=2000).fit(X, known_labels=known)
    found = bootstrap_inference(model, X, kind="weighted", n_draws=9, known_labels=known, random_state=0)
    assert np.all(found.draws["weights"][:, -1] > 0)


def test_what_a_model_was_fitted_with_is_missed():
    X, groups, model = grouped()
    with pytest.raises(ValueError, match=r"fitted with groups, .* pass groups="):
        bootstrap_inference(model, X, n_draws=2)
    known = GaussianMixture(2, random_state=0).fit(X, known_labels=np.where(groups == 0, 0, -1))
    with pytest.raises(ValueError, match=r"fitted with known_labels, .* pass known_labels="):
        bootstrap_inference(known, X, n_draws=2)
    assert len(bootstrap_inference(known.fit(X), X, n_draws=2).draws["means"]) == 2  # another fit, without them


def test_errors_do_not_depend_on_the_unit_of_weights():
    model, X = faithful()
    one, other = (bootstrap_inference(model, X, n_draws=9, sample_weight=np.full(len(X), w)) for w in (1, 4))
    np.testing.assert_allclose(one.draws["means"], other.draws["means"], rtol=1e-6)
