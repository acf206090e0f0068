"""Partitions of rows: priors of Gibbs type, and what is said of many draws."""

from __future__ import annotations

from numbers import Real

import numpy as np
from scipy.special import gammaln, ndtri
from scipy.stats import rankdata

from mixfast._threads import resolve_threads
from mixfast.engine._information import approach_draws, joint_entropies
from mixfast.engine._special import lgamma_rise
from mixfast.in_messages import in_short

#: A term of a sum is nothing where its logarithm is so much less than that of the largest: a double has 37.
NOTHING = 40
#: Pairs of a cluster of the point partition and one of a draw, over all draws that it is brought near to.
MOST_PLACES = 1 << 24

# ---- priors ---------------------------------------------------------------------------------------------------------


class GibbsTypePrior:
    """A prior that gives a partition of n rows into K clusters of sizes n_k the probability

        V(n, K) prod_k Gamma(n_k + c)

    Gnedin & Pitman, "Exchangeable Gibbs partitions and Stirling triangles", Journal of Mathematical Sciences 138
    (2006).

    Attributes
    ----------
    c : float
    concentration : float
        As given, or where a chain begins.
    concentration_prior : tuple of (shape, rate) or None
        Of the Gamma distribution of the concentration, where that is not given.
    most_clusters : float
        More have the probability 0; inf where there is no such number.
    """

    c: float = 0.0
    concentration: float
    concentration_prior: tuple | None = None
    most_clusters: float = np.inf

    def log_v(self, n, n_clusters):
        """log V(n, K).

        Parameters
        ----------
        n : float
            The number of rows, or the sum of their weights.
        n_clusters : int ndarray of shape (n_values,)
            K, in rising order.

        Returns
        -------
        ndarray of shape (n_values,)
            With all constants, so that the probabilities of partitions sum to 1.
        """
        raise NotImplementedError

    def log_probability(self, sizes):
        """The logarithm of the probability of a partition into clusters of these sizes, an array (n_clusters,)."""
        sizes = np.asarray(sizes)
        return float(self.log_v(sizes.sum(), np.array([len(sizes)]))[0] + gammaln(sizes + self.c).sum())


def _is_number(value):
    return isinstance(value, Real) and not isinstance(value, (bool, np.bool_))


def _positive(name, value):
    if not (_is_number(value) and 0 < value < np.inf):
        raise ValueError(f"{name}={in_short(value)} should be a positive number")
    return float(value)


class DirichletProcess(GibbsTypePrior):
    """Ferguson's process: a new row begins a cluster with probability alpha / (alpha + n).

    Parameters
    ----------
    concentration : float or pair of (shape, rate), default 1.0
        alpha > 0, or a tuple, a list or an array of two positive numbers: the Gamma prior of it, whose mean is shape /
        rate. n rows have about alpha log(1 + n / alpha) clusters.
    """

    def __init__(self, concentration=1.0):
        if _is_number(concentration):
            self.concentration = _positive("concentration", concentration)
            return
        if not isinstance(concentration, (tuple, list, np.ndarray)) or np.shape(concentration) != (2,):
            raise ValueError(
                f"concentration={concentration!r} should be a positive number, or a pair of them, (shape, rate) of its "
                "Gamma prior"
            )
        shape, rate = concentration
        self.concentration_prior = (
            _positive("the shape of concentration", shape),
            _positive("the rate of concentration", rate),
        )
        self.concentration = self.concentration_prior[0] / self.concentration_prior[1]

    def log_v(self, n, n_clusters):
        alpha = self.concentration
        return np.asarray(n_clusters) * np.log(alpha) - lgamma_rise(alpha, n)


