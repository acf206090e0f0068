"""What chains of partitions leave in an estimator: traces, partitions, and predictive densities averaged over draws."""

from __future__ import annotations

from math import lgamma

import numpy as np

from mixfast.random_partitions import (
    DirichletProcess,
    FiniteMixtures,
    PitmanYorProcess,
    canonical,
    effective_sample_size,
    point_partition,
)
from mixfast.sampler import Draws, PartitionSampler, acceptance_of

#: Predictive densities are averaged over so many draws at most, evenly spaced. Log densities of the galaxies are then
#: 0.014 from those of 1,000 draws, in the mean, with 10 draws 0.04; time and memory of `score_samples` grow with it.
AVERAGED = 100
#: Labels of draws are kept without being asked for up to so many numbers: a gigabyte of up to 256 clusters.
MANY_LABELS = 1e9
#: The logarithm of a probability of 1 may be so much above 0.
ROUNDING = 1e-9
#: Every other chain begins at so many random groups.
N_RANDOM_GROUPS = 10
#: The point partition is sought among draws whose pairs, times the rows, are at most so many: 6 s of one core. After
#: Ctrl-C so many, 0.2 s.
MANY_PAIRS, PROMPT_PAIRS = 4e9, 1e8
#: Of n_clusters and log_joint, times the number of chains: means then have standard errors of at most a tenth of the
#: standard deviation of the posterior, shares of at most 0.05; with fewer the autocorrelations themselves are not known
#: well (Vehtari et al., Bayesian Analysis 16 (2021), section 4: 50 for each half of a chain).
LEAST_EFFECTIVE = 100
#: Vehtari et al. ask for 1.01. Two to eight autoregressions that do agree, each worth 100 draws, exceed that in 35 to
#: 45 % of 1,500 runs, and 1.05 in at most one.
MOST_R_HAT = 1.05
#: `thin="auto"`: a draw is so many sweeps of few rows, and of many as many as look at so many rows. A default fit of 82
#: galaxies is worth 130 to 220 independent draws of K under a mixture of finite mixtures, and 600 to 800 under a
#: Dirichlet process, in 1.3 s of one core; one of 10,000 x 2 rows in ten clusters takes 6 s, and warns.
MOST_THIN, ROWS_OF_DRAW = 20, 20_000


def process_of(estimator, n_rows):
    """The prior of partitions; ValueError for options that make none."""
    concentration = estimator.concentration
    if estimator._learns_concentration():
        concentration = tuple(map(float, concentration))
    if estimator.process == "dirichlet":
        return DirichletProcess(concentration)
    if estimator.process == "pitman-yor":
        return PitmanYorProcess(concentration, estimator.discount)
    prior = estimator.n_components_prior
    if isinstance(prior, str):
        if prior == "geometric":
            return FiniteMixtures(concentration)
        return FiniteMixtures(concentration, np.ones(estimator.max_components or n_rows))
    logs = np.asarray(prior, dtype=np.float64)
    if logs.ndim != 1 or not len(logs) or np.any(np.isnan(logs)) or not np.isfinite(logs.max()):
        raise ValueError(
            f"n_components_prior={prior!r} should be the log probabilities of 1, 2, .. components: numbers, or -inf"
        )
    if logs.max() > ROUNDING:  # which one of any probabilities is
        raise ValueError(
            f"n_components_prior={prior!r} has {logs.max():g}, and should be log probabilities, none above 0: of "
            "probabilities pass np.log(..); from other logarithms subtract their largest"
        )
    return FiniteMixtures(concentration, np.exp(logs - logs.max()))


def shares_of(process, concentration, sizes):
    """How likely a new row is of each cluster, and of a new one: (n_clusters + 1,)."""
    if process.concentration_prior is not None:
        process = DirichletProcess(concentration)
    n, n_clusters = float(sizes.sum()), len(sizes)
    now = process.log_v(n, np.array([n_clusters]))[0]
    later = process.log_v(n + 1, np.array([n_clusters, n_clusters + 1]))
    logs = np.append(later[0] - now + np.log(sizes + process.c), later[1] - now + lgamma(1 + process.c))
    shares = np.exp(logs)
    return shares / shares.sum()


class Chain:
    """A sampler and its draws.

    Attributes
    ----------
    draws : Draws
    components : list of (shares, packed parameters, sizes)
        Of the draws that are averaged.
    best : tuple of (float, int64 ndarray)
        The largest log joint, and its labels.
    """

    def __init__(self, sampler, keeps_labels):
        self.sampler, self.draws, self.components = sampler, Draws(keeps_labels), []
        self.best = -np.inf, None

    def take(self, components):
        """The present partition; `components(labels, concentration)` where it is one of those that are averaged."""
        sampler = self.sampler
        if components is not None:
            self.components.append(components(sampler.labels, sampler.concentration))
        if sampler.log_joint > self.best[0]:
            self.best = sampler.log_joint, sampler.labels
        self.draws.take(sampler)  # the last: a draw that an interrupt leaves has all of these


