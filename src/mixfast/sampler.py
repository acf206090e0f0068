"""Draws of partitions from their posterior under a Dirichlet process or a kin of it."""

from __future__ import annotations

import numpy as np

from mixfast._em import EM
from mixfast._threads import resolve_threads
from mixfast.engine._partitions import Chain
from mixfast.engine._pass import Pass
from mixfast.engine._predictions import evaluate
from mixfast.engine._rows import Rows
from mixfast.predictive import blocks_for
from mixfast.random_partitions import DirichletProcess
from mixfast.row_data import separated

#: Scans of a launch, for fewer than MANY_ROWS rows and for as many or more: with 6 instead of 2 a chain that begins
#: with one cluster finds six of 1,200 rows in 60 sweeps; for few rows they are time lost.
FEW_SCANS, MANY_SCANS, MANY_ROWS = 2, 6, 100
#: Splits and merges that a sweep of the burn-in proposes. Of chains of 100 sweeps over 20,000 rows in 20 clusters that
#: begin with one, three of seven are left with 15 to 19 clusters with the usual two proposals (normalised mutual
#: information .88 to .93), none of four with six (.94).
BURN_IN_PROPOSALS = 6
#: The share of the burn-in that moves no single rows. Of 10,000 x 128 rows in 79 clusters, from one, there were 1,744
#: clusters after 10 sweeps with such moves, most of one row, and 19 without.
BURN_IN_ROUGHLY = 0.5


class Draws:
    """What a chain has drawn.

    Attributes
    ----------
    n_clusters : int ndarray of shape (n_draws,)
    concentration : ndarray of shape (n_draws,)
    log_joint : ndarray of shape (n_draws,)
        log p(partition, rows), given the concentration.
    labels : ndarray of shape (n_draws, n_rows) or None
        Where they are kept, of the smallest unsigned integers that hold them.
    """

    def __init__(self, keeps_labels):
        self._keeps_labels = keeps_labels
        self._taken = []  # a tuple of all of it, appended at once: an interrupt leaves whole draws

    def __len__(self):
        return len(self._taken)

    def take(self, sampler):
        """Record the present partition of a sampler."""
        labels = None
        if self._keeps_labels:
            labels = sampler.labels.astype(np.min_scalar_type(sampler.n_clusters - 1))
        self._taken.append((sampler.n_clusters, sampler.concentration, sampler.log_joint, labels))

    def keep(self, n_draws):
        """Keep the first n draws only."""
        del self._taken[n_draws:]

    @property
    def n_clusters(self):
        return np.array([taken[0] for taken in self._taken], dtype=np.int64)

    @property
    def concentration(self):
        return np.array([taken[1] for taken in self._taken])

    @property
    def log_joint(self):
        return np.array([taken[2] for taken in self._taken])

    @property
    def labels(self):
        return np.array([taken[3] for taken in self._taken]) if self._keeps_labels else None


