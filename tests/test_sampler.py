"""The sampler of partitions: draws of parameters, exact posteriors, the same bits for any number of threads."""

import numpy as np
import pytest
from scipy import stats

from mixfast._em import EM
from mixfast.engine._drawing import draw_from_posterior
from mixfast.engine._rows import Rows
from mixfast.families.posteriors import POSTERIORS

# ---- draws of parameters --------------------------------------------------------------------------------------------

SCALE = {"full": np.diag([1.0, 2.0, 0.5]) + 0.1, "diag": np.array([1.0, 2.0, 0.5]), "spherical": np.array([1.5])}


def posterior_of(X, family, labels, n_components):
    em = EM(family.bind(n_components, X.shape[1], X.dtype), Rows(X))
    em.set_state(np.ones(n_components), family.located(np.zeros((n_components, X.shape[1]))))
    em.start_from_labels(labels)
    return em.state()[1]


def drawn_gaussians(kind, n_draws):
    """Parameters of the posteriors of two components, of 12 rows and of none, and draws of them."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(12, 3)) @ rng.normal(size=(3, 3))
    family = POSTERIORS[kind](0.5, 5.0, np.array([1.0, 0.0, -1.0]), SCALE[kind])
    packed = posterior_of(X, family, np.zeros(12, dtype=np.int64), 2)
    params = family.params_layout(2, 3).view(packed)
    capsule = family.bind(2, 3, X.dtype)
    shapes = [params.means.shape, params.covariances.shape, params.precisions_cholesky.shape]
    sizes = np.cumsum([np.prod(shape) for shape in shapes])[:-1]
    draws = [np.split(draw_from_posterior(capsule, packed, 7, sweep), sizes) for sweep in range(n_draws)]
    return params, [
        np.array(part).reshape(-1, *shape) for part, shape in zip(zip(*draws, strict=True), shapes, strict=True)
    ]


def near(draws, expected):
    """Means over draws, to five standard errors."""
    error = draws.std(axis=0) / np.sqrt(len(draws))
    np.testing.assert_array_less(np.abs(draws.mean(axis=0) - expected), 5 * error + 1e-12)


def test_full_gaussians_are_drawn_from_the_normal_wishart():
    params, (means, covariances, factors) = drawn_gaussians("full", 4000)
    precisions = factors @ factors.transpose(0, 1, 3, 2)
    np.testing.assert_allclose(precisions @ covariances, np.broadcast_to(np.eye(3), precisions.shape), atol=1e-6)
    assert np.all(np.tril(factors, -1) == 0)
    near(precisions, np.linalg.inv(params.covariances))
    near(means, params.means)
    for k in range(2):
        nu, kappa = params.degrees_of_freedom[k], params.mean_precision[k]
        # the log-determinant, and one number of a Wishart matrix: v'Pv / v'E(P)v ~ chi^2(nu) / nu
        v = np.array([1.0, -2.0, 0.5])
        ratio = (v @ precisions[:, k] @ v) / (v @ np.linalg.inv(params.covariances[k]) @ v)
        assert stats.kstest(nu * ratio, stats.chi2(nu).cdf).pvalue > 1e-3
        determinants = np.linalg.slogdet(precisions[:, k])[1] + np.linalg.slogdet(nu * params.covariances[k])[1]
        logs = [np.log(stats.chi2(nu - j).rvs(4000, random_state=j)) for j in range(3)]
        assert stats.ks_2samp(determinants, np.sum(logs, axis=0)).pvalue > 1e-3
        # given the precision the mean is normal
        away = np.einsum("nij,ni->nj", factors[:, k], means[:, k] - params.means[k]) * np.sqrt(kappa)
        assert stats.kstest(away.ravel(), "norm").pvalue > 1e-3


@pytest.mark.parametrize("kind", ["diag", "spherical"])
def test_gaussians_of_simple_covariances_are_drawn_from_normal_gammas(kind):
    params, (means, covariances, roots) = drawn_gaussians(kind, 4000)
    np.testing.assert_allclose(covariances * roots**2, 1)
    near(means, params.means)
    columns = 3 if kind == "spherical" else 1
    for k in range(2):
        nu, kappa = params.degrees_of_freedom[k], params.mean_precision[k]
        ratio = roots[:, k] ** 2 * params.covariances[k]
        shape = 0.5 * nu * columns
        assert stats.kstest(ratio.ravel(), stats.gamma(shape, scale=1 / shape).cdf).pvalue > 1e-3
        root = roots[:, k] if kind == "diag" else roots[:, k, np.newaxis]
        away = (means[:, k] - params.means[k]) * root * np.sqrt(kappa)
        assert stats.kstest(away.ravel(), "norm").pvalue > 1e-3


def test_parameters_of_tied_covariances_cannot_be_drawn():
    family = POSTERIORS["tied"](1.0, 4.0)
    with pytest.raises(ValueError, match="cannot be drawn"):
        draw_from_posterior(family.bind(2, 3, np.float64), np.ones(family.params_layout(2, 3).size), 0, 0)