class Chains:
    """Chains side by side, one draw of each after the other, so that all have as many whenever Ctrl-C comes.

    Parameters
    ----------
    make : callable
        The sampler of a chain by its number.
    estimator : DirichletProcessMixture
    thin : int
        Sweeps for each draw.
    components : callable
        What is kept of the draws that are averaged, from labels and concentration.
    keeps_labels : bool
    note : callable or None
        Is told log joint and number of clusters after each sweep of the first chain.

    Attributes
    ----------
    chains : list of Chain
    interrupted : bool
    """

    def __init__(self, make, estimator, thin, components, keeps_labels, note):
        self.make, self.estimator, self.thin, self.components = make, estimator, thin, components
        self.keeps_labels, self.note = keeps_labels, note
        self.chains, self.interrupted = [], False

    def run(self):
        """Makes the draws. Ctrl-C ends that; before each chain has a draw it is a KeyboardInterrupt."""
        estimator = self.estimator
        every = -(-estimator.n_draws * estimator.n_chains // AVERAGED)
        self.chains = [Chain(self.make(number), self.keeps_labels) for number in range(estimator.n_chains)]
        try:
            for chain in self.chains:
                chain.sampler.burn_in(estimator.burn_in, self._note_of(chain))
            for draw in range(estimator.n_draws):
                for chain in self.chains:
                    self._sweep(chain, self.thin)
                    chain.take(self.components if draw % every == 0 else None)
        except KeyboardInterrupt:
            n_draws = min(len(chain.draws) for chain in self.chains)
            if n_draws == 0:
                raise
            for chain in self.chains:
                chain.draws.keep(n_draws)
            self.interrupted = True
        return self

    def _note_of(self, chain):
        return self.note if chain is self.chains[0] else None

    def _sweep(self, chain, n_sweeps):
        note = self._note_of(chain)
        if note is None:
            chain.sampler.sweep(n_sweeps)
            return
        for _ in range(n_sweeps):
            chain.sampler.sweep()
            note(chain.sampler.log_joint, chain.sampler.n_clusters)

    def trace(self, name):
        """(n_draws,) of one chain, (n_chains, n_draws) of several."""
        traces = np.array([getattr(chain.draws, name) for chain in self.chains])
        return traces[0] if self.estimator.n_chains == 1 else traces

    def labels(self):
        """Those of all draws, one chain after the other, where they are kept: (n_draws, n_rows)."""
        return np.concatenate([chain.draws.labels for chain in self.chains])

    def point_partition(self, sample_weight, n_threads):
        """That of all draws, or the draw of the largest log joint where labels are not kept. After Ctrl-C, which may
        come while it is sought too, it is sought among fewer draws."""
        if not self.keeps_labels:
            return max((chain.best for chain in self.chains), key=lambda best: best[0])[1]
        draws = self.labels()
        if not self.interrupted:
            try:
                return point_partition(spread(draws, MANY_PAIRS), sample_weight, n_threads)
            except KeyboardInterrupt:
                self.interrupted = True
        return point_partition(spread(draws, PROMPT_PAIRS), sample_weight, n_threads)

    def acceptance(self):
        """Shares of the splits and merges of all chains that were accepted; NaN where there were none."""
        return acceptance_of([chain.sampler.tallies for chain in self.chains])


def spread(draws, n_pairs):
    """Draws (n_draws, n_rows), evenly spaced, at least ten, whose pairs times the rows are at most so many."""
    most = int(max(10, np.sqrt(n_pairs / draws.shape[1])))
    return draws[:: -(-len(draws) // most)]


def sweeps_of_draw(thin, n_rows):
    """`thin` as a number."""
    return int(np.clip(ROWS_OF_DRAW // n_rows, 1, MOST_THIN)) if thin == "auto" else thin


def what_is_wrong(effective, r_hats, n_draws, n_chains, thin):
    """Why draws do not tell the posterior yet, and what helps, a sentence each; "" where nothing speaks against it.

    Parameters
    ----------
    effective, r_hats : dict
        Effective sample sizes and r_hat by the name of the trace; the latter is empty for one chain.
    n_draws : int
        Of each chain.
    n_chains, thin : int
    """
    least, n_all = LEAST_EFFECTIVE * n_chains, n_draws * n_chains
    small = {name: size for name, size in effective.items() if size < least}  # NaN is of what never moves
    far = {name: ratio for name, ratio in r_hats.items() if ratio > MOST_R_HAT}
    faults, n_times, is_dense = [], 2, True
    if small:
        name = min(small, key=small.get)
        n_times, is_dense = max(2, int(np.ceil(least / small[name]))), n_all >= 2 * max(least, small[name])
        faults.append(
            f"the effective sample size of {name} is {small[name]:.0f} of {n_all} draws, and should be at least {least}"
        )
    if far:
        name = max(far, key=far.get)
        faults.append(f"r_hat of {name} is {far[name]:.2f}, and should be at most {MOST_R_HAT}: chains disagree")
    if not faults:
        return ""
    more = f"thin={n_times * thin} or " if is_dense else ""  # draws that are few or independent have to be more
    return (
        f"The draws do not tell the posterior well yet: {'; '.join(faults)}. Take more sweeps, {more}n_draws="
        f"{n_times * n_draws}, and look at mixfast.plot.trace(model); where it drifts, raise burn_in too."
    )


def effective_sample_sizes(traces):
    """By name, of all chains together; NaN where all draws are equal."""
    return {name: effective_sample_size(trace) for name, trace in traces.items()}


def sampler_for(estimator, X, family, process, sample_weight, labels, seed, n_threads):
    """A function that makes the sampler of a chain by its number. The first begins at `labels`, every other one at
    random groups: chains that begin alike agree even where none has found its way."""
    most = int(min(N_RANDOM_GROUPS, X.shape[0], process.most_clusters))

    def begins_at(number):
        if number % 2 == 0:
            return labels
        groups = np.random.default_rng([seed, number]).integers(most, size=X.shape[0])
        return canonical(groups)

    def make(number):
        own = np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0]
        return PartitionSampler(
            X,
            family,
            process,
            sample_weight=sample_weight,
            labels=begins_at(number),
            seed=int(own),
            n_threads=n_threads,
        )

    return make
