"""Twins of the experts: log densities with all constants, their scores and informations, and their dispersions.

`derivatives` gives, of each row, the score d log f / d eta (n, m) and the matrix (n, m, m) that a Newton step divides
by: the observed information, but for Student-t the weights u of its M-step, for the observed one may be negative.
`dispersion` is the M-step of what a family has beside coefficients, from responsibilities at the linear predictors
`eta` and, where it is a step from there, the present value.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.special import digamma, loggamma, logit, xlogy

#: exp of more overflows.
LARGEST_PREDICTOR = 700.0

#: Of negative binomials: beyond, counts are a Poisson's as far as digits say.
THETA_LIMITS = (1e-4, 1e6)


def _mean(values, resp):
    return np.sum(resp * values) / np.sum(resp)


def _exp(eta):
    clipped = np.minimum(np.real(eta), LARGEST_PREDICTOR)
    return np.exp(clipped + 1j * np.imag(eta) if np.iscomplexobj(eta) else clipped)


def _log_sum_exp(eta):
    """Over the last axis, of complex numbers too."""
    top = np.real(eta).max(axis=-1, keepdims=True)
    return top[..., 0] + np.log(np.sum(np.exp(eta - top), axis=-1))


class Gaussian:
    """The dispersion is the standard deviation."""

    has_dispersion = True

    def start(self, y, resp):
        mean = _mean(y, resp)
        return np.array([mean]), np.sqrt(_mean((y - mean) ** 2, resp))

    def log_density(self, y, eta, sigma):
        return -0.5 * np.log(2 * np.pi) - np.log(sigma) - (y - eta[:, 0]) ** 2 / (2 * sigma**2)

    def derivatives(self, y, eta, sigma):
        score = (y[:, np.newaxis] - eta) / sigma**2
        return score, np.full((len(y), 1, 1), 1 / sigma**2)

    def dispersion(self, y, eta, resp, sigma):
        return np.sqrt(_mean((y - eta[:, 0]) ** 2, resp))


class StudentT:
    """Of given degrees of freedom; the dispersion is the scale."""

    has_dispersion = True

    def __init__(self, degrees):
        self.degrees = degrees

    def start(self, y, resp):
        return Gaussian().start(y, resp)

    def mass(self, y, eta, scale):
        """The weights u of rows in the M-step."""
        return (self.degrees + 1) / (self.degrees + (y - eta[:, 0]) ** 2 / scale**2)

    def log_density(self, y, eta, scale):
        nu = self.degrees
        constant = loggamma((nu + 1) / 2) - loggamma(nu / 2) - np.log(nu * np.pi) / 2 - np.log(scale)
        return constant - (nu + 1) / 2 * np.log1p((y - eta[:, 0]) ** 2 / scale**2 / nu)

    def derivatives(self, y, eta, scale):
        step = self.mass(y, eta, scale) / scale**2
        return (step * (y - eta[:, 0]))[:, np.newaxis], step[:, np.newaxis, np.newaxis]

    def dispersion(self, y, eta, resp, scale, mass):
        """`mass` is that of the parameters before the step."""
        return np.sqrt(np.sum(resp * mass * (y - eta[:, 0]) ** 2) / np.sum(resp))


class Poisson:
    has_dispersion = False

    def start(self, y, resp):
        return np.log([np.maximum(_mean(y, resp), np.finfo(float).tiny)]), 1.0

    def log_density(self, y, eta, dispersion):
        return y * eta[:, 0] - _exp(eta[:, 0]) - loggamma(y + 1)

    def derivatives(self, y, eta, dispersion):
        mean = _exp(eta)
        return y[:, np.newaxis] - mean, mean[:, :, np.newaxis]


class Binomial:
    """y (n, 2): successes and failures."""

    has_dispersion = False

    def start(self, y, resp):
        return np.array([logit(_mean(y[:, 0], resp) / _mean(y.sum(axis=1), resp))]), 1.0

    def log_density(self, y, eta, dispersion):
        trials = y.sum(axis=1)
        constant = loggamma(trials + 1) - loggamma(y[:, 0] + 1) - loggamma(y[:, 1] + 1)
        return constant + y[:, 0] * eta[:, 0] - trials * _log_sum_exp(np.column_stack([np.zeros(len(y)), eta]))

    def derivatives(self, y, eta, dispersion):
        trials, share = y.sum(axis=1)[:, np.newaxis], 1 / (1 + _exp(-eta))
        return y[:, :1] - trials * share, (trials * share * (1 - share))[:, :, np.newaxis]


class Gamma:
    """Log link; the dispersion is the shape."""

    has_dispersion = True

    def start(self, y, resp):
        return np.log([_mean(y, resp)]), 1.0

    def log_density(self, y, eta, shape):
        log_scale = eta[:, 0] - np.log(shape)
        return (shape - 1) * np.log(y) - y * _exp(-log_scale) - shape * log_scale - loggamma(shape)

    def derivatives(self, y, eta, shape):
        ratio = y[:, np.newaxis] * _exp(-eta)
        return shape * (ratio - 1), (shape * ratio)[:, :, np.newaxis]

    def dispersion(self, y, eta, resp, shape):
        log_ratio = np.log(y) - eta[:, 0]
        gap = _mean(np.expm1(log_ratio) - log_ratio, resp)
        return np.exp(brentq(lambda log: log - digamma(np.exp(log)) - gap, -20, 20, xtol=1e-14, rtol=1e-14))


class NegativeBinomial:
    """Log link, variance mean + mean^2 / dispersion."""

    has_dispersion = True

    def start(self, y, resp):
        return Poisson().start(y, resp)

    def log_density(self, y, eta, theta):
        mean = _exp(eta[:, 0])
        constant = loggamma(y + theta) - loggamma(theta) - loggamma(y + 1)
        return constant - theta * np.log1p(mean / theta) + y * (eta[:, 0] - np.log(mean + theta))

    def derivatives(self, y, eta, theta):
        count, mean = y[:, np.newaxis], _exp(eta)
        score = theta * (count - mean) / (mean + theta)
        return score, (theta * mean * (count + theta) / (mean + theta) ** 2)[:, :, np.newaxis]

    def dispersion(self, y, eta, resp, theta):
        """The root of the score, by bisection and its kin in log theta."""
        mean = _exp(eta[:, 0])

        def score(log):
            theta = np.exp(log)
            slope = digamma(y + theta) - digamma(theta) - np.log1p(mean / theta) + (mean - y) / (mean + theta)
            return np.sum(resp * slope)

        low, high = np.log(THETA_LIMITS)
        if score(low) <= 0:
            return THETA_LIMITS[0]
        return THETA_LIMITS[1] if score(high) >= 0 else np.exp(brentq(score, low, high, xtol=1e-14, rtol=1e-14))


class Multinomial:
    """y (n, C): counts. eta (n, C - 1): log odds against category 0."""

    has_dispersion = False

    def start(self, y, resp):
        totals = resp @ y
        return np.log(totals[1:] / totals[0]), 1.0

    @staticmethod
    def _log_shares(eta):
        padded = np.column_stack([np.zeros(len(eta)), eta])
        return padded - _log_sum_exp(padded)[:, np.newaxis]

    def log_density(self, y, eta, dispersion):
        constant = loggamma(y.sum(axis=1) + 1) - loggamma(y + 1).sum(axis=1)
        return constant + np.sum(np.where(y > 0, y * self._log_shares(eta), 0), axis=1)

    def derivatives(self, y, eta, dispersion):
        share, trials = np.exp(self._log_shares(eta))[:, 1:], y.sum(axis=1)
        spread = share[:, :, np.newaxis] * (np.eye(share.shape[1]) - share[:, np.newaxis, :])
        return y[:, 1:] - trials[:, np.newaxis] * share, trials[:, np.newaxis, np.newaxis] * spread


def entropy(resp, weights):
    """- sum of weights times resp log resp."""
    return -np.sum(weights[:, np.newaxis] * xlogy(resp, resp))
