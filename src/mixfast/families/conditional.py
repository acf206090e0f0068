"""How y is distributed given the linear predictors of its row, for each kind of expert: means, spreads, distribution
functions, draws, and scores. Loops of EM are elsewhere, compiled; this is for what is asked of a fitted model.

All functions take `eta` (n, m), linear predictors with the offset in them, m = 1 but for the multinomial, and
`dispersion` (d,), what the distribution has beside coefficients, all above zero. A mean is (n,), or (n, C) for the
multinomial; that of a multinomial, and its variance, are of one trial.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from mixfast.families.poisson import drawn_counts

#: exp of more overflows.
LARGEST_PREDICTOR = 700.0


def _exp(eta):
    """exp, of linear predictors that are held below what overflows; of complex ones too."""
    if np.iscomplexobj(eta):
        return np.exp(np.minimum(eta.real, LARGEST_PREDICTOR) + 1j * eta.imag)
    return np.exp(np.minimum(eta, LARGEST_PREDICTOR))


#: From here on digamma by its asymptotic series, log x - 1 / 2x less the sum of these times x^-2k.
LARGE = 10.0
OF_DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)


def _log1p_beyond(x):
    """log(1 + x) - x, of complex ones too: of 2 artanh r with r = x / (2 + x), where x is small."""
    is_small = np.abs(x) <= 1
    small = np.where(is_small, x, 0)
    r, total = small / (2 + small), 0
    for i in range(33, 2, -2):
        total = total * r * r + 1 / i
    return np.where(is_small, r * (2 * r * r * total - small), np.log1p(x) - x)


def _digamma_beyond(a, n):
    """psi(a + n) - psi(a) - n / a for n >= 0, of a complex a too: what is left where n is small beside a."""
    if np.real(a) < LARGE:
        return special.digamma(a + n) - special.digamma(a) - n / a

    def rest(x):
        return np.polyval(OF_DIGAMMA[::-1], x**-2) * x**-2

    return _log1p_beyond(n / a) + n / (2 * a * (a + n)) + rest(a) - rest(a + n)


def drawn_of(ends, places):
    """The category of each row, (n,), that its number from 0 to 1 falls in, places (n,); ends (n, C) are the sums of
    shares up to each category."""
    return np.sum(places[:, np.newaxis] * ends[:, -1:] >= ends[:, :-1], axis=1)


class Distribution:
    """What all have in common. `score` is analytic in its arguments, which may be complex: so `curvature` follows from
    it by steps along the imaginary axis, without a formula of its own and without loss of digits."""

    #: Names of `dispersion`, in its order.
    dispersions: tuple = ()

    #: Whether y is one number, so that quantiles can be asked for, and whether it is whole.
    is_number, is_whole = True, False

    #: Whether y is a number of successes in trials.
    takes_trials = False

    def of_trials(self, trials):
        """The distribution of y in so many trials, (n,) for n rows; itself where it takes none."""
        return self

    def of_rows(self, rows):
        """The distribution in some of the rows, a mask or their numbers."""
        return self

    def score(self, y, eta, dispersion):
        """Derivatives of log f(y) by eta and by the logs of `dispersion`: (n, m + d)."""
        raise NotImplementedError

    def draw(self, rng, eta, dispersion):
        """y for each row of eta: (n,); `rng` is a RandomState."""
        raise NotImplementedError

    def draw_like(self, rng, y, eta, dispersion):
        """Draws of the shape of y (n, C), as many trials in each row as there."""
        return self.draw(rng, eta, dispersion)[:, np.newaxis]

    def curvature(self, y, eta, dispersion):
        """Minus the second derivatives: (n, m + d, m + d), symmetric."""
        m, size = eta.shape[1], eta.shape[1] + len(self.dispersions)
        found = np.empty((len(eta), size, size))
        for place in range(size):
            moved_eta, moved = eta.astype(complex), np.array(dispersion, dtype=complex)
            if place < m:
                moved_eta[:, place] += 1e-30j
            else:
                moved[place - m] *= np.exp(1e-30j)
            found[:, place] = -self.score(y, moved_eta, moved).imag / 1e-30
        return (found + found.transpose(0, 2, 1)) / 2


class Gaussian(Distribution):
    dispersions = ("sigma",)

    def score(self, y, eta, dispersion):
        residual = (y[:, np.newaxis] - eta) / dispersion[0]
        return np.hstack([residual / dispersion[0], residual**2 - 1])

    def mean(self, eta, dispersion):
        return eta[:, 0]

    def variance(self, eta, dispersion):
        return np.full(len(eta), dispersion[0] ** 2)

    def cdf(self, y, eta, dispersion):
        return special.ndtr((y - eta[:, 0]) / dispersion[0])

    def quantile(self, q, eta, dispersion):
        return eta[:, 0] + dispersion[0] * special.ndtri(q)

    def draw(self, rng, eta, dispersion):
        return rng.normal(eta[:, 0], dispersion[0])


class StudentT(Distribution):
    """The mean is the median where there is none, with degrees of freedom of 1 or less; the variance is then
    infinite, as it is up to 2."""

    dispersions = ("scale", "degrees_of_freedom")

    def score(self, y, eta, dispersion):
        scale, degrees = dispersion
        residual = (y[:, np.newaxis] - eta) / scale
        square = residual**2
        pull = (degrees + 1) / (degrees + square)
        of_degrees = (
            special.digamma((degrees + 1) / 2)
            - special.digamma(degrees / 2)
            - 1 / degrees
            - np.log1p(square / degrees)
            + pull * square / degrees
        )
        return np.hstack([pull * residual / scale, pull * square - 1, degrees / 2 * of_degrees])

    def mean(self, eta, dispersion):
        return eta[:, 0]

    def variance(self, eta, dispersion):
        scale, degrees = dispersion
        return np.full(len(eta), scale**2 * degrees / (degrees - 2) if degrees > 2 else np.inf)

    def cdf(self, y, eta, dispersion):
        return special.stdtr(dispersion[1], (y - eta[:, 0]) / dispersion[0])

    def quantile(self, q, eta, dispersion):
        return eta[:, 0] + dispersion[0] * special.stdtrit(dispersion[1], q)

    def draw(self, rng, eta, dispersion):
        return eta[:, 0] + dispersion[0] * rng.standard_t(dispersion[1], size=len(eta))


class Gamma(Distribution):
    """Log link."""

    dispersions = ("shape",)

    def score(self, y, eta, dispersion):
        shape, ratio = dispersion[0], y[:, np.newaxis] * _exp(-eta)
        of_shape = 1 + np.log(shape) - special.digamma(shape) + np.log(y)[:, np.newaxis] - eta - ratio
        return np.hstack([shape * (ratio - 1), shape * of_shape])

    def mean(self, eta, dispersion):
        return _exp(eta[:, 0])

    def variance(self, eta, dispersion):
        return _exp(2 * eta[:, 0]) / dispersion[0]

    def cdf(self, y, eta, dispersion):
        return special.gammainc(dispersion[0], dispersion[0] * np.maximum(y, 0) * _exp(-eta[:, 0]))

    def quantile(self, q, eta, dispersion):
        return special.gammaincinv(dispersion[0], q) / dispersion[0] * _exp(eta[:, 0])

    def draw(self, rng, eta, dispersion):
        return rng.gamma(dispersion[0], 1 / dispersion[0], size=len(eta)) * _exp(eta[:, 0])


class Poisson(Distribution):
    """Log link."""

    is_whole = True

    def score(self, y, eta, dispersion):
        return y[:, np.newaxis] - _exp(eta)

    def mean(self, eta, dispersion):
        return _exp(eta[:, 0])

    def variance(self, eta, dispersion):
        return _exp(eta[:, 0])

    def cdf(self, y, eta, dispersion):
        return np.where(y < 0, 0.0, special.pdtr(np.maximum(y, 0), _exp(eta[:, 0])))

    def quantile(self, q, eta, dispersion):
        return np.ceil(np.maximum(special.pdtrik(q, _exp(eta[:, 0])), 0))

    def draw(self, rng, eta, dispersion):
        return drawn_counts(_exp(eta[:, 0]), rng)


class NegativeBinomial(Distribution):
    """Log link; the variance is mean + mean^2 / theta."""

    dispersions = ("theta",)
    is_whole = True

    def score(self, y, eta, dispersion):
        theta, count, mean = dispersion[0], y[:, np.newaxis], _exp(eta)
        gap = (count - mean) / (mean + theta)
        rise = _digamma_beyond(theta, count)
        # psi(y + theta) - psi(theta) - log(1 + mean / theta) - gap, without their leading terms where these nearly
        # cancel: near Poisson's all digits of them
        near = rise - _log1p_beyond(mean / theta) + mean * (count - mean) / (theta * (theta + mean))
        far = rise + count / theta - np.log1p(mean / theta) - gap
        return np.hstack([theta * gap, theta * np.where(np.real(mean) <= np.real(theta), near, far)])

    def mean(self, eta, dispersion):
        return _exp(eta[:, 0])

    def variance(self, eta, dispersion):
        mean = _exp(eta[:, 0])
        return mean + mean**2 / dispersion[0]

    def cdf(self, y, eta, dispersion):
        theta = dispersion[0]
        return np.where(y < 0, 0.0, special.betainc(theta, np.maximum(y, 0) + 1, theta / (theta + _exp(eta[:, 0]))))

    def quantile(self, q, eta, dispersion):
        from scipy.stats import nbinom

        theta = dispersion[0]
        return np.maximum(nbinom.ppf(q, theta, theta / (theta + _exp(eta[:, 0]))), 0)

    def draw(self, rng, eta, dispersion):
        return drawn_counts(Gamma().draw(rng, eta, dispersion), rng)


class Multinomial(Distribution):
    """y (n, C): counts. eta (n, C - 1): log odds against category 0."""

    is_number = False

    @staticmethod
    def _log_shares(eta):
        padded = np.column_stack([np.zeros(len(eta)), eta])
        top = padded.real.max(axis=1, keepdims=True)
        return padded - top - np.log(np.exp(padded - top).sum(axis=1, keepdims=True))

    def score(self, y, eta, dispersion):
        return y[:, 1:] - y.sum(axis=1, keepdims=True) * np.exp(self._log_shares(eta)[:, 1:])

    def mean(self, eta, dispersion):
        return np.exp(self._log_shares(eta))

    def variance(self, eta, dispersion):
        share = self.mean(eta, dispersion)
        return share * (1 - share)

    def draw(self, rng, eta, dispersion):
        """One trial a row: the numbers of the categories."""
        ends = np.cumsum(self.mean(eta, dispersion), axis=1)
        return drawn_of(ends, rng.random_sample(len(eta)))

    def draw_like(self, rng, y, eta, dispersion):
        share = self.mean(eta, dispersion)
        trials = y.sum(axis=1).astype(np.int64)
        drawn = [rng.multinomial(*one) for one in zip(trials, share, strict=True)]
        return np.array(drawn, dtype=np.float64).reshape(y.shape)


class Binomial(Distribution):
    """y (n, 2): successes and failures; eta: log odds of a success. A number is that of the successes in `trials`, 1 or
    (n,): 0 or 1 of one trial."""

    is_whole = takes_trials = True

    def __init__(self, trials=1):
        self.trials = trials

    def of_trials(self, trials):
        return Binomial(trials)

    def of_rows(self, rows):
        return self if np.ndim(self.trials) == 0 else Binomial(self.trials[rows])

    def score(self, y, eta, dispersion):
        return y[:, :1] - y.sum(axis=1, keepdims=True) / (1 + _exp(-eta))

    def mean(self, eta, dispersion):
        return self.trials * special.expit(eta[:, 0])

    def variance(self, eta, dispersion):
        return self.trials * special.expit(eta[:, 0]) * special.expit(-eta[:, 0])

    def cdf(self, y, eta, dispersion):
        y = np.floor(y)
        left = np.maximum(self.trials - y, 1)
        inside = special.betainc(left, np.maximum(y, 0) + 1, special.expit(-eta[:, 0]))
        return np.where(y < 0, 0.0, np.where(y < self.trials, inside, 1.0))

    def quantile(self, q, eta, dispersion):
        from scipy.stats import binom

        return np.maximum(binom.ppf(q, self.trials, special.expit(eta[:, 0])), 0)

    def draw(self, rng, eta, dispersion):
        share = special.expit(eta[:, 0])
        if np.ndim(self.trials) == 0:
            return (rng.random_sample(len(eta)) < share).astype(np.float64)
        return rng.binomial(self.trials.astype(np.int64), share).astype(np.float64)

    def draw_like(self, rng, y, eta, dispersion):
        trials = y.sum(axis=1)
        successes = self.of_trials(trials).draw(rng, eta, dispersion)
        return np.column_stack([successes, trials - successes])


#: By the names of experts.
DISTRIBUTIONS = {
    "gaussian": Gaussian(),
    "student_t": StudentT(),
    "gamma": Gamma(),
    "poisson": Poisson(),
    "negative_binomial": NegativeBinomial(),
    "binomial": Binomial(),
    "multinomial": Multinomial(),
}


# ---- mixtures of them -----------------------------------------------------------------------------------------------


def mixture_moments(distribution, shares, etas, dispersions):
    """Mean and standard deviation of y, (n,) or (n, C), of shares (n, K) of components with `etas` (K, n, m) and
    `dispersions` (K, d). The variance is that within components and that of their means."""
    means = np.stack([distribution.mean(*one) for one in zip(etas, dispersions, strict=True)])
    variances = np.stack([distribution.variance(*one) for one in zip(etas, dispersions, strict=True)])
    shares = shares.T.reshape(shares.shape[::-1] + (1,) * (means.ndim - 2))
    mean = np.sum(shares * means, axis=0)
    # a component of no share may have no variance
    within = np.sum(np.where(shares > 0, shares * np.where(shares > 0, variances, 0), 0), axis=0)
    return mean, np.sqrt(within + np.sum(shares * (means - mean) ** 2, axis=0))


def mixture_cdf(distribution, y, shares, etas, dispersions):
    """P(Y <= y) of each row: (n,)."""
    each = [distribution.cdf(y, *one) for one in zip(etas, dispersions, strict=True)]
    return np.sum(shares * np.stack(each, axis=1), axis=1)


def mixture_quantile(distribution, q, shares, etas, dispersions):
    """The smallest y of each row with P(Y <= y) >= q: (n,).

    It lies between the smallest and the largest of the components' own quantiles; these are halved until nothing is
    between them, whole numbers or floats.
    """
    own = np.stack([distribution.quantile(q, *one) for one in zip(etas, dispersions, strict=True)], axis=1)
    is_there = shares > 0
    low = np.where(is_there, own, np.inf).min(axis=1)
    high = np.where(is_there, own, -np.inf).max(axis=1)
    if distribution.is_whole:
        low = low - 1  # below the answer always
    while True:
        middle = np.floor(low + (high - low) / 2) if distribution.is_whole else low + (high - low) / 2
        is_open = (low < middle) & (middle < high)
        if not is_open.any():
            return high
        reached = mixture_cdf(distribution, middle, shares, etas, dispersions) >= q
        low, high = np.where(is_open & ~reached, middle, low), np.where(is_open & reached, middle, high)
