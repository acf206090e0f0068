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