class PitmanYorProcess(GibbsTypePrior):
    """A new row begins a cluster with probability (alpha + K sigma) / (alpha + n): numbers of clusters that grow as a
    power of n. Pitman & Yor, "The two-parameter Poisson-Dirichlet distribution", Annals of Probability 25 (1997).

    Parameters
    ----------
    concentration : float, default 1.0
        alpha > -discount
    discount : float, default 0.5
        sigma, at least 0 and below 1; 0 is a Dirichlet process.
    """

    def __init__(self, concentration=1.0, discount=0.5):
        if not (_is_number(discount) and 0 <= discount < 1):
            raise ValueError(f"discount={discount!r} should be at least 0 and below 1")
        if not (_is_number(concentration) and -discount < concentration < np.inf):
            raise ValueError(
                f"concentration={concentration!r} should be a number above -discount={-discount}: a Gamma prior of it "
                "is there for Dirichlet processes only"
            )
        self.concentration, self.discount = float(concentration), float(discount)
        self.c = -self.discount

    def log_v(self, n, n_clusters):
        alpha, sigma, n_clusters = self.concentration, self.discount, np.asarray(n_clusters)
        steps = np.log(alpha + sigma * np.arange(1, n_clusters[-1]))
        grown = np.concatenate([[0.0], np.cumsum(steps)])[n_clusters - 1]
        return grown - lgamma_rise(alpha + 1, n - 1) - n_clusters * gammaln(1 - sigma)


class FiniteMixtures(GibbsTypePrior):
    """Mixtures of finite mixtures: the number of components is k with probability p(k), their weights are
    Dirichlet(gamma). Miller & Harrison, "Mixture models with a prior on the number of components", Journal of the
    American Statistical Association 113 (2018).

    Parameters
    ----------
    concentration : float, default 1.0
        gamma > 0
    probabilities : array-like of shape (most_components,) or None
        p(1), p(2), .., which are divided by their sum; None is 2^-k for all k.
    """

    def __init__(self, concentration=1.0, probabilities=None):
        if not _is_number(concentration):
            raise ValueError(
                f"concentration={concentration!r} should be a positive number: a Gamma prior of it is there for "
                "Dirichlet processes only"
            )
        self.concentration = self.c = _positive("concentration", concentration)
        self.probabilities = None
        if probabilities is not None:
            probabilities = np.array(probabilities, dtype=np.float64)
            if probabilities.ndim != 1 or not np.all(probabilities >= 0) or not 0 < probabilities.sum() < np.inf:
                raise ValueError(
                    "probabilities should be those of 1, 2, .. components, at least 0 and some of them more"
                )
            self.probabilities = probabilities / probabilities.sum()
            self.most_clusters = int(np.flatnonzero(self.probabilities)[-1]) + 1

    def _log_prior(self, most):
        """log p(1), log p(2), .. as far as that matters to `most` clusters: from 4 `most` on a term of V(n, K) is at
        most 2 / 3 of the one before, and 200 more leave nothing that a double could hold."""
        if self.probabilities is None:
            return -np.log(2) * np.arange(1, 4 * most + 201)
        with np.errstate(divide="ignore"):
            return np.log(self.probabilities)

    def log_v(self, n, n_clusters):
        """V(n, K) = sum over k >= K of p(k) k! / (k - K)! Gamma(gamma k) / Gamma(gamma k + n), Gamma(gamma)^-K"""
        n_clusters = np.asarray(n_clusters)
        own = self._log_terms(n, n_clusters[-1])
        log_factorials = gammaln(np.arange(1, len(own) + 1))  # of 0, 1, ..

        def log_sum(value):
            if value > self.most_clusters:
                return -np.inf
            terms = own[value - 1 :] - log_factorials[: len(own) - value + 1]
            top = terms.max()
            return top + np.log(np.exp(terms - top).sum())

        return np.array([log_sum(value) for value in n_clusters]) - n_clusters * gammaln(self.c)

    def _log_terms(self, n, most):
        """log of p(k) k! Gamma(gamma k) / Gamma(gamma k + n) for k = 1, 2, .. as far as that matters to V(n, K) of K up
        to `most`. 100,000 rows under p(k) equal up to their number took 1.8 s with all terms, and take 0.06 s.

        Without p(k) the terms of that sum rise and then fall, since k times the derivative of their logarithm, the sum
        over j < K of 1 / (1 - j / k) less that over i < n of 1 / (1 + i / (gamma k)), falls with k. So where they fall
        no later one is more than the last, and as p sums to 1 neither are all later ones together. A smaller K falls
        faster."""
        log_prior = self._log_prior(most)
        own = np.empty(0)
        while len(own) < len(log_prior):
            k = np.arange(len(own) + 1, min(max(2 * len(own), 4 * most + 200), len(log_prior)) + 1)
            rises, log_factorials = [lgamma_rise(self.c * value, n) for value in k], gammaln(k + 1)
            own = np.append(own, log_prior[k - 1] - rises + log_factorials)
            last = log_factorials - rises - gammaln(k - most + 1)
            if k[0] <= most:
                last = last[most - k[0] :]
            seen = own[most - 1 :] - gammaln(np.arange(1, len(own) - most + 2))
            if len(own) < len(log_prior) and last[-1] < min(last[-2], seen.max() - NOTHING):
                break
        return own