class PartitionSampler:
    """A chain of partitions, whose distribution is the posterior given the rows.

    A sweep draws the label of every row given parameters and weights of the clusters that are there, and proposes to
    split clusters and to merge pairs; `engine/_partitions.pyx` has the formulas. All of it is exact: there is no
    truncation, and no move that does not leave the posterior as it is.

    Parameters
    ----------
    X : ndarray or sparse matrix in CSR form, of shape (n_rows, n_features)
        Float32 or float64, valid for the family; RowData where that takes it.
    family : family of a posterior
        With its prior, `FullPosterior` for instance; one whose components are independent given their rows.
    process : GibbsTypePrior, default DirichletProcess(1.0)
        The prior of partitions.
    sample_weight : ndarray of shape (n_rows,) or None
        Positive integers: a row of weight w is w equal rows that share a cluster.
    labels : int ndarray of shape (n_rows,) or None
        Where the chain begins: any numbers. None is one cluster.
    seed : int, default 0
        Of all random numbers: the same draws for the same seed, whatever n_threads is.
    n_proposals : int, default 2
        Splits and merges that a sweep proposes.
    n_scans : int or None
        Scans that a proposal makes, on the rows that it is about; None is 6, and 2 for fewer than 100 rows.
    move_singles : bool, default True
        Whether rows are moved one by one too, up to 1000 in a sweep.
    n_threads : int or None
        None for all that the process may use.

    Attributes
    ----------
    process : GibbsTypePrior

    Raises
    ------
    ValueError
        Where weights are no positive integers, the parameters of the family cannot be drawn, or labels have more
        clusters than the prior allows.
    """

    def __init__(
        self,
        X,
        family,
        process=None,
        *,
        sample_weight=None,
        labels=None,
        seed=0,
        n_proposals=2,
        n_scans=None,
        move_singles=True,
        n_threads=None,
    ):
        self.process = DirichletProcess() if process is None else process
        self._n_rows, self._n_features = separated(X)[0].shape
        self._X = X
        self._encoded = family.encode(X)
        seeds = self._encoded.make_seeds()  # which may have other columns than the rows: one for each category
        self._n_places = (self._encoded.rows if seeds is None else seeds).shape[1]
        dtype = self._encoded.rows.dtype
        self._dtype = dtype if dtype in self._encoded.family.dtypes else np.dtype(np.float64)
        weight = _counted(sample_weight)
        rows = Rows(self._encoded.rows, weight, self._encoded.base)
        self._n_threads = resolve_threads(n_threads)
        shape, rate = self.process.concentration_prior or (0.0, 0.0)
        labels = np.zeros(self._n_rows, dtype=np.int64) if labels is None else self._allowed(labels)
        self._chain = Chain(
            self._bind,
            rows,
            self.process.c,
            None if self.process.concentration_prior else (lambda n: self.process.log_v(rows.total_weight, n)),
            self.process.concentration,
            shape,
            rate,
            labels,
            seed,
            self._n_threads,
            n_scans if n_scans is not None else FEW_SCANS if self._n_rows < MANY_ROWS else MANY_SCANS,
            n_proposals,
            move_singles,
            self._evidence_of_single_rows if weight is None else None,
        )

    def _evidence_of_single_rows(self):
        """(n_rows,) The log evidence of each row in a cluster of its own: its posterior predictive density under a
        component that has no rows. The engine's way, a posterior for each row, takes n_features^3 steps a row: of
        20,000 x 128 rows it was more than half of the time of a chain."""
        # one M-step, for priors that are made from the rows
        capsule, blank = self._bind(1)
        em = EM(capsule, Rows(self._encoded.rows), self._n_threads)
        em.set_state(np.ones(1), blank)
        em.start_from_labels(np.zeros(self._n_rows, dtype=np.int64))
        posterior = self._encoded.family.params_layout(1, self._n_features).view(em.state()[1])
        family, params = self._encoded.family.predictive(posterior)
        out = np.empty(self._n_rows)
        for rows, encoded in blocks_for(family, self._X, np.float64):
            p = Pass(encoded.bind(2, np.dtype(np.float64)), Rows(encoded.rows, base=encoded.base), self._n_threads)
            p.set_state(np.array([0.0, 1.0]), encoded.family.params_layout(2, self._n_features).pack(params))
            evaluate(p, log_norm=out[rows])
        # what does not depend on parameters the chain counts once, for all clusters
        return out if self._encoded.base is None else out - self._encoded.base

    def _bind(self, n_components):
        family = self._encoded.family
        located = family.located(np.zeros((n_components, self._n_places)))
        blank = family.blank(n_components, self._n_features) if located is None else located
        return self._encoded.bind(n_components, self._dtype), np.array(blank, dtype=np.float64)

    def _allowed(self, labels):
        """Labels as numbers from 0 on, of no more clusters than the prior allows."""
        if np.shape(labels) != (self._n_rows,):
            raise ValueError(f"labels should have one number for each of {self._n_rows} rows, got {np.shape(labels)}")
        numbers = np.unique(labels, return_inverse=True)[1].astype(np.int64, copy=False)
        n_clusters = numbers.max(initial=-1) + 1
        if n_clusters > self.process.most_clusters:
            raise ValueError(
                f"labels have {n_clusters} clusters, the prior allows {self.process.most_clusters}: begin with fewer, "
                "or give more probabilities"
            )
        return numbers

    def sweep(self, n_sweeps=1):
        """So many sweeps.

        Ctrl-C stops the one that it falls into, between two passes; the partition that is there is one of the chain,
        from which it can go on.
        """
        self._chain.sweep(n_sweeps)

    def draw(self, n_draws, *, thin=1, draws=None, keep_labels=False):
        """Draws, `thin` sweeps apart.

        Parameters
        ----------
        n_draws : int
        thin : int, default 1
        draws : Draws or None
            Which to add them to: what an interrupt, KeyboardInterrupt, leaves is there.
        keep_labels : bool, default False
            Whether new Draws keep labels: a byte for each row and draw up to 256 clusters.

        Returns
        -------
        Draws
        """
        draws = Draws(keep_labels) if draws is None else draws
        for _ in range(n_draws):
            self._chain.sweep(thin)
            draws.take(self)
        return draws

    def burn_in(self, n_sweeps, note=None):
        """So many sweeps of a chain that may be far from where it belongs: with more splits and merges, which are what
        finds clusters, and at first without moves of single rows. Where clusters are still together many rows are
        likelier in a cluster of their own, and hundreds of these would have to be merged again.

        Parameters
        ----------
        n_sweeps : int
        note : callable or None
            Is told log joint and number of clusters after each sweep.
        """
        usual = self._chain.n_proposals, self._chain.moves_singles
        self._chain.n_proposals = max(usual[0], BURN_IN_PROPOSALS)
        try:
            for sweep in range(n_sweeps):
                self._chain.moves_singles = usual[1] and sweep >= BURN_IN_ROUGHLY * n_sweeps
                self._chain.sweep()
                if note is not None:
                    note(self.log_joint, self.n_clusters)
        finally:
            self._chain.n_proposals, self._chain.moves_singles = usual

    @property
    def n_proposals(self):
        """Splits and merges that a sweep proposes. Settable: each sweep leaves the posterior as it is, with however
        many, as long as their number does not depend on the partition."""
        return self._chain.n_proposals

    @n_proposals.setter
    def n_proposals(self, n_proposals):
        self._chain.n_proposals = n_proposals

    @property
    def labels(self):
        """The cluster of each row, int64 (n_rows,), from 0 on; clusters are in no order. Settable, to any numbers: what
        is known of the rows is then found again."""
        return self._chain.labels

    @labels.setter
    def labels(self, labels):
        self._chain.labels = self._allowed(labels)

    @property
    def n_clusters(self):
        """int"""
        return self._chain.n_clusters

    @property
    def sizes(self):
        """Numbers of rows, weights that is, of the clusters: (n_clusters,)"""
        return self._chain.sizes

    @property
    def concentration(self):
        """float, the present one"""
        return self._chain.concentration

    @property
    def log_joint(self):
        """float, log p(partition, rows), given the concentration"""
        return self._chain.log_joint

    @property
    def tallies(self):
        """How many proposals there were and how many were accepted, {"split": (proposed, accepted), "merge": ..}"""
        return {"split": self._chain.splits, "merge": self._chain.merges}

    @property
    def acceptance(self):
        """Shares of proposals that were accepted, {"split": .., "merge": ..}; NaN where there were none."""
        return acceptance_of([self.tallies])


def acceptance_of(tallies):
    """The shares that the tallies of some samplers come to."""
    shares = {}
    for name in ("split", "merge"):
        proposed, accepted = np.sum([own[name] for own in tallies], axis=0)
        shares[name] = float(accepted / proposed) if proposed else np.nan
    return shares


def _counted(sample_weight):
    """Weights, float64, that are numbers of rows."""
    if sample_weight is None:
        return None
    weight = np.array(sample_weight, dtype=np.float64)
    wrong = weight[~((weight > 0) & (weight == np.rint(weight)) & np.isfinite(weight))]
    if len(wrong):
        raise ValueError(
            f"sample_weight has {wrong[0]}: the sampler takes positive integers, which stand for rows that are "
            "repeated; leave out rows of weight 0"
        )
    return weight
