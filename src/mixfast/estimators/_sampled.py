"""What chains of partitions leave in an estimator: traces, partitions, and predictive densities averaged over draws."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import lgamma

import numpy as np

from mixfast.partitions import DirichletProcess, FiniteMixtures, PitmanYorProcess, canonical, effective_sample_size
from mixfast.sampler import PartitionSampler

#: Predictive densities are averaged over so many draws at most, evenly spaced.
AVERAGED = 100
#: Labels of draws are kept without being asked for up to so many numbers.
MANY_LABELS = 1e9
#: Every other chain begins at so many random groups.
N_RANDOM_GROUPS = 10
#: The point partition is sought among draws whose pairs, times the rows, are at most so many.
MANY_PAIRS = 4e9


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


@dataclass
class Chain:
    """The draws of one chain."""

    n_clusters: list = field(default_factory=list)
    concentration: list = field(default_factory=list)
    log_joint: list = field(default_factory=list)
    labels: list = field(default_factory=list)
    components: list = field(default_factory=list)  # (shares, packed parameters) of those that are averaged
    best: tuple = (-np.inf, None)  # log joint and labels
    acceptance: dict = field(default_factory=dict)

    def take(self, sampler, keeps_labels, components):
        """The present partition; `components(labels)` where it is one of those that are averaged."""
        labels = sampler.labels
        self.n_clusters.append(sampler.n_clusters)
        self.concentration.append(sampler.concentration)
        self.log_joint.append(sampler.log_joint)
        if sampler.log_joint > self.best[0]:
            self.best = sampler.log_joint, labels.copy()
        if keeps_labels:
            self.labels.append(labels.astype(np.min_scalar_type(sampler.n_clusters)))
        if components is not None:
            self.components.append(components(labels, sampler.concentration))
        self.acceptance = sampler.acceptance


class Chains:
    """Chains one after the other.

    Attributes
    ----------
    chains : list of Chain
        Those that are complete; after Ctrl-C in the first its draws so far.
    interrupted : bool
    """

    def __init__(self, make, estimator, components, keeps_labels, note):
        self.make, self.estimator, self.components = make, estimator, components
        self.keeps_labels, self.note = keeps_labels, note
        self.chains, self.interrupted = [], False

    def run(self):
        estimator = self.estimator
        every = -(-estimator.n_draws * estimator.n_chains // AVERAGED)
        for number in range(estimator.n_chains):
            chain = Chain()
            try:
                sampler = self.make(number)
                self._sweep(sampler, estimator.burn_in)
                for draw in range(estimator.n_draws):
                    self._sweep(sampler, estimator.thin)
                    is_averaged = draw % every == 0
                    chain.take(sampler, self.keeps_labels, self.components if is_averaged else None)
            except KeyboardInterrupt:
                if not self.chains and not chain.components:
                    raise
                self.interrupted = True
                if not self.chains:
                    self.chains.append(chain)
                break
            self.chains.append(chain)
        return self

    def _sweep(self, sampler, n_sweeps):
        if self.note is None:
            sampler.sweep(n_sweeps)
            return
        for _ in range(n_sweeps):
            sampler.sweep()
            self.note(sampler.log_joint, sampler.n_clusters)

    def trace(self, name):
        """(n_draws,) of one chain, (n_chains, n_draws) of several."""
        traces = np.array([getattr(chain, name) for chain in self.chains])
        return traces[0] if self.estimator.n_chains == 1 else traces


def r_hat(traces):
    """How much wider the draws of all chains are than those within halves of them; 1 where these agree. Gelman et al.,
    "Bayesian data analysis" (2013), 11.4."""
    halves = np.asarray(traces, dtype=np.float64)
    n = halves.shape[1] // 2
    if n < 2:
        return np.nan
    halves = np.concatenate([halves[:, :n], halves[:, n : 2 * n]])
    within = halves.var(axis=1, ddof=1).mean()
    between = n * halves.mean(axis=1).var(ddof=1)
    if within == 0:
        return 1.0 if between == 0 else np.inf
    return float(np.sqrt(((n - 1) * within + between) / (n * within)))


def sizes_of_effect(traces):
    """Effective sample sizes by name, of all chains together; NaN where one of them never moves."""
    return {
        name: float(sum(effective_sample_size(own) for own in np.atleast_2d(trace))) for name, trace in traces.items()
    }


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