# ---- draws ----------------------------------------------------------------------------------------------------------


def canonical(labels):
    """Labels (n_rows,) or draws of them (n_draws, n_rows), int32, with clusters numbered in the order of their first
    rows."""
    labels = np.asarray(labels)
    if labels.ndim > 1:
        return np.stack([canonical(draw) for draw in labels])
    if not (0 <= labels.min(initial=0) and labels.max(initial=0) <= len(labels)):
        labels = np.unique(labels, return_inverse=True)[1]
    first = np.full(int(labels.max(initial=0)) + 1, len(labels))
    first[labels[::-1]] = np.arange(len(labels))[::-1]  # of several that are assigned to a place the last one stays
    places = np.empty(len(first), dtype=np.int32)
    places[np.argsort(first)] = np.arange(len(first))
    return places[labels]


def n_clusters_posterior(n_clusters):
    """Shares of draws, {number of clusters: probability}, from numbers of clusters (n_draws,)."""
    values, counts = np.unique(n_clusters, return_counts=True)
    return {int(value): float(count / len(n_clusters)) for value, count in zip(values, counts, strict=True)}


def coclustering(draws, rows=None):
    """How often two rows share a cluster.

    Parameters
    ----------
    draws : int ndarray of shape (n_draws, n_rows)
        Labels.
    rows : int array-like of shape (n_chosen,) or None
        Numbers of rows; None is all of them.

    Returns
    -------
    ndarray of shape (n_chosen, n_chosen)
        Probabilities, ones on the diagonal.
    """
    draws = np.asarray(draws)
    chosen = draws if rows is None else draws[:, rows]
    together = np.zeros((chosen.shape[1],) * 2)
    for labels in chosen:
        together += labels[:, np.newaxis] == labels
    return together / len(chosen)


def expected_variation_of_information(draws, sample_weight=None, n_threads=None):
    """Mean variation of information of each draw from all draws.

    Parameters
    ----------
    draws : int ndarray of shape (n_draws, n_rows)
        Labels.
    sample_weight : ndarray of shape (n_rows,) or None
        How often each row counts.
    n_threads : int or None
        None for all that the process may use.

    Returns
    -------
    ndarray of shape (n_draws,)
        In nats. Meila, "Comparing clusterings - an information based distance", Journal of Multivariate Analysis 98
        (2007).
    """
    return _expected_distances(canonical(draws), sample_weight, n_threads)


def _expected_distances(draws, sample_weight, n_threads):
    different, which, counts = np.unique(draws, axis=0, return_inverse=True, return_counts=True)
    weight = np.ones(draws.shape[1]) if sample_weight is None else np.array(sample_weight, dtype=np.float64)
    joint = joint_entropies(np.ascontiguousarray(different), weight / weight.sum(), resolve_threads(n_threads))
    own = np.diag(joint)
    distances = 2 * joint - own - own[:, np.newaxis]
    return (distances @ counts / counts.sum())[which.reshape(-1)]


def point_partition(draws, sample_weight=None, n_threads=None):
    """The partition of least expected variation of information, as far as moves of single rows find it.

    It begins at the draw of least expected variation of information; rows move, one by one, to the cluster in which
    the partition is nearest to all draws, until none does. A draw itself has rows between clusters in one of them by
    chance, where this one has each in the cluster that it is most often in.

    Parameters
    ----------
    draws, sample_weight, n_threads
        As `expected_variation_of_information` takes them. Time grows with the square of the number of draws.

    Returns
    -------
    int32 ndarray of shape (n_rows,)
        Its labels; clusters are numbered in the order of their first rows. Wade & Ghahramani, "Bayesian cluster
        analysis: point estimation and credible balls", Bayesian Analysis 13 (2018); Rastelli & Friel, "Optimal
        Bayesian estimators for latent variable cluster models", Statistics and Computing 28 (2018).
    """
    draws = canonical(draws)
    expected = _expected_distances(draws, sample_weight, n_threads)
    # draws that are one partition in other words differ in rounding at most
    nearest = draws[np.argmax(expected <= expected.min() + 1e-12)]
    weight = np.ones(draws.shape[1]) if sample_weight is None else np.array(sample_weight, dtype=np.float64)
    most = MOST_PLACES // ((nearest.max() + 1) * (draws.max() + 1))
    some = draws[:: -(-len(draws) // max(int(most), 1))]
    return canonical(approach_draws(nearest, np.ascontiguousarray(some), weight))


def effective_sample_size(traces):
    """How many independent draws say as much of the mean of a trace.

    Autocorrelations are those of all chains about their common mean, so that chains that disagree are worth little:
    Vehtari et al., "Rank-normalization, folding, and localization: an improved R-hat for assessing convergence of
    MCMC", Bayesian Analysis 16 (2021), section 3. They are added up by pairs, as long as pairs are positive, and no
    pair counts for more than the one before: Geyer, "Practical Markov chain Monte Carlo", Statistical Science 7 (1992).

    Parameters
    ----------
    traces : array-like of shape (n_draws,) or (n_chains, n_draws)

    Returns
    -------
    float
        At most 1 for each draw that is there; NaN where all draws are equal, which says nothing of that.
    """
    chains = np.atleast_2d(np.asarray(traces, dtype=np.float64))
    n = chains.shape[1]
    if chains.size == 0 or _never_move(chains):
        return np.nan
    if n < 4:
        return float(chains.size)
    means = chains.mean(axis=1, keepdims=True)
    between = means.var(ddof=1) if len(chains) > 1 else 0.0
    size = 2 ** int(np.ceil(np.log2(2 * n)))
    spectrum = np.fft.rfft(chains - means, size)
    covariances = np.fft.irfft(spectrum * np.conj(spectrum), size)[:, :n].mean(axis=0) / n
    correlations = (covariances + between) / (covariances[0] + between)
    pairs = correlations[: n // 2 * 2].reshape(-1, 2).sum(axis=1)
    negative = np.flatnonzero(pairs <= 0)
    pairs = pairs[: negative[0]] if len(negative) else pairs
    return float(chains.size / max(2 * np.minimum.accumulate(pairs).sum() - 1, 1.0))


def r_hat(traces):
    """How much wider the draws of all chains are than those within halves of them.

    The larger of two ratios of standard deviations, of the ranks of the draws as normal quantiles, and of those of
    their distances from the median: chains that are in other places, and those that are wider than others. Vehtari et
    al. (2021), section 4.

    Parameters
    ----------
    traces : array-like of shape (n_chains, n_draws)

    Returns
    -------
    float
        1, but for chance, where chains agree, and where all draws are equal; inf where each half is constant and they
        differ; NaN for fewer than four draws.
    """
    traces = np.asarray(traces, dtype=np.float64)
    n = traces.shape[1] // 2
    if n < 2:
        return np.nan
    if _never_move(traces):
        return 1.0
    halves = np.concatenate([traces[:, :n], traces[:, -n:]])
    return max(_width_ratio(_normal_scores(own)) for own in (halves, np.abs(halves - np.median(halves))))


def _never_move(traces):
    """Whether all draws are equal, but for the rounding of sums in another order: log joints of one partition whose
    clusters have other numbers."""
    return np.ptp(traces) <= 1e-10 * np.abs(traces).max()


def _normal_scores(values):
    """Ranks as quantiles of the standard normal distribution (Blom)."""
    return ndtri((rankdata(values).reshape(values.shape) - 0.375) / (values.size + 0.25))


def _width_ratio(halves):
    n = halves.shape[1]
    within, between = halves.var(axis=1, ddof=1).mean(), halves.mean(axis=1).var(ddof=1)
    if within == 0:
        return 1.0 if between == 0 else np.inf
    return float(np.sqrt((n - 1) / n + between / within))
